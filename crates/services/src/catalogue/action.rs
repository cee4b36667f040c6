//! Actions on one resource, as data: `PUT /v2.0/routers/{id}/add_router_interface`.

use serde_json::{Map, Value};

use super::Statuses;
use crate::attribute::Attribute;
use crate::{Change, Id, Model, Refusal};

/// What can be done with a resource besides reading, changing and deleting it.
pub struct MemberAction {
    /// Its name, the last part of the path.
    pub name: &'static str,
    /// What it does, for people.
    pub doc: &'static str,
    /// What its body says: as in a table of attributes, of which none is stored by that name.
    pub attributes: &'static [Attribute],
    /// Whether body and answer are the resource itself: `{"router": {…}}`; otherwise both are the action's own.
    pub is_of_member: bool,
    pub(crate) effect: Effect,
}

type Object = Map<String, Value>;

/// What an action comes to.
pub(crate) enum Effect {
    /// It changes something, and answers this.
    Change(fn(&mut Change, Id, Object) -> Result<Object, Refusal>),
    /// It only asks.
    Ask(fn(&Model, Id, &dyn Statuses) -> Object),
}

/// The method of HTTP by which an action is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// It changes nothing.
    Get,
    /// It changes something.
    Put,
}

impl MemberAction {
    /// The method by which it is asked for.
    #[must_use]
    pub const fn method(&self) -> Method {
        match self.effect {
            Effect::Change(_) => Method::Put,
            Effect::Ask(_) => Method::Get,
        }
    }

    /// What an action that only asks answers for the resource with this identifier; nothing for one that changes something.
    #[must_use]
    pub fn ask(&self, model: &Model, id: Id, statuses: &dyn Statuses) -> Option<Map<String, Value>> {
        match self.effect {
            Effect::Ask(ask) => Some(ask(model, id, statuses)),
            Effect::Change(_) => None,
        }
    }
}
