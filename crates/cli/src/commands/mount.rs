//! `strongroom mount`: its options.

use crate::args::SnapshotFilter;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom mount /mnt/backups\n\
    \x20 strongroom mount /mnt/backups --host host-a --reason TICKET-123";

/// Show snapshots as a read-only file system
///
/// It stays mounted until Ctrl-C or `umount`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct MountArgs {
    /// An empty directory
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    /// Which snapshots.
    #[command(flatten)]
    pub filter: SnapshotFilter,

    /// Let other users read it too
    #[arg(long)]
    pub allow_other: bool,
}
