//! The driver's bench: a simulated NIC in this process, in virtual time.
#![allow(dead_code, reason = "each test uses a part of it")]

use clock::Clock;
use hal::pci::PciFunction;
use hal::{
    Completion, DpPort, FlowDevice, Outcome, PacketPort, Rule, RuleHandle, RuleKey, RuleOp,
    RxQueue, TxQueue, Work,
};
use hal_mlx::{MlxDevice, Patience};
use hal_sim::MemoryWire;
use hal_sim::connectx::{ConnectX, ConnectXSettings};
use hal_sim::contract;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub struct Bench {
    pub nic: Arc<ConnectX>,
    pub device: PciFunction,
    pub clock: Clock,
}

/// A NIC that is up, with some of its ports open: `pf0`, `vf0`, ... They have the numbers 1, 2, ...
pub struct NicOnTheBench {
    pub nic: Arc<ConnectX>,
    pub clock: Clock,
    pub device: MlxDevice,
    pub ports: Vec<Arc<dyn PacketPort>>,
    pub rx: Vec<Box<dyn RxQueue>>,
    pub tx: Vec<Box<dyn TxQueue>>,
    /// The far sides of the ports.
    pub wires: Vec<MemoryWire>,
}

/// Lets the NIC work until it has nothing left to do.
pub fn settle(nic: &ConnectX) {
    for _ in 0..10_000 {
        if let Work::Idle = nic.turn() {
            return;
        }
    }
    panic!("the NIC never comes to rest");
}

impl Bench {
    /// A NIC with these settings.
    pub fn new(settings: &str) -> Bench {
        let settings: ConnectXSettings = serde_json::from_str(settings).unwrap();
        let clock = Clock::stopped_at(0);
        let nic = ConnectX::stepped("nic0", settings, clock.clone()).unwrap();
        let device = PciFunction::in_process("connectx:nic0", nic.clone()).unwrap();
        Bench { nic, device, clock }
    }

    /// Waiting lets the NIC work, and time pass.
    pub fn patience(&self) -> Patience {
        let (nic, clock) = (self.nic.clone(), self.clock.clone());
        Patience::with(self.clock.clone(), move |for_| {
            nic.turn();
            clock.warp(for_.max(Duration::from_micros(1)));
        })
    }

    /// The NIC brought up, with so many ports.
    pub fn with_ports(self, count: usize) -> NicOnTheBench {
        self.try_with_ports(count).expect("the NIC comes up")
    }

    /// The same; none if the NIC does not come up.
    pub fn try_with_ports(self, count: usize) -> Option<NicOnTheBench> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let nic = self.nic.clone();
        let connect = move |port: &str, wire: &str| nic.connect(port, wire);
        let device = self.device.clone();
        let opener = move || Ok(device.clone());
        let (patience, wires) = (self.patience(), Some(Box::new(connect) as hal_mlx::Wires));
        let device = MlxDevice::open("connectx:nic0", Box::new(opener), patience, wires);
        let mut on = NicOnTheBench {
            nic: self.nic,
            clock: self.clock,
            device: device.ok()?,
            ports: Vec::new(),
            rx: Vec::new(),
            tx: Vec::new(),
            wires: Vec::new(),
        };
        for i in 0..count {
            let name = match i {
                0 => "pf0".to_owned(),
                i => format!("vf{}", i - 1),
            };
            let wire = format!("mlx-{}-{n}-{i}", std::process::id());
            on.wires.push(MemoryWire::new(&wire));
            let wire = format!("memory:{wire}");
            let port = on.device.open_port(&name, Some(&wire)).unwrap();
            on.device.bind_port(&name, Some(DpPort(i as u32 + 1)));
            on.rx.extend(port.take_rx());
            on.tx.push(port.open_tx().unwrap());
            on.ports.push(port);
        }
        Some(on)
    }

    /// The NIC as the contract wants it.
    pub fn contract(self) -> (contract::Bench, Arc<ConnectX>) {
        let on = self.with_ports(2);
        let (nic, clock) = (on.nic.clone(), on.clock.clone());
        let working = nic.clone();
        let (ports, rx, tx) = (on.ports, on.rx, on.tx);
        let [near, far]: [MemoryWire; 2] = on.wires.try_into().ok().unwrap();
        let inject = move |packet: &packet::Packet| {
            let _open = (&ports, &rx, &tx);
            assert!(near.send(packet.clone()));
            settle(&working);
            std::iter::from_fn(|| far.receive()).count()
        };
        let waiting = nic.clone();
        let bench = contract::Bench {
            device: Box::new(on.device),
            inject: Box::new(inject),
            wait: Box::new(move || {
                waiting.turn();
                clock.warp(Duration::from_millis(1));
            }),
        };
        (bench, nic)
    }
}

impl NicOnTheBench {
    /// Lets the NIC work until it has nothing left to do.
    pub fn settle(&self) {
        settle(&self.nic);
    }

    /// Carries an operation out.
    pub fn run(&mut self, op: RuleOp) -> Outcome {
        let ticket = self.device.submit(op).unwrap();
        let mut done: Vec<Completion> = Vec::new();
        for _ in 0..1000 {
            self.device.poll(&mut done).unwrap();
            if let Some(one) = done.iter().find(|c| c.ticket == ticket) {
                return one.outcome.clone();
            }
            self.nic.turn();
            self.clock.warp(Duration::from_millis(1));
        }
        panic!("the operation never ends");
    }

    /// Holds a rule.
    pub fn add(&mut self, key: u64, rule: Rule) -> RuleHandle {
        let key = RuleKey(key);
        match self.run(RuleOp::Add { key, rule }) {
            Outcome::Installed(installed) => installed.handle,
            other => panic!("{other:?}"),
        }
    }
}
