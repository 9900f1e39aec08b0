//! Commands for the objects that everything else refers to: UAR pages, protection and transport
//! domains, memory keys, counters of queues.

use super::{Input, Output, PageAddress};
use crate::{context::MkeyContext, layout::layout};

layout! {
    /// Input of ALLOC_UAR.
    AllocUarIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
    }

    /// Output of ALLOC_UAR.
    AllocUarOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Number of the page.
        UAR: (u32, 0x08, 23:0),
    }

    /// Input of DEALLOC_UAR.
    DeallocUarIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Number of the page.
        UAR: (u32, 0x08, 23:0),
    }

    /// Input of ALLOC_PD.
    AllocPdIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
    }

    /// Output of ALLOC_PD.
    AllocPdOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Number of the protection domain.
        PD: (u32, 0x08, 23:0),
    }

    /// Input of DEALLOC_PD.
    DeallocPdIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Number of the protection domain.
        PD: (u32, 0x08, 23:0),
    }

    /// Input of ALLOC_TRANSPORT_DOMAIN.
    AllocTransportDomainIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
    }

    /// Output of ALLOC_TRANSPORT_DOMAIN.
    AllocTransportDomainOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Number of the transport domain.
        TRANSPORT_DOMAIN: (u32, 0x08, 23:0),
    }

    /// Input of DEALLOC_TRANSPORT_DOMAIN.
    DeallocTransportDomainIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Number of the transport domain.
        TRANSPORT_DOMAIN: (u32, 0x08, 23:0),
    }

    /// Input of CREATE_MKEY.
    CreateMkeyIn[0x110] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The memory may be paged out.
        PG_ACCESS: (bool, 0x0c, 31:31),
        /// The translations are in a memory registered by its user.
        MKEY_UMEM_VALID: (bool, 0x0c, 30:30),
        /// The memory key.
        CONTEXT: (MkeyContext, 0x10),
        /// How many translations follow, in units of 16 bytes.
        TRANSLATIONS_OCTWORD_ACTUAL_SIZE: (u32, 0x60, 31:0),
        /// The pages, if the key's addresses are translated page by page.
        PAGES: (PageAddress.., 0x110),
    }

    /// Output of CREATE_MKEY.
    CreateMkeyOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Upper 24 bits of the key; the low byte is the one that was given.
        MKEY_INDEX: (u32, 0x08, 23:0),
    }

    /// Input of QUERY_MKEY.
    QueryMkeyIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Upper 24 bits of the key.
        MKEY_INDEX: (u32, 0x08, 23:0),
        /// The memory may be paged out.
        PG_ACCESS: (bool, 0x0c, 31:31),
    }

    /// Output of QUERY_MKEY.
    QueryMkeyOut[0x110] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The memory key.
        CONTEXT: (MkeyContext, 0x10),
        /// The first translations.
        PAGES: (PageAddress.., 0x110),
    }

    /// Input of DESTROY_MKEY.
    DestroyMkeyIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Upper 24 bits of the key.
        MKEY_INDEX: (u32, 0x08, 23:0),
    }

    /// Input of QUERY_SPECIAL_CONTEXTS.
    QuerySpecialContextsIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
    }

    /// Output of QUERY_SPECIAL_CONTEXTS.
    QuerySpecialContextsOut[0x20] {
        /// Status.
        HEAD: (Output, 0x00),
        /// A memory key that is read as zeros and written to nowhere.
        DUMP_FILL_MKEY: (u32, 0x08, 31:0),
        /// A memory key for addresses of PCI.
        RESERVED_LKEY: (u32, 0x0c, 31:0),
        /// A memory key that cannot be reached.
        NULL_MKEY: (u32, 0x10, 31:0),
        /// The key that ends a short list of segments.
        TERMINATE_SCATTER_LIST_MKEY: (u32, 0x14, 31:0),
        /// The key that ends a list of other keys that is gone through again and again.
        REPEATED_MKEY: (u32, 0x18, 31:0),
    }

    /// Input of ALLOC_Q_COUNTER.
    AllocQCounterIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
    }

    /// Output of ALLOC_Q_COUNTER.
    AllocQCounterOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Number of the set of counters.
        COUNTER_SET_ID: (u8, 0x08, 7:0),
    }

    /// Input of DEALLOC_Q_COUNTER.
    DeallocQCounterIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Number of the set of counters.
        COUNTER_SET_ID: (u8, 0x08, 7:0),
    }

    /// Input of QUERY_Q_COUNTER.
    QueryQCounterIn[0x20] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Begin again at 0.
        CLEAR: (bool, 0x18, 31:31),
        /// Number of the set of counters.
        COUNTER_SET_ID: (u8, 0x1c, 7:0),
    }

    /// Output of QUERY_Q_COUNTER.
    QueryQCounterOut[0x100] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Writes from the network.
        RX_WRITE_REQUESTS: (u32, 0x10, 31:0),
        /// Reads from the network.
        RX_READ_REQUESTS: (u32, 0x18, 31:0),
        /// Atomic operations from the network.
        RX_ATOMIC_REQUESTS: (u32, 0x20, 31:0),
        /// Dynamic connections from the network.
        RX_DCT_CONNECT: (u32, 0x28, 31:0),
        /// Packets that found no entry in the receive queue.
        OUT_OF_BUFFER: (u32, 0x30, 31:0),
        /// Packets out of order.
        OUT_OF_SEQUENCE: (u32, 0x38, 31:0),
        /// Requests that came twice.
        DUPLICATE_REQUEST: (u32, 0x40, 31:0),
        /// Answers «not ready» too often.
        RNR_NAK_RETRY_ERR: (u32, 0x48, 31:0),
        /// Answers «out of sequence».
        PACKET_SEQ_ERR: (u32, 0x50, 31:0),
        /// The same, as seen by the sender.
        IMPLIED_NAK_SEQ_ERR: (u32, 0x58, 31:0),
        /// Acknowledgements that did not come.
        LOCAL_ACK_TIMEOUT_ERR: (u32, 0x60, 31:0),
        /// Errors of length, as the one who answers.
        RESP_LOCAL_LENGTH_ERROR: (u32, 0x78, 31:0),
        /// The same, as the one who asks.
        REQ_LOCAL_LENGTH_ERROR: (u32, 0x7c, 31:0),
        /// Errors of the queue, as the one who answers.
        RESP_LOCAL_QP_ERROR: (u32, 0x80, 31:0),
        /// Operations that failed.
        LOCAL_OPERATION_ERROR: (u32, 0x84, 31:0),
        /// Protection violated, as the one who answers.
        RESP_LOCAL_PROTECTION: (u32, 0x88, 31:0),
        /// The same, as the one who asks.
        REQ_LOCAL_PROTECTION: (u32, 0x8c, 31:0),
        /// Completions with an error, as the one who answers.
        RESP_CQE_ERROR: (u32, 0x90, 31:0),
        /// The same, as the one who asks.
        REQ_CQE_ERROR: (u32, 0x94, 31:0),
        /// Memory windows that could not be bound.
        REQ_MW_BINDING: (u32, 0x98, 31:0),
        /// Bad answers.
        REQ_BAD_RESPONSE: (u32, 0x9c, 31:0),
        /// Requests that the other end called invalid.
        REQ_REMOTE_INVALID_REQUEST: (u32, 0xa0, 31:0),
        /// Invalid requests from the other end.
        RESP_REMOTE_INVALID_REQUEST: (u32, 0xa4, 31:0),
        /// Accesses that the other end refused.
        REQ_REMOTE_ACCESS_ERRORS: (u32, 0xa8, 31:0),
        /// Accesses of the other end that were refused.
        RESP_REMOTE_ACCESS_ERRORS: (u32, 0xac, 31:0),
        /// Operations that the other end failed to do.
        REQ_REMOTE_OPERATION_ERRORS: (u32, 0xb0, 31:0),
        /// Sent too often.
        REQ_TRANSPORT_RETRIES_EXCEEDED: (u32, 0xb4, 31:0),
        /// Completion queues that overran.
        CQ_OVERFLOW: (u32, 0xb8, 31:0),
        /// Completions of queues in error, as the one who answers.
        RESP_CQE_FLUSH_ERROR: (u32, 0xbc, 31:0),
        /// The same, as the one who asks.
        REQ_CQE_FLUSH_ERROR: (u32, 0xc0, 31:0),
        /// Adaptive retransmissions.
        ROCE_ADP_RETRANS: (u32, 0xc8, 31:0),
        /// Their timeouts.
        ROCE_ADP_RETRANS_TO: (u32, 0xcc, 31:0),
        /// Slow restarts.
        ROCE_SLOW_RESTART: (u32, 0xd0, 31:0),
        /// Congestion notifications of slow restarts.
        ROCE_SLOW_RESTART_CNPS: (u32, 0xd4, 31:0),
        /// Transitions to slow restart.
        ROCE_SLOW_RESTART_TRANS: (u32, 0xd8, 31:0),
    }
}
