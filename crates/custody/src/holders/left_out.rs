//! A keyholder that is there and is not to be used, so that another one is measured alone.

use crate::holder::{Effort, HolderError, Keyholder, Operation, Reply};
use async_trait::async_trait;
use std::sync::Arc;
use strongroom_format::{Secret32, context::Context};

/// Stands in the place of a keyholder, and does nothing.
pub(crate) struct LeftOut {
    label: String,
    kind: String,
}

impl LeftOut {
    pub(crate) fn in_place_of(label: &str, kind: &str) -> Arc<dyn Keyholder> {
        Arc::new(Self { label: label.to_owned(), kind: kind.to_owned() })
    }

    fn refusal() -> HolderError {
        HolderError::NoSecret("another keyholder is measured alone".into())
    }
}

#[async_trait]
impl Keyholder for LeftOut {
    fn label(&self) -> &str {
        &self.label
    }

    fn kind(&self) -> &str {
        &self.kind
    }

    fn effort(&self) -> Effort {
        Effort::Local
    }

    fn ready(&self, _: Operation) -> Result<(), HolderError> {
        Err(Self::refusal())
    }

    async fn wrap(&self, _: &Context, _: &Secret32) -> Result<Reply<Vec<u8>>, HolderError> {
        Err(Self::refusal())
    }

    async fn unwrap(&self, _: &Context, _: &[u8]) -> Result<Reply<Secret32>, HolderError> {
        Err(Self::refusal())
    }
}
