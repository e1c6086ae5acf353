//! What concerns the whole process: signals and panics.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use strongroom_cli::bug;
use strongroom_cli::messages::{Messages, Verbosity};
use strongroom_cli::signals;
use strongroom_vault::progress::Cancel;

#[test]
fn the_first_signal_asks_to_stop() {
    let cancel = Arc::new(Cancel::new());
    let messages = Arc::new(Messages::to(Box::new(std::io::sink()), Verbosity::Quiet, false, false));
    signals::watch(Arc::clone(&cancel), messages);
    assert!(!cancel.is_requested());
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !cancel.is_requested() {
        assert!(Instant::now() < deadline, "the signal was not heard");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_panic_on_any_thread_is_a_bug() {
    let code = bug::guard(true, false, || ExitCode::from(3));
    assert_eq!(code, ExitCode::from(3));
    let code = bug::guard(true, false, || {
        assert!(std::thread::spawn(|| panic!("on a worker")).join().is_err());
        ExitCode::SUCCESS
    });
    assert_eq!(code, ExitCode::from(70));
    assert_eq!(bug::guard(true, false, || panic!("on the main thread")), ExitCode::from(70));
}
