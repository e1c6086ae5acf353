//! The join of the ledger's key uses with the trail's events, and a verdict about each.
//!
//! Joined is first by the provider's request id, which its answer told us; then by an id of our operation that the
//! event carries; then by circumstances: operation, key, context, principal and time. The last is weaker, and is tried
//! only for key uses of which no request id is known.
//!
//! - Invariant: every key use and every event in scope has exactly one verdict, whatever their order.
//! - Invariant: PHANTOM is said only where absence is proven.

mod join;
mod uses;

pub use uses::{KeyUse, key_uses};

use crate::{
    audit::{self, Bound, HashCheck},
    coverage::Coverage,
    event::{Context, Event, Provider},
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// What is said of an event, of a key use, or of both together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// An event and a key use that say the same.
    Matched,
    /// They belong together and do not say the same.
    Mismatch,
    /// An event of a key use that we did not make: somebody else has our rights.
    Unexplained,
    /// An event that carries the id of an operation of ours, or the request id of another event, and is none of ours.
    Replayed,
    /// A key use that the provider never saw, by a trail that is whole.
    Phantom,
    /// An event of a service that may use the key.
    Service,
    /// It is too early to say.
    Pending,
    /// An event that is there already, or its twin in another account.
    Duplicate,
    /// A key use of which nothing can be said.
    Unverifiable,
}

impl Verdict {
    /// All of them, the worst first.
    pub const ALL: [Self; 9] = [
        Self::Unexplained,
        Self::Replayed,
        Self::Mismatch,
        Self::Phantom,
        Self::Unverifiable,
        Self::Pending,
        Self::Service,
        Self::Duplicate,
        Self::Matched,
    ];

    /// As reports write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Matched => "MATCHED",
            Self::Mismatch => "MISMATCH",
            Self::Unexplained => "UNEXPLAINED",
            Self::Replayed => "REPLAYED",
            Self::Phantom => "PHANTOM",
            Self::Service => "SERVICE",
            Self::Pending => "PENDING",
            Self::Duplicate => "DUPLICATE",
            Self::Unverifiable => "UNVERIFIABLE",
        }
    }

    /// Whether somebody must look at it.
    #[must_use]
    pub fn is_alarm(self) -> bool {
        matches!(self, Self::Mismatch | Self::Unexplained | Self::Replayed | Self::Phantom)
    }
}

/// By what an event and a key use were joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JoinedBy {
    /// Nothing.
    Nothing,
    /// Operation, key, context, principal and time.
    Circumstances,
    /// The id of our operation, which anybody can write.
    OperationId,
    /// The provider's request id.
    RequestId,
}

impl JoinedBy {
    /// A stable word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Circumstances => "circumstances",
            Self::OperationId => "operation-id",
            Self::RequestId => "request-id",
        }
    }
}

/// One verdict.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The verdict.
    pub verdict: Verdict,
    /// The event's place in the list that was given.
    pub event: Option<usize>,
    /// The key use's place in the list that was given.
    pub key_use: Option<usize>,
    /// By what they were joined.
    pub joined_by: JoinedBy,
    /// Why, where there is more to say.
    pub reasons: Vec<String>,
}

/// How to join.
#[derive(Debug, Clone)]
pub struct Options {
    /// The clock.
    pub now: Timestamp,
    /// For how long after its time an event without a key use is PENDING: entries may not have been merged yet.
    pub ledger_delay: SignedDuration,
    /// For how long after its time a key use without an event is PENDING; also how long delivery may take.
    pub trail_delay: SignedDuration,
    /// By how much the clocks of host and provider may differ.
    pub skew: SignedDuration,
    /// The full names of keys, by the labels of keyholders: what the ledger's `key_id` does not tell.
    pub keys: BTreeMap<String, String>,
    /// Principals that are ours: names, or beginnings of names that end with `*`. Empty: any.
    pub principals: Vec<String>,
    /// Services that may use the keys, such as `backup.amazonaws.com`.
    pub services: Vec<String>,
    /// Whether a log that only claims to be whole is enough for PHANTOM. Never so for CloudTrail without digests.
    pub believe_claims: bool,
}

impl Options {
    /// The defaults: 15 minutes for the ledger, 24 hours for the trail, 5 minutes between clocks.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            ledger_delay: SignedDuration::from_mins(15),
            trail_delay: SignedDuration::from_hours(24),
            skew: SignedDuration::from_mins(5),
            keys: BTreeMap::new(),
            principals: Vec::new(),
            services: Vec::new(),
            believe_claims: false,
        }
    }

    /// Whether a principal is ours.
    #[must_use]
    pub fn is_ours(&self, event: &Event) -> bool {
        let names = [Some(event.principal.name.as_str()), event.principal.issuer.as_deref()];
        self.principals.is_empty()
            || self.principals.iter().any(|wanted| {
                names.iter().flatten().any(|name| match wanted.strip_suffix('*') {
                    Some(start) => name.starts_with(start),
                    None => name == wanted,
                })
            })
    }
}

/// What came out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciliation {
    /// One for each event in scope and each key use, or both together: the worst first, then by time.
    pub findings: Vec<Finding>,
    /// How many of each verdict.
    pub counts: BTreeMap<Verdict, u64>,
    /// Events of key uses of keys that are not ours.
    pub elsewhere: u64,
    /// Failed calls that name no key.
    pub keyless: u64,
}

/// Joins key uses with events.
#[must_use]
pub fn reconcile(
    uses: &[KeyUse],
    events: &[Event],
    coverage: &Coverage,
    options: &Options,
) -> Reconciliation {
    let mut result = join::Join::new(uses, events, coverage, options).run();
    let rank = |verdict| Verdict::ALL.iter().position(|other| *other == verdict);
    let time = |finding: &Finding| {
        let event = finding.event.and_then(|at| events.get(at)).map(|event| event.time);
        event.or_else(|| finding.key_use.and_then(|at| uses.get(at)).map(|key_use| key_use.time))
    };
    result
        .findings
        .sort_by_cached_key(|finding| (rank(finding.verdict), time(finding), finding.event, finding.key_use));
    for finding in &result.findings {
        *result.counts.entry(finding.verdict).or_default() += 1;
    }
    result
}

/// How many bindings of matched events were checked with their server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bindings {
    /// Bound to what the ledger says.
    pub same: u64,
    /// Bound to something else: now a MISMATCH.
    pub other: u64,
    /// The log says nothing of it.
    pub unknown: u64,
}

impl Reconciliation {
    /// Checks the hashed bindings of what matched, as audit devices write them. What differs becomes a MISMATCH.
    ///
    /// # Errors
    /// Why the server could not be asked. What was checked until then stays.
    pub fn check_bindings(
        &mut self,
        uses: &[KeyUse],
        events: &[Event],
        check: &mut dyn HashCheck,
    ) -> Result<Bindings, String> {
        let mut bindings = Bindings::default();
        for finding in self.findings.iter_mut().filter(|finding| finding.verdict == Verdict::Matched) {
            let event = finding.event.and_then(|at| events.get(at));
            let key_use = finding.key_use.and_then(|at| uses.get(at));
            let (Some(event), Some(key_use)) = (event, key_use) else { continue };
            if !matches!(event.context, Context::Hashed(_)) {
                bindings.unknown += u64::from(event.provider == Provider::Transit);
                continue;
            }
            match audit::bound_to(event, &key_use.associated_data(), check)? {
                Bound::Same => bindings.same += 1,
                Bound::Unknown => bindings.unknown += 1,
                Bound::Other => {
                    bindings.other += 1;
                    finding.verdict = Verdict::Mismatch;
                    finding.reasons.push("context: the provider was given another one".into());
                    *self.counts.entry(Verdict::Mismatch).or_default() += 1;
                    if let Some(count) = self.counts.get_mut(&Verdict::Matched) {
                        *count = count.saturating_sub(1);
                    }
                }
            }
        }
        Ok(bindings)
    }
}
