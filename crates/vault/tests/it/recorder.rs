//! Key uses in a ledger: an intent before, an outcome after, and no key use without them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};
use strongroom_custody::{
    Custody, CustodyError, Reason, ReasonCode, Secrets, Unobserved, holders, policy::parse,
};
use strongroom_format::{
    Secret32, SystemEntropy, VaultId,
    context::{Context, Purpose},
};
use strongroom_ledger::{
    Ledger, Options,
    checkpoint::Identity,
    entry::{Entry, OutcomeResult, Phase, Verb},
    note::{Algorithm, SigningKey},
    reader::Reader,
    store::{LedgerStore, memory::Memory},
    verify::{VerifyOptions, verify},
};
use strongroom_vault::ledger::{Actor, Recorder, Sink, new_origin, read_identity, write_identity};

struct Place {
    store: Arc<Memory>,
    identity: Identity,
    key: SigningKey,
    folder: tempfile::TempDir,
}

fn place() -> Place {
    let origin = new_origin(&mut SystemEntropy);
    let key = SigningKey::from_seed(&origin, Algorithm::Ed25519, &[7; 32]).unwrap();
    let identity = Identity::new(origin, vec![key.public().clone()]);
    Place { store: Arc::default(), identity, key, folder: tempfile::tempdir().unwrap() }
}

impl Place {
    fn key(&self) -> SigningKey {
        SigningKey::parse(&self.key.to_secret_text()).unwrap()
    }

    fn options() -> Options {
        Options { commit_interval: Duration::from_millis(1), ..Options::default() }
    }

    /// A recorder, and two file keyholders under it: `here`, and `away`, whose key file is not there.
    fn custody(&self, sink: Sink) -> (Arc<Recorder>, Custody) {
        let actor = Actor {
            human: Some("somebody with a name".into()),
            host: Some("host-a".into()),
            workload: Some("nightly".into()),
            program: "test".into(),
        };
        let recorder = Arc::new(Recorder::new(sink, actor, Arc::new(Unobserved)));
        let file = |label: &str| self.folder.path().join(format!("{label}.key"));
        let made = |label: &str| (label.to_owned(), holders::file::create(&file(label), label).unwrap());
        let specs = BTreeMap::from([made("here"), made("away")]);
        let secrets = Secrets::none().with_key_file("here", file("here")).with_key_file("away", file("gone"));
        (Arc::clone(&recorder), Custody::new(&specs, secrets, recorder))
    }
}

fn context() -> Context {
    Context { vault: VaultId([3; 16]), dataset: "home".into(), purpose: Purpose::Read, epoch: 7 }
}

#[tokio::test]
async fn every_key_use_has_an_intent_and_an_outcome() {
    let place = place();
    let ledger = Ledger::create(place.store.clone(), place.identity.clone(), place.key(), Place::options());
    let ledger = Arc::new(ledger.await.unwrap());
    let (recorder, custody) = place.custody(Sink::Ledger(ledger));
    let reason = Reason::new(ReasonCode::Restore).with_text("because somebody with a name asked".to_owned());
    let key = Secret32::random(&mut SystemEntropy);
    let wrapped = custody.wrap_key(&parse("here").unwrap(), &context(), &key, &reason).await.unwrap();
    custody.unwrap_key(&wrapped, &context(), &reason).await.unwrap();
    let head = recorder.finish().await.unwrap().unwrap();
    assert_eq!(head.checkpoint.size, 4);

    let reader = Reader::new(place.store.clone(), place.identity.clone());
    let mut entries = Vec::new();
    for index in 0..4 {
        let (bytes, _) = reader.entry(&head, index).await.unwrap();
        entries.push(Entry::decode(&bytes).unwrap());
    }
    let seen: Vec<_> = entries.iter().map(|entry| (entry.phase, entry.what.verb, entry.step)).collect();
    let expected = [
        (Phase::Intent, Verb::Wrap, 1),
        (Phase::Outcome, Verb::Wrap, 1),
        (Phase::Intent, Verb::Unwrap, 2),
        (Phase::Outcome, Verb::Unwrap, 2),
    ];
    assert_eq!(seen, expected);
    for entry in &entries {
        assert_eq!(entry.operation, recorder.operation());
        assert_eq!(entry.what.keyholder.as_deref(), Some("here"));
        let bound = entry.what.context.as_ref().unwrap();
        assert_eq!((bound.dataset.as_str(), bound.epoch, bound.purpose.as_str()), ("home", 7, "read"));
        assert_eq!(entry.outcome.is_some(), entry.phase == Phase::Outcome);
        assert!(entry.outcome.as_ref().is_none_or(|outcome| outcome.result == OutcomeResult::Success));
        // Who and why stand there as commitments, which the salts beside them open.
        let text = String::from_utf8(entry.encode().unwrap()).unwrap();
        assert!(!text.contains("somebody") && !text.contains("host-a"), "{text}");
        assert!(text.contains("nightly"));
        assert!(reader.opening(entry.who.human.as_ref().unwrap()).await.unwrap().is_some());
    }
    assert!(verify(&reader, &VerifyOptions::default()).await.unwrap().is_sound());
}

#[tokio::test]
async fn without_a_ledger_no_key_is_used() {
    let place = place();
    let key = Secret32::random(&mut SystemEntropy);
    let reason = Reason::new(ReasonCode::Backup);
    // Nobody made the ledger that this one writes to.
    let missing = Ledger::open(place.store.clone(), place.identity.clone(), place.key(), Place::options());
    for sink in [Sink::Closed("the ledger's key is not here".into()), Sink::Ledger(Arc::new(missing))] {
        let elsewhere = Place { folder: tempfile::tempdir().unwrap(), key: place.key(), ..self::place() };
        let (recorder, custody) = elsewhere.custody(sink);
        let error = custody.wrap_key(&parse("here").unwrap(), &context(), &key, &reason).await.unwrap_err();
        assert!(matches!(error, CustodyError::Unrecorded { .. }), "{error}");
        assert!(recorder.finish().await.is_err() || !recorder.was_used());
    }
    let written: Vec<String> = place.store.snapshot().into_keys().collect();
    let is_ledger =
        |name: &String| name.starts_with("tile/") || ["checkpoint", "lock"].contains(&name.as_str());
    assert!(!written.iter().any(is_ledger), "{written:?}");
}

#[tokio::test]
async fn a_ledger_is_known_by_its_identity() {
    let place = place();
    let store: &dyn LedgerStore = place.store.as_ref();
    assert!(read_identity(store).await.unwrap().is_none());
    write_identity(store, &place.identity).await.unwrap();
    write_identity(store, &place.identity).await.unwrap();
    assert_eq!(read_identity(store).await.unwrap().as_ref(), Some(&place.identity));
    let other = self::place();
    assert!(write_identity(store, &other.identity).await.is_err(), "another ledger's identity stays out");
}
