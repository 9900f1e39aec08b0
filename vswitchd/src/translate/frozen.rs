//! Frozen states: a walk that goes on later, when the datapath has looked at the packet anew.
//!
//! A state is a value, interned by its content: equal states have one id, so that a flow that is
//! translated again has the same actions.

use crate::world::BridgeId;
use hal::RecircId;
use imbl::OrdMap;
use openflow::{Action, Cookie, OfPort};
use packet::{FlowState, PACKET_WORDS, STATE_WORDS, TUNNEL_WORDS as TUNNEL};
use std::sync::Arc;

/// What of a packet's state the datapath does not keep for us.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Carried {
    tunnel: [u64; TUNNEL.end - TUNNEL.start],
    pipeline: [u64; STATE_WORDS - PACKET_WORDS],
}

impl Carried {
    /// Takes it from a state.
    pub fn of(state: &FlowState) -> Carried {
        let mut carried = Carried {
            tunnel: Default::default(),
            pipeline: Default::default(),
        };
        carried.tunnel.copy_from_slice(&state.words[TUNNEL]);
        carried
            .pipeline
            .copy_from_slice(&state.words[PACKET_WORDS..]);
        carried
    }

    /// Puts it back.
    pub fn restore(&self, state: &mut FlowState) {
        state.words[TUNNEL].copy_from_slice(&self.tunnel);
        state.words[PACKET_WORDS..].copy_from_slice(&self.pipeline);
    }
}

/// A walk in the middle.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frozen {
    /// The bridge in which it goes on.
    pub bridge: BridgeId,
    /// The table that stands for "this table".
    pub table: u8,
    /// The input port that the pipeline sees.
    pub in_port: OfPort,
    /// The pipeline's own words, registers and metadata, and those of the tunnel, which actions
    /// set ahead of the tunnel's header.
    pub carried: Carried,
    /// Actions still to be done; empty = look up in `table`... of which there is none when the
    /// state only remembers what a packet-in tells.
    pub actions: Vec<Action>,
    /// The action set so far.
    pub action_set: Vec<Action>,
    /// The stack so far: value and bytes of each entry.
    pub stack: Vec<(u128, u8)>,
    /// The cookie of the rule whose actions they are.
    pub cookie: Cookie,
    /// For packet-ins: what the action carries along.
    pub userdata: Vec<u8>,
}

/// Frozen states by id. Cloning it makes a snapshot.
#[derive(Clone, Default)]
pub struct FrozenTable {
    by_id: OrdMap<RecircId, Arc<Frozen>>,
}

impl FrozenTable {
    /// The state of an id.
    pub fn get(&self, id: RecircId) -> Option<&Arc<Frozen>> {
        self.by_id.get(&id)
    }
}

/// Gives out ids for frozen states.
#[derive(Default)]
pub struct Interner {
    ids: std::collections::HashMap<Arc<Frozen>, RecircId>,
    table: FrozenTable,
    next: u32,
}

impl Interner {
    /// The id of a state: the one that it has, or a new one.
    pub fn intern(&mut self, state: Frozen) -> RecircId {
        if let Some(id) = self.ids.get(&state) {
            return *id;
        }
        self.next = self.next.checked_add(1).unwrap_or(1);
        let id = RecircId(self.next);
        let state = Arc::new(state);
        self.ids.insert(state.clone(), id);
        self.table.by_id.insert(id, state);
        id
    }

    /// The states by id, as they are now.
    pub fn snapshot(&self) -> FrozenTable {
        self.table.clone()
    }

    /// Forgets states that `is_used` does not know.
    pub fn collect(&mut self, is_used: &dyn Fn(RecircId) -> bool) {
        let gone: Vec<RecircId> = self
            .table
            .by_id
            .keys()
            .copied()
            .filter(|id| !is_used(*id))
            .collect();
        for id in gone {
            if let Some(state) = self.table.by_id.remove(&id) {
                self.ids.remove(&state);
            }
        }
    }
}
