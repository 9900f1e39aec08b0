//! What a datapath does with a packet.

use crate::{DpPort, RecircId};
use packet::FieldId;

/// One step. Steps are carried out in order; a list without any drops the packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send a copy out of a port.
    Output(DpPort),
    /// Write the bits of a field that `mask` names. A packet without the field is left alone.
    Set {
        /// A field of the packet, or its mark or priority.
        field: FieldId,
        /// New bits, none outside the mask.
        value: u128,
        /// Which bits.
        mask: u128,
    },
    /// Put a VLAN tag on.
    PushVlan {
        /// 0x8100 or 0x88a8.
        tpid: u16,
        /// Priority and VLAN, with the "present" bit.
        tci: u16,
    },
    /// Take the outermost VLAN tag off.
    PopVlan,
    /// Put an MPLS label on.
    PushMpls {
        /// 0x8847 or 0x8848.
        ethertype: u16,
        /// Label, traffic class, bottom of stack, time to live.
        lse: u32,
    },
    /// Take the outermost MPLS label off.
    PopMpls {
        /// The Ethernet type afterwards.
        ethertype: u16,
    },
    /// Compute a hash of the packet into `dp_hash`.
    Hash {
        /// What is hashed, and how.
        algorithm: HashAlgorithm,
        /// Mixed in.
        basis: u32,
    },
    /// Look the packet up anew, with this recirculation id. Nothing follows it in a list.
    Recirc(RecircId),
    /// Hand a copy to user space.
    Userspace(UserCookie),
    /// Cut the copy that the next output sends to at most so many bytes (at least 14).
    Truncate(u32),
    /// Do these steps on a copy; what follows sees the packet as it was.
    Clone(Vec<Action>),
    /// Do these steps on a copy of some packets: `probability` out of 2^32-1.
    Sample {
        /// 0 = never, `u32::MAX` = always.
        probability: u32,
        /// The steps.
        actions: Vec<Action>,
    },
}

impl Action {
    /// The step's name as `dpctl/dump-flows` and capabilities know it.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Output(_) => "output",
            Action::Set { .. } => "set",
            Action::PushVlan { .. } => "push_vlan",
            Action::PopVlan => "pop_vlan",
            Action::PushMpls { .. } => "push_mpls",
            Action::PopMpls { .. } => "pop_mpls",
            Action::Hash { .. } => "hash",
            Action::Recirc(_) => "recirc",
            Action::Userspace(_) => "userspace",
            Action::Truncate(_) => "trunc",
            Action::Clone(_) => "clone",
            Action::Sample { .. } => "sample",
        }
    }
}

/// How [`Action::Hash`] hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// Layer 4: addresses, protocol and ports.
    L4,
    /// The same with source and destination interchangeable.
    SymL4,
}

/// Why the daemon wants to see every packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum SlowPath {
    Cfm,
    Bfd,
    Lacp,
    Stp,
    Lldp,
    /// The datapath cannot do what the actions say.
    Action,
    /// The key cannot say all that translation looked at.
    Match,
}

impl SlowPath {
    /// The name in datapath text.
    pub fn name(self) -> &'static str {
        match self {
            SlowPath::Cfm => "cfm",
            SlowPath::Bfd => "bfd",
            SlowPath::Lacp => "lacp",
            SlowPath::Stp => "stp",
            SlowPath::Lldp => "lldp",
            SlowPath::Action => "action",
            SlowPath::Match => "match",
        }
    }

    /// What the packets do that brings them there, for people.
    pub fn explanation(self) -> &'static str {
        match self {
            SlowPath::Cfm => "Consists of CFM packets",
            SlowPath::Bfd => "Consists of BFD packets",
            SlowPath::Lacp => "Consists of LACP packets",
            SlowPath::Stp => "Consists of STP packets",
            SlowPath::Lldp => "Consists of LLDP packets",
            SlowPath::Action => "Uses action(s) not supported by datapath",
            SlowPath::Match => "Datapath can't match specifically enough",
        }
    }
}

/// What comes back with a packet that [`Action::Userspace`] handed over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum UserCookie {
    /// Translate and execute each packet in the daemon.
    SlowPath(SlowPath),
    /// Send the packet to OpenFlow controllers.
    Controller(ControllerCookie),
}

/// The particulars of a packet-in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ControllerCookie {
    /// OpenFlow's `ofp_packet_in_reason`.
    pub reason: u8,
    /// Restores the pipeline's state as of the action.
    pub recirc_id: RecircId,
    /// The rule's cookie, all ones if there was none.
    pub rule_cookie: u64,
    /// Which controllers (Nicira's controller id).
    pub controller_id: u16,
    /// How many bytes of the packet.
    pub max_len: u16,
}
