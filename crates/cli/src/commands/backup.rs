//! `strongroom backup`: its options.

use crate::units::ByteSize;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom backup /home /etc --exclude '*.tmp' --exclude-caches\n\
    \x20 strongroom backup -x / --tag weekly --exclude-larger-than 4GiB\n\
    \x20 strongroom backup --stdin-from-command --stdin-name /db.sql -- pg_dumpall";

/// Back up files and directories into a new snapshot
///
/// Only content that the dataset does not have yet is stored. No read key is needed: this machine
/// cannot open what it writes.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct BackupArgs {
    /// Files and directories
    #[arg(value_name = "PATH", required_unless_present_any = ["files_from", "files_from_raw", "stdin", "stdin_from_command"])]
    pub paths: Vec<PathBuf>,

    /// Leave out what matches this pattern; may be repeated
    #[arg(short = 'e', long, value_name = "PATTERN", help_heading = "What to back up")]
    pub exclude: Vec<String>,

    /// The same, whatever the case of letters
    #[arg(long, value_name = "PATTERN", help_heading = "What to back up")]
    pub iexclude: Vec<String>,

    /// Leave out what matches a pattern in this file, one a line; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "What to back up")]
    pub exclude_file: Vec<PathBuf>,

    /// Leave out the content of directories marked with a CACHEDIR.TAG
    #[arg(long, help_heading = "What to back up")]
    pub exclude_caches: bool,

    /// Leave out the content of directories that hold a file of this name, or NAME:HEADER; may be repeated
    #[arg(long, value_name = "NAME[:HEADER]", help_heading = "What to back up")]
    pub exclude_if_present: Vec<String>,

    /// Leave out files larger than this
    #[arg(long, value_name = "SIZE", help_heading = "What to back up")]
    pub exclude_larger_than: Option<ByteSize>,

    /// Stay on the file systems of the given paths
    #[arg(short = 'x', long, help_heading = "What to back up")]
    pub one_file_system: bool,

    /// Take further paths from this file, one a line, `-` for standard input; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "What to back up")]
    pub files_from: Vec<PathBuf>,

    /// The same, each path ended by a NUL byte and taken as it is
    #[arg(long, value_name = "FILE", help_heading = "What to back up")]
    pub files_from_raw: Vec<PathBuf>,

    /// Back up standard input as one file
    #[arg(long, conflicts_with = "paths", help_heading = "Streams")]
    pub stdin: bool,

    /// Back up the output of a command, given after `--`; it is discarded if the command fails
    #[arg(long, conflicts_with_all = ["paths", "stdin"], help_heading = "Streams")]
    pub stdin_from_command: bool,

    /// Path of that file in the snapshot
    #[arg(long, value_name = "PATH", default_value = "/stdin", help_heading = "Streams")]
    pub stdin_name: PathBuf,

    /// The command of --stdin-from-command
    #[arg(
        last = true,
        value_name = "CMD",
        conflicts_with_all = ["paths", "stdin"], requires = "stdin_from_command",
        required_if_eq("stdin_from_command", "true")
    )]
    pub command: Vec<OsString>,

    /// Tag for the snapshot; may be repeated
    #[arg(long, value_name = "TAG[,TAG]", help_heading = "The snapshot")]
    pub tag: Vec<String>,

    /// Name of the host in the snapshot [env: STRONGROOM_HOST] [default: host name]
    #[arg(long, value_name = "HOST", help_heading = "The snapshot")]
    pub host: Option<String>,

    /// Time of the snapshot, such as "2026-11-23 18:49:06" [default: now]
    #[arg(long, value_name = "TIME", help_heading = "The snapshot")]
    pub time: Option<String>,

    /// Read every file, even those that look unchanged
    #[arg(long)]
    pub force: bool,

    /// Show what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}
