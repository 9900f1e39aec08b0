//! Changes of header fields, which entries refer to by number: each list exists once.

use super::Change;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::Arc;

/// Number of a list of changes in the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModifyHeaderId(pub u32);

/// The changes themselves, by which a list is known.
pub type Changes = Arc<[Change]>;

enum State {
    /// The device has been asked to make it.
    Coming,
    /// It has not been asked yet: there was no room.
    Unasked,
    There(ModifyHeaderId),
    /// The device did not make it.
    Refused(String),
}

struct Rewrite {
    state: State,
    /// Rules that use it.
    users: usize,
}

/// Where a list of changes stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has it: it is to be made.
    Make,
    /// It is on its way.
    Wait,
    /// It is there.
    There(ModifyHeaderId),
    /// It cannot be had.
    Refused(String),
}

/// All lists of changes of a device.
#[derive(Default)]
pub struct Rewrites {
    lists: HashMap<Changes, Rewrite, RandomState>,
}

impl Rewrites {
    /// Lists that there are or will be.
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// One more rule uses a list.
    pub fn acquire(&mut self, changes: &[Change]) -> Changes {
        if let Some((list, _)) = self.lists.get_key_value(changes) {
            let list = list.clone();
            if let Some(rewrite) = self.lists.get_mut(changes) {
                rewrite.users += 1;
            }
            return list;
        }
        let list = Changes::from(changes);
        let rewrite = Rewrite {
            state: State::Unasked,
            users: 1,
        };
        self.lists.insert(list.clone(), rewrite);
        list
    }

    /// Where a list stands that somebody uses.
    pub fn standing(&self, changes: &Changes) -> Standing {
        match self.lists.get(changes).map(|r| &r.state) {
            None => Standing::Make,
            Some(State::Unasked) => Standing::Make,
            Some(State::Coming) => Standing::Wait,
            Some(State::There(id)) => Standing::There(*id),
            Some(State::Refused(why)) => Standing::Refused(why.clone()),
        }
    }

    /// Whether the device was asked for a list.
    pub fn asked(&mut self, changes: &Changes, asked: bool) {
        if let Some(rewrite) = self.lists.get_mut(changes) {
            rewrite.state = if asked { State::Coming } else { State::Unasked };
        }
    }

    /// The device has made a list, or has not. False if nobody wants it any more.
    #[must_use]
    pub fn made(&mut self, changes: &Changes, id: Result<ModifyHeaderId, String>) -> bool {
        let Some(rewrite) = self.lists.get_mut(changes) else {
            return false;
        };
        rewrite.state = match id {
            Ok(id) => State::There(id),
            Err(why) => State::Refused(why),
        };
        true
    }

    /// One rule less uses a list; the number of the one that nobody uses any more.
    pub fn release(&mut self, changes: &Changes) -> Option<ModifyHeaderId> {
        let rewrite = self.lists.get_mut(changes)?;
        rewrite.users -= 1;
        if rewrite.users > 0 {
            return None;
        }
        match self.lists.remove(changes)?.state {
            State::There(id) => Some(id),
            State::Coming | State::Unasked | State::Refused(_) => None,
        }
    }

    /// All that the device has.
    pub fn all(&self) -> Vec<ModifyHeaderId> {
        let all = self.lists.values();
        all.filter_map(|r| match r.state {
            State::There(id) => Some(id),
            State::Coming | State::Unasked | State::Refused(_) => None,
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_exist_once_and_go_with_their_last_user() {
        let mut rewrites = Rewrites::default();
        let (a, b): (Changes, Changes) = ([[1; 8]].into(), [[2; 8]].into());
        rewrites.acquire(&a);
        assert_eq!(rewrites.standing(&a), Standing::Make);
        rewrites.asked(&a, true);
        rewrites.acquire(&a);
        assert_eq!(rewrites.standing(&a), Standing::Wait);
        let id = ModifyHeaderId(7);
        assert!(rewrites.made(&a, Ok(id)));
        assert!(Arc::ptr_eq(&rewrites.acquire(&a), &rewrites.acquire(&a)));
        assert_eq!(rewrites.standing(&a), Standing::There(id));
        rewrites.acquire(&b);
        assert!(rewrites.made(&b, Err("full".into())));
        assert_eq!(rewrites.standing(&b), Standing::Refused("full".into()));
        assert_eq!((rewrites.len(), rewrites.all()), (2, vec![id]));
        assert_eq!(rewrites.release(&b), None);
        for _ in 0..3 {
            assert_eq!(rewrites.release(&a), None);
        }
        assert_eq!(rewrites.release(&a), Some(id));
        assert_eq!(rewrites.len(), 0);
        assert!(!rewrites.made(&a, Ok(id)));
    }
}
