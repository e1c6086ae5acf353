//! The grammar of policies, as people write them: `any(office, 2 of (alice, bob, carol), all(hsm, cloud))`.
//!
//! A policy is a keyholder's label, `any(...)`, `all(...)` or `k of (...)` of policies, or the name of a policy
//! that is written elsewhere. `Display` of [`PolicyTree`] prints what [`parse`] reads.

use std::collections::BTreeMap;
use strongroom_format::{
    context::valid_label,
    keyring::{POLICY_DEPTH_MAX, POLICY_LEAVES_MAX, PolicyTree},
};
use thiserror::Error;

/// Why a text is no policy. Columns count characters from 1.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Something else should stand here.
    #[error("column {column}: expected {expected}, found {found}")]
    Unexpected {
        /// Where.
        column: usize,
        /// What would do.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// More are needed than there are, or none.
    #[error(
        "column {column}: `{needed} of` {children} can never be opened: between 1 and {children} make sense"
    )]
    Threshold {
        /// Where.
        column: usize,
        /// How many are needed, as written.
        needed: String,
        /// How many there are.
        children: usize,
    },
    /// A named policy is wrong.
    #[error("in the policy `{name}`: {error}")]
    Named {
        /// Its name.
        name: String,
        /// What is wrong with it.
        error: Box<PolicyError>,
    },
    /// A named policy that stands for itself.
    #[error("the policy `{0}` names itself")]
    Circular(String),
    /// Two keyholders that are the same person, key or device.
    #[error("`{first}` and `{second}` are the same custodian, who would sit in two seats of one policy")]
    TwoSeats {
        /// One label.
        first: String,
        /// The other.
        second: String,
    },
    /// No keyholder can have this label.
    #[error(
        "column {column}: `{label}` cannot be a keyholder's label: 1 to 64 of a-z 0-9 . _ -, \
         starting with a letter or digit"
    )]
    Label {
        /// Where.
        column: usize,
        /// What stands there.
        label: String,
    },
    /// A node without keyholders can never be opened.
    #[error("column {column}: the parentheses name no keyholder, so nothing could ever be opened")]
    Empty {
        /// Where.
        column: usize,
    },
    /// Nested too deeply.
    #[error("column {column}: nested deeper than {POLICY_DEPTH_MAX}")]
    TooDeep {
        /// Where.
        column: usize,
    },
    /// More keyholders than a policy can hold.
    #[error("it names more than {POLICY_LEAVES_MAX} keyholders")]
    TooMany,
    /// A keyholder more than once.
    #[error("it names keyholder `{0}` twice")]
    Duplicate(String),
    /// A label that the vault does not know.
    #[error("it names `{label}`, which is not a keyholder of this vault; there are: {known}")]
    Unknown {
        /// The label.
        label: String,
        /// All labels, separated by commas.
        known: String,
    },
    /// A policy that was not made by [`parse`] breaks a rule of the format.
    #[error("it breaks a rule of the vault format: {0}")]
    Format(strongroom_format::Damage),
}

/// Reads a policy.
///
/// # Errors
/// [`PolicyError`], with the column where there is one.
pub fn parse(text: &str) -> Result<PolicyTree, PolicyError> {
    parse_with(text, &BTreeMap::new())
}

/// Reads a policy in which names may stand for the policies that `named` has under them.
///
/// # Errors
/// [`PolicyError`], with the column where there is one.
pub fn parse_with(text: &str, named: &BTreeMap<String, String>) -> Result<PolicyTree, PolicyError> {
    let tree = parse_whole(text, named, &mut Vec::new(), 1)?;
    check_leaves(&tree)?;
    Ok(tree)
}

/// `inside` are the names that are being read, from the outermost.
fn parse_whole(
    text: &str,
    named: &BTreeMap<String, String>,
    inside: &mut Vec<String>,
    depth: usize,
) -> Result<PolicyTree, PolicyError> {
    let mut parser = Parser { text, at: 0, named, inside };
    let tree = parser.policy(depth)?;
    match parser.peek() {
        None => Ok(tree),
        Some(_) => Err(parser.unexpected("the end")),
    }
}

/// Checks a policy against the labels of all keyholders of the vault.
///
/// # Errors
/// [`PolicyError::Unknown`] for a label that is not among `known`; the format's rules otherwise.
pub fn validate<'a>(tree: &PolicyTree, known: impl IntoIterator<Item = &'a str>) -> Result<(), PolicyError> {
    check_leaves(tree)?;
    tree.check("policy").map_err(|error| PolicyError::Format(error.damage))?;
    let known: Vec<&str> = known.into_iter().collect();
    match tree.leaves().find(|label| !known.contains(label)) {
        None => Ok(()),
        Some(label) => Err(PolicyError::Unknown { label: label.to_owned(), known: known.join(", ") }),
    }
}

fn check_leaves(tree: &PolicyTree) -> Result<(), PolicyError> {
    let mut labels: Vec<&str> = tree.leaves().take(POLICY_LEAVES_MAX + 1).collect();
    if labels.len() > POLICY_LEAVES_MAX {
        return Err(PolicyError::TooMany);
    }
    labels.sort_unstable();
    match labels.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(PolicyError::Duplicate(pair[0].to_owned())),
        None => Ok(()),
    }
}

const A_POLICY: &str = "a keyholder's label, `any(...)`, `all(...)` or `2 of (...)`";

struct Parser<'a, 'n> {
    text: &'a str,
    /// Byte offset.
    at: usize,
    named: &'n BTreeMap<String, String>,
    inside: &'n mut Vec<String>,
}

impl<'a> Parser<'a, '_> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next character that is not white space.
    fn peek(&mut self) -> Option<char> {
        self.at = self.text.len() - self.rest().trim_start().len();
        self.rest().chars().next()
    }

    fn column(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn unexpected(&mut self, expected: &'static str) -> PolicyError {
        let found = match self.peek() {
            None => "the end".to_owned(),
            Some(_) => match self.word() {
                "" => format!("`{}`", self.rest().chars().take(1).collect::<String>()),
                word => format!("`{word}`"),
            },
        };
        PolicyError::Unexpected { column: self.column(), expected, found }
    }

    /// The characters up to the next delimiter, without taking them.
    fn word(&mut self) -> &'a str {
        self.peek();
        let rest = self.rest();
        &rest[..rest.find(|c: char| c.is_whitespace() || "(),".contains(c)).unwrap_or(rest.len())]
    }

    fn policy(&mut self, depth: usize) -> Result<PolicyTree, PolicyError> {
        let word = self.word();
        let column = self.column();
        if depth > POLICY_DEPTH_MAX {
            return Err(PolicyError::TooDeep { column });
        }
        if word.is_empty() {
            return Err(self.unexpected(A_POLICY));
        }
        self.at += word.len();
        if self.peek() == Some('(') {
            return self.node(word, column, depth);
        }
        let is_number = word.bytes().all(|b| b.is_ascii_digit());
        if is_number && self.word() == "of" {
            self.at += "of".len();
            let of = self.children(column, depth)?;
            let threshold = || PolicyError::Threshold { column, needed: word.to_owned(), children: of.len() };
            let needed = word.parse().ok().filter(|needed| (1..=of.len()).contains(&usize::from(*needed)));
            return Ok(PolicyTree::Threshold { needed: needed.ok_or_else(threshold)?, of });
        }
        if let Some(text) = self.named.get(word) {
            return self.named_policy(word, text, depth);
        }
        if !valid_label(word) {
            return Err(PolicyError::Label { column, label: word.to_owned() });
        }
        Ok(PolicyTree::Keyholder(word.to_owned()))
    }

    fn named_policy(&mut self, name: &str, text: &str, depth: usize) -> Result<PolicyTree, PolicyError> {
        if self.inside.iter().any(|other| other == name) {
            return Err(PolicyError::Circular(name.to_owned()));
        }
        self.inside.push(name.to_owned());
        let tree = parse_whole(text, self.named, self.inside, depth)
            .map_err(|error| PolicyError::Named { name: name.to_owned(), error: Box::new(error) });
        self.inside.pop();
        tree
    }

    fn node(&mut self, word: &str, column: usize, depth: usize) -> Result<PolicyTree, PolicyError> {
        match word {
            "any" => self.children(column, depth).map(PolicyTree::Any),
            "all" => self.children(column, depth).map(PolicyTree::All),
            _ => Err(PolicyError::Unexpected {
                column,
                expected: "`any`, `all` or a number and `of` before `(`",
                found: format!("`{word}`"),
            }),
        }
    }

    /// The policies in parentheses, which stand here.
    fn children(&mut self, column: usize, depth: usize) -> Result<Vec<PolicyTree>, PolicyError> {
        if !self.take('(') {
            return Err(self.unexpected("`(`"));
        }
        if self.peek() == Some(')') {
            return Err(PolicyError::Empty { column });
        }
        let mut children = Vec::new();
        loop {
            children.push(self.policy(depth + 1)?);
            if children.len() > POLICY_LEAVES_MAX {
                return Err(PolicyError::TooMany);
            }
            if self.take(')') {
                return Ok(children);
            }
            if !self.take(',') {
                return Err(self.unexpected("`,` or `)`"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaf(label: &str) -> PolicyTree {
        PolicyTree::Keyholder(label.into())
    }

    fn message(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn reads_labels_and_nodes() {
        assert_eq!(parse("office"), Ok(leaf("office")));
        assert_eq!(
            parse(" any ( office , 2fa.key )\n"),
            Ok(PolicyTree::Any(vec![leaf("office"), leaf("2fa.key")]))
        );
        assert_eq!(
            parse("any(a, all(b,any))"),
            Ok(PolicyTree::Any(vec![leaf("a"), PolicyTree::All(vec![leaf("b"), leaf("any")])]))
        );
        let of = vec![leaf("a"), leaf("b"), leaf("c")];
        assert_eq!(parse("2 of (a, b, c)"), Ok(PolicyTree::Threshold { needed: 2, of: of.clone() }));
        assert_eq!(
            parse("any(2  of(a,b,c))"),
            Ok(PolicyTree::Any(vec![PolicyTree::Threshold { needed: 2, of }]))
        );
        assert_eq!(parse("2"), Ok(leaf("2")), "a label may be a number");
    }

    #[test]
    fn names_stand_for_policies() {
        let named = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        let officers =
            named(&[("officers", "2 of (alice, bob, carol)"), ("all-of-us", "all(officers, hsm)")]);
        assert_eq!(parse_with("any(kms, officers)", &officers), parse("any(kms, 2 of (alice, bob, carol))"));
        assert_eq!(parse_with("all-of-us", &officers), parse("all(2 of (alice, bob, carol), hsm)"));
        let circle = named(&[("a", "any(b, x)"), ("b", "a")]);
        let error = parse_with("a", &circle).unwrap_err().to_string();
        assert_eq!(error, "in the policy `a`: in the policy `b`: the policy `a` names itself");
        let wrong = named(&[("a", "any(b")]);
        let error = parse_with("a", &wrong).unwrap_err().to_string();
        assert_eq!(error, "in the policy `a`: column 6: expected `,` or `)`, found the end");
        let twice = named(&[("a", "any(b, c)")]);
        assert_eq!(parse_with("all(a, b)", &twice), Err(PolicyError::Duplicate("b".into())));
    }

    #[test]
    fn says_where_and_what_is_wrong() {
        assert_eq!(message(""), format!("column 1: expected {A_POLICY}, found the end"));
        assert_eq!(message("any(a,"), format!("column 7: expected {A_POLICY}, found the end"));
        assert_eq!(message("any(a b)"), "column 7: expected `,` or `)`, found `b`");
        assert_eq!(message("any(a)) "), "column 7: expected the end, found `)`");
        assert_eq!(message("a b"), "column 3: expected the end, found `b`");
        assert_eq!(
            message("none(a)"),
            "column 1: expected `any`, `all` or a number and `of` before `(`, found `none`"
        );
        assert_eq!(message("2 of a, b"), "column 6: expected `(`, found `a`");
        assert_eq!(message("any(é, B)").split(':').next(), Some("column 5"));
        assert_eq!(parse("any(ok, all())"), Err(PolicyError::Empty { column: 9 }));
        assert_eq!(parse("any(a, all(a))"), Err(PolicyError::Duplicate("a".into())));
    }

    #[test]
    fn thresholds_must_make_sense() {
        let wrong = |needed: &str, children| {
            Err(PolicyError::Threshold { column: 1, needed: needed.into(), children })
        };
        assert_eq!(parse("4 of (a, b, c)"), wrong("4", 3));
        assert_eq!(parse("0 of (a)"), wrong("0", 1));
        assert_eq!(parse("99999999999999999999 of (a)"), wrong("99999999999999999999", 1));
    }

    #[test]
    fn limits_hold() {
        let nested = |depth: usize| format!("{}a{}", "any(".repeat(depth), ")".repeat(depth));
        assert!(parse(&nested(POLICY_DEPTH_MAX - 1)).is_ok());
        assert!(matches!(parse(&nested(POLICY_DEPTH_MAX)), Err(PolicyError::TooDeep { .. })));
        assert!(matches!(parse(&nested(1_000_000)), Err(PolicyError::TooDeep { .. })));
        let wide =
            |n: usize| format!("any({})", (0..n).map(|i| format!("h{i}")).collect::<Vec<_>>().join(","));
        assert!(parse(&wide(POLICY_LEAVES_MAX)).is_ok());
        assert_eq!(parse(&wide(POLICY_LEAVES_MAX + 1)), Err(PolicyError::TooMany));
    }

    #[test]
    fn labels_must_be_known() {
        let tree = parse("any(a, b)").unwrap();
        assert_eq!(validate(&tree, ["a", "b", "c"]), Ok(()));
        assert_eq!(
            validate(&tree, ["a", "c"]).unwrap_err().to_string(),
            "it names `b`, which is not a keyholder of this vault; there are: a, c"
        );
        let empty = PolicyTree::Any(vec![leaf("a"), PolicyTree::Any(vec![])]);
        assert!(matches!(validate(&empty, ["a"]), Err(PolicyError::Format(_))));
    }

    fn trees() -> impl Strategy<Value = PolicyTree> {
        let leaf = "[a-z0-9][a-z0-9._-]{0,8}".prop_map(PolicyTree::Keyholder);
        leaf.prop_recursive(4, 30, 4, |inner| {
            (prop::collection::vec(inner, 1..4), 0..6_u8).prop_map(|(children, kind)| match kind {
                0 | 1 => PolicyTree::Any(children),
                2 => PolicyTree::All(children),
                _ => PolicyTree::Threshold { needed: kind % children.len() as u8 + 1, of: children },
            })
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(tree in trees()) {
            match parse(&tree.to_string()) {
                Ok(read) => prop_assert_eq!(read, tree),
                Err(error) => prop_assert!(matches!(error, PolicyError::Duplicate(_)), "{}", error),
            }
        }

        #[test]
        fn parsing_never_panics(text in "(any|all|2 of|[anyolf2( ),é\t-]){0,40}") {
            if let Ok(tree) = parse(&text) {
                prop_assert_eq!(tree.check("policy"), Ok(()));
                prop_assert_eq!(parse(&tree.to_string()), Ok(tree));
            }
        }
    }
}
