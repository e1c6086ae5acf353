//! Notes against another implementation of C2SP `signed-note`; checkpoints and proofs against the standards' texts.

use proptest::prelude::*;
use signed_note::{Note as OtherNote, StandardSigner, StandardVerifier, VerifierList};
use strongroom_ledger::{
    checkpoint::{Checkpoint, CheckpointError, Identity},
    cosignature,
    hash::Hash,
    note::{Algorithm, Note, NoteError, Signature, SigningKey, VerifierKey},
    proof::{EntryProof, EntryProofError},
};

pub(crate) const ORIGIN: &str = "ledger.example/test";

pub(crate) fn key(name: &str, algorithm: Algorithm, byte: u8) -> SigningKey {
    SigningKey::from_seed(name, algorithm, &[byte; 32]).unwrap()
}

pub(crate) fn log_key() -> SigningKey {
    key(ORIGIN, Algorithm::Ed25519, 1)
}

pub(crate) fn identity() -> Identity {
    Identity::new(ORIGIN, vec![log_key().public().clone()])
}

fn checkpoint() -> Checkpoint {
    Checkpoint::new(ORIGIN, 3, Hash([9; 32]))
}

#[test]
fn another_implementation_verifies_our_notes_and_we_verify_its() {
    let key = log_key();
    let ours = checkpoint().sign(&key).encode();
    let verifier = StandardVerifier::new(&key.public().to_string()).unwrap();
    let theirs = OtherNote::from_bytes(ours.as_bytes()).unwrap();
    let (verified, _) = theirs.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!(verified.len(), 1);

    let signer = StandardSigner::new(&key.to_secret_text()).unwrap();
    let mut theirs = OtherNote::new(checkpoint().text().as_bytes(), &[]).unwrap();
    theirs.add_sigs(&[&signer]).unwrap();
    assert_eq!(theirs.to_bytes(), ours.as_bytes());
    identity().open(&theirs.to_bytes()).unwrap();
}

#[test]
fn keys_can_be_read_again() {
    for algorithm in [Algorithm::Ed25519, Algorithm::Cosignature] {
        let key = key("witness.example/w1", algorithm, 4);
        let text = key.public().to_string();
        assert_eq!(VerifierKey::parse(&text).unwrap(), *key.public());
        assert_eq!(SigningKey::parse(&key.to_secret_text()).unwrap().public(), key.public());
        VerifierKey::parse(&text.replace("w1", "w2")).unwrap_err();
        assert!(!format!("{key:?}").contains("PRIVATE"));
    }
    // ML-DSA-44: an algorithm that this program cannot check is refused as a key, and kept as a signature.
    let unknown = format!("w+00000000+{}", data_encoding::BASE64.encode(&[6; 1313]));
    assert!(matches!(VerifierKey::parse(&unknown), Err(NoteError::Key(_))));
}

/// The example of C2SP `tlog-checkpoint`, whose lines must come out as they went in.
#[test]
fn unknown_signatures_are_kept_and_not_believed() {
    let mut note = checkpoint().sign(&log_key());
    let unknown = Signature { name: "other.example".into(), id: 7, bytes: vec![1; 2420] };
    note.signatures.insert(0, unknown.clone());
    let opened = identity().open(note.encode().as_bytes()).unwrap();
    assert_eq!(opened.note.signatures[0], unknown);
    note.signatures.pop();
    let error = identity().open(note.encode().as_bytes()).unwrap_err();
    assert_eq!(error, CheckpointError::Note(NoteError::Unsigned(ORIGIN.into())));
}

#[test]
fn wrong_keys_names_and_texts_are_told_apart() {
    let other = key(ORIGIN, Algorithm::Ed25519, 2);
    let by_other = checkpoint().sign(&other).encode();
    let error = identity().open(by_other.as_bytes()).unwrap_err();
    assert!(matches!(error, CheckpointError::Note(NoteError::Unsigned(_))), "{error}");

    let mut foreign = checkpoint();
    foreign.origin = "ledger.example/other".into();
    let error = identity().open(foreign.sign(&log_key()).encode().as_bytes()).unwrap_err();
    assert!(matches!(error, CheckpointError::Foreign { .. }), "{error}");

    let forged = checkpoint().sign(&log_key()).encode().replacen("\n3\n", "\n4\n", 1);
    let error = identity().open(forged.as_bytes()).unwrap_err();
    assert!(matches!(error, CheckpointError::Note(NoteError::Forged(_))), "{error}");
}

#[test]
fn malformed_checkpoints_are_refused() {
    let root = Hash([9; 32]).to_base64();
    for text in [
        String::new(),
        format!("\n3\n{root}\n"),
        format!("o\n03\n{root}\n"),
        format!("o\n+3\n{root}\n"),
        format!("o\n99999999999999999\n{root}\n"),
        format!("o\n3\n{root}"),
        format!("o\n3\n{}\n", &root[1..]),
        format!("o\n0\n{root}\n"),
        format!("o\n3\n{root}\n\n"),
        format!("o\n3\n{root}\nextension"),
    ] {
        assert!(Checkpoint::parse(&text).is_err(), "{text:?}");
    }
    let extended = format!("o\n3\n{root}\nmore\nlines\n");
    assert_eq!(Checkpoint::parse(&extended).unwrap().text(), extended);
}

#[test]
fn a_cosignature_says_when() {
    let witness = key("witness.example/w1", Algorithm::Cosignature, 3);
    let text = checkpoint().text();
    let signature = cosignature::cosign(&witness, &text, 1_679_315_147);
    assert_eq!(cosignature::verify(witness.public(), &text, &signature), Some(1_679_315_147));
    let mut later = signature.clone();
    later.bytes[7] ^= 1;
    assert_eq!(cosignature::verify(witness.public(), &text, &later), None);
    assert_eq!(cosignature::verify(witness.public(), "another\n", &signature), None);
    let as_log =
        VerifierKey::new(witness.public().name(), Algorithm::Ed25519, *witness.public().key()).unwrap();
    assert_eq!(cosignature::verify(&as_log, &text, &signature), None);
}

#[test]
fn a_proof_can_be_read_again_and_proves_its_entry_only() {
    let leaf = Hash::of_leaf(b"entry");
    let sibling = Hash([5; 32]);
    let root = Hash::of_node(leaf, sibling);
    let checkpoint = Checkpoint::new(ORIGIN, 2, root).sign(&log_key());
    let mut proof = EntryProof { extra: Some(b"entry".to_vec()), index: 0, path: vec![sibling], checkpoint };
    let text = proof.encode();
    assert_eq!(EntryProof::parse(text.as_bytes()).unwrap(), proof);
    proof.verify(&identity(), b"entry").unwrap();
    assert!(matches!(proof.verify(&identity(), b"other"), Err(EntryProofError::Proof(_))));
    proof.extra = None;
    assert_eq!(EntryProof::parse(proof.encode().as_bytes()).unwrap(), proof);
    for broken in
        [text.replace("index 0", "index 00"), text.replace("@v1", "@v2"), text.replace("extra ", "extra")]
    {
        EntryProof::parse(broken.as_bytes()).unwrap_err();
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Note::parse(&bytes);
        let _ = EntryProof::parse(&bytes);
    }

    #[test]
    fn what_parses_encodes_to_the_same(lines in "[a-z ]{0,9}\n{1,2}(— [a-z]{1,3} [A-Za-z0-9+/]{8}\n){0,3}") {
        if let Ok(note) = Note::parse(lines.as_bytes()) {
            prop_assert_eq!(note.encode(), lines);
        }
    }
}
