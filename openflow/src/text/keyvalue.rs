//! Splitting `key=value,key(value),key` into pairs.

/// The pairs of a string, in order; a key alone has an empty value.
///
/// ```
/// let all: Vec<_> = openflow::text::KeyValues::new("a=1, b(2,3) c").collect();
/// assert_eq!(all, [("a", "1"), ("b", "2,3"), ("c", "")]);
/// ```
#[derive(Clone, Debug)]
pub struct KeyValues<'a> {
    rest: &'a str,
}

impl<'a> KeyValues<'a> {
    /// The pairs of `text`.
    pub fn new(text: &'a str) -> KeyValues<'a> {
        KeyValues { rest: text }
    }
}

/// The length of a value that one of `ends` ends, outside of parentheses.
fn value_len(text: &str, ends: &[char]) -> usize {
    let mut level = 0usize;
    for (i, c) in text.char_indices() {
        if level == 0 && ends.contains(&c) {
            return i;
        }
        match c {
            '(' => level += 1,
            ')' => level = level.saturating_sub(1),
            _ => {}
        }
    }
    text.len()
}

impl<'a> Iterator for KeyValues<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        const SPACE: [char; 5] = [',', ' ', '\t', '\r', '\n'];
        let text = self.rest.trim_start_matches(SPACE);
        if text.is_empty() {
            self.rest = text;
            return None;
        }
        let key_end = text
            .find([':', '=', '(', ',', ' ', '\t', '\r', '\n'])
            .unwrap_or(text.len());
        let (key, tail) = text.split_at(key_end);
        let delimiter = tail.chars().next();
        let tail = tail.get(1..).unwrap_or("");
        match delimiter {
            Some(':' | '=') => {
                let (value, rest) = tail.split_at(value_len(tail, &SPACE));
                self.rest = rest.get(1..).unwrap_or("");
                Some((key, value))
            }
            Some('(') => {
                let end = value_len(tail, &[')']);
                // `(x)->y`: the value goes on behind the parenthesis.
                if tail.get(end..).is_some_and(|t| t.starts_with(")->")) {
                    let after = end + 1;
                    let more = tail.get(after..).unwrap_or("");
                    let (value, rest) = tail.split_at(after + value_len(more, &SPACE));
                    self.rest = rest.get(1..).unwrap_or("");
                    return Some((key, value));
                }
                let (value, rest) = tail.split_at(end);
                self.rest = rest.get(1..).unwrap_or("");
                Some((key, value))
            }
            _ => {
                self.rest = tail;
                Some((key, ""))
            }
        }
    }
}
