//! Names for rows that do not exist yet.

use super::{BaseType, ReferenceKind};
use crate::Uuid;
use std::collections::BTreeMap;

/// What is known of one name.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// The UUID that the name stands for.
    pub uuid: Uuid,
    /// Whether a row was inserted under this name.
    pub created: bool,
    /// Whether a column refers to it strongly.
    pub strong_ref: bool,
    /// Whether a column refers to it weakly.
    pub weak_ref: bool,
}

/// The names of one transaction (or one command line), each with its UUID.
#[derive(Clone, Debug, Default)]
pub struct Symbols(BTreeMap<String, Symbol>);

impl Symbols {
    /// An empty table.
    pub fn new() -> Symbols {
        Symbols::default()
    }

    /// The symbol called `name`; it is made, with a fresh UUID, when it is new.
    pub fn get_or_insert(&mut self, name: &str) -> &mut Symbol {
        self.0.entry(name.to_owned()).or_insert_with(|| Symbol {
            uuid: Uuid::random(),
            created: false,
            strong_ref: false,
            weak_ref: false,
        })
    }

    /// The symbol called `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<&Symbol> {
        self.0.get(name)
    }

    /// All symbols, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Symbol)> {
        self.0.iter().map(|(name, symbol)| (name.as_str(), symbol))
    }

    /// The UUID of `name`, noting that a column of type `base` refers to it.
    pub(super) fn refer(&mut self, name: &str, base: &BaseType) -> Uuid {
        let symbol = self.get_or_insert(name);
        if let Some(reference) = &base.reference {
            match reference.kind {
                ReferenceKind::Strong => symbol.strong_ref = true,
                ReferenceKind::Weak => symbol.weak_ref = true,
            }
        }
        symbol.uuid
    }
}
