//! The original's switch as the judge of ours: the same OpenFlow tables and packets into both, and
//! out of both the same bytes at the same ports and the same counters at the same flows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use end_to_end::oracle::{Case, PORTS};
use end_to_end::{Make, Switch, within};

/// What a case left of a switch.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// Complaints about flows.
    refused: String,
    /// Frames by port, as hexadecimal digits.
    sent: BTreeMap<u32, Vec<String>>,
    /// Flows with their counters.
    flows: Vec<String>,
}

/// A switch with the bridge that all cases use, and how much of each port's capture is known.
struct Player {
    make: Make,
    switch: Switch,
    seen: BTreeMap<u32, usize>,
}

impl Player {
    fn new(make: Make) -> Player {
        let switch = Switch::dummy(make);
        switch.dummy_bridge(
            PORTS,
            "set bridge br0 protocols=OpenFlow10,OpenFlow13 other-config:hwaddr=aa:55:aa:55:00:00",
        );
        switch.appctl("time/stop").ok();
        let seen = (1..=PORTS).map(|n| (n, 0)).collect();
        Player { make, switch, seen }
    }

    /// Installs the case's table and sends its packets.
    fn play(&self, case: &Case) -> String {
        let switch = &self.switch;
        switch.ofctl("-O OpenFlow13 del-flows br0").ok();
        switch.control("fdb/flush", &["br0"]);
        fs::write(switch.path("flows.txt"), case.table()).expect("a file of flows");
        let done = switch.ofctl("-O OpenFlow13 add-flows br0 flows.txt");
        for (port, frame) in &case.packets {
            switch.control(
                "netdev-dummy/receive",
                &[&format!("p{port}"), &end_to_end::frame::hex(frame)],
            );
            // With its time stopped the original does not see that its flows have become stale:
            // what a packet has taught NORMAL would not count for the next.
            if self.make == Make::Original && case.learns() {
                switch.control("revalidator/purge", &[]);
            }
        }
        without_xid(&done.err)
    }

    /// What there is to see now.
    fn look(&self, refused: &str) -> Outcome {
        self.switch.control("revalidator/purge", &[]);
        let sent = (1..=PORTS)
            .map(|n| {
                let frames = self.switch.sent(&format!("p{n}"));
                let known = self.seen.get(&n).copied().unwrap_or(0);
                let new = frames.iter().skip(known);
                (n, new.map(|f| end_to_end::frame::hex(f)).collect())
            })
            .collect();
        let dump = self.switch.ofctl("-O OpenFlow13 dump-flows br0").ok();
        let mut flows: Vec<String> = dump
            .lines()
            .filter(|line| line.contains("table="))
            .map(without_time)
            .collect();
        flows.sort();
        Outcome {
            refused: refused.to_owned(),
            sent,
            flows,
        }
    }

    /// The frames of `result` belong to a case that is over.
    fn settle(&mut self, result: &Outcome) {
        for (port, frames) in &result.sent {
            *self.seen.entry(*port).or_default() += frames.len();
        }
    }
}

fn without_xid(text: &str) -> String {
    text.lines()
        .filter(|line| line.contains("ERROR") || line.contains("ovs-ofctl:"))
        .map(|line| match (line.find("(xid="), line.find("): ")) {
            (Some(from), Some(to)) if from < to => format!("{}{}", &line[..from], &line[to..]),
            _ => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn without_time(line: &str) -> String {
    line.split(", ")
        .map(str::trim)
        .filter(|word| {
            !["duration=", "idle_age=", "hard_age="]
                .iter()
                .any(|time| word.starts_with(time))
        })
        .collect::<Vec<_>>()
        .join(", ")
}

fn difference(ours: &Outcome, theirs: &Outcome) -> String {
    let mut text = String::new();
    if ours.refused != theirs.refused {
        let _ = writeln!(
            text,
            "errors\n  ours:     {}\n  original: {}",
            ours.refused, theirs.refused
        );
    }
    for (port, frames) in &theirs.sent {
        let mine = &ours.sent[port];
        let same = mine.iter().zip(frames).take_while(|(a, b)| a == b).count();
        if mine != frames {
            let _ = writeln!(
                text,
                "port {port}: {} frames of ours, {} of the original's, {same} alike, then\n  \
                 ours:     {}\n  original: {}",
                mine.len(),
                frames.len(),
                start_of(mine.get(same)),
                start_of(frames.get(same)),
            );
        }
    }
    for flow in &ours.flows {
        if !theirs.flows.contains(flow) {
            let _ = writeln!(text, "flow\n  ours:     {flow}");
        }
    }
    for flow in &theirs.flows {
        if !ours.flows.contains(flow) {
            let _ = writeln!(text, "flow\n  original: {flow}");
        }
    }
    text
}

/// The headers of a frame, as far as it is there.
fn start_of(frame: Option<&String>) -> &str {
    frame.map_or("none", |digits| digits.get(..160).unwrap_or(digits))
}

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => default,
    }
}

/// Pairs of switches that play at the same time: the original's takes its time over each purge.
const TABLES: usize = 4;

/// What the cases have shown.
#[derive(Debug, Default)]
struct Tally {
    failed: Vec<u64>,
    forwarded: usize,
    refused: u64,
}

/// Both switches, and what they have shown.
struct Table {
    ours: Player,
    theirs: Player,
    tally: Tally,
}

impl Table {
    fn new() -> Table {
        Table {
            ours: Player::new(Make::Ours),
            theirs: Player::new(Make::Original),
            tally: Tally::default(),
        }
    }

    fn judge(&mut self, seed: u64) {
        let (ours, theirs) = (&self.ours, &self.theirs);
        let case = Case::new(seed);
        let (mine, judge) = thread::scope(|scope| {
            let mine = scope.spawn(|| ours.play(&case));
            let judge = theirs.play(&case);
            (mine.join().expect("our switch plays"), judge)
        });
        // Packets may still be on their way: what differs is looked at again.
        let mut last = None;
        within(Duration::from_secs(3), || {
            let pair = thread::scope(|scope| {
                let a = scope.spawn(|| ours.look(&mine));
                let b = theirs.look(&judge);
                (a.join().expect("our switch answers"), b)
            });
            let same = pair.0 == pair.1;
            last = Some(pair);
            same.then_some(())
        });
        let (a, b) = last.expect("looked at least once");
        if a != b {
            eprintln!(
                "case {seed} differs:\n{}\n{}",
                difference(&a, &b),
                case.script()
            );
            self.tally.failed.push(seed);
        }
        if !b.refused.is_empty() {
            self.tally.refused += 1;
            if std::env::var_os("HALYARD_ORACLE_VERBOSE").is_some() {
                eprintln!("case {seed}: {}", b.refused);
            }
        }
        self.tally.forwarded += b.sent.values().map(Vec::len).sum::<usize>();
        self.ours.settle(&a);
        self.theirs.settle(&b);
    }
}

#[test]
fn oracle_random_tables_and_packets() {
    let first = setting("HALYARD_ORACLE_SEED", 1);
    let cases = setting("HALYARD_ORACLE_CASES", 500);
    let next = AtomicU64::new(first);
    let play = || {
        let mut table = Table::new();
        // A switch that is wrong everywhere need not be told so five hundred times.
        while table.tally.failed.len() < 20 / TABLES {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + cases {
                break;
            }
            table.judge(seed);
        }
        table.tally
    };
    let mut all = Tally::default();
    thread::scope(|scope| {
        let tables: Vec<_> = (0..TABLES).map(|_| scope.spawn(play)).collect();
        for table in tables {
            let tally = table.join().expect("a table plays to its end");
            all.failed.extend(tally.failed);
            all.forwarded += tally.forwarded;
            all.refused += tally.refused;
        }
    });
    all.failed.sort_unstable();
    let Tally {
        failed,
        forwarded,
        refused,
    } = all;
    assert!(
        failed.is_empty(),
        "of {cases} cases these differ: {failed:?}"
    );
    eprintln!("{cases} cases, {refused} with a refused flow, {forwarded} packets forwarded");
    // Cases that forward nothing, or whose tables are refused, would agree about nothing.
    assert!(
        cases < 100 || (u64::try_from(forwarded).unwrap_or(0) > 2 * cases && refused < cases / 10),
        "{cases} cases, {refused} with a refused flow, {forwarded} packets forwarded: too few"
    );
}
