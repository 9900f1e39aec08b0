//! Sending a packet somewhere.

use super::commit::commit;
use super::frozen::{Carried, Frozen};
use super::input::Walk;
use super::outcome::{Credit, Depend, Effect};
use super::trace::TraceKind;
use crate::world::{Port, PortTarget, port_config};
use hal::{ControllerCookie, RecircId, UserCookie};
use openflow::action::Controller;
use openflow::{Cookie, OfPort};
use packet::{FieldId, Match, Owner, TUNNEL_WORDS};

impl Walk<'_> {
    /// Makes the datapath's packet look as it should.
    pub(super) fn commit(&mut self) {
        let slow = commit(
            &mut self.base,
            &self.state,
            &mut self.seen,
            &mut self.out.actions,
        );
        if slow {
            self.out.slow.get_or_insert(hal::SlowPath::Action);
        }
    }

    pub(super) fn in_port(&self) -> OfPort {
        OfPort(self.state.get(FieldId::InPortOxm) as u32)
    }

    /// Whether a packet may come in by a port.
    pub(super) fn may_receive(&mut self, port: OfPort) -> bool {
        let config = self.bridge.ports.get(&port).map_or(0, |p| p.config);
        if config & (port_config::NO_RECV | port_config::PORT_DOWN) != 0 {
            self.detail(|| "port does not receive, dropping".into());
            return false;
        }
        true
    }

    /// Sends the packet out of one port.
    pub(super) fn output(&mut self, port: OfPort) {
        let Some(p) = self.bridge.ports.get(&port).cloned() else {
            return self.warn("Nonexistent output port");
        };
        if p.config & (port_config::NO_FWD | port_config::PORT_DOWN) != 0 {
            self.detail(|| "OFPPC_NO_FWD set, skipping output".into());
            return;
        }
        match &p.target {
            PortTarget::Datapath(dp_port) => {
                self.commit();
                self.out.actions.push(hal::Action::Output(*dp_port));
            }
            PortTarget::Patch { .. } => self.output_patch(&p),
        }
    }

    /// Sends the packet to all other ports; those that do not flood only if `all`.
    pub(super) fn flood(&mut self, all: bool) {
        let in_port = self.in_port();
        let ports: Vec<OfPort> = self
            .bridge
            .ports
            .values()
            .filter(|p| p.number != in_port && (all || p.config & port_config::NO_FLOOD == 0))
            .map(|p| p.number)
            .collect();
        for port in ports {
            self.output(port);
        }
    }

    /// Goes on in the bridge on the other side.
    fn output_patch(&mut self, port: &Port) {
        let PortTarget::Patch {
            peer: Some((peer_bridge, peer_port)),
            counters,
        } = &port.target
        else {
            return self.warn("Nonexistent output port");
        };
        let Some(bridge) = self.world.bridge(*peer_bridge) else {
            return;
        };
        let Some(peer) = bridge.ports.get(peer_port).cloned() else {
            return;
        };
        if self.too_deep() {
            return;
        }
        let old_bridge = std::mem::replace(&mut self.bridge, bridge);
        let old_state = self.state.clone();
        let old_table = std::mem::replace(&mut self.table, 0);
        let old_cookie = self.cookie;
        let old_stack = std::mem::take(&mut self.stack);
        let old_set = std::mem::take(&mut self.action_set);
        let old_exit = std::mem::take(&mut self.exit);
        let old_was_mpls = self.was_mpls;
        let old_in_set = std::mem::take(&mut self.in_action_set);
        self.depth += 1;
        self.depend(Depend::Config(bridge.id, bridge.config_version));
        for field in FieldId::all().filter(|f| f.row().owner == Owner::State) {
            self.state.set(field, 0);
        }
        self.state
            .set(FieldId::ActsetOutput, OfPort::UNSET.0.into());
        self.state.set(FieldId::InPortOxm, peer_port.0.into());
        if let PortTarget::Patch { counters: rx, .. } = &peer.target {
            self.credit(Credit::Patch {
                tx: counters.clone(),
                rx: rx.clone(),
            });
        }
        if self.may_receive(*peer_port) {
            self.enter_bridge(|w| w.run_pipeline(*peer_port));
        }
        self.depth -= 1;
        self.bridge = old_bridge;
        self.state = old_state;
        self.table = old_table;
        self.cookie = old_cookie;
        self.stack = old_stack;
        self.action_set = old_set;
        self.exit = old_exit || self.failed;
        self.was_mpls = old_was_mpls;
        self.in_action_set = old_in_set;
    }

    /// Runs a part of the walk under the heading of its bridge.
    pub(super) fn enter_bridge(&mut self, f: impl FnOnce(&mut Self)) {
        let name = self.bridge.name.clone();
        self.out
            .trace
            .add(TraceKind::Bridge, || format!("bridge(\"{name}\")"));
        self.out.trace.enter();
        f(self);
        self.out.trace.leave();
    }

    /// Sends the packet to controllers.
    ///
    /// The datapath is told to hand each packet up with what is needed to tell the controllers
    /// about it.
    pub(super) fn send_to_controller(&mut self, how: &Controller, reason: u8) {
        self.commit();
        let state = Frozen {
            bridge: self.bridge.id,
            table: self.table,
            in_port: self.in_port(),
            carried: self.carry(),
            actions: Vec::new(),
            action_set: Vec::new(),
            stack: Vec::new(),
            cookie: self.cookie,
            userdata: how.userdata.clone(),
        };
        let recirc_id = self.interner.intern(state);
        self.out.frozen.push(recirc_id);
        let cookie = ControllerCookie {
            reason,
            recirc_id,
            rule_cookie: self.cookie.0,
            controller_id: how.id,
            max_len: how.max_len,
        };
        self.out
            .actions
            .push(hal::Action::Userspace(UserCookie::Controller(cookie)));
    }

    /// What must be remembered of the state. If the packet came by a tunnel, all that is known of
    /// that counts as looked at.
    fn carry(&mut self) -> Carried {
        let tunnel = [FieldId::TunDst, FieldId::TunIpv6Dst];
        if tunnel.iter().any(|f| self.original.get(*f) != 0) {
            self.seen.words[TUNNEL_WORDS].fill(u64::MAX);
        }
        Carried::of(&self.state)
    }

    /// Lets the datapath look at the packet again and go on with `actions`.
    pub(super) fn finish_freezing(&mut self) {
        let Some(actions) = self.freezing.take() else {
            return;
        };
        self.commit();
        let state = Frozen {
            bridge: self.bridge.id,
            table: self.table,
            in_port: self.in_port(),
            carried: self.carry(),
            actions,
            action_set: std::mem::take(&mut self.action_set),
            stack: self.stack.clone(),
            cookie: self.cookie,
            userdata: Vec::new(),
        };
        let id: RecircId = self.interner.intern(state);
        self.out.frozen.push(id);
        self.out.actions.push(hal::Action::Recirc(id));
        self.detail(|| "A clone of the packet is forked to recirculate.".into());
    }

    /// Where an address is, as this packet would find it: what it has taught on its way counts.
    pub(super) fn port_of(&self, key: crate::mac::MacKey) -> Option<OfPort> {
        let here = self.bridge.id;
        let taught = self.out.effects.iter().rev().find_map(|e| match e {
            Effect::Learn {
                bridge,
                key: k,
                port,
            } => (*bridge == here && *k == key).then_some(*port),
        });
        taught.or_else(|| self.bridge.macs.get(key).map(|e| e.port))
    }

    /// Notes that an address was seen on a port.
    pub(super) fn learn(&mut self, key: crate::mac::MacKey, port: OfPort) {
        let bridge = self.bridge.id;
        let known = self.bridge.macs.get(key).map(|e| e.port);
        self.depend(Depend::Mac(bridge, key, known));
        let is_static = self.bridge.macs.get(key).is_some_and(|e| e.is_static);
        if self.teaches && self.port_of(key) != Some(port) && !is_static {
            let name = self.bridge.port_name(port);
            let mac = packet::odp::format_mac(key.mac);
            self.detail(|| format!("learned that {mac} is on port {name} in VLAN {}", key.vlan));
            self.out.effects.push(Effect::Learn { bridge, key, port });
        }
        self.credit(Credit::Mac { bridge, key, port });
    }
}

/// What a packet-in tells besides the packet: where it came in, the tunnel, registers, metadata
/// and mark, as far as they are not zero.
pub fn packet_in_metadata(state: &packet::FlowState) -> Match {
    /// The one flag of a tunnel that is shown: operations and maintenance.
    const OAM: u128 = 1;
    let mut m = Match::any();
    m.set(FieldId::InPortOxm, state.get(FieldId::InPortOxm));
    let is_told = |f: &FieldId| match f {
        FieldId::TunTos | FieldId::TunTtl | FieldId::TunFlags => false,
        FieldId::ActsetOutput | FieldId::ConjId => false,
        FieldId::PktMark | FieldId::PacketType => true,
        f if f.row().name.starts_with("tun_") => f.is_openflow(),
        // Wide registers are made of the narrow ones.
        f => f.row().owner == Owner::State && !f.row().name.starts_with('x'),
    };
    for field in FieldId::all().filter(is_told) {
        if state.get(field) != 0 {
            m.set(field, state.get(field));
        }
    }
    if state.get(FieldId::TunFlags) & OAM != 0 {
        m.set(FieldId::TunFlags, OAM);
    }
    m
}

/// A controller's particulars when a table has nothing for a packet.
pub(super) fn miss_controller() -> Controller {
    Controller {
        reason: 0,
        ..Controller::default()
    }
}

/// No rule: the cookie of packets that no rule sent.
pub(super) const NO_RULE: Cookie = Cookie(u64::MAX);
