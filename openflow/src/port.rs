//! OpenFlow port numbers.

use crate::error::OfError;
use std::fmt;

/// A port number in the 32-bit form of OpenFlow 1.1 and later; reserved ports are 0xfffffff7 on.
///
/// In OpenFlow 1.0 a port number has 16 bits and reserved ports begin at 0xfff7: convert with
/// [`OfPort::from_u16`] and [`OfPort::to_u16`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OfPort(pub u32);

const NAMES: [(OfPort, &str); 10] = [
    (OfPort::IN_PORT, "IN_PORT"),
    (OfPort::TABLE, "TABLE"),
    (OfPort::NORMAL, "NORMAL"),
    (OfPort::FLOOD, "FLOOD"),
    (OfPort::ALL, "ALL"),
    (OfPort::CONTROLLER, "CONTROLLER"),
    (OfPort::LOCAL, "LOCAL"),
    (OfPort::NONE, "ANY"),
    (OfPort::NONE, "NONE"),
    (OfPort::UNSET, "UNSET"),
];

impl OfPort {
    /// Not set: the action set has no output.
    pub const UNSET: OfPort = OfPort(0xffff_fff7);
    /// The port on which the packet came.
    pub const IN_PORT: OfPort = OfPort(0xffff_fff8);
    /// Through the flow tables, in a packet-out.
    pub const TABLE: OfPort = OfPort(0xffff_fff9);
    /// What a switch without OpenFlow would do.
    pub const NORMAL: OfPort = OfPort(0xffff_fffa);
    /// All ports that flood, but the one on which the packet came.
    pub const FLOOD: OfPort = OfPort(0xffff_fffb);
    /// All ports but the one on which the packet came.
    pub const ALL: OfPort = OfPort(0xffff_fffc);
    /// To the controllers.
    pub const CONTROLLER: OfPort = OfPort(0xffff_fffd);
    /// The switch's own port.
    pub const LOCAL: OfPort = OfPort(0xffff_fffe);
    /// No port, or any port.
    pub const NONE: OfPort = OfPort(0xffff_ffff);
    /// Numbers from here to 0xfffffff6 are not ports that we can have.
    pub const MAX: OfPort = OfPort(0xff00);

    /// Reads OpenFlow 1.0's form.
    pub fn from_u16(n: u16) -> OfPort {
        match n {
            0xfff7.. => OfPort(0xffff_0000 | u32::from(n)),
            _ => OfPort(u32::from(n)),
        }
    }

    /// OpenFlow 1.0's form; a number that does not fit becomes 0xffff (none).
    pub fn to_u16(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    /// Reads OpenFlow 1.1's form: numbers between 0xff00 and 0xfffffff7 are refused.
    pub fn from_u32(n: u32) -> Result<OfPort, OfError> {
        if !(OfPort::MAX.0..OfPort::UNSET.0).contains(&n) {
            Ok(OfPort(n))
        } else {
            Err(OfError::OFPBAC_BAD_OUT_PORT)
        }
    }

    /// Whether the number stands for something other than a port.
    pub fn is_reserved(self) -> bool {
        self.0 >= OfPort::UNSET.0
    }

    /// The reserved port of this name, in any case.
    pub fn from_reserved_name(name: &str) -> Option<OfPort> {
        NAMES
            .iter()
            .find(|(_, n)| n.eq_ignore_ascii_case(name))
            .map(|(p, _)| *p)
    }

    /// The name of a reserved port.
    pub fn reserved_name(self) -> Option<&'static str> {
        NAMES.iter().find(|(p, _)| *p == self).map(|(_, n)| *n)
    }
}

impl fmt::Display for OfPort {
    /// A reserved port's name, or the number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reserved_name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}
