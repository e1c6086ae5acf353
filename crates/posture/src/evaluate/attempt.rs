//! What a principal's own policies are about at all: a quick look, before requests are answered.

use std::sync::Arc;

use super::compiled::{Identity, Part};
use super::{Evaluator, Principal};
use crate::policy::{Effect, Statement};

impl Evaluator<'_> {
    fn identity(&self, principal: &Principal) -> Option<&Identity<'_>> {
        match principal {
            Principal::User(arn) | Principal::FederatedUser { user: arn, .. } => {
                self.compiled.identities.get(&**arn)
            }
            Principal::Role { role, .. } => self.compiled.identities.get(&**role),
            _ => None,
        }
    }

    /// Whether a policy of the principal may allow an action, whatever the resource; also where a policy was not
    /// collected. A resource policy may allow it even so.
    pub fn may_attempt(&self, principal: &Principal, action: &str) -> bool {
        let Some(identity) = self.identity(principal) else { return true };
        let action = action.to_ascii_lowercase();
        let service = action.split(':').next().unwrap_or_default();
        identity.policies.iter().any(|part| match part {
            Part::Missing(_) => true,
            Part::Policy(hung) => {
                hung.policy.broken.is_some()
                    || hung.policy.for_service(service).any(|statement| allows(statement, &action))
            }
        })
    }

    /// Names of resources on which a policy of the principal may allow an action: for what the principal makes, and so
    /// names as it likes. Each wildcard stands for one letter.
    pub fn sample_resources(&self, principal: &Principal, action: &str) -> Vec<Arc<str>> {
        let mut samples: Vec<Arc<str>> = vec!["*".into()];
        let Some(identity) = self.identity(principal) else { return samples };
        let action = action.to_ascii_lowercase();
        let service = action.split(':').next().unwrap_or_default();
        for part in &identity.policies {
            let Part::Policy(hung) = part else { continue };
            for statement in hung.policy.for_service(service).filter(|statement| allows(statement, &action)) {
                let Some(resources) = statement.resources.as_ref().filter(|resources| !resources.except)
                else {
                    continue;
                };
                for pattern in &resources.entries {
                    let sample = pattern.to_string().replace(['*', '?'], "x");
                    if sample != "x"
                        && !sample.contains("${")
                        && !samples.iter().any(|known| **known == *sample)
                    {
                        samples.push(sample.into());
                    }
                }
            }
        }
        samples
    }
}

fn allows(statement: &Statement, action: &str) -> bool {
    statement.not_understood.is_some()
        || statement.effect == Effect::Allow
            && statement.actions.entries.iter().any(|glob| glob.matches(action)) != statement.actions.except
}
