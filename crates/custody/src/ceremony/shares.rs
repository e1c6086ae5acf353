//! Shamir's secret sharing, and the byte form of a share.
//!
//! Each byte of the material, and of the check value after it, is shared by a polynomial of its own over GF(256)
//! with the reduction polynomial x^8 + x^4 + x^3 + x^2 + 1 (0x11d); the shared byte is its value at 0, the share
//! with index x holds its value at x. Integers are little-endian.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | magic `STRSHARE` |
//! | 8 | 1 | version: 1 |
//! | 9 | 16 | ceremony id, random |
//! | 25 | 1 | threshold: 2 to the number of shares |
//! | 26 | 1 | index: 1 to the number of shares |
//! | 27 | 1 | number of shares: 2 to 64 |
//! | 28 | 2 | length of the payload: 32 to 4112 |
//! | 30 | | payload: the values for the material, then for the 16 bytes of the check value |
//! | | 16 | first 16 bytes of `BLAKE3-derive("strongroom v1 share checksum", all before)` |
//!
//! The check value is the first 16 bytes of `BLAKE3-derive("strongroom v1 ceremony check", ceremony id | material)`.

use strongroom_format::{Entropy, EntropyRng};
use thiserror::Error;
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"STRSHARE";
const VERSION: u8 = 1;
const ID_LEN: usize = 16;
const HEADER_LEN: usize = 30;
const CHECK_LEN: usize = 16;
const CHECKSUM_LEN: usize = 16;

/// Shortest material, in bytes.
pub const MATERIAL_MIN: usize = 16;
/// Longest material, in bytes.
pub const MATERIAL_MAX: usize = 4096;
/// Most shares of one ceremony.
pub const SHARES_MAX: u8 = 64;
/// Longest share, in bytes.
pub(super) const SHARE_MAX: usize = HEADER_LEN + MATERIAL_MAX + CHECK_LEN + CHECKSUM_LEN;

/// Why shares were not made, read, or put together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShareError {
    /// The material is too short or too long.
    #[error("{len} bytes cannot be split: {MATERIAL_MIN} to {MATERIAL_MAX} can")]
    Material {
        /// Its length.
        len: usize,
    },
    /// The threshold does not fit the number of shares.
    #[error("{threshold} of {total} is no way to split: 2 of 2 to {SHARES_MAX} of {SHARES_MAX} are")]
    Threshold {
        /// How many should open.
        threshold: u8,
        /// How many there should be.
        total: u8,
    },
    /// The bytes are no share at all.
    #[error("this is no share of a key")]
    NoShare,
    /// The share has a form that this program does not know.
    #[error("this share has version {0}, which this program does not know")]
    Version(u8),
    /// The share was cut, or has something after its end.
    #[error("this share has {len} bytes, which is not what it says of itself")]
    Length {
        /// Its length.
        len: usize,
    },
    /// The share was mistyped or damaged.
    #[error("the checksum of this share does not match: it was mistyped or damaged")]
    Checksum,
    /// A share that nobody can have made.
    #[error("this share is malformed: {0}")]
    Field(&'static str),
    /// Shares of different ceremonies.
    #[error("share {index} is of another ceremony than the first one")]
    OtherCeremony {
        /// The index of the one that differs.
        index: u8,
    },
    /// The same share more than once.
    #[error("share {index} was given twice")]
    Twice {
        /// Its index.
        index: u8,
    },
    /// Not enough shares.
    #[error("{have} of {need} needed shares were given")]
    TooFew {
        /// How many there are.
        have: usize,
        /// How many are needed.
        need: u8,
    },
    /// One share is not what was made in the ceremony.
    #[error("share {index} is not the one that was made: the others fit together without it")]
    Wrong {
        /// Its index.
        index: u8,
    },
    /// The shares do not fit together.
    #[error("the shares do not fit together: at least one is not what was made; one more share tells which")]
    Unfit,
}

/// One share of a key: a secret. It is wiped when dropped and never shown.
#[derive(Clone)]
pub struct Share {
    ceremony: [u8; ID_LEN],
    threshold: u8,
    index: u8,
    total: u8,
    payload: Zeroizing<Vec<u8>>,
}

impl Share {
    /// The ceremony that it was made in.
    #[must_use]
    pub fn ceremony(&self) -> &[u8; 16] {
        &self.ceremony
    }

    /// How many shares open.
    #[must_use]
    pub fn threshold(&self) -> u8 {
        self.threshold
    }

    /// Which one it is, from 1.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.index
    }

    /// How many were made.
    #[must_use]
    pub fn total(&self) -> u8 {
        self.total
    }

    /// Its byte form.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let len = HEADER_LEN + self.payload.len() + CHECKSUM_LEN;
        let mut out = Zeroizing::new(Vec::with_capacity(len));
        out.extend_from_slice(MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&self.ceremony);
        out.extend_from_slice(&[self.threshold, self.index, self.total]);
        out.extend_from_slice(&(self.payload.len() as u16).to_le_bytes());
        out.extend_from_slice(&self.payload);
        let sum = checksum(&out);
        out.extend_from_slice(&sum);
        out
    }

    /// Reads a byte form.
    ///
    /// # Errors
    /// [`ShareError::NoShare`], [`ShareError::Version`], [`ShareError::Length`], [`ShareError::Checksum`],
    /// [`ShareError::Field`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ShareError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ShareError::NoShare)?;
        let len = ShareError::Length { len: bytes.len() };
        match rest.first() {
            Some(&VERSION) => {}
            Some(&version) => return Err(ShareError::Version(version)),
            None => return Err(len),
        }
        let (header, _) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(len.clone())?;
        let payload_len = usize::from(u16::from_le_bytes([header[28], header[29]]));
        if bytes.len() != HEADER_LEN + payload_len + CHECKSUM_LEN {
            return Err(len);
        }
        let (body, sum) = bytes.split_at_checked(bytes.len() - CHECKSUM_LEN).ok_or(len)?;
        if checksum(body) != sum {
            return Err(ShareError::Checksum);
        }
        if !(MATERIAL_MIN + CHECK_LEN..=MATERIAL_MAX + CHECK_LEN).contains(&payload_len) {
            return Err(ShareError::Field("its payload is too short or too long"));
        }
        let [threshold, index, total] = [header[25], header[26], header[27]];
        if check_threshold(threshold, total).is_err() {
            return Err(ShareError::Field("its threshold does not fit the number of shares"));
        }
        if !(1..=total).contains(&index) {
            return Err(ShareError::Field("its index is not one of its ceremony"));
        }
        let mut ceremony = [0; ID_LEN];
        ceremony.copy_from_slice(&header[9..25]);
        Ok(Self { ceremony, threshold, index, total, payload: Zeroizing::new(body[HEADER_LEN..].to_vec()) })
    }

    /// As `blahaj` takes it: the index, then the values.
    fn point(&self) -> Result<blahaj::Share, ShareError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1 + self.payload.len()));
        bytes.push(self.index);
        bytes.extend_from_slice(&self.payload);
        blahaj::Share::try_from(bytes.as_slice()).map_err(|_| ShareError::Field("its payload is empty"))
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Share")
            .field("index", &self.index)
            .field("threshold", &self.threshold)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_LEN] {
    first_half(blake3::derive_key("strongroom v1 share checksum", body))
}

fn check_value(ceremony: &[u8; ID_LEN], material: &[u8]) -> [u8; CHECK_LEN] {
    let mut hasher = blake3::Hasher::new_derive_key("strongroom v1 ceremony check");
    hasher.update(ceremony).update(material);
    first_half(*hasher.finalize().as_bytes())
}

fn first_half(hash: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    half
}

fn check_threshold(threshold: u8, total: u8) -> Result<(), ShareError> {
    if (2..=total).contains(&threshold) && total <= SHARES_MAX {
        Ok(())
    } else {
        Err(ShareError::Threshold { threshold, total })
    }
}

/// Splits `material` into `total` shares, of which any `threshold` give it back.
///
/// # Errors
/// [`ShareError::Material`], [`ShareError::Threshold`].
pub fn split(
    material: &[u8],
    threshold: u8,
    total: u8,
    entropy: &mut dyn Entropy,
) -> Result<Vec<Share>, ShareError> {
    if !(MATERIAL_MIN..=MATERIAL_MAX).contains(&material.len()) {
        return Err(ShareError::Material { len: material.len() });
    }
    check_threshold(threshold, total)?;
    let mut ceremony = [0; ID_LEN];
    entropy.fill(&mut ceremony);
    let mut checked = Zeroizing::new(Vec::with_capacity(material.len() + CHECK_LEN));
    checked.extend_from_slice(material);
    checked.extend_from_slice(&check_value(&ceremony, material));
    let mut dealer = EntropyRng(entropy);
    let shares = blahaj::Sharks(threshold)
        .dealer_rng(&checked, &mut dealer)
        .take(usize::from(total))
        .map(|point| {
            let bytes = Zeroizing::new(Vec::from(&point));
            let (index, values) = bytes.split_first().unwrap_or((&0, &[]));
            Share { ceremony, threshold, index: *index, total, payload: Zeroizing::new(values.to_vec()) }
        })
        .collect();
    Ok(shares)
}

/// Puts shares of one ceremony together: at least as many as its threshold. All that are given must be right; where
/// there is one more than needed, the error names a wrong one.
///
/// # Errors
/// [`ShareError`], as its variants say.
pub fn recover(shares: &[Share]) -> Result<Zeroizing<Vec<u8>>, ShareError> {
    let Some(first) = shares.first() else { return Err(ShareError::TooFew { have: 0, need: 2 }) };
    for (at, share) in shares.iter().enumerate() {
        let same = share.ceremony == first.ceremony
            && (share.threshold, share.total) == (first.threshold, first.total)
            && share.payload.len() == first.payload.len();
        if !same {
            return Err(ShareError::OtherCeremony { index: share.index });
        }
        if shares[..at].iter().any(|earlier| earlier.index == share.index) {
            return Err(ShareError::Twice { index: share.index });
        }
    }
    let need = usize::from(first.threshold);
    if shares.len() < need {
        return Err(ShareError::TooFew { have: shares.len(), need: first.threshold });
    }
    let points = shares.iter().map(Share::point).collect::<Result<Vec<_>, _>>()?;
    if let Some(material) = interpolate(first, points.iter()) {
        return Ok(material);
    }
    if shares.len() > need {
        for (left_out, share) in shares.iter().enumerate() {
            let others = points.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, point)| point);
            if interpolate(first, others).is_some() {
                return Err(ShareError::Wrong { index: share.index });
            }
        }
    }
    Err(ShareError::Unfit)
}

/// The material, where its check value is right.
fn interpolate<'a>(
    of: &Share,
    points: impl Iterator<Item = &'a blahaj::Share>,
) -> Option<Zeroizing<Vec<u8>>> {
    let mut checked = Zeroizing::new(blahaj::Sharks(of.threshold).recover(points).ok()?);
    let (material, check) = checked.split_at_checked(checked.len().checked_sub(CHECK_LEN)?)?;
    if check_value(&of.ceremony, material) != check {
        return None;
    }
    let len = material.len();
    checked.truncate(len);
    Some(checked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use strongroom_format::SystemEntropy;

    fn made(material: &[u8], threshold: u8, total: u8) -> Vec<Share> {
        split(material, threshold, total, &mut SystemEntropy).unwrap()
    }

    fn arrangement() -> impl Strategy<Value = (u8, u8)> {
        (2..=9u8).prop_flat_map(|total| (2..=total, Just(total)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn any_threshold_of_shares_recovers_and_one_less_does_not(
            material in proptest::collection::vec(any::<u8>(), 16..200),
            (threshold, total) in arrangement(),
            order in any::<u64>(),
        ) {
            let mut shares = made(&material, threshold, total);
            let len = shares.len();
            (1..len).for_each(|at| shares.swap(at, order as usize % (at + 1)));
            for chosen in usize::from(threshold)..=len {
                prop_assert_eq!(&*recover(&shares[..chosen]).unwrap(), &material);
            }
            let few = &shares[..usize::from(threshold) - 1];
            let told = matches!(recover(few), Err(ShareError::TooFew { .. }));
            prop_assert!(told);
            // Nor do they where they lie about the threshold.
            if few.len() >= 2 {
                let lying: Vec<Share> =
                    few.iter().map(|share| Share { threshold: threshold - 1, ..share.clone() }).collect();
                prop_assert_eq!(recover(&lying).unwrap_err(), ShareError::Unfit);
            }
        }

        #[test]
        fn shares_keep_their_byte_form_and_lose_it_with_any_bit(
            material in proptest::collection::vec(any::<u8>(), 16..64),
            position in any::<prop::sample::Index>(),
            bit in 0..8u8,
        ) {
            let share = &made(&material, 2, 3)[1];
            let bytes = share.encode();
            prop_assert_eq!(Share::decode(&bytes).unwrap().encode(), bytes.clone());
            let mut changed = bytes.clone();
            let at = position.index(changed.len());
            changed[at] ^= 1 << bit;
            prop_assert!(Share::decode(&changed).is_err());
            prop_assert!(Share::decode(&bytes[..at]).is_err());
        }
    }

    #[test]
    fn one_share_tells_nothing_of_the_material() {
        // Over many ceremonies of one material every value of a byte comes up about as often as any other.
        let mut seen = [0u32; 256];
        for _ in 0..2000 {
            for byte in made(&[0; 16], 2, 2)[0].payload[..16].iter() {
                seen[usize::from(*byte)] += 1;
            }
        }
        assert!(seen.iter().all(|count| (60..=200).contains(count)), "{seen:?}");
    }

    #[test]
    fn the_field_is_that_of_0x11d() {
        // By hand: f(x) = 0x2a + c x with shares at 1 and 2 gives c = y1 ^ 0x2a, and y2 = 0x2a ^ 2c.
        let times_two = |c: u8| (c << 1) ^ if c & 0x80 == 0 { 0 } else { 0x1d };
        let shares = made(&[0x2a; 16], 2, 2);
        for at in 0..16 {
            let c = shares[0].payload[at] ^ 0x2a;
            assert_eq!(shares[1].payload[at], 0x2a ^ times_two(c));
        }
    }

    #[test]
    fn a_wrong_share_is_an_error_and_named_where_it_can_be() {
        let shares = made(b"sixteen bytes, and some more", 3, 5);
        let mut spoilt = shares.clone();
        spoilt[1].payload[4] ^= 1;
        assert_eq!(recover(&spoilt[..3]).unwrap_err(), ShareError::Unfit);
        assert_eq!(recover(&spoilt[..4]).unwrap_err(), ShareError::Wrong { index: 2 });
        assert_eq!(recover(&spoilt).unwrap_err(), ShareError::Wrong { index: 2 });

        let twice = [shares[0].clone(), shares[1].clone(), shares[0].clone()];
        assert_eq!(recover(&twice).unwrap_err(), ShareError::Twice { index: 1 });
        let foreign = [shares[0].clone(), made(&[1; 28], 3, 5)[1].clone()];
        assert_eq!(recover(&foreign).unwrap_err(), ShareError::OtherCeremony { index: 2 });
        assert_eq!(recover(&[]).unwrap_err(), ShareError::TooFew { have: 0, need: 2 });
    }

    #[test]
    fn limits() {
        let mut entropy = SystemEntropy;
        for len in [0, 15, 4097] {
            let error = split(&vec![1; len], 2, 3, &mut entropy).unwrap_err();
            assert_eq!(error, ShareError::Material { len });
        }
        for (threshold, total) in [(0, 0), (1, 1), (1, 3), (4, 3), (2, 65), (0, 3)] {
            let error = split(&[1; 16], threshold, total, &mut entropy).unwrap_err();
            assert_eq!(error, ShareError::Threshold { threshold, total });
        }
        let longest = made(&[7; MATERIAL_MAX], 2, SHARES_MAX);
        assert_eq!(longest.len(), 64);
        assert_eq!(longest[63].encode().len(), SHARE_MAX);
        assert_eq!(*recover(&longest[62..]).unwrap(), [7; MATERIAL_MAX]);
        assert_eq!(format!("{:?}", longest[0]), "Share { index: 1, threshold: 2, total: 64, .. }");
    }

    #[test]
    fn forged_fields_are_refused() {
        let good = made(&[1; 16], 2, 3)[0].encode();
        let forge = |at: usize, value: u8| {
            let mut body = good[..good.len() - CHECKSUM_LEN].to_vec();
            body[at] = value;
            let sum = checksum(&body);
            body.extend_from_slice(&sum);
            Share::decode(&body).unwrap_err()
        };
        assert_eq!(forge(0, b'X'), ShareError::NoShare);
        assert_eq!(forge(8, 2), ShareError::Version(2));
        for (at, value) in [(25, 0), (25, 1), (25, 4), (26, 0), (26, 4), (27, 65), (27, 1)] {
            assert!(matches!(forge(at, value), ShareError::Field(_)), "{at} = {value}");
        }
        assert!(matches!(forge(28, 33), ShareError::Length { .. }));
        assert_eq!(Share::decode(b"").unwrap_err(), ShareError::NoShare);
        assert!(Share::decode(MAGIC).is_err());
    }
}
