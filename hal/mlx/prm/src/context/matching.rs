//! What flow tables match: [`MatchParameters`], 512 bytes in sections of 64. As a group's mask
//! they say which bits are looked at, as an entry's value what those have to be.

use crate::layout::layout;

layout! {
    /// Everything that can be matched.
    MatchParameters[0x200] {
        /// The outer headers, layers 2 to 4.
        OUTER_HEADERS: (MatchHeaders, 0x00),
        /// Where a packet comes from; tunnels.
        MISC: (MatchMisc, 0x40),
        /// The inner headers, layers 2 to 4.
        INNER_HEADERS: (MatchHeaders, 0x80),
        /// MPLS and registers.
        MISC_2: (MatchMisc2, 0xc0),
        /// TCP's numbers, ICMP, more tunnels.
        MISC_3: (MatchMisc3, 0x100),
        /// Samples of the programmable parser.
        MISC_4: (MatchMisc4, 0x140),
        /// Headers of tunnels, raw.
        MISC_5: (MatchMisc5, 0x180),
    }

    /// Headers of layers 2 to 4.
    MatchHeaders[0x40] {
        /// Source of the Ethernet header.
        SMAC: (u64, 0x00, 63:16),
        /// EtherType behind all VLAN tags.
        ETHERTYPE: (u16, 0x04, 15:0),
        /// Destination of the Ethernet header.
        DMAC: (u64, 0x08, 63:16),
        /// Priority of the first VLAN tag.
        FIRST_PRIO: (u8, 0x0c, 15:13),
        /// Drop eligible, of the first VLAN tag.
        FIRST_CFI: (bool, 0x0c, 12:12),
        /// VLAN id of the first VLAN tag.
        FIRST_VID: (u16, 0x0c, 11:0),
        /// Protocol of layer 4.
        IP_PROTOCOL: (u8, 0x10, 31:24),
        /// Differentiated services.
        IP_DSCP: (u8, 0x10, 23:18),
        /// Explicit congestion notification.
        IP_ECN: (u8, 0x10, 17:16),
        /// The first VLAN tag is one of 0x8100.
        CVLAN_TAG: (bool, 0x10, 15:15),
        /// The first VLAN tag is one of 0x88a8.
        SVLAN_TAG: (bool, 0x10, 14:14),
        /// It is a fragment.
        FRAG: (bool, 0x10, 13:13),
        /// 4 or 6; 0 = no IP.
        IP_VERSION: (u8, 0x10, 12:9),
        /// Flags of TCP, the lowest nine.
        TCP_FLAGS: (u16, 0x10, 8:0),
        /// Source port of TCP.
        TCP_SPORT: (u16, 0x14, 31:16),
        /// Destination port of TCP.
        TCP_DPORT: (u16, 0x14, 15:0),
        /// Header length of IPv4, in units of 4 bytes.
        IPV4_IHL: (u8, 0x18, 15:12),
        /// The header of layer 3 is sound.
        L3_OK: (bool, 0x18, 11:11),
        /// The header of layer 4 is sound.
        L4_OK: (bool, 0x18, 10:10),
        /// The checksum of IPv4 is right.
        IPV4_CHECKSUM_OK: (bool, 0x18, 9:9),
        /// The checksum of layer 4 is right.
        L4_CHECKSUM_OK: (bool, 0x18, 8:8),
        /// Time to live or hop limit.
        TTL_HOPLIMIT: (u8, 0x18, 7:0),
        /// Source port of UDP.
        UDP_SPORT: (u16, 0x1c, 31:16),
        /// Destination port of UDP.
        UDP_DPORT: (u16, 0x1c, 15:0),
        /// Source address; one of IPv4 stands in the lower 32 bits.
        SRC_IP: (u128, 0x20, 127:0),
        /// Destination address; one of IPv4 stands in the lower 32 bits.
        DST_IP: (u128, 0x30, 127:0),
    }

    /// Where a packet comes from; second VLAN tags; GRE, VXLAN, Geneve, InfiniBand, IPsec.
    MatchMisc[0x40] {
        /// GRE has a checksum.
        GRE_C_PRESENT: (bool, 0x00, 31:31),
        /// GRE has a key.
        GRE_K_PRESENT: (bool, 0x00, 29:29),
        /// GRE has a sequence number.
        GRE_S_PRESENT: (bool, 0x00, 28:28),
        /// The port that it came in by.
        SOURCE_VHCA_PORT: (u8, 0x00, 27:24),
        /// The send queue that it came from.
        SOURCE_SQN: (u32, 0x00, 23:0),
        /// The function whose e-switch `SOURCE_PORT` belongs to.
        SOURCE_ESWITCH_OWNER_VHCA_ID: (u16, 0x04, 31:16),
        /// The vport that it came from.
        SOURCE_PORT: (u16, 0x04, 15:0),
        /// Priority of the second outer VLAN tag.
        OUTER_SECOND_PRIO: (u8, 0x08, 31:29),
        /// Drop eligible, of the second outer VLAN tag.
        OUTER_SECOND_CFI: (bool, 0x08, 28:28),
        /// VLAN id of the second outer VLAN tag.
        OUTER_SECOND_VID: (u16, 0x08, 27:16),
        /// Priority of the second inner VLAN tag.
        INNER_SECOND_PRIO: (u8, 0x08, 15:13),
        /// Drop eligible, of the second inner VLAN tag.
        INNER_SECOND_CFI: (bool, 0x08, 12:12),
        /// VLAN id of the second inner VLAN tag.
        INNER_SECOND_VID: (u16, 0x08, 11:0),
        /// The second outer VLAN tag is one of 0x8100.
        OUTER_SECOND_CVLAN_TAG: (bool, 0x0c, 31:31),
        /// The second inner VLAN tag is one of 0x8100.
        INNER_SECOND_CVLAN_TAG: (bool, 0x0c, 30:30),
        /// The second outer VLAN tag is one of 0x88a8.
        OUTER_SECOND_SVLAN_TAG: (bool, 0x0c, 29:29),
        /// The second inner VLAN tag is one of 0x88a8.
        INNER_SECOND_SVLAN_TAG: (bool, 0x0c, 28:28),
        /// Protocol of GRE.
        GRE_PROTOCOL: (u16, 0x0c, 15:0),
        /// Key of GRE; NVGRE has its network in the upper 24 bits.
        GRE_KEY: (u32, 0x10, 31:0),
        /// Network of VXLAN.
        VXLAN_VNI: (u32, 0x14, 31:8),
        /// Opcode of the InfiniBand transport.
        BTH_OPCODE: (u8, 0x14, 7:0),
        /// Network of Geneve.
        GENEVE_VNI: (u32, 0x18, 31:8),
        /// The port of the bond that it came in by.
        LAG_RX_PORT_AFFINITY: (u8, 0x18, 7:4),
        /// The Geneve option that was registered is there.
        GENEVE_TLV_OPTION_0_EXIST: (bool, 0x18, 1:1),
        /// Geneve's flag of control packets.
        GENEVE_OAM: (bool, 0x18, 0:0),
        /// Flow label of the outer IPv6 header.
        OUTER_IPV6_FLOW_LABEL: (u32, 0x1c, 19:0),
        /// Flow label of the inner IPv6 header.
        INNER_IPV6_FLOW_LABEL: (u32, 0x20, 19:0),
        /// Length of Geneve's options, in units of 4 bytes.
        GENEVE_OPT_LEN: (u8, 0x24, 21:16),
        /// Protocol in Geneve.
        GENEVE_PROTOCOL_TYPE: (u16, 0x24, 15:0),
        /// Queue pair of the InfiniBand transport.
        BTH_DST_QP: (u32, 0x28, 23:0),
        /// Security parameters index of the inner IPsec header.
        INNER_ESP_SPI: (u32, 0x2c, 31:0),
        /// Security parameters index of the outer IPsec header.
        OUTER_ESP_SPI: (u32, 0x30, 31:0),
    }

    /// MPLS and registers.
    MatchMisc2[0x40] {
        /// The first label of the outer headers.
        OUTER_FIRST_MPLS: (MatchMpls, 0x00),
        /// The first label of the inner headers.
        INNER_FIRST_MPLS: (MatchMpls, 0x04),
        /// The first label behind GRE.
        OUTER_FIRST_MPLS_OVER_GRE: (MatchMpls, 0x08),
        /// The first label behind UDP.
        OUTER_FIRST_MPLS_OVER_UDP: (MatchMpls, 0x0c),
        /// Register C 7.
        METADATA_REG_C_7: (u32, 0x10, 31:0),
        /// Register C 6.
        METADATA_REG_C_6: (u32, 0x14, 31:0),
        /// Register C 5.
        METADATA_REG_C_5: (u32, 0x18, 31:0),
        /// Register C 4.
        METADATA_REG_C_4: (u32, 0x1c, 31:0),
        /// Register C 3.
        METADATA_REG_C_3: (u32, 0x20, 31:0),
        /// Register C 2.
        METADATA_REG_C_2: (u32, 0x24, 31:0),
        /// Register C 1.
        METADATA_REG_C_1: (u32, 0x28, 31:0),
        /// Register C 0.
        METADATA_REG_C_0: (u32, 0x2c, 31:0),
        /// Register A, which a send queue's entry sets.
        METADATA_REG_A: (u32, 0x30, 31:0),
        /// What MACsec found.
        MACSEC_SYNDROME: (u8, 0x34, 23:16),
    }

    /// An MPLS label.
    MatchMpls[0x4] {
        /// The label.
        LABEL: (u32, 0x00, 31:12),
        /// Traffic class.
        EXP: (u8, 0x00, 11:9),
        /// Bottom of the stack.
        BOS: (bool, 0x00, 8:8),
        /// Time to live.
        TTL: (u8, 0x00, 7:0),
    }

    /// TCP's numbers, VXLAN-GPE, ICMP, a Geneve option, GTP.
    MatchMisc3[0x40] {
        /// Sequence number of the inner TCP header.
        INNER_TCP_SEQ_NUM: (u32, 0x00, 31:0),
        /// Sequence number of the outer TCP header.
        OUTER_TCP_SEQ_NUM: (u32, 0x04, 31:0),
        /// Acknowledgement of the inner TCP header.
        INNER_TCP_ACK_NUM: (u32, 0x08, 31:0),
        /// Acknowledgement of the outer TCP header.
        OUTER_TCP_ACK_NUM: (u32, 0x0c, 31:0),
        /// Network of VXLAN-GPE.
        OUTER_VXLAN_GPE_VNI: (u32, 0x10, 23:0),
        /// Protocol in VXLAN-GPE.
        OUTER_VXLAN_GPE_NEXT_PROTOCOL: (u8, 0x14, 31:24),
        /// Flags of VXLAN-GPE.
        OUTER_VXLAN_GPE_FLAGS: (u8, 0x14, 23:16),
        /// Second word of the ICMP header.
        ICMP_HEADER_DATA: (u32, 0x18, 31:0),
        /// Second word of the ICMPv6 header.
        ICMPV6_HEADER_DATA: (u32, 0x1c, 31:0),
        /// Type of ICMP.
        ICMP_TYPE: (u8, 0x20, 31:24),
        /// Code of ICMP.
        ICMP_CODE: (u8, 0x20, 23:16),
        /// Type of ICMPv6.
        ICMPV6_TYPE: (u8, 0x20, 15:8),
        /// Code of ICMPv6.
        ICMPV6_CODE: (u8, 0x20, 7:0),
        /// Data of the Geneve option that was registered.
        GENEVE_TLV_OPTION_0_DATA: (u32, 0x24, 31:0),
        /// Tunnel of GTP-U.
        GTPU_TEID: (u32, 0x28, 31:0),
        /// Message type of GTP-U.
        GTPU_MSG_TYPE: (u8, 0x2c, 31:24),
        /// Flags of GTP-U.
        GTPU_MSG_FLAGS: (u8, 0x2c, 23:16),
        /// Third word of GTP-U.
        GTPU_DW_2: (u32, 0x30, 31:0),
        /// First word of GTP-U's first extension.
        GTPU_FIRST_EXT_DW_0: (u32, 0x34, 31:0),
        /// First word of GTP-U.
        GTPU_DW_0: (u32, 0x38, 31:0),
    }

    /// Samples of the programmable parser, each with the number of its sampler.
    MatchMisc4[0x40] {
        /// The first sample.
        PROG_SAMPLE_FIELD_VALUE_0: (u32, 0x00, 31:0),
        /// Its sampler.
        PROG_SAMPLE_FIELD_ID_0: (u32, 0x04, 31:0),
        /// The second sample.
        PROG_SAMPLE_FIELD_VALUE_1: (u32, 0x08, 31:0),
        /// Its sampler.
        PROG_SAMPLE_FIELD_ID_1: (u32, 0x0c, 31:0),
        /// The third sample.
        PROG_SAMPLE_FIELD_VALUE_2: (u32, 0x10, 31:0),
        /// Its sampler.
        PROG_SAMPLE_FIELD_ID_2: (u32, 0x14, 31:0),
        /// The fourth sample.
        PROG_SAMPLE_FIELD_VALUE_3: (u32, 0x18, 31:0),
        /// Its sampler.
        PROG_SAMPLE_FIELD_ID_3: (u32, 0x1c, 31:0),
        /// The fifth sample.
        PROG_SAMPLE_FIELD_VALUE_4: (u32, 0x20, 31:0),
        /// Its sampler.
        PROG_SAMPLE_FIELD_ID_4: (u32, 0x24, 31:0),
        /// The sixth sample.
        PROG_SAMPLE_FIELD_VALUE_5: (u32, 0x28, 31:0),
        /// Its sampler.
        PROG_SAMPLE_FIELD_ID_5: (u32, 0x2c, 31:0),
        /// The seventh sample.
        PROG_SAMPLE_FIELD_VALUE_6: (u32, 0x30, 31:0),
        /// Its sampler.
        PROG_SAMPLE_FIELD_ID_6: (u32, 0x34, 31:0),
        /// The eighth sample.
        PROG_SAMPLE_FIELD_VALUE_7: (u32, 0x38, 31:0),
        /// Its sampler.
        PROG_SAMPLE_FIELD_ID_7: (u32, 0x3c, 31:0),
    }

    /// Headers of MACsec and of tunnels, raw.
    MatchMisc5[0x40] {
        /// First word of the MACsec tag.
        MACSEC_TAG_0: (u32, 0x00, 31:0),
        /// Second word of the MACsec tag.
        MACSEC_TAG_1: (u32, 0x04, 31:0),
        /// Third word of the MACsec tag.
        MACSEC_TAG_2: (u32, 0x08, 31:0),
        /// Fourth word of the MACsec tag.
        MACSEC_TAG_3: (u32, 0x0c, 31:0),
        /// First word of the tunnel's header.
        TUNNEL_HEADER_0: (u32, 0x10, 31:0),
        /// Second word of the tunnel's header.
        TUNNEL_HEADER_1: (u32, 0x14, 31:0),
        /// Third word of the tunnel's header.
        TUNNEL_HEADER_2: (u32, 0x18, 31:0),
        /// Fourth word of the tunnel's header.
        TUNNEL_HEADER_3: (u32, 0x1c, 31:0),
    }
}
