//! A complete switch fabric.

use crate::{
    Action, DpPort, LinkState, PacketPort, PollClass, PortCounters, PortError, ResumeTable, Ufid,
    UserCookie,
};
use clock::Time;
use packet::{FlowMask, Packet, PacketKey};
use std::sync::Arc;

/// What moves a port's frames.
#[derive(Clone)]
pub enum PortBackend {
    /// Frames pass through this process.
    Packets(Arc<dyn PacketPort>),
    /// The datapath moves them itself: a device of the host by name.
    Host {
        /// `internal`, `system`, `vxlan`, ...
        kind: String,
        /// Options by name.
        options: Vec<(String, String)>,
    },
}

/// A port of a datapath.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortInfo {
    /// Its number.
    pub number: DpPort,
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
}

/// A megaflow to be put into a datapath.
#[derive(Clone, Debug)]
pub struct FlowPut {
    /// Names it.
    pub ufid: Ufid,
    /// The key of the packet that made it, unmasked.
    pub key: PacketKey,
    /// Which bits count.
    pub mask: FlowMask,
    /// Steps.
    pub actions: Arc<[Action]>,
}

/// What a flow has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowStats {
    /// Packets.
    pub packets: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// When the last came; none = never.
    pub used: Option<Time>,
    /// TCP flags seen, or-ed.
    pub tcp_flags: u16,
}

impl FlowStats {
    /// Adds what another reading of the same flow has.
    pub fn add(&mut self, other: &FlowStats) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.used = self.used.max(other.used);
        self.tcp_flags |= other.tcp_flags;
    }
}

/// A flow as a datapath holds it.
#[derive(Clone, Debug)]
pub struct FlowEntry {
    /// The flow.
    pub flow: Arc<FlowPut>,
    /// What it has carried.
    pub stats: FlowStats,
}

/// Why a packet comes up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpcallKind {
    /// No flow matches it.
    Miss,
    /// A flow's [`Action::Userspace`] says so.
    Action(UserCookie),
}

/// A packet that the daemon must see.
#[derive(Clone, Debug)]
pub struct Upcall {
    /// Why.
    pub kind: UpcallKind,
    /// The packet, as it was then.
    pub packet: Packet,
    /// Its key then.
    pub key: PacketKey,
}

/// A packet to be run through steps at once.
#[derive(Debug)]
pub struct Execute<'a> {
    /// The packet; what the steps do to it stays done.
    pub packet: &'a mut Packet,
    /// Its key: metadata that does not stand in the frame is taken from here.
    pub key: &'a PacketKey,
    /// Steps.
    pub actions: &'a [Action],
}

/// Totals of a datapath.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatapathStats {
    /// Packets that a flow matched.
    pub hits: u64,
    /// Packets that none matched.
    pub misses: u64,
    /// Upcalls for which there was no room.
    pub lost: u64,
    /// Of the hits, those that the exact-match cache had.
    pub cache_hits: u64,
    /// Subtables that were looked into for the rest.
    pub masks_tried: u64,
    /// Flows held.
    pub flows: u64,
    /// Masks held.
    pub masks: u64,
}

/// What a datapath would not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatapathError {
    /// The port.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The number or name is taken.
    #[error("port {0} exists already")]
    PortExists(String),
    /// There is no such port.
    #[error("there is no port {0}")]
    NoPort(DpPort),
    /// There is no such flow.
    #[error("there is no flow {0}")]
    NoFlow(Ufid),
    /// A flow with another mask or other actions matches some of the same packets.
    #[error("flow {0} overlaps with one that is there")]
    Overlap(Ufid),
}

/// Whether a turn found something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing was waiting.
    Idle,
    /// So many packets were moved.
    Done(usize),
}

/// A complete switch fabric: ports, flows, upcalls, execution.
///
/// Flows never overlap with different actions; the caller sees to that, and an implementation
/// may answer [`DatapathError::Overlap`]. A flow that is put again under its `ufid` has its
/// actions replaced and keeps its statistics.
///
/// | operation | generic netlink (`openvswitch` module) |
/// | --- | --- |
/// | [`add_port`](Datapath::add_port), [`remove_port`](Datapath::remove_port), [`ports`](Datapath::ports) | `ovs_vport` `NEW`, `DEL`, `GET` (dump) |
/// | [`put_flow`](Datapath::put_flow), [`remove_flows`](Datapath::remove_flows) | `ovs_flow` `NEW` or `SET`, `DEL` |
/// | [`flows`](Datapath::flows), [`flush`](Datapath::flush) | `ovs_flow` `GET` (dump), `DEL` without key |
/// | [`execute`](Datapath::execute) | `ovs_packet` `EXECUTE` |
/// | [`upcalls`](Datapath::upcalls) | `ovs_packet` `MISS` and `ACTION`, received |
/// | [`stats`](Datapath::stats) | `ovs_datapath` `GET` |
pub trait Datapath: Send {
    /// `netdev`, `system`, `dummy`.
    fn kind(&self) -> &str;

    /// Adds a port, with a number of the caller's choice if it is free.
    fn add_port(
        &mut self,
        name: &str,
        backend: PortBackend,
        number: Option<DpPort>,
    ) -> Result<DpPort, DatapathError>;

    /// Removes a port; packets for it are dropped from then on.
    fn remove_port(&mut self, port: DpPort) -> Result<(), DatapathError>;

    /// The ports, by number.
    fn ports(&self) -> Vec<PortInfo>;

    /// A port's link, if there is such a port.
    fn link(&self, port: DpPort) -> Option<LinkState>;

    /// A port's counters, if there is such a port.
    fn counters(&self, port: DpPort) -> Option<PortCounters>;

    /// Adds a flow, or replaces the actions of the one with the same `ufid`.
    fn put_flow(&mut self, flow: FlowPut) -> Result<(), DatapathError>;

    /// Removes flows, and says of those that were there what they have carried. Many at once take
    /// little longer than one.
    fn remove_flows(&mut self, ufids: &[Ufid]) -> Vec<(Ufid, FlowStats)>;

    /// Removes a flow and says what it has carried.
    fn remove_flow(&mut self, ufid: Ufid) -> Result<FlowStats, DatapathError> {
        let removed = self.remove_flows(&[ufid]);
        let (_, stats) = removed.first().ok_or(DatapathError::NoFlow(ufid))?;
        Ok(*stats)
    }

    /// Finds a flow.
    fn flow(&self, ufid: Ufid) -> Option<FlowEntry>;

    /// All flows, in the order in which they came.
    fn flows(&self) -> Vec<FlowEntry>;

    /// Removes all flows.
    fn flush(&mut self);

    /// Counts packets that a device forwarded by the rule of this flow.
    fn credit(&mut self, ufid: Ufid, stats: &FlowStats);

    /// Runs a packet through steps.
    fn execute(&mut self, execute: Execute<'_>);

    /// Takes up to `max` waiting upcalls.
    fn upcalls(&mut self, max: usize) -> Vec<Upcall>;

    /// Calls `wake`, from any thread, when upcalls begin to wait.
    fn on_upcall(&mut self, wake: Arc<dyn Fn() + Send + Sync>);

    /// Polls the ports of [`PollClass::Main`], one batch each.
    fn turn(&mut self, now: Time) -> Work;

    /// Totals.
    fn stats(&self) -> DatapathStats;

    /// Says where packets that a device could not finish go on. A datapath without devices
    /// ignores it.
    fn set_resume_table(&mut self, table: Arc<dyn ResumeTable>);

    /// Which class polls a port; none if there is no such port.
    fn poll_class(&self, port: DpPort) -> Option<PollClass>;
}
