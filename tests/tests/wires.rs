//! What is wrong with a simulated NIC or its wire is said in `Interface.error`.

use end_to_end::{Make, Switch, capture};
use std::fs;

/// The error of a port of `device` with these options more.
fn error_of(switch: &Switch, device: &str, port: &str, options: &str) -> String {
    switch.vsctl(&format!(
        "--if-exists del-port vf0 -- add-port br0 vf0 -- set interface vf0 type=hal \
         options:hal-device={device} options:hal-port={port} {options}"
    ));
    let error = switch.vsctl("get interface vf0 error").ok();
    error.trim().trim_matches('"').to_owned()
}

#[test]
fn what_is_wrong_with_a_wire_is_said_with_its_name() {
    let switch = Switch::dummy(Make::Ours);
    switch.vsctl("add-br br0").ok();
    let file = |name: &str| switch.path(name).display().to_string();
    let wire = |text: &str| {
        let option = format!("options:hal-wire={text}");
        error_of(&switch, "sim:nic0", "vf0", &option)
    };
    let good = file("good.pcap");
    capture::write(&switch.path("good.pcap"), &[vec![7; 60], vec![8; 60]]);
    assert_eq!(wire(&format!("pcap:{good}")), "[]");
    let bytes = fs::read(&good).unwrap();
    let cut = file("cut.pcap");
    fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
    assert_eq!(
        wire(&format!("pcap:{cut}")),
        format!("vf0: {cut}: truncated record at offset 100")
    );
    let empty = file("empty.pcap");
    fs::write(&empty, []).unwrap();
    assert_eq!(
        wire(&format!("pcap:{empty}")),
        format!("vf0: {empty}: empty, not a pcap file (offset 0)")
    );
    assert_eq!(
        wire("packet:no-such-dev"),
        "could not open network device no-such-dev (No such device)"
    );
    assert_eq!(
        wire("smoke:x"),
        "vf0: wire smoke:x: smoke is not a kind of wire; there are tap, packet and pcap"
    );
}

#[test]
fn what_is_wrong_with_a_device_is_said_with_its_name_once() {
    let switch = Switch::dummy(Make::Ours);
    switch.vsctl("add-br br0").ok();
    assert_eq!(
        error_of(&switch, "sim:nic0", "left", ""),
        "left: sim:nic0 has no such port; there are pf0, vf0, vf1, ... vf255"
    );
    assert_eq!(error_of(&switch, "sim:nic0", "vf0", ""), "[]");
    let status = switch.vsctl("get interface vf0 status:hal_device").ok();
    assert_eq!(status.trim().trim_matches('"'), "sim:nic0");
    let settings = switch.path("sim-nic1.json");
    let cases = [
        ("{\"seed\":\"x\"}", "seed: invalid type: string"),
        (
            "{\"faults\":{\"table-full\":-1}}",
            "faults: table-full: invalid value",
        ),
        (
            "{\"faults\":{\"fail-insert\":2}}",
            "faults: fail-insert: 2 is not between 0 and 1",
        ),
        ("{\"colour\":1}", "colour: unknown field"),
    ];
    for (text, why) in cases {
        fs::write(&settings, text).unwrap();
        let error = error_of(&switch, "sim:nic1", "vf0", "");
        let expected = format!("{}: {why}", settings.display());
        assert!(error.starts_with(&expected), "{text}: {error}");
    }
}
