//! Appending: many writers, crashes at every call of the store, answers that are lost.

use crate::{
    entries::event,
    faults::{Fault, Faulty},
    notes::{identity, log_key},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use strongroom_ledger::{
    Ledger, LedgerError, Options,
    checkpoint::Checkpoint,
    hash::Hash,
    reader::Reader,
    store::{LedgerStore, LocalLedger, memory::Memory},
    tile::{TileId, TileKind},
    verify::{VerifyOptions, verify},
};

pub(crate) fn quick() -> Options {
    Options { commit_interval: Duration::ZERO, ..Options::default() }
}

pub(crate) fn open(store: Arc<dyn LedgerStore>) -> Ledger {
    Ledger::open(store, identity(), log_key(), quick())
}

pub(crate) async fn create(store: Arc<dyn LedgerStore>) -> Ledger {
    Ledger::create(store, identity(), log_key(), quick()).await.unwrap()
}

pub(crate) fn bytes(number: u64) -> Vec<u8> {
    event(number).encode().unwrap()
}

/// Every entry, in order; the ledger is verified.
pub(crate) async fn all(store: Arc<dyn LedgerStore>) -> Vec<Vec<u8>> {
    let reader = Reader::new(store, identity());
    let report = verify(&reader, &VerifyOptions::default()).await.unwrap();
    assert_eq!(report.findings, []);
    let size = report.head.checkpoint.size;
    let mut entries = Vec::new();
    for bundle in 0..size.div_ceil(256) {
        entries
            .extend(reader.bundle(TileId::within(TileKind::Entries, bundle, size).unwrap()).await.unwrap());
    }
    entries
}

fn counted(entries: &[Vec<u8>]) -> BTreeMap<&[u8], usize> {
    let mut counted = BTreeMap::new();
    entries.iter().for_each(|entry| *counted.entry(entry.as_slice()).or_default() += 1);
    counted
}

#[tokio::test]
async fn entries_are_durable_in_order_and_provable() {
    let store: Arc<Memory> = Arc::default();
    let ledger = create(store.clone()).await;
    for number in 0..600 {
        let receipt = ledger.append(bytes(number)).await.unwrap();
        assert_eq!((receipt.index, receipt.checkpoint.size), (number, number + 1));
    }
    ledger.enqueue(bytes(600)).unwrap();
    let head = ledger.flush().await.unwrap();
    assert_eq!(head.checkpoint.size, 601);
    let expected: Vec<_> = (0..601).map(bytes).collect();
    assert_eq!(all(store.clone()).await, expected);

    let reader = ledger.reader();
    for index in [0, 255, 256, 600] {
        let (entry, proof) = reader.entry(&head, index).await.unwrap();
        assert_eq!(entry, bytes(index));
        proof.verify(&identity(), &entry).unwrap();
        proof.verify(&identity(), &bytes(index + 1)).unwrap_err();
    }
    assert!(matches!(reader.entry(&head, 601).await, Err(LedgerError::Proof(_))));

    // Narrow tiles go once the full one is there.
    let names: Vec<_> = store.snapshot().into_keys().collect();
    assert!(names.contains(&"tile/0/000".to_owned()) && names.contains(&"tile/entries/001".to_owned()));
    assert!(
        !names
            .iter()
            .any(|name| name.starts_with("tile/0/000.p/") || name.starts_with("tile/entries/001.p/"))
    );
}

#[tokio::test]
async fn an_append_costs_one_round_trip_once_the_ledger_is_prepared() {
    let memory: Arc<Memory> = Arc::default();
    create(memory.clone()).await.flush().await.unwrap();
    let store = Arc::new(Faulty::new(memory, u64::MAX, Fault::DiesBefore));
    let ledger = open(store.clone());
    ledger.prepare().await.unwrap();
    assert_eq!(store.calls(), 1);
    ledger.append(bytes(0)).await.unwrap();
    assert_eq!(store.calls(), 2);
    ledger.enqueue(bytes(1)).unwrap();
    assert_eq!(store.calls(), 2);
    ledger.append(bytes(2)).await.unwrap();
    assert_eq!(store.calls(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_24_writers_nothing_is_lost_and_nothing_is_double() {
    let folder = tempfile::tempdir().unwrap();
    create(Arc::new(LocalLedger::new(folder.path()))).await;
    let writers = (0..24_u64).map(|writer| {
        let store = Arc::new(LocalLedger::new(folder.path()));
        tokio::spawn(async move {
            let ledger = open(store);
            let mut places = Vec::new();
            for number in 0..20 {
                places.push(ledger.append(bytes(writer * 1000 + number)).await.unwrap().index);
            }
            ledger.flush().await.unwrap();
            places
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut places = Vec::new();
    for (writer, handle) in writers.into_iter().enumerate() {
        let own = handle.await.unwrap();
        places.extend(own.into_iter().zip((0..20).map(|number| bytes(writer as u64 * 1000 + number))));
    }
    let entries = all(Arc::new(LocalLedger::new(folder.path()))).await;
    assert_eq!(entries.len(), 24 * 20);
    assert!(counted(&entries).values().all(|count| *count == 1));
    for (place, entry) in places {
        assert_eq!(entries[place as usize], entry, "the receipt names the place");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn appends_at_once_share_commits_and_wait_for_the_interval_only_under_load() {
    let store: Arc<Memory> = Arc::default();
    create(store.clone()).await;
    let store = Arc::new(Faulty::new(store, u64::MAX, Fault::DiesBefore));
    let interval = Duration::from_millis(100);
    let options = Options { commit_interval: interval, ..Options::default() };
    let ledger = Arc::new(Ledger::open(store.clone(), identity(), log_key(), options));
    let started = Instant::now();
    for number in 0..5 {
        ledger.append(bytes(number)).await.unwrap();
    }
    assert!(started.elapsed() < interval, "an idle ledger commits at once");
    let before = store.calls();
    let appends: Vec<_> = (10..1010)
        .map(|number| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move { ledger.append(bytes(number)).await.unwrap() })
        })
        .collect();
    for append in appends {
        append.await.unwrap();
    }
    assert!(store.calls() - before < 100, "{} calls for 1000 entries", store.calls() - before);
    ledger.flush().await.unwrap();
    assert_eq!(all(store.inner.clone()).await.len(), 1005);
}

/// What a writer does in the tests below: commits, carries along, publishes, in two bundles.
async fn work(store: Arc<dyn LedgerStore>, from: u64) -> Vec<u64> {
    let ledger = open(store);
    let mut durable = Vec::new();
    for number in from..from + 6 {
        if ledger.append(bytes(number)).await.is_ok() {
            durable.push(number);
        }
    }
    if ledger.enqueue(bytes(from + 6)).is_ok() && ledger.flush().await.is_ok() {
        durable.push(from + 6);
    }
    durable
}

#[tokio::test]
async fn whatever_call_fails_nothing_durable_is_lost_and_nothing_is_double() {
    for fault in Fault::ALL {
        for at in 0.. {
            let memory: Arc<Memory> = Arc::default();
            let ledger = create(memory.clone()).await;
            // So that bundles and tiles become full on the way.
            for number in 0..252 {
                ledger.enqueue(bytes(number)).unwrap();
            }
            ledger.flush().await.unwrap();
            drop(ledger);

            let store = Arc::new(Faulty::new(memory.clone(), at, fault));
            let mut durable = work(store.clone(), 1000).await;
            let done = store.calls() <= at;
            // Whoever comes next finds a ledger that can be read and written.
            durable.extend(work(memory.clone(), 2000).await);
            let entries = all(memory.clone()).await;
            let counted = counted(&entries);
            for number in &durable {
                assert_eq!(counted.get(bytes(*number).as_slice()), Some(&1), "{number}, {fault:?} at {at}");
            }
            assert!(counted.values().all(|count| *count == 1), "{fault:?} at {at}");
            assert!(durable.iter().filter(|number| **number >= 2000).count() == 7, "{fault:?} at {at}");
            if done {
                assert_eq!(durable.len(), 14);
                assert!(at > 10, "every call had its turn");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_and_the_append_succeeds() {
    let memory: Arc<Memory> = Arc::default();
    create(memory.clone()).await;
    // The second call is the commit.
    let store = Arc::new(Faulty::new(memory.clone(), 1, Fault::LostAnswer));
    let ledger = open(store.clone());
    assert_eq!(ledger.append(bytes(0)).await.unwrap().index, 0);
    assert_eq!(ledger.append(bytes(1)).await.unwrap().index, 1);
    ledger.flush().await.unwrap();
    assert_eq!(all(memory).await, [bytes(0), bytes(1)]);
}

#[tokio::test]
async fn a_ledger_that_was_rolled_back_or_replaced_is_not_written() {
    let memory: Arc<Memory> = Arc::default();
    let ledger = create(memory.clone()).await;
    ledger.append(bytes(0)).await.unwrap();
    ledger.flush().await.unwrap();
    let old = memory.snapshot();
    ledger.append(bytes(1)).await.unwrap();
    ledger.append(bytes(2)).await.unwrap();
    let seen = ledger.flush().await.unwrap().checkpoint;
    let options = |remembered: &Checkpoint| Options { remembered: Some(remembered.clone()), ..quick() };

    memory.restore(old);
    let client = Ledger::open(memory.clone(), identity(), log_key(), options(&seen));
    let error = client.append(bytes(3)).await.unwrap_err();
    assert!(matches!(error, LedgerError::Rollback { .. }) && error.is_integrity(), "{error}");
    // The writer that saw it itself notices as well.
    assert!(matches!(ledger.append(bytes(3)).await.unwrap_err(), LedgerError::Rollback { .. }));

    let fork = open(memory.clone());
    for number in 10..13 {
        fork.append(bytes(number)).await.unwrap();
    }
    let error = client.append(bytes(3)).await.unwrap_err();
    assert!(matches!(error, LedgerError::Fork { .. }), "{error}");
    fork.flush().await.unwrap();
    let error = client.append(bytes(3)).await.unwrap_err();
    assert!(matches!(error, LedgerError::Fork { .. }), "{error}");
}

#[tokio::test]
async fn a_bent_lock_is_refused() {
    let memory: Arc<Memory> = Arc::default();
    let ledger = create(memory.clone()).await;
    ledger.append(bytes(0)).await.unwrap();
    let good = memory.snapshot();
    let lock = String::from_utf8(good["lock"].to_vec()).unwrap();
    for (from, to) in [("\"published\":0", "\"published\":1"), ("\"format\":1", "\"format\":2"), ("ey", "fy")]
    {
        assert!(lock.contains(from), "{from}");
        let mut bent = good.clone();
        bent.insert("lock".into(), lock.replacen(from, to, 1).into());
        memory.restore(bent);
        assert!(open(memory.clone()).append(bytes(1)).await.unwrap_err().is_integrity(), "{to}");
    }
    memory.restore(good);
    open(memory).append(bytes(1)).await.unwrap();
}

#[tokio::test]
async fn there_is_one_ledger_in_one_place_and_none_where_none_was_made() {
    let memory: Arc<Memory> = Arc::default();
    assert!(matches!(open(memory.clone()).append(bytes(0)).await, Err(LedgerError::Missing(_))));
    create(memory.clone()).await;
    let again = Ledger::create(memory.clone(), identity(), log_key(), quick()).await;
    assert!(matches!(again.unwrap_err(), LedgerError::Exists(_)));
    let head = Reader::new(memory, identity()).checkpoint().await.unwrap().checkpoint;
    assert_eq!((head.size, head.root), (0, Hash::EMPTY_ROOT));
}
