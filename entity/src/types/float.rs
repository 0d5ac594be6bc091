use sea_orm::ColumnType;
use serde::{Deserialize, Serialize};

use super::column::{column_value, corrupt};
use super::{Problem, ValueError};

/// A finite `f64`: MySQL refuses NaN and infinities, and SQLite stores NaN as null.
///
/// For measurements only; amounts are [`Fixed`](super::Fixed).
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Float(f64);

impl Float {
    /// The number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Float {
    type Error = ValueError;

    fn try_from(value: f64) -> Result<Self, ValueError> {
        // Adding zero turns -0.0 into 0.0, which not every engine keeps apart.
        if value.is_finite() { Ok(Self(value + 0.0)) } else { Err(ValueError::new(Problem::NotFinite)) }
    }
}

impl From<Float> for f64 {
    fn from(value: Float) -> Self {
        value.0
    }
}

column_value! {
    impl[] Float as Double {
        column_type: ColumnType::Double,
        into: |value| value.0,
        from: |inner| <Float as TryFrom<f64>>::try_from(inner),
        read: |row, index| {
            let value = <f64 as sea_orm::TryGetable>::try_get_by(row, index)?;
            <Float as TryFrom<f64>>::try_from(value).map_err(|error| corrupt("Float", error))
        },
    }
}
