//! The text in which datapath flows are shown and read: `in_port(1),eth_type(0x0800),ipv4(...)`.
//!
//! The layout is Open vSwitch's (ovs-dpctl(8)): attributes by header, members by field, `/mask`
//! where a field is not wanted whole. One table, [`attr::ATTRS`](mod@attr), serves both ways.

mod attr;
mod flags;
mod format;
mod parse;
mod value;

pub use flags::{format_ct_state, format_tcp_flags};
pub use format::{FlowText, format_key};
pub use parse::{OdpError, parse_flow, parse_key};
pub use value::{format_ipv6, format_mac, parse_mac};

pub use attr::{SetMember, set_member};
