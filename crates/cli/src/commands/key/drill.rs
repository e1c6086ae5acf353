//! `strongroom key test`: each keyholder must open what it wrapped, and when it last did is remembered.

use super::drill_by_file;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::escape;
use crate::output::{Align, Table};
use crate::session::Session;
use clap::Args;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use strongroom_custody::{CustodyError, ReasonCode};
use strongroom_format::context::{Context as KeyContext, Purpose};
use strongroom_format::keyring::{Keyring, WrappedKey};

/// Largest file of earlier tests that is read, in bytes.
const SIZE_LIMIT: u64 = 64 << 10;

/// Options of `key test`.
#[derive(Args, Clone, Debug)]
pub struct TestArgs {
    /// Only these keyholders
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// Ask custodians who are elsewhere: write a request into this file that opens nothing
    #[arg(long, value_name = "FILE", conflicts_with = "asked")]
    pub ask: Option<PathBuf>,

    /// Take the answers to the request in this file; without --answer, those in the vault
    #[arg(long, value_name = "FILE")]
    pub asked: Option<PathBuf>,

    /// A custodian's answer; may be repeated
    #[arg(long, value_name = "FILE", requires = "asked")]
    pub answer: Vec<PathBuf>,
}

pub(super) struct Row {
    pub(super) label: String,
    pub(super) duration: Duration,
    pub(super) failure: Option<String>,
}

/// Challenges the keyholders.
///
/// # Errors
/// [`ErrorKind::QuorumUnmet`] where one did not open its part; [`ErrorKind::Damaged`] where one opened another key
/// than it had wrapped.
pub(super) fn run(args: &TestArgs, context: &Context) -> Result<(), CliError> {
    let session = Session::open(context, ReasonCode::Drill)?;
    let keyring = session.vault.keyring();
    for name in &args.names {
        if !keyring.keyholders.contains_key(name) {
            return Err(CliError::new(ErrorKind::Usage, format!("there is no keyholder `{name}`")));
        }
    }
    if let Some(file) = &args.ask {
        return drill_by_file::ask(context, &session, &args.names, file);
    }
    if let Some(file) = &args.asked {
        let rows = drill_by_file::answered(context, &session, file, &args.answer)?;
        remember(context, keyring, &rows);
        return show(context, &rows);
    }
    let wrapped = challenges(&session)?;
    let mut rows = Vec::new();
    let mut integrity = None;
    for label in keyring.keyholders.keys() {
        if !args.names.is_empty() && !args.names.contains(label) {
            continue;
        }
        let Some((wrapped, key)) = wrapped.iter().find(|(wrapped, _)| wrapped.wrap_of(label).is_some())
        else {
            continue;
        };
        let started = Instant::now();
        let tested = session.block_on(session.custody.test_holder(label, wrapped, key, &session.reason));
        let failure = match tested {
            Ok(()) => None,
            Err(error @ CustodyError::Integrity { .. }) => {
                let text = error.to_string();
                integrity = Some(CliError::from(error));
                Some(text)
            }
            Err(CustodyError::Refused { failures, .. }) => {
                failures.first().map(|failure| failure.error.to_string())
            }
            Err(error) => return Err(error.into()),
        };
        rows.push(Row { label: label.clone(), duration: started.elapsed(), failure });
    }
    remember(context, keyring, &rows);
    show(context, &rows)?;
    if let Some(error) = integrity {
        return Err(error);
    }
    let failed: Vec<&str> =
        rows.iter().filter(|row| row.failure.is_some()).map(|row| row.label.as_str()).collect();
    match failed.as_slice() {
        [] => Ok(()),
        failed => Err(CliError::new(
            ErrorKind::QuorumUnmet,
            format!("these keyholders did not open their part: {}", failed.join(", ")),
        )
        .hint("a path that was not seen to open is none: test it where its key is")),
    }
}

/// What the keyholders of a dataset have wrapped: its newest read key, its write key, the signing key.
fn challenges(session: &Session) -> Result<Vec<(WrappedKey, KeyContext)>, CliError> {
    let keyring = session.vault.keyring();
    let vault = keyring.vault;
    let mut wrapped = Vec::new();
    for dataset in &keyring.datasets {
        let key = |purpose, epoch| KeyContext { vault, dataset: dataset.name.clone(), purpose, epoch };
        let epochs = session.block_on(session.vault.epochs(dataset))?;
        if let Some((number, epoch)) = epochs.into_iter().last() {
            wrapped.push((epoch.read_key, key(Purpose::Read, number)));
        }
        wrapped.push((dataset.write_key.clone(), key(Purpose::Write, 0)));
    }
    wrapped.push((keyring.signing.clone(), session.vault.signing_context()));
    Ok(wrapped)
}

fn show(context: &Context, rows: &[Row]) -> Result<(), CliError> {
    if context.output.is_json() {
        return rows.iter().try_for_each(|row| {
            context.output.json(&serde_json::json!({
                "message_type": "key_test",
                "keyholder": row.label,
                "opened": row.failure.is_none(),
                "milliseconds": row.duration.as_millis() as u64,
                "failure": row.failure,
            }))
        });
    }
    let mut table =
        Table::new(&[("Keyholder", Align::Left), ("Time", Align::Right), ("Result", Align::Left)]);
    for row in rows {
        let result = row.failure.as_deref().map_or_else(|| "opened".to_owned(), escape::text);
        table.row([row.label.clone(), format!("{} ms", row.duration.as_millis()), result]);
    }
    context.output.table(&table)
}

fn path(context: &Context, keyring: &Keyring) -> Option<PathBuf> {
    let state = context.env.xdg("XDG_STATE_HOME", ".local/state")?;
    Some(state.join("strongroom/tests").join(format!("{}.json", keyring.vault.to_hex())))
}

/// When each keyholder last opened its part on this machine.
pub(super) fn last_successes(context: &Context, keyring: &Keyring) -> BTreeMap<String, Timestamp> {
    let read = || {
        let path = path(context, keyring)?;
        let is_small = std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= SIZE_LIMIT);
        let bytes = is_small.then(|| std::fs::read(&path).ok()).flatten()?;
        serde_json::from_slice(&bytes).ok()
    };
    read().unwrap_or_default()
}

fn remember(context: &Context, keyring: &Keyring, rows: &[Row]) {
    let Some(path) = path(context, keyring) else { return };
    let mut times = last_successes(context, keyring);
    let now = Timestamp::now();
    times.extend(rows.iter().filter(|row| row.failure.is_none()).map(|row| (row.label.clone(), now)));
    let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| {
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        std::fs::write(&temporary, serde_json::to_vec(&times)?)?;
        std::fs::rename(&temporary, &path)
    });
    if let Err(error) = written {
        context
            .messages
            .warn(&format!("the time of this test cannot be remembered in {}: {error}", path.display()));
    }
}
