//! The model, said what Linux's driver said to a real ConnectX-4 Lx, has to answer as that did
//! (`hal/sim/cases/connectx4lx`).

use super::driver::{Driver, Failed};
use hal_mlx_prm::capability::Group;
use hal_mlx_prm::command::PageAddress;
use hal_mlx_prm::{Layout, Opcode, Part, Place};
use hal_sim::connectx::ConnectXSettings;

const CASE: &str = include_str!("../../cases/connectx4lx/commands.txt");

/// A command of the case.
#[derive(Default)]
struct Command {
    name: String,
    op_mod: u16,
    input_len: usize,
    room: usize,
    status: u8,
    input: Vec<String>,
    output: Vec<String>,
}

fn number(text: &str) -> u128 {
    let hex = text.strip_prefix("0x").unwrap_or(text);
    u128::from_str_radix(hex, 16).unwrap_or_else(|_| panic!("{text}"))
}

fn commands() -> Vec<Command> {
    let mut all: Vec<Command> = Vec::new();
    let mut to_output = false;
    for line in CASE.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        if !line.starts_with(' ') {
            let mut command = Command {
                name: words.next().unwrap().into(),
                ..Command::default()
            };
            for word in words {
                let (key, value) = word.split_once('=').unwrap();
                let value = number(value);
                match key {
                    "op_mod" => command.op_mod = value as u16,
                    "in" => command.input_len = value as usize,
                    "out" => command.room = value as usize,
                    "status" => command.status = value as u8,
                    _ => {}
                }
            }
            all.push(command);
            continue;
        }
        let command = all.last_mut().unwrap();
        match line.get(2..5) {
            Some("in ") => to_output = false,
            Some("out") => to_output = true,
            _ => {}
        }
        if line.get(2..3) != Some(" ") {
            words.next();
        }
        let list = if to_output {
            &mut command.output
        } else {
            &mut command.input
        };
        list.extend(words.map(str::to_owned));
    }
    all
}

fn bits(memory: &mut [u8], place: Place) -> (&mut [u8], u32) {
    let len = match place.high {
        0..32 => 4,
        32..64 => 8,
        _ => 16,
    };
    (
        &mut memory[place.offset..place.offset + len],
        place.low.into(),
    )
}

fn get(memory: &[u8], place: Place) -> u128 {
    let mut copy = memory.to_vec();
    let (words, low) = bits(&mut copy, place);
    let all = words.iter().fold(0u128, |n, b| n << 8 | u128::from(*b));
    all >> low & (u128::MAX >> (128 - place.width()))
}

fn put(memory: &mut [u8], place: Place, value: u128) {
    let (words, low) = bits(memory, place);
    let all = words.iter().fold(0u128, |n, b| n << 8 | u128::from(*b));
    let all = (all | value << low).to_be_bytes();
    let from = 16 - words.len();
    words.copy_from_slice(&all[from..]);
}

/// A value of the case: where it stands, and what it is.
enum Value {
    Number(String, Place, u128),
    Octets(String, usize, String),
    Pages(usize, usize),
}

/// Finds what the words of a command say in its layout.
fn values(layout: &Layout, group: Option<&'static Layout>, words: &[String]) -> Vec<Value> {
    let mut found = Vec::new();
    let mut levels: Vec<(&Layout, usize)> = vec![(layout, 0)];
    for word in words {
        let (inside, base) = *levels.last().unwrap();
        if word == "}" {
            levels.pop();
            continue;
        }
        if let Some(name) = word.strip_suffix('{') {
            let nested = inside.parts.iter().find_map(|part| match *part {
                Part::Nested(n, at, inner) if n == name => Some((inner, at)),
                Part::Octets(n, at, _) if n == name => Some((group?, at)),
                _ => None,
            });
            let (inner, at) = nested.unwrap_or_else(|| panic!("{name} in {}", inside.name));
            levels.push((inner, base + at));
            continue;
        }
        let (name, value) = word.split_once('=').unwrap_or((word, "0x1"));
        let part = inside.parts.iter().find_map(|part| match *part {
            Part::Field(n, place) if n == name => {
                let place = Place {
                    offset: place.offset + base,
                    ..place
                };
                Some(Value::Number(name.into(), place, number(value)))
            }
            Part::Octets(n, at, _) if n == name => {
                Some(Value::Octets(name.into(), base + at, value.into()))
            }
            Part::Tail(n, at, _) if n == name => {
                let count = value.strip_prefix("page*").unwrap();
                Some(Value::Pages(base + at, count.parse().unwrap()))
            }
            _ => None,
        });
        found.push(part.unwrap_or_else(|| panic!("{name} in {}", inside.name)));
    }
    found
}

#[test]
fn the_model_answers_as_a_real_one_did() {
    let settings = ConnectXSettings {
        profile: "connectx4lx".into(),
        ..ConnectXSettings::default()
    };
    let mut d = Driver::new(settings);
    // Rings of 128 KiB, aligned to their length, and single pages.
    let memory = d.function.dma("memory", 16000 * 4096).unwrap();
    let mut next = memory.iova().0;
    let mut number_of = 0;
    for command in commands() {
        number_of += 1;
        let what = format!("{} (the {number_of}th)", command.name);
        let opcode = Opcode::ALL.iter().find(|o| o.name() == command.name);
        let opcode = *opcode.unwrap_or_else(|| panic!("{what}"));
        let group = Group::of(command.op_mod >> 1).and_then(Group::layout);
        let mut input = vec![0; command.input_len];
        input[..2].copy_from_slice(&(opcode as u16).to_be_bytes());
        input[6..8].copy_from_slice(&command.op_mod.to_be_bytes());
        let mut align = 4096;
        for value in values(opcode.input(), group, &command.input) {
            match value {
                Value::Number(name, place, value) => {
                    put(&mut input, place, value);
                    if name == "LOG_PAGE_SIZE" {
                        align = 4096 << value;
                    }
                }
                Value::Octets(..) => panic!("{what}"),
                Value::Pages(at, _) => {
                    // All of them, also those that were not recorded.
                    for item in input[at..].chunks_exact_mut(PageAddress::SIZE) {
                        next = next.next_multiple_of(align);
                        item.copy_from_slice(&next.to_be_bytes());
                        next += align;
                    }
                }
            }
        }
        // What was not recorded of a short command are its pages, or the register's bytes.
        if command.name == "MANAGE_PAGES" && input[16..].iter().all(|b| *b == 0) {
            for item in input[16..].chunks_exact_mut(PageAddress::SIZE) {
                item.copy_from_slice(&next.to_be_bytes());
                next += 4096;
            }
        }
        let output = match d.raw(&input, command.room) {
            Ok(output) => output,
            Err(Failed::Refused(status, syndrome)) => {
                assert_eq!(status, command.status, "{what}: {syndrome:#x}");
                continue;
            }
            Err(other) => panic!("{what}: {other:?}"),
        };
        let mut rest = output.clone();
        for value in values(opcode.output(), group, &command.output) {
            match value {
                Value::Number(name, place, value) => {
                    assert_eq!(get(&output, place), value, "{what}: {name}");
                    let low = get(&rest, place);
                    let (words, shift) = bits(&mut rest, place);
                    let all = words.iter().fold(0u128, |n, b| n << 8 | u128::from(*b));
                    let all = (all & !(low << shift)).to_be_bytes();
                    let from = 16 - words.len();
                    words.copy_from_slice(&all[from..]);
                }
                Value::Octets(name, at, hex) => {
                    let bytes: Vec<u8> = (0..hex.len() / 2)
                        .map(|i| number(&hex[2 * i..2 * i + 2]) as u8)
                        .collect();
                    assert_eq!(output[at..at + bytes.len()], bytes, "{what}: {name}");
                    rest[at..at + bytes.len()].fill(0);
                }
                Value::Pages(..) => panic!("{what}"),
            }
        }
        // And nothing else: what the case does not name is zero.
        let other = rest.iter().position(|b| *b != 0);
        assert_eq!(other, None, "{what}: something at {other:x?}");
    }
    assert!(number_of > 30);
    assert_eq!(d.nic.violations(), Vec::<String>::new());
}
