//! What is left of conditions.

use std::fmt;
use std::sync::Arc;

use super::keys::Source;
use super::{Operator, satisfy};
use crate::estate::{Kind, Scope};
use crate::matching::Glob;

/// Why something is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It was not collected.
    NotCollected,
    /// It was collected and cannot be read as what it is.
    NotUnderstood,
    /// AWS does not document it.
    Undocumented,
}

/// Something that an answer would need and that is not known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Missing {
    /// Why.
    pub reason: Reason,
    /// What kind of thing, if it is one that is collected.
    pub kind: Option<Kind>,
    /// Whose.
    pub scope: Option<Scope>,
    /// What exactly, for a person.
    pub what: Arc<str>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            Reason::NotCollected => "not collected: ",
            Reason::NotUnderstood => "not understood: ",
            Reason::Undocumented => "not documented by AWS: ",
        })?;
        f.write_str(&self.what)?;
        if let Some(scope) = &self.scope {
            write!(f, " of {scope}")?;
        }
        if let Some(kind) = self.kind {
            write!(f, " (`{}`)", kind.call())?;
        }
        Ok(())
    }
}

/// A condition on a key whose value is not known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Atom {
    /// The key, in lower case.
    pub key: Arc<str>,
    /// Who decides about the key.
    pub source: Source,
    /// Whether the key may have several values.
    pub several: bool,
    /// How it is compared.
    pub operator: Operator,
    /// With what.
    pub values: Vec<Arc<Glob>>,
    /// Whether a variable in the values is not known either: nothing can be said then.
    pub opaque: bool,
}

impl Atom {
    /// Tests a value of the key; `None` if nothing can be said.
    pub(super) fn test(&self, found: Option<&[&str]>) -> Option<bool> {
        if self.opaque { None } else { self.operator.test(&self.values, found) }
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.operator, self.key)?;
        for (index, value) in self.values.iter().enumerate() {
            write!(f, "{}{value}", if index == 0 { "" } else { "|" })?;
        }
        if self.opaque { f.write_str("(with a variable)") } else { Ok(()) }
    }
}

/// The smallest part of a formula.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Literal {
    /// The condition holds (`true`) or does not.
    Condition(Arc<Atom>, bool),
    /// May hold or not: nobody knows.
    Missing(Arc<Missing>),
}

/// What has to hold. Built by [`Formula::all`] and [`Formula::any`], which keep it flat, sorted and without
/// repetition: the same conditions in another order are the same formula.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Formula {
    /// Holds.
    True,
    /// Does not.
    False,
    /// Holds if this does.
    Literal(Literal),
    /// Holds if all of these do.
    All(Vec<Formula>),
    /// Holds if one of these does.
    Any(Vec<Formula>),
}

impl Formula {
    /// Something that is missing.
    pub fn missing(missing: Missing) -> Self {
        Self::Literal(Literal::Missing(Arc::new(missing)))
    }

    /// True or false.
    pub fn constant(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }

    /// All of these.
    pub fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::True => {}
                Self::False => return Self::False,
                Self::All(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        flat.sort();
        flat.dedup();
        if flat.len() > 1 { Self::All(flat) } else { flat.pop().unwrap_or(Self::True) }
    }

    /// One of these.
    pub fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Self::False => {}
                Self::True => return Self::True,
                Self::Any(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        flat.sort();
        flat.dedup();
        if flat.len() > 1 { Self::Any(flat) } else { flat.pop().unwrap_or(Self::False) }
    }

    /// The opposite. What is missing stays missing.
    #[must_use]
    pub fn not(&self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Literal(Literal::Condition(atom, holds)) => {
                Self::Literal(Literal::Condition(Arc::clone(atom), !holds))
            }
            Self::Literal(missing) => Self::Literal(missing.clone()),
            Self::All(parts) => Self::any(parts.iter().map(Self::not)),
            Self::Any(parts) => Self::all(parts.iter().map(Self::not)),
        }
    }

    /// With everything that is missing taken to hold, or not to. As nothing missing stands under a negation, the
    /// formula lies between the two.
    #[must_use]
    pub fn assuming(&self, missing: bool) -> Self {
        match self {
            Self::Literal(Literal::Missing(_)) => Self::constant(missing),
            Self::All(parts) => Self::all(parts.iter().map(|part| part.assuming(missing))),
            Self::Any(parts) => Self::any(parts.iter().map(|part| part.assuming(missing))),
            other => other.clone(),
        }
    }

    /// Whether something can make it hold. Never says no wrongly.
    pub fn can_hold(&self) -> bool {
        satisfy::can_hold(self)
    }

    /// Whether it holds whatever happens. Never says yes wrongly.
    pub fn always_holds(&self) -> bool {
        match self {
            Self::True => true,
            Self::False => false,
            other => !other.not().assuming(true).can_hold(),
        }
    }

    /// Every literal in it.
    pub fn literals(&self) -> Vec<&Literal> {
        let mut found = Vec::new();
        let mut open = vec![self];
        while let Some(formula) = open.pop() {
            match formula {
                Self::Literal(literal) => found.push(literal),
                Self::All(parts) | Self::Any(parts) => open.extend(parts),
                Self::True | Self::False => {}
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// Everything that is missing in it, sorted.
    pub fn all_missing(&self) -> Vec<Arc<Missing>> {
        let missing = |literal: &Literal| match literal {
            Literal::Missing(missing) => Some(Arc::clone(missing)),
            Literal::Condition(..) => None,
        };
        self.literals().into_iter().filter_map(missing).collect()
    }
}

impl fmt::Display for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    write!(f, " {word} ")?;
                }
                match part {
                    Self::All(_) | Self::Any(_) => write!(f, "({part})")?,
                    other => write!(f, "{other}")?,
                }
            }
            Ok(())
        };
        match self {
            Self::True => f.write_str("always"),
            Self::False => f.write_str("never"),
            Self::Literal(Literal::Condition(atom, true)) => write!(f, "{atom}"),
            Self::Literal(Literal::Condition(atom, false)) => write!(f, "not {atom}"),
            Self::Literal(Literal::Missing(missing)) => write!(f, "{missing}"),
            Self::All(parts) => list(f, parts, "and"),
            Self::Any(parts) => list(f, parts, "or"),
        }
    }
}
