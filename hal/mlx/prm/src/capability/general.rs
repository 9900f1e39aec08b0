//! What the device can do in general: [`GeneralCapability`] and [`GeneralCapability2`].

use crate::layout::layout;

layout! {
    /// Group [`Group::General`](super::Group::General).
    GeneralCapability[0x100] {
        /// The device asks for no pages by events.
        PAGE_REQUEST_DISABLE: (bool, 0x00, 25:25),
        /// `NATIVE_PORT_NUM` is not counted from the first port of a bond.
        ABS_NATIVE_PORT_NUM: (bool, 0x00, 24:24),
        /// Objects of users may refer to shared ones.
        SHARED_OBJECT_TO_USER_OBJECT_ALLOWED: (bool, 0x00, 15:15),
        /// The function manages what others may use.
        VHCA_RESOURCE_MANAGER: (bool, 0x00, 0:0),
        /// There is [`GeneralCapability2`].
        HCA_CAP_2: (bool, 0x04, 31:31),
        /// A bond can be made before its master is up.
        CREATE_LAG_WHEN_NOT_MASTER_UP: (bool, 0x04, 30:30),
        /// There is [`DefaultTimeouts`](crate::register::DefaultTimeouts).
        DTOR: (bool, 0x04, 29:29),
        /// Events when a function is to be taken down.
        EVENT_ON_VHCA_STATE_TEARDOWN_REQUEST: (bool, 0x04, 28:28),
        /// Events when a function is taken into use.
        EVENT_ON_VHCA_STATE_IN_USE: (bool, 0x04, 27:27),
        /// Events when a function is made active.
        EVENT_ON_VHCA_STATE_ACTIVE: (bool, 0x04, 26:26),
        /// Events when a function is made.
        EVENT_ON_VHCA_STATE_ALLOCATED: (bool, 0x04, 25:25),
        /// Events when a function is gone.
        EVENT_ON_VHCA_STATE_INVALID: (bool, 0x04, 24:24),
        /// Number of the function.
        VHCA_ID: (u16, 0x04, 15:0),
        /// Entries of a shared receive queue, log 2.
        LOG_MAX_SRQ_SZ: (u8, 0x10, 31:24),
        /// Entries of a queue pair, log 2.
        LOG_MAX_QP_SZ: (u8, 0x10, 23:16),
        /// There is group [`Group::DeviceEvent`](super::Group::DeviceEvent).
        EVENT_CAP: (bool, 0x10, 15:15),
        /// Lanes are told apart from traffic classes.
        ISOLATE_VL_TC_NEW: (bool, 0x10, 12:12),
        /// Packets have to have a priority tag.
        PRIO_TAG_REQUIRED: (bool, 0x10, 7:7),
        /// Queue pairs, log 2; can be lowered.
        LOG_MAX_QP: (u8, 0x10, 4:0),
        /// Connections can be made with enhancements.
        ECE_SUPPORT: (bool, 0x14, 28:28),
        /// Registers C survive on the way from table to table.
        REG_C_PRESERVE: (bool, 0x14, 22:22),
        /// Shared receive queues, log 2.
        LOG_MAX_SRQ: (u8, 0x14, 20:16),
        /// Vports can go up and down with the uplink.
        UPLINK_FOLLOW: (bool, 0x14, 14:14),
        /// Timestamps can go to another completion queue.
        TS_CQE_TO_DEST_CQN: (bool, 0x14, 13:13),
        /// Headers can be split off and packets merged.
        SHAMPO: (bool, 0x14, 5:5),
        /// Segments up to which an entry is fast.
        MAX_SGL_FOR_OPTIMIZED_PERFORMANCE: (u8, 0x18, 31:24),
        /// Entries of a completion queue, log 2.
        LOG_MAX_CQ_SZ: (u8, 0x18, 23:16),
        /// Work queue entries can let writes pass each other.
        RELAXED_ORDERING_WRITE_UMR: (bool, 0x18, 15:15),
        /// Work queue entries can let reads pass each other.
        RELAXED_ORDERING_READ_UMR: (bool, 0x18, 14:14),
        /// The function makes virtio network devices.
        VIRTIO_NET_DEVICE_EMULATION_MANAGER: (bool, 0x18, 6:6),
        /// The function makes virtio block devices.
        VIRTIO_BLK_DEVICE_EMULATION_MANAGER: (bool, 0x18, 5:5),
        /// Completion queues, log 2.
        LOG_MAX_CQ: (u8, 0x18, 4:0),
        /// Entries of an event queue, log 2.
        LOG_MAX_EQ_SZ: (u8, 0x1c, 31:24),
        /// Writes may pass each other.
        RELAXED_ORDERING_WRITE: (bool, 0x1c, 23:23),
        /// Reads may pass each other, if PCI is set so.
        RELAXED_ORDERING_READ_PCI_ENABLED: (bool, 0x1c, 22:22),
        /// Memory keys, log 2.
        LOG_MAX_MKEY: (u8, 0x1c, 21:16),
        /// A list of segments ends with a key that can be asked for.
        TERMINATE_SCATTER_LIST_MKEY: (bool, 0x1c, 9:9),
        /// A list of keys ends with a key that can be asked for.
        REPEATED_MKEY: (bool, 0x1c, 8:8),
        /// There is a key for zeros.
        DUMP_FILL_MKEY: (bool, 0x1c, 7:7),
        /// A fast teardown can be prepared.
        FAST_TEARDOWN: (bool, 0x1c, 4:4),
        /// Event queues, log 2.
        LOG_MAX_EQ: (u8, 0x1c, 3:0),
        /// Keys behind keys.
        MAX_INDIRECTION: (u8, 0x20, 31:24),
        /// Keys can have pieces of one size.
        FIXED_BUFFER_SIZE: (bool, 0x20, 23:23),
        /// Bytes of a memory key, log 2.
        LOG_MAX_MRW_SZ: (u8, 0x20, 22:16),
        /// Teardown by force is possible.
        FORCE_TEARDOWN: (bool, 0x20, 15:15),
        /// Byte stream formats of a memory key, log 2.
        LOG_MAX_BSF_LIST_SIZE: (u8, 0x20, 13:8),
        /// Offsets in translations can be long.
        UMR_EXTENDED_TRANSLATION_OFFSET: (bool, 0x20, 7:7),
        /// There is a key that cannot be reached.
        NULL_MKEY: (bool, 0x20, 6:6),
        /// Keys behind a key, log 2.
        LOG_MAX_KLM_LIST_SIZE: (u8, 0x20, 5:0),
        /// Reads on the way, as the one who asks, dynamic connections, log 2.
        LOG_MAX_RA_REQ_DC: (u8, 0x24, 21:16),
        /// Packets too long for an entry are counted.
        ETH_WQE_TOO_SMALL: (bool, 0x24, 13:13),
        /// Overruns of completion queues are counted.
        VNIC_ENV_CQ_OVERRUN: (bool, 0x24, 6:6),
        /// Reads on the way, as the one who answers, dynamic connections, log 2.
        LOG_MAX_RA_RES_DC: (u8, 0x24, 5:0),
        /// The device can ask for all pages to be taken back.
        RELEASE_ALL_PAGES: (bool, 0x28, 26:26),
        /// Not to be used.
        MUST_NOT_USE: (bool, 0x28, 25:25),
        /// RoCE can be tuned.
        ROCE_ACCL: (bool, 0x28, 22:22),
        /// Reads on the way, as the one who asks, log 2.
        LOG_MAX_RA_REQ_QP: (u8, 0x28, 21:16),
        /// Reads on the way, as the one who answers, log 2.
        LOG_MAX_RA_RES_QP: (u8, 0x28, 5:0),
        /// Packets can be written up to the cache line's end.
        END_PAD: (bool, 0x2c, 31:31),
        /// Congestion control can be looked at.
        CC_QUERY_ALLOWED: (bool, 0x2c, 30:30),
        /// Congestion control can be changed.
        CC_MODIFY_ALLOWED: (bool, 0x2c, 29:29),
        /// Packets can be written from the cache line's beginning.
        START_PAD: (bool, 0x2c, 28:28),
        /// Cache lines have 128 bytes; can be set.
        CACHE_LINE_128BYTE: (bool, 0x2c, 27:27),
        /// A queue pair at work can get other counters.
        RTS2RTS_QP_COUNTERS_SET_ID: (bool, 0x2c, 22:22),
        /// Missing entries of internal queues are counted.
        VNIC_ENV_INT_RQ_OOB: (bool, 0x2c, 19:19),
        /// There is the register SBCAM.
        SBCAM_REG: (bool, 0x2c, 18:18),
        /// There is [`QosCapabilityMask`](crate::register::QosCapabilityMask).
        QCAM_REG: (bool, 0x2c, 16:16),
        /// GIDs, as a code.
        GID_TABLE_SIZE: (u16, 0x2c, 15:0),
        /// Packets out of sequence are counted.
        OUT_OF_SEQ_CNT: (bool, 0x30, 31:31),
        /// There is QUERY_VPORT_COUNTER.
        VPORT_COUNTERS: (bool, 0x30, 30:30),
        /// Retransmissions are counted.
        RETRANSMISSION_Q_COUNTERS: (bool, 0x30, 29:29),
        /// There is group [`Group::Debug`](super::Group::Debug).
        DEBUG: (bool, 0x30, 28:28),
        /// A receive queue can get other counters.
        MODIFY_RQ_COUNTER_SET_ID: (bool, 0x30, 27:27),
        /// Receive queues can wait before they drop.
        RQ_DELAY_DROP: (bool, 0x30, 26:26),
        /// Sets of counters of queues.
        MAX_QP_CNT: (u16, 0x30, 25:16),
        /// P_Keys, as a code; can be set.
        PKEY_TABLE_SIZE: (u16, 0x30, 15:0),
        /// The function may look at and change other vports.
        VPORT_GROUP_MANAGER: (bool, 0x34, 31:31),
        /// The function may look at and change other functions.
        VHCA_GROUP_MANAGER: (bool, 0x34, 30:30),
        /// Vports of InfiniBand.
        IB_VIRT: (bool, 0x34, 29:29),
        /// Vports of Ethernet.
        ETH_VIRT: (bool, 0x34, 28:28),
        /// Queues in error are counted.
        VNIC_ENV_QUEUE_COUNTERS: (bool, 0x34, 27:27),
        /// Traffic classes can be scheduled.
        ETS: (bool, 0x34, 26:26),
        /// There is group [`Group::FlowTable`](super::Group::FlowTable).
        NIC_FLOW_TABLE: (bool, 0x34, 25:25),
        /// The function manages the e-switch.
        ESWITCH_MANAGER: (bool, 0x34, 24:24),
        /// There is group [`Group::DeviceMemory`](super::Group::DeviceMemory).
        DEVICE_MEMORY: (bool, 0x34, 23:23),
        /// There is [`ManagementCapabilityMask`](crate::register::ManagementCapabilityMask).
        MCAM_REG: (bool, 0x34, 22:22),
        /// There is [`PortCapabilityMask`](crate::register::PortCapabilityMask).
        PCAM_REG: (bool, 0x34, 21:21),
        /// Time to acknowledge, as a code.
        LOCAL_CA_ACK_DELAY: (u8, 0x34, 20:16),
        /// Events when a module changes.
        PORT_MODULE_EVENT: (bool, 0x34, 15:15),
        /// More errors are counted.
        ENHANCED_ERROR_Q_COUNTERS: (bool, 0x34, 14:14),
        /// There is [`PortCheck`](crate::register::PortCheck).
        PORTS_CHECK: (bool, 0x34, 13:13),
        /// INIT_HCA can leave the link down.
        DISABLE_LINK_UP: (bool, 0x34, 11:11),
        /// The port's lamp can blink.
        BEACON_LED: (bool, 0x34, 10:10),
        /// 0 InfiniBand, 1 Ethernet.
        PORT_TYPE: (u8, 0x34, 9:8),
        /// Ports.
        NUM_PORTS: (u8, 0x34, 7:0),
        /// A pulse per second can come in or go out.
        PPS: (bool, 0x38, 30:30),
        /// The pulse can be changed.
        PPS_MODIFY: (bool, 0x38, 29:29),
        /// Bytes of a message, log 2.
        LOG_MAX_MSG: (u8, 0x38, 28:24),
        /// Traffic classes; 0 = 8.
        MAX_TC: (u8, 0x38, 19:16),
        /// Events when the device is too hot.
        TEMP_WARN_EVENT: (bool, 0x38, 15:15),
        /// The firmware does DCBX.
        DCBX: (bool, 0x38, 14:14),
        /// Events of other kinds.
        GENERAL_NOTIFICATION_EVENT: (bool, 0x38, 13:13),
        /// There is an FPGA.
        FPGA: (bool, 0x38, 10:10),
        /// Reset by secure packet.
        ROL_S: (bool, 0x38, 9:9),
        /// Reset by packet.
        ROL_G: (bool, 0x38, 8:8),
        /// Wake by secure magic packet.
        WOL_S: (bool, 0x38, 6:6),
        /// Wake by magic packet.
        WOL_G: (bool, 0x38, 5:5),
        /// Wake by ARP.
        WOL_A: (bool, 0x38, 4:4),
        /// Wake by broadcast.
        WOL_B: (bool, 0x38, 3:3),
        /// Wake by multicast.
        WOL_M: (bool, 0x38, 2:2),
        /// Wake by unicast.
        WOL_U: (bool, 0x38, 1:1),
        /// Wake by the link.
        WOL_P: (bool, 0x38, 0:0),
        /// Static rates.
        STAT_RATE_SUPPORT: (u16, 0x3c, 31:16),
        /// Events when a reset for new firmware is to be agreed on.
        PCI_SYNC_FOR_FW_UPDATE_EVENT: (bool, 0x3c, 14:14),
        /// A queue pair can choose its port of the bond early.
        INIT2_LAG_TX_PORT_AFFINITY: (bool, 0x3c, 7:7),
        /// Groups can split packets by a hash.
        FLOW_GROUP_TYPE_HASH_SPLIT: (bool, 0x3c, 6:6),
        /// Rules can be written by work queue entries.
        WQE_BASED_FLOW_TABLE_UPDATE: (bool, 0x3c, 4:4),
        /// Completions have `USER_INDEX`; can be set.
        CQE_VERSION: (u8, 0x3c, 3:0),
        /// Short addresses.
        COMPACT_ADDRESS_VECTOR: (bool, 0x40, 31:31),
        /// Receive queues whose entries are for many packets.
        STRIDING_RQ: (bool, 0x40, 30:30),
        /// IP over InfiniBand, faster.
        IPOIB_ENHANCED_OFFLOADS: (bool, 0x40, 28:28),
        /// IP over InfiniBand.
        IPOIB_BASIC_OFFLOADS: (bool, 0x40, 27:27),
        /// Keys with repeated blocks do not work.
        REPEATED_BLOCK_DISABLED: (bool, 0x40, 25:25),
        /// Work queue entries cannot change the size of pages.
        UMR_MODIFY_ENTITY_SIZE_DISABLED: (bool, 0x40, 24:24),
        /// Work queue entries cannot allow atomic operations.
        UMR_MODIFY_ATOMIC_DISABLED: (bool, 0x40, 23:23),
        /// Work queue entries cannot change keys of keys.
        UMR_INDIRECT_MKEY_DISABLED: (bool, 0x40, 22:22),
        /// What changing a key waits for.
        UMR_FENCE: (u8, 0x40, 21:20),
        /// Short answers can stand in the completion, dynamic connections.
        DC_REQ_SCAT_DATA_CQE: (bool, 0x40, 19:19),
        /// Dynamic connections from a queue pair.
        DC_CONNECT_QP: (bool, 0x40, 18:18),
        /// Refused dynamic connections can be traced.
        DC_CNAK_TRACE: (bool, 0x40, 17:17),
        /// Signature errors can be drained.
        DRAIN_SIGERR: (bool, 0x40, 16:16),
        /// Commands are signed and checked: 0 no, 3 yes; can be set.
        CMDIF_CHECKSUM: (u8, 0x40, 15:14),
        /// Signature errors make a completion.
        SIGERR_CQE: (bool, 0x40, 13:13),
        /// Work queue entries can be signed.
        WQ_SIGNATURE: (bool, 0x40, 11:11),
        /// Short packets can stand in the completion.
        SCTR_DATA_CQE: (bool, 0x40, 10:10),
        /// Signatures can be handed over.
        SHO: (bool, 0x40, 8:8),
        /// Hints of PCI.
        TPH: (bool, 0x40, 7:7),
        /// Rendezvous.
        RF: (bool, 0x40, 6:6),
        /// Dynamic connections.
        DCT: (bool, 0x40, 5:5),
        /// There is group [`Group::Qos`](super::Group::Qos).
        QOS: (bool, 0x40, 4:4),
        /// There is group [`Group::Ethernet`](super::Group::Ethernet).
        ETH_NET_OFFLOADS: (bool, 0x40, 3:3),
        /// There is group [`Group::Roce`](super::Group::Roce).
        ROCE: (bool, 0x40, 2:2),
        /// There is group [`Group::Atomic`](super::Group::Atomic).
        ATOMIC: (bool, 0x40, 1:1),
        /// Completion queues may overrun.
        CQ_OI: (bool, 0x44, 31:31),
        /// Completion queues can get other memory.
        CQ_RESIZE: (bool, 0x44, 30:30),
        /// Completion queues can wait before an event.
        CQ_MODERATION: (bool, 0x44, 29:29),
        /// When the period begins can be changed.
        CQ_PERIOD_MODE_MODIFY: (bool, 0x44, 28:28),
        /// Completion queues can be made invalid.
        CQ_INVALIDATE: (bool, 0x44, 27:27),
        /// Completion queues can get another event queue.
        CQ_EQ_REMAP: (bool, 0x44, 25:25),
        /// There is group [`Group::Odp`](super::Group::Odp).
        PG: (bool, 0x44, 24:24),
        /// Own multicast can be kept from being received.
        BLOCK_LB_MC: (bool, 0x44, 23:23),
        /// Retries can be further and further apart.
        EXPONENTIAL_BACKOFF: (bool, 0x44, 22:22),
        /// Solicited completions need not wait.
        SCQE_BREAK_MODERATION: (bool, 0x44, 21:21),
        /// The period can begin with the completion.
        CQ_PERIOD_START_FROM_CQE: (bool, 0x44, 20:20),
        /// Queues can wait for each other.
        CD: (bool, 0x44, 19:19),
        /// Atomic operations can be of other sizes.
        ATM: (bool, 0x44, 18:18),
        /// Paths can migrate.
        APM: (bool, 0x44, 17:17),
        /// There is group [`Group::VectorCalc`](super::Group::VectorCalc).
        VECTOR_CALC: (bool, 0x44, 16:16),
        /// Lists for changing keys can be in memory, with the reserved key.
        UMR_PTR_RLKY: (bool, 0x44, 15:15),
        /// Keys can be made invalid from the network, all at once.
        IMAICL: (bool, 0x44, 14:14),
        /// Credits of packets.
        QP_PACKET_BASED: (bool, 0x44, 13:13),
        /// Violations of Q_Keys are counted.
        QKV: (bool, 0x44, 9:9),
        /// Violations of P_Keys are counted.
        PKV: (bool, 0x44, 8:8),
        /// Datagrams can come from another queue pair.
        SET_DETH_SQPN: (bool, 0x44, 7:7),
        /// Extended reliable connections.
        XRC: (bool, 0x44, 3:3),
        /// Datagrams.
        UD: (bool, 0x44, 2:2),
        /// Unreliable connections.
        UC: (bool, 0x44, 1:1),
        /// Reliable connections.
        RC: (bool, 0x44, 0:0),
        /// UAR pages can be 4 KiB each; can be set.
        UAR_4K: (bool, 0x48, 31:31),
        /// Reliable connections to itself without RoCE.
        FL_RC_QP_WHEN_ROCE_DISABLED: (bool, 0x48, 23:23),
        /// Bytes of BAR 0, log 2, less 20.
        UAR_SZ: (u8, 0x48, 21:16),
        /// There is group [`Group::PortSelection`](super::Group::PortSelection).
        PORT_SELECTION_CAP: (bool, 0x48, 15:15),
        /// Memory can be registered by the kernel too.
        UMEM_UID_0: (bool, 0x48, 13:13),
        /// Queue pairs that learn of refused dynamic connections.
        LOG_MAX_DC_CNAK_QPS: (u8, 0x48, 12:8),
        /// Bytes of a page, log 2.
        LOG_PG_SZ: (u8, 0x48, 7:0),
        /// Doorbells take whole entries.
        BF: (bool, 0x4c, 31:31),
        /// There is SET_DRIVER_VERSION.
        DRIVER_VERSION: (bool, 0x4c, 30:30),
        /// Short packets are filled up.
        PAD_TX_ETH_PACKET: (bool, 0x4c, 29:29),
        /// Software can choose memory keys.
        MKEY_BY_NAME: (bool, 0x4c, 25:25),
        /// Bytes of a doorbell, both halves together, log 2.
        LOG_BF_REG_SIZE: (u8, 0x4c, 20:16),
        /// Dynamic targets on bonds.
        LAG_DCT: (u8, 0x4c, 9:8),
        /// Queues can choose their port of the bond.
        LAG_TX_PORT_AFFINITY: (bool, 0x4c, 7:7),
        /// Each port of a bond can keep its tables.
        LAG_NATIVE_FDB_SELECTION: (bool, 0x4c, 6:6),
        /// The function can make bonds.
        LAG_MASTER: (bool, 0x4c, 4:4),
        /// Ports of a bond.
        NUM_LAG_PORTS: (u8, 0x4c, 3:0),
        /// Bytes of a send queue's entry.
        MAX_WQE_SZ_SQ: (u16, 0x50, 15:0),
        /// Pages are counted by the function's `VHCA_ID`.
        ICM_MNG_FUNCTION_ID_MODE: (bool, 0x54, 31:31),
        /// The transport domain may go before its interfaces.
        TIS_TIR_TD_ORDER: (bool, 0x54, 22:22),
        /// Bytes of a receive queue's entry.
        MAX_WQE_SZ_RQ: (u16, 0x54, 15:0),
        /// Flow counters, the upper half of the number.
        MAX_FLOW_COUNTER_31_16: (u16, 0x58, 31:16),
        /// Bytes of a send queue's entry, dynamic connections.
        MAX_WQE_SZ_SQ_DC: (u16, 0x58, 15:0),
        /// Queue pairs in a multicast group.
        MAX_QP_MCG: (u32, 0x5c, 24:0),
        /// Flow counters can be had together: bit n = 128 << n of them.
        FLOW_COUNTER_BULK_ALLOC: (u8, 0x60, 15:8),
        /// Multicast groups, log 2.
        LOG_MAX_MCG: (u8, 0x60, 7:0),
        /// Transport domains, log 2.
        LOG_MAX_TRANSPORT_DOMAIN: (u8, 0x64, 28:24),
        /// Reads may pass each other.
        RELAXED_ORDERING_READ: (bool, 0x64, 21:21),
        /// Protection domains, log 2.
        LOG_MAX_PD: (u8, 0x64, 20:16),
        /// What a vport sends to itself is counted.
        VPORT_COUNTER_LOCAL_LOOPBACK: (bool, 0x64, 7:7),
        /// Domains of extended reliable connections, log 2.
        LOG_MAX_XRCD: (u8, 0x64, 4:0),
        /// What flow tables lose is counted.
        NIC_RECEIVE_STEERING_DISCARD: (bool, 0x68, 31:31),
        /// What is received while the vport is down is counted.
        RECEIVE_DISCARD_VPORT_DOWN: (bool, 0x68, 30:30),
        /// What is sent while the vport is down is counted.
        TRANSMIT_DISCARD_VPORT_DOWN: (bool, 0x68, 29:29),
        /// Overruns of event queues are counted.
        EQ_OVERRUN_COUNT: (bool, 0x68, 28:28),
        /// Failed commands are counted.
        INVALID_COMMAND_COUNT: (bool, 0x68, 26:26),
        /// Exceeded quotas are counted.
        QUOTA_EXCEEDED_COUNT: (bool, 0x68, 25:25),
        /// Flow counters that can be asked for together, log 2.
        LOG_MAX_FLOW_COUNTER_BULK: (u8, 0x68, 23:16),
        /// Flow counters, the lower half of the number.
        MAX_FLOW_COUNTER_15_0: (u16, 0x68, 15:0),
        /// There is MODIFY_TIS.
        MODIFY_TIS: (bool, 0x6c, 31:31),
        /// Flow counters can be written to memory.
        FLOW_COUNTERS_DUMP: (bool, 0x6c, 30:30),
        /// Receive queues, log 2.
        LOG_MAX_RQ: (u8, 0x6c, 28:24),
        /// Send queues, log 2.
        LOG_MAX_SQ: (u8, 0x6c, 20:16),
        /// Transport interfaces for receiving, log 2.
        LOG_MAX_TIR: (u8, 0x6c, 12:8),
        /// Transport interfaces for sending, log 2.
        LOG_MAX_TIS: (u8, 0x6c, 4:0),
        /// Memory pools can have entries of data segments only.
        BASIC_CYCLIC_RCV_WQE: (bool, 0x70, 31:31),
        /// Memory pools, log 2.
        LOG_MAX_RMP: (u8, 0x70, 28:24),
        /// Tables of receive queues, log 2.
        LOG_MAX_RQT: (u8, 0x70, 20:16),
        /// Queues in a table, log 2.
        LOG_MAX_RQT_SIZE: (u8, 0x70, 12:8),
        /// Transport interfaces of a send queue, log 2.
        LOG_MAX_TIS_PER_SQ: (u8, 0x70, 4:0),
        /// Entries can have few strides.
        EXT_STRIDE_NUM_RANGE: (bool, 0x74, 31:31),
        /// RoCE can be switched off; can be set.
        ROCE_RW_SUPPORTED: (bool, 0x74, 30:30),
        /// `LOG_MAX_CURRENT_UC_LIST` can be set.
        LOG_MAX_CURRENT_UC_LIST_WR_SUPPORTED: (bool, 0x74, 29:29),
        /// Bytes of a receive queue's block, log 2.
        LOG_MAX_STRIDE_SZ_RQ: (u8, 0x74, 28:24),
        /// The same, at least, log 2.
        LOG_MIN_STRIDE_SZ_RQ: (u8, 0x74, 20:16),
        /// Bytes of a send queue's block, log 2.
        LOG_MAX_STRIDE_SZ_SQ: (u8, 0x74, 12:8),
        /// The same, at least, log 2.
        LOG_MIN_STRIDE_SZ_SQ: (u8, 0x74, 4:0),
        /// Queues can be tied together.
        HAIRPIN: (bool, 0x78, 31:31),
        /// Queues that are tied together, log 2.
        LOG_MAX_HAIRPIN_QUEUES: (u8, 0x78, 28:24),
        /// Bytes between them, log 2.
        LOG_MAX_HAIRPIN_WQ_DATA_SZ: (u8, 0x78, 20:16),
        /// Packets between them, log 2.
        LOG_MAX_HAIRPIN_NUM_PACKETS: (u8, 0x78, 12:8),
        /// Entries of a work queue, log 2.
        LOG_MAX_WQ_SZ: (u8, 0x78, 4:0),
        /// Events when a vport's context changes.
        NIC_VPORT_CHANGE_EVENT: (bool, 0x7c, 31:31),
        /// Receiving one's own unicast can be switched off.
        DISABLE_LOCAL_LB_UC: (bool, 0x7c, 30:30),
        /// Receiving one's own multicast can be switched off.
        DISABLE_LOCAL_LB_MC: (bool, 0x7c, 29:29),
        /// Bytes between tied queues, at least, log 2.
        LOG_MIN_HAIRPIN_WQ_DATA_SZ: (u8, 0x7c, 28:24),
        /// The state of functions can be looked at; can be set.
        VHCA_STATE: (bool, 0x7c, 21:21),
        /// VLANs of a vport, log 2.
        LOG_MAX_VLAN_LIST: (u8, 0x7c, 20:16),
        /// Multicast addresses of a vport, log 2.
        LOG_MAX_CURRENT_MC_LIST: (u8, 0x7c, 12:8),
        /// Unicast addresses of a vport, log 2; can be set.
        LOG_MAX_CURRENT_UC_LIST: (u8, 0x7c, 4:0),
        /// Which general objects there are: bit n = type n.
        GENERAL_OBJ_TYPES: (u64, 0x80, 63:0),
        /// Timestamps of send queues: 0 free running, 1 real time, 2 both.
        SQ_TS_FORMAT: (u8, 0x88, 31:30),
        /// Timestamps of receive queues, likewise.
        RQ_TS_FORMAT: (u8, 0x88, 29:28),
        /// What rules look like: 0 as of ConnectX-5, 1 as of ConnectX-6 Dx, 2 as of ConnectX-7.
        STEERING_FORMAT_VERSION: (u8, 0x88, 27:24),
        /// Where free queue pairs may be.
        CREATE_QP_START_HINT: (u32, 0x88, 23:0),
        /// The host translates addresses.
        ATS: (bool, 0x8c, 30:30),
        /// Users, log 2; can be set.
        LOG_MAX_UCTX: (u8, 0x8c, 28:24),
        /// There is group [`Group::Ipsec`](super::Group::Ipsec).
        IPSEC_OFFLOAD: (bool, 0x8c, 21:21),
        /// Memories registered by users, log 2.
        LOG_MAX_UMEM: (u8, 0x8c, 20:16),
        /// Event queues; 0 = see `LOG_MAX_EQ`.
        MAX_NUM_EQS: (u16, 0x8c, 15:0),
        /// TLS, sending.
        TLS_TX: (bool, 0x90, 30:30),
        /// TLS, receiving.
        TLS_RX: (bool, 0x90, 29:29),
        /// Addresses that the port can give to functions, log 2.
        LOG_MAX_L2_TABLE: (u8, 0x90, 28:24),
        /// Size of the host's pages, log 2, less 12; to be set.
        LOG_UAR_PAGE_SZ: (u16, 0x90, 15:0),
        /// The clock.
        DEVICE_FREQUENCY_MHZ: (u32, 0x98, 31:0),
        /// The clock, more exactly.
        DEVICE_FREQUENCY_KHZ: (u32, 0x9c, 31:0),
        /// UAR pages in one of the host's; to be set.
        NUM_OF_UARS_PER_PAGE: (u32, 0xa4, 31:0),
        /// Protocols that the programmable parser knows: bit 3 Geneve, 4 and 5 MPLS over GRE and
        /// UDP, 7 VXLAN-GPE, 8 and 9 ICMP and ICMPv6, 10 Geneve options, 11 GTP.
        FLEX_PARSER_PROTOCOLS: (u32, 0xa8, 31:0),
        /// Geneve options that can be registered.
        MAX_GENEVE_TLV_OPTIONS: (u8, 0xac, 31:24),
        /// Length of such an option, in units of 4 bytes.
        MAX_GENEVE_TLV_OPTION_DATA_LEN: (u8, 0xac, 20:16),
        /// There is group [`Group::AdvancedVirtualization`](super::Group::AdvancedVirtualization).
        ADV_VIRTUALIZATION: (bool, 0xac, 6:6),
        /// Streams of dynamic connections, log 2; can be set.
        LOG_MAX_DCI_STREAM_CHANNELS: (u8, 0xb0, 20:16),
        /// Streams in error, log 2; can be set.
        LOG_MAX_DCI_ERRORED_STREAMS: (u8, 0xb0, 12:8),
        /// Completions can be written shorter, the newer way.
        ENHANCED_CQE_COMPRESSION: (bool, 0xb4, 15:15),
        /// Keys for encryption, log 2.
        LOG_MAX_DEK: (u8, 0xb4, 12:8),
        /// Short completions can have the stride.
        MINI_CQE_RESP_STRIDE_INDEX: (bool, 0xb4, 3:3),
        /// Completions of 128 bytes everywhere.
        CQE_128_ALWAYS: (bool, 0xb4, 2:2),
        /// Completions of 128 bytes can be written shorter.
        CQE_COMPRESSION_128: (bool, 0xb4, 1:1),
        /// Completions can be written shorter.
        CQE_COMPRESSION: (bool, 0xb4, 0:0),
        /// How long that may wait.
        CQE_COMPRESSION_TIMEOUT: (u16, 0xb8, 31:16),
        /// How many completions at once.
        CQE_COMPRESSION_MAX_NUM: (u16, 0xb8, 15:0),
        /// Which part of the parser has GTP-U's first word.
        FLEX_PARSER_ID_GTPU_DW_0: (u8, 0xbc, 23:20),
        /// Tag matching.
        TAG_MATCHING: (bool, 0xbc, 15:15),
        /// Rendezvous, reliable connections.
        RNDV_OFFLOAD_RC: (bool, 0xbc, 14:14),
        /// Rendezvous, dynamic connections.
        RNDV_OFFLOAD_DC: (bool, 0xbc, 13:13),
        /// Tags, log 2.
        LOG_TAG_MATCHING_LIST_SZ: (u8, 0xbc, 12:8),
        /// Queues with tag matching, log 2.
        LOG_MAX_XRQ: (u8, 0xbc, 4:0),
        /// How vports can share.
        AFFILIATE_NIC_VPORT_CRITERIA: (u8, 0xc0, 31:24),
        /// The port that the function belongs to.
        NATIVE_PORT_NUM: (u8, 0xc0, 23:16),
        /// Ports that the function can have; can be set.
        NUM_VHCA_PORTS: (u8, 0xc0, 15:8),
        /// Which part of the parser has GTP-U's tunnel.
        FLEX_PARSER_ID_GTPU_TEID: (u8, 0xc0, 7:4),
        /// Software can number functions.
        SW_OWNER_ID: (bool, 0xc0, 1:1),
        /// Counters that can be monitored.
        MAX_NUM_OF_MONITOR_COUNTERS: (u16, 0xc4, 31:16),
        /// Of them, counters of the port.
        NUM_PPCNT_MONITOR_COUNTERS: (u16, 0xc4, 15:0),
        /// Subfunctions.
        MAX_NUM_SF: (u16, 0xc8, 31:16),
        /// Counters that can be monitored, of queues.
        NUM_Q_MONITOR_COUNTERS: (u16, 0xc8, 15:0),
        /// The function is a subfunction.
        SF: (bool, 0xd0, 31:31),
        /// Subfunctions can be divided up.
        SF_SET_PARTITION: (bool, 0xd0, 30:30),
        /// Subfunctions, log 2.
        LOG_MAX_SF: (u8, 0xd0, 28:24),
        /// There are processors in the device.
        APU: (bool, 0xd0, 23:23),
        /// Functions can migrate.
        MIGRATION: (bool, 0xd0, 18:18),
        /// Bytes of a subfunction's BAR, at least, log 2, less 12.
        LOG_MIN_SF_SIZE: (u8, 0xd0, 15:8),
        /// Parts that subfunctions can be divided up into.
        MAX_NUM_SF_PARTITIONS: (u8, 0xd0, 7:0),
        /// What users may do.
        UCTX_CAP: (u32, 0xd4, 31:0),
        /// Which part of the parser has the Geneve option.
        FLEX_PARSER_ID_GENEVE_TLV_OPTION_0: (u8, 0xd8, 27:24),
        /// Which part of the parser has ICMP's second word.
        FLEX_PARSER_ID_ICMP_DW1: (u8, 0xd8, 23:20),
        /// Which part of the parser has ICMP's first word.
        FLEX_PARSER_ID_ICMP_DW0: (u8, 0xd8, 19:16),
        /// Which part of the parser has ICMPv6's second word.
        FLEX_PARSER_ID_ICMPV6_DW1: (u8, 0xd8, 15:12),
        /// Which part of the parser has ICMPv6's first word.
        FLEX_PARSER_ID_ICMPV6_DW0: (u8, 0xd8, 11:8),
        /// Which part of the parser has the label behind GRE.
        FLEX_PARSER_ID_OUTER_FIRST_MPLS_OVER_GRE: (u8, 0xd8, 7:4),
        /// Which part of the parser has the label behind UDP.
        FLEX_PARSER_ID_OUTER_FIRST_MPLS_OVER_UDP_LABEL: (u8, 0xd8, 3:0),
        /// Definers of hashes.
        MAX_NUM_MATCH_DEFINER: (u16, 0xdc, 31:16),
        /// Number of the first subfunction.
        SF_BASE_ID: (u16, 0xdc, 15:0),
        /// Which part of the parser has GTP-U's third word.
        FLEX_PARSER_ID_GTPU_DW_2: (u8, 0xe0, 31:28),
        /// Which part of the parser has GTP-U's first extension.
        FLEX_PARSER_ID_GTPU_FIRST_EXT_DW_0: (u8, 0xe0, 27:24),
        /// MSI-X vectors to divide up between virtual functions.
        NUM_TOTAL_DYNAMIC_VF_MSIX: (u32, 0xe0, 23:0),
        /// MSI-X vectors of a virtual function.
        DYNAMIC_MSIX_TABLE_SIZE: (u16, 0xe4, 11:0),
        /// The same, at least.
        MIN_DYNAMIC_VF_MSIX_TABLE_SIZE: (u8, 0xe8, 19:16),
        /// The same, at most.
        MAX_DYNAMIC_VF_MSIX_TABLE_SIZE: (u16, 0xe8, 11:0),
        /// Commands that can be given for another function.
        VHCA_TUNNEL_COMMANDS: (u64, 0xf0, 63:0),
        /// Kinds of definers.
        MATCH_DEFINER_FORMAT_SUPPORTED: (u64, 0xf8, 63:0),
    }

    /// Group [`Group::General2`](super::Group::General2).
    GeneralCapability2[0x100] {
        /// Bytes that can be put in.
        MAX_REFORMAT_INSERT_SIZE: (u8, 0x14, 31:24),
        /// Where bytes can be put in.
        MAX_REFORMAT_INSERT_OFFSET: (u8, 0x14, 23:16),
        /// Bytes that can be taken out.
        MAX_REFORMAT_REMOVE_SIZE: (u8, 0x14, 15:8),
        /// Where bytes can be taken out.
        MAX_REFORMAT_REMOVE_OFFSET: (u8, 0x14, 7:0),
        /// Pages of a memory key, at least, log 2.
        LOG_MIN_MKEY_ENTITY_SIZE: (u8, 0x34, 20:16),
        /// Software can number functions; can be set.
        SW_VHCA_ID_VALID: (bool, 0x44, 30:30),
        /// The number that it chose.
        SW_VHCA_ID: (u16, 0x44, 29:16),
        /// Bits of the entry's number in completions with timestamps.
        TS_CQE_METADATA_SIZE2WQE_COUNTER: (u8, 0x48, 20:16),
    }
}
