//! Spools: in order, signed, merged once.

use crate::{
    entries::event,
    faults::{Fault, Faulty},
    notes::{ORIGIN, key, log_key},
    writing::{all, create, open},
};
use std::{fs, sync::Arc};
use strongroom_ledger::{
    LedgerError,
    entry::Entry,
    note::Algorithm,
    spool::{Merged, Spool, verify_mark},
    store::memory::Memory,
};

fn spool(folder: &tempfile::TempDir) -> Spool {
    Spool::new(folder.path().join("spool"), log_key())
}

fn filled(folder: &tempfile::TempDir, count: u64) -> Spool {
    for number in 0..count {
        // Each from a process of its own.
        spool(folder).append(event(number)).unwrap();
    }
    spool(folder)
}

#[tokio::test]
async fn entries_are_merged_in_order_with_marks_that_can_be_verified() {
    let folder = tempfile::tempdir().unwrap();
    let spool = filled(&folder, 5);
    assert_eq!(spool.len().unwrap(), 5);
    let memory: Arc<Memory> = Arc::default();
    let ledger = create(memory.clone()).await;
    ledger.append(event(100).encode().unwrap()).await.unwrap();
    assert_eq!(spool.merge(&ledger).await.unwrap(), Merged { appended: 5, present: 0 });
    assert!(spool.is_empty().unwrap());
    let entries: Vec<_> = all(memory).await.iter().map(|entry| Entry::decode(entry).unwrap()).collect();
    assert_eq!(verify_mark(&entries[0], &[]), None);
    for (entry, number) in entries[1..].iter().zip(0..) {
        let mark = entry.spooled.as_ref().unwrap();
        assert_eq!((mark.sequence, entry.outcome.as_ref().unwrap().duration_us), (number, number));
        assert_eq!(verify_mark(entry, &[log_key().public().clone()]), Some(true));
        assert_eq!(verify_mark(entry, &[key(ORIGIN, Algorithm::Ed25519, 8).public().clone()]), Some(false));
        let mut bent = entry.clone();
        bent.outcome.as_mut().unwrap().duration_us += 1;
        assert_eq!(verify_mark(&bent, &[log_key().public().clone()]), Some(false));
    }
    assert_eq!(spool.merge(&ledger).await.unwrap(), Merged::default());
}

#[tokio::test]
async fn records_that_were_changed_removed_or_moved_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let spool = filled(&folder, 4);
    let good = fs::read_to_string(spool.path()).unwrap();
    let lines: Vec<&str> = good.split_inclusive('\n').collect();
    let bent = [
        good.replacen("\"duration_us\":2", "\"duration_us\":7", 1),
        [lines[0], lines[2], lines[3]].concat(),
        [lines[0], lines[2], lines[1], lines[3]].concat(),
        [lines[0], lines[0], lines[1]].concat(),
    ];
    for bent in bent {
        fs::write(spool.path(), bent).unwrap();
        assert!(matches!(spool.append(event(9)), Err(LedgerError::Spool { .. })));
    }
    // A crash cut the last record, whose caller was never told that it was kept.
    fs::write(spool.path(), &good[..good.len() - 10]).unwrap();
    spool.append(event(9)).unwrap();
    assert_eq!(spool.len().unwrap(), 4);
}

#[tokio::test]
async fn a_merge_that_was_interrupted_anywhere_writes_nothing_twice() {
    for fault in [Fault::DiesBefore, Fault::DiesAfter] {
        for at in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let spool = filled(&folder, 3);
            let memory: Arc<Memory> = Arc::default();
            create(memory.clone()).await;
            let store = Arc::new(Faulty::new(memory.clone(), at, fault));
            let first = spool.merge(&open(store.clone())).await;
            let ledger = open(memory.clone());
            ledger.append(event(100).encode().unwrap()).await.unwrap();
            spool.merge(&ledger).await.unwrap();
            ledger.flush().await.unwrap();
            assert_eq!(all(memory).await.len(), 4, "{fault:?} at {at}");
            if first.is_ok() && store.calls() <= at {
                break;
            }
        }
    }
}
