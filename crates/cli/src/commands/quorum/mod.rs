//! `strongroom quorum`: requests for keys that need custodians, and their approvals.

mod approve;
mod list;
mod request;

pub(crate) use request::show;

mod status;

use crate::commands::Context;
use crate::error::CliError;
use clap::{Args, Subcommand};
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom quorum request --reason 'ticket 7' -o restore.request\n\
    \x20 strongroom quorum show restore.request\n\
    \x20 strongroom quorum approve restore.request --as alice --identity alice.age -o alice.approval\n\
    \x20 strongroom quorum status restore.request alice.approval\n\
    \x20 strongroom quorum request --reason 'ticket 8' -o restore.request --publish\n\
    \x20 strongroom quorum list\n\
    \x20 strongroom restore latest --target /srv/back --request restore.request \\\n\
    \x20     --approval alice.approval --approval bob.approval";

/// Read what needs several custodians, without a meeting
///
/// Whoever wants to read makes a request. Custodians approve it, each on a machine of their own, which may be
/// offline. Enough approvals open the keys once, for whoever made the request, until it expires.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct QuorumArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: QuorumAction,
}

/// What to do with requests.
#[derive(Clone, Debug, Subcommand)]
pub enum QuorumAction {
    /// Approve a request as a custodian; needs no vault and no network
    Approve(approve::ApproveArgs),
    /// Write a request that lies in the vault into a file, for review and approval elsewhere
    Fetch(list::FetchArgs),
    /// List the requests that lie in the vault
    List,
    /// Ask the custodians for keys
    Request(request::RequestArgs),
    /// Show in words what a request asks for
    Show(ShowArgs),
    /// Tell who has approved and who is missing
    Status(status::StatusArgs),
}

/// Options of `quorum show`.
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// The request
    #[arg(value_name = "REQUEST")]
    pub request: PathBuf,
}

/// Does what was asked.
///
/// # Errors
/// Where a document is of no use, custody refuses, or a file cannot be written.
pub fn run(args: &QuorumArgs, context: &Context) -> Result<(), CliError> {
    match &args.action {
        QuorumAction::Approve(args) => approve::run(args, context),
        QuorumAction::Fetch(args) => list::fetch(args, context),
        QuorumAction::List => list::run(context),
        QuorumAction::Request(args) => request::run(args, context),
        QuorumAction::Show(args) => {
            let (request, id) = crate::approvals::read_request(&args.request)?;
            request::show(context, &request, &id)
        }
        QuorumAction::Status(args) => status::run(args, context),
    }
}
