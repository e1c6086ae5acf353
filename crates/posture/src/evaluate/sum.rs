//! What the layers say together.

use std::sync::Arc;

use super::compiled::{Compiled, Hung, Over, Part};
use super::decision::{Decision, Denial, Layer, Match, Step};
use super::grants::Granted;
use super::request::{Principal, Request};
use super::resource::resource_policy;
use super::services::{BoundByRcps, bound_by_rcps};
use super::statement::{Naming, not_understood, undocumented};
use super::verdict;
use super::world::World;
use crate::conditions::Formula;
use crate::estate::{KeyManager, Kind};
use crate::policy::{Effect, Policy, Statement};

pub(super) type Steps<'s, 'v> = Option<&'s mut Vec<Step>>;

/// What a layer says.
struct Said {
    allow: Formula,
    deny: Formula,
}

impl Said {
    fn nothing() -> Self {
        Self { allow: Formula::False, deny: Formula::False }
    }

    fn all() -> Self {
        Self { allow: Formula::True, deny: Formula::False }
    }
}

/// The whole formula, and its parts for telling why.
pub(super) struct Sum {
    denials: Vec<(Layer, Formula)>,
    /// What has to allow, by layer, in the order in which AWS looks.
    gates: Vec<(Layer, Formula)>,
    /// What allows in the end: the ways through the gates that belong together.
    allowed: Vec<Formula>,
}

impl Sum {
    pub(super) fn of(world: &World<'_, '_>, compiled: &Compiled<'_>, steps: &mut Steps<'_, '_>) -> Self {
        let mut denials = Vec::new();
        let mut gates = vec![(Layer::Operation, operation(world))];
        let scp = organisation_policies(world, compiled, Layer::Scp, steps);
        denials.push((Layer::Scp, scp.deny));
        gates.push((Layer::Scp, scp.allow));
        denials.push((Layer::Rcp, organisation_policies(world, compiled, Layer::Rcp, steps).deny));
        let request = world.request;
        if let Some(text) = &request.endpoint_policy {
            let policy = Arc::new(Policy::parse(&text.text));
            let part = Part::Policy(Hung { name: "VPC endpoint".into(), policy, text });
            let said = attached(world, Layer::Endpoint, std::slice::from_ref(&part), true, steps);
            denials.push((Layer::Endpoint, said.deny));
            gates.push((Layer::Endpoint, said.allow));
        }
        let (naming, deny) = resource_policy(world, compiled, steps);
        denials.push((Layer::Resource, deny));
        let identity = identity(world, steps);
        denials.push((Layer::Identity, identity.deny));
        let boundary = boundary(world, steps);
        denials.push((Layer::Boundary, boundary.deny));
        let session = session(world, request, steps);
        denials.push((Layer::Session, session.deny));
        let granted = world.granted(steps);
        let (core, whole) = core(world, &naming, &identity.allow, &boundary.allow, &session.allow, &granted);
        gates.extend(core);
        Self { denials, gates, allowed: vec![whole] }
    }

    /// All of several requests.
    pub(super) fn together(sums: Vec<Self>) -> Self {
        let mut whole = Self { denials: Vec::new(), gates: Vec::new(), allowed: Vec::new() };
        for sum in sums {
            whole.denials.extend(sum.denials);
            whole.gates.extend(sum.gates);
            whole.allowed.extend(sum.allowed);
        }
        whole
    }

    pub(super) fn decide(&self) -> Decision {
        let allowed = Formula::all(self.gates.iter().map(|(_, gate)| gate).chain(&self.allowed).cloned());
        let denied = Formula::any(self.denials.iter().map(|(_, denial)| denial.clone()));
        verdict(&Formula::all([allowed, denied.not()]), || self.denial())
    }

    fn denial(&self) -> Denial {
        if let Some((layer, _)) =
            self.denials.iter().find(|(_, denial)| denial.assuming(false).always_holds())
        {
            return Denial::Explicit(*layer);
        }
        match self.gates.iter().find(|(_, gate)| !gate.assuming(true).can_hold()) {
            Some((layer, _)) => Denial::Implicit(*layer),
            None => Denial::Contradiction,
        }
    }
}

/// What the operation itself does not do.
fn operation(world: &World<'_, '_>) -> Formula {
    // https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html: not with credentials of root.
    if matches!(world.request.principal, Principal::Root(_)) && world.assumes_role() {
        return Formula::False;
    }
    let other_account = world.account.is_some() && world.owner.is_some() && world.account != world.owner;
    if world.service == "kms" && other_account {
        // https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html: other
        // operations fail across accounts, whatever policies say.
        return match world.operation() {
            Some(operation) => Formula::constant(operation.cross_account),
            None => undocumented("whether this operation works on keys of other accounts"),
        };
    }
    Formula::True
}

pub(super) fn step(layer: Layer, hung: &Hung<'_>, statement: &Statement, matched: Match) -> Step {
    Step {
        layer,
        policy: Arc::clone(&hung.name),
        effect: statement.effect,
        sid: statement.sid.clone(),
        file: Arc::clone(&hung.text.origin.file),
        line: hung.text.line_of(statement.line),
        matched,
    }
}

pub(super) fn outcome(formula: &Formula, stopped: Option<Match>) -> Match {
    match formula {
        Formula::True => Match::Applies,
        Formula::False => stopped.unwrap_or(Match::OtherPrincipal),
        formula => Match::AppliesIf(formula.clone()),
    }
}

/// Every statement of a policy that may be about the action; with an explanation, every statement.
pub(super) fn each_statement<'p>(
    world: &World<'_, '_>,
    policy: &'p Policy,
    explained: bool,
    mut look: impl FnMut(&'p Statement),
) {
    if explained {
        policy.statements.iter().for_each(look);
    } else {
        policy.for_service(&world.service).for_each(&mut look);
    }
}

/// Policies that hang on a principal, an account or an endpoint.
fn attached(
    world: &World<'_, '_>,
    layer: Layer,
    parts: &[Part<'_>],
    with_principals: bool,
    steps: &mut Steps<'_, '_>,
) -> Said {
    let (mut allows, mut denies) = (Vec::new(), Vec::new());
    for part in parts {
        let hung = match part {
            Part::Policy(hung) => hung,
            Part::Missing(missing) => {
                let missing = Formula::missing((**missing).clone());
                allows.push(missing.clone());
                denies.push(missing);
                continue;
            }
        };
        if let Some(why) = &hung.policy.broken {
            allows.push(not_understood(why));
            denies.push(not_understood(why));
        }
        each_statement(world, &hung.policy, steps.is_some(), |statement| {
            let (mut formula, stopped) = world.applies(statement);
            match &statement.principals {
                Some(principals) if with_principals => {
                    formula =
                        Formula::all([formula, world.naming(principals, statement.effect).one_of_them()]);
                }
                // AWS does not take such a policy.
                Some(_) if formula != Formula::False => {
                    formula = not_understood("a principal in a policy that has none");
                }
                _ => {}
            }
            if let Some(steps) = steps {
                steps.push(step(layer, hung, statement, outcome(&formula, stopped)));
            }
            match statement.effect {
                _ if statement.not_understood.is_some() => {
                    allows.push(formula.clone());
                    denies.push(formula);
                }
                Effect::Allow => allows.push(formula),
                Effect::Deny => denies.push(formula),
            }
        });
    }
    Said { allow: Formula::any(allows), deny: Formula::any(denies) }
}

/// Policies of the organisation. Service control policies bind principals of member accounts, and every level has to
/// allow; not the management account, service-linked roles or services
/// (<https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html>). Resource control
/// policies bind resources of member accounts, whoever asks but for service-linked roles; not the management account,
/// keys that AWS manages, nor `kms:RetireGrant`
/// (<https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html>).
fn organisation_policies(
    world: &World<'_, '_>,
    compiled: &Compiled<'_>,
    layer: Layer,
    steps: &mut Steps<'_, '_>,
) -> Said {
    if world.request.unguarded {
        return Said::all();
    }
    let scp = layer == Layer::Scp;
    let account = if scp { world.account } else { world.owner };
    let linked =
        world.identity.and_then(|identity| identity.role).is_some_and(|role| role.is_service_linked())
            || world.names.role.as_deref().is_some_and(|role| role.contains(":role/aws-service-role/"));
    let aws_key = world.key.and_then(|key| key.manager) == Some(KeyManager::Aws);
    // What a service-linked role may do, and its service's assuming it, no such policy changes.
    let assumed = world.assumes_role() && world.resource.contains(":role/aws-service-role/");
    let exempt = linked || (!scp && (aws_key || assumed || world.action == "kms:retiregrant"));
    let bound = if scp { BoundByRcps::Yes } else { bound_by_rcps(&world.service) };
    let Some(account) = account else {
        let unknown = !scp && !exempt && world.resource != "*" && world.service == "s3";
        let missing = || Formula::missing(world.missing(Kind::Buckets, None, "whose the resource is"));
        return Said { deny: if unknown { missing() } else { Formula::False }, ..Said::all() };
    };
    if exempt {
        return Said::all();
    }
    let kind = if scp { Kind::Scps } else { Kind::Rcps };
    let Some(organisation) = world.estate.organisation_of(account) else {
        let managed = world.estate.organisations.values().any(|o| o.management == Some(account));
        if managed || bound == BoundByRcps::NotWhenRead {
            return Said::all();
        }
        let missing = Formula::missing(world.missing(kind, Some(account), "the organisation of the account"));
        return Said { allow: if scp { missing.clone() } else { Formula::True }, deny: missing };
    };
    if organisation.management == Some(account) {
        return Said::all();
    }
    let none = Over::default();
    let over = if scp { &compiled.scps } else { &compiled.rcps }.get(&account).unwrap_or(&none);
    let (mut allow, mut deny) = (Vec::new(), Vec::new());
    for level in &over.levels {
        let read: Vec<Part<'_>>;
        let level = match bound {
            BoundByRcps::NotWhenRead => {
                read = level.iter().filter(|part| matches!(part, Part::Policy(_))).cloned().collect();
                &read
            }
            BoundByRcps::Yes | BoundByRcps::Unknown => level,
        };
        let said = attached(world, layer, level, !scp, steps);
        allow.push(said.allow);
        deny.push(said.deny);
    }
    let mut said =
        Said { allow: if scp { Formula::all(allow) } else { Formula::True }, deny: Formula::any(deny) };
    if organisation.management.is_none() {
        // It may be the management account, which is exempt.
        let missing =
            Formula::missing(world.missing(Kind::Organisation, Some(account), "the management account"));
        said.allow = Formula::any([said.allow, missing.clone()]);
        said.deny = Formula::all([said.deny, missing]);
    }
    if !scp && world.on_key() && world.key.is_none_or(|key| key.manager.is_none()) {
        let missing = world.missing(Kind::KeyDescriptions, Some(account), "whether AWS manages the key");
        said.deny = Formula::all([said.deny, Formula::missing(missing)]);
    }
    if bound != BoundByRcps::Yes {
        let unsure = undocumented(&format!("whether resource control policies bind {}", world.service));
        said.deny = Formula::all([said.deny, unsure]);
    }
    said
}

fn identity(world: &World<'_, '_>, steps: &mut Steps<'_, '_>) -> Said {
    if world.request.any_policy {
        // What hangs there already still denies, unless whoever gives itself policies takes it away as well: an inline
        // policy is written anew under its name, a managed one in a new version, or detached.
        let deny = match world.identity {
            Some(identity) => attached(world, Layer::Identity, &identity.policies, false, steps).deny,
            None => Formula::False,
        };
        let stays = undocumented("whether a denial in the principal's own policies stays where it is");
        return Said { deny: Formula::all([deny, stays]), ..Said::all() };
    }
    match (&world.request.principal, world.identity) {
        // https://docs.aws.amazon.com/IAM/latest/UserGuide/id_root-user.html
        (Principal::Root(_), _) => Said::all(),
        (_, Some(identity)) => attached(world, Layer::Identity, &identity.policies, false, steps),
        (Principal::User(_) | Principal::FederatedUser { .. }, None) => {
            let missing = Formula::missing(world.missing(Kind::Users, world.account, "the user"));
            Said { allow: missing.clone(), deny: missing }
        }
        (Principal::Role { role, .. }, None) => {
            let missing =
                Formula::missing(world.missing(Kind::Roles, world.account, &format!("the role {role}")));
            Said { allow: missing.clone(), deny: missing }
        }
        _ => Said::nothing(),
    }
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html>
fn boundary(world: &World<'_, '_>, steps: &mut Steps<'_, '_>) -> Said {
    match world.identity {
        Some(identity) => match &identity.boundary {
            Some(part) => attached(world, Layer::Boundary, std::slice::from_ref(part), false, steps),
            None => Said::all(),
        },
        // Somebody new, who has no boundary yet.
        None if world.request.any_policy => Said::all(),
        None if world.identity_is_missing() => {
            let missing =
                Formula::missing(world.missing(Kind::Roles, world.account, "the permissions boundary"));
            Said { allow: missing.clone(), deny: missing }
        }
        None => Said::all(),
    }
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session>
fn session(world: &World<'_, '_>, request: &Request, steps: &mut Steps<'_, '_>) -> Said {
    if request.session_policies.is_empty() {
        // A federated session without a policy has no permissions but what resource policies give it
        // (https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html).
        let federated = matches!(request.principal, Principal::FederatedUser { .. });
        return if federated { Said::nothing() } else { Said::all() };
    }
    let parts: Vec<Part<'_>> = request
        .session_policies
        .iter()
        .map(|text| {
            let policy = Arc::new(Policy::parse(&text.text));
            Part::Policy(Hung { name: "session policy".into(), policy, text })
        })
        .collect();
    attached(world, Layer::Session, &parts, false, steps)
}

/// What allows, once nothing denies: by layer, and as a whole.
fn core(
    world: &World<'_, '_>,
    naming: &Naming,
    identity: &Formula,
    boundary: &Formula,
    session: &Formula,
    granted: &Granted,
) -> (Vec<(Layer, Formula)>, Formula) {
    let limits = Formula::all([boundary.clone(), session.clone()]);
    let through_identity = Formula::all([identity.clone(), limits.clone()]);
    let needs_policy = world.on_key() || world.assumes_role();
    let retires = world.action == "kms:retiregrant";
    let same = world.account.is_some() && world.account == world.owner;
    let (directly, delegated) = match &world.request.principal {
        Principal::Service(_) | Principal::Federated(_) | Principal::Anonymous => {
            let directly = Formula::any([
                naming.itself.clone(),
                naming.everyone.clone(),
                granted.directly.clone(),
                granted.to_account.clone(),
            ]);
            return (vec![(Layer::Resource, directly.clone())], directly);
        }
        // A policy that names the role of a session is bound by what its boundary and session do not allow; one that
        // names the session or the user is not
        // (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html).
        _ if same => {
            let by_star = Formula::any([
                limits.clone(),
                undocumented("whether boundaries and session policies limit what a policy gives to `*`"),
            ]);
            let by_grant = Formula::any([
                limits.clone(),
                undocumented("whether boundaries and session policies limit grants"),
            ]);
            let directly = Formula::any([
                naming.itself.clone(),
                Formula::all([naming.role.clone(), limits.clone()]),
                Formula::all([naming.everyone.clone(), by_star]),
                Formula::all([granted.directly.clone(), by_grant]),
            ]);
            // https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html: identity policies count
            // only where the key policy names the account. Trust policies are the same
            // (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_update-role-trust-policy.html).
            let delegated = if retires {
                granted.to_account.clone()
            } else if needs_policy {
                Formula::any([naming.account.clone(), granted.to_account.clone()])
            } else {
                Formula::True
            };
            (directly, delegated)
        }
        // Across accounts both sides have to allow
        // (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html).
        _ => {
            let by_grant = Formula::any([
                through_identity.clone(),
                if retires {
                    Formula::True
                } else {
                    undocumented("whether a grantee of another account needs its identity policies as well")
                },
            ]);
            let directly = Formula::all([granted.directly.clone(), by_grant]);
            (directly, Formula::any([naming.one_of_them(), granted.to_account.clone()]))
        }
    };
    let whole = Formula::any([directly.clone(), Formula::all([delegated.clone(), through_identity.clone()])]);
    // For telling where it fails: what has to allow when nothing allows directly.
    let or_directly = |formula: &Formula| Formula::any([directly.clone(), formula.clone()]);
    let gates = vec![
        (Layer::Resource, or_directly(&delegated)),
        (Layer::Identity, or_directly(identity)),
        (Layer::Boundary, or_directly(boundary)),
        (Layer::Session, or_directly(session)),
    ];
    (gates, whole)
}
