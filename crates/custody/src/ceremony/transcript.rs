//! A share as text that a person can write down and type in again, and as the text of a QR code.
//!
//! The byte form in base32 (RFC 4648, without padding), 20 bytes to a line: the number of the line, eight groups of
//! four, and a group of four that is the checksum of the line, so that a slip of the pen is found where it is. Case,
//! spaces and hyphens do not matter; `0`, `1` and `8`, which the alphabet does not have, are read as `O`, `I`, `B`.
//! Lines that start with `#` are comments. The checksum of line n is the first 20 bits of
//! `BLAKE3-derive("strongroom v1 share line", n as 2 bytes, little-endian | the bytes of the line)`.
//!
//! A QR code holds `STRONGROOM-SHARE-1-` and the byte form in base32, all of it in the alphanumeric mode of QR.

use super::{
    cards::{ceremony_words, share_words},
    shares::{SHARE_MAX, Share, ShareError},
};
use data_encoding::BASE32_NOPAD;
use std::fmt::Write;
use thiserror::Error;
use zeroize::Zeroizing;

const LINE_LEN: usize = 20;
const GROUP_LEN: usize = 4;
const QR_PREFIX: &str = "STRONGROOM-SHARE-1-";
/// Longest text that is read, in bytes.
const TEXT_MAX: usize = 64 << 10;
const LINES_MAX: usize = SHARE_MAX.div_ceil(LINE_LEN);

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineProblem {
    /// Another line was to come here.
    #[error("line {expected} is missing, or the number is wrong")]
    Number {
        /// The one that is due.
        expected: usize,
    },
    /// A character that the alphabet does not have.
    #[error("`{}` is none of its characters", .0.escape_default())]
    Character(char),
    /// Characters are missing, or there are too many.
    #[error("it has {0} characters, which no line has")]
    Length(usize),
    /// A character is wrong, or two are swapped.
    #[error("its checksum does not match: a character is wrong")]
    Checksum,
}

/// Why a typed share was not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TranscriptError {
    /// There is no line of a share in it.
    #[error("there is no share in it")]
    Empty,
    /// It is longer than any share.
    #[error("it is longer than any share")]
    TooLong,
    /// One line is wrong.
    #[error("line {line}: {problem}")]
    Line {
        /// The line, counted as on paper, from 1; comments do not count.
        line: usize,
        /// What is wrong with it.
        problem: LineProblem,
    },
    /// It is not the text of a share's QR code.
    #[error("this is no QR code of a share")]
    NoQr,
    /// Every line is right, and together they are no share.
    #[error("the lines are no share: some are missing, or are of different shares")]
    Share(#[source] ShareError),
}

fn line_checksum(number: usize, bytes: &[u8]) -> [u8; GROUP_LEN] {
    let mut hasher = blake3::Hasher::new_derive_key("strongroom v1 share line");
    hasher.update(&(number as u16).to_le_bytes()).update(bytes);
    let hash = *hasher.finalize().as_bytes();
    let mut encoded = [0; 8];
    BASE32_NOPAD.encode_mut(&hash[..5], &mut encoded);
    [encoded[0], encoded[1], encoded[2], encoded[3]]
}

fn base32(bytes: &[u8]) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(vec![0; BASE32_NOPAD.encode_len(bytes.len())]);
    BASE32_NOPAD.encode_mut(bytes, &mut encoded);
    let mut text = Zeroizing::new(String::with_capacity(encoded.len()));
    text.extend(encoded.iter().map(|byte| char::from(*byte)));
    text
}

/// The lines of a share, without comments.
pub(super) fn lines(share: &Share) -> Vec<Zeroizing<String>> {
    let bytes = share.encode();
    let mut lines = Vec::with_capacity(LINES_MAX);
    for (number, part) in (1..).zip(bytes.chunks(LINE_LEN)) {
        // Room for all of it, so that nothing is left behind where a string grew.
        let mut line = Zeroizing::new(String::with_capacity(64));
        // Writing to a string cannot fail.
        let _ = write!(line, "{number:02} ");
        for group in base32(part).as_bytes().chunks(GROUP_LEN) {
            line.push(' ');
            line.extend(group.iter().map(|byte| char::from(*byte)));
        }
        line.push_str("  ");
        line.extend(line_checksum(number, part).map(char::from));
        lines.push(line);
    }
    lines
}

/// A share as text: secret.
#[must_use]
pub fn transcript(share: &Share) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(1024 + LINES_MAX * 64));
    let (index, total, threshold) = (share.index(), share.total(), share.threshold());
    let _ =
        writeln!(text, "# Strongroom: share {index} of {total} of a key. Any {threshold} shares open it.");
    let _ = writeln!(
        text,
        "# Ceremony: {}. This share: {}.",
        ceremony_words(share).join(" "),
        share_words(share).join(" ")
    );
    text.push_str("# The last group of each line is its checksum.\n");
    for line in lines(share) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// Reads what [`transcript`] made, as a person typed it.
///
/// # Errors
/// [`TranscriptError`], with the line that is wrong.
pub fn read_transcript(text: &str) -> Result<Share, TranscriptError> {
    if text.len() > TEXT_MAX {
        return Err(TranscriptError::TooLong);
    }
    let typed = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut bytes = Zeroizing::new(Vec::with_capacity(SHARE_MAX + LINE_LEN));
    for (number, line) in (1..).zip(typed) {
        if number > LINES_MAX {
            return Err(TranscriptError::TooLong);
        }
        read_line(number, line, &mut bytes)
            .map_err(|problem| TranscriptError::Line { line: number, problem })?;
    }
    if bytes.is_empty() {
        return Err(TranscriptError::Empty);
    }
    Share::decode(&bytes).map_err(TranscriptError::Share)
}

/// A share that is typed line by line, so that a slip is told at once. It is wiped when dropped.
#[derive(Default)]
pub struct TypedShare {
    lines: usize,
    bytes: Zeroizing<Vec<u8>>,
}

impl TypedShare {
    /// Nothing was typed yet.
    #[must_use]
    pub fn new() -> Self {
        Self { lines: 0, bytes: Zeroizing::new(Vec::with_capacity(SHARE_MAX + LINE_LEN)) }
    }

    /// The number of the line that is due, from 1.
    #[must_use]
    pub fn due(&self) -> usize {
        self.lines + 1
    }

    /// Takes a line, or at the start what a scanner read from the QR code. Gives the share once it is whole. After
    /// an error the same line can be typed again.
    ///
    /// # Errors
    /// [`TranscriptError`].
    pub fn line(&mut self, text: &str) -> Result<Option<Share>, TranscriptError> {
        let text = text.trim();
        if self.lines == 0
            && text.get(..QR_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(QR_PREFIX))
        {
            return read_qr_payload(text).map(Some);
        }
        let due = self.due();
        if due > LINES_MAX || text.len() > TEXT_MAX {
            return Err(TranscriptError::TooLong);
        }
        read_line(due, text, &mut self.bytes)
            .map_err(|problem| TranscriptError::Line { line: due, problem })?;
        self.lines = due;
        match Share::decode(&self.bytes) {
            Ok(share) => Ok(Some(share)),
            // A whole line less than what the share says of itself: more is to come.
            Err(ShareError::Length { .. }) if self.bytes.len() == due * LINE_LEN => Ok(None),
            Err(error) => Err(TranscriptError::Share(error)),
        }
    }
}

impl std::fmt::Debug for TypedShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TypedShare").field("lines", &self.lines).finish_non_exhaustive()
    }
}

fn read_line(expected: usize, line: &str, out: &mut Vec<u8>) -> Result<(), LineProblem> {
    let (number, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    if number.parse() != Ok(expected) {
        return Err(LineProblem::Number { expected });
    }
    // A line before this one that was short would shift everything after it.
    if !out.len().is_multiple_of(LINE_LEN) {
        return Err(LineProblem::Number { expected: expected - 1 });
    }
    let typed = normal(rest)?;
    let bad_length = LineProblem::Length(typed.len());
    let (encoded, sum) = typed
        .len()
        .checked_sub(GROUP_LEN)
        .filter(|len| (1..=LINE_LEN * 8 / 5).contains(len))
        .and_then(|len| typed.split_at_checked(len))
        .ok_or(bad_length.clone())?;
    let mut part = Zeroizing::new([0; LINE_LEN]);
    let len = BASE32_NOPAD.decode_len(encoded.len()).map_err(|_| bad_length)?;
    // Bits after the last byte that are not 0 are a wrong character, too.
    BASE32_NOPAD.decode_mut(encoded, &mut part[..len]).map_err(|_| LineProblem::Checksum)?;
    if sum != line_checksum(expected, &part[..len]) {
        return Err(LineProblem::Checksum);
    }
    out.extend_from_slice(&part[..len]);
    Ok(())
}

/// The characters of the alphabet that were meant.
fn normal(typed: &str) -> Result<Zeroizing<Vec<u8>>, LineProblem> {
    let mut out = Zeroizing::new(Vec::with_capacity(typed.len()));
    for c in typed.chars() {
        match c.to_ascii_uppercase() {
            ' ' | '\t' | '-' => {}
            '0' => out.push(b'O'),
            '1' => out.push(b'I'),
            '8' => out.push(b'B'),
            letter @ ('A'..='Z' | '2'..='7') => out.push(letter as u8),
            _ => return Err(LineProblem::Character(c)),
        }
    }
    Ok(out)
}

/// What the QR code of a share holds: secret.
#[must_use]
pub fn qr_payload(share: &Share) -> Zeroizing<String> {
    let encoded = base32(&share.encode());
    let mut text = Zeroizing::new(String::with_capacity(QR_PREFIX.len() + encoded.len()));
    text.push_str(QR_PREFIX);
    text.push_str(&encoded);
    text
}

/// Reads what the QR code of a share holds.
///
/// # Errors
/// [`TranscriptError::NoQr`], [`TranscriptError::TooLong`], [`TranscriptError::Share`].
pub fn read_qr_payload(text: &str) -> Result<Share, TranscriptError> {
    if text.len() > TEXT_MAX {
        return Err(TranscriptError::TooLong);
    }
    let upper = Zeroizing::new(text.trim().to_ascii_uppercase());
    let encoded = upper.strip_prefix(QR_PREFIX).ok_or(TranscriptError::NoQr)?;
    let len = BASE32_NOPAD.decode_len(encoded.len()).map_err(|_| TranscriptError::NoQr)?;
    if len > SHARE_MAX {
        return Err(TranscriptError::TooLong);
    }
    let mut bytes = Zeroizing::new(vec![0; len]);
    BASE32_NOPAD.decode_mut(encoded.as_bytes(), &mut bytes).map_err(|_| TranscriptError::NoQr)?;
    Share::decode(&bytes).map_err(TranscriptError::Share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceremony::split;
    use proptest::prelude::*;
    use strongroom_format::SystemEntropy;

    fn share(len: usize) -> Share {
        split(&vec![0x5a; len], 2, 3, &mut SystemEntropy).unwrap().remove(1)
    }

    fn problem(text: &str) -> (usize, LineProblem) {
        match read_transcript(text) {
            Err(TranscriptError::Line { line, problem }) => (line, problem),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_written_down_is_read() {
        for len in [16, 17, 18, 19, 20, 32, 33, 74, 4096] {
            let share = share(len);
            let text = transcript(&share);
            for typed in [
                text.to_string(),
                text.to_lowercase(),
                text.replace('\n', "\r\n\r\n"),
                text.replace("  ", " - "),
                text.replace('O', "0").replace('I', "1").replace('B', "8"),
            ] {
                assert_eq!(read_transcript(&typed).unwrap().encode(), share.encode(), "{len}");
            }
            assert_eq!(read_qr_payload(&qr_payload(&share)).unwrap().encode(), share.encode());
            assert_eq!(read_qr_payload(&qr_payload(&share).to_lowercase()).unwrap().encode(), share.encode());
        }
    }

    #[test]
    fn every_slip_of_the_pen_is_found_in_its_line() {
        let all = lines(&share(32));
        let text = |lines: &[String]| lines.join("\n");
        for (at, line) in all.iter().enumerate() {
            let plain: Vec<String> = all.iter().map(|line| line.to_string()).collect();
            for (position, c) in line.char_indices().skip(4).filter(|(_, c)| *c != ' ') {
                let other = if c == 'Q' { 'R' } else { 'Q' };
                let mut typed = plain.clone();
                typed[at].replace_range(position..=position, &other.to_string());
                assert_eq!(problem(&text(&typed)), (at + 1, LineProblem::Checksum), "{position}");

                let mut typed = plain.clone();
                typed[at].remove(position);
                assert_eq!(problem(&text(&typed)).0, at + 1, "without {position}");

                let mut typed = plain.clone();
                typed[at].replace_range(position..=position, "?");
                assert_eq!(problem(&text(&typed)), (at + 1, LineProblem::Character('?')));
            }
            let mut missing = plain.clone();
            missing.remove(at);
            if at + 1 < all.len() {
                assert_eq!(problem(&text(&missing)), (at + 1, LineProblem::Number { expected: at + 1 }));
            } else {
                assert!(matches!(read_transcript(&text(&missing)), Err(TranscriptError::Share(_))));
            }
        }
    }

    #[test]
    fn swapped_groups_and_lines_are_found() {
        let all: Vec<String> = lines(&share(32)).iter().map(|line| line.to_string()).collect();
        let mut groups: Vec<&str> = all[1].split_whitespace().collect();
        groups.swap(1, 2);
        let typed = [&all[0], &groups.join(" "), &all[2]].map(String::as_str).join("\n");
        assert_eq!(problem(&typed), (2, LineProblem::Checksum));
        let swapped = [&all[1], &all[0]].map(String::as_str).join("\n");
        assert_eq!(problem(&swapped), (1, LineProblem::Number { expected: 1 }));
        let renumbered = all[1].replacen("02", "01", 1);
        assert_eq!(problem(&renumbered), (1, LineProblem::Checksum));
    }

    /// Bytes 0, 1, 2, ...
    struct Counting(u8);

    impl strongroom_format::Entropy for Counting {
        fn fill(&mut self, out: &mut [u8]) {
            for byte in out {
                *byte = self.0;
                self.0 = self.0.wrapping_add(1);
            }
        }
    }

    #[test]
    fn the_example_of_the_specification() {
        let spec = include_str!("../../../../docs/spec/shares.md");
        let blocks: Vec<&str> = spec.split("```").skip(1).step_by(2).collect();
        let shares: Vec<Share> = blocks.iter().map(|text| read_transcript(text).unwrap()).collect();
        assert_eq!(shares.len(), 2);
        assert_eq!(*crate::ceremony::recover(&shares).unwrap(), *b"the key of an example, 32 bytes.");
        let made = split(b"the key of an example, 32 bytes.", 2, 3, &mut Counting(0)).unwrap();
        assert_eq!(*transcript(&made[0]), blocks[0].trim_start());
        assert_eq!(*transcript(&made[2]), blocks[1].trim_start());
    }

    #[test]
    fn a_share_is_typed_line_by_line() {
        for len in [16, 32, 46, 200] {
            let share = share(len);
            let all = lines(&share);
            let mut typed = TypedShare::new();
            for (at, line) in all.iter().enumerate() {
                assert_eq!(typed.due(), at + 1);
                let wrong = line.replace(['Q', 'R'], "S").replacen('A', "E", 1);
                if wrong != **line {
                    assert!(typed.line(&wrong).is_err(), "{wrong}");
                }
                let done = typed.line(line).unwrap();
                assert_eq!(done.is_some(), at + 1 == all.len(), "{len} {at}");
                if let Some(done) = done {
                    assert_eq!(done.encode(), share.encode());
                }
            }
        }
        let share = share(32);
        let scanned = TypedShare::new().line(&qr_payload(&share).to_lowercase()).unwrap().unwrap();
        assert_eq!(scanned.encode(), share.encode());
    }

    #[test]
    fn limits() {
        assert_eq!(read_transcript("").unwrap_err(), TranscriptError::Empty);
        assert_eq!(read_transcript("# only a comment\n").unwrap_err(), TranscriptError::Empty);
        assert_eq!(read_transcript(&"x".repeat(TEXT_MAX + 1)).unwrap_err(), TranscriptError::TooLong);
        assert_eq!(read_qr_payload("https://example.org").unwrap_err(), TranscriptError::NoQr);
        let long = format!("{QR_PREFIX}{}", "A".repeat(8 * (SHARE_MAX / 5 + 1)));
        assert_eq!(read_qr_payload(&long).unwrap_err(), TranscriptError::TooLong);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}", tail in "[A-Z2-7 0-9\n-]{0,400}") {
            let _ = (read_transcript(&text), read_transcript(&format!("01 {tail}")));
            let _ = (read_qr_payload(&text), read_qr_payload(&format!("{QR_PREFIX}{tail}")));
        }
    }
}
