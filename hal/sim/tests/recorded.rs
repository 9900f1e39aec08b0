//! What is recorded of real NICs, and the profiles made from it: they speak of fields that there
//! are, with values that fit.

use hal_mlx_prm::capability::{GROUP_SIZE, Group};
use hal_mlx_prm::{Layout, Opcode, Part, Place};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

const COMMANDS: &str = include_str!("../cases/connectx4lx/commands.txt");
const CONNECTX_4_LX: &str = include_str!("../profiles/connectx4lx.json");
const CONNECTX_6_DX: &str = include_str!("../profiles/connectx6dx.json");

/// Fields by their names, inner layouts before them, with their values in words.
type Fields = BTreeMap<String, String>;

/// A recorded command.
#[derive(Debug)]
struct Command {
    opcode: Opcode,
    op_mod: u16,
    /// Lengths as the driver gave them, and how much of them is known.
    input: (usize, usize),
    output: (usize, usize),
    status: u8,
    sent: Fields,
    answered: Fields,
}

impl Command {
    /// The group that it is about.
    fn group(&self) -> Option<Group> {
        let about = matches!(self.opcode, Opcode::QueryHcaCap | Opcode::SetHcaCap);
        about.then(|| Group::of(self.op_mod >> 1).expect("a known group"))
    }
}

fn hex(text: &str) -> u128 {
    let digits = text.strip_prefix("0x").unwrap_or_else(|| panic!("{text}"));
    u128::from_str_radix(digits, 16).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn commands() -> Vec<Command> {
    let mut all: Vec<Command> = Vec::new();
    let mut words = Vec::new();
    for line in COMMANDS.lines().filter(|line| !line.starts_with('#')) {
        let Some(rest) = line.strip_prefix("  ") else {
            all.push(head(line));
            continue;
        };
        let mut line = rest.split_whitespace();
        let command = all.last_mut().expect("a command");
        if !rest.starts_with(' ') {
            words.clear();
            words.push(line.next().expect("in or out"));
        }
        words.extend(line);
        let of = match words.first() {
            Some(&"in") => &mut command.sent,
            _ => &mut command.answered,
        };
        *of = fields(&words[1..]);
    }
    all
}

fn head(line: &str) -> Command {
    let mut words = line.split(' ');
    let name = words.next();
    let named = |opcode: &&Opcode| Some(opcode.name()) == name;
    let opcode = *Opcode::ALL.iter().find(named).expect("a known command");
    let mut numbers = Vec::new();
    for word in words {
        let (name, value) = word.split_once('=').expect("name=value");
        match (name, numbers.last_mut()) {
            ("seen", Some((_, _, seen))) => *seen = hex(value),
            _ => numbers.push((name, hex(value), hex(value))),
        }
    }
    let small = |n: u128| usize::try_from(n).expect("small");
    let number = |of: &str| {
        let found = numbers.iter().find(|(name, ..)| *name == of);
        let (_, value, seen) = found.unwrap_or_else(|| panic!("{line}: {of}"));
        (small(*value), small(*seen))
    };
    Command {
        opcode,
        op_mod: number("op_mod").0 as u16,
        input: number("in"),
        output: number("out"),
        status: number("status").0 as u8,
        sent: Fields::new(),
        answered: Fields::new(),
    }
}

fn fields(words: &[&str]) -> Fields {
    let mut all = Fields::new();
    let mut outer: Vec<&str> = Vec::new();
    for word in words {
        if let Some(name) = word.strip_suffix('{') {
            outer.push(name);
        } else if *word == "}" {
            outer.pop();
        } else {
            let (name, value) = word.split_once('=').unwrap_or((word, "0x1"));
            let name = [&outer[..], &[name]].concat().join(".");
            assert!(all.insert(name.clone(), value.into()).is_none(), "{name}");
        }
    }
    all
}

/// A part of a layout by its name, and where its words begin.
fn find(layout: &Layout, name: &str) -> Option<(usize, Part)> {
    layout.parts.iter().find_map(|part| match *part {
        Part::Field(own, _) | Part::Octets(own, ..) | Part::Tail(own, ..) => {
            (own == name).then_some((0, *part))
        }
        Part::Nested(own, at, inner) => match name.split_once('.') {
            Some((first, rest)) if first == own => {
                let (base, part) = find(inner, rest)?;
                Some((base + at, part))
            }
            None if name == own => Some((0, *part)),
            _ => None,
        },
    })
}

fn store(memory: &mut [u8], base: usize, place: Place, value: u128) {
    let room = u128::MAX >> (128 - place.width());
    assert!(value <= room, "{value:#x} in {} bits", place.width());
    place.store(&mut memory[base..], value);
}

/// Writes a field of an input or output; `group` is what its capabilities are.
fn write(layout: &Layout, group: Option<Group>, memory: &mut [u8], name: &str, value: &str) {
    if let (Some(group), Some(inner)) = (group, name.strip_prefix("CAPABILITY.")) {
        let layout = group.layout().expect("a known layout");
        return write(layout, None, &mut memory[0x10..], inner, value);
    }
    let (base, part) = find(layout, name).unwrap_or_else(|| panic!("{}: {name}", layout.name));
    match part {
        Part::Field(_, place) => store(memory, base, place, hex(value)),
        Part::Octets(_, at, _) => {
            for (to, digits) in memory[base + at..]
                .iter_mut()
                .zip(value.as_bytes().chunks(2))
            {
                let digits = std::str::from_utf8(digits).expect("digits");
                *to = u8::from_str_radix(digits, 16).expect("digits");
            }
        }
        Part::Tail(_, at, item) => {
            let pages: usize = value
                .strip_prefix("page*")
                .expect("pages")
                .parse()
                .expect("n");
            assert_eq!(memory.len(), at + pages * item.size, "{name}");
        }
        Part::Nested(..) => panic!("{name} is a layout"),
    }
}

#[test]
fn recorded_commands_are_made_of_known_fields() {
    let commands = commands();
    assert_eq!(commands.len(), 42);
    for command in &commands {
        let (opcode, group) = (command.opcode, command.group());
        for (fields, layout, (length, known)) in [
            (&command.sent, opcode.input(), command.input),
            (&command.answered, opcode.output(), command.output),
        ] {
            assert!(length >= layout.size && known >= layout.size, "{command:?}");
            let mut memory = vec![0; known];
            for (name, value) in fields {
                write(layout, group, &mut memory, name, value);
            }
            assert_eq!(layout.reserved_set(&memory), None, "{}", layout.name);
        }
        assert_eq!(command.status, 0, "{command:?}");
    }
    let create = &commands[commands.len() - 1];
    assert_eq!(create.opcode, Opcode::CreateEq);
    assert_eq!(create.sent["CONTEXT.INTERRUPT"], "0xe");
    assert_eq!(create.answered["EQN"], "0x1e");
}

/// What a group is at most and before SET_HCA_CAP.
#[derive(Clone, Debug, PartialEq)]
struct Values {
    most: Vec<u8>,
    current: Vec<u8>,
}

impl Default for Values {
    fn default() -> Values {
        let zero = vec![0; GROUP_SIZE];
        Values {
            most: zero.clone(),
            current: zero,
        }
    }
}

type Groups = BTreeMap<&'static str, Values>;

fn read(profile: &str) -> Map<String, Value> {
    serde_json::from_str(profile).expect("an object")
}

/// Applies what a profile says to `groups`; whatever it says has to be known and to fit.
fn apply(profile: &Map<String, Value>, groups: &mut Groups) {
    let capabilities = profile["capabilities"].as_object().expect("groups");
    for (name, fields) in capabilities {
        let known = Group::KNOWN.iter().find(|(_, own, _)| own == name);
        let (_, name, layout) = known.unwrap_or_else(|| panic!("{name}: no such group"));
        let Some(fields) = fields.as_object() else {
            assert!(fields.is_null(), "{name}");
            groups.remove(name);
            continue;
        };
        let values = groups.entry(name).or_default();
        for (field, entry) in fields {
            let place = find(layout, field);
            let (base, part) = place.unwrap_or_else(|| panic!("{name}: no field {field}"));
            let value = &entry["value"];
            let current = entry.get("current").unwrap_or(value);
            for (value, memory) in [(value, &mut values.most), (current, &mut values.current)] {
                match part {
                    Part::Field(_, place) => {
                        let value = value.as_u64().unwrap_or_else(|| panic!("{field}: {value}"));
                        store(memory, base, place, value.into());
                    }
                    Part::Nested(_, at, inner) => {
                        let flags = value
                            .as_array()
                            .unwrap_or_else(|| panic!("{field}: {value}"));
                        let memory = &mut memory[base + at..][..inner.size];
                        memory.fill(0);
                        for flag in flags.iter().map(|flag| flag.as_str().expect("a name")) {
                            let (base, part) = find(inner, flag)
                                .unwrap_or_else(|| panic!("{field}: no field {flag}"));
                            let Part::Field(_, place) = part else {
                                panic!("{field}: {flag} is no field")
                            };
                            assert_eq!(place.width(), 1, "{field}: {flag}");
                            store(memory, base, place, 1);
                        }
                    }
                    _ => panic!("{field} is no capability"),
                }
            }
        }
    }
}

#[test]
fn a_profile_says_who_says_so() {
    let sources = BTreeSet::from(["driver requires", "Linux requires", "rdma-core requires"]);
    for (text, base) in [(CONNECTX_4_LX, None), (CONNECTX_6_DX, Some("connectx4lx"))] {
        let profile = read(text);
        assert_eq!(profile.get("based_on").and_then(Value::as_str), base);
        let groups = profile["capabilities"]
            .as_object()
            .expect("groups")
            .values();
        let all = groups
            .chain([&profile["device"]])
            .filter_map(Value::as_object);
        for (name, entry) in all.flatten() {
            let source = entry["source"].as_str().expect("a source");
            let reason = entry.get("why").and_then(Value::as_str);
            match source {
                "trace" | "pci.ids" => {}
                _ => {
                    assert!(
                        source == "chosen" || sources.contains(source),
                        "{name}: {source}"
                    );
                    assert!(reason.is_some_and(|why| !why.is_empty()), "{name}");
                }
            }
        }
    }
}

/// The first profile is what the NIC said, no more and no less.
#[test]
fn a_profile_is_as_recorded() {
    let mut recorded = Groups::new();
    let mut asked = BTreeSet::new();
    for command in commands() {
        let (Opcode::QueryHcaCap, Some(group)) = (command.opcode, command.group()) else {
            continue;
        };
        if !asked.insert(command.op_mod) {
            continue;
        }
        let known = Group::KNOWN.iter().find(|(own, ..)| *own == group);
        let (_, name, _) = known.expect("a known group");
        let values = recorded.entry(name).or_default();
        let memory = match command.op_mod & 1 {
            0 => &mut values.most,
            _ => &mut values.current,
        };
        let mut output = vec![0; command.output.0];
        for (field, value) in &command.answered {
            let layout = command.opcode.output();
            write(layout, Some(group), &mut output, field, value);
        }
        memory.copy_from_slice(&output[0x10..]);
    }
    let mut profile = Groups::new();
    apply(&read(CONNECTX_4_LX), &mut profile);
    assert_eq!(
        profile.keys().collect::<Vec<_>>(),
        recorded.keys().collect::<Vec<_>>()
    );
    for (name, values) in &profile {
        assert!(values == &recorded[name], "{name} is not as recorded");
    }
}

/// What has to be set for Linux's driver to come up, and for ours to have an e-switch.
#[test]
fn a_profile_has_what_drivers_need() {
    let mut groups = Groups::new();
    apply(&read(CONNECTX_4_LX), &mut groups);
    apply(&read(CONNECTX_6_DX), &mut groups);
    let number = |group: &str, name: &str| {
        let known = Group::KNOWN.iter().find(|(_, own, _)| *own == group);
        let (.., layout) = known.expect("a known group");
        match find(layout, name) {
            Some((base, Part::Field(_, place))) => place.load(&groups[group].most[base..]),
            _ => panic!("{group}: no field {name}"),
        }
    };
    for (group, name, least) in [
        ("general", "PORT_TYPE", 1),
        ("general", "NUM_PORTS", 1),
        ("general", "ETH_NET_OFFLOADS", 1),
        ("general", "NIC_FLOW_TABLE", 1),
        ("general", "CQ_MODERATION", 1),
        ("general", "DEVICE_FREQUENCY_KHZ", 1),
        ("general", "MAX_WQE_SZ_SQ", 1024),
        ("general", "UMEM_UID_0", 1),
        ("general", "VPORT_GROUP_MANAGER", 1),
        ("general", "ESWITCH_MANAGER", 1),
        ("general", "FLOW_COUNTER_BULK_ALLOC", 1),
        ("ethernet", "CSUM_CAP", 1),
        ("ethernet", "VLAN_CAP", 1),
        ("ethernet", "MAX_LSO_CAP", 16),
        ("ethernet", "RSS_IND_TBL_CAP", 1),
        ("ethernet", "SELF_LB_EN_MODIFIABLE", 1),
        ("flow_table", "NIC_RECEIVE.FT_SUPPORT", 1),
        ("flow_table", "NIC_RECEIVE.MODIFY_ROOT", 1),
        ("flow_table", "NIC_RECEIVE.FLOW_TABLE_MODIFY", 1),
        ("flow_table", "NIC_RECEIVE.MAX_FT_LEVEL", 59),
        ("flow_table", "NIC_RECEIVE.LOG_MAX_FT_SIZE", 16),
        ("flow_table", "NIC_RECEIVE.MATCH.METADATA_REG_C_0", 1),
        ("eswitch_flow_table", "FDB.FT_SUPPORT", 1),
        ("eswitch_flow_table", "FDB.MAX_MODIFY_HEADER_ACTIONS", 16),
        ("eswitch_flow_table", "ACL_INGRESS.FT_SUPPORT", 1),
        ("eswitch", "MAX_ENCAP_HEADER_SIZE", 128),
    ] {
        assert!(number(group, name) >= least, "{group}: {name}");
    }
    // Linux would do more than the model can answer.
    for name in ["ROCE", "ATOMIC", "PG", "QOS", "HCA_CAP_2", "STRIDING_RQ"] {
        assert_eq!(number("general", name), 0, "{name}");
    }
    assert_eq!(number("flow_table", "NIC_RECEIVE.SW_OWNER"), 0);
    assert!(!groups.contains_key("roce") && !groups.contains_key("atomic"));
}
