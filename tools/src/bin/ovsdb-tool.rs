//! `ovsdb-tool`.

fn main() -> std::process::ExitCode {
    let code = tools::ovsdb_tool::run(std::env::args().skip(1)).into();
    daemon::out::flush();
    code
}
