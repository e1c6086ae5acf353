//! Loading answers of AWS: every shape, hostile input, and that the order of files changes nothing.

#![expect(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

mod hostile;
mod iam_collect;
mod order;
mod shapes;

use strongroom_posture::estate::{AccountId, Estate, Extent, Kind, Scope};
use strongroom_posture::load::{Limits, load_documents};

/// Loads files given as paths and texts.
fn load(files: &[(&str, &str)]) -> Estate {
    let documents = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    load_documents(documents, &Limits::default())
}

/// Loads files that have no problem.
fn load_whole(files: &[(&str, &str)]) -> Estate {
    let estate = load(files);
    let problems: Vec<String> = estate.problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{problems:#?}");
    estate
}

fn account(number: &str) -> AccountId {
    number.parse().unwrap()
}

fn extent(estate: &Estate, number: &str, kind: Kind) -> Extent {
    estate.coverage.extent(&Scope::Account(account(number)), kind)
}

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const POLICY: &str = r#"{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [{\"Effect\": \"Allow\", \"Principal\": {\"AWS\": \"arn:aws:iam::111122223333:root\"}, \"Action\": \"kms:*\", \"Resource\": \"*\"}]\n}"#;

fn key_metadata(arn: &str, extra: &str) -> String {
    let id = arn.rsplit('/').next().unwrap();
    format!(
        r#"{{"KeyMetadata": {{"AWSAccountId": "111122223333", "KeyId": "{id}", "Arn": "{arn}", "CreationDate": 1700000000.5,
        "Enabled": true, "KeyState": "Enabled", "Origin": "AWS_KMS", "KeyManager": "CUSTOMER", "MultiRegion": false{extra}}}}}"#
    )
}
