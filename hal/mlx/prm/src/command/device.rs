//! Commands about the device as a whole: what it is, who drives it, its registers.

use super::{Input, Output};
use crate::layout::layout;

layout! {
    /// Input of QUERY_ADAPTER.
    QueryAdapterIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
    }

    /// Output of QUERY_ADAPTER.
    QueryAdapterOut[0x110] {
        /// Status.
        HEAD: (Output, 0x00),
        /// What the device is.
        ADAPTER: (Adapter, 0x10),
    }

    /// What the device is.
    Adapter[0x100] {
        /// The vendor, as addresses have it.
        IEEE_VENDOR_ID: (u32, 0x18, 23:0),
        /// The vendor, as PCI has it.
        VSD_VENDOR_ID: (u16, 0x1c, 15:0),
        /// Whatever the vendor says.
        VSD: ([u8; 208], 0x20),
        /// Name of the board.
        PSID: ([u8; 16], 0xf0),
    }

    /// Input of SET_DRIVER_VERSION.
    SetDriverVersionIn[0x50] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// System, driver and version, with commas between them.
        DRIVER_VERSION: ([u8; 64], 0x10),
    }

    /// Input of ACCESS_REG. Variants: 0 writes, 1 reads.
    AccessRegIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// See [`Register`](crate::register::Register).
        REGISTER_ID: (u16, 0x08, 15:0),
        /// Depends on the register.
        ARGUMENT: (u32, 0x0c, 31:0),
        /// The register.
        DATA: ([u8], 0x10),
    }

    /// Output of ACCESS_REG.
    AccessRegOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The register.
        DATA: ([u8], 0x10),
    }
}
