//! CloudTrail.

use super::reading::{Reading, present};
use crate::estate::{DataResource, FieldSelector, Kind, Selector, Selectors, Trail, TrailStatus};
use crate::load::json::Value;
use crate::load::record::Record;

/// `cloudtrail describe-trails`.
pub(super) fn trails(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Trails);
    for item in reading.objects_of(root, "trailList") {
        let Some((arn, _)) = reading.arn(item, "TrailARN") else { continue };
        let Some(name) = reading.needed(item, "Name") else { continue };
        let trail = Trail {
            arn,
            name,
            home_region: reading.shared(item, "HomeRegion"),
            bucket: reading.own(item, "S3BucketName"),
            key: reading.own(item, "KmsKeyId"),
            multi_region: reading.bool(item, "IsMultiRegionTrail"),
            organisation: reading.bool(item, "IsOrganizationTrail"),
            validation: reading.bool(item, "LogFileValidationEnabled"),
            global_events: reading.bool(item, "IncludeGlobalServiceEvents"),
            selectors: None,
            status: None,
        };
        reading.push(item, Record::Trail(Box::new(trail)));
    }
    // The trail of an organisation shows in all its accounts: the place tells whose answer this is.
    reading.listed(root, Kind::Trails, None, None);
}

/// `cloudtrail get-event-selectors`.
pub(super) fn selectors(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Selectors);
    let Some(trail) = reading.needed(root, "TrailARN") else { return };
    let advanced = present(root, "AdvancedEventSelectors").filter(|list| list.items().next().is_some());
    let selectors = match advanced {
        Some(list) => {
            let mut all = Vec::new();
            for item in reading.objects(list) {
                let fields = reading.objects_of(item, "FieldSelectors");
                all.push(fields.into_iter().filter_map(|field| field_selector(reading, field)).collect());
            }
            Selectors::Advanced(all)
        }
        None => {
            let items = reading.objects_of(root, "EventSelectors");
            Selectors::Basic(items.into_iter().map(|item| selector(reading, item)).collect())
        }
    };
    reading.push(root, Record::Selectors { trail, selectors });
}

fn selector(reading: &mut Reading<'_>, value: Value<'_, '_>) -> Selector {
    let mut data_resources = Vec::new();
    for item in reading.objects_of(value, "DataResources") {
        let Some(kind) = reading.shared(item, "Type") else { continue };
        let values = reading.strings(item, "Values").unwrap_or_default();
        data_resources.push(DataResource { kind, values });
    }
    Selector {
        read_write: reading.shared(value, "ReadWriteType"),
        // Recorded unless it is said that they are not (CloudTrail API Reference, `EventSelector`).
        management_events: reading.bool(value, "IncludeManagementEvents").unwrap_or(true),
        excluded_sources: reading.strings(value, "ExcludeManagementEventSources").unwrap_or_default(),
        data_resources,
    }
}

fn field_selector(reading: &mut Reading<'_>, value: Value<'_, '_>) -> Option<FieldSelector> {
    let field = reading.shared(value, "Field")?;
    let mut list = |name: &str| reading.strings(value, name).unwrap_or_default();
    Some(FieldSelector {
        equals: list("Equals"),
        not_equals: list("NotEquals"),
        starts_with: list("StartsWith"),
        not_starts_with: list("NotStartsWith"),
        ends_with: list("EndsWith"),
        not_ends_with: list("NotEndsWith"),
        field,
    })
}

/// `cloudtrail get-trail-status`, which does not name its trail.
pub(super) fn status(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::TrailStatus);
    let Some(logging) = reading.bool(root, "IsLogging") else { return };
    let status = TrailStatus {
        logging,
        delivery_error: reading.own(root, "LatestDeliveryError").filter(|text| !text.is_empty()),
        last_delivery: reading.time(root, "LatestDeliveryTime"),
    };
    let trail = reading.own(root, "TrailARN");
    reading.push(root, Record::TrailStatus { trail, status });
}
