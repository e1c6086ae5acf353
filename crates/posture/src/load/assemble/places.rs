//! What a file is about, by its path and by the files beside it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::estate::AccountId;
use crate::load::FileRead;
use crate::load::hints::Hints;
use crate::load::record::Record;

/// What may be described beside an answer that does not name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Key,
    PermissionSet,
    Trail,
}

type Name = Arc<str>;
type Described = BTreeSet<(Name, Name)>;

/// What is known of files by where they lie.
#[derive(Debug, Default)]
pub(super) struct Places {
    hints: Vec<Hints>,
    callers: HashMap<Arc<str>, AccountId>,
    accounts: HashMap<Arc<str>, BTreeSet<AccountId>>,
    /// Stems and names of what is described in a directory.
    subjects: HashMap<(Name, Subject), Described>,
    buckets: BTreeSet<Arc<str>>,
}

impl Places {
    pub(super) fn learn(files: &[FileRead]) -> Self {
        let mut places = Self::default();
        for read in files {
            let directory = &read.hints.directory;
            for located in &read.records {
                places.learn_record(directory, &read.hints.stem, &located.record);
            }
        }
        places.hints = files.iter().map(|read| read.hints.clone()).collect();
        places
    }

    fn learn_record(&mut self, directory: &Arc<str>, stem: &Arc<str>, record: &Record) {
        let mut subject = |subject, name: &Arc<str>| {
            let subjects = self.subjects.entry((Arc::clone(directory), subject)).or_default();
            subjects.insert((Arc::clone(stem), Arc::clone(name)));
        };
        let mut account = None;
        match record {
            Record::Caller(caller) => {
                self.callers.insert(Arc::clone(directory), *caller);
            }
            Record::Key(key) => {
                subject(Subject::Key, &key.arn);
                account = Some(key.account);
            }
            Record::PermissionSet { arn, .. } => subject(Subject::PermissionSet, arn),
            Record::Selectors { trail, .. } => subject(Subject::Trail, trail),
            Record::Trail(trail) => subject(Subject::Trail, &trail.arn),
            Record::Bucket { name, .. } => {
                self.buckets.insert(Arc::clone(name));
            }
            Record::Listed { account: Some(of), .. }
            | Record::User(of, _)
            | Record::Group(of, _)
            | Record::Role(of, _)
            | Record::Provider(of, _)
            | Record::Compute { account: Some(of), .. } => account = Some(*of),
            _ => {}
        }
        if let Some(account) = account {
            match self.accounts.get_mut(directory) {
                Some(accounts) => {
                    accounts.insert(account);
                }
                None => {
                    self.accounts.insert(Arc::clone(directory), BTreeSet::from([account]));
                }
            }
        }
    }

    pub(super) fn hints(&self, file: usize) -> &Hints {
        &self.hints[file]
    }

    /// The account that a file is about.
    pub(super) fn account(&self, file: usize) -> Option<AccountId> {
        let hints = self.hints(file);
        hints.account().or_else(|| self.caller(&hints.directory)).or_else(|| {
            let accounts = self.accounts.get(&hints.directory)?;
            (accounts.len() == 1).then(|| accounts.first().copied()).flatten()
        })
    }

    /// Who asked, as a file in the directory or the nearest one above it tells.
    fn caller(&self, directory: &str) -> Option<AccountId> {
        let mut directory = directory;
        loop {
            if let Some(account) = self.callers.get(directory) {
                return Some(*account);
            }
            directory = match directory.rsplit_once('/') {
                Some((above, _)) => above,
                None if directory.is_empty() => return None,
                None => "",
            };
        }
    }

    /// The region that a file is about.
    pub(super) fn region(&self, file: usize) -> Option<Arc<str>> {
        self.hints(file).region().cloned()
    }

    /// What is described beside a file under the same name, or as the only one there.
    pub(super) fn beside(&self, file: usize, subject: Subject) -> Option<&Arc<str>> {
        let hints = self.hints(file);
        let subjects = self.subjects.get(&(Arc::clone(&hints.directory), subject))?;
        only(subjects.iter().filter(|(stem, _)| *stem == hints.stem).map(|(_, name)| name).collect())
            .or_else(|| only(subjects.iter().map(|(_, name)| name).collect()))
    }

    /// The bucket that the path of a file names, among those that are listed.
    pub(super) fn bucket(&self, file: usize) -> Option<Arc<str>> {
        self.hints(file).runs().find_map(|run| self.buckets.get(run).cloned())
    }
}

/// The name that is the only one.
fn only(names: BTreeSet<&Arc<str>>) -> Option<&Arc<str>> {
    if names.len() == 1 { names.into_iter().next() } else { None }
}
