//! `/metrics`: the state of the pools, as Prometheus reads it.

use std::fmt::Write;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName};
use stanchion::App;

const TEXT: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];

/// Connections of every pool, in the text format of Prometheus, under OpenTelemetry's names.
#[utoipa::path(get, path = "/metrics", tag = "operation", responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(app): State<App>) -> ([(HeaderName, &'static str); 1], String) {
    (TEXT, text(&app))
}

fn text(app: &App) -> String {
    let mut text = format!(
        "# HELP stanchion_up Whether the service runs.\n\
         # TYPE stanchion_up gauge\n\
         stanchion_up 1\n\
         # HELP stanchion_build_info The version that runs.\n\
         # TYPE stanchion_build_info gauge\n\
         stanchion_build_info{{version=\"{}\"}} 1\n\
         # HELP db_client_connection_count Connections of a pool, by state.\n\
         # TYPE db_client_connection_count gauge\n",
        env!("CARGO_PKG_VERSION")
    );
    for db in app.databases() {
        for (handle, pool) in [("writer", db.writer()), ("reader", db.reader())] {
            let (size, idle) = pool.size();
            // Both are read one after the other, while connections come and go.
            let used = usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(idle);
            for (state, count) in [("used", used), ("idle", idle)] {
                let name = db.name();
                // Writing to a string does not fail.
                let _ = writeln!(
                    text,
                    "db_client_connection_count{{database=\"{name}\",handle=\"{handle}\",state=\"{state}\"}} {count}"
                );
            }
        }
    }
    text
}
