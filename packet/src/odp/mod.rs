//! The text of datapath flows.
use crate::{FlowMask, PacketKey};
/// Shows a key.
pub fn format_key(key: &PacketKey, _mask: Option<&FlowMask>) -> String {
    format!("{:?}", crate::FlowState::from_key(key))
}
