//! Capabilities: what the device can do, by group; for each what is in force now and what could
//! be at most.

use super::command::{Call, Outcome};
use super::core::Core;
use super::profile::Groups;
use super::syndrome::Syndrome;
use hal_mlx_prm::capability::*;
use hal_mlx_prm::command::{QueryHcaCapIn, QueryHcaCapOut, SetHcaCapIn};
use hal_mlx_prm::{Bits, Described, Field, Layout, Nested, Part, Place, View};
use serde_json::Value;
use std::collections::BTreeMap;

/// Where a group begins in inputs and outputs.
const AT: usize = 0x10;

/// A layout that is a group.
pub(super) trait Grouped: Described {
    /// Which.
    const GROUP: Group;
}

macro_rules! grouped {
    ($( $layout:ident in $group:ident; )*) => {$(
        impl Grouped for $layout { const GROUP: Group = Group::$group; }
    )*};
}
grouped! {
    GeneralCapability in General;
    EthernetCapability in Ethernet;
    FlowTableCapability in FlowTable;
    EswitchFlowTableCapability in EswitchFlowTable;
    EswitchCapability in Eswitch;
}

#[derive(Clone, Debug)]
struct Values {
    now: Vec<u8>,
    most: Vec<u8>,
}

/// All groups that the device has.
#[derive(Clone, Debug, Default)]
pub(super) struct Capabilities(BTreeMap<u16, Values>);

fn load(memory: &[u8], place: Place) -> u128 {
    let words = |n: usize| {
        let bytes = memory
            .get(place.offset..place.offset + n)
            .unwrap_or_default();
        bytes.iter().fold(0u128, |all, b| all << 8 | u128::from(*b))
    };
    let all = match place.high {
        0..32 => words(4),
        32..64 => words(8),
        _ => words(16),
    };
    all >> place.low & (u128::MAX >> (128 - place.width()))
}

fn store(memory: &mut [u8], place: Place, value: u128) {
    for bit in 0..place.width() {
        let at = u32::from(place.low) + bit;
        let words = match place.high {
            0..32 => 4,
            32..64 => 8,
            _ => 16,
        };
        let byte = place.offset + words - 1 - (at / 8) as usize;
        if let Some(byte) = memory.get_mut(byte) {
            let one = 1u8 << (at % 8);
            *byte = if value >> bit & 1 == 1 {
                *byte | one
            } else {
                *byte & !one
            };
        }
    }
}

/// What a name means.
enum Found {
    Field(Place),
    Inner(usize, &'static Layout),
}

impl Found {
    fn moved(self, by: usize) -> Found {
        match self {
            Found::Field(place) => Found::Field(Place {
                offset: place.offset + by,
                ..place
            }),
            Found::Inner(at, layout) => Found::Inner(at + by, layout),
        }
    }

    /// Writes a value: a number, or the names of fields that are 1.
    fn write(&self, memory: &mut [u8], value: &Value) -> Result<(), String> {
        match (self, value) {
            (Found::Inner(at, layout), Value::Array(names)) => {
                for name in names {
                    let name = name.as_str().unwrap_or_default();
                    let found = find(layout, name);
                    let found = found.ok_or_else(|| format!("{name}: no such field"))?;
                    found.moved(*at).write(memory, &Value::from(1))?;
                }
                Ok(())
            }
            (Found::Field(place), value) => {
                let number = value.as_u64().ok_or("not a number")?;
                if place.width() < 64 && number >> place.width() != 0 {
                    return Err(format!("has {} bits", place.width()));
                }
                store(memory, *place, number.into());
                Ok(())
            }
            _ => Err("not a list of fields".into()),
        }
    }
}

/// What a name means in a layout; fields of inner layouts are `OUTER.INNER`.
fn find(layout: &Layout, name: &str) -> Option<Found> {
    layout.parts.iter().find_map(|part| match *part {
        Part::Field(field, place) => (field == name).then_some(Found::Field(place)),
        Part::Nested(outer, at, inner) if outer == name => Some(Found::Inner(at, inner)),
        Part::Nested(outer, at, inner) => {
            let (first, rest) = name.split_once('.')?;
            let found = (outer == first).then(|| find(inner, rest))?;
            Some(found?.moved(at))
        }
        Part::Tail(..) | Part::Octets(..) => None,
    })
}

/// Calls for each field of a layout.
fn each(layout: &Layout, base: usize, f: &mut impl FnMut(&str, Place)) {
    for part in layout.parts {
        match *part {
            Part::Field(name, place) => f(
                name,
                Place {
                    offset: place.offset + base,
                    ..place
                },
            ),
            Part::Nested(_, at, inner) => each(inner, base + at, f),
            Part::Tail(..) | Part::Octets(..) => {}
        }
    }
}

impl Capabilities {
    /// From a description.
    pub fn of(groups: &Groups) -> Result<Capabilities, String> {
        let mut all = Capabilities::default();
        for (name, fields) in groups {
            let known = Group::KNOWN.iter().find(|(_, known, _)| known == name);
            let (number, _, layout) = known.ok_or_else(|| format!("{name}: no such group"))?;
            let mut values = Values {
                now: vec![0; GROUP_SIZE],
                most: vec![0; GROUP_SIZE],
            };
            for (field, sourced) in fields {
                let bad = |why: String| format!("{name}: {field}: {why}");
                let place = find(layout, field).ok_or_else(|| bad("no such field".into()))?;
                let now = sourced.current.as_ref().unwrap_or(&sourced.value);
                place.write(&mut values.now, now).map_err(bad)?;
                place.write(&mut values.most, &sourced.value).map_err(bad)?;
            }
            all.0.insert(*number as u16, values);
        }
        Ok(all)
    }

    /// What is in force.
    pub fn get<L: Grouped, T: Bits>(&self, field: Field<L, T>) -> T {
        let now = self.0.get(&(L::GROUP as u16)).map(|v| v.now.as_slice());
        T::from_bits(now.map_or(0, |now| load(now, field.place)))
    }

    /// What is in force of an inner layout.
    pub fn inner<L: Grouped, I: Described, T: Bits>(
        &self,
        nested: Nested<L, I>,
        field: Field<I, T>,
    ) -> T {
        let now = self.0.get(&(L::GROUP as u16)).map(|v| v.now.as_slice());
        let inside = now.and_then(|now| now.get(nested.offset..));
        T::from_bits(inside.map_or(0, |inside| load(inside, field.place)))
    }

    /// Takes what a host asks for. No capability may become more than it can be.
    fn set(&mut self, number: u16, wanted: &[u8]) -> Result<(), Syndrome> {
        let values = self
            .0
            .get_mut(&number)
            .ok_or(Syndrome::NoSuchCapabilities)?;
        let mut beyond = false;
        if let Some(layout) = Group::of(number).and_then(Group::layout) {
            each(layout, 0, &mut |_, place| {
                let (old, new) = (load(&values.now, place), load(wanted, place));
                beyond |= new != old && new > load(&values.most, place);
            });
        }
        if beyond {
            return Err(Syndrome::CapabilityBeyondMost);
        }
        let len = values.now.len().min(wanted.len());
        values.now[..len].copy_from_slice(&wanted[..len]);
        Ok(())
    }
}

impl Core {
    /// QUERY_HCA_CAP.
    pub fn query_hca_cap(&mut self, call: &mut Call<'_>) -> Outcome {
        let input = call.input::<QueryHcaCapIn>()?;
        let other = input.get(QueryHcaCapIn::OTHER_FUNCTION);
        let function = input.get(QueryHcaCapIn::FUNCTION_ID);
        if other {
            self.check_function(function)?;
        }
        let group = call.op_mod >> 1;
        let values = self.capabilities.0.get(&group);
        let values = values.ok_or(Syndrome::NoSuchCapabilities)?;
        let from = if call.op_mod & 1 == 1 {
            &values.now
        } else {
            &values.most
        };
        let _ = call.output::<QueryHcaCapOut>()?;
        if let Some(out) = call.output.get_mut(AT..AT + from.len()) {
            out.copy_from_slice(from);
            // A virtual function can what this one can, but for managing others.
            if other && function != 0 && group == Group::General as u16 {
                store(out, GeneralCapability::VHCA_ID.place, function.into());
                store(out, GeneralCapability::VPORT_GROUP_MANAGER.place, 0);
                store(out, GeneralCapability::ESWITCH_MANAGER.place, 0);
            }
        }
        Ok(())
    }

    /// SET_HCA_CAP.
    pub fn set_hca_cap(&mut self, call: &mut Call<'_>) -> Outcome {
        let input: View<SetHcaCapIn, _> = call.input()?;
        let (other, id) = (
            input.get(SetHcaCapIn::OTHER_FUNCTION),
            input.get(SetHcaCapIn::FUNCTION_ID),
        );
        let wanted = call.input.get(AT..).unwrap_or_default();
        if other {
            // What a virtual function can does not change.
            return self.check_function(id);
        }
        self.capabilities.set(call.op_mod >> 1, wanted)
    }

    fn check_function(&self, function: u16) -> Outcome {
        if function > self.vfs {
            return Err(Syndrome::NoSuchFunction);
        }
        Ok(())
    }
}
