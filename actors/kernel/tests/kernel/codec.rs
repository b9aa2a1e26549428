//! Encoded values keep their bytes from build to build, and nothing else decodes.
use bailiwick_kernel::codec::{CodecError, VERSION, decode, encode};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
enum Sample {
    Empty,
    Full {
        number: u64,
        negative: i32,
        text: String,
        list: Vec<Option<bool>>,
        map: std::collections::BTreeMap<String, u8>,
    },
}

fn full() -> Sample {
    Sample::Full {
        number: 70_000,
        negative: -3,
        text: String::from("hé"),
        list: vec![Some(true), None],
        map: [(String::from("k"), 9)].into(),
    }
}

/// Version 1; bincode 2 standard: variable-length integers, zig-zag for signed ones, lengths before sequences.
#[test]
fn golden_bytes() {
    assert_eq!(hex::encode(encode(&Sample::Empty).unwrap()), "0100");
    assert_eq!(hex::encode(encode(&full()).unwrap()), "0101fc70110100050368c3a9020101000101 6b09".replace(' ', ""));
    assert_eq!(decode::<Sample>(&hex::decode("0101fc70110100050368c3a90201010001016b09").unwrap()), Ok(full()));
}

#[test]
fn what_this_build_did_not_write_is_refused() {
    assert_eq!(decode::<Sample>(b""), Err(CodecError::Empty));
    assert_eq!(decode::<Sample>(&[VERSION + 1, 0]), Err(CodecError::Version(VERSION + 1)));
    assert!(matches!(decode::<Sample>(&[VERSION, 9]), Err(CodecError::Malformed(_))), "an unknown variant");
    let mut trailing = encode(&full()).unwrap();
    trailing.push(0);
    assert!(matches!(decode::<Sample>(&trailing), Err(CodecError::Malformed(_))), "trailing bytes");
    let hostile_length = [&[VERSION, 0xfd][..], &[0xff; 8]].concat();
    assert!(matches!(decode::<Vec<u8>>(&hostile_length), Err(CodecError::Malformed(_))), "a length without content");
    assert!(matches!(decode::<String>(&[VERSION, 2, 0xff, 0xfe]), Err(CodecError::Malformed(_))), "invalid UTF-8");
}

proptest! {
    #[test]
    fn round_trip_and_truncation(number: u64, negative: i32, text: String) {
        let value = Sample::Full { number, negative, text, list: vec![None], map: std::collections::BTreeMap::new() };
        let bytes = encode(&value).unwrap();
        prop_assert_eq!(decode::<Sample>(&bytes), Ok(value));
        for length in 0..bytes.len() {
            prop_assert!(decode::<Sample>(&bytes[..length]).is_err());
        }
    }
}
