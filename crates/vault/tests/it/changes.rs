//! Dangerous changes wait, any keyholder cancels them, and clients refuse what did not wait.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, LazyLock};
use strongroom_custody::{Custody, Reason, ReasonCode, policy::parse};
use strongroom_format::{
    ObjectHash,
    change::{Policies, What},
    names,
};
use strongroom_testkit::vault::{TestVault, small_layout};
use strongroom_vault::{
    Result, VaultError,
    changes::{Authority, ChangeError, Stage, Standing, Words},
    keyring::PolicyChange,
    pins::PinError,
    store::{Memory, Store as _},
};

const LABELS: [&str; 4] = ["kms", "alice", "bob", "carol"];
const POLICY: &str = "any(kms, 2 of (alice, bob, carol))";

fn admin() -> &'static Reason {
    static ADMIN: LazyLock<Reason> = LazyLock::new(|| Reason::new(ReasonCode::Admin));
    &ADMIN
}

fn locked(store: &Arc<Memory>) -> TestVault {
    TestVault::with_time_lock(store.clone(), small_layout(), &LABELS, POLICY, "kms", 72)
}

fn to(policy: &str) -> PolicyChange {
    PolicyChange { read_policy: Some(parse(policy).unwrap()), ..PolicyChange::default() }
}

fn change(test: &mut TestVault, wanted: PolicyChange) -> Result<()> {
    let custody = Arc::clone(&test.custody);
    test.runtime.block_on(test.vault.change_policy(wanted, &custody, admin())).map(drop)
}

fn propose(test: &TestVault, policy: &str) -> Standing {
    let what = What::Policy(Policies {
        add: Default::default(),
        read_policy: Some(parse(policy).unwrap()),
        write_policy: None,
        datasets: None,
        delete_old: true,
    });
    let words = Words { requester: "operator@host-a".into(), reason: "audit".into() };
    test.runtime.block_on(test.vault.propose(what, words, &test.custody, admin())).unwrap()
}

fn later(hours: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_hours(hours)
}

fn look(test: &TestVault, id: &ObjectHash, now: Timestamp) -> Standing {
    test.runtime.block_on(test.vault.find_change(&id.to_hex(), now)).unwrap()
}

fn apply(test: &mut TestVault, standing: &Standing) -> Result<()> {
    let custody = Arc::clone(&test.custody);
    let applied = test.vault.apply(standing, &custody, admin(), &|_, _| {});
    test.runtime.block_on(applied).map(drop)
}

fn cancel(test: &TestVault, standing: &Standing, custody: &Custody, holder: Option<&str>) -> Result<String> {
    let cancelled = test.vault.cancel(standing, holder, "nobody asked me", custody, admin());
    test.runtime.block_on(cancelled).map(|cancellation| cancellation.holder)
}

fn refusal<T: std::fmt::Debug>(result: Result<T>) -> ChangeError {
    match result {
        Err(VaultError::Change(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_takes_away_or_makes_easier_waits_and_nothing_else_does() {
    let mut test = locked(&Arc::new(Memory::new()));
    for dangerous in ["kms", "2 of (alice, bob, carol)", "any(kms, alice, bob, carol)", "all(kms, alice)"] {
        let error = refusal(change(&mut test, to(dangerous)));
        assert!(matches!(error, ChangeError::Locked { hours: 72, .. }), "{dangerous}: {error}");
    }
    let write = PolicyChange { write_policy: Some(parse("alice").unwrap()), ..PolicyChange::default() };
    assert!(matches!(refusal(change(&mut test, write)), ChangeError::Locked { .. }));
    assert_eq!(test.vault.keyring().version, 1, "nothing was published");
    change(&mut test, to("any(2 of (alice, bob, carol), kms)")).unwrap();
    // A revocation takes away at once, and may make nothing easier.
    let revocation = |policy| PolicyChange { authority: Authority::Revocation, ..to(policy) };
    assert!(matches!(refusal(change(&mut test, revocation("any(kms, alice)"))), ChangeError::Locked { .. }));
    change(&mut test, revocation("2 of (alice, bob, carol)")).unwrap();
}

#[test]
fn a_change_is_carried_out_when_its_time_has_come_and_once() {
    let mut test = locked(&Arc::new(Memory::new()));
    let proposed = propose(&test, "any(kms, all(alice, bob))");
    assert_eq!(proposed.stage, Stage::Waiting);
    assert!(matches!(refusal(apply(&mut test, &proposed)), ChangeError::TooEarly(_)));
    let early = look(&test, &proposed.id, later(71));
    assert!(matches!(refusal(apply(&mut test, &early)), ChangeError::TooEarly(_)));
    let ripe = look(&test, &proposed.id, later(73));
    apply(&mut test, &ripe).unwrap();
    assert_eq!(test.vault.keyring().read_policy.to_string(), "any(kms, all(alice, bob))");
    assert_eq!(test.vault.keyring().keyholders.len(), 3, "carol is gone");
    assert!(test.runtime.block_on(test.vault.stale_keys()).unwrap().is_empty());
    let done = look(&test, &proposed.id, later(73));
    let Stage::Done(certificate) = &done.stage else { panic!("{:?}", done.stage) };
    assert!(certificate.destroyed.contains_key(&names::keyring(1)), "{certificate:?}");
    assert!(matches!(refusal(apply(&mut test, &done)), ChangeError::Done(_)));
}

#[test]
fn the_stores_clock_counts_too() {
    let store = Arc::new(Memory::new());
    let test = locked(&store);
    let proposed = propose(&test, "kms");
    assert!(store.set_modified(&names::change(&proposed.id), later(10)));
    assert_eq!(look(&test, &proposed.id, later(73)).stage, Stage::Waiting);
    assert_eq!(look(&test, &proposed.id, later(83)).stage, Stage::Ripe);
}

#[test]
fn every_keyholder_alone_can_cancel_and_nobody_else() {
    for holder in LABELS {
        let mut test = locked(&Arc::new(Memory::new()));
        let proposed = propose(&test, "kms");
        let alone = test.custody_of(&[holder]);
        let others = test.custody_of(&[]);
        assert!(cancel(&test, &proposed, &others, None).is_err());
        assert!(matches!(
            refusal(cancel(&test, &proposed, &alone, Some("mallory"))),
            ChangeError::CannotCancel { .. }
        ));
        assert_eq!(cancel(&test, &proposed, &alone, None).unwrap(), holder);
        let found = look(&test, &proposed.id, later(73));
        let refused = refusal(apply(&mut test, &found));
        assert_eq!(refused, ChangeError::Cancelled { by: holder.into(), reason: "nobody asked me".into() });
        assert!(matches!(refusal(cancel(&test, &found, &alone, None)), ChangeError::Cancelled { .. }));
    }
}

#[test]
fn nonsense_beside_a_change_neither_stops_nor_hurries_it() {
    let store = Arc::new(Memory::new());
    let test = locked(&store);
    let proposed = propose(&test, "kms");
    let elsewhere = locked(&Arc::new(Memory::new()));
    let foreign = propose(&elsewhere, "kms");
    let put = |name: String, bytes: Vec<u8>| {
        let _ = test.runtime.block_on(store.put_new(&name, Bytes::from(bytes))).unwrap();
    };
    put(names::cancellation(&proposed.id, &ObjectHash([1; 32])), b"no".to_vec());
    put(names::certificate(&proposed.id), b"done".to_vec());
    put(names::change(&ObjectHash([2; 32])), b"nothing".to_vec());
    put(format!("{}readme", names::CHANGES), b"hello".to_vec());
    cancel(&elsewhere, &foreign, &elsewhere.custody, None).unwrap();
    let (changes, odd) = test.runtime.block_on(test.vault.changes(later(73))).unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].stage, Stage::Ripe);
    assert_eq!(odd.len(), 2, "{odd:?}");
    assert!(matches!(
        refusal(test.runtime.block_on(test.vault.find_change("ffff", Timestamp::now()))),
        ChangeError::Missing(_)
    ));
}

/// An attacker who has the policy's quorum and a program of his own publishes what did not wait.
#[test]
fn clients_refuse_a_threshold_that_fell_without_waiting() {
    let store = Arc::new(Memory::new());
    let mut test = locked(&store);
    let pin = test.vault.pin();
    let proposed = propose(&test, "any(kms, alice, all(bob, carol))");
    let attackers = look(&test, &proposed.id, later(73));
    let keep = |what: &What| match what {
        What::Policy(policies) => What::Policy(Policies { delete_old: false, ..policies.clone() }),
        other => other.clone(),
    };
    let mut attackers = attackers;
    attackers.change.what = keep(&attackers.change.what);
    apply(&mut test, &attackers).unwrap();
    let version = test.vault.keyring().version;
    match test.runtime.block_on(test.vault.check_pin(&pin)) {
        Err(VaultError::Pinned(PinError::Hurried { version: found })) => assert!(found <= version),
        other => panic!("{other:?}"),
    }
    // The same change, three days later by the store's clock, is believed.
    let early = Timestamp::now() - SignedDuration::from_hours(73);
    assert!(store.set_modified(&names::change(&proposed.id), early));
    test.runtime.block_on(test.vault.check_pin(&pin)).unwrap();
}

/// A change that waited long ago allows what it says, and only once.
#[test]
fn an_old_change_lends_its_wait_to_no_other_step() {
    let store = Arc::new(Memory::new());
    let mut test = locked(&store);
    let harmless = propose(&test, "any(2 of (alice, bob, carol), kms)");
    let long_ago = Timestamp::now() - SignedDuration::from_hours(500);
    assert!(store.set_modified(&names::change(&harmless.id), long_ago));
    let pin = test.vault.pin();
    let lowered =
        PolicyChange { authority: Authority::Ripe(harmless.id), ..to("any(kms, alice, bob, carol)") };
    change(&mut test, lowered).unwrap();
    assert!(matches!(
        test.runtime.block_on(test.vault.check_pin(&pin)),
        Err(VaultError::Pinned(PinError::Hurried { .. }))
    ));

    let store = Arc::new(Memory::new());
    let mut test = locked(&store);
    let proposed = propose(&test, "any(kms, alice, bob, carol)");
    assert!(store.set_modified(&names::change(&proposed.id), long_ago));
    let ripe = look(&test, &proposed.id, later(73));
    apply(&mut test, &ripe).unwrap();
    let certificate = Timestamp::now() - SignedDuration::from_hours(400);
    assert!(store.set_modified(&names::certificate(&proposed.id), certificate));
    let raised = PolicyChange { authority: Authority::Revocation, ..to("2 of (alice, bob, carol)") };
    change(&mut test, raised).unwrap();
    let pin = test.vault.pin();
    let replayed = PolicyChange { authority: Authority::Ripe(proposed.id), ..to("any(alice, bob, carol)") };
    change(&mut test, replayed).unwrap();
    assert!(matches!(
        test.runtime.block_on(test.vault.check_pin(&pin)),
        Err(VaultError::Pinned(PinError::Hurried { .. }))
    ));
}

#[test]
fn a_shorter_time_lock_waits_for_the_longer_one() {
    let mut test = locked(&Arc::new(Memory::new()));
    let custody = Arc::clone(&test.custody);
    let set = |test: &mut TestVault, hours| {
        test.runtime.block_on(test.vault.change_time_lock(hours, &custody, admin()))
    };
    assert!(matches!(refusal(set(&mut test, 0)), ChangeError::Locked { hours: 72, .. }));
    set(&mut test, 100).unwrap();
    assert_eq!(test.vault.keyring().time_lock(), 100);
    let proposed = test.vault.propose(What::TimeLock(1), Words::default(), &custody, admin());
    let proposed = test.runtime.block_on(proposed).unwrap();
    let ripe = look(&test, &proposed.id, later(101));
    apply(&mut test, &ripe).unwrap();
    assert_eq!(test.vault.keyring().time_lock(), 1);
}

#[test]
fn old_documents_stay_while_somebody_who_was_removed_could_still_want_them() {
    let store = Arc::new(Memory::new());
    let mut test = locked(&store);
    let custody = Arc::clone(&test.custody);
    change(&mut test, PolicyChange { authority: Authority::Revocation, ..to("kms") }).unwrap();
    let rewrapped = test.vault.rewrap(&custody, admin(), None, Some(Authority::Harmless), &|_, _| {});
    let done = test.runtime.block_on(rewrapped).unwrap();
    assert!(!done.deleted.contains_key(&names::keyring(1)), "{done:?}");
    assert_eq!(done.locked.len(), 2, "the first keyring, and the first document of the epoch: {done:?}");
    let forget = test.vault.propose(What::Forget { holder: None }, Words::default(), &custody, admin());
    let forget = test.runtime.block_on(forget).unwrap();
    let ripe = look(&test, &forget.id, later(73));
    apply(&mut test, &ripe).unwrap();
    let left = store.contents().into_keys().filter(|name| name.starts_with(names::KEYRING)).count();
    assert_eq!(left, 1);
}
