//! `strongroom posture analyse` and `threat-model`: who can hurt the backup keys, and what that breaks.

use super::source;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::escape;
use crate::local_files;
use clap::{Args, ValueEnum};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use strongroom_posture::analysis::table::COLUMNS;
use strongroom_posture::analysis::{Analysis, Function, Subject};
use strongroom_posture::estate::{AccountId, Arn};

/// Largest baseline that is read, in bytes.
const BASELINE_MAX: u64 = 64 << 20;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom posture analyse aws/ --function 111122223333=keys --function 444455556666=devops\n\
    \x20 strongroom posture analyse aws/ --key arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\n\
    \x20 strongroom posture analyse aws/ --format html -o posture.html\n\
    \x20 strongroom posture analyse aws/ --format sarif -o posture.sarif\n\
    \x20 strongroom posture analyse aws/ --baseline accepted.txt --save-baseline now.txt\n\
    \n\
    Exit codes: 0 where it was analysed, whatever was found; 3 where files had problems;\n\
    4 with --baseline, where somebody new can do harm, and with --strict where a control fails.";

/// What is analysed.
#[derive(Args, Clone, Debug)]
pub struct SubjectArgs {
    /// Directory with what was collected
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    /// ARN of a backup key; may be repeated [default: keys of accounts for keys, else of backup vaults, else all]
    #[arg(long = "key", value_name = "ARN", value_parser = key)]
    pub keys: Vec<String>,

    /// What an account is for: management, keys, backup, security, production, devops, infrastructure or business; may be
    /// repeated [default: as its name tells]
    #[arg(long = "function", value_name = "ACCOUNT=FUNCTION", value_parser = function)]
    pub functions: Vec<(AccountId, Function)>,
}

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal
    Text,
    /// One document with everything
    Json,
    /// SARIF 2.1.0, each path a code flow
    Sarif,
    /// One row for each actor, key and harm
    Csv,
    /// Everybody on a path, and every step, for other tools
    Graphml,
    /// One page for a browser, which loads nothing
    Html,
}

/// Tell who can hurt the backup keys, by which path, and which best practices that breaks
///
/// Reads what the AWS CLI printed, as `scripts/posture-collect` collects it. Every path is followed back from the keys:
/// roles that are taken, policies that are changed, code that carries roles, the organisation. "Nobody" and PASS are only
/// said where everything was collected that could change it.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct AnalyseArgs {
    /// What.
    #[command(flatten)]
    pub subject: SubjectArgs,

    /// Form of the report [default: text, or json with --json]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub format: Option<Format>,

    /// File for the report [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Tell only what this one can do: an ARN, as the report has it
    #[arg(long, value_name = "ARN")]
    pub from: Option<String>,

    /// Exit with 4 where somebody can do harm who is not in this file
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,

    /// Write who can do harm now into this file
    #[arg(long, value_name = "FILE")]
    pub save_baseline: Option<PathBuf>,

    /// Exit with 4 where a control fails
    #[arg(long)]
    pub strict: bool,
}

/// Write the threat model of the backup keys from the configuration
///
/// Assets, trust boundaries, actors with what each can do to each key, and the control that stops it or the path that
/// does not, as Markdown with a diagram.
#[derive(Args, Clone, Debug)]
pub struct ThreatModelArgs {
    /// What.
    #[command(flatten)]
    pub subject: SubjectArgs,

    /// File for the document [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

fn key(text: &str) -> Result<String, String> {
    match Arn::parse(text) {
        Some(arn) if arn.service == "kms" && arn.resource.starts_with("key/") => Ok(text.into()),
        _ => {
            Err("expected the ARN of a key, such as arn:aws:kms:eu-west-1:111122223333:key/1234abcd-…".into())
        }
    }
}

fn function(text: &str) -> Result<(AccountId, Function), String> {
    let (account, function) =
        text.split_once('=').ok_or("expected ACCOUNT=FUNCTION, such as 111122223333=keys")?;
    let account = account.parse().map_err(|error| format!("`{account}` is {error}"))?;
    Ok((account, function.parse()?))
}

pub(super) fn subject(args: &SubjectArgs) -> Subject {
    Subject {
        keys: args.keys.iter().map(|key| Arc::from(key.as_str())).collect(),
        functions: args.functions.clone(),
    }
}

/// Analyses.
///
/// # Errors
/// Where the input cannot be read or parts of it could not be used, or what was demanded does not hold.
pub(super) fn run(args: &AnalyseArgs, context: &Context) -> Result<(), CliError> {
    let estate = source::load(&args.subject.directory, context)?;
    let analysis = Analysis::of(&estate, &subject(&args.subject));
    let format = args.format.unwrap_or(if context.output.is_json() { Format::Json } else { Format::Text });
    let report = match &args.from {
        Some(from) => narrowed(&analysis, from)?,
        None => render(&analysis, format)?,
    };
    put(args.output.as_deref(), report.as_bytes(), context)?;
    if let Some(path) = &args.save_baseline {
        let lines: String = analysis.baseline().iter().map(|line| format!("{}\n", one_line(line))).collect();
        fs::write(path, lines).map_err(|error| CliError::file("written", path, &error))?;
    }
    if let Some(path) = &args.baseline {
        compare(&analysis, path, context)?;
    }
    if args.strict && analysis.fails() {
        return Err(CliError::new(ErrorKind::PostureFails, "a best practice for backup keys is broken")
            .hint("the report names the controls that FAIL, with what breaks each"));
    }
    troubles(&analysis, context)
}

/// Writes the threat model.
///
/// # Errors
/// As [`run`].
pub(super) fn threat_model(args: &ThreatModelArgs, context: &Context) -> Result<(), CliError> {
    let estate = source::load(&args.subject.directory, context)?;
    let analysis = Analysis::of(&estate, &subject(&args.subject));
    put(args.output.as_deref(), analysis.to_threat_model().as_bytes(), context)?;
    troubles(&analysis, context)
}

fn render(analysis: &Analysis<'_>, format: Format) -> Result<String, CliError> {
    let pretty = |value: &serde_json::Value| format!("{value:#}\n");
    Ok(match format {
        Format::Text => escape::text(&analysis.to_text()),
        Format::Json => format!("{}\n", analysis.to_json()),
        Format::Sarif => pretty(&analysis.to_sarif()),
        Format::Graphml => analysis.to_graphml(),
        Format::Html => analysis.to_page(),
        Format::Csv => {
            let failed = |error: &dyn std::error::Error| {
                CliError::new(ErrorKind::Bug, "the table cannot be written").caused_by(error)
            };
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(COLUMNS).map_err(|error| failed(&error))?;
            for row in analysis.to_rows() {
                let row = row.map(|cell| crate::commands::ledger::inert(one_line(&cell)));
                writer.write_record(row).map_err(|error| failed(&error))?;
            }
            let bytes = writer.into_inner().map_err(|error| failed(error.error()))?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
    })
}

/// What one actor can do.
fn narrowed(analysis: &Analysis<'_>, from: &str) -> Result<String, CliError> {
    let mine: Vec<_> =
        analysis.findings.iter().filter(|finding| finding.path.from.to_string() == from).collect();
    if mine.is_empty() {
        let known = analysis.reach.gaps.is_empty();
        let what =
            if known { "reaches none of the keys" } else { "reaches none of the keys in what was collected" };
        return Ok(format!("{} {what}\n", escape::text(from)));
    }
    let mut out = String::new();
    for finding in mine {
        out.push_str(&escape::text(&analysis.tell(finding)));
    }
    Ok(out)
}

fn one_line(text: &str) -> String {
    escape::text(text).replace('\n', " ")
}

fn compare(analysis: &Analysis<'_>, path: &Path, context: &Context) -> Result<(), CliError> {
    let bytes = local_files::read(path, BASELINE_MAX)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| CliError::file("read", path, &std::io::Error::other(error)))?;
    let baseline: BTreeSet<String> =
        text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let difference = analysis.since(&baseline);
    for line in &difference.gone {
        context.messages.note(&format!("no longer: {}", one_line(line)));
    }
    for line in &difference.new {
        context.messages.warn(&format!("new: {}", one_line(line)));
    }
    match difference.new.len() {
        0 => Ok(()),
        many => Err(CliError::new(
            ErrorKind::PostureFails,
            format!("{many} ways to do harm are new since the baseline"),
        )
        .hint("the warnings above name each; the report has the paths")),
    }
}

pub(super) fn put(path: Option<&Path>, bytes: &[u8], context: &Context) -> Result<(), CliError> {
    match path {
        Some(path) => fs::write(path, bytes).map_err(|error| CliError::file("written", path, &error)),
        None => context.output.raw(bytes),
    }
}

fn troubles(analysis: &Analysis<'_>, context: &Context) -> Result<(), CliError> {
    match analysis.problems.len() {
        0 => Ok(()),
        many => {
            for problem in analysis.problems.iter().take(source::SHOWN) {
                context.messages.warn(problem);
            }
            Err(CliError::new(
                ErrorKind::Problems,
                format!("{many} problems in what was collected: what hangs on them is unproven"),
            )
            .hint("--format json lists each of them with file and line"))
        }
    }
}
