//! Capabilities: what the device can do, by group; for each what is in force now and what could
//! be at most.

use super::command::{Call, Outcome};
use super::core::Core;
use super::syndrome::Syndrome;
use hal_mlx_prm::command::{QueryHcaCapIn, QueryHcaCapOut, SetHcaCapIn};
use hal_mlx_prm::{Described, Field, Layout, Part, Place, View};
use serde_json::Value;
use std::collections::BTreeMap;

/// Bytes of a group.
const GROUP: usize = 4096;
/// Where a group begins in inputs and outputs.
const AT: usize = 0x10;

/// The groups: number, name in descriptions, layout.
const GROUPS: &[(u16, &str, &Layout)] = &[];

/// A group that is a layout.
pub(super) trait Group: Described {
    /// Its number.
    const NUMBER: u16;
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

/// The place of a field by its name, in lower case; inner layouts are `outer.inner`.
fn find(layout: &Layout, name: &str) -> Option<Place> {
    layout.parts.iter().find_map(|part| match *part {
        Part::Field(field, place) => field.eq_ignore_ascii_case(name).then_some(place),
        Part::Nested(outer, at, inner) => {
            let (first, rest) = name.split_once('.')?;
            let place = outer
                .eq_ignore_ascii_case(first)
                .then(|| find(inner, rest))??;
            Some(Place {
                offset: place.offset + at,
                ..place
            })
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
    pub fn of(groups: &BTreeMap<String, BTreeMap<String, Value>>) -> Result<Capabilities, String> {
        let mut all = Capabilities::default();
        for (group, fields) in groups {
            let known = GROUPS.iter().find(|(_, name, _)| name == group);
            let (number, _, layout) = known.ok_or_else(|| format!("{group}: no such group"))?;
            let mut values = Values {
                now: vec![0; GROUP],
                most: vec![0; GROUP],
            };
            for (name, value) in fields {
                let bad = |why: &str| format!("{group}: {name}: {why}");
                let place = find(layout, name).ok_or_else(|| bad("no such capability"))?;
                let number = |v: &Value| match v {
                    Value::Bool(b) => Some(u128::from(*b)),
                    v => v.as_u64().map(u128::from),
                };
                let (now, most) = match value.as_array().map(Vec::as_slice) {
                    Some([now, most]) => (number(now), number(most)),
                    Some(_) => (None, None),
                    None => (number(value), number(value)),
                };
                let (Some(now), Some(most)) = (now, most) else {
                    return Err(bad("not a number, nor [now, at most]"));
                };
                if now.max(most) >> place.width().min(127) != 0 {
                    return Err(bad(&format!("has {} bits", place.width())));
                }
                store(&mut values.now, place, now);
                store(&mut values.most, place, most);
            }
            all.0.insert(*number, values);
        }
        Ok(all)
    }

    /// What is in force.
    pub fn get<L: Group, T: hal_mlx_prm::Bits>(&self, field: Field<L, T>) -> T {
        let now = self.0.get(&L::NUMBER).map(|v| v.now.as_slice());
        T::from_bits(now.map_or(0, |now| load(now, field.place)))
    }

    /// Takes what a host asks for. No capability may become more than it can be.
    fn set(&mut self, number: u16, wanted: &[u8]) -> Result<(), Syndrome> {
        let values = self
            .0
            .get_mut(&number)
            .ok_or(Syndrome::NoSuchCapabilities)?;
        let known = GROUPS.iter().find(|(group, ..)| *group == number);
        let mut beyond = false;
        if let Some((_, _, layout)) = known {
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
        let capabilities = if input.get(QueryHcaCapIn::OTHER_FUNCTION) {
            self.other_capabilities(input.get(QueryHcaCapIn::FUNCTION_ID))?
        } else {
            &self.capabilities
        };
        let values = capabilities.0.get(&(call.op_mod >> 1));
        let values = values.ok_or(Syndrome::NoSuchCapabilities)?;
        let from = if call.op_mod & 1 == 1 {
            &values.now
        } else {
            &values.most
        };
        let _ = call.output::<QueryHcaCapOut>()?;
        if let Some(out) = call.output.get_mut(AT..AT + from.len()) {
            out.copy_from_slice(from);
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
            let _ = self.other_capabilities(id)?;
            return Ok(());
        }
        self.capabilities.set(call.op_mod >> 1, wanted)
    }

    /// The capabilities of a virtual function: the device's own.
    fn other_capabilities(&self, function: u16) -> Result<&Capabilities, Syndrome> {
        if function > self.vfs {
            return Err(Syndrome::NoSuchFunction);
        }
        Ok(&self.capabilities)
    }
}
