//! `strongroom key status`: the keyholders, their live state, and what is in danger.

use super::drill;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::output::{Align, Table};
use crate::session::Session;
use crate::units;
use clap::Args;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use strongroom_custody::review::{self, Danger};
use strongroom_custody::{HolderState, Keyholder, ReasonCode};
use strongroom_format::keyring::{Keyring, PolicyTree};
use strongroom_vault::rewrap::Stale;

/// What can be told of one keyholder.
struct Row {
    label: String,
    kind: String,
    state: HolderState,
    opens: Vec<String>,
    tested: Option<Timestamp>,
    /// It has a part in a key, and was not seen to open it for longer than the limit.
    is_overdue: bool,
}

/// Options of `key status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// Exit with 3 where anything is in danger, overdue, out of date or cannot open, for monitoring
    #[arg(long)]
    pub check: bool,
}

/// Which keys the keyholder has a part in: `read`, `write`, or `read of DATASET` where datasets differ.
fn opens(keyring: &Keyring, label: &str) -> Vec<String> {
    let has = |policy: &PolicyTree| policy.leaves().any(|leaf| leaf == label);
    let mut opens = Vec::new();
    for (purpose, policy_of) in [
        (
            "read",
            (|dataset| &dataset.read_policy) as fn(&strongroom_format::keyring::DatasetRecord) -> &PolicyTree,
        ),
        ("write", |dataset| &dataset.write_policy),
    ] {
        let with: Vec<&str> = keyring
            .datasets
            .iter()
            .filter(|dataset| has(policy_of(dataset)))
            .map(|dataset| dataset.name.as_str())
            .collect();
        match with.len() {
            0 => {}
            all if all == keyring.datasets.len() => opens.push(purpose.to_owned()),
            _ => opens.push(format!("{purpose} of {}", with.join(", "))),
        }
    }
    opens
}

/// Everything whose loss alone loses all backups of a dataset.
pub(super) fn dangers(session: &Session) -> BTreeMap<String, BTreeSet<Danger>> {
    let holder = |label: &str| session.custody.holder(label).map(|holder| &**holder as &dyn Keyholder);
    let datasets = session.vault.keyring().datasets.iter();
    datasets
        .map(|dataset| (dataset.name.clone(), review::dangers(&dataset.read_policy, &holder)))
        .filter(|(_, dangers)| !dangers.is_empty())
        .collect()
}

/// What a key that is not wrapped under the policy in force is called.
pub(super) fn describe(stale: &Stale) -> String {
    match stale {
        Stale::Signing => "the signing key of the vault".to_owned(),
        Stale::WriteKey(dataset) => format!("the write key of dataset {dataset}"),
        Stale::Epoch(dataset, number) => format!("the read key of dataset {dataset}, epoch {number}"),
    }
}

/// Shows the keyholders.
///
/// # Errors
/// Where the vault cannot be opened.
pub(super) fn run(args: &StatusArgs, context: &Context) -> Result<(), CliError> {
    let session = Session::open_quietly(context, ReasonCode::List)?;
    let waiting = super::warn_of_waiting(context, &session);
    let keyring = session.vault.keyring();
    let tests = drill::last_successes(context, keyring);
    let mut rows = Vec::new();
    let limit = context.settings.test_limit.value;
    let now = Timestamp::now();
    for (label, spec) in &keyring.keyholders {
        let opens = opens(keyring, label);
        let tested = tests.get(label).copied();
        let is_recent = tested.is_some_and(|time| now.duration_since(time).unsigned_abs() <= limit);
        rows.push(Row {
            label: label.clone(),
            kind: spec.kind.clone(),
            state: session.block_on(session.custody.state(label)),
            is_overdue: !opens.is_empty() && !is_recent,
            opens,
            tested,
        });
    }
    let stale = session.block_on(session.vault.stale_keys())?;
    let dangers = dangers(&session);
    if context.output.is_json() {
        json(context, keyring, &rows, &stale, &dangers, waiting)?;
    } else {
        table(context, keyring, &rows)?;
    }
    for (dataset, dangers) in &dangers {
        for danger in dangers {
            context.messages.warn(&format!("dataset {dataset}: {danger}"));
        }
    }
    let overdue: Vec<&str> = rows.iter().filter(|row| row.is_overdue).map(|row| row.label.as_str()).collect();
    if !overdue.is_empty() {
        context.messages.warn(&format!(
            "not seen to open anything for {}: {}; `strongroom key test` challenges them",
            units::age(limit),
            overdue.join(", ")
        ));
    }
    if !stale.is_empty() {
        let first = stale.first().map(describe).unwrap_or_default();
        let more = match stale.len() {
            1 => String::new(),
            many => format!(" and {} more", many - 1),
        };
        context.messages.warn(&format!(
            "{first}{more} are not wrapped under the policies in force; `strongroom key rewrap` wraps them"
        ));
    }
    // A secret that lies elsewhere is as it should be; a provider that says no is not.
    let is_refused = |row: &&Row| {
        !row.opens.is_empty() && !matches!(row.state, HolderState::CanOpen | HolderState::Away(_))
    };
    let refused: Vec<&str> = rows.iter().filter(is_refused).map(|row| row.label.as_str()).collect();
    let is_well =
        dangers.is_empty() && overdue.is_empty() && stale.is_empty() && refused.is_empty() && waiting == 0;
    if args.check && !is_well {
        return Err(CliError::new(ErrorKind::Problems, "the keys of this vault need attention".to_owned())
            .hint("`strongroom key explain` shows which paths open, and why the others do not"));
    }
    Ok(())
}

fn table(context: &Context, keyring: &Keyring, rows: &[Row]) -> Result<(), CliError> {
    context.output.line(&format!("Vault {}, keyring version {}\n", keyring.vault, keyring.version))?;
    let columns = ["Keyholder", "Kind", "Opens", "Last test", "State"].map(|column| (column, Align::Left));
    let mut table = Table::new(&columns);
    let now = Timestamp::now();
    for row in rows {
        let tested = match row.tested {
            Some(time) => format!("{} ago", units::age(now.duration_since(time).unsigned_abs())),
            None => "never".to_owned(),
        };
        let tested = if row.is_overdue { format!("{tested} (overdue)") } else { tested };
        let opens = if row.opens.is_empty() { "nothing".to_owned() } else { row.opens.join(", ") };
        table.row([row.label.clone(), row.kind.clone(), opens, tested, row.state.to_string()]);
    }
    context.output.table(&table)
}

fn json(
    context: &Context,
    keyring: &Keyring,
    rows: &[Row],
    stale: &[Stale],
    dangers: &BTreeMap<String, BTreeSet<Danger>>,
    waiting: usize,
) -> Result<(), CliError> {
    for row in rows {
        context.output.json(&serde_json::json!({
            "message_type": "keyholder",
            "name": row.label,
            "kind": row.kind,
            "opens": row.opens,
            "state": state_name(&row.state),
            "state_text": row.state.to_string(),
            "last_test": row.tested.map(|time| time.to_string()),
            "overdue": row.is_overdue,
        }))?;
    }
    let dangers: BTreeMap<&String, Vec<String>> = dangers
        .iter()
        .map(|(dataset, dangers)| (dataset, dangers.iter().map(ToString::to_string).collect()))
        .collect();
    context.output.json(&serde_json::json!({
        "message_type": "key_status",
        "vault": keyring.vault,
        "keyring": keyring.version,
        "stale": stale.iter().map(describe).collect::<Vec<_>>(),
        "dangers": dangers,
        "waiting_changes": waiting,
    }))
}

/// The name of a state for programs.
pub(super) fn state_name(state: &HolderState) -> &'static str {
    match state {
        HolderState::CanOpen => "can_open",
        HolderState::Away(_) => "away",
        HolderState::Denied(_) => "denied",
        HolderState::Unreachable(_) => "unreachable",
        HolderState::Disabled => "disabled",
        HolderState::PendingDeletion(_) => "pending_deletion",
        HolderState::Deleted => "deleted",
        _ => "unknown",
    }
}
