//! AS paths (RFC 4271 §4.3, RFC 6793).

use std::fmt;

use weft_net::Asn;

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
