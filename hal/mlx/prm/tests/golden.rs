//! Commands as Linux's driver and a real ConnectX-4 Lx with firmware 14.12.1220 exchanged them,
//! from the dump that Snabb publishes (`src/apps/mellanox/trace-mlx5_core.txt.gz`).

use hal_mlx_prm::{
    Described, Field, Nested, Opcode, View,
    capability::*,
    command::*,
    context::*,
    queue::{CommandEntry, TRANSPORT_PCI},
    register::Register,
};

/// Memory of `length` bytes out of rows `offset: four words`; what no row names is zero.
fn memory(length: usize, rows: &str) -> Vec<u8> {
    let mut memory = vec![0; length];
    for row in rows.lines().filter(|row| !row.trim().is_empty()) {
        let (offset, words) = row.trim().split_once(": ").expect("offset: words");
        let mut at = usize::from_str_radix(offset, 16).expect("offset");
        for word in words.split(' ') {
            let word = u32::from_str_radix(word, 16).expect("word");
            memory[at..at + 4].copy_from_slice(&word.to_be_bytes());
            at += 4;
        }
    }
    memory
}

/// A view of an input or output in which nothing is set that is reserved.
fn whole<L: Described>(memory: &[u8]) -> View<L, &[u8]> {
    assert_eq!(L::LAYOUT.reserved_set(memory), None, "{}", L::LAYOUT.name);
    View::new(memory).expect("long enough")
}

fn group<L: Described>(output: &[u8]) -> View<L, &[u8]> {
    let output = View::<QueryHcaCapOut, _>::new(output).expect("long enough");
    let group = &output.into_inner()[QueryHcaCapOut::CAPABILITY.offset..];
    whole(group)
}

#[test]
fn entry_of_the_command_queue() {
    let rows = "000: 07000000 00000010 00000000 00000000
                010: 010a0000 00000000 00000000 00000000
                030: 00000007 ab0fe400 00000070 02d70001";
    let memory = memory(64, rows);
    let entry = whole::<CommandEntry>(&memory);
    assert_eq!(entry.get(CommandEntry::TRANSPORT), TRANSPORT_PCI);
    assert_eq!(entry.get(CommandEntry::INPUT_LENGTH), 0x10);
    assert_eq!(entry.get(CommandEntry::INPUT) >> 112, 0x10a);
    assert_eq!(entry.get(CommandEntry::OUTPUT_MAILBOX), 0x7_ab0f_e400);
    assert_eq!(entry.get(CommandEntry::OUTPUT_LENGTH), 0x70);
    assert_eq!(entry.get(CommandEntry::TOKEN), 2);
    assert_eq!(entry.get(CommandEntry::SIGNATURE), 0xd7);
    assert!(entry.get(CommandEntry::OWNED_BY_DEVICE));
    // The device signs nothing: this is what the driver wrote.
    assert_eq!(memory.iter().fold(0, |sum, byte| sum ^ byte), 0xff);
}

#[test]
fn query_issi() {
    let output = memory(0x70, "060: 00000000 00000000 00000000 00000002");
    let output = whole::<QueryIssiOut>(&output);
    assert_eq!(output.get(QueryIssiOut::CURRENT), 0);
    assert_eq!(output.get(QueryIssiOut::SUPPORTED), 1 << 1);
}

#[test]
fn set_issi() {
    let input = memory(0x10, "000: 010b0000 00000000 00000001 00000000");
    assert_eq!(whole::<SetIssiIn>(&input).get(SetIssiIn::CURRENT), 1);
}

#[test]
fn query_pages() {
    let input = memory(0x10, "000: 01070000 00000002 00000000 00000000");
    let input = whole::<QueryPagesIn>(&input);
    let head = input.at(QueryPagesIn::HEAD);
    assert_eq!(
        Opcode::of(head.get(Input::OPCODE)),
        Some(Opcode::QueryPages)
    );
    assert_eq!(head.get(Input::OP_MOD), 2);
    let output = memory(0x10, "000: 00000000 00000000 00000000 00003244");
    let output = whole::<QueryPagesOut>(&output);
    assert_eq!(output.get(QueryPagesOut::NUM_PAGES), 12868);
}

#[test]
fn manage_pages() {
    let rows = "000: 01080000 00000001 00000000 00003244
                010: 00000007 b2c00000 00000007 b2c01000";
    // The first two of its pages; the addresses are made up.
    let input = memory(0x20, rows);
    let input = whole::<ManagePagesIn>(&input);
    assert_eq!(input.get(ManagePagesIn::NUM_ENTRIES), 12868);
    let pages = input.items(ManagePagesIn::PAGES);
    let pages: Vec<u64> = pages.map(|page| page.get(PageAddress::PAGE)).collect();
    assert_eq!(pages, [0x7b_2c00, 0x7b_2c01]);
}

#[test]
fn access_reg() {
    let input = memory(0x20, "000: 08050000 00000000 00007004 00000000");
    let register = whole::<AccessRegIn>(&input).get(AccessRegIn::REGISTER_ID);
    assert_eq!(Register::of(register), Some(Register::HostEndianness));
}

#[test]
fn general_capabilities() {
    let rows = "020: 0f0f0017 00170000 00160018 16180008
                030: 04401010 00040004 00040004 e0000004
                040: 40ff0005 c7100101 1e000000 00010001
                050: c006cc0e e2fa030f 0005000c a0090000
                060: 00000400 00000200 00000100 00000030
                070: 00000015 10180018 00000000 17171717
                080: 97100900 09040606 0000000f 800c0e0a
                0a0: 10000008 00000000 00000113 00000000
                0c0: 00000000 00000001 00080010 00000000";
    let output = memory(0x1010, rows);
    let general = group::<GeneralCapability>(&output);
    let number = |field| general.get::<u8>(field);
    assert_eq!(number(GeneralCapability::LOG_MAX_QP), 23);
    assert_eq!(number(GeneralCapability::LOG_MAX_CQ), 24);
    assert_eq!(number(GeneralCapability::LOG_MAX_EQ), 8);
    assert_eq!(number(GeneralCapability::LOG_MAX_EQ_SZ), 22);
    assert_eq!(number(GeneralCapability::LOG_MAX_MKEY), 24);
    assert_eq!(number(GeneralCapability::PORT_TYPE), 1);
    assert_eq!(number(GeneralCapability::NUM_PORTS), 1);
    assert_eq!(number(GeneralCapability::CMDIF_CHECKSUM), 3);
    assert_eq!(number(GeneralCapability::UAR_SZ), 5);
    assert_eq!(number(GeneralCapability::LOG_BF_REG_SIZE), 9);
    assert_eq!(general.get(GeneralCapability::MAX_WQE_SZ_SQ), 1024);
    assert_eq!(number(GeneralCapability::LOG_MAX_SQ), 23);
    assert_eq!(number(GeneralCapability::LOG_MAX_WQ_SZ), 15);
    assert_eq!(number(GeneralCapability::LOG_MAX_CURRENT_UC_LIST), 10);
    assert_eq!(general.get(GeneralCapability::DEVICE_FREQUENCY_MHZ), 275);
    for flag in [
        GeneralCapability::VPORT_GROUP_MANAGER,
        GeneralCapability::ESWITCH_MANAGER,
        GeneralCapability::NIC_FLOW_TABLE,
        GeneralCapability::ETH_NET_OFFLOADS,
        GeneralCapability::STRIDING_RQ,
        GeneralCapability::CQ_MODERATION,
        GeneralCapability::NIC_VPORT_CHANGE_EVENT,
        GeneralCapability::BF,
    ] {
        assert!(general.get(flag), "{}", flag.name);
    }
    assert!(!general.get(GeneralCapability::DRIVER_VERSION));
    assert!(!general.get(GeneralCapability::QOS));
}

#[test]
fn ethernet_capabilities() {
    let rows = "010: e8725903 00000000 00000544 00000000
                040: 00000008 00000010 00000020 00000200";
    let output = memory(0x1010, rows);
    let ethernet = group::<EthernetCapability>(&output);
    assert!(ethernet.get(EthernetCapability::CSUM_CAP));
    assert!(ethernet.get(EthernetCapability::VLAN_CAP));
    assert!(!ethernet.get(EthernetCapability::SELF_LB_EN_MODIFIABLE));
    assert_eq!(ethernet.get(EthernetCapability::MAX_LSO_CAP), 18);
    assert_eq!(ethernet.get(EthernetCapability::WQE_INLINE_MODE), 1);
    assert_eq!(ethernet.get(EthernetCapability::RSS_IND_TBL_CAP), 9);
    assert_eq!(ethernet.get(EthernetCapability::LRO_MIN_MSS_SIZE), 1348);
    let longest = ethernet.get(EthernetCapability::LRO_TIMER_SUPPORTED_PERIOD_3);
    assert_eq!(longest, 512);
}

#[test]
fn flow_table_capabilities() {
    let rows = "050: c8000000 100000ff 00000000 00000009
                060: 0000000a 00000019 00000000 00000000
                070: eeefffc1 eeeffe00 00000000 00000000
                080: eeefffc0 eeeffe00 00000000 00000000
                0d0: c8000000 100000ff 00000000 00000009
                0e0: 0000000a 00000019 00000000 00000000
                0f0: eeefffc0 eeeffe00 00000000 00000000
                100: eeefffc0 eeeffe00 00000000 00000000
                110: 88000000 100000ff 00000000 00000009
                120: 0000000a 00000019 00000000 00000000
                130: eeefffc0 eeeffe00 00000000 00000000
                140: eeefffc0 eeeffe00 00000000 00000000
                190: c8000000 100000ff 00000000 00000009
                1a0: 0000000a 00000019 00000000 00000000
                1b0: eeefffc0 eeeffe00 00000000 00000000
                1c0: eeefffc0 eeeffe00 00000000 00000000";
    let output = memory(0x1010, rows);
    let tables = group::<FlowTableCapability>(&output);
    type Properties = Nested<FlowTableCapability, FlowTableProperties>;
    let flag = |of: Properties, flag: Field<FlowTableProperties, bool>| tables.at(of).get(flag);
    let receive = FlowTableCapability::NIC_RECEIVE;
    assert!(flag(receive, FlowTableProperties::FT_SUPPORT));
    assert!(flag(receive, FlowTableProperties::FLOW_TAG));
    assert!(flag(receive, FlowTableProperties::MODIFY_ROOT));
    assert!(!flag(receive, FlowTableProperties::FLOW_MODIFY_EN));
    assert!(!flag(
        FlowTableCapability::NIC_RECEIVE_RDMA,
        FlowTableProperties::FT_SUPPORT
    ));
    let transmit = FlowTableCapability::NIC_TRANSMIT;
    assert!(!flag(transmit, FlowTableProperties::FLOW_TAG));
    let receive = tables.at(receive);
    assert_eq!(receive.get(FlowTableProperties::LOG_MAX_FT_SIZE), 16);
    assert_eq!(receive.get(FlowTableProperties::MAX_FT_LEVEL), 255);
    assert_eq!(receive.get(FlowTableProperties::LOG_MAX_FT_NUM), 9);
    assert_eq!(receive.get(FlowTableProperties::LOG_MAX_FLOW), 25);
    let fields = receive.at(FlowTableProperties::MATCH);
    assert!(fields.get(FlowTableFields::OUTER_VXLAN_VNI));
    assert!(fields.get(FlowTableFields::SOURCE_ESWITCH_PORT));
    assert!(!fields.get(FlowTableFields::OUTER_IP_VERSION));
}

#[test]
fn query_adapter() {
    let rows = "020: 00000000 00000000 000002c9 000015b3
                100: 4d545f32 34333031 31303032 37000000";
    let output = memory(0x110, rows);
    let output = whole::<QueryAdapterOut>(&output);
    let adapter = output.at(QueryAdapterOut::ADAPTER);
    assert_eq!(adapter.get(Adapter::IEEE_VENDOR_ID), 0x2c9);
    assert_eq!(adapter.get(Adapter::VSD_VENDOR_ID), 0x15b3);
    assert_eq!(adapter.octets(Adapter::PSID), b"MT_2430110027\0\0\0");
}

#[test]
fn alloc_uar() {
    let output = memory(0x10, "000: 00000000 00000000 00000010 00000000");
    assert_eq!(whole::<AllocUarOut>(&output).get(AllocUarOut::UAR), 0x10);
}

#[test]
fn create_eq() {
    let rows = "000: 03010000 00000000 00000000 00000000
                010: 00000000 00000000 00000000 09000010
                020: 00000000 00000002 03000000 00000000
                050: 00000000 00000000 00000000 001f02be
                110: 00000007 a8318000";
    let input = memory(0x118, rows);
    let input = whole::<CreateEqIn>(&input);
    let context = input.at(CreateEqIn::CONTEXT);
    assert_eq!(context.get(EqContext::LOG_EQ_SIZE), 9);
    assert_eq!(context.get(EqContext::UAR_PAGE), 0x10);
    assert_eq!(context.get(EqContext::INTERRUPT), 2);
    assert_eq!(context.get(EqContext::LOG_PAGE_SIZE), 3);
    // All that is asynchronous but commands and pages.
    assert_eq!(input.get(CreateEqIn::EVENT_BITMASK_0), 0x1f_02be);
    let pages = input.items(CreateEqIn::PAGES);
    let pages: Vec<u64> = pages.map(|page| page.get(PageAddress::PAGE)).collect();
    assert_eq!(pages, [0x7a_8318]);
    let output = memory(0x10, "000: 00000000 00000000 00000011 00000000");
    assert_eq!(whole::<CreateEqOut>(&output).get(CreateEqOut::EQN), 0x11);
}
