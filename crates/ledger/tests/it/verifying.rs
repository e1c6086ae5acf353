//! Verification: each attack is found and named.

use crate::{
    entries::{event, intent},
    notes::{ORIGIN, identity, key, log_key},
    writing::{bytes, create},
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc};
use strongroom_ledger::{
    LedgerError,
    checkpoint::{Checkpoint, Identity},
    entry::{Entry, Phase},
    hash::Hash,
    note::Algorithm,
    reader::Reader,
    store::memory::Memory,
    tile::{decode_bundle, encode_bundle},
    verify::{Attack, Finding, Report, VerifyOptions, verify},
};

const SIZE: u64 = 700;

type Objects = BTreeMap<String, Bytes>;

async fn ledger(count: u64) -> (Arc<Memory>, Checkpoint) {
    let store: Arc<Memory> = Arc::default();
    let ledger = create(store.clone()).await;
    for number in 0..count {
        ledger.enqueue(bytes(number)).unwrap();
    }
    let head = ledger.flush().await.unwrap();
    (store, head.checkpoint)
}

async fn run(store: &Arc<Memory>, options: VerifyOptions) -> Result<Report, LedgerError> {
    verify(&Reader::new(store.clone(), identity()), &options).await
}

async fn bent(change: impl FnOnce(&mut Objects)) -> Vec<Finding> {
    let (store, _) = ledger(SIZE).await;
    let mut objects = store.snapshot();
    change(&mut objects);
    store.restore(objects);
    run(&store, VerifyOptions::default()).await.unwrap().findings
}

fn edit_bundle(objects: &mut Objects, name: &str, width: u16, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let mut entries: Vec<_> =
        decode_bundle(&objects[name], width).unwrap().into_iter().map(<[u8]>::to_vec).collect();
    change(&mut entries);
    objects.insert(name.into(), encode_bundle(&entries).unwrap().into());
}

#[tokio::test]
async fn a_sound_ledger_is_sound_from_any_point_on() {
    let (store, head) = ledger(SIZE).await;
    let report = run(&store, VerifyOptions::default()).await.unwrap();
    assert!(report.is_sound());
    assert_eq!((report.from, report.head.checkpoint), (0, head.clone()));
    let mut bytes_of_all = 0;
    for size in [0, 1, 255, 256, 257, 512, 699, 700] {
        let older = ledger(size).await.1;
        let remembered = VerifyOptions { remembered: vec![older.clone()], ..VerifyOptions::default() };
        bytes_of_all = run(&store, remembered).await.unwrap().bytes;
        // From the middle needs the tiles of the middle, which full ones replace.
        let from = VerifyOptions { from: Some(older), ..VerifyOptions::default() };
        let report = run(&store, from).await.unwrap();
        assert!(report.is_sound() && report.from == size, "from {size}");
        assert!(size == 0 || report.bytes < bytes_of_all);
    }
    assert!(bytes_of_all > 0);
}

#[tokio::test]
async fn a_changed_entry_is_an_alteration() {
    let findings =
        bent(|objects| edit_bundle(objects, "tile/entries/001", 256, |entries| entries[3] = bytes(9999)))
            .await;
    assert_eq!(findings, [Finding::Altered { index: 259 }]);
    assert_eq!(findings[0].attack(), Attack::Alteration);
}

#[tokio::test]
async fn entries_that_changed_places_are_reordered() {
    let findings =
        bent(|objects| edit_bundle(objects, "tile/entries/000", 256, |entries| entries.swap(10, 20))).await;
    assert_eq!(findings, [Finding::Reordered { first: 10, last: 20 }]);
}

#[tokio::test]
async fn what_is_gone_or_cut_is_truncated() {
    for name in ["tile/entries/001", "tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/002.p/188"] {
        let findings = bent(|objects| drop(objects.remove(name).unwrap())).await;
        assert!(
            findings.iter().all(|finding| finding.attack() == Attack::Truncation) && !findings.is_empty(),
            "{name}"
        );
        let findings = bent(|objects| {
            let cut = objects[name].slice(..objects[name].len() - 1);
            objects.insert(name.into(), cut);
        })
        .await;
        assert!(
            findings.iter().all(|finding| finding.attack() == Attack::Truncation) && !findings.is_empty(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_changed_tile_is_told_from_a_changed_entry() {
    for name in ["tile/0/001", "tile/1/000.p/2"] {
        let findings = bent(|objects| {
            let mut tile = objects[name].to_vec();
            tile[5] ^= 1;
            objects.insert(name.into(), tile.into());
        })
        .await;
        assert_eq!(findings, [Finding::Tile { name: name.into() }]);
    }
}

#[tokio::test]
async fn a_history_that_was_rewritten_without_the_key_does_not_lead_to_the_checkpoint() {
    let (store, _) = ledger(SIZE).await;
    let other: Arc<Memory> = Arc::default();
    let rewriter = create(other.clone()).await;
    for number in 0..SIZE {
        rewriter.enqueue(bytes(number + u64::from(number == 5) * 5000)).unwrap();
    }
    rewriter.flush().await.unwrap();
    let mut objects = other.snapshot();
    objects.insert("checkpoint".into(), store.snapshot()["checkpoint"].clone());
    objects.remove("lock");
    store.restore(objects);
    let findings = run(&store, VerifyOptions::default()).await.unwrap().findings;
    assert_eq!(findings, [Finding::Rewritten]);
}

#[tokio::test]
async fn a_history_that_was_rewritten_with_the_key_is_a_fork_for_whoever_remembers() {
    let (_, remembered) = ledger(300).await;
    let other: Arc<Memory> = Arc::default();
    let rewriter = create(other.clone()).await;
    for number in 0..SIZE {
        rewriter.enqueue(bytes(number + 1)).unwrap();
    }
    rewriter.flush().await.unwrap();
    let options = VerifyOptions { remembered: vec![remembered.clone()], ..VerifyOptions::default() };
    let error = run(&other, options).await.unwrap_err();
    assert!(matches!(error, LedgerError::Fork { .. }), "{error}");
    assert_eq!(Attack::of(&error), Some(Attack::Fork));
    // The tiles, too, lead to another root than the one that is remembered.
    let options = VerifyOptions { from: Some(remembered.clone()), ..VerifyOptions::default() };
    assert!(run(&other, options).await.unwrap_err().is_integrity());
    let reader = Reader::new(other, identity());
    let head = reader.checkpoint().await.unwrap().checkpoint;
    assert!(matches!(reader.check_continues(&head, &remembered).await, Err(LedgerError::Fork { .. })));
}

#[tokio::test]
async fn an_older_state_is_a_rollback_for_whoever_remembers() {
    let (store, _) = ledger(300).await;
    let (_, newer) = ledger(301).await;
    let options = VerifyOptions { remembered: vec![newer], ..VerifyOptions::default() };
    let error = run(&store, options).await.unwrap_err();
    assert!(matches!(error, LedgerError::Rollback { .. }));
    assert_eq!(Attack::of(&error), Some(Attack::Rollback));
}

#[tokio::test]
async fn another_key_another_origin_and_no_signature_are_forgeries() {
    let (store, head) = ledger(3).await;
    let other_key = key(ORIGIN, Algorithm::Ed25519, 9);
    for identity in [
        Identity::new(ORIGIN, vec![other_key.public().clone()]),
        Identity::new("other.example", vec![log_key().public().clone()]),
    ] {
        let error =
            verify(&Reader::new(store.clone(), identity), &VerifyOptions::default()).await.unwrap_err();
        assert_eq!(Attack::of(&error), Some(Attack::Forgery));
    }
    let mut objects = store.snapshot();
    let forged = head.sign(&log_key()).encode().replacen("\n3\n", "\n2\n", 1);
    objects.insert("checkpoint".into(), forged.into());
    store.restore(objects);
    let error = run(&store, VerifyOptions::default()).await.unwrap_err();
    assert_eq!(Attack::of(&error), Some(Attack::Forgery));
}

#[tokio::test]
async fn an_entry_that_is_there_twice_is_a_replay() {
    let (store, _) = ledger(SIZE).await;
    let ledger = crate::writing::open(store.clone());
    ledger.append(bytes(42)).await.unwrap();
    ledger.flush().await.unwrap();
    let findings = run(&store, VerifyOptions::default()).await.unwrap().findings;
    assert_eq!(findings, [Finding::Replayed { index: SIZE, first: 42 }]);
}

#[tokio::test]
async fn what_is_no_entry_was_injected_and_outcomes_need_intents() {
    let store: Arc<Memory> = Arc::default();
    let ledger = create(store.clone()).await;
    let outcome = |step| Entry { phase: Phase::Outcome, step, outcome: event(1).outcome, ..intent() };
    ledger.append(b"{}".to_vec()).await.unwrap();
    ledger.append(intent().encode().unwrap()).await.unwrap();
    ledger.append(outcome(1).encode().unwrap()).await.unwrap();
    ledger.append(outcome(2).encode().unwrap()).await.unwrap();
    ledger.append(Entry { step: 3, ..intent() }.encode().unwrap()).await.unwrap();
    ledger.flush().await.unwrap();
    let report = run(&store, VerifyOptions::default()).await.unwrap();
    assert!(matches!(report.findings[0], Finding::Malformed { index: 0, .. }));
    assert_eq!(report.findings[1..], [Finding::Unannounced { index: 3 }]);
    assert_eq!(report.open_intents, [4]);
    let hashes_only = VerifyOptions { fields: false, ..VerifyOptions::default() };
    assert!(run(&store, hashes_only).await.unwrap().is_sound());
}

#[tokio::test]
async fn a_lock_with_another_history_is_a_fork() {
    let (store, _) = ledger(10).await;
    let other: Arc<Memory> = Arc::default();
    let writer = create(other.clone()).await;
    for number in 0..12 {
        writer.append(bytes(number + 77)).await.unwrap();
    }
    let mut objects = store.snapshot();
    objects.insert("lock".into(), other.snapshot()["lock"].clone());
    store.restore(objects);
    let error = run(&store, VerifyOptions::default()).await.unwrap_err();
    assert!(matches!(error, LedgerError::Fork { .. }), "{error}");
    assert_ne!(Hash::EMPTY_ROOT, Hash::of_leaf(b""));
}
