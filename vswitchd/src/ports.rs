//! Opening ports: what `main` hands down, so that nothing else names a datapath or a device.

use hal::{Datapath, DeviceWatch, PacketPort};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is to be opened.
#[derive(Clone, Debug)]
pub struct PortRequest<'a> {
    /// The interface's name.
    pub name: &'a str,
    /// The interface's type, as the database has it.
    pub kind: &'a str,
    /// The datapath that it will join.
    pub datapath_type: &'a str,
    /// Options of the type.
    pub options: &'a BTreeMap<String, String>,
    /// An address for ports that have none of their own.
    pub mac: Option<u64>,
}

/// A port that belongs to a NIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePort {
    /// The device, as the options name it (`sim:NAME`).
    pub device: String,
    /// Which of its ports.
    pub port: String,
    /// What its far side is connected to.
    pub wire: Option<String>,
}

/// How a port is to be had.
pub enum Opened {
    /// It is here.
    Port(Arc<dyn PacketPort>),
    /// It is one of a NIC's.
    Device(DevicePort),
}

/// Makes datapaths, ports and devices. `main` has the only one.
pub trait Provider {
    /// Datapath types that can be had, for the database.
    fn datapath_types(&self) -> Vec<String>;

    /// Interface types that can be had, for the database.
    fn interface_types(&self) -> Vec<String>;

    /// The type that a bridge with this `datapath_type` really gets.
    fn datapath_type<'a>(&self, wanted: &'a str) -> &'a str;

    /// Makes a datapath.
    fn open_datapath(&mut self, kind: &str) -> Result<Box<dyn Datapath>, String>;

    /// These ports are about to be opened, one after another: what takes long may be done for all
    /// of them at once. What was opened for the last such call and not asked for is closed.
    fn open_ahead(&mut self, _requests: &[PortRequest<'_>]) {}

    /// Opens a port; an error is one line for `Interface.error`.
    fn open_port(&mut self, request: &PortRequest<'_>) -> Result<Opened, String>;

    /// Opens a NIC by name.
    fn open_device(&mut self, name: &str) -> Result<Box<dyn hal::FlowDevice>, String>;

    /// Tells what becomes of the host's devices; none if its ports are none of them.
    fn watch_devices(&mut self) -> Option<Box<dyn DeviceWatch>>;

    /// The datapath port number that a new port should get, if not just the next one.
    fn port_number(&self, datapath_type: &str, name: &str) -> Option<u32>;

    /// Applies options that an open port can change.
    fn configure_port(&mut self, name: &str, options: &BTreeMap<String, String>);

    /// `bell` is rung when a dummy port has received something from its far side.
    fn set_bell(&mut self, _bell: Arc<dyn Fn() + Send + Sync>) {}

    /// Whether a dummy port's far side is there, as `netdev-dummy/conn-state` says it.
    fn far_side(&self, _name: &str) -> &'static str {
        "unknown"
    }

    /// A port that was closed may be opened again.
    fn closed(&mut self, name: &str);

    /// The dummy port of this name, for `netdev-dummy/*`.
    fn dummy(&self, name: &str) -> Option<hal_soft::ports::dummy::DummyPort>;
}
