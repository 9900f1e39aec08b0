//! `ovsdb-tool`.

fn main() -> std::process::ExitCode {
    tools::ovsdb_tool::run(std::env::args().skip(1)).into()
}
