//! `strongroom check`: its options.

use clap::Args;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom check\n\
    \x20 strongroom check --scrub\n\
    \x20 strongroom check --read-data-subset 1/12 --reason 'monthly check'";

/// Check that the vault is whole
///
/// By default the structure is checked: every snapshot reaches every chunk that it needs, and
/// every pack is there. That needs no read key. Exit code 4 means damage.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// Hash every object and compare it with its name; needs no key
    #[arg(long)]
    pub scrub: bool,

    /// Read, decrypt and verify all content; needs the read key
    #[arg(long)]
    pub read_data: bool,

    /// The same for a part: n/t (the nth of t parts), a share such as 2.5%, or a size such as 10GiB
    #[arg(long, value_name = "PART", conflicts_with = "read_data")]
    pub read_data_subset: Option<String>,
}
