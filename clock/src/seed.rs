use std::hash::{Hash, Hasher};

/// The one number from which a run's randomness comes.
///
/// Each user takes a source of its own by name, so that adding a user changes nobody else's
/// dice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(u64);

impl Seed {
    /// A seed chosen by the caller: the same number gives the same run.
    pub const fn new(seed: u64) -> Seed {
        Seed(seed)
    }

    /// A seed from the operating system, for production.
    pub fn from_system() -> Seed {
        Seed(fastrand::u64(..))
    }

    /// The number itself, to be printed so that a run can be repeated.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The random source of the user called `name`.
    pub fn source(self, name: &str) -> fastrand::Rng {
        // FNV-1a, because the standard hasher's output is not promised to stay the same.
        let mut h = Fnv(0xcbf2_9ce4_8422_2325 ^ self.0);
        name.hash(&mut h);
        fastrand::Rng::with_seed(h.finish())
    }
}

struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &b in bytes {
            self.0 = (self.0 ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_each_name_its_own_repeatable_source() {
        let draw = |name| Seed::new(7).source(name).u64(..);
        assert_eq!(draw("mac"), draw("mac"));
        assert_ne!(draw("mac"), draw("uuid"));
    }
}
