//! An answer, for people and for programs.

use crate::error::CliError;
use crate::escape;
use crate::output::{Align, Output, Table};
use serde_json::{Value, json};
use std::sync::Arc;
use strongroom_posture::conditions::{Missing, Reason, Source};
use strongroom_posture::evaluate::{Decision, Denial, Explanation, Layer, Match, Step};
use strongroom_posture::policy::Effect;

/// Who decides about a condition.
fn decides(source: Source) -> &'static str {
    match source {
        Source::Known => "what was collected",
        Source::AttackerChosen => "whoever asks chooses it",
        Source::Environmental => "where, when and how it is asked",
        Source::ServiceSupplied => "a service of AWS sets it",
        Source::Token => "the identity provider asserts it",
        Source::Unclassified => "nobody here knows this key: taken to be chosen by whoever asks",
    }
}

fn source_word(source: Source) -> &'static str {
    match source {
        Source::Known => "known",
        Source::AttackerChosen => "caller",
        Source::Environmental => "environment",
        Source::ServiceSupplied => "service",
        Source::Token => "token",
        Source::Unclassified => "unclassified",
    }
}

fn layer_word(layer: Layer) -> &'static str {
    match layer {
        Layer::Operation => "operation",
        Layer::Scp => "scp",
        Layer::Rcp => "rcp",
        Layer::Endpoint => "endpoint",
        Layer::Resource => "resource",
        Layer::Identity => "identity",
        Layer::Boundary => "boundary",
        Layer::Session => "session",
        Layer::Grant => "grant",
    }
}

fn effect_word(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
    }
}

/// The answer in one line.
pub(super) fn verdict(decision: &Decision) -> String {
    match decision {
        Decision::Allowed => "ALLOWED".into(),
        Decision::AllowedIf(residual) => format!("ALLOWED IF {}", residual.when),
        Decision::Denied(Denial::Explicit(layer)) => format!("DENIED by a statement: {layer}"),
        Decision::Denied(Denial::Implicit(Layer::Operation)) => {
            "DENIED: the operation does not work for this principal, whatever policies say".into()
        }
        Decision::Denied(Denial::Implicit(layer)) => format!("DENIED: nothing allows it: {layer}"),
        Decision::Denied(Denial::Contradiction) => {
            "DENIED: what one layer asks for, another one excludes".into()
        }
        Decision::Unknown(_) => "UNKNOWN: it hangs on what is missing".into(),
    }
}

/// What is missing for an answer, or might widen it.
fn missing(decision: &Decision) -> &[Arc<Missing>] {
    match decision {
        Decision::AllowedIf(residual) => &residual.missing,
        Decision::Unknown(missing) => missing,
        Decision::Allowed | Decision::Denied(_) => &[],
    }
}

fn outcome(step: &Step) -> (&'static str, String) {
    match &step.matched {
        Match::Applies => ("applies", "applies".into()),
        Match::AppliesIf(formula) => ("applies_if", format!("applies if {formula}")),
        Match::OtherPrincipal => ("other_principal", "is about another principal".into()),
        Match::OtherAction => ("other_action", "is about another action".into()),
        Match::OtherResource => ("other_resource", "is about another resource".into()),
        Match::ConditionFails => ("condition_fails", "a condition does not hold".into()),
    }
}

/// For people: the answer, what it hangs on, and the statements that are about the action, or all of them.
///
/// # Errors
/// Where standard output cannot be written.
pub(super) fn text(explanation: &Explanation, all: bool, output: &Output) -> Result<(), CliError> {
    output.line(&escape::text(&verdict(&explanation.decision)))?;
    if let Decision::AllowedIf(residual) = &explanation.decision {
        for source in residual.sources() {
            output.line(&format!("  {}", decides(source)))?;
        }
    }
    for missing in missing(&explanation.decision) {
        output.line(&format!("  {}", escape::text(&missing.to_string())))?;
    }
    let shown: Vec<&Step> =
        explanation.steps.iter().filter(|step| all || step.matched != Match::OtherAction).collect();
    if !shown.is_empty() {
        let mut table = Table::new(&[
            ("Layer", Align::Left),
            ("Effect", Align::Left),
            ("Policy", Align::Left),
            ("Statement", Align::Left),
            ("Outcome", Align::Left),
            ("Where", Align::Left),
        ]);
        for step in &shown {
            table.row([
                step.layer.to_string(),
                effect_word(step.effect).into(),
                escape::path(step.policy.as_bytes()),
                step.sid.as_ref().map(|sid| escape::path(sid.as_bytes())).unwrap_or_default(),
                escape::text(&outcome(step).1).replace('\n', " "),
                format!("{}:{}", escape::path(step.file.as_bytes()), step.line),
            ]);
        }
        output.line("")?;
        output.table(&table)?;
    }
    match explanation.steps.len() - shown.len() {
        0 => Ok(()),
        1 => output.line("\n1 statement about another action; --all shows it"),
        hidden => output.line(&format!("\n{hidden} statements about other actions; --all shows them")),
    }
}

/// For programs: everything.
pub(super) fn document(explanation: &Explanation, request: Value, problems: &[Value]) -> Value {
    let (word, denial) = match &explanation.decision {
        Decision::Allowed => ("allowed", Value::Null),
        Decision::AllowedIf(_) => ("allowed_if", Value::Null),
        Decision::Denied(Denial::Explicit(layer)) => {
            ("denied", json!({"kind": "explicit", "layer": layer_word(*layer)}))
        }
        Decision::Denied(Denial::Implicit(layer)) => {
            ("denied", json!({"kind": "implicit", "layer": layer_word(*layer)}))
        }
        Decision::Denied(Denial::Contradiction) => {
            ("denied", json!({"kind": "contradiction", "layer": null}))
        }
        Decision::Unknown(_) => ("unknown", Value::Null),
    };
    let (when, sources) = match &explanation.decision {
        Decision::AllowedIf(residual) => {
            let sources: Vec<&str> = residual.sources().into_iter().map(source_word).collect();
            (Some(residual.when.to_string()), sources)
        }
        _ => (None, Vec::new()),
    };
    let missing: Vec<Value> = missing(&explanation.decision)
        .iter()
        .map(|missing| {
            let reason = match missing.reason {
                Reason::NotCollected => "not_collected",
                Reason::NotUnderstood => "not_understood",
                Reason::Undocumented => "undocumented",
            };
            json!({
                "reason": reason,
                "what": &*missing.what,
                "scope": missing.scope.as_ref().map(ToString::to_string),
                "collected_by": missing.kind.map(|kind| kind.call()),
            })
        })
        .collect();
    let statements: Vec<Value> = explanation
        .steps
        .iter()
        .map(|step| {
            let when = match &step.matched {
                Match::AppliesIf(formula) => Some(formula.to_string()),
                _ => None,
            };
            json!({
                "layer": layer_word(step.layer),
                "policy": &*step.policy,
                "effect": effect_word(step.effect),
                "sid": step.sid.as_deref(),
                "file": &*step.file,
                "line": step.line,
                "outcome": outcome(step).0,
                "when": when,
            })
        })
        .collect();
    json!({
        "message_type": "simulation",
        "request": request,
        "decision": word,
        "denial": denial,
        "when": when,
        "decided_by": sources,
        "missing": missing,
        "statements": statements,
        "problems": problems,
    })
}
