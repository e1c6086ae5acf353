//! Drills of custodians who are elsewhere: a request that opens nothing, and their answers to it.

use super::drill::Row;
use crate::approvals::{gather, gather_published, key_path};
use crate::commands::Context;
use crate::commands::quorum::show;
use crate::error::{CliError, ErrorKind};
use crate::exchange::Exchange;
use crate::local_files::write_new;
use crate::session::Session;
use crate::whoami;
use data_encoding::BASE64;
use jiff::{Timestamp, ToSpan as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use strongroom_custody::holders::key_file;
use strongroom_custody::quorum::{DRILL_KEY, Request, RequestedKey};
use strongroom_format::context::{Context as KeyContext, Purpose};
use strongroom_format::keyring::PolicyTree;
use strongroom_format::xwing::OpeningKey;
use strongroom_format::{Secret32, SystemEntropy};

/// How long custodians have for their answers, in days.
const DAYS: i64 = 30;

/// Wraps a secret of no use to the keyholders and asks them to open it.
pub(super) fn ask(
    context: &Context,
    session: &Session,
    names: &[String],
    file: &Path,
) -> Result<(), CliError> {
    let keyring = session.vault.keyring();
    let asked: Vec<String> = keyring
        .read_policy
        .leaves()
        .chain(keyring.write_policy.leaves())
        .filter(|label| names.is_empty() || names.iter().any(|name| name == label))
        .map(str::to_owned)
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    if asked.is_empty() {
        return Err(CliError::new(ErrorKind::Usage, "no policy names one of these keyholders"));
    }
    let policy = match asked.as_slice() {
        [only] => PolicyTree::Keyholder(only.clone()),
        many => PolicyTree::Any(many.iter().cloned().map(PolicyTree::Keyholder).collect()),
    };
    let key_context = KeyContext {
        vault: keyring.vault,
        dataset: session.dataset.clone(),
        purpose: Purpose::Read,
        epoch: DRILL_KEY,
    };
    let useless = Secret32::random(&mut SystemEntropy);
    let wrapped = session.custody.wrap_key(&policy, &key_context, &useless, &session.reason);
    let wrapped = session.block_on(wrapped)?;
    let seed = Secret32::random(&mut SystemEntropy);
    let created = Timestamp::now();
    let host = context.settings.host.as_ref().map_or_else(whoami::host, |host| host.value.clone());
    let request = Request {
        strongroom_request: 1,
        requester: format!("{} on {host}", whoami::user()),
        reason: context.settings.reason.as_ref().map_or("a drill", |reason| &reason.value).to_owned(),
        created,
        expires: created.saturating_add((DAYS * 24).hours()).unwrap_or(created),
        vault: keyring.vault,
        dataset: session.dataset.clone(),
        snapshots: Vec::new(),
        keyholders: keyring
            .keyholders
            .iter()
            .filter(|(label, _)| asked.contains(label))
            .map(|(label, spec)| (label.clone(), spec.clone()))
            .collect(),
        keys: vec![RequestedKey { epoch: DRILL_KEY, wrapped }],
        public_key: BASE64.encode(&OpeningKey::from_seed(seed.clone()).public().to_bytes()),
    };
    let (bytes, id) = request.encode()?;
    let key = key_path(file);
    let failed = |error| {
        CliError::new(ErrorKind::LocalFile, "the private key of the drill cannot be written")
            .caused_by(&error)
    };
    key_file::create(&key, "drill", &seed).map_err(failed)?;
    if let Err(error) = write_new(file, &bytes) {
        let _ = std::fs::remove_file(&key);
        return Err(error);
    }
    show(context, &request, &id)?;
    context.messages.note(&format!(
        "send {file} to {who}, who answer with `strongroom quorum approve`; then: strongroom key test --asked {file} \
         --answer FILE",
        file = file.display(),
        who = asked.join(", ")
    ));
    Ok(())
}

/// Checks the answers of custodians: each opened what was wrapped to it alone.
pub(super) fn answered(
    context: &Context,
    session: &Session,
    request: &Path,
    answers: &[PathBuf],
) -> Result<Vec<Row>, CliError> {
    let (mut gathering, document) = gather(request, answers)?;
    if document.vault != session.vault.keyring().vault {
        return Err(CliError::new(ErrorKind::Usage, "the drill is of another vault"));
    }
    if document.keys.iter().any(|key| key.epoch != DRILL_KEY) {
        return Err(CliError::new(ErrorKind::Usage, "this request is no drill")
            .hint("`strongroom key test --ask FILE` makes one"));
    }
    if answers.is_empty() {
        let exchange = Exchange::of(Arc::clone(session.vault.store()), Arc::clone(session.runtime()));
        gather_published(&mut gathering, &exchange, context)?;
    }
    let progress = gathering.progress();
    if !progress.missing.is_empty() {
        context.messages.note(&format!("no answer yet from {}", progress.missing.join(", ")));
    }
    let row = |label| Row { label, duration: Duration::ZERO, failure: None };
    Ok(progress.approved.into_iter().map(row).collect())
}
