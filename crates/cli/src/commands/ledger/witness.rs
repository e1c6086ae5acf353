//! `strongroom ledger witness`: witnesses cosign the newest checkpoint, and what they say is kept beside it.
//!
//! The protocol is that of C2SP `tlog-witness`: <https://c2sp.org/tlog-witness>.

use super::source::{IdentityArgs, Source};
use super::verify::{Witnessed, read_policy, tell_witnesses, witnesses_json};
use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;
use strongroom_ledger::LedgerError;
use strongroom_ledger::checkpoint::SignedCheckpoint;
use strongroom_ledger::cosignature;
use strongroom_ledger::note::{Note, Signature};
use strongroom_ledger::reader::{Reader, WITNESSED};
use strongroom_ledger::store::Swapped;
use strongroom_ledger::witness::{AddCheckpoint, TrustedWitness, WitnessPolicy, parse_signatures};

const TIMEOUT: Duration = Duration::from_secs(15);
/// Largest answer of a witness, in bytes.
const ANSWER_MAX: usize = 16 << 10;
/// How often another process may be first to keep cosignatures.
const ATTEMPTS: u32 = 8;

/// Options of `ledger witness`.
#[derive(Args, Clone, Debug)]
pub struct WitnessArgs {
    /// Which witnesses, and how many are needed: a policy file of C2SP tlog-policy
    #[arg(long, value_name = "FILE")]
    pub policy: PathBuf,

    /// Whose ledger.
    #[command(flatten)]
    pub identity: IdentityArgs,
}

/// Why a witness did not cosign.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("it cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("it answered with status {0}")]
    Status(u16),
    #[error(
        "it says that it has seen {seen} entries of this ledger, which has {size}: the ledger was rolled back, or the witness errs"
    )]
    Ahead { seen: u64, size: u64 },
    #[error("it says that this ledger does not continue what it has cosigned: the ledger was forked")]
    Forked,
    #[error("its answer is no cosignature by its key")]
    Nonsense,
    #[error("the policy has no address for it")]
    NoAddress,
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Asks all witnesses of the policy.
///
/// # Errors
/// [`ErrorKind::Problems`] where too few cosigned; [`ErrorKind::LedgerForged`] where one says that the ledger was
/// forked or rolled back.
pub(super) fn run(args: &WitnessArgs, context: &Context) -> Result<(), CliError> {
    let policy = read_policy(&args.policy)?;
    let source = Source::open(context, &args.identity)?;
    let head = source.head()?;
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| CliError::new(ErrorKind::Bug, "no HTTP client can be made").caused_by(&error))?;
    let (mut given, mut forked) = (Vec::new(), None);
    let before = source.block_on(source.reader.witnessed())?;
    for witness in &policy.witnesses {
        let asked = source.block_on(ask(&client, &source.reader, &head, before.as_ref(), witness));
        match asked {
            Ok(signature) => given.push(signature),
            Err(error) => {
                let told = format!("witness {} did not cosign: {error}", crate::escape::text(&witness.name));
                context.messages.warn(&told);
                if matches!(error, Refusal::Forked | Refusal::Ahead { .. }) {
                    forked = Some(told);
                }
            }
        }
    }
    let note = source.block_on(keep(&source.reader, &head, given))?;
    source.remember(context, &head.checkpoint);
    report(context, &policy, &head, &note)?;
    if let Some(forked) = forked {
        return Err(CliError::new(
            ErrorKind::LedgerForged,
            "a witness remembers another history of this ledger",
        )
        .hint(format!("{forked}. Keep the storage as it is, and compare with the other witnesses")));
    }
    if policy.standing(&note).met {
        return Ok(());
    }
    Err(CliError::new(ErrorKind::Problems, "too few witnesses have cosigned the newest checkpoint")
        .hint("the warnings above say why each did not; ask again when they can be reached"))
}

fn report(
    context: &Context,
    policy: &WitnessPolicy,
    head: &SignedCheckpoint,
    note: &Note,
) -> Result<(), CliError> {
    let size = head.checkpoint.size;
    let witnessed = Witnessed { size, standing: policy.standing(note) };
    if context.output.is_json() {
        let mut json = witnesses_json(&witnessed);
        json["message_type"] = "ledger_witnessed".into();
        return context.output.json(&json);
    }
    context.output.line(&format!("ledger {}", head.checkpoint.origin))?;
    tell_witnesses(context, size, &witnessed)
}

/// One witness, which is told from where the ledger grew: from what it cosigned last, as far as is known here.
async fn ask(
    client: &reqwest::Client,
    reader: &Reader,
    head: &SignedCheckpoint,
    before: Option<&SignedCheckpoint>,
    witness: &TrustedWitness,
) -> Result<Signature, Refusal> {
    let url = witness.url.as_deref().ok_or(Refusal::NoAddress)?;
    let url = format!("{}/add-checkpoint", url.trim_end_matches('/'));
    let cosigned = |signed: &&SignedCheckpoint| {
        let by = |signature| cosignature::verify(&witness.key, &signed.note.text, signature);
        signed.note.signatures.iter().any(|signature| by(signature).is_some())
    };
    let size = head.checkpoint.size;
    let mut old_size = before.filter(cosigned).map_or(0, |signed| signed.checkpoint.size.min(size));
    for last in [false, true] {
        let proof = reader.consistency(&head.checkpoint, old_size).await?;
        let request = AddCheckpoint { old_size, proof, checkpoint: head.note.clone() };
        let sent = client.post(&url).body(request.encode()).send().await;
        let answer = sent.map_err(|error| Refusal::Unreachable(error.without_url()))?;
        let status = answer.status().as_u16();
        let body = body(answer).await?;
        match status {
            200 => return signature(witness, head, &body),
            409 => {
                let text = std::str::from_utf8(&body).map_err(|_| Refusal::Nonsense)?;
                let seen: u64 = text.trim_end().parse().map_err(|_| Refusal::Nonsense)?;
                if seen > size {
                    return Err(Refusal::Ahead { seen, size });
                }
                if last || (seen == old_size && seen == size) {
                    return Err(Refusal::Forked);
                }
                old_size = seen;
            }
            422 => return Err(Refusal::Forked),
            other => return Err(Refusal::Status(other)),
        }
    }
    Err(Refusal::Forked)
}

async fn body(mut answer: reqwest::Response) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|error| Refusal::Unreachable(error.without_url()))? {
        body.extend_from_slice(&part);
        if body.len() > ANSWER_MAX {
            return Err(Refusal::Nonsense);
        }
    }
    Ok(body)
}

fn signature(witness: &TrustedWitness, head: &SignedCheckpoint, body: &[u8]) -> Result<Signature, Refusal> {
    let signatures = parse_signatures(body).map_err(|_| Refusal::Nonsense)?;
    signatures
        .into_iter()
        .find(|signature| cosignature::verify(&witness.key, &head.note.text, signature).is_some())
        .ok_or(Refusal::Nonsense)
}

/// Adds cosignatures to what is kept of this checkpoint, and never replaces a newer checkpoint by an older one.
async fn keep(reader: &Reader, head: &SignedCheckpoint, given: Vec<Signature>) -> Result<Note, CliError> {
    let mut note = head.note.clone();
    if given.is_empty() {
        return Ok(reader
            .witnessed()
            .await?
            .filter(|kept| kept.note.text == note.text)
            .map_or(note, |kept| kept.note));
    }
    let store = reader.store();
    let failed = |error| CliError::from(LedgerError::from(error));
    for _ in 0..ATTEMPTS {
        let stored = store.get(WITNESSED, strongroom_ledger::limits::CHECKPOINT_MAX).await.map_err(failed)?;
        let kept = stored.as_ref().and_then(|stored| reader.identity().open(&stored.bytes).ok());
        let mut signatures = given.clone();
        match kept {
            Some(kept) if kept.checkpoint.size > head.checkpoint.size => return Ok(head.note.clone()),
            Some(kept) if kept.note.text == head.note.text => signatures.extend(kept.note.signatures),
            _ => {}
        }
        signatures.extend(head.note.signatures.iter().cloned());
        note.signatures.clear();
        for signature in signatures {
            // The newest of each witness: its time is within the signature.
            if !note.signatures.iter().any(|known| known.name == signature.name && known.id == signature.id) {
                note.signatures.push(signature);
            }
        }
        let version = stored.as_ref().map(|stored| &stored.version);
        let swapped =
            store.swap(WITNESSED, version, note.encode().into_bytes().into()).await.map_err(failed)?;
        if matches!(swapped, Swapped::Done(_)) {
            return Ok(note);
        }
    }
    Err(LedgerError::Crowded(ATTEMPTS).into())
}
