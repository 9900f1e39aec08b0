//! The command queue: entries and mailboxes (`struct mlx5_cmd_layout` and `struct mlx5_cmd_prot_block`
//! in Linux's `device.h`).

use crate::layout::{layout, values};

layout! {
    /// An entry of the command queue.
    CommandEntry[0x40] {
        /// How the command travels: 7 = over PCI.
        TRANSPORT: (u8, 0x00, 31:24),
        /// Bytes of the input, those in the entry included.
        INPUT_LENGTH: (u32, 0x04, 31:0),
        /// Address of the input's first mailbox.
        INPUT_MAILBOX: (u64, 0x08, 63:0),
        /// The input's first 16 bytes.
        INPUT: (u128, 0x10, 127:0),
        /// The output's first 16 bytes.
        OUTPUT: (u128, 0x20, 127:0),
        /// Address of the output's first mailbox.
        OUTPUT_MAILBOX: (u64, 0x30, 63:0),
        /// Bytes of the output, those in the entry included.
        OUTPUT_LENGTH: (u32, 0x38, 31:0),
        /// The same in the entry and in all of its mailboxes.
        TOKEN: (u8, 0x3c, 31:24),
        /// Makes the entry's bytes sum up (exclusive or) to 0xff.
        SIGNATURE: (u8, 0x3c, 23:16),
        /// How the command was delivered, see [`Delivery`].
        STATUS: (u8, 0x3c, 7:1),
        /// The device has it.
        OWNED_BY_DEVICE: (bool, 0x3c, 0:0),
    }

    /// A mailbox: the next 512 bytes of an input or output.
    Mailbox[0x240] {
        /// Address of the next mailbox; 0 = this is the last.
        NEXT: (u64, 0x230, 63:0),
        /// Counts from 0.
        BLOCK_NUMBER: (u32, 0x238, 31:0),
        /// The command's token.
        TOKEN: (u8, 0x23c, 23:16),
        /// Makes the bytes from 0x200 on sum up to 0xff, the next one left out.
        CONTROL_SIGNATURE: (u8, 0x23c, 15:8),
        /// Makes all bytes sum up to 0xff.
        SIGNATURE: (u8, 0x23c, 7:0),
    }
}

/// Bytes of input or output in a mailbox; they stand at its beginning.
pub const MAILBOX_DATA: usize = 512;

/// [`CommandEntry::TRANSPORT`] of all commands.
pub const TRANSPORT_PCI: u8 = 7;

values! {
    /// How a command was delivered: [`CommandEntry::STATUS`].
    #[allow(missing_docs)]
    pub enum Delivery: u8 {
        Ok = 0,
        Signature = 1,
        Token = 2,
        BlockNumber = 3,
        OutputPointer = 4,
        InputPointer = 5,
        Firmware = 6,
        InputLength = 7,
        OutputLength = 8,
        Reserved = 9,
        Descriptor = 0x10,
    }
}
