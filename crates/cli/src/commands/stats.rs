//! `strongroom stats`: its options.

use crate::args::SnapshotFilter;
use clap::Args;
use clap::ValueEnum;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom stats latest\n\
    \x20 strongroom stats --mode stored";

/// Show how much is stored
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct StatsArgs {
    /// Only these snapshots
    #[arg(value_name = "SNAPSHOT")]
    pub snapshots: Vec<String>,

    /// What to count
    #[arg(long, value_name = "MODE", value_enum, default_value_t = StatsMode::RestoreSize)]
    pub mode: StatsMode,

    /// Which snapshots.
    #[command(flatten)]
    pub filter: SnapshotFilter,
}

/// What to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatsMode {
    /// Size of all files when restored.
    RestoreSize,
    /// Size of distinct content, before compression.
    Distinct,
    /// Bytes in the vault, and what they are made of.
    Stored,
}
