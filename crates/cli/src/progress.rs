//! Shows how far an operation has come: a bar for people, lines for logs, objects for programs.

use crate::escape;
use crate::messages::{Messages, Verbosity};
use crate::output::Output;
use crate::units;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use strongroom_vault::progress::{Counters, Counts};
use unicode_width::UnicodeWidthStr;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressMode {
    /// A bar that is drawn over and over on a terminal.
    Bar,
    /// A line now and then, for logs.
    Lines,
    /// A JSON object at most once a second on standard output.
    Json,
    /// Not at all.
    Silent,
}

impl ProgressMode {
    /// What fits the options and the terminal.
    #[must_use]
    pub fn choose(json: bool, wanted: bool, verbosity: Verbosity) -> Self {
        Self::choose_for(json, wanted, verbosity, std::io::stderr().is_terminal())
    }

    fn choose_for(json: bool, wanted: bool, verbosity: Verbosity, terminal: bool) -> Self {
        match (wanted && verbosity > Verbosity::Quiet, json, terminal) {
            (false, ..) => Self::Silent,
            (_, true, _) => Self::Json,
            (_, _, true) => Self::Bar,
            _ if verbosity == Verbosity::Verbose => Self::Lines,
            _ => Self::Silent,
        }
    }

    const fn interval(self) -> Duration {
        match self {
            Self::Bar => Duration::from_millis(100),
            Self::Lines => Duration::from_secs(15),
            Self::Json | Self::Silent => Duration::from_secs(1),
        }
    }
}

/// A running display. It ends when finished or dropped.
pub struct ProgressSink {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ProgressSink {
    /// Starts to show `counters`, with `action` ("backing up") in front.
    #[must_use]
    pub fn start(
        mode: ProgressMode,
        action: &'static str,
        counters: Arc<Counters>,
        output: Arc<Output>,
        messages: Arc<Messages>,
    ) -> Self {
        if mode == ProgressMode::Silent {
            return Self { stop: None, thread: None };
        }
        let (stop, stopped) = mpsc::channel();
        let show = move || {
            let started = Instant::now();
            let bar = (mode == ProgressMode::Bar).then(new_bar);
            messages.attach(bar.clone());
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(mode.interval()) {
                let frame = Frame::new(action, &counters, started.elapsed());
                match (&bar, mode) {
                    (Some(bar), _) => draw(bar, &frame),
                    (None, ProgressMode::Json) => {
                        // The command itself meets the broken pipe when it writes its result.
                        let _ = output.json(&frame.status()).and_then(|()| output.flush());
                    }
                    (None, _) => messages.detail(&frame.line(usize::MAX)),
                }
            }
            messages.attach(None);
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        };
        let thread = std::thread::Builder::new().name("progress".into()).spawn(show).ok();
        Self { stop: Some(stop), thread }
    }

    /// Takes the display away, before results are printed.
    pub fn finish(self) {
        drop(self);
    }
}

impl Drop for ProgressSink {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for ProgressSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProgressSink").finish_non_exhaustive()
    }
}

fn new_bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{msg}") {
        bar.set_style(style);
    }
    bar
}

fn draw(bar: &ProgressBar, frame: &Frame) {
    let columns = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(0, |size| size.ws_col);
    let columns = if columns == 0 { 80 } else { columns };
    bar.set_message(frame.picture(usize::from(columns.max(20)) - 1));
}

/// Everything that is shown at one moment.
struct Frame {
    action: &'static str,
    counts: Counts,
    current: String,
    elapsed: Duration,
}

/// One status object, with the names that restic gives to the same things.
#[derive(Serialize)]
struct Status<'a> {
    message_type: &'static str,
    action: &'static str,
    seconds_elapsed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds_remaining: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent_done: Option<f64>,
    total_files: u64,
    files_done: u64,
    total_bytes: u64,
    bytes_done: u64,
    error_count: u64,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    current_files: &'a [String],
}

impl Frame {
    fn new(action: &'static str, counters: &Counters, elapsed: Duration) -> Self {
        let current = escape::path(&counters.current());
        Self { action, counts: counters.counts(), current, elapsed }
    }

    fn share(&self) -> Option<f64> {
        let Counts { files_done, files_total, bytes_done, bytes_total, totals_final, .. } = self.counts;
        match (totals_final, bytes_total, files_total) {
            (false, ..) => None,
            (_, 0, 0) => Some(1.0),
            (_, 0, _) => Some((files_done as f64 / files_total as f64).min(1.0)),
            _ => Some((bytes_done as f64 / bytes_total as f64).min(1.0)),
        }
    }

    fn remaining(&self) -> Option<Duration> {
        let share = self.share().filter(|share| *share > 0.0)?;
        let seconds = self.elapsed.as_secs_f64() * (1.0 - share) / share;
        (self.elapsed.as_secs() >= 2).then(|| Duration::try_from_secs_f64(seconds).ok())?
    }

    fn status(&self) -> Status<'_> {
        Status {
            message_type: "status",
            action: self.action,
            seconds_elapsed: self.elapsed.as_secs(),
            seconds_remaining: self.remaining().map(|left| left.as_secs()),
            percent_done: self.share().map(|share| (share * 10_000.0).round() / 10_000.0),
            total_files: self.counts.files_total,
            files_done: self.counts.files_done,
            total_bytes: self.counts.bytes_total,
            bytes_done: self.counts.bytes_done,
            error_count: self.counts.problems,
            current_files: if self.current.is_empty() { &[] } else { std::slice::from_ref(&self.current) },
        }
    }

    /// One line: what, how much, how fast, how long, what is wrong.
    fn line(&self, columns: usize) -> String {
        let counts = &self.counts;
        let mut parts = Vec::new();
        if let Some(share) = self.share() {
            parts.push(format!("{:5.1} %", share * 100.0));
            parts.push(format!(
                "{}/{} files",
                units::count(counts.files_done),
                units::count(counts.files_total)
            ));
            parts.push(format!("{}/{}", units::bytes(counts.bytes_done), units::bytes(counts.bytes_total)));
        } else {
            parts.push(format!("{} files", units::count(counts.files_done)));
            parts.push(units::bytes(counts.bytes_done));
        }
        parts.extend(units::rate(counts.bytes_done, self.elapsed));
        match self.remaining() {
            Some(left) => parts.push(format!("{} left", units::duration(left))),
            None => parts.push(units::duration(self.elapsed)),
        }
        match counts.problems {
            0 => {}
            1 => parts.push("1 problem".into()),
            many => parts.push(format!("{} problems", units::count(many))),
        }
        let mut line = format!("{}  {}", self.action, parts.join("  "));
        while line.width() > columns {
            line.pop();
        }
        line
    }

    /// What is drawn on a terminal: a bar where totals are known, the line, the current name.
    fn picture(&self, columns: usize) -> String {
        const BAR: usize = 24;
        let mut out = String::new();
        let line = self.line(columns);
        if let Some(share) = self.share().filter(|_| line.width() + BAR + 3 <= columns) {
            let full = (share * BAR as f64) as usize;
            out.push('[');
            out.extend(std::iter::repeat_n('#', full));
            out.extend(std::iter::repeat_n('-', BAR - full));
            out.push_str("] ");
        }
        out.push_str(&line);
        if !self.current.is_empty() {
            out.push_str("\n  ");
            out.push_str(&escape::fit_end(&self.current, columns.saturating_sub(2)));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::Captured;

    fn frame(totals_final: bool) -> Frame {
        let counters = Counters::new();
        counters.found(2000, 4 << 20);
        counters.bytes_done(1 << 20);
        for _ in 0..1500 {
            counters.file_done();
        }
        counters.problem();
        counters.set_current(b"/srv/a\x1b[2Jb");
        if totals_final {
            counters.totals_final();
        }
        Frame::new("backing up", &counters, Duration::from_secs(4))
    }

    #[test]
    fn lines() {
        let expected =
            "backing up   25.0 %  1 500/2 000 files  1.000 MiB/4.000 MiB  256.0 KiB/s  12 s left  1 problem";
        assert_eq!(frame(true).line(200), expected);
        let expected = "backing up  1 500 files  1.000 MiB  256.0 KiB/s  4.0 s  1 problem";
        assert_eq!(frame(false).line(200), expected);
    }

    #[test]
    fn pictures_fit_and_are_safe() {
        for columns in [20, 60, 100, 140] {
            let picture = frame(true).picture(columns);
            assert!(picture.lines().all(|line| line.width() <= columns), "{picture}");
            assert!(!picture.contains('\x1b'));
        }
        assert!(frame(true).picture(140).starts_with("[######------------------] backing up"));
        assert!(frame(true).picture(140).ends_with("\n  /srv/a%1B[2Jb"));
    }

    #[test]
    fn status_objects() {
        assert_eq!(
            serde_json::to_string(&frame(true).status()).unwrap(),
            r#"{"message_type":"status","action":"backing up","seconds_elapsed":4,"seconds_remaining":12,"percent_done":0.25,"total_files":2000,"files_done":1500,"total_bytes":4194304,"bytes_done":1048576,"error_count":1,"current_files":["/srv/a%1B[2Jb"]}"#
        );
        assert!(!serde_json::to_string(&frame(false).status()).unwrap().contains("percent_done"));
    }

    #[test]
    fn modes() {
        use Verbosity::{Normal, Quiet, Verbose};
        let choose = ProgressMode::choose_for;
        assert_eq!(choose(false, true, Normal, true), ProgressMode::Bar);
        assert_eq!(choose(false, true, Normal, false), ProgressMode::Silent);
        assert_eq!(choose(false, true, Verbose, false), ProgressMode::Lines);
        assert_eq!(choose(true, true, Normal, true), ProgressMode::Json);
        assert_eq!(choose(true, false, Normal, true), ProgressMode::Silent);
        assert_eq!(choose(false, true, Quiet, true), ProgressMode::Silent);
    }

    #[test]
    fn a_running_display_reports_and_ends() {
        let captured = Captured::default();
        let output = Arc::new(Output::to(Box::new(captured.clone()), true));
        let messages = Arc::new(Messages::to(Box::new(Captured::default()), Verbosity::Normal, false, true));
        let counters = Arc::new(Counters::new());
        counters.found(1, 10);
        let sink = ProgressSink::start(ProgressMode::Json, "checking", counters, output, messages);
        let deadline = Instant::now() + Duration::from_secs(20);
        while captured.text().is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        sink.finish();
        let text = captured.text();
        assert!(text.starts_with(r#"{"message_type":"status","action":"checking""#), "{text}");
        let after = captured.text().len();
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(captured.text().len(), after);
    }
}
