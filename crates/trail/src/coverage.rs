//! What a trail covers: where the absence of an event proves something, and where it does not.
//!
//! CloudTrail's digests cover times of *delivery*: an event of a time is absent for certain once all digests from then
//! until its delivery must have happened are there and hold. Files without digests, and logs that nobody signs, only
//! claim to be whole.

pub mod selectors;

use crate::{
    event::{Event, Provider},
    reading::Summary,
};
use jiff::{SignedDuration, Timestamp};
use selectors::{Admits, Selectors};
use std::collections::BTreeMap;

/// A time from `start` up to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Its first moment.
    pub start: Timestamp,
    /// The first moment behind it.
    pub end: Timestamp,
}

/// Times, in order, none of which touches another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// Adds a time; an empty one adds nothing.
    pub fn add(&mut self, span: Span) {
        if span.start >= span.end {
            return;
        }
        let from = self.0.partition_point(|other| other.end < span.start);
        let to = self.0.partition_point(|other| other.start <= span.end);
        let merged = self.0[from..to]
            .iter()
            .fold(span, |all, other| Span { start: all.start.min(other.start), end: all.end.max(other.end) });
        self.0.splice(from..to, [merged]);
    }

    /// Whether all of `span` is in it.
    #[must_use]
    pub fn covers(&self, span: Span) -> bool {
        let at = self.0.partition_point(|other| other.end < span.end);
        self.0.get(at).is_some_and(|other| other.start <= span.start && span.end <= other.end)
    }

    /// The times.
    #[must_use]
    pub fn as_slice(&self) -> &[Span] {
        &self.0
    }

    /// What lies between them.
    #[must_use]
    pub fn gaps(&self) -> Vec<Span> {
        self.0.windows(2).map(|two| Span { start: two[0].end, end: two[1].start }).collect()
    }
}

/// A time in which the trail may not have recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blind {
    /// When.
    pub span: Span,
    /// Why.
    pub why: String,
}

/// What is known of one account and region. Both are empty for a provider that has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Area {
    /// Times of delivery that verified digests prove.
    pub proven: Spans,
    /// Times that somebody claims to be whole, such as those from the first to the last line of an audit device.
    pub claimed: Spans,
    /// Hours of events that were seen.
    pub seen: Spans,
}

/// What the absence of an event is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// It was not there: signed digests say so.
    Proven,
    /// It was not there, if the log is whole, which nobody signs.
    Claimed,
    /// It proves nothing, and why.
    Unproven(String),
}

/// What a trail covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// By account and region.
    pub areas: BTreeMap<(String, String), Area>,
    /// Where nothing can be said, by account; an empty account means all.
    pub blind: BTreeMap<String, Vec<Blind>>,
}

/// The hour that a time is in.
#[must_use]
pub fn hour(time: Timestamp) -> Span {
    let start = time.as_second().div_euclid(3600) * 3600;
    let at = |second| Timestamp::from_second(second).unwrap_or(time);
    Span { start: at(start), end: at(start + 3600) }
}

impl Coverage {
    /// The area of an account and region.
    pub fn area(&mut self, account: &str, region: &str) -> &mut Area {
        self.areas.entry((account.to_owned(), region.to_owned())).or_default()
    }

    /// Says that nothing can be said of a time.
    pub fn add_blind(&mut self, account: &str, span: Span, why: impl Into<String>) {
        self.blind.entry(account.to_owned()).or_default().push(Blind { span, why: why.into() });
    }

    /// Takes in what events tell: hours that were seen, and calls that blind a trail.
    ///
    /// Which trail a call was about is not looked at: another trail may go on, but nobody can know from here.
    pub fn add_events<'a>(&mut self, events: impl IntoIterator<Item = &'a Event>) {
        let mut changes: BTreeMap<(String, String), Vec<Change<'_>>> = BTreeMap::new();
        for event in events {
            self.area(&event.account, &event.region).seen.add(hour(event.time));
            if event.provider != Provider::Aws || event.failed() {
                continue;
            }
            let Some((kind, why)) = change(event) else { continue };
            let trail = trail_name(event);
            changes.entry((event.account.clone(), trail)).or_default().push((event.time, why, kind));
        }
        for ((account, trail), mut list) in changes {
            list.sort();
            for kind in ["logging", "selectors"] {
                let mut since: Option<(Timestamp, String)> = None;
                for (time, why, _) in list.iter().filter(|change| change.2 == kind) {
                    match (why, since.take()) {
                        (None, Some((start, why))) => {
                            self.add_blind(&account, Span { start, end: *time }, format!("{trail}: {why}"));
                        }
                        (Some(_), Some(before)) => since = Some(before),
                        (Some(why), None) => since = Some((*time, why.clone())),
                        (None, None) => {}
                    }
                }
                if let Some((start, why)) = since {
                    let span = Span { start, end: Timestamp::MAX };
                    self.add_blind(&account, span, format!("{trail}: {why}"));
                }
            }
        }
    }

    /// Takes in what `aws cloudtrail get-event-selectors` printed at the time `span` is about.
    pub fn add_selectors(&mut self, account: &str, span: Span, selectors: &Selectors) {
        match selectors.key_uses() {
            Admits::Yes => {}
            Admits::Partly => self.add_blind(
                account,
                span,
                format!("{}: its selectors may leave out key uses", selectors.trail),
            ),
            Admits::No => self.add_blind(
                account,
                span,
                format!("{}: its selectors leave out key uses", selectors.trail),
            ),
        }
    }

    /// Takes in what could not be read: events may be in it that nobody saw. `delivery` is how much older than its file an
    /// event may be. A file whose name tells neither account nor time may hold any event.
    pub fn add_unread(&mut self, summary: &Summary, delivery: SignedDuration) {
        for file in &summary.incomplete {
            let why = format!("{file} could not be read as a whole");
            match crate::cloudtrail::log_name(file.rsplit('/').next().unwrap_or(file)) {
                Some((account, _, time)) => {
                    let start = time.saturating_sub(delivery).unwrap_or(Timestamp::MIN);
                    // Names have minutes, and files are written after their minute.
                    let end = time.saturating_add(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MAX);
                    self.add_blind(account, Span { start, end }, why);
                }
                None => self.add_blind("", Span { start: Timestamp::MIN, end: Timestamp::MAX }, why),
            }
        }
    }

    /// What it is worth that an event of `time` is not there. `delivery` is how long its delivery may take.
    #[must_use]
    pub fn absence(&self, account: &str, region: &str, time: Timestamp, delivery: SignedDuration) -> Absence {
        for blind in [account, ""].iter().filter_map(|account| self.blind.get(*account)).flatten() {
            if blind.span.start <= time && time < blind.span.end {
                return Absence::Unproven(blind.why.clone());
            }
        }
        let Some(area) = self.areas.get(&(account.to_owned(), region.to_owned())) else {
            return Absence::Unproven("there is no trail of this account and region".into());
        };
        let end = time.saturating_add(delivery).unwrap_or(Timestamp::MAX);
        if area.proven.covers(Span { start: time, end }) {
            Absence::Proven
        } else if area.claimed.covers(Span { start: time, end }) {
            Absence::Claimed
        } else {
            Absence::Unproven("the trail is not shown to be whole at this time".into())
        }
    }
}

/// When a trail was changed, why it is blind since then, and in what it was changed.
type Change<'a> = (Timestamp, Option<String>, &'a str);

fn trail_name(event: &Event) -> String {
    let request = event.parameters.get("request");
    let name = ["name", "trailName", "trailARN"]
        .iter()
        .find_map(|key| request?.get(key)?.as_str())
        .unwrap_or("a trail");
    name.rsplit('/').next().unwrap_or(name).to_owned()
}

/// Whether a call changes what a trail records: the kind of change, and why it is blind afterwards, if it is.
fn change(event: &Event) -> Option<(&'static str, Option<String>)> {
    if event.service != crate::cloudtrail::CLOUDTRAIL {
        return None;
    }
    match event.name.as_str() {
        "StopLogging" => Some(("logging", Some("logging was stopped".into()))),
        "DeleteTrail" => Some(("logging", Some("the trail was deleted".into()))),
        "StartLogging" | "CreateTrail" => Some(("logging", None)),
        "PutEventSelectors" => {
            let selectors = Selectors::from_value(event.parameters.get("request")?);
            let why = match selectors.key_uses() {
                Admits::Yes => None,
                Admits::Partly => Some("selectors may leave out key uses".to_owned()),
                Admits::No => Some("selectors leave out key uses".to_owned()),
            };
            Some(("selectors", why))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn span(start: i64, end: i64) -> Span {
        Span { start: at(start), end: at(end) }
    }

    proptest! {
        #[test]
        fn spans_are_sets(list in prop::collection::vec((0_i64..40, 0_i64..12), 0..12), probe in (0_i64..40, 1_i64..12)) {
            let mut spans = Spans::default();
            let mut set = [false; 64];
            for (start, length) in list {
                spans.add(span(start, start + length));
                (start..start + length).for_each(|second| set[usize::try_from(second).unwrap()] = true);
            }
            let (start, end) = (probe.0, probe.0 + probe.1);
            let all = (start..end).all(|second| set[usize::try_from(second).unwrap()]);
            prop_assert_eq!(spans.covers(span(start, end)), all);
            prop_assert!(spans.gaps().iter().all(|gap| gap.start < gap.end));
            let total: i64 = spans.as_slice().iter().map(|s| s.end.as_second() - s.start.as_second()).sum();
            prop_assert_eq!(total, i64::try_from(set.iter().filter(|is| **is).count()).unwrap());
        }
    }

    #[test]
    fn absence_is_proven_by_digests_up_to_delivery_only() {
        let mut coverage = Coverage::default();
        coverage.area("1", "eu").proven.add(span(0, 7200));
        coverage.area("1", "eu").claimed.add(span(0, 100_000));
        let delivery = SignedDuration::from_secs(3600);
        assert_eq!(coverage.absence("1", "eu", at(3600), delivery), Absence::Proven);
        assert_eq!(coverage.absence("1", "eu", at(3601), delivery), Absence::Claimed);
        assert!(matches!(coverage.absence("1", "us", at(10), delivery), Absence::Unproven(_)));
        coverage.add_blind("1", span(5, 9), "stopped");
        assert_eq!(coverage.absence("1", "eu", at(5), delivery), Absence::Unproven("stopped".into()));
        assert_eq!(coverage.absence("1", "eu", at(9), delivery), Absence::Proven);
    }

    #[test]
    fn what_could_not_be_read_blinds_its_time_or_all() {
        let mut coverage = Coverage::default();
        let noon: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let hours = SignedDuration::from_hours;
        coverage.area("1", "eu").proven.add(Span { start: noon - hours(99), end: noon + hours(99) });
        let mut summary = Summary::default();
        summary.incomplete.insert("AWSLogs/1_CloudTrail_eu_20260301T1200Z_x.json.gz".into());
        coverage.add_unread(&summary, hours(2));
        let absence = |coverage: &Coverage, time| coverage.absence("1", "eu", time, hours(2));
        assert_eq!(absence(&coverage, noon - hours(3)), Absence::Proven);
        assert!(matches!(absence(&coverage, noon - hours(1)), Absence::Unproven(_)));
        summary.incomplete.insert("other.json".into());
        coverage.add_unread(&summary, hours(2));
        assert!(matches!(absence(&coverage, noon - hours(3)), Absence::Unproven(_)));
    }
}
