//! From text to a key.

use super::attr::{ATTRS, ND_EXT};
use super::{flags, value};
use crate::key::{FlowMask, PacketKey};
use crate::layout::*;
use crate::parse::ethertype;

/// Why a datapath flow could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("syntax error at {at}")]
pub struct OdpError {
    /// The text from which on it could not be read.
    pub at: String,
}

type Words = [u64; PACKET_WORDS];

struct Reader<'a> {
    key: Words,
    mask: Words,
    any_mask: bool,
    port: &'a dyn Fn(&str) -> Option<u32>,
}

/// Reads a flow: a key and, where the text has masks, which bits count (otherwise every bit of
/// the fields that are named). `port` turns a port's name into its number.
pub fn parse_flow(
    text: &str,
    port: &dyn Fn(&str) -> Option<u32>,
) -> Result<(PacketKey, FlowMask), OdpError> {
    let mut r = Reader {
        key: [0; PACKET_WORDS],
        mask: [0; PACKET_WORDS],
        any_mask: false,
        port,
    };
    r.flow(text)?;
    Ok((PacketKey::from_words(&r.key), FlowMask { words: r.mask }))
}

/// Reads a key; masks in the text are not allowed.
pub fn parse_key(text: &str, port: &dyn Fn(&str) -> Option<u32>) -> Result<PacketKey, OdpError> {
    let mut r = Reader {
        key: [0; PACKET_WORDS],
        mask: [0; PACKET_WORDS],
        any_mask: false,
        port,
    };
    r.flow(text)?;
    if r.any_mask {
        return Err(OdpError { at: text.into() });
    }
    Ok(PacketKey::from_words(&r.key))
}

impl Reader<'_> {
    /// A list of `name(body)`, separated by commas or spaces; `ufid:...` is passed over.
    fn flow(&mut self, text: &str) -> Result<(), OdpError> {
        let mut rest = text.trim_start_matches([',', ' ', '\t', '\n']);
        while !rest.is_empty() {
            let fail = || OdpError { at: rest.into() };
            if let Some(after) = rest.strip_prefix("ufid:") {
                let end = after.find([',', ' ']).unwrap_or(after.len());
                rest = after[end..].trim_start_matches([',', ' ', '\t', '\n']);
                continue;
            }
            let open = rest.find('(').ok_or_else(fail)?;
            let close = matching(rest, open).ok_or_else(fail)?;
            let (name, body) = (&rest[..open], &rest[open + 1..close]);
            self.attr(name, body).ok_or_else(fail)??;
            rest = rest[close + 1..].trim_start_matches([',', ' ', '\t', '\n']);
        }
        Ok(())
    }

    fn put(&mut self, slot: Slot, value: u128, mask: Option<u128>) -> Option<()> {
        if value > slot.max() {
            return None;
        }
        self.any_mask |= mask.is_some_and(|m| m != slot.max());
        slot.set(&mut self.key, value);
        slot.set(&mut self.mask, mask.unwrap_or(slot.max()));
        Some(())
    }

    fn plain(&mut self, slot: Slot, body: &str) -> Option<()> {
        let (value, mask) = value::parse_number(body)?;
        self.put(slot, value, mask)
    }

    fn attr(&mut self, name: &str, body: &str) -> Option<Result<(), OdpError>> {
        let done = match name {
            "recirc_id" => self.plain(RECIRC_ID, body),
            "dp_hash" => self.plain(DP_HASH, body),
            "skb_priority" => self.plain(SKB_PRIORITY, body),
            "skb_mark" => self.plain(PKT_MARK, body),
            "ct_zone" => self.plain(CT_ZONE, body),
            "ct_mark" => self.plain(CT_MARK, body),
            "ct_label" => self.plain(CT_LABEL, body),
            "ct_state" => {
                let (v, m) = flags::parse_flags(&flags::CT_STATE, u32::MAX, body)?;
                self.put(CT_STATE, v.into(), Some(m.into()))
            }
            "tcp_flags" => {
                let (v, m) = flags::parse_flags(&flags::TCP, flags::TCP_ALL, body)?;
                TCP_FLAGS.set(&mut self.key, v.into());
                TCP_FLAGS.set(&mut self.mask, m.into());
                self.any_mask |= m != flags::TCP_ALL;
                Some(())
            }
            "in_port" => {
                let (text, mask) = match body.split_once('/') {
                    Some((t, m)) => (t, Some(value::parse_integer(m)?)),
                    None => (body, None),
                };
                let number = value::parse_integer(text).and_then(|n| u32::try_from(n).ok());
                let port = number.or_else(|| (self.port)(text))?;
                self.put(IN_PORT, port.into(), mask)
            }
            "packet_type" => self.packet_type(body),
            "eth_type" => self.plain(ETH_TYPE, body),
            "vlan" => self.vlan(body),
            // What is under a tag that is not read is not read either.
            "encap" if ETH_TYPE.get(&self.key) != 0 => Some(()),
            "encap" => return Some(self.flow(body)),
            "nd_ext" => self.members(&ND_EXT, body),
            _ => {
                let (_, members) = ATTRS.iter().find(|(n, _)| *n == name)?;
                let done = self.members(members, body);
                if name == "mpls" && done.is_some() && ETH_TYPE.get(&self.key) == 0 {
                    ETH_TYPE.set(&mut self.key, ethertype::MPLS.into());
                }
                done
            }
        };
        done.map(Ok)
    }

    fn members(&mut self, members: &[super::attr::Member], body: &str) -> Option<()> {
        for part in split(body) {
            if part.starts_with("flags(") {
                // Tunnel flags say how a packet came, not what it is.
                continue;
            }
            let (name, text) = part.split_once('=')?;
            let m = members.iter().find(|m| m.name == name)?;
            let (v, mask) = value::parse(m.kind, text)?;
            if v > m.full() {
                return None;
            }
            self.any_mask |= mask.is_some_and(|mask| mask != m.full());
            m.set(&mut self.key, v);
            m.set(&mut self.mask, mask.unwrap_or(m.full()));
        }
        Some(())
    }

    fn packet_type(&mut self, body: &str) -> Option<()> {
        let (mut ns, mut id) = (0, 0);
        for part in split(body) {
            let (name, text) = part.split_once('=')?;
            let (v, _) = value::parse_number(text)?;
            match name {
                "ns" => ns = v,
                "id" => id = v,
                _ => return None,
            }
        }
        self.put(PACKET_TYPE, ns << 16 | id, None)
    }

    /// A tag; what was read as the Ethernet type so far is the tag's.
    fn vlan(&mut self, body: &str) -> Option<()> {
        let mut tci = u128::from(crate::VLAN_PRESENT);
        let mut mask = tci;
        for part in split(body) {
            let (name, text) = part.split_once('=')?;
            let (v, m) = value::parse_number(text)?;
            let (shift, full) = match name {
                "vid" => (0, 0xfff),
                "pcp" => (13, 7),
                "cfi" => (12, 1),
                "tci" => (0, 0xffff),
                _ => return None,
            };
            if v > full {
                return None;
            }
            self.any_mask |= m.is_some_and(|m| m != full);
            tci = tci & !(full << shift) | v << shift;
            mask = mask & !(full << shift) | m.unwrap_or(full) << shift;
        }
        let tpid = ETH_TYPE.get(&self.key);
        let (tpid_slot, tci_slot) = match VLAN_TCI.get(&self.key) {
            0 => (VLAN_TPID, VLAN_TCI),
            _ if crate::vlan_limit() > 1 => (VLAN2_TPID, VLAN2_TCI),
            // A tag that is not read as one stays as the Ethernet type.
            _ => return Some(()),
        };
        tpid_slot.set(&mut self.key, tpid);
        ETH_TYPE.set(&mut self.key, 0);
        tci_slot.set(&mut self.key, tci);
        tci_slot.set(&mut self.mask, mask);
        Some(())
    }
}

/// The parenthesis that closes the one at `open`.
fn matching(text: &str, open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (i, c) in text.char_indices().skip_while(|&(i, _)| i < open) {
        match c {
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(i);
                }
            }
            _ => {}
        }
    }
    None
}

/// Parts between commas that are not inside parentheses.
fn split(body: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i32;
    body.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|p| !p.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::format_key;
    use super::*;
    use crate::FieldId;

    fn no_names(_: &str) -> Option<u32> {
        None
    }

    #[test]
    fn keys_survive_text() {
        for text in [
            "recirc_id(0),in_port(1),eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:07),\
             eth_type(0x0800),ipv4(src=192.168.0.1,dst=192.168.0.2,proto=6,tos=0,ttl=64,frag=no),\
             tcp(src=8,dst=10),tcp_flags(syn|ack)",
            "recirc_id(0x5),in_port(2),eth(src=50:54:00:00:00:05,dst=ff:ff:ff:ff:ff:ff),\
             eth_type(0x8100),vlan(vid=99,pcp=7),encap(eth_type(0x0806),\
             arp(sip=10.0.0.1,tip=10.0.0.2,op=1,sha=50:54:00:00:00:05,tha=00:00:00:00:00:00))",
            "recirc_id(0),in_port(3),eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:07),\
             eth_type(0x86dd),ipv6(src=fe80::1,dst=fe80::2,label=0,proto=58,tclass=0,hlimit=255,\
             frag=no),icmpv6(type=135,code=0),nd(target=fe80::2,sll=50:54:00:00:00:05,\
             tll=00:00:00:00:00:00)",
        ] {
            let key = parse_key(text, &no_names).unwrap();
            assert_eq!(format_key(&key, None), text);
        }
    }

    #[test]
    fn masks_are_read_and_shown() {
        let text = "recirc_id(0),in_port(1),eth_type(0x0800),\
                    ipv4(dst=10.0.0.0/255.0.0.0,frag=no)";
        let (key, mask) = parse_flow(text, &no_names).unwrap();
        assert_eq!(mask.get(FieldId::Ipv4Dst), 0xff00_0000);
        assert_eq!(format_key(&key, Some(&mask)), text);
    }

    #[test]
    fn nonsense_is_refused_with_its_place() {
        for (text, at) in [
            ("in_port(1),bogus(3)", "bogus(3)"),
            ("in_port(1", "in_port(1"),
            ("eth(src=1:2)", "eth(src=1:2)"),
            ("in_port(1),eth_type(0x10000)", "eth_type(0x10000)"),
            ("tcp(src=65536)", "tcp(src=65536)"),
            ("in_port(1))", ")"),
        ] {
            assert_eq!(parse_key(text, &no_names).unwrap_err().at, at);
        }
    }
}
