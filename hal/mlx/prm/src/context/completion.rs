//! Contexts of event queues and completion queues.

use crate::layout::layout;

layout! {
    /// An event queue.
    EqContext[0x40] {
        /// 0 it works, 10 its memory could not be written.
        STATUS: (u8, 0x00, 31:28),
        /// All events go to the first entry.
        COLLAPSED: (bool, 0x00, 18:18),
        /// Entries may be overwritten before software has seen them.
        OVERRUN_IGNORE: (bool, 0x00, 17:17),
        /// 9 armed, 10 an interrupt is on its way.
        STATE: (u8, 0x00, 11:8),
        /// Where in the first page the first entry is, in units of 64 bytes.
        PAGE_OFFSET: (u8, 0x08, 11:6),
        /// Entries, log 2.
        LOG_EQ_SIZE: (u8, 0x0c, 28:24),
        /// The UAR page whose doorbells are for this queue.
        UAR_PAGE: (u32, 0x0c, 23:0),
        /// Number of the MSI-X vector.
        INTERRUPT: (u16, 0x14, 11:0),
        /// Size of the pages of its memory, log 2, less 12.
        LOG_PAGE_SIZE: (u8, 0x18, 28:24),
        /// How far software is.
        CONSUMER_COUNTER: (u32, 0x28, 23:0),
        /// How far the device is.
        PRODUCER_COUNTER: (u32, 0x2c, 23:0),
    }

    /// A completion queue.
    CqContext[0x40] {
        /// 0 it works, 9 it overran, 10 its memory could not be written.
        STATUS: (u8, 0x00, 31:28),
        /// The doorbell record is in a memory registered by its user.
        DBR_UMEM_VALID: (bool, 0x00, 25:25),
        /// The consumer is a processor of the device; `EQN` is then its element.
        APU_CQ: (bool, 0x00, 24:24),
        /// Size of an entry: 0 = 64 bytes, 1 = 128 bytes.
        CQE_SIZE: (u8, 0x00, 23:21),
        /// All completions go to the first entry.
        COLLAPSED: (bool, 0x00, 20:20),
        /// A solicited completion does not wait.
        SCQE_BREAK_MODERATION: (bool, 0x00, 18:18),
        /// Entries may be overwritten before software has seen them.
        OVERRUN_IGNORE: (bool, 0x00, 17:17),
        /// The period of moderation begins: 0 with the event, 1 with the completion.
        CQ_PERIOD_MODE: (u8, 0x00, 16:15),
        /// Several completions may be written as one.
        CQE_COMPRESSION: (bool, 0x00, 14:14),
        /// What short completions hold.
        MINI_CQE_RES_FORMAT: (u8, 0x00, 13:12),
        /// 6 armed for solicited completions, 9 armed, 10 fired.
        STATE: (u8, 0x00, 11:8),
        /// 0 basic, 1 enhanced.
        CQE_COMPRESSION_LAYOUT: (u8, 0x00, 1:0),
        /// Where in the first page the first entry is, in units of 64 bytes.
        PAGE_OFFSET: (u8, 0x08, 11:6),
        /// Entries, log 2.
        LOG_CQ_SIZE: (u8, 0x0c, 28:24),
        /// The UAR page whose doorbells are for this queue.
        UAR_PAGE: (u32, 0x0c, 23:0),
        /// Longest wait before an event, in microseconds; 0 = none.
        CQ_PERIOD: (u16, 0x10, 27:16),
        /// Most completions before an event; 0 = no limit.
        CQ_MAX_COUNT: (u16, 0x10, 15:0),
        /// The event queue that learns of completions.
        EQN: (u32, 0x14, 31:0),
        /// Size of the pages of its memory, log 2, less 12.
        LOG_PAGE_SIZE: (u8, 0x18, 28:24),
        /// The completion that the last event was for.
        LAST_NOTIFIED_INDEX: (u32, 0x20, 23:0),
        /// The last solicited completion.
        LAST_SOLICIT_INDEX: (u32, 0x24, 23:0),
        /// How far software is.
        CONSUMER_COUNTER: (u32, 0x28, 23:0),
        /// How far the device is.
        PRODUCER_COUNTER: (u32, 0x2c, 23:0),
        /// Address of the doorbell record.
        DOORBELL_RECORD: (u64, 0x38, 63:0),
    }
}
