//! `strongroom ceremony verify`: what proves that a provider's key is the material.

use super::files::{RecordFile, Target, base64};
use super::shares::{ShareArgs, material};
use super::wrap::refused;
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::{keys, session};
use clap::Args;
use data_encoding::BASE64;
use std::path::PathBuf;
use strongroom_custody::Secrets;
use strongroom_custody::ceremony::{CeremonyError, Challenge, MaterialKind, Step};
use strongroom_custody::holders::{aws_kms, transit};
use strongroom_format::SystemEntropy;
use zeroize::Zeroizing;

/// Options of `ceremony verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// The provider's key, as it was given to `ceremony fetch`
    #[arg(value_name = "KEY")]
    pub key: String,

    /// The record of the ceremony
    #[arg(long, value_name = "FILE")]
    pub record: PathBuf,

    /// Shares open offline what a Transit key encrypts, which proves that it is the material itself.
    #[command(flatten)]
    pub shares: ShareArgs,

    /// Ask no provider: open what the Transit key encrypted at its import
    #[arg(long)]
    pub offline: bool,
}

/// Proves, and writes into the record how.
///
/// # Errors
/// Where the key is another one, or cannot be asked.
pub(super) fn run(args: &VerifyArgs, context: &Context) -> Result<(), CliError> {
    let mut record = RecordFile::open(&args.record)?;
    let target = Target::parse(&args.key)?;
    let secrets = keys::given(context);
    let known = record.record.challenge(&args.key).cloned();
    let is_transit = matches!(target, Target::Transit(_));
    if !args.shares.is_empty() && !is_transit {
        let what = "what AWS KMS encrypts opens nowhere else, so that shares prove nothing there";
        return Err(CliError::new(ErrorKind::Usage, what).hint("leave --share and --typed out"));
    }
    if args.offline && args.shares.is_empty() {
        let what = "without a provider and without shares there is nothing to compare";
        return Err(CliError::new(ErrorKind::Usage, what).hint("give shares with --share and --typed"));
    }
    let missing = || {
        CliError::new(ErrorKind::Import, format!("the record knows no import into {}", args.key))
            .hint("import with `ceremony apply`, which writes a challenge into the record")
    };
    let proof = if args.offline {
        let (material, _) = material(&args.shares, &record, context)?;
        let associated = transit::import::associated(&record.ceremony);
        known.ok_or_else(missing)?.check_offline(&material, &associated)?;
        "the shares open, offline, what the provider encrypted at the import"
    } else {
        let runtime = session::runtime()?;
        let provider = Provider::new(&target, &secrets)?;
        if !args.shares.is_empty() {
            let (material, _) = material(&args.shares, &record, context)?;
            let fresh = runtime.block_on(provider.challenge(&record))?;
            fresh.check_offline(&material, &transit::import::associated(&record.ceremony))?;
            "the shares open, offline, what the provider encrypts now: its key is the material"
        } else if record.kind == MaterialKind::Rsa4096 {
            let fresh = runtime.block_on(provider.challenge(&record))?;
            runtime.block_on(provider.answers(&record, &fresh))?;
            "the provider shows the public key of the record and opens what it encrypts: its key is the material"
        } else {
            let challenge = known.ok_or_else(missing)?;
            runtime.block_on(provider.answers(&record, &challenge))?;
            if is_transit {
                "the provider opens what it encrypted at the import; with shares it can be shown that this is the material"
            } else {
                "AWS KMS opens what it encrypted at the import: the material is the same as then; its ciphertexts open \
                 nowhere else, so that AWS alone vouches for what was imported then"
            }
        }
    };
    record.add(Step::Verified { key: args.key.clone(), proof: proof.to_owned() })?;
    if context.output.is_json() {
        return context.output.json(&serde_json::json!({
            "message_type": "ceremony_verified", "key": args.key, "proof": proof,
        }));
    }
    context.output.line(&format!("Verified {}: {proof}", args.key))
}

/// A provider's key.
pub(super) enum Provider {
    AwsKms(Box<aws_kms::import::ImportedKey>),
    Transit(Box<transit::import::ImportedKey>),
}

impl Provider {
    pub(super) fn new(target: &Target, secrets: &Secrets) -> Result<Self, CliError> {
        match target {
            Target::AwsKms(arn) => aws_kms::import::ImportedKey::new(arn, &secrets.aws)
                .map(|key| Self::AwsKms(Box::new(key)))
                .map_err(refused),
            Target::Transit(key) => transit::import::ImportedKey::new(key, &secrets.transit)
                .map(|key| Self::Transit(Box::new(key)))
                .map_err(refused),
        }
    }

    /// Imports. Gives what the provider calls the material, and the id of the request.
    pub(super) async fn import(
        &self,
        token: Option<&[u8]>,
        wrapped: &[u8],
    ) -> Result<(Option<String>, Option<String>), CliError> {
        match self {
            Self::AwsKms(key) => {
                let token = token.ok_or_else(|| {
                    CliError::new(ErrorKind::Usage, "AWS KMS wants an import token, and the file has none")
                })?;
                let imported = key.import(token, wrapped).await.map_err(refused)?;
                Ok((imported.material_id, imported.request_id))
            }
            Self::Transit(key) => Ok((None, key.import(wrapped).await.map_err(refused)?)),
        }
    }

    /// A new challenge. For an RSA key the provider must show the public key of the record, and encrypts nothing.
    pub(super) async fn challenge(&self, record: &RecordFile) -> Result<Challenge, CliError> {
        if let (Some(public_key), Self::AwsKms(key)) = (&record.public_key, self) {
            let known = base64(public_key, "public key in the record")?;
            if key.public_key().await.map_err(refused)? != known {
                return Err(CeremonyError::Unproven.into());
            }
            return Ok(Challenge::for_public_key(&known, &mut SystemEntropy)?);
        }
        let secret = Challenge::secret(&mut SystemEntropy);
        let ciphertext = match self {
            Self::AwsKms(key) => {
                BASE64.encode(&key.encrypt(&record.ceremony, &secret).await.map_err(refused)?)
            }
            Self::Transit(key) => key.encrypt(&record.ceremony, &secret).await.map_err(refused)?,
        };
        Ok(Challenge::new(&secret, ciphertext))
    }

    /// Lets the provider open a challenge.
    pub(super) async fn answers(&self, record: &RecordFile, challenge: &Challenge) -> Result<(), CliError> {
        let opened: Zeroizing<Vec<u8>> = match self {
            Self::AwsKms(key) => {
                let ciphertext = base64(&challenge.ciphertext, "challenge in the record")?;
                key.decrypt(record.kind, &record.ceremony, &ciphertext).await
            }
            Self::Transit(key) => key.decrypt(&record.ceremony, &challenge.ciphertext).await,
        }
        .map_err(|error| match error {
            // What a key that did not make a ciphertext says of it.
            strongroom_custody::HolderError::Tampered | strongroom_custody::HolderError::WrongContext => {
                CeremonyError::Unproven.into()
            }
            other => refused(other),
        })?;
        Ok(challenge.check(&opened)?)
    }
}
