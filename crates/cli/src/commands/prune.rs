//! `strongroom prune`: frees what no snapshot needs.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::escape;
use crate::operation::watched;
use crate::session::Session;
use crate::units::{self, ByteSize};
use clap::Args;
use std::sync::Arc;
use strongroom_custody::ReasonCode;
use strongroom_vault::prune::{self, Compaction, Limit, PruneOptions, PruneOutcome, PruneSummary};
use strongroom_vault::session::RunningSession;

const MAX_UNUSED: &str = "5%";

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom prune --dry-run\n\
    \x20 strongroom prune --max-unused 10% --repack-small\n\
    \x20 strongroom prune --compact --reason 'yearly clean-up'";

/// Free the space of what no snapshot needs
///
/// Dead groups are dropped and live ones are moved as ciphertext: no read key is needed, except
/// with --compact.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct PruneArgs {
    /// Rewrite packs that are partly dead down to the chunk; needs the read key
    #[arg(long)]
    pub compact: bool,

    /// Dead space to leave: a share such as 5%, a size, or `unlimited`
    #[arg(long, value_name = "LIMIT", default_value = MAX_UNUSED)]
    pub max_unused: String,

    /// Also join packs smaller than this
    #[arg(long, value_name = "SIZE", num_args = 0..=1, default_missing_value = "8MiB")]
    pub repack_small: Option<ByteSize>,

    /// Move at most this much
    #[arg(long, value_name = "SIZE")]
    pub max_repack_size: Option<ByteSize>,

    /// Show what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

impl Default for PruneArgs {
    fn default() -> Self {
        Self {
            compact: false,
            max_unused: MAX_UNUSED.into(),
            repack_small: None,
            max_repack_size: None,
            dry_run: false,
        }
    }
}

/// Prunes.
///
/// # Errors
/// Where the vault is damaged (nothing is deleted then), may not be deleted from, or fails.
pub fn run(args: &PruneArgs, context: &Context) -> Result<(), CliError> {
    let options = PruneOptions {
        max_unused: parse_limit(&args.max_unused)?,
        repack_small: args.repack_small.map(|size| size.0),
        max_repack: args.max_repack_size.map(|size| size.0),
        compact: args.compact,
        rewrite_before: None,
        threads: context.settings.threads.value,
    };
    let session = Session::open(context, ReasonCode::Prune)?;
    let (handle, compaction) = if args.compact && !args.dry_run {
        let (handle, keys) = session.read(None)?;
        let key = session.session_key(&handle, context)?;
        let compression = super::backup::compression(context.settings.compression.value);
        (handle, Some(Compaction { keys: Arc::clone(&keys), session: key, compression }))
    } else {
        (session.metadata()?, None)
    };
    context.watch_signals();
    let plan = watched(context, "marking", |monitor| prune::plan(&handle, &options, monitor))?;
    show_plan(context, plan.summary(), args.dry_run)?;
    if args.dry_run {
        return Ok(());
    }
    let outcome = watched(context, "pruning", |monitor| plan.execute(compaction.as_ref(), monitor))?;
    show_outcome(context, &outcome)
}

/// A share such as `5%`, a size, or `unlimited`.
fn parse_limit(text: &str) -> Result<Limit, CliError> {
    let wrong = || {
        let message =
            format!("`{text}` is no limit: give a share such as 5%, a size such as 1GiB, or `unlimited`");
        CliError::new(ErrorKind::Usage, message)
    };
    if text == "unlimited" {
        return Ok(Limit::Unlimited);
    }
    if let Some(share) = text.strip_suffix('%') {
        let share: f64 = share.trim().parse().map_err(|_| wrong())?;
        return if (0.0..100.0).contains(&share) { Ok(Limit::Share(share / 100.0)) } else { Err(wrong()) };
    }
    text.parse::<ByteSize>().map(|size| Limit::Bytes(size.0)).map_err(|_| wrong())
}

fn show_plan(context: &Context, plan: &PruneSummary, dry_run: bool) -> Result<(), CliError> {
    if context.output.is_json() {
        let packs = |packs: &prune::Packs| serde_json::json!({"packs": packs.count, "bytes": packs.bytes});
        return context.output.json(&serde_json::json!({
            "message_type": "prune_plan",
            "dry_run": dry_run,
            "snapshots": plan.snapshots,
            "keep": packs(&plan.kept),
            "drop": packs(&plan.dropped),
            "repack": packs(&plan.repacked),
            "moved_bytes": plan.moved_bytes,
            "orphans": packs(&plan.orphans),
            "condemned": packs(&plan.condemned),
            "rescued": packs(&plan.rescued),
            "freed_bytes": plan.freed_bytes,
            "unused_bytes": plan.unused_bytes,
            "half_dead_bytes": plan.half_dead_bytes,
            "running_backups": plan.running.len(),
        }));
    }
    let line = |what: &str, packs: &prune::Packs, more: &str| {
        let text = format!(
            "{what:<10}{:>8} packs {:>12}{more}",
            units::count(packs.count),
            units::bytes(packs.bytes)
        );
        context.output.line(&text)
    };
    line("keep", &plan.kept, "")?;
    line("drop", &plan.dropped, "")?;
    line(
        "repack",
        &plan.repacked,
        &format!(", of which {} move as they are", units::bytes(plan.moved_bytes)),
    )?;
    if plan.orphans.count > 0 {
        line("orphans", &plan.orphans, ", left by backups that did not end")?;
    }
    if plan.condemned.count > 0 {
        line("condemned", &plan.condemned, ", by an earlier prune")?;
    }
    if plan.rescued.count > 0 {
        line("rescue", &plan.rescued, ", condemned and needed after all")?;
    }
    context.output.line(&format!(
        "frees     {:>27}; {} stay unused, {} more inside groups that are partly needed",
        units::bytes(plan.freed_bytes),
        units::bytes(plan.unused_bytes),
        units::bytes(plan.half_dead_bytes),
    ))
}

fn show_outcome(context: &Context, outcome: &PruneOutcome) -> Result<(), CliError> {
    if context.output.is_json() {
        context.output.json(&serde_json::json!({
            "message_type": "pruned",
            "deleted_packs": outcome.deleted.count,
            "deleted_bytes": outcome.deleted.bytes,
            "written_packs": outcome.written.count,
            "written_bytes": outcome.written.bytes,
            "rescued_packs": outcome.rescued,
            "waiting_packs": outcome.waiting.as_ref().map_or(0, |waiting| waiting.packs.count),
        }))?;
    } else {
        context.output.line(&format!(
            "deleted {} packs ({}), wrote {} ({})",
            units::count(outcome.deleted.count),
            units::bytes(outcome.deleted.bytes),
            units::count(outcome.written.count),
            units::bytes(outcome.written.bytes),
        ))?;
    }
    if let Some(waiting) = &outcome.waiting {
        context.messages.note(&format!(
            "{} packs ({}) are condemned and wait for backups that may build on them to end: {}; the next prune deletes them",
            units::count(waiting.packs.count),
            units::bytes(waiting.packs.bytes),
            waiting.sessions.iter().map(describe).collect::<Vec<_>>().join(", "),
        ));
    }
    for (object, damage) in &outcome.damaged {
        context.messages.warn(&format!("{object} is damaged and stays as it is: {damage}"));
    }
    if !outcome.damaged.is_empty() {
        return Err(CliError::new(ErrorKind::Damaged, "some packs are damaged and were left alone"));
    }
    Ok(())
}

fn describe(session: &RunningSession) -> String {
    let started = units::time(session.started, &units::local_zone());
    match &session.marker {
        Some(marker) => {
            format!("host {} since {started}", escape::path(marker.host.as_bytes()))
        }
        None => format!("session {} since {started}", session.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        assert_eq!(parse_limit("unlimited").unwrap(), Limit::Unlimited);
        assert_eq!(parse_limit("5%").unwrap(), Limit::Share(0.05));
        assert_eq!(parse_limit("0").unwrap(), Limit::Bytes(0));
        for wrong in ["100%", "-1%", "much", ""] {
            assert!(parse_limit(wrong).is_err(), "{wrong}");
        }
    }
}
