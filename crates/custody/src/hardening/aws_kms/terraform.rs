//! The same keys and policies for Terraform's `aws` provider.

use super::{Plan, PlannedKey, WAITING_DAYS, text};
use crate::{hardening::transit::Role, holders::aws_kms::KeyArn};
use std::fmt::Write;

impl Plan {
    /// Keys, aliases and policies. Symmetric keys are taken over as they are (`import`); RSA keys and replicas stay
    /// where they are managed, and get their key policy only. Whoever applies it must be the custodian, because
    /// nobody else may change a key policy afterwards, and AWS refuses a policy that locks its author out.
    #[must_use]
    pub fn terraform(&self) -> String {
        let mut out = String::from(
            "# Apply it as the custodian: nobody else may change these keys afterwards.\n\
             # A replica needs a provider for its Region: provider \"aws\" { alias = \"eu_west_1\" ... }\n\
             # A key whose material was imported has no rotation: take `enable_key_rotation` out.\n\n",
        );
        for (at, key) in self.keys.iter().enumerate() {
            let name = self.resource_name(at);
            let policy = self.key_policy(&key.label).map(|policy| text(&policy)).unwrap_or_default();
            for (number, arn) in key.arns.iter().enumerate() {
                match (number, key.rsa) {
                    (0, false) => whole_key(&mut out, &name, key, arn, &policy),
                    (0, true) => {
                        policy_only(&mut out, &name, arn, None, &policy);
                        alias(&mut out, &name, &key_id(arn));
                    }
                    _ => {
                        let region = arn.region().replace('-', "_");
                        policy_only(&mut out, &format!("{name}_{region}"), arn, Some(&region), &policy);
                    }
                }
            }
        }
        for role in Role::ALL {
            let (label, name) = (role.as_str(), self.policy_name(role));
            // Writing to a `String` cannot fail.
            let _ = write!(
                out,
                "resource \"aws_iam_policy\" \"strongroom_{label}\" {{\n  name   = \"{name}\"\n{}}}\n\n",
                heredoc(&text(&self.iam_policy(role)))
            );
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
        out
    }

    /// A name that Terraform takes, for each key another one.
    fn resource_name(&self, at: usize) -> String {
        let plain = |key: &PlannedKey| format!("strongroom_{}", key.label.replace('.', "_"));
        let Some(key) = self.keys.get(at) else { return format!("strongroom_{at}") };
        let taken = self.keys.iter().take(at).any(|other| plain(other) == plain(key));
        if taken { format!("{}_{at}", plain(key)) } else { plain(key) }
    }
}

fn key_id(arn: &KeyArn) -> String {
    format!("\"{}\"", arn.id())
}

fn whole_key(out: &mut String, name: &str, key: &PlannedKey, arn: &KeyArn, policy: &str) {
    let (id, label, multi_region) = (arn.id(), &key.label, arn.is_multi_region());
    let _ = write!(
        out,
        r#"import {{
  to = aws_kms_key.{name}
  id = "{id}"
}}

resource "aws_kms_key" "{name}" {{
  description             = "Strongroom keyholder {label}"
  deletion_window_in_days = {WAITING_DAYS}
  enable_key_rotation     = true
  multi_region            = {multi_region}
{}
  lifecycle {{
    prevent_destroy = true
  }}
}}

"#,
        heredoc(policy)
    );
    alias(out, name, &format!("aws_kms_key.{name}.key_id"));
}

fn policy_only(out: &mut String, name: &str, arn: &KeyArn, provider: Option<&str>, policy: &str) {
    let _ = writeln!(out, "resource \"aws_kms_key_policy\" \"{name}\" {{");
    if let Some(provider) = provider {
        let _ = writeln!(out, "  provider = aws.{provider}");
    }
    let _ = write!(out, "  key_id = {}\n{}}}\n\n", key_id(arn), heredoc(policy));
}

fn alias(out: &mut String, name: &str, key_id: &str) {
    let alias = name.replace('_', "-");
    let _ = write!(
        out,
        "resource \"aws_kms_alias\" \"{name}\" {{\n  name          = \"alias/{alias}\"\n  target_key_id = {key_id}\n}}\n\n"
    );
}

/// No value in a policy has `${` or `%{` in it, which Terraform would take for its own.
fn heredoc(policy: &str) -> String {
    let mut out = String::from("  policy = <<-POLICY\n");
    for line in policy.lines() {
        let _ = writeln!(out, "    {line}");
    }
    out.push_str("  POLICY\n");
    out
}
