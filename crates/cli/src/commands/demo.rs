//! `strongroom demo`: its options.

use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom demo /tmp/strongroom-demo";

/// Try Strongroom on made-up files in a new directory
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DemoArgs {
    /// Directory to make
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}
