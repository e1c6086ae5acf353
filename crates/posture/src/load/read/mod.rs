//! From documents to records: one module for each service, and the dispatch by shape.
//!
//! A document is recognised by the names of its fields and by what they hold, never by its file's name.

mod backup;
mod cloudtrail;
mod compute;
mod iam;
mod iam_collect;
mod kms;
mod organizations;
mod policies;
mod ram;
mod reading;
mod s3;
mod shape;
mod sso;

pub(crate) use iam_collect::{document as iam_collect_document, hints as iam_collect_hints, layout};
pub(crate) use kms::bare_key;
pub(crate) use reading::{Reading, shown};
pub(crate) use shape::document;
