use super::*;
use crate::{Uuid, json};
use proptest::prelude::*;

fn type_of(text: &str) -> Type {
    Type::from_json(&json::parse(text.as_bytes()).unwrap()).unwrap_or_else(|e| panic!("{e}"))
}

fn error_of(value: &str, type_: &str) -> String {
    let json: crate::Json = serde_json::from_str(value).unwrap();
    let type_ = Type::from_json(&serde_json::from_str(type_).unwrap()).unwrap();
    Datum::from_json(&json, &type_, None)
        .unwrap_err()
        .to_string()
}

#[test]
fn clients_see_the_standard_words() {
    for (value, type_, words) in [
        (
            "\"a\"",
            "\"integer\"",
            "syntax \"\"a\"\": syntax error: expected integer",
        ),
        (
            "0",
            r#"{"key":{"type":"integer","minInteger":1,"maxInteger":9}}"#,
            "constraint violation: 0 is not in the valid range 1 to 9 (inclusive)",
        ),
        (
            "0",
            r#"{"key":{"type":"integer","minInteger":1}}"#,
            "constraint violation: 0 is less than minimum allowed value 1",
        ),
        (
            "2.5",
            r#"{"key":{"type":"real","maxReal":2}}"#,
            "constraint violation: 2.5 is greater than maximum allowed value 2",
        ),
        (
            "\"abc\"",
            r#"{"key":{"type":"string","maxLength":2}}"#,
            "constraint violation: \"abc\" length 3 is greater than maximum allowed length 2",
        ),
        (
            "\"x\"",
            r#"{"key":{"type":"string","enum":["set",["a","b c"]]}}"#,
            "constraint violation: x is not one of the allowed values ([a, \"b c\"])",
        ),
        (
            r#"["set",[1,1]]"#,
            r#"{"key":"integer","min":0,"max":5}"#,
            "ovsdb error: set contains duplicate",
        ),
        (
            r#"["map",[[1,1],[1,2]]]"#,
            r#"{"key":"integer","value":"integer","min":0,"max":5}"#,
            "ovsdb error: map contains duplicate key",
        ),
        (
            r#"["set",[1,2]]"#,
            r#"{"key":"integer","min":0}"#,
            "syntax \"[\"set\",[1,2]]\": syntax error: set must have 0 to 1 members but 2 are present",
        ),
        (
            r#"["uuid","x"]"#,
            "\"uuid\"",
            "syntax \"[\"uuid\",\"x\"]\": syntax error: \"x\" is not a valid UUID",
        ),
        (
            "1",
            "\"uuid\"",
            "syntax \"1\": syntax error: expected [\"uuid\", <string>]",
        ),
    ] {
        assert_eq!(error_of(value, type_), words);
    }
}

#[test]
fn text_as_people_write_it() {
    let set = type_of(r#"{"key":"integer","min":0,"max":"unlimited"}"#);
    let map = type_of(r#"{"key":"string","value":"string","min":0,"max":"unlimited"}"#);
    let ok = |text: &str, type_: &Type| Datum::from_text(text, type_, None).unwrap().to_text(type_);
    let err = |text: &str, type_: &Type| Datum::from_text(text, type_, None).unwrap_err();
    assert_eq!(ok("[3, 1-2]", &set), "[1, 2, 3]");
    assert_eq!(ok("5", &set), "[5]");
    assert_eq!(ok("[]", &set), "[]");
    assert_eq!(ok("{b=2, a=\"x y\"}", &map), "{a=\"x y\", b=\"2\"}");
    assert_eq!(ok("a=b c=d", &map), "{a=b, c=d}");
    assert_eq!(err("", &map), "use \"{}\" to specify the empty map");
    assert_eq!(err("a", &map), "a: syntax error at \"\" expecting \"=\"");
    assert_eq!(err("[1", &set), "[1: missing \"]\" at end of data");
    assert_eq!(err("[1] 2", &set), "[1] 2: trailing garbage after \"]\"");
    assert_eq!(err("1,1", &set), "1,1: set contains duplicate value");
    assert_eq!(
        err("5-3", &set),
        "\"5-3\" is not a valid range. Range end cannot be before start."
    );
    assert_eq!(
        err("0-5000", &set),
        "constraint violation: Range \"0-5000\" is too big. Maximum allowed size is 4096."
    );
    assert_eq!(err("x", &set), "\"x\" is not a valid integer or range");
}

#[test]
fn symbols_stand_for_rows() {
    let refs = type_of(r#"{"key":{"type":"uuid","refTable":"T"},"min":0,"max":"unlimited"}"#);
    let mut symbols = Symbols::new();
    let datum = Datum::from_text("@a", &refs, Some(&mut symbols)).unwrap();
    let symbol = symbols.get("@a").unwrap();
    assert_eq!(datum.uuids().collect::<Vec<_>>(), [symbol.uuid]);
    assert!(symbol.strong_ref && !symbol.weak_ref && !symbol.created);
}

fn atoms(kind: AtomicType) -> BoxedStrategy<Atom> {
    match kind {
        AtomicType::Integer => any::<i64>().prop_map(Atom::from).boxed(),
        // Reals print with 15 digits, so only such survive the trip.
        AtomicType::Real => (-1_000_000i32..1_000_000)
            .prop_map(|i| Atom::from(f64::from(i) / 64.0))
            .boxed(),
        AtomicType::Boolean => any::<bool>().prop_map(Atom::from).boxed(),
        AtomicType::String => "[^\u{0}]{0,12}".prop_map(Atom::from).boxed(),
        AtomicType::Uuid => any::<[u8; 16]>()
            .prop_map(|b| Atom::from(Uuid::from_bytes(b)))
            .boxed(),
    }
}

fn kinds() -> impl Strategy<Value = AtomicType> {
    prop_oneof![
        Just(AtomicType::Integer),
        Just(AtomicType::Real),
        Just(AtomicType::Boolean),
        Just(AtomicType::String),
        Just(AtomicType::Uuid),
    ]
}

prop_compose! {
    fn sets()(kind in kinds())(datum in prop::collection::vec(atoms(kind), 0..6), kind in Just(kind)) -> (Type, Datum) {
        (Type::scalar(kind).any_number(), Datum::set(datum))
    }
}

prop_compose! {
    fn maps()(key in kinds(), value in kinds())
        (pairs in prop::collection::vec((atoms(key), atoms(value)), 0..6), key in Just(key), value in Just(value))
        -> (Type, Datum)
    {
        let type_ = Type { key: key.into(), value: Some(value.into()), min: 0, max: UNLIMITED };
        (type_, Datum::map(pairs))
    }
}

proptest! {
    #[test]
    fn json_and_text_round_trip((type_, datum) in prop_oneof![sets(), maps()]) {
        let json = datum.to_json(&type_);
        prop_assert_eq!(&Datum::from_json(&json, &type_, None).unwrap(), &datum);
        let mut written = String::new();
        datum.write_json(&type_, &mut written);
        prop_assert_eq!(&json::to_string(&json), &written);
        let parsed = json::parse(written.as_bytes());
        // A bare atom is not a JSON text of the protocol, but it parses all the same.
        prop_assert_eq!(&Datum::from_json(&parsed.unwrap(), &type_, None).unwrap(), &datum);
        let text = datum.to_text(&type_);
        prop_assert_eq!(&Datum::from_text(&text, &type_, None).unwrap(), &datum, "{}", text);
    }

    #[test]
    fn differences_lead_from_old_to_new(
        (a, b) in (prop::collection::vec(0i64..8, 0..6), prop::collection::vec(0i64..8, 0..6)),
        (c, d) in (prop::collection::vec((0i64..5, 0i64..3), 0..6), prop::collection::vec((0i64..5, 0i64..3), 0..6)),
    ) {
        let set = type_of(r#"{"key":"integer","min":0,"max":"unlimited"}"#);
        let map = type_of(r#"{"key":"integer","value":"integer","min":0,"max":"unlimited"}"#);
        for (type_, old, new) in [(set, Datum::set(a), Datum::set(b)), (map, Datum::map(c), Datum::map(d))] {
            let diff = new.diff_from(&old, &type_);
            prop_assert_eq!(old.apply_diff(&diff, &type_), new.clone());
            prop_assert_eq!(diff.is_empty(), old == new);
            prop_assert!(old.union(&new, false).includes_all(&old));
            prop_assert!(old.subtract(&new).excludes_all(&new));
        }
    }
}
