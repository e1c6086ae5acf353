//! `strongroom prune`: its options.

use crate::units::ByteSize;
use clap::Args;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom prune --dry-run\n\
    \x20 strongroom prune --max-unused 10% --repack-small\n\
    \x20 strongroom prune --compact --reason 'yearly clean-up'";

/// Free the space of what no snapshot needs
///
/// Dead groups are dropped and live ones are moved as ciphertext: no read key is needed, except
/// with --compact.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct PruneArgs {
    /// Rewrite packs that are partly dead down to the chunk; needs the read key
    #[arg(long)]
    pub compact: bool,

    /// Dead space to leave: a share such as 5%, a size, or `unlimited`
    #[arg(long, value_name = "LIMIT", default_value = "5%")]
    pub max_unused: String,

    /// Also join packs smaller than this
    #[arg(long, value_name = "SIZE", num_args = 0..=1, default_missing_value = "8MiB")]
    pub repack_small: Option<ByteSize>,

    /// Move at most this much
    #[arg(long, value_name = "SIZE")]
    pub max_repack_size: Option<ByteSize>,

    /// Show what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}
