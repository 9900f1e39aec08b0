//! The engine against a model so simple that it is plainly right: rows in a list, every rule
//! checked by looking at everything.

use ovsdb::execute::{Context, Outcome, execute};
use ovsdb::{Database, Json, Schema, Uuid, json};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Parents refer to children strongly, to friends (children too) weakly; `key` is unique.
const SCHEMA: &str = r#"{"name":"d","tables":{
    "parent":{"isRoot":true,"indexes":[["key"]],"columns":{
        "key":{"type":"integer"},
        "children":{"type":{"key":{"type":"uuid","refTable":"child"},"min":0,"max":"unlimited"}},
        "friends":{"type":{"key":{"type":"uuid","refTable":"child","refType":"weak"},"min":0,"max":"unlimited"}}}},
    "child":{"columns":{"n":{"type":"integer"}}}}}"#;

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    /// Key, children, friends.
    parents: BTreeMap<u8, (i64, Vec<u8>, Vec<u8>)>,
    children: BTreeMap<u8, i64>,
}

#[derive(Clone, Debug)]
enum Op {
    InsertParent(u8, i64),
    InsertChild(u8, i64),
    DeleteParent(u8),
    SetKey(u8, i64),
    AddChild(u8, u8),
    RemoveChild(u8, u8),
    SetFriends(u8, Vec<u8>),
}

/// Row `n` of a table always has the same UUID, so that the model need not know real ones.
fn uuid(table: u8, n: u8) -> Uuid {
    let mut bytes = [0; 16];
    (bytes[0], bytes[15]) = (table, n + 1);
    Uuid::from_bytes(bytes)
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let id = 0u8..4;
    let op = prop_oneof![
        (id.clone(), 0i64..4).prop_map(|(a, k)| Op::InsertParent(a, k)),
        (id.clone(), 0i64..4).prop_map(|(a, n)| Op::InsertChild(a, n)),
        id.clone().prop_map(Op::DeleteParent),
        (id.clone(), 0i64..4).prop_map(|(a, k)| Op::SetKey(a, k)),
        (id.clone(), id.clone()).prop_map(|(a, c)| Op::AddChild(a, c)),
        (id.clone(), id.clone()).prop_map(|(a, c)| Op::RemoveChild(a, c)),
        (id.clone(), prop::collection::btree_set(id, 0..3))
            .prop_map(|(a, f)| Op::SetFriends(a, f.into_iter().collect())),
    ];
    prop::collection::vec(op, 1..5)
}

impl Model {
    /// The state after the operations, or none if they break a rule.
    fn after(&self, ops: &[Op]) -> Option<Model> {
        let mut m = self.clone();
        let (mut gone, mut made) = (Vec::new(), Vec::new());
        for op in ops {
            match op {
                Op::InsertParent(a, k) => {
                    if m.parents.contains_key(a) || gone.contains(a) {
                        return None;
                    }
                    made.push(*a);
                    m.parents.insert(*a, (*k, vec![], vec![]));
                }
                Op::InsertChild(a, n) => {
                    if m.children.insert(*a, *n).is_some() {
                        return None;
                    }
                }
                Op::DeleteParent(a) => {
                    // A row that this transaction made leaves no trace.
                    if m.parents.remove(a).is_some() && !made.contains(a) {
                        gone.push(*a);
                    }
                }
                Op::SetKey(a, k) => {
                    if let Some(p) = m.parents.get_mut(a) {
                        p.0 = *k;
                    }
                }
                Op::AddChild(a, c) => {
                    if let Some(p) = m.parents.get_mut(a)
                        && !p.1.contains(c)
                    {
                        p.1.push(*c);
                        p.1.sort_unstable();
                    }
                }
                Op::RemoveChild(a, c) => {
                    if let Some(p) = m.parents.get_mut(a) {
                        p.1.retain(|x| x != c);
                    }
                }
                Op::SetFriends(a, f) => {
                    if let Some(p) = m.parents.get_mut(a) {
                        p.2.clone_from(f);
                    }
                }
            }
        }
        // References lead to rows; what nobody refers to goes; friends that are gone are forgotten.
        let known = |c: &u8| m.children.contains_key(c);
        if !m.parents.values().all(|p| p.1.iter().all(known)) {
            return None;
        }
        let parents = &m.parents;
        m.children
            .retain(|c, _| parents.values().any(|p| p.1.contains(c)));
        for p in m.parents.values_mut() {
            p.2.retain(|c| m.children.contains_key(c));
        }
        let mut keys: Vec<i64> = m.parents.values().map(|p| p.0).collect();
        let n = keys.len();
        keys.sort_unstable();
        keys.dedup();
        (keys.len() == n).then_some(m)
    }
}

fn request(ops: &[Op]) -> Json {
    let parent = |a: u8| serde_json::json!([["_uuid", "==", uuid(1, a).to_json()]]);
    let child = |c: u8| uuid(2, c).to_json();
    let mut params = vec![Json::from("d")];
    for op in ops {
        params.push(match op {
            Op::InsertParent(a, k) => serde_json::json!({
                "op": "insert", "table": "parent", "uuid": uuid(1, *a).to_string(), "row": {"key": k}}),
            Op::InsertChild(a, n) => serde_json::json!({
                "op": "insert", "table": "child", "uuid": uuid(2, *a).to_string(), "row": {"n": n}}),
            Op::DeleteParent(a) => serde_json::json!({"op": "delete", "table": "parent", "where": parent(*a)}),
            Op::SetKey(a, k) => serde_json::json!({
                "op": "update", "table": "parent", "where": parent(*a), "row": {"key": k}}),
            Op::AddChild(a, c) => serde_json::json!({
                "op": "mutate", "table": "parent", "where": parent(*a),
                "mutations": [["children", "insert", child(*c)]]}),
            Op::RemoveChild(a, c) => serde_json::json!({
                "op": "mutate", "table": "parent", "where": parent(*a),
                "mutations": [["children", "delete", child(*c)]]}),
            Op::SetFriends(a, f) => {
                let friends: Vec<Json> = f.iter().map(|c| child(*c)).collect();
                serde_json::json!({
                    "op": "update", "table": "parent", "where": parent(*a),
                    "row": {"friends": ["set", friends]}})
            }
        });
    }
    Json::from(params)
}

fn seen(db: &Database) -> Model {
    let id = |u: Uuid| u.bytes()[15] - 1;
    let mut m = Model::default();
    let schema = db.schema().table("parent").unwrap();
    for row in db.table("parent").unwrap().rows() {
        let field = |name: &str| &row.columns[schema.column_index(name).unwrap()];
        let ids = |name: &str| field(name).uuids().map(id).collect::<Vec<_>>();
        let key = field("key").first().unwrap().as_integer().unwrap();
        m.parents
            .insert(id(row.uuid), (key, ids("children"), ids("friends")));
    }
    for row in db.table("child").unwrap().rows() {
        m.children.insert(
            id(row.uuid),
            row.columns[0].first().unwrap().as_integer().unwrap(),
        );
    }
    m
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn random_transactions_end_as_the_model_says(transactions in prop::collection::vec(ops(), 1..12)) {
        let mut db = Database::new(Arc::new(Schema::from_text(SCHEMA).unwrap()));
        let mut model = Model::default();
        for ops in transactions {
            let expected = model.after(&ops);
            let request = request(&ops);
            let Outcome::Ran { results, transaction, .. } = execute(&db, &request, &Context::plain()) else {
                panic!("refused: {}", json::to_string(&request));
            };
            let prepared = transaction.map(|t| t.prepare());
            match (expected, prepared) {
                (Some(expected), Some(Ok(prepared))) => {
                    db.apply(prepared);
                    model = expected;
                }
                (None, Some(Err(_)) | None) => {}
                (expected, got) => prop_assert!(
                    false,
                    "model {:?}, engine {:?} {:?}, from {:?} by {:?}",
                    expected, got.map(|r| r.err()), results, model, ops
                ),
            }
            prop_assert_eq!(&seen(&db), &model);
        }
    }
}
