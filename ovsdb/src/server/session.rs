//! One client: its monitors, and what is queued for it.

use super::sync::Barrier;
use crate::monitor::{Pending, Spec};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A client's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Bytes queued for one client, beyond which updates are merged instead of queued.
pub const BACKLOG_LIMIT: usize = 1 << 20;

/// A message on its way out: text of its own, shared text in the middle, text of its own.
struct Outgoing {
    head: String,
    shared: Option<Arc<str>>,
    tail: &'static str,
    after: Option<Barrier>,
}

impl Outgoing {
    fn len(&self) -> usize {
        self.head.len() + self.shared.as_ref().map_or(0, |s| s.len()) + self.tail.len()
    }
}

/// One monitor of a client.
pub struct Monitor {
    /// The database.
    pub db: String,
    /// What it watches.
    pub spec: Arc<Spec>,
    /// What the client was not told yet because it reads too slowly.
    pub pending: Pending,
}

/// One client.
pub struct Session {
    queue: VecDeque<Outgoing>,
    /// Bytes in the queue.
    backlog: usize,
    wake: Box<dyn Fn() + Send>,
    /// Its monitors, by the JSON text of their ids.
    pub monitors: BTreeMap<String, Monitor>,
    /// Whether it knows what to do when a database comes, goes or is converted.
    pub db_change_aware: bool,
    /// Whether its connection may not change anything.
    pub read_only: bool,
    /// Whether the connection is to be closed.
    pub doomed: bool,
}

impl Session {
    /// A client; `wake` is called when there is something to send.
    pub fn new(read_only: bool, wake: Box<dyn Fn() + Send>) -> Session {
        Session {
            queue: VecDeque::new(),
            backlog: 0,
            wake,
            monitors: BTreeMap::new(),
            db_change_aware: false,
            read_only,
            doomed: false,
        }
    }

    /// Queues a message.
    pub fn push(&mut self, text: String, after: Option<Barrier>) {
        self.push_shared(text, None, "", after);
    }

    /// Queues a message with shared text in the middle.
    pub fn push_shared(
        &mut self,
        head: String,
        shared: Option<Arc<str>>,
        tail: &'static str,
        after: Option<Barrier>,
    ) {
        // Nothing more is said to a client that is being cut off.
        if self.doomed {
            return;
        }
        let message = Outgoing {
            head,
            shared,
            tail,
            after,
        };
        self.backlog += message.len();
        self.queue.push_back(message);
        (self.wake)();
    }

    /// Wakes the task that sends.
    pub fn wake(&self) {
        (self.wake)();
    }

    /// Bytes queued.
    pub fn backlog(&self) -> usize {
        self.backlog
    }

    /// Whether updates are to be merged rather than queued.
    pub fn is_slow(&self) -> bool {
        self.backlog > BACKLOG_LIMIT
    }

    /// Moves what may be sent now into `out`, up to about `limit` bytes. The order is kept: a message
    /// whose transaction is not on the disk yet holds back all that follow.
    pub fn take(&mut self, out: &mut Vec<u8>, limit: usize) {
        while out.len() < limit
            && let Some(message) = self.queue.front()
            && message.after.as_ref().is_none_or(Barrier::is_passed)
            && let Some(message) = self.queue.pop_front()
        {
            self.backlog = self.backlog.saturating_sub(message.len());
            out.extend_from_slice(message.head.as_bytes());
            if let Some(shared) = &message.shared {
                out.extend_from_slice(shared.as_bytes());
            }
            out.extend_from_slice(message.tail.as_bytes());
        }
    }
}
