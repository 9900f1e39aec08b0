//! `ovs-dpctl`; see `tools::dpctl`.

fn main() -> std::process::ExitCode {
    tools::dpctl::main()
}
