//! `strongroom watch`: calls that endanger keys or trails, as soon as a trail tells of them.
//!
//! In scope: what was added to trails since the last look, detections in it, what of the vault would die, telling it, and
//! bringing keys back. Out of scope: whether key uses are ours, which `reconcile` tells.
//!
//! - Invariant: an alert is kept on disk before the place in a trail that it came from is left behind, and until every
//!   receiver has taken it. A crash repeats an alert; it loses none.

mod alert;
mod blast;
mod feed;
mod position;
mod rescue;
mod sinks;

use crate::commands::Context;
use crate::commands::reconcile::keyring;
use crate::error::{CliError, ErrorKind};
use crate::trails::{TrailArgs, parse_duration};
use crate::{provider_keys, session};
use alert::Alert;
use clap::{Args, ValueEnum};
use feed::Feed;
use jiff::{SignedDuration, Timestamp};
use position::Position;
use sinks::{SinkArgs, Sinks};
use std::path::PathBuf;
use strongroom_format::keyring::Keyring;
use strongroom_trail::detect::{self, Detection, Severity, detect};
use strongroom_trail::event::Event;

/// Most events that are kept to see several of them together.
const RECENT_MAX: usize = 10_000;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom watch --audit file=/var/log/openbao/audit.log --syslog udp://logs.example:514\n\
    \x20 strongroom watch --trail trail --once --json\n\
    \x20 strongroom watch --events events.jsonl --webhook https://alerts.example/in --webhook-secret secret.txt\n\
    \x20 strongroom watch --events events.jsonl --auto-cancel --smtp smtps://mail.example --mail-to security@example.com";

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Good to know.
    Info,
    /// Weakens something.
    Low,
    /// Prepares harm.
    Medium,
    /// Does harm that can be undone, or lets somebody read.
    High,
    /// Takes backups away, or blinds those who watch.
    Critical,
}

impl Level {
    fn severity(self) -> Severity {
        match self {
            Self::Info => Severity::Info,
            Self::Low => Severity::Low,
            Self::Medium => Severity::Medium,
            Self::High => Severity::High,
            Self::Critical => Severity::Critical,
        }
    }
}

/// Tell of calls that endanger keys or trails, with what would die of them
///
/// Looks at what was added to trails since the last look; its place in them is kept. An alert names the datasets and
/// snapshots of the vault that would die, when, and the command that stops it. With --once, exits with 3 where
/// something was told or could not be delivered.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct WatchArgs {
    /// Which trails.
    #[command(flatten)]
    pub trails: TrailArgs,

    /// File to which events of CloudTrail or EventBridge are added, one JSON object a line; may be repeated
    #[arg(long, value_name = "FILE")]
    pub events: Vec<PathBuf>,

    /// Look once, then end
    #[arg(long)]
    pub once: bool,

    /// How long to wait between two looks
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub interval: SignedDuration,

    /// Events that are older than this are no news
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = parse_duration)]
    pub lookback: SignedDuration,

    /// Tell only what is at least this bad
    #[arg(long, value_name = "LEVEL", default_value = "medium")]
    pub min_severity: Level,

    /// File for the place in the trails and for what was told [default: one for each vault, in the home directory]
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// Bring keys of AWS KMS back that somebody schedules for deletion or disables: once for each such call
    ///
    /// Needs kms:DescribeKey, kms:CancelKeyDeletion and kms:EnableKey. What was done is an entry of the ledger. A key
    /// that `strongroom key suspend` disabled stays disabled.
    #[arg(long)]
    pub auto_cancel: bool,

    /// Who is told.
    #[command(flatten)]
    pub sinks: SinkArgs,
}

/// Watches.
///
/// # Errors
/// [`ErrorKind::Usage`], [`ErrorKind::LocalFile`]; with `--once`, [`ErrorKind::Problems`] where something was told.
pub fn run(args: &WatchArgs, context: &Context) -> Result<(), CliError> {
    if !args.trails.gcp.is_empty() || !args.trails.azure.is_empty() {
        return Err(CliError::new(ErrorKind::Usage, "logs of Google Cloud and Azure cannot be watched yet")
            .hint("`strongroom reconcile` reads them"));
    }
    if args.trails.is_empty() && args.events.is_empty() {
        return Err(CliError::new(ErrorKind::Usage, "no trail is given")
            .hint("give --trail DIR, --audit DEVICE=FILE or --events FILE"));
    }
    if args.auto_cancel && context.settings.location.is_none() {
        return Err(CliError::new(
            ErrorKind::Usage,
            "--auto-cancel needs a vault: it brings back its keys only",
        ));
    }
    let sinks = Sinks::open(&args.sinks, context)?;
    let runtime = session::runtime()?;
    let mut watch = Watch {
        args,
        context,
        position: Position::load(args.state.as_deref(), context)?,
        recent: Vec::new(),
        sinks,
        runtime: &runtime,
    };
    if !args.once {
        context.watch_signals();
    }
    loop {
        let told = watch.look()?;
        let waiting = watch.position.waiting();
        if args.once {
            return match (told, waiting) {
                (0, 0) => Ok(()),
                (told, 0) => Err(CliError::new(ErrorKind::Problems, format!("{told} alerts"))),
                (told, waiting) => Err(CliError::new(
                    ErrorKind::Problems,
                    format!("{told} alerts; {waiting} deliveries failed and are tried again next time"),
                )),
            };
        }
        let until = std::time::Instant::now() + args.interval.unsigned_abs();
        while std::time::Instant::now() < until {
            if context.cancel.is_requested() {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(100).min(args.interval.unsigned_abs()));
        }
        if context.cancel.is_requested() {
            return Ok(());
        }
    }
}

struct Watch<'a> {
    args: &'a WatchArgs,
    context: &'a Context,
    position: Position,
    recent: Vec<Event>,
    sinks: Sinks,
    runtime: &'a tokio::runtime::Runtime,
}

impl Watch<'_> {
    /// Looks once; how many alerts are new.
    fn look(&mut self) -> Result<usize, CliError> {
        let (args, context) = (self.args, self.context);
        let now = Timestamp::now();
        // The keyring is read at each look: keys come and go.
        let keyring = match keyring(context) {
            Ok(keyring) => keyring,
            Err(error) if args.once => return Err(error),
            Err(error) => {
                context.messages.warn(&format!("the vault cannot be read, so every key counts: {error}"));
                None
            }
        };
        let mounts = keyring.as_ref().map(|keyring| provider_keys::mounts(&keyring.keyholders));
        let feed =
            Feed { args, mounts: mounts.unwrap_or_default(), threads: context.settings.threads.value, now };
        let (events, problems) = feed.read(&mut self.position)?;
        problems.iter().for_each(|problem| context.messages.warn(problem));
        let earliest = now.saturating_sub(args.lookback).unwrap_or(Timestamp::MIN);
        self.recent.extend(events.into_iter().filter(|event| event.time >= earliest));
        let alerts = self.alerts(keyring.as_ref(), now);
        let count = alerts.len();
        for alert in alerts {
            context.output.json_or(&alert.document, &alert.text)?;
            self.position.enqueue(&self.sinks.names(), &alert);
        }
        context.output.flush()?;
        self.position.save()?;
        if self.position.waiting() > 0 {
            let (sinks, runtime) = (&self.sinks, self.runtime);
            let failed = self.position.deliver(|name, alert| runtime.block_on(sinks.deliver(name, alert)));
            failed.iter().for_each(|failure| context.messages.warn(failure));
            self.position.save()?;
        }
        self.forget(now);
        Ok(count)
    }

    /// What was found and not told before. Keys are brought back first.
    fn alerts(&mut self, keyring: Option<&Keyring>, now: Timestamp) -> Vec<Alert> {
        let keys = keyring.map(|keyring| provider_keys::with_trails(&keyring.keyholders)).unwrap_or_default();
        let options = detect::Options { keys, ..detect::Options::default() };
        let found = detect(&self.recent, &options);
        let wanted: Vec<&Detection> = found
            .iter()
            .filter(|found| found.severity >= self.args.min_severity.severity())
            .filter(|found| self.recent.get(found.event).is_some())
            .collect();
        let mut alerts = Vec::new();
        for found in wanted {
            let event = &self.recent[found.event];
            if !self.position.is_new(found, event, now) {
                continue;
            }
            let rescue = match keyring {
                Some(keyring) if self.args.auto_cancel => {
                    rescue::answer(self.context, self.runtime, keyring, event)
                }
                _ => None,
            };
            let blast = blast::of(self.context, self.runtime, event);
            if let Err(error) = &blast {
                self.context.messages.warn(&format!("what would die cannot be told: {error}"));
            }
            alerts.push(Alert::new(found, event, blast.ok().flatten().as_ref(), rescue.as_ref()));
        }
        alerts
    }

    /// Keeps the events that later ones may belong to.
    fn forget(&mut self, now: Timestamp) {
        let span = detect::Options::default().burst_time;
        let newest = self.recent.iter().map(|event| event.time).max().unwrap_or(now);
        let from = newest.saturating_sub(span).unwrap_or(Timestamp::MIN);
        self.recent.retain(|event| event.time >= from);
        if self.recent.len() > RECENT_MAX {
            self.recent.sort_by_key(|event| event.time);
            self.recent.drain(..self.recent.len() - RECENT_MAX);
        }
        self.position.forget(now);
    }
}
