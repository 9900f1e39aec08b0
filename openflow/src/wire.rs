//! Reading and writing big-endian bytes with bounds that can't be forgotten.

use crate::error::OfError;

/// A cursor over received bytes. Running out is `OFPBRC_BAD_LEN` unless the caller says otherwise.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

type Read<T> = Result<T, OfError>;

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub fn left(&self) -> usize {
        self.rest.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub fn bytes(&mut self, n: usize) -> Read<&'a [u8]> {
        let (head, tail) = self
            .rest
            .split_at_checked(n)
            .ok_or(OfError::OFPBRC_BAD_LEN)?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `n` bytes as a reader of their own.
    pub fn sub(&mut self, n: usize) -> Read<Reader<'a>> {
        self.bytes(n).map(Reader::new)
    }

    pub fn skip(&mut self, n: usize) -> Read<()> {
        self.bytes(n).map(|_| ())
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (head, tail) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(OfError::OFPBRC_BAD_LEN)?;
        self.rest = tail;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Read<u8> {
        self.array::<1>().map(|[b]| b)
    }

    pub fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub fn u128(&mut self) -> Read<u128> {
        self.array().map(u128::from_be_bytes)
    }

    pub fn mac(&mut self) -> Read<[u8; 6]> {
        self.array()
    }

    /// A big-endian number of `n` bytes; of more than 16 the last 16.
    pub fn uint(&mut self, n: usize) -> Read<u128> {
        Ok(self
            .bytes(n)?
            .iter()
            .fold(0u128, |v, b| v << 8 | u128::from(*b)))
    }

    /// A fixed field of text that ends at the first zero.
    pub fn text(&mut self, n: usize) -> Read<String> {
        let raw = self.bytes(n)?;
        let end = raw.iter().position(|b| *b == 0).unwrap_or(n);
        Ok(String::from_utf8_lossy(raw.get(..end).unwrap_or(raw)).into_owned())
    }

    pub fn are_zeros(bytes: &[u8]) -> bool {
        bytes.iter().all(|b| *b == 0)
    }
}

/// Bytes to send.
#[derive(Default)]
pub(crate) struct Writer {
    pub out: Vec<u8>,
}

impl Writer {
    pub fn new() -> Writer {
        Writer::default()
    }

    pub fn len(&self) -> usize {
        self.out.len()
    }

    pub fn u8(&mut self, v: u8) {
        self.out.push(v);
    }

    pub fn u16(&mut self, v: u16) {
        self.out.extend_from_slice(&v.to_be_bytes());
    }

    pub fn u32(&mut self, v: u32) {
        self.out.extend_from_slice(&v.to_be_bytes());
    }

    pub fn u64(&mut self, v: u64) {
        self.out.extend_from_slice(&v.to_be_bytes());
    }

    pub fn u128(&mut self, v: u128) {
        self.out.extend_from_slice(&v.to_be_bytes());
    }

    pub fn bytes(&mut self, b: &[u8]) {
        self.out.extend_from_slice(b);
    }

    pub fn zeros(&mut self, n: usize) {
        self.out.resize(self.out.len() + n, 0);
    }

    /// The low `n` bytes of `v`, zeros before them if `n` is over 16.
    pub fn uint(&mut self, v: u128, n: usize) {
        if n > 16 {
            self.zeros(n - 16);
        }
        let all = v.to_be_bytes();
        let from = 16usize.saturating_sub(n);
        self.bytes(all.get(from..).unwrap_or(&all));
    }

    /// Text in a field of `n` bytes, cut so that a zero ends it.
    pub fn text(&mut self, s: &str, n: usize) {
        let cut = s.as_bytes();
        let cut = cut.get(..n.saturating_sub(1)).unwrap_or(cut);
        self.bytes(cut);
        self.zeros(n - cut.len());
    }

    /// Zeros up to a multiple of eight counted from `start`.
    pub fn pad8(&mut self, start: usize) {
        let len = self.out.len() - start;
        self.zeros(len.next_multiple_of(8) - len);
    }

    /// Overwrites two bytes written earlier.
    pub fn set_u16(&mut self, at: usize, v: u16) {
        if let Some(b) = self.out.get_mut(at..at + 2) {
            b.copy_from_slice(&v.to_be_bytes());
        }
    }

    /// Writes the length of what stands since `start` at `at`; a length that does not fit is
    /// written as the largest.
    pub fn set_len(&mut self, at: usize, start: usize) {
        let len = u16::try_from(self.out.len() - start).unwrap_or(u16::MAX);
        self.set_u16(at, len);
    }
}
