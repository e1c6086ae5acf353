//! IAM.

use std::sync::Arc;

use super::reading::{Reading, present};
use super::shape::Reader;
use crate::estate::{
    AccountId, Group, InstanceProfile, Kind, ManagedPolicy, NamedPolicy, PolicyVersion, ProblemKind,
    Provider, ProviderKind, Role, User,
};
use crate::load::json::Value;
use crate::load::record::Record;

/// `iam get-account-authorization-details`, a page of it or all of it, with or without `--filter`.
pub(super) fn authorization_details(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    let owner = owner(root);
    reading.account = owner.or(reading.hints.account());
    let lists: [(&str, Kind, Reader); 4] = [
        ("UserDetailList", Kind::Users, user),
        ("GroupDetailList", Kind::Groups, group),
        ("RoleDetailList", Kind::Roles, role),
        ("Policies", Kind::ManagedPolicies, managed_policy),
    ];
    for (name, kind, read) in lists {
        let Some(list) = present(root, name) else { continue };
        reading.kind = Some(kind);
        for item in reading.objects(list) {
            read(reading, item);
        }
        let listed = Record::Listed { kind, account: owner, region: None, whole: reading.is_whole(root) };
        reading.push(root, listed);
    }
}

/// The account of the first user, group, role or policy that names one.
fn owner(root: Value<'_, '_>) -> Option<AccountId> {
    ["RoleDetailList", "UserDetailList", "GroupDetailList", "Policies"].iter().find_map(|list| {
        root.get(list)?.items().find_map(|item| {
            let arn = item.get("Arn")?.string()?;
            crate::estate::Arn::parse(&arn)?.account()
        })
    })
}

fn user(reading: &mut Reading<'_>, value: Value<'_, '_>) {
    let Some((arn, account)) = reading.arn(value, "Arn") else { return };
    let (Some(name), Some(id)) = (reading.needed(value, "UserName"), reading.needed(value, "UserId")) else {
        return;
    };
    let user = User {
        arn,
        name,
        path: path(reading, value),
        id,
        groups: sorted(reading.strings(value, "GroupList").unwrap_or_default()),
        inline: inline(reading, value, "UserPolicyList"),
        attached: attached(reading, value),
        boundary: boundary(reading, value),
        tags: reading.tags(value, "Tags").unwrap_or_default(),
        created: reading.time(value, "CreateDate"),
    };
    reading.push(value, Record::User(account, user));
}

fn group(reading: &mut Reading<'_>, value: Value<'_, '_>) {
    let Some((arn, account)) = reading.arn(value, "Arn") else { return };
    let (Some(name), Some(id)) = (reading.needed(value, "GroupName"), reading.needed(value, "GroupId"))
    else {
        return;
    };
    let group = Group {
        arn,
        name,
        path: path(reading, value),
        id,
        inline: inline(reading, value, "GroupPolicyList"),
        attached: attached(reading, value),
    };
    reading.push(value, Record::Group(account, group));
}

fn role(reading: &mut Reading<'_>, value: Value<'_, '_>) {
    let Some((arn, account)) = reading.arn(value, "Arn") else { return };
    let (Some(name), Some(id)) = (reading.needed(value, "RoleName"), reading.needed(value, "RoleId")) else {
        return;
    };
    let Some(trust) = present(value, "AssumeRolePolicyDocument") else {
        reading.trouble(value.offset(), ProblemKind::Missing, "`AssumeRolePolicyDocument`");
        return;
    };
    let Some(trust) = reading.policy(trust) else { return };
    let role = Role {
        arn,
        name,
        path: path(reading, value),
        id,
        trust,
        inline: inline(reading, value, "RolePolicyList"),
        attached: attached(reading, value),
        boundary: boundary(reading, value),
        tags: reading.tags(value, "Tags").unwrap_or_default(),
        created: reading.time(value, "CreateDate"),
        last_used: present(value, "RoleLastUsed").and_then(|used| reading.time(used, "LastUsedDate")),
    };
    reading.push(value, Record::Role(account, role));
    for profile in reading.objects_of(value, "InstanceProfileList") {
        instance_profile(reading, profile);
    }
}

fn managed_policy(reading: &mut Reading<'_>, value: Value<'_, '_>) {
    let (Some(arn), Some(name)) = (reading.needed(value, "Arn"), reading.needed(value, "PolicyName")) else {
        return;
    };
    let Some(default_version) = reading.shared(value, "DefaultVersionId") else {
        reading.trouble(value.offset(), ProblemKind::Missing, "`DefaultVersionId`");
        return;
    };
    let mut versions = Vec::new();
    for version in reading.objects_of(value, "PolicyVersionList") {
        let Some(id) = reading.shared(version, "VersionId") else {
            reading.trouble(version.offset(), ProblemKind::Missing, "`VersionId`");
            continue;
        };
        if let Some(document) = reading.policy_of(version, "Document") {
            versions.push(PolicyVersion { id, document });
        }
    }
    if !versions.iter().any(|version| version.id == default_version) {
        let detail = format!(
            "version {} of {}, which is in force",
            super::reading::shown(&default_version),
            super::reading::shown(&arn)
        );
        reading.trouble(value.offset(), ProblemKind::Missing, detail);
    }
    versions.sort_by(|a, b| a.id.cmp(&b.id));
    let account = crate::estate::Arn::parse(&arn).and_then(|arn| arn.account());
    let arn = reading.keep(&arn);
    let policy = ManagedPolicy {
        arn,
        name: reading.keep(&name),
        path: path(reading, value),
        id: reading.shared(value, "PolicyId"),
        default_version,
        versions,
    };
    // Policies of AWS are listed with every account that uses them.
    let account = account.or(reading.account);
    reading.push(value, Record::ManagedPolicy(account, policy));
}

fn path(reading: &mut Reading<'_>, value: Value<'_, '_>) -> Arc<str> {
    reading.shared(value, "Path").unwrap_or_else(|| reading.keep("/"))
}

fn inline(reading: &mut Reading<'_>, value: Value<'_, '_>, list: &str) -> Vec<NamedPolicy> {
    let mut policies = Vec::new();
    for item in reading.objects_of(value, list) {
        let Some(name) = reading.shared(item, "PolicyName") else {
            reading.trouble(item.offset(), ProblemKind::Missing, "`PolicyName`");
            continue;
        };
        match present(item, "PolicyDocument") {
            Some(document) => {
                if let Some(document) = reading.policy(document) {
                    policies.push(NamedPolicy { name, document });
                }
            }
            None => reading.trouble(item.offset(), ProblemKind::Missing, "`PolicyDocument`"),
        }
    }
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    policies
}

fn attached(reading: &mut Reading<'_>, value: Value<'_, '_>) -> Vec<Arc<str>> {
    let mut policies = Vec::new();
    for item in reading.objects_of(value, "AttachedManagedPolicies") {
        match reading.shared(item, "PolicyArn") {
            Some(arn) => policies.push(arn),
            None => reading.trouble(item.offset(), ProblemKind::Missing, "`PolicyArn`"),
        }
    }
    sorted(policies)
}

fn boundary(reading: &mut Reading<'_>, value: Value<'_, '_>) -> Option<Arc<str>> {
    let boundary = present(value, "PermissionsBoundary")?;
    let arn = reading.shared(boundary, "PermissionsBoundaryArn");
    if arn.is_none() {
        reading.trouble(boundary.offset(), ProblemKind::Missing, "`PermissionsBoundaryArn`");
    }
    arn
}

fn sorted(mut list: Vec<Arc<str>>) -> Vec<Arc<str>> {
    list.sort();
    list.dedup();
    list
}

/// `iam list-instance-profiles`.
pub(super) fn instance_profiles(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::InstanceProfiles);
    for profile in reading.objects_of(root, "InstanceProfiles") {
        instance_profile(reading, profile);
    }
    reading.listed(root, Kind::InstanceProfiles, None, None);
}

fn instance_profile(reading: &mut Reading<'_>, value: Value<'_, '_>) {
    let Some((arn, account)) = reading.arn(value, "Arn") else { return };
    let Some(name) = reading.needed(value, "InstanceProfileName") else { return };
    let mut roles = Vec::new();
    for role in reading.objects_of(value, "Roles") {
        roles.extend(reading.own(role, "Arn"));
    }
    reading
        .push(value, Record::InstanceProfile(account, InstanceProfile { arn, name, roles: sorted(roles) }));
}

/// `iam list-open-id-connect-providers`.
pub(super) fn oidc_list(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::OidcProviders);
    let mut owner = None;
    for item in reading.objects_of(root, "OpenIDConnectProviderList") {
        let Some((arn, account)) = reading.arn(item, "Arn") else { continue };
        owner = Some(account);
        let url = arn.split_once(":oidc-provider/").map(|(_, url)| url.into());
        let provider =
            Provider { arn, kind: ProviderKind::Oidc, url, audiences: None, valid_until: None, tags: None };
        reading.push(item, Record::Provider(account, provider));
    }
    reading.listed(root, Kind::OidcProviders, owner, None);
}

/// `iam get-open-id-connect-provider`.
pub(super) fn oidc_details(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::OidcProviders);
    let Some(url) = reading.needed(root, "Url") else { return };
    let url = url.strip_prefix("https://").unwrap_or(&url).into();
    let audiences = reading.strings(root, "ClientIDList").map(sorted);
    let tags = reading.tags(root, "Tags");
    reading.push(root, Record::OidcDetails { url, audiences, tags });
}

/// `iam list-saml-providers`.
pub(super) fn saml_list(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::SamlProviders);
    let mut owner = None;
    for item in reading.objects_of(root, "SAMLProviderList") {
        let Some((arn, account)) = reading.arn(item, "Arn") else { continue };
        owner = Some(account);
        let valid_until = reading.time(item, "ValidUntil");
        let provider =
            Provider { arn, kind: ProviderKind::Saml, url: None, audiences: None, valid_until, tags: None };
        reading.push(item, Record::Provider(account, provider));
    }
    reading.listed(root, Kind::SamlProviders, owner, None);
}

/// Answers that say nothing that is needed here.
pub(super) fn passed_over(_: &mut Reading<'_>, _: Value<'_, '_>) {}

/// `iam get-account-summary`.
pub(super) fn account_summary(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Root);
    let Some(summary) = present(root, "SummaryMap") else { return };
    let mut flag = |name: &str| reading.number(summary, name).map(|number| number > 0);
    let record = Record::RootSummary {
        access_keys: flag("AccountAccessKeysPresent"),
        mfa: flag("AccountMFAEnabled"),
        password: flag("AccountPasswordPresent"),
    };
    reading.push(root, record);
    reading.listed(root, Kind::Root, None, None);
}

/// `iam list-organizations-features`.
pub(super) fn organizations_features(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    let Some(organisation) = reading.needed(root, "OrganizationId") else { return };
    let features = sorted(reading.strings(root, "EnabledFeatures").unwrap_or_default());
    reading.push(root, Record::RootFeatures { organisation, features });
}

/// `sts get-caller-identity`.
pub(super) fn caller(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    if let Some(account) = reading.account_id(root, "Account") {
        reading.push(root, Record::Caller(account));
    }
}
