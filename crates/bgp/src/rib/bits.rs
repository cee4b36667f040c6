//! A set of slots of a table, one bit each.

/// Slots. Taking them out goes round: what is put in behind the last one taken waits its turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct SlotSet {
    words: Vec<u64>,
    count: usize,
    /// The word at which the next one is looked for.
    cursor: usize,
}

impl SlotSet {
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn contains(&self, slot: u32) -> bool {
        let (word, bit) = place(slot);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Puts one in; answers whether it was not there.
    pub(crate) fn insert(&mut self, slot: u32) -> bool {
        let (word, bit) = place(slot);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.count += usize::from(is_new);
        is_new
    }

    /// Takes one out; answers whether it was there.
    pub(crate) fn remove(&mut self, slot: u32) -> bool {
        let (word, bit) = place(slot);
        let Some(word) = self.words.get_mut(word) else { return false };
        let was_there = *word & bit != 0;
        *word &= !bit;
        self.count -= usize::from(was_there);
        was_there
    }

    /// Takes the next one out.
    pub(crate) fn pop(&mut self) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        let length = self.words.len();
        let found = (0..length).map(|step| (self.cursor + step) % length).find(|&at| self.words[at] != 0)?;
        let bit = self.words[found].trailing_zeros();
        self.words[found] &= self.words[found] - 1;
        self.count -= 1;
        self.cursor = found;
        u32::try_from(found * 64).ok().map(|base| base + bit)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        let of_word = |(index, &word): (usize, &u64)| {
            let base = u32::try_from(index * 64).expect("slots are u32");
            (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| base + bit)
        };
        self.words.iter().enumerate().filter(|(_, word)| **word != 0).flat_map(of_word)
    }
}

const fn place(slot: u32) -> (usize, u64) {
    (slot as usize / 64, 1 << (slot % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out_once_and_in_turn() {
        let mut set = SlotSet::default();
        for slot in [700, 3, 64, 3] {
            set.insert(slot);
        }
        assert_eq!(set.len(), 3);
        assert_eq!(set.iter().collect::<Vec<_>>(), [3, 64, 700]);
        assert_eq!((set.pop(), set.pop()), (Some(3), Some(64)));
        // Behind the cursor: it waits until what is before it was taken.
        assert!(set.insert(2));
        assert_eq!((set.pop(), set.pop(), set.pop()), (Some(700), Some(2), None));
        assert!(!set.remove(700) && !set.contains(700) && set.len() == 0);
    }
}
