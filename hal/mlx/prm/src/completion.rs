//! Entries of completion queues (`struct mlx5_cqe64` and `struct mlx5_err_cqe` in Linux's
//! `device.h`).

use crate::layout::{layout, values};

layout! {
    /// An entry of a completion queue: a packet was received or something was sent.
    CompletionEntry[0x40] {
        /// 0 not decrypted, 1 decrypted, 2 out of step, 3 wrong.
        TLS: (u8, 0x00, 28:27),
        /// There was an outer IP header.
        OUTER_L3: (bool, 0x00, 25:25),
        /// The packet was in a tunnel.
        TUNNELED: (bool, 0x00, 24:24),
        /// Striding receive queue: which entry.
        WQE_ID: (u16, 0x00, 15:0),
        /// A merged packet had the push flag.
        LRO_TCP_PUSH: (bool, 0x04, 30:30),
        /// Smallest time to live of the merged packets.
        LRO_MIN_TTL: (u8, 0x04, 23:16),
        /// Window of the last one.
        LRO_TCP_WINDOW: (u16, 0x04, 15:0),
        /// Acknowledgement of the last one.
        LRO_ACK_SEQ_NUM: (u32, 0x08, 31:0),
        /// The hash.
        RSS_HASH_RESULT: (u32, 0x0c, 31:0),
        /// What was hashed: bits 3:2 IP (1 v4, 2 v6), bits 7:6 layer 4 (1 TCP, 2 UDP, 3 IPsec); 0 =
        /// no hash.
        RSS_HASH_TYPE: (u8, 0x10, 31:24),
        /// Sum of the packet behind its Ethernet header.
        CHECKSUM: (u16, 0x14, 31:16),
        /// The header of layer 4 is sound and its checksum right.
        L4_OK: (bool, 0x1c, 26:26),
        /// The header of layer 3 is sound and its checksum right.
        L3_OK: (bool, 0x1c, 25:25),
        /// The header of layer 2 is sound.
        L2_OK: (bool, 0x1c, 24:24),
        /// It is a fragment.
        IP_FRAGMENT: (bool, 0x1c, 23:23),
        /// See [`L4Type`].
        L4_TYPE: (u8, 0x1c, 22:20),
        /// 0 none, 1 IPv6, 2 IPv4.
        L3_TYPE: (u8, 0x1c, 19:18),
        /// IP has options or extension headers.
        IP_OPTIONS: (bool, 0x1c, 17:17),
        /// `VLAN_TCI` was taken off the packet.
        VLAN_STRIPPED: (bool, 0x1c, 16:16),
        /// The VLAN tag.
        VLAN_TCI: (u16, 0x1c, 15:0),
        /// How many packets were merged; 0 and 1 = this is one packet.
        LRO_SEGMENTS: (u8, 0x20, 31:24),
        /// The queue's number for completions.
        USER_INDEX: (u32, 0x20, 23:0),
        /// Register B, which flow tables set.
        FLOW_TABLE_METADATA: (u32, 0x24, 31:0),
        /// Bytes of the packet.
        BYTE_COUNT: (u32, 0x2c, 31:0),
        /// When.
        TIMESTAMP: (u64, 0x30, 63:0),
        /// The opcode that was sent.
        SEND_OPCODE: (u8, 0x38, 31:24),
        /// Received: the number that the flow table's entry has. Sent: the queue.
        FLOW_TAG: (u32, 0x38, 23:0),
        /// The queue's entry.
        WQE_COUNTER: (u16, 0x3c, 31:16),
        /// Makes all bytes sum up (exclusive or) to 0xff.
        SIGNATURE: (u8, 0x3c, 15:8),
        /// See [`CompletionOpcode`].
        OPCODE: (u8, 0x3c, 7:4),
        /// 0 nothing is in the entry itself, 1 and 2 data is, 3 short completions follow.
        FORMAT: (u8, 0x3c, 3:2),
        /// An event was asked for.
        SOLICITED: (bool, 0x3c, 1:1),
        /// Changes each time round: the entry is new when this is the round's parity.
        OWNER: (bool, 0x3c, 0:0),
    }

    /// An entry of a completion queue: something has failed.
    ErrorEntry[0x40] {
        /// The queue's number for completions.
        SRQN: (u32, 0x20, 23:0),
        /// More about `VENDOR_SYNDROME`.
        HARDWARE_SYNDROME: (u8, 0x34, 31:24),
        /// What `HARDWARE_SYNDROME` is.
        HARDWARE_SYNDROME_TYPE: (u8, 0x34, 23:16),
        /// What exactly.
        VENDOR_SYNDROME: (u8, 0x34, 15:8),
        /// See [`CompletionSyndrome`].
        SYNDROME: (u8, 0x34, 7:0),
        /// The opcode that was sent.
        SEND_OPCODE: (u8, 0x38, 31:24),
        /// The queue.
        QPN: (u32, 0x38, 23:0),
        /// The queue's entry.
        WQE_COUNTER: (u16, 0x3c, 31:16),
        /// Makes all bytes sum up (exclusive or) to 0xff.
        SIGNATURE: (u8, 0x3c, 15:8),
        /// See [`CompletionOpcode`].
        OPCODE: (u8, 0x3c, 7:4),
        /// Changes each time round: the entry is new when this is the round's parity.
        OWNER: (bool, 0x3c, 0:0),
    }
}

/// The last byte of an entry that software has not given to the device yet: opcode
/// [`CompletionOpcode::Invalid`], owner 1.
pub const UNUSED_ENTRY: u8 = 0xf1;

values! {
    /// What an entry is about: [`CompletionEntry::OPCODE`].
    pub enum CompletionOpcode: u8 {
        /// A send queue's entry is done.
        Requester = 0x0,
        /// Written from the network, with a value.
        ResponderWriteImmediate = 0x1,
        /// A packet was received.
        Responder = 0x2,
        /// A packet was received, with a value.
        ResponderImmediate = 0x3,
        /// A packet was received and made a memory key invalid.
        ResponderInvalidate = 0x4,
        /// The queue has other memory from here on.
        Resize = 0x5,
        /// A signature was wrong.
        SignatureError = 0xc,
        /// A send queue's entry has failed.
        RequesterError = 0xd,
        /// A receive queue's entry has failed.
        ResponderError = 0xe,
        /// The device has not written it yet.
        Invalid = 0xf,
    }

    /// Layer 4 of a packet: [`CompletionEntry::L4_TYPE`].
    pub enum L4Type: u8 {
        /// Neither TCP nor UDP.
        None = 0,
        /// TCP that acknowledges nothing.
        TcpNoAck = 1,
        /// UDP.
        Udp = 2,
        /// TCP that acknowledges and has no data.
        TcpAckNoData = 3,
        /// TCP that acknowledges and has data.
        TcpAckAndData = 4,
    }

    /// Why something has failed: [`ErrorEntry::SYNDROME`].
    pub enum CompletionSyndrome: u8 {
        /// A length did not fit.
        LocalLength = 0x01,
        /// The queue did something impossible.
        LocalQueueOperation = 0x02,
        /// A memory key did not allow it.
        LocalProtection = 0x04,
        /// The queue is in error.
        Flushed = 0x05,
        /// A memory window could not be bound.
        MemoryWindowBind = 0x06,
        /// The answer made no sense.
        BadResponse = 0x10,
        /// The memory could not be reached.
        LocalAccess = 0x11,
        /// The other end called the request invalid.
        RemoteInvalidRequest = 0x12,
        /// The other end did not allow it.
        RemoteAccess = 0x13,
        /// The other end has failed.
        RemoteOperation = 0x14,
        /// Sent too often without an answer.
        TransportRetriesExceeded = 0x15,
        /// The other end was not ready too often.
        ReceiverNotReady = 0x16,
        /// The other end has given up.
        RemoteAborted = 0x22,
    }
}
