//! Sizes, durations, rates and times, as people write and read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::time::Duration;

/// A number of bytes given by a user: `512`, `64KiB`, `1.5G`. Units are powers of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

impl std::str::FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a size such as 512, 64KiB or 1.5GiB");
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let power = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kib" => 1,
            "m" | "mib" => 2,
            "g" | "gib" => 3,
            "t" | "tib" => 4,
            "p" | "pib" => 5,
            _ => return Err(bad()),
        };
        let scale = 1u64 << (10 * power);
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(scale).map(Self).ok_or_else(|| format!("`{text}` is too large"));
        }
        let (whole, fraction) = number.split_once('.').ok_or_else(bad)?;
        if power == 0 || whole.is_empty() || fraction.is_empty() || fraction.len() > 9 {
            return Err(bad());
        }
        let whole: u64 = whole.parse().map_err(|_| bad())?;
        let digits: u64 = fraction.parse().map_err(|_| bad())?;
        let base = 10u128.pow(u32::try_from(fraction.len()).unwrap_or(9));
        let value = u128::from(whole) * u128::from(scale) + u128::from(digits) * u128::from(scale) / base;
        u64::try_from(value).map(Self).map_err(|_| format!("`{text}` is too large"))
    }
}

/// `1.234 GiB`, `12.34 MiB`, `123.4 KiB`, `17 B`: four digits.
#[must_use]
pub fn bytes(count: u64) -> String {
    let mut unit = 0;
    let mut scaled = count as f64;
    while scaled >= 1023.95 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    let decimals = match (unit, scaled) {
        (0, _) => 0,
        (_, s) if s < 9.9995 => 3,
        (_, s) if s < 99.995 => 2,
        _ => 1,
    };
    format!("{scaled:.decimals$} {}", UNITS[unit])
}

/// Bytes per second over a duration; nothing before there is a duration to speak of.
#[must_use]
pub fn rate(count: u64, elapsed: Duration) -> Option<String> {
    let seconds = elapsed.as_secs_f64();
    (seconds >= 0.05).then(|| format!("{}/s", bytes((count as f64 / seconds) as u64)))
}

/// `0.4 s`, `12 s`, `3:07`, `1:02:03`, `2d 01:02:03`.
#[must_use]
pub fn duration(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let (days, hours, minutes, rest) =
        (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    if seconds < 10 {
        format!("{:.1} s", elapsed.as_secs_f64())
    } else if seconds < 60 {
        format!("{seconds} s")
    } else if seconds < 3600 {
        format!("{minutes}:{rest:02}")
    } else if days == 0 {
        format!("{hours}:{minutes:02}:{rest:02}")
    } else {
        format!("{days}d {hours:02}:{minutes:02}:{rest:02}")
    }
}

/// `2026-11-23 18:49:06` in `zone`.
#[must_use]
pub fn time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The time zone of this machine.
#[must_use]
pub fn local_zone() -> TimeZone {
    TimeZone::system()
}

/// A number with a thin group separator: `12 345`, `7`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// How long ago something was, in its largest unit: `3 days`.
#[must_use]
pub fn age(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let (number, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read() {
        for (text, expected) in [
            ("0", 0),
            ("512", 512),
            ("64KiB", 65_536),
            ("64k", 65_536),
            ("1.5G", 1_610_612_736),
            ("2 MiB", 2_097_152),
            ("16383P", 16_383 << 50),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(expected)), "{text}");
        }
        for text in ["", "x", "1.5", "1.", ".5M", "-1", "1kb?", "16384P", "99999999999999999999", "1.2.3M"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown() {
        for (count, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.000 KiB"),
            (1536, "1.500 KiB"),
            (12_939_428, "12.34 MiB"),
            (1_048_575, "1.000 MiB"),
            (u64::MAX, "16.00 EiB"),
        ] {
            assert_eq!(bytes(count), expected);
        }
    }

    #[test]
    fn durations_rates_counts_times() {
        let show = |millis| duration(Duration::from_millis(millis));
        assert_eq!(show(400), "0.4 s");
        assert_eq!(show(59_999), "59 s");
        assert_eq!(show(187_000), "3:07");
        assert_eq!(show(3_723_000), "1:02:03");
        assert_eq!(show(176_523_000), "2d 01:02:03");
        assert_eq!(rate(2048, Duration::from_secs(2)).as_deref(), Some("1.000 KiB/s"));
        assert_eq!(rate(2048, Duration::ZERO), None);
        assert_eq!(count(7), "7");
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(time(Timestamp::from_second(0).unwrap(), &TimeZone::UTC), "1970-01-01 00:00:00");
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails_calmly(text in "\\PC{0,24}|[0-9.]{0,24}[KMGTP]?(iB)?") {
            let _ = text.parse::<ByteSize>();
        }
    }

    #[test]
    fn ages() {
        let ages = [0, 1, 119, 7200, 86_400, 300_000].map(|seconds| age(Duration::from_secs(seconds)));
        assert_eq!(ages, ["0 seconds", "1 second", "1 minute", "2 hours", "1 day", "3 days"]);
    }
}
