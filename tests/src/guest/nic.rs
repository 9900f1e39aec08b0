//! The network card of a guest.

use crate::Netns;

/// Where the card is on the guest's PCI bus.
pub const SLOT: &str = "0000:00:10.0";

/// A network card in the guest's slot, with what a test needs to know of it.
#[derive(Debug, Clone)]
pub struct Nic {
    /// The arguments by which QEMU puts it into [`SLOT`], and its wire if that is QEMU's.
    pub arguments: Vec<String>,
    /// The module that makes a network device of it.
    pub driver: &'static str,
    /// The device in the test's namespace that is the far end of its wire.
    pub far: String,
}

impl Nic {
    /// Intel's 82574L as QEMU emulates it. Its wire ends in a new tap, `far`, in the namespace.
    pub fn e1000e(netns: &Netns, far: &str) -> Nic {
        netns.ip(&format!("tuntap add {far} mode tap"));
        netns.ip(&format!("link set {far} up"));
        Nic {
            arguments: [
                "-netdev",
                &format!("tap,id=wire,ifname={far},script=no,downscript=no"),
                "-device",
                // No option ROM: nothing boots from it.
                r#"{"driver":"e1000e","netdev":"wire","bus":"pcie.0","addr":"10.0","romfile":""}"#,
            ]
            .map(str::to_owned)
            .to_vec(),
            driver: "e1000e",
            far: far.to_owned(),
        }
    }
}
