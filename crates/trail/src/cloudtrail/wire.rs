//! The fields of a record that are looked at, borrowed from it.

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt, ops::Deref};

/// A text that is borrowed where it has no escapes. Numbers become texts: some tools write accounts as such.
#[derive(Debug, Clone)]
pub(super) struct Text<'a>(Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

struct TextVisitor;

impl<'de> de::Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(format!("{number:012}"))))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

/// A flag; some tools write it as a text.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Flag(bool),
        Text(String),
    }
    Ok(match Option::<Flag>::deserialize(deserializer)? {
        Some(Flag::Flag(flag)) => Some(flag),
        Some(Flag::Text(text)) => text.parse().ok(),
        None => None,
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record<'a> {
    #[serde(borrow)]
    pub(super) event_version: Option<Text<'a>>,
    #[serde(borrow)]
    user_identity: Option<Identity<'a>>,
    #[serde(borrow)]
    pub(super) event_time: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) event_source: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) event_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) aws_region: Option<Text<'a>>,
    #[serde(borrow, rename = "sourceIPAddress")]
    pub(super) source_ip_address: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) user_agent: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) error_code: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) request_parameters: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) response_elements: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) additional_event_data: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) service_event_details: Option<&'a RawValue>,
    #[serde(borrow, rename = "requestID")]
    pub(super) request_id: Option<Text<'a>>,
    #[serde(borrow, rename = "eventID")]
    pub(super) event_id: Option<Text<'a>>,
    #[serde(default, deserialize_with = "flag")]
    pub(super) read_only: Option<bool>,
    #[serde(borrow)]
    pub(super) resources: Option<Vec<Resource<'a>>>,
    #[serde(borrow)]
    pub(super) event_type: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) recipient_account_id: Option<Text<'a>>,
    #[serde(borrow, rename = "sharedEventID")]
    pub(super) shared_event_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) addendum: Option<Addendum<'a>>,
    /// The record itself, in what `lookup-events` gives.
    #[serde(borrow, rename = "CloudTrailEvent")]
    pub(super) cloud_trail_event: Option<Text<'a>>,
    /// The record itself, in what EventBridge gives.
    #[serde(borrow)]
    pub(super) detail: Option<&'a RawValue>,
    #[serde(borrow, rename = "Records")]
    pub(super) records: Option<&'a RawValue>,
    #[serde(borrow, rename = "Events")]
    pub(super) events: Option<&'a RawValue>,
}

static NOBODY: Identity<'static> = Identity {
    kind: None,
    principal_id: None,
    arn: None,
    account_id: None,
    access_key_id: None,
    invoked_by: None,
    session_context: None,
};

impl<'a> Record<'a> {
    pub(super) fn identity(&self) -> &Identity<'a> {
        self.user_identity.as_ref().unwrap_or(&NOBODY)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) principal_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) arn: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) account_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) access_key_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) invoked_by: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) session_context: Option<SessionContext<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionContext<'a> {
    #[serde(borrow)]
    pub(super) session_issuer: Option<Issuer<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Issuer<'a> {
    #[serde(borrow)]
    pub(super) arn: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Resource<'a> {
    #[serde(borrow, rename = "ARN", alias = "arn")]
    pub(super) arn: Option<Text<'a>>,
    #[serde(borrow, rename = "accountId")]
    pub(super) account_id: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Addendum<'a> {
    #[serde(borrow)]
    pub(super) reason: Option<Text<'a>>,
}
