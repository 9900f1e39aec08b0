//! Reading a database file, record by record.

use super::{MAGIC, MAGIC_CLUSTER, hex, io_error};
use crate::Error;
use crate::json::{self, Json};
use sha1::{Digest, Sha1};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Longest header line that is looked at.
const MAX_HEADER: u64 = 128;

/// A file being read.
pub struct Reader {
    path: PathBuf,
    file: BufReader<File>,
    clustered: bool,
    /// Where the next record begins.
    offset: u64,
    /// Where the last record began.
    previous: u64,
    failed: bool,
}

fn parse_header(line: &[u8]) -> Option<(&str, u64, &str)> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix("OVSDB ")?;
    let (magic, line) = line.split_once(' ')?;
    let (length, sha1) = line.split_once(' ')?;
    let sha1 = sha1.strip_suffix('\n')?;
    let well_formed = sha1.len() == 40
        && sha1.bytes().all(|c| c.is_ascii_hexdigit())
        && length.bytes().all(|c| c.is_ascii_digit());
    let length = length.parse().ok().filter(|&n: &u64| n > 0)?;
    well_formed.then_some((magic, length, sha1))
}

impl Reader {
    /// Opens a file and looks at its first line.
    ///
    /// # Errors
    /// `"I/O error"`, or `"ovsdb error"` for a file of another kind.
    pub fn open(path: &Path, writable: bool) -> Result<Reader, Error> {
        let file = OpenOptions::new()
            .read(true)
            .write(writable)
            .open(path)
            .map_err(io_error(path, "open failed"))?;
        let mut reader = Reader {
            path: path.to_owned(),
            file: BufReader::with_capacity(1 << 16, file),
            clustered: false,
            offset: 0,
            previous: 0,
            failed: false,
        };
        let start = reader
            .file
            .fill_buf()
            .map_err(io_error(path, "read error"))?;
        let end = start
            .iter()
            .position(|&b| b == b'\n')
            .map_or(start.len(), |at| at + 1);
        let other = |what: &str| Error::new("ovsdb error", format!("{}: {what}", path.display()));
        match parse_header(start.get(..end).unwrap_or_default()) {
            _ if start.is_empty() => Err(other("cannot identify file type")),
            None => Err(other("unexpected file format")),
            Some((MAGIC, ..)) => Ok(reader),
            Some((MAGIC_CLUSTER, ..)) => {
                reader.clustered = true;
                Ok(reader)
            }
            Some(_) => Err(other("cannot identify file type")),
        }
    }

    /// Whether it is a server's part of a clustered database.
    pub fn is_clustered(&self) -> bool {
        self.clustered
    }

    /// The next record; none at the end.
    ///
    /// # Errors
    /// What is wrong with it, and at which offset. Nothing can be read after that.
    pub fn next_record(&mut self) -> Result<Option<Json>, Error> {
        if self.failed {
            return Ok(None);
        }
        let record = self.read();
        self.failed = record.is_err();
        record
    }

    fn read(&mut self) -> Result<Option<Json>, Error> {
        let name = self.path.display().to_string();
        let mut header = Vec::new();
        (&mut self.file)
            .take(MAX_HEADER)
            .read_until(b'\n', &mut header)
            .map_err(io_error(&self.path, "read failed"))?;
        if header.is_empty() {
            return Ok(None);
        }
        let magic = if self.clustered { MAGIC_CLUSTER } else { MAGIC };
        let Some((_, length, sha1)) = parse_header(&header).filter(|(m, ..)| *m == magic) else {
            let line = String::from_utf8_lossy(&header);
            return Err(Error::syntax_plain(format!(
                "{name}: parse error at offset {} in header line \"{}\"",
                self.offset,
                line.trim_end_matches('\n')
            )));
        };
        let start = self.offset + header.len() as u64;
        let mut body = Vec::new();
        (&mut self.file)
            .take(length)
            .read_to_end(&mut body)
            .map_err(io_error(&self.path, "read failed"))?;
        let missing = length.saturating_sub(body.len() as u64);
        if missing > 0 {
            return Err(Error::end_of_file(format!(
                "{name}: error reading {missing} bytes starting at offset {start}"
            )));
        }
        let place = format!("{name}: {length} bytes starting at offset {start}");
        let actual = hex(&Sha1::digest(&body));
        if !actual.eq_ignore_ascii_case(sha1) {
            return Err(Error::syntax_plain(format!(
                "{place} have SHA-1 hash {actual} but should have hash {}",
                sha1.to_ascii_lowercase()
            )));
        }
        let record = json::parse(&body)
            .map_err(|why| Error::syntax_plain(format!("{place} are not valid JSON ({why})")))?;
        if !record.is_object() {
            return Err(Error::syntax_plain(format!(
                "{place} are not a JSON object"
            )));
        }
        self.previous = self.offset;
        self.offset = start + length;
        Ok(Some(record))
    }

    /// Takes the last record back: it does not count, and will be overwritten.
    pub fn unread(&mut self) {
        self.offset = self.previous;
        self.failed = true;
    }

    /// Where the next record would begin, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn into_parts(self) -> (PathBuf, File, u64) {
        (self.path, self.file.into_inner(), self.offset)
    }
}
