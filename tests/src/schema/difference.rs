use std::collections::BTreeMap;
use std::fmt::Debug;

use super::{Schema, Table};

/// Where two schemas are not the same, one line a difference; the first is how it should be.
#[must_use]
pub fn differences(expected: &Schema, found: &Schema) -> Vec<String> {
    let mut lines = Vec::new();
    for (table, pair) in pairs(expected, found) {
        match pair {
            Pair::Both(expected, found) => of_table(table, expected, found, &mut lines),
            Pair::Missing => lines.push(format!("{table}: no such table")),
            Pair::Extra => lines.push(format!("{table}: a table that no entity describes")),
        }
    }
    lines
}

fn of_table(table: &str, expected: &Table, found: &Table, lines: &mut Vec<String>) {
    for (column, pair) in pairs(&expected.columns, &found.columns) {
        match pair {
            Pair::Both(expected, found) => {
                let place = format!("{table}.{column}");
                compare(&place, "type", &expected.sql_type, &found.sql_type, lines);
                compare(&place, "nullable", &expected.nullable, &found.nullable, lines);
                compare(&place, "words", &expected.words, &found.words, lines);
            }
            Pair::Missing => lines.push(format!("{table}.{column}: no such column")),
            Pair::Extra => lines.push(format!("{table}.{column}: a column that the entity does not have")),
        }
    }
    compare(table, "primary key", &expected.primary_key, &found.primary_key, lines);
    compare(table, "unique keys", &expected.uniques, &found.uniques, lines);
    compare(table, "partial unique keys", &expected.partial_uniques, &found.partial_uniques, lines);
    compare(table, "foreign keys", &expected.foreign_keys, &found.foreign_keys, lines);
}

fn compare<T: PartialEq + Debug>(place: &str, what: &str, expected: &T, found: &T, lines: &mut Vec<String>) {
    if expected != found {
        lines.push(format!("{place}: {what}: expected {expected:?}, found {found:?}"));
    }
}

enum Pair<'a, T> {
    Both(&'a T, &'a T),
    Missing,
    Extra,
}

/// What has a name on either side.
fn pairs<'a, T>(
    expected: &'a BTreeMap<String, T>,
    found: &'a BTreeMap<String, T>,
) -> impl Iterator<Item = (&'a str, Pair<'a, T>)> {
    let known = expected.iter().map(|(name, expected)| match found.get(name) {
        Some(found) => (name.as_str(), Pair::Both(expected, found)),
        None => (name.as_str(), Pair::Missing),
    });
    let extra = found.keys().filter(|name| !expected.contains_key(*name)).map(|name| (name.as_str(), Pair::Extra));
    known.chain(extra)
}
