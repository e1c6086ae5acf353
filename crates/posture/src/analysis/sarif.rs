//! The analysis as SARIF 2.1.0: each path is a code flow over the policies' lines.
//!
//! Source: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::score::tell;
use super::{Analysis, Finding, harm_word};
use crate::evaluate::Step as Statement;
use crate::graph::Certainty;

/// Results that code scanning takes of one run
/// (<https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>).
const RESULTS_MAX: usize = 5000;

fn location(statement: &Statement, message: &str) -> Value {
    json!({
        "physicalLocation": {
            "artifactLocation": {"uri": uri(&statement.file)},
            "region": {"startLine": statement.line.max(1)},
        },
        "message": {"text": message},
    })
}

/// A relative path as a URI.
fn uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn result(finding: &Finding) -> Option<Value> {
    let path = &finding.path;
    let steps = path.edges.iter().map(|edge| &edge.step).chain([&path.deed.step]);
    let flow: Vec<Value> = steps
        .zip(&finding.evidence)
        .flat_map(|(step, statements)| statements.iter().map(move |statement| (step, statement)))
        .map(|(step, statement)| json!({"location": location(statement, &step.what)}))
        .collect();
    let last = finding.evidence.iter().rev().flatten().next()?;
    let level = if path.certainty == Certainty::Proven { "error" } else { "warning" };
    Some(json!({
        "ruleId": path.deed.step.id,
        "level": level,
        "message": {"text": tell(path)},
        "locations": [location(last, &path.deed.step.what)],
        "codeFlows": [{"threadFlows": [{"locations": flow}]}],
        "partialFingerprints": {"strongroomPosture/v1": finding.fingerprint()},
    }))
}

impl Analysis<'_> {
    /// As SARIF; what is unproven is no result, what is missing is a notification.
    pub fn to_sarif(&self) -> Value {
        let mut rules: BTreeMap<&str, Value> = BTreeMap::new();
        for finding in &self.findings {
            let deed = &finding.path.deed;
            rules.entry(deed.step.id).or_insert_with(|| {
                json!({
                    "id": deed.step.id,
                    "shortDescription": {"text": format!("{}: {}", harm_word(deed.harm), deed.step.what)},
                    "helpUri": &*deed.step.citation,
                })
            });
        }
        let results: Vec<Value> = self.findings.iter().filter_map(result).take(RESULTS_MAX).collect();
        let notes = self.reach.gaps.iter().chain(&self.problems);
        let notes: Vec<Value> =
            notes.map(|text| json!({"level": "warning", "message": {"text": text}})).collect();
        json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": {"driver": {
                    "name": "strongroom posture",
                    "version": env!("CARGO_PKG_VERSION"),
                    "rules": rules.into_values().collect::<Vec<_>>(),
                }},
                "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": notes}],
                "results": results,
            }],
        })
    }
}
