//! Wires: what a port's far side is connected to.

mod memory;
mod packet_socket;
mod pcap;
mod sys;
mod tap;
mod vnet;

pub use memory::MemoryWire;
pub(crate) use sys::Bell;
pub(crate) use sys::wait_readable;

use clock::Clock;
use hal::PortError;
use packet::Packet;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;

/// The longest frame: 64 KiB of segments to be cut, and headers.
const MAX_FRAME: usize = 65536 + 256;

/// The far side of a port.
pub(crate) trait Wire: Send + Sync {
    /// Takes the next frame that comes in; false if there is none.
    fn receive(&self, packet: &mut Packet) -> io::Result<bool>;

    /// Sends a frame out.
    fn send(&self, packet: &Packet) -> io::Result<()>;

    /// What to wait on; none = nothing comes without notice.
    fn fd(&self) -> Option<RawFd> {
        None
    }

    /// Whether there is somebody at the other end.
    fn carrier(&self) -> bool {
        true
    }

    /// Whether what the wire was made of is still there; the reason if not.
    fn look_again(&self) -> Result<(), PortError> {
        Ok(())
    }

    /// Words for a port's status.
    fn describe(&self) -> String;
}

/// Connects the wire that `text` names. `wake` is called, from any thread, when a frame begins to
/// wait in a wire that has nothing to wait on; `clock` dates what is written to files.
pub(crate) fn connect(
    port: &str,
    text: &str,
    wake: Arc<dyn Fn() + Send + Sync>,
    clock: &Clock,
) -> Result<Arc<dyn Wire>, PortError> {
    let bad = |why: String| PortError::BadOption {
        name: port.into(),
        why,
    };
    let (kind, rest) = text
        .split_once(':')
        .filter(|(_, rest)| !rest.is_empty())
        .ok_or_else(|| {
            bad(format!(
                "wire {text}: not tap:IFNAME, packet:IFNAME or pcap:IN[,OUT]"
            ))
        })?;
    Ok(match kind {
        "tap" => Arc::new(tap::TapWire::open(rest)?),
        "packet" => Arc::new(packet_socket::PacketWire::open(rest)?),
        "pcap" => Arc::new(pcap::PcapWire::open(rest, clock.clone()).map_err(bad)?),
        "memory" => Arc::new(memory::far_end(rest, wake)),
        _ => {
            return Err(bad(format!(
                "wire {text}: {kind} is not a kind of wire; there are tap, packet and pcap"
            )));
        }
    })
}

/// The system's word for an error, without its number.
fn reason(e: &io::Error) -> String {
    let text = e.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text.chars().take(end).collect()
}
