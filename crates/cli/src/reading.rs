//! A dataset, opened with a read key.

use crate::catalog::{self, Catalog, Known};
use crate::commands::Context;
use crate::error::CliError;
use crate::session::Session;
use crate::snapshot_spec::SnapshotSelector;
use std::sync::Arc;
use strongroom_custody::ReasonCode;
use strongroom_vault::groups::GroupReader;
use strongroom_vault::handle::DatasetHandle;
use strongroom_vault::read_keys::ReadKeys;

/// A dataset that is open for reading.
#[derive(Debug)]
pub struct Reading {
    /// The vault.
    pub session: Session,
    /// The dataset.
    pub handle: DatasetHandle,
    /// Its read keys.
    pub keys: Arc<ReadKeys>,
}

impl Reading {
    /// Opens the dataset of the settings with one read key: that of the snapshot's epoch where it is named by
    /// its id, else of the newest epoch with a snapshot.
    ///
    /// # Errors
    /// Where the vault cannot be opened, or custody refuses.
    pub fn open(
        context: &Context,
        code: ReasonCode,
        wanted: Option<&SnapshotSelector>,
    ) -> Result<Self, CliError> {
        let session = Session::open(context, code)?;
        let epoch = match wanted {
            Some(SnapshotSelector::Prefix(prefix)) => {
                let names = session.snapshot_names()?;
                names.iter().find(|(_, id)| id.to_hex().starts_with(prefix)).map(|(epoch, _)| *epoch)
            }
            _ => None,
        };
        let (handle, keys) = session.read(epoch)?;
        Ok(Self { session, handle, keys })
    }

    /// The snapshot that is meant.
    ///
    /// # Errors
    /// Where none or several are.
    pub fn snapshot(&self, context: &Context, selector: &SnapshotSelector) -> Result<Known, CliError> {
        if let SnapshotSelector::Prefix(prefix) = selector {
            let names = self.session.snapshot_names()?;
            let mut matching = names.iter().filter(|(_, id)| id.to_hex().starts_with(prefix));
            // One header instead of all; where none or several match, the catalogue words the answer.
            if let (Some((epoch, id)), None) = (matching.next(), matching.next()) {
                return Ok(catalog::read(&self.handle, *epoch, *id)?);
            }
        }
        let catalog = Catalog::load(&self.handle, &context.messages)?;
        catalog.select(selector).cloned()
    }

    /// A reader of everything. What the index lacks because a segment is damaged is told as a warning.
    ///
    /// # Errors
    /// Where the index cannot be loaded.
    pub fn reader(&self, context: &Context) -> Result<GroupReader, CliError> {
        let (reader, damaged) = GroupReader::open(&self.handle, Some(Arc::clone(&self.keys)))?;
        for segment in damaged {
            context.messages.warn(&format!(
                "{}; what it covers is found missing until `strongroom repair index`",
                segment.error
            ));
        }
        Ok(reader)
    }
}
