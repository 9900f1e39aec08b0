//! Values from JSON (`<value>` of RFC 7047 §5.1).

use super::{Atom, AtomicType, BaseType, Datum, Symbols, Type};
use crate::json::{self, Json};
use crate::{Error, Uuid};
use std::sync::Arc;

/// `json` must be `[name, value]` with a value of the wanted kind.
fn unwrap<'a>(
    json: &'a Json,
    name: &str,
    kind: &str,
    accept: fn(&Json) -> bool,
) -> Result<&'a Json, Error> {
    match json.as_array().map(Vec::as_slice) {
        Some([tag, value]) if tag.as_str() == Some(name) && accept(value) => Ok(value),
        _ => Err(Error::syntax(
            json,
            format!("expected [\"{name}\", <{kind}>]"),
        )),
    }
}

impl Atom {
    /// Reads an atom and checks the constraints of its type. With `symbols`, `["named-uuid", id]`
    /// is a UUID too.
    ///
    /// # Errors
    /// A `"syntax error"` or a `"constraint violation"`.
    pub fn from_json(
        json: &Json,
        base: &BaseType,
        symbols: Option<&mut Symbols>,
    ) -> Result<Atom, Error> {
        let atom = match (base.kind, json) {
            (AtomicType::Integer, _) => json::integer(json).map(Atom::Integer),
            (AtomicType::Real, _) => json::real(json).map(Atom::from),
            (AtomicType::Boolean, Json::Bool(b)) => Some(Atom::Boolean(*b)),
            (AtomicType::String, Json::String(s)) => Some(Atom::String(Arc::from(s.as_str()))),
            (AtomicType::Uuid, _) => Some(Atom::Uuid(read_uuid(json, base, symbols)?)),
            _ => None,
        };
        let atom =
            atom.ok_or_else(|| Error::syntax(json, format!("expected {}", base.kind.name())))?;
        base.check(&atom)?;
        Ok(atom)
    }
}

fn read_uuid(json: &Json, base: &BaseType, symbols: Option<&mut Symbols>) -> Result<Uuid, Error> {
    let error = match unwrap(json, "uuid", "string", Json::is_string) {
        Ok(value) => {
            let text = value.as_str().unwrap_or_default();
            return Uuid::parse(text)
                .ok_or_else(|| Error::syntax(json, format!("\"{text}\" is not a valid UUID")));
        }
        Err(error) => error,
    };
    let Some(symbols) = symbols else {
        return Err(error);
    };
    let Ok(value) = unwrap(json, "named-uuid", "string", Json::is_string) else {
        return Err(error);
    };
    let name = value.as_str().unwrap_or_default();
    if !json::is_id(name) {
        return Err(Error::syntax(json, "named-uuid string is not a valid <id>"));
    }
    Ok(symbols.refer(name, base))
}

impl Datum {
    /// Reads a value of this type, sorts it, and checks number, duplicates and constraints. With
    /// `symbols`, `["named-uuid", id]` is a UUID too.
    ///
    /// # Errors
    /// A `"syntax error"`, a `"constraint violation"`, or `"ovsdb error"` for duplicates.
    pub fn from_json(
        json: &Json,
        type_: &Type,
        mut symbols: Option<&mut Symbols>,
    ) -> Result<Datum, Error> {
        let tagged_set = || {
            json.as_array()
                .and_then(|a| a.first())
                .and_then(Json::as_str)
                .is_some_and(|tag| tag == "set")
        };
        if let Some(value_type) = &type_.value {
            let items = members(json, "map", type_)?;
            let mut pairs = Vec::with_capacity(items.len());
            for item in items {
                let Some([key, value]) = item.as_array().map(Vec::as_slice) else {
                    return Err(Error::syntax(item, "expected 2-element array"));
                };
                let key = Atom::from_json(key, &type_.key, symbols.as_deref_mut())?;
                let value = Atom::from_json(value, value_type, symbols.as_deref_mut())?;
                pairs.push((key, value));
            }
            Datum::map_strict(pairs)
        } else if tagged_set() {
            let items = members(json, "set", type_)?;
            let atoms = items
                .iter()
                .map(|item| Atom::from_json(item, &type_.key, symbols.as_deref_mut()))
                .collect::<Result<_, _>>()?;
            Datum::set_strict(atoms)
        } else {
            Atom::from_json(json, &type_.key, symbols).map(Datum::from)
        }
    }
}

fn members<'a>(json: &'a Json, class: &str, type_: &Type) -> Result<&'a [Json], Error> {
    let inner = unwrap(json, class, "array", Json::is_array)?;
    let items = inner.as_array().map_or(&[][..], Vec::as_slice);
    let n = items.len();
    let count = u32::try_from(n).unwrap_or(u32::MAX);
    if count < type_.min || count > type_.max {
        return Err(Error::syntax(
            json,
            if type_.min == 1 && type_.max == 1 {
                format!("{class} must have exactly one member but {n} are present")
            } else {
                format!(
                    "{class} must have {} to {} members but {n} are present",
                    type_.min, type_.max
                )
            },
        ));
    }
    Ok(items)
}
