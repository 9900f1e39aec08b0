//! How a simulated ConnectX is set up.

use super::faults::Faults;
use super::profile::Model;
use crate::settings::{SettingsError, check_each};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

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
        self.faults.check()?;
        Model::named(&self.profile)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, that is not JSON, or that has a key or value that does not
    /// exist; the error names file and key.
    pub fn load(path: &Path) -> Result<ConnectXSettings, SettingsError> {
        let name = || path.display().to_string();
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|why| SettingsError::Unreadable { path: name(), why })?;
        ConnectXSettings::parse(&text).map_err(|why| SettingsError::Invalid { path: name(), why })
    }

    /// Reads text.
    ///
    /// # Errors
    /// What is wrong, with the key or the line.
    pub fn parse(text: &str) -> Result<ConnectXSettings, String> {
        let keys: Map<String, Value> = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if let Some(Value::Object(faults)) = keys.get("faults") {
            check_each::<Faults>("faults: ", faults)?;
        }
        check_each::<ConnectXSettings>("", &keys)?;
        let settings: ConnectXSettings =
            serde_json::from_value(Value::Object(keys)).map_err(|e| e.to_string())?;
        settings.model()?;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(
            ConnectXSettings::parse("{}"),
            Ok(ConnectXSettings::default())
        );
        let settings = ConnectXSettings::parse(r#"{"vfs":2,"seed":9,"boot-ms":5}"#).unwrap();
        assert_eq!((settings.vfs, settings.seed, settings.boot_ms), (2, 9, 5));
        let cases = [
            (r#"{"speed":1}"#, "`speed`"),
            (r#"{"faults":{"explode":1}}"#, "faults: explode: "),
            (r#"{"faults":7}"#, "faults: "),
            (r#"{"profile":"connectx1"}"#, "profile connectx1"),
            (r#"{"vfs":-1}"#, "vfs: "),
            ("[]", "map"),
            ("", "line 1"),
        ];
        for (text, word) in cases {
            let error = ConnectXSettings::parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
