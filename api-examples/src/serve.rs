use std::io;
use std::time::Duration;

use stanchion::App;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::router;

/// How long requests that have begun may go on after the service was told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How long connections to the databases may take to come back after that.
const CLOSING: Duration = Duration::from_secs(5);

/// Serves [`router`](crate::router()) on `listener` until `shutdown` resolves, and closes `app`.
///
/// From then on no connection is accepted, requests that have begun are finished for at most 10 seconds, and the
/// connections to the databases are closed, for which at most 5 seconds are waited.
///
/// # Errors
/// When the listener fails; a connection that fails concerns nobody else.
pub async fn serve(
    app: App,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve_within(GRACE, app, listener, shutdown).await
}

async fn serve_within(
    grace: Duration,
    app: App,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = oneshot::channel();
    let server = axum::serve(listener, router(app.clone())).with_graceful_shutdown(async move {
        shutdown.await;
        // Nobody listens only if the server has ended by itself.
        let _ = stopping.send(());
    });
    let overdue = async {
        match stopped.await {
            Ok(()) => tokio::time::sleep(grace).await,
            // The server ended by itself: its own branch answers.
            Err(_) => std::future::pending().await,
        }
    };
    let served = tokio::select! {
        served = server => served,
        () = overdue => {
            tracing::warn!(after = ?grace, "some requests did not finish in time and are cut off");
            Ok(())
        }
    };
    if tokio::time::timeout(CLOSING, app.close()).await.is_err() {
        tracing::warn!(after = ?CLOSING, "some database connections did not come back in time");
    }
    served
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use stanchion::config::{Config, Database, DatabaseUrl};
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_request_that_never_ends_does_not_hold_up_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(Database::new(DatabaseUrl::sqlite_file(folder.path().join("test.db")).unwrap()));
        App::migrate(&config).await.unwrap();
        let app = App::start(config).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let grace = Duration::from_millis(300);
        let server = tokio::spawn(serve_within(grace, app, listener, async {
            let _ = stopped.await;
        }));

        let mut stuck = TcpStream::connect(address).await.unwrap();
        let head =
            b"POST /api/v1/users HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
        stuck.write_all(head).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let told = Instant::now();
        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
        assert!(told.elapsed() >= grace && told.elapsed() < CLOSING, "{:?}", told.elapsed());
    }
}
