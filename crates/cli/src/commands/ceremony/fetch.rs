//! `strongroom ceremony fetch`: the key of a provider to wrap under. Needs the network and no share.

use super::files::{Parameters, RecordFile, Target, shown, write_json};
use super::wrap::refused;
use crate::commands::Context;
use crate::error::CliError;
use crate::{keys, session};
use clap::Args;
use data_encoding::BASE64;
use std::path::PathBuf;
use strongroom_custody::holders::{aws_kms, transit};

/// Options of `ceremony fetch`.
#[derive(Args, Clone, Debug)]
pub struct FetchArgs {
    /// aws-kms:ARN of a key that was made without material (aws kms create-key --origin EXTERNAL), or
    /// transit:https://HOST/MOUNT/KEY for a key that is to be
    #[arg(value_name = "KEY")]
    pub key: String,

    /// The record of the ceremony
    #[arg(long, value_name = "FILE")]
    pub record: PathBuf,

    /// File for the answer, which `ceremony wrap` reads
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Asks the provider, and writes down what it says.
///
/// # Errors
/// Where the provider refuses or cannot be reached.
pub(super) fn run(args: &FetchArgs, context: &Context) -> Result<(), CliError> {
    let record = RecordFile::open(&args.record)?;
    let secrets = keys::given(context);
    let runtime = session::runtime()?;
    let (wrapping_key, import_token) = match Target::parse(&args.key)? {
        Target::AwsKms(arn) => runtime.block_on(async {
            let key = aws_kms::import::ImportedKey::new(&arn, &secrets.aws).map_err(refused)?;
            let said = key.parameters(record.kind).await.map_err(refused)?;
            Ok::<_, CliError>((BASE64.encode(&said.wrapping_key), Some(BASE64.encode(&said.import_token))))
        })?,
        Target::Transit(key) => runtime.block_on(async {
            let key = transit::import::ImportedKey::new(&key, &secrets.transit).map_err(refused)?;
            Ok::<_, CliError>((key.wrapping_key().await.map_err(refused)?, None))
        })?,
    };
    write_json(&args.output, &Parameters { version: 1, key: args.key.clone(), wrapping_key, import_token })?;
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({
            "message_type": "ceremony_fetched", "key": args.key,
        }));
    }
    context.output.line(&format!(
        "Wrote the wrapping key of {} into {}: take it to where the custodians meet",
        args.key,
        shown(&args.output)
    ))
}
