//! A store that fails at any one operation, and stays broken or recovers.

use crate::support::{
    Model, assert_checked, assert_model, assert_whole, forget_caches, list_snapshots, prune, read_model,
    restore_through, sample, write_model,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};
use strongroom_format::{ObjectHash, snapshot::Snapshot};
use strongroom_testkit::{
    store::{Effect, Failure, Fault, FaultStore},
    vault::TestVault,
};
use strongroom_vault::{
    VaultError,
    store::{LocalStore, Memory, Operation, Store, StoreError},
};

const EVERY_OPERATION: [Operation; 7] = [
    Operation::Delete,
    Operation::Get,
    Operation::GetRange,
    Operation::List,
    Operation::Put,
    Operation::PutNew,
    Operation::Stat,
];

struct Prepared {
    test: TestVault,
    base: Arc<Memory>,
    root: PathBuf,
    expected: BTreeMap<ObjectHash, Model>,
    first: Snapshot,
    _source: tempfile::TempDir,
}

/// A vault with one snapshot of `sample(0)`, and `sample(1)` in the source.
fn prepared() -> Prepared {
    let base = Arc::new(Memory::new());
    let test = TestVault::create(Arc::clone(&base) as _);
    let source = tempfile::tempdir().unwrap();
    let root = source.path().join("data");
    write_model(&sample(0), &root);
    let first = test.backup(&root).unwrap();
    let expected = BTreeMap::from([(first.id.unwrap(), sample(0))]);
    write_model(&sample(1), &root);
    Prepared { test, base, root, expected, first: first.snapshot, _source: source }
}

/// An error of the store is told as what it is: neither a bug, nor damage, nor a refused key.
fn assert_store_error(error: &VaultError, failure: Failure, what: &str) {
    let VaultError::Store(error) = error else { panic!("{what}: {error:?}") };
    match failure {
        Failure::Unreachable => assert!(error.is_transient(), "{what}: {error}"),
        Failure::Full => assert!(matches!(error, StoreError::Full { .. }), "{what}: {error}"),
        Failure::Denied => assert!(error.is_denied(), "{what}: {error}"),
    }
}

/// Lets each operation of a backup fail in turn.
fn sweep_backup(failure: Failure, effect: Effect, crash: bool) {
    let mut prepared = prepared();
    let Prepared { test, base, root, expected: finished, .. } = &mut prepared;
    let operations = match failure {
        Failure::Full => vec![Operation::Put, Operation::PutNew],
        _ => EVERY_OPERATION.to_vec(),
    };
    let mut errors = 0;
    for after in 0.. {
        let what = format!("{failure:?} {effect:?} crash: {crash}, after {after} operations");
        let state = Arc::new(base.copy());
        let faulty = Arc::new(FaultStore::new(Arc::clone(&state) as _));
        forget_caches(test);
        faulty.arm(Fault { operations: operations.clone(), after, effect, crash, failure });
        let result =
            test.through(Arc::clone(&faulty) as _).and_then(|vault| test.backup_through(&vault, root));
        let fired = faulty.fired();
        if let Err(error) = &result {
            assert!(fired, "{what}: {error}");
            assert_store_error(error, failure, &what);
            errors += 1;
        }
        let mut expected = finished.clone();
        let clean = test.through(Arc::clone(&state) as _).unwrap();
        // A snapshot whose answer was lost stands all the same.
        for (id, _) in list_snapshots(&test.writing(&clean).unwrap()).unwrap() {
            expected.entry(id).or_insert_with(|| sample(1));
        }
        if let Ok(outcome) = &result {
            assert!(expected.contains_key(&outcome.id.unwrap()), "{what}: the snapshot is not there");
        }
        assert_whole(test, Arc::clone(&state) as _, root, &expected, &what);
        // Again, with the caches that the failure left.
        let retried = test.backup(root).unwrap_or_else(|error| panic!("{what}: again: {error}"));
        expected.insert(retried.id.unwrap(), sample(1));
        assert_whole(test, state, root, &expected, &what);
        if !fired {
            assert!(result.is_ok(), "{what}");
            assert!(after > 5, "{what}: too few operations to mean anything");
            break;
        }
    }
    assert!(errors > 5, "only {errors} errors");
}

#[test]
fn a_backup_survives_one_lost_request() {
    sweep_backup(Failure::Unreachable, Effect::None, false);
}

#[test]
fn a_backup_survives_one_lost_answer() {
    sweep_backup(Failure::Unreachable, Effect::Done, false);
}

#[test]
fn a_backup_survives_a_store_that_goes_away() {
    sweep_backup(Failure::Unreachable, Effect::None, true);
    sweep_backup(Failure::Unreachable, Effect::Done, true);
}

#[test]
fn a_backup_survives_a_full_store() {
    sweep_backup(Failure::Full, Effect::None, true);
}

#[test]
fn a_backup_survives_a_store_that_says_no() {
    sweep_backup(Failure::Denied, Effect::None, true);
}

/// Lets each operation of a prune fail in turn.
fn sweep_prune(failure: Failure, effect: Effect, crash: bool) {
    let mut prepared = prepared();
    let Prepared { test, base, root, expected, .. } = &mut prepared;
    let second = test.backup(root).unwrap().id.unwrap();
    let handle = test.writing(&test.vault).unwrap();
    let first = *expected.keys().next().unwrap();
    strongroom_vault::snapshots::remove(&handle, &[first]).unwrap();
    *expected = BTreeMap::from([(second, sample(1))]);
    let mut errors = 0;
    for after in 0.. {
        let what = format!("{failure:?} {effect:?} crash: {crash}, after {after} operations");
        let state = Arc::new(base.copy());
        let faulty = Arc::new(FaultStore::new(Arc::clone(&state) as _));
        forget_caches(test);
        let vault = test.through(Arc::clone(&faulty) as _).unwrap();
        let handle = test.writing(&vault).unwrap();
        faulty.arm(Fault { operations: EVERY_OPERATION.to_vec(), after, effect, crash, failure });
        let result = prune(&handle);
        let fired = faulty.fired();
        faulty.heal();
        if let Err(error) = &result {
            assert!(fired, "{what}: {error}");
            match error {
                VaultError::MayNotDelete { .. } => assert_eq!(failure, Failure::Denied, "{what}"),
                VaultError::PruneStopped { .. } => panic!("{what}: nothing is damaged: {error}"),
                error => assert_store_error(error, failure, &what),
            }
            errors += 1;
        }
        assert_whole(test, Arc::clone(&state) as _, root, expected, &what);
        let handle = test.writing(&test.vault).unwrap();
        assert_checked(&handle, &what);
        // Again, with the caches that the failure left.
        prune(&handle).unwrap_or_else(|error| panic!("{what}: again: {error}"));
        assert_checked(&handle, &what);
        let mut expected = expected.clone();
        expected.insert(test.backup(root).unwrap().id.unwrap(), sample(1));
        forget_caches(test);
        assert_whole(test, state, root, &expected, &what);
        if !fired {
            assert!(result.is_ok() && after > 10, "{what}");
            break;
        }
    }
    assert!(errors > 5, "only {errors} errors");
}

#[test]
fn a_prune_survives_one_lost_request() {
    sweep_prune(Failure::Unreachable, Effect::None, false);
}

#[test]
fn a_prune_survives_one_lost_answer() {
    sweep_prune(Failure::Unreachable, Effect::Done, false);
}

#[test]
fn a_prune_survives_a_store_that_goes_away_or_says_no() {
    sweep_prune(Failure::Unreachable, Effect::Done, true);
    sweep_prune(Failure::Denied, Effect::None, true);
}

#[test]
fn a_restore_through_a_failing_store_writes_nothing_wrong() {
    let mut prepared = prepared();
    for crash in [false, true] {
        for after in 0.. {
            let what = format!("crash: {crash}, after {after} operations");
            let faulty = Arc::new(FaultStore::new(Arc::clone(&prepared.base) as _));
            forget_caches(&mut prepared.test);
            faulty.arm(Fault {
                operations: EVERY_OPERATION.to_vec(),
                after,
                effect: Effect::None,
                crash,
                failure: Failure::Unreachable,
            });
            let target = tempfile::tempdir().unwrap();
            let test = &prepared.test;
            let (result, problems) = match test.through(Arc::clone(&faulty) as _) {
                Ok(vault) => restore_through(test, &vault, &prepared.first, &prepared.root, target.path()),
                Err(error) => (Err(error), Vec::new()),
            };
            let found = read_model(target.path());
            for (path, content) in &found {
                assert!(sample(0)[path] == *content, "{what}: {} is wrong", path.display());
            }
            match &result {
                Err(error) => assert_store_error(error, Failure::Unreachable, &what),
                Ok(summary) => {
                    assert!(!summary.lost, "{what}: a store that cannot be reached is no damage");
                    assert!(problems.is_empty(), "{what}: {problems:?}");
                    assert_model(&found, &sample(0), &what);
                }
            }
            // The same target again, through a store that works.
            let vault = test.through(Arc::clone(&prepared.base) as _).unwrap();
            let (again, problems) =
                restore_through(test, &vault, &prepared.first, &prepared.root, target.path());
            again.unwrap_or_else(|error| panic!("{what}: again: {error}"));
            assert!(problems.is_empty(), "{what}: {problems:?}");
            assert_model(&read_model(target.path()), &sample(0), &what);
            if !faulty.fired() {
                assert!(after > 5 && result.is_ok(), "{what}");
                break;
            }
        }
    }
}

/// A file system of `size` in memory; `None` where this process may not mount one.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(folder.path());
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        let status = Command::new("mount").args(["-o", &options]).arg(self.0.path()).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_under_the_vault_is_told_and_harms_nothing() {
    let Some(disk) = Tmpfs::mount("2m") else { return };
    let store: Arc<dyn Store> = Arc::new(LocalStore::new(disk.0.path().join("vault")));
    let mut test = TestVault::create(Arc::clone(&store));
    let source = tempfile::tempdir().unwrap();
    let root = source.path().join("data");
    write_model(&sample(0), &root);
    let first = test.backup(&root).unwrap();
    let mut expected = BTreeMap::from([(first.id.unwrap(), sample(0))]);
    let mut model = sample(1);
    model.insert("more".into(), crate::support::noise(4 << 20, 77));
    write_model(&model, &root);
    let error = test.backup(&root).unwrap_err();
    assert_store_error(&error, Failure::Full, "a full disk");
    forget_caches(&mut test);
    assert_whole(&mut test, Arc::clone(&store), &root, &expected, "while it is full");
    disk.resize("32m");
    let second = test.backup(&root).unwrap();
    expected.insert(second.id.unwrap(), model);
    assert_whole(&mut test, store, &root, &expected, "with room again");
}

#[test]
fn a_full_disk_under_the_target_leaves_no_half_file() {
    let Some(disk) = Tmpfs::mount("256k") else { return };
    let prepared = prepared();
    let target = disk.0.path().join("out");
    let test = &prepared.test;
    let (result, problems) = restore_through(test, &test.vault, &prepared.first, &prepared.root, &target);
    assert!(!result.unwrap().lost, "the vault is whole");
    assert!(problems.iter().any(|problem| problem.contains("No space left")), "{problems:?}");
    let found = read_model(&target);
    assert!(found.len() < sample(0).len());
    for (path, content) in &found {
        assert!(sample(0)[path] == *content, "{} is wrong", path.display());
    }
}

#[test]
fn a_backup_does_without_caches_that_cannot_be_written() {
    let Some(disk) = Tmpfs::mount("16k") else { return };
    let mut prepared = prepared();
    let test = &mut prepared.test;
    test.cache = tempfile::TempDir::new_in(disk.0.path()).unwrap();
    let _ = fs::write(disk.0.path().join("filler"), vec![1; 1 << 20]);
    let outcome = test.backup(&prepared.root).unwrap();
    let mut expected = prepared.expected.clone();
    expected.insert(outcome.id.unwrap(), sample(1));
    assert_whole(test, Arc::clone(&prepared.base) as _, Path::new(&prepared.root), &expected, "no caches");
}
