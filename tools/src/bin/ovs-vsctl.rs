//! `ovs-vsctl`; see `tools::vsctl`.

fn main() -> std::process::ExitCode {
    let code = tools::vsctl::main();
    daemon::out::flush();
    code
}
