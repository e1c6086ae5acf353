//! `strongroom dataset`: its options.

use clap::{Args, Subcommand};

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom dataset list\n\
    \x20 strongroom dataset add laptops --read-policy 'any(office, dr)'";

/// Add and list datasets
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DatasetArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: DatasetAction,
}

/// What to do with datasets.
#[derive(Clone, Debug, Subcommand)]
pub enum DatasetAction {
    /// Add a dataset, with keys of its own
    Add(DatasetAddArgs),
    /// List the datasets of the vault
    List,
}

/// Options of `dataset add`.
#[derive(Args, Clone, Debug)]
pub struct DatasetAddArgs {
    /// Name of the new dataset
    #[arg(value_name = "NAME")]
    pub name: String,

    /// Who can open its backups [default: as for the vault]
    #[arg(long, value_name = "POLICY")]
    pub read_policy: Option<String>,

    /// Who can write its backups [default: as for the vault]
    #[arg(long, value_name = "POLICY")]
    pub write_policy: Option<String>,
}
