//! Each text compiled once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{Policy, PolicyProblem};
use crate::estate::PolicyText;

/// Compiled policies by text. Managed policies and those of stack sets repeat thousands of times.
#[derive(Debug, Default)]
pub struct Library {
    compiled: HashMap<Arc<str>, Arc<Policy>>,
    problems: BTreeSet<PolicyProblem>,
}

impl Library {
    /// The compiled form of a policy. Problems are noted for each file that has it.
    pub fn compile(&mut self, text: &PolicyText) -> Arc<Policy> {
        let policy = match self.compiled.get(&text.text) {
            Some(known) => Arc::clone(known),
            None => {
                let policy = Arc::new(Policy::parse(&text.text));
                self.compiled.insert(Arc::clone(&text.text), Arc::clone(&policy));
                policy
            }
        };
        self.problems.extend(policy.problems_in(text));
        policy
    }

    /// What is wrong with the policies compiled so far, by file and line.
    pub fn problems(&self) -> impl Iterator<Item = &PolicyProblem> {
        self.problems.iter()
    }

    /// How many different texts were compiled.
    pub fn len(&self) -> usize {
        self.compiled.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.compiled.is_empty()
    }
}
