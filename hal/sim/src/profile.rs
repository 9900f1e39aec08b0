//! What kinds of NIC there are, as data.

use hal::{Capabilities, FieldSet, TableCapabilities};
use packet::FieldId;
use serde::Deserialize;

/// A kind of NIC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// All that the software cache matches and does, except what only software can know: packets
    /// for user space, sampling, and a packet's hash.
    #[default]
    Full,
    /// Layers 2 to 4, VLAN tags, rewriting of Ethernet and IPv4 addresses; one stage.
    Basic,
    /// Whole Ethernet headers, one step.
    Tiny,
}

/// Fields that can be written.
const WRITABLE: [FieldId; 35] = {
    use FieldId::*;
    [
        PktMark,
        SkbPriority,
        EthSrc,
        EthDst,
        MplsLabel,
        MplsTc,
        MplsBos,
        MplsTtl,
        Ipv4Src,
        Ipv4Dst,
        Ipv6Src,
        Ipv6Dst,
        Ipv6Label,
        IpDscp,
        IpEcn,
        IpTtl,
        ArpOp,
        ArpSpa,
        ArpTpa,
        ArpSha,
        ArpTha,
        TcpSrc,
        TcpDst,
        UdpSrc,
        UdpDst,
        SctpSrc,
        SctpDst,
        Icmpv4Type,
        Icmpv4Code,
        Icmpv6Type,
        Icmpv6Code,
        NdTarget,
        NdSll,
        NdTll,
        NdReserved,
    ]
};

impl Profile {
    /// What a NIC of this kind can do. `rules` and `inserts_per_second` are as in the settings.
    pub fn capabilities(self, rules: Option<usize>, inserts_per_second: u64) -> Capabilities {
        let (tables, default_rules, resume_bits) = match self {
            Profile::Full => (vec![full(), full()], 1 << 16, 32),
            Profile::Basic => (vec![basic()], 1 << 14, 0),
            Profile::Tiny => (vec![tiny()], 64, 0),
        };
        Capabilities {
            tables,
            rules: rules.unwrap_or(default_rules),
            queue: 1024,
            inserts_per_second,
            resume_bits,
        }
    }
}

fn full() -> TableCapabilities {
    let all = FieldId::of_packets().filter(|f| {
        use FieldId::*;
        !matches!(
            f,
            // The stage is not a match, the hash is not there; the rest are second names.
            RecircId | DpHash | InPortOxm | IpDscpShifted | DlVlan | VlanVid | DlVlanPcp | VlanPcp
        )
    });
    let match_masked: FieldSet = all.collect();
    TableCapabilities {
        match_exact: match_masked.clone(),
        match_masked,
        actions: [
            "output",
            "set",
            "push_vlan",
            "pop_vlan",
            "push_mpls",
            "pop_mpls",
            "recirc",
            "trunc",
            "clone",
        ]
        .into(),
        set: WRITABLE.into(),
        set_masked: WRITABLE.into(),
        max_actions: 256,
        single_form: false,
    }
}

fn basic() -> TableCapabilities {
    use FieldId::*;
    let masked: FieldSet = [
        EthSrc, EthDst, VlanTci, Ipv4Src, Ipv4Dst, Ipv6Src, Ipv6Dst, IpFrag, TcpSrc, TcpDst,
        UdpSrc, UdpDst, SctpSrc, SctpDst,
    ]
    .into();
    let whole: FieldSet = [
        PacketType, InPort, EthType, VlanTpid, IpProto, IpDscp, IpEcn, IpTtl,
    ]
    .into();
    TableCapabilities {
        match_exact: &masked | &whole,
        match_masked: masked,
        actions: ["output", "set", "push_vlan", "pop_vlan"].into(),
        set: [EthSrc, EthDst, Ipv4Src, Ipv4Dst].into(),
        set_masked: FieldSet::new(),
        max_actions: 16,
        single_form: false,
    }
}

fn tiny() -> TableCapabilities {
    use FieldId::*;
    TableCapabilities {
        match_exact: [PacketType, InPort, EthSrc, EthDst, EthType, VlanTci, IpFrag].into(),
        match_masked: FieldSet::new(),
        actions: ["output"].into(),
        set: FieldSet::new(),
        set_masked: FieldSet::new(),
        max_actions: 1,
        single_form: false,
    }
}
