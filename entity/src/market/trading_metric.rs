//! A point of a metric.

use std::collections::BTreeMap;

use sea_orm::entity::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::types::{Float, Json, Text, Timestamp};

/// One value of a metric at one time. Its key is what it is about, so saving it twice saves it once.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "trading_metrics")]
pub struct Model {
    /// The metric's name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: Text<100>,
    /// The hash of the labels (see [`labels_hash`]), which keeps the series of a name apart.
    #[sea_orm(primary_key, auto_increment = false)]
    pub labels_hash: Uuid,
    /// When the value was taken.
    #[sea_orm(primary_key, auto_increment = false)]
    pub ts: Timestamp,
    /// What the value is about: an object of texts.
    pub labels: Json,
    /// The value.
    pub value: Float,
    /// When it was saved here.
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

/// The hash of a series' labels: the same for the same labels, in whatever order they were given.
///
/// It is a version 8 UUID ([RFC 9562](https://www.rfc-editor.org/rfc/rfc9562#section-5.8)) of their SHA-256: 122 bits of
/// it, in a type that every back end has.
pub fn labels_hash(labels: &BTreeMap<String, String>) -> Uuid {
    let mut hash = Sha256::new();
    for part in labels.iter().flat_map(|(name, value)| [name, value]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_differ_only_in_where_they_end_are_different_series() {
        let hash = |name: &str, value: &str| labels_hash(&BTreeMap::from([(name.to_owned(), value.to_owned())]));
        assert_eq!(hash("symbol", "XRPETH"), hash("symbol", "XRPETH"));
        assert_ne!(hash("symbol", "XRPETH"), hash("symbolX", "RPETH"));
        assert_eq!(hash("symbol", "XRPETH").get_version_num(), 8);
    }
}
