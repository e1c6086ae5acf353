//! What is written when a command ends.

use super::{Ledgers, Opened, Remembered};
use crate::commands::Context;
use crate::error::CliError;
use std::collections::BTreeMap;
use std::time::Instant;
use strongroom_ledger::entry::{OutcomeResult, Verb, What};

/// Whether this is recorded even where no key was used: it changes what keys can do.
fn is_administrative(verb: Verb) -> bool {
    use Verb::{Approve, Init, Policy, Resume, Revoke, Rewrap, Rotate, Shred, Suspend};
    matches!(verb, Approve | Init | Policy | Resume | Revoke | Rewrap | Rotate | Shred | Suspend)
}

fn ended(result: &Result<(), CliError>) -> (OutcomeResult, Option<String>) {
    match result {
        Ok(()) => (OutcomeResult::Success, None),
        Err(error) => {
            let result = match error.kind().exit() {
                3 => OutcomeResult::Partial,
                5 => OutcomeResult::Refused,
                _ => OutcomeResult::Failed,
            };
            (result, Some(error.kind().code().to_owned()))
        }
    }
}

impl Ledgers {
    /// Writes what the command did into the ledgers that it opened, and waits until all is durable. A command that
    /// cannot be recorded has failed.
    ///
    /// # Errors
    /// The command's own error first; else that of the ledger.
    pub fn settle(
        &self,
        context: &Context,
        started: Instant,
        result: Result<(), CliError>,
    ) -> Result<(), CliError> {
        let (opened, verb, details) = {
            let mut inner = self.inner();
            (std::mem::take(&mut inner.opened), inner.verb.take(), std::mem::take(&mut inner.details))
        };
        let mut settled = Ok(());
        for opened in opened {
            if let Err(error) = settle_one(context, &opened, verb, &details, started, &result) {
                if result.is_err() {
                    context.messages.warn(&format!("the ledger could not be written: {}", error.message()));
                }
                settled = Err(error);
            }
        }
        result.and(settled)
    }
}

fn settle_one(
    context: &Context,
    opened: &Opened,
    verb: Option<Verb>,
    details: &BTreeMap<String, String>,
    started: Instant,
    result: &Result<(), CliError>,
) -> Result<(), CliError> {
    let Opened { recorder, ledger, place, runtime, reason, vault, dataset } = opened;
    if let Some(verb) = verb.filter(|verb| recorder.was_used() || is_administrative(*verb)) {
        let mut what = What::new(verb);
        what.vault.clone_from(vault);
        what.dataset = Some(dataset.clone());
        what.details.clone_from(details);
        let (outcome, class) = ended(result);
        recorder.event(what, reason, outcome, class, started.elapsed())?;
    }
    let head = runtime.block_on(recorder.finish())?;
    let mut newest = head.map(|head| head.checkpoint);
    if recorder.has_spooled() {
        context.messages.warn(
            "the ledger was not written: key uses were kept in the spool on this host, where whoever takes over the \
             host can still delete them; they are merged as soon as the ledger can be reached",
        );
    } else if let (Some(ledger), Some(_)) = (ledger, &newest)
        && let Some(spool) = place.spool(context)?
    {
        let merged = runtime.block_on(spool.merge(ledger)).map_err(|error| {
            CliError::from(error)
                .hint("this command itself is recorded; only older entries are still in the spool")
        })?;
        if merged.appended + merged.present > 0 {
            context.messages.note(&format!(
                "merged {} entries of the spool into the ledger",
                merged.appended + merged.present
            ));
            newest = Some(runtime.block_on(ledger.prepare())?);
        }
    }
    if let (Some(ledger), Some(checkpoint)) = (ledger, &newest) {
        place.remember(context, &Remembered::new(ledger.reader().identity(), Some(checkpoint)));
    }
    Ok(())
}
