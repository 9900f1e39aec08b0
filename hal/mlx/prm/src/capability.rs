//! Capabilities: what the device can do, as QUERY_HCA_CAP and SET_HCA_CAP carry it. A group fills
//! 4096 bytes; layouts end with its last known field.

use crate::layout::{Described, Layout, values};

mod general;
mod offload;
mod steering;

pub use general::*;
pub use offload::*;
pub use steering::*;

/// Bytes of a group.
pub const GROUP_SIZE: usize = 0x1000;

values! {
    /// A group of capabilities.
    pub enum Group: u16 {
        /// [`GeneralCapability`].
        General = 0x00,
        /// [`EthernetCapability`].
        Ethernet = 0x01,
        /// Paging on demand.
        Odp = 0x02,
        /// [`AtomicCapability`].
        Atomic = 0x03,
        /// [`RoceCapability`].
        Roce = 0x04,
        /// IP over InfiniBand.
        Ipoib = 0x05,
        /// IP over InfiniBand, faster.
        IpoibEnhanced = 0x06,
        /// [`FlowTableCapability`].
        FlowTable = 0x07,
        /// [`EswitchFlowTableCapability`].
        EswitchFlowTable = 0x08,
        /// [`EswitchCapability`].
        Eswitch = 0x09,
        /// Calculations.
        VectorCalc = 0x0b,
        /// [`QosCapability`].
        Qos = 0x0c,
        /// [`DebugCapability`].
        Debug = 0x0d,
        /// [`DeviceMemoryCapability`].
        DeviceMemory = 0x0f,
        /// TLS.
        Tls = 0x11,
        /// Emulated virtio devices.
        VirtioEmulation = 0x13,
        /// [`DeviceEventCapability`].
        DeviceEvent = 0x14,
        /// IPsec.
        Ipsec = 0x15,
        /// Headers split off and packets merged.
        Shampo = 0x1d,
        /// MACsec.
        Macsec = 0x1f,
        /// [`GeneralCapability2`].
        General2 = 0x20,
        /// [`PortSelectionCapability`].
        PortSelection = 0x25,
        /// Virtual functions with more.
        AdvancedVirtualization = 0x26,
    }
}

impl Group {
    /// The groups whose layouts are known here, with their names.
    pub const KNOWN: &'static [(Group, &'static str, &'static Layout)] = &[
        (Group::General, "general", GeneralCapability::LAYOUT),
        (Group::Ethernet, "ethernet", EthernetCapability::LAYOUT),
        (Group::Atomic, "atomic", AtomicCapability::LAYOUT),
        (Group::Roce, "roce", RoceCapability::LAYOUT),
        (Group::FlowTable, "flow_table", FlowTableCapability::LAYOUT),
        (
            Group::EswitchFlowTable,
            "eswitch_flow_table",
            EswitchFlowTableCapability::LAYOUT,
        ),
        (Group::Eswitch, "eswitch", EswitchCapability::LAYOUT),
        (Group::Qos, "qos", QosCapability::LAYOUT),
        (Group::Debug, "debug", DebugCapability::LAYOUT),
        (
            Group::DeviceMemory,
            "device_memory",
            DeviceMemoryCapability::LAYOUT,
        ),
        (
            Group::DeviceEvent,
            "device_event",
            DeviceEventCapability::LAYOUT,
        ),
        (Group::General2, "general_2", GeneralCapability2::LAYOUT),
        (
            Group::PortSelection,
            "port_selection",
            PortSelectionCapability::LAYOUT,
        ),
    ];

    /// Its layout, if it is known here.
    pub fn layout(self) -> Option<&'static Layout> {
        let mut known = Self::KNOWN.iter();
        known
            .find(|(group, ..)| *group == self)
            .map(|(.., layout)| *layout)
    }
}
