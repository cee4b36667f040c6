//! What each kind of row says of itself; what it takes to keep, restore and refer to it follows.

use crate::{Id, Model, Refusal, RowKind, Standard};

/// A resource's row.
pub(crate) trait Stored {
    /// Its standard attributes.
    fn standard(&self) -> &Standard;

    /// The same, to be changed.
    fn standard_mut(&mut self) -> &mut Standard;

    /// The rows that it refers to: they are there for as long as it is.
    fn references(&self) -> Vec<(RowKind, Id)>;

    /// Refuses what only one can have and another row has; a row of its own identifier is not another.
    ///
    /// # Errors
    /// What is taken, and by which row.
    fn check_claims(&self, model: &Model) -> Result<(), Refusal>;

    /// Forgets what follows from other rows and is decided anew when it is restored.
    fn forget_derived(&mut self) {}
}

/// What a kind of row is found by, besides its identifier, its name and what it refers to.
pub(crate) trait Indexed: Stored + Sized {
    /// Brings its indexes up to date: called when the row is where it was, changed, or gone.
    fn index(model: &mut Model, before: Option<&Self>, after: Option<&Self>);
}

/// The two that every row answers alike.
macro_rules! stored_standard {
    () => {
        fn standard(&self) -> &crate::Standard {
            &self.standard
        }

        fn standard_mut(&mut self) -> &mut crate::Standard {
            &mut self.standard
        }
    };
}
pub(crate) use stored_standard;
