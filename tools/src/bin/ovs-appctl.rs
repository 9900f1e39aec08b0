//! `ovs-appctl`; see `tools::appctl`.

fn main() -> std::process::ExitCode {
    let code = tools::appctl::main();
    daemon::out::flush();
    code
}
