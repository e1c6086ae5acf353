//! `strongroom restore`: its options.

use crate::snapshot_spec::SnapshotSpec;
use clap::Args;
use clap::ValueEnum;
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom restore latest --target /tmp/out\n\
    \x20 strongroom restore 4f3c2a10:/etc/nginx --target /etc/nginx --dry-run\n\
    \x20 strongroom restore latest --in-place --overwrite if-changed --include /srv/db";

/// Restore files from a snapshot
///
/// Every read key that is needed is a recorded key use: say why with --reason.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RestoreArgs {
    /// The snapshot, and optionally a path in it
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    pub snapshot: SnapshotSpec,

    /// Directory to restore into
    #[arg(short, long, value_name = "DIR", required_unless_present = "in_place")]
    pub target: Option<PathBuf>,

    /// Restore to where the files came from
    #[arg(long, conflicts_with = "target")]
    pub in_place: bool,

    /// Restore only what matches this pattern; may be repeated
    #[arg(short, long, value_name = "PATTERN", help_heading = "What to restore")]
    pub include: Vec<String>,

    /// Leave out what matches this pattern; may be repeated
    #[arg(short, long, value_name = "PATTERN", help_heading = "What to restore")]
    pub exclude: Vec<String>,

    /// Which files that exist are replaced
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Overwrite::Always, help_heading = "Files that exist")]
    pub overwrite: Overwrite,

    /// Delete files in the target that the snapshot does not have
    #[arg(long, help_heading = "Files that exist")]
    pub delete: bool,

    /// Read everything back afterwards and compare it
    #[arg(long)]
    pub verify: bool,

    /// Show what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// Which files that exist are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Overwrite {
    /// All.
    Always,
    /// Those whose size, time or content differs.
    IfChanged,
    /// Those that are older than in the snapshot.
    IfNewer,
    /// None.
    Never,
}
