//! Splits a stream of JSON into its records without parsing it.
//!
//! A stream is a sequence of JSON values. A record is an object of the sequence, or an element of an array that is a
//! value of the sequence, or of an array that is the first field of such an object and is called `Records`, `Events`,
//! `entries` or `records`. So one reader takes CloudTrail's files, `aws cloudtrail lookup-events`, `gcloud logging read`
//! and JSON Lines.
//!
//! - Invariant: memory is bounded by [`RECORD_MAX`], whatever the length of the stream.
//! - Invariant: every byte belongs to a record, to the structure around records, or to a reported problem.
//! - Invariant: only the structure decides where a record begins. No text that a caller chose can begin one.

use crate::{files, limits::RECORD_MAX, problem::ProblemKind};
use std::io::Read;

const CHUNK: usize = 128 << 10;
const LISTS: [&[u8]; 4] = [b"Records", b"Events", b"entries", b"records"];

/// What is found in a stream.
#[derive(Debug)]
pub enum Item<'a> {
    /// A record: the bytes of a balanced object, and where it begins.
    Record(&'a [u8], u64),
    /// Something is wrong, and where.
    Problem(ProblemKind, String, u64),
}

/// Where the splitter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between values of the sequence.
    Top,
    /// In an array of records; `true` where it is a field of an object.
    List(bool),
    /// Behind the array, in the object that holds it.
    Tail,
}

/// The search for the end of a value: it goes on where it stopped when more bytes have come.
#[derive(Debug, Clone, Copy, Default)]
struct Scan {
    at: usize,
    depth: usize,
    in_string: bool,
}

impl Scan {
    /// Goes on; the length of the value once its end is there. `bytes` begin with it.
    fn run(&mut self, bytes: &[u8]) -> Option<usize> {
        while self.at < bytes.len() {
            if self.in_string {
                match memchr::memchr2(b'"', b'\\', &bytes[self.at..]) {
                    None => {
                        self.at = bytes.len();
                        return None;
                    }
                    Some(next) if bytes[self.at + next] == b'"' => {
                        self.at += next + 1;
                        self.in_string = false;
                    }
                    Some(next) => {
                        if self.at + next + 1 >= bytes.len() {
                            self.at += next;
                            return None;
                        }
                        self.at += next + 2;
                    }
                }
                continue;
            }
            let byte = bytes[self.at];
            self.at += 1;
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(self.at);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

struct Window<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    base: u64,
    error: Option<std::io::Error>,
    finished: bool,
}

impl<R: Read> Window<R> {
    fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    fn skip(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
    }

    /// Reads more behind what is there; `false` at the end.
    fn more(&mut self) -> bool {
        if self.finished {
            return false;
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.base += self.start as u64;
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() < self.end + CHUNK {
            self.buffer.resize(self.end + CHUNK, 0);
        }
        loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.finished = true,
                Ok(bytes) => {
                    self.end += bytes;
                    return true;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.error = Some(error);
                    self.finished = true;
                }
            }
            return false;
        }
    }

    /// The next byte that is none of `,` and blanks (and `]` or `}` only where they mean something).
    fn peek(&mut self) -> Option<u8> {
        loop {
            let blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',');
            let blanks = self.bytes().iter().take_while(|byte| blank(byte)).count();
            self.skip(blanks);
            if let Some(byte) = self.bytes().first() {
                return Some(*byte);
            }
            if !self.more() {
                return None;
            }
        }
    }
}

/// Hands every record of a stream to `take`, in order. `buffer` is reused between streams.
pub fn split<R: Read>(source: R, buffer: &mut Vec<u8>, mut take: impl FnMut(Item<'_>)) {
    let mut window = Window {
        source,
        buffer: std::mem::take(buffer),
        start: 0,
        end: 0,
        base: 0,
        error: None,
        finished: false,
    };
    let mut state = State::Top;
    while window.bytes().len() < 3 && window.more() {}
    if window.bytes().starts_with(b"\xef\xbb\xbf") {
        window.skip(3);
    }
    while let Some(byte) = window.peek() {
        state = match (state, byte) {
            (State::Top, b'[') => {
                window.skip(1);
                State::List(false)
            }
            (State::List(inside), b']') => {
                window.skip(1);
                if inside { State::Tail } else { State::Top }
            }
            (State::Top, b'{') if enter_list(&mut window) => State::List(true),
            (State::Top | State::List(_), b'{') => {
                record(&mut window, &mut take);
                state
            }
            (State::Tail, b'}') => {
                window.skip(1);
                State::Top
            }
            (State::Tail, _) => {
                skip_field(&mut window, &mut take);
                State::Tail
            }
            _ => {
                garbage(&mut window, &mut take);
                state
            }
        };
    }
    let offset = window.base + window.end as u64;
    match window.error.take() {
        Some(error) => {
            let (kind, what) = files::problem_of(&error);
            take(Item::Problem(kind, what, offset));
        }
        None if state != State::Top => {
            take(Item::Problem(
                ProblemKind::Truncated,
                "ends before its list of records does".into(),
                offset,
            ));
        }
        None => {}
    }
    *buffer = window.buffer;
    if buffer.len() > 4 * CHUNK {
        *buffer = Vec::new();
    }
}

/// Whether the object that begins here begins with a list of records; if so, goes into it.
fn enter_list<R: Read>(window: &mut Window<R>) -> bool {
    loop {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        let bytes = window.bytes();
        let after =
            |from: usize| from + bytes[from.min(bytes.len())..].iter().take_while(|b| blank(b)).count();
        let key = after(1);
        let found = LISTS.iter().find_map(|list| {
            let end = key + 2 + list.len();
            let quoted = bytes.get(key..end)?;
            (quoted[0] == b'"' && quoted.ends_with(b"\"") && quoted[1..].starts_with(list)).then_some(end)
        });
        let wanted = match found {
            None if bytes.len() > key + 10 => return false,
            None => None,
            Some(end) => {
                let colon = after(end);
                let open = after(colon + 1);
                match (bytes.get(colon), bytes.get(open)) {
                    (Some(b':'), Some(b'[')) => Some(open + 1),
                    (Some(b':'), None) | (None, _) => None,
                    _ => return false,
                }
            }
        };
        match wanted {
            Some(length) => {
                window.skip(length);
                return true;
            }
            None if bytes.len() > 4096 || !window.more() => return false,
            None => {}
        }
    }
}

fn record<R: Read>(window: &mut Window<R>, take: &mut impl FnMut(Item<'_>)) {
    let mut scan = Scan::default();
    loop {
        if let Some(length) = scan.run(window.bytes()) {
            let offset = window.offset();
            take(Item::Record(&window.bytes()[..length], offset));
            return window.skip(length);
        }
        let (kind, what) = if window.bytes().len() > RECORD_MAX {
            (ProblemKind::RecordTooLong, format!("a record has more than {RECORD_MAX} bytes"))
        } else if window.more() {
            continue;
        } else {
            (ProblemKind::Truncated, "ends in the middle of a record".to_owned())
        };
        take(Item::Problem(kind, what, window.offset()));
        return resume(window);
    }
}

/// Goes on behind a record whose end cannot be found: at the next thing that looks like a record of CloudTrail, or at
/// the next line.
fn resume<R: Read>(window: &mut Window<R>) {
    window.skip(1);
    loop {
        let bytes = window.bytes();
        let next = memchr::memmem::find(bytes, b"{\"eventVersion\"");
        let line = memchr::memmem::find(bytes, b"\n{").map(|at| at + 1);
        if let Some(at) = next.into_iter().chain(line).min() {
            return window.skip(at);
        }
        window.skip(bytes.len().saturating_sub(16));
        if !window.more() {
            let rest = window.bytes().len();
            return window.skip(rest);
        }
    }
}

fn garbage<R: Read>(window: &mut Window<R>, take: &mut impl FnMut(Item<'_>)) {
    let offset = window.offset();
    loop {
        let next = memchr::memchr2(b'{', b'\n', window.bytes());
        let bytes = window.bytes().len();
        window.skip(next.unwrap_or(bytes));
        if next.is_some() || !window.more() {
            break;
        }
    }
    let what = format!("{} bytes that belong to no record", window.offset() - offset);
    take(Item::Problem(ProblemKind::Garbage, what, offset));
}

/// Passes over fields behind the list, such as a token for the next page, up to the end of their object.
fn skip_field<R: Read>(window: &mut Window<R>, take: &mut impl FnMut(Item<'_>)) {
    // The object is open: as if its brace had just been read.
    let mut scan = Scan { depth: 1, ..Scan::default() };
    let offset = window.offset();
    loop {
        if let Some(length) = scan.run(window.bytes()) {
            return window.skip(length - 1);
        }
        if window.bytes().len() > RECORD_MAX {
            let what = format!("a field behind the records has more than {RECORD_MAX} bytes");
            take(Item::Problem(ProblemKind::RecordTooLong, what, offset));
            return resume(window);
        }
        if !window.more() {
            let rest = window.bytes().len();
            return window.skip(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let bytes = self.0.len().min(self.1).min(buffer.len());
            buffer[..bytes].copy_from_slice(&self.0[..bytes]);
            self.0 = &self.0[bytes..];
            Ok(bytes)
        }
    }

    type All = (Vec<(String, u64)>, Vec<(ProblemKind, u64)>);

    fn all(text: &[u8], step: usize) -> All {
        let (mut records, mut problems) = (Vec::new(), Vec::new());
        split(Dribble(text, step), &mut Vec::new(), |item| match item {
            Item::Record(bytes, at) => records.push((String::from_utf8_lossy(bytes).into_owned(), at)),
            Item::Problem(kind, _, at) => problems.push((kind, at)),
        });
        (records, problems)
    }

    fn texts(text: &str) -> Vec<String> {
        let expected = all(text.as_bytes(), usize::MAX);
        for step in [1, 2, 3, 7] {
            assert_eq!(all(text.as_bytes(), step), expected, "{text} by {step}");
        }
        assert!(expected.1.is_empty(), "{text}: {:?}", expected.1);
        expected
            .0
            .into_iter()
            .map(|(text, at)| {
                assert!(text.starts_with('{') && at < 1 << 20);
                text
            })
            .collect()
    }

    #[test]
    fn all_layouts_have_the_same_records() {
        let two = [r#"{"a":"}{\"\\"}"#, r#"{"b":[{},{"Records":[{}]}]}"#];
        let (a, b) = (two[0], two[1]);
        for text in [
            format!(r#"{{"Records":[{a},{b}]}}"#),
            format!("{{ \"Records\" :\n [ {a} ,\n {b} ] }}\n"),
            format!(r#"{{"Events":[{a},{b}],"NextToken":"]}}{{"}}"#),
            format!("{a}\n{b}\n"),
            format!("[{a},{b}]"),
            format!("\u{feff}[{a}]\n{{\"Records\":[{b}],\"x\":{{\"y\":[1]}}}}"),
        ] {
            assert_eq!(texts(&text), two, "{text}");
        }
        assert!(texts("").is_empty() && texts(" \n").is_empty() && texts("{\"Records\":[]}").is_empty());
    }

    #[test]
    fn what_is_no_record_is_reported_and_the_rest_is_read() {
        let (records, problems) = all(br#"{"Records":[{"a":1},nonsense,{"b":2}]}"#, 5);
        assert_eq!(records.len(), 2);
        assert_eq!(problems, [(ProblemKind::Garbage, 20)]);
        let (records, problems) = all(br#"{"Records":[{"a":1},{"b":"#, 5);
        assert_eq!((records.len(), problems[0]), (1, (ProblemKind::Truncated, 20)));
        let (records, problems) = all(br#"{"Records":[{"a":1}"#, 5);
        assert_eq!((records.len(), problems.len()), (1, 1));
        let long = format!(
            "{{\"Records\":[{{\"a\":\"{}\"}},{{\"eventVersion\":1}}]}}",
            "x".repeat(RECORD_MAX + CHUNK)
        );
        let (records, problems) = all(long.as_bytes(), usize::MAX);
        assert_eq!(records.len(), 1, "{problems:?}");
        assert_eq!(problems[0], (ProblemKind::RecordTooLong, 12));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_stand_still(bytes: Vec<u8>, step in 1_usize..9) {
            all(&bytes, step);
        }

        #[test]
        fn no_structure_makes_it_panic(text in r#"[\[\]{}",:\\ a\n]{0,60}"#, step in 1_usize..9) {
            let whole = all(text.as_bytes(), usize::MAX);
            proptest::prop_assert_eq!(all(text.as_bytes(), step).0, whole.0);
        }
    }
}
