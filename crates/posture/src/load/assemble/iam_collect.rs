//! Resources of iam-collect, put together from the files in their directories.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Assembly, At};
use crate::estate::{
    AccountId, Arn, BackupVault, Compute, ComputeKind, Form, Group, Kind, ManagedPolicy, NamedPolicy,
    OrgPolicy, Origin, PolicyText, PolicyVersion, ProblemKind, Reach, Role, Scope, Tags, User,
};
use crate::load::record::{Metadata, Piece, Record};

/// What lies in one directory.
#[derive(Default)]
struct Gathered {
    metadata: Option<(At, Metadata)>,
    org_policy: Option<(At, Arc<str>, OrgPolicy)>,
    policy: Option<PolicyText>,
    inline: Vec<NamedPolicy>,
    managed: Vec<Arc<str>>,
    groups: Vec<Arc<str>>,
    tags: Option<Tags>,
}

/// Directories of iam-collect.
#[derive(Default)]
pub(super) struct Pieces(BTreeMap<Arc<str>, Gathered>);

impl Pieces {
    pub(super) fn add(&mut self, at: At, directory: Arc<str>, piece: Piece) {
        let gathered = self.0.entry(directory).or_default();
        match piece {
            Piece::Metadata(metadata) => gathered.metadata = Some((at, *metadata)),
            Piece::OrgPolicy { organisation, policy } => {
                gathered.org_policy = Some((at, organisation, *policy));
            }
            Piece::Policy(policy) => gathered.policy = Some(policy),
            Piece::Inline(policies) => gathered.inline = policies,
            Piece::Managed(arns) => gathered.managed = arns,
            Piece::Groups(arns) => gathered.groups = arns,
            Piece::Tags(tags) => gathered.tags = Some(tags),
        }
    }
}

impl Assembly {
    /// Makes records of what the directories hold. A directory without `metadata.json` is of nothing that was read.
    pub(super) fn whole_pieces(&mut self, pieces: Pieces) -> Vec<(At, Record)> {
        let mut records = Vec::new();
        let mut seen: BTreeMap<(AccountId, Kind, Arc<str>), At> = BTreeMap::new();
        for mut gathered in pieces.0.into_values() {
            if let Some((at, organisation, mut policy)) = gathered.org_policy.take() {
                policy.document = gathered.policy.take();
                records.push((at, Record::OrgPolicy { organisation: Some(organisation), policy }));
                continue;
            }
            let Some((at, metadata)) = gathered.metadata.take() else { continue };
            let arn = Arn::parse(&metadata.arn);
            let Some(account) = arn.and_then(|arn| arn.account()).or_else(|| self.places.account(at.file))
            else {
                continue;
            };
            // It walks a list to its end before it writes. Buckets it lists region by region, and tells of none.
            if metadata.kind != Kind::Buckets {
                let region = arn.map_or("", |arn| arn.region).into();
                let of = self.places.account(at.file).unwrap_or(account);
                seen.entry((of, metadata.kind, region)).or_insert(at);
            }
            self.resource(at, account, metadata, gathered, &mut records);
        }
        for ((account, kind, region), at) in seen {
            let region = (kind.reach() == Reach::Region).then_some(region);
            records.push((at, Record::Listed { kind, account: Some(account), region, whole: true }));
        }
        records
    }

    fn resource(
        &mut self,
        at: At,
        account: AccountId,
        metadata: Metadata,
        gathered: Gathered,
        records: &mut Vec<(At, Record)>,
    ) {
        let Metadata { kind, arn, name, id, path, boundary, .. } = metadata;
        let last = |arn: &str| -> Arc<str> { arn.rsplit(['/', ':']).next().unwrap_or_default().into() };
        let name = name.unwrap_or_else(|| last(&arn));
        let path = path.unwrap_or_else(|| "/".into());
        let id = id.unwrap_or_default();
        let tags = gathered.tags.clone().unwrap_or_default();
        let (inline, attached) = (gathered.inline, gathered.managed);
        let record = match kind {
            Kind::Users => {
                let mut groups: Vec<Arc<str>> = gathered.groups.iter().map(|arn| last(arn)).collect();
                groups.sort();
                let created = metadata.created;
                Record::User(
                    account,
                    User { arn, name, path, id, groups, inline, attached, boundary, tags, created },
                )
            }
            Kind::Groups => Record::Group(account, Group { arn, name, path, id, inline, attached }),
            Kind::Roles => {
                let Some(trust) = gathered.policy else {
                    let missing = (Some(Scope::Account(account)), Some(kind));
                    return self.problem(
                        at,
                        ProblemKind::Missing,
                        "`trust-policy.json` of this role",
                        missing,
                    );
                };
                let (created, last_used) = (metadata.created, None);
                Record::Role(
                    account,
                    Role { arn, name, path, id, trust, inline, attached, boundary, tags, created, last_used },
                )
            }
            Kind::ManagedPolicies => {
                let version = metadata.default_version.unwrap_or_else(|| "v1".into());
                let Some(document) = gathered.policy else {
                    let missing = (Some(Scope::Account(account)), Some(kind));
                    return self.problem(
                        at,
                        ProblemKind::Missing,
                        "`current-policy.json` of this policy",
                        missing,
                    );
                };
                let versions = vec![PolicyVersion { id: Arc::clone(&version), document }];
                let policy =
                    ManagedPolicy { arn, name, path, id: Some(id), default_version: version, versions };
                Record::ManagedPolicy(Some(account), policy)
            }
            Kind::Keys => {
                records.push((at, Record::KeyListed(Arc::clone(&arn))));
                let key = Some(Arc::clone(&arn));
                if let Some(policy) = gathered.policy {
                    let name = "default".into();
                    records.push((at, Record::KeyPolicy { key: key.clone(), name, policy }));
                }
                match gathered.tags {
                    Some(tags) => Record::KeyTags { key, tags, whole: true },
                    None => return,
                }
            }
            Kind::Buckets => {
                records.push((at, Record::Bucket { name: Arc::clone(&name), region: metadata.region }));
                match gathered.policy {
                    // Where it was refused it writes nothing either: no file is no answer.
                    None => return,
                    policy => Record::BucketPolicy { bucket: Some(name), policy },
                }
            }
            Kind::Vaults => {
                let region = Arn::parse(&arn).map_or("", |arn| arn.region).into();
                let key = metadata.key;
                let vault =
                    BackupVault { arn: Arc::clone(&arn), name, region, key, ..BackupVault::default() };
                records.push((at, Record::Vault(Box::new(vault))));
                match gathered.policy {
                    None => return,
                    policy => Record::VaultPolicy { vault: arn, policy },
                }
            }
            _ => {
                let compute = Compute {
                    arn: Arc::clone(&arn),
                    kind: ComputeKind::LambdaFunction,
                    name,
                    region: Arn::parse(&arn).map(|arn| arn.region.into()),
                    roles: metadata.role.into_iter().collect(),
                    instance_profile: None,
                    policy: None,
                };
                let compute = Record::Compute { account: Some(account), compute: Box::new(compute) };
                records.push((at, compute));
                // A refusal ends its run of Lambda: where the function is written, it was asked.
                let origin = Origin { file: Arc::clone(&self.files[at.file]), line: at.line };
                let none = || PolicyText {
                    text: r#"{"Version":"2012-10-17","Statement":[]}"#.into(),
                    origin,
                    form: Form::Text,
                };
                Record::FunctionPolicy { function: arn, policy: gathered.policy.unwrap_or_else(none) }
            }
        };
        records.push((at, record));
    }
}
