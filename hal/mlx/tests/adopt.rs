//! A NIC changes hands: its owner gives another process the descriptors and is killed, and the NIC
//! goes on with its rules. Without that, it is reset.

use clock::Clock;
use hal::pci::{HandedOver, Handover, HandoverRegion, Iova, PciFunction, VfioUser};
use hal::{DpPort, FlowDevice, Outcome, RuleKey, RuleOp};
use hal_mlx::{MlxDevice, Patience};
use hal_sim::connectx::{ConnectX, ConnectXSettings};
use hal_sim::{MemoryWire, contract};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use std::io::{IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// In the owner's environment: the folder with the sockets.
const FOLDER: &str = "HALYARD_ADOPT_FOLDER";
const MOST_DESCRIPTORS: usize = 128;

/// Gives all of it to whoever listens: what it is, in JSON, with the descriptors.
fn send(to: &UnixStream, handover: &Handover) {
    let HandedOver::Descriptors(way) = &handover.way else {
        panic!("descriptors");
    };
    let regions = handover.regions.iter();
    let told: Vec<_> = regions
        .clone()
        .map(|r| (r.label.clone(), r.at.0, r.len))
        .collect();
    let told = serde_json::to_vec(&(&handover.address, way.len(), told)).unwrap();
    let fds: Vec<BorrowedFd<'_>> = way
        .iter()
        .map(AsFd::as_fd)
        .chain(regions.map(|r| r.fd.as_fd()))
        .collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
    let sent = sendmsg(
        to,
        &[IoSlice::new(&told)],
        &mut ancillary,
        SendFlags::empty(),
    );
    assert_eq!(sent.unwrap(), told.len());
}

fn receive(from: &UnixStream) -> Handover {
    let mut bytes = vec![0; 1 << 16];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let got = recvmsg(from, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap();
    let mut fds: Vec<OwnedFd> = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    type Told = (String, usize, Vec<(String, u64, usize)>);
    let (address, ways, regions): Told = serde_json::from_slice(&bytes[..got.bytes]).unwrap();
    let memory = fds.split_off(ways);
    assert_eq!(memory.len(), regions.len());
    let regions = regions.into_iter().zip(memory);
    Handover {
        address,
        way: HandedOver::Descriptors(fds),
        regions: regions
            .map(|((label, at, len), fd)| HandoverRegion {
                label,
                at: Iova(at),
                fd,
                len,
            })
            .collect(),
    }
}

/// The owner: has a rule in the NIC, gives everything away, and waits to be killed.
fn own(folder: &Path) {
    let function = PciFunction::open(VfioUser::connect(&folder.join("nic")).unwrap()).unwrap();
    let clock = Clock::real();
    let same = function.clone();
    let opener = Box::new(move || Ok(same.clone()));
    let patience = Patience::real(clock.clone());
    let mut nic = MlxDevice::open("nic", opener, patience, None).unwrap();
    let mut ports = Vec::new();
    for (n, name) in ["pf0", "vf0"].into_iter().enumerate() {
        ports.push(nic.open_port(name, None).unwrap());
        nic.bind_port(name, Some(DpPort(n as u32 + 1)));
    }
    let rule = contract::rule(7, 1);
    let key = RuleKey(1);
    nic.submit(RuleOp::Add { key, rule }).unwrap();
    let mut done = Vec::new();
    while done.is_empty() {
        nic.poll(&mut done).unwrap();
        clock.pause_thread(Duration::from_millis(1));
    }
    assert!(matches!(done[0].outcome, Outcome::Installed(_)), "{done:?}");
    let mut parent = UnixStream::connect(folder.join("parent")).unwrap();
    send(&parent, &function.hand_over().unwrap());
    // Nobody writes.
    let _ = parent.read(&mut [0]);
}

struct Bench {
    nic: Arc<ConnectX>,
    near: MemoryWire,
    far: MemoryWire,
    clock: Clock,
    folder: tempfile::TempDir,
}

impl Bench {
    /// A NIC behind a socket, and its owner in another process; what the owner gave.
    fn new() -> (Bench, Child, Handover) {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::real();
        let nic = ConnectX::open("nic", ConnectXSettings::default(), clock.clone()).unwrap();
        let name = |end: &str| format!("adopt-{}-{end}", folder.path().display());
        let (near, far) = (
            MemoryWire::new(&name("near")),
            MemoryWire::new(&name("far")),
        );
        nic.connect("pf0", &format!("memory:{}", name("near")))
            .unwrap();
        nic.connect("vf0", &format!("memory:{}", name("far")))
            .unwrap();
        let (served, socket) = (nic.clone(), folder.path().join("nic"));
        let listener = hal_sim::listen(&socket).unwrap();
        std::thread::spawn(move || hal_sim::serve_on(listener, served));
        let listener = UnixListener::bind(folder.path().join("parent")).unwrap();
        let owner = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_nic_changes_hands_and_keeps_its_rules",
                "--nocapture",
            ])
            .env(FOLDER, folder.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let (stream, _) = listener.accept().unwrap();
        let handover = receive(&stream);
        // It waits for a word from us.
        std::mem::forget(stream);
        let bench = Bench {
            nic,
            near,
            far,
            clock,
            folder,
        };
        (bench, owner, handover)
    }

    /// Whether a frame that the rule matches gets through.
    fn forwards(&self) -> bool {
        assert!(self.near.send(contract::frame(7)));
        (0..500).any(|_| {
            self.clock.pause_thread(Duration::from_millis(1));
            self.far.receive().is_some()
        })
    }

    fn eventually(&self, what: &str, holds: impl Fn() -> bool) {
        for _ in 0..3000 {
            if holds() {
                return;
            }
            self.clock.pause_thread(Duration::from_millis(10));
        }
        panic!("never: {what}");
    }
}

#[test]
fn a_nic_changes_hands_and_keeps_its_rules() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return own(Path::new(&folder));
    }
    let (bench, mut owner, handover) = Bench::new();
    assert!(bench.forwards());
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert!(bench.forwards());

    let HandedOver::Descriptors(mut way) = handover.way else {
        panic!("descriptors");
    };
    let way = VfioUser::adopt(&handover.address, way.remove(0)).unwrap();
    let function = PciFunction::adopt(way, handover.regions).unwrap();
    assert_eq!(function.ids().unwrap(), (0x15b3, 0x101d));
    let queue = function.dma_labelled("command queue");
    let queue = function.claim_dma("command queue", queue[0]).unwrap();
    assert!(bench.forwards());
    let pages = bench.nic.pages();
    assert!(pages > 0);

    drop(queue);
    drop(function);
    bench.eventually("the NIC is reset", || bench.nic.pages() == 0);
    assert!(!bench.forwards());
    assert!(bench.folder.path().exists());
}

#[test]
fn a_nic_whose_owner_is_killed_is_reset_if_nobody_has_it() {
    let (bench, mut owner, handover) = Bench::new();
    drop(handover);
    assert!(bench.forwards());
    owner.kill().unwrap();
    owner.wait().unwrap();
    bench.eventually("the NIC is reset", || bench.nic.pages() == 0);
    assert!(!bench.forwards());
}
