//! `strongroom ls`: its options.

use crate::snapshot_spec::SnapshotSpec;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom ls latest\n\
    \x20 strongroom ls -l 4f3c2a10:/etc\n\
    \x20 strongroom ls -lR latest:/home/alice --json";

/// List the files of a snapshot
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct LsArgs {
    /// The snapshot, and optionally a directory in it: latest, latest~2, 4f3c2a10:/etc
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    pub snapshot: SnapshotSpec,

    /// Further directories or files to list
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Show mode, owner, size and time
    #[arg(short, long)]
    pub long: bool,

    /// Go down into directories
    #[arg(short = 'R', long)]
    pub recursive: bool,

    /// Sizes in KiB, MiB and so on
    #[arg(short = 'H', long, requires = "long")]
    pub human_readable: bool,
}
