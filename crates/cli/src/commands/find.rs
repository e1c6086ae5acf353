//! `strongroom find`: its options.

use crate::args::SnapshotFilter;
use clap::Args;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom find report.pdf\n\
    \x20 strongroom find -i '*.JPG' --host host-a --since 2026-01-01";

/// Find files in snapshots
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct FindArgs {
    /// Names to look for: a name, a path, or a pattern with * ? [ ]
    #[arg(value_name = "PATTERN", required = true)]
    pub patterns: Vec<String>,

    /// Only in these snapshots
    #[arg(short, long, value_name = "SNAPSHOT")]
    pub snapshot: Vec<String>,

    /// Which snapshots.
    #[command(flatten)]
    pub filter: SnapshotFilter,

    /// Whatever the case of letters
    #[arg(short, long)]
    pub ignore_case: bool,

    /// Only files changed at or after this time
    #[arg(long, value_name = "TIME")]
    pub changed_since: Option<String>,

    /// Only files changed at or before this time
    #[arg(long, value_name = "TIME")]
    pub changed_until: Option<String>,

    /// Show mode, owner, size and time
    #[arg(short, long)]
    pub long: bool,
}
