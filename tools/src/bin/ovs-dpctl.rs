//! `ovs-dpctl`; see `tools::dpctl`.

fn main() -> std::process::ExitCode {
    let code = tools::dpctl::main();
    daemon::out::flush();
    code
}
