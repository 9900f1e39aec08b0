//! The simulated NIC and the software read and rewrite frames alike, though neither has the
//! other's code.

use hal::{Counter, RecircId, Rule};
use hal_sim::switch::{self, Headers, RuleTable};
use packet::{
    FieldId, FlowMask, FlowState, Metadata, Packet, PartialChecksum, compose, edit, ipproto, parse,
};
use proptest::prelude::*;
use std::sync::{Mutex, PoisonError};

/// The process has one limit of tags; a test that reads frames holds it while it does.
static LIMIT: Mutex<()> = Mutex::new(());

fn with_vlan_limit<T>(limit: usize, read: impl FnOnce() -> T) -> T {
    let _held = LIMIT.lock().unwrap_or_else(PoisonError::into_inner);
    packet::set_vlan_limit(limit);
    read()
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
const TAGS: [u16; 2] = [0x8100, 0x88a8];
const PROTOCOLS: [u8; 8] = [6, 17, 132, 1, 58, 2, 44, 99];

/// A frame that makes sense, of one of many kinds.
fn sensible() -> impl Strategy<Value = Vec<u8>> {
    let parts = (0..TYPES.len(), 0..PROTOCOLS.len(), any::<[u64; 8]>());
    let tags = prop::collection::vec((0..TAGS.len(), 0u128..8), 0..=2);
    (parts, tags, 0usize..60).prop_map(|((kind, upper, words), tags, payload)| {
        let mut state = FlowState::default();
        // Random bits everywhere; then what decides which headers there are.
        for (i, field) in FieldId::of_packets().enumerate() {
            let word = words[i % 8].rotate_left(i as u32 * 7);
            state.set(field, u128::from(word) << 64 | u128::from(word));
        }
        let upper = PROTOCOLS[upper];
        state.set(FieldId::EthType, TYPES[kind].into());
        let places = [
            (FieldId::VlanTpid, FieldId::VlanTci),
            (FieldId::Vlan2Tpid, FieldId::Vlan2Tci),
        ];
        for (i, (tpid, tci)) in places.into_iter().enumerate() {
            let (kind, low) = tags.get(i).map_or((0, 0), |(k, v)| (TAGS[*k], 0x1000 | v));
            state.set(tpid, kind.into());
            state.set(tci, low);
        }
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
    for field in FieldId::of_packets() {
        prop_assert_eq!(h.get(field), key.get(field), "{} of {:02x?}", field, frame);
    }
    prop_assert_eq!(h.network, p.layers.network.map(usize::from));
    prop_assert_eq!(h.transport, p.layers.transport.map(usize::from));
    Ok(())
}

proptest! {
    #![proptest_config(cases(4000))]

    #[test]
    fn they_read_alike(frame in frames(), limit in 1usize..=2) {
        with_vlan_limit(limit, || agree_on(&frame))?;
    }

    #[test]
    fn they_read_noise_alike(head in any::<[u8; 12]>(), kind in 0..TYPES.len(),
                             limit in 1usize..=2, body in prop::collection::vec(any::<u8>(), 0..120)) {
        let mut frame = head.to_vec();
        frame.extend(TYPES[kind].to_be_bytes());
        frame.extend(body);
        for cut in [0, 11, 12, 13, 14, 15, 17, 18, 22, 33, 34, 42, 54, frame.len()] {
            let frame = &frame[..cut.min(frame.len())];
            with_vlan_limit(limit, || agree_on(frame))?;
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
    let field = (0..FieldId::of_packets().count())
        .prop_map(|i| FieldId::of_packets().nth(i).unwrap_or(FieldId::EthSrc));
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

/// Rewrites a frame with both. `unfinished` leaves its checksum to be computed; `sum` 0 and 1 say
/// that it has none, or minus zero.
fn rewrite_alike(
    frame: &[u8],
    unfinished: bool,
    sum: u8,
    changes: &[Change],
) -> Result<(), TestCaseError> {
    let mut soft = Packet::from_frame(frame);
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
    if let (0 | 1, Some(start), Some(offset)) = (sum, soft.layers.transport, offset)
        && let Some(place) = soft.frame_mut().get_mut(usize::from(start + offset)..)
        && let Some(place) = place.get_mut(..2)
    {
        place.fill(if sum == 0 { 0 } else { 0xff });
    }
    let mut sim = soft.clone();
    let mut h = Headers::read(sim.frame());
    for change in changes {
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
    Ok(())
}

proptest! {
    #![proptest_config(cases(8000))]

    #[test]
    fn they_rewrite_alike(frame in frames(), unfinished in any::<bool>(), sum in 0u8..4,
                          limit in 1usize..=2,
                          changes in prop::collection::vec(changes(), 1..8)) {
        with_vlan_limit(limit, || rewrite_alike(&frame, unfinished, sum, &changes))?;
    }
}

/// What makes another frame of a frame.
#[derive(Clone, Debug)]
enum Damage {
    Byte(prop::sample::Index, u8),
    /// Two bytes where a tag's type or the tag itself stands.
    Tag(usize, u16),
}

fn damage() -> impl Strategy<Value = Damage> {
    let tags = prop::sample::select(vec![0x8100, 0x88a8, 5, 0x2005, 7]);
    prop_oneof![
        any::<(prop::sample::Index, u8)>().prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (0usize..4, tags).prop_map(|(place, word)| Damage::Tag(12 + 2 * place, word)),
    ]
}

impl Damage {
    fn inflict(&self, frame: &mut [u8]) {
        match self {
            Damage::Byte(at, byte) if !frame.is_empty() => frame[at.index(frame.len())] = *byte,
            Damage::Tag(at, word) if frame.len() >= at + 2 => {
                frame[*at..at + 2].copy_from_slice(&word.to_be_bytes());
            }
            _ => {}
        }
    }
}

fn match_alike(
    frame: &[u8],
    damages: &[Damage],
    wanted: &[(FieldId, u128)],
) -> Result<(), TestCaseError> {
    let meta = Metadata {
        in_port: 3,
        ..Metadata::default()
    };
    let key_of = |frame: &[u8]| parse(&mut Packet::from_frame(frame), &meta);
    let key = key_of(frame);
    let mut mask = FlowMask::ANY;
    mask.add_all(FieldId::EthType);
    for (field, bits) in wanted {
        mask.add(*field, *bits);
    }
    let mut table = RuleTable::default();
    table.insert(&Rule::from_megaflow(&key, &mask, Vec::new()).unwrap());
    let count = Counter {
        packets: 1,
        ..Counter::default()
    };
    let mut other = frame.to_vec();
    for damage in damages {
        let mut h = Headers::read(&other);
        h.in_port = 3;
        let hit = table.lookup(RecircId(0), &h, &count).is_some();
        let same = key_of(&other).masked(&mask) == key.masked(&mask);
        prop_assert_eq!(hit, same, "{:?} under {:?}", key_of(&other), mask);
        damage.inflict(&mut other);
    }
    Ok(())
}

/// Fields and bits that a megaflow wants, tags more often than others.
fn wanted() -> impl Strategy<Value = Vec<(FieldId, u128)>> {
    use FieldId::*;
    let all: Vec<FieldId> = FieldId::of_packets().filter(|f| *f != RecircId).collect();
    let tags = vec![VlanTpid, VlanTci, Vlan2Tpid, Vlan2Tci];
    let field = prop_oneof![
        (prop::sample::select(all), any::<u128>()),
        (prop::sample::select(tags), Just(u128::MAX)),
    ];
    prop::collection::vec(field, 0..6)
}

proptest! {
    #![proptest_config(cases(8000))]

    #[test]
    fn the_rule_of_a_megaflow_matches_what_the_megaflow_does(
        frame in frames(), limit in 1usize..=2, wanted in wanted(),
        damages in prop::collection::vec(damage(), 1..6),
    ) {
        with_vlan_limit(limit, || match_alike(&frame, &damages, &wanted))?;
    }
}
