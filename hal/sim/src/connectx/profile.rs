//! What kinds of ConnectX there are, as data: `profiles/*.json`.
//!
//! A description holds what distinguishes one from another: identity, sizes, and the capabilities
//! by group and field, under the names that the layouts give them (in lower case). What is not
//! named is zero. A capability is a number; one that a host may raise is written as
//! `[now, at most]`.

use super::capability::Capabilities;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A kind of ConnectX.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub device_id: u16,
    /// The chip's number in the health buffer.
    pub hardware_id: u32,
    /// Major, minor, sub-minor.
    pub firmware: [u16; 3],
    bar_mib: u64,
    /// Interrupts.
    pub vectors: u16,
    /// Pages wanted for booting and for INIT_HCA.
    pub boot_pages: u32,
    pub init_pages: u32,
    /// The board's name (PSID).
    pub board: String,
    /// It is on the NIC's own processor.
    pub embedded_cpu: bool,
    pub capabilities: Capabilities,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Description {
    device_id: String,
    hardware_id: u32,
    firmware: [u16; 3],
    bar_mib: u64,
    vectors: u16,
    boot_pages: u32,
    init_pages: u32,
    board: String,
    #[serde(default)]
    embedded_cpu: bool,
    capabilities: BTreeMap<String, BTreeMap<String, Value>>,
}

impl Model {
    /// Reads a description.
    pub fn parse(text: &str) -> Result<Model, String> {
        let d: Description = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let device_id = u16::from_str_radix(&d.device_id, 16);
        let device_id = device_id.map_err(|e| format!("device-id: {e}"))?;
        if !d.bar_mib.is_power_of_two() || d.bar_mib > 1024 {
            return Err(format!(
                "bar-mib: {} is not a power of 2 to 1024",
                d.bar_mib
            ));
        }
        if !(1..=256).contains(&d.vectors) {
            return Err(format!("vectors: {} are not 1 to 256", d.vectors));
        }
        Ok(Model {
            device_id,
            hardware_id: d.hardware_id,
            firmware: d.firmware,
            bar_mib: d.bar_mib,
            vectors: d.vectors,
            boot_pages: d.boot_pages,
            init_pages: d.init_pages,
            board: d.board,
            embedded_cpu: d.embedded_cpu,
            capabilities: Capabilities::of(&d.capabilities)?,
        })
    }

    /// Bytes of BAR 0.
    pub fn bar_len(&self) -> u64 {
        self.bar_mib << 20
    }
}

impl Model {
    /// Ticks of the free-running timer in a millisecond.
    pub fn kilohertz(&self) -> u64 {
        156_250
    }
}
