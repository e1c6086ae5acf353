//! From text to statements
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html>).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Condition, Effect, Listed, MOST_BYTES, MOST_LEVELS, Policy, PrincipalEntry, ProblemOfPolicy, Statement,
};
use crate::conditions::{Operator, Source, facts_of};
use crate::estate::Arn;
use crate::evaluate::operations;
use crate::load::Limits;
use crate::load::json::{self, Kind as Json, Lines, Value};
use crate::matching::{Glob, Template, Wildcards};

struct Parser<'t> {
    lines: Lines<'t>,
    findings: Vec<(u32, ProblemOfPolicy, Box<str>)>,
    variables: bool,
}

impl Policy {
    /// Compiles a text. What is wrong is kept as findings.
    pub(crate) fn parse(text: &str) -> Self {
        let mut policy = Self::default();
        if text.len() > MOST_BYTES {
            policy.fail(1, format!("more than {MOST_BYTES} bytes"));
            return policy;
        }
        let limits = Limits { depth: MOST_LEVELS, values: 32_768, ..Limits::default() };
        let (tape, _, fault) = json::scan(text, 0, &limits);
        let lines = Lines::new(text);
        if let Some(fault) = fault {
            policy.fail(lines.line(fault.offset), fault.what);
        }
        let Some(root) = tape.root().filter(|root| root.kind() == Json::Object) else {
            policy.fail(1, "no object");
            return policy;
        };
        // Before this version there were no variables; a policy without one is of the older.
        let variables = root.get("Version").and_then(|v| v.string()).is_some_and(|v| v == "2012-10-17");
        let mut parser = Parser { lines, findings: Vec::new(), variables };
        for (name, value) in root.fields() {
            if !matches!(&*name, "Version" | "Id" | "Statement") {
                parser.note(value, ProblemOfPolicy::UnknownElement, shown(&name));
            }
        }
        let statements = root.get("Statement");
        match statements.map(|value| value.kind()) {
            Some(Json::Object) => {
                policy.statements.extend(statements.map(|value| parser.statement(value, 0)))
            }
            Some(Json::Array) => {
                let items = statements.into_iter().flat_map(|value| value.items());
                policy
                    .statements
                    .extend(items.enumerate().map(|(index, item)| parser.statement(item, index)));
            }
            _ => policy.fail(1, "no statement"),
        }
        policy.findings.append(&mut parser.findings);
        policy.index();
        policy
    }

    fn fail(&mut self, line: u32, why: impl Into<Box<str>>) {
        let why = why.into();
        self.broken.get_or_insert_with(|| (*why).into());
        self.findings.push((line, ProblemOfPolicy::NotReadable, why));
    }

    fn index(&mut self) {
        let mut by_service: BTreeMap<Box<str>, Vec<u32>> = BTreeMap::new();
        for (at, statement) in (0u32..).zip(&self.statements) {
            let mut services: Vec<String> = Vec::new();
            let narrow = !statement.actions.except
                && statement.not_understood.is_none()
                && statement.actions.entries.iter().all(|action| {
                    let prefix = action.prefix();
                    let service = prefix.split_once(':').map(|(service, _)| service.to_owned());
                    service.map(|service| services.push(service)).is_some()
                });
            if narrow {
                services.sort();
                services.dedup();
                for service in services {
                    by_service.entry(service.into()).or_default().push(at);
                }
            } else {
                self.anywhere.push(at);
            }
        }
        self.by_service = by_service.into_iter().collect();
    }
}

impl Parser<'_> {
    fn line(&self, value: Value<'_, '_>) -> u32 {
        self.lines.line(value.offset())
    }

    fn note(&mut self, value: Value<'_, '_>, kind: ProblemOfPolicy, detail: impl Into<Box<str>>) {
        let line = self.line(value);
        self.findings.push((line, kind, detail.into()));
    }

    fn statement(&mut self, value: Value<'_, '_>, index: usize) -> Statement {
        let mut statement = Statement {
            index,
            line: self.line(value),
            sid: None,
            effect: Effect::Deny,
            principals: None,
            actions: Listed { except: false, entries: Vec::new() },
            resources: None,
            conditions: Vec::new(),
            not_understood: None,
        };
        let mut faults: Vec<String> = Vec::new();
        let (mut effect, mut actions) = (None, None);
        if value.kind() != Json::Object || !value.is_whole() {
            faults.push("a statement that is no whole object".into());
        }
        if let Some((name, _)) = value.duplicate() {
            faults.push(format!("`{}` stands there twice", shown(name)));
        }
        for (name, part) in value.fields() {
            let except = name.starts_with("Not");
            match &*name {
                "Sid" => statement.sid = part.string().map(|sid| (*sid).into()),
                "Effect" => {
                    effect = match part.string().as_deref() {
                        Some("Allow") => Some(Effect::Allow),
                        Some("Deny") => Some(Effect::Deny),
                        _ => None,
                    }
                }
                "Action" | "NotAction" => {
                    if actions.is_some() {
                        faults.push("both `Action` and `NotAction`".into());
                    }
                    let texts = texts(part, &mut faults);
                    let entries = texts.iter().map(|text| self.action(part, text, &mut faults)).collect();
                    actions = Some(Listed { except, entries });
                }
                "Resource" | "NotResource" => {
                    if statement.resources.is_some() {
                        faults.push("both `Resource` and `NotResource`".into());
                    }
                    let parse =
                        |text: &String| Template::parse(text, Wildcards::Yes, self.variables).of_resource();
                    let entries = texts(part, &mut faults).iter().map(parse).collect();
                    statement.resources = Some(Listed { except, entries });
                }
                "Principal" | "NotPrincipal" => {
                    if statement.principals.is_some() {
                        faults.push("both `Principal` and `NotPrincipal`".into());
                    }
                    let entries = self.principals(part, &mut faults);
                    statement.principals = Some(Listed { except, entries });
                }
                "Condition" => statement.conditions = self.conditions(part),
                other => faults.push(format!("the element `{}`", shown(other))),
            }
        }
        match effect {
            Some(effect) => statement.effect = effect,
            None => faults.push("`Effect` is neither `Allow` nor `Deny`".into()),
        }
        match actions {
            Some(actions) => statement.actions = actions,
            None => faults.push("neither `Action` nor `NotAction`".into()),
        }
        for fault in &faults {
            self.note(value, ProblemOfPolicy::Malformed, fault.as_str());
        }
        statement.not_understood = (!faults.is_empty()).then(|| faults.join("; ").into());
        statement
    }

    fn action(&mut self, place: Value<'_, '_>, text: &str, faults: &mut Vec<String>) -> Glob {
        let action = Glob::new(text).folded();
        if !text.contains(':') && !text.contains('*') {
            faults.push(format!("the action `{}`", shown(text)));
        }
        if let Some(exact) = action.as_exact()
            && let Some(operation) = exact.strip_prefix("kms:")
            && operations::find(operation).is_none()
        {
            self.note(place, ProblemOfPolicy::UnknownAction, shown(text));
        }
        action
    }

    fn principals(&mut self, part: Value<'_, '_>, faults: &mut Vec<String>) -> Vec<PrincipalEntry> {
        if let Some(text) = part.string() {
            if text != "*" {
                faults.push(format!("the principal `{}`", shown(&text)));
            }
            return vec![PrincipalEntry::Everyone];
        }
        let mut entries = Vec::new();
        for (kind, value) in part.fields() {
            for text in texts(value, faults) {
                let name: Arc<str> = text.as_str().into();
                match &*kind {
                    "AWS" => match aws_principal(&text) {
                        Some(entry) => entries.push(entry),
                        None => {
                            self.note(value, ProblemOfPolicy::UnknownPrincipal, shown(&text));
                            faults.push(format!("the principal `{}`", shown(&text)));
                        }
                    },
                    "Service" if text == "*" => entries.push(PrincipalEntry::Everyone),
                    "Service" => entries.push(PrincipalEntry::Service(name)),
                    "Federated" if text == "*" => entries.push(PrincipalEntry::Everyone),
                    "Federated" => entries.push(PrincipalEntry::Federated(name)),
                    "CanonicalUser" => entries.push(PrincipalEntry::Canonical(name)),
                    other => faults.push(format!("principals of the kind `{}`", shown(other))),
                }
            }
        }
        if part.kind() != Json::Object {
            faults.push("principals that are no object".into());
        }
        entries
    }

    fn conditions(&mut self, part: Value<'_, '_>) -> Vec<Condition> {
        let mut conditions = Vec::new();
        if part.kind() != Json::Object {
            self.note(part, ProblemOfPolicy::Malformed, "conditions that are no object");
            return vec![Condition::NotUnderstood("conditions that are no object".into())];
        }
        for (name, keys) in part.fields() {
            let Some(operator) = Operator::parse(&name) else {
                self.note(keys, ProblemOfPolicy::UnknownOperator, shown(&name));
                let what = format!("the operator `{}`", shown(&name));
                conditions.push(Condition::NotUnderstood(what.into()));
                continue;
            };
            if keys.kind() != Json::Object {
                self.note(keys, ProblemOfPolicy::Malformed, "an operator without keys");
                conditions.push(Condition::NotUnderstood("an operator without keys".into()));
            }
            for (key, value) in keys.fields() {
                conditions.push(self.condition(operator, &key, value));
            }
        }
        conditions
    }

    fn condition(&mut self, operator: Operator, key: &str, value: Value<'_, '_>) -> Condition {
        let lower: Arc<str> = key.to_ascii_lowercase().into();
        if facts_of(&lower).source == Source::Unclassified {
            self.note(value, ProblemOfPolicy::UnknownKey, shown(key));
        }
        let mut faults = Vec::new();
        let wildcards = if operator.has_wildcards() { Wildcards::Yes } else { Wildcards::No };
        let values: Vec<Template> = texts(value, &mut faults)
            .iter()
            .map(|text| Template::parse(text, wildcards, self.variables))
            .collect();
        for value in &values {
            if value.fixed().is_some() && !operator.accepts(value.text()) {
                faults.push(format!("`{}` under `{operator}`", shown(value.text())));
            }
        }
        if faults.is_empty() {
            return Condition::Test { operator, key: lower, values };
        }
        let what = faults.join("; ");
        self.note(value, ProblemOfPolicy::Malformed, what.as_str());
        Condition::NotUnderstood(what.into())
    }
}

/// A text or a list of texts. Numbers and truth values count as texts, as AWS takes them.
fn texts(value: Value<'_, '_>, faults: &mut Vec<String>) -> Vec<String> {
    let mut one = |value: Value<'_, '_>| match value.kind() {
        Json::String => value.string().map(|text| text.into_owned()),
        Json::Number | Json::True | Json::False => Some(value.raw().to_owned()),
        _ => {
            faults.push("a value that is no text".into());
            None
        }
    };
    match value.kind() {
        Json::Array => value.items().filter_map(one).collect(),
        _ => one(value).into_iter().collect(),
    }
}

fn aws_principal(text: &str) -> Option<PrincipalEntry> {
    if text == "*" {
        return Some(PrincipalEntry::Everyone);
    }
    if let Ok(account) = text.parse() {
        return Some(PrincipalEntry::Account(account));
    }
    if let Some(arn) = Arn::parse(text) {
        let account = arn.account()?;
        if arn.resource == "root" {
            return Some(PrincipalEntry::Account(account));
        }
        return (!arn.resource.contains(['*', '?'])).then(|| PrincipalEntry::Arn(text.into()));
    }
    // Prefixes of unique ids: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    let id = text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (id && ["AIDA", "AROA", "AGPA", "ASIA"].iter().any(|prefix| text.starts_with(prefix)))
        .then(|| PrincipalEntry::Deleted(text.into()))
}

/// A text short enough to show.
fn shown(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect()
}
