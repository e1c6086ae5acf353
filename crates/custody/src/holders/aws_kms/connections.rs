//! Clients of AWS KMS: one for each Region and role session, made when first needed.

use super::{
    access::{Access, Role},
    in_clear::{self, NeverInClear},
    operation::TellsOperation,
};
use crate::holder::HolderError;
use aws_config::{
    AppName, BehaviorVersion, Region, SdkConfig, profile::ProfileFileCredentialsProvider,
    provider_config::ProviderConfig, retry::RetryConfig, sts::AssumeRoleProvider, timeout::TimeoutConfig,
};
use aws_sdk_kms::{Client, config::Builder};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use strongroom_format::context::{Context, Purpose};
use tokio::sync::OnceCell;

/// How this program calls itself in the provider's log.
const APP_NAME: &str = "strongroom";
/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// Under which name a role is assumed, so that the provider's log tells what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Session {
    Purpose(Purpose),
    /// Looks at keys, or switches them; never uses them.
    Manage,
}

impl Session {
    pub(super) fn of(context: &Context) -> Self {
        Self::Purpose(context.purpose)
    }

    fn name(self) -> String {
        match self {
            Self::Purpose(purpose) => format!("{APP_NAME}-{purpose}"),
            Self::Manage => format!("{APP_NAME}-manage"),
        }
    }
}

/// The clients of one keyholder.
pub(super) struct Connections {
    access: Access,
    base: OnceCell<SdkConfig>,
    /// By Region, and by session where a role is assumed.
    clients: Mutex<BTreeMap<(String, Option<Session>), Client>>,
}

impl Connections {
    pub(super) fn new(access: Access) -> Self {
        Self { access, base: OnceCell::new(), clients: Mutex::new(BTreeMap::new()) }
    }

    pub(super) fn patience(&self) -> Duration {
        self.access.patience
    }

    /// Names the profile where its credentials are missing.
    pub(super) fn explained(&self, error: HolderError) -> HolderError {
        match (&self.access.profile, error) {
            (Some(profile), HolderError::NoSecret(what)) => {
                HolderError::NoSecret(format!("profile `{}`: {what}", profile.escape_debug()))
            }
            (_, error) => error,
        }
    }

    /// The client for `region`. Nothing is asked of AWS yet.
    pub(super) async fn client(&self, region: &str, session: Session) -> Result<Client, HolderError> {
        let key = (region.to_owned(), self.access.role.as_ref().map(|_| session));
        if let Some(client) = self.known().get(&key) {
            return Ok(client.clone());
        }
        let base = self.base.get_or_try_init(|| load(&self.access, region)).await?;
        let mut config = Builder::from(base).region(Region::new(region.to_owned())).interceptor(NeverInClear);
        if let Some(operation) = &self.access.operation {
            config = config.interceptor(TellsOperation::new(operation));
        }
        if let Some(endpoint) = &self.access.endpoint {
            config = config.endpoint_url(endpoint);
        }
        if let Some(role) = &self.access.role {
            config = config.credentials_provider(self.assumed(base, role, region, session).await?);
        }
        let client = Client::from_conf(config.build());
        Ok(self.known().entry(key).or_insert(client).clone())
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, Option<Session>), Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn assumed(
        &self,
        base: &SdkConfig,
        role: &Role,
        region: &str,
        session: Session,
    ) -> Result<AssumeRoleProvider, HolderError> {
        let mut config = base.clone().into_builder();
        if let Some(endpoint) = &self.access.sts_endpoint {
            in_clear::check(endpoint)?;
            config = config.endpoint_url(endpoint);
        }
        let mut provider = AssumeRoleProvider::builder(&role.arn)
            .session_name(session.name())
            .region(Region::new(region.to_owned()))
            .configure(&config.build());
        if let Some(external_id) = &role.external_id {
            provider = provider.external_id(external_id);
        }
        Ok(provider.build().await)
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections").field("access", &self.access).finish_non_exhaustive()
    }
}

/// The SDK retries nothing by itself: who calls a keyholder repeats, and records, each attempt.
async fn load(access: &Access, region: &str) -> Result<SdkConfig, HolderError> {
    let region = Region::new(region.to_owned());
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(access.patience.min(CONNECT_MAX))
        .operation_timeout(access.patience)
        .build();
    let name = AppName::new(APP_NAME)
        .map_err(|error| HolderError::Malformed(format!("user agent `{APP_NAME}`: {error}")))?;
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(region.clone())
        .app_name(name)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    if let Some(profile) = &access.profile {
        let environment = ProviderConfig::without_region().with_region(Some(region));
        let credentials =
            ProfileFileCredentialsProvider::builder().configure(&environment).profile_name(profile).build();
        loader = loader.profile_name(profile).credentials_provider(credentials);
    }
    if let Some(credentials) = &access.credentials {
        loader = loader.credentials_provider(credentials.clone());
    }
    Ok(loader.load().await)
}
