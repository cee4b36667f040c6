//! Messages put together by hand.

/// A message with its header.
pub(crate) fn message(message_type: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 19).unwrap().to_be_bytes();
    [&[0xff; 16][..], &length, &[message_type], body].concat()
}

/// An UPDATE of these three fields.
pub(crate) fn update(withdrawn: &[u8], attributes: &[Vec<u8>], announced: &[u8]) -> Vec<u8> {
    let attributes = attributes.concat();
    let length = |field: &[u8]| u16::try_from(field.len()).unwrap().to_be_bytes();
    message(2, &[&length(withdrawn), withdrawn, &length(&attributes), &attributes, announced].concat())
}

/// An attribute whose length is right.
pub(crate) fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    if flags & 0x10 == 0 {
        [&[flags, code, u8::try_from(value.len()).unwrap()], value].concat()
    } else {
        let [high, low] = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[flags, code, high, low], value].concat()
    }
}

pub(crate) fn origin() -> Vec<u8> {
    attribute(0x40, 1, &[0])
}

/// AS_SEQUENCE 65001, four octets.
pub(crate) fn as_path() -> Vec<u8> {
    attribute(0x40, 2, &[2, 1, 0, 0, 0xfd, 0xe9])
}

pub(crate) fn next_hop() -> Vec<u8> {
    attribute(0x40, 3, &[192, 0, 2, 1])
}

/// 10.1.0.0/16.
pub(crate) const PREFIX: &[u8] = &[16, 10, 1];
