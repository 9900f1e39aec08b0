//! Packets between a guest and the far end of its wire.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::thread;

use super::{Guest, Nic, SLOT};
use crate::Netns;
use crate::run::run;

/// The far end's address.
pub const FAR: &str = "10.11.12.1";
/// The guest's address.
pub const NEAR: &str = "10.11.12.2";

/// Loads the driver of the card, gives both ends of its wire their addresses, and waits for the
/// link. Returns the name of the guest's network device.
#[track_caller]
pub fn bring_up(guest: &Guest, netns: &Netns, nic: &Nic) -> String {
    netns.ip(&format!("addr add {FAR}/24 dev {}", nic.far));
    guest.insert(nic.driver);
    set_up(guest)
}

/// Gives the guest's network device its address, if it does not have it, and waits for the link.
/// Returns the device's name.
#[track_caller]
pub fn set_up(guest: &Guest) -> String {
    // A driver may finish its work after insmod has returned.
    let script = format!(
        "cd /sys/bus/pci/devices/{SLOT}
        until [ -d net ]; do usleep 50000; done
        device=$(ls net)
        ip addr replace {NEAR}/24 dev $device
        ip link set $device up
        until [ \"$(cat net/$device/carrier)\" = 1 ]; do usleep 50000; done
        echo $device"
    );
    guest.run(&script).ok().trim().to_owned()
}

/// Pings from each end to the other.
#[track_caller]
pub fn ping(guest: &Guest, netns: &Netns) {
    guest.run(&format!("ping -c 3 -W 20 {FAR}")).ok();
    run(netns.command("ping").args(["-c", "3", "-W", "20", NEAR])).ok();
}

/// Copies a file of this many random bytes into the guest and back over TCP: the guest's sum of it
/// must be ours, and what comes back must be what went.
#[track_caller]
pub fn copy_file(guest: &Guest, netns: &Netns, bytes: usize) {
    let mut file = vec![0; bytes];
    fastrand::Rng::with_seed(1).fill(&mut file);
    let address: SocketAddr = format!("{FAR}:7003").parse().expect("an address");
    let listener = netns
        .enter(|| TcpListener::bind(address))
        .expect("a listening socket");
    let sent = file.clone();
    // Waited for only when the guest has done its part.
    let peer = thread::spawn(move || -> std::io::Result<Vec<u8>> {
        listener.accept()?.0.write_all(&sent)?;
        let mut back = Vec::new();
        listener.accept()?.0.read_to_end(&mut back)?;
        Ok(back)
    });
    let nc = format!("nc {FAR} {}", address.port());
    let there = format!("{nc} </dev/null >/run/file && sha256sum </run/file");
    let sum = guest.run(&there).ok();
    guest.run(&format!("{nc} </run/file")).ok();
    let back = peer.join().expect("the peer").expect("two connections");
    assert_eq!(sum.split_whitespace().next(), Some(&*sha256(&file)));
    assert!(
        back == file,
        "other bytes came back, {} of them",
        back.len()
    );
}

fn sha256(data: &[u8]) -> String {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(data).expect("room for the file");
    let sum = run(Command::new("sha256sum").arg(file.path())).ok();
    sum.split_whitespace().next().unwrap_or_default().to_owned()
}
