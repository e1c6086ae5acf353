//! `strongroom copy`: snapshots into another vault or dataset.

use crate::args::{GlobalArgs, SnapshotFilter};
use crate::browse::Browsing;
use crate::catalog::{self, Catalog, Known};
use crate::commands::Context;
use crate::commands::backup::compression;
use crate::error::{CliError, ErrorKind};
use crate::messages::Verbosity;
use crate::progress::{ProgressMode, ProgressSink};
use crate::secrets::PassphraseSource;
use crate::session::Session;
use crate::settings::{Origin, Settings};
use crate::units;
use crate::whoami;
use clap::Args;
use std::collections::BTreeSet;
use std::sync::Arc;
use strongroom_custody::ReasonCode;
use strongroom_format::ObjectHash;
use strongroom_format::keyring::Keyring;
use strongroom_vault::copy::{self, Copied, Options};
use strongroom_vault::monitor::Monitor;
use strongroom_vault::progress::Counters;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom copy latest --to-vault s3://backups/second\n\
    \x20 strongroom copy --host host-a --to-vault offsite --dry-run";

/// Copy snapshots into another vault
///
/// Content is opened with the read key of this vault and sealed to that of the other.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CopyArgs {
    /// Only these snapshots
    #[arg(value_name = "SNAPSHOT")]
    pub snapshots: Vec<String>,

    /// Location or name of the other vault
    #[arg(long, value_name = "LOCATION")]
    pub to_vault: String,

    /// Dataset in the other vault [default: the same name]
    #[arg(long, value_name = "NAME")]
    pub to_dataset: Option<String>,

    /// Which snapshots.
    #[command(flatten)]
    pub filter: SnapshotFilter,

    /// Show what would be done, and do nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
}

/// Packs that are uploaded at the same time.
const UPLOADS: usize = 4;

/// Copies snapshots.
///
/// # Errors
/// Where custody of either vault refuses, something is damaged, or the other vault cannot be written.
pub fn run(args: &CopyArgs, context: &Context) -> Result<(), CliError> {
    let browsing = Browsing::open(context, ReasonCode::Restore, None)?;
    let catalog = Catalog::load(&browsing.reading.handle, &context.messages)?;
    let chosen = catalog.choose(&args.snapshots, &args.filter)?;

    let to_context = destination(args, context, browsing.reading.session.vault.keyring())?;
    let to = Session::open(&to_context, ReasonCode::Backup)?;
    let to_handle = to.write()?;
    if to_handle.owner == browsing.reading.handle.owner {
        return Err(CliError::new(ErrorKind::Usage, "source and destination are the same dataset"));
    }
    // A copy of a copy is known by the first form, too.
    let there = Catalog::load(&to_handle, &context.messages)?;
    let originals: BTreeSet<ObjectHash> = there
        .snapshots
        .iter()
        .flat_map(|known| [Some(known.id), known.snapshot.original])
        .flatten()
        .collect();
    let is_there = |known: &&&Known| {
        originals.contains(&known.id)
            || known.snapshot.original.is_some_and(|original| originals.contains(&original))
    };
    let skipped = chosen.iter().filter(is_there).count();
    let waiting: Vec<&Known> = chosen.iter().filter(|known| !is_there(known)).copied().collect();
    if skipped > 0 {
        context.messages.note(&format!("{skipped} of {} snapshots are there already", chosen.len()));
    }
    if args.dry_run {
        for known in &waiting {
            if context.output.is_json() {
                context
                    .output
                    .json(&serde_json::json!({"message_type": "would_copy", "snapshot": known.id}))?;
            } else {
                context.output.line(&format!("would copy snapshot {}", known.describe()))?;
            }
        }
        return Ok(());
    }
    if waiting.is_empty() {
        context.messages.note("nothing to copy");
        return Ok(());
    }
    let key = to.session_key(&to_handle, context)?;
    context.watch_signals();

    let counters = Arc::new(Counters::new());
    for known in &waiting {
        counters.found(known.snapshot.summary.files, known.snapshot.summary.bytes);
    }
    counters.totals_final();
    let settings = &context.settings;
    let mode = ProgressMode::choose(settings.json, settings.progress.value, settings.verbosity);
    let (output, messages) = (Arc::clone(&context.output), Arc::clone(&context.messages));
    let display = ProgressSink::start(mode, "copying", Arc::clone(&counters), output, messages);
    let options = Options {
        compression: compression(to_context.settings.compression.value),
        uploads: UPLOADS,
        host: whoami::host(),
    };
    let monitor = Monitor { counters: &counters, cancel: &context.cancel, on_problem: &|_| {} };
    let snapshots: Vec<_> = waiting.iter().map(|known| (known.id, known.snapshot.clone())).collect();
    let mut copied: Vec<Copied> = Vec::new();
    let result = copy::run(&browsing.reader, &to_handle, &key, &snapshots, &options, &monitor, &mut |done| {
        copied.push(done);
    });
    display.finish();
    // What was copied before a failure is there.
    copied.iter().try_for_each(|copied| tell(copied, context))?;
    Ok(result?)
}

fn tell(copied: &Copied, context: &Context) -> Result<(), CliError> {
    let Copied { source, id, stored } = copied;
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({
            "message_type": "copied",
            "source": source,
            "snapshot_id": id,
            "data_added": stored.bytes,
            "data_added_packed": stored.stored,
        }));
    }
    if context.messages.verbosity() == Verbosity::Quiet {
        return Ok(());
    }
    context.output.line(&format!(
        "copied snapshot {} as {}: {} added, {} stored",
        catalog::short(source),
        catalog::short(id),
        units::bytes(stored.bytes),
        units::bytes(stored.stored)
    ))
}

/// The settings for the other vault. Options that name keys of the first vault are not for the other one.
fn destination(args: &CopyArgs, context: &Context, first: &Keyring) -> Result<Context, CliError> {
    let settings = &context.settings;
    let by_option = |origin: Origin| origin == Origin::CommandLine;
    let passphrase = Some(&settings.passphrase).filter(|source| by_option(source.origin));
    let passphrase = passphrase.map(|source| source.value.clone());
    let key_files = settings.key_files.iter().filter(|file| by_option(file.origin)).map(|file| &file.value);
    let flags = GlobalArgs {
        vault: Some(args.to_vault.clone()),
        dataset: Some(args.to_dataset.clone().unwrap_or_else(|| settings.dataset.value.clone())),
        key_file: key_files.filter(|file| !first.keyholders.contains_key(&file.label)).cloned().collect(),
        identity: {
            let by_option = settings.identities.iter().filter(|path| by_option(path.origin));
            by_option.map(|path| path.value.clone()).collect()
        },
        // A request opens the vault that is read.
        request: None,
        approval: Vec::new(),
        passphrase_file: match &passphrase {
            Some(PassphraseSource::File(path)) => Some(path.clone()),
            _ => None,
        },
        passphrase_command: match &passphrase {
            Some(PassphraseSource::Command(command)) => Some(command.clone()),
            _ => None,
        },
        reason: settings.reason.as_ref().map(|reason| reason.value.clone()),
        ledger_spool: settings.ledger_spool.as_ref().map(|spool| spool.value.clone()),
        config: settings
            .config
            .as_ref()
            .filter(|path| path.origin != Origin::Default)
            .map(|path| path.value.clone()),
        cache_dir: settings.cache_dir.as_ref().map(|dir| dir.value.clone()),
        no_cache: !settings.cache.value,
        threads: Some(settings.threads.value),
        compression: Some(&settings.compression).filter(|c| by_option(c.origin)).map(|c| c.value),
        json: settings.json,
        quiet: settings.verbosity == Verbosity::Quiet,
        verbose: settings.verbosity == Verbosity::Verbose,
        no_progress: !settings.progress.value,
        color: Some(settings.color.value),
    };
    Ok(Context {
        settings: Settings::load(&flags, &context.env)?,
        env: context.env.clone(),
        output: Arc::clone(&context.output),
        messages: Arc::clone(&context.messages),
        cancel: Arc::clone(&context.cancel),
        ledgers: context.ledgers.clone(),
    })
}
