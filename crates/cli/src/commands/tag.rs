//! `strongroom tag`: its options.

use crate::args::SnapshotFilter;
use clap::Args;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom tag --add gold latest\n\
    \x20 strongroom tag --remove old,test --host host-a";

/// Change the tags of snapshots
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct TagArgs {
    /// Only these snapshots
    #[arg(value_name = "SNAPSHOT")]
    pub snapshots: Vec<String>,

    /// Add these comma-separated tags; may be repeated
    #[arg(long, value_name = "TAG[,TAG]", required_unless_present_any = ["remove", "set"])]
    pub add: Vec<String>,

    /// Remove these
    #[arg(long, value_name = "TAG[,TAG]")]
    pub remove: Vec<String>,

    /// Replace all tags by these
    #[arg(long, value_name = "TAG[,TAG]", conflicts_with_all = ["add", "remove"])]
    pub set: Vec<String>,

    /// Which snapshots.
    #[command(flatten)]
    pub filter: SnapshotFilter,
}
