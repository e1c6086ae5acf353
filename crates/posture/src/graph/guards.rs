//! Behind the guards: what service and resource control policies alone stop is done by whoever takes them away first, or
//! together with somebody who does.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::reach::Together;
use super::{Actor, Edge, Graph, Path, Reach, Target};
use crate::estate::AccountId;
use crate::facts::{self, Harm, Move, Standing};

impl Graph<'_> {
    /// The resources on which a move takes policies of the organisation off an account.
    pub(super) fn guards(&self, account: AccountId, step: &Move) -> Vec<Arc<str>> {
        let Some(organisation) = self.estate.organisation_of(account) else { return Vec::new() };
        let management = organisation.management.unwrap_or(account);
        let own: Arc<str> =
            format!("arn:aws:organizations::{management}:account/{}/{account}", organisation.id).into();
        match step.target {
            facts::Target::Account if step.standing == Standing::AccountOfTarget => vec!["*".into()],
            // A root session of a member takes away policies of its buckets and queues, not of the organisation.
            facts::Target::Account if step.needs.iter().any(|need| need.action == "sts:AssumeRoot") => {
                Vec::new()
            }
            facts::Target::Account => vec![own],
            facts::Target::OrganisationPolicy => {
                let above = organisation.ancestors(account);
                let member = organisation.members.get(&account);
                let lists = above.iter().flat_map(|node| [&node.scps, &node.rcps]);
                let lists = lists.chain(member.into_iter().flat_map(|member| [&member.scps, &member.rcps]));
                let ids = lists.flatten().flatten();
                let policies = ids.filter_map(|id| organisation.policies.get(id));
                policies
                    .filter(|policy| !policy.aws_managed)
                    .filter_map(|policy| policy.arn.clone())
                    .collect()
            }
            _ => vec![format!("arn:aws:organizations::{management}:root/{}/any", organisation.id).into()],
        }
    }

    /// Adds what is behind the guards.
    pub(super) fn look_behind_guards(&self, targets: &[Target], reach: &mut Reach) {
        // AWS's own policies allow everything: where there are no others, nothing is behind them.
        let mut policies =
            self.estate.organisations.values().flat_map(|organisation| organisation.policies.values());
        if policies.all(|policy| policy.aws_managed) {
            return;
        }
        let behind = Graph::unguarded(self.estate).guarded(targets);
        let mut lifters: BTreeMap<AccountId, Reach> = BTreeMap::new();
        for reached in &behind.reached {
            let Some(account) = self.account_of(&reached.target) else { continue };
            let known = reach.find(&reached.target, reached.harm);
            // Who does it as things stand needs nobody.
            let new: Vec<(&Actor, Path)> = reached
                .actors()
                .filter(|(actor, certainty, _)| {
                    known.and_then(|known| known.certainty(actor)).is_none_or(|before| before > *certainty)
                })
                .filter_map(|(actor, ..)| Some((actor, reached.path(actor)?)))
                .collect();
            if new.is_empty() {
                continue;
            }
            let guard = Target::Guard(account.to_string().into());
            let lifted = lifters.entry(account).or_insert_with(|| self.guarded(std::slice::from_ref(&guard)));
            let Some(lifted) = lifted.find(&guard, Harm::Blind) else { continue };
            let mut alone = 0;
            for (actor, does) in &new {
                if let Some(lifts) = lifted.path(actor) {
                    reach.unguarded.push(joined(&lifts, does));
                    alone += 1;
                }
            }
            // Whoever cannot do it alone can with the surest of those who take the guard away.
            let surest = lifted.actors().min_by_key(|(_, certainty, steps)| (*certainty, *steps));
            let lifts = surest.and_then(|(actor, ..)| lifted.path(actor));
            let first = new.iter().find(|(actor, _)| lifted.path(actor).is_none());
            if let (Some(lifts), Some((_, does))) = (lifts, first) {
                let others = new.len() - alone - 1;
                reach.together.push(Together { lifts, does: does.clone(), others });
            }
        }
    }
}

/// First the guard is taken away, then the harm is done.
fn joined(lifts: &Path, does: &Path) -> Path {
    let mut edges = lifts.edges.clone();
    edges.push(Edge { from: lifts.deed.from.clone(), to: does.from.clone(), step: lifts.deed.step.clone() });
    edges.extend(does.edges.iter().cloned());
    Path {
        from: does.from.clone(),
        edges,
        deed: does.deed.clone(),
        certainty: lifts.certainty.max(does.certainty),
    }
}
