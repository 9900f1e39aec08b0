//! Entries: what a row wants to see, and what is done then.

use super::table::FlowTable;
use crate::connectx::command::{Call, Outcome};
use crate::connectx::core::Core;
use crate::connectx::objects::{Id, Kind};
use crate::connectx::syndrome::Syndrome;
use crate::connectx::vport::UPLINK;
use hal_mlx_prm::View;
use hal_mlx_prm::capability::*;
use hal_mlx_prm::command::*;
use hal_mlx_prm::context::{
    Destination, DestinationType, ExtendedDestination, FlowContext, FlowCounterId, MatchParameters,
    ReformatType, TableType, VlanTag, action, modify_enable,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Vport(u16),
    Table(u32),
    Tir(u32),
}

/// Where a frame goes, and which headers it gets for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    pub target: Target,
    pub reformat: Option<u32>,
}

/// A filled row.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The row's group, by its first row.
    group: u32,
    /// What it wants to see, as its group looks at frames.
    key: Arc<[u32]>,
    /// Only frames from the uplink, or only others.
    from_uplink: Option<bool>,
    pub action: u16,
    pub flow_tag: u32,
    pub goals: Vec<Goal>,
    pub counters: Vec<u32>,
    pub reformat: Option<u32>,
    pub modify: Option<u32>,
    /// Tag protocol and control, in the order in which they are pushed.
    pub push: Vec<(u16, u16)>,
    refers: Vec<Id>,
}

impl Entry {
    /// Whether it is for frames that come from there.
    pub fn takes(&self, from_uplink: bool) -> bool {
        self.from_uplink.is_none_or(|uplink| uplink == from_uplink)
    }

    pub fn does(&self, bit: u16) -> bool {
        self.action & bit != 0
    }
}

/// What the kinds of tables have in common with what an entry may do.
struct Rights {
    kind: TableType,
    level: u8,
    reformats: bool,
    decaps: bool,
    ignores_levels: bool,
}

/// All actions that the model knows.
const KNOWN: u16 = action::ALLOW
    | action::DROP
    | action::FORWARD
    | action::COUNT
    | action::REFORMAT
    | action::DECAP
    | action::MODIFY_HEADER
    | action::POP_VLAN
    | action::PUSH_VLAN
    | action::POP_VLAN_2
    | action::PUSH_VLAN_2;

fn tag(view: &View<VlanTag, &[u8]>) -> (u16, u16) {
    let control = u16::from(view.get(VlanTag::PRIO)) << 13
        | u16::from(view.get(VlanTag::CFI)) << 12
        | view.get(VlanTag::VID);
    (view.get(VlanTag::ETHERTYPE), control)
}

impl Core {
    /// SET_FLOW_TABLE_ENTRY: 0 fills a row, 1 changes what is done in one.
    pub fn set_flow_table_entry(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let id = input.get(SetFlowTableEntryIn::TABLE_ID);
        let row = input.get(SetFlowTableEntryIn::FLOW_INDEX);
        let table = self.table(
            id,
            input.get(SetFlowTableEntryIn::TABLE_TYPE),
            input.get(SetFlowTableEntryIn::OTHER_VPORT),
            input.get(SetFlowTableEntryIn::VPORT_NUMBER),
        )?;
        let rights = Rights {
            kind: table.kind,
            level: table.level,
            reformats: table.reformats,
            decaps: table.decaps,
            ignores_levels: input.get(SetFlowTableEntryIn::IGNORE_FLOW_LEVEL),
        };
        let old = table.entries.get(&row).map(|entry| Entry::clone(entry));
        if rights.ignores_levels && !self.may(&rights, FlowTableProperties::IGNORE_FLOW_LEVEL) {
            return Err(Syndrome::IgnoreLevel);
        }
        let context = input.at(SetFlowTableEntryIn::CONTEXT);
        let mut new = match (call.op_mod, old) {
            (0, None) if self.tables_are_full() => return Err(Syndrome::TableFull),
            (0, None) => self.new_entry(id, row, &context)?,
            (0, Some(_)) => return Err(Syndrome::EntryExists),
            (1, None) => return Err(Syndrome::NoSuchEntry),
            (1, Some(old)) => {
                if !self.may(&rights, FlowTableProperties::FLOW_MODIFY_EN) {
                    return Err(Syndrome::EntryModification);
                }
                old
            }
            _ => return Err(Syndrome::EntryVariant),
        };
        let changes = match call.op_mod {
            0 => u8::MAX,
            _ => input.get(SetFlowTableEntryIn::MODIFY_ENABLE_MASK),
        };
        self.fill(&mut new, changes, &rights, &input)?;
        self.check_actions(&new, &rights)?;
        for other in &new.refers {
            self.objects.check(*other)?;
        }
        self.objects.refer(&new.refers);
        self.put(id, row, new);
        Ok(())
    }

    fn may(&self, rights: &Rights, field: hal_mlx_prm::Field<FlowTableProperties, bool>) -> bool {
        self.capabilities.of_tables(rights.kind, field)
    }

    /// What a row that is still empty will want to see.
    fn new_entry(
        &self,
        table: u32,
        row: u32,
        context: &View<FlowContext, &[u8]>,
    ) -> Result<Entry, Syndrome> {
        let table = self
            .steering
            .tables
            .get(&table)
            .ok_or(Syndrome::NoSuchTable)?;
        let groups = table.groups.range(..=row).next_back();
        let (_, group) = groups
            .filter(|(_, g)| row <= g.end)
            .ok_or(Syndrome::RowOutside)?;
        if group.id != context.get(FlowContext::GROUP_ID) {
            return Err(Syndrome::OtherGroup);
        }
        let value = context.at(FlowContext::MATCH_VALUE);
        let value: &[u8; MatchParameters::SIZE] =
            value.bytes().first_chunk().ok_or(Syndrome::InputLength)?;
        if !group.mask.covers(value) {
            return Err(Syndrome::ValueBeyondCriteria);
        }
        let mut key = Vec::new();
        group.mask.key(value, &mut key);
        let from_uplink = match context.get(FlowContext::FLOW_SOURCE) {
            0 => None,
            1 => Some(true),
            2 => Some(false),
            _ => return Err(Syndrome::FlowSource),
        };
        Ok(Entry {
            group: group.start,
            key: key.into(),
            from_uplink,
            action: 0,
            flow_tag: 0,
            goals: Vec::new(),
            counters: Vec::new(),
            reformat: None,
            modify: None,
            push: Vec::new(),
            refers: Vec::new(),
        })
    }

    /// Takes what a command says of an entry, as far as it is to change.
    fn fill(
        &self,
        entry: &mut Entry,
        changes: u8,
        rights: &Rights,
        input: &View<SetFlowTableEntryIn, &[u8]>,
    ) -> Outcome {
        use Syndrome::*;
        let context = input.at(SetFlowTableEntryIn::CONTEXT);
        let destinations = context.get(FlowContext::DESTINATION_LIST_SIZE) as usize;
        let counters = context.get(FlowContext::FLOW_COUNTER_LIST_SIZE) as usize;
        let extended = context.get(FlowContext::EXTENDED_DESTINATION);
        let size = if extended {
            ExtendedDestination::SIZE
        } else {
            Destination::SIZE
        };
        let lists = input.bytes().get(SetFlowTableEntryIn::SIZE..);
        let lists = lists.unwrap_or_default();
        let split = destinations.saturating_mul(size);
        let end = split.saturating_add(counters.saturating_mul(FlowCounterId::SIZE));
        // Linux's list may be longer than it says.
        let (Some(to), Some(count)) = (lists.get(..split), lists.get(split..end)) else {
            return Err(EntryLists);
        };
        if changes & modify_enable::ACTION != 0 {
            entry.action = context.get(FlowContext::ACTION);
            if entry.action & !KNOWN != 0 {
                return Err(UnknownAction);
            }
            entry.reformat = entry
                .does(action::REFORMAT)
                .then(|| context.get(FlowContext::PACKET_REFORMAT_ID));
            if extended {
                entry.reformat = None;
            }
            entry.modify = entry
                .does(action::MODIFY_HEADER)
                .then(|| context.get(FlowContext::MODIFY_HEADER_ID));
            entry.push.clear();
            if entry.does(action::PUSH_VLAN) {
                entry.push.push(tag(&context.at(FlowContext::PUSH_VLAN)));
            }
            if entry.does(action::PUSH_VLAN_2) {
                entry.push.push(tag(&context.at(FlowContext::PUSH_VLAN_2)));
            }
        }
        if changes & modify_enable::FLOW_TAG != 0 {
            entry.flow_tag = context.get(FlowContext::FLOW_TAG);
        }
        if changes & modify_enable::DESTINATION_LIST != 0 {
            let goals = to
                .chunks_exact(size)
                .map(|item| self.goal(item, extended, rights));
            entry.goals = goals.collect::<Result<_, _>>()?;
        }
        if changes & modify_enable::FLOW_COUNTERS != 0 {
            let ids = count.chunks_exact(FlowCounterId::SIZE);
            let ids = ids.filter_map(View::<FlowCounterId, _>::new);
            entry.counters = ids.map(|c| c.get(FlowCounterId::FLOW_COUNTER_ID)).collect();
        }
        let mut refers = BTreeSet::new();
        for goal in &entry.goals {
            match goal.target {
                Target::Table(id) => drop(refers.insert((Kind::Table, id))),
                Target::Tir(id) => drop(refers.insert((Kind::Tir, id))),
                Target::Vport(_) => {}
            }
            refers.extend(goal.reformat.map(|id| (Kind::Reformat, id)));
        }
        for id in &entry.counters {
            let block = self.steering.counters.block_of(*id);
            refers.insert((Kind::Counter, block.ok_or(NoSuchCounter)?));
        }
        refers.extend(entry.reformat.map(|id| (Kind::Reformat, id)));
        refers.extend(entry.modify.map(|id| (Kind::ModifyHeader, id)));
        entry.refers = refers.into_iter().collect();
        Ok(())
    }

    /// A destination, if frames of such a table may go there.
    fn goal(&self, item: &[u8], extended: bool, rights: &Rights) -> Result<Goal, Syndrome> {
        let view = View::<Destination, _>::new(item).ok_or(Syndrome::EntryLists)?;
        let reformat = View::<ExtendedDestination, _>::new(item)
            .filter(|_| extended && view.get(Destination::PACKET_REFORMAT))
            .map(|view| view.get(ExtendedDestination::PACKET_REFORMAT_ID));
        if view.get(Destination::DESTINATION_ESWITCH_OWNER_VHCA_ID_VALID)
            && view.get(Destination::DESTINATION_ESWITCH_OWNER_VHCA_ID) != self.vhca_id()
        {
            return Err(Syndrome::OtherEswitch);
        }
        let id = view.get(Destination::DESTINATION_ID);
        let kind = view.get(Destination::DESTINATION_TYPE);
        let target = match DestinationType::of(kind).ok_or(Syndrome::UnknownDestination)? {
            DestinationType::FlowTable => {
                let table = self.steering.tables.get(&id).ok_or(Syndrome::NoSuchTable)?;
                if table.kind != rights.kind {
                    return Err(Syndrome::OtherTableType);
                }
                if table.level <= rights.level && !rights.ignores_levels {
                    return Err(Syndrome::DestinationLevel);
                }
                Target::Table(id)
            }
            DestinationType::Tir if rights.kind == TableType::NicReceive => Target::Tir(id),
            DestinationType::Vport if rights.kind == TableType::Fdb => {
                let vport = u16::try_from(id).map_err(|_| Syndrome::NoSuchVport)?;
                if vport != UPLINK && vport > self.vfs {
                    return Err(Syndrome::NoSuchVport);
                }
                Target::Vport(vport)
            }
            DestinationType::Uplink if rights.kind == TableType::Fdb => Target::Vport(UPLINK),
            _ => return Err(Syndrome::DestinationKind),
        };
        Ok(Goal { target, reformat })
    }

    /// Whether an entry does what goes together, and what its table and kind of table can do.
    fn check_actions(&self, entry: &Entry, rights: &Rights) -> Outcome {
        use FlowTableProperties as P;
        let ends = [action::ALLOW, action::DROP, action::FORWARD];
        let ends = ends.into_iter().filter(|bit| entry.does(*bit)).count();
        if ends != 1 {
            return Err(Syndrome::ActionEnds);
        }
        if entry.does(action::FORWARD) == entry.goals.is_empty() {
            return Err(Syndrome::ForwardWithoutGoal);
        }
        let most = self
            .capabilities
            .of_tables(rights.kind, P::LOG_MAX_DESTINATION);
        if entry.goals.len() as u64 > 1u64 << u8::min(most, 16) {
            return Err(Syndrome::TooManyDestinations);
        }
        if entry.does(action::COUNT) == entry.counters.is_empty() {
            return Err(Syndrome::CountWithoutCounter);
        }
        let needs = [
            (action::COUNT, P::FLOW_COUNTER),
            (action::POP_VLAN, P::POP_VLAN),
            (action::PUSH_VLAN, P::PUSH_VLAN),
            (action::POP_VLAN_2, P::POP_VLAN_2),
            (action::PUSH_VLAN_2, P::PUSH_VLAN_2),
            (action::REFORMAT, P::REFORMAT),
            (action::DECAP, P::DECAP),
        ];
        for (bit, property) in needs {
            if entry.does(bit) && !self.may(rights, property) {
                return Err(Syndrome::ActionNotSupported);
            }
        }
        if entry.does(action::POP_VLAN_2) && !entry.does(action::POP_VLAN)
            || entry.does(action::PUSH_VLAN_2) && !entry.does(action::PUSH_VLAN)
        {
            return Err(Syndrome::SecondTagFirst);
        }
        if entry.flow_tag != 0 && !self.may(rights, P::FLOW_TAG) {
            return Err(Syndrome::ActionNotSupported);
        }
        if entry.does(action::DECAP) && !rights.decaps {
            return Err(Syndrome::TableReformat);
        }
        if let Some(id) = entry.modify {
            let modify = self.steering.modifies.get(&id);
            if modify.ok_or(Syndrome::NoSuchModifyHeader)?.kind != rights.kind {
                return Err(Syndrome::OtherTableType);
            }
        }
        let reformats = entry.goals.iter().filter_map(|goal| goal.reformat);
        for id in reformats.chain(entry.reformat) {
            let reformat = self.steering.reformats.get(&id);
            let kind = reformat.ok_or(Syndrome::NoSuchReformat)?.kind;
            let table = match kind {
                ReformatType::L3TunnelToL2 => rights.decaps,
                _ => rights.reformats,
            };
            if !table {
                return Err(Syndrome::TableReformat);
            }
        }
        Ok(())
    }

    /// Fills a row, whatever was in it before.
    fn put(&mut self, id: u32, row: u32, new: Entry) {
        let Some(table) = self.steering.tables.get_mut(&id) else {
            return;
        };
        let (group, key) = (new.group, new.key.clone());
        if let Some(old) = table.entries.insert(row, Arc::new(new)) {
            self.objects.release(&old.refers);
            return;
        }
        self.steering.entries += 1;
        if let Some(group) = table.groups.get_mut(&group) {
            let rows = group.rows.entry(key).or_default();
            let place = rows.binary_search(&row).unwrap_or_else(|place| place);
            rows.insert(place, row);
            group.len += 1;
        }
    }

    /// DELETE_FLOW_TABLE_ENTRY.
    pub fn delete_flow_table_entry(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let row = input.get(DeleteFlowTableEntryIn::FLOW_INDEX);
        let table = self.table(
            input.get(DeleteFlowTableEntryIn::TABLE_ID),
            input.get(DeleteFlowTableEntryIn::TABLE_TYPE),
            input.get(DeleteFlowTableEntryIn::OTHER_VPORT),
            input.get(DeleteFlowTableEntryIn::VPORT_NUMBER),
        )?;
        let entry = take(table, row).ok_or(Syndrome::NoSuchEntry)?;
        self.steering.entries -= 1;
        self.objects.release(&entry.refers);
        Ok(())
    }

    /// QUERY_FLOW_TABLE_ENTRY.
    pub fn query_flow_table_entry(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let table = self.table(
            input.get(QueryFlowTableEntryIn::TABLE_ID),
            input.get(QueryFlowTableEntryIn::TABLE_TYPE),
            input.get(QueryFlowTableEntryIn::OTHER_VPORT),
            input.get(QueryFlowTableEntryIn::VPORT_NUMBER),
        )?;
        let row = input.get(QueryFlowTableEntryIn::FLOW_INDEX);
        let entry = table.entries.get(&row).ok_or(Syndrome::NoSuchEntry)?;
        let group = table.groups.get(&entry.group);
        let group = group.ok_or(Syndrome::NoSuchGroup)?;
        let extended = entry.goals.iter().any(|goal| goal.reformat.is_some());
        let mut out = call.output::<QueryFlowTableEntryOut>()?;
        let mut context = out.at_mut(QueryFlowTableEntryOut::CONTEXT);
        context
            .set(FlowContext::GROUP_ID, group.id)
            .set(FlowContext::FLOW_TAG, entry.flow_tag)
            .set(FlowContext::ACTION, entry.action)
            .set(FlowContext::EXTENDED_DESTINATION, extended)
            .set(FlowContext::DESTINATION_LIST_SIZE, entry.goals.len() as u32)
            .set(
                FlowContext::FLOW_COUNTER_LIST_SIZE,
                entry.counters.len() as u32,
            )
            .set(FlowContext::PACKET_REFORMAT_ID, entry.reformat.unwrap_or(0))
            .set(FlowContext::MODIFY_HEADER_ID, entry.modify.unwrap_or(0));
        let value = group.mask.value(&entry.key);
        crate::connectx::command::kept(context.at_mut(FlowContext::MATCH_VALUE), &value)?;
        for (i, goal) in entry.goals.iter().enumerate().filter(|_| !extended) {
            let (kind, id) = match goal.target {
                Target::Vport(vport) => (DestinationType::Vport, vport.into()),
                Target::Table(id) => (DestinationType::FlowTable, id),
                Target::Tir(id) => (DestinationType::Tir, id),
            };
            // As many as there is room for.
            if let Some(mut item) = out.item_mut(QueryFlowTableEntryOut::DESTINATIONS, i) {
                item.set(Destination::DESTINATION_TYPE, kind as u8)
                    .set(Destination::DESTINATION_ID, id);
            }
        }
        Ok(())
    }
}

fn take(table: &mut FlowTable, row: u32) -> Option<Arc<Entry>> {
    let entry = table.entries.remove(&row)?;
    if let Some(group) = table.groups.get_mut(&entry.group) {
        group.len -= 1;
        if let Some(rows) = group.rows.get_mut(&entry.key) {
            rows.retain(|other| *other != row);
            if rows.is_empty() {
                group.rows.remove(&entry.key);
            }
        }
    }
    Some(entry)
}
