//! `offload/*`: what lives in hardware, and why the rest does not.

use super::Outcome;
use crate::switch::Switch;
use daemon::control::{Answer, Format};
use packet::odp::FlowText;

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

pub(super) fn explain(switch: &mut Switch, args: &[String], format: Format) -> Outcome {
    let mut text = String::new();
    let mut rows = Vec::new();
    let wanted = args.first().map(String::as_str);
    for (kind, backer) in &mut switch.backers {
        backer.push_all();
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
            if wanted.is_some_and(|w| w != ufid && !shown.contains(w)) {
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
