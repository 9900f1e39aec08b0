//! Each program's manual page names every command and option that the program has, and no other.
//!
//! In the pages' sources, the paragraph of a command or an option begins (after `.TP`) with its name
//! in bold. Options are compared with those of `--help`, and of the program's own list where it has
//! one; commands with what the program lists.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use end_to_end::{Make, Switch, ours, run};

type Names = BTreeSet<String>;

fn page(name: &str, section: u8) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join(format!("../docs/man/{name}.{section}"))
}

/// The commands and the options that a page's paragraphs are about.
fn documented(name: &str, section: u8) -> (Names, Names) {
    let path = page(name, section);
    let text = std::fs::read_to_string(&path).expect("a page");
    let (mut commands, mut options) = (Names::new(), Names::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line != ".TP" {
            continue;
        }
        let tag = lines.next().unwrap_or_default().replace("\\-", "-");
        let mut bold = tag.split("\\fB").skip(1);
        let first = bold.next().and_then(|b| b.split("\\fR").next());
        let first = first.unwrap_or_else(|| panic!("{}: {tag}", path.display()));
        if first.starts_with('-') {
            let all = tag.split("\\fB").skip(1);
            let names = all.filter_map(|b| b.split("\\fR").next());
            options.extend(names.filter(|n| n.starts_with("--")).map(str::to_owned));
        } else if !first.starts_with("OVS_") {
            commands.insert(first.to_owned());
        }
    }
    (commands, options)
}

/// The long options in a text.
fn options_in(text: &str) -> Names {
    let word = |c: char| c.is_ascii_lowercase() || c == '-';
    let places = text.match_indices("--").filter(|(at, _)| {
        let before = text[..*at].chars().next_back();
        !before.is_some_and(|c| word(c) || c.is_alphanumeric())
    });
    let names = places.map(|(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
        rest[..end].trim_end_matches('-').to_owned()
    });
    names.filter(|n| n.len() > 2).collect()
}

fn help(name: &str) -> String {
    run(Command::new(ours(name)).arg("--help")).ok()
}

/// The first word of each indented line.
fn listed(text: &str) -> Names {
    let lines = text.lines().filter(|l| l.starts_with("  "));
    lines
        .filter_map(|l| l.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

/// The commands that `nicctl --help` names: the lines with two spaces before them.
fn nicctl_commands() -> Names {
    let text = help("nicctl");
    let commands = text.split("Commands:\n").nth(1).unwrap_or_default();
    let commands = commands.split("\n\n").next().unwrap_or_default();
    let heads = commands.lines().filter(|l| !l.starts_with("   "));
    listed(&heads.collect::<Vec<_>>().join("\n"))
}

#[track_caller]
fn same(what: &str, page: &Names, program: &Names) {
    let missing: Vec<_> = program.difference(page).collect();
    let invented: Vec<_> = page.difference(program).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "{what}: not in the page: {missing:?}; not in the program: {invented:?}"
    );
}

#[test]
fn options_are_those_of_the_help() {
    for (name, section, list) in [
        ("ovs-vswitchd", 8, None),
        ("ovsdb-server", 1, None),
        ("ovs-vsctl", 8, Some("--options")),
        ("ovs-ofctl", 8, Some("--option")),
        ("ovs-appctl", 8, Some("--option")),
        ("ovs-dpctl", 8, Some("--option")),
        ("ovsdb-client", 1, None),
        ("ovsdb-tool", 1, Some("--option")),
        ("nic-sim", 8, None),
        ("nicctl", 8, None),
    ] {
        let (_, page) = documented(name, section);
        let mut shown = options_in(&help(name));
        if name == "nicctl" {
            let of_commands = nicctl_commands().into_iter().map(|command| {
                let help = run(Command::new(ours(name)).args([&*command, "--help"])).ok();
                options_in(&help)
            });
            shown.extend(of_commands.flatten());
        }
        if name == "ovs-vsctl" {
            // Those of single commands.
            for of_command in ["--inactivity-probe", "--force"] {
                shown.remove(of_command);
            }
        }
        same(&format!("{name} --help"), &page, &shown);
        if let Some(list) = list {
            let listed = run(Command::new(ours(name)).arg(list)).ok();
            same(&format!("{name} {list}"), &page, &options_in(&listed));
        }
    }
}

#[test]
fn commands_are_those_that_programs_have() {
    let list = |name: &str| run(Command::new(ours(name)).arg("list-commands")).ok();
    for (name, section) in [("ovs-dpctl", 8), ("ovsdb-tool", 1)] {
        let (page, _) = documented(name, section);
        same(name, &page, &listed(&list(name)));
        let help = help(name);
        for command in &page {
            assert!(help.contains(command.as_str()), "{name} --help: {command}");
        }
    }
    same("nicctl", &documented("nicctl", 8).0, &nicctl_commands());
    // Those that read text are not in its list, only in its help.
    let (page, _) = documented("ovs-ofctl", 8);
    let text = help("ovs-ofctl");
    let commands = text.split("\nDaemon options:").next().unwrap_or_default();
    same("ovs-ofctl --help", &page, &listed(commands));
    assert!(listed(&list("ovs-ofctl")).is_subset(&page));

    let (page, _) = documented("ovsdb-client", 1);
    let text = help("ovsdb-client");
    let commands = text.split("Valid commands are:").nth(1).unwrap_or_default();
    let commands = commands
        .split("The default SERVER")
        .next()
        .unwrap_or_default();
    let heads = commands
        .lines()
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "));
    let heads = heads.filter_map(|l| l.split_whitespace().find(|w| !w.starts_with('[')));
    same(
        "ovsdb-client --help",
        &page,
        &heads.map(str::to_owned).collect(),
    );

    let (page, _) = documented("ovs-vsctl", 8);
    let commands = run(Command::new(ours("ovs-vsctl")).arg("--commands")).ok();
    let names = commands.lines().filter_map(|l| l.split(',').nth(1));
    same(
        "ovs-vsctl --commands",
        &page,
        &names.map(str::to_owned).collect(),
    );
    let text = help("ovs-vsctl");
    for command in page.iter().filter(|c| *c != "comment") {
        assert!(
            text.contains(command.as_str()),
            "ovs-vsctl --help: {command}"
        );
    }
}

#[test]
fn commands_of_daemons_are_those_that_they_answer() {
    let switch = Switch::dummy(Make::OursWithServer);
    for (name, section) in [("ovs-vswitchd", 8), ("ovsdb-server", 1)] {
        let (page, _) = documented(name, section);
        let mut tool = switch.our_tool("ovs-appctl");
        let list = run(tool.args(["-t", name, "list-commands"])).ok();
        same(name, &page, &listed(&list));
    }
}

#[test]
fn pages_are_shown_without_a_warning() {
    let has_man = Command::new("man").arg("--version").output().is_ok();
    if !has_man {
        eprintln!("no `man` here: nothing to show the pages with");
        return;
    }
    for (name, section) in [
        ("ovs-vswitchd", 8),
        ("ovsdb-server", 1),
        ("ovs-vsctl", 8),
        ("ovs-ofctl", 8),
        ("ovs-appctl", 8),
        ("ovs-dpctl", 8),
        ("ovsdb-client", 1),
        ("ovsdb-tool", 1),
        ("nic-sim", 8),
        ("nicctl", 8),
    ] {
        let mut man = Command::new("man");
        man.env("MANWIDTH", "80").env("LC_ALL", "C.UTF-8");
        let done = run(man
            .args(["--warnings", "-P", "cat", "-l"])
            .arg(page(name, section)));
        assert_eq!(done.err, "", "{name}");
        let shown = done.ok();
        let widest = shown.lines().map(|l| l.chars().count()).max();
        assert!(widest.is_some_and(|n| n <= 80), "{name}: {widest:?}");
        assert!(shown.contains("SEE ALSO"), "{name}");
    }
}
