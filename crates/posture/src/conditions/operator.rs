//! Operators and what they compare.

use std::fmt;

use super::value;
use crate::matching::Glob;

/// How an order is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn holds<T: PartialOrd>(self, found: T, limit: T) -> bool {
        match self {
            Self::Equal => found == limit,
            Self::Less => found < limit,
            Self::LessOrEqual => found <= limit,
            Self::Greater => found > limit,
            Self::GreaterOrEqual => found >= limit,
        }
    }
}

/// What an operator compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Comparison {
    /// Texts, letter by letter.
    Text,
    /// Texts, without regard to case.
    TextIgnoringCase,
    /// Texts with wildcards.
    Pattern,
    /// Numbers.
    Number(Order),
    /// Points in time.
    Date(Order),
    /// `true` and `false`.
    Bool,
    /// Base64 of bytes.
    Binary,
    /// Addresses in ranges.
    Ip,
    /// ARNs, component by component. `ArnEquals` and `ArnLike` are the same.
    Arn,
    /// Whether the key is absent.
    Null,
}

/// How several values of a key count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantifier {
    /// `ForAllValues:`
    All,
    /// `ForAnyValue:`
    Any,
}

/// An operator with its prefix and suffix
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operator {
    /// What it compares.
    pub comparison: Comparison,
    /// `…Not…`
    pub negated: bool,
    /// `…IfExists`
    pub if_exists: bool,
    /// `For…:`
    pub quantifier: Option<Quantifier>,
}

const NAMES: &[(&str, Comparison, bool)] = &[
    ("StringEquals", Comparison::Text, false),
    ("StringNotEquals", Comparison::Text, true),
    ("StringEqualsIgnoreCase", Comparison::TextIgnoringCase, false),
    ("StringNotEqualsIgnoreCase", Comparison::TextIgnoringCase, true),
    ("StringLike", Comparison::Pattern, false),
    ("StringNotLike", Comparison::Pattern, true),
    ("NumericEquals", Comparison::Number(Order::Equal), false),
    ("NumericNotEquals", Comparison::Number(Order::Equal), true),
    ("NumericLessThan", Comparison::Number(Order::Less), false),
    ("NumericLessThanEquals", Comparison::Number(Order::LessOrEqual), false),
    ("NumericGreaterThan", Comparison::Number(Order::Greater), false),
    ("NumericGreaterThanEquals", Comparison::Number(Order::GreaterOrEqual), false),
    ("DateEquals", Comparison::Date(Order::Equal), false),
    ("DateNotEquals", Comparison::Date(Order::Equal), true),
    ("DateLessThan", Comparison::Date(Order::Less), false),
    ("DateLessThanEquals", Comparison::Date(Order::LessOrEqual), false),
    ("DateGreaterThan", Comparison::Date(Order::Greater), false),
    ("DateGreaterThanEquals", Comparison::Date(Order::GreaterOrEqual), false),
    ("Bool", Comparison::Bool, false),
    ("BinaryEquals", Comparison::Binary, false),
    ("IpAddress", Comparison::Ip, false),
    ("NotIpAddress", Comparison::Ip, true),
    ("ArnEquals", Comparison::Arn, false),
    ("ArnLike", Comparison::Arn, false),
    ("ArnNotEquals", Comparison::Arn, true),
    ("ArnNotLike", Comparison::Arn, true),
    ("Null", Comparison::Null, false),
];

impl Operator {
    /// Reads the name of an operator; `None` if there is none of that name.
    pub fn parse(name: &str) -> Option<Self> {
        let cut = |text: &'_ str, prefix: &str| {
            text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let (quantifier, rest) = if cut(name, "ForAllValues:") {
            (Some(Quantifier::All), &name["ForAllValues:".len()..])
        } else if cut(name, "ForAnyValue:") {
            (Some(Quantifier::Any), &name["ForAnyValue:".len()..])
        } else {
            (None, name)
        };
        let bare = rest.len().checked_sub("IfExists".len()).and_then(|at| {
            rest.get(at..).filter(|end| end.eq_ignore_ascii_case("IfExists")).and_then(|_| rest.get(..at))
        });
        let (base, if_exists) = bare.map_or((rest, false), |base| (base, true));
        let (_, comparison, negated) = NAMES.iter().find(|(known, ..)| known.eq_ignore_ascii_case(base))?;
        if *comparison == Comparison::Null && (if_exists || quantifier.is_some()) {
            return None;
        }
        Some(Self { comparison: *comparison, negated: *negated, if_exists, quantifier })
    }

    /// Whether `*` and `?` are wildcards in its values.
    pub fn has_wildcards(self) -> bool {
        matches!(self.comparison, Comparison::Pattern | Comparison::Arn)
    }

    /// Whether a value can be compared at all.
    pub fn accepts(self, text: &str) -> bool {
        match self.comparison {
            Comparison::Number(_) => value::number(text).is_some(),
            Comparison::Date(_) => value::date(text).is_some(),
            Comparison::Ip => value::range(text).is_some(),
            Comparison::Bool | Comparison::Null => {
                text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
            }
            _ => true,
        }
    }

    /// Tests a key. `found` is `None` if the key is not in the request. Returns `None` where AWS does not say what
    /// happens: several values without a quantifier, `ForAnyValue:…IfExists` of an absent key, incomplete ARNs.
    ///
    /// An absent key makes a positive operator false, a negated one, `…IfExists` and `ForAllValues:` true
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>).
    pub fn test(self, values: &[std::sync::Arc<Glob>], found: Option<&[&str]>) -> Option<bool> {
        if self.comparison == Comparison::Null {
            let absent = found.is_none_or(<[&str]>::is_empty);
            return Some(values.iter().any(|value| {
                value
                    .as_exact()
                    .is_some_and(|text| text.eq_ignore_ascii_case(if absent { "true" } else { "false" }))
            }));
        }
        let Some(found) = found.filter(|found| !found.is_empty()) else {
            return match self.quantifier {
                Some(Quantifier::All) => Some(true),
                Some(Quantifier::Any) if self.if_exists => None,
                Some(Quantifier::Any) => Some(false),
                None => Some(self.if_exists || self.negated),
            };
        };
        let mut results = found.iter().map(|one| self.test_one(values, one));
        match self.quantifier {
            Some(Quantifier::All) => results.try_fold(true, |all, one| Some(all & one?)),
            Some(Quantifier::Any) => results.try_fold(false, |any, one| Some(any | one?)),
            None => {
                let first = results.next()??;
                results.all(|other| other == Some(first)).then_some(first)
            }
        }
    }

    fn test_one(self, values: &[std::sync::Arc<Glob>], found: &str) -> Option<bool> {
        let mut unclear = false;
        let mut any = false;
        for value in values {
            match self.compare(value, found) {
                Some(matches) => any |= matches,
                None => unclear = true,
            }
        }
        if unclear && !any { None } else { Some(any != self.negated) }
    }

    fn compare(self, value: &Glob, found: &str) -> Option<bool> {
        let text = || value.as_exact().unwrap_or_default();
        Some(match self.comparison {
            Comparison::Text | Comparison::Pattern | Comparison::Binary => value.matches(found),
            Comparison::TextIgnoringCase => text().to_lowercase() == found.to_lowercase(),
            Comparison::Number(order) => {
                value::number(found).zip(value::number(&text())).is_some_and(|(a, b)| order.holds(a, b))
            }
            Comparison::Date(order) => {
                value::date(found).zip(value::date(&text())).is_some_and(|(a, b)| order.holds(a, b))
            }
            Comparison::Bool => text().eq_ignore_ascii_case(found),
            Comparison::Ip => {
                value::range(found).zip(value::range(&text())).is_some_and(|(a, b)| b.contains(&a))
            }
            Comparison::Arn => return value.matches_arn(found),
            Comparison::Null => false,
        })
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.quantifier {
            Some(Quantifier::All) => f.write_str("ForAllValues:")?,
            Some(Quantifier::Any) => f.write_str("ForAnyValue:")?,
            None => {}
        }
        let name = NAMES
            .iter()
            .rev()
            .find(|(_, comparison, negated)| (*comparison, *negated) == (self.comparison, self.negated));
        f.write_str(name.map_or("?", |(name, ..)| name))?;
        f.write_str(if self.if_exists { "IfExists" } else { "" })
    }
}
