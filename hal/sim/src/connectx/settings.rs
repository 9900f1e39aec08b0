//! How a simulated ConnectX is set up.

use super::faults::Faults;
use super::profile::Model;
use serde::Deserialize;

/// What kind of ConnectX is simulated, and how it misbehaves.
///
/// ```json
/// { "profile": "connectx6dx", "vfs": 4, "seed": 7, "faults": { "lose-command": 0.01 } }
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConnectXSettings {
    /// Which model, `connectx6dx` (the default) or `connectx4lx`.
    pub profile: String,
    /// How many virtual functions there are, each with a wire.
    pub vfs: u16,
    /// From which the faults and addresses are drawn; the same number gives the same run.
    pub seed: u64,
    /// How many objects fit into the pages for INIT_HCA; none = 16 to a page. For more of them
    /// the device asks the host for memory.
    pub objects: Option<usize>,
    /// How long the device is busy with itself after power-on and reset, milliseconds.
    pub boot_ms: u64,
    /// What goes wrong.
    pub faults: Faults,
}

impl Default for ConnectXSettings {
    fn default() -> ConnectXSettings {
        ConnectXSettings {
            profile: "connectx6dx".into(),
            vfs: 4,
            seed: 0,
            objects: None,
            boot_ms: 0,
            faults: Faults::default(),
        }
    }
}

impl ConnectXSettings {
    /// The description of the model.
    ///
    /// # Errors
    /// There is no such model, or what is wrong with its description.
    pub(super) fn model(&self) -> Result<Model, String> {
        Model::named(&self.profile)
    }
}
