//! `strongroom posture fix`: the fewest edits of policies that close every way from outside to the backup keys.

use super::analyse::{SubjectArgs, put, subject};
use super::source::{self, Troubles};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::escape;
use crate::local_files;
use crate::trails::{TrailArgs, Trails};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use strongroom_posture::estate::Arn;
use strongroom_posture::evaluate::Evaluator;
use strongroom_posture::fixes::{Need, find};

/// Largest file of needs that is read, in bytes.
const NEEDS_MAX: u64 = 16 << 20;

const EXAMPLES: &str = "Examples:\n\
    \x20 strongroom posture fix aws/ --trail cloudtrail/\n\
    \x20 strongroom posture fix aws/ --needs needs.txt --format terraform -o fix.tf.json\n\
    \n\
    A line of needs.txt: arn:aws:iam::111122223333:role/deploy sts:AssumeRole arn:aws:iam::444455556666:role/target";

/// Tell the fewest edits of policies that close every way from outside to the backup keys
///
/// Each edit is a statement that denies: in a trust policy, an inline policy, the policy of a key, or a new service control
/// policy. All are looked at together once more, with whatever opens behind them. Nothing is changed in AWS. Left alone is
/// who is in the account of the keys, who reads because policies name it, and every use that --needs or --trail tells.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct FixArgs {
    /// What.
    #[command(flatten)]
    pub subject: SubjectArgs,

    /// File of uses that have to stay possible: a line each of PRINCIPAL ACTION RESOURCE
    #[arg(long, value_name = "FILE")]
    pub needs: Option<PathBuf>,

    /// Files of CloudTrail: every use of a key in them has to stay possible; may be repeated
    #[arg(long, value_name = "DIR")]
    pub trail: Vec<PathBuf>,

    /// Form of the edits [default: text, or json with --json]
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub format: Option<FixFormat>,

    /// File for the edits [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FixFormat {
    /// For a terminal
    Text,
    /// JSON patches (RFC 6902) and whole policies
    Json,
    /// Terraform in its JSON syntax, for a file that ends in .tf.json
    Terraform,
}

/// Finds the edits.
///
/// # Errors
/// Where the input cannot be read, or parts of it could not be used.
pub(super) fn run(args: &FixArgs, context: &Context) -> Result<(), CliError> {
    let estate = source::load(&args.subject.directory, context)?;
    let mut needs = BTreeSet::new();
    if let Some(path) = &args.needs {
        needs.extend(read_needs(path)?);
    }
    let lost = uses(&args.trail, context, &mut needs)?;
    let needs: Vec<Need> = needs.into_iter().collect();
    let fixes = find(&estate, &subject(&args.subject), &needs);
    let format =
        args.format.unwrap_or(if context.output.is_json() { FixFormat::Json } else { FixFormat::Text });
    let report = match format {
        FixFormat::Text => escape::text(&fixes.to_text()),
        FixFormat::Json => format!("{:#}\n", fixes.to_json()),
        FixFormat::Terraform => format!("{:#}\n", fixes.to_terraform()),
    };
    put(args.output.as_deref(), report.as_bytes(), context)?;
    if let Some(need) = fixes.broken.first() {
        let what = format!("the edits would deny {} to {}", need.action, need.principal);
        return Err(CliError::new(ErrorKind::Bug, what));
    }
    if lost > 0 {
        let what = format!("{lost} problems in the trail: uses that it tells there are not among the needs");
        return Err(CliError::new(ErrorKind::Problems, what).hint("`strongroom trail verify` names them"));
    }
    let troubles = Troubles::of(&estate, Evaluator::new(&estate).problems());
    troubles.tell(context);
    troubles.end(&args.subject.directory)
}

fn read_needs(path: &Path) -> Result<Vec<Need>, CliError> {
    let bytes = local_files::read(path, NEEDS_MAX)?;
    let wrong = |line: usize, what: &str| {
        CliError::new(ErrorKind::Usage, format!("{}:{line}: {what}", path.display())).hint(
            "a line is the ARN of a user or role, an action such as kms:Decrypt, and the ARN of a resource",
        )
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong(1, "it is no text"))?;
    let mut needs = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            [principal, action, resource] => {
                let is_identity = Arn::parse(principal).is_some_and(|arn| {
                    arn.service == "iam"
                        && (arn.resource.starts_with("user/") || arn.resource.starts_with("role/"))
                });
                if !is_identity {
                    return Err(wrong(number, "the first word is not the ARN of a user or role"));
                }
                if !action.contains(':') {
                    return Err(wrong(number, "the second word is not an action"));
                }
                needs.push(Need {
                    principal: principal.into(),
                    action: action.into(),
                    resource: resource.into(),
                });
            }
            _ => return Err(wrong(number, "three words are expected")),
        }
    }
    Ok(needs)
}

/// Every use of a key in the trails that worked; how many problems they had.
fn uses(roots: &[PathBuf], context: &Context, into: &mut BTreeSet<Need>) -> Result<usize, CliError> {
    if roots.is_empty() {
        return Ok(0);
    }
    let args = TrailArgs {
        trail: roots.to_vec(),
        audit: Vec::new(),
        gcp: Vec::new(),
        azure: Vec::new(),
        mount: Vec::new(),
    };
    let read = Trails::read(&args, &[], context.settings.threads.value, Timestamp::now())?;
    let uses = read.events.iter().filter(|event| {
        event.service == "kms.amazonaws.com"
            && event.error.is_none()
            && event.read_only == Some(true)
            && !event.by_provider
    });
    for event in uses {
        let principal = event.principal.issuer.as_deref().unwrap_or(&event.principal.name);
        let of_iam = Arn::parse(principal).is_some_and(|arn| arn.service == "iam");
        if let Some(key) = event.keys.first().filter(|key| of_iam && key.contains(":key/")) {
            into.insert(Need {
                principal: principal.into(),
                action: format!("kms:{}", event.name).into(),
                resource: key.as_str().into(),
            });
        }
    }
    Ok(read.summary.problems.len())
}
