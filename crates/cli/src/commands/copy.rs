//! `strongroom copy`: its options.

use crate::args::SnapshotFilter;
use clap::Args;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom copy latest --to-vault s3://backups/second\n\
    \x20 strongroom copy --host host-a --to-vault offsite --dry-run";

/// Copy snapshots into another vault
///
/// Content is opened with the read key of this vault and sealed to that of the other.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CopyArgs {
    /// Only these snapshots
    #[arg(value_name = "SNAPSHOT")]
    pub snapshots: Vec<String>,

    /// Location or name of the other vault
    #[arg(long, value_name = "LOCATION")]
    pub to_vault: String,

    /// Dataset in the other vault [default: the same name]
    #[arg(long, value_name = "NAME")]
    pub to_dataset: Option<String>,

    /// Which snapshots.
    #[command(flatten)]
    pub filter: SnapshotFilter,

    /// Show what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}
