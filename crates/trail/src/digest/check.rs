//! The checks: each digest alone, its links, its log files.

use super::{Chain, Fault, FaultKind, PublicKeys, Report, wire};
use crate::{
    cloudtrail::log_name,
    coverage::Span,
    files::{self, Found},
    problem::{Place, Problem, quoted},
};
use aws_lc_rs::digest::{Context, SHA256, digest};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::Read,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

struct Digest {
    document: wire::Document,
    end: Timestamp,
    hash: String,
    signature: Option<String>,
    chain: (String, bool),
    region: String,
    good: bool,
}

pub(super) struct Check<'a> {
    keys: &'a PublicKeys,
    bucket: Option<&'a str>,
    found: Vec<Found>,
    /// Places in `found`, by file name.
    by_name: HashMap<String, Vec<usize>>,
    report: Report,
}

fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Whether a local file can be the object: its path ends like the key, or the key ends like it.
fn lies_at(local: &str, key: &str) -> bool {
    let ends = |long: &str, short: &str| {
        long.strip_suffix(short).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
    };
    ends(key, local) || ends(local, key)
}

impl<'a> Check<'a> {
    pub(super) fn new(root: &Path, keys: &'a PublicKeys, bucket: Option<&'a str>) -> Self {
        let (found, problems) = files::walk(root);
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, file) in found.iter().enumerate() {
            by_name.entry(base(&file.name).to_owned()).or_default().push(at);
        }
        Self { keys, bucket, found, by_name, report: Report { problems, ..Report::default() } }
    }

    fn fault(&mut self, kind: FaultKind, object: &str, what: impl Into<String>) {
        self.report.faults.push(Fault { object: quoted(object), kind, what: what.into() });
    }

    fn local(&self, key: &str) -> Option<usize> {
        let mut all = self.by_name.get(base(key))?.iter().copied();
        all.find(|at| lies_at(&self.found[*at].name, key))
    }

    pub(super) fn run(mut self, threads: usize) -> Report {
        let mut digests = self.load();
        digests.sort_by(|a, b| {
            (&a.chain, a.end, &a.document.digest_s3_object).cmp(&(
                &b.chain,
                b.end,
                &b.document.digest_s3_object,
            ))
        });
        self.borrow_signatures(&mut digests);
        for digest in &mut digests {
            digest.good &= self.signature(digest);
        }
        self.links(&mut digests);
        self.logs(&mut digests, threads);
        self.unlisted(&digests);
        self.chains(&digests);
        self.report.faults.sort();
        self.report
    }

    fn load(&mut self) -> Vec<Digest> {
        let mut digests = Vec::new();
        for at in 0..self.found.len() {
            let file = self.found[at].clone();
            let name = base(&file.name);
            if !name.contains("_CloudTrail-Digest_") || name.ends_with(".metadata.json") {
                continue;
            }
            match self.load_one(&file) {
                Ok(digest) => digests.push(digest),
                Err((kind, what)) => self.fault(kind, &file.name, what),
            }
        }
        digests
    }

    fn load_one(&mut self, file: &Found) -> Result<Digest, (FaultKind, String)> {
        let malformed = |what: String| (FaultKind::Malformed, what);
        let bytes = match files::document(&file.path) {
            Ok(bytes) => bytes,
            Err((kind, what)) => {
                let place = Place { file: Arc::clone(&file.name), offset: 0 };
                self.report.problems.push(Problem { place, kind, what: what.clone() });
                return Err(malformed(what));
            }
        };
        let document: wire::Document =
            serde_json::from_slice(&bytes).map_err(|error| malformed(quoted(&error.to_string())))?;
        let end: Timestamp =
            document.digest_end_time.parse().map_err(|_| malformed("its end is no time".into()))?;
        if document.digest_start_time >= end {
            return Err(malformed("it ends before it begins".into()));
        }
        if document.digest_signature_algorithm != "SHA256withRSA" {
            let what = format!("its algorithm is `{}`", quoted(&document.digest_signature_algorithm));
            return Err(malformed(what));
        }
        if !lies_at(&file.name, &document.digest_s3_object) {
            return Err((
                FaultKind::Moved,
                format!("it says that it is {}", quoted(&document.digest_s3_object)),
            ));
        }
        if self.bucket.is_some_and(|bucket| bucket != document.digest_s3_bucket) {
            let what = format!("it says that it is of the bucket {}", quoted(&document.digest_s3_bucket));
            return Err((FaultKind::Moved, what));
        }
        let key = document.digest_s3_object.clone();
        let (chain, region) =
            chain_of(base(&key)).ok_or_else(|| malformed("its name is none of a digest".into()))?;
        let metadata = file.path.with_file_name(format!("{}.metadata.json", base(&key)));
        let signature = match metadata.exists().then(|| files::document(&metadata)) {
            None => None,
            Some(Err((_, what))) => return Err(malformed(format!("its metadata: {what}"))),
            Some(Ok(bytes)) => match serde_json::from_slice::<wire::Head>(&bytes) {
                Ok(head) => Some(head.metadata.signature),
                Err(error) => return Err(malformed(format!("its metadata: {}", quoted(&error.to_string())))),
            },
        };
        let hash = HEXLOWER.encode(digest(&SHA256, &bytes).as_ref());
        Ok(Digest { document, end, hash, signature, chain, region, good: true })
    }

    /// The signature of a digest is also in the one that follows.
    fn borrow_signatures(&mut self, digests: &mut [Digest]) {
        let mut later: HashMap<(String, String), BTreeSet<String>> = HashMap::new();
        for document in digests.iter().map(|digest| &digest.document) {
            if let (Some(bucket), Some(object), Some(signature)) = (
                &document.previous_digest_s3_bucket,
                &document.previous_digest_s3_object,
                &document.previous_digest_signature,
            ) {
                later.entry((bucket.clone(), object.clone())).or_default().insert(signature.clone());
            }
        }
        for digest in digests {
            let document = &digest.document;
            let key = (document.digest_s3_bucket.clone(), document.digest_s3_object.clone());
            let borrowed = later.get(&key).and_then(|all| all.first());
            if digest.signature.is_none() {
                digest.signature = borrowed.cloned();
            }
        }
    }

    fn signature(&mut self, digest: &Digest) -> bool {
        let document = &digest.document;
        let key = document.digest_s3_object.clone();
        let Some(signature) = &digest.signature else {
            self.fault(
                FaultKind::Unsigned,
                &key,
                "its signature is in its object's metadata only, which is not here",
            );
            return false;
        };
        let Ok(signature) = HEXLOWER_PERMISSIVE.decode(signature.as_bytes()) else {
            self.fault(FaultKind::BadSignature, &key, "its signature is no hexadecimal");
            return false;
        };
        let fingerprint = &document.digest_public_key_fingerprint;
        if !self.keys.has(fingerprint) {
            let what = format!("it was signed by key {}, which was not given", quoted(fingerprint));
            self.fault(FaultKind::UnknownKey, &key, what);
            return false;
        }
        let message = format!(
            "{}\n{}/{}\n{}\n{}",
            document.digest_end_time,
            document.digest_s3_bucket,
            document.digest_s3_object,
            digest.hash,
            document.previous_digest_signature.as_deref().unwrap_or("null")
        );
        let good = self.keys.verify(fingerprint, message.as_bytes(), &signature);
        if !good {
            self.fault(FaultKind::BadSignature, &key, "its signature does not fit");
        }
        good
    }

    fn links(&mut self, digests: &mut [Digest]) {
        let places: HashMap<(String, String), usize> = digests
            .iter()
            .enumerate()
            .map(|(at, digest)| {
                let document = &digest.document;
                ((document.digest_s3_bucket.clone(), document.digest_s3_object.clone()), at)
            })
            .collect();
        let mut followers: BTreeMap<usize, usize> = BTreeMap::new();
        for at in 0..digests.len() {
            let document = digests[at].document.clone();
            let key = document.digest_s3_object.as_str();
            let older = at.checked_sub(1).filter(|before| digests[*before].chain == digests[at].chain);
            let previous = document.previous_digest_s3_object.as_ref();
            let found = previous.and_then(|object| {
                let bucket = document.previous_digest_s3_bucket.clone().unwrap_or_default();
                places.get(&(bucket, object.clone())).copied()
            });
            match (previous, found) {
                (_, Some(before)) => {
                    if followers.insert(before, at).is_some() {
                        self.fault(FaultKind::Fork, key, "another digest follows the same one");
                        digests[at].good = false;
                    }
                    let hash = document.previous_digest_hash_value.as_deref();
                    let signature = document.previous_digest_signature.as_deref();
                    let differs = |a: Option<&str>, b: Option<&str>| !matches!((a, b), (Some(a), Some(b)) if a.eq_ignore_ascii_case(b));
                    if differs(hash, Some(&digests[before].hash))
                        || differs(signature, digests[before].signature.as_deref())
                    {
                        let what = "the digest before is not the one that this one was chained to";
                        self.fault(FaultKind::BrokenLink, key, what);
                        digests[before].good = false;
                    }
                    let (ended, begins) = (digests[before].end, document.digest_start_time);
                    if begins != ended && !digests[at].chain.1 {
                        self.fault(FaultKind::Gap, key, format!("no digest from {ended} to {begins}"));
                    }
                }
                (Some(object), None) if older.is_some() => {
                    self.fault(
                        FaultKind::MissingDigest,
                        &object.clone(),
                        "it is not here, and older ones are",
                    );
                }
                (None, None) => {
                    if let Some(before) = older {
                        let (ended, begins) = (digests[before].end, document.digest_start_time);
                        let what = format!(
                            "a chain begins anew: the one before ended at {ended}, this one begins at {begins}"
                        );
                        self.fault(FaultKind::Gap, key, what);
                    }
                }
                (Some(_), None) => {}
            }
        }
    }

    fn logs(&mut self, digests: &mut [Digest], threads: usize) {
        let mut wanted = Vec::new();
        for (at, digest) in digests.iter().enumerate() {
            for log in &digest.document.log_files {
                wanted.push((at, log.clone(), self.local(&log.s3_object)));
            }
        }
        let next = AtomicUsize::new(0);
        let hash_all = || {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some((_, _, local)) = wanted.get(at) else { return done };
                if let Some(local) = local {
                    done.push((at, hash_of(&self.found[*local].path)));
                }
            }
        };
        let mut hashes: HashMap<usize, Result<String, String>> = HashMap::new();
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.clamp(1, 64)).map(|_| scope.spawn(hash_all)).collect();
            for worker in workers {
                match worker.join() {
                    Ok(done) => hashes.extend(done),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        for (at, (digest, log, local)) in wanted.iter().enumerate() {
            let bucket = self.bucket.is_none_or(|bucket| bucket == log.s3_bucket);
            let (kind, what) = match (local, hashes.remove(&at)) {
                (Some(local), Some(Ok(hash)))
                    if hash.eq_ignore_ascii_case(&log.hash_value)
                        && log.hash_algorithm == "SHA-256"
                        && bucket =>
                {
                    if digests[*digest].good {
                        self.report.verified.insert(self.found[*local].name.to_string());
                    }
                    continue;
                }
                (Some(_), Some(Err(what))) => (FaultKind::AlteredLog, what),
                (Some(_), _) => (FaultKind::AlteredLog, "it is not what was signed".to_owned()),
                (None, _) => (FaultKind::MissingLog, "it was signed, and is not here".to_owned()),
            };
            self.fault(kind, &log.s3_object, what);
            digests[*digest].good = false;
        }
    }

    fn unlisted(&mut self, digests: &[Digest]) {
        let listed: BTreeSet<usize> = digests
            .iter()
            .flat_map(|digest| &digest.document.log_files)
            .filter_map(|log| self.local(&log.s3_object))
            .collect();
        for at in 0..self.found.len() {
            let name = self.found[at].name.to_string();
            let Some((account, region, time)) = log_name(base(&name)) else { continue };
            if listed.contains(&at) {
                continue;
            }
            let of_log =
                |digest: &&Digest| digest.document.aws_account_id == account && digest.region == region;
            let covered = digests.iter().filter(of_log).any(|digest| {
                !digest.chain.1 && digest.document.digest_start_time <= time && time < digest.end
            });
            if covered {
                let what = "no digest lists it, although one is of its time";
                self.fault(FaultKind::UnlistedLog, &name, what);
            }
            self.report.unproven.insert(name);
        }
    }

    fn chains(&mut self, digests: &[Digest]) {
        let mut chains: BTreeMap<&(String, bool), Chain> = BTreeMap::new();
        for digest in digests {
            let chain = chains.entry(&digest.chain).or_insert_with(|| Chain {
                account: digest.document.aws_account_id.clone(),
                region: digest.region.clone(),
                name: digest.chain.0.clone(),
                backfill: digest.chain.1,
                digests: 0,
                proven: Vec::new(),
            });
            chain.digests += 1;
            if digest.good {
                chain.proven.push(Span { start: digest.document.digest_start_time, end: digest.end });
            }
        }
        self.report.chains = chains.into_values().collect();
    }
}

fn hash_of(path: &Path) -> Result<String, String> {
    let run = || {
        let mut file = files::open(path)?;
        let mut context = Context::new(&SHA256);
        let mut buffer = vec![0; 128 << 10];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(HEXLOWER.encode(context.finish().as_ref())),
                bytes => context.update(&buffer[..bytes]),
            }
        }
    };
    run().map_err(|error: std::io::Error| files::problem_of(&error).1)
}

/// Chain and region of a digest's file name: `<account>_CloudTrail-Digest_<region>_<trail>_<home>_<time>.json.gz`.
fn chain_of(name: &str) -> Option<((String, bool), String)> {
    let stem = name.strip_suffix(".json.gz").or_else(|| name.strip_suffix(".json"))?;
    let (stem, backfill) = stem.strip_suffix("_backfill").map_or((stem, false), |stem| (stem, true));
    let (chain, _) = stem.rsplit_once('_')?;
    let (_, rest) = chain.split_once("_CloudTrail-Digest_")?;
    let (region, _) = rest.split_once('_')?;
    Some(((chain.to_owned(), backfill), region.to_owned()))
}
