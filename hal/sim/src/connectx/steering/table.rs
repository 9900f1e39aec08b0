//! Tables and groups: commands and their checks.

use super::entry::Entry;
use super::matching::{self, Mask};
use crate::connectx::capability::Capabilities;
use crate::connectx::command::{Call, Outcome};
use crate::connectx::core::Core;
use crate::connectx::objects::{Id, Kind};
use crate::connectx::syndrome::Syndrome;
use crate::connectx::vport::UPLINK;
use hal_mlx_prm::capability::*;
use hal_mlx_prm::command::*;
use hal_mlx_prm::context::{FlowTableContext, MatchParameters, MissAction, TableType};
use hal_mlx_prm::{Field, View};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Where frames go that no entry matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// Where it is usual.
    Default,
    Table(u32),
}

/// Rows that look at the same bits.
#[derive(Debug)]
pub(super) struct Group {
    pub id: u32,
    pub start: u32,
    pub end: u32,
    enable: u8,
    criteria: [u8; MatchParameters::SIZE],
    pub mask: Mask,
    /// Rows by what they want to see.
    pub rows: HashMap<Arc<[u32]>, Vec<u32>>,
    pub len: usize,
}

/// A table.
#[derive(Debug)]
pub(in crate::connectx) struct FlowTable {
    pub(super) kind: TableType,
    pub(super) vport: u16,
    pub(super) level: u8,
    log_size: u8,
    pub(super) reformats: bool,
    pub(super) decaps: bool,
    context: Vec<u8>,
    pub(super) miss: Miss,
    /// By their first row.
    pub(super) groups: BTreeMap<u32, Group>,
    pub(super) entries: BTreeMap<u32, Arc<Entry>>,
}

impl FlowTable {
    /// The row that a frame is for.
    pub(super) fn lookup(
        &self,
        parameters: &[u8; MatchParameters::SIZE],
        from_uplink: bool,
        scratch: &mut Vec<u32>,
    ) -> Option<&Arc<Entry>> {
        self.groups.values().find_map(|group| {
            if group.len == 0 {
                return None;
            }
            group.mask.key(parameters, scratch);
            let rows = group.rows.get(scratch.as_slice())?;
            let mut entries = rows.iter().filter_map(|row| self.entries.get(row));
            entries.find(|entry| entry.takes(from_uplink))
        })
    }
}

impl Capabilities {
    /// A property of tables of a kind.
    pub fn of_tables<T: hal_mlx_prm::Bits>(
        &self,
        kind: TableType,
        field: Field<FlowTableProperties, T>,
    ) -> T {
        match kind {
            TableType::NicReceive => self.inner(FlowTableCapability::NIC_RECEIVE, field),
            TableType::NicTransmit => self.inner(FlowTableCapability::NIC_TRANSMIT, field),
            TableType::IngressAcl => self.inner(EswitchFlowTableCapability::ACL_INGRESS, field),
            TableType::EgressAcl => self.inner(EswitchFlowTableCapability::ACL_EGRESS, field),
            TableType::Fdb => self.inner(EswitchFlowTableCapability::FDB, field),
            TableType::SnifferReceive => {
                self.inner(FlowTableCapability::NIC_RECEIVE_SNIFFER, field)
            }
            TableType::SnifferTransmit => {
                self.inner(FlowTableCapability::NIC_TRANSMIT_SNIFFER, field)
            }
            TableType::RdmaReceive => self.inner(FlowTableCapability::NIC_RECEIVE_RDMA, field),
            TableType::RdmaTransmit => self.inner(FlowTableCapability::NIC_TRANSMIT_RDMA, field),
            TableType::PortSelection => T::from_bits(0),
        }
    }

    /// Whether tables of a kind may look at something.
    fn may_match(&self, kind: TableType, field: Field<FlowTableFields, bool>) -> bool {
        let place = hal_mlx_prm::Place {
            offset: FlowTableProperties::MATCH.offset + field.place.offset,
            ..field.place
        };
        let moved = Field::<FlowTableProperties, bool>::new(
            field.name,
            place.offset,
            place.high,
            place.low,
        );
        self.of_tables(kind, moved)
    }
}

impl Core {
    /// A kind of tables, if the device has it.
    pub fn table_kind(&self, number: u8) -> Result<TableType, Syndrome> {
        let kind = TableType::of(number).ok_or(Syndrome::UnknownTableType)?;
        let has = self
            .capabilities
            .of_tables(kind, FlowTableProperties::FT_SUPPORT);
        if has {
            Ok(kind)
        } else {
            Err(Syndrome::UnknownTableType)
        }
    }

    /// Whose tables a command is about.
    pub fn table_vport(&self, other: bool, vport: u16) -> Result<u16, Syndrome> {
        match (other, vport) {
            (false, 0) => Ok(0),
            (false, _) => Err(Syndrome::VportWithoutOther),
            (true, vport) if vport == UPLINK || vport <= self.vfs => Ok(vport),
            (true, _) => Err(Syndrome::NoSuchVport),
        }
    }

    /// A table, of this kind and vport.
    pub(super) fn table(
        &mut self,
        id: u32,
        kind: u8,
        other: bool,
        vport: u16,
    ) -> Result<&mut FlowTable, Syndrome> {
        let kind = self.table_kind(kind)?;
        let vport = self.table_vport(other, vport)?;
        let table = self
            .steering
            .tables
            .get_mut(&id)
            .ok_or(Syndrome::NoSuchTable)?;
        if table.kind != kind {
            return Err(Syndrome::OtherTableType);
        }
        if table.vport != vport {
            return Err(Syndrome::OtherTableVport);
        }
        Ok(table)
    }

    /// Where a table's misses go, as a context says.
    fn miss(
        &self,
        kind: TableType,
        level: u8,
        context: &View<FlowTableContext, &[u8]>,
    ) -> Result<(Miss, Vec<Id>), Syndrome> {
        let action = context.get(FlowTableContext::TABLE_MISS_ACTION);
        match MissAction::of(action).ok_or(Syndrome::MissAction)? {
            MissAction::Default => Ok((Miss::Default, vec![])),
            // Linux does so whether IDENTIFIED_MISS_TABLE_MODE is set or not, as with the
            // ConnectX-4 Lx, where it is not.
            MissAction::Forward => {
                let next = context.get(FlowTableContext::TABLE_MISS_ID);
                let table = self.steering.tables.get(&next);
                let table = table.ok_or(Syndrome::NoSuchTable)?;
                if table.kind != kind {
                    return Err(Syndrome::OtherTableType);
                }
                if table.level <= level {
                    return Err(Syndrome::MissLevel);
                }
                Ok((Miss::Table(next), vec![(Kind::Table, next)]))
            }
            MissAction::SwitchDomain => {
                let domain = FlowTableProperties::TABLE_MISS_ACTION_DOMAIN;
                if self.capabilities.of_tables(kind, domain) {
                    Ok((Miss::Default, vec![]))
                } else {
                    Err(Syndrome::MissAction)
                }
            }
        }
    }

    /// CREATE_FLOW_TABLE.
    pub fn create_flow_table(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let kind = self.table_kind(input.get(CreateFlowTableIn::TABLE_TYPE))?;
        let vport = self.table_vport(
            input.get(CreateFlowTableIn::OTHER_VPORT),
            input.get(CreateFlowTableIn::VPORT_NUMBER),
        )?;
        let context = input.at(CreateFlowTableIn::CONTEXT);
        let level = context.get(FlowTableContext::LEVEL);
        let log_size = context.get(FlowTableContext::LOG_SIZE);
        let most = |field| self.capabilities.of_tables::<u8>(kind, field);
        if level > most(FlowTableProperties::MAX_FT_LEVEL) {
            return Err(Syndrome::TableLevel);
        }
        if log_size > most(FlowTableProperties::LOG_MAX_FT_SIZE) {
            return Err(Syndrome::TableSize);
        }
        if context.get(FlowTableContext::SW_OWNER) {
            return Err(Syndrome::SoftwareOwner);
        }
        let has = |field| self.capabilities.of_tables::<bool>(kind, field);
        let reformats = context.get(FlowTableContext::REFORMAT_EN);
        let decaps = context.get(FlowTableContext::DECAP_EN);
        if reformats && !has(FlowTableProperties::REFORMAT)
            || decaps && !has(FlowTableProperties::DECAP)
        {
            return Err(Syndrome::TableReformat);
        }
        let number = self
            .steering
            .tables
            .values()
            .filter(|t| t.kind == kind)
            .count();
        if number >> most(FlowTableProperties::LOG_MAX_FT_NUM).min(30) != 0 {
            return Err(Syndrome::TablesFull);
        }
        let (miss, refers) = self.miss(kind, level, &context)?;
        let table = FlowTable {
            kind,
            vport,
            level,
            log_size,
            reformats,
            decaps,
            context: context.bytes()[..FlowTableContext::SIZE].to_vec(),
            miss,
            groups: BTreeMap::new(),
            entries: BTreeMap::new(),
        };
        let id = self.objects.create(Kind::Table, refers)?;
        self.steering.tables.insert(id, table);
        call.output()?.set(CreateFlowTableOut::TABLE_ID, id);
        Ok(())
    }

    /// DESTROY_FLOW_TABLE.
    pub fn destroy_flow_table(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let id = input.get(DestroyFlowTableIn::TABLE_ID);
        let table = self.table(
            id,
            input.get(DestroyFlowTableIn::TABLE_TYPE),
            input.get(DestroyFlowTableIn::OTHER_VPORT),
            input.get(DestroyFlowTableIn::VPORT_NUMBER),
        )?;
        if !table.groups.is_empty() {
            return Err(Syndrome::TableNotEmpty);
        }
        let roots = self.steering.roots.iter().find(|(_, root)| **root == id);
        let root = roots.map(|(of, _)| *of);
        if let Some(of) = root {
            // The first table of a kind may go: there is none then.
            self.steering.roots.remove(&of);
            self.objects.release(&[(Kind::Table, id)]);
            if let Err(busy) = self.objects.destroy((Kind::Table, id)) {
                self.steering.roots.insert(of, id);
                self.objects.refer(&[(Kind::Table, id)]);
                return Err(busy);
            }
        } else {
            self.objects.destroy((Kind::Table, id))?;
        }
        self.steering.tables.remove(&id);
        Ok(())
    }

    /// QUERY_FLOW_TABLE.
    pub fn query_flow_table(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let table = self.table(
            input.get(QueryFlowTableIn::TABLE_ID),
            input.get(QueryFlowTableIn::TABLE_TYPE),
            input.get(QueryFlowTableIn::OTHER_VPORT),
            input.get(QueryFlowTableIn::VPORT_NUMBER),
        )?;
        let mut out = call.output::<QueryFlowTableOut>()?;
        crate::connectx::command::kept(out.at_mut(QueryFlowTableOut::CONTEXT), &table.context)?;
        Ok(())
    }

    /// MODIFY_FLOW_TABLE: where misses go.
    pub fn modify_flow_table(&mut self, call: &mut Call<'_>) -> Outcome {
        const MISS: u16 = 1 << 0;
        let input = call.input()?;
        let id = input.get(ModifyFlowTableIn::TABLE_ID);
        let table = self.table(
            id,
            input.get(ModifyFlowTableIn::TABLE_TYPE),
            input.get(ModifyFlowTableIn::OTHER_VPORT),
            input.get(ModifyFlowTableIn::VPORT_NUMBER),
        )?;
        let (kind, level) = (table.kind, table.level);
        let can = self
            .capabilities
            .of_tables(kind, FlowTableProperties::FLOW_TABLE_MODIFY);
        let fields = input.get(ModifyFlowTableIn::MODIFY_FIELD_SELECT);
        if !can || call.op_mod != 0 || fields & !MISS != 0 {
            return Err(Syndrome::TableModification);
        }
        if fields & MISS != 0 {
            let context = input.at(ModifyFlowTableIn::CONTEXT);
            let (miss, refers) = self.miss(kind, level, &context)?;
            self.objects.refer_anew((Kind::Table, id), refers)?;
            if let Some(table) = self.steering.tables.get_mut(&id) {
                table.miss = miss;
                if let Some(mut kept) = View::<FlowTableContext, _>::new(&mut table.context[..]) {
                    kept.set(
                        FlowTableContext::TABLE_MISS_ACTION,
                        context.get(FlowTableContext::TABLE_MISS_ACTION),
                    )
                    .set(
                        FlowTableContext::TABLE_MISS_ID,
                        context.get(FlowTableContext::TABLE_MISS_ID),
                    );
                }
            }
        }
        Ok(())
    }

    /// SET_FLOW_TABLE_ROOT: 0 sets, 1 goes back to none.
    pub fn set_flow_table_root(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let kind = self.table_kind(input.get(SetFlowTableRootIn::TABLE_TYPE))?;
        if input.get(SetFlowTableRootIn::TABLE_ESWITCH_OWNER_VHCA_ID_VALID) {
            return Err(Syndrome::OtherEswitch);
        }
        if input.get(SetFlowTableRootIn::UNDERLAY_QPN) != 0 {
            return Err(Syndrome::UnderlayQueue);
        }
        let other = input.get(SetFlowTableRootIn::OTHER_VPORT);
        let number = input.get(SetFlowTableRootIn::VPORT_NUMBER);
        let vport = self.table_vport(other, number)?;
        let of = (kind as u8, vport);
        let new = match call.op_mod {
            0 => {
                let id = input.get(SetFlowTableRootIn::TABLE_ID);
                self.table(id, kind as u8, other, number)?;
                Some(id)
            }
            1 => None,
            _ => return Err(Syndrome::RootVariant),
        };
        if let Some(old) = self.steering.roots.remove(&of) {
            self.objects.release(&[(Kind::Table, old)]);
        }
        if let Some(id) = new {
            self.objects.refer(&[(Kind::Table, id)]);
            self.steering.roots.insert(of, id);
        }
        Ok(())
    }

    /// CREATE_FLOW_GROUP.
    pub fn create_flow_group(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let id = input.get(CreateFlowGroupIn::TABLE_ID);
        let table = self.table(
            id,
            input.get(CreateFlowGroupIn::TABLE_TYPE),
            input.get(CreateFlowGroupIn::OTHER_VPORT),
            input.get(CreateFlowGroupIn::VPORT_NUMBER),
        )?;
        let (kind, log_size) = (table.kind, table.log_size);
        if input.get(CreateFlowGroupIn::GROUP_TYPE) != 0 {
            return Err(Syndrome::GroupType);
        }
        let start = input.get(CreateFlowGroupIn::START_FLOW_INDEX);
        let end = input.get(CreateFlowGroupIn::END_FLOW_INDEX);
        if start > end || u64::from(end) >= 1 << log_size {
            return Err(Syndrome::GroupRange);
        }
        if table
            .groups
            .values()
            .any(|g| start <= g.end && g.start <= end)
        {
            return Err(Syndrome::GroupOverlap);
        }
        let enable = input.get(CreateFlowGroupIn::MATCH_CRITERIA_ENABLE);
        let criteria = input.at(CreateFlowGroupIn::MATCH_CRITERIA);
        let criteria = *criteria
            .bytes()
            .first_chunk()
            .ok_or(Syndrome::InputLength)?;
        if matching::sections(&criteria) & !enable != 0 {
            return Err(Syndrome::CriteriaNotEnabled);
        }
        let may = matching::allowed(|field| self.capabilities.may_match(kind, field));
        let may = may.into_inner();
        if criteria
            .iter()
            .zip(may)
            .any(|(wanted, may)| wanted & !may != 0)
        {
            return Err(Syndrome::CriteriaUnknown);
        }
        let group = Group {
            id: self.steering.next_group,
            start,
            end,
            enable,
            criteria,
            mask: Mask::new(&criteria),
            rows: HashMap::new(),
            len: 0,
        };
        let number = group.id;
        // Numbers of 24 bits: groups are counted over all tables.
        self.steering.next_group = number % 0xff_ffff + 1;
        if let Some(table) = self.steering.tables.get_mut(&id) {
            table.groups.insert(start, group);
        }
        call.output()?.set(CreateFlowGroupOut::GROUP_ID, number);
        Ok(())
    }

    /// DESTROY_FLOW_GROUP.
    pub fn destroy_flow_group(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let number = input.get(DestroyFlowGroupIn::GROUP_ID);
        let table = self.table(
            input.get(DestroyFlowGroupIn::TABLE_ID),
            input.get(DestroyFlowGroupIn::TABLE_TYPE),
            input.get(DestroyFlowGroupIn::OTHER_VPORT),
            input.get(DestroyFlowGroupIn::VPORT_NUMBER),
        )?;
        let group = table.groups.values().find(|g| g.id == number);
        let group = group.ok_or(Syndrome::NoSuchGroup)?;
        if group.len > 0 {
            return Err(Syndrome::GroupInUse);
        }
        let start = group.start;
        table.groups.remove(&start);
        Ok(())
    }

    /// QUERY_FLOW_GROUP.
    pub fn query_flow_group(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input()?;
        let number = input.get(QueryFlowGroupIn::GROUP_ID);
        let table = self.table(
            input.get(QueryFlowGroupIn::TABLE_ID),
            input.get(QueryFlowGroupIn::TABLE_TYPE),
            input.get(QueryFlowGroupIn::OTHER_VPORT),
            input.get(QueryFlowGroupIn::VPORT_NUMBER),
        )?;
        let group = table.groups.values().find(|g| g.id == number);
        let group = group.ok_or(Syndrome::NoSuchGroup)?;
        let mut out = call.output::<QueryFlowGroupOut>()?;
        out.set(QueryFlowGroupOut::START_FLOW_INDEX, group.start)
            .set(QueryFlowGroupOut::END_FLOW_INDEX, group.end)
            .set(QueryFlowGroupOut::MATCH_CRITERIA_ENABLE, group.enable);
        let place = out.at_mut(QueryFlowGroupOut::MATCH_CRITERIA);
        crate::connectx::command::kept(place, &group.criteria)?;
        Ok(())
    }
}
