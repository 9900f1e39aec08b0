//! Two machines behind virtual functions of a simulated NIC, with registers in the daemon's process
//! (`connectx:`) or in one of its own (`vfio-user:`), or without (`sim:`): what hardware carries, what software carries,
//! and what a NIC that fails costs.

use std::fs;

use end_to_end::{Make, Netns, NicSim, Switch, eventually, namespaces_allowed, run};

struct Net {
    /// The NIC: `sim:nic`, `connectx:nic` or `vfio-user:...`.
    nic: String,
    left: Netns,
    right: Netns,
    // Dropped before their namespace.
    switch: Switch,
    process: Option<NicSim>,
    here: Netns,
}

/// The wires of the machines' functions.
const WIRES: [&str; 2] = ["vf0=packet:wire0", "vf1=packet:wire1"];

/// Two machines, 10.9.0.1 and 10.9.0.2, behind `vf0` and `vf1` of a NIC of this kind with these
/// settings, on a bridge that forwards ICMP by two flows of its own and the rest by NORMAL.
fn two_machines(kind: &str, settings: &str) -> Net {
    let here = Netns::new();
    let (left, right) = (Netns::new(), Netns::new());
    let switch = Switch::within(&here, Make::Ours);
    fs::write(switch.path(&format!("{kind}-nic.json")), settings).expect("the NIC's settings");
    let process = (kind == "vfio-user").then(|| {
        for (i, machine) in [&left, &right].into_iter().enumerate() {
            here.wire(&format!("wire{i}"), machine, "eth0");
        }
        NicSim::start(&here, &WIRES)
    });
    let nic = match &process {
        Some(process) => process.device(),
        None => format!("{kind}:nic"),
    };
    switch
        .vsctl(
            "set Open_vSwitch . other_config:hw-offload=true other_config:offload-admit=always \
             -- add-br br0 -- set bridge br0 datapath_type=netdev",
        )
        .ok();
    for (i, machine) in [&left, &right].into_iter().enumerate() {
        let wire = match &process {
            Some(_) => String::new(),
            None => format!("options:hal-wire=tap:wire{i}"),
        };
        switch
            .vsctl(&format!(
                "add-port br0 vf{i} -- set interface vf{i} type=hal options:hal-device={nic} \
                 options:hal-port=vf{i} {wire}"
            ))
            .ok();
        if process.is_none() {
            here.ip(&format!(
                "link set wire{i} netns {} name eth0",
                machine.name()
            ));
            machine.ip("link set eth0 up");
        }
        machine.ip(&format!("addr add 10.9.0.{}/24 dev eth0", i + 1));
    }
    switch
        .ofctl("add-flow br0 priority=1,in_port=vf0,icmp,actions=output:vf1")
        .ok();
    switch
        .ofctl("add-flow br0 priority=1,in_port=vf1,icmp,actions=output:vf0")
        .ok();
    eventually("the machines know each other", || {
        let mut ping = left.command("ping");
        (run(ping.args(["-c1", "-W1", "10.9.0.2"])).code == 0).then_some(())
    });
    Net {
        nic,
        left,
        right,
        switch,
        process,
        here,
    }
}

impl Net {
    /// Echo requests until so many are answered; the number of requests. One that is answered late
    /// is not waited for, and another is sent: that each is answered, the flows' counters show.
    #[track_caller]
    fn pings(&self, count: u64) -> u64 {
        let answers = count.to_string();
        let mut ping = self.left.command("ping");
        let told = run(ping.args(["-q", "-c", &answers, "-i0.005", "-w40", "10.9.0.2"])).ok();
        let number = |after: &str| {
            let before = told.split(after).next()?;
            before.rsplit([' ', '\n']).next()?.parse::<u64>().ok()
        };
        let sent = number(" packets transmitted").expect("what ping says");
        let received = number(" received").expect("what ping says");
        assert!(received >= count, "{told}");
        sent
    }

    /// Packets by OpenFlow's counters.
    fn counted(&self) -> u64 {
        let flows = self.switch.ofctl("dump-flows br0 icmp").ok();
        let numbers = flows.split("n_packets=").skip(1).filter_map(|rest| {
            let digits = rest.split(',').next()?;
            digits.parse::<u64>().ok()
        });
        numbers.sum()
    }

    /// `offload/show` of the NIC.
    fn shown(&self) -> serde_json::Value {
        let mut ours = self.switch.our_tool("ovs-appctl");
        let text = run(ours.args(["--format", "json", "offload/show"])).ok();
        let all: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        all["netdev"]["devices"][0].clone()
    }

    fn hits(&self) -> u64 {
        self.shown()["hits"].as_u64().expect("a number")
    }

    /// Flows that come and go while every ping is answered, each packet counted in the end.
    #[track_caller]
    fn adds_up(&self) {
        let before = self.counted();
        let mut sent = 0;
        for round in 0..12 {
            // A request and its answer.
            sent += 2 * self.pings(10);
            match round % 3 {
                0 => self.switch.appctl("revalidator/purge").ok(),
                1 => self.change("mod_nw_tos:8,"),
                _ => self.change(""),
            };
        }
        let mut last = 0;
        let reached = end_to_end::within(std::time::Duration::from_secs(60), || {
            last = self.counted() - before;
            (last == sent).then_some(())
        });
        assert!(
            reached.is_some(),
            "{last} of {sent} counted\n{}",
            self.shown()
        );
    }

    /// The flows do something else first.
    fn change(&self, first: &str) -> String {
        for (from, to) in [("vf0", "vf1"), ("vf1", "vf0")] {
            let flow = format!("in_port={from},icmp,actions={first}output:{to}");
            self.switch.ofctl(&format!("mod-flows br0 {flow}")).ok();
        }
        String::new()
    }
}

fn hardware_carries(kind: &str) {
    if !namespaces_allowed() {
        return;
    }
    let net = two_machines(kind, "{}");
    net.adds_up();
    eventually("what is sent is carried by the NIC", || {
        let hits = net.hits();
        let sent = net.pings(100);
        // A NIC's counters are read now and then.
        let soon = std::time::Duration::from_secs(5);
        let carried = || (net.hits() >= hits + 2 * sent - 10).then_some(());
        end_to_end::within(soon, carried)
    });
    let flows = net.switch.appctl("dpctl/dump-flows -m type=offloaded").ok();
    assert!(flows.contains("offloaded:yes, dp:hal"), "{flows}");
    // One flow is asked for by its packets, in either language.
    let explain = |flow: &str| net.switch.appctl_args(&["offload/explain", flow]);
    let whole = "in_port(2),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),\
                 ipv4(src=10.9.0.1,dst=10.9.0.2,proto=1,tos=0,ttl=64,frag=no),icmp(type=8,code=0)";
    for flow in [whole, "icmp,in_port=vf0"] {
        let told = explain(flow).ok();
        assert_eq!(
            told.matches(&format!("in hardware: {}", net.nic)).count(),
            1,
            "{told}"
        );
        assert!(told.contains("in_port(2)"), "{told}");
    }
    assert!(explain("bogus").fails(2).contains("bogus"));
    assert!(
        explain("in_port(77)")
            .fails(2)
            .contains("no flow in_port(77)")
    );

    // Off and on again while packets fly.
    net.switch
        .vsctl("set Open_vSwitch . other_config:hw-offload=false")
        .ok();
    eventually("the rules are gone", || {
        (net.shown()["rules"] == 0).then_some(())
    });
    let hits = net.hits();
    net.adds_up();
    assert_eq!(net.hits(), hits);
    net.switch
        .vsctl("set Open_vSwitch . other_config:hw-offload=true")
        .ok();
    net.adds_up();
    assert!(net.hits() > hits);
}

#[test]
fn hardware_carries_what_software_does_not() {
    hardware_carries("sim");
}

#[test]
fn a_connectx_carries_what_software_does_not() {
    hardware_carries("connectx");
}

#[test]
fn a_transfer_crosses_the_nic() {
    transfer("sim");
}

#[test]
fn a_transfer_crosses_a_connectx() {
    transfer("connectx");
}

#[test]
fn a_transfer_crosses_a_nic_in_another_process() {
    transfer("vfio-user");
}

#[test]
fn a_nic_that_is_killed_comes_back_with_its_rules() {
    if !namespaces_allowed() {
        return;
    }
    let mut net = two_machines("vfio-user", "{}");
    let carried = |net: &Net| {
        eventually("what is sent is carried by the NIC", || {
            let hits = net.hits();
            let sent = net.pings(20);
            let soon = std::time::Duration::from_secs(5);
            end_to_end::within(soon, || (net.hits() >= hits + 2 * sent - 4).then_some(()))
        });
    };
    carried(&net);
    for _ in 0..2 {
        net.process.as_mut().expect("a process").kill();
        eventually("the flows say why they are in software", || {
            let told = net.switch.appctl("offload/explain").ok();
            told.contains("the NIC is not working").then_some(())
        });
        let log = net.switch.log();
        assert!(log.contains("the device is gone"), "{log}");
        eventually("the interfaces say so too", || {
            let columns = "get interface vf0 status:hal_error link_state";
            let told = net.switch.vsctl(columns).out;
            (told.contains(&net.nic) && told.contains("down")).then_some(())
        });
        net.process.as_mut().expect("a process").restart(&net.here);
        carried(&net);
        eventually("the interfaces say nothing of it any more", || {
            let status = net.switch.vsctl("get interface vf0 status").ok();
            (!status.contains("hal_error")).then_some(())
        });
    }
}

fn transfer(kind: &str) {
    if !namespaces_allowed() {
        return;
    }
    let net = two_machines(kind, "{}");
    end_to_end::transfer::tcp(&net.left, &net.right, "10.9.0.2", 20_000_000);
    end_to_end::transfer::udp(&net.right, &net.left, "10.9.0.1", 2_000_000);
    assert!(net.hits() > 0);
}

/// A NIC with these faults costs no packet, and the counters add up.
fn faulty(faults: &str) -> Net {
    let net = two_machines("sim", &format!("{{ \"seed\": 5, \"faults\": {faults} }}"));
    net.adds_up();
    net
}

#[test]
fn a_nic_that_refuses_rules_costs_no_packet() {
    if namespaces_allowed() {
        faulty(r#"{ "fail-insert": 0.5 }"#);
    }
}

#[test]
fn a_nic_that_loses_completions_costs_no_packet() {
    if namespaces_allowed() {
        faulty(r#"{ "lose-completion": 0.3 }"#);
    }
}

#[test]
fn a_nic_that_is_late_costs_no_packet() {
    if namespaces_allowed() {
        faulty(r#"{ "late-completion": 300 }"#);
    }
}

#[test]
fn a_nic_that_stops_working_is_reset_and_costs_no_packet() {
    if namespaces_allowed() {
        let net = faulty(r#"{ "error-after": 9 }"#);
        let log = net.switch.log();
        assert!(log.contains("stopped after 9 operations"), "{log}");
        assert!(log.contains("sim:nic: works again"), "{log}");
    }
}

#[test]
fn a_nic_whose_table_is_full_says_why() {
    if namespaces_allowed() {
        let net = faulty(r#"{ "table-full": 1 }"#);
        net.pings(5);
        let why = net.switch.appctl("offload/explain").ok();
        assert!(why.contains("in hardware: sim:nic"), "{why}");
        assert!(
            why.contains("in software: the NIC's rules are all taken (1)"),
            "{why}"
        );
    }
}
