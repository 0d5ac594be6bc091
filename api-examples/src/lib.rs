//! An HTTP service over [`stanchion::App`]: a REST API, its OpenAPI description and a console page.
//!
//! It shows how a service sits on the data-access layer, and is what `stanchion dev` and `stanchion serve` run. It touches
//! the domain services and nothing beneath them. It authenticates nobody: put it behind something that does.
//!
//! - [`router()`] is the service as an axum router, to be mounted, wrapped or tested; [`serve()`] runs it on a listener until
//!   it is told to stop.
//! - `v1` are the endpoints; `input` reads what they are sent, strictly; `problem` is every answer that is not a success
//!   ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)), and the only place that knows HTTP statuses; `edge` is what holds
//!   for all requests alike.
//!
//! Amounts are strings in JSON, never floats; times are RFC 3339 in UTC.

mod console;
mod edge;
mod health;
mod input;
mod metrics;
mod problem;
mod router;
mod serve;
mod v1;

pub use router::router;
pub use serve::serve;
