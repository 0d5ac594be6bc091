use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::output;

/// The exit status of a command that ctrl-c has ended, as a shell reports it.
pub(super) const STATUS: u8 = 130;

/// Listens from now on; what it returns is ready at the first ctrl-c (or SIGTERM). The second ends the process at once.
pub(super) fn listen() -> io::Result<impl Future<Output = ()>> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! { _ = interrupts.recv() => {} _ = terminations.recv() => {} }
        };
        next().await;
        output::notice("stopping after the batch that is being saved; ctrl-c again ends at once");
        // Nobody listens any more when the import has just ended.
        let _ = sender.send(());
        next().await;
        std::process::exit(i32::from(STATUS));
    });
    Ok(async {
        if receiver.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
