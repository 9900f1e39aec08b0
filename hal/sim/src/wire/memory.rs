//! A wire that ends in this process: for tests, and for devices back to back.

use super::Wire;
use crossbeam_queue::ArrayQueue;
use packet::Packet;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Frames that wait in one direction.
const DEPTH: usize = 65536;

/// The two directions of a wire.
struct Ends {
    to_port: ArrayQueue<Packet>,
    from_port: ArrayQueue<Packet>,
    wake: Mutex<Option<Arc<dyn Fn() + Send + Sync>>>,
}

/// The wires of this process by name, for as long as somebody holds an end.
static WIRES: LazyLock<Mutex<HashMap<String, std::sync::Weak<Ends>>>> =
    LazyLock::new(Mutex::default);

fn ends(name: &str) -> Arc<Ends> {
    let mut wires = WIRES.lock().unwrap_or_else(PoisonError::into_inner);
    wires.retain(|_, ends| ends.strong_count() > 0);
    if let Some(ends) = wires.get(name).and_then(std::sync::Weak::upgrade) {
        return ends;
    }
    let ends = Arc::new(Ends {
        to_port: ArrayQueue::new(DEPTH),
        from_port: ArrayQueue::new(DEPTH),
        wake: Mutex::default(),
    });
    wires.insert(name.into(), Arc::downgrade(&ends));
    ends
}

/// The test's end of the wire `memory:NAME`. It may be taken before or after the port is opened.
pub struct MemoryWire(Arc<Ends>);

impl MemoryWire {
    /// The near end of the wire called `name`.
    pub fn new(name: &str) -> MemoryWire {
        MemoryWire(ends(name))
    }

    /// Sends a frame into the port. False if the wire is full.
    pub fn send(&self, packet: Packet) -> bool {
        let taken = self.0.to_port.push(packet).is_ok();
        let wake = self.0.wake.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wake) = &*wake {
            wake();
        }
        taken
    }

    /// The next frame that left the port.
    pub fn receive(&self) -> Option<Packet> {
        self.0.from_port.pop()
    }
}

struct FarEnd(Arc<Ends>);

pub(super) fn far_end(name: &str, wake: Arc<dyn Fn() + Send + Sync>) -> impl Wire + 'static {
    let ends = ends(name);
    *ends.wake.lock().unwrap_or_else(PoisonError::into_inner) = Some(wake);
    FarEnd(ends)
}

impl Wire for FarEnd {
    fn receive(&self, packet: &mut Packet) -> io::Result<bool> {
        let next = self.0.to_port.pop();
        Ok(next.map(|next| *packet = next).is_some())
    }

    fn send(&self, packet: &Packet) -> io::Result<()> {
        let full = |_| io::Error::from(io::ErrorKind::WouldBlock);
        self.0.from_port.push(packet.clone()).map_err(full)
    }

    fn describe(&self) -> String {
        "memory".into()
    }
}
