//! Commands that bring a function up and down.

use super::{Input, Output};
use crate::layout::layout;

layout! {
    /// Input of QUERY_HCA_CAP. The variant is the capability group, times 2, plus 1 for what is
    /// set now rather than what could be.
    QueryHcaCapIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Of the function that `FUNCTION_ID` names.
        OTHER_FUNCTION: (bool, 0x08, 31:31),
        /// Number of that function.
        FUNCTION_ID: (u16, 0x08, 15:0),
    }
    /// Output of QUERY_HCA_CAP.
    QueryHcaCapOut[0x1010] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The group, see [`capability`](crate::capability).
        CAPABILITY: ([u8; 0x1000], 0x10),
    }

    /// Input of SET_HCA_CAP. The variant is the capability group, times 2.
    SetHcaCapIn[0x1010] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Of the function that `FUNCTION_ID` names.
        OTHER_FUNCTION: (bool, 0x08, 31:31),
        /// Number of that function.
        FUNCTION_ID: (u16, 0x08, 15:0),
        /// The group, see [`capability`](crate::capability).
        CAPABILITY: ([u8; 0x1000], 0x10),
    }

    /// Input of INIT_HCA.
    InitHcaIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The number that software gives to the function.
        SW_VHCA_ID: (u16, 0x0c, 29:16),
        /// A number for software's instance; older drivers end before it.
        SW_OWNER_ID: ([u8], 0x10),
    }

    /// Input of TEARDOWN_HCA.
    TeardownHcaIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// 0 orderly, 1 by force, 2 prepare a fast one.
        PROFILE: (u16, 0x08, 15:0),
    }
    /// Output of TEARDOWN_HCA.
    TeardownHcaOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Whether a teardown by force did not succeed.
        STATE: (bool, 0x0c, 0:0),
    }

    /// Input of ENABLE_HCA.
    EnableHcaIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The function is one of the NIC's own processor.
        EMBEDDED_CPU: (bool, 0x08, 31:31),
        /// Which function: 0 itself, otherwise one that it manages.
        FUNCTION_ID: (u16, 0x08, 15:0),
    }

    /// Input of DISABLE_HCA.
    DisableHcaIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The function is one of the NIC's own processor.
        EMBEDDED_CPU: (bool, 0x08, 31:31),
        /// Which function: 0 itself, otherwise one that it manages.
        FUNCTION_ID: (u16, 0x08, 15:0),
    }

    /// Input of QUERY_PAGES. Variants: 1 for booting, 2 for INIT_HCA, 3 as needed.
    QueryPagesIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The function is one of the NIC's own processor.
        EMBEDDED_CPU: (bool, 0x08, 31:31),
        /// Which function.
        FUNCTION_ID: (u16, 0x08, 15:0),
    }
    /// Output of QUERY_PAGES.
    QueryPagesOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The function is one of the NIC's own processor.
        EMBEDDED_CPU: (bool, 0x08, 31:31),
        /// Which function.
        FUNCTION_ID: (u16, 0x08, 15:0),
        /// How many pages of 4 KiB; as a signed number, what it has too many.
        NUM_PAGES: (u32, 0x0c, 31:0),
    }

    /// The address of a page.
    PageAddress[8] {
        /// Address, in units of 4 KiB.
        PAGE: (u64, 0x00, 63:12),
    }

    /// Input of MANAGE_PAGES. Variants: 0 cannot give, 1 gives, 2 takes back.
    ManagePagesIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The function is one of the NIC's own processor.
        EMBEDDED_CPU: (bool, 0x08, 31:31),
        /// Which function.
        FUNCTION_ID: (u16, 0x08, 15:0),
        /// How many pages.
        NUM_ENTRIES: (u32, 0x0c, 31:0),
        /// The pages that are given.
        PAGES: (PageAddress.., 0x10),
    }
    /// Output of MANAGE_PAGES.
    ManagePagesOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// How many pages came back.
        NUM_ENTRIES: (u32, 0x08, 31:0),
        /// The pages that came back.
        PAGES: (PageAddress.., 0x10),
    }

    /// Input of QUERY_ISSI.
    QueryIssiIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
    }
    /// Output of QUERY_ISSI.
    QueryIssiOut[0x70] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The interface that is set.
        CURRENT: (u16, 0x08, 15:0),
        /// A bit for each that can be set.
        SUPPORTED: (u32, 0x6c, 31:0),
    }

    /// Input of SET_ISSI.
    SetIssiIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The interface to set.
        CURRENT: (u16, 0x08, 15:0),
    }
}
