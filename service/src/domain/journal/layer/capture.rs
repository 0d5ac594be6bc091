use std::cell::Cell;
use std::sync::Arc;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::LayerOptions;
use super::fields::{Fields, Visitor};
use super::writer::{self, JournalHandle, Queue};

/// A layer of `tracing` that logs events into the journal.
///
/// - It **never blocks** the caller: an entry goes into a queue of [`capacity`](LayerOptions::capacity) entries. When that is
///   full the entry is dropped and counted ([`JournalHandle::dropped`]), and the count becomes a log entry of its own as soon
///   as there is room. Below that bound nothing is lost while the process lives; what a killed process had not written is.
/// - Events that come before [`JournalHandle::attach`], and while the database is not there, wait in the queue.
/// - Fields become the entry's `data`, those of the spans around it too, the inner ones before the outer ones; `action`,
///   `request_id`, `session_id`, `user_id` (a UUID), `category`, `duration_ms`, `error` and `tags` become its columns.
///   `target` says where it comes from.
/// - Fields whose name says that they are secret are hidden: [`LayerOptions::redact`].
/// - It does not log what writing its own entries causes.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let url = format!("sqlite://{}/s.db", folder.path().display()).parse()?;
/// # let config = stanchion::config::Config::new(stanchion::config::Database::new(url));
/// # stanchion::App::migrate(&config).await?;
/// use stanchion::App;
/// use stanchion::domain::journal::{JournalLayer, LayerOptions, LogFilter};
/// use tracing_subscriber::layer::SubscriberExt;
/// use tracing_subscriber::util::SubscriberInitExt;
///
/// let (layer, journal) = JournalLayer::new(LayerOptions::new("shop".parse()?));
/// tracing_subscriber::registry().with(layer).init();
///
/// let app = App::start(config).await?;
/// journal.attach(&app)?;
/// tracing::info!(request_id = "r-1", "paid by card");
/// journal.flush().await;
/// assert_eq!(app.journal().entries(&LogFilter::new().request("r-1")).await?.items.len(), 1);
///
/// journal.close().await;
/// app.close().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct JournalLayer {
    options: Arc<LayerOptions>,
    queue: Queue,
}

thread_local! {
    /// Whether this thread is taking up an event: printing its fields may log again.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Marks the thread as busy until it is dropped; there is none where it is already.
struct Busy;

impl Busy {
    fn now() -> Option<Self> {
        // A thread that is ending has no mark any more, and logs nothing.
        let was = BUSY.try_with(|busy| busy.replace(true)).unwrap_or(true);
        (!was).then_some(Self)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _marked = BUSY.try_with(|busy| busy.set(false));
    }
}

impl JournalLayer {
    /// A layer, and what its entries are written with.
    pub fn new(options: LayerOptions) -> (Self, JournalHandle) {
        let options = Arc::new(options);
        let (queue, handle) = writer::queue(Arc::clone(&options));
        (Self { options, queue }, handle)
    }

    fn passes_over(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() > self.options.level || self.options.ignores(metadata.target()) || writer::is_writing()
    }
}

impl<S> Layer<S> for JournalLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        // A span of a lower level still says what its events are about.
        let (Some(span), Some(_busy)) = (context.span(id), Busy::now()) else { return };
        let mut visitor = Visitor::new(&self.options);
        attributes.record(&mut visitor);
        span.extensions_mut().replace(visitor.fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let (Some(span), Some(_busy)) = (context.span(id), Busy::now()) else { return };
        // The fields are printed before the span is locked: printing runs others' code.
        let mut visitor = Visitor::new(&self.options);
        values.record(&mut visitor);
        let mut extensions = span.extensions_mut();
        match extensions.get_mut::<Fields>() {
            Some(fields) => fields.extend(&visitor.fields),
            None => drop(extensions.replace(visitor.fields)),
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if self.passes_over(event.metadata()) {
            return;
        }
        let Some(_busy) = Busy::now() else { return };
        // Without a place in the queue the rest is not worth the caller's time.
        let Some(place) = self.queue.place() else { return };
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(tracing_subscriber::registry::Scope::from_root) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.extend(of_span);
            }
        }
        let mut visitor = Visitor::new(&self.options);
        event.record(&mut visitor);
        // A span's `message` is not the event's.
        fields.values.remove("message");
        fields.extend(&visitor.fields);
        let now = self.options.clock.now();
        let entry = fields.into_entry(event.metadata(), now, &self.options).and_then(|entry| entry.into_model(now));
        match entry {
            Ok(entry) => place.take(entry),
            // Only a clock before 1970 or a blank service can be refused here.
            Err(_) => self.queue.refused(1),
        }
    }
}
