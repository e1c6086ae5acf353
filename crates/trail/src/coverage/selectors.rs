//! Event selectors: what a trail was told to record.
//!
//! Sources: `GetEventSelectors` and `AdvancedFieldSelector` of CloudTrail's API reference
//! (docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_GetEventSelectors.html). Names may begin with a capital,
//! as the AWS CLI prints them, or not, as CloudTrail records them.

use crate::cloudtrail::KMS;
use serde_json::Value;

/// Whether events are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Admits {
    /// None of them.
    No,
    /// Not all of them, as far as can be known.
    Partly,
    /// All of them.
    Yes,
}

/// The selectors of one trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selectors {
    /// The trail's ARN or name.
    pub trail: String,
    reads: Admits,
    writes: Admits,
}

fn member<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let mut lower = name.to_owned();
    if let Some(first) = lower.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    value.get(name).or_else(|| value.get(&lower))
}

fn list<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    member(value, name).and_then(Value::as_array).into_iter().flatten()
}

impl Selectors {
    /// Reads what `aws cloudtrail get-event-selectors` prints, or the parameters of a `PutEventSelectors` event.
    #[must_use]
    pub fn from_value(value: &Value) -> Self {
        let trail = ["TrailARN", "TrailName"].iter().find_map(|name| member(value, name)?.as_str());
        let of = |read_only: bool| {
            let basic = list(value, "EventSelectors").map(|selector| basic(selector, read_only));
            let advanced =
                list(value, "AdvancedEventSelectors").map(|selector| advanced(selector, read_only));
            basic.chain(advanced).max().unwrap_or(Admits::No)
        };
        Self { trail: trail.unwrap_or("a trail").to_owned(), reads: of(true), writes: of(false) }
    }

    /// Reads the same from JSON.
    ///
    /// # Errors
    /// What is wrong with the JSON.
    pub fn from_json(bytes: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if member(&value, "EventSelectors").is_none() && member(&value, "AdvancedEventSelectors").is_none() {
            return Err("neither `EventSelectors` nor `AdvancedEventSelectors` is there".into());
        }
        Ok(Self::from_value(&value))
    }

    /// Whether key uses, such as `Decrypt`, are recorded. They are management events that change nothing.
    #[must_use]
    pub fn key_uses(&self) -> Admits {
        self.reads
    }

    /// Whether changes of keys, such as `ScheduleKeyDeletion`, are recorded.
    #[must_use]
    pub fn key_changes(&self) -> Admits {
        self.writes
    }
}

fn basic(selector: &Value, read_only: bool) -> Admits {
    // What is absent has the service's defaults: all management events.
    let management = member(selector, "IncludeManagementEvents").and_then(Value::as_bool).unwrap_or(true);
    let excluded = list(selector, "ExcludeManagementEventSources").any(|source| source == KMS);
    let kind = member(selector, "ReadWriteType").and_then(Value::as_str).unwrap_or("All");
    let admitted = match kind {
        "All" => true,
        "ReadOnly" => read_only,
        "WriteOnly" => !read_only,
        _ => return Admits::Partly,
    };
    if management && !excluded && admitted { Admits::Yes } else { Admits::No }
}

fn advanced(selector: &Value, read_only: bool) -> Admits {
    list(selector, "FieldSelectors").map(|field| condition(field, read_only)).min().unwrap_or(Admits::No)
}

fn condition(field: &Value, read_only: bool) -> Admits {
    let actual = match member(field, "Field").and_then(Value::as_str) {
        Some("eventCategory") => "Management",
        Some("eventSource") => KMS,
        Some("readOnly") if read_only => "true",
        Some("readOnly") => "false",
        _ => return Admits::Partly,
    };
    let any = |name: &str, test: fn(&str, &str) -> bool| {
        member(field, name)
            .and_then(Value::as_array)
            .map(|list| list.iter().filter_map(Value::as_str).any(|wanted| test(actual, wanted)))
    };
    let wanted = [
        any("Equals", |a, b| a == b),
        any("StartsWith", |a, b| a.starts_with(b)),
        any("EndsWith", |a, b| a.ends_with(b)),
    ];
    let refused = [
        any("NotEquals", |a, b| a == b),
        any("NotStartsWith", |a, b| a.starts_with(b)),
        any("NotEndsWith", |a, b| a.ends_with(b)),
    ];
    if wanted.contains(&Some(false)) || refused.contains(&Some(true)) { Admits::No } else { Admits::Yes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(json: &str) -> Admits {
        Selectors::from_json(json.as_bytes()).unwrap().key_uses()
    }

    #[test]
    fn excluding_the_service_of_keys_is_seen_in_both_notations() {
        let all = r#"{"EventSelectors":[{"ReadWriteType":"All","IncludeManagementEvents":true,"ExcludeManagementEventSources":[]}]}"#;
        assert_eq!(uses(all), Admits::Yes);
        for json in [
            all.replace("[]", r#"["kms.amazonaws.com"]"#),
            all.replace("\"All\"", "\"WriteOnly\""),
            all.replace("true", "false"),
            r#"{"eventSelectors":[{"readWriteType":"All","includeManagementEvents":true,"excludeManagementEventSources":["kms.amazonaws.com"]}]}"#.into(),
            r#"{"EventSelectors":[]}"#.into(),
        ] {
            assert_eq!(uses(&json), Admits::No, "{json}");
        }
    }

    #[test]
    fn advanced_selectors_are_evaluated() {
        let with = |fields: &str| {
            format!(r#"{{"AdvancedEventSelectors":[{{"Name":"x","FieldSelectors":[{fields}]}}]}}"#)
        };
        let management = r#"{"Field":"eventCategory","Equals":["Management"]}"#;
        assert_eq!(uses(&with(management)), Admits::Yes);
        for (more, expected) in [
            (
                r#"{"Field":"eventSource","NotEquals":["kms.amazonaws.com","rdsdata.amazonaws.com"]}"#,
                Admits::No,
            ),
            (r#"{"Field":"eventSource","NotStartsWith":["kms"]}"#, Admits::No),
            (r#"{"Field":"eventSource","NotEquals":["rdsdata.amazonaws.com"]}"#, Admits::Yes),
            (r#"{"Field":"readOnly","Equals":["false"]}"#, Admits::No),
            (r#"{"Field":"userIdentity.arn","NotEquals":["arn:x"]}"#, Admits::Partly),
        ] {
            assert_eq!(uses(&with(&format!("{management},{more}"))), expected, "{more}");
        }
        assert_eq!(uses(&with(r#"{"Field":"eventCategory","Equals":["Data"]}"#)), Admits::No);
    }
}
