//! The network card of a guest.

use std::collections::BTreeSet;

use crate::{Netns, NicSim};

/// Where the card is on the guest's PCI bus.
pub const SLOT: &str = "0000:00:10.0";

/// A network card in the guest's slot, with what a test needs to know of it.
#[derive(Debug)]
pub struct Nic {
    /// The arguments by which QEMU puts it into [`SLOT`], and its wire if that is QEMU's.
    pub arguments: Vec<String>,
    /// The module that makes a network device of it.
    pub driver: &'static str,
    /// The device in the test's namespace that is the far end of its wire.
    pub far: String,
    /// Who plays the card, if that is not QEMU.
    player: Option<NicSim>,
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
            player: None,
        }
    }

    /// Our model of a ConnectX, played by `nic-sim`. The wire of its uplink ends in a new tap,
    /// `far`, in the namespace.
    pub fn connectx(netns: &Netns, far: &str) -> Nic {
        let mut nic = Nic::connectx_with(netns, &[&format!("pf0=tap:{far}")]);
        netns.ip(&format!("link set {far} up"));
        far.clone_into(&mut nic.far);
        nic
    }

    /// The same with these wires, as `nic-sim --wire` has them.
    pub fn connectx_with(netns: &Netns, wires: &[&str]) -> Nic {
        let player = NicSim::start(netns, wires);
        let socket = player.socket();
        Nic {
            arguments: vec![
                "-device".to_owned(),
                format!(
                    r#"{{"driver":"vfio-user-pci","socket":{{"type":"unix","path":"{socket}"}},"bus":"pcie.0","addr":"10.0"}}"#
                ),
            ],
            driver: "mlx5_core",
            far: String::new(),
            player: Some(player),
        }
    }

    /// What the card had to refuse, or could only shrug at: commands with the check that they did
    /// not pass, and other lines of `nic-sim --trace`. A card of QEMU's does not tell.
    pub fn complaints(&self) -> Vec<String> {
        let Some(player) = &self.player else {
            return Vec::new();
        };
        let usual = |line: &&str| line.starts_with("# event ") || *line == "# reset";
        let trace = player.trace();
        let lines = trace.lines();
        let bad = lines.filter(|line| line.starts_with("# ") || line.contains(" syndrome="));
        bad.filter(|line| !usual(line)).map(str::to_owned).collect()
    }

    /// The names of the commands and events that passed between the card and its driver. A card of
    /// QEMU's does not tell.
    pub fn vocabulary(&self) -> BTreeSet<String> {
        let trace = self.player.as_ref().map(NicSim::trace);
        let trace = trace.unwrap_or_default();
        let name = |line: &str| {
            let event = line.strip_prefix("# event ");
            let word = event.unwrap_or(line).split(' ').next()?.to_owned();
            (event.is_some() || line.contains(" op_mod=")).then_some(word)
        };
        trace.lines().filter_map(name).collect()
    }
}
