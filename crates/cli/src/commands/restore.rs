//! `strongroom restore`: files from a snapshot to a directory.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::progress::{ProgressMode, ProgressSink};
use crate::reading::Reading;
use crate::snapshot_spec::SnapshotSpec;
use crate::units;
use clap::Args;
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use strongroom_custody::ReasonCode;
use strongroom_format::RefsId;
use strongroom_vault::fs::{self, Filter, Problem};
use strongroom_vault::groups::GroupReader;
use strongroom_vault::monitor::Monitor;
use strongroom_vault::progress::Counters;
use strongroom_vault::restore::{self, Options, Selected, Summary};
use strongroom_vault::tree::{EntryRefs, find_path};

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom restore latest --target /tmp/out\n\
    \x20 strongroom restore 4f3c2a10:/etc/nginx --target /etc/nginx --dry-run\n\
    \x20 strongroom restore latest --in-place --overwrite if-changed --include /srv/db";

/// Restore files from a snapshot
///
/// Every read key that is needed is a recorded key use: say why with --reason.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RestoreArgs {
    /// The snapshot, and optionally a path in it
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    pub snapshot: SnapshotSpec,

    /// Directory to restore into
    #[arg(short, long, value_name = "DIR", required_unless_present = "in_place")]
    pub target: Option<PathBuf>,

    /// Restore to where the files came from
    #[arg(long, conflicts_with = "target")]
    pub in_place: bool,

    /// Restore only what matches this pattern; may be repeated
    #[arg(short, long, value_name = "PATTERN", help_heading = "What to restore")]
    pub include: Vec<String>,

    /// Leave out what matches this pattern; may be repeated
    #[arg(short, long, value_name = "PATTERN", help_heading = "What to restore")]
    pub exclude: Vec<String>,

    /// Which files that exist are replaced
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Overwrite::Always, help_heading = "Files that exist")]
    pub overwrite: Overwrite,

    /// Delete files in the target that the snapshot does not have
    #[arg(long, help_heading = "Files that exist")]
    pub delete: bool,

    /// Read everything back afterwards and compare it
    #[arg(long)]
    pub verify: bool,

    /// Show what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// Which files that exist are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Overwrite {
    /// All.
    Always,
    /// Those whose size, time or content differs.
    IfChanged,
    /// Those that are older than in the snapshot.
    IfNewer,
    /// None.
    Never,
}

/// Restores.
///
/// # Errors
/// Where the vault or the target fails, or custody refuses; [`ErrorKind::Damaged`] where the vault is damaged,
/// [`ErrorKind::Problems`] where something could not be written. Everything else is restored all the same.
pub fn run(args: &RestoreArgs, context: &Context) -> Result<(), CliError> {
    let filter = filter(args)?;
    let reading = Reading::open(context, ReasonCode::Restore, Some(&args.snapshot.selector))?;
    let known = reading.snapshot(context, &args.snapshot.selector)?;
    let reader = reading.reader(context)?;
    context.ledgers.detail("snapshot", known.id.to_hex());
    context.watch_signals();

    let (selected, below) = select(&reader, &known.snapshot.root, args)?;
    let target = match &args.target {
        Some(target) => target.clone(),
        None => below,
    };
    let options = Options {
        target: target.clone(),
        overwrite: match args.overwrite {
            Overwrite::Always => fs::Overwrite::Always,
            Overwrite::IfChanged => fs::Overwrite::IfChanged,
            Overwrite::IfNewer => fs::Overwrite::IfNewer,
            Overwrite::Never => fs::Overwrite::Never,
        },
        delete: args.delete,
        dry_run: args.dry_run,
        verify: args.verify,
        threads: context.settings.threads.value,
    };
    // The modes in the snapshot are meant as they are.
    rustix::process::umask(rustix::fs::Mode::empty());
    let counters = Arc::new(Counters::new());
    let settings = &context.settings;
    let display = ProgressSink::start(
        ProgressMode::choose(settings.json, settings.progress.value, settings.verbosity),
        if args.dry_run { "looking" } else { "restoring" },
        Arc::clone(&counters),
        Arc::clone(&context.output),
        Arc::clone(&context.messages),
    );
    let on_problem = |problem: Problem| context.messages.warn(&format!("{problem}: {}", problem.source));
    let monitor = Monitor { counters: &counters, cancel: &context.cancel, on_problem: &on_problem };
    let started = Instant::now();
    let outcome = restore::run(&reader, &selected, &filter, &options, &monitor);
    display.finish();
    let summary = outcome?;
    report(args, context, &known.describe(), &target, &summary, started)?;
    if summary.lost {
        return Err(CliError::new(
            ErrorKind::Damaged,
            "the vault is damaged: some of the snapshot could not be restored",
        )
        .hint("the warnings above name what is lost; `strongroom check --read-data` shows the extent, another copy of the vault may have it"));
    }
    match summary.problems {
        0 => Ok(()),
        _ => Err(CliError::new(ErrorKind::Problems, "some files could not be restored as they were")
            .hint("everything else is restored; the warnings above name each of them")),
    }
}

fn filter(args: &RestoreArgs) -> Result<Filter, CliError> {
    let mut filter = Filter::builder();
    for pattern in &args.include {
        filter = filter.include(pattern);
    }
    for pattern in &args.exclude {
        filter = filter.exclude(pattern);
    }
    Ok(filter.build()?)
}

/// What is restored, and the directory that it came from.
fn select(reader: &GroupReader, root: &RefsId, args: &RestoreArgs) -> Result<(Selected, PathBuf), CliError> {
    let path = args.snapshot.path.as_deref().unwrap_or("/");
    let Some(entry) = find_path(reader, root, path.as_bytes())? else {
        return Ok((Selected::Directory(*root), PathBuf::from("/")));
    };
    let path = Path::new(path);
    if let EntryRefs::Directory(refs) = entry.refs {
        return Ok((Selected::Directory(refs), path.to_owned()));
    }
    let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
    Ok((Selected::Entry(Box::new(entry)), parent))
}

fn report(
    args: &RestoreArgs,
    context: &Context,
    snapshot: &str,
    target: &Path,
    summary: &Summary,
    started: Instant,
) -> Result<(), CliError> {
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({
            "message_type": "summary",
            "dry_run": args.dry_run,
            "target": strongroom_format::snapshot::escape_path(
                std::os::unix::ffi::OsStrExt::as_bytes(target.as_os_str())
            ),
            "files": summary.files,
            "directories": summary.directories,
            "others": summary.others,
            "bytes": summary.bytes,
            "kept": summary.kept,
            "removed": summary.removed,
            "problems": summary.problems,
            "verified": args.verify && !args.dry_run,
            "seconds": started.elapsed().as_secs_f64(),
        }));
    }
    let verb = match (args.dry_run, args.verify) {
        (true, _) => "would restore",
        (false, true) => "restored and verified",
        (false, false) => "restored",
    };
    let mut line = format!(
        "{verb} {} files, {} directories, {} in {} from snapshot {snapshot}",
        units::count(summary.files),
        units::count(summary.directories),
        units::bytes(summary.bytes),
        units::duration(started.elapsed()),
    );
    if summary.kept > 0 {
        line.push_str(&format!("; {} kept as they were", units::count(summary.kept)));
    }
    if summary.removed > 0 {
        line.push_str(&format!("; {} removed", units::count(summary.removed)));
    }
    context.output.line(&line)
}
