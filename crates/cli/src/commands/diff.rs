//! `strongroom diff`: its options.

use crate::snapshot_spec::SnapshotSpec;
use clap::Args;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom diff latest~1 latest\n\
    \x20 strongroom diff 4f3c2a10:/etc 9b01d4e7:/etc --metadata";

/// Show what differs between two snapshots
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DiffArgs {
    /// The older snapshot, and optionally a path in it
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    pub from: SnapshotSpec,

    /// The newer snapshot, and optionally a path in it
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    pub to: SnapshotSpec,

    /// Show differences in mode, owner and times too
    #[arg(long)]
    pub metadata: bool,
}
