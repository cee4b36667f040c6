//! AS paths (RFC 4271 §4.3, RFC 6793).

use std::fmt;

use weft_net::Asn;

use super::bytes::{Reader, put_u16};

/// The autonomous systems that a route came through, nearest first: segments, each a sequence or a set.
///
/// Kept as the octets of the four-octet form, in one piece: cheap to compare, to hash and to store.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AsPath(Box<[u8]>);

/// What a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SegmentKind {
    /// Unordered: of an aggregated route.
    Set,
    /// In order.
    Sequence,
}

/// One segment: 1 to 255 systems.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// What it is.
    pub kind: SegmentKind,
    octets: &'a [u8],
}

/// How many systems a segment can hold.
const SEGMENT_MAX: usize = 255;

impl SegmentKind {
    const fn number(self) -> u8 {
        match self {
            Self::Set => 1,
            Self::Sequence => 2,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Set),
            2 => Some(Self::Sequence),
            _ => None,
        }
    }
}

impl<'a> Segment<'a> {
    /// The systems, nearest first.
    pub fn asns(self) -> impl ExactSizeIterator<Item = Asn> + 'a {
        self.octets.as_chunks().0.iter().map(|octets| Asn::new(u32::from_be_bytes(*octets)))
    }
}

impl AsPath {
    /// Of a route that never left its AS.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// A path of one sequence, nearest first; of several segments if there are more than 255 systems.
    #[must_use]
    pub fn sequence(asns: &[Asn]) -> Self {
        Self::from_segments([(SegmentKind::Sequence, asns)])
    }

    /// A path of these segments, nearest first. One of more than 255 systems becomes several, an empty one none.
    #[must_use]
    pub fn from_segments<'a>(segments: impl IntoIterator<Item = (SegmentKind, &'a [Asn])>) -> Self {
        let mut octets = Vec::new();
        for (kind, asns) in segments {
            for part in asns.chunks(SEGMENT_MAX) {
                octets.extend([kind.number(), part.len() as u8]);
                octets.extend(part.iter().flat_map(|asn| asn.get().to_be_bytes()));
            }
        }
        Self(octets.into())
    }

    /// The segments, nearest first.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let [kind, count, tail @ ..] = rest else { return None };
            let (octets, tail) = tail.split_at(usize::from(*count) * 4);
            rest = tail;
            let kind = SegmentKind::from_number(*kind).expect("no other kind was let in");
            Some(Segment { kind, octets })
        })
    }

    /// All systems, nearest first, members of sets too.
    pub fn asns(&self) -> impl Iterator<Item = Asn> {
        self.segments().flat_map(Segment::asns)
    }

    /// Whether `asn` is in it: then a route has come round in a loop (RFC 4271 §9).
    #[must_use]
    pub fn contains(&self, asn: Asn) -> bool {
        self.asns().any(|other| other == asn)
    }

    /// How long it is when routes are compared: a set counts as one (RFC 4271 §9.1.2.2).
    #[must_use]
    pub fn length(&self) -> usize {
        let length = |segment: Segment<'_>| match segment.kind {
            SegmentKind::Set => 1,
            SegmentKind::Sequence => segment.asns().len(),
        };
        self.segments().map(length).sum()
    }

    /// The neighbouring system, if the path begins with a sequence.
    #[must_use]
    pub fn first(&self) -> Option<Asn> {
        let segment = self.segments().next().filter(|segment| segment.kind == SegmentKind::Sequence)?;
        segment.asns().next()
    }

    /// The system that the route comes from, if the path ends with a sequence.
    #[must_use]
    pub fn origin(&self) -> Option<Asn> {
        let segment = self.segments().last().filter(|segment| segment.kind == SegmentKind::Sequence)?;
        segment.asns().last()
    }

    /// The path with `asn` put `times` before it (RFC 4271 §5.1.2).
    #[must_use]
    pub fn prepend(&self, asn: Asn, times: usize) -> Self {
        let mut asns = vec![asn; times];
        let mut rest = &self.0[..];
        if let Some(first) = self.segments().next().filter(|segment| segment.kind == SegmentKind::Sequence) {
            asns.extend(first.asns());
            rest = &rest[2 + first.octets.len()..];
        }
        // The nearest segment is the one that is not full.
        let (short, full) = asns.split_at(asns.len() % SEGMENT_MAX);
        let Self(front) =
            Self::from_segments([(SegmentKind::Sequence, short), (SegmentKind::Sequence, full)]);
        Self([&front[..], rest].concat().into())
    }

    /// Whether there is no system in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for AsPath {
    /// As route servers print it: `65001 65002 {65003,65004}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.segments().enumerate() {
            let (open, separator, close) = match segment.kind {
                SegmentKind::Set => ("{", ",", "}"),
                SegmentKind::Sequence => ("", " ", ""),
            };
            f.write_str(if index == 0 { "" } else { " " })?;
            for (index, asn) in segment.asns().enumerate() {
                write!(f, "{}{asn}", if index == 0 { open } else { separator })?;
            }
            f.write_str(close)?;
        }
        Ok(())
    }
}

impl fmt::Debug for AsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AsPath({self})")
    }
}

impl AsPath {
    /// Reads the value of AS_PATH or AS4_PATH: numbers of two octets or of four. `None` if a segment is of no kind that is known outside
    /// confederations, has no system, or more than are there (RFC 7606 §7.2), or if a system is 0 (RFC 7607).
    pub(super) fn read(value: &[u8], four_octets: bool) -> Option<Self> {
        let mut reader = Reader::new(value);
        let size = if four_octets { 4 } else { 2 };
        while !reader.is_empty() {
            let (kind, count) = (reader.u8()?, reader.u8()?);
            SegmentKind::from_number(kind)?;
            let asns = reader.slice((count > 0).then_some(usize::from(count) * size)?)?;
            if asns.chunks_exact(size).any(|asn| asn.iter().all(|octet| *octet == 0)) {
                return None;
            }
        }
        if four_octets {
            return Some(Self(value.into()));
        }
        let mut octets = Vec::with_capacity(value.len() * 2);
        let mut reader = Reader::new(value);
        while let (Some(kind), Some(count)) = (reader.u8(), reader.u8()) {
            octets.extend([kind, count]);
            for _ in 0..count {
                octets.extend(u32::from(reader.u16()?).to_be_bytes());
            }
        }
        Some(Self(octets.into()))
    }

    /// Writes the value, with numbers of two octets or of four. What does not fit two is [`Asn::TRANS`] there.
    pub(super) fn write(&self, four_octets: bool, out: &mut Vec<u8>) {
        if four_octets {
            return out.extend_from_slice(&self.0);
        }
        for segment in self.segments() {
            out.extend([segment.kind.number(), segment.asns().len() as u8]);
            segment.asns().for_each(|asn| put_u16(out, two_octets(asn)));
        }
    }

    /// Whether a number in it does not fit two octets.
    pub(super) fn needs_four_octets(&self) -> bool {
        self.asns().any(|asn| asn.two_octets().is_none())
    }

    /// The path that `self`, from a neighbour with two-octet numbers, and its AS4_PATH make together (RFC 6793 §4.2.3): the front of the first, where
    /// systems that know two octets only put themselves, and all of the second.
    pub(super) fn merged_with(&self, four: &Self) -> Self {
        let Some(mut front) = self.length().checked_sub(four.length()) else { return self.clone() };
        let mut segments: Vec<(SegmentKind, Vec<Asn>)> = Vec::new();
        for segment in self.segments() {
            if front == 0 {
                break;
            }
            let taken = match segment.kind {
                SegmentKind::Set => segment.asns().collect(),
                SegmentKind::Sequence => segment.asns().take(front).collect::<Vec<_>>(),
            };
            front -= if segment.kind == SegmentKind::Set { 1 } else { taken.len() };
            segments.push((segment.kind, taken));
        }
        for (index, segment) in four.segments().enumerate() {
            match segments.last_mut() {
                // One sequence that was cut in two is one again.
                Some((SegmentKind::Sequence, asns))
                    if index == 0 && segment.kind == SegmentKind::Sequence =>
                {
                    asns.extend(segment.asns());
                }
                _ => segments.push((segment.kind, segment.asns().collect())),
            }
        }
        Self::from_segments(segments.iter().map(|(kind, asns)| (*kind, &asns[..])))
    }
}

/// The number in two octets, or [`Asn::TRANS`].
pub(super) fn two_octets(asn: Asn) -> u16 {
    asn.two_octets().unwrap_or(Asn::TRANS.get() as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(segments: &[&[u32]]) -> AsPath {
        let segments: Vec<Vec<Asn>> =
            segments.iter().map(|asns| asns.iter().copied().map(Asn::new).collect()).collect();
        AsPath::from_segments(segments.iter().map(|asns| (SegmentKind::Sequence, &asns[..])))
    }

    fn set(asns: &[u32]) -> AsPath {
        let asns: Vec<Asn> = asns.iter().copied().map(Asn::new).collect();
        AsPath::from_segments([(SegmentKind::Set, &asns[..])])
    }

    #[test]
    fn a_path_is_measured_and_searched() {
        let path = AsPath([&path(&[&[3, 2]]).0[..], &set(&[7, 8, 9]).0].concat().into());
        assert_eq!((path.length(), path.first(), path.origin()), (3, Some(Asn::new(3)), None));
        assert!(path.contains(Asn::new(8)) && !path.contains(Asn::new(1)));
        assert_eq!(path.to_string(), "3 2 {7,8,9}");
        assert_eq!((AsPath::empty().length(), AsPath::empty().first()), (0, None));
    }

    #[test]
    fn what_is_prepended_joins_the_first_sequence_while_there_is_room() {
        let asn = Asn::new(1);
        assert_eq!(path(&[&[2], &[3]]).prepend(asn, 2), path(&[&[1, 1, 2], &[3]]));
        assert_eq!(set(&[2]).prepend(asn, 1).to_string(), "1 {2}");
        assert_eq!(AsPath::empty().prepend(asn, 1), path(&[&[1]]));
        assert_eq!(path(&[&[2]]).prepend(asn, 0), path(&[&[2]]));
        let full = path(&[&[2; 255]]);
        assert_eq!(full.prepend(asn, 1), path(&[&[1], &[2; 255]]));
        assert_eq!(full.prepend(asn, 1).prepend(asn, 1), path(&[&[1, 1], &[2; 255]]));
    }

    #[test]
    fn only_segments_in_good_form_are_read() {
        assert_eq!(AsPath::read(&[2, 2, 0, 1, 0, 2], false), Some(path(&[&[1, 2]])));
        assert_eq!(AsPath::read(&[2, 1, 0, 1, 0, 0], true), Some(path(&[&[65_536]])));
        assert_eq!(AsPath::read(&[], true), Some(AsPath::empty()));
        for bad in
            [&[2][..], &[2, 0], &[2, 1, 0], &[2, 1, 0, 1, 2], &[0, 1, 0, 1], &[3, 1, 0, 1], &[4, 1, 0, 1]]
        {
            assert_eq!(AsPath::read(bad, false), None, "{bad:?}");
        }
    }

    /// RFC 6793 §4.2.3.
    #[test]
    fn the_four_octet_path_replaces_the_end_of_the_two_octet_one() {
        let merged = |two: AsPath, four: AsPath| two.merged_with(&four).to_string();
        assert_eq!(merged(path(&[&[5, 23_456, 23_456]]), path(&[&[70_000, 80_000]])), "5 70000 80000");
        assert_eq!(merged(path(&[&[5], &[6, 23_456]]), path(&[&[70_000]])), "5 6 70000");
        assert_eq!(merged(path(&[&[5, 6]]), path(&[&[1, 2, 3]])), "5 6");
        assert_eq!(merged(path(&[&[5, 23_456]]), set(&[70_000, 80_000])), "5 {70000,80000}");
        let two = AsPath([&set(&[4, 5]).0[..], &path(&[&[23_456]]).0].concat().into());
        assert_eq!(merged(two, path(&[&[70_000]])), "{4,5} 70000");
        let cut = path(&[&[1, 23_456], &[3]]);
        assert_eq!(cut.merged_with(&path(&[&[70_000], &[3]])), path(&[&[1, 70_000], &[3]]));
    }
}
