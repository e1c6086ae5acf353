//! Names of KMS keys: `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`.

use crate::holder::HolderError;
use std::fmt;

/// How the id of a multi-Region key starts; it is the same id in each of its Regions.
const MULTI_REGION: &str = "mrk-";
/// Longest id, far above the 36 characters of those that KMS makes.
const ID_MAX: usize = 128;

/// The ARN of a key, never of an alias: an alias can be pointed at another key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct KeyArn {
    text: String,
    partition: String,
    region: String,
    account: String,
    id: String,
}

impl KeyArn {
    pub(crate) fn parse(text: &str) -> Result<Self, HolderError> {
        let malformed = |what: &str| HolderError::Malformed(format!("`{}` {what}", text.escape_debug()));
        let parts = parts(text)
            .ok_or_else(|| malformed("is no ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID)"))?;
        let id = parts.resource.strip_prefix("key/").ok_or_else(|| malformed("is no ARN of a key"))?;
        if id.is_empty() || id.len() > ID_MAX || !id.bytes().all(is_name) {
            return Err(malformed("has no key id that KMS makes"));
        }
        Ok(Self {
            text: text.to_owned(),
            partition: parts.partition.to_owned(),
            region: parts.region.to_owned(),
            account: parts.account.to_owned(),
            id: id.to_owned(),
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn partition(&self) -> &str {
        &self.partition
    }

    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// The part that names the key in its Region.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    pub(crate) fn is_multi_region(&self) -> bool {
        self.id.starts_with(MULTI_REGION)
    }

    /// Whether both name the same key material: the same key, or replicas of one multi-Region key.
    pub(super) fn is_same_key(&self, other: &Self) -> bool {
        let replicas = self.is_multi_region()
            && (&self.partition, &self.account, &self.id) == (&other.partition, &other.account, &other.id);
        self == other || replicas
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The Region in the ARN of a key or an alias; none where `text` is another way to name a key.
pub(super) fn region(text: &str) -> Option<&str> {
    parts(text).map(|parts| parts.region)
}

struct Parts<'a> {
    partition: &'a str,
    region: &'a str,
    account: &'a str,
    resource: &'a str,
}

fn parts(text: &str) -> Option<Parts<'_>> {
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next();
    let (arn, partition, service) = (next()?, next()?, next()?);
    let (region, account, resource) = (next()?, next()?, next()?);
    let named = [partition, region].iter().all(|part| !part.is_empty() && part.bytes().all(is_name));
    let owned = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (arn == "arn" && service == "kms" && named && owned).then_some(Parts {
        partition,
        region,
        account,
        resource,
    })
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn parts_of_an_arn() {
        let arn = KeyArn::parse(KEY).unwrap();
        assert_eq!((arn.region(), arn.account(), arn.as_str()), ("eu-central-1", "123456789012", KEY));
        assert!(!arn.is_multi_region());
        assert_eq!(
            region("arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/backup"),
            Some("us-gov-west-1")
        );
        assert_eq!(region("alias/backup"), None);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "alias/backup",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws:kms:eu-central-1:123456789012:alias/backup",
            "arn:aws:s3:eu-central-1:123456789012:key/1",
            "arn:aws:kms::123456789012:key/1",
            "arn:aws:kms:eu-central-1:12345678901:key/1",
            "arn:aws:kms:eu-central-1:12345678901x:key/1",
            "arn:aws:kms:eu-central-1:123456789012:key/",
            "arn:aws:kms:eu-central-1:123456789012:key/1;rm -rf",
            "arn:aws:kms:eu central-1:123456789012:key/1",
            "arn:aws:kms:evil.example/?:123456789012:key/1",
            &format!("{KEY}:more"),
        ] {
            assert!(matches!(KeyArn::parse(text), Err(HolderError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn replicas_are_the_same_key_and_nothing_else_is() {
        let arn = |text: &str| KeyArn::parse(text).unwrap();
        let primary = arn("arn:aws:kms:us-east-1:123456789012:key/mrk-1");
        assert!(primary.is_same_key(&primary));
        assert!(primary.is_same_key(&arn("arn:aws:kms:eu-west-1:123456789012:key/mrk-1")));
        for other in [
            "arn:aws:kms:eu-west-1:123456789012:key/mrk-2",
            "arn:aws:kms:eu-west-1:123456789013:key/mrk-1",
            "arn:aws-cn:kms:eu-west-1:123456789012:key/mrk-1",
        ] {
            assert!(!primary.is_same_key(&arn(other)), "{other}");
        }
        let single = arn(KEY);
        assert!(!single.is_same_key(&arn(&KEY.replace("eu-central-1", "us-east-1"))));
    }
}
