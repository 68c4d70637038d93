//! Seeded values of every type that a message field has, boundaries favoured.

use stratum_core::{
    binary_sv2::{
        B016MOwned, B032Owned, B064KOwned, B0255Owned, Seq064KOwned, Seq0255Owned, Sv2OptionOwned,
        U256Owned,
    },
    common_messages_sv2::Protocol,
};

/// Longest array in small messages.
const SMALL: usize = 40;

/// How long arrays and sequences are where not told otherwise.
const USUAL_LENGTH: usize = 120;
const USUAL_COUNT: usize = 12;

/// SplitMix64: the same values for the same seed on every machine.
pub struct Rng {
    state: u64,
    small: bool,
}

impl Rng {
    /// Values of message `index` of a run. `small` keeps arrays short, and F32 to the one NaN that JavaScript writes.
    pub fn new(seed: u64, index: u64, small: bool) -> Self {
        let mut rng = Self { state: seed, small };
        rng.state = rng.next() ^ index;
        rng
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `most`.
    pub fn up_to(&mut self, most: usize) -> usize {
        (self.next() % (most as u64 + 1)) as usize
    }

    /// True once in `times`.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.up_to(times - 1) == 0
    }

    fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.up_to(values.len() - 1)]
    }

    /// The length of an array: often 0, 1 or `most`, the latter less often when that is much.
    pub fn length(&mut self, most: usize) -> usize {
        let most = if self.small { most.min(SMALL) } else { most };
        self.boundary(most, USUAL_LENGTH)
    }

    /// The number of elements of a sequence, likewise.
    fn count(&mut self, most: usize) -> usize {
        let most = if self.small { most.min(3) } else { most };
        self.boundary(most, USUAL_COUNT)
    }

    fn boundary(&mut self, most: usize, usual: usize) -> usize {
        let rarity = if most > 2 * usual { 16 } else { 1 };
        match self.up_to(7) {
            0 => 0,
            1 => most.min(1),
            2 if self.one_in(rarity) => most,
            3 if self.one_in(rarity) => self.up_to(most),
            _ => self.up_to(most.min(usual)),
        }
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        match self.up_to(7) {
            0 => vec![0; length],
            1 => vec![0xff; length],
            _ => (0..length).map(|_| self.next() as u8).collect(),
        }
    }

    /// Well-formed UTF-8 of exactly `length` bytes.
    pub fn utf8(&mut self, length: usize) -> Vec<u8> {
        let mut text = String::new();
        while text.len() < length {
            let any = char::from_u32(self.up_to(0x10_ffff) as u32).unwrap_or('\u{feff}');
            let ascii = char::from(0x20 + self.up_to(94) as u8);
            let next = match self.up_to(9) {
                0 => any,
                1 => self.pick(&[
                    '\0',
                    '\n',
                    '"',
                    '\\',
                    '\u{feff}',
                    'é',
                    '€',
                    '🔥',
                    '\u{10ffff}',
                ]),
                _ => ascii,
            };
            let fits = text.len() + next.len_utf8() <= length;
            text.push(if fits { next } else { ascii });
        }
        text.into_bytes()
    }

    /// A string field's value. The crate has one type for strings and bytes, so the table of messages tells them apart.
    pub fn text(&mut self) -> B0255Owned {
        let length = self.length(255);
        let bytes = self.utf8(length);
        bytes.try_into().expect("at most 255 bytes")
    }
}

/// A type of which there are random values.
pub trait Random: Sized {
    fn random(rng: &mut Rng) -> Self;
}

macro_rules! random_integers {
    ($($type:ty),*) => {$(
        impl Random for $type {
            fn random(rng: &mut Rng) -> Self {
                let any = rng.next() as $type;
                rng.pick(&[0, 1, <$type>::MAX - 1, <$type>::MAX, any, any, any, any])
            }
        }
    )*};
}

random_integers!(u8, u16, u32, u64);

impl Random for bool {
    fn random(rng: &mut Rng) -> Self {
        rng.one_in(2)
    }
}

impl Random for f32 {
    fn random(rng: &mut Rng) -> Self {
        // zeros, subnormals, the least and the largest numbers, infinities
        let specials = [
            0x0000_0000,
            0x8000_0000,
            0x0000_0001,
            0x807f_ffff,
            0x0080_0000,
            0x7f7f_ffff,
            0xff7f_ffff,
            0x7f80_0000,
            0xff80_0000,
            0x7fc0_0000,
        ];
        // quiet and signalling, of both signs
        let nans = [0x7fc0_0000, 0xffc0_0001, 0x7f80_0001, 0xffff_ffff];
        let any = (rng.next() as u32) & 0xff7f_ffff;
        let nan = rng.pick(if rng.small { &nans[..1] } else { &nans });
        let special = rng.pick(&specials);
        Self::from_bits(rng.pick(&[special, special, nan, any, any, any, any, any]))
    }
}

impl Random for Protocol {
    fn random(rng: &mut Rng) -> Self {
        rng.pick(&[
            Self::MiningProtocol,
            Self::JobDeclarationProtocol,
            Self::TemplateDistributionProtocol,
        ])
    }
}

impl Random for U256Owned {
    fn random(rng: &mut Rng) -> Self {
        rng.bytes(32).try_into().expect("32 bytes")
    }
}

macro_rules! random_arrays {
    ($($type:ty: $most:expr),*) => {$(
        impl Random for $type {
            fn random(rng: &mut Rng) -> Self {
                let length = rng.length($most);
                rng.bytes(length).try_into().expect("a length within bounds")
            }
        }
    )*};
}

// Only one B0_16M a frame could be as long as its type allows; a test of its own sends that one.
random_arrays!(B032Owned: 32, B0255Owned: 255, B064KOwned: 0xffff, B016MOwned: 500);

impl<T: Random> Random for Sv2OptionOwned<T> {
    fn random(rng: &mut Rng) -> Self {
        Self::new(rng.one_in(2).then(|| T::random(rng)))
    }
}

impl<T: Random> Random for Seq0255Owned<T> {
    fn random(rng: &mut Rng) -> Self {
        let count = rng.count(255);
        Self::new((0..count).map(|_| T::random(rng)).collect()).expect("at most 255 elements")
    }
}

impl<T: Random> Random for Seq064KOwned<T> {
    fn random(rng: &mut Rng) -> Self {
        // A full one is long: now and then is enough.
        let most = if rng.one_in(8) { 0xffff } else { 300 };
        let count = rng.count(most);
        Self::new((0..count).map(|_| T::random(rng)).collect()).expect("at most 65,535 elements")
    }
}
