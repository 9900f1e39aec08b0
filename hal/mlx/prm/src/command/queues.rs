//! Commands for work queues and what stands before and behind them: send and receive queues,
//! memory pools, tables of receive queues, transport interfaces.

use super::{Input, Output, PageAddress};
use crate::{
    context::{RmpContext, RqContext, RqNumber, RqtContext, SqContext, TirContext, TisContext},
    layout::layout,
};

layout! {
    /// Input of CREATE_SQ.
    CreateSqIn[0x110] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The send queue.
        CONTEXT: (SqContext, 0x20),
        /// The ring's memory.
        PAGES: (PageAddress.., 0x110),
    }

    /// Output of CREATE_SQ.
    CreateSqOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Its number.
        SQN: (u32, 0x08, 23:0),
    }

    /// Input of MODIFY_SQ.
    ModifySqIn[0x110] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The state that it is in; the state that it goes to is in the context.
        SQ_STATE: (u8, 0x08, 31:28),
        /// Its number.
        SQN: (u32, 0x08, 23:0),
        /// What changes besides the state: bit 0 rate limit, bit 2 the group that it is scheduled
        /// in.
        MODIFY_BITMASK: (u64, 0x10, 63:0),
        /// The new values.
        CONTEXT: (SqContext, 0x20),
        /// The ring's memory.
        PAGES: (PageAddress.., 0x110),
    }

    /// Input of DESTROY_SQ.
    DestroySqIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        SQN: (u32, 0x08, 23:0),
    }

    /// Input of QUERY_SQ.
    QuerySqIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        SQN: (u32, 0x08, 23:0),
    }

    /// Output of QUERY_SQ.
    QuerySqOut[0x110] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The send queue.
        CONTEXT: (SqContext, 0x20),
        /// The ring's memory.
        PAGES: (PageAddress.., 0x110),
    }

    /// Input of CREATE_RQ.
    CreateRqIn[0x110] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The receive queue.
        CONTEXT: (RqContext, 0x20),
        /// The ring's memory.
        PAGES: (PageAddress.., 0x110),
    }

    /// Output of CREATE_RQ.
    CreateRqOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Its number.
        RQN: (u32, 0x08, 23:0),
    }

    /// Input of MODIFY_RQ.
    ModifyRqIn[0x110] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The state that it is in; the state that it goes to is in the context.
        RQ_STATE: (u8, 0x08, 31:28),
        /// Its number.
        RQN: (u32, 0x08, 23:0),
        /// What changes besides the state: bit 1 VLAN stripping, bit 2 frame check sequence, bit 3
        /// counters.
        MODIFY_BITMASK: (u64, 0x10, 63:0),
        /// The new values.
        CONTEXT: (RqContext, 0x20),
        /// The ring's memory.
        PAGES: (PageAddress.., 0x110),
    }

    /// Input of DESTROY_RQ.
    DestroyRqIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        RQN: (u32, 0x08, 23:0),
    }

    /// Input of QUERY_RQ.
    QueryRqIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        RQN: (u32, 0x08, 23:0),
    }

    /// Output of QUERY_RQ.
    QueryRqOut[0x110] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The receive queue.
        CONTEXT: (RqContext, 0x20),
        /// The ring's memory.
        PAGES: (PageAddress.., 0x110),
    }

    /// Input of CREATE_RMP.
    CreateRmpIn[0x110] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The memory pool.
        CONTEXT: (RmpContext, 0x20),
        /// The ring's memory.
        PAGES: (PageAddress.., 0x110),
    }

    /// Output of CREATE_RMP.
    CreateRmpOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Its number.
        RMPN: (u32, 0x08, 23:0),
    }

    /// Input of MODIFY_RMP.
    ModifyRmpIn[0x110] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The state that it is in; the state that it goes to is in the context.
        RMP_STATE: (u8, 0x08, 31:28),
        /// Its number.
        RMPN: (u32, 0x08, 23:0),
        /// The water mark changes.
        LIMIT_WATER_MARK: (bool, 0x14, 0:0),
        /// The new values.
        CONTEXT: (RmpContext, 0x20),
        /// The ring's memory.
        PAGES: (PageAddress.., 0x110),
    }

    /// Input of DESTROY_RMP.
    DestroyRmpIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        RMPN: (u32, 0x08, 23:0),
    }

    /// Input of QUERY_RMP.
    QueryRmpIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        RMPN: (u32, 0x08, 23:0),
    }

    /// Output of QUERY_RMP.
    QueryRmpOut[0x110] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The memory pool.
        CONTEXT: (RmpContext, 0x20),
        /// The ring's memory.
        PAGES: (PageAddress.., 0x110),
    }

    /// Input of CREATE_RQT.
    CreateRqtIn[0x110] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The table of receive queues.
        CONTEXT: (RqtContext, 0x20),
        /// The receive queues.
        QUEUES: (RqNumber.., 0x110),
    }

    /// Output of CREATE_RQT.
    CreateRqtOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Its number.
        RQTN: (u32, 0x08, 23:0),
    }

    /// Input of MODIFY_RQT.
    ModifyRqtIn[0x110] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        RQTN: (u32, 0x08, 23:0),
        /// The list changes.
        RQN_LIST: (bool, 0x14, 0:0),
        /// The new values.
        CONTEXT: (RqtContext, 0x20),
        /// The receive queues.
        QUEUES: (RqNumber.., 0x110),
    }

    /// Input of DESTROY_RQT.
    DestroyRqtIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        RQTN: (u32, 0x08, 23:0),
    }

    /// Input of QUERY_RQT.
    QueryRqtIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        RQTN: (u32, 0x08, 23:0),
    }

    /// Output of QUERY_RQT.
    QueryRqtOut[0x110] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The table of receive queues.
        CONTEXT: (RqtContext, 0x20),
        /// The receive queues.
        QUEUES: (RqNumber.., 0x110),
    }

    /// Input of CREATE_TIR.
    CreateTirIn[0x110] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The transport interface for receiving.
        CONTEXT: (TirContext, 0x20),
    }

    /// Output of CREATE_TIR.
    CreateTirOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Its number.
        TIRN: (u32, 0x08, 23:0),
    }

    /// Input of MODIFY_TIR.
    ModifyTirIn[0x110] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        TIRN: (u32, 0x08, 23:0),
        /// What is not received of the own sending changes.
        SELF_LB: (bool, 0x14, 4:4),
        /// The hash changes.
        HASH: (bool, 0x14, 2:2),
        /// What is merged changes.
        PACKET_MERGE: (bool, 0x14, 0:0),
        /// The new values.
        CONTEXT: (TirContext, 0x20),
    }

    /// Input of DESTROY_TIR.
    DestroyTirIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        TIRN: (u32, 0x08, 23:0),
    }

    /// Input of QUERY_TIR.
    QueryTirIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        TIRN: (u32, 0x08, 23:0),
    }

    /// Output of QUERY_TIR.
    QueryTirOut[0x110] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The transport interface for receiving.
        CONTEXT: (TirContext, 0x20),
    }

    /// Input of CREATE_TIS.
    CreateTisIn[0xc0] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The transport interface for sending.
        CONTEXT: (TisContext, 0x20),
    }

    /// Output of CREATE_TIS.
    CreateTisOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Its number.
        TISN: (u32, 0x08, 23:0),
    }

    /// Input of MODIFY_TIS.
    ModifyTisIn[0xc0] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        TISN: (u32, 0x08, 23:0),
        /// The port of the bond changes.
        LAG_TX_PORT_AFFINITY: (bool, 0x14, 2:2),
        /// Whether the port is kept changes.
        STRICT_LAG_TX_PORT_AFFINITY: (bool, 0x14, 1:1),
        /// The priority changes.
        PRIORITY: (bool, 0x14, 0:0),
        /// The new values.
        CONTEXT: (TisContext, 0x20),
    }

    /// Input of DESTROY_TIS.
    DestroyTisIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        TISN: (u32, 0x08, 23:0),
    }

    /// Input of QUERY_TIS.
    QueryTisIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Its number.
        TISN: (u32, 0x08, 23:0),
    }

    /// Output of QUERY_TIS.
    QueryTisOut[0xb0] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The transport interface for sending.
        CONTEXT: (TisContext, 0x10),
    }
}
