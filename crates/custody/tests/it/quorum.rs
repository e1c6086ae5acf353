//! Requests and approvals: any order, duplicates, replays, expiry, wrong custodians, changed bytes.

use crate::{
    context,
    custody::{Fake, custody, reason},
    key,
};
use data_encoding::BASE64;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, OnceLock},
};
use strongroom_custody::{
    CountingObserver, Custody, CustodyError, Effort, Operation,
    policy::parse,
    quorum::{Approval, ApprovedKeyholder, Gathering, QuorumError, Request, RequestId, RequestedKey},
    review::is_satisfied,
};
use strongroom_format::{
    Secret32, SystemEntropy,
    context::Context,
    keyring::{KeyholderSpec, PolicyTree, WrappedKey},
    xwing::OpeningKey,
};

const CUSTODIANS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const POLICY: &str = "any(all(alice, dave), 2 of (bob, carol, erin))";

fn everybody() -> Custody {
    let labels = CUSTODIANS.into_iter().chain(["erin"]);
    custody(
        labels.map(|label| Fake::new(label, Effort::Local)).collect(),
        Arc::new(CountingObserver::default()),
    )
}

fn noon() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

fn minutes(count: i64) -> Timestamp {
    noon().checked_add(count.minutes()).unwrap()
}

fn of_epoch(epoch: u32) -> Context {
    Context { epoch, ..context() }
}

async fn wrapped(epoch: u32) -> WrappedKey {
    let policy = parse(POLICY).unwrap();
    everybody().wrap_key(&policy, &of_epoch(epoch), &key(), &reason()).await.unwrap()
}

struct Asked {
    request: Request,
    id: RequestId,
    private: OpeningKey,
}

async fn asked() -> Asked {
    let private = OpeningKey::from_seed(Secret32::random(&mut SystemEntropy));
    let spec = KeyholderSpec { kind: "fake".into(), parameters: BTreeMap::new() };
    let labels = CUSTODIANS.into_iter().chain(["erin"]);
    let request = Request {
        strongroom_request: 1,
        requester: "operator on host-a".into(),
        reason: "ticket 7".into(),
        created: noon(),
        expires: minutes(60),
        vault: context().vault,
        dataset: context().dataset,
        snapshots: vec!["4f3c2a10".into()],
        keyholders: labels.map(|label| (label.to_owned(), spec.clone())).collect(),
        keys: vec![
            RequestedKey { epoch: 3, wrapped: wrapped(3).await },
            RequestedKey { epoch: 7, wrapped: wrapped(7).await },
        ],
        public_key: BASE64.encode(&private.public().to_bytes()),
    };
    let (bytes, id) = request.encode().unwrap();
    let (decoded, again) = Request::decode(&bytes).unwrap();
    assert_eq!((&decoded, again), (&request, id));
    Asked { request, id, private }
}

async fn approve(asked: &Asked, holder: &str) -> Approval {
    let custody = everybody();
    let approval =
        Approval::make(&asked.request, &asked.id, holder, minutes(1), &custody, &reason()).await.unwrap();
    assert_eq!(Approval::decode(&approval.encode().unwrap()).unwrap(), approval);
    approval
}

#[tokio::test]
async fn two_approvals_open_the_keys_and_nothing_else() {
    let asked = asked().await;
    let mut gathering = Gathering::new(asked.request.clone(), asked.id, asked.private.clone()).unwrap();
    assert!(!gathering.add(approve(&asked, "bob").await, minutes(2)).unwrap().is_met);
    assert!(matches!(gathering.open(minutes(2), &|_| false), Err(QuorumError::Unmet(_))));
    assert!(gathering.add(approve(&asked, "carol").await, minutes(3)).unwrap().is_met);
    let parts = gathering.open(minutes(4), &|_| false).unwrap();
    assert!(matches!(gathering.open(minutes(4), &|_| false), Err(QuorumError::Used)));

    let request = Arc::new(asked.request.clone());
    let observer = Arc::new(CountingObserver::default());
    let nobody = custody(Vec::new(), observer.clone());
    let approved = ApprovedKeyholder::all(&request, parts, &nobody, || minutes(5));
    let here = nobody.with_holders(approved);
    for key_of in &asked.request.keys {
        let opened = here.unwrap_key(&key_of.wrapped, &of_epoch(key_of.epoch), &reason()).await.unwrap();
        assert_eq!(opened.expose(), key().expose());
    }
    assert_eq!(observer.calls(Operation::Unwrap), 4, "each part is recorded as a key use");
    // A process that lives on does not open once the time is over.
    let parts = {
        let mut again = Gathering::new(asked.request.clone(), asked.id, asked.private.clone()).unwrap();
        for name in ["bob", "carol"] {
            again.add(approve(&asked, name).await, minutes(2)).unwrap();
        }
        again.open(minutes(4), &|_| false).unwrap()
    };
    let nobody = custody(Vec::new(), Arc::clone(&observer) as _);
    let over = ApprovedKeyholder::all(&request, parts, &nobody, || minutes(60));
    let over = nobody.with_holders(over);
    let key_of = &asked.request.keys[0];
    let error = over.unwrap_key(&key_of.wrapped, &of_epoch(key_of.epoch), &reason()).await.unwrap_err();
    assert!(error.to_string().contains("expired"), "{error}");
    // Other epochs, and the same epoch wrapped again, stay closed.
    for (epoch, other) in [(4, wrapped(4).await), (3, wrapped(3).await)] {
        let error = here.unwrap_key(&other, &of_epoch(epoch), &reason()).await.unwrap_err();
        assert!(matches!(error, CustodyError::Refused { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_custodian_does_not_approve_what_is_over_or_not_his() {
    let asked = asked().await;
    let late = Approval::make(&asked.request, &asked.id, "bob", minutes(60), &everybody(), &reason()).await;
    assert!(matches!(late, Err(CustodyError::Quorum(QuorumError::Expired(_)))));
    let stranger =
        Approval::make(&asked.request, &asked.id, "zoe", minutes(1), &everybody(), &reason()).await;
    assert!(matches!(stranger, Err(CustodyError::Quorum(QuorumError::WrongCustodian(_)))));
}

#[tokio::test]
async fn an_approval_is_bound_to_its_request_and_its_custodian() {
    let (one, two) = (asked().await, asked().await);
    let gathering = || Gathering::new(one.request.clone(), one.id, one.private.clone()).unwrap();
    let bob = approve(&one, "bob").await;

    let replayed = approve(&two, "bob").await;
    let error = gathering().add(replayed.clone(), minutes(2)).unwrap_err();
    assert!(matches!(error, QuorumError::OtherRequest { .. }), "{error}");
    let relabelled = Approval { request: one.id.to_string(), ..replayed };
    assert_eq!(gathering().add(relabelled, minutes(2)), Err(QuorumError::Tampered("bob".into())));
    let as_carol = Approval { holder: "carol".into(), ..bob.clone() };
    assert_eq!(gathering().add(as_carol, minutes(2)), Err(QuorumError::Tampered("carol".into())));
    let mut swapped = bob.clone();
    let sealed = swapped.parts[0].sealed.clone();
    swapped.parts[0].sealed = std::mem::replace(&mut swapped.parts[1].sealed, sealed);
    assert_eq!(gathering().add(swapped, minutes(2)), Err(QuorumError::Tampered("bob".into())));
    let mut half = bob.clone();
    half.parts.pop();
    assert_eq!(gathering().add(half, minutes(2)), Err(QuorumError::Tampered("bob".into())));
    let stranger = Approval { holder: "zoe".into(), ..bob.clone() };
    assert_eq!(gathering().add(stranger, minutes(2)), Err(QuorumError::WrongCustodian("zoe".into())));
    let mut taken = gathering();
    taken.add(bob.clone(), minutes(2)).unwrap();
    let again = approve(&one, "bob").await;
    assert_eq!(taken.add(again, minutes(2)), Err(QuorumError::Conflict("bob".into())));
    assert!(Gathering::new(one.request.clone(), one.id, two.private.clone()).is_err());
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let asked = asked().await;
    let refused = |edit: &dyn Fn(&mut Request)| {
        let mut request = asked.request.clone();
        edit(&mut request);
        let bytes = serde_json::to_vec(&request).unwrap();
        assert!(Request::decode(&bytes).is_err());
        assert!(request.encode().is_err());
    };
    refused(&|request| request.strongroom_request = 2);
    refused(&|request| request.keys.clear());
    refused(&|request| request.reason = " ".into());
    refused(&|request| request.requester = "x".repeat(5000));
    refused(&|request| request.expires = request.created);
    refused(&|request| request.dataset = "../etc".into());
    refused(&|request| request.public_key = "AAAA".into());
    refused(&|request| request.keyholders.clear());
    refused(&|request| request.keys[1].epoch = 3);
    refused(&|request| request.keys[0].wrapped.wraps.clear());
    assert!(Request::decode(&vec![b' '; 5 << 20]).is_err());
    assert!(Request::decode(b"{}").is_err());
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Approve(usize),
    Replay(usize),
    Wait(i64),
    Open,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..CUSTODIANS.len()).prop_map(Step::Approve),
        2 => (0..CUSTODIANS.len()).prop_map(Step::Replay),
        2 => (0..40_i64).prop_map(Step::Wait),
        2 => Just(Step::Open),
    ];
    prop::collection::vec(step, 0..14)
}

/// Made once: a request, and the approvals of this one and of another.
fn prepared() -> &'static (Asked, Vec<Approval>, Vec<Approval>) {
    static PREPARED: OnceLock<(Asked, Vec<Approval>, Vec<Approval>)> = OnceLock::new();
    PREPARED.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (one, two) = (asked().await, asked().await);
            let mut approvals = (Vec::new(), Vec::new());
            for holder in CUSTODIANS {
                approvals.0.push(approve(&one, holder).await);
                approvals.1.push(approve(&two, holder).await);
            }
            (one, approvals.0, approvals.1)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_gathering_does_what_its_model_does(steps in steps()) {
        let (asked, approvals, of_another) = prepared();
        let policy: PolicyTree = parse(POLICY).unwrap();
        let mut gathering = Gathering::new(asked.request.clone(), asked.id, asked.private.clone()).unwrap();
        let (mut now, mut approved, mut used) = (0, BTreeSet::new(), false);
        for step in steps {
            let over = now >= 60;
            match step {
                Step::Wait(more) => now += more,
                Step::Approve(nth) => {
                    let taken = gathering.add(approvals[nth].clone(), minutes(now));
                    match (used, over) {
                        (true, _) => prop_assert_eq!(taken, Err(QuorumError::Used)),
                        (_, true) => prop_assert_eq!(taken, Err(QuorumError::Expired(minutes(60)))),
                        _ => {
                            approved.insert(CUSTODIANS[nth]);
                            let met = is_satisfied(&policy, &|label| approved.contains(label));
                            prop_assert_eq!(taken.unwrap().is_met, met);
                        }
                    }
                }
                Step::Replay(nth) => prop_assert!(gathering.add(of_another[nth].clone(), minutes(now)).is_err()),
                Step::Open => {
                    let met = is_satisfied(&policy, &|label| approved.contains(label));
                    let opened = gathering.open(minutes(now), &|_| false);
                    prop_assert_eq!(opened.is_ok(), met && !used && !over);
                    if let Ok(parts) = opened {
                        used = true;
                        prop_assert_eq!(parts.len(), approved.len());
                    }
                }
            }
        }
    }

    #[test]
    fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Request::decode(&bytes);
        let _ = Approval::decode(&bytes);
    }
}
