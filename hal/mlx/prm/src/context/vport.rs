//! Contexts of vports: the function's side and the e-switch's side.

use crate::layout::{layout, values};

layout! {
    /// A vport as its function sees it. A list of addresses or of VLANs follows.
    NicVportContext[0x100] {
        /// How many headers must stand in a send queue's entry: 0 none, 1 layer 2, 2 IP, 3 layer 4.
        MIN_WQE_INLINE_MODE: (u8, 0x00, 26:24),
        /// Multicast that was sent here is not received here.
        DISABLE_MC_LOCAL_LB: (bool, 0x00, 2:2),
        /// Unicast that was sent here is not received here.
        DISABLE_UC_LOCAL_LB: (bool, 0x00, 1:1),
        /// RoCE is on.
        ROCE_EN: (bool, 0x00, 0:0),
        /// The next change makes an event.
        ARM_CHANGE_EVENT: (bool, 0x04, 31:31),
        /// A change of the MTU does.
        EVENT_ON_MTU: (bool, 0x04, 4:4),
        /// A change of promiscuous modes does.
        EVENT_ON_PROMISC_CHANGE: (bool, 0x04, 3:3),
        /// A change of the VLANs does.
        EVENT_ON_VLAN_CHANGE: (bool, 0x04, 2:2),
        /// A change of the multicast addresses does.
        EVENT_ON_MC_ADDRESS_CHANGE: (bool, 0x04, 1:1),
        /// A change of the unicast addresses does.
        EVENT_ON_UC_ADDRESS_CHANGE: (bool, 0x04, 0:0),
        /// `AFFILIATED_VHCA_ID` counts as software says.
        VHCA_ID_TYPE: (bool, 0x08, 31:31),
        /// What the vport shares with another function.
        AFFILIATION_CRITERIA: (u8, 0x08, 19:16),
        /// That other function.
        AFFILIATED_VHCA_ID: (u16, 0x08, 15:0),
        /// The MTU.
        MTU: (u16, 0x24, 15:0),
        /// GUID of the system.
        SYSTEM_IMAGE_GUID: (u64, 0x28, 63:0),
        /// GUID of the port.
        PORT_GUID: (u64, 0x30, 63:0),
        /// GUID of the node.
        NODE_GUID: (u64, 0x38, 63:0),
        /// Datagrams with a wrong key.
        QKEY_VIOLATION_COUNTER: (u16, 0x68, 31:16),
        /// Receives all unicast.
        PROMISC_UC: (bool, 0xf0, 31:31),
        /// Receives all multicast.
        PROMISC_MC: (bool, 0xf0, 30:30),
        /// Receives all that nobody else does.
        PROMISC_ALL: (bool, 0xf0, 29:29),
        /// What the list is, see [`ListType`].
        ALLOWED_LIST_TYPE: (u8, 0xf0, 26:24),
        /// Items of the list.
        ALLOWED_LIST_SIZE: (u16, 0xf0, 11:0),
        /// The address that it came with.
        PERMANENT_ADDRESS: (MacAddress, 0xf4),
    }

    /// An address, as the list has it.
    MacAddress[0x8] {
        /// The address.
        ADDRESS: (u64, 0x00, 47:0),
    }

    /// A VLAN, as the list has it.
    VlanEntry[8] {
        /// The VLAN id.
        VLAN_ID: (u16, 0x00, 11:0),
    }

    /// A vport as the e-switch sees it.
    EswVportContext[0x100] {
        /// `FDB_TO_VPORT_REG_C_ID` is to be looked at.
        FDB_TO_VPORT_REG_C: (bool, 0x00, 31:31),
        /// The service VLAN tag is taken off what goes to the vport.
        VPORT_SVLAN_STRIP: (bool, 0x00, 28:28),
        /// The customer VLAN tag is taken off what goes to the vport.
        VPORT_CVLAN_STRIP: (bool, 0x00, 27:27),
        /// A service VLAN tag is pushed on what comes from the vport.
        VPORT_SVLAN_INSERT: (bool, 0x00, 26:26),
        /// A customer VLAN tag is pushed: 1 if there is none, 2 the tag is overwritten, 3 always.
        VPORT_CVLAN_INSERT: (u8, 0x00, 25:24),
        /// Which registers go from the e-switch to the vport's tables: bit n = C n.
        FDB_TO_VPORT_REG_C_ID: (u8, 0x00, 23:16),
        /// Drop eligible, of the service tag.
        SVLAN_CFI: (bool, 0x08, 31:31),
        /// Priority of the service tag.
        SVLAN_PCP: (u8, 0x08, 30:28),
        /// VLAN id of the service tag.
        SVLAN_ID: (u16, 0x08, 27:16),
        /// Drop eligible, of the customer tag.
        CVLAN_CFI: (bool, 0x08, 15:15),
        /// Priority of the customer tag.
        CVLAN_PCP: (u8, 0x08, 14:12),
        /// VLAN id of the customer tag.
        CVLAN_ID: (u16, 0x08, 11:0),
        /// Where software's rules send what goes to the vport.
        SW_STEERING_VPORT_ICM_ADDRESS_RX: (u64, 0xf0, 63:0),
        /// Where software's rules have what comes from the vport.
        SW_STEERING_VPORT_ICM_ADDRESS_TX: (u64, 0xf8, 63:0),
    }
}

values! {
    /// What a vport's list is: [`NicVportContext::ALLOWED_LIST_TYPE`].
    pub enum ListType: u8 {
        /// Unicast addresses.
        Unicast = 0,
        /// Multicast addresses.
        Multicast = 1,
        /// VLANs, [`VlanEntry`].
        Vlan = 2,
    }
}
