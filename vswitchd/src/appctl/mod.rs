//! What `ovs-appctl` can ask of the switch (ovs-vswitchd(8)).
//!
//! A command is a function from the switch and its arguments to a text or a refusal. Those that
//! need time to pass (`time/warp`) are the main loop's.

mod dpctl;
mod dpif;
mod fdb;
mod netdev_dummy;
mod offload;
mod trace;
mod upcall;

use crate::switch::Switch;
use daemon::control::{Answer, Commands, Format};

/// What a command answers.
pub type Outcome = Result<Answer, String>;
type Run = fn(&mut Switch, &[String], Format) -> Outcome;

struct Command {
    name: &'static str,
    usage: &'static str,
    args: (usize, usize),
    run: Run,
}

const fn command(
    name: &'static str,
    usage: &'static str,
    args: (usize, usize),
    run: Run,
) -> Command {
    Command {
        name,
        usage,
        args,
        run,
    }
}

const ANY: usize = usize::MAX;

static COMMANDS: &[Command] = &[
    command(
        "bridge/dump-flows",
        "[--offload-stats] bridge",
        (1, 2),
        bridge_dump_flows,
    ),
    command("dpif/dump-dps", "", (0, 0), dpif::dump_dps),
    command(
        "dpif/dump-flows",
        "[-m] [--names | --no-names] bridge",
        (1, ANY),
        dpif::dump_flows,
    ),
    command("dpif/offload/show", "", (0, 0), dpif::offload_show),
    command("dpif/show", "", (0, 0), dpif::show),
    command(
        "dpif/show-dp-features",
        "bridge",
        (1, 1),
        dpif::show_features,
    ),
    command("fdb/add", "bridge port vlan mac", (4, 4), fdb::add),
    command("fdb/del", "bridge vlan mac", (3, 3), fdb::del),
    command("fdb/flush", "[bridge]", (0, 1), fdb::flush),
    command("fdb/show", "[bridge]...", (0, ANY), fdb::show),
    command("fdb/stats-clear", "[bridge]", (0, 1), fdb::stats_clear),
    command("fdb/stats-show", "bridge", (1, 1), fdb::stats_show),
    command(
        "netdev-dummy/conn-state",
        "[netdev]",
        (0, 1),
        netdev_dummy::conn_state,
    ),
    command(
        "netdev-dummy/receive",
        "name packet|flow [options]",
        (2, ANY),
        netdev_dummy::receive,
    ),
    command(
        "netdev-dummy/set-admin-state",
        "[netdev] up|down",
        (1, 2),
        netdev_dummy::set_admin,
    ),
    command("offload/explain", "[flow]", (0, 1), offload::explain),
    command("offload/show", "", (0, 0), offload::show),
    command("ofproto/list", "", (0, 0), ofproto_list),
    command(
        "ofproto/trace",
        "{[dp_name] odp_flow | bridge br_flow} [OPTIONS...] [-generate|packet]",
        (1, ANY),
        trace::trace,
    ),
    command(
        "ofproto/trace-packet-out",
        "[-consistent] {[dp_name] odp_flow | bridge br_flow} [OPTIONS...] [-generate|packet] actions",
        (2, ANY),
        trace::trace_packet_out,
    ),
    command("revalidator/pause", "", (0, 0), upcall::pause),
    command("revalidator/purge", "", (0, 0), upcall::purge),
    command("revalidator/resume", "", (0, 0), upcall::resume),
    command("revalidator/wait", "", (0, 0), upcall::wait),
    command(
        "upcall/disable-megaflows",
        "",
        (0, 0),
        upcall::disable_megaflows,
    ),
    command(
        "upcall/enable-megaflows",
        "",
        (0, 0),
        upcall::enable_megaflows,
    ),
    command("upcall/disable-ufid", "", (0, 0), upcall::disable_ufid),
    command("upcall/enable-ufid", "", (0, 0), upcall::enable_ufid),
    command("upcall/show", "", (0, 0), upcall::show),
    command(
        "upcall/set-flow-limit",
        "flow-limit-number",
        (1, 1),
        upcall::set_flow_limit,
    ),
];

/// Registers all commands.
pub fn register(commands: &Commands) {
    for c in COMMANDS {
        commands.register(c.name, c.usage, c.args.0, c.args.1);
    }
    dpctl::register(commands);
}

/// Carries a command out; none if it is not one of ours.
pub fn call(switch: &mut Switch, name: &str, args: &[String], format: Format) -> Option<Outcome> {
    switch.run_until_idle();
    let outcome = match COMMANDS.iter().find(|c| c.name == name) {
        Some(command) => Some((command.run)(switch, args, format)),
        None => dpctl::call(switch, name, args),
    };
    switch.run_until_idle();
    outcome
}

fn text(s: impl Into<String>) -> Outcome {
    Ok(Answer::Text(s.into()))
}

fn ofproto_list(switch: &mut Switch, _: &[String], _: Format) -> Outcome {
    text(
        switch
            .bridges
            .keys()
            .map(|b| format!("{b}\n"))
            .collect::<String>(),
    )
}

fn bridge_dump_flows(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let name = args.last().map(String::as_str).unwrap_or_default();
    let now = switch.clock().now();
    let Some((bridge, backer)) = switch.bridge_mut(name) else {
        return Err("Unknown bridge".into());
    };
    let request = openflow::FlowStatsRequest {
        matching: packet::Match::any(),
        cookie: openflow::Cookie(0),
        cookie_mask: openflow::Cookie(0),
        out_port: openflow::OfPort::NONE,
        out_group: openflow::GROUP_ANY,
        table: openflow::TableId::ALL,
        nicira: true,
    };
    let names = openflow::text::Names::default();
    let mut out = String::new();
    for f in bridge.ofproto.flow_stats(backer, &request, now) {
        let table = if f.table.0 == 0 {
            String::new()
        } else {
            format!("table_id={}, ", f.table.0)
        };
        let wanted = openflow::text::format_match(&f.matching, &names, f.priority);
        let actions = openflow::text::format_actions(&f.actions, &names);
        out += &format!(
            "{table}duration={}s, n_packets={}, n_bytes={}, {wanted},actions={actions}\n",
            f.duration.sec,
            f.packets.unwrap_or(0),
            f.bytes.unwrap_or(0)
        );
    }
    // Those that match everything, above all that controllers can give.
    for rule in bridge.ofproto.hidden(backer) {
        let seconds = (now - rule.created).as_secs();
        let (packets, bytes) = (rule.stats.packets(), rule.stats.bytes());
        let actions = openflow::text::format_actions(&rule.actions, &names);
        out += &format!(
            "duration={seconds}s, n_packets={packets}, n_bytes={bytes}, priority={},actions={actions}\n",
            rule.priority
        );
    }
    text(out)
}
