//! `strongroom mount`: snapshots as a read-only file system, until Ctrl-C or `umount`.

use crate::args::SnapshotFilter;
use crate::browse::Browsing;
use crate::catalog::Catalog;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::mounted::{Mounted, Top};
use crate::reading::Reading;
use crate::units;
use clap::Args;
use fuser::{Config, MountOption, SessionACL};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use strongroom_custody::ReasonCode;

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

/// How often it is looked whether the mount should end, or has.
const LOOK: Duration = Duration::from_millis(100);

/// Mounts, and waits for the end.
///
/// # Errors
/// Where the directory is not empty, FUSE is not there, or custody refuses.
pub fn run(args: &MountArgs, context: &Context) -> Result<(), CliError> {
    check_directory(&args.directory)?;
    let browsing = Browsing::open(context, ReasonCode::Mount, None)?;
    let catalog = Catalog::load(&browsing.reading.handle, &context.messages)?;
    let top = Top::new(&catalog.filter(&args.filter)?, &units::local_zone());
    // The session, with the runtime, stays until all threads of the mount have ended.
    let Browsing { reading: Reading { session, .. }, reader } = browsing;
    let file_system = Mounted::new(top, reader, Arc::clone(&context.messages));
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::RO,
        MountOption::NoDev,
        MountOption::NoSuid,
        MountOption::FSName("strongroom".into()),
        MountOption::Subtype("strongroom".into()),
    ];
    if args.allow_other {
        config.acl = SessionACL::All;
        // The modes in the snapshot decide who may read what.
        config.mount_options.push(MountOption::DefaultPermissions);
    }
    config.n_threads = Some(context.settings.threads.value.clamp(2, 8));
    context.watch_signals();
    let failed = |error: std::io::Error| {
        let shown = crate::escape::path(args.directory.as_os_str().as_encoded_bytes());
        CliError::new(ErrorKind::MountFailed, format!("{shown} cannot be mounted")).caused_by(&error)
    };
    let mounted = fuser::spawn_mount(file_system, &args.directory, &config).map_err(failed)?;
    let shown = crate::escape::path(args.directory.as_os_str().as_encoded_bytes());
    if context.output.is_json() {
        context.output.json(&serde_json::json!({"message_type": "mounted", "directory": shown}))?;
        context.output.flush()?;
    } else {
        context.messages.note(&format!("mounted at {shown}; it ends with Ctrl-C or umount"));
    }
    while !context.cancel.is_requested() && !mounted.guard.is_finished() {
        std::thread::sleep(LOOK);
    }
    let ended = match mounted.guard.is_finished() {
        true => mounted.join(),
        false => mounted.umount_and_join(),
    };
    drop(session);
    ended.map_err(|error| {
        CliError::new(ErrorKind::MountFailed, format!("{shown} cannot be unmounted")).caused_by(&error)
    })
}

fn check_directory(directory: &Path) -> Result<(), CliError> {
    let mut entries =
        std::fs::read_dir(directory).map_err(|error| CliError::file("opened", directory, &error))?;
    if entries.next().is_some() {
        let shown = crate::escape::path(directory.as_os_str().as_encoded_bytes());
        return Err(CliError::new(ErrorKind::Usage, format!("{shown} is not empty"))
            .hint("mount on an empty directory: what is in it would be hidden"));
    }
    Ok(())
}
