//! What every [`Store`] promises, as a test.

use bytes::Bytes;
use std::sync::Arc;
use strongroom_vault::store::{MAX_SEGMENT_LEN, Put, Store, StoreError};

/// Runs every check on an empty store, which is empty again afterwards.
///
/// # Panics
/// At the first broken promise.
pub async fn store_suite(store: Arc<dyn Store>) {
    assert_eq!(store.list("").await.expect("a listing"), [], "the suite needs an empty store");
    creation_never_replaces(&*store).await;
    put_replaces(&*store).await;
    one_winner(&store).await;
    ranges(&*store).await;
    lengths(&*store).await;
    absence(&*store).await;
    listings(&*store).await;
    odd_names(&*store).await;
    refused_names(&*store).await;
    ages(&*store).await;
    for object in store.list("").await.expect("a listing") {
        store.delete(&object.name).await.expect("a deletion");
    }
    assert_eq!(store.list("").await.expect("a listing"), []);
}

/// Writes, races and reads an object of `len` bytes.
///
/// # Panics
/// At the first broken promise.
pub async fn big_object(store: Arc<dyn Store>, len: usize) {
    let bytes: Bytes = (0..len).map(|i| (i * 31 + (i >> 13)) as u8).collect::<Vec<u8>>().into();
    assert_eq!(store.put_new("big/object", bytes.clone()).await.expect("a creation"), Put::Created);
    assert_eq!(store.put_new("big/object", bytes.clone()).await.expect("a creation"), Put::Exists);
    assert!(store.get("big/object", len as u64).await.expect("a read") == bytes, "the object changed");
    let middle = store.get_range("big/object", len as u64 / 2, 1 << 20).await.expect("a range");
    assert!(middle == bytes.slice(len / 2..len / 2 + (1 << 20)), "the range differs");
    store.delete("big/object").await.expect("a deletion");
}

async fn creation_never_replaces(store: &dyn Store) {
    let (first, second) = (Bytes::from_static(b"first"), Bytes::from_static(b"second"));
    assert_eq!(store.put_new("create/a", first.clone()).await.expect("a creation"), Put::Created);
    assert_eq!(store.put_new("create/a", second.clone()).await.expect("a creation"), Put::Exists);
    assert_eq!(store.put_new("create/a", first.clone()).await.expect("a creation"), Put::Exists);
    assert_eq!(store.get("create/a", 9).await.expect("a read"), first);
    store.delete("create/a").await.expect("a deletion");
    assert_eq!(store.put_new("create/a", second.clone()).await.expect("a creation"), Put::Created);
    assert_eq!(store.get("create/a", 9).await.expect("a read"), second);
}

async fn put_replaces(store: &dyn Store) {
    for text in ["one", "three", ""] {
        store.put("put/a", Bytes::from_static(text.as_bytes())).await.expect("a write");
        assert_eq!(store.get("put/a", 9).await.expect("a read"), text);
    }
}

async fn one_winner(store: &Arc<dyn Store>) {
    const RACERS: usize = 24;
    for round in 0..3 {
        let name = format!("race/{round}");
        let racers: Vec<_> = (0..RACERS)
            .map(|racer| {
                let (store, name) = (Arc::clone(store), name.clone());
                let bytes = Bytes::from(vec![racer as u8; 10_000 + racer]);
                tokio::spawn(async move { (racer, store.put_new(&name, bytes).await.expect("a creation")) })
            })
            .collect();
        let mut winners = Vec::new();
        for racer in racers {
            let (racer, put) = racer.await.expect("a racer");
            if put == Put::Created {
                winners.push(racer);
            }
        }
        assert_eq!(winners.len(), 1, "exactly one creation wins: {winners:?}");
        let stored = store.get(&name, 1 << 20).await.expect("a read");
        assert_eq!(stored, vec![winners[0] as u8; 10_000 + winners[0]], "the winner's bytes are stored");
    }
}

async fn ranges(store: &dyn Store) {
    let bytes: Bytes = (0..=255_u8).cycle().take(100_000).collect::<Vec<u8>>().into();
    let _ = store.put_new("ranges/a", bytes.clone()).await.expect("a creation");
    for (offset, len) in [(0, 1), (0, 100_000), (99_999, 1), (50_000, 50_000), (255, 2), (7, 0), (200_000, 0)]
    {
        let read = store.get_range("ranges/a", offset, len).await.expect("a range");
        let (start, end) = (offset as usize, (offset + len) as usize);
        assert!(len == 0 && read.is_empty() || read == bytes.slice(start..end), "{offset}+{len}");
    }
    for (offset, len) in [(0, 100_001), (99_999, 2), (100_000, 1), (1 << 40, 1), (u64::MAX, 1), (1, u64::MAX)]
    {
        let error = store.get_range("ranges/a", offset, len).await.expect_err("out of range");
        assert!(matches!(error, StoreError::OutOfRange { .. }), "{offset}+{len}: {error:?}");
    }
    let _ = store.put_new("ranges/empty", Bytes::new()).await.expect("a creation");
    let error = store.get_range("ranges/empty", 0, 1).await.expect_err("out of range");
    assert!(matches!(error, StoreError::OutOfRange { .. }), "{error:?}");
}

async fn lengths(store: &dyn Store) {
    for len in [0_usize, 1, 4096, 3 << 20] {
        let name = format!("lengths/{len}");
        let bytes = Bytes::from(vec![7; len]);
        assert_eq!(store.put_new(&name, bytes.clone()).await.expect("a creation"), Put::Created);
        let info = store.stat(&name).await.expect("a look").expect("it exists");
        assert_eq!((info.name.as_str(), info.size), (name.as_str(), len as u64));
        assert!(store.get(&name, len as u64).await.expect("a read") == bytes, "{len} bytes come back");
        if let Some(limit) = (len as u64).checked_sub(1) {
            match store.get(&name, limit).await {
                Err(StoreError::TooLarge { size, limit: named, .. }) => {
                    assert_eq!((size, named), (len as u64, limit));
                }
                other => panic!("an object above the limit: {other:?}"),
            }
        }
    }
}

async fn absence(store: &dyn Store) {
    assert_eq!(store.stat("absent").await.expect("a look"), None);
    assert_eq!(store.stat("absent/below").await.expect("a look"), None);
    for error in [
        store.get("absent", 9).await.expect_err("absent"),
        store.get_range("absent", 0, 1).await.expect_err("absent"),
        store.get("lengths", 9).await.expect_err("a folder is no object"),
    ] {
        assert!(error.is_not_found(), "{error:?}");
        assert!(error.to_string().contains(&store.describe()), "{error}");
    }
    assert_eq!(store.stat("lengths").await.expect("a look"), None, "a folder is no object");
    assert_eq!(store.list("absent/").await.expect("a listing"), []);
    store.delete("absent").await.expect("a deletion of nothing");
    store.delete("absent/below").await.expect("a deletion of nothing");
    let _ = store.put_new("absent-soon", Bytes::new()).await.expect("a creation");
    store.delete("absent-soon").await.expect("a deletion");
    store.delete("absent-soon").await.expect("the same deletion again");
    assert_eq!(store.stat("absent-soon").await.expect("a look"), None);
}

async fn names_of(store: &dyn Store, prefix: &str) -> Vec<String> {
    store.list(prefix).await.expect("a listing").into_iter().map(|object| object.name).collect()
}

async fn listings(store: &dyn Store) {
    let names = ["list/a", "list/a.b", "list/b/c", "list/b/d/e", "list/b0", "lister"];
    for name in names {
        let _ = store.put_new(name, Bytes::from_static(b"xyz")).await.expect("a creation");
    }
    assert_eq!(names_of(store, "list").await, names);
    assert_eq!(names_of(store, "list/").await, names[..5]);
    assert_eq!(names_of(store, "list/b/").await, names[2..4]);
    assert_eq!(names_of(store, "list/b").await, names[2..5]);
    assert_eq!(names_of(store, "list/a.").await, names[1..2]);
    assert_eq!(names_of(store, "list/zzz").await, [""; 0]);
    assert!(store.list("list/").await.expect("a listing").iter().all(|object| object.size == 3));
    // More than a page of S3.
    let many: Vec<String> = (0..1_100).map(|i| format!("many/{i:04}")).collect();
    for batch in many.chunks(50) {
        let puts = batch.iter().map(|name| store.put_new(name, Bytes::from_static(b"x")));
        for put in futures::future::join_all(puts).await {
            assert_eq!(put.expect("a creation"), Put::Created);
        }
    }
    assert_eq!(names_of(store, "many/").await, many);
    for batch in many.chunks(50) {
        let deletions = batch.iter().map(|name| store.delete(name));
        futures::future::join_all(deletions).await.into_iter().for_each(|done| done.expect("a deletion"));
    }
}

async fn odd_names(store: &dyn Store) {
    let longest = format!("odd/{}", "n".repeat(MAX_SEGMENT_LEN));
    let odd = [
        "odd/ leading and trailing ",
        "odd/%2F%20percent",
        "odd/+plus&and=equals?question#hash",
        "odd/...",
        "odd/.hidden",
        "odd/~tilde*star|pipe<>\"quote'",
        "odd/{}[]^`",
        "odd/ünïcödé-雪-🔑",
        "odd/tmp",
        longest.as_str(),
    ];
    for name in odd {
        let bytes = Bytes::copy_from_slice(name.as_bytes());
        assert_eq!(store.put_new(name, bytes.clone()).await.expect(name), Put::Created, "{name}");
        assert_eq!(store.get(name, 999).await.expect(name), bytes, "{name}");
        assert_eq!(store.get_range(name, 1, 2).await.expect(name), bytes.slice(1..3), "{name}");
        assert_eq!(store.stat(name).await.expect(name).expect(name).name, name);
    }
    let mut sorted = odd.to_vec();
    sorted.sort_unstable();
    assert_eq!(names_of(store, "odd/").await, sorted);
    for name in odd {
        store.delete(name).await.expect(name);
        assert_eq!(store.stat(name).await.expect(name), None, "{name}");
    }
}

async fn refused_names(store: &dyn Store) {
    for name in ["", "/a", "a/", "a//b", "../a", "a/../../b", "a/./b", "a\nb", "a\0b", "tmp/a"] {
        for error in [
            store.put_new(name, Bytes::new()).await.expect_err(name),
            store.put(name, Bytes::new()).await.expect_err(name),
            store.get(name, 9).await.expect_err(name),
            store.get_range(name, 0, 1).await.expect_err(name),
            store.stat(name).await.expect_err(name),
            store.delete(name).await.expect_err(name),
        ] {
            assert!(matches!(error, StoreError::InvalidName { .. }), "{name:?}: {error:?}");
        }
    }
    assert!(matches!(store.list("../").await.expect_err("a prefix"), StoreError::InvalidName { .. }));
}

async fn ages(store: &dyn Store) {
    let _ = store.put_new("ages/a", Bytes::new()).await.expect("a creation");
    let listed = store.list("ages/").await.expect("a listing");
    let looked = store.stat("ages/a").await.expect("a look").expect("it exists");
    // S3 lists milliseconds and answers HEAD with whole seconds.
    assert_eq!(listed[0].modified.as_second(), looked.modified.as_second());
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock after 1970").as_secs();
    let age = now.abs_diff(u64::try_from(looked.modified.as_second()).expect("a time after 1970"));
    assert!(age < 60, "the object is {age} seconds old");
}
