//! Requests and approvals as files, and what they open in a session.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::exchange::Exchange;
use crate::local_files;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use strongroom_custody::holders::key_file;
use strongroom_custody::quorum::{Approval, ApprovedKeyholder, Gathering, Request, RequestId};
use strongroom_custody::{Custody, Operation};
use strongroom_format::keyring::Keyring;
use strongroom_format::xwing::OpeningKey;

/// Largest document that is read, in bytes.
const SIZE_LIMIT: u64 = 4 << 20;

/// Where the private key of a request lies.
#[must_use]
pub fn key_path(request: &Path) -> PathBuf {
    let mut name = request.as_os_str().to_owned();
    name.push(".key");
    name.into()
}

/// Reads a request.
///
/// # Errors
/// Where it cannot be read or is malformed.
pub fn read_request(path: &Path) -> Result<(Request, RequestId), CliError> {
    Ok(Request::decode(&local_files::read(path, SIZE_LIMIT)?)?)
}

/// A request, its private key, and these approvals of it.
///
/// # Errors
/// Where one of them cannot be read or is of no use.
pub fn gather(request: &Path, approvals: &[PathBuf]) -> Result<(Gathering, Arc<Request>), CliError> {
    let (document, id) = read_request(request)?;
    let key = key_path(request);
    let seed = key_file::read(&key).map_err(|error| {
        CliError::new(ErrorKind::WrongKey, "the private key of the request cannot be read")
            .caused_by(&error)
            .hint("it lies where the request was made, and is gone once the request was used")
    })?;
    let mut gathering = Gathering::new(document.clone(), id, OpeningKey::from_seed(seed))?;
    for path in approvals {
        gathering.add(Approval::decode(&local_files::read(path, SIZE_LIMIT)?)?, Timestamp::now())?;
    }
    Ok((gathering, Arc::new(document)))
}

/// Adds the approvals that lie in the vault. One of no use is told and left out, because anybody who can write to the
/// store can put it there.
///
/// # Errors
/// Where the store fails.
pub fn gather_published(
    gathering: &mut Gathering,
    exchange: &Exchange,
    context: &Context,
) -> Result<(), CliError> {
    for approval in exchange.approvals(gathering.id())? {
        if let Err(error) = gathering.add(approval, Timestamp::now()) {
            context.messages.warn(&format!("an approval in the vault is left out: {error}"));
        }
    }
    Ok(())
}

/// Puts what was approved into the place of the custodians, where a request is given. Where no approval is, those in
/// the vault are taken. The request's private key is deleted: it opens once.
///
/// # Errors
/// Where the request is for another vault, its time is over, or the approvals do not suffice.
pub fn apply(
    context: &Context,
    keyring: &Keyring,
    custody: Custody,
    exchange: &Exchange,
) -> Result<Custody, CliError> {
    let Some(path) = &context.settings.request else { return Ok(custody) };
    let (mut gathering, request) = gather(path, &context.settings.approvals)?;
    if request.vault != keyring.vault {
        return Err(CliError::new(
            ErrorKind::Usage,
            format!("the request is for vault {}, not for {}", request.vault, keyring.vault),
        ));
    }
    if context.settings.approvals.is_empty() {
        gather_published(&mut gathering, exchange, context)?;
    }
    let also =
        |label: &str| custody.holder(label).is_some_and(|holder| holder.ready(Operation::Unwrap).is_ok());
    let parts = gathering.open(Timestamp::now(), &also)?;
    context.ledgers.detail("request", gathering.id().to_string());
    context.ledgers.detail("approved-by", gathering.progress().approved.join(" "));
    let key = key_path(path);
    std::fs::remove_file(&key).map_err(|error| CliError::file("removed", &key, &error))?;
    let approved = ApprovedKeyholder::all(&request, parts, &custody, Timestamp::now);
    Ok(custody.with_holders(approved))
}
