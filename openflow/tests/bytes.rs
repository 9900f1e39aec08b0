//! No bytes from outside can do harm, and what was written reads back.

use openflow::text::{Names, ParseCommand, parse_flow};
use openflow::{FlowCommand, Kind, Message, Protocol, Version, Xid, decode, encode_for, print};
use proptest::prelude::*;

/// Bytes that begin like a message: a version, a type, the right length.
fn message() -> impl Strategy<Value = Vec<u8>> {
    (
        1u8..=6,
        0u8..36,
        proptest::collection::vec(any::<u8>(), 0..200),
    )
        .prop_map(|(v, t, body)| {
            let len = (body.len() + 8) as u16;
            let mut out = vec![v, t];
            out.extend(len.to_be_bytes());
            out.extend([0, 0, 0, 1]);
            out.extend(body);
            out
        })
}

/// Flow-mods whose beginnings are right and whose matches and actions are anything.
fn flow_mod() -> impl Strategy<Value = Vec<u8>> {
    let flows = prop::sample::select(vec![
        "tcp,tp_dst=80,actions=output:1",
        "ipv6,reg0=1/3,actions=ct(commit,nat(src=1::2),exec(set_field:1->ct_mark))",
        "arp,actions=learn(table=1,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])",
        "actions=clone(note:01,resubmit(,1)),controller(userdata=01.02,pause)",
    ]);
    let protocol = prop::sample::select(vec![
        Protocol::Of10NxmTid,
        Protocol::Of13Oxm,
        Protocol::Of15Oxm,
    ]);
    let hits = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (flows, protocol, hits).prop_map(|(text, protocol, hits)| {
        let add = ParseCommand::Flow(FlowCommand::Add);
        let f = parse_flow(text, add, &Names::none()).expect("the flow is right");
        let mut bytes = encode_for(protocol, Xid(1), &Message::FlowMod(Box::new(f.flow)));
        let n = bytes.len() - 8;
        for (at, value) in hits {
            bytes[8 + at.index(n)] = value;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn no_message_panics(bytes in message()) {
        let _ = decode(&bytes);
        let _ = print::format_message(&bytes, &Names::none(), 3);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = decode(&bytes);
        let _ = print::format_message(&bytes, &Names::none(), 3);
    }

    #[test]
    fn damaged_flow_mods_do_not_panic_and_good_ones_are_stable(bytes in flow_mod()) {
        if let Ok((version, xid, Message::FlowMod(f))) = decode(&bytes) {
            let protocol = Protocol::of_version(version);
            let again = encode_for(protocol, xid, &Message::FlowMod(f.clone()));
            if let Ok((_, _, Message::FlowMod(g))) = decode(&again) {
                let twice = encode_for(protocol, xid, &Message::FlowMod(g));
                prop_assert_eq!(again, twice);
            }
        }
    }

    #[test]
    fn no_text_panics(text in "[a-z0-9_=,:()\\[\\]./>-]{0,60}") {
        let _ = parse_flow(&text, ParseCommand::Any, &Names::none());
        let _ = parse_flow(&format!("{text},actions={text}"), ParseCommand::Any, &Names::none());
    }
}

#[test]
fn every_layout_of_zeros_is_read_or_refused() {
    for version in Version::ALL {
        for len in [8usize, 12, 16, 24, 40, 48, 80, 120] {
            for kind in 0..40u8 {
                let mut bytes = vec![0; len];
                bytes[0] = version.wire();
                bytes[1] = kind;
                bytes[3] = len as u8;
                let _ = decode(&bytes);
            }
        }
    }
    assert!(Kind::OfptHello.row().name == "OFPT_HELLO");
}

#[test]
fn every_field_that_can_be_written_is_written_by_niciras_actions() {
    use openflow::action::SetForm;
    use openflow::{Action, FlowMod};
    use packet::FieldId;
    // What a connection is marked with is written elsewhere, and `nw_tos` has bits that are not its own.
    let here = |f: &FieldId| {
        f.row().writable && !f.row().name.starts_with("ct_") && f.row().name != "nw_tos"
    };
    let on_wire = |f: &FieldId| openflow::oxm::row_of(*f, 0).is_some();
    for field in FieldId::all().filter(here).filter(on_wire) {
        for (form, mask) in [
            (SetForm::Load, field.full()),
            (SetForm::Load2, field.full()),
            (SetForm::Load2, 1),
        ] {
            let mut flow = FlowMod::new(FlowCommand::Add);
            flow.actions = vec![Action::SetField {
                field,
                value: 1,
                mask,
                form,
            }];
            let bytes = encode_for(
                Protocol::Of10NxmTid,
                Xid(1),
                &Message::FlowMod(Box::new(flow)),
            );
            let Ok((_, _, Message::FlowMod(back))) = decode(&bytes) else {
                panic!("{} {form:?}: {:?}", field.row().name, decode(&bytes));
            };
            // A wide field is loaded in parts.
            let (mut value, mut written) = (0, 0);
            for action in &back.actions {
                let Action::SetField {
                    field: f,
                    value: v,
                    mask: m,
                    ..
                } = action
                else {
                    panic!("{}: {action:?}", field.row().name);
                };
                assert_eq!(*f, field);
                value |= v;
                written |= m;
            }
            assert_eq!((value, written), (1, mask), "{} {form:?}", field.row().name);
        }
    }
}
