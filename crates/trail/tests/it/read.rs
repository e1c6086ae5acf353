//! Layouts, damage, hostile input.

use crate::common::{KEY, decrypt, read_all, read_bytes, record};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{fs, io::Write};
use strongroom_trail::{
    event::{Context, Operation},
    problem::ProblemKind,
};
use tempfile::TempDir;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn kinds(name: &str, bytes: impl AsRef<[u8]>) -> (usize, Vec<ProblemKind>) {
    let (events, summary) = read_bytes(name, bytes);
    (events.len(), summary.problems.into_iter().map(|problem| problem.kind).collect())
}

#[test]
fn a_decrypt_becomes_an_event() {
    let (events, summary) =
        read_bytes("a.json.gz", gzip(json!({ "Records": [decrypt("e1", 5)] }).to_string().as_bytes()));
    let event = &events[0];
    assert_eq!(
        (event.operation, event.key(), event.request_id.as_deref()),
        (Operation::Decrypt, Some(KEY), Some("request-e1"))
    );
    assert_eq!(event.principal.issuer.as_deref(), Some("arn:aws:iam::111122223333:role/restore"));
    let Context::Pairs(pairs) = &event.context else { panic!("{event:?}") };
    assert_eq!(pairs["strongroom:dataset"], "db");
    assert_eq!((summary.files, summary.records, summary.events, summary.problems.len()), (1, 1, 1, 0));
}

#[test]
fn every_layout_gives_the_same_events() {
    let (a, b) = (decrypt("e1", 5), decrypt("e2", 6));
    let wrapped = |record: &Value| json!({ "EventId": record["eventID"], "EventName": "Decrypt", "ReadOnly": "true", "Resources": [], "CloudTrailEvent": record.to_string() });
    let bridged = |record: &Value| json!({ "version": "0", "source": "aws.kms", "detail-type": "AWS API Call via CloudTrail", "detail": record, "resources": [] });
    let layouts = [
        json!({ "Records": [a, b] }).to_string(),
        serde_json::to_string_pretty(&json!({ "Records": [a, b] })).unwrap(),
        format!("{a}\n{b}\n"),
        json!([a, b]).to_string(),
        json!({ "Events": [wrapped(&a), wrapped(&b)], "NextToken": "x" }).to_string(),
        format!(r#"{{"AToken":"x","Events":[{},{}]}}"#, wrapped(&a), wrapped(&b)),
        format!("{}\n{}", bridged(&a), bridged(&b)),
    ];
    for text in layouts {
        let (events, summary) = read_bytes("a.json", &text);
        let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
        assert_eq!((ids, summary.problems.len()), (vec!["e1", "e2"], 0), "{text}: {:?}", summary.problems);
    }
}

#[test]
fn texts_in_the_place_of_flags_and_capitals_are_read() {
    let mut odd = decrypt("e1", 5);
    odd["readOnly"] = json!("true");
    odd["requestParameters"] =
        json!({ "CiphertextBlob": "xyz", "EncryptionContext": { "a": "b" }, "KeyId": "k1" });
    let (events, summary) = read_bytes("a.json", odd.to_string());
    assert!(summary.problems.is_empty(), "{:?}", summary.problems);
    assert_eq!(events[0].read_only, Some(true));
    assert_eq!(events[0].context, Context::Pairs([("a".to_owned(), "b".to_owned())].into()));
}

#[test]
fn names_of_keys_are_resolved() {
    let mut alias = record("e1", 1, "GenerateDataKey", json!({ "keyId": "alias/backup" }));
    let mut bare = record("e2", 2, "Encrypt", json!({ "keyId": "k1" }));
    bare["resources"] = Value::Null;
    alias["resources"][0]["ARN"] = json!(KEY);
    let (events, _) = read_bytes("a.json", json!([alias, bare]).to_string());
    assert_eq!((events[0].key(), events[0].key_as_given.as_deref()), (Some(KEY), Some("alias/backup")));
    assert_eq!((events[1].key(), events[1].key_as_given.as_deref()), (Some(KEY), Some("k1")));
}

#[test]
fn an_encryption_context_cannot_begin_a_record() {
    let forged = decrypt("forged", 1).to_string();
    let mut record = decrypt("e1", 5);
    record["requestParameters"]["encryptionContext"] =
        json!({ "eventVersion": "1", "a": forged, "}]": "{\"Records\":[" });
    let (events, summary) = read_bytes("a.json", json!({ "Records": [record] }).to_string());
    assert_eq!((events.len(), events[0].id.as_str(), summary.problems.len()), (1, "e1", 0));
}

#[test]
fn escapes_hide_nothing() {
    let text = decrypt("e1", 5).to_string().replace("kms.amazonaws.com", "kms\\u002eamazonaws.com");
    assert_eq!(read_bytes("a.json", text).0.len(), 1);
}

#[test]
fn damage_is_reported_and_the_rest_is_read() {
    let whole: Vec<Value> = (0..2000).map(|n| decrypt(&format!("e{n}"), n)).collect();
    let gz = gzip(json!({ "Records": whole }).to_string().as_bytes());
    let (events, problems) = kinds("a.json.gz", &gz[..gz.len() / 2]);
    assert!(events > 500 && events < 2000, "{events}");
    assert!(problems.contains(&ProblemKind::Truncated), "{problems:?}");
    let mut damaged = gz.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    let (_, problems) = kinds("a.json.gz", damaged);
    assert!(
        problems.iter().any(|kind| matches!(kind, ProblemKind::Inflate | ProblemKind::Truncated)),
        "{problems:?}"
    );
    let mut checksum = gz;
    let end = checksum.len() - 5;
    checksum[end] ^= 1;
    assert_eq!(kinds("a.json.gz", checksum), (2000, vec![ProblemKind::Inflate]));

    let mut invalid =
        format!("{}\n{}\n{}", decrypt("e1", 1), decrypt("bad", 2), decrypt("e3", 3)).into_bytes();
    let place = invalid.windows(7).position(|part| part == b"\"bad\",\"").unwrap();
    invalid[place + 1] = 0xff;
    assert_eq!(kinds("a.jsonl", invalid), (2, vec![ProblemKind::Record]));

    let missing =
        json!({ "Records": [decrypt("e1", 1), { "eventSource": "kms.amazonaws.com" }, decrypt("e2", 2)] })
            .to_string();
    let (events, summary) = read_bytes("a.json", &missing);
    assert_eq!((events.len(), summary.problems.len(), summary.incomplete.len()), (2, 1, 1));
    let at = usize::try_from(summary.problems[0].place.offset).unwrap();
    assert!(missing[at..].starts_with(r#"{"eventSource":"kms.amazonaws.com"}"#));
}

#[test]
fn bombs_are_stopped() {
    let bomb = gzip(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 128 << 10);
    let (events, problems) = kinds("a.json.gz", bomb);
    assert_eq!((events, problems), (0, vec![ProblemKind::TooLong]));
}

#[test]
fn the_odd_is_read_and_told() {
    let mut future = decrypt("e1", 365 * 86_400);
    assert_eq!(kinds("a.json", future.to_string()), (1, vec![ProblemKind::Future]));
    future["eventTime"] = json!("2026-03-01T12:00:00Z");
    future["eventVersion"] = json!("2.0");
    assert_eq!(kinds("a.json", future.to_string()), (1, vec![ProblemKind::Version]));
    let omitted = record(
        "e1",
        1,
        "Decrypt",
        json!({ "omitted": true, "originalSize": 120_000, "reason": "parameters too large" }),
    );
    assert_eq!(kinds("a.json", omitted.to_string()), (1, vec![ProblemKind::Omitted]));
    let large = record("e1", 1, "Decrypt", json!({ "encryptionContext": { "x": "y".repeat(100 << 10) } }));
    assert_eq!(kinds("a.json", large.to_string()), (1, vec![]));
    assert_eq!(kinds("a.txt", "hello"), (0, vec![ProblemKind::NotATrail]));
    assert_eq!(kinds("a.json", "hello"), (0, vec![ProblemKind::Garbage]));
    assert_eq!(kinds("a.json", ""), (0, vec![]));
    let mut other = decrypt("e1", 1);
    other["eventSource"] = json!("ec2.amazonaws.com");
    assert_eq!(kinds("a.json", other.to_string()), (0, vec![]));
}

#[cfg(unix)]
#[test]
fn directories_are_walked_without_links_and_names_are_escaped() {
    let dir = TempDir::new().unwrap();
    let deep = dir.path().join("AWSLogs/1/CloudTrail/eu-west-1/2026/03/01");
    fs::create_dir_all(&deep).unwrap();
    fs::write(
        deep.join("1_CloudTrail_eu-west-1_20260301T1200Z_x.json.gz"),
        gzip(decrypt("e1", 1).to_string().as_bytes()),
    )
    .unwrap();
    fs::write(dir.path().join("a\nb.json"), "garbage").unwrap();
    fs::write(dir.path().join("1_CloudTrail-Digest_x.json.gz"), "").unwrap();
    std::os::unix::fs::symlink(&deep, dir.path().join("link")).unwrap();
    let (events, summary) = read_all(dir.path());
    assert_eq!((events.len(), summary.digests), (1, 1));
    let problems: Vec<_> = summary.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("a\\nb.json at byte 0") && problems[1].contains("link"), "{problems:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, gz: bool) {
        read_bytes("a.json.gz", if gz { gzip(&bytes) } else { bytes });
    }

    #[test]
    fn no_change_makes_it_panic_or_lose_its_neighbour(place in 0_usize..900, byte: u8) {
        let first = decrypt("e1", 1).to_string();
        let mut bytes = format!("{first}\n{}\n", decrypt("e2", 2)).into_bytes();
        let place = place % first.len();
        bytes[place] = byte;
        let (events, summary) = read_bytes("a.jsonl", bytes);
        prop_assert!(events.iter().any(|event| event.id == "e2") || !summary.problems.is_empty());
        prop_assert!(!events.is_empty() || !summary.problems.is_empty());
    }
}
