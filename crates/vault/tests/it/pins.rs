//! Clients remember a vault's keyring, and refuse another, an older or a forked one.

use std::sync::Arc;
use strongroom_custody::{Reason, ReasonCode, policy::parse};
use strongroom_testkit::vault::{TestVault, small_layout};
use strongroom_vault::{
    VaultError,
    access::Vault,
    keyring::PolicyChange,
    pins::PinError,
    store::{Memory, Store as _},
};

fn vault_in(store: Arc<Memory>) -> TestVault {
    TestVault::with_policies(store, small_layout(), &["a", "b", "write"], "a", "write")
}

fn change(vault: &mut TestVault, policy: &str) {
    let change = PolicyChange { read_policy: Some(parse(policy).unwrap()), ..Default::default() };
    let reason = Reason::new(ReasonCode::Admin);
    vault.runtime.block_on(vault.vault.change_policy(change, &vault.custody, &reason)).unwrap();
}

fn open(vault: &TestVault, store: Memory) -> Vault {
    vault.through(Arc::new(store)).unwrap()
}

fn attack(vault: &TestVault, found: &Vault, pin: &strongroom_vault::pins::Pin) -> PinError {
    match vault.runtime.block_on(found.check_pin(pin)) {
        Err(VaultError::Pinned(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_follows_is_believed() {
    let store = Arc::new(Memory::new());
    let mut vault = vault_in(store.clone());
    let first = vault.vault.pin();
    for policy in ["any(a, b)", "b", "any(a, b)"] {
        change(&mut vault, policy);
        vault.runtime.block_on(vault.vault.check_pin(&first)).unwrap();
    }
    let newest = vault.vault.pin();
    assert_eq!(newest.version, 4);
    let again = open(&vault, store.copy());
    vault.runtime.block_on(again.check_pin(&newest)).unwrap();
    // A rewrap removes the keyrings in between.
    for version in 1..4 {
        vault.runtime.block_on(store.delete(&format!("keyring/{version:08x}"))).unwrap();
    }
    let again = open(&vault, store.copy());
    vault.runtime.block_on(again.check_pin(&first)).unwrap();
}

#[test]
fn another_vault_in_the_same_place_is_refused() {
    let vault = vault_in(Arc::new(Memory::new()));
    let other = vault_in(Arc::new(Memory::new()));
    let error = attack(&vault, &other.vault, &vault.vault.pin());
    let (pinned, found) = (vault.vault.keyring().vault, other.vault.keyring().vault);
    assert_eq!(error, PinError::Swapped { pinned, found });
}

#[test]
fn an_older_keyring_is_refused() {
    let store = Arc::new(Memory::new());
    let mut vault = vault_in(store.clone());
    let old = store.copy();
    change(&mut vault, "any(a, b)");
    let error = attack(&vault, &open(&vault, old), &vault.vault.pin());
    assert_eq!(error, PinError::RolledBack { pinned: 2, found: 1 });
}

#[test]
fn another_keyring_of_the_same_version_or_one_that_follows_from_it_is_refused() {
    let store = Arc::new(Memory::new());
    let mut vault = vault_in(store.clone());
    let fork = Arc::new(store.copy());
    let mut forked = vault_in(Arc::new(Memory::new()));
    forked.vault = vault.through(fork.clone()).unwrap();
    forked.custody = Arc::clone(&vault.custody);
    change(&mut vault, "any(a, b)");
    change(&mut forked, "b");
    let pin = vault.vault.pin();
    assert_eq!(attack(&vault, &forked.vault, &pin), PinError::Forked { version: 2 });
    change(&mut forked, "any(a, b)");
    assert_eq!(attack(&vault, &forked.vault, &pin), PinError::Forked { version: 2 });
    // Without the document in between, the newest one still names the one before.
    forked.runtime.block_on(fork.delete("keyring/00000002")).unwrap();
    assert_eq!(attack(&vault, &forked.vault, &pin), PinError::Forked { version: 2 });
}

#[test]
fn what_lies_beside_the_keyrings_does_not_stop_anybody() {
    let store = Arc::new(Memory::new());
    let vault = vault_in(store.clone());
    for name in ["keyring/zzzz", "keyring/00000001.bak", "keyring/0000000G"] {
        let put = vault.runtime.block_on(store.put_new(name, "not a keyring".into())).unwrap();
        assert_eq!(put, strongroom_vault::store::Put::Created);
    }
    assert_eq!(open(&vault, store.copy()).keyring().version, 1);
}
