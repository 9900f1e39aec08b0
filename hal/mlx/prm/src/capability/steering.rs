//! What flow tables and the e-switch can do.

use crate::layout::layout;

layout! {
    /// Group [`Group::FlowTable`](super::Group::FlowTable): tables of functions.
    FlowTableCapability[0x1000] {
        /// An entry can have several queues as destinations.
        NIC_RX_MULTI_PATH_TIRS: (bool, 0x00, 31:31),
        /// An entry can have queues and tables as destinations.
        NIC_RX_MULTI_PATH_TIRS_FTS: (bool, 0x00, 30:30),
        /// A queue can be a destination of both what is received and what is sniffed.
        ALLOW_SNIFFER_AND_NIC_RX_SHARED_TIR: (bool, 0x00, 29:29),
        /// Software's tables can change headers.
        SW_OWNER_REFORMAT_SUPPORTED: (bool, 0x00, 24:24),
        /// Headers that are put in front can be anything.
        ENCAP_GENERAL_HEADER: (bool, 0x04, 31:31),
        /// Contexts of headers, log 2.
        LOG_MAX_PACKET_REFORMAT_CONTEXT: (u8, 0x04, 20:16),
        /// Bytes of headers that are put in front.
        MAX_ENCAP_HEADER_SIZE: (u16, 0x04, 9:0),
        /// Received.
        NIC_RECEIVE: (FlowTableProperties, 0x40),
        /// Received RDMA.
        NIC_RECEIVE_RDMA: (FlowTableProperties, 0x80),
        /// Received, to be looked at.
        NIC_RECEIVE_SNIFFER: (FlowTableProperties, 0xc0),
        /// Sent.
        NIC_TRANSMIT: (FlowTableProperties, 0x100),
        /// Sent RDMA.
        NIC_TRANSMIT_RDMA: (FlowTableProperties, 0x140),
        /// Sent, to be looked at.
        NIC_TRANSMIT_SNIFFER: (FlowTableProperties, 0x180),
        /// Where software's rules drop what is received.
        SW_STEERING_NIC_RX_ACTION_DROP_ICM_ADDRESS: (u64, 0x400, 63:0),
        /// Where software's rules drop what is sent.
        SW_STEERING_NIC_TX_ACTION_DROP_ICM_ADDRESS: (u64, 0x408, 63:0),
        /// Where software's rules let through what is sent.
        SW_STEERING_NIC_TX_ACTION_ALLOW_ICM_ADDRESS: (u64, 0x410, 63:0),
    }

    /// Group [`Group::EswitchFlowTable`](super::Group::EswitchFlowTable): tables of the e-switch.
    EswitchFlowTableCapability[0x1000] {
        /// Registers that can go from the e-switch to a vport's tables: bit n = C n.
        FDB_TO_VPORT_REG_C_ID: (u8, 0x00, 31:24),
        /// An entry can change fields and go on to a table.
        FDB_MODIFY_HEADER_FWD_TO_TABLE: (bool, 0x00, 10:10),
        /// Time to live can be changed.
        FDB_IPV4_TTL_MODIFY: (bool, 0x00, 9:9),
        /// Entries can say where packets come from.
        FLOW_SOURCE: (bool, 0x00, 8:8),
        /// An entry can have destinations with headers of their own.
        MULTI_FDB_ENCAP: (bool, 0x00, 5:5),
        /// What goes to a vport can be sent to another.
        EGRESS_ACL_FORWARD_TO_VPORT: (bool, 0x00, 4:4),
        /// An entry can have vports and tables as destinations.
        FDB_MULTI_PATH_TO_TABLE: (bool, 0x00, 3:3),
        /// In the e-switch.
        FDB: (FlowTableProperties, 0x40),
        /// From a vport to the e-switch.
        ACL_INGRESS: (FlowTableProperties, 0x80),
        /// From the e-switch to a vport.
        ACL_EGRESS: (FlowTableProperties, 0xc0),
        /// Where software's rules drop what is received.
        SW_STEERING_FDB_ACTION_DROP_ICM_ADDRESS_RX: (u64, 0x300, 63:0),
        /// Where software's rules drop what is sent.
        SW_STEERING_FDB_ACTION_DROP_ICM_ADDRESS_TX: (u64, 0x308, 63:0),
        /// Where software's rules have what the uplink receives.
        SW_STEERING_UPLINK_ICM_ADDRESS_RX: (u64, 0x310, 63:0),
        /// Where software's rules send what goes to the uplink.
        SW_STEERING_UPLINK_ICM_ADDRESS_TX: (u64, 0x318, 63:0),
    }

    /// Group [`Group::PortSelection`](super::Group::PortSelection): tables that choose a port of a
    /// bond.
    PortSelectionCapability[0x1000] {
        /// There are such tables.
        PORT_SELECT_FLOW_TABLE: (bool, 0x00, 15:15),
        /// Queues that choose a port pass them by.
        PORT_SELECT_FLOW_TABLE_BYPASS: (bool, 0x00, 13:13),
        /// The tables.
        PORT_SELECTION: (FlowTableProperties, 0x40),
    }

    /// What flow tables of a type can do.
    FlowTableProperties[0x40] {
        /// There are such tables.
        FT_SUPPORT: (bool, 0x00, 31:31),
        /// Entries can have a number for completions.
        FLOW_TAG: (bool, 0x00, 30:30),
        /// Entries can count.
        FLOW_COUNTER: (bool, 0x00, 29:29),
        /// Entries can be changed in place.
        FLOW_MODIFY_EN: (bool, 0x00, 28:28),
        /// Software can say which table comes first.
        MODIFY_ROOT: (bool, 0x00, 27:27),
        /// Packets without an entry can go to a table.
        IDENTIFIED_MISS_TABLE_MODE: (bool, 0x00, 26:26),
        /// That table can be changed.
        FLOW_TABLE_MODIFY: (bool, 0x00, 25:25),
        /// Headers can be put in front.
        REFORMAT: (bool, 0x00, 24:24),
        /// Headers can be taken off.
        DECAP: (bool, 0x00, 23:23),
        /// The first table can be reset to what it was.
        RESET_ROOT_TO_DEFAULT: (bool, 0x00, 22:22),
        /// VLAN tags can be taken off.
        POP_VLAN: (bool, 0x00, 21:21),
        /// VLAN tags can be pushed.
        PUSH_VLAN: (bool, 0x00, 20:20),
        /// An FPGA can see packets on their way.
        FPGA_VENDOR_ACCELERATION: (bool, 0x00, 19:19),
        /// Two VLAN tags can be taken off.
        POP_VLAN_2: (bool, 0x00, 18:18),
        /// Two VLAN tags can be pushed.
        PUSH_VLAN_2: (bool, 0x00, 17:17),
        /// Both headers and VLAN tags can be changed.
        REFORMAT_AND_VLAN_ACTION: (bool, 0x00, 16:16),
        /// Both fields and VLAN tags can be changed.
        MODIFY_AND_VLAN_ACTION: (bool, 0x00, 15:15),
        /// Software can write the tables.
        SW_OWNER: (bool, 0x00, 14:14),
        /// Headers up to the inner IP header can be taken off.
        REFORMAT_L3_TUNNEL_TO_L2: (bool, 0x00, 13:13),
        /// Headers can take the place of the Ethernet header.
        REFORMAT_L2_TO_L3_TUNNEL: (bool, 0x00, 12:12),
        /// Both headers and fields can be changed.
        REFORMAT_AND_MODIFY_ACTION: (bool, 0x00, 11:11),
        /// Destinations can be tables of lower levels.
        IGNORE_FLOW_LEVEL: (bool, 0x00, 10:10),
        /// Packets without an entry can go from the e-switch's tables to the function's.
        TABLE_MISS_ACTION_DOMAIN: (bool, 0x00, 8:8),
        /// Tables can be the end.
        TERMINATION_TABLE: (bool, 0x00, 7:7),
        /// An entry can change headers and go on to a table.
        REFORMAT_AND_FWD_TO_TABLE: (bool, 0x00, 6:6),
        /// Packets can be encrypted.
        IPSEC_ENCRYPT: (bool, 0x00, 3:3),
        /// Packets can be decrypted.
        IPSEC_DECRYPT: (bool, 0x00, 2:2),
        /// Software can write the tables, as of ConnectX-6 Dx.
        SW_OWNER_V2: (bool, 0x00, 1:1),
        /// Tables that are the end can pass packets to vports as they are.
        TERMINATION_TABLE_RAW_TRAFFIC: (bool, 0x04, 31:31),
        /// Entries of a table, log 2.
        LOG_MAX_FT_SIZE: (u8, 0x04, 29:24),
        /// Contexts of changes, log 2.
        LOG_MAX_MODIFY_HEADER_CONTEXT: (u8, 0x04, 23:16),
        /// Changes in a context.
        MAX_MODIFY_HEADER_ACTIONS: (u8, 0x04, 15:8),
        /// The highest level.
        MAX_FT_LEVEL: (u8, 0x04, 7:0),
        /// Entries can use objects with state.
        EXECUTE_ASO: (bool, 0x08, 25:25),
        /// Samplers, log 2.
        LOG_MAX_FT_SAMPLER_NUM: (u8, 0x08, 23:16),
        /// Bits of register B.
        METADATA_REG_B_WIDTH: (u8, 0x08, 15:8),
        /// Bits of register A.
        METADATA_REG_A_WIDTH: (u8, 0x08, 7:0),
        /// Bytes can be put in.
        REFORMAT_INSERT: (bool, 0x0c, 29:29),
        /// Bytes can be taken out.
        REFORMAT_REMOVE: (bool, 0x0c, 28:28),
        /// MACsec, sending.
        MACSEC_ENCRYPT: (bool, 0x0c, 27:27),
        /// MACsec, receiving.
        MACSEC_DECRYPT: (bool, 0x0c, 26:26),
        /// MACsec's header can be put in.
        REFORMAT_ADD_MACSEC: (bool, 0x0c, 23:23),
        /// MACsec's header can be taken out.
        REFORMAT_REMOVE_MACSEC: (bool, 0x0c, 22:22),
        /// Tables, log 2.
        LOG_MAX_FT_NUM: (u8, 0x0c, 7:0),
        /// Counters, log 2.
        LOG_MAX_FLOW_COUNTER: (u8, 0x10, 15:8),
        /// Destinations, log 2.
        LOG_MAX_DESTINATION: (u8, 0x10, 7:0),
        /// Entries of all tables together, log 2.
        LOG_MAX_FLOW: (u8, 0x14, 7:0),
        /// What can be matched.
        MATCH: (FlowTableFields, 0x20),
        /// What can be matched in part.
        MATCH_BITMASK: (FlowTableFields, 0x30),
    }

    /// Which fields can be matched.
    FlowTableFields[0x10] {
        /// Outer: destination address of Ethernet.
        OUTER_DMAC: (bool, 0x00, 31:31),
        /// Outer: source address of Ethernet.
        OUTER_SMAC: (bool, 0x00, 30:30),
        /// Outer: EtherType.
        OUTER_ETHER_TYPE: (bool, 0x00, 29:29),
        /// Outer: version of IP.
        OUTER_IP_VERSION: (bool, 0x00, 28:28),
        /// Outer: priority of the first VLAN tag.
        OUTER_FIRST_PRIO: (bool, 0x00, 27:27),
        /// Outer: drop eligible of the first VLAN tag.
        OUTER_FIRST_CFI: (bool, 0x00, 26:26),
        /// Outer: VLAN id of the first VLAN tag.
        OUTER_FIRST_VID: (bool, 0x00, 25:25),
        /// Outer: time to live.
        OUTER_IPV4_TTL: (bool, 0x00, 24:24),
        /// Outer: priority of the second VLAN tag.
        OUTER_SECOND_PRIO: (bool, 0x00, 23:23),
        /// Outer: drop eligible of the second VLAN tag.
        OUTER_SECOND_CFI: (bool, 0x00, 22:22),
        /// Outer: VLAN id of the second VLAN tag.
        OUTER_SECOND_VID: (bool, 0x00, 21:21),
        /// Outer: source address of IP.
        OUTER_SIP: (bool, 0x00, 19:19),
        /// Outer: destination address of IP.
        OUTER_DIP: (bool, 0x00, 18:18),
        /// Outer: fragments.
        OUTER_FRAG: (bool, 0x00, 17:17),
        /// Outer: protocol of IP.
        OUTER_IP_PROTOCOL: (bool, 0x00, 16:16),
        /// Outer: congestion notification.
        OUTER_IP_ECN: (bool, 0x00, 15:15),
        /// Outer: differentiated services.
        OUTER_IP_DSCP: (bool, 0x00, 14:14),
        /// Outer: source port of UDP.
        OUTER_UDP_SPORT: (bool, 0x00, 13:13),
        /// Outer: destination port of UDP.
        OUTER_UDP_DPORT: (bool, 0x00, 12:12),
        /// Outer: source port of TCP.
        OUTER_TCP_SPORT: (bool, 0x00, 11:11),
        /// Outer: destination port of TCP.
        OUTER_TCP_DPORT: (bool, 0x00, 10:10),
        /// Outer: flags of TCP.
        OUTER_TCP_FLAGS: (bool, 0x00, 9:9),
        /// Outer: protocol of GRE.
        OUTER_GRE_PROTOCOL: (bool, 0x00, 8:8),
        /// Outer: key of GRE.
        OUTER_GRE_KEY: (bool, 0x00, 7:7),
        /// Outer: network of VXLAN.
        OUTER_VXLAN_VNI: (bool, 0x00, 6:6),
        /// Outer: network of Geneve.
        OUTER_GENEVE_VNI: (bool, 0x00, 5:5),
        /// Outer: flag of Geneve's control packets.
        OUTER_GENEVE_OAM: (bool, 0x00, 4:4),
        /// Outer: protocol of Geneve.
        OUTER_GENEVE_PROTOCOL_TYPE: (bool, 0x00, 3:3),
        /// Outer: length of Geneve's options.
        OUTER_GENEVE_OPT_LEN: (bool, 0x00, 2:2),
        /// The port that it came in by.
        SOURCE_VHCA_PORT: (bool, 0x00, 1:1),
        /// The vport that it came from.
        SOURCE_ESWITCH_PORT: (bool, 0x00, 0:0),
        /// Inner: destination address of Ethernet.
        INNER_DMAC: (bool, 0x04, 31:31),
        /// Inner: source address of Ethernet.
        INNER_SMAC: (bool, 0x04, 30:30),
        /// Inner: EtherType.
        INNER_ETHER_TYPE: (bool, 0x04, 29:29),
        /// Inner: version of IP.
        INNER_IP_VERSION: (bool, 0x04, 28:28),
        /// Inner: priority of the first VLAN tag.
        INNER_FIRST_PRIO: (bool, 0x04, 27:27),
        /// Inner: drop eligible of the first VLAN tag.
        INNER_FIRST_CFI: (bool, 0x04, 26:26),
        /// Inner: VLAN id of the first VLAN tag.
        INNER_FIRST_VID: (bool, 0x04, 25:25),
        /// Inner: priority of the second VLAN tag.
        INNER_SECOND_PRIO: (bool, 0x04, 23:23),
        /// Inner: drop eligible of the second VLAN tag.
        INNER_SECOND_CFI: (bool, 0x04, 22:22),
        /// Inner: VLAN id of the second VLAN tag.
        INNER_SECOND_VID: (bool, 0x04, 21:21),
        /// Inner: source address of IP.
        INNER_SIP: (bool, 0x04, 19:19),
        /// Inner: destination address of IP.
        INNER_DIP: (bool, 0x04, 18:18),
        /// Inner: fragments.
        INNER_FRAG: (bool, 0x04, 17:17),
        /// Inner: protocol of IP.
        INNER_IP_PROTOCOL: (bool, 0x04, 16:16),
        /// Inner: congestion notification.
        INNER_IP_ECN: (bool, 0x04, 15:15),
        /// Inner: differentiated services.
        INNER_IP_DSCP: (bool, 0x04, 14:14),
        /// Inner: source port of UDP.
        INNER_UDP_SPORT: (bool, 0x04, 13:13),
        /// Inner: destination port of UDP.
        INNER_UDP_DPORT: (bool, 0x04, 12:12),
        /// Inner: source port of TCP.
        INNER_TCP_SPORT: (bool, 0x04, 11:11),
        /// Inner: destination port of TCP.
        INNER_TCP_DPORT: (bool, 0x04, 10:10),
        /// Inner: flags of TCP.
        INNER_TCP_FLAGS: (bool, 0x04, 9:9),
        /// Data of the registered Geneve option.
        GENEVE_TLV_OPTION_0_DATA: (bool, 0x08, 31:31),
        /// Whether the registered Geneve option is there.
        GENEVE_TLV_OPTION_0_EXIST: (bool, 0x08, 30:30),
        /// Outer: the label behind UDP: bits for label, class, bottom, time to live.
        OUTER_FIRST_MPLS_OVER_UDP: (u8, 0x08, 26:23),
        /// Outer: the label behind GRE, likewise.
        OUTER_FIRST_MPLS_OVER_GRE: (u8, 0x08, 22:19),
        /// Inner: the first label, likewise.
        INNER_FIRST_MPLS: (u8, 0x08, 18:15),
        /// Outer: the first label, likewise.
        OUTER_FIRST_MPLS: (u8, 0x08, 14:11),
        /// Outer: security parameters index.
        OUTER_ESP_SPI: (bool, 0x08, 8:8),
        /// Queue pair of the InfiniBand transport.
        BTH_DST_QP: (bool, 0x08, 5:5),
        /// Register C 7.
        METADATA_REG_C_7: (bool, 0x0c, 7:7),
        /// Register C 6.
        METADATA_REG_C_6: (bool, 0x0c, 6:6),
        /// Register C 5.
        METADATA_REG_C_5: (bool, 0x0c, 5:5),
        /// Register C 4.
        METADATA_REG_C_4: (bool, 0x0c, 4:4),
        /// Register C 3.
        METADATA_REG_C_3: (bool, 0x0c, 3:3),
        /// Register C 2.
        METADATA_REG_C_2: (bool, 0x0c, 2:2),
        /// Register C 1.
        METADATA_REG_C_1: (bool, 0x0c, 1:1),
        /// Register C 0.
        METADATA_REG_C_0: (bool, 0x0c, 0:0),
    }

    /// Group [`Group::Eswitch`](super::Group::Eswitch).
    EswitchCapability[0x100] {
        /// The service VLAN tag can be taken off.
        VPORT_SVLAN_STRIP: (bool, 0x00, 31:31),
        /// The customer VLAN tag can be taken off.
        VPORT_CVLAN_STRIP: (bool, 0x00, 30:30),
        /// A service VLAN tag can be pushed.
        VPORT_SVLAN_INSERT: (bool, 0x00, 29:29),
        /// A customer VLAN tag can be pushed if there is none.
        VPORT_CVLAN_INSERT_IF_NOT_EXIST: (bool, 0x00, 28:28),
        /// A customer VLAN tag can be overwritten.
        VPORT_CVLAN_INSERT_OVERWRITE: (bool, 0x00, 27:27),
        /// A customer VLAN tag can be pushed always.
        VPORT_CVLAN_INSERT_ALWAYS: (bool, 0x00, 25:25),
        /// Vports can share their tables.
        ESW_SHARED_INGRESS_ACL: (bool, 0x00, 24:24),
        /// The uplink can have a table for what it receives.
        ESW_UPLINK_INGRESS_ACL: (bool, 0x00, 23:23),
        /// The first table can be one of another e-switch.
        ROOT_FT_ON_OTHER_ESW: (bool, 0x00, 22:22),
        /// Events when the host's functions change.
        ESW_FUNCTIONS_CHANGED: (bool, 0x00, 6:6),
        /// The NIC's own processor has a vport.
        ECPF_VPORT_EXISTS: (bool, 0x00, 4:4),
        /// Counters belong to an e-switch.
        COUNTER_ESWITCH_AFFINITY: (bool, 0x00, 3:3),
        /// E-switches of two ports can be one.
        MERGED_ESWITCH: (bool, 0x00, 2:2),
        /// GUIDs of nodes can be changed.
        NIC_VPORT_NODE_GUID_MODIFY: (bool, 0x00, 1:1),
        /// GUIDs of ports can be changed.
        NIC_VPORT_PORT_GUID_MODIFY: (bool, 0x00, 0:0),
        /// VXLAN headers can be put in front and taken off.
        VXLAN_ENCAP_DECAP: (bool, 0x04, 31:31),
        /// NVGRE headers can be put in front and taken off.
        NVGRE_ENCAP_DECAP: (bool, 0x04, 30:30),
        /// Contexts of headers for the uplink, log 2.
        LOG_MAX_FDB_ENCAP_UPLINK: (u8, 0x04, 28:24),
        /// Contexts of headers, log 2.
        LOG_MAX_PACKET_REFORMAT_CONTEXT: (u8, 0x04, 20:16),
        /// Bytes of headers that are put in front.
        MAX_ENCAP_HEADER_SIZE: (u16, 0x04, 9:0),
        /// Subfunctions of the NIC's own processor, log 2.
        LOG_MAX_ESW_SF: (u8, 0x08, 20:16),
        /// Number of the first of them.
        ESW_SF_BASE_ID: (u16, 0x08, 15:0),
    }
}
