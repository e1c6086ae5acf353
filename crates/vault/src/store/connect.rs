//! From a [`Location`] to an open store.
//!
//! S3: the endpoint is `AWS_ENDPOINT_URL_S3`, else `AWS_ENDPOINT_URL` or `endpoint_url` of the
//! profile, else Amazon's. Any endpoint but Amazon's own is addressed by path (`endpoint/bucket/key`),
//! which works for IP addresses and host names alike. Amazon's is addressed by host name, except for
//! buckets with a dot, whose host name no certificate matches. The region is `AWS_REGION`, else
//! `AWS_DEFAULT_REGION`, else the profile's, else (at Amazon) the instance's, else `us-east-1`.
//! Every PUT carries a SHA-256 of its body: the store refuses what the network changed, and a
//! bucket with Object Lock demands such a checksum.
//!
//! GCS (`GOOGLE_APPLICATION_CREDENTIALS`, ...) and Azure (`AZURE_STORAGE_ACCOUNT_NAME`, ...) are
//! configured by the environment variables that `object_store` reads.

use super::credentials::AwsCredentials;
use super::error::{At, Operation, Source, StoreError};
use super::remote::Parts;
use super::{LocalStore, Location, RemoteStore, RetryPolicy, Store};
use aws_config::BehaviorVersion;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, ClientOptions, HeaderValue, RetryConfig};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use strongroom_ledger::store::{LedgerStore, LocalLedger};
use url::{Host, Url};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens the store at a location, with credentials and options from the environment. Asks nothing of
/// the store yet.
///
/// # Errors
/// [`StoreError::Denied`] where no credentials are configured at all; [`StoreError::Other`] for a
/// configuration that cannot work.
pub async fn open(location: &Location, retry: RetryPolicy) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match location {
        Location::Azure { container, prefix } => Arc::new(open_azure(location, container, prefix, retry)?),
        Location::Gcs { bucket, prefix } => Arc::new(open_gcs(location, bucket, prefix, retry)?),
        Location::Local(path) => Arc::new(LocalStore::new(path)),
        Location::S3 { bucket, prefix } => {
            let access = S3Access::from_environment().await;
            Arc::new(open_s3(bucket, prefix, access, retry)?)
        }
    })
}

/// Opens the store of a ledger, which lies in `folder` below a location; at the location itself where the folder's
/// name is empty. Asks nothing of it yet.
///
/// # Errors
/// As [`open`].
pub async fn open_ledger(location: &Location, folder: &str) -> Result<Arc<dyn LedgerStore>, StoreError> {
    let retry = RetryPolicy::default();
    Ok(match location {
        Location::Azure { container, prefix } => {
            Arc::new(open_azure(location, container, prefix, retry)?.ledger(folder))
        }
        Location::Gcs { bucket, prefix } => {
            Arc::new(open_gcs(location, bucket, prefix, retry)?.ledger(folder))
        }
        // Absolute, because clients remember a ledger by its place.
        Location::Local(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            Arc::new(LocalLedger::new(path.join(folder)))
        }
        Location::S3 { bucket, prefix } => {
            let access = S3Access::from_environment().await;
            Arc::new(open_s3(bucket, prefix, access, retry)?.ledger(folder))
        }
    })
}

/// How to reach S3 or one of its likes, and as whom.
#[derive(Debug, Clone)]
pub struct S3Access {
    /// The endpoint without the bucket; `None` for Amazon's own.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: String,
    /// Who signs.
    pub credentials: Option<SharedCredentialsProvider>,
    /// Whether an endpoint that is not on this machine may be spoken to without TLS (`AWS_ALLOW_HTTP=true`).
    /// Vaults are sealed anyway, but whoever listens learns their names, sizes and times.
    pub allow_http: bool,
}

impl S3Access {
    /// As the environment and the AWS configuration files say.
    pub async fn from_environment() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let own_endpoint = variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL")).is_some();
        let regions = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new());
        // Off Amazon's network the metadata service only costs its time-out.
        let regions =
            if own_endpoint { regions } else { regions.or_else(ImdsRegionProvider::builder().build()) };
        let region = regions.region().await.map_or_else(|| "us-east-1".to_owned(), |r| r.to_string());
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(aws_config::Region::new(region.clone()))
            .load()
            .await;
        Self {
            endpoint: variable("AWS_ENDPOINT_URL_S3").or_else(|| config.endpoint_url().map(str::to_owned)),
            region,
            credentials: config.credentials_provider(),
            allow_http: variable("AWS_ALLOW_HTTP").is_some_and(|value| value.eq_ignore_ascii_case("true")),
        }
    }

    /// An explicit endpoint and key.
    #[must_use]
    pub fn with_key(endpoint: &str, region: &str, key_id: &str, secret: &str) -> Self {
        let key = Credentials::new(key_id, secret, None, None, "explicit");
        Self {
            endpoint: Some(endpoint.to_owned()),
            region: region.to_owned(),
            credentials: Some(SharedCredentialsProvider::new(key)),
            allow_http: false,
        }
    }
}

/// Opens a bucket of S3 or one of its likes. Asks nothing of it yet.
///
/// # Errors
/// [`StoreError::Denied`] where no credentials are configured at all; [`StoreError::Other`] for an
/// endpoint that cannot be used.
pub fn open_s3(
    bucket: &str,
    prefix: &str,
    access: S3Access,
    retry: RetryPolicy,
) -> Result<RemoteStore, StoreError> {
    let location = Location::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() };
    let Some(chain) = access.credentials else {
        let reason = "no AWS credentials are configured".to_owned();
        return Err(StoreError::Denied { at: at(&location), reason, source: None });
    };
    let credentials = Arc::new(AwsCredentials::new(chain));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(access.region)
        .with_credentials(Arc::clone(&credentials) as _)
        .with_checksum_algorithm(Checksum::SHA256)
        .with_disable_bulk_delete(true)
        .with_retry(no_retries());
    let mut options = client_options();
    match &access.endpoint {
        Some(endpoint) => {
            let plain = check_endpoint(&location, endpoint, access.allow_http)?;
            options = options.with_allow_http(plain);
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        None => builder = builder.with_virtual_hosted_style_request(!bucket.contains('.')),
    }
    let client = builder.with_client_options(options).build().map_err(|e| unusable(&location, e.into()))?;
    let client = Arc::new(client);
    Ok(RemoteStore::new(Parts {
        objects: Arc::clone(&client) as _,
        pages: client,
        prefix: prefix.to_owned(),
        description: describe(&location, access.endpoint.as_deref()),
        retry,
        credentials: Some(credentials),
    }))
}

fn open_gcs(
    location: &Location,
    bucket: &str,
    prefix: &str,
    retry: RetryPolicy,
) -> Result<RemoteStore, StoreError> {
    let client = GoogleCloudStorageBuilder::from_env()
        .with_bucket_name(bucket)
        .with_client_options(client_options())
        .with_retry(no_retries())
        .build()
        .map_err(|error| unusable(location, error.into()))?;
    let client = Arc::new(client);
    Ok(RemoteStore::new(Parts {
        objects: Arc::clone(&client) as _,
        pages: client,
        prefix: prefix.to_owned(),
        description: location.to_string(),
        retry,
        credentials: None,
    }))
}

fn open_azure(
    location: &Location,
    container: &str,
    prefix: &str,
    retry: RetryPolicy,
) -> Result<RemoteStore, StoreError> {
    let client = MicrosoftAzureBuilder::from_env()
        .with_container_name(container)
        .with_client_options(client_options())
        .with_retry(no_retries())
        .build()
        .map_err(|error| unusable(location, error.into()))?;
    let client = Arc::new(client);
    Ok(RemoteStore::new(Parts {
        objects: Arc::clone(&client) as _,
        pages: client,
        prefix: prefix.to_owned(),
        description: location.to_string(),
        retry,
        credentials: None,
    }))
}

/// Whether the endpoint is spoken to without TLS.
fn check_endpoint(location: &Location, endpoint: &str, allow_http: bool) -> Result<bool, StoreError> {
    let refused =
        |reason: &str| StoreError::Other { at: at(location), reason: reason.to_owned(), source: None };
    let url = Url::parse(endpoint).map_err(|error| unusable(location, error.into()))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(refused("the S3 endpoint may hold no credentials and no query"));
    }
    match (url.scheme(), url.host()) {
        (_, None) => Err(refused("the S3 endpoint has no host")),
        ("https", Some(_)) => Ok(false),
        ("http", Some(host)) if allow_http || is_loopback(&host) => Ok(true),
        ("http", Some(_)) => Err(refused(
            "the S3 endpoint is not on this machine and has no TLS; use https://, or set AWS_ALLOW_HTTP=true",
        )),
        _ => Err(refused("the S3 endpoint must begin with https:// or http://")),
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => IpAddr::from(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::from(*address).is_loopback(),
    }
}

fn describe(location: &Location, endpoint: Option<&str>) -> String {
    let host = endpoint.and_then(|endpoint| Url::parse(endpoint).ok());
    match host.as_ref().and_then(Url::host_str) {
        Some(host) => format!("{location} at {host}"),
        None => location.to_string(),
    }
}

/// Whole requests are timed by [`RemoteStore`], by their size.
fn client_options() -> ClientOptions {
    ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_user_agent(HeaderValue::from_static(concat!("strongroom/", env!("CARGO_PKG_VERSION"))))
}

/// [`RetryPolicy`] says why.
fn no_retries() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: 0, retry_timeout: Duration::ZERO }
}

fn at(location: &Location) -> Box<At> {
    Box::new(At { operation: Operation::Open, name: String::new(), store: location.to_string() })
}

fn unusable(location: &Location, source: Source) -> StoreError {
    let reason = "the configuration of the store cannot be used".to_owned();
    StoreError::Other { at: at(location), reason, source: Some(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_endpoint(endpoint: &str, allow_http: bool) -> Result<RemoteStore, StoreError> {
        let access = S3Access { allow_http, ..S3Access::with_key(endpoint, "us-east-1", "key", "hunter2") };
        open_s3("bucket", "p", access, RetryPolicy::none())
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for endpoint in
            ["http://127.0.0.1:1", "http://localhost:1/", "http://[::1]:1", "https://store.example"]
        {
            assert!(with_endpoint(endpoint, false).is_ok(), "{endpoint}");
        }
        for endpoint in
            ["http://store.example", "http://192.0.2.1", "ftp://127.0.0.1", "https://k:s@store.example", "x"]
        {
            assert!(with_endpoint(endpoint, false).is_err(), "{endpoint}");
        }
        assert!(with_endpoint("http://store.example", true).is_ok());
    }

    #[test]
    fn descriptions_hold_no_secret() {
        let store = with_endpoint("https://store.example:9000", false).unwrap();
        assert_eq!(store.describe(), "s3://bucket/p at store.example");
        assert!(!format!("{store:?}").contains("hunter2"));
    }

    #[test]
    fn missing_credentials_are_a_refusal() {
        let access = S3Access { credentials: None, ..S3Access::with_key("https://x", "r", "k", "s") };
        assert!(open_s3("bucket", "", access, RetryPolicy::none()).unwrap_err().is_denied());
    }
}
