//! One file per command: its options, and its `run` function once it works.
//!
//! A command is in [`Command`] only when it does all that its help says.

use crate::env::Env;
use crate::error::CliError;
use crate::ledger::Ledgers;
use crate::messages::Messages;
use crate::output::Output;
use crate::settings::Settings;
use clap::Subcommand;
use std::sync::Arc;
use strongroom_ledger::entry::Verb;
use strongroom_vault::progress::Cancel;

pub mod backup;
pub mod ceremony;
pub mod check;
pub mod completions;
pub mod config;
pub mod copy;
pub mod dataset;
pub mod demo;
pub mod diff;
pub mod dump;
pub mod find;
pub mod forget;
pub mod init;
pub mod key;
pub mod ledger;
pub mod ls;
pub mod man;
pub mod mount;
pub mod posture;
pub mod prune;
pub mod quorum;
pub mod reconcile;
pub mod recovery_kit;
pub mod repair;
pub mod restore;
pub mod snapshots;
pub mod stats;
pub mod tag;
pub mod trail;
pub mod version;
pub mod watch;

/// What every command gets.
pub struct Context {
    /// What is in effect.
    pub settings: Settings,
    /// The environment.
    pub env: Env,
    /// Standard output.
    pub output: Arc<Output>,
    /// Standard error.
    pub messages: Arc<Messages>,
    /// The request to stop; [`crate::signals::watch`] listens for it.
    pub cancel: Arc<Cancel>,
    /// The ledgers that the command has opened.
    pub ledgers: Ledgers,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Back up files and directories into a new snapshot
    Backup(backup::BackupArgs),
    /// Bring key material of your own into a provider
    Ceremony(ceremony::CeremonyArgs),
    /// Check that everything stored is there and unchanged
    Check(check::CheckArgs),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
    /// Show what is configured, and where it comes from
    Config(config::ConfigArgs),
    /// Copy snapshots into another vault
    Copy(copy::CopyArgs),
    /// Add and list datasets
    Dataset(dataset::DatasetArgs),
    /// Show the main job on a directory of yours, which is only read
    Demo(demo::DemoArgs),
    /// Show what differs between two snapshots
    Diff(diff::DiffArgs),
    /// Write a file, or a directory as an archive, to standard output
    Dump(dump::DumpArgs),
    /// Find files in snapshots
    Find(find::FindArgs),
    /// Remove snapshots by rules or by id
    Forget(forget::ForgetArgs),
    /// Make a new vault
    Init(init::InitArgs),
    /// See, change, switch and test who holds the keys
    Key(key::KeyArgs),
    /// Read and verify the record of every key use
    Ledger(ledger::LedgerArgs),
    /// List the files of a snapshot
    Ls(ls::LsArgs),
    /// Write the manual pages into a directory
    Man(man::ManArgs),
    /// Show snapshots as a read-only file system
    Mount(mount::MountArgs),
    /// See who can do what to keys and backups in AWS
    Posture(posture::PostureArgs),
    /// Free what no snapshot needs
    Prune(prune::PruneArgs),
    /// Read what needs several custodians, without a meeting
    Quorum(quorum::QuorumArgs),
    /// Hold the providers' trails against the ledger: is every key use ours?
    Reconcile(reconcile::ReconcileArgs),
    /// Write a folder for the day when nothing else is left
    RecoveryKit(recovery_kit::RecoveryKitArgs),
    /// Make the best of a damaged vault
    Repair(repair::RepairArgs),
    /// Restore files from a snapshot
    Restore(restore::RestoreArgs),
    /// List snapshots
    Snapshots(snapshots::SnapshotsArgs),
    /// Show how much there is
    Stats(stats::StatsArgs),
    /// Change the tags of snapshots
    Tag(tag::TagArgs),
    /// Verify the trails of key providers by themselves
    Trail(trail::TrailArgs),
    /// Print the version and what this build is for
    Version(version::VersionArgs),
    /// Tell of calls that endanger keys or trails, with what would die of them
    Watch(watch::WatchArgs),
}

impl Command {
    /// What the ledger calls this command; `None` where the key uses themselves say all there is to say.
    #[must_use]
    pub fn verb(&self) -> Option<Verb> {
        match self {
            Self::Backup(_) => Some(Verb::Backup),
            Self::Check(_) | Self::Repair(_) => Some(Verb::Check),
            Self::Copy(_) => Some(Verb::Copy),
            Self::Dump(_) | Self::Restore(_) => Some(Verb::Restore),
            Self::Forget(_) => Some(Verb::Forget),
            Self::Init(_) => Some(Verb::Init),
            Self::Mount(_) => Some(Verb::Mount),
            Self::Prune(_) => Some(Verb::Prune),
            Self::Key(args) => args.verb(),
            Self::Dataset(args) => args.verb(),
            _ => None,
        }
    }

    /// Runs the command.
    ///
    /// # Errors
    /// Whatever makes the process end with another exit code than 0.
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Backup(args) => backup::run(&args, context),
            Self::Ceremony(args) => ceremony::run(&args, context),
            Self::Check(args) => check::run(&args, context),
            Self::Completions(args) => completions::run(&args, context),
            Self::Config(args) => config::run(&args, context),
            Self::Copy(args) => copy::run(&args, context),
            Self::Dataset(args) => dataset::run(&args, context),
            Self::Demo(args) => demo::run(&args, context),
            Self::Diff(args) => diff::run(&args, context),
            Self::Dump(args) => dump::run(&args, context),
            Self::Find(args) => find::run(&args, context),
            Self::Forget(args) => forget::run(&args, context),
            Self::Init(args) => init::run(&args, context),
            Self::Key(args) => key::run(&args, context),
            Self::Ledger(args) => ledger::run(&args, context),
            Self::Ls(args) => ls::run(&args, context),
            Self::Man(args) => man::run(&args, context),
            Self::Posture(args) => posture::run(&args, context),
            Self::Prune(args) => prune::run(&args, context),
            Self::Quorum(args) => quorum::run(&args, context),
            Self::Reconcile(args) => reconcile::run(&args, context),
            Self::RecoveryKit(args) => recovery_kit::run(&args, context),
            Self::Repair(args) => repair::run(&args, context),
            Self::Restore(args) => restore::run(&args, context),
            Self::Mount(args) => mount::run(&args, context),
            Self::Snapshots(args) => snapshots::run(&args, context),
            Self::Stats(args) => stats::run(&args, context),
            Self::Tag(args) => tag::run(&args, context),
            Self::Trail(args) => trail::run(&args, context),
            Self::Version(args) => version::run(&args, context),
            Self::Watch(args) => watch::run(&args, context),
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
