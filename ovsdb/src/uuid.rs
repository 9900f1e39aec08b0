//! Row identities.

use std::fmt;

/// A UUID; orders as its text does.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// All zeros: a reference to no row.
    pub const ZERO: Uuid = Uuid([0; 16]);

    /// A UUID with these bytes, in the order in which they are written.
    pub fn from_bytes(bytes: [u8; 16]) -> Uuid {
        Uuid(bytes)
    }

    /// The bytes, in the order in which they are written.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A random UUID (version 4).
    pub fn random() -> Uuid {
        Uuid(*uuid::Uuid::new_v4().as_bytes())
    }

    /// Whether all bits are zero.
    pub fn is_zero(&self) -> bool {
        *self == Uuid::ZERO
    }

    /// Reads the 36-character form, in either case, and nothing else.
    pub fn parse(text: &str) -> Option<Uuid> {
        let text = text.as_bytes();
        if text.len() != 36 {
            return None;
        }
        let mut bytes = [0u8; 16];
        let mut digits = text.iter().enumerate().filter_map(|(at, &c)| match at {
            8 | 13 | 18 | 23 => (c != b'-').then_some(None),
            _ => Some(char::from(c).to_digit(16)),
        });
        for byte in &mut bytes {
            let high = digits.next()??;
            let low = digits.next()??;
            *byte = u8::try_from(high * 16 + low).ok()?;
        }
        digits.next().is_none().then_some(Uuid(bytes))
    }

    /// The name that stands for the row in logs of conversions: `row` and the UUID with `_` for `-`.
    pub fn row_name(&self) -> String {
        format!("row{self}").replace('-', "_")
    }

    /// Appends the 36-character form.
    pub fn write(&self, out: &mut String) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                out.push('-');
            }
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(36);
        self.write(&mut text);
        f.write_str(&text)
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Uuid {
    type Err = ();
    fn from_str(text: &str) -> Result<Uuid, ()> {
        Uuid::parse(text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        let text = "01234567-89ab-cdef-0123-456789abcdef";
        assert_eq!(Uuid::parse(text).unwrap().to_string(), text);
        assert_eq!(Uuid::parse(&text.to_uppercase()).unwrap().to_string(), text);
        for bad in [
            "",
            "01234567-89ab-cdef-0123-456789abcde",
            "01234567x89ab-cdef-0123-456789abcdef",
            "g1234567-89ab-cdef-0123-456789abcdef",
        ] {
            assert!(Uuid::parse(bad).is_none(), "{bad}");
        }
    }
}
