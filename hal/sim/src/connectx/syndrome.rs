//! Why a command was refused: one number for each check.
//!
//! A command's output carries a published status and a syndrome, a number that is the firmware's
//! own. No list of the vendor's is public, so these are the model's: all in
//! [`FIRST`]`..=`[`LAST`], a hundred to a room, and each is given in one place only. A test that
//! provokes an error can so name the check that it provoked.

use hal_mlx_prm::command::Status;

/// The least syndrome of the model.
pub const FIRST: u32 = 0x5a_0000;
/// The greatest.
pub const LAST: u32 = 0x5a_ffff;

macro_rules! syndromes {
    ($( $(#[doc = $doc:literal])* $name:ident = $number:literal $status:ident; )*) => {
        /// A check that a command did not pass.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Syndrome { $( $(#[doc = $doc])* $name = FIRST + $number, )* }

        impl Syndrome {
            /// All of them.
            pub const ALL: &'static [Syndrome] = &[ $( Syndrome::$name, )* ];

            /// What is wrong, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $( Syndrome::$name => concat!($( $doc ),*).trim(), )* }
            }

            /// The published status that goes with it.
            pub fn status(self) -> Status {
                match self { $( Syndrome::$name => Status::$status, )* }
            }
        }
    };
}

syndromes! {
    // Commands in general.
    /// The opcode is not known.
    UnknownCommand = 0x0001 BadOpcode;
    /// The input is shorter or longer than the command's.
    InputLength = 0x0002 BadInputLength;
    /// There is no room for the output.
    OutputLength = 0x0003 BadOutputLength;
    /// A bit is set that must be zero.
    ReservedBits = 0x0004 BadParameter;
    /// ENABLE_HCA has to come first.
    NotEnabled = 0x0005 BadSystemState;
    /// INIT_HCA has to come first.
    NotInitialised = 0x0006 BadSystemState;

    /// A command on behalf of a user that there is not.
    UnknownUser = 0x0007 BadParameter;

    /// A fault that was asked for.
    Injected = 0x0008 Internal;

    // The function's life.
    /// ENABLE_HCA twice.
    AlreadyEnabled = 0x0100 BadSystemState;
    /// DISABLE_HCA of a function that is not enabled.
    FunctionNotEnabled = 0x0101 BadSystemState;
    /// DISABLE_HCA before TEARDOWN_HCA.
    StillInitialised = 0x0102 BadSystemState;
    /// DISABLE_HCA while the device has pages of the host's.
    PagesStillHeld = 0x0103 BadSystemState;
    /// SET_ISSI of an interface that there is not.
    UnknownInterface = 0x0104 BadParameter;
    /// SET_ISSI after INIT_HCA.
    InterfaceInUse = 0x0105 BadSystemState;
    /// INIT_HCA before SET_ISSI.
    InterfaceNotSet = 0x0106 BadSystemState;
    /// INIT_HCA twice.
    AlreadyInitialised = 0x0107 BadSystemState;
    /// INIT_HCA before the pages for it were given.
    PagesMissing = 0x0108 BadSystemState;
    /// TEARDOWN_HCA with a profile that the device does not have.
    UnknownTeardown = 0x0109 BadParameter;
    /// No function has this number.
    NoSuchFunction = 0x010a BadIndex;

    // Pages.
    /// QUERY_PAGES or MANAGE_PAGES with a variant that there is not.
    UnknownPageVariant = 0x0200 BadParameter;
    /// MANAGE_PAGES says more pages than it lists.
    PageCount = 0x0201 BadParameter;
    /// MANAGE_PAGES gives page 0, or one that the device has.
    PageGivenTwice = 0x0202 BadParameter;
    /// MANAGE_PAGES gives a page that the device does not reach.
    PageUnreachable = 0x0203 BadParameter;
    /// The command waits for pages; never told to a host.
    WaitsForPages = 0x0204 NoResources;
    /// The host could not give the pages that a command needs.
    NoPages = 0x0205 NoResources;

    // Registers by number, and what else a device says of itself.
    /// ACCESS_REG with a variant that is neither reading nor writing.
    UnknownAccess = 0x0400 BadParameter;
    /// ACCESS_REG of a register that the device does not have.
    UnknownRegister = 0x0401 BadParameter;
    /// ACCESS_REG with less than the register.
    RegisterLength = 0x0402 BadParameter;
    /// ACCESS_REG writes what can only be read.
    ReadOnlyRegister = 0x0403 BadParameter;
    /// ACCESS_REG reads what can only be written.
    WriteOnlyRegister = 0x0404 BadParameter;
    /// SET_DRIVER_VERSION is not text that ends in a zero.
    DriverVersion = 0x0405 BadParameter;
    /// A register of a port that there is not.
    NoSuchPort = 0x0406 BadParameter;
    /// PAOS with a state that there is not.
    PortState = 0x0407 BadParameter;
    /// PMTU with a length that there cannot be.
    PortMtu = 0x0408 BadParameter;
    /// PTYS of another protocol than Ethernet.
    PortProtocol = 0x0409 BadParameter;
    /// PTYS with a speed that the port does not have.
    PortSpeed = 0x040a BadParameter;
    /// PPCNT of a group that there is not.
    CounterGroup = 0x040b BadParameter;
    /// No entry of the table of addresses has this number.
    NoSuchL2Entry = 0x040c BadIndex;
    /// PDDR of a page or group that there is not.
    DiagnosticsPage = 0x040d BadParameter;

    // Capabilities.
    /// No such group of capabilities.
    NoSuchCapabilities = 0x0300 BadParameter;
    /// SET_HCA_CAP asks for more than there can be.
    CapabilityBeyondMost = 0x0301 BadParameter;

    // Objects: not there, still referred to, no number left.
    /// There is no such doorbell page.
    NoSuchUar = 0x1000 BadResource;
    /// The doorbell page is in use.
    UarInUse = 0x1001 BadResourceState;
    /// There are as many of the kind (doorbell page) as there can be.
    UarsFull = 0x1002 ExceededLimit;
    /// There is no such protection domain.
    NoSuchPd = 0x1010 BadResource;
    /// The protection domain is in use.
    PdInUse = 0x1011 BadResourceState;
    /// There are as many of the kind (protection domain) as there can be.
    PdsFull = 0x1012 ExceededLimit;
    /// There is no such transport domain.
    NoSuchTd = 0x1020 BadResource;
    /// The transport domain is in use.
    TdInUse = 0x1021 BadResourceState;
    /// There are as many of the kind (transport domain) as there can be.
    TdsFull = 0x1022 ExceededLimit;
    /// There is no such memory key.
    NoSuchMkey = 0x1030 BadResource;
    /// The memory key is in use.
    MkeyInUse = 0x1031 BadResourceState;
    /// There are as many of the kind (memory key) as there can be.
    MkeysFull = 0x1032 ExceededLimit;
    /// There is no such event queue.
    NoSuchEq = 0x1040 BadResource;
    /// The event queue is in use.
    EqInUse = 0x1041 BadResourceState;
    /// There are as many of the kind (event queue) as there can be.
    EqsFull = 0x1042 ExceededLimit;
    /// There is no such completion queue.
    NoSuchCq = 0x1050 BadResource;
    /// The completion queue is in use.
    CqInUse = 0x1051 BadResourceState;
    /// There are as many of the kind (completion queue) as there can be.
    CqsFull = 0x1052 ExceededLimit;
    /// There is no such set of counters.
    NoSuchQCounter = 0x1060 BadResource;
    /// The set of counters is in use.
    QCounterInUse = 0x1061 BadResourceState;
    /// There are as many of the kind (set of counters) as there can be.
    QCountersFull = 0x1062 ExceededLimit;
    /// There is no such send queue.
    NoSuchSq = 0x1070 BadResource;
    /// The send queue is in use.
    SqInUse = 0x1071 BadResourceState;
    /// There are as many of the kind (send queue) as there can be.
    SqsFull = 0x1072 ExceededLimit;
    /// There is no such receive queue.
    NoSuchRq = 0x1080 BadResource;
    /// The receive queue is in use.
    RqInUse = 0x1081 BadResourceState;
    /// There are as many of the kind (receive queue) as there can be.
    RqsFull = 0x1082 ExceededLimit;
    /// There is no such table of receive queues.
    NoSuchRqt = 0x1090 BadResource;
    /// The table of receive queues is in use.
    RqtInUse = 0x1091 BadResourceState;
    /// There are as many of the kind (table of receive queues) as there can be.
    RqtsFull = 0x1092 ExceededLimit;
    /// There is no such TIR.
    NoSuchTir = 0x10a0 BadResource;
    /// The TIR is in use.
    TirInUse = 0x10a1 BadResourceState;
    /// There are as many of the kind (TIR) as there can be.
    TirsFull = 0x10a2 ExceededLimit;
    /// There is no such TIS.
    NoSuchTis = 0x10b0 BadResource;
    /// The TIS is in use.
    TisInUse = 0x10b1 BadResourceState;
    /// There are as many of the kind (TIS) as there can be.
    TissFull = 0x10b2 ExceededLimit;
    /// There is no such flow table.
    NoSuchTable = 0x10c0 BadResource;
    /// The flow table is in use.
    TableInUse = 0x10c1 BadResourceState;
    /// There are as many of the kind (flow table) as there can be.
    TablesFull = 0x10c2 ExceededLimit;
    /// There is no such change of fields.
    NoSuchModifyHeader = 0x10d0 BadResource;
    /// The change of fields is in use.
    ModifyHeaderInUse = 0x10d1 BadResourceState;
    /// There are as many of the kind (change of fields) as there can be.
    ModifyHeadersFull = 0x10d2 ExceededLimit;
    /// There is no such change of headers.
    NoSuchReformat = 0x10e0 BadResource;
    /// The change of headers is in use.
    ReformatInUse = 0x10e1 BadResourceState;
    /// There are as many of the kind (change of headers) as there can be.
    ReformatsFull = 0x10e2 ExceededLimit;
    /// There is no such flow counter.
    NoSuchCounter = 0x10f0 BadResource;
    /// The flow counter is in use.
    CounterInUse = 0x10f1 BadResourceState;
    /// There are as many of the kind (flow counter) as there can be.
    CountersFull = 0x10f2 ExceededLimit;

    // Rings in the host's memory.
    /// A ring larger than there can be, or its pages.
    RingSize = 0x0500 BadParameter;
    /// More or fewer pages than the ring takes.
    RingPages = 0x0501 BadParameter;
    /// A page that does not begin at a multiple of its size.
    RingAlignment = 0x0502 BadParameter;
    /// Memory by a registered region of a user's, which the model does not have.
    NoUserMemory = 0x0503 BadParameter;

    // Event queues.
    /// An event queue larger than there can be.
    EqSize = 0x0600 BadParameter;
    /// No interrupt has this number.
    EqVector = 0x0601 BadParameter;
    /// Another event queue takes events of this kind.
    EventTaken = 0x0602 BadResourceState;

    // Completion queues.
    /// A completion queue larger than there can be.
    CqSize = 0x0700 BadParameter;
    /// Entries that have neither 64 nor 128 bytes.
    CqEntrySize = 0x0701 BadParameter;
    /// Compressed entries, which the model does not have.
    CqCompression = 0x0702 BadParameter;
    /// The doorbell record is not aligned or not reached.
    CqRecord = 0x0703 BadParameter;
    /// MODIFY_CQ of what cannot be modified.
    CqModification = 0x0704 BadParameter;

    // Memory keys.
    /// An access mode that the model does not have.
    MkeyMode = 0x0800 BadParameter;
    /// A page size below 4 KiB, or absurd.
    MkeyPageSize = 0x0801 BadParameter;
    /// Fewer pages than the length takes, or too many.
    MkeyPages = 0x0802 BadParameter;

    // Send and receive queues, and what is before and behind them.
    /// A kind of ring that the device does not have.
    WorkQueueType = 0x0900 BadParameter;
    /// Signed entries, which the device does not have.
    WorkQueueSignature = 0x0901 BadParameter;
    /// A ring larger than there can be.
    WorkQueueSize = 0x0902 BadParameter;
    /// Entries of a length that there cannot be.
    WorkQueueStride = 0x0903 BadParameter;
    /// The doorbell record is not aligned or not reached.
    WorkQueueRecord = 0x0904 BadParameter;
    /// A state that there is not, or in which a queue cannot begin.
    QueueState = 0x0905 BadParameter;
    /// A queue is not in the state that the host says it leaves.
    NotInThatState = 0x0906 BadResourceState;
    /// A queue cannot go from that state to this.
    QueueMove = 0x0907 BadResourceState;
    /// Queues of two functions back to back, which the model does not have.
    NoHairpin = 0x0908 BadParameter;
    /// Receive queues that share buffers, which the model does not have.
    SharedReceive = 0x0909 BadParameter;
    /// A send queue with more than one TIS.
    TisList = 0x090a BadParameter;
    /// Encryption, which the model does not have.
    NoTls = 0x090b BadParameter;
    /// A TIR that leads neither to a queue nor to a table of them.
    Dispatch = 0x090c BadParameter;
    /// A hash that the device does not have.
    HashFunction = 0x090d BadParameter;
    /// A table of queues with none, more than it can have, or more than are listed.
    RqtSize = 0x090e BadParameter;
    /// A table of queues of another kind.
    RqtKind = 0x090f BadParameter;

    // Vports.
    /// No vport has this number.
    NoSuchVport = 0x0a00 BadIndex;
    /// A vport is named, but not that it is another's.
    VportWithoutOther = 0x0a01 BadParameter;
    /// The function does not manage others.
    NotManager = 0x0a02 BadResourceState;
    /// A side of a vport, or a state, that there is not.
    VportVariant = 0x0a03 BadParameter;
    /// A kind of list that there is not.
    ListType = 0x0a04 BadParameter;
    /// A list longer than there can be, or than what is listed.
    ListSize = 0x0a05 BadParameter;
    /// Tags that a vport itself puts on or takes off, which the model does not have.
    VportTags = 0x0a06 BadParameter;
    /// A register that frames cannot keep.
    VportRegisters = 0x0a07 BadParameter;
    /// More ports for VXLAN than there can be.
    VxlanPorts = 0x0a08 ExceededLimit;
    /// That port is not one for VXLAN.
    NoSuchVxlanPort = 0x0a09 BadResource;

    // Flow tables and groups.
    /// A kind of tables that the device does not have.
    UnknownTableType = 0x0b00 BadParameter;
    /// The table is of another kind.
    OtherTableType = 0x0b01 BadParameter;
    /// The table is another vport's.
    OtherTableVport = 0x0b02 BadParameter;
    /// A level beyond the last.
    TableLevel = 0x0b03 BadParameter;
    /// More rows than there can be.
    TableSize = 0x0b04 BadParameter;
    /// Tables that software keeps itself, which the model does not have.
    SoftwareOwner = 0x0b05 BadParameter;
    /// The table, or the kind, does not change headers in that way.
    TableReformat = 0x0b06 BadParameter;
    /// A way for misses that there is not.
    MissAction = 0x0b07 BadParameter;
    /// Misses can only go to tables of higher levels.
    MissLevel = 0x0b08 BadParameter;
    /// The table still has groups.
    TableNotEmpty = 0x0b09 BadResourceState;
    /// MODIFY_FLOW_TABLE of what cannot be modified.
    TableModification = 0x0b0a BadParameter;
    /// A table or destination of another e-switch.
    OtherEswitch = 0x0b0b BadParameter;
    /// A queue under the table, which only InfiniBand has.
    UnderlayQueue = 0x0b0c BadParameter;
    /// SET_FLOW_TABLE_ROOT with a variant that there is not.
    RootVariant = 0x0b0d BadParameter;
    /// A kind of group that the device does not have.
    GroupType = 0x0b0e BadParameter;
    /// A group's rows are not all in the table, or end before they begin.
    GroupRange = 0x0b0f BadParameter;
    /// Another group has some of the rows.
    GroupOverlap = 0x0b10 BadResourceState;
    /// Criteria in a section that is not enabled.
    CriteriaNotEnabled = 0x0b11 BadParameter;
    /// Criteria that tables of the kind cannot have.
    CriteriaUnknown = 0x0b12 BadParameter;
    /// The table has no such group.
    NoSuchGroup = 0x0b13 BadResource;
    /// The group still has entries.
    GroupInUse = 0x0b14 BadResourceState;

    // Entries.
    /// The table is full: a fault that was asked for.
    TableFull = 0x0c14 NoResources;
    /// SET_FLOW_TABLE_ENTRY with a variant that there is not.
    EntryVariant = 0x0c00 BadParameter;
    /// The row is filled.
    EntryExists = 0x0c01 BadResourceState;
    /// The row is empty.
    NoSuchEntry = 0x0c02 BadResource;
    /// Entries of the kind of table cannot be changed in place.
    EntryModification = 0x0c03 BadParameter;
    /// The row is in no group.
    RowOutside = 0x0c04 BadParameter;
    /// The row is in another group.
    OtherGroup = 0x0c05 BadParameter;
    /// Values where the group has no criteria.
    ValueBeyondCriteria = 0x0c06 BadParameter;
    /// A source that there is not.
    FlowSource = 0x0c07 BadParameter;
    /// More destinations or counters than are listed.
    EntryLists = 0x0c08 BadInputLength;
    /// An action that the model does not know.
    UnknownAction = 0x0c09 BadParameter;
    /// An action that the kind of table does not have.
    ActionNotSupported = 0x0c0a BadParameter;
    /// Not exactly one of allow, drop and forward.
    ActionEnds = 0x0c0b BadParameter;
    /// Forward without a destination, or a destination without it.
    ForwardWithoutGoal = 0x0c0c BadParameter;
    /// Count without a counter, or a counter without it.
    CountWithoutCounter = 0x0c0d BadParameter;
    /// More destinations than there can be.
    TooManyDestinations = 0x0c0e BadParameter;
    /// A second tag without a first.
    SecondTagFirst = 0x0c0f BadParameter;
    /// A kind of destination that the model does not know.
    UnknownDestination = 0x0c10 BadParameter;
    /// A kind of destination that the kind of table does not have.
    DestinationKind = 0x0c11 BadParameter;
    /// Frames can only go to tables of higher levels.
    DestinationLevel = 0x0c12 BadParameter;
    /// The kind of table cannot ignore levels.
    IgnoreLevel = 0x0c13 BadParameter;

    // What entries refer to.
    /// Counters in blocks of a size that there is not.
    CounterBlock = 0x0d00 BadParameter;
    /// More counters than are read at once.
    CounterRange = 0x0d01 BadParameter;
    /// A range of counters does not begin at a multiple of 4.
    CounterAlignment = 0x0d02 BadParameter;
    /// The device does not write counters to memory.
    CounterDump = 0x0d03 BadParameter;
    /// Counters cannot be written to that memory.
    CounterMemory = 0x0d04 BadParameter;
    /// No changes, more than there can be, or more than are listed.
    ActionCount = 0x0d05 BadParameter;
    /// A kind of change that the model does not know.
    UnknownChange = 0x0d06 BadParameter;
    /// A field that the model cannot change.
    UnknownField = 0x0d07 BadParameter;
    /// Bits that the field does not have.
    FieldBits = 0x0d08 BadParameter;
    /// A change of headers that the device does not have.
    UnknownReformat = 0x0d09 BadParameter;
    /// Headers of a length that there cannot be.
    ReformatSize = 0x0d0a BadParameter;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_check_stands_in_the_manual() {
        let manual = include_str!("../../../../docs/CONNECTX-MODEL.md");
        for syndrome in Syndrome::ALL {
            let line = format!(
                "| {:x} | {:?} | {syndrome:?} | {} |",
                *syndrome as u32,
                syndrome.status(),
                syndrome.meaning()
            );
            assert!(manual.lines().any(|l| l == line), "{line}");
        }
    }

    #[test]
    fn each_check_has_its_number() {
        let numbers: BTreeSet<u32> = Syndrome::ALL.iter().map(|s| *s as u32).collect();
        assert_eq!(numbers.len(), Syndrome::ALL.len());
        assert!(numbers.iter().all(|n| (FIRST..=LAST).contains(n)));
        assert!(Syndrome::ALL.iter().all(|s| s.status() != Status::Ok));
    }
}
