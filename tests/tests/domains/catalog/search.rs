use std::collections::BTreeSet;

use stanchion::Error;
use stanchion::db::Order;
use stanchion::domain::catalog::analyze::{MAX_QUERY, Query, words};
use stanchion::domain::catalog::{self, ProductDetails, ProductFilter};
use stanchion::entity::catalog::product::Model as Product;
use stanchion::types::Timestamp;
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};
use uuid::Uuid;

use super::corpus::{QUERIES, Texts, corpus, stock};
use super::{Numbers, product};

on_every_backend! {
    the_same_words_find_the_same_products,
    random_texts_are_found_as_the_analyzer_says,
    an_unfinished_word_finds_what_begins_with_it,
    no_word_is_an_operator,
    what_is_changed_is_found_as_it_is_now,
    what_is_rolled_back_is_not_found,
    the_best_match_comes_first,
    found_products_come_in_pages,
    very_long_texts_are_found_by_their_beginning,
}

/// The ids of what is found.
async fn found(stage: &Stage, filter: ProductFilter) -> BTreeSet<Uuid> {
    let page = stage.app.catalog().products(&filter.limit(1_000)).await.unwrap();
    page.items.into_iter().map(|product| product.id).collect()
}

/// What should be found, by the analyzer's words alone.
fn model(products: &[Product], query: &Query) -> BTreeSet<Uuid> {
    let matches = |product: &&Product| {
        let has: BTreeSet<String> =
            [&*product.name, &*product.brand, &*product.description].into_iter().flat_map(words).collect();
        let begun = |beginning: &String| has.iter().any(|word| word.starts_with(beginning));
        !query.is_empty() && query.words.is_subset(&has) && query.beginning.iter().all(begun)
    };
    products.iter().filter(matches).map(|product| product.id).collect()
}

async fn the_same_words_find_the_same_products(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let products = stock(&stage, &corpus()).await;
    for query in QUERIES {
        let expected = model(&products, &Query::of(query).unwrap());
        assert_eq!(found(&stage, ProductFilter::search(query)).await, expected, "{query:?}");
        assert_eq!(found(&stage, ProductFilter::search(query).by_relevance()).await, expected, "{query:?} ranked");
    }
    // The model itself, by hand.
    let by_hand: [(&str, &[usize]); 14] = [
        ("the", &[0, 1, 2, 3, 10, 22]),
        ("go", &[0, 1]),
        ("C++", &[2]),
        ("c", &[2, 3]),
        ("打印机", &[4, 6]),
        ("3d打印机", &[4]),
        ("茶", &[7, 8]),
        ("茶壶", &[7]),
        ("tea pot", &[9]),
        ("café", &[11]),
        ("ＦＵＬＬ", &[13, 14]),
        ("ガラス", &[17]),
        ("wi-fi", &[18]),
        ("🎁", &[]),
    ];
    for (query, at) in by_hand {
        let expected: BTreeSet<Uuid> = at.iter().map(|at| products[*at].id).collect();
        assert_eq!(found(&stage, ProductFilter::search(query)).await, expected, "{query:?} by hand");
    }
}

async fn random_texts_are_found_as_the_analyzer_says(database: TestDatabase) {
    const PIECES: [&str; 40] = [
        "a",
        "an",
        "the",
        "go",
        "q",
        "zx",
        "qq",
        "xyz",
        "C++",
        "c#",
        "3D",
        "42",
        "007",
        "é",
        "e\u{301}",
        "ß",
        "İ",
        "ﬁ",
        "茶",
        "壶",
        "打印",
        "机",
        "カナ",
        "か",
        "한국어",
        "ไทย",
        "हिन्दी",
        "مر",
        "🎁",
        "𠮷",
        "-",
        "_",
        "'",
        "\"",
        "+",
        "*",
        "%",
        "\u{200d}",
        "\u{ad}",
        "Ａ１",
    ];
    let stage = Stage::on(database).await.unwrap();
    let mut numbers = Numbers(11);
    let mut text = |pieces: usize| {
        let mut text = String::new();
        for _ in 0..=numbers.below(pieces) {
            text.push_str(PIECES[numbers.below(PIECES.len())]);
            text.push_str(["", " ", " "][numbers.below(3)]);
        }
        text
    };
    let corpus: Vec<Texts> = (0..60).map(|_| (format!("n{}", text(6)), text(2), text(12))).collect();
    let queries: Vec<String> = (0..120).map(|_| text(3)).collect();
    let products = stock(&stage, &corpus).await;
    let mut hits = 0;
    for query in queries {
        let expected = model(&products, &Query::of(&query).unwrap());
        hits += expected.len();
        assert_eq!(found(&stage, ProductFilter::search(query.as_str())).await, expected, "{query:?}");
        let typed = model(&products, &Query::typing(&query).unwrap());
        assert_eq!(found(&stage, ProductFilter::new().with_typed(query.as_str())).await, typed, "{query:?} typed");
    }
    assert!(hits > 100, "{hits}");
}

async fn an_unfinished_word_finds_what_begins_with_it(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let products = stock(&stage, &corpus()).await;
    let by_hand: [(&str, &[usize]); 10] = [
        ("te", &[9, 10]),
        ("the pro", &[0]),
        ("caf", &[11, 12]),
        ("café", &[11]),
        ("pot te", &[9]),
        ("достоприм", &[21]),
        ("t", &[10]),
        ("te ", &[]),
        ("打印", &[4, 6]),
        ("", &[]),
    ];
    for (typed, at) in by_hand {
        let expected: BTreeSet<Uuid> = at.iter().map(|at| products[*at].id).collect();
        let filter = ProductFilter::new().with_typed(typed);
        assert_eq!(model(&products, &Query::typing(typed).unwrap()), expected, "{typed:?} of the model");
        assert_eq!(found(&stage, filter.clone()).await, expected, "{typed:?}");
        assert_eq!(found(&stage, filter.by_relevance()).await, expected, "{typed:?} ranked");
    }
}

async fn no_word_is_an_operator(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let products = stock(&stage, &corpus()).await;
    let queries = [
        "go OR tea",
        "go -board",
        "+go +tea",
        "go | tea",
        "go & !board",
        "go*",
        "\"go board\"",
        "NOT go",
        "go NEAR board",
        "name:go",
        "(go) (board)",
        "go <-> board",
        "go:*",
        "~go",
        ">go <board",
        "@5 go",
        "'go'",
        "go' OR '1'='1",
        "\\go",
        "; DROP TABLE products",
        "go$1",
        "go?",
        "%",
        "\"",
        "'",
        "(",
        "*",
        "^go",
        "{terms}: go",
        "go\0board",
        "$1",
        "?",
    ];
    for query in queries {
        let expected = model(&products, &Query::of(query).unwrap());
        assert_eq!(found(&stage, ProductFilter::search(query)).await, expected, "{query:?}");
    }
    let (none, trips) = stage.counted(found(&stage, ProductFilter::search("!?"))).await;
    assert_eq!((none.len(), trips), (0, 0));
    let catalog = stage.app.catalog();
    let long = catalog.products(&ProductFilter::search("go ".repeat(MAX_QUERY))).await.unwrap_err();
    assert!(matches!(long, Error::Invalid(_)), "{long}");
    assert!(catalog.products(&ProductFilter::new().by_relevance()).await.unwrap_err().is_invalid());
    // As many words as a query holds.
    let many: String = ('\u{4e00}'..).take(MAX_QUERY).collect();
    assert_eq!(found(&stage, ProductFilter::search(many)).await.len(), 0);
    let many = "c d ".repeat(MAX_QUERY / 4);
    assert_eq!(found(&stage, ProductFilter::search(many)).await.len(), 0);
}

async fn what_is_changed_is_found_as_it_is_now(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let catalog = stage.app.catalog();
    let products = stock(&stage, &corpus()).await;
    let (pot, category) = (&products[9], products[9].category_id);
    let hits = async |words: &str| found(&stage, ProductFilter::search(words)).await.len();
    assert_eq!((hits("tea pot").await, hits("coffee").await), (1, 0));
    let details = ProductDetails { name: "Coffee 咖啡壶".parse().unwrap(), ..product(category, "p9") };
    catalog.update_product(pot.id, 1, details.clone()).await.unwrap();
    assert_eq!((hits("tea pot").await, hits("coffee").await, hits("咖啡").await), (0, 1, 1));
    // A change that is refused changes no words.
    let stale = ProductDetails { name: "Cocoa".parse().unwrap(), ..details };
    assert!(catalog.update_product(pot.id, 1, stale).await.unwrap_err().is_stale());
    assert_eq!((hits("cocoa").await, hits("coffee").await), (0, 1));
    catalog.delete_product(pot.id).await.unwrap();
    assert_eq!(hits("coffee").await, 0);
    for product in &products {
        if product.id != pot.id {
            catalog.delete_product(product.id).await.unwrap();
        }
    }
    for query in QUERIES {
        assert_eq!(hits(query).await, 0, "{query:?}");
    }
    // The same words come again.
    stage.clock.advance(std::time::Duration::from_secs(1));
    let again = catalog.create_product(product(category, "coffee")).await.unwrap();
    assert_eq!(found(&stage, ProductFilter::search("coffee")).await, BTreeSet::from([again.id]));
}

async fn what_is_rolled_back_is_not_found(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let products = stock(&stage, &corpus()).await;
    let now = Timestamp::from_millis(1_772_366_400_000).unwrap();
    let category = products[0].category_id;
    let undone = stage.app.transaction(stanchion::config::Domain::Catalog, async |tx| {
        catalog::create_product(tx, product(category, "ghost"), now).await?;
        catalog::update_product(tx, products[8].id, 1, product(category, "ghost-too"), now).await?;
        catalog::delete_product(tx, products[7].id).await?;
        Err::<(), _>(Error::Invalid("no".to_owned()))
    });
    assert!(undone.await.unwrap_err().is_invalid());
    assert_eq!(found(&stage, ProductFilter::search("ghost")).await.len(), 0);
    assert_eq!(found(&stage, ProductFilter::search("茶")).await, BTreeSet::from([products[7].id, products[8].id]));
}

async fn the_best_match_comes_first(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let mut corpus = corpus();
    corpus.push(("Zebra poster".into(), String::new(), "Black and white".into()));
    corpus.push(("Animal poster".into(), String::new(), "With a lion, a zebra and a tiger on it".into()));
    let products = stock(&stage, &corpus).await;
    let (named, told) = (products[24].id, products[25].id);
    let filter = ProductFilter::search("zebra").by_relevance();
    let (best, trips) = stage.counted(stage.app.catalog().products(&filter)).await;
    let best = best.unwrap();
    assert_eq!((best.items.iter().map(|product| product.id).collect::<Vec<_>>(), trips), (vec![named, told], 1));
    let one = stage.app.catalog().products(&filter.limit(1)).await.unwrap();
    assert_eq!((one.items[0].id, one.items.len(), one.next), (named, 1, None));
}

async fn found_products_come_in_pages(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let corpus: Vec<Texts> = (0..30).map(|at| (format!("茶杯 {}", at % 3), String::new(), String::new())).collect();
    let products = stock(&stage, &corpus).await;
    let filter = ProductFilter::search("茶杯 1").order(Order::Asc).limit(4);
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let (page, trips) = stage.counted(stage.app.catalog().products(&filter.clone().after(cursor))).await;
        let page = page.unwrap();
        assert_eq!(trips, 1);
        seen.extend(page.items.iter().map(|product| product.id));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, products.iter().skip(1).step_by(3).map(|product| product.id).collect::<Vec<_>>());
}

async fn very_long_texts_are_found_by_their_beginning(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let long: String = ('\u{4e00}'..='\u{9fff}').cycle().take(500_000).collect();
    let letters: String = "pneumonoultramicroscopicsilicovolcanoconiosis".repeat(100);
    let corpus =
        [("Encyclopedia".to_owned(), String::new(), long.clone()), ("Word".to_owned(), String::new(), letters.clone())];
    let products = stock(&stage, &corpus).await;
    let hits = async |words: String| found(&stage, ProductFilter::search(words)).await;
    assert_eq!(hits(long.chars().take(50).collect()).await, BTreeSet::from([products[0].id]));
    assert_eq!(hits("encyclopedia".into()).await, BTreeSet::from([products[0].id]));
    assert_eq!(hits(letters.chars().take(MAX_QUERY).collect()).await, BTreeSet::from([products[1].id]));
}
