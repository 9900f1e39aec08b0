//! Values to JSON, as text directly (the hot way) or as a [`Json`].

use super::{Atom, AtomicType, Datum, Type};
use crate::Uuid;
use crate::json::{self, Json};
use std::fmt::Write as _;

impl Uuid {
    /// `["uuid", "..."]`.
    pub fn to_json(&self) -> Json {
        Json::from(vec![Json::from("uuid"), Json::from(self.to_string())])
    }

    /// Appends `["uuid","..."]`.
    pub fn write_json(&self, out: &mut String) {
        out.push_str("[\"uuid\",\"");
        self.write(out);
        out.push_str("\"]");
    }
}

impl Atom {
    /// The atom as JSON.
    pub fn to_json(&self) -> Json {
        match self {
            Atom::Integer(i) => Json::from(*i),
            Atom::Real(r) => Json::from(*r),
            Atom::Boolean(b) => Json::from(*b),
            Atom::String(s) => Json::from(&**s),
            Atom::Uuid(u) => u.to_json(),
        }
    }

    /// Appends the atom as JSON.
    pub fn write_json(&self, out: &mut String) {
        match self {
            Atom::Integer(i) => {
                let _ = write!(out, "{i}");
            }
            Atom::Real(r) => json::write_real(*r, out),
            Atom::Boolean(b) => out.push_str(if *b { "true" } else { "false" }),
            Atom::String(s) => json::write_str(s, out),
            Atom::Uuid(u) => u.write_json(out),
        }
    }
}

impl Datum {
    /// The datum as JSON: a single member stands without `["set", ...]`.
    pub fn to_json(&self, type_: &Type) -> Json {
        if type_.is_map() {
            let pairs: Vec<Json> = self
                .pairs()
                .map(|(k, v)| Json::from(vec![k.to_json(), v.map_or(Json::Null, Atom::to_json)]))
                .collect();
            return Json::from(vec![Json::from("map"), Json::from(pairs)]);
        }
        match (self.len(), self.first()) {
            (1, Some(atom)) => atom.to_json(),
            _ => {
                let atoms: Vec<Json> = self.keys().map(Atom::to_json).collect();
                Json::from(vec![Json::from("set"), Json::from(atoms)])
            }
        }
    }

    /// As [`Datum::to_json`], with references to rows as `["named-uuid", "row..."]`.
    pub fn to_json_with_row_names(&self, type_: &Type) -> Json {
        fn named(atom: &Atom, is_reference: bool) -> Json {
            match atom {
                Atom::Uuid(uuid) if is_reference => {
                    Json::from(vec![Json::from("named-uuid"), Json::from(uuid.row_name())])
                }
                atom => atom.to_json(),
            }
        }
        let refs =
            |base: &super::BaseType| base.kind == AtomicType::Uuid && base.reference.is_some();
        let key_refs = refs(&type_.key);
        let value_refs = type_.value.as_ref().is_some_and(refs);
        if type_.is_map() {
            let pairs: Vec<Json> = self
                .pairs()
                .map(|(k, v)| {
                    let value = v.map_or(Json::Null, |v| named(v, value_refs));
                    Json::from(vec![named(k, key_refs), value])
                })
                .collect();
            return Json::from(vec![Json::from("map"), Json::from(pairs)]);
        }
        match (self.len(), self.first()) {
            (1, Some(atom)) => named(atom, key_refs),
            _ => {
                let atoms: Vec<Json> = self.keys().map(|k| named(k, key_refs)).collect();
                Json::from(vec![Json::from("set"), Json::from(atoms)])
            }
        }
    }

    /// Appends the datum as JSON.
    pub fn write_json(&self, type_: &Type, out: &mut String) {
        if type_.is_map() {
            out.push_str("[\"map\",[");
            for (at, (key, value)) in self.pairs().enumerate() {
                out.push_str(if at > 0 { ",[" } else { "[" });
                key.write_json(out);
                out.push(',');
                match value {
                    Some(value) => value.write_json(out),
                    None => out.push_str("null"),
                }
                out.push(']');
            }
            out.push_str("]]");
            return;
        }
        match (self.len(), self.first()) {
            (1, Some(atom)) => atom.write_json(out),
            _ => {
                out.push_str("[\"set\",[");
                for (at, key) in self.keys().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    key.write_json(out);
                }
                out.push_str("]]");
            }
        }
    }
}
