//! CloudTrail: what is recorded, where to, and under which key.

use std::sync::Arc;

/// A trail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail {
    /// ARN.
    pub arn: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Its home region.
    pub home_region: Option<Arc<str>>,
    /// The bucket it writes to.
    pub bucket: Option<Arc<str>>,
    /// The key that encrypts its logs; absent if there is none.
    pub key: Option<Arc<str>>,
    /// Whether it records all regions.
    pub multi_region: Option<bool>,
    /// Whether it records all accounts of the organisation.
    pub organisation: Option<bool>,
    /// Whether its log files can be verified.
    pub validation: Option<bool>,
    /// Whether it records global services.
    pub global_events: Option<bool>,
    /// What it records; `None` if it was not collected.
    pub selectors: Option<Selectors>,
    /// Whether it records now; `None` if it was not collected.
    pub status: Option<TrailStatus>,
}

/// What a trail records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selectors {
    /// Event selectors.
    Basic(Vec<Selector>),
    /// Advanced event selectors: events that fit all fields of one of them.
    Advanced(Vec<Vec<FieldSelector>>),
}

/// An event selector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// `ReadOnly`, `WriteOnly` or `All`.
    pub read_write: Option<Arc<str>>,
    /// Whether management events are recorded.
    pub management_events: bool,
    /// Services whose management events are not recorded: `kms.amazonaws.com`, `rdsdata.amazonaws.com`.
    pub excluded_sources: Vec<Arc<str>>,
    /// Data events that are recorded.
    pub data_resources: Vec<DataResource>,
}

/// Data events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataResource {
    /// `AWS::S3::Object`…
    pub kind: Arc<str>,
    /// Prefixes of ARNs.
    pub values: Vec<Arc<str>>,
}

/// One field of an advanced event selector. An event has to fit every list that is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector {
    /// `eventCategory`, `eventSource`, `readOnly`…
    pub field: Arc<str>,
    /// Is one of.
    pub equals: Vec<Arc<str>>,
    /// Is none of.
    pub not_equals: Vec<Arc<str>>,
    /// Starts with one of.
    pub starts_with: Vec<Arc<str>>,
    /// Starts with none of.
    pub not_starts_with: Vec<Arc<str>>,
    /// Ends with one of.
    pub ends_with: Vec<Arc<str>>,
    /// Ends with none of.
    pub not_ends_with: Vec<Arc<str>>,
}

/// Whether a trail records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrailStatus {
    /// Whether it is switched on.
    pub logging: bool,
    /// The last error of delivery, if there is one.
    pub delivery_error: Option<Arc<str>>,
    /// When a log file was last delivered, as AWS wrote it.
    pub last_delivery: Option<Arc<str>>,
}
