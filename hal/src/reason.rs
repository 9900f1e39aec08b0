//! Why a flow is not in hardware.

use crate::DpPort;
use packet::FieldId;
use std::fmt;

/// The one reason why a flow is in software. Each names what it is about, and
/// [`Reason::remedy`] says what would change it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// `other_config:hw-offload` is not true.
    Disabled,
    /// The packets come from a port that no device has.
    IngressPort(DpPort),
    /// The packets go to a port that the device does not have.
    EgressPort(DpPort),
    /// The device cannot match this field here.
    Field(FieldId),
    /// The device matches this field only whole.
    FieldMask(FieldId),
    /// Its match has bits that no field names, which no rule can say.
    Unnamed {
        /// The word of the key in which they are.
        word: usize,
        /// Which bits of it.
        bits: u64,
    },
    /// The device has no such action here.
    Action(&'static str),
    /// The device cannot write this field.
    SetField(FieldId),
    /// More actions than the device takes.
    TooManyActions {
        /// How many there are.
        have: usize,
        /// How many the device takes.
        limit: usize,
    },
    /// The device sends all copies in one form, and this step comes after an output.
    SecondForm(&'static str),
    /// The device has no stage for recirculated packets, or no room to say where a miss resumes.
    NoResume,
    /// A flow before this one is not in the same device.
    Predecessor,
    /// Every packet goes to the daemon.
    SlowPath,
    /// All of the device's rules are taken, by flows that do not yield.
    TableFull {
        /// How many rules it holds.
        limit: usize,
    },
    /// The flow carries too little traffic to be worth a rule.
    TooSlow {
        /// Its packets a second.
        rate: u64,
        /// What it would take.
        threshold: u64,
    },
    /// The flow is waiting for its turn: insertions a second are limited.
    InsertBudget,
    /// The rule is on its way.
    Pending,
    /// The flow was in hardware a moment ago and must wait before it goes there again.
    CoolingDown,
    /// The device refused the rule.
    Refused(String),
    /// The device is not working.
    DeviceDown(String),
}

impl Reason {
    /// A short word for machines (JSON, statistics).
    pub fn code(&self) -> &'static str {
        match self {
            Reason::Disabled => "disabled",
            Reason::IngressPort(_) => "ingress-port",
            Reason::EgressPort(_) => "egress-port",
            Reason::Field(_) => "field",
            Reason::FieldMask(_) => "field-mask",
            Reason::Unnamed { .. } => "unnamed-bits",
            Reason::Action(_) => "action",
            Reason::SetField(_) => "set-field",
            Reason::TooManyActions { .. } => "too-many-actions",
            Reason::SecondForm(_) => "second-form",
            Reason::NoResume => "no-resume",
            Reason::Predecessor => "predecessor",
            Reason::SlowPath => "slow-path",
            Reason::TableFull { .. } => "table-full",
            Reason::TooSlow { .. } => "too-slow",
            Reason::InsertBudget => "insert-budget",
            Reason::Pending => "pending",
            Reason::CoolingDown => "cooling-down",
            Reason::Refused(_) => "refused",
            Reason::DeviceDown(_) => "device-down",
        }
    }

    /// What the reason is about: a field, an action, a port or a limit.
    pub fn subject(&self) -> Option<String> {
        match self {
            Reason::IngressPort(p) | Reason::EgressPort(p) => Some(format!("port {p}")),
            Reason::Field(f) | Reason::FieldMask(f) | Reason::SetField(f) => Some(f.to_string()),
            Reason::Unnamed { word, bits } => Some(format!("word {word}, {bits:#x}")),
            Reason::Action(a) | Reason::SecondForm(a) => Some((*a).into()),
            Reason::TooManyActions { limit, .. } => Some(format!("{limit} actions")),
            Reason::TableFull { limit } => Some(format!("{limit} rules")),
            Reason::TooSlow { threshold, .. } => Some(format!("{threshold} packets/s")),
            Reason::Refused(what) | Reason::DeviceDown(what) => Some(what.clone()),
            _ => None,
        }
    }

    /// What would put the flow into hardware.
    pub fn remedy(&self) -> &'static str {
        match self {
            Reason::Disabled => "ovs-vsctl set Open_vSwitch . other_config:hw-offload=true",
            Reason::IngressPort(_) => "let the traffic enter by a port of a NIC (type=hal)",
            Reason::EgressPort(_) => "send it to a port of the NIC that it came from",
            Reason::Field(f) if !f.is_openflow() => "a device that can match it (offload/show)",
            Reason::Field(_) => "leave the field out of the OpenFlow rules that the traffic meets",
            Reason::FieldMask(_) => "match the whole field, or none of it",
            Reason::Unnamed { .. } => "nothing: it is a defect of the switch, report it",
            Reason::Action(_) => "use actions that the device has (offload/show)",
            Reason::SetField(_) => "rewrite only fields that the device can write (offload/show)",
            Reason::TooManyActions { .. } => "use fewer actions",
            Reason::SecondForm(_) => "change packets before their first output, or not at all",
            Reason::NoResume => "avoid recirculation, or use a device that can resume a miss",
            Reason::Predecessor => "make the flow before this one fit the same device",
            Reason::SlowPath => "stop sending every packet to the controller or the daemon",
            Reason::TableFull { .. } => "fewer or wider flows, or a device with more rules",
            Reason::TooSlow { .. } => "more traffic, or other_config:offload-admit=always",
            Reason::InsertBudget | Reason::Pending => "nothing: it is on its way",
            Reason::CoolingDown => "nothing: it will be tried again",
            Reason::Refused(_) => "see the log for what the device said",
            Reason::DeviceDown(_) => "repair or reset the device",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Disabled => write!(f, "hardware offload is off"),
            Reason::IngressPort(p) => write!(f, "input port {p} is not on a NIC"),
            Reason::EgressPort(p) => write!(f, "output port {p} is not on the same NIC"),
            Reason::Field(x) => write!(f, "the NIC cannot match {x}"),
            Reason::FieldMask(x) => write!(f, "the NIC cannot match a part of {x}"),
            Reason::Unnamed { word, bits } => {
                write!(
                    f,
                    "no field names bits {bits:#x} of word {word} of its match"
                )
            }
            Reason::Action(a) => write!(f, "the NIC cannot do {a}"),
            Reason::SetField(x) => write!(f, "the NIC cannot write {x}"),
            Reason::TooManyActions { have, limit } => {
                write!(f, "{have} actions, and the NIC takes {limit}")
            }
            Reason::SecondForm(a) => {
                write!(
                    f,
                    "the NIC sends all copies alike, and {a} follows an output"
                )
            }
            Reason::NoResume => write!(f, "the NIC cannot say where a miss resumes"),
            Reason::Predecessor => write!(f, "the flow before it is not in the NIC"),
            Reason::SlowPath => write!(f, "every packet goes to the daemon"),
            Reason::TableFull { limit } => write!(f, "the NIC's rules are all taken ({limit})"),
            Reason::TooSlow { rate, threshold } => {
                write!(f, "{rate} packets/s, worth a rule from {threshold}")
            }
            Reason::InsertBudget => write!(f, "waiting: insertions a second are limited"),
            Reason::Pending => write!(f, "the rule is being inserted"),
            Reason::CoolingDown => write!(f, "was evicted a moment ago"),
            Reason::Refused(what) => write!(f, "the NIC refused it: {what}"),
            Reason::DeviceDown(what) => write!(f, "the NIC is not working: {what}"),
        }
    }
}
