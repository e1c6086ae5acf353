//! Reports beside golden files. `STRONGROOM_UPDATE_GOLDEN=1` writes them anew.

use crate::common::{ACCOUNT, at, decrypt, key_use, read_bytes, record};
use serde_json::{Value, json};
use std::{env, fs, path::Path};
use strongroom_ledger::entry::Verb;
use strongroom_trail::{
    coverage::{Coverage, Span},
    detect, digest,
    reconcile::{self, reconcile},
    report::{Inputs, Outcome, Report},
};

const HOSTILE: &str = "<script>alert(1)</script>\"'&\u{1b}[2J\u{202e}";

fn report() -> Report {
    let mut thief = decrypt("e2", 120);
    thief["userIdentity"]["arn"] = json!(HOSTILE);
    thief["sourceIPAddress"] = json!("\"><img src=x onerror=alert(1)>");
    let records = [
        decrypt("e1", 61),
        thief,
        record("e3", 300, "ScheduleKeyDeletion", json!({ "keyId": "k1", "pendingWindowInDays": 7 })),
        json!({ "eventSource": "kms.amazonaws.com" }),
    ];
    let (events, summary) = read_bytes("trail.json", json!({ "Records": records }).to_string());
    let uses = [
        key_use(1, Verb::Unwrap, 60, Some("request-e1")),
        key_use(2, Verb::Unwrap, 200, Some("request-gone")),
    ];
    let mut coverage = Coverage::default();
    for (start, end) in [(0, 100_000), (103_600, 200_000)] {
        coverage.area(ACCOUNT, "eu-west-1").proven.add(Span { start: at(start), end: at(end) });
    }
    coverage.add_blind(ACCOUNT, Span { start: at(90_000), end: at(91_000) }, "logging was stopped");
    let digests = digest::Report {
        faults: vec![digest::Fault {
            object: HOSTILE.into(),
            kind: digest::FaultKind::AlteredLog,
            what: "it is not what was signed".into(),
        }],
        ..digest::Report::default()
    };
    let now = at(30 * 86_400);
    let reconciliation = reconcile(&uses, &events, &coverage, &reconcile::Options::new(now));
    let detections = detect::detect(&events, &detect::Options::default());
    Report::new(Inputs {
        now,
        summary: &summary,
        digests: Some(&digests),
        coverage: &coverage,
        events: &events,
        uses: &uses,
        reconciliation: &reconciliation,
        detections: &detections,
    })
}

fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if env::var_os("STRONGROOM_UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    assert!(text == expected, "{name} is not what it was:\n{text}");
}

#[test]
fn all_forms_are_what_they_were() {
    let report = report();
    assert_eq!(report.result, Outcome::Alarm);
    golden("report.txt", &report.to_text());
    golden("report.json", &report.to_json());
    golden("report.sarif", &report.to_sarif());
    golden("report.html", &report.to_html());
}

#[test]
fn hostile_names_become_nothing_but_text() {
    let report = report();
    let html = report.to_html();
    for text in ["<script", "<img", "\u{1b}", "\u{202e}"] {
        assert!(!html.contains(text), "{text:?}");
    }
    assert!(html.contains("&lt;script&gt;") && html.contains("<svg"));
    assert!(!html.contains("http://") && !html.contains("https://"), "it loads nothing");
    let text = report.to_text();
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()) && !text.contains('\u{202e}'));
    for json in [report.to_json(), report.to_sarif()] {
        let value: Value = serde_json::from_str(&json).unwrap();
        assert!(value.is_object() && !json.contains('\u{1b}'));
    }
}

#[test]
fn sarif_has_what_its_readers_need() {
    let sarif: Value = serde_json::from_str(&report().to_sarif()).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let run = &sarif["runs"][0];
    let rules: Vec<&str> = run["tool"]["driver"]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["id"].as_str().unwrap())
        .collect();
    for result in run["results"].as_array().unwrap() {
        assert!(rules.contains(&result["ruleId"].as_str().unwrap()));
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        for location in result["locations"].as_array().into_iter().flatten() {
            let uri = location["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
            assert!(!uri.contains(['<', '"', ' ', '\\']), "{uri}");
        }
    }
    assert!(rules.contains(&"verdict-unexplained") && rules.contains(&"key-deletion-scheduled"));
}
