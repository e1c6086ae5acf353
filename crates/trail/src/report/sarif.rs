//! SARIF 2.1.0.

use super::{Report, Seen, clean};
use crate::{detect::rules, reconcile::Verdict};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) fn render(report: &Report) -> String {
    let mut results = Vec::new();
    for finding in &report.findings {
        let level = match finding.verdict {
            "UNEXPLAINED" | "REPLAYED" | "MISMATCH" | "PHANTOM" => "error",
            "UNVERIFIABLE" => "warning",
            _ => "note",
        };
        let subject = match (&finding.event, &finding.key_use) {
            (Some(event), _) => format!("{} by {}", event.name, event.principal),
            (None, Some(said)) => {
                format!("{} by {} in operation {}", said.verb, said.keyholder, said.operation)
            }
            (None, None) => String::new(),
        };
        let message = format!("{}: {subject}: {}", finding.verdict, finding.reasons.join("; "));
        let rule = format!("verdict-{}", finding.verdict.to_ascii_lowercase());
        results.push(result(&rule, level, &message, finding.event.as_ref().map(location)));
    }
    for found in &report.detections {
        let level = match found.severity {
            "critical" | "high" => "error",
            "medium" | "low" => "warning",
            _ => "note",
        };
        let message = format!("{}: {}. {} Stop it: {}", found.title, found.what, found.means, found.stop);
        results.push(result(found.rule, level, &message, Some(location(&found.event))));
    }
    for fault in report.digests.iter().flat_map(|digests| &digests.faults) {
        let level = if fault.tampering { "error" } else { "warning" };
        let message = format!("{}: {}", fault.object, fault.what);
        results.push(result(
            &format!("digest-{}", fault.kind),
            level,
            &message,
            Some(place(&fault.object, None)),
        ));
    }
    for problem in &report.problems {
        let level = if problem.hides_records { "warning" } else { "note" };
        let at = place(&problem.file, Some(problem.offset));
        results.push(result(&format!("unread-{}", problem.kind), level, &problem.what, Some(at)));
    }
    let used: BTreeSet<String> =
        results.iter().filter_map(|result| result["ruleId"].as_str().map(str::to_owned)).collect();
    let rules: Vec<Value> = used.iter().map(|id| rule(id)).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "Strongroom", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "results": results,
        }],
    });
    serde_json::to_string_pretty(&log).unwrap_or_default() + "\n"
}

fn rule(id: &str) -> Value {
    let known = rules().find(|rule| rule.id == id).map(|rule| (rule.title, rule.means));
    let of_verdict = || {
        let word = id.strip_prefix("verdict-")?;
        let verdict = Verdict::ALL.iter().find(|verdict| verdict.as_str().eq_ignore_ascii_case(word))?;
        Some((verdict.as_str(), "Ledger and trail were compared."))
    };
    let other = || match id.split('-').next() {
        Some("digest") => (
            "a fault of the digest chain",
            "The trail is not as its provider signed it, or that cannot be shown.",
        ),
        _ => ("something could not be read", "Events may be missing."),
    };
    let (title, means) = known.or_else(of_verdict).unwrap_or_else(other);
    json!({ "id": id, "shortDescription": { "text": title }, "fullDescription": { "text": means } })
}

fn result(rule: &str, level: &str, message: &str, location: Option<Value>) -> Value {
    let mut result = json!({ "ruleId": rule, "level": level, "message": { "text": clean(message) } });
    if let Some(location) = location {
        result["locations"] = json!([location]);
    }
    result
}

fn location(event: &Seen) -> Value {
    place(&event.file, Some(event.offset))
}

fn place(file: &str, offset: Option<u64>) -> Value {
    let mut uri = String::new();
    for byte in file.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                uri.push(char::from(byte))
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    let mut physical = json!({ "artifactLocation": { "uri": uri } });
    if let Some(offset) = offset {
        physical["region"] = json!({ "byteOffset": offset, "byteLength": 0 });
    }
    json!({ "physicalLocation": physical })
}
