//! The same NIC behind a socket: the driver cannot tell.

use clock::Clock;
use hal::pci::{HandedOver, PciError, PciFunction, VfioUser};
use hal_mlx::{Function, MlxError, Patience, Teardown};
use hal_sim::connectx::{ConnectX, ConnectXSettings};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Serves a NIC on a socket until the test ends.
fn serve(path: &Path) -> Arc<ConnectX> {
    let nic = ConnectX::open("nic0", ConnectXSettings::default(), Clock::real()).unwrap();
    let (served, socket) = (nic.clone(), path.to_owned());
    std::thread::spawn(move || hal_sim::serve(&socket, served));
    nic
}

fn connect(path: &Path) -> PciFunction {
    let clock = Clock::real();
    for _ in 0..1000 {
        match VfioUser::connect(path) {
            Ok(way) => return PciFunction::open(way).unwrap(),
            Err(_) => clock.pause_thread(Duration::from_millis(10)),
        }
    }
    panic!("nobody serves {}", path.display());
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let clock = Clock::real();
    for _ in 0..3000 {
        if holds() {
            return;
        }
        clock.pause_thread(Duration::from_millis(10));
    }
    panic!("never: {what}");
}

#[test]
fn a_function_comes_up_over_a_socket_and_is_reset_when_its_driver_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nic.sock");
    let nic = serve(&path);
    let patience = Patience::real(Clock::real());
    let device = connect(&path);
    assert_eq!(device.ids().unwrap(), (0x15b3, 0x101d));
    let mut function = Function::boot(&device, &patience).unwrap();
    function.init().unwrap();
    assert!(nic.pages() > 0);
    function.close(Teardown::Orderly).unwrap();
    assert_eq!(nic.pages(), 0);

    // A driver that just goes: the device is reset, and there for the next one.
    let mut function = Function::boot(&device, &patience).unwrap();
    function.init().unwrap();
    std::mem::forget(function);
    // Memory that is mapped keeps the way open, and there is more of it than we know of: the
    // socket itself has to go.
    let HandedOver::Descriptors(sockets) = device.hand_over().unwrap().way else {
        panic!("a socket");
    };
    rustix::net::shutdown(&sockets[0], rustix::net::Shutdown::Both).unwrap();
    eventually("the device is reset", || nic.pages() == 0);
    let gone = device.reset().unwrap_err();
    assert!(matches!(gone, PciError::Gone { .. }), "{gone}");
    let device = connect(&path);
    Function::boot(&device, &patience).unwrap().init().unwrap();
}

#[test]
fn a_connection_changes_hands_and_nothing_is_reset() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nic.sock");
    let nic = serve(&path);
    let device = connect(&path);
    let mut function = Function::boot(&device, &Patience::real(Clock::real())).unwrap();
    function.init().unwrap();
    let pages = nic.pages();
    let handover = device.hand_over().unwrap();
    let HandedOver::Descriptors(mut sockets) = handover.way else {
        panic!("a socket");
    };
    let way = VfioUser::adopt(&handover.address, sockets.remove(0)).unwrap();
    let adopted = PciFunction::adopt(way, handover.regions).unwrap();
    assert_eq!(adopted.ids().unwrap(), (0x15b3, 0x101d));
    assert_eq!(nic.pages(), pages);
    assert!(!adopted.dma_labelled("command queue").is_empty());
    std::mem::forget(function);
}

#[test]
fn a_server_that_is_not_there_is_told_of_with_what_to_do() {
    let refused = VfioUser::connect(Path::new("/nonexistent/nic.sock"))
        .err()
        .unwrap();
    let said = MlxError::from(refused).to_string();
    assert!(
        said.starts_with("vfio-user:/nonexistent/nic.sock: "),
        "{said}"
    );
    assert!(said.contains("nic-sim"), "{said}");
}
