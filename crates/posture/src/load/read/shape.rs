//! Which reader a document is for.

use super::reading::{Reading, present, shown};
use super::{backup, cloudtrail, compute, iam, kms, organizations, policies, ram, s3, sso};
use crate::estate::ProblemKind;
use crate::load::json::{Kind as Json, Value};

/// Reads one document, or each document of a list of them.
pub(crate) fn document(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    match root.kind() {
        Json::Object => object(reading, root),
        Json::Array => {
            let mut recognised = false;
            for item in root.items() {
                if item.kind() == Json::Object {
                    recognised = true;
                    object(reading, item);
                }
            }
            if !recognised && root.items().next().is_some() {
                unrecognised(reading, root, "a list of something else than documents");
            }
        }
        _ => unrecognised(reading, root, "a single value"),
    }
    reading.kind = None;
    reading.account = None;
}

/// What reads a document, or an entry of a list.
pub(super) type Reader = fn(&mut Reading<'_>, Value<'_, '_>);

/// A field that only one kind of answer has, and the reader for it.
const BY_FIELD: &[(&str, Reader)] = &[
    ("StrongroomCollection", policies::collected),
    ("UserDetailList", iam::authorization_details),
    ("GroupDetailList", iam::authorization_details),
    ("RoleDetailList", iam::authorization_details),
    ("OpenIDConnectProviderList", iam::oidc_list),
    ("ClientIDList", iam::oidc_details),
    ("SAMLProviderList", iam::saml_list),
    ("SAMLMetadataDocument", iam::passed_over),
    ("InstanceProfiles", iam::instance_profiles),
    ("SummaryMap", iam::account_summary),
    ("EnabledFeatures", iam::organizations_features),
    ("KeyMetadata", kms::describe_key),
    ("Keys", kms::list_keys),
    ("Aliases", kms::list_aliases),
    ("Grants", kms::list_grants),
    ("KeyRotationEnabled", kms::rotation),
    ("Organization", organizations::organisation),
    ("Roots", organizations::roots),
    ("OrganizationalUnits", organizations::units),
    ("OrganizationalUnit", organizations::unit),
    ("Children", organizations::children),
    ("Parents", organizations::parents),
    ("Targets", organizations::targets),
    ("DelegatedAdministrators", organizations::delegated_administrators),
    ("DelegatedServices", organizations::delegated_services),
    ("EnabledServicePrincipals", organizations::trusted_services),
    ("Buckets", s3::list_buckets),
    ("ObjectLockConfiguration", s3::object_lock),
    ("PublicAccessBlockConfiguration", s3::public_access_block),
    ("ServerSideEncryptionConfiguration", s3::encryption),
    ("BackupVaultList", backup::list_vaults),
    ("RecoveryPoints", backup::recovery_points),
    ("BackupVaultArn", backup::vault),
    ("PermissionSets", sso::permission_sets),
    ("PermissionSet", sso::permission_set),
    ("AccountAssignments", sso::assignments),
    ("AttachedManagedPolicies", sso::managed_policies),
    ("CustomerManagedPolicyReferences", sso::customer_policies),
    ("InlinePolicy", sso::inline_policy),
    ("PermissionsBoundary", sso::boundary),
    ("AccountIds", sso::accounts),
    ("GroupMemberships", sso::memberships),
    ("resourceShares", ram::shares),
    ("resourceShareAssociations", ram::associations),
    ("Functions", compute::functions),
    ("Reservations", compute::instances),
    ("taskDefinition", compute::task_definition),
    ("taskDefinitionArns", compute::passed_over),
    ("projects", compute::build_projects),
    ("Jobs", compute::glue_jobs),
    ("DevEndpoints", compute::glue_endpoints),
    ("NotebookInstanceArn", compute::notebook),
    ("NotebookInstances", compute::notebooks),
    ("Stacks", compute::stacks),
    ("StackSet", compute::stack_set),
    ("Service", compute::app_runner),
    ("ServiceSummaryList", compute::app_runner_services),
    ("trailList", cloudtrail::trails),
    ("EventSelectors", cloudtrail::selectors),
    ("AdvancedEventSelectors", cloudtrail::selectors),
    ("IsLogging", cloudtrail::status),
    ("Regions", compute::regions),
];

fn object(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    if let Some((name, offset)) = root.duplicate() {
        reading.trouble(offset, ProblemKind::DuplicateField, format!("`{}`", shown(name)));
    }
    reading.kind = None;
    reading.account = None;
    match by_several_fields(reading, root).or_else(|| by_one_field(root)) {
        Some(reader) => reader(reading, root),
        None => {
            let names: Vec<_> = root.fields().iter().take(5).map(|(name, _)| shown(name)).collect();
            let detail = match names.as_slice() {
                [] => "an empty object".into(),
                names => format!("an object with {}", names.join(", ")),
            };
            unrecognised(reading, root, &detail);
        }
    }
}

fn by_one_field(root: Value<'_, '_>) -> Option<Reader> {
    BY_FIELD.iter().find(|(name, _)| root.get(name).is_some()).map(|(_, reader)| *reader)
}

/// Answers whose fields share their names with answers of other services.
fn by_several_fields(reading: &Reading<'_>, root: Value<'_, '_>) -> Option<Reader> {
    let has = |name: &str| present(root, name).is_some();
    // A field of the first entry of a list tells what it is a list of.
    let first = |list: &str, name: &str| {
        root.get(list).and_then(|list| list.items().next()).is_some_and(|item| item.get(name).is_some())
    };
    let empty = |list: &str| {
        root.get(list).is_some_and(|list| list.kind() == Json::Array && list.items().next().is_none())
    };
    if has("BackupVaultArn") && has("Policy") {
        return Some(backup::vault_policy);
    }
    if has("Policy") {
        return Some(policies::policy);
    }
    if has("ResourcePolicy")
        && root.get("ResourcePolicy").is_some_and(|policy| policy.get("Content").is_some())
    {
        return Some(organizations::resource_policy);
    }
    if has("UserDetailList")
        || has("GroupDetailList")
        || has("RoleDetailList")
        || first("Policies", "PolicyVersionList")
    {
        return Some(iam::authorization_details);
    }
    if first("Policies", "Type") || empty("Policies") {
        return Some(organizations::policies);
    }
    if first("Accounts", "Arn") || empty("Accounts") {
        return Some(organizations::accounts);
    }
    if first("Instances", "IdentityStoreId") || empty("Instances") {
        return Some(sso::instances);
    }
    if first("Groups", "IdentityStoreId") || first("Users", "IdentityStoreId") {
        return Some(sso::directory);
    }
    // `iam list-users` and `list-groups` have the same names. The authorization details say all of theirs.
    if first("Groups", "Arn") || first("Users", "Arn") {
        return Some(iam::passed_over);
    }
    if empty("Groups") || empty("Users") {
        return Some(if reading.hints.parts.iter().any(|part| **part == *"iam") {
            iam::passed_over
        } else {
            sso::directory
        });
    }
    if first("Tags", "TagKey")
        || (empty("Tags") && has("Truncated"))
        || (empty("Tags") && reading.hints.key().is_some())
    {
        return Some(kms::tags);
    }
    if has("PolicyNames") && (reading.hints.key().is_some() || has("Truncated") || has("KeyId")) {
        return Some(kms::policy_names);
    }
    if first("Summaries", "StackSetName") || (empty("Summaries") && has("Summaries")) {
        return Some(compute::stack_sets);
    }
    if first("resources", "resourceShareArn") || first("principals", "resourceShareArn") {
        return Some(ram::entities);
    }
    if has("UserId") && has("Account") && has("Arn") {
        return Some(iam::caller);
    }
    s3::is_versioning(root).then_some(s3::versioning as Reader)
}

fn unrecognised(reading: &mut Reading<'_>, root: Value<'_, '_>, detail: &str) {
    reading.trouble(root.offset(), ProblemKind::Unrecognised, detail);
}
