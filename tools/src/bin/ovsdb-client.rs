//! `ovsdb-client`.

fn main() -> std::process::ExitCode {
    let code = tools::ovsdb_client::run(std::env::args().skip(1)).into();
    daemon::out::flush();
    code
}
