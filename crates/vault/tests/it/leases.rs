//! An unwrapped read key lives for its lease and no longer.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use strongroom_custody::{Custody, Operation, Reason, ReasonCode, Secrets};
use strongroom_format::context::{Context, Purpose};
use strongroom_testkit::vault::TestVault;
use strongroom_vault::{VaultError, groups::GroupReader, store::Memory, tree};

/// Long enough that a busy machine reads twice within it.
const LEASE: Duration = Duration::from_secs(2);
/// Long enough that a busy machine reads its own memory within it.
const SCAN_LEASE: Duration = Duration::from_secs(8);

struct Read {
    test: TestVault,
    root: PathBuf,
    refs: strongroom_format::RefsId,
    _source: tempfile::TempDir,
}

/// A vault with one snapshot of one file.
fn vault(lease: Duration) -> Read {
    let mut test = TestVault::create(Arc::new(Memory::new()) as _);
    let source = tempfile::tempdir().unwrap();
    let root = source.path().join("data");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("file"), "content").unwrap();
    let refs = test.backup(&root).unwrap().snapshot.root;
    test.custody = with_lease(&test, lease);
    Read { test, root, refs, _source: source }
}

/// The keyholders of the vault as they are in a program that was just started, with a short lease.
fn with_lease(test: &TestVault, lease: Duration) -> Arc<Custody> {
    let secrets = ["read", "write"]
        .iter()
        .fold(Secrets::none(), |secrets, label| secrets.with_key_file(*label, test.key_file(label)));
    let observer = Arc::clone(&test.observer) as _;
    Arc::new(Custody::new(&test.vault.keyring().keyholders, secrets, observer).with_lease(lease))
}

impl Read {
    fn reader(&self) -> GroupReader {
        let (handle, keys) = self.test.reading(&self.test.vault).unwrap();
        GroupReader::open(&handle, Some(keys)).unwrap().0
    }

    fn read(&self, reader: &GroupReader) -> Result<(), VaultError> {
        let path = std::os::unix::ffi::OsStrExt::as_bytes(self.root.as_os_str());
        tree::find_path(reader, &self.refs, path).map(|entry| assert!(entry.is_some()))
    }
}

#[test]
fn what_takes_longer_than_a_lease_asks_again() {
    let read = vault(LEASE);
    let reader = read.reader();
    let calls = || read.test.observer.calls(Operation::Unwrap);
    let before = calls();
    read.read(&reader).unwrap();
    read.read(&reader).unwrap();
    assert_eq!(calls(), before, "the first lease was not used");
    thread::sleep(LEASE + Duration::from_millis(100));
    read.read(&reader).unwrap();
    assert_eq!(calls(), before + 1, "a second lease is one more key use");
}

#[test]
fn after_the_lease_a_refusal_stops_even_what_was_read_before() {
    let read = vault(LEASE);
    let reader = read.reader();
    read.read(&reader).unwrap();
    std::fs::remove_file(read.test.key_file("read")).unwrap();
    // From here on nobody can begin another lease.
    let refusing = Instant::now();
    let mut last = refusing;
    let refused = loop {
        let begun = Instant::now();
        match read.read(&reader) {
            Ok(()) => last = begun,
            Err(error) => break error,
        }
        assert!(refusing.elapsed() < 10 * LEASE, "the reads go on");
        thread::sleep(Duration::from_millis(5));
    };
    assert!(matches!(refused, VaultError::Custody(_)), "{refused}");
    assert!(last - refusing <= LEASE, "a read began {:?} after the refusal", last - refusing);
}

/// How often a masked secret lies in the writable memory of this process.
fn occurrences(masked: &[u8], mask: u8) -> usize {
    let memory = File::open("/proc/self/mem").unwrap();
    let mut buffer = vec![0u8; 1 << 20];
    let mut found = 0;
    for line in std::fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let mut fields = line.split(' ');
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        let own = buffer.as_ptr() as u64..buffer.as_ptr() as u64 + buffer.len() as u64;
        let mut at = start;
        while at < end {
            let len = buffer.len().min((end - at) as usize);
            let Ok(len) = memory.read_at(&mut buffer[..len], at) else { break };
            if len < 32 {
                break;
            }
            let is_key = |(offset, window): (usize, &[u8])| {
                !own.contains(&(at + offset as u64))
                    && window.iter().zip(masked).all(|(byte, masked)| byte ^ mask == *masked)
            };
            found += buffer[..len].windows(32).enumerate().filter(|pair| is_key(*pair)).count();
            // Windows across two pieces are seen in the second.
            at += if len == buffer.len() { len as u64 - 31 } else { len as u64 };
        }
    }
    buffer.fill(0);
    found
}

/// Run in a process of its own, where no other test's memory is.
#[test]
#[ignore = "run by no_page_holds_a_read_key_after_its_lease"]
fn child_that_scans_its_memory() {
    let read = vault(SCAN_LEASE);
    let mask = 0xa5;
    let masked = {
        let keyring = read.test.vault.keyring();
        let epochs = read.test.vault.epochs(keyring.dataset("default").unwrap());
        let (number, epoch) = read.test.runtime.block_on(epochs).unwrap().into_iter().last().unwrap();
        let context = Context {
            vault: keyring.vault,
            dataset: "default".into(),
            purpose: Purpose::Read,
            epoch: number,
        };
        let reason = Reason::new(ReasonCode::Restore);
        let key = read.test.custody.unwrap_key(&epoch.read_key, &context, &reason);
        let key = read.test.runtime.block_on(key).unwrap();
        key.expose().iter().map(|byte| byte ^ mask).collect::<Vec<u8>>()
    };
    let reader = read.reader();
    read.read(&reader).unwrap();
    assert!(occurrences(&masked, mask) > 0, "the scan does not find the key while it is open");
    thread::sleep(SCAN_LEASE + Duration::from_millis(500));
    assert_eq!(occurrences(&masked, mask), 0, "the key is still in memory after its lease");
}

#[test]
fn no_page_holds_a_read_key_after_its_lease() {
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "leases::child_that_scans_its_memory", "--test-threads=1"])
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
}
