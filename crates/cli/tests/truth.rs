//! The truth test: a server with a real audit device, many backups, restores and refusals by the built command, and one
//! theft by somebody who stole its token. The theft is UNEXPLAINED, and nothing else is.
//!
//! The server is this test's own: what others do at a shared one would be in its audit log, too.
//! `STRONGROOM_TEST_TRUTH_SECONDS` says how long the work goes on.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

use data_encoding::BASE64;
use serde_json::{Value, json};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use strongroom_testkit::services;

const ROOT: &str = "truth-root";

/// A server of OpenBao in memory, ended with this value.
struct Server {
    child: Child,
    address: String,
    audit: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(program: &Path, dir: &Path) -> Self {
        // A dev server takes two ports that follow each other: the second for its cluster.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (audit, config) = (dir.join("audit.log"), dir.join("server.hcl"));
        let text =
            format!("audit \"file\" \"truth\" {{\n  options {{\n    file_path = {audit:?}\n  }}\n}}\n");
        std::fs::write(&config, text).unwrap();
        let child = Command::new(program)
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .arg(format!("-config={}", config.display()))
            .env("HOME", dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, address: format!("http://127.0.0.1:{port}"), audit };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() || !server.is_unsealed() {
            assert!(Instant::now() < deadline, "the server does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    fn is_unsealed(&self) -> bool {
        self.ask("GET", "sys/health", "", "curl", &Value::Null).0 == 200
    }

    /// Status and answer of a plain request: as a person with `curl` would send it.
    fn ask(&self, method: &str, path: &str, token: &str, agent: &str, body: &Value) -> (u16, Value) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let request = reqwest::Client::new()
                .request(method.parse().unwrap(), format!("{}/v1/{path}", self.address))
                .header("X-Vault-Token", token)
                .header("User-Agent", agent);
            let request = if body.is_null() { request } else { request.body(body.to_string()) };
            let Ok(answer) = request.send().await else { return (0, Value::Null) };
            let status = answer.status().as_u16();
            (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
        })
    }

    fn admin(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask("POST", path, ROOT, "curl", body);
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// A token that may do these things with keys.
    fn token(&self, name: &str, rights: &[&str]) -> String {
        let rules: String = rights
            .iter()
            .map(|path| format!("path \"transit/{path}\" {{ capabilities = [\"update\", \"read\"] }}\n"))
            .collect();
        self.admin(&format!("sys/policies/acl/{name}"), &json!({ "policy": rules }));
        let made = self.admin("auth/token/create", &json!({ "policies": [name], "no_default_policy": true }));
        made["auth"]["client_token"].as_str().unwrap().to_owned()
    }
}

struct World {
    dir: tempfile::TempDir,
    server: Server,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, token: &str, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_strongroom"))
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", "/usr/bin:/bin")
            .env("STRONGROOM_VAULT", self.path("vault"))
            .env("BAO_ADDR", &self.server.address)
            .env("BAO_TOKEN", token)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .args(args)
            .output()
            .unwrap()
    }

    fn ends(&self, token: &str, args: &[&str], code: i32) -> String {
        let output = self.run(token, args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}{said}", text(&output.stdout));
        said
    }

    /// The report of the audit log as it is now.
    fn reconcile(&self, code: i32) -> Value {
        let audit = format!("truth={}", self.server.audit.display());
        let args = ["reconcile", "--audit", &audit, "--json", "--check-contexts"];
        let args = [args.as_slice(), &["--settle", "0s", "--ledger-delay", "0s"]].concat();
        let output = self.run(ROOT, &args);
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{said:.8000}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// How many of each verdict, but for those that matched.
fn others(report: &Value) -> Vec<(String, u64)> {
    let verdicts = report["verdicts"].as_object().unwrap().iter();
    verdicts
        .filter(|(name, count)| *name != "MATCHED" && count.as_u64() != Some(0))
        .map(|(name, count)| (name.clone(), count.as_u64().unwrap()))
        .collect()
}

#[test]
fn one_theft_among_many_key_uses_is_found_and_nothing_else_is() {
    let Some(program) = services::variable("STRONGROOM_TEST_BAO_PROGRAM") else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(Path::new(&program), dir.path());
    let world = World { dir, server };
    for name in ["home", "src"] {
        std::fs::create_dir_all(world.path(name)).unwrap();
    }
    std::fs::write(world.path("src/file"), "worth a company").unwrap();

    // Whoever runs the server lets its audit devices write the user agent, which tells the operation.
    world.server.admin("sys/config/auditing/request-headers/user-agent", &json!({ "hmac": false }));
    world.server.admin("sys/mounts/transit", &json!({ "type": "transit" }));
    for key in ["read", "write"] {
        world.server.admin(&format!("transit/keys/{key}"), &json!({}));
    }
    let backup = world.server.token("backup", &["encrypt/+", "decrypt/write", "keys/+"]);
    let restore = world.server.token("restore", &["encrypt/+", "decrypt/+", "keys/+"]);
    let at = |key: &str| format!("{key}=transit:{}/transit/{key}", world.server.address);
    let (read_holder, write_holder) = (at("read"), at("write"));
    let init = ["init", "-q", "--keyholder", &read_holder, "--keyholder", &write_holder];
    let policies = ["--read-policy", "read", "--write-policy", "write"];
    world.ends(&restore, &[init.as_slice(), &policies].concat(), 0);

    // Work, by several programs at once; refusals among it.
    let seconds = std::env::var("STRONGROOM_TEST_TRUTH_SECONDS").ok().and_then(|text| text.parse().ok());
    let deadline = Instant::now() + Duration::from_secs(seconds.unwrap_or(6));
    let src = world.path("src").to_str().unwrap().to_owned();
    world.ends(&backup, &["backup", "-q", &src], 0);
    std::thread::scope(|scope| {
        let one = |worker: usize| {
            let mut round = 0;
            while round < 3 || Instant::now() < deadline {
                let target = format!("out-{worker}-{round}");
                match (round + worker) % 3 {
                    0 => drop(world.ends(&backup, &["backup", "-q", &src], 0)),
                    1 => drop(world.ends(&restore, &["restore", "latest", "-q", "--target", &target], 0)),
                    _ => drop(world.ends(&backup, &["restore", "latest", "-q", "--target", &target], 5)),
                }
                round += 1;
            }
        };
        for worker in 0..3 {
            scope.spawn(move || one(worker));
        }
    });

    // How the server was set up, and that many calls were refused, is told; it is no disagreement.
    let before = world.reconcile(3);
    let mut rules =
        before["detections"].as_array().unwrap().iter().map(|found| found["rule"].as_str().unwrap());
    assert!(rules.any(|rule| rule == "denied-burst"), "{}", before["detections"]);
    let matched = before["verdicts"]["MATCHED"].as_u64().unwrap();
    assert_eq!(others(&before), [], "{before}");
    assert_eq!(before["read"]["key_uses"], matched, "each key use has its event: {before}");
    assert!(matched >= 12, "{before}");

    // The theft: the restoring token and the wrapped read key, without our program.
    let shown = world.run(&restore, &["ledger", "show", "--json", "-q", "--verb", "unwrap", "--key", "read"]);
    let entry: Value = serde_json::from_str(text(&shown.stdout).lines().last().unwrap()).unwrap();
    let context = &entry["what"]["context"];
    let associated = format!(
        "strongroom:dataset={}\nstrongroom:epoch={}\nstrongroom:purpose={}\nstrongroom:vault={}\n",
        context["dataset"].as_str().unwrap(),
        context["epoch"],
        context["purpose"].as_str().unwrap(),
        context["vault"].as_str().unwrap()
    );
    let body = json!({
        "ciphertext": wrapped_read_key(&world.path("vault")),
        "associated_data": BASE64.encode(associated.as_bytes()),
    });
    let (status, stolen) = world.server.ask("POST", "transit/decrypt/read", &restore, "bao", &body);
    assert_eq!(status, 200, "the thief succeeds: {stolen}");

    let after = world.reconcile(4);
    assert_eq!(others(&after), [("UNEXPLAINED".to_owned(), 1)], "{after}");
    assert_eq!(after["verdicts"]["MATCHED"], matched);
    let theft =
        &after["findings"].as_array().unwrap().iter().find(|one| one["verdict"] == "UNEXPLAINED").unwrap();
    assert_eq!(theft["event"]["request_id"], stolen["request_id"]);
    assert_eq!(theft["event"]["key"], "transit/read");

    // A cleverer thief says that it is an operation of ours.
    let agent = format!("strongroom/0.1.0 strongroom-op/{}", entry["operation"].as_str().unwrap());
    let (status, _) = world.server.ask("POST", "transit/decrypt/read", &restore, &agent, &body);
    assert_eq!(status, 200);
    let last = world.reconcile(4);
    assert_eq!(others(&last), [("REPLAYED".to_owned(), 1), ("UNEXPLAINED".to_owned(), 1)], "{last}");
    if seconds.is_some() {
        let entries = last["read"]["key_uses"].as_u64().unwrap();
        let joined = |by: &str| {
            let all = before["findings"].as_array().unwrap();
            all.iter().filter(|finding| finding["joined_by"] == by).count()
        };
        std::fs::write(
            std::env::temp_dir().join("strongroom-truth.txt"),
            format!("{entries} key uses, {matched} matched, {} by circumstances\n", joined("circumstances")),
        )
        .unwrap();
    }
}

/// The server's text in the wrap of the newest epoch.
fn wrapped_read_key(vault: &Path) -> String {
    let mut stack = vec![vault.join("datasets")];
    while let Some(path) = stack.pop() {
        if path.is_dir() {
            stack.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.to_str().unwrap().contains("/epochs/") {
            // A version byte and `vault:v1:` in Base64.
            let document = text(&std::fs::read(&path).unwrap());
            let start = document.find("AXZhdWx0OnYxO").unwrap();
            let blob = document[start..].split('"').next().unwrap();
            return text(&BASE64.decode(blob.as_bytes()).unwrap()[1..]);
        }
    }
    panic!("there is no epoch");
}
