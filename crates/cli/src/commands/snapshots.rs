//! `strongroom snapshots`: its options.

use crate::args::SnapshotFilter;
use crate::retention::GroupBy;
use clap::Args;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom snapshots\n\
    \x20 strongroom snapshots --host host-a --latest 5\n\
    \x20 strongroom snapshots --json --group-by host,paths";

/// List snapshots
///
/// Needs no read key.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SnapshotsArgs {
    /// Only these snapshots, by the first digits of their ids
    #[arg(value_name = "SNAPSHOT")]
    pub snapshots: Vec<String>,

    /// Which snapshots.
    #[command(flatten)]
    pub filter: SnapshotFilter,

    /// Only the newest N of each group
    #[arg(long, value_name = "N")]
    pub latest: Option<u32>,

    /// Group by any of host, paths, tags
    #[arg(long, value_name = "FIELDS")]
    pub group_by: Option<GroupBy>,
}
