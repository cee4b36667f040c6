//! One path to a destination, and all that there are.

use std::sync::Arc;

use super::AttributeSet;

/// Which neighbour a path came from: its place in the table of neighbours. Our own routes have [`PeerIndex::LOCAL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PeerIndex(pub(crate) u16);

impl PeerIndex {
    /// What we originate.
    pub(crate) const LOCAL: Self = Self(0);

    pub(crate) const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// A path. 16 octets for a unicast route: there are millions of them.
#[derive(Clone, Debug)]
pub(crate) struct Path<P> {
    pub(crate) attributes: Arc<AttributeSet>,
    /// As received (RFC 7911); 0 without path identifiers.
    pub(crate) path_id: u32,
    pub(crate) peer: PeerIndex,
    /// The session's generation in which it was received: another one than the present makes it stale (RFC 4724).
    pub(crate) epoch: u8,
    /// Kept beyond the restart time (RFC 9494).
    pub(crate) is_long_lived_stale: bool,
    pub(crate) payload: P,
}

/// The paths to a destination, the best one first.
#[derive(Clone, Debug, Default)]
pub(crate) enum Paths<P> {
    /// None any more: the slot waits until the last neighbour knows.
    #[default]
    None,
    /// Nearly always.
    One(Path<P>),
    /// Two or more.
    #[expect(clippy::box_collection, reason = "a vector takes 24 octets, and nearly no destination has one")]
    Many(Box<Vec<Path<P>>>),
}

impl<P> Paths<P> {
    pub(crate) fn as_slice(&self) -> &[Path<P>] {
        match self {
            Self::None => &[],
            Self::One(path) => std::slice::from_ref(path),
            Self::Many(paths) => paths,
        }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [Path<P>] {
        match self {
            Self::None => &mut [],
            Self::One(path) => std::slice::from_mut(path),
            Self::Many(paths) => paths,
        }
    }

    /// Puts one in the place of that with the same source, or beside the others; answers what was in its place.
    pub(crate) fn put(&mut self, path: Path<P>) -> Option<Path<P>> {
        let is_same = |other: &Path<P>| (other.peer, other.path_id) == (path.peer, path.path_id);
        if let Some(old) = self.as_mut_slice().iter_mut().find(|other| is_same(other)) {
            return Some(std::mem::replace(old, path));
        }
        *self = match std::mem::take(self) {
            Self::None => Self::One(path),
            Self::One(first) => Self::Many(Box::new(vec![first, path])),
            Self::Many(mut paths) => {
                paths.push(path);
                Self::Many(paths)
            }
        };
        None
    }

    /// Takes out those of which this is so; answers how many there were.
    pub(crate) fn remove_if(
        &mut self,
        mut is_gone: impl FnMut(&Path<P>) -> bool,
        mut gone: impl FnMut(Path<P>),
    ) {
        let mut left = match std::mem::take(self) {
            Self::None => return,
            Self::One(path) if is_gone(&path) => return gone(path),
            Self::One(path) => {
                *self = Self::One(path);
                return;
            }
            Self::Many(paths) => paths,
        };
        left.extract_if(.., |path| is_gone(path)).for_each(gone);
        *self = match left.len() {
            0 => Self::None,
            1 => left.pop().map_or(Self::None, Self::One),
            _ => Self::Many(left),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_unicast_route_takes_16_octets_and_so_do_all_of_a_destination() {
        assert_eq!(size_of::<Path<()>>(), 16);
        assert_eq!(size_of::<Paths<()>>(), 16);
    }
}
