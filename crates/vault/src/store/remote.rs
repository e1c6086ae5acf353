//! A vault in a bucket: S3 and its likes, GCS, Azure.
//!
//! - Creation is one conditional PUT (`If-None-Match: *`, or the provider's equal), so the winner
//!   of a race is decided by the store. No object is large enough to need a multipart upload.
//! - A PUT whose answer was lost may have created the object; when its repetition then finds one, the
//!   bytes are compared, so that the writer learns that it was its own.
//! - S3 answers 403 instead of 404 for a missing object to whoever may not list it. The object
//!   is then looked for in a listing of exactly its name, which a policy that is limited to the
//!   vault's prefix (`s3:prefix`) allows; only what is listed, or cannot be listed, is *denied*.
//! - Listings ask for the vault's prefix and never for the bucket's root, page by page, each retried alone.
//! - In a bucket with Object Lock and default retention a deletion leaves a marker, after which the name can
//!   be created anew; the versions beneath stay until their retention ends. Every PUT has the checksum
//!   that such buckets demand.
//! - Tried against SeaweedFS: the whole suite passes on plain and on locked buckets, also when the server is
//!   killed (`kill -9`) and started again in the middle of it: what had returned was still there, and
//!   the retries carried the rest across.
//! - Deleting is one plain request per object: `DeleteObjects` is missing in some stores.

use super::classify::{Verdict, classify, timed_out};
use super::credentials::AwsCredentials;
use super::error::{At, Operation, StoreError};
use super::name::{check_name, check_prefix, checked};
use super::retry::{Attempts, Failure, RetryPolicy};
use super::{ObjectInfo, Put, Store};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use jiff::Timestamp;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{GetOptions, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use strongroom_ledger::store::BucketLedger;

/// The longest wait for an answer, and for each next piece of a body.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The slowest upload that is waited for, in bytes per second.
const SLOWEST_UPLOAD: u64 = 64 << 10;

/// A store behind `object_store`.
pub struct RemoteStore {
    objects: Arc<dyn ObjectStore>,
    pages: Arc<dyn PaginatedListStore>,
    /// Empty, or ends in a slash.
    prefix: String,
    description: String,
    retry: RetryPolicy,
    credentials: Option<Arc<AwsCredentials>>,
}

/// The parts of a [`RemoteStore`].
pub(super) struct Parts {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) pages: Arc<dyn PaginatedListStore>,
    pub(super) prefix: String,
    pub(super) description: String,
    pub(super) retry: RetryPolicy,
    pub(super) credentials: Option<Arc<AwsCredentials>>,
}

impl fmt::Debug for RemoteStore {
    // The clients' own Debug prints their configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteStore").field(&self.description).finish()
    }
}

impl RemoteStore {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { objects, pages, prefix, description, retry, credentials } = parts;
        let prefix = if prefix.is_empty() { prefix } else { format!("{prefix}/") };
        Self { objects, pages, prefix, description, retry, credentials }
    }

    /// The ledger in a folder of this store; in the store itself where the folder's name is empty.
    #[must_use]
    pub fn ledger(&self, folder: &str) -> BucketLedger {
        let description = format!("{}/{folder}", self.description.trim_end_matches('/'));
        let prefix = format!("{}{folder}", self.prefix);
        BucketLedger::new(Arc::clone(&self.objects), &prefix, description.trim_end_matches('/'))
    }

    fn at(&self, operation: Operation, name: &str) -> At {
        At { operation, name: name.to_owned(), store: self.description.clone() }
    }

    fn attempts(&self) -> Attempts<'_> {
        Attempts::new(self.retry, self.credentials.as_deref())
    }

    fn path(&self, operation: Operation, name: &str) -> Result<Path, StoreError> {
        checked(&self.description, operation, name, check_name)?;
        Path::parse(format!("{}{name}", self.prefix)).map_err(|_| StoreError::InvalidName {
            at: Box::new(self.at(operation, name)),
            reason: "object stores do not take it",
        })
    }

    /// One attempt: an answer in time, or what its absence means.
    async fn attempt<T>(
        &self,
        at: impl Fn() -> At,
        limit: Duration,
        range_end: Option<u64>,
        request: impl Future<Output = object_store::Result<T>> + Send,
    ) -> Result<T, Verdict> {
        match tokio::time::timeout(limit, request).await {
            Ok(answer) => answer.map_err(|error| classify(at(), range_end, error)),
            Err(_) => Err(timed_out(at())),
        }
    }

    async fn upload(&self, at: &At, path: &Path, bytes: &Bytes, mode: PutMode) -> Result<(), Verdict> {
        let limit = ANSWER_TIMEOUT + Duration::from_secs(bytes.len() as u64 / SLOWEST_UPLOAD);
        let payload = PutPayload::from_bytes(bytes.clone());
        let request = self.objects.put_opts(path, payload, mode.into());
        self.attempt(|| at.clone(), limit, None, request).await.map(drop)
    }

    /// Whether the object that exists holds `bytes`; `None` where there is none any more.
    async fn holds(&self, name: &str, bytes: &Bytes) -> Result<Option<bool>, StoreError> {
        match self.get(name, bytes.len() as u64).await {
            Ok(stored) => Ok(Some(stored == *bytes)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            // Whoever may not read is told the weaker "exists", which claims nothing.
            Err(StoreError::TooLarge { .. } | StoreError::Denied { .. }) => Ok(Some(false)),
            Err(error) => Err(error),
        }
    }

    /// Reads with retries; `finish` gets each answer's head and body within an attempt.
    async fn read<T, F>(
        &self,
        operation: Operation,
        name: &str,
        options: GetOptions,
        range_end: Option<u64>,
        finish: impl Fn(GetResult) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Verdict>> + Send,
    {
        let path = self.path(operation, name)?;
        let mut attempts = self.attempts();
        loop {
            let at = || self.at(operation, name);
            let request = self.objects.get_opts(&path, options.clone());
            let verdict = match self.attempt(at, ANSWER_TIMEOUT, range_end, request).await {
                Ok(answer) => match finish(answer).await {
                    Ok(done) => return Ok(done),
                    Err(verdict) => verdict,
                },
                Err(verdict) => verdict,
            };
            let failure = expect_failure(verdict, at);
            if failure.error.is_denied() && !failure.expired && self.is_absent(&path).await {
                let source = Some(failure.error.into());
                return Err(StoreError::NotFound { at: Box::new(at()), source });
            }
            attempts.after(failure).await?;
        }
    }

    /// Whether a listing of exactly this name is allowed and shows no such object.
    async fn is_absent(&self, path: &Path) -> bool {
        let options = PaginatedListOptions { max_keys: Some(1), ..Default::default() };
        let request = self.pages.list_paginated(Some(path.as_ref()), options);
        match tokio::time::timeout(ANSWER_TIMEOUT, request).await {
            // The name itself comes before every longer one.
            Ok(Ok(page)) => page.result.objects.iter().all(|object| object.location != *path),
            _ => false,
        }
    }

    /// Collects a body that was announced to have `len` bytes.
    async fn body(&self, at: At, answer: GetResult, len: u64) -> Result<Bytes, Verdict> {
        let corrupt = |reason: String| {
            let error = StoreError::Corrupt { at: Box::new(at.clone()), reason, source: None };
            Verdict::Failed(Failure { error, retry: true, ambiguous: false, expired: false })
        };
        let capacity = usize::try_from(len).map_err(|_| corrupt("no memory holds it".into()))?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(capacity).map_err(|_| corrupt("no memory is left for it".into()))?;
        let mut pieces = answer.into_stream();
        loop {
            let next = async { pieces.next().await.transpose() };
            let Some(piece) = self.attempt(|| at.clone(), ANSWER_TIMEOUT, None, next).await? else { break };
            if bytes.len() + piece.len() > capacity {
                return Err(corrupt(format!("more than the announced {len} bytes arrived")));
            }
            bytes.extend_from_slice(&piece);
        }
        if bytes.len() == capacity {
            Ok(bytes.into())
        } else {
            Err(corrupt(format!("{} of the announced {len} bytes arrived", bytes.len())))
        }
    }

    fn info(&self, meta: &ObjectMeta) -> Option<ObjectInfo> {
        let name = meta.location.as_ref().strip_prefix(&self.prefix)?;
        check_name(name).ok()?;
        let (seconds, nanoseconds) =
            (meta.last_modified.timestamp(), meta.last_modified.timestamp_subsec_nanos());
        let nanoseconds = i32::try_from(nanoseconds).unwrap_or(0);
        // A time that cannot be told counts as young, so that nothing is removed for its age.
        let modified = Timestamp::new(seconds, nanoseconds).unwrap_or(Timestamp::MAX);
        Some(ObjectInfo { name: name.to_owned(), size: meta.size, modified })
    }
}

fn expect_failure(verdict: Verdict, at: impl Fn() -> At) -> Failure {
    match verdict {
        Verdict::Failed(failure) => failure,
        Verdict::Exists => {
            let reason = "the store answered that the object exists, which was not asked".to_owned();
            let error = StoreError::Other { at: Box::new(at()), reason, source: None };
            Failure::last(error)
        }
    }
}

#[async_trait]
impl Store for RemoteStore {
    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<Put, StoreError> {
        let path = self.path(Operation::PutNew, name)?;
        let at = self.at(Operation::PutNew, name);
        let mut attempts = self.attempts();
        let mut maybe_ours = false;
        loop {
            match self.upload(&at, &path, &bytes, PutMode::Create).await {
                Ok(()) => return Ok(Put::Created),
                Err(Verdict::Exists) if !maybe_ours => return Ok(Put::Exists),
                Err(Verdict::Exists) => match self.holds(name, &bytes).await? {
                    Some(true) => return Ok(Put::Created),
                    Some(false) => return Ok(Put::Exists),
                    None => maybe_ours = false,
                },
                Err(Verdict::Failed(failure)) => {
                    maybe_ours |= failure.ambiguous;
                    attempts.after(failure).await?;
                }
            }
        }
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        let path = self.path(Operation::Put, name)?;
        let at = self.at(Operation::Put, name);
        let mut attempts = self.attempts();
        loop {
            match self.upload(&at, &path, &bytes, PutMode::Overwrite).await {
                Ok(()) => return Ok(()),
                Err(verdict) => attempts.after(expect_failure(verdict, || at.clone())).await?,
            }
        }
    }

    async fn get(&self, name: &str, max_len: u64) -> Result<Bytes, StoreError> {
        let at = || self.at(Operation::Get, name);
        self.read(Operation::Get, name, GetOptions::new(), None, |answer| async move {
            let size = answer.meta.size;
            if size > max_len {
                let error = StoreError::TooLarge { at: Box::new(at()), size, limit: max_len };
                return Err(Verdict::Failed(Failure::last(error)));
            }
            self.body(at(), answer, size).await
        })
        .await
    }

    async fn get_range(&self, name: &str, offset: u64, len: u64) -> Result<Bytes, StoreError> {
        let at = || self.at(Operation::GetRange, name);
        if len == 0 {
            checked(&self.description, Operation::GetRange, name, check_name)?;
            return Ok(Bytes::new());
        }
        let Some(end) = offset.checked_add(len) else {
            return Err(StoreError::OutOfRange { at: Box::new(at()), end: u64::MAX });
        };
        let options = GetOptions::new().with_range(Some(offset..end));
        self.read(Operation::GetRange, name, options, Some(end), |answer| async move {
            if answer.range != (offset..end) {
                let error = StoreError::OutOfRange { at: Box::new(at()), end };
                return Err(Verdict::Failed(Failure::last(error)));
            }
            self.body(at(), answer, len).await
        })
        .await
    }

    async fn stat(&self, name: &str) -> Result<Option<ObjectInfo>, StoreError> {
        let options = GetOptions::new().with_head(true);
        let found = self
            .read(Operation::Stat, name, options, None, |answer| async move { Ok(self.info(&answer.meta)) });
        match found.await {
            Err(StoreError::NotFound { .. }) => Ok(None),
            found => found,
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>, StoreError> {
        checked(&self.description, Operation::List, prefix, check_prefix)?;
        let at = || self.at(Operation::List, prefix);
        let full = format!("{}{prefix}", self.prefix);
        let mut found = Vec::new();
        let mut page_token = None;
        let mut attempts = self.attempts();
        loop {
            let options = PaginatedListOptions { page_token: page_token.clone(), ..Default::default() };
            let full_or_none = (!full.is_empty()).then_some(full.as_str());
            let request = self.pages.list_paginated(full_or_none, options);
            match self.attempt(at, ANSWER_TIMEOUT, None, request).await {
                Ok(page) => {
                    found.extend(page.result.objects.iter().filter_map(|meta| self.info(meta)));
                    page_token = page.page_token;
                    if page_token.is_none() {
                        break;
                    }
                    attempts = self.attempts();
                }
                Err(verdict) => attempts.after(expect_failure(verdict, at)).await?,
            }
        }
        // A console's folder marker `a/` arrives as `a`, outside of the prefix `a/`.
        found.retain(|object: &ObjectInfo| object.name.starts_with(prefix));
        found.sort_unstable();
        found.dedup_by(|a, b| a.name == b.name);
        Ok(found)
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(Operation::Delete, name)?;
        let at = || self.at(Operation::Delete, name);
        let mut attempts = self.attempts();
        loop {
            let failure = match self.attempt(at, ANSWER_TIMEOUT, None, self.objects.delete(&path)).await {
                Ok(()) => return Ok(()),
                Err(verdict) => expect_failure(verdict, at),
            };
            if failure.error.is_not_found() {
                return Ok(());
            }
            attempts.after(failure).await?;
        }
    }

    fn describe(&self) -> String {
        self.description.clone()
    }
}

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;
