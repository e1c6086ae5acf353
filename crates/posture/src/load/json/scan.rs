//! The scanner (RFC 8259), without recursion.

use super::{Kind, Node, Tape};
use crate::estate::ProblemKind;
use crate::load::Limits;

/// Why scanning ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where, in bytes.
    pub(crate) offset: usize,
    pub(crate) kind: ProblemKind,
    pub(crate) what: &'static str,
}

struct Frame {
    node: u32,
    object: bool,
}

struct Scanner<'t, 'l> {
    bytes: &'t [u8],
    at: usize,
    nodes: Vec<Node>,
    open: Vec<Frame>,
    limits: &'l Limits,
}

/// Scans one value from `start` on. Returns it, the offset after it, and the fault that ended it if one did. The text
/// has to be shorter than 4 GiB, which the limit on files sees to.
pub(crate) fn scan<'t>(text: &'t str, start: usize, limits: &Limits) -> (Tape<'t>, usize, Option<Fault>) {
    let mut scanner = Scanner {
        bytes: text.as_bytes(),
        at: start,
        nodes: Vec::with_capacity((text.len().saturating_sub(start) / 48).min(1 << 20)),
        open: Vec::new(),
        limits,
    };
    let fault = scanner.run().err();
    if fault.is_some() {
        scanner.close_broken();
    }
    (Tape { text, nodes: scanner.nodes }, scanner.at, fault)
}

impl Scanner<'_, '_> {
    fn run(&mut self) -> Result<(), Fault> {
        self.value()?;
        while let Some(frame) = self.open.last() {
            let (object, first) = (frame.object, frame.node as usize + 1 == self.nodes.len());
            self.blanks();
            match self.peek() {
                Some(b'}') if object => self.close(),
                Some(b']') if !object => self.close(),
                Some(b',') if !first => {
                    self.at += 1;
                    self.blanks();
                    self.element(object)?;
                }
                Some(_) if first => self.element(object)?,
                Some(_) => return Err(self.syntax("a comma or the end of the list is missing")),
                None => return Err(self.syntax("the file ends in the middle")),
            }
        }
        Ok(())
    }

    /// A value of an array, or a name and a value of an object.
    fn element(&mut self, object: bool) -> Result<(), Fault> {
        if !object {
            return self.value();
        }
        if self.peek() != Some(b'"') {
            return Err(self.syntax("a name in quotes is missing"));
        }
        let key = self.nodes.len();
        let named = self.string().and_then(|()| {
            self.blanks();
            if self.peek() != Some(b':') {
                return Err(self.syntax("a colon is missing"));
            }
            self.at += 1;
            self.value()
        });
        // A name without its value would be taken for one.
        if named.is_err() && self.nodes.len() <= key + 1 {
            self.nodes.truncate(key);
        }
        named
    }

    fn value(&mut self) -> Result<(), Fault> {
        self.blanks();
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => self.enter(Kind::Object),
            Some(b'[') => self.enter(Kind::Array),
            Some(b't') => self.literal("true", Kind::True),
            Some(b'f') => self.literal("false", Kind::False),
            Some(b'n') => self.literal("null", Kind::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.syntax("no JSON value begins like this")),
            None => Err(self.syntax("the file ends in the middle")),
        }
    }

    fn enter(&mut self, kind: Kind) -> Result<(), Fault> {
        if self.open.len() >= self.limits.depth {
            return Err(Fault {
                offset: self.at,
                kind: ProblemKind::TooDeep,
                what: "more levels than the limit",
            });
        }
        let node = self.push(self.at, self.at, kind, false)?;
        self.open.push(Frame { node, object: kind == Kind::Object });
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.at += 1;
        if let Some(frame) = self.open.pop() {
            let next = self.nodes.len() as u32;
            let node = &mut self.nodes[frame.node as usize];
            node.end = self.at as u32;
            node.next = next;
        }
    }

    fn close_broken(&mut self) {
        let next = self.nodes.len() as u32;
        for frame in self.open.drain(..) {
            let node = &mut self.nodes[frame.node as usize];
            node.end = self.at as u32;
            node.next = next;
            node.marked = true;
        }
    }

    fn string(&mut self) -> Result<(), Fault> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            at += plain(&self.bytes[at..]);
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at += self.escape(at)?;
                }
                Some(_) => return Err(self.fault(at, "a control character stands in a string")),
                None => return Err(self.fault(start - 1, "a string does not end")),
            }
        }
        self.at = at + 1;
        self.push(start, at, Kind::String, escaped).map(|_| ())
    }

    /// The length of the escape at `at`.
    fn escape(&self, at: usize) -> Result<usize, Fault> {
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
            Some(b'u') => {
                let bad = || self.fault(at, "an escape is not one");
                match hex4(self.bytes, at + 2).ok_or_else(bad)? {
                    0xD800..=0xDBFF => {
                        let low = (self.bytes.get(at + 6..at + 8) == Some(b"\\u"))
                            .then(|| hex4(self.bytes, at + 8))
                            .flatten();
                        low.filter(|low| (0xDC00..=0xDFFF).contains(low)).map(|_| 12).ok_or_else(bad)
                    }
                    0xDC00..=0xDFFF => Err(bad()),
                    _ => Ok(6),
                }
            }
            _ => Err(self.fault(at, "an escape is not one")),
        }
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let mut at = start + usize::from(self.bytes[start] == b'-');
        let whole = digits(self.bytes, at);
        if whole == 0 || (whole > 1 && self.bytes[at] == b'0') {
            return Err(self.fault(start, "a number is not one"));
        }
        at += whole;
        if self.bytes.get(at) == Some(&b'.') {
            let part = digits(self.bytes, at + 1);
            if part == 0 {
                return Err(self.fault(start, "a number is not one"));
            }
            at += part + 1;
        }
        if matches!(self.bytes.get(at), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(self.bytes.get(at + 1), Some(b'+' | b'-')));
            let part = digits(self.bytes, at + 1 + sign);
            if part == 0 {
                return Err(self.fault(start, "a number is not one"));
            }
            at += part + 1 + sign;
        }
        self.at = at;
        self.push(start, at, Kind::Number, false).map(|_| ())
    }

    fn literal(&mut self, word: &'static str, kind: Kind) -> Result<(), Fault> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end) != Some(word.as_bytes()) {
            return Err(self.syntax("no JSON value begins like this"));
        }
        self.push(self.at, end, kind, false)?;
        self.at = end;
        Ok(())
    }

    fn push(&mut self, start: usize, end: usize, kind: Kind, marked: bool) -> Result<u32, Fault> {
        let index = self.nodes.len();
        if index >= self.limits.values {
            return Err(Fault {
                offset: start,
                kind: ProblemKind::TooMany,
                what: "more values than the limit",
            });
        }
        let index = index as u32;
        self.nodes.push(Node { start: start as u32, end: end as u32, next: index + 1, kind, marked });
        Ok(index)
    }

    fn blanks(&mut self) {
        const EIGHT: [u8; 8] = [b' '; 8];
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                _ => return,
            }
            while self.bytes.get(self.at..self.at + 8) == Some(&EIGHT) {
                self.at += 8;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn syntax(&self, what: &'static str) -> Fault {
        self.fault(self.at, what)
    }

    fn fault(&self, offset: usize, what: &'static str) -> Fault {
        Fault { offset, kind: ProblemKind::Syntax, what }
    }
}

/// How many bytes go by before a quote, a backslash or a control character.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    // Eight bytes at once: a byte of `word` that is below 0x20, a quote or a backslash leaves its high bit in `hits`.
    // Borrows may set more bits above the first hit, never below it.
    while let Some(chunk) = bytes.get(at..at + 8).and_then(|chunk| <[u8; 8]>::try_from(chunk).ok()) {
        let word = u64::from_le_bytes(chunk);
        let zero = |x: u64| x.wrapping_sub(ONES) & !x;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let hits = (control | zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5C))) & HIGHS;
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|&&byte| byte >= 0x20 && byte != b'"' && byte != b'\\').count()
}

fn digits(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Four hexadecimal digits.
pub(super) fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0u32, |number, &digit| Some(number * 16 + char::from(digit).to_digit(16)?))
}
