//! Commands: what they are called, what goes in, what comes out.
//!
//! Every input begins with [`Input`], every output with [`Output`].

use crate::layout::{Described, Layout, layout};

mod hca;

pub use hca::*;

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

/// How a command ended: [`Output::STATUS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Status {
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
    InitHca = 0x102 INIT_HCA: InitHcaIn => Output;
    TeardownHca = 0x103 TEARDOWN_HCA: TeardownHcaIn => TeardownHcaOut;
    EnableHca = 0x104 ENABLE_HCA: EnableHcaIn => Output;
    DisableHca = 0x105 DISABLE_HCA: DisableHcaIn => Output;
    QueryPages = 0x107 QUERY_PAGES: QueryPagesIn => QueryPagesOut;
    ManagePages = 0x108 MANAGE_PAGES: ManagePagesIn => ManagePagesOut;
    SetHcaCap = 0x109 SET_HCA_CAP: SetHcaCapIn => Output;
    QueryIssi = 0x10a QUERY_ISSI: QueryIssiIn => QueryIssiOut;
    SetIssi = 0x10b SET_ISSI: SetIssiIn => Output;
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
