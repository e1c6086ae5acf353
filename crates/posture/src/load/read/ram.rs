//! AWS Resource Access Manager.

use super::reading::{Reading, present};
use crate::estate::{Arn, Association, AssociationKind, Kind, ProblemKind, ResourceShare};
use crate::load::json::Value;
use crate::load::record::Record;

/// `ram get-resource-shares`.
pub(super) fn shares(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::Shares);
    for item in reading.objects_of(root, "resourceShares") {
        let Some((arn, account)) = reading.arn(item, "resourceShareArn") else { continue };
        let share = ResourceShare {
            arn,
            name: reading.own(item, "name"),
            owner: reading.account_id(item, "owningAccountId").or(Some(account)),
            allows_external: reading.bool(item, "allowExternalPrincipals"),
            status: reading.shared(item, "status"),
            associations: Vec::new(),
        };
        reading.push(item, Record::Share(Box::new(share)));
    }
    // Shares of others with this account are listed alike, so that the account is told by the place.
    reading.listed(root, Kind::Shares, None, None);
}

/// `ram get-resource-share-associations`, of principals or of resources.
pub(super) fn associations(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::ShareAssociations);
    for item in reading.objects_of(root, "resourceShareAssociations") {
        let (Some(share), Some(entity)) =
            (reading.needed(item, "resourceShareArn"), reading.needed(item, "associatedEntity"))
        else {
            continue;
        };
        let kind = match reading.string(item, "associationType").as_deref() {
            Some("PRINCIPAL") => AssociationKind::Principal,
            Some("RESOURCE") => AssociationKind::Resource,
            _ => {
                reading.trouble(
                    item.offset(),
                    ProblemKind::Missing,
                    "`associationType`, as PRINCIPAL or RESOURCE",
                );
                continue;
            }
        };
        let association = Association {
            kind,
            entity,
            status: reading.shared(item, "status"),
            external: reading.bool(item, "external"),
        };
        reading.push(item, Record::ShareAssociation { share, association });
    }
    reading.listed(root, Kind::ShareAssociations, None, None);
}

/// `ram list-resources` and `list-principals`.
pub(super) fn entities(reading: &mut Reading<'_>, root: Value<'_, '_>) {
    reading.kind = Some(Kind::ShareAssociations);
    let lists =
        [("resources", "arn", AssociationKind::Resource), ("principals", "id", AssociationKind::Principal)];
    for (list, name, kind) in lists {
        if present(root, list).is_none() {
            continue;
        }
        for item in reading.objects_of(root, list) {
            let (Some(share), Some(entity)) =
                (reading.needed(item, "resourceShareArn"), reading.needed(item, name))
            else {
                continue;
            };
            let status = reading.shared(item, "status");
            let external = reading.bool(item, "external");
            let association = Association { kind, entity, status, external };
            reading.push(item, Record::ShareAssociation { share, association });
        }
    }
    let owner = None;
    let region = root
        .get("resources")
        .and_then(|list| list.items().next())
        .and_then(|item| item.get("resourceShareArn"))
        .and_then(|arn| arn.string())
        .and_then(|arn| Arn::parse(&arn).map(|arn| arn.region.into()));
    reading.listed(root, Kind::ShareAssociations, owner, region);
}
