//! A report of everything, and its forms: text, JSON, SARIF 2.1.0, one HTML page.
//!
//! - Invariant: what a trail says is hostile. No form lets it become markup, a control sequence or a link.

mod html;
mod sarif;
mod text;

use crate::{
    coverage::{Coverage, Span},
    detect::{Detection, Severity},
    digest,
    event::Event,
    problem::Problem,
    reading::Summary,
    reconcile::{JoinedBy, KeyUse, Reconciliation, Verdict},
};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The clock.
    pub now: Timestamp,
    /// What was read.
    pub summary: &'a Summary,
    /// What the digests say, where they were looked at.
    pub digests: Option<&'a digest::Report>,
    /// What the trail covers.
    pub coverage: &'a Coverage,
    /// Events.
    pub events: &'a [Event],
    /// Key uses of the ledger.
    pub uses: &'a [KeyUse],
    /// What came out of their join.
    pub reconciliation: &'a Reconciliation,
    /// What was detected.
    pub detections: &'a [Detection],
}

/// The report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Of this layout.
    pub schema: &'static str,
    /// When it was made.
    pub made: Timestamp,
    /// In a word: `clean`, `problems` or `alarm`.
    pub result: Outcome,
    /// What was read.
    pub read: Read,
    /// How many of each verdict.
    pub verdicts: BTreeMap<&'static str, u64>,
    /// Events of key uses of keys that are not ours.
    pub elsewhere: u64,
    /// Failed calls that name no key.
    pub keyless: u64,
    /// Everything that is not MATCHED, SERVICE or DUPLICATE, the worst first.
    pub findings: Vec<Finding>,
    /// What was detected, by time.
    pub detections: Vec<Detected>,
    /// What digests say.
    pub digests: Option<Digests>,
    /// What the trail covers.
    pub coverage: Vec<Covered>,
    /// Where nothing can be said.
    pub blind: Vec<Blind>,
    /// What could not be read.
    pub problems: Vec<Unread>,
    /// For the timeline: a time, its row, how bad.
    #[serde(skip)]
    marks: Vec<Mark>,
}

/// A report in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Everything matches, and the trail is whole.
    Clean,
    /// Something could not be verified, or should be looked at.
    Problems,
    /// Somebody must look at it now.
    Alarm,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Read {
    /// Files.
    pub files: u64,
    /// Bytes, inflated.
    pub bytes: u64,
    /// Records.
    pub records: u64,
    /// Records that became events.
    pub events: u64,
    /// Key uses of the ledger.
    pub key_uses: u64,
    /// The time of the first event.
    pub first: Option<Timestamp>,
    /// The time of the last event.
    pub last: Option<Timestamp>,
}

/// One verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The verdict.
    pub verdict: &'static str,
    /// When.
    pub time: Option<Timestamp>,
    /// By what it was joined.
    pub joined_by: &'static str,
    /// Why.
    pub reasons: Vec<String>,
    /// What the provider says.
    pub event: Option<Seen>,
    /// What the ledger says.
    pub key_use: Option<Said>,
}

/// What a provider says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The event's id.
    pub id: String,
    /// The operation.
    pub name: String,
    /// The key.
    pub key: Option<String>,
    /// Who.
    pub principal: String,
    /// The access key.
    pub access_key: Option<String>,
    /// From where.
    pub source_ip: Option<String>,
    /// The request.
    pub request_id: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// How far the provider's events can be joined.
    pub confidence: &'static str,
    /// The file.
    pub file: String,
    /// The place in it.
    pub offset: u64,
}

/// What the ledger says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// The operation.
    pub operation: String,
    /// Its key use.
    pub step: u32,
    /// The attempt.
    pub attempt: u32,
    /// `wrap` or `unwrap`.
    pub verb: &'static str,
    /// The keyholder.
    pub keyholder: String,
    /// The dataset.
    pub dataset: String,
    /// The reason.
    pub reason: String,
    /// The request.
    pub request_id: Option<String>,
    /// Places in the ledger.
    pub entries: Vec<u64>,
}

/// One detection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detected {
    /// The rule.
    pub rule: &'static str,
    /// How bad.
    pub severity: &'static str,
    /// In a few words.
    pub title: &'static str,
    /// Whether it was only tried.
    pub attempted: bool,
    /// When.
    pub time: Timestamp,
    /// What exactly.
    pub what: String,
    /// What it means.
    pub means: &'static str,
    /// What dies.
    pub dies: &'static str,
    /// The command that stops it.
    pub stop: String,
    /// What the provider says.
    pub event: Seen,
}

/// What digests say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Digests {
    /// How many there are.
    pub digests: u64,
    /// Log files that are as they were signed.
    pub verified: u64,
    /// Log files of which nothing is known.
    pub unproven: u64,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// One fault of a digest chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What kind.
    pub kind: &'static str,
    /// Whether somebody changed or removed something.
    pub tampering: bool,
    /// About what.
    pub object: String,
    /// In words.
    pub what: String,
}

/// What the trail covers of an account and region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// The account.
    pub account: String,
    /// The region.
    pub region: String,
    /// Times that digests prove.
    pub proven: Vec<Times>,
    /// Times that are claimed to be whole.
    pub claimed: Vec<Times>,
    /// What lies between proven times.
    pub gaps: Vec<Times>,
}

/// A time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Times {
    /// Its first moment.
    pub start: Timestamp,
    /// The first moment behind it.
    pub end: Timestamp,
}

/// A time of which nothing can be said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Blind {
    /// The account; empty: all.
    pub account: String,
    /// When.
    pub time: Times,
    /// Why.
    pub why: String,
}

/// What could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// The file.
    pub file: String,
    /// The place in it.
    pub offset: u64,
    /// What kind.
    pub kind: &'static str,
    /// Whether records may be missing.
    pub hides_records: bool,
    /// In words.
    pub what: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    time: Timestamp,
    row: Row,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Row {
    Matched,
    Other,
    Alarm,
    Detection,
}

fn times(spans: &[Span]) -> Vec<Times> {
    spans.iter().map(|span| Times { start: span.start, end: span.end }).collect()
}

fn seen(event: &Event) -> Seen {
    Seen {
        id: event.id.clone(),
        name: event.name.clone(),
        key: event.key().map(str::to_owned),
        principal: event.principal.name.clone(),
        access_key: event.principal.access_key.clone(),
        source_ip: event.principal.source_ip.clone(),
        request_id: event.request_id.clone(),
        error: event.error.clone(),
        confidence: event.confidence.as_str(),
        file: event.place.file.to_string(),
        offset: event.place.offset,
    }
}

fn said(key_use: &KeyUse) -> Said {
    Said {
        operation: key_use.operation.to_string(),
        step: key_use.step,
        attempt: key_use.attempt,
        verb: if key_use.verb == strongroom_ledger::entry::Verb::Wrap { "wrap" } else { "unwrap" },
        keyholder: key_use.keyholder.clone(),
        dataset: key_use.context.dataset.clone(),
        reason: key_use.reason.clone(),
        request_id: key_use.request_id().map(str::to_owned),
        entries: [key_use.intent_at, key_use.outcome_at].into_iter().flatten().collect(),
    }
}

fn unread(problem: &Problem) -> Unread {
    Unread {
        file: problem.place.file.to_string(),
        offset: problem.place.offset,
        kind: problem.kind.as_str(),
        hides_records: problem.kind.hides_records(),
        what: problem.what.clone(),
    }
}

impl Report {
    /// Makes a report.
    #[must_use]
    pub fn new(inputs: Inputs<'_>) -> Self {
        let Inputs { events, uses, reconciliation, detections, .. } = inputs;
        let mut marks = Vec::new();
        let mut findings = Vec::new();
        for finding in &reconciliation.findings {
            let event = finding.event.and_then(|at| events.get(at));
            let key_use = finding.key_use.and_then(|at| uses.get(at));
            let time = event.map(|event| event.time).or(key_use.map(|key_use| key_use.time));
            let row = match finding.verdict {
                Verdict::Matched => Row::Matched,
                verdict if verdict.is_alarm() => Row::Alarm,
                _ => Row::Other,
            };
            marks.extend(time.map(|time| Mark { time, row }));
            if matches!(finding.verdict, Verdict::Matched | Verdict::Service | Verdict::Duplicate)
                && finding.joined_by != JoinedBy::Circumstances
            {
                continue;
            }
            findings.push(Finding {
                verdict: finding.verdict.as_str(),
                time,
                joined_by: finding.joined_by.as_str(),
                reasons: finding.reasons.clone(),
                event: event.map(seen),
                key_use: key_use.map(said),
            });
        }
        let detected: Vec<_> = detections
            .iter()
            .filter_map(|detection| {
                let event = events.get(detection.event)?;
                marks.push(Mark { time: event.time, row: Row::Detection });
                Some(Detected {
                    rule: detection.rule.id,
                    severity: detection.severity.as_str(),
                    title: detection.rule.title,
                    attempted: detection.attempted,
                    time: event.time,
                    what: detection.what.clone(),
                    means: detection.rule.means,
                    dies: detection.rule.dies,
                    stop: detection.stop.clone(),
                    event: seen(event),
                })
            })
            .collect();
        let verdicts = Verdict::ALL
            .iter()
            .filter_map(|verdict| Some((verdict.as_str(), *reconciliation.counts.get(verdict)?)))
            .collect();
        let mut problems: Vec<_> = inputs.summary.problems.iter().map(unread).collect();
        problems.extend(inputs.digests.iter().flat_map(|report| &report.problems).map(unread));
        problems.dedup();
        let summary = inputs.summary;
        Self {
            schema: "strongroom.trail-report/1",
            made: inputs.now,
            result: outcome(&inputs),
            read: Read {
                files: summary.files,
                bytes: summary.bytes,
                records: summary.records,
                events: summary.events,
                key_uses: uses.len() as u64,
                first: events.iter().map(|event| event.time).min(),
                last: events.iter().map(|event| event.time).max(),
            },
            verdicts,
            elsewhere: reconciliation.elsewhere,
            keyless: reconciliation.keyless,
            findings,
            detections: detected,
            digests: inputs.digests.map(digests),
            coverage: inputs
                .coverage
                .areas
                .iter()
                .map(|((account, region), area)| Covered {
                    account: account.clone(),
                    region: region.clone(),
                    proven: times(area.proven.as_slice()),
                    claimed: times(area.claimed.as_slice()),
                    gaps: times(&area.proven.gaps()),
                })
                .collect(),
            blind: inputs
                .coverage
                .blind
                .iter()
                .flat_map(|(account, list)| {
                    list.iter().map(|blind| Blind {
                        account: account.clone(),
                        time: Times { start: blind.span.start, end: blind.span.end },
                        why: blind.why.clone(),
                    })
                })
                .collect(),
            problems,
            marks,
        }
    }

    /// As JSON, with a line feed at its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // It has texts, numbers and lists only.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// For a terminal or a mail, without colours.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::render(self)
    }

    /// As SARIF 2.1.0 (docs.oasis-open.org/sarif/sarif/v2.1.0).
    #[must_use]
    pub fn to_sarif(&self) -> String {
        sarif::render(self)
    }

    /// As one page that loads nothing.
    #[must_use]
    pub fn to_html(&self) -> String {
        html::render(self)
    }
}

fn digests(report: &digest::Report) -> Digests {
    Digests {
        digests: report.chains.iter().map(|chain| chain.digests).sum(),
        verified: report.verified.len() as u64,
        unproven: report.unproven.len() as u64,
        faults: report
            .faults
            .iter()
            .map(|fault| Fault {
                kind: fault.kind.as_str(),
                tampering: fault.kind.is_tampering(),
                object: fault.object.clone(),
                what: fault.what.clone(),
            })
            .collect(),
    }
}

fn outcome(inputs: &Inputs<'_>) -> Outcome {
    let counts = &inputs.reconciliation.counts;
    let alarm = counts.iter().any(|(verdict, count)| verdict.is_alarm() && *count > 0)
        || inputs.digests.is_some_and(digest::Report::has_tampering)
        || inputs.detections.iter().any(|detection| detection.severity >= Severity::High);
    let problems = counts.contains_key(&Verdict::Unverifiable)
        || inputs.summary.problems.iter().any(|problem| problem.kind.hides_records())
        || inputs.digests.is_some_and(|report| !report.faults.is_empty() || !report.problems.is_empty())
        || !inputs.coverage.blind.is_empty()
        || inputs.detections.iter().any(|detection| detection.severity >= Severity::Low);
    match (alarm, problems) {
        (true, _) => Outcome::Alarm,
        (_, true) => Outcome::Problems,
        _ => Outcome::Clean,
    }
}

/// A text without control characters and marks that turn the direction of writing.
fn clean(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}
