//! What an error of `object_store` means: denied, unreachable, too busy, full, gone.
//!
//! `object_store` keeps the status and the body of an answer in a type that it does not export, so
//! both are read from its message: `... status code: 403 Forbidden: <Error><Code>AccessDenied...`.

use super::error::{At, Source, StoreError};
use super::retry::Failure;
use aws_credential_types::provider::error::CredentialsError;
use object_store::client::{HttpError, HttpErrorKind};
use std::error::Error;

/// The result of a failed attempt.
#[derive(Debug)]
pub(super) enum Verdict {
    /// A conditional creation found an object of that name.
    Exists,
    /// Anything else.
    Failed(Failure),
}

/// The longest part of a store's own words that is repeated in a message, in characters.
const MAX_REASON_LEN: usize = 300;

/// Error codes of S3 and its likes that say that only the credentials are too old.
const EXPIRED: [&str; 4] =
    ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"];

/// Error codes that say that the request, or who made it, is refused, whatever the status.
const DENIED: [&str; 5] =
    ["AccessDenied", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "RequestTimeTooSkewed"];

/// Error codes that say that the bytes arrived changed or cut.
const DAMAGED: [&str; 5] = [
    "BadDigest",
    "InvalidDigest",
    "IncompleteBody",
    "XAmzContentSHA256Mismatch",
    "XAmzContentChecksumMismatch",
];

const THROTTLED: [&str; 5] =
    ["SlowDown", "TooManyRequests", "RequestLimitExceeded", "ServerBusy", "OperationAborted"];

const FULL: [&str; 4] = ["QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "BucketQuotaExceeded"];

const NO_BUCKET: [&str; 2] = ["NoSuchBucket", "ContainerNotFound"];

pub(super) fn classify(at: At, range_end: Option<u64>, error: object_store::Error) -> Verdict {
    let at = Box::new(at);
    if let Some(failure) = credentials_failure(&at, &error) {
        return Verdict::Failed(failure(error.into()));
    }
    let answer = Answer::read(&error);
    let code = answer.code.as_deref().unwrap_or_default();
    let reason = answer.reason();
    let is = |codes: &[&str]| codes.contains(&code);
    let kind = http_kind(&error);
    let source: Option<Source> = Some(Box::new(error));
    let error = source.as_deref().and_then(|source| source.downcast_ref::<object_store::Error>());

    let refused = |error| failed(error, false, false, false);
    // Two conditional writers met: neither won yet, so this is not `Exists`.
    if code == "ConditionalRequestConflict" || is(&THROTTLED) || matches!(answer.status, Some(429)) {
        return failed(StoreError::Throttled { at, attempts: 1, reason, source }, true, false, false);
    }
    if is(&EXPIRED) {
        return failed(StoreError::Denied { at, reason, source }, false, false, true);
    }
    if is(&DENIED) {
        return refused(StoreError::Denied { at, reason, source });
    }
    if is(&DAMAGED) {
        return failed(StoreError::Corrupt { at, reason, source }, true, false, false);
    }
    if is(&FULL) || answer.status == Some(507) {
        return refused(StoreError::Full { at, reason, source });
    }
    if is(&NO_BUCKET) {
        return refused(StoreError::Other { at, reason: "the bucket does not exist".into(), source });
    }
    if let (Some(416), Some(end)) = (answer.status, range_end) {
        return refused(StoreError::OutOfRange { at, end });
    }
    match error {
        Some(object_store::Error::NotFound { .. }) => refused(StoreError::NotFound { at, source }),
        Some(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
            Verdict::Exists
        }
        Some(object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }) => {
            refused(StoreError::Denied { at, reason, source })
        }
        _ => unclassified(at, &answer, kind, reason, source),
    }
}

fn unclassified(
    at: Box<At>,
    answer: &Answer,
    kind: Option<HttpErrorKind>,
    reason: String,
    source: Option<Source>,
) -> Verdict {
    match (answer.status, kind) {
        (Some(503), _) => {
            failed(StoreError::Throttled { at, attempts: 1, reason, source }, true, true, false)
        }
        (Some(408 | 500 | 502 | 504), _) => {
            failed(StoreError::Unreachable { at, attempts: 1, reason, source }, true, true, false)
        }
        // A certificate does not become valid by waiting.
        (None, Some(HttpErrorKind::Connect)) => {
            let retry = !answer.text.contains("certificate");
            failed(StoreError::Unreachable { at, attempts: 1, reason, source }, retry, false, false)
        }
        (None, Some(_)) => {
            failed(StoreError::Unreachable { at, attempts: 1, reason, source }, true, true, false)
        }
        _ => failed(StoreError::Other { at, reason, source }, false, false, false),
    }
}

/// The attempt took longer than it may.
pub(super) fn timed_out(at: At) -> Verdict {
    let reason = "no answer in time".to_owned();
    let error = StoreError::Unreachable { at: Box::new(at), attempts: 1, reason, source: None };
    failed(error, true, true, false)
}

fn failed(error: StoreError, retry: bool, ambiguous: bool, expired: bool) -> Verdict {
    Verdict::Failed(Failure { error, retry, ambiguous, expired })
}

type Build = Box<dyn FnOnce(Source) -> Failure>;

fn credentials_failure(at: &At, error: &object_store::Error) -> Option<Build> {
    let cause = chain(error).find_map(|error| error.downcast_ref::<CredentialsError>())?;
    let at = Box::new(at.clone());
    let words = last_words(cause);
    let unreachable = match cause {
        CredentialsError::ProviderTimedOut(_) => true,
        CredentialsError::ProviderError(_) => {
            chain(cause).any(|error| error.to_string().contains("dispatch failure"))
        }
        _ => false,
    };
    let reason = match cause {
        CredentialsError::CredentialsNotLoaded(_) => {
            "no AWS credentials were found (environment, profile, web identity, instance)".to_owned()
        }
        _ => format!("AWS credentials could not be had: {words}"),
    };
    Some(Box::new(move |source| {
        let source = Some(source);
        let error = if unreachable {
            StoreError::Unreachable { at, attempts: 1, reason, source }
        } else {
            StoreError::Denied { at, reason, source }
        };
        Failure { error, retry: unreachable, ambiguous: false, expired: false }
    }))
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn last_words(error: &(dyn Error + 'static)) -> String {
    shorten(&chain(error).last().map(ToString::to_string).unwrap_or_default())
}

fn http_kind(error: &object_store::Error) -> Option<HttpErrorKind> {
    chain(error).find_map(|error| error.downcast_ref::<HttpError>()).map(HttpError::kind)
}

fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_REASON_LEN).collect()
}

/// What a store answered.
#[derive(Debug)]
struct Answer {
    status: Option<u16>,
    code: Option<String>,
    message: Option<String>,
    text: String,
    last_words: String,
}

impl Answer {
    fn read(error: &object_store::Error) -> Self {
        let text = error.to_string();
        let status = text
            .split_once("non-2xx status code: ")
            .and_then(|(_, rest)| rest.get(..3))
            .and_then(|digits| digits.parse().ok());
        let code = between(&text, "<Code>", "</Code>").map(shorten);
        let message = between(&text, "<Message>", "</Message>").map(shorten);
        Self { status, code, message, last_words: last_words(error), text }
    }

    fn reason(&self) -> String {
        match (&self.code, &self.message, self.status) {
            (Some(code), Some(message), _) => format!("{code}: {message}"),
            (Some(code), None, _) => code.clone(),
            (None, _, Some(status)) => format!("it answered with status {status}"),
            (None, _, None) => self.last_words.clone(),
        }
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    Some(text.split_once(before)?.1.split_once(after)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Operation;

    fn at() -> At {
        At { operation: Operation::PutNew, name: "a".into(), store: "s3://b".into() }
    }

    fn answered(text: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: text.to_owned().into() }
    }

    fn failure(error: object_store::Error) -> Failure {
        match classify(at(), Some(9), error) {
            Verdict::Failed(failure) => failure,
            Verdict::Exists => panic!("not a failure"),
        }
    }

    fn status(status: &str, code: &str) -> Failure {
        failure(answered(&format!(
            "Server returned non-2xx status code: {status}: <Error><Code>{code}</Code><Message>Words.</Message></Error>"
        )))
    }

    #[test]
    fn answers_of_a_store_are_told_apart() {
        use StoreError as E;
        let denied = status("403 Forbidden", "AccessDenied");
        assert!(matches!(denied.error, E::Denied { .. }) && !denied.retry && !denied.ambiguous);
        assert!(denied.error.to_string().ends_with("AccessDenied: Words."), "{}", denied.error);

        let expired = status("400 Bad Request", "ExpiredToken");
        assert!(matches!(expired.error, E::Denied { .. }) && expired.expired);

        let busy = status("503 Service Unavailable", "SlowDown");
        assert!(matches!(busy.error, E::Throttled { .. }) && busy.retry && !busy.ambiguous);

        let broken = status("500 Internal Server Error", "InternalError");
        assert!(matches!(broken.error, E::Unreachable { .. }) && broken.retry && broken.ambiguous);

        assert!(matches!(status("507 Insufficient Storage", "X").error, E::Full { .. }));
        assert!(matches!(
            status("416 Range Not Satisfiable", "InvalidRange").error,
            E::OutOfRange { end: 9, .. }
        ));
        assert!(matches!(status("404 Not Found", "NoSuchBucket").error, E::Other { .. }));
        assert!(matches!(status("400 Bad Request", "BadDigest").error, E::Corrupt { .. }));
        assert!(matches!(status("400 Bad Request", "InvalidArgument").error, E::Other { .. }));
    }

    #[test]
    fn two_writers_that_met_are_not_one_that_won() {
        let met = status("409 Conflict", "ConditionalRequestConflict");
        assert!(matches!(met.error, StoreError::Throttled { .. }) && met.retry);
        let path = "a".to_owned();
        let exists = object_store::Error::AlreadyExists { path, source: "412".into() };
        assert!(matches!(classify(at(), None, exists), Verdict::Exists));
    }

    #[test]
    fn missing_credentials_are_a_refusal() {
        let source = Box::new(CredentialsError::not_loaded("nothing configured"));
        let failure = failure(object_store::Error::Generic { store: "S3", source });
        assert!(failure.error.is_denied() && !failure.retry);
        assert!(failure.error.to_string().contains("no AWS credentials"), "{}", failure.error);
    }

    #[test]
    fn a_lost_connection_leaves_the_outcome_open() {
        for (kind, ambiguous) in [
            (HttpErrorKind::Connect, false),
            (HttpErrorKind::Request, true),
            (HttpErrorKind::Timeout, true),
            (HttpErrorKind::Interrupted, true),
        ] {
            let source = Box::new(HttpError::new(kind, std::io::Error::other("lost")));
            let failure = failure(object_store::Error::Generic { store: "S3", source });
            assert!(matches!(failure.error, StoreError::Unreachable { .. }) && failure.retry);
            assert_eq!(failure.ambiguous, ambiguous, "{kind:?}");
        }
    }
}
