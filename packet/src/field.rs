//! The field table's vocabulary: what one row says.

use crate::layout::Slot;

/// Which key type holds a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A datapath can match it: it is part of [`PacketKey`](crate::PacketKey).
    Packet,
    /// Only the OpenFlow pipeline has it: part of [`FlowState`](crate::FlowState) alone.
    State,
}

/// How a field may be masked in a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maskable {
    /// Any bits.
    Bitwise,
    /// All or nothing.
    No,
}

/// How people read and write a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Format {
    Decimal,
    Hexadecimal,
    Ethernet,
    Ipv4,
    Ipv6,
    /// `trk|est`, or `+trk-est` with a mask.
    CtState,
    /// `no`, `yes`, `first`, `later`, `not_later`.
    Frag,
    /// `oam`.
    TunnelFlags,
    /// `+syn-ack`.
    TcpFlags,
    /// A 16-bit port number or reserved name.
    OfPort10,
    /// A 32-bit port number or reserved name.
    OfPort11,
    /// `(ns,ns_type)`.
    PacketType,
}

/// What must already be matched for a field to have meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Prereq {
    None,
    Ethernet,
    Arp,
    VlanVid,
    Ipv4,
    Ipv6,
    /// IPv4 or IPv6.
    Ip,
    Mpls,
    Nsh,
    /// Connection tracking knows the packet (`ct_state` has `trk`).
    Ct,
    Tcp,
    Udp,
    Sctp,
    Icmpv4,
    Icmpv6,
    /// Neighbour discovery.
    Nd,
    NdSolicit,
    NdAdvert,
}

/// An OXM or NXM class (OpenFlow 1.5.1 §7.2.3.2) with the experimenter, where the class has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum OxmClass {
    /// 0x0000: OpenFlow fields in Nicira's extended match.
    NxmOf,
    /// 0x0001: Nicira's own.
    NxmNx,
    /// 0x1000: ND reserved word and option type.
    Ericsson,
    /// 0x8000: OpenFlow basic.
    Basic,
    /// 0x8001: packet registers.
    PacketRegs,
    /// 0xffff, experimenter 0x00002320.
    Nicira,
    /// 0xffff, experimenter 0x4f4e4600.
    Onf,
    /// 0xffff, experimenter 0x005ad650.
    Nsh,
}

impl OxmClass {
    /// The class number on the wire.
    pub const fn class(self) -> u16 {
        match self {
            OxmClass::NxmOf => 0x0000,
            OxmClass::NxmNx => 0x0001,
            OxmClass::Ericsson => 0x1000,
            OxmClass::Basic => 0x8000,
            OxmClass::PacketRegs => 0x8001,
            OxmClass::Nicira | OxmClass::Onf | OxmClass::Nsh => 0xffff,
        }
    }

    /// The experimenter that follows the header, for the experimenter classes.
    pub const fn experimenter(self) -> Option<u32> {
        match self {
            OxmClass::Nicira => Some(0x0000_2320),
            OxmClass::Onf => Some(0x4f4e_4600),
            OxmClass::Nsh => Some(0x005a_d650),
            _ => None,
        }
    }
}

/// The first protocol version in which a number may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Since {
    /// Nicira's extended match: OpenFlow 1.0 on.
    Of10,
    Of12,
    Of13,
    Of15,
}

/// One wire number of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oxm {
    /// The number space.
    pub class: OxmClass,
    /// The number in it, 0 to 127.
    pub number: u8,
    /// From which protocol version on.
    pub since: Since,
}

/// The attribute under which datapath text (`dpctl/dump-flows`) shows a field, with the member's
/// name inside it (empty where the attribute is the value itself).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OdpAttr {
    /// For example `ipv4`.
    pub attr: &'static str,
    /// For example `src`.
    pub member: &'static str,
}

/// One row of the field table.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name that is printed.
    pub name: &'static str,
    /// Another name that is understood.
    pub alias: Option<&'static str>,
    /// Significant bits.
    pub bits: u8,
    /// Bytes on the wire.
    pub bytes: u8,
    /// How it may be masked.
    pub maskable: Maskable,
    /// How it is read and written by people.
    pub format: Format,
    /// What must be matched first.
    pub prereq: Prereq,
    /// Whether actions may write it.
    pub writable: bool,
    /// Which key type holds it.
    pub owner: Owner,
    /// Where.
    pub slot: Slot,
    /// How far the value stands to the left in the slot (DSCP in the type-of-service byte: 2).
    pub shift: u8,
    /// Nicira's number, where it has one.
    pub nxm: Option<Oxm>,
    /// OXM's number, where it has one.
    pub oxm: Option<Oxm>,
    /// Where datapath text shows it.
    pub odp: Option<OdpAttr>,
    /// The bit of a device's capability set that says it can match this field: the index of the
    /// row that owns the same bits of the packet.
    pub capability: u8,
}
