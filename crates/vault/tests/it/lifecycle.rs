//! The life of keys: epochs, changes of policy, rewraps that are interrupted.

use std::{collections::BTreeMap, fs, sync::Arc};
use strongroom_custody::{
    Custody, CustodyError, KeyUse, Observer, Operation, Outcome, Reason, ReasonCode, Refusal, Secrets,
    holders, policy::parse,
};
use strongroom_testkit::vault::{TestVault, small_layout};
use strongroom_vault::{
    VaultError,
    changes::Authority,
    keyring::PolicyChange,
    rewrap::{Rewrapped, Stale},
    store::{Memory, Store as _},
};

fn admin() -> Reason {
    Reason::new(ReasonCode::Admin)
}

fn rotate(vault: &TestVault) -> u32 {
    let handle = vault.writing(&vault.vault).unwrap();
    vault.runtime.block_on(vault.vault.rotate(&handle, &vault.custody, &admin())).unwrap()
}

fn change(vault: &mut TestVault, change: PolicyChange, custody: &Custody) -> strongroom_vault::Result<()> {
    vault.runtime.block_on(vault.vault.change_policy(change, custody, &admin())).map(drop)
}

fn read_policy(text: &str) -> PolicyChange {
    PolicyChange { read_policy: Some(parse(text).unwrap()), ..PolicyChange::default() }
}

fn rewrap(vault: &mut TestVault, custody: &Custody, forget: bool) -> strongroom_vault::Result<Rewrapped> {
    let forget = forget.then_some(Authority::Harmless);
    vault.runtime.block_on(vault.vault.rewrap(custody, &admin(), None, forget, &|_, _| {}))
}

#[test]
fn a_restore_asks_once_for_each_epoch_that_it_touches() {
    let vault = TestVault::create(Arc::new(Memory::new()));
    let source = tempfile::tempdir().unwrap();
    let mut last = None;
    for epoch in 1..=4 {
        if epoch > 1 {
            assert_eq!(rotate(&vault), epoch);
        }
        fs::write(source.path().join(format!("of epoch {epoch}")), vec![epoch as u8; 50_000]).unwrap();
        last = Some(vault.backup(source.path()).unwrap());
    }
    vault.observer.reset();
    let target = tempfile::tempdir().unwrap();
    vault.restore(&last.unwrap().snapshot, source.path(), target.path()).unwrap();
    let mut epochs: Vec<u32> = vault.observer.intents().iter().map(|intent| intent.context.epoch).collect();
    epochs.sort_unstable();
    assert_eq!(epochs, [1, 2, 3, 4], "one unwrap for each epoch that holds a part of the tree");
    assert_eq!(vault.observer.calls(Operation::Wrap), 0);
}

#[test]
fn a_vault_moves_from_one_keyholder_to_two_of_three() {
    let store = Arc::new(Memory::new());
    let labels = ["old", "alice", "bob", "carol", "write"];
    let mut vault = TestVault::with_policies(store.clone(), small_layout(), &labels, "old", "write");
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("file"), b"worth a company").unwrap();
    let first = vault.backup(source.path()).unwrap();
    for _ in 0..3 {
        rotate(&vault);
    }
    let packs = || store.contents().into_keys().filter(|name| name.contains("/packs/")).collect::<Vec<_>>();
    let before = packs();

    let custody = Arc::clone(&vault.custody);
    change(&mut vault, read_policy("2 of (alice, bob, carol)"), &custody).unwrap();
    let stale = vault.runtime.block_on(vault.vault.stale_keys()).unwrap();
    let epochs: Vec<Stale> = (1..=4).map(|epoch| Stale::Epoch("default".into(), epoch)).collect();
    assert_eq!(stale, epochs);
    vault.observer.reset();
    let done = rewrap(&mut vault, &custody, true).unwrap();
    assert_eq!((done.epochs, done.removed.as_slice()), (4, ["old".to_owned()].as_slice()));
    assert!(done.kept.is_empty());
    assert_eq!(vault.observer.calls_by_holder(Operation::Unwrap)["old"], 4, "one for each epoch");
    assert_eq!(vault.observer.calls(Operation::Wrap), 4 * 3);
    assert_eq!(packs(), before, "no pack is rewritten");
    assert!(vault.runtime.block_on(vault.vault.stale_keys()).unwrap().is_empty());
    assert!(!vault.vault.keyring().keyholders.contains_key("old"));

    // Every document that the old keyholder could open is gone.
    let names: Vec<String> = store.contents().into_keys().collect();
    assert_eq!(names.iter().filter(|name| name.starts_with("keyring/")).count(), 1);
    assert_eq!(names.iter().filter(|name| name.contains("/epochs/")).count(), 4);

    let target = tempfile::tempdir().unwrap();
    vault.custody = vault.custody_of(&["alice"]);
    let error = vault.restore(&first.snapshot, source.path(), &target.path().join("one")).unwrap_err();
    assert!(matches!(error, VaultError::Custody(CustodyError::Refused { .. })), "{error}");
    vault.custody = vault.custody_of(&["alice", "carol"]);
    vault.restore(&first.snapshot, source.path(), &target.path().join("two")).unwrap();
    assert_eq!(fs::read(target.path().join("two/file")).unwrap(), b"worth a company");
    vault.custody = vault.custody_of(&["write"]);
    vault.backup(source.path()).unwrap();
}

/// Lets so many key uses pass.
struct StopAfter(std::sync::atomic::AtomicI64);

#[async_trait::async_trait]
impl Observer for StopAfter {
    async fn before(&self, _: &KeyUse) -> Result<(), Refusal> {
        match self.0.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) {
            left if left > 0 => Ok(()),
            _ => Err(Refusal::new("the record is full")),
        }
    }

    async fn after(&self, _: &KeyUse, _: &Outcome<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}

#[test]
fn a_rewrap_that_was_stopped_anywhere_goes_on() {
    let labels = ["old", "new", "write"];
    for passing in 0..14 {
        let mut vault =
            TestVault::with_policies(Arc::new(Memory::new()), small_layout(), &labels, "old", "write");
        let source = tempfile::tempdir().unwrap();
        fs::write(source.path().join("file"), b"here").unwrap();
        let snapshot = vault.backup(source.path()).unwrap().snapshot;
        for _ in 0..2 {
            rotate(&vault);
        }
        let keyholders = vault.vault.keyring().keyholders.clone();
        let secrets = labels
            .iter()
            .fold(Secrets::none(), |secrets, label| secrets.with_key_file(*label, vault.key_file(label)));
        let stopping = Custody::new(&keyholders, secrets, Arc::new(StopAfter(passing.into())));
        let stopped = change(&mut vault, read_policy("new"), &stopping)
            .and_then(|()| rewrap(&mut vault, &stopping, true).map(drop));
        if let Err(error) = &stopped {
            assert!(matches!(error, VaultError::Custody(CustodyError::Unrecorded { .. })), "{error}");
        }
        // Both old and new keyholder read on, whatever was done.
        let target = tempfile::tempdir().unwrap();
        vault.restore(&snapshot, source.path(), &target.path().join("between")).unwrap();
        let custody = vault.custody_of(&labels);
        change(&mut vault, read_policy("new"), &custody).unwrap();
        rewrap(&mut vault, &custody, true).unwrap();
        vault.custody = vault.custody_of(&["new"]);
        vault.restore(&snapshot, source.path(), &target.path().join("after")).unwrap();
        if stopped.is_ok() {
            return;
        }
    }
    panic!("the rewrap never came to its end");
}

#[test]
fn a_change_that_makes_no_sense_changes_nothing() {
    let labels = ["a", "b", "write"];
    let mut vault = TestVault::with_policies(Arc::new(Memory::new()), small_layout(), &labels, "a", "write");
    let custody = Arc::clone(&vault.custody);
    let version = vault.vault.keyring().version;
    assert!(change(&mut vault, read_policy("any(a, nobody)"), &custody).is_err());
    let twice = vault.vault.keyring().keyholders["a"].clone();
    let add = BTreeMap::from([("again".to_owned(), twice.clone())]);
    let seats =
        PolicyChange { add, read_policy: Some(parse("all(a, again)").unwrap()), ..Default::default() };
    assert!(change(&mut vault, seats, &custody).is_err(), "one custodian in two seats");
    let taken = PolicyChange { add: BTreeMap::from([("a".to_owned(), twice)]), ..Default::default() };
    assert!(change(&mut vault, taken, &custody).is_err());
    let unknown = PolicyChange { datasets: Some(vec!["none".into()]), ..read_policy("b") };
    assert!(change(&mut vault, unknown, &custody).is_err());
    // Who cannot open the signing key cannot change the policy.
    let stranger = vault.custody_of(&["b", "write"]);
    assert!(change(&mut vault, read_policy("b"), &stranger).is_err());
    assert_eq!(vault.vault.keyring().version, version);
    let reopened = vault.through(Arc::clone(vault.vault.store())).unwrap();
    assert_eq!(reopened.keyring().version, version);
}

#[test]
fn a_new_keyholder_is_added_and_opens_everything() {
    let mut vault = TestVault::create(Arc::new(Memory::new()));
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("file"), b"here").unwrap();
    let snapshot = vault.backup(source.path()).unwrap().snapshot;
    let path = vault.key_file("safe");
    let spec = holders::file::create(&path, "safe").unwrap();
    let mut keyholders = vault.vault.keyring().keyholders.clone();
    keyholders.insert("safe".into(), spec.clone());
    let secrets = Secrets::none().with_key_file("read", vault.key_file("read"));
    let custody = Custody::new(&keyholders, secrets, Arc::new(strongroom_custody::Unobserved));
    let add =
        PolicyChange { add: BTreeMap::from([("safe".to_owned(), spec)]), ..read_policy("any(read, safe)") };
    change(&mut vault, add, &custody).unwrap();
    rewrap(&mut vault, &custody, false).unwrap();
    vault.custody = vault.custody_of(&["safe"]);
    let target = tempfile::tempdir().unwrap();
    vault.restore(&snapshot, source.path(), target.path()).unwrap();
}

#[test]
fn documents_that_cannot_be_deleted_are_told() {
    let inner = Arc::new(Memory::new());
    let store = Arc::new(strongroom_testkit::store::NoDeleteStore::new(inner));
    let labels = ["old", "new", "write"];
    let mut vault = TestVault::with_policies(store.clone(), small_layout(), &labels, "old", "write");
    let custody = Arc::clone(&vault.custody);
    change(&mut vault, read_policy("new"), &custody).unwrap();
    let done = rewrap(&mut vault, &custody, true).unwrap();
    assert!(done.deleted.is_empty());
    let kept = done.kept.iter().filter(|name| name.starts_with("keyring/")).count();
    assert!(kept >= 2 && done.kept.iter().any(|name| name.contains("/epochs/")), "{:?}", done.kept);
    let listed = vault.runtime.block_on(store.list("keyring/")).unwrap();
    assert_eq!(listed.len(), kept + 1);
}

#[test]
fn what_operations_cost_in_provider_calls() {
    let labels = ["kms", "alice", "bob", "carol", "write"];
    let store = Arc::new(Memory::new());
    let policy = "any(kms, 2 of (alice, bob, carol))";
    let mut vault = TestVault::with_policies(store, small_layout(), &labels, "kms", "write");
    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("file"), b"worth a company").unwrap();
    vault.observer.reset();
    let backup = vault.backup(source.path()).unwrap();
    assert_eq!((vault.observer.calls(Operation::Unwrap), vault.observer.calls(Operation::Wrap)), (1, 0));
    vault.observer.reset();
    let target = tempfile::tempdir().unwrap();
    vault.restore(&backup.snapshot, source.path(), target.path()).unwrap();
    assert_eq!((vault.observer.calls(Operation::Unwrap), vault.observer.calls(Operation::Wrap)), (1, 0));
    while rotate(&vault) < 120 {}
    let custody = Arc::clone(&vault.custody);
    vault.observer.reset();
    change(&mut vault, read_policy(policy), &custody).unwrap();
    assert_eq!(rewrap(&mut vault, &custody, true).unwrap().epochs, 120);
    // One unwrap for the signing key and for each epoch; one wrap for each keyholder of the new policy.
    assert_eq!(vault.observer.calls(Operation::Unwrap), 121);
    assert_eq!(vault.observer.calls(Operation::Wrap), 121 * 4);
}
