//! `nicctl probe`: the way to a function, whatever it is.

use super::steps::Steps;
use super::{Failure, part};
use clock::Clock;
use hal::pci::{ConfigSpace, PciError, PciFunction, capability_name};

/// Pieces of memory that are mapped together, and bytes of each.
const PIECES: usize = 16;
const PIECE: usize = 64 << 10;
/// Interrupts that are turned on, at most.
const INTERRUPTS: usize = 8;

/// Runs the steps; answers the exit code.
pub fn run(function: &PciFunction) -> Result<u8, Failure> {
    let mut steps = Steps::new(Clock::real());
    way(function, &mut steps);
    Ok(steps.code())
}

/// Tries the way to a function, and leaves it reset.
pub fn way(function: &PciFunction, steps: &mut Steps) {
    steps.take("configuration space", || configuration(function));
    steps.take("registers", || registers(function));
    steps.take("memory", || memory(function));
    steps.take("interrupts", || interrupts(function));
    steps.take("reset", || reset(function));
}

fn refused(function: &PciFunction, what: &str, why: &str) -> PciError {
    PciError::refused(function.address(), what, why)
}

fn configuration(function: &PciFunction) -> Result<((), String), PciError> {
    let ids = function.ids()?;
    let space = ConfigSpace::of(function)?;
    let capabilities = space
        .capabilities()
        .map_err(|e| PciError::refused(function.address(), "capabilities", e))?;
    let names: Vec<&str> = capabilities.into_iter().map(capability_name).collect();
    let (vendor, device) = space.subsystem();
    Ok((
        (),
        format!(
            "{}, revision {:#x}, card {vendor:04x}:{device:04x}\ncapabilities: {}\nfunction-level \
             reset: {}",
            part(ids),
            space.revision(),
            names.join(", "),
            if space.resets_alone() { "yes" } else { "no" },
        ),
    ))
}

/// The first word of each BAR, whose bytes are shown in their order.
fn registers(function: &PciFunction) -> Result<((), String), PciError> {
    let mut lines = Vec::new();
    for index in 0..6 {
        let bar = match function.bar(index) {
            Ok(bar) => bar,
            Err(e @ PciError::Gone { .. }) => return Err(e),
            Err(_) => continue,
        };
        let how = if bar.is_mapped() {
            "mapped"
        } else {
            "not mapped"
        };
        // Ports of the old kind, which are read by the byte, may refuse a word.
        let word = match bar.read_be32(0) {
            Ok(word) => format!("begins with {word:08x}"),
            Err(e @ PciError::Gone { .. }) if bar.is_mapped() => return Err(e),
            Err(_) => "is not read by the word".into(),
        };
        lines.push(format!(
            "BAR {index}: {:#x} bytes, {how}, {word}",
            bar.len()
        ));
    }
    if lines.is_empty() {
        return Err(refused(function, "registers", "there is no BAR"));
    }
    Ok(((), lines.join("\n")))
}

fn memory(function: &PciFunction) -> Result<((), String), PciError> {
    let mut pieces = Vec::new();
    for n in 0..PIECES {
        let piece = function.dma("nicctl", PIECE)?;
        piece.write(0, &[n as u8 + 1; 8]);
        pieces.push(piece);
    }
    let mut seen = [0; 8];
    for (n, piece) in pieces.iter().enumerate() {
        piece.read(0, &mut seen);
        if seen != [n as u8 + 1; 8] {
            return Err(refused(
                function,
                "memory",
                "two pieces are the same memory",
            ));
        }
    }
    let first = pieces.first().map(|piece| piece.iova().to_string());
    drop(pieces);
    if function.leaked() > 0 {
        return Err(refused(function, "memory", "it was not unmapped"));
    }
    let kib = (PIECES * PIECE) >> 10;
    let at = first.unwrap_or_default();
    Ok((
        (),
        format!("{kib} KiB mapped, the first at {at}, and unmapped"),
    ))
}

fn interrupts(function: &PciFunction) -> Result<((), String), PciError> {
    let count = function.interrupt_count()?;
    if count == 0 {
        return Ok(((), "there are none (MSI-X)".into()));
    }
    let some = count.min(INTERRUPTS);
    function.interrupts(some)?;
    // Again, since more cannot be added to those that are on.
    function.interrupts(some)?;
    function.interrupts(0)?;
    Ok(((), format!("{some} of {count} turned on and off")))
}

fn reset(function: &PciFunction) -> Result<((), String), PciError> {
    let before = function.ids()?;
    function.reset()?;
    if function.ids()? != before {
        return Err(refused(
            function,
            "reset",
            "it is another function afterwards",
        ));
    }
    Ok(((), String::new()))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use hal_sim::connectx::{ConnectX, ConnectXSettings};

    /// A simulated NIC in this process.
    pub fn simulated(settings: &str) -> PciFunction {
        let settings: ConnectXSettings = serde_json::from_str(settings).unwrap();
        let nic = ConnectX::open("nic0", settings, Clock::real()).unwrap();
        PciFunction::in_process("connectx:nic0", nic).unwrap()
    }

    #[test]
    fn the_way_to_a_simulated_nic_is_whole() {
        let mut steps = Steps::new(Clock::real());
        way(&simulated("{}"), &mut steps);
        let told = steps.json();
        assert_eq!(steps.code(), 0, "{told:#}");
        let seen: Vec<&str> = (0..5).filter_map(|n| told[n]["told"].as_str()).collect();
        assert!(
            seen[0].starts_with("ConnectX-6 Dx (15b3:101d), revision 0"),
            "{told:#}"
        );
        assert!(seen[0].contains("PCI Express, MSI-X"), "{told:#}");
        assert!(seen[0].ends_with("function-level reset: yes"), "{told:#}");
        assert!(seen[1].starts_with("BAR 0: 0x"), "{told:#}");
        assert!(
            seen[2].starts_with("1024 KiB mapped, the first at 0x"),
            "{told:#}"
        );
        assert!(seen[3].starts_with("8 of "), "{told:#}");
    }

    #[test]
    fn the_way_to_one_that_another_process_plays_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("nic.sock");
        let settings = ConnectXSettings::default();
        let nic = ConnectX::open("nic0", settings, Clock::real()).unwrap();
        let served = socket.clone();
        std::thread::spawn(move || hal_sim::serve(&served, nic));
        let (name, clock) = (format!("vfio-user:{}", socket.display()), Clock::real());
        let mut attempts = (0..3000).filter_map(|_| {
            clock.pause_thread(std::time::Duration::from_millis(10));
            super::super::open(&name).ok()
        });
        let nic = attempts.next().expect("a connection");
        let mut steps = Steps::new(Clock::real());
        way(&nic, &mut steps);
        assert_eq!(steps.code(), 0, "{:#}", steps.json());
    }
}
