//! Matching one component of a path against one component of a pattern, in bytes.
//!
//! The syntax is that of Go's `path.Match`, which restic uses: `*` any run of characters, `?` one
//! character, `[a-z]` one of a class, `[^a-z]` one outside it, `\x` the character `x` itself. A character
//! is one UTF-8 sequence, or one byte where the bytes are no UTF-8.

/// A compiled component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Glob {
    /// `*`
    Any,
    /// No wildcard.
    Literal(Vec<u8>),
    /// `*` and then no wildcard, such as `*.tmp`.
    Suffix(Vec<u8>),
    /// Anything else.
    Tokens(Vec<Token>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Byte(u8),
    AnyChar,
    AnyRun,
    Class { negated: bool, ranges: Vec<(u32, u32)> },
}

/// Stands for a byte that is part of no character; above all characters, so no class lists it.
const NO_CHARACTER: u32 = u32::MAX;

impl Glob {
    /// # Errors
    /// What is wrong with the pattern.
    pub(super) fn compile(pattern: &[u8]) -> Result<Self, &'static str> {
        let mut tokens = Vec::new();
        let mut rest = pattern;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            match byte {
                // `**` inside a component is no more than `*`.
                b'*' if tokens.last() == Some(&Token::AnyRun) => {}
                b'*' => tokens.push(Token::AnyRun),
                b'?' => tokens.push(Token::AnyChar),
                b'[' => {
                    let (class, tail) = compile_class(rest)?;
                    tokens.push(class);
                    rest = tail;
                }
                b'\\' => {
                    let (&escaped, tail) = rest.split_first().ok_or("nothing follows its last `\\`")?;
                    tokens.push(Token::Byte(escaped));
                    rest = tail;
                }
                byte => tokens.push(Token::Byte(byte)),
            }
        }
        let literal = |tokens: &[Token]| {
            tokens.iter().map(|t| if let Token::Byte(byte) = t { Some(*byte) } else { None }).collect()
        };
        if let Some(bytes) = literal(&tokens) {
            return Ok(Self::Literal(bytes));
        }
        if let Some((Token::AnyRun, tail)) = tokens.split_first()
            && let Some(bytes) = literal(tail)
        {
            return Ok(if bytes.is_empty() { Self::Any } else { Self::Suffix(bytes) });
        }
        Ok(Self::Tokens(tokens))
    }

    pub(super) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Literal(bytes) => bytes == name,
            Self::Suffix(bytes) => name.ends_with(bytes),
            Self::Tokens(tokens) => match_tokens(tokens, name),
        }
    }
}

/// Compiles a class after its `[`. Returns what follows its `]`.
fn compile_class(pattern: &[u8]) -> Result<(Token, &[u8]), &'static str> {
    const UNCLOSED: &str = "a `[` has no matching `]`";
    let (negated, mut rest) = match pattern.split_first() {
        Some((b'^', tail)) => (true, tail),
        _ => (false, pattern),
    };
    let mut ranges = Vec::new();
    loop {
        if let Some((b']', tail)) = rest.split_first() {
            if ranges.is_empty() {
                return Err("a `[...]` is empty");
            }
            return Ok((Token::Class { negated, ranges }, tail));
        }
        let low = class_character(&mut rest).ok_or(UNCLOSED)?;
        let mut high = low;
        if let Some((b'-', tail)) = rest.split_first() {
            rest = tail;
            high = class_character(&mut rest).ok_or("a range in `[...]` has no end")?;
        }
        ranges.push((low, high));
    }
}

/// One character of a class, escapes resolved.
fn class_character(rest: &mut &[u8]) -> Option<u32> {
    match rest.first()? {
        b'-' | b']' => return None,
        b'\\' => *rest = &rest[1..],
        _ => {}
    }
    if rest.is_empty() {
        return None;
    }
    let (character, len) = next_character(rest);
    *rest = &rest[len..];
    // A byte that is no character can be named in no class: it would match half of another character.
    (character != NO_CHARACTER).then_some(character)
}

/// The first character of `bytes`, which are not empty, and its length.
fn next_character(bytes: &[u8]) -> (u32, usize) {
    let len = match bytes[0] {
        byte @ 0..0x80 => return (u32::from(byte), 1),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return (NO_CHARACTER, 1),
    };
    let character =
        bytes.get(..len).and_then(|bytes| std::str::from_utf8(bytes).ok()).and_then(|s| s.chars().next());
    character.map_or((NO_CHARACTER, 1), |c| (u32::from(c), len))
}

/// Only the last `*` needs to be tried again: an earlier one that took fewer characters leaves more to a later one.
fn match_tokens(tokens: &[Token], name: &[u8]) -> bool {
    let (mut at_token, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if tokens.get(at_token) == Some(&Token::AnyRun) {
            at_token += 1;
            retry = Some((at_token, at));
            continue;
        }
        let step = match tokens.get(at_token) {
            None if at == name.len() => return true,
            Some(token) if at < name.len() => match_one(token, &name[at..]),
            _ => None,
        };
        if let Some(len) = step {
            (at_token, at) = (at_token + 1, at + len);
            continue;
        }
        match &mut retry {
            Some((token, from)) if *from < name.len() => {
                *from += next_character(&name[*from..]).1;
                (at_token, at) = (*token, *from);
            }
            _ => return false,
        }
    }
}

/// How many bytes of `name`, which is not empty, `token` takes up, where it matches.
fn match_one(token: &Token, name: &[u8]) -> Option<usize> {
    match token {
        Token::AnyRun => None,
        Token::Byte(byte) => (name[0] == *byte).then_some(1),
        Token::AnyChar => Some(next_character(name).1),
        Token::Class { negated, ranges } => {
            let (character, len) = next_character(name);
            let listed = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
            (listed != *negated).then_some(len)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &[u8]) -> bool {
        Glob::compile(pattern.as_bytes()).unwrap().matches(name)
    }

    #[test]
    fn one_component() {
        for (pattern, name, expected) in [
            ("abc", &b"abc"[..], true),
            ("abc", b"abcd", false),
            ("*", b"abc", true),
            ("*c", b"abc", true),
            ("a*", b"a", true),
            ("a*", b"abc", true),
            ("a*b*c", b"axbxc", true),
            ("a*b*c", b"axbx", false),
            ("a*b*c*d*e*", b"axbxcxdxexxx", true),
            ("a*b?c*x", b"abxbbxdbxebxczzx", true),
            ("a*b?c*x", b"abxbbxdbxebxczzy", false),
            ("ab[c]", b"abc", true),
            ("ab[b-d]", b"abc", true),
            ("ab[e-g]", b"abc", false),
            ("ab[^c]", b"abc", false),
            ("ab[^e-g]", b"abc", true),
            ("ab[!c]", b"abc", true),
            ("ab[!c]", b"abx", false),
            ("a\\*b", b"a*b", true),
            ("a\\*b", b"axb", false),
            ("a?b", "a☺b".as_bytes(), true),
            ("a??b", "a☺b".as_bytes(), false),
            ("a[^a]b", "a☺b".as_bytes(), true),
            ("[a-ζ]*", "α".as_bytes(), true),
            ("[\\]a]", b"]", true),
            ("[\\-]", b"-", true),
            ("[x\\-]", b"-", true),
            ("*x", b"xxx", true),
            ("*.tmp", b"\xff\xfe.tmp", true),
            ("?.tmp", b"\xff.tmp", true),
            ("?.tmp", b"\xff\xfe.tmp", false),
            ("[^a].tmp", b"\xff.tmp", true),
            ("a**b", b"axyb", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name:?}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for pattern in
            ["[", "[]", "[]a]", "[a", "[a-", "[a-]", "[-x]", "[x-]", "[^", "[^]", "a[", "x\\", "[\\"]
        {
            assert!(Glob::compile(pattern.as_bytes()).is_err(), "{pattern}");
        }
    }

    #[test]
    fn many_stars_do_not_take_long() {
        let pattern = "a*".repeat(40) + "b";
        assert!(!matches(&pattern, &[b'a'; 4000]));
    }

    /// The definition, tried in every way.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match (pattern.first(), name.first()) {
            (None, _) => name.is_empty(),
            (Some('*'), _) => (0..=name.len()).any(|n| naive(&pattern[1..], &name[n..])),
            (Some('?'), Some(_)) => naive(&pattern[1..], &name[1..]),
            (Some('['), Some(c)) => {
                let end = pattern.iter().position(|p| *p == ']').unwrap();
                let (negated, class) =
                    if pattern[1] == '^' { (true, &pattern[2..end]) } else { (false, &pattern[1..end]) };
                class.contains(c) != negated && naive(&pattern[end + 1..], &name[1..])
            }
            (Some(p), Some(c)) => p == c && naive(&pattern[1..], &name[1..]),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn agrees_with_the_definition(pattern in "(a|b|é|\\*|\\?|\\[ab\\]|\\[\\^aé\\]){0,7}", name in "[abé]{0,8}") {
            let chars = |s: &str| s.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, name.as_bytes()), naive(&chars(&pattern), &chars(&name)));
        }

        #[test]
        fn never_panics(pattern in proptest::collection::vec(any::<u8>(), 0..20), name in proptest::collection::vec(any::<u8>(), 0..20)) {
            if let Ok(glob) = Glob::compile(&pattern) {
                glob.matches(&name);
            }
        }
    }
}
