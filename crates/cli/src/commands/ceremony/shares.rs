//! Bringing shares together: out of sealed files, and typed from cards.

use super::files::{RecordFile, bytes, shown};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::keys;
use clap::Args;
use data_encoding::HEXLOWER;
use std::path::PathBuf;
use strongroom_custody::HolderError;
use strongroom_custody::ceremony::{
    Material, Share, TypedShare, ceremony_words, open_sealed_share, recover, share_digest, share_words,
};
use zeroize::Zeroizing;

/// Where shares come from.
#[derive(Args, Clone, Debug)]
pub struct ShareArgs {
    /// File with a sealed share, which --identity opens; may be repeated
    #[arg(long = "share", value_name = "FILE")]
    pub shares: Vec<PathBuf>,

    /// How many shares are typed, or scanned, from cards on the terminal
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub typed: u8,
}

impl ShareArgs {
    pub(super) fn is_empty(&self) -> bool {
        self.shares.is_empty() && self.typed == 0
    }
}

/// The material, and the custodians whose shares gave it.
pub(super) fn material(
    args: &ShareArgs,
    record: &RecordFile,
    context: &Context,
) -> Result<(Material, Vec<String>), CliError> {
    let mut shares = Vec::new();
    let mut names = Vec::new();
    let secrets = keys::given(context);
    for path in &args.shares {
        let place = shown(path);
        let opened = open_sealed_share(&bytes(path)?, &secrets.identities, &secrets.prompts);
        let share = opened.map_err(|error| unsealed(&place, &error))?;
        names.push(custodian(&share, record, &place)?);
        shares.push(share);
    }
    for number in 1..=args.typed {
        let ask = |prompt: &str| ask(prompt);
        let share = typed(&ask, number, context)?;
        names.push(custodian(&share, record, &format!("typed share {number}"))?);
        shares.push(share);
    }
    let bytes = recover(&shares)?;
    drop(shares);
    let material = Material::from_bytes(record.kind, bytes)?;
    if material.fingerprint() != record.fingerprint {
        return Err(strongroom_custody::ceremony::CeremonyError::OtherMaterial.into());
    }
    Ok((material, names))
}

fn unsealed(place: &str, error: &HolderError) -> CliError {
    let made = |kind| CliError::new(kind, format!("the share in {place} cannot be opened"));
    match error {
        HolderError::Tampered => made(ErrorKind::Damaged)
            .caused_by(&Changed)
            .hint("ask its custodian for another copy, or use the share of another custodian"),
        HolderError::NoSecret(_) => made(ErrorKind::SecretMissing)
            .caused_by(error)
            .hint("give the identity of its custodian with --identity FILE"),
        HolderError::Malformed(_) => made(ErrorKind::Ceremony).caused_by(error),
        HolderError::WrongSecret(_) => made(ErrorKind::WrongKey).caused_by(error),
        HolderError::Denied(_) => made(ErrorKind::CustodyRefused).caused_by(error),
        _ => made(ErrorKind::LocalFile).caused_by(error),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("it was changed since it was sealed")]
struct Changed;

/// Whose share it is. A share of another ceremony, and one that was not made in this one, is refused with its name.
fn custodian(share: &Share, record: &RecordFile, place: &str) -> Result<String, CliError> {
    let refused = |what: String| Err(CliError::new(ErrorKind::Ceremony, what));
    if HEXLOWER.encode(share.ceremony()) != record.ceremony {
        let words = ceremony_words(share).join(" ");
        return refused(format!("the share in {place} is of another ceremony ({words})"));
    }
    let Some(custodian) = record.custodians.iter().find(|custodian| custodian.share == share.index()) else {
        return refused(format!("the share in {place} has a number that nobody got"));
    };
    if custodian.digest != share_digest(share) {
        return refused(format!("the share in {place} is not the one that `{}` got", custodian.name));
    }
    Ok(custodian.name.clone())
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, CliError> {
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| match error.kind() {
        std::io::ErrorKind::Interrupted => {
            CliError::new(ErrorKind::Cancelled, "stopped at the prompt").hint("")
        }
        _ => CliError::new(ErrorKind::SecretMissing, "there is no terminal to type a share on")
            .caused_by(&error)
            .hint("run it on a terminal, or give sealed shares with --share FILE"),
    })
}

/// A share that a person types line by line, without an echo. A line that is wrong is asked for again.
fn typed(
    ask: &dyn Fn(&str) -> Result<Zeroizing<String>, CliError>,
    number: u8,
    context: &Context,
) -> Result<Share, CliError> {
    let mut typing = TypedShare::new();
    loop {
        let line = ask(&format!("Typed share {number}, line {}: ", typing.due()))?;
        if line.trim().is_empty() {
            return Err(
                CliError::new(ErrorKind::Cancelled, format!("typed share {number} was given up")).hint("")
            );
        }
        match typing.line(&line) {
            Ok(Some(share)) => {
                let words = share_words(&share).join(" ");
                context.messages.note(&format!("share {} of {}: {words}", share.index(), share.total()));
                return Ok(share);
            }
            Ok(None) => {}
            Err(error @ strongroom_custody::ceremony::TranscriptError::Line { .. }) => {
                context.messages.warn(&format!("{error}; type it again, or an empty line to stop"));
            }
            Err(error) => {
                return Err(CliError::new(ErrorKind::Ceremony, "this is no share").caused_by(&error));
            }
        }
    }
}
