//! Import ceremonies with the built command: OpenBao for Transit, LocalStack for AWS KMS.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kms::types::{KeySpec, KeyUsageType, OriginType};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use strongroom_testkit::services::{self, Kms, OpenBao};

const RECORD: &str = "made/record.jsonl";

struct Room {
    dir: tempfile::TempDir,
    env: Vec<(String, String)>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Room {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), env: Vec::new() }
    }

    fn with(mut self, pairs: &[(&str, &str)]) -> Self {
        self.env.extend(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, args: &[&str], env: &[(String, String)]) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_strongroom"))
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", "/usr/bin:/bin")
            .envs(env.iter().cloned())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .arg("ceremony")
            .args(args)
            .output()
            .unwrap();
        (output.status.code().unwrap(), format!("{}{}", text(&output.stdout), text(&output.stderr)))
    }

    fn ok(&self, args: &[&str]) -> String {
        let (code, said) = self.run(args, &self.env);
        assert_eq!(code, 0, "{args:?}: {said}");
        said
    }

    /// On the machine without a network: it has no credentials of a provider.
    fn offline(&self, args: &[&str]) -> String {
        let (code, said) = self.run(args, &[]);
        assert_eq!(code, 0, "{args:?}: {said}");
        said
    }

    fn fails(&self, args: &[&str], code: i32, words: &str) {
        let (found, said) = self.run(args, &self.env);
        assert_eq!(found, code, "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }

    /// Three custodians with an identity each, of whom two are enough.
    fn generate(&self, kind: &str, into: &str) {
        let mut args =
            vec!["generate".to_owned(), "--kind".into(), kind.into(), "--threshold".into(), "2".into()];
        for name in ["alice", "bob", "carol"] {
            let identity = age::x25519::Identity::generate();
            let secret = age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
            std::fs::write(self.path(&format!("{into}-{name}.age")), secret).unwrap();
            args.extend(["--custodian".into(), format!("{name}={}", identity.to_public())]);
        }
        args.extend(["-o".into(), into.to_owned()]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let said = self.offline(&args);
        assert!(said.contains("any 2 of 3"), "{said}");
    }

    fn wrap(&self, custodians: &[&str], output: &str) -> Vec<String> {
        let mut args: Vec<String> =
            ["wrap", "parameters.json", "--record", RECORD, "-o", output].map(str::to_owned).to_vec();
        for name in custodians {
            args.extend(["--share".into(), format!("made/{name}.share")]);
            args.extend(["--identity".into(), format!("made-{name}.age")]);
        }
        args
    }

    /// Fetch, wrap, apply: the same the first time and after a deletion.
    fn import(&self, key: &str, custodians: &[&str], turn: &str) -> String {
        let parameters = self.path("parameters.json");
        let _ = std::fs::remove_file(parameters);
        let wrapped = format!("wrapped-{turn}.json");
        self.ok(&["fetch", key, "--record", RECORD, "-o", "parameters.json"]);
        let args = self.wrap(custodians, &wrapped);
        let said = self.offline(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(said.contains(&custodians.join(", ")), "{said}");
        self.ok(&["apply", &wrapped, "--record", RECORD])
    }

    fn record(&self) -> String {
        std::fs::read_to_string(self.path(RECORD)).unwrap()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn bao(service: &OpenBao) -> Room {
    Room::new().with(&[("BAO_ADDR", &service.address), ("BAO_TOKEN", &service.token)])
}

fn bao_call(service: &OpenBao, method: reqwest::Method, path: &str, body: &str) -> u16 {
    let call = reqwest::Client::new()
        .request(method, format!("{}/v1/{path}", service.address))
        .header("X-Vault-Token", &service.token)
        .body(body.to_owned());
    runtime().block_on(call.send()).unwrap().status().as_u16()
}

fn transit_mount(service: &OpenBao, test: &str) -> String {
    let mount = services::unique_prefix(test).replace('/', "-");
    let made =
        bao_call(service, reqwest::Method::POST, &format!("sys/mounts/{mount}"), r#"{"type":"transit"}"#);
    assert_eq!(made, 204);
    mount
}

#[test]
fn a_transit_key_is_imported_proven_lost_and_brought_back() {
    let Some(service) = services::openbao() else { return };
    let room = bao(&service);
    let mount = transit_mount(&service, "ceremony");
    let key = format!("transit:{}/{mount}/office", service.address);
    room.generate("aes-256", "made");
    let said = room.import(&key, &["alice", "carol"], "first");
    assert!(said.contains("opens a challenge"), "{said}");

    let shares = ["--share", "made/bob.share", "--identity", "made-bob.age"];
    let more = ["--share", "made/carol.share", "--identity", "made-carol.age"];
    let verify = ["verify", key.as_str(), "--record", RECORD];
    let said = room.ok(&[&verify[..], &shares, &more].concat());
    assert!(said.contains("its key is the material"), "{said}");
    let said = room.offline(&[&verify[..], &shares, &more, &["--offline"]].concat());
    assert!(said.contains("offline"), "{said}");

    // It is deleted at the provider.
    let path = format!("{mount}/keys/office");
    let config = r#"{"deletion_allowed":true}"#;
    assert_eq!(bao_call(&service, reqwest::Method::POST, &format!("{path}/config"), config), 200);
    assert_eq!(bao_call(&service, reqwest::Method::DELETE, &path, ""), 204);
    room.fails(&verify, 5, "does not exist");
    let said = room.import(&key, &["bob", "carol"], "again");
    assert!(said.contains("what it encrypted when the material was first imported"), "{said}");
    room.ok(&verify);

    // Somebody puts another key in its place.
    assert_eq!(bao_call(&service, reqwest::Method::POST, &format!("{path}/config"), config), 200);
    assert_eq!(bao_call(&service, reqwest::Method::DELETE, &path, ""), 204);
    assert_eq!(bao_call(&service, reqwest::Method::POST, &path, "{}"), 200);
    room.fails(&verify, 4, "is not the key material of the record");
    room.fails(&[&verify[..], &shares, &more].concat(), 4, "is not the key material of the record");

    let steps: Vec<String> = room
        .record()
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_str().unwrap().to_owned()
        })
        .collect();
    let expected = [
        "generated",
        "wrapped",
        "imported",
        "verified",
        "verified",
        "verified",
        "wrapped",
        "imported",
        "verified",
        "verified",
    ];
    assert_eq!(steps, expected);
}

#[test]
fn bad_shares_and_bad_wrapping_keys_are_told() {
    let Some(service) = services::openbao() else { return };
    let room = bao(&service);
    let mount = transit_mount(&service, "ceremony-bad");
    let key = format!("transit:{}/{mount}/office", service.address);
    room.generate("aes-256", "made");
    room.generate("aes-256", "other");
    room.ok(&["fetch", &key, "--record", RECORD, "-o", "parameters.json"]);
    let wrap = |custodians: &[&str], more: &[&str], code: i32, words: &str| {
        let args = room.wrap(custodians, "wrapped.json");
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        room.fails(&args, code, words);
        assert!(!room.path("wrapped.json").exists());
    };
    wrap(&["alice"], &[], 5, "1 of 2 needed shares were given");
    wrap(&["alice", "alice"], &[], 5, "share 1 was given twice");
    let foreign = ["--share", "other/bob.share", "--identity", "other-bob.age"];
    wrap(&["alice"], &foreign, 5, "is of another ceremony");
    // Sealed to bob, and nobody brought his identity.
    wrap(&["alice"], &["--share", "made/bob.share"], 2, "no identity");
    // There is no terminal.
    wrap(&["alice"], &["--typed", "1"], 2, "no terminal");

    let sealed = std::fs::read_to_string(room.path("made/carol.share")).unwrap();
    let mut lines: Vec<String> = sealed.lines().map(str::to_owned).collect();
    let last = lines.len() - 2;
    lines[last] = lines[last]
        .chars()
        .map(|c| {
            if c == 'A' {
                'B'
            } else if c == 'B' {
                'A'
            } else {
                c
            }
        })
        .collect();
    let changed = lines.join("\n") + "\n";
    if changed != sealed {
        std::fs::write(room.path("made/carol.share"), changed).unwrap();
        wrap(&["alice", "carol"], &[], 4, "it was changed since it was sealed");
    }

    let small = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0/IzW7yWR7QkrmBL7jTKEn5u+qKhbwKfBstIs+bMY2Zkp18gnTxKLxoS2tFczGkPLPgizskuemMghRniWaoLcyehkd3qqGElvW/VDL5AaWTg0nLVkjRo9z+40RQzuVaE8AkAFmxZzow3x+VJYKdjykkJ0iT9wCS0DRTXu269V264Vf/3jvredZiKRkgwlL9xNAwxXFg0x/XFw005UWVRIkdgcKWTjpBP2dPwVZ4WWC+9aGVd+Gyn1o0CLelf4rEjGoXbAAEgAqeGUxrcIlbjXfbcmwIDAQAB";
    let parameters = serde_json::json!({"version": 1, "key": key, "wrapping_key": small});
    std::fs::write(room.path("parameters.json"), parameters.to_string()).unwrap();
    wrap(&["alice", "bob"], &[], 5, "the wrapping key has 2048 bits");
    std::fs::write(room.path("parameters.json"), "{}").unwrap();
    wrap(&["alice", "bob"], &[], 2, "is no file of this step");

    let changed = room.record().replace("carol", "chuck") + "{}\n";
    std::fs::write(room.path(RECORD), changed).unwrap();
    wrap(&["alice", "bob"], &[], 4, "line 2 of the record");
}

#[test]
fn cards_go_to_memory_only() {
    let room = Room::new();
    let custodians = ["--threshold", "2", "--custodian", "safe=card", "--custodian", "bank=card"];
    fn generate<'a>(custodians: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
        [&["generate"][..], custodians, more].concat()
    }
    room.fails(&generate(&custodians, &["-o", "made"]), 2, "--cards says not where");
    // The directory of the test is perhaps in memory itself; that of the built command is on a disk.
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let on_disk = disk.path().join("cards");
    room.fails(
        &generate(&custodians, &["--cards", on_disk.to_str().unwrap(), "-o", "made"]),
        2,
        "is not in memory",
    );
    assert!(!on_disk.exists(), "nothing is left behind");
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let said = room.ok(&generate(&custodians, &["--cards", memory.path().to_str().unwrap(), "-o", "made"]));
    assert!(said.contains("print the cards"), "{said}");
    for name in ["safe", "bank"] {
        let svg = std::fs::read_to_string(memory.path().join(format!("{name}.svg"))).unwrap();
        assert!(svg.contains("<svg") && svg.contains(name));
    }
    let rsa = ["--kind", "rsa-4096", "--cards", memory.path().to_str().unwrap(), "-o", "rsa"];
    room.fails(&generate(&custodians, &rsa), 2, "does not fit on a card");
    let alone =
        ["generate", "--threshold", "1", "--custodian", "a=card", "--cards", "/dev/shm/x", "-o", "one"];
    room.fails(&alone, 2, "1 of 1 is no way to split");
}

fn aws(kms: &Kms) -> (Room, aws_sdk_kms::Client) {
    let (id, secret) = &kms.admin;
    let room = Room::new().with(&[
        ("AWS_ACCESS_KEY_ID", id),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL_KMS", &kms.endpoint),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]);
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(&kms.endpoint)
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .build();
    (room, aws_sdk_kms::Client::from_conf(config))
}

fn empty_key(client: &aws_sdk_kms::Client, spec: KeySpec) -> String {
    let call = client.create_key().origin(OriginType::External).key_spec(spec);
    let made = runtime().block_on(call.key_usage(KeyUsageType::EncryptDecrypt).send()).unwrap();
    made.key_metadata.unwrap().arn.unwrap()
}

#[test]
fn a_kms_key_is_imported_lost_and_brought_back() {
    // LocalStack fails inside (`InternalError`) when it decrypts after a second import.
    let Some(kms) = services::ministack().map(|stack| stack.kms) else { return };
    let (room, client) = aws(&kms);
    let arn = empty_key(&client, KeySpec::SymmetricDefault);
    let key = format!("aws-kms:{arn}");
    room.generate("aes-256", "made");
    room.import(&key, &["alice", "bob"], "first");
    let verify = ["verify", key.as_str(), "--record", RECORD];
    room.ok(&verify);

    runtime().block_on(client.delete_imported_key_material().key_id(&arn).send()).unwrap();
    room.fails(&verify, 5, "the provider did not do this step");
    let said = room.import(&key, &["bob", "carol"], "again");
    assert!(said.contains("what it encrypted when the material was first imported"), "{said}");
    room.ok(&verify);
}

#[test]
fn an_rsa_key_is_imported_and_proven() {
    let Some(kms) = services::localstack() else { return };
    let (room, client) = aws(&kms);
    let arn = empty_key(&client, KeySpec::Rsa4096);
    let key = format!("aws-kms:{arn}");
    room.generate("rsa-4096", "made");
    room.import(&key, &["alice", "carol"], "first");
    let said = room.ok(&["verify", &key, "--record", RECORD]);
    assert!(said.contains("its key is the material"), "{said}");
    let other = format!("aws-kms:{}", empty_key(&client, KeySpec::Rsa4096));
    room.generate("rsa-4096", "other");
    room.fails(&["apply", "wrapped-first.json", "--record", "other/record.jsonl"], 5, "not the key material");
    // LocalStack shows a public key of its own for a key without material; AWS refuses to.
    room.fails(&["verify", &other, "--record", RECORD], 4, "is not the key material of the record");
    let public = std::fs::read_to_string(room.path("made/public-key.pem")).unwrap();
    assert!(public.starts_with("-----BEGIN PUBLIC KEY-----\n"));
}
