//! The model as the store holds it.

use weft_services::{Model, Row, RowKey, Write};
use weft_store::{DecodeError, Space};

/// The head: the services' model behind the store's interface.
#[derive(Clone, Debug, Default)]
pub struct Head(pub Model);

impl weft_store::Model for Head {
    type Write = Write;

    fn encode(write: &Write) -> weft_store::Row {
        let (key, value) = match write {
            Write::Put(row) => (row.key(), Some(row.to_bytes())),
            Write::Delete(key) => (key.clone(), None),
        };
        let space = if key.kind().is_fact() { Space::Kept } else { Space::Model };
        weft_store::Row { space, key: key.to_text().into_bytes(), value }
    }

    fn decode(row: &weft_store::Row) -> Result<Write, DecodeError> {
        let text = std::str::from_utf8(&row.key).map_err(|error| DecodeError::new(error.to_string()))?;
        let key = RowKey::from_text(text).map_err(|error| DecodeError::new(error.to_string()))?;
        match &row.value {
            None => Ok(Write::Delete(key)),
            Some(bytes) => Row::from_bytes(key.kind(), bytes)
                .map(Write::Put)
                .map_err(|error| DecodeError::new(error.to_string())),
        }
    }

    fn apply(&mut self, write: &Write) {
        self.0.apply(write);
    }
}
