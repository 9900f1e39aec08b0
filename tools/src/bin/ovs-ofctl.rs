//! `ovs-ofctl`: looks into OpenFlow switches and changes them.

fn main() -> std::process::ExitCode {
    let code = tools::ofctl::main(std::env::args().skip(1).collect());
    daemon::out::flush();
    code
}
