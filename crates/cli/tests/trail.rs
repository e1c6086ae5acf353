//! Trails through the built command: digests, and what a report of key uses ends with.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

struct World {
    dir: tempfile::TempDir,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn made(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../trail/tests/digest/made").join(name)
}

impl World {
    fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir_all(world.path("home")).unwrap();
        std::fs::create_dir_all(world.path("trail")).unwrap();
        std::fs::create_dir_all(world.path("src")).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn output(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_strongroom"))
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .args(args)
            .output()
            .unwrap()
    }

    fn ends(&self, args: &[&str], code: i32) -> String {
        let output = self.output(args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}{said}", text(&output.stdout));
        format!("{}{said}", text(&output.stdout))
    }

    fn with_vault(&self, args: &[&str], code: i32) -> String {
        self.ends(&[args, &["--vault", "vault"]].concat(), code)
    }

    /// A trail with these records.
    fn write_trail(&self, records: &[Value]) {
        let text = json!({ "Records": records }).to_string();
        std::fs::write(self.path("trail/all.json"), text).unwrap();
    }
}

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/k1";

fn record(id: &str, name: &str, request: &Value) -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": { "type": "IAMUser", "accountId": "111122223333",
            "arn": "arn:aws:iam::111122223333:user/intruder", "accessKeyId": "AKIAEXAMPLE" },
        "eventTime": "2026-03-01T12:00:00Z", "eventSource": "kms.amazonaws.com", "eventName": name,
        "awsRegion": "eu-west-1", "sourceIPAddress": "198.51.100.7", "userAgent": "aws-cli/2",
        "requestParameters": request, "responseElements": null,
        "requestID": format!("request-{id}"), "eventID": id, "readOnly": name == "Decrypt",
        "resources": [{ "accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": KEY }],
        "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": "111122223333",
    })
}

#[test]
fn digests_are_verified_and_changes_have_their_exit_code() {
    let world = World::new();
    let verify = |name: &str, code: i32| {
        let (root, keys) = (made(name), made(name).join("public-keys.json"));
        let args = ["trail", "verify", root.to_str().unwrap(), "--public-keys", keys.to_str().unwrap()];
        world.ends(&args, code)
    };
    // The newest digest is signed in the metadata of its object, which this copy has.
    let whole = verify("whole", 0);
    assert!(whole.contains("proven  2026-03-01T"), "{whole}");
    assert!(verify("gap", 3).contains("unknown gap"));
    assert!(verify("fork", 4).contains("CHANGED fork"));
    let swapped = verify("swapped", 4);
    assert!(swapped.contains("SR-0503"), "{swapped}");

    let root = made("swapped");
    let keys = root.join("public-keys.json");
    let args = ["trail", "verify", root.to_str().unwrap(), "--public-keys", keys.to_str().unwrap(), "--json"];
    let value: Value = serde_json::from_slice(&world.output(&args).stdout).unwrap();
    assert_eq!(
        (value["tampering"].as_bool(), value["message_type"].as_str()),
        (Some(true), Some("trail_verified"))
    );
    assert!(
        world
            .ends(&["trail", "verify", "src", "--public-keys", keys.to_str().unwrap()], 3)
            .contains("no digests")
    );
    world.ends(&["trail", "verify", "absent", "--public-keys", keys.to_str().unwrap()], 1);
    world.ends(&["trail", "verify", "src", "--public-keys", "absent"], 1);
}

#[test]
fn a_use_of_a_key_that_is_in_no_entry_is_unexplained() {
    let world = World::new();
    world.with_vault(&["init", "-q"], 0);
    let pairs = json!({ "encryptionContext": { "strongroom:purpose": "read" } });
    world.write_trail(&[record("theft", "Decrypt", &pairs)]);
    let reconcile = ["reconcile", "--trail", "trail"];
    let said = world.with_vault(&reconcile, 4);
    assert!(said.contains("UNEXPLAINED") && said.contains("user/intruder"), "{said}");
    assert!(said.contains("SR-0504") && said.contains("1 UNEXPLAINED"), "{said}");

    // In every form, and into a file that must be new.
    for (format, mark) in [
        ("json", "\"UNEXPLAINED\""),
        ("sarif", "sarif-2.1.0"),
        ("html", "<!doctype html>"),
        ("text", "UNEXPLAINED"),
    ] {
        let file = format!("report.{format}");
        let args = [reconcile.as_slice(), &["--format", format, "-o", &file]].concat();
        world.with_vault(&args, 4);
        let written = std::fs::read_to_string(world.path(&file)).unwrap();
        assert!(written.to_lowercase().contains(&mark.to_lowercase()), "{format}: {written:.400}");
        world.with_vault(&args, 1);
    }
    // What endangers a key is told, and is no disagreement.
    world.write_trail(&[record(
        "deletion",
        "ScheduleKeyDeletion",
        &json!({ "keyId": KEY, "pendingWindowInDays": 7 }),
    )]);
    let said = world.with_vault(&reconcile, 3);
    assert!(said.contains("cancel-key-deletion") && said.contains("SR-0601"), "{said}");
    world.write_trail(&[record("theft", "Decrypt", &pairs)]);
    // Another time is not asked for.
    let said = world.with_vault(&["reconcile", "--trail", "trail", "--since", "2026-04-01"], 0);
    assert!(!said.contains("UNEXPLAINED"), "{said}");
    // A service that may use the key; but only that one.
    let mut by_service = record("service", "Decrypt", &pairs);
    by_service["userIdentity"] = json!({ "type": "AWSService", "invokedBy": "backup.amazonaws.com" });
    world.write_trail(&[by_service]);
    world.with_vault(&["reconcile", "--trail", "trail", "--service", "backup.amazonaws.com"], 0);
    world.with_vault(&["reconcile", "--trail", "trail", "--service", "rds.amazonaws.com"], 4);
}

#[test]
fn a_ledger_that_was_bent_explains_nothing() {
    let world = World::new();
    world.with_vault(&["init", "-q"], 0);
    world.write_trail(&[]);
    world.with_vault(&["reconcile", "--trail", "trail"], 0);
    // The ledger by its own place, as an auditor has it: without the vault.
    let said = world.ends(&["reconcile", "--trail", "trail", "--ledger", "vault/ledger"], 0);
    assert!(said.contains("no vault is given"), "{said}");
    let entries = world.path("vault/ledger/tile/entries");
    let bundle = std::fs::read_dir(entries).unwrap().next().unwrap().unwrap().path();
    let bundle = if bundle.is_dir() {
        std::fs::read_dir(bundle).unwrap().next().unwrap().unwrap().path()
    } else {
        bundle
    };
    let mut bytes = std::fs::read(&bundle).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::remove_file(&bundle).unwrap();
    std::fs::write(&bundle, bytes).unwrap();
    assert!(world.with_vault(&["reconcile", "--trail", "trail"], 4).contains("SR-0502"));
}

#[test]
fn what_makes_no_sense_is_told() {
    let world = World::new();
    world.with_vault(&["init", "-q"], 0);
    for args in [
        &["reconcile"][..],
        &["reconcile", "--audit", "no-equals"],
        &["reconcile", "--trail", "trail", "--settle", "soon"],
        &["reconcile", "--trail", "trail", "--check-contexts"],
    ] {
        world.with_vault(args, 2);
    }
    world.with_vault(&["reconcile", "--trail", "absent"], 1);
    std::fs::write(world.path("selectors.json"), r#"{"EventSelectors":[{"ReadWriteType":"WriteOnly"}]}"#)
        .unwrap();
    let said = world.with_vault(&["reconcile", "--trail", "trail", "--selectors", "selectors.json"], 3);
    assert!(said.contains("selectors leave out key uses"), "{said}");
    std::fs::write(world.path("selectors.json"), "{}").unwrap();
    world.with_vault(&["reconcile", "--trail", "trail", "--selectors", "selectors.json"], 2);
}
