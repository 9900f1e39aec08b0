//! Commands: what they are called, what goes in, what comes out.
//!
//! Every input begins with [`Input`], every output with [`Output`].

use crate::layout::{Described, Layout, layout, values};

mod actions;
mod completions;
mod device;
mod hca;
mod objects;
mod queues;
mod steering;
mod vport;

pub use actions::*;
pub use completions::*;
pub use device::*;
pub use hca::*;
pub use objects::*;
pub use queues::*;
pub use steering::*;
pub use vport::*;

layout! {
    /// How every input begins.
    Input[0x10] {
        /// Which command.
        OPCODE: (u16, 0x00, 31:16),
        /// On whose behalf.
        UID: (u16, 0x00, 15:0),
        /// Which variant of the command.
        OP_MOD: (u16, 0x04, 15:0),
    }

    /// How every output begins.
    Output[0x10] {
        /// See [`Status`].
        STATUS: (u8, 0x00, 31:24),
        /// What exactly was wrong.
        SYNDROME: (u32, 0x04, 31:0),
    }
}

values! {
    /// How a command ended: [`Output::STATUS`].
    #[allow(missing_docs)]
    pub enum Status: u8 {
        Ok = 0,
        Internal = 1,
        BadOpcode = 2,
        BadParameter = 3,
        BadSystemState = 4,
        BadResource = 5,
        ResourceBusy = 6,
        ExceededLimit = 8,
        BadResourceState = 9,
        BadIndex = 0xa,
        NoResources = 0xf,
        BadQpState = 0x10,
        BadInputLength = 0x50,
        BadOutputLength = 0x51,
    }
}

macro_rules! commands {
    ($( $variant:ident = $opcode:literal $name:ident: $input:ident => $output:ident; )*) => {
        /// A command that is known here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        #[allow(missing_docs)]
        pub enum Opcode { $( $variant = $opcode, )* }

        impl Opcode {
            /// All of them, by number.
            pub const ALL: &'static [Opcode] = &[ $( Opcode::$variant, )* ];

            /// The vendor's name for it.
            pub fn name(self) -> &'static str {
                match self { $( Opcode::$variant => stringify!($name), )* }
            }

            /// What goes in.
            pub fn input(self) -> &'static Layout {
                match self { $( Opcode::$variant => <$input as Described>::LAYOUT, )* }
            }

            /// What comes out.
            pub fn output(self) -> &'static Layout {
                match self { $( Opcode::$variant => <$output as Described>::LAYOUT, )* }
            }

            /// The command of this number.
            pub fn of(number: u16) -> Option<Opcode> {
                match number { $( $opcode => Some(Opcode::$variant), )* _ => None }
            }
        }
    };
}

commands! {
    QueryHcaCap = 0x100 QUERY_HCA_CAP: QueryHcaCapIn => QueryHcaCapOut;
    QueryAdapter = 0x101 QUERY_ADAPTER: QueryAdapterIn => QueryAdapterOut;
    InitHca = 0x102 INIT_HCA: InitHcaIn => Output;
    TeardownHca = 0x103 TEARDOWN_HCA: TeardownHcaIn => TeardownHcaOut;
    EnableHca = 0x104 ENABLE_HCA: EnableHcaIn => Output;
    DisableHca = 0x105 DISABLE_HCA: DisableHcaIn => Output;
    QueryPages = 0x107 QUERY_PAGES: QueryPagesIn => QueryPagesOut;
    ManagePages = 0x108 MANAGE_PAGES: ManagePagesIn => ManagePagesOut;
    SetHcaCap = 0x109 SET_HCA_CAP: SetHcaCapIn => Output;
    QueryIssi = 0x10a QUERY_ISSI: QueryIssiIn => QueryIssiOut;
    SetIssi = 0x10b SET_ISSI: SetIssiIn => Output;
    SetDriverVersion = 0x10d SET_DRIVER_VERSION: SetDriverVersionIn => Output;
    CreateMkey = 0x200 CREATE_MKEY: CreateMkeyIn => CreateMkeyOut;
    QueryMkey = 0x201 QUERY_MKEY: QueryMkeyIn => QueryMkeyOut;
    DestroyMkey = 0x202 DESTROY_MKEY: DestroyMkeyIn => Output;
    QuerySpecialContexts = 0x203 QUERY_SPECIAL_CONTEXTS: QuerySpecialContextsIn => QuerySpecialContextsOut;
    CreateEq = 0x301 CREATE_EQ: CreateEqIn => CreateEqOut;
    DestroyEq = 0x302 DESTROY_EQ: DestroyEqIn => Output;
    QueryEq = 0x303 QUERY_EQ: QueryEqIn => QueryEqOut;
    CreateCq = 0x400 CREATE_CQ: CreateCqIn => CreateCqOut;
    DestroyCq = 0x401 DESTROY_CQ: DestroyCqIn => Output;
    QueryCq = 0x402 QUERY_CQ: QueryCqIn => QueryCqOut;
    ModifyCq = 0x403 MODIFY_CQ: ModifyCqIn => Output;
    QueryEswFunctions = 0x740 QUERY_ESW_FUNCTIONS: QueryEswFunctionsIn => QueryEswFunctionsOut;
    QueryVportState = 0x750 QUERY_VPORT_STATE: QueryVportStateIn => QueryVportStateOut;
    ModifyVportState = 0x751 MODIFY_VPORT_STATE: ModifyVportStateIn => Output;
    QueryEswVportContext = 0x752 QUERY_ESW_VPORT_CONTEXT: QueryEswVportContextIn => QueryEswVportContextOut;
    ModifyEswVportContext = 0x753 MODIFY_ESW_VPORT_CONTEXT: ModifyEswVportContextIn => Output;
    QueryNicVportContext = 0x754 QUERY_NIC_VPORT_CONTEXT: QueryNicVportContextIn => QueryNicVportContextOut;
    ModifyNicVportContext = 0x755 MODIFY_NIC_VPORT_CONTEXT: ModifyNicVportContextIn => Output;
    QueryVnicEnv = 0x76f QUERY_VNIC_ENV: QueryVnicEnvIn => QueryVnicEnvOut;
    QueryVportCounter = 0x770 QUERY_VPORT_COUNTER: QueryVportCounterIn => QueryVportCounterOut;
    AllocQCounter = 0x771 ALLOC_Q_COUNTER: AllocQCounterIn => AllocQCounterOut;
    DeallocQCounter = 0x772 DEALLOC_Q_COUNTER: DeallocQCounterIn => Output;
    QueryQCounter = 0x773 QUERY_Q_COUNTER: QueryQCounterIn => QueryQCounterOut;
    AllocPd = 0x800 ALLOC_PD: AllocPdIn => AllocPdOut;
    DeallocPd = 0x801 DEALLOC_PD: DeallocPdIn => Output;
    AllocUar = 0x802 ALLOC_UAR: AllocUarIn => AllocUarOut;
    DeallocUar = 0x803 DEALLOC_UAR: DeallocUarIn => Output;
    AccessReg = 0x805 ACCESS_REG: AccessRegIn => AccessRegOut;
    AllocTransportDomain = 0x816 ALLOC_TRANSPORT_DOMAIN: AllocTransportDomainIn => AllocTransportDomainOut;
    DeallocTransportDomain = 0x817 DEALLOC_TRANSPORT_DOMAIN: DeallocTransportDomainIn => Output;
    AddVxlanUdpDport = 0x827 ADD_VXLAN_UDP_DPORT: AddVxlanUdpDportIn => Output;
    DeleteVxlanUdpDport = 0x828 DELETE_VXLAN_UDP_DPORT: DeleteVxlanUdpDportIn => Output;
    SetL2TableEntry = 0x829 SET_L2_TABLE_ENTRY: SetL2TableEntryIn => Output;
    QueryL2TableEntry = 0x82a QUERY_L2_TABLE_ENTRY: QueryL2TableEntryIn => QueryL2TableEntryOut;
    DeleteL2TableEntry = 0x82b DELETE_L2_TABLE_ENTRY: DeleteL2TableEntryIn => Output;
    CreateTir = 0x900 CREATE_TIR: CreateTirIn => CreateTirOut;
    ModifyTir = 0x901 MODIFY_TIR: ModifyTirIn => Output;
    DestroyTir = 0x902 DESTROY_TIR: DestroyTirIn => Output;
    QueryTir = 0x903 QUERY_TIR: QueryTirIn => QueryTirOut;
    CreateSq = 0x904 CREATE_SQ: CreateSqIn => CreateSqOut;
    ModifySq = 0x905 MODIFY_SQ: ModifySqIn => Output;
    DestroySq = 0x906 DESTROY_SQ: DestroySqIn => Output;
    QuerySq = 0x907 QUERY_SQ: QuerySqIn => QuerySqOut;
    CreateRq = 0x908 CREATE_RQ: CreateRqIn => CreateRqOut;
    ModifyRq = 0x909 MODIFY_RQ: ModifyRqIn => Output;
    DestroyRq = 0x90a DESTROY_RQ: DestroyRqIn => Output;
    QueryRq = 0x90b QUERY_RQ: QueryRqIn => QueryRqOut;
    CreateRmp = 0x90c CREATE_RMP: CreateRmpIn => CreateRmpOut;
    ModifyRmp = 0x90d MODIFY_RMP: ModifyRmpIn => Output;
    DestroyRmp = 0x90e DESTROY_RMP: DestroyRmpIn => Output;
    QueryRmp = 0x90f QUERY_RMP: QueryRmpIn => QueryRmpOut;
    CreateTis = 0x912 CREATE_TIS: CreateTisIn => CreateTisOut;
    ModifyTis = 0x913 MODIFY_TIS: ModifyTisIn => Output;
    DestroyTis = 0x914 DESTROY_TIS: DestroyTisIn => Output;
    QueryTis = 0x915 QUERY_TIS: QueryTisIn => QueryTisOut;
    CreateRqt = 0x916 CREATE_RQT: CreateRqtIn => CreateRqtOut;
    ModifyRqt = 0x917 MODIFY_RQT: ModifyRqtIn => Output;
    DestroyRqt = 0x918 DESTROY_RQT: DestroyRqtIn => Output;
    QueryRqt = 0x919 QUERY_RQT: QueryRqtIn => QueryRqtOut;
    SetFlowTableRoot = 0x92f SET_FLOW_TABLE_ROOT: SetFlowTableRootIn => Output;
    CreateFlowTable = 0x930 CREATE_FLOW_TABLE: CreateFlowTableIn => CreateFlowTableOut;
    DestroyFlowTable = 0x931 DESTROY_FLOW_TABLE: DestroyFlowTableIn => Output;
    QueryFlowTable = 0x932 QUERY_FLOW_TABLE: QueryFlowTableIn => QueryFlowTableOut;
    CreateFlowGroup = 0x933 CREATE_FLOW_GROUP: CreateFlowGroupIn => CreateFlowGroupOut;
    DestroyFlowGroup = 0x934 DESTROY_FLOW_GROUP: DestroyFlowGroupIn => Output;
    QueryFlowGroup = 0x935 QUERY_FLOW_GROUP: QueryFlowGroupIn => QueryFlowGroupOut;
    SetFlowTableEntry = 0x936 SET_FLOW_TABLE_ENTRY: SetFlowTableEntryIn => Output;
    QueryFlowTableEntry = 0x937 QUERY_FLOW_TABLE_ENTRY: QueryFlowTableEntryIn => QueryFlowTableEntryOut;
    DeleteFlowTableEntry = 0x938 DELETE_FLOW_TABLE_ENTRY: DeleteFlowTableEntryIn => Output;
    AllocFlowCounter = 0x939 ALLOC_FLOW_COUNTER: AllocFlowCounterIn => AllocFlowCounterOut;
    DeallocFlowCounter = 0x93a DEALLOC_FLOW_COUNTER: DeallocFlowCounterIn => Output;
    QueryFlowCounter = 0x93b QUERY_FLOW_COUNTER: QueryFlowCounterIn => QueryFlowCounterOut;
    ModifyFlowTable = 0x93c MODIFY_FLOW_TABLE: ModifyFlowTableIn => Output;
    AllocPacketReformatContext = 0x93d ALLOC_PACKET_REFORMAT_CONTEXT: AllocPacketReformatContextIn => AllocPacketReformatContextOut;
    DeallocPacketReformatContext = 0x93e DEALLOC_PACKET_REFORMAT_CONTEXT: DeallocPacketReformatContextIn => Output;
    QueryPacketReformatContext = 0x93f QUERY_PACKET_REFORMAT_CONTEXT: QueryPacketReformatContextIn => QueryPacketReformatContextOut;
    AllocModifyHeaderContext = 0x940 ALLOC_MODIFY_HEADER_CONTEXT: AllocModifyHeaderContextIn => AllocModifyHeaderContextOut;
    DeallocModifyHeaderContext = 0x941 DEALLOC_MODIFY_HEADER_CONTEXT: DeallocModifyHeaderContextIn => Output;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_all_layouts_begin_alike() {
        for pair in Opcode::ALL.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
        }
        for opcode in Opcode::ALL {
            assert_eq!(Opcode::of(*opcode as u16), Some(*opcode));
            for layout in [opcode.input(), opcode.output()] {
                assert!(
                    layout.size >= 0x10 && layout.size.is_multiple_of(4),
                    "{layout:?}"
                );
            }
        }
    }
}
