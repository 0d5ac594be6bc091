//! A shop with products, stock and coupons, and what has to be true of it at all times.

use std::collections::HashMap;
use std::time::Duration;

use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use stanchion::App;
use stanchion::config::Domain;
use stanchion::domain::inventory::{NewWarehouse, Receipt};
use stanchion::domain::ordering::{NewLine, NewOrder, ShippingAddress};
use stanchion::entity::catalog::{CategoryStatus, ProductStatus, category, product, product_image};
use stanchion::entity::inventory::stock;
use stanchion::entity::marketing::{CouponKind, CouponStatus, UserCouponStatus, coupon, user_coupon};
use stanchion::entity::ordering::{OrderStatus, order, order_item, outbox};
use stanchion::types::{Money, Rating, Text, new_id};
use stanchion_tests::Stage;
use stanchion_tests::testbed::TestDatabase;
use uuid::Uuid;

pub(super) struct Shop {
    pub(super) stage: Stage,
    category: Uuid,
    warehouse: Uuid,
}

pub(super) fn money(text: &str) -> Money {
    text.parse().unwrap()
}

impl Shop {
    pub(super) async fn on(database: TestDatabase) -> Self {
        Self::open(Stage::on(database).await.unwrap()).await
    }

    pub(super) async fn open(stage: Stage) -> Self {
        let now = stage.app.clock().now();
        let category = category::Model {
            id: new_id(),
            parent_id: None,
            name: "Things".parse().unwrap(),
            slug: "things".parse().unwrap(),
            description: Text::default(),
            image_url: Text::default(),
            sort_order: 0,
            status: CategoryStatus::Active,
            created_at: now,
            updated_at: now,
        };
        let id = category.id;
        let catalog = stage.app.db(Domain::Catalog).writer();
        category::Entity::insert(category.into_active_model()).exec_without_returning(catalog).await.unwrap();
        let code = "main".parse().unwrap();
        let name = "Main".parse().unwrap();
        let new = NewWarehouse { code, name, ..NewWarehouse::default() };
        let warehouse = stage.app.inventory().open_warehouse(new).await.unwrap().id;
        Self { stage, category: id, warehouse }
    }

    pub(super) fn app(&self) -> &App {
        &self.stage.app
    }

    /// A product at this price, so many of it in stock.
    pub(super) async fn product(&self, price: &str, quantity: i64) -> Uuid {
        let now = self.app().clock().now();
        let id = new_id();
        let product = product::Model {
            id,
            name: "Café ☕".parse().unwrap(),
            slug: id.to_string().parse().unwrap(),
            description: Text::default(),
            category_id: self.category,
            brand: Text::default(),
            price: money(price),
            original_price: None,
            sold_count: 0,
            rating: Rating::ZERO,
            review_count: 0,
            rating_sum: 0,
            status: ProductStatus::OnSale,
            is_hot: false,
            is_new: false,
            is_recommend: false,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let catalog = self.app().db(Domain::Catalog).writer();
        product::Entity::insert(product.into_active_model()).exec_without_returning(catalog).await.unwrap();
        let image = product_image::Model {
            id: new_id(),
            product_id: id,
            image_url: "https://img.example/cover.jpg".parse().unwrap(),
            sort_order: 0,
            is_cover: true,
            created_at: now,
            updated_at: now,
        };
        product_image::Entity::insert(image.into_active_model()).exec_without_returning(catalog).await.unwrap();
        if quantity > 0 {
            let (product_id, warehouse_id) = (id, self.warehouse);
            let reference = "delivery".parse().unwrap();
            let receipt = Receipt { product_id, warehouse_id, quantity, reference };
            self.app().inventory().receive(&receipt).await.unwrap();
        }
        id
    }

    /// A coupon in this user's hands that takes off so much.
    pub(super) async fn coupon(&self, user: Uuid, off: &str) -> Uuid {
        let now = self.app().clock().now();
        let coupon = coupon::Model {
            id: new_id(),
            campaign_id: None,
            code: new_id().to_string().parse().unwrap(),
            kind: CouponKind::Amount,
            face_value: money(off),
            min_spend: Money::ZERO,
            max_discount: None,
            total_quantity: 1,
            issued_quantity: 1,
            per_user_limit: 1,
            starts_at: now,
            ends_at: now.plus(Duration::from_secs(86_400)).unwrap(),
            status: CouponStatus::Active,
            created_at: now,
            updated_at: now,
        };
        let held = user_coupon::Model {
            id: new_id(),
            user_id: user,
            coupon_id: coupon.id,
            status: UserCouponStatus::Unused,
            order_id: None,
            used_at: None,
            created_at: now,
            updated_at: now,
        };
        let (id, marketing) = (held.id, self.app().db(Domain::Marketing).writer());
        coupon::Entity::insert(coupon.into_active_model()).exec_without_returning(marketing).await.unwrap();
        user_coupon::Entity::insert(held.into_active_model()).exec_without_returning(marketing).await.unwrap();
        id
    }

    pub(super) async fn stock(&self, product: Uuid) -> (i64, i64) {
        let select = stock::Entity::find().filter(stock::Column::ProductId.eq(product));
        let stock = select.one(self.app().db(Domain::Inventory).writer()).await.unwrap().unwrap();
        (stock.on_hand, stock.reserved)
    }

    pub(super) async fn held_coupon(&self, id: Uuid) -> user_coupon::Model {
        let marketing = self.app().db(Domain::Marketing).writer();
        user_coupon::Entity::find_by_id(id).one(marketing).await.unwrap().unwrap()
    }

    pub(super) async fn all_orders(&self) -> Vec<order::Model> {
        order::Entity::find().all(self.app().db(Domain::Ordering).writer()).await.unwrap()
    }

    /// An order that a user has checked out and paid.
    pub(super) async fn paid(&self, order: NewOrder) -> order::Model {
        let order = self.app().ordering().checkout(order).await.unwrap();
        let outcome = self.app().ordering().pay(payment(&order, &new_id().simple().to_string())).await.unwrap();
        assert_eq!(outcome, stanchion::domain::ordering::Paid::Accepted);
        order
    }

    /// What has to be true once everything has come to an end and nothing is shipped: every order is all or nothing, and
    /// stock and coupons say what the orders say.
    pub(super) async fn adds_up(&self) {
        let orders = self.all_orders().await;
        let status: HashMap<Uuid, OrderStatus> = orders.iter().map(|order| (order.id, order.status)).collect();
        for order in &orders {
            assert!(matches!(order.status, OrderStatus::Confirmed | OrderStatus::Cancelled), "{order:?}");
            let rest = order.total_amount.get() - order.discount_amount.get();
            assert_eq!(order.final_amount.get(), rest + order.shipping_fee.get(), "{order:?}");
        }
        let ordering = self.app().db(Domain::Ordering).writer();
        let mut reserved: HashMap<Uuid, i64> = HashMap::new();
        for item in order_item::Entity::find().all(ordering).await.unwrap() {
            if status[&item.order_id] == OrderStatus::Confirmed {
                *reserved.entry(item.product_id).or_default() += item.quantity;
            }
        }
        for stock in stock::Entity::find().all(self.app().db(Domain::Inventory).writer()).await.unwrap() {
            assert_eq!(stock.reserved, reserved.remove(&stock.product_id).unwrap_or(0), "{stock:?}");
        }
        assert!(reserved.is_empty(), "{reserved:?}");
        assert!(self.app().inventory().audit().await.unwrap().is_empty());
        for held in user_coupon::Entity::find().all(self.app().db(Domain::Marketing).writer()).await.unwrap() {
            let redeemed =
                |order: &&order::Model| order.coupon_id == Some(held.id) && order.status == OrderStatus::Confirmed;
            let by: Vec<Uuid> = orders.iter().filter(redeemed).map(|order| order.id).collect();
            assert!(by.len() <= 1, "used twice: {by:?}");
            assert_eq!(held.order_id, by.first().copied(), "{held:?}");
            let expected = if by.is_empty() { UserCouponStatus::Unused } else { UserCouponStatus::Used };
            assert_eq!(held.status, expected, "{held:?}");
        }
        let waiting = outbox::Entity::find().filter(outbox::Column::PublishedAt.is_null());
        assert!(waiting.all(ordering).await.unwrap().is_empty());
    }
}

pub(super) fn address() -> ShippingAddress {
    ShippingAddress {
        receiver_name: "阿达 👩‍💻".parse().unwrap(),
        phone: "+86 10 1234".parse().unwrap(),
        detail_address: "\u{202b}12 Analytical Row".parse().unwrap(),
        ..ShippingAddress::default()
    }
}

/// An order of these products, under a key of its own.
pub(super) fn basket(user: Uuid, lines: &[(Uuid, i64)]) -> NewOrder {
    NewOrder {
        user_id: user,
        idempotency_key: new_id().to_string().parse().unwrap(),
        lines: lines.iter().map(|&(product_id, quantity)| NewLine { product_id, quantity }).collect(),
        coupon: None,
        shipping_fee: money("6.50"),
        shipping_address: address(),
        remark: None,
    }
}

pub(super) fn payment(order: &order::Model, number: &str) -> stanchion::domain::ordering::Payment {
    stanchion::domain::ordering::Payment {
        order_id: order.id,
        payment_no: number.parse().unwrap(),
        method: "alipay".parse().unwrap(),
        amount: order.final_amount,
        transaction_id: None,
        gateway_response: None,
    }
}
