//! Datapaths without bridges, made by hand (`dpctl/add-dp`).
//!
//! Nobody translates for them: a packet that no flow of theirs matches is dropped.

use clock::Time;
use hal::{Datapath, DpPort};
use std::collections::BTreeMap;

/// Upcalls thrown away at once.
const BATCH: usize = 256;

/// A datapath without bridges.
pub struct BareDatapath {
    /// The fabric.
    pub datapath: Box<dyn Datapath>,
    /// What its ports were opened with.
    pub options: BTreeMap<DpPort, BTreeMap<String, String>>,
}

impl BareDatapath {
    /// The port that a datapath is born with and that stays as long as it does.
    pub const LOCAL: DpPort = DpPort(0);

    /// A datapath without ports.
    pub fn new(datapath: Box<dyn Datapath>) -> BareDatapath {
        BareDatapath {
            datapath,
            options: BTreeMap::new(),
        }
    }

    /// Moves packets. True if there may be more.
    pub fn run(&mut self, now: Time) -> bool {
        let polled = self.datapath.turn(now);
        let missed = self.datapath.upcalls(BATCH);
        polled != hal::Work::Idle || !missed.is_empty()
    }
}
