//! Server-sent events (WHATWG HTML §9.2): bytes in, events out. No I/O.

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// The last `id` seen, of this event or one before it.
    pub(crate) id: Option<String>,
    /// Its kind.
    pub(crate) event: String,
    /// Its data.
    pub(crate) data: String,
}

/// The largest event, in bytes.
const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An event that is too long to be one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Takes a stream apart.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    line: Vec<u8>,
    /// Whether the byte before was a carriage return, after which a line feed ends no second line.
    after_return: bool,
    id: Option<String>,
    event: String,
    data: String,
    has_data: bool,
}

impl Parser {
    /// Takes what has come; answers the events that are complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' if self.after_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ => self.line.push(*byte),
            }
            self.after_return = *byte == b'\r';
            if self.line.len() + self.data.len() > EVENT_BYTES_MAX {
                return Err(TooLong);
            }
        }
        Ok(events)
    }

    /// The last identifier that has come.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if line.is_empty() {
            return self.end_event();
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.event),
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                self.data.push_str(value);
            }
            // A comment, which keeps the connection alive; or a field of the future.
            _ => {}
        }
        None
    }

    fn end_event(&mut self) -> Option<Event> {
        let (event, data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
        let has_data = std::mem::take(&mut self.has_data);
        has_data.then(|| Event { id: self.id.clone(), event, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, event: &str, data: &str) -> Event {
        Event { id: Some(id.into()), event: event.into(), data: data.into() }
    }

    #[test]
    fn events_come_out_whole_however_the_bytes_are_cut() {
        let stream = ": hello\n\nid: 1.4\nevent: put\ndata: {\"a\":\ndata: 1}\n\nid: 1.5\r\nevent:delete\r\ndata: ö\r\n\r\n";
        let expected = [event("1.4", "put", "{\"a\":\n1}"), event("1.5", "delete", "ö")];
        for size in 1..stream.len() {
            let mut parser = Parser::default();
            let events: Vec<Event> =
                stream.as_bytes().chunks(size).flat_map(|chunk| parser.push(chunk).unwrap()).collect();
            assert_eq!(events, expected, "in pieces of {size} bytes");
        }
    }

    #[test]
    fn an_event_without_data_is_none_but_its_id_counts() {
        let mut parser = Parser::default();
        assert_eq!(parser.push(b"id: 7\n\n").unwrap(), []);
        assert_eq!(parser.push(b"data: x\n\n").unwrap(), [event("7", "", "x")]);
    }

    #[test]
    fn an_event_that_does_not_end_is_given_up() {
        let mut parser = Parser::default();
        assert_eq!(parser.push(&vec![b'x'; EVENT_BYTES_MAX + 1]), Err(TooLong));
    }
}
