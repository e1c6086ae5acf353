//! Entry points for fuzzing: each takes any bytes and must neither panic nor hang. The targets of `fuzz/`
//! (coverage-guided, for long runs) and the smoke run of CI call the same functions.

mod posture;

pub use posture::{posture_documents, posture_policy};

use crate::vault::TestVault;
use std::sync::Arc;
use strongroom_custody::{
    ceremony,
    quorum::{Approval, Request},
};
use strongroom_format::{
    DatasetId, ObjectHash, Secret32, SystemEntropy, VaultId,
    change::{Cancellation, Certificate, Change},
    epoch::Epoch,
    group::{Encoding, GroupChunk, GroupOpener, Owner, group_key},
    ids::ChunkId,
    keyring::{Keyring, SigningPublicKey, VaultDocument, WrappedKey},
    keys::{ChunkKind, WriteKeys},
    names,
    pack::{self, KeyRecord, PackBuilder, PackDirectory},
    segment,
    snapshot::{Snapshot, unescape_path},
    tree::{self, RefsNode},
};
use strongroom_ledger::{
    Ledger,
    checkpoint::{Checkpoint, Identity},
    entry::Entry,
    note::{Algorithm, Note, SigningKey, VerifierKey},
    proof::EntryProof,
    reader::Reader,
    tile,
    verify::{VerifyOptions, verify},
    witness::{self, AddCheckpoint, WitnessPolicy},
};
use strongroom_trail::{
    Options as TrailOptions, audit,
    detect::{self, detect},
    digest::{self, PublicKeys},
    names::Names,
    others, read_records,
};
use strongroom_vault::{fs::Filter, store::Memory};

/// A target: its name, and what it does with some bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("ceremony_record", ceremony_record),
    ("change", change),
    ("epoch", epoch),
    ("filter", filter),
    ("group", group),
    ("keyring", keyring),
    ("ledger_documents", ledger_documents),
    ("ledger_entry", ledger_entry),
    ("ledger_store", ledger_store),
    ("meta_page", meta_page),
    ("names", object_names),
    ("pack", whole_pack),
    ("pack_directory", pack_directory),
    ("policy", policy),
    ("posture_documents", posture_documents),
    ("posture_policy", posture_policy),
    ("quorum", quorum),
    ("refs_node", refs_node),
    ("sealed_documents", sealed_documents),
    ("share", share),
    ("snapshot_json", snapshot_json),
    ("trail_audit", trail_audit),
    ("trail_digest", trail_digest),
    ("trail_records", trail_records),
    ("wrapped_key", wrapped_key),
];

fn owner() -> Owner {
    Owner { vault: VaultId([1; 16]), dataset: DatasetId([2; 16]) }
}

fn keys() -> WriteKeys {
    WriteKeys::new(&Secret32::new([3; 32]))
}

/// An epoch's document.
pub fn epoch(bytes: &[u8]) {
    if let Ok(epoch) = Epoch::decode(bytes, &owner()) {
        let _ = epoch.verify(bytes, &keys(), 1, 0);
    }
}

/// A change, a cancellation of it, and a certificate; the key is that of no vault, so that frames are what is tried, and
/// the documents of seeds by their tests.
pub fn change(bytes: &[u8]) {
    let key = SigningPublicKey([3; 32]);
    let _ = Change::decode(bytes, &key);
    let _ = Certificate::decode(bytes, &owner().vault);
    if let Ok(change) = serde_json::from_slice::<Change>(bytes) {
        let _ = change.sign_and_encode(&Secret32::new([1; 32]));
        let _ = Cancellation::decode(bytes, &ObjectHash([0; 32]), &change);
    }
    let _ = serde_json::from_slice::<Certificate>(bytes);
}

/// The record of a ceremony, which nobody can shorten at its beginning, and wrapping keys.
///
/// # Panics
/// Where somebody can.
pub fn ceremony_record(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if ceremony::Record::parse(text).is_ok()
        && let Some((_, rest)) = text.split_once('\n')
    {
        assert!(ceremony::Record::parse(rest).is_err(), "a record without its first step");
    }
    let _ = ceremony::WrappingKey::parse(text);
    let _ = ceremony::WrappingKey::from_der(bytes);
}

/// A vault's document and its keyring.
pub fn keyring(bytes: &[u8]) {
    let _ = VaultDocument::decode(bytes);
    let _ = Keyring::decode(bytes, &owner().vault);
}

/// An entry of a ledger; what decodes encodes to the same bytes.
///
/// # Panics
/// Where it does not: this is what the fuzzer looks for.
pub fn ledger_entry(bytes: &[u8]) {
    if let Ok(entry) = Entry::decode(bytes) {
        assert_eq!(entry.encode().ok().as_deref(), Some(bytes), "two entries with one meaning");
    }
}

/// A record of each kind, a digest.
const TRAILS: [&str; 5] = [
    r#"{"Records":[{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/r/s","accountId":"1"},"eventTime":"2026-03-01T12:00:00Z","eventSource":"kms.amazonaws.com","eventName":"ScheduleKeyDeletion","awsRegion":"eu-west-1","requestParameters":{"keyId":"k","pendingWindowInDays":7},"responseElements":null,"requestID":"r","eventID":"e","resources":[{"ARN":"arn:aws:kms:eu-west-1:1:key/k"}],"recipientAccountId":"1"}]}"#,
    r#"{"time":"2026-03-01T12:00:00Z","type":"response","auth":{"entity_id":"e","policies":["p"]},"request":{"id":"r","operation":"update","mount_type":"transit","mount_point":"transit/","path":"transit/decrypt/k","data":{"associated_data":"hmac-sha256:00"},"headers":{"user-agent":["strongroom/0 strongroom-op/0190a0b0-0000-7000-8000-000000000001"]}},"error":"permission denied"}"#,
    r#"{"insertId":"i","timestamp":"2026-03-01T12:00:00Z","protoPayload":{"serviceName":"cloudkms.googleapis.com","methodName":"Decrypt","resourceName":"projects/p/locations/l/keyRings/r/cryptoKeys/k"}}"#,
    r#"{"time":"2026-03-01T12:00:00Z","category":"AuditEvent","operationName":"KeyUnwrap","correlationId":"c","properties":{"id":"https://v.vault.azure.net/keys/k/7","httpStatusCode":200}}"#,
    r#"{"awsAccountId":"111122223333","digestStartTime":"2026-03-01T10:00:00Z","digestEndTime":"2026-03-01T11:00:00Z","digestS3Bucket":"b","digestS3Object":"AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/03/01/111122223333_CloudTrail-Digest_eu-west-1_trail_eu-west-1_20260301T110000Z.json.gz","digestPublicKeyFingerprint":"f","digestSignatureAlgorithm":"SHA256withRSA","newestEventTime":null,"oldestEventTime":null,"previousDigestS3Bucket":null,"previousDigestS3Object":null,"previousDigestHashValue":null,"previousDigestHashAlgorithm":null,"previousDigestSignature":null,"logFiles":[]}"#,
];

/// Records of CloudTrail, Google Cloud and Azure, and what is detected in them.
pub fn trail_records(bytes: &[u8]) {
    let now = "2026-03-01T12:00:00Z".parse().unwrap_or_default();
    let options = TrailOptions { threads: 1, now, names: Names::default(), watch: true };
    let mut events = Vec::new();
    let _ = read_records("fuzz", bytes, &options, |event| events.push(event));
    let _ = others::read_gcp("fuzz", bytes, |event| events.push(event));
    let _ = others::read_azure("fuzz", bytes, |event| events.push(event));
    let _ = detect(&events, &detect::Options::default());
}

/// Lines of an audit device.
pub fn trail_audit(bytes: &[u8]) {
    let mut reader = audit::Reader::new(&["transit"]);
    reader.read("fuzz", bytes);
    let _ = detect(&reader.finish().events, &detect::Options::default());
}

/// A digest of CloudTrail, public keys, and selectors.
pub fn trail_digest(bytes: &[u8]) {
    let mut keys = PublicKeys::default();
    let _ = keys.add_json(bytes);
    let _ = strongroom_trail::coverage::selectors::Selectors::from_json(bytes);
    if let Ok(dir) = tempfile::tempdir() {
        let name = "111122223333_CloudTrail-Digest_eu-west-1_trail_eu-west-1_20260301T110000Z.json";
        if std::fs::write(dir.path().join(name), bytes).is_ok() {
            let _ = digest::verify(dir.path(), &keys, None, 1);
        }
    }
}

fn ledger_identity() -> Identity {
    let key = SigningKey::from_seed("ledger.example", Algorithm::Ed25519, &[1; 32]).expect("a fixed seed");
    Identity::new("ledger.example", vec![key.public().clone()])
}

/// Notes, checkpoints, proofs, keys, bundles, requests to witnesses and their answers, policies of witnesses. What a note
/// says is what it was read from.
///
/// # Panics
/// Where a note does not encode to what it was read from.
pub fn ledger_documents(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.encode().as_bytes(), bytes, "two notes with one meaning");
        let _ = Checkpoint::parse(&note.text);
    }
    let _ = ledger_identity().open(bytes);
    let _ = witness::parse_signatures(bytes);
    let _ = tile::decode_hashes(bytes, 3);
    let _ = tile::decode_bundle(bytes, 3);
    if let Ok(proof) = EntryProof::parse(bytes) {
        let _ = proof.verify(&ledger_identity(), bytes);
    }
    if let Ok(request) = AddCheckpoint::parse(bytes) {
        let key =
            SigningKey::from_seed("witness.example", Algorithm::Cosignature, &[2; 32]).expect("a fixed seed");
        let _ = witness::decide(&request, &ledger_identity(), None, &key, 0);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = WitnessPolicy::parse(text);
        let _ = VerifierKey::parse(text);
        let _ = tile::TileId::parse(text);
    }
}

/// A ledger whose every object is made of these bytes, to be opened, read and verified.
///
/// # Panics
/// Where no runtime can be made.
pub fn ledger_store(bytes: &[u8]) {
    let store = Arc::new(strongroom_ledger::store::memory::Memory::default());
    let half = bytes.len() / 2;
    let objects = [
        ("checkpoint", &bytes[..half]),
        ("witnessed", &bytes[half..]),
        ("lock", bytes),
        ("identity", bytes),
        ("tile/entries/000.p/1", &bytes[half..]),
        ("tile/0/000.p/1", &bytes[..half]),
    ];
    store.restore(objects.map(|(name, bytes)| (name.to_owned(), bytes.to_vec().into())).into());
    let reader = Reader::new(store.clone(), ledger_identity());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let _ = verify(&reader, &VerifyOptions::default()).await;
        let _ = strongroom_vault::ledger::read_identity(store.as_ref()).await;
        let key =
            SigningKey::from_seed("ledger.example", Algorithm::Ed25519, &[1; 32]).expect("a fixed seed");
        let ledger =
            Ledger::open(store.clone(), ledger_identity(), key, strongroom_ledger::Options::default());
        let _ = ledger.prepare().await;
    });
}

/// A pack, from its header and trailer.
pub fn whole_pack(bytes: &[u8]) {
    let _ = pack::read_header(bytes);
    let _ = pack::open_pack_directory(&keys(), &owner(), bytes);
}

/// A pack directory; what decodes encodes to something that decodes to the same.
///
/// # Panics
/// Where it does not.
pub fn pack_directory(bytes: &[u8]) {
    if let Ok(directory) = PackDirectory::decode(bytes) {
        assert_eq!(PackDirectory::decode(&directory.encode()), Ok(directory));
    }
}

/// A refs node; what decodes encodes to the same bytes.
///
/// # Panics
/// Where it does not.
pub fn refs_node(bytes: &[u8]) {
    if let Ok(node) = RefsNode::decode(bytes) {
        assert_eq!(node.encode(), bytes, "the encoding of a refs node is canonical");
    }
}

/// A meta page; every name in it is one that may be restored.
///
/// # Panics
/// Where it is not.
pub fn meta_page(bytes: &[u8]) {
    for entry in tree::decode_meta_page(bytes).into_iter().flatten() {
        assert!(tree::valid_name(&entry.name));
    }
}

/// A group whose encoded content is the input, sealed properly: what a hostile writer can do.
pub fn group(bytes: &[u8]) {
    let Some((len, encoded)) = bytes.split_first_chunk::<3>() else { return };
    let raw_len = u32::from_le_bytes([len[0], len[1], len[2], 0]);
    let secret = Secret32::new([4; 32]);
    let record = KeyRecord::Write { salt: [5; 32] };
    let mut pack = PackBuilder::new(owner(), ChunkKind::Refs, record, &secret, Vec::new());
    pack.seal_group(Encoding::Zstd, encoded, vec![GroupChunk { id: ChunkId([0; 32]), len: raw_len }]);
    let finished = pack.finish(&keys(), &mut SystemEntropy);
    let span = finished.directory.groups[0].span;
    let start = span.offset as usize;
    let mut stored = finished.bytes[start..start + span.stored_len as usize].to_vec();
    let mut raw = Vec::new();
    let key = group_key(&secret, &[5; 32]);
    let _ = GroupOpener::new().open(&key, &owner(), ChunkKind::Refs, &span, &mut stored, &mut raw);
}

/// Objects under the write key, from their frames.
pub fn sealed_documents(bytes: &[u8]) {
    let _ = Snapshot::open(bytes, &owner(), &keys());
    let _ = segment::open(bytes, &owner(), &keys());
    let _ = strongroom_format::control::Condemnation::open(bytes, &owner(), &keys());
    let _ = strongroom_format::control::SessionMarker::open(bytes, &owner(), &keys());
}

/// The document inside a snapshot.
pub fn snapshot_json(bytes: &[u8]) {
    let _ = serde_json::from_slice::<Snapshot>(bytes);
}

/// A wrapped key.
pub fn wrapped_key(bytes: &[u8]) {
    if let Ok(wrapped) = serde_json::from_slice::<WrappedKey>(bytes) {
        let _ = wrapped.check("wrapped key");
    }
}

/// A policy on the command line.
///
/// # Panics
/// Where a parsed policy prints as something else.
pub fn policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(tree) = strongroom_custody::policy::parse(text) {
        assert_eq!(strongroom_custody::policy::parse(&tree.to_string()), Ok(tree));
    }
}

/// A request for keys and an approval of one. What is read is written the same, but for white space.
///
/// # Panics
/// Where what was read cannot be written, or reads back differently.
pub fn quorum(bytes: &[u8]) {
    if let Ok((request, _)) = Request::decode(bytes) {
        let (again, _) = request.encode().expect("a request that was read");
        assert_eq!(Request::decode(&again).map(|(request, _)| request), Ok(request));
    }
    if let Ok(approval) = Approval::decode(bytes) {
        let again = approval.encode().expect("an approval that was read");
        assert_eq!(Approval::decode(&again), Ok(approval));
    }
}

/// A custodian's share: its bytes, its typed form and the text of its QR code. What is read is written the same.
///
/// # Panics
/// Where it is not.
pub fn share(bytes: &[u8]) {
    if let Ok(share) = ceremony::Share::decode(bytes) {
        assert_eq!(*share.encode(), bytes);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let typed = [ceremony::read_transcript(text), ceremony::read_qr_payload(text)];
    for share in typed.into_iter().flatten() {
        let again =
            ceremony::read_transcript(&ceremony::transcript(&share)).expect("a transcript can be read");
        assert_eq!(again.encode(), share.encode());
    }
}

/// Names of objects, and escaped paths.
pub fn object_names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = (names::hash_of(text), names::parse_epoch(text), names::parse_session(text));
    let _ = (names::parse_snapshot(text), unescape_path(text));
}

/// Exclude patterns against paths: both halves of the input.
pub fn filter(bytes: &[u8]) {
    let (pattern, path) = bytes.split_at(bytes.len() / 2);
    let built = Filter::builder().exclude(pattern).include(path).build();
    if let Ok(filter) = built {
        let path = [b"/", path].concat();
        let _ = (filter.decide(&path), filter.child_may_match(&path));
    }
}

/// Inputs to start from: the objects of a real vault, and texts of each grammar.
///
/// # Panics
/// Where the vault cannot be made.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let store = Arc::new(Memory::new());
    let vault = TestVault::create(Arc::clone(&store) as _);
    let source = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(source.path().join("file"), vec![7; 10_000]).expect("a file");
    vault.backup(source.path()).expect("a backup");
    let mut seeds: Vec<Vec<u8>> = store.contents().into_values().map(Into::into).collect();
    let material =
        ceremony::Material::generate(ceremony::MaterialKind::Aes256, &mut SystemEntropy).expect("material");
    let generated = ceremony::Step::Generated {
        ceremony: "00".repeat(16),
        kind: material.kind(),
        fingerprint: material.fingerprint(),
        threshold: 2,
        custodians: Vec::new(),
        public_key: None,
    };
    let line = ceremony::Record::new().add("2026-03-01T12:00:00Z".into(), generated).expect("a step");
    ceremony::Record::parse(&line).expect("a record");
    seeds.push(line.into_bytes());
    seeds.extend(posture::SEEDS.iter().map(|seed| seed.to_vec()));
    seeds.extend(TRAILS.iter().map(|text| text.as_bytes().to_vec()));
    let node = RefsNode::Page {
        meta: ChunkId([1; 32]),
        directories: vec![ChunkId([2; 32])],
        lists: Vec::new(),
        chunks: vec![ChunkId([3; 32]); 3],
    };
    seeds.push(node.encode());
    let (_, snapshot) = vault.snapshots().expect("snapshots").remove(0);
    let keyring = vault.vault.keyring();
    let request = serde_json::json!({
        "strongroom_request": 1, "requester": "operator", "reason": "ticket 7",
        "created": "2026-03-01T12:00:00Z", "expires": "2026-03-02T12:00:00Z",
        "vault": keyring.vault, "dataset": "default", "snapshots": [], "keyholders": keyring.keyholders,
        "keys": [{"epoch": 0, "wrapped": keyring.signing}],
        "public_key": keyring.keyholders["read"].parameters["public_key"],
    });
    let request = serde_json::to_vec(&request).expect("JSON");
    Request::decode(&request).expect("a request");
    seeds.push(request);
    let approval = serde_json::json!({
        "strongroom_approval": 1, "request": "00".repeat(32), "holder": "alice",
        "approved": "2026-03-01T13:00:00Z", "parts": [{"epoch": 0, "sealed": "AAAA"}],
    });
    let approval = serde_json::to_vec(&approval).expect("JSON");
    Approval::decode(&approval).expect("an approval");
    seeds.push(approval);
    for share in ceremony::split(&[7; 32], 2, 2, &mut SystemEntropy).expect("shares") {
        seeds.push(share.encode().to_vec());
        seeds.push(ceremony::transcript(&share).as_bytes().to_vec());
        seeds.push(ceremony::qr_payload(&share).as_bytes().to_vec());
    }
    seeds.extend(ledger_seeds());
    seeds.push(serde_json::to_vec(&snapshot).expect("JSON"));
    seeds.push(serde_json::to_vec(&vault.vault.keyring().signing).expect("JSON"));
    seeds
        .extend(["any(a, b, any(c, d))", "**/*.[ch]", "!/a/**/b?", "00000001-ff", "%2F%00x"].map(Into::into));
    seeds
}

/// Every object of a small ledger, an entry, a proof, a request to a witness.
fn ledger_seeds() -> Vec<Vec<u8>> {
    let store = Arc::new(strongroom_ledger::store::memory::Memory::default());
    let key = SigningKey::from_seed("ledger.example", Algorithm::Ed25519, &[1; 32]).expect("a fixed seed");
    let entry = br#"{"attempt":0,"operation":"0192f5c0-1b2c-7def-8123-456789abcdef","outcome":{"duration_us":5,"result":"success"},"phase":"event","schema":"strongroom.ledger/1","step":0,"time":"2026-03-01T12:00:00.000000Z","what":{"dataset":"default","details":{"snapshot":"x"},"verb":"backup"},"who":{"program":"strongroom/0.1.0"},"why":{"code":"BACKUP","ticket":"T-7"}}"#;
    Entry::decode(entry).expect("an entry");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let (proof, request) = runtime.block_on(async {
        let options = strongroom_ledger::Options::default();
        let ledger = Ledger::create(store.clone(), ledger_identity(), key, options).await.expect("a ledger");
        ledger.enqueue(entry.to_vec()).expect("an entry");
        let head = ledger.flush().await.expect("a ledger");
        let (_, proof) = ledger.reader().entry(&head, 0).await.expect("an entry");
        (proof, AddCheckpoint { old_size: 0, proof: Vec::new(), checkpoint: head.note })
    });
    let policy = b"witness w example+00000000+AQ== https://w.example/\nquorum w\n".to_vec();
    let objects = store.snapshot().into_values().map(Into::into);
    objects
        .chain([entry.to_vec(), proof.encode().into_bytes(), request.encode().into_bytes(), policy])
        .collect()
}

/// Makes new inputs from old ones, the same ones for the same seed.
#[derive(Debug)]
pub struct Mutator(u64);

impl Mutator {
    /// A mutator; `seed` must not be 0.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// A number below `end`, by xorshift64*.
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end.max(1)
    }

    /// A changed copy of one of `corpus`.
    pub fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus.get(self.below(corpus.len())).cloned().unwrap_or_default();
        input.truncate(1 << 14);
        for _ in 0..=self.below(4) {
            let at = self.below(input.len() + 1);
            match self.below(6) {
                0 => input.truncate(at),
                1 => input.insert(at, self.below(256) as u8),
                2 => {
                    let other = corpus.get(self.below(corpus.len())).map_or(&[][..], Vec::as_slice);
                    let from = self.below(other.len());
                    let len = self.below(64).min(other.len() - from);
                    input.splice(at..at, other[from..from + len].iter().copied());
                }
                3 => {
                    let value = [0, 1, 0x7f, 0x80, 0xff][self.below(5)];
                    let end = (at + self.below(8) + 1).min(input.len());
                    input[at.min(end)..end].fill(value);
                }
                _ => {
                    if let Some(byte) = input.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
            }
        }
        input
    }
}
