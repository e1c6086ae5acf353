//! The operations of KMS: which work across accounts, which a grant can hold.
//!
//! Source: the entries "Cross-account use" of the KMS API Reference
//! (<https://docs.aws.amazon.com/kms/latest/APIReference/API_Operations.html>), the permissions of
//! <https://docs.aws.amazon.com/kms/latest/developerguide/kms-api-permissions-reference.html>, and the grant
//! operations of <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateGrant.html>.

/// An operation of KMS, as a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name, without `kms:`.
    pub name: &'static str,
    /// Whether it works on a key of another account.
    pub cross_account: bool,
    /// Whether a grant can hold it.
    pub in_grants: bool,
    /// Whether constraints of grants by encryption context apply to it.
    pub constrained: bool,
}

const fn op(name: &'static str, cross_account: bool, in_grants: bool, constrained: bool) -> Operation {
    Operation { name, cross_account, in_grants, constrained }
}

/// All of them.
pub const OPERATIONS: &[Operation] = &[
    op("CancelKeyDeletion", false, false, false),
    op("ConnectCustomKeyStore", false, false, false),
    op("CreateAlias", false, false, false),
    op("CreateCustomKeyStore", false, false, false),
    op("CreateGrant", true, true, false),
    op("CreateKey", false, false, false),
    op("Decrypt", true, true, true),
    op("DeleteAlias", false, false, false),
    op("DeleteCustomKeyStore", false, false, false),
    op("DeleteImportedKeyMaterial", false, false, false),
    op("DeriveSharedSecret", true, true, false),
    op("DescribeCustomKeyStores", false, false, false),
    op("DescribeKey", true, true, false),
    op("DisableKey", false, false, false),
    op("DisableKeyRotation", false, false, false),
    op("DisconnectCustomKeyStore", false, false, false),
    op("EnableKey", false, false, false),
    op("EnableKeyRotation", false, false, false),
    op("Encrypt", true, true, true),
    op("GenerateDataKey", true, true, true),
    op("GenerateDataKeyPair", true, true, true),
    op("GenerateDataKeyPairWithoutPlaintext", true, true, true),
    op("GenerateDataKeyWithoutPlaintext", true, true, true),
    op("GenerateMac", true, true, false),
    op("GenerateRandom", false, false, false),
    op("GetKeyLastUsage", false, false, false),
    op("GetKeyPolicy", false, false, false),
    op("GetKeyRotationStatus", true, false, false),
    op("GetParametersForImport", false, false, false),
    op("GetPublicKey", true, true, false),
    op("ImportKeyMaterial", false, false, false),
    op("ListAliases", false, false, false),
    op("ListGrants", true, false, false),
    op("ListKeyPolicies", false, false, false),
    op("ListKeyRotations", false, false, false),
    op("ListKeys", false, false, false),
    op("ListResourceTags", false, false, false),
    op("ListRetirableGrants", false, false, false),
    op("PutKeyPolicy", false, false, false),
    op("ReEncryptFrom", true, true, true),
    op("ReEncryptTo", true, true, true),
    op("ReplicateKey", false, false, false),
    op("RetireGrant", true, true, false),
    op("RevokeGrant", true, false, false),
    op("RotateKeyOnDemand", false, false, false),
    op("ScheduleKeyDeletion", false, false, false),
    op("Sign", true, true, false),
    op("SynchronizeMultiRegionKey", false, false, false),
    op("TagResource", false, false, false),
    op("UntagResource", false, false, false),
    op("UpdateAlias", false, false, false),
    op("UpdateCustomKeyStore", false, false, false),
    op("UpdateKeyDescription", false, false, false),
    op("UpdatePrimaryRegion", false, false, false),
    op("Verify", true, true, false),
    op("VerifyMac", true, true, false),
];

/// The operation of this name, without `kms:`, in any case.
pub fn find(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name.eq_ignore_ascii_case(name))
}
