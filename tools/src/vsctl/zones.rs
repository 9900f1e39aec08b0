//! Commands about datapaths: timeout policies and limits of connection tracking zones,
//! capabilities.

use super::root;
use crate::ctl::{Context, Failure};
use ovsdb::{Atom, Datum, Uuid};

type Outcome = Result<(), Failure>;

/// The integer at the beginning of `text`, as C's `%lld` reads it.
fn scan(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text
        .get(sign..)?
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count();
    text.get(..sign + digits)?.parse().ok()
}

/// The datapath of that name; `missing` makes the complaint if there is none.
fn datapath(ctx: &Context<'_>, missing: fn(&str) -> String) -> Result<Uuid, Failure> {
    let name = ctx.arg(1);
    let datapaths = ctx.db.get("Open_vSwitch", root(ctx.db)?, "datapaths");
    let row = datapaths.get(&Atom::from(name)).and_then(Atom::as_uuid);
    Ok(row.ok_or_else(|| missing(name))?)
}

fn does_not_exist(name: &str) -> String {
    format!("datapath {name} does not exist")
}

fn not_found(name: &str) -> String {
    format!("datapath: {name} record not found")
}

fn zone(ctx: &Context<'_>, datapath: Uuid, id: i64) -> Option<Uuid> {
    ctx.db
        .get("Datapath", datapath, "ct_zones")
        .get(&Atom::Integer(id))?
        .as_uuid()
}

fn set_zone(ctx: &mut Context<'_>, datapath: Uuid, id: i64, zone: Option<Uuid>) {
    let key = Atom::Integer(id);
    let zones = ctx
        .db
        .get("Datapath", datapath, "ct_zones")
        .filter(|other, _| *other != key);
    let zones = match zone {
        Some(zone) => zones.union(&Datum::map([(key, Atom::Uuid(zone))]), true),
        None => zones,
    };
    ctx.db.set("Datapath", datapath, "ct_zones", zones);
}

/// The zones of a datapath, by number.
fn zones(ctx: &Context<'_>, datapath: Uuid) -> Vec<(i64, Uuid)> {
    let zones = ctx.db.get("Datapath", datapath, "ct_zones");
    zones
        .pairs()
        .filter_map(|(id, zone)| Some((id.as_integer()?, zone?.as_uuid()?)))
        .collect()
}

fn policy(ctx: &Context<'_>, zone: Uuid) -> Option<Uuid> {
    ctx.db
        .refs("CT_Zone", zone, "timeout_policy")
        .first()
        .copied()
}

/// The number in `zone=NUMBER`.
fn zone_argument(ctx: &Context<'_>) -> Result<i64, Failure> {
    let text = ctx.arg(2);
    let number = text.strip_prefix("zone=").and_then(scan);
    Ok(number.ok_or_else(|| format!("invalid zone argument, {text}"))?)
}

pub(super) fn add_policy(ctx: &mut Context<'_>) -> Outcome {
    let id = zone_argument(ctx)?;
    let datapath = datapath(ctx, does_not_exist)?;
    let old = zone(ctx, datapath, id);
    if old.and_then(|zone| policy(ctx, zone)).is_some() && !ctx.has("--may-exist") {
        return Err(format!("zone id {id} already has a policy").into());
    }
    let policy = find_or_create_policy(ctx);
    let zone = match old {
        Some(zone) => zone,
        None => {
            let zone = ctx.db.insert("CT_Zone");
            set_zone(ctx, datapath, id, Some(zone));
            zone
        }
    };
    ctx.db
        .set_refs("CT_Zone", zone, "timeout_policy", &[policy]);
    Ok(())
}

/// The policy with the timeouts that the arguments say, `KEY=SECONDS`.
fn find_or_create_policy(ctx: &mut Context<'_>) -> Uuid {
    let words = ctx
        .args_from(3)
        .iter()
        .flat_map(|arg| arg.split([',', ' ']));
    let pairs = words.filter(|word| !word.is_empty()).map(|word| {
        let (key, value) = word.split_once(['=', ':']).unwrap_or((word, ""));
        (Atom::from(key), Atom::Integer(scan(value).unwrap_or(0)))
    });
    let timeouts = Datum::map(pairs.collect::<Vec<_>>());
    let same = |row: &Uuid| ctx.db.get("CT_Timeout_Policy", *row, "timeouts") == timeouts;
    if let Some(row) = ctx.db.rows("CT_Timeout_Policy").into_iter().find(same) {
        return row;
    }
    let row = ctx.db.insert("CT_Timeout_Policy");
    ctx.db.set("CT_Timeout_Policy", row, "timeouts", timeouts);
    row
}

pub(super) fn delete_policy(ctx: &mut Context<'_>) -> Outcome {
    let id = zone_argument(ctx)?;
    let datapath = datapath(ctx, does_not_exist)?;
    let zone = zone(ctx, datapath, id);
    let policy = zone.and_then(|zone| policy(ctx, zone));
    if policy.is_none() && !ctx.has("--if-exists") {
        return Err(format!("zone id {id} does not have a policy").into());
    }
    let Some(zone) = zone else { return Ok(()) };
    if ctx.db.integer("CT_Zone", zone, "limit").is_none() {
        set_zone(ctx, datapath, id, None);
        return Ok(());
    }
    if let Some(policy) = policy {
        ctx.db.delete("CT_Timeout_Policy", policy);
    }
    ctx.db.clear("CT_Zone", zone, "timeout_policy");
    Ok(())
}

pub(super) fn list_policies(ctx: &mut Context<'_>) -> Outcome {
    let datapath = datapath(ctx, not_found)?;
    for (id, zone) in zones(ctx, datapath) {
        let text = match policy(ctx, zone) {
            None => "system default".to_string(),
            Some(policy) => {
                let timeouts = ctx.db.get("CT_Timeout_Policy", policy, "timeouts");
                let pair = |(key, value): (&Atom, Option<&Atom>)| {
                    let value = value.and_then(Atom::as_integer).unwrap_or(0);
                    format!("{}={value}", key.as_str().unwrap_or_default())
                };
                timeouts.pairs().map(pair).collect::<Vec<_>>().join(" ")
            }
        };
        ctx.line(format!("Zone:{id}, Timeout Policies: {text}").trim_end());
    }
    Ok(())
}

/// The zone of the second argument; none for `default`.
fn limit_zone(ctx: &Context<'_>) -> Result<Option<i64>, Failure> {
    let text = ctx.arg(2);
    match scan(text) {
        None if text == "default" => Ok(None),
        None => Err(format!("invalid zone id, {text}").into()),
        id => Ok(id),
    }
}

pub(super) fn set_limit(ctx: &mut Context<'_>) -> Outcome {
    let id = limit_zone(ctx)?;
    let text = ctx.arg(3);
    let limit = scan(text).ok_or_else(|| format!("invalid limit, {text}"))?;
    let datapath = datapath(ctx, does_not_exist)?;
    if !(0..=i64::from(u32::MAX)).contains(&limit) {
        return Err(format!("limit ({limit}) out of range").into());
    }
    let Some(id) = id else {
        ctx.db
            .set_integer("Datapath", datapath, "ct_zone_default_limit", limit);
        return Ok(());
    };
    if !(0..=i64::from(u16::MAX)).contains(&id) {
        return Err(format!("zone_id ({id}) out of range").into());
    }
    let zone = match zone(ctx, datapath, id) {
        Some(zone) => zone,
        None => {
            let zone = ctx.db.insert("CT_Zone");
            set_zone(ctx, datapath, id, Some(zone));
            zone
        }
    };
    ctx.db.set_integer("CT_Zone", zone, "limit", limit);
    Ok(())
}

pub(super) fn delete_limit(ctx: &mut Context<'_>) -> Outcome {
    let id = limit_zone(ctx)?;
    let must_exist = !ctx.has("--if-exists");
    let name = ctx.arg(1).to_string();
    let datapath = datapath(ctx, does_not_exist)?;
    let Some(id) = id else {
        let limit = ctx
            .db
            .integer("Datapath", datapath, "ct_zone_default_limit");
        if must_exist && limit.is_none() {
            return Err(format!("datapath {name} does not have a limit").into());
        }
        ctx.db.clear("Datapath", datapath, "ct_zone_default_limit");
        return Ok(());
    };
    let zone = zone(ctx, datapath, id);
    let limit = zone.and_then(|zone| ctx.db.integer("CT_Zone", zone, "limit"));
    if must_exist && limit.is_none() {
        return Err(format!("zone_id {id} does not have a limit").into());
    }
    let Some(zone) = zone else { return Ok(()) };
    if policy(ctx, zone).is_some() {
        ctx.db.clear("CT_Zone", zone, "limit");
    } else {
        set_zone(ctx, datapath, id, None);
    }
    Ok(())
}

pub(super) fn list_limits(ctx: &mut Context<'_>) -> Outcome {
    let datapath = datapath(ctx, not_found)?;
    if let Some(limit) = ctx
        .db
        .integer("Datapath", datapath, "ct_zone_default_limit")
    {
        ctx.line(&format!("Default, Limit: {limit}"));
    }
    for (id, zone) in zones(ctx, datapath) {
        if let Some(limit) = ctx.db.integer("CT_Zone", zone, "limit") {
            ctx.line(&format!("Zone: {id}, Limit: {limit}"));
        }
    }
    Ok(())
}

pub(super) fn list_capabilities(ctx: &mut Context<'_>) -> Outcome {
    let datapath = datapath(ctx, |name| format!("datapath \"{name}\" record not found"))?;
    let capabilities = ctx.db.get("Datapath", datapath, "capabilities");
    let pair = |(key, value): (&Atom, Option<&Atom>)| {
        let value = value.and_then(Atom::as_str).unwrap_or_default();
        format!("{}={value}", key.as_str().unwrap_or_default())
    };
    let text = capabilities.pairs().map(pair).collect::<Vec<_>>().join(" ");
    ctx.line(&text);
    Ok(())
}
