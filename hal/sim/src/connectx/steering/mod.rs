//! Steering: tables of entries that say what becomes of a frame.
//!
//! ```text
//!  send queue ─▶ NIC TX ─▶ ingress ACL ─▶ FDB ─▶ egress ACL ─▶ NIC RX ─▶ TIR
//!        wire of a vport ────▶ (of the vport)      (of the vport) ─▶ wire of a vport
//! ```
//!
//! A *table* has a level and rows by index. *Groups* divide the rows and say which bits of a frame
//! their rows look at; an *entry* fills a row with values and actions. The row with the lowest
//! index wins. What no row matches goes where the table says: on to another table, or on to what
//! is usual for the kind of table.
//!
//! * [`parse`] and [`matching`]: what a frame is.
//! * [`table`] and [`entry`]: commands that change tables, with their checks.
//! * [`walk`]: a frame's way through tables. [`modify`] and [`reformat`] change it on the way,
//!   [`counter`] counts it.

pub(super) mod counter;
pub(super) mod entry;
pub(super) mod matching;
pub(super) mod modify;
pub(super) mod parse;
pub(super) mod reformat;
pub(super) mod table;
pub(super) mod walk;

use counter::Counters;
use hal_mlx_prm::context::TableType;
use modify::Modify;
use packet::Packet;
use reformat::Reformat;
use std::collections::{BTreeMap, BTreeSet};
use table::FlowTable;

/// A frame on its way, with what the device knows of it.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub packet: Packet,
    /// The vport that it came from.
    pub source_port: u16,
    /// The send queue that it came from; 0 = none.
    pub source_queue: u32,
    pub register_a: u32,
    pub register_b: u32,
    pub register_c: [u32; 8],
    pub flow_tag: u32,
}

impl Frame {
    pub fn new(packet: Packet, source_port: u16) -> Frame {
        Frame {
            packet,
            source_port,
            source_queue: 0,
            register_a: 0,
            register_b: 0,
            register_c: [0; 8],
            flow_tag: 0,
        }
    }
}

/// Tables and what their entries use.
#[derive(Debug)]
pub(super) struct Steering {
    pub tables: BTreeMap<u32, FlowTable>,
    /// The first table of a kind, for a vport.
    pub roots: BTreeMap<(u8, u16), u32>,
    pub counters: Counters,
    pub modifies: BTreeMap<u32, Modify>,
    pub reformats: BTreeMap<u32, Reformat>,
    /// Ports on which VXLAN is expected.
    pub vxlan: BTreeSet<u16>,
    /// Entries in all tables.
    pub entries: usize,
    /// Frames that ended because they went on for too long.
    pub loops: u64,
    next_group: u32,
}

impl Default for Steering {
    fn default() -> Steering {
        Steering {
            tables: BTreeMap::new(),
            roots: BTreeMap::new(),
            counters: Counters::default(),
            modifies: BTreeMap::new(),
            reformats: BTreeMap::new(),
            vxlan: [parse::VXLAN_PORT].into(),
            entries: 0,
            loops: 0,
            next_group: 1,
        }
    }
}

impl Steering {
    /// The first table of a kind for a vport, if one was set.
    pub fn root(&self, kind: TableType, vport: u16) -> Option<u32> {
        self.roots.get(&(kind as u8, vport)).copied()
    }
}
