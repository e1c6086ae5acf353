//! `strongroom check`: is everything that was stored still there, and what it was?

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::escape;
use crate::operation::watched;
use crate::reading::Reading;
use crate::session::{self, Session};
use crate::units::{self, ByteSize};
use clap::Args;
use std::sync::Arc;
use strongroom_custody::ReasonCode;
use strongroom_vault::check::{self, Report, Subset};
use strongroom_vault::store::Blocking;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom check\n\
    \x20 strongroom check --scrub\n\
    \x20 strongroom check --read-data-subset 1/12 --reason 'monthly check'";

/// Check that the vault is whole
///
/// By default the structure is checked: every snapshot reaches every chunk that it needs, and
/// every pack is there. That needs no read key. Exit code 4 means damage.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// Hash every object and compare it with its name; needs no key
    #[arg(long)]
    pub scrub: bool,

    /// Read, decrypt and verify all content; needs the read key
    #[arg(long)]
    pub read_data: bool,

    /// The same for a part: n/t (the nth of t parts), a share such as 2.5%, or a size such as 10GiB
    #[arg(long, value_name = "PART", conflicts_with = "read_data")]
    pub read_data_subset: Option<String>,
}

/// Checks.
///
/// # Errors
/// [`ErrorKind::Damaged`] where something is damaged or missing; where the vault cannot be read at all.
pub fn run(args: &CheckArgs, context: &Context) -> Result<(), CliError> {
    let threads = context.settings.threads.value;
    let subset = match (&args.read_data_subset, args.read_data) {
        (Some(part), _) => Some(parse_subset(part)?),
        (None, true) => Some(Subset::All),
        (None, false) => None,
    };
    if args.scrub {
        let runtime = session::runtime()?;
        let store = session::open_store(&runtime, context.settings.require_location()?)?;
        let store = Blocking::new(store, runtime.handle().clone());
        context.watch_signals();
        let report = watched(context, "hashing", |monitor| check::scrub(&store, threads, monitor))?;
        show(context, "every object against its name", &report)?;
        if subset.is_none() {
            return verdict(&report);
        }
        verdict(&report)?;
    }
    let (depth, report) = match subset {
        None => {
            let session = Session::open(context, ReasonCode::Verify)?;
            let handle = session.metadata()?;
            context.watch_signals();
            let report = watched(context, "checking", |monitor| check::structure(&handle, threads, monitor))?;
            ("structure", report)
        }
        Some(subset) => {
            let reading = Reading::open(context, ReasonCode::Verify, None)?;
            context.watch_signals();
            let keys = Arc::clone(&reading.keys);
            let report = watched(context, "verifying", |monitor| {
                check::read_data(&reading.handle, &keys, subset, threads, monitor)
            })?;
            ("structure and content", report)
        }
    };
    show(context, depth, &report)?;
    verdict(&report)
}

/// `n/t`, a share such as `2.5%`, or a size.
fn parse_subset(text: &str) -> Result<Subset, CliError> {
    let wrong = || {
        CliError::new(
            ErrorKind::Usage,
            format!(
                "`{text}` is no part: give n/t such as 1/7, a share such as 2.5%, or a size such as 10GiB"
            ),
        )
    };
    if let Some((n, of)) = text.split_once('/') {
        let (n, of) = (n.parse().map_err(|_| wrong())?, of.parse().map_err(|_| wrong())?);
        return if (1..=of).contains(&n) { Ok(Subset::Part { n, of }) } else { Err(wrong()) };
    }
    if let Some(share) = text.strip_suffix('%') {
        let share: f64 = share.trim().parse().map_err(|_| wrong())?;
        return if share > 0.0 && share <= 100.0 { Ok(Subset::Share(share / 100.0)) } else { Err(wrong()) };
    }
    text.parse::<ByteSize>().map(|size| Subset::Bytes(size.0)).map_err(|_| wrong())
}

fn show(context: &Context, depth: &str, report: &Report) -> Result<(), CliError> {
    if context.output.is_json() {
        return json(context, depth, report);
    }
    for finding in &report.findings {
        context.output.line(&format!("damaged  {}: {}", escape::text(&finding.object), finding.defect))?;
    }
    if report.findings_left_off > 0 {
        context.output.line(&format!("         and {} more", units::count(report.findings_left_off)))?;
    }
    for affected in &report.affected {
        let id = crate::catalog::short(&affected.snapshot.id);
        context.output.line(&format!("affected snapshot {id} of {}", affected.snapshot.snapshot.time))?;
        for lost in &affected.paths {
            context.output.line(&format!("         {}", escape::path(&lost.path)))?;
        }
        if affected.paths_left_off > 0 {
            context.output.line(&format!("         and {} more", units::count(affected.paths_left_off)))?;
        }
    }
    let counts = &report.counts;
    let mut parts = Vec::new();
    let mut part = |count: u64, what: &str| {
        if count > 0 {
            parts.push(format!("{} {what}", units::count(count)));
        }
    };
    part(counts.snapshots, "snapshots");
    part(counts.segments, "index segments");
    part(counts.packs, "packs");
    part(counts.objects_hashed, "objects hashed");
    part(counts.chunks_verified, "chunks verified");
    let bytes = counts.bytes_verified.max(counts.bytes_hashed);
    if bytes > 0 {
        parts.push(units::bytes(bytes));
    }
    context.output.line(&format!("checked {depth}: {}", parts.join(", ")))?;
    if report.orphans.packs > 0 {
        context.messages.note(&format!(
            "{} packs ({}) are in no index: left by a backup that did not end, or of one that is running; prune removes them",
            units::count(report.orphans.packs),
            units::bytes(report.orphans.bytes),
        ));
    }
    if !report.is_violation() {
        context.output.line("no damage found")?;
    }
    Ok(())
}

fn json(context: &Context, depth: &str, report: &Report) -> Result<(), CliError> {
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| serde_json::json!({"object": finding.object, "defect": finding.defect.to_string()}))
        .collect();
    let affected: Vec<_> = report
        .affected
        .iter()
        .map(|affected| {
            let paths: Vec<_> = affected
                .paths
                .iter()
                .map(|lost| strongroom_format::snapshot::escape_path(&lost.path))
                .collect();
            serde_json::json!({"snapshot": affected.snapshot.id, "paths": paths})
        })
        .collect();
    let counts = &report.counts;
    context.output.json(&serde_json::json!({
        "message_type": "check",
        "depth": depth,
        "damaged": report.is_violation(),
        "findings": findings,
        "findings_left_off": report.findings_left_off,
        "affected": affected,
        "orphan_packs": report.orphans.packs,
        "snapshots": counts.snapshots,
        "segments": counts.segments,
        "packs": counts.packs,
        "stored_bytes": counts.stored_bytes,
        "objects_hashed": counts.objects_hashed,
        "bytes_hashed": counts.bytes_hashed,
        "chunks_verified": counts.chunks_verified,
        "bytes_verified": counts.bytes_verified,
    }))
}

fn verdict(report: &Report) -> Result<(), CliError> {
    if report.is_violation() {
        let count = report.findings.len() as u64 + report.findings_left_off;
        let message = format!("the vault is damaged: {} findings", units::count(count));
        return Err(CliError::new(ErrorKind::Damaged, message).hint(
            "what is not named still restores; `strongroom repair index` and `repair snapshots` save what can be saved, another copy of the vault may have the rest",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        assert_eq!(parse_subset("2/7").unwrap(), Subset::Part { n: 2, of: 7 });
        assert_eq!(parse_subset("2.5%").unwrap(), Subset::Share(0.025));
        assert_eq!(parse_subset("1GiB").unwrap(), Subset::Bytes(1 << 30));
        for wrong in ["0/7", "8/7", "0%", "101%", "x", ""] {
            assert!(parse_subset(wrong).is_err(), "{wrong}");
        }
    }
}
