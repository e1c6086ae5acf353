//! How this machine reaches AWS: nothing of this is in a keyring.

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use std::{fmt, time::Duration};

/// Longest wait for AWS KMS by default, all Regions of a key together.
const PATIENCE: Duration = Duration::from_secs(11);

/// Who calls AWS KMS, and where. By default as the AWS tools do: environment, `~/.aws` files, web identity, container, instance.
#[derive(Clone)]
pub struct Access {
    /// The profile of `~/.aws/config` whose credentials are used, whatever the environment says.
    pub profile: Option<String>,
    /// A role to assume first.
    pub role: Option<Role>,
    /// The URL of KMS, such as that of a VPC endpoint. Without TLS on this machine only.
    pub endpoint: Option<String>,
    /// The URL of STS, where a role is assumed.
    pub sts_endpoint: Option<String>,
    /// Who signs, in the place of the chain of the AWS tools.
    pub credentials: Option<SharedCredentialsProvider>,
    /// Longest wait for an answer to one call of the keyholder, all Regions of the key together.
    pub patience: Duration,
    /// The id of the operation that keys are used for, for the provider's trail: letters, digits and `-`.
    pub operation: Option<String>,
}

/// A role to assume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its ARN, perhaps in another account.
    pub arn: String,
    /// What the other account wants to be told.
    pub external_id: Option<String>,
}

impl Access {
    /// An explicit endpoint and access key.
    #[must_use]
    pub fn with_key(endpoint: &str, key_id: &str, secret: &str) -> Self {
        let key = Credentials::new(key_id, secret, None, None, "explicit");
        Self {
            endpoint: Some(endpoint.to_owned()),
            sts_endpoint: Some(endpoint.to_owned()),
            credentials: Some(SharedCredentialsProvider::new(key)),
            ..Self::default()
        }
    }
}

impl Default for Access {
    fn default() -> Self {
        Self {
            profile: None,
            role: None,
            endpoint: None,
            sts_endpoint: None,
            credentials: None,
            patience: PATIENCE,
            operation: None,
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("profile", &self.profile)
            .field("role", &self.role.as_ref().map(|role| &role.arn))
            .field("endpoint", &self.endpoint)
            .field("sts_endpoint", &self.sts_endpoint)
            .field("credentials", &self.credentials.is_some())
            .field("patience", &self.patience)
            .finish()
    }
}
