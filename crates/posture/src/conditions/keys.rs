//! Context keys: who decides about them, and whether they have several values.
//!
//! Sources: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>,
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html>,
//! <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html>.

/// Who decides about the value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// It follows from who asks and what for: from what was collected.
    Known,
    /// Whoever asks chooses it.
    AttackerChosen,
    /// Where, when and how it is asked: addresses, networks, factors, time.
    Environmental,
    /// A service of AWS sets it when it asks on somebody's behalf, or for itself.
    ServiceSupplied,
    /// The identity provider of a federated principal asserts it.
    Token,
    /// Nothing is known of this key here.
    Unclassified,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// Who decides about it.
    pub source: Source,
    /// Whether it may have several values.
    pub several: bool,
    /// The operations of KMS that have it, in lower case; empty: any operation.
    pub operations: &'static [&'static str],
}

const fn one(source: Source) -> KeyFacts {
    KeyFacts { source, several: false, operations: &[] }
}

const fn several(source: Source) -> KeyFacts {
    KeyFacts { source, several: true, operations: &[] }
}

const fn of(source: Source, operations: &'static [&'static str]) -> KeyFacts {
    KeyFacts { source, several: false, operations }
}

use Source::{AttackerChosen, Environmental, Known, ServiceSupplied, Token, Unclassified};

const GRANTING: &[&str] = &["creategrant"];
const WITH_CONTEXT: &[&str] = &[
    "encrypt",
    "decrypt",
    "generatedatakey",
    "generatedatakeypair",
    "generatedatakeypairwithoutplaintext",
    "generatedatakeywithoutplaintext",
    "reencryptfrom",
    "reencryptto",
    "creategrant",
];

const KEYS: &[(&str, KeyFacts)] = &[
    ("aws:principalarn", one(Known)),
    ("aws:principalaccount", one(Known)),
    ("aws:principalorgid", one(Known)),
    ("aws:principalorgpaths", several(Known)),
    ("aws:principaltype", one(Known)),
    ("aws:principalisawsservice", one(Known)),
    ("aws:principalservicename", one(Known)),
    ("aws:principalservicenameslist", several(Known)),
    ("aws:userid", one(Known)),
    ("aws:username", one(Known)),
    ("aws:resourceaccount", one(Known)),
    ("aws:resourceorgid", one(Known)),
    ("aws:resourceorgpaths", several(Known)),
    ("aws:requestedregion", one(Known)),
    ("aws:assumedroot", one(Known)),
    ("aws:requesttag/", one(AttackerChosen)),
    ("aws:tagkeys", several(AttackerChosen)),
    ("aws:useragent", one(AttackerChosen)),
    ("aws:referer", one(AttackerChosen)),
    ("aws:sourceidentity", one(AttackerChosen)),
    ("aws:federatedprovider", one(Environmental)),
    ("aws:sourceip", one(Environmental)),
    ("aws:vpcsourceip", one(Environmental)),
    ("aws:sourcevpc", one(Environmental)),
    ("aws:sourcevpcarn", one(Environmental)),
    ("aws:sourcevpce", one(Environmental)),
    ("aws:vpceaccount", one(Environmental)),
    ("aws:vpceorgid", one(Environmental)),
    ("aws:vpceorgpaths", several(Environmental)),
    ("aws:ec2instancesourcevpc", one(Environmental)),
    ("aws:ec2instancesourceprivateipv4", one(Environmental)),
    ("aws:currenttime", one(Environmental)),
    ("aws:epochtime", one(Environmental)),
    ("aws:tokenissuetime", one(Environmental)),
    ("aws:multifactorauthage", one(Environmental)),
    ("aws:multifactorauthpresent", one(Environmental)),
    ("aws:securetransport", one(Environmental)),
    ("aws:chatbotsourcearn", one(Environmental)),
    ("aws:signinsessionarn", one(Environmental)),
    ("ec2:sourceinstancearn", one(Environmental)),
    ("ec2:roledelivery", one(Environmental)),
    ("lambda:sourcefunctionarn", one(Environmental)),
    ("identitystore:userid", one(Environmental)),
    ("aws:calledvia", several(ServiceSupplied)),
    ("aws:calledviafirst", one(ServiceSupplied)),
    ("aws:calledvialast", one(ServiceSupplied)),
    ("aws:viaawsservice", one(ServiceSupplied)),
    ("aws:sourcearn", one(ServiceSupplied)),
    ("aws:sourceaccount", one(ServiceSupplied)),
    ("aws:sourceorgid", one(ServiceSupplied)),
    ("aws:sourceorgpaths", several(ServiceSupplied)),
    ("iam:passedtoservice", one(AttackerChosen)),
    ("iam:associatedresourcearn", one(AttackerChosen)),
    ("iam:policyarn", one(AttackerChosen)),
    ("iam:permissionsboundary", one(AttackerChosen)),
    ("iam:awsservicename", one(AttackerChosen)),
    ("sts:externalid", one(AttackerChosen)),
    ("sts:rolesessionname", one(AttackerChosen)),
    ("sts:sourceidentity", one(AttackerChosen)),
    ("sts:transitivetagkeys", several(AttackerChosen)),
    ("sts:durationseconds", one(AttackerChosen)),
    ("sts:taskpolicyarn", one(AttackerChosen)),
    ("sts:awsservicename", one(ServiceSupplied)),
    ("kms:calleraccount", one(Known)),
    ("kms:keyorigin", one(Known)),
    ("kms:keyspec", one(Known)),
    ("kms:customermasterkeyspec", one(Known)),
    ("kms:keyusage", one(Known)),
    ("kms:customermasterkeyusage", one(Known)),
    ("kms:multiregion", one(Known)),
    ("kms:multiregionkeytype", one(Known)),
    ("kms:resourcealiases", several(Known)),
    ("kms:viaservice", one(ServiceSupplied)),
    ("kms:grantisforawsresource", of(ServiceSupplied, &["creategrant", "listgrants", "revokegrant"])),
    ("kms:encryptioncontext:", of(AttackerChosen, WITH_CONTEXT)),
    (
        "kms:encryptioncontextkeys",
        KeyFacts { source: AttackerChosen, several: true, operations: WITH_CONTEXT },
    ),
    ("kms:grantoperations", KeyFacts { source: AttackerChosen, several: true, operations: GRANTING }),
    ("kms:grantconstrainttype", of(AttackerChosen, GRANTING)),
    ("kms:grantconstraintsourcearn", of(AttackerChosen, GRANTING)),
    ("kms:granteeprincipal", of(AttackerChosen, GRANTING)),
    ("kms:granteeserviceprincipal", of(AttackerChosen, GRANTING)),
    ("kms:retiringprincipal", of(AttackerChosen, GRANTING)),
    ("kms:retiringserviceprincipal", of(AttackerChosen, GRANTING)),
    ("kms:schedulekeydeletionpendingwindowindays", of(AttackerChosen, &["schedulekeydeletion"])),
    ("kms:trailingdayswithoutkeyusage", of(Environmental, &["schedulekeydeletion", "disablekey"])),
    (
        "kms:bypasspolicylockoutsafetycheck",
        of(AttackerChosen, &["createkey", "putkeypolicy", "replicatekey"]),
    ),
    ("kms:expirationmodel", of(AttackerChosen, &["importkeymaterial"])),
    ("kms:validto", of(AttackerChosen, &["importkeymaterial"])),
    ("kms:wrappingalgorithm", of(AttackerChosen, &["getparametersforimport"])),
    ("kms:wrappingkeyspec", of(AttackerChosen, &["getparametersforimport"])),
    ("kms:replicaregion", of(AttackerChosen, &["replicatekey"])),
    ("kms:primaryregion", of(AttackerChosen, &["updateprimaryregion"])),
    ("kms:rotationperiodindays", of(AttackerChosen, &["enablekeyrotation"])),
    ("kms:reencryptonsamekey", of(AttackerChosen, &["reencryptfrom", "reencryptto"])),
    ("kms:requestalias", one(AttackerChosen)),
    ("kms:datakeypairspec", one(AttackerChosen)),
    ("kms:encryptionalgorithm", one(AttackerChosen)),
    ("kms:keyagreementalgorithm", one(AttackerChosen)),
    ("kms:macalgorithm", one(AttackerChosen)),
    ("kms:messagetype", one(AttackerChosen)),
    ("kms:signingalgorithm", one(AttackerChosen)),
    ("kms:recipientattestation:", one(Environmental)),
];

/// Keys by tag are known as far as the tags are; a session may bring its own.
const BY_TAG: &[&str] =
    &["aws:principaltag/", "aws:resourcetag/", "iam:resourcetag/", "s3:existingobjecttag/"];

/// What is known of a key, given in lower case.
pub fn facts_of(key: &str) -> KeyFacts {
    if BY_TAG.iter().any(|prefix| key.starts_with(prefix)) {
        return one(Known);
    }
    let found = KEYS
        .iter()
        .find(|(name, _)| if name.ends_with([':', '/']) { key.starts_with(name) } else { *name == key });
    if let Some((_, facts)) = found {
        return *facts;
    }
    let provider = key.split(':').next().unwrap_or_default();
    if provider == "saml" || provider.contains('.') {
        return several(Token);
    }
    several(Unclassified)
}
