//! Patterns with `*` and `?`.

use std::fmt;

/// One step of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Token {
    /// This character.
    Char(char),
    /// Any one character.
    One,
    /// Any characters.
    Many,
    /// Any characters but a colon.
    ManyInSegment,
}

/// A pattern without variables.
///
/// `*` stands for any characters, `?` for one
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glob {
    tokens: Box<[Token]>,
}

impl Glob {
    /// A pattern as it is written, without variables or escapes.
    pub fn new(text: &str) -> Self {
        Self::of(text.chars().map(|c| match c {
            '*' => Token::Many,
            '?' => Token::One,
            c => Token::Char(c),
        }))
    }

    /// A pattern that only this text matches.
    pub fn exact(text: &str) -> Self {
        Self::of(text.chars().map(Token::Char))
    }

    pub(super) fn of(tokens: impl IntoIterator<Item = Token>) -> Self {
        let mut kept: Vec<Token> = Vec::new();
        for token in tokens {
            if token == Token::Many && kept.last() == Some(&Token::Many) {
                continue;
            }
            kept.push(token);
        }
        Self { tokens: kept.into() }
    }

    /// As the pattern of a resource: a `*` inside one of the first five segments of an ARN stays in its segment; one
    /// that ends its segment may go beyond the colon
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>).
    #[must_use]
    pub fn of_resource(mut self) -> Self {
        let mut colons = 0;
        for at in 0..self.tokens.len() {
            match self.tokens[at] {
                Token::Char(':') => colons += 1,
                Token::Many
                    if colons < 5 && !matches!(self.tokens.get(at + 1), None | Some(Token::Char(':'))) =>
                {
                    self.tokens[at] = Token::ManyInSegment;
                }
                _ => {}
            }
        }
        self
    }

    /// With its ASCII letters in lower case.
    #[must_use]
    pub fn folded(mut self) -> Self {
        for token in &mut self.tokens {
            if let Token::Char(c) = token {
                c.make_ascii_lowercase();
            }
        }
        self
    }

    /// Whether everything matches.
    pub fn is_any(&self) -> bool {
        *self.tokens == [Token::Many]
    }

    /// The only text that matches, if there is only one.
    pub fn as_exact(&self) -> Option<String> {
        self.tokens.iter().map(|token| if let Token::Char(c) = token { Some(*c) } else { None }).collect()
    }

    /// What stands before the first wildcard.
    pub fn prefix(&self) -> String {
        self.tokens
            .iter()
            .map_while(|token| if let Token::Char(c) = token { Some(*c) } else { None })
            .collect()
    }

    /// A text that matches: each `*` replaced by `filler`, each `?` by a letter.
    pub fn example(&self, filler: &str) -> String {
        let mut text = String::new();
        for token in &self.tokens {
            match token {
                Token::Char(c) => text.push(*c),
                Token::One => text.push('x'),
                Token::Many | Token::ManyInSegment => text.push_str(filler),
            }
        }
        text
    }

    /// Whether a text matches.
    pub fn matches(&self, text: &str) -> bool {
        if self.is_any() {
            return true;
        }
        if self.tokens.contains(&Token::ManyInSegment) {
            return self.matches_segments(text);
        }
        let tokens = &self.tokens;
        let (mut at, mut rest) = (0, text);
        // Where to go on when what follows the last `*` does not fit: the `*` takes one character more.
        let mut retry: Option<(usize, &str)> = None;
        loop {
            let next = rest.chars().next();
            match (tokens.get(at), next) {
                (Some(Token::Many), _) => {
                    retry = Some((at + 1, rest));
                    at += 1;
                    continue;
                }
                (None, None) => return true,
                (Some(Token::Char(c)), Some(found)) if *c == found => {
                    at += 1;
                    rest = &rest[found.len_utf8()..];
                    continue;
                }
                (Some(Token::One), Some(found)) => {
                    at += 1;
                    rest = &rest[found.len_utf8()..];
                    continue;
                }
                _ => {}
            }
            let Some((after, from)) = retry else { return false };
            let mut longer = from.chars();
            if longer.next().is_none() {
                return false;
            }
            rest = longer.as_str();
            at = after;
            retry = Some((after, rest));
        }
    }

    fn matches_segments(&self, text: &str) -> bool {
        let mut states = vec![false; self.tokens.len() + 1];
        states[0] = true;
        let close = |states: &mut Vec<bool>| {
            for at in 0..self.tokens.len() {
                if states[at] && matches!(self.tokens[at], Token::Many | Token::ManyInSegment) {
                    states[at + 1] = true;
                }
            }
        };
        close(&mut states);
        for c in text.chars() {
            let mut next = vec![false; states.len()];
            for (at, token) in self.tokens.iter().enumerate().filter(|(at, _)| states[*at]) {
                match token {
                    Token::Char(expected) => next[at + 1] |= *expected == c,
                    Token::One => next[at + 1] = true,
                    Token::Many => next[at] = true,
                    Token::ManyInSegment => next[at] |= c != ':',
                }
            }
            close(&mut next);
            states = next;
        }
        states.last().copied().unwrap_or_default()
    }

    /// Whether some text matches both. A `*` counts as any characters here.
    pub fn meets(&self, other: &Self) -> bool {
        let width = other.tokens.len() + 1;
        let star = |token: Option<&Token>| matches!(token, Some(Token::Many | Token::ManyInSegment));
        let mut seen = vec![false; (self.tokens.len() + 1) * width];
        let mut open = vec![(0, 0)];
        while let Some((a, b)) = open.pop() {
            if std::mem::replace(&mut seen[a * width + b], true) {
                continue;
            }
            let (left, right) = (self.tokens.get(a), other.tokens.get(b));
            if left.is_none() && right.is_none() {
                return true;
            }
            if star(left) {
                open.push((a + 1, b));
            }
            if star(right) {
                open.push((a, b + 1));
            }
            if let (Some(left), Some(right)) = (left, right) {
                let same = match (left, right) {
                    (Token::Char(one), Token::Char(two)) => one == two,
                    _ => true,
                };
                if same {
                    open.push((a + usize::from(!star(Some(left))), b + usize::from(!star(Some(right)))));
                }
            }
        }
        false
    }

    /// Matches an ARN, each of its six components for itself; `None` if the pattern is shorter than an ARN and ends in
    /// `*`, which AWS does not explain
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_ARN>).
    pub fn matches_arn(&self, arn: &str) -> Option<bool> {
        if self.is_any() {
            return Some(arn.splitn(6, ':').count() == 6);
        }
        let mut parts: Vec<&[Token]> = self.tokens.splitn(6, |token| *token == Token::Char(':')).collect();
        if parts.len() < 6 {
            let open = parts.pop().is_some_and(|last| last.last() == Some(&Token::Many));
            return if open && self.matches(arn) { None } else { Some(false) };
        }
        let values: Vec<&str> = arn.splitn(6, ':').collect();
        let fits = values.len() == 6
            && parts.iter().zip(&values).all(|(part, value)| Self { tokens: (*part).into() }.matches(value));
        Some(fits)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for token in &self.tokens {
            match token {
                Token::Char(c @ ('*' | '?')) => write!(f, "${{{c}}}")?,
                Token::Char(c) => write!(f, "{c}")?,
                Token::One => f.write_str("?")?,
                Token::Many | Token::ManyInSegment => f.write_str("*")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The obvious matcher.
    fn slow(pattern: &[char], text: &[char]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some('*'), _) => slow(&pattern[1..], text) || (!text.is_empty() && slow(pattern, &text[1..])),
            (Some('?'), Some(_)) => slow(&pattern[1..], &text[1..]),
            (Some(a), Some(b)) if a == b => slow(&pattern[1..], &text[1..]),
            _ => false,
        }
    }

    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    #[test]
    fn a_star_in_a_segment_of_a_resource_stays_there_unless_it_ends_it() {
        let key = "arn:aws:kms:eu-west-1:111122223333:key/a";
        let resource = |text: &str| Glob::new(text).of_resource();
        assert!(resource("arn:aws:kms:*:111122223333:key/*").matches(key));
        assert!(resource("arn:aws:kms:eu-*-1:111122223333:key/*").matches(key));
        assert!(resource("arn:aws:kms:*").matches(key));
        assert!(!resource("arn:aws:k*s:111122223333:key/a").matches("arn:aws:kms:s:111122223333:key/a"));
        assert!(resource("arn:aws:s3:::b/*x").matches("arn:aws:s3:::b/a:b:x"));
    }

    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_ARN
    #[test]
    fn components_of_an_arn_are_checked_each_for_itself() {
        let arn = "arn:aws:sns:us-east-1:111122223333:topic";
        assert_eq!(Glob::new("arn:aws:sns:*:111122223333:*").matches_arn(arn), Some(true));
        assert_eq!(Glob::new("arn:aws:sns:*:topic").matches_arn(arn), Some(false));
        assert_eq!(Glob::new("arn:aws:sns:*").matches_arn(arn), None);
        assert_eq!(Glob::new("*").matches_arn("no arn"), Some(false));
    }

    proptest! {
        #[test]
        fn agrees_with_the_obvious_matcher(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Glob::new(&pattern).matches(&text), slow(&chars(&pattern), &chars(&text)));
        }

        #[test]
        fn patterns_meet_if_a_text_matches_both(a in "[ab*?]{0,6}", b in "[ab*?]{0,6}", text in "[ab]{0,8}") {
            let (a, b) = (Glob::new(&a), Glob::new(&b));
            if a.matches(&text) && b.matches(&text) {
                prop_assert!(a.meets(&b));
            }
            prop_assert_eq!(a.meets(&b), b.meets(&a));
            prop_assert!(a.matches(&a.example("")));
        }
    }
}
