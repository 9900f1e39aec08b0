//! Cuts a stream of bytes into JSON objects without parsing them.

use crate::json::MAX_DEPTH;

/// Longest message that is taken, in bytes.
pub const MAX_MESSAGE: usize = 256 << 20;

/// Collects bytes and hands out whole messages.
#[derive(Default)]
pub struct Splitter {
    buffer: Vec<u8>,
    /// Where the current message begins.
    start: usize,
    /// How far the current message has been looked at.
    scanned: usize,
    depth: usize,
    quoted: bool,
    escaped: bool,
}

impl Splitter {
    /// Adds bytes from the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that wait for the rest of their message.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The next whole message; none = more bytes are needed.
    ///
    /// # Errors
    /// Why the stream cannot be gone on with.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, String> {
        while let Some(&byte) = self.buffer.get(self.scanned) {
            self.scanned += 1;
            if self.depth == 0 {
                match byte {
                    b'{' | b'[' => {
                        self.start = self.scanned - 1;
                        self.depth = 1;
                    }
                    b' ' | b'\t' | b'\r' | b'\n' => self.start = self.scanned,
                    _ => return Err("syntax error at beginning of input".to_owned()),
                }
                continue;
            }
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.quoted => self.escaped = true,
                b'"' => self.quoted = !self.quoted,
                _ if self.quoted => {}
                b'{' | b'[' => {
                    self.depth += 1;
                    if self.depth > MAX_DEPTH {
                        return Err(format!("input exceeds maximum nesting depth {MAX_DEPTH}"));
                    }
                }
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        let message = self.start..self.scanned;
                        self.start = self.scanned;
                        return Ok(self.buffer.get(message));
                    }
                }
                _ => {}
            }
        }
        if self.pending() > MAX_MESSAGE {
            return Err(format!("message exceeds {MAX_MESSAGE} bytes"));
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &[u8], chunk: usize) -> (Vec<String>, Option<String>) {
        let mut splitter = Splitter::default();
        let mut messages = Vec::new();
        for chunk in text.chunks(chunk) {
            splitter.feed(chunk);
            loop {
                match splitter.next_message() {
                    Ok(Some(m)) => messages.push(String::from_utf8(m.to_vec()).unwrap()),
                    Ok(None) => break,
                    Err(e) => return (messages, Some(e)),
                }
            }
        }
        (messages, None)
    }

    #[test]
    fn messages_are_found_however_the_bytes_come() {
        let text = br#"{"a":"}\"{"}  [1,[2]]
{"b":{}}"#;
        for chunk in 1..text.len() {
            let (messages, error) = split(text, chunk);
            assert_eq!(messages, [r#"{"a":"}\"{"}"#, "[1,[2]]", r#"{"b":{}}"#]);
            assert_eq!(error, None);
        }
    }

    #[test]
    fn garbage_and_depth_are_refused() {
        assert_eq!(
            split(b"{} x", 2).1.unwrap(),
            "syntax error at beginning of input"
        );
        assert!(split(&[b'['; 1001], 100).1.unwrap().contains("depth"));
    }
}
