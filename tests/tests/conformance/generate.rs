//! Values to store: mostly ordinary, often at the edges.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use stanchion::entity::trading::Side;
use stanchion::types::{Day, Fixed, Float, Json, LongText, Text, Timestamp, new_id};

use super::values::portable;

/// Enough for a hundred thousand values of every type.
const ROWS: usize = 100_000;

/// Rows, the same ones in every run; made once, for all back ends.
pub(crate) fn rows() -> &'static [portable::Model] {
    static ROWS_MADE: LazyLock<Vec<portable::Model>> = LazyLock::new(|| some(ROWS));
    &ROWS_MADE
}

/// The first so many rows.
pub(crate) fn some(count: usize) -> Vec<portable::Model> {
    let mut runner = TestRunner::deterministic();
    let strategy = row();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

fn row() -> impl Strategy<Value = portable::Model> {
    let numbers = (fixed(), fixed(), fixed(), any::<bool>(), integer(), integer64(), float());
    let rest = (text(), long_text(), timestamp(), day(), json(), prop_oneof![Just(Side::Buy), Just(Side::Sell)]);
    let nullable = (proptest::option::of(fixed()), proptest::option::of(text()), proptest::option::of(timestamp()));
    (numbers, rest, nullable).prop_map(|(numbers, rest, nullable)| {
        let (money, price, quote, flag, small, large, float) = numbers;
        let (short, long, at, day, doc, side) = rest;
        let (maybe_price, maybe_text, maybe_at) = nullable;
        portable::Model {
            id: new_id(),
            money,
            price,
            quote,
            flag,
            small,
            large,
            float,
            short,
            long,
            happened_at: at,
            day,
            doc,
            side,
            maybe_price,
            maybe_text,
            maybe_at,
        }
    })
}

/// Any number that the column holds, its digits spread over all magnitudes.
pub(crate) fn fixed<const P: u8, const S: u8>() -> impl Strategy<Value = Fixed<P, S>> {
    let limit = 10_i128.pow(u32::from(P)) - 1;
    let units = prop_oneof![
        1 => Just(limit), 1 => Just(-limit), 1 => Just(0), 1 => Just(1), 1 => Just(-1),
        40 => (1..=u32::from(P)).prop_flat_map(|digits| -(10_i128.pow(digits) - 1)..10_i128.pow(digits)),
    ];
    units.prop_map(|units| {
        let number = rust_decimal::Decimal::try_from_i128_with_scale(units, u32::from(S)).unwrap();
        Fixed::new(number).unwrap()
    })
}

fn integer() -> impl Strategy<Value = i32> {
    prop_oneof![1 => Just(i32::MAX), 1 => Just(i32::MIN), 20 => any::<i32>()]
}

fn integer64() -> impl Strategy<Value = i64> {
    prop_oneof![1 => Just(i64::MAX), 1 => Just(i64::MIN), 20 => any::<i64>()]
}

fn float() -> impl Strategy<Value = Float> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, ZERO};
    (NORMAL | ZERO | POSITIVE | NEGATIVE).prop_filter_map("finite", |value| Float::try_from(value).ok())
}

fn text() -> impl Strategy<Value = Text<20>> {
    // Letters of several scripts, combining marks, emoji, quotes, wild cards, blanks at the ends.
    let character = prop_oneof![
        8 => proptest::char::range(' ', '~'),
        2 => proptest::sample::select(vec!['ä', 'é', 'ß', 'İ', 'я', '中', '文', '\u{301}', '\u{202e}', '\u{1f600}', '\u{10ffff}']),
        1 => proptest::char::any(),
    ];
    proptest::collection::vec(character, 0..=20).prop_map(|characters| {
        let text: String = characters.into_iter().filter(|character| *character != '\0').collect();
        text.as_str().try_into().unwrap()
    })
}

fn long_text() -> impl Strategy<Value = LongText> {
    (text(), 0_usize..4).prop_map(|(text, times)| text.repeat(times * times * 3).as_str().try_into().unwrap())
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    let first = "1000-01-01T00:00:00Z".parse::<Timestamp>().unwrap().micros();
    let last = "9999-12-31T23:59:59.999999Z".parse::<Timestamp>().unwrap().micros();
    let micros = prop_oneof![
        1 => Just(first), 1 => Just(last), 1 => Just(0), 1 => Just(-1), 1 => Just(1_572_224_399_999_999),
        10 => first..=last,
        // Whole seconds and milliseconds: their text is shorter where the engine stores text.
        10 => (0_i64..4_000_000_000).prop_map(|seconds| seconds * 1_000_000),
        10 => (0_i64..4_000_000_000_000).prop_map(|millis| millis * 1_000),
    ];
    micros.prop_map(|micros| Timestamp::from_micros(micros).unwrap())
}

fn day() -> impl Strategy<Value = Day> {
    timestamp().prop_map(|at| at.day().try_into().unwrap())
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        // Quarters have a short exact form, so that every engine spells them alike.
        (-1_000_000_i32..1_000_000).prop_map(|quarters| (f64::from(quarters * 4 + 1) / 4.0).into()),
        text().prop_map(|text| text.into_string().into()),
    ];
    let document = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::btree_map(text().prop_map(Text::into_string), inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    });
    document.prop_map(|document| document.try_into().unwrap())
}
