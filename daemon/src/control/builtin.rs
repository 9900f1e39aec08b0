//! Commands that every program answers alike.

use super::commands::{Answer, Commands, Format};
use crate::{coverage, log, options};
use serde_json::{Map, Value};

/// Registers them all.
pub(super) fn register(commands: &Commands) {
    let text = |text: String| Ok(Answer::Text(text));
    let done = || Ok(Answer::Text(String::new()));

    // Whoever holds the commands answers this one with `list`.
    commands.register("list-commands", "", 0, 0);
    // A connection's own.
    commands.register("set-options", "[--format text|json]", 1, 2);
    commands.answer("version", "", 0, 0, move |_, _| {
        text(format!(
            "{} (Open vSwitch) {}",
            log::program(),
            options::OVS_VERSION
        ))
    });

    let any = usize::MAX;
    let spec = "{spec | PATTERN:destination:pattern}";
    commands.answer("vlog/set", spec, 0, any, move |args, _| {
        if args.is_empty() {
            log::set("any:any:dbg")?;
        }
        args.iter().try_for_each(|spec| log::set(spec))?;
        done()
    });
    commands.answer("vlog/list", "", 0, 0, move |_, _| text(log::list()));
    commands.answer("vlog/list-pattern", "", 0, 0, move |_, _| {
        text(log::list_patterns())
    });
    commands.answer(
        "vlog/enable-rate-limit",
        "[module]...",
        0,
        any,
        move |args, _| {
            log::set_rate_limits(args, true)?;
            done()
        },
    );
    commands.answer(
        "vlog/disable-rate-limit",
        "[module]...",
        0,
        any,
        move |args, _| {
            log::set_rate_limits(args, false)?;
            done()
        },
    );
    commands.answer("vlog/reopen", "", 0, 0, move |_, _| {
        log::reopen()?;
        done()
    });
    commands.answer("vlog/close", "", 0, 0, move |_, _| {
        log::close();
        done()
    });
    commands.answer_hidden("vlog/message", 1, move |args, _| {
        let message = args.first().map_or("", String::as_str);
        tracing::info!(target: "vlog", "user-message: {message}");
        done()
    });

    commands.answer(
        "coverage/show",
        "",
        0,
        0,
        move |_, _| text(coverage::show()),
    );
    commands.answer("coverage/read-counter", "COUNTER", 1, 1, move |args, _| {
        let name = args.first().map_or("", String::as_str);
        let count = coverage::read(name).ok_or("No such counter")?;
        text(format!("{count}\n"))
    });
}

/// The answer of `list-commands`.
pub(super) fn list(commands: &Commands, format: Format) -> Answer {
    let listed = commands.list();
    match format {
        Format::Json => {
            let members: Map<String, Value> = listed
                .into_iter()
                .map(|(name, usage)| (name, usage.into()))
                .collect();
            Answer::Json(members.into())
        }
        Format::Text => {
            let mut text = String::from("The available commands are:\n");
            for (name, usage) in listed {
                text.push_str(&format!("  {name:<23} {usage}\n"));
            }
            Answer::Text(text)
        }
    }
}
