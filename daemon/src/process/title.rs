//! What `ps` shows: the program's arguments, overwritten in place.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

/// The arguments as they were, to be put back.
pub(super) struct Title {
    start: u64,
    saved: Vec<u8>,
}

impl Title {
    /// Shows `PROGRAM: TEXT` instead of the arguments, as far as they leave room. None if the
    /// system does not let us.
    pub fn set(text: &str) -> Option<Title> {
        let (start, size) = arguments()?;
        let memory = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/proc/self/mem")
            .ok()?;
        let mut saved = vec![0; size];
        memory.read_exact_at(&mut saved, start).ok()?;
        let title = Title { start, saved };
        title.show(text);
        Some(title)
    }

    /// Shows another text in the same place.
    pub fn show(&self, text: &str) {
        let mut shown = format!("{}: {text}", crate::log::program()).into_bytes();
        if shown.len() >= self.saved.len() {
            shown.truncate(self.saved.len().saturating_sub(4));
            shown.extend_from_slice(b"...");
        }
        shown.resize(self.saved.len(), 0);
        self.write(&shown);
    }

    /// Shows the arguments again.
    pub fn restore(self) {
        self.write(&self.saved);
    }

    fn write(&self, bytes: &[u8]) {
        if let Ok(memory) = OpenOptions::new().write(true).open("/proc/self/mem") {
            let _ = memory.write_all_at(bytes, self.start);
        }
    }
}

/// Address and size of the arguments: fields 48 and 49 of `/proc/self/stat` (proc(5)).
fn arguments() -> Option<(u64, usize)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field may hold spaces, and ends at the last parenthesis.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(45);
    let start: u64 = fields.next()?.parse().ok()?;
    let end: u64 = fields.next()?.parse().ok()?;
    let size = usize::try_from(end.checked_sub(start)?).ok()?;
    (8..1 << 20).contains(&size).then_some((start, size))
}

/// Names the calling thread (the process, on its main thread) as `ps -o comm` shows it.
pub(super) fn set_comm(name: &str) {
    // The kernel keeps 15 bytes; the end says more than the beginning.
    let tail = name.len().saturating_sub(15);
    let name = match name.get(tail..) {
        Some(end) if tail > 0 => format!(">{}", end.get(1..).unwrap_or_default()),
        _ => name.to_string(),
    };
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
}
