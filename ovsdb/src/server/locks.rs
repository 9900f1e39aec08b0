//! Locks (RFC 7047 §4.1.8): the first in the queue owns, a thief goes to its head.

use super::SessionId;
use std::collections::{BTreeMap, VecDeque};

/// All locks of a server.
#[derive(Default)]
pub struct Locks {
    queues: BTreeMap<String, VecDeque<SessionId>>,
    /// Who asked for what, with those whose lock was stolen.
    claims: BTreeMap<(SessionId, String), ()>,
}

impl Locks {
    /// Whether the session asked for the lock and did not unlock it since.
    pub fn claims(&self, session: SessionId, name: &str) -> bool {
        self.claims.contains_key(&(session, name.to_owned()))
    }

    /// Whether the session owns the lock.
    pub fn owns(&self, session: SessionId, name: &str) -> bool {
        self.queues.get(name).and_then(VecDeque::front) == Some(&session)
    }

    /// Queues for the lock; answers whether it is owned now.
    pub fn lock(&mut self, session: SessionId, name: &str) -> bool {
        self.claims.insert((session, name.to_owned()), ());
        let queue = self.queues.entry(name.to_owned()).or_default();
        queue.push_back(session);
        queue.len() == 1
    }

    /// Takes the lock; answers who lost it.
    pub fn steal(&mut self, session: SessionId, name: &str) -> Option<SessionId> {
        self.claims.insert((session, name.to_owned()), ());
        let queue = self.queues.entry(name.to_owned()).or_default();
        // The victim waits on, first behind the thief.
        let victim = queue.front().copied();
        queue.push_front(session);
        victim
    }

    /// Gives the lock up, or leaves the queue; answers who owns it now if that changed.
    pub fn unlock(&mut self, session: SessionId, name: &str) -> Option<SessionId> {
        self.claims.remove(&(session, name.to_owned()));
        let queue = self.queues.get_mut(name)?;
        let owned = queue.front() == Some(&session);
        queue.retain(|s| *s != session);
        let next = queue.front().copied().filter(|_| owned);
        if queue.is_empty() {
            self.queues.remove(name);
        }
        next
    }

    /// The names that the session asked for.
    pub fn names(&self, session: SessionId) -> Vec<String> {
        self.claims
            .keys()
            .filter(|(s, _)| *s == session)
            .map(|(_, name)| name.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_waits_and_a_thief_goes_first() {
        let (a, b, c) = (SessionId(1), SessionId(2), SessionId(3));
        let mut locks = Locks::default();
        assert!(locks.lock(a, "l"));
        assert!(!locks.lock(b, "l"));
        assert_eq!(locks.steal(c, "l"), Some(a));
        assert!(locks.owns(c, "l") && locks.claims(a, "l"));
        // The victim is next, then who waited.
        assert_eq!(locks.unlock(c, "l"), Some(a));
        assert_eq!(locks.unlock(a, "l"), Some(b));
        assert_eq!(locks.unlock(b, "l"), None);
        assert!(!locks.owns(b, "l") && locks.names(b).is_empty());
    }

    #[test]
    fn leaving_the_queue_changes_no_owner() {
        let (a, b) = (SessionId(1), SessionId(2));
        let mut locks = Locks::default();
        locks.lock(a, "l");
        locks.lock(b, "l");
        assert_eq!(locks.unlock(b, "l"), None);
        assert!(locks.owns(a, "l"));
        assert_eq!(locks.steal(b, "other"), None);
        assert!(locks.owns(b, "other"));
    }
}
