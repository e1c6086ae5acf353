//! Verdicts: one test for each, and the join beside a model that compares everything with everything.

use crate::common::{ACCOUNT, KEY, at, context, decrypt, events, key_use, record};
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;
use strongroom_ledger::entry::{
    Code, Entry, OperationId, OutcomeResult, Phase, SCHEMA, Time, Verb, What, Who, Why,
};
use strongroom_trail::{
    audit,
    coverage::{Coverage, Span},
    event::{Context, Event, Operation, Provider},
    problem::Place,
    reconcile::{JoinedBy, KeyUse, Options, Reconciliation, Verdict, key_uses, reconcile},
};

fn options() -> Options {
    Options::new(at(30 * 86_400))
}

fn whole() -> Coverage {
    let mut coverage = Coverage::default();
    coverage.area(ACCOUNT, "eu-west-1").proven.add(Span { start: at(-86_400), end: at(40 * 86_400) });
    coverage
}

fn verdicts(result: &Reconciliation) -> Vec<Verdict> {
    result.findings.iter().map(|finding| finding.verdict).collect()
}

fn one(
    uses: &[KeyUse],
    events: &[Event],
    coverage: &Coverage,
    options: &Options,
) -> (Verdict, JoinedBy, String) {
    let result = reconcile(uses, events, coverage, options);
    assert_eq!(result.findings.len(), 1, "{result:?}");
    let finding = &result.findings[0];
    (finding.verdict, finding.joined_by, finding.reasons.join(";"))
}

#[test]
fn matched_by_request_id() {
    let uses = [key_use(1, Verb::Unwrap, 0, Some("request-e1"))];
    let (verdict, by, _) = one(&uses, &events(&[decrypt("e1", 1)]), &whole(), &options());
    assert_eq!((verdict, by), (Verdict::Matched, JoinedBy::RequestId));
}

#[test]
fn whatever_differs_is_a_mismatch() {
    let uses = [key_use(1, Verb::Unwrap, 0, Some("request-e1"))];
    let bend = |path: &str, value: serde_json::Value| {
        let mut record = decrypt("e1", 1);
        *record.pointer_mut(path).unwrap() = value;
        record
    };
    let mut failed = decrypt("e1", 1);
    failed["errorCode"] = json!("AccessDenied");
    for (record, word) in [
        (bend("/resources/0/ARN", json!("arn:aws:kms:eu-west-1:111122223333:key/k2")), "key"),
        (bend("/requestParameters/encryptionContext/strongroom:dataset", json!("hr")), "context"),
        (bend("/requestParameters", json!(null)), "context"),
        (bend("/eventName", json!("Encrypt")), "operation"),
        (failed, "outcome"),
    ] {
        let (verdict, _, why) = one(&uses, &events(&[record]), &whole(), &options());
        assert_eq!(verdict, Verdict::Mismatch);
        assert!(why.starts_with(word), "{word}: {why}");
    }
    let ours = Options { principals: vec!["arn:aws:iam::111122223333:role/back*".into()], ..options() };
    let (verdict, _, why) = one(&uses, &events(&[decrypt("e1", 1)]), &whole(), &ours);
    assert!(verdict == Verdict::Mismatch && why.starts_with("principal"), "{why}");
    let mut lied = uses[0].clone();
    lied.context.hash = "00".into();
    let (verdict, ..) = one(&[lied], &events(&[decrypt("e1", 1)]), &whole(), &options());
    assert_eq!(verdict, Verdict::Mismatch);
    let mut refused = uses[0].clone();
    let outcome = refused.outcome.as_mut().unwrap();
    (outcome.result, outcome.class) = (OutcomeResult::Refused, Some("denied".into()));
    let (verdict, _, why) = one(&[refused], &events(&[decrypt("e1", 1)]), &whole(), &options());
    assert!(verdict == Verdict::Mismatch && why.contains("worked"), "{why}");
}

#[test]
fn stolen_credentials_are_unexplained() {
    let uses = [key_use(1, Verb::Unwrap, 0, Some("request-e1"))];
    let result = reconcile(&uses, &events(&[decrypt("e1", 1), decrypt("thief", 2)]), &whole(), &options());
    assert_eq!(verdicts(&result), [Verdict::Unexplained, Verdict::Matched]);
    let early = Options { now: at(60), ..options() };
    assert_eq!(one(&[], &events(&[decrypt("e1", 1)]), &whole(), &early).0, Verdict::Pending);
}

#[test]
fn other_keys_are_left_aside() {
    let mut other = decrypt("e2", 2);
    other["resources"][0]["ARN"] = json!("arn:aws:kms:eu-west-1:111122223333:key/k9");
    let mut keyless = decrypt("e3", 2);
    keyless["resources"] = json!(null);
    keyless["errorCode"] = json!("AccessDenied");
    let uses = [key_use(1, Verb::Unwrap, 0, Some("request-e1"))];
    let result = reconcile(&uses, &events(&[decrypt("e1", 1), other, keyless]), &whole(), &options());
    assert_eq!((verdicts(&result), result.elsewhere, result.keyless), (vec![Verdict::Matched], 1, 1));
}

#[test]
fn phantom_only_where_the_trail_is_whole() {
    let uses = [key_use(1, Verb::Unwrap, 0, Some("request-e1"))];
    assert_eq!(one(&uses, &[], &whole(), &options()).0, Verdict::Phantom);
    assert_eq!(one(&uses, &[], &Coverage::default(), &options()).0, Verdict::Unverifiable);
    let early = Options { now: at(3600), ..options() };
    assert_eq!(one(&uses, &[], &whole(), &early).0, Verdict::Pending);
    let mut blind = whole();
    blind.add_blind(ACCOUNT, Span { start: at(-5), end: at(5) }, "KMS was left out");
    assert_eq!(one(&uses, &[], &blind, &options()).2, "KMS was left out");
    let mut claimed = Coverage::default();
    claimed.area(ACCOUNT, "eu-west-1").claimed.add(Span { start: at(-5), end: at(90_000) });
    assert_eq!(one(&uses, &[], &claimed, &options()).0, Verdict::Unverifiable);
    let believing = Options { believe_claims: true, ..options() };
    assert_eq!(one(&uses, &[], &claimed, &believing).0, Verdict::Phantom);
    let mut hole = Coverage::default();
    hole.area(ACCOUNT, "eu-west-1").proven.add(Span { start: at(-5), end: at(3600) });
    assert_eq!(
        one(&uses, &[], &hole, &options()).0,
        Verdict::Unverifiable,
        "its delivery may have come later"
    );
}

#[test]
fn what_providers_need_not_record_is_no_phantom() {
    let mut failed = key_use(1, Verb::Unwrap, 0, Some("request-e1"));
    failed.outcome.as_mut().unwrap().result = OutcomeResult::Failed;
    let mut lost = key_use(1, Verb::Unwrap, 0, None);
    lost.outcome = None;
    for key_use in [failed, lost, key_use(1, Verb::Wrap, 0, None)] {
        assert_eq!(one(&[key_use], &[], &whole(), &options()).0, Verdict::Unverifiable);
    }
    let mut local = key_use(1, Verb::Unwrap, 0, None);
    local.kind = "age".into();
    assert!(reconcile(&[local], &[], &whole(), &options()).findings.is_empty());
}

#[test]
fn trail_tampering_blinds() {
    let mut stop =
        record("s1", 5, "StopLogging", json!({ "name": "arn:aws:cloudtrail:eu-west-1:1:trail/t" }));
    let mut start = record("s2", 500, "StartLogging", json!({ "name": "t" }));
    let mut exclude = record(
        "s3",
        900,
        "PutEventSelectors",
        json!({ "trailName": "t", "eventSelectors": [{ "readWriteType": "All", "includeManagementEvents": true, "excludeManagementEventSources": ["kms.amazonaws.com"] }] }),
    );
    for record in [&mut stop, &mut start, &mut exclude] {
        record["eventSource"] = json!("cloudtrail.amazonaws.com");
    }
    let trail = events(&[stop, start, exclude]);
    let mut coverage = whole();
    coverage.add_events(&trail);
    for (second, expected) in [
        (0, Verdict::Phantom),
        (6, Verdict::Unverifiable),
        (501, Verdict::Phantom),
        (901, Verdict::Unverifiable),
    ] {
        let uses = [key_use(1, Verb::Unwrap, second, Some("r"))];
        assert_eq!(one(&uses, &trail, &coverage, &options()).0, expected, "{second}");
    }
}

#[test]
fn lost_answers_are_joined_by_circumstances() {
    let mut lost = key_use(1, Verb::Unwrap, 0, None);
    lost.outcome = None;
    lost.ended = None;
    let (verdict, by, _) = one(&[lost.clone()], &events(&[decrypt("e1", 1)]), &whole(), &options());
    assert_eq!((verdict, by), (Verdict::Matched, JoinedBy::Circumstances));
    // One lost answer explains one event, and none that is far away.
    let result =
        reconcile(&[lost.clone()], &events(&[decrypt("e1", 1), decrypt("e2", 2)]), &whole(), &options());
    assert_eq!(verdicts(&result), [Verdict::Unexplained, Verdict::Matched]);
    let result = reconcile(&[lost], &events(&[decrypt("e1", 400)]), &whole(), &options());
    assert_eq!(verdicts(&result), [Verdict::Unexplained, Verdict::Unverifiable]);
    // Who has an answer with an id is not joined with another request.
    let known = [key_use(1, Verb::Unwrap, 0, Some("request-other"))];
    let result = reconcile(&known, &events(&[decrypt("e1", 1)]), &whole(), &options());
    assert_eq!(verdicts(&result), [Verdict::Unexplained, Verdict::Phantom]);
}

#[test]
fn operation_ids_are_hints_and_replays_are_found() {
    let mut lost = key_use(1, Verb::Unwrap, 0, None);
    lost.outcome = None;
    let mut hinted = decrypt("e1", 1);
    hinted["userAgent"] = json!(format!("aws-sdk-rust strongroom-op/{} x", lost.operation));
    let (verdict, by, _) = one(&[lost.clone()], &events(&[hinted.clone()]), &whole(), &options());
    assert_eq!((verdict, by), (Verdict::Matched, JoinedBy::OperationId));
    let known = [key_use(1, Verb::Unwrap, 0, Some("request-e0"))];
    let result = reconcile(&known, &events(&[decrypt("e0", 1), hinted]), &whole(), &options());
    assert_eq!(verdicts(&result), [Verdict::Replayed, Verdict::Matched]);
    let mut again = decrypt("e9", 5);
    again["requestID"] = json!("request-e0");
    let result = reconcile(&known, &events(&[decrypt("e0", 1), again]), &whole(), &options());
    assert_eq!(verdicts(&result), [Verdict::Replayed, Verdict::Matched]);
    let twice = [known[0].clone(), key_use(2, Verb::Unwrap, 0, Some("request-e0"))];
    let result = reconcile(&twice, &events(&[decrypt("e0", 1)]), &whole(), &options());
    assert_eq!(verdicts(&result), [Verdict::Mismatch, Verdict::Matched]);
}

#[test]
fn duplicates_twins_and_services() {
    let uses = [key_use(1, Verb::Unwrap, 0, Some("request-e1"))];
    let mut twin = decrypt("e2", 1);
    let mut own = decrypt("e1", 1);
    for record in [&mut twin, &mut own] {
        record["sharedEventID"] = json!("shared");
        record["requestID"] = json!("request-e1");
    }
    twin["recipientAccountId"] = json!("999999999999");
    let result = reconcile(&uses, &events(&[twin, own.clone(), own]), &whole(), &options());
    assert_eq!(verdicts(&result), [Verdict::Duplicate, Verdict::Duplicate, Verdict::Matched]);
    let mut other = decrypt("e1", 1);
    other["requestID"] = json!("request-x");
    let result = reconcile(&uses, &events(&[decrypt("e1", 1), other]), &whole(), &options());
    assert_eq!(verdicts(&result), [Verdict::Mismatch, Verdict::Matched]);
    let mut service = decrypt("e3", 1);
    service["userIdentity"]["invokedBy"] = json!("backup.amazonaws.com");
    assert_eq!(one(&[], &events(&[service.clone()]), &whole(), &options()).0, Verdict::Unexplained);
    let allowed = Options { services: vec!["backup.amazonaws.com".into()], ..options() };
    assert_eq!(one(&[], &events(&[service]), &whole(), &allowed).0, Verdict::Service);
}

#[test]
fn transit_is_joined_and_its_bindings_are_checked_with_the_server() {
    let mut one = key_use(1, Verb::Unwrap, 0, Some("a53e7826-0000-4000-8000-000000000001"));
    (one.kind, one.key_id) = ("transit".into(), Some("transit/k".into()));
    let mut reader = audit::Reader::new(&["transit"]);
    for kind in ["request", "response"] {
        let line = json!({ "time": at(1).to_string(), "type": kind, "auth": { "entity_id": "e" }, "request": {
            "id": "a53e7826-0000-4000-8000-000000000001", "operation": "update", "path": "transit/decrypt/k",
            "data": { "ciphertext": "hmac-sha256:00", "associated_data": "hmac-sha256:beef" } } });
        reader.read("main", line.to_string().as_bytes());
    }
    let devices = reader.finish();
    let uses = [one];
    let mut result = reconcile(&uses, &devices.events, &whole(), &options());
    assert_eq!(verdicts(&result), [Verdict::Matched]);
    let expected = data_encoding::BASE64.encode(&uses[0].associated_data());
    let mut right =
        |_: &str, text: &str| Ok(if text == expected { "hmac-sha256:beef" } else { "" }.to_owned());
    let bindings = result.check_bindings(&uses, &devices.events, &mut right).unwrap();
    assert_eq!((bindings.same, bindings.other, verdicts(&result)), (1, 0, vec![Verdict::Matched]));
    let mut wrong = |_: &str, _: &str| Ok("hmac-sha256:0000".to_owned());
    let bindings = result.check_bindings(&uses, &devices.events, &mut wrong).unwrap();
    assert_eq!((bindings.other, verdicts(&result)), (1, vec![Verdict::Mismatch]));
    assert_eq!((result.counts[&Verdict::Mismatch], result.counts[&Verdict::Matched]), (1, 0));
    let mut failing = |_: &str, _: &str| Err("sealed".to_owned());
    let mut again = reconcile(&uses, &devices.events, &whole(), &options());
    assert_eq!(again.check_bindings(&uses, &devices.events, &mut failing), Err("sealed".into()));

    // Of a log that nobody signs, absence is a claim; damage makes it none.
    let mut coverage = Coverage::default();
    devices.cover(&mut coverage);
    assert_eq!(
        coverage.areas[&(String::new(), String::new())].claimed.as_slice().len(),
        0,
        "one moment is no time"
    );
    let mut reader = audit::Reader::new(&["transit"]);
    for second in [0, 90_000] {
        let line = json!({ "time": at(second).to_string(), "type": "request", "request": { "id": "x", "path": "sys/health" } });
        reader.read("main", line.to_string().as_bytes());
    }
    let mut coverage = Coverage::default();
    reader.finish().cover(&mut coverage);
    let late = [KeyUse { time: at(5), ..uses[0].clone() }];
    let verdict = |believe_claims, coverage: &Coverage| {
        one_verdict(&late, coverage, &Options { believe_claims, ..options() })
    };
    assert_eq!(
        (verdict(false, &coverage), verdict(true, &coverage)),
        (Verdict::Unverifiable, Verdict::Phantom)
    );
}

fn one_verdict(uses: &[KeyUse], coverage: &Coverage, options: &Options) -> Verdict {
    one(uses, &[], coverage, options).0
}

#[test]
fn entries_become_key_uses() {
    let entry = |phase, step, attempt, second| {
        let what = What {
            keyholder: Some("kms-a".into()),
            kind: Some("aws-kms".into()),
            context: Some(context("db")),
            ..What::new(Verb::Unwrap)
        };
        Entry {
            schema: SCHEMA.into(),
            phase,
            operation: OperationId::new(1, [1; 10]),
            time: Time::new(at(second)),
            who: Who { program: "strongroom".into(), ..Who::default() },
            what,
            why: Why { code: Code::parse("RESTORE").unwrap(), ticket: None, words: None },
            decision: None,
            step,
            attempt,
            outcome: (phase == Phase::Outcome)
                .then(|| key_use(1, Verb::Unwrap, 0, Some("r")).outcome.unwrap()),
            spooled: None,
        }
    };
    let entries = [
        entry(Phase::Intent, 1, 1, 0),
        entry(Phase::Intent, 2, 1, 1),
        entry(Phase::Outcome, 1, 1, 2),
        entry(Phase::Outcome, 3, 1, 3),
        entry(Phase::Outcome, 1, 1, 4),
    ];
    let uses = key_uses((0..).zip(&entries));
    let shape: Vec<_> = uses.iter().map(|one| (one.step, one.intent_at, one.outcome_at)).collect();
    assert_eq!(shape, [(1, Some(0), Some(2)), (2, Some(1), None), (3, None, Some(3)), (1, None, Some(4))]);
    assert!(uses.iter().all(KeyUse::context_is_consistent));
}

// ---- beside a model -------------------------------------------------------------------------------------------------

const KEYS: [&str; 3] =
    [KEY, "arn:aws:kms:eu-west-1:111122223333:key/k2", "arn:aws:kms:eu-west-1:111122223333:key/k3"];

fn some_use() -> impl Strategy<Value = KeyUse> {
    (0_u8..4, any::<bool>(), 0_i64..1200, prop::option::of(0_u8..5), 0_usize..2, any::<bool>(), 0_u8..4)
        .prop_map(|(operation, wrap, second, request, key, dataset, outcome)| {
            let verb = if wrap { Verb::Wrap } else { Verb::Unwrap };
            let request = request.map(|request| format!("r{request}"));
            let mut one = key_use(operation, verb, second, request.as_deref());
            one.key_id = Some(KEYS[key].into());
            one.context = context(if dataset { "db" } else { "hr" });
            match outcome {
                0 => (one.outcome, one.ended) = (None, None),
                1 => {
                    let outcome = one.outcome.as_mut().unwrap();
                    (outcome.result, outcome.class) = (OutcomeResult::Refused, Some("denied".into()));
                }
                _ => {}
            }
            one
        })
}

fn some_event() -> impl Strategy<Value = Event> {
    let ids = (0_u8..12, prop::option::of(0_u8..6), prop::option::of(0_u8..5));
    (ids, 0_u8..3, 0_i64..1200, 0_usize..3, any::<bool>(), 0_u8..6, 0_u8..8).prop_map(
        |((id, request, hint), operation, second, key, dataset, error, service)| {
            let mut event = Event::new(Provider::Aws, Place { file: "f".into(), offset: 0 }, at(second));
            event.account = ACCOUNT.into();
            event.id = format!("e{id}");
            event.request_id = request.map(|request| format!("r{request}"));
            (event.operation, event.name) = match operation {
                0 => (Operation::Decrypt, "Decrypt".into()),
                1 => (Operation::Encrypt, "Encrypt".into()),
                _ => (Operation::DataKey, "GenerateDataKey".into()),
            };
            event.keys = vec![KEYS[key].into()];
            let mut one = key_use(1, Verb::Wrap, 0, None);
            one.context = context(if dataset { "db" } else { "hr" });
            event.context = Context::Pairs(one.pairs());
            event.error = (error == 0).then(|| "AccessDenied".into());
            event.principal.invoked_by = (service == 0).then(|| "backup.amazonaws.com".into());
            event.operation_hint = hint
                .filter(|hint| *hint < 4 && service == 1)
                .map(|hint| OperationId::new(7, [hint; 10]).to_string());
            event
        },
    )
}

/// The same verdicts, from the words of the module's documentation, by comparing everything with everything.
fn model(
    uses: &[KeyUse],
    events: &[Event],
    options: &Options,
) -> Vec<(Verdict, Option<usize>, Option<usize>)> {
    let verb = |event: &Event| match event.operation {
        Operation::Decrypt => Some(Verb::Unwrap),
        Operation::Encrypt => Some(Verb::Wrap),
        _ => None,
    };
    let denied =
        |one: &KeyUse| one.outcome.as_ref().is_some_and(|outcome| outcome.result == OutcomeResult::Refused);
    let differences = |one: &KeyUse, event: &Event| {
        usize::from(verb(event) != Some(one.verb))
            + usize::from(one.key_id.as_deref() != event.key())
            + usize::from(event.context != Context::Pairs(one.pairs()))
            + usize::from(event.error.is_some() && one.succeeded())
            + usize::from(event.error.is_none() && denied(one))
    };
    let content = |event: &Event| {
        (
            event.time,
            event.name.clone(),
            event.keys.clone(),
            event.request_id.clone(),
            event.context.clone(),
            event.error.clone(),
        )
    };
    let mut order: Vec<usize> = (0..events.len()).collect();
    order.sort_by_key(|at| (events[*at].time, events[*at].id.clone()));
    let mut out = Vec::new();
    let mut used = vec![false; uses.len()];
    let mut rest = Vec::new();
    for (nth, at) in order.iter().enumerate() {
        match order[..nth].iter().find(|other| events[**other].id == events[*at].id) {
            Some(other) if content(&events[*other]) == content(&events[*at]) => {
                out.push((Verdict::Duplicate, Some(*at), None))
            }
            Some(_) => out.push((Verdict::Mismatch, Some(*at), None)),
            None => rest.push(*at),
        }
    }
    let mut left = Vec::new();
    for (nth, at) in rest.iter().enumerate() {
        let event = &events[*at];
        let claims: Vec<usize> = (0..uses.len())
            .filter(|one| {
                event.request_id.is_some() && uses[*one].request_id() == event.request_id.as_deref()
            })
            .collect();
        if claims.is_empty() {
            left.push(*at);
        } else if rest[..nth].iter().any(|other| events[*other].request_id == event.request_id) {
            out.push((Verdict::Replayed, Some(*at), None));
        } else {
            let best = *claims.iter().min_by_key(|one| (differences(&uses[**one], event), **one)).unwrap();
            for one in claims {
                used[one] = true;
                if one != best {
                    out.push((Verdict::Mismatch, None, Some(one)));
                }
            }
            let verdict =
                if differences(&uses[best], event) == 0 { Verdict::Matched } else { Verdict::Mismatch };
            out.push((verdict, Some(*at), Some(best)));
        }
    }
    let matched: Vec<&str> =
        out.iter().filter(|one| one.0 == Verdict::Matched).filter_map(|one| events[one.1?].key()).collect();
    let nothing_known = uses.is_empty() && matched.is_empty();
    left.retain(|at| {
        let key = events[*at].key();
        nothing_known
            || uses.iter().any(|one| one.key_id.as_deref() == key)
            || matched.iter().any(|known| Some(*known) == key)
    });
    let skew = options.skew;
    let fits = |one: &KeyUse, event: &Event| {
        one.request_id().is_none()
            && differences(one, event) == 0
            && event.time >= one.time - skew
            && event.time <= one.ended.unwrap_or(one.time) + skew
    };
    let mut unhinted = Vec::new();
    for at in left {
        let event = &events[at];
        let Some(hint) = &event.operation_hint else {
            unhinted.push(at);
            continue;
        };
        let of: Vec<usize> =
            (0..uses.len()).filter(|one| uses[*one].operation.to_string() == *hint).collect();
        if of.is_empty() {
            unhinted.push(at);
        } else if let Some(one) = of.into_iter().find(|one| !used[*one] && fits(&uses[*one], event)) {
            used[one] = true;
            out.push((Verdict::Matched, Some(at), Some(one)));
        } else {
            out.push((Verdict::Replayed, Some(at), None));
        }
    }
    for at in unhinted {
        let event = &events[at];
        if event.principal.invoked_by.is_some() {
            out.push((Verdict::Service, Some(at), None));
        } else if let Some(one) = (0..uses.len()).find(|one| !used[*one] && fits(&uses[*one], event)) {
            used[one] = true;
            out.push((Verdict::Matched, Some(at), Some(one)));
        } else {
            out.push((Verdict::Unexplained, Some(at), None));
        }
    }
    for (at, one) in uses.iter().enumerate().filter(|(at, _)| !used[*at]) {
        let phantom = one.succeeded() && one.request_id().is_some();
        out.push((if phantom { Verdict::Phantom } else { Verdict::Unverifiable }, None, Some(at)));
    }
    out.sort();
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_join_is_that_of_the_model(mut uses in prop::collection::vec(some_use(), 0..9), events in prop::collection::vec(some_event(), 0..12)) {
        uses.sort_by_key(|one| one.time);
        let options = Options { services: vec!["backup.amazonaws.com".into()], ..options() };
        let result = reconcile(&uses, &events, &whole(), &options);
        let mut got: Vec<_> = result.findings.iter().map(|one| (one.verdict, one.event, one.key_use)).collect();
        got.sort();
        prop_assert_eq!(got, model(&uses, &events, &options));
    }

    #[test]
    fn each_event_and_each_use_has_one_verdict_whatever_their_order(uses in prop::collection::vec(some_use(), 0..9), events in prop::collection::vec(some_event(), 0..12)) {
        let options = Options { trail_delay: SignedDuration::from_hours(1), ..options() };
        let result = reconcile(&uses, &events, &whole(), &options);
        let mut seen: Vec<usize> = result.findings.iter().filter_map(|one| one.event).collect();
        let mut told: Vec<usize> = result.findings.iter().filter_map(|one| one.key_use).collect();
        seen.sort_unstable();
        told.sort_unstable();
        prop_assert!(seen.windows(2).all(|two| two[0] < two[1]));
        prop_assert_eq!(seen.len() as u64 + result.elsewhere + result.keyless, events.len() as u64);
        prop_assert_eq!(told, (0..uses.len()).collect::<Vec<_>>());
    }
}

#[test]
fn a_token_that_was_over_is_no_replay_and_a_denied_theft_is() {
    let mut one = key_use(1, Verb::Unwrap, 0, Some("r2"));
    (one.kind, one.key_id) = ("transit".into(), Some("transit/k".into()));
    let event = |id: &str, second: i64, error: Option<&str>| {
        let mut event = Event::new(Provider::Transit, Place { file: "f".into(), offset: 0 }, at(second));
        (event.id, event.request_id) = (id.into(), Some(id.into()));
        (event.operation, event.keys) = (Operation::Decrypt, vec!["transit/k".into()]);
        event.operation_hint = Some(one.operation.to_string());
        event.error = error.map(str::to_owned);
        event
    };
    let denied = Some("permission denied");
    // Refused, then asked again with a new token; later somebody else says that it is the same operation.
    let events =
        [event("r1", 0, denied), event("r2", 1, None), event("r3", 5000, denied), event("r4", 1, None)];
    let options = Options { ledger_delay: SignedDuration::ZERO, ..Options::new(at(86_400)) };
    let result = reconcile(std::slice::from_ref(&one), &events, &Coverage::default(), &options);
    let of = |at: usize| result.findings.iter().find(|finding| finding.event == Some(at)).unwrap().verdict;
    assert_eq!(
        [of(0), of(1), of(2), of(3)],
        [Verdict::Duplicate, Verdict::Matched, Verdict::Replayed, Verdict::Replayed]
    );
}
