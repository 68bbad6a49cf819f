//! Finding people by what they are called. Personal values are sealed, so a store can't look into them: it
//! keeps keyed hashes of *grams*, which are whole words and pieces of words, and answers who has all of some.
//! Those candidates are unsealed and ranked here.
//!
//! Whoever reads the store and lacks the key sees how often a gram occurs and who shares it with whom, and
//! nothing of what it is; common names can be guessed from their frequency. That is the price of a search in
//! sealed values.
//!
//! Texts are compared in normal form KC, in small letters, without diacritics, apostrophes and hyphens:
//! `O’Brien` is `obrien`, `José` is `jose`. Pieces are two characters in Chinese, Japanese and Korean script,
//! three otherwise, and four digits of a telephone number.

use std::collections::BTreeSet;

use smol_str::{SmolStr, SmolStrBuilder};
use unicode_normalization::UnicodeNormalization as _;

use super::card::Card;
use super::contact_point::{ContactKind, digit};
use super::error::CardError;
use super::line::CardLine;
use super::script::is_cjk;

/// What a gram is a piece of. Pieces of different kinds never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GramKind {
    /// A whole word of a name.
    Word,
    /// A whole e-mail address, its local part, or its domain.
    Email,
    /// A whole telephone number.
    Phone,
    /// A whole member number.
    Member,
    /// How a word of a name begins: its first two letters, its first three, and so on up to six.
    Start,
    /// A piece of a word of a name.
    Piece,
    /// Four digits of a telephone number.
    Digits,
    /// Three characters of a member number.
    MemberPiece,
}

impl GramKind {
    /// The purpose under which it is hashed.
    #[must_use]
    pub const fn purpose(self) -> &'static str {
        match self {
            GramKind::Word => "search word",
            GramKind::Email => "search email",
            GramKind::Phone => "search phone",
            GramKind::Member => "search member",
            GramKind::Start => "search start",
            GramKind::Piece => "search piece",
            GramKind::Digits => "search digits",
            GramKind::MemberPiece => "search member piece",
        }
    }
}

/// A piece of what somebody is searched by. It prints masked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gram {
    /// Of what.
    pub kind: GramKind,
    /// The piece.
    pub text: SmolStr,
}

impl std::fmt::Debug for Gram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gram({:?}, ***)", self.kind)
    }
}

fn gram(kind: GramKind, text: &str) -> Gram {
    Gram { kind, text: SmolStr::new(text) }
}

/// How many characters of a word count.
const WORD_CHARS_MAX: usize = 32;
/// How many characters the longest beginning of a word has.
const START_CHARS_MAX: usize = 6;
/// How many words of a text count.
const WORDS_MAX: usize = 16;

/// A word as it is compared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Word {
    chars: Vec<char>,
    cjk: bool,
}

impl Word {
    fn text(&self) -> SmolStr {
        self.chars.iter().copied().collect()
    }

    /// Of how many characters its beginnings are: two to six letters, or one character of those scripts where one
    /// is a syllable or a word.
    const fn start_chars(&self) -> (usize, usize) {
        if self.cjk { (1, 1) } else { (2, START_CHARS_MAX) }
    }

    fn start(&self, chars: usize) -> Option<Gram> {
        let start: SmolStr = self.chars.get(..chars)?.iter().copied().collect();
        Some(Gram { kind: GramKind::Start, text: start })
    }

    /// Each of its beginnings. One that is long is rare: whoever asks by it reads a short list, where the pieces of
    /// the same letters have lists that are long and have little in common.
    fn starts(&self) -> impl Iterator<Item = Gram> {
        let (least, most) = self.start_chars();
        (least..=most).map_while(|chars| self.start(chars))
    }

    /// What a word has that begins with the first so many characters of this one: the longest beginning, and the
    /// pieces that go beyond it.
    fn beginning(&self, chars: usize) -> impl Iterator<Item = Gram> {
        let (least, most) = self.start_chars();
        let start = chars.min(most);
        let pieces = (chars + 1).saturating_sub(self.piece_chars());
        let beyond = (start + 1).saturating_sub(self.piece_chars());
        // One letter is no beginning.
        let longest = if start < least { None } else { self.start(start) };
        longest.into_iter().chain(self.pieces().take(pieces).skip(beyond))
    }

    const fn piece_chars(&self) -> usize {
        if self.cjk { 2 } else { 3 }
    }

    fn pieces(&self) -> impl Iterator<Item = Gram> {
        let pieces = self.chars.windows(self.piece_chars());
        pieces.map(|piece| Gram { kind: GramKind::Piece, text: piece.iter().copied().collect() })
    }
}

/// The words of a text. Scripts without spaces and others part a word.
fn words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut open: Option<Word> = None;
    let mut close = |word: &mut Option<Word>| {
        if let Some(word) = word.take()
            && words.len() < WORDS_MAX
        {
            words.push(word);
        }
    };
    for c in folded(text).chars() {
        if is_dropped(c) {
            continue;
        }
        // Vowel signs and joined marks belong to the letter before them.
        if !c.is_alphanumeric() && !unicode_normalization::char::is_combining_mark(c) {
            close(&mut open);
            continue;
        }
        let cjk = is_cjk(c);
        if open.as_ref().is_some_and(|word| word.cjk != cjk) {
            close(&mut open);
        }
        let word = open.get_or_insert_with(|| Word { chars: Vec::new(), cjk });
        if word.chars.len() < WORD_CHARS_MAX {
            word.chars.push(c);
        }
    }
    close(&mut open);
    words
}

/// Apostrophes, hyphens and joiners, which one writes and another leaves out.
const fn is_dropped(c: char) -> bool {
    matches!(c,
        '\'' | '-' | '`' | '\u{b4}' | '\u{ad}' | '\u{2b9}'..='\u{2bf}' | '\u{2018}'..='\u{201b}' | '\u{2032}'
        | '\u{200b}'..='\u{200d}' | '\u{2010}'..='\u{2015}' | '\u{2060}' | '\u{30fb}' | '\u{b7}')
}

/// In normal form KC, in small letters, without the diacritics of alphabets.
fn folded(text: &str) -> String {
    let plain = text.nfkd().filter(|c| {
        !matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
    });
    let mut folded = String::with_capacity(text.len());
    for c in plain.nfc().flat_map(char::to_lowercase) {
        match c {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'þ' => folded.push_str("th"),
            'ø' => folded.push('o'),
            'đ' | 'ð' => folded.push('d'),
            'ł' => folded.push('l'),
            'ı' => folded.push('i'),
            // What a capital letter with a dot leaves behind.
            '\u{307}' => {}
            c => folded.push(c),
        }
    }
    folded
}

/// The digits of a number, whatever stands between them.
fn digits(text: &str) -> String {
    text.nfkc().filter_map(digit).collect()
}

/// Letters and digits in capitals and nothing else.
fn member(text: &str) -> String {
    text.nfkc().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).take(WORD_CHARS_MAX).collect()
}

fn windows(kind: GramKind, text: &str, width: usize) -> Vec<Gram> {
    let chars: Vec<char> = text.chars().collect();
    chars.windows(width).map(|piece| Gram { kind, text: piece.iter().copied().collect() }).collect()
}

/// What somebody is searched by, as it is compared. It prints nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Searchable {
    /// In full, and the words of all parts.
    full: SmolStr,
    words: Vec<Word>,
    emails: Vec<String>,
    phones: Vec<String>,
    members: Vec<String>,
}

impl std::fmt::Debug for Searchable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Searchable(***)")
    }
}

impl Searchable {
    /// The most grams of one customer. Whole words, addresses and numbers come before pieces, and pieces of
    /// names before those of numbers; what is beyond is not found by a piece.
    pub const GRAMS_MAX: usize = 256;

    /// What a card says.
    #[must_use]
    pub fn of(card: &Card) -> Self {
        let mut searchable = Searchable::default();
        if let Some(name) = card.name() {
            let full = name.display();
            searchable.full = joined(&words(&full));
            let parts = [Some(full.as_str()), name.given(), name.family(), name.additional()];
            let mut all: Vec<Word> = parts.into_iter().flatten().flat_map(words).collect();
            let mut seen = BTreeSet::new();
            all.retain(|word| seen.insert(word.clone()));
            searchable.words = all;
        }
        for point in card.contact_points() {
            if point.kind() == ContactKind::Email {
                searchable.emails.push(folded_email(point.value()));
            } else if point.kind().is_phone() {
                searchable.phones.push(digits(point.value()));
            }
        }
        searchable.members = card.member_numbers().iter().map(|number| member(number.as_str())).collect();
        searchable.members.retain(|number| !number.is_empty());
        searchable
    }

    /// The grams that a store is to find the customer by, at most [`Searchable::GRAMS_MAX`], each once.
    #[must_use]
    pub fn grams(&self) -> Vec<Gram> {
        let whole = self.words.iter().map(|word| Gram { kind: GramKind::Word, text: word.text() });
        let emails = self.emails.iter().flat_map(|email| email_parts(email).map(|part| gram(GramKind::Email, part)));
        let phones = self.phones.iter().map(|phone| gram(GramKind::Phone, phone));
        let members = self.members.iter().map(|number| gram(GramKind::Member, number));
        let starts = self.words.iter().flat_map(Word::starts);
        let pieces = self.words.iter().flat_map(Word::pieces);
        let number_pieces = self.phones.iter().flat_map(|phone| windows(GramKind::Digits, phone, 4));
        let member_pieces = self.members.iter().flat_map(|number| windows(GramKind::MemberPiece, number, 3));
        let all = whole.chain(emails).chain(phones).chain(members).chain(starts).chain(pieces);
        let mut seen = BTreeSet::new();
        all.chain(number_pieces)
            .chain(member_pieces)
            .filter(|gram| seen.insert(gram.clone()))
            .take(Self::GRAMS_MAX)
            .collect()
    }
}

fn joined(words: &[Word]) -> SmolStr {
    let mut text = SmolStrBuilder::new();
    for (n, word) in words.iter().enumerate() {
        if n > 0 {
            text.push(' ');
        }
        word.chars.iter().for_each(|c| text.push(*c));
    }
    text.finish()
}

fn folded_email(address: &str) -> String {
    address.nfkc().flat_map(char::to_lowercase).collect()
}

/// The whole, the local part and the domain.
fn email_parts(email: &str) -> impl Iterator<Item = &str> {
    let parts = email.rsplit_once('@');
    [Some(email), parts.map(|(local, _)| local), parts.map(|(_, domain)| domain)]
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
}

/// By what is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Asked {
    /// The words of the name.
    Name,
    /// The e-mail address, its local part or its domain.
    Email,
    /// Digits of a telephone number.
    Phone,
    /// A member number or a piece of one.
    Member,
}

/// How well something matches, from bad to good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Matched {
    /// But for a letter or two.
    Fuzzy,
    /// Somewhere within.
    Fragment,
    /// It begins so.
    Prefix,
    /// Wholly.
    Exact,
}

/// What matched, and how well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// In thousandths; 1,000 is the very text.
    pub score: u16,
    /// Each thing that matched, the best first.
    pub matched: Vec<(Asked, Matched)>,
}

/// A question: some words, an address, digits. It prints masked.
#[derive(Clone, PartialEq, Eq)]
pub struct SearchQuery {
    words: Vec<Word>,
    full: SmolStr,
    email: Option<String>,
    phone: Option<String>,
    member: Option<String>,
}

impl std::fmt::Debug for SearchQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SearchQuery(***)")
    }
}

impl SearchQuery {
    /// The longest question in bytes.
    pub const MAX_BYTES: usize = CardLine::MAX_BYTES;
    /// The fewest digits of a telephone number that are searched by.
    pub const DIGITS_MIN: usize = 4;
    /// The most grams of one step.
    pub const GRAMS_MAX: usize = 32;

    /// Whatever the text may be: a name, an e-mail address, digits of a telephone, a member number.
    ///
    /// # Errors
    ///
    /// `CardError` if it is empty, too long, has a control character, or nothing in it can be searched by.
    pub fn new(text: &str) -> Result<Self, CardError> {
        let line = CardLine::named("question", text)?;
        let text = line.as_str();
        let is_email = text.contains(['@', '＠']);
        let has_letter = text.chars().any(char::is_alphabetic);
        let has_digit = text.nfkc().any(|c| digit(c).is_some());
        let email = (is_email || has_letter && !text.contains(char::is_whitespace)).then(|| {
            let email = folded_email(text);
            email.trim_matches('@').to_owned()
        });
        let phone = (!has_letter && has_digit).then(|| digits(text)).map(|all| {
            // A number from within the country begins with zeros, one from abroad has none there.
            let plain = all.trim_start_matches('0');
            if plain.len() < Self::DIGITS_MIN { all.clone() } else { plain.to_owned() }
        });
        let query = SearchQuery {
            words: if is_email { Vec::new() } else { words(text) },
            full: joined(&words(text)),
            email: email.filter(|email| !email.is_empty()),
            phone: phone.filter(|digits| digits.len() >= Self::DIGITS_MIN),
            member: (has_digit && !is_email).then(|| member(text)).filter(|number| number.chars().count() >= 3),
        };
        let asks = !query.words.is_empty() || query.email.is_some() || query.phone.is_some() || query.member.is_some();
        if asks { Ok(query) } else { Err(CardError::Empty { what: "question" }) }
    }

    /// The same, asked of some kinds only. What is asked of no kind is answered by nobody.
    #[must_use]
    pub fn only(mut self, asked: &[Asked]) -> Self {
        if !asked.contains(&Asked::Name) {
            self.words.clear();
        }
        self.email = self.email.filter(|_| asked.contains(&Asked::Email));
        self.phone = self.phone.filter(|_| asked.contains(&Asked::Phone));
        self.member = self.member.filter(|_| asked.contains(&Asked::Member));
        self
    }

    /// What a store is asked, step by step until there are enough answers: whole words; beginnings; pieces;
    /// and halves of words, for words with a typing error. Of each step any of the lists holds, and of a list
    /// all grams.
    #[must_use]
    pub fn steps(&self) -> [Vec<Vec<Gram>>; 4] {
        let words = &self.words;
        let whole = words.iter().map(|word| Gram { kind: GramKind::Word, text: word.text() }).collect();
        let email = self.email.iter().map(|email| gram(GramKind::Email, email)).collect();
        let phone = self.phone.iter().map(|phone| gram(GramKind::Phone, phone)).collect();
        let member = self.member.iter().map(|number| gram(GramKind::Member, number)).collect();
        let starts = words.iter().flat_map(|word| word.beginning(word.chars.len())).collect();
        let pieces = words.iter().flat_map(Word::pieces).collect();
        let digits = self.phone.iter().flat_map(|phone| windows(GramKind::Digits, phone, 4)).collect();
        let of_member = self.member.iter().flat_map(|number| windows(GramKind::MemberPiece, number, 3)).collect();
        [
            lists(vec![whole, email, phone, member]),
            lists(vec![starts]),
            lists(vec![pieces, digits, of_member]),
            lists(self.halves()),
        ]
    }

    /// A letter that is wrong, or two that changed places, are in one half of a word, and the pieces of the other
    /// half are right, if the word is long enough: in words of five letters only a single wrong letter is seen.
    /// For several words the wrong one may be any, and the others are right.
    fn halves(&self) -> Vec<Vec<Gram>> {
        let mut lists = Vec::new();
        for (at, wrong) in self.words.iter().enumerate().filter(|(_, word)| !word.cjk && word.chars.len() >= 5) {
            let others = || {
                let others = self.words.iter().enumerate().filter(move |(other, _)| *other != at);
                others.map(|(_, word)| Gram { kind: GramKind::Word, text: word.text() })
            };
            // Two letters that changed places spoil four pieces in a row: those are in neither half.
            let pieces: Vec<Gram> = wrong.pieces().collect();
            let first = pieces.len().saturating_sub(3) / 2;
            let last = (first + 3).min(pieces.len() - 1);
            lists.push(others().chain(wrong.beginning(first + 2)).collect());
            lists.push(others().chain(pieces[last..].iter().cloned()).collect());
        }
        lists.truncate(8);
        lists
    }

    /// How well somebody matches; none if they don't.
    #[must_use]
    pub fn rank(&self, of: &Searchable) -> Option<Hit> {
        let mut matched: Vec<(u16, Asked, Matched)> = Vec::new();
        if let Some((score, how)) = self.rank_name(of) {
            matched.push((score, Asked::Name, how));
        }
        let mut best = |asked, hits: &mut dyn Iterator<Item = (u16, Matched)>| {
            if let Some((score, how)) = hits.max() {
                matched.push((score, asked, how));
            }
        };
        if let Some(asked) = &self.email {
            let rank = |email: &String| {
                if email == asked {
                    return Some((1_000, Matched::Exact));
                }
                let (local, domain) = email.rsplit_once('@')?;
                (local == asked)
                    .then_some((850, Matched::Prefix))
                    .or_else(|| (domain == asked).then_some((700, Matched::Fragment)))
            };
            best(Asked::Email, &mut of.emails.iter().filter_map(rank));
        }
        if let Some(asked) = &self.phone {
            best(Asked::Phone, &mut of.phones.iter().filter_map(|phone| within(asked, phone)));
        }
        if let Some(asked) = &self.member {
            best(Asked::Member, &mut of.members.iter().filter_map(|number| within(asked, number)));
        }
        matched.sort_unstable_by(|a, b| b.cmp(a));
        let score = matched.first()?.0;
        Some(Hit { score, matched: matched.into_iter().map(|(_, asked, how)| (asked, how)).collect() })
    }

    fn rank_name(&self, of: &Searchable) -> Option<(u16, Matched)> {
        if self.words.is_empty() {
            return None;
        }
        if self.full == of.full {
            return Some((1_000, Matched::Exact));
        }
        let mut sum = 0_u32;
        let mut how = Matched::Exact;
        for asked in &self.words {
            let (score, matched) = of.words.iter().filter_map(|word| rank_word(asked, word)).max()?;
            sum += u32::from(score);
            how = how.min(matched);
        }
        // Somebody with more names than were asked for is a little further away.
        let mean = sum / self.words.len() as u32;
        let more = of.words.len().saturating_sub(self.words.len()).min(9) as u32;
        Some((mean.saturating_sub(1 + more) as u16, how))
    }
}

/// Each gram once, and not too many; nothing to ask is no list.
fn lists(lists: Vec<Vec<Gram>>) -> Vec<Vec<Gram>> {
    let once = |list: Vec<Gram>| -> Vec<Gram> {
        let list: BTreeSet<Gram> = list.into_iter().collect();
        list.into_iter().take(SearchQuery::GRAMS_MAX).collect()
    };
    lists.into_iter().map(once).filter(|list| !list.is_empty()).collect()
}

/// How far a number within another goes: the whole, its beginning, its end, its middle.
fn within(asked: &str, number: &str) -> Option<(u16, Matched)> {
    if asked == number {
        Some((1_000, Matched::Exact))
    } else if number.ends_with(asked) {
        Some((900, Matched::Fragment))
    } else if number.starts_with(asked) {
        Some((850, Matched::Prefix))
    } else {
        number.contains(asked).then_some((700, Matched::Fragment))
    }
}

fn rank_word(asked: &Word, word: &Word) -> Option<(u16, Matched)> {
    let (short, long) = (asked.chars.len(), word.chars.len());
    // How much of the word was asked for, in thousandths.
    let share = (short.min(long) * 1_000 / long.max(1)) as u16;
    if asked.chars == word.chars {
        Some((990, Matched::Exact))
    } else if word.chars.starts_with(&asked.chars) {
        Some((750 + share / 10, Matched::Prefix))
    } else if short < long && word.chars.windows(short).any(|piece| piece == asked.chars) {
        Some((600 + share / 10, Matched::Fragment))
    } else {
        let allowed = match short {
            _ if asked.cjk || word.cjk => 0,
            ..=3 => 0,
            4..=7 => 1,
            8.. => 2,
        };
        if allowed == 0 || short.abs_diff(long) > allowed {
            return None;
        }
        let apart = strsim::osa_distance(&asked.text(), &word.text());
        (apart <= allowed).then(|| (550 - 50 * apart as u16, Matched::Fuzzy))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::Source;
    use crate::profile::{CardUpdate, ContactPoint, Name};
    use crate::time::Timestamp;

    fn card(update: CardUpdate) -> Searchable {
        let told = update.check(Timestamp::MIN, &Source::new("shop").unwrap(), None).unwrap();
        Searchable::of(&Card::new(told))
    }

    fn named(given: &str, family: &str) -> Searchable {
        card(CardUpdate::new().name(Name::new(given, family).unwrap()))
    }

    fn found(query: &str, of: &Searchable) -> Option<(u16, Asked, Matched)> {
        let query = SearchQuery::new(query).unwrap();
        let grams: BTreeSet<Gram> = of.grams().into_iter().collect();
        let steps = query.steps();
        let candidate = steps.iter().flatten().any(|all| all.iter().all(|gram| grams.contains(gram)));
        let hit = query.rank(of).filter(|_| candidate)?;
        Some((hit.score, hit.matched[0].0, hit.matched[0].1))
    }

    fn how(query: &str, of: &Searchable) -> Option<Matched> {
        found(query, of).map(|(_, _, how)| how)
    }

    #[test]
    fn a_name_is_found_however_it_is_written() {
        let miles = named("Miles", "O’Brien-Łukasz");
        for query in ["Miles O'Brien Lukasz", "miles obrienlukasz", "MILES"] {
            assert!(found(query, &miles).is_some(), "{query}");
        }
        let jose = named("José", "Müller");
        for query in ["jose muller", "JOSÉ", "Jose\u{301} Mu\u{308}ller", "Ｊｏｓｅ", "Muller Jose"] {
            assert_eq!(how(query, &jose), Some(Matched::Exact), "{query}");
        }
        let istanbul = named("İsmail", "Işık");
        assert_eq!(how("ismail isik", &istanbul), Some(Matched::Exact));
        assert_eq!(how("Groß", &named("Anna", "GROSS")), Some(Matched::Exact));
        let hindi = named("हिन्दी", "शर्मा");
        assert_eq!(how("शर्मा", &hindi), Some(Matched::Exact), "vowel signs are part of the word");
    }

    #[test]
    fn two_characters_are_a_chinese_name() {
        let wang = card(CardUpdate::new().name(Name::full("王明").unwrap()));
        assert_eq!(found("王明", &wang), Some((1_000, Asked::Name, Matched::Exact)));
        assert_eq!(how("王", &wang), Some(Matched::Prefix));
        assert_eq!(how("明", &wang), None, "one character finds only at the beginning");
        let three = named("小明", "王");
        assert_eq!(found("王小明", &three), Some((1_000, Asked::Name, Matched::Exact)));
        assert_eq!(how("小明", &three), Some(Matched::Exact), "the given name by itself");
        assert_eq!(how("王小", &three), Some(Matched::Prefix));
        assert_eq!(how("王明", &three), None);
        let tanaka = named("ﾊﾅ", "タナカ");
        assert_eq!(how("ハナ", &tanaka), Some(Matched::Exact), "half-width is the same");
        assert_eq!(how("김철수", &named("철수", "김")), Some(Matched::Exact));
    }

    #[test]
    fn exact_comes_before_prefix_before_fragment_before_fuzzy() {
        let people =
            [named("Marta", "Silva"), named("Martamaria", "Silva"), named("Amarta", "Silva"), named("Marte", "Silva")];
        let ranks: Vec<_> = people.iter().map(|of| how("marta", of)).collect();
        assert_eq!(ranks, [Matched::Exact, Matched::Prefix, Matched::Fragment, Matched::Fuzzy].map(Some));
        let scores: Vec<_> = people.iter().map(|of| found("marta", of).unwrap().0).collect();
        assert!(scores.is_sorted_by(|a, b| a > b), "{scores:?}");
        assert_eq!(how("silva marte", &people[3]), Some(Matched::Exact));
        assert_eq!(how("marta santos", &people[0]), None, "each word has to match");
        assert_eq!(how("ma", &people[0]), Some(Matched::Prefix), "two letters are enough at the beginning");
        let katherine = named("Katherine", "Johnson");
        for wrong in ["Katharine", "Xatherine", "Katherinx", "Kahterine", "Kathreine", "Katheriine", "Kathrine"] {
            assert_eq!(how(&format!("{wrong} Johnson"), &katherine), Some(Matched::Fuzzy), "{wrong}");
        }
        assert_eq!(how("Katharine Jonson", &katherine), None, "one word at a time");
    }

    #[test]
    fn a_telephone_is_found_by_any_four_digits_and_an_address_by_its_parts() {
        let points =
            vec![ContactPoint::phone("+49 30 1234567").unwrap(), ContactPoint::email("Ana.Lopes@Example.com").unwrap()];
        let ana =
            card(CardUpdate::new().contact_points(points).member_numbers(vec![CardLine::new("AB-98 765").unwrap()]));
        let number = "49301234567";
        for from in 0..=number.len() - 4 {
            for to in from + 4..=number.len() {
                assert_eq!(found(&number[from..to], &ana).map(|hit| hit.1), Some(Asked::Phone), "{from} {to}");
            }
        }
        for query in ["030 1234567", "0049 30 1234567", "+49 (30) 123-4567", "٤٩٣٠١٢٣"] {
            assert!(found(query, &ana).is_some(), "{query}");
        }
        assert_eq!(found("567", &ana), None);
        for (query, expected) in [
            ("ANA.LOPES@example.com", Matched::Exact),
            ("ana.lopes", Matched::Prefix),
            ("@example.com", Matched::Fragment),
        ] {
            assert_eq!(found(query, &ana).map(|hit| (hit.1, hit.2)), Some((Asked::Email, expected)), "{query}");
        }
        for (query, expected) in [("ab98765", Matched::Exact), ("AB-98", Matched::Prefix), ("b987", Matched::Fragment)]
        {
            assert_eq!(found(query, &ana).map(|hit| (hit.1, hit.2)), Some((Asked::Member, expected)), "{query}");
        }
    }

    #[test]
    fn a_question_has_limits_and_prints_nothing() {
        let long = "a".repeat(257);
        for bad in ["", "  ", "!?", "'", "a\0b", &long] {
            assert!(SearchQuery::new(bad).is_err(), "{}", bad.len());
        }
        let many = (0..32).map(|n| ContactPoint::phone(&format!("+4930{:011}", n * 7_919_777_u64)).unwrap()).collect();
        let one = card(CardUpdate::new().contact_points(many).name(Name::new("Canary", "O'Brien").unwrap()));
        assert_eq!(one.grams().len(), Searchable::GRAMS_MAX);
        assert_eq!(how("canary", &one), Some(Matched::Exact), "names come before numbers");
        let query = SearchQuery::new("Canary").unwrap();
        assert!(!format!("{one:?} {query:?} {:?}", query.steps()).to_lowercase().contains("canary"));
        let marks = SearchQuery::new(&"\u{301}".repeat(128));
        assert!(marks.is_err(), "marks of nothing are nothing");
    }

    proptest! {
        /// Whoever is there is found by their whole name, by each word, and by each piece of a word.
        #[test]
        fn whoever_is_there_is_found(given in "[a-zA-Zé王小明 '-]{1,12}", family in "[a-zA-Zü李]{1,12}", from in 0_usize..12, len in 3_usize..8) {
            let Ok(name) = Name::new(&given, &family) else { return Ok(()) };
            let full = name.display();
            let person = card(CardUpdate::new().name(name));
            if SearchQuery::new(&full).is_ok() {
                prop_assert_eq!(how(&full, &person), Some(Matched::Exact));
            }
            for word in words(&full) {
                prop_assert_eq!(how(&word.text(), &person), Some(Matched::Exact));
                let piece: String = word.chars.iter().skip(from).take(len).collect();
                if piece.chars().count() >= 3 {
                    prop_assert!(how(&piece, &person).is_some(), "{}", piece);
                }
            }
        }

        /// Who is called so is found by every beginning of a word, and with a letter wrong by one half of it: what is asked
        /// for is kept.
        #[test]
        fn what_is_asked_for_is_among_what_is_kept(word in "[a-z]{1,12}|[王李小明]{1,5}", chars in 1_usize..12, at in 0_usize..12) {
            let Ok(name) = Name::full(&word) else { return Ok(()) };
            let kept: BTreeSet<Gram> = card(CardUpdate::new().name(name)).grams().into_iter().collect();
            let beginning: String = word.chars().take(chars).collect();
            let asked = SearchQuery::new(&beginning).unwrap().steps();
            prop_assert!(asked[1].iter().flatten().all(|gram| kept.contains(gram)), "{beginning} of {word}");
            if word.is_ascii() && word.len() >= 6 && at < word.len() {
                let mut wrong = word.clone().into_bytes();
                wrong[at] = b'9';
                let wrong = String::from_utf8(wrong).unwrap();
                let asked = SearchQuery::new(&wrong).unwrap().only(&[Asked::Name]).steps();
                let halves = asked[3].iter().any(|list| list.iter().all(|gram| kept.contains(gram)));
                prop_assert!(halves, "{wrong} for {word}");
            }
        }

        /// No question hurts.
        #[test]
        fn no_question_hurts(text in "\\PC{0,60}", given in "\\PC{1,20}") {
            if let (Ok(query), Ok(name)) = (SearchQuery::new(&text), Name::full(&given)) {
                let person = card(CardUpdate::new().name(name));
                prop_assert!(person.grams().len() <= Searchable::GRAMS_MAX);
                for list in query.steps().iter().flatten() {
                    prop_assert!(!list.is_empty() && list.len() <= SearchQuery::GRAMS_MAX);
                }
                prop_assert!(query.rank(&person).is_none_or(|hit| hit.score <= 1_000));
            }
        }
    }
}
