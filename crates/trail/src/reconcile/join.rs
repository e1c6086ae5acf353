//! The join itself: indexed by request id, and by operation and key.

use super::{Finding, JoinedBy, KeyUse, Options, Reconciliation, Verdict};
use crate::{
    coverage::{Absence, Coverage},
    event::{Context, Event, Operation, Provider},
    names::same_key,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use strongroom_ledger::entry::Verb;

pub(super) struct Join<'a> {
    uses: &'a [KeyUse],
    events: &'a [Event],
    coverage: &'a Coverage,
    options: &'a Options,
    result: Reconciliation,
    joined: Vec<bool>,
}

impl<'a> Join<'a> {
    pub(super) fn new(
        uses: &'a [KeyUse],
        events: &'a [Event],
        coverage: &'a Coverage,
        options: &'a Options,
    ) -> Self {
        let joined = vec![false; uses.len()];
        Self { uses, events, coverage, options, result: Reconciliation::default(), joined }
    }

    pub(super) fn run(mut self) -> Reconciliation {
        let mut order: Vec<usize> =
            (0..self.events.len()).filter(|at| self.events[*at].operation.is_key_use()).collect();
        order.sort_by_cached_key(|at| sort_key(&self.events[*at]));
        let order = self.without_duplicates(order);
        let order = self.by_request_id(order);
        let order = self.in_scope(order);
        let order = self.by_operation_id(order);
        self.by_circumstances(order);
        self.left_uses();
        self.result
    }

    fn say(
        &mut self,
        verdict: Verdict,
        event: Option<usize>,
        key_use: Option<usize>,
        by: JoinedBy,
        reasons: Vec<String>,
    ) {
        self.result.findings.push(Finding { verdict, event, key_use, joined_by: by, reasons });
    }

    /// Copies of events, and twins in other accounts. What differs from its copy is a MISMATCH.
    fn without_duplicates(&mut self, order: Vec<usize>) -> Vec<usize> {
        let mut first: HashMap<(Provider, &str, &str), usize> = HashMap::new();
        let mut shared: HashMap<(Provider, &str), usize> = HashMap::new();
        let mut left = Vec::with_capacity(order.len());
        for at in order {
            let event = &self.events[at];
            let id = (event.provider, event.account.as_str(), event.id.as_str());
            if let Some(other) = first.get(&id) {
                let reasons = if same_content(event, &self.events[*other]) {
                    vec!["its event id was seen before".into()]
                } else {
                    vec!["another event with the same id says otherwise".into()]
                };
                let same = same_content(event, &self.events[*other]) || event.addendum.is_some();
                let verdict = if same { Verdict::Duplicate } else { Verdict::Mismatch };
                self.say(verdict, Some(at), None, JoinedBy::Nothing, reasons);
                continue;
            }
            first.insert(id, at);
            if let Some(id) = &event.shared_id {
                match shared.get(&(event.provider, id.as_str())) {
                    Some(other) if self.events[*other].account != event.account => {
                        let what = "the same call in the trail of another account".into();
                        self.say(Verdict::Duplicate, Some(at), None, JoinedBy::Nothing, vec![what]);
                        continue;
                    }
                    Some(_) => {}
                    None => drop(shared.insert((event.provider, id.as_str()), at)),
                }
            }
            left.push(at);
        }
        left
    }

    fn by_request_id(&mut self, order: Vec<usize>) -> Vec<usize> {
        let mut by_id: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, key_use) in self.uses.iter().enumerate() {
            if let Some(id) = key_use.request_id() {
                by_id.entry(id).or_default().push(at);
            }
        }
        let mut seen: HashSet<&str> = HashSet::new();
        let mut left = Vec::new();
        for at in order {
            let event = &self.events[at];
            let Some((id, uses)) = event.request_id.as_deref().and_then(|id| by_id.get_key_value(id)) else {
                left.push(at);
                continue;
            };
            if !seen.insert(id) {
                let what = "another event has the same request id".into();
                self.say(Verdict::Replayed, Some(at), None, JoinedBy::RequestId, vec![what]);
                continue;
            }
            // Of several entries that claim one request, the one that agrees with it is right.
            let best =
                uses.iter().copied().min_by_key(|at| (self.differences(&self.uses[*at], event).len(), *at));
            for key_use in uses.iter().copied() {
                self.joined[key_use] = true;
                if Some(key_use) != best {
                    let what = "another entry claims the same request".into();
                    self.say(Verdict::Mismatch, None, Some(key_use), JoinedBy::RequestId, vec![what]);
                }
            }
            if let Some(key_use) = best {
                self.match_up(at, key_use, JoinedBy::RequestId);
            }
        }
        left
    }

    fn match_up(&mut self, event: usize, key_use: usize, by: JoinedBy) {
        self.joined[key_use] = true;
        let reasons = self.differences(&self.uses[key_use], &self.events[event]);
        let verdict = if reasons.is_empty() { Verdict::Matched } else { Verdict::Mismatch };
        self.say(verdict, Some(event), Some(key_use), by, reasons);
    }

    /// The events that are about our keys. Where nobody knows which keys are ours, all are.
    fn in_scope(&mut self, order: Vec<usize>) -> Vec<usize> {
        let mut keys: BTreeSet<&str> = self.options.keys.values().map(String::as_str).collect();
        keys.extend(self.uses.iter().filter_map(|key_use| key_use.key_id.as_deref()));
        for finding in &self.result.findings {
            if finding.joined_by == JoinedBy::RequestId
                && let Some(event) = finding.event
                && finding.verdict == Verdict::Matched
            {
                keys.extend(self.events[event].keys.iter().map(String::as_str));
            }
        }
        let full: HashSet<&str> = keys.iter().copied().collect();
        let mut left = Vec::new();
        for at in order {
            let event = &self.events[at];
            if event.keys.is_empty() && event.failed() {
                self.result.keyless += 1;
                continue;
            }
            let ours = keys.is_empty()
                || event.keys.is_empty()
                || event
                    .keys
                    .iter()
                    .any(|key| full.contains(key.as_str()) || keys.iter().any(|other| same_key(key, other)));
            if ours {
                left.push(at);
            } else {
                self.result.elsewhere += 1;
            }
        }
        left
    }

    /// Events that carry an id of our operations, and are of none of their known requests.
    fn by_operation_id(&mut self, order: Vec<usize>) -> Vec<usize> {
        let mut operations: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, key_use) in self.uses.iter().enumerate() {
            operations.entry(key_use.operation.to_string()).or_default().push(at);
        }
        let mut left = Vec::new();
        for at in order {
            let event = &self.events[at];
            let Some(uses) = event.operation_hint.as_ref().and_then(|hint| operations.get(hint)) else {
                left.push(at);
                continue;
            };
            let open = uses.iter().copied().find(|at| self.is_candidate(*at, event));
            match open {
                Some(key_use) => self.match_up(at, key_use, JoinedBy::OperationId),
                None if uses.iter().any(|at| self.is_renewal(*at, event)) => {
                    let what =
                        "refused for a token that was over; the key use asked again with a new one".into();
                    self.say(Verdict::Duplicate, Some(at), None, JoinedBy::OperationId, vec![what]);
                }
                None => {
                    let what = "it carries the id of an operation of ours, which did not make it".into();
                    self.say(Verdict::Replayed, Some(at), None, JoinedBy::OperationId, vec![what]);
                }
            }
        }
        left
    }

    fn by_circumstances(&mut self, order: Vec<usize>) {
        let mut open: BTreeMap<(Verb, Timestamp), Vec<usize>> = BTreeMap::new();
        for (at, key_use) in self.uses.iter().enumerate() {
            if !self.joined[at] && may_lack_request_id(key_use) {
                open.entry((key_use.verb, key_use.time)).or_default().push(at);
            }
        }
        // No key use that began earlier than this can still have been going on.
        let took = |one: &KeyUse| one.ended.unwrap_or(one.time).duration_since(one.time);
        let longest = self.uses.iter().map(took).max().unwrap_or_default().saturating_add(self.options.skew);
        for at in order {
            let event = &self.events[at];
            let service = event
                .principal
                .invoked_by
                .as_deref()
                .filter(|service| self.options.services.iter().any(|allowed| allowed == service));
            if let Some(service) = service {
                let what = format!("called by {service}");
                self.say(Verdict::Service, Some(at), None, JoinedBy::Nothing, vec![what]);
                continue;
            }
            let earliest = event.time.saturating_sub(longest).unwrap_or(Timestamp::MIN);
            let latest = event.time.saturating_add(self.options.skew).unwrap_or(Timestamp::MAX);
            let found = verb_of(event.operation).and_then(|verb| {
                let range = (verb, earliest)..=(verb, latest);
                open.range(range).flat_map(|(_, uses)| uses).copied().find(|at| self.is_candidate(*at, event))
            });
            if let Some(key_use) = found {
                let slot = (self.uses[key_use].verb, self.uses[key_use].time);
                if let Some(list) = open.get_mut(&slot) {
                    list.retain(|other| *other != key_use);
                    if list.is_empty() {
                        open.remove(&slot);
                    }
                }
                self.match_up(at, key_use, JoinedBy::Circumstances);
                continue;
            }
            let age = self.options.now.duration_since(event.time);
            if age < self.options.ledger_delay {
                let what = "entries about it may not have been merged yet".into();
                self.say(Verdict::Pending, Some(at), None, JoinedBy::Nothing, vec![what]);
            } else {
                let what = match &event.error {
                    Some(error) => format!("an attempt that failed: {error}"),
                    None => "no entry of the ledger is about it".to_owned(),
                };
                self.say(Verdict::Unexplained, Some(at), None, JoinedBy::Nothing, vec![what]);
            }
        }
    }

    /// Whether a key use may be what an event is about, though no request id says so.
    fn is_candidate(&self, at: usize, event: &Event) -> bool {
        let key_use = &self.uses[at];
        if self.joined[at] || !may_lack_request_id(key_use) || verb_of(event.operation) != Some(key_use.verb)
        {
            return false;
        }
        let skew = self.options.skew;
        let from = key_use.time.saturating_sub(skew).unwrap_or(Timestamp::MIN);
        let to = key_use.ended.unwrap_or(key_use.time).saturating_add(skew).unwrap_or(Timestamp::MAX);
        let provider = match event.provider {
            Provider::Aws => "aws-kms",
            Provider::Transit => "transit",
            Provider::Gcp => "gcp-kms",
            Provider::Azure => "azure-key-vault",
        };
        key_use.kind == provider
            && from <= event.time
            && event.time <= to
            && self.differences(key_use, event).is_empty()
    }

    /// Whether an event is the first of two requests of a key use: Transit refused a token that was over, and the
    /// second one, with a new token, is what the ledger tells.
    fn is_renewal(&self, at: usize, event: &Event) -> bool {
        let key_use = &self.uses[at];
        let skew = self.options.skew;
        event.provider == Provider::Transit
            && key_use.kind == "transit"
            && event.was_denied()
            && verb_of(event.operation) == Some(key_use.verb)
            && self.key_of(key_use).is_some_and(|key| event.keys.iter().any(|other| same_key(other, key)))
            && key_use.time.saturating_sub(skew).is_ok_and(|from| from <= event.time)
            && key_use.ended.is_some_and(|ended| ended.saturating_add(skew).is_ok_and(|to| event.time <= to))
    }

    /// In what an event and a key use differ.
    fn differences(&self, key_use: &KeyUse, event: &Event) -> Vec<String> {
        let mut all = Vec::new();
        if verb_of(event.operation) != Some(key_use.verb) {
            all.push(format!("operation: the provider says {}", event.name));
        }
        if let Some(key) = self.key_of(key_use)
            && !event.keys.is_empty()
            && !event.keys.iter().any(|other| same_key(other, key))
        {
            all.push("key: the provider says another one".into());
        }
        match &event.context {
            Context::Pairs(pairs) if *pairs != key_use.pairs() => {
                all.push("context: the provider says another one".into());
            }
            Context::None
                if event.provider == Provider::Aws
                    && !event.asymmetric
                    && !event.omitted
                    && !event.failed() =>
            {
                all.push("context: the provider saw none".into());
            }
            _ => {}
        }
        if !key_use.context_is_consistent() {
            all.push("context: the entry's hash is not that of its fields".into());
        }
        if !self.options.is_ours(event) {
            all.push("principal: it is none of ours".into());
        }
        let refused = ["denied", "disabled", "pending-deletion", "deleted"];
        match &event.error {
            Some(error) if key_use.succeeded() => {
                all.push(format!("outcome: the provider says that it failed ({error})"));
            }
            None if key_use.class().is_some_and(|class| refused.contains(&class)) => {
                all.push("outcome: the provider says that it worked".into());
            }
            _ => {}
        }
        all
    }

    fn key_of(&self, key_use: &'a KeyUse) -> Option<&str> {
        key_use.key_id.as_deref().or_else(|| self.options.keys.get(&key_use.keyholder).map(String::as_str))
    }

    fn left_uses(&mut self) {
        for at in 0..self.uses.len() {
            let key_use = &self.uses[at];
            if self.joined[at] || !key_use.has_trail() {
                continue;
            }
            let (verdict, why) = self.of_left(key_use);
            self.say(verdict, None, Some(at), JoinedBy::Nothing, vec![why]);
        }
    }

    fn of_left(&self, key_use: &KeyUse) -> (Verdict, String) {
        let age = self.options.now.duration_since(key_use.time);
        if age < self.options.trail_delay {
            return (Verdict::Pending, "its event may not have been delivered yet".into());
        }
        let unverifiable = |what: &str| (Verdict::Unverifiable, what.to_owned());
        if key_use.outcome.is_none() {
            return unverifiable("it has no outcome: the program stopped before it knew");
        }
        if !key_use.succeeded() {
            return unverifiable("it failed, and providers do not record all failures");
        }
        if key_use.request_id().is_none() {
            return unverifiable("it has no request id: the key was used without its provider");
        }
        let (account, region) = self.key_of(key_use).map_or(("", ""), place_of);
        match self.coverage.absence(account, region, key_use.time, self.options.trail_delay) {
            Absence::Proven => (Verdict::Phantom, "the trail is whole, and has no such event".into()),
            Absence::Claimed if self.options.believe_claims => {
                (Verdict::Phantom, "the log claims to be whole, and has no such event".into())
            }
            Absence::Claimed => unverifiable("nothing proves that the log is whole"),
            Absence::Unproven(why) => (Verdict::Unverifiable, why),
        }
    }
}

/// Whether a key use can be joined by circumstances: its answer was lost, or its provider tells no id.
fn may_lack_request_id(key_use: &KeyUse) -> bool {
    key_use.request_id().is_none() || key_use.kind == "gcp-kms"
}

/// Account and region of an ARN.
fn place_of(key: &str) -> (&str, &str) {
    let mut parts = key.split(':').skip(3);
    let region = parts.next().unwrap_or("");
    (parts.next().unwrap_or(""), region)
}

fn verb_of(operation: Operation) -> Option<Verb> {
    match operation {
        Operation::Decrypt => Some(Verb::Unwrap),
        Operation::Encrypt => Some(Verb::Wrap),
        _ => None,
    }
}

/// An order of events that does not depend on the order of files; the key owner's copy of a call comes first.
fn sort_key(event: &Event) -> (Timestamp, bool, String, String, crate::problem::Place) {
    let owner = event.key().is_some_and(|key| place_of(key).0 == event.account);
    (event.time, !owner, event.account.clone(), event.id.clone(), event.place.clone())
}

fn same_content(a: &Event, b: &Event) -> bool {
    (a.time, &a.name, &a.keys, &a.request_id, &a.principal.name, &a.context, &a.error)
        == (b.time, &b.name, &b.keys, &b.request_id, &b.principal.name, &b.context, &b.error)
}
