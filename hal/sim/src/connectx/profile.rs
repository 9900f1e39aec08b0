//! What kinds of ConnectX there are, as data: `hal/sim/profiles/*.json`.
//!
//! A description holds what distinguishes one from another: identity, sizes, and the capabilities
//! by group and field, under the names that the layouts give them; each with its source. What is
//! not named is zero. One description may be based on another, and then says only what differs;
//! a group that it sets to `null` is not there at all.

use super::capability::Capabilities;
use hal_mlx_prm::capability::GeneralCapability;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The descriptions, by name.
pub(super) const PROFILES: &[(&str, &str)] = &[
    (
        "connectx4lx",
        include_str!("../../profiles/connectx4lx.json"),
    ),
    (
        "connectx6dx",
        include_str!("../../profiles/connectx6dx.json"),
    ),
];

/// The chip's number in the health buffer.
const HARDWARE_ID: u32 = 0x212;
/// Interrupts.
const VECTORS: u16 = 64;

/// A kind of ConnectX.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub device_id: u16,
    pub hardware_id: u32,
    /// Major, minor, sub-minor.
    pub firmware: [u16; 3],
    /// Interrupts.
    pub vectors: u16,
    /// Pages wanted for booting and for INIT_HCA.
    pub boot_pages: u32,
    pub init_pages: u32,
    /// The maker's number among Ethernet addresses.
    pub ieee_vendor: u32,
    /// The board's name (PSID).
    pub board: String,
    /// It is on the NIC's own processor.
    pub embedded_cpu: bool,
    pub capabilities: Capabilities,
}

/// A value and where it was found.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sourced {
    /// What it can be at most.
    pub value: Value,
    /// What it is at first, if that is less.
    pub current: Option<Value>,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "why")]
    _why: Option<String>,
}

/// Capabilities by group and field.
pub(super) type Groups = BTreeMap<String, BTreeMap<String, Sourced>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    #[serde(rename = "part")]
    _part: String,
    based_on: Option<String>,
    device: BTreeMap<String, Sourced>,
    capabilities: BTreeMap<String, Option<BTreeMap<String, Sourced>>>,
}

/// What distinguishes parts.
#[derive(Default)]
struct Described {
    device: BTreeMap<String, Sourced>,
    groups: Groups,
}

/// Reads a description and those that it is based on, the first of them first.
fn read(name: &str, depth: usize) -> Result<Described, String> {
    let text = PROFILES.iter().find(|(known, _)| *known == name);
    let (_, text) = text.ok_or_else(|| {
        let names: Vec<&str> = PROFILES.iter().map(|(name, _)| *name).collect();
        format!("profile {name}: there are {}", names.join(", "))
    })?;
    let d: Description = serde_json::from_str(text).map_err(|e| format!("profile {name}: {e}"))?;
    let mut all = match &d.based_on {
        Some(base) if depth < PROFILES.len() => read(base, depth + 1)?,
        Some(base) => return Err(format!("profile {name}: based on {base}, without end")),
        None => Described::default(),
    };
    all.device.extend(d.device);
    for (group, fields) in d.capabilities {
        match fields {
            Some(fields) => all.groups.entry(group).or_default().extend(fields),
            None => {
                all.groups.remove(&group);
            }
        }
    }
    Ok(all)
}

impl Model {
    /// The kind of ConnectX of this name.
    pub fn named(name: &str) -> Result<Model, String> {
        let Described { device, groups } = read(name, 0)?;
        let bad = |key: &str| format!("profile {name}: {key}: missing, or not as it should be");
        let value = |key: &str| device.get(key).map(|v| &v.value);
        let number = |key: &str| {
            let number = value(key).and_then(Value::as_u64);
            number.and_then(|n| u32::try_from(n).ok()).ok_or(bad(key))
        };
        let text = |key: &str| value(key).and_then(Value::as_str).ok_or(bad(key));
        let mut firmware = [0; 3];
        let mut parts = text("FIRMWARE")?.split('.');
        for place in &mut firmware {
            let part = parts.next().and_then(|part| part.parse().ok());
            *place = part.ok_or(bad("FIRMWARE"))?;
        }
        let device_id = number("DEVICE_ID")?;
        let capabilities = Capabilities::of(&groups);
        Ok(Model {
            device_id: u16::try_from(device_id).map_err(|_| bad("DEVICE_ID"))?,
            hardware_id: HARDWARE_ID,
            firmware,
            vectors: VECTORS,
            boot_pages: number("BOOT_PAGES")?,
            init_pages: number("INIT_PAGES")?,
            ieee_vendor: number("IEEE_VENDOR_ID")?,
            board: text("PSID")?.into(),
            embedded_cpu: false,
            capabilities: capabilities.map_err(|e| format!("profile {name}: {e}"))?,
        })
    }

    /// Bytes of BAR 0.
    pub fn bar_len(&self) -> u64 {
        let log_mib = self.capabilities.get(GeneralCapability::UAR_SZ);
        1 << (20 + u32::from(log_mib.min(10)))
    }

    /// Ticks of the free-running timer in a millisecond.
    pub fn kilohertz(&self) -> u64 {
        let fine = self
            .capabilities
            .get(GeneralCapability::DEVICE_FREQUENCY_KHZ);
        let coarse = self
            .capabilities
            .get(GeneralCapability::DEVICE_FREQUENCY_MHZ);
        if fine > 0 {
            fine.into()
        } else {
            u64::from(coarse) * 1000
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_profiles_can_be_read() {
        for (name, _) in PROFILES {
            let model = Model::named(name).unwrap();
            assert_eq!(model.capabilities.get(GeneralCapability::PORT_TYPE), 1);
            assert!(model.kilohertz() > 0 && model.bar_len() >= 1 << 20);
        }
        let error = Model::named("connectx1").unwrap_err();
        assert!(error.contains("connectx6dx"), "{error}");
    }
}
