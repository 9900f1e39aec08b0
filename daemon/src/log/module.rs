//! The modules of a program, each with one level a destination.

use super::level::{Destination, Level};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// One source of log lines; its name is the `target` of its `tracing` events.
#[derive(Debug)]
pub(super) struct Module {
    pub name: String,
    levels: [AtomicU8; 3],
    rate_limited: AtomicBool,
}

impl Module {
    fn new(name: &str) -> Module {
        Module {
            name: name.to_string(),
            levels: [Level::Info, Level::Info, Level::Info].map(|l| AtomicU8::new(l as u8)),
            rate_limited: AtomicBool::new(true),
        }
    }

    pub fn level(&self, destination: Destination) -> Level {
        Level::from_u8(self.cell(destination).load(Ordering::Relaxed))
    }

    pub fn set_level(&self, destination: Destination, level: Level) {
        self.cell(destination).store(level as u8, Ordering::Relaxed);
    }

    pub fn honours_rate_limits(&self) -> bool {
        self.rate_limited.load(Ordering::Relaxed)
    }

    pub fn set_rate_limits(&self, on: bool) {
        self.rate_limited.store(on, Ordering::Relaxed);
    }

    fn cell(&self, destination: Destination) -> &AtomicU8 {
        match destination {
            Destination::Syslog => &self.levels[0],
            Destination::Console => &self.levels[1],
            Destination::File => &self.levels[2],
        }
    }
}

/// All modules, by name.
#[derive(Debug, Default)]
pub(super) struct Modules(RwLock<BTreeMap<String, Arc<Module>>>);

impl Modules {
    /// The module called `name`, exactly as its events have it; a new one if there is none.
    pub fn get(&self, name: &str) -> Arc<Module> {
        let known = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned();
        known.unwrap_or_else(|| {
            let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
            all.entry(name.to_string())
                .or_insert_with(|| Arc::new(Module::new(name)))
                .clone()
        })
    }

    /// The module of that name, in any case, as a person types it.
    pub fn find(&self, name: &str) -> Option<Arc<Module>> {
        self.all()
            .into_iter()
            .find(|m| m.name.eq_ignore_ascii_case(name))
    }

    /// All modules in the order of their names.
    pub fn all(&self) -> Vec<Arc<Module>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    /// The text of `vlog/list`.
    pub fn list(&self) -> String {
        let mut text = String::from(
            "                 console    syslog    file\n                 -------    ------    ------\n",
        );
        for module in self.all() {
            text.push_str(&format!(
                "{:<16}  {:>4}       {:>4}       {:>4}",
                module.name,
                module.level(Destination::Console).name(),
                module.level(Destination::Syslog).name(),
                module.level(Destination::File).name()
            ));
            if !module.honours_rate_limits() {
                text.push_str("    (rate limiting disabled)");
            }
            text.push('\n');
        }
        text
    }
}
