//! The policy of the resource.

use std::sync::Arc;

use super::compiled::{Compiled, Part};
use super::decision::Layer;
use super::services::may_have_a_policy;
use super::statement::{Naming, not_understood, undocumented};
use super::sum::{Steps, each_statement, outcome, step};
use super::world::World;
use crate::conditions::Formula;
use crate::estate::{Arn, Kind};
use crate::policy::Effect;

/// Where the policy of a resource is kept.
struct Held<'a> {
    /// Under which name; `None` where policies of such resources are not collected.
    name: Option<&'a str>,
    /// As what it is collected.
    kind: Option<Kind>,
    /// Whether such a policy can deny.
    denies: bool,
}

impl<'a> Held<'a> {
    fn under(name: &'a str, kind: Kind) -> Self {
        Self { name: Some(name), kind: Some(kind), denies: true }
    }

    fn nowhere(kind: Option<Kind>) -> Self {
        Self { name: None, kind, denies: true }
    }
}

/// The policies of the resource that are known.
pub(super) fn policies<'a, 'e>(world: &World<'a, 'e>, compiled: &'a Compiled<'e>) -> &'a [Part<'e>] {
    let name = held(world, compiled).and_then(|held| held.name);
    name.and_then(|name| compiled.resources.get(name)).map(Vec::as_slice).unwrap_or_default()
}

/// What policy a resource may have; `None` if it has none, or none that counts.
fn held<'a>(world: &World<'a, '_>, compiled: &Compiled<'a>) -> Option<Held<'a>> {
    let resource = world.resource;
    // https://docs.aws.amazon.com/kms/latest/developerguide/grant-delete.html: in a key policy, this has no effect.
    if world.action == "kms:retiregrant" || resource == "*" {
        return None;
    }
    if world.on_key() {
        return Some(Held::under(resource, Kind::KeyPolicies));
    }
    if world.assumes_role() {
        return Some(Held::under(resource, Kind::Roles));
    }
    // https://docs.aws.amazon.com/aws-backup/latest/devguide/create-a-vault-access-policy.html: the policy of a vault
    // is about its recovery points too, whose ARNs are those of several services.
    if world.service == "backup" {
        if let Some(vault) = compiled.points.get(resource) {
            return Some(Held::under(vault, Kind::VaultPolicies));
        }
        let names = resource.contains(":recovery-point:") || resource.contains(":snapshot/");
        if names {
            return Some(Held::nowhere(Some(Kind::RecoveryPoints)));
        }
    }
    let arn = Arn::parse(resource)?;
    match arn.service {
        "s3" if arn.owner.is_empty() => {
            let bucket = arn.resource.split('/').next().unwrap_or_default();
            Some(Held::under(bucket, Kind::BucketPolicies))
        }
        "backup" => {
            arn.resource.starts_with("backup-vault:").then(|| Held::under(resource, Kind::VaultPolicies))
        }
        // https://docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html: it only ever adds what is allowed.
        "lambda" => {
            let name = arn.resource.strip_prefix("function:");
            let held = match name {
                Some(name) if !name.contains(':') => Held::under(resource, Kind::Functions),
                Some(_) => Held::nowhere(Some(Kind::Functions)),
                None if arn.resource.starts_with("layer:") => Held::nowhere(None),
                None => return None,
            };
            Some(Held { denies: false, ..held })
        }
        // https://docs.aws.amazon.com/organizations/latest/userguide/orgs_delegate_policies.html
        "organizations" => {
            let id = arn.resource.split('/').find(|part| part.starts_with("o-"))?;
            Some(Held::under(id, Kind::OrganisationPolicy))
        }
        service => may_have_a_policy(service, arn.resource).then(|| Held::nowhere(None)),
    }
}

/// What the policy of the resource says.
pub(super) fn resource_policy<'a>(
    world: &World<'a, '_>,
    compiled: &Compiled<'a>,
    steps: &mut Steps<'_, '_>,
) -> (Naming, Formula) {
    let mut naming = Naming {
        itself: Formula::False,
        role: Formula::False,
        everyone: Formula::False,
        account: Formula::False,
    };
    let mut denies = Vec::new();
    let Some(held) = held(world, compiled) else { return (naming, Formula::False) };
    if held.kind == Some(Kind::OrganisationPolicy) && reads_the_organisation(world) {
        naming.account = undocumented("which accounts may read what of the organisation");
    }
    let unread;
    let parts = match held.name.and_then(|name| compiled.resources.get(name)) {
        Some(parts) => parts,
        None => {
            let what = format!("the policy of {}", world.resource);
            let mut missing = world.missing(Kind::KeyPolicies, world.owner, &what);
            missing.kind = held.kind;
            unread = vec![Part::Missing(Arc::new(missing))];
            &unread
        }
    };
    for part in parts {
        let hung = match part {
            Part::Policy(hung) => hung,
            Part::Missing(missing) => {
                let missing = Formula::missing((**missing).clone());
                naming.itself = Formula::any([naming.itself, missing.clone()]);
                naming.account = Formula::any([naming.account, missing.clone()]);
                if held.denies {
                    denies.push(missing);
                }
                continue;
            }
        };
        if let Some(why) = &hung.policy.broken {
            naming.itself = Formula::any([naming.itself, not_understood(why)]);
            denies.push(not_understood(why));
        }
        each_statement(world, &hung.policy, steps.is_some(), |statement| {
            let (formula, stopped) = world.applies(statement);
            let Some(principals) = &statement.principals else {
                if formula != Formula::False {
                    let what = not_understood("a statement of a resource policy without a principal");
                    naming.itself = Formula::any([naming.itself.clone(), what.clone()]);
                    denies.push(what);
                }
                return;
            };
            let named = world.naming(principals, statement.effect);
            let whole = Formula::all([formula.clone(), named.one_of_them()]);
            if let Some(steps) = steps {
                steps.push(step(Layer::Resource, hung, statement, outcome(&whole, stopped)));
            }
            if statement.not_understood.is_some() {
                naming.itself = Formula::any([naming.itself.clone(), formula.clone()]);
                denies.push(formula);
                return;
            }
            if statement.effect == Effect::Deny {
                denies.push(whole);
                return;
            }
            let add = |to: &mut Formula, name: Formula| {
                *to = Formula::any([to.clone(), Formula::all([formula.clone(), name])]);
            };
            add(&mut naming.itself, named.itself);
            add(&mut naming.role, named.role);
            add(&mut naming.everyone, named.everyone);
            add(&mut naming.account, named.account);
        });
    }
    (naming, Formula::any(denies))
}

/// Member accounts may ask some things of their organisation without being named by its policy.
fn reads_the_organisation(world: &World<'_, '_>) -> bool {
    let name = world.action.strip_prefix("organizations:").unwrap_or_default();
    name.starts_with("describe") || name.starts_with("list")
}
