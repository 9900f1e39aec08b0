//! The front of translation: where a walk begins and what it leaves behind.

use super::frozen::{Carried, Interner};
use super::outcome::{Credit, Depend, Outcome};
use super::trace::Trace;
use crate::world::{Bridge, BridgeId, World};
use openflow::{Action, Cookie, OfPort};
use packet::{FieldId, FlowState, PacketKey, StateMask, VLAN_PRESENT, slots};
use std::sync::Arc;

/// Where a walk begins.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// The packet came from the datapath: its key has the datapath's port, and maybe the id of a
    /// frozen state.
    Datapath,
    /// The packet came in on an OpenFlow port of a bridge; the port in the key does not count.
    Port(BridgeId, OfPort),
    /// The packet is run through these actions first (a packet-out).
    Actions(BridgeId, OfPort, &'a [Action]),
}

/// One packet's way into translation.
pub struct Input<'a> {
    /// The packet.
    pub key: &'a PacketKey,
    /// Where it begins.
    pub start: Start<'a>,
    /// What it carries besides what a datapath tells of it, if not nothing.
    pub carried: Option<&'a Carried>,
    /// Whether the walk is to be written down.
    pub trace: bool,
    /// Whether there is a packet, from which addresses can be learned.
    pub teaches: bool,
}

/// A walk: the state that its parts share.
pub(super) struct Walk<'w> {
    pub world: &'w World,
    pub interner: &'w mut Interner,
    pub bridge: &'w Arc<Bridge>,
    /// The packet as it came.
    pub original: FlowState,
    /// The datapath's packet at this point.
    pub base: FlowState,
    /// The packet as it should be.
    pub state: FlowState,
    pub seen: StateMask,
    pub out: Outcome,
    pub teaches: bool,
    pub table: u8,
    /// Cookie of the rule whose actions are being done.
    pub cookie: Cookie,
    pub depth: usize,
    pub resubmits: usize,
    pub stack: Vec<(u128, u8)>,
    pub action_set: Vec<Action>,
    /// The actions being done are the action set's.
    pub in_action_set: bool,
    /// The actions being done are those of a table's miss.
    pub in_miss: bool,
    /// No more actions of this bridge are done.
    pub exit: bool,
    /// No more actions of this list are done.
    pub end_list: bool,
    /// The actions being done are a packet-out's own.
    pub in_packet_out: bool,
    /// The datapath must look at the packet again before these actions can be done.
    pub freezing: Option<Vec<Action>>,
    /// A label has been taken off and what is under it has not been looked at.
    pub was_mpls: bool,
    /// Marks of a chain of bridges, to be left in reverse.
    pub failed: bool,
}

/// Translates a packet. None if its port belongs to no bridge or its frozen state is gone: such a
/// packet is dropped, and a flow that drops it may be made of [`Input::key`]'s port.
pub fn translate(world: &World, interner: &mut Interner, input: &Input<'_>) -> Option<Outcome> {
    let mut state = FlowState::from_key(input.key);
    let recirc = hal::RecircId(input.key.get(FieldId::RecircId) as u32);
    let frozen = if recirc.0 == 0 {
        None
    } else {
        Some(world.frozen.get(recirc)?)
    };
    let (bridge_id, in_port) = match (input.start, frozen) {
        (Start::Datapath, Some(frozen)) => (frozen.bridge, frozen.in_port),
        (Start::Datapath, None) => {
            let dp_port = hal::DpPort(input.key.get(FieldId::InPortOxm) as u32);
            *world.dp_ports.get(&dp_port)?
        }
        (Start::Port(bridge, port) | Start::Actions(bridge, port, _), _) => (bridge, port),
    };
    let bridge = world.bridge(bridge_id)?;
    if let Some(carried) = input.carried {
        carried.restore(&mut state);
    }
    state.set(FieldId::InPortOxm, in_port.0.into());
    state.set(FieldId::ActsetOutput, OfPort::UNSET.0.into());

    let mut walk = Walk {
        world,
        interner,
        bridge,
        original: state.clone(),
        base: state.clone(),
        state,
        seen: StateMask::default(),
        out: Outcome {
            trace: Trace::new(input.trace),
            ..Outcome::default()
        },
        teaches: input.teaches,
        table: 0,
        cookie: Cookie(u64::MAX),
        depth: 0,
        resubmits: 0,
        stack: Vec::new(),
        action_set: Vec::new(),
        in_action_set: false,
        in_miss: false,
        exit: false,
        end_list: false,
        in_packet_out: matches!(input.start, Start::Actions(..)),
        freezing: None,
        was_mpls: false,
        failed: false,
    };
    walk.always_seen();
    walk.depend(Depend::Config(bridge.id, bridge.config_version));
    match (input.start, frozen) {
        (_, Some(frozen)) => {
            frozen.carried.restore(&mut walk.state);
            walk.table = frozen.table;
            walk.cookie = frozen.cookie;
            walk.stack = frozen.stack.clone();
            walk.action_set = frozen.action_set.clone();
            let actions = frozen.actions.clone();
            walk.enter_bridge(|w| {
                w.run_actions(&actions);
                w.finish_freezing();
            });
        }
        (Start::Actions(.., actions), None) => walk.enter_bridge(|w| {
            w.run_actions(actions);
            w.finish_freezing();
        }),
        (_, None) => {
            if walk.may_receive(in_port) {
                walk.enter_bridge(|w| w.run_pipeline(in_port));
            }
        }
    }
    Some(walk.finish())
}

impl Walk<'_> {
    /// Bits that always count: what the datapath cannot do without, and what decides which
    /// headers there are.
    fn always_seen(&mut self) {
        for field in [
            FieldId::RecircId,
            FieldId::InPortOxm,
            FieldId::PacketType,
            FieldId::EthType,
        ] {
            self.seen.add_all(field);
        }
        if self.is_ip() {
            self.seen.add_all(FieldId::IpFrag);
        }
    }

    pub(super) fn is_ip(&self) -> bool {
        matches!(self.state.get(FieldId::EthType), 0x800 | 0x86dd)
    }

    pub(super) fn depend(&mut self, on: Depend) {
        if !self.out.depends.contains(&on) {
            self.out.depends.push(on);
        }
    }

    pub(super) fn credit(&mut self, credit: Credit) {
        self.out.credits.push(credit);
    }

    /// Ends the walk with an error: the packet is dropped.
    pub(super) fn fail(&mut self, why: String) {
        self.fail_as(why.clone(), &why);
    }

    /// The same, where the walk's remark says more than the error.
    pub(super) fn fail_as(&mut self, why: String, error: &str) {
        self.out.trace.add(super::TraceKind::Error, || why);
        if !self.failed {
            self.failed = true;
            self.exit = true;
            self.out.error = Some(error.to_owned());
        }
    }

    /// A remark on what is not as it should be.
    pub(super) fn warn(&mut self, text: &'static str) {
        self.out
            .trace
            .add(super::TraceKind::Warning, || text.into());
    }

    pub(super) fn detail(&mut self, text: impl FnOnce() -> String) {
        self.out.trace.add(super::TraceKind::Detail, text);
    }

    fn finish(mut self) -> Outcome {
        if self.failed {
            self.out.actions.clear();
            self.out.effects.clear();
        }
        let seen = &mut self.seen;
        // Fields that the packet as it came does not have were never looked at in it.
        let tci = slots::VLAN_TCI;
        let had_tag = tci.get(&self.original.words) & u128::from(VLAN_PRESENT) != 0;
        // Of what type a tag is always counts: it stays when the tag is rewritten.
        let tpid = if had_tag { slots::VLAN_TPID.max() } else { 0 };
        slots::VLAN_TPID.set(&mut seen.words, tpid);
        if slots::VLAN2_TCI.get(&self.original.words) == 0 {
            slots::VLAN2_TPID.set(&mut seen.words, 0);
            slots::VLAN2_TCI.set(&mut seen.words, 0);
        }
        let tci_seen = match tci.get(&seen.words) {
            _ if !had_tag => 0,
            0 => 0,
            bits => bits | u128::from(VLAN_PRESENT),
        };
        tci.set(&mut seen.words, tci_seen);
        let eth_type = self.original.get(FieldId::EthType);
        if !matches!(eth_type, 0x8847 | 0x8848) {
            slots::MPLS_LSE
                .iter()
                .for_each(|s| s.set(&mut seen.words, 0));
        }
        // Type and code of ICMP have eight bits in a datapath.
        let proto = self.original.get(FieldId::IpProto);
        if matches!((eth_type, proto), (0x800, 1) | (0x86dd, 58)) {
            for slot in [slots::TP_SRC, slots::TP_DST] {
                let bits = slot.get(&seen.words) & 0xff;
                slot.set(&mut seen.words, bits);
            }
        }
        if self.original.get(FieldId::IpFrag) & 2 != 0 {
            slots::TP_SRC.set(&mut seen.words, 0);
            slots::TP_DST.set(&mut seen.words, 0);
        }
        if self.original.get(FieldId::TunDst) == 0 && self.original.get(FieldId::TunIpv6Dst) == 0 {
            for field in FieldId::all().filter(|f| f.row().name.starts_with("tun_")) {
                field.set(&mut seen.words, 0);
            }
        }
        self.out.mask = seen.to_flow_mask();
        self.out.last = self.state;
        self.out
    }
}
