//! Commands for what entries of flow tables refer to: counters, changes of fields, headers.

use super::{Input, Output};
use crate::{Tail, context::FlowStatistics, layout::layout};

layout! {
    /// Input of ALLOC_FLOW_COUNTER.
    AllocFlowCounterIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// How many, log 2; newer than `FLOW_COUNTER_BULK`.
        FLOW_COUNTER_BULK_LOG_SIZE: (u8, 0x0c, 12:8),
        /// How many: bit n = 128 << n; 0 = one.
        FLOW_COUNTER_BULK: (u8, 0x0c, 7:0),
    }

    /// Output of ALLOC_FLOW_COUNTER.
    AllocFlowCounterOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Number of the first counter.
        FLOW_COUNTER_ID: (u32, 0x08, 31:0),
    }

    /// Input of DEALLOC_FLOW_COUNTER.
    DeallocFlowCounterIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Number of the first counter, as it was given.
        FLOW_COUNTER_ID: (u32, 0x08, 31:0),
    }

    /// Input of QUERY_FLOW_COUNTER.
    QueryFlowCounterIn[0x20] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Memory key for `DUMP_TO_MEMORY`.
        MKEY: (u32, 0x0c, 31:0),
        /// Where to write to, for `DUMP_TO_MEMORY`.
        ADDRESS: (u64, 0x10, 63:0),
        /// Begin again at 0.
        CLEAR: (bool, 0x18, 31:31),
        /// The values are written to memory, not to the output.
        DUMP_TO_MEMORY: (bool, 0x18, 30:30),
        /// How many; 0 = one.
        NUM_OF_COUNTERS: (u32, 0x18, 29:0),
        /// The first.
        FLOW_COUNTER_ID: (u32, 0x1c, 31:0),
    }

    /// Output of QUERY_FLOW_COUNTER.
    QueryFlowCounterOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// What each has counted.
        STATISTICS: (FlowStatistics.., 0x10),
    }

    /// Input of ALLOC_MODIFY_HEADER_CONTEXT.
    AllocModifyHeaderContextIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The type of the tables whose entries use it.
        TABLE_TYPE: (u8, 0x0c, 31:24),
        /// How many actions.
        NUM_OF_ACTIONS: (u8, 0x0c, 7:0),
        /// The actions: `SET`, [`AddAction`] or [`CopyAction`] as each one's type says.
        ACTIONS: (SetAction.., 0x10),
    }

    /// Output of ALLOC_MODIFY_HEADER_CONTEXT.
    AllocModifyHeaderContextOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Its number.
        MODIFY_HEADER_ID: (u32, 0x08, 31:0),
    }

    /// Input of DEALLOC_MODIFY_HEADER_CONTEXT.
    DeallocModifyHeaderContextIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        MODIFY_HEADER_ID: (u32, 0x08, 31:0),
    }

    /// A field gets a value.
    SetAction[0x8] {
        /// See [`ModifyType`](crate::context::ModifyType).
        ACTION_TYPE: (u8, 0x00, 31:28),
        /// See [`HeaderField`](crate::context::HeaderField).
        FIELD: (u16, 0x00, 27:16),
        /// The lowest bit that changes.
        OFFSET: (u8, 0x00, 12:8),
        /// How many bits; 0 = 32.
        LENGTH: (u8, 0x00, 4:0),
        /// The value.
        DATA: (u32, 0x04, 31:0),
    }

    /// A value is added to a field.
    AddAction[0x8] {
        /// See [`ModifyType`](crate::context::ModifyType).
        ACTION_TYPE: (u8, 0x00, 31:28),
        /// See [`HeaderField`](crate::context::HeaderField).
        FIELD: (u16, 0x00, 27:16),
        /// The value.
        DATA: (u32, 0x04, 31:0),
    }

    /// A field gets the value of another.
    CopyAction[0x8] {
        /// See [`ModifyType`](crate::context::ModifyType).
        ACTION_TYPE: (u8, 0x00, 31:28),
        /// The field that is read.
        SRC_FIELD: (u16, 0x00, 27:16),
        /// The lowest bit that is read.
        SRC_OFFSET: (u8, 0x00, 12:8),
        /// How many bits; 0 = 32.
        LENGTH: (u8, 0x00, 4:0),
        /// The field that is written.
        DST_FIELD: (u16, 0x04, 27:16),
        /// The lowest bit that is written.
        DST_OFFSET: (u8, 0x04, 12:8),
    }

    /// Headers to put in front or take off; their bytes follow.
    ReformatContext[8] {
        /// See [`ReformatType`](crate::context::ReformatType).
        REFORMAT_TYPE: (u8, 0x00, 31:24),
        /// Inserting, removing: where `REFORMAT_PARAM_1` counts from: 1 the outer Ethernet header,
        /// 7 the outer IP header, 9 the outer header of layer 4.
        REFORMAT_PARAM_0: (u8, 0x00, 19:16),
        /// How many bytes.
        REFORMAT_DATA_SIZE: (u16, 0x00, 9:0),
        /// Inserting, removing: bytes to skip.
        REFORMAT_PARAM_1: (u8, 0x04, 31:24),
    }

    /// Input of ALLOC_PACKET_REFORMAT_CONTEXT.
    AllocPacketReformatContextIn[0x24] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// What it does.
        CONTEXT: (ReformatContext, 0x1c),
        /// The bytes.
        DATA: ([u8], 0x22),
    }

    /// Output of ALLOC_PACKET_REFORMAT_CONTEXT.
    AllocPacketReformatContextOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Its number.
        PACKET_REFORMAT_ID: (u32, 0x08, 31:0),
    }

    /// Input of DEALLOC_PACKET_REFORMAT_CONTEXT.
    DeallocPacketReformatContextIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        PACKET_REFORMAT_ID: (u32, 0x08, 31:0),
    }

    /// Input of QUERY_PACKET_REFORMAT_CONTEXT.
    QueryPacketReformatContextIn[0x20] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        PACKET_REFORMAT_ID: (u32, 0x08, 31:0),
    }

    /// Output of QUERY_PACKET_REFORMAT_CONTEXT.
    QueryPacketReformatContextOut[0x24] {
        /// Status.
        HEAD: (Output, 0x00),
        /// What it does.
        CONTEXT: (ReformatContext, 0x1c),
        /// The bytes.
        DATA: ([u8], 0x22),
    }
}

impl AllocModifyHeaderContextIn {
    /// The actions, seen as such that add.
    pub const ADD_ACTIONS: Tail<AllocModifyHeaderContextIn, AddAction> =
        Tail::new("ADD_ACTIONS", Self::ACTIONS.offset);
    /// The actions, seen as such that copy.
    pub const COPY_ACTIONS: Tail<AllocModifyHeaderContextIn, CopyAction> =
        Tail::new("COPY_ACTIONS", Self::ACTIONS.offset);
}
