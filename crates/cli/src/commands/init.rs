//! `strongroom init`: its options.

use crate::units::ByteSize;
use clap::Args;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom init -r /srv/vault --keyholder office=file --keyholder paper=passphrase\n\
    \x20 strongroom init -r s3://backups/main --keyholder ops=age:age1qx... --keyholder dr=file:/media/dr.key \\n\
    \x20     --read-policy 'all(ops, dr)' --write-policy 'any(ops, dr)'";

/// Make a new vault
///
/// The first dataset is the one of --dataset. Backups seal to a public key: this machine can write
/// them without being able to read them, once the read keyholders are elsewhere.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct InitArgs {
    /// Keyholder NAME of kind file[:PATH], passphrase or age:RECIPIENT[,RECIPIENT]; may be repeated
    ///
    /// One keyholder that is lost takes every backup with it: name at least two that do not share a
    /// place. A file without a PATH is made in the config directory.
    #[arg(long, value_name = "NAME=KIND[:ARGS]", required = true, help_heading = "Keys")]
    pub keyholder: Vec<String>,

    /// Who can open backups, such as "any(office, 2 of (a, b, c))" [default: any keyholder]
    #[arg(long, value_name = "POLICY", help_heading = "Keys")]
    pub read_policy: Option<String>,

    /// Who can write backups [default: any keyholder]
    #[arg(long, value_name = "POLICY", help_heading = "Keys")]
    pub write_policy: Option<String>,

    /// Days until a dataset seals to a new read key
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3660), help_heading = "Keys")]
    pub epoch_days: u32,

    /// Average size of chunks
    #[arg(long, value_name = "SIZE", default_value = "256KiB", help_heading = "Layout")]
    pub chunk_size: ByteSize,

    /// Size that packs are filled to
    #[arg(long, value_name = "SIZE", default_value = "32MiB", help_heading = "Layout")]
    pub pack_size: ByteSize,
}
