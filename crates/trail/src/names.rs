//! Keys have many names; one of them is used to compare.
//!
//! An ARN of a key stays as it is. A key id alone becomes an ARN by the account and region of the event. An alias is
//! resolved where somebody said what it stands for; otherwise it stays an alias, and equals no key.

use std::collections::BTreeMap;

/// What is known of the names of keys.
#[derive(Debug, Clone, Default)]
pub struct Names {
    aliases: BTreeMap<String, String>,
}

impl Names {
    /// Says what an alias stands for: `alias` is an ARN of an alias, `key` one of a key.
    pub fn add(&mut self, alias: impl Into<String>, key: impl Into<String>) {
        self.aliases.insert(alias.into(), key.into());
    }

    /// The full name of a key that a caller called `given`.
    #[must_use]
    pub fn resolve(&self, given: &str, region: &str, account: &str) -> String {
        let partition = match region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        let full = if given.starts_with("arn:") {
            given.to_owned()
        } else if given.starts_with("alias/") {
            format!("arn:{partition}:kms:{region}:{account}:{given}")
        } else {
            format!("arn:{partition}:kms:{region}:{account}:key/{given}")
        };
        self.aliases.get(&full).cloned().unwrap_or(full)
    }
}

/// Whether two names mean the same key. Replicas of a multi-Region key are the same key in another region; Transit's
/// keys have versions behind them in some places.
#[must_use]
pub fn same_key(a: &str, b: &str) -> bool {
    a == b
        || a.rsplit_once(":key/").is_some_and(|(_, id)| {
            id == b
                || (id.starts_with("mrk-") && b.rsplit_once(":key/").is_some_and(|(_, other)| id == other))
        })
        || b.rsplit_once(":key/").is_some_and(|(_, id)| id == a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_full() {
        let mut names = Names::default();
        names.add("arn:aws:kms:eu-west-1:1:alias/a", "arn:aws:kms:eu-west-1:1:key/k");
        assert_eq!(names.resolve("alias/a", "eu-west-1", "1"), "arn:aws:kms:eu-west-1:1:key/k");
        assert_eq!(names.resolve("k", "cn-north-1", "1"), "arn:aws-cn:kms:cn-north-1:1:key/k");
        assert_eq!(names.resolve("alias/b", "eu-west-1", "1"), "arn:aws:kms:eu-west-1:1:alias/b");
    }

    #[test]
    fn replicas_are_one_key_and_other_keys_are_not() {
        let (a, b) = ("arn:aws:kms:eu-west-1:1:key/mrk-1", "arn:aws:kms:us-east-1:1:key/mrk-1");
        assert!(same_key(a, b) && same_key(a, "mrk-1") && same_key("mrk-1", b));
        assert!(!same_key("arn:aws:kms:eu-west-1:1:key/1", "arn:aws:kms:us-east-1:1:key/1"));
        assert!(!same_key(a, "arn:aws:kms:eu-west-1:1:key/mrk-2"));
    }
}
