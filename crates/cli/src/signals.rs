//! Ctrl-C: the first asks the work to stop, the second ends the process.

use crate::messages::Messages;
use std::sync::{Arc, mpsc};
use strongroom_vault::progress::Cancel;
use tokio::signal::unix::{SignalKind, signal};

/// Exit code after the second Ctrl-C, as shells count it: 128 + SIGINT.
const INTERRUPTED: i32 = 130;

/// Watches for SIGINT, SIGTERM and SIGHUP on a thread of its own until the process ends.
///
/// Returns once it watches. Commands call it after passphrases have been asked for: at a prompt, Ctrl-C ends the process at once.
pub fn watch(cancel: Arc<Cancel>, messages: Arc<Messages>) {
    let (ready, is_ready) = mpsc::channel::<()>();
    let watch = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
            let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else { return };
            drop(ready);
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
                if cancel.request() {
                    messages.warn(
                        "stopping: what is under way is brought to a safe end; Ctrl-C again ends at once",
                    );
                } else {
                    exit();
                }
            }
        });
    };
    // Without the thread, signals keep their usual effect, which is safe too.
    if std::thread::Builder::new().name("signals".into()).spawn(watch).is_ok() {
        // Nothing is ever sent: the other end is dropped, be it ready or failed.
        let _ = is_ready.recv();
    }
}

#[expect(clippy::exit, reason = "the user asked twice, and the working threads have not stopped")]
fn exit() {
    std::process::exit(INTERRUPTED);
}
