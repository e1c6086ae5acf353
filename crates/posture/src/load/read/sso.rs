//! IAM Identity Center and its directory.

use std::sync::Arc;

use super::reading::{Reading, present};
use crate::estate::{Assignment, Holder, Kind, ProblemKind, SetBoundary};
use crate::load::json::Value;
use crate::load::record::Record;

/// `sso-admin list-instances`.
pub(super) fn instances(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::SsoInstances);
    let mut owner = None;
    for item in reading.objects_of(root, "Instances") {
        let Some(arn) = reading.needed(item, "InstanceArn") else { continue };
        owner = reading.account_id(item, "OwnerAccountId").or(owner);
        let store = reading.own(item, "IdentityStoreId");
        reading.push(item, Record::SsoInstance { arn, store, owner });
    }
    reading.listed(root, Kind::SsoInstances, owner, None);
}

/// `sso-admin list-permission-sets`, or `list-permission-sets-provisioned-to-account`.
pub(super) fn permission_sets(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::PermissionSets);
    for arn in reading.strings(root, "PermissionSets").unwrap_or_default() {
        reading.push(root, Record::PermissionSetListed(arn));
    }
    reading.listed(root, Kind::PermissionSets, None, None);
}

/// `sso-admin describe-permission-set`.
pub(super) fn permission_set(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::PermissionSets);
    let Some(value) = present(root, "PermissionSet") else { return };
    let Some(arn) = reading.needed(value, "PermissionSetArn") else { return };
    let name = reading.own(value, "Name");
    reading.push(root, Record::PermissionSet { arn, name });
}

/// The permission set that a document is about, if it or the path says so.
fn set(reading: &mut Reading<'_>, root: Value<'_, '_>) -> Option<Arc<str>> {
    reading.own(root, "PermissionSetArn").or_else(|| reading.hints.permission_set().cloned())
}

/// `sso-admin list-account-assignments`.
pub(super) fn assignments(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Assignments);
    let mut assignments = Vec::new();
    let mut whole = reading.is_whole(root);
    for item in reading.objects_of(root, "AccountAssignments") {
        let (Some(account), Some(permission_set), Some(id)) = (
            reading.account_id(item, "AccountId"),
            reading.shared(item, "PermissionSetArn"),
            reading.shared(item, "PrincipalId"),
        ) else {
            whole = false;
            reading.trouble(item.offset(), ProblemKind::Missing, "account, permission set or principal");
            continue;
        };
        let holder = match reading.string(item, "PrincipalType").as_deref() {
            Some("GROUP") => Holder::Group(id),
            Some("USER") => Holder::User(id),
            _ => {
                whole = false;
                reading.trouble(item.offset(), ProblemKind::Missing, "`PrincipalType`, as GROUP or USER");
                continue;
            }
        };
        assignments.push(Assignment { account, permission_set, holder });
    }
    reading.push(root, Record::Assignments { assignments, whole });
}

/// `sso-admin list-managed-policies-in-permission-set`.
pub(super) fn managed_policies(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::PermissionSets);
    // `iam list-attached-role-policies` looks alike, but for the names of its fields.
    let mut policies = Vec::new();
    for item in reading.objects_of(root, "AttachedManagedPolicies") {
        policies.extend(reading.needed(item, "Arn"));
    }
    policies.sort();
    let (set, whole) = (set(reading, root), reading.is_whole(root));
    reading.push(root, Record::SetManaged { set, policies, whole });
}

/// `sso-admin list-customer-managed-policy-references-in-permission-set`.
pub(super) fn customer_policies(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::PermissionSets);
    let mut policies = Vec::new();
    for item in reading.objects_of(root, "CustomerManagedPolicyReferences") {
        policies.extend(reference(reading, item));
    }
    policies.sort();
    let (set, whole) = (set(reading, root), reading.is_whole(root));
    reading.push(root, Record::SetCustomer { set, policies, whole });
}

fn reference(reading: &mut Reading<'_>, value: Value<'_, '_>) -> Option<Arc<str>> {
    let name = reading.needed(value, "Name")?;
    let path = reading.string(value, "Path").unwrap_or("/".into());
    Some(format!("{path}{name}").into())
}

/// `sso-admin get-inline-policy-for-permission-set`.
pub(super) fn inline_policy(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::PermissionSets);
    let empty = root.get("InlinePolicy").is_some_and(|text| text.is_null() || text.raw().is_empty());
    let policy = if empty { None } else { reading.policy_of(root, "InlinePolicy") };
    let set = set(reading, root);
    if empty || policy.is_some() {
        reading.push(root, Record::SetInline { set, policy });
    }
}

/// `sso-admin get-permissions-boundary-for-permission-set`.
pub(super) fn boundary(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::PermissionSets);
    let Some(value) = present(root, "PermissionsBoundary") else { return };
    let boundary = match present(value, "CustomerManagedPolicyReference") {
        Some(value) => reference(reading, value).map(SetBoundary::Customer),
        None => reading.own(value, "ManagedPolicyArn").map(SetBoundary::Aws),
    };
    let set = set(reading, root);
    match boundary {
        Some(boundary) => reading.push(root, Record::SetBoundary { set, boundary: Some(boundary) }),
        None => reading.trouble(value.offset(), ProblemKind::Missing, "the policy of the boundary"),
    }
}

/// `sso-admin list-accounts-for-provisioned-permission-set`.
pub(super) fn accounts(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::PermissionSets);
    let mut whole = reading.is_whole(root);
    let mut accounts = Vec::new();
    for text in reading.strings(root, "AccountIds").unwrap_or_default() {
        match text.parse() {
            Ok(account) => accounts.push(account),
            Err(_) => {
                whole = false;
                reading.trouble(root.offset(), ProblemKind::WrongType, "an account number is not one");
            }
        }
    }
    accounts.sort_unstable();
    let set = set(reading, root);
    reading.push(root, Record::SetAccounts { set, accounts, whole });
}

/// `identitystore list-groups` and `list-users`.
pub(super) fn directory(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Directory);
    for item in reading.objects_of(root, "Groups") {
        let Some(id) = reading.needed(item, "GroupId") else { continue };
        let (store, name) = (reading.shared(item, "IdentityStoreId"), reading.own(item, "DisplayName"));
        reading.push(item, Record::DirectoryGroup { store, id, name });
    }
    for item in reading.objects_of(root, "Users") {
        let Some(id) = reading.needed(item, "UserId") else { continue };
        let (store, name) = (reading.shared(item, "IdentityStoreId"), reading.own(item, "UserName"));
        reading.push(item, Record::DirectoryUser { store, id, name });
    }
    reading.listed(root, Kind::Directory, None, None);
}

/// `identitystore list-group-memberships`.
pub(super) fn memberships(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Directory);
    for item in reading.objects_of(root, "GroupMemberships") {
        let member = present(item, "MemberId").and_then(|member| reading.own(member, "UserId"));
        let (Some(group), Some(user)) = (reading.needed(item, "GroupId"), member) else { continue };
        let store = reading.shared(item, "IdentityStoreId");
        reading.push(item, Record::Membership { store, group, user });
    }
    if reading.is_whole(root) {
        reading.push(root, Record::MembershipsListed);
    }
}
