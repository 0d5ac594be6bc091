//! The endpoints under `/api/v1`, a file a resource: what each takes and answers, and which domain service does it.

pub(crate) mod trades;
pub(crate) mod users;

use serde::Serialize;
use stanchion::db::{Cursor, Page};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct PageBody<T> {
    /// The rows, in the list's order.
    items: Vec<T>,
    /// The cursor of the next page; null where this one is the last.
    #[schema(value_type = Option<String>)]
    next: Option<Cursor>,
}

impl<T> PageBody<T> {
    fn of<Row: Into<T>>(page: Page<Row>) -> Self {
        Self { items: page.items.into_iter().map(Into::into).collect(), next: page.next }
    }
}

/// The schema of a closed set of words.
fn one_of(words: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build().into()
}

fn order() -> RefOr<Schema> {
    one_of(["asc", "desc"])
}
