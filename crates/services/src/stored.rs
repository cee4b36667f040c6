//! What each kind of row says of itself; what it takes to keep, restore and refer to it follows.

use crate::{Id, Model, Refusal, RowKey, RowKind, Standard};

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

/// Sees that what a row refers to is there, and that nothing refers to one that is not.
///
/// # Errors
/// What is missing, and who needs it.
pub(crate) fn check_references(model: &Model, key: &RowKey) -> Result<(), String> {
    let Some(row) = model.row(key) else { return check_not_referred_to(model, key) };
    let references = row.stored().map(Stored::references).unwrap_or_default();
    match references.into_iter().find(|(kind, id)| model.row(&RowKey::Resource(*kind, *id)).is_none()) {
        Some((kind, id)) => Err(format!("{} {id} is not there", kind.in_words())),
        None => Ok(()),
    }
}

/// Of facts nothing is said: a port may name a host that is not known.
fn check_not_referred_to(model: &Model, key: &RowKey) -> Result<(), String> {
    let RowKey::Resource(kind, id) = key else { return Ok(()) };
    match model.any_referring((*kind, *id)) {
        Some((kind, id)) => {
            Err(format!("{} would be gone, and {} {id} needs it", key.in_words(), kind.in_words()))
        }
        None => Ok(()),
    }
}
