//! What of an audit entry is hashed: the same bytes for the same values, whichever engine they come back from.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::entity::journal::audit_entry::Model;
use crate::types::Json;

/// Says which form this is, should there ever be another.
const FORM: &[u8] = b"stanchion.audit.1";

/// The hash of an entry, in hexadecimal: SHA-256 over all its values but the hash itself, each with its length before it, so
/// that no two entries are the same bytes.
pub(super) fn hash(entry: &Model) -> String {
    let mut form = Form(Sha256::new());
    form.some(FORM);
    form.some(&entry.chain_no.to_be_bytes());
    form.some(entry.id.as_bytes());
    form.maybe(entry.actor_id.map(uuid::Uuid::into_bytes));
    form.some(entry.action.as_bytes());
    form.some(entry.resource.as_bytes());
    form.maybe(entry.resource_id.as_deref());
    form.some(&[u8::from(entry.granted)]);
    form.maybe(entry.state_before.as_ref().map(text));
    form.maybe(entry.state_after.as_ref().map(text));
    form.maybe(entry.ip.as_deref());
    form.some(&entry.occurred_at.micros().to_be_bytes());
    form.some(&entry.created_at.micros().to_be_bytes());
    form.some(entry.prev_hash.as_bytes());
    data_encoding::HEXLOWER.encode(&form.0.finalize())
}

struct Form(Sha256);

impl Form {
    fn some(&mut self, value: &[u8]) {
        self.0.update([1]);
        self.0.update((value.len() as u64).to_be_bytes());
        self.0.update(value);
    }

    fn maybe(&mut self, value: Option<impl AsRef<[u8]>>) {
        match value {
            Some(value) => self.some(value.as_ref()),
            None => self.0.update([0]),
        }
    }
}

/// A document in one spelling: keys in their order, numbers as their digits and exponent.
fn text(document: &Json) -> String {
    let mut text = String::new();
    write(document, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push('n'),
        Value::Bool(true) => text.push('t'),
        Value::Bool(false) => text.push('f'),
        Value::Number(number) => text.push_str(&digits(&number.to_string())),
        Value::String(string) => write_string(string, text),
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            text.push('{');
            for (key, value) in fields {
                write_string(key, text);
                write(value, text);
                text.push(',');
            }
            text.push('}');
        }
    }
}

fn write_string(string: &str, text: &mut String) {
    text.push_str(&format!("\"{}:{string}", string.len()));
}

/// A number as its digits without zeros at either end, and the power of ten of the last: `100`, `1e2` and `100.0` are the
/// same number, and engines write one for the other.
fn digits(number: &str) -> String {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut exponent = exponent.parse::<i64>().unwrap_or(0) - fraction.len() as i64;
    let all = format!("{whole}{fraction}");
    let significant = all.trim_end_matches('0');
    exponent += (all.len() - significant.len()) as i64;
    match significant.trim_start_matches('0') {
        "" => "0".into(),
        significant => format!("{sign}{significant}e{exponent}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Number, json};

    fn json(value: Value) -> Json {
        Json::try_from(value).unwrap()
    }

    #[test]
    fn the_order_of_keys_and_the_spelling_of_a_number_do_not_count() {
        let one: Value = serde_json::from_str(r#"{"a": 100, "b": [1.50, -0.0, 1e21]}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"b": [1.5, 0, 1000000000000000000000], "a": 1e2}"#).unwrap();
        assert_eq!(text(&json(one)), text(&json(other)));
    }

    #[test]
    fn what_differs_is_written_differently() {
        let documents = [
            json!(null),
            json!(false),
            json!(0),
            json!(""),
            json!("0"),
            json!([]),
            json!({}),
            json!([[]]),
            json!([0, 1]),
            json!([[0], 1]),
            json!(1),
            json!(-1),
            json!(10),
            json!(0.1),
            json!(9_007_199_254_740_993_i64),
            json!(9_007_199_254_740_992_i64),
            json!({"a": null}),
            json!({"a": "b"}),
            json!({"ab": ""}),
            json!("n,n"),
        ];
        let mut texts: Vec<String> = documents.iter().map(|document| text(&json(document.clone()))).collect();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), documents.len());
    }

    /// A number without an exponent, as PostgreSQL writes it.
    fn in_full(number: &str) -> String {
        let normal = digits(number);
        let Some((significant, exponent)) = normal.split_once('e') else { return normal };
        let (sign, significant) = significant.strip_prefix('-').map_or(("", significant), |rest| ("-", rest));
        let exponent = exponent.parse::<i64>().unwrap_or(0);
        if let Ok(zeros) = usize::try_from(exponent) {
            return format!("{sign}{significant}{}", "0".repeat(zeros));
        }
        let after = usize::try_from(exponent.unsigned_abs()).unwrap_or(usize::MAX);
        match significant.len().checked_sub(after) {
            Some(0) | None => format!("{sign}0.{}{significant}", "0".repeat(after - significant.len())),
            Some(point) => format!("{sign}{}.{}", &significant[..point], &significant[point..]),
        }
    }

    #[test]
    fn a_number_in_full_is_the_same_number() {
        for (number, full) in [("1e3", "1000"), ("1.5e-3", "0.0015"), ("-12.5", "-12.5"), ("0.0", "0"), ("1e0", "1")] {
            assert_eq!(in_full(number), full);
            assert_eq!(digits(number), digits(full));
        }
    }

    #[test]
    fn every_float_is_read_back_as_itself() {
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        let random = std::iter::repeat_with(|| {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from_bits(bits)
        });
        for float in random.take(20_000).chain([f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324]) {
            let Some(number) = Number::from_f64(float) else { continue };
            for spelling in [number.to_string(), in_full(&number.to_string())] {
                let read: Number = serde_json::from_str(&spelling).unwrap();
                assert_eq!(digits(&read.to_string()), digits(&number.to_string()));
            }
        }
    }
}
