use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryTrait, Select};
use uuid::Uuid;

use super::analyze::Query;
use super::{search, tree};
use crate::Error;
use crate::db::Page;
use crate::db::page::PageRequest;
use crate::entity::catalog::ProductStatus;
use crate::entity::catalog::product::{Column, Entity, Model};
use crate::types::Money;

/// Which products, in which order, and how many.
///
/// Newest first unless said otherwise.
///
/// ```
/// use stanchion::db::Order;
/// use stanchion::domain::catalog::ProductFilter;
///
/// let filter = ProductFilter::new().on_sale().brand("Acme").by_price().order(Order::Asc).limit(20);
/// let found = ProductFilter::search("red tea pot").by_relevance();
/// # drop((filter, found));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductFilter {
    criteria: Criteria,
    sort: Sort,
    page: PageRequest,
}

/// What products are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sort {
    #[default]
    Newest,
    Price,
    Relevance,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    category: Option<Uuid>,
    subtree: Option<Uuid>,
    status: Option<ProductStatus>,
    at_least: Option<Money>,
    at_most: Option<Money>,
    brand: Option<String>,
    is_hot: Option<bool>,
    is_new: Option<bool>,
    is_recommend: Option<bool>,
    words: Option<Words>,
}

/// What is searched for, as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Words {
    text: String,
    typing: bool,
}

crate::domain::paged!(ProductFilter);

impl ProductFilter {
    /// All products.
    pub fn new() -> Self {
        Self::default()
    }

    /// The products that have all of these words in their name, brand or description, see [`analyze`](super::analyze). A
    /// text without a word in it finds nothing.
    pub fn search(text: impl Into<String>) -> Self {
        Self::new().with_words(text)
    }

    /// Having all of these words in their name, brand or description.
    #[must_use]
    pub fn with_words(mut self, text: impl Into<String>) -> Self {
        self.criteria.words = Some(Words { text: text.into(), typing: false });
        self
    }

    /// As [`ProductFilter::with_words`], for a text that is still being typed: its last word may be the beginning of one.
    #[must_use]
    pub fn with_typed(mut self, text: impl Into<String>) -> Self {
        self.criteria.words = Some(Words { text: text.into(), typing: true });
        self
    }

    /// Directly in this category.
    #[must_use]
    pub const fn category(mut self, category: Uuid) -> Self {
        self.criteria.category = Some(category);
        self
    }

    /// In this category or below it.
    #[must_use]
    pub const fn subtree(mut self, category: Uuid) -> Self {
        self.criteria.subtree = Some(category);
        self
    }

    /// Of this status.
    #[must_use]
    pub const fn status(mut self, status: ProductStatus) -> Self {
        self.criteria.status = Some(status);
        self
    }

    /// That can be bought.
    #[must_use]
    pub const fn on_sale(self) -> Self {
        self.status(ProductStatus::OnSale)
    }

    /// At this price or above.
    #[must_use]
    pub const fn at_least(mut self, price: Money) -> Self {
        self.criteria.at_least = Some(price);
        self
    }

    /// At this price or below.
    #[must_use]
    pub const fn at_most(mut self, price: Money) -> Self {
        self.criteria.at_most = Some(price);
        self
    }

    /// Of this brand, by its exact name.
    #[must_use]
    pub fn brand(mut self, brand: impl Into<String>) -> Self {
        self.criteria.brand = Some(brand.into());
        self
    }

    /// Shown among the sought-after ones, or not.
    #[must_use]
    pub const fn hot(mut self, is_hot: bool) -> Self {
        self.criteria.is_hot = Some(is_hot);
        self
    }

    /// Shown among the new ones, or not.
    #[must_use]
    pub const fn new_ones(mut self, is_new: bool) -> Self {
        self.criteria.is_new = Some(is_new);
        self
    }

    /// Shown among the recommended ones, or not.
    #[must_use]
    pub const fn recommended(mut self, is_recommend: bool) -> Self {
        self.criteria.is_recommend = Some(is_recommend);
        self
    }

    /// By price, the dearest first unless [`ProductFilter::order`] says otherwise; newest first of those that cost the same.
    #[must_use]
    pub const fn by_price(mut self) -> Self {
        self.sort = Sort::Price;
        self
    }

    /// By how well they match the words, as the engine sees it, the best first: such a list is one page of at most
    /// [`MAX_LIMIT`](crate::db::page::MAX_LIMIT), without a next one. Which products match is the same on every engine; how
    /// well is not.
    #[must_use]
    pub const fn by_relevance(mut self) -> Self {
        self.sort = Sort::Relevance;
        self
    }

    fn select(&self) -> Select<Entity> {
        let Criteria { category, subtree, status, at_least, at_most, brand, is_hot, is_new, is_recommend, words: _ } =
            &self.criteria;
        Entity::find()
            .apply_if(*category, |select, category| select.filter(Column::CategoryId.eq(category)))
            .apply_if(*subtree, |select, top| select.filter(Column::CategoryId.in_subquery(tree::ids_below(top))))
            .apply_if(*status, |select, status| select.filter(Column::Status.eq(status)))
            .apply_if(*at_least, |select, price| select.filter(Column::Price.gte(price)))
            .apply_if(*at_most, |select, price| select.filter(Column::Price.lte(price)))
            .apply_if(brand.as_deref(), |select, brand| select.filter(Column::Brand.eq(brand)))
            .apply_if(*is_hot, |select, is_hot| select.filter(Column::IsHot.eq(is_hot)))
            .apply_if(*is_new, |select, is_new| select.filter(Column::IsNew.eq(is_new)))
            .apply_if(*is_recommend, |select, is_recommend| select.filter(Column::IsRecommend.eq(is_recommend)))
    }

    fn query(&self) -> Result<Option<Query>, Error> {
        let words = self.criteria.words.as_ref();
        words.map(|words| if words.typing { Query::typing(&words.text) } else { Query::of(&words.text) }).transpose()
    }
}

/// A page of products. One round trip; none when words are searched for and there are none.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter; [`Error::Invalid`] for words beyond
/// [`MAX_QUERY`](super::analyze::MAX_QUERY) characters, and for relevance without words or with a cursor; those of the
/// database.
pub async fn products(db: &impl ConnectionTrait, filter: &ProductFilter) -> Result<Page<Model>, Error> {
    let query = filter.query()?;
    if filter.sort == Sort::Relevance && (query.is_none() || filter.page.after.is_some()) {
        return Err(Error::Invalid("relevance is to words, and has one page".to_owned()));
    }
    let mut select = filter.select();
    if let Some(query) = &query {
        if query.is_empty() {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let ranked = filter.sort == Sort::Relevance;
        select = search::matching(db.get_database_backend(), select, query, ranked);
    }
    let PageRequest { limit, .. } = filter.page;
    match filter.sort {
        Sort::Newest => filter.page.read(db, select, [Column::Id], &filter.criteria).await,
        Sort::Price => filter.page.read(db, select, [Column::Price, Column::Id], &filter.criteria).await,
        Sort::Relevance => search::best(db, select, limit).await,
    }
}
