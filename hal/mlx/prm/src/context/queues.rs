//! Contexts of work queues and of what stands before and behind them: send and receive queues,
//! tables of receive queues, transport interfaces.

use crate::layout::{layout, values};

layout! {
    /// A ring of work queue entries in memory, part of [`SqContext`], [`RqContext`] and
    /// [`RmpContext`].
    WorkQueue[0xc0] {
        /// See [`WqType`].
        WQ_TYPE: (u8, 0x00, 31:28),
        /// Entries are signed.
        WQ_SIGNATURE: (bool, 0x00, 27:27),
        /// What is written is filled up to: 0 nothing, 1 the cache line.
        END_PADDING_MODE: (u8, 0x00, 26:25),
        /// Another queue says when entries are worked on.
        CD_SLAVE: (bool, 0x00, 24:24),
        /// Payload goes to the second segment.
        HDS_SKIP_FIRST_SGE: (bool, 0x04, 31:31),
        /// Bytes for headers before the payload, log 2.
        LOG2_HDS_BUF_SIZE: (u8, 0x04, 30:28),
        /// Where in the first page the first entry is, in units of 64 bytes.
        PAGE_OFFSET: (u8, 0x04, 20:16),
        /// An event is due when fewer entries than this are left.
        LIMIT_WATER_MARK: (u16, 0x04, 15:0),
        /// Protection domain.
        PD: (u32, 0x08, 23:0),
        /// The UAR page whose doorbells are for this queue.
        UAR_PAGE: (u32, 0x0c, 23:0),
        /// Address of the doorbell record.
        DOORBELL_RECORD: (u64, 0x10, 63:0),
        /// How far the device is.
        HW_COUNTER: (u32, 0x18, 31:0),
        /// How far software is.
        SW_COUNTER: (u32, 0x1c, 31:0),
        /// Bytes from one entry to the next, log 2.
        LOG_WQ_STRIDE: (u8, 0x20, 19:16),
        /// Size of the pages of its memory, log 2, less 12.
        LOG_WQ_PAGE_SIZE: (u8, 0x20, 12:8),
        /// Entries, log 2.
        LOG_WQ_SIZE: (u8, 0x20, 4:0),
        /// The doorbell record is in a memory registered by its user.
        DBR_UMEM_VALID: (bool, 0x24, 31:31),
        /// The ring is in a memory registered by its user.
        WQ_UMEM_VALID: (bool, 0x24, 30:30),
        /// Hairpin: how many packets, log 2.
        LOG_HAIRPIN_NUM_PACKETS: (u8, 0x24, 28:24),
        /// Hairpin: how many bytes, log 2.
        LOG_HAIRPIN_DATA_SZ: (u8, 0x24, 20:16),
        /// Strides in an entry, log 2, less 9.
        LOG_WQE_NUM_OF_STRIDES: (u8, 0x24, 11:8),
        /// Packets begin at the third byte.
        TWO_BYTE_SHIFT_EN: (bool, 0x24, 7:7),
        /// Bytes of a stride, log 2, less 6.
        LOG_WQE_STRIDE_SIZE: (u8, 0x24, 2:0),
        /// Memory key of the buffer for headers.
        HEADERS_MKEY: (u32, 0x38, 31:0),
        /// Headers are split off and packets of a stream merged.
        SHAMPO_ENABLE: (bool, 0x3c, 31:31),
        /// Bytes kept for a stream, log 2, less 12.
        LOG_RESERVATION_SIZE: (u8, 0x3c, 26:24),
        /// Most packets merged, log 2.
        LOG_MAX_NUM_OF_PACKETS_PER_RESERVATION: (u8, 0x3c, 18:16),
        /// Bytes for a packet's headers, log 2, less 5.
        LOG_HEADERS_ENTRY_SIZE: (u8, 0x3c, 9:8),
        /// Entries of the buffer for headers, log 2.
        LOG_HEADERS_BUFFER_ENTRY_NUM: (u8, 0x3c, 3:0),
    }

    /// A send queue.
    SqContext[0xf0] {
        /// The reserved memory key may be used.
        RESERVED_LKEY: (bool, 0x00, 31:31),
        /// It says when another queue's entries are worked on.
        CD_MASTER: (bool, 0x00, 30:30),
        /// Fast registration is allowed.
        FRE: (bool, 0x00, 29:29),
        /// In state error its entries are completed with an error.
        FLUSH_IN_ERROR_EN: (bool, 0x00, 28:28),
        /// An entry may hold several packets.
        ALLOW_MULTI_PKT_SEND_WQE: (bool, 0x00, 27:27),
        /// How many headers must stand in the entry itself.
        MIN_WQE_INLINE_MODE: (u8, 0x00, 26:24),
        /// See [`QueueState`].
        STATE: (u8, 0x00, 23:20),
        /// Entries may change memory keys.
        REG_UMR: (bool, 0x00, 19:19),
        /// Entries may say where headers are.
        ALLOW_SWP: (bool, 0x00, 18:18),
        /// Packets come from a receive queue rather than from memory.
        HAIRPIN: (bool, 0x00, 17:17),
        /// Of completions: 0 free running, 1 as set, 2 real time.
        TIMESTAMP_FORMAT: (u8, 0x00, 5:4),
        /// A number for completions, for software to choose.
        USER_INDEX: (u32, 0x04, 23:0),
        /// The queue for completions.
        CQN: (u32, 0x08, 23:0),
        /// The receive queue that packets come from.
        HAIRPIN_PEER_RQ: (u32, 0x0c, 23:0),
        /// The function it belongs to.
        HAIRPIN_PEER_VHCA: (u16, 0x10, 15:0),
        /// A further queue for completions with timestamps.
        TS_CQE_TO_DEST_CQN: (u32, 0x18, 23:0),
        /// The rate limit.
        PACKET_PACING_RATE_LIMIT_INDEX: (u16, 0x1c, 15:0),
        /// How many transport interfaces there are: 1.
        TIS_LIST_SIZE: (u16, 0x20, 31:16),
        /// The group that it is scheduled in.
        QOS_QUEUE_GROUP_ID: (u16, 0x20, 15:0),
        /// The transport interface.
        TIS_NUM_0: (u32, 0x2c, 23:0),
        /// The ring.
        WQ: (WorkQueue, 0x30),
    }

    /// A receive queue.
    RqContext[0xf0] {
        /// The reserved memory key may be used.
        RESERVED_LKEY: (bool, 0x00, 31:31),
        /// Packets wait for a while when there is no entry.
        DELAY_DROP_EN: (bool, 0x00, 30:30),
        /// Packets are written with their frame check sequence.
        SCATTER_FCS: (bool, 0x00, 29:29),
        /// VLAN tags stay in the packet.
        VLAN_STRIP_DISABLE: (bool, 0x00, 28:28),
        /// 0 it has a ring of its own, 1 it takes entries from a memory pool.
        MEMORY_RQ_TYPE: (u8, 0x00, 27:24),
        /// See [`QueueState`].
        STATE: (u8, 0x00, 23:20),
        /// In state error its entries are completed with an error.
        FLUSH_IN_ERROR_EN: (bool, 0x00, 18:18),
        /// Packets go to a send queue rather than to memory.
        HAIRPIN: (bool, 0x00, 17:17),
        /// Of completions: 0 free running, 1 as set, 2 real time.
        TIMESTAMP_FORMAT: (u8, 0x00, 5:4),
        /// A number for completions, for software to choose.
        USER_INDEX: (u32, 0x04, 23:0),
        /// The queue for completions.
        CQN: (u32, 0x08, 23:0),
        /// The counters that count what it lacks.
        COUNTER_SET_ID: (u8, 0x0c, 31:24),
        /// The memory pool.
        RMPN: (u32, 0x10, 23:0),
        /// The send queue that packets go to.
        HAIRPIN_PEER_SQ: (u32, 0x14, 23:0),
        /// The function it belongs to.
        HAIRPIN_PEER_VHCA: (u16, 0x18, 15:0),
        /// Where a new stream begins: 0 anywhere, 1 page, 2 stride.
        SHAMPO_NO_MATCH_ALIGNMENT_GRANULARITY: (u8, 0x24, 25:24),
        /// Which packets are of one stream: 0 none, 1 equal headers.
        SHAMPO_MATCH_CRITERIA_TYPE: (u8, 0x24, 17:16),
        /// How long a stream is waited for.
        RESERVATION_TIMEOUT: (u16, 0x24, 15:0),
        /// The ring.
        WQ: (WorkQueue, 0x30),
    }

    /// A memory pool of receive queue entries.
    RmpContext[0xf0] {
        /// 1 it works, 3 in error.
        STATE: (u8, 0x00, 23:20),
        /// Entries are data segments only.
        BASIC_CYCLIC_RCV_WQE: (bool, 0x04, 31:31),
        /// The ring.
        WQ: (WorkQueue, 0x30),
    }

    /// A table of receive queues, which a hash looks up; their numbers follow it ([`RqNumber`]).
    RqtContext[0xf0] {
        /// What is in the list: 0 receive queues, 1 virtio queues.
        LIST_Q_TYPE: (u8, 0x14, 26:24),
        /// Most queues.
        RQT_MAX_SIZE: (u16, 0x14, 15:0),
        /// Each number has the function beside it.
        RQ_VHCA_ID_FORMAT: (bool, 0x18, 31:31),
        /// How many queues.
        RQT_ACTUAL_SIZE: (u16, 0x18, 15:0),
    }

    /// A receive queue in a table.
    RqNumber[0x4] {
        /// Its number.
        NUMBER: (u32, 0x00, 23:0),
    }

    /// A transport interface for receiving: how packets are spread over receive queues.
    TirContext[0xf0] {
        /// 0 to the queue in `INLINE_RQN`, 1 by hash to the table in `INDIRECT_TABLE`.
        DISPATCH_TYPE: (u8, 0x04, 31:28),
        /// TLS records are decrypted.
        TLS_EN: (bool, 0x04, 27:27),
        /// How long a packet may wait for more of its stream, in microseconds.
        LRO_TIMEOUT_PERIOD_USECS: (u16, 0x10, 27:12),
        /// What is merged: bit 0 IPv4, bit 1 IPv6; both = headers are split off.
        PACKET_MERGE_MASK: (u8, 0x10, 11:8),
        /// Longest packet that is made by merging, in units of 256 bytes.
        LRO_MAX_IP_PAYLOAD_SIZE: (u8, 0x10, 7:0),
        /// The queue.
        INLINE_RQN: (u32, 0x1c, 23:0),
        /// Both directions of a connection have one hash.
        RX_HASH_SYMMETRIC: (bool, 0x20, 31:31),
        /// Look into tunnels.
        TUNNELED_OFFLOAD_EN: (bool, 0x20, 29:29),
        /// The table of queues.
        INDIRECT_TABLE: (u32, 0x20, 23:0),
        /// 0 none, 1 exclusive or of bytes, 2 Toeplitz.
        RX_HASH_FUNCTION: (u8, 0x24, 31:28),
        /// What of the own sending is received, whatever the name says: bit 0 unicast, bit 1
        /// multicast. Linux, rdma-core and DPDK set a bit to receive.
        SELF_LB_BLOCK: (u8, 0x24, 25:24),
        /// The domain that it belongs to.
        TRANSPORT_DOMAIN: (u32, 0x24, 23:0),
        /// The key of the hash.
        RX_HASH_TOEPLITZ_KEY: ([u8; 40], 0x28),
        /// What is hashed of the outer headers.
        RX_HASH_OUTER: (RxHashFields, 0x50),
        /// What is hashed of the inner headers.
        RX_HASH_INNER: (RxHashFields, 0x54),
    }

    /// What goes into a hash.
    RxHashFields[0x4] {
        /// 0 IPv4, 1 IPv6.
        L3_PROTOCOL: (bool, 0x00, 31:31),
        /// 0 TCP, 1 UDP.
        L4_PROTOCOL: (bool, 0x00, 30:30),
        /// Bits: 0 source address, 1 destination address, 2 source port, 3 destination port, 4 SPI
        /// of IPsec.
        SELECTED_FIELDS: (u32, 0x00, 29:0),
    }

    /// A transport interface for sending: what send queues have in common.
    TisContext[0xa0] {
        /// The port of the bond is kept even when it is down.
        STRICT_LAG_TX_PORT_AFFINITY: (bool, 0x00, 31:31),
        /// TLS records are encrypted.
        TLS_EN: (bool, 0x00, 30:30),
        /// The port of the bond that packets leave by; 0 = any.
        LAG_TX_PORT_AFFINITY: (u8, 0x00, 27:24),
        /// The priority, times 2.
        PRIORITY: (u8, 0x00, 19:16),
        /// The domain that it belongs to.
        TRANSPORT_DOMAIN: (u32, 0x24, 23:0),
        /// The queue pair below, on InfiniBand.
        UNDERLAY_QPN: (u32, 0x28, 23:0),
        /// Protection domain.
        PD: (u32, 0x2c, 23:0),
    }
}

values! {
    /// What a ring's entries are like: [`WorkQueue::WQ_TYPE`].
    pub enum WqType: u8 {
        /// Each entry names the next.
        Linked = 0,
        /// One after the other.
        Cyclic = 1,
        /// Linked, an entry is for many packets.
        LinkedStriding = 2,
        /// Cyclic, an entry is for many packets.
        CyclicStriding = 3,
    }

    /// How a send or receive queue is: [`SqContext::STATE`], [`RqContext::STATE`].
    pub enum QueueState: u8 {
        /// Made, does nothing.
        Reset = 0,
        /// Works.
        Ready = 1,
        /// Has met an error or was put aside.
        Error = 3,
    }
}
