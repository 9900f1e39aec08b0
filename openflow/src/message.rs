//! Messages as values, without the version that they travelled in.
//!
//! One enum, [`Message`], and a struct for each that has a body. What differs from version to
//! version in layout only is the same value here; what a version cannot say reads as its default.
//!
//! * [`codec`](mod@codec): from and to bytes; the other files hold the groups of layouts.

pub mod codec;
mod config_wire;
mod flow_wire;
mod monitor_wire;
mod packet_wire;
mod port_wire;
mod table_wire;

pub use table_wire::feature_actions;

pub use flow_wire::normalize;

use crate::action::Action;
use crate::error::{OfError, Result};
use crate::port::OfPort;
use crate::version::Versions;
use crate::wire::{Reader, Writer};
use packet::{FieldId, Match};

/// A cookie, or bits of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cookie(pub u64);

/// A table's number; 255 = all of them, or none in particular.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub u8);

impl TableId {
    /// All tables, or whichever fits.
    pub const ALL: TableId = TableId(0xff);
}

/// A buffer's number that says "no buffer".
pub const NO_BUFFER: u32 = u32::MAX;
/// A group's number that says "any group".
pub const GROUP_ANY: u32 = u32::MAX;
/// "All groups".
pub const GROUP_ALL: u32 = 0xffff_fffc;
/// A queue's number that says "all queues".
pub const QUEUE_ALL: u32 = u32::MAX;

/// Flags of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FlowFlags(pub u16);

impl FlowFlags {
    /// Tell when it is removed.
    pub const SEND_FLOW_REM: FlowFlags = FlowFlags(1);
    /// Don't count packets (1.3).
    pub const NO_PKT_COUNTS: FlowFlags = FlowFlags(2);
    /// Don't count bytes (1.3).
    pub const NO_BYT_COUNTS: FlowFlags = FlowFlags(4);
    /// Refuse it if another of the same priority overlaps.
    pub const CHECK_OVERLAP: FlowFlags = FlowFlags(8);
    /// Start counting anew (1.2).
    pub const RESET_COUNTS: FlowFlags = FlowFlags(16);
    /// OpenFlow 1.0's emergency flows, which nobody has.
    pub const EMERG: FlowFlags = FlowFlags(32);
    /// Text only: fields that are hidden may be set.
    pub const HIDDEN_FIELDS: FlowFlags = FlowFlags(64);
    /// Text only: flows of read-only tables may be changed.
    pub const NO_READONLY: FlowFlags = FlowFlags(128);

    /// Whether all of `other`'s flags are set.
    pub fn has(self, other: FlowFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// With `other`'s flags too.
    pub fn with(self, other: FlowFlags) -> FlowFlags {
        FlowFlags(self.0 | other.0)
    }
}

/// What a flow-mod does. The discriminant is the number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
#[repr(u8)]
pub enum FlowCommand {
    Add = 0,
    Modify = 1,
    ModifyStrict = 2,
    Delete = 3,
    DeleteStrict = 4,
}

impl FlowCommand {
    /// By the wire's number.
    pub fn from_wire(n: u16) -> Option<FlowCommand> {
        Some(match n {
            0 => FlowCommand::Add,
            1 => FlowCommand::Modify,
            2 => FlowCommand::ModifyStrict,
            3 => FlowCommand::Delete,
            4 => FlowCommand::DeleteStrict,
            _ => return None,
        })
    }
}

/// Adds, changes or deletes flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowMod {
    /// What to do.
    pub command: FlowCommand,
    /// The match.
    pub matching: Match,
    /// 0 to 65535.
    pub priority: u16,
    /// Flows to change or delete have these cookie bits...
    pub cookie: Cookie,
    /// ...where this has ones.
    pub cookie_mask: Cookie,
    /// The cookie of flows added, or `u64::MAX` for none.
    pub new_cookie: Cookie,
    /// Whether flows changed get `new_cookie`.
    pub modify_cookie: bool,
    /// The table; 255 = the switch chooses (add) or all (delete).
    pub table: TableId,
    /// Seconds; 0 = never.
    pub idle_timeout: u16,
    /// Seconds; 0 = never.
    pub hard_timeout: u16,
    /// A packet that waits, or [`NO_BUFFER`].
    pub buffer_id: u32,
    /// Only flows that send there are deleted; [`OfPort::NONE`] = any.
    pub out_port: OfPort,
    /// Only flows that use the group are deleted; [`GROUP_ANY`] = any.
    pub out_group: u32,
    /// Flags.
    pub flags: FlowFlags,
    /// For eviction (1.4).
    pub importance: u16,
    /// Actions and instructions.
    pub actions: Vec<Action>,
    /// 1.0 only: written with Nicira's extended match.
    pub nicira: bool,
}

impl FlowMod {
    /// A flow-mod with nothing in it.
    pub fn new(command: FlowCommand) -> FlowMod {
        FlowMod {
            command,
            matching: Match::any(),
            priority: 0x8000,
            cookie: Cookie(0),
            cookie_mask: Cookie(0),
            new_cookie: Cookie(0),
            modify_cookie: false,
            table: TableId::ALL,
            idle_timeout: 0,
            hard_timeout: 0,
            buffer_id: NO_BUFFER,
            out_port: OfPort::NONE,
            out_group: GROUP_ANY,
            flags: FlowFlags::default(),
            importance: 0,
            actions: Vec::new(),
            nicira: true,
        }
    }
}

/// Why a flow is gone (OFPRR_*, the wire's numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct FlowRemovedReason(pub u8);

#[allow(missing_docs)]
impl FlowRemovedReason {
    pub const IDLE_TIMEOUT: FlowRemovedReason = FlowRemovedReason(0);
    pub const HARD_TIMEOUT: FlowRemovedReason = FlowRemovedReason(1);
    pub const DELETE: FlowRemovedReason = FlowRemovedReason(2);
    pub const GROUP_DELETE: FlowRemovedReason = FlowRemovedReason(3);
    pub const METER_DELETE: FlowRemovedReason = FlowRemovedReason(4);
    pub const EVICTION: FlowRemovedReason = FlowRemovedReason(5);
}

/// A flow is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRemoved {
    /// The flow's match.
    pub matching: Match,
    /// Its cookie.
    pub cookie: Cookie,
    /// Its priority.
    pub priority: u16,
    /// Why.
    pub reason: FlowRemovedReason,
    /// Its table; 255 if the message does not say.
    pub table: TableId,
    /// How long it lived.
    pub duration: Duration,
    /// Seconds.
    pub idle_timeout: u16,
    /// Seconds.
    pub hard_timeout: u16,
    /// `None` = unknown.
    pub packets: Option<u64>,
    /// `None` = unknown.
    pub bytes: Option<u64>,
    /// 1.0: in Nicira's layout.
    pub nicira: bool,
}

/// A time in seconds and nanoseconds; `None` seconds are unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Duration {
    /// Seconds; `u32::MAX` = unknown.
    pub sec: u32,
    /// Nanoseconds beyond.
    pub nsec: u32,
}

/// Which flows to tell about, or to add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowStatsRequest {
    /// Flows at least this narrow.
    pub matching: Match,
    /// Cookie bits.
    pub cookie: Cookie,
    /// Which of them count.
    pub cookie_mask: Cookie,
    /// [`OfPort::NONE`] = any.
    pub out_port: OfPort,
    /// [`GROUP_ANY`] = any.
    pub out_group: u32,
    /// 255 = all.
    pub table: TableId,
    /// 1.0: in Nicira's layout.
    pub nicira: bool,
}

/// One flow in a flow-statistics reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowStats {
    /// Its match.
    pub matching: Match,
    /// Its cookie.
    pub cookie: Cookie,
    /// Its table.
    pub table: TableId,
    /// Its priority.
    pub priority: u16,
    /// Seconds.
    pub idle_timeout: u16,
    /// Seconds.
    pub hard_timeout: u16,
    /// How long it has lived.
    pub duration: Duration,
    /// Seconds since the last packet, if known.
    pub idle_age: Option<u16>,
    /// Seconds since it was last changed, if known.
    pub hard_age: Option<u16>,
    /// `None` = unknown.
    pub packets: Option<u64>,
    /// `None` = unknown.
    pub bytes: Option<u64>,
    /// Flags.
    pub flags: FlowFlags,
    /// For eviction.
    pub importance: u16,
    /// Actions and instructions.
    pub actions: Vec<Action>,
}

/// The sum over flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AggregateStats {
    /// `None` = unknown.
    pub packets: Option<u64>,
    /// `None` = unknown.
    pub bytes: Option<u64>,
    /// How many.
    pub flows: u32,
}

/// Who the switch is (OpenFlow's description statistics).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Desc {
    pub manufacturer: String,
    pub hardware: String,
    pub software: String,
    pub serial: String,
    pub datapath: String,
}

/// What the switch can do, with its ports in 1.0 to 1.2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The switch's identity.
    pub datapath_id: u64,
    /// How many packets it can hold.
    pub n_buffers: u32,
    /// How many tables.
    pub n_tables: u8,
    /// 0 = the main connection.
    pub auxiliary_id: u8,
    /// OFPC_* as 1.0 and later number them.
    pub capabilities: u32,
    /// 1.0: a bitmap of OFPAT_*.
    pub actions: u32,
    /// Ports, 1.0 to 1.2.
    pub ports: Vec<PhyPort>,
}

/// A port's description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhyPort {
    /// Its number.
    pub port: OfPort,
    /// Its address.
    pub hw_addr: [u8; 6],
    /// Its name, at most 15 bytes (63 since 1.4 is not used).
    pub name: String,
    /// OFPPC_*: 1 down, 2 no STP, 4 no receive, 8 no receive STP, 16 no flood, 32 no forward,
    /// 64 no packet-in.
    pub config: u32,
    /// OFPPS_*: 1 link down, 2 blocked, 4 live; in 1.0 STP's state in bits 8 and 9.
    pub state: u32,
    /// Current features, OFPPF_* as 1.1 numbers them.
    pub curr: u32,
    /// Advertised.
    pub advertised: u32,
    /// Supported.
    pub supported: u32,
    /// The peer's.
    pub peer: u32,
    /// kbit/s.
    pub curr_speed: u32,
    /// kbit/s.
    pub max_speed: u32,
}

/// How fragments are treated, and how much of a missed packet is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchConfig {
    /// OFPC_FRAG_*: 0 normal, 1 drop, 2 reassemble, 3 Nicira's match.
    pub frag: u8,
    /// 1.1 and 1.2: packets with invalid TTL go to the controller; `None` = not said.
    pub invalid_ttl_to_controller: Option<bool>,
    /// Bytes.
    pub miss_send_len: u16,
}

/// In which layout packets go to the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum PacketInFormat {
    Standard,
    Nxt,
    Nxt2,
}

/// A packet for the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketIn {
    /// The layout.
    pub format: PacketInFormat,
    /// The packet, or its beginning.
    pub data: Vec<u8>,
    /// The packet's whole length.
    pub total_len: u32,
    /// A buffer that holds it, or [`NO_BUFFER`].
    pub buffer_id: u32,
    /// OFPR_*.
    pub reason: u8,
    /// The table.
    pub table: TableId,
    /// The flow's cookie; `u64::MAX` = unknown.
    pub cookie: Cookie,
    /// Input port, registers, tunnel...
    pub metadata: Match,
    /// From the `controller` action.
    pub userdata: Vec<u8>,
    /// What resuming needs, as it stands on the wire; `None` = not paused.
    pub continuation: Option<Vec<u8>>,
}

/// A packet from the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketOut {
    /// The packet, if no buffer is named.
    pub data: Vec<u8>,
    /// A buffer, or [`NO_BUFFER`].
    pub buffer_id: u32,
    /// The input port and (1.5) other metadata.
    pub metadata: Match,
    /// What to do.
    pub actions: Vec<Action>,
}

impl PacketOut {
    /// The input port.
    pub fn in_port(&self) -> OfPort {
        OfPort((self.metadata.value().get(FieldId::InPortOxm) & 0xffff_ffff) as u32)
    }
}

/// What happened to a port (OFPPR_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
#[repr(u8)]
pub enum PortReason {
    Add = 0,
    Delete = 1,
    Modify = 2,
}

/// A port came, went or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PortStatus {
    pub reason: PortReason,
    pub port: PhyPort,
}

/// Changes a port's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortMod {
    /// The port.
    pub port: OfPort,
    /// Must be the port's own.
    pub hw_addr: [u8; 6],
    /// As in [`PhyPort::config`].
    pub config: u32,
    /// Which bits of it to change.
    pub mask: u32,
    /// What to advertise, as in [`PhyPort::advertised`]; 0 = as it is.
    pub advertise: u32,
}

/// What a table does with packets that nothing matches (1.1 and 1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum TableMiss {
    #[default]
    Default,
    Controller,
    Continue,
    Drop,
}

/// Thresholds of events about a table's free space, percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct Vacancy {
    pub down: u8,
    pub up: u8,
    pub now: u8,
}

/// Changes a table's configuration, and says it back (table descriptions, 1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableConfig {
    /// 255 = all.
    pub table: TableId,
    /// 1.1 and 1.2.
    pub miss: TableMiss,
    /// 1.4: evict when full; `None` = not said.
    pub eviction: Option<bool>,
    /// OFPTMPEF14_*; `None` = not said.
    pub eviction_flags: Option<u32>,
    /// 1.4: vacancy events; `None` = not said.
    pub vacancy: Option<bool>,
    /// The thresholds.
    pub thresholds: Option<Vacancy>,
}

/// What a table can do (1.3), or did (1.0 to 1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableFeatures {
    /// The table.
    pub table: u8,
    /// Its name.
    pub name: String,
    /// Metadata bits that can be matched.
    pub metadata_match: u64,
    /// Metadata bits that can be written.
    pub metadata_write: u64,
    /// Most entries.
    pub max_entries: u32,
    /// 1.5: 0 replace, 1 modify, 2 enable, 3 disable.
    pub command: u8,
    /// 1.1, 1.2.
    pub miss: TableMiss,
    /// 1.4: whether it can evict.
    pub supports_eviction: Option<bool>,
    /// 1.4: whether it can tell about vacancy.
    pub supports_vacancy: Option<bool>,
    /// Whether any property was in the message.
    pub any_properties: bool,
    /// For packets that match.
    pub hit: InstructionFeatures,
    /// For packets that don't.
    pub miss_features: InstructionFeatures,
    /// Fields that can be matched.
    pub matching: Vec<FieldId>,
    /// Of them, which may be masked.
    pub mask: Vec<FieldId>,
    /// Of them, which may be left out.
    pub wildcard: Vec<FieldId>,
}

/// What flows of a table may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstructionFeatures {
    /// Tables to which it can go on.
    pub next: Vec<u8>,
    /// Bitmap over [`Instruction`](crate::action::Instruction), bit 0 = meter.
    pub instructions: u32,
    /// In write-actions: names of actions, as text has them.
    pub write: Vec<&'static str>,
    /// In write-actions: fields that can be set.
    pub write_fields: Vec<FieldId>,
    /// In apply-actions.
    pub apply: Vec<&'static str>,
    /// In apply-actions.
    pub apply_fields: Vec<FieldId>,
}

/// Counters of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TableStats {
    pub table: u8,
    pub active: u32,
    pub lookups: u64,
    pub matched: u64,
}

/// Counters of one port; `u64::MAX` = unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PortStats {
    pub port: OfPort,
    pub rx_packets: u64,
    pub tx_packets: u64,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub rx_dropped: u64,
    pub tx_dropped: u64,
    pub rx_errors: u64,
    pub tx_errors: u64,
    pub rx_frame_err: u64,
    pub rx_over_err: u64,
    pub rx_crc_err: u64,
    pub collisions: u64,
    /// Since 1.3.
    pub duration: Option<Duration>,
    /// Since 1.4: RFC 2819's sixteen counters, in the order of OVS's property, if any is known.
    pub rfc2819: Option<Box<[u64; 16]>>,
    /// Since 1.4: counters that have only names.
    pub custom: Vec<(String, u64)>,
}

/// Counters of one queue; `u64::MAX` = unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct QueueStats {
    pub port: OfPort,
    pub queue: u32,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub duration: Option<Duration>,
}

/// A queue's configuration; rates in tenths of a percent, `None` = not limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct QueueConfig {
    pub port: OfPort,
    pub queue: u32,
    pub min_rate: Option<u16>,
    pub max_rate: Option<u16>,
}

/// Who is in charge (the wire's numbers, 1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
#[repr(u32)]
pub enum Role {
    NoChange = 0,
    Equal = 1,
    Primary = 2,
    Secondary = 3,
}

/// Asks for a role, or says which it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleRequest {
    /// The role.
    pub role: Role,
    /// 1.2: against messages that come too late.
    pub generation: Option<u64>,
    /// 1.0: Nicira's message.
    pub nicira: bool,
}

/// A role was changed by someone else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleStatus {
    /// The role now.
    pub role: Role,
    /// OFPCRR_*: 0 master request, 1 config, 2 experimenter.
    pub reason: u8,
    /// The generation now.
    pub generation: u64,
}

/// Which messages a controller gets unasked: bitmaps of reasons, as primary or equal and as
/// secondary. `None` where the message leaves a bitmap out (1.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsyncConfig {
    /// For packet-in, port status, flow removed, role status, table status, request forward.
    pub primary: [Option<u32>; 6],
    /// The same as secondary.
    pub secondary: [Option<u32>; 6],
}

/// An error from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorMsg {
    /// Which.
    pub error: ErrorCode,
    /// The beginning of the message that caused it; for failed hellos, text.
    pub data: Vec<u8>,
}

/// An error that we know or its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ErrorCode {
    Known(OfError),
    Unknown { vendor: u32, kind: u16, code: u16 },
}

/// What a flow monitor wants to see (`NXFMF_*`/`OFPFMF14_*`): 1 initial, 2 add, 4 delete,
/// 8 modify, 16 actions (no-abbreviation in 1.4), 32 own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorRequest {
    /// The monitor's number.
    pub id: u32,
    /// 0 add, 1 modify, 2 delete.
    pub command: u8,
    /// 1 initial, 2 add, 4 removed, 8 modify, 16 instructions, 32 no abbreviations, 64 only own.
    pub flags: u16,
    /// [`OfPort::NONE`] = any.
    pub out_port: OfPort,
    /// [`GROUP_ANY`] = any.
    pub out_group: u32,
    /// 255 = all.
    pub table: TableId,
    /// Flows at least this narrow.
    pub matching: Match,
}

/// What a flow monitor sees.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FlowUpdate {
    Full {
        /// 0 initial, 1 added, 2 removed, 3 modified.
        event: u8,
        reason: FlowRemovedReason,
        idle_timeout: u16,
        hard_timeout: u16,
        table: TableId,
        priority: u16,
        cookie: Cookie,
        matching: Box<Match>,
        actions: Vec<Action>,
    },
    /// The change that this controller itself made with transaction `xid`.
    Abbreviated { xid: u32 },
    /// Updates are held back.
    Paused,
    /// Updates go on.
    Resumed,
}

/// A bundle's control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BundleControl {
    /// The bundle.
    pub id: u32,
    /// OFPBCT_*: 0 open request, 1 reply, 2 close request ... 7 discard reply.
    pub kind: u16,
    /// 1 atomic, 2 ordered.
    pub flags: u16,
}

/// A message put into a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleAdd {
    /// The bundle.
    pub id: u32,
    /// As the bundle's.
    pub flags: u16,
    /// The message, whole.
    pub message: Vec<u8>,
}

/// One line of the table of Geneve options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct TlvMap {
    pub class: u16,
    pub kind: u8,
    pub len: u8,
    pub index: u16,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Message {
    Hello {
        versions: Versions,
    },
    Error(ErrorMsg),
    EchoRequest(Vec<u8>),
    EchoReply(Vec<u8>),
    FeaturesRequest,
    FeaturesReply(Features),
    GetConfigRequest,
    GetConfigReply(SwitchConfig),
    SetConfig(SwitchConfig),
    PacketIn(Box<PacketIn>),
    /// Goes on with a paused packet.
    Resume(Box<PacketIn>),
    PacketOut(Box<PacketOut>),
    FlowMod(Box<FlowMod>),
    FlowRemoved(Box<FlowRemoved>),
    PortStatus(PortStatus),
    PortMod(PortMod),
    TableMod(TableConfig),
    BarrierRequest,
    BarrierReply,
    QueueConfigRequest {
        port: OfPort,
        queue: u32,
    },
    QueueConfigReply {
        port: OfPort,
        queues: Vec<QueueConfig>,
    },
    RoleRequest(RoleRequest),
    RoleReply(RoleRequest),
    RoleStatus(RoleStatus),
    GetAsyncRequest,
    GetAsyncReply(AsyncConfig),
    /// `nicira`: in Nicira's layout (1.0 to 1.2, and 1.3 by choice).
    SetAsync {
        config: AsyncConfig,
        nicira: bool,
    },
    SetFlowFormat(u32),
    FlowModTableId(bool),
    SetPacketInFormat(PacketInFormat),
    FlowAge,
    SetControllerId(u16),
    CtFlushZone(u16),
    TlvTableMod {
        command: u16,
        maps: Vec<TlvMap>,
    },
    TlvTableRequest,
    TlvTableReply {
        max_space: u32,
        max_fields: u16,
        maps: Vec<TlvMap>,
    },
    BundleControl(BundleControl),
    BundleAdd(BundleAdd),
    FlowMonitorCancel(u32),
    FlowMonitorPaused,
    FlowMonitorResumed,
    DescRequest,
    DescReply(Desc),
    FlowStatsRequest(Box<FlowStatsRequest>),
    FlowStatsReply {
        flows: Vec<FlowStats>,
        more: bool,
        nicira: bool,
    },
    AggregateRequest(Box<FlowStatsRequest>),
    AggregateReply {
        stats: AggregateStats,
        nicira: bool,
    },
    TableStatsRequest,
    /// In 1.0 to 1.2 with what each table can do, which 1.3 leaves to the table features.
    TableStatsReply {
        tables: Vec<(TableStats, TableFeatures)>,
        more: bool,
    },
    TableFeaturesRequest(Vec<TableFeatures>),
    TableFeaturesReply {
        tables: Vec<TableFeatures>,
        more: bool,
    },
    TableDescRequest,
    TableDescReply {
        tables: Vec<TableConfig>,
        more: bool,
    },
    PortStatsRequest(OfPort),
    PortStatsReply {
        ports: Vec<PortStats>,
        more: bool,
    },
    QueueStatsRequest {
        port: OfPort,
        queue: u32,
    },
    QueueStatsReply {
        queues: Vec<QueueStats>,
        more: bool,
    },
    PortDescRequest(OfPort),
    PortDescReply {
        ports: Vec<PhyPort>,
        more: bool,
    },
    MonitorRequest(Vec<MonitorRequest>),
    MonitorReply {
        updates: Vec<FlowUpdate>,
        more: bool,
    },
    /// A message that is well-formed but whose body stays bytes: groups and meters, IPFIX,
    /// forwarded requests.
    Held {
        kind: crate::raw::Kind,
        flags: u16,
        body: Vec<u8>,
    },
}

/// Takes a property (type, length, contents, padding to eight) from the front.
pub(crate) fn pull_property<'a>(r: &mut Reader<'a>) -> Result<(u16, Reader<'a>)> {
    let bad = |_| OfError::OFPBPC_BAD_LEN;
    let kind = r.u16().map_err(bad)?;
    let len = usize::from(r.u16().map_err(bad)?);
    let body = r
        .sub(len.checked_sub(4).ok_or(OfError::OFPBPC_BAD_LEN)?)
        .map_err(bad)?;
    let padding = len.next_multiple_of(8) - len;
    r.skip(padding.min(r.left())).map_err(bad)?;
    Ok((kind, body))
}

/// Writes a property.
pub(crate) fn put_property(w: &mut Writer, kind: u16, body: &[u8]) {
    let start = w.len();
    w.u16(kind);
    w.u16(0);
    w.bytes(body);
    w.set_len(start + 2, start);
    w.pad8(start);
}

/// A property's only number, of one byte; longer contents must be zero.
pub(crate) fn prop_u8(p: &mut Reader<'_>) -> Result<u8> {
    let v = p.u8().map_err(|_| OfError::OFPBPC_BAD_LEN)?;
    Ok(v)
}

/// Of two bytes.
pub(crate) fn prop_u16(p: &mut Reader<'_>) -> Result<u16> {
    Ok(p.u16().map_err(|_| OfError::OFPBPC_BAD_LEN)?)
}

/// Of four bytes, behind padding if there is any.
pub(crate) fn prop_u32(p: &mut Reader<'_>) -> Result<u32> {
    if p.left() == 8 {
        p.skip(4).map_err(|_| OfError::OFPBPC_BAD_LEN)?;
    }
    Ok(p.u32().map_err(|_| OfError::OFPBPC_BAD_LEN)?)
}
