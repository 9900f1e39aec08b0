//! The context of a memory key.

use crate::layout::{layout, values};

layout! {
    /// A memory key: which memory may be reached, how.
    MkeyContext[0x40] {
        /// It is to be filled by a work queue entry first.
        FREE: (bool, 0x00, 30:30),
        /// Upper bits of the access mode.
        ACCESS_MODE_4_2: (u8, 0x00, 28:26),
        /// Writes may pass each other on PCI.
        RELAXED_ORDERING_WRITE: (bool, 0x00, 18:18),
        /// Fences after a read's response are small.
        SMALL_FENCE_ON_RDMA_READ_RESPONSE: (bool, 0x00, 16:16),
        /// Work queue entries may change the key.
        UMR_EN: (bool, 0x00, 15:15),
        /// Atomic operations from the network are allowed.
        ATOMIC: (bool, 0x00, 14:14),
        /// Writing from the network is allowed.
        REMOTE_WRITE: (bool, 0x00, 13:13),
        /// Reading from the network is allowed.
        REMOTE_READ: (bool, 0x00, 12:12),
        /// The device may write into the memory.
        LOCAL_WRITE: (bool, 0x00, 11:11),
        /// The device may read the memory.
        LOCAL_READ: (bool, 0x00, 10:10),
        /// See [`AccessMode`].
        ACCESS_MODE_1_0: (u8, 0x00, 9:8),
        /// How addresses of the host are translated.
        MA_TRANSLATION_MODE: (u8, 0x00, 5:4),
        /// The queue pair that may use the key; all ones = any.
        QPN: (u32, 0x04, 31:8),
        /// Low byte of the key, for software to choose.
        MKEY_7_0: (u8, 0x04, 7:0),
        /// The whole address space: start and length are not looked at.
        LENGTH64: (bool, 0x0c, 31:31),
        /// It has byte stream formats.
        BSF_EN: (bool, 0x0c, 30:30),
        /// Changes by work queue entries are in order.
        SYNC_UMR: (bool, 0x0c, 29:29),
        /// Parity of signature errors.
        EXPECTED_SIGERR_COUNT: (bool, 0x0c, 26:26),
        /// It may be made invalid from the network.
        EN_RINVAL: (bool, 0x0c, 24:24),
        /// Protection domain.
        PD: (u32, 0x0c, 23:0),
        /// The first address that it covers.
        START_ADDR: (u64, 0x10, 63:0),
        /// How many bytes it covers.
        LEN: (u64, 0x18, 63:0),
        /// Room for byte stream formats, in units of 16 bytes.
        BSF_OCTWORD_SIZE: (u32, 0x20, 31:0),
        /// Room for translations, in units of 16 bytes.
        TRANSLATIONS_OCTWORD_SIZE: (u32, 0x34, 31:0),
        /// Reads may pass each other on PCI.
        RELAXED_ORDERING_READ: (bool, 0x38, 6:6),
        /// Size of the pages in the translations, log 2.
        LOG_PAGE_SIZE: (u8, 0x38, 4:0),
    }
}

values! {
    /// What a memory key's addresses are: [`MkeyContext::ACCESS_MODE_1_0`].
    pub enum AccessMode: u8 {
        /// Addresses of PCI.
        Physical = 0,
        /// Translated page by page.
        Pages = 1,
        /// Translated by a list of other keys with lengths.
        Lengths = 2,
        /// Translated by a list of other keys of one length.
        Strides = 3,
    }
}
