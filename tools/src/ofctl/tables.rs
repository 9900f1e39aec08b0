//! `mod-table`: what a table does with packets that it has no flow for, what it does when it is
//! full, and its name.

use super::link::{Link, names_for_parsing};
use super::options::Options;
use super::{Outcome, print_to_stderr};
use openflow::text::Names;
use openflow::{
    Message, TableConfig, TableFeatures, TableId, TableMiss, Vacancy, Version, Versions, decode,
    print,
};

/// OFPTFC_MODIFY (OpenFlow 1.5.1 §7.3.5.18).
const MODIFY: u8 = 1;

/// What `mod-table` is to set.
enum Setting {
    Config(TableConfig),
    Name(String),
}

/// Reads a setting, with the versions of OpenFlow that can carry it.
fn parse(table: TableId, text: &str) -> Result<(Setting, Versions), String> {
    let of = |versions: &[Version]| {
        let versions = versions.iter();
        versions.fold(Versions::default(), |all, v| all.with(*v))
    };
    let miss = of(&[Version::Of11, Version::Of12]);
    let full = of(&[Version::Of14, Version::Of15]);
    if let Some(name) = text.strip_prefix("name:").filter(|_| table != TableId::ALL) {
        let named = full.with(Version::Of13);
        return Ok((Setting::Name(name.to_owned()), named));
    }
    let mut c = TableConfig {
        table,
        miss: TableMiss::Default,
        eviction: None,
        eviction_flags: None,
        vacancy: None,
        thresholds: None,
    };
    let mut versions = full;
    match text {
        "controller" | "continue" | "drop" => {
            versions = miss;
            c.miss = match text {
                "controller" => TableMiss::Controller,
                "continue" => TableMiss::Continue,
                _ => TableMiss::Drop,
            };
        }
        "evict" => c.eviction = Some(true),
        "noevict" => c.eviction = Some(false),
        "novacancy" => c.vacancy = Some(false),
        text => {
            let limits = text.strip_prefix("vacancy:");
            let limits = limits.ok_or_else(|| format!("invalid table_mod setting {text}"))?;
            c.vacancy = Some(true);
            c.thresholds = Some(thresholds(limits)?);
        }
    }
    Ok((Setting::Config(c), versions))
}

/// The two percentages of `vacancy:DOWN,UP`.
fn thresholds(text: &str) -> Result<Vacancy, String> {
    let percent = |which: &str, text: Option<&str>| {
        let text = text.filter(|t| !t.is_empty());
        let text = text.ok_or_else(|| format!("Vacancy {which} value missing"))?;
        let n = text.parse().ok().filter(|n: &u8| *n <= 100);
        n.ok_or_else(|| format!("Invalid vacancy {which} value \"{text}\""))
    };
    let mut values = text.split(',');
    let down = percent("down", values.next())?;
    let up = percent("up", values.next())?;
    if down > up {
        return Err(
            "Invalid vacancy range, vacancy up should be greater than vacancy down \
             (OFPBPC_BAD_VALUE)"
                .into(),
        );
    }
    Ok(Vacancy { down, up, now: 0 })
}

/// `mod-table`.
pub fn mod_table(o: &Options, args: &[String]) -> Outcome {
    let table = if args[1].eq_ignore_ascii_case("ALL") {
        TableId::ALL
    } else {
        let names = names_for_parsing(o, &args[0], &args[1]);
        let n = names.table(&args[1]);
        TableId(n.ok_or_else(|| format!("unknown table \"{}\"", args[1]))?)
    };
    let (setting, usable) = parse(table, &args[2])?;
    let versions = o.versions.and(usable);
    if versions.newest().is_none() {
        let names: Vec<&str> = usable.iter().map(Version::name).collect();
        return Err(format!(
            "table_mod '{}' requires one of the OpenFlow versions {}",
            args[2],
            names.join(", ")
        ));
    }
    let o = Options {
        versions,
        ..o.clone()
    };
    let mut link = Link::open(&o, &args[0])?;
    match setting {
        Setting::Name(name) => set_name(&o, &mut link, table, &name),
        Setting::Config(config) if link.version >= Version::Of14 => {
            // What was not asked for stays as it is.
            for present in configs(&mut link)? {
                if table == TableId::ALL || present.table == table {
                    let config = completed(config, &present);
                    link.transact_noreply(&Message::TableMod(config))?;
                }
            }
            Ok(())
        }
        Setting::Config(config) => link.transact_noreply(&Message::TableMod(config)),
    }
}

/// A table's whole configuration: what is `wanted`, and of the rest what it has at `present`.
fn completed(mut wanted: TableConfig, present: &TableConfig) -> TableConfig {
    wanted.table = present.table;
    if wanted.eviction.is_some() {
        wanted.vacancy = present.vacancy;
        wanted.thresholds = present.thresholds;
    } else {
        wanted.eviction = present.eviction;
        wanted.eviction_flags = present.eviction_flags;
    }
    wanted
}

/// How all tables are set up.
fn configs(link: &mut Link) -> Result<Vec<TableConfig>, String> {
    let mut all = Vec::new();
    for bytes in link.transact_all(&Message::TableDescRequest)? {
        match decode(&bytes) {
            Ok((_, _, Message::TableDescReply { tables, .. })) => all.extend(tables),
            _ => return Err(bad_reply(&bytes)),
        }
    }
    Ok(all)
}

fn bad_reply(bytes: &[u8]) -> String {
    let text = print::format_message(bytes, &Names::none(), 1);
    format!("received bad reply: {}", text.trim_end())
}

/// Names a table, by its features. OpenFlow 1.5 can change those of one table; before, all tables are
/// told again.
fn set_name(o: &Options, link: &mut Link, table: TableId, name: &str) -> Outcome {
    /// Tables in one message: their features are long.
    const PART: usize = 8;
    let mut tables = link.tables()?;
    let named = tables.iter_mut().find(|t| t.table == table.0);
    let named = named.ok_or_else(|| format!("switch does not have table {}", table.0))?;
    named.name = name.to_owned();
    let parts: Vec<Message> = if link.version >= Version::Of15 {
        let change = TableFeatures {
            table: named.table,
            name: named.name.clone(),
            metadata_match: named.metadata_match,
            metadata_write: named.metadata_write,
            max_entries: named.max_entries,
            miss: named.miss,
            command: MODIFY,
            any_properties: false,
            ..TableFeatures::default()
        };
        vec![Message::TableFeaturesRequest(vec![change])]
    } else {
        let parts = tables.chunks(PART).map(<[_]>::to_vec);
        parts.map(Message::TableFeaturesRequest).collect()
    };
    for bytes in link.transact_parts(&parts)? {
        if let Ok((_, _, Message::Error(_))) = decode(&bytes) {
            let text = print::format_message(&bytes, &Names::none(), o.verbosity + 1);
            print_to_stderr(&text);
            return Err(String::new());
        }
    }
    Ok(())
}
