//! Contexts of flow tables and of their entries, and what entries do with a packet.

use super::MatchParameters;
use crate::layout::{layout, values};

layout! {
    /// A flow table.
    FlowTableContext[0x28] {
        /// Its entries may put headers in front.
        REFORMAT_EN: (bool, 0x00, 31:31),
        /// Its entries may take headers off.
        DECAP_EN: (bool, 0x00, 30:30),
        /// Software writes its memory.
        SW_OWNER: (bool, 0x00, 29:29),
        /// Packets end here.
        TERMINATION_TABLE: (bool, 0x00, 28:28),
        /// What happens to packets without an entry, see [`MissAction`].
        TABLE_MISS_ACTION: (u8, 0x00, 27:24),
        /// Entries send packets to tables of higher levels.
        LEVEL: (u8, 0x00, 23:16),
        /// `RTC_ID_0` and `RTC_ID_1` say where software keeps its rules.
        RTC_VALID: (bool, 0x00, 15:15),
        /// Entries, log 2.
        LOG_SIZE: (u8, 0x00, 7:0),
        /// The table for packets without an entry.
        TABLE_MISS_ID: (u32, 0x04, 23:0),
        /// The next table of the bond's master.
        LAG_MASTER_NEXT_TABLE_ID: (u32, 0x08, 23:0),
        /// Where software's memory for sending begins.
        SW_OWNER_ICM_ROOT_1: (u64, 0x18, 63:0),
        /// Where software's memory for receiving begins.
        SW_OWNER_ICM_ROOT_0: (u64, 0x20, 63:0),
    }

    /// An entry of a flow table. A list of destinations follows, then one of counters.
    FlowContext[0x300] {
        /// The tag that is pushed.
        PUSH_VLAN: (VlanTag, 0x00),
        /// The group that the entry belongs to.
        GROUP_ID: (u32, 0x04, 31:0),
        /// A number for completions.
        FLOW_TAG: (u32, 0x08, 23:0),
        /// What is done, see [`action`].
        ACTION: (u16, 0x0c, 15:0),
        /// Destinations are [`ExtendedDestination`]s.
        EXTENDED_DESTINATION: (bool, 0x10, 31:31),
        /// Where packets come from: 0 anywhere, 1 the uplink, 2 another vport.
        FLOW_SOURCE: (u8, 0x10, 29:28),
        /// 0 IPsec, 1 MACsec.
        ENCRYPT_DECRYPT_TYPE: (u8, 0x10, 27:24),
        /// How many destinations.
        DESTINATION_LIST_SIZE: (u32, 0x10, 23:0),
        /// How many counters.
        FLOW_COUNTER_LIST_SIZE: (u32, 0x14, 23:0),
        /// Which headers are put in front or taken off.
        PACKET_REFORMAT_ID: (u32, 0x18, 31:0),
        /// How fields are changed.
        MODIFY_HEADER_ID: (u32, 0x1c, 31:0),
        /// The second tag that is pushed.
        PUSH_VLAN_2: (VlanTag, 0x20),
        /// The key that is used.
        ENCRYPT_DECRYPT_OBJ_ID: (u32, 0x24, 31:0),
        /// The values to be matched, under the group's mask.
        MATCH_VALUE: (MatchParameters, 0x40),
        /// The first object that is used.
        EXECUTE_ASO_0: (ExecuteAso, 0x240),
        /// The second.
        EXECUTE_ASO_1: (ExecuteAso, 0x248),
        /// The third.
        EXECUTE_ASO_2: (ExecuteAso, 0x250),
        /// The fourth.
        EXECUTE_ASO_3: (ExecuteAso, 0x258),
    }

    /// A VLAN tag.
    VlanTag[0x4] {
        /// Its protocol.
        ETHERTYPE: (u16, 0x00, 31:16),
        /// Priority.
        PRIO: (u8, 0x00, 15:13),
        /// Drop eligible.
        CFI: (bool, 0x00, 12:12),
        /// VLAN id.
        VID: (u16, 0x00, 11:0),
    }

    /// An object with state, a meter for instance, that a packet passes.
    ExecuteAso[8] {
        /// There is one.
        VALID: (bool, 0x00, 31:31),
        /// Its number.
        ASO_OBJECT_ID: (u32, 0x00, 23:0),
        /// The register that takes the result.
        RETURN_REG_ID: (u8, 0x04, 31:28),
        /// What it is: 2 a meter.
        ASO_TYPE: (u8, 0x04, 27:24),
        /// Meter: whether the color is set.
        ACTION: (bool, 0x04, 3:3),
        /// Meter: the color before: 0 red, 1 yellow, 2 green, 3 undefined.
        INIT_COLOR: (u8, 0x04, 2:1),
        /// Meter: which of the object's two.
        METER_ID: (bool, 0x04, 0:0),
    }

    /// Where a packet goes.
    Destination[0x8] {
        /// See [`DestinationType`].
        DESTINATION_TYPE: (u8, 0x00, 31:24),
        /// Number of the vport, table or queue.
        DESTINATION_ID: (u32, 0x00, 23:0),
        /// The destination belongs to the e-switch of another function.
        DESTINATION_ESWITCH_OWNER_VHCA_ID_VALID: (bool, 0x04, 31:31),
        /// Extended: it has headers of its own to be put in front.
        PACKET_REFORMAT: (bool, 0x04, 30:30),
        /// That other function.
        DESTINATION_ESWITCH_OWNER_VHCA_ID: (u16, 0x04, 15:0),
    }

    /// Where a packet goes, with headers of its own.
    ExtendedDestination[0x10] {
        /// Where it goes.
        DESTINATION: (Destination, 0x00),
        /// The headers.
        PACKET_REFORMAT_ID: (u32, 0x08, 31:0),
    }

    /// A counter that an entry counts with.
    FlowCounterId[0x8] {
        /// Its number.
        FLOW_COUNTER_ID: (u32, 0x00, 31:0),
    }

    /// What a counter has counted.
    FlowStatistics[0x10] {
        /// Packets.
        PACKETS: (u64, 0x00, 63:0),
        /// Bytes.
        OCTETS: (u64, 0x08, 63:0),
    }
}

values! {
    /// Which kind of packets a flow table is for; commands have it as `TABLE_TYPE`.
    pub enum TableType: u8 {
        /// Received by a function.
        NicReceive = 0,
        /// Sent by a function.
        NicTransmit = 1,
        /// From the e-switch to a vport.
        EgressAcl = 2,
        /// From a vport to the e-switch.
        IngressAcl = 3,
        /// In the e-switch.
        Fdb = 4,
        /// What is received, to be looked at.
        SnifferReceive = 5,
        /// What is sent, to be looked at.
        SnifferTransmit = 6,
        /// Received RDMA.
        RdmaReceive = 7,
        /// Sent RDMA.
        RdmaTransmit = 8,
        /// Which port of a bond is sent from.
        PortSelection = 9,
    }

    /// What happens to packets without an entry: [`FlowTableContext::TABLE_MISS_ACTION`].
    pub enum MissAction: u8 {
        /// What is usual for the type of table.
        Default = 0,
        /// They go to another table.
        Forward = 1,
        /// They go from the e-switch's tables to the function's.
        SwitchDomain = 2,
    }

    /// What a packet goes to: [`Destination::DESTINATION_TYPE`].
    pub enum DestinationType: u8 {
        /// A vport.
        Vport = 0,
        /// A flow table.
        FlowTable = 1,
        /// A transport interface.
        Tir = 2,
        /// A sampler.
        FlowSampler = 6,
        /// The uplink, of one port of a bond.
        Uplink = 8,
        /// A flow table of any type.
        TableType = 10,
    }

    /// How packets get other headers: `REFORMAT_TYPE` in ALLOC_PACKET_REFORMAT_CONTEXT.
    pub enum ReformatType: u8 {
        /// The headers are put in front; the device makes the UDP source port of the flow. VXLAN, Geneve.
        L2ToVxlan = 0,
        /// The headers are put in front. NVGRE, GRE.
        L2ToNvgre = 1,
        /// The headers are put in front.
        L2ToL2Tunnel = 2,
        /// Everything up to the inner IP header is replaced by an Ethernet header.
        L3TunnelToL2 = 3,
        /// The Ethernet header is replaced by the headers.
        L2ToL3Tunnel = 4,
        /// Bytes are put in.
        InsertHeader = 0xf,
        /// Bytes are taken out.
        RemoveHeader = 0x10,
    }

    /// How a field is changed: `ACTION_TYPE` of [`SetAction`] and its likes.
    ///
    /// [`SetAction`]: crate::command::SetAction
    pub enum ModifyType: u8 {
        /// It gets a value.
        Set = 1,
        /// A value is added to it.
        Add = 2,
        /// It gets the value of another field.
        Copy = 3,
    }

    /// A field that can be changed, of the outer headers (`Out…`) or of the inner ones (`In…`).
    #[allow(missing_docs)]
    pub enum HeaderField: u16 {
        OutSmac47_16 = 0x01,
        OutSmac15_0 = 0x02,
        OutEthertype = 0x03,
        OutDmac47_16 = 0x04,
        OutDmac15_0 = 0x05,
        OutIpDscp = 0x06,
        OutTcpFlags = 0x07,
        OutTcpSport = 0x08,
        OutTcpDport = 0x09,
        OutIpTtl = 0x0a,
        OutUdpSport = 0x0b,
        OutUdpDport = 0x0c,
        OutSipv6_127_96 = 0x0d,
        OutSipv6_95_64 = 0x0e,
        OutSipv6_63_32 = 0x0f,
        OutSipv6_31_0 = 0x10,
        OutDipv6_127_96 = 0x11,
        OutDipv6_95_64 = 0x12,
        OutDipv6_63_32 = 0x13,
        OutDipv6_31_0 = 0x14,
        OutSipv4 = 0x15,
        OutDipv4 = 0x16,
        OutFirstVid = 0x17,
        InSmac47_16 = 0x31,
        InSmac15_0 = 0x32,
        InEthertype = 0x33,
        InDmac47_16 = 0x34,
        InDmac15_0 = 0x35,
        InIpDscp = 0x36,
        InTcpFlags = 0x37,
        InTcpSport = 0x38,
        InTcpDport = 0x39,
        InIpTtl = 0x3a,
        InUdpSport = 0x3b,
        InUdpDport = 0x3c,
        InSipv6_127_96 = 0x3d,
        InSipv6_95_64 = 0x3e,
        InSipv6_63_32 = 0x3f,
        InSipv6_31_0 = 0x40,
        InDipv6_127_96 = 0x41,
        InDipv6_95_64 = 0x42,
        InDipv6_63_32 = 0x43,
        InDipv6_31_0 = 0x44,
        InSipv4 = 0x45,
        InDipv4 = 0x46,
        OutIpv6Hoplimit = 0x47,
        InIpv6Hoplimit = 0x48,
        MetadataRegA = 0x49,
        OutIpProtocol = 0x4a,
        MetadataRegB = 0x50,
        MetadataRegC0 = 0x51,
        MetadataRegC1 = 0x52,
        MetadataRegC2 = 0x53,
        MetadataRegC3 = 0x54,
        MetadataRegC4 = 0x55,
        MetadataRegC5 = 0x56,
        MetadataRegC6 = 0x57,
        MetadataRegC7 = 0x58,
        OutTcpSeqNum = 0x59,
        InTcpSeqNum = 0x5a,
        OutTcpAckNum = 0x5b,
        InTcpAckNum = 0x5c,
        OutEspSpi = 0x5e,
        InEspSpi = 0x5f,
        GtpTeid = 0x6e,
        OutEmd47_32 = 0x6f,
        OutEmd31_0 = 0x70,
        OutIpEcn = 0x73,
        InIpEcn = 0x74,
        TunnelHeader1 = 0x75,
        GtpuFirstExtDw0 = 0x76,
    }
}

/// Bits of [`FlowContext::ACTION`].
pub mod action {
    /// Let through.
    pub const ALLOW: u16 = 0x0001;
    /// Drop.
    pub const DROP: u16 = 0x0002;
    /// Send to the destinations.
    pub const FORWARD: u16 = 0x0004;
    /// Count.
    pub const COUNT: u16 = 0x0008;
    /// Change headers as `PACKET_REFORMAT_ID` says.
    pub const REFORMAT: u16 = 0x0010;
    /// Take the outer headers off.
    pub const DECAP: u16 = 0x0020;
    /// Change fields as `MODIFY_HEADER_ID` says.
    pub const MODIFY_HEADER: u16 = 0x0040;
    /// Take the VLAN tag off.
    pub const POP_VLAN: u16 = 0x0080;
    /// Push the VLAN tag.
    pub const PUSH_VLAN: u16 = 0x0100;
    /// Take the second VLAN tag off.
    pub const POP_VLAN_2: u16 = 0x0400;
    /// Push the second VLAN tag.
    pub const PUSH_VLAN_2: u16 = 0x0800;
    /// Decrypt.
    pub const DECRYPT: u16 = 0x1000;
    /// Encrypt.
    pub const ENCRYPT: u16 = 0x2000;
    /// Pass objects with state.
    pub const EXECUTE_ASO: u16 = 0x4000;
}

/// Bits of `MATCH_CRITERIA_ENABLE`: which parts of [`MatchParameters`] a group looks at.
pub mod criteria {
    /// [`OUTER_HEADERS`](super::MatchParameters::OUTER_HEADERS).
    pub const OUTER_HEADERS: u8 = 1 << 0;
    /// [`MISC`](super::MatchParameters::MISC).
    pub const MISC: u8 = 1 << 1;
    /// [`INNER_HEADERS`](super::MatchParameters::INNER_HEADERS).
    pub const INNER_HEADERS: u8 = 1 << 2;
    /// [`MISC_2`](super::MatchParameters::MISC_2).
    pub const MISC_2: u8 = 1 << 3;
    /// [`MISC_3`](super::MatchParameters::MISC_3).
    pub const MISC_3: u8 = 1 << 4;
    /// [`MISC_4`](super::MatchParameters::MISC_4).
    pub const MISC_4: u8 = 1 << 5;
    /// [`MISC_5`](super::MatchParameters::MISC_5).
    pub const MISC_5: u8 = 1 << 6;
}

/// Bits of `MODIFY_ENABLE_MASK`: what of an entry SET_FLOW_TABLE_ENTRY changes.
pub mod modify_enable {
    /// What is done.
    pub const ACTION: u8 = 1 << 0;
    /// The number for completions.
    pub const FLOW_TAG: u8 = 1 << 1;
    /// The destinations.
    pub const DESTINATION_LIST: u8 = 1 << 2;
    /// The counters.
    pub const FLOW_COUNTERS: u8 = 1 << 3;
}
