//! Values of a scanned document.

use std::borrow::Cow;

use super::scan::hex4;
use super::{Node, Tape};

/// The kinds of JSON values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

/// One value.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a, 't> {
    tape: &'a Tape<'t>,
    at: u32,
}

impl<'a, 't> Value<'a, 't> {
    pub(super) fn new(tape: &'a Tape<'t>, at: u32) -> Self {
        Self { tape, at }
    }

    fn node(&self) -> &'a Node {
        &self.tape.nodes[self.at as usize]
    }

    pub(crate) fn kind(&self) -> Kind {
        self.node().kind
    }

    /// Where it begins, in bytes.
    pub(crate) fn offset(&self) -> usize {
        let node = self.node();
        node.start as usize - usize::from(node.kind == Kind::String)
    }

    /// Whether no fault cut through it.
    pub(crate) fn is_whole(&self) -> bool {
        let node = self.node();
        !(node.marked && matches!(node.kind, Kind::Object | Kind::Array))
    }

    pub(crate) fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    /// Its text; a string without its quotes, and with its escapes.
    pub(crate) fn raw(&self) -> &'t str {
        let node = self.node();
        self.tape.text.get(node.start as usize..node.end as usize).unwrap_or_default()
    }

    /// A string, decoded.
    pub(crate) fn string(&self) -> Option<Cow<'t, str>> {
        let node = self.node();
        if node.kind != Kind::String {
            return None;
        }
        let raw = self.raw();
        Some(if node.marked { Cow::Owned(unescape(raw)) } else { Cow::Borrowed(raw) })
    }

    pub(crate) fn bool(&self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    pub(crate) fn u64(&self) -> Option<u64> {
        (self.kind() == Kind::Number).then(|| self.raw().parse().ok()).flatten()
    }

    /// The field of an object. The last one counts if there are several.
    pub(crate) fn get(&self, name: &str) -> Option<Self> {
        let mut found = None;
        self.walk_fields(|key, value| {
            let node = key.node();
            let same = if node.marked { unescape(key.raw()) == name } else { key.raw() == name };
            if same {
                found = Some(value);
            }
        });
        found
    }

    /// Names and values of an object's fields.
    pub(crate) fn fields(&self) -> Vec<(Cow<'t, str>, Self)> {
        let mut fields = Vec::new();
        self.walk_fields(|key, value| fields.push((key.string().unwrap_or_default(), value)));
        fields
    }

    /// The first name that an object has twice, and where its second is.
    pub(crate) fn duplicate(&self) -> Option<(&'t str, usize)> {
        let mut names: [&str; 32] = [""; 32];
        let mut count = 0;
        let mut found = None;
        self.walk_fields(|key, _| {
            let name = key.raw();
            if found.is_none() && names[..count].contains(&name) {
                found = Some((name, key.offset()));
            }
            if count < names.len() {
                names[count] = name;
                count += 1;
            }
        });
        found
    }

    fn walk_fields(&self, mut field: impl FnMut(Self, Self)) {
        let node = self.node();
        if node.kind != Kind::Object {
            return;
        }
        let mut at = self.at + 1;
        while at + 1 < node.next {
            let value = Self::new(self.tape, at + 1);
            field(Self::new(self.tape, at), value);
            at = value.node().next;
        }
    }

    /// The values of an array.
    pub(crate) fn items(&self) -> Items<'a, 't> {
        let node = self.node();
        let end = if node.kind == Kind::Array { node.next } else { 0 };
        Items { tape: self.tape, at: self.at + 1, end }
    }
}

/// The values of an array, in order.
pub(crate) struct Items<'a, 't> {
    tape: &'a Tape<'t>,
    at: u32,
    end: u32,
}

impl<'a, 't> Iterator for Items<'a, 't> {
    type Item = Value<'a, 't>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let value = Value::new(self.tape, self.at);
        self.at = value.node().next;
        Some(value)
    }
}

/// Decodes the escapes of a string. The scanner has checked them.
fn unescape(raw: &str) -> String {
    let bytes = raw.as_bytes();
    let mut text = String::with_capacity(raw.len());
    let mut at = 0;
    while let Some(plain) = memchr::memchr(b'\\', &bytes[at..]) {
        text.push_str(&raw[at..at + plain]);
        at += plain;
        let (character, length) = match bytes.get(at + 1) {
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'u') => unicode(bytes, at),
            Some(&other) => (char::from(other), 2),
            None => break,
        };
        text.push(character);
        at += length;
    }
    text.push_str(raw.get(at..).unwrap_or_default());
    text
}

fn unicode(bytes: &[u8], at: usize) -> (char, usize) {
    let high = hex4(bytes, at + 2).unwrap_or(0xFFFD);
    if !(0xD800..=0xDBFF).contains(&high) {
        return (char::from_u32(high).unwrap_or('\u{FFFD}'), 6);
    }
    let low = hex4(bytes, at + 8).unwrap_or(0xDC00);
    let code = 0x10000 + ((high - 0xD800) << 10) + low.wrapping_sub(0xDC00);
    (char::from_u32(code).unwrap_or('\u{FFFD}'), 12)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scan;
    use crate::estate::ProblemKind;
    use crate::load::Limits;

    fn fault(text: &str) -> ProblemKind {
        scan(text, 0, &Limits::default()).2.unwrap().kind
    }

    #[test]
    fn values_are_found_by_name_and_know_their_place() {
        let text = r#"{"a": [1, {"b": "x\"yé😀"}], "c": true, "d": null}"#;
        let (tape, end, fault) = scan(text, 0, &Limits::default());
        assert_eq!((end, fault), (text.len(), None));
        let root = tape.root().unwrap();
        let items: Vec<_> = root.get("a").unwrap().items().collect();
        assert_eq!(items[0].u64(), Some(1));
        let string = items[1].get("b").unwrap();
        assert_eq!(string.string().unwrap(), "x\"yé😀");
        assert_eq!(&text[string.offset()..string.offset() + 2], "\"x");
        assert_eq!(root.get("c").unwrap().bool(), Some(true));
        assert!(root.get("d").unwrap().is_null());
        assert!(root.get("e").is_none());
        assert_eq!(items[1].raw(), r#"{"b": "x\"yé😀"}"#);
    }

    #[test]
    fn what_stands_before_a_fault_is_kept_and_what_it_cuts_is_marked() {
        let text = r#"{"List": [{"a": 1}, {"b": 2, "c": "#;
        let (tape, _, fault) = scan(text, 0, &Limits::default());
        assert_eq!(fault.unwrap().offset, text.len());
        let root = tape.root().unwrap();
        assert!(!root.is_whole());
        let items: Vec<_> = root.get("List").unwrap().items().collect();
        assert!(items[0].is_whole() && !items[1].is_whole());
        assert_eq!(items[1].get("b").unwrap().u64(), Some(2));
        assert!(items[1].get("c").is_none());
    }

    #[test]
    fn faults_are_told_apart() {
        for text in [
            "",
            "{",
            "[1 2]",
            "[,]",
            "[1,]",
            "{\"a\" 1}",
            "{1:2}",
            "tru",
            "01",
            "1.",
            "-",
            "\"\\x\"",
            "\"\n\"",
        ] {
            assert_eq!(fault(text), ProblemKind::Syntax, "{text}");
        }
        assert_eq!(fault(r#""\ud800""#), ProblemKind::Syntax);
        assert_eq!(fault(&"[".repeat(100_000)), ProblemKind::TooDeep);
        let limits = Limits { values: 3, ..Limits::default() };
        assert_eq!(scan("[1,2,3]", 0, &limits).2.unwrap().kind, ProblemKind::TooMany);
    }

    #[test]
    fn the_last_of_two_equal_names_counts_and_is_named() {
        let (tape, ..) = scan(r#"{"a": 1, "b": 2, "a": 3}"#, 0, &Limits::default());
        let root = tape.root().unwrap();
        assert_eq!(root.get("a").unwrap().u64(), Some(3));
        assert_eq!(root.duplicate(), Some(("a", 17)));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}:,\"\\\\0-9a-fu \n\u{1}é]{0,60}") {
            let (tape, end, fault) = scan(&text, 0, &Limits::default());
            prop_assert!(end <= text.len());
            prop_assert!(fault.is_some() || tape.root().is_some());
            if let Some(root) = tape.root() {
                let _ = (root.fields(), root.items().count(), root.duplicate(), root.string());
            }
        }

        #[test]
        fn strings_are_found_to_their_end(text in "\\PC{0,40}", tail in "[a-z]{0,20}") {
            let json = format!("[\"{}\", 7]{tail}", text.replace('\\', "\\\\").replace('"', "\\\""));
            let (tape, end, fault) = scan(&json, 0, &Limits::default());
            prop_assert_eq!(fault, None);
            prop_assert_eq!(end, json.len() - tail.len());
            let items: Vec<_> = tape.root().unwrap().items().collect();
            prop_assert_eq!(items[0].string().unwrap(), text.as_str());
            prop_assert_eq!(items[1].u64(), Some(7));
        }
    }
}
