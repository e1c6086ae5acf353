//! How a user names a snapshot: `latest`, `latest~2`, `4f3c2a10`, `4f3c2a10:/etc`, or by time.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Shortest prefix of an id that is taken, in hexadecimal digits.
pub const SHORTEST_PREFIX: usize = 4;

/// Which snapshot is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotSelector {
    /// The newest but n: 0 is the newest.
    Latest(u32),
    /// The one whose id begins with these lower-case hexadecimal digits.
    Prefix(String),
}

/// A snapshot, and a path inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotSpec {
    /// Which snapshot.
    pub selector: SnapshotSelector,
    /// The path after the colon, from the root, as raw text; `None` means all of it.
    pub path: Option<String>,
}

impl std::str::FromStr for SnapshotSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = match text.split_once(':') {
            Some((name, path)) => (name, Some(path)),
            None => (text, None),
        };
        let bad = |why: &str| Err(format!("`{name}` names no snapshot: {why}"));
        let selector = if name == "latest" {
            SnapshotSelector::Latest(0)
        } else if let Some(back) = name.strip_prefix("latest~") {
            match back.parse() {
                Ok(back) if back_is_digits(name) => SnapshotSelector::Latest(back),
                _ => return bad("`latest~` is followed by a number"),
            }
        } else if name.is_empty() || name.len() > 64 || !name.bytes().all(|b| b.is_ascii_hexdigit()) {
            return bad("give `latest`, `latest~N` or the first digits of an id");
        } else if name.len() < SHORTEST_PREFIX {
            return bad("give at least 4 digits of the id");
        } else {
            SnapshotSelector::Prefix(name.to_ascii_lowercase())
        };
        let path = match path {
            None => None,
            Some(path) if path.starts_with('/') => Some(path.to_owned()),
            Some(path) => return Err(format!("the path `{path}` after the colon does not begin with `/`")),
        };
        Ok(Self { selector, path })
    }
}

fn back_is_digits(name: &str) -> bool {
    name["latest~".len()..].bytes().all(|b| b.is_ascii_digit())
}

/// Why a selector picks no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Several ids begin with the digits.
    #[error("several snapshots begin with {prefix}: {}", candidates.join(", "))]
    Ambiguous {
        /// The digits.
        prefix: String,
        /// Their ids, newest first, shortened to where they differ; at most ten.
        candidates: Vec<String>,
    },
    /// No id begins with the digits.
    #[error("no snapshot begins with {prefix}")]
    NoSuchId {
        /// The digits.
        prefix: String,
    },
    /// There are not that many snapshots.
    #[error("there {} only {found} snapshot{} to choose from", if *found == 1 { "is" } else { "are" }, if *found == 1 { "" } else { "s" })]
    TooFew {
        /// How many there are.
        found: usize,
    },
}

impl SnapshotSelector {
    /// Picks from `(id, time)` pairs in any order. The result is an index into `snapshots`.
    ///
    /// # Errors
    /// [`SelectError`] where none or several match.
    pub fn select(&self, snapshots: &[(String, Timestamp)]) -> Result<usize, SelectError> {
        let mut newest_first: Vec<usize> = (0..snapshots.len()).collect();
        newest_first.sort_by(|a, b| {
            snapshots[*b].1.cmp(&snapshots[*a].1).then_with(|| snapshots[*a].0.cmp(&snapshots[*b].0))
        });
        match self {
            Self::Latest(back) => usize::try_from(*back)
                .ok()
                .and_then(|back| newest_first.get(back).copied())
                .ok_or(SelectError::TooFew { found: snapshots.len() }),
            Self::Prefix(prefix) => {
                newest_first.retain(|index| snapshots[*index].0.starts_with(prefix.as_str()));
                match newest_first[..] {
                    [] => Err(SelectError::NoSuchId { prefix: prefix.clone() }),
                    [one] => Ok(one),
                    _ => {
                        let ids: Vec<&str> =
                            newest_first.iter().map(|index| snapshots[*index].0.as_str()).collect();
                        Err(SelectError::Ambiguous {
                            prefix: prefix.clone(),
                            candidates: shortened(&ids, 10),
                        })
                    }
                }
            }
        }
    }
}

/// Each id, cut to the fewest digits, at least eight, that tell all of them apart.
fn shortened(ids: &[&str], most: usize) -> Vec<String> {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    let common = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let shared = sorted.windows(2).map(|pair| common(pair[0], pair[1])).max().unwrap_or(0);
    ids.iter().take(most).map(|id| id.chars().take((shared + 1).max(8)).collect()).collect()
}

/// Bounds on the time of a snapshot; both ends belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeFilter {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
}

impl TimeFilter {
    /// Whether `time` lies within.
    #[must_use]
    pub fn matches(&self, time: Timestamp) -> bool {
        self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time <= until)
    }
}

/// Reads a time: RFC 3339 with an offset, or `2026-11-23`, `2026-11-23 18:49[:06]` in `zone`.
///
/// A date alone means its first moment, or its last with `end_of_day`.
///
/// # Errors
/// A message for the user where it is none of these.
pub fn parse_time(text: &str, zone: &TimeZone, end_of_day: bool) -> Result<Timestamp, String> {
    let bad = || {
        format!("`{text}` is not a time such as 2026-11-23, \"2026-11-23 18:49:06\" or 2026-11-23T18:49:06Z")
    };
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp);
    }
    let civil = match text.parse::<Date>() {
        Ok(date) if text.len() == 10 => {
            if end_of_day {
                date.at(23, 59, 59, 999_999_999)
            } else {
                date.at(0, 0, 0, 0)
            }
        }
        _ if text.len() > 10 => text.parse::<DateTime>().map_err(|_| bad())?,
        _ => return Err(bad()),
    };
    civil.to_zoned_datetime(zone.clone()).map(|zoned| zoned.timestamp()).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(text: &str) -> SnapshotSpec {
        text.parse().unwrap()
    }

    #[test]
    fn specs_are_read() {
        assert_eq!(spec("latest"), SnapshotSpec { selector: SnapshotSelector::Latest(0), path: None });
        assert_eq!(spec("latest~12").selector, SnapshotSelector::Latest(12));
        let expected = SnapshotSelector::Prefix("4f3c".into());
        assert_eq!(spec("4F3c:/etc/a:b"), SnapshotSpec { selector: expected, path: Some("/etc/a:b".into()) });
        for text in
            ["", ":", "lates", "latest~", "latest~-1", "latest~+1", "abc", "abcg", "latest:etc", "latest:"]
        {
            assert!(text.parse::<SnapshotSpec>().is_err(), "{text}");
        }
        assert!("a".repeat(65).parse::<SnapshotSpec>().is_err());
    }

    fn list() -> Vec<(String, Timestamp)> {
        let at = |second| Timestamp::from_second(second).unwrap();
        vec![
            ("aaaa1111000000000001".into(), at(10)),
            ("bbbb2222000000000000".into(), at(30)),
            ("aaaa1111000000000002".into(), at(20)),
        ]
    }

    #[test]
    fn one_is_selected() {
        assert_eq!(spec("latest").selector.select(&list()), Ok(1));
        assert_eq!(spec("latest~2").selector.select(&list()), Ok(0));
        assert_eq!(spec("bbbb").selector.select(&list()), Ok(1));
        assert_eq!(spec("aaaa1111000000000001").selector.select(&list()), Ok(0));
    }

    #[test]
    fn or_the_reason_is_told() {
        let why = |text: &str| spec(text).selector.select(&list()).unwrap_err().to_string();
        assert_eq!(why("latest~3"), "there are only 3 snapshots to choose from");
        assert_eq!(why("cccc"), "no snapshot begins with cccc");
        assert_eq!(
            why("aaaa"),
            "several snapshots begin with aaaa: aaaa1111000000000002, aaaa1111000000000001"
        );
    }

    #[test]
    fn times_are_read() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let read = |text: &str, end| parse_time(text, &zone, end).map(|time| time.to_string());
        assert_eq!(read("2026-11-23", false).unwrap(), "2026-11-22T23:00:00Z");
        assert_eq!(read("2026-11-23", true).unwrap(), "2026-11-23T22:59:59.999999999Z");
        assert_eq!(read("2026-11-23 18:49:06", false).unwrap(), "2026-11-23T17:49:06Z");
        assert_eq!(read("2026-11-23T18:49", false).unwrap(), "2026-11-23T17:49:00Z");
        assert_eq!(read("2026-11-23T18:49:06Z", true).unwrap(), "2026-11-23T18:49:06Z");
        for text in ["", "yesterday", "2026-13-01", "2026-11", "18:49"] {
            assert!(read(text, false).is_err(), "{text}");
        }
        let filter =
            TimeFilter { since: Timestamp::from_second(10).ok(), until: Timestamp::from_second(20).ok() };
        let inside = |second| filter.matches(Timestamp::from_second(second).unwrap());
        assert_eq!([inside(9), inside(10), inside(20), inside(21)], [false, true, true, false]);
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails_calmly(text in "\\PC{0,24}|latest~[0-9]{0,12}|[0-9a-f]{0,70}(:/.{0,9})?") {
            let _ = text.parse::<SnapshotSpec>();
            let _ = parse_time(&text, &TimeZone::UTC, true);
        }
    }
}
