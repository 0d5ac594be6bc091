use std::time::Duration;

use futures::StreamExt;
use redis::RedisResult;
use redis::aio::PubSub;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::client::Options;
use super::link::Link;
use crate::config::RedisUrl;

/// The pause before it connects again.
const PAUSE: Duration = Duration::from_millis(100);
/// How long it may hear nothing before it asks whether the server is still there.
const SILENCE: Duration = Duration::from_secs(1);
/// Messages that wait for their reader; with more, the connection waits.
const WAITING: usize = 1_024;

/// What a subscription tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It hears all channels from now on; before this, and after [`Event::Lost`], messages may have been missed.
    Listening,
    /// A message.
    Message {
        /// The channel it was sent to.
        channel: String,
        /// What it says.
        payload: Vec<u8>,
    },
    /// The connection was lost; it is made again.
    Lost,
}

/// A subscription to channels, which lasts until it is dropped.
#[derive(Debug)]
pub struct Subscription {
    events: mpsc::Receiver<Event>,
    task: AbortHandle,
}

impl Subscription {
    pub(super) fn start(url: RedisUrl, options: Options, channels: Vec<String>) -> Self {
        let (sender, events) = mpsc::channel(WAITING);
        let task = tokio::spawn(listen(url, options, channels, sender)).abort_handle();
        Self { events, task }
    }

    /// The next event, in the order of their coming; it never ends.
    ///
    /// # Cancellation
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            // The task ends with the runtime only.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(url: RedisUrl, options: Options, channels: Vec<String>, events: mpsc::Sender<Event>) {
    for turn in 0.. {
        match timeout(options.connect_timeout, connect(&url, &channels, turn)).await {
            Ok(Ok(connection)) => {
                if events.send(Event::Listening).await.is_err() {
                    return;
                }
                hear(connection, options, &events).await;
                if events.send(Event::Lost).await.is_err() {
                    return;
                }
            }
            Ok(Err(error)) => tracing::debug!(server = %url, %error, "a subscription cannot be made"),
            Err(_) => tracing::debug!(server = %url, "a subscription cannot be made in time"),
        }
        sleep(PAUSE).await;
    }
}

async fn connect(url: &RedisUrl, channels: &[String], turn: usize) -> RedisResult<PubSub> {
    let mut connection = Link::subscriber(url, turn).await?;
    connection.subscribe(channels).await?;
    Ok(connection)
}

/// Passes messages on until the connection is lost.
async fn hear(connection: PubSub, options: Options, events: &mpsc::Sender<Event>) {
    let (mut sink, mut messages) = connection.split();
    loop {
        match timeout(SILENCE, messages.next()).await {
            Ok(Some(message)) => {
                let channel = message.get_channel_name().to_owned();
                let event = Event::Message { channel, payload: message.get_payload_bytes().to_vec() };
                if events.send(event).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(_) => match timeout(options.command_timeout, sink.ping::<redis::Value>()).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return,
            },
        }
    }
}
