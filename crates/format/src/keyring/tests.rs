use super::*;
use crate::{entropy::SystemEntropy, ids::DatasetId};
use proptest::prelude::*;

fn leaf(label: &str) -> PolicyTree {
    PolicyTree::Keyholder(label.into())
}

fn seed() -> Secret32 {
    Secret32::new([7; 32])
}

fn wrapped(labels: &[&str]) -> WrappedKey {
    WrappedKey {
        policy: PolicyTree::Any(labels.iter().map(|label| leaf(label)).collect()),
        commitment: seed().commitment(),
        wraps: labels
            .iter()
            .map(|label| Wrap { holder: (*label).into(), commitment: None, blob: label.as_bytes().to_vec() })
            .collect(),
    }
}

fn dataset(name: &str, id: u8) -> DatasetRecord {
    DatasetRecord {
        name: name.into(),
        id: DatasetId([id; 16]),
        created: "2026-03-01T12:00:00.5Z".into(),
        read_policy: leaf("paper"),
        write_policy: leaf("office"),
        epoch_days: 30,
        chunk_min: 64 << 10,
        chunk_max: 1 << 20,
        pack_size: 32 << 20,
        write_key: wrapped(&["office"]),
    }
}

fn keyring() -> Keyring {
    let signing_key = SigningPublicKey::of_seed(&seed());
    let office = BTreeMap::from([
        ("commitment".to_owned(), Parameter::Text("00".into())),
        ("cost".to_owned(), Parameter::Number(u64::MAX)),
        ("recipients".to_owned(), Parameter::List(vec!["age1x".into()])),
    ]);
    Keyring {
        version: 1,
        previous: None,
        vault: signing_key.vault_id(),
        signing_key,
        created: "2026-03-01T12:00:00Z".into(),
        keyholders: BTreeMap::from([
            ("office".to_owned(), KeyholderSpec { kind: "file".into(), parameters: office }),
            ("paper".to_owned(), KeyholderSpec { kind: "later-kind".into(), parameters: BTreeMap::new() }),
        ]),
        read_policy: PolicyTree::Any(vec![leaf("office"), PolicyTree::Any(vec![leaf("paper")])]),
        write_policy: leaf("office"),
        signing: wrapped(&["office", "paper"]),
        datasets: vec![dataset("home", 1)],
        time_lock: None,
        change: None,
    }
}

/// Signs a document that [`Keyring::sign_and_encode`] would refuse to sign.
fn sign_json(json: &[u8]) -> Vec<u8> {
    let mut out = b"SRKR\x01\0\0\0".to_vec();
    out.put_u32(json.len() as u32);
    out.extend_from_slice(json);
    let signature = signing::sign(&seed(), &out);
    out.extend_from_slice(&signature);
    out
}

fn decode(bytes: &[u8]) -> Result<Keyring, Damage> {
    Keyring::decode(bytes, &keyring().vault).map_err(|error| {
        assert_eq!(error.object, "keyring");
        error.damage
    })
}

fn decode_edited(from: &str, to: &str) -> Result<Keyring, Damage> {
    let json = serde_json::to_string(&keyring()).unwrap();
    assert!(json.contains(from), "{from} is not in {json}");
    decode(&sign_json(json.replacen(from, to, 1).as_bytes()))
}

#[test]
fn round_trip() {
    let bytes = keyring().sign_and_encode(&seed()).unwrap();
    assert_eq!(decode(&bytes), Ok(keyring()));
    assert_eq!(bytes, sign_json(&serde_json::to_vec(&keyring()).unwrap()));
}

#[test]
fn every_changed_byte_is_refused() {
    let bytes = keyring().sign_and_encode(&seed()).unwrap();
    for i in 0..bytes.len() {
        for bit in [0x01, 0x20, 0x80] {
            let mut changed = bytes.clone();
            changed[i] ^= bit;
            assert!(decode(&changed).is_err(), "byte {i} of {}", bytes.len());
        }
    }
}

#[test]
fn each_part_has_its_own_error() {
    let bytes = keyring().sign_and_encode(&seed()).unwrap();
    let with = |at: usize, byte: u8| {
        let mut changed = bytes.clone();
        changed[at] = byte;
        decode(&changed).unwrap_err()
    };
    assert_eq!(with(0, b'X'), Damage::Magic);
    assert_eq!(with(4, 2), Damage::Version(2));
    assert_eq!(with(6, 1), Damage::Field("reserved"));
    assert_eq!(with(bytes.len() - 1, bytes[bytes.len() - 1] ^ 1), Damage::Signature);
    assert_eq!(decode(&bytes[..bytes.len() - 1]), Err(Damage::Truncated));
    assert_eq!(decode(&[&bytes[..], b"\0"].concat()), Err(Damage::TrailingBytes));
    assert_eq!(decode(&vec![0; limits::DOCUMENT_MAX + 1]), Err(Damage::Limit("document")));
    for len in 0..bytes.len() {
        assert!(decode(&bytes[..len]).is_err());
    }
}

#[test]
fn another_vaults_keyring_is_foreign() {
    let bytes = keyring().sign_and_encode(&seed()).unwrap();
    let error = Keyring::decode(&bytes, &VaultId([1; 16])).unwrap_err();
    assert_eq!(error.damage, Damage::Foreign);
}

#[test]
fn nobody_else_can_sign_a_later_version() {
    let thief = Secret32::random(&mut SystemEntropy);
    let mut stolen = keyring();
    stolen.version = 2;
    stolen.previous = Some(ObjectHash([0; 32]));
    assert_eq!(stolen.sign_and_encode(&thief).unwrap_err().damage, Damage::Field("signing_key"));
    stolen.signing_key = SigningPublicKey::of_seed(&thief);
    assert_eq!(stolen.sign_and_encode(&thief).unwrap_err().damage, Damage::Foreign);

    let json = serde_json::to_vec(&stolen).unwrap();
    let mut bytes = b"SRKR\x01\0\0\0".to_vec();
    bytes.put_u32(json.len() as u32);
    bytes.extend_from_slice(&json);
    let signature = signing::sign(&thief, &bytes);
    bytes.extend_from_slice(&signature);
    assert_eq!(decode(&bytes), Err(Damage::Foreign));
}

#[test]
fn signed_but_malformed_documents_are_refused() {
    let document = |from: &str, to: &str| match decode_edited(from, to) {
        Err(Damage::Document(text)) => text,
        other => panic!("{other:?}"),
    };
    assert!(document(r#"{"any":["paper"]}"#, r#"{"most":["paper"]}"#).contains(r#"policy node "most""#));
    assert!(
        document(r#"{"any":["paper"]}"#, r#"{"of":["paper"],"threshold":1}"#).contains(r#"policy node "of""#)
    );
    assert!(document(r#"{"any":["paper"]}"#, r#"{"threshold":1}"#).contains("must follow"));
    assert!(document(r#"{"any":["paper"]}"#, r#"{"any":["paper"],"any":[]}"#).contains("a key too many"));
    assert!(document(r#"{"any":["paper"]}"#, "{}").contains("empty"));
    assert!(document(r#""version":1"#, r#""version":1,"extra":2"#).contains("unknown field"));
    assert!(document(r#""paper":{"kind""#, r#""office":{"kind""#).contains("twice"));
    assert!(document(r#""cost":18446744073709551615"#, r#""cost":1.5"#).contains("Parameter"));
    assert!(document(r#""blob":"b2ZmaWNl""#, r#""blob":"b2Zm aWNl""#).contains("base64"));

    let nested = format!("{}\"paper\"{}", r#"{"any":["#.repeat(100_000), "]}".repeat(100_000));
    assert!(document(r#"{"any":["paper"]}"#, &nested).contains("recursion"));
    let nested = format!("{}\"paper\"{}", r#"{"any":["#.repeat(7), "]}".repeat(7));
    assert_eq!(decode_edited(r#"{"any":["paper"]}"#, &nested), Err(Damage::Limit("policy depth")));
}

#[test]
fn every_rule_is_checked() {
    fn damage(edit: impl FnOnce(&mut Keyring)) -> Damage {
        let mut edited = keyring();
        edit(&mut edited);
        let damage = edited.sign_and_encode(&seed()).unwrap_err().damage;
        let bytes = sign_json(&serde_json::to_vec(&edited).unwrap());
        assert_eq!(decode(&bytes), Err(damage.clone()), "reader and writer agree");
        damage
    }
    assert_eq!(damage(|k| k.version = 0), Damage::Field("previous"));
    assert_eq!(damage(|k| k.version = 2), Damage::Field("previous"));
    assert_eq!(damage(|k| k.previous = Some(ObjectHash([0; 32]))), Damage::Field("previous"));
    assert_eq!(damage(|k| k.vault = VaultId([1; 16])), Damage::Foreign);
    assert_eq!(damage(|k| k.created = "yesterday".into()), Damage::Field("created"));
    assert_eq!(damage(|k| k.read_policy = leaf("nobody")), Damage::Field("policy: unknown keyholder"));
    assert_eq!(damage(|k| k.read_policy = PolicyTree::Any(vec![])), Damage::Field("policy: empty node"));
    assert_eq!(
        damage(|k| k.write_policy = PolicyTree::Any(vec![leaf("office"), leaf("office")])),
        Damage::Field("policy: a keyholder twice")
    );
    assert_eq!(
        damage(|k| k.write_policy = PolicyTree::Any((0..65).map(|n| leaf(&format!("h{n}"))).collect())),
        Damage::Limit("policy")
    );
    assert_eq!(damage(|k| k.signing.wraps.truncate(1)), Damage::Field("wraps"));
    assert_eq!(damage(|k| k.signing.wraps[0].blob = vec![0; WRAP_MAX + 1]), Damage::Limit("wrap"));
    assert_eq!(damage(|k| k.datasets.push(dataset("home", 2))), Damage::Field("datasets.name"));
    assert_eq!(damage(|k| k.datasets.push(dataset("a=b", 2))), Damage::Field("datasets.name"));
    assert_eq!(damage(|k| k.datasets.push(dataset("mail", 1))), Damage::Field("datasets.id"));
    assert_eq!(damage(|k| k.datasets[0].epoch_days = 0), Damage::Field("datasets.epoch_days"));
    assert_eq!(damage(|k| k.datasets[0].chunk_min = 2 << 20), Damage::Field("datasets.chunk_max"));
    assert_eq!(damage(|k| k.datasets[0].chunk_max = u32::MAX), Damage::Field("datasets.chunk_max"));
    assert_eq!(damage(|k| k.datasets[0].pack_size = u32::MAX), Damage::Field("datasets.pack_size"));
    assert_eq!(
        damage(|k| {
            let spec = k.keyholders["paper"].clone();
            k.keyholders.extend((0..63).map(|n| (format!("h{n}"), spec.clone())));
        }),
        Damage::Limit("keyholders")
    );
    assert_eq!(
        damage(|k| {
            let spec = k.keyholders.get_mut("paper").unwrap();
            spec.parameters.insert("long".into(), Parameter::Text("x".repeat(17 << 10)));
        }),
        Damage::Limit("keyholder parameters")
    );
}

#[test]
fn a_thousand_datasets_fit_and_no_more() {
    let mut full = keyring();
    full.datasets = (0..DATASETS_MAX)
        .map(|n| {
            let mut record = dataset(&format!("d{n}"), 0);
            record.id = DatasetId(*blake3::hash(&n.to_le_bytes()).as_bytes().first_chunk().unwrap());
            record
        })
        .collect();
    let bytes = full.sign_and_encode(&seed()).unwrap();
    assert_eq!(decode(&bytes), Ok(full.clone()));
    full.datasets.push(dataset("one-more", 0xff));
    assert_eq!(full.sign_and_encode(&seed()).unwrap_err().damage, Damage::Limit("datasets"));
}

#[test]
fn the_chain_is_checked() {
    let first = keyring();
    let first_bytes = first.sign_and_encode(&seed()).unwrap();
    let mut second = first.clone();
    second.version = 2;
    second.previous = Some(ObjectHash::of(&first_bytes));
    let bytes = second.sign_and_encode(&seed()).unwrap();
    let second = decode(&bytes).unwrap();
    assert_eq!(second.follows(&first_bytes, &first), Ok(()));

    let damage = |later: &Keyring, bytes: &[u8]| later.follows(bytes, &first).unwrap_err().damage;
    assert_eq!(damage(&second, b"other bytes"), Damage::Hash);
    assert_eq!(damage(&first, &first_bytes), Damage::Field("version"));
    let third = Keyring { version: 3, ..second.clone() };
    assert_eq!(damage(&third, &first_bytes), Damage::Field("version"));
    let other_key = Keyring { signing_key: SigningPublicKey([1; 32]), ..second.clone() };
    assert_eq!(damage(&other_key, &first_bytes), Damage::Signature);
    let foreign = Keyring { vault: VaultId([1; 16]), ..second.clone() };
    assert_eq!(damage(&foreign, &first_bytes), Damage::Foreign);
}

#[test]
fn vault_document() {
    let document = VaultDocument { signing_key: SigningPublicKey::of_seed(&seed()) };
    let bytes = document.encode();
    assert_eq!(bytes.len(), VaultDocument::LEN);
    assert_eq!(VaultDocument::decode(&bytes), Ok(document));
    for i in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[i] ^= 1;
        assert!(VaultDocument::decode(&changed).is_err(), "byte {i}");
        assert!(VaultDocument::decode(&bytes[..i]).is_err());
    }
    // A hash that fits does not help an id that does not.
    let mut forged = bytes[..VaultDocument::LEN - 32].to_vec();
    forged[8] ^= 1;
    let hash = blake3::hash(&forged);
    forged.extend_from_slice(hash.as_bytes());
    assert_eq!(VaultDocument::decode(&forged).unwrap_err().damage, Damage::Foreign);
    let long = [&bytes[..], b"\0"].concat();
    assert_eq!(VaultDocument::decode(&long).unwrap_err().damage, Damage::TrailingBytes);
}

#[test]
fn times() {
    for good in ["2026-03-01T12:00:00Z", "2026-12-31T23:59:59.123456789Z"] {
        assert!(is_utc_time(good), "{good}");
    }
    for bad in [
        "",
        "2026-03-01T12:00:00",
        "2026-03-01T12:00:00+00:00",
        "2026-03-01 12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T12:00:00.Z",
        "2026-03-01T12:00:00.1234567890Z",
        "2026-03-01T12:00:0éZ",
    ] {
        assert!(!is_utc_time(bad), "{bad}");
    }
}

proptest! {
    #[test]
    fn decoding_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let vault = keyring().vault;
        let _ = Keyring::decode(&bytes, &vault);
        let _ = VaultDocument::decode(&bytes);
        let _ = Keyring::decode(&sign_json(&bytes), &vault);
    }

    #[test]
    fn a_signed_document_with_any_change_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut json = serde_json::to_vec(&keyring()).unwrap();
        let at = at.index(json.len());
        json[at] = byte;
        if let Ok(decoded) = decode(&sign_json(&json)) {
            // What a reader takes, a writer can write again.
            prop_assert!(decoded.sign_and_encode(&seed()).is_ok());
        }
    }
}
