use std::fmt;

/// A value that no column of its type can hold, or that would not come back as it went in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    column: Option<&'static str>,
    problem: Problem,
}

/// What is wrong with a value. Limits are those of the column, in characters or digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The text has more characters than the column.
    #[error("is too long: {actual} characters, at most {limit}")]
    TooLong {
        /// Characters that the column holds.
        limit: usize,
        /// Characters that the text has.
        actual: usize,
    },
    /// The text is empty or blank where it must not be.
    #[error("is empty")]
    Empty,
    /// A NUL character, which PostgreSQL cannot store.
    #[error("contains a NUL character")]
    Nul,
    /// More digits before the point than the column has.
    #[error("is out of range: at most {integer_digits} digits before the decimal point")]
    TooLarge {
        /// Digits before the point that the column holds.
        integer_digits: u8,
    },
    /// More digits after the point than the column has; nothing is rounded in silence.
    #[error("is too precise: at most {scale} digits after the decimal point")]
    TooPrecise {
        /// Digits after the point that the column holds.
        scale: u8,
    },
    /// The value has to be above zero.
    #[error("must be greater than zero")]
    NotPositive,
    /// An instant that MySQL cannot store: before the year 1000 or after the year 9999.
    #[error("is out of range: instants from the year 1000 to the year 9999 can be stored")]
    InstantOutOfRange,
    /// An instant that a version 7 UUID cannot carry: before 1970.
    #[error("is before 1970, which an id cannot carry")]
    BeforeEpoch,
    /// Infinite, or not a number.
    #[error("is not a finite number")]
    NotFinite,
    /// JSON nested deeper than every engine reads back.
    #[error("is nested too deeply: at most {limit} levels")]
    TooDeep {
        /// Levels that are accepted.
        limit: usize,
    },
    /// Text that is not of the form that the type asks for.
    #[error("is not {expected}")]
    Malformed {
        /// What was expected, with its article: "a decimal number".
        expected: &'static str,
    },
}

impl ValueError {
    pub(crate) const fn new(problem: Problem) -> Self {
        Self { column: None, problem }
    }

    #[cfg(feature = "tables")]
    pub(crate) const fn malformed(expected: &'static str) -> Self {
        Self::new(Problem::Malformed { expected })
    }

    /// An error about the named column, for rules that a service checks itself.
    pub const fn at(column: &'static str, problem: Problem) -> Self {
        Self { column: Some(column), problem }
    }

    /// The column that the value was meant for (`"users.email"`), where the caller has said it.
    pub fn column(&self) -> Option<&'static str> {
        self.column
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.column.unwrap_or("value"), self.problem)
    }
}

impl std::error::Error for ValueError {}

/// Names the column in an error of this room.
///
/// ```
/// use stanchion_entity::types::{AtColumn, Text};
///
/// let error = Text::<3>::try_from("XRPETH").at("trades.symbol").unwrap_err();
/// assert_eq!(error.to_string(), "trades.symbol is too long: 6 characters, at most 3");
/// ```
pub trait AtColumn {
    /// What it is without the error.
    type Output;

    /// The same result, its error naming `column`.
    ///
    /// # Errors
    /// The error that was there.
    fn at(self, column: &'static str) -> Result<Self::Output, ValueError>;
}

impl<T> AtColumn for Result<T, ValueError> {
    type Output = T;

    fn at(self, column: &'static str) -> Result<T, ValueError> {
        self.map_err(|error| ValueError { column: Some(column), ..error })
    }
}
