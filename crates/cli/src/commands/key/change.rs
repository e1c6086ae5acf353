//! `strongroom key add` and `key remove`: keyholders come and go.

use super::rewrap;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::keyholders::{MadeFiles, make_keyholder, parse_keyholder};
use crate::keys;
use crate::policies;
use crate::session::Session;
use clap::Args;
use std::collections::BTreeMap;
use strongroom_custody::ReasonCode;
use strongroom_format::keyring::PolicyTree;
use strongroom_vault::changes::Authority;
use strongroom_vault::keyring::PolicyChange;

/// Options of `key add`.
#[derive(Args, Clone, Debug)]
pub struct AddArgs {
    /// Keyholder NAME of kind file[:PATH], passphrase, age:RECIPIENT[,RECIPIENT], aws-kms:KEY,
    /// transit:https://HOST/MOUNT/KEY or pkcs11:TOKEN/KEY
    #[arg(value_name = "NAME=KIND[:ARGS]")]
    pub keyholder: String,

    /// It alone opens backups, beside the read policy so far
    #[arg(long, required_unless_present_any = ["write", "read_policy", "write_policy"])]
    pub read: bool,

    /// It alone opens write keys, beside the write policy so far
    #[arg(long)]
    pub write: bool,

    /// The new read policy, in full
    #[arg(long, value_name = "POLICY", conflicts_with = "read")]
    pub read_policy: Option<String>,

    /// The new write policy, in full
    #[arg(long, value_name = "POLICY", conflicts_with = "write")]
    pub write_policy: Option<String>,
}

/// Options of `key remove`.
#[derive(Args, Clone, Debug)]
pub struct RemoveArgs {
    /// The keyholder
    #[arg(value_name = "NAME")]
    pub name: String,

    /// The new read policy, in full [default: the one so far without NAME]
    #[arg(long, value_name = "POLICY")]
    pub read_policy: Option<String>,

    /// The new write policy, in full [default: the one so far without NAME]
    #[arg(long, value_name = "POLICY")]
    pub write_policy: Option<String>,

    /// Keep the documents that the keyholder can still open
    #[arg(long)]
    pub keep_old: bool,
}

/// Adds a keyholder.
///
/// # Errors
/// Where its name is taken, a policy makes no sense, or custody refuses: nothing is changed then.
pub(super) fn add(args: &AddArgs, context: &Context) -> Result<(), CliError> {
    let (label, kind) = parse_keyholder(&args.keyholder)?;
    let mut session = Session::open(context, ReasonCode::Admin)?;
    let keyring = session.vault.keyring();
    if keyring.keyholders.contains_key(&label) {
        return Err(CliError::new(ErrorKind::Usage, format!("there is a keyholder `{label}` already"))
            .hint("give the new one another name; `strongroom key remove` takes the old one away"));
    }
    let mut made = MadeFiles::default();
    let mut secrets = keys::secrets(context, &keyring.vault, &keyring.keyholders);
    let spec = make_keyholder(context, session.runtime(), &label, kind, &mut made, &mut secrets)?;
    let mut keyholders = keyring.keyholders.clone();
    keyholders.insert(label.clone(), spec.clone());
    let known = || keyholders.keys().map(String::as_str);
    let beside = |policy: &PolicyTree| match policy {
        PolicyTree::Any(children) => {
            PolicyTree::Any([children.clone(), vec![PolicyTree::Keyholder(label.clone())]].concat())
        }
        other => PolicyTree::Any(vec![other.clone(), PolicyTree::Keyholder(label.clone())]),
    };
    let new_policy = |whole: &Option<String>, beside_it: bool, old: &PolicyTree| match whole {
        Some(text) => policies::read(context, text, known()).map(Some),
        None => Ok(beside_it.then(|| beside(old))),
    };
    let change = PolicyChange {
        read_policy: new_policy(&args.read_policy, args.read, &keyring.read_policy)?,
        write_policy: new_policy(&args.write_policy, args.write, &keyring.write_policy)?,
        add: BTreeMap::from([(label.clone(), spec)]),
        ..PolicyChange::default()
    };
    if ![&change.read_policy, &change.write_policy]
        .into_iter()
        .flatten()
        .any(|policy| policy.leaves().any(|leaf| leaf == label))
    {
        return Err(CliError::new(ErrorKind::Usage, format!("the new policies do not name `{label}`")));
    }
    session.add_holder(&label, &keyholders, &secrets)?;
    let seed = rewrap::change_or_propose(context, &mut session, change, false)?;
    made.settle(context, &session.vault);
    if let Some(seed) = seed {
        rewrap::rewrap(context, &mut session, Some(seed), None)?;
    }
    for (label, path) in &made.files {
        let path = crate::escape::path(path.as_os_str().as_encoded_bytes());
        context.messages.note(&format!("the key of `{label}` is in {path}: move it to a safe place"));
    }
    Ok(())
}

/// A policy without a keyholder; none where nothing is left of it.
fn without(policy: &PolicyTree, label: &str) -> Option<PolicyTree> {
    let children: Vec<PolicyTree> =
        policy.children().iter().filter_map(|child| without(child, label)).collect();
    match policy {
        PolicyTree::Keyholder(leaf) => (leaf != label).then(|| policy.clone()),
        _ if children.is_empty() => None,
        PolicyTree::Any(_) => match <[PolicyTree; 1]>::try_from(children) {
            Ok([only]) => Some(only),
            Err(children) => Some(PolicyTree::Any(children)),
        },
        PolicyTree::All(_) => Some(PolicyTree::All(children)),
        PolicyTree::Threshold { needed, .. } => Some(PolicyTree::Threshold { needed: *needed, of: children }),
    }
}

/// Whether a node needs fewer keyholders together than it did.
fn is_weaker(policy: &PolicyTree, label: &str) -> bool {
    match policy {
        PolicyTree::Keyholder(_) => false,
        PolicyTree::Any(children) => children.iter().any(|child| is_weaker(child, label)),
        node => node.leaves().any(|leaf| leaf == label),
    }
}

/// Takes a keyholder away.
///
/// # Errors
/// Where there is none of that name, what is left makes no sense, or custody refuses.
pub(super) fn remove(args: &RemoveArgs, context: &Context) -> Result<(), CliError> {
    let mut session = Session::open(context, ReasonCode::Admin)?;
    let change = without_holder(args, context, &session)?;
    let Some(seed) = rewrap::change_or_propose(context, &mut session, change, !args.keep_old)? else {
        context.messages.note(&format!(
            "`strongroom key suspend {name}` lets its provider refuse at once, and `strongroom key revoke {name}` seals \
             new backups without it",
            name = args.name
        ));
        return Ok(());
    };
    let forget = (!args.keep_old).then_some(Authority::Harmless);
    rewrap::rewrap(context, &mut session, Some(seed), forget)?;
    context.messages.note(&format!(
        "who held `{}` may have kept keys that it opened before: `strongroom key rotate` seals new backups to a new one",
        args.name
    ));
    Ok(())
}

/// The policies without a keyholder.
pub(super) fn without_holder(
    args: &RemoveArgs,
    context: &Context,
    session: &Session,
) -> Result<PolicyChange, CliError> {
    let keyring = session.vault.keyring();
    if !keyring.keyholders.contains_key(&args.name) {
        let known: Vec<&str> = keyring.keyholders.keys().map(String::as_str).collect();
        return Err(CliError::new(ErrorKind::Usage, format!("there is no keyholder `{}`", args.name))
            .hint(format!("there are: {}", known.join(", "))));
    }
    let new_policy = |whole: &Option<String>, old: &PolicyTree, option: &str| {
        let known = keyring.keyholders.keys().map(String::as_str);
        if let Some(text) = whole {
            return policies::read(context, text, known);
        }
        let usage = |message: String| {
            CliError::new(ErrorKind::Usage, message)
                .hint(format!("write the new policy in full: {option} POLICY"))
        };
        if is_weaker(old, &args.name) {
            let message = format!("`{}` is one of several that `{old}` needs together", args.name);
            return Err(usage(message));
        }
        without(old, &args.name)
            .ok_or_else(|| usage(format!("without `{}` nobody could open anything", args.name)))
    };
    let change = PolicyChange {
        read_policy: Some(new_policy(&args.read_policy, &keyring.read_policy, "--read-policy")?),
        write_policy: Some(new_policy(&args.write_policy, &keyring.write_policy, "--write-policy")?),
        ..PolicyChange::default()
    };
    if [&change.read_policy, &change.write_policy]
        .into_iter()
        .flatten()
        .any(|policy| policy.leaves().any(|leaf| leaf == args.name))
    {
        return Err(CliError::new(ErrorKind::Usage, format!("the new policies still name `{}`", args.name)));
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_custody::policy::parse;

    #[test]
    fn what_is_left_of_a_policy() {
        let left = |text: &str| without(&parse(text).unwrap(), "x").map(|policy| policy.to_string());
        assert_eq!(left("any(a, x)").as_deref(), Some("a"));
        assert_eq!(left("any(a, b, x)").as_deref(), Some("any(a, b)"));
        assert_eq!(left("any(a, any(x))").as_deref(), Some("a"));
        assert_eq!(left("x"), None);
        assert_eq!(left("any(x)"), None);
        assert!(is_weaker(&parse("any(a, 2 of (b, c, x))").unwrap(), "x"));
        assert!(is_weaker(&parse("all(a, any(b, x))").unwrap(), "x"));
        assert!(!is_weaker(&parse("any(x, 2 of (b, c, d))").unwrap(), "x"));
    }
}
