//! `strongroom reconcile`: the providers' trails against the ledger.
//!
//! The trails are read first and the ledger afterwards, so that what was done in between is not taken for a key use
//! that nobody made.

mod bindings;

use crate::commands::Context;
use crate::commands::ledger::source::{IdentityArgs, Source};
use crate::commands::ledger::verify::verified;
use crate::error::{CliError, ErrorKind};
use crate::provider_keys;
use crate::session::{self, open_store};
use crate::snapshot_spec::parse_time;
use crate::trails::{self, TrailArgs, Trails, parse_duration};
use crate::{pins, units};
use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use std::path::{Path, PathBuf};
use strongroom_format::keyring::Keyring;
use strongroom_ledger::entry::{Entry, Phase};
use strongroom_trail::detect::{self, detect};
use strongroom_trail::event::Event;
use strongroom_trail::reconcile::{self as join, KeyUse, Reconciliation, Verdict, key_uses};
use strongroom_trail::report::{Inputs, Outcome, Report};
use strongroom_vault::access::Vault;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom reconcile --audit file=/var/log/openbao/audit.log\n\
    \x20 strongroom reconcile --trail trail --public-keys keys.json --selectors selectors.json\n\
    \x20 strongroom reconcile --trail trail --since 2026-11-01 --format html -o november.html\n\
    \x20 strongroom reconcile --trail trail --principal 'arn:aws:sts::123456789012:assumed-role/backup/*'";

/// How the report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One page that loads nothing.
    Html,
    /// For programs.
    Json,
    /// SARIF 2.1.0, for code-scanning dashboards.
    Sarif,
    /// For people.
    Text,
}

fn since(text: &str) -> Result<Timestamp, String> {
    parse_time(text, &units::local_zone(), false)
}

fn until(text: &str) -> Result<Timestamp, String> {
    parse_time(text, &units::local_zone(), true)
}

/// Hold the providers' trails against the ledger: is every key use ours?
///
/// Each event of a trail and each key use of the ledger gets a verdict. UNEXPLAINED is a use of a key that is in no
/// entry: somebody else has our rights. PHANTOM is an entry of which the provider knows nothing, by a trail that is
/// proven to be whole. Exits with 4 where ledger and trail do not agree or one of them was bent, with 3 where not all
/// could be verified or calls endanger keys.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ReconcileArgs {
    /// Which trails.
    #[command(flatten)]
    pub trails: TrailArgs,

    /// Public keys of CloudTrail, to verify its digests; may be repeated
    #[arg(long, value_name = "FILE")]
    pub public_keys: Vec<PathBuf>,

    /// What `aws cloudtrail get-event-selectors` prints, of each trail; may be repeated
    #[arg(long, value_name = "FILE")]
    pub selectors: Vec<PathBuf>,

    /// The ledger: directory or s3://bucket/prefix [default: that of the vault]
    #[arg(long, value_name = "LOCATION")]
    pub ledger: Option<String>,

    /// Whose ledger.
    #[command(flatten)]
    pub identity: IdentityArgs,

    /// How long the provider may take to deliver an event; what is younger is PENDING
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = parse_duration)]
    pub settle: SignedDuration,

    /// How long entries may take into the ledger, by a spool; events that are younger are PENDING
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = parse_duration)]
    pub ledger_delay: SignedDuration,

    /// By how much the clocks of hosts and providers may differ
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = parse_duration)]
    pub skew: SignedDuration,

    /// Only what was at or after this time
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Timestamp>,

    /// Only what was at or before this time
    #[arg(long, value_name = "TIME", value_parser = until)]
    pub until: Option<Timestamp>,

    /// Key uses are made by this principal, or by those that begin so before `*`; may be repeated [default: by any]
    #[arg(long, value_name = "NAME")]
    pub principal: Vec<String>,

    /// This service may use the keys, such as backup.amazonaws.com; may be repeated
    #[arg(long, value_name = "NAME")]
    pub service: Vec<String>,

    /// Say PHANTOM also where a log that nobody signs claims to be whole
    #[arg(long)]
    pub believe_claims: bool,

    /// Ask the Transit servers of the vault's keyholders whether the hashed contexts are those of the ledger
    #[arg(long)]
    pub check_contexts: bool,

    /// How the report is written [default: text, or json with --json]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,

    /// Write the report to this file, which must not exist
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// The keyring of the settings' vault, where there is one.
pub(crate) fn keyring(context: &Context) -> Result<Option<Keyring>, CliError> {
    let Some(location) = &context.settings.location else { return Ok(None) };
    let runtime = session::runtime()?;
    let store = open_store(&runtime, &location.value)?;
    let vault = runtime.block_on(Vault::open(store))?;
    runtime.block_on(pins::check(context, &vault))?;
    Ok(Some(vault.keyring().clone()))
}

/// Reconciles.
///
/// # Errors
/// [`ErrorKind::KeyUseUnexplained`] where somebody must look at it, [`ErrorKind::LedgerForged`] where the ledger does
/// not verify, [`ErrorKind::Problems`] where not everything could be verified.
pub fn run(args: &ReconcileArgs, context: &Context) -> Result<(), CliError> {
    if args.trails.is_empty() {
        return Err(CliError::new(ErrorKind::Usage, "no trail is given")
            .hint("give --trail DIR, --audit DEVICE=FILE, --gcp FILE or --azure FILE"));
    }
    let now = Timestamp::now();
    let threads = context.settings.threads.value;
    let keyring = keyring(context)?;
    if keyring.is_none() {
        context.messages.note("no vault is given: the keys are those that the ledger's entries name");
    }
    let holders = keyring.as_ref().map(|keyring| &keyring.keyholders);
    let selectors = trails::selectors(&args.selectors)?;
    let keys = trails::public_keys(&args.public_keys)?;
    let mounts = holders.map(provider_keys::mounts).unwrap_or_default();
    let trails = Trails::read(&args.trails, &mounts, threads, now)?;
    let digests = (!args.public_keys.is_empty())
        .then(|| trails::verify_digests(&args.trails.trail, &keys, None, threads));
    let warnings = trails.devices.as_ref().map(trails::device_warnings).unwrap_or_default();
    warnings.iter().for_each(|warning| context.messages.warn(warning));
    let uses = ledger_uses(args, context)?;

    let coverage = trails.coverage(&selectors, digests.as_ref(), args.settle);
    let options = join::Options {
        ledger_delay: args.ledger_delay,
        trail_delay: args.settle,
        skew: args.skew,
        keys: holders.map(provider_keys::by_label).unwrap_or_default(),
        principals: args.principal.clone(),
        services: args.service.clone(),
        believe_claims: args.believe_claims,
        ..join::Options::new(now)
    };
    let mut reconciliation = join::reconcile(&uses, &trails.events, &coverage, &options);
    if args.check_contexts {
        bindings::check(context, keyring.as_ref(), &mut reconciliation, &uses, &trails.events)?;
    }
    let mut detections = detect(
        &trails.events,
        &detect::Options { keys: our_keys(keyring.as_ref(), &uses), ..detect::Options::default() },
    );
    let wanted = |time: Timestamp| {
        args.since.is_none_or(|since| time >= since) && args.until.is_none_or(|until| time <= until)
    };
    only(&mut reconciliation, &uses, &trails.events, wanted);
    detections.retain(|found| trails.events.get(found.event).is_some_and(|event| wanted(event.time)));
    let report = Report::new(Inputs {
        now,
        summary: &trails.summary,
        digests: digests.as_ref(),
        coverage: &coverage,
        events: &trails.events,
        uses: &uses,
        reconciliation: &reconciliation,
        detections: &detections,
    });
    write(args, context, &report)?;
    ended(&report, &reconciliation, !warnings.is_empty())
}

/// The key uses of the verified ledger.
fn ledger_uses(args: &ReconcileArgs, context: &Context) -> Result<Vec<KeyUse>, CliError> {
    let source = Source::open_at(context, &args.identity, args.ledger.as_deref())?;
    let head = verified(&source, context)?;
    let mut entries = Vec::new();
    source.block_on(source.reader.walk(&head, |index, bytes| {
        // `verified` has refused what is no entry.
        if let Ok(entry) = Entry::decode(bytes)
            && entry.phase != Phase::Event
        {
            entries.push((index, entry));
        }
    }))?;
    Ok(key_uses(entries.iter().map(|(index, entry)| (*index, entry))))
}

fn our_keys(keyring: Option<&Keyring>, uses: &[KeyUse]) -> Vec<String> {
    let mut keys: Vec<String> = uses
        .iter()
        .filter(|key_use| key_use.has_trail())
        .filter_map(|key_use| key_use.key_id.clone())
        .chain(keyring.map(|keyring| provider_keys::with_trails(&keyring.keyholders)).into_iter().flatten())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Leaves only what was at a wanted time. Joined was everything, so that nothing falls apart at the edges.
fn only(
    reconciliation: &mut Reconciliation,
    uses: &[KeyUse],
    events: &[Event],
    wanted: impl Fn(Timestamp) -> bool,
) {
    reconciliation.findings.retain(|finding| {
        let event = finding.event.and_then(|at| events.get(at)).map(|event| event.time);
        let time = event.or_else(|| finding.key_use.and_then(|at| uses.get(at)).map(|key_use| key_use.time));
        time.is_none_or(&wanted)
    });
    reconciliation.counts.clear();
    for finding in &reconciliation.findings {
        *reconciliation.counts.entry(finding.verdict).or_default() += 1;
    }
}

fn write(args: &ReconcileArgs, context: &Context, report: &Report) -> Result<(), CliError> {
    let format = args.format.unwrap_or(if context.output.is_json() { Format::Json } else { Format::Text });
    let text = match format {
        Format::Html => report.to_html(),
        Format::Json => report.to_json(),
        Format::Sarif => report.to_sarif(),
        Format::Text => report.to_text(),
    };
    match &args.output {
        Some(path) => write_report(path, &text),
        None => context.output.raw(text.as_bytes()),
    }
}

fn write_report(path: &Path, text: &str) -> Result<(), CliError> {
    crate::local_files::write_new(path, text.as_bytes())
}

fn ended(report: &Report, reconciliation: &Reconciliation, incomplete: bool) -> Result<(), CliError> {
    match report.result {
        Outcome::Alarm => {
            let alarms: Vec<String> = Verdict::ALL
                .iter()
                .filter(|verdict| verdict.is_alarm())
                .filter_map(|verdict| Some((verdict, *reconciliation.counts.get(verdict)?)))
                .filter(|(_, count)| *count > 0)
                .map(|(verdict, count)| format!("{count} {}", verdict.as_str()))
                .collect();
            let tampering =
                report.digests.iter().flat_map(|digests| &digests.faults).any(|fault| fault.tampering);
            Err(match &alarms[..] {
                [] if tampering => {
                    CliError::new(ErrorKind::TrailTampered, "somebody changed or removed parts of the trail")
                }
                // Every key use is explained; the calls may be our own.
                [] => CliError::new(ErrorKind::Problems, "calls in the trail endanger keys or trails")
                    .hint("the report's detections tell what each means, and what stops it"),
                _ => CliError::new(
                    ErrorKind::KeyUseUnexplained,
                    format!("ledger and trail do not agree: {}", alarms.join(", ")),
                ),
            })
        }
        Outcome::Problems => Err(CliError::new(
            ErrorKind::Problems,
            "every key use that can be judged is explained; not all can be judged",
        )),
        Outcome::Clean if incomplete => {
            Err(CliError::new(ErrorKind::Problems, "audit devices do not have the same requests"))
        }
        Outcome::Clean => Ok(()),
    }
}
