//! Wraps and unwraps per second of each provider, beside its raw client on the same server: `provider_rates CALLS`.
//! Needs `scripts/services start openbao moto` and what `scripts/services env` prints.

#![expect(clippy::print_stdout, reason = "this is a program, and its output is for people")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails has no figure")]

use aws_sdk_kms::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    primitives::Blob,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};
use strongroom_custody::{
    Keyholder, Secrets,
    holders::{aws_kms, build, transit},
};
use strongroom_format::{
    Secret32, VaultId,
    context::{Context, Purpose},
    keyring::{KeyholderSpec, Parameter},
};
use strongroom_testkit::services;

/// Rounds, each of which measures every way once, so that all meet the same machine.
const ROUNDS: usize = 5;

fn context() -> Context {
    Context { vault: VaultId([3; 16]), dataset: "home".into(), purpose: Purpose::Read, epoch: 7 }
}

fn spec(kind: &str, parameters: &[(&str, &str)]) -> KeyholderSpec {
    let text = |(name, value): &(&str, &str)| ((*name).to_owned(), Parameter::Text((*value).to_owned()));
    KeyholderSpec { kind: kind.into(), parameters: parameters.iter().map(text).collect() }
}

/// Calls per second.
async fn timed<T, F: Future<Output = T>>(calls: u32, mut call: impl FnMut() -> F) -> f64 {
    let started = Instant::now();
    for _ in 0..calls {
        call().await;
    }
    f64::from(calls) / started.elapsed().as_secs_f64()
}

/// Rates by what was measured.
type Rates = BTreeMap<&'static str, Vec<f64>>;

fn told(provider: &str, rates: &Rates) {
    let median = |what: &str| {
        let mut values = rates[what].clone();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    for (what, raw) in [("wrap", "raw wrap"), ("unwrap", "raw unwrap")] {
        let (ours, raw) = (median(what), median(raw));
        println!("| {provider} | {what} | {ours:.0} | {raw:.0} | {:.2} |", ours / raw);
    }
}

async fn ours(calls: u32, holder: &dyn Keyholder, rates: &mut Rates) {
    let (context, key) = (context(), Secret32::new([0x42; 32]));
    let blob = holder.wrap(&context, &key).await.unwrap().value;
    let wraps = timed(calls, || async { holder.wrap(&context, &key).await.unwrap() }).await;
    let unwraps = timed(calls, || async { holder.unwrap(&context, &blob).await.unwrap() }).await;
    rates.entry("wrap").or_default().push(wraps);
    rates.entry("unwrap").or_default().push(unwraps);
}

async fn post(http: &reqwest::Client, url: &str, token: &str, body: &Value) -> Value {
    let answer = http.post(url).header("x-vault-token", token).body(body.to_string()).send().await.unwrap();
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or(Value::Null)
}

async fn openbao(calls: u32) {
    let Some(service) = services::openbao() else { return };
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mount = services::unique_prefix("rates").replace('/', "-");
    let at = |path: &str| format!("{}/v1/{path}", service.address);
    post(&http, &at(&format!("sys/mounts/{mount}")), &service.token, &json!({"type": "transit"})).await;
    post(&http, &at(&format!("{mount}/keys/backup")), &service.token, &json!({})).await;
    let spec = spec(transit::KIND, &[("address", &service.address), ("key", "backup"), ("mount", &mount)]);
    let login = transit::Login::token(&service.token);
    let access = transit::Access::none().with_server(transit::Server { address: None, login, ca_file: None });
    let holder = build("bao", &spec, &Secrets::none().with_transit(access)).unwrap();
    let mut rates = Rates::new();
    let aad = data_encoding::BASE64.encode(&context().canonical());
    let plain = json!({"plaintext": data_encoding::BASE64.encode(&[0x42; 32]), "associated_data": aad});
    let (encrypt, decrypt) = (at(&format!("{mount}/encrypt/backup")), at(&format!("{mount}/decrypt/backup")));
    for _ in 0..ROUNDS {
        ours(calls, &*holder, &mut rates).await;
        let sealed = post(&http, &encrypt, &service.token, &plain).await;
        let sealed = json!({"ciphertext": sealed["data"]["ciphertext"], "associated_data": aad});
        let wraps = timed(calls, || post(&http, &encrypt, &service.token, &plain)).await;
        let unwraps = timed(calls, || post(&http, &decrypt, &service.token, &sealed)).await;
        rates.entry("raw wrap").or_default().push(wraps);
        rates.entry("raw unwrap").or_default().push(unwraps);
    }
    told("transit (OpenBao)", &rates);
}

async fn kms(calls: u32) {
    let Some(service) = services::moto() else { return };
    let (id, secret) = &service.admin;
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(&service.endpoint)
        .credentials_provider(Credentials::new(id, secret, None, None, "measurement"))
        .build();
    let client = Client::from_conf(config);
    let arn = client.create_key().send().await.unwrap().key_metadata.unwrap().arn.unwrap();
    let access = aws_kms::Access::with_key(&service.endpoint, id, secret);
    let secrets = Secrets::none().with_aws(access);
    let holder = build("kms", &spec(aws_kms::KIND, &[("key", &arn)]), &secrets).unwrap();
    let bound: HashMap<String, String> = HashMap::from([
        ("strongroom:vault".to_owned(), "03".repeat(16)),
        ("strongroom:dataset".to_owned(), "home".to_owned()),
        ("strongroom:purpose".to_owned(), "read".to_owned()),
        ("strongroom:epoch".to_owned(), "7".to_owned()),
    ]);
    let mut rates = Rates::new();
    for _ in 0..ROUNDS {
        ours(calls, &*holder, &mut rates).await;
        let encrypt = || {
            let plain = Blob::new(vec![0x42; 32]);
            let call = client.encrypt().key_id(&arn).plaintext(plain);
            call.set_encryption_context(Some(bound.clone())).send()
        };
        let blob = encrypt().await.unwrap().ciphertext_blob.unwrap();
        let wraps = timed(calls, encrypt).await;
        let unwraps = timed(calls, || {
            let call = client.decrypt().key_id(&arn).ciphertext_blob(blob.clone());
            call.set_encryption_context(Some(bound.clone())).send()
        })
        .await;
        rates.entry("raw wrap").or_default().push(wraps);
        rates.entry("raw unwrap").or_default().push(unwraps);
    }
    told("aws-kms (moto)", &rates);
}

fn main() {
    let calls = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(300);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!(
        "| provider | operation | ours, calls/s | raw client, calls/s | ours / raw |\n|---|---|--:|--:|--:|"
    );
    runtime.block_on(openbao(calls));
    runtime.block_on(kms(calls));
}
