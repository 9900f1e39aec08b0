//! OpenFlow's errors as values, and what decoding says when it refuses a message.

mod table;

use crate::version::Version;
pub use table::OfError;

/// The vendor's number of Nicira's extensions.
pub const NX_VENDOR: u32 = 0x0000_2320;
/// The Open Networking Foundation's number.
pub const ONF_VENDOR: u32 = 0x4f4e_4600;

/// An error's numbers in one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorNumbers {
    /// 0 for standard errors.
    pub vendor: u32,
    /// The error type.
    pub kind: u16,
    /// The error code; 0 where extensions have only a type.
    pub code: u16,
}

impl OfError {
    /// The specification's name.
    pub fn name(self) -> &'static str {
        table::ERRORS
            .iter()
            .find(|(e, ..)| *e == self)
            .map_or("", |(_, name, _)| name)
    }

    /// The error of this name.
    pub fn from_name(name: &str) -> Option<OfError> {
        table::ERRORS
            .iter()
            .find(|(_, n, _)| *n == name)
            .map(|(e, ..)| *e)
    }

    /// Its numbers in `version`, if that version has it.
    pub fn numbers(self, version: Version) -> Option<ErrorNumbers> {
        let (.., all) = table::ERRORS.iter().find(|(e, ..)| *e == self)?;
        let v = version.wire();
        let n = all.iter().find(|n| n.first <= v && v <= n.last)?;
        Some(ErrorNumbers {
            vendor: n.vendor,
            kind: n.kind,
            code: n.code,
        })
    }

    /// The error with these numbers in `version`. Where one number stands for two errors, the
    /// one that the specification lists first.
    pub fn from_numbers(version: Version, numbers: ErrorNumbers) -> Option<OfError> {
        let v = version.wire();
        let is = |n: &table::Numbers| {
            n.vendor == numbers.vendor
                && n.first <= v
                && v <= n.last
                && n.kind == numbers.kind
                && n.code == numbers.code
        };
        table::ERRORS
            .iter()
            .find(|(.., all)| all.iter().any(is))
            .map(|(e, ..)| *e)
    }
}

impl std::fmt::Display for OfError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for OfError {}

/// A line for the log about something odd in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The log's module, as `vlog/set` knows it.
    pub module: &'static str,
    /// The line.
    pub text: String,
    /// Whether a log may leave it out when there are many of its kind.
    pub limited: bool,
}

/// Why a message could not be taken: the error to answer with, and lines for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// What to tell the peer.
    pub error: OfError,
    /// What to tell the operator, at level WARN.
    pub notes: Vec<Note>,
}

impl DecodeError {
    /// An error with one line for the log.
    pub fn noted(error: OfError, module: &'static str, text: String) -> DecodeError {
        DecodeError {
            error,
            notes: vec![Note {
                module,
                text,
                limited: true,
            }],
        }
    }
}

impl From<OfError> for DecodeError {
    fn from(error: OfError) -> DecodeError {
        DecodeError {
            error,
            notes: Vec::new(),
        }
    }
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.error.name())
    }
}

impl std::error::Error for DecodeError {}

/// What decoding returns.
pub type Result<T> = std::result::Result<T, DecodeError>;
