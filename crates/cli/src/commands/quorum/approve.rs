//! `strongroom quorum approve`: a custodian's answer, on a machine that may be offline.

use super::request::show;
use crate::approvals::read_request;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::exchange::Exchange;
use crate::keys;
use crate::ledger::{self, Subject};
use crate::local_files::write_new;
use crate::session;
use clap::Args;
use jiff::Timestamp;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use strongroom_custody::holders::{age, file, passphrase};
use strongroom_custody::observer::Observer;
use strongroom_custody::quorum::{Approval, Request};
use strongroom_custody::{Custody, Reason, ReasonCode};
use strongroom_ledger::entry::Verb;
use tokio::runtime::Runtime;

/// Kinds of keyholders without a provider.
const LOCAL: [&str; 3] = [age::KIND, file::KIND, passphrase::KIND];

/// Options of `quorum approve`.
#[derive(Args, Clone, Debug)]
pub struct ApproveArgs {
    /// The request
    #[arg(value_name = "REQUEST")]
    pub request: PathBuf,

    /// The custodian's name in the policy
    #[arg(long = "as", value_name = "NAME")]
    pub custodian: String,

    /// File for the approval
    #[arg(short, long, value_name = "FILE", required_unless_present = "publish")]
    pub output: Option<PathBuf>,

    /// Put the approval into the vault, where the requester finds it; needs --vault and a right to put there
    #[arg(long)]
    pub publish: bool,

    /// Approve without asking: the request was reviewed before
    #[arg(long)]
    pub yes: bool,
}

/// Shows the request, asks, and seals the custodian's parts to the requester.
///
/// # Errors
/// Where the request is over, asks nothing of the custodian, or his keyholder does not open his part.
pub(super) fn run(args: &ApproveArgs, context: &Context) -> Result<(), CliError> {
    let (request, id) = read_request(&args.request)?;
    let now = Timestamp::now();
    request.check_time(now)?;
    show(context, &request, &id)?;
    if !args.yes {
        confirm(context)?;
    }
    let secrets = keys::secrets(context, &request.vault, &request.keyholders);
    let reason = session::reason(context, ReasonCode::Restore);
    let runtime = session::runtime()?;
    let observer = observer(args, context, &request, &runtime, &reason)?;
    context.ledgers.doing(Verb::Approve);
    context.ledgers.detail("request", id.to_string());
    context.ledgers.detail("custodian", args.custodian.clone());
    let custody = Custody::new(&request.keyholders, secrets, observer);
    let made = Approval::make(&request, &id, &args.custodian, now, &custody, &reason);
    let approval = runtime.block_on(made)?;
    let bytes = approval.encode()?;
    let mut places = Vec::new();
    if let Some(output) = &args.output {
        write_new(output, &bytes)?;
        places.push(output.display().to_string());
    }
    if args.publish {
        Exchange::open(context)?.publish_approval(&id, bytes)?;
        places.push("the approval in the vault".to_owned());
    }
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({
            "message_type": "approved",
            "request": id.to_string(),
            "custodian": args.custodian,
            "epochs": approval.parts.iter().map(|part| part.epoch).collect::<Vec<_>>(),
        }));
    }
    context.output.line(&format!(
        "Approved as {}: {} opens for the requester alone, until the request expires",
        args.custodian,
        places.join(", and ")
    ))
}

/// Writes into the ledger of the vault, where the custodian has a vault. Without one, only a key that no provider holds
/// is used: there is nobody else's log in which its use would be unexplained, and the restore is in the ledger.
fn observer(
    args: &ApproveArgs,
    context: &Context,
    request: &Request,
    runtime: &Arc<Runtime>,
    reason: &Reason,
) -> Result<Arc<dyn Observer>, CliError> {
    let narrator = keys::observer(context);
    let keyholders = &request.keyholders;
    if context.settings.location.is_some() {
        let subject = Subject { keyring: None, keyholders, dataset: &request.dataset, reason };
        return ledger::observe(context, runtime, context.settings.require_location()?, narrator, &subject);
    }
    let own = keyholders.get(&args.custodian).is_none_or(|spec| LOCAL.contains(&spec.kind.as_str()));
    if own {
        return Ok(narrator);
    }
    Err(CliError::new(
        ErrorKind::LedgerMissing,
        format!("`{}` is a key at a provider, and there is no ledger to write its use into", args.custodian),
    )
    .hint("give the vault with --vault: its ledger records the approval"))
}

fn confirm(context: &Context) -> Result<(), CliError> {
    let not_asked = || {
        CliError::new(ErrorKind::ConsentMissing, "nobody was there to say yes").hint(
            "compare the id with the requester by another way, then approve on a terminal, or with --yes",
        )
    };
    if !std::io::stdin().is_terminal() {
        return Err(not_asked());
    }
    context.messages.warn("does the requester tell you the same id by another way? Type `yes` to approve:");
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line) {
        Ok(_) if line.trim() == "yes" => Ok(()),
        Ok(_) => Err(CliError::new(ErrorKind::ConsentMissing, "not approved").hint("nothing was written")),
        Err(_) => Err(not_asked()),
    }
}
