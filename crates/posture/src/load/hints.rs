//! What the path of a file says about what it holds.
//!
//! Some answers of AWS do not name what they are about: `kms get-key-policy` gives a policy and no key. Ids are
//! looked for in the path then: of accounts, regions, keys, roots, units, policies and permission sets. They count
//! wherever they stand between other characters than letters and digits, and the last one of a kind is meant.
//!
//! What a document *is* never depends on its path.

use std::sync::Arc;

use crate::estate::AccountId;

/// Ids in a path, in the order in which they stand there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hints {
    /// The directory.
    pub(crate) directory: Arc<str>,
    /// What is left of the file's name without its extension and the words of commands.
    pub(crate) stem: Arc<str>,
    pub(crate) ids: Vec<Id>,
    /// Directories and the file's name without extension.
    pub(crate) parts: Vec<Arc<str>>,
}

/// An id in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Id {
    Account(AccountId),
    Region(Arc<str>),
    Key(Arc<str>),
    /// A root or an OU.
    Node(Arc<str>),
    OrgPolicy(Arc<str>),
    PermissionSet(Arc<str>),
}

/// Words that commands and their files are named by: without them, what two files of one resource share is left.
const COMMAND_WORDS: &[&str] = &[
    "access",
    "alias",
    "aliases",
    "api",
    "authorization",
    "aws",
    "backup",
    "bucket",
    "cloudtrail",
    "configuration",
    "default",
    "describe",
    "details",
    "event",
    "for",
    "get",
    "grant",
    "grants",
    "key",
    "kms",
    "list",
    "lock",
    "metadata",
    "object",
    "permission",
    "policies",
    "policy",
    "public",
    "ram",
    "resource",
    "rotation",
    "s3",
    "s3api",
    "selectors",
    "set",
    "sso",
    "status",
    "tags",
    "trail",
    "vault",
    "versioning",
    "in",
    "managed",
    "inline",
];

impl Hints {
    pub(crate) fn of(path: &str) -> Self {
        let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
        let name = file.rsplit_once('.').map_or(file, |(name, _)| name);
        let mut hints = Self { directory: directory.into(), stem: stem(name).into(), ..Self::default() };
        for part in directory.split('/').filter(|part| !part.is_empty()).chain([name]) {
            hints.parts.push(part.into());
            for token in part.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
                hints.token(&token.split('-').collect::<Vec<_>>());
            }
        }
        hints
    }

    pub(crate) fn account(&self) -> Option<AccountId> {
        self.ids.iter().rev().find_map(|id| if let Id::Account(account) = id { Some(*account) } else { None })
    }

    pub(crate) fn region(&self) -> Option<&Arc<str>> {
        self.ids.iter().rev().find_map(|id| if let Id::Region(region) = id { Some(region) } else { None })
    }

    pub(crate) fn key(&self) -> Option<&Arc<str>> {
        self.ids.iter().rev().find_map(|id| if let Id::Key(key) = id { Some(key) } else { None })
    }

    pub(crate) fn node(&self) -> Option<&Arc<str>> {
        self.ids.iter().rev().find_map(|id| if let Id::Node(node) = id { Some(node) } else { None })
    }

    pub(crate) fn org_policy(&self) -> Option<&Arc<str>> {
        self.ids.iter().rev().find_map(|id| if let Id::OrgPolicy(policy) = id { Some(policy) } else { None })
    }

    pub(crate) fn permission_set(&self) -> Option<&Arc<str>> {
        self.ids.iter().rev().find_map(|id| if let Id::PermissionSet(set) = id { Some(set) } else { None })
    }

    /// The last root, unit or account, whichever it is: what policies of an organisation hang on.
    pub(crate) fn target(&self) -> Option<Arc<str>> {
        self.ids.iter().rev().find_map(|id| match id {
            Id::Node(node) => Some(Arc::clone(node)),
            Id::Account(account) => Some(account.to_string().into()),
            _ => None,
        })
    }

    /// What policies of an organisation hang on, where a list of them may as well be of all there are.
    pub(crate) fn policy_target(&self) -> Option<Arc<str>> {
        let lists_all = self.parts.last().is_some_and(|name| **name == *"list-policies");
        let of_targets = self.parts.iter().any(|part| part.to_ascii_lowercase().contains("target"));
        let named = self.parts.last().is_some_and(|name| Self::of(name).account().is_some());
        match self.target() {
            Some(_) if lists_all && !of_targets => None,
            Some(target) if of_targets || named || self.node().is_some_and(|node| *node == target) => {
                Some(target)
            }
            _ => None,
        }
    }

    /// Every run of whole words in the path, from the file's name outwards and the longest first. A resource that is
    /// known by name is looked for among these.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().rev().flat_map(|part| {
            let mut starts = vec![0];
            let mut ends = Vec::new();
            for (at, c) in part.char_indices() {
                if !c.is_ascii_alphanumeric() {
                    ends.push(at);
                    starts.push(at + c.len_utf8());
                }
            }
            ends.push(part.len());
            // A path of thousands of words is nobody's.
            starts.truncate(64);
            let mut runs: Vec<&str> = starts
                .iter()
                .flat_map(|&start| ends.iter().take(64).filter_map(move |&end| part.get(start..end)))
                .filter(|run| !run.is_empty())
                .collect();
            runs.sort_by_key(|run| std::cmp::Reverse(run.len()));
            runs
        })
    }

    fn token(&mut self, words: &[&str]) {
        let mut at = 0;
        while at < words.len() {
            at += self.id_at(&words[at..]);
        }
    }

    /// Notes the id that begins here, and tells how many words it takes.
    fn id_at(&mut self, words: &[&str]) -> usize {
        let join = |count: usize| -> Arc<str> { words[..count].join("-").into() };
        let lower = |word: &str, least: usize| {
            word.len() >= least && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if is_uuid(words) {
            self.ids.push(Id::Key(join(5)));
            return 5;
        }
        if let Some(count) = region_words(words) {
            self.ids.push(Id::Region(join(count)));
            return count;
        }
        match words {
            ["mrk", hex, ..] if is_hex(hex, 32) => self.ids.push(Id::Key(join(2))),
            ["ou", root, unit, ..] if lower(root, 4) && lower(unit, 8) => {
                self.ids.push(Id::Node(join(3)));
                return 3;
            }
            ["r", root, ..] if lower(root, 4) => self.ids.push(Id::Node(join(2))),
            ["p", "FullAWSAccess" | "RCPFullAWSAccess", ..] => self.ids.push(Id::OrgPolicy(join(2))),
            ["p", policy, ..] if lower(policy, 8) => self.ids.push(Id::OrgPolicy(join(2))),
            ["ps", set, ..] if is_hex(set, 16) => self.ids.push(Id::PermissionSet(join(2))),
            [account, ..] => {
                if let Ok(account) = account.parse() {
                    self.ids.push(Id::Account(account));
                }
                return 1;
            }
            [] => return 1,
        }
        2
    }
}

fn stem(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty() && !COMMAND_WORDS.contains(word)).collect::<Vec<_>>().join("-")
}

fn is_hex(word: &str, length: usize) -> bool {
    word.len() == length && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_uuid(words: &[&str]) -> bool {
    words.len() >= 5 && [8, 4, 4, 4, 12].iter().zip(words).all(|(&length, word)| is_hex(word, length))
}

/// How many words the region takes that begins here: `eu-west-1`, `us-gov-east-1`.
fn region_words(words: &[&str]) -> Option<usize> {
    let compass = |word: &str| {
        matches!(
            word,
            "north"
                | "south"
                | "east"
                | "west"
                | "central"
                | "northeast"
                | "northwest"
                | "southeast"
                | "southwest"
        )
    };
    let number = |word: &str| word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_digit());
    let area = |word: &str| word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    match words {
        [first, second, third, ..] if area(first) && compass(second) && number(third) => Some(3),
        [first, "gov" | "iso" | "isob" | "isoe" | "isof", third, fourth, ..]
            if area(first) && compass(third) && number(fourth) =>
        {
            Some(4)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_wherever_they_stand() {
        let hints = Hints::of(
            "aws/111122223333/kms_eu-west-1/get-key-policy-1234abcd-12ab-34cd-56ef-123456789012.json",
        );
        assert_eq!(hints.account().unwrap().to_string(), "111122223333");
        assert_eq!(&**hints.region().unwrap(), "eu-west-1");
        assert_eq!(&**hints.key().unwrap(), "1234abcd-12ab-34cd-56ef-123456789012");
    }

    #[test]
    fn the_last_target_is_meant() {
        let hints = Hints::of("111122223333/list-policies-for-target/ou-ab12-cdefghij.json");
        assert_eq!(&*hints.target().unwrap(), "ou-ab12-cdefghij");
        let hints = Hints::of("r-ab12/444455556666.scps.json");
        assert_eq!(&*hints.target().unwrap(), "444455556666");
        assert_eq!(&**Hints::of("x/p-FullAWSAccess.json").org_policy().unwrap(), "p-FullAWSAccess");
        assert_eq!(&**Hints::of("us-gov-west-1/a.json").region().unwrap(), "us-gov-west-1");
        assert_eq!(&**Hints::of("ps-0123456789abcdef.json").permission_set().unwrap(), "ps-0123456789abcdef");
        assert_eq!(
            &**Hints::of("mrk-0123456789abcdef0123456789abcdef").key().unwrap(),
            "mrk-0123456789abcdef0123456789abcdef"
        );
        assert_eq!(Hints::of("1111222233334/list-keys.json").ids, []);
    }

    #[test]
    fn an_account_above_a_list_of_policies_is_no_target() {
        let target = |path| Hints::of(path).policy_target().map(|target| target.to_string());
        let account = Some("444455556666".to_owned());
        assert_eq!(target("444455556666/organizations/list-policies.json"), None);
        assert_eq!(target("444455556666/organizations/scps.json"), None);
        assert_eq!(target("r-ab12/list-policies.json"), None);
        assert_eq!(target("x/444455556666.scps.json"), account);
        assert_eq!(target("list-policies-for-target/444455556666/scps.json"), account);
        assert_eq!(target("111122223333/r-ab12.json").as_deref(), Some("r-ab12"));
    }

    #[test]
    fn files_of_one_resource_share_their_stem() {
        let stem = |path| Hints::of(path).stem;
        assert_eq!(stem("keys/prod.describe-key.json"), stem("keys/get-key-policy_prod.json"));
        assert_eq!(&*stem("keys/describe-key.json"), "");
    }

    #[test]
    fn runs_of_words_hold_a_name_with_hyphens() {
        let hints = Hints::of("a/get-bucket-versioning.log-archive.json");
        assert!(hints.runs().any(|run| run == "log-archive"));
    }
}
