//! Numbers, dates and ranges of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A number, as the numeric operators read it.
pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E')) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Milliseconds since 1970 of a date of ISO 8601 or of seconds since 1970
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_Date>).
pub(super) fn date(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.len() != 4
        && let Some(seconds) = number(text)
    {
        return (seconds.abs() < 1e14).then_some((seconds * 1000.0) as i64);
    }
    let (day, time) = text.split_once('T').map_or((text, None), |(day, time)| (day, Some(time)));
    let mut parts = day.split('-');
    let mut part = |most: i64| match parts.next() {
        None => Some(1),
        Some(part) => digits(part).filter(|number| (1..=most).contains(number)),
    };
    let days = days(part(9999)?, part(12)?, part(31)?);
    if parts.next().is_some() {
        return None;
    }
    let Some(time) = time else { return Some(days * 86_400_000) };
    let zone_at = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = whole.split(':');
    let mut part = |most: i64| match clock.next() {
        None => Some(0),
        Some(part) => digits(part).filter(|number| (0..=most).contains(number)),
    };
    let seconds = part(24)? * 3600 + part(59)? * 60 + part(60)?;
    if clock.next().is_some() {
        return None;
    }
    let millis = format!("{fraction:0<3}").get(..3).and_then(digits)?;
    let offset = match zone.as_bytes().first() {
        None | Some(b'Z' | b'z') => 0,
        Some(sign) => {
            let (hours, minutes) = zone[1..].split_once(':').or_else(|| zone[1..].split_at_checked(2))?;
            let seconds = digits(hours)? * 3600 + if minutes.is_empty() { 0 } else { digits(minutes)? * 60 };
            if *sign == b'-' { -seconds } else { seconds }
        }
    };
    Some((days * 86_400 + seconds - offset) * 1000 + millis)
}

fn digits(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Days since 1970 of a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A range of addresses of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u128,
    pub(super) last: u128,
    pub(super) six: bool,
}

impl Range {
    pub(super) fn contains(&self, other: &Self) -> bool {
        self.six == other.six && self.first <= other.first && other.last <= self.last
    }

    /// Addresses at its edges, inside and outside.
    pub(super) fn edges(&self) -> impl Iterator<Item = String> {
        let six = self.six;
        [self.first.wrapping_sub(1), self.first, self.last, self.last.wrapping_add(1)].into_iter().filter_map(
            move |address| {
                if six {
                    return Some(Ipv6Addr::from(address).to_string());
                }
                u32::try_from(address).ok().map(|address| Ipv4Addr::from(address).to_string())
            },
        )
    }
}

/// An address or a range in CIDR notation.
pub(super) fn range(text: &str) -> Option<Range> {
    let (address, length) = text.trim().split_once('/').map_or((text.trim(), None), |(a, l)| (a, Some(l)));
    let (bits, width, six) = match address.parse().ok()? {
        IpAddr::V4(four) => (u128::from(u32::from(four)), 32, false),
        IpAddr::V6(six) => (u128::from(six), 128, true),
    };
    let length = match length {
        Some(length) => u32::try_from(digits(length)?).ok().filter(|length| *length <= width)?,
        None => width,
    };
    let host = if width == length { 0 } else { u128::MAX >> (128 - (width - length)) };
    Some(Range { first: bits & !host, last: bits | host, six })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        assert_eq!(date("1970-01-02"), Some(86_400_000));
        assert_eq!(date("2020-04-01T00:00:01Z"), Some(1_585_699_201_000));
        assert_eq!(date("2020-04-01T02:00:01.5+02:00"), Some(1_585_699_201_500));
        assert_eq!(date("1585699201"), Some(1_585_699_201_000));
        assert_eq!(date("2020"), date("2020-01-01"));
        for wrong in ["", "x", "2020-13-01", "2020-01-01Tx", "2020-01-01T00:00:00+x", "9e999"] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ranges_hold_what_is_in_them() {
        let of = |text| range(text).unwrap();
        assert!(of("203.0.113.0/24").contains(&of("203.0.113.255")));
        assert!(!of("203.0.113.0/24").contains(&of("203.0.114.0")));
        assert!(of("::/0").contains(&of("2001:db8::1")) && !of("::/0").contains(&of("10.0.0.1")));
        assert!(of("0.0.0.0/0").contains(&of("255.255.255.255")));
        assert_eq!(range("10.0.0.0/33"), None);
        assert_eq!(range("a"), None);
    }
}
