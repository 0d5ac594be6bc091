//! The one place that prints: tables for eyes, JSON for machines, errors to standard error.
//!
//! Writes instead of `println!`, which panics when the reader of a pipe has gone away; here that ends the command
//! quietly.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::{Value, json};
use stanchion::config::ConfigError;

/// The exit status for a command line that cannot be meant.
pub(crate) const BAD_USAGE: u8 = 2;

/// The exit status of a command that did not do what it was asked to.
const FAILED: u8 = 1;

/// Why a command did not do what it was asked to, and what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    error: anyhow::Error,
    hint: Option<String>,
    status: u8,
}

impl Failure {
    /// Says what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Ends the command with this exit status instead of 1.
    pub(crate) const fn status(mut self, status: u8) -> Self {
        self.status = status;
        self
    }

    /// The hint given, or the one the error itself calls for.
    fn advice(&self) -> Option<&str> {
        let by_kind = || {
            let about_config = self.error.chain().any(|cause| cause.is::<ConfigError>());
            about_config.then_some("stanchion.example.yaml explains every key; `stanchion config check` checks a file")
        };
        self.hint.as_deref().or_else(by_kind)
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { error: error.into(), hint: None, status: FAILED }
    }
}

/// Where results go, and in which form.
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Reports a result: `value` as JSON if that was asked for, else the text that `text` makes of it.
    pub(crate) fn report<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T) -> Result<String, Failure>,
    ) -> Result<(), Failure> {
        let text = if self.json { serde_json::to_string_pretty(value)? } else { text(value)? };
        self.raw(format!("{}\n", text.trim_end()).as_bytes())
    }

    /// Says something in passing: `value` as one line of JSON if that was asked for, else the text that `text` makes of it.
    pub(crate) fn line<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        let text = if self.json { serde_json::to_string(value)? } else { text(value) };
        self.raw(format!("{text}\n").as_bytes())
    }

    /// Writes what is neither a report nor JSON, such as a script.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        Ok(stdout.flush()?)
    }

    /// Prints why the command failed, and is its exit status.
    pub(crate) fn failure(&self, failure: &Failure) -> ExitCode {
        if is_broken_pipe(&failure.error) {
            return ExitCode::SUCCESS;
        }
        let error = &failure.error;
        let mut causes: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
        // A driver's error may say its source's words, and have it as its source as well.
        causes.dedup();
        let mut text = String::new();
        if self.json {
            let problems =
                error.chain().find_map(|cause| cause.downcast_ref::<ConfigError>()).map(ConfigError::problems);
            let value = json!({"error": {
                "message": error.to_string(),
                "causes": causes,
                "problems": problems.unwrap_or_default(),
                "hint": failure.advice(),
            }});
            text = format!("{value}\n");
        } else {
            let causes = causes.iter().map(|cause| format!("  caused by: {cause}"));
            let hint = failure.advice().map(|hint| format!("hint: {hint}"));
            for line in std::iter::once(format!("error: {error}")).chain(causes).chain(hint) {
                text.push_str(&line);
                text.push('\n');
            }
        }
        to_stderr(&text);
        ExitCode::from(failure.status)
    }
}

/// Prints what `clap` says: help and version with status 0, or what is wrong with the command line with status 2.
pub(crate) fn usage(mut error: clap::Error) -> ExitCode {
    hide_urls(&mut error);
    // The command line could not be read, so whether it asks for JSON is not known any better than this.
    let json = error.use_stderr() && std::env::args_os().any(|arg| arg == "--json");
    if json {
        let message = error.render().to_string();
        let mut lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default();
        let value: Value = json!({"error": {
            "message": first.strip_prefix("error: ").unwrap_or(first),
            "causes": [],
            "problems": [],
            "hint": "`stanchion --help` lists commands and options",
        }});
        to_stderr(&format!("{value}\n"));
    } else {
        // Nobody is left to tell if this fails.
        let _ = error.print();
    }
    if error.use_stderr() { ExitCode::from(BAD_USAGE) } else { ExitCode::SUCCESS }
}

/// `clap` quotes what it does not understand, and that may be a URL with a password.
fn hide_urls(error: &mut clap::Error) {
    let is_secret = |value: &ContextValue| match value {
        ContextValue::String(text) => text.contains("://") || text.contains('@') || text.contains("password"),
        _ => false,
    };
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand, ContextKind::InvalidValue] {
        if error.get(kind).is_some_and(is_secret) {
            error.insert(kind, ContextValue::String("***".to_owned()));
            error.remove(ContextKind::Suggested);
        }
    }
}

/// A table that fits the terminal; as wide as it likes when it is not one.
pub(crate) fn table<R, C>(header: &[&str], rows: R) -> String
where
    R: IntoIterator<Item = C>,
    C: IntoIterator,
    C::Item: Display,
{
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(header.to_vec());
    for row in rows {
        table.add_row(row.into_iter().map(|cell| cell.to_string()).collect::<Vec<_>>());
    }
    table.trim_fmt()
}

/// Columns of the terminal; 80 when it is not one.
pub(crate) fn width() -> usize {
    Table::new().width().map_or(80, usize::from)
}

/// Says something while a command runs.
pub(crate) fn notice(text: &str) {
    to_stderr(&format!("{text}\n"));
}

fn to_stderr(text: &str) {
    // Nobody is left to tell if this fails.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_broken = |cause: &io::Error| cause.kind() == ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(is_broken)
}
