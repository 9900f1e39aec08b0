//! `nicctl selftest`: a NIC is brought up as the switch would do it, a rule is placed in it and taken away,
//! and what was seen is written down for those who have no such NIC.

use super::health::{Health, known};
use super::steps::Steps;
use super::{Failure, part, probe};
use clock::Clock;
use hal::pci::PciFunction;
use hal::{
    Action, DpPort, FlowDevice, MatchField, Outcome, RecircId, Rule, RuleHandle, RuleKey, RuleOp,
};
use hal_mlx::{Function, MlxDevice, MlxError, Patience};
use hal_mlx_prm::capability::Group;
use hal_mlx_prm::command::{QueryHcaCapIn, QueryHcaCapOut};
use hal_mlx_prm::{Layout, Opcode, Part, View};
use packet::FieldId;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;

/// Bytes before a group of capabilities in the answer that carries it.
const GROUP: usize = 0x10;
/// How long an operation on a rule may take.
const RULE: Duration = Duration::from_secs(10);
/// An Ethernet type that no protocol has (IEEE 802, local experiments): the rule is for that alone.
const EXPERIMENT: u128 = 0x88b5;
/// The uplink, and its number in the rule.
const UPLINK: (&str, DpPort) = ("pf0", DpPort(1));
const KEY: RuleKey = RuleKey(1);

/// Takes the steps and writes the report; answers the exit code.
pub fn run(function: &PciFunction, report: &Path) -> Result<u8, Failure> {
    let ids = function.ids().map_err(|e| e.to_string())?;
    known(ids)?;
    let (mut steps, capabilities, version) = take(function);
    let text = json!({
        "nicctl": env!("CARGO_PKG_VERSION"),
        "kernel": rustix::system::uname().release().to_string_lossy(),
        "device": part(ids),
        "firmware": version,
        "steps": steps.json(),
        "capabilities": capabilities,
    });
    steps.take("report", || {
        let written = std::fs::write(report, format!("{text:#}\n"));
        written.map(|()| ((), report.display().to_string()))
    });
    Ok(steps.code())
}

/// The steps; what the NIC can do and its firmware's version, as far as it got.
fn take(function: &PciFunction) -> (Steps, Value, Option<String>) {
    let clock = Clock::real();
    let patience = Patience::real(clock.clone());
    let mut steps = Steps::new(clock.clone());
    probe::way(function, &mut steps);
    let health = |steps: &mut Steps| {
        let mut version = None;
        steps.take("health", || {
            let health = Health::read(function, &clock).map_err(|e| e.to_string())?;
            version = Some(health.version().to_owned());
            health.verdict().map(|told| ((), told))
        });
        version
    };
    let version = health(&mut steps);
    let capabilities = steps.take("capabilities", || {
        let mut nic = Function::boot(function, &patience)?;
        let all = capabilities(&mut nic)?;
        let names: Vec<&str> = all.keys().map(String::as_str).collect();
        let told = names.join(", ");
        Ok::<_, MlxError>((Value::from(all), told))
    });
    let device = steps.take("e-switch", || {
        let again = function.clone();
        let opener = Box::new(move || Ok(again.clone()));
        let device = MlxDevice::open("nic", opener, patience.clone(), None)?;
        let can = device.capabilities();
        let told = format!("{} rules, {} stages", can.rules, can.tables.len());
        Ok::<_, hal::DeviceError>((device, told))
    });
    if let Some(mut device) = device {
        rules(&mut device, &clock, &mut steps);
        health(&mut steps);
        // The device resets its function when it goes.
        drop(device);
    }
    steps.take("reset", || function.reset().map(|()| ((), String::new())));
    (steps, capabilities.unwrap_or_default(), version)
}

/// A rule is placed, read and taken away.
fn rules(device: &mut MlxDevice, clock: &Clock, steps: &mut Steps) {
    device.bind_port(UPLINK.0, Some(UPLINK.1));
    let whole = |field: FieldId, value: u128| MatchField {
        field,
        value,
        mask: field.full(),
    };
    let rule = Rule {
        recirc: RecircId(0),
        matches: vec![
            whole(FieldId::InPort, UPLINK.1.0.into()),
            whole(FieldId::EthType, EXPERIMENT),
        ],
        actions: Vec::<Action>::new(),
        resume: None,
    };
    let handle = steps.take("rule placed", || {
        match operate(device, clock, RuleOp::Add { key: KEY, rule })? {
            Outcome::Installed(installed) => {
                let told = format!("frames of type {EXPERIMENT:#x} from the wire are dropped");
                Ok((installed.handle, told))
            }
            other => Err(format!("it was not taken: {}", ended(&other))),
        }
    });
    let Some(handle) = handle else { return };
    steps.take("rule read", || read(device, handle));
    steps.take("rule taken away", || {
        match operate(device, clock, RuleOp::Remove { key: KEY, handle })? {
            Outcome::Removed(last) => Ok(((), format!("it has dropped {} frames", last.packets))),
            other => Err(format!("it was not let go: {}", ended(&other))),
        }
    });
}

/// How an operation ended that should have ended otherwise.
fn ended(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed(e) => e.to_string(),
        Outcome::Lost => "it was lost".into(),
        Outcome::Installed(_) => "a rule was placed".into(),
        Outcome::Removed(_) => "a rule was taken away".into(),
    }
}

/// Carries an operation on a rule out.
fn operate(device: &mut MlxDevice, clock: &Clock, op: RuleOp) -> Result<Outcome, String> {
    let ticket = device
        .submit(op)
        .map_err(|_| "the NIC takes no operation")?;
    let begun = clock.now();
    let mut done = Vec::new();
    while clock.now() - begun < RULE {
        device.poll(&mut done).map_err(|e| e.to_string())?;
        if let Some(ended) = done.iter().find(|c| c.ticket == ticket) {
            return Ok(ended.outcome.clone());
        }
        clock.pause_thread(Duration::from_millis(1));
    }
    Err(format!("it has not ended in {} s", RULE.as_secs()))
}

fn read(device: &mut MlxDevice, handle: RuleHandle) -> Result<((), String), String> {
    let mut counters = Vec::new();
    let read = device.read_counters(&mut counters);
    read.map_err(|e| e.to_string())?;
    let counter = counters.iter().find(|(of, _)| *of == handle);
    let (_, counter) = counter.ok_or("the rule has no counter")?;
    Ok((
        (),
        format!("{} packets, {} bytes", counter.packets, counter.bytes),
    ))
}

/// All groups of capabilities that are known here and that the NIC has.
fn capabilities(nic: &mut Function) -> Result<Map<String, Value>, MlxError> {
    let mut groups = Map::new();
    for (group, name, layout) in Group::KNOWN {
        let variant = (*group as u16) << 1 | 1;
        let input = View::<QueryHcaCapIn, _>::zeroed();
        let len = QueryHcaCapOut::SIZE;
        match nic.run_variant(Opcode::QueryHcaCap, variant, input, len) {
            Ok(answer) => {
                let memory = answer.get(GROUP..).unwrap_or_default();
                groups.insert((*name).into(), decoded(layout, memory));
            }
            // It has no such group.
            Err(MlxError::Command { .. }) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(groups)
}

/// What is not zero, by name.
fn decoded(layout: &Layout, memory: &[u8]) -> Value {
    let mut values = Map::new();
    let part_of = |at: usize| memory.get(at..).unwrap_or_default();
    for part in layout.parts {
        match *part {
            Part::Field(name, place) => {
                let bits = place.load(memory);
                let value = match u64::try_from(bits) {
                    Ok(0) => continue,
                    Ok(1) if place.width() == 1 => Value::from(true),
                    Ok(number) => Value::from(number),
                    Err(_) => Value::from(format!("{bits:#x}")),
                };
                values.insert(name.to_ascii_lowercase(), value);
            }
            Part::Nested(name, at, inner) => {
                let inner = decoded(inner, part_of(at));
                if inner != json!({}) {
                    values.insert(name.to_ascii_lowercase(), inner);
                }
            }
            // None of the groups has any.
            Part::Octets(..) | Part::Tail(..) => {}
        }
    }
    Value::from(values)
}

#[cfg(test)]
mod tests {
    use super::super::probe::tests::simulated;
    use super::*;
    use hal_mlx_prm::Described;
    use hal_mlx_prm::capability::GeneralCapability;

    #[test]
    fn a_report_tells_each_step_and_what_the_nic_can_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.json");
        let code = run(&simulated("{}"), &file).unwrap();
        let report = std::fs::read_to_string(&file).unwrap();
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["device"], json!("ConnectX-6 Dx (15b3:101d)"));
        let version = report["firmware"].as_str().unwrap_or_default();
        assert_eq!(version.split('.').count(), 3, "{report:#}");
        let general = &report["capabilities"]["general"];
        assert_eq!(general["eswitch_manager"], json!(true), "{report:#}");
        let told = |step: &Value| {
            let words = ["step", "result", "told"].map(|key| step[key].as_str());
            words.map(|word| word.unwrap_or_default().to_owned())
        };
        let steps: Vec<_> = report["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(told)
            .collect();
        assert!(
            steps.iter().all(|[_, result, _]| result == "ok"),
            "{report:#}"
        );
        for (name, seen) in [
            ("e-switch", "1048576 rules, 2 stages"),
            (
                "rule placed",
                "frames of type 0x88b5 from the wire are dropped",
            ),
            ("rule read", "0 packets, 0 bytes"),
            ("rule taken away", "it has dropped 0 frames"),
        ] {
            let found = steps.iter().find(|[step, ..]| step == name);
            assert!(found.is_some_and(|[.., told]| told == seen), "{report:#}");
        }
        assert_eq!(code, 0);
    }

    #[test]
    fn a_nic_that_fails_is_reported_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.json");
        let nic = simulated(r#"{"faults": {"fail-command": 1.0}}"#);
        assert_eq!(run(&nic, &file), Ok(1));
        let report = std::fs::read_to_string(&file).unwrap();
        assert!(report.contains("\"result\": \"failed\""), "{report}");
    }

    #[test]
    fn capabilities_are_told_by_name() {
        let mut general = View::<GeneralCapability, _>::zeroed();
        general
            .set(GeneralCapability::LOG_MAX_CQ, 24)
            .set(GeneralCapability::ESWITCH_MANAGER, true);
        let told = decoded(GeneralCapability::LAYOUT, general.bytes());
        assert_eq!(told, json!({"log_max_cq": 24, "eswitch_manager": true}));
        // A device that answers less than a whole group.
        let cut = decoded(GeneralCapability::LAYOUT, &[0; 3]);
        assert_eq!(cut, json!({}));
    }
}
