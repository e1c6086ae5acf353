//! What `DescribeKey` tells of a key.

use crate::holder::{Answer, HolderError, HolderState};
use aws_sdk_kms::{
    primitives::DateTimeFormat,
    types::{KeyMetadata, KeyState},
};

/// The state as everyone is told it.
pub(super) fn state(metadata: &KeyMetadata) -> HolderState {
    match metadata.key_state() {
        Some(KeyState::Enabled) => HolderState::CanOpen,
        Some(KeyState::Disabled) => HolderState::Disabled,
        Some(KeyState::PendingDeletion | KeyState::PendingReplicaDeletion) => {
            HolderState::PendingDeletion(deletion_date(metadata))
        }
        other => HolderState::Unknown(words(other).to_owned()),
    }
}

/// The state as it follows from a failed `DescribeKey`.
pub(super) fn state_from(error: HolderError) -> HolderState {
    match error {
        HolderError::Denied(answer) => HolderState::Denied(format!("kms:DescribeKey: {answer}")),
        HolderError::Disabled(_) => HolderState::Disabled,
        HolderError::PendingDeletion(_) => HolderState::PendingDeletion(None),
        HolderError::Deleted(_) => HolderState::Deleted,
        HolderError::Throttled(answer) | HolderError::Unreachable(answer) => {
            HolderState::Unreachable(answer.to_string())
        }
        HolderError::NoSecret(what) => HolderState::Away(what),
        other => HolderState::Unknown(other.to_string()),
    }
}

/// Why a key in this state is not used, where it is not; `answer` is what the provider said when it was tried.
pub(super) fn obstacle(metadata: &KeyMetadata, answer: Answer) -> Option<HolderError> {
    let with = |more: &str| {
        let said = if answer.said.is_empty() { more.to_owned() } else { format!("{}; {more}", answer.said) };
        Answer { said, ..answer.clone() }
    };
    match metadata.key_state() {
        Some(KeyState::Enabled) => None,
        Some(KeyState::PendingDeletion) => {
            Some(HolderError::PendingDeletion(match deletion_date(metadata) {
                Some(date) => with(&format!("it will be deleted on {date}")),
                None => with("no date is known"),
            }))
        }
        state @ Some(KeyState::PendingReplicaDeletion) => {
            Some(HolderError::PendingDeletion(with(words(state))))
        }
        state @ Some(KeyState::Disabled | KeyState::PendingImport) => {
            Some(HolderError::Disabled(with(words(state))))
        }
        state => Some(HolderError::Unreachable(with(words(state)))),
    }
}

/// In RFC 3339, UTC.
fn deletion_date(metadata: &KeyMetadata) -> Option<String> {
    metadata.deletion_date()?.fmt(DateTimeFormat::DateTime).ok()
}

fn words(state: Option<&KeyState>) -> &'static str {
    match state {
        Some(KeyState::Creating) => "the key is still being made",
        Some(KeyState::Disabled) => "the key is disabled",
        Some(KeyState::PendingImport) => {
            "the key has no key material: it was never imported, was deleted, or has expired; import it again"
        }
        Some(KeyState::PendingReplicaDeletion) => "the key will be deleted after its replicas",
        Some(KeyState::Unavailable) => "the key store that the key lies in cannot be reached by AWS KMS",
        Some(KeyState::Updating) => "the key is being changed",
        Some(_) => "the key is in a state that this program does not know",
        None => "AWS KMS does not tell the state of the key",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_kms::primitives::DateTime;

    fn metadata(state: Option<&str>) -> KeyMetadata {
        KeyMetadata::builder()
            .key_id("1")
            .set_key_state(state.map(KeyState::from))
            .deletion_date(DateTime::from_secs(1_800_000_000))
            .build()
            .unwrap()
    }

    #[test]
    fn states() {
        let date = || Some("2027-01-15T08:00:00Z".to_owned());
        for (name, right) in [
            ("Enabled", HolderState::CanOpen),
            ("Disabled", HolderState::Disabled),
            ("PendingDeletion", HolderState::PendingDeletion(date())),
            ("PendingReplicaDeletion", HolderState::PendingDeletion(date())),
        ] {
            assert_eq!(state(&metadata(Some(name))), right);
        }
        for name in ["Creating", "PendingImport", "Unavailable", "Updating", "SomethingNew"] {
            let state = state(&metadata(Some(name)));
            assert!(matches!(&state, HolderState::Unknown(words) if words.len() > 20), "{name}: {state:?}");
        }
        assert!(matches!(state(&metadata(None)), HolderState::Unknown(_)));
    }

    #[test]
    fn obstacles() {
        let answer = || Answer {
            code: Some("KMSInvalidStateException".into()),
            said: "it is not usable".into(),
            request_id: Some("id".into()),
        };
        let obstacle = |name| obstacle(&metadata(Some(name)), answer());
        assert!(obstacle("Enabled").is_none());
        let Some(HolderError::PendingDeletion(pending)) = obstacle("PendingDeletion") else { panic!() };
        assert_eq!(
            pending.to_string(),
            "KMSInvalidStateException: it is not usable; it will be deleted on 2027-01-15T08:00:00Z (request id)"
        );
        assert!(matches!(obstacle("PendingReplicaDeletion"), Some(HolderError::PendingDeletion(_))));
        let Some(HolderError::Disabled(import)) = obstacle("PendingImport") else { panic!() };
        assert!(import.said.contains("import it again"));
        assert!(matches!(obstacle("Disabled"), Some(HolderError::Disabled(_))));
        for passing in ["Unavailable", "Creating", "Updating"] {
            assert!(obstacle(passing).is_some_and(|error| error.is_passing()), "{passing}");
        }
    }

    #[test]
    fn states_from_failures() {
        let no = || Answer::said("no");
        assert_eq!(state_from(HolderError::Deleted(no())), HolderState::Deleted);
        assert_eq!(state_from(HolderError::Denied(no())), HolderState::Denied("kms:DescribeKey: no".into()));
        assert_eq!(state_from(HolderError::Throttled(no())), HolderState::Unreachable("no".into()));
        assert_eq!(state_from(HolderError::NoSecret("no".into())), HolderState::Away("no".into()));
    }
}
