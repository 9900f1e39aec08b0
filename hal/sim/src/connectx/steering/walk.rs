//! A frame's way through the tables of one kind.
//!
//! What an entry does, it does in this order: tunnel off, tags off, count, tags on, fields,
//! headers on, and on to the destinations, to each its own copy.

use super::entry::{Entry, Target};
use super::matching::{Parameters, parameters};
use super::parse::Parsed;
use super::reformat::decapsulate;
use super::table::Miss;
use super::{Frame, Steering};
use crate::connectx::vport::UPLINK;
use crate::switch::{Headers, pop_vlan, push_vlan};
use hal_mlx_prm::context::action;

/// Tables that a frame and its copies may visit; what needs more is caught in a loop.
const MAX_VISITS: usize = 64;
/// Copies of a frame that may be on their way.
const MAX_COPIES: usize = 256;

/// Where a frame leaves the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connectx) enum Exit {
    /// Let through, to whatever comes behind.
    Allow,
    Vport(u16),
    Tir(u32),
    /// No entry took it: to what is usual.
    Miss,
}

impl Steering {
    /// Sends a frame through tables, the first of which is `root`; answers the frames that come
    /// out, and where. Dropped ones do not.
    pub fn walk(&mut self, frame: Frame, root: u32) -> Vec<(Frame, Exit)> {
        let mut out = Vec::new();
        let mut waiting = vec![(frame, root)];
        let mut visits = 0;
        let mut scratch = Vec::new();
        while let Some((mut frame, id)) = waiting.pop() {
            visits += 1;
            if visits > MAX_VISITS {
                self.loops += 1;
                break;
            }
            let Some(table) = self.tables.get(&id) else {
                continue;
            };
            let parsed = Parsed::read(frame.packet.frame(), &self.vxlan);
            let seen: Parameters = parameters(&frame, &parsed);
            let from_uplink = frame.source_port == UPLINK;
            let Some(seen) = seen.bytes().first_chunk() else {
                continue;
            };
            let Some(entry) = table.lookup(seen, from_uplink, &mut scratch) else {
                match table.miss {
                    Miss::Table(next) => waiting.push((frame, next)),
                    Miss::Default => out.push((frame, Exit::Miss)),
                }
                continue;
            };
            let entry = entry.clone();
            if !self.act(&mut frame, &entry) {
                continue;
            }
            if entry.does(action::ALLOW) {
                out.push((frame, Exit::Allow));
                continue;
            }
            // The last to be pushed is the first to go on, so in reverse.
            let mut further = Vec::new();
            for goal in &entry.goals {
                if out.len() + waiting.len() + further.len() >= MAX_COPIES {
                    self.loops += 1;
                    break;
                }
                let mut copy = frame.clone();
                if let Some(reformat) = goal.reformat.and_then(|id| self.reformats.get(&id))
                    && !reformat.apply(&mut copy, &self.vxlan)
                {
                    continue;
                }
                match goal.target {
                    Target::Table(next) => further.push((copy, next)),
                    Target::Vport(vport) => out.push((copy, Exit::Vport(vport))),
                    Target::Tir(tir) => out.push((copy, Exit::Tir(tir))),
                }
            }
            waiting.extend(further.into_iter().rev());
        }
        out
    }

    /// Does to a frame what an entry says; false if that is its end.
    fn act(&mut self, frame: &mut Frame, entry: &Entry) -> bool {
        if entry.does(action::DECAP) && !decapsulate(frame, &self.vxlan) {
            return false;
        }
        for bit in [action::POP_VLAN, action::POP_VLAN_2] {
            if entry.does(bit) {
                let mut h = Headers::read_tags(frame.packet.frame(), 2);
                pop_vlan(&mut frame.packet, &mut h);
            }
        }
        for id in &entry.counters {
            if let Some(counter) = self.counters.get_mut(*id) {
                counter.add(frame.packet.len());
            }
        }
        if entry.does(action::DROP) {
            return false;
        }
        for (protocol, control) in &entry.push {
            let mut h = Headers::read_tags(frame.packet.frame(), 2);
            push_vlan(&mut frame.packet, &mut h, *protocol, *control);
            // Bit 12 is the embedded switch's own; on the wire it says "drop eligible".
            if control & 0x1000 != 0
                && let Some(place) = frame.packet.frame_mut().get_mut(14)
            {
                *place |= 0x10;
            }
        }
        if entry.flow_tag != 0 {
            frame.flow_tag = entry.flow_tag;
        }
        if let Some(modify) = entry.modify.and_then(|id| self.modifies.get(&id)) {
            modify.apply(frame, &self.vxlan);
        }
        if let Some(reformat) = entry.reformat.and_then(|id| self.reformats.get(&id)) {
            return reformat.apply(frame, &self.vxlan);
        }
        true
    }
}
