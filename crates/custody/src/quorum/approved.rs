//! A custodian whose parts have come by approval, in the place of his keyholder.

use super::{Parts, Request};
use crate::{
    custody::Custody,
    holder::{Effort, HolderError, Keyholder, Operation, Reply},
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc};
use strongroom_format::{Secret32, context::Context};

/// Opens what was approved, and nothing else. It wraps as the custodian's own keyholder does.
pub struct ApprovedKeyholder {
    label: String,
    kind: String,
    own: Option<Arc<dyn Keyholder>>,
    request: Arc<Request>,
    parts: BTreeMap<u32, Secret32>,
    clock: fn() -> Timestamp,
}

impl ApprovedKeyholder {
    /// A keyholder for each custodian who approved, in the place of those of `custody`. It opens until the request
    /// expires by `clock`, however long the process lives that made it.
    #[must_use]
    pub fn all(
        request: &Arc<Request>,
        parts: Parts,
        custody: &Custody,
        clock: fn() -> Timestamp,
    ) -> Vec<Arc<dyn Keyholder>> {
        let holder = |(label, parts): (String, BTreeMap<u32, Secret32>)| {
            let kind = request.keyholders.get(&label).map_or("unknown", |spec| &spec.kind).to_owned();
            let own = custody.holder(&label).cloned();
            Arc::new(Self { label, kind, own, request: Arc::clone(request), parts, clock })
                as Arc<dyn Keyholder>
        };
        parts.into_iter().map(holder).collect()
    }
}

impl ApprovedKeyholder {
    fn own(&self) -> Result<&Arc<dyn Keyholder>, HolderError> {
        let nothing = || HolderError::NoSecret("an approval opens, and wraps nothing".into());
        self.own.as_ref().ok_or_else(nothing)
    }
}

impl std::fmt::Debug for ApprovedKeyholder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApprovedKeyholder({})", self.label)
    }
}

#[async_trait]
impl Keyholder for ApprovedKeyholder {
    fn label(&self) -> &str {
        &self.label
    }

    fn kind(&self) -> &str {
        &self.kind
    }

    fn effort(&self) -> Effort {
        Effort::Local
    }

    fn ready(&self, operation: Operation) -> Result<(), HolderError> {
        match operation {
            Operation::Unwrap => Ok(()),
            Operation::Wrap => self.own()?.ready(operation),
        }
    }

    async fn wrap(&self, context: &Context, key: &Secret32) -> Result<Reply<Vec<u8>>, HolderError> {
        self.own()?.wrap(context, key).await
    }

    async fn unwrap(&self, context: &Context, blob: &[u8]) -> Result<Reply<Secret32>, HolderError> {
        if self.request.context(context.epoch) != *context {
            return Err(HolderError::WrongContext);
        }
        self.request
            .check_time((self.clock)())
            .map_err(|error| HolderError::Denied(error.to_string().into()))?;
        let requested = self.request.key(context.epoch).and_then(|key| key.wrapped.wrap_of(&self.label));
        match (requested, self.parts.get(&context.epoch)) {
            (Some(wrap), Some(part)) if wrap.blob == blob => Ok(Reply::local(part.clone())),
            (Some(_), Some(_)) => Err(HolderError::Denied(
                "the keys were wrapped again since the request was made; make a new request".into(),
            )),
            _ => Err(HolderError::Denied("the approval is not for this epoch".into())),
        }
    }
}
