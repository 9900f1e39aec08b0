//! Registers of a port: how fast it is, whether it is up, how long packets may be.

use crate::layout::layout;

layout! {
    /// PMTU: how long packets may be, their Ethernet headers included.
    PortMtu[0x10] {
        /// The port.
        LOCAL_PORT: (u8, 0x00, 23:16),
        /// What the port can do.
        MAX_MTU: (u16, 0x04, 31:16),
        /// What is wanted.
        ADMIN_MTU: (u16, 0x08, 31:16),
        /// What is.
        OPER_MTU: (u16, 0x0c, 31:16),
    }

    /// PTYS: speeds. They are bits, whose meaning is in Linux's `port.h` (`mlx5e_link_mode`,
    /// `mlx5e_ext_link_mode`).
    PortTypeSpeed[0x40] {
        /// Negotiation is not wanted.
        AN_DISABLE_ADMIN: (bool, 0x00, 30:30),
        /// Negotiation can be switched off.
        AN_DISABLE_CAP: (bool, 0x00, 29:29),
        /// The port.
        LOCAL_PORT: (u8, 0x00, 23:16),
        /// What is asked about: bit 0 InfiniBand, bit 2 Ethernet.
        PROTO_MASK: (u8, 0x00, 2:0),
        /// Negotiation: 0 unavailable, 1 done, 2 failed, 3 up without it, 4 nobody there, 5 going
        /// on.
        AN_STATUS: (u8, 0x04, 31:28),
        /// The speed, in units of 100 Mb/s.
        DATA_RATE_OPER: (u16, 0x04, 15:0),
        /// Speeds that the port can do, the newer list.
        EXT_ETH_PROTO_CAPABILITY: (u32, 0x08, 31:0),
        /// Speeds that the port can do.
        ETH_PROTO_CAPABILITY: (u32, 0x0c, 31:0),
        /// The same on InfiniBand: widths.
        IB_LINK_WIDTH_CAPABILITY: (u16, 0x10, 31:16),
        /// Its protocols.
        IB_PROTO_CAPABILITY: (u16, 0x10, 15:0),
        /// Speeds that are wanted, the newer list.
        EXT_ETH_PROTO_ADMIN: (u32, 0x14, 31:0),
        /// Speeds that are wanted.
        ETH_PROTO_ADMIN: (u32, 0x18, 31:0),
        /// The same on InfiniBand: widths.
        IB_LINK_WIDTH_ADMIN: (u16, 0x1c, 31:16),
        /// Its protocols.
        IB_PROTO_ADMIN: (u16, 0x1c, 15:0),
        /// The speed that there is, the newer list.
        EXT_ETH_PROTO_OPER: (u32, 0x20, 31:0),
        /// The speed that there is.
        ETH_PROTO_OPER: (u32, 0x24, 31:0),
        /// The same on InfiniBand: width.
        IB_LINK_WIDTH_OPER: (u16, 0x28, 31:16),
        /// Its protocol.
        IB_PROTO_OPER: (u16, 0x28, 15:0),
        /// What the port looks like: 0 unknown, 3 copper, 4 fibre, 5 direct attach.
        CONNECTOR_TYPE: (u8, 0x2c, 3:0),
        /// Speeds that the other end offers.
        ETH_PROTO_LP_ADVERTISE: (u32, 0x30, 31:0),
    }

    /// PAOS: whether the port is up.
    PortAdminOperStatus[0x10] {
        /// The switch.
        SWID: (u8, 0x00, 31:24),
        /// The port.
        LOCAL_PORT: (u8, 0x00, 23:16),
        /// What is wanted: 1 up, 2 down, 3 up once, 4 off.
        ADMIN_STATUS: (u8, 0x00, 11:8),
        /// What is: 1 up, 2 down, 4 down because of errors.
        OPER_STATUS: (u8, 0x00, 3:0),
        /// `ADMIN_STATUS` is to be written.
        ADMIN_STATUS_ENABLE: (bool, 0x04, 31:31),
        /// `EVENT` is to be written.
        EVENT_ENABLE: (bool, 0x04, 30:30),
        /// A change makes: 0 nothing, 1 an event, 2 one event.
        EVENT: (u8, 0x04, 1:0),
    }

    /// PFCC: pause frames.
    PortFlowControl[0x20] {
        /// The port.
        LOCAL_PORT: (u8, 0x00, 23:16),
        /// `PPAN` is not to be written.
        PPAN_MASK_N: (bool, 0x00, 4:4),
        /// `DEVICE_STALL_MINOR_WATERMARK` is to be written.
        MINOR_STALL_MASK: (bool, 0x00, 3:3),
        /// `DEVICE_STALL_CRITICAL_WATERMARK` is to be written.
        CRITICAL_STALL_MASK: (bool, 0x00, 2:2),
        /// 0 as set, 1 as negotiated.
        PPAN: (u8, 0x04, 31:28),
        /// Which priorities may change, sending.
        PRIO_MASK_TX: (u8, 0x04, 23:16),
        /// Which priorities may change, receiving.
        PRIO_MASK_RX: (u8, 0x04, 7:0),
        /// Pause frames are wanted to be sent.
        PPTX: (bool, 0x08, 31:31),
        /// Pause frames are sent.
        APTX: (bool, 0x08, 30:30),
        /// `PPTX` is not to be written.
        PPTX_MASK_N: (bool, 0x08, 29:29),
        /// Priorities for which pause frames are sent.
        PFCTX: (u8, 0x08, 23:16),
        /// Pause frames are wanted to be obeyed.
        PPRX: (bool, 0x0c, 31:31),
        /// Pause frames are obeyed.
        APRX: (bool, 0x0c, 30:30),
        /// `PPRX` is not to be written.
        PPRX_MASK_N: (bool, 0x0c, 29:29),
        /// Priorities for which pause frames are obeyed.
        PFCRX: (u8, 0x0c, 23:16),
        /// Milliseconds of a stall until it is counted.
        DEVICE_STALL_MINOR_WATERMARK: (u16, 0x10, 31:16),
        /// Milliseconds of a stall until the port no longer pauses.
        DEVICE_STALL_CRITICAL_WATERMARK: (u16, 0x10, 15:0),
    }

    /// PCMR: what the port checks, and what goes into a tunnel's source port.
    PortCheck[0xc] {
        /// The port.
        LOCAL_PORT: (u8, 0x00, 23:16),
        /// `ENTROPY_FORCE` can be set.
        ENTROPY_FORCE_CAP: (bool, 0x04, 31:31),
        /// `ENTROPY_CALC` can be set.
        ENTROPY_CALC_CAP: (bool, 0x04, 30:30),
        /// `ENTROPY_GRE_CALC` can be set.
        ENTROPY_GRE_CALC_CAP: (bool, 0x04, 29:29),
        /// `RX_TS_OVER_CRC` can be set.
        RX_TS_OVER_CRC_CAP: (bool, 0x04, 13:13),
        /// `FCS_CHECK` can be set.
        FCS_CAP: (bool, 0x04, 1:1),
        /// `ENTROPY_CALC` counts even where firmware would do otherwise.
        ENTROPY_FORCE: (bool, 0x08, 31:31),
        /// A tunnel's source port is made of the flow.
        ENTROPY_CALC: (bool, 0x08, 30:30),
        /// NVGRE's key is made of the flow.
        ENTROPY_GRE_CALC: (bool, 0x08, 29:29),
        /// The time stands in place of the frame check sequence.
        RX_TS_OVER_CRC: (bool, 0x08, 13:13),
        /// Packets with a wrong frame check sequence are dropped.
        FCS_CHECK: (bool, 0x08, 1:1),
    }

    /// PMLP: which modules a port uses.
    PortModuleMapping[0x40] {
        /// Lanes for receiving are told apart from those for sending.
        RXTX: (bool, 0x00, 31:31),
        /// The port.
        LOCAL_PORT: (u8, 0x00, 23:16),
        /// How many lanes.
        WIDTH: (u8, 0x00, 7:0),
        /// The module in the lowest 8 bits; then its lane for sending.
        LANE0_MODULE_MAPPING: (u32, 0x04, 31:0),
        /// The same for lane 1.
        LANE1_MODULE_MAPPING: (u32, 0x08, 31:0),
        /// The same for lane 2.
        LANE2_MODULE_MAPPING: (u32, 0x0c, 31:0),
        /// The same for lane 3.
        LANE3_MODULE_MAPPING: (u32, 0x10, 31:0),
    }
    /// PDDR: what is the matter with the port. The page of troubleshooting, with the group of the
    /// monitor.
    PortDiagnostics[0x100] {
        /// The port.
        LOCAL_PORT: (u8, 0x00, 23:16),
        /// 1 = troubleshooting.
        PAGE_SELECT: (u8, 0x04, 7:0),
        /// 0 = the monitor.
        GROUP_OPCODE: (u16, 0x08, 15:0),
        /// 0 nothing, 1 closed by command, 2 nobody answers, 1024 nothing plugged in.
        MONITOR_OPCODE: (u16, 0x0c, 15:0),
        /// The same in words, ends in a zero.
        STATUS_MESSAGE: ([u8; 236], 0x14),
    }
}
