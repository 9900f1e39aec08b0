//! Whatever happens in whatever order, nothing is lost and nothing stays behind.

use crate::model::*;
use hal::*;
use offload::{Admit, Placement};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Add(u64, u8),
    Change(u64, u8),
    Remove(u64),
    Forward(u64, u64),
    Observe(u64, u64),
    Enable(bool),
    Always(bool),
    Break(usize),
    Dead(usize, bool),
    Reset(usize),
    Asleep(usize, bool),
    Refuse(usize),
    Hush(usize),
    Pace(usize, usize),
    Bind(bool),
    Warp(u64),
    Run,
}

const FLOWS: u64 = 12;

fn step() -> impl Strategy<Value = Step> {
    let flow = 1..=FLOWS;
    let nic = 0..2usize;
    prop_oneof![
        6 => (flow.clone(), any::<u8>()).prop_map(|(f, a)| Step::Add(f, a)),
        2 => (flow.clone(), any::<u8>()).prop_map(|(f, a)| Step::Change(f, a)),
        2 => flow.clone().prop_map(Step::Remove),
        6 => (flow.clone(), 1..50u64).prop_map(|(f, n)| Step::Forward(f, n)),
        2 => (flow, 1..5000u64).prop_map(|(f, n)| Step::Observe(f, n)),
        1 => any::<bool>().prop_map(Step::Enable),
        1 => any::<bool>().prop_map(Step::Always),
        1 => nic.clone().prop_map(Step::Break),
        1 => (nic.clone(), any::<bool>()).prop_map(|(d, x)| Step::Dead(d, x)),
        1 => nic.clone().prop_map(Step::Reset),
        2 => (nic.clone(), any::<bool>()).prop_map(|(d, x)| Step::Asleep(d, x)),
        1 => nic.clone().prop_map(Step::Refuse),
        1 => nic.clone().prop_map(Step::Hush),
        1 => (nic, 1..4usize).prop_map(|(d, n)| Step::Pace(d, n)),
        1 => any::<bool>().prop_map(Step::Bind),
        3 => (1..3000u64).prop_map(Step::Warp),
        6 => Just(Step::Run),
    ]
}

/// Where a flow enters depends on its number alone: it is part of its key.
fn flow(number: u64, kind: u8) -> FlowPut {
    let in_port = [1, 1, 1, 3, 9][(number % 5) as usize];
    let stage = [0, 0, 1, 2][(number % 4) as usize];
    let out = if in_port == 3 { 3 } else { 2 };
    // Mostly chains: the first stage leads to the second, that to the third.
    let actions: Vec<Action> = match (stage, kind % 8) {
        (_, 0) => vec![output(out)],
        (_, 1) => vec![output(5 - out)],
        (0, 2) => vec![Action::PopVlan, recirc(1)],
        (0, 3 | 4) => vec![recirc(1)],
        (0, 5) => vec![mark(3), recirc(1)],
        (0, 6) => vec![mark(5), recirc(1)],
        (1, 2..=6) => vec![recirc(2)],
        (_, 7) => vec![mark(4), recirc(2)],
        _ => vec![],
    };
    put(number, in_port, stage, &actions)
}

/// What the engine must say when nothing is on its way.
fn settled(b: &Bench, puts: &BTreeMap<u64, FlowPut>) -> Result<(), TestCaseError> {
    for (number, put) in puts {
        let place = b.engine.placement(put.ufid);
        let holders: Vec<usize> = (0..2)
            .filter(|d| b.model(*d).flows().contains(number))
            .collect();
        match place {
            Placement::Hardware { device } => {
                prop_assert_eq!(vec![format!("nic{}", holders[0])], vec![device]);
                let model = b.model(holders[0]);
                let rule = model.rules.values().find(|(_, h)| h.flow() == *number);
                let actions = rule.map(|(_, h)| h.rule.actions.clone());
                prop_assert_eq!(actions.as_deref(), Some(&put.actions[..]));
                let stage = put.key.get(packet::FieldId::RecircId) as u32;
                for before in puts.values() {
                    let leads = before.actions.contains(&recirc(stage));
                    let port = |p: &FlowPut| p.key.get(packet::FieldId::InPortOxm);
                    let itself = before.ufid == put.ufid;
                    if stage != 0 && leads && !itself && port(before) == port(put) {
                        prop_assert!(model.flows().contains(&(before.ufid.0 as u64)));
                    }
                }
            }
            Placement::Software(reason) => {
                prop_assert!(holders.is_empty(), "{} is held, and {:?}", number, reason);
                prop_assert!(reason != Reason::Pending, "{}", number);
            }
        }
    }
    Ok(())
}

fn settle(b: &mut Bench) {
    for d in 0..2 {
        let mut model = b.model(d);
        model.dead = false;
        model.asleep = false;
        model.refuse = 0;
        model.hush = 0;
    }
    for _ in 0..5 {
        b.warp(60_000);
    }
}

fn scenario(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut b = Bench::new();
    b.add_device("nic0", capabilities(5, 3), &[1, 2]);
    b.add_device("nic1", capabilities(3, 100), &[3]);
    b.engine.set_enabled(true);
    b.engine.set_admit(Admit::Always);
    let mut puts: BTreeMap<u64, FlowPut> = BTreeMap::new();
    let mut totals: BTreeMap<u64, u64> = BTreeMap::new();
    let mut owed = 0;
    for step in steps {
        match step {
            Step::Add(f, kind) => {
                if !b.software.contains_key(&Ufid(f.into())) {
                    puts.insert(f, flow(f, kind));
                    b.add(&flow(f, kind));
                }
            }
            Step::Change(f, kind) => {
                if let Some(put) = puts.get_mut(&f) {
                    *put = flow(f, kind);
                    b.engine.flow_changed(put);
                }
            }
            Step::Remove(f) => {
                if puts.remove(&f).is_some() {
                    b.remove(f);
                    owed += usize::from(b.software.contains_key(&Ufid(f.into())));
                }
            }
            Step::Forward(f, n) => {
                for d in 0..2 {
                    b.model(d).forward(f, n);
                }
            }
            Step::Observe(f, n) => {
                let packets = totals.entry(f).or_default();
                *packets += n;
                let stats = FlowStats {
                    packets: *packets,
                    ..FlowStats::default()
                };
                b.engine.observe(Ufid(f.into()), &stats);
            }
            Step::Enable(on) => b.engine.set_enabled(on),
            Step::Always(on) => b
                .engine
                .set_admit(if on { Admit::Always } else { Admit::Policy }),
            Step::Break(d) => b.model(d).broken = true,
            Step::Dead(d, dead) => b.model(d).dead = dead,
            Step::Reset(d) => b.model(d).reset(),
            Step::Asleep(d, asleep) => b.model(d).asleep = asleep,
            Step::Refuse(d) => b.model(d).refuse += 1,
            Step::Hush(d) => b.model(d).hush += 1,
            Step::Pace(d, n) => b.model(d).pace = n,
            Step::Bind(there) => {
                // As the owner does: flows that use the port go before the port.
                let number = there.then_some(DpPort(2));
                b.engine.bind_port("nic0", "p2", number);
            }
            Step::Warp(ms) => b.warp(ms),
            Step::Run => b.run(),
        }
        for d in 0..2 {
            let full = b.model(d).peak;
            prop_assert!(full <= [5, 3][d]);
        }
    }
    settle(&mut b);
    settled(&b, &puts)?;
    prop_assert_eq!(b.releases, owed, "each is released once");
    // Everything goes, and what was counted has been told.
    for f in puts.keys() {
        b.remove(*f);
    }
    settle(&mut b);
    prop_assert!(b.software.is_empty());
    prop_assert_eq!(b.engine.offloaded(), 0);
    let mut counted: BTreeMap<u64, u64> = BTreeMap::new();
    for d in 0..2 {
        prop_assert!(b.model(d).rules.is_empty(), "a rule is left behind");
        for (f, n) in &b.model(d).counted {
            *counted.entry(*f).or_default() += n;
        }
    }
    counted.retain(|_, n| *n != 0);
    prop_assert_eq!(&b.credits, &counted);
    prop_assert_eq!(b.engine.report().resume_ids, 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn nothing_is_lost_and_nothing_stays_behind(steps in prop::collection::vec(step(), 1..80)) {
        scenario(steps)?;
    }
}
