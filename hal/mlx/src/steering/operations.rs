//! Operations on rules, from their submission to their completion.
//!
//! An operation is a little machine that advances when a command of its comes back:
//!
//! ```text
//!   add      start ─▶ place ─▶ write ─────────────────────────────▶ installed
//!   replace  start ─▶ place ─▶ write ─▶ unwrite the old ─▶ read it ─▶ installed
//!   remove   start ───────────────────▶ unwrite ─────────▶ read it ─▶ removed
//! ```
//!
//! *Place* waits for what the entry refers to: its changes of fields, and a group of its shape with
//! an index to spare. *Write* makes the entry, or changes the one of an equal match in place, which
//! is what makes a replacement seamless. A rule's last reading is taken when its entry no longer
//! counts for it.
//!
//! Commands of different operations are in flight together and come back in any order. Those of one
//! key are started one after the other, and an entry is the business of one operation at a time.
//! What cannot go on now (no room in the command queue, a group that is on its way) is tried again
//! with the next poll.

use super::counters::{CounterId, Counters, InUse, Raw};
use super::groups::{GroupId, GroupRef, Pick, Shapes, Table};
use super::matching::{self, Side};
use super::rewrites::{ModifyHeaderId, RewriteRef, Rewrites, Standing};
use super::rules::{Doing, Matched, Rules};
use super::{Plan, StageId, VportId};
use crate::command::{Answer, CommandQueue, Done, Ticket as CommandTicket};
use crate::error::MlxError;
use clock::Time;
use foldhash::fast::RandomState;
use hal::{
    Completion, DpPort, Installed, LastReading, MatchField, Outcome, Rule, RuleError, RuleHandle,
    RuleKey, RuleOp, Ticket,
};
use hal_mlx_prm::command::{
    AllocModifyHeaderContextIn, AllocModifyHeaderContextOut, CreateFlowGroupIn, CreateFlowGroupOut,
    DeallocModifyHeaderContextIn, DeleteFlowTableEntryIn, DestroyFlowGroupIn, Input, Output,
    QueryFlowCounterIn, QueryFlowCounterOut, SetFlowTableEntryIn, Status,
};
use hal_mlx_prm::context::{
    Destination, DestinationType, FlowContext, FlowCounterId, FlowStatistics, MatchParameters,
    VlanTag, action, modify_enable,
};
use hal_mlx_prm::{Described, Opcode, View};
use packet::FieldId;
use slab::Slab;
use std::collections::{HashMap, VecDeque};

/// SET_FLOW_TABLE_ENTRY that changes an entry.
const CHANGE: u16 = 1;

/// A rule on its way in.
struct Coming {
    matched: Matched,
    doing: Box<Doing>,
}

/// Where an operation stands.
enum Step {
    Start(RuleOp),
    Place(Coming),
    /// The entry is being written; `fresh` if there was none of its match.
    Write {
        doing: Box<Doing>,
        entry: usize,
        fresh: bool,
    },
    /// The rule in this slot goes; `written` once its entry's command is under way.
    Unwrite {
        slot: usize,
        written: bool,
    },
    Read(InUse),
}

struct Op {
    ticket: Ticket,
    key: RuleKey,
    /// The operation of the same key that comes after it.
    next: Option<usize>,
    /// The rule that goes.
    old: Option<RuleHandle>,
    /// The rule that has come.
    installed: Option<RuleHandle>,
    step: Option<Step>,
}

/// What comes of a look at an operation.
enum Next {
    /// On to this step, at once.
    Go(Step),
    /// This step goes on when the command comes back.
    Await(Step, CommandTicket),
    /// Not now.
    Later(Step),
    End(Outcome),
}

/// What a command is about.
enum Purpose {
    Op(usize),
    Group(StageId, GroupRef),
    NoGroup(StageId, GroupRef),
    Rewrite(RewriteRef),
    /// Something that is no longer needed is taken away.
    Tidy,
}

/// Rules, and the operations on them.
pub struct Operations {
    stages: Vec<Table>,
    /// What counts.
    pub counters: Counters,
    /// What rewrites.
    pub rewrites: Rewrites,
    /// What is held.
    pub rules: Rules,
    /// Few, so that looking through them is fastest.
    vports: Vec<(DpPort, VportId)>,
    limit: usize,
    shapes: Shapes,
    ops: Slab<Op>,
    /// The last operation of each key.
    by_key: HashMap<RuleKey, usize, RandomState>,
    later: VecDeque<usize>,
    /// What the commands in flight are about, by their entry of the queue.
    purposes: Vec<Option<(CommandTicket, Purpose)>>,
    /// Changes of fields that nobody uses, and that the device has not been told of yet.
    unused: Vec<ModifyHeaderId>,
    tickets: u64,
    /// Packets that rules have carried that are gone.
    retired: u64,
    coming: usize,
    input: Vec<u8>,
    now: Time,
}

fn refused(e: &MlxError) -> RuleError {
    match e {
        MlxError::Command { status, .. }
            if *status == Status::NoResources || *status == Status::ExceededLimit =>
        {
            RuleError::TableFull
        }
        other => RuleError::Fault(other.to_string()),
    }
}

/// Whether the device has failed, rather than refused.
fn is_fatal(e: &MlxError) -> bool {
    !matches!(e, MlxError::Command { .. })
}

impl Operations {
    /// No rules in these tables, by stage; at most `limit` of them.
    pub fn new(stages: Vec<Table>, counters: Counters, limit: usize) -> Operations {
        Operations {
            stages,
            counters,
            rewrites: Rewrites::default(),
            rules: Rules::default(),
            vports: Vec::new(),
            limit,
            shapes: Shapes::default(),
            ops: Slab::new(),
            by_key: HashMap::default(),
            later: VecDeque::new(),
            purposes: Vec::new(),
            unused: Vec::new(),
            tickets: 0,
            retired: 0,
            coming: 0,
            input: Vec::new(),
            now: Time::ZERO,
        }
    }

    /// Tells which number the datapath has given to a vport. None takes it away.
    pub fn bind(&mut self, vport: VportId, number: Option<DpPort>) {
        self.vports
            .retain(|(n, v)| *v != vport && Some(*n) != number);
        self.vports.extend(number.map(|number| (number, vport)));
    }

    /// What comes after these operations, which have all been lost: no ticket and no handle of theirs
    /// comes again, and ports keep their numbers.
    pub fn follow(&mut self, before: Operations) {
        self.tickets = before.tickets;
        self.retired = before.retired;
        self.vports = before.vports;
        self.rules.follow(before.rules);
    }

    /// Operations that have not completed.
    pub fn in_flight(&self) -> usize {
        self.ops.len()
    }

    /// Takes an operation on.
    pub fn submit(&mut self, op: RuleOp) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let key = op.key();
        let id = self.ops.insert(Op {
            ticket,
            key,
            next: None,
            old: op.handle(),
            installed: None,
            step: Some(Step::Start(op)),
        });
        match self.by_key.insert(key, id) {
            Some(before) => self.ops[before].next = Some(id),
            None => self.later.push_back(id),
        }
        ticket
    }

    /// Goes on with all that can go on, and tells what has ended.
    ///
    /// # Errors
    /// The device has failed: nothing goes on until all is lost.
    pub fn poll(
        &mut self,
        commands: &mut CommandQueue,
        back: &mut Vec<Done>,
        now: Time,
        done: &mut Vec<Completion>,
    ) -> Result<(), MlxError> {
        self.now = now;
        for Done { ticket, result } in back.drain(..) {
            let of = |p: &mut (CommandTicket, Purpose)| p.0 == ticket;
            let waiting = self.purposes.get_mut(ticket.slot);
            match waiting.and_then(|p| p.take_if(of)) {
                Some((_, Purpose::Op(id))) => self.advance(id, Some(result), commands, done)?,
                Some((_, purpose)) => self.came_back(purpose, result)?,
                None => {}
            }
        }
        while commands.room() > 0
            && let Some(id) = self.unused.pop()
        {
            let mut input = View::<DeallocModifyHeaderContextIn, _>::zeroed();
            input.set(DeallocModifyHeaderContextIn::MODIFY_HEADER_ID, id.0);
            let opcode = Opcode::DeallocModifyHeaderContext;
            self.send(opcode, input, Purpose::Tidy, commands)?;
        }
        for _ in 0..self.later.len() {
            if commands.room() == 0 {
                break;
            }
            if let Some(id) = self.later.pop_front() {
                self.advance(id, None, commands, done)?;
            }
        }
        commands.ring()
    }

    fn came_back(
        &mut self,
        purpose: Purpose,
        result: Result<Answer, MlxError>,
    ) -> Result<(), MlxError> {
        if let Err(e) = &result
            && is_fatal(e)
        {
            return Err(e.clone());
        }
        match purpose {
            Purpose::Op(_) => {}
            Purpose::Group(stage, at) => {
                let id = result.map_err(|e| refused(&e)).map(|out| {
                    let out = View::<CreateFlowGroupOut, _>::new(out);
                    GroupId(out.map_or(0, |v| v.get(CreateFlowGroupOut::GROUP_ID)))
                });
                self.stages[stage.0].made(at, id);
            }
            Purpose::NoGroup(stage, at) => {
                result?;
                self.stages[stage.0].unmade(at);
            }
            Purpose::Rewrite(list) => {
                let id = result.map_err(|e| e.to_string()).map(|out| {
                    let out = View::<AllocModifyHeaderContextOut, _>::new(out);
                    let field = AllocModifyHeaderContextOut::MODIFY_HEADER_ID;
                    ModifyHeaderId(out.map_or(0, |v| v.get(field)))
                });
                self.unused.extend(self.rewrites.made(list, id));
            }
            Purpose::Tidy => {
                if let Err(e) = result {
                    tracing::warn!(target: "mlx", "{e}");
                }
            }
        }
        Ok(())
    }

    fn advance(
        &mut self,
        id: usize,
        mut answer: Option<Result<Answer, MlxError>>,
        commands: &mut CommandQueue,
        done: &mut Vec<Completion>,
    ) -> Result<(), MlxError> {
        if let Some(Err(e)) = &answer
            && is_fatal(e)
        {
            return Err(e.clone());
        }
        let Some(mut step) = self.ops.get_mut(id).and_then(|op| op.step.take()) else {
            return Ok(());
        };
        let next = loop {
            let next = match step {
                Step::Start(op) => self.start(op)?,
                Step::Place(coming) => self.place(coming, commands)?,
                Step::Write {
                    doing,
                    entry,
                    fresh,
                } => self.written(id, *doing, entry, fresh, answer.take())?,
                Step::Unwrite { slot, written } => {
                    self.unwrite(slot, written, answer.take(), commands)?
                }
                Step::Read(counter) => self.read(id, counter, answer.take(), commands)?,
            };
            match next {
                Next::Go(on) => step = on,
                other => break other,
            }
        };
        match next {
            Next::Go(_) => {}
            Next::Await(step, ticket) => {
                self.expect(ticket, Purpose::Op(id));
                self.ops[id].step = Some(step);
            }
            Next::Later(step) => {
                self.ops[id].step = Some(step);
                self.later.push_back(id);
            }
            Next::End(outcome) => {
                let op = self.ops.remove(id);
                match op.next {
                    Some(next) => self.later.push_back(next),
                    None => {
                        self.by_key.remove(&op.key);
                    }
                }
                done.push(Completion {
                    ticket: op.ticket,
                    outcome,
                });
            }
        }
        Ok(())
    }

    fn start(&mut self, op: RuleOp) -> Result<Next, MlxError> {
        let old = op.handle().map(|handle| self.rules.find(handle));
        if old == Some(None) {
            return Ok(Next::End(Outcome::Failed(RuleError::Stale)));
        }
        let rule = match op {
            RuleOp::Add { rule, .. } | RuleOp::Replace { rule, .. } => rule,
            RuleOp::Remove { .. } => {
                let slot = old.flatten().unwrap_or_default();
                return Ok(Next::Go(Step::Unwrite {
                    slot,
                    written: false,
                }));
            }
        };
        // The rule that goes leaves its place to the one that comes.
        let leaving = usize::from(old.is_some());
        if self.rules.len() + self.coming >= self.limit + leaving {
            return Ok(Next::End(Outcome::Failed(RuleError::TableFull)));
        }
        let coming = match self.compile(rule) {
            Ok(coming) => coming,
            Err(e) => return Ok(Next::End(Outcome::Failed(e))),
        };
        self.coming += 1;
        Ok(Next::Go(Step::Place(coming)))
    }

    fn compile(&mut self, rule: Rule) -> Result<Coming, RuleError> {
        let vports = &self.vports;
        let vport_of = |port: DpPort| {
            let mut bound = vports.iter();
            bound.find(|(n, _)| *n == port).map(|(_, vport)| *vport)
        };
        let plan = Plan::of(&rule, &vport_of).map_err(RuleError::Unsupported)?;
        let mut fields = rule.matches;
        fields.sort_unstable();
        let is_port = |m: &&MatchField| matches!(m.field, FieldId::InPort | FieldId::InPortOxm);
        let ingress = fields.iter().find(is_port);
        let ingress = ingress.and_then(|m| vport_of(DpPort(u32::try_from(m.value).ok()?)));
        let matched = Matched {
            recirc: rule.recirc,
            shape: self.shapes.of(&fields),
            fields,
            ingress,
        };
        // What the NIC has no words for is refused before anything is taken for it.
        let mut scratch = [0; MatchParameters::SIZE];
        if let Some(out) = View::new(&mut scratch[..]) {
            let wanted = matched.wanted();
            matching::write(wanted, Side::Value, out).map_err(RuleError::Unsupported)?;
        }
        if matched.stage().0 >= self.stages.len() || plan.goes_on && self.stages.len() < 2 {
            return Err(RuleError::Unsupported("no such stage".into()));
        }
        let is_first = matched.stage() == StageId(0);
        let counter = self.counters.take(is_first).ok_or(RuleError::TableFull)?;
        let rewrite = match plan.changes.is_empty() {
            true => None,
            false => Some(self.rewrites.acquire(&plan.changes)),
        };
        let doing = Doing {
            pops: plan.pops,
            pushes: plan.pushes,
            vports: plan.vports,
            goes_on: plan.goes_on,
            rewrite,
            counter,
        };
        Ok(Coming {
            matched,
            doing: Box::new(doing),
        })
    }

    /// A rule that does not come after all gives back what it had taken.
    fn abandon(&mut self, doing: &Doing, error: RuleError) -> Next {
        self.coming -= 1;
        self.counters.give_back_unused(doing.counter);
        self.release(doing.rewrite);
        Next::End(Outcome::Failed(error))
    }

    fn place(&mut self, coming: Coming, commands: &mut CommandQueue) -> Result<Next, MlxError> {
        if let Some(list) = coming.doing.rewrite {
            match self.rewrites.standing(list) {
                Standing::There(_) => {}
                Standing::Wait => return Ok(Next::Later(Step::Place(coming))),
                Standing::Make => {
                    self.make_rewrite(list, commands)?;
                    return Ok(Next::Later(Step::Place(coming)));
                }
                Standing::Refused(why) => {
                    return Ok(self.abandon(&coming.doing, RuleError::Fault(why)));
                }
            }
        }
        if commands.room() == 0 {
            return Ok(Next::Later(Step::Place(coming)));
        }
        let stage = coming.matched.stage();
        let (entry, doing, fresh) = match self.rules.entry_of(&coming.matched) {
            Some(entry) if self.rules.entries[entry].busy => {
                return Ok(Next::Later(Step::Place(coming)));
            }
            Some(entry) => (entry, coming.doing, false),
            None => match self.stages[stage.0].pick(coming.matched.shape) {
                Pick::Place(at, group, index) => {
                    let place = (at, group, index);
                    let entry = self.rules.add_entry(coming.matched, place);
                    (entry, coming.doing, true)
                }
                Pick::Wait => return Ok(Next::Later(Step::Place(coming))),
                Pick::Make(at, first, last) => {
                    self.make_group(&coming, at, (first.0, last.0), commands)?;
                    return Ok(Next::Later(Step::Place(coming)));
                }
                Pick::Unmake(at, group) => {
                    let mut input = View::<DestroyFlowGroupIn, _>::zeroed();
                    let table = &self.stages[stage.0];
                    input
                        .set(DestroyFlowGroupIn::TABLE_TYPE, table.kind as u8)
                        .set(DestroyFlowGroupIn::TABLE_ID, table.id.0)
                        .set(DestroyFlowGroupIn::GROUP_ID, group.0);
                    let purpose = Purpose::NoGroup(stage, at);
                    self.send(Opcode::DestroyFlowGroup, input, purpose, commands)?;
                    return Ok(Next::Later(Step::Place(coming)));
                }
                Pick::Refused(why) => return Ok(self.abandon(&coming.doing, why)),
                Pick::Full => return Ok(self.abandon(&coming.doing, RuleError::TableFull)),
            },
        };
        self.rules.entries[entry].busy = true;
        let ticket = self.write(entry, &doing, !fresh, commands)?;
        let step = Step::Write {
            doing,
            entry,
            fresh,
        };
        // There was room, so there is a ticket.
        Ok(match ticket {
            Some(ticket) => Next::Await(step, ticket),
            None => Next::End(Outcome::Failed(RuleError::TableFull)),
        })
    }

    /// Writes what an entry does for a rule.
    fn write(
        &mut self,
        entry: usize,
        doing: &Doing,
        change: bool,
        commands: &mut CommandQueue,
    ) -> Result<Option<CommandTicket>, MlxError> {
        let entry = &self.rules.entries[entry];
        let table = &self.stages[entry.matched.stage().0];
        let plan = doing;
        let destinations = plan.vports.len() + usize::from(plan.goes_on);
        let len = SetFlowTableEntryIn::SIZE + (destinations + 1) * Destination::SIZE;
        let mut memory = std::mem::take(&mut self.input);
        memory.clear();
        memory.resize(len, 0);
        let Some(mut input) = View::<SetFlowTableEntryIn, _>::new(&mut memory[..]) else {
            return Ok(None);
        };
        let (_, group, index) = entry.place;
        input
            .set(SetFlowTableEntryIn::TABLE_TYPE, table.kind as u8)
            .set(SetFlowTableEntryIn::TABLE_ID, table.id.0)
            .set(
                SetFlowTableEntryIn::IGNORE_FLOW_LEVEL,
                plan.goes_on && entry.matched.stage().0 > 0,
            )
            .set(SetFlowTableEntryIn::FLOW_INDEX, index.0);
        if change {
            let all = modify_enable::ACTION
                | modify_enable::DESTINATION_LIST
                | modify_enable::FLOW_COUNTERS;
            input.set(SetFlowTableEntryIn::MODIFY_ENABLE_MASK, all);
            let mut head = input.at_mut(SetFlowTableEntryIn::HEAD);
            head.set(Input::OP_MOD, CHANGE);
        }
        let mut what = action::COUNT;
        what |= if destinations > 0 {
            action::FORWARD
        } else {
            action::DROP
        };
        let mut context = input.at_mut(SetFlowTableEntryIn::CONTEXT);
        context
            .set(FlowContext::GROUP_ID, group.0)
            .set(FlowContext::DESTINATION_LIST_SIZE, destinations as u32)
            .set(FlowContext::FLOW_COUNTER_LIST_SIZE, 1);
        if let Some(list) = doing.rewrite
            && let Standing::There(id) = self.rewrites.standing(list)
        {
            what |= action::MODIFY_HEADER;
            context.set(FlowContext::MODIFY_HEADER_ID, id.0);
        }
        for bit in [action::POP_VLAN, action::POP_VLAN_2]
            .iter()
            .take(plan.pops)
        {
            what |= bit;
        }
        let places = [
            (action::PUSH_VLAN, FlowContext::PUSH_VLAN),
            (action::PUSH_VLAN_2, FlowContext::PUSH_VLAN_2),
        ];
        for (tag, (bit, place)) in plan.pushes.iter().zip(places) {
            what |= bit;
            context
                .at_mut(place)
                .set(VlanTag::ETHERTYPE, tag.kind)
                .set(VlanTag::PRIO, (tag.control >> 13) as u8)
                .set(VlanTag::CFI, tag.control & 0x1000 != 0)
                .set(VlanTag::VID, tag.control & 0xfff);
        }
        context.set(FlowContext::ACTION, what);
        let value = context.at_mut(FlowContext::MATCH_VALUE);
        write_match(&entry.matched, Side::Value, value);
        let vports = plan.vports.iter();
        let vports = vports.map(|v| (DestinationType::Vport, u32::from(v.0)));
        let on = plan
            .goes_on
            .then(|| (DestinationType::FlowTable, self.stages[1].id.0));
        for (i, (kind, number)) in vports.chain(on).enumerate() {
            if let Some(mut item) = input.item_mut(SetFlowTableEntryIn::DESTINATIONS, i) {
                item.set(Destination::DESTINATION_TYPE, kind as u8)
                    .set(Destination::DESTINATION_ID, number);
            }
        }
        if let Some(mut item) = input.item_mut(SetFlowTableEntryIn::COUNTERS, destinations) {
            item.set(FlowCounterId::FLOW_COUNTER_ID, doing.counter.id.0);
        }
        let ticket = commands.submit(Opcode::SetFlowTableEntry, &mut memory, Output::SIZE);
        self.input = memory;
        ticket
    }

    fn written(
        &mut self,
        id: usize,
        doing: Doing,
        entry: usize,
        fresh: bool,
        answer: Option<Result<Answer, MlxError>>,
    ) -> Result<Next, MlxError> {
        self.rules.entries[entry].busy = false;
        if let Some(Err(e)) = answer {
            if fresh && let Some(gone) = self.rules.drop_entry(entry) {
                let (at, _, index) = gone.place;
                self.stages[gone.matched.stage().0].give_back(at, index);
            }
            return Ok(self.abandon(&doing, refused(&e)));
        }
        self.coming -= 1;
        let op = &mut self.ops[id];
        let handle = self.rules.hold(op.key, entry, doing);
        op.installed = Some(handle);
        Ok(match op.old.and_then(|old| self.rules.find(old)) {
            Some(slot) => Next::Go(Step::Unwrite {
                slot,
                written: false,
            }),
            None => Next::End(Outcome::Installed(Installed {
                handle,
                replaced: None,
            })),
        })
    }

    fn unwrite(
        &mut self,
        slot: usize,
        written: bool,
        answer: Option<Result<Answer, MlxError>>,
        commands: &mut CommandQueue,
    ) -> Result<Next, MlxError> {
        let again = Step::Unwrite { slot, written };
        let Some(number) = self.rules.get(slot).map(|held| held.entry) else {
            return Ok(Next::End(Outcome::Failed(RuleError::Stale)));
        };
        let entry = &mut self.rules.entries[number];
        if written {
            entry.busy = false;
            if let Some(Err(e)) = answer {
                // The device keeps a rule that nobody wants: it is not to be trusted any more.
                return Err(e);
            }
        } else if entry.rules.last() == Some(&slot) {
            // It is what the entry does.
            if entry.busy || commands.room() == 0 {
                return Ok(Next::Later(again));
            }
            entry.busy = true;
            let before = entry.rules.iter().rev().nth(1).copied();
            let before = before.and_then(|slot| self.rules.get(slot));
            let ticket = match before.map(|held| held.doing.clone()) {
                Some(doing) => self.write(number, &doing, true, commands)?,
                None => self.delete(number, commands)?,
            };
            let step = Step::Unwrite {
                slot,
                written: true,
            };
            return Ok(match ticket {
                Some(ticket) => Next::Await(step, ticket),
                None => Next::Later(again),
            });
        }
        let Some(held) = self.rules.let_go(slot) else {
            return Ok(Next::End(Outcome::Failed(RuleError::Stale)));
        };
        if self.rules.entries[number].rules.is_empty()
            && let Some(gone) = self.rules.drop_entry(number)
        {
            let (at, _, index) = gone.place;
            self.stages[gone.matched.stage().0].give_back(at, index);
        }
        self.release(held.doing.rewrite);
        Ok(Next::Go(Step::Read(held.doing.counter)))
    }

    fn delete(
        &mut self,
        entry: usize,
        commands: &mut CommandQueue,
    ) -> Result<Option<CommandTicket>, MlxError> {
        let entry = &self.rules.entries[entry];
        let table = &self.stages[entry.matched.stage().0];
        let mut input = View::<DeleteFlowTableEntryIn, _>::zeroed();
        input
            .set(DeleteFlowTableEntryIn::TABLE_TYPE, table.kind as u8)
            .set(DeleteFlowTableEntryIn::TABLE_ID, table.id.0)
            .set(DeleteFlowTableEntryIn::FLOW_INDEX, entry.place.2.0);
        let mut input = input.into_inner();
        commands.submit(Opcode::DeleteFlowTableEntry, &mut input, Output::SIZE)
    }

    fn read(
        &mut self,
        id: usize,
        mut counter: InUse,
        answer: Option<Result<Answer, MlxError>>,
        commands: &mut CommandQueue,
    ) -> Result<Next, MlxError> {
        let Some(answer) = answer else {
            let mut input = View::<QueryFlowCounterIn, _>::zeroed();
            input.set(QueryFlowCounterIn::FLOW_COUNTER_ID, counter.id.0);
            let mut input = input.into_inner();
            let len = QueryFlowCounterOut::SIZE + FlowStatistics::SIZE;
            let ticket = commands.submit(Opcode::QueryFlowCounter, &mut input, len)?;
            return Ok(match ticket {
                Some(ticket) => Next::Await(Step::Read(counter), ticket),
                None => Next::Later(Step::Read(counter)),
            });
        };
        let raw = first_reading(&answer?);
        let last = counter.read(raw, self.now);
        self.retired += carried_by(&counter);
        self.counters.give_back(counter, raw);
        Ok(Next::End(match self.ops[id].installed {
            Some(handle) => Outcome::Installed(Installed {
                handle,
                replaced: Some(last),
            }),
            None => Outcome::Removed(last),
        }))
    }

    /// Remembers what a command is about.
    fn expect(&mut self, ticket: CommandTicket, purpose: Purpose) {
        if self.purposes.len() <= ticket.slot {
            self.purposes.resize_with(ticket.slot + 1, || None);
        }
        self.purposes[ticket.slot] = Some((ticket, purpose));
    }

    /// Sends a command whose answer concerns more than one operation. There is room: who sends has
    /// looked, and takes no more than one place.
    fn send<L: Described, B: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        opcode: Opcode,
        input: View<L, B>,
        purpose: Purpose,
        commands: &mut CommandQueue,
    ) -> Result<bool, MlxError> {
        let mut input = input.into_inner();
        let len = opcode.output().size;
        let ticket = commands.submit(opcode, input.as_mut(), len)?;
        if let Some(ticket) = ticket {
            self.expect(ticket, purpose);
        }
        Ok(ticket.is_some())
    }

    fn make_group(
        &mut self,
        coming: &Coming,
        at: GroupRef,
        (first, last): (u32, u32),
        commands: &mut CommandQueue,
    ) -> Result<(), MlxError> {
        let stage = coming.matched.stage();
        let table = &self.stages[stage.0];
        let mut input = View::<CreateFlowGroupIn, _>::zeroed();
        input
            .set(CreateFlowGroupIn::TABLE_TYPE, table.kind as u8)
            .set(CreateFlowGroupIn::TABLE_ID, table.id.0)
            .set(CreateFlowGroupIn::START_FLOW_INDEX, first)
            .set(CreateFlowGroupIn::END_FLOW_INDEX, last);
        let mask = input.at_mut(CreateFlowGroupIn::MATCH_CRITERIA);
        let sections = write_match(&coming.matched, Side::Mask, mask);
        input.set(CreateFlowGroupIn::MATCH_CRITERIA_ENABLE, sections);
        self.send(
            Opcode::CreateFlowGroup,
            input,
            Purpose::Group(stage, at),
            commands,
        )?;
        Ok(())
    }

    fn make_rewrite(
        &mut self,
        list: RewriteRef,
        commands: &mut CommandQueue,
    ) -> Result<(), MlxError> {
        let changes = self.rewrites.changes(list);
        let mut input = View::with_tail(AllocModifyHeaderContextIn::ACTIONS, changes.len());
        let (kind, count) = (self.stages[0].kind as u8, changes.len() as u8);
        input
            .set(AllocModifyHeaderContextIn::TABLE_TYPE, kind)
            .set(AllocModifyHeaderContextIn::NUM_OF_ACTIONS, count);
        for (i, change) in changes.iter().enumerate() {
            if let Some(mut item) = input.item_mut(AllocModifyHeaderContextIn::ACTIONS, i) {
                item.copy_from(change);
            }
        }
        let opcode = Opcode::AllocModifyHeaderContext;
        let asked = self.send(opcode, input, Purpose::Rewrite(list), commands)?;
        self.rewrites.asked(list, asked);
        Ok(())
    }

    fn release(&mut self, rewrite: Option<RewriteRef>) {
        self.unused
            .extend(rewrite.and_then(|list| self.rewrites.release(list)));
    }

    /// Takes readings of counters: packets and bytes by number.
    pub fn readings(
        &mut self,
        raw: &HashMap<CounterId, Raw>,
        now: Time,
    ) -> Vec<(RuleHandle, hal::Counter)> {
        let read = self.rules.iter_mut().map(|(handle, held)| {
            let counter = &mut held.doing.counter;
            let last = match raw.get(&counter.id) {
                Some(raw) => counter.read(*raw, now),
                None => counter.last(),
            };
            (handle, last)
        });
        read.collect()
    }

    /// Packets that rules have carried, those of rules that are gone included, as of the last
    /// readings. One that went from rule to rule counts once.
    pub fn carried(&self) -> u64 {
        let held = self
            .rules
            .iter()
            .map(|held| carried_by(&held.doing.counter));
        self.retired + held.sum::<u64>()
    }

    /// All that is under way is lost, and all rules are gone; what they had carried, by these last
    /// readings of their counters.
    pub fn lose_all(
        &mut self,
        raw: &HashMap<CounterId, Raw>,
        now: Time,
        done: &mut Vec<Completion>,
    ) -> Vec<LastReading> {
        let retired = &mut self.retired;
        let mut final_reading = |counter: &mut InUse| {
            if let Some(raw) = raw.get(&counter.id) {
                counter.read(*raw, now);
            }
            *retired += carried_by(counter);
            counter.last()
        };
        let mut last = Vec::new();
        let mut lost = Vec::new();
        for mut op in self.ops.drain() {
            lost.push(op.ticket);
            // Its entry is gone already and nobody has been told what it had carried.
            if let (Some(handle), Some(Step::Read(counter))) = (op.old, &mut op.step) {
                last.push(LastReading {
                    key: op.key,
                    handle,
                    counter: final_reading(counter),
                });
            }
        }
        lost.sort_unstable();
        done.extend(lost.into_iter().map(|ticket| Completion {
            ticket,
            outcome: Outcome::Lost,
        }));
        last.extend(self.rules.iter_mut().map(|(handle, held)| LastReading {
            key: held.key,
            handle,
            counter: final_reading(&mut held.doing.counter),
        }));
        self.rules.clear();
        self.by_key.clear();
        self.later.clear();
        self.purposes.clear();
        self.unused.clear();
        self.coming = 0;
        last
    }
}

/// Packets that came in and met this counter's rule first.
fn carried_by(counter: &InUse) -> u64 {
    if counter.is_first {
        counter.last().packets
    } else {
        0
    }
}

/// Writes one side of a match that was found to have words when its rule came.
fn write_match(matched: &Matched, side: Side, out: View<MatchParameters, &mut [u8]>) -> u8 {
    matching::write(matched.wanted(), side, out).unwrap_or_default()
}

/// The first reading of an answer.
fn first_reading(answer: &[u8]) -> Raw {
    let answer = View::<QueryFlowCounterOut, _>::new(answer);
    let first = answer.and_then(|a| {
        let reading = a.items(QueryFlowCounterOut::STATISTICS).next()?;
        Some(Raw {
            packets: reading.get(FlowStatistics::PACKETS),
            bytes: reading.get(FlowStatistics::OCTETS),
        })
    });
    first.unwrap_or_default()
}
