//! Fragments as reports name them that have no room for names.

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// The digest of a fragment's service and subject: 64-bit FNV-1a of the first, an octet 0, and the second.
#[must_use]
pub fn fragment_digest(service: &str, subject: &str) -> u64 {
    let octets = service.bytes().chain([0]).chain(subject.bytes());
    octets.fold(OFFSET_BASIS, |digest, octet| (digest ^ u64::from(octet)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_same_in_all_versions_and_tells_fragments_apart() {
        // FNV-1a of the octets "a", 0, "b".
        assert_eq!(fragment_digest("a", "b"), 0xe5d2_9919_0426_66b2);
        assert_ne!(fragment_digest("ab", ""), fragment_digest("a", "b"));
        assert_ne!(fragment_digest("", "ab"), fragment_digest("ab", ""));
    }
}
