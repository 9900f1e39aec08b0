//! The folder that a guest's kernel starts with, as the archive that it unpacks.
//!
//! The format is cpio's `newc` (Linux, `Documentation/driver-api/early-userspace/buffer-format.rst`): for
//! each entry a header of 110 characters, its name and its data, each filled up to a multiple of four.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

enum Entry {
    Folder,
    File {
        mode: u32,
        data: Vec<u8>,
    },
    Link(String),
    /// A character device.
    Device {
        major: u32,
        minor: u32,
    },
}

/// Files of a guest by their paths in it. Folders are made as they are needed.
pub(super) struct Initramfs {
    entries: BTreeMap<String, Entry>,
}

impl Initramfs {
    /// One in which a kernel can start `/init`: it has a console.
    pub fn new() -> Initramfs {
        let mut made = Initramfs {
            entries: BTreeMap::new(),
        };
        for folder in ["/dev", "/proc", "/sys", "/run", "/tmp"] {
            made.put(folder, Entry::Folder);
        }
        made.put("/dev/console", Entry::Device { major: 5, minor: 1 });
        made
    }

    /// Each folder sorts before what is in it, since its path is the beginning of theirs.
    fn put(&mut self, path: &str, entry: Entry) {
        let path = path
            .strip_prefix('/')
            .unwrap_or_else(|| panic!("{path}: a guest's files have absolute paths"));
        for (end, _) in path.match_indices('/') {
            self.entries
                .entry(path[..end].to_owned())
                .or_insert(Entry::Folder);
        }
        self.entries.insert(path.to_owned(), entry);
    }

    /// A file with this content.
    pub fn file(&mut self, path: &str, mode: u32, data: impl Into<Vec<u8>>) {
        let data = data.into();
        self.put(path, Entry::File { mode, data });
    }

    /// A copy of a file of this machine.
    pub fn copy(&mut self, path: &str, mode: u32, from: &Path) {
        let data = fs::read(from).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
        self.file(path, mode, data);
    }

    /// A symbolic link, unless something of this name is there.
    pub fn link(&mut self, path: &str, to: &str) {
        if !self.entries.contains_key(path.trim_start_matches('/')) {
            self.put(path, Entry::Link(to.to_owned()));
        }
    }

    /// The archive.
    pub fn archive(&self) -> Vec<u8> {
        let mut archive = Vec::new();
        for (number, (path, entry)) in (1u32..).zip(&self.entries) {
            let (mode, data, device) = match entry {
                Entry::Folder => (0o040_755, &[][..], (0, 0)),
                Entry::File { mode, data } => (0o100_000 | mode, &data[..], (0, 0)),
                Entry::Link(to) => (0o120_777, to.as_bytes(), (0, 0)),
                Entry::Device { major, minor } => (0o020_600, &[][..], (*major, *minor)),
            };
            append(&mut archive, number, mode, path, data, device);
        }
        append(&mut archive, 0, 0, "TRAILER!!!", &[], (0, 0));
        archive
    }
}

fn append(
    archive: &mut Vec<u8>,
    number: u32,
    mode: u32,
    name: &str,
    data: &[u8],
    (major, minor): (u32, u32),
) {
    let size = |bytes: usize| u32::try_from(bytes).expect("a file of less than 4 GiB");
    let fields = [
        number,
        mode,
        0, // owner
        0, // group
        1, // links
        0, // time
        size(data.len()),
        0, // device that it stood on
        0,
        major,
        minor,
        size(name.len() + 1),
        0, // checksum: none in this kind of archive
    ];
    archive.extend_from_slice(b"070701");
    for field in fields {
        archive.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend_from_slice(data);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::Initramfs;

    #[test]
    fn folders_come_before_what_is_in_them_and_all_is_aligned() {
        let mut made = Initramfs::new();
        made.file("/usr/bin/x", 0o755, "abc");
        made.link("/usr/bin/x", "not me");
        made.link("/usr/bin/y", "x");
        let archive = made.archive();
        let mut at = 0;
        let mut seen = Vec::new();
        loop {
            let field = |n: usize| {
                let text = &archive[at + 6 + 8 * n..at + 14 + 8 * n];
                usize::from_str_radix(std::str::from_utf8(text).unwrap(), 16).unwrap()
            };
            assert_eq!(&archive[at..at + 6], b"070701");
            let (mode, size, name_size) = (field(1), field(6), field(11));
            let name = std::str::from_utf8(&archive[at + 110..at + 109 + name_size]).unwrap();
            let data_at = (at + 110 + name_size).next_multiple_of(4);
            let data = std::str::from_utf8(&archive[data_at..data_at + size]).unwrap();
            if name == "TRAILER!!!" {
                break;
            }
            if name.starts_with("usr") {
                seen.push(format!("{mode:o} {name} {data}"));
            }
            at = (data_at + size).next_multiple_of(4);
        }
        let expected = [
            "40755 usr ",
            "40755 usr/bin ",
            "100755 usr/bin/x abc",
            "120777 usr/bin/y x",
        ];
        assert_eq!(seen, expected);
    }
}
