//! The model as the store holds it.

use weft_services::{Model, Row, RowKey, Write};
use weft_store::{DecodeError, Space};

/// Kinds of row that earlier versions wrote: the numbers of hosts that were gone.
const RETIRED: &[&[u8]] = &[b"freed_host_number"];

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

    fn is_retired(row: &weft_store::Row) -> bool {
        let kind = row.key.split(|octet| *octet == b'/').next();
        kind.is_some_and(|kind| RETIRED.contains(&kind))
    }

    fn apply(&mut self, write: &Write) {
        self.0.apply(write);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use weft_store::{Options, Proposal, Revision, Space, Store};

    use super::*;

    /// Rows as they are, whatever they say.
    #[derive(Clone, Default)]
    struct Rows;

    impl weft_store::Model for Rows {
        type Write = weft_store::Row;

        fn encode(write: &weft_store::Row) -> weft_store::Row {
            write.clone()
        }

        fn decode(row: &weft_store::Row) -> Result<weft_store::Row, DecodeError> {
            Ok(row.clone())
        }

        fn apply(&mut self, _: &weft_store::Row) {}
    }

    fn row(key: &str, value: Option<serde_json::Value>) -> weft_store::Row {
        let value = value.map(|value| value.to_string().into_bytes());
        weft_store::Row { space: Space::Kept, key: key.into(), value }
    }

    #[tokio::test]
    async fn a_store_in_which_hosts_have_numbers_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.redb");
        let store = Store::<Rows>::open(&path, Options::default()).unwrap();
        let host = |number: u16| {
            let endpoint = format!("192.0.2.{number}");
            let fact = json!({"tunnel_endpoint": endpoint, "underlay_mtu": 1500, "capabilities": [],
                "physical_networks": {}});
            let host = json!({"name": format!("host{number}"), "number": number, "fact": fact,
                "created_at": 0, "updated_at": 0});
            row(&format!("host/host{number}"), Some(host))
        };
        let freed = |value| row("freed_host_number/2", value);
        let gone = json!({"number": 2, "freed_at": 5});
        for writes in [
            vec![host(1), host(2)],
            vec![row("host/host2", None), freed(Some(gone.clone()))],
            vec![host(3), freed(None)],
            vec![row("host/host3", None), freed(Some(gone))],
        ] {
            let proposal = |head: &weft_store::Snapshot<Rows>| {
                Ok::<_, weft_store::DecodeError>((Proposal::on(&head.model, writes.clone()), ()))
            };
            store.transact("", proposal).await.unwrap();
        }
        drop(store);
        let store = Store::<Head>::open(&path, Options::default()).unwrap();
        let hosts = |model: &Model| model.hosts().map(|host| host.name.to_string()).collect::<Vec<_>>();
        assert_eq!(hosts(&store.durable().model.0), ["host1"]);
        let events = store.history(.., 9).unwrap();
        assert_eq!(events.iter().map(|event| event.writes.len()).collect::<Vec<_>>(), [2, 1, 1, 1]);
        let before = store.at(Revision::new(3)).unwrap();
        assert_eq!(hosts(&before.model.0), ["host1", "host3"]);
        let back = store.writes_back_to(Revision::new(1), |_, _| true).unwrap();
        assert!(back.writes.is_empty(), "facts are not rolled back");
    }
}
