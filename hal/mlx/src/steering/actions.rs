//! From a rule's steps to what an entry does.
//!
//! An entry does things in an order of its own: it takes VLAN tags off, counts, puts tags on,
//! writes fields, and then sends the packet, in one form, to all of its destinations. A list of
//! steps is one entry if it can be brought into this order without a packet looking different; if
//! it cannot, it is refused.

use super::VportId;
use super::layers::Layers;
use hal::{Action, DpPort, RecircId, ResumeId, Rule};
use hal_mlx_prm::View;
use hal_mlx_prm::command::SetAction;
use hal_mlx_prm::context::{HeaderField, ModifyType};
use packet::FieldId;
use smallvec::SmallVec;

/// A field's change: a [`SetAction`], as bytes.
pub type Change = [u8; SetAction::SIZE];

/// A VLAN tag to put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    /// 0x8100 or 0x88a8.
    pub kind: u16,
    /// Priority, drop eligible, VLAN.
    pub control: u16,
}

/// What an entry does with its packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// VLAN tags to take off.
    pub pops: usize,
    /// VLAN tags to put on, the inner one first.
    pub pushes: SmallVec<[Tag; MAX_TAGS]>,
    /// Fields to write.
    pub changes: SmallVec<[Change; 8]>,
    /// Where copies go.
    pub vports: SmallVec<[VportId; 4]>,
    /// Another stage looks at the packet.
    pub goes_on: bool,
}

/// Most VLAN tags that an entry takes off or puts on.
const MAX_TAGS: usize = 2;

impl Plan {
    /// A rule's steps. `vport_of` knows which of the device's ports has a number.
    ///
    /// # Errors
    /// What of it an entry cannot do.
    pub fn of(rule: &Rule, vport_of: &dyn Fn(DpPort) -> Option<VportId>) -> Result<Plan, String> {
        let mut plan = Plan::default();
        let layers = Layers::of(&rule.matches);
        for action in &rule.actions {
            if plan.goes_on {
                return Err("steps after a recirculation".into());
            }
            let sent = !plan.vports.is_empty();
            // What a recirculation writes is not in the packet.
            if sent && !matches!(action, Action::Output(_) | Action::Recirc(_)) {
                return Err(format!(
                    "{} after an output: copies leave in one form",
                    action.name()
                ));
            }
            match action {
                Action::Output(port) => {
                    let vport = vport_of(*port);
                    let vport = vport.ok_or_else(|| format!("port {port} is not the device's"))?;
                    if plan.vports.contains(&vport) {
                        return Err(format!("two copies to port {port}"));
                    }
                    plan.vports.push(vport);
                }
                Action::Set { field, value, mask } => plan.set(*field, *value, *mask, layers)?,
                Action::PopVlan => plan.pop()?,
                Action::PushVlan { tpid, tci } => plan.push(*tpid, *tci)?,
                Action::Recirc(id) => plan.go_on(*id, rule.resume)?,
                other => return Err(format!("no {}", other.name())),
            }
        }
        Ok(plan)
    }

    fn pop(&mut self) -> Result<(), String> {
        // A tag that was just put on need not be.
        if self.pushes.pop().is_none() {
            if self.pops == MAX_TAGS {
                return Err(format!("more than {MAX_TAGS} VLAN tags taken off"));
            }
            self.pops += 1;
        }
        Ok(())
    }

    fn push(&mut self, kind: u16, control: u16) -> Result<(), String> {
        if self.pushes.len() == MAX_TAGS {
            return Err(format!("more than {MAX_TAGS} VLAN tags put on"));
        }
        // The bit that says "there is a tag" is on the wire the one that says "drop eligible".
        let control = control & !0x1000;
        self.pushes.push(Tag { kind, control });
        Ok(())
    }

    fn set(
        &mut self,
        field: FieldId,
        value: u128,
        mask: u128,
        layers: Layers,
    ) -> Result<(), String> {
        if !layers.have(field) {
            return Err(format!("{field} is written and its header not matched"));
        }
        use HeaderField as F;
        let words: &[(F, u32)] = match field {
            // Fields and the lowest of the bits that go to each.
            FieldId::EthSrc => &[(F::OutSmac47_16, 16), (F::OutSmac15_0, 0)],
            FieldId::EthDst => &[(F::OutDmac47_16, 16), (F::OutDmac15_0, 0)],
            FieldId::Ipv4Src => &[(F::OutSipv4, 0)],
            FieldId::Ipv4Dst => &[(F::OutDipv4, 0)],
            FieldId::Ipv6Src => &[
                (F::OutSipv6_127_96, 96),
                (F::OutSipv6_95_64, 64),
                (F::OutSipv6_63_32, 32),
                (F::OutSipv6_31_0, 0),
            ],
            FieldId::Ipv6Dst => &[
                (F::OutDipv6_127_96, 96),
                (F::OutDipv6_95_64, 64),
                (F::OutDipv6_63_32, 32),
                (F::OutDipv6_31_0, 0),
            ],
            FieldId::IpTtl if layers.is_ipv6() => &[(F::OutIpv6Hoplimit, 0)],
            FieldId::IpTtl => &[(F::OutIpTtl, 0)],
            FieldId::IpDscp => &[(F::OutIpDscp, 2)],
            FieldId::TcpSrc => &[(F::OutTcpSport, 0)],
            FieldId::TcpDst => &[(F::OutTcpDport, 0)],
            FieldId::UdpSrc => &[(F::OutUdpSport, 0)],
            FieldId::UdpDst => &[(F::OutUdpDport, 0)],
            _ => return Err(format!("{field} is not written")),
        };
        let mut end = 128 - field.full().leading_zeros();
        for &(word, low) in words {
            let bits = |v: u128| (v >> low) as u32 & (u32::MAX >> (32 - (end - low)));
            self.write(word, bits(value), bits(mask));
            end = low;
        }
        Ok(())
    }

    /// Writes the bits of `mask`, each run of them by a change of its own.
    fn write(&mut self, field: HeaderField, value: u32, mut mask: u32) {
        while mask != 0 {
            let low = mask.trailing_zeros();
            let run = (mask >> low).trailing_ones();
            let ones = u32::MAX >> (32 - run) << low;
            mask &= !ones;
            let mut change = View::<SetAction, _>::zeroed();
            change
                .set(SetAction::ACTION_TYPE, ModifyType::Set as u8)
                .set(SetAction::FIELD, field as u16)
                .set(SetAction::OFFSET, low as u8)
                // The field has five bits, in which 32 is 0.
                .set(SetAction::LENGTH, run as u8)
                .set(SetAction::DATA, (value & ones) >> low);
            self.changes.push(change.into_inner());
        }
    }

    fn go_on(&mut self, stage: RecircId, resume: Option<ResumeId>) -> Result<(), String> {
        let resume = resume.ok_or("a recirculation whose misses cannot be resumed")?;
        self.write(HeaderField::MetadataRegC3, stage.0, u32::MAX);
        self.write(HeaderField::MetadataRegC1, resume.0, u32::MAX);
        self.goes_on = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hal::{MatchField, UserCookie};

    fn plan(actions: Vec<Action>, resume: Option<ResumeId>, v6: bool) -> Result<Plan, String> {
        let rule = Rule {
            recirc: RecircId(0),
            matches: vec![MatchField {
                field: FieldId::EthType,
                value: if v6 { 0x86dd } else { 0x800 },
                mask: 0xffff,
            }],
            actions,
            resume,
        };
        Plan::of(&rule, &|p| (p.0 < 10).then_some(VportId(p.0 as u16)))
    }

    fn set(field: FieldId, value: u128, mask: u128) -> Action {
        Action::Set { field, value, mask }
    }

    fn changes(plan: &Plan) -> Vec<(u16, u8, u8, u32)> {
        let changes = plan.changes.iter().map(|c| {
            let c = View::<SetAction, _>::new(c).unwrap();
            assert_eq!(c.get(SetAction::ACTION_TYPE), 1);
            let (offset, length) = (c.get(SetAction::OFFSET), c.get(SetAction::LENGTH));
            (
                c.get(SetAction::FIELD),
                offset,
                length,
                c.get(SetAction::DATA),
            )
        });
        changes.collect()
    }

    #[test]
    fn fields_are_written_in_words_and_runs() {
        let plan = plan(
            vec![
                set(FieldId::EthDst, 0x0102_0304_0506, FieldId::EthDst.full()),
                set(FieldId::Ipv4Src, 0x0a00_0001, 0xff00_00ff),
                set(FieldId::IpTtl, 63, 0xff),
                set(FieldId::IpDscp, 0xb8, 0xfc),
                Action::Output(DpPort(2)),
                Action::Output(DpPort(3)),
            ],
            None,
            false,
        );
        let plan = plan.unwrap();
        assert_eq!(
            changes(&plan),
            [
                (0x04, 0, 0, 0x0102_0304),
                (0x05, 0, 16, 0x0506),
                (0x15, 0, 8, 1),
                (0x15, 24, 8, 0x0a),
                (0x0a, 0, 8, 63),
                (0x06, 0, 6, 0x2e),
            ]
        );
        assert_eq!(plan.vports[..], [VportId(2), VportId(3)]);
    }

    #[test]
    fn an_ipv6_address_takes_four_words_and_its_time_to_live_another_name() {
        let value = 0x2001_0db8_0000_0000_0000_0000_0000_0001;
        let sets = vec![
            set(FieldId::Ipv6Dst, value, u128::MAX),
            set(FieldId::IpTtl, 1, 0xff),
        ];
        let plan = plan(sets, None, true).unwrap();
        let words = changes(&plan);
        assert_eq!(words[0], (0x11, 0, 0, 0x2001_0db8));
        assert_eq!(words[3], (0x14, 0, 0, 1));
        assert_eq!(words[4], (0x47, 0, 8, 1));
    }

    #[test]
    fn tags_that_are_put_on_and_taken_off_again_are_none() {
        let push = |tci| Action::PushVlan { tpid: 0x8100, tci };
        let steps = vec![push(0x1005), Action::PopVlan, Action::PopVlan, push(0x1007)];
        let plan = plan(steps, None, false).unwrap();
        let tag = Tag {
            kind: 0x8100,
            control: 7,
        };
        assert_eq!((plan.pops, plan.pushes.as_slice()), (1, &[tag][..]));
    }

    #[test]
    fn a_stage_leaves_its_number_and_where_to_resume() {
        let on = |resume| plan(vec![Action::Recirc(RecircId(9))], resume, false);
        let went = on(Some(ResumeId(5))).unwrap();
        assert!(went.goes_on);
        assert_eq!(changes(&went), [(0x54, 0, 0, 9), (0x52, 0, 0, 5)]);
        assert!(on(None).unwrap_err().contains("resumed"));
    }

    #[test]
    fn what_an_entry_cannot_do_is_refused() {
        let push = Action::PushVlan {
            tpid: 0x8100,
            tci: 0x1001,
        };
        let output = |n| Action::Output(DpPort(n));
        let cases = [
            (vec![output(1), push.clone(), output(2)], "one form"),
            (vec![output(11)], "port 11"),
            (vec![output(1), output(1)], "two copies"),
            (vec![push.clone(), push.clone(), push], "more than 2"),
            (vec![Action::PopVlan; 3], "more than 2"),
            (vec![set(FieldId::ArpOp, 1, 1)], "is not written"),
            (vec![set(FieldId::Ipv6Src, 1, 1)], "header not matched"),
            (vec![set(FieldId::TcpSrc, 1, 1)], "header not matched"),
            (vec![Action::Truncate(20)], "no trunc"),
            (
                vec![Action::Userspace(UserCookie::SlowPath(hal::SlowPath::Stp))],
                "no userspace",
            ),
        ];
        for (actions, word) in cases {
            let refused = plan(actions, None, false).unwrap_err();
            assert!(refused.contains(word), "{refused}");
        }
    }
}
