//! Least-privilege policies for AWS KMS: key policies, IAM policies, guard rails of an organization, and Terraform.
//!
//! A symmetric key binds every wrap to its context, so that one key can serve both purposes and every dataset, and
//! the conditions `kms:EncryptionContext:strongroom:*` tell them apart:
//!
//! | role | wraps | opens | other |
//! |---|---|---|---|
//! | writer | read keys, write keys | write keys | |
//! | reader | | read keys | |
//! | owner | read keys, write keys, signing key | signing key | |
//! | custodian | | | breaks glass: disables, enables, cancels and schedules deletion, imports, changes the key policy |
//! | auditor | | | metadata of the keys, and their trail |
//!
//! An RSA key takes no encryption context. It wraps by its public key, which lies open in the keyring, so that writers
//! need no right at all; whoever may decrypt with it may open whatever it wraps. Such keys are told apart by being
//! different keys, and [`Plan::warnings`] says where they are not.
//!
//! The key policies name each role and do not hand the key to the IAM policies of its account, so that an
//! administrator of the account cannot give the right to decrypt to himself. Nobody makes grants.

mod statements;
mod terraform;

use crate::{
    holder::HolderError,
    holders::aws_kms::{KIND, KeyArn, is_rsa, keys},
};
use serde_json::{Value, json};
use statements::{allow, deny, described, uses};
use std::collections::BTreeSet;
use strongroom_format::{VaultId, context::valid_label, keyring::Keyring};

pub use super::transit::Role;

/// Shortest waiting period that the policies allow, in days: the longest that AWS has.
pub const WAITING_DAYS: u32 = 30;
/// Longest key policy that AWS takes, in bytes.
const KEY_POLICY_MAX: usize = 32 << 10;
/// Longest managed policy of IAM, in characters that are not white space.
const IAM_POLICY_MAX: usize = 6144;
/// Longest service control policy, and longest resource control policy, in characters.
const ORGANIZATION_POLICY_MAX: usize = 5120;

/// What ends or changes a key, which nobody but the custodian may do.
const DESTRUCTIVE: [&str; 7] = [
    "kms:DeleteImportedKeyMaterial",
    "kms:DisableKey",
    "kms:ImportKeyMaterial",
    "kms:PutKeyPolicy",
    "kms:ReplicateKey",
    "kms:ScheduleKeyDeletion",
    "kms:UpdatePrimaryRegion",
];

/// What the custodian may do with a key; using it is not among it.
const CUSTODY: [&str; 21] = [
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DeleteImportedKeyMaterial",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:GetParametersForImport",
    "kms:ImportKeyMaterial",
    "kms:ListGrants",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
];

/// What the auditor may see of a key.
const AUDIT: [&str; 8] = [
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:GetPublicKey",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
];

/// Who plays which role: ARNs of IAM roles or users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principals {
    /// Sees the keys.
    pub auditor: String,
    /// Breaks glass.
    pub custodian: String,
    /// Changes the keyring.
    pub owner: String,
    /// Restores.
    pub reader: String,
    /// Backs up.
    pub writer: String,
}

impl Principals {
    /// The roles `strongroom-writer` and so on in an account, such as `123456789012` of partition `aws`.
    #[must_use]
    pub fn in_account(partition: &str, account: &str) -> Self {
        let role = |role: Role| format!("arn:{partition}:iam::{account}:role/strongroom-{}", role.as_str());
        Self {
            auditor: role(Role::Auditor),
            custodian: role(Role::Custodian),
            owner: role(Role::Owner),
            reader: role(Role::Reader),
            writer: role(Role::Writer),
        }
    }

    /// Who plays a role.
    #[must_use]
    pub fn of(&self, role: Role) -> &str {
        match role {
            Role::Auditor => &self.auditor,
            Role::Custodian => &self.custodian,
            Role::Owner => &self.owner,
            Role::Reader => &self.reader,
            Role::Writer => &self.writer,
        }
    }
}

/// One KMS key of a vault, and what it wraps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedKey {
    /// The keyholder.
    pub label: String,
    /// The key, then its replicas.
    arns: Vec<KeyArn>,
    /// Whether it is an RSA key.
    rsa: bool,
    /// The datasets whose read keys it wraps.
    reads: Vec<String>,
    /// The datasets whose write keys it wraps.
    writes: Vec<String>,
    /// Whether it wraps the signing key of the vault.
    signs: bool,
}

/// The rights at AWS KMS for one vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    vault: VaultId,
    keys: Vec<PlannedKey>,
    principals: Principals,
}

impl Plan {
    /// For the `aws-kms` keyholders of a vault, its datasets and their purposes, as the keyring has them. Without
    /// `principals`, for the roles `strongroom-*` in the account of the first key.
    ///
    /// # Errors
    /// [`HolderError::Malformed`] where the keyring has no such keyholder or describes one wrongly, or where a
    /// principal is no ARN of a role or user.
    pub fn new(keyring: &Keyring, principals: Option<Principals>) -> Result<Self, HolderError> {
        let mut planned = Vec::new();
        for (label, spec) in keyring.keyholders.iter().filter(|(_, spec)| spec.kind == KIND) {
            let of = |policy: fn(&strongroom_format::keyring::DatasetRecord) -> &_| {
                let serves = |tree: &strongroom_format::keyring::PolicyTree| {
                    tree.leaves().any(|leaf| leaf == label.as_str())
                };
                let datasets = keyring.datasets.iter().filter(|dataset| serves(policy(dataset)));
                datasets.map(|dataset| dataset.name.clone()).collect::<Vec<_>>()
            };
            planned.push(PlannedKey {
                label: label.clone(),
                arns: keys(spec)?,
                rsa: is_rsa(spec),
                reads: of(|dataset| &dataset.read_policy),
                writes: of(|dataset| &dataset.write_policy),
                signs: keyring.read_policy.leaves().any(|leaf| leaf == label.as_str()),
            });
        }
        Self::of_keys(keyring.vault, planned, principals)
    }

    fn of_keys(
        vault: VaultId,
        keys: Vec<PlannedKey>,
        principals: Option<Principals>,
    ) -> Result<Self, HolderError> {
        let Some(first) = keys.first().and_then(|key| key.arns.first()) else {
            return Err(HolderError::Malformed("the vault has no keyholder of the kind aws-kms".into()));
        };
        let principals =
            principals.unwrap_or_else(|| Principals::in_account(first.partition(), first.account()));
        let mut seen = BTreeSet::new();
        for role in Role::ALL {
            let arn = principals.of(role);
            if !is_principal(arn) {
                let what = format!("`{}` is no ARN of an IAM role or user", arn.escape_debug());
                return Err(HolderError::Malformed(what));
            }
            if !seen.insert(arn) {
                let what = format!("`{arn}` plays two roles: what one of them must not do, the other may");
                return Err(HolderError::Malformed(what));
            }
        }
        let mut datasets = keys.iter().flat_map(|key| key.reads.iter().chain(&key.writes));
        match datasets.find(|dataset| !valid_label(dataset)) {
            Some(dataset) => Err(HolderError::Malformed(format!("`{dataset}` is no name of a dataset"))),
            None => Ok(Self { vault, keys, principals }),
        }
    }

    /// Who plays which role.
    #[must_use]
    pub fn principals(&self) -> &Principals {
        &self.principals
    }

    /// The labels of the keyholders, in order.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.label.as_str())
    }

    /// The key policy of a keyholder's key and of each of its replicas; none for an unknown label.
    #[must_use]
    pub fn key_policy(&self, label: &str) -> Option<Value> {
        let key = self.keys.iter().find(|key| key.label == label)?;
        let mut statements: Vec<Value> = uses(&self.vault, key)
            .iter()
            .map(|grant| grant.statement(("Principal", json!({"AWS": self.principals.of(grant.role)})), true))
            .collect();
        let users = [Role::Owner, Role::Reader, Role::Writer].map(|role| self.principals.of(role));
        let here = ("Resource", json!("*"));
        let by = |who: Value| ("Principal", json!({"AWS": who}));
        statements.push(allow("RolesSeeTheKey", &described(key), [by(json!(users)), here.clone()], None));
        let custodian = json!(self.principals.custodian);
        statements.push(allow("CustodianBreaksGlass", &CUSTODY, [by(custodian), here.clone()], None));
        let auditor = json!(self.principals.auditor);
        statements.push(allow("AuditorSees", &AUDIT, [by(auditor), here.clone()], None));
        let everybody = [("Principal", json!("*")), here];
        statements.extend(self.refusals(&everybody));
        Some(document(&format!("strongroom-{}", self.vault.to_hex()), statements))
    }

    /// The IAM policy of a role, for all keys of the vault. Within the account of a key its key policy is enough; a
    /// role of another account needs both.
    #[must_use]
    pub fn iam_policy(&self, role: Role) -> Value {
        let mut statements = Vec::new();
        for key in &self.keys {
            let resource = ("Resource", arns([key]));
            for grant in uses(&self.vault, key).iter().filter(|grant| grant.role == role) {
                statements.push(grant.statement(resource.clone(), false));
            }
            if matches!(role, Role::Owner | Role::Reader | Role::Writer) {
                statements.push(allow("", &described(key), [resource], None));
            }
        }
        let all = ("Resource", arns(&self.keys));
        let anywhere = ("Resource", json!("*"));
        match role {
            Role::Auditor => {
                statements.push(allow("AuditorSees", &AUDIT, [all], None));
                let seen = ["cloudtrail:LookupEvents", "kms:ListAliases", "kms:ListKeys"];
                statements.push(allow("AuditorLists", &seen, [anywhere], None));
            }
            Role::Custodian => {
                let aliases = self.keys.iter().flat_map(|key| &key.arns).map(|arn| {
                    format!(
                        "arn:{}:kms:{}:{}:alias/strongroom-*",
                        arn.partition(),
                        arn.region(),
                        arn.account()
                    )
                });
                let aliases: BTreeSet<String> = aliases.collect();
                let named = ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"];
                statements.push(allow("CustodianBreaksGlass", &CUSTODY, [all.clone()], None));
                statements.push(allow("CustodianNames", &named, [("Resource", json!(aliases))], None));
                statements.push(short_wait([all]));
            }
            Role::Owner | Role::Reader | Role::Writer => {}
        }
        document("", statements)
    }

    /// A service control policy: what the key policies refuse, refused for the accounts that it is attached to, so
    /// that a changed key policy is not enough to lose the keys.
    #[must_use]
    pub fn service_control_policy(&self) -> Value {
        document("", self.refusals(&[("Resource", arns(&self.keys))]))
    }

    /// A resource control policy: nobody outside the organization, such as `o-a1b2c3d4e5`, uses the keys.
    ///
    /// # Errors
    /// [`HolderError::Malformed`] where that is no id of an organization.
    pub fn resource_control_policy(&self, organization: &str) -> Result<Value, HolderError> {
        let id = organization.strip_prefix("o-").unwrap_or_default();
        if !(10..=32).contains(&id.len()) || !id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
        {
            let what = format!("`{}` is no id of an organization", organization.escape_debug());
            return Err(HolderError::Malformed(what));
        }
        // AWS services call in their own name, and none of them has a part in a wrap; the keys have no other users.
        let outside = json!({
            "StringNotEqualsIfExists": {"aws:PrincipalOrgID": organization},
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
        });
        let who = [("Principal", json!("*")), ("Resource", arns(&self.keys))];
        Ok(document("", vec![deny("NobodyOutside", &["kms:*"], who, Some(outside))]))
    }

    /// What these policies cannot do, in sentences.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for key in &self.keys {
            let label = &key.label;
            let purposes = [!key.reads.is_empty(), !key.writes.is_empty(), key.signs];
            if key.rsa {
                warnings.push(format!(
                    "the key of `{label}` is an RSA key, which takes no encryption context: AWS can limit who \
                     decrypts with it, and not what"
                ));
                if purposes.iter().filter(|used| **used).count() > 1 {
                    warnings.push(format!(
                        "the RSA key of `{label}` wraps keys of several purposes: whoever may open one of them by it \
                         may open all; give each purpose a key of its own"
                    ));
                }
            }
            if purposes == [false; 3] {
                warnings
                    .push(format!("the key of `{label}` is in no policy of the vault: nobody may use it"));
            }
        }
        let over = |what: String, len: usize, most: usize| {
            (len > most)
                .then(|| format!("{what} has {len} characters, and AWS takes {most}: split the datasets"))
        };
        for key in &self.keys {
            let len = self.key_policy(&key.label).map_or(0, |policy| policy.to_string().len());
            warnings.extend(over(format!("the key policy of `{}`", key.label), len, KEY_POLICY_MAX));
        }
        for role in Role::ALL {
            let len = self.iam_policy(role).to_string().len();
            warnings.extend(over(format!("the IAM policy of the {}", role.as_str()), len, IAM_POLICY_MAX));
        }
        let len = self.service_control_policy().to_string().len();
        warnings.extend(over("the service control policy".into(), len, ORGANIZATION_POLICY_MAX));
        warnings
    }

    /// Every document as a file: its name, and its text.
    ///
    /// # Errors
    /// As [`Plan::resource_control_policy`].
    pub fn files(&self, organization: Option<&str>) -> Result<Vec<(String, String)>, HolderError> {
        let mut files = Vec::new();
        for key in &self.keys {
            let policy = self.key_policy(&key.label).unwrap_or_default();
            files.push((format!("key-policy-{}.json", key.label), text(&policy)));
        }
        for role in Role::ALL {
            files.push((format!("iam-{}.json", role.as_str()), text(&self.iam_policy(role))));
        }
        files.push(("scp.json".into(), text(&self.service_control_policy())));
        if let Some(organization) = organization {
            files.push(("rcp.json".into(), text(&self.resource_control_policy(organization)?)));
        }
        files.push(("strongroom.tf".into(), self.terraform()));
        Ok(files)
    }

    /// The name of a role's IAM policy, such as `strongroom-writer-1a2b3c4d`.
    #[must_use]
    pub fn policy_name(&self, role: Role) -> String {
        let vault = self.vault.to_hex();
        format!("strongroom-{}-{}", role.as_str(), vault.get(..8).unwrap_or(&vault))
    }

    /// What nobody but the custodian may do, and what nobody may do at all.
    fn refusals(&self, what: &[(&'static str, Value)]) -> Vec<Value> {
        // For a session of a role, this is the ARN of the role.
        let others = json!({"ArnNotEquals": {"aws:PrincipalArn": self.principals.custodian}});
        vec![
            deny("NobodyElseEndsOrChangesTheKey", &DESTRUCTIVE, what.to_vec(), Some(others)),
            short_wait(what.to_vec()),
            deny("NobodyMakesGrants", &["kms:CreateGrant"], what.to_vec(), None),
        ]
    }
}

fn short_wait(what: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let short =
        json!({"NumericLessThan": {"kms:ScheduleKeyDeletionPendingWindowInDays": WAITING_DAYS.to_string()}});
    deny("NoDeletionBeforeTheLongestWait", &["kms:ScheduleKeyDeletion"], what, Some(short))
}

fn arns<'a>(keys: impl IntoIterator<Item = &'a PlannedKey>) -> Value {
    let arns: BTreeSet<&str> = keys.into_iter().flat_map(|key| &key.arns).map(KeyArn::as_str).collect();
    json!(arns)
}

fn document(id: &str, statements: Vec<Value>) -> Value {
    let mut document = json!({"Version": "2012-10-17", "Statement": statements});
    if !id.is_empty() {
        document["Id"] = json!(id);
    }
    document
}

/// A document as people read it. Ends with a line feed.
#[must_use]
pub fn text(document: &Value) -> String {
    format!("{document:#}\n")
}

/// `arn:PARTITION:iam::ACCOUNT:role/NAME`, or a user.
fn is_principal(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [scheme, partition, service, region, account, resource] = parts[..] else { return false };
    let name = resource.strip_prefix("role/").or_else(|| resource.strip_prefix("user/"));
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_/-".contains(&byte);
    (scheme, service, region) == ("arn", "iam", "")
        && !partition.is_empty()
        && partition.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && name.is_some_and(|name| (1..=576).contains(&name.len()) && name.bytes().all(is_name))
}

#[cfg(test)]
mod tests;
