//! A change in the making: the pending head with what has been written onto it so far.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::core::count_moves;
use crate::departure::note_departures;
use crate::stored::check_references;
use crate::{Id, Model, Refusal, Row, RowKey, Standard, Timestamp, Write};
use crate::{network, vrf};

/// What a change takes from outside: the time, randomness, and for whom it is.
#[derive(Clone, Debug)]
pub struct Choices {
    /// The time of the change.
    pub now: Timestamp,
    /// Seed of the identifiers and MAC addresses that are chosen.
    pub seed: [u8; 32],
    /// The project for which the request is made, where it names no other.
    pub project_id: Arc<str>,
}

/// A change in the making. It is dropped when any part of the request is refused, so nothing is ever half done.
#[derive(Debug)]
pub struct Change {
    base: Model,
    model: Model,
    writes: Vec<Write>,
    random: ChaCha8Rng,
    now: Timestamp,
    project_id: Arc<str>,
    apply_set: Option<Arc<str>>,
    asked_by: Option<Arc<str>>,
}

impl Change {
    /// A change on top of `base`.
    #[must_use]
    pub fn new(base: Model, choices: Choices) -> Self {
        let random = ChaCha8Rng::from_seed(choices.seed);
        let (now, project_id) = (choices.now, choices.project_id);
        let (model, writes) = (base.clone(), Vec::new());
        Self { base, model, writes, random, now, project_id, apply_set: None, asked_by: None }
    }

    /// The same, for a request: what it makes says by which it was made.
    #[must_use]
    pub fn asked_by(mut self, request_id: &str) -> Self {
        self.asked_by = Some(request_id.into());
        self
    }

    /// The same, for a declared set of its project: what it makes belongs to the set.
    pub fn for_set(&mut self, set: &str) -> &mut Self {
        self.apply_set = Some(set.into());
        self
    }

    /// The project for which the change is made.
    #[must_use]
    pub fn project_id(&self) -> &str {
        &self.project_id
    }

    /// The model with all that has been written so far.
    #[must_use]
    pub const fn model(&self) -> &Model {
        &self.model
    }

    /// The time of the change.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Writes a row.
    pub fn put(&mut self, row: Row) {
        self.write(Write::Put(row));
    }

    /// Deletes the row with this key.
    pub fn delete(&mut self, key: RowKey) {
        self.write(Write::Delete(key));
    }

    /// Applies a write and keeps it for the commit.
    pub fn write(&mut self, write: Write) {
        self.model.apply(&write);
        self.writes.push(write);
    }

    /// Does part of the change, or nothing of it if that is refused.
    pub(crate) fn attempt<T, E>(&mut self, part: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let (model, written) = (self.model.clone(), self.writes.len());
        let result = part(self);
        if result.is_err() {
            self.model = model;
            self.writes.truncate(written);
        }
        result
    }

    /// What has been written so far.
    #[must_use]
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// The writes of the whole change, those made and the VRFs and departures that follow from them, and the model after them.
    ///
    /// # Errors
    /// If a row would refer to one that is not there, or a VRF can have no identifiers any more.
    pub fn finish(mut self) -> Result<(Vec<Write>, Model), Refusal> {
        let base = self.base.clone();
        vrf::settle(&base, &mut self)?;
        network::settle(&base, &mut self)?;
        count_moves(&base, &mut self);
        for write in &self.writes {
            check_references(&self.model, &write.key()).map_err(|what| {
                Refusal::conflict("InUse", format!("The request is not possible: {what}."))
            })?;
        }
        note_departures(&base, &mut self);
        Ok((self.writes, self.model))
    }

    /// Sixty-four random bits.
    pub(crate) fn random_bits(&mut self) -> u64 {
        self.random.next_u64()
    }

    /// An identifier that no resource has, and whose short form none of them has either: kernel names are made of it.
    pub(crate) fn choose_id(&mut self) -> Id {
        loop {
            let mut bytes = [0; 16];
            self.random.fill_bytes(&mut bytes);
            let id = Id::from_random(bytes);
            if !self.model.has_short(id) {
                return id;
            }
        }
    }

    /// The standard attributes of a new resource.
    pub(crate) fn standard(&self, id: Id, named: Named) -> Standard {
        // A declared resource has the name of its document when it is made.
        let declared_as = self.apply_set.as_ref().map(|_| named.name.as_str().into());
        Standard {
            id,
            project_id: named.project_id.map_or_else(|| self.project_id.clone(), Arc::from),
            name: named.name,
            description: named.description,
            created_at: self.now,
            updated_at: self.now,
            revision_number: 1,
            tags: BTreeSet::new(),
            apply_set: self.apply_set.clone(),
            declared_as,
            created_by: self.asked_by.clone(),
        }
    }
}

/// What a request says of the standard attributes of a new resource.
#[derive(Clone, Debug, Default, serde::Deserialize)]
pub(crate) struct Named {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) project_id: Option<String>,
}

/// Reads a merged request as the typed resource.
///
/// # Errors
/// If a value inside a list or an object is not what it should be.
pub(crate) fn typed<T: serde::de::DeserializeOwned>(
    merged: serde_json::Map<String, serde_json::Value>,
) -> Result<T, Refusal> {
    let read = |merged| serde_json::from_value::<T>(serde_json::Value::Object(merged));
    let error = match read(merged.clone()) {
        Ok(typed) => return Ok(typed),
        Err(error) => error.to_string(),
    };
    // What is read as a whole does not say where it is wrong: it is where leaving something out changes the error.
    let culprit = merged.keys().find(|name| {
        let mut without = merged.clone();
        let value = without.remove(*name);
        value.is_some_and(|value| value.is_array() || value.is_object())
            && read(without).map_or_else(|other| other.to_string() != error, |_| true)
    });
    Err(match culprit {
        Some(name) => Refusal::attribute(name, error),
        None => Refusal::invalid("HTTPBadRequest", format!("Body contains invalid data: {error}")),
    })
}
