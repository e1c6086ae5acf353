//! From the bytes of a file to text, and out of URL encoding.

use std::borrow::Cow;

/// The bytes from here on are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotText {
    /// The first byte that is wrong.
    pub(crate) offset: usize,
}

/// UTF-8, or UTF-16 with a byte-order mark, as PowerShell writes it. Text before the first wrong byte is kept.
pub(crate) fn decode(bytes: Vec<u8>) -> (String, Option<NotText>) {
    match bytes.get(..2) {
        Some([0xFF, 0xFE]) => return utf16(&bytes[2..], u16::from_le_bytes),
        Some([0xFE, 0xFF]) => return utf16(&bytes[2..], u16::from_be_bytes),
        _ => {}
    }
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let offset = error.utf8_error().valid_up_to();
            let mut bytes = error.into_bytes();
            bytes.truncate(offset);
            (String::from_utf8(bytes).unwrap_or_default(), Some(NotText { offset }))
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> (String, Option<NotText>) {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let mut text = String::with_capacity(bytes.len() / 2);
    for character in char::decode_utf16(units) {
        match character {
            Ok(character) => text.push(character),
            Err(_) => {
                let offset = text.len();
                return (text, Some(NotText { offset }));
            }
        }
    }
    let cut = (bytes.len() % 2 == 1).then_some(NotText { offset: text.len() });
    (text, cut)
}

/// Undoes URL encoding (RFC 3986, section 2.1), in which IAM's own interface writes policies. Text that does not begin
/// as an encoded object is left alone. `None` if what comes out is not UTF-8 or an escape is not one.
pub(crate) fn undo_url_encoding(text: &str) -> Option<Cow<'_, str>> {
    let start = text.trim_start();
    if !start
        .get(..3)
        .is_some_and(|first| first.eq_ignore_ascii_case("%7B") || first.starts_with("%0") || first == "%20")
    {
        return Some(Cow::Borrowed(text));
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(plain) = memchr::memchr(b'%', &bytes[at..]) {
        decoded.extend_from_slice(&bytes[at..at + plain]);
        let digit = |offset: usize| char::from(*bytes.get(at + plain + offset)?).to_digit(16);
        decoded.push((digit(1)? * 16 + digit(2)?) as u8);
        at += plain + 3;
    }
    decoded.extend_from_slice(&bytes[at..]);
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// Takes away the blanks at the beginning of each line. A JSON text has no line break inside a string, so that only
/// blanks between tokens go.
pub(crate) fn without_indentation(text: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\n', text.as_bytes()) else { return Cow::Borrowed(text) };
    let mut kept = String::with_capacity(text.len());
    kept.push_str(&text[..first]);
    let mut rest = &text[first..];
    while !rest.is_empty() {
        kept.push('\n');
        rest = rest[1..].trim_start_matches([' ', '\t']);
        let end = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        kept.push_str(&rest[..end]);
        rest = &rest[end..];
    }
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_before_a_wrong_byte_is_kept() {
        assert_eq!(decode(b"ab\xFFcd".to_vec()), ("ab".into(), Some(NotText { offset: 2 })));
        assert_eq!(decode(vec![0xFF, 0xFE, b'{', 0, b'}', 0]), ("{}".into(), None));
        assert_eq!(decode(vec![0xFE, 0xFF, 0, b'{', 0xD8]), ("{".into(), Some(NotText { offset: 1 })));
    }

    #[test]
    fn url_encoding_is_undone_only_where_it_is() {
        assert_eq!(undo_url_encoding("%7B%22a%22%3A%22%C3%A9+b%22%7D").unwrap(), "{\"a\":\"é+b\"}");
        assert_eq!(undo_url_encoding("{\"a\":\"100%25\"}").unwrap(), "{\"a\":\"100%25\"}");
        assert_eq!(undo_url_encoding("%7B%2"), None);
        assert_eq!(undo_url_encoding("%7B%FF"), None);
    }

    #[test]
    fn indentation_goes_and_lines_stay() {
        assert_eq!(without_indentation("{\n    \"a\": 1\n\n  }"), "{\n\"a\": 1\n\n}");
        assert_eq!(without_indentation("{ }"), "{ }");
    }
}
