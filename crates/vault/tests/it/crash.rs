//! A crash at any point: what every prefix of a vault's changes leaves behind.

use crate::support::{
    assert_checked, assert_model, assert_whole, forget_caches, noise, prune, read_model, sample, write_model,
};
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeMap, sync::Arc};
use strongroom_testkit::{
    store::CrashStore,
    vault::{TestVault, small_layout},
};
use strongroom_vault::{VaultError, snapshots, store::Memory};

#[test]
fn every_state_that_a_crash_of_backups_can_leave_is_whole() {
    let store = Arc::new(CrashStore::new());
    let mut test = TestVault::create(Arc::clone(&store) as _);
    let made = store.len();
    let source = tempfile::tempdir().unwrap();
    let root = source.path().join("data");
    let mut expected = BTreeMap::new();
    for seed in 0..3 {
        write_model(&sample(seed), &root);
        expected.insert(test.backup(&root).unwrap().id.unwrap(), sample(seed));
        if seed == 1 {
            // The third backup seals to another epoch.
            let handle = test.writing(&test.vault).unwrap();
            let reason = strongroom_custody::Reason::new(strongroom_custody::ReasonCode::Admin);
            test.runtime.block_on(test.vault.rotate(&handle, &test.custody, &reason)).unwrap();
        }
    }
    let changes = store.len();
    assert!(changes - made > 20, "only {changes} changes");
    let latest_cache = std::mem::replace(&mut test.cache, tempfile::tempdir().unwrap());
    write_model(&sample(9), &root);
    let mut seen = Vec::new();
    for count in made..=changes {
        let what = format!("after {count} of {changes} changes");
        let state = test.runtime.block_on(store.after(count));
        // The caches of a new host, and those of the host that crashed, which may be ahead of the vault.
        for ahead in [false, true] {
            let state = Arc::new(state.copy());
            if ahead {
                forget_caches(&mut test);
                copy_tree(latest_cache.path(), test.cache.path());
            } else {
                forget_caches(&mut test);
            }
            seen.push(assert_whole(&mut test, Arc::clone(&state) as _, &root, &expected, &what));
            let outcome = test.backup(&root).unwrap_or_else(|error| panic!("{what}: {error}"));
            forget_caches(&mut test);
            let mut with_new = expected.clone();
            with_new.insert(outcome.id.unwrap(), sample(9));
            assert_whole(&mut test, state, &root, &with_new, &what);
        }
    }
    seen.dedup();
    assert_eq!(seen, [0, 1, 2, 3], "snapshots appear one by one");
}

#[test]
fn every_state_that_a_crash_of_forget_and_prune_can_leave_is_whole() {
    let store = Arc::new(CrashStore::new());
    // Packs of several groups, some of which die before others.
    let layout = strongroom_vault::handle::Layout { pack_size: 4 << 20, ..small_layout() };
    let mut test = TestVault::create_with(Arc::clone(&store) as _, layout);
    let sample = |seed: u64| {
        let mut model = sample(seed);
        model.insert("a large constant".into(), noise(1300 << 10, 4));
        model.insert("z large change".into(), noise(1300 << 10, 5 + seed));
        model
    };
    let source = tempfile::tempdir().unwrap();
    let root = source.path().join("data");
    let mut expected = BTreeMap::new();
    let mut ids = Vec::new();
    for seed in 0..3 {
        write_model(&sample(seed), &root);
        ids.push(test.backup(&root).unwrap().id.unwrap());
        expected.insert(ids[seed as usize], sample(seed));
    }
    let before = store.len();
    let handle = test.writing(&test.vault).unwrap();
    snapshots::remove(&handle, &ids[..2]).unwrap();
    let outcome = prune(&handle).unwrap();
    assert!(outcome.deleted.count > 0 && outcome.written.count > 0, "it drops and it moves: {outcome:?}");
    // A backup on top of what prune has moved.
    forget_caches(&mut test);
    write_model(&sample(1), &root);
    expected.insert(test.backup(&root).unwrap().id.unwrap(), sample(1));
    let changes = store.len();
    write_model(&sample(9), &root);
    for count in before..=changes {
        let what = format!("after {count} of {changes} changes");
        for aged in [false, true] {
            let state = test.runtime.block_on(store.after(count));
            if aged {
                // Long after the crash: whoever had shown himself is dead.
                let then = Timestamp::now() - SignedDuration::from_hours(48);
                for name in state.contents().keys() {
                    state.set_modified(name, then);
                }
            }
            forget_caches(&mut test);
            assert_whole(&mut test, Arc::clone(&state) as _, &root, &expected, &what);
            let handle = test.writing(&test.vault).unwrap();
            assert_checked(&handle, &what);
            let new = test.backup(&root).unwrap_or_else(|error| panic!("{what}: {error}"));
            let mut with_new = expected.clone();
            with_new.insert(new.id.unwrap(), sample(9));
            prune(&handle).unwrap_or_else(|error| panic!("{what}: prune: {error}"));
            assert_checked(&handle, &what);
            forget_caches(&mut test);
            assert_whole(&mut test, Arc::clone(&state) as _, &root, &with_new, &what);
            // Nothing is left that only a crashed prune knew of.
            let handle = test.writing(&test.vault).unwrap();
            let again = prune(&handle).unwrap_or_else(|error| panic!("{what}: prune again: {error}"));
            if aged {
                assert!(again.waiting.is_none(), "{what}: {again:?}");
                assert!(handle.store.list(&handle.names.condemned()).unwrap().is_empty(), "{what}");
            }
        }
    }
}

#[test]
fn a_crash_while_the_vault_is_made_is_told_apart_from_a_vault() {
    let store = Arc::new(CrashStore::new());
    let test = TestVault::create(Arc::clone(&store) as _);
    for count in 0..store.len() {
        let state = test.runtime.block_on(store.after(count));
        let error = test.through(Arc::clone(&state) as _).unwrap_err();
        match error {
            VaultError::NoVault { .. } => assert_eq!(count, 0),
            VaultError::Unfinished { .. } => assert!(count > 0),
            other => panic!("after {count} changes: {other}"),
        }
    }
}

#[test]
fn a_restore_changes_nothing_and_a_dry_backup_neither() {
    let store = Arc::new(Memory::new());
    let mut test = TestVault::create(Arc::clone(&store) as _);
    let source = tempfile::tempdir().unwrap();
    let root = source.path().join("data");
    write_model(&sample(0), &root);
    let outcome = test.backup(&root).unwrap();
    let before = store.contents();
    let target = tempfile::tempdir().unwrap();
    test.restore(&outcome.snapshot, &root, target.path()).unwrap();
    assert_model(&read_model(target.path()), &sample(0), "restored");
    write_model(&sample(1), &root);
    forget_caches(&mut test);
    let options = strongroom_vault::backup::Options { dry_run: true, ..crate::support::backup_options() };
    let source = strongroom_vault::backup::Source::Paths(vec![root]);
    let (dry, problems) =
        crate::support::backup_source(&test, source, &crate::support::no_filter(), &options);
    assert_eq!((dry.unwrap().id, problems), (None, Vec::new()));
    assert!(store.contents() == before);
}

fn copy_tree(from: &std::path::Path, to: &std::path::Path) {
    let copied = std::process::Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(copied.success());
}
