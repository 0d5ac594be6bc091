//! A query of words in each engine's own full-text language. What is put into it are terms of ASCII letters and digits: no
//! word of a query can be an operator.

use sea_orm::sea_query::{Expr, JoinType, Order};
use sea_orm::{ConnectionTrait, DbBackend, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, Value};

use super::analyze::Query;
use crate::Error;
use crate::db::Page;
use crate::db::page::MAX_LIMIT;
use crate::entity::catalog::{product, product_terms};

/// The products of `select` that match; the best first, if they are to be ranked.
pub(super) fn matching(
    backend: DbBackend,
    select: Select<product::Entity>,
    query: &Query,
    ranked: bool,
) -> Select<product::Entity> {
    let mut select = select.inner_join(product_terms::Entity);
    let wanted = wanted(backend, query);
    // The index is over the expressions that the migration says.
    let (matches, score, order) = match backend {
        DbBackend::Postgres => (
            said("to_tsvector('simple', \"product_terms\".\"terms\") @@ to_tsquery('simple', $1)", &wanted),
            said("ts_rank(to_tsvector('simple', \"product_terms\".\"terms\"), to_tsquery('simple', $1))", &wanted),
            Order::Desc,
        ),
        DbBackend::Sqlite => {
            let searched = Expr::cust("\"product_terms_search\".\"rowid\" = \"product_terms\".\"docid\"");
            QueryTrait::query(&mut select).join(JoinType::InnerJoin, "product_terms_search", searched);
            // The smaller, the better.
            let score = Expr::cust("bm25(\"product_terms_search\")");
            (said("\"product_terms_search\" MATCH ?", &wanted), score, Order::Asc)
        }
        _ => {
            let matched = || said("MATCH (`product_terms`.`terms`) AGAINST (? IN BOOLEAN MODE)", &wanted);
            (matched(), matched(), Order::Desc)
        }
    };
    let select = select.filter(matches);
    if ranked { select.order_by(score, order).order_by_desc(product::Column::Id) } else { select }
}

/// All terms, in the engine's words.
fn wanted(backend: DbBackend, query: &Query) -> String {
    let (terms, beginning) = query.terms();
    let (before, between, any_end) = match backend {
        DbBackend::Postgres => ("", " & ", ":*"),
        DbBackend::Sqlite => ("", " ", "*"),
        _ => ("+", " ", "*"),
    };
    let terms = terms.into_iter().chain(beginning.map(|beginning| beginning + any_end));
    terms.map(|term| format!("{before}{term}")).collect::<Vec<_>>().join(between)
}

fn said(sql: &'static str, wanted: &str) -> Expr {
    Expr::cust_with_values(sql, [Value::from(wanted)])
}

/// The best of what `matching` has ranked. One round trip.
pub(super) async fn best(
    db: &impl ConnectionTrait,
    select: Select<product::Entity>,
    limit: u32,
) -> Result<Page<product::Model>, Error> {
    let items = select.limit(u64::from(limit.clamp(1, MAX_LIMIT))).all(db).await?;
    Ok(Page { items, next: None })
}
