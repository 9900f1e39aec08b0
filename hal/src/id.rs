//! Numbers that must not be mistaken for each other.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty), $format:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }
    };
}

id!(
    /// A port of a datapath. 0 is the datapath's own internal port.
    DpPort(u32), "{}"
);
id!(
    /// Where a recirculated packet goes on. 0 = a packet that has just arrived.
    RecircId(u32), "{:#x}"
);
id!(
    /// What a device hands back with a missed packet so that software can go on where the device
    /// stopped. `offload` gives these out and knows what they stand for.
    ResumeId(u32), "{}"
);
id!(
    /// Orders the operations of one device: given out ascending from 1.
    Ticket(u64), "{}"
);
id!(
    /// Names a rule for ordering: operations with one key are carried out first in, first out.
    RuleKey(u64), "{}"
);
id!(
    /// Counts the resets of a device. Tickets of an older epoch complete as lost.
    Epoch(u64), "{}"
);

/// A flow's unique identifier: a hash of its unmasked key and its mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ufid(pub u128);

impl fmt::Display for Ufid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = self.0;
        let part = |shift: u32, bits: u32| v >> shift & ((1u128 << bits) - 1);
        let (a, b, c, d) = (part(96, 32), part(80, 16), part(64, 16), part(48, 16));
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{:012x}", part(0, 48))
    }
}

impl std::str::FromStr for Ufid {
    type Err = ();
    /// Reads what `Display` writes, with or without the dashes.
    fn from_str(s: &str) -> Result<Ufid, ()> {
        let hex: String = s.chars().filter(|&c| c != '-').collect();
        if hex.len() != 32 {
            return Err(());
        }
        u128::from_str_radix(&hex, 16).map(Ufid).map_err(|_| ())
    }
}

/// A rule that a device holds. A slot that is used again has another generation, so an old handle
/// never reaches a new rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleHandle {
    /// The device's slot.
    pub index: u32,
    /// How often the slot has been used.
    pub generation: u32,
}
