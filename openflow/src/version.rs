//! Protocol versions and the flow formats ("protocols") that people choose among.

use std::fmt;

/// A version of OpenFlow that we speak. The discriminant is the number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
#[repr(u8)]
pub enum Version {
    Of10 = 1,
    Of11 = 2,
    Of12 = 3,
    Of13 = 4,
    Of14 = 5,
    Of15 = 6,
}

impl Version {
    /// All versions, oldest first.
    pub const ALL: [Version; 6] = [
        Version::Of10,
        Version::Of11,
        Version::Of12,
        Version::Of13,
        Version::Of14,
        Version::Of15,
    ];

    /// The version with this wire number.
    pub fn from_wire(number: u8) -> Option<Version> {
        Version::ALL.into_iter().find(|v| *v as u8 == number)
    }

    /// The number on the wire.
    pub fn wire(self) -> u8 {
        self as u8
    }

    /// The name that options take, `OpenFlow13`.
    pub fn name(self) -> &'static str {
        match self {
            Version::Of10 => "OpenFlow10",
            Version::Of11 => "OpenFlow11",
            Version::Of12 => "OpenFlow12",
            Version::Of13 => "OpenFlow13",
            Version::Of14 => "OpenFlow14",
            Version::Of15 => "OpenFlow15",
        }
    }

    /// Reads `OpenFlow13` or `OpenFlow1.3`, in any case.
    pub fn from_name(name: &str) -> Option<Version> {
        let plain = name.replace('.', "");
        Version::ALL
            .into_iter()
            .find(|v| v.name().eq_ignore_ascii_case(&plain))
    }

    /// The short form, `1.3`.
    pub fn dotted(self) -> &'static str {
        ["1.0", "1.1", "1.2", "1.3", "1.4", "1.5"][usize::from(self as u8 - 1)]
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A message's transaction id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Xid(pub u32);

/// A set of versions as a bitmap, bit 1 being OpenFlow 1.0 (OpenFlow 1.3.1 §7.5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Versions(pub u32);

impl Versions {
    /// Everything that we speak.
    pub const ALL: Versions = Versions(0x7e);

    /// One version.
    pub fn only(version: Version) -> Versions {
        Versions(1 << version.wire())
    }

    /// All versions up to `highest`, wire number 0 excluded: what a hello without a bitmap says.
    pub fn up_to(highest: u8) -> Versions {
        let n = u32::from(highest.min(31));
        Versions((((1u64 << (n + 1)) - 1) as u32) & !1)
    }

    /// Whether `version` is in the set.
    pub fn contains(self, version: Version) -> bool {
        self.0 & 1 << version.wire() != 0
    }

    /// With `version` too.
    pub fn with(self, version: Version) -> Versions {
        Versions(self.0 | 1 << version.wire())
    }

    /// What both have.
    pub fn and(self, other: Versions) -> Versions {
        Versions(self.0 & other.0)
    }

    /// The newest version of the set that we know.
    pub fn newest(self) -> Option<Version> {
        Version::ALL.into_iter().rev().find(|v| self.contains(*v))
    }

    /// The versions of the set that we know, oldest first.
    pub fn iter(self) -> impl Iterator<Item = Version> {
        Version::ALL.into_iter().filter(move |v| self.contains(*v))
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for n in 0..32u8 {
            if self.0 & 1 << n == 0 {
                continue;
            }
            if !first {
                f.write_str(", ")?;
            }
            first = false;
            match Version::from_wire(n) {
                Some(v) => write!(f, "OpenFlow{}", v.dotted())?,
                None => write!(f, "0x{n:02x}")?,
            }
        }
        Ok(())
    }
}

/// A way of writing flows: a version, and in 1.0 whether Nicira's extended match is used and
/// whether the table travels in the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
#[repr(u16)]
pub enum Protocol {
    Of10Std = 1 << 0,
    Of10StdTid = 1 << 1,
    Of10Nxm = 1 << 2,
    Of10NxmTid = 1 << 3,
    Of11Std = 1 << 4,
    Of12Oxm = 1 << 5,
    Of13Oxm = 1 << 6,
    Of14Oxm = 1 << 7,
    Of15Oxm = 1 << 8,
}

impl Protocol {
    /// All, in order of preference: the first that will do is the one to use.
    pub const ALL: [Protocol; 9] = [
        Protocol::Of10NxmTid,
        Protocol::Of10Nxm,
        Protocol::Of10StdTid,
        Protocol::Of10Std,
        Protocol::Of11Std,
        Protocol::Of12Oxm,
        Protocol::Of13Oxm,
        Protocol::Of14Oxm,
        Protocol::Of15Oxm,
    ];

    /// Its version.
    pub fn version(self) -> Version {
        match self {
            Protocol::Of11Std => Version::Of11,
            Protocol::Of12Oxm => Version::Of12,
            Protocol::Of13Oxm => Version::Of13,
            Protocol::Of14Oxm => Version::Of14,
            Protocol::Of15Oxm => Version::Of15,
            _ => Version::Of10,
        }
    }

    /// The usual protocol of a version: for 1.0 the extended match with tables.
    pub fn of_version(version: Version) -> Protocol {
        match version {
            Version::Of10 => Protocol::Of10NxmTid,
            Version::Of11 => Protocol::Of11Std,
            Version::Of12 => Protocol::Of12Oxm,
            Version::Of13 => Protocol::Of13Oxm,
            Version::Of14 => Protocol::Of14Oxm,
            Version::Of15 => Protocol::Of15Oxm,
        }
    }

    /// Whether flow-mods name their table.
    pub fn has_tables(self) -> bool {
        !matches!(self, Protocol::Of10Std | Protocol::Of10Nxm)
    }

    /// The same with or without tables in flow-mods; only 1.0 can do without.
    pub fn with_tables(self, on: bool) -> Protocol {
        match (self, on) {
            (Protocol::Of10Std, true) => Protocol::Of10StdTid,
            (Protocol::Of10Nxm, true) => Protocol::Of10NxmTid,
            (Protocol::Of10StdTid, false) => Protocol::Of10Std,
            (Protocol::Of10NxmTid, false) => Protocol::Of10Nxm,
            (p, _) => p,
        }
    }

    /// Whether matches are written in OXM or NXM.
    pub fn is_extensible(self) -> bool {
        !matches!(
            self,
            Protocol::Of10Std | Protocol::Of10StdTid | Protocol::Of11Std
        )
    }

    /// The name that `--flow-format` takes.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Of10Std => "OpenFlow10-table_id",
            Protocol::Of10StdTid => "OpenFlow10+table_id",
            Protocol::Of10Nxm => "NXM-table_id",
            Protocol::Of10NxmTid => "NXM+table_id",
            Protocol::Of11Std => "OpenFlow11",
            Protocol::Of12Oxm => "OXM-OpenFlow12",
            Protocol::Of13Oxm => "OXM-OpenFlow13",
            Protocol::Of14Oxm => "OXM-OpenFlow14",
            Protocol::Of15Oxm => "OXM-OpenFlow15",
        }
    }
}

/// A set of [`Protocol`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protocols(pub u16);

impl Protocols {
    /// Every protocol.
    pub const ANY: Protocols = Protocols(0x1ff);
    /// None.
    pub const NONE: Protocols = Protocols(0);
    /// Standard OpenFlow 1.0.
    pub const OF10_STD: Protocols = Protocols(0x3);
    /// OpenFlow 1.0 with the extended match.
    pub const OF10_NXM: Protocols = Protocols(0xc);
    /// All of OpenFlow 1.0.
    pub const OF10: Protocols = Protocols(0xf);
    /// OpenFlow 1.1.
    pub const OF11: Protocols = Protocols(0x10);
    /// OpenFlow 1.1 and newer.
    pub const OF11_UP: Protocols = Protocols(0x1f0);
    /// OpenFlow 1.2 and newer.
    pub const OF12_UP: Protocols = Protocols(0x1e0);
    /// OpenFlow 1.3 and newer.
    pub const OF13_UP: Protocols = Protocols(0x1c0);
    /// OpenFlow 1.4 and newer.
    pub const OF14_UP: Protocols = Protocols(0x180);
    /// OpenFlow 1.5.
    pub const OF15_UP: Protocols = Protocols(0x100);
    /// Those with an extensible match.
    pub const NXM_OXM_ANY: Protocols = Protocols(0x1ec);
    /// Those in which flow-mods name a table.
    pub const TABLES: Protocols = Protocols(0x1fa);

    /// One protocol.
    pub fn only(p: Protocol) -> Protocols {
        Protocols(p as u16)
    }

    /// Those of some versions.
    pub fn of_versions(versions: Versions) -> Protocols {
        let mut out = Protocols::NONE;
        for p in Protocol::ALL {
            if versions.contains(p.version()) {
                out = out.or(Protocols::only(p));
            }
        }
        out
    }

    /// The versions among them.
    pub fn versions(self) -> Versions {
        let some = Protocol::ALL.into_iter().filter(|p| self.contains(*p));
        some.fold(Versions::default(), |v, p| v.with(p.version()))
    }

    /// What both have.
    pub fn and(self, other: Protocols) -> Protocols {
        Protocols(self.0 & other.0)
    }

    /// What either has.
    pub fn or(self, other: Protocols) -> Protocols {
        Protocols(self.0 | other.0)
    }

    /// Whether `p` is among them.
    pub fn contains(self, p: Protocol) -> bool {
        self.0 & p as u16 != 0
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those among them, in order of preference.
    pub fn iter(self) -> impl Iterator<Item = Protocol> {
        Protocol::ALL.into_iter().filter(move |p| self.contains(*p))
    }
}

const ABBREVIATIONS: [(u16, &str); 16] = [
    (0x1ff, "any"),
    (0x3, "OpenFlow10"),
    (0xc, "NXM"),
    (0xf, "NXM,OpenFlow10"),
    (0x1ec, "NXM,OXM"),
    (0x1e0, "OXM"),
    (0x1, "OpenFlow10-table_id"),
    (0x2, "OpenFlow10+table_id"),
    (0x4, "NXM-table_id"),
    (0x8, "NXM+table_id"),
    (0x10, "OpenFlow11"),
    (0x20, "OXM-OpenFlow12"),
    (0x40, "OXM-OpenFlow13"),
    (0x80, "OXM-OpenFlow14"),
    (0x100, "OXM-OpenFlow15"),
    (0, "none"),
];

impl fmt::Display for Protocols {
    /// Comma-separated, with the usual short names for groups.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let groups = [0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
        let mut left = self.0;
        let mut first = true;
        for i in groups {
            let (bits, name) = ABBREVIATIONS[i];
            if left & bits == bits && left != 0 {
                if !first {
                    f.write_str(",")?;
                }
                first = false;
                f.write_str(name)?;
                left &= !bits;
            }
        }
        Ok(())
    }
}

impl Protocols {
    /// Reads a comma-separated list of the names that [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Result<Protocols, String> {
        let mut out = Protocols::NONE;
        for word in text
            .split([',', ' ', '\t', '\r', '\n'])
            .filter(|w| !w.is_empty())
        {
            let found = ABBREVIATIONS
                .iter()
                .find(|(bits, name)| *bits != 0 && name.eq_ignore_ascii_case(word));
            match found {
                Some((bits, _)) => out = out.or(Protocols(*bits)),
                None => return Err(format!("{word}: unknown flow protocol")),
            }
        }
        if out.is_empty() {
            return Err(format!("{text}: no flow protocol specified"));
        }
        Ok(out)
    }
}
