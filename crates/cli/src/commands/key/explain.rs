//! `strongroom key explain`: the policies of a dataset as trees, with what each keyholder can do now.

use super::status::{dangers, state_name};
use crate::commands::Context;
use crate::error::CliError;
use crate::session::Session;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use strongroom_custody::review::is_satisfied;
use strongroom_custody::{HolderState, ReasonCode};
use strongroom_format::keyring::PolicyTree;
use strongroom_vault::VaultError;

/// Draws the trees.
///
/// # Errors
/// Where the vault cannot be opened, or has no such dataset.
pub(super) fn run(context: &Context) -> Result<(), CliError> {
    let session = Session::open(context, ReasonCode::List)?;
    let keyring = session.vault.keyring();
    let dataset = keyring.dataset(&session.dataset).ok_or_else(|| VaultError::NoDataset {
        name: session.dataset.clone(),
        known: keyring.datasets.iter().map(|dataset| dataset.name.clone()).collect(),
    })?;
    let mut states = BTreeMap::new();
    for label in dataset.read_policy.leaves().chain(dataset.write_policy.leaves()) {
        if !states.contains_key(label) {
            states.insert(label, session.block_on(session.custody.state(label)));
        }
    }
    for (purpose, policy) in [("read", &dataset.read_policy), ("write", &dataset.write_policy)] {
        let can_open = |label: &str| states.get(label) == Some(&HolderState::CanOpen);
        let opens = is_satisfied(policy, &can_open);
        if context.output.is_json() {
            context.output.json(&json!({
                "message_type": "policy",
                "dataset": session.dataset,
                "purpose": purpose,
                "policy": policy.to_string(),
                "opens_here": opens,
                "tree": tree_json(policy, &states),
            }))?;
            continue;
        }
        let verdict = if opens { "opens here now" } else { "does not open here now" };
        context.output.line(&format!("{purpose} keys of dataset {}: {verdict}", session.dataset))?;
        for line in draw(policy, &states) {
            context.output.line(&format!("  {line}"))?;
        }
    }
    for danger in dangers(&session).get(&session.dataset).into_iter().flatten() {
        context.messages.warn(&danger.to_string());
    }
    Ok(())
}

fn mark(opens: bool) -> &'static str {
    if opens { "✓" } else { "✗" }
}

/// The tree, a line for each node.
fn draw(policy: &PolicyTree, states: &BTreeMap<&str, HolderState>) -> Vec<String> {
    let opens =
        |node: &PolicyTree| is_satisfied(node, &|label| states.get(label) == Some(&HolderState::CanOpen));
    let head = match policy {
        PolicyTree::Keyholder(label) => {
            let state = states.get(label.as_str()).map_or_else(String::new, ToString::to_string);
            return vec![format!("{} {label}: {state}", mark(opens(policy)))];
        }
        PolicyTree::Any(_) => "any of these".to_owned(),
        PolicyTree::All(_) => "all of these".to_owned(),
        PolicyTree::Threshold { needed, of } => format!("{needed} of these {}", of.len()),
    };
    let mut lines = vec![format!("{} {head}", mark(opens(policy)))];
    let last = policy.children().len().saturating_sub(1);
    for (nth, child) in policy.children().iter().enumerate() {
        let (branch, below) = if nth == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        for (line_nth, line) in draw(child, states).into_iter().enumerate() {
            lines.push(format!("{}{line}", if line_nth == 0 { branch } else { below }));
        }
    }
    lines
}

fn tree_json(policy: &PolicyTree, states: &BTreeMap<&str, HolderState>) -> Value {
    match policy {
        PolicyTree::Keyholder(label) => {
            let state = states.get(label.as_str());
            json!({
                "keyholder": label,
                "state": state.map(state_name),
                "state_text": state.map(ToString::to_string),
            })
        }
        node => json!({
            "needed": node.needed(),
            "of": node.children().iter().map(|child| tree_json(child, states)).collect::<Vec<_>>(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_custody::policy::parse;

    #[test]
    fn a_tree_shows_who_can_open_what() {
        let policy = parse("any(kms, 2 of (alice, bob, carol))").unwrap();
        let states = BTreeMap::from([
            ("kms", HolderState::PendingDeletion(Some("2027-01-02T03:04:05Z".into()))),
            ("alice", HolderState::CanOpen),
            ("bob", HolderState::Away("no identity was given".into())),
            ("carol", HolderState::CanOpen),
        ]);
        assert_eq!(
            draw(&policy, &states).join("\n"),
            "✓ any of these\n\
             ├─ ✗ kms: pending deletion until 2027-01-02T03:04:05Z\n\
             └─ ✓ 2 of these 3\n   \
                ├─ ✓ alice: can open\n   \
                ├─ ✗ bob: not here: no identity was given\n   \
                └─ ✓ carol: can open"
        );
    }
}
