//! Where things are on this machine: Debian's places, each of which an environment variable moves.

use std::env;
use std::path::{Path, PathBuf};

fn place(variable: &str, default: &str) -> PathBuf {
    match env::var_os(variable) {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => PathBuf::from(default),
    }
}

/// Sockets and pid files: `$OVS_RUNDIR`, else `/var/run/openvswitch`.
pub fn rundir() -> PathBuf {
    place("OVS_RUNDIR", "/var/run/openvswitch")
}

/// Log files: `$OVS_LOGDIR`, else `/var/log/openvswitch`.
pub fn logdir() -> PathBuf {
    place("OVS_LOGDIR", "/var/log/openvswitch")
}

/// The database: `$OVS_DBDIR`, else `$OVS_SYSCONFDIR/openvswitch`, else `/etc/openvswitch`.
pub fn dbdir() -> PathBuf {
    match env::var_os("OVS_DBDIR") {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => sysconfdir().join("openvswitch"),
    }
}

/// Configuration files: `$OVS_SYSCONFDIR`, else `/etc`.
pub fn sysconfdir() -> PathBuf {
    place("OVS_SYSCONFDIR", "/etc")
}

/// Schemas and other data that ships with the program: `$OVS_PKGDATADIR`, else
/// `/usr/share/openvswitch`.
pub fn pkgdatadir() -> PathBuf {
    place("OVS_PKGDATADIR", "/usr/share/openvswitch")
}

/// `name` as it stands if absolute, else below `dir`; with an empty `dir`, below the current
/// directory.
pub fn absolute(dir: &Path, name: impl AsRef<Path>) -> PathBuf {
    if dir.as_os_str().is_empty() {
        env::current_dir().unwrap_or_default().join(name)
    } else {
        dir.join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_names_stand_below_their_directory() {
        assert_eq!(
            absolute(Path::new("/run"), "db.sock"),
            Path::new("/run/db.sock")
        );
        assert_eq!(
            absolute(Path::new("/run"), "/x/db.sock"),
            Path::new("/x/db.sock")
        );
        assert!(absolute(Path::new(""), "a").is_absolute());
    }
}
