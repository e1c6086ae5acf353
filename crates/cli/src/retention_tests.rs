use super::*;
use proptest::prelude::*;

fn snap(id: &str, time: &str) -> SnapshotFacts {
    SnapshotFacts {
        id: id.into(),
        time: time.parse().unwrap(),
        host: "host-a".into(),
        paths: vec!["/srv".into()],
        tags: Vec::new(),
    }
}

fn counts(rules: &[(Period, u32)]) -> KeepRules {
    let counts = rules.iter().map(|(period, n)| (*period, KeepCount::AtMost(*n))).collect();
    KeepRules { counts, ..KeepRules::default() }
}

fn now() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

/// `id: reason, reason` for each kept snapshot, newest first.
fn kept(snapshots: &[SnapshotFacts], rules: &KeepRules) -> Vec<String> {
    let decisions = decide(snapshots, rules, GroupBy::default(), now(), &TimeZone::UTC, true).unwrap();
    let keep = decisions.into_iter().flat_map(|decision| decision.keep);
    keep.map(|kept| format!("{}: {}", kept.snapshot.id, kept.reasons.join(", "))).collect()
}

fn series() -> Vec<SnapshotFacts> {
    vec![
        snap("a", "2026-11-23T18:30:00Z"),
        snap("b", "2026-11-23T18:10:00Z"),
        snap("c", "2026-11-23T09:00:00Z"),
        snap("d", "2026-11-22T23:00:00Z"),
        snap("e", "2026-11-15T12:00:00Z"),
        snap("f", "2026-10-31T12:00:00Z"),
        snap("g", "2025-12-31T12:00:00Z"),
        snap("h", "2025-12-30T12:00:00Z"),
    ]
}

#[test]
fn each_rule_alone() {
    use Period::{Daily, Hourly, Last, Monthly, Weekly, Yearly};
    for (period, n, expected) in [
        (Last, 2, vec!["a: last snapshot", "b: last snapshot"]),
        (Hourly, 3, vec!["a: hourly snapshot", "c: hourly snapshot", "d: hourly snapshot"]),
        (Daily, 2, vec!["a: daily snapshot", "d: daily snapshot"]),
        // 22 November 2026 is a Sunday: another ISO week than the 23rd.
        (Weekly, 2, vec!["a: weekly snapshot", "d: weekly snapshot"]),
        (Monthly, 3, vec!["a: monthly snapshot", "f: monthly snapshot", "g: monthly snapshot"]),
        // Two years fill two of three places; the third keeps the oldest of all.
        (Yearly, 3, vec!["a: yearly snapshot", "g: yearly snapshot", "h: oldest yearly snapshot"]),
    ] {
        assert_eq!(kept(&series(), &counts(&[(period, n)])), expected, "{period:?}");
    }
}

#[test]
fn rules_add_up_and_give_every_reason() {
    let rules = counts(&[(Period::Last, 1), (Period::Daily, 2)]);
    assert_eq!(kept(&series(), &rules), ["a: last snapshot, daily snapshot", "d: daily snapshot"]);
}

#[test]
fn within_counts_from_the_newest_that_is_not_in_the_future() {
    let mut snapshots = series();
    snapshots.push(snap("future", "2031-01-01T00:00:00Z"));
    let rules = KeepRules { within: Some("10h".parse().unwrap()), ..KeepRules::default() };
    assert_eq!(
        kept(&snapshots, &rules),
        ["future: within 10h", "a: within 10h", "b: within 10h", "c: within 10h"]
    );
    let within_periods = [(Period::Daily, "1d".parse().unwrap())].into();
    let rules = KeepRules { within_periods, ..KeepRules::default() };
    assert_eq!(kept(&series(), &rules), ["a: daily within 1d", "d: daily within 1d"]);
}

#[test]
fn tags_need_the_whole_list() {
    let mut snapshots = series();
    snapshots[4].tags = vec!["gold".into(), "db".into()];
    snapshots[5].tags = vec!["gold".into()];
    let rules = KeepRules { tags: vec![vec!["gold".into(), "db".into()]], ..KeepRules::default() };
    assert_eq!(kept(&snapshots, &rules), ["e: has tags (gold, db)"]);
}

#[test]
fn the_calendar_is_that_of_the_zone() {
    let snapshots = [snap("late", "2026-11-23T23:30:00Z"), snap("early", "2026-11-23T22:30:00Z")];
    let rules = counts(&[(Period::Daily, 2)]);
    let reasons = |zone: &TimeZone| {
        let groups = decide(&snapshots, &rules, GroupBy::default(), now(), zone, false).unwrap();
        groups[0].keep.iter().flat_map(|kept| kept.reasons.clone()).collect::<Vec<_>>()
    };
    assert_eq!(reasons(&TimeZone::UTC), ["daily snapshot", "oldest daily snapshot"]);
    let east = TimeZone::fixed(jiff::tz::offset(1));
    assert_eq!(reasons(&east), ["daily snapshot", "daily snapshot"]);
}

#[test]
fn groups_stand_alone() {
    let mut snapshots = series();
    snapshots[7].host = "host-b".into();
    snapshots[6].paths = vec!["/etc".into()];
    let rules = counts(&[(Period::Last, 1)]);
    let decide =
        |by: &str| decide(&snapshots, &rules, by.parse().unwrap(), now(), &TimeZone::UTC, false).unwrap();
    assert_eq!(decide("host,paths").len(), 3);
    assert_eq!(decide("host").len(), 2);
    assert_eq!(decide("tags").len(), 1);
    assert_eq!(decide("").len(), 1);
    assert!("hots".parse::<GroupBy>().is_err());
}

#[test]
fn removing_everything_needs_consent() {
    let snapshots = series();
    let run = |rules: &KeepRules, consent| {
        decide(&snapshots, rules, GroupBy::default(), now(), &TimeZone::UTC, consent)
    };
    assert_eq!(run(&KeepRules::default(), false), Err(RetentionError::NoRules));
    assert_eq!(run(&counts(&[(Period::Daily, 0)]), false), Err(RetentionError::NoRules));
    let tags = KeepRules { tags: vec![vec!["none".into()]], ..KeepRules::default() };
    assert_eq!(run(&tags, false), Err(RetentionError::RemovesAll { count: 8, newest: "a".into() }));
    assert_eq!(run(&tags, true).unwrap()[0].remove.len(), 8);
}

fn snapshots() -> impl Strategy<Value = Vec<SnapshotFacts>> {
    let one = (0i64..100_000_000, 0u8..2, 0u8..3);
    prop::collection::vec(one, 0..40).prop_map(|list| {
        let facts = list.into_iter().enumerate().map(|(index, (second, host, tag))| SnapshotFacts {
            id: format!("{index:04}"),
            time: Timestamp::from_second(1_700_000_000 + second).unwrap(),
            host: format!("host-{host}"),
            paths: vec!["/srv".into()],
            tags: vec![format!("tag-{tag}")],
        });
        facts.collect()
    })
}

fn rules() -> impl Strategy<Value = KeepRules> {
    let counts = prop::collection::btree_map(prop::sample::select(&Period::ALL[..]), 0u32..6, 0..4);
    let days = prop::option::of(1u32..500);
    let tags = prop::option::of(0u8..4);
    (counts, days, days_of_periods(), tags).prop_map(|(counts, within, within_periods, tag)| KeepRules {
        counts: counts.into_iter().map(|(period, n)| (period, KeepCount::AtMost(n))).collect(),
        within: within.map(days_span),
        within_periods,
        tags: tag.map(|tag| vec![format!("tag-{tag}")]).into_iter().collect(),
    })
}

fn days_span(days: u32) -> KeepSpan {
    format!("{days}d").parse().unwrap()
}

fn days_of_periods() -> impl Strategy<Value = BTreeMap<Period, KeepSpan>> {
    let period = prop::sample::select(&Period::ALL[1..]);
    prop::collection::btree_map(period, (1u32..500).prop_map(days_span), 0..3)
}

fn kept_ids(snapshots: &[SnapshotFacts], rules: &KeepRules) -> BTreeSet<String> {
    let groups = decide(snapshots, rules, GroupBy::default(), now(), &TimeZone::UTC, true).unwrap();
    groups.into_iter().flat_map(|group| group.keep).map(|kept| kept.snapshot.id).collect()
}

proptest! {
    #[test]
    fn every_snapshot_is_decided_once_with_reasons(snapshots in snapshots(), rules in rules()) {
        let groups = decide(&snapshots, &rules, GroupBy::default(), now(), &TimeZone::UTC, true).unwrap();
        let mut ids: Vec<String> = Vec::new();
        for group in groups {
            for kept in group.keep {
                prop_assert!(!kept.reasons.is_empty());
                ids.push(kept.snapshot.id);
            }
            ids.extend(group.remove.into_iter().map(|snapshot| snapshot.id));
        }
        ids.sort();
        let all: Vec<String> = snapshots.iter().map(|snapshot| snapshot.id.clone()).collect();
        prop_assert_eq!(ids, all);
    }

    #[test]
    fn what_one_rule_keeps_all_rules_keep(snapshots in snapshots(), rules in rules()) {
        let together = kept_ids(&snapshots, &rules);
        let mut union = BTreeSet::new();
        for (period, count) in &rules.counts {
            let counts = [(*period, *count)].into();
            union.extend(kept_ids(&snapshots, &KeepRules { counts, ..KeepRules::default() }));
        }
        for (period, span) in &rules.within_periods {
            let within_periods = [(*period, *span)].into();
            union.extend(kept_ids(&snapshots, &KeepRules { within_periods, ..KeepRules::default() }));
        }
        union.extend(kept_ids(&snapshots, &KeepRules { within: rules.within, ..KeepRules::default() }));
        union.extend(kept_ids(&snapshots, &KeepRules { tags: rules.tags.clone(), ..KeepRules::default() }));
        prop_assert_eq!(together, union);
    }

    #[test]
    fn a_larger_number_never_removes_more(
        snapshots in snapshots(),
        period in prop::sample::select(&Period::ALL[..]),
        n in 0u32..50,
    ) {
        let fewer = kept_ids(&snapshots, &counts(&[(period, n)]));
        let more = kept_ids(&snapshots, &counts(&[(period, n + 1)]));
        let all = [(period, KeepCount::Unlimited)].into();
        let unlimited = kept_ids(&snapshots, &KeepRules { counts: all, ..KeepRules::default() });
        prop_assert!(fewer.is_subset(&more));
        prop_assert!(more.is_subset(&unlimited));
    }

    #[test]
    fn the_order_of_snapshots_does_not_matter(
        (ordered, shuffled) in snapshots().prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle())),
        rules in rules(),
    ) {
        let decide = |list: &[SnapshotFacts]| {
            decide(list, &rules, GroupBy::default(), now(), &TimeZone::UTC, true)
        };
        prop_assert_eq!(decide(&ordered), decide(&shuffled));
    }

    #[test]
    fn the_newest_snapshot_survives_any_count(snapshots in snapshots(), n in 1u32..5) {
        prop_assume!(!snapshots.is_empty());
        for period in Period::ALL {
            let kept = kept_ids(&snapshots, &counts(&[(period, n)]));
            let newest = snapshots.iter().max_by(|a, b| a.time.cmp(&b.time).then_with(|| b.id.cmp(&a.id)));
            prop_assert!(kept.contains(&newest.unwrap().id));
        }
    }
}
