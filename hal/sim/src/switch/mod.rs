//! The embedded switch: the core that every face of the simulated NIC drives.
//!
//! It knows ports by index, frames, rules and stages; it knows neither queues nor threads nor how
//! a rule came to be here. Whoever drives it brings frames in with [`Switch::forward`] and says
//! through [`Exits`] what becomes of them.

mod edit;
mod headers;
mod table;

pub use edit::{pop_mpls, pop_vlan, push_mpls, push_vlan, set};
pub use headers::Headers;
pub(crate) use headers::{kind, protocol};
pub use table::{Hit, RuleTable};

use clock::Time;
use hal::{Action, Counter, DpPort, RecircId, ResumeId, RxMeta};
use packet::Packet;

/// Lookups that one packet may take; what needs more is caught in a loop and is dropped.
const MAX_STAGES: u32 = 6;
/// How deep steps may be nested in steps.
const MAX_DEPTH: u32 = 16;

/// Where frames leave the switch.
pub trait Exits {
    /// Out of a port, to its far side.
    fn wire(&mut self, port: usize, packet: &Packet);
    /// To software, on the queue of the port of entry.
    fn software(&mut self, port: usize, packet: &Packet, meta: RxMeta);
}

/// Rules, port numbers and totals.
#[derive(Default)]
pub struct Switch {
    /// The rules.
    pub table: RuleTable,
    /// The datapath's number of each port.
    numbers: Vec<Option<DpPort>>,
    /// Packets that rules saw through.
    pub hits: u64,
    /// Packets that went to software.
    pub misses: u64,
}

/// A packet on its way through the stages.
struct Journey<'a> {
    ingress: usize,
    now: Time,
    exits: &'a mut dyn Exits,
    missed: bool,
    /// Lookups that are left.
    stages: u32,
}

impl Switch {
    /// Gives a port its number in the datapath, or takes it away.
    pub fn bind(&mut self, port: usize, number: Option<DpPort>) {
        if self.numbers.len() <= port {
            self.numbers.resize(port + 1, None);
        }
        self.numbers[port] = number;
    }

    /// Which port has a number.
    pub fn port_of(&self, number: DpPort) -> Option<usize> {
        self.numbers.iter().position(|n| *n == Some(number))
    }

    fn number_of(&self, port: usize) -> Option<DpPort> {
        self.numbers.get(port).copied().flatten()
    }

    /// Hands a frame that came in from a wire to software as it is.
    pub fn pass(&mut self, port: usize, packet: &Packet, exits: &mut dyn Exits) {
        self.misses += 1;
        let meta = RxMeta {
            ingress: self.number_of(port),
            resume: None,
        };
        exits.software(port, packet, meta);
    }

    /// Sees a frame that came in from a wire through the stages.
    pub fn forward(&mut self, port: usize, packet: &mut Packet, now: Time, exits: &mut dyn Exits) {
        let mut journey = Journey {
            ingress: port,
            now,
            exits,
            missed: false,
            stages: MAX_STAGES,
        };
        self.stages(&mut journey, packet, (0, 0), RecircId(0), None);
        if !journey.missed {
            self.hits += 1;
        }
    }

    /// Looks a packet up, stage after stage. `pipeline` is its mark and its priority.
    fn stages(
        &mut self,
        journey: &mut Journey<'_>,
        packet: &mut Packet,
        mut pipeline: (u32, u32),
        mut stage: RecircId,
        mut resume: Option<ResumeId>,
    ) {
        let ingress = self.number_of(journey.ingress);
        while journey.stages > 0 {
            journey.stages -= 1;
            let mut h = Headers::read(packet.frame());
            h.in_port = ingress.map_or(0, |n| n.0);
            (h.mark, h.priority) = pipeline;
            let count = Counter {
                packets: 1,
                bytes: packet.len() as u64,
                used: Some(journey.now),
            };
            let found = ingress.and_then(|_| self.table.lookup(stage, &h, &count));
            let Some(hit) = found else {
                self.misses += 1;
                journey.missed = true;
                let meta = RxMeta { ingress, resume };
                journey.exits.software(journey.ingress, packet, meta);
                return;
            };
            let Some(next) = self.act(journey, packet, &mut h, &hit.actions, hit.resume, 0) else {
                return;
            };
            (stage, resume) = (next, hit.resume);
            pipeline = (h.mark, h.priority);
        }
    }

    /// Carries steps out; answers the stage to go on in, if any.
    fn act(
        &mut self,
        journey: &mut Journey<'_>,
        packet: &mut Packet,
        h: &mut Headers,
        actions: &[Action],
        resume: Option<ResumeId>,
        depth: u32,
    ) -> Option<RecircId> {
        let mut cut = None;
        for action in actions {
            match action {
                Action::Output(number) => {
                    let cut: Option<usize> = cut.take();
                    let Some(port) = self.port_of(*number) else {
                        continue;
                    };
                    match cut {
                        Some(len) if packet.len() > len => {
                            let mut copy = packet.clone();
                            copy.truncate(len);
                            journey.exits.wire(port, &copy);
                        }
                        _ => journey.exits.wire(port, packet),
                    }
                }
                Action::Set { field, value, mask } => set(packet, h, *field, *value, *mask),
                Action::PushVlan { tpid, tci } => push_vlan(packet, h, *tpid, *tci),
                Action::PopVlan => pop_vlan(packet, h),
                Action::PushMpls { ethertype, lse } => push_mpls(packet, h, *ethertype, *lse),
                Action::PopMpls { ethertype } => pop_mpls(packet, h, *ethertype),
                Action::Recirc(id) => return Some(*id),
                Action::Truncate(len) => {
                    cut = Some(usize::try_from(*len).unwrap_or(usize::MAX).max(14));
                }
                Action::Clone(inner) if depth < MAX_DEPTH => {
                    let (mut copy, mut inside) = (packet.clone(), h.clone());
                    let next = self.act(journey, &mut copy, &mut inside, inner, resume, depth + 1);
                    if let Some(stage) = next {
                        let pipeline = (inside.mark, inside.priority);
                        self.stages(journey, &mut copy, pipeline, stage, resume);
                    }
                }
                // No profile takes a rule with these.
                Action::Clone(_)
                | Action::Hash { .. }
                | Action::Userspace(_)
                | Action::Sample { .. } => {}
            }
        }
        None
    }
}
