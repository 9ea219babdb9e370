//! [`stable_hash`]: the same number for the same bytes, everywhere and for ever.

use crate::jitter::mix;

/// FNV-1a over the bytes, then the finalizer of `SplitMix64`.
///
/// For consistent hashing all gateways must agree, across versions too, which the hash of the standard
/// library does not promise. It is no defence: who chooses keys can choose colliding ones, which is why
/// loads are bounded ([`LoadBound`](super::LoadBound)).
pub fn stable_hash(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let fnv = bytes.iter().fold(OFFSET, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    });
    mix(fnv)
}

#[cfg(test)]
mod tests {
    use super::stable_hash;
    use crate::jitter::mix;

    #[test]
    fn it_is_fnv_1a_of_the_published_vectors() {
        // draft-eastlake-fnv, 64 bits.
        assert_eq!(stable_hash(b""), mix(0xcbf2_9ce4_8422_2325));
        assert_eq!(stable_hash(b"a"), mix(0xaf63_dc4c_8601_ec8c));
        assert_eq!(stable_hash(b"foobar"), mix(0x8594_4171_f739_67e8));
    }
}
