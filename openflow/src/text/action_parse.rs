//! Actions from text.

use super::action_args as args;
use super::learn::{parse_learn, parse_move};
use super::{KeyValues, Names, str_to_u8, str_to_u16, str_to_u32, str_to_u64};
use crate::action::instructions::verify;
use crate::action::*;
use crate::version::{Protocols, Version};
use packet::FieldId;

/// How deep actions may stand in actions.
const MAX_DEPTH: usize = 100;

/// How many bytes the actions of one flow may fill once they are sent.
const MAX_BYTES: usize = 65535;

/// Actions with the protocols that can carry them.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedActions {
    /// The actions.
    pub actions: Vec<Action>,
    /// Where they can be used.
    pub usable: Protocols,
}

struct Parser<'n> {
    names: &'n Names,
    usable: Protocols,
    depth: usize,
}

/// Reads actions alone, as packet-outs and buckets have them.
pub fn parse_actions(text: &str, names: &Names) -> Result<ParsedActions, String> {
    parse(text, names, false)
}

/// Reads actions and instructions, as flows have them.
pub fn parse_instructions(text: &str, names: &Names) -> Result<ParsedActions, String> {
    parse(text, names, true)
}

fn parse(text: &str, names: &Names, instructions: bool) -> Result<ParsedActions, String> {
    let mut p = Parser {
        names,
        usable: Protocols::ANY,
        depth: 0,
    };
    let actions = p.list(text, instructions, None, &[])?;
    Ok(ParsedActions {
        actions,
        usable: p.usable,
    })
}

const ALL: [Instruction; 6] = [
    Instruction::Meter,
    Instruction::ApplyActions,
    Instruction::ClearActions,
    Instruction::WriteActions,
    Instruction::WriteMetadata,
    Instruction::GotoTable,
];

fn needs(text: &str, name: &str, what: &str) -> Result<(), String> {
    if text.is_empty() {
        Err(format!("{name}: expected {what}."))
    } else {
        Ok(())
    }
}

impl Parser<'_> {
    fn only(&mut self, p: Protocols) {
        self.usable = self.usable.and(p);
    }

    /// Reads a list that stands in the action `outer`; `before` is what it already has.
    fn list(
        &mut self,
        text: &str,
        instructions: bool,
        outer: Option<&'static str>,
        before: &[Action],
    ) -> Result<Vec<Action>, String> {
        if self.depth >= MAX_DEPTH {
            return Err("Action nested too deeply".into());
        }
        self.depth += 1;
        let mut out = before.to_vec();
        let mut drop = false;
        let mut size = 0;
        for (key, value) in KeyValues::new(text) {
            match self.one(key, value, instructions)? {
                Some(a) => {
                    // What the original keeps an action in has at least sixteen bytes.
                    size += encode::encode_actions(std::slice::from_ref(&a), Version::Of15)
                        .len()
                        .max(16);
                    out.push(a);
                }
                None => drop = true,
            }
            if size > MAX_BYTES {
                return Err("input too big".into());
            }
        }
        if drop && !out.is_empty() {
            return Err(
                "\"drop\" must not be accompanied by any other action or instruction".into(),
            );
        }
        let allowed: &[Instruction] = if instructions { &ALL } else { &ALL[..2] };
        verify(&out, Version::Of11, allowed, outer)
            .map_err(|e| e.notes.first().map_or(String::new(), |n| n.text.clone()))?;
        self.depth -= 1;
        Ok(out)
    }

    fn nested(&mut self, text: &str, outer: &'static str) -> Result<Vec<Action>, String> {
        self.list(text, false, Some(outer), &[])
    }

    fn ct(&mut self, arg: &str) -> Result<Action, String> {
        let mut ct = Ct {
            flags: 0,
            zone: ZoneSource::Number(0),
            table: None,
            alg: 0,
            actions: Vec::new(),
        };
        for (key, value) in KeyValues::new(arg) {
            match key {
                "commit" => ct.flags |= 1,
                "force" => ct.flags |= 2,
                "table" => {
                    let table = self.names.table(value);
                    let table = table.ok_or_else(|| format!("unknown table {value}"))?;
                    if table == 255 {
                        return Err("invalid table 0xff".into());
                    }
                    ct.table = Some(table);
                }
                "zone" => {
                    ct.zone = match str_to_u16(value, "zone") {
                        Ok(n) => ZoneSource::Number(n),
                        Err(_) => ZoneSource::Field(super::parse_subfield(value)?),
                    };
                }
                "alg" => {
                    ct.alg = match value {
                        "ftp" => 21,
                        "tftp" => 69,
                        _ => return Err(format!("invalid conntrack helper \"{value}\"")),
                    };
                }
                "nat" => ct.actions.push(Action::Nat(args::nat(value)?)),
                "exec" => {
                    let list = self.nested(value, "ct")?;
                    ct.actions.extend(list);
                }
                _ => return Err(format!("invalid argument to \"ct\" action: `{key}'")),
            }
        }
        if ct.flags & 3 == 2 {
            return Err("\"force\" flag requires \"commit\" flag.".into());
        }
        Ok(Action::Ct(Box::new(ct)))
    }

    /// Reads one action; `None` is `drop`.
    fn one(&mut self, key: &str, v: &str, instructions: bool) -> Result<Option<Action>, String> {
        let names = self.names;
        let lower = key.to_ascii_lowercase();
        Ok(Some(match lower.as_str() {
            "output" | "output_reg" => args::output(v, names)?,
            "group" => Action::Group(parse_group(v)?),
            "controller" => args::controller(v)?,
            "enqueue" => args::enqueue(v, names)?,
            "bundle" => args::bundle(v, false, names)?,
            "bundle_load" => args::bundle(v, true, names)?,
            "set_field" => {
                let a = args::set_field(v, names)?;
                if let Action::SetField { field, .. } = &a {
                    self.only(usable_exact(*field));
                }
                a
            }
            "load" => args::load(v, names)?,
            "set_vlan_vid" | "mod_vlan_vid" => {
                let vid = str_to_u16(v, "VLAN VID")?;
                if vid > 0xfff {
                    return Err(format!("{v}: not a valid VLAN VID"));
                }
                Action::SetVlanVid {
                    vid,
                    push: lower.starts_with("mod"),
                    has_vlan: false,
                }
            }
            "set_vlan_pcp" | "mod_vlan_pcp" => {
                let pcp = str_to_u8(v, "VLAN PCP")?;
                if pcp > 7 {
                    return Err(format!("{v}: not a valid VLAN PCP"));
                }
                Action::SetVlanPcp {
                    pcp,
                    push: lower.starts_with("mod"),
                    has_vlan: false,
                }
            }
            "strip_vlan" => Action::StripVlan { new_form: false },
            "pop_vlan" => Action::StripVlan { new_form: true },
            "push_vlan" => {
                self.only(Protocols::OF11_UP);
                match str_to_u16(v, "ethertype")? {
                    ethertype @ (0x8100 | 0x88a8) => Action::PushVlan { ethertype },
                    _ => return Err(format!("{v}: not a valid VLAN ethertype")),
                }
            }
            "mod_dl_src" => Action::SetEthSrc(args::mac(v)?),
            "mod_dl_dst" => Action::SetEthDst(args::mac(v)?),
            "mod_nw_src" => Action::SetIpv4Src(args::ip(v)?),
            "mod_nw_dst" => Action::SetIpv4Dst(args::ip(v)?),
            "mod_nw_tos" => match str_to_u8(v, "TOS")? {
                tos if tos & 3 == 0 => Action::SetIpDscp(tos),
                _ => return Err(format!("{v}: not a valid TOS")),
            },
            "mod_nw_ecn" => match str_to_u8(v, "ECN")? {
                ecn @ 0..=3 => Action::SetIpEcn(ecn),
                _ => return Err(format!("{v}: not a valid ECN")),
            },
            "mod_nw_ttl" | "set_nw_ttl" => Action::SetIpTtl(str_to_u8(v, "TTL")?),
            "mod_tp_src" => Action::SetL4SrcPort {
                port: str_to_u16(v, "source port")?,
                proto: 0,
            },
            "mod_tp_dst" => Action::SetL4DstPort {
                port: str_to_u16(v, "destination port")?,
                proto: 0,
            },
            "move" => {
                let (src, dst) = parse_move(v)?;
                Action::RegMove { src, dst }
            }
            "push" => Action::StackPush(args::stack(v)?),
            "pop" => Action::StackPop(args::stack(v)?),
            "dec_ttl" => args::dec_ttl(v)?,
            "set_mpls_label" => {
                needs(v, key, "label")?;
                match str_to_u32(v)? {
                    n if n <= 0xf_ffff => Action::SetMplsLabel(n),
                    _ => return Err(format!("{v}: not a valid MPLS label")),
                }
            }
            "set_mpls_tc" => {
                needs(v, key, "tc")?;
                match str_to_u8(v, "MPLS TC")? {
                    n @ 0..=7 => Action::SetMplsTc(n),
                    _ => return Err(format!("{v}: not a valid MPLS TC")),
                }
            }
            "set_mpls_ttl" => {
                needs(v, key, "ttl")?;
                Action::SetMplsTtl(str_to_u8(v, "MPLS TTL")?)
            }
            "dec_mpls_ttl" => Action::DecMplsTtl,
            "push_mpls" => Action::PushMpls(str_to_u16(v, "push_mpls")?),
            "pop_mpls" => Action::PopMpls(str_to_u16(v, "pop_mpls")?),
            "dec_nsh_ttl" => Action::DecNshTtl,
            "delete_field" => {
                let field = FieldId::by_name(v).or_else(|| crate::oxm::by_wire_name(v));
                Action::DeleteField(field.ok_or_else(|| format!("{v}: unknown field `{v}'"))?)
            }
            "encap" => {
                self.only(Protocols::OF13_UP);
                args::encap(v)?
            }
            "decap" => args::decap(v)?,
            "set_tunnel" => Action::SetTunnel {
                id: str_to_u64(v)?,
                wide: false,
            },
            "set_tunnel64" => Action::SetTunnel {
                id: str_to_u64(v)?,
                wide: true,
            },
            "set_queue" => Action::SetQueue(str_to_u32(v)?),
            "pop_queue" => Action::PopQueue,
            "fin_timeout" => args::fin_timeout(v)?,
            "resubmit" => args::resubmit(v, names)?,
            "learn" => Action::Learn(Box::new(parse_learn(v, names)?)),
            "conjunction" => args::conjunction(v)?,
            "multipath" => args::multipath(v)?,
            "note" => args::note(v)?,
            "exit" => Action::Exit,
            "sample" => args::sample(v, names)?,
            "unroll_xlate" => {
                return Err(
                    "UNROLL is an internal action that shouldn't be used via OpenFlow".into(),
                );
            }
            "ct" => self.ct(v)?,
            "ct_clear" => Action::CtClear,
            "nat" => Action::Nat(args::nat(v)?),
            "output_trunc" => return Err(format!("unknown action {v}")),
            "clone" => Action::Clone(self.nested(v, "clone")?),
            "check_pkt_larger" => args::check_pkt_larger(v)?,
            "debug_recirc" => Action::DebugRecirc,
            "debug_slow" => Action::DebugSlow,
            "meter" => {
                self.only(if instructions {
                    Protocols::OF13_UP
                } else {
                    Protocols::OF15_UP
                });
                Action::Meter(str_to_u32(v)?)
            }
            "clear_actions" => Action::ClearActions,
            "write_actions" => Action::WriteActions(self.nested(v, "write_actions")?),
            "write_metadata" => {
                self.only(Protocols::NXM_OXM_ANY.or(Protocols::OF11));
                let (value, mask) = match v.split_once('/') {
                    Some((value, mask)) => (value, str_to_u64(mask)?),
                    None => (v, u64::MAX),
                };
                Action::WriteMetadata {
                    value: str_to_u64(value)?,
                    mask,
                }
            }
            "goto_table" => {
                let table = names.table(v);
                Action::GotoTable(table.ok_or_else(|| format!("unknown table \"{v}\""))?)
            }
            "drop" => return Ok(None),
            "apply_actions" => return Err("apply_actions is the default instruction".into()),
            _ => match names.port(key) {
                Some(port) => Action::Output { port, max_len: 0 },
                None => return Err(format!("unknown action {key}")),
            },
        }))
    }
}

fn parse_group(text: &str) -> Result<u32, String> {
    str_to_u32(text)
}

/// The protocols that can say a field whole.
pub(super) fn usable_exact(field: FieldId) -> Protocols {
    super::flow::usable(field)[0]
}
