//! `offload/*`: what lives in hardware, and why the rest does not.

use super::Outcome;
use super::dpctl::parse_filter;
use crate::switch::Switch;
use daemon::control::{Answer, Format};
use hal::{FlowPut, Ufid};
use packet::odp::FlowText;
use packet::{FlowMask, FlowState, PacketKey};
use std::collections::BTreeMap;

pub(super) fn show(switch: &mut Switch, _: &[String], format: Format) -> Outcome {
    let mut documents = serde_json::Map::new();
    let mut text = String::new();
    for (kind, backer) in &switch.backers {
        let report = backer.offload.report();
        text += &format!("datapath {kind}@ovs-{kind}:\n{}", report.text());
        documents.insert(kind.clone(), report.json());
    }
    Ok(match format {
        Format::Text => Answer::Text(text),
        Format::Json => Answer::Json(documents.into()),
    })
}

/// The flows that somebody asks about.
enum Asked {
    All,
    /// `ufid:...`.
    One(Ufid),
    /// `in_port(1),...`: flows that have packets in common with it.
    Datapath(Box<(PacketKey, FlowMask)>),
    /// `in_port=1,tcp`: flows within it.
    OpenFlow(Box<packet::Match>),
}

impl Asked {
    fn read(text: Option<&str>, ports: &BTreeMap<u32, String>) -> Result<Asked, String> {
        let Some(text) = text else {
            return Ok(Asked::All);
        };
        if let Some(ufid) = text.strip_prefix("ufid:") {
            let ufid = ufid.parse().map_err(|_| format!("{text}: not a ufid"))?;
            return Ok(Asked::One(ufid));
        }
        if text.contains('(') {
            let number = |name: &str| ports.iter().find(|(_, n)| *n == name).map(|(n, _)| *n);
            let flow = packet::odp::parse_flow(text, &number).map_err(|e| e.to_string())?;
            return Ok(Asked::Datapath(Box::new(flow)));
        }
        parse_filter(text, ports).map(Box::new).map(Asked::OpenFlow)
    }

    fn wants(&self, flow: &FlowPut) -> bool {
        match self {
            Asked::All => true,
            Asked::One(ufid) => *ufid == flow.ufid,
            Asked::Datapath(asked) => {
                let (key, mask) = &**asked;
                let both = |key: &PacketKey| key.masked(mask).masked(&flow.mask);
                both(key) == both(&flow.key)
            }
            Asked::OpenFlow(wanted) => wanted.matches(&FlowState::from_key(&flow.key)),
        }
    }
}

pub(super) fn explain(switch: &mut Switch, args: &[String], format: Format) -> Outcome {
    let mut text = String::new();
    let mut rows = Vec::new();
    let wanted = args.first().map(String::as_str);
    for (kind, backer) in &mut switch.backers {
        backer.push_all();
        let ports = backer.datapath.ports().into_iter();
        let ports = ports.map(|p| (p.number.0, p.name)).collect();
        let asked = Asked::read(wanted, &ports)?;
        for entry in backer.datapath.flows() {
            let flow = &entry.flow;
            let key = flow.key.expand();
            let shown = FlowText {
                key: &key,
                mask: Some(&flow.mask),
                verbose: false,
                port_name: &|_| None,
            };
            let shown = shown.to_string();
            let ufid = format!("ufid:{}", flow.ufid);
            if !asked.wants(flow) {
                continue;
            }
            let mut row = serde_json::json!({
                "datapath": kind, "ufid": flow.ufid.to_string(), "flow": shown,
                "packets": entry.stats.packets, "bytes": entry.stats.bytes,
            });
            let place = match backer.offload.placement(flow.ufid) {
                offload::Placement::Hardware { device } => {
                    row["in"] = "hardware".into();
                    row["device"] = device.clone().into();
                    format!("in hardware: {device}")
                }
                offload::Placement::Software(reason) => {
                    row["in"] = "software".into();
                    row["reason"] = reason.code().into();
                    row["about"] = reason.subject().into();
                    row["because"] = reason.to_string().into();
                    row["remedy"] = reason.remedy().into();
                    format!("in software: {reason}\n  to change: {}", reason.remedy())
                }
            };
            text += &format!("{ufid}\n  {shown}\n  {place}\n");
            rows.push(row);
        }
    }
    if let (Some(wanted), true) = (wanted, rows.is_empty()) {
        return Err(format!("no flow {wanted}"));
    }
    Ok(match format {
        Format::Text => Answer::Text(text),
        Format::Json => Answer::Json(rows.into()),
    })
}
