//! Shamir's secret sharing over the children of a policy node `[V-4.2]`, by `blahaj`.
//!
//! Its tables are read at places that depend on secrets: somebody who measures the processor's cache on this
//! machine while a key is put together learns something of it. Such a neighbour could read our memory as well.

use blahaj::{Share, Sharks};
use strongroom_format::{EntropyRng, Secret32, SystemEntropy};
use zeroize::{Zeroize, Zeroizing};

/// Splits a secret into `count` shares, `needed` of which give it back. The first share is that at 1.
pub(crate) fn split(secret: &Secret32, needed: u8, count: u8) -> Vec<Secret32> {
    let mut entropy = SystemEntropy;
    let mut rng = EntropyRng(&mut entropy);
    let dealer = Sharks(needed).dealer_rng(secret.expose(), &mut rng);
    let bytes = dealer.take(usize::from(count)).map(|share| Zeroizing::new(Vec::from(&share)));
    // The first byte is where the polynomials were evaluated.
    bytes.filter_map(|bytes| Secret32::from_slice(bytes.get(1..)?)).collect()
}

/// Puts a secret together from exactly as many shares as are needed, each with where it was evaluated.
pub(crate) fn combine(shares: &[(u8, Secret32)]) -> Option<Secret32> {
    let shares: Vec<Share> = shares
        .iter()
        .filter_map(|(at, share)| {
            let mut bytes = Zeroizing::new([0; 33]);
            bytes[0] = *at;
            bytes[1..].copy_from_slice(share.expose());
            Share::try_from(bytes.as_slice()).ok()
        })
        .collect();
    let needed = u8::try_from(shares.len()).ok()?;
    let mut secret = Sharks(needed).recover(&shares).ok()?;
    let combined = Secret32::from_slice(&secret);
    secret.zeroize();
    combined
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Multiplication as the specification describes the field, bit by bit.
    fn times(mut a: u8, mut b: u8) -> u8 {
        let mut product = 0;
        while b > 0 {
            if b & 1 == 1 {
                product ^= a;
            }
            a = (a << 1) ^ if a & 0x80 == 0 { 0 } else { 0x1d };
            b >>= 1;
        }
        product
    }

    fn inverse(a: u8) -> u8 {
        (1..=255).find(|b| times(a, *b) == 1).unwrap()
    }

    /// Another implementation, from the specification.
    fn value_at_zero(points: &[(u8, u8)]) -> u8 {
        points.iter().fold(0, |sum, (x, y)| {
            let others = points.iter().filter(|(other, _)| other != x);
            sum ^ others.fold(*y, |term, (other, _)| times(times(term, *other), inverse(other ^ x)))
        })
    }

    proptest! {
        #[test]
        fn as_many_as_needed_give_it_back(
            secret in any::<[u8; 32]>(),
            (needed, order) in (2..8_u8).prop_flat_map(|count| (1..=count, Just((1..=count).collect::<Vec<_>>()).prop_shuffle())),
        ) {
            let shares = split(&Secret32::new(secret), needed, order.len() as u8);
            prop_assert_eq!(shares.len(), order.len());
            let some: Vec<(u8, Secret32)> =
                order.iter().take(usize::from(needed)).map(|at| (*at, shares[usize::from(*at) - 1].clone())).collect();
            prop_assert_eq!(*combine(&some).unwrap().expose(), secret);
            for (nth, byte) in secret.iter().enumerate() {
                let points: Vec<(u8, u8)> = some.iter().map(|(at, share)| (*at, share.expose()[nth])).collect();
                prop_assert_eq!(value_at_zero(&points), *byte);
            }
            if needed > 1 {
                let fewer = combine(&some[1..]);
                prop_assert!(fewer.is_none_or(|other| other.expose() != &secret));
            }
        }
    }

    #[test]
    fn the_vectors_of_the_format_are_put_together() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/vectors/shares.json");
        let vectors: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let bytes = |text: &serde_json::Value| {
            data_encoding::HEXLOWER.decode(text.as_str().unwrap().as_bytes()).unwrap()
        };
        let vectors = vectors.as_array().unwrap();
        assert!(!vectors.is_empty());
        for vector in vectors {
            let shares: Vec<(u8, Secret32)> = vector["in"]["shares"]
                .as_array()
                .unwrap()
                .iter()
                .map(|share| {
                    let at = share["at"].as_u64().unwrap() as u8;
                    (at, Secret32::from_slice(&bytes(&share["share"])).unwrap())
                })
                .collect();
            let secret = bytes(&vector["out"]["secret"]);
            assert_eq!(combine(&shares).unwrap().expose().as_slice(), secret, "{}", vector["name"]);
        }
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(combine(&[]).is_none());
    }
}
