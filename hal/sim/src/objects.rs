//! What rules share: header rewrites and tags to be put on, each once by its content.

use hal::Action;
use packet::FieldId;
use std::collections::HashMap;

/// A thing that a rule refers to instead of holding it.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Object {
    /// Neighbouring writes.
    Rewrite(Vec<(FieldId, u128, u128)>),
    /// A tag of a type.
    Tag(u16, u32),
}

/// The objects that rules refer to, with how many references each has.
#[derive(Default)]
pub struct Objects(HashMap<Object, usize>);

impl Objects {
    /// Objects held.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Refers to the objects of a rule.
    pub fn acquire(&mut self, actions: &[Action]) {
        each(actions, &mut |object| {
            *self.0.entry(object).or_default() += 1;
        });
    }

    /// Lets the objects of a rule go; the last to do so takes them away.
    pub fn release(&mut self, actions: &[Action]) {
        each(actions, &mut |object| {
            if let Some(count) = self.0.get_mut(&object) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(&object);
                }
            }
        });
    }

    /// Lets all go.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

fn each(actions: &[Action], f: &mut impl FnMut(Object)) {
    let mut writes = Vec::new();
    for action in actions {
        if let Action::Set { field, value, mask } = action {
            writes.push((*field, *value, *mask));
            continue;
        }
        if !writes.is_empty() {
            f(Object::Rewrite(std::mem::take(&mut writes)));
        }
        match action {
            Action::PushVlan { tpid, tci } => f(Object::Tag(*tpid, (*tci).into())),
            Action::PushMpls { ethertype, lse } => f(Object::Tag(*ethertype, *lse)),
            Action::Clone(inner) => each(inner, f),
            _ => {}
        }
    }
    if !writes.is_empty() {
        f(Object::Rewrite(writes));
    }
}
