//! What goes wrong: a plan, drawn from the seed.

use serde::Deserialize;

/// A plan of faults. Nothing goes wrong by default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Faults {}
