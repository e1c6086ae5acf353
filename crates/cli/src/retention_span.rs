//! Durations of the calendar, as retention rules take them: `1y5m7d2h`.

use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::tz::TimeZone;

/// Years, months, days and hours, counted back on the calendar: `1m` before 31 March is 28 or 29
/// February.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeepSpan {
    years: u16,
    months: u16,
    days: u16,
    hours: u16,
}

impl KeepSpan {
    /// The moment this long before `at`; the earliest there is, where it would be earlier still.
    #[must_use]
    pub fn before(&self, at: Timestamp, zone: &TimeZone) -> Timestamp {
        let span = i32::from(self.years).years().try_months(i32::from(self.months));
        let span = span.and_then(|span| span.try_days(i32::from(self.days)));
        let span = span.and_then(|span| span.try_hours(i32::from(self.hours)));
        span.and_then(|span| at.to_zoned_datetime(zone.clone()).checked_sub(span))
            .map_or(Timestamp::MIN, |then| then.timestamp())
    }
}

impl std::str::FromStr for KeepSpan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a duration such as 1y5m7d2h or 30d");
        let mut span = Self::default();
        let mut rest = text;
        let mut previous = 0;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
            let number: u16 = rest[..end].parse().map_err(|_| bad())?;
            let (rank, field) = match rest.as_bytes()[end] {
                b'y' if number <= 9999 => (1, &mut span.years),
                b'm' => (2, &mut span.months),
                b'd' => (3, &mut span.days),
                b'h' => (4, &mut span.hours),
                _ => return Err(bad()),
            };
            if rank <= previous {
                return Err(bad());
            }
            previous = rank;
            *field = number;
            rest = &rest[end + 1..];
        }
        if span == Self::default() { Err(bad()) } else { Ok(span) }
    }
}

impl std::fmt::Display for KeepSpan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, unit) in [(self.years, 'y'), (self.months, 'm'), (self.days, 'd'), (self.hours, 'h')] {
            if number > 0 {
                write!(f, "{number}{unit}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn before(span: &str, at: &str) -> String {
        let at: Timestamp = at.parse().unwrap();
        span.parse::<KeepSpan>().unwrap().before(at, &TimeZone::UTC).to_string()
    }

    #[test]
    fn counts_back_on_the_calendar() {
        assert_eq!(before("1y5m7d2h", "2026-11-23T12:00:00Z"), "2025-06-16T10:00:00Z");
        assert_eq!(before("1m", "2027-03-31T00:00:00Z"), "2027-02-28T00:00:00Z");
        assert_eq!(before("48h", "2026-01-01T00:00:00Z"), "2025-12-30T00:00:00Z");
        assert_eq!(before("9999y65535d", "-000001-01-01T00:00:00Z"), Timestamp::MIN.to_string());
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "d", "7", "7x", "0d", "7d1y", "1d1d", "-1d", "99999d", "1é", "10000y"] {
            assert!(text.parse::<KeepSpan>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails_calmly(text in "\\PC{0,16}|([0-9]{1,6}[ymdh]){0,4}", at in any::<i32>()) {
            if let Ok(span) = text.parse::<KeepSpan>() {
                prop_assert_eq!(span.to_string().parse::<KeepSpan>(), Ok(span));
                let at = Timestamp::from_second(i64::from(at)).unwrap();
                prop_assert!(span.before(at, &TimeZone::UTC) < at);
            }
        }
    }
}
