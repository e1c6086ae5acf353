//! Steps that one actor of an account makes to become another: the moves of [`facts`](crate::facts), each need asked for.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use super::trust::permission_set_of;
use super::{Actor, Asked, Certainty, Edge, Graph, Step};
use crate::estate::{Account, AccountId, ComputeKind, Organisation, Role, StackSet, User};
use crate::evaluate::Principal;
use crate::facts::{Move, On, Standing, Target, Yield, moves};

const ROOT_PAGE: &str = "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_root-user.html";

/// What an actor was answered already: moves ask the same again and again.
type Answers = HashMap<(&'static str, Arc<str>), Option<(Asked, Certainty)>>;

/// What a move is made on: the ARN that its needs are on, and who the actor is afterwards.
struct Aim {
    resource: Arc<str>,
    /// The role that is passed.
    passed: Option<Arc<str>>,
    policies: Vec<Arc<str>>,
    to: Vec<Actor>,
}

impl Graph<'_> {
    /// All steps of the actors of an account, by whom they lead to.
    pub(super) fn steps_of(&self, id: AccountId) -> Rc<super::StepsInto> {
        if let Some(known) = self.by_account.borrow().get(&id) {
            return Rc::clone(known);
        }
        let mut edges = Vec::new();
        if let Some(account) = self.estate.accounts.get(&id) {
            let mut waiting = self.principals(id);
            waiting.push(Actor::Root(id));
            waiting.push(Actor::AnyRole(id));
            let mut known: BTreeSet<Actor> = waiting.iter().cloned().collect();
            while let Some(actor) = waiting.pop() {
                let own = self.steps_from(&actor, id, account);
                for edge in &own {
                    // Whoever has new policies can do more than before.
                    if matches!(edge.to, Actor::Empowered(_)) && known.insert(edge.to.clone()) {
                        waiting.push(edge.to.clone());
                    }
                }
                edges.extend(own);
            }
        }
        let mut by_target = super::StepsInto::new();
        for edge in edges {
            by_target.entry(edge.to.clone()).or_default().push(edge);
        }
        let by_target = Rc::new(by_target);
        self.by_account.borrow_mut().insert(id, Rc::clone(&by_target));
        by_target
    }

    /// Those of the accounts of some actors who have given themselves any policy. Only accounts whose steps are known
    /// already: whoever is found later is asked about then.
    pub(super) fn empowered_in(&self, actors: &[Actor]) -> Vec<Actor> {
        let accounts: BTreeSet<AccountId> = actors.iter().filter_map(Actor::account).collect();
        let known = self.by_account.borrow();
        let of = accounts.iter().filter_map(|account| known.get(account));
        of.flat_map(|edges| edges.keys().filter(|actor| matches!(actor, Actor::Empowered(_))).cloned())
            .collect()
    }

    /// Accounts whose actors may stand above others: management accounts and delegated administrators.
    pub(super) fn above(&self, account: AccountId) -> BTreeSet<AccountId> {
        let organisation = self.estate.organisation_of(account);
        let management = organisation.and_then(|organisation| organisation.management);
        let delegated = organisation.and_then(|organisation| organisation.delegations.as_ref());
        management
            .into_iter()
            .chain(delegated.into_iter().flatten().map(|delegation| delegation.account))
            .collect()
    }

    fn steps_from(&self, actor: &Actor, id: AccountId, account: &Account) -> Vec<Edge> {
        let mut edges = Vec::new();
        // Whoever can make a new role with any policy is that role from then on; nothing else is worth looking at but
        // for what the new role does then.
        if *actor != Actor::AnyRole(id) && self.can_make_roles(actor) {
            let role = format!("arn:aws:iam::{id}:role/any-new-role");
            let needs = ["iam:CreateRole", "iam:PutRolePolicy", "sts:AssumeRole"];
            let asked: Option<Vec<_>> = needs
                .iter()
                .take(if matches!(actor, Actor::Root(_)) { 2 } else { 3 })
                .map(|action| self.ask(actor, action, &role))
                .collect();
            if let Some(asked) = asked {
                let step = step("make-role", "Makes a role of any policy, which trusts it", ROOT_PAGE, asked);
                let certain = step.certainty == Certainty::Proven;
                edges.push(Edge { from: actor.clone(), to: Actor::AnyRole(id), step: Rc::new(step) });
                // What it may do to others of the account, the new role may do as well.
                if certain {
                    return edges;
                }
            }
        }
        let organisation = self.estate.organisation_of(id);
        // One way to each is enough, the surest.
        let mut best: HashMap<Actor, Certainty> = HashMap::new();
        let mut answers = Answers::new();
        for step in moves() {
            if matches!(step.yields, Yield::Harm(_) | Yield::Unguarded)
                || !stands(step.standing, id, organisation)
            {
                continue;
            }
            // Trust policies are looked at from the side of the role.
            let only_trust = step.needs.iter().all(|need| need.action.starts_with("sts:AssumeRole"));
            if only_trust || !step.needs.iter().all(|need| self.attempts(actor, need.action)) {
                continue;
            }
            for mut aim in self.aims(step, actor, id, account, organisation) {
                aim.to.retain(|to| to != actor && best.get(to) != Some(&Certainty::Proven));
                if aim.to.is_empty() {
                    continue;
                }
                let Some(asked) = self.needs(step, actor, account, &aim, &mut answers) else { continue };
                let made = Rc::new(self::step(step.id, &aimed(step, &aim), &step.citation(), asked));
                for to in aim.to {
                    if best.get(&to).is_none_or(|known| *known > made.certainty) {
                        best.insert(to.clone(), made.certainty);
                        edges.push(Edge { from: actor.clone(), to, step: Rc::clone(&made) });
                    }
                }
            }
        }
        edges
    }

    fn can_make_roles(&self, actor: &Actor) -> bool {
        matches!(actor, Actor::Root(_))
            || ["iam:CreateRole", "iam:PutRolePolicy", "sts:AssumeRole"]
                .iter()
                .all(|action| self.attempts(actor, action))
    }

    /// Every permission of a move; `None` where one is denied.
    fn needs(
        &self,
        step: &Move,
        actor: &Actor,
        account: &Account,
        aim: &Aim,
        answers: &mut Answers,
    ) -> Option<Vec<(Asked, Certainty)>> {
        let mut all = Vec::new();
        for need in step.needs {
            let resources: Vec<Arc<str>> = match need.on {
                On::Actor => vec![actors_arn(actor)?],
                On::ActorsPolicy => policies_of(&actors_arn(actor)?, account),
                On::ActorsGroup => groups_of(&actors_arn(actor)?, account),
                On::Target => vec![Arc::clone(&aim.resource)],
                On::PassedRole => aim.passed.iter().cloned().collect(),
                On::TargetsPolicy => aim.policies.clone(),
                On::Any => match actor.principal() {
                    Some(principal) if !actor.has_any_policy() => {
                        self.evaluator.sample_resources(&principal, need.action)
                    }
                    _ => vec!["*".into()],
                },
            };
            let best = resources
                .iter()
                .filter_map(|resource| {
                    let key = (need.action, Arc::clone(resource));
                    answers.entry(key).or_insert_with(|| self.ask(actor, need.action, resource)).clone()
                })
                .min_by_key(|(_, certainty)| *certainty)?;
            all.push(best);
        }
        Some(all)
    }

    /// Whether a service may take a role.
    fn trusts_service(&self, role: &Arc<str>, service: &'static str) -> Option<Certainty> {
        let key = (Arc::clone(role), service);
        if let Some(known) = self.services.borrow().get(&key) {
            return *known;
        }
        let request =
            crate::evaluate::Request::new(Principal::Service(service.into()), "sts:AssumeRole", role);
        let certainty = Certainty::of(&self.evaluator.decide(&request));
        self.services.borrow_mut().insert(key, certainty);
        certainty
    }

    fn aims(
        &self,
        step: &Move,
        actor: &Actor,
        id: AccountId,
        account: &Account,
        organisation: Option<&Organisation>,
    ) -> Vec<Aim> {
        let roles = || account.roles.values().filter(|role| !role.is_service_linked());
        let compute = |kind: ComputeKind| {
            let of = account.compute.values().filter(move |compute| compute.kind == kind);
            of.map(|compute| aim(&compute.arn, vec![Actor::Code(Arc::clone(&compute.arn))]))
                .collect::<Vec<_>>()
        };
        match (step.yields, step.target) {
            (Yield::AnyPolicy, Target::PermissionSet) => self.own_permission_set(actor, account),
            (Yield::AnyPolicy, _) => match actor {
                Actor::User(arn) | Actor::Role(arn) => {
                    vec![aim(arn, vec![Actor::Empowered(Arc::clone(arn))])]
                }
                _ => Vec::new(),
            },
            (Yield::PassedRole, _) => {
                let Some(service) = step.trusted_service else { return Vec::new() };
                roles()
                    .filter(|role| self.trusts_service(&role.arn, service).is_some())
                    .flat_map(|role| {
                        let to = vec![Actor::Role(Arc::clone(&role.arn))];
                        let passed = Some(Arc::clone(&role.arn));
                        let into = given_roles(step.target, account, &role.arn);
                        into.into_iter().map(move |on| Aim { passed: passed.clone(), ..aim(&on, to.clone()) })
                    })
                    .collect()
            }
            (Yield::Target, Target::User) => account
                .users
                .values()
                .map(|user| aim(&user.arn, vec![Actor::User(Arc::clone(&user.arn))]))
                .collect(),
            (Yield::Target, Target::Role) => {
                roles().map(|role| aim(&role.arn, vec![Actor::Role(Arc::clone(&role.arn))])).collect()
            }
            (Yield::TargetWithAnyPolicy, Target::User) => account
                .users
                .values()
                .map(|user| Aim {
                    policies: policies_of_user(user, account),
                    ..aim(&user.arn, vec![Actor::Empowered(Arc::clone(&user.arn))])
                })
                .collect(),
            (Yield::TargetWithAnyPolicy, _) => roles()
                .map(|role| Aim {
                    policies: policies_of_role(role),
                    ..aim(&role.arn, vec![Actor::Empowered(Arc::clone(&role.arn))])
                })
                .collect(),
            (Yield::PoliciesOfTarget, Target::Group) => account
                .groups
                .values()
                .filter_map(|group| {
                    // Whoever joins has the policies of the group; the member with the fewest others stands for it.
                    let members = account.users.values().filter(|user| user.groups.contains(&group.name));
                    let least = members
                        .min_by_key(|user| user.attached.len() + user.inline.len() + user.groups.len())?;
                    Some(aim(&group.arn, vec![Actor::User(Arc::clone(&least.arn))]))
                })
                .collect(),
            (Yield::PoliciesOfTarget, _) => self.directory_groups(),
            (Yield::RoleOfTarget, Target::PermissionSet) => self.permission_sets(),
            (Yield::RoleOfTarget, target) => match kind_of(target) {
                Some(kind) => compute(kind),
                None => Vec::new(),
            },
            (Yield::RolesThatTrustTarget, _) => account
                .providers
                .values()
                .map(|provider| aim(&provider.arn, vec![Actor::Provider(Arc::clone(&provider.arn))]))
                .collect(),
            (Yield::AnyRoleOfAccount, target) => members(organisation, id)
                .into_iter()
                .flat_map(|(organisation, member)| {
                    let to = vec![Actor::AnyRole(member)];
                    if target == Target::StackSet {
                        return account
                            .stack_sets
                            .values()
                            .filter(|set| reaches(set))
                            .map(|set| aim(&set.arn, to.clone()))
                            .collect();
                    }
                    let assumes_root = step.needs.iter().any(|need| need.action == "sts:AssumeRoot");
                    let arn = if assumes_root {
                        format!("arn:aws:iam::{member}:root")
                    } else {
                        let management = organisation.management.unwrap_or(id);
                        format!("arn:aws:organizations::{management}:account/{}/{member}", organisation.id)
                    };
                    vec![aim(&arn.into(), to)]
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    /// A permission set that the actor's own session is of: new policies of the set are its own.
    fn own_permission_set(&self, actor: &Actor, account: &Account) -> Vec<Aim> {
        let Actor::Role(arn) = actor else { return Vec::new() };
        let role = account.roles.values().find(|role| role.arn == *arn);
        let Some(name) = role.and_then(permission_set_of) else { return Vec::new() };
        self.instances()
            .flat_map(|instance| instance.permission_sets.values())
            .filter(|set| set.name.as_deref() == Some(name))
            .map(|set| aim(&set.arn, vec![Actor::Empowered(Arc::clone(arn))]))
            .collect()
    }

    fn instances(&self) -> impl Iterator<Item = &crate::estate::SsoInstance> {
        self.estate.accounts.values().flat_map(|account| account.sso.values())
    }

    fn directory_groups(&self) -> Vec<Aim> {
        self.instances()
            .flat_map(|instance| {
                instance.groups.keys().map(|id| {
                    let arn = format!("arn:aws:identitystore:::group/{id}");
                    aim(&arn.into(), vec![Actor::DirectoryGroup(Arc::clone(id))])
                })
            })
            .collect()
    }

    /// Every role of a permission set, in any account.
    fn permission_sets(&self) -> Vec<Aim> {
        self.instances()
            .flat_map(|instance| instance.permission_sets.values())
            .filter_map(|set| {
                let name = set.name.as_deref()?;
                let roles = self.estate.accounts.values().flat_map(|account| account.roles.values());
                let of_set = roles.filter(|role| permission_set_of(role) == Some(name));
                let to: Vec<Actor> = of_set.map(|role| Actor::Role(Arc::clone(&role.arn))).collect();
                Some(aim(&set.arn, to))
            })
            .collect()
    }
}

fn aim(resource: &Arc<str>, to: Vec<Actor>) -> Aim {
    Aim { resource: Arc::clone(resource), passed: None, policies: Vec::new(), to }
}

/// What a passed role is given to: what is there of the move's kind, or the role itself where something new is made.
fn given_roles(target: Target, account: &Account, role: &Arc<str>) -> Vec<Arc<str>> {
    match (target, kind_of(target)) {
        (Target::StackSet, _) => account.stack_sets.values().map(|set| Arc::clone(&set.arn)).collect(),
        (_, Some(kind)) => {
            let of_kind = account.compute.values().filter(|compute| compute.kind == kind);
            of_kind.map(|compute| Arc::clone(&compute.arn)).collect()
        }
        _ => vec![Arc::clone(role)],
    }
}

fn aimed(step: &Move, aim: &Aim) -> String {
    match step.yields {
        Yield::AnyPolicy => step.what.to_owned(),
        Yield::AnyRoleOfAccount => match aim.to.first().and_then(Actor::account) {
            Some(account) => format!("{}: {account}", step.what),
            None => step.what.to_owned(),
        },
        _ => format!("{}: {}", step.what, aim.resource),
    }
}

fn step(id: &'static str, what: &str, citation: &str, asked: Vec<(Asked, Certainty)>) -> Step {
    let certainty = asked.iter().map(|(_, certainty)| *certainty).max().unwrap_or(Certainty::Proven);
    let asked = asked.into_iter().map(|(asked, _)| asked).collect();
    Step { id, what: what.into(), citation: citation.into(), asked, certainty }
}

/// Whether an actor of this account stands where a move demands.
pub(super) fn stands(standing: Standing, account: AccountId, organisation: Option<&Organisation>) -> bool {
    let management = || organisation.is_some_and(|organisation| organisation.management == Some(account));
    match standing {
        Standing::AccountOfTarget | Standing::Anywhere => true,
        Standing::Management => management(),
        Standing::ManagementOrDelegated(service) => {
            let delegated = organisation.and_then(|organisation| organisation.delegations.as_ref());
            management()
                || delegated.into_iter().flatten().any(|delegation| {
                    let services = delegation.services.as_ref();
                    delegation.account == account
                        && services.is_none_or(|services| services.iter().any(|of| **of == *service))
                })
        }
    }
}

fn kind_of(target: Target) -> Option<ComputeKind> {
    Some(match target {
        Target::AppRunnerService => ComputeKind::AppRunnerService,
        Target::Stack => ComputeKind::CloudFormationStack,
        Target::BuildProject => ComputeKind::CodeBuildProject,
        Target::Instance | Target::LaunchTemplate => ComputeKind::Ec2Instance,
        Target::DevEndpoint => ComputeKind::GlueDevEndpoint,
        Target::GlueJob => ComputeKind::GlueJob,
        Target::Function => ComputeKind::LambdaFunction,
        Target::Notebook => ComputeKind::SageMakerNotebook,
        _ => return None,
    })
}

/// The other accounts of an organisation. The management account is bound to nobody but itself.
fn members(organisation: Option<&Organisation>, own: AccountId) -> Vec<(&Organisation, AccountId)> {
    let Some(organisation) = organisation else { return Vec::new() };
    let others = organisation
        .members
        .keys()
        .filter(|member| **member != own && Some(**member) != organisation.management);
    others.map(|member| (organisation, *member)).collect()
}

fn reaches(set: &StackSet) -> bool {
    set.service_managed != Some(false)
}

fn actors_arn(actor: &Actor) -> Option<Arc<str>> {
    match actor {
        Actor::User(arn) | Actor::Role(arn) | Actor::Empowered(arn) => Some(Arc::clone(arn)),
        _ => None,
    }
}

/// Customer-managed policies that hang on a user, its groups, or a role.
fn policies_of(arn: &Arc<str>, account: &Account) -> Vec<Arc<str>> {
    if let Some(role) = account.roles.values().find(|role| role.arn == *arn) {
        return policies_of_role(role);
    }
    let user = account.users.values().find(|user| user.arn == *arn);
    user.map(|user| policies_of_user(user, account)).unwrap_or_default()
}

fn of_customer(arn: &&Arc<str>) -> bool {
    !crate::estate::ManagedPolicy::is_arn_of_aws(arn)
}

fn policies_of_role(role: &Role) -> Vec<Arc<str>> {
    role.attached.iter().filter(of_customer).cloned().collect()
}

fn policies_of_user(user: &User, account: &Account) -> Vec<Arc<str>> {
    let groups = user.groups.iter().filter_map(|name| account.groups.get(name));
    let attached = user.attached.iter().chain(groups.flat_map(|group| group.attached.iter()));
    attached.filter(of_customer).cloned().collect()
}

fn groups_of(arn: &Arc<str>, account: &Account) -> Vec<Arc<str>> {
    let user = account.users.values().find(|user| user.arn == *arn);
    let names = user.into_iter().flat_map(|user| user.groups.iter());
    names.filter_map(|name| account.groups.get(name)).map(|group| Arc::clone(&group.arn)).collect()
}
