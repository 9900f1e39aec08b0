//! `ovs-vsctl`; see `tools::vsctl`.

fn main() -> std::process::ExitCode {
    tools::vsctl::main()
}
