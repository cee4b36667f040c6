//! What stands for something where there is no room for its name.

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// The digest of two texts, such as a fragment's service and subject: 64-bit FNV-1a of the first, an octet 0, and the second.
#[must_use]
pub fn digest(first: &str, second: &str) -> u64 {
    let octets = first.bytes().chain([0]).chain(second.bytes());
    octets.fold(OFFSET_BASIS, |digest, octet| (digest ^ u64::from(octet)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_same_in_all_versions_and_tells_fragments_apart() {
        // FNV-1a of the octets "a", 0, "b".
        assert_eq!(digest("a", "b"), 0xe5d2_9919_0426_66b2);
        assert_ne!(digest("ab", ""), digest("a", "b"));
        assert_ne!(digest("", "ab"), digest("ab", ""));
    }
}
