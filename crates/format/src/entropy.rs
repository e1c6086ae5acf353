//! Where random bytes come from. Injected, so that test vectors can be reproduced.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// A source of cryptographically secure random bytes.
pub trait Entropy: Send {
    /// Fills `out` with random bytes.
    fn fill(&mut self, out: &mut [u8]);

    /// An array of random bytes.
    fn array<const N: usize>(&mut self) -> [u8; N]
    where
        Self: Sized,
    {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }
}

/// The operating system's generator, through AWS-LC.
#[derive(Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    /// # Panics
    /// Where the operating system has no random bytes to give: nothing can be sealed then.
    fn fill(&mut self, out: &mut [u8]) {
        SystemRandom::new().fill(out).expect("the operating system gives random bytes");
    }
}

/// [`Entropy`] as the traits of `rand_core`, which other crates take.
pub struct EntropyRng<'a>(pub &'a mut dyn Entropy);

impl rand_core::TryRng for EntropyRng<'_> {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut out = [0; 4];
        self.0.fill(&mut out);
        Ok(u32::from_le_bytes(out))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut out = [0; 8];
        self.0.fill(&mut out);
        Ok(u64::from_le_bytes(out))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(dst);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for EntropyRng<'_> {}
