//! `strongroom ceremony wrap`: the material for a provider's import, on a machine without a network.

use super::files::{Parameters, RecordFile, Target, Wrapped, shown, write_json};
use super::shares::{ShareArgs, material};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use clap::Args;
use data_encoding::BASE64;
use std::path::PathBuf;
use strongroom_custody::HolderError;
use strongroom_custody::ceremony::{Algorithm, MaterialKind, Step, WrappingKey};
use strongroom_format::SystemEntropy;

/// Options of `ceremony wrap`.
#[derive(Args, Clone, Debug)]
pub struct WrapArgs {
    /// What `ceremony fetch` wrote, or what `aws kms get-parameters-for-import` printed
    #[arg(value_name = "PARAMETERS")]
    pub parameters: PathBuf,

    /// The record of the ceremony
    #[arg(long, value_name = "FILE")]
    pub record: PathBuf,

    /// Whose shares.
    #[command(flatten)]
    pub shares: ShareArgs,

    /// File for the wrapped material, which `ceremony apply` reads
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

/// Puts the material together, wraps it, and forgets it.
///
/// # Errors
/// Where the shares give no material, or the wrapping key is not fit.
pub(super) fn run(args: &WrapArgs, context: &Context) -> Result<(), CliError> {
    let mut record = RecordFile::open(&args.record)?;
    let parameters = Parameters::read(&args.parameters)?;
    let algorithm = match Target::parse(&parameters.key)? {
        Target::AwsKms(_) => Algorithm::for_aws_kms(record.kind),
        Target::Transit(_) if record.kind == MaterialKind::Rsa4096 => {
            let what = "a Transit keyholder needs a symmetric key, and this material is an RSA key";
            return Err(CliError::new(ErrorKind::Usage, what).hint("generate material of the kind aes-256"));
        }
        Target::Transit(_) => Algorithm::RsaAesKeyWrapSha256,
    };
    // Before anybody types a share.
    let wrapping = WrappingKey::parse(&parameters.wrapping_key)?;
    let (material, custodians) = material(&args.shares, &record, context)?;
    let wrapped = wrapping.wrap(&material, algorithm, &mut SystemEntropy)?;
    drop(material);
    write_json(
        &args.output,
        &Wrapped {
            version: 1,
            key: parameters.key.clone(),
            ceremony: record.ceremony.clone(),
            fingerprint: record.fingerprint.clone(),
            import_token: parameters.import_token,
            wrapped: BASE64.encode(&wrapped),
        },
    )?;
    record.add(Step::Wrapped {
        key: parameters.key.clone(),
        algorithm: algorithm.as_str().to_owned(),
        wrapping_key: blake3_hex(wrapping.der()),
        custodians: custodians.clone(),
    })?;
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({
            "message_type": "ceremony_wrapped", "key": parameters.key, "custodians": custodians,
        }));
    }
    context.output.line(&format!(
        "Wrapped the key material for {} with the shares of {}: {}",
        parameters.key,
        custodians.join(", "),
        shown(&args.output)
    ))
}

/// What a provider's refusal of an import means.
pub(super) fn refused(error: HolderError) -> CliError {
    use HolderError::{Deleted, Denied, Disabled, PendingDeletion};
    let kind = match &error {
        Denied(_) | Disabled(_) | PendingDeletion(_) | Deleted(_) => ErrorKind::CustodyRefused,
        HolderError::NoSecret(_) => ErrorKind::SecretMissing,
        passing if passing.is_passing() => ErrorKind::KeyholderUnreachable,
        _ => ErrorKind::Import,
    };
    CliError::new(kind, "the provider did not do this step").caused_by(&error)
}

fn blake3_hex(bytes: &[u8]) -> String {
    strongroom_format::ids::ObjectHash::of(bytes).to_hex()
}
