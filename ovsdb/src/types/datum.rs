//! Sets and maps, sorted, with their algebra.
//!
//! Most columns of most rows hold nothing or one atom, so those two take no allocation; longer ones
//! are one shared slice. Cloning a datum never copies atoms.

use super::{Atom, Type};
use crate::{Error, Uuid};
use std::cmp::Ordering;
use std::sync::Arc;

/// What a column holds: a sorted set of atoms, or a map sorted by key.
///
/// The empty set and the empty map are the same value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Datum(Repr);

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
enum Repr {
    #[default]
    Empty,
    One(Atom),
    /// At least two.
    Set(Arc<[Atom]>),
    /// At least one.
    Map(Arc<[(Atom, Atom)]>),
}

impl Datum {
    /// A set of `atoms`; duplicates are dropped.
    pub fn set<A: Into<Atom>>(atoms: impl IntoIterator<Item = A>) -> Datum {
        let mut atoms: Vec<Atom> = atoms.into_iter().map(Into::into).collect();
        atoms.sort_unstable();
        atoms.dedup();
        Datum::from_sorted(atoms)
    }

    /// A map of `pairs`; of duplicate keys the one with the least value stays.
    pub fn map<K: Into<Atom>, V: Into<Atom>>(pairs: impl IntoIterator<Item = (K, V)>) -> Datum {
        let mut pairs: Vec<(Atom, Atom)> = pairs
            .into_iter()
            .map(|(k, v)| (k.into(), v.into()))
            .collect();
        pairs.sort_unstable();
        pairs.dedup_by(|later, earlier| later.0 == earlier.0);
        Datum::from_sorted_pairs(pairs)
    }

    fn from_sorted(mut atoms: Vec<Atom>) -> Datum {
        Datum(match atoms.len() {
            0 => Repr::Empty,
            1 => atoms.pop().map_or(Repr::Empty, Repr::One),
            _ => Repr::Set(atoms.into()),
        })
    }

    fn from_sorted_pairs(pairs: Vec<(Atom, Atom)>) -> Datum {
        Datum(if pairs.is_empty() {
            Repr::Empty
        } else {
            Repr::Map(pairs.into())
        })
    }

    /// A set of `atoms`.
    ///
    /// # Errors
    /// `set contains duplicate`.
    pub fn set_strict(mut atoms: Vec<Atom>) -> Result<Datum, Error> {
        atoms.sort_unstable();
        if atoms.windows(2).any(|w| w[0] == w[1]) {
            return Err(Error::new("ovsdb error", "set contains duplicate"));
        }
        Ok(Datum::from_sorted(atoms))
    }

    /// A map of `pairs`.
    ///
    /// # Errors
    /// `map contains duplicate key`.
    pub fn map_strict(mut pairs: Vec<(Atom, Atom)>) -> Result<Datum, Error> {
        pairs.sort_unstable();
        if pairs.windows(2).any(|w| w[0].0 == w[1].0) {
            return Err(Error::new("ovsdb error", "map contains duplicate key"));
        }
        Ok(Datum::from_sorted_pairs(pairs))
    }

    /// How many members or pairs.
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Empty => 0,
            Repr::One(_) => 1,
            Repr::Set(atoms) => atoms.len(),
            Repr::Map(pairs) => pairs.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Repr::Empty)
    }

    /// Whether it is what a new row of this type holds.
    pub fn is_default(&self, type_: &Type) -> bool {
        u32::try_from(self.len()) == Ok(type_.min)
            && self
                .pairs()
                .all(|(k, v)| k.is_default() && v.is_none_or(Atom::is_default))
    }

    /// The members or keys, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &Atom> + Clone {
        self.pairs().map(|(key, _)| key)
    }

    /// The `at`th member or pair.
    pub fn pair(&self, at: usize) -> Option<(&Atom, Option<&Atom>)> {
        match &self.0 {
            Repr::Empty => None,
            Repr::One(atom) => (at == 0).then_some((atom, None)),
            Repr::Set(atoms) => atoms.get(at).map(|a| (a, None)),
            Repr::Map(pairs) => pairs.get(at).map(|(k, v)| (k, Some(v))),
        }
    }

    /// Members, or keys with their values, in order.
    pub fn pairs(&self) -> Pairs<'_> {
        Pairs { datum: self, at: 0 }
    }

    /// The first member or key: the value of a scalar.
    pub fn first(&self) -> Option<&Atom> {
        self.pair(0).map(|(key, _)| key)
    }

    /// The value under `key`, in a map.
    pub fn get(&self, key: &Atom) -> Option<&Atom> {
        match &self.0 {
            Repr::Map(pairs) => {
                let at = pairs.binary_search_by(|(k, _)| k.cmp(key)).ok()?;
                pairs.get(at).map(|(_, v)| v)
            }
            _ => None,
        }
    }

    /// The string under the string `key`, in a map.
    pub fn get_str(&self, key: &str) -> Option<&str> {
        match &self.0 {
            Repr::Map(pairs) => {
                let find = |(k, _): &(Atom, Atom)| match k.as_str() {
                    Some(k) => k.as_bytes().cmp(key.as_bytes()),
                    None => Ordering::Less,
                };
                let at = pairs.binary_search_by(find).ok()?;
                pairs.get(at).and_then(|(_, v)| v.as_str())
            }
            _ => None,
        }
    }

    /// Whether `key` is a member or key.
    pub fn contains(&self, key: &Atom) -> bool {
        match &self.0 {
            Repr::Empty => false,
            Repr::One(atom) => atom == key,
            Repr::Set(atoms) => atoms.binary_search(key).is_ok(),
            Repr::Map(pairs) => pairs.binary_search_by(|(k, _)| k.cmp(key)).is_ok(),
        }
    }

    fn contains_pair(&self, key: &Atom, value: Option<&Atom>) -> bool {
        match value {
            None => self.contains(key),
            Some(value) => self.get(key) == Some(value),
        }
    }

    /// Whether each member or pair of `other` is here.
    pub fn includes_all(&self, other: &Datum) -> bool {
        other.len() <= self.len() && other.pairs().all(|(k, v)| self.contains_pair(k, v))
    }

    /// Whether no member or pair of `other` is here.
    pub fn excludes_all(&self, other: &Datum) -> bool {
        !other.pairs().any(|(k, v)| self.contains_pair(k, v))
    }

    /// The text of a scalar string.
    pub fn as_str(&self) -> Option<&str> {
        self.first()?.as_str()
    }

    /// The UUIDs among members, keys and values, in order.
    pub fn uuids(&self) -> impl Iterator<Item = Uuid> + '_ {
        self.pairs()
            .flat_map(|(k, v)| [k.as_uuid(), v.and_then(Atom::as_uuid)])
            .flatten()
    }

    /// Order by length, then keys, then values: as the original's.
    pub fn compare(&self, other: &Datum) -> Ordering {
        self.len()
            .cmp(&other.len())
            .then_with(|| self.keys().cmp(other.keys()))
            .then_with(|| self.pairs().map(|p| p.1).cmp(other.pairs().map(|p| p.1)))
    }

    /// Members of both; where both map a key, `other`'s value wins if `replace`, else ours.
    #[must_use]
    pub fn union(&self, other: &Datum, replace: bool) -> Datum {
        match (&self.0, &other.0) {
            (_, Repr::Empty) => self.clone(),
            (Repr::Empty, _) => other.clone(),
            (Repr::Map(_), _) | (_, Repr::Map(_)) => {
                let mut pairs = Vec::with_capacity(self.len() + other.len());
                merge(self, other, |key, ours, theirs| {
                    let chosen = match (ours, theirs) {
                        (Some(_), Some(theirs)) if replace => theirs,
                        (Some(ours), _) => ours,
                        (None, Some(theirs)) => theirs,
                        (None, None) => return,
                    };
                    if let Some(value) = chosen {
                        pairs.push((key.clone(), value.clone()));
                    }
                });
                Datum::from_sorted_pairs(pairs)
            }
            _ => {
                let mut atoms = Vec::with_capacity(self.len() + other.len());
                merge(self, other, |key, _, _| atoms.push(key.clone()));
                Datum::from_sorted(atoms)
            }
        }
    }

    /// Members that are not in `other`; pairs match by key and value, or by key alone when `other`
    /// is a set of keys.
    #[must_use]
    pub fn subtract(&self, other: &Datum) -> Datum {
        if other.is_empty() {
            return self.clone();
        }
        match &self.0 {
            Repr::Map(pairs) => {
                let by_key = !matches!(other.0, Repr::Map(_));
                Datum::from_sorted_pairs(
                    pairs
                        .iter()
                        .filter(|(k, v)| {
                            if by_key {
                                !other.contains(k)
                            } else {
                                other.get(k) != Some(v)
                            }
                        })
                        .cloned()
                        .collect(),
                )
            }
            _ => Datum::from_sorted(
                self.keys()
                    .filter(|k| !other.contains(k))
                    .cloned()
                    .collect(),
            ),
        }
    }

    /// The difference that [`Datum::apply_diff`] turns `old` into `self` with: for a set the members
    /// of exactly one, for a map the pairs of exactly one, and for changed keys the new value.
    ///
    /// Columns that hold at most one member have no such form: their difference is the new value.
    #[must_use]
    pub fn diff_from(&self, old: &Datum, type_: &Type) -> Datum {
        if type_.max == 1 {
            self.clone()
        } else if type_.is_map() {
            let mut pairs = Vec::new();
            merge(old, self, |key, was, is| {
                let value = match (was, is) {
                    (Some(was), Some(is)) if was == is => None,
                    (_, Some(is)) => is,
                    (was, None) => was.flatten(),
                };
                if let Some(value) = value {
                    pairs.push((key.clone(), value.clone()));
                }
            });
            Datum::from_sorted_pairs(pairs)
        } else {
            old.symmetric_difference(self)
        }
    }

    fn symmetric_difference(&self, other: &Datum) -> Datum {
        let mut atoms = Vec::new();
        merge(self, other, |key, ours, theirs| {
            if ours.is_some() != theirs.is_some() {
                atoms.push(key.clone());
            }
        });
        Datum::from_sorted(atoms)
    }

    /// The value that `diff`, made by [`Datum::diff_from`], leads to.
    #[must_use]
    pub fn apply_diff(&self, diff: &Datum, type_: &Type) -> Datum {
        if type_.max == 1 {
            diff.clone()
        } else if type_.is_map() {
            let mut pairs = Vec::with_capacity(self.len());
            merge(self, diff, |key, was, change| {
                let value = match (was, change) {
                    (Some(was), Some(change)) if was == change => None,
                    (_, Some(change)) => change,
                    (was, None) => was.flatten(),
                };
                if let Some(value) = value {
                    pairs.push((key.clone(), value.clone()));
                }
            });
            Datum::from_sorted_pairs(pairs)
        } else {
            self.symmetric_difference(diff)
        }
    }

    /// The same datum with only the members that `keep` wants.
    #[must_use]
    pub fn filter(&self, mut keep: impl FnMut(&Atom, Option<&Atom>) -> bool) -> Datum {
        match &self.0 {
            Repr::Map(pairs) => Datum::from_sorted_pairs(
                pairs
                    .iter()
                    .filter(|(k, v)| keep(k, Some(v)))
                    .cloned()
                    .collect(),
            ),
            _ => Datum::from_sorted(self.keys().filter(|k| keep(k, None)).cloned().collect()),
        }
    }

    /// A set with each member changed; a map is returned as it is.
    ///
    /// # Errors
    /// `change`'s own, or `set contains duplicate` when two members become one.
    pub fn try_map_set(
        &self,
        change: impl FnMut(&Atom) -> Result<Atom, Error>,
    ) -> Result<Datum, Error> {
        match &self.0 {
            Repr::Map(_) => Ok(self.clone()),
            _ => Datum::set_strict(self.keys().map(change).collect::<Result<_, _>>()?),
        }
    }

    /// The same datum with each string passed through `share`, to keep one copy of equal ones.
    pub(crate) fn intern(&mut self, share: &mut impl FnMut(&mut Atom)) {
        match &mut self.0 {
            Repr::Empty => {}
            Repr::One(atom) => share(atom),
            Repr::Set(atoms) => {
                if let Some(atoms) = Arc::get_mut(atoms) {
                    atoms.iter_mut().for_each(share);
                }
            }
            Repr::Map(pairs) => {
                if let Some(pairs) = Arc::get_mut(pairs) {
                    for (key, value) in pairs {
                        share(key);
                        share(value);
                    }
                }
            }
        }
    }
}

/// Walks the keys of both in order, with each side's value: outer `None` = the key is not there.
fn merge<'a>(
    a: &'a Datum,
    b: &'a Datum,
    mut visit: impl FnMut(&'a Atom, Option<Option<&'a Atom>>, Option<Option<&'a Atom>>),
) {
    let (mut i, mut j) = (0, 0);
    loop {
        match (a.pair(i), b.pair(j)) {
            (None, None) => return,
            (Some((key, value)), None) => {
                visit(key, Some(value), None);
                i += 1;
            }
            (None, Some((key, value))) => {
                visit(key, None, Some(value));
                j += 1;
            }
            (Some((ka, va)), Some((kb, vb))) => match ka.cmp(kb) {
                Ordering::Less => {
                    visit(ka, Some(va), None);
                    i += 1;
                }
                Ordering::Greater => {
                    visit(kb, None, Some(vb));
                    j += 1;
                }
                Ordering::Equal => {
                    visit(ka, Some(va), Some(vb));
                    i += 1;
                    j += 1;
                }
            },
        }
    }
}

/// An iterator over members, or keys with their values.
#[derive(Clone)]
pub struct Pairs<'a> {
    datum: &'a Datum,
    at: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a Atom, Option<&'a Atom>);
    fn next(&mut self) -> Option<Self::Item> {
        let pair = self.datum.pair(self.at)?;
        self.at += 1;
        Some(pair)
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.datum.len() - self.at;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Pairs<'_> {}

impl<A: Into<Atom>> From<A> for Datum {
    fn from(atom: A) -> Datum {
        Datum(Repr::One(atom.into()))
    }
}
