//! `strongroom forget`: its options.

use crate::args::SnapshotFilter;
use crate::retention::{GroupBy, KeepCount, KeepRules, Period};
use crate::retention_span::KeepSpan;
use clap::Args;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom forget --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --dry-run\n\
    \x20 strongroom forget --keep-within 30d --keep-tag gold --prune\n\
    \x20 strongroom forget 4f3c2a10 9b01d4e7";

/// Remove snapshots by rules or by id
///
/// Needs no read key. Space is freed by `strongroom prune`, or by --prune.
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

    /// Which snapshots.
    #[command(flatten)]
    pub filter: SnapshotFilter,

    /// Free the space too, as `strongroom prune` does
    #[arg(long)]
    pub prune: bool,

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
