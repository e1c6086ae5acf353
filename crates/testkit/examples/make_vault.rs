//! Backs up a directory into a vault in another directory, so that `scripts/reader` has something to read.
//!
//! `make_vault VAULT KEY-FILE SOURCE`: makes vault and key file where there are none. `ROTATE=1` opens a new
//! epoch first. Chunks and packs are small.

use std::{collections::BTreeMap, error::Error, path::PathBuf, sync::Arc};
use strongroom_custody::{CountingObserver, Custody, Reason, ReasonCode, Secrets, holders};
use strongroom_format::keyring::PolicyTree;
use strongroom_testkit::vault::{small_layout, watched};
use strongroom_vault::{
    access::{NewDataset, NewVault, Vault},
    backup::{self, Source},
    fs::Filter,
    packer::Compression,
    store::{LocalStore, Store},
};

const LABEL: &str = "office";

fn main() -> Result<(), Box<dyn Error>> {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [vault, key_file, source] = paths.as_slice() else {
        return Err("usage: make_vault VAULT KEY-FILE SOURCE".into());
    };
    let store: Arc<dyn Store> = Arc::new(LocalStore::new(vault));
    let runtime = tokio::runtime::Runtime::new()?;
    let secrets = Secrets::none().with_key_file(LABEL, key_file);
    let observer = Arc::new(CountingObserver::default());
    let reason = Reason::new(ReasonCode::Backup);
    let (vault, custody) = if key_file.exists() {
        let vault = runtime.block_on(Vault::open(store))?;
        let custody = Custody::new(&vault.keyring().keyholders, secrets, observer);
        (vault, custody)
    } else {
        let keyholders = BTreeMap::from([(LABEL.to_owned(), holders::file::create(key_file, LABEL)?)]);
        let custody = Custody::new(&keyholders, secrets, observer);
        let new = NewVault {
            keyholders,
            read_policy: PolicyTree::Keyholder(LABEL.into()),
            write_policy: PolicyTree::Keyholder(LABEL.into()),
            dataset: NewDataset { layout: small_layout(), ..NewDataset::new("default") },
            time_lock: None,
        };
        (runtime.block_on(Vault::create(store, new, &custody, &reason))?, custody)
    };
    let handle = runtime.block_on(vault.open_for_writing("default", &custody, &reason, None))?;
    if std::env::var_os("ROTATE").is_some() {
        runtime.block_on(vault.rotate(&handle, &custody, &reason))?;
    }
    let (key, _) = runtime.block_on(vault.session_key(&handle, &custody, &reason))?;
    let options = backup::Options {
        host: "host-a".into(),
        user: "operator".into(),
        tags: vec!["reader".into()],
        time: None,
        compression: Compression::default(),
        threads: 2,
        uploads: 1,
        force: false,
        dry_run: false,
        program: "make_vault".into(),
    };
    let filter = Filter::builder().build()?;
    let source = Source::Paths(vec![source.clone()]);
    watched(|monitor| backup::run(&handle, key, source, &filter, &options, monitor))?;
    Ok(())
}
