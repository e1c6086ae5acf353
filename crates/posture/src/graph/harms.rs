//! Who does harm directly.

use std::rc::Rc;
use std::sync::Arc;

use super::steps::stands;
use super::{Actor, Asked, Certainty, Deed, Graph, Step, Target};
use crate::estate::{AccountId, Key, KeyOrigin};
use crate::facts::{self, Delay, Harm, Move, Standing, Yield, moves};

/// One way to harm a target: the resources that its needs are on.
struct Blow<'m> {
    step: &'m Move,
    harm: Harm,
    resource: Arc<str>,
    alias_keys: Vec<Arc<str>>,
    delay: Option<Delay>,
}

impl Graph<'_> {
    /// Everybody who harms a target directly, and how.
    pub fn deeds(&self, target: &Target) -> Vec<Deed> {
        let Some(account) = self.account_of(target) else { return Vec::new() };
        // So that those who gave themselves policies are known.
        self.steps_of(account);
        let blows = self.blows(target);
        let text = self.policy_text(target);
        let mut deeds = Vec::new();
        for blow in &blows {
            let action = blow.step.needs[0].action;
            let mut actors = match blow.step.standing {
                Standing::AccountOfTarget => self.own(account, &text, action),
                Standing::Anywhere => self.candidates(account, &text, action),
                Standing::Management | Standing::ManagementOrDelegated(_) => {
                    self.above(account).into_iter().flat_map(|above| self.own(above, "", action)).collect()
                }
            };
            actors.extend(self.empowered_in(&actors));
            actors.sort();
            actors.dedup();
            for actor in actors {
                let organisation = actor.account().and_then(|own| self.estate.organisation_of(own));
                let standing =
                    actor.account().is_none_or(|own| stands(blow.step.standing, own, organisation));
                if let Some(step) = standing.then(|| self.strikes(&actor, blow)).flatten() {
                    deeds.push(Deed {
                        from: actor,
                        target: target.clone(),
                        harm: blow.harm,
                        delay: blow.delay,
                        step: Rc::new(step),
                    });
                }
            }
        }
        deeds
    }

    fn own(&self, account: AccountId, text: &str, action: &'static str) -> Vec<Actor> {
        let everybody = text.contains("\"*\"");
        let mut own: Vec<Actor> = self.attempters(account, action).iter().cloned().collect();
        let named = |actor: &Actor| match actor {
            Actor::User(arn) | Actor::Role(arn) => everybody || text.contains(&**arn),
            _ => false,
        };
        own.extend(self.principals(account).into_iter().filter(named));
        own.push(Actor::AnyRole(account));
        own.push(Actor::Root(account));
        own
    }

    fn strikes(&self, actor: &Actor, blow: &Blow<'_>) -> Option<Step> {
        let mut all: Vec<(Asked, Certainty)> = Vec::new();
        for need in blow.step.needs {
            let made = need.on == facts::On::Any;
            let resource: &str = if made { "*" } else { &blow.resource };
            all.push(self.ask_alias(actor, need.action, resource, &blow.alias_keys)?);
        }
        let certainty = all.iter().map(|(_, certainty)| *certainty).max()?;
        Some(Step {
            id: blow.step.id,
            what: blow.step.what.into(),
            citation: blow.step.citation().into(),
            asked: all.into_iter().map(|(asked, _)| asked).collect(),
            certainty,
        })
    }

    /// The text of every policy that may name somebody outside of the identities' own policies.
    fn policy_text(&self, target: &Target) -> String {
        let account = self.account_of(target).and_then(|account| self.estate.accounts.get(&account));
        let Some(account) = account else { return String::new() };
        match target {
            Target::Key(arn) => account.keys.get(arn).map(key_text).unwrap_or_default(),
            Target::Vault(arn) => {
                let policy = account.vaults.get(arn).and_then(|vault| vault.policy.as_ref());
                policy
                    .and_then(|policy| policy.as_ref())
                    .map(|policy| policy.text.to_string())
                    .unwrap_or_default()
            }
            Target::Bucket(name) => {
                let policy = account.buckets.get(name).and_then(|bucket| bucket.policy.as_ref());
                policy
                    .and_then(|policy| policy.as_ref())
                    .map(|policy| policy.text.to_string())
                    .unwrap_or_default()
            }
            Target::Trail(_) | Target::Guard(_) => String::new(),
        }
    }

    fn blows(&self, target: &Target) -> Vec<Blow<'static>> {
        let account = self.account_of(target).and_then(|id| Some((id, self.estate.accounts.get(&id)?)));
        let Some((id, account)) = account else { return Vec::new() };
        let mut blows = Vec::new();
        for step in moves() {
            let harm = match (step.yields, target) {
                (Yield::Harm(harm), _) => harm,
                // Taking guards away harms nothing yet; the name says what it is for.
                (Yield::Unguarded, Target::Guard(_)) => Harm::Blind,
                _ => continue,
            };
            let mut add = |resource: Arc<str>, alias_keys: Vec<Arc<str>>, delay| {
                blows.push(Blow { step, harm, resource, alias_keys, delay });
            };
            match (target, step.target) {
                (Target::Key(arn), facts::Target::Key) => {
                    let Some(key) = account.keys.get(arn).filter(|key| concerns(step, key)) else { continue };
                    add(Arc::clone(&key.arn), Vec::new(), step.delay);
                }
                (Target::Key(arn), facts::Target::Alias) => {
                    // A new alias harms nobody who names the key by its ARN or by another alias.
                    let aliases = account.keys.get(arn).and_then(|key| key.aliases.as_ref());
                    for alias in aliases.into_iter().flatten().filter(|_| step.id != "kms-create-alias") {
                        add(Arc::clone(&alias.arn), vec![Arc::clone(arn)], step.delay);
                    }
                }
                // Keys go with their account.
                (Target::Key(_) | Target::Vault(_), facts::Target::Account) => {
                    let organisation = self.estate.organisation_of(id);
                    let resource = match (step.standing, organisation) {
                        (Standing::Management, Some(organisation)) => {
                            let management = organisation.management.unwrap_or(id);
                            format!("arn:aws:organizations::{management}:account/{}/{id}", organisation.id)
                        }
                        _ => "*".to_owned(),
                    };
                    add(resource.into(), Vec::new(), step.delay);
                }
                (Target::Vault(arn), facts::Target::BackupVault) => {
                    add(Arc::clone(arn), Vec::new(), step.delay)
                }
                (Target::Vault(arn), facts::Target::RecoveryPoint) => {
                    let points = account.vaults.get(arn).and_then(|vault| vault.recovery_points.as_ref());
                    let region =
                        account.vaults.get(arn).map(|vault| Arc::clone(&vault.region)).unwrap_or_default();
                    let any = format!("arn:aws:backup:{region}:{id}:recovery-point:any");
                    let point = points.and_then(|points| points.first()).map(|point| Arc::clone(&point.arn));
                    add(point.unwrap_or_else(|| any.into()), Vec::new(), step.delay);
                }
                (Target::Bucket(name), facts::Target::Bucket) => {
                    add(format!("arn:aws:s3:::{name}").into(), Vec::new(), step.delay);
                }
                (Target::Bucket(name), facts::Target::Object) => {
                    add(format!("arn:aws:s3:::{name}/any").into(), Vec::new(), step.delay);
                }
                (
                    Target::Guard(_),
                    facts::Target::OrganisationPolicy | facts::Target::Organisation | facts::Target::Account,
                ) => {
                    for resource in self.guards(id, step) {
                        add(resource, Vec::new(), None);
                    }
                }
                (Target::Trail(arn), facts::Target::Trail) => add(Arc::clone(arn), Vec::new(), step.delay),
                _ => {}
            }
        }
        blows
    }
}

/// Whether a move can be made on a key of this kind.
fn concerns(step: &Move, key: &Key) -> bool {
    match step.id {
        "kms-delete-material" | "kms-expire-material" => {
            key.origin.as_ref().is_none_or(|origin| *origin == KeyOrigin::External)
        }
        "kms-update-primary" => key.multi_region.is_some(),
        _ => true,
    }
}

fn key_text(key: &Key) -> String {
    let mut text: String = key.policies.values().map(|policy| &*policy.text).collect::<Vec<_>>().join("\n");
    for grant in key.grants.iter().flatten() {
        for name in [&grant.grantee, &grant.retiring, &grant.issuing_account].into_iter().flatten() {
            text.push('\n');
            text.push_str(name);
        }
    }
    text
}
