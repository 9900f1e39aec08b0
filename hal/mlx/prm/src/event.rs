//! Entries of event queues, and the data of each kind of event.

use crate::layout::{layout, values};

layout! {
    /// An entry of an event queue (`struct mlx5_eqe` in Linux's `device.h`).
    EventEntry[0x40] {
        /// See [`EventType`].
        TYPE: (u8, 0x00, 23:16),
        /// Depends on the type.
        SUBTYPE: (u8, 0x00, 7:0),
        /// What has happened, laid out as the type says.
        DATA: ([u8; 0x1c], 0x20),
        /// Makes all bytes sum up (exclusive or) to 0xff.
        SIGNATURE: (u8, 0x3c, 15:8),
        /// Changes each time round: the entry is new when this is the round's parity.
        OWNER: (bool, 0x3c, 0:0),
    }

    /// Data of [`EventType::Completion`].
    CompletionEvent[0x1c] {
        /// The completion queue.
        CQN: (u32, 0x18, 23:0),
    }

    /// Data of [`EventType::CqError`].
    CqErrorEvent[0x1c] {
        /// The completion queue.
        CQN: (u32, 0x00, 23:0),
        /// 1 it overran, 2 its memory could not be written.
        SYNDROME: (u8, 0x08, 7:0),
    }

    /// Data of events of queues, such as [`EventType::WqCatastrophe`].
    QueueEvent[0x1c] {
        /// 0 a queue pair, 1 a receive queue, 2 a send queue, 6 a dynamic target.
        QUEUE_TYPE: (u8, 0x14, 31:24),
        /// Its number.
        NUMBER: (u32, 0x18, 23:0),
    }

    /// Data of [`EventType::PortChange`]; the subtype is a [`PortChange`].
    PortEvent[0x1c] {
        /// The port.
        PORT: (u8, 0x08, 31:28),
    }

    /// Data of [`EventType::Command`].
    CommandEvent[0x1c] {
        /// A bit for each entry of the command queue that is done.
        VECTOR: (u32, 0x00, 31:0),
    }

    /// Data of [`EventType::PageRequest`].
    PageRequestEvent[0x1c] {
        /// The function is one of the NIC's own processor.
        EMBEDDED_CPU: (bool, 0x00, 31:31),
        /// All pages of the function are to be taken back.
        RELEASE_ALL: (bool, 0x00, 30:30),
        /// Which function.
        FUNCTION_ID: (u16, 0x00, 15:0),
        /// How many pages; as a signed number, those that it gives back.
        NUM_PAGES: (u32, 0x04, 31:0),
    }

    /// Data of [`EventType::NicVportChange`].
    VportChangeEvent[0x1c] {
        /// The vport whose context has changed.
        VPORT_NUMBER: (u16, 0x00, 15:0),
    }

    /// Data of [`EventType::VhcaStateChange`].
    VhcaStateEvent[0x1c] {
        /// The function is one of the NIC's own processor.
        EMBEDDED_CPU: (u16, 0x00, 31:16),
        /// Which function.
        FUNCTION_ID: (u16, 0x00, 15:0),
    }

    /// Data of [`EventType::PortModule`].
    PortModuleEvent[0x1c] {
        /// The module.
        MODULE: (u8, 0x00, 23:16),
        /// 1 plugged, 2 unplugged, 3 in error, 4 disabled.
        STATUS: (u8, 0x00, 3:0),
        /// What is wrong.
        ERROR_TYPE: (u8, 0x04, 11:8),
    }

    /// Data of [`EventType::Temperature`].
    TemperatureEvent[0x1c] {
        /// A bit for each sensor from 64 on that is too hot.
        SENSORS_HIGH: (u64, 0x00, 63:0),
        /// A bit for each of the first 64 sensors.
        SENSORS_LOW: (u64, 0x08, 63:0),
    }

    /// Data of [`EventType::ObjectChange`].
    ObjectChangeEvent[0x1c] {
        /// What kind of object.
        OBJECT_TYPE: (u16, 0x00, 15:0),
        /// Its number.
        OBJECT_ID: (u32, 0x04, 31:0),
    }
}

values! {
    /// What has happened: [`EventEntry::TYPE`].
    pub enum EventType: u8 {
        /// A completion queue that was armed has a new entry.
        Completion = 0x00,
        /// A connection has migrated.
        PathMigrated = 0x01,
        /// A connection has been established.
        CommunicationEstablished = 0x02,
        /// A send queue is drained.
        SqDrained = 0x03,
        /// A completion queue is broken.
        CqError = 0x04,
        /// A work queue is broken.
        WqCatastrophe = 0x05,
        /// A connection has not migrated.
        PathMigrationFailed = 0x07,
        /// The device is broken.
        InternalError = 0x08,
        /// The port's state has changed.
        PortChange = 0x09,
        /// Commands are done.
        Command = 0x0a,
        /// The device wants pages, or gives some back.
        PageRequest = 0x0b,
        /// A page is missing.
        PageFault = 0x0c,
        /// A vport's context has changed.
        NicVportChange = 0x0d,
        /// The functions behind the e-switch have changed.
        EswFunctionsChanged = 0x0e,
        /// A function's state has changed.
        VhcaStateChange = 0x0f,
        /// A request was not valid.
        WqInvalidRequest = 0x10,
        /// A request was not allowed.
        WqAccessError = 0x11,
        /// A shared receive queue is broken.
        SrqCatastrophe = 0x12,
        /// The last entry of a queue in error has gone.
        SrqLastWqe = 0x13,
        /// A receive queue has fewer entries than its water mark.
        SrqLimit = 0x14,
        /// An input has changed.
        Gpio = 0x15,
        /// A port's module has changed.
        PortModule = 0x16,
        /// The device is too hot.
        Temperature = 0x17,
        /// A queue of tag matching is broken.
        XrqError = 0x18,
        /// Somebody else has changed the configuration.
        RemoteConfig = 0x19,
        /// Doorbells are congested.
        DoorbellCongestion = 0x1a,
        /// A lane stalls.
        Stall = 0x1b,
        /// A dynamic target is drained.
        DctDrained = 0x1c,
        /// A dynamic target was asked with a wrong key.
        DctKeyViolation = 0x1d,
        /// Something else; see the subtype.
        General = 0x22,
        /// A monitored counter has changed.
        MonitorCounter = 0x24,
        /// A pulse.
        PulsePerSecond = 0x25,
        /// The firmware has written traces.
        DeviceTracer = 0x26,
        /// An object has changed.
        ObjectChange = 0x27,
    }

    /// How a port has changed: [`EventEntry::SUBTYPE`] of [`EventType::PortChange`].
    pub enum PortChange: u8 {
        /// It is down.
        Down = 1,
        /// It is up.
        Active = 4,
        /// It is initialised, on InfiniBand.
        Initialized = 5,
    }
}
