//! A poller: receives, looks up, acts, sends. One thread's whole world.
//!
//! Everything here belongs to one thread. What the control thread wants of a poller comes as
//! [`Command`]s through a lock-free queue and is carried out at the beginning of a turn; what the
//! poller has to say goes into the upcall queue and into counters that only it writes. The hit
//! path takes no lock and allocates nothing.

use crate::cache::ExactMatchCache;
use crate::classifier::{Classifier, Words};
use crate::megaflow::Megaflow;
use crate::upcalls::Upcalls;
use clock::Time;
use crossbeam_queue::SegQueue;
use hal::{
    Action, DpPort, FlowStats, HashAlgorithm, RecircId, ResumeTable, RxBatch, RxQueue, TxQueue,
    Upcall, UpcallKind, Work,
};
use packet::{FieldId, Metadata, PACKET_WORDS, Packet, PacketKey, edit, parse};
use std::cell::RefCell;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often one packet may be looked up anew.
const MAX_RECIRCULATIONS: u32 = 6;
/// How deep steps may be nested in steps.
const MAX_DEPTH: usize = 16;

/// What the control thread wants of a poller.
pub enum Command {
    /// Know a flow.
    AddFlow(Arc<Megaflow>),
    /// Forget a flow.
    RemoveFlow(Arc<Megaflow>),
    /// Forget all flows.
    Flush,
    /// Be able to send to a port, and poll its queue if one is given.
    AddPort {
        port: DpPort,
        tx: Box<dyn TxQueue>,
        rx: Vec<Box<dyn RxQueue>>,
    },
    /// Neither poll a port nor send to it.
    RemovePort(DpPort),
}

/// Totals that only the poller writes.
#[derive(Default)]
pub struct PollerCounters {
    pub cache_hits: AtomicU64,
    pub masked_hits: AtomicU64,
    pub misses: AtomicU64,
    pub lost: AtomicU64,
    pub masks_tried: AtomicU64,
    /// Commands carried out, for those who wait for theirs.
    pub commands: AtomicU64,
}

fn bump(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Relaxed);
}

/// What a poller and the control thread share.
#[derive(Default)]
pub struct Mailbox {
    commands: SegQueue<Command>,
    /// Commands ever put in.
    told: AtomicU64,
    pub(crate) counters: PollerCounters,
}

impl Mailbox {
    /// Asks the poller for something.
    pub(crate) fn tell(&self, command: Command) {
        self.told.fetch_add(1, Ordering::Release);
        self.commands.push(command);
    }

    /// Whether everything asked for has been carried out.
    pub(crate) fn is_settled(&self) -> bool {
        let told = self.told.load(Ordering::Acquire);
        self.counters.commands.load(Ordering::Acquire) >= told
    }
}

struct Port {
    number: DpPort,
    rx: Box<dyn RxQueue>,
}

/// One thread's poll loop, one turn at a time.
pub struct Poller {
    mailbox: Arc<Mailbox>,
    ports: Vec<Port>,
    batch: RxBatch,
    finder: Finder,
    engine: Engine,
}

/// Looks packets up. While packets are seen through it is only read, but for the cache, so that a
/// packet's flow can be used while a copy of the packet is looked up.
struct Finder {
    index: usize,
    mailbox: Arc<Mailbox>,
    cache: RefCell<ExactMatchCache>,
    classifier: Classifier,
}

/// Carries out steps: everything but looking up.
struct Engine {
    tx: Vec<Option<Box<dyn TxQueue>>>,
    touched: Vec<usize>,
    upcalls: Arc<Upcalls>,
    spare: Vec<Packet>,
}

/// What sees a packet through that steps send on.
type Again<'a> = &'a mut dyn FnMut(&mut Engine, &mut Packet, &mut Metadata);

/// Where steps leave a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Done,
    /// Look it up anew.
    Again,
}

impl Poller {
    /// The poller that counts as number `index`.
    pub fn new(index: usize, mailbox: Arc<Mailbox>, upcalls: Arc<Upcalls>) -> Poller {
        Poller {
            mailbox: mailbox.clone(),
            ports: Vec::new(),
            batch: RxBatch::default(),
            finder: Finder {
                index,
                mailbox,
                cache: RefCell::default(),
                classifier: Classifier::default(),
            },
            engine: Engine {
                tx: Vec::new(),
                touched: Vec::new(),
                upcalls,
                spare: Vec::new(),
            },
        }
    }

    /// Carries out what the control thread wants.
    pub fn obey(&mut self) {
        let mailbox = self.mailbox.clone();
        let mut sweep = false;
        while let Some(command) = mailbox.commands.pop() {
            match command {
                Command::AddFlow(flow) => self.finder.classifier.insert(flow),
                Command::RemoveFlow(flow) => {
                    self.finder.classifier.remove(&flow);
                    sweep = true;
                }
                Command::Flush => {
                    self.finder.classifier.clear();
                    sweep = true;
                }
                Command::AddPort { port, tx, rx } => self.add_port(port, tx, rx),
                Command::RemovePort(port) => self.remove_port(port),
            }
            mailbox.counters.commands.fetch_add(1, Ordering::Release);
        }
        if sweep {
            let finder = &mut self.finder;
            finder.cache.get_mut().sweep(&finder.classifier);
            finder.classifier.tidy();
        }
    }

    fn add_port(&mut self, port: DpPort, tx: Box<dyn TxQueue>, rx: Vec<Box<dyn RxQueue>>) {
        let at = port.0 as usize;
        if self.engine.tx.len() <= at {
            self.engine.tx.resize_with(at + 1, || None);
        }
        self.engine.tx[at] = Some(tx);
        self.ports
            .extend(rx.into_iter().map(|rx| Port { number: port, rx }));
    }

    fn remove_port(&mut self, port: DpPort) {
        if let Some(tx) = self.engine.tx.get_mut(port.0 as usize) {
            *tx = None;
        }
        self.ports.retain(|p| p.number != port);
    }

    /// What to wait on when there is nothing to do; none if some port has nothing to wait on.
    pub fn poll_fds(&self) -> Option<Vec<RawFd>> {
        self.ports.iter().map(|p| p.rx.poll_fd()).collect()
    }

    /// Carries out commands, then receives a batch from each port and sees it through.
    pub fn turn(&mut self, now: Time, resume: Option<&dyn ResumeTable>) -> Work {
        if !self.mailbox.commands.is_empty() {
            self.obey();
        }
        self.finder.classifier.reorder();
        let mut moved = 0;
        let batch = &mut self.batch;
        for port in &mut self.ports {
            batch.clear();
            let number = port.number;
            // An error is the port's to count; what came before it is handled.
            let _ = port.rx.receive(batch);
            moved += batch.len();
            for (packet, rx) in batch.iter_mut() {
                let mut meta = match (rx.resume, resume) {
                    (None, _) => Metadata::default(),
                    (Some(id), Some(table)) => match table.resolve(id) {
                        Some(meta) => meta,
                        None => {
                            bump(&self.mailbox.counters.lost, 1);
                            continue;
                        }
                    },
                    (Some(_), None) => continue,
                };
                meta.in_port = rx.ingress.unwrap_or(number).0;
                self.finder
                    .process(&mut self.engine, packet, &mut meta, now, MAX_RECIRCULATIONS);
            }
            self.engine.flush();
        }
        if moved == 0 {
            Work::Idle
        } else {
            Work::Done(moved)
        }
    }

    /// Runs one packet through steps, as if a flow with them had matched it.
    pub fn execute(&mut self, packet: &mut Packet, key: &PacketKey, actions: &[Action], now: Time) {
        self.obey();
        let mut meta = metadata_of(key);
        let parsed = parse(packet, &meta);
        let left = MAX_RECIRCULATIONS;
        let finder = &self.finder;
        let mut again = |engine: &mut Engine, packet: &mut Packet, meta: &mut Metadata| {
            finder.process(engine, packet, meta, now, left);
        };
        let then = self
            .engine
            .run(packet, &mut meta, &parsed, actions, 0, &mut again);
        if then == Then::Again {
            self.finder
                .process(&mut self.engine, packet, &mut meta, now, left);
        }
        self.engine.flush();
    }
}

impl Finder {
    /// Sees one packet through: look up, act, and again if the steps say so, at most `left` times.
    fn process(
        &self,
        engine: &mut Engine,
        packet: &mut Packet,
        meta: &mut Metadata,
        now: Time,
        left: u32,
    ) {
        for left in (0..left).rev() {
            let key = parse(packet, meta);
            let Some(flow) = self.lookup(&key) else {
                bump(&self.mailbox.counters.misses, 1);
                let kind = UpcallKind::Miss;
                let packet = packet.clone();
                if !engine.upcalls.push(Upcall { kind, packet, key }) {
                    bump(&self.mailbox.counters.lost, 1);
                }
                return;
            };
            let stats = FlowStats {
                packets: 1,
                bytes: packet.len() as u64,
                used: Some(now),
                tcp_flags: tcp_flags(&key),
            };
            flow.tallies().count(self.index, &stats);
            // A copy that the steps send on is seen through before the steps go on.
            let mut again = |engine: &mut Engine, packet: &mut Packet, meta: &mut Metadata| {
                self.process(engine, packet, meta, now, left);
            };
            match engine.run(packet, meta, &key, flow.actions(), 0, &mut again) {
                Then::Done => return,
                Then::Again => {}
            }
        }
    }

    #[inline]
    fn lookup(&self, key: &PacketKey) -> Option<&Megaflow> {
        let counters = &self.mailbox.counters;
        let hash = key.hash();
        if let Some(flow) = self.cache.borrow().lookup(hash, key, &self.classifier) {
            bump(&counters.cache_hits, 1);
            return Some(flow);
        }
        let mut words: Words = [0; PACKET_WORDS];
        key.expand_into(&mut words);
        let (found, tried) = self.classifier.lookup(&words);
        bump(&counters.masks_tried, tried as u64);
        let (flow, place) = found?;
        bump(&counters.masked_hits, 1);
        let mut cache = self.cache.borrow_mut();
        cache.insert(hash, key, place, &self.classifier);
        Some(flow)
    }
}

/// The metadata that a key carries.
pub fn metadata_of(key: &PacketKey) -> Metadata {
    let get = |f: FieldId| key.get(f) as u32;
    Metadata {
        in_port: get(FieldId::InPortOxm),
        recirc_id: get(FieldId::RecircId),
        dp_hash: get(FieldId::DpHash),
        skb_priority: get(FieldId::SkbPriority),
        pkt_mark: get(FieldId::PktMark),
        ct_state: get(FieldId::CtState),
        ct_zone: key.get(FieldId::CtZone) as u16,
        ct_mark: get(FieldId::CtMark),
        ct_label: key.get(FieldId::CtLabel),
    }
}

fn tcp_flags(key: &PacketKey) -> u16 {
    if key.get(FieldId::IpProto) == 6 {
        key.get(FieldId::TcpFlags) as u16
    } else {
        0
    }
}

impl Engine {
    fn flush(&mut self) {
        for i in self.touched.drain(..) {
            if let Some(Some(tx)) = self.tx.get_mut(i) {
                tx.flush();
            }
        }
    }

    fn output(&mut self, port: DpPort, packet: &Packet) {
        let at = port.0 as usize;
        if let Some(Some(tx)) = self.tx.get_mut(at) {
            tx.send(packet);
            if !self.touched.contains(&at) {
                self.touched.push(at);
            }
        }
    }

    fn run(
        &mut self,
        packet: &mut Packet,
        meta: &mut Metadata,
        key: &PacketKey,
        actions: &[Action],
        depth: usize,
        again: Again<'_>,
    ) -> Then {
        let mut truncate = None;
        for action in actions {
            match action {
                Action::Output(port) => match truncate.take() {
                    Some(len) if packet.len() > len => self.with_copy(packet, |engine, copy| {
                        copy.truncate(len);
                        engine.output(*port, copy);
                    }),
                    _ => self.output(*port, packet),
                },
                Action::Set { field, value, mask } => set(packet, meta, *field, *value, *mask),
                Action::PushVlan { tpid, tci } => edit::push_vlan(packet, *tpid, *tci),
                Action::PopVlan => {
                    edit::pop_vlan(packet);
                }
                Action::PushMpls { ethertype, lse } => {
                    edit::push_mpls(packet, *ethertype, *lse);
                }
                Action::PopMpls { ethertype } => {
                    edit::pop_mpls(packet, *ethertype);
                }
                Action::Hash { algorithm, basis } => {
                    meta.dp_hash = l4_hash(key, *algorithm, *basis);
                }
                Action::Recirc(RecircId(id)) => {
                    meta.recirc_id = *id;
                    return Then::Again;
                }
                Action::Userspace(cookie) => {
                    let key = parse(packet, meta);
                    let kind = UpcallKind::Action(cookie.clone());
                    let mut packet = packet.clone();
                    if let Some(len) = truncate.take() {
                        packet.truncate(len);
                    }
                    self.upcalls.push(Upcall { kind, packet, key });
                }
                Action::Truncate(len) => truncate = Some((*len as usize).max(14)),
                Action::Clone(inner) if depth < MAX_DEPTH => {
                    self.nested(packet, meta, key, inner, depth, again);
                }
                Action::Sample {
                    probability,
                    actions,
                } if depth < MAX_DEPTH => {
                    // Which packets are sampled is a matter of their bytes, so that the same
                    // packet always fares the same.
                    let dice = (key.hash() >> 32) as u32;
                    if dice <= *probability && *probability != 0 {
                        self.nested(packet, meta, key, actions, depth, again);
                    }
                }
                Action::Clone(_) | Action::Sample { .. } => {}
            }
        }
        Then::Done
    }

    fn nested(
        &mut self,
        packet: &mut Packet,
        meta: &Metadata,
        key: &PacketKey,
        actions: &[Action],
        depth: usize,
        again: Again<'_>,
    ) {
        let mut meta = *meta;
        self.with_copy(packet, |engine, copy| {
            if engine.run(copy, &mut meta, key, actions, depth + 1, again) == Then::Again {
                again(engine, copy, &mut meta);
            }
        });
    }

    /// Calls `f` with a copy of the packet in a buffer that is kept for the next time.
    fn with_copy(&mut self, packet: &Packet, f: impl FnOnce(&mut Engine, &mut Packet)) {
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.assign_packet(packet);
        f(self, &mut copy);
        self.spare.push(copy);
    }
}

fn set(packet: &mut Packet, meta: &mut Metadata, field: FieldId, value: u128, mask: u128) {
    let blend = |old: u32| (u128::from(old) & !mask | value & mask) as u32;
    match field {
        FieldId::PktMark => meta.pkt_mark = blend(meta.pkt_mark),
        FieldId::SkbPriority => meta.skb_priority = blend(meta.skb_priority),
        _ => {
            edit::set_field(packet, field, value, mask);
        }
    }
}

/// A hash of addresses, protocol and ports.
fn l4_hash(key: &PacketKey, algorithm: HashAlgorithm, basis: u32) -> u32 {
    use FieldId::*;
    let mut h = packet::Mixer::new(basis.into());
    let pairs = [(Ipv4Src, Ipv4Dst), (Ipv6Src, Ipv6Dst), (TcpSrc, TcpDst)];
    for (src, dst) in pairs {
        let (a, b) = (key.get(src), key.get(dst));
        let (a, b) = match algorithm {
            HashAlgorithm::L4 => (a, b),
            HashAlgorithm::SymL4 => (a ^ b, 0),
        };
        for part in [a, b] {
            h.add((part >> 64) as u64);
            h.add(part as u64);
        }
    }
    h.add(key.get(IpProto) as u64);
    // Zero says that there is no hash.
    (h.finish() as u32).max(1)
}
