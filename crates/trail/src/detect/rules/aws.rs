//! Keys of AWS KMS, trails of CloudTrail, buckets.

use super::{AT_ONCE, NOTHING_YET, SIGHT, always, rule};
use crate::{
    cloudtrail::{CLOUDTRAIL, KMS, S3},
    coverage::selectors::{Admits, Selectors},
    detect::{
        Options, Rule,
        Severity::{Critical, High, Info, Low, Medium},
        policy, request,
    },
    event::{Event, Operation, Provider},
};
use serde_json::Value;

/// For rules that need several events: see `patterns`.
fn never(_: &Event, _: &Options) -> bool {
    false
}

fn to_a_stranger(event: &Event, options: &Options) -> bool {
    event.operation == Operation::ReEncrypt
        && event.keys.iter().any(|key| {
            let account = key.split(':').nth(4).unwrap_or("");
            let known =
                options.keys.is_empty() || options.keys.iter().any(|ours| crate::names::same_key(ours, key));
            !known || !options.is_our_account(account, event)
        })
}

fn with_a_foreign_key(event: &Event, options: &Options) -> bool {
    let key = request(event, "x-amz-server-side-encryption-aws-kms-key-id").unwrap_or_default();
    key.split(':').nth(4).is_some_and(|account| !options.is_our_account(account, event))
}

fn drops_key_uses(event: &Event, _: &Options) -> bool {
    event
        .parameters
        .get("request")
        .is_some_and(|request| Selectors::from_value(request).key_uses() != Admits::Yes)
}

fn drops_key_changes(event: &Event, _: &Options) -> bool {
    event
        .parameters
        .get("request")
        .is_some_and(|request| Selectors::from_value(request).key_changes() != Admits::Yes)
}

fn drops_validation(event: &Event, _: &Options) -> bool {
    let request = event.parameters.get("request");
    request.and_then(|request| request.get("enableLogFileValidation")) == Some(&Value::Bool(false))
}

fn suspends_versioning(event: &Event, _: &Options) -> bool {
    event.parameters.to_string().contains("Suspended")
}

fn is_omitted(event: &Event, _: &Options) -> bool {
    event.omitted
}

const UNDO_POLICY: &str = "aws kms get-key-policy --region {region} --key-id {key} --policy-name default  # compare, then: aws kms put-key-policy … --policy file://known-good.json";
const LOOK: &str =
    "aws iam get-role --role-name {principal}  # and take away its rights if this was not meant";

/// Rules for AWS.
pub(super) static RULES: &[Rule] = &[
    rule!(
        "key-deletion-scheduled",
        Critical,
        Aws,
        KMS,
        ["ScheduleKeyDeletion"],
        always,
        "a key is to be deleted",
        "The key is unusable from this moment, and is gone when the waiting period ends.",
        "Every snapshot whose read key only this key can open: at once as an outage, for ever in 7 to 30 days.",
        "aws kms cancel-key-deletion --region {region} --key-id {key} && aws kms enable-key --region {region} --key-id {key}"
    ),
    rule!(
        "key-deleted",
        Critical,
        Aws,
        KMS,
        ["DeleteKey"],
        always,
        "a key was deleted",
        "The waiting period of a scheduled deletion has ended.",
        "Every snapshot whose read key only this key could open, for ever.",
        "strongroom policy show  # nothing brings the key back: open with another keyholder, and revoke this one"
    ),
    rule!(
        "key-disabled",
        Critical,
        Aws,
        KMS,
        ["DisableKey"],
        always,
        "a key was disabled",
        "Nobody can use the key until it is enabled again.",
        AT_ONCE,
        "aws kms enable-key --region {region} --key-id {key}"
    ),
    rule!(
        "key-material-deleted",
        Critical,
        Aws,
        KMS,
        ["DeleteImportedKeyMaterial"],
        always,
        "imported key material was deleted",
        "The key is empty until the same material is imported again.",
        AT_ONCE,
        "aws kms get-parameters-for-import --region {region} --key-id {key} --wrapping-algorithm RSAES_OAEP_SHA_256 --wrapping-key-spec RSA_4096  # then import the material that the custodians keep"
    ),
    rule!(
        "key-material-expired",
        Critical,
        Aws,
        KMS,
        ["DeleteExpiredKeyMaterial"],
        always,
        "imported key material has expired",
        "AWS deleted the material at the time that was set when it was imported.",
        AT_ONCE,
        "aws kms get-parameters-for-import --region {region} --key-id {key} --wrapping-algorithm RSAES_OAEP_SHA_256 --wrapping-key-spec RSA_4096  # then import the material without an expiry"
    ),
    rule!(
        "key-material-imported",
        High,
        Aws,
        KMS,
        ["ImportKeyMaterial"],
        always,
        "key material was imported",
        "Somebody who knows the material now holds a copy of the key outside of AWS; an expiry may have been set.",
        NOTHING_YET,
        "aws kms describe-key --region {region} --key-id {key}  # look at ValidTo and ExpirationModel"
    ),
    rule!(
        "key-material-import-prepared",
        Medium,
        Aws,
        KMS,
        ["GetParametersForImport"],
        always,
        "an import of key material was prepared",
        "Somebody asked for the token that an import needs.",
        NOTHING_YET,
        LOOK
    ),
    rule!(
        "key-material-replaced",
        Critical,
        Aws,
        KMS,
        [],
        never,
        "imported material was deleted and imported again",
        "If the material differs, or an expiry was set, the key works as long as somebody else wants.",
        AT_ONCE,
        "aws kms describe-key --region {region} --key-id {key}"
    ),
    rule!(
        "key-policy-changed",
        High,
        Aws,
        KMS,
        ["PutKeyPolicy"],
        always,
        "a key's policy was changed",
        "Who may use, manage and delete the key is not what it was.",
        "Whatever the new policy allows.",
        UNDO_POLICY
    ),
    rule!(
        "key-open-to-all",
        Critical,
        Aws,
        KMS,
        ["PutKeyPolicy", "CreateKey", "ReplicateKey"],
        policy::opens_to_all,
        "a key is open to everybody",
        "A statement lets every principal use the key, without a condition.",
        "Secrecy: whoever has the ciphertext can ask for the key.",
        UNDO_POLICY
    ),
    rule!(
        "key-open-to-strangers",
        High,
        Aws,
        KMS,
        ["PutKeyPolicy", "CreateKey", "ReplicateKey"],
        policy::opens_to_strangers,
        "a key is open to another account",
        "A statement lets an account use the key that is none of ours.",
        "Secrecy.",
        UNDO_POLICY
    ),
    rule!(
        "key-policy-lockout",
        Critical,
        Aws,
        KMS,
        ["PutKeyPolicy", "CreateKey", "ReplicateKey"],
        policy::skips_the_lockout_check,
        "a key's policy may lock everybody out",
        "The check that somebody can still change the policy was switched off.",
        "Every snapshot whose read key only this key can open, if nobody may use it any more; only AWS can help.",
        UNDO_POLICY
    ),
    rule!(
        "grant-wide",
        High,
        Aws,
        KMS,
        ["CreateGrant"],
        policy::grant_is_wide,
        "a grant without bounds",
        "A grant goes to another account, or lets its grantee open anything. Grants do not show in policies.",
        "Secrecy.",
        "aws kms revoke-grant --region {region} --key-id {key} --grant-id {grant}"
    ),
    rule!(
        "grant-removed",
        Medium,
        Aws,
        KMS,
        ["RevokeGrant", "RetireGrant"],
        always,
        "a grant was taken away",
        "Whoever worked under it is refused from now on.",
        "Backups or restores that worked under the grant.",
        "aws kms list-grants --region {region} --key-id {key}"
    ),
    rule!(
        "re-encrypted-to-stranger",
        High,
        Aws,
        KMS,
        ["ReEncrypt"],
        to_a_stranger,
        "a wrapped key was wrapped for another key",
        "Somebody turned our ciphertext into one that another key opens, without seeing the plaintext.",
        "Secrecy of what it wrapped.",
        "aws kms disable-key --region {region} --key-id {key}  # stops all uses; then: strongroom key rekey"
    ),
    rule!(
        "alias-moved",
        Medium,
        Aws,
        KMS,
        ["UpdateAlias", "DeleteAlias"],
        always,
        "an alias points elsewhere",
        "Whoever names the key by its alias now uses another key, or none.",
        "What is wrapped from now on, if it goes to a key that others hold.",
        "aws kms update-alias --region {region} --alias-name {alias} --target-key-id …"
    ),
    rule!(
        "rotation-off",
        Low,
        Aws,
        KMS,
        ["DisableKeyRotation"],
        always,
        "rotation was switched off",
        "The key's material is no longer renewed.",
        "Nothing.",
        "aws kms enable-key-rotation --region {region} --key-id {key}"
    ),
    rule!(
        "key-replicated",
        High,
        Aws,
        KMS,
        ["ReplicateKey"],
        always,
        "a key was replicated to another region",
        "The same material works there, under a policy of its own.",
        "Secrecy, if the other policy is wider.",
        "aws kms describe-key --region {region} --key-id {key}  # then look at the replica's policy, or delete the replica"
    ),
    rule!(
        "key-primary-moved",
        Medium,
        Aws,
        KMS,
        ["UpdatePrimaryRegion"],
        always,
        "a key's primary region was moved",
        "Rotation and replication are decided elsewhere.",
        NOTHING_YET,
        "aws kms update-primary-region --region {region} --key-id {key} --primary-region …"
    ),
    rule!(
        "key-store-broken",
        Critical,
        Aws,
        KMS,
        ["DisconnectCustomKeyStore", "DeleteCustomKeyStore", "UpdateCustomKeyStore"],
        always,
        "a custom key store was disconnected or changed",
        "The keys in it are unusable while it is not connected.",
        AT_ONCE,
        "aws kms connect-custom-key-store --region {region} --custom-key-store-id {store}"
    ),
    rule!(
        "key-store-made",
        Medium,
        Aws,
        KMS,
        ["CreateCustomKeyStore"],
        always,
        "a custom key store was made",
        "Keys in it are as safe as what stands behind it.",
        NOTHING_YET,
        LOOK
    ),
    rule!(
        "key-tags-changed",
        Medium,
        Aws,
        KMS,
        ["TagResource", "UntagResource"],
        always,
        "a key's tags were changed",
        "Policies that decide by tags now decide otherwise.",
        NOTHING_YET,
        "aws kms list-resource-tags --region {region} --key-id {key}"
    ),
    rule!(
        "deletion-cancelled",
        Info,
        Aws,
        KMS,
        ["CancelKeyDeletion", "EnableKey"],
        always,
        "a key came back",
        "A deletion was cancelled, or a disabled key enabled. After a cancelled deletion it still has to be enabled.",
        "Nothing.",
        "aws kms describe-key --region {region} --key-id {key}"
    ),
    rule!(
        "trail-stopped",
        Critical,
        Aws,
        CLOUDTRAIL,
        ["StopLogging", "DeleteTrail", "DeleteEventDataStore", "StopEventDataStoreIngestion"],
        always,
        "a trail was stopped",
        "Nothing is recorded any more.",
        SIGHT,
        "aws cloudtrail start-logging --region {region} --name {trail}"
    ),
    rule!(
        "trail-drops-key-uses",
        Critical,
        Aws,
        CLOUDTRAIL,
        ["PutEventSelectors"],
        drops_key_uses,
        "a trail leaves out key uses",
        "Selectors exclude kms.amazonaws.com, reads, or all management events. Rules that look at `includeManagementEvents` alone do not see it.",
        SIGHT,
        "aws cloudtrail put-event-selectors --region {region} --trail-name {trail} --event-selectors '[{\"ReadWriteType\":\"All\",\"IncludeManagementEvents\":true,\"ExcludeManagementEventSources\":[]}]'"
    ),
    rule!(
        "trail-drops-key-changes",
        Critical,
        Aws,
        CLOUDTRAIL,
        ["PutEventSelectors"],
        drops_key_changes,
        "a trail leaves out changes of keys",
        "Deletions and policies of keys are not recorded any more.",
        SIGHT,
        "aws cloudtrail put-event-selectors --region {region} --trail-name {trail} --event-selectors '[{\"ReadWriteType\":\"All\",\"IncludeManagementEvents\":true,\"ExcludeManagementEventSources\":[]}]'"
    ),
    rule!(
        "trail-changed",
        High,
        Aws,
        CLOUDTRAIL,
        ["UpdateTrail"],
        always,
        "a trail was changed",
        "It may go to another bucket, leave out regions, or be encrypted with a key that others hold.",
        SIGHT,
        "aws cloudtrail get-trail --region {region} --name {trail}"
    ),
    rule!(
        "trail-unsigned",
        Critical,
        Aws,
        CLOUDTRAIL,
        ["UpdateTrail"],
        drops_validation,
        "a trail makes no digests any more",
        "Log files can be changed and removed without anybody being able to tell.",
        SIGHT,
        "aws cloudtrail update-trail --region {region} --name {trail} --enable-log-file-validation"
    ),
    rule!(
        "bucket-endangered",
        Critical,
        Aws,
        S3,
        ["DeleteBucket", "DeleteBucketPolicy"],
        always,
        "a bucket lost its policy, or is gone",
        "Trails may be unable to write, or others able to.",
        "What lies in the bucket.",
        "aws s3api get-bucket-policy --bucket {bucket}"
    ),
    rule!(
        "bucket-changed",
        High,
        Aws,
        S3,
        ["PutBucketLifecycle", "PutBucketLifecycleConfiguration", "PutBucketPolicy", "PutBucketEncryption"],
        always,
        "a bucket's rules were changed",
        "Objects may expire, be open to others, or be encrypted with a key that others hold.",
        "What lies in the bucket, when the rules say so.",
        "aws s3api get-bucket-lifecycle-configuration --bucket {bucket}"
    ),
    rule!(
        "bucket-versioning-off",
        High,
        Aws,
        S3,
        ["PutBucketVersioning"],
        suspends_versioning,
        "a bucket keeps no versions any more",
        "What is overwritten or deleted is gone.",
        "What is overwritten from now on.",
        "aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
    ),
    rule!(
        "copied-to-foreign-key",
        Critical,
        Aws,
        S3,
        ["CopyObject"],
        with_a_foreign_key,
        "objects are encrypted with another account's key",
        "This is how data in S3 is held for ransom.",
        "The objects, once their older versions are gone.",
        LOOK
    ),
    rule!(
        "oversized-parameters",
        High,
        Aws,
        KMS,
        ["*"],
        is_omitted,
        "parameters were left out of an event",
        "The provider leaves out parameters of more than 100 KB. Padding hides what a call was about.",
        "Sight of what the call did.",
        LOOK
    ),
    rule!(
        "denied-burst",
        High,
        Aws,
        KMS,
        [],
        never,
        "many refused calls",
        "Somebody tries what they may do with the keys.",
        NOTHING_YET,
        LOOK
    ),
    rule!(
        "first-seen-principal",
        Medium,
        Aws,
        KMS,
        [],
        never,
        "a principal opens something for the first time",
        "Nobody by this name did so in the time that was learned from.",
        NOTHING_YET,
        LOOK
    ),
    rule!(
        "first-seen-address",
        Medium,
        Aws,
        KMS,
        [],
        never,
        "something is opened from an address for the first time",
        "The credentials may have been carried elsewhere.",
        NOTHING_YET,
        LOOK
    ),
    rule!(
        "first-seen-region",
        Medium,
        Aws,
        KMS,
        [],
        never,
        "something is opened in a region for the first time",
        "Nobody did so in the time that was learned from.",
        NOTHING_YET,
        LOOK
    ),
];
