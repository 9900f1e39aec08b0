//! PPCNT: counters of a port.

use crate::layout::{layout, values};

layout! {
    /// PPCNT: counters of the port.
    PortCounters[0x100] {
        /// The switch.
        SWID: (u8, 0x00, 31:24),
        /// The port.
        LOCAL_PORT: (u8, 0x00, 23:16),
        /// What `LOCAL_PORT` counts: 0 ports of the device.
        PORT_NUMBER_TYPE: (u8, 0x00, 15:14),
        /// Which counters, see [`CounterGroup`].
        GROUP: (u8, 0x00, 5:0),
        /// Begin again at 0.
        CLEAR: (bool, 0x04, 31:31),
        /// Of which priority.
        PRIORITY: (u8, 0x04, 2:0),
        /// The counters, laid out as the group says.
        COUNTERS: ([u8; 0xf8], 0x08),
    }

    /// Counters of IEEE 802.3.
    Ieee8023Counters[0xf8] {
        /// Packets sent.
        FRAMES_TRANSMITTED_OK: (u64, 0x00, 63:0),
        /// Packets received.
        FRAMES_RECEIVED_OK: (u64, 0x08, 63:0),
        /// Received with a wrong frame check sequence.
        FRAME_CHECK_SEQUENCE_ERRORS: (u64, 0x10, 63:0),
        /// Received with half a byte too many.
        ALIGNMENT_ERRORS: (u64, 0x18, 63:0),
        /// Bytes sent.
        OCTETS_TRANSMITTED_OK: (u64, 0x20, 63:0),
        /// Bytes received.
        OCTETS_RECEIVED_OK: (u64, 0x28, 63:0),
        /// Multicast sent.
        MULTICAST_FRAMES_XMITTED_OK: (u64, 0x30, 63:0),
        /// Broadcast sent.
        BROADCAST_FRAMES_XMITTED_OK: (u64, 0x38, 63:0),
        /// Multicast received.
        MULTICAST_FRAMES_RECEIVED_OK: (u64, 0x40, 63:0),
        /// Broadcast received.
        BROADCAST_FRAMES_RECEIVED_OK: (u64, 0x48, 63:0),
        /// Received with a length other than the header says.
        IN_RANGE_LENGTH_ERRORS: (u64, 0x50, 63:0),
        /// Received with an impossible length in the header.
        OUT_OF_RANGE_LENGTH_FIELD: (u64, 0x58, 63:0),
        /// Received and too long.
        FRAME_TOO_LONG_ERRORS: (u64, 0x60, 63:0),
        /// Symbols that were wrong.
        SYMBOL_ERROR_DURING_CARRIER: (u64, 0x68, 63:0),
        /// Control frames sent.
        MAC_CONTROL_FRAMES_TRANSMITTED: (u64, 0x70, 63:0),
        /// Control frames received.
        MAC_CONTROL_FRAMES_RECEIVED: (u64, 0x78, 63:0),
        /// Unknown control frames received.
        UNSUPPORTED_OPCODES_RECEIVED: (u64, 0x80, 63:0),
        /// Pause frames received.
        PAUSE_MAC_CTRL_FRAMES_RECEIVED: (u64, 0x88, 63:0),
        /// Pause frames sent.
        PAUSE_MAC_CTRL_FRAMES_TRANSMITTED: (u64, 0x90, 63:0),
    }

    /// Counters of RFC 2863.
    Rfc2863Counters[0xf8] {
        /// Bytes received.
        IF_IN_OCTETS: (u64, 0x00, 63:0),
        /// Unicast received.
        IF_IN_UCAST_PKTS: (u64, 0x08, 63:0),
        /// Received and dropped for want of room.
        IF_IN_DISCARDS: (u64, 0x10, 63:0),
        /// Received with errors.
        IF_IN_ERRORS: (u64, 0x18, 63:0),
        /// Received for nobody.
        IF_IN_UNKNOWN_PROTOS: (u64, 0x20, 63:0),
        /// Bytes sent.
        IF_OUT_OCTETS: (u64, 0x28, 63:0),
        /// Unicast sent.
        IF_OUT_UCAST_PKTS: (u64, 0x30, 63:0),
        /// Not sent for want of room.
        IF_OUT_DISCARDS: (u64, 0x38, 63:0),
        /// Not sent because of errors.
        IF_OUT_ERRORS: (u64, 0x40, 63:0),
        /// Multicast received.
        IF_IN_MULTICAST_PKTS: (u64, 0x48, 63:0),
        /// Broadcast received.
        IF_IN_BROADCAST_PKTS: (u64, 0x50, 63:0),
        /// Multicast sent.
        IF_OUT_MULTICAST_PKTS: (u64, 0x58, 63:0),
        /// Broadcast sent.
        IF_OUT_BROADCAST_PKTS: (u64, 0x60, 63:0),
    }

    /// Counters of RFC 2819.
    Rfc2819Counters[0xf8] {
        /// Times that packets were dropped for want of room.
        ETHER_STATS_DROP_EVENTS: (u64, 0x00, 63:0),
        /// Bytes received.
        ETHER_STATS_OCTETS: (u64, 0x08, 63:0),
        /// Packets received.
        ETHER_STATS_PKTS: (u64, 0x10, 63:0),
        /// Broadcast received.
        ETHER_STATS_BROADCAST_PKTS: (u64, 0x18, 63:0),
        /// Multicast received.
        ETHER_STATS_MULTICAST_PKTS: (u64, 0x20, 63:0),
        /// Received with a wrong frame check sequence.
        ETHER_STATS_CRC_ALIGN_ERRORS: (u64, 0x28, 63:0),
        /// Received and too short.
        ETHER_STATS_UNDERSIZE_PKTS: (u64, 0x30, 63:0),
        /// Received and too long.
        ETHER_STATS_OVERSIZE_PKTS: (u64, 0x38, 63:0),
        /// Received, too short and wrong.
        ETHER_STATS_FRAGMENTS: (u64, 0x40, 63:0),
        /// Received, too long and wrong.
        ETHER_STATS_JABBERS: (u64, 0x48, 63:0),
        /// Collisions.
        ETHER_STATS_COLLISIONS: (u64, 0x50, 63:0),
        /// Packets of 64 bytes received.
        ETHER_STATS_PKTS64OCTETS: (u64, 0x58, 63:0),
        /// Packets of 65 to 127 bytes received.
        ETHER_STATS_PKTS65TO127OCTETS: (u64, 0x60, 63:0),
        /// Packets of 128 to 255 bytes received.
        ETHER_STATS_PKTS128TO255OCTETS: (u64, 0x68, 63:0),
        /// Packets of 256 to 511 bytes received.
        ETHER_STATS_PKTS256TO511OCTETS: (u64, 0x70, 63:0),
        /// Packets of 512 to 1023 bytes received.
        ETHER_STATS_PKTS512TO1023OCTETS: (u64, 0x78, 63:0),
        /// Packets of 1024 to 1518 bytes received.
        ETHER_STATS_PKTS1024TO1518OCTETS: (u64, 0x80, 63:0),
        /// Packets of 1519 to 2047 bytes received.
        ETHER_STATS_PKTS1519TO2047OCTETS: (u64, 0x88, 63:0),
        /// Packets of 2048 to 4095 bytes received.
        ETHER_STATS_PKTS2048TO4095OCTETS: (u64, 0x90, 63:0),
        /// Packets of 4096 to 8191 bytes received.
        ETHER_STATS_PKTS4096TO8191OCTETS: (u64, 0x98, 63:0),
        /// Packets of 8192 to 10239 bytes received.
        ETHER_STATS_PKTS8192TO10239OCTETS: (u64, 0xa0, 63:0),
    }

    /// The vendor's counters.
    EthernetExtendedCounters[0xf8] {
        /// Times that there was something to send and no credit.
        PORT_TRANSMIT_WAIT: (u64, 0x00, 63:0),
        /// Times that the buffer was almost full.
        RX_BUFFER_ALMOST_FULL: (u64, 0x28, 63:0),
        /// Times that the buffer was full.
        RX_BUFFER_FULL: (u64, 0x30, 63:0),
        /// Received with a wrong inner checksum of RoCE.
        RX_ICRC_ENCAPSULATED: (u64, 0x38, 63:0),
    }

    /// Counters of a priority.
    PerPriorityCounters[0xf8] {
        /// Bytes received.
        RX_OCTETS: (u64, 0x00, 63:0),
        /// Packets received.
        RX_FRAMES: (u64, 0x20, 63:0),
        /// Bytes sent.
        TX_OCTETS: (u64, 0x28, 63:0),
        /// Packets sent.
        TX_FRAMES: (u64, 0x48, 63:0),
        /// Pause frames received.
        RX_PAUSE: (u64, 0x50, 63:0),
        /// Microseconds paused by them.
        RX_PAUSE_DURATION: (u64, 0x58, 63:0),
        /// Pause frames sent.
        TX_PAUSE: (u64, 0x60, 63:0),
        /// Microseconds that they asked for.
        TX_PAUSE_DURATION: (u64, 0x68, 63:0),
        /// Times that a pause began.
        RX_PAUSE_TRANSITION: (u64, 0x70, 63:0),
        /// Received and dropped for want of room.
        RX_DISCARDS: (u64, 0x78, 63:0),
        /// Stalls that were long.
        DEVICE_STALL_MINOR_WATERMARK_CNT: (u64, 0x80, 63:0),
        /// Stalls that were too long.
        DEVICE_STALL_CRITICAL_WATERMARK_CNT: (u64, 0x88, 63:0),
    }

    /// Counters of the physical layer; those of lanes are left out.
    PhysicalLayerCounters[0xf8] {
        /// Milliseconds.
        TIME_SINCE_LAST_CLEAR: (u64, 0x00, 63:0),
        /// Symbols that were wrong.
        SYMBOL_ERRORS: (u64, 0x08, 63:0),
        /// Blocks that began wrong.
        SYNC_HEADERS_ERRORS: (u64, 0x10, 63:0),
        /// Blocks that were corrected.
        RS_FEC_CORRECTED_BLOCKS: (u64, 0x78, 63:0),
        /// Blocks that could not be corrected.
        RS_FEC_UNCORRECTABLE_BLOCKS: (u64, 0x80, 63:0),
        /// Blocks without an error.
        RS_FEC_NO_ERRORS_BLOCKS: (u64, 0x88, 63:0),
        /// Blocks with one error.
        RS_FEC_SINGLE_ERROR_BLOCKS: (u64, 0x90, 63:0),
        /// Symbols that were corrected.
        RS_FEC_CORRECTED_SYMBOLS_TOTAL: (u64, 0x98, 63:0),
        /// Times that the link went down.
        LINK_DOWN_EVENTS: (u32, 0xc0, 31:0),
        /// Times that it recovered.
        SUCCESSFUL_RECOVERY_EVENTS: (u32, 0xc4, 31:0),
    }

    /// Bits and their errors; those of lanes are left out.
    PhysicalStatisticalCounters[0xf8] {
        /// Milliseconds.
        TIME_SINCE_LAST_CLEAR: (u64, 0x00, 63:0),
        /// Bits received.
        RECEIVED_BITS: (u64, 0x08, 63:0),
        /// Symbols that could not be corrected.
        SYMBOL_ERRORS: (u64, 0x10, 63:0),
        /// Bits that were corrected.
        CORRECTED_BITS: (u64, 0x18, 63:0),
    }
}

values! {
    /// Which counters: [`PortCounters::GROUP`].
    pub enum CounterGroup: u8 {
        /// [`Ieee8023Counters`].
        Ieee8023 = 0x00,
        /// [`Rfc2863Counters`].
        Rfc2863 = 0x01,
        /// [`Rfc2819Counters`].
        Rfc2819 = 0x02,
        /// RFC 3635.
        Rfc3635 = 0x03,
        /// [`EthernetExtendedCounters`].
        EthernetExtended = 0x05,
        /// Discards by reason.
        EthernetDiscard = 0x06,
        /// [`PerPriorityCounters`].
        PerPriority = 0x10,
        /// By traffic class.
        PerTrafficClass = 0x11,
        /// [`PhysicalLayerCounters`].
        PhysicalLayer = 0x12,
        /// By traffic class, congestion.
        PerTrafficClassCongestion = 0x13,
        /// [`PhysicalStatisticalCounters`].
        PhysicalStatistical = 0x16,
    }
}
