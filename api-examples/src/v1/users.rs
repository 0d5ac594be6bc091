//! `/api/v1/users`.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use stanchion::App;
use stanchion::db::page::DEFAULT_LIMIT;
use stanchion::db::{Cursor, Order};
use stanchion::domain::identity::{NewUser, UserFilter};
use stanchion::entity::identity::{UserLevel, user};
use stanchion::types::{Email, Text, Timestamp};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

use super::{PageBody, one_of, order};
use crate::input::{Body, Id, Query, limit};
use crate::problem::{Problem, ProblemBody};

/// A user.
#[derive(Serialize, ToSchema)]
pub(crate) struct User {
    id: Uuid,
    #[schema(value_type = Option<String>)]
    username: Option<Text<50>>,
    #[schema(value_type = Option<String>)]
    email: Option<Email>,
    #[schema(value_type = Option<String>)]
    phone: Option<Text<20>>,
    telegram_id: Option<i64>,
    #[schema(value_type = String)]
    first_name: Text<255>,
    #[schema(value_type = String)]
    last_name: Text<255>,
    #[schema(value_type = String, example = "en")]
    language_code: Text<10>,
    #[schema(schema_with = level)]
    level: UserLevel,
    is_active: bool,
    /// Goes up with every change.
    version: i32,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<user::Model> for User {
    fn from(row: user::Model) -> Self {
        Self {
            id: row.id,
            username: row.username,
            email: row.email,
            phone: row.phone,
            telegram_id: row.telegram_id,
            first_name: row.first_name,
            last_name: row.last_name,
            language_code: row.language_code,
            level: row.level,
            is_active: row.is_active,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A user to be registered, with at least one of username, e-mail address and Telegram id.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserToRegister {
    #[schema(value_type = Option<String>, max_length = 50)]
    username: Option<Text<50>>,
    #[schema(value_type = Option<String>, max_length = 100, example = "ann@example.org")]
    email: Option<Email>,
    #[schema(value_type = Option<String>, max_length = 20)]
    phone: Option<Text<20>>,
    telegram_id: Option<i64>,
    #[serde(default)]
    #[schema(value_type = String, max_length = 255)]
    first_name: Text<255>,
    #[serde(default)]
    #[schema(value_type = String, max_length = 255)]
    last_name: Text<255>,
    /// `en` where nothing is said.
    #[schema(value_type = Option<String>, max_length = 10)]
    language_code: Option<Text<10>>,
}

impl From<UserToRegister> for NewUser {
    fn from(body: UserToRegister) -> Self {
        Self {
            username: body.username,
            email: body.email,
            phone: body.phone,
            telegram_id: body.telegram_id,
            first_name: body.first_name,
            last_name: body.last_name,
            language_code: body.language_code,
        }
    }
}

/// Which users.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct UserQuery {
    /// Of this level.
    #[param(schema_with = level)]
    level: Option<UserLevel>,
    /// Active ones, or those that are not.
    active: Option<bool>,
    /// Newest first (`desc`, the default) or oldest first.
    #[param(schema_with = order)]
    order: Order,
    /// Rows of a page, 100 where nothing is said.
    #[serde(deserialize_with = "limit")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

impl UserQuery {
    fn filter(self) -> UserFilter {
        let mut filter =
            UserFilter::new().order(self.order).limit(self.limit.unwrap_or(DEFAULT_LIMIT)).after(self.cursor);
        if let Some(level) = self.level {
            filter = filter.level(level);
        }
        if let Some(active) = self.active {
            filter = filter.active(active);
        }
        filter
    }
}

/// A page of users, newest first unless asked otherwise.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "users", params(UserQuery),
    responses((status = 200, body = PageBody<User>), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<UserQuery>,
) -> Result<Json<PageBody<User>>, Problem> {
    let page = app.identity().users(&query.filter()).await?;
    Ok(Json(PageBody::of(page)))
}

/// One user.
#[utoipa::path(
    get, path = "/api/v1/users/{id}", tag = "users", params(("id" = Uuid, Path)),
    responses((status = 200, body = User), (status = 404, body = ProblemBody, content_type = "application/problem+json"))
)]
pub(crate) async fn one(State(app): State<App>, Id(id): Id) -> Result<Json<User>, Problem> {
    Ok(Json(app.identity().user(id).await?.into()))
}

/// Registers a user.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "users", request_body = UserToRegister,
    responses(
        (status = 201, body = User, headers(("location" = String, description = "The user's address."))),
        (status = 409, body = ProblemBody, content_type = "application/problem+json",
            description = "The username, e-mail address or Telegram id is taken; `constraint` says which."),
        (status = "4XX", body = ProblemBody, content_type = "application/problem+json")
    )
)]
pub(crate) async fn register(
    State(app): State<App>,
    Body(user): Body<UserToRegister>,
) -> Result<impl IntoResponse, Problem> {
    let user = User::from(app.identity().register(user.into()).await?);
    let location = format!("/api/v1/users/{}", user.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(user)))
}

fn level() -> RefOr<Schema> {
    one_of(UserLevel::ALL.iter().map(|level| level.as_str()))
}
