//! The simulated NIC and the software read and rewrite frames alike, though neither has the
//! other's code.

use hal::{Counter, RecircId, Rule};
use hal_sim::switch::{self, Headers, RuleTable};
use packet::{
    FieldId, FlowMask, FlowState, Metadata, Owner, Packet, PartialChecksum, compose, edit, ipproto,
    parse,
};
use proptest::prelude::*;

fn fields() -> impl Iterator<Item = FieldId> {
    FieldId::all().filter(|f| f.row().owner == Owner::Packet)
}

/// A failure prints its frame; there is nothing to keep beside the test.
fn cases(count: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(count)
    }
}

const TYPES: [u16; 10] = [
    0x800, 0x86dd, 0x806, 0x8035, 0x8100, 0x88a8, 0x8847, 0x8848, 0x894f, 0x5ff,
];
const PROTOCOLS: [u8; 8] = [6, 17, 132, 1, 58, 2, 44, 99];

/// A frame that makes sense, of one of many kinds.
fn sensible() -> impl Strategy<Value = Vec<u8>> {
    let parts = (0..TYPES.len(), 0..PROTOCOLS.len(), any::<[u64; 8]>());
    (parts, any::<bool>(), 0usize..60).prop_map(|((kind, upper, words), tagged, payload)| {
        let mut state = FlowState::default();
        // Random bits everywhere; then what decides which headers there are.
        for (i, field) in fields().enumerate() {
            let word = words[i % 8].rotate_left(i as u32 * 7);
            state.set(field, u128::from(word) << 64 | u128::from(word));
        }
        let upper = PROTOCOLS[upper];
        state.set(FieldId::EthType, TYPES[kind].into());
        state.set(FieldId::VlanTci, if tagged { 0x1005 } else { 0 });
        state.set(FieldId::IpFrag, (words[0] % 4 % 3).into());
        if !matches!(TYPES[kind], 0x806 | 0x8035) {
            state.set(FieldId::IpProto, upper.into());
        }
        if upper == ipproto::ICMPV6 {
            state.set(FieldId::Icmpv6Type, u128::from(words[1] % 4 + 133));
            state.set(FieldId::Icmpv6Code, u128::from(words[1] >> 8 & 1));
        }
        compose(&state, payload).frame().to_vec()
    })
}

/// A sensible frame, perhaps with IPv6 extension headers, perhaps damaged.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let cut = prop::option::weighted(0.3, any::<prop::sample::Index>());
    let extensions = prop::collection::vec((0usize..5, 0u8..3, any::<u16>()), 0..4);
    (sensible(), damage, cut, 0usize..300, extensions).prop_map(
        |(mut frame, damage, cut, padding, extensions)| {
            extend(&mut frame, &extensions);
            for (at, byte) in damage {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
            if let Some(cut) = cut {
                frame.truncate(cut.index(frame.len()));
            } else if padding < 270 {
                frame.resize(frame.len() + padding, 0xaa);
            }
            frame
        },
    )
}

/// Puts extension headers into an untagged IPv6 frame.
fn extend(frame: &mut Vec<u8>, extensions: &[(usize, u8, u16)]) {
    if frame.get(12..14) != Some(&[0x86, 0xdd]) || frame.len() < 54 {
        return;
    }
    for (kind, units, word) in extensions {
        let kind = [0u8, 43, 60, 51, 44][*kind];
        let len = match kind {
            44 => 8,
            51 => (usize::from(*units) + 2) * 4,
            _ => (usize::from(*units) + 1) * 8,
        };
        let mut header = vec![0; len];
        header[0] = frame[20];
        header[1] = *units;
        if kind == 44 && word % 2 == 0 {
            header[2..4].copy_from_slice(&(word >> 4).to_be_bytes());
        }
        frame[20] = kind;
        frame.splice(54..54, header);
        let length = u16::from_be_bytes([frame[18], frame[19]]) + len as u16;
        frame[18..20].copy_from_slice(&length.to_be_bytes());
    }
}

fn agree_on(frame: &[u8]) -> Result<(), TestCaseError> {
    let mut p = Packet::from_frame(frame);
    let meta = Metadata {
        in_port: 70000,
        pkt_mark: 5,
        skb_priority: 9,
        ..Metadata::default()
    };
    let key = parse(&mut p, &meta);
    let mut h = Headers::read(frame);
    (h.in_port, h.mark, h.priority) = (70000, 5, 9);
    for field in fields() {
        prop_assert_eq!(h.get(field), key.get(field), "{} of {:02x?}", field, frame);
    }
    prop_assert_eq!(h.network, p.layers.network.map(usize::from));
    prop_assert_eq!(h.transport, p.layers.transport.map(usize::from));
    Ok(())
}

proptest! {
    #![proptest_config(cases(4000))]

    #[test]
    fn they_read_alike(frame in frames()) {
        agree_on(&frame)?;
    }

    #[test]
    fn they_read_noise_alike(head in any::<[u8; 12]>(), kind in 0..TYPES.len(),
                             body in prop::collection::vec(any::<u8>(), 0..120)) {
        let mut frame = head.to_vec();
        frame.extend(TYPES[kind].to_be_bytes());
        frame.extend(body);
        for cut in [0, 11, 12, 13, 14, 15, 17, 18, 22, 33, 34, 42, 54, frame.len()] {
            agree_on(&frame[..cut.min(frame.len())])?;
        }
    }
}

/// One change of a frame.
#[derive(Clone, Debug)]
enum Change {
    Set(FieldId, u128, u128),
    PushVlan(u16, u16),
    PopVlan,
    PushMpls(u16, u32),
    PopMpls(u16),
}

fn changes() -> impl Strategy<Value = Change> {
    let field = (0..fields().count()).prop_map(|i| fields().nth(i).unwrap_or(FieldId::EthSrc));
    let set = (field, any::<u128>(), any::<u128>(), any::<bool>()).prop_map(
        |(field, value, mask, whole)| {
            let mask = if whole {
                field.full()
            } else {
                mask & field.full()
            };
            Change::Set(field, value & mask, mask)
        },
    );
    prop_oneof![
        8 => set,
        1 => (prop_oneof![Just(0x8100), Just(0x88a8)], any::<u16>())
            .prop_map(|(tpid, tci)| Change::PushVlan(tpid, tci | 0x1000)),
        1 => Just(Change::PopVlan),
        1 => (prop_oneof![Just(0x8847), Just(0x8848)], any::<u32>())
            .prop_map(|(ty, lse)| Change::PushMpls(ty, lse)),
        1 => prop_oneof![Just(0x800), Just(0x86dd), Just(0x8847)].prop_map(Change::PopMpls),
    ]
}

proptest! {
    #![proptest_config(cases(8000))]

    #[test]
    fn they_rewrite_alike(frame in frames(), unfinished in any::<bool>(), sum in 0u8..4,
                          changes in prop::collection::vec(changes(), 1..8)) {
        let mut soft = Packet::from_frame(&frame);
        parse(&mut soft, &Metadata::default());
        let offset = match soft.layers.protocol {
            6 => Some(16),
            17 => Some(6),
            _ => None,
        };
        if let (true, Some(start), Some(offset)) = (unfinished, soft.layers.transport, offset)
            && usize::from(start + offset) + 2 <= soft.len()
        {
            soft.checksum = Some(PartialChecksum { start, offset });
        }
        // Checksums that mean something else than themselves: none, and minus zero.
        if let (0 | 1, Some(start), Some(offset)) = (sum, soft.layers.transport, offset)
            && let Some(place) = soft.frame_mut().get_mut(usize::from(start + offset)..)
            && let Some(place) = place.get_mut(..2)
        {
            place.fill(if sum == 0 { 0 } else { 0xff });
        }
        let mut sim = soft.clone();
        let mut h = Headers::read(sim.frame());
        for change in &changes {
            match change.clone() {
                Change::Set(field, value, mask) => {
                    edit::set_field(&mut soft, field, value, mask);
                    switch::set(&mut sim, &mut h, field, value, mask);
                }
                Change::PushVlan(tpid, tci) => {
                    edit::push_vlan(&mut soft, tpid, tci);
                    switch::push_vlan(&mut sim, &mut h, tpid, tci);
                }
                Change::PopVlan => {
                    edit::pop_vlan(&mut soft);
                    switch::pop_vlan(&mut sim, &mut h);
                }
                Change::PushMpls(kind, lse) => {
                    edit::push_mpls(&mut soft, kind, lse);
                    switch::push_mpls(&mut sim, &mut h, kind, lse);
                }
                Change::PopMpls(kind) => {
                    edit::pop_mpls(&mut soft, kind);
                    switch::pop_mpls(&mut sim, &mut h, kind);
                }
            }
            prop_assert_eq!(soft.frame(), sim.frame(), "after {:?}", change);
            prop_assert_eq!(soft.checksum, sim.checksum);
        }
    }
}

proptest! {
    #![proptest_config(cases(4000))]

    #[test]
    fn the_rule_of_a_megaflow_matches_what_the_megaflow_does(
        frame in frames(), others in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<u8>()), 1..6),
        wanted in prop::collection::vec((any::<prop::sample::Index>(), any::<u128>()), 0..6),
    ) {
        let meta = Metadata { in_port: 3, ..Metadata::default() };
        let key_of = |frame: &[u8]| parse(&mut Packet::from_frame(frame), &meta);
        let key = key_of(&frame);
        let all: Vec<FieldId> = fields().collect();
        let mut mask = FlowMask::ANY;
        mask.add_all(FieldId::EthType);
        for (field, bits) in wanted {
            let field = all[field.index(all.len())];
            // The stage is not a match.
            if field != FieldId::RecircId {
                mask.add(field, bits);
            }
        }
        let mut table = RuleTable::default();
        table.insert(&Rule::from_megaflow(&key, &mask, Vec::new()));
        let count = Counter { packets: 1, ..Counter::default() };
        let mut other = frame.clone();
        for (at, byte) in others {
            let mut h = Headers::read(&other);
            h.in_port = 3;
            let hit = table.lookup(RecircId(0), &h, &count).is_some();
            let same = key_of(&other).masked(&mask) == key.masked(&mask);
            prop_assert_eq!(hit, same, "{:?} under {:?}", key_of(&other), mask);
            if let Some(len) = other.len().checked_sub(1) {
                let at = at.index(len + 1);
                other[at] = byte;
            }
        }
    }
}
