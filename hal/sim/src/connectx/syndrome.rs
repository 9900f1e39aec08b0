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
    ($( $(#[$doc:meta])* $name:ident = $number:literal $status:ident; )*) => {
        /// A check that a command did not pass.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Syndrome { $( $(#[$doc])* $name = FIRST + $number, )* }

        impl Syndrome {
            /// All of them.
            pub const ALL: &'static [Syndrome] = &[ $( Syndrome::$name, )* ];

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
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_check_has_its_number() {
        let numbers: BTreeSet<u32> = Syndrome::ALL.iter().map(|s| *s as u32).collect();
        assert_eq!(numbers.len(), Syndrome::ALL.len());
        assert!(numbers.iter().all(|n| (FIRST..=LAST).contains(n)));
        assert!(Syndrome::ALL.iter().all(|s| s.status() != Status::Ok));
    }
}
