//! Options as the original's tools take them: anywhere before `--`, long ones abbreviated, short
//! ones bunched.

/// Whether an option has an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arg {
    /// It has none.
    No,
    /// It has one.
    Required,
    /// It may have one, after `=` or in the same word.
    Optional,
}

/// An option: its long name, its short one if it has one, its argument.
pub type Spec = (&'static str, Option<char>, Arg);

/// Options that were given, by long name, each with its argument; and the other words.
pub type Parsed = (Vec<(&'static str, Option<String>)>, Vec<String>);

/// Sorts `words` into options and others.
///
/// # Errors
/// The original's line, without the program's name.
pub fn parse(specs: &[Spec], words: impl IntoIterator<Item = String>) -> Result<Parsed, String> {
    let mut options = Vec::new();
    let mut others = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            others.extend(words.by_ref());
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (long, None),
            };
            let spec = find_long(specs, name)?;
            let value = match (spec.2, value) {
                (Arg::No, Some(_)) => {
                    return Err(format!("option '--{}' doesn't allow an argument", spec.0));
                }
                (Arg::Required, None) => Some(
                    words
                        .next()
                        .ok_or_else(|| format!("option '--{}' requires an argument", spec.0))?,
                ),
                (_, value) => value,
            };
            options.push((spec.0, value));
        } else if word.len() > 1 && word.starts_with('-') {
            let mut rest = &word[1..];
            while let Some(c) = rest.chars().next() {
                rest = &rest[c.len_utf8()..];
                let spec = specs
                    .iter()
                    .find(|s| s.1 == Some(c))
                    .ok_or_else(|| format!("invalid option -- '{c}'"))?;
                let value = match spec.2 {
                    Arg::No => None,
                    Arg::Optional if rest.is_empty() => None,
                    Arg::Required if rest.is_empty() => Some(
                        words
                            .next()
                            .ok_or_else(|| format!("option requires an argument -- '{c}'"))?,
                    ),
                    _ => Some(std::mem::take(&mut rest).to_owned()),
                };
                options.push((spec.0, value));
            }
        } else {
            others.push(word);
        }
    }
    Ok((options, others))
}

fn find_long<'a>(specs: &'a [Spec], name: &str) -> Result<&'a Spec, String> {
    if let Some(spec) = specs.iter().find(|s| s.0 == name) {
        return Ok(spec);
    }
    let candidates: Vec<&Spec> = specs.iter().filter(|s| s.0.starts_with(name)).collect();
    match candidates.as_slice() {
        [] => Err(format!("unrecognized option '--{name}'")),
        [only] => Ok(only),
        many => {
            let names: Vec<String> = many.iter().map(|s| format!("'--{}'", s.0)).collect();
            Err(format!(
                "option '--{name}' is ambiguous; possibilities: {}",
                names.join(" ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[Spec] = &[
        ("more", Some('m'), Arg::No),
        ("verbose", Some('v'), Arg::Optional),
        ("version", Some('V'), Arg::No),
        ("timeout", Some('t'), Arg::Required),
    ];

    fn words(text: &str) -> Result<Parsed, String> {
        parse(SPECS, text.split(' ').map(str::to_owned))
    }

    #[test]
    fn options_stand_anywhere() {
        let (options, others) = words("-mm a --tim=3 b -t 4 -vdbg -- -m").unwrap();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            options,
            [
                ("more", None),
                ("more", None),
                ("timeout", some("3")),
                ("timeout", some("4")),
                ("verbose", some("dbg"))
            ]
        );
        assert_eq!(others, ["a", "b", "-m"]);
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(words("--x").unwrap_err(), "unrecognized option '--x'");
        assert_eq!(words("-x").unwrap_err(), "invalid option -- 'x'");
        assert_eq!(
            words("--more=1").unwrap_err(),
            "option '--more' doesn't allow an argument"
        );
        assert_eq!(
            words("-t").unwrap_err(),
            "option requires an argument -- 't'"
        );
        assert!(words("--ver").unwrap_err().contains("ambiguous"));
    }
}
