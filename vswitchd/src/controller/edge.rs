//! Sockets of OpenFlow connections: one task each.

use clock::Clock;
use daemon::stream::{Active, Address, Passive, Stream};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Names a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// Bytes that may wait to be sent before a connection that does not read is given up.
const MAX_BACKLOG: usize = 32 << 20;
/// The port that OpenFlow has by assignment.
const OPENFLOW_PORT: u16 = 6653;

/// Something that arrived.
pub enum Event {
    /// A connection is there.
    Opened {
        /// Its bridge.
        bridge: String,
        /// The target that it came by.
        target: String,
        /// What is to be sent.
        outgoing: mpsc::UnboundedSender<Vec<u8>>,
        /// Its name.
        reply: oneshot::Sender<ConnId>,
    },
    /// A whole message.
    Bytes {
        /// From whom.
        id: ConnId,
        /// The message.
        message: Vec<u8>,
    },
    /// A connection has gone.
    Closed {
        /// Which.
        id: ConnId,
    },
}

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

/// A task that listens or connects; dropping it ends its connections.
pub(super) struct Endpoint(JoinHandle<()>);

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Endpoint {
    pub fn start(
        clock: &Clock,
        bridge: String,
        name: String,
        target: Target,
        max_backoff: Duration,
        events: mpsc::UnboundedSender<Event>,
    ) -> Result<Endpoint, String> {
        let clock = clock.clone();
        let task = match target {
            Target::Passive(passive) => {
                let listener = passive.listen().map_err(|e| daemon::log::reason(&e))?;
                tokio::spawn(async move {
                    let mut tasks = tokio::task::JoinSet::new();
                    loop {
                        match listener.accept().await {
                            Ok((stream, _)) => {
                                let served =
                                    serve(stream, bridge.clone(), name.clone(), events.clone());
                                tasks.spawn(served);
                            }
                            // Out of descriptors, say: others may go soon.
                            Err(_) => clock.sleep(Duration::from_millis(100)).await,
                        }
                        while tasks.try_join_next().is_some() {}
                    }
                })
            }
            Target::Active(active) => tokio::spawn(async move {
                let mut backoff = Duration::from_secs(1);
                loop {
                    tracing::info!(target: "rconn", "{bridge}<->{name}: connecting...");
                    match active.connect().await {
                        Ok(stream) => {
                            tracing::info!(target: "rconn", "{bridge}<->{name}: connected");
                            let began = clock.now();
                            serve(stream, bridge.clone(), name.clone(), events.clone()).await;
                            tracing::info!(target: "rconn",
                                "{bridge}<->{name}: connection closed by peer");
                            if clock.now() - began > max_backoff {
                                backoff = Duration::from_secs(1);
                            }
                        }
                        Err(e) => tracing::warn!(target: "rconn",
                            "{bridge}<->{name}: connection failed ({})", daemon::log::reason(&e)),
                    }
                    clock.sleep(backoff).await;
                    backoff = (backoff * 2).min(max_backoff);
                }
            }),
        };
        Ok(Endpoint(task))
    }
}

/// Moves messages between a socket and the events until either side ends it.
async fn serve(
    stream: Stream,
    bridge: String,
    target: String,
    events: mpsc::UnboundedSender<Event>,
) {
    let (outgoing, mut to_send) = mpsc::unbounded_channel::<Vec<u8>>();
    let (reply, id) = oneshot::channel();
    if events
        .send(Event::Opened {
            bridge,
            target,
            outgoing,
            reply,
        })
        .is_err()
    {
        return;
    }
    let Ok(id) = id.await else { return };
    let mut input = Vec::new();
    let mut output: Vec<u8> = Vec::new();
    'connection: loop {
        tokio::select! {
            message = to_send.recv() => match message {
                Some(bytes) => output.extend(bytes),
                // The owner has dropped it: what is left is still sent.
                None => {
                    while !output.is_empty() {
                        if stream.ready(true).await.is_err() || !write(&stream, &mut output) {
                            break;
                        }
                    }
                    break;
                }
            },
            ready = stream.ready(!output.is_empty()) => {
                if ready.is_err() || !read(&stream, &mut input) {
                    break;
                }
                loop {
                    match openflow::next_message(&input) {
                        Ok(Some(len)) => {
                            let message = input.drain(..len).collect();
                            if events.send(Event::Bytes { id, message }).is_err() {
                                break 'connection;
                            }
                        }
                        Ok(None) => break,
                        Err(e) => {
                            tracing::warn!(target: "vconn", "received bad length: {e}");
                            break 'connection;
                        }
                    }
                }
            }
        }
        if !write(&stream, &mut output) || output.len() > MAX_BACKLOG {
            break;
        }
    }
    let _ = events.send(Event::Closed { id });
}

/// Reads what is there. False at the end.
fn read(stream: &Stream, input: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 16384];
    loop {
        match stream.try_read(&mut buffer) {
            Ok(0) => return false,
            Ok(n) => input.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        }
        if input.len() > 1 << 20 {
            return true;
        }
    }
}

/// Writes what can be written. False at the end.
fn write(stream: &Stream, output: &mut Vec<u8>) -> bool {
    while !output.is_empty() {
        match stream.try_write(output) {
            Ok(0) => return false,
            Ok(n) => drop(output.drain(..n)),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        }
    }
    true
}
