//! What a switch without OpenFlow would do: VLANs and learned addresses.

use super::input::Walk;
use super::outcome::Depend;
use super::trace::TraceKind;
use crate::mac::MacKey;
use crate::world::{Bundle, BundleId, PriorityTags, VlanMode, port_config};
use openflow::OfPort;
use packet::{FieldId, Slot, VLAN_PRESENT, slots};
use std::sync::Arc;

/// What the tags of a packet are kept in, outermost first.
const TAGS: [Slot; 4] = [
    slots::VLAN_TPID,
    slots::VLAN_TCI,
    slots::VLAN2_TPID,
    slots::VLAN2_TCI,
];

impl Bundle {
    /// Whether packets of `vlan` pass with a tag. A native VLAN is always among the trunked ones,
    /// and what has no tag is in it: there is no VLAN 0 beside it.
    fn trunks_vlan(&self, vlan: u16) -> bool {
        match self.mode {
            VlanMode::NativeTagged(tag) | VlanMode::NativeUntagged(tag) if tag != 0 => {
                vlan == tag || vlan != 0 && self.trunks.has(vlan)
            }
            _ => self.trunks.has(vlan),
        }
    }

    /// Why a packet with VLAN id `vid` (0 = none) may not come in.
    fn refuses(&self, vid: u16) -> Option<String> {
        let name = &self.name;
        match self.mode {
            VlanMode::Access(tag) if vid != 0 => Some(format!(
                "dropping VLAN {vid} tagged packet received on port {name} configured as VLAN {tag} \
                 access port"
            )),
            VlanMode::Access(_) => None,
            VlanMode::NativeTagged(_) | VlanMode::NativeUntagged(_) if vid == 0 => None,
            _ if self.trunks_vlan(vid) => None,
            _ => Some(format!(
                "dropping VLAN {vid} packet received on port {name} not configured for trunking \
                 VLAN {vid}"
            )),
        }
    }

    /// The VLAN of a packet that came in with VLAN id `vid`.
    fn vlan_in(&self, vid: u16) -> u16 {
        match self.mode {
            VlanMode::Access(tag) => tag,
            VlanMode::NativeTagged(tag) | VlanMode::NativeUntagged(tag) if vid == 0 => tag,
            _ => vid,
        }
    }

    /// The VLAN id that a packet of `vlan` leaves with.
    fn vid_out(&self, vlan: u16) -> u16 {
        match self.mode {
            VlanMode::Access(_) => 0,
            VlanMode::NativeUntagged(tag) if vlan == tag => 0,
            _ => vlan,
        }
    }

    /// Whether packets of `vlan` leave here at all.
    fn includes(&self, vlan: u16) -> bool {
        match self.mode {
            VlanMode::Access(tag) => tag == vlan,
            _ => self.trunks_vlan(vlan),
        }
    }
}

fn is_multicast(mac: u128) -> bool {
    mac >> 40 & 1 != 0
}

/// Addresses that IEEE 802.1D §7.12.6 keeps for protocols between neighbours.
fn is_reserved(mac: u128) -> bool {
    mac & 0xffff_ffff_fff0 == 0x0180_c200_0000
}

impl Walk<'_> {
    /// Switches the packet.
    pub(super) fn normal(&mut self) {
        self.seen.add_all(FieldId::EthSrc);
        self.seen.add_all(FieldId::EthDst);
        let tci_seen = slots::VLAN_TCI.get(&self.seen.words) | 0x1fff;
        slots::VLAN_TCI.set(&mut self.seen.words, tci_seen);

        let in_port = self.in_port();
        let Some((in_id, in_bundle)) = self.bridge.bundle_of(in_port) else {
            // A controller's own packet enters by no port and is switched as if by a trunk.
            if matches!(in_port, OfPort::NONE | OfPort::CONTROLLER) {
                let vid = slots::VLAN_TCI.get(&self.state.words) as u16 & 0xfff;
                return self.forward(None, vid);
            }
            let text = || format!("received packet on unknown port {in_port}");
            self.out.trace.add(TraceKind::Error, text);
            return self.warn("no input bundle, dropping");
        };
        let (in_id, in_bundle) = (in_id, in_bundle.clone());
        let tci = slots::VLAN_TCI.get(&self.state.words) as u16;
        if self.state.get(FieldId::EthType) == 0x8100 && tci & VLAN_PRESENT == 0 {
            if self.teaches {
                let name = in_bundle.name.clone();
                let text =
                    || format!("dropping packet with partial VLAN tag received on port {name}");
                self.out.trace.add(TraceKind::Error, text);
            }
            return self.warn("partial VLAN tag, dropping");
        }
        let vid = tci & 0xfff;
        if let Some(why) = in_bundle.refuses(vid) {
            self.out.trace.add(TraceKind::Error, || why);
            return self.warn("disallowed VLAN VID for this input port, dropping");
        }
        let vlan = in_bundle.vlan_in(vid);
        let dst = self.state.get(FieldId::EthDst);
        if is_reserved(dst) && !self.bridge.forward_bpdu {
            return self.detail(|| "packet has reserved destination MAC, dropping".into());
        }
        let src = self.state.get(FieldId::EthSrc);
        if !is_multicast(src) && src != 0 && !self.bridge.flood_vlans.contains(&vlan) {
            self.learn(
                MacKey {
                    vlan,
                    mac: src as u64,
                },
                in_port,
            );
        }
        self.forward(Some((in_id, in_bundle)), vlan);
    }

    fn forward(&mut self, from: Option<(BundleId, Arc<Bundle>)>, vlan: u16) {
        let dst = self.state.get(FieldId::EthDst);
        if is_multicast(dst) {
            // Nobody has such an address.
            self.detail(|| "no learned MAC for destination, flooding".into());
            return self.flood_vlan(from, vlan);
        }
        let key = MacKey {
            vlan,
            mac: dst as u64,
        };
        let known = self.bridge.macs.get(key).map(|e| e.port);
        self.depend(Depend::Mac(self.bridge.id, key, known));
        let Some(to) = self.port_of(key).and_then(|p| self.bridge.bundle_of(p)) else {
            self.detail(|| "no learned MAC for destination, flooding".into());
            return self.flood_vlan(from, vlan);
        };
        let (to_id, to) = (to.0, to.1.clone());
        match from {
            Some((id, _)) if id == to_id => {
                self.detail(|| "learned port is input port, dropping".into());
            }
            Some((_, from)) if from.protected && to.protected => {
                self.warn("Flow is between protected ports, skipping output.");
            }
            _ => {
                self.detail(|| "forwarding to learned port".into());
                self.output_vlan(&to, vlan);
            }
        }
    }

    fn flood_vlan(&mut self, from: Option<(BundleId, Arc<Bundle>)>, vlan: u16) {
        let within = slots::VLAN2_TCI;
        let tag_within = within.get(&self.state.words) & 0xfff != 0;
        let seen = within.get(&self.seen.words) | 0xfff;
        within.set(&mut self.seen.words, seen);
        let wants = |(id, bundle): &(&BundleId, &Arc<Bundle>)| {
            let same = from.as_ref().is_some_and(|(f, _)| f == *id);
            let protected = from.as_ref().is_some_and(|(_, f)| f.protected) && bundle.protected;
            let floods = bundle.ports.iter().all(|p| {
                let config = self.bridge.ports.get(p).map_or(0, |p| p.config);
                config & port_config::NO_FLOOD == 0
            });
            // A port that takes only untagged packets of one VLAN has no place for a tag within.
            let fits = !tag_within || !matches!(bundle.mode, VlanMode::Access(_));
            !same && !protected && floods && fits && bundle.includes(vlan)
        };
        let bundles = self.bridge.bundles.iter().filter(wants);
        let bundles: Vec<_> = bundles.map(|(_, b)| b.clone()).collect();
        // Each tag is put on or taken off once: the packet goes first where it is wanted as it is.
        let now = self.tags();
        let mut outputs: Vec<_> = bundles
            .iter()
            .map(|to| {
                self.retag(to, vlan);
                let tags = self.tags();
                self.set_tags(now);
                (tags, to)
            })
            .collect();
        let base = TAGS.map(|slot| slot.get(&self.base.words));
        outputs.sort_by_key(|(tags, _)| (*tags != base, *tags));
        for (_, to) in outputs {
            self.output_vlan(to, vlan);
        }
    }

    fn tags(&self) -> [u128; 4] {
        TAGS.map(|slot| slot.get(&self.state.words))
    }

    fn set_tags(&mut self, tags: [u128; 4]) {
        for (slot, value) in TAGS.iter().zip(tags) {
            slot.set(&mut self.state.words, value);
        }
    }

    /// Sends the packet out of a port with the tag that the port wants.
    fn output_vlan(&mut self, to: &Bundle, vlan: u16) {
        let Some(&port) = to.ports.first() else {
            return;
        };
        let tags = self.tags();
        self.retag(to, vlan);
        self.output(port);
        self.set_tags(tags);
    }

    /// Gives a packet of `vlan` the tags that a port wants.
    fn retag(&mut self, to: &Bundle, vlan: u16) {
        let slot = slots::VLAN_TCI;
        let old = slot.get(&self.state.words);
        let old_tpid = slots::VLAN_TPID.get(&self.state.words);
        let vid = to.vid_out(vlan);
        let had_tag = old & u128::from(VLAN_PRESENT) != 0;
        // A port that takes tags off takes the priority with them, unless it is told otherwise.
        let takes_off = match to.mode {
            VlanMode::Access(_) => true,
            VlanMode::NativeUntagged(tag) => vlan == tag,
            _ => false,
        };
        let keeps = !takes_off || to.priority_tags != PriorityTags::Never;
        let priority = if keeps { old as u16 & 0xe000 } else { 0 };
        let always = to.priority_tags == PriorityTags::Always && had_tag && !takes_off;
        let tagged = vid != 0 || priority != 0 || always;
        let tci = if tagged {
            vid | priority | VLAN_PRESENT
        } else {
            0
        };
        let stays = vid != 0 && u128::from(tci) == old;
        if keeps && had_tag && !stays {
            // The priority goes along.
            let seen = slot.get(&self.seen.words) | 0xf000;
            slot.set(&mut self.seen.words, seen);
        }
        slot.set(&mut self.state.words, tci.into());
        if !tagged {
            slots::VLAN_TPID.set(&mut self.state.words, 0);
        } else if old_tpid == 0 {
            slots::VLAN_TPID.set(&mut self.state.words, 0x8100);
        }
        let second = [slots::VLAN2_TPID, slots::VLAN2_TCI];
        let [tpid, within] = second.map(|slot| slot.get(&self.state.words));
        let empty = within as u16 & !VLAN_PRESENT == 0;
        if takes_off && within != 0 && !matches!(to.mode, VlanMode::Access(_)) {
            // The tag within is the outermost now.
            slots::VLAN_TPID.set(&mut self.state.words, tpid);
            slot.set(&mut self.state.words, within | u128::from(priority));
        }
        if takes_off || empty && to.priority_tags != PriorityTags::Always {
            second
                .iter()
                .for_each(|slot| slot.set(&mut self.state.words, 0));
        }
    }
}
