//! The replica against the server, in one process.

use clock::Clock;
use ovsdb::log::Log;
use ovsdb::replica::{Options, Outcome, Replica};
use ovsdb::server::Server;
use ovsdb::{Datum, Schema, json, schema};

fn new_db(dir: &std::path::Path) -> std::path::PathBuf {
    let path = dir.join("conf.db");
    let schema = Schema::from_text(schema::OPEN_VSWITCH).unwrap();
    Log::create(&path, &[json::to_string(&schema.to_json())]).unwrap();
    path
}

fn run(test: impl AsyncFnOnce(Server)) {
    let dir = tempfile::tempdir().unwrap();
    let path = new_db(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = Server::new(Clock::real()).unwrap();
        server.open_db(&path).unwrap();
        tokio::select! {
            () = server.run() => {}
            () = test(server.clone()) => {}
        }
    });
}

async fn replica(server: &Server) -> Replica {
    let mut replica =
        Replica::start(Clock::real(), Options::embedded(server, "Open_vSwitch")).unwrap();
    replica.synced().await;
    replica
}

#[test]
fn changes_arrive_and_preconditions_hold() {
    run(async |server| {
        let mut a = replica(&server).await;
        let mut b = replica(&server).await;

        let mut txn = a.txn();
        let root = txn.insert("Open_vSwitch");
        let bridge = txn.insert("Bridge");
        txn.set("Bridge", bridge, "name", "br0");
        txn.set("Open_vSwitch", root, "bridges", Datum::set([bridge]));
        txn.set(
            "Open_vSwitch",
            root,
            "external_ids",
            Datum::map([("a", "b")]),
        );
        txn.durable();
        let Outcome::Committed(committed) = txn.commit().await else {
            panic!("not committed");
        };
        let (root, bridge) = (committed.inserted[&root], committed.inserted[&bridge]);

        let view = a.view();
        let row = view.row("Open_vSwitch", root).unwrap();
        assert_eq!(row.refs("bridges"), [bridge]);
        assert_eq!(row.map_get("external_ids", "a"), Some("b"));
        while b.view().len("Bridge") == 0 {
            b.changed().await;
        }
        assert_eq!(
            b.view().row("Bridge", bridge).unwrap().string("name"),
            "br0"
        );

        let before = b.view();
        let mut txn = b.txn();
        txn.increment("Open_vSwitch", root, "next_cfg");
        txn.increment("Open_vSwitch", root, "next_cfg");
        let Outcome::Committed(committed) = txn.commit().await else {
            panic!("not committed");
        };
        assert_eq!(committed.increments, [1, 2]);
        assert_eq!(b.view().changed_since(&before, "Open_vSwitch"), [root]);
        assert!(b.view().changed_since(&before, "Bridge").is_empty());

        // A verified column that changes before the commit fails it.
        let mut txn = b.txn();
        txn.verify("Open_vSwitch", root, "next_cfg");
        txn.set("Open_vSwitch", root, "cur_cfg", 1);
        let mut other = a.txn();
        other.increment("Open_vSwitch", root, "next_cfg");
        assert!(matches!(other.commit().await, Outcome::Committed(_)));
        assert!(matches!(txn.commit().await, Outcome::TryAgain));

        // A column that the server refuses is an error in its words.
        let mut txn = b.txn();
        txn.set("Bridge", bridge, "fail_mode", "x");
        match txn.commit().await {
            Outcome::Error(why) => {
                assert!(why.contains("is not one of the allowed values"), "{why}")
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(b.txn().commit().await, Outcome::Unchanged));

        // An unreferenced bridge goes.
        let mut txn = a.txn();
        txn.delete_from("Open_vSwitch", root, "bridges", Datum::set([bridge]));
        assert!(matches!(txn.commit().await, Outcome::Committed(_)));
        assert_eq!(a.view().len("Bridge"), 0);
        a.synced().await;
    });
}

#[test]
fn one_of_two_has_the_lock() {
    run(async |server| {
        let options = || Options {
            lock: Some("switch".to_owned()),
            ..Options::embedded(&server, "Open_vSwitch")
        };
        let mut a = Replica::start(Clock::real(), options()).unwrap();
        a.synced().await;
        while !a.has_lock() {
            a.changed().await;
        }
        let mut b = Replica::start(Clock::real(), options()).unwrap();
        b.synced().await;
        while !b.is_lock_contended() {
            b.changed().await;
        }
        let mut txn = b.txn();
        txn.insert("Open_vSwitch");
        assert!(matches!(txn.commit().await, Outcome::NotLocked));
        drop(a);
        while !b.has_lock() {
            b.changed().await;
        }
        let mut txn = b.txn();
        txn.insert("Open_vSwitch");
        assert!(matches!(txn.commit().await, Outcome::Committed(_)));
    });
}

#[test]
fn what_was_durable_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = new_db(dir.path());
    for round in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let server = Server::new(Clock::real()).unwrap();
            server.open_db(&path).unwrap();
            let work = async {
                let replica = replica(&server).await;
                assert_eq!(replica.view().len("Open_vSwitch"), round);
                let mut txn = replica.txn();
                txn.insert("Open_vSwitch");
                txn.durable();
                let outcome = txn.commit().await;
                if round == 0 {
                    assert!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
                } else {
                    // `maxRows` is one; the error comes after the operations' results.
                    assert!(
                        matches!(&outcome, Outcome::Error(e) if e.contains("limit of 1")),
                        "{outcome:?}"
                    );
                }
            };
            tokio::select! {
                () = server.run() => {}
                () = work => {}
            }
        });
    }
}
