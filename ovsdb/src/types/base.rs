//! What a type says: the kind of atom, its constraints, and how many.

use super::{Atom, AtomicType, Datum};
use crate::json::{self, Json, Members, accept};
use crate::{Error, Uuid};

/// A `max` of `"unlimited"`.
pub const UNLIMITED: u32 = u32::MAX;

/// Whether a reference keeps its row alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceKind {
    /// The row must exist, and stays while it is referred to.
    Strong,
    /// The reference vanishes with the row.
    Weak,
}

/// A column's promise that its UUIDs are rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The name of the table.
    pub table: String,
    /// Strong or weak.
    pub kind: ReferenceKind,
}

/// The type of an atom: `<base-type>` of RFC 7047 §3.2.
#[derive(Clone, Debug, PartialEq)]
pub struct BaseType {
    /// Its kind.
    pub kind: AtomicType,
    /// The only values allowed, if they are listed.
    pub choices: Option<Box<Datum>>,
    /// Least integer.
    pub min_integer: i64,
    /// Greatest integer.
    pub max_integer: i64,
    /// Least real.
    pub min_real: f64,
    /// Greatest real.
    pub max_real: f64,
    /// Least length of a string, in characters.
    pub min_length: u32,
    /// Greatest length of a string, in characters.
    pub max_length: u32,
    /// The table that a UUID refers to.
    pub reference: Option<Reference>,
}

impl From<AtomicType> for BaseType {
    fn from(kind: AtomicType) -> BaseType {
        BaseType {
            kind,
            choices: None,
            min_integer: i64::MIN,
            max_integer: i64::MAX,
            min_real: f64::MIN,
            max_real: f64::MAX,
            min_length: 0,
            max_length: u32::MAX,
            reference: None,
        }
    }
}

impl BaseType {
    fn has_constraints(&self) -> bool {
        *self != BaseType::from(self.kind)
    }

    /// Whether it refers to rows strongly.
    pub fn is_strong_ref(&self) -> bool {
        self.reference
            .as_ref()
            .is_some_and(|r| r.kind == ReferenceKind::Strong)
    }

    /// Whether it refers to rows weakly.
    pub fn is_weak_ref(&self) -> bool {
        self.reference
            .as_ref()
            .is_some_and(|r| r.kind == ReferenceKind::Weak)
    }

    /// The type of its list of choices.
    fn choices_type(&self) -> Type {
        Type {
            key: BaseType::from(self.kind),
            value: None,
            min: 1,
            max: UNLIMITED,
        }
    }

    /// Reads `<base-type>`.
    ///
    /// # Errors
    /// A `"syntax error"` that shows the culprit.
    pub fn from_json(json: &Json) -> Result<BaseType, Error> {
        if json.is_string() {
            return Ok(BaseType::from(atomic_type(json)?));
        }
        let mut members = Members::new(json, "ovsdb type");
        let Some(kind) = members.required("type", accept::string) else {
            members.finish()?;
            return Err(Error::syntax(json, "atomic-type expected"));
        };
        let mut base = BaseType::from(atomic_type(kind)?);
        if let Some(choices) = members.optional("enum", accept::any) {
            base.choices = Some(Box::new(Datum::from_json(
                choices,
                &base.choices_type(),
                None,
            )?));
        } else {
            base.read_constraints(json, &mut members)?;
        }
        members.finish()?;
        Ok(base)
    }

    fn read_constraints<'a>(
        &mut self,
        json: &'a Json,
        members: &mut Members<'a>,
    ) -> Result<(), Error> {
        match self.kind {
            AtomicType::Integer => {
                if let Some(min) = members
                    .optional("minInteger", accept::int)
                    .and_then(json::integer)
                {
                    self.min_integer = min;
                }
                if let Some(max) = members
                    .optional("maxInteger", accept::int)
                    .and_then(json::integer)
                {
                    self.max_integer = max;
                }
                if self.min_integer > self.max_integer {
                    return Err(Error::syntax(json, "minInteger exceeds maxInteger"));
                }
            }
            AtomicType::Real => {
                if let Some(min) = members
                    .optional("minReal", accept::number)
                    .and_then(json::real)
                {
                    self.min_real = min;
                }
                if let Some(max) = members
                    .optional("maxReal", accept::number)
                    .and_then(json::real)
                {
                    self.max_real = max;
                }
                if self.min_real > self.max_real {
                    return Err(Error::syntax(json, "minReal exceeds maxReal"));
                }
            }
            AtomicType::Boolean => {}
            AtomicType::String => {
                read_length(members, "minLength", &mut self.min_length)?;
                read_length(members, "maxLength", &mut self.max_length)?;
                if self.min_length > self.max_length {
                    return Err(Error::syntax(json, "minLength exceeds maxLength"));
                }
            }
            AtomicType::Uuid => {
                let Some(table) = members
                    .optional("refTable", accept::id)
                    .and_then(Json::as_str)
                else {
                    return Ok(());
                };
                let kind = match members
                    .optional("refType", accept::id)
                    .and_then(Json::as_str)
                {
                    None | Some("strong") => ReferenceKind::Strong,
                    Some("weak") => ReferenceKind::Weak,
                    Some(other) => {
                        return Err(Error::syntax(
                            json,
                            format!("refType must be \"strong\" or \"weak\" (not \"{other}\")"),
                        ));
                    }
                };
                self.reference = Some(Reference {
                    table: table.to_owned(),
                    kind,
                });
            }
        }
        Ok(())
    }

    /// Writes `<base-type>`: the bare word where there are no constraints.
    pub fn to_json(&self) -> Json {
        if !self.has_constraints() {
            return Json::from(self.kind.name());
        }
        let mut object = json::Object::new();
        let mut put = |name: &str, value: Json| {
            object.insert(name.to_owned(), value);
        };
        put("type", Json::from(self.kind.name()));
        if let Some(choices) = &self.choices {
            put("enum", choices.to_json(&self.choices_type()));
        }
        if self.min_integer != i64::MIN {
            put("minInteger", Json::from(self.min_integer));
        }
        if self.max_integer != i64::MAX {
            put("maxInteger", Json::from(self.max_integer));
        }
        if self.min_real != f64::MIN {
            put("minReal", Json::from(self.min_real));
        }
        if self.max_real != f64::MAX {
            put("maxReal", Json::from(self.max_real));
        }
        if self.min_length != 0 {
            put("minLength", Json::from(self.min_length));
        }
        if self.max_length != u32::MAX {
            put("maxLength", Json::from(self.max_length));
        }
        if let Some(reference) = &self.reference {
            put("refTable", Json::from(reference.table.as_str()));
            if reference.kind == ReferenceKind::Weak {
                put("refType", Json::from("weak"));
            }
        }
        Json::Object(object)
    }

    /// Whether `atom` satisfies the constraints. References are checked when a transaction ends.
    ///
    /// # Errors
    /// A `"constraint violation"`.
    pub fn check(&self, atom: &Atom) -> Result<(), Error> {
        if let Some(choices) = &self.choices
            && !choices.contains(atom)
        {
            return Err(Error::constraint(format!(
                "{} is not one of the allowed values ({})",
                atom.to_text(),
                choices.to_text(&self.choices_type())
            )));
        }
        match atom {
            Atom::Integer(value) => check_range(
                value,
                (&self.min_integer, self.min_integer != i64::MIN),
                (&self.max_integer, self.max_integer != i64::MAX),
                |v| v.to_string(),
            ),
            Atom::Real(value) => check_range(
                value,
                (&self.min_real, self.min_real != f64::MIN),
                (&self.max_real, self.max_real != f64::MAX),
                |v| json::format_real(*v),
            ),
            Atom::String(text) if self.min_length > 0 || self.max_length != u32::MAX => {
                self.check_length(text)
            }
            _ => Ok(()),
        }
    }

    fn check_length(&self, text: &str) -> Result<(), Error> {
        let n = text.chars().count();
        let too = |word: &str, limit: u32| {
            Err(Error::constraint(format!(
                "\"{text}\" length {n} is {word} allowed length {limit}"
            )))
        };
        if u64::try_from(n).unwrap_or(u64::MAX) < u64::from(self.min_length) {
            too("less than minimum", self.min_length)
        } else if u64::try_from(n).unwrap_or(u64::MAX) > u64::from(self.max_length) {
            too("greater than maximum", self.max_length)
        } else {
            Ok(())
        }
    }
}

/// Each bound comes with whether the schema states it.
fn check_range<T: PartialOrd>(
    value: &T,
    (min, has_min): (&T, bool),
    (max, has_max): (&T, bool),
    show: impl Fn(&T) -> String,
) -> Result<(), Error> {
    if value >= min && value <= max {
        return Ok(());
    }
    let value = show(value);
    Err(Error::constraint(match (has_min, has_max) {
        (true, true) => format!(
            "{value} is not in the valid range {} to {} (inclusive)",
            show(min),
            show(max)
        ),
        (true, false) => format!("{value} is less than minimum allowed value {}", show(min)),
        _ => format!(
            "{value} is greater than maximum allowed value {}",
            show(max)
        ),
    }))
}

fn atomic_type(json: &Json) -> Result<AtomicType, Error> {
    match json.as_str() {
        Some(name) => AtomicType::from_name(name)
            .ok_or_else(|| Error::syntax(json, format!("\"{name}\" is not an atomic-type"))),
        None => Err(Error::syntax(json, "atomic-type expected")),
    }
}

fn read_length(members: &mut Members<'_>, name: &str, into: &mut u32) -> Result<(), Error> {
    if let Some(json) = members.optional(name, accept::int) {
        *into = json::integer(json)
            .and_then(|i| u32::try_from(i).ok())
            .ok_or_else(|| {
                Error::syntax(json, format!("{name} out of valid range 0 to {}", u32::MAX))
            })?;
    }
    Ok(())
}

/// The type of a column: `<type>` of RFC 7047 §3.2.
#[derive(Clone, Debug, PartialEq)]
pub struct Type {
    /// The members of a set or the keys of a map.
    pub key: BaseType,
    /// The values of a map.
    pub value: Option<BaseType>,
    /// Fewest members: 0 or 1.
    pub min: u32,
    /// Most members: at least 1, or [`UNLIMITED`].
    pub max: u32,
}

impl Type {
    /// Exactly one atom of this type.
    pub fn scalar(base: impl Into<BaseType>) -> Type {
        Type {
            key: base.into(),
            value: None,
            min: 1,
            max: 1,
        }
    }

    /// The type of the `_uuid` and `_version` columns.
    pub fn uuid() -> Type {
        Type::scalar(AtomicType::Uuid)
    }

    /// Whether it is exactly one atom.
    pub fn is_scalar(&self) -> bool {
        self.value.is_none() && self.min == 1 && self.max == 1
    }

    /// Whether it is at most one atom.
    pub fn is_optional(&self) -> bool {
        self.value.is_none() && self.min == 0 && self.max == 1
    }

    /// Whether it is a map.
    pub fn is_map(&self) -> bool {
        self.value.is_some()
    }

    /// Whether it holds, or maps to, references.
    pub fn has_references(&self) -> bool {
        self.key.reference.is_some() || self.value.as_ref().is_some_and(|v| v.reference.is_some())
    }

    /// The same type with any number of members: for conditions and mutations.
    pub fn any_number(&self) -> Type {
        Type {
            min: 0,
            max: UNLIMITED,
            ..self.clone()
        }
    }

    /// The same kinds without constraints, with any number of members.
    pub fn unconstrained(&self) -> Type {
        Type {
            key: BaseType::from(self.key.kind),
            value: self.value.as_ref().map(|v| BaseType::from(v.kind)),
            min: 0,
            max: UNLIMITED,
        }
    }

    /// What a new row holds: nothing where that is allowed, else one default atom or pair.
    pub fn default_datum(&self) -> Datum {
        if self.min == 0 {
            Datum::default()
        } else if let Some(value) = &self.value {
            Datum::map([(self.key.kind.default_atom(), value.kind.default_atom())])
        } else {
            Datum::from(self.key.kind.default_atom())
        }
    }

    /// Words for error messages: `string`, `set of up to 3 integers`, `map of (string, string) pairs`.
    pub fn to_english(&self) -> String {
        let key = self.key.kind.name();
        if self.is_scalar() {
            return key.to_owned();
        }
        let mut text = String::from(if self.value.is_none() { "set" } else { "map" });
        match (self.min, self.max) {
            (0, UNLIMITED) => text.push_str(" of"),
            (min, UNLIMITED) => text.push_str(&format!(" of {min} or more")),
            (0, max) => text.push_str(&format!(" of up to {max}")),
            (min, max) => text.push_str(&format!(" of {min} to {max}")),
        }
        match &self.value {
            None => text.push_str(&format!(" {key}s")),
            Some(value) => text.push_str(&format!(" ({key}, {}) pairs", value.kind.name())),
        }
        text
    }

    /// Reads `<type>`.
    ///
    /// # Errors
    /// A `"syntax error"` that shows the culprit.
    pub fn from_json(json: &Json) -> Result<Type, Error> {
        if json.is_string() {
            return Ok(Type::scalar(BaseType::from_json(json)?));
        }
        if !json.is_object() {
            return Err(Error::syntax(json, "ovsdb type expected"));
        }
        let mut members = Members::new(json, "ovsdb type");
        let key = members.required("key", accept::string_or_object);
        let value = members.optional("value", accept::string_or_object);
        let min = members.optional("min", accept::int);
        let max = members.optional("max", accept::int_or_string);
        members.finish()?;
        let type_ = Type {
            key: BaseType::from_json(key.unwrap_or(&Json::Null))?,
            value: value.map(BaseType::from_json).transpose()?,
            min: min.map_or(Ok(1), read_count)?,
            max: match max {
                Some(Json::String(s)) if s == "unlimited" => UNLIMITED,
                max => max.map_or(Ok(1), read_count)?,
            },
        };
        if type_.min > 1 || type_.max < 1 {
            return Err(Error::syntax(json, "ovsdb type fails constraint checks"));
        }
        Ok(type_)
    }

    /// Writes `<type>`: the bare word where it is a scalar without constraints.
    pub fn to_json(&self) -> Json {
        if self.is_scalar() && !self.key.has_constraints() {
            return self.key.to_json();
        }
        let mut object = json::Object::new();
        object.insert("key".into(), self.key.to_json());
        if let Some(value) = &self.value {
            object.insert("value".into(), value.to_json());
        }
        if self.min != 1 {
            object.insert("min".into(), Json::from(self.min));
        }
        if self.max == UNLIMITED {
            object.insert("max".into(), Json::from("unlimited"));
        } else if self.max != 1 {
            object.insert("max".into(), Json::from(self.max));
        }
        Json::Object(object)
    }

    /// Checks each atom of `datum`.
    ///
    /// # Errors
    /// A `"constraint violation"`.
    pub fn check(&self, datum: &Datum) -> Result<(), Error> {
        for (key, value) in datum.pairs() {
            self.key.check(key)?;
            if let (Some(base), Some(value)) = (&self.value, value) {
                base.check(value)?;
            }
        }
        Ok(())
    }

    /// The UUIDs in `datum` that refer to rows, each with the reference that its side declares.
    pub fn references<'a>(
        &'a self,
        datum: &'a Datum,
    ) -> impl Iterator<Item = (Uuid, &'a Reference)> {
        datum.pairs().flat_map(move |(key, value)| {
            let key = self
                .key
                .reference
                .as_ref()
                .and_then(|r| Some((key.as_uuid()?, r)));
            let value = self
                .value
                .as_ref()
                .and_then(|b| b.reference.as_ref())
                .and_then(|r| Some((value?.as_uuid()?, r)));
            key.into_iter().chain(value)
        })
    }
}

fn read_count(json: &Json) -> Result<u32, Error> {
    json::integer(json)
        .and_then(|i| u32::try_from(i).ok())
        .filter(|&n| n != u32::MAX)
        .ok_or_else(|| Error::syntax(json, "bad min or max value"))
}
