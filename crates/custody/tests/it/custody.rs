use crate::{age_identity, context, key};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use strongroom_custody::{
    CountingObserver, Custody, CustodyError, Effort, HolderError, KeyUse, Keyholder, Observer, Operation,
    Outcome, PolicyError, Reason, ReasonCode, Refusal, Reply, Retry, Secrets,
    holders::{age, file, passphrase},
    policy,
};
use strongroom_format::{
    Secret32,
    context::{Context, Purpose, WHOLE_VAULT},
    keyring::KeyholderSpec,
};
use zeroize::Zeroizing;

/// A keyholder that hides nothing and fails as it is told.
pub(crate) struct Fake {
    label: &'static str,
    effort: Effort,
    failure: Option<fn() -> HolderError>,
    /// How many calls fail before the others succeed.
    failing: AtomicU32,
}

impl Fake {
    pub(crate) fn new(label: &'static str, effort: Effort) -> Self {
        Self { label, effort, failure: None, failing: AtomicU32::new(0) }
    }

    pub(crate) fn failing(
        label: &'static str,
        effort: Effort,
        times: u32,
        failure: fn() -> HolderError,
    ) -> Self {
        Self { label, effort, failure: Some(failure), failing: AtomicU32::new(times) }
    }

    fn outcome(&self) -> Result<(), HolderError> {
        let left = self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        match (left, self.failure) {
            (Ok(_), Some(failure)) => Err(failure()),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Keyholder for Fake {
    fn label(&self) -> &str {
        self.label
    }

    fn kind(&self) -> &str {
        "fake"
    }

    fn effort(&self) -> Effort {
        self.effort
    }

    fn ready(&self, _: Operation) -> Result<(), HolderError> {
        Ok(())
    }

    async fn wrap(&self, _: &Context, key: &Secret32) -> Result<Reply<Vec<u8>>, HolderError> {
        self.outcome()?;
        Ok(Reply::local(key.expose().to_vec()))
    }

    async fn unwrap(&self, _: &Context, blob: &[u8]) -> Result<Reply<Secret32>, HolderError> {
        self.outcome()?;
        Ok(Reply::local(Secret32::from_slice(blob).unwrap()))
    }
}

pub(crate) fn unreachable() -> HolderError {
    HolderError::Unreachable("no route".into())
}

pub(crate) fn denied() -> HolderError {
    HolderError::Denied("key is pending deletion".into())
}

pub(crate) fn custody(fakes: Vec<Fake>, observer: Arc<dyn Observer>) -> Custody {
    let holders = fakes.into_iter().map(|fake| Arc::new(fake) as Arc<dyn Keyholder>);
    Custody::from_holders(holders, observer)
        .with_retry(Retry { attempts: 3, pause: Duration::from_millis(1) })
}

pub(crate) fn reason() -> Reason {
    Reason::new(ReasonCode::Restore).with_text("ticket 7")
}

fn made_for_three() -> strongroom_format::keyring::WrappedKey {
    strongroom_format::keyring::WrappedKey {
        policy: policy::parse("any(person, any(device, local))").unwrap(),
        commitment: key().commitment(),
        wraps: ["person", "device", "local"]
            .map(|holder| strongroom_format::keyring::Wrap {
                holder: holder.into(),
                commitment: None,
                blob: key().expose().to_vec(),
            })
            .to_vec(),
    }
}

#[tokio::test]
async fn wraps_to_every_leaf_and_unwraps_by_the_cheapest() {
    let seen = Arc::new(CountingObserver::default());
    let custody = custody(
        vec![
            Fake::new("person", Effort::Person),
            Fake::new("device", Effort::Device),
            Fake::new("local", Effort::Local),
        ],
        seen.clone(),
    );
    let policy = policy::parse("any(person, any(device, local))").unwrap();
    let wrapped = custody.wrap_key(&policy, &context(), &key(), &reason()).await.unwrap();
    assert_eq!(wrapped, made_for_three());
    assert_eq!(seen.calls(Operation::Wrap), 3);

    let opened = custody.unwrap_key(&wrapped, &context(), &reason()).await.unwrap();
    assert_eq!(opened.expose(), key().expose());
    assert_eq!(seen.calls_by_holder(Operation::Unwrap), BTreeMap::from([("local".to_owned(), 1)]));
    let last = seen.intents().pop().unwrap();
    assert_eq!((last.reason, last.context, last.attempt), (reason(), context(), 1));
    assert_eq!(seen.outcomes().len(), 4);
}

#[tokio::test]
async fn unreachable_is_asked_again_and_denied_is_not() {
    let seen = Arc::new(CountingObserver::default());
    let first = custody(
        vec![
            Fake::failing("local", Effort::Local, 99, denied),
            Fake::failing("device", Effort::Device, 99, unreachable),
            Fake::failing("person", Effort::Person, 2, unreachable),
        ],
        seen.clone(),
    );
    first.unwrap_key(&made_for_three(), &context(), &reason()).await.unwrap();
    let attempts: Vec<(String, u32, bool)> =
        seen.outcomes().into_iter().map(|(key_use, ok)| (key_use.holder, key_use.attempt, ok)).collect();
    let expected = [
        ("local", 1, false),
        ("device", 1, false),
        ("device", 2, false),
        ("device", 3, false),
        ("person", 1, false),
        ("person", 2, false),
        ("person", 3, true),
    ];
    assert_eq!(attempts, expected.map(|(holder, attempt, ok)| (holder.to_owned(), attempt, ok)));
}

#[tokio::test]
async fn the_error_names_every_keyholder_and_why() {
    let custody = custody(
        vec![
            Fake::failing("local", Effort::Local, 99, denied),
            Fake::failing("device", Effort::Device, 99, unreachable),
        ],
        Arc::new(CountingObserver::default()),
    );
    let error = custody.unwrap_key(&made_for_three(), &context(), &reason()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the read key of dataset `home`, epoch 7 could not be opened:\n  \
         local (fake): it refused: key is pending deletion\n  \
         device (fake): it could not be reached: no route\n  \
         person (unknown): malformed: the keyring does not know it"
    );
    assert_eq!(error.failures().len(), 3);
}

#[tokio::test]
async fn another_key_is_an_integrity_violation() {
    let custody = custody(vec![Fake::new("local", Effort::Local)], Arc::new(CountingObserver::default()));
    let mut wrapped = made_for_three();
    wrapped.wraps[2].blob[0] ^= 1;
    let error = custody.unwrap_key(&wrapped, &context(), &reason()).await.unwrap_err();
    assert!(matches!(&error, CustodyError::Integrity { holder, .. } if holder == "local"), "{error}");
}

/// Refuses before or after.
struct Refusing {
    before: bool,
    counted: CountingObserver,
}

#[async_trait]
impl Observer for Refusing {
    async fn before(&self, key_use: &KeyUse) -> Result<(), Refusal> {
        if self.before { Err(Refusal::new("the ledger is full")) } else { self.counted.before(key_use).await }
    }

    async fn after(&self, _: &KeyUse, outcome: &Outcome<'_>) -> Result<(), Refusal> {
        assert!(outcome.failure.is_none());
        Err(Refusal::new("the ledger went away"))
    }
}

#[tokio::test]
async fn no_record_no_key_use() {
    for before in [true, false] {
        let observer = Arc::new(Refusing { before, counted: CountingObserver::default() });
        let fake = Arc::new(Fake::failing("local", Effort::Local, 1, || panic!("it was called")));
        if !before {
            fake.failing.store(0, Ordering::SeqCst);
        }
        let custody = Custody::from_holders([fake as Arc<dyn Keyholder>], observer.clone());
        let error = custody.unwrap_key(&made_for_three(), &context(), &reason()).await.unwrap_err();
        assert!(matches!(error, CustodyError::Unrecorded { .. }), "{error}");
        let policy = policy::parse("local").unwrap();
        let error = custody.wrap_key(&policy, &context(), &key(), &reason()).await.unwrap_err();
        assert!(matches!(error, CustodyError::Unrecorded { .. }), "{error}");
    }
}

#[tokio::test]
async fn bad_policies_contexts_and_wraps_cost_no_key_use() {
    let seen = Arc::new(CountingObserver::default());
    let custody = custody(vec![Fake::new("local", Effort::Local)], seen.clone());
    let unknown = policy::parse("any(local, nobody)").unwrap();
    let error = custody.wrap_key(&unknown, &context(), &key(), &reason()).await.unwrap_err();
    assert!(matches!(error, CustodyError::Policy(PolicyError::Unknown { .. })), "{error}");
    let forged = Context { dataset: "a\nstrongroom:epoch=1".into(), ..context() };
    let local = policy::parse("local").unwrap();
    let error = custody.wrap_key(&local, &forged, &key(), &reason()).await.unwrap_err();
    assert!(matches!(error, CustodyError::Context(_)), "{error}");
    let mut missing = made_for_three();
    missing.wraps.pop();
    let error = custody.unwrap_key(&missing, &context(), &reason()).await.unwrap_err();
    assert!(matches!(error, CustodyError::Malformed { .. }), "{error}");
    assert_eq!(seen.intents(), []);
}

#[tokio::test]
async fn real_keyholders_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("office.key");
    let specs = BTreeMap::from([
        ("office".to_owned(), file::create(&path, "office").unwrap()),
        ("paper".to_owned(), passphrase::create("words", passphrase::Cost::LEAST).unwrap()),
        ("later".to_owned(), KeyholderSpec { kind: "hsm".into(), parameters: BTreeMap::new() }),
    ]);
    let words = |_: &str, _: u32| Ok(Some(Zeroizing::new("words".to_owned())));
    let secrets = || Secrets::none().with_key_file("office", &path).with_passphrases(words);
    let seen = Arc::new(CountingObserver::default());
    let custody = Custody::new(&specs, secrets(), seen.clone());
    let whole = Context { dataset: WHOLE_VAULT.into(), purpose: Purpose::Read, epoch: 0, ..context() };
    let policy = policy::parse("any(paper, office)").unwrap();
    let wrapped = custody.wrap_key(&policy, &whole, &key(), &reason()).await.unwrap();
    let json = serde_json::to_string(&wrapped).unwrap();
    let wrapped = serde_json::from_str(&json).unwrap();
    custody.unwrap_key(&wrapped, &whole, &reason()).await.unwrap();
    assert_eq!(seen.calls_by_holder(Operation::Unwrap), BTreeMap::from([("office".to_owned(), 1)]));

    // A lost key file: the passphrase opens. Both lost: each is named, and none was called.
    let lost = Custody::new(&specs, Secrets::none().with_passphrases(words), seen.clone());
    assert_eq!(lost.unwrap_key(&wrapped, &whole, &reason()).await.unwrap().expose(), key().expose());
    seen.reset();
    let nothing = Custody::new(&specs, Secrets::none(), seen.clone());
    let error = nothing.unwrap_key(&wrapped, &whole, &reason()).await.unwrap_err();
    assert!(
        error.to_string().starts_with("the read key of the whole vault could not be opened:\n"),
        "{error}"
    );
    assert!(error.failures().iter().all(|failure| matches!(failure.error, HolderError::NoSecret(_))));
    let all = policy::parse("any(office, later)").unwrap();
    let error = custody.wrap_key(&all, &whole, &key(), &reason()).await.unwrap_err();
    assert!(matches!(&error.failures()[0].error, HolderError::UnknownKind(kind) if kind == "hsm"), "{error}");
    assert_eq!(seen.intents(), [], "nothing was called, not even the keyholder that could");
}

#[tokio::test]
async fn a_machine_without_secrets_wraps_for_all_and_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("office.key");
    let (recipient, identity) = age_identity(folder.path(), "identity");
    let specs = BTreeMap::from([
        ("office".to_owned(), file::create(&path, "office").unwrap()),
        ("paper".to_owned(), passphrase::create("words", passphrase::Cost::LEAST).unwrap()),
        ("token".to_owned(), age::create(&[recipient]).unwrap()),
    ]);
    let policy = policy::parse("any(office, any(paper, token))").unwrap();
    let seen = Arc::new(CountingObserver::default());
    let host = Custody::new(&specs, Secrets::none(), seen.clone());
    let wrapped = host.wrap_key(&policy, &context(), &key(), &reason()).await.unwrap();
    assert_eq!((seen.calls(Operation::Wrap), wrapped.commitment), (3, key().commitment()));

    let error = host.unwrap_key(&wrapped, &context(), &reason()).await.unwrap_err();
    assert_eq!(error.failures().len(), 3);
    assert!(error.failures().iter().all(|failure| matches!(failure.error, HolderError::NoSecret(_))));
    assert_eq!(seen.calls(Operation::Unwrap), 0);

    let words = |_: &str, _: u32| Ok(Some(Zeroizing::new("words".to_owned())));
    for (label, secrets) in [
        ("office", Secrets::none().with_key_file("office", &path)),
        ("paper", Secrets::none().with_passphrases(words)),
        ("token", Secrets::none().with_identity(&identity)),
    ] {
        seen.reset();
        let person = Custody::new(&specs, secrets, seen.clone());
        let opened = person.unwrap_key(&wrapped, &context(), &reason()).await.unwrap();
        assert_eq!(opened.expose(), key().expose());
        assert_eq!(seen.calls_by_holder(Operation::Unwrap), BTreeMap::from([(label.to_owned(), 1)]));
    }
}
