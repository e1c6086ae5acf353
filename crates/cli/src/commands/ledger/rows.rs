//! Which entries are wanted, and what their commitments hide.

use super::source::Source;
use crate::commands::Context;
use crate::error::CliError;
use crate::settings::Origin;
use crate::snapshot_spec::parse_time;
use crate::units;
use clap::Args;
use jiff::Timestamp;
use std::collections::HashMap;
use strongroom_ledger::checkpoint::SignedCheckpoint;
use strongroom_ledger::entry::{Entry, OutcomeResult, Phase, Verb};
use strongroom_ledger::personal::Commitment;

fn since(text: &str) -> Result<Timestamp, String> {
    parse_time(text, &units::local_zone(), false)
}

fn until(text: &str) -> Result<Timestamp, String> {
    parse_time(text, &units::local_zone(), true)
}

fn verb(text: &str) -> Result<Verb, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|_| {
        format!("`{text}` is no verb of the ledger, such as unwrap, wrap, backup, restore or revoke")
    })
}

fn result(text: &str) -> Result<OutcomeResult, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| format!("`{text}` is none of success, partial, refused and failed"))
}

/// Which entries.
#[derive(Args, Clone, Debug, Default)]
pub struct Filter {
    /// Only entries at or after this time
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Timestamp>,

    /// Only entries at or before this time
    #[arg(long, value_name = "TIME", value_parser = until)]
    pub until: Option<Timestamp>,

    /// Only what this person, host or workload did
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,

    /// Only uses of this keyholder, by its name or its key's name at the provider
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,

    /// Only entries for this reason: a code such as RESTORE, or a ticket
    #[arg(long, value_name = "CODE|TICKET")]
    pub why: Option<String>,

    /// Only this outcome: success, partial, refused or failed
    #[arg(long, value_name = "RESULT", value_parser = result)]
    pub outcome: Option<OutcomeResult>,

    /// Only this verb: wrap, unwrap, backup, restore, revoke, …
    #[arg(long, value_name = "VERB", value_parser = verb)]
    pub verb: Option<Verb>,

    /// Only what one run of a program did
    #[arg(long, value_name = "UUID")]
    pub operation: Option<String>,
}

/// What commitments hide, as far as it was kept.
#[derive(Default)]
pub(super) struct Names(HashMap<Commitment, Option<String>>);

impl Names {
    /// What a commitment hides; a mark where it was erased.
    #[must_use]
    pub(super) fn show(&self, commitment: Option<&Commitment>) -> String {
        match commitment {
            None => String::new(),
            Some(commitment) => match self.0.get(commitment) {
                Some(Some(value)) => value.clone(),
                _ => format!("erased:{:.8}", commitment.to_string()),
            },
        }
    }

    /// What a commitment hides; `None` where it was erased.
    #[must_use]
    pub(super) fn get(&self, commitment: Option<&Commitment>) -> Option<&str> {
        self.0.get(commitment?)?.as_deref()
    }

    /// Reads what the commitments of these entries hide.
    ///
    /// # Errors
    /// Where the ledger cannot be reached.
    pub(super) fn load<'a>(
        &mut self,
        source: &Source,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> Result<(), CliError> {
        for entry in entries {
            let all = [&entry.who.human, &entry.who.host, &entry.why.words];
            for commitment in all.into_iter().flatten() {
                if !self.0.contains_key(commitment) {
                    let opening = source.block_on(source.reader.opening(commitment))?;
                    self.0.insert(*commitment, opening.map(|opening| opening.value));
                }
            }
        }
        Ok(())
    }
}

impl Filter {
    /// Whether an entry is wanted, but for who it was.
    #[must_use]
    pub(super) fn wants(&self, entry: &Entry, dataset: Option<&str>) -> bool {
        let time = entry.time.timestamp();
        let what = &entry.what;
        let key = self
            .key
            .as_deref()
            .is_none_or(|key| what.keyholder.as_deref() == Some(key) || what.key_id.as_deref() == Some(key));
        let why = self.why.as_deref().is_none_or(|why| {
            entry.why.code.as_str().eq_ignore_ascii_case(why)
                || entry.why.ticket.as_ref().is_some_and(|ticket| ticket.as_str() == why)
        });
        let outcome = self
            .outcome
            .is_none_or(|wanted| entry.outcome.as_ref().is_some_and(|outcome| outcome.result == wanted));
        self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time <= until)
            && dataset.is_none_or(|dataset| what.dataset() == Some(dataset))
            && self.operation.as_deref().is_none_or(|wanted| entry.operation.to_string() == wanted)
            && self.verb.is_none_or(|verb| what.verb == verb)
            && key
            && why
            && outcome
    }

    /// Whether an entry is of the actor that is wanted.
    #[must_use]
    pub(super) fn wants_actor(&self, entry: &Entry, names: &Names) -> bool {
        let Some(actor) = self.actor.as_deref() else { return true };
        let who = &entry.who;
        names.get(who.human.as_ref()) == Some(actor)
            || names.get(who.host.as_ref()) == Some(actor)
            || who.workload.as_deref() == Some(actor)
    }
}

/// An entry with its place.
pub(super) struct Row {
    /// Its place in the ledger.
    pub index: u64,
    /// The entry.
    pub entry: Entry,
}

/// The entries that are wanted, in order, all of them held against the checkpoint.
///
/// # Errors
/// Where the ledger cannot be reached, or is not what it committed to.
pub(super) fn collect(
    source: &Source,
    head: &SignedCheckpoint,
    filter: &Filter,
    context: &Context,
) -> Result<(Vec<Row>, Names, u64), CliError> {
    let (mut rows, mut malformed) = (Vec::new(), 0);
    // Only one that was asked for here: a dataset of the config file would silently hide entries of others.
    let dataset = &context.settings.dataset;
    let dataset = (dataset.origin == Origin::CommandLine).then_some(dataset.value.as_str());
    source.block_on(source.reader.walk(head, |index, bytes| match Entry::decode(bytes) {
        Ok(entry) if filter.wants(&entry, dataset) => rows.push(Row { index, entry }),
        Ok(_) => {}
        Err(_) => malformed += 1,
    }))?;
    let mut names = Names::default();
    names.load(source, rows.iter().map(|row| &row.entry))?;
    rows.retain(|row| filter.wants_actor(&row.entry, &names));
    Ok((rows, names, malformed))
}

/// `unwrap`, as in the ledger.
#[must_use]
pub(super) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

/// How it ended, in a word or two.
#[must_use]
pub(super) fn ended(entry: &Entry) -> String {
    match (&entry.outcome, entry.phase) {
        (Some(outcome), _) => match &outcome.class {
            Some(class) => format!("{}: {class}", word(&outcome.result)),
            None => word(&outcome.result),
        },
        (None, Phase::Intent) => "intended".into(),
        (None, _) => String::new(),
    }
}

/// An entry as a JSON document with its place, and with what its commitments hide.
#[must_use]
pub(super) fn json(row: &Row, names: &Names) -> serde_json::Value {
    let entry = &row.entry;
    let mut value = serde_json::to_value(entry).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("index".into(), row.index.into());
        let opened = [
            ("human", names.get(entry.who.human.as_ref())),
            ("host", names.get(entry.who.host.as_ref())),
            ("words", names.get(entry.why.words.as_ref())),
        ];
        let opened: serde_json::Map<_, _> = opened
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), serde_json::Value::from(value?))))
            .collect();
        object.insert("opened".into(), opened.into());
    }
    value
}
