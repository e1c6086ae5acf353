//! `watch` through the built command: what is told, to whom, once; and a key that comes back.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

use aws_lc_rs::hmac;
use aws_sdk_kms::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_kms::types::{KeySpec, KeyUsageType};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;
use strongroom_testkit::services::{self, Kms};

const SECRET: &str = "a secret of sixteen";

struct World {
    dir: tempfile::TempDir,
    kms: Option<Kms>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl World {
    fn new(kms: Option<Kms>) -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap(), kms };
        for name in ["home", "src", "trail"] {
            std::fs::create_dir_all(world.path(name)).unwrap();
        }
        std::fs::write(world.path("src/file"), "worth a company").unwrap();
        std::fs::write(world.path("events"), "").unwrap();
        std::fs::write(world.path("secret"), format!("{SECRET}\n")).unwrap();
        std::fs::set_permissions(world.path("secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
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
            .env("STRONGROOM_HOST", "host-a")
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .args(args);
        if let Some(kms) = &self.kms {
            command
                .env("STRONGROOM_VAULT", self.path("vault"))
                .env("AWS_ACCESS_KEY_ID", &kms.admin.0)
                .env("AWS_SECRET_ACCESS_KEY", &kms.admin.1)
                .env("AWS_REGION", "us-east-1")
                .env("AWS_ENDPOINT_URL_KMS", &kms.endpoint)
                .env("AWS_EC2_METADATA_DISABLED", "true");
        }
        command
    }

    fn ends(&self, args: &[&str], code: i32) -> Output {
        let output = self.command(args).output().unwrap();
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        output
    }

    /// The alerts of one look.
    fn alerts(&self, more: &[&str], code: i32) -> Vec<Value> {
        let args = [&["watch", "--once", "--json", "--events", "events"], more].concat();
        text(&self.ends(&args, code).stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn add(&self, record: &Value) {
        let mut file = std::fs::OpenOptions::new().append(true).open(self.path("events")).unwrap();
        writeln!(file, "{record}").unwrap();
    }
}

/// A record of now.
fn record(id: &str, name: &str, key: &str, request: &Value) -> Value {
    let account = key.split(':').nth(4).unwrap();
    json!({
        "eventVersion": "1.11",
        "userIdentity": { "type": "IAMUser", "accountId": account,
            "arn": format!("arn:aws:iam::{account}:user/intruder"), "accessKeyId": "AKIAEXAMPLE" },
        "eventTime": jiff::Timestamp::now().to_string(), "eventSource": "kms.amazonaws.com", "eventName": name,
        "awsRegion": "us-east-1", "sourceIPAddress": "198.51.100.7", "userAgent": "aws-cli/2",
        "requestParameters": request, "responseElements": null,
        "requestID": format!("request-{id}"), "eventID": id, "readOnly": false,
        "resources": [{ "accountId": account, "type": "AWS::KMS::Key", "ARN": key }],
        "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": account,
    })
}

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/k1";

fn deletion(id: &str, key: &str) -> Value {
    record(id, "ScheduleKeyDeletion", key, &json!({ "keyId": key, "pendingWindowInDays": 7 }))
}

/// Answers one request with a status; what was heard.
fn webhook(status: &'static str) -> (String, JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/in", listener.local_addr().unwrap());
    let heard = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        (head, body)
    });
    (url, heard)
}

/// A mail server that takes one mail; what it was told.
fn mail_server() -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("smtp://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let heard = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        reader.get_mut().write_all(b"220 test\r\n").unwrap();
        let (mut all, mut in_data) = (String::new(), false);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap() == 0 {
                return all;
            }
            all.push_str(&line);
            let answer = match line.trim_end() {
                "." if in_data => {
                    in_data = false;
                    "250 taken\r\n"
                }
                _ if in_data => continue,
                "DATA" => {
                    in_data = true;
                    "354 go on\r\n"
                }
                "QUIT" => {
                    reader.get_mut().write_all(b"221 bye\r\n").unwrap();
                    return all;
                }
                _ => "250 ok\r\n",
            };
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, heard)
}

#[test]
fn an_alert_is_told_once_and_everywhere() {
    let world = World::new(None);
    assert!(world.alerts(&[], 0).is_empty());
    world.add(&deletion("e1", KEY));
    let (hook, hooked) = webhook("204 No Content");
    let (smtp, mailed) = mail_server();
    let syslog = UdpSocket::bind("127.0.0.1:0").unwrap();
    syslog.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let syslog_url = format!("udp://{}", syslog.local_addr().unwrap());
    let receivers = [
        ["--webhook", &hook, "--webhook-secret", "secret"].as_slice(),
        &["--syslog", &syslog_url, "--smtp", &smtp, "--mail-to", "security@example.com"],
    ]
    .concat();
    let alerts = world.alerts(&receivers, 3);
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    let alert = &alerts[0];
    assert_eq!(
        (alert["event"]["keys"][0].as_str(), alert["severity"].as_str()),
        (Some(KEY), Some("critical"))
    );
    assert!(alert["stop"].as_str().unwrap().contains("cancel-key-deletion"), "{alert}");
    let time: jiff::Timestamp = alert["time"].as_str().unwrap().parse().unwrap();
    let dies: jiff::Timestamp = alert["dies_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(dies.duration_since(time), jiff::SignedDuration::from_hours(7 * 24));

    let (head, body) = hooked.join().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), *alert);
    let signature = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("x-strongroom-signature: ").map(str::to_owned)
    });
    let signature = signature.unwrap();
    let (time, mac) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signed = [time.as_bytes(), b".", &body].concat();
    hmac::verify(&key, &signed, &HEXLOWER.decode(mac.as_bytes()).unwrap()).unwrap();

    let mut datagram = [0; 4096];
    let read = syslog.recv(&mut datagram).unwrap();
    let message = text(&datagram[..read]);
    assert!(message.starts_with("<82>1 ") && message.contains(" host-a strongroom "), "{message}");
    let mail = mailed.join().unwrap();
    assert!(
        mail.contains("Subject: Strongroom: [critical]") && mail.contains("security@example.com"),
        "{mail}"
    );

    // It is no news any more, in whatever copy.
    assert!(world.alerts(&receivers, 0).is_empty());
    std::fs::write(world.path("trail/all.json"), json!({ "Records": [deletion("e1", KEY)] }).to_string())
        .unwrap();
    assert!(world.alerts(&["--trail", "trail"], 0).is_empty());
    world.add(&deletion("e2", KEY));
    assert_eq!(world.alerts(&["--trail", "trail"], 3).len(), 1);
}

#[test]
fn a_receiver_that_is_away_gets_its_alerts_later() {
    let world = World::new(None);
    world.add(&deletion("e1", KEY));
    let (away, refused) = webhook("503 Service Unavailable");
    let output = world.ends(
        &["watch", "--once", "--events", "events", "--webhook", &away, "--webhook-secret", "secret"],
        3,
    );
    assert!(text(&output.stderr).contains("503"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("dies at "), "{}", text(&output.stdout));
    refused.join().unwrap();
    let (back, heard) = webhook("200 OK");
    assert!(world.alerts(&["--webhook", &back, "--webhook-secret", "secret"], 0).is_empty());
    let (_, body) = heard.join().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["event"]["id"], "e1");
}

#[test]
fn what_is_old_or_harmless_or_makes_no_sense() {
    let world = World::new(None);
    let mut old = deletion("old", KEY);
    old["eventTime"] = json!("2026-01-01T00:00:00Z");
    world.add(&old);
    world.add(&record("back", "EnableKey", KEY, &json!({ "keyId": KEY })));
    assert!(world.alerts(&[], 0).is_empty());
    world.add(&record("back2", "EnableKey", KEY, &json!({ "keyId": KEY })));
    assert_eq!(world.alerts(&["--min-severity", "info"], 3).len(), 1);
    std::fs::set_permissions(world.path("secret"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let hook = ["--webhook", "https://alerts.example/in", "--webhook-secret", "secret"];
    for more in [
        hook.as_slice(),
        &["--auto-cancel"],
        &["--webhook", "https://alerts.example/in"],
        &["--syslog", "logs.example"],
        &["--smtp", "smtps://a:b@mail.example", "--mail-to", "a@example.com"],
        &["--gcp", "events"],
    ] {
        world.ends(&[&["watch", "--once", "--events", "events"], more].concat(), 2);
    }
    world.ends(&["watch", "--once"], 2);
    world.ends(&["watch", "--once", "--events", "absent"], 1);
}

#[test]
fn watching_goes_on_until_it_is_stopped() {
    let world = World::new(None);
    let mut child = world
        .command(&["watch", "--json", "--events", "events", "--interval", "100ms"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    world.add(&deletion("e1", KEY));
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    world.add(&deletion("e2", KEY));
    let second: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((first["event"]["id"].as_str(), second["event"]["id"].as_str()), (Some("e1"), Some("e2")));
    let stopped = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success() && child.wait().unwrap().success());
}

#[test]
fn a_key_comes_back_and_what_hangs_on_it_is_named() {
    let Some(kms) = services::moto() else { return };
    let (id, secret) = kms.admin.clone();
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(&kms.endpoint)
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .build();
    let client = aws_sdk_kms::Client::from_conf(config);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let made =
        client.create_key().key_spec(KeySpec::SymmetricDefault).key_usage(KeyUsageType::EncryptDecrypt);
    let arn = runtime.block_on(made.send()).unwrap().key_metadata.unwrap().arn.unwrap();
    let world = World::new(Some(kms));
    let (cloud, host) = (format!("cloud=aws-kms:{arn}"), "host=file:host.key".to_owned());
    let init = ["init", "-q", "--time-lock", "0", "--keyholder", &cloud, "--keyholder", &host];
    world.ends(&[init.as_slice(), &["--read-policy", "cloud", "--write-policy", "host"]].concat(), 0);
    world.ends(&["backup", "-q", "--key-file", "host=host.key", "src"], 0);

    let deleted = || {
        let call = client.schedule_key_deletion().key_id(&arn).pending_window_in_days(7).send();
        runtime.block_on(call).unwrap();
    };
    deleted();
    world.add(&deletion("e1", &arn));
    world.add(&deletion("elsewhere", KEY));
    let alerts = world.alerts(&[], 3);
    assert_eq!(alerts.len(), 1, "keys of others are no news: {alerts:?}");
    let hangs = &alerts[0]["blast"]["datasets"][0];
    assert_eq!(
        (&hangs["snapshots_lost"], &hangs["snapshots"], &hangs["backups_stop"]),
        (&json!(1), &json!(1), &json!(false))
    );
    assert_eq!(alerts[0]["blast"]["keyholders"], json!(["cloud"]));
    assert!(alerts[0]["rescue"].is_null());

    world.add(&deletion("e2", &arn));
    let alerts = world.alerts(&["--auto-cancel"], 3);
    assert_eq!(
        (&alerts[0]["rescue"]["done"], &alerts[0]["rescue"]["recorded"]),
        (&json!(true), &json!(true)),
        "{alerts:?}"
    );
    world.ends(&["restore", "latest", "--target", "out", "-q"], 0);
    let shown = world.ends(&["ledger", "show", "--json", "-q", "--verb", "resume"], 0);
    let entry: Value = serde_json::from_str(text(&shown.stdout).trim()).unwrap();
    assert_eq!((&entry["what"]["details"]["event"], &entry["what"]["key_id"]), (&json!("e2"), &json!(arn)));

    // Once for each call.
    deleted();
    assert!(world.alerts(&["--auto-cancel"], 0).is_empty());
    world.ends(&["restore", "latest", "--target", "out2", "-q"], 5);
    // Who suspends by our own program means it.
    world.add(&deletion("e3", &arn));
    world.alerts(&["--auto-cancel"], 3);
    world.ends(&["key", "suspend", "cloud", "-q"], 0);
    let shown = world.ends(&["ledger", "show", "--json", "-q", "--verb", "suspend"], 0);
    let entry: Value = serde_json::from_str(text(&shown.stdout).lines().last().unwrap()).unwrap();
    let mut ours = record("e4", "DisableKey", &arn, &json!({ "keyId": arn }));
    ours["userAgent"] =
        json!(format!("aws-sdk-rust/1 strongroom-op/{}", entry["operation"].as_str().unwrap()));
    world.add(&ours);
    let alerts = world.alerts(&["--auto-cancel"], 3);
    assert!(alerts[0]["rescue"]["said"].as_str().unwrap().contains("left as it is"), "{alerts:?}");
    world.ends(&["restore", "latest", "--target", "out3", "-q"], 5);
}
