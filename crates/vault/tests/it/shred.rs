//! What is shredded cannot be read by anybody; what was not stays whole.

use crate::support::{assert_checked, assert_model, collecting, read_model, sample, write_model};
use jiff::Timestamp;
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{Arc, LazyLock},
};
use strongroom_custody::{Reason, ReasonCode};
use strongroom_format::{
    change::{Certificate, Shred, What},
    names,
    snapshot::Snapshot,
};
use strongroom_testkit::vault::{TestVault, small_layout};
use strongroom_vault::{
    Result, VaultError,
    changes::{Standing, Words},
    packer::Compression,
    prune::{self, Compaction, Limit, PruneOptions},
    session::Session,
    shred,
    store::{Memory, Store as _},
};

fn admin() -> &'static Reason {
    static ADMIN: LazyLock<Reason> = LazyLock::new(|| Reason::new(ReasonCode::Admin));
    &ADMIN
}

fn rotate(test: &TestVault) -> u32 {
    let handle = test.writing(&test.vault).unwrap();
    test.runtime.block_on(test.vault.rotate(&handle, &test.custody, admin())).unwrap()
}

fn propose(test: &TestVault, what: Shred) -> Standing {
    let proposed = test.vault.propose(What::Shred(what), Words::default(), &test.custody, admin());
    let id = test.runtime.block_on(proposed).unwrap().id;
    let later = Timestamp::now() + jiff::SignedDuration::from_secs(5);
    test.runtime.block_on(test.vault.find_change(&id.to_hex(), later)).unwrap()
}

fn epochs(test: &TestVault, epochs: &[u32]) -> Shred {
    let record = test.vault.keyring().dataset("default").unwrap();
    let (name, id) = (record.name.clone(), record.id);
    Shred::Epochs { name, id, epochs: epochs.iter().copied().collect() }
}

fn shred_epochs(test: &TestVault, numbers: &[u32]) -> Result<Certificate> {
    let standing = propose(test, epochs(test, numbers));
    let handle = test.writing(&test.vault).unwrap();
    let (done, problems) = collecting(|monitor| {
        shred::shred_epochs(&test.vault, &standing, &handle, &test.custody, admin(), monitor)
    });
    assert!(problems.is_empty(), "{problems:?}");
    done
}

fn restored(test: &TestVault, snapshot: &Snapshot, source: &Path) -> crate::support::Model {
    let target = tempfile::tempdir().unwrap();
    test.restore(snapshot, source, target.path()).unwrap();
    read_model(target.path())
}

fn rewrite(test: &TestVault) -> u32 {
    let newest = rotate(test);
    let (handle, keys) = test.reading(&test.vault).unwrap();
    let (session, _) =
        test.runtime.block_on(test.vault.session_key(&handle, &test.custody, admin())).unwrap();
    let compaction = Compaction { keys, session, compression: Compression::default() };
    let options =
        PruneOptions { max_unused: Limit::Unlimited, rewrite_before: Some(newest), ..Default::default() };
    let (done, problems) =
        collecting(|monitor| prune::plan(&handle, &options, monitor)?.execute(Some(&compaction), monitor));
    assert!(problems.is_empty(), "{problems:?}");
    assert!(done.unwrap().written.bytes > 0);
    newest
}

#[test]
fn an_epoch_takes_its_snapshots_and_those_that_share_with_it() {
    let store = Arc::new(Memory::new());
    let test = TestVault::create(store.clone());
    let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_model(&sample(1), root.path());
    let first = test.backup(root.path()).unwrap();
    rotate(&test);
    write_model(&sample(2), root.path());
    let sharing = test.backup(root.path()).unwrap();
    fs::write(other.path().join("alone"), crate::support::noise(200_000, 77)).unwrap();
    let alone = test.backup(other.path()).unwrap();

    let handle = test.writing(&test.vault).unwrap();
    let preview = shred::preview(&handle, &BTreeSet::from([1])).unwrap();
    let ids = |found: &[strongroom_vault::snapshots::StoredSnapshot]| {
        found.iter().map(|s| s.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&preview.of_these), [first.id.unwrap()]);
    assert_eq!(ids(&preview.sharing), [sharing.id.unwrap()]);
    assert!(preview.bytes > 500_000, "{}", preview.bytes);

    let certificate = shred_epochs(&test, &[1]).unwrap();
    assert_eq!(certificate.snapshots.len(), 2);
    assert_eq!(certificate.destroyed.len(), 1);
    assert!(certificate.kept.is_empty());
    let stored = store.contents();
    let bytes = &stored[&names::certificate(&certificate.change)];
    assert_eq!(Certificate::decode(bytes, &test.vault.keyring().vault).unwrap(), certificate);
    assert!(!stored.keys().any(|name| name.contains("/epochs/00000001.")));

    assert_eq!(test.snapshots().unwrap().len(), 1);
    assert_checked(&test.writing(&test.vault).unwrap(), "after the shred");
    assert_model(&restored(&test, &alone.snapshot, other.path()), &read_model(other.path()), "alone");
    // Backups go on, and build on nothing that nobody can open.
    let again = test.backup(root.path()).unwrap();
    assert_model(&restored(&test, &again.snapshot, root.path()), &sample(2), "again");
}

#[test]
fn the_newest_epoch_makes_room_for_another() {
    let test = TestVault::create(Arc::new(Memory::new()));
    let root = tempfile::tempdir().unwrap();
    write_model(&sample(1), root.path());
    test.backup(root.path()).unwrap();
    shred_epochs(&test, &[1]).unwrap();
    let after = test.backup(root.path()).unwrap();
    assert_model(&restored(&test, &after.snapshot, root.path()), &sample(1), "after");
    let handle = test.writing(&test.vault).unwrap();
    assert_eq!(test.runtime.block_on(test.vault.newest_epoch(&handle)).unwrap(), 2);
}

#[test]
fn what_was_rewritten_survives_the_shred_of_the_old_epochs() {
    let test = TestVault::create(Arc::new(Memory::new()));
    let root = tempfile::tempdir().unwrap();
    let mut backups = Vec::new();
    for seed in 1..=3 {
        write_model(&sample(seed), root.path());
        backups.push((seed, test.backup(root.path()).unwrap()));
        rotate(&test);
    }
    let handle = test.writing(&test.vault).unwrap();
    assert_eq!(shred::exposure(&handle).unwrap().len(), 3, "three epochs hold something");
    let newest = rewrite(&test);
    let exposed = shred::exposure(&handle).unwrap();
    assert_eq!(exposed.iter().map(|epoch| epoch.number).collect::<Vec<_>>(), [newest]);
    assert_eq!(exposed[0].snapshots, 3);
    let old: Vec<u32> = (1..newest).collect();
    let preview = shred::preview(&handle, &old.iter().copied().collect()).unwrap();
    assert_eq!((preview.of_these.len(), preview.sharing.len(), preview.bytes), (0, 0, 0));
    let certificate = shred_epochs(&test, &old).unwrap();
    assert_eq!((certificate.destroyed.len(), certificate.snapshots.len()), (old.len(), 0));
    for (seed, backup) in &backups {
        assert_model(&restored(&test, &backup.snapshot, root.path()), &sample(*seed), "rewritten");
    }
}

#[test]
fn a_running_backup_stops_a_shred() {
    let test = TestVault::create(Arc::new(Memory::new()));
    let root = tempfile::tempdir().unwrap();
    write_model(&sample(1), root.path());
    test.backup(root.path()).unwrap();
    let handle = test.writing(&test.vault).unwrap();
    let session = Session::start(&handle, "host-b", false).unwrap();
    let error = shred_epochs(&test, &[1]).unwrap_err();
    assert!(matches!(error, VaultError::Change(_)), "{error}");
    assert_eq!(test.snapshots().unwrap().len(), 1);
    session.end();
    shred_epochs(&test, &[1]).unwrap();
}

#[test]
fn a_dataset_goes_and_the_others_stay() {
    let store = Arc::new(Memory::new());
    let mut test = TestVault::create_with(store.clone(), small_layout());
    let custody = Arc::clone(&test.custody);
    let root = tempfile::tempdir().unwrap();
    write_model(&sample(1), root.path());
    let kept = test.backup(root.path()).unwrap();
    let new = strongroom_vault::access::NewDataset {
        layout: small_layout(),
        ..strongroom_vault::access::NewDataset::new("second")
    };
    test.runtime.block_on(test.vault.add_dataset(&new, &custody, admin())).unwrap();
    let record = test.vault.keyring().dataset("second").unwrap().clone();
    let standing = propose(&test, Shred::Dataset { name: record.name, id: record.id });
    let certificate = test.runtime.block_on(test.vault.shred(&standing, &custody, admin())).unwrap();
    assert!(certificate.destroyed.keys().any(|name| name.contains("/epochs/")));
    assert!(certificate.destroyed.contains_key(&names::keyring(2)), "it holds the write key");
    let folder = names::DatasetNames(record.id).everything();
    assert!(!store.contents().keys().any(|name| name.starts_with(&folder)));
    assert!(test.vault.keyring().dataset("second").is_none());
    assert_model(&restored(&test, &kept.snapshot, root.path()), &sample(1), "the other dataset");
}

#[test]
fn of_a_shredded_vault_nothing_is_left_that_a_key_opens() {
    let store = Arc::new(Memory::new());
    let mut test = TestVault::create(store.clone());
    let custody = Arc::clone(&test.custody);
    let root = tempfile::tempdir().unwrap();
    write_model(&sample(1), root.path());
    test.backup(root.path()).unwrap();
    let standing = propose(&test, Shred::Vault);
    let id = test.vault.keyring().vault;
    let certificate = test.runtime.block_on(test.vault.shred(&standing, &custody, admin())).unwrap();
    assert_eq!(certificate.snapshots.len(), 1);
    let left: Vec<String> = store.contents().into_keys().collect();
    let expected = [names::certificate(&standing.id), names::change(&standing.id), names::VAULT.to_owned()];
    assert_eq!(left, expected);
    let bytes = test.runtime.block_on(store.get(&names::certificate(&standing.id), 1 << 20)).unwrap();
    assert_eq!(Certificate::decode(&bytes, &id).unwrap(), certificate);
    let error = test.through(store).unwrap_err();
    assert!(matches!(error, VaultError::Shredded { .. }), "{error}");
}
