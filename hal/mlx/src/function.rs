//! A function of the NIC: brought up from reset until it takes commands of every kind, and down.
//!
//! ```text
//!  reset ──firmware ready──▶ queue ──ENABLE_HCA──▶ interface level ──boot pages──▶
//!     capabilities ──SET_HCA_CAP──▶ init pages ──INIT_HCA──▶ ready
//!  ready ──TEARDOWN_HCA──▶ all pages back ──DISABLE_HCA──▶ reset
//! ```

use crate::command::{CommandQueue, Done};
use crate::error::MlxError;
use crate::event::{Event, EventQueue};
use crate::pages::{Pages, Phase};
use crate::patience::Patience;
use crate::registers::Registers;
use hal::pci::PciFunction;
use hal_mlx_prm::command::{
    DisableHcaIn, EnableHcaIn, InitHcaIn, Input, Output, QueryIssiIn, QueryIssiOut, SetIssiIn,
    TeardownHcaIn, TeardownHcaOut,
};
use hal_mlx_prm::init::InitSegment;
use hal_mlx_prm::{Described, Opcode, View};
use std::time::Duration;

/// The only revision of the command interface that there has been on these parts.
const COMMAND_REVISION: u16 = 5;
/// How long the firmware may take until it is ready, if it does not say.
const READY_TIMEOUT: Duration = Duration::from_secs(120);

/// Number of a function within its NIC: 0 is the one that is asked, others are those it manages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(pub u16);

impl FunctionId {
    /// The function that is asked.
    pub const SELF: FunctionId = FunctionId(0);
}

/// How a function is taken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Teardown {
    /// What is in flight is finished.
    Orderly = 0,
    /// At once.
    Force = 1,
}

/// A function that takes commands.
pub struct Function {
    device: PciFunction,
    /// The command queue.
    pub commands: CommandQueue,
    wants: Wants,
    /// Commands that came back while another was waited for.
    pub(crate) strays: Vec<Done>,
    closed: bool,
}

/// What the device wants unasked, and the memory that it is given.
#[derive(Default)]
struct Wants {
    pages: Pages,
    /// Where it says so, once there is such a queue.
    events: Option<EventQueue>,
    /// What else it said.
    heard: Vec<Event>,
}

impl Wants {
    /// Gives the device the pages that it has asked for, or takes back what it gives.
    fn serve(
        &mut self,
        device: &PciFunction,
        commands: &mut CommandQueue,
        strays: &mut Vec<Done>,
    ) -> Result<(), MlxError> {
        let Some(events) = &mut self.events else {
            return Ok(());
        };
        let mut asked = Vec::new();
        events.poll(|event| match event {
            Event::PageRequest(which, count) => asked.push((which, count)),
            other => self.heard.push(other),
        })?;
        for (which, count) in asked {
            let wanted = count.unsigned_abs() as usize;
            if count >= 0 {
                self.pages.give(device, commands, which, wanted, strays)?;
            } else {
                self.pages.reclaim(commands, which, wanted, strays)?;
            }
        }
        Ok(())
    }
}

impl Drop for Function {
    /// Ends the device's work at once, so that it is quiet before its memory goes.
    fn drop(&mut self) {
        if !self.closed
            && let Err(e) = self.device.reset()
        {
            tracing::warn!(target: "mlx", "{e}");
        }
    }
}

impl Function {
    /// Brings a function up until it answers, before it is asked what it can do.
    ///
    /// # Errors
    /// At each step; the function is as far as it got, and dropping what was made ends it.
    pub fn boot(device: &PciFunction, patience: &Patience) -> Result<Function, MlxError> {
        device.set_master(true)?;
        let registers = Registers::open(device)?;
        wait_until_ready(&registers, patience)?;
        let revision = registers.get(InitSegment::CMDIF_REVISION)?;
        if revision != COMMAND_REVISION {
            return Err(MlxError::Nonsense {
                what: "its command interface's revision",
                value: revision.into(),
            });
        }
        let commands = CommandQueue::open(device, registers.clone(), patience.clone())?;
        wait_until_ready(&registers, patience)?;
        let mut function = Function {
            device: device.clone(),
            commands,
            wants: Wants::default(),
            strays: Vec::new(),
            closed: false,
        };
        function.enable(FunctionId::SELF)?;
        function.set_interface_level()?;
        function.give_pages(FunctionId::SELF, Phase::Boot)?;
        Ok(function)
    }

    /// Finishes what [`Function::boot`] began, once the capabilities are set.
    ///
    /// # Errors
    /// A command fails.
    pub fn init(&mut self) -> Result<(), MlxError> {
        self.give_pages(FunctionId::SELF, Phase::Init)?;
        self.run(
            Opcode::InitHca,
            View::<InitHcaIn, _>::zeroed(),
            Output::SIZE,
        )?;
        Ok(())
    }

    /// Takes the function down. Afterwards none of its memory is the device's.
    ///
    /// # Errors
    /// A command fails. What was mapped is to be regarded as still in use then.
    pub fn close(mut self, how: Teardown) -> Result<(), MlxError> {
        let mut teardown = View::<TeardownHcaIn, _>::zeroed();
        teardown.set(TeardownHcaIn::PROFILE, how as u16);
        self.run(Opcode::TeardownHca, teardown, TeardownHcaOut::SIZE)?;
        self.wants
            .pages
            .reclaim_all(&mut self.commands, FunctionId::SELF, &mut self.strays)?;
        self.disable(FunctionId::SELF)?;
        self.device.set_master(false)?;
        self.closed = true;
        Ok(())
    }

    /// Lets a function take commands.
    ///
    /// # Errors
    /// The command fails.
    pub fn enable(&mut self, which: FunctionId) -> Result<(), MlxError> {
        let mut enable = View::<EnableHcaIn, _>::zeroed();
        enable.set(EnableHcaIn::FUNCTION_ID, which.0);
        self.run(Opcode::EnableHca, enable, Output::SIZE)?;
        Ok(())
    }

    /// Ends that.
    ///
    /// # Errors
    /// The command fails.
    pub fn disable(&mut self, which: FunctionId) -> Result<(), MlxError> {
        let mut disable = View::<DisableHcaIn, _>::zeroed();
        disable.set(DisableHcaIn::FUNCTION_ID, which.0);
        self.run(Opcode::DisableHca, disable, Output::SIZE)?;
        Ok(())
    }

    /// Agrees on the only interface level that is not the ancient one, where the firmware knows it.
    fn set_interface_level(&mut self) -> Result<(), MlxError> {
        let query = View::<QueryIssiIn, _>::zeroed();
        let answer = match self.run(Opcode::QueryIssi, query, QueryIssiOut::SIZE) {
            Ok(answer) => answer,
            // Firmware that has never heard of levels has level 0.
            Err(MlxError::Command { status, .. })
                if status == hal_mlx_prm::command::Status::BadOpcode =>
            {
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        let supported = View::<QueryIssiOut, _>::new(answer);
        let supported = supported.map_or(0, |v| v.get(QueryIssiOut::SUPPORTED));
        if supported & 0b10 == 0 {
            return Err(MlxError::Incapable("speak interface level 1"));
        }
        let mut set = View::<SetIssiIn, _>::zeroed();
        set.set(SetIssiIn::CURRENT, 1);
        self.run(Opcode::SetIssi, set, Output::SIZE)?;
        Ok(())
    }

    /// Gives a function the pages that it wants.
    ///
    /// # Errors
    /// A command fails, or there is no memory.
    pub fn give_pages(&mut self, which: FunctionId, phase: Phase) -> Result<(), MlxError> {
        let (device, commands) = (&self.device, &mut self.commands);
        self.wants
            .pages
            .satisfy(device, commands, which, phase, &mut self.strays)
    }

    /// Hears from this queue what the device wants from now on, also while a command is waited
    /// for: the command may itself wait for pages.
    pub fn listen(&mut self, events: EventQueue) {
        self.wants.events = Some(events);
    }

    /// Gives the device the pages that it has asked for; what else it said since the last time.
    ///
    /// # Errors
    /// A command fails, or there is no memory.
    pub fn serve(&mut self) -> Result<Vec<Event>, MlxError> {
        let (device, commands) = (&self.device, &mut self.commands);
        self.wants.serve(device, commands, &mut self.strays)?;
        Ok(std::mem::take(&mut self.wants.heard))
    }

    /// Carries a command out and waits for its end.
    ///
    /// # Errors
    /// What the device says.
    pub fn run<L: Described, B: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        opcode: Opcode,
        input: View<L, B>,
        output_len: usize,
    ) -> Result<Vec<u8>, MlxError> {
        self.run_variant(opcode, 0, input, output_len)
    }

    /// The same, with the output seen through its layout.
    ///
    /// # Errors
    /// What the device says.
    pub fn ask<I: Described, B: AsRef<[u8]> + AsMut<[u8]>, O: Described>(
        &mut self,
        opcode: Opcode,
        input: View<I, B>,
    ) -> Result<View<O, Vec<u8>>, MlxError> {
        let output = self.run(opcode, input, O::LAYOUT.size)?;
        View::new(output).ok_or(MlxError::Nonsense {
            what: "a command",
            value: opcode as u64,
        })
    }

    /// The same with a variant of the command.
    ///
    /// # Errors
    /// What the device says.
    pub fn run_variant<L: Described, B: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        opcode: Opcode,
        variant: u16,
        input: View<L, B>,
        output_len: usize,
    ) -> Result<Vec<u8>, MlxError> {
        let mut input = input.into_inner();
        if let Some(mut head) = View::<Input, _>::new(input.as_mut()) {
            head.set(Input::OP_MOD, variant);
        }
        let (device, wants) = (&self.device, &mut self.wants);
        let answer = self.commands.execute(
            opcode,
            input.as_mut(),
            output_len,
            &mut self.strays,
            |commands, strays| wants.serve(device, commands, strays),
        )?;
        Ok(answer.into_vec())
    }

    /// The PCI function.
    pub fn device(&self) -> &PciFunction {
        &self.device
    }

    /// Pages that a function has of ours.
    pub fn pages_of(&self, which: FunctionId) -> usize {
        self.wants.pages.given_to(which)
    }
}

fn wait_until_ready(registers: &Registers, patience: &Patience) -> Result<(), MlxError> {
    let allowed = match registers.get(InitSegment::READY_TIMEOUT)? {
        0 | u32::MAX => READY_TIMEOUT,
        ms => Duration::from_millis(ms.into()),
    };
    let ready = patience.wait(allowed, || -> Result<_, MlxError> {
        if registers.is_gone()? {
            return Err(MlxError::Gone);
        }
        let ready = !registers.get(InitSegment::INITIALIZING)?;
        Ok(ready.then_some(()))
    })?;
    ready.ok_or(MlxError::NotReady {
        millis: allowed.as_millis() as u64,
    })
}
