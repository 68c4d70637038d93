//! Values in a form that owes nothing to either implementation: numbers, decimal strings for U64, the bits of an F32 as
//! a number, hex for bytes and strings, null for an absent option.

use serde_json::Value;
use std::fmt::Write;
use stratum_core::{
    binary_sv2::{
        B016MOwned, B032Owned, B064KOwned, B0255Owned, Seq064KOwned, Seq0255Owned, Sv2OptionOwned,
        U256Owned,
    },
    common_messages_sv2::Protocol,
};

/// A value that can be told to the other side.
pub trait Neutral {
    fn neutral(&self) -> Value;
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes any text");
    }
    text
}

/// The inverse of [`hex`]; `None` for anything else.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let digit = |at: usize| char::from(digits[at]).to_digit(16);
    (0..digits.len().div_ceil(2))
        .map(|at| (2 * at + 1 < digits.len()).then_some(2 * at))
        .map(|at| at.and_then(|at| Some((digit(at)? << 4 | digit(at + 1)?) as u8)))
        .collect()
}

macro_rules! neutral_as_is {
    ($($type:ty),*) => {$(
        impl Neutral for $type {
            fn neutral(&self) -> Value {
                (*self).into()
            }
        }
    )*};
}

neutral_as_is!(bool, u8, u16, u32);

impl Neutral for u64 {
    fn neutral(&self) -> Value {
        self.to_string().into()
    }
}

impl Neutral for f32 {
    fn neutral(&self) -> Value {
        self.to_bits().into()
    }
}

impl Neutral for Protocol {
    fn neutral(&self) -> Value {
        (*self as u8).into()
    }
}

macro_rules! neutral_bytes {
    ($($type:ty),*) => {$(
        impl Neutral for $type {
            fn neutral(&self) -> Value {
                hex(self.as_bytes()).into()
            }
        }
    )*};
}

neutral_bytes!(U256Owned, B032Owned, B0255Owned, B064KOwned, B016MOwned);

impl<T: Neutral> Neutral for Sv2OptionOwned<T> {
    fn neutral(&self) -> Value {
        self.as_ref().map_or(Value::Null, Neutral::neutral)
    }
}

impl<T: Neutral> Neutral for Seq0255Owned<T> {
    fn neutral(&self) -> Value {
        self.iter().map(Neutral::neutral).collect()
    }
}

impl<T: Neutral> Neutral for Seq064KOwned<T> {
    fn neutral(&self) -> Value {
        self.iter().map(Neutral::neutral).collect()
    }
}
