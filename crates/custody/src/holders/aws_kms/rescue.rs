//! Bringing a key back that somebody schedules for deletion, or disables.

use super::{AwsKmsKeyholder, classify::classify, connections::Session, no_answer};
use crate::holder::HolderError;
use aws_sdk_kms::types::KeyState;

/// What was done to bring a key back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rescued {
    /// Its deletion was cancelled.
    pub cancelled: bool,
    /// It was enabled.
    pub enabled: bool,
}

impl AwsKmsKeyholder {
    /// Cancels the deletion of `key`, and enables it, as far as it needs either. `key` is the pinned key or one of its
    /// replicas.
    ///
    /// # Errors
    /// [`HolderError::Malformed`] for another key; otherwise what AWS KMS answers. What was done until then stays.
    pub async fn rescue(&self, key: &str) -> Result<Rescued, HolderError> {
        let key = self.keys.iter().find(|own| own.as_str() == key).ok_or_else(|| {
            HolderError::Malformed(format!("`{}` is no key of this keyholder", key.escape_debug()))
        })?;
        let work = async {
            let client = self.connections.client(key.region(), Session::Manage).await?;
            let described = client.describe_key().key_id(key.as_str()).send().await;
            let described = described.map_err(|error| classify(&error))?.key_metadata;
            let state = described.and_then(|metadata| metadata.key_state);
            let mut done = Rescued::default();
            if state == Some(KeyState::PendingDeletion) {
                let call = client.cancel_key_deletion().key_id(key.as_str()).send();
                call.await.map_err(|error| classify(&error))?;
                done.cancelled = true;
            }
            // After a cancelled deletion a key is disabled.
            if done.cancelled || state == Some(KeyState::Disabled) {
                let call = client.enable_key().key_id(key.as_str()).send();
                call.await.map_err(|error| classify(&error))?;
                done.enabled = true;
            }
            Ok(done)
        };
        let patience = self.connections.patience();
        match tokio::time::timeout(patience, work).await {
            Ok(done) => done,
            Err(_) => Err(HolderError::Unreachable(no_answer(patience))),
        }
    }
}
