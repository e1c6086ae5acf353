//! Approvals on their way to a quorum: no files, no clock.

use super::{Approval, QuorumError, Request, RequestId};
use crate::review::is_satisfied;
use jiff::Timestamp;
use std::collections::BTreeMap;
use strongroom_format::{Secret32, xwing::OpeningKey};

/// The parts that approvals opened to: by custodian, then by epoch.
pub type Parts = BTreeMap<String, BTreeMap<u32, Secret32>>;

/// How far a request has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Who has approved.
    pub approved: Vec<String>,
    /// Who could still approve.
    pub missing: Vec<String>,
    /// Whether the approvals satisfy the policy of every key.
    pub is_met: bool,
}

/// The approvals of one request.
pub struct Gathering {
    request: Request,
    id: RequestId,
    key: OpeningKey,
    parts: Parts,
    documents: BTreeMap<String, Approval>,
    is_used: bool,
}

impl std::fmt::Debug for Gathering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gathering({}, {:?})", self.id, self.parts.keys())
    }
}

impl Gathering {
    /// A request without approvals yet, and the private key that was made for it.
    ///
    /// # Errors
    /// [`QuorumError::Malformed`] where the private key is not the request's.
    pub fn new(request: Request, id: RequestId, key: OpeningKey) -> Result<Self, QuorumError> {
        if request.sealing_key()? != key.public() {
            return Err(QuorumError::Malformed {
                document: "the request",
                what: "its private key is another one's".into(),
            });
        }
        Ok(Self { request, id, key, parts: Parts::new(), documents: BTreeMap::new(), is_used: false })
    }

    /// Takes an approval. The same approval again changes nothing.
    ///
    /// # Errors
    /// Where it is for another request, by nobody who was asked, changed, or too late: nothing is taken of it then.
    pub fn add(&mut self, approval: Approval, now: Timestamp) -> Result<Progress, QuorumError> {
        if self.is_used {
            return Err(QuorumError::Used);
        }
        self.request.check_time(now)?;
        let found: RequestId = approval.request.parse()?;
        if found != self.id {
            return Err(QuorumError::OtherRequest { holder: approval.holder, found });
        }
        if let Some(known) = self.documents.get(&approval.holder) {
            return match *known == approval {
                true => Ok(self.progress()),
                false => Err(QuorumError::Conflict(approval.holder)),
            };
        }
        let asked = self.request.epochs_of(&approval.holder).count();
        if asked == 0 {
            return Err(QuorumError::WrongCustodian(approval.holder));
        }
        let mut opened = BTreeMap::new();
        for part in &approval.parts {
            let secret = approval.open(part, &self.request, &self.id, &self.key)?;
            if opened.insert(part.epoch, secret).is_some() {
                return Err(QuorumError::Tampered(approval.holder));
            }
        }
        if opened.len() != asked {
            return Err(QuorumError::Tampered(approval.holder));
        }
        self.parts.insert(approval.holder.clone(), opened);
        self.documents.insert(approval.holder.clone(), approval);
        Ok(self.progress())
    }

    /// The id of the request.
    #[must_use]
    pub fn id(&self) -> &RequestId {
        &self.id
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let approved: Vec<String> = self.parts.keys().cloned().collect();
        let has = |label: &str| self.parts.contains_key(label);
        let mut missing: Vec<String> =
            self.request.keys.iter().flat_map(|key| key.wrapped.policy.leaves()).map(str::to_owned).collect();
        missing.sort_unstable();
        missing.dedup();
        missing.retain(|label| !has(label));
        let is_met = self.request.keys.iter().all(|key| is_satisfied(&key.wrapped.policy, &has));
        Progress { approved, missing, is_met }
    }

    /// Hands out the parts, once. Keyholders that the requester has himself count where `also` says so.
    ///
    /// # Errors
    /// [`QuorumError::Used`], [`QuorumError::Expired`], or [`QuorumError::Unmet`] with the first policy that is not
    /// satisfied.
    pub fn open(&mut self, now: Timestamp, also: &dyn Fn(&str) -> bool) -> Result<Parts, QuorumError> {
        if self.is_used {
            return Err(QuorumError::Used);
        }
        self.request.check_time(now)?;
        let has = |label: &str| self.parts.contains_key(label) || also(label);
        if let Some(key) = self.request.keys.iter().find(|key| !is_satisfied(&key.wrapped.policy, &has)) {
            return Err(QuorumError::Unmet(key.wrapped.policy.to_string()));
        }
        self.is_used = true;
        Ok(std::mem::take(&mut self.parts))
    }
}
