//! The driver's bench: a simulated NIC in this process, in virtual time.

use clock::Clock;
use hal::pci::PciFunction;
use hal_mlx::Patience;
use hal_sim::connectx::{ConnectX, ConnectXSettings};
use std::sync::Arc;
use std::time::Duration;

pub struct Bench {
    pub nic: Arc<ConnectX>,
    pub device: PciFunction,
    pub clock: Clock,
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
}
