//! `ovs-appctl`; see `tools::appctl`.

fn main() -> std::process::ExitCode {
    tools::appctl::main()
}
