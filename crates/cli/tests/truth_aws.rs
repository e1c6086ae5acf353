//! The truth test with AWS's own form of records: MiniStack records every call of KMS, and `curl` asks it for them. The
//! key uses of the built command match by request id, user agents carry the operation, and a theft stands out.
//!
//! Limits of the stand-in, mended here before the records are read: names of parameters begin with a capital, no key is
//! among the resources, and refused calls are not recorded.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kms::primitives::Blob;
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use strongroom_testkit::services::{self, Kms};

struct World {
    dir: tempfile::TempDir,
    kms: Kms,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn ends(&self, args: &[&str], code: i32) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_strongroom"))
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", "/usr/bin:/bin")
            .env("STRONGROOM_VAULT", self.path("vault"))
            .env("AWS_ACCESS_KEY_ID", &self.kms.admin.0)
            .env("AWS_SECRET_ACCESS_KEY", &self.kms.admin.1)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL_KMS", &self.kms.endpoint)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .args(args)
            .output()
            .unwrap();
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said:.6000}");
        output
    }

    fn lookup(&self, next: Option<&str>) -> Value {
        let mut body = json!({
            "LookupAttributes": [{ "AttributeKey": "EventSource", "AttributeValue": "kms.amazonaws.com" }],
            "MaxResults": 50,
        });
        if let Some(next) = next {
            body["NextToken"] = next.into();
        }
        let target = "X-Amz-Target: com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
        let output = Command::new("curl")
            .args(["-sS", "--max-time", "20", "--aws-sigv4", "aws:amz:us-east-1:cloudtrail"])
            .args(["--user", &format!("{}:{}", self.kms.admin.0, self.kms.admin.1)])
            .args(["-H", "Content-Type: application/x-amz-json-1.1", "-H", target])
            .args(["-d", &body.to_string(), &format!("{}/", self.kms.endpoint)])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Writes the records of a key into the folder `trail`; their user agents.
    fn fetch(&self, arn: &str) -> Vec<String> {
        let (mut records, mut next) = (Vec::new(), None);
        loop {
            let page = self.lookup(next.as_deref());
            for event in page["Events"].as_array().unwrap() {
                let record: Value = serde_json::from_str(event["CloudTrailEvent"].as_str().unwrap()).unwrap();
                if record["requestParameters"]["KeyId"] == arn {
                    records.push(mended(record, arn));
                }
            }
            match page["NextToken"].as_str() {
                Some(token) => next = Some(token.to_owned()),
                None => break,
            }
        }
        let _ = std::fs::create_dir(self.path("trail"));
        let agents = records.iter().map(|record| record["userAgent"].as_str().unwrap().to_owned()).collect();
        std::fs::write(self.path("trail/all.json"), json!({ "Records": records }).to_string()).unwrap();
        agents
    }

    fn reconcile(&self, code: i32) -> Value {
        let args = ["reconcile", "--trail", "trail", "--json", "--settle", "0s", "--ledger-delay", "0s"];
        serde_json::from_slice(&self.ends(&args, code).stdout).unwrap()
    }
}

/// As AWS writes it.
fn mended(mut record: Value, arn: &str) -> Value {
    let parameters = record["requestParameters"].as_object().unwrap().clone();
    let renamed =
        parameters.into_iter().filter(|(name, _)| !["Plaintext", "CiphertextBlob"].contains(&name.as_str()));
    record["requestParameters"] = renamed
        .map(|(name, value)| (name[..1].to_ascii_lowercase() + &name[1..], value))
        .collect::<serde_json::Map<_, _>>()
        .into();
    record["resources"] = json!([{ "accountId": "123456789012", "type": "AWS::KMS::Key", "ARN": arn }]);
    record["readOnly"] = json!(true);
    record
}

/// The first text of this name in a document.
fn find<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    match value {
        Value::Object(fields) => fields
            .get(name)
            .and_then(Value::as_str)
            .or_else(|| fields.values().find_map(|value| find(value, name))),
        Value::Array(list) => list.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

/// What KMS made of the read key of the first epoch.
fn wrapped_read_key(vault: &Path) -> Vec<u8> {
    let mut stack = vec![vault.join("datasets")];
    while let Some(path) = stack.pop() {
        if path.is_dir() {
            stack.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.to_str().unwrap().contains("/epochs/") {
            let bytes = std::fs::read(&path).unwrap();
            let start = bytes.iter().position(|byte| *byte == b'{').unwrap();
            let document: Value =
                serde_json::Deserializer::from_slice(&bytes[start..]).into_iter().next().unwrap().unwrap();
            let blob = find(&document["read_key"], "blob").unwrap();
            // Behind our version.
            return BASE64.decode(blob.as_bytes()).unwrap().split_off(1);
        }
    }
    panic!("there is no epoch");
}

#[test]
fn a_theft_from_kms_is_found_and_nothing_else_is() {
    let Some(stack) = services::ministack() else { return };
    let world = World { dir: tempfile::tempdir().unwrap(), kms: stack.kms };
    for name in ["home", "src"] {
        std::fs::create_dir_all(world.path(name)).unwrap();
    }
    std::fs::write(world.path("src/file"), "worth a company").unwrap();
    let (id, secret) = &world.kms.admin;
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(&world.kms.endpoint)
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .build();
    let client = aws_sdk_kms::Client::from_conf(config);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let arn = runtime.block_on(client.create_key().send()).unwrap().key_metadata.unwrap().arn.unwrap();

    let cloud = format!("cloud=aws-kms:{arn}");
    world
        .ends(&["init", "-q", "--keyholder", &cloud, "--read-policy", "cloud", "--write-policy", "cloud"], 0);
    for round in 0..8 {
        world.ends(&["backup", "-q", "src"], 0);
        world.ends(&["restore", "latest", "-q", "--target", &format!("out-{round}")], 0);
    }
    let agents = world.fetch(&arn);
    assert!(agents.iter().filter(|agent| agent.contains(" strongroom-op/")).count() >= 16, "{agents:?}");
    let before = world.reconcile(0);
    let matched = &before["verdicts"]["MATCHED"];
    assert_eq!(
        (before["verdicts"].as_object().unwrap().len(), matched),
        (1, &before["read"]["key_uses"]),
        "{before}"
    );
    assert!(matched.as_u64().unwrap() >= 16, "{before}");

    // The theft: the credentials and the wrapped read key, without our program.
    let shown = world.ends(&["ledger", "show", "--json", "-q", "--verb", "unwrap"], 0);
    let lines = text(&shown.stdout);
    let entries = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let entry = entries.into_iter().rfind(|entry| entry["what"]["context"]["purpose"] == "read").unwrap();
    let context = &entry["what"]["context"];
    let pairs: HashMap<String, String> = [
        ("dataset", context["dataset"].as_str().unwrap().to_owned()),
        ("epoch", context["epoch"].to_string()),
        ("purpose", "read".to_owned()),
        ("vault", context["vault"].as_str().unwrap().to_owned()),
    ]
    .map(|(name, value)| (format!("strongroom:{name}"), value))
    .into();
    let theft = client
        .decrypt()
        .key_id(&arn)
        .ciphertext_blob(Blob::new(wrapped_read_key(&world.path("vault"))))
        .set_encryption_context(Some(pairs));
    let stolen = runtime.block_on(theft.send()).unwrap();
    assert_eq!(stolen.plaintext.unwrap().into_inner().len(), 32, "the thief has the read key");
    world.fetch(&arn);
    let after = world.reconcile(4);
    assert_eq!(after["verdicts"]["UNEXPLAINED"], 1, "{after}");
    assert_eq!(
        (after["verdicts"].as_object().unwrap().len(), &after["verdicts"]["MATCHED"]),
        (2, matched),
        "{after}"
    );
}
