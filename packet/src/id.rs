//! Looking rows up, and reading and writing fields.

use crate::field::{Field, Maskable, Owner, OxmClass};
use crate::layout::Slot;
use crate::table::{FIELDS, FieldId, IDS};

impl FieldId {
    /// All fields in the table's order.
    pub fn all() -> impl Iterator<Item = FieldId> {
        IDS.iter().copied()
    }

    /// The fields of packets: those that a datapath can match. They name every bit of a
    /// [`PacketKey`](crate::PacketKey), some of them more than once.
    pub fn of_packets() -> impl Iterator<Item = FieldId> {
        FieldId::all().filter(|f| f.row().owner == Owner::Packet)
    }

    /// Whether OpenFlow has the field. What it does not have is matched by datapaths only: a tag's
    /// type, and what stands under the outermost tag and label.
    pub fn is_openflow(self) -> bool {
        self < FieldId::VlanTpid
    }

    /// The field's row.
    pub fn row(self) -> &'static Field {
        // The table has a row for each id, which is what `IDS` is made of.
        &FIELDS[self as usize]
    }

    /// Finds one of OpenFlow's fields by its name or its alias.
    pub fn by_name(name: &str) -> Option<FieldId> {
        let is = |f: &FieldId| f.row().name == name || f.row().alias == Some(name);
        FieldId::all().filter(|f| f.is_openflow()).find(is)
    }

    /// Finds a field by its OXM or NXM number.
    pub fn by_oxm(class: OxmClass, number: u8) -> Option<FieldId> {
        FieldId::all().find(|f| {
            let is = |o: &crate::Oxm| o.class == class && o.number == number;
            f.row().nxm.as_ref().is_some_and(is) || f.row().oxm.as_ref().is_some_and(is)
        })
    }

    /// The `n`th 32-bit register, 0 to 31.
    pub fn register(n: u8) -> Option<FieldId> {
        IDS.get(FieldId::Reg0 as usize + usize::from(n))
            .copied()
            .filter(|_| n < 32)
    }

    /// All significant bits set.
    pub fn full(self) -> u128 {
        match self {
            FieldId::IpDscp => 0xfc,
            f if f.row().bits == 128 => u128::MAX,
            f => (1u128 << f.row().bits) - 1,
        }
    }

    /// Whether any bits of it may be masked.
    pub fn is_maskable(self) -> bool {
        self.row().maskable == Maskable::Bitwise
    }

    /// Where the field stands.
    pub fn slot(self) -> Slot {
        self.row().slot
    }

    /// Reads the field from a row of words.
    pub fn get(self, words: &[u64]) -> u128 {
        let row = self.row();
        (row.slot.get(words) >> row.shift) & self.full()
    }

    /// Writes the field's significant bits into a row of words and leaves its neighbours alone.
    pub fn set(self, words: &mut [u64], value: u128) {
        self.set_masked(words, value, self.full());
    }

    /// Writes those bits of the field that `mask` names.
    pub fn set_masked(self, words: &mut [u64], value: u128, mask: u128) {
        let row = self.row();
        let mask = (mask & self.full()) << row.shift;
        let old = row.slot.get(words);
        row.slot.set(words, old & !mask | value << row.shift & mask);
    }

    /// Whether `self` and `other` share bits of the packet.
    pub fn overlaps(self, other: FieldId) -> bool {
        let (a, b) = (self.row(), other.row());
        let words = |f: &Field| {
            let w = f.slot.word..f.slot.word + f.slot.bits.div_ceil(64).max(1);
            w.map(u64::from).fold(0u64, |m, i| m | 1 << i)
        };
        if words(a) & words(b) == 0 {
            return false;
        }
        if a.slot.bits == 128 || b.slot.bits == 128 {
            return true;
        }
        let bits = |id: FieldId, f: &Field| (id.full() as u64) << f.shift << f.slot.shift;
        bits(self, a) & bits(other, b) != 0
    }
}

impl std::fmt::Display for FieldId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.row().name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PACKET_WORDS, STATE_WORDS};

    #[test]
    fn every_row_fits_its_slot_and_its_owner() {
        for f in FieldId::all() {
            let row = f.row();
            assert!(
                row.bits + row.shift <= row.slot.bits || f == FieldId::ArpOp,
                "{f}"
            );
            assert!(u32::from(row.bits) <= u32::from(row.bytes) * 8, "{f}");
            let end = usize::from(row.slot.word) + usize::from(row.slot.bits.div_ceil(64));
            let limit = if row.owner == Owner::Packet {
                PACKET_WORDS
            } else {
                STATE_WORDS
            };
            assert!(end <= limit, "{f}");
            let named = f.is_openflow().then_some(f);
            assert_eq!(FieldId::by_name(row.name), named);
        }
    }

    #[test]
    fn a_written_field_reads_back_and_disturbs_no_other() {
        for f in FieldId::all() {
            let mut words = [0u64; STATE_WORDS];
            let fits = if f == FieldId::ArpOp { 0xff } else { f.full() };
            f.set(&mut words, u128::MAX);
            assert_eq!(f.get(&words), fits, "{f}");
            for g in FieldId::all().filter(|&g| !f.overlaps(g)) {
                assert_eq!(g.get(&words), 0, "{f} reached {g}");
            }
        }
    }

    #[test]
    fn openflow_cannot_say_what_only_a_datapath_has() {
        for f in FieldId::all().filter(|f| !f.is_openflow()) {
            let row = f.row();
            assert!(
                row.nxm.is_none() && row.oxm.is_none() && !row.writable,
                "{f}"
            );
            assert_eq!(row.owner, Owner::Packet, "{f}");
        }
    }

    #[test]
    fn numbers_on_the_wire_are_unique() {
        let mut seen = std::collections::HashSet::new();
        for f in FieldId::all() {
            for o in [f.row().nxm, f.row().oxm].into_iter().flatten() {
                assert!(seen.insert((o.class, o.number)), "{f}");
            }
        }
    }
}
