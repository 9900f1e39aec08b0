//! The initialisation segment: the beginning of BAR 0 (`iseg` in Linux's `device.h`).

use crate::layout::layout;

layout! {
    /// The initialisation segment.
    InitSegment[0x1100] {
        /// Firmware's version, minor.
        FW_MINOR: (u16, 0x00, 31:16),
        /// Firmware's version, major.
        FW_MAJOR: (u16, 0x00, 15:0),
        /// Revision of the command interface; this is about 5.
        CMDIF_REVISION: (u16, 0x04, 31:16),
        /// Firmware's version, sub-minor.
        FW_SUBMINOR: (u16, 0x04, 15:0),
        /// Address of the command queue's page.
        CMDQ_ADDRESS_HIGH: (u32, 0x10, 31:0),
        /// Lower part of the address.
        CMDQ_ADDRESS_LOW: (u32, 0x14, 31:12),
        /// What the driver wants: 0 the full interface, 1 none, 7 a software reset.
        NIC_INTERFACE: (u8, 0x14, 10:8),
        /// Entries of the command queue, log 2.
        LOG_CMDQ_SIZE: (u8, 0x14, 7:4),
        /// Bytes from one entry to the next, log 2.
        LOG_CMDQ_STRIDE: (u8, 0x14, 3:0),
        /// A bit for each entry that has been given to the device.
        COMMAND_DOORBELL: (u32, 0x18, 31:0),
        /// The device is not ready for commands.
        INITIALIZING: (bool, 0x1fc, 31:31),
        /// A software reset can be asked for.
        RESET_SUPPORTED: (bool, 0x1fc, 30:30),
        /// Runs on the NIC's own processor.
        EMBEDDED_CPU: (bool, 0x1fc, 23:23),
        /// What the firmware says about itself.
        HEALTH: (HealthBuffer, 0x200),
        /// Longest time that a command takes, milliseconds; 0 = 60 s.
        COMMAND_TIMEOUT: (u32, 0xff8, 31:0),
        /// Longest time until the device is ready, milliseconds; 0 = 2 s.
        READY_TIMEOUT: (u32, 0xffc, 31:0),
        /// Free-running timer.
        TIMER: (u64, 0x1000, 63:0),
        /// Moves as long as the firmware is alive.
        HEALTH_COUNTER: (u32, 0x1010, 23:0),
    }

    /// The health buffer.
    HealthBuffer[0x40] {
        /// Numbers of the assertion that failed.
        ASSERT_VAR_0: (u32, 0x00, 31:0),
        /// The second.
        ASSERT_VAR_1: (u32, 0x04, 31:0),
        /// The third.
        ASSERT_VAR_2: (u32, 0x08, 31:0),
        /// The fourth.
        ASSERT_VAR_3: (u32, 0x0c, 31:0),
        /// The fifth.
        ASSERT_VAR_4: (u32, 0x10, 31:0),
        /// The sixth.
        ASSERT_VAR_5: (u32, 0x14, 31:0),
        /// Where the firmware left.
        ASSERT_EXIT_POINTER: (u32, 0x20, 31:0),
        /// Whence it was called.
        ASSERT_CALLER: (u32, 0x24, 31:0),
        /// When.
        TIME: (u32, 0x2c, 31:0),
        /// Firmware's version.
        FW_VERSION: (u32, 0x30, 31:0),
        /// The chip.
        HARDWARE_ID: (u32, 0x34, 31:0),
        /// A reset is the remedy.
        RESET_REQUIRED: (bool, 0x38, 31:31),
        /// How bad it is.
        SEVERITY: (u8, 0x38, 26:24),
        /// Which processor of the chip.
        IRISC_INDEX: (u8, 0x3c, 31:24),
        /// What is wrong; 0 = nothing.
        SYNDROME: (u8, 0x3c, 23:16),
        /// More about it.
        EXTENDED_SYNDROME: (u16, 0x3c, 15:0),
    }
}
