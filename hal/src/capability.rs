//! What a device can do, as data, and the one check against it.

use crate::{Action, DpPort, Reason, Rule};
use packet::FieldId;
use std::collections::BTreeSet;

/// A set of fields.
pub type FieldSet = BTreeSet<FieldId>;
/// A set of actions by name ([`Action::name`]).
pub type ActionSet = BTreeSet<&'static str>;

/// What one stage of a device can do. Stage 0 sees packets as they arrive, the last stage listed
/// serves all later recirculations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableCapabilities {
    /// Fields that can be matched whole.
    pub match_exact: FieldSet,
    /// Fields of which any bits can be matched.
    pub match_masked: FieldSet,
    /// Steps.
    pub actions: ActionSet,
    /// Fields that can be written whole.
    pub set: FieldSet,
    /// Fields of which any bits can be written.
    pub set_masked: FieldSet,
    /// Steps a rule, nested ones included.
    pub max_actions: usize,
    /// All copies of a packet leave in one form: after an output come only outputs, and at the end
    /// perhaps a recirculation.
    pub single_form: bool,
}

/// What a device can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// By stage; empty = the device takes no rules.
    pub tables: Vec<TableCapabilities>,
    /// Rules in all.
    pub rules: usize,
    /// Operations that may be in flight.
    pub queue: usize,
    /// Insertions a second, 0 = not limited.
    pub inserts_per_second: u64,
    /// Bits of context that reach the CPU with a miss, 0 = a miss cannot be resumed.
    pub resume_bits: u32,
}

/// What a rule takes of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Slots of the rule table.
    pub rules: usize,
    /// Whether misses behind this rule must be resumed.
    pub resumes: bool,
}

/// Row aliases: fields that are other names of the same bits.
fn canonical(field: FieldId) -> FieldId {
    match field {
        FieldId::InPortOxm => FieldId::InPort,
        FieldId::IpDscpShifted => FieldId::IpDscp,
        FieldId::DlVlan | FieldId::VlanVid | FieldId::DlVlanPcp | FieldId::VlanPcp => {
            FieldId::VlanTci
        }
        f => f,
    }
}

impl Capabilities {
    /// The stage that serves a rule.
    pub fn table(&self, rule: &Rule) -> Option<&TableCapabilities> {
        if rule.recirc.0 == 0 {
            self.tables.first()
        } else {
            self.tables.get(1..)?.first()
        }
    }

    /// Whether the device can hold `rule`, and what it takes; `has_port` says which ports are
    /// the device's.
    pub fn check(&self, rule: &Rule, has_port: &dyn Fn(DpPort) -> bool) -> Result<Cost, Reason> {
        let Some(table) = self.table(rule) else {
            return Err(Reason::NoResume);
        };
        for m in &rule.matches {
            let field = canonical(m.field);
            if table.match_masked.contains(&field) {
                continue;
            }
            if !table.match_exact.contains(&field) {
                return Err(Reason::Field(m.field));
            }
            if m.mask != m.field.full() {
                return Err(Reason::FieldMask(m.field));
            }
        }
        let mut cost = Cost {
            rules: 1,
            resumes: false,
        };
        let have = table.check_actions(&rule.actions, has_port, &mut cost)?;
        if have > table.max_actions {
            return Err(Reason::TooManyActions {
                have,
                limit: table.max_actions,
            });
        }
        if cost.resumes && (self.resume_bits == 0 || self.tables.len() < 2) {
            return Err(Reason::NoResume);
        }
        Ok(cost)
    }
}

impl TableCapabilities {
    /// Counts the steps, nested ones included.
    fn check_actions(
        &self,
        actions: &[Action],
        has_port: &dyn Fn(DpPort) -> bool,
        cost: &mut Cost,
    ) -> Result<usize, Reason> {
        let mut count = actions.len();
        let mut sent = false;
        for action in actions {
            if matches!(action, Action::Userspace(_)) {
                return Err(Reason::SlowPath);
            }
            if !self.actions.contains(action.name()) {
                return Err(Reason::Action(action.name()));
            }
            let alike = matches!(action, Action::Output(_) | Action::Recirc(_));
            if self.single_form && sent && !alike {
                return Err(Reason::SecondForm(action.name()));
            }
            sent |= matches!(action, Action::Output(_));
            match action {
                Action::Output(port) if !has_port(*port) => {
                    return Err(Reason::EgressPort(*port));
                }
                Action::Set { field, mask, .. } => {
                    let f = canonical(*field);
                    let whole = *mask == field.full() && self.set.contains(&f);
                    if !whole && !self.set_masked.contains(&f) {
                        return Err(Reason::SetField(*field));
                    }
                }
                Action::Recirc(_) => cost.resumes = true,
                Action::Clone(inner) | Action::Sample { actions: inner, .. } => {
                    count += self.check_actions(inner, has_port, cost)?;
                }
                _ => {}
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_of_one_form_takes_no_change_after_an_output() {
        let table = TableCapabilities {
            actions: ["output", "pop_vlan", "recirc"].into(),
            max_actions: 8,
            single_form: true,
            ..TableCapabilities::default()
        };
        let device = Capabilities {
            tables: vec![table.clone(), table],
            resume_bits: 32,
            ..Capabilities::default()
        };
        let check = |actions: Vec<Action>| {
            let rule = Rule {
                recirc: crate::RecircId(0),
                matches: Vec::new(),
                actions,
                resume: None,
            };
            device.check(&rule, &|_| true).map(|_| ())
        };
        let (out, pop) = (|n| Action::Output(DpPort(n)), Action::PopVlan);
        let on = Action::Recirc(crate::RecircId(1));
        assert_eq!(check(vec![pop.clone(), out(1), out(2), on]), Ok(()));
        let refused = check(vec![out(1), pop, out(2)]);
        assert_eq!(refused, Err(Reason::SecondForm("pop_vlan")));
    }
}
