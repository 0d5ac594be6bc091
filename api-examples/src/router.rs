use axum::routing::get;
use axum::{Json, Router};
use stanchion::App;
use utoipa::openapi::{InfoBuilder, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::Problem;
use crate::{console, edge, health, metrics, v1};

/// The service as a router, on the databases of `app`.
///
/// What it answers and takes is described at `/openapi.json`, from the same declarations that the routes are made of.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use stanchion::{App, config::Config};
///
/// let app = App::start(Config::load()?).await?;
/// let router = stanchion_api_examples::router(app);
/// # drop(router);
/// # Ok(())
/// # }
/// ```
pub fn router(app: App) -> Router {
    let info = InfoBuilder::new().title("Stanchion").version(env!("CARGO_PKG_VERSION")).description(Some(
        "Trades and users. Amounts are decimal strings, times are RFC 3339 in UTC. Lists come in pages: send `next` back \
         as `cursor`, with the same filter and order. Errors are problem details (RFC 9457).",
    ));
    let (router, api) = OpenApiRouter::with_openapi(OpenApiBuilder::new().info(info.build()).build())
        .routes(routes!(health::health))
        .routes(routes!(metrics::metrics))
        .routes(routes!(v1::trades::list, v1::trades::save))
        .routes(routes!(v1::trades::one))
        .routes(routes!(v1::users::list, v1::users::register))
        .routes(routes!(v1::users::one))
        .with_state(app)
        .split_for_parts();
    let router = router
        .route("/", get(console::page))
        .route("/openapi.json", get(async move || Json(api)))
        .fallback(async || Problem::not_found("there is nothing at this address; /openapi.json lists what there is"));
    edge::around(router)
}
