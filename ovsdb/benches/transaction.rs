//! A transaction that inserts one row into a database in memory, from parsed request to commit,
//! by how many rows there are already.

use clock::Clock;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ovsdb::execute::{Context, Outcome, execute};
use ovsdb::{Database, Json, Schema, json};
use std::sync::Arc;
use std::time::Duration;

const SCHEMA: &str = r#"{"name":"d","tables":{"t":{"isRoot":true,"indexes":[["name"]],"columns":{
    "name":{"type":"string"},
    "n":{"type":"integer"},
    "options":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}}}}}}"#;

fn request(text: &str) -> Json {
    json::parse(text.as_bytes()).expect("JSON")
}

/// Row `n` has a UUID of its own making, so that it is deleted without a search.
fn uuid(n: u64) -> String {
    format!("11111111-1111-4111-8111-{n:012x}")
}

fn insert(n: u64) -> Json {
    let uuid = uuid(n);
    request(&format!(
        r#"["d",{{"op":"insert","table":"t","uuid":"{uuid}","row":{{"name":"row{n}","n":{n},
            "options":["map",[["a","b"],["c","d"]]]}}}}]"#
    ))
}

fn delete(n: u64) -> Json {
    let uuid = uuid(n);
    request(&format!(
        r#"["d",{{"op":"delete","table":"t","where":[["_uuid","==",["uuid","{uuid}"]]]}}]"#
    ))
}

fn run(db: &mut Database, request: &Json) {
    let Outcome::Ran {
        transaction: Some(transaction),
        ..
    } = execute(db, request, &Context::plain())
    else {
        panic!("refused");
    };
    let Ok(prepared) = transaction.prepare() else {
        panic!("broke a rule");
    };
    db.apply(prepared);
}

fn benches(c: &mut Criterion) {
    let clock = Clock::real();
    let mut group = c.benchmark_group("insert one row");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(3));
    for rows in [0, 1_000, 100_000] {
        let schema = Schema::from_text(SCHEMA).expect("a schema");
        let mut db = Database::new(Arc::new(schema));
        for n in 0..rows {
            run(&mut db, &insert(n));
        }
        let one = insert(rows);
        let back = delete(rows);
        group.bench_function(BenchmarkId::from_parameter(rows), |b| {
            b.iter_custom(|times| {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    let start = clock.now();
                    run(&mut db, &one);
                    spent += clock.now() - start;
                    // Not measured: the database is as large each time.
                    run(&mut db, &back);
                }
                spent
            });
        });
    }
    group.finish();
}

criterion_group!(transactions, benches);
criterion_main!(transactions);
