//! Policies, compiled: statements with their places, indexed by the service of their actions.
//!
//! A text is compiled once however many principals it hangs on; see [`Library`]. What cannot be understood is named as
//! a [`PolicyProblem`] and makes the answers that need it unknown.
//!
//! Invariant: no text makes it panic, and none is larger or deeper than [`MOST_BYTES`] and [`MOST_LEVELS`].

mod library;
mod parse;

use std::fmt;
use std::sync::Arc;

pub use library::Library;

use crate::conditions::Operator;
use crate::estate::PolicyText;
use crate::matching::{Glob, Template};

/// Bytes of a policy that is read. AWS's own limits are far below
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>).
pub const MOST_BYTES: usize = 256 << 10;

/// Levels of nesting of a policy that is read.
pub const MOST_LEVELS: usize = 16;

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Allows.
    Allow,
    /// Denies.
    Deny,
}

/// One entry of `Principal` or `NotPrincipal`
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalEntry {
    /// `*`: everybody.
    Everyone,
    /// An account: its number, or the ARN of its root.
    Account(crate::estate::AccountId),
    /// A user, role or session, by ARN.
    Arn(Arc<str>),
    /// The unique id that stands where an identity was deleted: nobody.
    Deleted(Arc<str>),
    /// A service of AWS.
    Service(Arc<str>),
    /// An identity provider.
    Federated(Arc<str>),
    /// A canonical user of S3.
    Canonical(Arc<str>),
}

/// A list and whether everything but it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// Whether it is a `Not…` element.
    pub except: bool,
    /// The entries.
    pub entries: Vec<T>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// One key under one operator.
    Test {
        /// The operator.
        operator: Operator,
        /// The key, in lower case.
        key: Arc<str>,
        /// Its values, of which one has to match.
        values: Vec<Template>,
    },
    /// Something that is not understood; what, for a person.
    NotUnderstood(Arc<str>),
}

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its number in the policy, from 0.
    pub index: usize,
    /// Its line in the text of the policy, from 1.
    pub line: u32,
    /// Its `Sid`.
    pub sid: Option<Arc<str>>,
    /// What it does.
    pub effect: Effect,
    /// Whom it is about; `None` in policies that hang on a principal.
    pub principals: Option<Listed<PrincipalEntry>>,
    /// Actions, as patterns in lower case.
    pub actions: Listed<Glob>,
    /// Resources; `None` if it names none: in trust policies.
    pub resources: Option<Listed<Template>>,
    /// Conditions, all of which have to hold.
    pub conditions: Vec<Condition>,
    /// Why it cannot be understood as a whole.
    pub not_understood: Option<Arc<str>>,
}

/// A compiled policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Its statements.
    pub statements: Vec<Statement>,
    /// Why it, or a part of it, is not a policy.
    pub broken: Option<Arc<str>>,
    /// What is wrong with it: lines of its text, from 1, and what.
    pub(crate) findings: Vec<(u32, ProblemOfPolicy, Box<str>)>,
    /// Statements by the service of their actions, and those that are about any service.
    by_service: Vec<(Box<str>, Vec<u32>)>,
    anywhere: Vec<u32>,
}

impl Policy {
    /// What is wrong with it, where it stands as this text.
    pub(crate) fn problems_in(&self, text: &PolicyText) -> impl Iterator<Item = PolicyProblem> {
        self.findings.iter().map(|(line, kind, detail)| PolicyProblem {
            file: Arc::clone(&text.origin.file),
            line: text.line_of(*line),
            kind: *kind,
            detail: detail.clone(),
        })
    }

    /// The statements that may be about the actions of a service, given in lower case; in no order.
    pub fn for_service(&self, service: &str) -> impl Iterator<Item = &Statement> {
        let of_service = self.by_service.binary_search_by(|(name, _)| (**name).cmp(service)).ok();
        let of_service = of_service.map_or(&[][..], |at| &self.by_service[at].1);
        of_service.iter().chain(&self.anywhere).filter_map(|at| self.statements.get(*at as usize))
    }
}

/// The sorts of problems of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemOfPolicy {
    /// Not JSON, or too large or deep.
    NotReadable,
    /// An element has not the form that AWS documents.
    Malformed,
    /// An element that is not known here.
    UnknownElement,
    /// An operator that is not known here.
    UnknownOperator,
    /// A condition key that is not known here: whoever asks is taken to be able to choose it.
    UnknownKey,
    /// An action that KMS does not have.
    UnknownAction,
    /// A principal that is not known here.
    UnknownPrincipal,
}

/// Something wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyProblem {
    /// The file.
    pub file: Arc<str>,
    /// The line in the file, from 1.
    pub line: u32,
    /// What sort of problem.
    pub kind: ProblemOfPolicy,
    /// What exactly, for a person.
    pub detail: Box<str>,
}

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ProblemOfPolicy::NotReadable => "is not a policy",
            ProblemOfPolicy::Malformed => "has an element of the wrong form",
            ProblemOfPolicy::UnknownElement => "has an element that is not known",
            ProblemOfPolicy::UnknownOperator => "has an operator that is not known",
            ProblemOfPolicy::UnknownKey => "has a condition key that is not known",
            ProblemOfPolicy::UnknownAction => "has an action that is not known",
            ProblemOfPolicy::UnknownPrincipal => "has a principal that is not known",
        };
        write!(f, "{}:{}: {kind}: {}", self.file, self.line, self.detail)
    }
}
