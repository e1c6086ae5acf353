//! The ledger through the built command: what is recorded, what stops a key use, and what each kind of attack looks like.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

use serde_json::Value;
use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use strongroom_ledger::checkpoint::{Identity, SignedCheckpoint};
use strongroom_ledger::note::{Algorithm, SigningKey, VerifierKey};
use strongroom_ledger::witness::{AddCheckpoint, decide};

struct World {
    dir: tempfile::TempDir,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl World {
    fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        for name in ["home", "src"] {
            std::fs::create_dir_all(world.path(name)).unwrap();
        }
        std::fs::write(world.path("src/file"), "worth a company").unwrap();
        world.ok(&["init", "-q", "--time-lock", "0"]);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command
            .env_clear()
            .env("HOME", self.path("home"))
            .env("PATH", "/usr/bin:/bin")
            .env("STRONGROOM_VAULT", self.path("vault"))
            .env("STRONGROOM_HOST", "host-a")
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

    fn json(&self, args: &[&str]) -> Vec<Value> {
        let args: Vec<&str> = args.iter().copied().chain(["--json", "-q"]).collect();
        let output = self.command(&args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn backup(&self) -> String {
        let lines = self.json(&["backup", self.path("src").to_str().unwrap(), "--no-progress"]);
        lines.last().unwrap()["snapshot_id"].as_str().unwrap().to_owned()
    }

    fn copy(&self, from: &str, to: &str) {
        let _ = std::fs::remove_dir_all(self.path(to));
        let status = Command::new("cp").arg("-a").args([self.path(from), self.path(to)]).status();
        assert!(status.unwrap().success());
    }

    fn forget_memory(&self) {
        std::fs::remove_dir_all(self.path("home/.local/state/strongroom/ledgers")).unwrap();
    }

    fn ledger_key(&self) -> PathBuf {
        let keys = self.path("home/.config/strongroom/ledgers");
        std::fs::read_dir(keys).unwrap().next().unwrap().unwrap().path()
    }

    fn vkey(&self) -> String {
        self.json(&["ledger", "verify"])[0]["vkeys"][0].as_str().unwrap().to_owned()
    }
}

#[test]
fn every_key_use_and_every_command_is_an_entry() {
    let world = World::new();
    let snapshot = world.backup();
    world.ok(&["restore", "latest", "--target", "out", "-q", "--reason", "TICKET-7"]);
    world.ok(&["key", "rotate", "-q", "--reason", "yearly turn"]);

    let all = world.json(&["ledger", "show"]);
    let of = |index: usize, name: &str| all[index]["what"]["verb"] == name;
    let events: Vec<&str> = all
        .iter()
        .filter(|entry| entry["phase"] == "event")
        .map(|entry| entry["what"]["verb"].as_str().unwrap())
        .collect();
    assert_eq!(events, ["init", "backup", "restore", "rotate"]);
    for (index, entry) in all.iter().enumerate() {
        assert_eq!(entry["index"], index);
        assert_eq!(entry["opened"]["host"], "host-a");
        if entry["phase"] == "outcome" {
            let intent = all[..index].iter().rev().find(|intent| {
                intent["phase"] == "intent"
                    && ["operation", "step", "attempt"].iter().all(|field| intent[field] == entry[field])
            });
            assert_eq!(
                intent.unwrap()["what"],
                entry["what"],
                "the outcome {index} has its intent before it"
            );
        }
    }
    let backup = all.iter().find(|entry| entry["what"]["verb"] == "backup").unwrap();
    assert_eq!(backup["what"]["details"]["snapshot"], snapshot.as_str());
    assert!(of(0, "wrap"));

    let restored = world.json(&["ledger", "show", "--why", "TICKET-7", "--verb", "unwrap"]);
    assert!(!restored.is_empty() && restored.iter().all(|entry| entry["why"]["code"] == "RESTORE"));
    let keys: Vec<_> = restored.iter().map(|entry| entry["what"]["keyholder"].as_str().unwrap()).collect();
    assert!(keys.contains(&"read"), "{keys:?}");
    assert!(world.json(&["ledger", "show", "--key", "nobody"]).is_empty());
    assert!(world.json(&["ledger", "show", "--actor", "nobody"]).is_empty());
    assert_eq!(world.json(&["ledger", "show", "--actor", "host-a"]).len(), all.len());
    assert_eq!(world.json(&["ledger", "show", "--last", "2"]).len(), 2);
    let shown = world.ok(&["ledger", "show", "--outcome", "success", "--verb", "rotate"]);
    assert!(shown.contains("host-a") && shown.contains("(yearly turn)"), "{shown}");
    assert!(world.ok(&["ledger", "verify"]).contains(": sound\n"));
}

#[test]
fn what_a_person_was_can_be_erased() {
    let world = World::new();
    assert!(world.ok(&["ledger", "show", "--last", "1"]).contains("@host-a"));
    std::fs::remove_dir_all(world.path("vault/ledger/openings")).unwrap();
    let shown = world.ok(&["ledger", "show", "--last", "1"]);
    assert!(!shown.contains("host-a") && shown.contains("erased:"), "{shown}");
    assert!(world.ok(&["ledger", "verify"]).contains(": sound\n"));
}

#[test]
fn no_ledger_no_key_use() {
    let world = World::new();
    world.backup();
    let restore = ["restore", "latest", "--target", "out", "-q"];

    let key = world.ledger_key();
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let said = world.fails(&restore, 5);
    assert!(said.contains("SR-0422") && said.contains("--ledger-spool"), "{said}");
    assert!(!world.path("out").exists());
    std::fs::write(&key, &kept).unwrap();
    let said = world.fails(&restore, 5);
    assert!(said.contains("SR-0404") && said.contains("can be read by others"), "{said}");
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&key, "PRIVATE+KEY+nonsense\n").unwrap();
    assert!(world.fails(&restore, 5).contains("is no ledger key"));
    std::fs::write(&key, &kept).unwrap();

    let lock = world.path("vault/ledger/lock");
    let locked = std::fs::read(&lock).unwrap();
    std::fs::write(&lock, &locked[..locked.len() / 2]).unwrap();
    let said = world.fails(&restore, 4);
    assert!(said.contains("SR-0502"), "{said}");
    std::fs::write(&lock, &locked).unwrap();

    world.copy("vault/ledger", "ledger-before");
    std::fs::remove_dir_all(world.path("vault/ledger")).unwrap();
    let said = world.fails(&restore, 5);
    assert!(said.contains("SR-0422"), "{said}");
    assert!(!world.path("out").exists());
    world.copy("ledger-before", "vault/ledger");
    world.ok(&restore);
}

#[test]
fn a_spool_bridges_a_ledger_that_is_away() {
    let world = World::new();
    world.backup();
    let entries = world.json(&["ledger", "show"]).len();
    let key = world.ledger_key();
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let restore = ["restore", "latest", "--target", "out", "--ledger-spool", "spool"];
    let said = world.ok(&restore);
    assert!(said.contains("were kept in the spool on this host"), "{said}");
    assert_eq!(world.json(&["ledger", "show"]).len(), entries);
    let spooled = std::fs::read_to_string(world.path("spool")).unwrap();
    assert!(spooled.lines().count() >= 3, "{spooled}");

    std::fs::write(&key, &kept).unwrap();
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    let said = world.ok(&["snapshots", "--ledger-spool", "spool"]);
    assert!(said.contains("of the spool into the ledger"), "{said}");
    let merged = world.json(&["ledger", "show", "--verb", "restore"]);
    assert_eq!(merged.len(), 1);
    assert!(merged[0]["spooled"]["signature"].is_string());
    assert!(world.ok(&["ledger", "verify"]).contains(": sound\n"));
    world.ok(&["snapshots", "--ledger-spool", "spool"]);
    assert_eq!(world.json(&["ledger", "show", "--verb", "restore"]).len(), 1, "merged once");
}

#[test]
fn each_attack_has_its_name() {
    let world = World::new();
    world.copy("vault/ledger", "early");
    world.backup();
    world.ok(&["ledger", "verify", "--save", "day1.checkpoint"]);
    world.backup();
    world.copy("vault/ledger", "good");
    let attack = |name: &str, exit: i32| {
        let said = world.fails(&["ledger", "verify"], exit);
        assert!(said.contains(name), "{name}: {said}");
        let said = world.fails(&["snapshots"], exit);
        assert!(said.contains("SR-0"), "{said}");
        world.copy("good", "vault/ledger");
        world.ok(&["ledger", "verify"]);
    };

    world.copy("early", "vault/ledger");
    attack("rollback", 4);

    // Another history, by whoever stole the ledger's key.
    world.copy("early", "vault/ledger");
    let state = world.path("home/.local/state/strongroom/ledgers");
    let moved = world.path("memory");
    std::fs::rename(&state, &moved).unwrap();
    for _ in 0..4 {
        world.backup();
    }
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::rename(&moved, &state).unwrap();
    attack("fork", 4);

    // The auditor's own file says the same to a machine that has seen nothing.
    world.copy("early", "vault/ledger");
    world.forget_memory();
    world.ok(&["ledger", "verify"]);
    let said = world.fails(&["ledger", "verify", "--continues", "day1.checkpoint"], 4);
    assert!(said.contains("rollback"), "{said}");
    world.copy("good", "vault/ledger");
    world.ok(&["ledger", "verify", "--continues", "day1.checkpoint"]);
    let since = world.json(&["ledger", "verify", "--from", "day1.checkpoint"]);
    assert!(since[0]["from"].as_u64().unwrap() > 0);

    let bundle = std::fs::read_dir(world.path("vault/ledger/tile/entries/000.p")).unwrap();
    for file in bundle {
        let path = file.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    let said = world.fails(&["ledger", "verify"], 4);
    assert!(said.contains("alteration: entry"), "{said}");
    assert!(world.fails(&["ledger", "show"], 4).contains("SR-0502"));
    world.copy("good", "vault/ledger");

    // A ledger of somebody else, with a key of his own.
    let other = World::new();
    let _ = std::fs::remove_dir_all(world.path("vault/ledger"));
    let status =
        Command::new("cp").arg("-a").args([other.path("vault/ledger"), world.path("vault/ledger")]).status();
    assert!(status.unwrap().success());
    attack("forgery", 4);
}

#[test]
fn a_proof_needs_the_public_key_and_nothing_else() {
    let world = World::new();
    world.backup();
    let vkey = world.vkey();
    world.ok(&["ledger", "prove", "3", "-o", "key-use.proof"]);
    let elsewhere = |args: &[&str]| {
        let mut command = world.command(args);
        command.env_remove("STRONGROOM_VAULT").env("HOME", world.path("nowhere"));
        command.output().unwrap()
    };
    let check = ["ledger", "prove", "--check", "key-use.proof", "--vkey", &vkey];
    let said = World::ended(&elsewhere(&check), &check, 0);
    assert!(said.contains("the proof holds: this is entry 3"), "{said}");
    assert!(said.contains("\"schema\": \"strongroom.ledger/1\""), "{said}");

    let proof = std::fs::read_to_string(world.path("key-use.proof")).unwrap();
    std::fs::write(world.path("bent.proof"), proof.replace("index 3", "index 4")).unwrap();
    let check = ["ledger", "prove", "--check", "bent.proof", "--vkey", &vkey];
    assert!(World::ended(&elsewhere(&check), &check, 4).contains("SR-0502"));
    let other = World::new().vkey();
    let check = ["ledger", "prove", "--check", "key-use.proof", "--vkey", &other];
    World::ended(&elsewhere(&check), &check, 4);
    let check = ["ledger", "prove", "--check", "key-use.proof"];
    World::ended(&elsewhere(&check), &check, 2);
    assert!(world.fails(&["ledger", "prove", "100000"], 2).contains("there is no entry 100000"));
    assert!(world.fails(&["ledger", "prove", "3", "-o", "key-use.proof"], 1).contains("cannot be written"));
}

#[test]
fn exports_for_other_tools() {
    let world = World::new();
    let hostile =
        world.command(&["backup", "-q", "src"]).env("STRONGROOM_HOST", "=cmd|' /C calc'!A0").status();
    assert!(hostile.unwrap().success());
    let lines = world.ok(&["ledger", "export", "-q"]);
    let entries = world.json(&["ledger", "show"]);
    assert_eq!(lines.lines().count(), entries.len());
    assert!(
        lines
            .lines()
            .all(|line| line.starts_with('{') && line.contains("\"schema\":\"strongroom.ledger/1\""))
    );

    let csv = world.ok(&["ledger", "export", "--format", "csv", "-q"]);
    assert!(csv.starts_with("index,time,phase,operation,"), "{csv}");
    assert!(csv.contains("'=cmd|' /C calc'!A0") && !csv.contains(",=cmd"), "{csv}");
    assert_eq!(csv.matches("\r\n").count(), entries.len() + 1);

    let events = world.json(&["ledger", "export", "--format", "ocsf"]);
    assert_eq!(events.len(), entries.len());
    for event in &events {
        assert_eq!(event["class_uid"], 6003);
        assert_eq!(event["type_uid"].as_u64(), Some(600_300 + event["activity_id"].as_u64().unwrap()));
        for field in ["time", "metadata", "actor", "api", "severity_id", "status_id", "src_endpoint"] {
            assert!(!event[field].is_null(), "{field}: {event}");
        }
    }
}

/// A witness as C2SP `tlog-witness` has it, for one ledger.
struct Witness {
    address: String,
    vkey: VerifierKey,
    last: Arc<Mutex<Option<SignedCheckpoint>>>,
}

fn witness(name: &str, identity: Identity) -> Witness {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let mut seed = [7; 32];
    seed[0] = name.as_bytes()[0];
    let key = SigningKey::from_seed(name, Algorithm::Cosignature, &seed).unwrap();
    let vkey = key.public().clone();
    let last = Arc::new(Mutex::new(None));
    let state = Arc::clone(&last);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let body = request(&mut stream);
            let request = AddCheckpoint::parse(&body).unwrap();
            let now = jiff::Timestamp::now().as_second() as u64;
            let mut last = state.lock().unwrap();
            let (answer, next) = decide(&request, &identity, last.as_ref(), &key, now);
            if next.is_some() {
                *last = next;
            }
            let body = answer.body();
            let head = format!(
                "HTTP/1.1 {} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                answer.status(),
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    Witness { address, vkey, last }
}

fn request(stream: &mut TcpStream) -> Vec<u8> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    body
}

#[test]
fn witnesses_cosign_and_catch_another_history() {
    let world = World::new();
    world.copy("vault", "early");
    let vkey = VerifierKey::parse(&world.vkey()).unwrap();
    let identity = Identity::new(vkey.name().to_owned(), vec![vkey]);
    let (north, south) = (witness("north", identity.clone()), witness("south", identity));
    let policy = format!(
        "witness north {} {}\nwitness south {} {}\nwitness gone {} http://127.0.0.1:9/\ngroup two 2 north south gone\nquorum two\n",
        north.vkey,
        north.address,
        south.vkey,
        south.address,
        SigningKey::from_seed("gone", Algorithm::Cosignature, &[9; 32]).unwrap().public(),
    );
    std::fs::write(world.path("policy"), policy).unwrap();
    let verify = ["ledger", "verify", "--witness-policy", "policy"];
    assert!(world.fails(&verify, 3).contains("too few witnesses"));
    for _ in 0..2 {
        world.backup();
        let said = world.ok(&["ledger", "witness", "--policy", "policy"]);
        assert!(said.contains("2 of 3 cosigned") && said.contains("witness gone did not cosign"), "{said}");
        let said = world.ok(&verify);
        assert!(said.contains("north: cosigned") && said.contains("gone: has not cosigned"), "{said}");
    }
    assert!(north.last.lock().unwrap().is_some() && south.last.lock().unwrap().is_some());
    let again = world.json(&["ledger", "witness", "--policy", "policy"]);
    assert_eq!(again[0]["met"], true);

    // Whoever has the ledger's key makes another history, where nobody remembers the first one but the witnesses.
    world.copy("early", "vault");
    world.forget_memory();
    std::fs::remove_dir_all(world.path("home/.local/state/strongroom/vaults")).unwrap();
    let said = world.fails(&["ledger", "witness", "--policy", "policy"], 4);
    assert!(said.contains("rolled back"), "{said}");
    for _ in 0..6 {
        world.backup();
    }
    let said = world.fails(&["ledger", "witness", "--policy", "policy"], 4);
    assert!(said.contains("forked"), "{said}");
    assert!(world.fails(&["ledger", "witness", "--policy", "src/file"], 2).contains("no witness policy"));
}

fn get(address: &str, path: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let split = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = text(&answer[..split]);
    (head[9..12].parse().unwrap(), answer[split + 4..].to_vec())
}

#[test]
fn served_to_be_read_and_nothing_else() {
    let world = World::new();
    let mut served = world
        .command(&["ledger", "serve", "--listen", "127.0.0.1:0", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(served.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    let address =
        said["url"].as_str().unwrap().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let stored = |name: &str| std::fs::read(world.path("vault/ledger").join(name)).unwrap();
    assert_eq!(get(&address, "/checkpoint"), (200, stored("checkpoint")));
    let bundle: PathBuf = std::fs::read_dir(world.path("vault/ledger/tile/entries/000.p"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let name = bundle.strip_prefix(world.path("vault/ledger")).unwrap().to_str().unwrap().to_owned();
    assert_eq!(get(&address, &format!("/{name}")), (200, stored(&name)));
    let opening = std::fs::read_dir(world.path("vault/ledger/openings")).unwrap().next().unwrap().unwrap();
    for name in
        ["lock", &format!("openings/{}", opening.file_name().to_str().unwrap()), "../vault", "%2e%2e/vault"]
    {
        assert_eq!(get(&address, &format!("/{name}")).0, 404, "{name}");
    }
    assert!(Command::new("kill").arg(served.id().to_string()).status().unwrap().success());
    assert!(served.wait().unwrap().success());
    assert!(Path::new(&world.path("vault/ledger/checkpoint")).exists());
}

/// With the ledger in a bucket, to which `identity` may speak.
fn in_bucket(mut command: Command, endpoint: &str, place: &str, identity: &(String, String)) -> Command {
    command
        .env("STRONGROOM_LEDGER", place)
        .env("AWS_ENDPOINT_URL_S3", endpoint)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", &identity.0)
        .env("AWS_SECRET_ACCESS_KEY", &identity.1)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

#[test]
fn many_processes_share_a_ledger_in_another_trust_domain() {
    const AT_ONCE: usize = 8;
    let Some(s3) = strongroom_testkit::services::s3() else { return };
    let world = World { dir: tempfile::tempdir().unwrap() };
    for name in ["home", "src"] {
        std::fs::create_dir_all(world.path(name)).unwrap();
    }
    std::fs::write(world.path("src/file"), "worth a company").unwrap();
    let prefix = strongroom_testkit::services::unique_prefix("cli-ledger");
    let place = format!("s3://{}/{prefix}", s3.bucket);
    let as_writer =
        |args: &[&str]| in_bucket(world.command(args), &s3.endpoint, &place, &s3.writer).output().unwrap();
    World::ended(&as_writer(&["init", "-q"]), &["init"], 0);
    assert!(!world.path("vault/ledger").exists());
    let source = world.path("src").to_str().unwrap().to_owned();
    let backup = ["backup", source.as_str(), "-q", "--no-progress"];
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| World::ended(&as_writer(&backup), &backup, 0));
        }
    });
    let verify = ["ledger", "verify", "--json", "-q"];
    let output = as_writer(&verify);
    World::ended(&output, &verify, 0);
    let verified: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verified["open_intents"], serde_json::json!([]));
    let vkey = verified["vkeys"][0].as_str().unwrap().to_owned();

    // The auditor has the public key, and may read.
    let auditor = |args: &[&str]| {
        let mut command = world.command(args);
        command.env("HOME", world.path("auditor")).env_remove("STRONGROOM_VAULT");
        in_bucket(command, &s3.endpoint, &place, &s3.reader).output().unwrap()
    };
    let show = ["ledger", "show", "--json", "-q", "--vkey", &vkey];
    let output = auditor(&show);
    World::ended(&output, &show, 0);
    let entries: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |phase: &str, verb: &str| {
        entries.iter().filter(|entry| entry["phase"] == phase && entry["what"]["verb"] == verb).count()
    };
    assert_eq!(of("event", "backup"), AT_ONCE);
    assert_eq!(of("intent", "unwrap"), of("outcome", "unwrap"));
    assert!(of("intent", "unwrap") >= AT_ONCE);
    let operations: std::collections::BTreeSet<&str> =
        entries.iter().map(|entry| entry["operation"].as_str().unwrap()).collect();
    assert_eq!(operations.len(), AT_ONCE + 1);
    let denied = auditor(&["snapshots"]);
    assert!(!denied.status.success());

    // The ledger's storage does not answer: no key is used, and the message says so.
    let snapshots = ["snapshots"];
    let output =
        in_bucket(world.command(&snapshots), "http://127.0.0.1:9", &place, &s3.writer).output().unwrap();
    let said = World::ended(&output, &snapshots, 5);
    assert!(said.contains("SR-0421") && said.contains("no key was used"), "{said}");
}

#[test]
fn a_ledger_is_remembered_by_its_whole_place() {
    let world = World::new();
    for folder in ["one", "two"] {
        std::fs::create_dir(world.path(folder)).unwrap();
        let run = |args: &[&str]| world.command(args).current_dir(world.path(folder)).output().unwrap();
        World::ended(&run(&["init", "-q", "-r", "vault"]), &["init"], 0);
        World::ended(&run(&["snapshots", "-r", "vault"]), &["snapshots"], 0);
    }
    let whole = world.path("one/vault");
    let same = world.json(&["ledger", "verify", "-r", whole.to_str().unwrap()]);
    assert!(same[0]["continues"].as_u64().unwrap() > 0, "the same place by another name");
}
