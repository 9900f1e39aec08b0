//! Many bytes from one machine to another, the same at both ends.
//!
//! TCP is itself. UDP is given a window and answers of its own (each datagram is numbered; the
//! receiver answers with the number that it waits for), so that nothing may be lost, however slow
//! the machine: what is compared is bytes, never time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use crate::Netns;

/// How long one side waits for the other before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the sender of datagrams waits before it sends its window again.
const AGAIN: Duration = Duration::from_millis(200);
/// Datagrams under way at most.
const WINDOW: u64 = 48;
/// Bytes of data in a datagram: with its number, what fits an Ethernet frame of 1500.
const DATAGRAM: u64 = 1400;

/// A sum of bytes in their order (FNV-1a, 64 bits).
struct Sum {
    bytes: u64,
    hash: u64,
}

impl Sum {
    fn new() -> Sum {
        Sum {
            bytes: 0,
            hash: 0xcbf2_9ce4_8422_2325,
        }
    }

    fn add(&mut self, data: &[u8]) {
        for byte in data {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
        self.bytes += u64::try_from(data.len()).unwrap_or(0);
    }

    fn value(&self) -> (u64, u64) {
        (self.bytes, self.hash)
    }
}

/// Sends `bytes` random bytes over TCP from one machine to an address of the other, and checks
/// that the same arrive.
pub fn tcp(from: &Netns, to: &Netns, address: &str, bytes: u64) {
    let address: SocketAddr = format!("{address}:7001").parse().expect("an address");
    let listener = to
        .enter(|| TcpListener::bind(address))
        .expect("a listening socket");
    let receiver = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        let mut sum = Sum::new();
        let mut buffer = vec![0; 1 << 18];
        loop {
            match stream.read(&mut buffer).expect("the stream goes on") {
                0 => return sum.value(),
                n => sum.add(&buffer[..n]),
            }
        }
    });
    let mut stream = from
        .enter(|| TcpStream::connect_timeout(&address, PATIENCE))
        .expect("a connection through the switch");
    stream
        .set_write_timeout(Some(PATIENCE))
        .expect("a deadline");
    let mut rng = fastrand::Rng::with_seed(bytes);
    let mut sum = Sum::new();
    let mut buffer = vec![0; 1 << 16];
    let mut left = bytes;
    while left > 0 {
        let size = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        rng.fill(&mut buffer[..size]);
        sum.add(&buffer[..size]);
        stream
            .write_all(&buffer[..size])
            .expect("the stream goes on");
        left -= u64::try_from(size).unwrap_or(left);
    }
    drop(stream);
    assert_eq!(receiver.join().expect("the receiver"), sum.value());
}

/// The data of datagram `number`.
fn datagram(number: u64, size: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(number);
    let size = usize::try_from(size).expect("a datagram's size");
    let mut data = vec![0; 8 + size];
    data[..8].copy_from_slice(&number.to_be_bytes());
    rng.fill(&mut data[8..]);
    data
}

/// Sends `bytes` random bytes over UDP from one machine to an address of the other, and checks
/// that the same arrive.
pub fn udp(from: &Netns, to: &Netns, address: &str, bytes: u64) {
    let address: SocketAddr = format!("{address}:7002").parse().expect("an address");
    let count = bytes.div_ceil(DATAGRAM);
    let size = move |number: u64| DATAGRAM.min(bytes - number * DATAGRAM);
    let socket = to.enter(|| UdpSocket::bind(address)).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    let receiver = thread::spawn(move || {
        let mut sum = Sum::new();
        let mut next = 0u64;
        let mut buffer = [0; 2048];
        while next < count {
            let (got, peer) = socket.recv_from(&mut buffer).expect("a datagram");
            if let Some((number, data)) = buffer[..got].split_first_chunk::<8>()
                && u64::from_be_bytes(*number) == next
            {
                sum.add(data);
                next += 1;
            }
            socket
                .send_to(&next.to_be_bytes(), peer)
                .expect("an answer");
        }
        // The last answer may be lost: it is given again as long as somebody asks.
        socket
            .set_read_timeout(Some(5 * AGAIN))
            .expect("a deadline");
        while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&next.to_be_bytes(), peer);
        }
        sum.value()
    });
    let sender = from
        .enter(|| {
            let any = SocketAddr::from(([0, 0, 0, 0], 0));
            UdpSocket::bind(any).and_then(|s| s.connect(address).map(|()| s))
        })
        .expect("a socket");
    sender.set_read_timeout(Some(AGAIN)).expect("a deadline");
    let (mut first, mut next, mut silent) = (0u64, 0u64, 0u32);
    while first < count {
        while next < count && next < first + WINDOW {
            // A full device is a lost datagram like another.
            let _ = sender.send(&datagram(next, size(next)));
            next += 1;
        }
        let mut answer = [0; 8];
        match sender.recv(&mut answer) {
            Ok(8) => {
                first = first.max(u64::from_be_bytes(answer)).min(count);
                next = next.max(first);
                silent = 0;
            }
            _ => {
                next = first;
                silent += 1;
                assert!(silent < 150, "no answer to datagram {first} of {count}");
            }
        }
    }
    let mut sum = Sum::new();
    for number in 0..count {
        sum.add(&datagram(number, size(number))[8..]);
    }
    assert_eq!(receiver.join().expect("the receiver"), sum.value());
}
