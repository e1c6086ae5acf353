//! S3.

use super::reading::{Reading, present};
use crate::estate::{Kind, LockMode, ObjectLock, Period, ProblemKind, PublicAccessBlock, Versioning};
use crate::load::json::Value;
use crate::load::record::Record;

/// `s3api list-buckets`.
pub(super) fn list_buckets(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Buckets);
    for item in reading.objects_of(root, "Buckets") {
        let Some(name) = reading.needed(item, "Name") else { continue };
        let region = reading.shared(item, "BucketRegion");
        reading.push(item, Record::Bucket { name, region });
    }
    reading.listed(root, Kind::Buckets, None, None);
}

/// Whether this is `s3api get-bucket-versioning`, which has no name that is its own.
pub(super) fn is_versioning(root: Value<'_, '_>) -> bool {
    let fields = root.fields();
    !fields.is_empty()
        && fields.iter().all(|(name, value)| match &**name {
            "Status" => value.string().is_some_and(|text| text == "Enabled" || text == "Suspended"),
            "MFADelete" => value.string().is_some_and(|text| text == "Enabled" || text == "Disabled"),
            "Bucket" => true,
            _ => false,
        })
        && fields.iter().any(|(name, _)| name != "Bucket")
}

/// `s3api get-bucket-versioning`.
pub(super) fn versioning(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::BucketVersioning);
    let bucket = reading.own(root, "Bucket");
    let mfa_delete = reading.string(root, "MFADelete").as_deref() == Some("Enabled");
    let versioning = match reading.string(root, "Status").as_deref() {
        Some("Enabled") => Versioning::Enabled { mfa_delete },
        Some(_) => Versioning::Suspended,
        None => Versioning::Off,
    };
    reading.push(root, Record::BucketVersioning { bucket, versioning });
}

/// `s3api get-object-lock-configuration`.
pub(super) fn object_lock(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::ObjectLocks);
    let bucket = reading.own(root, "Bucket");
    let Some(value) = present(root, "ObjectLockConfiguration") else { return };
    let enabled = reading.string(value, "ObjectLockEnabled").as_deref() == Some("Enabled");
    let retention = present(value, "Rule").and_then(|rule| present(rule, "DefaultRetention"));
    let default = retention.and_then(|retention| {
        let mode = match reading.string(retention, "Mode").as_deref() {
            Some("COMPLIANCE") => LockMode::Compliance,
            Some("GOVERNANCE") => LockMode::Governance,
            _ => {
                reading.trouble(
                    retention.offset(),
                    ProblemKind::Missing,
                    "`Mode`, as COMPLIANCE or GOVERNANCE",
                );
                return None;
            }
        };
        let mut number =
            |name: &str| reading.number(retention, name).and_then(|number| u32::try_from(number).ok());
        let period = number("Days").map(Period::Days).or_else(|| number("Years").map(Period::Years))?;
        Some((mode, period))
    });
    reading.push(root, Record::BucketLock { bucket, lock: enabled.then_some(ObjectLock { default }) });
}

/// `s3api get-public-access-block`.
pub(super) fn public_access_block(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Buckets);
    let bucket = reading.own(root, "Bucket");
    let Some(value) = present(root, "PublicAccessBlockConfiguration") else { return };
    let mut flag = |name: &str| reading.bool(value, name).unwrap_or(false);
    let block = PublicAccessBlock {
        block_acls: flag("BlockPublicAcls"),
        ignore_acls: flag("IgnorePublicAcls"),
        block_policy: flag("BlockPublicPolicy"),
        restrict: flag("RestrictPublicBuckets"),
    };
    reading.push(root, Record::BucketAccess { bucket, block: Some(block) });
}

/// `s3api get-bucket-encryption`.
pub(super) fn encryption(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Buckets);
    let bucket = reading.own(root, "Bucket");
    let Some(value) = present(root, "ServerSideEncryptionConfiguration") else { return };
    let mut keys = Vec::new();
    for rule in reading.objects_of(value, "Rules") {
        if let Some(rule) = present(rule, "ApplyServerSideEncryptionByDefault") {
            keys.extend(reading.own(rule, "KMSMasterKeyID"));
        }
    }
    keys.sort();
    reading.push(root, Record::BucketKeys { bucket, keys });
}
