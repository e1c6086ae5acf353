//! Many hosts at once, without a coordinator.

use crate::support::{
    Model, assert_checked, assert_model, backup_options, collecting, list_snapshots, no_filter, noise, prune,
    read_model, write_model,
};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Barrier},
};
use strongroom_custody::{Reason, ReasonCode};
use strongroom_format::{ObjectHash, snapshot::Snapshot};
use strongroom_testkit::vault::TestVault;
use strongroom_vault::{
    access::NewDataset,
    backup::{self, Options, Source},
    store::{LocalStore, Memory, Store},
};

const HOSTS: usize = 8;

/// What a host has: content of its own, and content that all have.
fn tree(host: usize, round: usize) -> Model {
    let mut model = Model::new();
    for nth in 0..6 {
        model.insert(format!("shared/{nth}").into(), noise(60_000, nth));
    }
    for nth in 0..4 {
        let seed = 1000 * host as u64 + 100 * round as u64 + nth;
        model.insert(format!("own/{nth}").into(), noise(20_000 + 100 * host, seed));
    }
    model
}

struct Backup {
    host: usize,
    round: usize,
    id: ObjectHash,
    snapshot: Snapshot,
    root: PathBuf,
}

/// All hosts back up at the same time, twice; each has a vault object and caches of its own, as processes have.
fn back_up(test: &TestVault, store: &Arc<dyn Store>, dataset: &str, folder: &std::path::Path) -> Vec<Backup> {
    let barrier = Barrier::new(HOSTS);
    let mut backups = Vec::new();
    std::thread::scope(|scope| {
        let hosts: Vec<_> = (0..HOSTS)
            .map(|host| {
                let barrier = &barrier;
                scope.spawn(move || {
                    let root = folder.join(format!("host-{host}"));
                    let mut done = Vec::new();
                    for round in 0..2 {
                        write_model(&tree(host, round), &root);
                        let vault = test.through(Arc::clone(store)).unwrap();
                        let reason = Reason::new(ReasonCode::Backup);
                        // Half of the hosts share one cache folder: several programs on one machine.
                        let cache = test.cache.path().join(if host < 4 { 0 } else { host }.to_string());
                        let opened = vault.open_for_writing(dataset, &test.custody, &reason, Some(cache));
                        let handle = test.runtime.block_on(opened).unwrap();
                        let key = vault.session_key(&handle, &test.custody, &reason);
                        let (key, _) = test.runtime.block_on(key).unwrap();
                        let options = Options { host: format!("host-{host}"), ..backup_options() };
                        barrier.wait();
                        let source = Source::Paths(vec![root.clone()]);
                        let (outcome, problems) = collecting(|monitor| {
                            backup::run(&handle, key, source, &no_filter(), &options, monitor)
                        });
                        assert!(problems.is_empty(), "{problems:?}");
                        let backup::Outcome { id, snapshot } = outcome.unwrap();
                        done.push(Backup { host, round, id: id.unwrap(), snapshot, root: root.clone() });
                    }
                    done
                })
            })
            .collect();
        for host in hosts {
            backups.extend(host.join().unwrap());
        }
    });
    backups
}

fn assert_all_whole(test: &TestVault, backups: &[Backup]) {
    for backup in backups {
        let target = tempfile::tempdir().unwrap();
        test.restore(&backup.snapshot, &backup.root, target.path()).unwrap();
        let what = format!("host {} round {}", backup.host, backup.round);
        assert_model(&read_model(target.path()), &tree(backup.host, backup.round), &what);
    }
}

fn eight_hosts(store: Arc<dyn Store>) {
    let mut test = TestVault::create(Arc::clone(&store));
    let folder = tempfile::tempdir().unwrap();
    let backups = back_up(&test, &store, "default", folder.path());
    assert_eq!(backups.len(), 2 * HOSTS);
    crate::support::forget_caches(&mut test);
    let handle = test.writing(&test.vault).unwrap();
    let listed: BTreeMap<_, _> = list_snapshots(&handle).unwrap().into_iter().collect();
    assert_eq!(listed.len(), 2 * HOSTS);
    assert!(backups.iter().all(|backup| listed.contains_key(&backup.id)));
    assert_checked(&handle, "after the backups");
    assert!(handle.store.list(&handle.names.sessions()).unwrap().is_empty(), "all sessions have ended");
    assert_all_whole(&test, &backups);
    // What hosts stored twice, prune may drop, and everything stays whole.
    prune(&handle).unwrap();
    assert_checked(&handle, "after the prune");
    crate::support::forget_caches(&mut test);
    assert_all_whole(&test, &backups);
}

#[test]
fn eight_hosts_share_a_dataset_in_memory() {
    eight_hosts(Arc::new(Memory::new()));
}

#[test]
fn eight_hosts_share_a_dataset_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    eight_hosts(Arc::new(LocalStore::new(folder.path().join("vault"))));
}

#[test]
fn prunes_and_backups_at_the_same_time_lose_nothing() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let mut test = TestVault::create(Arc::clone(&store));
    let folder = tempfile::tempdir().unwrap();
    let backups = std::thread::scope(|scope| {
        let pruning = scope.spawn(|| {
            let mut pruned = 0;
            for nth in 0..12 {
                let vault = test.through(Arc::clone(&store)).unwrap();
                let reason = Reason::new(ReasonCode::Admin);
                let cache = test.cache.path().join(format!("prune-{}", nth % 2));
                let opened = vault.open_for_writing("default", &test.custody, &reason, Some(cache));
                let handle = test.runtime.block_on(opened).unwrap();
                match prune(&handle) {
                    Ok(_) => pruned += 1,
                    Err(strongroom_vault::VaultError::Disturbed) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            pruned
        });
        let backups = back_up(&test, &store, "default", folder.path());
        assert!(pruning.join().unwrap() > 0);
        backups
    });
    crate::support::forget_caches(&mut test);
    let handle = test.writing(&test.vault).unwrap();
    assert_checked(&handle, "after all of it");
    assert_all_whole(&test, &backups);
}

#[test]
fn datasets_know_nothing_of_each_other() {
    let store = Arc::new(Memory::new());
    let mut test = TestVault::create(Arc::clone(&store) as _);
    let new = NewDataset { layout: strongroom_testkit::vault::small_layout(), ..NewDataset::new("second") };
    let custody = Arc::clone(&test.custody);
    let reason = Reason::new(ReasonCode::Admin);
    test.runtime.block_on(test.vault.add_dataset(&new, &custody, &reason)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    let first = back_up(&test, &shared, "default", folder.path());
    let before = store.contents();
    back_up(&test, &shared, "second", folder.path());
    // The same content again, and not one object of the first dataset is touched or shared.
    let after = store.contents();
    let of_first = |name: &str| name.contains(&test.vault.keyring().datasets[0].id.to_hex());
    let in_first: Vec<_> = after.keys().filter(|name| of_first(name)).collect();
    assert!(in_first.iter().all(|name| before.contains_key(*name)));
    let new: Vec<_> = after.iter().filter(|(name, _)| !before.contains_key(*name)).collect();
    assert!(new.iter().any(|(name, _)| name.contains("/packs/")), "nothing was shared");
    // The second dataset is destroyed: the first is whole.
    let runtime = &test.runtime;
    for (name, _) in new {
        runtime.block_on(store.delete(name)).unwrap();
    }
    crate::support::forget_caches(&mut test);
    assert_all_whole(&test, &first);
}
