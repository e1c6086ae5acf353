//! Detections: calls that kill or bend a key, or its trail, attempts that were refused included.
//!
//! The rules cover what published rule sets look for (CIS AWS Foundations, Sigma, Elastic, Panther, Splunk) and what they
//! leave out: grants, aliases, custom key stores, exclusion of KMS from a trail, refused attempts. See `rules`.

mod patterns;
mod policy;
mod rules;

pub use rules::rules;

use crate::event::{Event, Provider};
use jiff::{SignedDuration, Timestamp};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Weakens something.
    Low,
    /// Prepares harm.
    Medium,
    /// Does harm that can be undone, or lets somebody read.
    High,
    /// Takes backups away, or blinds those who watch.
    Critical,
}

impl Severity {
    /// A stable word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// One step less, for what was only tried.
    #[must_use]
    pub fn lower(self) -> Self {
        match self {
            Self::Critical => Self::High,
            Self::High => Self::Medium,
            Self::Medium => Self::Low,
            Self::Low | Self::Info => Self::Info,
        }
    }
}

/// What is looked for.
pub struct Rule {
    /// A stable id.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// In a few words.
    pub title: &'static str,
    /// What it means.
    pub means: &'static str,
    /// What dies of it, and when.
    pub dies: &'static str,
    /// The command that stops or undoes it; `{key}`, `{region}`, `{trail}`, `{grant}`, `{alias}`, `{bucket}`, `{principal}`
    /// and `{store}` are filled in.
    pub stop: &'static str,
    pub(crate) provider: Provider,
    pub(crate) service: &'static str,
    pub(crate) names: &'static [&'static str],
    pub(crate) when: fn(&Event, &Options) -> bool,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rule").field("id", &self.id).finish_non_exhaustive()
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// What is known of our keys.
#[derive(Debug, Clone)]
pub struct Options {
    /// Full names of our keys; empty: every key is ours.
    pub keys: Vec<String>,
    /// Aliases of ours, by their ARNs or names; empty: every alias is ours.
    pub aliases: Vec<String>,
    /// Our accounts: what lies outside them is foreign. Empty: the account of the trail.
    pub accounts: Vec<String>,
    /// Buckets of trails and vaults; empty: every bucket.
    pub buckets: Vec<String>,
    /// How many refused calls by one principal within [`Options::burst_time`] are a burst.
    pub burst: usize,
    /// See [`Options::burst`].
    pub burst_time: SignedDuration,
    /// Who, from where and in which region uses keys is learned up to this time; what is new later is told.
    pub learned_until: Option<Timestamp>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            aliases: Vec::new(),
            accounts: Vec::new(),
            buckets: Vec::new(),
            burst: 5,
            burst_time: SignedDuration::from_mins(10),
            learned_until: None,
        }
    }
}

impl Options {
    pub(crate) fn is_our_account(&self, account: &str, event: &Event) -> bool {
        if self.accounts.is_empty() {
            account == event.account
        } else {
            self.accounts.iter().any(|ours| ours == account)
        }
    }

    fn in_scope(&self, event: &Event) -> bool {
        if !self.aliases.is_empty()
            && matches!(event.name.as_str(), "UpdateAlias" | "DeleteAlias" | "CreateAlias")
        {
            let alias = request(event, "aliasName").unwrap_or_default();
            return self.aliases.iter().any(|ours| *ours == alias || ours.ends_with(&format!(":{alias}")));
        }
        if event.service == crate::cloudtrail::S3 && event.name != "CopyObject" {
            let bucket = request(event, "bucketName").unwrap_or_default();
            return self.buckets.is_empty() || self.buckets.contains(&bucket);
        }
        let about_a_key = !event.keys.is_empty() && !event.name.ends_with("Alias");
        !about_a_key
            || self.keys.is_empty()
            || event.keys.iter().any(|key| self.keys.iter().any(|ours| crate::names::same_key(ours, key)))
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// By which rule.
    pub rule: &'static Rule,
    /// The event's place in the list that was given; the last one where it took several.
    pub event: usize,
    /// Whether it was refused or failed.
    pub attempted: bool,
    /// How bad it is: one step less where it was only tried.
    pub severity: Severity,
    /// What exactly, where there is more to say.
    pub what: String,
    /// The command that stops it, ready for a shell.
    pub stop: String,
}

/// Looks for everything in events, in whatever order they come. By time.
#[must_use]
pub fn detect(events: &[Event], options: &Options) -> Vec<Detection> {
    let mut order: Vec<usize> = (0..events.len()).filter(|at| options.in_scope(&events[*at])).collect();
    order.sort_by(|a, b| (events[*a].time, &events[*a].id).cmp(&(events[*b].time, &events[*b].id)));
    order.dedup_by(|a, b| {
        let (a, b) = (&events[*a], &events[*b]);
        (&a.provider, &a.account, &a.id) == (&b.provider, &b.account, &b.id)
    });
    let mut found = Vec::new();
    for at in &order {
        let event = &events[*at];
        for rule in rules().filter(|rule| matches_call(rule, event) && (rule.when)(event, options)) {
            found.push(detection(rule, *at, event, detail(event)));
        }
    }
    patterns::add(events, &order, options, &mut found);
    found.sort_by(|a, b| {
        (events[a.event].time, a.rule.id, a.event).cmp(&(events[b.event].time, b.rule.id, b.event))
    });
    found
}

fn matches_call(rule: &Rule, event: &Event) -> bool {
    rule.provider == event.provider
        && rule.service == event.service
        && rule.names.iter().any(|name| match name.strip_suffix('*') {
            Some(start) => event.name.starts_with(start),
            None if rule.provider == Provider::Gcp => event.name.rsplit('.').next() == Some(name),
            None => event.name == *name,
        })
}

fn detection(rule: &'static Rule, at: usize, event: &Event, what: String) -> Detection {
    let attempted = event.failed();
    let severity = if attempted { rule.severity.lower() } else { rule.severity };
    Detection { rule, event: at, attempted, severity, what, stop: filled(rule.stop, event) }
}

fn detail(event: &Event) -> String {
    let subject = event
        .key()
        .map(str::to_owned)
        .or_else(|| {
            ["aliasName", "name", "trailName", "bucketName", "customKeyStoreId"]
                .iter()
                .find_map(|key| request(event, key))
        })
        .unwrap_or_else(|| event.name.clone());
    match &event.error {
        Some(error) => format!("{subject}: tried and failed ({error})"),
        None => subject,
    }
}

/// A text among the parameters of a call.
pub(crate) fn request(event: &Event, name: &str) -> Option<String> {
    event.parameters.get("request")?.get(name)?.as_str().map(str::to_owned)
}

fn filled(stop: &str, event: &Event) -> String {
    let grant = request(event, "grantId")
        .or_else(|| event.parameters.get("response")?.get("grantId")?.as_str().map(str::to_owned));
    let trail = ["name", "trailName"].iter().find_map(|name| request(event, name));
    let values = [
        ("{key}", event.key().map(str::to_owned)),
        ("{region}", Some(event.region.clone())),
        ("{trail}", trail),
        ("{grant}", grant),
        ("{alias}", request(event, "aliasName")),
        ("{bucket}", request(event, "bucketName")),
        ("{store}", request(event, "customKeyStoreId")),
        ("{principal}", event.principal.issuer.clone().or_else(|| Some(event.principal.name.clone()))),
    ];
    values.into_iter().fold(stop.to_owned(), |text, (name, value)| {
        let value = value.filter(|value| !value.is_empty()).unwrap_or_else(|| "…".into());
        text.replace(name, &for_shell(&value))
    })
}

/// A word of a shell, whatever is in it.
fn for_shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || ".:/_@=,+-…".contains(c);
    if text.chars().all(plain) && !text.starts_with('-') {
        return text.to_owned();
    }
    let safe: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    format!("'{}'", safe.replace('\'', "'\\''").replace(['{', '}'], "?"))
}
