//! Moves: published ways by which one identity becomes another, or does harm, as plain data.
//!
//! In scope: what a move needs, on what, where its actor has to stand, what it yields, and who says so. An attack graph
//! checks each need with the evaluator: a boundary, a service control policy or a key policy still binds whoever made a
//! move.
//!
//! Out of scope: whether somebody can make a move.
//!
//! The moves whose [`Source`] is [`Source::Pathfinding`] are facts of pathfinding.cloud by DataDog (Apache-2.0; see
//! `NOTICE`), snapshot of December 2025, told in our own words. The others are of AWS's own documents.

mod compute;
mod identities;
mod keys;
mod organisation;
mod storage;

/// A way to become somebody else or to do harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Stable id. Those of pathfinding.cloud are theirs.
    pub id: &'static str,
    /// What the actor does, as a sentence without its subject.
    pub what: &'static str,
    /// Everything that it takes.
    pub needs: &'static [Need],
    /// Where the actor has to stand.
    pub standing: Standing,
    /// What it is done to.
    pub target: Target,
    /// The service that a role has to trust to be passed; only where [`On::PassedRole`] is needed.
    pub trusted_service: Option<&'static str>,
    /// What it yields.
    pub yields: Yield,
    /// How long it takes until nobody can undo it; `None` where it can be undone, or where it destroys nothing.
    pub delay: Option<Delay>,
    /// Who says so.
    pub source: Source,
}

/// One permission, and what it has to be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Need {
    /// The action, as `service:Operation`.
    pub action: &'static str,
    /// What it has to be on.
    pub on: On,
}

/// What a permission has to be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum On {
    /// The actor itself: its user or role.
    Actor,
    /// A customer-managed policy that hangs on the actor.
    ActorsPolicy,
    /// A group that the actor is in.
    ActorsGroup,
    /// The target.
    Target,
    /// A customer-managed policy that hangs on the target.
    TargetsPolicy,
    /// The role that is passed, which has to trust [`Move::trusted_service`].
    PassedRole,
    /// Something that the actor makes, or anything of its kind: no target limits it.
    Any,
}

/// Where the actor of a move has to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// In the account of the target, or of what it makes.
    AccountOfTarget,
    /// In any account, if the policy of the target lets it in.
    Anywhere,
    /// In the management account of the organisation.
    Management,
    /// In the management account, or in the delegated administrator for this service.
    ManagementOrDelegated(&'static str),
}

/// What a move is made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum Target {
    /// Nothing that is there: the actor itself, or something that it makes.
    Nothing,
    User,
    Role,
    Group,
    AppRunnerService,
    CodeInterpreter,
    Stack,
    StackSet,
    BuildProject,
    Instance,
    LaunchTemplate,
    DevEndpoint,
    GlueJob,
    Function,
    Notebook,
    Key,
    /// An alias, and the keys that it points to before and after.
    Alias,
    KeyStore,
    Account,
    /// A root, unit or account, or a policy on one.
    OrganisationPolicy,
    Organisation,
    PermissionSet,
    DirectoryGroup,
    Provider,
    BackupVault,
    RecoveryPoint,
    BackupPlan,
    Bucket,
    Object,
    Snapshot,
    Trail,
}

/// What a move yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Yield {
    /// The actor may give itself any policy. Boundaries and policies of the organisation still bind it.
    AnyPolicy,
    /// The actor may act as the target.
    Target,
    /// The actor may act as the target, and give it any policy first.
    TargetWithAnyPolicy,
    /// The actor has the policies of the target.
    PoliciesOfTarget,
    /// The actor may act as the role that the target carries.
    RoleOfTarget,
    /// The actor may act as the role that it passes.
    PassedRole,
    /// The actor may act as any role of an account, or as new ones.
    AnyRoleOfAccount,
    /// The actor may act as whoever the target's roles trust it for.
    RolesThatTrustTarget,
    /// A ceiling over the target is gone: a boundary, a service or resource control policy.
    Unguarded,
    /// Harm to a key or to backups.
    Harm(Harm),
}

/// Kinds of harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Harm {
    /// The key is gone for good, and what it encrypts with it.
    Destroy,
    /// The key does not work until somebody switches it on again.
    Disable,
    /// The key obeys somebody else.
    Hijack,
    /// The key works, but not for those who restore.
    DenyRestore,
    /// What the key encrypts can be read.
    Read,
    /// Backups are gone, or may be taken away.
    DeleteBackups,
    /// What happens is not recorded any more.
    Blind,
}

/// How long it takes until nobody can undo it, in days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delay {
    /// At least, as the actor chooses.
    pub least: u16,
    /// At most, as the actor chooses.
    pub most: u16,
}

impl Delay {
    /// At once.
    pub const NONE: Self = Self { least: 0, most: 0 };
}

/// Who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// pathfinding.cloud, under the id of the move.
    Pathfinding,
    /// A document of AWS.
    Aws(&'static str),
}

impl Move {
    /// Where to read about it.
    pub fn citation(&self) -> String {
        match self.source {
            Source::Pathfinding => format!("https://pathfinding.cloud/paths/{}", self.id),
            Source::Aws(page) => format!("https://docs.aws.amazon.com/{page}"),
        }
    }
}

/// All moves.
pub fn moves() -> impl Iterator<Item = &'static Move> {
    [identities::MOVES, compute::MOVES, keys::MOVES, organisation::MOVES, storage::MOVES]
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_the_published_ones_are_all_there() {
        let ids: BTreeSet<_> = moves().map(|step| step.id).collect();
        assert_eq!(ids.len(), moves().count());
        assert_eq!(moves().filter(|step| step.source == Source::Pathfinding).count(), 65);
    }

    #[test]
    fn every_need_is_an_action() {
        for step in moves() {
            assert!(!step.needs.is_empty(), "{}", step.id);
            for need in step.needs {
                let (service, operation) = need.action.split_once(':').unwrap();
                let named = |text: &str, other| text.chars().all(|c| c.is_ascii_alphanumeric() || c == other);
                assert!(
                    named(service, '-') && named(operation, '_') && !operation.is_empty(),
                    "{}",
                    need.action
                );
            }
        }
    }

    #[test]
    fn what_is_passed_names_the_service_that_is_to_be_trusted() {
        for step in moves() {
            let passes = step.needs.iter().any(|need| need.on == On::PassedRole);
            assert_eq!(passes, step.trusted_service.is_some(), "{}", step.id);
            assert_eq!(passes, step.yields == Yield::PassedRole, "{}", step.id);
        }
    }

    #[test]
    fn what_is_on_a_target_has_one() {
        for step in moves() {
            let needs_one = step.needs.iter().any(|need| matches!(need.on, On::Target | On::TargetsPolicy));
            assert!(!needs_one || step.target != Target::Nothing, "{}", step.id);
        }
    }

    #[test]
    fn destruction_tells_its_time() {
        for step in moves() {
            let destroys = step.yields == Yield::Harm(Harm::Destroy);
            assert!(!destroys || step.delay.is_some(), "{}", step.id);
        }
    }
}
