//! The fields of a digest.

use jiff::Timestamp;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    pub(super) aws_account_id: String,
    pub(super) digest_start_time: Timestamp,
    /// As it is written: it is signed.
    pub(super) digest_end_time: String,
    pub(super) digest_s3_bucket: String,
    pub(super) digest_s3_object: String,
    pub(super) digest_public_key_fingerprint: String,
    pub(super) digest_signature_algorithm: String,
    #[serde(default)]
    pub(super) previous_digest_s3_bucket: Option<String>,
    #[serde(default)]
    pub(super) previous_digest_s3_object: Option<String>,
    #[serde(default)]
    pub(super) previous_digest_hash_value: Option<String>,
    #[serde(default)]
    pub(super) previous_digest_signature: Option<String>,
    #[serde(default)]
    pub(super) log_files: Vec<LogFile>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LogFile {
    pub(super) s3_bucket: String,
    pub(super) s3_object: String,
    pub(super) hash_value: String,
    pub(super) hash_algorithm: String,
}

/// What `aws s3api head-object` prints.
#[derive(Debug, Deserialize)]
pub(super) struct Head {
    #[serde(rename = "Metadata")]
    pub(super) metadata: Metadata,
}

#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) signature: String,
}
