//! `strongroom ledger verify`: is the ledger what it was, and who else says so.

use super::source::{IdentityArgs, Source, read_checkpoint};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::local_files::{self, write_new};
use crate::units;
use clap::Args;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use strongroom_ledger::LedgerError;
use strongroom_ledger::checkpoint::SignedCheckpoint;
use strongroom_ledger::note::Note;
use strongroom_ledger::verify::{Attack, Report, VerifyOptions, verify};
use strongroom_ledger::witness::{Standing, WitnessPolicy};

/// Largest policy file, in bytes.
const POLICY_MAX: u64 = 64 << 10;

/// Options of `ledger verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// Demand that the ledger continues this checkpoint, from a file; may be repeated
    #[arg(long, value_name = "FILE")]
    pub continues: Vec<PathBuf>,

    /// Believe this checkpoint, from a file, and verify only what came after it
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,

    /// Demand the cosignatures of witnesses: a policy file of C2SP tlog-policy
    #[arg(long, value_name = "FILE")]
    pub witness_policy: Option<PathBuf>,

    /// Write the verified checkpoint to this file, for --continues and --from of a later day
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,

    /// Check hashes and signatures only, not what the entries say
    #[arg(long)]
    pub hashes_only: bool,

    /// Whose ledger.
    #[command(flatten)]
    pub identity: IdentityArgs,
}

/// What witnesses say of a checkpoint.
pub(super) struct Witnessed {
    pub(super) size: u64,
    pub(super) standing: Standing,
}

/// Reads a policy file.
pub(super) fn read_policy(path: &Path) -> Result<WitnessPolicy, CliError> {
    let bytes = local_files::read(path, POLICY_MAX)?;
    let wrong = |what: String| {
        CliError::new(ErrorKind::Usage, format!("{} is no witness policy: {what}", path.display()))
            .hint("it has lines such as `witness NAME VKEY URL`, `group NAME 2 A B C` and `quorum NAME`")
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("it is not UTF-8".into()))?;
    WitnessPolicy::parse(text).map_err(|error| wrong(error.to_string()))
}

/// Verifies.
///
/// # Errors
/// [`ErrorKind::LedgerForged`] with what somebody must have done.
pub(super) fn run(args: &VerifyArgs, context: &Context) -> Result<(), CliError> {
    let source = Source::open(context, &args.identity)?;
    let identity = source.reader.identity().clone();
    let policy = args.witness_policy.as_deref().map(read_policy).transpose()?;
    let mut remembered: Vec<_> = source.remembered.iter().cloned().collect();
    for path in &args.continues {
        remembered.push(read_checkpoint(path, &identity)?.checkpoint);
    }
    let from = args.from.as_deref().map(|path| read_checkpoint(path, &identity)).transpose()?;
    let options = VerifyOptions {
        remembered,
        from: from.map(|from| from.checkpoint),
        fields: !args.hashes_only,
        at_once: context.settings.threads.value.saturating_mul(2).max(2),
    };
    let report = source.block_on(verify(&source.reader, &options)).map_err(attacked)?;
    let witnessed = match &policy {
        Some(policy) => Some(standing(&source, policy)?),
        None => None,
    };
    if context.output.is_json() {
        context.output.json(&json(&source, &report, witnessed.as_ref()))?;
    } else {
        tell(context, &source, &report, witnessed.as_ref())?;
    }
    check_sound(&report)?;
    source.remember(context, &report.head.checkpoint);
    if let Some(path) = &args.save {
        write_new(path, report.head.note.encode().as_bytes())?;
    }
    match witnessed {
        Some(witnessed) if !witnessed.standing.met => Err(CliError::new(
            ErrorKind::Problems,
            "the ledger is consistent with itself, but too few witnesses have cosigned it",
        )
        .hint("`strongroom ledger witness --policy FILE` asks them")),
        _ => Ok(()),
    }
}

fn check_sound(report: &Report) -> Result<(), CliError> {
    if report.is_sound() {
        return Ok(());
    }
    let attacks: std::collections::BTreeSet<_> =
        report.findings.iter().map(|finding| finding.attack().as_str()).collect();
    let attacks: Vec<_> = attacks.into_iter().collect();
    Err(CliError::new(ErrorKind::LedgerForged, format!("the ledger was bent: {}", attacks.join(", "))))
}

/// The newest checkpoint of a ledger of which every entry was verified.
///
/// # Errors
/// [`ErrorKind::LedgerForged`] with what somebody must have done.
pub(crate) fn verified(source: &Source, context: &Context) -> Result<SignedCheckpoint, CliError> {
    let options = VerifyOptions {
        remembered: source.remembered.iter().cloned().collect(),
        at_once: context.settings.threads.value.saturating_mul(2).max(2),
        ..VerifyOptions::default()
    };
    let report = source.block_on(verify(&source.reader, &options)).map_err(attacked)?;
    check_sound(&report)?;
    source.remember(context, &report.head.checkpoint);
    Ok(report.head)
}

/// An error that says what somebody must have done.
fn attacked(error: LedgerError) -> CliError {
    match Attack::of(&error) {
        Some(attack) => {
            let kind = CliError::from(error.clone()).kind();
            CliError::new(kind, format!("the ledger was bent: {attack}")).caused_by(&error)
        }
        None => error.into(),
    }
}

fn standing(source: &Source, policy: &WitnessPolicy) -> Result<Witnessed, CliError> {
    let signed = source.block_on(source.reader.witnessed())?;
    let none = || Note { text: String::new(), signatures: Vec::new() };
    let (size, note) = signed.map_or_else(|| (0, none()), |signed| (signed.checkpoint.size, signed.note));
    Ok(Witnessed { size, standing: policy.standing(&note) })
}

/// Lines about each witness.
pub(super) fn tell_witnesses(context: &Context, head: u64, witnessed: &Witnessed) -> Result<(), CliError> {
    let Witnessed { size, standing } = witnessed;
    let output = &context.output;
    output.line(&format!(
        "  witnesses    {} of {} cosigned the first {} of {} entries: {}",
        standing.cosigned(),
        standing.witnesses.len(),
        units::count(*size),
        units::count(head),
        if standing.met { "enough for the policy" } else { "too few for the policy" },
    ))?;
    for witness in &standing.witnesses {
        let when = match witness.cosigned.and_then(age) {
            Some(age) => format!("cosigned {age} ago"),
            None => "has not cosigned".to_owned(),
        };
        output.line(&format!("               {}: {when}", crate::escape::text(&witness.name)))?;
    }
    Ok(())
}

fn age(seconds: u64) -> Option<String> {
    let then = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    let elapsed = std::time::Duration::try_from(Timestamp::now().duration_since(then)).unwrap_or_default();
    Some(units::age(elapsed))
}

fn tell(
    context: &Context,
    source: &Source,
    report: &Report,
    witnessed: Option<&Witnessed>,
) -> Result<(), CliError> {
    let head = &report.head.checkpoint;
    let output = &context.output;
    for finding in &report.findings {
        output.line(&format!("{}: {finding}", finding.attack()))?;
    }
    let verdict = if report.is_sound() { "sound" } else { "BENT" };
    output.line(&format!("ledger {}: {verdict}", head.origin))?;
    output.line(&format!(
        "  entries      {} to {}, {}",
        report.from,
        head.size,
        units::bytes(report.bytes)
    ))?;
    output.line(&format!("  root         {}", head.root.to_base64()))?;
    for key in source.reader.identity().keys() {
        output.line(&format!("  vkey         {key}"))?;
    }
    match source.remembered.as_ref().filter(|_| report.is_sound()) {
        Some(seen) => {
            output.line(&format!("  continues    {} entries, which this machine saw", seen.size))?
        }
        None => output.line("  continues    nothing: this machine has not seen this ledger before")?,
    }
    if !report.open_intents.is_empty() {
        let list: Vec<String> = report.open_intents.iter().map(u64::to_string).collect();
        output.line(&format!(
            "  unfinished   key uses without an outcome at {}: their programs stopped in the middle, or are at work",
            list.join(", ")
        ))?;
    }
    match witnessed {
        Some(witnessed) => tell_witnesses(context, head.size, witnessed),
        None => output.line(
            "  witnesses    not asked for: without them, whoever has the ledger's key and its storage could show \
             others another history",
        ),
    }
}

/// What witnesses say, as JSON.
pub(super) fn witnesses_json(witnessed: &Witnessed) -> serde_json::Value {
    let witnesses: Vec<_> = witnessed
        .standing
        .witnesses
        .iter()
        .map(|witness| serde_json::json!({"name": witness.name, "cosigned": witness.cosigned}))
        .collect();
    serde_json::json!({
        "met": witnessed.standing.met,
        "size": witnessed.size,
        "witnesses": witnesses,
    })
}

fn json(source: &Source, report: &Report, witnessed: Option<&Witnessed>) -> serde_json::Value {
    let head = &report.head.checkpoint;
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| serde_json::json!({"attack": finding.attack().as_str(), "text": finding.to_string()}))
        .collect();
    let keys: Vec<String> = source.reader.identity().keys().iter().map(ToString::to_string).collect();
    serde_json::json!({
        "message_type": "ledger_verified",
        "sound": report.is_sound(),
        "origin": head.origin,
        "size": head.size,
        "root": head.root.to_base64(),
        "vkeys": keys,
        "from": report.from,
        "bytes": report.bytes,
        "continues": source.remembered.as_ref().map(|seen| seen.size),
        "open_intents": report.open_intents,
        "findings": findings,
        "witnessed": witnessed.map(witnesses_json),
    })
}
