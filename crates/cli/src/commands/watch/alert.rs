//! One alert, for programs and for people.

use super::blast::Blast;
use super::rescue::Rescue;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strongroom_trail::detect::Detection;
use strongroom_trail::event::Event;

/// Days until a key is deleted where the caller said none.
const DELETION_DAYS: i64 = 30;

/// What is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Alert {
    /// For programs.
    pub(super) document: Value,
    /// For people: several lines, without control characters.
    pub(super) text: String,
    /// The first line of it.
    pub(super) title: String,
    /// A stable word.
    pub(super) severity: String,
    /// The rule.
    pub(super) rule: String,
    /// The key, where it is about one.
    pub(super) key: String,
    /// When it happened.
    pub(super) time: Timestamp,
}

/// When what hangs on the key dies: at once, or when a deletion is due. `None` where nothing dies by the call itself.
fn dies_at(event: &Event) -> Option<Timestamp> {
    let later = |days: i64| event.time.checked_add(SignedDuration::from_hours(24 * days)).ok();
    match event.name.as_str() {
        _ if event.failed() => None,
        "DisableKey" | "DeleteImportedKeyMaterial" | "DeleteKey" => Some(event.time),
        "ScheduleKeyDeletion" => {
            let date = event.parameters.get("response").and_then(|response| response.get("deletionDate"));
            let told = date.and_then(Value::as_str).and_then(parse_date);
            let days = |part: &str| event.parameters.get(part)?.get("pendingWindowInDays")?.as_i64();
            told.or_else(|| {
                later(days("request").or_else(|| days("response")).unwrap_or(DELETION_DAYS).clamp(0, 3650))
            })
        }
        _ => None,
    }
}

/// `2026-03-08T12:00:00Z`, or `Mar 8, 2026 12:00:00 AM`, as CloudTrail writes some dates.
fn parse_date(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let parsed = jiff::fmt::strtime::parse("%b %d, %Y %I:%M:%S %p", text).ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(parsed.to_datetime().ok()?).ok()
    })
}

fn clean(text: &str) -> String {
    crate::escape::text(text).replace('\n', " ")
}

impl Alert {
    pub(super) fn new(
        found: &Detection,
        event: &Event,
        blast: Option<&Blast>,
        rescue: Option<&Rescue>,
    ) -> Self {
        let rule = found.rule;
        let dies_at = dies_at(event);
        let document = json!({
            "message_type": "watch_alert",
            "schema": "strongroom.watch-alert/1",
            "rule": rule.id,
            "severity": found.severity.as_str(),
            "title": rule.title,
            "attempted": found.attempted,
            "time": event.time,
            "what": found.what,
            "means": rule.means,
            "dies": rule.dies,
            "dies_at": dies_at,
            "stop": found.stop,
            "blast": blast,
            "rescue": rescue,
            "event": {
                "provider": event.provider.as_str(),
                "account": event.account,
                "region": event.region,
                "id": event.id,
                "name": event.name,
                "keys": event.keys,
                "principal": event.principal.name,
                "access_key": event.principal.access_key,
                "source_ip": event.principal.source_ip,
                "user_agent": event.principal.user_agent,
                "request_id": event.request_id,
                "error": event.error,
            },
        });
        let tried = if found.attempted { ", tried only" } else { "" };
        let title = format!("[{}{tried}] {}", found.severity.as_str(), rule.title);
        let mut lines = vec![title.clone(), format!("  when:   {}", event.time)];
        lines.push(format!("  what:   {}: {}", clean(&event.name), clean(&found.what)));
        let from = event.principal.source_ip.as_deref().unwrap_or("?");
        lines.push(format!("  who:    {} from {}", clean(&event.principal.name), clean(from)));
        lines.push(format!("  means:  {}", rule.means));
        lines.push(format!("  dies:   {}", rule.dies));
        if let Some(time) = dies_at {
            lines.push(format!("  dies at {time}"));
        }
        for line in blast.into_iter().flat_map(Blast::lines) {
            lines.push(format!("  hangs:  {line}"));
        }
        lines.push(format!("  stop:   {}", clean(&found.stop)));
        lines.extend(rescue.map(|rescue| format!("  done:   {}", rescue.said)));
        Self {
            document,
            text: lines.join("\n"),
            title,
            severity: found.severity.as_str().to_owned(),
            rule: rule.id.to_owned(),
            key: event.key().unwrap_or_default().to_owned(),
            time: event.time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_both_kinds() {
        let expected: Timestamp = "2026-03-08T00:00:00Z".parse().unwrap();
        assert_eq!(parse_date("2026-03-08T00:00:00Z"), Some(expected));
        assert_eq!(parse_date("Mar 8, 2026 12:00:00 AM"), Some(expected));
        assert_eq!(parse_date("soon"), None);
    }
}
