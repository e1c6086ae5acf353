//! Requests and approvals that are exchanged through the vault's own store `[Q-5]`.

use crate::commands::Context;
use crate::error::{CliError, ErrorKind};
use crate::session;
use std::sync::Arc;
use strongroom_custody::quorum::{Approval, Request, RequestId};
use strongroom_format::{ObjectHash, names};
use strongroom_vault::store::{Store, StoreError};
use tokio::runtime::Runtime;

/// Largest document that is read, in bytes.
const SIZE_LIMIT: u64 = 4 << 20;
/// Most approvals of one request that are read.
const APPROVALS_MAX: usize = 1024;
/// Fewest digits of an id that name a request.
const PREFIX_MIN: usize = 8;

/// The store of a vault, where requests wait for custodians.
pub struct Exchange {
    store: Arc<dyn Store>,
    runtime: Arc<Runtime>,
}

/// A request in the vault.
pub struct Published {
    /// The request.
    pub request: Request,
    /// Its id.
    pub id: RequestId,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Exchange {
    /// The store of the vault of the settings. Uses no key.
    ///
    /// # Errors
    /// Where no vault is given, or there are no credentials for it.
    pub fn open(context: &Context) -> Result<Self, CliError> {
        let runtime = session::runtime()?;
        let store = session::open_store(&runtime, context.settings.require_location()?)?;
        Ok(Self { store, runtime })
    }

    /// The store of a vault that is open.
    #[must_use]
    pub fn of(store: Arc<dyn Store>, runtime: Arc<Runtime>) -> Self {
        Self { store, runtime }
    }

    /// Puts a request where custodians find it.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn publish_request(&self, id: &RequestId, bytes: Vec<u8>) -> Result<(), CliError> {
        self.put(&names::request(&hash_of(id)), bytes)
    }

    /// Puts an approval where the requester finds it.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn publish_approval(&self, id: &RequestId, bytes: Vec<u8>) -> Result<(), CliError> {
        let name = names::approval(&hash_of(id), &ObjectHash::of(&bytes));
        self.put(&name, bytes)
    }

    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), CliError> {
        // One that exists is the same, because its name is its hash.
        let _ = self.runtime.block_on(self.store.put_new(name, bytes.into()))?;
        Ok(())
    }

    /// The ids of all requests in the vault.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn ids(&self) -> Result<Vec<ObjectHash>, CliError> {
        let listed = self.runtime.block_on(self.store.list(names::REQUESTS))?;
        Ok(listed.iter().filter_map(|object| names::parse_request(&object.name)).collect())
    }

    /// Reads a request.
    ///
    /// # Errors
    /// Where it is not there, malformed, or another than its name says.
    pub fn request(&self, id: &ObjectHash) -> Result<Published, CliError> {
        let name = names::request(id);
        let bytes = self.runtime.block_on(self.store.get(&name, SIZE_LIMIT))?;
        let (request, read) = Request::decode(&bytes)?;
        if hash_of(&read) != *id {
            return Err(CliError::new(ErrorKind::Damaged, format!("object {name} is another request")));
        }
        Ok(Published { request, id: read, bytes: bytes.into() })
    }

    /// Finds the request whose id begins with these digits, spaces and dashes aside.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where none or several do.
    pub fn find(&self, digits: &str) -> Result<Published, CliError> {
        let digits: String =
            digits.chars().filter(|c| !matches!(c, ' ' | '-')).collect::<String>().to_lowercase();
        let usage = |message: String| {
            CliError::new(ErrorKind::Usage, message).hint("`strongroom quorum list` shows the requests")
        };
        if digits.len() < PREFIX_MIN {
            return Err(usage(format!("give {PREFIX_MIN} digits of the request's id at least")));
        }
        let mut found = self.ids()?;
        found.retain(|id| id.to_hex().starts_with(&digits));
        match found.as_slice() {
            [id] => self.request(id),
            [] => Err(usage(format!("the vault holds no request `{}`", crate::escape::text(&digits)))),
            _ => Err(usage(format!("several requests begin with `{digits}`"))),
        }
    }

    /// What was put as approvals of a request. Anybody who can write to the store can put something there, so what is
    /// no approval is left out, and the others still have to be checked.
    ///
    /// # Errors
    /// Where the store fails.
    pub fn approvals(&self, id: &RequestId) -> Result<Vec<Approval>, CliError> {
        let listed = self.runtime.block_on(self.store.list(&names::approvals(&hash_of(id))))?;
        let mut approvals = Vec::new();
        for object in listed.iter().take(APPROVALS_MAX) {
            match self.runtime.block_on(self.store.get(&object.name, SIZE_LIMIT)) {
                Ok(bytes) => approvals.extend(Approval::decode(&bytes).ok()),
                Err(StoreError::NotFound { .. } | StoreError::TooLarge { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(approvals)
    }
}

fn hash_of(id: &RequestId) -> ObjectHash {
    ObjectHash(*id.as_bytes())
}
