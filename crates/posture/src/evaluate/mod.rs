//! Evaluation: whether a principal may do something to a resource.
//!
//! ```text
//! allowed = no layer denies
//!         ∧ every level of service control policies allows
//!         ∧ the VPC endpoint allows
//!         ∧ ( the resource policy names the principal itself
//!           ∨ identity, boundary and session allow, and the resource policy where one is needed
//!           ∨ a grant allows )
//! ```
//!
//! The rules are those of
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html> and
//! <https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html>. Each stands with its page where it
//! is coded. The sum is one [`Formula`] over what is open and what is missing, from which the [`Decision`] follows.
//!
//! In scope: policies, grants, and what an operation does across accounts. Out of scope: whether a key is in a state
//! in which the operation works, ACLs and the public access block of S3, and chains of several requests.
//!
//! Invariant: adding a denial never adds access. Invariant: where something missing could matter, the answer is
//! unknown, or allowed under conditions that hold whatever is missing.

mod attempt;
mod compiled;
mod decision;
mod grants;
pub mod operations;
mod request;
mod statement;
mod sum;
mod world;

pub use decision::{Decision, Denial, Explanation, Layer, Match, Residual, Step};
pub use request::{Call, Context, Given, Principal, Request};

use crate::conditions::Formula;
use crate::estate::Estate;
use crate::policy::PolicyProblem;
use compiled::Compiled;
use sum::Sum;
use world::World;

/// Answers requests about an estate. Policies are compiled once, when it is made.
#[derive(Debug)]
pub struct Evaluator<'e> {
    estate: &'e Estate,
    compiled: Compiled<'e>,
}

impl<'e> Evaluator<'e> {
    /// Compiles the policies of an estate.
    pub fn new(estate: &'e Estate) -> Self {
        Self { estate, compiled: Compiled::new(estate) }
    }

    /// What is wrong with the policies of the estate, by file and line.
    pub fn problems(&self) -> impl Iterator<Item = &PolicyProblem> {
        self.compiled.library.problems()
    }

    /// How many different policies there are.
    pub fn policy_count(&self) -> usize {
        self.compiled.library.len()
    }

    /// Answers a request.
    pub fn decide(&self, request: &Request) -> Decision {
        self.answer(request, None)
    }

    /// Answers a request and tells what became of every statement that was looked at.
    pub fn explain(&self, request: &Request) -> Explanation {
        let mut steps = Vec::new();
        let decision = self.answer(request, Some(&mut steps));
        Explanation { decision, steps }
    }

    fn answer(&self, request: &Request, mut steps: Option<&mut Vec<Step>>) -> Decision {
        let resource = World::new(self.estate, &self.compiled, request, &request.resource);
        let sum = Sum::of(&resource, &self.compiled, &mut steps);
        // An action on an alias needs permission on the alias and on every key it points to
        // (https://docs.aws.amazon.com/kms/latest/developerguide/alias-access.html).
        if request.alias_keys.is_empty() {
            return sum.decide();
        }
        let mut sums = vec![sum];
        for key in &request.alias_keys {
            let on_key = World::new(self.estate, &self.compiled, request, key);
            sums.push(Sum::of(&on_key, &self.compiled, &mut steps));
        }
        Sum::together(sums).decide()
    }
}

/// The answer that follows from what each layer says.
pub(crate) fn verdict(formula: &Formula, denial: impl FnOnce() -> Denial) -> Decision {
    let most = formula.assuming(true);
    if !most.can_hold() {
        return Decision::Denied(denial());
    }
    let least = formula.assuming(false);
    if least.always_holds() {
        return Decision::Allowed;
    }
    let missing = formula.all_missing();
    if least.can_hold() {
        return Decision::AllowedIf(Residual { when: least, missing });
    }
    Decision::Unknown(missing)
}
