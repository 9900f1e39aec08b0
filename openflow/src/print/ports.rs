//! Ports and queues.

use super::{Printer, bit_names};
use crate::message::*;
use crate::port::OfPort;
use crate::text::{Names, format_duration};

const CONFIG: [(u32, &str); 7] = [
    (1 << 0, "PORT_DOWN"),
    (1 << 1, "NO_STP"),
    (1 << 2, "NO_RECV"),
    (1 << 3, "NO_RECV_STP"),
    (1 << 4, "NO_FLOOD"),
    (1 << 5, "NO_FWD"),
    (1 << 6, "NO_PACKET_IN"),
];

const FEATURES: [(u32, &str); 16] = [
    (1 << 0, "10MB-HD"),
    (1 << 1, "10MB-FD"),
    (1 << 2, "100MB-HD"),
    (1 << 3, "100MB-FD"),
    (1 << 4, "1GB-HD"),
    (1 << 5, "1GB-FD"),
    (1 << 6, "10GB-FD"),
    (1 << 7, "40GB-FD"),
    (1 << 8, "100GB-FD"),
    (1 << 9, "1TB-FD"),
    (1 << 10, "OTHER"),
    (1 << 11, "COPPER"),
    (1 << 12, "FIBER"),
    (1 << 13, "AUTO_NEG"),
    (1 << 14, "AUTO_PAUSE"),
    (1 << 15, "AUTO_PAUSE_ASYM"),
];

fn state(bits: u32) -> String {
    const STATE: [(u32, &str); 3] = [(1, "LINK_DOWN"), (2, "BLOCKED"), (4, "LIVE")];
    let stp = match bits >> 8 & 3 {
        1 => "STP_LEARN",
        2 => "STP_FORWARD",
        3 => "STP_BLOCK",
        _ => "",
    };
    let rest = bits & !0x300;
    match (rest, stp) {
        (_, "") => bit_names(rest, &STATE, ' '),
        (0, stp) => stp.to_string(),
        (_, stp) => format!("{} {stp}", bit_names(rest, &STATE, ' ')),
    }
}

fn mac(m: &[u8; 6]) -> String {
    let all: Vec<String> = m.iter().map(|b| format!("{b:02x}")).collect();
    all.join(":")
}

/// A port's description, several lines.
pub(super) fn format_port(p: &PhyPort) -> String {
    let name: String = p
        .name
        .chars()
        .take_while(|c| *c == ' ' || c.is_ascii_graphic())
        .collect();
    let mut s = format!(
        " {}({name}): addr:{}\n     config:     {}\n     state:      {}\n",
        Names::none().show_port(p.port),
        mac(&p.hw_addr),
        bit_names(p.config, &CONFIG, ' '),
        state(p.state)
    );
    for (title, features) in [
        ("current:    ", p.curr),
        ("advertised: ", p.advertised),
        ("supported:  ", p.supported),
        ("peer:       ", p.peer),
    ] {
        if features != 0 {
            s.push_str(&format!(
                "     {title}{}\n",
                bit_names(features, &FEATURES, ' ')
            ));
        }
    }
    s.push_str(&format!(
        "     speed: {} Mbps now, {} Mbps max\n",
        p.curr_speed / 1000,
        p.max_speed / 1000
    ));
    s
}

/// A queue's number, or ALL.
pub(super) fn queue_name(q: u32) -> String {
    if q == QUEUE_ALL {
        "ALL".into()
    } else {
        q.to_string()
    }
}

fn count(n: u64) -> String {
    if n == u64::MAX {
        "?".into()
    } else {
        n.to_string()
    }
}

fn rfc2819(s: &mut String, title: &str, all: &[(&str, u64)]) {
    let known: String = all
        .iter()
        .filter(|(_, n)| *n != u64::MAX)
        .map(|(name, n)| format!("{name}={n}, "))
        .collect();
    if !known.is_empty() {
        s.push_str(&format!("           {title} rfc2819 {known}\n"));
    }
}

const SIZES: [&str; 7] = [
    "1_to_64_packets",
    "65_to_127_packets",
    "128_to_255_packets",
    "256_to_511_packets",
    "512_to_1023_packets",
    "1024_to_1522_packets",
    "1523_to_max_packets",
];

impl Printer<'_> {
    pub(super) fn port_mod(&self, s: &mut String, p: &PortMod) {
        let advertise = if p.advertise != 0 {
            bit_names(p.advertise, &FEATURES, ' ')
        } else {
            "UNCHANGED".to_string()
        };
        s.push_str(&format!(
            " port: {}: addr:{}\n     config: {}\n     mask:   {}\n     advertise: {advertise}\n",
            self.names.show_port(p.port),
            mac(&p.hw_addr),
            bit_names(p.config, &CONFIG, ' '),
            bit_names(p.mask, &CONFIG, ' ')
        ));
    }

    pub(super) fn port_stats(&self, s: &mut String, ports: &[PortStats]) {
        s.push_str(&format!(" {} ports\n", ports.len()));
        if self.verbosity < 1 {
            return;
        }
        for p in ports {
            let pad = if p.port < OfPort(10) { " " } else { "" };
            s.push_str(&format!(
                "  port {pad}{}: rx pkts={}, bytes={}, drop={}, errs={}, frame={}, over={}, crc={}\n",
                self.names.show_port(p.port),
                count(p.rx_packets),
                count(p.rx_bytes),
                count(p.rx_dropped),
                count(p.rx_errors),
                count(p.rx_frame_err),
                count(p.rx_over_err),
                count(p.rx_crc_err)
            ));
            s.push_str(&format!(
                "           tx pkts={}, bytes={}, drop={}, errs={}, coll={}\n",
                count(p.tx_packets),
                count(p.tx_bytes),
                count(p.tx_dropped),
                count(p.tx_errors),
                count(p.collisions)
            ));
            if let Some(d) = p.duration.filter(|d| d.sec != u32::MAX) {
                s.push_str(&format!("           duration={}\n", format_duration(d)));
            }
            if let Some(all) = &p.rfc2819 {
                let mut rx: Vec<(&str, u64)> = SIZES
                    .iter()
                    .copied()
                    .zip(all[..7].iter().copied())
                    .collect();
                let mut tx: Vec<(&str, u64)> = SIZES
                    .iter()
                    .copied()
                    .zip(all[7..14].iter().copied())
                    .collect();
                tx.push(("multicast_packets", all[14]));
                rx.push(("broadcast_packets", all[15]));
                rfc2819(s, "rx", &rx);
                rfc2819(s, "tx", &tx);
            }
            if !p.custom.is_empty() {
                s.push_str("           CUSTOM Statistics");
                for (i, (name, n)) in p.custom.iter().enumerate() {
                    s.push_str(if i % 3 == 0 {
                        "\n                      "
                    } else {
                        " "
                    });
                    s.push_str(&format!("{name}={n},"));
                }
                s.push('\n');
            }
        }
    }

    pub(super) fn queue_stats(&self, s: &mut String, queues: &[QueueStats]) {
        s.push_str(&format!(" {} queues\n", queues.len()));
        if self.verbosity < 1 {
            return;
        }
        for q in queues {
            let duration = match q.duration.filter(|d| d.sec != u32::MAX) {
                Some(d) => format_duration(d),
                None => "?".to_string(),
            };
            s.push_str(&format!(
                "  port {} queue {}: bytes={}, pkts={}, errors={}, duration={duration}\n",
                self.names.show_port(q.port),
                queue_name(q.queue),
                count(q.tx_bytes),
                count(q.tx_packets),
                count(q.tx_errors)
            ));
        }
    }

    pub(super) fn queue_configs(&self, s: &mut String, queues: &[QueueConfig]) {
        let mut all = queues.to_vec();
        all.sort_by_key(|q| (q.port, q.queue));
        if !all.is_empty() {
            s.push(' ');
        }
        let mut port = OfPort(0);
        for q in all {
            if q.port != port {
                port = q.port;
                s.push_str(&format!("port={}\n", self.names.show_port(port)));
            }
            s.push_str(&format!("queue {}:", q.queue));
            for (name, rate) in [("min_rate", q.min_rate), ("max_rate", q.max_rate)] {
                if let Some(r) = rate {
                    s.push_str(&format!(" {name}:{}.{}%", r / 10, r % 10));
                }
            }
            s.push('\n');
        }
    }
}
