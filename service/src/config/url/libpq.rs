//! libpq's connection strings of keywords and values: `host=db user=app password='p w' dbname=stanchion`.
//!
//! The rules are those of
//! [the manual](https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE): spaces around
//! `=` are allowed, a value with spaces or an empty one is put in single quotes, and a backslash takes the next character
//! as it is, inside quotes and outside.

use std::iter::Peekable;
use std::str::Chars;

use super::InvalidUrl;
use super::parts::{self, Parts};
use super::postgres;

/// Reads the whole text. The errors name keywords, never values.
pub(super) fn parse(text: &str) -> Result<Parts, InvalidUrl> {
    if text.contains('\0') {
        return Err(InvalidUrl::new("holds a NUL"));
    }
    let mut parts = Parts::default();
    let mut rest = text.chars().peekable();
    loop {
        skip_space(&mut rest);
        if rest.peek().is_none() {
            return Ok(parts);
        }
        let name = keyword(&mut rest)?;
        let value = value(&mut rest, &name)?;
        postgres::keyword(&mut parts, &name, value)?;
    }
}

fn skip_space(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|c| c.is_ascii_whitespace()).is_some() {}
}

fn keyword(rest: &mut Peekable<Chars<'_>>) -> Result<String, InvalidUrl> {
    let mut name = String::new();
    while let Some(c) = rest.next_if(|&c| c != '=' && !c.is_ascii_whitespace()) {
        name.push(c);
    }
    skip_space(rest);
    if rest.next_if_eq(&'=').is_none() {
        // What stands here may be the rest of a password with a space in it.
        return Err(InvalidUrl::new(
            "is neither a URL nor libpq's keyword=value pairs: a word in it has no = after it; \
             a value with spaces is put in single quotes",
        ));
    }
    if !parts::is_name(&name) && !name.starts_with("options[") {
        return Err(InvalidUrl::new("has a word before an = that is no keyword of libpq"));
    }
    Ok(name)
}

fn value(rest: &mut Peekable<Chars<'_>>, name: &str) -> Result<String, InvalidUrl> {
    skip_space(rest);
    let mut value = String::new();
    if rest.next_if_eq(&'\'').is_some() {
        loop {
            match rest.next() {
                Some('\'') => return Ok(value),
                Some('\\') => value.extend(rest.next()),
                Some(c) => value.push(c),
                None => return Err(InvalidUrl::new(format!("has no closing quote after {name}="))),
            }
        }
    }
    while let Some(c) = rest.next_if(|c| !c.is_ascii_whitespace()) {
        match c {
            '\\' => value.extend(rest.next()),
            c => value.push(c),
        }
    }
    Ok(value)
}
