//! Wires to the host: a tap in one namespace and a veth to another, TCP between them through
//! rules of the simulated NIC, with whatever offloads the host's devices have by default.
//!
//! The test starts itself again in namespaces of its own, in the roles that `WIRE_ROLE` names.

use clock::Clock;
use hal::{Action, DpPort, MatchField, Outcome, RecircId, Rule, RuleKey, RuleOp};
use hal_sim::{Settings, SimDevice};
use packet::FieldId;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

const ROLE: &str = "WIRE_ROLE";
const BYTES: usize = 20_000_000;

/// This very test in another role, run by `wrapper`.
fn again(wrapper: &[&str], role: &str) -> Command {
    let mut command = Command::new(wrapper[0]);
    command
        .args(&wrapper[1..])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "tcp_crosses_from_a_tap_to_a_veth", "--nocapture"])
        .env(ROLE, role)
        .stdin(Stdio::null());
    command
}

fn run(command: &str) {
    let words: Vec<&str> = command.split_whitespace().collect();
    let done = Command::new(words[0]).args(&words[1..]).status().unwrap();
    assert!(done.success(), "{command}: {done}");
}

fn pattern() -> impl Iterator<Item = u8> {
    (0..BYTES as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
}

#[test]
fn tcp_crosses_from_a_tap_to_a_veth() {
    match std::env::var(ROLE).as_deref() {
        Err(_) => {
            let unshare = ["unshare", "--user", "--map-root-user", "--net", "--mount"];
            let done = again(&unshare, "nic").status().unwrap();
            assert!(done.success(), "{done}");
        }
        Ok("nic") => nic(),
        Ok("server") => server(),
        Ok("client") => client(),
        Ok(other) => panic!("{other}"),
    }
}

fn nic() {
    // Names of namespaces live in /run/netns, which must be ours alone.
    run("mount -t tmpfs none /run");
    run("ip netns add near");
    run("ip netns add far");
    run("ip link add veth0 type veth peer name veth1 netns far");
    run("ip link set veth0 up");
    let settings = Settings::default();
    let mut device = SimDevice::open("nic0", settings, Clock::real()).unwrap();
    let tap = device.open_port("pf0", Some("tap:sim0")).unwrap();
    let veth = device.open_port("vf0", Some("packet:veth0")).unwrap();
    assert!(!tap.link().carrier);
    run("ip link set sim0 netns near");
    for (i, port) in ["pf0", "vf0"].into_iter().enumerate() {
        device.bind_port(port, Some(DpPort(i as u32 + 1)));
    }
    for (ns, device, address) in [("near", "sim0", 1), ("far", "veth1", 2)] {
        run(&format!(
            "ip -n {ns} addr add 10.9.8.{address}/24 dev {device}"
        ));
        run(&format!("ip -n {ns} link set {device} up"));
    }
    // The kernel takes its time to say so.
    let up = || tap.link().carrier && veth.link().carrier;
    let clock = Clock::real();
    for _ in 0..3000 {
        if up() {
            break;
        }
        clock.pause_thread(std::time::Duration::from_millis(10));
    }
    assert!(up());
    for (key, to) in [(1u32, 2), (2, 1)] {
        let rule = Rule {
            recirc: RecircId(0),
            matches: vec![MatchField {
                field: FieldId::InPort,
                value: key.into(),
                mask: FieldId::InPort.full(),
            }],
            actions: vec![Action::Output(DpPort(to))],
            resume: None,
        };
        let key = RuleKey(key.into());
        device.submit(RuleOp::Add { key, rule }).unwrap();
    }
    let mut done = Vec::new();
    device.poll(&mut done).unwrap();
    let held = |c: &hal::Completion| matches!(c.outcome, Outcome::Installed(_));
    assert!(done.len() == 2 && done.iter().all(held), "{done:?}");

    let far = ["ip", "netns", "exec", "far"];
    let mut server = again(&far, "server")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = server.stdout.take().unwrap();
    let mut heard = String::new();
    while !heard.contains("listening") {
        let mut some = [0; 64];
        let n = said.read(&mut some).unwrap();
        assert_ne!(n, 0, "the server ended");
        heard.push_str(&String::from_utf8_lossy(&some[..n]));
    }
    let client = again(&["ip", "netns", "exec", "near"], "client").status();
    assert!(client.unwrap().success());
    assert!(server.wait().unwrap().success());
    let stats = device.stats();
    let (sent, received) = (veth.counters(), tap.counters());
    assert!(stats.hits > 100, "{stats:?}");
    assert!(sent.tx_bytes as usize > BYTES, "{sent:?}");
    assert_eq!((sent.tx_dropped, received.rx_errors), (0, 0));

    // A tap whose namespace has gone is a wire without frames, and can be let go.
    run("ip netns del near");
    // A tap that is let go is free at once.
    drop((tap, veth));
    for _ in 0..20 {
        drop(device.open_port("pf0", Some("tap:sim1")).unwrap());
    }
}

fn server() {
    let listener = TcpListener::bind("10.9.8.2:7000").unwrap();
    println!("listening");
    let (mut stream, _) = listener.accept().unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    assert!(all.into_iter().eq(pattern()), "other bytes came");
    stream.write_all(b"done").unwrap();
}

fn client() {
    let mut stream = TcpStream::connect("10.9.8.2:7000").unwrap();
    stream.write_all(&pattern().collect::<Vec<u8>>()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "done");
}
