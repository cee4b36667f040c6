//! The bytes on disk.

use expect_test::expect;
use proptest::prelude::*;

use crate::record::{self, Change, HeadRecord, LogRecord};
use crate::{Epoch, Revision, Row, Space};

fn change() -> impl Strategy<Value = Change> {
    let value = || prop::option::of(prop::collection::vec(any::<u8>(), 0..200));
    let key = prop::collection::vec(any::<u8>(), 0..200);
    (any::<bool>(), key, value(), value()).prop_map(|(kept, key, value, previous)| {
        let space = if kept { Space::Kept } else { Space::Model };
        Change { row: Row { space, key, value }, previous }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: weft_soak::cases(256), ..ProptestConfig::default() })]

    #[test]
    fn a_logged_commit_reads_back_as_it_was_written(
        epoch in any::<u64>(), note in ".*", changes in prop::collection::vec(change(), 0..8),
    ) {
        let record = LogRecord { epoch: Epoch::new(epoch), note: note.into(), changes };
        prop_assert_eq!(record::read_log(&record::write_log(&record)), Ok(record));
    }

    #[test]
    fn no_bytes_make_the_reader_panic_and_no_part_passes_for_the_whole(
        bytes in prop::collection::vec(any::<u8>(), 0..60), changes in prop::collection::vec(change(), 1..4),
    ) {
        let mut with_format = vec![1];
        with_format.extend(&bytes);
        for bytes in [&bytes, &with_format] {
            let _ = record::read_log(bytes);
            let _ = record::read_current(bytes);
            let _ = record::read_head(bytes);
            let _ = record::read_stored_key(bytes);
        }
        let whole = record::write_log(&LogRecord { epoch: Epoch::FIRST, note: "n".into(), changes });
        for length in 0..whole.len() {
            prop_assert!(record::read_log(&whole[..length]).is_err());
        }
    }
}

#[test]
fn the_layouts_stay_what_they_are() {
    let check =
        |bytes: Vec<u8>, expected: expect_test::Expect| expected.assert_eq(&bytes.escape_ascii().to_string());
    check(record::stored_key(Space::Kept, b"k"), expect![[r"\x01k"]]);
    check(record::write_current(Revision::new(300), b"v"), expect![[r"\x01\xac\x02v"]]);
    check(record::write_head(&HeadRecord::NEW), expect![[r"\x01\x04weft\x01\x00\x01\x01"]]);
    let row = Row { space: Space::Kept, key: b"k".to_vec(), value: Some(b"new".to_vec()) };
    let changes = vec![
        Change { row: row.clone(), previous: Some(b"old".to_vec()) },
        Change { row: Row { value: None, space: Space::Model, ..row }, previous: None },
    ];
    let log = LogRecord { epoch: Epoch::new(2), note: "who".into(), changes };
    check(record::write_log(&log), expect![[r"\x01\x02\x03who\x02\x07\x01k\x03new\x03old\x00\x01k"]]);
}
