//! What `ovs-appctl` can ask of the server, alone or embedded in another program.

use super::Server;
use daemon::control::{Commands, Invocation};
use std::fmt::Write as _;
use std::path::Path;

/// The calls that this module answers: name, usage, how few and how many arguments.
const CALLS: &[(&str, &str, usize, usize)] = &[
    ("ovsdb-server/add-db", "DB", 1, 1),
    ("ovsdb-server/add-remote", "REMOTE", 1, 1),
    ("ovsdb-server/compact", "", 0, 1),
    ("ovsdb-server/get-db-storage-status", "DB", 1, 1),
    ("ovsdb-server/list-dbs", "", 0, 0),
    ("ovsdb-server/list-remotes", "", 0, 0),
    ("ovsdb-server/memory-trim-on-compaction", "on|off", 1, 1),
    ("ovsdb-server/reconnect", "", 0, 0),
    ("ovsdb-server/remove-db", "DB", 1, 1),
    ("ovsdb-server/remove-remote", "REMOTE", 1, 1),
    ("ovsdb-server/sync-status", "", 0, 0),
    ("ovsdb-server/tlog-list", "", 0, 0),
];

/// Registers the calls.
pub fn register_calls(commands: &Commands) {
    for (name, usage, min, max) in CALLS {
        commands.register(name, usage, *min, *max);
    }
    commands.register_hidden("ovsdb-server/disable-monitor-cond", 0, 0);
}

/// Answers a call if it is one of ours, else gives it back.
pub fn handle_call(server: &Server, call: Invocation) -> Option<Invocation> {
    let ours = CALLS.iter().any(|(name, ..)| *name == call.name);
    if !ours && call.name != "ovsdb-server/disable-monitor-cond" {
        return Some(call);
    }
    let argument = call.args.first().map_or("", String::as_str);
    match answer(server, &call.name, argument) {
        Ok(text) => call.reply.ok(text),
        Err(why) => call.reply.error(why),
    }
    None
}

fn answer(server: &Server, name: &str, argument: &str) -> Result<String, String> {
    match name {
        "ovsdb-server/add-db" => server
            .open_db(Path::new(argument))
            .map(|_| String::new())
            .map_err(|e| e.to_string()),
        "ovsdb-server/remove-db" => {
            let known = server.with_core(|core| core.database(argument).is_some());
            if !known {
                Err("Failed to find the database.".to_owned())
            } else if server.with_core(|core| core.remove_db(argument)) {
                server.reconfigure();
                Ok(String::new())
            } else {
                Err("Cannot remove reserved database.".to_owned())
            }
        }
        "ovsdb-server/list-dbs" => Ok(lines(server.with_core(|core| core.db_names()))),
        "ovsdb-server/add-remote" => server.add_remote(argument).map(|()| String::new()),
        "ovsdb-server/remove-remote" => {
            if server.remove_remote(argument) {
                Ok(String::new())
            } else {
                Err("no such remote".to_owned())
            }
        }
        "ovsdb-server/list-remotes" => Ok(lines(server.list_remotes())),
        "ovsdb-server/compact" => compact(server, argument),
        "ovsdb-server/reconnect" => {
            server.with_core(|core| core.disconnect_all());
            Ok(String::new())
        }
        "ovsdb-server/disable-monitor-cond" => {
            server.with_core(|core| {
                core.disable_monitor_cond();
                core.disconnect_all();
            });
            Ok(String::new())
        }
        "ovsdb-server/memory-trim-on-compaction" => match argument {
            // The allocator gives memory back by itself.
            "on" | "off" => Ok(String::new()),
            _ => Err("invalid argument".to_owned()),
        },
        "ovsdb-server/sync-status" => Ok("state: active\n".to_owned()),
        "ovsdb-server/get-db-storage-status" => {
            if server.with_core(|core| core.database(argument).is_some()) {
                Ok("status: ok".to_owned())
            } else {
                Err("Failed to find the database.".to_owned())
            }
        }
        _ => Ok(server.with_core(|core| tlog_list(core))),
    }
}

fn lines(items: Vec<String>) -> String {
    items.into_iter().map(|item| item + "\n").collect()
}

fn compact(server: &Server, only: &str) -> Result<String, String> {
    if only.starts_with('_') {
        return Err("cannot compact built-in databases".to_owned());
    }
    let names = server.with_core(|core| core.db_names());
    let chosen: Vec<String> = names
        .into_iter()
        .filter(|name| {
            if only.is_empty() {
                !name.starts_with('_')
            } else {
                name == only
            }
        })
        .collect();
    if chosen.is_empty() {
        return Err("no database by that name".to_owned());
    }
    let mut failures = String::new();
    for name in chosen {
        tracing::info!(target: "ovsdb_server", "compacting {name} database by user request");
        let compacted = server.with_core(|core| core.compact(&name, "compacting database online"));
        if let Err(error) = compacted {
            let _ = writeln!(failures, "{error}");
        }
    }
    if failures.is_empty() {
        Ok(String::new())
    } else {
        Err(failures)
    }
}

fn tlog_list(core: &super::Core) -> String {
    let mut out = String::from(
        "database        table                       logging\n\
         --------        -----                       -------\n",
    );
    for name in core.db_names() {
        let _ = writeln!(out, "{name:<16} ");
        for table in core
            .database(&name)
            .into_iter()
            .flat_map(|db| &db.schema().tables)
        {
            let _ = writeln!(out, "                {:<27} OFF", table.name);
        }
    }
    out
}
