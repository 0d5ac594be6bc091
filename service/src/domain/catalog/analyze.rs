//! What a word is when products are searched: decided here, once, and not by each engine in its own way.
//!
//! Text is put into one form (NFKC: full-width letters become letters, an accent typed as a mark of its own joins its
//! letter) and into lower case. Its words are the runs of letters and digits; every other character only separates, but
//! `+` and `#` at the end of a word make a second one (`C++` is `c` and `c++`). Han and kana are written without spaces:
//! there each character is a word, and each pair of neighbours, so that a phrase is found by the pairs that it is made of. There
//! are no stop words, no stems, and accents count.
//!
//! An engine gets a word as a *term*: `zx` and the word in ASCII letters and digits. So every term is at least three characters
//! long, none is a stop word, and none contains anything that a query language reads.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::Error;
use crate::types::{LongText, ValueError};

/// Characters of a query; a longer one is refused.
pub const MAX_QUERY: usize = 200;
/// Characters of a description that are looked at.
const MAX_TEXT: usize = 100_000;
/// Bytes of the terms of a product: what PostgreSQL can make a `tsvector` of, whose limit is 1 MiB with its positions.
const MAX_TERMS: usize = 400_000;
/// Characters of a term without its prefix: MariaDB leaves out terms of more than 84.
const MAX_TERM: usize = 80;
/// How often the words of a name and a brand count, where those of a description count once.
const WEIGHT: usize = 3;
/// What every term begins with: no stop word does.
const PREFIX: &str = "zx";

/// The words of a text, in its order, as a product has them.
///
/// ```
/// use stanchion::domain::catalog::analyze::words;
///
/// assert_eq!(words("Ｐｒｏ 3D-打印机"), ["pro", "3d", "打", "打印", "印", "印机", "机"]);
/// ```
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for run in runs(text) {
        if run.spaced {
            words.extend(run.with_signs());
            continue;
        }
        for (at, character) in run.characters.iter().enumerate() {
            words.push(character.to_string());
            words.extend(run.characters.get(at + 1).map(|next| String::from_iter([character, next])));
        }
    }
    words
}

/// What is searched for: words that a product must have, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The words.
    pub words: BTreeSet<String>,
    /// The beginning of one more word, where the last one may be unfinished.
    pub beginning: Option<String>,
}

impl Query {
    /// The words of a text. A phrase of Han or kana is the pairs of neighbours in it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for more than [`MAX_QUERY`] characters.
    pub fn of(text: &str) -> Result<Self, Error> {
        if text.chars().nth(MAX_QUERY).is_some() {
            return Err(Error::Invalid(format!("a search is for at most {MAX_QUERY} characters")));
        }
        let mut words = BTreeSet::new();
        for run in runs(text) {
            match run.characters.as_slice() {
                _ if run.spaced => words.extend(run.with_signs()),
                [single] => words.extend([single.to_string()]),
                many => words.extend(many.windows(2).map(String::from_iter)),
            }
        }
        Ok(Self { words, beginning: None })
    }

    /// As [`Query::of`], for a text that is still being typed: its last word, of two characters or more and with nothing
    /// after it, is the beginning of one.
    ///
    /// # Errors
    /// As [`Query::of`].
    pub fn typing(text: &str) -> Result<Self, Error> {
        let mut query = Self::of(text)?;
        let last = runs(text).pop().filter(|run| run.spaced && run.is_last && run.characters.len() > 1);
        if let Some(last) = last {
            // The same word may have come before as well; then it is wanted as it is, which says more.
            if runs(text).iter().filter(|run| run.spaced && run.word() == last.word()).count() == 1 {
                query.words.remove(&last.word());
                query.beginning = Some(last.word());
            }
        }
        Ok(query)
    }

    /// Whether there is no word in it: then it finds nothing.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.beginning.is_none()
    }

    /// The terms of its words, and the beginning of one more.
    pub(super) fn terms(&self) -> (Vec<String>, Option<String>) {
        (self.words.iter().map(|word| term(word)).collect(), self.beginning.as_deref().map(term))
    }
}

/// The terms of a product, separated by spaces.
///
/// Those of the name and the brand are there several times, so that engines with a ranking put them first. Of a long
/// description the beginning counts: some 19,000 Han characters, or 60,000 letters.
pub(super) fn terms(name: &str, brand: &str, description: &str) -> Result<LongText, ValueError> {
    let short = [name, brand].map(words).concat();
    let beginning: String = description.chars().take(MAX_TEXT).collect();
    let weighted = std::iter::repeat_n(&short, WEIGHT).flatten();
    let mut terms = String::new();
    for word in weighted.chain(&words(&beginning)) {
        let term = term(word);
        if terms.len() + term.len() >= MAX_TERMS {
            break;
        }
        if !terms.is_empty() {
            terms.push(' ');
        }
        terms.push_str(&term);
    }
    terms.try_into()
}

/// A word as a term. Each character stands for itself or is `q` and four digits to the base of 36, so the terms of two words
/// differ where the words do, and begin alike where they do.
fn term(word: &str) -> String {
    let mut term = PREFIX.to_owned();
    word.chars().for_each(|character| push_encoded(&mut term, character));
    term
}

fn push_encoded(term: &mut String, character: char) {
    if is_plain(character) {
        term.push(character);
        return;
    }
    term.push('q');
    let code = u32::from(character);
    for place in [46_656, 1_296, 36, 1] {
        // Of base 36, so always a digit.
        term.push(char::from_digit(code / place % 36, 36).unwrap_or('0'));
    }
}

const fn is_plain(character: char) -> bool {
    matches!(character, 'a'..='z' | '0'..='9') && character != 'q'
}

/// Characters of a run that belong together.
struct Run {
    characters: Vec<char>,
    /// Whether it is of a script that puts spaces between words.
    spaced: bool,
    /// `++` of `c++`.
    signs: String,
    /// Whether the text ends with it.
    is_last: bool,
}

impl Run {
    /// The word, as much of it as a term holds.
    fn word(&self) -> String {
        cut(&self.characters)
    }

    /// The word, and the one with its signs.
    fn with_signs(&self) -> impl Iterator<Item = String> {
        let signed = (!self.signs.is_empty()).then(|| {
            let characters: Vec<char> = self.characters.iter().copied().chain(self.signs.chars()).collect();
            cut(&characters)
        });
        std::iter::once(self.word()).chain(signed)
    }
}

/// The first characters that a term has room for.
fn cut(characters: &[char]) -> String {
    let mut room = MAX_TERM;
    let fitting = characters.iter().take_while(|character| {
        let needed = if is_plain(**character) { 1 } else { 5 };
        let fits = needed <= room;
        room = room.saturating_sub(needed);
        fits
    });
    fitting.collect()
}

fn runs(text: &str) -> Vec<Run> {
    let characters: Vec<char> = fold(text).chars().collect();
    let mut runs = Vec::new();
    let mut at = 0;
    while let Some(first) = characters.get(at) {
        if !first.is_alphanumeric() {
            at += 1;
            continue;
        }
        let spaced = !is_unspaced(*first);
        let belongs = |character: &&char| {
            is_combining_mark(**character) || character.is_alphanumeric() && is_unspaced(**character) != spaced
        };
        let run: Vec<char> = characters[at..].iter().take_while(belongs).copied().collect();
        at += run.len();
        let mut signs = String::new();
        if spaced {
            signs.extend(characters[at..].iter().take_while(|character| matches!(character, '+' | '#')));
            at += signs.len();
            // Between two words it is no part of either: `2+2`.
            if characters.get(at).is_some_and(|next| next.is_alphanumeric()) {
                signs.clear();
            }
        }
        runs.push(Run { characters: run, spaced, signs, is_last: at == characters.len() });
    }
    // With a sign it is finished.
    if let Some(last) = runs.last_mut() {
        last.is_last &= last.signs.is_empty();
    }
    runs
}

/// The one form: lower case of a letter can be something that is composed anew.
fn fold(text: &str) -> String {
    let lower: String = text.nfkc().filter(|character| !is_ignored(*character)).collect::<String>().to_lowercase();
    lower.nfkc().collect()
}

/// Characters that nobody sees and that end no word: soft hyphens, joiners, marks of direction, variation selectors.
const fn is_ignored(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Han, hiragana and katakana.
const fn is_unspaced(character: char) -> bool {
    matches!(
        character,
        '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_what_people_take_for_words() {
        let table: [(&str, &[&str]); 16] = [
            ("", &[]),
            ("🎁 !?…", &[]),
            ("The Go Book", &["the", "go", "book"]),
            ("men's Wi-Fi", &["men", "s", "wi", "fi"]),
            ("C++, C# & C", &["c", "c++", "c", "c#", "c"]),
            ("2+2 A4+", &["2", "2", "a4", "a4+"]),
            ("ＡＢＣ１２３", &["abc123"]),
            ("Cafe\u{301}", &["café"]),
            ("Straße", &["straße"]),
            ("3D打印机", &["3d", "打", "打印", "印", "印机", "机"]),
            ("茶", &["茶"]),
            ("かな・カナ", &["か", "かな", "な", "カ", "カナ", "ナ"]),
            ("ｶﾞ", &["ガ"]),
            ("co\u{ad}operate a\u{200d}b", &["cooperate", "ab"]),
            ("مرحبا שלום", &["مرحبا", "שלום"]),
            ("हिन्दी", &["हिन्दी"]),
        ];
        for (text, expected) in table {
            assert_eq!(words(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_phrase_without_spaces_is_its_pairs() {
        let query = Query::of("3D打印机 茶").unwrap();
        assert_eq!(query.words.into_iter().collect::<Vec<_>>(), ["3d", "印机", "打印", "茶"]);
    }

    #[test]
    fn the_last_word_may_be_unfinished() {
        let typing = |text| Query::typing(text).unwrap();
        assert_eq!(typing("red sho").beginning.as_deref(), Some("sho"));
        assert!(!typing("red sho").words.contains("sho"));
        for finished in ["red shoes ", "c++", "x", "红茶", "sho sho", ""] {
            assert_eq!(typing(finished).beginning, None, "{finished:?}");
        }
    }

    #[test]
    fn a_query_has_a_limit() {
        assert!(Query::of(&"茶".repeat(MAX_QUERY)).is_ok());
        assert!(Query::of(&"茶".repeat(MAX_QUERY + 1)).unwrap_err().is_invalid());
    }

    #[test]
    fn the_terms_of_a_product_have_a_limit_and_begin_with_its_name() {
        let description: String = ('\u{4e00}'..='\u{9fff}').cycle().take(1_000_000).collect();
        let terms = terms("Tea", "", &description).unwrap();
        assert!(terms.starts_with("zxtea zxtea zxtea zxq0feo"), "{}", &terms[..40]);
        assert!((MAX_TERMS - 100..MAX_TERMS).contains(&terms.len()));
    }

    proptest! {
        #[test]
        fn every_engine_takes_a_term_for_one_word(text in "\\PC{0,60}", long in "[a-zé茶]{70,200}") {
            for word in words(&text).into_iter().chain(words(&long)) {
                let term = term(&word);
                prop_assert!((3..=84).contains(&term.len()), "{term}");
                prop_assert!(term.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{term}");
            }
        }

        #[test]
        fn terms_differ_and_begin_alike_where_words_do(left in "[a-c+q茶é]{1,4}", right in "[a-c+q茶é]{1,4}") {
            prop_assert_eq!(term(&left) == term(&right), left == right);
            prop_assert_eq!(term(&left).starts_with(&term(&right)), left.starts_with(&right));
        }

        #[test]
        fn a_text_is_found_by_each_part_of_it(text in "[a-z茶碗印机カナ+# .é]{0,40}") {
            let has: BTreeSet<String> = words(&text).into_iter().collect();
            prop_assert!(Query::of(&text).unwrap().words.is_subset(&has));
        }

        #[test]
        fn what_is_folded_stays_so(text in "\\PC{0,40}") {
            prop_assert_eq!(words(&fold(&text)), words(&text));
        }
    }
}
