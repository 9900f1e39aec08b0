//! Commands for event queues and completion queues.

use super::{Input, Output, PageAddress};
use crate::{
    context::{CqContext, EqContext},
    layout::layout,
};

layout! {
    /// Input of CREATE_EQ.
    CreateEqIn[0x110] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The event queue.
        CONTEXT: (EqContext, 0x10),
        /// Which events come to it: bit n of this number is event type n.
        EVENT_BITMASK_0: (u64, 0x58, 63:0),
        /// Event types from 64 on.
        EVENT_BITMASK_1: (u64, 0x60, 63:0),
        /// Event types from 128 on.
        EVENT_BITMASK_2: (u64, 0x68, 63:0),
        /// Event types from 192 on.
        EVENT_BITMASK_3: (u64, 0x70, 63:0),
        /// Its memory.
        PAGES: (PageAddress.., 0x110),
    }

    /// Output of CREATE_EQ.
    CreateEqOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Number of the event queue.
        EQN: (u8, 0x08, 7:0),
    }

    /// Input of DESTROY_EQ.
    DestroyEqIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Number of the event queue.
        EQN: (u8, 0x08, 7:0),
    }

    /// Input of QUERY_EQ.
    QueryEqIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Number of the event queue.
        EQN: (u8, 0x08, 7:0),
    }

    /// Output of QUERY_EQ.
    QueryEqOut[0x110] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The event queue.
        CONTEXT: (EqContext, 0x10),
        /// Which events come to it.
        EVENT_BITMASK: (u64, 0x58, 63:0),
        /// Its memory.
        PAGES: (PageAddress.., 0x110),
    }

    /// Input of CREATE_CQ.
    CreateCqIn[0x110] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The completion queue.
        CONTEXT: (CqContext, 0x10),
        /// Its memory is one registered by its user.
        CQ_UMEM_VALID: (bool, 0x5c, 31:31),
        /// Its memory.
        PAGES: (PageAddress.., 0x110),
    }

    /// Output of CREATE_CQ.
    CreateCqOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Number of the completion queue.
        CQN: (u32, 0x08, 23:0),
    }

    /// Input of DESTROY_CQ.
    DestroyCqIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Number of the completion queue.
        CQN: (u32, 0x08, 23:0),
    }

    /// Input of QUERY_CQ.
    QueryCqIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Number of the completion queue.
        CQN: (u32, 0x08, 23:0),
    }

    /// Output of QUERY_CQ.
    QueryCqOut[0x110] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The completion queue.
        CONTEXT: (CqContext, 0x10),
        /// Its memory.
        PAGES: (PageAddress.., 0x110),
    }

    /// Input of MODIFY_CQ. Variants: 0 changes fields, 1 gives other memory.
    ModifyCqIn[0x110] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Number of the completion queue.
        CQN: (u32, 0x08, 23:0),
        /// What changes: bit 0 period, bit 1 most completions, bit 2 overrun, bit 3 event queue,
        /// bit 4 mode of the period; with variant 1: bit 0 size, bit 1 offset, bit 2 size of pages.
        FIELD_SELECT: (u32, 0x0c, 31:0),
        /// The new values.
        CONTEXT: (CqContext, 0x10),
        /// Its memory is one registered by its user.
        CQ_UMEM_VALID: (bool, 0x5c, 31:31),
        /// Its memory.
        PAGES: (PageAddress.., 0x110),
    }
}
