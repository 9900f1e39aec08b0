//! Registers, which ACCESS_REG reads and writes.

use crate::layout::{layout, values};

mod counters;
mod port;

pub use counters::*;
pub use port::*;

layout! {
    /// DTOR: how long software should wait.
    DefaultTimeouts[0x40] {
        /// For the PCI link to come back.
        PCIE_TOGGLE: (Timeout, 0x04),
        /// From one look at the health buffer to the next.
        HEALTH_POLL: (Timeout, 0x14),
        /// For a dump of everything.
        FULL_CRDUMP: (Timeout, 0x18),
        /// For the firmware to be reset.
        FW_RESET: (Timeout, 0x1c),
        /// For queues in error to be flushed.
        FLUSH_ON_ERR: (Timeout, 0x20),
        /// For all to agree on an update.
        PCI_SYNC_UPDATE: (Timeout, 0x24),
        /// For a fast teardown.
        TEAR_DOWN: (Timeout, 0x28),
        /// For new firmware to begin.
        FSM_REACTIVATE: (Timeout, 0x2c),
        /// For pages to come back.
        RECLAIM_PAGES: (Timeout, 0x30),
        /// For pages of virtual functions to come back.
        RECLAIM_VFS_PAGES: (Timeout, 0x34),
    }

    /// How long.
    Timeout[0x4] {
        /// Units: 0 milliseconds, 1 seconds, 2 minutes, 3 hours.
        MULTIPLIER: (u8, 0x00, 31:29),
        /// How many.
        VALUE: (u32, 0x00, 19:0),
    }

    /// HOST_ENDIANNESS: what the host is like.
    HostEndianness[0x10] {
        /// The host is big-endian, for atomic operations.
        BIG_ENDIAN: (bool, 0x00, 31:31),
    }

    /// PCAM: which registers of ports and which of their features there are.
    PortCapabilityMask[0x50] {
        /// 0, the only one.
        FEATURE_GROUP: (u8, 0x00, 23:16),
        /// 0, the only one.
        ACCESS_REG_GROUP: (u8, 0x00, 7:0),
        /// Bit n = register 0x5000 + n.
        REGISTERS: (u128, 0x08, 127:0),
        /// Bits: 0 statistical counters, 1 counters of discards, 3 type of connector, 4 fullness of
        /// buffers, 5 errors of lanes, 9 mask in PFCC, 13 newer list of speeds, 18 error of
        /// encapsulated packets, 23 error correction of 50 Gb/s lanes.
        FEATURES: (u128, 0x28, 127:0),
    }

    /// MCAM: which registers of management and which of their features there are.
    ManagementCapabilityMask[0x48] {
        /// 0, the only one.
        FEATURE_GROUP: (u8, 0x00, 23:16),
        /// 0 registers from 0x9000, 1 from 0x9080, 2 from 0x9100.
        ACCESS_REG_GROUP: (u8, 0x00, 7:0),
        /// Bit n = the n-th register of the group.
        REGISTERS: (u128, 0x08, 127:0),
        /// Bits, see Linux's `mlx5_ifc_mcam_enhanced_features_bits`.
        FEATURES: (u128, 0x28, 127:0),
    }

    /// QCAM: which registers of service qualities and which of their features there are.
    QosCapabilityMask[0x48] {
        /// 0, the only one.
        FEATURE_GROUP: (u8, 0x00, 23:16),
        /// 0, the only one.
        ACCESS_REG_GROUP: (u8, 0x00, 7:0),
        /// Bit n = register 0x4000 + n.
        REGISTERS: (u128, 0x08, 127:0),
        /// Bits: 0 both ways to trust.
        FEATURES: (u128, 0x28, 127:0),
    }
}

values! {
    /// Which register: `REGISTER_ID` in ACCESS_REG.
    pub enum Register: u16 {
        /// [`QosCapabilityMask`].
        Qcam = 0x4019,
        /// [`PortModuleMapping`].
        Pmlp = 0x5002,
        /// [`PortMtu`].
        Pmtu = 0x5003,
        /// [`PortTypeSpeed`].
        Ptys = 0x5004,
        /// [`PortAdminOperStatus`].
        Paos = 0x5006,
        /// [`PortFlowControl`].
        Pfcc = 0x5007,
        /// [`PortCounters`].
        Ppcnt = 0x5008,
        /// [`PortDiagnostics`].
        Pddr = 0x5031,
        /// [`PortCheck`].
        Pcmr = 0x5041,
        /// [`PortCapabilityMask`].
        Pcam = 0x507f,
        /// [`HostEndianness`].
        HostEndianness = 0x7004,
        /// [`ManagementCapabilityMask`].
        Mcam = 0x907f,
        /// [`DefaultTimeouts`].
        Dtor = 0xc00e,
    }
}
