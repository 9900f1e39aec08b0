//! Commands for vports: their state, what they receive, what the e-switch does with them, their
//! counters. Each is on behalf of the function itself, or of another vport that it manages.

use super::{Input, Output};
use crate::{
    context::{EswVportContext, FlowStatistics, MacAddress, NicVportContext},
    layout::layout,
};

layout! {
    /// Input of QUERY_ESW_FUNCTIONS.
    QueryEswFunctionsIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
    }

    /// Output of QUERY_ESW_FUNCTIONS.
    QueryEswFunctionsOut[0x80] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The host behind the NIC.
        HOST: (HostParameters, 0x10),
    }

    /// The host whose functions the e-switch manages.
    HostParameters[0x40] {
        /// Which host.
        HOST_NUMBER: (u8, 0x00, 31:24),
        /// It has no physical function.
        HOST_PF_NOT_EXIST: (bool, 0x00, 18:18),
        /// Its physical function is off.
        HOST_PF_DISABLED: (bool, 0x00, 16:16),
        /// How many virtual functions are on.
        HOST_NUM_OF_VFS: (u16, 0x00, 15:0),
        /// Most virtual functions.
        HOST_TOTAL_VFS: (u16, 0x04, 31:16),
        /// Bus of its physical function.
        HOST_PCI_BUS: (u16, 0x04, 15:0),
        /// Device of its physical function.
        HOST_PCI_DEVICE: (u16, 0x08, 15:0),
        /// Number of its physical function.
        HOST_PCI_FUNCTION: (u16, 0x0c, 15:0),
    }

    /// Input of QUERY_VPORT_STATE. Variants: 0 the function's vport, 1 the e-switch's, 2 the
    /// uplink.
    QueryVportStateIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
    }

    /// Output of QUERY_VPORT_STATE.
    QueryVportStateOut[0x10] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Speed, in units of 100 Mb/s; 0 = unknown.
        MAX_TX_SPEED: (u16, 0x0c, 31:16),
        /// What is wanted: 0 down, 1 up, 2 as the uplink.
        ADMIN_STATE: (u8, 0x0c, 7:4),
        /// What is: 0 down, 1 up.
        STATE: (u8, 0x0c, 3:0),
    }

    /// Input of MODIFY_VPORT_STATE. Variants as in QUERY_VPORT_STATE.
    ModifyVportStateIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
        /// Speed limit, in units of 100 Mb/s; 0 = none.
        MAX_TX_SPEED: (u16, 0x0c, 31:16),
        /// The vport can send.
        INGRESS_CONNECT: (bool, 0x0c, 15:15),
        /// The vport can receive.
        EGRESS_CONNECT: (bool, 0x0c, 14:14),
        /// `INGRESS_CONNECT` is to be looked at.
        INGRESS_CONNECT_VALID: (bool, 0x0c, 13:13),
        /// `EGRESS_CONNECT` is to be looked at.
        EGRESS_CONNECT_VALID: (bool, 0x0c, 12:12),
        /// What is wanted: 0 down, 1 up, 2 as the uplink.
        ADMIN_STATE: (u8, 0x0c, 7:4),
    }

    /// Input of QUERY_ESW_VPORT_CONTEXT.
    QueryEswVportContextIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
    }

    /// Output of QUERY_ESW_VPORT_CONTEXT.
    QueryEswVportContextOut[0x110] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The vport as the e-switch sees it.
        CONTEXT: (EswVportContext, 0x10),
    }

    /// Input of MODIFY_ESW_VPORT_CONTEXT.
    ModifyEswVportContextIn[0x110] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
        /// What changes.
        FIELDS: (EswVportFields, 0x0c),
        /// The new values.
        CONTEXT: (EswVportContext, 0x10),
    }

    /// What MODIFY_ESW_VPORT_CONTEXT changes.
    EswVportFields[0x4] {
        /// The registers.
        FDB_TO_VPORT_REG_C_ID: (bool, 0x00, 4:4),
        /// Pushing the customer tag.
        VPORT_CVLAN_INSERT: (bool, 0x00, 3:3),
        /// Pushing the service tag.
        VPORT_SVLAN_INSERT: (bool, 0x00, 2:2),
        /// Taking the customer tag off.
        VPORT_CVLAN_STRIP: (bool, 0x00, 1:1),
        /// Taking the service tag off.
        VPORT_SVLAN_STRIP: (bool, 0x00, 0:0),
    }

    /// Input of QUERY_NIC_VPORT_CONTEXT.
    QueryNicVportContextIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
        /// Which list, see [`ListType`](crate::context::ListType).
        ALLOWED_LIST_TYPE: (u8, 0x0c, 26:24),
    }

    /// Output of QUERY_NIC_VPORT_CONTEXT.
    QueryNicVportContextOut[0x110] {
        /// Status.
        HEAD: (Output, 0x00),
        /// The vport as its function sees it.
        CONTEXT: (NicVportContext, 0x10),
        /// The list.
        ADDRESSES: (MacAddress.., 0x110),
    }

    /// Input of MODIFY_NIC_VPORT_CONTEXT.
    ModifyNicVportContextIn[0x200] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
        /// What changes.
        FIELDS: (NicVportFields, 0x0c),
        /// The new values.
        CONTEXT: (NicVportContext, 0x100),
        /// The list.
        ADDRESSES: (MacAddress.., 0x200),
    }

    /// What MODIFY_NIC_VPORT_CONTEXT changes.
    NicVportFields[0x4] {
        /// What it shares with another function.
        AFFILIATION: (bool, 0x00, 13:13),
        /// Whether its own unicast is received.
        DISABLE_UC_LOCAL_LB: (bool, 0x00, 11:11),
        /// Whether its own multicast is received.
        DISABLE_MC_LOCAL_LB: (bool, 0x00, 10:10),
        /// GUID of the node.
        NODE_GUID: (bool, 0x00, 9:9),
        /// GUID of the port.
        PORT_GUID: (bool, 0x00, 8:8),
        /// How many headers must stand in a send queue's entry.
        MIN_INLINE: (bool, 0x00, 7:7),
        /// The MTU.
        MTU: (bool, 0x00, 6:6),
        /// What makes an event.
        CHANGE_EVENT: (bool, 0x00, 5:5),
        /// Promiscuous modes.
        PROMISC: (bool, 0x00, 4:4),
        /// The address that it came with.
        PERMANENT_ADDRESS: (bool, 0x00, 3:3),
        /// The list.
        ADDRESSES_LIST: (bool, 0x00, 2:2),
        /// Whether RoCE is on.
        ROCE_EN: (bool, 0x00, 1:1),
    }

    /// Input of QUERY_VNIC_ENV.
    QueryVnicEnvIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
    }

    /// Output of QUERY_VNIC_ENV.
    QueryVnicEnvOut[0x210] {
        /// Status.
        HEAD: (Output, 0x00),
        /// What went wrong.
        DIAGNOSTICS: (VnicDiagnostics, 0x10),
    }

    /// What went wrong with a vport.
    VnicDiagnostics[0x200] {
        /// Queues in error.
        COUNTER_ERROR_QUEUES: (u32, 0x00, 31:0),
        /// The same, since the function was made.
        TOTAL_ERROR_QUEUES: (u32, 0x04, 31:0),
        /// Times that priorities of send queues were changed.
        SEND_QUEUE_PRIORITY_UPDATE_FLOW: (u32, 0x08, 31:0),
        /// Packets that flow tables lost because of a wrong entry.
        NIC_RECEIVE_STEERING_DISCARD: (u64, 0x10, 63:0),
        /// Packets that were received while it was down.
        RECEIVE_DISCARD_VPORT_DOWN: (u64, 0x18, 63:0),
        /// Packets that were sent while it was down.
        TRANSMIT_DISCARD_VPORT_DOWN: (u64, 0x20, 63:0),
        /// Overruns of event queues other than for completions.
        ASYNC_EQ_OVERRUN: (u32, 0x28, 31:0),
        /// Overruns of event queues for completions.
        COMP_EQ_OVERRUN: (u32, 0x2c, 31:0),
        /// Commands that failed.
        INVALID_COMMAND: (u32, 0x34, 31:0),
        /// Commands that failed because of a quota.
        QUOTA_EXCEEDED_COMMAND: (u32, 0x38, 31:0),
        /// Packets that found no entry in an internal receive queue.
        INTERNAL_RQ_OUT_OF_BUFFER: (u32, 0x3c, 31:0),
        /// Overruns of completion queues.
        CQ_OVERRUN: (u32, 0x40, 31:0),
        /// Packets that were too long for the entry.
        ETH_WQE_TOO_SMALL: (u32, 0x44, 31:0),
    }

    /// Input of QUERY_VPORT_COUNTER.
    QueryVportCounterIn[0x20] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// The vport that `VPORT_NUMBER` names.
        OTHER_VPORT: (bool, 0x08, 31:31),
        /// The port.
        PORT_NUM: (u8, 0x08, 19:16),
        /// That vport.
        VPORT_NUMBER: (u16, 0x08, 15:0),
        /// Begin again at 0.
        CLEAR: (bool, 0x18, 31:31),
    }

    /// Output of QUERY_VPORT_COUNTER.
    QueryVportCounterOut[0x210] {
        /// Status.
        HEAD: (Output, 0x00),
        /// What could not be received.
        RECEIVED_ERRORS: (FlowStatistics, 0x10),
        /// What could not be sent.
        TRANSMIT_ERRORS: (FlowStatistics, 0x20),
        /// RDMA unicast received.
        RECEIVED_IB_UNICAST: (FlowStatistics, 0x30),
        /// RDMA unicast sent.
        TRANSMITTED_IB_UNICAST: (FlowStatistics, 0x40),
        /// RDMA multicast received.
        RECEIVED_IB_MULTICAST: (FlowStatistics, 0x50),
        /// RDMA multicast sent.
        TRANSMITTED_IB_MULTICAST: (FlowStatistics, 0x60),
        /// Broadcast received.
        RECEIVED_ETH_BROADCAST: (FlowStatistics, 0x70),
        /// Broadcast sent.
        TRANSMITTED_ETH_BROADCAST: (FlowStatistics, 0x80),
        /// Unicast received.
        RECEIVED_ETH_UNICAST: (FlowStatistics, 0x90),
        /// Unicast sent.
        TRANSMITTED_ETH_UNICAST: (FlowStatistics, 0xa0),
        /// Multicast received.
        RECEIVED_ETH_MULTICAST: (FlowStatistics, 0xb0),
        /// Multicast sent.
        TRANSMITTED_ETH_MULTICAST: (FlowStatistics, 0xc0),
        /// Sent to itself.
        LOCAL_LOOPBACK: (FlowStatistics, 0xd0),
    }

    /// Input of SET_L2_TABLE_ENTRY: an address that the port gives to this function.
    SetL2TableEntryIn[0x40] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Which entry.
        TABLE_INDEX: (u32, 0x14, 23:0),
        /// Only packets of `VLAN`.
        VLAN_VALID: (bool, 0x1c, 12:12),
        /// That VLAN id.
        VLAN: (u16, 0x1c, 11:0),
        /// The address.
        MAC_ADDRESS: (MacAddress, 0x20),
    }

    /// Input of QUERY_L2_TABLE_ENTRY.
    QueryL2TableEntryIn[0x40] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Which entry.
        TABLE_INDEX: (u32, 0x14, 23:0),
    }

    /// Output of QUERY_L2_TABLE_ENTRY.
    QueryL2TableEntryOut[0x40] {
        /// Status.
        HEAD: (Output, 0x00),
        /// Only packets of `VLAN`.
        VLAN_VALID: (bool, 0x1c, 12:12),
        /// That VLAN id.
        VLAN: (u16, 0x1c, 11:0),
        /// The address.
        MAC_ADDRESS: (MacAddress, 0x20),
    }

    /// Input of DELETE_L2_TABLE_ENTRY.
    DeleteL2TableEntryIn[0x40] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// Which entry.
        TABLE_INDEX: (u32, 0x14, 23:0),
    }

    /// Input of ADD_VXLAN_UDP_DPORT.
    AddVxlanUdpDportIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// A port whose UDP packets are VXLAN.
        VXLAN_UDP_PORT: (u16, 0x0c, 15:0),
    }

    /// Input of DELETE_VXLAN_UDP_DPORT.
    DeleteVxlanUdpDportIn[0x10] {
        /// Opcode and variant.
        HEAD: (Input, 0x00),
        /// That port.
        VXLAN_UDP_PORT: (u16, 0x0c, 15:0),
    }
}
