//! KMS.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::reading::{Reading, present};
use crate::estate::{
    AccountId, Alias, Arn, Constraints, Grant, Key, KeyManager, KeyOrigin, KeyState, Kind, MultiRegion,
    Origin, ProblemKind, Replica, Rotation, Tags,
};
use crate::load::json::{Kind as Json, Value};
use crate::load::record::Record;

/// `kms list-keys`.
pub(super) fn list_keys(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Keys);
    let mut place = None;
    for item in reading.objects_of(root, "Keys") {
        let Some((arn, account)) = reading.arn(item, "KeyArn") else { continue };
        place = Some((account, region_of(&arn)));
        reading.push(item, Record::KeyListed(arn));
    }
    let (account, region) = place.unzip();
    reading.listed(root, Kind::Keys, account, region);
}

fn region_of(arn: &str) -> Arc<str> {
    Arn::parse(arn).map_or("", |arn| arn.region).into()
}

/// A key of which only the ARN is known.
pub(crate) fn bare_key(arn: &Arc<str>, account: AccountId) -> Key {
    let parts = Arn::parse(arn);
    Key {
        arn: Arc::clone(arn),
        id: parts.map_or("", |arn| arn.resource.trim_start_matches("key/")).into(),
        account,
        region: region_of(arn),
        state: None,
        origin: None,
        manager: None,
        spec: None,
        usage: None,
        description: None,
        created: None,
        deletion: None,
        pending_window_days: None,
        material_expires: None,
        key_store: None,
        multi_region: None,
        tags: None,
        rotation: None,
        policies: BTreeMap::new(),
        policy_names: None,
        grants: None,
        aliases: None,
    }
}

/// `kms describe-key`.
pub(super) fn describe_key(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::KeyDescriptions);
    let Some(value) = present(root, "KeyMetadata") else { return };
    if !value.is_whole() {
        return;
    }
    let Some((arn, account)) = reading.arn(value, "Arn") else { return };
    reading.account = Some(account);
    let mut key = bare_key(&arn, account);
    key.state = reading.shared(value, "KeyState").map(|state| match &*state {
        "Creating" => KeyState::Creating,
        "Enabled" => KeyState::Enabled,
        "Disabled" => KeyState::Disabled,
        "PendingDeletion" => KeyState::PendingDeletion,
        "PendingImport" => KeyState::PendingImport,
        "PendingReplicaDeletion" => KeyState::PendingReplicaDeletion,
        "Unavailable" => KeyState::Unavailable,
        "Updating" => KeyState::Updating,
        _ => KeyState::Other(state),
    });
    key.origin = reading.shared(value, "Origin").map(|origin| match &*origin {
        "AWS_KMS" => KeyOrigin::AwsKms,
        "EXTERNAL" => KeyOrigin::External,
        "AWS_CLOUDHSM" => KeyOrigin::CloudHsm,
        "EXTERNAL_KEY_STORE" => KeyOrigin::ExternalKeyStore,
        _ => KeyOrigin::Other(origin),
    });
    key.manager = match reading.string(value, "KeyManager").as_deref() {
        Some("AWS") => Some(KeyManager::Aws),
        Some("CUSTOMER") => Some(KeyManager::Customer),
        _ => None,
    };
    key.spec = reading.shared(value, "KeySpec").or_else(|| reading.shared(value, "CustomerMasterKeySpec"));
    key.usage = reading.shared(value, "KeyUsage");
    key.description = reading.own(value, "Description").filter(|text| !text.is_empty());
    key.created = reading.time(value, "CreationDate");
    key.deletion = reading.time(value, "DeletionDate");
    key.pending_window_days =
        reading.number(value, "PendingDeletionWindowInDays").and_then(|days| days.try_into().ok());
    key.material_expires = reading.time(value, "ValidTo");
    key.key_store = reading.shared(value, "CustomKeyStoreId");
    if reading.bool(value, "MultiRegion") == Some(true) {
        key.multi_region = Some(multi_region(reading, value));
    }
    if key.state.is_none() {
        reading.trouble(value.offset(), ProblemKind::Missing, "`KeyState`");
    }
    reading.push(value, Record::Key(Box::new(key)));
}

fn multi_region(reading: &mut Reading<'_>, value: Value<'_, '_>) -> MultiRegion {
    let Some(value) = present(value, "MultiRegionConfiguration") else {
        reading.trouble(value.offset(), ProblemKind::Missing, "`MultiRegionConfiguration`");
        return MultiRegion { primary: true, primary_key: None, replicas: Vec::new() };
    };
    let primary = reading.string(value, "MultiRegionKeyType").as_deref() != Some("REPLICA");
    let replica = |reading: &mut Reading<'_>, value| {
        let (arn, region) = (reading.own(value, "Arn")?, reading.shared(value, "Region")?);
        Some(Replica { arn, region })
    };
    let primary_key = present(value, "PrimaryKey").and_then(|value| replica(reading, value));
    let mut replicas = Vec::new();
    for item in reading.objects_of(value, "ReplicaKeys") {
        replicas.extend(replica(reading, item));
    }
    replicas.sort_by(|a, b| a.arn.cmp(&b.arn));
    MultiRegion { primary, primary_key, replicas }
}

/// `kms list-aliases`.
pub(super) fn list_aliases(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Aliases);
    let mut place = None;
    for item in reading.objects_of(root, "Aliases") {
        let Some((arn, account)) = reading.arn(item, "AliasArn") else { continue };
        let Some(name) = reading.needed(item, "AliasName") else { continue };
        place = Some((account, region_of(&arn)));
        let target = reading.own(item, "TargetKeyId");
        reading.push(item, Record::Alias { alias: Alias { name, arn }, target });
    }
    let (account, region) = place.unzip();
    reading.listed(root, Kind::Aliases, account, region);
}

/// The key that a document names itself, beside what AWS writes: some collectors add it.
pub(super) fn named_key(reading: &mut Reading<'_>, root: Value<'_, '_>) -> Option<Arc<str>> {
    ["KeyArn", "KeyId", "Arn"].iter().find_map(|name| reading.own(root, name))
}

/// `kms list-resource-tags`.
pub(super) fn tags(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::KeyTags);
    let whole = reading.is_whole(root);
    let key = named_key(reading, root);
    let tags = reading.tags(root, "Tags").unwrap_or_default();
    reading.push(root, Record::KeyTags { key, tags, whole });
}

/// `kms get-key-rotation-status`.
pub(super) fn rotation(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::KeyRotation);
    let Some(enabled) = reading.bool(root, "KeyRotationEnabled") else { return };
    let period_days = reading.number(root, "RotationPeriodInDays").and_then(|days| days.try_into().ok());
    let key = named_key(reading, root);
    reading.push(root, Record::KeyRotation { key, rotation: Rotation { enabled, period_days } });
}

/// `kms list-key-policies`.
pub(super) fn policy_names(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::KeyPolicies);
    let whole = reading.is_whole(root);
    let key = named_key(reading, root);
    let mut names = reading.strings(root, "PolicyNames").unwrap_or_default();
    names.sort();
    reading.push(root, Record::KeyPolicyNames { key, names, whole });
}

/// `kms list-grants`, or `list-retirable-grants`, which are never the whole of a key's.
pub(super) fn list_grants(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Grants);
    let whole = reading.is_whole(root);
    let key = named_key(reading, root);
    let mut by_key: BTreeMap<Option<Arc<str>>, Vec<Grant>> = BTreeMap::new();
    let mut lost = false;
    for item in reading.objects_of(root, "Grants") {
        let of = reading.shared(item, "KeyId").or_else(|| key.clone());
        match grant(reading, item) {
            Some(grant) => by_key.entry(of).or_default().push(grant),
            None => lost = true,
        }
    }
    if by_key.is_empty() {
        by_key.insert(key, Vec::new());
    }
    let whole = whole && !lost && by_key.len() == 1;
    for (key, mut grants) in by_key {
        grants.sort_by(|a, b| a.id.cmp(&b.id));
        reading.push(root, Record::Grants { key, grants, whole });
    }
}

fn grant(reading: &mut Reading<'_>, value: Value<'_, '_>) -> Option<Grant> {
    let id = reading.needed(value, "GrantId")?;
    let Some(mut operations) = reading.strings(value, "Operations") else {
        reading.trouble(value.offset(), ProblemKind::Missing, "`Operations`");
        return None;
    };
    operations.sort();
    let grant = Grant {
        id,
        name: reading.own(value, "Name").filter(|name| !name.is_empty()),
        grantee: reading.shared(value, "GranteePrincipal"),
        grantee_service: reading.shared(value, "GranteeServicePrincipal"),
        retiring: reading.shared(value, "RetiringPrincipal"),
        retiring_service: reading.shared(value, "RetiringServicePrincipal"),
        issuing_account: reading.shared(value, "IssuingAccount"),
        operations,
        constraints: present(value, "Constraints").map(|value| constraints(reading, value)),
        created: reading.time(value, "CreationDate"),
        origin: Origin { file: Arc::clone(reading.file), line: reading.lines.line(value.offset()) },
    };
    if grant.grantee.is_none() && grant.grantee_service.is_none() {
        reading.trouble(value.offset(), ProblemKind::Missing, "`GranteePrincipal`");
        return None;
    }
    Some(grant)
}

fn constraints(reading: &mut Reading<'_>, value: Value<'_, '_>) -> Constraints {
    let mut pairs = |name: &str| {
        let value = present(value, name)?;
        if value.kind() != Json::Object {
            reading.wrong(value, "an encryption context");
        }
        let mut pairs = Tags::new();
        for (name, held) in value.fields() {
            match held.string() {
                Some(text) => pairs.push((reading.keep(&name), reading.keep(&text))),
                None => reading.wrong(held, "a string"),
            }
        }
        pairs.sort();
        Some(pairs)
    };
    let (subset, equals) = (pairs("EncryptionContextSubset"), pairs("EncryptionContextEquals"));
    Constraints { subset, equals, source_arn: reading.shared(value, "SourceArn") }
}
