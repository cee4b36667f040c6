//! Rollback: rows that come back from the past pass the same rules as any other change.

use std::collections::BTreeSet;

use crate::compile::{SERVICES, ServiceKey};
use crate::core::binding::{OnFailure, follow_instance_port};
use crate::departure::exclusives;
use crate::stored::check_references;
use crate::{Change, Id, Model, Refusal, Row, RowKey, RowKind, Write};

/// Applies the writes that lead rows back to what they were, and checks what they touch against everything else.
///
/// Identifiers come back as they were if they are still free; what somebody else has taken since is a conflict. What a host
/// can no longer carry out is bound with a failure, as a Neutron port is. Rows that are as they were already are left alone,
/// so the same rollback twice is the same as once.
///
/// # Errors
/// The first rule that the restored rows would break; the change is then to be dropped.
pub fn check_restored(change: &mut Change, writes: Vec<Write>) -> Result<(), Refusal> {
    let mut writes = writes;
    writes.retain(|write| leads_elsewhere(change.model(), write));
    // Rows are made after what they refer to, and deleted before it.
    let rank = |key: &RowKey| crate::RowKind::ALL.iter().position(|kind| *kind == key.kind());
    writes.sort_by(|a, b| match (a, b) {
        (Write::Delete(a), Write::Delete(b)) => rank(b).cmp(&rank(a)),
        (Write::Delete(_), Write::Put(_)) => std::cmp::Ordering::Less,
        (Write::Put(_), Write::Delete(_)) => std::cmp::Ordering::Greater,
        (Write::Put(a), Write::Put(b)) => rank(&a.key()).cmp(&rank(&b.key())),
    });
    let base = change.model().clone();
    check_all_claims(&base, &writes)?;
    for write in &writes {
        let write = match write {
            Write::Put(row) => Write::Put(written_again(change, row)),
            Write::Delete(key) => Write::Delete(key.clone()),
        };
        change.write(write);
    }
    check_quarantine(&base, change.model(), &writes)?;
    for write in &writes {
        check_references(change.model(), &write.key()).map_err(conflict)?;
    }
    let vnics: BTreeSet<Id> =
        writes.iter().filter_map(|write| vnic_of(change.model(), &write.key())).collect();
    vnics.into_iter().try_for_each(|vnic| follow_instance_port(change, vnic, OnFailure::Note))
}

/// Whether a write makes more of a difference than that it counts as written: what does not is left as it is.
fn leads_elsewhere(model: &Model, write: &Write) -> bool {
    match (model.row(&write.key()), write) {
        (current, Write::Delete(_)) => current.is_some(),
        (None, Write::Put(_)) => true,
        (Some(current), Write::Put(row)) => as_if_never_written(current) != as_if_never_written(row.clone()),
    }
}

/// A row without what follows from others or from when it was written.
fn as_if_never_written(mut row: Row) -> Row {
    if let Some(stored) = row.stored_mut() {
        stored.forget_derived();
        stored.standard_mut().revision_number = 0;
        stored.standard_mut().updated_at = crate::Timestamp(0);
    }
    row
}

/// What hosts may still have of another must not come back with something that was gone.
fn check_quarantine(base: &Model, model: &Model, writes: &[Write]) -> Result<(), Refusal> {
    for write in writes {
        let Write::Put(row) = write else { continue };
        let RowKey::Resource(kind, id) = row.key() else { continue };
        if base.row(&row.key()).is_some() || !SERVICES.iter().any(|service| service.kind() == kind) {
            continue;
        }
        for what in exclusives(model, ServiceKey { kind, id }) {
            if let Some(departure) = base.departures_of(&what).next() {
                let host = &departure.host;
                return Err(conflict(format!(
                    "{what} is in quarantine until host '{host}' has confirmed its removal or is deleted"
                )));
            }
        }
    }
    Ok(())
}

/// Restored rows may take what other restored rows give up, so all are taken out before they are put back one by one.
fn check_all_claims(model: &Model, writes: &[Write]) -> Result<(), Refusal> {
    let mut model = model.clone();
    for write in writes.iter().rev() {
        model.apply(&Write::Delete(write.key()));
    }
    for write in writes {
        if let Write::Put(row) = write {
            let checked = row.stored().map_or(Ok(()), |stored| stored.check_claims(&model));
            checked.map_err(|taken| {
                conflict(format!("{}: {}", row.key().in_words(), taken.message.trim_end_matches('.')))
            })?;
            model.apply(write);
        }
    }
    Ok(())
}

/// The instance port whose bindings a row may change.
fn vnic_of(model: &Model, key: &RowKey) -> Option<Id> {
    match key {
        RowKey::Resource(RowKind::InstancePort, id) => Some(*id),
        RowKey::Resource(RowKind::Interface, id) => Some(model.instance_port_of(*id)?.standard.id),
        RowKey::Resource(RowKind::ServicePort, id) => {
            Some(model.instance_port_of(model.service_ports.get(id)?.interface_id)?.standard.id)
        }
        _ => None,
    }
}

/// The restored row counts as written once more than the one that is there.
fn written_again(change: &Change, row: &Row) -> Row {
    let current = change
        .model()
        .row(&row.key())
        .and_then(|row| row.standard().map(|standard| standard.revision_number));
    let now = change.now();
    row.clone().with_standard(|standard| {
        standard.revision_number = standard.revision_number.max(current.unwrap_or(0));
        standard.touch(now);
    })
}

fn conflict(what: impl std::fmt::Display) -> Refusal {
    Refusal::conflict("RollbackConflict", format!("The rollback is not possible: {what}."))
}
