//! The storage suite on every kind of store, and what is special about each.

use bytes::Bytes;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use strongroom_testkit::services::{self, unique_prefix};
use strongroom_testkit::store::{
    CountingStore, CrashStore, Effect, Failure, Fault, FaultStore, NoDeleteStore, big_object, store_suite,
};
use strongroom_vault::store::{
    Blocking, LocalStore, Memory, Operation, Put, RetryPolicy, S3Access, Store, StoreError, open_s3,
};

const BIG: usize = 96 << 20;

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn files_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_keeps_its_promises() {
    store_suite(Arc::new(Memory::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn wrappers_keep_the_promises() {
    store_suite(Arc::new(CountingStore::new(Arc::new(Memory::new())))).await;
    store_suite(Arc::new(FaultStore::new(Arc::new(Memory::new())))).await;
    store_suite(Arc::new(CrashStore::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn local_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("deep/vault");
    let store: Arc<dyn Store> = Arc::new(LocalStore::new(&root));
    store_suite(Arc::clone(&store)).await;
    big_object(store, BIG).await;
    assert_eq!(files_in(&root.join("tmp")), 0, "nothing unfinished stays behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s3_keeps_its_promises() {
    let Some(s3) = services::s3() else { return };
    let store: Arc<dyn Store> = Arc::new(s3.open(&s3.bucket, &unique_prefix("suite"), &s3.admin));
    store_suite(Arc::clone(&store)).await;
    big_object(store, BIG).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s3_with_object_lock_keeps_the_promises() {
    let Some(s3) = services::s3() else { return };
    let prefix = unique_prefix("suite");
    let store: Arc<dyn Store> = Arc::new(s3.open(&s3.locked_bucket, &prefix, &s3.admin));
    store_suite(Arc::clone(&store)).await;
    big_object(store, 8 << 20).await;
}

#[tokio::test]
async fn s3_refuses_a_reader_at_once() {
    let Some(s3) = services::s3() else { return };
    let prefix = unique_prefix("reader");
    let admin = s3.open(&s3.bucket, &prefix, &s3.admin);
    admin.put("a", bytes("x")).await.unwrap();

    let reader = s3.open(&s3.bucket, &prefix, &s3.reader);
    let started = SystemTime::now();
    for error in [
        reader.put_new("b", bytes("y")).await.unwrap_err(),
        reader.put("a", bytes("y")).await.unwrap_err(),
        reader.delete("a").await.unwrap_err(),
    ] {
        assert!(error.is_denied() && !error.is_transient(), "{error:?}");
        assert!(error.to_string().contains("AccessDenied"), "{error}");
    }
    assert!(started.elapsed().unwrap() < Duration::from_secs(5), "a refusal is not retried");
    assert_eq!(reader.get("a", 9).await.unwrap(), "x");
    assert_eq!(reader.list("").await.unwrap().len(), 1);
    assert_eq!(reader.stat("b").await.unwrap(), None);

    let stranger = s3.open(&s3.bucket, &prefix, &(s3.admin.0.clone(), "a wrong secret".to_owned()));
    let error = stranger.get("a", 9).await.unwrap_err();
    assert!(error.is_denied(), "{error:?}");
    assert!(!format!("{error:?}").contains("a wrong secret"));
}

#[tokio::test]
async fn s3_writer_needs_no_right_to_delete() {
    let Some(s3) = services::s3() else { return };
    let writer = s3.open(&s3.bucket, &unique_prefix("writer"), &s3.writer);
    assert_eq!(writer.put_new("a", bytes("x")).await.unwrap(), Put::Created);
    assert_eq!(writer.put_new("a", bytes("y")).await.unwrap(), Put::Exists);
    assert_eq!(writer.get("a", 9).await.unwrap(), "x");
    assert_eq!(writer.list("").await.unwrap().len(), 1);
    assert_eq!(writer.stat("b").await.unwrap(), None);
    let error = writer.delete("a").await.unwrap_err();
    assert!(error.is_denied(), "{error:?}");
    assert_eq!(writer.get("a", 9).await.unwrap(), "x");
}

#[tokio::test]
async fn s3_says_which_bucket_is_missing() {
    let Some(s3) = services::s3() else { return };
    let store = s3.open("strongroom-no-such-bucket", "p", &s3.admin);
    for error in [store.put_new("a", bytes("x")).await.unwrap_err(), store.list("").await.unwrap_err()] {
        assert!(matches!(error, StoreError::Other { .. }), "{error:?}");
        assert!(error.to_string().contains("the bucket does not exist"), "{error}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_unreachable_and_not_denied() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", taken.local_addr().unwrap());
    drop(taken);
    let access = S3Access::with_key(&endpoint, "us-east-1", "key", "secret");
    let retry = RetryPolicy { attempts: 3, first_pause: Duration::from_millis(5), ..RetryPolicy::default() };
    let store = open_s3("bucket", "p", access, retry).unwrap();
    let error = store.get("a", 9).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { attempts: 3, .. }), "{error:?}");
    assert!(error.is_transient() && !error.is_denied());
}

#[tokio::test]
async fn local_files_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("vault");
    let store = LocalStore::new(&root);
    let _ = store.put_new("keyring/1", bytes("x")).await.unwrap();
    let mode = |path: &str| std::fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("keyring"), mode("tmp"), mode("keyring/1")), (0o700, 0o700, 0o700, 0o600));
}

#[tokio::test]
async fn unfinished_local_files_are_invisible_and_removed_after_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let tmp = folder.path().join("tmp");
    std::fs::create_dir(&tmp).unwrap();
    for (name, age) in [("old", 25), ("young", 23)] {
        std::fs::write(tmp.join(name), "half").unwrap();
        let modified = SystemTime::now() - Duration::from_secs(age * 3600);
        std::fs::File::options().write(true).open(tmp.join(name)).unwrap().set_modified(modified).unwrap();
    }
    let store = LocalStore::new(folder.path());
    assert_eq!(store.list("").await.unwrap(), []);
    assert_eq!(files_in(&tmp), 2, "reading removes nothing");
    let _ = store.put_new("a", bytes("x")).await.unwrap();
    assert!(!tmp.join("old").exists() && tmp.join("young").exists());
    assert_eq!(store.list("").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_local_folder_that_vanishes_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("vault");
    let store = LocalStore::new(&root);
    for _ in 0..2 {
        assert_eq!(store.put_new("a/b", bytes("x")).await.unwrap(), Put::Created);
        std::fs::remove_dir_all(&root).unwrap();
    }
}

#[tokio::test]
async fn threads_that_compute_can_use_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(LocalStore::new(folder.path()));
    let blocking = Blocking::new(store, tokio::runtime::Handle::current());
    let thread = std::thread::spawn(move || {
        assert_eq!(blocking.put_new("a", bytes("hello")).unwrap(), Put::Created);
        assert_eq!(blocking.get_range("a", 1, 3).unwrap(), "ell");
        blocking.get("a", 9).unwrap()
    });
    let read = tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    assert_eq!(read, "hello");
}

#[tokio::test]
async fn a_planned_fault_happens_once_with_or_without_effect() {
    for (effect, stored) in [(Effect::Done, true), (Effect::None, false)] {
        let memory = Arc::new(Memory::new());
        let store = FaultStore::new(Arc::clone(&memory) as _);
        store.arm(Fault {
            operations: vec![],
            after: 1,
            effect,
            crash: false,
            failure: Failure::Unreachable,
        });
        let _ = store.put_new("a", bytes("x")).await.unwrap();
        assert!(store.get("a", 9).await.is_ok(), "reads are not counted");
        assert!(store.put_new("b", bytes("y")).await.unwrap_err().is_transient());
        assert!(store.fired());
        assert_eq!(memory.contents().contains_key("b"), stored, "{effect:?}");
        let _ = store.put_new("c", bytes("z")).await.unwrap();
    }
}

#[tokio::test]
async fn a_crash_ends_everything_until_it_heals() {
    let store = FaultStore::new(Arc::new(Memory::new()));
    let operations = vec![Operation::List];
    store.arm(Fault {
        operations,
        after: 0,
        effect: Effect::None,
        crash: true,
        failure: Failure::Unreachable,
    });
    let _ = store.put_new("a", bytes("x")).await.unwrap();
    assert!(store.list("").await.is_err());
    assert!(store.get("a", 9).await.is_err() && store.put_new("b", bytes("y")).await.is_err());
    store.heal();
    assert_eq!(store.list("").await.unwrap().len(), 1);
}

#[tokio::test]
async fn every_state_that_a_crash_can_leave_is_rebuilt() {
    let before = Memory::new();
    before.put("old", bytes("o")).await.unwrap();
    let store = CrashStore::starting_from(&before);
    let _ = store.put_new("a", bytes("1")).await.unwrap();
    let _ = store.put_new("a", bytes("2")).await.unwrap();
    store.delete("old").await.unwrap();
    store.delete("never").await.unwrap();
    store.put("a", bytes("3")).await.unwrap();
    assert_eq!(store.len(), 3, "what changed nothing is not recorded");
    let mut states = Vec::new();
    for count in 0..=store.len() {
        let contents = store.after(count).await.contents();
        states.push(
            contents.into_iter().map(|(n, b)| format!("{n}={}", String::from_utf8_lossy(&b))).collect(),
        );
    }
    let states: Vec<Vec<String>> = states;
    assert_eq!(states, [vec!["old=o"], vec!["a=1", "old=o"], vec!["a=1"], vec!["a=3"]]);
}

#[tokio::test]
async fn requests_are_counted_and_deletions_refused() {
    let counting = Arc::new(CountingStore::new(Arc::new(Memory::new())));
    let store = NoDeleteStore::new(Arc::clone(&counting) as _);
    let _ = store.put_new("a", bytes("x")).await.unwrap();
    let _ = store.stat("a").await.unwrap();
    let _ = store.stat("b").await.unwrap();
    assert!(store.delete("a").await.unwrap_err().is_denied());
    assert_eq!(counting.count(Operation::Stat), 2);
    let counts = counting.take();
    assert_eq!((counts[&Operation::PutNew], counts.get(&Operation::Delete)), (1, None));
}
