//! CloudTrail's records, as they lie in a bucket, come from `lookup-events`, or come over EventBridge.
//!
//! Sources: "CloudTrail record contents" and "Logging AWS KMS API calls with AWS CloudTrail" of AWS's guides
//! (docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html,
//! docs.aws.amazon.com/kms/latest/developerguide/logging-using-cloudtrail.html).
//!
//! Records are split by [`crate::records`]; only those that name a service of interest are parsed, and of these only
//! the fields that become an [`Event`].

mod wire;

use crate::{
    event::{self, Context, Event, Operation, Principal, Provider},
    names::Names,
    problem::{ProblemKind, quoted},
    reading::{Options, Sink},
    records::{self, Item},
};
use jiff::{SignedDuration, Timestamp};
use memchr::memmem::Finder;
use serde_json::Value;
use std::{collections::BTreeMap, io::Read, sync::LazyLock};
use wire::{Identity, Record, Text};

/// The service of keys.
pub const KMS: &str = "kms.amazonaws.com";
/// The service of trails.
pub const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";
/// The service of objects.
pub const S3: &str = "s3.amazonaws.com";

/// Events of S3 that can hurt a trail or hold data for ransom.
const S3_NAMES: [&str; 8] = [
    "CopyObject",
    "DeleteBucket",
    "DeleteBucketPolicy",
    "PutBucketEncryption",
    "PutBucketLifecycle",
    "PutBucketLifecycleConfiguration",
    "PutBucketPolicy",
    "PutBucketVersioning",
];

static SOURCE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("eventSource"));
static NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("eventName"));
/// An escape may stand for any letter of a name.
static ESCAPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\\u00"));

/// Whether a record can be of interest, by its bytes alone. Errs on the side of yes: every field of that name is looked
/// at, wherever it stands, and whatever has an escape for a letter is parsed.
fn may_matter(record: &[u8], watch: bool) -> bool {
    let has = |finder: &Finder<'_>, wanted: &dyn Fn(&[u8]) -> bool| {
        finder.find_iter(record).any(|at| wanted(word(&record[at + finder.needle().len()..])))
    };
    let service = |word: &[u8]| word == KMS.as_bytes() || word == CLOUDTRAIL.as_bytes();
    has(&SOURCE, &service)
        || watch && has(&NAME, &|word| S3_NAMES.iter().any(|name| name.as_bytes() == word))
        || ESCAPE.find(record).is_some()
}

/// The text that is the value of a field whose name ends here, also where the record is itself within a text.
fn word(after: &[u8]) -> &[u8] {
    let between = |byte: &u8| matches!(byte, b'"' | b'\\' | b':' | b' ' | b'\n' | b'\r' | b'\t');
    let start = after.iter().take_while(|byte| between(byte)).count();
    let rest = &after[start..];
    let end = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'.').count();
    &rest[..end]
}

pub(crate) fn read_stream(source: impl Read, options: &Options, buffer: &mut Vec<u8>, sink: &mut Sink<'_>) {
    let (mut end, mut any) = (0, false);
    records::split(source, buffer, |item| match item {
        Item::Problem(kind, what, at) => {
            any = true;
            sink.problem(kind, what, at);
        }
        Item::Record(bytes, at) => {
            any = true;
            end = at + bytes.len() as u64;
            sink.summary.records += 1;
            if may_matter(bytes, options.watch) {
                take_record(bytes, at, options, sink, 0);
            }
        }
    });
    sink.summary.bytes += end;
    sink.summary.files += 1;
}

/// Takes one record; `depth` counts the wrappings that were taken off.
fn take_record(bytes: &[u8], at: u64, options: &Options, sink: &mut Sink<'_>, depth: u8) {
    let record: Record<'_> = match serde_json::from_slice(bytes) {
        Ok(record) => record,
        Err(error) => {
            // Within a text, the place is not that in the file.
            let within =
                if depth == 0 && error.line() == 1 { error.column().saturating_sub(1) as u64 } else { 0 };
            let what = format!("a record is malformed: {}", quoted(&error.to_string()));
            return sink.problem(ProblemKind::Record, what, at + within);
        }
    };
    if depth < 2 {
        if let Some(inner) = &record.cloud_trail_event {
            return take_record(inner.as_bytes(), at, options, sink, depth + 1);
        }
        if let Some(inner) = record.detail {
            return take_record(inner.get().as_bytes(), at, options, sink, depth + 1);
        }
        if let Some(list) = record.events.or(record.records) {
            // A list behind other fields; the splitter has seen only one that comes first.
            return records::split(list.get().as_bytes(), &mut Vec::new(), |item| match item {
                Item::Problem(kind, what, _) => sink.problem(kind, what, at),
                Item::Record(inner, _) => take_record(inner, at, options, sink, depth + 1),
            });
        }
    }
    match event(&record, at, options, sink) {
        Ok(Some(event)) => sink.event(event),
        Ok(None) => {}
        Err(what) => sink.problem(ProblemKind::Record, what, at),
    }
}

fn event(
    record: &Record<'_>,
    at: u64,
    options: &Options,
    sink: &mut Sink<'_>,
) -> Result<Option<Event>, String> {
    let (Some(service), Some(name)) = (record.event_source.as_deref(), record.event_name.as_deref()) else {
        return Err("a record names no service or no operation".into());
    };
    let wanted =
        service == KMS || service == CLOUDTRAIL || options.watch && service == S3 && S3_NAMES.contains(&name);
    if !wanted {
        return Ok(None);
    }
    let time = record.event_time.as_deref().ok_or("a record has no time")?;
    let time: Timestamp = time.parse().map_err(|_| format!("`{}` is no time", quoted(time)))?;
    let id = record.event_id.as_deref().ok_or("a record has no event id")?;
    if time > options.now.saturating_add(SignedDuration::from_mins(5)).unwrap_or(Timestamp::MAX) {
        sink.problem(ProblemKind::Future, format!("event {} is of {time}, later than now", quoted(id)), at);
    }
    let version = record.event_version.as_deref().unwrap_or("");
    if !version.strip_prefix("1.").is_some_and(|minor| minor.parse::<u16>().is_ok_and(|minor| minor <= 11)) {
        let what = format!("event {} has the version `{}`", quoted(id), quoted(version));
        sink.problem(ProblemKind::Version, what, at);
    }
    let text = |text: &Option<Text<'_>>| text.as_ref().map(|text| text.to_string());
    let account = record.recipient_account_id.as_deref().or(record.identity().account_id.as_deref());
    let mut event = Event {
        service: service.to_owned(),
        account: account.unwrap_or_default().to_owned(),
        region: text(&record.aws_region).unwrap_or_default(),
        id: id.to_owned(),
        shared_id: text(&record.shared_event_id),
        name: name.to_owned(),
        operation: operation(service, name),
        request_id: text(&record.request_id),
        error: text(&record.error_code),
        read_only: record.read_only,
        by_provider: record.event_type.as_deref() == Some("AwsServiceEvent"),
        addendum: record.addendum.as_ref().and_then(|addendum| text(&addendum.reason)),
        principal: principal(record),
        ..Event::new(Provider::Aws, sink.place(at), time)
    };
    event.operation_hint = event.principal.user_agent.as_deref().and_then(event::operation_hint);
    let parameters = value(record.request_parameters)?;
    let additional = value(record.additional_event_data)?;
    event.omitted = is_omitted(&parameters) || is_omitted(&additional);
    if event.omitted {
        sink.problem(ProblemKind::Omitted, format!("event {} lacks parameters", quoted(id)), at);
    }
    event.key_material = member(&additional, "keyMaterialId");
    keys(&mut event, record, &parameters, &options.names);
    if event.service == KMS && event.operation.is_key_use() {
        event.context = context(&event, &parameters);
        event.asymmetric = ["encryptionAlgorithm", "EncryptionAlgorithm", "signingAlgorithm"]
            .iter()
            .filter_map(|key| parameters.get(key)?.as_str())
            .any(|algorithm| !algorithm.starts_with("SYMMETRIC"));
    } else {
        event.parameters = management(record, parameters, additional)?;
    }
    Ok(Some(event))
}

fn value(raw: Option<&serde_json::value::RawValue>) -> Result<Value, String> {
    raw.map_or(Ok(Value::Null), |raw| {
        serde_json::from_str(raw.get())
            .map_err(|error| format!("its parameters are malformed: {}", quoted(&error.to_string())))
    })
}

fn member(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

fn is_omitted(value: &Value) -> bool {
    value.get("omitted") == Some(&Value::Bool(true))
}

/// Parameters of a management call with what belongs to them: `response`, `additional`, `details` beside `request`.
fn management(record: &Record<'_>, request: Value, additional: Value) -> Result<Value, String> {
    let mut all = serde_json::Map::new();
    let response = value(record.response_elements)?;
    let details = value(record.service_event_details)?;
    for (key, value) in
        [("request", request), ("response", response), ("additional", additional), ("details", details)]
    {
        if !value.is_null() {
            all.insert(key.to_owned(), value);
        }
    }
    Ok(Value::Object(all))
}

fn principal(record: &Record<'_>) -> Principal {
    let identity: &Identity<'_> = record.identity();
    let text = |text: &Option<Text<'_>>| text.as_ref().map(|text| text.to_string());
    let issuer = identity.session_context.as_ref().and_then(|session| session.session_issuer.as_ref());
    Principal {
        name: text(&identity.arn).or_else(|| text(&identity.principal_id)).unwrap_or_default(),
        kind: text(&identity.kind).unwrap_or_default(),
        account: text(&identity.account_id),
        issuer: issuer.and_then(|issuer| text(&issuer.arn)),
        access_key: text(&identity.access_key_id),
        invoked_by: text(&identity.invoked_by),
        source_ip: text(&record.source_ip_address),
        user_agent: text(&record.user_agent),
    }
}

fn keys(event: &mut Event, record: &Record<'_>, parameters: &Value, names: &Names) {
    let arns = record
        .resources
        .iter()
        .flatten()
        .filter(|resource| resource.kind.as_deref().is_none_or(|kind| kind == "AWS::KMS::Key"));
    event.keys = arns
        .filter_map(|resource| resource.arn.as_deref())
        .filter(|arn| arn.contains(":kms:") && arn.contains(":key/"))
        .map(str::to_owned)
        .collect();
    let given = ["keyId", "KeyId", "targetKeyId", "sourceKeyId", "SourceKeyId"]
        .iter()
        .find_map(|key| member(parameters, key));
    let owner = record
        .resources
        .iter()
        .flatten()
        .find_map(|resource| resource.account_id.as_deref())
        .unwrap_or(&event.account)
        .to_owned();
    if event.service != KMS {
        return;
    }
    if let Some(given) = given {
        let full = names.resolve(&given, &event.region, &owner);
        if event.keys.is_empty() {
            event.keys.push(full);
        }
        if event.keys.first() != Some(&given) {
            event.key_as_given = Some(given);
        }
    }
    if let Some(destination) = member(parameters, "destinationKeyId") {
        let full = names.resolve(&destination, &event.region, &owner);
        // `resources` has both keys of a ReEncrypt, in no order that is documented.
        event.keys.retain(|key| *key != full);
        event.keys.push(full);
    }
}

fn context(event: &Event, parameters: &Value) -> Context {
    let keys: &[&str] = match event.operation {
        Operation::ReEncrypt => &["sourceEncryptionContext", "SourceEncryptionContext"],
        _ => &["encryptionContext", "EncryptionContext"],
    };
    let Some(Value::Object(pairs)) = keys.iter().find_map(|key| parameters.get(key)) else {
        return Context::None;
    };
    let pairs: BTreeMap<String, String> = pairs
        .iter()
        .map(|(key, value)| (key.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    Context::Pairs(pairs)
}

fn operation(service: &str, name: &str) -> Operation {
    match (service, name) {
        (KMS, "Decrypt") => Operation::Decrypt,
        (KMS, "Encrypt") => Operation::Encrypt,
        (KMS, "ReEncrypt") => Operation::ReEncrypt,
        (
            KMS,
            "GenerateDataKey"
            | "GenerateDataKeyWithoutPlaintext"
            | "GenerateDataKeyPair"
            | "GenerateDataKeyPairWithoutPlaintext",
        ) => Operation::DataKey,
        (KMS, "Sign" | "Verify" | "GenerateMac" | "VerifyMac" | "DeriveSharedSecret") => Operation::OtherUse,
        _ => Operation::Management,
    }
}

/// Account, region and time of a log's file name: `<account>_CloudTrail_<region>_<YYYYMMDDTHHmmZ>_<random>.json.gz`.
pub(crate) fn log_name(name: &str) -> Option<(&str, &str, Timestamp)> {
    let (account, rest) = name.split_once("_CloudTrail_")?;
    let mut parts = rest.split('_');
    let (region, time) = (parts.next()?, parts.next()?);
    let digits: String = time.chars().filter(char::is_ascii_digit).collect();
    if digits.len() != 12 || !time.is_ascii() {
        return None;
    }
    let (date, clock) = digits.split_at(8);
    let text = format!("{}-{}-{}T{}:{}:00Z", &date[..4], &date[4..6], &date[6..], &clock[..2], &clock[2..]);
    Some((account, region, text.parse().ok()?))
}
