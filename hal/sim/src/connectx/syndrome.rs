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
