//! Options as the C library's `getopt_long` takes them, with its words for wrong ones: long ones
//! abbreviated, short ones bunched; up to the first word that is none, or between all words.

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
#[derive(Clone, Debug)]
pub struct Spec {
    /// Without the dashes.
    pub long: String,
    /// Its letter.
    pub short: Option<char>,
    /// Its argument.
    pub arg: Arg,
}

impl Spec {
    /// An option.
    pub fn new(long: &str, short: Option<char>, arg: Arg) -> Spec {
        Spec {
            long: long.into(),
            short,
            arg,
        }
    }
}

/// Options from rows of a long name, a letter and an argument.
pub fn table(rows: &[(&str, Option<char>, Arg)]) -> Vec<Spec> {
    let spec = |&(long, short, arg): &(&str, Option<char>, Arg)| Spec::new(long, short, arg);
    rows.iter().map(spec).collect()
}

/// An option that was given: its long name and its argument.
pub type Given = (String, Option<String>);

/// Takes the options off the front of `words`; gives them and the words after them. `--` ends them
/// and is taken too.
///
/// # Errors
/// The original's line, without the program's name.
pub fn leading(specs: &[Spec], words: &[String]) -> Result<(Vec<Given>, Vec<String>), String> {
    let mut given = Vec::new();
    let mut rest = words.iter();
    loop {
        let mut ahead = rest.clone();
        match ahead.next().map(String::as_str) {
            Some("--") => return Ok((given, ahead.cloned().collect())),
            Some(word) if word.len() > 1 && word.starts_with('-') => {
                match word.strip_prefix("--") {
                    Some(long) => given.push(take_long(specs, long, &mut ahead)?),
                    None => take_short(specs, word, &mut ahead, &mut given)?,
                }
                rest = ahead;
            }
            _ => return Ok((given, rest.cloned().collect())),
        }
    }
}

/// Takes the options out of `words`, wherever before a `--` they stand; gives them and the other
/// words.
///
/// # Errors
/// The original's line, without the program's name.
pub fn anywhere(specs: &[Spec], words: &[String]) -> Result<(Vec<Given>, Vec<String>), String> {
    let (mut given, mut others) = (Vec::new(), Vec::new());
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.strip_prefix('-') {
            Some("-") => others.extend(rest.by_ref().cloned()),
            None | Some("") => others.push(word.clone()),
            Some(_) => match word.strip_prefix("--") {
                Some(long) => given.push(take_long(specs, long, &mut rest)?),
                None => take_short(specs, word, &mut rest, &mut given)?,
            },
        }
    }
    Ok((given, others))
}

/// Says what is wrong with the options, naming the program as it was called.
pub fn complain(line: &str) {
    let program = std::env::args_os().next().unwrap_or_default();
    eprintln!("{}: {line}", program.to_string_lossy());
}

type Words<'a> = std::slice::Iter<'a, String>;

fn take_long(specs: &[Spec], long: &str, words: &mut Words<'_>) -> Result<Given, String> {
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value.to_string())),
        None => (long, None),
    };
    let spec = find_long(specs, name)?;
    let name = &spec.long;
    let value = match (spec.arg, value) {
        (Arg::No, Some(_)) => return Err(format!("option '--{name}' doesn't allow an argument")),
        (Arg::Required, None) => {
            let next = words.next();
            Some(
                next.ok_or_else(|| format!("option '--{name}' requires an argument"))?
                    .clone(),
            )
        }
        (_, value) => value,
    };
    Ok((name.clone(), value))
}

fn take_short(
    specs: &[Spec],
    word: &str,
    words: &mut Words<'_>,
    given: &mut Vec<Given>,
) -> Result<(), String> {
    let mut letters = word.chars();
    letters.next();
    while let Some(c) = letters.next() {
        let spec = specs.iter().find(|s| s.short == Some(c));
        let spec = spec.ok_or_else(|| format!("invalid option -- '{c}'"))?;
        let attached = letters.as_str();
        let value = match spec.arg {
            Arg::No => None,
            Arg::Optional if attached.is_empty() => None,
            Arg::Required if attached.is_empty() => {
                let next = words.next();
                Some(
                    next.ok_or_else(|| format!("option requires an argument -- '{c}'"))?
                        .clone(),
                )
            }
            _ => {
                let value = attached.to_string();
                letters = "".chars();
                Some(value)
            }
        };
        given.push((spec.long.clone(), value));
    }
    Ok(())
}

fn find_long<'a>(specs: &'a [Spec], name: &str) -> Result<&'a Spec, String> {
    if let Some(spec) = specs.iter().find(|s| s.long == name) {
        return Ok(spec);
    }
    let candidates: Vec<&Spec> = specs.iter().filter(|s| s.long.starts_with(name)).collect();
    match candidates.as_slice() {
        [] => Err(format!("unrecognized option '--{name}'")),
        [only] => Ok(only),
        many => {
            let names: Vec<String> = many.iter().map(|s| format!("'--{}'", s.long)).collect();
            let names = names.join(" ");
            Err(format!(
                "option '--{name}' is ambiguous; possibilities: {names}"
            ))
        }
    }
}

/// The text of `--options`: each option with its argument, and each letter.
pub fn list(specs: &[Spec]) -> String {
    let mut text = String::new();
    for spec in specs {
        let has = spec.arg != Arg::No;
        text.push_str(&format!(
            "--{}{}\n",
            spec.long,
            if has { "=ARG" } else { "" }
        ));
        if let Some(c) = spec.short {
            text.push_str(&format!("-{c}{}\n", if has { " ARG" } else { "" }));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs() -> Vec<Spec> {
        vec![
            Spec::new("more", Some('m'), Arg::No),
            Spec::new("verbose", Some('v'), Arg::Optional),
            Spec::new("version", Some('V'), Arg::No),
            Spec::new("timeout", Some('t'), Arg::Required),
        ]
    }

    fn run(text: &str) -> Result<(String, String), String> {
        let words: Vec<String> = text.split(' ').map(str::to_string).collect();
        let (given, rest) = leading(&specs(), &words)?;
        let given: Vec<String> = given
            .into_iter()
            .map(|(name, value)| format!("{name}={}", value.unwrap_or_default()))
            .collect();
        Ok((given.join(" "), rest.join(" ")))
    }

    #[test]
    fn options_stand_anywhere() {
        let words: Vec<_> = "-mm a --tim=3 b -t 4 - -vdbg -- -m"
            .split(' ')
            .map(str::to_string)
            .collect();
        let (given, others) = anywhere(&specs(), &words).unwrap();
        let names: Vec<_> = given.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["more", "more", "timeout", "timeout", "verbose"]);
        let value = |n: usize| given[n].1.as_deref();
        assert_eq!(
            (value(2), value(3), value(4)),
            (Some("3"), Some("4"), Some("dbg"))
        );
        assert_eq!(others, ["a", "b", "-", "-m"]);
    }

    #[test]
    fn options_end_at_the_first_other_word() {
        let cases = [
            ("-mt3 --tim=4 a -m", "more= timeout=3 timeout=4", "a -m"),
            ("-t 3 -vx -v -- -m", "timeout=3 verbose=x verbose=", "-m"),
            ("--timeout 3 -", "timeout=3", "-"),
        ];
        for (text, given, rest) in cases {
            assert_eq!(run(text), Ok((given.into(), rest.into())), "{text}");
        }
        for (text, error) in [
            ("--x", "unrecognized option '--x'"),
            ("-x", "invalid option -- 'x'"),
            ("--more=1", "option '--more' doesn't allow an argument"),
            ("-t", "option requires an argument -- 't'"),
            ("--timeout", "option '--timeout' requires an argument"),
            (
                "--ver",
                "option '--ver' is ambiguous; possibilities: '--verbose' '--version'",
            ),
        ] {
            assert_eq!(run(text), Err(error.into()), "{text}");
        }
    }
}
