//! Streams that are backed up: standard input, and the output of a command.

use crate::error::CliError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use strongroom_vault::VaultError;
use strongroom_vault::progress::Cancel;

/// How often a reader that waits looks whether it should stop, in nanoseconds.
const LOOK: i64 = 200_000_000;

/// A pipe whose reader stops on request, even while nothing comes.
pub struct Interruptible {
    file: File,
    cancel: Arc<Cancel>,
}

impl Interruptible {
    /// Standard input.
    ///
    /// # Errors
    /// Where it is closed.
    pub fn stdin(cancel: Arc<Cancel>) -> Result<Self, CliError> {
        let fd = io::stdin().as_fd().try_clone_to_owned();
        let fd = fd.map_err(|error| CliError::file("read", "standard input".as_ref(), &error))?;
        Ok(Self { file: fd.into(), cancel })
    }
}

impl Read for Interruptible {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let pause = Timespec { tv_sec: 0, tv_nsec: LOOK };
        loop {
            if self.cancel.is_requested() {
                return Err(io::Error::other("stopped on request"));
            }
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&pause)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.file.read(buffer),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// How a command ended.
#[derive(Clone, Default)]
pub struct Ending(Arc<Mutex<Option<(String, String)>>>);

impl Ending {
    /// The failure, where it was one.
    #[must_use]
    pub fn failure(&self) -> Option<VaultError> {
        let ended = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ended.map(|(command, outcome)| VaultError::Command { command, outcome })
    }
}

/// The output of a command. It ends only where the command succeeded: any other end is an error of the
/// reader, so that half a dump never becomes a snapshot.
pub struct CommandOutput {
    child: Child,
    output: Interruptible,
    program: String,
    ended: bool,
    ending: Ending,
}

impl CommandOutput {
    /// Starts a command; its standard input and error are ours.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(command: &[OsString], cancel: Arc<Cancel>) -> Result<Self, CliError> {
        let (program, arguments) = command.split_first().ok_or(VaultError::Bug("no command was given"))?;
        let shown = program.to_string_lossy().into_owned();
        let failed = |error: io::Error| {
            let outcome = format!("cannot be started: {error}");
            CliError::from(VaultError::Command { command: shown.clone(), outcome })
        };
        let mut child = Command::new(program)
            .args(arguments)
            .env_remove("STRONGROOM_PASSPHRASE")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let output = child.stdout.take().ok_or(VaultError::Bug("a pipe was not made"))?;
        let file = File::from(std::os::fd::OwnedFd::from(output));
        Ok(Self {
            child,
            output: Interruptible { file, cancel },
            program: shown,
            ended: false,
            ending: Ending::default(),
        })
    }

    /// Tells how the command ended, once it has.
    #[must_use]
    pub fn ending(&self) -> Ending {
        self.ending.clone()
    }

    fn fail(&self, outcome: String) -> io::Error {
        let error = io::Error::other(format!("the command {outcome}"));
        let mut ending = self.ending.0.lock().unwrap_or_else(PoisonError::into_inner);
        ending.get_or_insert((self.program.clone(), outcome));
        error
    }
}

impl Read for CommandOutput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        match self.output.read(buffer)? {
            0 => {
                let status = self.child.wait()?;
                if status.success() {
                    self.ended = true;
                    Ok(0)
                } else {
                    Err(self.fail(format!("failed ({status})")))
                }
            }
            read => Ok(read),
        }
    }
}

impl Drop for CommandOutput {
    fn drop(&mut self) {
        // Whoever stops reading has no use for the rest; a command that has ended is not there to be killed.
        if !self.ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn start(script: &str, cancel: &Arc<Cancel>) -> CommandOutput {
        let command = ["sh", "-c", script].map(OsString::from);
        CommandOutput::start(&command, Arc::clone(cancel)).unwrap()
    }

    #[test]
    fn the_output_ends_only_with_success() {
        let cancel = Arc::new(Cancel::new());
        let mut text = String::new();
        let mut good = start("printf abc", &cancel);
        good.read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
        assert!(good.ending().failure().is_none());

        let mut bad = start("printf abc; exit 3", &cancel);
        assert!(bad.read_to_string(&mut text).is_err());
        let failure = bad.ending().failure().unwrap().to_string();
        assert_eq!(failure, "the command `sh` failed (exit status: 3); no snapshot was made");
        assert!(CommandOutput::start(&["/does/not/exist".into()], cancel).is_err());
    }

    #[test]
    fn a_silent_command_is_stopped() {
        let cancel = Arc::new(Cancel::new());
        let mut silent = start("exec sleep 60", &cancel);
        cancel.request();
        let begun = Instant::now();
        assert!(silent.read(&mut [0; 8]).is_err());
        drop(silent);
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
