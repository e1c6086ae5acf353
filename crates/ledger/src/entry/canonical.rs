//! Whether bytes are JSON in the canonical form of RFC 8785, without writing them again.
//!
//! [`is_plainly_canonical`] knows the part of the form that entries use. What it does not know is not wrong: it is left to
//! the comparison with what a canonical writer makes of it.

/// Deeper than any entry.
const DEPTH_MAX: u32 = 8;
/// One more digit than the largest number that is exact as a double has, 2^53 - 1, may be more than it.
const DIGITS_MAX: usize = 15;

/// Whether `bytes` are canonical for certain: no blanks, keys of ASCII in order and once, the shortest escapes, whole
/// numbers, and neither `null` nor anything empty, which entries leave out. They must be valid JSON in UTF-8.
pub(super) fn is_plainly_canonical(bytes: &[u8]) -> bool {
    let mut scan = Scan { bytes, at: 0 };
    scan.value(0).is_some() && scan.at == bytes.len()
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn value(&mut self, depth: u32) -> Option<()> {
        match self.next()? {
            b'"' => self.string(),
            b'{' if depth < DEPTH_MAX => self.object(depth),
            b'[' if depth < DEPTH_MAX => self.array(depth),
            first @ b'0'..=b'9' => self.number(first),
            _ => None,
        }
    }

    fn object(&mut self, depth: u32) -> Option<()> {
        let mut previous: &[u8] = &[];
        let mut first = true;
        loop {
            let key = self.key()?;
            // For ASCII, the order of bytes is that of UTF-16, which RFC 8785 demands.
            if !first && key <= previous {
                return None;
            }
            (previous, first) = (key, false);
            self.value(depth + 1)?;
            match self.next()? {
                b',' => {}
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn key(&mut self) -> Option<&'a [u8]> {
        if self.next()? != b'"' {
            return None;
        }
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'"' || *byte == b'\\' || !byte.is_ascii())?;
        self.at += end + 2;
        (rest[end] == b'"' && rest.get(end + 1) == Some(&b':')).then(|| &rest[..end])
    }

    fn array(&mut self, depth: u32) -> Option<()> {
        loop {
            self.value(depth + 1)?;
            match self.next()? {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    fn string(&mut self) -> Option<()> {
        loop {
            let rest = &self.bytes[self.at..];
            let end = rest.iter().position(|byte| *byte == b'"' || *byte == b'\\')?;
            self.at += end + 1;
            if rest[end] == b'"' {
                return Some(());
            }
            match self.next()? {
                b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                _ => return None,
            }
        }
    }

    fn number(&mut self, first: u8) -> Option<()> {
        let digits = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        let whole = !matches!(self.bytes.get(self.at), Some(b'.' | b'e' | b'E'));
        (whole && digits < DIGITS_MAX && (first != b'0' || digits == 0)).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::is_plainly_canonical;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    fn values() -> impl Strategy<Value = Value> {
        let texts = prop_oneof!["[ -~]{0,8}", "\\PC{0,4}", "[\\x00-\\x1f\"\\\\/\u{7f}é\u{2028}😀]{0,4}"];
        let leaves = prop_oneof![
            texts.prop_map(Value::from),
            (0_u64..1 << 60).prop_map(Value::from),
            (0_u64..20).prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
        ];
        leaves.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-zé\"]{0,3}", inner), 0..4)
                    .prop_map(|pairs| Value::from(pairs.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// What is said to be canonical is what the canonical writer writes, also where a byte was changed or added.
        #[test]
        fn what_is_plainly_canonical_is(
            value in values(),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            how in 0..4_u8,
        ) {
            let mut bytes = match how {
                0 => serde_json::to_vec_pretty(&value).unwrap(),
                1 => serde_json::to_vec(&value).unwrap(),
                _ => serde_json_canonicalizer::to_vec(&value).unwrap(),
            };
            if how == 3 {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            let Ok(read) = serde_json::from_slice::<Value>(&bytes) else { return Ok(()) };
            if is_plainly_canonical(&bytes) {
                prop_assert_eq!(serde_json_canonicalizer::to_vec(&read).unwrap(), bytes);
            }
        }
    }

    #[test]
    fn what_entries_look_like_is_plain() {
        for text in [r#"{"a":"b","c":{"d":12}}"#, r#"{"a":["x\n\"","é"],"b":0}"#, "9007199254740"] {
            assert!(is_plainly_canonical(text.as_bytes()), "{text}");
        }
        for text in [
            r#"{"a": 1}"#,
            r#"{"b":1,"a":1}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a":null}"#,
            r#"{"a":{}}"#,
            r#"{"a":[]}"#,
            r#"{"a":01}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e3}"#,
            r#"{"a":-1}"#,
            r#"{"a":"\u0041"}"#,
            r#"{"a":"\/"}"#,
            r#"{"a":9007199254740993}"#,
            r#"{"a":1}x"#,
            r#"{"é":1}"#,
            "",
        ] {
            assert!(!is_plainly_canonical(text.as_bytes()), "{text}");
        }
    }
}
