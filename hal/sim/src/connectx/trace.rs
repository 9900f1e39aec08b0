//! Commands in words, for whoever wants to see what a driver does.
//!
//! The form is that of the recorded commands (`cases/connectx4lx/README.md`): a line with name,
//! variant, lengths, delivery and status, then what input and output say. Besides, a refused
//! command has the check that it did not pass, and bits that belong to no field are shown in hex.

use super::syndrome::Syndrome;
use hal_mlx_prm::command::{Input, Status};
use hal_mlx_prm::event::EventType;
use hal_mlx_prm::{Layout, Opcode, Part, View};
use std::fmt::Write as _;
use std::io::{self, Write};

/// Items of a list, and bytes without a name, that are shown.
const SHOWN: usize = 8;

/// Where commands are written down.
pub(super) struct Trace(Box<dyn Write + Send>);

impl Trace {
    pub fn new(to: Box<dyn Write + Send>) -> Trace {
        Trace(to)
    }

    /// Writes a command down.
    pub fn command(
        &mut self,
        input: &[u8],
        output: &[u8],
        outcome: Result<(), Syndrome>,
    ) -> io::Result<()> {
        self.0.write_all(told(input, output, outcome).as_bytes())?;
        self.0.flush()
    }

    /// Writes an event down, unless it is one of the many: what comes into a completion queue and
    /// which command is through is not told.
    pub fn event(&mut self, kind: EventType, subtype: u8, data: &[u8]) -> io::Result<()> {
        match kind {
            EventType::Completion | EventType::Command => Ok(()),
            _ => self.note(&format!("event {kind:?} {subtype:#x} {}", hex(data))),
        }
    }

    /// Writes a line down.
    pub fn note(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.0, "# {line}")?;
        self.0.flush()
    }
}

/// A command and what came of it.
fn told(input: &[u8], output: &[u8], outcome: Result<(), Syndrome>) -> String {
    let head = View::<Input, _>::new(input);
    let number = head.as_ref().map_or(0, |head| head.get(Input::OPCODE));
    let opcode = Opcode::of(number);
    let name = opcode.map_or_else(|| format!("{number:#x}"), |opcode| opcode.name().into());
    let mut text = format!(
        "{name} op_mod={:#x} in={:#x} out={:#x} delivery=0x0 status={:#x}",
        head.map_or(0, |head| head.get(Input::OP_MOD)),
        input.len(),
        output.len(),
        outcome.map_or_else(|syndrome| syndrome.status(), |()| Status::Ok) as u8,
    );
    if let Err(syndrome) = outcome {
        let _ = write!(text, " syndrome={syndrome:?}");
    }
    text.push('\n');
    let sides = [
        ("in ", input, opcode.map(Opcode::input)),
        ("out", output, opcode.map(Opcode::output)),
    ];
    for (side, bytes, layout) in sides {
        // Opcode and variant, status and syndrome have been said.
        let mut rest = bytes.to_vec();
        rest[..bytes.len().min(8)].fill(0);
        let mut words = String::new();
        match layout {
            Some(layout) => {
                fields(layout, &rest, &mut words);
                if let Some(at) = layout.reserved_set(&rest) {
                    let bits = rest.get(at..at + 4).unwrap_or_default();
                    let _ = write!(words, " reserved@{at:#x}={}", hex(bits));
                }
            }
            None if rest.iter().all(|b| *b == 0) => {}
            None => {
                let _ = write!(words, " {}", hex(&rest));
            }
        }
        if !words.is_empty() {
            let _ = writeln!(text, "  {side}{words}");
        }
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    let mut text: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    let end = text.trim_end_matches('0').len().max(2);
    text.truncate(end.next_multiple_of(2));
    text
}

/// Appends the fields that are not zero.
fn fields(layout: &Layout, memory: &[u8], to: &mut String) {
    for part in layout.parts {
        match *part {
            Part::Field(name, place) => match place.load(memory) {
                0 => {}
                _ if place.width() == 1 => {
                    let _ = write!(to, " {name}");
                }
                value => {
                    let _ = write!(to, " {name}={value:#x}");
                }
            },
            Part::Nested(name, at, inner) => {
                nested(name, inner, memory.get(at..).unwrap_or_default(), to);
            }
            Part::Octets(name, at, length) => {
                let octets = memory.get(at..).unwrap_or_default();
                let octets = length.and_then(|n| octets.get(..n)).unwrap_or(octets);
                if octets.iter().any(|b| *b != 0) {
                    let _ = write!(to, " {name}={}", hex(octets));
                }
            }
            Part::Tail(name, at, item) => {
                let all = memory.get(at..).unwrap_or_default();
                let items = all.chunks_exact(item.size);
                let more = items.len().saturating_sub(SHOWN);
                for memory in items.take(SHOWN) {
                    nested(name, item, memory, to);
                }
                if more > 0 {
                    let _ = write!(to, " {name}*{more}");
                }
            }
        }
    }
}

fn nested(name: &str, layout: &Layout, memory: &[u8], to: &mut String) {
    let mut inner = String::new();
    fields(layout, memory, &mut inner);
    if !inner.is_empty() {
        let _ = write!(to, " {name}{{{inner} }}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hal_mlx_prm::command::{ManagePagesIn, QueryIssiOut, SetDriverVersionIn};

    #[test]
    fn a_command_is_told_as_the_recorded_ones() {
        let mut input = [0; 16];
        input[..2].copy_from_slice(&(Opcode::QueryIssi as u16).to_be_bytes());
        let mut output = View::<QueryIssiOut, _>::zeroed();
        output.set(QueryIssiOut::SUPPORTED, 2);
        let line = told(&input, output.bytes(), Ok(()));
        let wanted =
            "QUERY_ISSI op_mod=0x0 in=0x10 out=0x70 delivery=0x0 status=0x0\n  out SUPPORTED=0x2\n";
        assert_eq!(line, wanted);
    }

    #[test]
    fn what_was_refused_is_told_with_its_check() {
        let mut input = [0; 16];
        input[..2].copy_from_slice(&0x9abu16.to_be_bytes());
        input[8] = 0x10;
        let line = told(&input, &[0; 16], Err(Syndrome::UnknownCommand));
        let wanted = "0x9ab op_mod=0x0 in=0x10 out=0x10 delivery=0x0 status=0x2 syndrome=UnknownCommand\n  in  000000000000000010\n";
        assert_eq!(line, wanted);
        let mut input = View::<SetDriverVersionIn, _>::zeroed();
        input.copy_from(&[1, 0x0d, 0, 0, 0, 0, 0, 0, 0, 3]);
        let line = told(input.bytes(), &[0; 16], Err(Syndrome::ReservedBits));
        assert!(line.contains("syndrome=ReservedBits"), "{line}");
        assert!(line.contains("  in  reserved@0x8=0003\n"), "{line}");
    }

    #[test]
    fn long_lists_are_cut() {
        let mut input = vec![0xff; ManagePagesIn::SIZE + 8 * 20];
        input[..2].copy_from_slice(&(Opcode::ManagePages as u16).to_be_bytes());
        let line = told(&input, &[0; 16], Ok(()));
        assert_eq!(line.matches("PAGES{").count(), SHOWN, "{line}");
        assert!(line.contains("*12"), "{line}");
    }
}
