//! Which snapshots to keep: a pure function of snapshots, rules, the time and a time zone.
//!
//! Rules mean what restic's rules of the same names mean. A snapshot is kept when any rule keeps it:
//!
//! - *last, hourly … yearly n*: for the newest n hours, days, … that have snapshots, the newest one of
//!   each. While a rule has periods left to fill, it keeps the oldest snapshot too.
//! - *within D*: everything made in the duration D before the newest snapshot.
//! - *within-hourly D …*: the newest of each hour, … in that duration.
//! - *tag*: everything with all the tags of one `--keep-tag`.
//!
//! Snapshots are grouped, and rules apply to each group by itself. Out of scope: reading and removing.

use crate::retention_span::KeepSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};
use std::collections::{BTreeMap, BTreeSet};

/// What the rules need to know of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFacts {
    /// Its id; opaque here.
    pub id: String,
    /// When its backup began.
    pub time: Timestamp,
    /// The host that was backed up.
    pub host: String,
    /// The paths that were backed up, escaped for display.
    pub paths: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// How many periods a rule keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepCount {
    /// This many.
    AtMost(u32),
    /// All.
    Unlimited,
}

impl std::str::FromStr for KeepCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "unlimited" => Ok(Self::Unlimited),
            Ok(count) => Ok(Self::AtMost(count)),
            Err(_) => Err(format!("`{text}` is neither a number nor `unlimited`")),
        }
    }
}

/// The periods of a calendar that rules count in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// Each snapshot is its own period.
    Last,
    /// Hours.
    Hourly,
    /// Days.
    Daily,
    /// ISO 8601 weeks, from Monday.
    Weekly,
    /// Months.
    Monthly,
    /// Years.
    Yearly,
}

impl Period {
    /// All periods, from short to long.
    pub const ALL: [Self; 6] =
        [Self::Last, Self::Hourly, Self::Daily, Self::Weekly, Self::Monthly, Self::Yearly];

    const fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
        }
    }

    /// A value that is the same for two snapshots exactly where they share the period.
    fn bucket(self, at: &ZonedDateTime, index: usize) -> Bucket {
        let date = at.date();
        match self {
            Self::Last => Bucket::Index(index),
            // The offset tells the two hours apart that share a name when clocks go back.
            Self::Hourly => Bucket::Hour(date, at.hour(), at.offset().seconds()),
            Self::Daily => Bucket::Day(date),
            Self::Weekly => {
                let week = date.iso_week_date();
                Bucket::Part(week.year(), week.week())
            }
            Self::Monthly => Bucket::Part(date.year(), date.month()),
            Self::Yearly => Bucket::Part(date.year(), 0),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bucket {
    Index(usize),
    Hour(Date, i8, i32),
    Day(Date),
    Part(i16, i8),
}

/// What to keep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeepRules {
    /// Numbers of periods.
    pub counts: BTreeMap<Period, KeepCount>,
    /// Everything in a duration.
    pub within: Option<KeepSpan>,
    /// The newest of each period in a duration; [`Period::Last`] is not used here.
    pub within_periods: BTreeMap<Period, KeepSpan>,
    /// Lists of tags; a snapshot that has all tags of one list is kept.
    pub tags: Vec<Vec<String>>,
}

impl KeepRules {
    /// Whether there is no rule that could keep anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.values().all(|count| *count == KeepCount::AtMost(0))
            && self.within.is_none()
            && self.within_periods.is_empty()
            && self.tags.is_empty()
    }
}

/// By what snapshots are put into groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupBy {
    /// One group for each host.
    pub host: bool,
    /// One group for each set of paths.
    pub paths: bool,
    /// One group for each set of tags.
    pub tags: bool,
}

impl Default for GroupBy {
    fn default() -> Self {
        Self { host: true, paths: true, tags: false }
    }
}

impl std::str::FromStr for GroupBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut group = Self { host: false, paths: false, tags: false };
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match part {
                "host" | "hosts" => group.host = true,
                "path" | "paths" => group.paths = true,
                "tag" | "tags" => group.tags = true,
                _ => return Err(format!("`{part}` is none of host, paths, tags")),
            }
        }
        Ok(group)
    }
}

/// What the snapshots of a group have in common; `None` where it was not grouped by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    /// The host.
    pub host: Option<String>,
    /// The paths, sorted.
    pub paths: Option<BTreeSet<String>>,
    /// The tags, sorted.
    pub tags: Option<BTreeSet<String>>,
}

/// A snapshot that stays, and each reason why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The snapshot.
    pub snapshot: SnapshotFacts,
    /// "daily snapshot", "oldest weekly snapshot", "within 2y", "has tags (a, b)"; at least one.
    pub reasons: Vec<String>,
}

/// The decision for one group; newest first in both lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDecision {
    /// The group.
    pub key: GroupKey,
    /// What stays.
    pub keep: Vec<Kept>,
    /// What goes.
    pub remove: Vec<SnapshotFacts>,
}

/// Why there is no decision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RetentionError {
    /// No rule says what to keep.
    #[error("no rule says what to keep")]
    NoRules,
    /// A group would lose all its snapshots.
    #[error("the rules keep none of the {count} snapshots of a group (the newest is {newest})")]
    RemovesAll {
        /// How many snapshots the group has.
        count: usize,
        /// The id of its newest snapshot.
        newest: String,
    },
}

/// The key of the group that `snapshot` belongs to.
#[must_use]
pub fn group_key(snapshot: &SnapshotFacts, by: GroupBy) -> GroupKey {
    GroupKey {
        host: by.host.then(|| snapshot.host.clone()),
        paths: by.paths.then(|| snapshot.paths.iter().cloned().collect()),
        tags: by.tags.then(|| snapshot.tags.iter().cloned().collect()),
    }
}

/// Applies `rules` to each group of `snapshots`, as of `now`, with the calendar of `zone`.
///
/// # Errors
/// [`RetentionError`] where there are no rules, or where a group would lose all its snapshots; with
/// `allow_removing_all`, both mean what they say.
pub fn decide(
    snapshots: &[SnapshotFacts],
    rules: &KeepRules,
    by: GroupBy,
    now: Timestamp,
    zone: &TimeZone,
    allow_removing_all: bool,
) -> Result<Vec<GroupDecision>, RetentionError> {
    if rules.is_empty() && !allow_removing_all {
        return Err(RetentionError::NoRules);
    }
    let mut groups: BTreeMap<GroupKey, Vec<&SnapshotFacts>> = BTreeMap::new();
    for snapshot in snapshots {
        groups.entry(group_key(snapshot, by)).or_default().push(snapshot);
    }
    let mut decisions = Vec::with_capacity(groups.len());
    for (key, mut group) in groups {
        group.sort_by(|a, b| b.time.cmp(&a.time).then_with(|| a.id.cmp(&b.id)));
        let (keep, remove) = decide_group(&group, rules, now, zone);
        if let (true, false, Some(newest)) = (keep.is_empty(), allow_removing_all, group.first()) {
            return Err(RetentionError::RemovesAll { count: group.len(), newest: newest.id.clone() });
        }
        decisions.push(GroupDecision { key, keep, remove });
    }
    Ok(decisions)
}

struct PeriodRule {
    period: Period,
    reason: String,
    left: KeepCount,
    since: Option<Timestamp>,
    last: Option<Bucket>,
}

impl PeriodRule {
    fn keeps(
        &mut self,
        snapshot: &SnapshotFacts,
        index: usize,
        oldest: bool,
        zone: &TimeZone,
    ) -> Option<String> {
        if self.left == KeepCount::AtMost(0) || self.since.is_some_and(|since| snapshot.time <= since) {
            return None;
        }
        let bucket = self.period.bucket(&snapshot.time.to_zoned_datetime(zone.clone()), index);
        let new_period = self.last != Some(bucket);
        if !new_period && !oldest {
            return None;
        }
        self.last = Some(bucket);
        if let KeepCount::AtMost(left) = &mut self.left {
            *left -= 1;
        }
        let oldest = if new_period { "" } else { "oldest " };
        Some(format!("{oldest}{}", self.reason))
    }
}

/// `group` is sorted, newest first.
fn decide_group(
    group: &[&SnapshotFacts],
    rules: &KeepRules,
    now: Timestamp,
    zone: &TimeZone,
) -> (Vec<Kept>, Vec<SnapshotFacts>) {
    // A clock that once ran ahead must not make every duration end in the future.
    let newest = group.iter().find(|snapshot| snapshot.time <= now).or(group.first()).map(|s| s.time);
    let since = |span: &KeepSpan| newest.map(|newest| span.before(newest, zone));
    let within = rules.within.as_ref().and_then(|span| Some((since(span)?, format!("within {span}"))));

    let by_count = rules.counts.iter().map(|(period, count)| PeriodRule {
        period: *period,
        reason: format!("{} snapshot", period.name()),
        left: *count,
        since: None,
        last: None,
    });
    let by_span = rules.within_periods.iter().map(|(period, span)| PeriodRule {
        period: *period,
        reason: format!("{} within {span}", period.name()),
        left: KeepCount::Unlimited,
        since: since(span),
        last: None,
    });
    let mut period_rules: Vec<PeriodRule> = by_count.chain(by_span).collect();

    let (mut keep, mut remove) = (Vec::new(), Vec::new());
    for (index, snapshot) in group.iter().enumerate() {
        let mut reasons = Vec::new();
        for list in &rules.tags {
            if list.iter().all(|tag| snapshot.tags.contains(tag)) {
                reasons.push(format!("has tags ({})", list.join(", ")));
            }
        }
        if let Some((since, reason)) = &within
            && snapshot.time > *since
        {
            reasons.push(reason.clone());
        }
        let oldest = index + 1 == group.len();
        for rule in &mut period_rules {
            reasons.extend(rule.keeps(snapshot, index, oldest, zone));
        }
        if reasons.is_empty() {
            remove.push((*snapshot).clone());
        } else {
            keep.push(Kept { snapshot: (*snapshot).clone(), reasons });
        }
    }
    (keep, remove)
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
