//! The whole story, with the built command and real providers: two clouds' keys and three custodians; the KMS key is
//! on its way out; the data is recovered by two of three; the policy is repaired; a restore proves it.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use strongroom_testkit::services::{self, Kms, OpenBao};

struct World {
    dir: tempfile::TempDir,
    kms: Kms,
    bao: OpenBao,
    runtime: tokio::runtime::Runtime,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl World {
    /// Where services are not skipped.
    fn new() -> Option<Self> {
        let (Some(kms), Some(bao)) = (services::moto(), services::openbao()) else { return None };
        let dir = tempfile::tempdir().unwrap();
        let world = World { dir, kms, bao, runtime: tokio::runtime::Runtime::new().unwrap() };
        std::fs::create_dir_all(world.path("home")).unwrap();
        std::fs::create_dir_all(world.path("src")).unwrap();
        std::fs::write(world.path("src/ledger.txt"), "worth a company").unwrap();

        // `transit` may be mounted by another test already.
        let mount = reqwest::Client::new()
            .post(format!("{}/v1/sys/mounts/transit", world.bao.address))
            .header("X-Vault-Token", &world.bao.token)
            .body(r#"{"type":"transit"}"#);
        let _ = world.runtime.block_on(mount.send()).unwrap();
        Some(world)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// As somebody who has the credentials of both providers.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.offline(args);
        command
            .env("STRONGROOM_VAULT", self.path("vault"))
            .env("AWS_ACCESS_KEY_ID", &self.kms.admin.0)
            .env("AWS_SECRET_ACCESS_KEY", &self.kms.admin.1)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL_KMS", &self.kms.endpoint)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("BAO_ADDR", &self.bao.address)
            .env("BAO_TOKEN", &self.bao.token);
        command
    }

    /// As a custodian on a machine of his own.
    fn offline(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .args(args);
        command
    }

    fn ended(output: &Output, args: &[&str], code: i32) -> String {
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        format!("{}{said}", text(&output.stdout))
    }

    fn ok(&self, args: &[&str]) -> String {
        Self::ended(&self.command(args).output().unwrap(), args, 0)
    }

    fn fails(&self, args: &[&str], code: i32) -> String {
        Self::ended(&self.command(args).output().unwrap(), args, code)
    }

    fn state_of(&self, name: &str) -> String {
        let shown = self.command(&["key", "status", "--json", "-q"]).output().unwrap();
        let rows = text(&shown.stdout);
        let rows = rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let row = rows.into_iter().find(|row| row["name"] == name).unwrap();
        row["state"].as_str().unwrap().to_owned()
    }

    fn kms_client(&self) -> aws_sdk_kms::Client {
        let (id, secret) = &self.kms.admin;
        let config = aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.kms.endpoint)
            .credentials_provider(Credentials::new(id, secret, None, None, "test"))
            .build();
        aws_sdk_kms::Client::from_conf(config)
    }

    fn kms_key(&self) -> String {
        let client = self.kms_client();
        let made = self
            .runtime
            .block_on(
                client
                    .create_key()
                    .key_spec(KeySpec::SymmetricDefault)
                    .key_usage(KeyUsageType::EncryptDecrypt)
                    .send(),
            )
            .unwrap();
        made.key_metadata.unwrap().arn.unwrap()
    }

    fn transit_key(&self, name: &str) {
        let call = reqwest::Client::new()
            .post(format!("{}/v1/transit/keys/{name}", self.bao.address))
            .header("X-Vault-Token", &self.bao.token)
            .body("{}");
        assert!(self.runtime.block_on(call.send()).unwrap().status().is_success());
    }

    fn restores(&self, target: &str, more: &[&str]) {
        let restore = ["restore", "latest", "--target", target, "--verify"];
        self.ok(&[restore.as_slice(), more].concat());
        let found =
            Command::new("grep").args(["-rl", "worth a company"]).arg(self.path(target)).output().unwrap();
        assert!(text(&found.stdout).contains("ledger.txt"), "{target}");
    }
}

#[test]
fn two_clouds_and_three_custodians() {
    let Some(world) = World::new() else { return };
    let key = services::unique_prefix("story").replace('/', "-");
    world.transit_key(&key);
    let arn = world.kms_key();

    let mut keyholders = vec![
        format!("cloud=aws-kms:{arn}"),
        format!("bao=transit:{}/transit/{key}", world.bao.address),
        "host=file:host.key".to_owned(),
    ];
    for name in ["alice", "bob", "carol"] {
        let identity = age::x25519::Identity::generate();
        let secret = age::secrecy::ExposeSecret::expose_secret(&identity.to_string()).to_owned();
        std::fs::write(world.path(&format!("{name}.age")), secret).unwrap();
        keyholders.push(format!("{name}=age:{}", identity.to_public()));
    }
    let mut init = vec!["init", "--time-lock", "0", "-q", "--write-policy", "host"];
    init.extend(["--read-policy", "any(cloud, all(bao, host), 2 of (alice, bob, carol))"]);
    for keyholder in &keyholders {
        init.extend(["--keyholder", keyholder]);
    }
    world.ok(&init);
    let src = world.path("src").to_str().unwrap().to_owned();
    world.ok(&["backup", "-q", "--key-file", "host=host.key", &src]);

    // Each path opens by itself.
    assert_eq!(world.state_of("cloud"), "can_open");
    world.restores("by-kms", &[]);
    let tested = world.ok(&["key", "test", "cloud", "bao"]);
    assert_eq!(tested.matches("opened").count(), 2, "{tested}");

    // The switch: off is an answer, not an outage.
    world.ok(&["key", "suspend", "cloud"]);
    assert_eq!(world.state_of("cloud"), "disabled");
    let said = world.fails(&["restore", "latest", "--target", "no"], 5);
    assert!(said.contains("disabled"), "{said}");
    world.restores("by-transit", &["--key-file", "host=host.key"]);
    world.ok(&["key", "resume", "cloud"]);
    world.restores("by-kms-again", &[]);

    // Somebody schedules the deletion of the KMS key, and the Transit server's key is gone, too.
    let deletion = world.kms_client();
    let deletion = deletion.schedule_key_deletion().key_id(&arn).pending_window_in_days(7);
    world.runtime.block_on(deletion.send()).unwrap();
    assert_eq!(world.state_of("cloud"), "pending_deletion");
    world.ok(&["key", "suspend", "bao"]);
    let said = world.fails(&["restore", "latest", "--target", "no", "--key-file", "host=host.key"], 5);
    assert!(said.contains("pending deletion"), "{said}");
    // Backups go on: they seal to a public key.
    world.ok(&["backup", "-q", "--key-file", "host=host.key", &src]);

    // Two custodians, each on an offline machine.
    let request = ["quorum", "request", "--signing-key", "--reason", "the KMS key is being deleted"];
    let shown = world.ok(&[request.as_slice(), &["-o", "repair"]].concat());
    assert!(shown.contains("signing key"), "{shown}");
    world.ok(&["quorum", "request", "--reason", "proof first", "-o", "read"]);
    for name in ["alice", "carol"] {
        for asked in ["read", "repair"] {
            let (identity, out) = (format!("{name}.age"), format!("{name}.{asked}"));
            let args =
                ["quorum", "approve", asked, "--as", name, "--identity", &identity, "-o", &out, "--yes"];
            World::ended(&world.offline(&args).output().unwrap(), &args, 0);
        }
    }
    world.restores(
        "by-custodians",
        &["--request", "read", "--approval", "alice.read", "--approval", "carol.read"],
    );

    // The policy is repaired: another key takes the place of the one that is lost.
    // Keyholders that cannot wrap any more are left out of it.
    let second = world.kms_key();
    let add = format!("cloud2=aws-kms:{second}");
    let approved = ["--request", "repair", "--approval", "alice.repair", "--approval", "carol.repair"];
    let said = world.fails(&["key", "add", &add, "--read"], 5);
    assert!(said.contains("not asked") || said.contains("pending deletion"), "{said}");
    let repaired = ["--read-policy", "any(cloud2, 2 of (alice, bob, carol))"];
    let changed = world.ok(&[["key", "add", &add].as_slice(), &repaired, &approved].concat());
    assert!(changed.contains("nothing names them: bao, cloud"), "{changed}");
    let explained = world.ok(&["key", "explain"]);
    assert!(explained.contains("cloud2: can open") && !explained.contains("cloud:"), "{explained}");
    world.restores("after-repair", &[]);
    let said = world.ok(&["key", "status"]);
    assert!(!said.contains("rewrap"), "everything is wrapped under the new policy: {said}");

    let printed = world.ok(&["key", "policy", "aws-kms"]);
    assert!(
        printed.contains(&second) && printed.contains("kms:EncryptionContext:strongroom:purpose"),
        "{printed}"
    );
    world.ok(&["key", "policy", "aws-kms", "-o", "policies"]);
    let files = std::fs::read_dir(world.path("policies")).unwrap().count();
    assert!(files >= 6, "key policy, IAM policies, guard rails and Terraform: {files}");
    world.fails(&["key", "policy", "aws-kms", "--document", "none"], 2);
    let policy =
        world.ok(&["key", "policy", "transit", "--read-key", &key, "--write-key", "w", "--role", "writer"]);
    assert!(policy.contains("encrypt") && policy.contains(&key), "{policy}");
}

#[test]
fn a_revocation_is_measured_and_signed() {
    let Some(world) = World::new() else { return };
    let key = world.kms_key();
    let cloud = format!("cloud=aws-kms:{key}");
    let init = ["init", "-q", "--time-lock", "0", "--keyholder", &cloud, "--keyholder", "own=file:own.key"];
    world.ok(&[init.as_slice(), &["--read-policy", "any(cloud, own)", "--write-policy", "own"]].concat());
    let own = ["--key-file", "own=own.key"];
    std::fs::write(world.path("file"), "worth a company").unwrap();
    let file = world.path("file");
    world.ok(&[["backup", "-q", file.to_str().unwrap()].as_slice(), &own].concat());
    let revoke = ["key", "revoke", "cloud", "--prove", "proof", "--json", "-q"];
    let revoke = [revoke.as_slice(), &own].concat();
    let output = world.command(&revoke).env("STRONGROOM_LEASE", "3s").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let proof: Value = serde_json::from_str(text(&output.stdout).lines().next().unwrap()).unwrap();
    let after = proof["milliseconds"].as_u64().unwrap();
    assert!((500..=3200).contains(&after), "within the lease, and not at once: {proof}");
    assert!(proof["reads"].as_u64().unwrap() > 10, "{proof}");
    let vault = proof["vault"].as_str().unwrap();
    let shown = world.ok(&["key", "certificate", "proof", vault]);
    assert!(shown.contains("lease          3.000 s"), "{shown}");
    let status = world.ok(&["key", "status"]);
    assert!(!status.contains("cloud"), "{status}");
    world.ok(&[["restore", "latest", "--target", "out"].as_slice(), &own].concat());
}
