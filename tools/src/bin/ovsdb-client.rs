//! `ovsdb-client`.

fn main() -> std::process::ExitCode {
    tools::ovsdb_client::run(std::env::args().skip(1)).into()
}
