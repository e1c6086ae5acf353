//! What is answered.

use std::fmt;
use std::sync::Arc;

use crate::conditions::{Formula, Literal, Missing, Source};
use crate::policy::{Effect, PolicyProblem};

/// Where a request is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// What the operation itself does not do: another account's keys, roles assumed by root.
    Operation,
    /// Service control policies.
    Scp,
    /// Resource control policies.
    Rcp,
    /// The policy of a VPC endpoint.
    Endpoint,
    /// The policy of the resource: of a key, a bucket, a vault, the trust policy of a role.
    Resource,
    /// Policies of the principal and its groups.
    Identity,
    /// The permissions boundary.
    Boundary,
    /// Session policies.
    Session,
    /// Grants of a key.
    Grant,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Operation => "operation",
            Self::Scp => "service control policy",
            Self::Rcp => "resource control policy",
            Self::Endpoint => "VPC endpoint policy",
            Self::Resource => "resource policy",
            Self::Identity => "identity policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Grant => "grant",
        })
    }
}

/// Why a request is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Denial {
    /// A statement of this layer denies it.
    Explicit(Layer),
    /// Nothing in this layer allows it.
    Implicit(Layer),
    /// Each layer allows it under conditions that cannot hold together.
    Contradiction,
}

/// What a request is allowed under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Residual {
    /// What has to hold. It can.
    pub when: Formula,
    /// What is not known and might allow it in other cases as well. Nothing of it is needed for what `when` says.
    pub missing: Vec<Arc<Missing>>,
}

impl Residual {
    /// Who decides about what has to hold.
    pub fn sources(&self) -> Vec<Source> {
        let mut sources: Vec<Source> = self
            .when
            .literals()
            .into_iter()
            .filter_map(
                |literal| if let Literal::Condition(atom, _) = literal { Some(atom.source) } else { None },
            )
            .collect();
        sources.sort();
        sources.dedup();
        sources
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Allowed, whatever is not known.
    Allowed,
    /// Allowed whenever something holds that can hold.
    AllowedIf(Residual),
    /// Denied, whatever is not known.
    Denied(Denial),
    /// Hangs on what is missing.
    Unknown(Vec<Arc<Missing>>),
}

impl Decision {
    /// Whether somebody may get what is asked for.
    pub fn may_allow(&self) -> bool {
        !matches!(self, Self::Denied(_))
    }
}

/// What became of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// It applies.
    Applies,
    /// It applies if this holds.
    AppliesIf(Formula),
    /// It is about another principal.
    OtherPrincipal,
    /// It is about another action.
    OtherAction,
    /// It is about another resource.
    OtherResource,
    /// A condition does not hold.
    ConditionFails,
}

/// One statement that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub layer: Layer,
    /// Name of the policy, grant, or level of the organisation.
    pub policy: Arc<str>,
    /// What the statement does.
    pub effect: Effect,
    /// Its `Sid`.
    pub sid: Option<Arc<str>>,
    /// The file.
    pub file: Arc<str>,
    /// The line in the file, from 1.
    pub line: u32,
    /// What became of it.
    pub matched: Match,
}

/// An answer with everything that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The answer.
    pub decision: Decision,
    /// Statement by statement.
    pub steps: Vec<Step>,
    /// What is wrong with the policies that the answer comes from.
    pub problems: Vec<PolicyProblem>,
}
