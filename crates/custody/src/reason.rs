//! Why a key is used: for the ledger and the provider's log, never part of a key's context.

/// The kind of work that needs the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReasonCode {
    /// A change to the vault, its keyring or a policy.
    Admin,
    /// A backup run.
    Backup,
    /// A rehearsal of recovery.
    Drill,
    /// Listing or comparing what was backed up.
    List,
    /// A mounted snapshot.
    Mount,
    /// Removal of what is no longer needed.
    Prune,
    /// A restore.
    Restore,
    /// A check that what was backed up can be read.
    Verify,
}

impl ReasonCode {
    /// All codes.
    pub const ALL: [Self; 8] = [
        Self::Admin,
        Self::Backup,
        Self::Drill,
        Self::List,
        Self::Mount,
        Self::Prune,
        Self::Restore,
        Self::Verify,
    ];

    /// The code in capitals, such as `BACKUP`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "ADMIN",
            Self::Backup => "BACKUP",
            Self::Drill => "DRILL",
            Self::List => "LIST",
            Self::Mount => "MOUNT",
            Self::Prune => "PRUNE",
            Self::Restore => "RESTORE",
            Self::Verify => "VERIFY",
        }
    }
}

impl std::fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a key is used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reason {
    /// The kind of work.
    pub code: ReasonCode,
    /// What a person said about it, such as a ticket.
    pub text: Option<String>,
}

impl Reason {
    /// A reason without words.
    #[must_use]
    pub fn new(code: ReasonCode) -> Self {
        Self { code, text: None }
    }

    /// The same reason, in a person's words.
    #[must_use]
    pub fn with_text(self, text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..self }
    }
}

impl From<ReasonCode> for Reason {
    fn from(code: ReasonCode) -> Self {
        Self::new(code)
    }
}
