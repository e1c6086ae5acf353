//! The real services that `scripts/services` starts.

use std::env::{self, VarError};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;
use strongroom_vault::store::{RemoteStore, RetryPolicy, S3Access, open_s3};

/// Set to `1`, it lets tests that need real services pass without them.
pub const SKIP: &str = "STRONGROOM_TEST_SKIP_SERVICES";

/// A test S3 endpoint, and who may speak to it. Each identity is a key id and a secret.
#[derive(Debug, Clone)]
pub struct S3 {
    /// The endpoint's URL, without a bucket.
    pub endpoint: String,
    /// A plain bucket. Tests share it: each takes a prefix of its own.
    pub bucket: String,
    /// A bucket with versions, Object Lock, and a default retention.
    pub locked_bucket: String,
    /// May do anything.
    pub admin: (String, String),
    /// May read and list.
    pub reader: (String, String),
    /// May read, list and write, and may not delete.
    pub writer: (String, String),
}

impl S3 {
    /// A store in `bucket`, below `prefix`, as `identity`.
    ///
    /// # Panics
    /// Where the endpoint cannot be used.
    #[must_use]
    pub fn open(&self, bucket: &str, prefix: &str, identity: &(String, String)) -> RemoteStore {
        let access = S3Access::with_key(&self.endpoint, "us-east-1", &identity.0, &identity.1);
        open_s3(bucket, prefix, access, RetryPolicy::default()).expect("the S3 endpoint can be used")
    }
}

/// A prefix that no other test has.
#[must_use]
pub fn unique_prefix(test: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{test}/{}-{}-{count}", std::process::id(), since_1970.as_nanos())
}

/// The S3 service; `None` where the person who runs the tests chose to skip services.
///
/// # Panics
/// Where the service is not announced and not skipped: a test that silently tests nothing is worse than none.
#[must_use]
pub fn s3() -> Option<S3> {
    Some(S3 {
        endpoint: variable("STRONGROOM_TEST_S3_ENDPOINT")?,
        bucket: variable("STRONGROOM_TEST_S3_BUCKET")?,
        locked_bucket: variable("STRONGROOM_TEST_S3_LOCKED_BUCKET")?,
        admin: identity("STRONGROOM_TEST_S3_ADMIN")?,
        reader: identity("STRONGROOM_TEST_S3_READER")?,
        writer: identity("STRONGROOM_TEST_S3_WRITER")?,
    })
}

/// A token behind PKCS#11.
#[derive(Debug, Clone)]
pub struct Pkcs11 {
    /// The path of its module.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// A file with the user's PIN, which only its owner can read.
    pub pin_file: PathBuf,
}

/// The PKCS#11 token; `None` where the person who runs the tests chose to skip services.
///
/// # Panics
/// As [`s3`].
#[must_use]
pub fn pkcs11() -> Option<Pkcs11> {
    Some(Pkcs11 {
        module: variable("STRONGROOM_TEST_PKCS11_MODULE")?.into(),
        token: variable("STRONGROOM_TEST_PKCS11_TOKEN")?,
        pin_file: variable("STRONGROOM_TEST_PKCS11_PIN_FILE")?.into(),
    })
}

/// A stand-in for AWS KMS, and who may speak to it. Each identity is a key id and a secret.
#[derive(Debug, Clone)]
pub struct Kms {
    /// Its URL.
    pub endpoint: String,
    /// May do anything.
    pub admin: (String, String),
}

/// moto, with the states of keys; `None` where services are skipped.
///
/// # Panics
/// As [`s3`].
#[must_use]
pub fn moto() -> Option<Kms> {
    let endpoint = variable("STRONGROOM_TEST_MOTO_ENDPOINT")?;
    Some(Kms { endpoint, admin: identity("STRONGROOM_TEST_MOTO_ADMIN")? })
}

/// LocalStack; `None` where services are skipped, or where this machine cannot run it.
///
/// # Panics
/// As [`s3`].
#[must_use]
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
pub fn localstack() -> Option<Kms> {
    let endpoint = variable("STRONGROOM_TEST_LOCALSTACK_ENDPOINT")?;
    if endpoint.is_empty() {
        eprintln!("skipped, because this machine cannot run LocalStack");
        return None;
    }
    Some(Kms { endpoint, admin: identity("STRONGROOM_TEST_LOCALSTACK_ADMIN")? })
}

/// MiniStack, which checks who calls; `None` where services are skipped.
///
/// # Panics
/// As [`s3`].
#[must_use]
pub fn ministack() -> Option<MiniStack> {
    Some(MiniStack {
        kms: Kms {
            endpoint: variable("STRONGROOM_TEST_MINISTACK_ENDPOINT")?,
            admin: identity("STRONGROOM_TEST_MINISTACK_ADMIN")?,
        },
        stranger: identity("STRONGROOM_TEST_MINISTACK_STRANGER")?,
        role: variable("STRONGROOM_TEST_MINISTACK_ROLE")?,
        external_id: variable("STRONGROOM_TEST_MINISTACK_EXTERNAL_ID")?,
    })
}

/// MiniStack, with the identities that are made in it.
#[derive(Debug, Clone)]
pub struct MiniStack {
    /// How it is reached.
    pub kms: Kms,
    /// May do nothing.
    pub stranger: (String, String),
    /// The ARN of a role that may use keys.
    pub role: String,
    /// What has to be said to assume the role.
    pub external_id: String,
}

/// The value of a variable that `scripts/services env` prints; `None` where services are skipped.
///
/// # Panics
/// As [`s3`].
#[must_use]
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
pub fn variable(name: &str) -> Option<String> {
    match env::var(name) {
        Ok(value) => Some(value),
        Err(VarError::NotPresent) if env::var(SKIP).as_deref() == Ok("1") => {
            eprintln!("skipped, because {SKIP}=1 and {name} is not set");
            None
        }
        Err(_) => panic!(
            "{name} is not set: run `scripts/services start && eval \"$(scripts/services env)\"`, \
             or set {SKIP}=1 to go without"
        ),
    }
}

/// A test OpenBao server in development mode: unsealed, forgetful, audited.
#[derive(Debug, Clone)]
pub struct OpenBao {
    /// Its address, without TLS.
    pub address: String,
    /// The address of the same server with TLS.
    pub tls_address: String,
    /// The file with the certificate that `tls_address` shows.
    pub ca_file: PathBuf,
    /// The root token.
    pub token: String,
    /// The file of its audit device.
    pub audit_log: PathBuf,
}

/// The OpenBao service; `None` where services are skipped.
///
/// # Panics
/// As [`s3`].
#[must_use]
pub fn openbao() -> Option<OpenBao> {
    Some(OpenBao {
        address: variable("STRONGROOM_TEST_BAO_ADDR")?,
        tls_address: variable("STRONGROOM_TEST_BAO_TLS_ADDR")?,
        ca_file: variable("STRONGROOM_TEST_BAO_CA")?.into(),
        token: variable("STRONGROOM_TEST_BAO_TOKEN")?,
        audit_log: variable("STRONGROOM_TEST_BAO_AUDIT")?.into(),
    })
}

fn identity(name: &str) -> Option<(String, String)> {
    let value = variable(name)?;
    let (id, secret) = value.split_once(':').expect("an identity is KEY_ID:SECRET");
    Some((id.to_owned(), secret.to_owned()))
}
