use futures::future::join_all;
use stanchion::Error;
use stanchion::domain::catalog::{CategoryDetails, CategoryNode, MAX_DEPTH};
use stanchion::types::{Timestamp, new_id};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};
use uuid::Uuid;

use super::{Numbers, another_app, category, create_category, product, tick};

on_every_backend! {
    a_tree_is_in_order_and_one_round_trip,
    a_path_and_a_subtree_are_one_round_trip,
    a_category_cannot_be_moved_below_itself,
    of_moves_that_together_make_a_circle_one_is_refused,
    many_moves_at_once_keep_one_tree_of_bounded_depth,
    levels_have_a_bound,
    a_category_with_something_in_it_stays,
    a_slug_belongs_to_one_category,
    a_category_takes_any_text_and_no_nonsense,
}

/// The slugs of a tree: `a(b c(d))`.
fn slugs(nodes: &[CategoryNode]) -> String {
    let one = |node: &CategoryNode| match slugs(&node.children).as_str() {
        "" => node.category.slug.to_string(),
        children => format!("{}({children})", node.category.slug),
    };
    nodes.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn count(nodes: &[CategoryNode]) -> usize {
    nodes.iter().map(|node| 1 + count(&node.children)).sum()
}

fn depth(nodes: &[CategoryNode]) -> usize {
    nodes.iter().map(|node| 1 + depth(&node.children)).max().unwrap_or(0)
}

async fn a_tree_is_in_order_and_one_round_trip(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    assert_eq!(catalog.tree().await.unwrap(), []);
    let (root, trips) = stage.counted(catalog.create_category(category("root"), None)).await;
    let root = root.unwrap();
    assert_eq!(trips, 4);
    tick(&stage);
    let (below, trips) = stage.counted(catalog.create_category(category("below"), Some(root.id))).await;
    assert_eq!(trips, 6);
    let below = below.unwrap();
    for (slug, sort_order) in [("third", 3), ("first", -1), ("second", 2)] {
        let details = CategoryDetails { sort_order, ..category(slug) };
        catalog.create_category(details, Some(below.id)).await.unwrap();
    }
    create_category(&stage, "other", None).await;
    let (tree, trips) = stage.counted(catalog.tree()).await;
    assert_eq!((slugs(&tree.unwrap()).as_str(), trips), ("root(below(first second third)) other", 1));

    let (moved, trips) = stage.counted(catalog.move_category(below.id, None)).await;
    moved.unwrap();
    assert_eq!((slugs(&catalog.tree().await.unwrap()).as_str(), trips), ("root below(first second third) other", 3));
    let (moved, trips) = stage.counted(catalog.move_category(below.id, Some(root.id))).await;
    moved.unwrap();
    assert_eq!(trips, 6);
    let read = catalog.category(below.id).await.unwrap();
    assert_eq!((read.parent_id, read.created_at), (below.parent_id, below.created_at));
    assert!(read.updated_at > below.updated_at);
}

async fn a_path_and_a_subtree_are_one_round_trip(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let a = create_category(&stage, "a", None).await;
    let b = create_category(&stage, "b", Some(a)).await;
    let c = create_category(&stage, "c", Some(b)).await;
    let other = create_category(&stage, "d", Some(a)).await;
    let (path, trips) = stage.counted(catalog.category_path(c)).await;
    let path: Vec<_> = path.unwrap().into_iter().map(|step| (step.id, step.slug)).collect();
    assert_eq!((path, trips), (vec![(a, "a".into()), (b, "b".into()), (c, "c".into())], 1));
    for (top, mut expected) in [(a, vec![a, b, c, other]), (b, vec![b, c]), (c, vec![c]), (new_id(), vec![])] {
        let (ids, trips) = stage.counted(catalog.subtree_ids(top)).await;
        let mut ids = ids.unwrap();
        ids.sort_unstable();
        expected.sort_unstable();
        assert_eq!((ids, trips), (expected, 1));
    }
    assert_eq!(catalog.category_path(new_id()).await.unwrap(), []);
}

async fn a_category_cannot_be_moved_below_itself(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let a = create_category(&stage, "a", None).await;
    let b = create_category(&stage, "b", Some(a)).await;
    let c = create_category(&stage, "c", Some(b)).await;
    for below in [a, b, c] {
        let error = catalog.move_category(a, Some(below)).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{error}");
    }
    for (moved, below) in [(new_id(), Some(a)), (new_id(), None), (c, Some(new_id()))] {
        assert!(catalog.move_category(moved, below).await.unwrap_err().is_not_found());
    }
    assert_eq!(slugs(&catalog.tree().await.unwrap()), "a(b(c))");
    // Where it is already, it may stay.
    catalog.move_category(c, Some(b)).await.unwrap();
    assert_eq!(slugs(&catalog.tree().await.unwrap()), "a(b(c))");
}

async fn of_moves_that_together_make_a_circle_one_is_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let other = another_app(&stage).await;
    for size in [2, 2, 3, 4] {
        let mut ring = Vec::new();
        for at in 0..size {
            let root = create_category(&stage, &format!("{}-{at}", new_id()), None).await;
            ring.push((root, create_category(&stage, &new_id().to_string(), Some(root)).await));
        }
        // Each below the child of the next one.
        let moves = (0..size).map(|at| {
            let app = if at % 2 == 0 { &stage.app } else { &other };
            let (moved, below) = (ring[at].0, ring[(at + 1) % size].1);
            async move { app.catalog().move_category(moved, Some(below)).await }
        });
        let refused: Vec<Error> = join_all(moves).await.into_iter().filter_map(Result::err).collect();
        // The last one would have closed it.
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert!(matches!(refused[0], Error::Conflict(_)), "{refused:?}");
    }
    assert_eq!(count(&stage.app.catalog().tree().await.unwrap()), (2 + 2 + 3 + 4) * 2);
    other.close().await;
}

async fn many_moves_at_once_keep_one_tree_of_bounded_depth(database: TestDatabase) {
    const CATEGORIES: usize = 12;
    let stage = Stage::on(database).await.unwrap();
    let other = another_app(&stage).await;
    let mut ids: Vec<Uuid> = Vec::new();
    for at in 0..CATEGORIES {
        ids.push(create_category(&stage, &format!("c{at}"), None).await);
    }
    let tasks = (0..6_u64).map(|task| {
        let (app, ids) = (if task % 2 == 0 { &stage.app } else { &other }, &ids);
        async move {
            let mut numbers = Numbers(task);
            for _ in 0..12 {
                let (moved, below) = (ids[numbers.below(CATEGORIES)], ids.get(numbers.below(CATEGORIES + 2)).copied());
                match app.catalog().move_category(moved, below).await {
                    Ok(()) | Err(Error::Conflict(_)) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
    });
    join_all(tasks).await;
    let tree = stage.app.catalog().tree().await.unwrap();
    // What is in a circle hangs from no root.
    assert_eq!(count(&tree), CATEGORIES);
    assert!(depth(&tree) <= MAX_DEPTH);
    other.close().await;
}

async fn levels_have_a_bound(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let mut chain: Vec<Uuid> = Vec::new();
    for at in 0..MAX_DEPTH {
        chain.push(create_category(&stage, &format!("level-{at}"), chain.last().copied()).await);
    }
    let error = catalog.create_category(category("too-deep"), chain.last().copied()).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error}");
    let root = create_category(&stage, "root", None).await;
    let below = create_category(&stage, "below", Some(root)).await;
    let move_below = async |moved, parent: usize| catalog.move_category(moved, Some(chain[parent])).await;
    assert!(matches!(move_below(root, MAX_DEPTH - 2).await, Err(Error::Conflict(_))));
    move_below(below, MAX_DEPTH - 2).await.unwrap();
    move_below(root, MAX_DEPTH - 2).await.unwrap();
    assert_eq!(depth(&catalog.tree().await.unwrap()), MAX_DEPTH);
}

async fn a_category_with_something_in_it_stays(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let parent = create_category(&stage, "parent", None).await;
    let child = create_category(&stage, "child", Some(parent)).await;
    let sold = catalog.create_product(product(child, "sold")).await.unwrap();
    for full in [parent, child] {
        let error = catalog.delete_category(full).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{error}");
    }
    catalog.delete_product(sold.id).await.unwrap();
    let (deleted, trips) = stage.counted(catalog.delete_category(child)).await;
    deleted.unwrap();
    assert_eq!(trips, 1);
    catalog.delete_category(parent).await.unwrap();
    assert!(catalog.delete_category(parent).await.unwrap_err().is_not_found());
    assert!(catalog.category(parent).await.unwrap_err().is_not_found());
}

async fn a_slug_belongs_to_one_category(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let rush = join_all((0..6).map(|_| catalog.create_category(category("tea"), None))).await;
    assert_eq!(rush.iter().filter(|created| created.is_ok()).count(), 1);
    assert!(rush.iter().flat_map(|created| created.as_ref().err()).all(|error| matches!(error, Error::Conflict(_))));
    let other = create_category(&stage, "coffee", None).await;
    assert!(matches!(catalog.update_category(other, category("tea")).await, Err(Error::Conflict(_))));
    // With case it is another one.
    let (updated, trips) = stage.counted(catalog.update_category(other, category("Tea"))).await;
    updated.unwrap();
    assert_eq!((slugs(&catalog.tree().await.unwrap()).as_str(), trips), ("tea Tea", 1));
}

async fn a_category_takes_any_text_and_no_nonsense(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let details = CategoryDetails {
        name: "🫖 茶 שלום \u{202e}'; DROP".parse().unwrap(),
        description: "é\n\t\\ %_".parse().unwrap(),
        sort_order: i32::MIN,
        ..category("茶")
    };
    let created = catalog.create_category(details, None).await.unwrap();
    assert_eq!(catalog.category(created.id).await.unwrap(), created);
    let blank = || CategoryDetails { name: " \t".parse().unwrap(), ..category("blank") };
    let error = catalog.create_category(blank(), None).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("categories.name"), "{error}");
    assert!(catalog.update_category(created.id, category("")).await.unwrap_err().is_invalid());
    assert!(catalog.update_category(new_id(), category("x")).await.unwrap_err().is_not_found());
    assert!(catalog.create_category(category("x"), Some(new_id())).await.unwrap_err().is_not_found());
    stage.clock.set(Timestamp::from_micros(-1).unwrap());
    assert!(catalog.create_category(category("before-1970"), None).await.unwrap_err().is_invalid());
    assert_eq!(count(&catalog.tree().await.unwrap()), 1);
}
