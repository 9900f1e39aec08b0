//! Layouts, fields, and views of memory through them.

use std::marker::PhantomData;

/// A field's type: a number, or one by name.
pub trait Bits: Copy {
    /// From the field's bits, right-aligned.
    fn from_bits(bits: u128) -> Self;
    /// To the field's bits; those that do not fit are cut off.
    fn bits(self) -> u128;
}

macro_rules! numbers {
    ($($t:ty),*) => {$(
        impl Bits for $t {
            #[inline(always)]
            fn from_bits(bits: u128) -> $t { bits as $t }
            #[inline(always)]
            fn bits(self) -> u128 { self as u128 }
        }
    )*};
}
numbers!(u8, u16, u32, u64, u128);

impl Bits for bool {
    #[inline(always)]
    fn from_bits(bits: u128) -> bool {
        bits != 0
    }
    #[inline(always)]
    fn bits(self) -> u128 {
        self.into()
    }
}

/// Where bits stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Byte at which the word begins; a multiple of 4.
    pub offset: usize,
    /// Highest bit: below 32 in the word, below 64 in it and the next, below 128 in four words.
    pub high: u8,
    /// Lowest bit.
    pub low: u8,
}

impl Place {
    /// The bytes of the words that the bits stand in.
    const fn bytes(self) -> usize {
        match self.high {
            0..32 => 4,
            32..64 => 8,
            _ => 16,
        }
    }

    /// How many bits there are.
    pub const fn width(self) -> u32 {
        self.high as u32 - self.low as u32 + 1
    }

    /// The bits, right-aligned; 0 if the memory ends before them.
    #[inline(always)]
    pub fn load(self, memory: &[u8]) -> u128 {
        let at = memory.get(self.offset..).unwrap_or_default();
        let words = match self.bytes() {
            4 => at
                .first_chunk()
                .map_or(0, |b| u32::from_be_bytes(*b).into()),
            8 => at
                .first_chunk()
                .map_or(0, |b| u64::from_be_bytes(*b).into()),
            _ => at.first_chunk().map_or(0, |b| u128::from_be_bytes(*b)),
        };
        words >> self.low & self.mask()
    }

    /// Writes the bits, unless the memory ends before them; those that do not fit are cut off.
    #[inline(always)]
    pub fn store(self, memory: &mut [u8], bits: u128) {
        let Some(at) = memory.get_mut(self.offset..) else {
            return;
        };
        let (bits, kept) = ((bits & self.mask()) << self.low, !(self.mask() << self.low));
        match self.bytes() {
            4 => {
                if let Some(b) = at.first_chunk_mut() {
                    *b = (u32::from_be_bytes(*b) & kept as u32 | bits as u32).to_be_bytes();
                }
            }
            8 => {
                if let Some(b) = at.first_chunk_mut() {
                    *b = (u64::from_be_bytes(*b) & kept as u64 | bits as u64).to_be_bytes();
                }
            }
            _ => {
                if let Some(b) = at.first_chunk_mut() {
                    *b = (u128::from_be_bytes(*b) & kept | bits).to_be_bytes();
                }
            }
        }
    }

    #[inline(always)]
    const fn mask(self) -> u128 {
        u128::MAX >> (128 - self.width())
    }
}

/// A field of layout `L` whose value is a `T`.
#[derive(Debug)]
pub struct Field<L, T> {
    /// Its name, in capitals.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    of: PhantomData<fn(L) -> T>,
}

/// A layout `I` inside of layout `L`.
#[derive(Debug)]
pub struct Nested<L, I> {
    /// Its name, in capitals.
    pub name: &'static str,
    /// Byte at which it begins.
    pub offset: usize,
    of: PhantomData<fn(L) -> I>,
}

/// Bytes in layout `L` that are no number.
#[derive(Debug)]
pub struct Octets<L> {
    /// Its name, in capitals.
    pub name: &'static str,
    /// The first byte.
    pub offset: usize,
    /// How many; none = all to the end of the memory.
    pub length: Option<usize>,
    of: PhantomData<fn(L)>,
}

/// Values of one kind behind the fixed part of layout `L`, as many as there are.
#[derive(Debug)]
pub struct Tail<L, I> {
    /// Its name, in capitals.
    pub name: &'static str,
    /// Byte at which the first begins.
    pub offset: usize,
    of: PhantomData<fn(L) -> I>,
}

macro_rules! plain_copy {
    ($($t:ident),*) => {$(
        impl<L, T> Clone for $t<L, T> {
            fn clone(&self) -> Self { *self }
        }
        impl<L, T> Copy for $t<L, T> {}
    )*};
}
plain_copy!(Field, Nested, Tail);

impl<L> Clone for Octets<L> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<L> Copy for Octets<L> {}

impl<L, T> Field<L, T> {
    /// For `layout!`.
    pub const fn new(name: &'static str, offset: usize, high: u8, low: u8) -> Field<L, T> {
        assert!(offset.is_multiple_of(4) && high < 128 && low <= high);
        Field {
            name,
            place: Place { offset, high, low },
            of: PhantomData,
        }
    }
}

impl<L, T: Bits> Field<L, T> {
    /// The field's value in its words, where those were read from a register: one word, or two for
    /// a field of more than 31 bits.
    pub fn of_words(self, words: u64) -> T {
        T::from_bits(u128::from(words) >> self.place.low & self.place.mask())
    }
}

impl<L, I> Nested<L, I> {
    /// For `layout!`.
    pub const fn new(name: &'static str, offset: usize) -> Nested<L, I> {
        Nested {
            name,
            offset,
            of: PhantomData,
        }
    }
}

impl<L> Octets<L> {
    /// For `layout!`.
    pub const fn new(name: &'static str, offset: usize, length: Option<usize>) -> Octets<L> {
        Octets {
            name,
            offset,
            length,
            of: PhantomData,
        }
    }
}

impl<L, I> Tail<L, I> {
    /// For `layout!`.
    pub const fn new(name: &'static str, offset: usize) -> Tail<L, I> {
        Tail {
            name,
            offset,
            of: PhantomData,
        }
    }
}

/// A layout as data.
#[derive(Debug)]
pub struct Layout {
    /// Its name.
    pub name: &'static str,
    /// Bytes of its fixed part.
    pub size: usize,
    /// What is in it; the rest is reserved.
    pub parts: &'static [Part],
}

/// A part of a [`Layout`].
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// Bits.
    Field(&'static str, Place),
    /// Another layout, from this byte on.
    Nested(&'static str, usize, &'static Layout),
    /// Bytes from this one on, so many or all to the end of the memory.
    Octets(&'static str, usize, Option<usize>),
    /// A list of another layout to the end of the memory.
    Tail(&'static str, usize, &'static Layout),
}

/// The bytes from `offset` on, at most `length` of them.
fn octets(memory: &[u8], offset: usize, length: Option<usize>) -> &[u8] {
    let memory = memory.get(offset..).unwrap_or_default();
    length.and_then(|n| memory.get(..n)).unwrap_or(memory)
}

fn octets_mut(memory: &mut [u8], offset: usize, length: Option<usize>) -> &mut [u8] {
    let memory = memory.get_mut(offset..).unwrap_or_default();
    let length = length.unwrap_or(usize::MAX).min(memory.len());
    memory.get_mut(..length).unwrap_or_default()
}

impl Layout {
    /// The first bytes, four together, in which bits are set that belong to no field; `memory`
    /// begins where the layout does. What is behind the fixed part is reserved too unless the
    /// layout ends in a list.
    pub fn reserved_set(&self, memory: &[u8]) -> Option<usize> {
        let mut known = vec![0u8; memory.len()];
        self.mark(&mut known);
        let mut bytes = memory.iter().zip(&known);
        bytes.position(|(b, k)| b & !k != 0).map(|at| at & !3)
    }

    /// Sets the bits that belong to fields.
    fn mark(&self, known: &mut [u8]) {
        for part in self.parts {
            match *part {
                Part::Field(_, place) => {
                    let all = place.load(known) | place.mask();
                    place.store(known, all);
                }
                Part::Nested(_, at, inner) => {
                    if let Some(known) = known.get_mut(at..) {
                        inner.mark(known);
                    }
                }
                Part::Octets(_, at, length) => octets_mut(known, at, length).fill(0xff),
                Part::Tail(_, at, item) => {
                    let items = known.get_mut(at..).unwrap_or_default();
                    items.chunks_mut(item.size).for_each(|k| item.mark(k));
                }
            }
        }
    }
}

/// A type that stands for a layout; `layout!` makes them.
pub trait Described: Sized + 'static {
    /// The layout as data.
    const LAYOUT: &'static Layout;
    /// Memory of its size.
    type Bytes: AsRef<[u8]> + AsMut<[u8]>;
    /// Such memory, all zero.
    fn zeroed() -> Self::Bytes;
}

/// Memory seen through layout `L`. There is at least as much memory as the layout's fixed part.
pub struct View<L, B> {
    memory: B,
    of: PhantomData<fn() -> L>,
}

impl<L, B: Clone> Clone for View<L, B> {
    fn clone(&self) -> Self {
        View {
            memory: self.memory.clone(),
            of: PhantomData,
        }
    }
}

impl<L: Described> View<L, L::Bytes> {
    /// Memory of its own, all zero.
    #[inline]
    pub fn zeroed() -> View<L, L::Bytes> {
        View {
            memory: L::zeroed(),
            of: PhantomData,
        }
    }
}

impl<L: Described> View<L, Vec<u8>> {
    /// Memory of its own, all zero, with room for a list behind the fixed part.
    pub fn with_tail<I: Described>(tail: Tail<L, I>, items: usize) -> View<L, Vec<u8>> {
        View {
            memory: vec![0; L::LAYOUT.size.max(tail.offset + items * I::LAYOUT.size)],
            of: PhantomData,
        }
    }

    /// Memory of its own, all zero, with room for bytes behind the fixed part.
    pub fn with_octets(octets: Octets<L>, length: usize) -> View<L, Vec<u8>> {
        View {
            memory: vec![0; L::LAYOUT.size.max(octets.offset + length)],
            of: PhantomData,
        }
    }
}

impl<L: Described, B: AsRef<[u8]>> View<L, B> {
    /// A view of memory; none if there is too little of it.
    #[inline]
    pub fn new(memory: B) -> Option<View<L, B>> {
        (memory.as_ref().len() >= L::LAYOUT.size).then_some(View {
            memory,
            of: PhantomData,
        })
    }

    /// The memory.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.memory.as_ref()
    }

    /// The memory, given back.
    #[inline]
    pub fn into_inner(self) -> B {
        self.memory
    }

    /// A field's value.
    #[inline(always)]
    pub fn get<T: Bits>(&self, field: Field<L, T>) -> T {
        T::from_bits(field.place.load(self.memory.as_ref()))
    }

    /// The view of an inner layout.
    #[inline]
    pub fn at<I: Described>(&self, nested: Nested<L, I>) -> View<I, &[u8]> {
        View {
            memory: self.memory.as_ref().get(nested.offset..).unwrap_or(&[]),
            of: PhantomData,
        }
    }

    /// The bytes of a field that is no number.
    #[inline]
    pub fn octets(&self, octets: Octets<L>) -> &[u8] {
        self::octets(self.memory.as_ref(), octets.offset, octets.length)
    }

    /// The whole items of the list.
    pub fn items<I: Described>(&self, tail: Tail<L, I>) -> impl Iterator<Item = View<I, &[u8]>> {
        let items = self.memory.as_ref().get(tail.offset..).unwrap_or(&[]);
        items.chunks_exact(I::LAYOUT.size).map(|memory| View {
            memory,
            of: PhantomData,
        })
    }
}

impl<L: Described, B: AsMut<[u8]>> View<L, B> {
    /// Writes a field. Bits that do not fit are cut off.
    #[inline(always)]
    pub fn set<T: Bits>(&mut self, field: Field<L, T>, value: T) -> &mut Self {
        field.place.store(self.memory.as_mut(), value.bits());
        self
    }

    /// Copies bytes to the beginning, as many as there is room for.
    #[inline]
    pub fn copy_from(&mut self, bytes: &[u8]) {
        let to = self.memory.as_mut();
        let len = to.len().min(bytes.len());
        to[..len].copy_from_slice(&bytes[..len]);
    }

    /// The view of an inner layout, to be written.
    #[inline]
    pub fn at_mut<I: Described>(&mut self, nested: Nested<L, I>) -> View<I, &mut [u8]> {
        let memory = self.memory.as_mut().get_mut(nested.offset..);
        View {
            memory: memory.unwrap_or_default(),
            of: PhantomData,
        }
    }

    /// The bytes of a field that is no number, to be written.
    #[inline]
    pub fn octets_mut(&mut self, octets: Octets<L>) -> &mut [u8] {
        self::octets_mut(self.memory.as_mut(), octets.offset, octets.length)
    }

    /// An item of the list, to be written; none if there is no room for it.
    pub fn item_mut<I: Described>(
        &mut self,
        tail: Tail<L, I>,
        index: usize,
    ) -> Option<View<I, &mut [u8]>> {
        let at = tail.offset + index * I::LAYOUT.size;
        let memory = self.memory.as_mut().get_mut(at..at + I::LAYOUT.size)?;
        Some(View {
            memory,
            of: PhantomData,
        })
    }
}

impl<L: Described, B: AsRef<[u8]>> std::fmt::Debug for View<L, B> {
    /// The fields that are not zero, with their names.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        show(L::LAYOUT, self.memory.as_ref(), f)
    }
}

fn show(layout: &Layout, memory: &[u8], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    struct Inner<'a>(&'a Layout, &'a [u8]);
    impl std::fmt::Debug for Inner<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            show(self.0, self.1, f)
        }
    }
    let mut out = f.debug_struct(layout.name);
    for part in layout.parts {
        match *part {
            Part::Field(name, place) => {
                let value = place.load(memory);
                if value != 0 {
                    out.field(name, &format_args!("{value:#x}"));
                }
            }
            Part::Nested(name, at, inner) => {
                let memory = memory.get(at..at + inner.size).unwrap_or(&[]);
                if memory.iter().any(|b| *b != 0) {
                    out.field(name, &Inner(inner, memory));
                }
            }
            Part::Octets(name, at, length) => {
                let octets = octets(memory, at, length);
                if octets.iter().any(|b| *b != 0) {
                    out.field(name, &format_args!("{octets:02x?}"));
                }
            }
            Part::Tail(name, at, item) => {
                let items = memory.get(at..).unwrap_or(&[]).chunks_exact(item.size);
                let items: Vec<_> = items.map(|memory| Inner(item, memory)).collect();
                if !items.is_empty() {
                    out.field(name, &items);
                }
            }
        }
    }
    out.finish()
}

/// Writes layouts down. A field is `NAME: (type, byte, high:low)`, an inner layout
/// `NAME: (Layout, byte)`, a list behind the fixed part `NAME: (Layout.., byte)`, bytes that are no
/// number `NAME: ([u8; many], byte)` or `NAME: ([u8], byte)`.
macro_rules! layout {
    ($( $(#[$doc:meta])* $name:ident[$size:expr] { $( $(#[$fdoc:meta])* $field:ident : $body:tt ),* $(,)? } )*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl $name {
            $( $crate::layout::part!(const $name, $(#[$fdoc])* $field $body); )*
            /// Bytes of the fixed part.
            pub const SIZE: usize = $size;
        }

        impl $crate::Described for $name {
            const LAYOUT: &'static $crate::Layout = &$crate::Layout {
                name: stringify!($name),
                size: $size,
                parts: &[ $( $crate::layout::part!(data $name $field $body) ),* ],
            };
            type Bytes = [u8; $size];
            fn zeroed() -> [u8; $size] {
                [0; $size]
            }
        }
    )*};
}

macro_rules! part {
    (const $l:ident, $(#[$doc:meta])* $name:ident ([u8; $n:literal], $at:literal)) => {
        $(#[$doc])*
        pub const $name: $crate::Octets<$l> =
            $crate::Octets::new(stringify!($name), $at, Some($n));
    };
    (const $l:ident, $(#[$doc:meta])* $name:ident ([u8], $at:literal)) => {
        $(#[$doc])*
        pub const $name: $crate::Octets<$l> = $crate::Octets::new(stringify!($name), $at, None);
    };
    (data $l:ident $name:ident ([u8; $n:literal], $at:literal)) => {
        $crate::Part::Octets(stringify!($name), $at, Some($n))
    };
    (data $l:ident $name:ident ([u8], $at:literal)) => {
        $crate::Part::Octets(stringify!($name), $at, None)
    };
    (const $l:ident, $(#[$doc:meta])* $name:ident ($t:ty, $at:literal, $high:literal:$low:literal)) => {
        $(#[$doc])*
        pub const $name: $crate::Field<$l, $t> =
            $crate::Field::new(stringify!($name), $at, $high, $low);
    };
    (const $l:ident, $(#[$doc:meta])* $name:ident ($t:ident, $at:expr)) => {
        $(#[$doc])*
        pub const $name: $crate::Nested<$l, $t> = $crate::Nested::new(stringify!($name), $at);
    };
    (const $l:ident, $(#[$doc:meta])* $name:ident ($t:ident.., $at:expr)) => {
        $(#[$doc])*
        pub const $name: $crate::Tail<$l, $t> = $crate::Tail::new(stringify!($name), $at);
    };
    (data $l:ident $name:ident ($t:ty, $at:literal, $high:literal:$low:literal)) => {
        $crate::Part::Field(stringify!($name), $l::$name.place)
    };
    (data $l:ident $name:ident ($t:ident, $at:expr)) => {
        $crate::Part::Nested(stringify!($name), $at, <$t as $crate::Described>::LAYOUT)
    };
    (data $l:ident $name:ident ($t:ident.., $at:expr)) => {
        $crate::Part::Tail(stringify!($name), $at, <$t as $crate::Described>::LAYOUT)
    };
}

/// Writes down the values that a field can have: an `enum` whose `of` finds the value of a number.
macro_rules! values {
    ($( $(#[$doc:meta])* pub enum $name:ident : $t:ident {
        $( $(#[$vdoc:meta])* $value:ident = $number:literal ),* $(,)?
    } )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr($t)]
        pub enum $name { $( $(#[$vdoc])* $value = $number, )* }

        impl $name {
            /// The value of this number; none if it is not known here.
            pub const fn of(number: $t) -> Option<$name> {
                match number { $( $number => Some($name::$value), )* _ => None }
            }
        }
    )*};
}

pub(crate) use {layout, part, values};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    layout! {
        /// For the tests.
        Inner[8] {
            /// Low bits.
            LOW: (u8, 0x0, 7:0),
            /// A flag.
            FLAG: (bool, 0x4, 31:31),
            /// Bytes.
            BYTES: ([u8; 2], 0x5),
        }
        /// For the tests.
        Outer[0x30] {
            /// A word.
            WORD: (u32, 0x0, 31:0),
            /// Bits in the middle.
            MIDDLE: (u16, 0x4, 21:8),
            /// An address.
            ADDRESS: (u64, 0x8, 63:12),
            /// A long one.
            LONG: (u128, 0x10, 127:0),
            /// A layout.
            INNER: (Inner, 0x20),
            /// A list.
            LIST: (Inner.., 0x30),
        }
    }

    #[test]
    fn bits_are_counted_from_the_top_of_a_big_endian_word() {
        let mut view = View::<Outer, _>::zeroed();
        view.set(Outer::WORD, 0x0102_0304)
            .set(Outer::MIDDLE, 0x2a5b);
        view.set(Outer::ADDRESS, 0x12_3456);
        view.at_mut(Outer::INNER).set(Inner::FLAG, true);
        view.at_mut(Outer::INNER).octets_mut(Inner::BYTES).fill(9);
        assert_eq!(view.at(Outer::INNER).octets(Inner::BYTES), [9, 9]);
        assert_eq!(
            view.bytes()[..16],
            [
                1, 2, 3, 4, 0, 0x2a, 0x5b, 0, 0, 0, 0, 1, 0x23, 0x45, 0x60, 0
            ]
        );
        assert_eq!(view.bytes()[0x24..0x28], [0x80, 9, 9, 0]);
        assert_eq!((Outer::SIZE, Inner::SIZE), (0x30, 8));
    }

    #[test]
    fn too_little_memory_gives_no_view() {
        assert!(View::<Outer, _>::new(&[0; 0x2f][..]).is_none());
        assert!(View::<Outer, _>::new(&[0; 0x30][..]).is_some());
    }

    #[test]
    fn a_list_has_its_whole_items() {
        let mut view = View::with_tail(Outer::LIST, 2);
        view.item_mut(Outer::LIST, 1).unwrap().set(Inner::LOW, 7);
        assert!(view.item_mut(Outer::LIST, 2).is_none());
        let lows: Vec<u8> = view.items(Outer::LIST).map(|i| i.get(Inner::LOW)).collect();
        assert_eq!(lows, [0, 7]);
        assert_eq!(
            format!("{view:?}"),
            "Outer { LIST: [Inner, Inner { LOW: 0x7 }] }"
        );
    }

    proptest! {
        #[test]
        fn a_field_comes_back_and_touches_no_other(
            mut memory in prop::collection::vec(any::<u8>(), 0x40),
            value in any::<u64>(),
        ) {
            let before = memory.clone();
            let mut view = View::<Outer, _>::new(&mut memory[..]).unwrap();
            view.set(Outer::ADDRESS, value);
            prop_assert_eq!(view.get(Outer::ADDRESS), value & ((1 << 52) - 1));
            prop_assert_eq!(&before[..8], &memory[..8]);
            prop_assert_eq!(before[15] & 0xf, memory[15] & 0xf);
            prop_assert_eq!(&before[16..], &memory[16..]);
        }

        #[test]
        fn a_reserved_bit_is_found(at in 0usize..0x40, bit in 0u8..8) {
            let mut memory = [0; 0x40];
            memory[at] |= 1 << bit;
            let field = match at {
                0..=3 | 6 | 8..=13 | 0x10..=0x1f | 0x23 | 0x33 | 0x3b => true,
                0x25 | 0x26 | 0x35 | 0x36 | 0x3d | 0x3e => true,
                5 => bit < 6,
                14 => bit >= 4,
                0x24 | 0x34 | 0x3c => bit == 7,
                _ => false,
            };
            let found = Outer::LAYOUT.reserved_set(&memory);
            prop_assert_eq!(found, (!field).then_some(at & !3));
        }
    }
}
