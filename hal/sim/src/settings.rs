//! The device's own settings: `sim-NAME.json`, every key with a default.

use crate::profile::Profile;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;

/// What kind of NIC is simulated, and how it misbehaves.
///
/// ```json
/// { "profile": "basic", "rules": 1000, "inserts-per-second": 10000, "seed": 7,
///   "faults": { "fail-insert": 0.01, "late-completion": 20 } }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// What the NIC can do: `full` (the default), `basic`, `tiny`.
    pub profile: Profile,
    /// How many rules it holds; none = what the profile says.
    pub rules: Option<usize>,
    /// Insertions (and replacements) a second, 0 = as fast as they come.
    pub inserts_per_second: u64,
    /// From which the faults are drawn; the same number gives the same run.
    pub seed: u64,
    /// What goes wrong.
    pub faults: Faults,
}

/// A plan of faults, drawn from the seed. Nothing goes wrong by default.
///
/// Counted faults happen once in the life of a device, so that there is an afterwards to look at.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Faults {
    /// How likely an insertion or replacement is refused, 0 to 1.
    pub fail_insert: f64,
    /// How likely the completion of an operation that took effect is lost, 0 to 1. Such an
    /// operation is in flight until the next reset, with which it completes as lost.
    pub lose_completion: f64,
    /// Completions come up to so many milliseconds late; those of one key stay in order.
    pub late_completion: u64,
    /// After so many operations the device stops working until it is reset: it does nothing of
    /// what is asked, and all its packets go to software. 0 = never.
    pub error_after: u64,
    /// From so many rules on the table is full, whatever the capabilities say. 0 = never.
    pub table_full: usize,
    /// After so many operations the device resets itself. 0 = never.
    pub reset_after: u64,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{path}: {why}")]
    Unreadable {
        /// The file.
        path: String,
        /// The operating system's word.
        why: std::io::Error,
    },
    /// The file says something that it cannot say.
    #[error("{path}: {why}")]
    Invalid {
        /// The file.
        path: String,
        /// Which key, and what is wrong with it.
        why: String,
    },
}

impl Settings {
    /// Reads a file. One that is not there is as good as an empty one.
    ///
    /// # Errors
    /// A file that cannot be read, that is not JSON, or that has a key or value that does not
    /// exist; the error names file and key.
    pub fn load(path: &Path) -> Result<Settings, SettingsError> {
        let name = || path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Settings::default()),
            Err(why) => return Err(SettingsError::Unreadable { path: name(), why }),
        };
        Settings::parse(&text).map_err(|why| SettingsError::Invalid { path: name(), why })
    }

    /// Reads text.
    ///
    /// # Errors
    /// What is wrong, with the key or the line.
    pub fn parse(text: &str) -> Result<Settings, String> {
        let keys: Map<String, Value> = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if let Some(faults) = keys.get("faults") {
            let faults = faults.as_object().ok_or("faults: not an object")?;
            check_each::<Faults>("faults: ", faults)?;
        }
        check_each::<Settings>("", &keys)?;
        let settings: Settings =
            serde_json::from_value(Value::Object(keys)).map_err(|e| e.to_string())?;
        let chances = [
            ("fail-insert", settings.faults.fail_insert),
            ("lose-completion", settings.faults.lose_completion),
        ];
        for (key, chance) in chances {
            if !(0.0..=1.0).contains(&chance) {
                return Err(format!("faults: {key}: {chance} is not between 0 and 1"));
            }
        }
        // More than this and a rule's slot would not fit its handle.
        if settings.rules.is_some_and(|n| n > 1 << 24) {
            return Err(format!("rules: more than {}", 1 << 24));
        }
        Ok(settings)
    }
}

/// Each key alone makes a `T`, so that an error can say which does not.
pub(crate) fn check_each<T: for<'de> Deserialize<'de>>(
    place: &str,
    keys: &Map<String, Value>,
) -> Result<(), String> {
    for (key, value) in keys {
        let alone = Map::from_iter([(key.clone(), value.clone())]);
        if let Err(e) = serde_json::from_value::<T>(Value::Object(alone)) {
            return Err(format!("{place}{key}: {e}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_are_read_and_none_is_needed() {
        assert_eq!(Settings::parse("{}"), Ok(Settings::default()));
        let text = r#"{"profile":"basic","rules":10,"inserts-per-second":5,"seed":7,
            "faults":{"fail-insert":0.5,"lose-completion":1,"late-completion":3,
                      "error-after":4,"table-full":2,"reset-after":9}}"#;
        let wanted = Settings {
            profile: Profile::Basic,
            rules: Some(10),
            inserts_per_second: 5,
            seed: 7,
            faults: Faults {
                fail_insert: 0.5,
                lose_completion: 1.0,
                late_completion: 3,
                error_after: 4,
                table_full: 2,
                reset_after: 9,
            },
        };
        assert_eq!(Settings::parse(text), Ok(wanted));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (r#"{"speed":1}"#, "`speed`"),
            (r#"{"faults":{"explode":1}}"#, "`explode`"),
            (r#"{"profile":"huge"}"#, "`huge`"),
            (r#"{"faults":{"fail-insert":2}}"#, "fail-insert: 2"),
            (r#"{"rules":99999999999}"#, "rules"),
            (r#"{"rules":-1}"#, "rules: "),
            (r#"{"profile":7}"#, "profile: "),
            (r#"{"seed":"x"}"#, "seed: "),
            (r#"{"seed":{"x":1}}"#, "map"),
            (r#"{"faults":7}"#, "faults: "),
            (r#"{"faults":[]}"#, "faults: "),
            (r#"{"faults":{"fail-insert":"x"}}"#, "faults: fail-insert: "),
            (r#"{"faults":{"table-full":-1}}"#, "faults: table-full: "),
            ("[]", "map"),
            ("", "line 1"),
        ];
        for (text, word) in cases {
            let error = Settings::parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn the_file_is_named_and_need_not_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sim-nic0.json");
        assert_eq!(Settings::load(&path).unwrap(), Settings::default());
        std::fs::write(&path, r#"{"colour":"red"}"#).unwrap();
        let error = Settings::load(&path).unwrap_err().to_string();
        assert!(error.contains("sim-nic0.json"), "{error}");
        assert!(error.contains("`colour`"), "{error}");
    }
}
