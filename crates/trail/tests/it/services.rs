//! A real OpenBao with a real audit device: `scripts/services start`. `STRONGROOM_TEST_SKIP_SERVICES=1` skips it.

use crate::common::key_use;
use data_encoding::BASE64;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    env,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
};
use strongroom_ledger::entry::Verb;
use strongroom_trail::{
    audit::Reader,
    coverage::Coverage,
    detect,
    event::{Event, Operation},
    reconcile::{Options, Verdict, reconcile},
};

struct Bao {
    address: String,
    token: String,
}

impl Bao {
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} /v1/{path} HTTP/1.1\r\nHost: {}\r\nX-Vault-Token: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            self.token,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
        if body.trim().is_empty() { Value::Null } else { serde_json::from_str(body).unwrap() }
    }
}

fn variable(name: &str) -> Option<String> {
    match env::var(name) {
        Ok(value) => Some(value),
        Err(_) if env::var("STRONGROOM_TEST_SKIP_SERVICES").as_deref() == Ok("1") => None,
        Err(_) => panic!(
            "{name} is not set: eval \"$(scripts/services env)\", or set STRONGROOM_TEST_SKIP_SERVICES=1"
        ),
    }
}

#[test]
fn a_real_audit_device_is_joined_with_what_was_done() {
    let names = ["STRONGROOM_TEST_BAO_ADDR", "STRONGROOM_TEST_BAO_TOKEN", "STRONGROOM_TEST_BAO_AUDIT"];
    let [Some(address), Some(token), Some(audit)] = names.map(variable) else { return };
    let bao = Bao { address: address.trim_start_matches("http://").to_owned(), token };
    let mount = format!("trail-{}", std::process::id());
    bao.call("POST", &format!("sys/mounts/{mount}"), &json!({ "type": "transit" }));
    bao.call("POST", &format!("{mount}/keys/k"), &json!({}));
    let associated = BASE64.encode(&key_use(1, Verb::Unwrap, 0, None).associated_data());
    let other = BASE64.encode(b"something else");
    let sealed = |associated: &str| {
        let body = json!({ "plaintext": BASE64.encode(b"secret"), "associated_data": associated });
        let answer = bao.call("POST", &format!("{mount}/encrypt/k"), &body);
        answer["data"]["ciphertext"].as_str().unwrap().to_owned()
    };
    let opened = |associated: &str| {
        let body = json!({ "ciphertext": sealed(associated), "associated_data": associated });
        let answer = bao.call("POST", &format!("{mount}/decrypt/k"), &body);
        answer["request_id"].as_str().unwrap().to_owned()
    };
    let (right, wrong) = (opened(&associated), opened(&other));
    bao.call("POST", &format!("{mount}/keys/k/config"), &json!({ "deletion_allowed": true }));
    bao.call("DELETE", &format!("{mount}/keys/k"), &json!({}));
    bao.call("DELETE", &format!("sys/mounts/{mount}"), &json!({}));

    let mut reader = Reader::new(&[&mount]);
    reader.read_file("test", Path::new(&audit));
    let devices = reader.finish();
    assert!(devices.problems.is_empty(), "{:?}", devices.problems);
    let ours: Vec<Event> = devices.events.into_iter().filter(|event| event.name.contains(&mount)).collect();
    let now = Timestamp::now();
    let uses: Vec<_> = [&right, &wrong]
        .map(|request| {
            let mut one = key_use(1, Verb::Unwrap, 0, Some(request));
            (one.kind, one.key_id, one.time, one.ended) =
                ("transit".into(), Some(format!("{mount}/k")), now, Some(now));
            one
        })
        .into();
    let mut result = reconcile(&uses, &ours, &Coverage::default(), &Options::new(now));
    assert_eq!(result.counts[&Verdict::Matched], 2, "{result:?}");
    let mut check = |device: &str, text: &str| {
        let answer = bao.call("POST", &format!("sys/audit-hash/{device}"), &json!({ "input": text }));
        Ok(answer["data"]["hash"].as_str().unwrap_or_default().to_owned())
    };
    let bindings = result.check_bindings(&uses, &ours, &mut check).unwrap();
    assert_eq!((bindings.same, bindings.other, bindings.unknown), (1, 1, 0));
    let bad = result.findings.iter().find(|finding| finding.verdict == Verdict::Mismatch).unwrap();
    assert_eq!(ours[bad.event.unwrap()].request_id.as_deref(), Some(wrong.as_str()));
    assert_eq!(ours.iter().filter(|event| event.operation == Operation::Encrypt).count(), 2);

    let found = detect::detect(&ours, &detect::Options::default());
    let rules: Vec<&str> = found.iter().map(|found| found.rule.id).collect();
    for rule in ["transit-deletion-allowed", "transit-key-deleted", "transit-mount-removed"] {
        assert!(rules.contains(&rule), "{rule}: {rules:?}");
    }
}
