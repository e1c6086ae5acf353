//! Directories of iam-collect: `aws/PARTITION/accounts/ACCOUNT/SERVICE/[REGION/][TYPE/]ID/…json`, and
//! `aws/PARTITION/organizations/ORGANISATION/…`
//! (<https://github.com/cloud-copilot/iam-collect/blob/main/docs/Storage.md>).
//!
//! One resource lies in several files whose names alone tell what they hold: here, and only here, a document is
//! recognised by its path. What describes a resource is put together by [`crate::load::assemble`]. Resources that no
//! answer needs are passed over.

use std::sync::Arc;

use super::reading::{Reading, present};
use crate::estate::{
    AccountId, Delegation, Kind, Member, MemberState, NamedPolicy, Node, NodeKind, OrgPolicy, OrgPolicyKind,
    PolicyTypeState, ProblemKind, Tags,
};
use crate::load::hints::{Hints, Id};
use crate::load::json::{Kind as Json, Value};
use crate::load::record::{Metadata, Piece, Record};

/// What the path of a file of iam-collect says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A file of a resource: account, service, region, the type of the resource, the file's name without extension.
    Resource {
        account: AccountId,
        service: Box<str>,
        region: Option<Arc<str>>,
        kind: Box<str>,
        file: Box<str>,
    },
    /// A file of an organisation: its id, and the parts of the path below it.
    Organisation { id: Arc<str>, parts: Vec<Box<str>> },
    /// An index, or a file about an account as a whole: nothing that is not elsewhere.
    Other,
}

/// The layout that a path has, if it has one.
pub(crate) fn layout(path: &str) -> Option<Layout> {
    let path = path.strip_suffix(".json")?;
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.windows(3).position(|three| {
        three[0] == "aws"
            && matches!(three[1], "aws" | "aws-cn" | "aws-us-gov")
            && matches!(three[2], "accounts" | "organizations" | "indexes")
    })?;
    let rest = &parts[at + 3..];
    Some(match (parts[at + 2], rest) {
        ("accounts", [account, service, middle @ .., _, file]) => {
            let account = account.parse().ok()?;
            let region = middle.first().filter(|part| Hints::of(part).region().is_some());
            let kind =
                middle.iter().skip(usize::from(region.is_some())).copied().collect::<Vec<_>>().join("/");
            Layout::Resource {
                account,
                service: (*service).into(),
                region: region.map(|region| Arc::from(*region)),
                kind: kind.into(),
                file: (*file).into(),
            }
        }
        ("organizations", [id, parts @ ..]) if id.starts_with("o-") && !parts.is_empty() => {
            Layout::Organisation {
                id: (*id).into(),
                parts: parts.iter().map(|part| (*part).into()).collect(),
            }
        }
        _ => Layout::Other,
    })
}

/// What the place of such a file says: the account and region alone, not the numbers in names of resources.
pub(crate) fn hints(path: &str, layout: &Layout) -> Hints {
    let mut hints = Hints::of(path);
    if let Layout::Resource { account, region, .. } = layout {
        hints.ids = vec![Id::Account(*account)];
        hints.ids.extend(region.clone().map(Id::Region));
    }
    hints
}

/// Reads a file of this layout.
pub(crate) fn document(reading: &mut Reading<'_>, root: Value<'_, '_>, layout: &Layout) {
    match layout {
        Layout::Resource { account, service, kind, file, .. } => {
            let known = matches!(
                (&**service, &**kind),
                ("iam", "role" | "user" | "group" | "policy" | "aws/policy")
                    | ("kms", "key")
                    | ("s3", "")
                    | ("backup", "backup-vault")
                    | ("lambda", "function")
            );
            if known {
                reading.account = Some(*account);
                piece(reading, root, service, kind, file);
            }
        }
        Layout::Organisation { id, parts } => {
            let parts: Vec<&str> = parts.iter().map(|part| &**part).collect();
            organisation(reading, root, id, &parts);
        }
        Layout::Other => {}
    }
    reading.kind = None;
    reading.account = None;
}

fn kind_of(service: &str, kind: &str) -> Kind {
    match (service, kind) {
        ("iam", "user") => Kind::Users,
        ("iam", "group") => Kind::Groups,
        ("iam", "role") => Kind::Roles,
        ("iam", _) => Kind::ManagedPolicies,
        ("kms", _) => Kind::Keys,
        ("s3", _) => Kind::Buckets,
        ("backup", _) => Kind::Vaults,
        _ => Kind::Functions,
    }
}

fn piece(reading: &mut Reading<'_>, root: Value<'_, '_>, service: &str, kind: &str, file: &str) {
    let of = kind_of(service, kind);
    reading.kind = Some(of);
    let piece = match file {
        "metadata" => {
            let Some(arn) = reading.needed(root, "arn") else { return };
            Piece::Metadata(Box::new(Metadata {
                kind: of,
                arn,
                name: reading.own(root, "name"),
                id: reading.own(root, "id"),
                path: reading.shared(root, "path"),
                boundary: reading.shared(root, "permissionBoundary"),
                default_version: reading.shared(root, "defaultVersionId"),
                created: reading.time(root, "created"),
                role: reading.shared(root, "role"),
                key: reading.shared(root, "key"),
                region: reading.shared(root, "region"),
            }))
        }
        "policy" | "trust-policy" | "current-policy" => match reading.policy(root) {
            Some(policy) => Piece::Policy(policy),
            None => return,
        },
        "inline-policies" => {
            let mut policies = Vec::new();
            for item in reading.objects(root) {
                let Some(name) = reading.shared(item, "PolicyName") else {
                    reading.trouble(item.offset(), ProblemKind::Missing, "`PolicyName`");
                    continue;
                };
                match reading.policy_of(item, "PolicyDocument") {
                    Some(document) => policies.push(NamedPolicy { name, document }),
                    None => reading.trouble(item.offset(), ProblemKind::Missing, "`PolicyDocument`"),
                }
            }
            policies.sort_by(|a, b| a.name.cmp(&b.name));
            Piece::Inline(policies)
        }
        "managed-policies" => Piece::Managed(list(reading, root)),
        "groups" => Piece::Groups(list(reading, root)),
        "tags" => Piece::Tags(tags(reading, root)),
        _ => return,
    };
    reading.push(root, Record::Piece { directory: Arc::clone(&reading.hints.directory), piece });
}

fn list(reading: &mut Reading<'_>, root: Value<'_, '_>) -> Vec<Arc<str>> {
    if root.kind() != Json::Array {
        reading.wrong(root, "a list");
    }
    let mut texts = Vec::new();
    for item in root.items() {
        match item.string() {
            Some(text) => texts.push(reading.keep(&text)),
            None => reading.wrong(item, "a string"),
        }
    }
    texts.sort();
    texts.dedup();
    texts
}

fn tags(reading: &mut Reading<'_>, root: Value<'_, '_>) -> Tags {
    let mut tags = Tags::new();
    for (name, value) in root.fields() {
        match value.string() {
            Some(value) => tags.push((reading.keep(&name), reading.keep(&value))),
            None => reading.wrong(value, "a string"),
        }
    }
    tags.sort();
    tags
}

/// The last part of an ARN: iam-collect names policies by ARN.
fn ids(reading: &mut Reading<'_>, value: Value<'_, '_>, name: &str) -> Vec<Arc<str>> {
    let arns = reading.strings(value, name).unwrap_or_default();
    arns.iter().filter_map(|arn| arn.rsplit('/').next()).map(|id| reading.keep(id)).collect()
}

fn organisation(reading: &mut Reading<'_>, root: Value<'_, '_>, id: &Arc<str>, parts: &[&str]) {
    match parts {
        ["metadata"] => described(reading, root, id),
        ["accounts"] => accounts(reading, root, id),
        ["ous"] => units(reading, root, id),
        ["delegated-admins"] => delegated(reading, root, id),
        ["policy"] => {
            reading.kind = Some(Kind::OrganisationPolicy);
            let policy = reading.policy(root);
            reading.push(root, Record::OrgResourcePolicy(policy));
        }
        [kind @ ("scps" | "rcps"), _, file @ ("metadata" | "policy")] => {
            reading.kind = Some(if *kind == "scps" { Kind::Scps } else { Kind::Rcps });
            let directory = Arc::clone(&reading.hints.directory);
            let piece = if *file == "policy" {
                match reading.policy(root) {
                    Some(policy) => Piece::Policy(policy),
                    None => return,
                }
            } else {
                let Some(arn) = reading.needed(root, "arn") else { return };
                let kind = if *kind == "scps" { OrgPolicyKind::Scp } else { OrgPolicyKind::Rcp };
                Piece::OrgPolicy {
                    organisation: Arc::clone(id),
                    policy: Box::new(OrgPolicy {
                        id: arn.rsplit('/').next().unwrap_or_default().into(),
                        kind,
                        name: reading.own(root, "name"),
                        arn: Some(arn),
                        aws_managed: reading.bool(root, "awsManaged").unwrap_or(false),
                        document: None,
                    }),
                }
            };
            reading.push(root, Record::Piece { directory, piece });
        }
        _ => {}
    }
}

fn described(reading: &mut Reading<'_>, root: Value<'_, '_>, id: &Arc<str>) {
    reading.kind = Some(Kind::Organisation);
    let management = reading.account_id(root, "rootAccountId");
    let mut types = Vec::new();
    let fields = present(root, "features").map(|features| features.fields()).unwrap_or_default();
    for (name, on) in fields {
        if on.bool() == Some(true) {
            let kind = match &*name {
                "SERVICE_CONTROL_POLICY" => OrgPolicyKind::Scp,
                "RESOURCE_CONTROL_POLICY" => OrgPolicyKind::Rcp,
                _ => OrgPolicyKind::Other(reading.keep(&name)),
            };
            types.push(PolicyTypeState { kind, status: reading.keep("ENABLED") });
        }
    }
    types.sort_by(|a, b| a.kind.cmp(&b.kind));
    // There are types of policies only where all features are on.
    let feature_set = (!types.is_empty()).then(|| reading.keep("ALL"));
    reading.push(root, Record::Organisation { id: Arc::clone(id), management, feature_set });
    if let Some(top) = reading.own(root, "rootOu") {
        let mut node = node(top, NodeKind::Root);
        node.policy_types = types;
        reading.push(root, Record::Node { organisation: Some(Arc::clone(id)), node });
    }
}

fn node(id: Arc<str>, kind: NodeKind) -> Node {
    Node { id, kind, name: None, arn: None, parent: None, scps: None, rcps: None, policy_types: Vec::new() }
}

fn hang(reading: &mut Reading<'_>, at: Value<'_, '_>, target: Arc<str>) {
    let mut policies = ids(reading, at, "scps");
    policies.extend(ids(reading, at, "rcps"));
    reading.push(at, Record::OrgTarget { target: Some(target), policies, whole: true });
}

fn accounts(reading: &mut Reading<'_>, root: Value<'_, '_>, id: &Arc<str>) {
    reading.kind = Some(Kind::Members);
    for (number, value) in root.fields() {
        let Ok(account) = number.parse() else {
            reading.wrong(value, "an account number as its name");
            continue;
        };
        let member = Member {
            id: account,
            name: None,
            email: None,
            state: MemberState::Unknown,
            joined: None,
            parent: reading.own(value, "ou"),
            scps: None,
            rcps: None,
        };
        reading.push(value, Record::Member { organisation: Arc::clone(id), member });
        hang(reading, value, number.as_ref().into());
    }
    let whole = root.is_whole();
    reading.push(root, Record::MembersListed { organisation: Some(Arc::clone(id)), whole });
}

fn units(reading: &mut Reading<'_>, root: Value<'_, '_>, id: &Arc<str>) {
    reading.kind = Some(Kind::Tree);
    for (name, value) in root.fields() {
        let unit: Arc<str> = name.as_ref().into();
        let kind = if unit.starts_with("r-") { NodeKind::Root } else { NodeKind::Unit };
        let mut node = node(Arc::clone(&unit), kind);
        node.parent = reading.own(value, "parent");
        reading.push(value, Record::Node { organisation: Some(Arc::clone(id)), node });
        hang(reading, value, unit);
    }
}

/// Accounts by service. None at all is what iam-collect writes where it was refused, too: it proves nothing.
fn delegated(reading: &mut Reading<'_>, root: Value<'_, '_>, id: &Arc<str>) {
    reading.kind = Some(Kind::Delegations);
    let mut delegations = Vec::new();
    for (service, accounts) in root.fields() {
        for account in accounts.items().filter_map(|item| item.string()?.parse().ok()) {
            let services = vec![reading.keep(&service)];
            delegations.push(Delegation { account, services: None });
            reading.push(accounts, Record::DelegatedServices { account: Some(account), services });
        }
    }
    if !delegations.is_empty() {
        delegations.sort_by_key(|delegation: &Delegation| delegation.account);
        delegations.dedup();
        let organisation = Some(Arc::clone(id));
        reading.push(root, Record::Delegations { organisation, delegations, whole: root.is_whole() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_what_a_file_is_about() {
        let Some(Layout::Resource { account, service, region, kind, file }) =
            layout("data/aws/aws/accounts/111122223333/kms/eu-west-1/key/1234abcd/metadata.json")
        else {
            panic!("a resource")
        };
        assert_eq!(account.to_string(), "111122223333");
        assert_eq!(
            (&*service, region.as_deref(), &*kind, &*file),
            ("kms", Some("eu-west-1"), "key", "metadata")
        );
        let bucket = layout("aws/aws/accounts/111122223333/s3/logs-444455556666/policy.json").unwrap();
        assert!(matches!(&bucket, Layout::Resource { kind, region: None, .. } if kind.is_empty()));
        let path = "aws/aws/accounts/111122223333/s3/logs-444455556666/policy.json";
        assert_eq!(hints(path, &bucket).account().unwrap().to_string(), "111122223333");
        assert!(matches!(
            layout("aws/aws/accounts/111122223333/iam/aws/policy/readonlyaccess/metadata.json"),
            Some(Layout::Resource { kind, .. }) if &*kind == "aws/policy"
        ));
        assert_eq!(layout("aws/aws/indexes/accounts-to-orgs.json"), Some(Layout::Other));
        assert_eq!(layout("aws/aws/accounts/111122223333/organization.json"), Some(Layout::Other));
        assert_eq!(layout("aws/111122223333/eu-west-1/kms/list-keys.json"), None);
    }
}
