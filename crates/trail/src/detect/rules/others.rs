//! Transit, Google Cloud, Azure.

use super::{AT_ONCE, NOTHING_YET, SIGHT, always, rule};
use crate::{
    detect::{
        Options, Rule,
        Severity::{Critical, High},
    },
    event::{Event, Provider},
};
use serde_json::Value;

fn raises_minimum(event: &Event, _: &Options) -> bool {
    event.name.ends_with("/config") && has_parameter(event, "min_decryption_version")
}

fn allows_deletion(event: &Event, _: &Options) -> bool {
    event.name.ends_with("/config") && has_parameter(event, "deletion_allowed")
}

fn allows_export(event: &Event, _: &Options) -> bool {
    event.name.ends_with("/config")
        && (has_parameter(event, "exportable") || has_parameter(event, "allow_plaintext_backup"))
}

fn has_parameter(event: &Event, name: &str) -> bool {
    let value = event.parameters.get("request").and_then(|request| request.get(name));
    value.is_some_and(|value| *value != Value::Bool(false) && !value.is_null())
}

fn ends_with_soft_delete(event: &Event, _: &Options) -> bool {
    event.name.ends_with("/soft-delete")
}

fn ends_with_trim(event: &Event, _: &Options) -> bool {
    event.name.ends_with("/trim")
}

fn is_transit_export(event: &Event, _: &Options) -> bool {
    ["/export/", "/byok-export/", "/backup/"].iter().any(|part| event.name.contains(part))
}

/// Mounting something new takes nothing away.
fn is_no_new_mount(event: &Event, _: &Options) -> bool {
    !event.name.starts_with("update sys/mounts/") || event.name.ends_with("/tune")
}

fn is_a_key(event: &Event, _: &Options) -> bool {
    event.name.contains("/keys/") && !event.name.ends_with("/soft-delete")
}

fn disables_version(event: &Event, _: &Options) -> bool {
    let text = event.parameters.to_string();
    text.contains("DISABLED") || text.contains("DESTROY")
}

/// Rules for the others.
pub(super) static RULES: &[Rule] = &[
    rule!(
        "transit-key-deleted",
        Critical,
        Transit,
        "transit",
        ["delete *"],
        is_a_key,
        "a Transit key was deleted",
        "Transit deletes keys at once.",
        "Every snapshot whose read key only this key could open, for ever.",
        "bao read {key}  # nothing brings it back but a restored backup of the key or of the server"
    ),
    rule!(
        "transit-key-soft-deleted",
        Critical,
        Transit,
        "transit",
        ["delete *"],
        ends_with_soft_delete,
        "a Transit key was soft-deleted",
        "It cannot be used until it is restored.",
        AT_ONCE,
        "bao write -f $(dirname {key})/keys/$(basename {key})/soft-delete-restore"
    ),
    rule!(
        "transit-deletion-allowed",
        High,
        Transit,
        "transit",
        ["*"],
        allows_deletion,
        "a Transit key may be deleted now",
        "One more call, and it is gone.",
        NOTHING_YET,
        "bao write $(dirname {key})/keys/$(basename {key})/config deletion_allowed=false"
    ),
    rule!(
        "transit-minimum-raised",
        Critical,
        Transit,
        "transit",
        ["*"],
        raises_minimum,
        "older versions of a Transit key are refused",
        "What was wrapped with them cannot be opened.",
        AT_ONCE,
        "bao write $(dirname {key})/keys/$(basename {key})/config min_decryption_version=1"
    ),
    rule!(
        "transit-key-trimmed",
        Critical,
        Transit,
        "transit",
        ["*"],
        ends_with_trim,
        "older versions of a Transit key were destroyed",
        "They are gone.",
        "What was wrapped with them, for ever.",
        "bao read $(dirname {key})/keys/$(basename {key})"
    ),
    rule!(
        "transit-key-exportable",
        High,
        Transit,
        "transit",
        ["*"],
        allows_export,
        "a Transit key may leave the server",
        "This cannot be taken back.",
        "Secrecy.",
        "strongroom key revoke  # and wrap for a key that cannot be exported"
    ),
    rule!(
        "transit-key-exported",
        Critical,
        Transit,
        "transit",
        ["read *"],
        is_transit_export,
        "a Transit key left the server",
        "Whoever asked holds a copy of the key, which no log sees used.",
        "Secrecy of everything that it wraps.",
        "strongroom key revoke  # then: strongroom key rekey"
    ),
    rule!(
        "transit-mount-removed",
        Critical,
        Transit,
        "transit",
        ["delete sys/mounts/*", "update sys/remount*", "update sys/mounts/*"],
        is_no_new_mount,
        "a secrets engine was removed, moved or changed",
        "Its keys are gone, or are called otherwise.",
        AT_ONCE,
        "bao secrets list -detailed"
    ),
    rule!(
        "audit-device-changed",
        Critical,
        Transit,
        "transit",
        ["delete sys/audit/*", "update sys/audit/*"],
        always,
        "an audit device was switched off, or another one on",
        "What its lines hide can never be checked again: the salt is gone.",
        SIGHT,
        "bao audit list -detailed"
    ),
    rule!(
        "transit-sealed",
        Critical,
        Transit,
        "transit",
        ["update sys/seal"],
        always,
        "the server was sealed",
        "It answers nobody until it is unsealed.",
        AT_ONCE,
        "bao operator unseal"
    ),
    rule!(
        "transit-policy-changed",
        High,
        Transit,
        "transit",
        ["update sys/policies/*", "update sys/policy/*", "delete sys/policies/*", "delete sys/policy/*"],
        always,
        "a policy of the server was changed",
        "Who may use and manage the keys is not what it was.",
        "Whatever the new policy allows.",
        "bao policy list"
    ),
    rule!(
        "gcp-key-destroyed",
        Critical,
        Gcp,
        "cloudkms.googleapis.com",
        ["DestroyCryptoKeyVersion"],
        always,
        "a key version is to be destroyed",
        "It is unusable at once, and is gone after its waiting time.",
        AT_ONCE,
        "gcloud kms keys versions restore … --key {key}"
    ),
    rule!(
        "gcp-key-disabled",
        Critical,
        Gcp,
        "cloudkms.googleapis.com",
        ["UpdateCryptoKeyVersion"],
        disables_version,
        "a key version was disabled",
        "Nobody can use it until it is enabled again.",
        AT_ONCE,
        "gcloud kms keys versions enable … --key {key}"
    ),
    rule!(
        "gcp-key-policy-changed",
        High,
        Gcp,
        "cloudkms.googleapis.com",
        ["SetIamPolicy"],
        always,
        "a key's policy was changed",
        "Who may use the key is not what it was.",
        "Whatever the new policy allows.",
        "gcloud kms keys get-iam-policy {key}"
    ),
    rule!(
        "azure-key-deleted",
        Critical,
        Azure,
        "vault.azure.net",
        ["KeyDelete", "VaultDelete"],
        always,
        "a key or its vault was deleted",
        "It cannot be used until it is recovered.",
        AT_ONCE,
        "az keyvault key recover --id {key}"
    ),
    rule!(
        "azure-key-purged",
        Critical,
        Azure,
        "vault.azure.net",
        ["KeyPurge", "VaultPurge"],
        always,
        "a key or its vault was purged",
        "It is gone.",
        "Every snapshot whose read key only this key could open, for ever.",
        "strongroom policy show  # nothing brings the key back: open with another keyholder"
    ),
    rule!(
        "azure-key-changed",
        High,
        Azure,
        "vault.azure.net",
        ["KeyUpdate", "VaultPatch", "VaultPut", "VaultAccessPolicyChangedEventGridNotification"],
        always,
        "a key or its vault was changed",
        "It may be disabled, expire, or be open to others.",
        AT_ONCE,
        "az keyvault key show --id {key}"
    ),
    rule!(
        "azure-key-backed-up",
        High,
        Azure,
        "vault.azure.net",
        ["KeyBackup"],
        always,
        "a key was backed up",
        "Whoever asked can restore it in another vault of the subscription.",
        "Secrecy.",
        "az keyvault key show --id {key}"
    ),
];
