//! Where the demonstration takes place: a working directory, and commands run in it.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use std::ffi::OsStr;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// The working directory and the way to run commands in it.
pub struct Stage<'a> {
    context: &'a Context,
    work: PathBuf,
    program: PathBuf,
    /// Removes the working directory in the end.
    temporary: Option<tempfile::TempDir>,
    color: bool,
}

impl<'a> Stage<'a> {
    /// Makes the working directory.
    ///
    /// # Errors
    /// Where it exists, or cannot be made.
    pub fn open(work: Option<&Path>, keep: bool, context: &'a Context) -> Result<Self, CliError> {
        let failed = |path: &Path, error: std::io::Error| CliError::file("made", path, &error);
        let mut temporary = None;
        let work = match work {
            Some(work) => {
                std::fs::create_dir(work).map_err(|error| failed(work, error))?;
                if !keep {
                    context.messages.note("the working directory is kept: it was named with --work");
                }
                std::fs::canonicalize(work).map_err(|error| failed(work, error))?
            }
            None => {
                let made = tempfile::Builder::new().prefix("strongroom-demo-").tempdir();
                let made = made.map_err(|error| failed(&std::env::temp_dir(), error))?;
                if keep { made.keep() } else { temporary.insert(made).path().to_owned() }
            }
        };
        let program = std::env::current_exe().map_err(|error| failed(Path::new("strongroom"), error))?;
        let color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Ok(Self { context, work, program, temporary, color })
    }

    /// The working directory.
    #[must_use]
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// The vault.
    #[must_use]
    pub fn vault(&self) -> PathBuf {
        self.work.join("vault")
    }

    /// Announces a step.
    ///
    /// # Errors
    /// Where nobody reads.
    pub fn title(&self, text: &str) -> Result<(), CliError> {
        let line = if self.color { format!("\n\x1b[1m{text}\x1b[0m") } else { format!("\n{text}") };
        self.context.output.line(&line)?;
        self.context.output.flush()
    }

    /// Says something about what was just shown.
    ///
    /// # Errors
    /// Where nobody reads.
    pub fn say(&self, text: &str) -> Result<(), CliError> {
        self.context.output.line(text)?;
        self.context.output.flush()
    }

    /// Runs a command that must succeed.
    ///
    /// # Errors
    /// Where it does not.
    pub fn command(&self, arguments: &[&OsStr]) -> Result<(), CliError> {
        match self.run(arguments)? {
            status if status.success() => Ok(()),
            // The command has said what was left out, and the demonstration can go on.
            status if status.code() == Some(i32::from(ErrorKind::Problems.exit())) => Ok(()),
            status => {
                let name = arguments.first().map(|name| name.to_string_lossy()).unwrap_or_default();
                Err(CliError::new(
                    ErrorKind::CommandFailed,
                    format!("`strongroom {name}` ended with {status}"),
                )
                .hint("the message above says why"))
            }
        }
    }

    /// Runs a command that must be refused with this kind of error's exit code.
    ///
    /// # Errors
    /// Where it is not.
    pub fn refused(&self, arguments: &[&OsStr], kind: ErrorKind) -> Result<(), CliError> {
        let status = self.run(arguments)?;
        if status.code() == Some(i32::from(kind.exit())) {
            return self.say(&format!("(exit code {})", kind.exit()));
        }
        Err(CliError::new(ErrorKind::Bug, format!("a command that must be refused ended with {status}")))
    }

    fn run(&self, arguments: &[&OsStr]) -> Result<ExitStatus, CliError> {
        let shown: Vec<_> = arguments.iter().map(|word| self.shorten(word)).collect();
        let line = format!("$ strongroom {}", shown.join(" "));
        self.context.output.line(&if self.color { format!("\x1b[36m{line}\x1b[0m") } else { line })?;
        self.context.output.flush()?;
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("STRONGROOM_") {
                command.env_remove(name);
            }
        }
        command
            .env("XDG_CONFIG_HOME", self.work.join("config"))
            .env("XDG_CACHE_HOME", self.work.join("cache"))
            .env("STRONGROOM_VAULT", self.vault())
            .args(arguments);
        let status = command.status();
        status.map_err(|error| CliError::file("run", &self.program, &error))
    }

    /// A word of a command as it is shown: the working directory is `$WORK`.
    fn shorten(&self, word: &OsStr) -> String {
        let word = crate::escape::path(std::os::unix::ffi::OsStrExt::as_bytes(word));
        word.replace(&*self.work.to_string_lossy(), "$WORK")
    }

    fn read_keys(&self) -> (PathBuf, PathBuf) {
        (self.work.join("config/strongroom/keys"), self.work.join("safe"))
    }

    /// Takes the read key off the host.
    ///
    /// # Errors
    /// Where it cannot be moved.
    pub fn hide_read_key(&self) -> Result<(), CliError> {
        let (host, safe) = self.read_keys();
        std::fs::create_dir_all(&safe).map_err(|error| CliError::file("made", &safe, &error))?;
        move_read_key(&host, &host, &safe)
    }

    /// Brings the read key back.
    ///
    /// # Errors
    /// Where it cannot be moved.
    pub fn show_read_key(&self) -> Result<(), CliError> {
        let (host, safe) = self.read_keys();
        move_read_key(&safe, &safe, &host)
    }

    /// Removes the working directory, or says where it is.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn close(self) -> Result<(), CliError> {
        match self.temporary {
            Some(temporary) => {
                temporary.close().map_err(|error| CliError::file("removed", &self.work, &error))
            }
            None => self.context.output.line(&format!("kept: {}", self.work.display())),
        }
    }
}

/// Moves every `read.key` below `from` to the same place below the other directory.
fn move_read_key(root: &Path, from: &Path, to: &Path) -> Result<(), CliError> {
    let failed = |error: std::io::Error| CliError::file("moved", from, &error);
    for entry in std::fs::read_dir(from).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            move_read_key(root, &path, to)?;
        } else if path.file_name() == Some(OsStr::new("read.key"))
            && let Ok(below) = path.strip_prefix(root)
        {
            let target = to.join(below);
            let folder = target.parent().unwrap_or(to);
            std::fs::create_dir_all(folder).and_then(|()| std::fs::rename(&path, &target)).map_err(failed)?;
        }
    }
    Ok(())
}
