//! The e-switch, with software at its head.
//!
//! ```text
//!            level 0               1                    2                3
//!  packet ──▶ representors ──miss─▶ arrived ─recirc──▶ recirculated     missed ──▶ manager
//!             from the manager's     │  rules            │  rules          ▲
//!             send queue n           └───── miss ────────┴───── miss ──────┘
//!              ──▶ vport of n
//!
//!  manager ──▶ NIC receive: from vport v ──▶ the receive queue of v's representor
//! ```
//!
//! A packet that software sends on a representor comes from a send queue of the manager's, by which
//! the first table knows where it goes. All others meet the rules; what no rule matches goes to the
//! manager's own receive tables, which sort it by the vport that it came from. A rule that sends a
//! packet on to another stage writes into register C 1 where software would have to go on; the
//! receive tables copy that to where it comes with the packet's completion.

use crate::capability::Steering;
use crate::error::MlxError;
use crate::function::Function;
use crate::steering::{
    Action, Bulk, CounterId, Counters, FixedGroup, FlowIndex, ModifyHeaderId, NewTable, Operations,
    Parameters, Table, VportId, set_root,
};
use hal_mlx_prm::command::{
    AllocFlowCounterIn, AllocFlowCounterOut, AllocModifyHeaderContextIn,
    AllocModifyHeaderContextOut, CopyAction, EswVportFields, ModifyEswVportContextIn, Output,
};
use hal_mlx_prm::context::{
    DestinationType, EswVportContext, HeaderField, MatchMisc, MatchParameters, ModifyType,
    TableType, criteria,
};
use hal_mlx_prm::{Opcode, View};

/// Send and receive queues of representors at most, log 2.
const LOG_QUEUES: u8 = 9;
/// Registers C that go on to the manager's receive tables: 0 and 1.
const REGISTERS: u8 = 0b11;
/// Counters of the smallest bulk.
const SMALLEST_BULK: u32 = 128;

/// The tables that stay.
pub struct Eswitch {
    senders: FixedGroup,
    receivers: FixedGroup,
    resume: Option<ModifyHeaderId>,
}

fn source(port: VportId, sq: u32) -> Parameters {
    let mut value = View::<MatchParameters, _>::zeroed();
    let mut misc = value.at_mut(MatchParameters::MISC);
    misc.set(MatchMisc::SOURCE_PORT, port.0)
        .set(MatchMisc::SOURCE_SQN, sq);
    value
}

impl Eswitch {
    /// Sets the tables up; rules are for [`Operations`].
    ///
    /// # Errors
    /// A command fails.
    pub fn open(
        function: &mut Function,
        steering: &Steering,
    ) -> Result<(Eswitch, Operations), MlxError> {
        let resumes = steering.rules.resume_bits > 0;
        if resumes {
            pass_registers(function)?;
        }
        let kind = TableType::Fdb;
        let missed = NewTable {
            kind,
            level: 3,
            log_size: 1,
            miss: None,
        };
        let missed = missed.make(function)?;
        let mut catch_all = FixedGroup::make(function, (kind, missed), 1, &View::zeroed(), 0)?;
        let to_manager = Action {
            to: (DestinationType::Vport, VportId::MANAGER.0.into()),
            rewrite: None,
            tag: 0,
        };
        catch_all.add(function, &View::zeroed(), &to_manager)?;

        let mut stages = Vec::new();
        for level in (1..=steering.rules.tables.len() as u8).rev() {
            let table = NewTable {
                kind,
                level,
                log_size: steering.log_table_size,
                miss: Some(missed),
            };
            let id = table.make(function)?;
            stages.insert(0, Table::new(kind, id, 1 << steering.log_table_size));
        }
        let root = NewTable {
            kind,
            level: 0,
            log_size: LOG_QUEUES,
            miss: stages.first().map(|table| table.id),
        };
        let root = root.make(function)?;
        let queues = 1 << LOG_QUEUES;
        let mask = source(VportId(u16::MAX), 0xff_ffff);
        let senders = FixedGroup::make(function, (kind, root), queues, &mask, criteria::MISC)?;
        set_root(function, kind, root)?;

        let kind = TableType::NicReceive;
        let receive = NewTable {
            kind,
            level: 0,
            log_size: LOG_QUEUES,
            miss: None,
        };
        let receive = receive.make(function)?;
        let mask = source(VportId(u16::MAX), 0);
        let receivers = FixedGroup::make(function, (kind, receive), queues, &mask, criteria::MISC)?;
        set_root(function, kind, receive)?;
        let resume = resumes.then(|| copy_resume(function)).transpose()?;

        let counters = take_counters(function, steering)?;
        let limit = steering.rules.rules.min(counters.count());
        let operations = Operations::new(stages, counters, limit);
        let eswitch = Eswitch {
            senders,
            receivers,
            resume,
        };
        Ok((eswitch, operations))
    }

    /// What a send queue sends goes out of a vport.
    ///
    /// # Errors
    /// The table is full, or the command fails.
    pub fn add_sender(
        &mut self,
        function: &mut Function,
        sq: u32,
        vport: VportId,
    ) -> Result<FlowIndex, MlxError> {
        let to = Action {
            to: (DestinationType::Vport, vport.0.into()),
            rewrite: None,
            tag: 0,
        };
        self.senders
            .add(function, &source(VportId::MANAGER, sq), &to)
    }

    /// What comes from a vport and no rule matches goes to a receive queue.
    ///
    /// # Errors
    /// The table is full, or the command fails.
    pub fn add_receiver(
        &mut self,
        function: &mut Function,
        vport: VportId,
        tir: u32,
    ) -> Result<FlowIndex, MlxError> {
        let to = Action {
            to: (DestinationType::Tir, tir),
            rewrite: self.resume,
            tag: vport.0.into(),
        };
        self.receivers.add(function, &source(vport, 0), &to)
    }

    /// Ends what [`Eswitch::add_sender`] began.
    ///
    /// # Errors
    /// The command fails.
    pub fn remove_sender(
        &mut self,
        function: &mut Function,
        at: FlowIndex,
    ) -> Result<(), MlxError> {
        self.senders.remove(function, at)
    }

    /// Ends what [`Eswitch::add_receiver`] began.
    ///
    /// # Errors
    /// The command fails.
    pub fn remove_receiver(
        &mut self,
        function: &mut Function,
        at: FlowIndex,
    ) -> Result<(), MlxError> {
        self.receivers.remove(function, at)
    }
}

/// Lets registers go from the e-switch to the manager's receive tables.
fn pass_registers(function: &mut Function) -> Result<(), MlxError> {
    let mut input = View::<ModifyEswVportContextIn, _>::zeroed();
    input
        .at_mut(ModifyEswVportContextIn::FIELDS)
        .set(EswVportFields::FDB_TO_VPORT_REG_C_ID, true);
    input
        .at_mut(ModifyEswVportContextIn::CONTEXT)
        .set(EswVportContext::FDB_TO_VPORT_REG_C, true)
        .set(EswVportContext::FDB_TO_VPORT_REG_C_ID, REGISTERS);
    function.run(Opcode::ModifyEswVportContext, input, Output::SIZE)?;
    Ok(())
}

/// Register C 1 goes to register B, which comes with a packet's completion.
fn copy_resume(function: &mut Function) -> Result<ModifyHeaderId, MlxError> {
    let mut input = View::with_tail(AllocModifyHeaderContextIn::ACTIONS, 1);
    input
        .set(
            AllocModifyHeaderContextIn::TABLE_TYPE,
            TableType::NicReceive as u8,
        )
        .set(AllocModifyHeaderContextIn::NUM_OF_ACTIONS, 1);
    if let Some(mut copy) = input.item_mut(AllocModifyHeaderContextIn::COPY_ACTIONS, 0) {
        copy.set(CopyAction::ACTION_TYPE, ModifyType::Copy as u8)
            .set(CopyAction::SRC_FIELD, HeaderField::MetadataRegC1 as u16)
            .set(CopyAction::DST_FIELD, HeaderField::MetadataRegB as u16);
    }
    let made = function.ask(Opcode::AllocModifyHeaderContext, input)?;
    let id = made.get(AllocModifyHeaderContextOut::MODIFY_HEADER_ID);
    Ok(ModifyHeaderId(id))
}

/// Takes a counter for each rule that there can be, in the largest bulks that there are.
fn take_counters(function: &mut Function, steering: &Steering) -> Result<Counters, MlxError> {
    let mut counters = Counters::default();
    let wanted = steering.rules.rules;
    while counters.count() < wanted {
        let left = (wanted - counters.count()) as u32;
        let largest = (0..8)
            .rev()
            .find(|n| {
                steering.counter_bulks & 1 << n != 0
                    && SMALLEST_BULK << n <= left.next_multiple_of(SMALLEST_BULK)
            })
            .unwrap_or(0);
        let mut input = View::<AllocFlowCounterIn, _>::zeroed();
        input.set(AllocFlowCounterIn::FLOW_COUNTER_BULK, 1 << largest);
        let made = match function.ask(Opcode::AllocFlowCounter, input) {
            Ok(made) => made,
            // As many as there are.
            Err(MlxError::Command { .. }) if counters.count() > 0 => break,
            Err(e) => return Err(e),
        };
        let bulk = Bulk {
            first: CounterId(made.get(AllocFlowCounterOut::FLOW_COUNTER_ID)),
            len: SMALLEST_BULK << largest,
        };
        counters.add(bulk);
    }
    Ok(counters)
}
