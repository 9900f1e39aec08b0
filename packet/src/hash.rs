//! The one hash of packets, keys and tables: folded 64x64 to 128-bit multiplication.
//!
//! Not secret: a sender who knows it can make keys collide, which costs a cache hit and nothing
//! else, since every cache compares whole keys.

const K0: u64 = 0x9e37_79b9_7f4a_7c15;
const K1: u64 = 0xd6e8_feb8_6659_fd93;

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let p = u128::from(a) * u128::from(b);
    (p as u64) ^ (p >> 64) as u64
}

/// Mixes words into one hash.
#[derive(Clone, Copy, Debug)]
pub struct Mixer(u64);

impl Mixer {
    /// A hash that begins with `basis`.
    #[inline]
    pub fn new(basis: u64) -> Mixer {
        Mixer(basis ^ K0)
    }

    /// Takes one word in.
    #[inline]
    pub fn add(&mut self, word: u64) {
        self.0 = fold(self.0.rotate_left(23) ^ word, K1) ^ word;
    }

    /// The hash of what was taken in.
    #[inline]
    pub fn finish(self) -> u64 {
        fold(self.0 ^ K0, K1)
    }
}
