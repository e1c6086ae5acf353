//! Names from elsewhere, made safe to print.
//!
//! A file name may hold any byte but `/` and NUL: escape sequences that drive the terminal, line
//! feeds that forge lines of output, marks that reverse the direction of writing. Each such byte is
//! printed as `%XX`, and so is `%`, so that the printed form names exactly one path.

use std::fmt::Write as _;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `bytes` as text that is safe for a terminal and can be turned back by percent-decoding.
#[must_use]
pub fn path(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '%' || is_unsafe(c) {
                push_escaped(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                out.push(c);
            }
        }
        push_escaped(&mut out, chunk.invalid());
    }
    out
}

/// Text that we wrote ourselves around foreign parts: unsafe characters are escaped, `%` and line
/// feeds stay.
#[must_use]
pub fn text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && is_unsafe(c) {
            push_escaped(&mut out, c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            out.push(c);
        }
    }
    out
}

/// The end of `text` that fits in `columns`, with `…` in front where something was left out.
///
/// The end of a path says more than its beginning.
#[must_use]
pub fn fit_end(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut used = 1;
    let mut start = text.len();
    for (at, c) in text.char_indices().rev() {
        used += c.width().unwrap_or(0);
        if used > columns {
            break;
        }
        start = at;
    }
    if columns == 0 { String::new() } else { format!("…{}", &text[start..]) }
}

fn push_escaped(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(out, "%{byte:02X}");
    }
}

/// Control characters, and the format characters that reorder or hide text (Unicode TR 36).
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unescape(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&first, tail)) = rest.split_first() {
            if first == b'%' {
                let hex = std::str::from_utf8(&tail[..2]).unwrap();
                out.push(u8::from_str_radix(hex, 16).unwrap());
                rest = &tail[2..];
            } else {
                out.push(first);
                rest = tail;
            }
        }
        out
    }

    #[test]
    fn hostile_names() {
        assert_eq!(path("plain name, ünïcode 数".as_bytes()), "plain name, ünïcode 数");
        assert_eq!(path(b"\x1b[2Jgone"), "%1B[2Jgone");
        assert_eq!(path(b"a\nhint: run this"), "a%0Ahint: run this");
        assert_eq!(path(b"50% \xff\xfe"), "50%25 %FF%FE");
        assert_eq!(path("x\u{202e}gpj.exe".as_bytes()), "x%E2%80%AEgpj.exe");
        assert_eq!(path("\u{9b}31m".as_bytes()), "%C2%9B31m");
    }

    #[test]
    fn our_text_keeps_percent_and_lines() {
        assert_eq!(text("50 %\nnext\x07\r"), "50 %\nnext%07%0D");
    }

    #[test]
    fn the_end_of_a_long_path_stays() {
        assert_eq!(fit_end("/home/alice/file", 20), "/home/alice/file");
        assert_eq!(fit_end("/home/alice/file", 8), "…ce/file");
        assert_eq!(fit_end("数数数数", 5), "…数数");
        assert_eq!(fit_end("abc", 0), "");
    }

    proptest! {
        #[test]
        fn every_name_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let shown = path(&bytes);
            prop_assert!(!shown.chars().any(is_unsafe));
            prop_assert_eq!(unescape(&shown), bytes);
        }

        #[test]
        fn fitted_text_fits(s in "\\PC{0,40}", columns in 0usize..50) {
            prop_assert!(fit_end(&s, columns).width() <= columns.max(s.width().min(columns)));
        }
    }
}
