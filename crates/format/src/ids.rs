//! Names of things: one type for each, so that they cannot be mixed up.

use data_encoding::HEXLOWER;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// The raw bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Lower-case hexadecimal.
            #[must_use]
            pub fn to_hex(&self) -> String {
                HEXLOWER.encode(&self.0)
            }

            /// Parses lower-case hexadecimal of the full length.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.to_hex())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.to_hex())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.to_hex())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                Self::from_hex(&text).ok_or_else(|| {
                    serde::de::Error::custom(concat!("not a ", stringify!($name), " in hexadecimal"))
                })
            }
        }
    };
}

id! {
    /// A vault: the first 16 bytes of the BLAKE3 hash of its first signing key `[V-3.2]`.
    VaultId, 16
}
id! {
    /// A dataset: 16 random bytes.
    DatasetId, 16
}
id! {
    /// A chunk of content, a meta page or a refs node: keyed BLAKE3 of its raw bytes `[V-2.4]`.
    ChunkId, 32
}
id! {
    /// A backup run, which has marked itself as running `[V-8.1]`: 16 random bytes.
    SessionId, 16
}
id! {
    /// The BLAKE3 hash of an object's bytes, by which it is named `[V-3.3]`.
    ObjectHash, 32
}

/// The id of a refs node: what a directory entry, a list or a snapshot root points to.
pub type RefsId = ChunkId;

impl ObjectHash {
    /// The name of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}
