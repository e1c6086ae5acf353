//! CloudTrail's digests: signed lists of the log files of an hour, each chained to the one before.
//!
//! Sources: "CloudTrail digest file structure" and "Custom implementations of CloudTrail log file integrity
//! validation" (docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-custom-validation.html). What is
//! signed are four lines without a last line feed: the digest's end time; its bucket and key with a slash between
//! them; the SHA-256 of its inflated bytes in hexadecimal; the signature of the digest before, or `null`.
//!
//! A digest's own signature lies in the metadata of its object, which no copy of a directory has. It is taken from
//! `<digest>.metadata.json`, which is what `aws s3api head-object` prints, and otherwise from the digest that follows.
//! So without metadata the newest digest of a chain proves nothing.
//!
//! Backfill digests list files that came late. They have chains of their own, in which hours may be absent.

mod check;
mod keys;
mod wire;

pub use keys::{KeysError, PublicKeys};

use crate::{
    coverage::{Coverage, Span},
    problem::Problem,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// What is wrong with a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// A digest cannot be read, or has not the fields of one.
    Malformed,
    /// A digest does not lie where it says that it lies: it was moved or renamed.
    Moved,
    /// The signature does not fit.
    BadSignature,
    /// Nobody has the signature: the newest digest, without its object's metadata.
    Unsigned,
    /// The public key is not among those that were given.
    UnknownKey,
    /// The digest before is there, and is not the one that was chained to.
    BrokenLink,
    /// The digest before is not there, although older ones are.
    MissingDigest,
    /// No digest covers a time between two others.
    Gap,
    /// Two digests follow the same one.
    Fork,
    /// A log file is not there.
    MissingLog,
    /// A log file is not what was signed.
    AlteredLog,
    /// A log file that no digest lists, of a time that digests cover.
    UnlistedLog,
}

impl FaultKind {
    /// A stable word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Moved => "moved",
            Self::BadSignature => "bad-signature",
            Self::Unsigned => "unsigned",
            Self::UnknownKey => "unknown-key",
            Self::BrokenLink => "broken-link",
            Self::MissingDigest => "missing-digest",
            Self::Gap => "gap",
            Self::Fork => "fork",
            Self::MissingLog => "missing-log",
            Self::AlteredLog => "altered-log",
            Self::UnlistedLog => "unlisted-log",
        }
    }

    /// Whether somebody changed or removed something. The others are what is merely not known.
    #[must_use]
    pub fn is_tampering(self) -> bool {
        !matches!(self, Self::Unsigned | Self::UnknownKey | Self::Gap)
    }
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The object that it is about: a key in a bucket, or a local file.
    pub object: String,
    /// What kind.
    pub kind: FaultKind,
    /// In words.
    pub what: String,
}

/// The digests of one trail, account and region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The account.
    pub account: String,
    /// The region whose events it covers.
    pub region: String,
    /// Account, region, trail and home region, as file names have them.
    pub name: String,
    /// Whether these are backfill digests.
    pub backfill: bool,
    /// How many digests there are.
    pub digests: u64,
    /// Times whose digest, and all whose log files, are as they were signed.
    pub proven: Vec<Span>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// By name.
    pub chains: Vec<Chain>,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// Log files that are as they were signed, by their local names.
    pub verified: BTreeSet<String>,
    /// Log files later than the last digest, and those of no chain: nothing is known of them.
    pub unproven: BTreeSet<String>,
    /// Files that could not be read.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Whether somebody changed or removed something.
    #[must_use]
    pub fn has_tampering(&self) -> bool {
        self.faults.iter().any(|fault| fault.kind.is_tampering())
    }

    /// Adds to a coverage what is proven. A time with a fault in it is not.
    pub fn cover(&self, coverage: &mut Coverage) {
        for chain in self.chains.iter().filter(|chain| !chain.backfill) {
            let area = coverage.area(&chain.account, &chain.region);
            chain.proven.iter().for_each(|span| area.proven.add(*span));
        }
    }

    /// How many faults of each kind.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<FaultKind, u64> {
        let mut counts = BTreeMap::new();
        for fault in &self.faults {
            *counts.entry(fault.kind).or_default() += 1;
        }
        counts
    }
}

/// Verifies all digests below `root`, which is a copy of the bucket, or of a prefix of it, or a flat directory.
///
/// `bucket` is the name of the bucket, where it is known: then every digest must be of it.
#[must_use]
pub fn verify(root: &Path, keys: &PublicKeys, bucket: Option<&str>, threads: usize) -> Report {
    check::Check::new(root, keys, bucket).run(threads)
}
