//! Percent-encoding (RFC 3986 §2.1), as far as the API has to read it itself.

/// The bytes that a text stands for, and whether each `%` in it is followed by two hexadecimal digits; one that is not
/// stands for itself.
pub(crate) fn decode(text: &str) -> (Vec<u8>, bool) {
    let mut bytes = Vec::with_capacity(text.len());
    let mut is_well_formed = true;
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, escaped(tail)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                is_well_formed &= *first != b'%';
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    (bytes, is_well_formed)
}

/// The byte of the two digits at the beginning.
fn escaped(text: &[u8]) -> Option<u8> {
    let digits = text.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_is_decoded_once_and_the_rest_stays() {
        for (text, bytes, is_well_formed) in [
            ("a%20b%252F", "a b%2F".as_bytes(), true),
            ("%C3%a4", "ä".as_bytes(), true),
            ("%FF", b"\xff", true),
            ("%", b"%", false),
            ("%2", b"%2", false),
            ("%zz%41", b"%zzA", false),
            ("%+1", b"%+1", false),
        ] {
            assert_eq!(decode(text), (bytes.to_vec(), is_well_formed), "{text}");
        }
    }
}
