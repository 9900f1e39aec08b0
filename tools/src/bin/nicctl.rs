//! `nicctl`; see `tools::nicctl`.

fn main() -> std::process::ExitCode {
    let code = tools::nicctl::run(std::env::args_os()).into();
    daemon::out::flush();
    code
}
