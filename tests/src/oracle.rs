//! Random OpenFlow tables and packets, from a seed.
//!
//! Fields take their values from small pools, so that rules meet packets and rules overlap; each
//! packet has near relatives that differ in one field, and comes again later, so that a megaflow
//! whose mask is too wide answers for a packet that it must not.

use std::fmt::Write as _;

use fastrand::Rng;

use crate::frame::{Ipv4, Ipv6, arp, ethernet, hex, mac, tagged};

/// How many dummy ports a case uses, numbered from 1.
pub const PORTS: u32 = 4;
/// How many OpenFlow tables a case uses, numbered from 0.
const TABLES: u32 = 4;

/// One case: a table to install, and packets to send, in order.
#[derive(Debug, Clone)]
pub struct Case {
    /// The seed that makes this case again.
    pub seed: u64,
    /// Flows in `ovs-ofctl`'s syntax (OpenFlow 1.3).
    pub flows: Vec<String>,
    /// Port number and frame.
    pub packets: Vec<(u32, Vec<u8>)>,
}

/// What a packet is, and so which fields a rule about it may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tcp,
    Udp,
    Icmp,
    Arp,
    Tcp6,
    Udp6,
    Icmp6,
    Other,
}

const KINDS: [Kind; 8] = [
    Kind::Tcp,
    Kind::Udp,
    Kind::Icmp,
    Kind::Arp,
    Kind::Tcp6,
    Kind::Udp6,
    Kind::Icmp6,
    Kind::Other,
];

impl Kind {
    fn keyword(self) -> &'static str {
        match self {
            Kind::Tcp => "tcp",
            Kind::Udp => "udp",
            Kind::Icmp => "icmp",
            Kind::Arp => "arp",
            Kind::Tcp6 => "tcp6",
            Kind::Udp6 => "udp6",
            Kind::Icmp6 => "icmp6",
            Kind::Other => "dl_type=0x88b5",
        }
    }

    fn is_v4(self) -> bool {
        matches!(self, Kind::Tcp | Kind::Udp | Kind::Icmp)
    }

    fn is_v6(self) -> bool {
        matches!(self, Kind::Tcp6 | Kind::Udp6 | Kind::Icmp6)
    }

    fn ports(self) -> Option<&'static str> {
        match self {
            Kind::Tcp | Kind::Tcp6 => Some("tcp"),
            Kind::Udp | Kind::Udp6 => Some("udp"),
            _ => None,
        }
    }
}

/// A packet before it is bytes.
#[derive(Debug, Clone, Copy)]
struct Plan {
    port: u32,
    kind: Kind,
    src: u8,
    dst: u8,
    vlan: Option<(u16, u8)>,
    from: u8,
    to: u8,
    tos: u8,
    ttl: u8,
    sport: u16,
    dport: u16,
    flags: u8,
    code: u8,
    size: usize,
}

const L4: [u16; 5] = [53, 80, 443, 1000, 1001];
const VLANS: [u16; 3] = [10, 11, 20];
const TOS: [u8; 4] = [0, 0x20, 0xb8, 0x29];
const TTL: [u8; 4] = [1, 2, 64, 255];

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(0..from.len())]
}

/// Station `n`'s address; 0 is everybody, 7 a group.
fn station(n: u8) -> [u8; 6] {
    match n {
        0 => [0xff; 6],
        7 => [0x01, 0, 0x5e, 0, 0, 7],
        n => mac(n),
    }
}

fn mac_text(address: [u8; 6]) -> String {
    let parts: Vec<String> = address.iter().map(|b| format!("{b:02x}")).collect();
    parts.join(":")
}

fn v4(n: u8) -> [u8; 4] {
    match n {
        1..=3 => [10, 0, 0, n],
        _ => [192, 168, n, 1],
    }
}

fn v4_text(n: u8) -> String {
    let [a, b, c, d] = v4(n);
    format!("{a}.{b}.{c}.{d}")
}

fn v6(n: u8) -> [u8; 16] {
    let mut address = [0; 16];
    address[..2].copy_from_slice(&[0xfd, n & 1]);
    address[15] = n;
    address
}

fn v6_text(n: u8) -> String {
    format!("fd{:02x}::{:x}", n & 1, n)
}

impl Plan {
    fn random(rng: &mut Rng) -> Plan {
        Plan {
            port: rng.u32(1..=PORTS),
            kind: pick(rng, &KINDS),
            src: rng.u8(1..=4),
            dst: pick(rng, &[0, 1, 2, 3, 4, 7]),
            vlan: rng
                .bool()
                .then(|| (pick(rng, &VLANS), pick(rng, &[0, 3, 7]))),
            from: rng.u8(1..=5),
            to: rng.u8(1..=5),
            tos: pick(rng, &TOS),
            ttl: pick(rng, &TTL),
            sport: pick(rng, &L4),
            dport: pick(rng, &L4),
            flags: pick(rng, &[0x02, 0x10, 0x18, 0x11]),
            code: rng.u8(0..=1),
            size: pick(rng, &[0, 1, 18, 100, 1000]),
        }
    }

    /// The same but for one thing.
    fn relative(mut self, rng: &mut Rng) -> Plan {
        let other = Plan::random(rng);
        match rng.u8(0..13) {
            0 => self.port = other.port,
            1 => self.kind = other.kind,
            2 => self.src = other.src,
            3 => self.dst = other.dst,
            4 => self.vlan = other.vlan,
            5 => self.from = other.from,
            6 => self.to = other.to,
            7 => self.tos = other.tos,
            8 => self.ttl = other.ttl,
            9 => self.sport = other.sport,
            10 => self.dport = other.dport,
            11 => self.flags = other.flags,
            _ => self.code = other.code,
        }
        self
    }

    fn bytes(self) -> Vec<u8> {
        let data: Vec<u8> = (0u8..=255).cycle().take(self.size).collect();
        let ip = Ipv4 {
            src: v4(self.from),
            dst: v4(self.to),
            tos: self.tos,
            ttl: self.ttl,
        };
        let ip6 = Ipv6 {
            src: v6(self.from),
            dst: v6(self.to),
            class: self.tos,
            hops: self.ttl,
        };
        let (ethertype, payload) = match self.kind {
            Kind::Tcp => (0x800, ip.tcp(self.sport, self.dport, self.flags, &data)),
            Kind::Udp => (0x800, ip.udp(self.sport, self.dport, &data)),
            Kind::Icmp => (0x800, ip.icmp(8, self.code, &data)),
            Kind::Tcp6 => (0x86dd, ip6.tcp(self.sport, self.dport, self.flags, &data)),
            Kind::Udp6 => (0x86dd, ip6.udp(self.sport, self.dport, &data)),
            Kind::Icmp6 => (0x86dd, ip6.icmp(128, self.code, &data)),
            Kind::Arp => {
                let operation = 1 + u16::from(self.code);
                let asked = [mac(self.dst.max(1)), [0; 6]][usize::from(self.code == 0)];
                let (src, dst) = (v4(self.from), v4(self.to));
                (0x806, arp(operation, mac(self.src), src, asked, dst))
            }
            Kind::Other => (0x88b5, data.clone()),
        };
        let mut frame = ethernet(station(self.dst), mac(self.src), ethertype, &payload);
        // The smallest frame of Ethernet, as a wire would carry it.
        if frame.len() < 60 {
            frame.resize(60, 0);
        }
        match self.vlan {
            Some((vid, pcp)) => tagged(&frame, vid, pcp),
            None => frame,
        }
    }
}

/// `value` or `value/mask`, the mask one time in three.
fn masked(rng: &mut Rng, value: String, masks: &[&str]) -> String {
    if rng.u8(0..3) == 0 {
        format!("{value}/{}", pick(rng, masks))
    } else {
        value
    }
}

/// A match about packets like `plan`, and its kind if it names one.
fn matching(rng: &mut Rng, plan: Plan, table: u32) -> (Vec<String>, Option<Kind>) {
    let mut out = Vec::new();
    let kind = (rng.u8(0..4) > 0).then_some(plan.kind);
    let often = |chance: u8, rng: &mut Rng| rng.u8(0..10) < chance;
    if let Some(kind) = kind {
        out.push(kind.keyword().to_owned());
    }
    if often(3, rng) {
        out.push(format!("in_port={}", plan.port));
    }
    if often(2, rng) {
        let address = mac_text(station(plan.src));
        let masks = [
            "ff:ff:ff:00:00:00",
            "00:00:00:00:00:03",
            "ff:ff:ff:ff:ff:fe",
        ];
        out.push(format!("dl_src={}", masked(rng, address, &masks)));
    }
    if often(2, rng) {
        let address = mac_text(station(plan.dst));
        let masks = ["01:00:00:00:00:00", "ff:ff:ff:ff:ff:fc"];
        out.push(format!("dl_dst={}", masked(rng, address, &masks)));
    }
    if often(3, rng) {
        match (plan.vlan, rng.u8(0..4)) {
            (None, _) => out.push("vlan_tci=0x0000/0x1fff".to_owned()),
            (Some((vid, _)), 0) => out.push(format!("vlan_tci=0x{:04x}/0x1ffe", 0x1000 | vid)),
            (Some(_), 1) => out.push("vlan_tci=0x1000/0x1000".to_owned()),
            (Some((vid, pcp)), 2) => {
                out.push(format!("dl_vlan={vid}"));
                out.push(format!("dl_vlan_pcp={pcp}"));
            }
            (Some((vid, _)), _) => out.push(format!("dl_vlan={vid}")),
        }
    }
    if let Some(kind) = kind {
        layer3(rng, plan, kind, &mut out);
    }
    if table > 0 {
        if often(2, rng) {
            out.push(format!(
                "reg0={}",
                masked(rng, rng_small(plan), &["0x1", "0xf0"])
            ));
        }
        if often(2, rng) {
            let value = u8::from(rng.bool());
            out.push(format!("metadata=0x{value:x}/0x1"));
        }
    }
    (out, kind)
}

fn rng_small(plan: Plan) -> String {
    format!("0x{:x}", plan.from)
}

fn layer3(rng: &mut Rng, plan: Plan, kind: Kind, out: &mut Vec<String>) {
    let often = |chance: u8, rng: &mut Rng| rng.u8(0..10) < chance;
    if kind.is_v4() || kind == Kind::Arp {
        let masks = ["8", "24", "31", "255.0.0.255", "0.0.0.1"];
        let (src, dst) = if kind == Kind::Arp && rng.bool() {
            ("arp_spa", "arp_tpa")
        } else {
            ("nw_src", "nw_dst")
        };
        if often(3, rng) {
            out.push(format!("{src}={}", masked(rng, v4_text(plan.from), &masks)));
        }
        if often(3, rng) {
            out.push(format!("{dst}={}", masked(rng, v4_text(plan.to), &masks)));
        }
    }
    if kind.is_v6() {
        let masks = ["16", "64", "127", "::1"];
        if often(3, rng) {
            let text = masked(rng, v6_text(plan.from), &masks);
            out.push(format!("ipv6_src={text}"));
        }
        if often(3, rng) {
            out.push(format!(
                "ipv6_dst={}",
                masked(rng, v6_text(plan.to), &masks)
            ));
        }
    }
    if kind.is_v4() || kind.is_v6() {
        if often(1, rng) {
            out.push(format!("nw_tos={}", plan.tos & 0xfc));
        }
        if often(1, rng) {
            out.push(format!("nw_ecn={}", plan.tos & 3));
        }
        if often(1, rng) {
            out.push(format!("nw_ttl={}", plan.ttl));
        }
    }
    if kind.ports().is_some() {
        let masks = ["0xfff0", "0xff00", "0x0001"];
        if often(2, rng) {
            let text = masked(rng, plan.sport.to_string(), &masks);
            out.push(format!("tp_src={text}"));
        }
        if often(3, rng) {
            let text = masked(rng, plan.dport.to_string(), &masks);
            out.push(format!("tp_dst={text}"));
        }
    }
    match kind {
        Kind::Tcp | Kind::Tcp6 if often(1, rng) => {
            out.push(
                pick(
                    rng,
                    &[
                        "tcp_flags=+syn-ack",
                        "tcp_flags=+ack",
                        "tcp_flags=0x12/0x12",
                    ],
                )
                .into(),
            );
        }
        Kind::Icmp | Kind::Icmp6 if often(3, rng) => {
            let kind = if kind == Kind::Icmp { 8 } else { 128 };
            out.push(format!("icmp_type={kind}"));
            if rng.bool() {
                out.push(format!("icmp_code={}", plan.code));
            }
        }
        Kind::Arp if often(3, rng) => out.push(format!("arp_op={}", 1 + plan.code)),
        Kind::Arp if often(2, rng) => out.push(format!("arp_sha={}", mac_text(mac(plan.src)))),
        _ => {}
    }
}

/// Actions that change a packet which a rule about `kind` matched.
///
/// `tagged` says whether a tag is there for certain: OpenFlow 1.3 takes `strip_vlan` only then.
fn change(rng: &mut Rng, kind: Option<Kind>, tagged: &mut bool) -> String {
    let n = rng.u8(1..=5);
    let station = mac_text(mac(n));
    loop {
        let choice = rng.u8(0..20);
        let v4_rule = kind.is_some_and(Kind::is_v4);
        let v6_rule = kind.is_some_and(Kind::is_v6);
        return match choice {
            0 => format!("mod_dl_src:{station}"),
            1 => format!("set_field:{station}->eth_dst"),
            2 => format!("mod_vlan_vid:{}", pick(rng, &VLANS)),
            3 => format!("mod_vlan_pcp:{}", rng.u8(0..8)),
            4 if *tagged => {
                *tagged = false;
                "strip_vlan".to_owned()
            }
            5 => "push_vlan:0x8100".to_owned(),
            6 => format!("load:0x{n:x}->NXM_NX_REG0[]"),
            7 => format!("load:0x{:x}->NXM_NX_REG0[{}..7]", n & 3, pick(rng, &[4, 5])),
            8 => "move:NXM_NX_REG0[0..15]->NXM_NX_REG1[16..31]".to_owned(),
            9 => "move:NXM_OF_ETH_SRC[0..15]->NXM_OF_ETH_DST[0..15]".to_owned(),
            10 => "move:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15]".to_owned(),
            11 if v4_rule => format!("mod_nw_src:{}", v4_text(n)),
            12 if v4_rule => format!("mod_nw_dst:{}", v4_text(n)),
            13 if v4_rule => "move:NXM_OF_IP_SRC[]->NXM_OF_IP_DST[]".to_owned(),
            14 if v4_rule || v6_rule => format!("mod_nw_tos:{}", pick(rng, &TOS) & 0xfc),
            15 if v4_rule || v6_rule => "dec_ttl".to_owned(),
            16 if v6_rule => format!("set_field:{}->ipv6_dst", v6_text(n)),
            17 if kind.is_some_and(|k| k.ports().is_some()) => {
                format!("mod_tp_dst:{}", pick(rng, &L4))
            }
            18 if kind.is_some_and(|k| k.ports().is_some()) => {
                format!("mod_tp_src:{}", pick(rng, &L4))
            }
            19 if kind == Some(Kind::Arp) => {
                format!("set_field:{}->arp_tpa", v4_text(n))
            }
            _ => continue,
        };
    }
}

fn output(rng: &mut Rng) -> String {
    match rng.u8(0..12) {
        0 => "NORMAL".to_owned(),
        1 => "FLOOD".to_owned(),
        2 => "ALL".to_owned(),
        3 => "IN_PORT".to_owned(),
        4 => "LOCAL".to_owned(),
        5 => "output:NXM_NX_REG0[0..2]".to_owned(),
        _ => format!("output:{}", rng.u32(1..=PORTS)),
    }
}

fn actions(rng: &mut Rng, kind: Option<Kind>, mut tagged: bool, table: u32) -> String {
    if rng.u8(0..12) == 0 {
        return "drop".to_owned();
    }
    let mut list = Vec::new();
    let later = table + 1 < TABLES;
    for _ in 0..rng.u8(1..=4) {
        list.push(match rng.u8(0..10) {
            0..=3 => change(rng, kind, &mut tagged),
            4 | 5 if later => {
                let to = rng.u32(table + 1..TABLES);
                if rng.u8(0..4) == 0 {
                    format!("resubmit({},{to})", rng.u32(1..=PORTS))
                } else {
                    format!("resubmit(,{to})")
                }
            }
            _ => output(rng),
        });
    }
    // Instructions, in the order that OpenFlow 1.3 gives them.
    match rng.u8(0..10) {
        0 => list.push("clear_actions".to_owned()),
        1 => list.push(format!(
            "write_actions(set_field:{}->eth_src,output:{})",
            mac_text(mac(9)),
            rng.u32(1..=PORTS)
        )),
        _ => {}
    }
    if later {
        if rng.u8(0..6) == 0 {
            list.push("write_metadata:0x1/0x3".to_owned());
        }
        if rng.u8(0..3) == 0 {
            list.push(format!("goto_table:{}", rng.u32(table + 1..TABLES)));
        }
    }
    list.join(",")
}

impl Case {
    /// The case of this seed.
    pub fn new(seed: u64) -> Case {
        let rng = &mut Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut plans: Vec<Plan> = (0..rng.usize(1..=3)).map(|_| Plan::random(rng)).collect();
        for _ in 0..rng.usize(2..=6) {
            let base = plans[rng.usize(0..plans.len())];
            plans.push(base.relative(rng));
        }
        let mut flows = Vec::new();
        for _ in 0..rng.usize(2..=12) {
            let table = if rng.bool() { 0 } else { rng.u32(1..TABLES) };
            let like = plans[rng.usize(0..plans.len())];
            let (mut words, kind) = matching(rng, like, table);
            let tagged = words
                .iter()
                .any(|word| word.starts_with("dl_vlan=") || word.starts_with("vlan_tci=0x1"));
            // One priority a rule: which of two equals is taken is nobody's promise.
            let priority =
                100 + 50 * u32::from(rng.bool()) + u32::try_from(flows.len()).unwrap_or(0);
            words.insert(0, format!("table={table},priority={priority}"));
            flows.push(format!(
                "{},actions={}",
                words.join(","),
                actions(rng, kind, tagged, table)
            ));
        }
        for table in 0..TABLES {
            if rng.bool() {
                let last = output(rng);
                flows.push(format!("table={table},priority=1,actions={last}"));
            }
        }
        let mut packets = Vec::new();
        for _ in 0..rng.usize(6..=12) {
            let plan = plans[rng.usize(0..plans.len())];
            packets.push((plan.port, plan.bytes()));
        }
        Case {
            seed,
            flows,
            packets,
        }
    }

    /// Whether packets may teach the switch where stations are.
    pub fn learns(&self) -> bool {
        self.flows.iter().any(|flow| flow.contains("NORMAL"))
    }

    /// The flows as a file for `ovs-ofctl add-flows`.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for flow in &self.flows {
            let _ = writeln!(text, "{flow}");
        }
        text
    }

    /// A shell script that plays this case on a running `ovs-vswitchd --enable-dummy`.
    pub fn script(&self) -> String {
        let mut text = format!(
            "# seed {}: HALYARD_ORACLE_SEED={} HALYARD_ORACLE_CASES=1\n\
             ovs-vsctl add-br br0 -- set bridge br0 datapath_type=dummy fail_mode=secure \\\n  \
             protocols=OpenFlow10,OpenFlow13",
            self.seed, self.seed
        );
        for n in 1..=PORTS {
            let _ = write!(
                text,
                " \\\n  -- add-port br0 p{n} -- set interface p{n} type=dummy ofport_request={n} \
                 options:tx_pcap=$PWD/p{n}.pcap"
            );
        }
        text.push_str("\novs-appctl time/stop\ncat > flows.txt <<'END'\n");
        text.push_str(&self.table());
        text.push_str("END\novs-ofctl -O OpenFlow13 add-flows br0 flows.txt\n");
        for (port, frame) in &self.packets {
            let _ = writeln!(
                text,
                "ovs-appctl netdev-dummy/receive p{port} {}",
                hex(frame)
            );
        }
        text.push_str(
            "ovs-appctl revalidator/purge\novs-ofctl -O OpenFlow13 dump-flows br0\n\
             for p in p1 p2 p3 p4; do tcpdump -ennxr $p.pcap; done\n",
        );
        text
    }
}
