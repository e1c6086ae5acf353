//! CloudTrail's digests, made by `make.py`, which shares no code with the crate; then bent in every way.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};
use jiff::{SignedDuration, Timestamp};
use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
};
use strongroom_trail::{
    coverage::{Absence, Coverage},
    digest::{FaultKind, PublicKeys, Report, verify},
    files,
};
use tempfile::TempDir;

struct Bucket(TempDir);

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/digest/made/whole")
}

fn inflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

impl Bucket {
    fn new() -> Self {
        let target = TempDir::new().unwrap();
        for file in files::walk(&source()).0 {
            let to = target.path().join(file.path.strip_prefix(source()).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(&file.path, to).unwrap();
        }
        Self(target)
    }

    fn all(&self, part: &str) -> Vec<PathBuf> {
        let found = files::walk(self.0.path()).0.into_iter();
        found.map(|file| file.path).filter(|path| path.to_str().unwrap().contains(part)).collect()
    }

    fn one(&self, part: &str) -> PathBuf {
        let all = self.all(part);
        assert_eq!(all.len(), 1, "{part}: {all:?}");
        all[0].clone()
    }

    /// Replaces text in an inflated file.
    fn edit(&self, part: &str, from: &str, to: &str) {
        let path = self.one(part);
        let text = String::from_utf8(inflate(&fs::read(&path).unwrap())).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(path, deflate(text.replacen(from, to, 1).as_bytes())).unwrap();
    }

    fn verify(&self) -> Report {
        verify(self.0.path(), &keys(), Some("trail-bucket"), 2)
    }

    fn faults(&self) -> Vec<FaultKind> {
        self.verify().faults.into_iter().map(|fault| fault.kind).collect()
    }
}

fn keys() -> PublicKeys {
    let mut keys = PublicKeys::default();
    keys.add_json(&fs::read(source().join("public-keys.json")).unwrap()).unwrap();
    keys
}

const SECOND: &str = "eu-west-1_20260301T120000Z.json.gz";
const LAST: &str = "eu-west-1_20260301T150000Z.json.gz";

#[test]
fn what_is_whole_is_proven() {
    let bucket = Bucket::new();
    let report = bucket.verify();
    assert!(report.faults.is_empty() && report.problems.is_empty(), "{report:?}");
    assert_eq!((report.verified.len(), report.unproven.len(), report.chains.len()), (9, 0, 2));
    let mut coverage = Coverage::default();
    report.cover(&mut coverage);
    let area = &coverage.areas[&("111122223333".to_owned(), "eu-west-1".to_owned())];
    let spans = area.proven.as_slice();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].end.as_second() - spans[0].start.as_second(), 5 * 3600);
    let at: Timestamp = "2026-03-01T12:30:00Z".parse().unwrap();
    let absence =
        |hours| coverage.absence("111122223333", "eu-west-1", at, SignedDuration::from_hours(hours));
    assert_eq!(absence(2), Absence::Proven);
    assert!(matches!(absence(3), Absence::Unproven(_)));
}

#[test]
fn a_flat_copy_verifies_too() {
    let bucket = Bucket::new();
    let flat = TempDir::new().unwrap();
    for path in bucket.all("") {
        fs::copy(&path, flat.path().join(path.file_name().unwrap())).unwrap();
    }
    let report = verify(flat.path(), &keys(), None, 1);
    assert!(report.faults.is_empty() && report.verified.len() == 9, "{report:?}");
}

#[test]
fn an_altered_log_is_found() {
    let bucket = Bucket::new();
    bucket.edit("20260301T1310Z", "Decrypt", "Encrypt");
    let report = bucket.verify();
    assert_eq!(report.counts().into_iter().collect::<Vec<_>>(), [(FaultKind::AlteredLog, 1)]);
    assert!(report.has_tampering());
    let mut coverage = Coverage::default();
    report.cover(&mut coverage);
    let gaps = coverage.areas.values().next().unwrap().proven.gaps();
    assert_eq!((gaps.len(), gaps[0].start.to_string()), (1, "2026-03-01T13:00:00Z".to_owned()));
}

#[test]
fn recompressed_logs_are_the_same_logs() {
    let bucket = Bucket::new();
    let path = bucket.one("20260301T1310Z");
    let bytes = inflate(&fs::read(&path).unwrap());
    let mut out = GzEncoder::new(Vec::new(), Compression::none());
    out.write_all(&bytes).unwrap();
    fs::write(path, out.finish().unwrap()).unwrap();
    assert_eq!(bucket.faults(), []);
}

#[test]
fn a_missing_log_is_found() {
    let bucket = Bucket::new();
    fs::remove_file(bucket.one("20260301T1310Z")).unwrap();
    assert_eq!(bucket.faults(), [FaultKind::MissingLog]);
}

#[test]
fn a_log_that_nobody_signed_is_found() {
    let bucket = Bucket::new();
    let path = bucket.one("20260301T1310Z");
    fs::copy(&path, path.with_file_name("111122223333_CloudTrail_eu-west-1_20260301T1215Z_forged.json.gz"))
        .unwrap();
    assert_eq!(bucket.faults(), [FaultKind::UnlistedLog]);
}

#[test]
fn an_altered_digest_breaks_signature_and_link() {
    for (from, to) in [
        ("\"digestStartTime\":\"2026-03-01T11", "\"digestStartTime\":\"2026-03-01T10"),
        ("\"hashValue\":\"", "\"hashValue\":\"0"),
        ("T12:00:00Z\",\"digestS3Bucket", "T12:00:01Z\",\"digestS3Bucket"),
        ("\"newestEventTime\":null", "\"newestEventTime\":true"),
    ] {
        let bucket = Bucket::new();
        bucket.edit(SECOND, from, to);
        let faults = bucket.faults();
        assert!(faults.contains(&FaultKind::BadSignature), "{from}: {faults:?}");
        assert!(faults.contains(&FaultKind::BrokenLink), "{from}: {faults:?}");
    }
}

#[test]
fn a_missing_digest_leaves_a_hole() {
    let bucket = Bucket::new();
    fs::remove_file(bucket.one(SECOND)).unwrap();
    let report = bucket.verify();
    let kinds: Vec<_> = report.counts().into_keys().collect();
    // Its logs are listed by nobody any more; the digest before it has lost its signature.
    assert_eq!(kinds, [FaultKind::Unsigned, FaultKind::MissingDigest]);
    assert_eq!(report.unproven.len(), 2);
}

#[test]
fn the_newest_digest_without_metadata_proves_nothing() {
    let bucket = Bucket::new();
    fs::remove_file(bucket.one("150000Z.json.gz.metadata.json")).unwrap();
    let report = bucket.verify();
    assert_eq!(report.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(), [FaultKind::Unsigned]);
    assert!(!report.has_tampering() && report.verified.len() == 7);
}

#[test]
fn a_wrong_signature_is_found() {
    let bucket = Bucket::new();
    let path = bucket.one("150000Z.json.gz.metadata.json");
    let text = fs::read_to_string(&path).unwrap();
    let at = text.find("\"signature\": \"").unwrap() + 20;
    let mut bytes = text.into_bytes();
    bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    fs::write(path, bytes).unwrap();
    assert_eq!(bucket.faults(), [FaultKind::BadSignature]);
}

#[test]
fn a_digest_of_another_place_is_found() {
    let bucket = Bucket::new();
    let path = bucket.all(LAST).into_iter().find(|path| path.to_str().unwrap().ends_with(LAST)).unwrap();
    fs::rename(&path, path.with_file_name(path.file_name().unwrap().to_str().unwrap().replace("T15", "T16")))
        .unwrap();
    assert!(bucket.faults().contains(&FaultKind::Moved));
    assert!(
        verify(source().as_path(), &keys(), Some("another"), 1)
            .faults
            .iter()
            .all(|fault| fault.kind == FaultKind::Moved || fault.kind == FaultKind::UnlistedLog)
    );
}

#[test]
fn without_its_key_nothing_is_proven() {
    let report = verify(&source(), &PublicKeys::default(), None, 1);
    assert_eq!(report.counts().into_keys().collect::<Vec<_>>(), [FaultKind::UnknownKey]);
    assert!(report.verified.is_empty() && report.chains.iter().all(|chain| chain.proven.is_empty()));
}

#[test]
fn broken_digests_are_reported() {
    for bytes in [&b"{}"[..], b"", b"\x1f\x8b\x08", b"[[[[", b"\xff\xfe"] {
        let bucket = Bucket::new();
        let path = bucket.one(SECOND);
        fs::write(path, bytes).unwrap();
        assert!(bucket.faults().contains(&FaultKind::Malformed));
    }
}

/// A bucket of which every signature is right.
fn odd(name: &str) -> Report {
    let root = source().with_file_name(name);
    let mut keys = PublicKeys::default();
    keys.add_json(&fs::read(root.join("public-keys.json")).unwrap()).unwrap();
    verify(&root, &keys, Some("trail-bucket"), 1)
}

fn proven_gaps(report: &Report) -> Vec<String> {
    let mut coverage = Coverage::default();
    report.cover(&mut coverage);
    let gaps = coverage.areas.values().flat_map(|area| area.proven.gaps());
    gaps.map(|gap| format!("{}..{}", gap.start, gap.end)).collect()
}

#[test]
fn hours_without_digests_are_gaps_though_the_chain_holds() {
    for (name, gap) in [("gap", Some("2026-03-01T12:00:00Z..2026-03-01T13:00:00Z")), ("anew", None)] {
        let report = odd(name);
        assert_eq!(
            report.counts().into_iter().collect::<Vec<_>>(),
            [(FaultKind::Gap, 1)],
            "{name}: {report:?}"
        );
        assert_eq!(proven_gaps(&report).first().map(String::as_str), gap);
        assert!(!report.has_tampering());
    }
}

#[test]
fn two_digests_that_follow_the_same_one_are_a_fork() {
    let report = odd("fork");
    assert!(report.faults.iter().any(|fault| fault.kind == FaultKind::Fork), "{report:?}");
    assert!(report.has_tampering());
}

#[test]
fn a_signed_digest_in_the_place_of_another_proves_nothing() {
    let report = odd("swapped");
    assert!(report.faults.iter().any(|fault| fault.kind == FaultKind::BrokenLink), "{report:?}");
    assert_eq!(proven_gaps(&report), ["2026-03-01T13:00:00Z..2026-03-01T14:00:00Z"]);
    assert!(report.faults.iter().any(|fault| fault.kind == FaultKind::UnlistedLog), "{report:?}");
}
