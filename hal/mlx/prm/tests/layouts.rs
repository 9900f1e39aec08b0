//! What holds of every layout, and how big the known ones are.

use hal_mlx_prm::{
    Described, Layout, Opcode, Part, capability::*, command::*, completion::*, context::*,
    doorbell::*, event::*, init::*, queue::*, register::*, work::*,
};

macro_rules! sizes {
    ($( $name:ident: $size:literal ),* $(,)?) => { &[ $( ($name::LAYOUT, $size) ),* ] };
}

/// Sizes in bytes: of `struct`s in Linux's `device.h` and `qp.h`, and of those in its
/// `mlx5_ifc.h` up to the lists that they end in.
const SIZES: &[(&Layout, usize)] = sizes! {
    // Queues of commands and of others.
    CommandEntry: 64, Mailbox: 576, HealthBuffer: 64, EventEntry: 64, CompletionEntry: 64,
    ErrorEntry: 64, ControlSegment: 16, EthernetSegment: 16, DataSegment: 16, NextSegment: 16,
    UmrControlSegment: 48, UarPage: 4096, CqArm: 8, CqRecord: 8, WqRecord: 8, InitSegment: 0x1100,
    EqUpdate: 4, CompletionEvent: 28, CqErrorEvent: 28, QueueEvent: 28, PortEvent: 28,
    CommandEvent: 28, PageRequestEvent: 28, VportChangeEvent: 28, VhcaStateEvent: 28,
    PortModuleEvent: 28, TemperatureEvent: 28, ObjectChangeEvent: 28,
    // Contexts.
    EqContext: 0x40, CqContext: 0x40, MkeyContext: 0x40, WorkQueue: 0xc0, SqContext: 0xf0,
    RqContext: 0xf0, RmpContext: 0xf0, RqtContext: 0xf0, TirContext: 0xf0, TisContext: 0xa0,
    FlowTableContext: 0x28, FlowContext: 0x300, Destination: 8, ExtendedDestination: 16,
    FlowCounterId: 8, FlowStatistics: 16, MatchParameters: 0x200, MatchHeaders: 0x40,
    MatchMisc: 0x40, MatchMisc2: 0x40, MatchMisc3: 0x40, MatchMisc4: 0x40, MatchMisc5: 0x40,
    NicVportContext: 0x100, EswVportContext: 0x100, MacAddress: 8, VlanEntry: 8, VlanTag: 4,
    // Commands.
    CreateEqIn: 0x110, CreateCqIn: 0x110, CreateMkeyIn: 0x110, CreateSqIn: 0x110,
    CreateRqIn: 0x110, CreateRqtIn: 0x110, CreateTirIn: 0x110, CreateTisIn: 0xc0,
    ModifySqIn: 0x110, ModifyRqIn: 0x110, ModifyCqIn: 0x110, QueryTisOut: 0xb0,
    CreateFlowTableIn: 0x40, CreateFlowGroupIn: 0x400, SetFlowTableEntryIn: 0x340,
    DeleteFlowTableEntryIn: 0x40, SetFlowTableRootIn: 0x40, ModifyFlowTableIn: 0x40,
    QueryFlowCounterIn: 0x20, QueryFlowCounterOut: 0x10, SetAction: 8, AddAction: 8,
    CopyAction: 8, AllocPacketReformatContextIn: 0x24, QueryNicVportContextOut: 0x110,
    ModifyNicVportContextIn: 0x200, ModifyEswVportContextIn: 0x110, QueryVportCounterOut: 0x210,
    QueryQCounterOut: 0x100, QueryAdapterOut: 0x110, SetDriverVersionIn: 0x50, QueryIssiOut: 0x70,
    QueryHcaCapOut: 0x1010, SetHcaCapIn: 0x1010, AccessRegIn: 0x10, QueryVnicEnvOut: 0x210,
    // Capabilities and registers.
    GeneralCapability: 0x100, GeneralCapability2: 0x100, EthernetCapability: 0x100,
    AtomicCapability: 0x100, RoceCapability: 0x100, QosCapability: 0x100, DebugCapability: 0x100,
    EswitchCapability: 0x100, FlowTableCapability: 0x1000, EswitchFlowTableCapability: 0x1000,
    PortSelectionCapability: 0x1000, FlowTableProperties: 0x40, FlowTableFields: 0x10,
    DeviceMemoryCapability: 0x100, DeviceEventCapability: 0x40,
    PortMtu: 0x10, PortTypeSpeed: 0x40, PortAdminOperStatus: 0x10, PortFlowControl: 0x20,
    PortCounters: 0x100, PortCheck: 0xc, PortModuleMapping: 0x40, PortCapabilityMask: 0x50,
    ManagementCapabilityMask: 0x48, QosCapabilityMask: 0x48, DefaultTimeouts: 0x40,
    HostEndianness: 0x10, Ieee8023Counters: 0xf8, Rfc2863Counters: 0xf8, Rfc2819Counters: 0xf8,
    EthernetExtendedCounters: 0xf8, PerPriorityCounters: 0xf8, PhysicalLayerCounters: 0xf8,
    PhysicalStatisticalCounters: 0xf8,
};

#[test]
fn sizes_are_as_published() {
    for (layout, size) in SIZES {
        assert_eq!(layout.size, *size, "{}", layout.name);
    }
}

#[test]
fn fields_are_inside_and_do_not_overlap() {
    let commands = Opcode::ALL.iter().flat_map(|o| [o.input(), o.output()]);
    for layout in commands.chain(SIZES.iter().map(|(layout, _)| *layout)) {
        let mut owners = vec![None; layout.size * 8];
        claim(layout, 0, layout.size, "", &mut owners);
    }
}

/// Notes the owner of each bit of a layout at `base`; what it nests goes before `end`.
fn claim(layout: &Layout, base: usize, end: usize, of: &str, owners: &mut [Option<String>]) {
    for part in layout.parts {
        let mut take = |name: &str, bits: std::ops::Range<usize>| {
            let name = format!("{of}{}::{name}", layout.name);
            assert!(bits.end <= end * 8, "{name} reaches past the end");
            for bit in bits {
                let owner = owners[bit].replace(name.clone());
                assert_eq!(owner, None, "{name} overlaps");
            }
        };
        match *part {
            Part::Field(name, place) => {
                // The words of the field, whose lowest bit stands last.
                let words = match place.high {
                    0..32 => 32,
                    32..64 => 64,
                    _ => 128,
                };
                let first = (base + place.offset) * 8 + words - 1 - usize::from(place.high);
                take(name, first..first + place.width() as usize);
                assert!(
                    base + place.offset + words / 8 <= end.next_multiple_of(4),
                    "{name}"
                );
            }
            Part::Octets(name, at, Some(length)) => {
                take(name, (base + at) * 8..(base + at + length) * 8);
            }
            Part::Octets(name, at, None) | Part::Tail(name, at, _) => {
                // Behind everything, or in the last word of what precedes.
                assert!(at + 4 > layout.size, "{name} begins too early");
            }
            Part::Nested(name, at, inner) => {
                let of = format!("{of}{}::{name}.", layout.name);
                assert!(base + at + inner.size <= end.next_multiple_of(8), "{of}");
                claim(inner, base + at, end, &of, owners);
            }
        }
    }
}

#[test]
fn groups_of_capabilities_fit() {
    for (_, name, layout) in Group::KNOWN {
        assert!(layout.size <= GROUP_SIZE, "{name}");
    }
}
