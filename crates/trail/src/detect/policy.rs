//! Whom the policies and grants in a call let in.

use super::{Options, request};
use crate::event::Event;
use serde_json::Value;

/// Every principal that an `Allow` statement without conditions lets in.
fn allowed(policy: &Value) -> Vec<String> {
    let mut all = Vec::new();
    let statements = match policy.get("Statement") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    for statement in statements {
        let is_allow = statement.get("Effect").and_then(Value::as_str) == Some("Allow");
        let conditions =
            statement.get("Condition").and_then(Value::as_object).is_some_and(|all| !all.is_empty());
        if is_allow && !conditions {
            match statement.get("Principal") {
                Some(Value::String(text)) => all.push(text.clone()),
                Some(Value::Object(kinds)) => {
                    for (kind, value) in kinds.iter().filter(|(kind, _)| *kind != "Service") {
                        let list = value.as_array().map_or_else(|| vec![value], |list| list.iter().collect());
                        all.extend(list.into_iter().filter_map(Value::as_str).map(str::to_owned));
                        if kind == "Federated" {
                            all.push("*".into());
                        }
                    }
                }
                _ => {}
            }
            if statement.get("NotPrincipal").is_some() {
                all.push("*".into());
            }
        }
    }
    all
}

fn principals(event: &Event) -> Vec<String> {
    let Some(text) = request(event, "policy") else { return Vec::new() };
    serde_json::from_str(&text).map_or_else(|_| Vec::new(), |policy: Value| allowed(&policy))
}

/// Whether a call gives a key a policy that lets everybody in.
pub(super) fn opens_to_all(event: &Event, _: &Options) -> bool {
    principals(event).iter().any(|principal| principal == "*")
}

/// The account that a principal belongs to.
fn account(principal: &str) -> Option<&str> {
    let account = principal.split(':').nth(4).unwrap_or(principal);
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
}

/// Whether a call gives a key a policy that lets another account in.
pub(super) fn opens_to_strangers(event: &Event, options: &Options) -> bool {
    principals(event)
        .iter()
        .filter_map(|principal| account(principal))
        .any(|account| !options.is_our_account(account, event))
}

/// Whether a grant lets another account in, or lets somebody open things without a constraint.
pub(super) fn grant_is_wide(event: &Event, options: &Options) -> bool {
    let grantee = request(event, "granteePrincipal").unwrap_or_default();
    let Some(parameters) = event.parameters.get("request") else { return false };
    let opens = parameters.get("operations").and_then(Value::as_array).is_some_and(|list| {
        let risky = ["Decrypt", "ReEncryptFrom", "CreateGrant", "GenerateDataKey"];
        list.iter().filter_map(Value::as_str).any(|operation| risky.contains(&operation))
    });
    let constrained =
        parameters.get("constraints").and_then(Value::as_object).is_some_and(|all| !all.is_empty());
    let foreign = account(&grantee).is_some_and(|account| !options.is_our_account(account, event));
    foreign || (opens && !constrained && !grantee.ends_with(".amazonaws.com"))
}

/// Whether a call says that the check against locking everybody out shall not be made.
pub(super) fn skips_the_lockout_check(event: &Event, _: &Options) -> bool {
    let flag =
        event.parameters.get("request").and_then(|request| request.get("bypassPolicyLockoutSafetyCheck"));
    flag == Some(&Value::Bool(true))
}
