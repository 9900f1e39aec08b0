//! Tables, groups and entries that are made one after the other and stay: the scaffolding between
//! which rules come and go.

use super::groups::{FlowIndex, GroupId, TableId};
use super::matching::Parameters;
use super::rewrites::ModifyHeaderId;
use crate::error::MlxError;
use crate::function::Function;
use hal_mlx_prm::command::{
    CreateFlowGroupIn, CreateFlowGroupOut, CreateFlowTableIn, CreateFlowTableOut,
    DeleteFlowTableEntryIn, Output, SetFlowTableEntryIn, SetFlowTableRootIn,
};
use hal_mlx_prm::context::{
    Destination, DestinationType, FlowContext, FlowTableContext, MissAction, TableType, action,
};
use hal_mlx_prm::{Opcode, View};

/// A table that is to be made.
pub struct NewTable {
    /// Of which kind.
    pub kind: TableType,
    /// Its level.
    pub level: u8,
    /// Entries, log 2.
    pub log_size: u8,
    /// The table for packets without an entry.
    pub miss: Option<TableId>,
}

impl NewTable {
    /// Makes it.
    ///
    /// # Errors
    /// The command fails.
    pub fn make(self, function: &mut Function) -> Result<TableId, MlxError> {
        let mut input = View::<CreateFlowTableIn, _>::zeroed();
        input.set(CreateFlowTableIn::TABLE_TYPE, self.kind as u8);
        let mut context = input.at_mut(CreateFlowTableIn::CONTEXT);
        context
            .set(FlowTableContext::LEVEL, self.level)
            .set(FlowTableContext::LOG_SIZE, self.log_size);
        if let Some(miss) = self.miss {
            context
                .set(
                    FlowTableContext::TABLE_MISS_ACTION,
                    MissAction::Forward as u8,
                )
                .set(FlowTableContext::TABLE_MISS_ID, miss.0);
        }
        let made = function.ask(Opcode::CreateFlowTable, input)?;
        Ok(TableId(made.get(CreateFlowTableOut::TABLE_ID)))
    }
}

/// Makes a table the one that packets meet first.
///
/// # Errors
/// The command fails.
pub fn set_root(function: &mut Function, kind: TableType, table: TableId) -> Result<(), MlxError> {
    let mut input = View::<SetFlowTableRootIn, _>::zeroed();
    input
        .set(SetFlowTableRootIn::TABLE_TYPE, kind as u8)
        .set(SetFlowTableRootIn::TABLE_ID, table.0);
    function.run(Opcode::SetFlowTableRoot, input, Output::SIZE)?;
    Ok(())
}

/// A group of a table whose entries are made one by one.
pub struct FixedGroup {
    kind: TableType,
    table: TableId,
    group: GroupId,
    free: Vec<FlowIndex>,
}

/// What an entry does.
pub struct Action {
    /// Where packets go.
    pub to: (DestinationType, u32),
    /// How they are changed.
    pub rewrite: Option<ModifyHeaderId>,
    /// A number that comes with them.
    pub tag: u32,
}

impl FixedGroup {
    /// A group over the first `len` indices of a table.
    ///
    /// # Errors
    /// The command fails.
    pub fn make(
        function: &mut Function,
        (kind, table): (TableType, TableId),
        len: u32,
        mask: &Parameters,
        sections: u8,
    ) -> Result<FixedGroup, MlxError> {
        let mut input = View::<CreateFlowGroupIn, _>::zeroed();
        input
            .set(CreateFlowGroupIn::TABLE_TYPE, kind as u8)
            .set(CreateFlowGroupIn::TABLE_ID, table.0)
            .set(CreateFlowGroupIn::START_FLOW_INDEX, 0)
            .set(CreateFlowGroupIn::END_FLOW_INDEX, len - 1)
            .set(CreateFlowGroupIn::MATCH_CRITERIA_ENABLE, sections);
        input
            .at_mut(CreateFlowGroupIn::MATCH_CRITERIA)
            .copy_from(mask.bytes());
        let made = function.ask(Opcode::CreateFlowGroup, input)?;
        Ok(FixedGroup {
            kind,
            table,
            group: GroupId(made.get(CreateFlowGroupOut::GROUP_ID)),
            free: (0..len).rev().map(FlowIndex).collect(),
        })
    }

    /// Makes an entry.
    ///
    /// # Errors
    /// The group is full, or the command fails.
    pub fn add(
        &mut self,
        function: &mut Function,
        value: &Parameters,
        what: &Action,
    ) -> Result<FlowIndex, MlxError> {
        let full = MlxError::Incapable("take one more queue: its table is full");
        let index = self.free.pop().ok_or(full)?;
        let mut input = View::with_tail(SetFlowTableEntryIn::DESTINATIONS, 1);
        input
            .set(SetFlowTableEntryIn::TABLE_TYPE, self.kind as u8)
            .set(SetFlowTableEntryIn::TABLE_ID, self.table.0)
            .set(SetFlowTableEntryIn::FLOW_INDEX, index.0);
        let mut context = input.at_mut(SetFlowTableEntryIn::CONTEXT);
        let rewrites = what.rewrite.map_or(0, |_| action::MODIFY_HEADER);
        context
            .set(FlowContext::GROUP_ID, self.group.0)
            .set(FlowContext::FLOW_TAG, what.tag)
            .set(FlowContext::ACTION, action::FORWARD | rewrites)
            .set(FlowContext::DESTINATION_LIST_SIZE, 1)
            .set(
                FlowContext::MODIFY_HEADER_ID,
                what.rewrite.map_or(0, |r| r.0),
            );
        context
            .at_mut(FlowContext::MATCH_VALUE)
            .copy_from(value.bytes());
        if let Some(mut to) = input.item_mut(SetFlowTableEntryIn::DESTINATIONS, 0) {
            to.set(Destination::DESTINATION_TYPE, what.to.0 as u8)
                .set(Destination::DESTINATION_ID, what.to.1);
        }
        match function.run(Opcode::SetFlowTableEntry, input, Output::SIZE) {
            Ok(_) => Ok(index),
            Err(e) => {
                self.free.push(index);
                Err(e)
            }
        }
    }

    /// Takes an entry away.
    ///
    /// # Errors
    /// The command fails.
    pub fn remove(&mut self, function: &mut Function, index: FlowIndex) -> Result<(), MlxError> {
        let mut input = View::<DeleteFlowTableEntryIn, _>::zeroed();
        input
            .set(DeleteFlowTableEntryIn::TABLE_TYPE, self.kind as u8)
            .set(DeleteFlowTableEntryIn::TABLE_ID, self.table.0)
            .set(DeleteFlowTableEntryIn::FLOW_INDEX, index.0);
        function.run(Opcode::DeleteFlowTableEntry, input, Output::SIZE)?;
        self.free.push(index);
        Ok(())
    }
}
