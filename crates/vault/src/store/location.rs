//! How people write where a vault is.
//!
//! `/backups/vault` or `file:///backups/vault`, `s3://bucket/prefix`, `gs://bucket/prefix`,
//! `az://container/prefix`. A location never holds a secret: credentials come from where the
//! provider's own tools take them.

use super::name::check_name;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use thiserror::Error;
use url::Url;

/// Where a vault is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Location {
    /// A container in Azure Blob Storage; the account comes from the environment.
    Azure {
        /// The container's name.
        container: String,
        /// The names of all objects begin with this and a slash, unless it is empty.
        prefix: String,
    },
    /// A bucket in Google Cloud Storage.
    Gcs {
        /// The bucket's name.
        bucket: String,
        /// The names of all objects begin with this and a slash, unless it is empty.
        prefix: String,
    },
    /// A directory.
    Local(PathBuf),
    /// A bucket in S3, or in a store that speaks its protocol.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// The names of all objects begin with this and a slash, unless it is empty.
        prefix: String,
    },
}

/// A text is not a location.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LocationError {
    /// The text is empty.
    #[error("the location is empty")]
    Empty,
    /// The URL has no bucket.
    #[error("`{0}` names no bucket; write {0}://BUCKET/PREFIX")]
    NoBucket(String),
    /// The part after the bucket cannot be a prefix.
    #[error("the prefix in the location is not allowed: {0}")]
    Prefix(&'static str),
    /// The scheme of the URL is unknown.
    #[error("`{0}` is no kind of store; write a path, s3://, gs:// or az://")]
    Scheme(String),
    /// The URL holds a user, password, port, query or fragment, or cannot be read.
    #[error(
        "a location is only a scheme, a bucket and a prefix; credentials and options come from the environment"
    )]
    Url,
}

const SCHEMES: [&str; 4] = ["az", "file", "gs", "s3"];

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        if text.is_empty() {
            return Err(LocationError::Empty);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return match text.split_once(':') {
                // `s3:bucket` is a mistake far more often than a file name.
                Some((scheme, _)) if SCHEMES.contains(&scheme) => Err(LocationError::NoBucket(scheme.into())),
                _ => Ok(Self::Local(text.into())),
            };
        };
        if scheme.contains('/') {
            return Ok(Self::Local(text.into()));
        }
        match scheme {
            "file" => local_url(text),
            "az" => {
                bucket_and_prefix(scheme, rest).map(|(container, prefix)| Self::Azure { container, prefix })
            }
            "gs" => bucket_and_prefix(scheme, rest).map(|(bucket, prefix)| Self::Gcs { bucket, prefix }),
            "s3" => bucket_and_prefix(scheme, rest).map(|(bucket, prefix)| Self::S3 { bucket, prefix }),
            other => Err(LocationError::Scheme(other.to_owned())),
        }
    }
}

fn local_url(text: &str) -> Result<Location, LocationError> {
    let url = Url::parse(text).map_err(|_| LocationError::Url)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(LocationError::Url);
    }
    url.to_file_path().map(Location::Local).map_err(|()| LocationError::Url)
}

fn bucket_and_prefix(scheme: &str, rest: &str) -> Result<(String, String), LocationError> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(LocationError::NoBucket(scheme.to_owned()));
    }
    // Anything else may be a secret that was meant for a URL (`key:secret@bucket`), so it is not echoed.
    if !bucket.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
        return Err(LocationError::Url);
    }
    if prefix.contains(['?', '#']) {
        return Err(LocationError::Url);
    }
    let prefix = prefix.trim_end_matches('/');
    if !prefix.is_empty() {
        // A prefix is a folder of its own: only an object may not lie in `tmp`.
        check_name(&format!("-/{prefix}")).map_err(LocationError::Prefix)?;
        if prefix.len() > 250 {
            return Err(LocationError::Prefix("it is longer than 250 bytes"));
        }
    }
    Ok((bucket.to_owned(), prefix.to_owned()))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, bucket, prefix) = match self {
            Self::Local(path) => return path.display().fmt(f),
            Self::Azure { container, prefix } => ("az", container, prefix),
            Self::Gcs { bucket, prefix } => ("gs", bucket, prefix),
            Self::S3 { bucket, prefix } => ("s3", bucket, prefix),
        };
        write!(f, "{scheme}://{bucket}")?;
        if prefix.is_empty() { Ok(()) } else { write!(f, "/{prefix}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(bucket: &str, prefix: &str) -> Location {
        Location::S3 { bucket: bucket.into(), prefix: prefix.into() }
    }

    #[test]
    fn locations_are_read() {
        for (text, location) in [
            ("/backups/vault", Location::Local("/backups/vault".into())),
            ("relative/path", Location::Local("relative/path".into())),
            ("odd:name", Location::Local("odd:name".into())),
            ("./a://b", Location::Local("./a://b".into())),
            ("file:///with%20space", Location::Local("/with space".into())),
            ("s3://bucket", s3("bucket", "")),
            ("s3://bucket/", s3("bucket", "")),
            ("s3://bucket/a/b/", s3("bucket", "a/b")),
            ("s3://bucket/tmp", s3("bucket", "tmp")),
            ("gs://b/p", Location::Gcs { bucket: "b".into(), prefix: "p".into() }),
            ("az://c/p", Location::Azure { container: "c".into(), prefix: "p".into() }),
        ] {
            assert_eq!(text.parse(), Ok(location), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_without_echoing_secrets() {
        for text in [
            "",
            "s3:bucket",
            "s3://",
            "s3:///p",
            "http://x/y",
            "memory://",
            "file://host/p",
            "s3://b/p?region=x",
            "s3://b//p",
            "s3://b/../p",
        ] {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
        let error = "s3://key:hunter2@bucket/p".parse::<Location>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn a_location_prints_as_it_is_written() {
        for text in ["/backups/vault", "s3://bucket", "s3://bucket/a/b", "gs://b/p", "az://c/p"] {
            assert_eq!(text.parse::<Location>().unwrap().to_string(), text);
        }
    }
}
