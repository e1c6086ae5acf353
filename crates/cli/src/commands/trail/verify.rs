//! `strongroom trail verify`: CloudTrail's chain of signed digests.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::{escape, trails, units};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use strongroom_trail::coverage::Span;
use strongroom_trail::digest::{Chain, Report};

/// Options of `trail verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// A copy of the trail's bucket, or of a part of it, digests included; may be repeated
    #[arg(value_name = "DIR", required = true)]
    pub roots: Vec<PathBuf>,

    /// What `aws cloudtrail list-public-keys` prints, of each region; may be repeated
    #[arg(long, value_name = "FILE", required = true)]
    pub public_keys: Vec<PathBuf>,

    /// Demand that every digest is of this bucket
    #[arg(long, value_name = "NAME")]
    pub bucket: Option<String>,
}

/// Verifies.
///
/// # Errors
/// [`ErrorKind::TrailTampered`] where somebody changed or removed something; [`ErrorKind::Problems`] where something
/// is merely not known.
pub(super) fn run(args: &VerifyArgs, context: &Context) -> Result<(), CliError> {
    let keys = trails::public_keys(&args.public_keys)?;
    for root in &args.roots {
        std::fs::metadata(root).map_err(|error| CliError::file("read", root, &error))?;
    }
    let threads = context.settings.threads.value;
    let report = trails::verify_digests(&args.roots, &keys, args.bucket.as_deref(), threads);
    if context.output.is_json() {
        context.output.json(&to_json(&report))?;
    } else {
        tell(context, &report)?;
    }
    if report.has_tampering() {
        let kinds: Vec<String> = report
            .counts()
            .iter()
            .filter(|(kind, _)| kind.is_tampering())
            .map(|(kind, count)| format!("{count} {}", kind.as_str()))
            .collect();
        let message = format!("somebody changed or removed parts of the trail: {}", kinds.join(", "));
        return Err(CliError::new(ErrorKind::TrailTampered, message));
    }
    if report.chains.is_empty() {
        return Err(CliError::new(ErrorKind::Problems, "there are no digests: nothing is proven")
            .hint("copy the folder CloudTrail-Digest too, and switch on log file validation of the trail"));
    }
    if !report.faults.is_empty() || !report.problems.is_empty() {
        return Err(CliError::new(
            ErrorKind::Problems,
            "nothing was changed as far as can be known, but not all of it can be known",
        ));
    }
    Ok(())
}

fn tell(context: &Context, report: &Report) -> Result<(), CliError> {
    let output = &context.output;
    for fault in &report.faults {
        let word = if fault.kind.is_tampering() { "CHANGED" } else { "unknown" };
        let kind = fault.kind.as_str();
        output.line(&format!(
            "{word} {kind}: {}: {}",
            escape::text(&fault.object),
            escape::text(&fault.what)
        ))?;
    }
    for problem in &report.problems {
        output.line(&format!("unread {}", escape::text(&problem.to_string())))?;
    }
    for chain in &report.chains {
        let backfill = if chain.backfill { ", of what came late" } else { "" };
        output.line(&format!(
            "{}: {} digests{backfill}",
            escape::text(&chain.name),
            units::count(chain.digests)
        ))?;
        for span in &chain.proven {
            output.line(&format!("  proven  {} to {}", span.start, span.end))?;
        }
    }
    output.line(&format!(
        "{} log files are as they were signed, {} are in no digest yet",
        units::count(report.verified.len() as u64),
        units::count(report.unproven.len() as u64)
    ))
}

fn to_json(report: &Report) -> Value {
    let span = |span: &Span| json!({"start": span.start, "end": span.end});
    let chain = |chain: &Chain| {
        json!({
            "name": chain.name,
            "account": chain.account,
            "region": chain.region,
            "backfill": chain.backfill,
            "digests": chain.digests,
            "proven": chain.proven.iter().map(span).collect::<Vec<_>>(),
        })
    };
    let faults = report.faults.iter().map(|fault| {
        json!({
            "kind": fault.kind.as_str(),
            "tampering": fault.kind.is_tampering(),
            "object": fault.object,
            "what": fault.what,
        })
    });
    json!({
        "message_type": "trail_verified",
        "tampering": report.has_tampering(),
        "chains": report.chains.iter().map(chain).collect::<Vec<_>>(),
        "faults": faults.collect::<Vec<_>>(),
        "verified": report.verified,
        "unproven": report.unproven,
        "problems": report.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
