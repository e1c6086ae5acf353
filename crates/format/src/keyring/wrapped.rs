//! Policies, keyholders and wrapped keys as documents hold them `[V-4.2]`.

use crate::{
    context::valid_label,
    error::{Damage, FormatError, Result},
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor},
    ser::SerializeMap,
};
use std::{collections::BTreeMap, fmt};

/// Deepest nesting of a policy; a label alone has depth 1.
pub const POLICY_DEPTH_MAX: usize = 8;
/// Most keyholders named in one policy.
pub const POLICY_LEAVES_MAX: usize = 64;
/// Largest wrap by one keyholder, in bytes.
pub const WRAP_MAX: usize = 64 << 10;
/// Most parameters of one keyholder.
const PARAMETERS_MAX: usize = 64;
/// Longest text in a parameter, in bytes: an RSA public key fits many times over.
const PARAMETER_TEXT_MAX: usize = 16 << 10;
/// Most texts in a list of a parameter.
const PARAMETER_LIST_MAX: usize = 256;

/// Who can open a key. In JSON a label is a string, and the nodes are `{"any": [...]}`, `{"all": [...]}` and
/// `{"threshold": 2, "of": [...]}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PolicyTree {
    /// This keyholder.
    Keyholder(String),
    /// Each of these alone.
    Any(Vec<PolicyTree>),
    /// These together.
    All(Vec<PolicyTree>),
    /// So many of these together.
    Threshold {
        /// How many.
        needed: u8,
        /// Of whom.
        of: Vec<PolicyTree>,
    },
}

impl PolicyTree {
    /// The children of a node; none of a keyholder.
    #[must_use]
    pub fn children(&self) -> &[PolicyTree] {
        match self {
            Self::Keyholder(_) => &[],
            Self::Any(children) | Self::All(children) | Self::Threshold { of: children, .. } => children,
        }
    }

    /// How many children are needed together; 1 for a keyholder.
    #[must_use]
    pub fn needed(&self) -> usize {
        match self {
            Self::Keyholder(_) | Self::Any(_) => 1,
            Self::All(children) => children.len(),
            Self::Threshold { needed, .. } => usize::from(*needed),
        }
    }

    /// The labels of all keyholders, from left to right, each with whether it holds a share only: where one of
    /// the nodes above it needs more than one child.
    #[must_use]
    pub fn seats(&self) -> Vec<(&str, bool)> {
        let mut seats = Vec::new();
        let mut stack = vec![(self, false)];
        while let Some((node, share)) = stack.pop() {
            if let Self::Keyholder(label) = node {
                seats.push((label.as_str(), share));
            }
            let share = share || node.needed() > 1;
            stack.extend(node.children().iter().rev().map(|child| (child, share)));
        }
        seats
    }

    /// The labels of all keyholders named, from left to right.
    pub fn leaves(&self) -> impl Iterator<Item = &str> {
        let mut stack = vec![self];
        std::iter::from_fn(move || {
            loop {
                match stack.pop()? {
                    Self::Keyholder(label) => return Some(label.as_str()),
                    node => stack.extend(node.children().iter().rev()),
                }
            }
        })
    }

    /// Checks shape and limits for `object`: no empty node, no keyholder twice, at most
    /// [`POLICY_DEPTH_MAX`] deep and [`POLICY_LEAVES_MAX`] wide.
    ///
    /// # Errors
    /// [`Damage::Limit`] or [`Damage::Field`] about the policy.
    pub fn check(&self, object: &'static str) -> Result<()> {
        self.check_shape(object, 1)?;
        let mut labels: Vec<&str> = self.leaves().take(POLICY_LEAVES_MAX + 1).collect();
        if labels.len() > POLICY_LEAVES_MAX {
            return Err(FormatError::new(object, Damage::Limit("policy")));
        }
        labels.sort_unstable();
        if labels.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(FormatError::new(object, Damage::Field("policy: a keyholder twice")));
        }
        Ok(())
    }

    fn check_shape(&self, object: &'static str, depth: usize) -> Result<()> {
        if depth > POLICY_DEPTH_MAX {
            return Err(FormatError::new(object, Damage::Limit("policy depth")));
        }
        match self {
            Self::Keyholder(label) if valid_label(label) => Ok(()),
            Self::Keyholder(_) => Err(FormatError::new(object, Damage::Field("policy: label"))),
            node if node.children().is_empty() => {
                Err(FormatError::new(object, Damage::Field("policy: empty node")))
            }
            node if !(1..=node.children().len()).contains(&node.needed()) => {
                Err(FormatError::new(object, Damage::Field("policy: threshold")))
            }
            node => node.children().iter().try_for_each(|child| child.check_shape(object, depth + 1)),
        }
    }
}

impl fmt::Display for PolicyTree {
    /// The form of the command line: `any(a, 2 of (b, c, d))`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyholder(label) => return f.write_str(label),
            Self::Any(_) => f.write_str("any(")?,
            Self::All(_) => f.write_str("all(")?,
            Self::Threshold { needed, .. } => write!(f, "{needed} of (")?,
        }
        for (i, child) in self.children().iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{child}")?;
        }
        f.write_str(")")
    }
}

impl Serialize for PolicyTree {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keyholder(label) => s.serialize_str(label),
            Self::Any(children) => s.collect_map([("any", children)]),
            Self::All(children) => s.collect_map([("all", children)]),
            Self::Threshold { needed, of } => {
                let mut map = s.serialize_map(Some(2))?;
                map.serialize_entry("threshold", needed)?;
                map.serialize_entry("of", of)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for PolicyTree {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Node;

        impl<'de> Visitor<'de> for Node {
            type Value = PolicyTree;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a keyholder's label, or a node {\"any\": [...]}, {\"all\": [...]} or {\"threshold\": 2, \"of\": [...]}")
            }

            fn visit_str<E: de::Error>(self, label: &str) -> Result<PolicyTree, E> {
                Ok(PolicyTree::Keyholder(label.to_owned()))
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<PolicyTree, M::Error> {
                let Some(kind) = map.next_key::<String>()? else {
                    return Err(de::Error::custom("a policy node is empty"));
                };
                let node = match kind.as_str() {
                    "any" => PolicyTree::Any(map.next_value()?),
                    "all" => PolicyTree::All(map.next_value()?),
                    "threshold" => {
                        let needed = map.next_value()?;
                        match map.next_key::<String>()?.as_deref() {
                            Some("of") => PolicyTree::Threshold { needed, of: map.next_value()? },
                            _ => return Err(de::Error::custom("\"of\" must follow \"threshold\"")),
                        }
                    }
                    _ => {
                        let kind: String = kind.chars().take(32).collect();
                        return Err(de::Error::custom(format_args!(
                            "policy node {kind:?} is not known to this program"
                        )));
                    }
                };
                if map.next_key::<String>()?.is_some() {
                    return Err(de::Error::custom("a policy node has a key too many"));
                }
                Ok(node)
            }
        }

        d.deserialize_any(Node)
    }
}

/// A public parameter of a keyholder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Parameter {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
    /// Several texts.
    List(Vec<String>),
}

/// What a keyring says of one keyholder: all of it public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyholderSpec {
    /// `file`, `passphrase`, `age`, `aws-kms`, or a kind that other versions know.
    pub kind: String,
    /// What the kind needs to know.
    #[serde(deserialize_with = "unique_keys")]
    pub parameters: BTreeMap<String, Parameter>,
}

impl KeyholderSpec {
    /// Checks limits for `object`.
    ///
    /// # Errors
    /// [`Damage::Limit`] or [`Damage::Field`] about the keyholder.
    pub fn check(&self, object: &'static str) -> Result<()> {
        if !valid_label(&self.kind) {
            return Err(FormatError::new(object, Damage::Field("keyholder kind")));
        }
        let short = |text: &String| text.len() <= PARAMETER_TEXT_MAX;
        let fits = |(name, value): (&String, &Parameter)| {
            valid_label(name)
                && match value {
                    Parameter::Text(text) => short(text),
                    Parameter::Number(_) => true,
                    Parameter::List(list) => list.len() <= PARAMETER_LIST_MAX && list.iter().all(short),
                }
        };
        if self.parameters.len() > PARAMETERS_MAX || !self.parameters.iter().all(fits) {
            return Err(FormatError::new(object, Damage::Limit("keyholder parameters")));
        }
        Ok(())
    }
}

/// A key, wrapped by keyholders under a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrappedKey {
    /// Who can open it.
    pub policy: PolicyTree,
    /// [`crate::Secret32::commitment`] of the key, in hexadecimal: what is unwrapped must match.
    #[serde(with = "hex_32")]
    pub commitment: [u8; 32],
    /// What each keyholder made.
    pub wraps: Vec<Wrap>,
}

/// A key, wrapped by one keyholder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrap {
    /// The keyholder's label.
    pub holder: String,
    /// [`crate::Secret32::commitment`] of the keyholder's share, in hexadecimal. None where it holds the key itself.
    #[serde(with = "optional_hex_32", default, skip_serializing_if = "Option::is_none")]
    pub commitment: Option<[u8; 32]>,
    /// What it made, in base64; its meaning is the keyholder's own.
    #[serde(with = "base64")]
    pub blob: Vec<u8>,
}

impl WrappedKey {
    /// Checks limits for `object`, that there is exactly one wrap for each keyholder of the policy, and that
    /// those of shares, and only those, have a commitment of their own.
    ///
    /// # Errors
    /// [`Damage::Limit`] or [`Damage::Field`] about the wrapped key.
    pub fn check(&self, object: &'static str) -> Result<()> {
        self.policy.check(object)?;
        if self.wraps.iter().any(|wrap| wrap.blob.len() > WRAP_MAX) {
            return Err(FormatError::new(object, Damage::Limit("wrap")));
        }
        let mut wanted = self.policy.seats();
        let present = self.wraps.iter().map(|wrap| (wrap.holder.as_str(), wrap.commitment.is_some()));
        let mut present: Vec<(&str, bool)> = present.collect();
        wanted.sort_unstable();
        present.sort_unstable();
        if wanted == present { Ok(()) } else { Err(FormatError::new(object, Damage::Field("wraps"))) }
    }

    /// The commitment of what a wrap of this key holds: of its share, or of the key itself.
    #[must_use]
    pub fn commitment_of(&self, wrap: &Wrap) -> [u8; 32] {
        wrap.commitment.unwrap_or(self.commitment)
    }

    /// What this keyholder made.
    #[must_use]
    pub fn wrap_of(&self, holder: &str) -> Option<&Wrap> {
        self.wraps.iter().find(|wrap| wrap.holder == holder)
    }
}

mod hex_32 {
    use super::{Deserialize, Deserializer, Serializer, de};
    use data_encoding::HEXLOWER;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&HEXLOWER.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 32], D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        HEXLOWER
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| de::Error::custom("a commitment is 32 bytes in lower-case hexadecimal"))
    }
}

mod optional_hex_32 {
    use super::{Deserializer, Serializer, hex_32};

    pub(super) fn serialize<S: Serializer>(bytes: &Option<[u8; 32]>, s: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => hex_32::serialize(bytes, s),
            None => s.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<[u8; 32]>, D::Error> {
        hex_32::deserialize(d).map(Some)
    }
}

mod base64 {
    use super::{Deserialize, Deserializer, Serializer, de};
    use data_encoding::BASE64;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&BASE64.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        BASE64.decode(text.as_bytes()).map_err(|_| de::Error::custom("a wrap is bytes in base64"))
    }
}

/// Reads a map in which no key comes twice, so that all readers see the same document.
pub(super) fn unique_keys<'de, D, V>(d: D) -> Result<BTreeMap<String, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    struct Unique<V>(std::marker::PhantomData<V>);

    impl<'de, V: Deserialize<'de>> Visitor<'de> for Unique<V> {
        type Value = BTreeMap<String, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut out = BTreeMap::new();
            while let Some((key, value)) = map.next_entry()? {
                if out.insert(key, value).is_some() {
                    return Err(de::Error::custom("a key comes twice in a map"));
                }
            }
            Ok(out)
        }
    }

    d.deserialize_map(Unique(std::marker::PhantomData))
}
