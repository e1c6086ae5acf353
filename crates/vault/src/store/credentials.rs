//! AWS credentials for `object_store`, from wherever the AWS tools take them.
//!
//! `object_store` knows only the environment and a few metadata services. `aws-config` also knows
//! profiles (`AWS_PROFILE`, `~/.aws/config`, `~/.aws/credentials`) with `credential_process`,
//! assumed roles and SSO, web identities, ECS and EC2.

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::Mutex;

/// Credentials are renewed this long before they expire, or earlier if they live for less than 50 minutes.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);

/// A chain of credential providers, with the credentials that it gave last.
#[derive(Debug)]
pub(super) struct AwsCredentials {
    chain: SharedCredentialsProvider,
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    credential: Arc<AwsCredential>,
    renew_at: Option<SystemTime>,
}

impl AwsCredentials {
    pub(super) fn new(chain: SharedCredentialsProvider) -> Self {
        Self { chain, held: Mutex::new(None) }
    }

    /// Asks the chain anew for the next request: the store says that the credentials have expired.
    pub(super) async fn forget(&self) {
        *self.held.lock().await = None;
    }
}

#[async_trait]
impl CredentialProvider for AwsCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        // Held across the call on purpose: requests that wait for the same credentials share one call.
        let mut held = self.held.lock().await;
        let now = SystemTime::now();
        if let Some(held) = &*held
            && held.renew_at.is_none_or(|renew_at| now < renew_at)
        {
            return Ok(Arc::clone(&held.credential));
        }
        let credentials = self
            .chain
            .provide_credentials()
            .await
            .map_err(|error| object_store::Error::Generic { store: "S3", source: Box::new(error) })?;
        let credential = Arc::new(AwsCredential {
            key_id: credentials.access_key_id().to_owned(),
            secret_key: credentials.secret_access_key().to_owned(),
            token: credentials.session_token().map(str::to_owned),
        });
        let renew_at = credentials.expiry().map(|expiry| renewal(now, expiry));
        *held = Some(Held { credential: Arc::clone(&credential), renew_at });
        Ok(credential)
    }
}

fn renewal(now: SystemTime, expiry: SystemTime) -> SystemTime {
    let lifetime = expiry.duration_since(now).unwrap_or_default();
    now + lifetime.saturating_sub(RENEW_BEFORE.min(lifetime / 10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::future;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Debug)]
    struct Counting {
        calls: AtomicU32,
        lifetime: Duration,
    }

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let call = self.calls.fetch_add(1, Ordering::SeqCst);
            let expiry = SystemTime::now() + self.lifetime;
            future::ProvideCredentials::ready(Ok(Credentials::new(
                format!("key-{call}"),
                "secret",
                None,
                Some(expiry),
                "test",
            )))
        }
    }

    fn provider(lifetime: Duration) -> AwsCredentials {
        AwsCredentials::new(SharedCredentialsProvider::new(Counting { calls: AtomicU32::new(0), lifetime }))
    }

    #[tokio::test]
    async fn credentials_are_kept_until_they_age_or_are_forgotten() {
        let held = provider(Duration::from_secs(3600));
        assert_eq!(held.get_credential().await.unwrap().key_id, "key-0");
        assert_eq!(held.get_credential().await.unwrap().key_id, "key-0");
        held.forget().await;
        assert_eq!(held.get_credential().await.unwrap().key_id, "key-1");

        let expired = provider(Duration::ZERO);
        assert_eq!(expired.get_credential().await.unwrap().key_id, "key-0");
        assert_eq!(expired.get_credential().await.unwrap().key_id, "key-1");
    }

    #[test]
    fn renewal_comes_before_expiry() {
        let now = SystemTime::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(renewal(now, after(3600)), after(3300));
        assert_eq!(renewal(now, after(600)), after(540));
        assert_eq!(renewal(now, now), now);
    }

    #[test]
    fn secrets_do_not_show() {
        let secret = Credentials::new("key", "hunter2", Some("token9".into()), None, "test");
        let shown = format!("{:?}", AwsCredentials::new(SharedCredentialsProvider::new(secret)));
        assert!(!shown.contains("hunter2") && !shown.contains("token9"), "{shown}");
    }
}
