//! A port of a device of the host, on a loopback device in a network namespace of its own: what it
//! sends it receives.

use clock::Clock;
use hal::{PacketPort, RxBatch, RxQueue, TxQueue};
use hal_soft::ports::system::SystemPort;
use packet::Packet;
use std::time::Duration;

/// Runs a test in a thread with a network namespace of its own; passes it over without the right
/// to make one.
fn alone(test: fn()) {
    let run = move || {
        // SAFETY: no pointers; only this thread moves to the new namespace.
        let made = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
        if made {
            test();
        } else {
            eprintln!("SKIPPED: needs root, for a network namespace");
        }
    };
    let done = std::thread::spawn(run).join();
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

struct Loop {
    port: SystemPort,
    tx: Box<dyn TxQueue>,
    rx: Box<dyn RxQueue>,
}

impl Loop {
    fn new() -> Loop {
        let port = SystemPort::open("lo").unwrap();
        port.set_admin(true).unwrap();
        let tx = port.open_tx().unwrap();
        let rx = port.take_rx().remove(0);
        assert!(port.take_rx().is_empty());
        Loop { port, tx, rx }
    }

    fn send(&mut self, n: u8, len: usize) -> bool {
        let mut frame = vec![0x02; 12];
        frame.extend([0x88, 0xb5, n]);
        frame.resize(len, n);
        self.tx.send(&Packet::from_frame(&frame))
    }

    /// Exactly these frames arrive: numbers and lengths.
    #[track_caller]
    fn receives(&mut self, expected: &[(u8, usize)]) {
        let mut all = self.received();
        // The kernel may deliver a little later.
        let clock = Clock::real();
        let deadline = clock.now() + Duration::from_secs(20);
        while all.len() < expected.len() && clock.now() < deadline {
            clock.pause_thread(Duration::from_millis(1));
            all.extend(self.received());
        }
        assert_eq!(all, expected);
    }

    /// Numbers and lengths of what has arrived.
    fn received(&mut self) -> Vec<(u8, usize)> {
        let mut all = Vec::new();
        let mut batch = RxBatch::default();
        loop {
            batch.clear();
            self.rx.receive(&mut batch).unwrap();
            if batch.is_empty() {
                return all;
            }
            for (packet, _) in batch.iter_mut() {
                let frame = packet.frame();
                assert!(frame[15..].iter().all(|b| *b == frame[14]));
                all.push((frame[14], frame.len()));
            }
        }
    }
}

#[test]
fn a_batch_goes_out_by_one_call() {
    alone(|| {
        let mut port = Loop::new();
        // More than once around the ring.
        for _ in 0..10 {
            for n in 0..100 {
                assert!(port.send(n, 60 + usize::from(n)));
            }
            port.receives(&[]);
            port.tx.flush();
            let expected: Vec<_> = (0..100).map(|n| (n, 60 + usize::from(n))).collect();
            port.receives(&expected);
        }
    });
}

#[test]
fn long_frames_keep_their_place_among_short_ones() {
    alone(|| {
        let mut port = Loop::new();
        let locks = hal_soft::lock::taken();
        let lengths = [60, 9000, 1514, 2006, 2007, 65535, 100, 65549, 65549, 61];
        for _ in 0..20 {
            for (n, len) in lengths.iter().enumerate() {
                assert!(port.send(n as u8, *len));
            }
            port.tx.flush();
            let expected: Vec<_> = (0..).zip(lengths).collect();
            port.receives(&expected);
        }
        assert_eq!(hal_soft::lock::taken(), locks);
        let counters = port.port.counters();
        assert_eq!(counters.rx_packets, 200);
        let lost = [counters.rx_dropped, counters.rx_errors, counters.tx_dropped];
        assert_eq!(lost, [0, 0, 0]);
    });
}

#[test]
fn what_a_device_that_is_down_refuses_is_counted_and_does_not_come_later() {
    alone(|| {
        let mut port = Loop::new();
        for round in 1..=5u64 {
            port.port.set_admin(false).unwrap();
            for n in 0..70 {
                port.send(n, 60);
                if n % 7 == 0 {
                    port.tx.flush();
                }
            }
            // One that goes around the ring.
            port.send(70, 9000);
            port.tx.flush();
            assert_eq!(port.port.counters().tx_dropped, 71 * round);
            port.port.set_admin(true).unwrap();
            for n in 100..200 {
                assert!(port.send(n, 60));
            }
            port.tx.flush();
            let expected: Vec<_> = (100..200).map(|n| (n, 60)).collect();
            port.receives(&expected);
        }
    });
}

#[test]
fn a_frame_longer_than_the_device_carries_is_counted() {
    alone(|| {
        let mut port = Loop::new();
        port.port.set_mtu(1000).unwrap();
        assert!(port.send(1, 1014));
        assert!(!port.send(2, 1015));
        assert!(port.send(3, 1014));
        port.tx.flush();
        port.receives(&[(1, 1014), (3, 1014)]);
        assert_eq!(port.port.counters().tx_dropped, 1);
    });
}

#[test]
fn a_burst_that_finds_no_room_is_counted() {
    alone(|| {
        let mut port = Loop::new();
        for n in 0..400u32 {
            port.send(n as u8, 60);
            if n % 20 == 19 {
                port.tx.flush();
            }
        }
        let clock = Clock::real();
        let deadline = clock.now() + Duration::from_secs(20);
        while port.port.counters().rx_packets < 400 && clock.now() < deadline {
            clock.pause_thread(Duration::from_millis(1));
        }
        let received = port.received().len() as u64;
        assert!(received < 400);
        assert_eq!(port.port.counters().rx_dropped, 400 - received);
        // And the ring goes on.
        port.send(7, 60);
        port.tx.flush();
        port.receives(&[(7, 60)]);
    });
}
