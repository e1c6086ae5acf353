//! `strongroom backup`: files, or a stream, into a new snapshot.

use crate::args::Compression;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::keys;
use crate::messages::Verbosity;
use crate::progress::{ProgressMode, ProgressSink};
use crate::session::Session;
use crate::snapshot_spec::parse_time;
use crate::stream::{CommandOutput, Interruptible};
use crate::units::{self, ByteSize};
use crate::whoami;
use clap::Args;
use jiff::Timestamp;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use strongroom_custody::ReasonCode;
use strongroom_format::tree::valid_name;
use strongroom_vault::backup::{self, Options, Outcome, Source, count_ahead};
use strongroom_vault::fs::{Filter, Problem};
use strongroom_vault::monitor::Monitor;
use strongroom_vault::packer;
use strongroom_vault::progress::Counters;
use strongroom_vault::store::Location;

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

/// Packs that are uploaded at the same time: each is held in memory meanwhile, and a second one pays only where
/// the network's latency does.
const UPLOADS_LOCAL: usize = 1;
const UPLOADS_REMOTE: usize = 2;
/// Longest list of paths that is read from a file, in bytes.
const LIST_LIMIT: u64 = 256 << 20;

/// Makes a backup.
///
/// # Errors
/// Where the vault fails or nothing can be read; [`ErrorKind::Problems`] where the snapshot was made and
/// something is missing in it.
pub fn run(args: &BackupArgs, context: &Context) -> Result<(), CliError> {
    let filter = Arc::new(filter(args, context)?);
    let options = options(args, context)?;
    let stream_name = stream_name(args)?;
    let paths = if stream_name.is_some() { Vec::new() } else { paths(args)? };
    let session = Session::open(context, ReasonCode::Backup)?;
    let handle = session.write()?;
    keys::standing_warnings(context, session.vault.keyring(), &session.dataset, &|text| {
        context.messages.note(&format!("note: {text}"));
    });
    let key = session.session_key(&handle, context)?;
    context.watch_signals();

    let mut command = None;
    let source = match stream_name {
        None => Source::Paths(paths.clone()),
        Some(name) => {
            let reader: Box<dyn Read + Send> = if args.stdin {
                Box::new(Interruptible::stdin(Arc::clone(&context.cancel))?)
            } else {
                let output = CommandOutput::start(&args.command, Arc::clone(&context.cancel))?;
                command = Some(output.ending());
                Box::new(output)
            };
            Source::Stream { name, reader }
        }
    };
    let counters = Arc::new(Counters::new());
    let settings = &context.settings;
    let mode = ProgressMode::choose(settings.json, settings.progress.value, settings.verbosity);
    if mode != ProgressMode::Silent && !paths.is_empty() {
        let (counters, filter, cancel) =
            (Arc::clone(&counters), Arc::clone(&filter), Arc::clone(&context.cancel));
        // It ends with the process at the latest.
        std::thread::spawn(move || {
            if let Some((files, bytes)) = count_ahead(&paths, &filter, &cancel) {
                counters.expect(files, bytes);
            }
        });
    }
    let action = if args.dry_run { "comparing" } else { "backing up" };
    let display = ProgressSink::start(
        mode,
        action,
        Arc::clone(&counters),
        Arc::clone(&context.output),
        Arc::clone(&context.messages),
    );
    let on_problem = |problem: Problem| context.messages.warn(&format!("{problem}: {}", problem.source));
    let monitor = Monitor { counters: &counters, cancel: &context.cancel, on_problem: &on_problem };
    let outcome = backup::run(&handle, key, source, &filter, &options, &monitor);
    display.finish();
    // A reader that was stopped reports an error of its own.
    if outcome.is_err() && context.cancel.is_requested() {
        return Err(strongroom_vault::VaultError::Cancelled.into());
    }
    // Why the command failed says more than that its output ended early.
    if let (Err(_), Some(error)) = (&outcome, command.and_then(|command| command.failure())) {
        return Err(error.into());
    }
    let outcome = outcome?;
    summary(&outcome, args.dry_run, context)?;
    match outcome.snapshot.summary.problems {
        0 => Ok(()),
        count => Err(CliError::new(
            ErrorKind::Problems,
            match count {
                1 => "one file or directory could not be backed up, or changed meanwhile".to_owned(),
                many => format!("{many} files or directories could not be backed up, or changed meanwhile"),
            },
        )
        .hint("the snapshot holds everything else; the warnings above name each of them")),
    }
}

fn is_local(context: &Context) -> bool {
    let location = context.settings.location.as_ref().and_then(|location| location.value.parse().ok());
    matches!(location, Some(Location::Local(_)))
}

fn options(args: &BackupArgs, context: &Context) -> Result<Options, CliError> {
    let settings = &context.settings;
    let time = match args.time.as_deref() {
        None | Some("now") => None,
        Some(text) => Some(
            parse_time(text, &units::local_zone(), false)
                .map_err(|why| CliError::new(ErrorKind::Usage, why))?,
        ),
    };
    let configured = settings.host.as_ref().map(|host| host.value.clone());
    let split = |list: &String| list.split(',').map(|tag| tag.trim().to_owned()).collect::<Vec<_>>();
    let tags = args.tag.iter().flat_map(split).chain(settings.section.tags.iter().cloned());
    Ok(Options {
        host: args.host.clone().or(configured).unwrap_or_else(whoami::host),
        user: whoami::user(),
        tags: tags.filter(|tag| !tag.is_empty()).collect(),
        time,
        compression: compression(settings.compression.value),
        threads: settings.threads.value,
        uploads: if is_local(context) { UPLOADS_LOCAL } else { UPLOADS_REMOTE },
        force: args.force,
        dry_run: args.dry_run,
        program: format!("strongroom {}", env!("CARGO_PKG_VERSION")),
    })
}

/// What the words on the command line are to Zstandard.
#[must_use]
pub fn compression(wanted: Compression) -> packer::Compression {
    match wanted {
        Compression::Auto => packer::Compression::default(),
        Compression::Off => packer::Compression::Off,
        Compression::Fastest => packer::Compression::Level(1),
        Compression::Better => packer::Compression::Level(9),
        Compression::Max => packer::Compression::Level(19),
        Compression::Level(level) => packer::Compression::Level(i32::from(level)),
    }
}

fn filter(args: &BackupArgs, context: &Context) -> Result<Filter, CliError> {
    let section = &context.settings.section;
    let mut filter = Filter::builder();
    for pattern in args.exclude.iter().chain(&section.excludes) {
        filter = filter.exclude(pattern);
    }
    for pattern in &args.iexclude {
        filter = filter.iexclude(pattern);
    }
    for path in args.exclude_file.iter().chain(&section.exclude_files) {
        filter = filter.exclude_file(&read_list(path)?);
    }
    if args.exclude_caches || section.exclude_caches == Some(true) {
        filter = filter.exclude_caches();
    }
    for marker in &args.exclude_if_present {
        filter = filter.exclude_if_present(marker);
    }
    if let Some(size) = args.exclude_larger_than {
        filter = filter.exclude_larger_than(size.0);
    }
    if args.one_file_system || section.one_file_system == Some(true) {
        filter = filter.one_file_system();
    }
    Ok(filter.build()?)
}

fn stream_name(args: &BackupArgs) -> Result<Option<Vec<u8>>, CliError> {
    if !args.stdin && !args.stdin_from_command {
        return Ok(None);
    }
    let name = args.stdin_name.as_os_str().as_bytes();
    let name = name.strip_prefix(b"/").unwrap_or(name);
    if !valid_name(name) {
        let message = "--stdin-name must be one file name, such as /db.sql";
        return Err(CliError::new(ErrorKind::Usage, message));
    }
    Ok(Some(name.to_vec()))
}

fn read_list(path: &Path) -> Result<Vec<u8>, CliError> {
    let failed = |error: std::io::Error| CliError::file("read", path, &error);
    let reader: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(failed)?)
    };
    let mut list = Vec::new();
    reader.take(LIST_LIMIT + 1).read_to_end(&mut list).map_err(failed)?;
    if list.len() as u64 > LIST_LIMIT {
        return Err(failed(std::io::Error::other("it is larger than 256 MiB")));
    }
    Ok(list)
}

/// The paths of options and lists. Not one of them readable is an error, because an empty snapshot would
/// look like a good one.
fn paths(args: &BackupArgs) -> Result<Vec<PathBuf>, CliError> {
    let mut paths = args.paths.clone();
    let mut add = |list: &[u8], end: u8| {
        let lines = list.split(|byte| *byte == end).filter(|line| !line.is_empty());
        paths.extend(lines.map(|line| PathBuf::from(OsStr::from_bytes(line))));
    };
    for file in &args.files_from {
        add(&read_list(file)?, b'\n');
    }
    for file in &args.files_from_raw {
        add(&read_list(file)?, 0);
    }
    if paths.is_empty() {
        return Err(CliError::new(ErrorKind::Usage, "there is nothing to back up: no paths are given"));
    }
    let mut first = None;
    for path in &paths {
        match std::fs::symlink_metadata(path) {
            Ok(_) => return Ok(paths),
            Err(error) => {
                first.get_or_insert((path, error));
            }
        }
    }
    match first {
        Some((path, error)) if paths.len() == 1 => Err(CliError::file("read", path, &error)),
        Some((_, error)) => {
            Err(CliError::new(ErrorKind::LocalFile, "none of the paths can be read").caused_by(&error))
        }
        None => Ok(paths),
    }
}

fn summary(outcome: &Outcome, dry_run: bool, context: &Context) -> Result<(), CliError> {
    let summary = &outcome.snapshot.summary;
    let elapsed = std::time::Duration::from_millis(summary.milliseconds);
    let id = outcome.id.map(|id| id.to_hex());
    if let Some(id) = &id {
        context.ledgers.detail("snapshot", id.clone());
    }
    let output = &context.output;
    if output.is_json() {
        return output.json(&serde_json::json!({
            "message_type": "summary",
            "dry_run": dry_run,
            "files_new": summary.files_new,
            "files_changed": summary.files_changed,
            "files_unmodified": summary.files_unchanged,
            "dirs": summary.directories,
            "others": summary.others,
            "data_added": summary.bytes_added,
            "data_added_packed": summary.bytes_stored,
            "chunks_added": summary.chunks_added,
            "total_files_processed": summary.files,
            "total_bytes_processed": summary.bytes,
            "total_duration": elapsed.as_secs_f64(),
            "problems": summary.problems,
            "backup_start": outcome.snapshot.time,
            "backup_end": backup::format_time(Timestamp::now()),
            "parent": outcome.snapshot.parent,
            "snapshot_id": id,
        }));
    }
    if context.messages.verbosity() == Verbosity::Quiet {
        return Ok(());
    }
    let count = units::count;
    output.line(&format!(
        "Files       {} new, {} changed, {} unchanged",
        count(summary.files_new),
        count(summary.files_changed),
        count(summary.files_unchanged)
    ))?;
    let others = match summary.others {
        0 => String::new(),
        others => format!(", {} links and special files", count(others)),
    };
    output.line(&format!("Directories {}{others}", count(summary.directories)))?;
    output.line(&format!(
        "{:<12}{}, {} stored",
        if dry_run { "Would add" } else { "Added" },
        units::bytes(summary.bytes_added),
        units::bytes(summary.bytes_stored)
    ))?;
    let rate = units::rate(summary.bytes, elapsed).map(|rate| format!(", {rate}")).unwrap_or_default();
    output.line(&format!(
        "Processed   {} in {}{rate}",
        units::bytes(summary.bytes),
        units::duration(elapsed)
    ))?;
    match outcome.id {
        Some(id) => output.line(&format!("Snapshot    {}", crate::catalog::short(&id))),
        None => output.line("Nothing was stored: this was a dry run"),
    }
}
