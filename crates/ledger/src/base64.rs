//! Base64 of RFC 4648, section 4, with padding: each text that is read is the only one for its bytes.

use data_encoding::BASE64;

/// The bytes; `None` where the text is not what they are written as. Padding within a text, which begins another one
/// behind it, is refused.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let body = text.trim_end_matches('=');
    if body.contains('=') {
        return None;
    }
    BASE64.decode(text.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn one_text_for_the_same_bytes() {
        assert_eq!(decode("aGk="), Some(b"hi".to_vec()));
        for text in ["aGk", "aGl=", "aA==aA==", "aGk=\n", "=", "aGk=aGk="] {
            assert_eq!(decode(text), None, "{text}");
        }
        assert_eq!(decode(""), Some(Vec::new()));
    }
}
