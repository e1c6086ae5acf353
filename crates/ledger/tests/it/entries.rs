//! Entries: canonical, complete, and strict.

use proptest::prelude::*;
use std::collections::BTreeMap;
use strongroom_ledger::{
    entry::{
        Code, Decision, Entry, EntryError, KeyContext, OperationId, Outcome, OutcomeResult, Phase, SCHEMA,
        Ticket, Time, Verb, Verdict, What, Who, Why,
    },
    personal::{Commitment, Field, Opening},
};

pub(crate) fn event(number: u64) -> Entry {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    Entry {
        schema: SCHEMA.into(),
        phase: Phase::Event,
        operation: OperationId::new(1_700_000_000_000, random),
        time: Time::new("2026-03-01T12:00:00.25Z".parse().unwrap()),
        who: Who { program: "strongroom/0.1.0".into(), ..Who::default() },
        what: What { dataset: Some("home".into()), ..What::new(Verb::Backup) },
        why: Why { code: Code::parse("BACKUP").unwrap(), ticket: None, words: None },
        decision: None,
        step: 0,
        attempt: 0,
        outcome: Some(Outcome {
            result: OutcomeResult::Success,
            class: None,
            request_id: None,
            duration_us: number,
        }),
        spooled: None,
    }
}

pub(crate) fn intent() -> Entry {
    let opening = Opening::new(Field::Human, "custodian-1", [7; 32]);
    let context = KeyContext {
        hash: "00".repeat(32),
        vault: "11".repeat(16),
        dataset: "home".into(),
        purpose: "read".into(),
        epoch: 3,
    };
    let mut what = What::new(Verb::Unwrap);
    what.keyholder = Some("kms-a".into());
    what.kind = Some("aws-kms".into());
    what.key_id = Some("arn:aws:kms:eu-central-1:111122223333:key/1234".into());
    what.context = Some(context);
    Entry {
        phase: Phase::Intent,
        what,
        who: Who { human: Some(opening.commitment()), ..event(0).who },
        why: Why { ticket: Ticket::parse("OPS-123"), ..event(0).why },
        decision: Some(Decision {
            policy: "any(kms-a, recovery)".into(),
            keyring: 4,
            verdict: Verdict::Allowed,
            approvals: vec![opening.commitment()],
        }),
        step: 1,
        attempt: 1,
        outcome: None,
        ..event(1)
    }
}

#[test]
fn an_event_has_these_bytes() {
    let expected = concat!(
        r#"{"attempt":0,"operation":"018bcfe5-6800-7000-8000-000000000001","outcome":{"duration_us":1,"#,
        r#""result":"success"},"phase":"event","schema":"strongroom.ledger/1","step":0,"#,
        r#""time":"2026-03-01T12:00:00.250000Z","what":{"dataset":"home","verb":"backup"},"#,
        r#""who":{"program":"strongroom/0.1.0"},"why":{"code":"BACKUP"}}"#
    );
    let bytes = event(1).encode().unwrap();
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
    assert_eq!(Entry::decode(&bytes).unwrap(), event(1));
}

#[test]
fn an_intent_can_be_read_again_and_is_small() {
    let bytes = intent().encode().unwrap();
    assert_eq!(Entry::decode(&bytes).unwrap(), intent());
    assert!(bytes.len() < 2048, "{} bytes", bytes.len());
    assert!(!String::from_utf8(bytes).unwrap().contains("custodian"));
}

#[test]
fn what_is_not_canonical_or_not_known_is_refused() {
    let text = String::from_utf8(event(1).encode().unwrap()).unwrap();
    let decode = |text: String| Entry::decode(text.as_bytes()).unwrap_err();
    assert_eq!(decode(text.replace("\":", "\": ")), EntryError::NotCanonical);
    assert_eq!(decode(text.replace("\"BACKUP\"", "\"\\u0042ACKUP\"")), EntryError::NotCanonical);
    assert!(matches!(decode(text.replace("ledger/1", "ledger/2")), EntryError::Schema(_)));
    let later = text.replace("ledger/1", "ledger/2").replace("\"step\":0", "\"step\":0,\"stride\":0");
    assert!(matches!(decode(later), EntryError::Schema(_)));
    for (from, to) in [
        ("\"step\":0", "\"step\":1"),
        ("\"step\":0", "\"stop\":0"),
        ("\"phase\":\"event\"", "\"phase\":\"intent\""),
        ("\"BACKUP\"", "\"Backup\""),
        (".250000Z", ".25Z"),
        (".250000Z", ".250000+00:00"),
        ("7000-8000", "7000_8000"),
    ] {
        assert!(matches!(decode(text.replace(from, to)), EntryError::Malformed(_)), "{to}");
    }
    let mut long = event(1);
    long.what.details = BTreeMap::from([("a".into(), "x".repeat(70_000))]);
    assert!(matches!(long.encode(), Err(EntryError::TooLong(_))));
    let incomplete = Entry { outcome: None, ..event(1) };
    assert!(matches!(incomplete.encode(), Err(EntryError::Malformed(_))));
}

#[test]
fn only_an_opening_tells_who_it_was() {
    let opening = Opening::new(Field::Human, "custodian-1", [7; 32]);
    let commitment = opening.commitment();
    assert_eq!(Opening::decode(&opening.encode(), &commitment), Some(opening.clone()));
    let others = [
        Opening::new(Field::Human, "custodian-2", [7; 32]),
        Opening::new(Field::Human, "custodian-1", [8; 32]),
        Opening::new(Field::Host, "custodian-1", [7; 32]),
    ];
    for other in others {
        assert_ne!(other.commitment(), commitment);
        assert_eq!(Opening::decode(&other.encode(), &commitment), None);
    }
    assert!(!format!("{opening:?}").contains("custodian"));
    assert_eq!(commitment.opening_name(), format!("openings/{commitment}"));
    assert_eq!(Commitment::parse(&commitment.to_string()), Some(commitment));
}

#[test]
fn words_are_no_ticket() {
    assert!(Ticket::parse("OPS-123").is_some());
    assert!(Ticket::parse("https//x/1").is_some());
    for words in ["", "alice", "for Alice 1", "1:2", &"1".repeat(65)] {
        assert!(Ticket::parse(words).is_none(), "{words}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Entry::decode(&bytes);
    }

    #[test]
    fn details_of_any_text_can_be_read_again(details in prop::collection::btree_map(".{0,20}", ".{0,20}", 0..5)) {
        let mut entry = event(1);
        entry.what.details = details;
        let bytes = entry.encode().unwrap();
        prop_assert_eq!(Entry::decode(&bytes).unwrap(), entry);
    }
}
