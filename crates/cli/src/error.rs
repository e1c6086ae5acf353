//! Every way to fail, in one place: its code, its exit code, and what to do next.
//!
//! Libraries say what failed; only this file knows codes, hints and exit codes. [`docs`] writes the
//! table into `docs/errors.md`.

mod libraries;

use crate::escape;
use serde::Serialize;
use std::fmt::Write as _;
use std::process::ExitCode;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal, exit $exit:literal, $title:literal, $hint:literal;)*) => {
        /// What kind of failure it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorKind { $($(#[$doc])* $name,)* }

        impl ErrorKind {
            /// All kinds, in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The exit code of the process.
            #[must_use]
            pub const fn exit(self) -> u8 {
                match self { $(Self::$name => $exit,)* }
            }

            /// What it means, in a few words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What to do next, where the error itself has nothing better; may be empty.
            #[must_use]
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$name => $hint,)* }
            }
        }
    };
}

kinds! {
    /// An argument or a combination of arguments makes no sense.
    Usage = "SR-0101", exit 2, "The command line makes no sense",
        "run the command with --help for its options and examples";
    /// The config file cannot be read or understood.
    Config = "SR-0102", exit 2, "The config file is wrong",
        "docs/configuration.md lists every key; `strongroom config show` prints what is in effect";
    /// A passphrase is needed and no source gives one.
    SecretMissing = "SR-0103", exit 2, "No source for a passphrase",
        "give --passphrase-file FILE or --passphrase-command CMD, or run from a terminal";
    /// The operation destroys more than it was clearly told to.
    ConsentMissing = "SR-0104", exit 2, "More would be removed than was clearly asked for",
        "look at the plan with --dry-run first";
    /// Ctrl-C, or a request to terminate.
    Cancelled = "SR-0110", exit 130, "Stopped on request",
        "what was stored stays valid; run the same command again to go on";
    /// A local file or directory cannot be read or written.
    LocalFile = "SR-0201", exit 1, "A local file cannot be read or written", "";
    /// The storage does not answer.
    StorageUnreachable = "SR-0202", exit 1, "The storage cannot be reached",
        "nothing is damaged; check the network and the endpoint, then run the command again";
    /// The storage answers, and says no.
    StorageDenied = "SR-0203", exit 1, "The storage refuses access",
        "check which credentials are in effect, and their permissions on the location of the vault";
    /// The storage has no room left.
    StorageFull = "SR-0204", exit 1, "The storage is full",
        "every finished snapshot is whole; free some space, then run the command again";
    /// The storage fails in a way that is neither of these.
    StorageFailed = "SR-0205", exit 1, "The storage fails", "";
    /// A command whose output was to be backed up failed.
    CommandFailed = "SR-0206", exit 1, "The command whose output was to be backed up failed",
        "no snapshot was made; see what the command said, and run it by itself";
    /// A file system cannot be mounted.
    MountFailed = "SR-0207", exit 1, "The file system cannot be mounted",
        "FUSE is needed: the device /dev/fuse, and fusermount3 where the user is not root";
    /// There is no vault at the location.
    VaultMissing = "SR-0301", exit 1, "There is no vault at this location",
        "check --vault, or make a new vault with `strongroom init`";
    /// There is already a vault at the location.
    VaultExists = "SR-0302", exit 1, "There is already a vault at this location",
        "use it as it is, or choose another location";
    /// The vault was written by a newer version.
    VaultTooNew = "SR-0303", exit 1, "The vault needs a newer version of Strongroom",
        "update Strongroom on this machine";
    /// The vault has no such dataset.
    DatasetMissing = "SR-0304", exit 1, "There is no such dataset",
        "`strongroom dataset list` shows the datasets of the vault";
    /// No snapshot matches.
    SnapshotMissing = "SR-0305", exit 1, "No snapshot matches",
        "`strongroom snapshots` lists the snapshots of the dataset";
    /// Several snapshots match where one is needed.
    SnapshotAmbiguous = "SR-0306", exit 1, "Several snapshots match where one is needed",
        "give more digits of the id";
    /// The snapshot does not hold the path.
    PathMissing = "SR-0307", exit 1, "The snapshot does not hold this path",
        "`strongroom ls SNAPSHOT` lists what it holds";
    /// The vault has a dataset of this name already.
    DatasetExists = "SR-0308", exit 1, "There is already a dataset of this name",
        "use it as it is, or choose another name";
    /// Somebody else changes the same thing.
    Conflict = "SR-0309", exit 1, "Somebody else changed the vault at the same time", "run the command again";
    /// A keyholder, or its provider, said no.
    CustodyRefused = "SR-0401", exit 5, "A keyholder refuses the use of its key",
        "a refusal is final until somebody changes it at the key's provider; it is never retried";
    /// Too few keyholders opened for the policy.
    QuorumUnmet = "SR-0402", exit 5, "Too few keyholders opened their part",
        "the message names the keyholders that are missing; give their keys with --key-file, --identity or a passphrase";
    /// A keyholder's provider did not answer in time.
    KeyholderUnreachable = "SR-0403", exit 5, "A keyholder cannot be reached",
        "this is no refusal: check the network and the provider, or use another keyholder of the policy";
    /// A passphrase, key file or identity does not open its wrap.
    WrongKey = "SR-0404", exit 5, "A passphrase, key file or identity is not the right one", "";
    /// The vault shows another, an older or a forked keyring than this machine has seen.
    Pinned = "SR-0405", exit 5, "The vault is not the one that was seen here before, or its keyring is older",
        "use no key here until you know who changed the storage; if the change is yours: `strongroom key trust VAULT-ID`";
    /// A change waits for its time lock, was cancelled, or is over.
    Locked = "SR-0406", exit 5, "A dangerous change waits, was cancelled, or is over",
        "`strongroom key changes` shows all of them";
    /// Shares of a ceremony do not give its key material back.
    Ceremony = "SR-0411", exit 5, "The shares do not give the key material back",
        "the words on each card and in what `ceremony generate` printed tell which share belongs to which ceremony";
    /// Key material cannot be wrapped for a provider, or the provider does not take it.
    Import = "SR-0412", exit 5, "Key material cannot be imported",
        "fetch the provider's wrapping key again: `strongroom ceremony fetch`";
    /// The ledger could not be written, so no key was used, or the use could not be recorded to its end.
    LedgerUnwritable = "SR-0421", exit 5, "The ledger cannot be written",
        "no ledger, no key use: make the ledger reachable again; for a host that is offline, see --ledger-spool";
    /// There is no ledger where one was, or is needed.
    LedgerMissing = "SR-0422", exit 5, "There is no ledger",
        "a ledger that was there and is gone was removed by somebody: find out who before a key is used; a host that has none of its own takes the ledger's key from one that has, or --ledger-spool FILE";
    /// Bytes of the vault are not what they were when written.
    Damaged = "SR-0501", exit 4, "Bytes in the vault are damaged or forged",
        "change nothing; `strongroom check --scrub` names every damaged object";
    /// The ledger was changed, rolled back, forked, or signed by somebody else.
    LedgerForged = "SR-0502", exit 4, "The ledger is not what it was",
        "use no key, keep the storage as it is, and compare with what witnesses and other hosts remember";
    /// A trail's signed digests say that somebody changed or removed parts of it.
    TrailTampered = "SR-0503", exit 4, "The trail of a key provider was changed",
        "keep the bucket as it is, and fetch the files again from where CloudTrail writes them";
    /// A key was used, or was said to be used, in a way that ledger and trail do not tell alike.
    KeyUseUnexplained = "SR-0504", exit 4, "Key uses and the ledger do not agree",
        "take UNEXPLAINED for stolen credentials until you know better: `strongroom key suspend` closes the key";
    /// Somebody can hurt keys who should not.
    PostureFails = "SR-0505", exit 4, "Somebody can hurt the keys who should not", "";
    /// The work was done except for what was reported.
    Problems = "SR-0601", exit 3, "Finished, but some files or objects had problems", "";
    /// Whoever read our standard output is gone.
    BrokenPipe = "SR-0602", exit 141, "The reader of standard output is gone", "";
    /// We are wrong.
    Bug = "SR-0701", exit 70, "This is a bug in Strongroom",
        "please report it with the message above and the command that was run; leave out secrets";
}

/// A failure on its way to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliError {
    kind: ErrorKind,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
}

impl CliError {
    /// A failure of `kind`; `message` says what failed, with its context, and ends without a full stop.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hint: None }
    }

    /// A local file or directory that could not be `verb`: "read", "written", …
    #[must_use]
    pub fn file(verb: &str, path: &std::path::Path, source: &std::io::Error) -> Self {
        let shown = escape::path(path.as_os_str().as_encoded_bytes());
        Self::new(ErrorKind::LocalFile, format!("{shown} cannot be {verb}")).caused_by(source)
    }

    /// Adds `source` and everything below it.
    #[must_use]
    pub fn caused_by(mut self, source: &dyn std::error::Error) -> Self {
        let mut next = Some(source);
        while let Some(error) = next {
            self.causes.push(error.to_string());
            next = error.source();
        }
        self
    }

    /// Adds everything below `error`, which the message has told already.
    #[must_use]
    pub fn with_causes_of(self, error: &dyn std::error::Error) -> Self {
        match error.source() {
            Some(source) => self.caused_by(source),
            None => self,
        }
    }

    /// Replaces the hint of the kind.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What failed.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The exit code of a process that ends with this.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.kind.exit())
    }

    fn effective_hint(&self) -> Option<&str> {
        self.hint.as_deref().or(Some(self.kind.hint())).filter(|hint| !hint.is_empty())
    }

    /// For people: what failed, why, what to do next. Ends with a line feed.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let (red, cyan, bold, dim, off) = if color {
            ("\x1b[1;31m", "\x1b[1;36m", "\x1b[1m", "\x1b[2m", "\x1b[0m")
        } else {
            ("", "", "", "", "")
        };
        let mut out = String::new();
        let message = indented(&self.message);
        let code = self.kind.code();
        let _ = writeln!(out, "{red}error:{off} {bold}{message}{off} {dim}[{code}]{off}");
        for cause in &self.causes {
            let _ = writeln!(out, "  caused by: {}", indented(cause));
        }
        if let Some(hint) = self.effective_hint() {
            let _ = writeln!(out, "{cyan}hint:{off} {}", indented(hint));
        }
        out
    }

    /// For programs: one JSON object on one line, without a line feed.
    #[must_use]
    pub fn render_json(&self) -> String {
        #[derive(Serialize)]
        struct Message<'a> {
            message_type: &'static str,
            code: &'static str,
            exit_code: u8,
            message: &'a str,
            causes: &'a [String],
            #[serde(skip_serializing_if = "Option::is_none")]
            hint: Option<&'a str>,
        }
        serde_json::to_string(&Message {
            message_type: "error",
            code: self.kind.code(),
            exit_code: self.kind.exit(),
            message: &self.message,
            causes: &self.causes,
            hint: self.effective_hint(),
        })
        .unwrap_or_else(|_| format!(r#"{{"message_type":"error","code":"{}"}}"#, self.kind.code()))
    }
}

/// Safe for a terminal; further lines are indented, so that no foreign text can pass for ours.
fn indented(text: &str) -> String {
    escape::text(text.trim_end()).replace('\n', "\n    ")
}

impl std::fmt::Display for CliError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}

/// The text of `docs/errors.md`.
#[must_use]
pub fn docs() -> String {
    let mut out = String::from(
        "# Errors and exit codes\n\n\
         <!-- Written from crates/cli/src/error.rs; a test fails when it is stale. -->\n\n\
         Every error has a code that never changes its meaning, an exit code for scripts, and a hint.\n\
         With `--json` it is one object on standard error:\n\
         `{\"message_type\":\"error\",\"code\":…,\"exit_code\":…,\"message\":…,\"causes\":[…],\"hint\":…}`.\n\n\
         | exit code | meaning |\n|---|---|\n\
         | 0 | done |\n| 1 | failed |\n| 2 | wrong usage or configuration |\n| 3 | finished, with problems |\n\
         | 4 | integrity violation |\n| 5 | custody refused, or too few keyholders |\n| 70 | a bug |\n\
         | 130 | stopped by Ctrl-C |\n| 141 | the reader of standard output went away |\n\n\
         | code | exit | meaning | what to do next |\n|---|---|---|---|\n",
    );
    for kind in ErrorKind::ALL {
        let _ = writeln!(out, "| {} | {} | {} | {} |", kind.code(), kind.exit(), kind.title(), kind.hint());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[derive(Debug, thiserror::Error)]
    #[error("the connection was reset")]
    struct Reset(#[source] std::io::Error);

    fn sample() -> CliError {
        let source = Reset(std::io::Error::other("host-a closed the socket"));
        CliError::new(ErrorKind::StorageUnreachable, "the vault s3://backups/main cannot be read")
            .caused_by(&source)
    }

    #[test]
    fn for_people() {
        let expected = "\
error: the vault s3://backups/main cannot be read [SR-0202]
  caused by: the connection was reset
  caused by: host-a closed the socket
hint: nothing is damaged; check the network and the endpoint, then run the command again
";
        assert_eq!(sample().render(false), expected);
    }

    #[test]
    fn for_people_in_colour() {
        let error = CliError::new(ErrorKind::LocalFile, "x cannot be read");
        assert_eq!(
            error.render(true),
            "\x1b[1;31merror:\x1b[0m \x1b[1mx cannot be read\x1b[0m \x1b[2m[SR-0201]\x1b[0m\n"
        );
    }

    #[test]
    fn for_programs() {
        assert_eq!(
            sample().hint("try \"later\"").render_json(),
            r#"{"message_type":"error","code":"SR-0202","exit_code":1,"message":"the vault s3://backups/main cannot be read","causes":["the connection was reset","host-a closed the socket"],"hint":"try \"later\""}"#
        );
    }

    #[test]
    fn foreign_text_cannot_drive_the_terminal_or_forge_a_line() {
        let error = CliError::new(ErrorKind::LocalFile, "a\x1b[2J\nhint: run rm -rf cannot be read");
        let shown = error.render(false);
        assert!(!shown.contains('\x1b'));
        assert!(!shown.lines().any(|line| line.starts_with("hint:")));
        let path = std::path::Path::new("a\nhint: b");
        let error = CliError::file("read", path, &std::io::Error::other("no"));
        assert_eq!(error.message(), "a%0Ahint: b cannot be read");
    }

    #[test]
    fn codes_are_unique_and_well_formed() {
        let codes: HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
        for kind in ErrorKind::ALL {
            assert!(kind.code().starts_with("SR-") && kind.code().len() == 7, "{}", kind.code());
            assert!([1, 2, 3, 4, 5, 70, 130, 141].contains(&kind.exit()), "{}", kind.code());
            assert!(!kind.hint().ends_with('.'), "{}", kind.code());
        }
    }
}
