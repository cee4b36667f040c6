//! What is in the files: a line that says what it is, a fact or a mark a line, and a checksum. Pure.
//!
//! ```text
//!  weft-facts {"version":1,"lineage":7,"turn":1764000000123,"count":2}
//!  {"routes":{"vrf":"…","destination":"203.0.113.0/24","routes":[…]}}
//!  {"carrier":{"port":"…","host":"host1","is_there":false}}
//!  crc32 8f0a11c2
//!
//!  weft-announced {"version":1,"lineage":7,"turn":0,"count":1}
//!  9872165530271623347
//!  crc32 1b0c93d5
//! ```

use std::collections::HashSet;
use std::io::Write as _;

use weft_services::{Fact, Facts};

/// The version of the format.
const VERSION: u32 = 1;
const FACTS: &[u8] = b"weft-facts ";
const ANNOUNCED: &[u8] = b"weft-announced ";
/// `crc32 `, eight digits, a line break.
const END_LENGTH: usize = 15;

/// The facts of one turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Of which store.
    pub lineage: u64,
    /// The turn of facts (docs/decisions/0014).
    pub turn: u64,
    /// The facts.
    pub facts: Facts,
}

/// The marks of what was announced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnnouncedMarks {
    /// Of which store.
    pub lineage: u64,
    /// The marks.
    pub marks: HashSet<u64>,
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// It begins or ends otherwise.
    #[error("it is no checkpoint, or not a whole one")]
    Shape,
    /// Something in it was changed.
    #[error("its checksum is {written}, and should be {computed:08x}")]
    Checksum {
        /// As it is written.
        written: String,
        /// As its content has it.
        computed: u32,
    },
    /// It is of another version of the format.
    #[error("it is of version {0}; this program reads {VERSION}")]
    Version(u32),
    /// A line says nothing that is known.
    #[error("line {line} cannot be read")]
    Line {
        /// Which, from 1.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// It has more or fewer lines than it says.
    #[error("it has {found} entries, and should have {said}")]
    Count {
        /// How many there should be.
        said: usize,
        /// How many there are.
        found: usize,
    },
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Header {
    version: u32,
    lineage: u64,
    turn: u64,
    count: usize,
}

impl Checkpoint {
    /// The bytes of the file.
    ///
    /// # Errors
    /// When a fact cannot be written as JSON.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let Self { lineage, turn, facts } = self;
        write(FACTS, (*lineage, *turn), (facts.iter(), facts.iter().count()))
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// When it is not exactly what was written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Damage> {
        let (Header { lineage, turn, .. }, facts) = read_all::<Fact>(FACTS, bytes)?;
        let mut known = Facts::default();
        known.learn(&facts);
        Ok(Self { lineage, turn, facts: known })
    }
}

impl AnnouncedMarks {
    /// The bytes of the file.
    ///
    /// # Errors
    /// When a mark cannot be written as JSON.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        write(ANNOUNCED, (self.lineage, 0), (self.marks.iter(), self.marks.len()))
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// When it is not exactly what was written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Damage> {
        let (Header { lineage, .. }, marks) = read_all::<u64>(ANNOUNCED, bytes)?;
        Ok(Self { lineage, marks: marks.into_iter().collect() })
    }
}

fn write<T: serde::Serialize>(
    begin: &[u8],
    (lineage, turn): (u64, u64),
    (entries, count): (impl Iterator<Item = T>, usize),
) -> serde_json::Result<Vec<u8>> {
    let header = Header { version: VERSION, lineage, turn, count };
    let mut bytes = begin.to_vec();
    serde_json::to_writer(&mut bytes, &header)?;
    bytes.push(b'\n');
    for entry in entries {
        serde_json::to_writer(&mut bytes, &entry)?;
        bytes.push(b'\n');
    }
    let checksum = crc32fast::hash(&bytes);
    writeln!(bytes, "crc32 {checksum:08x}").expect("a vector takes all bytes");
    Ok(bytes)
}

fn read_all<T: serde::de::DeserializeOwned>(begin: &[u8], bytes: &[u8]) -> Result<(Header, Vec<T>), Damage> {
    let (content, end) = bytes.split_at_checked(bytes.len().wrapping_sub(END_LENGTH)).ok_or(Damage::Shape)?;
    let end = std::str::from_utf8(end).map_err(|_| Damage::Shape)?;
    let written = end.strip_prefix("crc32 ").and_then(|end| end.strip_suffix('\n')).ok_or(Damage::Shape)?;
    let computed = crc32fast::hash(content);
    if written != format!("{computed:08x}") {
        return Err(Damage::Checksum { written: written.to_owned(), computed });
    }
    let content = content.strip_prefix(begin).ok_or(Damage::Shape)?;
    let mut lines = content.split(|byte| *byte == b'\n').zip(1..).filter(|(line, _)| !line.is_empty());
    let (first, line) = lines.next().ok_or(Damage::Shape)?;
    let header: Header = read(first, line)?;
    if header.version != VERSION {
        return Err(Damage::Version(header.version));
    }
    let entries = lines.map(|(text, line)| read(text, line)).collect::<Result<Vec<T>, Damage>>()?;
    if entries.len() != header.count {
        return Err(Damage::Count { said: header.count, found: entries.len() });
    }
    Ok((header, entries))
}

fn read<'t, T: serde::Deserialize<'t>>(text: &'t [u8], line: usize) -> Result<T, Damage> {
    serde_json::from_slice(text).map_err(|source| Damage::Line { line, source })
}

#[cfg(test)]
mod tests {
    use weft_services::{Id, LearnedEncapsulation, LearnedMac, LearnedRoute};

    use super::*;

    fn checkpoint() -> Checkpoint {
        let vxlan = LearnedEncapsulation::Vxlan {
            vni: 9000.try_into().unwrap(),
            router_mac: "02:aa:00:00:00:09".parse().unwrap(),
        };
        let route = |next_hop: &str| LearnedRoute {
            next_hop: next_hop.parse().unwrap(),
            encapsulation: vxlan,
            local_pref: 100,
        };
        let (vrf, port) = (Id::from_random([1; 16]), Id::from_random([2; 16]));
        let routes = vec![route("198.51.100.200"), route("2001:db8::1")];
        let destination = "203.0.113.0/24".parse().unwrap();
        let (mac, endpoint) = ("02:aa:00:00:00:99".parse().unwrap(), "2001:db8::9".parse().unwrap());
        let at = LearnedMac { endpoint, vni: 5000.try_into().unwrap(), sequence: 3, is_sticky: true };
        let mut facts = Facts::default();
        facts.learn(&[
            Fact::Routes { vrf, destination, routes },
            Fact::Carrier { port, host: "host1".parse().unwrap(), is_there: false },
            Fact::Mac { network: vrf, mac, address: Some(endpoint), at: Some(at) },
            Fact::Endpoint { network: vrf, endpoint, vni: Some(at.vni) },
        ]);
        Checkpoint { lineage: 7, turn: 1_764_000_000_123, facts }
    }

    #[test]
    fn what_was_written_is_read() {
        for checkpoint in [checkpoint(), Checkpoint { facts: Facts::default(), ..checkpoint() }] {
            let bytes = checkpoint.to_bytes().unwrap();
            assert_eq!(Checkpoint::from_bytes(&bytes).unwrap(), checkpoint);
        }
    }

    #[test]
    fn a_file_that_was_cut_or_changed_anywhere_is_refused() {
        let bytes = checkpoint().to_bytes().unwrap();
        for length in 0..bytes.len() {
            assert!(Checkpoint::from_bytes(&bytes[..length]).is_err(), "{length} bytes of {}", bytes.len());
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Checkpoint::from_bytes(&changed).is_err(), "byte {at}");
        }
        let longer = [bytes.as_slice(), b"\n"].concat();
        assert!(Checkpoint::from_bytes(&longer).is_err());
    }

    #[test]
    fn a_file_of_another_version_says_which() {
        let text = "weft-facts {\"version\":2,\"lineage\":7,\"turn\":1,\"count\":0}\n";
        let bytes = format!("{text}crc32 {:08x}\n", crc32fast::hash(text.as_bytes()));
        let error = Checkpoint::from_bytes(bytes.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "it is of version 2; this program reads 1");
        let fewer = text.replace("\"version\":2", "\"version\":1").replace("\"count\":0", "\"count\":3");
        let bytes = format!("{fewer}crc32 {:08x}\n", crc32fast::hash(fewer.as_bytes()));
        let error = Checkpoint::from_bytes(bytes.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "it has 0 entries, and should have 3");
    }

    #[test]
    fn marks_that_were_written_are_read_and_are_not_taken_for_facts() {
        let marks = AnnouncedMarks { lineage: 7, marks: [0, 42, u64::MAX].into() };
        let bytes = marks.to_bytes().unwrap();
        assert_eq!(AnnouncedMarks::from_bytes(&bytes).unwrap(), marks);
        assert!(AnnouncedMarks::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        assert!(Checkpoint::from_bytes(&bytes).is_err());
        assert!(AnnouncedMarks::from_bytes(&checkpoint().to_bytes().unwrap()).is_err());
    }
}
