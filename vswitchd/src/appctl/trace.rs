//! `ofproto/trace`: a packet's walk, for people (ovs-vswitchd(8)).

use super::netdev_dummy::parse_frame;
use super::{Outcome, text};
use crate::backer::Backer;
use crate::switch::Switch;
use crate::translate::{Carried, Input, Outcome as Translated, Start};
use crate::world::BridgeId;
use daemon::control::Format;
use hal::DpPort;
use openflow::text::{self as of_text, Names};
use openflow::{Action, OfPort};
use packet::{
    FieldId, FlowState, Match, Metadata, Owner, Packet, PacketKey, Prereq, StateMask, slots,
};

/// Recirculations that one trace follows.
const MAX_RECIRCULATIONS: usize = 4096;

/// What is to be traced.
struct Subject {
    kind: String,
    bridge: BridgeId,
    in_port: OfPort,
    key: PacketKey,
    /// Registers and the like that the packet has from the beginning.
    carried: Carried,
    /// There is a packet, so that what it teaches is learned.
    with_packet: bool,
}

pub(super) fn trace(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let subject = parse(switch, args)?;
    run(switch, &subject, None)
}

pub(super) fn trace_packet_out(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let Some((actions, args)) = args.split_last() else {
        return Err("Syntax error".into());
    };
    let parsed = of_text::parse_actions(actions, &Names::default())
        .map_err(|e| format!("Bad actions: {e}"))?;
    let subject = parse(switch, args)?;
    run(switch, &subject, Some(&parsed.actions))
}

fn parse(switch: &mut Switch, args: &[String]) -> Result<Subject, String> {
    let mut rest: Vec<&str> = Vec::new();
    let mut with_packet = false;
    let mut skip = 0;
    for arg in args {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        match arg.as_str() {
            "-generate" | "--generate" => with_packet = true,
            "-consistent" | "--consistent" | "--names" | "-names" => {}
            "--l7" | "--l7-len" | "--ct-next" => skip = 1,
            a if a.starts_with('-') => return Err(format!("{a}: unknown option")),
            a => rest.push(a),
        }
    }
    if rest.len() > 3 {
        return Err("too many arguments".into());
    }
    let mut frame = None;
    // A packet is generated or given, not both.
    if !with_packet
        && rest.len() > 1
        && let Some(last) = rest.last()
    {
        match parse_frame(last) {
            Ok(bytes) => {
                frame = Some(bytes);
                with_packet = true;
                rest.pop();
            }
            Err(why) if rest.len() > 2 => return Err(why.into()),
            // It is the flow.
            Err(_) => {}
        }
    }
    let (name, flow) = match rest.as_slice() {
        [flow] => (None, *flow),
        [name, flow] => (Some(*name), *flow),
        _ => return Err("Syntax error".into()),
    };
    let backer = match name {
        Some(name) => {
            let kind = name.split('@').next_back().unwrap_or(name);
            let kind = kind.strip_prefix("ovs-").unwrap_or(kind);
            switch.backers.get_key_value(kind)
        }
        None if switch.backers.len() == 1 => switch.backers.iter().next(),
        None => None,
    };
    let names: std::collections::BTreeMap<String, u32> = backer
        .map(|(_, b)| {
            b.datapath
                .ports()
                .into_iter()
                .map(|p| (p.name, p.number.0))
                .collect()
        })
        .unwrap_or_default();
    match packet::odp::parse_flow(flow, &|n| names.get(n).copied()) {
        Ok((key, _)) if flow.contains('(') => {
            let (kind, backer) = backer.ok_or("Cannot find the datapath")?;
            let key = with_frame(key, frame);
            let port = DpPort(key.get(FieldId::InPortOxm) as u32);
            let (bridge, in_port) = *backer
                .world
                .dp_ports
                .get(&port)
                .ok_or_else(|| format!("no OpenFlow port for datapath port {port}"))?;
            Ok(Subject {
                kind: kind.clone(),
                bridge,
                in_port,
                carried: Carried::of(&FlowState::from_key(&key)),
                key,
                with_packet,
            })
        }
        odp => {
            let Some(name) = name else {
                let why = odp
                    .err()
                    .map_or_else(|| "syntax error".into(), |e| e.to_string());
                return Err(format!("{why} (or the bridge name was omitted)"));
            };
            let (bridge, backer) = switch
                .bridge_mut(name)
                .ok_or_else(|| format!("{name}: unknown bridge"))?;
            let mut names = Names::default();
            if let Some(b) = backer.world.bridge(bridge.id) {
                b.ports
                    .values()
                    .for_each(|p| names.add_port(p.number, &p.name));
            }
            let matching = of_text::parse_packet(flow, &names)
                .map_err(|e| format!("Bad openflow flow syntax: {flow}: {e}"))?;
            let mut state = matching.value().clone();
            give_tag_a_type(&mut state);
            let asked = matching.mask().get(FieldId::InPortOxm) != 0;
            let in_port = if asked {
                OfPort(state.get(FieldId::InPortOxm) as u32)
            } else {
                OfPort::NONE
            };
            let key = with_frame(state.to_key(), frame);
            Ok(Subject {
                kind: bridge.kind.clone(),
                bridge: bridge.id,
                in_port,
                carried: Carried::of(&state),
                key,
                with_packet,
            })
        }
    }
}

/// A tag that was told of without its type has the usual one.
fn give_tag_a_type(state: &mut FlowState) {
    let tag = slots::VLAN_TCI.get(&state.words) != 0;
    if tag && slots::VLAN_TPID.get(&state.words) == 0 {
        slots::VLAN_TPID.set(&mut state.words, 0x8100);
    }
}

/// Takes headers from a frame and the rest from the key.
fn with_frame(key: PacketKey, frame: Option<Vec<u8>>) -> PacketKey {
    let Some(frame) = frame else { return key };
    let meta = hal_soft::metadata_of(&key);
    packet::parse(&mut Packet::from_frame(&frame), &Metadata { ..meta })
}

fn run(switch: &mut Switch, subject: &Subject, actions: Option<&[Action]>) -> Outcome {
    let now = switch.clock().now();
    let backer = switch
        .backers
        .get_mut(&subject.kind)
        .ok_or("Cannot find the datapath")?;
    let mut out = String::new();
    let start = match actions {
        Some(actions) => Start::Actions(subject.bridge, subject.in_port, actions),
        None => Start::Port(subject.bridge, subject.in_port),
    };
    let mut next = vec![(subject.key.clone(), start)];
    let mut count = 0;
    while let Some((key, start)) = next.pop() {
        let mut state = FlowState::from_key(&key);
        state.set(FieldId::InPortOxm, subject.in_port.0.into());
        let carried = (count == 0).then_some(&subject.carried);
        if let Some(carried) = carried {
            carried.restore(&mut state);
        }
        if count > 0 {
            let line = "=".repeat(79);
            let id = key.get(FieldId::RecircId);
            out += &format!("\n\n{line}\nrecirc({id:#x}) - resume with packet\n{line}\n\n");
        }
        let Some(done) = backer.translate(&Input {
            key: &key,
            start,
            carried,
            trace: true,
            teaches: subject.with_packet,
        }) else {
            return Err("the packet belongs to no bridge".into());
        };
        if subject.with_packet {
            backer.apply(&done.effects, now);
        }
        out += &render(backer, &state, &key, &done);
        for id in &done.frozen {
            let recirculates = done.actions.contains(&hal::Action::Recirc(*id));
            if recirculates && count < MAX_RECIRCULATIONS {
                let mut words = done.last.clone();
                words.set(FieldId::RecircId, id.0.into());
                words.set(FieldId::InPortOxm, key.get(FieldId::InPortOxm));
                next.push((words.to_key(), Start::Datapath));
            }
        }
        count += 1;
    }
    text(out)
}

fn render(backer: &Backer, state: &FlowState, key: &PacketKey, done: &Translated) -> String {
    let names = Names::default();
    let show = |s: &FlowState| of_text::format_match(&whole(s), &names, 0x8000);
    let mut last = done.last.clone();
    last.set(FieldId::ActsetOutput, state.get(FieldId::ActsetOutput));
    let last = if last == *state {
        "unchanged".into()
    } else {
        show(&last)
    };
    let mut mask = StateMask::default();
    for (m, w) in mask.words.iter_mut().zip(&done.mask.words) {
        *m = *w;
    }
    let megaflow = of_text::format_match(&Match::new(state.clone(), mask), &names, 0x8000);
    let v6 = key.get(FieldId::EthType) == 0x86dd;
    let _ = backer;
    let actions = hal::text::format_actions(&done.actions, v6, &|_| None);
    let mut out = format!("Flow: {}\n{}", show(state), done.trace.render());
    out += &format!("\nFinal flow: {last}\nMegaflow: {megaflow}\nDatapath actions: {actions}");
    if let Some(error) = &done.error {
        out += &format!("\nTranslation failed ({error}), packet is dropped.\n");
    } else {
        out.push('\n');
        if let Some(slow) = done.slow {
            out += "This flow is handled by the userspace slow path because it:\n";
            out += &format!("  - {}.\n", slow.explanation());
        }
    }
    out
}

/// The match that is true of exactly this packet: all fields that it has.
fn whole(state: &FlowState) -> Match {
    let mut mask = StateMask::default();
    let eth_type = state.get(FieldId::EthType);
    let mut typed = Match::any();
    for f in [
        FieldId::EthType,
        FieldId::IpProto,
        FieldId::Icmpv6Type,
        FieldId::Icmpv6Code,
    ] {
        typed.set(f, state.get(f));
    }
    for field in FieldId::all().filter(|f| f.is_openflow()) {
        let row = field.row();
        let always = matches!(
            field,
            FieldId::InPortOxm | FieldId::EthSrc | FieldId::EthDst | FieldId::EthType
        );
        let has = match row.prereq {
            Prereq::None => state.get(field) != 0 && !row.name.starts_with('x'),
            Prereq::Ethernet | Prereq::VlanVid | Prereq::Mpls => false,
            Prereq::Nd | Prereq::NdSolicit | Prereq::NdAdvert => {
                typed.meets(row.prereq) && state.get(field) != 0
            }
            prereq => typed.meets(prereq),
        };
        let hidden = matches!(field, FieldId::ActsetOutput | FieldId::IpDscpShifted)
            || row.owner == Owner::State && row.name.starts_with('x');
        if (always || has) && !hidden && field != FieldId::RecircId {
            if field == FieldId::TcpFlags && eth_type == 0 {
                continue;
            }
            mask.add_all(field);
        }
    }
    if matches!(
        (eth_type, state.get(FieldId::IpProto)),
        (0x800, 1) | (0x86dd, 58)
    ) {
        // OpenFlow's type and code fill the ports' places.
        mask.add_all(FieldId::TcpSrc);
        mask.add_all(FieldId::TcpDst);
    }
    let mut whole = Match::new(state.clone(), mask);
    whole.set_stacks(state);
    whole
}
