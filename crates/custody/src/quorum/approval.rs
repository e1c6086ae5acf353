//! What a custodian answers.

use super::{QuorumError, Request, RequestId};
use crate::{Custody, CustodyError, reason::Reason};
use data_encoding::BASE64;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strongroom_format::{
    Secret32, SystemEntropy,
    context::{Context, valid_label},
    xwing::{OpeningKey, SealedSecret},
};

const DOCUMENT: &str = "the approval";
/// Largest approval, in bytes.
const SIZE_MAX: usize = 4 << 20;

/// A custodian's parts of the keys that are requested, sealed to the requester.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// 1.
    pub strongroom_approval: u32,
    /// The id of the request, in hexadecimal.
    pub request: String,
    /// The custodian's label in the keyring.
    pub holder: String,
    /// When it was made, in the custodian's own time.
    pub approved: Timestamp,
    /// The parts, by epoch.
    pub parts: Vec<Part>,
}

/// A custodian's part of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The epoch.
    pub epoch: u32,
    /// The part, sealed by HPKE with X-Wing to the request's public key, in base64.
    pub sealed: String,
}

fn malformed(what: impl Into<String>) -> QuorumError {
    QuorumError::Malformed { document: DOCUMENT, what: what.into() }
}

/// Binds a part to its request, its custodian and its key.
fn info(request: &RequestId, holder: &str, context: &Context) -> Vec<u8> {
    let mut info = b"strongroom v1 approval\0".to_vec();
    info.extend_from_slice(request.as_bytes());
    info.extend_from_slice(holder.as_bytes());
    info.push(0);
    info.extend_from_slice(&context.canonical());
    info
}

impl Approval {
    /// Opens a custodian's parts with his keyholder and seals them to the requester. Each is one key use.
    ///
    /// # Errors
    /// [`CustodyError::Quorum`] where the request is over or asks nothing of him; others as his keyholder fails.
    pub async fn make(
        request: &Request,
        id: &RequestId,
        holder: &str,
        now: Timestamp,
        custody: &Custody,
        reason: &Reason,
    ) -> Result<Self, CustodyError> {
        request.check_time(now)?;
        let to = request.sealing_key()?;
        let mut parts = Vec::new();
        for key in request.epochs_of(holder) {
            let context = request.context(key.epoch);
            let part = custody.open_part(holder, &key.wrapped, &context, reason).await?;
            let sealed = to.seal(&info(id, holder, &context), &part, &mut SystemEntropy);
            parts.push(Part { epoch: key.epoch, sealed: BASE64.encode(&sealed) });
        }
        if parts.is_empty() {
            return Err(QuorumError::WrongCustodian(holder.to_owned()).into());
        }
        Ok(Self {
            strongroom_approval: 1,
            request: id.to_string(),
            holder: holder.to_owned(),
            approved: now,
            parts,
        })
    }

    /// Encodes the approval as JSON that a person can read.
    ///
    /// # Errors
    /// [`QuorumError::Malformed`] where it is too large.
    pub fn encode(&self) -> Result<Vec<u8>, QuorumError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| malformed(error.to_string()))?;
        bytes.push(b'\n');
        if bytes.len() > SIZE_MAX { Err(malformed("it is too large")) } else { Ok(bytes) }
    }

    /// Decodes an approval.
    ///
    /// # Errors
    /// [`QuorumError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, QuorumError> {
        if bytes.len() > SIZE_MAX {
            return Err(malformed("it is too large"));
        }
        let approval: Self = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if approval.strongroom_approval != 1 {
            return Err(malformed("this program knows version 1 only"));
        }
        if !valid_label(&approval.holder) {
            return Err(malformed("its custodian has no valid name"));
        }
        approval.request.parse::<RequestId>()?;
        Ok(approval)
    }

    /// Opens a part and checks it against the commitment of the wrapped key.
    pub(super) fn open(
        &self,
        part: &Part,
        request: &Request,
        id: &RequestId,
        with: &OpeningKey,
    ) -> Result<Secret32, QuorumError> {
        let tampered = || QuorumError::Tampered(self.holder.clone());
        let sealed: SealedSecret = BASE64
            .decode(part.sealed.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| malformed("a part is not as long as it must be"))?;
        let key = request.key(part.epoch).ok_or_else(|| QuorumError::WrongCustodian(self.holder.clone()))?;
        let wrap = key
            .wrapped
            .wrap_of(&self.holder)
            .ok_or_else(|| QuorumError::WrongCustodian(self.holder.clone()))?;
        let context = request.context(part.epoch);
        let secret = with.open(&info(id, &self.holder, &context), &sealed).ok_or_else(tampered)?;
        let expected = key.wrapped.commitment_of(wrap);
        if secret.commitment() == expected { Ok(secret) } else { Err(tampered()) }
    }
}
