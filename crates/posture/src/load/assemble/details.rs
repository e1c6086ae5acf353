//! What has to be told by the place of a file which resource it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::merge::fill;
use super::places::Subject;
use super::primary::partition;
use super::{Assembly, At};
use crate::estate::{AccountId, Arn, Kind, PolicyText, ProblemKind, Reach, Scope};
use crate::load::record::{Outcome, Record};

/// One entry of a directory: its directory, id and name.
type Entry = (Option<Name>, Name, Option<Name>);
type Name = Arc<str>;

/// What was read of resources before it is known of which.
#[derive(Default)]
pub(super) struct Loose {
    buckets: BTreeMap<Arc<str>, AccountId>,
    /// Keys by id, once all are known.
    keys: Option<BTreeMap<Arc<str>, Vec<Arc<str>>>>,
    /// Keys of whose grants the last page was read.
    pub(super) grants_whole: BTreeSet<Arc<str>>,
    /// Vaults of whose recovery points the last page was read.
    pub(super) points_whole: BTreeSet<Arc<str>>,
    /// Aliases and the keys they point to.
    pub(super) aliases: Vec<(crate::estate::Alias, Option<Arc<str>>)>,
    /// Accounts and permission sets whose assignments were listed.
    pub(super) assigned: BTreeSet<(AccountId, Arc<str>)>,
    /// Members of groups of a directory: directory, group, user.
    pub(super) memberships: Vec<(Option<Name>, Name, Name)>,
    /// Groups whose memberships were listed, by the end of their id.
    pub(super) memberships_listed: Vec<Arc<str>>,
    pub(super) groups: Vec<Entry>,
    pub(super) users: Vec<Entry>,
    pub(super) assignments: Vec<crate::estate::Assignment>,
}

impl Loose {
    pub(super) fn bucket_owner(&self, bucket: &str) -> Option<AccountId> {
        self.buckets.get(bucket).copied()
    }

    pub(super) fn own_bucket(&mut self, bucket: &Arc<str>, account: AccountId) {
        self.buckets.entry(Arc::clone(bucket)).or_insert(account);
    }
}

impl Assembly {
    /// Puts a record in its place, now that everything that names itself is in its own.
    pub(super) fn detail(&mut self, at: At, record: Record) {
        match record {
            Record::KeyPolicy { key, name, policy } => {
                let Some(key) = self.key_for(at, key, Kind::KeyPolicies) else { return };
                let mut earlier = None;
                if let Some(entry) = self.key_entry(&key) {
                    let known = entry.policies.entry(name).or_insert_with(|| policy.clone());
                    earlier = (*known != policy).then(|| known.origin.clone());
                }
                if let Some(earlier) = earlier {
                    let what = format!("the policy of {key}");
                    self.key_contradiction(at, &key, &what, Some(&earlier), Kind::KeyPolicies);
                }
            }
            Record::KeyPolicyNames { key, names, whole } => {
                let Some(key) = self.key_for(at, key, Kind::KeyPolicies) else { return };
                if whole {
                    self.set_of_key(at, &key, Kind::KeyPolicies, |entry| {
                        fill(&mut entry.policy_names, Some(names))
                    });
                }
            }
            Record::KeyTags { key, tags, whole } => {
                let Some(key) = self.key_for(at, key, Kind::KeyTags) else { return };
                if whole {
                    self.set_of_key(at, &key, Kind::KeyTags, |entry| fill(&mut entry.tags, Some(tags)));
                } else {
                    self.more_pages(at, &key, "tags", Kind::KeyTags);
                }
            }
            Record::KeyRotation { key, rotation } => {
                let Some(key) = self.key_for(at, key, Kind::KeyRotation) else { return };
                self.set_of_key(at, &key, Kind::KeyRotation, |entry| {
                    fill(&mut entry.rotation, Some(rotation))
                });
            }
            Record::Grants { key, grants, whole } => {
                let Some(key) = self.key_for(at, key, Kind::Grants) else { return };
                let mut differs = false;
                if let Some(entry) = self.key_entry(&key) {
                    let known = entry.grants.get_or_insert_default();
                    for grant in grants {
                        match known.iter().find(|other| other.id == grant.id) {
                            Some(other) => {
                                differs |=
                                    crate::estate::Grant { origin: grant.origin.clone(), ..other.clone() }
                                        != grant;
                            }
                            None => known.push(grant),
                        }
                    }
                    known.sort_by(|a, b| a.id.cmp(&b.id));
                }
                if differs {
                    self.key_contradiction(at, &key, &format!("a grant of {key}"), None, Kind::Grants);
                }
                if whole {
                    self.details.grants_whole.insert(key);
                }
            }
            Record::Alias { alias, target } => self.details.aliases.push((alias, target)),
            Record::BucketPolicy { bucket, policy } => {
                self.bucket(at, bucket, Kind::BucketPolicies, |bucket| {
                    fill(&mut bucket.policy, Some(policy))
                });
            }
            Record::BucketVersioning { bucket, versioning } => {
                self.bucket(at, bucket, Kind::BucketVersioning, |bucket| {
                    fill(&mut bucket.versioning, Some(versioning))
                });
            }
            Record::BucketLock { bucket, lock } => {
                self.bucket(at, bucket, Kind::ObjectLocks, |bucket| fill(&mut bucket.lock, Some(lock)));
            }
            Record::BucketAccess { bucket, block } => {
                self.bucket(at, bucket, Kind::Buckets, |bucket| fill(&mut bucket.public_access, Some(block)));
            }
            Record::BucketKeys { bucket, keys } => {
                self.bucket(at, bucket, Kind::Buckets, |bucket| {
                    fill(&mut bucket.encryption_keys, Some(keys))
                });
            }
            Record::VaultPolicy { vault, policy } => self.vault_policy(at, &vault, policy),
            Record::RecoveryPoints { vault, points, whole } => self.recovery_points(at, vault, points, whole),
            Record::ShareAssociation { share, association } => {
                let share = Arn::parse(&share)
                    .and_then(|arn| arn.account())
                    .and_then(|account| self.account(account).shares.get_mut(&share));
                match share {
                    Some(share) => share.associations.push(association),
                    None => {
                        let detail = "an association of a share that is not listed";
                        self.problem(
                            at,
                            ProblemKind::Dangling,
                            detail,
                            (None, Some(Kind::ShareAssociations)),
                        );
                    }
                }
            }
            Record::FunctionPolicy { function, policy } => self.function_policy(at, &function, policy),
            Record::Selectors { trail, selectors } => {
                self.trail_detail(at, Some(trail), Kind::Selectors, |trail| {
                    fill(&mut trail.selectors, Some(selectors))
                });
            }
            Record::TrailStatus { trail, status } => {
                self.trail_detail(at, trail, Kind::TrailStatus, |trail| {
                    fill(&mut trail.status, Some(status))
                });
            }
            Record::OidcDetails { url, audiences, tags } => self.oidc_details(at, &url, audiences, tags),
            Record::RootSummary { access_keys, mfa, password } => {
                let Some(account) = self.places.account(at.file) else { return };
                let root = &mut self.account(account).root;
                let differs = fill(&mut root.access_keys, access_keys)
                    | fill(&mut root.mfa, mfa)
                    | fill(&mut root.password, password);
                if differs {
                    self.contradiction(at, "the root user", None, (Scope::Account(account), Kind::Root));
                }
            }
            Record::Regions(regions) => {
                let Some(account) = self.places.account(at.file) else { return };
                if fill(&mut self.account(account).regions, Some(regions)) {
                    self.contradiction(
                        at,
                        "the list of regions",
                        None,
                        (Scope::Account(account), Kind::Regions),
                    );
                }
            }
            Record::Collected { call, account, region, resource, outcome } => {
                self.collected(at, &call, account, region, resource, outcome);
            }
            other => self.sso_record(at, other),
        }
    }

    /// The key that a record is about: what it names, or what its place does. Named as a problem if neither does.
    fn key_for(&mut self, at: At, named: Option<Arc<str>>, kind: Kind) -> Option<Arc<str>> {
        let hints = self.places.hints(at.file);
        let found = match &named {
            Some(named) if named.starts_with("arn:") => Some(Arc::clone(named)),
            Some(id) => self.key_by_id(at, &Arc::clone(id)),
            None => match hints.key().cloned() {
                Some(id) => self.key_by_id(at, &id),
                None => self.places.beside(at.file, Subject::Key).cloned(),
            },
        };
        let found = found
            .filter(|arn| Arn::parse(arn).is_some_and(|arn| arn.service == "kms" && arn.account().is_some()));
        if found.is_none() {
            let detail = format!(
                "an answer to `{}` of a key that neither the answer, nor its path, nor a `describe-key` beside it names",
                kind.call()
            );
            let scope = self.places.account(at.file).map(Scope::Account);
            self.problem(at, ProblemKind::Unattributed, detail, (scope, Some(kind)));
        }
        found
    }

    /// The key with this id in the account and region of the file. Replicas of a multi-Region key share their id.
    fn key_by_id(&mut self, at: At, id: &Arc<str>) -> Option<Arc<str>> {
        if self.details.keys.is_none() {
            let mut keys: BTreeMap<Arc<str>, Vec<Arc<str>>> = BTreeMap::new();
            for key in self.estate.accounts.values().flat_map(|account| account.keys.values()) {
                keys.entry(Arc::clone(&key.id)).or_default().push(Arc::clone(&key.arn));
            }
            self.details.keys = Some(keys);
        }
        let known =
            self.details.keys.as_ref().and_then(|keys| keys.get(id)).map(Vec::as_slice).unwrap_or_default();
        if let [only] = known {
            return Some(Arc::clone(only));
        }
        let (account, region) = (self.places.account(at.file), self.places.region(at.file));
        let mut fitting = known.iter().filter(|arn| {
            Arn::parse(arn).is_some_and(|arn| {
                region.as_deref().is_none_or(|region| arn.region == region)
                    && (account.is_none() || arn.account() == account)
            })
        });
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Some(Arc::clone(only)),
            (None, None) if known.is_empty() => {
                let (account, region) = (account?, region?);
                Some(format!("arn:{}:kms:{region}:{account}:key/{id}", partition(Some(&region))).into())
            }
            _ => None,
        }
    }

    fn set_of_key(
        &mut self,
        at: At,
        key: &Arc<str>,
        kind: Kind,
        set: impl FnOnce(&mut crate::estate::Key) -> bool,
    ) {
        if self.key_entry(key).is_some_and(set) {
            self.key_contradiction(at, key, &format!("what was answered of {key}"), None, kind);
        }
    }

    fn key_contradiction(
        &mut self,
        at: At,
        key: &str,
        what: &str,
        earlier: Option<&crate::estate::Origin>,
        kind: Kind,
    ) {
        if let Some(account) = Arn::parse(key).and_then(|arn| arn.account()) {
            self.contradiction(at, what, earlier, (Scope::Account(account), kind));
        }
    }

    fn more_pages(&mut self, at: At, resource: &str, what: &str, kind: Kind) {
        let scope = Arn::parse(resource).and_then(|arn| arn.account()).map(Scope::Account);
        self.problem(at, ProblemKind::MorePages, format!("{what} of {resource}"), (scope, Some(kind)));
    }

    /// Sets something of the bucket that is named, or that the path names.
    fn bucket(
        &mut self,
        at: At,
        named: Option<Arc<str>>,
        kind: Kind,
        set: impl FnOnce(&mut crate::estate::Bucket) -> bool,
    ) {
        let Some(name) = named.or_else(|| self.places.bucket(at.file)) else {
            let detail = format!("an answer to `{}` of a bucket that is not named", kind.call());
            let scope = self.places.account(at.file).map(Scope::Account);
            return self.problem(at, ProblemKind::Unattributed, detail, (scope, Some(kind)));
        };
        let Some(account) = self.details.bucket_owner(&name).or_else(|| self.places.account(at.file)) else {
            let detail =
                format!("bucket {} of an account that is not named", crate::load::read::shown(&name));
            return self.problem(at, ProblemKind::Unattributed, detail, (None, Some(kind)));
        };
        self.details.own_bucket(&name, account);
        let bucket = self.account(account).buckets.entry(Arc::clone(&name)).or_default();
        bucket.name = Arc::clone(&name);
        if set(bucket) {
            self.contradiction(at, &format!("bucket {name}"), None, (Scope::Account(account), kind));
        }
    }

    fn vault_policy(&mut self, at: At, arn: &Arc<str>, policy: Option<PolicyText>) {
        let Some(account) = Arn::parse(arn).and_then(|arn| arn.account()) else { return };
        let Some(vault) = self.account(account).vaults.get_mut(arn) else {
            let missing = (Some(Scope::Account(account)), Some(Kind::VaultPolicies));
            return self.problem(
                at,
                ProblemKind::Dangling,
                format!("the policy of {arn}, which is not listed"),
                missing,
            );
        };
        if fill(&mut vault.policy, Some(policy)) {
            let what = format!("the policy of {arn}");
            self.contradiction(at, &what, None, (Scope::Account(account), Kind::VaultPolicies));
        }
    }

    fn recovery_points(
        &mut self,
        at: At,
        named: Option<Arc<str>>,
        points: Vec<crate::estate::RecoveryPoint>,
        whole: bool,
    ) {
        let Some(arn) = named.or_else(|| self.vault_in_path(at)) else {
            let scope = self.places.account(at.file).map(Scope::Account);
            let detail = "recovery points of a vault that is not named";
            return self.problem(at, ProblemKind::Unattributed, detail, (scope, Some(Kind::RecoveryPoints)));
        };
        let Some(account) = Arn::parse(&arn).and_then(|arn| arn.account()) else { return };
        if let Some(vault) = self.account(account).vaults.get_mut(&arn) {
            let known = vault.recovery_points.get_or_insert_default();
            known.extend(points);
            known.sort();
            known.dedup();
            if whole {
                self.details.points_whole.insert(arn);
            }
        } else {
            let missing = (Some(Scope::Account(account)), Some(Kind::RecoveryPoints));
            self.problem(
                at,
                ProblemKind::Dangling,
                format!("recovery points of {arn}, which is not listed"),
                missing,
            );
        }
    }

    /// The vault that the path of a file names, in the account and region that it names.
    fn vault_in_path(&self, at: At) -> Option<Arc<str>> {
        let account = self.places.account(at.file)?;
        let region = self.places.region(at.file);
        let vaults = &self.estate.accounts.get(&account)?.vaults;
        self.places.hints(at.file).runs().find_map(|run| {
            let fits = |vault: &&crate::estate::BackupVault| {
                *vault.name == *run && region.as_ref().is_none_or(|region| *region == vault.region)
            };
            vaults.values().find(fits).map(|vault| Arc::clone(&vault.arn))
        })
    }

    fn function_policy(&mut self, at: At, function: &str, policy: PolicyText) {
        // A policy may be of a version or an alias: `…:function:name:alias`.
        let base: String = function.splitn(8, ':').take(7).collect::<Vec<_>>().join(":");
        let Some(account) = Arn::parse(&base).and_then(|arn| arn.account()) else { return };
        match self.account(account).compute.get_mut(base.as_str()) {
            Some(compute) => {
                fill(&mut compute.policy, Some(policy));
            }
            None => {
                let detail =
                    format!("the policy of {}, which is not listed", crate::load::read::shown(&base));
                self.problem(
                    at,
                    ProblemKind::Dangling,
                    detail,
                    (Some(Scope::Account(account)), Some(Kind::Functions)),
                );
            }
        }
    }

    /// Notes that a function has no policy: one that allows nobody anything.
    fn function_without_policy(
        &mut self,
        at: At,
        account: Option<AccountId>,
        region: Option<Arc<str>>,
        function: Option<Arc<str>>,
    ) {
        let region = region.or_else(|| self.places.region(at.file));
        let (Some(account), Some(region), Some(name)) = (account, region, function) else { return };
        let arn = if name.starts_with("arn:") {
            name.to_string()
        } else {
            format!("arn:{}:lambda:{region}:{account}:function:{name}", partition(Some(&region)))
        };
        let origin = crate::estate::Origin { file: Arc::clone(&self.files[at.file]), line: at.line };
        let text = r#"{"Version":"2012-10-17","Statement":[]}"#.into();
        let form = crate::estate::Form::Text;
        self.function_policy(at, &arn, PolicyText { text, origin, form });
    }

    fn trail_detail(
        &mut self,
        at: At,
        named: Option<Arc<str>>,
        kind: Kind,
        set: impl FnOnce(&mut crate::estate::Trail) -> bool,
    ) {
        let place = self.places.account(at.file);
        let in_path = || {
            let trails = &self.estate.accounts.get(&place?)?.trails;
            self.places.hints(at.file).runs().find_map(|run| {
                trails.values().find(|trail| *trail.name == *run).map(|trail| Arc::clone(&trail.arn))
            })
        };
        let arn = named.or_else(in_path).or_else(|| self.places.beside(at.file, Subject::Trail).cloned());
        let account = arn.as_deref().and_then(Arn::parse).and_then(|arn| arn.account());
        let (Some(arn), Some(account)) = (arn, account) else {
            let detail = format!("an answer to `{}` of a trail that is not named", kind.call());
            return self.problem(
                at,
                ProblemKind::Unattributed,
                detail,
                (place.map(Scope::Account), Some(kind)),
            );
        };
        match self.account(account).trails.get_mut(&arn) {
            Some(trail) => {
                if set(trail) {
                    let what = format!("what was answered of {arn}");
                    self.contradiction(at, &what, None, (Scope::Account(account), kind));
                }
            }
            None => {
                let missing = (Some(Scope::Account(account)), Some(kind));
                self.problem(at, ProblemKind::Dangling, format!("{arn}, which is not listed"), missing);
            }
        }
    }

    fn oidc_details(
        &mut self,
        at: At,
        url: &str,
        audiences: Option<Vec<Arc<str>>>,
        tags: Option<crate::estate::Tags>,
    ) {
        let Some(account) = self.places.account(at.file) else {
            let detail = "an OIDC provider of an account that is not named";
            return self.problem(at, ProblemKind::Unattributed, detail, (None, Some(Kind::OidcProviders)));
        };
        let partition = partition(self.places.region(at.file).as_deref());
        let arn: Arc<str> = format!("arn:{partition}:iam::{account}:oidc-provider/{url}").into();
        let providers = &mut self.account(account).providers;
        let provider = providers.entry(Arc::clone(&arn)).or_insert_with(|| crate::estate::Provider {
            arn: Arc::clone(&arn),
            kind: crate::estate::ProviderKind::Oidc,
            url: Some(url.into()),
            audiences: None,
            valid_until: None,
            tags: None,
        });
        if fill(&mut provider.audiences, audiences) | fill(&mut provider.tags, tags) {
            self.contradiction(at, &arn, None, (Scope::Account(account), Kind::OidcProviders));
        }
    }

    /// A note of the collector: nothing there, or refused.
    fn collected(
        &mut self,
        at: At,
        call: &str,
        account: Option<AccountId>,
        region: Option<Arc<str>>,
        resource: Option<Arc<str>>,
        outcome: Outcome,
    ) {
        let account = account.or_else(|| self.places.account(at.file));
        let operation = call.split_once(' ').map_or(call, |(_, operation)| operation);
        let service = call.split_once(' ').map_or("", |(service, _)| service);
        let kind = Kind::ALL.into_iter().find(|kind| {
            let (of, operations) = kind.call().split_once(' ').unwrap_or_default();
            of == service && operations.split(", ").any(|name| name == operation)
        });
        if let Outcome::Failed(why) = outcome {
            let detail = format!(
                "`{}`: {}",
                crate::load::read::shown(call),
                why.chars().take(300).collect::<String>()
            );
            let scope = account
                .filter(|_| kind.is_none_or(|kind| kind.reach() != Reach::Organisation))
                .map(Scope::Account);
            return self.problem(at, ProblemKind::NotCollected, detail, (scope, kind));
        }
        match call {
            "s3api get-bucket-policy" => {
                self.detail(at, Record::BucketPolicy { bucket: resource, policy: None })
            }
            "s3api get-object-lock-configuration" => {
                self.detail(at, Record::BucketLock { bucket: resource, lock: None });
            }
            "s3api get-bucket-versioning" => {
                let versioning = crate::estate::Versioning::Off;
                self.detail(at, Record::BucketVersioning { bucket: resource, versioning });
            }
            "s3api get-public-access-block" => {
                self.detail(at, Record::BucketAccess { bucket: resource, block: None })
            }
            "s3api get-bucket-encryption" => {
                self.detail(at, Record::BucketKeys { bucket: resource, keys: Vec::new() });
            }
            "backup get-backup-vault-access-policy" => {
                if let Some(vault) = resource {
                    self.vault_policy(at, &vault, None);
                }
            }
            "lambda get-policy" => self.function_without_policy(at, account, region, resource),
            "kms get-key-rotation-status" => {
                let rotation = crate::estate::Rotation { enabled: false, period_days: None };
                self.detail(at, Record::KeyRotation { key: resource, rotation });
            }
            "organizations describe-resource-policy" => {
                self.organisation_record(at, Record::OrgResourcePolicy(None));
            }
            "sso-admin get-permissions-boundary-for-permission-set" => {
                self.sso_record(at, Record::SetBoundary { set: resource, boundary: None });
            }
            _ => {
                if let Some(kind) = kind.filter(|kind| kind.reach() != Reach::Organisation) {
                    self.listed(at, kind, account, region, true);
                }
            }
        }
    }
}
