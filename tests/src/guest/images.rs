//! What `tools/guest-images` prepared, and where it stands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that names the folder.
const VARIABLE: &str = "HALYARD_GUESTS";

/// Where the loader of the root folder finds libraries.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// A file of the folder; fails the test, saying what to do, if it is not there.
fn prepared(name: &str) -> PathBuf {
    let folder = std::env::var_os(VARIABLE).unwrap_or_else(|| {
        panic!(
            "{VARIABLE} is not set: run `tools/test --vm`, or set it to what `tools/guest-images` prints"
        )
    });
    let path = Path::new(&folder).join(name);
    assert!(
        path.exists(),
        "{} is missing: `tools/guest-images` prepares it",
        path.display()
    );
    path
}

/// A file of the root folder, which is Debian unstable's.
pub(super) fn of_root(name: &str) -> PathBuf {
    prepared("root").join(name)
}

/// The root folder's loader, told to find libraries there. What follows is a program and its
/// arguments: so a program of unstable runs here without entering the folder.
pub(super) fn loader() -> Command {
    let mut loader = Command::new(of_root("lib64/ld-linux-x86-64.so.2"));
    loader
        .args(["--inhibit-cache", "--library-path"])
        .arg(of_root(LIBRARIES));
    loader
}

/// A stock kernel of Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Bookworm's, 6.1.
    Bookworm,
    /// Unstable's, as new as the folder.
    Sid,
}

impl Kernel {
    fn file(self, name: &str) -> PathBuf {
        let release = match self {
            Kernel::Bookworm => "bookworm",
            Kernel::Sid => "sid",
        };
        prepared(release).join(name)
    }

    fn text(self, name: &str) -> String {
        let path = self.file(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// What `uname -r` says in a guest that runs it.
    pub fn version(self) -> String {
        self.text("version").trim().to_owned()
    }

    pub(super) fn image(self) -> PathBuf {
        self.file("vmlinuz")
    }

    /// All modules that were kept.
    pub(super) fn modules(self) -> Vec<PathBuf> {
        let folder = self.file("modules");
        fs::read_dir(&folder)
            .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect())
            .unwrap_or_else(|e| panic!("{}: {e}", folder.display()))
    }

    /// The files to insert, in their order, for a module to work.
    pub(super) fn insertions(self, module: &str) -> Vec<String> {
        insertions(&self.text("order"), module).unwrap_or_else(|| {
            panic!("no module {module} was kept: add it to the list in `tools/guest-images`")
        })
    }
}

/// Reads lines of `module: first.ko second.ko module.ko`. The kernel writes `_` for `-` in names of
/// modules, files have either.
fn insertions(order: &str, module: &str) -> Option<Vec<String>> {
    let same = |name: &str| name.replace('-', "_") == module.replace('-', "_");
    let (_, files) = order
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| same(name))?;
    let mut once: Vec<String> = Vec::new();
    for file in files.split_whitespace() {
        if !once.iter().any(|have| have == file) {
            once.push(file.to_owned());
        }
    }
    Some(once)
}

#[cfg(test)]
mod tests {
    use super::insertions;

    #[test]
    fn a_module_comes_after_what_it_needs_and_each_once() {
        let order = "e1000e: e1000e.ko\n\
                     vfio-pci: irqbypass.ko vfio.ko vfio.ko vfio-pci.ko\n";
        let files = insertions(order, "vfio_pci").expect("it is listed");
        assert_eq!(files, ["irqbypass.ko", "vfio.ko", "vfio-pci.ko"]);
        assert_eq!(insertions(order, "vfio"), None);
    }
}
