//! Whether actions make sense behind a match.
//!
//! A switch refuses a flow whose actions need what its match does not promise: an output to a
//! port that cannot be, a setting of a TCP port where the match does not ask for TCP. Some of it
//! OpenFlow 1.0 allows and later versions don't, which narrows the usable protocols instead.

use super::decode::{check_output_port, check_source, check_target};
use super::*;
use crate::error::{DecodeError, OfError, Result};
use crate::oxm::meets;
use crate::version::{Protocol, Protocols};
use packet::{Match, Prereq};

/// What the check must know of the switch.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Port numbers from here on are refused.
    pub max_ports: OfPort,
    /// The flow's table; 255 = not known.
    pub table: u8,
    /// How many tables; 255 = not known.
    pub n_tables: u8,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_ports: OfPort::MAX,
            table: 255,
            n_tables: 255,
        }
    }
}

/// Checks a flow's actions behind its match and notes in them what encoding will need (whether
/// there is a VLAN tag, which transport protocol it is). Returns the protocols in which they are
/// consistent.
pub fn check(actions: &mut [Action], m: &Match, limits: &Limits) -> Result<Protocols> {
    let mut state = State {
        m: m.clone(),
        usable: Protocols::ANY,
        limits: *limits,
    };
    state.list(actions)?;
    Ok(state.usable)
}

/// The same, where an inconsistency for `protocol` is an error.
pub fn check_for(
    actions: &mut [Action],
    m: &Match,
    limits: &Limits,
    protocol: Protocol,
) -> Result<()> {
    let usable = check(actions, m, limits)?;
    if usable.contains(protocol) {
        Ok(())
    } else {
        Err(OfError::OFPBAC_MATCH_INCONSISTENT.into())
    }
}

struct State {
    /// The match as earlier actions changed it.
    m: Match,
    usable: Protocols,
    limits: Limits,
}

impl State {
    fn inconsistent(&mut self) {
        self.usable = self.usable.and(Protocols::OF10);
    }

    fn want(&mut self, prereq: Prereq) {
        if !meets(&self.m, prereq) {
            self.inconsistent();
        }
    }

    fn has_vlan(&self) -> bool {
        self.m.value().get(FieldId::VlanTci) & 0x1000 != 0
    }

    fn source(&self, sf: Subfield) -> Result<()> {
        check_source(sf)?;
        self.prerequisites(sf, "source")
    }

    fn target(&self, sf: Subfield) -> Result<()> {
        check_target(sf)?;
        self.prerequisites(sf, "destination")
    }

    fn prerequisites(&self, sf: Subfield, kind: &str) -> Result<()> {
        if meets(&self.m, sf.field.row().prereq) {
            return Ok(());
        }
        let text = format!(
            "{kind} field {} lacks correct prerequisites",
            sf.field.row().name
        );
        Err(DecodeError::noted(
            OfError::OFPBAC_MATCH_INCONSISTENT,
            "meta_flow",
            text,
        ))
    }

    fn port(&self, port: OfPort) -> Result<()> {
        check_output_port(port)?;
        if !port.is_reserved() && port >= self.limits.max_ports {
            return Err(OfError::OFPBAC_BAD_OUT_PORT.into());
        }
        Ok(())
    }

    /// Checks a list whose changes to the match do not outlive it.
    fn nested(&mut self, actions: &mut [Action]) -> Result<Protocols> {
        let mut inner = State {
            m: self.m.clone(),
            usable: Protocols::ANY,
            limits: self.limits,
        };
        inner.list(actions)?;
        Ok(inner.usable)
    }

    fn list(&mut self, actions: &mut [Action]) -> Result<()> {
        for a in actions {
            self.one(a)?;
        }
        Ok(())
    }

    fn ip_proto(&self) -> u8 {
        (self.m.value().get(FieldId::IpProto) & 0xff) as u8
    }

    fn vlan_setting(&mut self, push: bool) -> bool {
        let has = self.has_vlan();
        if !has && !push {
            self.inconsistent();
        }
        self.m.set_masked(FieldId::VlanTci, 0x1000, 0x1000);
        has
    }

    fn set_field(&mut self, field: FieldId, value: u128) -> Result<()> {
        let untagged = field == FieldId::VlanVid && !self.has_vlan();
        if !meets(&self.m, field.row().prereq) || untagged {
            let text = format!("set_field {} lacks correct prerequisites", field.row().name);
            let error = OfError::OFPBAC_MATCH_INCONSISTENT;
            return Err(DecodeError::noted(error, "ofp_actions", text));
        }
        if field == FieldId::VlanTci {
            self.m.set_masked(FieldId::VlanTci, value, 0xffff);
        }
        Ok(())
    }

    fn one(&mut self, a: &mut Action) -> Result<()> {
        let is_eth = meets(&self.m, Prereq::Ethernet);
        match a {
            Action::Output { port, .. } | Action::OutputTrunc { port, .. } => self.port(*port)?,
            Action::Enqueue { port, .. } => {
                let special = *port == OfPort::IN_PORT || *port == OfPort::LOCAL;
                if *port >= self.limits.max_ports && !special {
                    return Err(OfError::OFPBAC_BAD_OUT_PORT.into());
                }
            }
            Action::OutputReg { src, .. } => self.source(*src)?,
            Action::Bundle(b) => {
                for m in &b.members {
                    if *m != OfPort::NONE {
                        self.port(*m)?;
                    }
                }
                if let Some(dst) = b.dst {
                    self.target(dst)?;
                }
            }
            Action::SetField { field, value, .. } => self.set_field(*field, *value)?,
            Action::SetVlanVid { push, has_vlan, .. } => *has_vlan = self.vlan_setting(*push),
            Action::SetVlanPcp { push, has_vlan, .. } => *has_vlan = self.vlan_setting(*push),
            Action::StripVlan { .. } => {
                if !self.has_vlan() {
                    self.inconsistent();
                }
                self.m.set_masked(FieldId::VlanTci, 0, 0xffff);
            }
            Action::PushVlan { .. } => self.m.set_masked(FieldId::VlanTci, 0x1000, 0x1000),
            Action::SetIpv4Src(_) | Action::SetIpv4Dst(_) => self.want(Prereq::Ipv4),
            Action::SetIpDscp(_)
            | Action::SetIpEcn(_)
            | Action::SetIpTtl(_)
            | Action::DecTtl(_) => self.want(Prereq::Ip),
            Action::SetL4SrcPort { proto, .. } | Action::SetL4DstPort { proto, .. } => {
                let ok = [Prereq::Tcp, Prereq::Udp, Prereq::Sctp]
                    .iter()
                    .any(|p| meets(&self.m, *p));
                if !ok {
                    self.inconsistent();
                }
                *proto = self.ip_proto();
            }
            Action::RegMove { src, dst } => {
                self.source(*src)?;
                self.target(*dst)?;
            }
            Action::StackPush(sf) => self.source(*sf)?,
            Action::StackPop(sf) => self.target(*sf)?,
            Action::SetMplsLabel(_)
            | Action::SetMplsTc(_)
            | Action::SetMplsTtl(_)
            | Action::DecMplsTtl => self.want(Prereq::Mpls),
            Action::PushMpls(t) => {
                if !is_eth {
                    self.inconsistent();
                }
                self.m.set(FieldId::EthType, u128::from(*t));
                self.m.clear(FieldId::IpProto);
            }
            Action::PopMpls(t) => {
                if !is_eth {
                    self.inconsistent();
                }
                self.want(Prereq::Mpls);
                self.m.set(FieldId::EthType, u128::from(*t));
            }
            Action::DecNshTtl => self.want(Prereq::Nsh),
            // Only Geneve options can be deleted, and the field table has none.
            Action::DeleteField(_) => return Err(OfError::OFPBAC_BAD_ARGUMENT.into()),
            Action::Encap { ethertype, .. } => {
                self.m.set(FieldId::PacketType, u128::from(*ethertype));
                if *ethertype >> 16 == 1 {
                    self.m
                        .set(FieldId::EthType, u128::from(*ethertype & 0xffff));
                }
                if !meets(&self.m, Prereq::Ip) {
                    self.m.clear(FieldId::IpProto);
                }
            }
            Action::Decap { .. } => {
                if is_eth {
                    let (t, _) = self.m.get(FieldId::EthType);
                    self.m.set(FieldId::PacketType, 0x10000 | t);
                } else {
                    self.m.set(FieldId::PacketType, 0xffff);
                    self.m.set(FieldId::EthType, 0xffff);
                }
            }
            Action::FinTimeout { .. } if self.ip_proto() != 6 => {
                self.inconsistent();
            }
            Action::Resubmit { ct, .. } if *ct && !meets(&self.m, Prereq::Ct) => {
                return Err(OfError::OFPBAC_MATCH_INCONSISTENT.into());
            }
            Action::Learn(l) => self.learn(l)?,
            Action::Multipath(mp) => self.target(mp.dst)?,
            Action::Ct(ct) => self.ct(ct)?,
            Action::Nat(n) => {
                let family = match n.addrs {
                    None => Prereq::Ip,
                    Some(NatAddrs::V4(..)) => Prereq::Ipv4,
                    Some(NatAddrs::V6(..)) => Prereq::Ipv6,
                };
                if !meets(&self.m, family) {
                    return Err(OfError::OFPBAC_MATCH_INCONSISTENT.into());
                }
            }
            Action::Clone(list) => self.usable = self.usable.and(self.nested(list)?),
            // An action set can't be checked for consistency: other tables add to it.
            Action::WriteActions(list) => {
                self.nested(list)?;
            }
            Action::Meter(id) if (*id == 0 || *id > 0xffff_0000) => {
                return Err(OfError::OFPMMFC_INVALID_METER.into());
            }
            Action::GotoTable(t) => {
                let Limits {
                    table, n_tables, ..
                } = self.limits;
                if table != 255 && *t <= table || n_tables != 255 && *t >= n_tables {
                    return Err(OfError::OFPBIC_BAD_TABLE_ID.into());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn ct(&mut self, ct: &mut Ct) -> Result<()> {
        let proto = self.ip_proto();
        let (state, _) = self.m.get(FieldId::CtState);
        let bad = !meets(&self.m, Prereq::Ip)
            || state & 0x10 != 0 && ct.flags & 1 != 0
            || ct.alg == 21 && proto != 6
            || ct.alg == 69 && proto != 17;
        if bad {
            return Err(OfError::OFPBAC_MATCH_INCONSISTENT.into());
        }
        if let ZoneSource::Field(sf) = ct.zone {
            return self.source(sf);
        }
        let usable = self.nested(&mut ct.actions)?;
        self.usable = self.usable.and(usable);
        Ok(())
    }

    fn learn(&mut self, l: &Learn) -> Result<()> {
        let mut learned = Match::any();
        for s in &l.specs {
            if let LearnSource::Field(sf) = s.src {
                self.source(sf)?;
            }
            match s.dst {
                LearnTarget::Match(sf) => {
                    check_source(sf)?;
                    if !meets(&learned, sf.field.row().prereq) {
                        let text = format!(
                            "source field {} lacks correct prerequisites",
                            sf.field.row().name
                        );
                        let error = OfError::OFPBAC_MATCH_INCONSISTENT;
                        return Err(DecodeError::noted(error, "meta_flow", text));
                    }
                    if let LearnSource::Value(v) = s.src {
                        crate::oxm::set_in_match(&mut learned, sf.field, v << sf.ofs, sf.mask());
                    }
                }
                LearnTarget::Load(sf) => {
                    check_target(sf)?;
                    if !meets(&learned, sf.field.row().prereq) {
                        return Err(OfError::OFPBAC_MATCH_INCONSISTENT.into());
                    }
                }
                LearnTarget::Output => {}
            }
        }
        Ok(())
    }
}
