//! A ledger in a bucket: S3 and its likes, GCS, Azure.
//!
//! A replacement is one PUT with `If-Match`, so that the store decides between writers. The client that is given must
//! not repeat requests of its own accord: a repeated PUT would be told that it lost against itself.

use super::{Cause, Created, LedgerStore, StoreError, Stored, Swapped, Version};
use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutPayload, UpdateVersion, path::Path};
use std::{fmt, sync::Arc, time::Duration};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A prefix in a bucket.
pub struct BucketLedger {
    objects: Arc<dyn ObjectStore>,
    prefix: String,
    description: String,
}

impl BucketLedger {
    /// The ledger under `prefix`. `description` is for messages.
    #[must_use]
    pub fn new(objects: Arc<dyn ObjectStore>, prefix: &str, description: impl Into<String>) -> Self {
        let prefix = prefix.trim_end_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { objects, prefix, description: description.into() }
    }

    fn failed(&self, operation: &'static str, name: &str, error: Option<Error>) -> StoreError {
        let cause = match &error {
            Some(Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) => Cause::Denied,
            None | Some(Error::Generic { .. }) => Cause::Unreachable,
            Some(_) => Cause::Failed,
        };
        let source = error.map(Into::into);
        StoreError { cause, operation, name: name.to_owned(), store: self.describe(), source }
    }

    fn path(&self, operation: &'static str, name: &str) -> Result<Path, StoreError> {
        Path::parse(format!("{}{name}", self.prefix)).map_err(|error| StoreError {
            cause: Cause::Failed,
            operation,
            name: name.to_owned(),
            store: self.describe(),
            source: Some(error.into()),
        })
    }

    /// `Ok(Err(_))` where the store answered with an error that its caller may understand.
    async fn answer<T>(
        &self,
        operation: &'static str,
        name: &str,
        request: impl Future<Output = object_store::Result<T>> + Send,
    ) -> Result<Result<T, Error>, StoreError> {
        match tokio::time::timeout(ANSWER_TIMEOUT, request).await {
            Ok(answer) => Ok(answer),
            Err(_) => Err(self.failed(operation, name, None)),
        }
    }
}

fn token(e_tag: Option<String>, version: Option<String>) -> Version {
    Version(format!("{}\n{}", e_tag.unwrap_or_default(), version.unwrap_or_default()))
}

fn update(version: &Version) -> UpdateVersion {
    let (e_tag, version) = version.0.split_once('\n').unwrap_or((&version.0, ""));
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    UpdateVersion { e_tag: some(e_tag), version: some(version) }
}

#[async_trait]
impl LedgerStore for BucketLedger {
    async fn get(&self, name: &str, max_len: usize) -> Result<Option<Stored>, StoreError> {
        let path = self.path("read", name)?;
        let request = async {
            let answer = self.objects.get(&path).await?;
            let meta = answer.meta.clone();
            if meta.size > max_len as u64 {
                return Ok((Bytes::new(), meta));
            }
            Ok((answer.bytes().await?, meta))
        };
        match self.answer("read", name, request).await? {
            Ok((_, meta)) if meta.size > max_len as u64 => {
                Err(StoreError { cause: Cause::TooLarge, ..self.failed("read", name, None) })
            }
            Ok((bytes, meta)) => Ok(Some(Stored { bytes, version: token(meta.e_tag, meta.version) })),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("read", name, Some(error))),
        }
    }

    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError> {
        let path = self.path("create", name)?;
        let request = self.objects.put_opts(&path, PutPayload::from_bytes(bytes), PutMode::Create.into());
        match self.answer("create", name, request).await? {
            Ok(_) => Ok(Created::New),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(Created::Exists),
            Err(error) => Err(self.failed("create", name, Some(error))),
        }
    }

    async fn swap(
        &self,
        name: &str,
        expected: Option<&Version>,
        bytes: Bytes,
    ) -> Result<Swapped, StoreError> {
        let path = self.path("replace", name)?;
        let mode = expected.map_or(PutMode::Create, |version| PutMode::Update(update(version)));
        let request = self.objects.put_opts(&path, PutPayload::from_bytes(bytes), mode.into());
        match self.answer("replace", name, request).await? {
            Ok(put) => Ok(Swapped::Done(token(put.e_tag, put.version))),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotFound { .. }) => {
                Ok(Swapped::Lost)
            }
            Err(error) => Err(self.failed("replace", name, Some(error))),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let path = self.path("list", prefix.trim_end_matches('/'))?;
        let request = self.objects.list(Some(&path)).try_collect::<Vec<_>>();
        let found = self.answer("list", prefix, request).await?;
        let found = found.map_err(|error| self.failed("list", prefix, Some(error)))?;
        let name = |object: object_store::ObjectMeta| {
            object.location.as_ref().strip_prefix(self.prefix.as_str()).map(str::to_owned)
        };
        Ok(found.into_iter().filter_map(name).collect())
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path("delete", name)?;
        match self.answer("delete", name, self.objects.delete(&path)).await? {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete", name, Some(error))),
        }
    }

    fn describe(&self) -> String {
        self.description.clone()
    }
}

impl fmt::Debug for BucketLedger {
    // The client's own Debug prints its configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BucketLedger").field(&self.description).finish()
    }
}
