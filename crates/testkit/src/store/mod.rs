//! Stores for tests, and the suite that every store must pass.

mod count;
mod crash;
mod fault;
mod no_delete;
mod suite;

pub use count::CountingStore;
pub use crash::{CrashStore, Mutation};
pub use fault::{Effect, Failure, Fault, FaultStore};
pub use no_delete::NoDeleteStore;
pub use suite::{big_object, store_suite};

use strongroom_vault::store::{At, Operation, Store};

fn at(store: &dyn Store, operation: Operation, name: &str) -> Box<At> {
    Box::new(At { operation, name: name.to_owned(), store: store.describe() })
}
