//! AWS Backup.

use std::sync::Arc;

use super::reading::{Reading, present};
use crate::estate::{Arn, BackupVault, Kind, RecoveryPoint};
use crate::load::json::Value;
use crate::load::record::Record;

/// `backup list-backup-vaults`.
pub(super) fn list_vaults(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Vaults);
    let mut place = None;
    for item in reading.objects_of(root, "BackupVaultList") {
        if let Some(arn) = one_vault(reading, item) {
            place = Arn::parse(&arn).and_then(|arn| Some((arn.account()?, Arc::from(arn.region))));
        }
    }
    let (account, region) = place.unzip();
    reading.listed(root, Kind::Vaults, account, region);
}

/// `backup describe-backup-vault`.
pub(super) fn vault(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Vaults);
    one_vault(reading, root);
}

fn one_vault(reading: &mut Reading<'_>, value: Value<'_, '_>) -> Option<Arc<str>> {
    let (arn, account) = reading.arn(value, "BackupVaultArn")?;
    reading.account = Some(account);
    let region = Arn::parse(&arn).map_or("", |arn| arn.region);
    let vault = BackupVault {
        name: reading.needed(value, "BackupVaultName")?,
        region: reading.keep(region),
        kind: reading.shared(value, "VaultType"),
        key: reading.own(value, "EncryptionKeyArn"),
        locked: reading.bool(value, "Locked"),
        lock_date: reading.time(value, "LockDate"),
        min_retention_days: reading.number(value, "MinRetentionDays"),
        max_retention_days: reading.number(value, "MaxRetentionDays"),
        recovery_point_count: reading.number(value, "NumberOfRecoveryPoints"),
        policy: None,
        recovery_points: None,
        arn: Arc::clone(&arn),
    };
    reading.push(value, Record::Vault(Box::new(vault)));
    Some(arn)
}

/// `backup get-backup-vault-access-policy`.
pub(super) fn vault_policy(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::VaultPolicies);
    let Some((vault, account)) = reading.arn(root, "BackupVaultArn") else { return };
    reading.account = Some(account);
    if let Some(policy) = reading.policy_of(root, "Policy") {
        reading.push(root, Record::VaultPolicy { vault, policy: Some(policy) });
    }
}

/// `backup list-recovery-points-by-backup-vault`.
pub(super) fn recovery_points(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::RecoveryPoints);
    let whole = reading.is_whole(root);
    let mut vault = reading.own(root, "BackupVaultArn");
    let mut points = Vec::new();
    for item in reading.objects_of(root, "RecoveryPoints") {
        let Some(arn) = reading.needed(item, "RecoveryPointArn") else { continue };
        vault = vault.or_else(|| reading.own(item, "BackupVaultArn"));
        points.push(RecoveryPoint {
            arn,
            resource: reading.own(item, "ResourceArn"),
            key: reading.shared(item, "EncryptionKeyArn"),
            status: reading.shared(item, "Status"),
            deletes_at: present(item, "CalculatedLifecycle").and_then(|life| reading.time(life, "DeleteAt")),
        });
    }
    points.sort();
    reading.push(root, Record::RecoveryPoints { vault, points, whole });
}
