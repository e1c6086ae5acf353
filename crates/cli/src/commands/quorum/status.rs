//! `strongroom quorum status`: who has approved, and who is missing.

use crate::approvals::{gather, gather_published};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::exchange::Exchange;
use clap::Args;
use std::path::PathBuf;

/// Options of `quorum status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// The request
    #[arg(value_name = "REQUEST")]
    pub request: PathBuf,

    /// The approvals so far [default: those in the vault]
    #[arg(value_name = "APPROVAL")]
    pub approvals: Vec<PathBuf>,
}

/// Checks the approvals against the request. Nothing is used up.
///
/// # Errors
/// [`ErrorKind::QuorumUnmet`] where they do not suffice; others where one is of no use.
pub(super) fn run(args: &StatusArgs, context: &Context) -> Result<(), CliError> {
    let (mut gathering, _) = gather(&args.request, &args.approvals)?;
    if args.approvals.is_empty() {
        gather_published(&mut gathering, &Exchange::open(context)?, context)?;
    }
    let progress = gathering.progress();
    let list = |names: &[String]| if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
    if context.output.is_json() {
        context.output.json(&serde_json::json!({
            "message_type": "quorum",
            "approved": progress.approved,
            "missing": progress.missing,
            "met": progress.is_met,
        }))?;
    } else {
        context.output.line(&format!("approved   {}", list(&progress.approved)))?;
        context.output.line(&format!("not yet    {}", list(&progress.missing)))?;
        let verdict = if progress.is_met { "the approvals suffice" } else { "more are needed" };
        context.output.line(verdict)?;
    }
    match progress.is_met {
        true => Ok(()),
        false => Err(CliError::new(ErrorKind::QuorumUnmet, "the approvals so far do not satisfy the policy")
            .hint("custodians approve with `strongroom quorum approve`")),
    }
}
