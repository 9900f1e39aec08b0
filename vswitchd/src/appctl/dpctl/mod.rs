//! `dpctl/*`: datapaths as they are, without a thought for bridges (ovs-dpctl(8)).
//!
//! A command gets a [`Session`]: the switch, the options that stood before its words, and the lines
//! that it writes. It opens the datapath that its first word names, or the only one there is.
//! Errors are lines too, `ovs-vswitchd: WHAT (WHY)`; a command may write several and go on.
//!
//! * `session.rs`: options, lines, opening a datapath
//! * `datapaths.rs`: `add-dp` to `show`
//! * `ports.rs`: `add-if`, `set-if`, `del-if`
//! * `flows.rs`, `flow_files.rs`: one flow, or a file of them
//! * `actions.rs`: the text of actions, for tests

mod actions;
mod datapaths;
mod flow_files;
mod flows;
mod ports;
mod session;

pub(super) use flows::{FlowLayout, flow_text_of_bridge, parse_filter};

use super::Outcome;
use crate::switch::Switch;
use daemon::control::{Answer, Commands};
use session::{Failed, Params, Session, Why};

type Work = fn(&mut Session<'_>, &[&str]) -> Result<(), Failed>;

/// What a command does.
enum Run {
    Works(Work),
    /// It needs connection tracking or the reassembly of fragments, and no datapath here does
    /// either: once the datapath is found, it is refused in these words.
    Refuses(&'static str),
}

struct Command {
    name: &'static str,
    usage: &'static str,
    /// How many words there may be, options not counted.
    words: (usize, usize),
    run: Run,
}

const fn works(
    name: &'static str,
    usage: &'static str,
    words: (usize, usize),
    work: Work,
) -> Command {
    Command {
        name,
        usage,
        words,
        run: Run::Works(work),
    }
}

const fn refuses(
    name: &'static str,
    usage: &'static str,
    words: (usize, usize),
    refusal: &'static str,
) -> Command {
    Command {
        name,
        usage,
        words,
        run: Run::Refuses(refusal),
    }
}

const ANY: usize = usize::MAX;
/// Options that can stand before the words.
const OPTIONS: usize = 6;

/// In the order of `list-commands`.
#[rustfmt::skip]
static COMMANDS: &[Command] = &[
    works("add-dp", "dp [iface...]", (1, ANY), datapaths::add),
    works("del-dp", "dp", (1, 1), datapaths::del),
    works("add-if", "dp iface...", (2, ANY), ports::add),
    works("del-if", "dp iface...", (2, ANY), ports::del),
    works("set-if", "dp iface...", (2, ANY), ports::set),
    works("dump-dps", "", (0, 0), datapaths::dump),
    works("show", "[-s] [dp...]", (0, ANY), datapaths::show),
    works("dump-flows", "[-m] [--names] [dp] [filter=..] [type=..] [pmd=..]", (0, 6), flows::dump),
    works("add-flow", "[dp] flow actions", (2, 3), flows::add),
    works("mod-flow", "[dp] flow actions", (2, 3), flows::modify),
    works("get-flow", "[dp] ufid", (1, 2), flows::get),
    works("del-flow", "[dp] flow", (1, 2), flows::del),
    works("add-flows", "[dp] file", (1, 2), flow_files::add),
    works("mod-flows", "[dp] file", (1, 2), flow_files::modify),
    works("del-flows", "[dp] [file]", (0, 2), flow_files::del),
    works("offload-stats-show", "[dp]", (0, 1), datapaths::offload_stats),
    refuses("dump-conntrack", "[-m] [-s] [dp] [zone=N]", (0, 4), "starting conntrack dump"),
    refuses("dump-conntrack-exp", "[dp] [zone=N]", (0, 2),
        "starting conntrack expectations dump"),
    refuses("flush-conntrack",
        "[dp] [zone=N] [mark=X[/M]] [labels=Y[/N]] [ct-orig-tuple [ct-reply-tuple]]", (0, 6),
        "failed to flush conntrack"),
    works("cache-get-size", "[dp]", (0, 1), datapaths::cache_get),
    works("cache-set-size", "dp cache <size>", (3, 3), datapaths::cache_set),
    refuses("ct-stats-show", "[dp] [zone=N]", (0, 3), "starting conntrack dump"),
    refuses("ct-bkts", "[dp] [gt=N]", (0, 2), "starting conntrack dump"),
    refuses("ct-set-maxconns", "[dp] maxconns", (1, 2), "ct set maxconns failed"),
    refuses("ct-get-maxconns", "[dp]", (0, 1), "maxconns could not be retrieved"),
    refuses("ct-get-nconns", "[dp]", (0, 1), "nconns could not be retrieved"),
    refuses("ct-enable-tcp-seq-chk", "[dp]", (0, 1), "enabling TCP sequence checking failed"),
    refuses("ct-disable-tcp-seq-chk", "[dp]", (0, 1), "disabling TCP sequence checking failed"),
    refuses("ct-get-tcp-seq-chk", "[dp]", (0, 1), "TCP sequence checking query failed"),
    refuses("ct-set-limits", "[dp] [default=L] [zone=N,limit=L]...", (1, ANY),
        "failed to set conntrack limit"),
    refuses("ct-del-limits", "[dp] [default] [zone=N1[,N2]...]", (1, 3),
        "failed to delete conntrack limit"),
    refuses("ct-get-limits", "[dp] [zone=N1[,N2]...]", (0, 2), "failed to get conntrack limit"),
    refuses("ct-get-sweep-interval", "[dp]", (0, 1), "failed to get the sweep interval"),
    refuses("ct-set-sweep-interval", "[dp] ms", (1, 2), "failed to set the sweep interval"),
    refuses("ipf-set-enabled", "[dp] v4|v6", (1, 2), "enabling fragmentation reassembly failed"),
    refuses("ipf-set-disabled", "[dp] v4|v6", (1, 2),
        "disabling fragmentation reassembly failed"),
    refuses("ipf-set-min-frag", "[dp] v4|v6 minfragment", (2, 3),
        "setting minimum fragment size failed"),
    refuses("ipf-set-max-nfrags", "[dp] maxfrags", (1, 2), "setting maximum fragments failed"),
    refuses("ipf-get-status", "[dp]", (0, 1), "ipf status could not be retrieved"),
    works("list-commands", "", (0, ANY), list_commands),
    works("parse-actions", "actions", (1, ANY), actions::parse),
    works("normalize-actions", "actions", (2, ANY), actions::normalize),
];

/// Registers all commands.
pub(super) fn register(commands: &Commands) {
    for c in COMMANDS {
        let most = c.words.1.saturating_add(OPTIONS);
        commands.register(&format!("dpctl/{}", c.name), c.usage, c.words.0, most);
    }
}

/// Carries a command out; none if it is not one of ours.
pub(super) fn call(switch: &mut Switch, name: &str, args: &[String]) -> Option<Outcome> {
    let name = name.strip_prefix("dpctl/")?;
    let command = COMMANDS.iter().find(|c| c.name == name)?;
    Some(command.call(switch, args))
}

impl Command {
    fn call(&self, switch: &mut Switch, args: &[String]) -> Outcome {
        let (params, words) = Params::read(args)?;
        self.check_words(words.len())?;
        let mut session = Session::new(switch, params);
        let outcome = match self.run {
            Run::Works(work) => work(&mut session, &words),
            Run::Refuses(refusal) => session
                .choose(&words, self.words.1.saturating_sub(1))
                .and_then(|_| Err(session.error(refusal, Why::Unsupported))),
        };
        let lines = session.lines;
        match outcome {
            Ok(()) => Ok(Answer::Text(lines)),
            Err(Failed) => Err(lines),
        }
    }

    fn check_words(&self, n: usize) -> Result<(), String> {
        let (least, most) = self.words;
        let (what, limit) = if n < least {
            ("requires at least", least)
        } else if n > most {
            ("takes at most", most)
        } else {
            return Ok(());
        };
        Err(format!(
            "\"dpctl/{}\" command {what} {limit} arguments",
            self.name
        ))
    }
}

fn list_commands(session: &mut Session<'_>, _: &[&str]) -> Result<(), Failed> {
    session.line("The available commands are:");
    for c in COMMANDS {
        session.line(format_args!("  dpctl/{:<23} {}", c.name, c.usage));
    }
    Ok(())
}
