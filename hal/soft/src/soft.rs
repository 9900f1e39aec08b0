//! The software cache as a [`Datapath`]: what the control thread sees.

use crate::megaflow::{Megaflow, Tallies};
use crate::poller::{Command, Mailbox, Poller};
use crate::thread::PollThread;
use crate::upcalls::Upcalls;
use clock::{Clock, Time};
use hal::{
    Datapath, DatapathError, DatapathStats, DpPort, Execute, FlowEntry, FlowPut, FlowStats,
    LinkState, PacketPort, PollClass, PortBackend, PortCounters, PortError, PortInfo, ResumeTable,
    Ufid, Upcall, UpcallKind, Work,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long the control thread waits for a poll thread to let go of a flow or a port.
const PATIENCE: Duration = Duration::from_millis(200);

/// Where packets that a device could not finish go on; shared by all pollers.
pub type SharedResume = Arc<arc_swap::ArcSwapOption<Arc<dyn ResumeTable>>>;

struct Port {
    name: String,
    port: Arc<dyn PacketPort>,
    /// Who polls it: an index into the pollers.
    poller: usize,
}

struct Flow {
    megaflow: Arc<Megaflow>,
    /// Orders dumps.
    order: u64,
}

/// The software datapath.
///
/// Poller 0 is the control thread's own: it polls the ports of [`PollClass::Main`] and carries
/// out [`Datapath::execute`]. The others are threads. Each holds all flows, so that none asks
/// another for anything.
pub struct Soft {
    kind: String,
    clock: Clock,
    main: Poller,
    mailboxes: Vec<Arc<Mailbox>>,
    threads: Vec<PollThread>,
    ports: BTreeMap<DpPort, Port>,
    flows: HashMap<Ufid, Flow>,
    next_order: u64,
    upcalls: Arc<Upcalls>,
    resume: SharedResume,
}

impl Soft {
    /// A datapath of type `kind` with so many poll threads.
    pub fn new(kind: &str, clock: Clock, threads: usize) -> Soft {
        let upcalls = Arc::new(Upcalls::default());
        let resume = SharedResume::default();
        let mailboxes: Vec<_> = (0..=threads)
            .map(|_| Arc::new(Mailbox::default()))
            .collect();
        let poller = |i: usize| Poller::new(i, mailboxes[i].clone(), upcalls.clone());
        let main = poller(0);
        let start = |i: usize| PollThread::start(poller(i), clock.clone(), resume.clone());
        Soft {
            kind: kind.into(),
            main,
            threads: (1..=threads).map(start).collect(),
            clock,
            mailboxes,
            ports: BTreeMap::new(),
            flows: HashMap::new(),
            next_order: 0,
            upcalls,
            resume,
        }
    }

    fn tell(&self, mut command: impl FnMut(usize) -> Command) {
        for (i, mailbox) in self.mailboxes.iter().enumerate() {
            mailbox.tell(command(i));
        }
        self.threads.iter().for_each(PollThread::wake);
    }

    /// Waits until every poll thread has carried out what it was told, so that nothing is counted
    /// or sent on behalf of what is gone.
    fn settle(&mut self) {
        self.main.obey();
        let deadline = self.clock.now() + PATIENCE;
        for mailbox in self.mailboxes.iter().skip(1) {
            let mut turns = 0u32;
            while !mailbox.is_settled() && turns < 2000 {
                if !self.clock.is_stopped() && self.clock.now() > deadline {
                    break;
                }
                turns += 1;
                self.clock.pause_thread(Duration::from_micros(100));
            }
        }
    }

    fn free_number(&self, name: &str, wanted: Option<DpPort>) -> Result<DpPort, DatapathError> {
        if self.ports.values().any(|p| p.name == name) {
            return Err(DatapathError::PortExists(name.into()));
        }
        match wanted {
            Some(n) if self.ports.contains_key(&n) => Err(DatapathError::PortExists(n.to_string())),
            Some(n) => Ok(n),
            None => Ok((1..)
                .map(DpPort)
                .find(|n| !self.ports.contains_key(n))
                .unwrap_or_default()),
        }
    }

    /// Says which packet comes up, to those who debug.
    fn log_upcall(&self, upcall: &Upcall) {
        if !tracing::event_enabled!(target: "dpif_netdev", tracing::Level::DEBUG) {
            return;
        }
        let kind = match upcall.kind {
            UpcallKind::Miss => "miss",
            UpcallKind::Action(_) => "action",
        };
        let key = upcall.key.expand();
        let shown = packet::odp::FlowText {
            key: &key,
            mask: None,
            verbose: true,
            port_name: &|_| None,
        };
        let hex: String = upcall
            .packet
            .frame()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        tracing::debug!(target: "dpif_netdev", "ovs-{}: {kind} upcall:\n{shown}\n{hex}", self.kind);
    }

    fn entry(flow: &Flow) -> FlowEntry {
        let m = &flow.megaflow;
        FlowEntry {
            flow: m.put().clone(),
            stats: m.tallies().sum(),
        }
    }
}

impl Datapath for Soft {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn add_port(
        &mut self,
        name: &str,
        backend: PortBackend,
        number: Option<DpPort>,
    ) -> Result<DpPort, DatapathError> {
        let PortBackend::Packets(port) = backend else {
            return Err(DatapathError::Port(PortError::BadOption {
                name: name.into(),
                why: "the user-space datapath needs a port that it can poll".into(),
            }));
        };
        let number = self.free_number(name, number)?;
        let poller = match port.poll_class() {
            PollClass::Thread if !self.threads.is_empty() => {
                let load = |i: &usize| self.ports.values().filter(|p| p.poller == *i).count();
                (1..self.mailboxes.len()).min_by_key(load).unwrap_or(0)
            }
            _ => 0,
        };
        // The first queue may be the best one, and the control thread sends least.
        let tx: Result<Vec<_>, _> = self.mailboxes.iter().map(|_| port.open_tx()).collect();
        let mut rx = Some(port.take_rx());
        let pollers = self.mailboxes.iter().enumerate().rev();
        for ((i, mailbox), tx) in pollers.zip(tx?) {
            let rx = if i == poller { rx.take() } else { None };
            mailbox.tell(Command::AddPort {
                port: number,
                tx,
                rx: rx.unwrap_or_default(),
            });
        }
        self.threads.iter().for_each(PollThread::wake);
        self.settle();
        self.ports.insert(
            number,
            Port {
                name: name.into(),
                port,
                poller,
            },
        );
        Ok(number)
    }

    fn remove_port(&mut self, port: DpPort) -> Result<(), DatapathError> {
        self.ports
            .remove(&port)
            .ok_or(DatapathError::NoPort(port))?;
        self.tell(|_| Command::RemovePort(port));
        self.settle();
        Ok(())
    }

    fn ports(&self) -> Vec<PortInfo> {
        let info = |(number, p): (&DpPort, &Port)| PortInfo {
            number: *number,
            name: p.name.clone(),
            kind: p.port.kind().into(),
        };
        self.ports.iter().map(info).collect()
    }

    fn link(&self, port: DpPort) -> Option<LinkState> {
        self.ports.get(&port).map(|p| p.port.link())
    }

    fn counters(&self, port: DpPort) -> Option<PortCounters> {
        self.ports.get(&port).map(|p| p.port.counters())
    }

    fn put_flow(&mut self, put: FlowPut) -> Result<(), DatapathError> {
        let ufid = put.ufid;
        log_flow(&put);
        let old = self.flows.get(&ufid);
        let order = old.map_or(self.next_order, |f| f.order);
        self.next_order += 1;
        let tallies = match old {
            Some(f) => f.megaflow.tallies().clone(),
            None => Arc::new(Tallies::new(self.mailboxes.len())),
        };
        let megaflow = Arc::new(Megaflow::new(put, tallies));
        let old = self.flows.insert(
            ufid,
            Flow {
                megaflow: megaflow.clone(),
                order,
            },
        );
        self.tell(|_| Command::AddFlow(megaflow.clone()));
        if let Some(old) = old {
            // The new one has taken the old one's place in each classifier by then.
            if old.megaflow.mask() != megaflow.mask() || old.megaflow.masked() != megaflow.masked()
            {
                self.tell(|_| Command::RemoveFlow(old.megaflow.clone()));
            }
            old.megaflow.kill();
        }
        self.main.obey();
        Ok(())
    }

    fn remove_flows(&mut self, ufids: &[Ufid]) -> Vec<(Ufid, FlowStats)> {
        let gone: Vec<_> = ufids
            .iter()
            .filter_map(|ufid| Some((*ufid, self.flows.remove(ufid)?.megaflow)))
            .collect();
        for (_, megaflow) in &gone {
            megaflow.kill();
            self.tell(|_| Command::RemoveFlow(megaflow.clone()));
        }
        if !gone.is_empty() {
            // Only now has nobody anything more to count.
            self.settle();
        }
        let last = |(ufid, m): (Ufid, Arc<Megaflow>)| (ufid, m.tallies().sum());
        gone.into_iter().map(last).collect()
    }

    fn flow(&self, ufid: Ufid) -> Option<FlowEntry> {
        self.flows.get(&ufid).map(Soft::entry)
    }

    fn flows(&self) -> Vec<FlowEntry> {
        let mut flows: Vec<&Flow> = self.flows.values().collect();
        flows.sort_by_key(|f| f.order);
        flows.into_iter().map(Soft::entry).collect()
    }

    fn flush(&mut self) {
        for (_, flow) in self.flows.drain() {
            flow.megaflow.kill();
        }
        self.tell(|_| Command::Flush);
        self.settle();
    }

    fn credit(&mut self, ufid: Ufid, stats: &FlowStats) {
        if let Some(flow) = self.flows.get(&ufid) {
            // The place behind the pollers' is the control thread's.
            flow.megaflow.tallies().count(self.mailboxes.len(), stats);
        }
    }

    fn execute(&mut self, e: Execute<'_>) {
        let now = self.clock.now();
        self.main.execute(e.packet, e.key, e.actions, now);
    }

    fn upcalls(&mut self, max: usize) -> Vec<Upcall> {
        let upcalls = self.upcalls.take(max);
        upcalls.iter().for_each(|u| self.log_upcall(u));
        upcalls
    }

    fn on_upcall(&mut self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.upcalls.on_push(wake);
    }

    fn turn(&mut self, now: Time) -> Work {
        let table = self.resume.load_full();
        let table = table.as_deref().map(|t| &**t);
        self.main.turn(now, table)
    }

    fn stats(&self) -> DatapathStats {
        let mut s = DatapathStats {
            flows: self.flows.len() as u64,
            ..DatapathStats::default()
        };
        let masks: std::collections::HashSet<_> =
            self.flows.values().map(|f| f.megaflow.mask()).collect();
        s.masks = masks.len() as u64;
        for m in &self.mailboxes {
            let get = |c: &std::sync::atomic::AtomicU64| c.load(Ordering::Relaxed);
            s.cache_hits += get(&m.counters.cache_hits);
            s.hits += get(&m.counters.cache_hits) + get(&m.counters.masked_hits);
            s.misses += get(&m.counters.misses);
            s.lost += get(&m.counters.lost);
            s.masks_tried += get(&m.counters.masks_tried);
        }
        s
    }

    fn set_resume_table(&mut self, table: Arc<dyn ResumeTable>) {
        self.resume.store(Some(Arc::new(table)));
    }

    fn poll_class(&self, port: DpPort) -> Option<PollClass> {
        self.ports.get(&port).map(|p| p.port.poll_class())
    }
}

/// Says which flow comes, to those who debug.
fn log_flow(put: &FlowPut) {
    if tracing::event_enabled!(target: "dpif_netdev", tracing::Level::DEBUG) {
        let key = put.key.expand();
        let shown = packet::odp::FlowText {
            key: &key,
            mask: Some(&put.mask),
            verbose: false,
            port_name: &|_| None,
        };
        let v6 = put.key.get(packet::FieldId::EthType) == 0x86dd;
        let actions = hal::text::format_actions(&put.actions, v6, &|_| None);
        tracing::debug!(target: "dpif_netdev",
            "flow_add: ufid:{0} mega_ufid:{0} {shown}, actions:{actions}", put.ufid);
    }
}

impl Drop for Soft {
    fn drop(&mut self) {
        for thread in &mut self.threads {
            thread.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::dummy::DummyPort;
    use hal::{Action, UpcallKind};
    use packet::{FieldId, FlowMask, FlowState, Metadata, Packet, compose, parse};

    fn udp(dst: u16) -> Packet {
        let mut s = FlowState::default();
        s.set(FieldId::EthType, 0x800);
        s.set(FieldId::IpProto, 17);
        s.set(FieldId::UdpDst, dst.into());
        compose(&s, 20)
    }

    fn switch() -> (Soft, [DummyPort; 2]) {
        let mut soft = Soft::new("dummy", Clock::stopped_at(0), 0);
        let ports = [DummyPort::new("dummy", 1), DummyPort::new("dummy", 2)];
        for (i, p) in ports.iter().enumerate() {
            p.keep_sent();
            let backend = PortBackend::Packets(Arc::new(p.clone()));
            let number = soft.add_port(&format!("p{i}"), backend, None).unwrap();
            assert_eq!(number, DpPort(i as u32 + 1));
        }
        (soft, ports)
    }

    fn flow(packet: &Packet, actions: Vec<Action>) -> FlowPut {
        let meta = Metadata {
            in_port: 1,
            ..Metadata::default()
        };
        let key = parse(&mut packet.clone(), &meta);
        let mut mask = FlowMask::ANY;
        mask.add_all(FieldId::RecircId);
        mask.add_all(FieldId::InPortOxm);
        mask.add_all(FieldId::UdpDst);
        FlowPut {
            ufid: Ufid(7),
            key,
            mask,
            actions: actions.into(),
        }
    }

    #[test]
    fn a_miss_goes_up_and_a_hit_goes_out_and_is_counted() {
        let (mut soft, [a, b]) = switch();
        a.inject(udp(5));
        soft.turn(Time::ZERO);
        let upcalls = soft.upcalls(10);
        assert_eq!(upcalls.len(), 1);
        assert_eq!(upcalls[0].kind, UpcallKind::Miss);

        let value = 9;
        let set = Action::Set {
            field: FieldId::UdpDst,
            value,
            mask: 0xffff,
        };
        soft.put_flow(flow(&udp(5), vec![set, Action::Output(DpPort(2))]))
            .unwrap();
        for _ in 0..3 {
            a.inject(udp(5));
        }
        a.inject(udp(6));
        soft.turn(Time::from_millis(1));
        assert_eq!(b.take_sent(), vec![udp(9).frame().to_vec(); 3]);
        assert_eq!(soft.upcalls(10).len(), 1);
        let stats = soft.flow(Ufid(7)).unwrap().stats;
        assert_eq!((stats.packets, stats.used), (3, Some(Time::from_millis(1))));
        assert_eq!(soft.stats().cache_hits, 2);

        soft.remove_flow(Ufid(7)).unwrap();
        a.inject(udp(5));
        soft.turn(Time::from_millis(2));
        assert!(b.take_sent().is_empty());
    }

    #[test]
    fn what_follows_a_clone_sees_the_packet_as_it_was() {
        let (mut soft, [a, b]) = switch();
        let inner = vec![
            Action::PushVlan {
                tpid: 0x8100,
                tci: 0x1005,
            },
            Action::Output(DpPort(2)),
        ];
        let cut = vec![
            Action::Truncate(20),
            Action::Output(DpPort(2)),
            Action::Output(DpPort(2)),
        ];
        let actions = std::iter::once(Action::Clone(inner)).chain(cut).collect();
        soft.put_flow(flow(&udp(5), actions)).unwrap();
        a.inject(udp(5));
        soft.turn(Time::ZERO);
        let whole = udp(5).frame().to_vec();
        let sent = b.take_sent();
        assert_eq!(sent[0].len(), whole.len() + 4);
        assert_eq!(sent[1], whole[..20]);
        assert_eq!(sent[2], whole);
    }

    #[test]
    fn a_copy_that_is_sent_on_is_looked_up_while_the_packet_goes_on() {
        let (mut soft, [a, b]) = switch();
        let on = Action::Clone(vec![Action::PopVlan, Action::Recirc(hal::RecircId(7))]);
        soft.put_flow(flow(&udp(5), vec![on, Action::Output(DpPort(2))]))
            .unwrap();
        let mut second = flow(
            &udp(5),
            vec![Action::Truncate(20), Action::Output(DpPort(2))],
        );
        second.key.set(FieldId::RecircId, 7);
        second.ufid = Ufid(8);
        soft.put_flow(second).unwrap();
        a.inject(udp(5));
        soft.turn(Time::ZERO);
        let whole = udp(5).frame().to_vec();
        assert_eq!(b.take_sent(), [whole[..20].to_vec(), whole]);
    }

    #[test]
    fn replaced_actions_keep_the_counters() {
        let (mut soft, [a, b]) = switch();
        soft.put_flow(flow(&udp(5), vec![Action::Output(DpPort(2))]))
            .unwrap();
        a.inject(udp(5));
        soft.turn(Time::ZERO);
        soft.put_flow(flow(&udp(5), vec![])).unwrap();
        a.inject(udp(5));
        soft.turn(Time::ZERO);
        assert_eq!(b.take_sent().len(), 1);
        assert_eq!(soft.flow(Ufid(7)).unwrap().stats.packets, 2);
    }
}
