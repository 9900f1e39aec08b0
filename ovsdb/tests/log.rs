//! The file: what is read back wherever it was cut, and that it is not touched by reading.

use ovsdb::execute::{Context, Outcome, execute};
use ovsdb::log::Log;
use ovsdb::{Database, Schema, file, json, record};
use std::sync::Arc;

const SCHEMA: &str = r#"{"name":"d","version":"1.0.0","tables":{"t":{"isRoot":true,"columns":{
    "n":{"type":"integer"},
    "s":{"type":{"key":"string","min":0,"max":"unlimited"}},
    "m":{"type":{"key":"string","value":"integer","min":0,"max":"unlimited"}},
    "e":{"type":"integer","ephemeral":true}}}}}"#;

fn change(db: &mut Database, log: &mut Log, operations: &str) {
    let request = json::parse(format!("[\"d\",{operations}]").as_bytes()).unwrap();
    let Outcome::Ran {
        results,
        transaction,
        ..
    } = execute(db, &request, &Context::plain())
    else {
        panic!("{operations}");
    };
    let prepared = transaction
        .unwrap_or_else(|| panic!("{results:?}"))
        .prepare()
        .unwrap();
    if let Some(text) = record::encode(db.schema(), &prepared.commit, 1) {
        log.append(&text).unwrap();
    }
    db.apply(prepared);
}

/// What is kept of a database, in an order of its own.
fn contents(db: &Database) -> Vec<String> {
    let (schema, table) = db.table_at(0).unwrap();
    let kept = |row: &ovsdb::Row| {
        let fields = row.fields(schema).filter(|(c, _)| c.persistent);
        let texts: Vec<String> = fields.map(|(c, d)| d.to_text(&c.type_)).collect();
        format!("{} {}", row.uuid, texts.join(" "))
    };
    table.rows().map(|row| kept(row)).collect()
}

#[test]
fn every_cut_is_read_up_to_the_last_whole_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let schema = Schema::from_text(SCHEMA).unwrap();
    let mut log = Log::create(&path, &[json::to_string(&schema.to_json())]).unwrap();
    let mut db = Database::new(Arc::new(schema));
    // The size after each record, and what the database held then.
    let mut states = vec![(log.size(), contents(&db))];
    for operations in [
        r#"{"op":"insert","table":"t","row":{"n":1,"s":["set",["a","b"]],"m":["map",[["x",1],["y",2]]]}}"#,
        r#"{"op":"update","table":"t","where":[["n","==",1]],"row":{"s":"b","m":["map",[["y",3],["z",4]]]}}"#,
        r#"{"op":"insert","table":"t","row":{"n":2}},{"op":"comment","comment":"two"}"#,
        r#"{"op":"delete","table":"t","where":[["n","==",1]]}"#,
    ] {
        change(&mut db, &mut log, operations);
        states.push((log.size(), contents(&db)));
    }
    // An ephemeral change is not a record.
    let before = log.size();
    change(
        &mut db,
        &mut log,
        r#"{"op":"update","table":"t","where":[],"row":{"e":5}}"#,
    );
    assert_eq!(log.size(), before);
    drop(log);

    let whole = std::fs::read(&path).unwrap();
    let first = usize::try_from(states[0].0).unwrap();
    for cut in first..=whole.len() {
        let cut_path = dir.path().join("cut");
        std::fs::write(&cut_path, &whole[..cut]).unwrap();
        let loaded = file::load(&cut_path).unwrap();
        let (size, expected) = states
            .iter()
            .rfind(|(size, _)| *size <= cut as u64)
            .unwrap();
        assert_eq!(&contents(&loaded.database), expected, "cut at {cut}");
        assert_eq!(loaded.log.size(), *size);
        let at_boundary = *size == cut as u64;
        assert_eq!(loaded.tail_error.is_none(), at_boundary, "cut at {cut}");
        if let Some(error) = &loaded.tail_error {
            assert!(error.to_string().contains("offset"), "{error}");
        }
        drop(loaded);
        assert_eq!(
            std::fs::read(&cut_path).unwrap(),
            &whole[..cut],
            "reading wrote"
        );
    }
}

#[test]
fn a_flipped_bit_is_noticed_and_overwritten_by_the_next_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let schema = Schema::from_text(SCHEMA).unwrap();
    let mut log = Log::create(&path, &[json::to_string(&schema.to_json())]).unwrap();
    let mut db = Database::new(Arc::new(schema));
    change(
        &mut db,
        &mut log,
        r#"{"op":"insert","table":"t","row":{"n":1}}"#,
    );
    let good = log.size();
    change(
        &mut db,
        &mut log,
        r#"{"op":"insert","table":"t","row":{"n":2}}"#,
    );
    drop(log);
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 5;
    bytes[last] ^= 1;
    std::fs::write(&path, &bytes).unwrap();

    let loaded = file::load(&path).unwrap();
    let error = loaded.tail_error.unwrap().to_string();
    assert!(
        error.contains("have SHA-1 hash") && error.contains("but should have hash"),
        "{error}"
    );
    let (mut db, mut log) = (loaded.database, loaded.log);
    assert_eq!((contents(&db).len(), log.size()), (1, good));
    change(
        &mut db,
        &mut log,
        r#"{"op":"insert","table":"t","row":{"n":3}}"#,
    );
    drop(log);
    let loaded = file::load(&path).unwrap();
    assert!(loaded.tail_error.is_none());
    assert_eq!(contents(&loaded.database), contents(&db));
}

#[test]
fn a_file_has_one_writer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let schema = Schema::from_text(SCHEMA).unwrap();
    let log = Log::create(&path, &[json::to_string(&schema.to_json())]).unwrap();
    let error = file::load(&path).err().unwrap().to_string();
    assert!(error.contains("failed to lock lockfile"), "{error}");
    drop(log);
    assert!(file::load(&path).is_ok());
}
