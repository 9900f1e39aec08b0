//! Actions and instructions, in one list as a flow has them.
//!
//! * [`decode`](mod@decode), [`encode`](mod@encode): the wire forms of each version.
//! * [`check`](mod@check): whether a list makes sense behind a match.
//! * [`instructions`]: how OpenFlow 1.1 and later group them.
//!
//! Some actions remember the form in which they came (a `load` and a `set_field` do the same),
//! so that what a controller reads back is what it wrote.

pub mod check;
pub mod decode;
pub mod encode;
pub mod instructions;
mod learn_wire;
mod nested_wire;
mod raw;

use crate::port::OfPort;
use packet::FieldId;

/// A range of bits of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subfield {
    /// The field.
    pub field: FieldId,
    /// The lowest bit, counted from the least significant.
    pub ofs: u8,
    /// How many bits, 1 to 128.
    pub bits: u8,
}

impl Subfield {
    /// All of a field.
    pub fn whole(field: FieldId) -> Subfield {
        Subfield {
            field,
            ofs: 0,
            bits: field.row().bits,
        }
    }

    /// The bits as a mask over the field.
    pub fn mask(self) -> u128 {
        low_bits(self.bits)
            .checked_shl(u32::from(self.ofs))
            .unwrap_or(0)
    }

    /// Whether it is all of its field.
    pub fn is_whole(self) -> bool {
        self.ofs == 0 && self.bits == self.field.row().bits
    }
}

/// A number whose low `n` bits are set.
pub(crate) fn low_bits(n: u8) -> u128 {
    if n >= 128 {
        u128::MAX
    } else {
        (1u128 << n) - 1
    }
}

/// Where a packet meets the controller from and what comes with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Controller {
    /// Bytes of the packet to send; 0xffff = all.
    pub max_len: u16,
    /// OFPR_*: 0 no match, 1 action, 2 invalid TTL...
    pub reason: u8,
    /// Which controllers: 0 unless they chose another id.
    pub id: u16,
    /// Carried along.
    pub userdata: Vec<u8>,
    /// Stop here until the controller resumes the packet.
    pub pause: bool,
    /// 0 = none.
    pub meter: u32,
    /// It came in the second wire form, which has room for all of this.
    pub second: bool,
}

impl Default for Controller {
    fn default() -> Controller {
        Controller {
            max_len: u16::MAX,
            reason: 1,
            id: 0,
            userdata: Vec::new(),
            pause: false,
            meter: 0,
            second: false,
        }
    }
}

/// How a [`Action::SetField`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetForm {
    /// `set_field:` (OXM).
    SetField,
    /// `load:` (Nicira's NXAST_REG_LOAD).
    Load,
    /// NXAST_REG_LOAD2, which text writes as `set_field:`.
    Load2,
}

/// What `ct` translates addresses with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Nat {
    /// `NX_NAT_F_*`: 1 src, 2 dst, 4 persistent, 8 hash, 16 random.
    pub flags: u16,
    /// IPv4 or IPv6 addresses, first and (if a range) last.
    pub addrs: Option<NatAddrs>,
    /// Ports, first and (if a range) last.
    pub ports: Option<(u16, Option<u16>)>,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum NatAddrs {
    V4(std::net::Ipv4Addr, Option<std::net::Ipv4Addr>),
    V6(std::net::Ipv6Addr, Option<std::net::Ipv6Addr>),
}

/// A zone given as a number or read from a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ZoneSource {
    Number(u16),
    Field(Subfield),
}

/// Connection tracking.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ct {
    /// `NX_CT_F_*`: 1 commit, 2 force.
    pub flags: u16,
    /// The zone.
    pub zone: ZoneSource,
    /// Where the packet goes on once tracked; `None` = it does not.
    pub table: Option<u8>,
    /// The port of the helper: 21 ftp, 69 tftp, 0 none.
    pub alg: u16,
    /// NAT and settings of mark and label.
    pub actions: Vec<Action>,
}

/// What a learned flow has in one place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LearnSpec {
    /// Bits.
    pub bits: u8,
    /// Where they come from.
    pub src: LearnSource,
    /// Where they go.
    pub dst: LearnTarget,
}

/// Where a learned flow's bits come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum LearnSource {
    Field(Subfield),
    Value(u128),
}

/// Where a learned flow's bits go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum LearnTarget {
    Match(Subfield),
    Load(Subfield),
    Output,
}

/// Makes flows out of packets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Learn {
    /// Seconds.
    pub idle_timeout: u16,
    /// Seconds.
    pub hard_timeout: u16,
    /// Of the learned flow.
    pub priority: u16,
    /// Of the learned flow.
    pub cookie: u64,
    /// `NX_LEARN_F_*`: 1 send_flow_rem, 2 delete_learned, 4 write_result.
    pub flags: u16,
    /// Into which table.
    pub table: u8,
    /// Seconds of idling after a FIN.
    pub fin_idle_timeout: u16,
    /// Seconds of life after a FIN.
    pub fin_hard_timeout: u16,
    /// Most flows with this cookie; 0 = any number.
    pub limit: u32,
    /// The bit that tells whether it worked, with flag 4.
    pub result: Option<Subfield>,
    /// The parts.
    pub specs: Vec<LearnSpec>,
    /// It came in the second wire form, which has room for limit and result.
    pub second: bool,
}

/// Fields over which `bundle` and `multipath` hash (`NX_HASH_FIELDS_*`, the wire's numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
#[repr(u16)]
pub enum HashFields {
    EthSrc = 0,
    SymmetricL4 = 1,
    SymmetricL3L4 = 2,
    SymmetricL3L4Udp = 3,
    NwSrc = 4,
    NwDst = 5,
    SymmetricL3 = 6,
}

impl HashFields {
    /// All, in the wire's order.
    pub const ALL: [(HashFields, &str); 7] = [
        (HashFields::EthSrc, "eth_src"),
        (HashFields::SymmetricL4, "symmetric_l4"),
        (HashFields::SymmetricL3L4, "symmetric_l3l4"),
        (HashFields::SymmetricL3L4Udp, "symmetric_l3l4+udp"),
        (HashFields::NwSrc, "nw_src"),
        (HashFields::NwDst, "nw_dst"),
        (HashFields::SymmetricL3, "symmetric_l3"),
    ];

    /// By the wire's number.
    pub fn from_wire(n: u16) -> Option<HashFields> {
        HashFields::ALL
            .iter()
            .map(|(f, _)| *f)
            .find(|f| *f as u16 == n)
    }

    /// The text's name.
    pub fn name(self) -> &'static str {
        HashFields::ALL
            .iter()
            .find(|(f, _)| *f == self)
            .map_or("", |(_, n)| n)
    }
}

/// Picks one of several ports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bundle {
    /// Hashed over.
    pub fields: HashFields,
    /// Mixed into the hash.
    pub basis: u16,
    /// Highest random weight, or else the first that is up.
    pub hrw: bool,
    /// Write the port there instead of sending.
    pub dst: Option<Subfield>,
    /// The ports.
    pub members: Vec<OfPort>,
}

/// Picks one of several links by hashing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Multipath {
    /// Hashed over.
    pub fields: HashFields,
    /// Mixed into the hash.
    pub basis: u16,
    /// 0 modulo_n, 1 hash_threshold, 2 hrw, 3 iter_hash.
    pub algorithm: u16,
    /// Number of links less one.
    pub max_link: u16,
    /// For iter_hash.
    pub arg: u32,
    /// Where the link's number goes.
    pub dst: Subfield,
}

/// A number or a field's bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum SampleId {
    Number(u32),
    Field(Subfield),
}

/// Which way a sampled packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum SampleDirection {
    Default,
    Ingress,
    Egress,
}

/// Samples packets to an IPFIX collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct Sample {
    pub probability: u16,
    pub collector_set: u32,
    pub obs_domain: SampleId,
    pub obs_point: SampleId,
    pub port: OfPort,
    pub direction: SampleDirection,
}

/// A property of a header to push.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum EncapProp {
    NshMdType(u8),
    NshTlv { class: u16, kind: u8, data: Vec<u8> },
}

/// One action or instruction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Action {
    /// To a port; `max_len` counts for the controller only.
    Output {
        port: OfPort,
        max_len: u16,
    },
    /// To the port whose number a field holds.
    OutputReg {
        src: Subfield,
        max_len: u16,
    },
    /// To a port, cut to a length.
    OutputTrunc {
        port: OfPort,
        max_len: u32,
    },
    Controller(Controller),
    Enqueue {
        port: OfPort,
        queue: u32,
    },
    Group(u32),
    Bundle(Bundle),
    /// Writes `mask`'s bits of a field. In `Load` form the bits are one range.
    SetField {
        field: FieldId,
        value: u128,
        mask: u128,
        form: SetForm,
    },
    /// OpenFlow 1.0's: adds a tag if there is none; 1.1's does not.
    SetVlanVid {
        vid: u16,
        push: bool,
        has_vlan: bool,
    },
    SetVlanPcp {
        pcp: u8,
        push: bool,
        has_vlan: bool,
    },
    /// `pop_vlan` in OpenFlow 1.1 and later.
    StripVlan {
        new_form: bool,
    },
    PushVlan {
        ethertype: u16,
    },
    SetEthSrc([u8; 6]),
    SetEthDst([u8; 6]),
    SetIpv4Src(std::net::Ipv4Addr),
    SetIpv4Dst(std::net::Ipv4Addr),
    /// The six bits of DSCP in the place that they have in the type of service.
    SetIpDscp(u8),
    SetIpEcn(u8),
    SetIpTtl(u8),
    /// `proto`: what the flow matches, once checked; 0 = none.
    SetL4SrcPort {
        port: u16,
        proto: u8,
    },
    SetL4DstPort {
        port: u16,
        proto: u8,
    },
    RegMove {
        src: Subfield,
        dst: Subfield,
    },
    StackPush(Subfield),
    StackPop(Subfield),
    /// Controllers to tell when the time to live is up; `None` = the plain form.
    DecTtl(Option<Vec<u16>>),
    SetMplsLabel(u32),
    SetMplsTc(u8),
    SetMplsTtl(u8),
    DecMplsTtl,
    PushMpls(u16),
    PopMpls(u16),
    DecNshTtl,
    DeleteField(FieldId),
    Encap {
        ethertype: u32,
        props: Vec<EncapProp>,
    },
    /// `None` = the outermost, whatever it is.
    Decap {
        packet_type: u32,
    },
    /// `wide`: the 64-bit form was used.
    SetTunnel {
        id: u64,
        wide: bool,
    },
    SetQueue(u32),
    PopQueue,
    FinTimeout {
        idle: u16,
        hard: u16,
    },
    /// `table` 255 = the current one.
    Resubmit {
        in_port: OfPort,
        table: u8,
        ct: bool,
        form: ResubmitForm,
    },
    Learn(Box<Learn>),
    Conjunction {
        id: u32,
        clause: u8,
        n_clauses: u8,
    },
    Multipath(Multipath),
    Note(Vec<u8>),
    Exit,
    Sample(Sample),
    Ct(Box<Ct>),
    CtClear,
    Nat(Nat),
    Clone(Vec<Action>),
    CheckPktLarger {
        len: u16,
        dst: Subfield,
    },
    DebugRecirc,
    DebugSlow,
    // Instructions, in the order in which they stand.
    Meter(u32),
    ClearActions,
    WriteActions(Vec<Action>),
    WriteMetadata {
        value: u64,
        mask: u64,
    },
    GotoTable(u8),
}

/// Which of its wire forms a resubmit had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ResubmitForm {
    /// `resubmit:PORT`.
    Port,
    /// `resubmit(PORT,TABLE)`.
    Table,
}

/// Where in OpenFlow 1.1's order of instructions an action stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Instruction {
    Meter,
    ApplyActions,
    ClearActions,
    WriteActions,
    WriteMetadata,
    GotoTable,
}

impl Instruction {
    /// The name in text.
    pub fn name(self) -> &'static str {
        match self {
            Instruction::Meter => "meter",
            Instruction::ApplyActions => "apply_actions",
            Instruction::ClearActions => "clear_actions",
            Instruction::WriteActions => "write_actions",
            Instruction::WriteMetadata => "write_metadata",
            Instruction::GotoTable => "goto_table",
        }
    }
}

impl Action {
    /// Which instruction it is or belongs to (as of OpenFlow 1.1 to 1.4).
    pub fn instruction(&self) -> Instruction {
        match self {
            Action::Meter(_) => Instruction::Meter,
            Action::ClearActions => Instruction::ClearActions,
            Action::WriteActions(_) => Instruction::WriteActions,
            Action::WriteMetadata { .. } => Instruction::WriteMetadata,
            Action::GotoTable(_) => Instruction::GotoTable,
            _ => Instruction::ApplyActions,
        }
    }

    /// The action's name in messages to people.
    pub fn name(&self) -> &'static str {
        use Action::*;
        match self {
            Output { .. } => "output",
            Group(_) => "group",
            Controller(_) => "controller",
            Enqueue { .. } => "enqueue",
            OutputReg { .. } => "output_reg",
            Bundle(_) => "bundle",
            SetField { .. } => "set_field",
            SetVlanVid { .. } => "set_vlan_vid",
            SetVlanPcp { .. } => "set_vlan_pcp",
            StripVlan { .. } => "strip_vlan",
            PushVlan { .. } => "push_vlan",
            SetEthSrc(_) => "mod_dl_src",
            SetEthDst(_) => "mod_dl_dst",
            SetIpv4Src(_) => "mod_nw_src",
            SetIpv4Dst(_) => "mod_nw_dst",
            SetIpDscp(_) => "mod_nw_tos",
            SetIpEcn(_) => "mod_nw_ecn",
            SetIpTtl(_) => "mod_nw_ttl",
            SetL4SrcPort { .. } => "mod_tp_src",
            SetL4DstPort { .. } => "mod_tp_dst",
            RegMove { .. } => "move",
            StackPush(_) => "push",
            StackPop(_) => "pop",
            DecTtl(_) => "dec_ttl",
            SetMplsLabel(_) => "set_mpls_label",
            SetMplsTc(_) => "set_mpls_tc",
            SetMplsTtl(_) => "set_mpls_ttl",
            DecMplsTtl => "dec_mpls_ttl",
            PushMpls(_) => "push_mpls",
            PopMpls(_) => "pop_mpls",
            DecNshTtl => "dec_nsh_ttl",
            DeleteField(_) => "delete_field",
            Encap { .. } => "encap",
            Decap { .. } => "decap",
            SetTunnel { .. } => "set_tunnel",
            SetQueue(_) => "set_queue",
            PopQueue => "pop_queue",
            FinTimeout { .. } => "fin_timeout",
            Resubmit { .. } => "resubmit",
            Learn(_) => "learn",
            Conjunction { .. } => "conjunction",
            Multipath(_) => "multipath",
            Note(_) => "note",
            Exit => "exit",
            Sample(_) => "sample",
            Ct(_) => "ct",
            CtClear => "ct_clear",
            Nat(_) => "nat",
            OutputTrunc { .. } => "output_trunc",
            Clone(_) => "clone",
            CheckPktLarger { .. } => "check_pkt_larger",
            DebugRecirc => "debug_recirc",
            DebugSlow => "debug_slow",
            Meter(_) => "meter",
            ClearActions => "clear_actions",
            WriteActions(_) => "write_actions",
            WriteMetadata { .. } => "write_metadata",
            GotoTable(_) => "goto_table",
        }
    }

    /// The same as a field setting, for those that are one: (field, value, mask).
    pub fn as_set_field(&self) -> Option<(FieldId, u128, u128)> {
        let full = |f: FieldId, v: u128| Some((f, v, f.full()));
        match self {
            Action::SetField {
                field, value, mask, ..
            } => Some((*field, *value, *mask)),
            Action::SetEthSrc(m) => full(FieldId::EthSrc, mac_value(m)),
            Action::SetEthDst(m) => full(FieldId::EthDst, mac_value(m)),
            Action::SetIpv4Src(a) => full(FieldId::Ipv4Src, u128::from(u32::from(*a))),
            Action::SetIpv4Dst(a) => full(FieldId::Ipv4Dst, u128::from(u32::from(*a))),
            Action::SetIpDscp(v) => full(FieldId::IpDscp, u128::from(*v)),
            Action::SetIpEcn(v) => full(FieldId::IpEcn, u128::from(*v)),
            Action::SetIpTtl(v) => full(FieldId::IpTtl, u128::from(*v)),
            Action::SetL4SrcPort { port, .. } => full(FieldId::TcpSrc, u128::from(*port)),
            Action::SetL4DstPort { port, .. } => full(FieldId::TcpDst, u128::from(*port)),
            Action::SetMplsLabel(v) => full(FieldId::MplsLabel, u128::from(*v)),
            Action::SetMplsTc(v) => full(FieldId::MplsTc, u128::from(*v)),
            Action::SetMplsTtl(v) => full(FieldId::MplsTtl, u128::from(*v)),
            Action::SetTunnel { id, .. } => full(FieldId::TunId, u128::from(*id)),
            Action::WriteMetadata { value, mask } => {
                Some((FieldId::Metadata, u128::from(*value), u128::from(*mask)))
            }
            _ => None,
        }
    }

    /// Whether the action sends the packet to `port`, directly or in nested actions.
    pub fn outputs_to(&self, port: OfPort) -> bool {
        match self {
            Action::Output { port: p, .. }
            | Action::OutputTrunc { port: p, .. }
            | Action::Enqueue { port: p, .. } => *p == port,
            Action::Controller(_) => port == OfPort::CONTROLLER,
            Action::WriteActions(a) | Action::Clone(a) => a.iter().any(|a| a.outputs_to(port)),
            Action::Ct(ct) => ct.actions.iter().any(|a| a.outputs_to(port)),
            _ => false,
        }
    }

    /// Whether the action uses group `group`, directly or in nested actions.
    pub fn uses_group(&self, group: u32) -> bool {
        match self {
            Action::Group(g) => *g == group,
            Action::WriteActions(a) | Action::Clone(a) => a.iter().any(|a| a.uses_group(group)),
            Action::Ct(ct) => ct.actions.iter().any(|a| a.uses_group(group)),
            _ => false,
        }
    }
}

fn mac_value(m: &[u8; 6]) -> u128 {
    m.iter().fold(0, |v, b| v << 8 | u128::from(*b))
}
