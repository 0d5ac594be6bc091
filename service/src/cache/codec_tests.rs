use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Product {
    id: Uuid,
    name: String,
    price: rust_decimal::Decimal,
    weight: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remark: Option<String>,
    attributes: BTreeMap<String, serde_json::Value>,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum State {
    Draft,
    OnSale { since: i64 },
    Gone(String, u8),
}

fn header() -> Header<'static> {
    Header {
        version: 3,
        fresh_for: Duration::from_millis(60_000),
        stale_for: Duration::from_millis(600_000),
        tags: vec![("*".into(), 17), ("products".into(), u64::MAX), ("shop:茶".into(), 0)],
    }
}

fn encoded<V: Serialize>(value: &V) -> Vec<u8> {
    encode(&header(), Some(value)).unwrap()
}

fn read<V: DeserializeOwned>(bytes: &[u8]) -> Result<Option<V>, CodecError> {
    decode(bytes, 3)?.value()
}

prop_compose! {
    fn products()(
        (id, name, weight) in (any::<u128>(), ".{0,40}", any::<Option<i32>>()),
        price in any::<i64>(),
        remark in proptest::option::of(".{0,6000}"),
        attributes in prop::collection::btree_map(".{0,9}", any::<(i64, bool)>(), 0..8),
        state in prop_oneof![
            Just(State::Draft),
            any::<i64>().prop_map(|since| State::OnSale { since }),
            (".{0,20}", any::<u8>()).prop_map(|(why, code)| State::Gone(why, code)),
        ],
    ) -> Product {
        Product {
            id: Uuid::from_u128(id),
            name,
            price: rust_decimal::Decimal::new(price, 4),
            weight: weight.map(f64::from),
            remark,
            attributes: attributes.into_iter().map(|(key, (n, b))| (key, json!({ "n": n, "b": [b, null] }))).collect(),
            state,
        }
    }
}

proptest! {
    #[test]
    fn what_was_written_reads_back(product in products()) {
        let bytes = encoded(&product);
        let stored = decode(&bytes, 3).unwrap();
        prop_assert_eq!(&stored.header, &header());
        prop_assert_eq!(stored.value::<Product>(), Ok(Some(product)));
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _whatever = read::<Product>(&bytes);
    }

    /// The checksum keeps noise from what is behind it, so here it is made to hold.
    #[test]
    fn any_bytes_with_a_checksum_that_holds_are_a_value_or_an_error(
        mut bytes in prop::collection::vec(any::<u8>(), 8..600),
        flags in 0..4_u8,
        tags in 0..3_u8,
    ) {
        (bytes[0], bytes[1], bytes[2], bytes[3]) = (FORMAT, 3, flags, tags);
        let _whatever = read::<Product>(&sealed(bytes.clone()));
        let _whatever = read::<serde_json::Value>(&sealed(bytes));
    }

    #[test]
    fn a_flipped_bit_is_seen(product in products(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let mut bytes = encoded(&product);
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(matches!(decode(&bytes, 3), Err(CodecError::Corrupt | CodecError::Format)));
    }

    #[test]
    fn what_was_cut_off_is_seen(product in products(), at in any::<prop::sample::Index>()) {
        let bytes = encoded(&product);
        prop_assert_eq!(decode(&bytes[..at.index(bytes.len())], 3).unwrap_err(), CodecError::Corrupt);
    }
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = checksum(&bytes);
    bytes[CHECKSUM].copy_from_slice(&sum.to_be_bytes());
    bytes
}

#[test]
fn nothing_reads_back_as_nothing() {
    let bytes = encode::<Product>(&header(), None).unwrap();
    assert_eq!(read::<Product>(&bytes), Ok(None));
}

#[test]
fn long_values_are_compressed_when_that_helps() {
    let words = "what is repeated ".repeat(10_000);
    let bytes = encoded(&words);
    assert!(bytes.len() < words.len() / 50);
    assert_eq!(read(&bytes), Ok(Some(words)));

    let mut random = fastrand::Rng::with_seed(1);
    let noise: Vec<u64> = (0..10_000).map(|_| random.u64(..)).collect();
    let bytes = encoded(&noise);
    assert_eq!(decode(&bytes, 3).unwrap().flags, 0);
    assert_eq!(read(&bytes), Ok(Some(noise)));
}

#[test]
fn a_value_of_another_version_or_shape_is_not_misread() {
    let bytes = encoded(&"text");
    assert_eq!(decode(&bytes, 4).unwrap_err(), CodecError::Version { found: 3 });
    assert_eq!(read::<Product>(&bytes), Err(CodecError::Shape));
    assert_eq!(read::<u64>(&encoded(&(1_u64, 2_u64))), Err(CodecError::Shape));
}

#[test]
fn a_length_that_lies_allocates_nothing() {
    let header = Header { version: 3, ..Header::default() };
    let start = encode::<()>(&header, None).unwrap().len();
    for length in [u32::MAX, u32::try_from(LARGEST).unwrap(), 100_000] {
        let mut bytes = encode::<()>(&header, None).unwrap();
        bytes[2] = COMPRESSED;
        bytes.extend(length.to_be_bytes());
        bytes.extend([0x10; 16]);
        assert_eq!(bytes.len(), start + 20);
        assert_eq!(read::<String>(&sealed(bytes)), Err(CodecError::Corrupt), "{length}");
    }
    // An array, and a text, of four thousand million.
    for marker in [0xdd, 0xdb] {
        let mut bytes = encode::<()>(&header, None).unwrap();
        bytes[2] = 0;
        bytes.extend([marker, 0xff, 0xff, 0xff, 0xff, 1]);
        let bytes = sealed(bytes);
        assert_eq!(read::<Vec<u64>>(&bytes), Err(CodecError::Shape));
        assert_eq!(read::<String>(&bytes), Err(CodecError::Shape));
    }
}

#[test]
fn arrays_in_arrays_without_end_are_refused() {
    let mut bytes = encode::<()>(&Header { version: 3, ..Header::default() }, None).unwrap();
    bytes[2] = 0;
    bytes.extend(vec![0x91; 1_000_000]);
    assert_eq!(read::<serde_json::Value>(&sealed(bytes)), Err(CodecError::Shape));
}

#[test]
fn what_cannot_be_written_is_an_error() {
    struct Never;
    impl Serialize for Never {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }
    assert_eq!(encode(&header(), Some(&Never)), Err(CodecError::Unwritable));
    assert_eq!(encode(&header(), Some(&"x".repeat(LARGEST))), Err(CodecError::TooLarge));
    assert_eq!(read(&encoded(&"x".repeat(50_000_000))), Ok(Some("x".repeat(50_000_000))));

    let long = Header { tags: vec![("t".repeat(256).into(), 1)], ..Header::default() };
    assert_eq!(encode(&long, Some(&1)), Err(CodecError::Tags));
    let many = Header { tags: vec![("t".into(), 1); 256], ..Header::default() };
    assert_eq!(encode(&many, Some(&1)), Err(CodecError::Tags));
}
