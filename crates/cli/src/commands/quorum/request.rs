//! `strongroom quorum request` and `quorum show`.

use crate::approvals::key_path;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::escape;
use crate::exchange::Exchange;
use crate::local_files::write_new;
use crate::session::Session;
use crate::units;
use crate::whoami;
use clap::Args;
use data_encoding::BASE64;
use jiff::{Timestamp, ToSpan as _};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use strongroom_custody::ReasonCode;
use strongroom_custody::holders::key_file;
use strongroom_custody::quorum::{DRILL_KEY, Request, RequestId, RequestedKey, SIGNING_KEY};
use strongroom_format::xwing::OpeningKey;
use strongroom_format::{Secret32, SystemEntropy};
use strongroom_vault::VaultError;

/// Options of `quorum request`.
#[derive(Args, Clone, Debug)]
pub struct RequestArgs {
    /// Snapshot that is wanted, by the first digits of its id; may be repeated [default: the newest]
    #[arg(long, value_name = "SNAPSHOT")]
    pub snapshot: Vec<String>,

    /// Ask for the read key of this epoch only; may be repeated [default: all up to the snapshots']
    ///
    /// A snapshot builds on chunks of earlier epochs, so without this option their keys are asked for, too.
    #[arg(long, value_name = "N")]
    pub epoch: Vec<u32>,

    /// Ask for the signing key of the vault, too: it is needed to add and remove keyholders
    #[arg(long)]
    pub signing_key: bool,

    /// Hours until the request expires
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=720))]
    pub hours: u32,

    /// File for the request; its private key is put beside it, in FILE.key
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// Put the request into the vault, too, where custodians find it with `quorum list`
    ///
    /// Whoever can read the vault's storage reads who asks, why, and for what.
    #[arg(long)]
    pub publish: bool,
}

/// Makes a request and its key pair.
///
/// # Errors
/// Where there is no such snapshot or epoch, no reason is given, or a file cannot be written.
pub(super) fn run(args: &RequestArgs, context: &Context) -> Result<(), CliError> {
    let Some(reason) = &context.settings.reason else {
        return Err(CliError::new(ErrorKind::Usage, "a request needs a reason that custodians can judge")
            .hint("give it with --reason TEXT"));
    };
    let session = Session::open(context, ReasonCode::Restore)?;
    let keyring = session.vault.keyring();
    let record = keyring.dataset(&session.dataset).ok_or_else(|| VaultError::NoDataset {
        name: session.dataset.clone(),
        known: keyring.datasets.iter().map(|dataset| dataset.name.clone()).collect(),
    })?;
    let (snapshots, newest) = wanted(&session, &args.snapshot)?;
    let chosen = |number: u32| match args.epoch.as_slice() {
        [] => number <= newest,
        some => some.contains(&number),
    };
    let mut keys = Vec::new();
    if args.signing_key {
        keys.push(RequestedKey { epoch: SIGNING_KEY, wrapped: keyring.signing.clone() });
    }
    for (number, epoch) in session.block_on(session.vault.epochs(record))? {
        if chosen(number) {
            keys.push(RequestedKey { epoch: number, wrapped: epoch.read_key });
        }
    }
    if let Some(missing) = args.epoch.iter().find(|number| keys.iter().all(|key| key.epoch != **number)) {
        return Err(CliError::new(
            ErrorKind::Usage,
            format!("dataset {} has no epoch {missing}", session.dataset),
        ));
    }
    let labels: BTreeSet<&str> = keys.iter().flat_map(|key| key.wrapped.policy.leaves()).collect();
    let keyholders: BTreeMap<_, _> = keyring
        .keyholders
        .iter()
        .filter(|(label, _)| labels.contains(label.as_str()))
        .map(|(label, spec)| (label.clone(), spec.clone()))
        .collect();
    let seed = Secret32::random(&mut SystemEntropy);
    let public_key = BASE64.encode(&OpeningKey::from_seed(seed.clone()).public().to_bytes());
    let created = Timestamp::now();
    let host = context.settings.host.as_ref().map_or_else(whoami::host, |host| host.value.clone());
    let request = Request {
        strongroom_request: 1,
        requester: format!("{} on {host}", whoami::user()),
        reason: reason.value.clone(),
        created,
        expires: created.saturating_add(i64::from(args.hours).hours()).unwrap_or(created),
        vault: keyring.vault,
        dataset: session.dataset.clone(),
        snapshots,
        keyholders,
        keys,
        public_key,
    };
    let (bytes, id) = request.encode()?;
    let key = key_path(&args.output);
    let failed = |error| {
        CliError::new(ErrorKind::LocalFile, "the private key of the request cannot be written")
            .caused_by(&error)
    };
    key_file::create(&key, "request", &seed).map_err(failed)?;
    if let Err(error) = write_new(&args.output, &bytes) {
        let _ = std::fs::remove_file(&key);
        return Err(error);
    }
    show(context, &request, &id)?;
    let how = if args.publish {
        Exchange::of(Arc::clone(session.vault.store()), Arc::clone(session.runtime()))
            .publish_request(&id, bytes)?;
        "the request lies in the vault".to_owned()
    } else {
        format!("send {} to the custodians", args.output.display())
    };
    context.messages.note(&format!(
        "{how}; tell the custodians the id by another way; {} stays here, and opens the approvals once",
        key.display()
    ));
    Ok(())
}

/// The ids of the snapshots that are wanted, and the newest of their epochs.
fn wanted(session: &Session, prefixes: &[String]) -> Result<(Vec<String>, u32), CliError> {
    let names = session.snapshot_names()?;
    if prefixes.is_empty() {
        let newest = names.iter().map(|(epoch, _)| *epoch).max().ok_or_else(|| {
            CliError::new(ErrorKind::SnapshotMissing, format!("dataset {} has no snapshot", session.dataset))
        })?;
        return Ok((Vec::new(), newest));
    }
    let mut ids = Vec::new();
    let mut newest = 0;
    for prefix in prefixes {
        let matching: Vec<_> =
            names.iter().filter(|(_, id)| id.to_hex().starts_with(prefix.as_str())).collect();
        match matching.as_slice() {
            [(epoch, id)] => {
                newest = newest.max(*epoch);
                ids.push(id.to_hex());
            }
            [] => return Err(CliError::new(ErrorKind::SnapshotMissing, format!("no snapshot `{prefix}`"))),
            _ => {
                let message = format!("several snapshots begin with `{prefix}`");
                return Err(CliError::new(ErrorKind::SnapshotAmbiguous, message));
            }
        }
    }
    Ok((ids, newest))
}

/// Shows a request in words.
pub(crate) fn show(context: &Context, request: &Request, id: &RequestId) -> Result<(), CliError> {
    let numbers =
        || request.keys.iter().map(|key| key.epoch).filter(|epoch| ![SIGNING_KEY, DRILL_KEY].contains(epoch));
    let epochs: Vec<String> = numbers().map(|epoch| epoch.to_string()).collect();
    let signs = request.key(SIGNING_KEY).is_some();
    let policies: BTreeSet<String> = request.keys.iter().map(|key| key.wrapped.policy.to_string()).collect();
    let policies: Vec<String> = policies.into_iter().collect();
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({
            "message_type": "request",
            "id": id.to_string(),
            "spoken_id": id.spoken(),
            "requester": request.requester,
            "reason": request.reason,
            "created": request.created,
            "expires": request.expires,
            "vault": request.vault,
            "dataset": request.dataset,
            "snapshots": request.snapshots,
            "epochs": numbers().collect::<Vec<_>>(),
            "signing_key": signs,
            "is_drill": request.keys.iter().all(|key| key.epoch == DRILL_KEY),
            "policies": policies,
        }));
    }
    let zone = units::local_zone();
    let snapshots = match request.snapshots.as_slice() {
        [] => "the newest".to_owned(),
        some => some.iter().map(|id| escape::text(id)).collect::<Vec<_>>().join(", "),
    };
    let output = &context.output;
    output.line(&format!("Request  {}", id.spoken()))?;
    output.line(&format!("  who          {}", escape::text(&request.requester)))?;
    output.line(&format!("  why          {}", escape::text(&request.reason)))?;
    output.line(&format!("  vault        {}", request.vault))?;
    output.line(&format!("  dataset      {}", request.dataset))?;
    output.line(&format!("  snapshots    {snapshots}"))?;
    if epochs.is_empty() && !signs {
        output.line("  would open   nothing: this is a drill")?;
    } else if !epochs.is_empty() {
        let epochs = epochs.join(", ");
        output.line(&format!("  would open   every backup of epoch {epochs}, not these snapshots alone"))?;
    }
    if signs {
        output.line("  and          the signing key: whoever opens it can change who holds the keys")?;
    }
    output.line(&format!("  policy       {}", policies.join(" and ")))?;
    output.line(&format!("  made         {}", units::time(request.created, &zone)))?;
    output.line(&format!("  expires      {}", units::time(request.expires, &zone)))
}
