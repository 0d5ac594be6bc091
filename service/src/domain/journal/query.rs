use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryTrait, Select};
use uuid::Uuid;

use crate::Error;
use crate::db::page::PageRequest;
use crate::db::{ById, Page};
use crate::entity::journal::log_entry::{Column, Entity, Model};
use crate::entity::journal::{LogCategory, LogLevel};
use crate::types::{TimeRange, Timestamp, id_bounds};

/// The longest range of time that is searched for a text.
pub const SEARCHED: Duration = Duration::from_secs(86_400);

/// Which log entries, in which order, and how many.
///
/// Newest first unless said otherwise. Each of the filters has an index that ends in the order of the list, so a page costs
/// the same however many entries there are; of several the engine takes one index and looks through what it finds, so give a
/// range of time where each of them is met often and all together hardly ever. A [text](LogFilter::text) has no index, for it
/// would cost every write more than the entry itself: it is looked for in a day at most, or in one request.
///
/// ```
/// use stanchion::domain::journal::LogFilter;
/// use stanchion::entity::journal::LogLevel;
///
/// let filter = LogFilter::new().service("shop").level(LogLevel::Error).limit(50);
/// # drop(filter);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    user_id: Option<Uuid>,
    level: Option<LogLevel>,
    service: Option<String>,
    category: Option<LogCategory>,
    action: Option<String>,
    request_id: Option<String>,
    text: Option<String>,
    ts: TimeRange,
}

crate::domain::paged!(LogFilter);

impl LogFilter {
    /// All entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// About this user.
    #[must_use]
    pub const fn user(mut self, user: Uuid) -> Self {
        self.criteria.user_id = Some(user);
        self
    }

    /// Of this level.
    #[must_use]
    pub const fn level(mut self, level: LogLevel) -> Self {
        self.criteria.level = Some(level);
        self
    }

    /// Of this service.
    #[must_use]
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.criteria.service = Some(service.into());
        self
    }

    /// Of this category.
    #[must_use]
    pub const fn category(mut self, category: LogCategory) -> Self {
        self.criteria.category = Some(category);
        self
    }

    /// Of this action.
    #[must_use]
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.criteria.action = Some(action.into());
        self
    }

    /// Of this request.
    #[must_use]
    pub fn request(mut self, request: impl Into<String>) -> Self {
        self.criteria.request_id = Some(request.into());
        self
    }

    /// With this text somewhere in the message, compared with case, as all text is. It needs a [request](LogFilter::request)
    /// or a range of time of at most [`SEARCHED`].
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.criteria.text = Some(text.into());
        self
    }

    /// At this instant or later.
    #[must_use]
    pub const fn from(mut self, from: Timestamp) -> Self {
        self.criteria.ts.from = Some(from);
        self
    }

    /// Before this instant.
    #[must_use]
    pub const fn to(mut self, to: Timestamp) -> Self {
        self.criteria.ts.to = Some(to);
        self
    }

    fn select(&self, backend: DbBackend) -> Result<Select<Entity>, Error> {
        let Criteria { user_id, level, service, category, action, request_id, text, ts } = &self.criteria;
        for given in [service, action, request_id, text].into_iter().flatten() {
            if given.contains('\0') {
                return Err(Error::Invalid("no log entry contains a NUL character".into()));
            }
        }
        let narrow = matches!((ts.from, ts.to), (Some(from), Some(to)) if to.since(from) <= SEARCHED);
        if text.is_some() && request_id.is_none() && !narrow {
            let hours = SEARCHED.as_secs() / 3_600;
            return Err(Error::Invalid(format!("a text is looked for in one request or in at most {hours} hours")));
        }
        Ok(within(Entity::find(), *ts)
            .apply_if(*user_id, |select, user| select.filter(Column::UserId.eq(user)))
            .apply_if(*level, |select, level| select.filter(Column::Level.eq(level)))
            .apply_if(service.as_deref(), |select, service| select.filter(Column::Service.eq(service)))
            .apply_if(*category, |select, category| select.filter(Column::Category.eq(category)))
            .apply_if(action.as_deref(), |select, action| select.filter(Column::Action.eq(action)))
            .apply_if(request_id.as_deref(), |select, request| select.filter(Column::RequestId.eq(request)))
            .apply_if(text.as_deref().filter(|text| !text.is_empty()), |select, text| {
                let function = if backend == DbBackend::Postgres { "strpos" } else { "instr" };
                let message = Column::Message.into_expr();
                select.filter(Expr::from(Func::cust(function).args([message, Expr::val(text)])).gt(0))
            }))
    }
}

/// The entries of a range of time. The id carries it: its bounds let an index and the partitions narrow the range down.
pub(super) fn within(select: Select<Entity>, ts: TimeRange) -> Select<Entity> {
    let (low, high) = id_bounds(ts);
    select
        .apply_if(low, |select, low| select.filter(Column::Id.gte(low)))
        .apply_if(high, |select, high| select.filter(Column::Id.lt(high)))
        .apply_if(ts.from, |select, from| select.filter(Column::Ts.gte(from)))
        .apply_if(ts.to, |select, to| select.filter(Column::Ts.lt(to)))
}

static BY_ID: ById<Entity> = ById::new();

/// One log entry. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn entry(db: &impl ConnectionTrait, id: Uuid) -> Result<Model, Error> {
    BY_ID.one(db, id).await?.ok_or_else(|| Error::not_found("log entry", id))
}

/// A page of log entries. One round trip.
///
/// # Errors
/// [`Error::Invalid`] for a text without a narrow enough range, [`Error::Cursor`] for a cursor of another filter, and those
/// of the database.
pub async fn entries(db: &impl ConnectionTrait, filter: &LogFilter) -> Result<Page<Model>, Error> {
    let select = filter.select(db.get_database_backend())?;
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}
