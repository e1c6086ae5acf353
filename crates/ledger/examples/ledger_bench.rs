//! Measures appending and verifying: `cargo run --release -p strongroom-ledger --example ledger_bench -- FOLDER
//! SECONDS ENTRIES`. Appends for SECONDS with an fsync for each commit, then fills a second ledger up to ENTRIES and verifies it.

#![expect(clippy::print_stdout, reason = "this is a program, and its output is for people")]

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use strongroom_ledger::{
    Ledger, Options,
    checkpoint::Identity,
    entry::{
        Code, Entry, KeyContext, OperationId, Outcome, OutcomeResult, Phase, SCHEMA, Time, Verb, What, Who,
        Why,
    },
    note::{Algorithm, SigningKey},
    personal::{Field, Opening},
    reader::Reader,
    store::LocalLedger,
    verify::{VerifyOptions, verify},
};

fn entry(number: u64) -> Entry {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&(number / 2).to_be_bytes());
    let context = KeyContext {
        hash: "5a".repeat(32),
        vault: "1f".repeat(16),
        dataset: "home".into(),
        purpose: "read".into(),
        epoch: 7,
    };
    let what = What {
        keyholder: Some("kms-a".into()),
        kind: Some("aws-kms".into()),
        key_id: Some("arn:aws:kms:eu-central-1:111122223333:key/0f0e0d0c".into()),
        context: Some(context),
        ..What::new(Verb::Unwrap)
    };
    let outcome = Outcome {
        result: OutcomeResult::Success,
        class: None,
        request_id: Some(format!("{number:032x}")),
        duration_us: 12_345,
    };
    let human = Opening::new(Field::Human, "host-a", [3; 32]).commitment();
    Entry {
        schema: SCHEMA.into(),
        phase: if number.is_multiple_of(2) { Phase::Intent } else { Phase::Outcome },
        operation: OperationId::new(1_700_000_000_000, random),
        time: Time::new(jiff::Timestamp::UNIX_EPOCH),
        who: Who { human: Some(human), program: "strongroom/0.1.0".into(), ..Who::default() },
        what,
        why: Why { code: Code::parse("RESTORE").expect("a code"), ticket: None, words: None },
        decision: None,
        step: 1,
        attempt: 1,
        outcome: (!number.is_multiple_of(2)).then_some(outcome),
        spooled: None,
    }
}

fn key() -> SigningKey {
    SigningKey::from_seed("ledger.example/bench", Algorithm::Ed25519, &[1; 32]).expect("a seed")
}

async fn appends(folder: &Path, identity: &Identity, time: Duration) {
    let store = Arc::new(LocalLedger::new(folder));
    let ledger =
        Ledger::create(store, identity.clone(), key(), Options::default()).await.expect("a new folder");
    let ledger = Arc::new(ledger);
    let started = Instant::now();
    let callers: Vec<_> = (0..4096_u64)
        .map(|caller| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move {
                let (mut count, mut longest) = (0_u64, Duration::ZERO);
                while started.elapsed() < time {
                    let asked = Instant::now();
                    let bytes = entry(count * 4096 + caller).encode().expect("an entry");
                    ledger.append(bytes).await.expect("a disk that works");
                    longest = longest.max(asked.elapsed());
                    count += 1;
                }
                (count, longest)
            })
        })
        .collect();
    let (mut count, mut longest) = (0, Duration::ZERO);
    for caller in callers {
        let (own, wait) = caller.await.expect("no panic");
        count += own;
        longest = longest.max(wait);
    }
    ledger.flush().await.expect("a disk that works");
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "append: {count} entries in {seconds:.1} s, {:.0}/s, longest wait {longest:?}",
        count as f64 / seconds
    );
}

async fn fill(folder: &Path, identity: &Identity, count: u64) {
    let store = Arc::new(LocalLedger::new(folder));
    let ledger =
        Ledger::create(store, identity.clone(), key(), Options::default()).await.expect("a new folder");
    for number in 0..count {
        ledger.enqueue(entry(number).encode().expect("an entry")).expect("an entry");
        if number % 8192 == 8191 {
            ledger.flush().await.expect("a disk that works");
        }
    }
    ledger.flush().await.expect("a disk that works");
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, seconds, count] = &arguments[..] else {
        println!("ledger_bench FOLDER SECONDS ENTRIES");
        return;
    };
    let folder = Path::new(folder);
    let identity = Identity::new("ledger.example/bench", vec![key().public().clone()]);
    let seconds: u64 = seconds.parse().expect("seconds");
    if seconds > 0 {
        appends(&folder.join("append"), &identity, Duration::from_secs(seconds)).await;
    }
    let count: u64 = count.parse().expect("a number of entries");
    let verified = folder.join("verify");
    if !verified.exists() {
        let started = Instant::now();
        fill(&verified, &identity, count).await;
        println!("fill: {count} entries in {:.1} s", started.elapsed().as_secs_f64());
    }
    for fields in [false, true] {
        let reader = Reader::new(Arc::new(LocalLedger::new(&verified)), identity.clone());
        let started = Instant::now();
        let options = VerifyOptions { fields, ..VerifyOptions::default() };
        let report = verify(&reader, &options).await.expect("a ledger");
        let size = report.head.checkpoint.size;
        println!(
            "verify: {size} entries, {} MB, fields {fields}: {:.2} s, sound {}",
            report.bytes / 1_000_000,
            started.elapsed().as_secs_f64(),
            report.is_sound()
        );
    }
}
