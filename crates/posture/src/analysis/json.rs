//! The analysis as JSON.

use serde_json::{Value, json};

use super::{Analysis, Finding, Level, harm_word};
use crate::graph::{Path, Step};

fn hop(step: &Step, to: &str) -> Value {
    let asked =
        step.asked.iter().map(|asked| json!({"action": &*asked.action, "resource": &*asked.resource}));
    json!({
        "id": step.id,
        "what": &*step.what,
        "to": to,
        "certainty": step.certainty.as_str(),
        "needs": asked.collect::<Vec<_>>(),
        "source": &*step.citation,
    })
}

/// A path.
fn path(path: &Path) -> Value {
    let deed = &path.deed;
    let mut hops: Vec<Value> = path.edges.iter().map(|edge| hop(&edge.step, &edge.to.to_string())).collect();
    hops.push(hop(&deed.step, &format!("{} {}", harm_word(deed.harm), deed.target.name())));
    json!({
        "from": path.from.to_string(),
        "from_kind": path.from.kind(),
        "harm": harm_word(deed.harm),
        "target": deed.target.name(),
        "certainty": path.certainty.as_str(),
        "irreversible_after_days": deed.delay.map(|delay| json!({"least": delay.least, "most": delay.most})),
        "hops": hops,
    })
}

fn finding(finding: &Finding) -> Value {
    let mut value = path(&finding.path);
    let hops = finding.evidence.iter().map(|statements| {
        let statements = statements.iter().map(|statement| {
            json!({
                "layer": statement.layer.to_string(),
                "policy": &*statement.policy,
                "sid": statement.sid.as_deref(),
                "file": &*statement.file,
                "line": statement.line,
            })
        });
        statements.collect::<Vec<Value>>()
    });
    value["evidence"] = hops.collect::<Vec<_>>().into();
    value["fingerprint"] = finding.fingerprint().into();
    value
}

impl Analysis<'_> {
    /// As one JSON document.
    pub fn to_json(&self) -> Value {
        let controls = self.controls.iter().map(|control| {
            json!({
                "id": control.id,
                "title": control.title,
                "level": if control.level == Level::Minimum { "minimum" } else { "high" },
                "verdict": control.verdict.as_str(),
                "evidence": control.evidence,
                "paths": control.paths.iter().map(path).collect::<Vec<_>>(),
            })
        });
        let functions = self.functions.iter().map(|(account, function)| {
            let said = self.functions.was_said(account);
            (account.to_string(), json!({"function": function.to_string(), "said": said}))
        });
        json!({
            "message_type": "posture",
            "accounts": self.estate.accounts.len(),
            "principals": self.estate.principal_count(),
            "keys": self.keys.iter().map(|key| &**key).collect::<Vec<_>>(),
            "keys_chosen": self.chosen,
            "functions": functions.collect::<serde_json::Map<_, _>>(),
            "controls": controls.collect::<Vec<_>>(),
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "gaps": self.reach.gaps,
            "problems": self.problems,
        })
    }
}
