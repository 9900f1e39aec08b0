//! Changes of header fields, which entries refer to by number: each list exists once.

use super::Change;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use slab::Slab;
use std::hash::BuildHasher;

/// Number of a list of changes in the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ModifyHeaderId(pub u32);

/// A list of changes that somebody uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RewriteRef(usize);

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
    changes: Box<[Change]>,
    hash: u64,
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
    lists: Slab<Rewrite>,
    by_changes: HashTable<usize>,
    hasher: RandomState,
}

impl Rewrites {
    /// Lists that there are or will be.
    pub fn len(&self) -> usize {
        self.lists.len()
    }

    /// One more rule uses a list.
    pub fn acquire(&mut self, changes: &[Change]) -> RewriteRef {
        let hash = self.hasher.hash_one(changes);
        let same = |n: &usize| *self.lists[*n].changes == *changes;
        if let Some(&n) = self.by_changes.find(hash, same) {
            self.lists[n].users += 1;
            return RewriteRef(n);
        }
        let n = self.lists.insert(Rewrite {
            changes: changes.into(),
            hash,
            state: State::Unasked,
            users: 1,
        });
        let lists = &self.lists;
        self.by_changes.insert_unique(hash, n, |n| lists[*n].hash);
        RewriteRef(n)
    }

    /// The changes of a list.
    pub fn changes(&self, list: RewriteRef) -> &[Change] {
        self.lists.get(list.0).map_or(&[], |r| &r.changes)
    }

    /// Where a list stands that somebody uses.
    pub fn standing(&self, list: RewriteRef) -> Standing {
        match self.lists.get(list.0).map(|r| &r.state) {
            None | Some(State::Unasked) => Standing::Make,
            Some(State::Coming) => Standing::Wait,
            Some(State::There(id)) => Standing::There(*id),
            Some(State::Refused(why)) => Standing::Refused(why.clone()),
        }
    }

    /// Whether the device was asked for a list.
    pub fn asked(&mut self, list: RewriteRef, asked: bool) {
        if let Some(rewrite) = self.lists.get_mut(list.0) {
            rewrite.state = if asked { State::Coming } else { State::Unasked };
        }
    }

    /// The device has made a list, or has not. A list that nobody uses any more is gone then; its
    /// number, if it had one by then.
    pub fn made(
        &mut self,
        list: RewriteRef,
        id: Result<ModifyHeaderId, String>,
    ) -> Option<ModifyHeaderId> {
        let rewrite = self.lists.get_mut(list.0)?;
        rewrite.state = match id {
            Ok(id) => State::There(id),
            Err(why) => State::Refused(why),
        };
        if rewrite.users > 0 {
            None
        } else {
            self.remove(list)
        }
    }

    /// One rule less uses a list; the number of the one that nobody uses any more.
    pub fn release(&mut self, list: RewriteRef) -> Option<ModifyHeaderId> {
        let rewrite = self.lists.get_mut(list.0)?;
        rewrite.users -= 1;
        // One that is on its way is waited for, so that its number is not lost.
        let coming = matches!(rewrite.state, State::Coming);
        if rewrite.users > 0 || coming {
            return None;
        }
        self.remove(list)
    }

    fn remove(&mut self, list: RewriteRef) -> Option<ModifyHeaderId> {
        let rewrite = self.lists.try_remove(list.0)?;
        if let Ok(found) = self.by_changes.find_entry(rewrite.hash, |n| *n == list.0) {
            found.remove();
        }
        match rewrite.state {
            State::There(id) => Some(id),
            State::Coming | State::Unasked | State::Refused(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [Change; 1] = [[1; 8]];
    const B: [Change; 1] = [[2; 8]];

    #[test]
    fn equal_lists_exist_once_and_go_with_their_last_user() {
        let mut rewrites = Rewrites::default();
        let a = rewrites.acquire(&A);
        assert_eq!(rewrites.standing(a), Standing::Make);
        rewrites.asked(a, true);
        assert_eq!(rewrites.acquire(&A), a);
        assert_eq!(rewrites.standing(a), Standing::Wait);
        let id = ModifyHeaderId(7);
        assert_eq!(rewrites.made(a, Ok(id)), None);
        assert_eq!(rewrites.standing(a), Standing::There(id));
        assert_eq!(rewrites.changes(a), A);
        let b = rewrites.acquire(&B);
        assert_ne!(a, b);
        assert_eq!(rewrites.made(b, Err("full".into())), None);
        assert_eq!(rewrites.standing(b), Standing::Refused("full".into()));
        assert_eq!(rewrites.len(), 2);
        assert_eq!(rewrites.release(b), None);
        assert_eq!(rewrites.release(a), None);
        assert_eq!(rewrites.release(a), Some(id));
        assert_eq!(rewrites.len(), 0);
    }

    #[test]
    fn a_list_that_is_let_go_of_on_its_way_is_gone_when_it_comes() {
        let mut rewrites = Rewrites::default();
        let a = rewrites.acquire(&A);
        rewrites.asked(a, true);
        assert_eq!(rewrites.release(a), None);
        // Somebody wants it again meanwhile, and not any more either.
        assert_eq!(rewrites.acquire(&A), a);
        assert_eq!(rewrites.release(a), None);
        let id = ModifyHeaderId(7);
        assert_eq!(rewrites.made(a, Ok(id)), Some(id));
        assert_eq!(rewrites.len(), 0);
    }
}
