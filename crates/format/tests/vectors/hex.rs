//! Byte strings in JSON.

use data_encoding::HEXLOWER;
use serde_json::Value;
use strongroom_format::Secret32;

pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The inputs of a vector.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a>(pub(crate) &'a Value);

impl Input<'_> {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_else(|| panic!("`{field}` is no text in {}", self.0))
    }

    pub(crate) fn number<T: TryFrom<u64>>(&self, field: &str) -> T {
        let number = self.0[field].as_u64().unwrap_or_else(|| panic!("`{field}` is no number in {}", self.0));
        T::try_from(number).unwrap_or_else(|_| panic!("`{field}` is out of range"))
    }

    pub(crate) fn bytes(&self, field: &str) -> Vec<u8> {
        HEXLOWER.decode(self.text(field).as_bytes()).unwrap_or_else(|_| panic!("`{field}` is no hex"))
    }

    pub(crate) fn array<const N: usize>(&self, field: &str) -> [u8; N] {
        self.bytes(field).try_into().unwrap_or_else(|_| panic!("`{field}` has not {N} bytes"))
    }

    pub(crate) fn secret(&self, field: &str) -> Secret32 {
        Secret32::new(self.array(field))
    }
}
