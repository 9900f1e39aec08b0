//! What else the device can do, group by group.

use crate::layout::layout;

layout! {
    /// Group [`Group::Ethernet`](super::Group::Ethernet).
    EthernetCapability[0x100] {
        /// Checksums are put in and checked.
        CSUM_CAP: (bool, 0x00, 31:31),
        /// VLAN tags are taken off.
        VLAN_CAP: (bool, 0x00, 30:30),
        /// Packets of a TCP stream can be merged.
        LRO_CAP: (bool, 0x00, 29:29),
        /// Merging heeds the push flag.
        LRO_PSH_FLAG: (bool, 0x00, 28:28),
        /// Merging heeds timestamps.
        LRO_TIME_STAMP: (bool, 0x00, 27:27),
        /// What the limit of merged packets counts from: 0 the header of layer 4, 1 the header of
        /// layer 2.
        LRO_MAX_MSG_SZ_MODE: (u8, 0x00, 26:25),
        /// Send queues' entries can put in VLAN tags.
        WQE_VLAN_INSERT: (bool, 0x00, 24:24),
        /// A transport interface can be told whether to receive its own sending.
        SELF_LB_EN_MODIFIABLE: (bool, 0x00, 23:23),
        /// It can be kept from receiving its own multicast.
        SELF_LB_MC: (bool, 0x00, 22:22),
        /// It can be kept from receiving its own unicast.
        SELF_LB_UC: (bool, 0x00, 21:21),
        /// Bytes of a packet that is sent in pieces, log 2.
        MAX_LSO_CAP: (u8, 0x00, 20:16),
        /// Entries can hold several packets: bit 0 as of ConnectX-4.
        MULTI_PKT_SEND_WQE: (u8, 0x00, 15:14),
        /// Headers that must stand in an entry: 0 layer 2, 1 the vport says, 2 none.
        WQE_INLINE_MODE: (u8, 0x00, 13:12),
        /// Queues in a table, log 2.
        RSS_IND_TBL_CAP: (u8, 0x00, 11:8),
        /// Send queues' entries can change memory keys.
        REG_UMR_SQ: (bool, 0x00, 7:7),
        /// Packets can be written with their frame check sequence.
        SCATTER_FCS: (bool, 0x00, 6:6),
        /// Entries can hold several packets, as of ConnectX-5.
        ENHANCED_MULTI_PKT_SEND_WQE: (bool, 0x00, 5:5),
        /// Pieces can have one outer IP identification.
        TUNNEL_LSO_CONST_OUT_IP_ID: (bool, 0x00, 4:4),
        /// Packets in GRE can be merged.
        TUNNEL_LRO_GRE: (bool, 0x00, 3:3),
        /// Packets in VXLAN can be merged.
        TUNNEL_LRO_VXLAN: (bool, 0x00, 2:2),
        /// Checksums and pieces in GRE.
        TUNNEL_STATELESS_GRE: (bool, 0x00, 1:1),
        /// Checksums and pieces in VXLAN.
        TUNNEL_STATELESS_VXLAN: (bool, 0x00, 0:0),
        /// Entries can say where headers are.
        SWP: (bool, 0x04, 31:31),
        /// Checksums there.
        SWP_CSUM: (bool, 0x04, 30:30),
        /// Pieces there.
        SWP_LSO: (bool, 0x04, 29:29),
        /// A completion's checksum is of all behind the Ethernet header.
        CQE_CHECKSUM_FULL: (bool, 0x04, 28:28),
        /// Checksums and pieces in Geneve, sending.
        TUNNEL_STATELESS_GENEVE_TX: (bool, 0x04, 27:27),
        /// Checksums in MPLS over UDP.
        TUNNEL_STATELESS_MPLS_OVER_UDP: (bool, 0x04, 26:26),
        /// Checksums in MPLS over GRE.
        TUNNEL_STATELESS_MPLS_OVER_GRE: (bool, 0x04, 25:25),
        /// Checksums in VXLAN-GPE.
        TUNNEL_STATELESS_VXLAN_GPE: (bool, 0x04, 24:24),
        /// Checksums of IPv4 in VXLAN without Ethernet.
        TUNNEL_STATELESS_IPV4_OVER_VXLAN: (bool, 0x04, 23:23),
        /// Checksums of IP in IP.
        TUNNEL_STATELESS_IP_OVER_IP: (bool, 0x04, 22:22),
        /// Trailers can be put in.
        INSERT_TRAILER: (bool, 0x04, 21:21),
        /// Checksums of IP in IP, receiving.
        TUNNEL_STATELESS_IP_OVER_IP_RX: (bool, 0x04, 19:19),
        /// Checksums and pieces of IP in IP, sending.
        TUNNEL_STATELESS_IP_OVER_IP_TX: (bool, 0x04, 18:18),
        /// UDP ports that can be VXLAN.
        MAX_VXLAN_UDP_PORTS: (u8, 0x04, 15:8),
        /// Length of Geneve's options: 0 = 60 bytes, 1 = 252 bytes.
        MAX_GENEVE_OPT_LEN: (bool, 0x04, 1:1),
        /// Checksums in Geneve, receiving.
        TUNNEL_STATELESS_GENEVE_RX: (bool, 0x04, 0:0),
        /// Bytes of data from which packets are merged.
        LRO_MIN_MSS_SIZE: (u16, 0x08, 15:0),
        /// How long merging can wait, microseconds: the shortest.
        LRO_TIMER_SUPPORTED_PERIOD_0: (u32, 0x30, 31:0),
        /// The second.
        LRO_TIMER_SUPPORTED_PERIOD_1: (u32, 0x34, 31:0),
        /// The third.
        LRO_TIMER_SUPPORTED_PERIOD_2: (u32, 0x38, 31:0),
        /// The longest.
        LRO_TIMER_SUPPORTED_PERIOD_3: (u32, 0x3c, 31:0),
    }

    /// Group [`Group::Atomic`](super::Group::Atomic).
    AtomicCapability[0x100] {
        /// How 8 bytes are read; to be set.
        REQ_8B_ENDIANNESS_MODE: (u8, 0x08, 31:30),
        /// They can be read as the host has them.
        SUPPORTED_REQ_8B_ENDIANNESS_MODE_1: (bool, 0x08, 25:25),
        /// Which operations.
        OPERATIONS: (u16, 0x10, 15:0),
        /// Sizes: bit n = 1 << n bytes.
        SIZE_QP: (u16, 0x14, 15:0),
        /// Sizes, dynamic connections.
        SIZE_DC: (u16, 0x18, 15:0),
    }

    /// Group [`Group::Roce`](super::Group::Roce).
    RoceCapability[0x100] {
        /// Paths can migrate.
        ROCE_APM: (bool, 0x00, 31:31),
        /// Set by ConnectX-4 Lx; unknown.
        RESERVED_30: (bool, 0x00, 30:30),
        /// Software can choose source ports; can be set.
        SW_R_ROCE_SRC_UDP_PORT: (bool, 0x00, 27:27),
        /// Reliable connections to itself without RoCE.
        FL_RC_QP_WHEN_ROCE_DISABLED: (bool, 0x00, 26:26),
        /// Reliable connections to itself with RoCE.
        FL_RC_QP_WHEN_ROCE_ENABLED: (bool, 0x00, 25:25),
        /// Timestamps of queue pairs: 0 free running, 1 real time, 2 both.
        QP_TS_FORMAT: (u8, 0x00, 1:0),
        /// Layer 3: bit 0 GRH, bit 1 IPv4, bit 2 IPv6.
        L3_TYPE: (u8, 0x10, 19:16),
        /// Versions: bit 0 version 1, bit 2 version 2.
        ROCE_VERSION: (u8, 0x10, 7:0),
        /// Destination port of version 2.
        R_ROCE_DEST_UDP_PORT: (u16, 0x14, 15:0),
        /// Its highest source port.
        R_ROCE_MAX_SRC_UDP_PORT: (u16, 0x18, 31:16),
        /// Its lowest source port.
        R_ROCE_MIN_SRC_UDP_PORT: (u16, 0x18, 15:0),
        /// Addresses.
        ROCE_ADDRESS_TABLE_SIZE: (u16, 0x1c, 15:0),
    }

    /// Group [`Group::Qos`](super::Group::Qos).
    QosCapability[0x100] {
        /// Send queues can have rate limits.
        PACKET_PACING: (bool, 0x00, 31:31),
        /// Vports can be scheduled.
        ESW_SCHEDULING: (bool, 0x00, 30:30),
        /// Vports can have shares.
        ESW_BW_SHARE: (bool, 0x00, 29:29),
        /// Vports can have rate limits.
        ESW_RATE_LIMIT: (bool, 0x00, 28:28),
        /// Rate limits can have bursts.
        PACKET_PACING_BURST_BOUND: (bool, 0x00, 26:26),
        /// Rate limits can have the usual length of packets.
        PACKET_PACING_TYPICAL_SIZE: (bool, 0x00, 25:25),
        /// Send queues can be scheduled.
        NIC_SQ_SCHEDULING: (bool, 0x00, 23:23),
        /// Send queues can have shares.
        NIC_BW_SHARE: (bool, 0x00, 22:22),
        /// Send queues can have rate limits, in groups.
        NIC_RATE_LIMIT: (bool, 0x00, 21:21),
        /// Users can make rate limits.
        PACKET_PACING_UID: (bool, 0x00, 20:20),
        /// How deep vports can be scheduled, log 2.
        LOG_ESW_MAX_SCHED_DEPTH: (u8, 0x00, 19:16),
        /// Groups of send queues, log 2.
        LOG_MAX_QOS_NIC_QUEUE_GROUP: (u8, 0x04, 20:16),
        /// The highest limit, kb/s.
        PACKET_PACING_MAX_RATE: (u32, 0x08, 31:0),
        /// The lowest limit, kb/s.
        PACKET_PACING_MIN_RATE: (u32, 0x0c, 31:0),
        /// Limits.
        PACKET_PACING_RATE_TABLE_SIZE: (u16, 0x10, 15:0),
        /// What can be scheduled for vports.
        ESW_ELEMENT_TYPE: (u16, 0x14, 31:16),
        /// How.
        ESW_TSAR_TYPE: (u16, 0x14, 15:0),
        /// Vports with parameters of their own.
        MAX_QOS_PARA_VPORT: (u16, 0x18, 15:0),
        /// The biggest share.
        MAX_TSAR_BW_SHARE: (u32, 0x1c, 31:0),
        /// What can be scheduled for send queues.
        NIC_ELEMENT_TYPE: (u16, 0x20, 31:16),
        /// How.
        NIC_TSAR_TYPE: (u16, 0x20, 15:0),
        /// Meters that come together, log 2.
        LOG_METER_ASO_GRANULARITY: (u8, 0x24, 28:24),
        /// Meters at once, log 2.
        LOG_METER_ASO_MAX_ALLOC: (u8, 0x24, 20:16),
        /// Meters, log 2.
        LOG_MAX_NUM_METER_ASO: (u8, 0x24, 12:8),
    }

    /// Group [`Group::Debug`](super::Group::Debug).
    DebugCapability[0x100] {
        /// The firmware's memory can be dumped.
        CORE_DUMP_GENERAL: (bool, 0x00, 31:31),
        /// Queue pairs can be dumped.
        CORE_DUMP_QP: (bool, 0x00, 30:30),
        /// Objects can be dumped.
        RESOURCE_DUMP: (bool, 0x00, 22:22),
        /// Stalls can be found.
        STALL_DETECT: (bool, 0x04, 29:29),
    }

    /// Group [`Group::DeviceMemory`](super::Group::DeviceMemory): memory in the device.
    DeviceMemoryCapability[0x100] {
        /// There is some for users.
        MEMIC: (bool, 0x00, 31:31),
        /// The least to be had, log 2.
        LOG_MIN_MEMIC_ALLOC_SIZE: (u8, 0x04, 20:16),
        /// How it can be aligned, log 2.
        LOG_MAX_MEMIC_ADDR_ALIGNMENT: (u8, 0x04, 7:0),
        /// Where it is in the BAR.
        MEMIC_BAR_START_ADDR: (u64, 0x08, 63:0),
        /// How much of the BAR it takes.
        MEMIC_BAR_SIZE: (u32, 0x10, 31:0),
        /// How much there is.
        MAX_MEMIC_SIZE: (u32, 0x14, 31:0),
        /// Memory of software's rules: where it begins.
        STEERING_SW_ICM_START_ADDRESS: (u64, 0x18, 63:0),
        /// Memory of changes: bytes, log 2.
        LOG_HEADER_MODIFY_SW_ICM_SIZE: (u8, 0x20, 23:16),
        /// The least to be had, log 2.
        LOG_SW_ICM_ALLOC_GRANULARITY: (u8, 0x20, 13:8),
        /// Memory of software's rules: bytes, log 2.
        LOG_STEERING_SW_ICM_SIZE: (u8, 0x20, 7:0),
        /// Memory of patterns of changes: bytes, log 2.
        LOG_HEADER_MODIFY_PATTERN_SW_ICM_SIZE: (u8, 0x24, 7:0),
        /// Memory of changes: where it begins.
        HEADER_MODIFY_SW_ICM_START_ADDRESS: (u64, 0x28, 63:0),
        /// Memory of patterns of changes: where it begins.
        HEADER_MODIFY_PATTERN_SW_ICM_START_ADDRESS: (u64, 0x38, 63:0),
        /// What can be done there.
        MEMIC_OPERATIONS: (u32, 0x40, 31:0),
    }

    /// Group [`Group::DeviceEvent`](super::Group::DeviceEvent): events that users can have.
    DeviceEventCapability[0x40] {
        /// About their own objects: bit n of word n/64.
        USER_AFFILIATED_EVENTS: ([u8; 32], 0x00),
        /// About the device.
        USER_UNAFFILIATED_EVENTS: ([u8; 32], 0x20),
    }
}
