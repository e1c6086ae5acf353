//! Fixes as text, as JSON patches, and as Terraform.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::edit::NAME;
use super::{Edit, Fixes, Need, Place, Whom};

impl Place {
    /// Which policy, for a person.
    pub fn describe(&self) -> String {
        match self {
            Self::Trust(arn) => format!("the trust policy of {arn}"),
            Self::Identity(arn) => format!("a new inline policy {NAME} of {arn}"),
            Self::KeyPolicy(arn) => format!("the policy of {arn}"),
            Self::Scp(account) => format!("a new service control policy {NAME} on {account}"),
        }
    }
}

impl Edit {
    /// What it denies, for a person.
    pub fn describe(&self) -> String {
        let whom = match &self.whom {
            Whom::Bearer => String::new(),
            Whom::Arn(arn) => format!(" to {arn}"),
            Whom::Account(account) => format!(" to everybody in {account}"),
            Whom::Provider(arn) => format!(" to whoever {arn} vouches for"),
            Whom::AllBut(these) if these.is_empty() => " to everybody".to_owned(),
            Whom::AllBut(these) => {
                let these: Vec<&str> = these.iter().map(|arn| &**arn).collect();
                format!(" to everybody but {}", these.join(", "))
            }
        };
        format!("deny {} on {}{whom}", self.action, self.resource)
    }
}

impl Fixes {
    /// How many of the ways that were open are closed.
    pub fn closed(&self) -> usize {
        self.before.iter().filter(|name| !self.left.contains_key(*name)).count()
    }

    /// For a terminal.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let (closed, before) = (self.closed(), self.before.len());
        let fewest = if self.fewest { "the fewest that do" } else { "perhaps not the fewest that do" };
        let _ = match (before, closed) {
            (0, _) => writeln!(out, "Nothing from outside reaches the backup keys in what was collected."),
            (_, 0) => writeln!(out, "{before} ways from outside; no edit of a policy closes one of them."),
            _ => writeln!(
                out,
                "{before} ways from outside; {} statements close {closed} of them, {fewest}. Looked for again with all \
                 of them in place.",
                self.edits.len()
            ),
        };
        for change in &self.changes {
            let _ = writeln!(out, "\nIn {}", change.place.describe());
            if let Some(origin) = &change.origin {
                let _ = writeln!(out, "  {}:{}", origin.file, origin.line);
            }
            for number in &change.numbers {
                if let Some(edit) = number.checked_sub(1).and_then(|place| self.edits.get(place)) {
                    let _ = writeln!(out, "  {number}. {}", edit.describe());
                    let _ = writeln!(out, "     {}", edit.statement(*number));
                }
            }
        }
        if !self.left.is_empty() {
            let _ = writeln!(out, "\nNo edit of these kinds closes:");
            for path in self.left.values() {
                let mut through: Vec<String> = vec![path.from.to_string()];
                through.extend(path.through().map(ToString::to_string));
                let harm = crate::analysis::harm_word(path.deed.harm);
                let _ = writeln!(out, "  {} → {harm} {}", through.join(" → "), path.deed.target.name());
            }
            let _ = writeln!(
                out,
                "  Whoever administers the organisation can take every policy of it away: only keys in an organisation of \
                 their own are out of reach."
            );
        }
        for (needs, what) in
            [(&self.broken, "BROKEN by these edits"), (&self.denied_before, "denied before and after")]
        {
            for Need { principal, action, resource } in needs {
                let _ = writeln!(out, "\nneeded, and {what}: {principal} {action} {resource}");
            }
        }
        for gap in &self.gaps {
            let _ = writeln!(out, "not known: {gap}");
        }
        out
    }

    /// For programs: every change with its JSON patch (RFC 6902).
    pub fn to_json(&self) -> Value {
        let need = |need: &Need| json!({ "principal": &*need.principal, "action": &*need.action, "resource": &*need.resource });
        let edits: Vec<Value> = (1_usize..)
            .zip(&self.edits)
            .map(|(number, edit)| {
                json!({
                    "number": number, "place": edit.place.describe(), "what": edit.describe(),
                    "statement": edit.statement(number),
                })
            })
            .collect();
        let changes: Vec<Value> = self
            .changes
            .iter()
            .map(|change| {
                json!({
                    "place": change.place.describe(), "edits": change.numbers,
                    "file": change.origin.as_ref().map(|origin| &*origin.file),
                    "line": change.origin.as_ref().map(|origin| origin.line),
                    "patch": change.patch, "policy": change.policy,
                })
            })
            .collect();
        json!({
            "message_type": "posture_fixes", "edits": edits, "changes": changes, "fewest": self.fewest,
            "before": self.before, "closed": self.closed(), "left": self.left.keys().collect::<Vec<_>>(),
            "broken": self.broken.iter().map(need).collect::<Vec<_>>(),
            "denied_before": self.denied_before.iter().map(need).collect::<Vec<_>>(), "gaps": self.gaps,
        })
    }

    /// As Terraform in its JSON syntax: policies that exist are imported before they are changed.
    pub fn to_terraform(&self) -> Value {
        let mut resources: Map<String, Value> = Map::new();
        let mut imports = Vec::new();
        for (number, change) in (1_usize..).zip(&self.changes) {
            let name = format!("strongroom_fix_{number}");
            let mut put = |kind: &str, value: Value| {
                let of_kind = resources.entry(kind).or_insert_with(|| json!({}));
                if let Some(of_kind) = of_kind.as_object_mut() {
                    of_kind.insert(name.clone(), value);
                }
            };
            let policy = literal(&change.policy.to_string());
            match &change.place {
                Place::KeyPolicy(arn) => {
                    put("aws_kms_key_policy", json!({ "key_id": literal(arn), "policy": policy }));
                    imports.push(import("aws_kms_key_policy", &name, last(arn)));
                }
                Place::Trust(arn) => {
                    let role = json!({
                        "name": literal(last(arn)), "path": literal(&path_of(arn)), "assume_role_policy": policy,
                        "lifecycle": { "ignore_changes": ["description", "max_session_duration", "permissions_boundary", "tags"] },
                    });
                    put("aws_iam_role", role);
                    imports.push(import("aws_iam_role", &name, last(arn)));
                }
                Place::Identity(arn) if arn.contains(":user/") => {
                    put(
                        "aws_iam_user_policy",
                        json!({ "name": NAME, "user": literal(last(arn)), "policy": policy }),
                    );
                }
                Place::Identity(arn) => {
                    put(
                        "aws_iam_role_policy",
                        json!({ "name": NAME, "role": literal(last(arn)), "policy": policy }),
                    );
                }
                Place::Scp(account) => {
                    let named = format!("{NAME}-{account}");
                    put("aws_organizations_policy", json!({ "name": named, "content": policy }));
                    let attachment = json!({
                        "policy_id": format!("${{aws_organizations_policy.{name}.id}}"),
                        "target_id": account.to_string(),
                    });
                    put("aws_organizations_policy_attachment", attachment);
                }
            }
        }
        json!({ "import": imports, "resource": resources })
    }
}

fn import(kind: &str, name: &str, id: &str) -> Value {
    json!({ "to": format!("{kind}.{name}"), "id": literal(id) })
}

fn last(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// `/path/` of `arn:aws:iam::111122223333:role/path/name`.
fn path_of(arn: &str) -> String {
    let path = arn.split_once(":role").map_or("/", |(_, path)| path);
    path.rsplit_once('/').map_or_else(|| "/".to_owned(), |(path, _)| format!("{path}/"))
}

/// Terraform reads `${` and `%{` in strings as templates.
fn literal(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}
