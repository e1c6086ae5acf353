//! `strongroom dump`: its options.

use crate::snapshot_spec::SnapshotSpec;
use clap::Args;
use clap::ValueEnum;
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom dump latest:/db.sql | psql\n\
    \x20 strongroom dump latest:/etc --archive zip --target etc.zip";

/// Write a file, or a directory as an archive, to standard output
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DumpArgs {
    /// The snapshot and the path in it
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    pub snapshot: SnapshotSpec,

    /// Kind of archive for directories
    #[arg(short, long, value_name = "KIND", value_enum, default_value_t = Archive::Tar)]
    pub archive: Archive,

    /// Write into this file instead
    #[arg(short, long, value_name = "FILE")]
    pub target: Option<PathBuf>,
}

/// Kind of archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Archive {
    /// POSIX tar.
    Tar,
    /// ZIP.
    Zip,
}
