//! `strongroom key policy aws-kms`: key policies, IAM policies, guard rails and Terraform for AWS KMS.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::session::Session;
use clap::Args;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use strongroom_custody::hardening::aws_kms::{Plan, Principals};
use strongroom_custody::{HolderError, ReasonCode};

/// Options of `key policy aws-kms`.
#[derive(Args, Clone, Debug)]
pub struct AwsKmsArgs {
    /// ARN of the IAM role or user that backs up [default: role strongroom-writer in the account of the key]
    #[arg(long, value_name = "ARN")]
    pub writer: Option<String>,

    /// ARN of the role or user that restores [default: strongroom-reader]
    #[arg(long, value_name = "ARN")]
    pub reader: Option<String>,

    /// ARN of the role or user that changes the keyring [default: strongroom-owner]
    #[arg(long, value_name = "ARN")]
    pub owner: Option<String>,

    /// ARN of the role or user that breaks glass: nobody else may disable, end or change a key
    /// [default: strongroom-custodian]
    #[arg(long, value_name = "ARN")]
    pub custodian: Option<String>,

    /// ARN of the role or user that looks on [default: strongroom-auditor]
    #[arg(long, value_name = "ARN")]
    pub auditor: Option<String>,

    /// Id of the AWS organization: also a resource control policy that keeps everybody else out
    #[arg(long, value_name = "ID")]
    pub organization: Option<String>,

    /// Only this document, such as iam-reader.json
    #[arg(long, value_name = "NAME")]
    pub document: Option<String>,

    /// Write the documents as files into this new or empty directory
    #[arg(short, long, value_name = "DIR", conflicts_with = "document")]
    pub output: Option<PathBuf>,
}

/// Prints the rights, limited to the keys, datasets and purposes of the vault. Uses no key, and asks nothing of AWS.
///
/// # Errors
/// Where the vault cannot be opened or has no key in AWS KMS, an ARN is none, or a file cannot be written.
pub(super) fn run(args: &AwsKmsArgs, context: &Context) -> Result<(), CliError> {
    let session = Session::open(context, ReasonCode::Admin)?;
    let wrong =
        |error: HolderError| CliError::new(ErrorKind::Usage, "this makes no policy").caused_by(&error);
    let keyring = session.vault.keyring();
    let plan = Plan::new(keyring, None).map_err(wrong)?;
    let plan = Plan::new(keyring, Some(named(args, plan.principals()))).map_err(wrong)?;
    for warning in plan.warnings() {
        context.messages.warn(&warning);
    }
    let mut files = plan.files(args.organization.as_deref()).map_err(wrong)?;
    if let Some(wanted) = &args.document {
        let names = files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        files.retain(|(name, _)| name == wanted);
        if files.is_empty() {
            return Err(CliError::new(ErrorKind::Usage, "there is no such document")
                .hint(format!("there are: {names}")));
        }
    }
    if let Some(directory) = &args.output {
        write_all(directory, &files)?;
    }
    if context.output.is_json() {
        let documents: std::collections::BTreeMap<_, _> = files.iter().cloned().collect();
        return context.output.json(&serde_json::json!({
            "message_type": "provider_policy",
            "provider": "aws-kms",
            "documents": documents,
            "warnings": plan.warnings(),
        }));
    }
    if let Some(directory) = &args.output {
        let shown = crate::escape::path(directory.as_os_str().as_encoded_bytes());
        return context.output.line(&format!("Wrote {} documents into {shown}", files.len()));
    }
    files.iter().try_for_each(|(name, content)| {
        if args.document.is_none() {
            context.output.line(&format!("# {name}"))?;
        }
        context.output.raw(content.as_bytes())
    })
}

fn named(args: &AwsKmsArgs, default: &Principals) -> Principals {
    let or = |given: &Option<String>, default: &str| given.clone().unwrap_or_else(|| default.to_owned());
    Principals {
        auditor: or(&args.auditor, &default.auditor),
        custodian: or(&args.custodian, &default.custodian),
        owner: or(&args.owner, &default.owner),
        reader: or(&args.reader, &default.reader),
        writer: or(&args.writer, &default.writer),
    }
}

/// A file that is there already is never overwritten.
fn write_all(directory: &Path, files: &[(String, String)]) -> Result<(), CliError> {
    DirBuilder::new()
        .recursive(true)
        .create(directory)
        .map_err(|error| CliError::file("created", directory, &error))?;
    for (name, content) in files {
        let path = directory.join(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|mut file| file.write_all(content.as_bytes()))
            .map_err(|error| CliError::file("written", &path, &error))?;
    }
    Ok(())
}
