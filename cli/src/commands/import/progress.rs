use std::time::Duration;

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use stanchion_cli::import::Progress;

/// How far an import is, drawn on standard error if that is a terminal, and nowhere if it is not.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// Of an input of so many bytes, if that is known.
    pub(super) fn new(size: Option<u64>) -> Self {
        let (bar, template) = match size {
            Some(size) => (ProgressBar::new(size), "{bar:40} {bytes}/{total_bytes} {msg} eta {eta}"),
            None => (ProgressBar::no_length(), "{spinner} {bytes} {msg}"),
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Self(bar)
    }

    pub(super) fn show(&self, progress: Progress) {
        let millis = self.0.elapsed().as_millis().max(1);
        let a_second = u64::try_from(u128::from(progress.records) * 1_000 / millis).unwrap_or(u64::MAX);
        self.0.set_position(progress.bytes);
        self.0.set_message(format!("{} rows, {}/s", HumanCount(progress.records), HumanCount(a_second)));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
