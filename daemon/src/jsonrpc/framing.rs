//! Where one JSON value ends and the next begins, in a stream without delimiters.
//!
//! The scanner looks at each byte once, whatever the pieces it comes in: it keeps the open
//! brackets, and whether it stands in a string. That is enough to know where a value ends, and to
//! refuse at once what cannot become one, long before a parser could see the whole.

use super::StreamError;
use serde::Deserialize as _;
use serde_json::Value;

/// Nesting that a message may have, as in the original.
pub const MAX_DEPTH: usize = 1000;

/// Bytes that a message may have unless told otherwise: room for any real database.
pub const MAX_MESSAGE: usize = 1 << 30;

/// Cuts a stream of bytes into JSON values.
#[derive(Debug)]
pub struct Framer {
    max_message: usize,
    /// Bytes that have come and belong to no value yet.
    buffer: Vec<u8>,
    /// Bytes of the buffer that have been looked at.
    seen: usize,
    /// The open brackets, outermost first.
    open: Vec<u8>,
    in_string: bool,
    escaped: bool,
    /// Bytes of the stream before the buffer, for error messages.
    consumed: u64,
    failed: bool,
}

impl Default for Framer {
    fn default() -> Framer {
        Framer::new(MAX_MESSAGE)
    }
}

impl Framer {
    /// A framer that refuses messages of more than `max_message` bytes.
    pub fn new(max_message: usize) -> Framer {
        Framer {
            max_message,
            buffer: Vec::new(),
            seen: 0,
            open: Vec::new(),
            in_string: false,
            escaped: false,
            consumed: 0,
            failed: false,
        }
    }

    /// Takes bytes that have arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        if !self.failed {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Whether part of a value has come.
    pub fn is_mid_message(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next whole value; none if more bytes are needed.
    ///
    /// # Errors
    /// The stream cannot go on: its place is named, and each later call says the same.
    pub fn next_value(&mut self) -> Result<Option<Value>, StreamError> {
        if self.failed {
            return Err(StreamError::Broken);
        }
        self.advance().inspect_err(|_| {
            self.failed = true;
            self.buffer = Vec::new();
        })
    }

    fn advance(&mut self) -> Result<Option<Value>, StreamError> {
        if self.open.is_empty() {
            let blank = self
                .buffer
                .iter()
                .take_while(|b| b.is_ascii_whitespace())
                .count();
            self.discard(blank);
        }
        while let Some(&byte) = self.buffer.get(self.seen) {
            self.seen += 1;
            if self.look_at(byte)? {
                return self.take().map(Some);
            }
        }
        if self.buffer.len() > self.max_message {
            return Err(StreamError::TooLong(self.max_message));
        }
        Ok(None)
    }

    /// Takes one byte into account; true if it is the last one of a value.
    fn look_at(&mut self, byte: u8) -> Result<bool, StreamError> {
        let at = self.consumed + self.seen as u64 - 1;
        let unexpected = || Err(StreamError::Unexpected { byte, at });
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                0..=0x1f => return unexpected(),
                _ => {}
            }
            return Ok(false);
        }
        match byte {
            b'{' | b'[' => {
                if self.open.len() >= MAX_DEPTH {
                    return Err(StreamError::TooDeep);
                }
                self.open.push(byte);
            }
            _ if self.open.is_empty() => return unexpected(),
            b'}' | b']' => {
                let partner = if byte == b'}' { b'{' } else { b'[' };
                if self.open.pop() != Some(partner) {
                    return unexpected();
                }
                return Ok(self.open.is_empty());
            }
            b'"' => self.in_string = true,
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' | b'+' | b'-' | b'.' => {}
            _ if byte.is_ascii_alphanumeric() => {}
            _ => return unexpected(),
        }
        Ok(false)
    }

    /// Parses the bytes seen so far, which are one value.
    fn take(&mut self) -> Result<Value, StreamError> {
        let text = self.buffer.get(..self.seen).unwrap_or_default();
        if let Err(e) = std::str::from_utf8(text) {
            let at = self.consumed + e.valid_up_to() as u64;
            return Err(StreamError::NotUtf8 { at });
        }
        let mut parser = serde_json::Deserializer::from_slice(text);
        // The depth has been checked above.
        parser.disable_recursion_limit();
        let value = Value::deserialize(&mut parser).map_err(|e| StreamError::Syntax {
            text: e.to_string(),
            start: self.consumed,
        })?;
        self.discard(self.seen);
        Ok(value)
    }

    fn discard(&mut self, count: usize) {
        self.buffer.drain(..count);
        self.consumed += count as u64;
        self.seen = 0;
        if self.buffer.is_empty() {
            // A large message must not hold its memory for ever.
            self.buffer.shrink_to(1 << 16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn all(framer: &mut Framer) -> Result<Vec<Value>, StreamError> {
        let mut values = Vec::new();
        while let Some(value) = framer.next_value()? {
            values.push(value);
        }
        Ok(values)
    }

    #[test]
    fn values_need_no_delimiter() {
        let mut framer = Framer::default();
        framer.feed(b" {\"a\":[1,2.5,\"}\\\"\"]}[null]\n{}");
        let expected = vec![json!({"a": [1, 2.5, "}\""]}), json!([null]), json!({})];
        assert_eq!(all(&mut framer), Ok(expected));
        assert!(!framer.is_mid_message());
    }

    #[test]
    fn what_cannot_become_a_message_is_refused_with_its_place() {
        let deep = "[".repeat(MAX_DEPTH + 1);
        let cases: Vec<(&[u8], &str)> = vec![
            (b"  x", "byte 2: unexpected 'x'"),
            (b"{]", "byte 1: unexpected ']'"),
            (b"[1}", "byte 2: unexpected '}'"),
            (b"[#", "byte 1: unexpected '#'"),
            (b"[\"\x01", "byte 2: unexpected '\\x01'"),
            (b"[\"\xff\"]", "byte 2: invalid UTF-8"),
            (
                b"[1][1 2]",
                "value at byte 3: expected `,` or `]` at line 1 column 4",
            ),
            (
                b"{\"a\" 1}",
                "value at byte 0: expected `:` at line 1 column 6",
            ),
            (deep.as_bytes(), "input exceeds maximum nesting depth 1000"),
        ];
        for (bytes, expected) in cases {
            let mut framer = Framer::default();
            framer.feed(bytes);
            let error = all(&mut framer).expect_err(expected);
            assert_eq!(error.to_string(), expected);
            framer.feed(b"{}");
            assert_eq!(framer.next_value(), Err(StreamError::Broken));
        }
    }

    #[test]
    fn a_message_may_be_deep_but_not_endless() {
        let mut framer = Framer::default();
        framer.feed(("[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH)).as_bytes());
        assert_eq!(all(&mut framer).map(|v| v.len()), Ok(1));
        let mut framer = Framer::new(8);
        framer.feed(b"[\"12345678");
        assert_eq!(framer.next_value(), Err(StreamError::TooLong(8)));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..4)
                    .prop_map(|m| m.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn pieces_of_any_size_give_the_same_values(
            values in prop::collection::vec(value().prop_map(|v| json!([v])), 0..4),
            size in 1usize..16,
        ) {
            let text: String = values.iter().map(Value::to_string).collect();
            let mut framer = Framer::default();
            let mut out = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                framer.feed(piece);
                out.extend(all(&mut framer).map_err(|e| TestCaseError::fail(e.to_string()))?);
            }
            prop_assert_eq!(out, values);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut framer = Framer::default();
            framer.feed(&bytes);
            let _ = all(&mut framer);
        }
    }
}
