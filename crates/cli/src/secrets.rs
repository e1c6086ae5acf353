//! Where passphrases come from. They are wiped when dropped, and never come from the command line.

use crate::env::Env;
use crate::error::{CliError, ErrorKind};
use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use zeroize::Zeroizing;

/// Longest passphrase that is read, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// Where a passphrase comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum PassphraseSource {
    /// The first line of what a shell command prints.
    Command(String),
    /// `STRONGROOM_PASSPHRASE`.
    Environment,
    /// The first line of a file.
    File(PathBuf),
    /// The terminal.
    Prompt,
}

impl std::fmt::Debug for PassphraseSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // The text of a command may hold a token.
            Self::Command(_) => f.write_str("Command(..)"),
            Self::Environment => f.write_str("Environment"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Prompt => f.write_str("Prompt"),
        }
    }
}

/// What the passphrase is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Opens something that exists.
    Open,
    /// Protects something new: it is asked for twice, and must not be empty.
    Create,
}

/// Gets the passphrase of the keyholder `label`.
///
/// # Errors
/// [`ErrorKind::SecretMissing`] where the source gives none, or where the terminal would have to be
/// asked and there is none; [`ErrorKind::Cancelled`] on Ctrl-C at the prompt.
pub fn passphrase(
    source: &PassphraseSource,
    label: &str,
    usage: Use,
    env: &Env,
) -> Result<Zeroizing<String>, CliError> {
    let secret = match source {
        PassphraseSource::Command(command) => from_command(command)?,
        PassphraseSource::Environment => {
            let value = env.os("STRONGROOM_PASSPHRASE").and_then(|value| value.to_str());
            let value =
                value.ok_or_else(|| missing("STRONGROOM_PASSPHRASE is not set, or not UTF-8".into()))?;
            Zeroizing::new(value.to_owned())
        }
        PassphraseSource::File(path) => {
            let file = File::open(path).map_err(|error| CliError::file("read", path, &error))?;
            first_line(file, "the passphrase file")?
        }
        PassphraseSource::Prompt => from_terminal(label, usage)?,
    };
    if secret.is_empty() {
        return Err(missing(format!("the passphrase for `{label}` is empty")));
    }
    Ok(secret)
}

fn missing(message: String) -> CliError {
    CliError::new(ErrorKind::SecretMissing, message)
}

fn from_command(command: &str) -> Result<Zeroizing<String>, CliError> {
    let failed =
        |error: &std::io::Error| missing("the passphrase command cannot be run".into()).caused_by(error);
    let mut child = Command::new("sh")
        .args(["-c", command])
        .env_remove("STRONGROOM_PASSPHRASE")
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| failed(&error))?;
    let secret = match child.stdout.take() {
        Some(stdout) => first_line(stdout, "the output of the passphrase command"),
        None => Ok(Zeroizing::default()),
    };
    let status = child.wait().map_err(|error| failed(&error))?;
    if status.success() { secret } else { Err(missing(format!("the passphrase command failed: {status}"))) }
}

/// Reads to the end, so that a writer does not meet a closed pipe; only the first line counts.
fn first_line(mut reader: impl Read, what: &str) -> Result<Zeroizing<String>, CliError> {
    let mut bytes = Zeroizing::new(vec![0; LONGEST + 1]);
    let mut filled = 0;
    while filled < bytes.len() {
        match reader.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(missing(format!("{what} cannot be read")).caused_by(&error)),
        }
    }
    if filled > LONGEST {
        return Err(missing(format!("{what} is longer than 64 KiB")));
    }
    let line = bytes[..filled].split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| missing(format!("{what} is not UTF-8")))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn from_terminal(label: &str, usage: Use) -> Result<Zeroizing<String>, CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(missing(format!(
            "the passphrase for `{label}` is needed, and there is no terminal to ask for it"
        )));
    }
    let secret = ask(&format!("Passphrase for {label}: "))?;
    if usage == Use::Create {
        if secret.is_empty() {
            return Err(missing(format!("the passphrase for `{label}` is empty")));
        }
        if *ask("Once more: ")? != *secret {
            return Err(missing("the two passphrases differ".into()).hint("nothing was changed; try again"));
        }
    }
    Ok(secret)
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, CliError> {
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| match error.kind() {
        std::io::ErrorKind::Interrupted => {
            CliError::new(ErrorKind::Cancelled, "stopped at the prompt").hint("")
        }
        _ => missing("the terminal cannot be asked for a passphrase".into()).caused_by(&error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn get(source: &PassphraseSource) -> Result<String, CliError> {
        let env = Env::new([("STRONGROOM_PASSPHRASE".to_owned(), "from env".into())]);
        passphrase(source, "office", Use::Open, &env).map(|secret| secret.to_string())
    }

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file
    }

    #[test]
    fn the_first_line_counts() {
        let read = |content: &[u8]| get(&PassphraseSource::File(file(content).path().to_owned()));
        assert_eq!(read(b"correct horse\nsecond\n").unwrap(), "correct horse");
        assert_eq!(read(b" spaces stay \r\n").unwrap(), " spaces stay ");
        assert_eq!(read(b"no line feed").unwrap(), "no line feed");
        assert_eq!(read(b"\nsecond").unwrap_err().kind(), ErrorKind::SecretMissing);
        assert_eq!(read(b"\xff\xfe").unwrap_err().message(), "the passphrase file is not UTF-8");
        assert!(read(&vec![b'a'; LONGEST + 1]).is_err());
        assert!(read(&vec![b'a'; LONGEST]).is_ok());
    }

    #[test]
    fn commands_and_the_environment() {
        assert_eq!(get(&PassphraseSource::Command("echo from command".into())).unwrap(), "from command");
        let error = get(&PassphraseSource::Command("echo secret; exit 3".into())).unwrap_err();
        assert_eq!(error.message(), "the passphrase command failed: exit status: 3");
        assert!(get(&PassphraseSource::Command("printf \"$STRONGROOM_PASSPHRASE\"".into())).is_err());
        assert_eq!(get(&PassphraseSource::Environment).unwrap(), "from env");
    }

    #[test]
    fn nothing_shows_in_debug() {
        assert_eq!(format!("{:?}", PassphraseSource::Command("echo hunter2".into())), "Command(..)");
    }
}
