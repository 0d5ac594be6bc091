use std::collections::{BTreeSet, HashMap};

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::refused;
use super::tree::{category_path, height};
use crate::Error;
use crate::db::Tx;
use crate::entity::catalog::CategoryStatus;
use crate::entity::catalog::category::{Column, Entity, Model};
use crate::types::{AtColumn, LongText, Text, Timestamp, ValueError, id_at};

/// Categories that there are at most, so that the tree can be read as a whole.
pub const MAX_CATEGORIES: u64 = 10_000;
/// Levels of the tree, its roots being the first.
pub const MAX_DEPTH: usize = 8;

const SLUG_TAKEN: &str = "there is a category of this slug already";

/// What a category is, its place in the tree aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CategoryDetails {
    /// Its name; not blank.
    pub name: Text<100>,
    /// Its name in addresses, which no other category has; not blank.
    pub slug: Text<100>,
    /// What is in it.
    pub description: LongText,
    /// Where its picture is; empty where there is none.
    pub image_url: Text<255>,
    /// Its place among its siblings, ascending.
    pub sort_order: i32,
    /// Whether it is shown.
    pub status: CategoryStatus,
}

impl Default for CategoryDetails {
    /// A shown category without a name: to fill in.
    fn default() -> Self {
        Self {
            name: Text::default(),
            slug: Text::default(),
            description: Text::default(),
            image_url: Text::default(),
            sort_order: 0,
            status: CategoryStatus::Active,
        }
    }
}

impl CategoryDetails {
    fn checked(self) -> Result<Self, ValueError> {
        let name = self.name.non_blank().at("categories.name")?;
        let slug = self.slug.non_blank().at("categories.slug")?;
        Ok(Self { name, slug, ..self })
    }
}

/// One category. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn category(db: &impl ConnectionTrait, id: Uuid) -> Result<Model, Error> {
    Entity::find_by_id(id).one(db).await?.ok_or_else(|| not_found(id))
}

/// Creates a category below `parent`, or a root. Four round trips, or two for a root.
///
/// # Errors
/// [`Error::Conflict`] when the slug is taken, at level [`MAX_DEPTH`], or when there are [`MAX_CATEGORIES`];
/// [`Error::NotFound`] for an unknown parent; [`Error::Value`] for a blank name or slug.
pub async fn create_category(
    tx: &Tx,
    details: CategoryDetails,
    parent: Option<Uuid>,
    now: Timestamp,
) -> Result<Model, Error> {
    let CategoryDetails { name, slug, description, image_url, sort_order, status } = details.checked()?;
    if let Some(parent) = parent {
        check_depth(lock_path(tx, parent, None).await? + 1)?;
    }
    if Entity::find().count(tx).await? >= MAX_CATEGORIES {
        return Err(Error::Conflict(format!("there are {MAX_CATEGORIES} categories already")));
    }
    let model = Model {
        id: id_at(now).at("categories.id")?,
        parent_id: parent,
        name,
        slug,
        description,
        image_url,
        sort_order,
        status,
        created_at: now,
        updated_at: now,
    };
    let inserted = Entity::insert(model.clone().into_active_model()).exec_without_returning(tx).await;
    inserted
        .map_err(|error| refused(error, SLUG_TAKEN, || Error::not_found("category", parent.unwrap_or_default())))?;
    Ok(model)
}

/// Gives a category other details. One round trip.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when the slug is taken; [`Error::Value`] for a blank name or slug.
pub async fn update_category(
    db: &impl ConnectionTrait,
    id: Uuid,
    details: CategoryDetails,
    now: Timestamp,
) -> Result<(), Error> {
    let CategoryDetails { name, slug, description, image_url, sort_order, status } = details.checked()?;
    let update = Entity::update_many()
        .col_expr(Column::Name, Expr::val(name))
        .col_expr(Column::Slug, Expr::val(slug))
        .col_expr(Column::Description, Expr::val(description))
        .col_expr(Column::ImageUrl, Expr::val(image_url))
        .col_expr(Column::SortOrder, Expr::val(sort_order))
        .col_expr(Column::Status, Expr::val(status))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.eq(id));
    let updated = update.exec(db).await.map_err(|error| refused(error, SLUG_TAKEN, || not_found(id)))?;
    if updated.rows_affected == 0 { Err(not_found(id)) } else { Ok(()) }
}

/// Puts a category, with all that is below it, under another one, or makes it a root. Four round trips, or one for a root;
/// more while others move what is above the new place.
///
/// The tree stays one whoever else moves what: the category and all that would be above it, up to the root, are locked, in the
/// order of their ids, and the way up is walked over what is locked. None of them can be moved before the transaction ends,
/// so the new place is not below the category then either; of moves that together would make a circle, the last one finds the
/// others done. For that the transaction reads what is committed (READ COMMITTED), as
/// [`Db::transaction`](crate::db::Db::transaction) does.
///
/// # Errors
/// [`Error::NotFound`] for either of them; [`Error::Conflict`] when the new place is the category itself or below it, or when
/// the tree would have more than [`MAX_DEPTH`] levels.
pub async fn move_category(tx: &Tx, id: Uuid, parent: Option<Uuid>, now: Timestamp) -> Result<(), Error> {
    if let Some(parent) = parent {
        let levels_above = lock_path(tx, parent, Some(id)).await?;
        check_depth(levels_above + height(tx, id).await?)?;
    }
    let update = Entity::update_many()
        .col_expr(Column::ParentId, Expr::val(parent))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.eq(id));
    let moved = update.exec(tx).await?;
    if moved.rows_affected == 0 { Err(not_found(id)) } else { Ok(()) }
}

/// Deletes a category with nothing in it. One round trip.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it has categories or products. On PostgreSQL that ends the transaction that
/// it is called in.
pub async fn delete_category(db: &impl ConnectionTrait, id: Uuid) -> Result<(), Error> {
    let not_empty = || Error::Conflict(format!("the category {id} has categories or products in it"));
    let deleted = Entity::delete_by_id(id).exec(db).await.map_err(|error| refused(error, SLUG_TAKEN, not_empty))?;
    if deleted.rows_affected == 0 { Err(not_found(id)) } else { Ok(()) }
}

/// Locks a category and all above it, and with them the one that is to be moved below it; says how many levels it is down.
/// Two round trips, or more while others move what is above.
///
/// Rows are locked in the order of their ids, so that those who lock at once wait for each other and do not meet.
async fn lock_path(tx: &Tx, from: Uuid, moved: Option<Uuid>) -> Result<usize, Error> {
    let mut locked: HashMap<Uuid, Option<Uuid>> = HashMap::new();
    // Each round goes on from where the one before was led astray, a level up at least.
    for _ in 0..=MAX_DEPTH {
        let path = category_path(tx, from).await?;
        let ids = path.iter().map(|step| step.id).chain(moved).filter(|id| !locked.contains_key(id)).collect();
        locked.extend(lock(tx, ids).await?);
        for id in moved.iter().chain([&from]) {
            if !locked.contains_key(id) {
                return Err(not_found(*id));
            }
        }
        // What is locked stays where it is. Where the way leaves it, somebody has moved a category since it was read.
        let mut levels = 0;
        let mut next = Some(from);
        while let Some((id, parent)) = next.and_then(|id| locked.get_key_value(&id)) {
            if moved == Some(*id) {
                return Err(Error::Conflict(format!("the category {id} cannot be moved below itself")));
            }
            levels += 1;
            check_depth(levels)?;
            next = *parent;
        }
        if next.is_none() {
            return Ok(levels);
        }
    }
    Err(Error::stale("category", from))
}

/// Locks categories, and says what is above each of those that there are.
async fn lock(tx: &Tx, ids: BTreeSet<Uuid>) -> Result<Vec<(Uuid, Option<Uuid>)>, Error> {
    let locked = Entity::find().select_only().columns([Column::Id, Column::ParentId]).filter(Column::Id.is_in(ids));
    Ok(locked.order_by_asc(Column::Id).lock_exclusive().into_tuple().all(tx).await?)
}

fn check_depth(levels: usize) -> Result<(), Error> {
    if levels > MAX_DEPTH {
        return Err(Error::Conflict(format!("the categories would have more than {MAX_DEPTH} levels")));
    }
    Ok(())
}

fn not_found(id: Uuid) -> Error {
    Error::not_found("category", id)
}
