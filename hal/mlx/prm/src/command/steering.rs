//! Commands for flow tables: tables, their groups, their entries.

use super::{Input, Output};
use crate::{
    Tail,
    context::{
        Destination, ExtendedDestination, FlowContext, FlowCounterId, FlowTableContext,
        MatchParameters,
    },
    layout::layout,
};

layout! {
    /// Input of SET_FLOW_TABLE_ROOT. Variants: 0 sets, 1 resets.
    SetFlowTableRootIn[0x40] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// On behalf of the vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
        /// See [`TableType`](crate::context::TableType).
        TABLE_TYPE: (u8, 0x10, 31:24),
        /// The table is one of another vport.
        TABLE_OF_OTHER_VPORT: (bool, 0x10, 16:16),
        /// That other vport.
        TABLE_VPORT_NUMBER: (u16, 0x10, 15:0),
        /// The table that packets meet first.
        TABLE_ID: (u32, 0x14, 23:0),
        /// The queue pair below, on InfiniBand.
        UNDERLAY_QPN: (u32, 0x18, 23:0),
        /// The table belongs to the e-switch of another function.
        TABLE_ESWITCH_OWNER_VHCA_ID_VALID: (bool, 0x1c, 31:31),
        /// That other function.
        TABLE_ESWITCH_OWNER_VHCA_ID: (u16, 0x1c, 15:0),
    }

    /// Input of CREATE_FLOW_TABLE.
    CreateFlowTableIn[0x40] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// On behalf of the vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
        /// See [`TableType`](crate::context::TableType).
        TABLE_TYPE: (u8, 0x10, 31:24),
        /// The table.
        CONTEXT: (FlowTableContext, 0x18),
    }

    /// Output of CREATE_FLOW_TABLE.
    CreateFlowTableOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Where its memory is, if software writes it.
        ICM_ADDRESS_63_40: (u32, 0x00, 23:0),
        /// More of that address.
        ICM_ADDRESS_39_32: (u8, 0x08, 31:24),
        /// Number of the table.
        TABLE_ID: (u32, 0x08, 23:0),
        /// The rest of that address.
        ICM_ADDRESS_31_0: (u32, 0x0c, 31:0),
    }

    /// Input of DESTROY_FLOW_TABLE.
    DestroyFlowTableIn[0x40] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// On behalf of the vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
        /// See [`TableType`](crate::context::TableType).
        TABLE_TYPE: (u8, 0x10, 31:24),
        /// Number of the table.
        TABLE_ID: (u32, 0x14, 23:0),
    }

    /// Input of QUERY_FLOW_TABLE.
    QueryFlowTableIn[0x40] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// On behalf of the vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
        /// See [`TableType`](crate::context::TableType).
        TABLE_TYPE: (u8, 0x10, 31:24),
        /// Number of the table.
        TABLE_ID: (u32, 0x14, 23:0),
    }

    /// Output of QUERY_FLOW_TABLE.
    QueryFlowTableOut[0x40] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The table.
        CONTEXT: (FlowTableContext, 0x18),
    }

    /// Input of MODIFY_FLOW_TABLE.
    ModifyFlowTableIn[0x40] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// On behalf of the vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
        /// What changes: bit 0 the table for packets without an entry, bit 15 the next table of the
        /// bond's master.
        MODIFY_FIELD_SELECT: (u16, 0x0c, 15:0),
        /// See [`TableType`](crate::context::TableType).
        TABLE_TYPE: (u8, 0x10, 31:24),
        /// Number of the table.
        TABLE_ID: (u32, 0x14, 23:0),
        /// The new values.
        CONTEXT: (FlowTableContext, 0x18),
    }

    /// Input of CREATE_FLOW_GROUP.
    CreateFlowGroupIn[0x400] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// On behalf of the vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
        /// See [`TableType`](crate::context::TableType).
        TABLE_TYPE: (u8, 0x10, 31:24),
        /// 0 a mask, 1 packets are split by a hash.
        GROUP_TYPE: (u8, 0x10, 19:16),
        /// Number of the table.
        TABLE_ID: (u32, 0x14, 23:0),
        /// The e-switch of the source is matched.
        SOURCE_ESWITCH_OWNER_VHCA_ID_VALID: (bool, 0x18, 31:31),
        /// Its first entry.
        START_FLOW_INDEX: (u32, 0x1c, 31:0),
        /// Its last entry.
        END_FLOW_INDEX: (u32, 0x24, 31:0),
        /// The definer of its hash.
        MATCH_DEFINER_ID: (u16, 0x28, 15:0),
        /// Which parts are matched, see [`criteria`](crate::context::criteria).
        MATCH_CRITERIA_ENABLE: (u8, 0x3c, 7:0),
        /// The mask.
        MATCH_CRITERIA: (MatchParameters, 0x40),
    }

    /// Output of CREATE_FLOW_GROUP.
    CreateFlowGroupOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Number of the group.
        GROUP_ID: (u32, 0x08, 23:0),
    }

    /// Input of DESTROY_FLOW_GROUP.
    DestroyFlowGroupIn[0x40] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// On behalf of the vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
        /// See [`TableType`](crate::context::TableType).
        TABLE_TYPE: (u8, 0x10, 31:24),
        /// Number of the table.
        TABLE_ID: (u32, 0x14, 23:0),
        /// Number of the group.
        GROUP_ID: (u32, 0x18, 31:0),
    }

    /// Input of QUERY_FLOW_GROUP.
    QueryFlowGroupIn[0x40] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// On behalf of the vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
        /// See [`TableType`](crate::context::TableType).
        TABLE_TYPE: (u8, 0x10, 31:24),
        /// Number of the table.
        TABLE_ID: (u32, 0x14, 23:0),
        /// Number of the group.
        GROUP_ID: (u32, 0x18, 31:0),
    }

    /// Output of QUERY_FLOW_GROUP.
    QueryFlowGroupOut[0x400] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Its first entry.
        START_FLOW_INDEX: (u32, 0x1c, 31:0),
        /// Its last entry.
        END_FLOW_INDEX: (u32, 0x24, 31:0),
        /// Which parts are matched, see [`criteria`](crate::context::criteria).
        MATCH_CRITERIA_ENABLE: (u8, 0x3c, 7:0),
        /// The mask.
        MATCH_CRITERIA: (MatchParameters, 0x40),
    }

    /// Input of SET_FLOW_TABLE_ENTRY. Variants: 0 makes the entry, 1 changes it.
    SetFlowTableEntryIn[0x340] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// On behalf of the vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
        /// See [`TableType`](crate::context::TableType).
        TABLE_TYPE: (u8, 0x10, 31:24),
        /// Number of the table.
        TABLE_ID: (u32, 0x14, 23:0),
        /// Destinations may be tables of lower levels.
        IGNORE_FLOW_LEVEL: (bool, 0x18, 31:31),
        /// What changes, see [`modify_enable`](crate::context::modify_enable).
        MODIFY_ENABLE_MASK: (u8, 0x18, 7:0),
        /// Which entry.
        FLOW_INDEX: (u32, 0x20, 31:0),
        /// The entry.
        CONTEXT: (FlowContext, 0x40),
        /// Destinations, then counters ([`FlowCounterId`]).
        DESTINATIONS: (Destination.., 0x340),
    }

    /// Input of DELETE_FLOW_TABLE_ENTRY.
    DeleteFlowTableEntryIn[0x40] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// On behalf of the vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
        /// See [`TableType`](crate::context::TableType).
        TABLE_TYPE: (u8, 0x10, 31:24),
        /// Number of the table.
        TABLE_ID: (u32, 0x14, 23:0),
        /// Which entry.
        FLOW_INDEX: (u32, 0x20, 31:0),
    }

    /// Input of QUERY_FLOW_TABLE_ENTRY.
    QueryFlowTableEntryIn[0x40] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// On behalf of the vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
        /// See [`TableType`](crate::context::TableType).
        TABLE_TYPE: (u8, 0x10, 31:24),
        /// Number of the table.
        TABLE_ID: (u32, 0x14, 23:0),
        /// Which entry.
        FLOW_INDEX: (u32, 0x20, 31:0),
    }

    /// Output of QUERY_FLOW_TABLE_ENTRY.
    QueryFlowTableEntryOut[0x340] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The entry.
        CONTEXT: (FlowContext, 0x40),
        /// Destinations, then counters ([`FlowCounterId`]).
        DESTINATIONS: (Destination.., 0x340),
    }
}

impl SetFlowTableEntryIn {
    /// The destinations if they are extended; counters follow them.
    pub const EXTENDED_DESTINATIONS: Tail<SetFlowTableEntryIn, ExtendedDestination> =
        Tail::new("EXTENDED_DESTINATIONS", Self::DESTINATIONS.offset);
    /// The counters if there are no destinations; otherwise as many items before them as those take.
    pub const COUNTERS: Tail<SetFlowTableEntryIn, FlowCounterId> =
        Tail::new("COUNTERS", Self::DESTINATIONS.offset);
}
