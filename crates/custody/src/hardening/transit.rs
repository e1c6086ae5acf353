//! Least-privilege policies for the Transit engine of OpenBao and HashiCorp Vault.
//!
//! Two Transit keys, one for each purpose: an ACL policy grants a key by its path, and everyone who may decrypt with a
//! key may decrypt all that it wraps. Where the vault and its datasets are known, the policies say more: they admit
//! only the `associated_data` of these datasets (`allowed_parameters`), so that a reader of one dataset cannot open
//! another, nor the vault's signing key. What they do not name, `batch_input` among it, is refused.
//!
//! | role | wraps | opens | other |
//! |---|---|---|---|
//! | writer | read keys, write keys | write keys | |
//! | reader | | read keys | |
//! | owner | read keys, write keys, signing key | signing key | |
//! | custodian | | | soft-delete and restore, rotate, `min_decryption_version` |
//! | auditor | | | metadata of the keys |
//!
//! Without a scope the owner has the rights of writer and reader together, because only `associated_data` tells the
//! signing key from a read key. Within a scope, whoever wraps every key again under another policy needs the policies
//! of owner, reader and writer.

use crate::{
    holder::HolderError,
    holders::transit::{valid_key, valid_path},
};
use data_encoding::BASE64;
use std::fmt::Write;
use strongroom_format::{
    VaultId,
    context::{Context, Purpose, WHOLE_VAULT, valid_label},
};

/// Who gets a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Sees the settings of the keys, and can use none.
    Auditor,
    /// Switches keys off and on, rotates them, and can use and delete none.
    Custodian,
    /// Changes the keyring of the vault: opens its signing key.
    Owner,
    /// Restores: opens read keys.
    Reader,
    /// Backs up: opens write keys and wraps new keys, and can open no read key.
    Writer,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Auditor, Self::Custodian, Self::Owner, Self::Reader, Self::Writer];

    /// Its name in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auditor => "auditor",
            Self::Custodian => "custodian",
            Self::Owner => "owner",
            Self::Reader => "reader",
            Self::Writer => "writer",
        }
    }

    fn purpose(self) -> &'static str {
        match self {
            Self::Auditor => "sees the settings of the keys, and can use none",
            Self::Custodian => "switches keys off and on and rotates them, and can use and delete none",
            Self::Owner => "opens the signing key of the vault, to change its keyring",
            Self::Reader => "opens read keys, to restore",
            Self::Writer => "opens write keys and wraps new keys, to back up; it can open no read key",
        }
    }
}

/// The vault and the datasets that a policy is limited to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The vault.
    pub vault: VaultId,
    /// The names of the datasets.
    pub datasets: Vec<String>,
}

/// What the policies are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Where the engine is mounted, such as `transit`.
    pub mount: String,
    /// The Transit key of read keys and of the signing key.
    pub read_key: String,
    /// The Transit key of write keys. Another one than `read_key`.
    pub write_key: String,
    /// Which vault and datasets; none for all whose keys these Transit keys wrap.
    pub scope: Option<Scope>,
}

/// Which `associated_data` a rule admits: the words of an ACL policy, where `*` at the end is any rest.
type Admitted = Option<Vec<String>>;

impl Plan {
    /// Refuses names that no server has, or that would mean something else inside a policy.
    ///
    /// # Errors
    /// [`HolderError::Malformed`].
    pub fn check(&self) -> Result<(), HolderError> {
        let refused = |what: String| Err(HolderError::Malformed(what));
        if !valid_path(&self.mount) {
            return refused(format!("`{}` is no mount", self.mount));
        }
        for key in [&self.read_key, &self.write_key] {
            if !valid_key(key) {
                return refused(format!("`{key}` is no name of a Transit key"));
            }
        }
        if self.read_key == self.write_key {
            return refused("one Transit key for both purposes would let writers read: use two".into());
        }
        let datasets = self.scope.iter().flat_map(|scope| &scope.datasets);
        match datasets.into_iter().find(|dataset| !valid_label(dataset)) {
            Some(dataset) => refused(format!("`{dataset}` is no name of a dataset")),
            None => Ok(()),
        }
    }

    /// The name of a role's policy, such as `strongroom-writer-office-read`.
    #[must_use]
    pub fn policy_name(&self, role: Role) -> String {
        format!("strongroom-{}-{}", role.as_str(), self.read_key)
    }

    /// A role's policy as the text of an ACL policy (HCL).
    ///
    /// # Errors
    /// As [`Plan::check`].
    pub fn policy(&self, role: Role) -> Result<String, HolderError> {
        self.check()?;
        let (read_key, write_key) = (self.read_key.as_str(), self.write_key.as_str());
        let mut policy = format!("# Strongroom {}: {}.\n", role.as_str(), role.purpose());
        for key in [read_key, write_key] {
            if role != Role::Custodian {
                rule(&mut policy, &self.path("keys", key), "read");
            }
        }
        match role {
            Role::Auditor => {}
            Role::Custodian => {
                self.custody(&mut policy, read_key);
                self.custody(&mut policy, write_key);
            }
            Role::Owner => {
                let signing = self.admit(|scope| vec![exact(scope, WHOLE_VAULT, Purpose::Read)]);
                let both = self.admit(|scope| {
                    let mut both = self::read(scope);
                    both.push(exact(scope, WHOLE_VAULT, Purpose::Read));
                    both
                });
                let writing = self.admit(write);
                self.crypto(&mut policy, "encrypt", read_key, &both);
                self.crypto(&mut policy, "encrypt", write_key, &writing);
                self.crypto(&mut policy, "decrypt", read_key, &signing);
                if self.scope.is_none() {
                    self.crypto(&mut policy, "decrypt", write_key, &None);
                }
            }
            Role::Reader => self.crypto(&mut policy, "decrypt", read_key, &self.admit(read)),
            Role::Writer => {
                self.crypto(&mut policy, "encrypt", read_key, &self.admit(read));
                self.crypto(&mut policy, "encrypt", write_key, &self.admit(write));
                self.crypto(&mut policy, "decrypt", write_key, &self.admit(write));
            }
        }
        Ok(policy)
    }

    /// The commands that make the two keys, forbid what would lose or leak them, and write the policies from files
    /// named as the policies, with `.hcl` at the end. `program` is `bao` or `vault`.
    ///
    /// # Errors
    /// As [`Plan::check`].
    pub fn commands(&self, program: &str) -> Result<Vec<String>, HolderError> {
        self.check()?;
        let mut commands = Vec::new();
        for key in [&self.read_key, &self.write_key] {
            let path = self.path("keys", key);
            commands.push(format!(
                "{program} write {path} type=aes256-gcm96 exportable=false allow_plaintext_backup=false"
            ));
            commands.push(format!("{program} write {path}/config deletion_allowed=false"));
        }
        commands.push(format!("{program} write {}/config/keys disable_upsert=true", self.mount));
        for role in Role::ALL {
            let name = self.policy_name(role);
            commands.push(format!("{program} policy write {name} {name}.hcl"));
        }
        Ok(commands)
    }

    /// The same keys and policies for Terraform's `vault` provider, which speaks to OpenBao as well.
    ///
    /// # Errors
    /// As [`Plan::check`].
    pub fn terraform(&self) -> Result<String, HolderError> {
        self.check()?;
        let mut text = String::new();
        for (purpose, key) in [("read", &self.read_key), ("write", &self.write_key)] {
            let mount = &self.mount;
            // Writing to a `String` cannot fail.
            let _ = write!(
                text,
                r#"resource "vault_transit_secret_backend_key" "strongroom_{purpose}" {{
  backend                = "{mount}"
  name                   = "{key}"
  type                   = "aes256-gcm96"
  deletion_allowed       = false
  exportable             = false
  allow_plaintext_backup = false

  lifecycle {{
    prevent_destroy = true
  }}
}}

"#
            );
        }
        for role in Role::ALL {
            let (name, policy) = (self.policy_name(role), self.policy(role)?);
            let role = role.as_str();
            let _ = write!(
                text,
                "resource \"vault_policy\" \"strongroom_{role}\" {{\n  name   = \"{name}\"\n  policy = <<-EOT\n"
            );
            for line in policy.lines() {
                let _ = if line.is_empty() { writeln!(text) } else { writeln!(text, "    {line}") };
            }
            text.push_str("  EOT\n}\n\n");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        Ok(text)
    }

    fn path(&self, operation: &str, key: &str) -> String {
        format!("{}/{operation}/{key}", self.mount)
    }

    fn admit(&self, values: impl Fn(&Scope) -> Vec<String>) -> Admitted {
        self.scope.as_ref().map(values)
    }

    fn crypto(&self, policy: &mut String, operation: &str, key: &str, admitted: &Admitted) {
        let path = self.path(operation, key);
        let Some(values) = admitted else {
            rule(policy, &path, "update");
            return;
        };
        let list = values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(", ");
        let others: &[&str] = if operation == "encrypt" { &["plaintext", "type"] } else { &["ciphertext"] };
        let others: String = others.iter().map(|name| format!("    \"{name}\" = []\n")).collect();
        let _ = write!(
            policy,
            "\npath \"{path}\" {{\n  capabilities = [\"update\"]\n  required_parameters = [\"associated_data\"]\n  \
             allowed_parameters = {{\n{others}    \"associated_data\" = [{list}]\n    \"context\" = [{list}]\n  }}\n}}\n"
        );
    }

    fn custody(&self, policy: &mut String, key: &str) {
        let path = self.path("keys", key);
        rule(policy, &path, "read");
        rule(policy, &format!("{path}/rotate"), "update");
        rule(policy, &format!("{path}/soft-delete"), "delete");
        rule(policy, &format!("{path}/soft-delete-restore"), "update");
        // Not `deletion_allowed`, `exportable`, `allow_plaintext_backup`.
        let _ = write!(
            policy,
            "\npath \"{path}/config\" {{\n  capabilities = [\"update\"]\n  allowed_parameters = {{\n    \
             \"auto_rotate_period\" = []\n    \"min_decryption_version\" = []\n    \
             \"min_encryption_version\" = []\n  }}\n}}\n"
        );
    }
}

fn rule(policy: &mut String, path: &str, capability: &str) {
    let _ = write!(policy, "\npath \"{path}\" {{\n  capabilities = [\"{capability}\"]\n}}\n");
}

/// The `associated_data` of the read keys of every epoch of the datasets.
fn read(scope: &Scope) -> Vec<String> {
    scope.datasets.iter().map(|dataset| any_epoch(dataset)).collect()
}

/// The `associated_data` of the write keys of the datasets.
fn write(scope: &Scope) -> Vec<String> {
    scope.datasets.iter().map(|dataset| exact(scope, dataset, Purpose::Write)).collect()
}

/// The `associated_data` of a key without epochs.
fn exact(scope: &Scope, dataset: &str, purpose: Purpose) -> String {
    let context = Context { vault: scope.vault, dataset: dataset.to_owned(), purpose, epoch: 0 };
    BASE64.encode(&context.canonical())
}

/// How the `associated_data` of a dataset begins, whatever the epoch. Base64 has four characters for each three
/// bytes, so the beginning ends with the last three that are whole; they lie behind the line feed that ends the
/// dataset's name, or `home` would admit `home2`.
fn any_epoch(dataset: &str) -> String {
    let beginning = format!("strongroom:dataset={dataset}\nstrongroom:epoch=");
    let whole = beginning.len() - beginning.len() % 3;
    format!("{}*", BASE64.encode(&beginning.as_bytes()[..whole]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(scope: Option<Scope>) -> Plan {
        Plan {
            mount: "transit".into(),
            read_key: "office-read".into(),
            write_key: "office-write".into(),
            scope,
        }
    }

    fn scope(datasets: &[&str]) -> Scope {
        Scope { vault: VaultId([7; 16]), datasets: datasets.iter().map(|name| (*name).to_owned()).collect() }
    }

    fn associated(dataset: &str, epoch: u32) -> String {
        let context =
            Context { vault: VaultId([7; 16]), dataset: dataset.into(), purpose: Purpose::Read, epoch };
        BASE64.encode(&context.canonical())
    }

    #[test]
    fn a_dataset_admits_its_epochs_and_no_other_dataset() {
        for dataset in ["h", "ho", "hom", "home", "home2", "home-2.x"] {
            let admitted = any_epoch(dataset);
            let beginning = admitted.strip_suffix('*').unwrap();
            for epoch in [0, 1, 9, 10, 4_000_000_000] {
                assert!(associated(dataset, epoch).starts_with(beginning), "{dataset} {epoch}");
            }
            for other in ["h", "ho", "hom", "home", "home2", "home-2.x", "*"] {
                assert_eq!(
                    associated(other, 1).starts_with(beginning),
                    other == dataset,
                    "{dataset} {other}"
                );
            }
        }
    }

    #[test]
    fn no_role_but_reader_and_owner_opens_by_the_read_key() {
        for scope in [None, Some(scope(&["home"]))] {
            for role in Role::ALL {
                let policy = plan(scope.clone()).policy(role).unwrap();
                let opens = policy.contains("transit/decrypt/office-read");
                assert_eq!(opens, matches!(role, Role::Owner | Role::Reader), "{role:?}");
                for forbidden in
                    ["export", "backup", "restore/", "\"create\"", "\"sudo\"", "deletion_allowed", "trim"]
                {
                    assert!(!policy.contains(forbidden), "{role:?}: {forbidden}");
                }
            }
        }
    }

    #[test]
    fn names_that_mean_something_in_a_policy_are_refused() {
        for mount in ["", "a\"b", "a*", "+", "a${x}", "a\nb", "../sys"] {
            assert!(Plan { mount: mount.into(), ..plan(None) }.policy(Role::Writer).is_err(), "{mount:?}");
        }
        assert!(Plan { read_key: "*".into(), ..plan(None) }.terraform().is_err());
        assert!(Plan { read_key: "office-write".into(), ..plan(None) }.commands("bao").is_err());
        assert!(plan(Some(scope(&["a\"b"]))).policy(Role::Reader).is_err());
        assert!(plan(Some(scope(&["*"]))).policy(Role::Reader).is_err());
    }

    #[test]
    fn deletion_is_forbidden_for_both_keys() {
        let commands = plan(None).commands("vault").unwrap();
        for key in ["office-read", "office-write"] {
            let command = format!("vault write transit/keys/{key}/config deletion_allowed=false");
            assert!(commands.contains(&command), "{command}");
        }
        let terraform = plan(Some(scope(&["home"]))).terraform().unwrap();
        assert_eq!(terraform.matches("deletion_allowed       = false").count(), 2);
        assert_eq!(terraform.matches("prevent_destroy = true").count(), 2);
        assert_eq!(terraform.matches("resource \"vault_policy\"").count(), Role::ALL.len());
        assert_eq!(terraform.matches("<<-EOT").count(), terraform.matches("\n  EOT\n").count());
    }
}
