//! Whether a formula can hold.
//!
//! Alternatives are tried one after another; on each way, the conditions on one key have to have a common value. For
//! a key of one value, candidates are tried: the constants of the conditions, and values beside them. Where these
//! cannot be all that matters, a contradiction is not claimed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::formula::{Atom, Formula, Literal};
use super::operator::Comparison;
use super::value;
use crate::matching::Glob;

/// Steps after which a formula is taken to be able to hold.
const STEPS: u32 = 20_000;

type Assigned<'f> = Vec<(&'f Atom, bool)>;

pub(super) fn can_hold(formula: &Formula) -> bool {
    solve(vec![formula], &mut Vec::new(), &mut { STEPS })
}

fn solve<'f>(mut open: Vec<&'f Formula>, held: &mut Assigned<'f>, steps: &mut u32) -> bool {
    let before = held.len();
    // What branches comes last: most contradictions are found without.
    while let Some(at) = open
        .iter()
        .rposition(|formula| !matches!(formula, Formula::Any(_)))
        .or_else(|| open.len().checked_sub(1))
    {
        let formula = open.swap_remove(at);
        *steps = steps.saturating_sub(1);
        if *steps == 0 {
            return true;
        }
        let goes_on = match formula {
            Formula::True | Formula::Literal(Literal::Missing(_)) => true,
            Formula::False => false,
            Formula::Literal(Literal::Condition(atom, holds)) => {
                held.push((atom, *holds));
                consistent(held, &atom.key)
            }
            Formula::All(parts) => {
                open.extend(parts);
                true
            }
            Formula::Any(parts) => {
                let holds = parts.iter().any(|part| {
                    let mut with = open.clone();
                    with.push(part);
                    solve(with, held, steps)
                });
                held.truncate(before);
                return holds;
            }
        };
        if !goes_on {
            held.truncate(before);
            return false;
        }
    }
    held.truncate(before);
    true
}

/// Whether the conditions on a key have a common value.
fn consistent(held: &Assigned<'_>, key: &str) -> bool {
    let on_key: Vec<(&Atom, bool)> =
        held.iter().filter(|(atom, _)| *atom.key == *key && !atom.opaque).copied().collect();
    let fits = |found: Option<&[&str]>| {
        on_key.iter().all(|(atom, holds)| atom.test(found).is_none_or(|result| result == *holds))
    };
    if fits(None) {
        return true;
    }
    if on_key.iter().any(|(atom, _)| atom.several) {
        // Of several values only presence is looked at.
        let wants_absent = |(atom, holds): &(&Atom, bool)| {
            atom.operator.comparison == Comparison::Null && atom.test(Some(&["x"])) == Some(!holds)
        };
        return !on_key.iter().any(wants_absent);
    }
    if candidates(&on_key).iter().any(|value| fits(Some(&[value.as_str()]))) {
        return true;
    }
    !candidates_suffice(&on_key) && !patterns_part(&on_key)
}

/// Values that matter to the conditions of a key.
fn candidates(on_key: &[(&Atom, bool)]) -> BTreeSet<String> {
    // Letters that nobody writes stand for every other value.
    let mut found = BTreeSet::from(["\u{1}other".to_owned(), "true".to_owned(), "false".to_owned()]);
    let (mut numbers, mut dates) = (Vec::new(), Vec::new());
    for value in on_key.iter().flat_map(|(atom, _)| atom.values.iter().map(move |value| (atom, value))) {
        let (atom, value) = value;
        for filler in ["", "x"] {
            let text = value.example(filler);
            found.extend([text.to_lowercase(), text.to_uppercase()]);
            found.insert(text);
        }
        let text = value.as_exact().unwrap_or_default();
        match atom.operator.comparison {
            Comparison::Number(_) => numbers.extend(value::number(&text)),
            Comparison::Date(_) => dates.extend(value::date(&text)),
            Comparison::Ip => {
                found.extend(value::range(&text).iter().flat_map(|range| range.edges().collect::<Vec<_>>()))
            }
            _ => {}
        }
    }
    numbers.sort_by(f64::total_cmp);
    for pair in numbers.windows(2) {
        found.insert(format!("{}", f64::midpoint(pair[0], pair[1])));
    }
    for number in numbers {
        found.extend([number - 1.0, number, number + 1.0].map(|number| format!("{number}")));
    }
    for millis in dates {
        found.extend([millis - 1, millis, millis + 1].map(iso));
    }
    found
}

/// Seconds since 1970 with three places.
fn iso(millis: i64) -> String {
    format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000))
}

/// Whether no other value than the candidates could make a difference.
fn candidates_suffice(on_key: &[(&Atom, bool)]) -> bool {
    let valued: Vec<&(&Atom, bool)> =
        on_key.iter().filter(|(atom, _)| atom.operator.comparison != Comparison::Null).collect();
    let all = |is: fn(Comparison) -> bool| valued.iter().all(|(atom, _)| is(atom.operator.comparison));
    let one_of_a_few = valued.iter().any(|(atom, holds)| {
        *holds != atom.operator.negated
            && (matches!(atom.operator.comparison, Comparison::Text | Comparison::Binary)
                || (atom.operator.comparison == Comparison::Pattern
                    && atom.values.iter().all(|value| value.as_exact().is_some())))
    });
    one_of_a_few
        || all(|comparison| matches!(comparison, Comparison::Text | Comparison::Binary))
        || all(|comparison| comparison == Comparison::TextIgnoringCase)
        || all(|comparison| matches!(comparison, Comparison::Number(_)))
        || all(|comparison| matches!(comparison, Comparison::Date(_)))
        || all(|comparison| comparison == Comparison::Ip)
        || all(|comparison| comparison == Comparison::Bool)
}

/// Whether two conditions ask for patterns that no value matches both.
fn patterns_part(on_key: &[(&Atom, bool)]) -> bool {
    let wanted: Vec<(&Atom, Vec<Glob>)> = on_key
        .iter()
        .filter(|(atom, holds)| {
            let comparison = atom.operator.comparison;
            *holds != atom.operator.negated
                && matches!(
                    comparison,
                    Comparison::Text | Comparison::TextIgnoringCase | Comparison::Pattern | Comparison::Arn
                )
        })
        .map(|(atom, _)| (*atom, atom.values.iter().map(|value: &Arc<Glob>| (**value).clone()).collect()))
        .collect();
    wanted.iter().enumerate().any(|(index, (one, left))| {
        wanted[index + 1..].iter().any(|(two, right)| {
            let fold = [one, two].iter().any(|a| a.operator.comparison == Comparison::TextIgnoringCase);
            let shape = |glob: &Glob| if fold { glob.clone().folded() } else { glob.clone() };
            !left.iter().any(|a| right.iter().any(|b| shape(a).meets(&shape(b))))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::{Operator, Source};

    fn literal(operator: &str, value: &str) -> Formula {
        let operator = Operator::parse(operator).unwrap();
        let glob = if operator.has_wildcards() { Glob::new(value) } else { Glob::exact(value) };
        let atom = Atom {
            key: "k".into(),
            source: Source::AttackerChosen,
            several: false,
            operator,
            values: vec![Arc::new(glob)],
            opaque: false,
        };
        Formula::Literal(Literal::Condition(Arc::new(atom), true))
    }

    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    #[test]
    fn contradictions_on_one_key_are_found_and_no_others() {
        for (one, a, two, b, can) in [
            ("StringEquals", "a", "StringEquals", "b", false),
            ("StringEquals", "a", "StringNotEquals", "a", false),
            ("StringEqualsIgnoreCase", "a", "StringNotEquals", "a", true),
            ("StringLike", "a*", "StringLike", "*b", true),
            ("StringLike", "a*", "StringLike", "b*", false),
            ("Null", "true", "StringEquals", "a", false),
            ("Null", "true", "StringEqualsIfExists", "a", true),
            ("NumericLessThan", "7", "NumericGreaterThan", "7", false),
            ("NumericLessThan", "8", "NumericGreaterThan", "7", true),
            ("DateLessThan", "2020-01-01", "DateGreaterThan", "2021-01-01", false),
            ("IpAddress", "10.0.0.0/8", "IpAddress", "192.168.0.0/16", false),
            ("IpAddress", "10.0.0.0/8", "NotIpAddress", "10.0.0.0/9", true),
            ("Bool", "true", "Bool", "false", false),
        ] {
            let both = Formula::all([literal(one, a), literal(two, b)]);
            assert_eq!(both.can_hold(), can, "{one} {a} {two} {b}");
        }
        assert!(Formula::any([literal("Bool", "true"), literal("Bool", "true").not()]).always_holds());
    }

    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
    #[test]
    fn absent_keys_and_several_values_count_by_operator() {
        let test = |name: &str, found: Option<&[&str]>| {
            Operator::parse(name).unwrap().test(&[Arc::new(Glob::exact("a"))], found)
        };
        assert_eq!(test("StringEquals", None), Some(false));
        assert_eq!(test("StringNotEquals", None), Some(true));
        assert_eq!(test("StringEqualsIfExists", None), Some(true));
        assert_eq!(test("ForAllValues:StringEquals", None), Some(true));
        assert_eq!(test("ForAnyValue:StringEquals", None), Some(false));
        assert_eq!(test("ForAllValues:StringEquals", Some(&["a", "b"])), Some(false));
        assert_eq!(test("ForAnyValue:StringEquals", Some(&["a", "b"])), Some(true));
        assert_eq!(test("StringEquals", Some(&["a", "b"])), None);
        assert!(Operator::parse("StringSounds").is_none());
    }
}
