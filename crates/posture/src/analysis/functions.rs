//! What each account is for: as somebody said, or as its name tells.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::estate::{AccountId, Estate};

/// What an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// Manages an organisation.
    Management,
    /// Holds keys of backups, and nothing else.
    Keys,
    /// Holds backups.
    Backup,
    /// Watches: logs, audit, security services.
    Security,
    /// Runs what the company sells or works with.
    Production,
    /// Builds and deploys.
    DevOps,
    /// Networks, directories, shared services.
    Infrastructure,
    /// Offices and their software.
    Business,
    /// Nobody said, and its name does not tell.
    Unknown,
}

const NAMES: [(&str, Function); 9] = [
    ("management", Function::Management),
    ("keys", Function::Keys),
    ("backup", Function::Backup),
    ("security", Function::Security),
    ("production", Function::Production),
    ("devops", Function::DevOps),
    ("infrastructure", Function::Infrastructure),
    ("business", Function::Business),
    ("unknown", Function::Unknown),
];

/// Words in names of accounts, the first that is found.
const WORDS: [(&str, Function); 22] = [
    ("key", Function::Keys),
    ("kms", Function::Keys),
    ("byok", Function::Keys),
    ("backup", Function::Backup),
    ("vault", Function::Backup),
    ("security", Function::Security),
    ("audit", Function::Security),
    ("log", Function::Security),
    ("devops", Function::DevOps),
    ("cicd", Function::DevOps),
    ("deploy", Function::DevOps),
    ("tooling", Function::DevOps),
    ("infra", Function::Infrastructure),
    ("network", Function::Infrastructure),
    ("shared", Function::Infrastructure),
    ("business", Function::Business),
    ("office", Function::Business),
    ("finance", Function::Business),
    ("corp", Function::Business),
    ("prod", Function::Production),
    ("workload", Function::Production),
    ("app", Function::Production),
];

impl Function {
    /// Whether it is one of the security services.
    pub fn is_security(self) -> bool {
        matches!(self, Self::Keys | Self::Backup | Self::Security)
    }

    fn of_name(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        WORDS.iter().find(|(word, _)| name.contains(word)).map_or(Self::Unknown, |(_, function)| *function)
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, function)| function == self).map_or("unknown", |(name, _)| *name);
        f.write_str(name)
    }
}

impl FromStr for Function {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, function)| *function).ok_or_else(|| {
            let all: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            format!("`{text}` is none of {}", all.join(", "))
        })
    }
}

/// What each account is for, and whether somebody said so.
#[derive(Clone, Debug, Default)]
pub struct Functions(BTreeMap<AccountId, (Function, bool)>);

impl Functions {
    /// From what was said, else from organisations and names.
    pub fn of(estate: &Estate, said: &[(AccountId, Function)]) -> Self {
        let mut functions = Self::default();
        for id in estate.accounts.keys() {
            functions.0.insert(*id, (Function::Unknown, false));
        }
        for organisation in estate.organisations.values() {
            for (id, member) in &organisation.members {
                let function = match organisation.management {
                    Some(management) if management == *id => Function::Management,
                    _ => member.name.as_deref().map_or(Function::Unknown, Function::of_name),
                };
                functions.0.insert(*id, (function, false));
            }
        }
        for (id, function) in said {
            functions.0.insert(*id, (*function, true));
        }
        functions
    }

    /// What an account is for.
    pub fn get(&self, account: AccountId) -> Function {
        self.0.get(&account).map_or(Function::Unknown, |(function, _)| *function)
    }

    /// Whether somebody said so, as opposed to its name.
    pub fn was_said(&self, account: AccountId) -> bool {
        self.0.get(&account).is_some_and(|(_, said)| *said)
    }

    /// Accounts of a function.
    pub fn all(&self, function: Function) -> impl Iterator<Item = AccountId> {
        self.0.iter().filter(move |(_, (of, _))| *of == function).map(|(id, _)| *id)
    }

    /// All accounts with their functions.
    pub fn iter(&self) -> impl Iterator<Item = (AccountId, Function)> {
        self.0.iter().map(|(id, (function, _))| (*id, *function))
    }
}
