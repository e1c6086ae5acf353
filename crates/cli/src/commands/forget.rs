//! `strongroom forget`: removes snapshots, by rules or by id.

use crate::args::SnapshotFilter;
use crate::catalog::{Catalog, Known};
use crate::commands::{Context, snapshots};
use crate::error::{CliError, ErrorKind};
use crate::output::{Align, Table};
use crate::retention::{self, GroupBy, GroupDecision, KeepCount, KeepRules, Period, RetentionError};
use crate::retention_span::KeepSpan;
use crate::session::Session;
use crate::units;
use clap::Args;
use jiff::Timestamp;
use std::collections::BTreeMap;
use strongroom_custody::ReasonCode;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom forget --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --dry-run\n\
    \x20 strongroom forget --keep-within 30d --keep-tag gold\n\
    \x20 strongroom forget 4f3c2a10 9b01d4e7";

/// Remove snapshots by rules or by id
///
/// Needs no read key. Space is freed by `strongroom prune`, or right away with --prune.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ForgetArgs {
    /// Remove these snapshots, by the first digits of their ids
    #[arg(value_name = "SNAPSHOT")]
    pub snapshots: Vec<String>,

    /// Keep the newest N, or `unlimited`
    #[arg(short = 'l', long, value_name = "N", help_heading = "What to keep")]
    pub keep_last: Option<KeepCount>,

    /// Keep the newest of each of the last N hours
    #[arg(long, value_name = "N", help_heading = "What to keep")]
    pub keep_hourly: Option<KeepCount>,

    /// Keep the newest of each of the last N days
    #[arg(long, value_name = "N", help_heading = "What to keep")]
    pub keep_daily: Option<KeepCount>,

    /// Keep the newest of each of the last N weeks
    #[arg(long, value_name = "N", help_heading = "What to keep")]
    pub keep_weekly: Option<KeepCount>,

    /// Keep the newest of each of the last N months
    #[arg(long, value_name = "N", help_heading = "What to keep")]
    pub keep_monthly: Option<KeepCount>,

    /// Keep the newest of each of the last N years
    #[arg(long, value_name = "N", help_heading = "What to keep")]
    pub keep_yearly: Option<KeepCount>,

    /// Keep all within DURATION of the newest, such as 1y5m7d2h
    #[arg(long, value_name = "DURATION", help_heading = "What to keep")]
    pub keep_within: Option<KeepSpan>,

    /// Keep the newest of each hour within DURATION of the newest
    #[arg(long, value_name = "DURATION", help_heading = "What to keep")]
    pub keep_within_hourly: Option<KeepSpan>,

    /// Keep the newest of each day within DURATION of the newest
    #[arg(long, value_name = "DURATION", help_heading = "What to keep")]
    pub keep_within_daily: Option<KeepSpan>,

    /// Keep the newest of each week within DURATION of the newest
    #[arg(long, value_name = "DURATION", help_heading = "What to keep")]
    pub keep_within_weekly: Option<KeepSpan>,

    /// Keep the newest of each month within DURATION of the newest
    #[arg(long, value_name = "DURATION", help_heading = "What to keep")]
    pub keep_within_monthly: Option<KeepSpan>,

    /// Keep the newest of each year within DURATION of the newest
    #[arg(long, value_name = "DURATION", help_heading = "What to keep")]
    pub keep_within_yearly: Option<KeepSpan>,

    /// Keep all that have these comma-separated tags; may be repeated
    #[arg(long, value_name = "TAG[,TAG]", help_heading = "What to keep")]
    pub keep_tag: Vec<String>,

    /// Apply the rules to each group by itself: any of host, paths, tags
    #[arg(short, long, value_name = "FIELDS", default_value = "host,paths")]
    pub group_by: GroupBy,

    /// Allow the rules to remove every snapshot of a group
    #[arg(long)]
    pub allow_removing_all: bool,

    /// Then free what no snapshot needs, as `strongroom prune` does
    #[arg(long)]
    pub prune: bool,

    /// Which snapshots.
    #[command(flatten)]
    pub filter: SnapshotFilter,

    /// Show what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

impl ForgetArgs {
    /// The rules, for [`crate::retention::decide`].
    #[must_use]
    pub fn rules(&self) -> KeepRules {
        let counts = [
            (Period::Last, self.keep_last),
            (Period::Hourly, self.keep_hourly),
            (Period::Daily, self.keep_daily),
            (Period::Weekly, self.keep_weekly),
            (Period::Monthly, self.keep_monthly),
            (Period::Yearly, self.keep_yearly),
        ];
        let within = [
            (Period::Hourly, self.keep_within_hourly),
            (Period::Daily, self.keep_within_daily),
            (Period::Weekly, self.keep_within_weekly),
            (Period::Monthly, self.keep_within_monthly),
            (Period::Yearly, self.keep_within_yearly),
        ];
        let tags = |list: &String| list.split(',').map(|tag| tag.trim().to_owned()).collect();
        KeepRules {
            counts: counts.into_iter().filter_map(|(period, n)| Some((period, n?))).collect(),
            within: self.keep_within,
            within_periods: within.into_iter().filter_map(|(period, span)| Some((period, span?))).collect(),
            tags: self.keep_tag.iter().map(tags).collect(),
        }
    }
}

/// Removes snapshots.
///
/// # Errors
/// Where rules would remove everything without leave, custody refuses, or the storage fails.
pub fn run(args: &ForgetArgs, context: &Context) -> Result<(), CliError> {
    let rules = args.rules();
    if !args.snapshots.is_empty() && !rules.is_empty() {
        return Err(CliError::new(ErrorKind::Usage, "snapshots are given by their ids, and rules as well"));
    }
    let session = Session::open(context, ReasonCode::Prune)?;
    let handle = session.metadata()?;
    let catalog = Catalog::load(&handle, &context.messages)?;
    let chosen = catalog.choose(&args.snapshots, &args.filter)?;
    let removed: Vec<&Known> = if args.snapshots.is_empty() {
        let decisions = decide(args, &rules, &chosen)?;
        show(&decisions, &chosen, context)?;
        let doomed = decisions.iter().flat_map(|decision| &decision.remove);
        let by_id: BTreeMap<String, &Known> =
            chosen.iter().map(|known| (known.id.to_hex(), *known)).collect();
        doomed.filter_map(|facts| by_id.get(&facts.id).copied()).collect()
    } else {
        chosen
    };
    if !args.dry_run {
        let ids: Vec<_> = removed.iter().map(|known| known.id).collect();
        strongroom_vault::snapshots::remove(&handle, &ids)?;
    }
    let did = if args.dry_run { "would remove" } else { "removed" };
    let count = match removed.len() {
        1 => "1 snapshot".to_owned(),
        many => format!("{many} snapshots"),
    };
    if context.output.is_json() {
        let ids: Vec<_> = removed.iter().map(|known| known.id).collect();
        context.output.json(
            &serde_json::json!({"message_type": "forgotten", "dry_run": args.dry_run, "snapshots": ids}),
        )?;
        return prune_after(args, context);
    }
    if !args.snapshots.is_empty() {
        for known in &removed {
            context.output.line(&format!("{did} snapshot {}", known.describe()))?;
        }
    }
    context.messages.note(&format!("{did} {count}"));
    prune_after(args, context)
}

/// Prunes where that was asked for; a dry run of it would show the plan without the removals, so it is left out.
fn prune_after(args: &ForgetArgs, context: &Context) -> Result<(), CliError> {
    if args.prune && !args.dry_run {
        return super::prune::run(&super::prune::PruneArgs::default(), context);
    }
    Ok(())
}

fn decide(args: &ForgetArgs, rules: &KeepRules, chosen: &[&Known]) -> Result<Vec<GroupDecision>, CliError> {
    let facts: Vec<_> = chosen.iter().map(|known| known.facts()).collect();
    let zone = units::local_zone();
    let allowed = args.allow_removing_all;
    retention::decide(&facts, rules, args.group_by, Timestamp::now(), &zone, allowed).map_err(|error| {
        let made = CliError::new(ErrorKind::ConsentMissing, error.to_string());
        match error {
            RetentionError::NoRules => {
                made.hint("say what to keep, such as --keep-daily 7, or name snapshots by their ids")
            }
            RetentionError::RemovesAll { .. } => {
                made.hint("nothing was removed; if that is what you want, add --allow-removing-all")
            }
        }
    })
}

fn show(decisions: &[GroupDecision], chosen: &[&Known], context: &Context) -> Result<(), CliError> {
    let by_id: BTreeMap<String, &Known> = chosen.iter().map(|known| (known.id.to_hex(), *known)).collect();
    if context.output.is_json() {
        let groups: Vec<_> = decisions
            .iter()
            .map(|decision| {
                let json = |id: &String| by_id.get(id).map(|known| known.json());
                let keep: Vec<_> = decision.keep.iter().map(|kept| json(&kept.snapshot.id)).collect();
                let remove: Vec<_> = decision.remove.iter().map(|facts| json(&facts.id)).collect();
                let reasons: Vec<_> = decision
                    .keep
                    .iter()
                    .map(|kept| serde_json::json!({"snapshot": kept.snapshot.id, "matches": kept.reasons}))
                    .collect();
                serde_json::json!({
                    "host": decision.key.host,
                    "paths": decision.key.paths,
                    "tags": decision.key.tags,
                    "keep": keep,
                    "remove": remove,
                    "reasons": reasons,
                })
            })
            .collect();
        return context.output.json(&serde_json::json!({"message_type": "plan", "groups": groups}));
    }
    for decision in decisions {
        context.output.line(&format!("{}:", snapshots::describe(&decision.key)))?;
        let columns = [
            ("", Align::Left),
            ("ID", Align::Left),
            ("Time", Align::Left),
            ("Tags", Align::Left),
            ("Why", Align::Left),
        ];
        let mut table = Table::new(&columns);
        let mut rows: Vec<(Timestamp, [String; 5])> = Vec::new();
        let mut row = |what: &str, id: &String, why: String| {
            if let Some(known) = by_id.get(id) {
                let tags = crate::escape::text(&known.snapshot.tags.join(",")).replace('\n', " ");
                let time = units::time(known.time, &units::local_zone());
                rows.push((known.time, [what.to_owned(), known.short(), time, tags, why]));
            }
        };
        decision.keep.iter().for_each(|kept| row("keep", &kept.snapshot.id, kept.reasons.join(", ")));
        decision.remove.iter().for_each(|facts| row("remove", &facts.id, String::new()));
        rows.sort_by_key(|(time, _)| *time);
        for (_, cells) in rows {
            table.row(cells);
        }
        context.output.table(&table)?;
    }
    Ok(())
}
