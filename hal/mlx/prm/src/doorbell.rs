//! Doorbells: registers in a UAR page by which software says that there is work, and records in
//! memory that say how much.

use crate::layout::layout;

layout! {
    /// A UAR page. Page n stands at n times its size in BAR 0.
    UarPage[0x1000] {
        /// Arms a completion queue: a [`CqArm`].
        CQ_ARM: (u64, 0x20, 63:0),
        /// Says how far software is with an event queue and arms it: an [`EqUpdate`].
        EQ_ARM: (u32, 0x40, 31:0),
        /// Says how far software is with an event queue: an [`EqUpdate`].
        EQ_UPDATE: (u32, 0x48, 31:0),
        /// Doorbells of send queues, one every 1 << `LOG_BF_REG_SIZE` bytes; each takes the last
        /// eight bytes of an entry's control segment, or whole entries in two buffers by turns.
        SEND: ([u8; 0x800], 0x800),
    }

    /// What is written to [`UarPage::CQ_ARM`].
    CqArm[8] {
        /// How many events software has had, the lowest two bits.
        SEQUENCE: (u8, 0x00, 29:28),
        /// Only a solicited completion makes an event.
        SOLICITED: (bool, 0x00, 24:24),
        /// How far software is.
        CONSUMER: (u32, 0x00, 23:0),
        /// The completion queue.
        CQN: (u32, 0x04, 23:0),
    }

    /// What is written to [`UarPage::EQ_ARM`] and [`UarPage::EQ_UPDATE`].
    EqUpdate[4] {
        /// The event queue.
        EQN: (u8, 0x00, 31:24),
        /// How far software is.
        CONSUMER: (u32, 0x00, 23:0),
    }

    /// The doorbell record of a completion queue.
    CqRecord[8] {
        /// How far software is.
        CONSUMER: (u32, 0x00, 23:0),
        /// As in [`CqArm`], written before it.
        SEQUENCE: (u8, 0x04, 29:28),
        /// The same.
        SOLICITED: (bool, 0x04, 24:24),
        /// The same.
        ARM_CONSUMER: (u32, 0x04, 23:0),
    }

    /// The doorbell record of a work queue.
    WqRecord[8] {
        /// Entries that a receive queue has been given, counted up.
        RECEIVE: (u16, 0x00, 15:0),
        /// Blocks that a send queue has been given, counted up.
        SEND: (u16, 0x04, 15:0),
    }
}
