//! What is searched, and what for.

use stanchion::domain::catalog::ProductDetails;
use stanchion::entity::catalog::product::Model as Product;
use stanchion_tests::Stage;

use super::{create_category, product, tick};

/// Name, brand and description.
pub(super) type Texts = (String, String, String);

/// Products whose words engines would cut apart each in its own way.
const CORPUS: [[&str; 3]; 24] = [
    ["The Go Programming Language", "", "A book about Go, by those who know it."],
    ["Go board 围棋盘", "弈", "Wooden board for the game of Go (围棋), 19 × 19"],
    ["C++ Primer", "Addison-Wesley", "Learn C++ the hard way"],
    ["C for beginners", "", "The C language; no C# here"],
    ["3D打印机 Pro", "创想", "高精度3D打印机，支持USB+HDMI"],
    ["3D glasses", "Acme", "Watch 3D films"],
    ["打印纸 A4", "得力", "500张，适合激光打印机"],
    ["宜兴紫砂壶", "宜兴", "手工制作的茶壶，容量200毫升"],
    ["龙井茶", "西湖", "明前绿茶，250g"],
    ["Tea pot", "Acme", "A pot for tea. Not a teapot!"],
    ["Teapot, blue", "", "It’s the men's favourite; don't drop it"],
    ["Café crème", "L'Or", "Cafe\u{301} filtre — naïve résumé"],
    ["Cafe table", "", "Round, 60 cm"],
    ["Ｆｕｌｌ－ｗｉｄｔｈ　Ｌｅｔｔｅｒｓ　１２３", "", "ＡＢＣ"],
    ["Full-width letters 123", "", "abc"],
    ["Straßenkarte", "Große", "ÄÖÜ äöü STRASSE"],
    ["🎁 Gift box 🎁", "", "❤️ for you ❤"],
    ["ガラスのコップ", "東京", "ｶﾞﾗｽ製。きれいなコップです"],
    ["Wi-Fi 6 router", "TP-Link", "802.11ax, 2.4GHz/5GHz, 100% coverage_area"],
    ["كتاب عربي", "", "שלום עולם"],
    ["Ελληνικός καφές", "", "ΟΔΟΣ οδός"],
    ["Кофе молотый", "", "достопримечательности"],
    ["the", "of", "and to be or not to be, who will www com"],
    ["x", "y", "z 1 22 333"],
];

/// What is searched for in it.
pub(super) const QUERIES: [&str; 66] = [
    "the",
    "THE go",
    "go",
    "Go!",
    "board go",
    "c",
    "C++",
    "c#",
    "c ++",
    "c+",
    "3D",
    "3d打印机",
    "打印机",
    "打印",
    "印",
    "打",
    "印机 3d",
    "机打",
    "茶",
    "茶壶",
    "绿茶",
    "紫砂壶",
    "宜兴 壶",
    "tea",
    "teapot",
    "tea pot",
    "pot tea acme",
    "café",
    "cafe",
    "CAFE\u{301}",
    "résumé",
    "full width",
    "ＦＵＬＬ",
    "full-width letters １２３",
    "abc",
    "straße",
    "STRASSE",
    "strasse",
    "äöü",
    "🎁",
    "gift 🎁",
    "❤️",
    "ガラス",
    "ｶﾞﾗｽ",
    "コップ",
    "きれい",
    "wi-fi",
    "wifi",
    "fi wi",
    "802.11ax",
    "2.4ghz",
    "100%",
    "coverage area",
    "כתב",
    "עולם",
    "كتاب",
    "οδοσ",
    "ΟΔΟΣ",
    "кофе",
    "достопримечательности",
    "men's",
    "it's",
    "don t",
    "of and",
    "z 22",
    "nothing of that",
];

/// Products of these texts, in one category.
pub(super) async fn stock(stage: &Stage, corpus: &[Texts]) -> Vec<Product> {
    let category = create_category(stage, "all", None).await;
    let mut products = Vec::new();
    for (at, (name, brand, description)) in corpus.iter().enumerate() {
        let details = ProductDetails {
            name: name.as_str().try_into().unwrap(),
            brand: brand.as_str().try_into().unwrap(),
            description: description.as_str().try_into().unwrap(),
            ..product(category, &format!("p{at}"))
        };
        tick(stage);
        products.push(stage.app.catalog().create_product(details).await.unwrap());
    }
    products
}

/// All of it.
pub(super) fn corpus() -> Vec<Texts> {
    CORPUS.map(|[name, brand, description]| (name.into(), brand.into(), description.into())).into()
}
