//! Secrets that are missing or wrong: every keyholder that was tried is named, and why it did not open.

use crate::support::write_model;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};
use strongroom_custody::{
    Custody, CustodyError, HolderError, Reason, ReasonCode, Secrets, Unobserved,
    holders::{age, file, passphrase},
};
use strongroom_format::keyring::{KeyholderSpec, PolicyTree};
use strongroom_vault::{
    VaultError,
    access::{NewDataset, NewVault, Vault},
    store::Memory,
};
use zeroize::Zeroizing;

const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
/// An identity that belongs to another recipient.
const IDENTITY: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

struct Place {
    runtime: tokio::runtime::Runtime,
    vault: Vault,
    folder: tempfile::TempDir,
    specs: BTreeMap<String, KeyholderSpec>,
}

fn phrase(text: &'static str) -> Secrets {
    Secrets::none().with_passphrases(move |_: &str, attempt: u32| {
        Ok((attempt == 1).then(|| Zeroizing::new(text.to_owned())))
    })
}

/// A vault that any of a key file, a passphrase and an age identity opens.
fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let specs = BTreeMap::from([
        ("office".to_owned(), file::create(&folder.path().join("office.key"), "office").unwrap()),
        ("paper".to_owned(), passphrase::create("right", passphrase::Cost::LEAST).unwrap()),
        ("safe".to_owned(), age::create(&[RECIPIENT]).unwrap()),
    ]);
    file::create(&folder.path().join("other.key"), "other").unwrap();
    let policy = PolicyTree::Any(specs.keys().map(|label| PolicyTree::Keyholder(label.clone())).collect());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let new = NewVault {
        keyholders: specs.clone(),
        read_policy: policy.clone(),
        write_policy: policy,
        dataset: NewDataset::new("default"),
        time_lock: None,
    };
    let custody = Custody::new(&specs, Secrets::none(), Arc::new(Unobserved));
    let reason = Reason::new(ReasonCode::Admin);
    let made = Vault::create(Arc::new(Memory::new()), new, &custody, &reason);
    let vault = runtime.block_on(made).expect("making a vault needs no secret");
    Place { runtime, vault, folder, specs }
}

impl Place {
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Opens for writing and for reading with these secrets.
    fn open(&self, secrets: Secrets) -> [Result<(), VaultError>; 2] {
        let custody = Arc::new(Custody::new(&self.specs, secrets, Arc::new(Unobserved)));
        let (write, read) = (Reason::new(ReasonCode::Backup), Reason::new(ReasonCode::Restore));
        let writing = self.vault.open_for_writing("default", &custody, &write, None);
        let writing = self.runtime.block_on(writing).map(drop);
        let reading = self.vault.open_for_reading("default", None, Arc::clone(&custody), &read, None);
        [writing, self.runtime.block_on(reading).map(drop)]
    }

    /// Each keyholder with the kind of its failure, and the whole message.
    fn refused(&self, secrets: &Secrets) -> (BTreeMap<String, &'static str>, String) {
        let mut seen: Option<(BTreeMap<String, &'static str>, String)> = None;
        for result in self.open(secrets.clone()) {
            let error = result.expect_err("nothing opens");
            assert!(!error.is_integrity(), "{error}");
            let message = error.to_string();
            let VaultError::Custody(CustodyError::Refused { failures, .. }) = error else {
                panic!("{error:?}")
            };
            let failures: BTreeMap<_, _> = failures
                .into_iter()
                .map(|failure| {
                    let kind = match failure.error {
                        HolderError::NoSecret(_) => "no secret",
                        HolderError::WrongSecret(_) => "wrong secret",
                        HolderError::Exposed { .. } => "exposed",
                        HolderError::Malformed(_) => "malformed",
                        other => panic!("{other:?}"),
                    };
                    (failure.holder, kind)
                })
                .collect();
            for label in ["office", "paper", "safe"] {
                assert!(message.contains(label), "{message}");
            }
            if let Some((before, _)) = &seen {
                assert_eq!(*before, failures, "writing and reading fail alike");
            }
            seen = Some((failures, message));
        }
        seen.unwrap()
    }
}

fn failures(office: &'static str, paper: &'static str, safe: &'static str) -> BTreeMap<String, &'static str> {
    [("office", office), ("paper", paper), ("safe", safe)].map(|(k, v)| (k.to_owned(), v)).into()
}

#[test]
fn without_any_secret_every_keyholder_says_so() {
    let (failures, message) = place().refused(&Secrets::none());
    assert_eq!(failures, self::failures("no secret", "no secret", "no secret"));
    assert!(message.contains("key of dataset `default`"), "{message}");
}

#[test]
fn another_keyholders_file_a_wrong_passphrase_and_another_identity_are_wrong() {
    let place = place();
    std::fs::write(place.path("identity"), format!("{IDENTITY}\n")).unwrap();
    let secrets = phrase("wrong").with_key_file("office", place.path("other.key"));
    let secrets = secrets.with_identity(place.path("identity"));
    let (failures, message) = place.refused(&secrets);
    assert_eq!(failures, self::failures("wrong secret", "wrong secret", "no secret"), "{message}");
    assert!(message.contains("other.key") && message.contains("identity"), "{message}");
    assert!(!message.contains("AGE-SECRET-KEY") && !message.contains("wrong\""), "no secret in a message");
}

#[test]
fn missing_exposed_and_malformed_files_are_told_with_their_paths() {
    let place = place();
    let cases: [(&str, &[u8], u32, &str); 4] = [
        ("missing.key", b"", 0, "no secret"),
        ("empty.key", b"", 0o600, "malformed"),
        ("binary.key", &[0xff; 100], 0o600, "malformed"),
        ("exposed.key", b"", 0o644, "exposed"),
    ];
    for (name, content, mode, expected) in cases {
        let path = place.path(name);
        if mode != 0 {
            std::fs::write(&path, content).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(&path, mode).unwrap();
        }
        let (failures, message) = place.refused(&Secrets::none().with_key_file("office", &path));
        assert_eq!(failures["office"], expected, "{message}");
        assert!(message.contains(name), "{message}");
    }
    let (failures, message) = place.refused(&Secrets::none().with_key_file("office", place.folder.path()));
    assert!(failures["office"] == "malformed" && message.contains("folder"), "{message}");
}

#[test]
fn one_right_secret_among_wrong_ones_opens() {
    let place = place();
    std::fs::write(place.path("identity"), format!("{IDENTITY}\n")).unwrap();
    let right = [
        phrase("right").with_key_file("office", place.path("other.key")),
        phrase("wrong")
            .with_key_file("office", place.path("office.key"))
            .with_identity(place.path("identity")),
    ];
    for secrets in right {
        for result in place.open(secrets) {
            result.unwrap();
        }
    }
}

#[test]
fn a_person_is_asked_last_and_not_when_a_file_opens() {
    let place = place();
    let asked = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&asked);
    let secrets = Secrets::none().with_key_file("office", place.path("office.key")).with_passphrases(
        move |_: &str, _: u32| {
            *counter.lock().unwrap() += 1;
            Ok(None)
        },
    );
    for result in place.open(secrets) {
        result.unwrap();
    }
    assert_eq!(*asked.lock().unwrap(), 0);
}

#[test]
fn the_write_secret_alone_backs_up_and_reads_nothing() {
    let store = Arc::new(Memory::new());
    let mut test = strongroom_testkit::vault::TestVault::create(store as _);
    let source = tempfile::tempdir().unwrap();
    write_model(&crate::support::sample(0), source.path());
    let snapshot = test.backup(source.path()).unwrap().snapshot;
    // A host that was given the key file of the write keyholder only.
    let specs = test.vault.keyring().keyholders.clone();
    let secrets = Secrets::none().with_key_file("write", test.key_file("write"));
    test.custody = Arc::new(Custody::new(&specs, secrets, Arc::clone(&test.observer) as _));
    test.backup(source.path()).unwrap();
    assert_eq!(test.snapshots().unwrap().len(), 2);
    let error = test.restore(&snapshot, source.path(), Path::new("/nowhere")).unwrap_err();
    let VaultError::Custody(error @ CustodyError::Refused { .. }) = error else { panic!("{error:?}") };
    assert_eq!(error.failures().len(), 1);
    assert_eq!(error.failures()[0].holder, "read");
    assert!(matches!(error.failures()[0].error, HolderError::NoSecret(_)));
    assert!(!Path::new("/nowhere").exists());
}
