//! Sockets of OpenFlow connections: one task each, and nothing waits without bound.
//!
//! A [`Pipe`] is what the one task that owns the switch has of a socket. Messages come through a
//! queue of [`INBOX`] places; while it is full the socket is not read, so a peer that sends faster
//! than it is served waits in its own kernel. What is to be sent is counted until it has left, by
//! [`Class`]: the owner takes no further message from a peer whose replies pile up, and drops
//! packets for one that does not read.

use clock::Clock;
use daemon::stream::{Active, Address, Passive, Stream};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// Messages that may wait to be handled.
const INBOX: usize = 50;
/// Bytes that are read at once.
const READ: usize = 64 << 10;
/// Connections that may wait to be taken.
const ACCEPTED: usize = 16;
/// The port that OpenFlow has by assignment.
const OPENFLOW_PORT: u16 = 6653;

/// Where connections come from or go to.
pub(super) enum Target {
    Active(Active),
    Passive(Passive),
}

impl Target {
    pub fn parse(text: &str) -> Result<Target, String> {
        match Address::parse(text, OPENFLOW_PORT) {
            Ok(Address::Active(a)) => Ok(Target::Active(a)),
            Ok(Address::Passive(p)) => Ok(Target::Passive(p)),
            Err(e) => Err(e.to_string()),
        }
    }
}

/// What a message is, for the count of those that have not left yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// An answer, or something as good as one: who asks for more must have read it.
    Reply,
    /// A packet for the controller.
    PacketIn,
    /// Anything else, which is rare or copied.
    Other,
}

/// Messages that have not left yet.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    counts: [AtomicUsize; 3],
    gone: AtomicBool,
}

impl Backlog {
    fn add(&self, class: Class) {
        self.counts[class as usize].fetch_add(1, Relaxed);
    }

    fn sent(&self, class: Class) {
        self.counts[class as usize].fetch_sub(1, Relaxed);
    }

    /// How many of a class wait; none for a peer that has gone.
    pub fn of(&self, class: Class) -> usize {
        if self.gone.load(Relaxed) {
            return 0;
        }
        self.counts[class as usize].load(Relaxed)
    }

    /// How many wait in all.
    pub fn len(&self) -> usize {
        self.counts.iter().map(|n| n.load(Relaxed)).sum()
    }
}

/// What comes out of a pipe.
pub(super) enum Arrival {
    /// A whole message.
    Message(Vec<u8>),
    /// The peer has closed the connection.
    Closed,
    /// The connection broke.
    Failed(String),
}

/// A socket as its owner sees it. Dropping it closes the socket, after what the kernel takes at
/// once of what is to be sent.
pub(super) struct Pipe {
    outgoing: mpsc::UnboundedSender<(Class, Vec<u8>)>,
    incoming: mpsc::Receiver<Arrival>,
    pub backlog: Arc<Backlog>,
}

impl Pipe {
    /// Serves a socket. `bell` is rung whenever there may be something to do for the owner.
    pub fn start(stream: Stream, bell: Arc<Notify>) -> Pipe {
        let (outgoing, to_send) = mpsc::unbounded_channel();
        let (arrived, incoming) = mpsc::channel(INBOX);
        let backlog = Arc::new(Backlog::default());
        let carrier = Carrier {
            stream,
            arrived,
            to_send,
            backlog: backlog.clone(),
            bell,
            input: Vec::new(),
            begin: 0,
            output: VecDeque::new(),
            written: 0,
        };
        tokio::spawn(carrier.run());
        Pipe {
            outgoing,
            incoming,
            backlog,
        }
    }

    pub fn send(&self, class: Class, bytes: Vec<u8>) {
        self.backlog.add(class);
        if self.outgoing.send((class, bytes)).is_err() {
            self.backlog.sent(class);
        }
    }

    pub fn try_next(&mut self) -> Option<Arrival> {
        match self.incoming.try_recv() {
            Ok(arrival) => Some(arrival),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Arrival::Closed),
        }
    }

    pub fn has_next(&self) -> bool {
        !self.incoming.is_empty()
    }
}

/// The task of one socket.
struct Carrier {
    stream: Stream,
    arrived: mpsc::Sender<Arrival>,
    to_send: mpsc::UnboundedReceiver<(Class, Vec<u8>)>,
    backlog: Arc<Backlog>,
    bell: Arc<Notify>,
    /// What was read; messages begin at `begin`.
    input: Vec<u8>,
    begin: usize,
    /// What is to be sent; of the first, `written` bytes have left.
    output: VecDeque<(Class, Vec<u8>)>,
    written: usize,
}

impl Carrier {
    async fn run(mut self) {
        let last = match self.carry().await {
            Ok(true) => Arrival::Closed,
            Ok(false) => return,
            Err(why) => Arrival::Failed(why),
        };
        self.backlog.gone.store(true, Relaxed);
        self.bell.notify_one();
        if self.arrived.send(last).await.is_ok() {
            self.bell.notify_one();
        }
    }

    /// Moves messages until the peer ends it (true) or the owner does (false).
    async fn carry(&mut self) -> Result<bool, String> {
        let failed = |e: std::io::Error| daemon::log::reason(&e);
        loop {
            self.write().map_err(failed)?;
            let next = openflow::next_message(&self.input[self.begin..]);
            let len = next.map_err(|e| {
                tracing::warn!(target: "vconn", "received bad length: {e}");
                "Protocol error".to_owned()
            })?;
            let arrived = self.arrived.clone();
            tokio::select! {
                biased;
                message = self.to_send.recv() => match message {
                    Some(message) => {
                        self.output.push_back(message);
                        while let Ok(message) = self.to_send.try_recv() {
                            self.output.push_back(message);
                        }
                    }
                    None => {
                        let _ = self.write();
                        return Ok(false);
                    }
                },
                place = arrived.reserve(), if len.is_some() => {
                    let Ok(place) = place else { return Ok(false) };
                    let end = self.begin + len.unwrap_or_default();
                    place.send(Arrival::Message(self.input[self.begin..end].to_vec()));
                    self.begin = end;
                    self.bell.notify_one();
                }
                ready = self.stream.ready(false), if len.is_none() => {
                    ready.map_err(failed)?;
                    if !self.read().map_err(failed)? {
                        return Ok(true);
                    }
                }
                ready = self.stream.writable(), if !self.output.is_empty() => ready.map_err(failed)?,
            }
        }
    }

    /// Reads what is there. False at the end.
    fn read(&mut self) -> std::io::Result<bool> {
        self.input.drain(..self.begin);
        self.begin = 0;
        let had = self.input.len();
        self.input.resize(had + READ, 0);
        let result = self.stream.try_read(&mut self.input[had..]);
        self.input
            .truncate(had + result.as_ref().copied().unwrap_or(0));
        match result {
            Ok(n) => Ok(n > 0),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// Writes what can be written.
    fn write(&mut self) -> std::io::Result<()> {
        while let Some((class, bytes)) = self.output.front() {
            match self.stream.try_write(&bytes[self.written..]) {
                Ok(n) => self.written += n,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
            if self.written >= bytes.len() {
                self.backlog.sent(*class);
                self.output.pop_front();
                self.written = 0;
                if self.backlog.of(Class::Reply) < super::connection::REPLIES {
                    // Its owner may take messages again.
                    self.bell.notify_one();
                }
            }
        }
        Ok(())
    }
}

/// A task that ends with its handle.
pub(super) struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Somewhere where connections arrive.
pub(super) struct Listening {
    accepted: mpsc::Receiver<(Pipe, String)>,
    _task: Task,
}

impl Listening {
    pub fn start(passive: &Passive, bell: Arc<Notify>, clock: Clock) -> Result<Listening, String> {
        let listener = passive.listen().map_err(|e| daemon::log::reason(&e))?;
        let (sender, accepted) = mpsc::channel(ACCEPTED);
        let task = tokio::spawn(async move {
            while let Ok(place) = sender.reserve().await {
                match listener.accept().await {
                    Ok((stream, name)) => {
                        place.send((Pipe::start(stream, bell.clone()), name));
                        bell.notify_one();
                    }
                    Err(e) => {
                        tracing::warn!(target: "connmgr",
                            "accept failed ({})", daemon::log::reason(&e));
                        // Out of descriptors, say: others may go soon.
                        clock.sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        Ok(Listening {
            accepted,
            _task: Task(task),
        })
    }

    pub fn try_next(&mut self) -> Option<(Pipe, String)> {
        self.accepted.try_recv().ok()
    }
}

/// An attempt to connect.
pub(super) struct Dial {
    outcome: oneshot::Receiver<Result<Pipe, String>>,
    _task: Task,
}

impl Dial {
    pub fn start(active: Active, bell: Arc<Notify>) -> Dial {
        let (sender, outcome) = oneshot::channel();
        let task = tokio::spawn(async move {
            let opened = active.connect().await;
            let opened = opened
                .map(|stream| Pipe::start(stream, bell.clone()))
                .map_err(|e| daemon::log::reason(&e));
            let _ = sender.send(opened);
            bell.notify_one();
        });
        Dial {
            outcome,
            _task: Task(task),
        }
    }

    pub fn try_outcome(&mut self) -> Option<Result<Pipe, String>> {
        self.outcome.try_recv().ok()
    }
}
