//! Dangerous changes wait, and any keyholder of the policies can cancel them meanwhile `[V-14]`.
//!
//! In scope: proposing, listing, cancelling, and finding out whether a change may be carried out. Out of scope: what
//! carrying out means, which [`crate::keyring`], [`crate::rewrap`] and [`crate::shred`] know.
//!
//! Time is the later of two clocks: that of whoever proposed, and the store's own, which an attacker who can only
//! write objects does not set.

use crate::{
    access::{Vault, rfc3339_now},
    backup::format_time,
    error::{Result, VaultError},
    keyring::PolicyChange,
};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use strongroom_custody::{Custody, CustodyError, Reason, compare};
use strongroom_format::{
    ObjectHash, Secret32, SystemEntropy,
    change::{Cancellation, Canceller, Certificate, Change, Policies, What},
    keyring::{Keyring, PolicyTree, SigningPublicKey},
    limits::DOCUMENT_MAX,
    names,
};
use thiserror::Error;

/// Most cancellations of one change that are read: everybody who can write to the store can put objects there.
const CANCELLATIONS_MAX: usize = 1024;
/// What clocks may differ by before a change counts as carried out too early.
const CLOCK_SLACK: SignedDuration = SignedDuration::from_mins(10);

/// Why a change is not made, not found, not cancelled or not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// It needs a time lock.
    #[error("this change waits {hours} hours: {}", why.join("; "))]
    Locked {
        /// How long.
        hours: u32,
        /// What makes it dangerous.
        why: Vec<String>,
    },
    /// No change has this id.
    #[error("no change has an id that begins with {0}")]
    Missing(String),
    /// Several have it.
    #[error("several changes have ids that begin with {0}")]
    Ambiguous(String),
    /// Its time has not come.
    #[error("the change may be carried out from {0} on")]
    TooEarly(Timestamp),
    /// A keyholder said no.
    #[error("the change was cancelled by `{by}`: {reason}")]
    Cancelled {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// It was carried out.
    #[error("the change was carried out on {0}")]
    Done(String),
    /// This keyholder has no key that cancels.
    #[error("`{holder}` cannot cancel this change; those who can are: {}", can.join(", "))]
    CannotCancel {
        /// Who.
        holder: String,
        /// Who can.
        can: Vec<String>,
    },
    /// Backups are running.
    #[error("{0} backups of the dataset are running; what they store could not be read afterwards")]
    Running(usize),
}

/// What allows a change of policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Authority {
    /// Nothing: it must take nothing away and make nothing easier.
    #[default]
    Harmless,
    /// A revocation: it may take away, at once, and destroys nothing.
    Revocation,
    /// A change whose time has come.
    Ripe(ObjectHash),
}

/// How far a change has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// It waits.
    Waiting,
    /// It may be carried out.
    Ripe,
    /// Somebody said no.
    Cancelled(Cancellation),
    /// It was carried out.
    Done(Box<Certificate>),
}

/// A change in the vault.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The hash of its object.
    pub id: ObjectHash,
    /// What it says.
    pub change: Change,
    /// When it may be carried out, by both clocks.
    pub ripe: Timestamp,
    /// How far it has come.
    pub stage: Stage,
}

impl Standing {
    /// The change, where it may be carried out now.
    ///
    /// # Errors
    /// [`ChangeError`] with what stands in the way.
    pub fn may_proceed(&self) -> std::result::Result<&Change, ChangeError> {
        match &self.stage {
            Stage::Ripe => Ok(&self.change),
            Stage::Waiting => Err(ChangeError::TooEarly(self.ripe)),
            Stage::Done(certificate) => Err(ChangeError::Done(certificate.done.clone())),
            Stage::Cancelled(cancellation) => Err(ChangeError::Cancelled {
                by: cancellation.holder.clone(),
                reason: match cancellation.reason.as_str() {
                    "" => "no reason was given".to_owned(),
                    reason => reason.to_owned(),
                },
            }),
        }
    }
}

/// Who proposes, and why.
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// Who, such as `user@host`.
    pub requester: String,
    /// Why; may be empty.
    pub reason: String,
}

/// What makes the step from one keyring to another dangerous, in words; nothing where it is harmless.
pub(crate) struct Dangers {
    /// Who together could open something, and no longer can.
    pub(crate) lost: Vec<String>,
    /// Who together could not open something, and now can.
    pub(crate) lowered: Vec<String>,
}

impl Dangers {
    pub(crate) fn between(old: &Keyring, new: &Keyring) -> Self {
        let mut dangers = Self { lost: Vec::new(), lowered: Vec::new() };
        for (label, spec) in &old.keyholders {
            if new.keyholders.get(label).is_some_and(|found| found != spec) {
                dangers.lowered.push(format!("`{label}` becomes another keyholder"));
            }
        }
        dangers.add("the vault's read policy", &old.read_policy, &new.read_policy);
        dangers.add("the vault's write policy", &old.write_policy, &new.write_policy);
        for dataset in &old.datasets {
            let Some(next) = new.dataset(&dataset.name) else {
                dangers.lost.push(format!("dataset {} goes", dataset.name));
                continue;
            };
            // What holds for the vault is not said again of each dataset that follows it.
            let follows =
                (&dataset.read_policy, &dataset.write_policy, &next.read_policy, &next.write_policy)
                    == (&old.read_policy, &old.write_policy, &new.read_policy, &new.write_policy);
            if follows {
                continue;
            }
            let of = |what: &str| format!("the {what} policy of dataset {}", dataset.name);
            dangers.add(&of("read"), &dataset.read_policy, &next.read_policy);
            dangers.add(&of("write"), &dataset.write_policy, &next.write_policy);
        }
        if new.time_lock() < old.time_lock() {
            dangers.lowered.push(format!("the time lock falls to {} hours", new.time_lock()));
        }
        dangers
    }

    fn add(&mut self, what: &str, old: &PolicyTree, new: &PolicyTree) {
        let found = compare::compare(old, new);
        let who = |labels: &[String]| {
            labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(" and ")
        };
        if let Some(labels) = &found.lost {
            self.lost.push(format!("by {what} {} can no longer open", who(labels)));
        }
        if let Some(labels) = &found.lowered {
            self.lowered.push(format!("by {what} {} can open without anybody else", who(labels)));
        }
        if found.is_unknown {
            self.lowered.push(format!("{what} has too many ways to open to be compared"));
        }
    }

    pub(crate) fn into_words(self) -> Vec<String> {
        let mut all = self.lost;
        all.extend(self.lowered);
        // A message, not a list of a thousand datasets.
        let more = all.len().saturating_sub(6);
        all.truncate(6);
        if more > 0 {
            all.push(format!("and {more} more"));
        }
        all
    }
}

impl Vault {
    /// Proposes a change: a signed document that names when it may be carried out, with a key for every keyholder of the
    /// vault's policies that cancels it. The signing key is unwrapped, which takes the read policy's own quorum.
    ///
    /// # Errors
    /// Where a keyholder refuses, the change breaks a rule of the format, or the store fails.
    pub async fn propose(
        &self,
        what: What,
        words: Words,
        custody: &Custody,
        reason: &Reason,
    ) -> Result<Standing> {
        let seed = self.signing_seed(custody, reason).await?;
        let now = Timestamp::now();
        let wait = SignedDuration::from_hours(i64::from(self.keyring.time_lock()));
        let ripe = now.checked_add(wait).unwrap_or(Timestamp::MAX);
        let (cancel, cannot_cancel) = self.cancellers(custody, reason).await?;
        let change = Change {
            vault: self.keyring.vault,
            created: format_time(now),
            not_before: format_time(ripe),
            keyring: self.keyring.version,
            requester: words.requester,
            reason: words.reason,
            what,
            cancel,
            cannot_cancel,
        };
        let bytes = change.sign_and_encode(&seed).map_err(|error| VaultError::format("change", error))?;
        let id = ObjectHash::of(&bytes);
        let _ = self.store.put_new(&names::change(&id), Bytes::from(bytes)).await?;
        let stage = if wait.is_zero() { Stage::Ripe } else { Stage::Waiting };
        Ok(Standing { id, change, ripe, stage })
    }

    async fn cancellers(
        &self,
        custody: &Custody,
        reason: &Reason,
    ) -> Result<(BTreeMap<String, Canceller>, BTreeSet<String>)> {
        let keyring = &self.keyring;
        let policies =
            keyring.datasets.iter().flat_map(|dataset| [&dataset.read_policy, &dataset.write_policy]);
        let labels: BTreeSet<&str> = [&keyring.read_policy, &keyring.write_policy]
            .into_iter()
            .chain(policies)
            .flat_map(|policy| policy.leaves())
            .collect();
        let (mut cancel, mut cannot) = (BTreeMap::new(), BTreeSet::new());
        for label in labels {
            let seed = Secret32::random(&mut SystemEntropy);
            let alone = PolicyTree::Keyholder(label.to_owned());
            match custody.wrap_key(&alone, &self.signing_context(), &seed, reason).await {
                Ok(wrapped) => {
                    let public_key = SigningPublicKey::of_seed(&seed);
                    cancel.insert(label.to_owned(), Canceller { public_key, seed: wrapped });
                }
                // A key that was deleted at its provider cannot be wrapped to: that is often why a policy changes.
                Err(CustodyError::Refused { .. }) => {
                    cannot.insert(label.to_owned());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok((cancel, cannot))
    }

    /// Every change in the vault, the newest last; and the names of objects that are none. Uses no key.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn changes(&self, now: Timestamp) -> Result<(Vec<Standing>, Vec<String>)> {
        let (mut changes, mut odd) = (Vec::new(), Vec::new());
        for object in self.store.list(names::CHANGES).await? {
            let Some(id) = names::parse_change(&object.name) else {
                odd.push(object.name);
                continue;
            };
            match self.change(&id, now).await {
                Ok(standing) => changes.push(standing),
                Err(error) if error.is_integrity() => odd.push(object.name),
                Err(error) => return Err(error),
            }
        }
        changes.sort_by(|a, b| (&a.change.created, a.id).cmp(&(&b.change.created, b.id)));
        Ok((changes, odd))
    }

    /// The change whose id begins with these digits. Uses no key.
    ///
    /// # Errors
    /// [`ChangeError::Missing`] and [`ChangeError::Ambiguous`]; where it is damaged, or the store fails.
    pub async fn find_change(&self, digits: &str, now: Timestamp) -> Result<Standing> {
        let listed = self.store.list(names::CHANGES).await?;
        let mut found = listed
            .iter()
            .filter_map(|object| names::parse_change(&object.name))
            .filter(|id| id.to_hex().starts_with(digits));
        match (found.next().filter(|_| digits.len() >= 4), found.next()) {
            (Some(id), None) => self.change(&id, now).await,
            (Some(_), Some(_)) => Err(ChangeError::Ambiguous(digits.to_owned()).into()),
            (None, _) => Err(ChangeError::Missing(digits.to_owned()).into()),
        }
    }

    async fn change(&self, id: &ObjectHash, now: Timestamp) -> Result<Standing> {
        let name = names::change(id);
        let bytes = self.store.get(&name, DOCUMENT_MAX as u64).await?;
        let damaged = |error| VaultError::format(&name, error);
        if ObjectHash::of(&bytes) != *id {
            return Err(VaultError::damaged(&name, "change", strongroom_format::Damage::Hash));
        }
        let change = Change::decode(&bytes, &self.keyring.signing_key).map_err(damaged)?;
        let ripe = self.ripe(&name, &change).await?;
        let stage = match self.certificate(id).await? {
            Some(certificate) => Stage::Done(Box::new(certificate)),
            None => match self.cancellation(id, &change).await? {
                Some(cancellation) => Stage::Cancelled(cancellation),
                None if now < ripe => Stage::Waiting,
                None => Stage::Ripe,
            },
        };
        Ok(Standing { id: *id, change, ripe, stage })
    }

    /// When a change may be carried out: after its own time, and after the time lock by the store's clock.
    async fn ripe(&self, name: &str, change: &Change) -> Result<Timestamp> {
        let field = || VaultError::damaged(name, "change", strongroom_format::Damage::Field("not_before"));
        let not_before: Timestamp = change.not_before.parse().map_err(|_| field())?;
        let created: Timestamp = change.created.parse().map_err(|_| field())?;
        let wait = not_before.duration_since(created);
        let stored = self.store.stat(name).await?.map_or(created, |object| object.modified);
        let by_the_store = stored.checked_add(wait).unwrap_or(Timestamp::MAX);
        // A whole second is the best that some stores tell, and it may lie after the moment of writing.
        let slack = SignedDuration::from_secs(if wait.is_zero() { 2 } else { 0 });
        Ok(not_before.max(by_the_store.checked_sub(slack).unwrap_or(by_the_store)))
    }

    async fn certificate(&self, id: &ObjectHash) -> Result<Option<Certificate>> {
        let name = names::certificate(id);
        match self.store.get(&name, DOCUMENT_MAX as u64).await {
            Ok(bytes) => Ok(Certificate::decode(&bytes, &self.keyring.vault)
                .ok()
                .filter(|certificate| certificate.change == *id)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The first cancellation that a keyholder signed. What is none proves nothing and stops nothing.
    async fn cancellation(&self, id: &ObjectHash, change: &Change) -> Result<Option<Cancellation>> {
        let listed = self.store.list(&names::cancellations(id)).await?;
        for object in listed.iter().take(CANCELLATIONS_MAX) {
            let bytes = self.store.get(&object.name, DOCUMENT_MAX as u64).await?;
            if let Ok(cancellation) = Cancellation::decode(&bytes, id, change) {
                return Ok(Some(cancellation));
            }
        }
        Ok(None)
    }

    /// Cancels a change with one keyholder's key; without a name, with the first that opens here.
    ///
    /// # Errors
    /// [`ChangeError`] where it is over already or the keyholder cannot cancel; where the keyholder refuses.
    pub async fn cancel(
        &self,
        standing: &Standing,
        holder: Option<&str>,
        why: &str,
        custody: &Custody,
        reason: &Reason,
    ) -> Result<Cancellation> {
        if !matches!(standing.stage, Stage::Waiting | Stage::Ripe) {
            standing.may_proceed()?;
        }
        let can: Vec<&String> = standing.change.cancel.keys().collect();
        let tried: Vec<&String> = match holder {
            None => can.clone(),
            Some(holder) => can.iter().copied().filter(|label| *label == holder).collect(),
        };
        let mut failure = VaultError::Change(ChangeError::CannotCancel {
            holder: holder.unwrap_or("nobody").to_owned(),
            can: can.into_iter().cloned().collect(),
        });
        for label in tried {
            let Some(canceller) = standing.change.cancel.get(label) else { continue };
            match custody.unwrap_key(&canceller.seed, &self.signing_context(), reason).await {
                Ok(seed) => return self.put_cancellation(standing, label, why, &seed).await,
                Err(error) => failure = error.into(),
            }
        }
        Err(failure)
    }

    async fn put_cancellation(
        &self,
        standing: &Standing,
        holder: &str,
        why: &str,
        seed: &Secret32,
    ) -> Result<Cancellation> {
        let cancellation = Cancellation {
            change: standing.id,
            holder: holder.to_owned(),
            time: rfc3339_now(),
            reason: why.to_owned(),
        };
        let bytes =
            cancellation.sign_and_encode(seed).map_err(|error| VaultError::format("cancellation", error))?;
        let name = names::cancellation(&standing.id, &ObjectHash::of(&bytes));
        let _ = self.store.put_new(&name, Bytes::from(bytes)).await?;
        Ok(cancellation)
    }

    /// Signs and stores what was done.
    pub(crate) async fn certify(
        &self,
        standing: &Standing,
        destroyed: BTreeMap<String, ObjectHash>,
        kept: BTreeSet<String>,
        snapshots: BTreeSet<String>,
        seed: &Secret32,
    ) -> Result<Certificate> {
        let certificate = Certificate {
            vault: self.keyring.vault,
            signing_key: self.keyring.signing_key,
            change: standing.id,
            what: standing.change.what.clone(),
            proposed: standing.change.created.clone(),
            done: rfc3339_now(),
            destroyed,
            kept,
            snapshots,
        };
        let bytes =
            certificate.sign_and_encode(seed).map_err(|error| VaultError::format("certificate", error))?;
        let _ = self.store.put_new(&names::certificate(&standing.id), Bytes::from(bytes)).await?;
        Ok(certificate)
    }

    /// Deletes documents that hold wraps; what was deleted with the hashes of its bytes, and what the store would not
    /// delete.
    pub(crate) async fn destroy(
        &self,
        names: impl IntoIterator<Item = String>,
    ) -> Result<(BTreeMap<String, ObjectHash>, BTreeSet<String>)> {
        let (mut destroyed, mut kept) = (BTreeMap::new(), BTreeSet::new());
        for name in names {
            let hash = match self.store.get(&name, DOCUMENT_MAX as u64).await {
                Ok(bytes) => ObjectHash::of(&bytes),
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error.into()),
            };
            match self.store.delete(&name).await {
                Ok(()) if self.store.stat(&name).await?.is_none() => {
                    destroyed.insert(name, hash);
                }
                _ => {
                    kept.insert(name);
                }
            }
        }
        Ok((destroyed, kept))
    }

    /// Carries out a change of policy or of the time lock, or forgets documents from before. What is done stays done
    /// where it is interrupted, and the next time goes on.
    ///
    /// # Errors
    /// [`ChangeError`] where it may not be carried out; where keyholders refuse or the store fails.
    pub async fn apply(
        &mut self,
        standing: &Standing,
        custody: &Custody,
        reason: &Reason,
        progress: &(dyn Fn(&str, u32) + Send + Sync),
    ) -> Result<Certificate> {
        let change = standing.may_proceed()?;
        let (seed, forget) = match &change.what {
            What::Policy(policies) => {
                let seed = match self.keyring.change == Some(standing.id) {
                    true => self.signing_seed(custody, reason).await?,
                    false => {
                        let change = policy_change(policies, Authority::Ripe(standing.id));
                        self.change_policy(change, custody, reason).await?
                    }
                };
                (seed, policies.delete_old)
            }
            What::Forget { .. } => (self.signing_seed(custody, reason).await?, true),
            What::TimeLock(hours) => {
                let seed = self.signing_seed(custody, reason).await?;
                self.set_time_lock(*hours, Some(standing.id), &seed).await?;
                (seed, false)
            }
            What::Shred(_) => return Err(VaultError::Bug("a shred is carried out elsewhere")),
        };
        let again = Some(seed.clone());
        let done = match change.what {
            What::TimeLock(_) => crate::rewrap::Rewrapped::default(),
            _ => {
                self.rewrap(custody, reason, again, forget.then_some(Authority::Ripe(standing.id)), progress)
                    .await?
            }
        };
        let kept = done.kept.into_iter().collect();
        self.certify(standing, done.deleted, kept, BTreeSet::new(), &seed).await
    }

    /// Sets the time lock; longer ones at once, shorter ones by a change.
    ///
    /// # Errors
    /// [`ChangeError::Locked`]; where the keyholders refuse or the store fails.
    pub async fn change_time_lock(&mut self, hours: u32, custody: &Custody, reason: &Reason) -> Result<()> {
        if hours < self.keyring.time_lock() {
            let why = vec![format!("the time lock falls to {hours} hours")];
            return Err(ChangeError::Locked { hours: self.keyring.time_lock(), why }.into());
        }
        let seed = self.signing_seed(custody, reason).await?;
        self.set_time_lock(hours, None, &seed).await
    }

    async fn set_time_lock(&mut self, hours: u32, by: Option<ObjectHash>, seed: &Secret32) -> Result<()> {
        let mut keyring = self.next_keyring();
        keyring.time_lock = Some(hours);
        keyring.change = by;
        self.publish(keyring, seed).await
    }

    /// Whether a keyring that this client did not see being made waited as it must. `newer` follows `older`.
    ///
    /// # Errors
    /// Where the store fails.
    pub(crate) async fn has_waited(&self, older: &Keyring, newer: &Keyring) -> Result<bool> {
        if older.time_lock() == 0 || Dangers::between(older, newer).lowered.is_empty() {
            return Ok(true);
        }
        let Some(id) = newer.change else { return Ok(false) };
        let Ok(standing) = self.change(&id, Timestamp::now()).await else { return Ok(false) };
        // The newer keyring may lower what that change says, and nothing else.
        let mut foretold = older.clone();
        match &standing.change.what {
            What::Policy(policies) => {
                policy_change(policies, Authority::Ripe(id)).apply_to(&mut foretold);
            }
            What::TimeLock(hours) => foretold.time_lock = Some(*hours),
            What::Forget { .. } | What::Shred(_) => {}
        }
        if !Dangers::between(&foretold, newer).lowered.is_empty() {
            return Ok(false);
        }
        let ended = match standing.stage {
            Stage::Cancelled(_) => return Ok(false),
            Stage::Done(_) => self.store.stat(&names::certificate(&id)).await?,
            Stage::Waiting | Stage::Ripe => None,
        };
        let proposed = self.store.stat(&names::change(&id)).await?;
        let published = self.store.stat(&names::keyring(newer.version)).await?;
        let wait = SignedDuration::from_hours(i64::from(older.time_lock()));
        Ok(proposed.zip(published).is_some_and(|(proposed, published)| {
            // What was carried out once does not allow the same step again.
            let is_replay =
                ended.is_some_and(|ended| published.modified.duration_since(ended.modified) > CLOCK_SLACK);
            !is_replay && published.modified.duration_since(proposed.modified) + CLOCK_SLACK >= wait
        }))
    }
}

fn policy_change(policies: &Policies, authority: Authority) -> PolicyChange {
    let Policies { add, read_policy, write_policy, datasets, .. } = policies.clone();
    PolicyChange { add, read_policy, write_policy, datasets, authority }
}
