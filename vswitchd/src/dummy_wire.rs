//! What a dummy port is connected to: dummy ports of this or another switch, over streams
//! (`options:pstream` waits for any number of them, `options:stream` goes to one).
//!
//! On the stream each frame comes after its length, two bytes in network order. A frame that finds
//! [`BACKLOG`] others waiting is lost.

use clock::Clock;
use daemon::stream::{Active, Address, OVSDB_PORT, Stream};
use hal_soft::ports::dummy::DummyPort;
use packet::Packet;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// Frames that may wait to leave.
const BACKLOG: usize = 100;
/// The shortest frame: an Ethernet header.
const SHORTEST: usize = 14;
/// The first pause before a stream is tried again, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(8));

/// Called when a port has received something.
pub type Bell = Arc<dyn Fn() + Send + Sync>;

/// A port's connections. They end with the value.
pub struct DummyWire {
    address: String,
    passive: bool,
    port: DummyPort,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// What each connection needs.
#[derive(Clone)]
struct Ends {
    port: DummyPort,
    bell: Bell,
    sent: broadcast::Sender<Arc<[u8]>>,
    connections: Arc<AtomicUsize>,
}

impl DummyWire {
    /// Connects a port: `passive` waits, otherwise it goes there.
    ///
    /// # Errors
    /// The address cannot be read or listened on.
    pub fn open(
        port: DummyPort,
        address: &str,
        passive: bool,
        clock: Clock,
        bell: Bell,
    ) -> Result<DummyWire, String> {
        let ends = Ends {
            port: port.clone(),
            bell,
            sent: broadcast::channel(BACKLOG).0,
            connections: Arc::default(),
        };
        let connections = ends.connections.clone();
        let sent = ends.sent.clone();
        let failed = |why: &dyn std::fmt::Display| format!("{address}: open failed ({why})");
        let task = match Address::parse(address, OVSDB_PORT).map_err(|e| failed(&e))? {
            Address::Passive(place) if passive => {
                let listener = place.listen().map_err(|e| failed(&e))?;
                tokio::spawn(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        let ends = ends.clone();
                        tokio::spawn(async move { ends.carry(stream).await });
                    }
                })
            }
            Address::Active(place) if !passive => tokio::spawn(keep_connected(place, ends, clock)),
            _ => return Err(failed(&"Address family not supported by protocol")),
        };
        port.set_far_side(Some(Box::new(move |frame: &[u8]| {
            // Nobody may be connected.
            let _ = sent.send(frame.into());
        })));
        Ok(DummyWire {
            address: address.into(),
            passive,
            port,
            connections,
            task,
        })
    }

    /// Where it is connected to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the far side is there; none for a port that waits, which may do so for ever.
    pub fn is_connected(&self) -> Option<bool> {
        (!self.passive).then(|| self.connections.load(Relaxed) > 0)
    }
}

impl Drop for DummyWire {
    fn drop(&mut self) {
        self.task.abort();
        // The last sender goes with it, and so do the connections' tasks.
        self.port.set_far_side(None);
    }
}

async fn keep_connected(place: Active, ends: Ends, clock: Clock) {
    let mut pause = BACKOFF.0;
    loop {
        if let Ok(stream) = place.connect().await {
            ends.clone().carry(stream).await;
            pause = BACKOFF.0;
        }
        clock.sleep(pause).await;
        pause = (pause * 2).min(BACKOFF.1);
    }
}

impl Ends {
    /// Carries frames both ways until either side ends.
    async fn carry(self, stream: Stream) {
        let Ends {
            port,
            bell,
            sent,
            connections,
        } = self;
        // Once the port has no wire, nobody sends and the connection ends.
        let mut sent = {
            let sender = sent;
            sender.subscribe()
        };
        connections.fetch_add(1, Relaxed);
        let into = receive(&stream, &port, &bell);
        let out = async {
            loop {
                match sent.recv().await {
                    Ok(frame) => send(&stream, &frame).await?,
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                }
            }
        };
        let ended = first(into, out).await;
        connections.fetch_sub(1, Relaxed);
        if let Err(why) = ended {
            tracing::debug!(target: "netdev_dummy", "closing connection ({why})");
        }
    }
}

/// The first of two to end.
async fn first(
    a: impl Future<Output = io::Result<()>>,
    b: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    tokio::select! {
        done = a => done,
        done = b => done,
    }
}

async fn send(stream: &Stream, frame: &[u8]) -> io::Result<()> {
    let Ok(len) = u16::try_from(frame.len()) else {
        // The format has no room for it.
        return Ok(());
    };
    let mut bytes = len.to_be_bytes().to_vec();
    bytes.extend_from_slice(frame);
    let mut left = bytes.as_slice();
    while !left.is_empty() {
        stream.writable().await?;
        match stream.try_write(left) {
            Ok(n) => left = left.get(n..).unwrap_or_default(),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

async fn receive(stream: &Stream, port: &DummyPort, bell: &Bell) -> io::Result<()> {
    let mut waiting = Vec::new();
    let mut buffer = [0; 1 << 12];
    loop {
        stream.ready(false).await?;
        match stream.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => waiting.extend_from_slice(buffer.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
            Err(e) => return Err(e),
        }
        while let Some((head, rest)) = waiting.split_first_chunk::<2>() {
            let len = usize::from(u16::from_be_bytes(*head));
            if len < SHORTEST {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let Some(frame) = rest.get(..len) else { break };
            port.inject(Packet::from_frame(frame));
            waiting.drain(..2 + len);
        }
        bell();
    }
}
