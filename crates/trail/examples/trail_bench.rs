//! How fast trails are read: GB of inflated JSON a second on one core, beside plain inflation in the same run.
//!
//! `cargo run --release -p strongroom-trail --example trail_bench -- [files] [records of each] [rounds]`
//!
//! The files are made here: a record in five is about a key, the others are of other services and have the lengths that
//! real trails have. Files lie in memory-backed caches after the first round, so the disk is not measured.

#![allow(clippy::print_stdout, reason = "it is a program")]

use flate2::{Compression, bufread::MultiGzDecoder, write::GzEncoder};
use jiff::{SignedDuration, Timestamp};
use std::{
    error::Error,
    fs,
    io::{BufReader, Read, Write},
    path::Path,
    time::{Duration, Instant},
};
use strongroom_trail::{Options, files, names::Names, read, records};

/// SplitMix64.
fn scrambled(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

fn record(n: usize, start: Timestamp) -> Result<String, Box<dyn Error>> {
    let time = start.checked_add(SignedDuration::from_secs(i64::try_from(n)?))?;
    // A cheap generator: neighbours differ, and every run makes the same.
    let mixed = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let id = |salt: u64| {
        let (a, b) = (scrambled(mixed ^ salt), scrambled(mixed.rotate_left(17) ^ salt));
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            a >> 32,
            a & 0xffff,
            b & 0xfff,
            a >> 20 & 0xfff,
            b >> 16
        )
    };
    let (event, request_id, key) = (id(1), id(2), id(3 + n as u64 % 40));
    let (access, agent) = (scrambled(n as u64 / 20), n % 7);
    let (service, name, request) = if n.is_multiple_of(5) {
        let context = format!(
            r#"{{"strongroom:dataset":"db-{}","strongroom:epoch":"{}","strongroom:purpose":"read","strongroom:vault":"{:032x}"}}"#,
            n % 40,
            n % 12,
            scrambled(n as u64 % 40)
        );
        let request =
            format!(r#"{{"encryptionAlgorithm":"SYMMETRIC_DEFAULT","encryptionContext":{context}}}"#);
        ("kms", "Decrypt", request)
    } else {
        let request = format!(
            r#"{{"bucketName":"bucket-{}","Host":"bucket.s3.eu-west-1.amazonaws.com","prefix":"data/{:x}/{:x}","list-type":"2","encoding-type":"url","filter":"[\"a\",\"b\"]"}}"#,
            n % 100,
            mixed >> 40,
            mixed & 0xff_ffff
        );
        ("s3", "ListObjects", request)
    };
    Ok(format!(
        r#"{{"eventVersion":"1.11","userIdentity":{{"type":"AssumedRole","principalId":"AROA{access:016X}:host-{h}","arn":"arn:aws:sts::111122223333:assumed-role/backup/host-{h}","accountId":"111122223333","accessKeyId":"ASIA{access:016X}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"AROAEXAMPLE","arn":"arn:aws:iam::111122223333:role/backup","accountId":"111122223333","userName":"backup"}},"attributes":{{"creationDate":"2026-03-01T10:00:00Z","mfaAuthenticated":"false"}}}}}},"eventTime":"{time}","eventSource":"{service}.amazonaws.com","eventName":"{name}","awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.{ip}","userAgent":"aws-sdk-rust/1.3.{agent} os/linux lang/rust/1.95.0","requestParameters":{request},"responseElements":null,"requestID":"{request_id}","eventID":"{event}","readOnly":true,"resources":[{{"accountId":"111122223333","type":"AWS::KMS::Key","ARN":"arn:aws:kms:eu-west-1:111122223333:key/{key}"}}],"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"111122223333","eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"{service}.eu-west-1.amazonaws.com"}}}}"#,
        h = n % 60,
        ip = n % 250,
    ))
}

fn make(root: &Path, files: usize, each: usize) -> Result<(u64, u64), Box<dyn Error>> {
    let start: Timestamp = "2026-03-01T12:00:00Z".parse()?;
    let (mut inflated, mut stored) = (0, 0);
    for file in 0..files {
        let mut text = String::from("{\"Records\":[");
        for n in 0..each {
            if n > 0 {
                text.push(',');
            }
            text.push_str(&record(file * each + n, start)?);
        }
        text.push_str("]}");
        inflated += text.len() as u64;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(text.as_bytes())?;
        let bytes = gzip.finish()?;
        stored += bytes.len() as u64;
        fs::write(
            root.join(format!("111122223333_CloudTrail_eu-west-1_20260301T1200Z_{file:08}.json.gz")),
            bytes,
        )?;
    }
    Ok((inflated, stored))
}

fn inflate_only(root: &Path) -> Result<u64, Box<dyn Error>> {
    let mut buffer = vec![0; 128 << 10];
    let mut bytes = 0;
    for file in files::walk(root).0 {
        let mut source = MultiGzDecoder::new(BufReader::with_capacity(64 << 10, fs::File::open(file.path)?));
        loop {
            match source.read(&mut buffer)? {
                0 => break,
                more => bytes += more as u64,
            }
        }
    }
    Ok(bytes)
}

fn split_only(root: &Path) -> Result<u64, Box<dyn Error>> {
    let (mut buffer, mut count) = (Vec::new(), 0);
    for file in files::walk(root).0 {
        records::split(files::open(&file.path)?, &mut buffer, |item| {
            count += u64::from(matches!(item, records::Item::Record(..)));
        });
    }
    Ok(count)
}

/// Every record becomes a tree of values: what a plain reader does.
fn as_values(root: &Path) -> Result<u64, Box<dyn Error>> {
    let mut count = 0;
    for file in files::walk(root).0 {
        let mut bytes = Vec::new();
        files::open(&file.path)?.read_to_end(&mut bytes)?;
        let value: serde_json::Value = serde_json::from_slice(&bytes)?;
        count += value["Records"].as_array().map_or(0, Vec::len) as u64;
    }
    Ok(count)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<usize> =
        std::env::args().skip(1).map(|text| text.parse()).collect::<Result<_, _>>()?;
    let (count, each) = (*arguments.first().unwrap_or(&64), *arguments.get(1).unwrap_or(&4000));
    let rounds = *arguments.get(2).unwrap_or(&5);
    let dir = std::env::temp_dir().join(format!("trail-bench-{}", std::process::id()));
    fs::create_dir_all(&dir)?;
    let (inflated, stored) = make(&dir, count, each)?;
    println!(
        "{count} files of {each} records: {:.1} MB, {:.1} MB stored, {} B a record",
        inflated as f64 / 1e6,
        stored as f64 / 1e6,
        inflated / (count * each) as u64
    );
    let options = |threads| Options { threads, now: Timestamp::now(), names: Names::default(), watch: true };
    let one = |threads: usize| {
        let mut events = 0_u64;
        let summary = read(&dir, &options(threads), |_| events += 1);
        assert!(summary.problems.is_empty(), "{:?}", summary.problems);
        events
    };
    type Work<'a> = Box<dyn Fn() -> Result<u64, Box<dyn Error>> + 'a>;
    let works: [(&str, Work<'_>); 5] = [
        ("inflate only, 1 thread", Box::new(|| inflate_only(&dir))),
        ("inflate and split, 1 thread", Box::new(|| split_only(&dir))),
        ("read, 1 thread", Box::new(|| Ok(one(1)))),
        ("read, 2 threads", Box::new(|| Ok(one(2)))),
        ("serde_json::Value, 1 thread", Box::new(|| as_values(&dir))),
    ];
    let mut best = vec![Duration::MAX; works.len()];
    for _ in 0..rounds {
        // In turns, so that whatever else the machine does meets all alike.
        for (at, (_, work)) in works.iter().enumerate() {
            let start = Instant::now();
            std::hint::black_box(work()?);
            best[at] = best[at].min(start.elapsed());
        }
    }
    for ((name, _), time) in works.iter().zip(best) {
        println!(
            "{name:<30} {:>8.3} s {:>7.3} GB/s",
            time.as_secs_f64(),
            inflated as f64 / 1e9 / time.as_secs_f64()
        );
    }
    fs::remove_dir_all(&dir)?;
    Ok(())
}
