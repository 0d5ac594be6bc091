use std::collections::HashMap;

use sea_orm::sea_query::{
    CommonTableExpression, Expr, ExprTrait, IntoIden, Query, SelectStatement, UnionType, WithClause,
};
use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::category::MAX_CATEGORIES;
use crate::Error;
use crate::entity::catalog::category::{Column, Entity, Model};

/// A category, and what is below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CategoryNode {
    /// The category.
    pub category: Model,
    /// The categories directly below it, in their order.
    pub children: Vec<Self>,
}

/// The roots with all that is below them, hidden ones too. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn tree(db: &impl ConnectionTrait) -> Result<Vec<CategoryNode>, Error> {
    // A few more may have come past the bound, created at the same moment.
    let all = Entity::find().order_by_asc(Column::SortOrder).order_by_asc(Column::Id).limit(MAX_CATEGORIES * 2);
    let mut below: HashMap<Option<Uuid>, Vec<Model>> = HashMap::new();
    for category in all.all(db).await? {
        below.entry(category.parent_id).or_default().push(category);
    }
    Ok(grow(None, &mut below))
}

fn grow(parent: Option<Uuid>, below: &mut HashMap<Option<Uuid>, Vec<Model>>) -> Vec<CategoryNode> {
    let children = below.remove(&parent).unwrap_or_default();
    children.into_iter().map(|category| CategoryNode { children: grow(Some(category.id), below), category }).collect()
}

/// The ids of a category and of all below it, in no order; none for an unknown category. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn subtree_ids(db: &impl ConnectionTrait, id: Uuid) -> Result<Vec<Uuid>, Error> {
    let rows = db.query_all(&ids_below(id)).await?;
    Ok(rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?)
}

/// The names, slugs and ids that lead to a category, its root first and itself last; none for an unknown category. One round
/// trip.
///
/// # Errors
/// Those of the database.
pub async fn category_path(db: &impl ConnectionTrait, id: Uuid) -> Result<Vec<Step>, Error> {
    let of = |column: Column| Expr::col((Entity, column));
    let up = Query::select()
        .columns([Column::Id, Column::ParentId, Column::Name, Column::Slug])
        .from(Entity)
        .and_where(of(Column::Id).eq(id))
        .to_owned();
    let further = Query::select()
        .columns([Column::Id, Column::ParentId, Column::Name, Column::Slug].map(|column| (Entity, column)))
        .from(Entity)
        .inner_join(FOUND, of(Column::Id).equals((FOUND, "parent_id")))
        .to_owned();
    let path = Query::select()
        .columns(["id", "parent_id", "name", "slug"])
        .from(FOUND)
        .with_cte(found(up, further, &["id", "parent_id", "name", "slug"]))
        .to_owned();
    let mut steps = HashMap::new();
    for row in db.query_all(&path).await? {
        let parent: Option<Uuid> = row.try_get_by_index(1)?;
        let step =
            Step { id: row.try_get_by_index(0)?, name: row.try_get_by_index(2)?, slug: row.try_get_by_index(3)? };
        steps.insert(step.id, (parent, step));
    }
    let mut path = Vec::with_capacity(steps.len());
    let mut next = Some(id);
    while let Some((parent, step)) = next.and_then(|id| steps.remove(&id)) {
        path.push(step);
        next = parent;
    }
    path.reverse();
    Ok(path)
}

/// A category on the way to another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its name in addresses.
    pub slug: String,
}

/// The levels that a category and all below it take up: one for it alone. One round trip.
pub(super) async fn height(db: &impl ConnectionTrait, id: Uuid) -> Result<usize, Error> {
    let mut children: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for row in db.query_all(&below(id, &["id", "parent_id"])).await? {
        if let Some(parent) = row.try_get_by_index::<Option<Uuid>>(1)? {
            children.entry(parent).or_default().push(row.try_get_by_index(0)?);
        }
    }
    let mut level = vec![id];
    let mut levels = 0;
    while !level.is_empty() {
        levels += 1;
        level = level.iter().filter_map(|id| children.remove(id)).flatten().collect();
    }
    Ok(levels)
}

/// The query of the ids of a category and of all below it.
pub(super) fn ids_below(id: Uuid) -> SelectStatement {
    below(id, &["id"])
}

fn below(id: Uuid, columns: &[&'static str]) -> SelectStatement {
    let of = |column: Column| Expr::col((Entity, column));
    let top = Query::select()
        .columns([Column::Id, Column::ParentId])
        .from(Entity)
        .and_where(of(Column::Id).eq(id))
        .to_owned();
    let further = Query::select()
        .columns([Column::Id, Column::ParentId].map(|column| (Entity, column)))
        .from(Entity)
        .inner_join(FOUND, of(Column::ParentId).equals((FOUND, "id")))
        .to_owned();
    Query::select()
        .columns(columns.iter().copied())
        .from(FOUND)
        .with_cte(found(top, further, &["id", "parent_id"]))
        .to_owned()
}

/// What a recursive query has found so far.
const FOUND: &str = "found";

/// `UNION`, not `UNION ALL`: it would end even if there were a circle.
fn found(mut first: SelectStatement, further: SelectStatement, columns: &[&'static str]) -> WithClause {
    let query = first.union(UnionType::Distinct, further).to_owned();
    let table = CommonTableExpression::new()
        .query(query)
        .columns(columns.iter().map(|column| column.into_iden()))
        .table_name(FOUND)
        .to_owned();
    WithClause::new().recursive(true).cte(table).to_owned()
}
