//! Programs of a guest and the libraries that they need.
//!
//! A guest is a small Debian unstable: all its libraries are those of the root folder, whose loader
//! says which a program needs. A program of ours runs with them too, since the C library only adds.

use std::path::{Path, PathBuf};

use super::images::{loader, of_root};
use super::initramfs::Initramfs;
use crate::run::run;

/// Adds a program, as `/usr/bin/NAME`, with all libraries that it needs.
pub(super) fn add(guest: &mut Initramfs, program: &Path) {
    let name = program
        .file_name()
        .unwrap_or_else(|| panic!("{}: a program has a name", program.display()));
    guest.copy(
        &format!("/usr/bin/{}", name.to_string_lossy()),
        0o755,
        program,
    );
    let list = run(loader().arg("--list").arg(program)).ok();
    for (path, from) in libraries(&list) {
        guest.copy(&path, 0o755, &from);
    }
}

/// Adds `busybox` and a name for each of its tools, where no program of that name is.
pub(super) fn add_busybox(guest: &mut Initramfs) {
    let busybox = of_root("usr/bin/busybox");
    guest.copy("/usr/bin/busybox", 0o755, &busybox);
    for tool in run(std::process::Command::new(&busybox).arg("--list"))
        .ok()
        .lines()
    {
        guest.link(&format!("/usr/bin/{tool}"), "busybox");
    }
}

/// Reads the loader's list, and says where in a guest each library goes and where it is now:
///
/// ```text
///     linux-vdso.so.1 (0x00007fc02aa3a000)
///     libmnl.so.0 => /root/usr/lib/x86_64-linux-gnu/libmnl.so.0 (0x00007fc02a85f000)
///     /lib64/ld-linux-x86-64.so.2 => /root/lib64/ld-linux-x86-64.so.2 (0x00007fc02aa3c000)
/// ```
///
/// A library has the name by which it is wanted, in a folder where every loader looks; the loader
/// itself has the path that the program gives.
fn libraries(list: &str) -> Vec<(String, PathBuf)> {
    list.lines()
        .filter_map(|line| {
            let (name, rest) = line.trim().split_once(" => ")?;
            let (from, _) = rest
                .rsplit_once(" (")
                .unwrap_or_else(|| panic!("a program for guests needs {name}: {rest}"));
            let path = match name.starts_with('/') {
                true => name.to_owned(),
                false => format!("/usr/lib/{name}"),
            };
            Some((path, PathBuf::from(from)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::libraries;

    #[test]
    fn libraries_go_where_the_loader_looks() {
        let list = "\tlinux-vdso.so.1 (0x00007fc02aa3a000)\n\
                    \tlibmnl.so.0 => /r/usr/lib/x86_64-linux-gnu/libmnl.so.0 (0x00007fc02a85f000)\n\
                    \t/lib64/ld-linux-x86-64.so.2 => /r/lib64/ld-linux-x86-64.so.2 (0x00007fc02aa3c000)\n";
        let found: Vec<(String, String)> = libraries(list)
            .into_iter()
            .map(|(path, from)| (path, from.display().to_string()))
            .collect();
        let expected = [
            (
                "/usr/lib/libmnl.so.0",
                "/r/usr/lib/x86_64-linux-gnu/libmnl.so.0",
            ),
            (
                "/lib64/ld-linux-x86-64.so.2",
                "/r/lib64/ld-linux-x86-64.so.2",
            ),
        ]
        .map(|(path, from)| (path.to_owned(), from.to_owned()));
        assert_eq!(found, expected);
        assert_eq!(libraries("\tstatically linked\n"), []);
    }

    #[test]
    #[should_panic(expected = "needs libx.so.1: not found")]
    fn a_library_that_is_nowhere_is_named() {
        libraries("\tlibx.so.1 => not found\n");
    }
}
