//! Audit devices of OpenBao and HashiCorp Vault: one JSON object a line.
//!
//! Sources: openbao.org/docs/audit and openbao.org/api-docs/system/audit-hash. A request is allowed once *one* device has
//! written it, so several devices are united by the request's id. Request and response are two lines with that id; the
//! id is also what the client was told. Texts are HMACs under a salt that each device has of its own; what they hide is
//! checked by asking the server (`sys/audit-hash/<device>`), which is the caller's to do: see [`HashCheck`].
//!
//! Nobody signs these lines. What is absent from them proves nothing to somebody who does not trust the server's host.

use crate::{
    coverage::{Coverage, Span},
    event::{self, Context, Event, Operation, Provider},
    files,
    problem::{Place, Problem, ProblemKind, quoted},
    records::{self, Item},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    sync::Arc,
};

/// Asks a server for the HMAC of a text under the salt of an audit device.
pub trait HashCheck {
    /// The HMAC, as the device writes it: `hmac-sha256:…`.
    ///
    /// # Errors
    /// Why it cannot be known, in words.
    fn hash(&mut self, device: &str, text: &str) -> Result<String, String>;
}

impl<F: FnMut(&str, &str) -> Result<String, String>> HashCheck for F {
    fn hash(&mut self, device: &str, text: &str) -> Result<String, String> {
        self(device, text)
    }
}

/// What an event was bound to, compared with what it must have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// To this.
    Same,
    /// To something else.
    Other,
    /// The log says nothing of it.
    Unknown,
}

#[derive(Debug, Default, Deserialize)]
struct Line<'a> {
    time: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    auth: Option<Auth>,
    #[serde(borrow)]
    request: Option<Request<'a>>,
    error: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Auth {
    accessor: Option<String>,
    display_name: Option<String>,
    entity_id: Option<String>,
    #[serde(default)]
    policies: Option<Vec<String>>,
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
struct Request<'a> {
    id: Option<String>,
    operation: Option<String>,
    mount_type: Option<String>,
    mount_point: Option<String>,
    path: Option<String>,
    namespace: Option<Namespace>,
    #[serde(borrow)]
    data: Option<&'a serde_json::value::RawValue>,
    remote_address: Option<String>,
    headers: Option<BTreeMap<String, Vec<String>>>,
}

#[derive(Debug, Default, Deserialize)]
struct Namespace {
    path: Option<String>,
}

/// What the lines of all devices say of one request.
#[derive(Debug)]
struct Pair {
    event: Event,
    requested: bool,
    answered: bool,
    devices: BTreeSet<Arc<str>>,
}

/// Reads lines of several devices, and unites them.
#[derive(Debug)]
pub struct Reader {
    mounts: Vec<String>,
    requests: BTreeMap<String, Pair>,
    devices: BTreeMap<Arc<str>, (Timestamp, Timestamp)>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// What the devices say together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Devices {
    /// By time.
    pub events: Vec<Event>,
    /// The first and the last time of each device.
    pub spans: BTreeMap<Arc<str>, (Timestamp, Timestamp)>,
    /// Requests that some devices have and others, which had begun and not ended, have not: by device.
    pub missing: BTreeMap<Arc<str>, u64>,
    /// Requests without an answer: the server stopped, or lines are missing.
    pub unanswered: u64,
    /// Answers without a request: lines are missing.
    pub unasked: u64,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

impl Reader {
    /// A reader for Transit mounts at these places, such as `transit`. Lines that tell the type of their mount need
    /// none.
    #[must_use]
    pub fn new(mounts: &[&str]) -> Self {
        let mounts = mounts.iter().map(|mount| mount.trim_matches('/').to_owned()).collect();
        Self { mounts, requests: BTreeMap::new(), devices: BTreeMap::new(), problems: Vec::new() }
    }

    /// Reads the lines of one device from a local file.
    pub fn read_file(&mut self, device: &str, path: &std::path::Path) {
        match files::open(path) {
            Ok(source) => self.read(device, source),
            Err(error) => {
                let (kind, what) = files::problem_of(&error);
                let place = Place { file: quoted(device).into(), offset: 0 };
                self.problems.push(Problem { place, kind, what });
            }
        }
    }

    /// Reads the lines of one device.
    pub fn read(&mut self, device: &str, source: impl Read) {
        let device: Arc<str> = quoted(device).into();
        records::split(source, &mut Vec::new(), |item| {
            let problem = match item {
                Item::Problem(kind, what, at) => Some((kind, what, at)),
                Item::Record(bytes, at) => {
                    self.line(&device, bytes, at).err().map(|what| (ProblemKind::Record, what, at))
                }
            };
            if let Some((kind, what, offset)) = problem {
                let place = Place { file: Arc::clone(&device), offset };
                self.problems.push(Problem { place, kind, what });
            }
        });
    }

    fn line(&mut self, device: &Arc<str>, bytes: &[u8], at: u64) -> Result<(), String> {
        let line: Line<'_> = serde_json::from_slice(bytes)
            .map_err(|error| format!("a line is malformed: {}", quoted(&error.to_string())))?;
        let time = line.time.as_deref().ok_or("a line has no time")?;
        let time: Timestamp = time.parse().map_err(|_| format!("`{}` is no time", quoted(time)))?;
        let span = self.devices.entry(Arc::clone(device)).or_insert((time, time));
        *span = (span.0.min(time), span.1.max(time));
        let request = line.request.as_ref().ok_or("a line has no request")?;
        let path = request.path.as_deref().unwrap_or("").trim_matches('/');
        let Some(what) = self.what(request, path) else { return Ok(()) };
        // What the server asks of itself has no id, and nobody can have been told one.
        let own = format!("{time}/{path}");
        let id = request.id.as_deref().unwrap_or(&own);
        let place = Place { file: Arc::clone(device), offset: at };
        let fresh = || Pair {
            event: event_of(&line, request, id, path, &what, Event::new(Provider::Transit, place, time)),
            requested: request.id.is_none(),
            answered: request.id.is_none(),
            devices: BTreeSet::new(),
        };
        let pair = self.requests.entry(id.to_owned()).or_insert_with(fresh);
        pair.devices.insert(Arc::clone(device));
        pair.event.time = pair.event.time.min(time);
        match line.kind.as_deref() {
            Some("request") => pair.requested = true,
            Some("response") => pair.answered = true,
            other => return Err(format!("a line is of type `{}`", quoted(other.unwrap_or("")))),
        }
        if let Some(error) = line.error.filter(|error| !error.is_empty()) {
            pair.event.error = Some(error);
        }
        if let Some(raw) = request.data {
            let data: Value = serde_json::from_str(raw.get()).map_err(|error| quoted(&error.to_string()))?;
            if let Some(text) = data.get("associated_data").and_then(Value::as_str) {
                pair.event.context = Context::Hashed(text.to_owned());
            }
            if pair.event.operation == Operation::Management {
                pair.event.parameters = json!({ "request": data });
            }
        }
        Ok(())
    }

    /// What a path means: its parts below the mount. `None` for what is of no interest.
    fn what<'p>(&self, request: &Request<'_>, path: &'p str) -> Option<Vec<&'p str>> {
        if path.starts_with("sys/") {
            let watched = [
                "audit",
                "mounts",
                "remount",
                "seal",
                "policies",
                "policy",
                "namespaces",
                "config",
                "raw",
                "rotate",
            ];
            let parts: Vec<&str> = path.split('/').collect();
            return parts.get(1).is_some_and(|part| watched.contains(part)).then_some(parts);
        }
        let below = |mount: &str| path.strip_prefix(mount)?.strip_prefix('/');
        let own = request.mount_point.as_deref().map(|mount| mount.trim_matches('/'));
        let rest = if request.mount_type.as_deref() == Some("transit")
            && let Some(rest) = own.and_then(below)
        {
            Some(rest)
        } else {
            self.mounts.iter().find_map(|mount| below(mount))
        };
        rest.map(|rest| rest.split('/').collect())
    }

    /// Ends reading.
    #[must_use]
    pub fn finish(self) -> Devices {
        let mut all = Devices { spans: self.devices, problems: self.problems, ..Devices::default() };
        for pair in self.requests.into_values() {
            all.unanswered += u64::from(!pair.answered);
            all.unasked += u64::from(!pair.requested);
            for (device, (first, last)) in &all.spans {
                if !pair.devices.contains(device) && *first <= pair.event.time && pair.event.time <= *last {
                    *all.missing.entry(Arc::clone(device)).or_default() += 1;
                }
            }
            all.events.push(pair.event);
        }
        all.events.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        all
    }
}

fn event_of(
    line: &Line<'_>,
    request: &Request<'_>,
    id: &str,
    path: &str,
    parts: &[&str],
    event: Event,
) -> Event {
    let verb = request.operation.as_deref().unwrap_or("");
    let (operation, key) = match parts {
        ["decrypt", key, ..] => (Operation::Decrypt, Some(*key)),
        ["encrypt", key, ..] => (Operation::Encrypt, Some(*key)),
        ["datakey", _, key, ..] => (Operation::DataKey, Some(*key)),
        ["rewrap", key, ..] => (Operation::ReEncrypt, Some(*key)),
        ["sign" | "verify" | "hmac", key, ..] => (Operation::OtherUse, Some(*key)),
        ["export" | "byok-export", _, key, ..] | ["keys" | "backup" | "restore", key, ..] => {
            (Operation::Management, Some(*key))
        }
        _ => (Operation::Management, None),
    };
    let mount = path.strip_suffix(&parts.join("/")).unwrap_or("").trim_matches('/');
    let auth = line.auth.as_ref();
    let text = |pick: fn(&Auth) -> &Option<String>| {
        auth.and_then(|auth| pick(auth).clone()).filter(|text| !text.is_empty())
    };
    let display = text(|auth| &auth.display_name);
    let role = auth.and_then(|auth| auth.metadata.as_ref()?.get("role_name").cloned());
    let headers = request.headers.iter().flatten().flat_map(|(_, values)| values);
    let mut event = Event {
        service: "transit".into(),
        account: request.namespace.as_ref().and_then(|space| space.path.clone()).unwrap_or_default(),
        id: id.to_owned(),
        request_id: request.id.clone(),
        by_provider: request.id.is_none(),
        name: format!("{verb} {path}"),
        operation,
        keys: key
            .map(|key| if mount.is_empty() { key.to_owned() } else { format!("{mount}/{key}") })
            .into_iter()
            .collect(),
        read_only: Some(matches!(verb, "read" | "list") || operation.is_key_use()),
        operation_hint: headers
            .filter_map(|value| {
                let id = strongroom_ledger::entry::OperationId::parse(value).map(|id| id.to_string());
                id.or_else(|| event::operation_hint(value))
            })
            .next(),
        ..event
    };
    event.principal.name = text(|auth| &auth.entity_id).or_else(|| display.clone()).unwrap_or_default();
    event.principal.kind = display.unwrap_or_default();
    event.principal.issuer =
        role.or_else(|| auth.and_then(|auth| auth.policies.as_ref().map(|policies| policies.join(","))));
    event.principal.access_key = text(|auth| &auth.accessor);
    event.principal.source_ip.clone_from(&request.remote_address);
    event
}

impl Devices {
    /// Adds to a coverage from the first to the last line of every device: claimed, since nobody signs them. A file with
    /// damage says nothing.
    pub fn cover(&self, coverage: &mut Coverage) {
        let damaged: BTreeSet<&str> = self
            .problems
            .iter()
            .filter(|problem| problem.kind.hides_records())
            .map(|problem| &*problem.place.file)
            .collect();
        for (device, (start, end)) in &self.spans {
            if !damaged.contains(&**device) {
                coverage.area("", "").claimed.add(Span { start: *start, end: *end });
            }
        }
    }
}

/// Whether an event was bound to `associated_data`. Devices hash the Base64 text that the client sent.
///
/// # Errors
/// Why the server could not be asked.
pub fn bound_to(event: &Event, associated_data: &[u8], check: &mut dyn HashCheck) -> Result<Bound, String> {
    let text = data_encoding::BASE64.encode(associated_data);
    Ok(match &event.context {
        Context::Hashed(hash) if hash.starts_with("hmac-sha256:") => {
            if check.hash(&event.place.file, &text)? == *hash { Bound::Same } else { Bound::Other }
        }
        // A device with `log_raw` writes texts as they are.
        Context::Hashed(raw) if *raw == text => Bound::Same,
        Context::Hashed(_) => Bound::Other,
        Context::None | Context::Pairs(_) => Bound::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "a53e7826-0000-4000-8000-000000000001";

    fn line(kind: &str, time: &str, path: &str, more: &str) -> String {
        format!(
            r#"{{"time":"2026-03-01T12:00:{time}Z","type":"{kind}","auth":{{"accessor":"hmac-sha256:aa","display_name":"approle","policies":["default","p1"],"entity_id":"27f0","metadata":{{"role_name":"agent"}}}},"request":{{"id":"{ID}","operation":"update","mount_type":"transit","mount_point":"transit/","path":"{path}","data":{{"ciphertext":"hmac-sha256:40cf","associated_data":"hmac-sha256:beef"}},"remote_address":"127.0.0.1"}}{more}}}"#
        )
    }

    fn read(devices: &[(&str, String)]) -> Devices {
        let mut reader = Reader::new(&[]);
        for (device, text) in devices {
            reader.read(device, text.as_bytes());
        }
        reader.finish()
    }

    #[test]
    fn request_and_answer_of_several_devices_are_one_event() {
        let (ask, answer) =
            (line("request", "01", "transit/decrypt/k", ""), line("response", "02", "transit/decrypt/k", ""));
        let both = format!("{ask}\n{answer}\n");
        let all = read(&[("main", both.clone()), ("socket", both)]);
        assert_eq!((all.events.len(), all.unanswered, all.unasked, all.missing.len()), (1, 0, 0, 0));
        let event = &all.events[0];
        assert_eq!(
            (event.operation, event.key(), event.request_id.as_deref()),
            (Operation::Decrypt, Some("transit/k"), Some(ID))
        );
        assert_eq!(
            (event.principal.name.as_str(), event.principal.issuer.as_deref()),
            ("27f0", Some("agent"))
        );
        assert_eq!(event.context, Context::Hashed("hmac-sha256:beef".into()));
        assert!(all.problems.is_empty() && event.error.is_none());
    }

    #[test]
    fn a_device_that_lacks_a_request_is_named() {
        let other = |time: &str| line("request", time, "sys/health", "");
        let (ask, answer) = (
            line("request", "05", "transit/decrypt/k", ""),
            line("response", "06", "transit/decrypt/k", r#","error":"permission denied""#),
        );
        let all = read(&[
            ("main", format!("{ask}\n{answer}")),
            ("socket", format!("{}\n{}", other("01"), other("09"))),
        ]);
        assert_eq!(all.missing.into_iter().collect::<Vec<_>>(), [("socket".into(), 1)]);
        assert!(all.events[0].was_denied());
        let half = read(&[("main", answer)]);
        assert_eq!((half.unasked, half.unanswered), (1, 0));
    }

    #[test]
    fn what_the_server_asks_of_itself_has_no_id() {
        let text = line("request", "01", "sys/mounts/secret", "").replace(&format!("\"id\":\"{ID}\","), "");
        let all = read(&[("main", text)]);
        assert!(all.problems.is_empty() && all.unanswered + all.unasked == 0, "{all:?}");
        assert!(all.events[0].by_provider && all.events[0].request_id.is_none());
    }

    #[test]
    fn what_was_bound_is_checked_by_asking_for_the_hash() {
        let all = read(&[("main", line("response", "01", "transit/encrypt/k", ""))]);
        let mut asked = Vec::new();
        let mut check = |device: &str, text: &str| {
            asked.push((device.to_owned(), text.to_owned()));
            Ok("hmac-sha256:beef".to_owned())
        };
        assert_eq!(bound_to(&all.events[0], b"context", &mut check), Ok(Bound::Same));
        assert_eq!(asked, [("main".to_owned(), "Y29udGV4dA==".to_owned())]);
        let mut other = |_: &str, _: &str| Ok("hmac-sha256:0000".to_owned());
        assert_eq!(bound_to(&all.events[0], b"context", &mut other), Ok(Bound::Other));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&["transit"]);
            reader.read("main", &bytes[..]);
            let _ = reader.finish();
        }

        #[test]
        fn no_change_of_a_line_makes_it_panic(at in 0_usize..300, byte: u8) {
            let mut bytes = line("request", "01", "transit/keys/k/config", "").into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            let mut reader = Reader::new(&["transit"]);
            reader.read("main", &bytes[..]);
            let _ = reader.finish();
        }
    }
}
