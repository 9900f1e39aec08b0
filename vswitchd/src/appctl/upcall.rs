//! `upcall/*` and `revalidator/*`: how datapath flows are made and looked after
//! (ovs-vswitchd(8)).

use super::{Outcome, text};
use crate::backer::Modes;
use crate::switch::Switch;
use daemon::control::Format;

fn set(switch: &mut Switch, change: impl FnOnce(&mut Modes), answer: &str) -> Outcome {
    let mut modes = switch.modes();
    change(&mut modes);
    switch.set_modes(modes);
    text(answer)
}

pub(super) fn pause(switch: &mut Switch, _: &[String], _: Format) -> Outcome {
    set(switch, |m| m.paused = true, "")
}

pub(super) fn resume(switch: &mut Switch, _: &[String], _: Format) -> Outcome {
    set(switch, |m| m.paused = false, "")
}

pub(super) fn purge(switch: &mut Switch, _: &[String], _: Format) -> Outcome {
    for backer in switch.backers.values_mut() {
        backer.purge();
    }
    text("")
}

/// There is nothing to wait for while no flow is visited.
pub(super) fn wait(switch: &mut Switch, _: &[String], _: Format) -> Outcome {
    for backer in switch.backers.values_mut().filter(|b| !b.modes().paused) {
        backer.revalidate();
    }
    text("")
}

pub(super) fn disable_ufid(switch: &mut Switch, _: &[String], _: Format) -> Outcome {
    let answer = "Datapath dumping tersely using UFID disabled\n";
    set(switch, |m| m.ufids = false, answer)
}

pub(super) fn enable_ufid(switch: &mut Switch, _: &[String], _: Format) -> Outcome {
    let answer = "Datapath dumping tersely using UFID enabled for supported datapaths\n";
    set(switch, |m| m.ufids = true, answer)
}

pub(super) fn disable_megaflows(switch: &mut Switch, _: &[String], _: Format) -> Outcome {
    set(switch, |m| m.megaflows = false, "megaflows disabled")
}

pub(super) fn enable_megaflows(switch: &mut Switch, _: &[String], _: Format) -> Outcome {
    set(switch, |m| m.megaflows = true, "megaflows enabled")
}

pub(super) fn show(switch: &mut Switch, _: &[String], _: Format) -> Outcome {
    let mut out = String::new();
    for (kind, backer) in &switch.backers {
        let (n, was) = (backer.flow_count(), backer.flow_history());
        let (average, max, limit) = (was.average, was.max, backer.limits.flow_limit);
        out += &format!(
            "{kind}@ovs-{kind}:\n  flows         : (current {n}) (avg {average}) (max {max}) \
             (limit {limit})\n"
        );
        let offloaded = backer.offload.offloaded();
        if offloaded != 0 {
            out += &format!("  offloaded flows : {offloaded}\n");
        }
        let ufids = backer.modes().ufids;
        out += &format!("  dump duration : 1ms\n  ufid enabled : {ufids}\n\n");
        out += &format!("  21: (keys {n})\n");
    }
    text(out)
}

pub(super) fn set_flow_limit(switch: &mut Switch, args: &[String], _: Format) -> Outcome {
    let limit = args[0]
        .parse()
        .map_err(|_| format!("invalid flow limit: {}", args[0]))?;
    for backer in switch.backers.values_mut() {
        backer.limits.flow_limit = limit;
    }
    text(format!("set flow_limit to {limit}\n"))
}
