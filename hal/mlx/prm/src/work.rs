//! Work queue entries: what software gives to send and receive queues (Linux's `qp.h`).
//!
//! An entry of a send queue is a list of segments of 16 bytes, in blocks of 64: a
//! [`ControlSegment`], then for packets an [`EthernetSegment`] with the headers that stand in the
//! entry itself, then a [`DataSegment`] for each piece of memory. An entry of a receive queue is
//! data segments alone, behind a [`NextSegment`] if entries are linked.

use crate::layout::{layout, values};

layout! {
    /// How each entry of a send queue begins.
    ControlSegment[0x10] {
        /// Depends on the opcode.
        OPCODE_MODIFIER: (u8, 0x00, 31:24),
        /// The queue's producer counter.
        WQE_INDEX: (u16, 0x00, 23:8),
        /// See [`WorkOpcode`].
        OPCODE: (u8, 0x00, 7:0),
        /// The queue.
        QPN: (u32, 0x04, 31:8),
        /// How long the entry is, this segment included, in units of 16 bytes.
        SEGMENTS: (u8, 0x04, 5:0),
        /// Makes all bytes of the entry sum up (exclusive or) to 0xff.
        SIGNATURE: (u8, 0x08, 31:24),
        /// What is waited for: 0 nothing, 1 local invalidations, 2 reads, 3 order is strict, 4
        /// both.
        FENCE: (u8, 0x08, 7:5),
        /// See [`CompletionMode`].
        COMPLETION: (u8, 0x08, 3:2),
        /// The other end gets an event.
        SOLICITED: (bool, 0x08, 1:1),
        /// A value, or the memory key or transport interface that the entry is about.
        IMMEDIATE: (u32, 0x0c, 31:0),
    }

    /// What is done with a packet that is sent.
    EthernetSegment[0x10] {
        /// Where the outer header of layer 4 is, in units of 2 bytes.
        SWP_OUTER_L4_OFFSET: (u8, 0x00, 31:24),
        /// Where the outer header of layer 3 is.
        SWP_OUTER_L3_OFFSET: (u8, 0x00, 23:16),
        /// Where the inner header of layer 4 is.
        SWP_INNER_L4_OFFSET: (u8, 0x00, 15:8),
        /// Where the inner header of layer 3 is.
        SWP_INNER_L3_OFFSET: (u8, 0x00, 7:0),
        /// Put in the checksum of the outer layer 4.
        L4_CHECKSUM: (bool, 0x04, 31:31),
        /// Put in the checksum of the outer layer 3.
        L3_CHECKSUM: (bool, 0x04, 30:30),
        /// Put in the checksum of the inner layer 4.
        INNER_L4_CHECKSUM: (bool, 0x04, 29:29),
        /// Put in the checksum of the inner layer 3.
        INNER_L3_CHECKSUM: (bool, 0x04, 28:28),
        /// The outer layer 4 is UDP.
        SWP_OUTER_L4_UDP: (bool, 0x04, 21:21),
        /// The outer layer 3 is IPv6.
        SWP_OUTER_L3_IPV6: (bool, 0x04, 20:20),
        /// The inner layer 4 is UDP.
        SWP_INNER_L4_UDP: (bool, 0x04, 17:17),
        /// The inner layer 3 is IPv6.
        SWP_INNER_L3_IPV6: (bool, 0x04, 16:16),
        /// [`WorkOpcode::Lso`]: most bytes of data in a packet.
        MSS: (u16, 0x04, 15:0),
        /// Register A for flow tables.
        FLOW_TABLE_METADATA: (u32, 0x08, 31:0),
        /// Put in the VLAN tag in `INLINE_HEADER_START`.
        INSERT_VLAN: (bool, 0x0c, 31:31),
        /// How many bytes of headers stand in the entry; with `INSERT_VLAN`, 1 = the tag is one of
        /// 0x88a8.
        INLINE_HEADER_SIZE: (u16, 0x0c, 25:16),
        /// The first two bytes of headers, the others follow; with `INSERT_VLAN`, the tag.
        INLINE_HEADER_START: (u16, 0x0c, 15:0),
    }

    /// A piece of memory.
    DataSegment[0x10] {
        /// Not memory: the bytes stand behind this word.
        INLINE: (bool, 0x00, 31:31),
        /// How many bytes.
        BYTE_COUNT: (u32, 0x00, 30:0),
        /// Memory key; [`LIST_END_LKEY`] and no bytes end a list that is shorter than the entry.
        LKEY: (u32, 0x04, 31:0),
        /// Where.
        ADDRESS: (u64, 0x08, 63:0),
    }

    /// How entries of a linked receive queue begin.
    NextSegment[0x10] {
        /// The next entry.
        NEXT_WQE_INDEX: (u16, 0x00, 15:0),
        /// Makes all bytes of the entry sum up (exclusive or) to 0xff.
        SIGNATURE: (u8, 0x04, 31:24),
    }

    /// [`WorkOpcode::Umr`]: what changes in a memory key; a memory key's context follows.
    UmrControlSegment[0x30] {
        /// The translations stand in the entry.
        INLINE: (bool, 0x00, 31:31),
        /// The key has to be free.
        CHECK_FREE: (bool, 0x00, 30:30),
        /// The key has to be in use.
        CHECK_NOT_FREE: (bool, 0x00, 29:29),
        /// `TRANSLATION_OFFSET` is to be looked at.
        TRANSLATION_OFFSET_ENABLE: (bool, 0x00, 28:28),
        /// How many translations, in units of 16 bytes.
        TRANSLATION_OCTOWORDS: (u16, 0x04, 31:16),
        /// The first one that changes, in units of 16 bytes.
        TRANSLATION_OFFSET: (u16, 0x04, 15:0),
        /// Which fields of the context change.
        MKEY_MASK: (u64, 0x08, 63:0),
        /// Upper bits of `TRANSLATION_OFFSET`.
        TRANSLATION_OFFSET_47_16: (u32, 0x10, 31:0),
    }
}

/// Bytes of a block of a send queue; entries begin at blocks.
pub const WORK_BLOCK: usize = 64;

/// The memory key that ends a list of data segments, if the device says no other.
pub const LIST_END_LKEY: u32 = 0x100;

values! {
    /// What a send queue's entry does: [`ControlSegment::OPCODE`].
    pub enum WorkOpcode: u8 {
        /// Nothing.
        Nop = 0x00,
        /// Sends and makes a memory key of the other end invalid.
        SendInvalidate = 0x01,
        /// Writes to the other end.
        RdmaWrite = 0x08,
        /// Writes to the other end, with a value.
        RdmaWriteImmediate = 0x09,
        /// Sends a packet.
        Send = 0x0a,
        /// Sends a packet, with a value.
        SendImmediate = 0x0b,
        /// Sends a packet of TCP in as many pieces as are needed.
        Lso = 0x0e,
        /// Waits.
        Wait = 0x0f,
        /// Reads from the other end.
        RdmaRead = 0x10,
        /// Lets another queue's entries be worked on.
        SendEnable = 0x17,
        /// Sends packets from anywhere, to keep TLS in step.
        Dump = 0x23,
        /// Changes a memory key.
        Umr = 0x25,
        /// Sends several packets.
        EnhancedMultiPacketSend = 0x29,
        /// Writes rules of flow tables.
        FlowTableAccess = 0x2c,
        /// Reads or changes an object with state.
        AccessAso = 0x2d,
    }

    /// When an entry has a completion: [`ControlSegment::COMPLETION`].
    pub enum CompletionMode: u8 {
        /// When it fails.
        OnError = 0,
        /// When it is the first to fail.
        OnFirstError = 1,
        /// Always.
        Always = 2,
        /// Always, with an event.
        AlwaysWithEvent = 3,
    }
}
