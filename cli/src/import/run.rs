use std::fmt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use stanchion::App;
use stanchion::domain::trading::NewTrade;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::draft::Assumed;
use super::error::{BadRecord, ImportError, ReadError};
use super::formats::Format;
use super::records::Records;
use super::report::{End, Report, symbols};
use super::skipped::Skipped;
use super::source::Source;
use super::tally::Tally;

/// Batches that wait to be saved, so that reading and saving need not wait for each other.
const WAITING: usize = 1;

/// How to import.
#[derive(Clone, Debug)]
pub struct Options {
    /// The format of the input.
    pub format: Format,
    /// What the records do not say.
    pub assumed: Assumed,
    /// Records that are saved in one transaction.
    pub batch: usize,
    /// Where bad records go; without it the first one ends the import.
    pub skip_bad: Option<PathBuf>,
}

/// How far an import is, after a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that were read of the input, compressed if it is.
    pub bytes: u64,
    /// Records that were handled.
    pub records: u64,
}

/// An import that did not come to its end, and what it did before.
#[derive(Debug)]
pub struct Stopped {
    /// Why.
    pub error: ImportError,
    /// What was saved all the same: whole batches.
    pub report: Report,
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Stopped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// Saves the trades of `source`, a batch in a transaction of its own, while the next one is read. Trades that are there
/// already are counted and left alone, so an import that was stopped is run again from the start.
///
/// It ends early when `stop` is ready: the batch that is being saved is saved whole, the ones behind it are not.
///
/// # Errors
/// [`Stopped`] at the first bad record unless those are skipped, where reading cannot go on, and when the database refuses.
/// Batches before it are saved. Of its own batch nothing is, unless bad records are skipped: then all that was read is.
///
/// # Cancellation
/// A dropped future leaves whole batches, too. A thread that waits for input may stay until there is some.
pub async fn trades(
    app: &App,
    source: Source,
    options: Options,
    stop: impl Future<Output = ()>,
    mut progress: impl FnMut(Progress),
) -> Result<Report, Box<Stopped>> {
    let started = Instant::now();
    let mut import =
        Import { app, report: Report::new(source.name().to_owned()), tally: Tally::default(), skipped: None };
    let bytes = source.counter();
    let end = match import.begin(source, options) {
        Ok(batches) => import.save_all(batches, stop, &bytes, &mut progress).await,
        Err(error) => Err(error),
    };
    import.report.took(started.elapsed());
    // A database that has just failed is not asked for more.
    let ask = !matches!(end, Err(ImportError::Save(_)));
    import.report.symbols = symbols(&import.tally, ask.then_some(app)).await;
    let mut report = import.report;
    match end {
        Ok(end) => {
            report.end = end;
            Ok(report)
        }
        Err(error) => Err(Box::new(Stopped { error, report })),
    }
}

struct Import<'a> {
    app: &'a App,
    report: Report,
    tally: Tally,
    skipped: Option<Skipped>,
}

impl Import<'_> {
    fn begin(&mut self, source: Source, options: Options) -> Result<Receiver<Batch>, ImportError> {
        self.skipped = match &options.skip_bad {
            Some(path) => Some(Skipped::create(path, source.path())?),
            None => None,
        };
        let (sender, receiver) = channel(WAITING);
        let reader = Reader { options, batch: Batch::default(), sender };
        // A thread of its own, not one of the runtime's: that would be waited for when the process ends, and standard
        // input may never come.
        let spawned = std::thread::Builder::new().name("import".to_owned()).spawn(move || reader.run(source));
        spawned.map(drop).map_err(|_| ImportError::ReaderGone)?;
        Ok(receiver)
    }

    async fn save_all(
        &mut self,
        mut batches: Receiver<Batch>,
        stop: impl Future<Output = ()>,
        bytes: &Arc<AtomicU64>,
        progress: &mut impl FnMut(Progress),
    ) -> Result<End, ImportError> {
        let mut stop = pin!(stop);
        loop {
            let batch = tokio::select! {
                biased;
                () = &mut stop => return Ok(End::Interrupted),
                batch = batches.recv() => batch.ok_or(ImportError::ReaderGone)?,
            };
            let Batch { trades, bad, tally, format, end } = batch;
            self.save(trades, &bad, tally).await?;
            self.report.format = format;
            progress(Progress { bytes: bytes.load(Ordering::Relaxed), records: self.report.read });
            match end {
                None => {}
                Some(Ok(())) => return Ok(End::Complete),
                Some(Err(error)) => return Err(self.unreadable(error)),
            }
        }
    }

    async fn save(&mut self, trades: Vec<NewTrade>, bad: &[BadRecord], tally: Tally) -> Result<(), ImportError> {
        let read = trades.len() + bad.len();
        if !trades.is_empty() {
            let saved = self.app.trading().save_trades(trades).await?;
            self.report.new += saved.inserted;
            self.report.already_there += saved.duplicates;
        }
        self.tally.merge(tally);
        self.report.read += read as u64;
        self.report.bad += bad.len() as u64;
        match &mut self.skipped {
            Some(skipped) if !bad.is_empty() => skipped.write(bad),
            _ => Ok(()),
        }
    }

    fn unreadable(&mut self, error: ReadError) -> ImportError {
        if let (ReadError::Broken(record), Some(skipped)) = (&error, &mut self.skipped) {
            if let Err(failed) = skipped.write([record.as_ref()]) {
                return failed;
            }
            self.report.bad += 1;
            self.report.read += 1;
        }
        ImportError::Read { name: self.report.input.clone(), source: error }
    }
}

/// What is saved at once, and what is to be said with it.
#[derive(Default)]
struct Batch {
    trades: Vec<NewTrade>,
    bad: Vec<BadRecord>,
    tally: Tally,
    format: Format,
    /// With the last batch: how reading ended.
    end: Option<Result<(), ReadError>>,
}

/// The reading side, on its thread.
struct Reader {
    options: Options,
    batch: Batch,
    sender: Sender<Batch>,
}

impl Reader {
    fn run(mut self, source: Source) {
        let mut is_gzip = false;
        let end = self.read(source, &mut is_gzip);
        let end = end.map_err(|error| if is_gzip { error.of_gzip() } else { error });
        if end.is_err() && self.options.skip_bad.is_none() {
            self.batch = Batch { format: self.batch.format, ..Batch::default() };
        }
        self.batch.end = Some(end);
        // Nobody waits for it if the import was stopped.
        let _ = self.sender.blocking_send(self.batch);
    }

    fn read(&mut self, source: Source, is_gzip: &mut bool) -> Result<(), ReadError> {
        let unpacked = source.unpacked()?;
        *is_gzip = unpacked.is_gzip;
        let mut records = Records::new(unpacked.bytes, self.options.format, self.options.assumed.clone())?;
        while let Some(entry) = records.next() {
            match entry? {
                Ok(trade) => {
                    self.batch.tally.add(&trade);
                    self.batch.trades.push(trade);
                }
                Err(bad) if self.options.skip_bad.is_none() => return Err(ReadError::Bad(bad)),
                Err(bad) => self.batch.bad.push(*bad),
            }
            self.batch.format = records.format();
            if self.batch.trades.len() + self.batch.bad.len() >= self.options.batch {
                let batch = Batch { format: self.batch.format, ..Batch::default() };
                if self.sender.blocking_send(std::mem::replace(&mut self.batch, batch)).is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
