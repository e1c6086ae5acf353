//! What names itself: identities, keys, vaults, trails, compute.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::merge::{fill, same_role, tidy};
use super::{Assembly, At};
use crate::estate::{
    AccountId, Arn, BackupVault, Bucket, Compute, Key, Kind, ProblemKind, Provider, ResourceShare, Scope,
    StackSet, Trail,
};
use crate::load::read::bare_key;
use crate::load::record::Record;

/// Puts a value in its place unless another one is there that is not the same, which is a contradiction.
macro_rules! put {
    ($self:ident, $at:expr, $map:expr, $key:expr, $value:expr, $same:expr, $kind:expr, $account:expr, $what:expr, $earlier:expr) => {{
        let what: Arc<str> = Arc::clone($what);
        match $map.entry($key) {
            Entry::Vacant(entry) => {
                entry.insert($value);
            }
            Entry::Occupied(entry) => {
                if !$same(entry.get(), &$value) {
                    let earlier = $earlier(entry.get());
                    let missing = (Scope::Account($account), $kind);
                    $self.contradiction($at, &what, earlier.as_ref(), missing);
                }
            }
        }
    }};
}

impl Assembly {
    /// Takes what names itself, and gives back the rest.
    pub(super) fn primary(&mut self, at: At, record: Record) -> Option<Record> {
        match record {
            Record::Listed { kind, account, region, whole } => self.listed(at, kind, account, region, whole),
            Record::Caller(account) => {
                self.account(account);
            }
            Record::User(account, user) => {
                let name = Arc::clone(&user.name);
                let arn = Arc::clone(&user.arn);
                let users = &mut self.estate.accounts.entry(account).or_default().users;
                put!(self, at, users, name, user, |a, b| a == b, Kind::Users, account, &arn, |_: &_| None);
            }
            Record::Group(account, group) => {
                let name = Arc::clone(&group.name);
                let arn = Arc::clone(&group.arn);
                let groups = &mut self.estate.accounts.entry(account).or_default().groups;
                put!(self, at, groups, name, group, |a, b| a == b, Kind::Groups, account, &arn, |_: &_| None);
            }
            Record::Role(account, role) => {
                let name = Arc::clone(&role.name);
                let arn = Arc::clone(&role.arn);
                let roles = &mut self.estate.accounts.entry(account).or_default().roles;
                let earlier = |role: &crate::estate::Role| Some(role.trust.origin.clone());
                put!(self, at, roles, name, role, same_role, Kind::Roles, account, &arn, earlier);
            }
            Record::ManagedPolicy(account, policy) => {
                let Some(account) = account.or_else(|| self.places.account(at.file)) else {
                    let detail = "policies of AWS in the answer of an account that is not named";
                    self.problem(at, ProblemKind::Unattributed, detail, (None, Some(Kind::ManagedPolicies)));
                    return None;
                };
                let arn = Arc::clone(&policy.arn);
                let policies = &mut self.estate.accounts.entry(account).or_default().policies;
                let key = Arc::clone(&arn);
                let kind = Kind::ManagedPolicies;
                put!(self, at, policies, key, policy, |a, b| a == b, kind, account, &arn, |_: &_| None);
            }
            Record::InstanceProfile(account, profile) => {
                let arn = Arc::clone(&profile.arn);
                let profiles = &mut self.estate.accounts.entry(account).or_default().instance_profiles;
                let key = Arc::clone(&arn);
                let kind = Kind::InstanceProfiles;
                put!(self, at, profiles, key, profile, |a, b| a == b, kind, account, &arn, |_: &_| None);
            }
            Record::Provider(account, provider) => self.provider(at, account, provider),
            Record::KeyListed(arn) => {
                self.key_entry(&arn);
            }
            Record::Key(key) => self.key(at, *key),
            Record::Bucket { name, region } => self.bucket_listed(at, name, region),
            Record::Vault(vault) => self.vault(at, *vault),
            Record::Share(share) => self.share(at, *share),
            Record::Compute { account, compute } => self.compute(at, account, *compute),
            Record::StackSet(set) => self.stack_set(at, *set),
            Record::Trail(trail) => self.trail(at, *trail),
            Record::SsoInstance { arn, store, owner } => self.sso_instance(at, &arn, store, owner),
            other => return self.organisation_record(at, other),
        }
        None
    }

    fn provider(&mut self, at: At, account: AccountId, provider: Provider) {
        let arn = Arc::clone(&provider.arn);
        let differs =
            {
                let known = self.account(account).providers.entry(Arc::clone(&arn)).or_insert_with(|| {
                    Provider { audiences: None, tags: None, valid_until: None, ..provider.clone() }
                });
                fill(&mut known.audiences, provider.audiences)
                    | fill(&mut known.tags, provider.tags)
                    | fill(&mut known.valid_until, provider.valid_until)
            };
        if differs {
            self.contradiction(at, &arn, None, (Scope::Account(account), Kind::OidcProviders));
        }
    }

    /// The key with this ARN, which is made if it was not known. `None` if it is no ARN of a key.
    pub(super) fn key_entry(&mut self, arn: &Arc<str>) -> Option<&mut Key> {
        let parts = Arn::parse(arn).filter(|arn| arn.service == "kms" && arn.resource.starts_with("key/"))?;
        let account = parts.account()?;
        let keys = &mut self.account(account).keys;
        Some(keys.entry(Arc::clone(arn)).or_insert_with(|| bare_key(arn, account)))
    }

    fn key(&mut self, at: At, new: Key) {
        let (arn, account) = (Arc::clone(&new.arn), new.account);
        let Some(key) = self.key_entry(&arn) else {
            let detail = format!("`{}` as the ARN of a key", crate::load::read::shown(&arn));
            return self.problem(
                at,
                ProblemKind::WrongType,
                detail,
                (Some(Scope::Account(account)), Some(Kind::Keys)),
            );
        };
        let differs = fill(&mut key.state, new.state)
            | fill(&mut key.origin, new.origin)
            | fill(&mut key.manager, new.manager)
            | fill(&mut key.spec, new.spec)
            | fill(&mut key.usage, new.usage)
            | fill(&mut key.description, new.description)
            | fill(&mut key.created, new.created)
            | fill(&mut key.deletion, new.deletion)
            | fill(&mut key.pending_window_days, new.pending_window_days)
            | fill(&mut key.material_expires, new.material_expires)
            | fill(&mut key.key_store, new.key_store)
            | fill(&mut key.multi_region, new.multi_region);
        if differs {
            self.contradiction(at, &arn, None, (Scope::Account(account), Kind::KeyDescriptions));
        }
    }

    fn bucket_listed(&mut self, at: At, name: Arc<str>, region: Option<Arc<str>>) {
        let Some(account) = self.places.account(at.file) else {
            let detail = "buckets of an account that is not named";
            return self.problem(at, ProblemKind::Unattributed, detail, (None, Some(Kind::Buckets)));
        };
        if let Some(other) = self.details.bucket_owner(&name).filter(|other| *other != account) {
            let detail =
                format!("bucket {} is listed in account {other} too", crate::load::read::shown(&name));
            let missing = (Some(Scope::Account(account)), Some(Kind::Buckets));
            return self.problem(at, ProblemKind::Contradiction, detail, missing);
        }
        self.details.own_bucket(&name, account);
        let bucket = self.account(account).buckets.entry(Arc::clone(&name));
        let bucket = bucket.or_insert_with(|| Bucket { name, ..Bucket::default() });
        fill(&mut bucket.region, region);
    }

    fn vault(&mut self, at: At, new: BackupVault) {
        let arn = Arc::clone(&new.arn);
        let Some(account) = Arn::parse(&arn).and_then(|arn| arn.account()) else { return };
        let vault = self.account(account).vaults.entry(Arc::clone(&arn)).or_insert_with(|| BackupVault {
            arn: Arc::clone(&arn),
            name: Arc::clone(&new.name),
            region: Arc::clone(&new.region),
            ..BackupVault::default()
        });
        // Recovery points come and go between two calls.
        let differs = fill(&mut vault.kind, new.kind)
            | fill(&mut vault.key, new.key)
            | fill(&mut vault.locked, new.locked)
            | fill(&mut vault.lock_date, new.lock_date)
            | fill(&mut vault.min_retention_days, new.min_retention_days)
            | fill(&mut vault.max_retention_days, new.max_retention_days);
        fill(&mut vault.recovery_point_count, new.recovery_point_count);
        if differs {
            self.contradiction(at, &arn, None, (Scope::Account(account), Kind::Vaults));
        }
    }

    fn share(&mut self, at: At, new: ResourceShare) {
        let arn = Arc::clone(&new.arn);
        let Some(account) = Arn::parse(&arn).and_then(|arn| arn.account()) else { return };
        let share = self.account(account).shares.entry(Arc::clone(&arn));
        let share =
            share.or_insert_with(|| ResourceShare { arn: Arc::clone(&arn), ..ResourceShare::default() });
        let differs = fill(&mut share.name, new.name)
            | fill(&mut share.owner, new.owner)
            | fill(&mut share.allows_external, new.allows_external)
            | fill(&mut share.status, new.status);
        if differs {
            self.contradiction(at, &arn, None, (Scope::Account(account), Kind::Shares));
        }
    }

    fn compute(&mut self, at: At, account: Option<AccountId>, mut new: Compute) {
        use crate::estate::ComputeKind as Is;
        let kind = match new.kind {
            Is::LambdaFunction => Kind::Functions,
            Is::Ec2Instance => Kind::Instances,
            Is::EcsTaskDefinition => Kind::TaskDefinitions,
            Is::CodeBuildProject => Kind::BuildProjects,
            Is::GlueJob => Kind::GlueJobs,
            Is::GlueDevEndpoint => Kind::GlueDevEndpoints,
            Is::SageMakerNotebook => Kind::Notebooks,
            Is::CloudFormationStack => Kind::Stacks,
            Is::AppRunnerService => Kind::AppRunnerServices,
        };
        let Some(account) = account.or_else(|| self.places.account(at.file)) else {
            let detail = format!("an answer to `{}` of an account that is not named", kind.call());
            return self.problem(at, ProblemKind::Unattributed, detail, (None, Some(kind)));
        };
        if new.region.is_none() {
            new.region = self.places.region(at.file);
        }
        if !new.arn.starts_with("arn:") {
            new.arn = self.arn_of(account, &new);
        }
        // Glue takes a role by name as well as by ARN.
        for role in &mut new.roles {
            if !role.starts_with("arn:") {
                *role = format!("arn:{}:iam::{account}:role/{role}", partition(new.region.as_deref())).into();
            }
        }
        tidy(&mut new.roles);
        let arn = Arc::clone(&new.arn);
        let compute = self.account(account).compute.entry(Arc::clone(&arn)).or_insert_with(|| new.clone());
        // A list that names no roles is completed by the description.
        if compute.roles.is_empty() {
            compute.roles = new.roles.clone();
        }
        let differs = (!new.roles.is_empty() && compute.roles != new.roles)
            || fill(&mut compute.instance_profile, new.instance_profile);
        if differs {
            self.contradiction(at, &arn, None, (Scope::Account(account), kind));
        }
    }

    /// The ARN of what AWS does not tell one of.
    fn arn_of(&self, account: AccountId, compute: &Compute) -> Arc<str> {
        use crate::estate::ComputeKind as Is;
        let (service, resource) = match compute.kind {
            Is::Ec2Instance => ("ec2", "instance"),
            Is::GlueDevEndpoint => ("glue", "devEndpoint"),
            _ => ("glue", "job"),
        };
        let region = compute.region.as_deref();
        let partition = partition(region);
        let region = region.unwrap_or_default();
        format!("arn:{partition}:{service}:{region}:{account}:{resource}/{}", compute.name).into()
    }

    fn stack_set(&mut self, at: At, set: StackSet) {
        let arn = Arc::clone(&set.arn);
        let Some(account) = Arn::parse(&arn).and_then(|arn| arn.account()) else { return };
        let sets = &mut self.estate.accounts.entry(account).or_default().stack_sets;
        let key = Arc::clone(&arn);
        put!(self, at, sets, key, set, |a, b| a == b, Kind::StackSets, account, &arn, |_: &_| None);
    }

    fn trail(&mut self, at: At, trail: Trail) {
        let arn = Arc::clone(&trail.arn);
        let Some(account) = Arn::parse(&arn).and_then(|arn| arn.account()) else { return };
        let trails = &mut self.estate.accounts.entry(account).or_default().trails;
        let key = Arc::clone(&arn);
        put!(self, at, trails, key, trail, |a, b| a == b, Kind::Trails, account, &arn, |_: &_| None);
    }
}

/// The partition of a region.
pub(super) fn partition(region: Option<&str>) -> &'static str {
    match region {
        Some(region) if region.starts_with("cn-") => "aws-cn",
        Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
