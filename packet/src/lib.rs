//! Packets: their bytes, their fields, and the keys by which a switch knows them.
//!
//! * [`FieldId`] names a row of the *field table*, the single truth about every field that can be
//!   matched: its names, its numbers on the wire, its width, what must be matched before it, and
//!   its place in the key. Add a field there and every other room has it.
//! * [`PacketKey`] is what a datapath can match, in a sparse form that caches hash and compare as
//!   it is. [`FlowMask`] says which of its bits count: the two together are a megaflow's match.
//! * [`FlowState`] is the key in expanded form with the pipeline's registers and metadata behind
//!   it; [`Match`] is what an OpenFlow rule wants of it.
//! * [`Packet`] is a frame in a buffer with room in front, with what the host left unfinished
//!   (checksums to fill in, segments to cut); [`parse()`] reads its key, [`edit`] rewrites it.
//! * [`odp`] is the text in which datapath flows are shown and read.
//!
//! ```text
//!   Packet --parse--> PacketKey --expand--> FlowState (+ registers, metadata)
//!                        |  masked by FlowMask             | wanted by Match
//!                     megaflow                       OpenFlow rule
//! ```
#![forbid(unsafe_code)]

pub mod checksum;
mod compose;
pub mod edit;
mod field;
mod frame;
mod hash;
mod id;
mod key;
mod layout;
mod matching;
mod parse;
mod segment;
mod table;
mod whole;

pub mod odp;

/// Places in a row of words that are not the whole of one field.
pub mod slots {
    pub use crate::layout::{
        MPLS_LSE, NW_PROTO, NW_TOS, TP_DST, TP_SRC, VLAN_TCI, VLAN_TPID, VLAN2_TCI, VLAN2_TPID,
    };
}

pub use compose::{compose, compose_with};
pub use field::{Field, Format, Maskable, OdpAttr, Owner, Oxm, OxmClass, Prereq, Since};
pub use frame::{HEADROOM, Layers, Packet, PartialChecksum, SegmentKind, Segmentation};
pub use hash::Mixer;
pub use key::{FlowMask, FlowState, PacketKey, StateMask};
pub use layout::{PACKET_WORDS, STATE_WORDS, Slot, TUNNEL_WORDS};
pub use matching::{CompactMatch, Match, VLAN_PRESENT};
pub use parse::{
    MAX_VLAN_HEADERS, Metadata, ethertype, frag, ipproto, parse, parse_frame, set_vlan_limit,
    vlan_limit,
};
pub use segment::segments;
pub use table::{FIELD_COUNT, FieldId};
pub use whole::whole_mask;
