//! The walk itself: tables and actions.

use super::input::Walk;
use super::outcome::{Credit, Depend};
use super::output::{NO_RULE, miss_controller};
use super::trace::TraceKind;
use crate::ofproto::TABLES;
use crate::table::Rule;
use crate::world::{FragHandling, port_config};
use openflow::action::{Controller, Subfield};
use openflow::{Action, OfPort, TableMiss};
use packet::{FieldId, Prereq, VLAN_PRESENT, slots};
use std::sync::Arc;

/// How deep tables may lead back to earlier ones, and bridges into each other.
const MAX_DEPTH: usize = 64;
/// How many lookups one packet may cause.
const MAX_RESUBMITS: usize = MAX_DEPTH * MAX_DEPTH;
/// Datapath actions that one packet may make before it is taken for a mistake.
const MAX_ACTIONS: usize = 16384;

/// What a table has for a packet.
enum Found {
    Rule(Arc<Rule>),
    /// Nothing, and the controllers want to know.
    PacketIn,
    /// Nothing.
    Nothing,
    /// Fragments are not looked up at all.
    Fragment,
}

impl Walk<'_> {
    /// All tables of a bridge, for a packet that came in by `in_port`.
    pub(super) fn run_pipeline(&mut self, in_port: OfPort) {
        self.run_table(in_port, 0, true);
        // The action set is done in the name of the first rule.
        let first = self.out.credits.iter().find_map(|credit| match credit {
            Credit::Rule(rule) => Some(rule.cookie),
            _ => None,
        });
        if let Some(cookie) = first.filter(|_| self.depth == 0 && self.freezing.is_none()) {
            self.cookie = cookie;
        }
        self.run_action_set();
        self.finish_freezing();
    }

    pub(super) fn too_deep(&mut self) -> bool {
        let why = if self.depth >= MAX_DEPTH {
            format!("over max translation depth {MAX_DEPTH}")
        } else if self.resubmits >= MAX_RESUBMITS {
            format!("over {MAX_RESUBMITS} resubmit actions")
        } else if self.out.actions.len() > MAX_ACTIONS {
            "resubmits yielded over 64 kB of actions".into()
        } else {
            return false;
        };
        let error = if why.starts_with("over max translation depth") {
            "Recursion too deep"
        } else if why.ends_with("resubmit actions") {
            "Too many resubmits"
        } else {
            "Resubmits yielded too many actions"
        };
        self.fail_as(why, error);
        true
    }

    /// Looks the packet up in a table, as if it had come by `in_port`, and does what the rule
    /// says. Where no rule matches, the table's miss is honoured only if `miss`.
    fn run_table(&mut self, in_port: OfPort, table: u8, miss: bool) {
        if self.too_deep() {
            return;
        }
        let old_table = std::mem::replace(&mut self.table, table);
        let deepens = table <= old_table;
        self.resubmits += 1;
        let found = self.find_rule(in_port, table, miss);
        self.trace_rule(table, &found);
        self.depth += usize::from(deepens);
        self.out.trace.enter();
        match found {
            Found::Rule(rule) => {
                self.credit(Credit::Rule(rule.clone()));
                let old_cookie = std::mem::replace(&mut self.cookie, rule.cookie);
                let old_miss = std::mem::replace(
                    &mut self.in_miss,
                    rule.priority == 0 && rule.matching.iter().next().is_none(),
                );
                self.run_actions(&rule.actions);
                self.in_miss = old_miss;
                self.cookie = old_cookie;
            }
            Found::PacketIn => self.run_miss(),
            Found::Nothing | Found::Fragment => {
                self.out.trace.add(TraceKind::Action, || "drop".into());
            }
        }
        self.out.trace.leave();
        self.depth -= usize::from(deepens);
        // The table that a frozen walk goes on in is the one where it stopped.
        if self.freezing.is_none() {
            self.table = old_table;
        }
    }

    /// Looks the packet up as if it had come by `in_port`. Where `miss` is honoured, it goes on
    /// through the tables that say so of their misses, and the last one may call for a packet-in.
    fn find_rule(&mut self, in_port: OfPort, table: u8, miss: bool) -> Found {
        let bridge = self.bridge;
        let fragment = self.is_ip() && self.state.get(FieldId::IpFrag) & 1 != 0;
        if fragment && bridge.frag == FragHandling::Drop {
            self.credit_table(table, true);
            return Found::Fragment;
        }
        let old_port = self.in_port();
        // Unless asked for, no fragment has ports.
        let words = &mut self.state.words;
        let old_ports = [slots::TP_SRC, slots::TP_DST].map(|slot| (slot, slot.get(words)));
        if fragment && bridge.frag == FragHandling::Normal {
            old_ports.iter().for_each(|(slot, _)| slot.set(words, 0));
        }
        self.state.set(FieldId::InPortOxm, in_port.0.into());
        let mut at_miss = TableMiss::Continue;
        let mut found = None;
        for next in table..TABLES.max(table + 1) {
            self.table = next;
            found = self.lookup(next);
            if found.is_some() || !miss {
                break;
            }
            at_miss = bridge.misses.get(&next).copied().unwrap_or_default();
            if at_miss != TableMiss::Continue {
                break;
            }
        }
        self.state.set(FieldId::InPortOxm, old_port.0.into());
        for (slot, value) in old_ports {
            slot.set(&mut self.state.words, value);
        }
        let port_asks = || {
            let port = bridge.ports.get(&old_port);
            port.is_some_and(|p| p.config & port_config::NO_PACKET_IN == 0)
        };
        let packet_in = miss
            && match at_miss {
                TableMiss::Default => bridge.miss_to_controller,
                TableMiss::Continue | TableMiss::Controller => port_asks(),
                TableMiss::Drop => false,
            };
        match found {
            Some(rule) => Found::Rule(rule),
            None if packet_in => Found::PacketIn,
            None => Found::Nothing,
        }
    }

    fn lookup(&mut self, table: u8) -> Option<Arc<Rule>> {
        let bridge = self.bridge;
        let version = bridge.table_version(table);
        self.depend(Depend::Table(bridge.id, table, version));
        let rules = bridge.tables.get(&table);
        let rule = rules
            .and_then(|t| t.lookup(&self.state, Some(&mut self.seen)))
            .cloned();
        self.credit_table(table, rule.is_some());
        rule
    }

    fn credit_table(&mut self, table: u8, matched: bool) {
        let bridge = self.bridge.id;
        self.credit(Credit::Table {
            bridge,
            table,
            matched,
        });
    }

    fn trace_rule(&mut self, table: u8, found: &Found) {
        self.out.trace.add(TraceKind::Table, || {
            let text = match found {
                Found::Rule(rule) => crate::text::rule_in_trace(rule),
                Found::PacketIn => "No match, and a \"packet-in\" is called for.".into(),
                Found::Nothing => "No match.".into(),
                Found::Fragment => {
                    "Packets are IP fragments and the fragment handling mode is \"drop\".".into()
                }
            };
            format!("{table:2}. {text}")
        });
    }

    /// No rule, and the controllers want to know.
    fn run_miss(&mut self) {
        let old = std::mem::replace(&mut self.cookie, NO_RULE);
        let text = || "CONTROLLER:65535".into();
        self.out.trace.add(TraceKind::Action, text);
        self.send_to_controller(&miss_controller(), 0);
        self.cookie = old;
    }

    /// Does actions in their order.
    pub(super) fn run_actions(&mut self, actions: &[Action]) {
        if actions.is_empty() {
            self.out.trace.add(TraceKind::Action, || "drop".into());
        }
        for (i, action) in actions.iter().enumerate() {
            if self.exit {
                return;
            }
            if std::mem::take(&mut self.end_list) {
                return;
            }
            if self.was_mpls && needs_another_look(action) {
                self.freezing = Some(Vec::new());
            }
            if let Some(rest) = &mut self.freezing {
                rest.extend_from_slice(actions.get(i..).unwrap_or_default());
                return;
            }
            self.out
                .trace
                .add(TraceKind::Action, || crate::text::action(action));
            self.run_action(action);
            if let Some(rest) = &mut self.freezing {
                // What was begun inside the action comes first, then what follows it.
                rest.extend_from_slice(actions.get(i + 1..).unwrap_or_default());
                return;
            }
        }
        self.end_list = false;
    }

    /// Does the action set, in the order that OpenFlow 1.5.1 §5.6 gives it.
    fn run_action_set(&mut self) {
        if self.exit && self.failed || self.freezing.is_some() || self.action_set.is_empty() {
            return;
        }
        let set = std::mem::take(&mut self.action_set);
        let ordered = order_action_set(set);
        if ordered.is_empty() {
            return;
        }
        self.exit = false;
        self.in_action_set = true;
        self.detail(|| "action set".into());
        self.run_actions(&ordered);
        self.in_action_set = false;
    }

    fn run_action(&mut self, action: &Action) {
        use FieldId::*;
        match action {
            Action::Output { port, max_len } => self.run_output(*port, *max_len),
            Action::OutputReg { src, max_len } => {
                let port = self.read(*src);
                match u32::try_from(port).ok() {
                    Some(port) => {
                        // A 16-bit field names reserved ports as OpenFlow 1.0 does.
                        let port = if src.bits <= 16 {
                            OfPort::from_u16(port as u16)
                        } else {
                            OfPort(port)
                        };
                        self.detail(|| format!("output port is {port}"));
                        self.run_output(port, *max_len);
                    }
                    None => self.detail(|| format!("output port {port} is out of range")),
                }
            }
            Action::OutputTrunc { port, max_len } => self.run_output_trunc(*port, *max_len),
            Action::Controller(how) => {
                let reason = self.packet_in_reason(how.reason);
                self.send_to_controller(how, reason);
            }
            Action::Enqueue { port, queue } => {
                let old = self.state.get(SkbPriority);
                self.set_masked(SkbPriority, (*queue).into(), SkbPriority.full());
                self.run_output(*port, 0);
                self.state.set(SkbPriority, old);
            }
            Action::SetField {
                field, value, mask, ..
            } => self.set_field(*field, *value, *mask),
            Action::SetVlanVid { vid, push, .. } => {
                let tag = self.tci() & u128::from(VLAN_PRESENT) != 0;
                if tag || *push {
                    let tci = self.tci() & !0x0fff | u128::from(*vid) | u128::from(VLAN_PRESENT);
                    self.set_tci(tci, 0x1fff);
                }
            }
            Action::SetVlanPcp { pcp, push, .. } => {
                let tag = self.tci() & u128::from(VLAN_PRESENT) != 0;
                if tag || *push {
                    let bits = u128::from(*pcp) << 13 | u128::from(VLAN_PRESENT);
                    self.set_tci(self.tci() & !0xe000 | bits, 0xf000);
                }
            }
            Action::StripVlan { .. } => self.pop_vlan(),
            Action::PushVlan { ethertype } => self.push_vlan(*ethertype),
            Action::SetEthSrc(mac) => self.set_field(EthSrc, mac_value(mac), EthSrc.full()),
            Action::SetEthDst(mac) => self.set_field(EthDst, mac_value(mac), EthDst.full()),
            Action::SetIpv4Src(ip) => {
                self.set_field(Ipv4Src, ip.to_bits().into(), Ipv4Src.full());
            }
            Action::SetIpv4Dst(ip) => {
                self.set_field(Ipv4Dst, ip.to_bits().into(), Ipv4Dst.full());
            }
            Action::SetIpDscp(dscp) => self.set_field(IpDscp, (*dscp).into(), IpDscp.full()),
            Action::SetIpEcn(ecn) => self.set_field(IpEcn, (*ecn).into(), IpEcn.full()),
            Action::SetIpTtl(ttl) => self.set_field(IpTtl, (*ttl).into(), IpTtl.full()),
            Action::SetL4SrcPort { port, .. } => self.set_port([TcpSrc, UdpSrc, SctpSrc], *port),
            Action::SetL4DstPort { port, .. } => self.set_port([TcpDst, UdpDst, SctpDst], *port),
            Action::RegMove { src, dst } => {
                let value = self.read(*src);
                self.write(*dst, value);
            }
            Action::StackPush(src) => {
                let value = self.read(*src);
                self.stack.push((value, src.bits));
            }
            Action::StackPop(dst) => match self.stack.pop() {
                Some((value, _)) => self.write(*dst, value),
                None => self.detail(|| "stack underflow".into()),
            },
            Action::DecTtl(ids) => self.dec_ttl(ids.as_deref().unwrap_or(&[0])),
            Action::SetMplsLabel(label) => {
                self.set_field(MplsLabel, (*label).into(), MplsLabel.full());
            }
            Action::SetMplsTc(tc) => self.set_field(MplsTc, (*tc).into(), MplsTc.full()),
            Action::SetMplsTtl(ttl) => self.set_field(MplsTtl, (*ttl).into(), MplsTtl.full()),
            Action::DecMplsTtl => self.dec_mpls_ttl(),
            Action::PushMpls(ethertype) => self.push_mpls(*ethertype),
            Action::PopMpls(ethertype) => self.pop_mpls(*ethertype),
            Action::SetTunnel { id, .. } => {
                self.seen.add_all(TunId);
                self.state.set(TunId, (*id).into());
            }
            Action::Resubmit { in_port, table, .. } => {
                let port = if *in_port == OfPort::IN_PORT {
                    self.in_port()
                } else {
                    *in_port
                };
                let table = if *table == 255 { self.table } else { *table };
                self.run_table(port, table, false);
            }
            Action::Clone(inner) => self.run_clone(inner),
            Action::Exit => self.exit = true,
            Action::ClearActions => self.action_set.clear(),
            Action::WriteActions(actions) => self.action_set.extend(actions.iter().cloned()),
            Action::WriteMetadata { value, mask } => {
                let old = self.state.get(Metadata) as u64;
                self.state
                    .set(Metadata, (old & !mask | value & mask).into());
            }
            Action::GotoTable(table) => {
                let port = self.in_port();
                self.run_table(port, *table, true);
            }
            Action::Note(_) => {}
            Action::SetQueue(queue) => {
                self.set_masked(SkbPriority, (*queue).into(), SkbPriority.full());
            }
            Action::PopQueue => {
                let first = self.original.get(SkbPriority);
                self.set_masked(SkbPriority, first, SkbPriority.full());
            }
            Action::Meter(_) => {}
            Action::DeleteField(field) => self.state.set(*field, 0),
            Action::DebugRecirc => self.freezing = Some(Vec::new()),
            Action::DebugSlow => self.out.slow = Some(hal::SlowPath::Action),
            other => {
                let text = crate::text::action(other);
                self.fail(format!("{text} is not supported by this datapath"));
            }
        }
    }

    fn packet_in_reason(&self, reason: u8) -> u8 {
        // A table's miss, seen as a flow of lowest priority, is "no match"; an output in the
        // action set has a reason of its own since OpenFlow 1.4 (the codec maps it back).
        match reason {
            1 if self.in_miss => 0,
            1 if self.in_action_set => 3,
            1 if self.in_packet_out => 5,
            r => r,
        }
    }

    fn run_output(&mut self, port: OfPort, max_len: u16) {
        match port {
            OfPort::IN_PORT => {
                let port = self.in_port();
                self.output(port);
            }
            OfPort::TABLE => {
                let port = self.in_port();
                self.run_table(port, 0, true);
            }
            OfPort::NORMAL => self.normal(),
            OfPort::FLOOD => self.flood(false),
            OfPort::ALL => self.flood(true),
            OfPort::CONTROLLER => {
                let how = Controller {
                    max_len,
                    ..Controller::default()
                };
                let reason = self.packet_in_reason(1);
                self.send_to_controller(&how, reason);
            }
            OfPort::NONE | OfPort::UNSET => {}
            port if port == self.in_port() => {
                self.detail(|| "skipping output to input port".into());
            }
            port => self.output(port),
        }
    }

    fn run_output_trunc(&mut self, port: OfPort, max_len: u32) {
        let to_input = port == OfPort::IN_PORT;
        if port.is_reserved() && !to_input && port != OfPort::LOCAL {
            return self.detail(|| format!("output_trunc does not support port: {port}"));
        }
        let port = if to_input { self.in_port() } else { port };
        let leads_out = self
            .bridge
            .ports
            .get(&port)
            .is_some_and(|p| matches!(p.target, crate::world::PortTarget::Datapath(_)));
        if !leads_out {
            return self.detail(|| format!("output_trunc does not support patch port {port}"));
        }
        if !to_input && port == self.in_port() {
            return self.detail(|| "skipping output to input port".into());
        }
        self.commit();
        self.out.actions.push(hal::Action::Truncate(max_len));
        self.output(port);
    }

    fn run_clone(&mut self, inner: &[Action]) {
        let state = self.state.clone();
        let base = self.base.clone();
        let (stack, set) = (self.stack.clone(), std::mem::take(&mut self.action_set));
        let (exit, was_mpls) = (self.exit, self.was_mpls);
        let outer = std::mem::take(&mut self.out.actions);
        self.run_actions(inner);
        self.run_action_set();
        self.finish_freezing();
        let nested = std::mem::replace(&mut self.out.actions, outer);
        // Only a copy that was changed, or that goes its own way, needs to be one.
        let apart = self.base != base || nested.iter().any(|a| matches!(a, hal::Action::Recirc(_)));
        if apart && !nested.is_empty() {
            self.out.actions.push(hal::Action::Clone(nested));
        } else {
            self.out.actions.extend(nested);
        }
        self.base = base;
        self.state = state;
        self.stack = stack;
        self.action_set = set;
        self.exit = exit || self.failed;
        self.was_mpls = was_mpls;
    }

    /// Whether the packet has a field: what decides it counts as looked at.
    fn has(&mut self, field: FieldId) -> bool {
        let eth_type = self.state.get(FieldId::EthType);
        let (v4, v6) = (eth_type == 0x800, eth_type == 0x86dd);
        let mut transport = |proto: u128, ip: bool| {
            if ip {
                self.seen.add_all(FieldId::IpProto);
            }
            ip && self.state.get(FieldId::IpProto) == proto
                && self.state.get(FieldId::IpFrag) & 2 == 0
        };
        match field.row().prereq {
            Prereq::None | Prereq::Ethernet => true,
            Prereq::Arp => matches!(eth_type, 0x806 | 0x8035),
            Prereq::VlanVid => {
                let present = u128::from(VLAN_PRESENT);
                let seen = slots::VLAN_TCI.get(&self.seen.words) | present;
                slots::VLAN_TCI.set(&mut self.seen.words, seen);
                self.tci() & present != 0
            }
            Prereq::Ipv4 => v4,
            Prereq::Ipv6 => v6,
            Prereq::Ip => v4 || v6,
            Prereq::Mpls => matches!(eth_type, 0x8847 | 0x8848),
            Prereq::Nsh => eth_type == 0x894f,
            Prereq::Ct => self.state.get(FieldId::CtState) != 0,
            Prereq::Tcp => transport(6, v4 || v6),
            Prereq::Udp => transport(17, v4 || v6),
            Prereq::Sctp => transport(132, v4 || v6),
            Prereq::Icmpv4 => transport(1, v4),
            Prereq::Icmpv6 => transport(58, v6),
            Prereq::Nd | Prereq::NdSolicit | Prereq::NdAdvert => {
                if !transport(58, v6) {
                    return false;
                }
                self.seen.add_all(FieldId::Icmpv6Type);
                self.seen.add_all(FieldId::Icmpv6Code);
                if self.state.get(FieldId::Icmpv6Code) != 0 {
                    return false;
                }
                let kind = self.state.get(FieldId::Icmpv6Type);
                match field.row().prereq {
                    Prereq::NdSolicit => kind == 135,
                    Prereq::NdAdvert => kind == 136,
                    _ => matches!(kind, 135 | 136),
                }
            }
        }
    }

    fn set_field(&mut self, field: FieldId, value: u128, mask: u128) {
        if !self.has(field) {
            return;
        }
        match field {
            // Written to a packet without a tag, these give it one.
            FieldId::VlanTci => {
                let tci = self.tci() & !mask | value & mask;
                self.set_tci(tci, mask);
            }
            FieldId::VlanVid | FieldId::DlVlan => {
                let mask = mask & 0xfff;
                let tci = self.tci() & !mask | value & mask | u128::from(VLAN_PRESENT);
                self.set_tci(tci, mask | u128::from(VLAN_PRESENT));
            }
            FieldId::VlanPcp | FieldId::DlVlanPcp => {
                let tci = self.tci() & !0xe000 | (value & 7) << 13 | u128::from(VLAN_PRESENT);
                self.set_tci(tci, 0xf000);
            }
            FieldId::InPort => self.set_masked(FieldId::InPortOxm, value, mask),
            _ => self.set_masked(field, value, mask),
        }
    }

    fn set_masked(&mut self, field: FieldId, value: u128, mask: u128) {
        self.seen.add(field, mask);
        let old = self.state.get(field);
        self.state.set(field, old & !mask | value & mask);
    }

    fn set_port(&mut self, fields: [FieldId; 3], port: u16) {
        if !self.is_ip() {
            return;
        }
        let proto = self.state.get(FieldId::IpProto);
        let field = match proto {
            6 => fields[0],
            17 => fields[1],
            132 => fields[2],
            _ => {
                self.seen.add_all(FieldId::IpProto);
                return;
            }
        };
        self.set_field(field, port.into(), field.full());
    }

    fn read(&mut self, from: Subfield) -> u128 {
        self.seen.add(from.field, from.mask());
        (self.state.get(from.field) & from.mask()) >> from.ofs
    }

    fn write(&mut self, to: Subfield, value: u128) {
        self.set_field(
            to.field,
            value.checked_shl(to.ofs.into()).unwrap_or(0),
            to.mask(),
        );
    }

    fn tci(&self) -> u128 {
        slots::VLAN_TCI.get(&self.state.words)
    }

    fn set_tci(&mut self, tci: u128, seen: u128) {
        let all = slots::VLAN_TCI.get(&self.seen.words) | seen | u128::from(VLAN_PRESENT);
        slots::VLAN_TCI.set(&mut self.seen.words, all);
        let tpid = slots::VLAN_TPID;
        if tci & u128::from(VLAN_PRESENT) == 0 {
            tpid.set(&mut self.state.words, 0);
            slots::VLAN_TCI.set(&mut self.state.words, 0);
        } else {
            if tpid.get(&self.state.words) == 0 {
                tpid.set(&mut self.state.words, 0x8100);
            }
            slots::VLAN_TCI.set(&mut self.state.words, tci);
        }
    }

    /// All of the second tag counts as looked at.
    fn see_second_tag(&mut self) {
        for slot in [slots::VLAN2_TPID, slots::VLAN2_TCI] {
            slot.set(&mut self.seen.words, slot.max());
        }
    }

    fn pop_vlan(&mut self) {
        self.see_second_tag();
        let all = slots::VLAN_TCI.get(&self.seen.words) | 0x1fff;
        slots::VLAN_TCI.set(&mut self.seen.words, all);
        let words = &mut self.state.words;
        let (tpid, tci) = (slots::VLAN2_TPID.get(words), slots::VLAN2_TCI.get(words));
        slots::VLAN_TPID.set(words, tpid);
        slots::VLAN_TCI.set(words, tci);
        slots::VLAN2_TPID.set(words, 0);
        slots::VLAN2_TCI.set(words, 0);
    }

    fn push_vlan(&mut self, ethertype: u16) {
        self.see_second_tag();
        let all = slots::VLAN_TCI.get(&self.seen.words) | 0xffff;
        slots::VLAN_TCI.set(&mut self.seen.words, all);
        let words = &mut self.state.words;
        let (tpid, tci) = (slots::VLAN_TPID.get(words), slots::VLAN_TCI.get(words));
        slots::VLAN2_TPID.set(words, tpid);
        slots::VLAN2_TCI.set(words, tci);
        slots::VLAN_TPID.set(words, ethertype.into());
        // Open vSwitch begins a new tag with VLAN 0 and priority 0.
        slots::VLAN_TCI.set(words, VLAN_PRESENT.into());
    }

    fn dec_ttl(&mut self, controllers: &[u16]) {
        if !self.is_ip() {
            return;
        }
        self.seen.add_all(FieldId::IpTtl);
        self.seen.add_all(FieldId::IpProto);
        let ttl = self.state.get(FieldId::IpTtl);
        if ttl > 1 {
            self.state.set(FieldId::IpTtl, ttl - 1);
            return;
        }
        let version = if self.state.get(FieldId::EthType) == 0x800 {
            4
        } else {
            6
        };
        for id in controllers {
            let how = Controller {
                id: *id,
                reason: 2,
                ..Controller::default()
            };
            self.send_to_controller(&how, 2);
        }
        self.detail(|| format!("IPv{version} decrement TTL exception"));
        self.end_list = true;
    }

    fn dec_mpls_ttl(&mut self) {
        if !self.has(FieldId::MplsTtl) {
            return;
        }
        self.seen.add_all(FieldId::MplsTtl);
        let ttl = self.state.get(FieldId::MplsTtl);
        if ttl > 1 {
            self.state.set(FieldId::MplsTtl, ttl - 1);
            return;
        }
        self.send_to_controller(
            &Controller {
                reason: 2,
                ..Controller::default()
            },
            2,
        );
        self.detail(|| "MPLS decrement TTL exception".into());
        self.end_list = true;
    }

    /// Puts a label on at once: what is under it cannot be changed any more.
    fn push_mpls(&mut self, ethertype: u16) {
        self.commit();
        let is_mpls = self.has(FieldId::MplsLabel);
        let words = &self.state.words;
        let lse = slots::MPLS_LSE.map(|s| s.get(words) as u32);
        let outer = if is_mpls {
            slots::MPLS_LSE
                .iter()
                .for_each(|s| s.set(&mut self.seen.words, s.max()));
            lse[0] & !0x100
        } else {
            let (mut tc, mut ttl) = (0, 64);
            if self.is_ip() {
                self.seen.add_all(FieldId::IpTtl);
                self.seen.add_all(FieldId::IpDscp);
                self.seen.add_all(FieldId::IpEcn);
                tc = slots::NW_TOS.get(words) as u32 >> 2 & 7;
                ttl = self.state.get(FieldId::IpTtl) as u32;
            }
            // An explicit null label, bottom of stack (RFC 3032 §2.1).
            let label = if self.state.get(FieldId::EthType) == 0x86dd {
                2
            } else {
                0
            };
            label << 12 | tc << 9 | 0x100 | ttl
        };
        if is_mpls && lse[2] != 0 {
            return self.fail(
                "dropping packet on which an MPLS push action can't be performed as it would have \
                 more MPLS LSEs than the 3 supported."
                    .into(),
            );
        }
        self.out.actions.push(hal::Action::PushMpls {
            ethertype,
            lse: outer,
        });
        let stack = if is_mpls {
            [outer, lse[0], lse[1]]
        } else {
            [outer, 0, 0]
        };
        for state in [&mut self.state, &mut self.base] {
            if !is_mpls {
                clear_above_ethernet(state);
            }
            state.set(FieldId::EthType, ethertype.into());
            for (slot, label) in slots::MPLS_LSE.iter().zip(stack) {
                slot.set(&mut state.words, label.into());
            }
        }
        self.was_mpls = false;
    }

    fn pop_mpls(&mut self, ethertype: u16) {
        if !self.has(FieldId::MplsLabel) {
            return;
        }
        self.commit();
        self.seen.add_all(FieldId::MplsBos);
        let lse = slots::MPLS_LSE.map(|s| s.get(&self.state.words));
        self.out.actions.push(hal::Action::PopMpls { ethertype });
        for state in [&mut self.state, &mut self.base] {
            state.set(FieldId::EthType, ethertype.into());
            for (slot, label) in slots::MPLS_LSE.iter().zip([lse[1], lse[2], 0]) {
                slot.set(&mut state.words, label);
            }
        }
        self.was_mpls = !matches!(ethertype, 0x8847 | 0x8848) || lse[1] == 0;
    }
}

/// After a label, nothing of what is under it can be seen.
fn clear_above_ethernet(state: &mut packet::FlowState) {
    for field in FieldId::all() {
        let row = field.row();
        let covered = matches!(
            row.prereq,
            Prereq::Ipv4
                | Prereq::Ipv6
                | Prereq::Ip
                | Prereq::Arp
                | Prereq::Tcp
                | Prereq::Udp
                | Prereq::Sctp
                | Prereq::Icmpv4
                | Prereq::Icmpv6
                | Prereq::Nd
                | Prereq::NdSolicit
                | Prereq::NdAdvert
        );
        if covered {
            state.set(field, 0);
        }
    }
}

/// Whether an action needs to see what is under a label that was just taken off.
fn needs_another_look(action: &Action) -> bool {
    let covered = |f: &FieldId| {
        !matches!(
            f.row().prereq,
            Prereq::None | Prereq::Ethernet | Prereq::VlanVid
        )
    };
    match action {
        Action::Output { port, .. } => matches!(*port, OfPort::NORMAL | OfPort::TABLE),
        Action::SetField { field, .. } => covered(field),
        Action::RegMove { src, dst } => covered(&src.field) || covered(&dst.field),
        Action::StackPush(s) | Action::StackPop(s) => covered(&s.field),
        Action::Resubmit { .. }
        | Action::GotoTable(_)
        | Action::SetIpv4Src(_)
        | Action::SetIpv4Dst(_)
        | Action::SetIpDscp(_)
        | Action::SetIpEcn(_)
        | Action::SetIpTtl(_)
        | Action::SetL4SrcPort { .. }
        | Action::SetL4DstPort { .. }
        | Action::DecTtl(_)
        | Action::PushMpls(_)
        | Action::PopMpls(_)
        | Action::SetMplsLabel(_)
        | Action::SetMplsTc(_)
        | Action::SetMplsTtl(_)
        | Action::DecMplsTtl => true,
        _ => false,
    }
}

fn mac_value(mac: &[u8; 6]) -> u128 {
    mac.iter().fold(0, |v, b| v << 8 | u128::from(*b))
}

/// Sorts an action set: of each kind the last that was written, in OpenFlow's order; all
/// set-fields, in the order in which they were written.
fn order_action_set(set: Vec<Action>) -> Vec<Action> {
    let place = |a: &Action| match a {
        Action::StripVlan { .. } => 1,
        Action::PopMpls(_) => 2,
        Action::Decap { .. } => 3,
        Action::Encap { .. } => 4,
        Action::PushMpls(_) => 5,
        Action::PushVlan { .. } => 6,
        Action::DecTtl(_) => 7,
        Action::DecMplsTtl => 8,
        Action::DecNshTtl => 9,
        Action::SetQueue(_) | Action::Enqueue { .. } => 11,
        Action::Group(_) => 12,
        Action::Output { .. } | Action::OutputReg { .. } | Action::Controller(_) => 13,
        Action::Resubmit { .. } => 14,
        Action::Ct(_) => 15,
        _ => 10,
    };
    let mut kept: Vec<(i32, Action)> = Vec::new();
    for action in set {
        let at = place(&action);
        if at != 10 {
            kept.retain(|(p, _)| *p != at);
        }
        kept.push((at, action));
    }
    kept.sort_by_key(|(p, _)| *p);
    // Only one way out is taken: a group before an output, an output before a resubmit.
    let out = kept.iter().map(|(p, _)| *p).find(|p| (12..=15).contains(p));
    match out {
        // Without any, the set sends the packet nowhere and changes nothing that anyone sees.
        None => Vec::new(),
        Some(out) => {
            kept.retain(|(p, _)| *p < 12 || *p == out);
            kept.into_iter().map(|(_, a)| a).collect()
        }
    }
}
