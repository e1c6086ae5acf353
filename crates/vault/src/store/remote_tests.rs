use super::*;
use futures::stream::BoxStream;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::list::PaginatedListResult;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, ListResult, MultipartUpload, PutMultipartOptions, PutOptions, PutResult,
    Result as ObjectResult,
};
use std::collections::VecDeque;
use std::sync::Mutex;

/// What happens to the next request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Fine,
    /// Done, but the answer is lost.
    Lost,
    /// Not done, and the answer is lost.
    Dropped,
    Forbidden,
}

/// A bucket in memory whose answers follow a script.
#[derive(Debug, Default)]
struct Scripted {
    inner: InMemory,
    fates: Mutex<VecDeque<Fate>>,
    listing_allowed: bool,
}

impl Scripted {
    fn fate(&self) -> Fate {
        self.fates.lock().unwrap().pop_front().unwrap_or(Fate::Fine)
    }
}

impl fmt::Display for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scripted")
    }
}

fn lost() -> object_store::Error {
    let source = HttpError::new(HttpErrorKind::Interrupted, std::io::Error::other("connection reset"));
    object_store::Error::Generic { store: "S3", source: Box::new(source) }
}

fn forbidden() -> object_store::Error {
    object_store::Error::PermissionDenied { path: "a".into(), source: "403".into() }
}

#[async_trait]
impl ObjectStore for Scripted {
    async fn put_opts(&self, to: &Path, payload: PutPayload, options: PutOptions) -> ObjectResult<PutResult> {
        match self.fate() {
            Fate::Fine => self.inner.put_opts(to, payload, options).await,
            Fate::Lost => {
                self.inner.put_opts(to, payload, options).await?;
                Err(lost())
            }
            Fate::Dropped => Err(lost()),
            Fate::Forbidden => Err(forbidden()),
        }
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> ObjectResult<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> ObjectResult<GetResult> {
        match self.fate() {
            Fate::Fine => self.inner.get_opts(from, options).await,
            Fate::Lost | Fate::Dropped => Err(lost()),
            Fate::Forbidden => Err(forbidden()),
        }
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, ObjectResult<Path>>,
    ) -> BoxStream<'static, ObjectResult<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, ObjectResult<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> ObjectResult<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> ObjectResult<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[async_trait]
impl PaginatedListStore for Scripted {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        options: PaginatedListOptions,
    ) -> ObjectResult<PaginatedListResult> {
        if !self.listing_allowed {
            return Err(forbidden());
        }
        if self.fate() != Fate::Fine {
            return Err(lost());
        }
        let mut names: Vec<ObjectMeta> = self.inner.list(None).map(Result::unwrap).collect().await;
        names.retain(|object| object.location.as_ref().starts_with(prefix.unwrap_or_default()));
        names.sort_by(|a, b| a.location.cmp(&b.location));
        names.retain(|object| {
            options.page_token.as_deref().is_none_or(|after| object.location.as_ref() > after)
        });
        let more = names.len() > 2;
        names.truncate(2);
        let page_token = names.last().filter(|_| more).map(|object| object.location.to_string());
        let result = ListResult { common_prefixes: vec![], objects: names, extensions: Default::default() };
        Ok(PaginatedListResult { result, page_token })
    }
}

fn store(fates: &[Fate], listing_allowed: bool) -> (RemoteStore, Arc<Scripted>) {
    let scripted = Arc::new(Scripted {
        inner: InMemory::new(),
        fates: Mutex::new(fates.iter().copied().collect()),
        listing_allowed,
    });
    let store = RemoteStore::new(Parts {
        objects: Arc::clone(&scripted) as _,
        pages: Arc::clone(&scripted) as _,
        prefix: "vault".into(),
        description: "scripted".into(),
        retry: RetryPolicy {
            attempts: 8,
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(2),
            ..RetryPolicy::default()
        },
        credentials: None,
    });
    (store, scripted)
}

const OURS: Bytes = Bytes::from_static(b"ours");
const THEIRS: Bytes = Bytes::from_static(b"their");

#[tokio::test]
async fn a_creation_whose_answer_was_lost_is_recognised() {
    let (store, _) = store(&[Fate::Lost], true);
    assert_eq!(store.put_new("a", OURS).await.unwrap(), Put::Created);
    assert_eq!(store.put_new("a", OURS).await.unwrap(), Put::Exists);
}

#[tokio::test]
async fn a_lost_race_is_not_mistaken_for_a_lost_answer() {
    let (store, scripted) = store(&[], true);
    store.put("a", THEIRS).await.unwrap();
    scripted.fates.lock().unwrap().push_back(Fate::Dropped);
    assert_eq!(store.put_new("a", OURS).await.unwrap(), Put::Exists);
    assert_eq!(store.get("a", 9).await.unwrap(), THEIRS);
}

#[tokio::test]
async fn who_may_not_read_is_told_the_weaker_answer() {
    let (store, _) = store(&[Fate::Lost, Fate::Fine, Fate::Forbidden], false);
    assert_eq!(store.put_new("a", OURS).await.unwrap(), Put::Exists);
}

#[tokio::test]
async fn reads_are_repeated_and_refusals_are_not() {
    let (store, scripted) = store(&[Fate::Fine, Fate::Lost, Fate::Dropped, Fate::Fine], false);
    store.put("a", OURS).await.unwrap();
    assert_eq!(store.get("a", 9).await.unwrap(), OURS);
    scripted.fates.lock().unwrap().extend([Fate::Forbidden, Fate::Lost]);
    assert!(store.get("a", 9).await.unwrap_err().is_denied());
    assert_eq!(scripted.fates.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_outage_is_bounded_and_says_so() {
    let (store, _) = store(&[Fate::Dropped; 50], true);
    let error = store.get("a", 9).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("after 8 attempts"), "{error}");
}

#[tokio::test]
async fn a_missing_object_that_answers_forbidden_is_missing() {
    let (listable, scripted) = store(&[Fate::Forbidden; 3], true);
    assert!(listable.get("a", 9).await.unwrap_err().is_denied(), "the listing failed: keep the refusal");
    scripted.fates.lock().unwrap().clear();
    for _ in 0..2 {
        scripted.fates.lock().unwrap().push_back(Fate::Forbidden);
        assert_eq!(listable.stat("a").await.unwrap(), None);
    }
    listable.put("a", OURS).await.unwrap();
    scripted.fates.lock().unwrap().push_back(Fate::Forbidden);
    assert!(listable.stat("a").await.unwrap_err().is_denied(), "it is listed, so it is refused");
}

#[tokio::test]
async fn listings_continue_after_a_lost_page() {
    let (store, scripted) = store(&[], true);
    for name in ["x/1", "x/2", "x/3", "x/4", "x/5", "y/1"] {
        store.put(name, OURS).await.unwrap();
    }
    scripted.fates.lock().unwrap().extend([Fate::Fine, Fate::Dropped, Fate::Fine]);
    let names: Vec<String> = store.list("x/").await.unwrap().into_iter().map(|object| object.name).collect();
    assert_eq!(names, ["x/1", "x/2", "x/3", "x/4", "x/5"]);
}
