//! The grammar of policies, as people write them: `any(office, paper, any(alice, bob))`.
//!
//! A policy is a keyholder's label or `any(...)` of policies. `all(...)` and `k of (...)` belong to the
//! grammar too, and are answered with [`PolicyError::Unsupported`] by this version. `Display` of
//! [`PolicyTree`] prints what [`parse`] reads.

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
    /// This version cannot do that yet.
    #[error("column {column}: `{node}` is not supported by this version, which knows only `any(...)`")]
    Unsupported {
        /// Where.
        column: usize,
        /// `all(...)`, or a threshold such as `2 of (...)`.
        node: String,
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
    #[error("column {column}: `any()` names no keyholder, so nothing could ever be opened")]
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
    let mut parser = Parser { text, at: 0 };
    let tree = parser.policy(1)?;
    match parser.peek() {
        None => {}
        Some(_) => return Err(parser.unexpected("the end")),
    }
    check_leaves(&tree)?;
    Ok(tree)
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

struct Parser<'a> {
    text: &'a str,
    /// Byte offset.
    at: usize,
}

impl<'a> Parser<'a> {
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
            return Err(self.unexpected("a keyholder's label or `any(...)`"));
        }
        self.at += word.len();
        if self.peek() == Some('(') {
            return self.node(word, column, depth);
        }
        let threshold = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        if threshold && self.word() == "of" {
            return Err(PolicyError::Unsupported { column, node: format!("{word} of (...)") });
        }
        if !valid_label(word) {
            return Err(PolicyError::Label { column, label: word.to_owned() });
        }
        Ok(PolicyTree::Keyholder(word.to_owned()))
    }

    fn node(&mut self, word: &str, column: usize, depth: usize) -> Result<PolicyTree, PolicyError> {
        match word {
            "any" => {}
            "all" => return Err(PolicyError::Unsupported { column, node: "all(...)".into() }),
            _ => {
                return Err(PolicyError::Unexpected {
                    column,
                    expected: "`any` before `(`",
                    found: format!("`{word}`"),
                });
            }
        }
        self.take('(');
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
                return Ok(PolicyTree::Any(children));
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
    fn reads_labels_and_any() {
        assert_eq!(parse("office"), Ok(leaf("office")));
        assert_eq!(
            parse(" any ( office , 2fa.key )\n"),
            Ok(PolicyTree::Any(vec![leaf("office"), leaf("2fa.key")]))
        );
        assert_eq!(
            parse("any(a, any(b,any))"),
            Ok(PolicyTree::Any(vec![leaf("a"), PolicyTree::Any(vec![leaf("b"), leaf("any")])]))
        );
    }

    #[test]
    fn says_where_and_what_is_wrong() {
        assert_eq!(message(""), "column 1: expected a keyholder's label or `any(...)`, found the end");
        assert_eq!(message("any(a,"), "column 7: expected a keyholder's label or `any(...)`, found the end");
        assert_eq!(message("any(a b)"), "column 7: expected `,` or `)`, found `b`");
        assert_eq!(message("any(a)) "), "column 7: expected the end, found `)`");
        assert_eq!(message("a b"), "column 3: expected the end, found `b`");
        assert_eq!(message("none(a)"), "column 1: expected `any` before `(`, found `none`");
        assert_eq!(message("any(é, B)").split(':').next(), Some("column 5"));
        assert_eq!(parse("any(ok, any())"), Err(PolicyError::Empty { column: 9 }));
        assert_eq!(parse("any(a, any(a))"), Err(PolicyError::Duplicate("a".into())));
    }

    #[test]
    fn other_nodes_are_known_but_not_supported() {
        let unsupported = |column, node: &str| Err(PolicyError::Unsupported { column, node: node.into() });
        assert_eq!(parse("all(a, b)"), unsupported(1, "all(...)"));
        assert_eq!(parse("any(a, all (b,c))"), unsupported(8, "all(...)"));
        assert_eq!(parse("2 of (a, b, c)"), unsupported(1, "2 of (...)"));
        assert_eq!(parse("any(a, 2 of(b,c))"), unsupported(8, "2 of (...)"));
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
        leaf.prop_recursive(4, 30, 4, |inner| prop::collection::vec(inner, 1..4).prop_map(PolicyTree::Any))
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
        fn parsing_never_panics(text in "[anyolf2( ),é\t-]{0,40}") {
            if let Ok(tree) = parse(&text) {
                prop_assert_eq!(tree.check("policy"), Ok(()));
                prop_assert_eq!(parse(&tree.to_string()), Ok(tree));
            }
        }
    }
}
