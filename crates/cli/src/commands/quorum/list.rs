//! `strongroom quorum list` and `quorum fetch`: the requests that lie in the vault.

use super::request::show;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::escape;
use crate::exchange::Exchange;
use crate::local_files::write_new;
use crate::output::{Align, Table};
use crate::units;
use clap::Args;
use jiff::Timestamp;
use std::path::PathBuf;

/// Options of `quorum fetch`.
#[derive(Args, Clone, Debug)]
pub struct FetchArgs {
    /// The first digits of the request's id
    #[arg(value_name = "ID")]
    pub id: String,

    /// File for the request
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Writes a request into a file and shows it.
///
/// # Errors
/// Where the vault holds no such request, or the file cannot be written.
pub(super) fn fetch(args: &FetchArgs, context: &Context) -> Result<(), CliError> {
    let published = Exchange::open(context)?.find(&args.id)?;
    write_new(&args.output, &published.bytes)?;
    show(context, &published.request, &published.id)
}

/// Lists the requests whose time is not over.
///
/// # Errors
/// [`ErrorKind::Problems`] where an object is no request; others where the store fails.
pub(super) fn run(context: &Context) -> Result<(), CliError> {
    let exchange = Exchange::open(context)?;
    let now = Timestamp::now();
    let mut open = Vec::new();
    let mut problems = 0;
    for id in exchange.ids()? {
        match exchange.request(&id) {
            Ok(published) if published.request.expires > now => open.push(published),
            Ok(_) => {}
            Err(error) => {
                problems += 1;
                context.messages.warn(&format!("request {id} is of no use: {error}"));
            }
        }
    }
    open.sort_by_key(|published| published.request.created);
    let mut rows = Vec::new();
    for published in &open {
        let mut approved: Vec<String> =
            exchange.approvals(&published.id)?.into_iter().map(|approval| approval.holder).collect();
        approved.sort();
        approved.dedup();
        rows.push(approved);
    }
    if context.output.is_json() {
        for (published, approved) in open.iter().zip(&rows) {
            let request = &published.request;
            context.output.json(&serde_json::json!({
                "message_type": "request",
                "id": published.id.to_string(),
                "spoken_id": published.id.spoken(),
                "requester": request.requester,
                "reason": request.reason,
                "dataset": request.dataset,
                "created": request.created,
                "expires": request.expires,
                "unverified_approvals": approved,
            }))?;
        }
    } else if open.is_empty() {
        context.output.line("No request waits in this vault")?;
    } else {
        let zone = units::local_zone();
        let columns = ["Id", "Who", "Why", "Dataset", "Expires", "Approvals"];
        let mut table = Table::new(&columns.map(|column| (column, Align::Left)));
        for (published, approved) in open.iter().zip(&rows) {
            let request = &published.request;
            let approved = if approved.is_empty() { "none".to_owned() } else { approved.join(", ") };
            table.row([
                published.id.spoken(),
                escape::text(&request.requester),
                escape::text(&request.reason),
                escape::text(&request.dataset),
                units::time(request.expires, &zone),
                escape::text(&approved),
            ]);
        }
        context.output.table(&table)?;
    }
    match problems {
        0 => Ok(()),
        _ => Err(CliError::new(ErrorKind::Problems, format!("{problems} objects are no requests"))),
    }
}
