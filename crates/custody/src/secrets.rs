//! What this machine and the person before it bring along: paths of secrets, and ways to ask.

#[cfg(feature = "aws-kms")]
use crate::holders::aws_kms::Access;
use crate::holders::transit;
use std::{collections::BTreeMap, fmt, io, path::PathBuf, sync::Arc};
use zeroize::Zeroizing;

/// Where passphrases come from: a terminal, a file descriptor, a program.
///
/// Called only when a passphrase is needed. Never a command line, which everybody can read.
pub trait PassphraseSource: Send + Sync {
    /// The passphrase of the keyholder `holder`. `attempt` is 1, then 2 and so on after wrong ones.
    /// `None` where there is none to give, or no other one than before.
    ///
    /// # Errors
    /// Where the source fails.
    fn passphrase(&self, holder: &str, attempt: u32) -> io::Result<Option<Zeroizing<String>>>;
}

impl<F> PassphraseSource for F
where
    F: Fn(&str, u32) -> io::Result<Option<Zeroizing<String>>> + Send + Sync,
{
    fn passphrase(&self, holder: &str, attempt: u32) -> io::Result<Option<Zeroizing<String>>> {
        self(holder, attempt)
    }
}

/// How identities and their plugins speak with a person: for a PIN, a touch, the passphrase of an SSH key.
pub trait Prompts: Send + Sync {
    /// Shows a message.
    fn message(&self, text: &str);

    /// Asks for a choice between `yes` and `no`. `None` where nobody can be asked.
    fn confirm(&self, text: &str, yes: &str, no: Option<&str>) -> Option<bool>;

    /// Asks for something that may be seen. `None` where nobody can be asked.
    fn public(&self, text: &str) -> Option<String>;

    /// Asks for a secret. `None` where nobody can be asked.
    fn secret(&self, text: &str) -> Option<Zeroizing<String>>;
}

/// [`Prompts`] where nobody can be asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct NobodyThere;

impl Prompts for NobodyThere {
    fn message(&self, _: &str) {}

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn public(&self, _: &str) -> Option<String> {
        None
    }

    fn secret(&self, _: &str) -> Option<Zeroizing<String>> {
        None
    }
}

/// Everything that the keyholders of one client may use.
#[derive(Clone)]
pub struct Secrets {
    /// Key files of `file` keyholders, and private keys of `aws-kms` keyholders with an RSA key, by label.
    pub key_files: BTreeMap<String, PathBuf>,
    /// Key files that may belong to any `file` keyholder; the right one is recognised.
    pub unlabelled_key_files: Vec<PathBuf>,
    /// Identity files: age, SSH, or plugin identities.
    pub identities: Vec<PathBuf>,
    /// Where passphrases come from.
    pub passphrases: Option<Arc<dyn PassphraseSource>>,
    /// How a person is asked.
    pub prompts: Arc<dyn Prompts>,
    /// How `transit` keyholders reach their servers, and as whom.
    pub transit: transit::Access,
    /// How tokens of `pkcs11` keyholders are reached.
    #[cfg(feature = "pkcs11")]
    pub pkcs11: crate::holders::pkcs11::Access,
    /// How AWS is reached.
    #[cfg(feature = "aws-kms")]
    pub aws: Access,
    /// How AWS is reached for these keyholders, by label: keys in accounts that do not know each other.
    #[cfg(feature = "aws-kms")]
    pub aws_by_label: BTreeMap<String, Access>,
}

impl Secrets {
    /// No secrets at all, and nobody to ask.
    #[must_use]
    pub fn none() -> Self {
        Self {
            key_files: BTreeMap::new(),
            unlabelled_key_files: Vec::new(),
            identities: Vec::new(),
            passphrases: None,
            prompts: Arc::new(NobodyThere),
            transit: transit::Access::none(),
            #[cfg(feature = "pkcs11")]
            pkcs11: crate::holders::pkcs11::Access::default(),
            #[cfg(feature = "aws-kms")]
            aws: Access::default(),
            #[cfg(feature = "aws-kms")]
            aws_by_label: BTreeMap::new(),
        }
    }

    /// With the key file of the `file` keyholder `label`.
    #[must_use]
    pub fn with_key_file(mut self, label: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        self.key_files.insert(label.into(), path.into());
        self
    }

    /// With a file of identities.
    #[must_use]
    pub fn with_identity(mut self, path: impl Into<PathBuf>) -> Self {
        self.identities.push(path.into());
        self
    }

    /// With a source of passphrases.
    #[must_use]
    pub fn with_passphrases(mut self, source: impl PassphraseSource + 'static) -> Self {
        self.passphrases = Some(Arc::new(source));
        self
    }

    /// With a way to reach the tokens of `pkcs11` keyholders.
    #[cfg(feature = "pkcs11")]
    #[must_use]
    pub fn with_pkcs11(mut self, access: crate::holders::pkcs11::Access) -> Self {
        self.pkcs11 = access;
        self
    }

    /// With a way to reach AWS.
    #[cfg(feature = "aws-kms")]
    #[must_use]
    pub fn with_aws(mut self, access: Access) -> Self {
        self.aws = access;
        self
    }

    /// With a way to reach AWS for the keyholder `label` alone.
    #[cfg(feature = "aws-kms")]
    #[must_use]
    pub fn with_aws_for(mut self, label: impl Into<String>, access: Access) -> Self {
        self.aws_by_label.insert(label.into(), access);
        self
    }

    /// How AWS is reached for the keyholder `label`.
    #[cfg(feature = "aws-kms")]
    #[must_use]
    pub fn aws_access(&self, label: &str) -> &Access {
        self.aws_by_label.get(label).unwrap_or(&self.aws)
    }

    /// With a way to ask a person.
    #[must_use]
    pub fn with_prompts(mut self, prompts: impl Prompts + 'static) -> Self {
        self.prompts = Arc::new(prompts);
        self
    }

    /// Tells providers the id of the operation that keys are used for, so that their trails carry it: as
    /// `strongroom-op/<id>` at the end of the user agent. After every way to a provider was given.
    #[must_use]
    pub fn with_operation(mut self, id: &str) -> Self {
        self.transit = self.transit.with_operation(id);
        #[cfg(feature = "aws-kms")]
        for access in self.aws_by_label.values_mut().chain([&mut self.aws]) {
            access.operation = Some(id.to_owned());
        }
        self
    }

    /// With a way to Transit servers.
    #[must_use]
    pub fn with_transit(mut self, access: transit::Access) -> Self {
        self.transit = access;
        self
    }
}

impl Default for Secrets {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Secrets");
        shown
            .field("key_files", &self.key_files)
            .field("unlabelled_key_files", &self.unlabelled_key_files)
            .field("identities", &self.identities)
            .field("passphrases", &self.passphrases.is_some())
            .field("transit", &self.transit);
        #[cfg(feature = "pkcs11")]
        shown.field("pkcs11", &self.pkcs11);
        shown.finish_non_exhaustive()
    }
}
