//! What a failure of a library is to the user.

use super::{CliError, ErrorKind};
use std::error::Error;
use strongroom_custody::ceremony::{CeremonyError, ShareError};
use strongroom_custody::quorum::QuorumError;
use strongroom_custody::{CustodyError, Failure, HolderError, Operation, PolicyError};
use strongroom_format::Damage;
use strongroom_ledger::LedgerError;
use strongroom_vault::VaultError;
use strongroom_vault::changes::ChangeError;
use strongroom_vault::fs::FilterError;
use strongroom_vault::store::{LocationError, StoreError};

/// The error as the message, everything below it as causes.
fn from(kind: ErrorKind, error: &(dyn Error + 'static)) -> CliError {
    let made = CliError::new(kind, error.to_string());
    match error.source() {
        Some(source) => made.caused_by(source),
        None => made,
    }
}

impl CliError {
    /// What failed, because of the ledger.
    #[must_use]
    pub fn from_ledger(error: &LedgerError, what: &str) -> Self {
        let kind = match error {
            LedgerError::Missing(_) | LedgerError::Closed(_) => ErrorKind::LedgerMissing,
            LedgerError::Proof(_) => ErrorKind::Usage,
            error if error.is_integrity() => ErrorKind::LedgerForged,
            _ => ErrorKind::LedgerUnwritable,
        };
        Self::new(kind, what).caused_by(error)
    }
}

impl From<LedgerError> for CliError {
    fn from(error: LedgerError) -> Self {
        let made = Self::from_ledger(&error, &error.to_string());
        Self { causes: made.causes.into_iter().skip(1).collect(), ..made }
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Denied { .. } => ErrorKind::StorageDenied,
            StoreError::Full { .. } => ErrorKind::StorageFull,
            StoreError::Throttled { .. } | StoreError::Unreachable { .. } => ErrorKind::StorageUnreachable,
            StoreError::Corrupt { .. }
            | StoreError::NotFound { .. }
            | StoreError::OutOfRange { .. }
            | StoreError::TooLarge { .. } => ErrorKind::Damaged,
            StoreError::InvalidName { .. } => ErrorKind::Bug,
            _ => ErrorKind::StorageFailed,
        };
        from(kind, &error)
    }
}

impl From<LocationError> for CliError {
    fn from(error: LocationError) -> Self {
        from(ErrorKind::Usage, &error).hint("a vault is a directory or s3://BUCKET/PREFIX")
    }
}

impl From<PolicyError> for CliError {
    fn from(error: PolicyError) -> Self {
        CliError::new(ErrorKind::Usage, format!("the policy cannot be used: {error}"))
            .hint("a policy is a keyholder's name, any(NAME, …), all(NAME, …) or 2 of (NAME, …)")
    }
}

impl From<FilterError> for CliError {
    fn from(error: FilterError) -> Self {
        from(ErrorKind::Usage, &error).hint(
            "a pattern is a name or a path, with * for a part of a name, ** for any directories, ? and [a-z]",
        )
    }
}

/// The ledger's own error, where it is what stopped a key use.
fn of_ledger(error: &(dyn Error + 'static)) -> Option<CliError> {
    let mut below = error.source();
    while let Some(cause) = below {
        if let Some(ledger) = cause.downcast_ref::<LedgerError>() {
            return Some(CliError::from_ledger(ledger, &format!("no key was used: {error}")));
        }
        below = cause.source();
    }
    None
}

impl From<CustodyError> for CliError {
    fn from(error: CustodyError) -> Self {
        if let Some(stopped) = of_ledger(&error) {
            return stopped;
        }
        match &error {
            CustodyError::Refused { operation, failures, .. } => {
                let (kind, mut hint) = refusal(failures);
                if *operation == Operation::Wrap {
                    hint = Some(
                        "a new key is wrapped by every keyholder of its policy: bring this one back, or leave it out \
                         with --read-policy or --write-policy"
                            .into(),
                    );
                }
                let made = from(kind, &error);
                match hint {
                    Some(hint) => made.hint(hint),
                    None => made,
                }
            }
            CustodyError::Integrity { .. } | CustodyError::Malformed { .. } => {
                from(ErrorKind::Damaged, &error)
            }
            CustodyError::Quorum(error) => quorum(error),
            CustodyError::Policy(_) | CustodyError::Context(_) => from(ErrorKind::Usage, &error),
            _ => from(ErrorKind::CustodyRefused, &error),
        }
    }
}

fn quorum(error: &QuorumError) -> CliError {
    match error {
        QuorumError::Malformed { .. } => from(ErrorKind::Usage, error),
        QuorumError::Tampered(_) | QuorumError::Conflict(_) => from(ErrorKind::Damaged, error)
            .hint("ask the custodian for the approval again, and how this one travelled"),
        QuorumError::Expired(_) | QuorumError::Used => {
            from(ErrorKind::QuorumUnmet, error).hint("make a new request: `strongroom quorum request`")
        }
        _ => from(ErrorKind::QuorumUnmet, error)
            .hint("`strongroom quorum status` tells who has not approved yet"),
    }
}

impl From<ShareError> for CliError {
    fn from(error: ShareError) -> Self {
        match &error {
            ShareError::Threshold { .. } | ShareError::Material { .. } => from(ErrorKind::Usage, &error),
            ShareError::TooFew { .. } => from(ErrorKind::QuorumUnmet, &error)
                .hint("give more shares with --share FILE, or type them from cards with --typed N"),
            _ => from(ErrorKind::Ceremony, &error),
        }
    }
}

impl From<CeremonyError> for CliError {
    fn from(error: CeremonyError) -> Self {
        match &error {
            CeremonyError::WrappingKeyTooSmall { .. } => from(ErrorKind::Import, &error).hint(
                "ask the provider for an RSA wrapping key of 4096 bits: `strongroom ceremony fetch` does",
            ),
            CeremonyError::NoWrappingKey => from(ErrorKind::Import, &error),
            CeremonyError::Record { .. } => from(ErrorKind::Damaged, &error)
                .hint("use another copy of the record, and find out who changed this one"),
            CeremonyError::Unproven => from(ErrorKind::Damaged, &error)
                .hint("do not use this key: find out who imported what into it"),
            CeremonyError::Library(_) => from(ErrorKind::Bug, &error),
            _ => from(ErrorKind::Ceremony, &error),
        }
    }
}

impl From<QuorumError> for CliError {
    fn from(error: QuorumError) -> Self {
        quorum(&error)
    }
}

/// What the failures of several keyholders amount to: a refusal outweighs what can be tried again.
fn refusal(failures: &[Failure]) -> (ErrorKind, Option<String>) {
    let any = |test: fn(&HolderError) -> bool| failures.iter().any(|failure| test(&failure.error));
    let refuses = |error: &HolderError| {
        use HolderError::{Deleted, Denied, Disabled, PendingDeletion};
        matches!(error, Denied(_) | Disabled(_) | PendingDeletion(_) | Deleted(_))
    };
    if any(refuses) {
        (ErrorKind::CustodyRefused, None)
    } else if any(HolderError::is_passing) {
        (ErrorKind::KeyholderUnreachable, None)
    } else if any(|error| matches!(error, HolderError::Exposed { .. })) {
        (ErrorKind::WrongKey, Some("make the file readable by its owner only: chmod 600".into()))
    } else if any(|error| matches!(error, HolderError::WrongSecret(_) | HolderError::Malformed(_))) {
        (ErrorKind::WrongKey, Some("check which file or passphrase belongs to the keyholder".into()))
    } else {
        let ways = |failure: &Failure| match failure.kind.as_str() {
            "file" => Some(format!("--key-file {}=FILE", failure.holder)),
            "age" => Some("--identity FILE".to_owned()),
            "passphrase" => Some("--passphrase-file FILE or a terminal".to_owned()),
            _ => None,
        };
        let mut ways: Vec<String> = failures.iter().filter_map(ways).collect();
        ways.sort();
        ways.dedup();
        let hint = (!ways.is_empty()).then(|| format!("give the key of one of them: {}", ways.join(", ")));
        (ErrorKind::QuorumUnmet, hint)
    }
}

impl From<VaultError> for CliError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(error) => error.into(),
            VaultError::Custody(error) => error.into(),
            VaultError::Change(ref change) => match change {
                ChangeError::Missing(_) | ChangeError::Ambiguous(_) | ChangeError::CannotCancel { .. } => {
                    from(ErrorKind::Usage, &error).hint("`strongroom key changes` shows all of them")
                }
                ChangeError::Running(_) => from(ErrorKind::Conflict, &error)
                    .hint("wait until they have ended; one that died is forgotten after a day"),
                _ => from(ErrorKind::Locked, &error),
            },
            VaultError::Shredded { .. } => from(ErrorKind::VaultMissing, &error)
                .hint("nothing in it can be opened by anybody; make a new vault at another location"),
            VaultError::Pinned(_) => from(ErrorKind::Pinned, &error),
            VaultError::Damaged { ref source, .. } => {
                let kind = match source.damage {
                    Damage::Version(_) => ErrorKind::VaultTooNew,
                    _ => ErrorKind::Damaged,
                };
                // Its text has the source in it.
                CliError::new(kind, error.to_string())
            }
            VaultError::MissingChunk { .. } | VaultError::MissingObject { .. } => {
                from(ErrorKind::Damaged, &error)
                    .hint("`strongroom check` tells which snapshots are affected; keep the storage as it is")
            }
            VaultError::Index(_) => from(ErrorKind::LocalFile, &error)
                .hint("the cache may be deleted at any time, or left out with --no-cache"),
            VaultError::Local { .. } => CliError::new(ErrorKind::LocalFile, error.to_string()),
            VaultError::NoVault { .. } => from(ErrorKind::VaultMissing, &error),
            VaultError::VaultExists { .. } => from(ErrorKind::VaultExists, &error),
            VaultError::NoDataset { ref known, .. } => {
                let known = known.join(", ");
                from(ErrorKind::DatasetMissing, &error).hint(format!("the vault has: {known}"))
            }
            VaultError::DatasetExists { .. } => from(ErrorKind::DatasetExists, &error),
            VaultError::NoSnapshot { .. } => from(ErrorKind::SnapshotMissing, &error),
            VaultError::NoPath { .. } => from(ErrorKind::PathMissing, &error),
            VaultError::Command { .. } => from(ErrorKind::CommandFailed, &error),
            VaultError::SessionStale { .. } => from(ErrorKind::StorageUnreachable, &error)
                .hint("no snapshot was made; run the backup again, it finds most of its content stored"),
            VaultError::Cancelled => CliError::new(ErrorKind::Cancelled, "stopped on request"),
            VaultError::Bug(_) => from(ErrorKind::Bug, &error),
            _ => from(ErrorKind::Usage, &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_format::FormatError;

    fn refused(errors: Vec<HolderError>) -> ErrorKind {
        let failure = |error| Failure { holder: "a".into(), kind: "file".into(), error };
        refusal(&errors.into_iter().map(failure).collect::<Vec<_>>()).0
    }

    #[test]
    fn a_refusal_outweighs_what_can_be_tried_again() {
        let (denied, away) = (|| HolderError::Denied("no".into()), || HolderError::Unreachable("?".into()));
        let none = || HolderError::NoSecret("none".into());
        assert_eq!(refused(vec![none(), denied(), away()]), ErrorKind::CustodyRefused);
        assert_eq!(refused(vec![none(), away()]), ErrorKind::KeyholderUnreachable);
        assert_eq!(refused(vec![none()]), ErrorKind::QuorumUnmet);
        assert_eq!(refused(vec![none(), HolderError::WrongSecret("x".into())]), ErrorKind::WrongKey);
    }

    #[test]
    fn damage_is_an_integrity_violation_and_a_new_version_is_not() {
        let damaged = |damage| VaultError::format("packs/1", FormatError::new("pack", damage));
        assert_eq!(CliError::from(damaged(Damage::Seal)).kind().exit(), 4);
        assert_eq!(CliError::from(damaged(Damage::Version(9))).kind(), ErrorKind::VaultTooNew);
        let text = CliError::from(damaged(Damage::Seal)).render(false);
        assert!(!text.contains("caused by"), "{text}");
    }
}
