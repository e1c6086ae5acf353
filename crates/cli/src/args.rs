//! The command line: global options and value types that several commands share.

use crate::commands::Command;
use clap::{Args, Parser, ValueEnum};
use std::path::PathBuf;

/// Backups that only your key can open.
#[derive(Debug, Parser)]
#[command(
    name = "strongroom",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_subcommand = false,
    propagate_version = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 finished with problems, 4 integrity violation,\n\
                  5 custody refused, 70 a bug, 130 stopped by Ctrl-C. docs/errors.md explains every error."
)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes. Secrets are never among them: other users see command lines.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Directory, s3://bucket/prefix, or name of a vault in the config file [env: STRONGROOM_VAULT]
    #[arg(short = 'r', long, global = true, value_name = "LOCATION")]
    pub vault: Option<String>,

    /// Dataset to work on [env: STRONGROOM_DATASET] [default: default]
    #[arg(long, global = true, value_name = "NAME")]
    pub dataset: Option<String>,

    /// Key file of a keyholder; may be repeated [env: STRONGROOM_KEY_FILE]
    #[arg(long, global = true, value_name = "LABEL=PATH", value_parser = parse_key_file)]
    pub key_file: Vec<KeyFile>,

    /// age identity file; may be repeated [env: STRONGROOM_IDENTITY]
    #[arg(long, global = true, value_name = "FILE")]
    pub identity: Vec<PathBuf>,

    /// Request for keys that custodians approved; its private key lies beside it, and is used up
    #[arg(long, global = true, value_name = "FILE")]
    pub request: Option<PathBuf>,

    /// Approval of --request; may be repeated [default: those in the vault]
    #[arg(long, global = true, value_name = "FILE", requires = "request")]
    pub approval: Vec<PathBuf>,

    /// File whose first line is the passphrase [env: STRONGROOM_PASSPHRASE_FILE]
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "passphrase_command")]
    pub passphrase_file: Option<PathBuf>,

    /// Command that prints the passphrase [env: STRONGROOM_PASSPHRASE_COMMAND]
    ///
    /// It is run by `sh -c`; the first line of its output counts. Without any source, the passphrase
    /// is asked for on the terminal. STRONGROOM_PASSPHRASE holds the passphrase itself: prefer a file
    /// or a command, because crash reports and other processes may see the environment.
    #[arg(long, global = true, value_name = "CMD")]
    pub passphrase_command: Option<String>,

    /// Why keys are used, for the record of key uses [env: STRONGROOM_REASON]
    #[arg(long, global = true, value_name = "TEXT")]
    pub reason: Option<String>,

    /// Keep key uses in this file while the ledger is out of reach [env: STRONGROOM_LEDGER_SPOOL]
    ///
    /// Without it, no key is used while the ledger cannot be written. Entries in a spool are signed and in order, and
    /// are merged when the ledger is back; until then, whoever takes over this host can delete them.
    #[arg(long, global = true, value_name = "FILE")]
    pub ledger_spool: Option<PathBuf>,

    /// Config file [env: STRONGROOM_CONFIG] [default: ~/.config/strongroom/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Cache directory [env: STRONGROOM_CACHE_DIR] [default: ~/.cache/strongroom]
    #[arg(long, global = true, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,

    /// Neither read nor write the cache
    #[arg(long, global = true)]
    pub no_cache: bool,

    /// Number of worker threads [env: STRONGROOM_THREADS] [default: number of CPUs]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,

    /// auto, off, fastest, better, max, or a zstd level from 1 to 22 [env: STRONGROOM_COMPRESSION]
    #[arg(long, global = true, value_name = "MODE")]
    pub compression: Option<Compression>,

    /// Write results as JSON, and messages as JSON on standard error
    #[arg(long, global = true)]
    pub json: bool,

    /// Say only what is wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Say what is being done
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// Do not show progress
    #[arg(long, global = true)]
    pub no_progress: bool,

    /// When to use colour [env: STRONGROOM_COLOR, NO_COLOR] [default: auto]
    #[arg(long, global = true, value_name = "WHEN")]
    pub color: Option<ColorChoice>,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl std::fmt::Display for ColorChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        })
    }
}

/// A key file and the label of its keyholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFile {
    /// The label in the policy.
    pub label: String,
    /// Where the file is.
    pub path: PathBuf,
}

/// Reads `LABEL=PATH`.
///
/// # Errors
/// A message for the user.
pub fn parse_key_file(text: &str) -> Result<KeyFile, String> {
    match text.split_once('=') {
        Some((label, path)) if !label.is_empty() && !path.is_empty() => {
            Ok(KeyFile { label: label.to_owned(), path: path.into() })
        }
        _ => Err("expected LABEL=PATH, such as office=/etc/strongroom/office.key".into()),
    }
}

/// How hard to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// What suits the data and the machine.
    Auto,
    /// Not at all.
    Off,
    /// As fast as possible.
    Fastest,
    /// Smaller than `auto`, slower.
    Better,
    /// As small as possible.
    Max,
    /// A zstd level, 1 to 22.
    Level(u8),
}

impl std::str::FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "auto" => Self::Auto,
            "off" => Self::Off,
            "fastest" => Self::Fastest,
            "better" => Self::Better,
            "max" => Self::Max,
            _ => match text.parse() {
                Ok(level @ 1..=22) => Self::Level(level),
                _ => return Err("expected auto, off, fastest, better, max, or a level from 1 to 22".into()),
            },
        })
    }
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::Fastest => f.write_str("fastest"),
            Self::Better => f.write_str("better"),
            Self::Max => f.write_str("max"),
            Self::Level(level) => write!(f, "{level}"),
        }
    }
}

/// Which snapshots a command works on.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which snapshots")]
pub struct SnapshotFilter {
    /// Snapshots of this host; may be repeated
    #[arg(long, value_name = "HOST")]
    pub host: Vec<String>,

    /// Snapshots that have all these comma-separated tags; may be repeated
    #[arg(long, value_name = "TAG[,TAG]")]
    pub tag: Vec<String>,

    /// Snapshots that hold this absolute path; may be repeated
    #[arg(long, value_name = "PATH")]
    pub path: Vec<PathBuf>,

    /// Snapshots made at or after this time, such as 2026-11-23
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    /// Snapshots made at or before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
}
