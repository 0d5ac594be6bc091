use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use sea_orm::ColumnType;
use sea_orm::sea_query::StringLen;
use serde::{Deserialize, Deserializer, Serialize};

use super::column::{column_value, corrupt};
use super::{Problem, ValueError};

/// Characters that a [`LongText`] holds.
pub const LONG_TEXT: usize = 1_048_576;

/// Text of at most `N` characters (Unicode scalar values), without NUL: `varchar(N)`.
///
/// It sorts and compares by code point on every back end: with case, with accents, without padding.
///
/// ```
/// use stanchion_entity::types::Text;
///
/// let symbol = Text::<32>::try_from("XRPETH")?;
/// assert_eq!(symbol.as_str(), "XRPETH");
/// assert!(Text::<32>::try_from("a\0b").is_err());
/// # Ok::<(), stanchion_entity::types::ValueError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct Text<const N: usize>(String);

/// Text of at most [`LONG_TEXT`] characters: `text`, or `longtext` on MySQL. Not for keys.
pub type LongText = Text<LONG_TEXT>;

impl<const N: usize> Text<N> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, owned.
    pub fn into_string(self) -> String {
        self.0
    }

    /// Itself, when there is more than white space in it.
    ///
    /// # Errors
    /// [`Problem::Empty`].
    pub fn non_blank(self) -> Result<Self, ValueError> {
        if self.0.trim().is_empty() { Err(ValueError::new(Problem::Empty)) } else { Ok(self) }
    }

    fn check(text: &str) -> Result<(), ValueError> {
        // A text of at most N bytes has at most N characters: most need not be counted.
        if text.len() > N {
            let actual = text.chars().count();
            if actual > N {
                return Err(ValueError::new(Problem::TooLong { limit: N, actual }));
            }
        }
        if text.contains('\0') { Err(ValueError::new(Problem::Nul)) } else { Ok(()) }
    }

    fn column_type() -> ColumnType {
        match u32::try_from(N) {
            Ok(length) if N != LONG_TEXT => ColumnType::String(StringLen::N(length)),
            _ => ColumnType::Text,
        }
    }
}

impl<const N: usize> TryFrom<String> for Text<N> {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        Self::check(&text).map(|()| Self(text))
    }
}

impl<const N: usize> TryFrom<&str> for Text<N> {
    type Error = ValueError;

    fn try_from(text: &str) -> Result<Self, ValueError> {
        Self::check(text).map(|()| Self(text.to_owned()))
    }
}

impl<const N: usize> FromStr for Text<N> {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.try_into()
    }
}

impl<const N: usize> Deref for Text<N> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> AsRef<str> for Text<N> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> PartialEq<str> for Text<N> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl<const N: usize> PartialEq<&str> for Text<N> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Text<N> {
    fn deserialize<In: Deserializer<'de>>(deserializer: In) -> Result<Self, In::Error> {
        <Self as TryFrom<String>>::try_from(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

column_value! {
    impl[const N: usize] Text<N> as String {
        column_type: Text::<N>::column_type(),
        into: |value| value.0,
        from: |inner| <Text<N> as TryFrom<String>>::try_from(inner),
        read: |row, index| {
            <Text<N> as TryFrom<String>>::try_from(<String as sea_orm::TryGetable>::try_get_by(row, index)?)
                .map_err(|error| corrupt("Text", error))
        },
    }
}

impl<const N: usize> sea_orm::TryFromU64 for Text<N> {
    /// Refuses: a key of text is never made by a database's counter.
    fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
        Err(sea_orm::DbErr::ConvertFromU64("Text"))
    }
}

/// Text that must not be seen: a password hash, an encrypted identity number. `Debug` shows `***`, and it is not
/// serializable.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<const N: usize>(Text<N>);

impl<const N: usize> Secret<N> {
    /// The text, in the open.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> TryFrom<String> for Secret<N> {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        <Text<N> as TryFrom<String>>::try_from(text).map(Self)
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

column_value! {
    impl[const N: usize] Secret<N> as String {
        column_type: Text::<N>::column_type(),
        into: |value| value.0.into_string(),
        from: |inner| <Secret<N> as TryFrom<String>>::try_from(inner),
        read: |row, index| <Text<N> as sea_orm::TryGetable>::try_get_by(row, index).map(Secret),
    }
}

/// An e-mail address in lower case, of at most 100 characters: so that addresses are compared without case alike on every
/// back end, and a unique key does the same.
///
/// It is checked for its form only (something, one `@`, a domain, no white space); whether it exists, a letter tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Email(Text<100>);

impl Email {
    /// The address, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Email {
    type Error = ValueError;

    fn try_from(text: &str) -> Result<Self, ValueError> {
        let well_formed = text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@') && !text.contains(char::is_whitespace)
        });
        if !well_formed {
            return Err(ValueError::new(Problem::Malformed { expected: "an e-mail address" }));
        }
        <Text<100> as TryFrom<String>>::try_from(text.to_lowercase()).map(Self)
    }
}

impl FromStr for Email {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.try_into()
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<In: Deserializer<'de>>(deserializer: In) -> Result<Self, In::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

column_value! {
    impl[] Email as String {
        column_type: Text::<100>::column_type(),
        into: |value| value.0.into_string(),
        from: |inner| inner.parse::<Email>(),
        read: |row, index| <String as sea_orm::TryGetable>::try_get_by(row, index)?.parse().map_err(|error| corrupt("Email", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_counts_characters_not_bytes() {
        assert!(Text::<4>::try_from("火币交易").is_ok());
        let error = Text::<4>::try_from("火币交易所").unwrap_err();
        assert_eq!(error.problem(), &Problem::TooLong { limit: 4, actual: 5 });
    }

    #[test]
    fn an_email_is_compared_without_case() {
        assert_eq!("Ann@Example.ORG".parse::<Email>().unwrap(), "ann@example.org".parse::<Email>().unwrap());
        for bad in ["", "ann", "@", "a@", "@b", "a@b@c", "a b@c", "a@b\n"] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_secret_shows_nothing() {
        let secret = Secret::<100>::try_from("hunter2".to_owned()).unwrap();
        assert_eq!(format!("{secret:?}"), "***");
        assert_eq!(secret.expose(), "hunter2");
    }
}
