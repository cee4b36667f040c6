//! Reading octets from the front, and writing fields whose length stands before them.

/// What is still to be read. Every read gives `None` if there is not enough, and then takes nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// All that is left.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(front)
    }

    /// The next `length` octets, to be read on their own.
    pub(super) fn part(&mut self, length: usize) -> Option<Self> {
        self.slice(length).map(Self)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*front)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u24(&mut self) -> Option<u32> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A prefix of `bits` in an address of `N` octets; bits beyond it become zero. `None` also if it has more bits than the address.
    pub(super) fn prefix<const N: usize>(&mut self, bits: u8) -> Option<[u8; N]> {
        let length = usize::from(bits).div_ceil(8);
        let mut address = [0; N];
        address.get_mut(..length)?.copy_from_slice(self.slice(length)?);
        if !bits.is_multiple_of(8) {
            address[length - 1] &= 0xff << (8 - bits % 8);
        }
        Some(address)
    }
}

/// The octets of `address` that a prefix of `bits` needs.
pub(super) fn prefix_octets(address: &[u8], bits: u8) -> &[u8] {
    &address[..usize::from(bits).div_ceil(8)]
}

pub(super) fn put_u16(out: &mut Vec<u8>, number: u16) {
    out.extend(number.to_be_bytes());
}

pub(super) fn put_u24(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_be_bytes()[1..]);
}

pub(super) fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend(number.to_be_bytes());
}

/// Writes a field with its length in one octet before it.
///
/// # Panics
///
/// If the field has more than 255 octets: its type does not let it.
pub(super) fn put_with_length_u8(out: &mut Vec<u8>, field: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.push(0);
    field(out);
    out[start] = u8::try_from(out.len() - start - 1).expect("the field's type bounds its length");
}

/// Writes a field with its length in two octets before it.
///
/// # Panics
///
/// If the field has more than 65,535 octets: then it is in no message.
pub(super) fn put_with_length_u16(out: &mut Vec<u8>, field: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put_u16(out, 0);
    field(out);
    let length = u16::try_from(out.len() - start - 2).expect("what is packed fits a message");
    out[start..start + 2].copy_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_read_and_takes_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!((reader.u32(), reader.slice(4), reader.len()), (None, None, 3));
        assert_eq!((reader.u24(), reader.u8(), reader.is_empty()), (Some(0x01_0203), None, true));
    }

    #[test]
    fn bits_beyond_a_prefix_become_zero() {
        let read = |octets: &[u8], bits| Reader::new(octets).prefix::<4>(bits);
        assert_eq!(read(&[], 0), Some([0; 4]));
        assert_eq!(read(&[255, 255], 9), Some([255, 128, 0, 0]));
        assert_eq!(read(&[1, 2, 3, 4], 32), Some([1, 2, 3, 4]));
        assert_eq!(read(&[1, 2, 3, 4, 5], 33), None);
        assert_eq!(read(&[1], 9), None);
    }

    #[test]
    fn a_length_is_written_before_its_field() {
        let mut out = vec![9];
        put_with_length_u8(&mut out, |out| {
            put_with_length_u16(out, |out| out.extend([7; 300].iter().take(5)))
        });
        assert_eq!(out, [9, 7, 0, 5, 7, 7, 7, 7, 7]);
    }
}
