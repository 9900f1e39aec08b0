//! The NIC as a whole: brought up, looked after, and brought up anew when it fails.

use crate::capability::{Steering, negotiate};
use crate::command::Done;
use crate::error::MlxError;
use crate::eswitch::Eswitch;
use crate::event::{Event, EventQueue};
use crate::function::{Function, Teardown};
use crate::health::Health;
use crate::object::Domain;
use crate::patience::Patience;
use crate::receive::{self, ReceiveQueue};
use crate::send::{self, SendQueue};
use crate::steering::{CounterId, FlowIndex, Operations, Raw, VportId};
use clock::Time;
use hal::Completion;
use hal::pci::{Interrupt, PciFunction};
use hal_mlx_prm::command::{
    QueryFlowCounterIn, QueryFlowCounterOut, QueryNicVportContextIn, QueryNicVportContextOut,
    QueryVportStateIn, QueryVportStateOut,
};
use hal_mlx_prm::context::{FlowStatistics, MacAddress, NicVportContext};
use hal_mlx_prm::event::EventType;
use hal_mlx_prm::{Opcode, View};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Counters that are read with one command at most: an output of 512 KiB.
const READ_AT_ONCE: u32 = 32768;
/// Events that concern the device as a whole.
const EVENTS: [EventType; 6] = [
    EventType::PortChange,
    EventType::PageRequest,
    EventType::CqError,
    EventType::WqCatastrophe,
    EventType::WqInvalidRequest,
    EventType::WqAccessError,
];
/// QUERY_VPORT_STATE of the uplink.
const UPLINK: u16 = 2;

/// A NIC that is up.
pub struct Nic {
    pub(crate) function: Function,
    domain: Domain,
    /// Number of the event queue of the device as a whole.
    events: u8,
    eswitch: Eswitch,
    /// Rules.
    pub operations: Operations,
    /// What it can do.
    pub steering: Steering,
    health: Health,
    patience: Patience,
    back: Vec<Done>,
    /// Whether the uplink has a carrier.
    pub uplink: bool,
    /// How often that has changed.
    pub uplink_changes: u64,
}

/// A receive queue in the e-switch.
pub struct Receiving {
    parts: receive::Parts,
    entry: FlowIndex,
}

/// A send queue in the e-switch.
pub struct Sending {
    parts: send::Parts,
    entry: FlowIndex,
    watch: Watch,
}

/// From one look at a send queue to the next.
const LOOK: Duration = Duration::from_millis(250);
/// Looks in a row between which it refused packets and finished none: it has stalled.
const STALLED: u32 = 4;

/// What was seen of a send queue.
#[derive(Default)]
struct Watch {
    next: Time,
    /// Completions, and packets for which there was no room.
    last: (u64, u64),
    bad: u32,
}

impl Sending {
    /// Whether the queue has stalled: there has been no room for a second, and nothing is finished.
    pub fn has_stalled(&mut self, now: Time) -> bool {
        let watch = &mut self.watch;
        if now >= watch.next {
            watch.next = now + LOOK;
            let seen = self.parts.progress().look();
            let stands = seen.0 == watch.last.0 && seen.1 > watch.last.1;
            watch.bad = if stands { watch.bad + 1 } else { 0 };
            watch.last = seen;
        }
        watch.bad >= STALLED
    }
}

impl Nic {
    /// Brings a NIC up. `interrupts` are attached to it: the first for the device as a whole.
    ///
    /// # Errors
    /// At each step; the device is reset then.
    pub fn open(
        device: &PciFunction,
        patience: &Patience,
        interrupts: &[Arc<Interrupt>],
    ) -> Result<Nic, MlxError> {
        let mut function = Function::boot(device, patience)?;
        let general = negotiate(&mut function)?;
        function.init()?;
        device.set_interrupts(interrupts.iter().map(|i| &**i))?;
        let domain = Domain::open(&mut function)?;
        let events = EVENTS.iter().fold(0, |set, event| set | 1 << *event as u8);
        let queue = EventQueue::open(&mut function, domain.uar, 0, events)?;
        let events = queue.number();
        function.listen(queue);
        let steering = Steering::query(&mut function, &general)?;
        let (eswitch, operations) = Eswitch::open(&mut function, &steering)?;
        let mut nic = Nic {
            function,
            domain,
            events,
            eswitch,
            operations,
            steering,
            health: Health::default(),
            patience: patience.clone(),
            back: Vec::new(),
            uplink: false,
            uplink_changes: 0,
        };
        nic.uplink = nic.is_up(UPLINK, VportId::MANAGER)?;
        Ok(nic)
    }

    /// Takes the NIC down, orderly if it works; its operations stay for whatever follows them.
    pub fn close(self, works: bool) -> (Operations, Result<(), MlxError>) {
        let Nic {
            function,
            operations,
            ..
        } = self;
        let closed = if works {
            function.close(Teardown::Orderly)
        } else {
            // Its end is a reset.
            drop(function);
            Ok(())
        };
        (operations, closed)
    }

    /// Goes on with operations on rules, and does what the device asks for.
    ///
    /// # Errors
    /// The device has failed.
    pub fn poll(&mut self, done: &mut Vec<Completion>) -> Result<(), MlxError> {
        let now = self.patience.now();
        self.health.poll(self.function.commands.registers(), now)?;
        self.serve()?;
        self.back.append(&mut self.function.strays);
        self.function.commands.poll(&mut self.back)?;
        self.operations
            .poll(&mut self.function.commands, &mut self.back, now, done)
    }

    /// Does what the device asks for.
    fn serve(&mut self) -> Result<(), MlxError> {
        for event in self.function.serve()? {
            match event {
                Event::Port { up, .. } => {
                    self.uplink_changes += u64::from(up != self.uplink);
                    self.uplink = up;
                }
                Event::QueueError(number) => {
                    let what = format!("queue {number:#x} does not work any more");
                    return Err(MlxError::Queue { what });
                }
                Event::PageRequest(..) | Event::Completion(_) | Event::Other(_) => {}
            }
        }
        Ok(())
    }

    /// Reads all counters that are taken.
    ///
    /// # Errors
    /// A command fails.
    pub fn read_counters(&mut self) -> Result<HashMap<CounterId, Raw>, MlxError> {
        let at_once = (1 << self.steering.log_counter_read.min(20)).clamp(1, READ_AT_ONCE);
        let mut raw = HashMap::new();
        let ranges = self.operations.counters.used_ranges(at_once);
        for (first, len) in ranges {
            let mut input = View::<QueryFlowCounterIn, _>::zeroed();
            input
                .set(QueryFlowCounterIn::FLOW_COUNTER_ID, first.0)
                .set(QueryFlowCounterIn::NUM_OF_COUNTERS, len);
            let out = QueryFlowCounterOut::SIZE + len as usize * FlowStatistics::SIZE;
            let answer = self.function.run(Opcode::QueryFlowCounter, input, out)?;
            let Some(answer) = View::<QueryFlowCounterOut, _>::new(answer) else {
                continue;
            };
            for (i, reading) in answer.items(QueryFlowCounterOut::STATISTICS).enumerate() {
                let reading = Raw {
                    packets: reading.get(FlowStatistics::PACKETS),
                    bytes: reading.get(FlowStatistics::OCTETS),
                };
                raw.insert(CounterId(first.0 + i as u32), reading);
            }
        }
        Ok(raw)
    }

    /// A receive queue for what comes from a vport and no rule matches. `interrupt` is the number
    /// of the interrupt that tells of packets, with the interrupt.
    ///
    /// # Errors
    /// No memory, or a command fails.
    pub fn open_receive(
        &mut self,
        vport: VportId,
        interrupt: Option<(u16, Arc<Interrupt>)>,
    ) -> Result<(ReceiveQueue, Receiving), MlxError> {
        let function = &mut self.function;
        let events = match interrupt {
            Some((number, interrupt)) => {
                let queue = EventQueue::open(function, self.domain.uar, number, 0)?;
                Some((queue, interrupt))
            }
            None => None,
        };
        let shared = self.events;
        let (queue, parts) = ReceiveQueue::open(function, &self.domain, events, shared)?;
        let entry = self.eswitch.add_receiver(function, vport, parts.tir())?;
        Ok((queue, Receiving { parts, entry }))
    }

    /// A send queue whose packets go out of a vport.
    ///
    /// # Errors
    /// No memory, or a command fails.
    pub fn open_send(&mut self, vport: VportId) -> Result<(SendQueue, Sending), MlxError> {
        let function = &mut self.function;
        let (queue, parts) = SendQueue::open(function, &self.domain, self.events)?;
        let entry = self.eswitch.add_sender(function, parts.sq(), vport)?;
        let sending = Sending {
            parts,
            entry,
            watch: Watch::default(),
        };
        Ok((queue, sending))
    }

    /// Takes a receive queue away.
    ///
    /// # Errors
    /// A command fails.
    pub fn close_receive(&mut self, receiving: Receiving) -> Result<(), MlxError> {
        let function = &mut self.function;
        self.eswitch.remove_receiver(function, receiving.entry)?;
        receiving.parts.close(function)
    }

    /// Takes a send queue away.
    ///
    /// # Errors
    /// A command fails.
    pub fn close_send(&mut self, sending: Sending) -> Result<(), MlxError> {
        let function = &mut self.function;
        self.eswitch.remove_sender(function, sending.entry)?;
        sending.parts.close(function)
    }

    /// The address of the function behind a vport.
    ///
    /// # Errors
    /// There is no such vport, or the command fails.
    pub fn address(&mut self, vport: VportId) -> Result<u64, MlxError> {
        // The uplink has the manager's.
        let vport = if vport == VportId::UPLINK {
            VportId::MANAGER
        } else {
            vport
        };
        let mut input = View::<QueryNicVportContextIn, _>::zeroed();
        input
            .set(
                QueryNicVportContextIn::OTHER_VPORT,
                vport != VportId::MANAGER,
            )
            .set(QueryNicVportContextIn::VPORT_NUMBER, vport.0);
        let answer: View<QueryNicVportContextOut, _> =
            self.function.ask(Opcode::QueryNicVportContext, input)?;
        let context = answer.at(QueryNicVportContextOut::CONTEXT);
        let address = context.at(NicVportContext::PERMANENT_ADDRESS);
        Ok(address.get(MacAddress::ADDRESS))
    }

    fn is_up(&mut self, variant: u16, vport: VportId) -> Result<bool, MlxError> {
        let mut input = View::<QueryVportStateIn, _>::zeroed();
        input.set(QueryVportStateIn::VPORT_NUMBER, vport.0);
        let len = QueryVportStateOut::SIZE;
        let answer = self
            .function
            .run_variant(Opcode::QueryVportState, variant, input, len)?;
        let state = View::<QueryVportStateOut, _>::new(answer);
        Ok(state.is_some_and(|s| s.get(QueryVportStateOut::STATE) == 1))
    }

    /// Now.
    pub fn now(&self) -> Time {
        self.patience.now()
    }
}
