//! Searching a million customers on SQLite, by names as they are distributed: few are common, many are rare.
//!
//! `cargo bench -p crm --no-default-features --features sqlite --bench search`, with `-- --customers 50000` for fewer
//! and `-- --file PATH` to keep the database and use it again.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints what it measured")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crm::blocking::Crm;
use crm::{
    CardLine, CardTold, CardUpdate, Channel, ContactPoint, CustomerId, Identifier, Incoming, Ingestion, LookupKey,
    Name, SearchQuery, Source, SqliteOptions, SqliteStore, Timestamp, Visited,
};

/// What a query may take at a million customers.
const LIMIT: Duration = Duration::from_millis(20);
const ROUNDS: usize = 15;
/// Cards that are written together.
const BATCH: usize = 8_192;

const GIVEN: [&str; 24] = [
    "Maria", "Ana", "João", "José", "Pedro", "Sofia", "Miguel", "Marta", "Luís", "Clara", "Tiago", "Inês", "Rui",
    "Eva", "Bruno", "Carla", "Nuno", "Diana", "Hugo", "Paula", "Vítor", "Teresa", "Xavier", "Zélia",
];
const FAMILY: [&str; 20] = [
    "Silva",
    "Santos",
    "Ferreira",
    "Pereira",
    "Oliveira",
    "Costa",
    "Rodrigues",
    "Martins",
    "Sousa",
    "Fernandes",
    "Lopes",
    "Marques",
    "Gomes",
    "Ribeiro",
    "Carvalho",
    "Almeida",
    "Pinto",
    "Teixeira",
    "O'Brien",
    "Müller",
];
const SYLLABLES: [&str; 16] =
    ["ba", "ren", "dol", "fi", "gar", "ho", "jun", "kel", "mo", "nis", "pra", "que", "ros", "tul", "vex", "wy"];
const HAN_FAMILY: [char; 12] = ['王', '李', '张', '刘', '陈', '杨', '黄', '赵', '吴', '周', '徐', '孙'];
const HAN_GIVEN: [char; 24] = [
    '明', '小', '丽', '强', '伟', '芳', '娜', '敏', '静', '磊', '军', '洋', '勇', '艳', '杰', '娟', '涛', '超', '秀',
    '霞', '平', '刚', '桂', '英',
];

/// The same numbers on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    /// The first is the most frequent, the last the rarest.
    fn skewed(&mut self, bound: usize) -> usize {
        self.below(bound).min(self.below(bound)).min(self.below(bound))
    }

    fn rare_family(&mut self) -> String {
        let mut name: String = (0..3 + self.below(2)).map(|_| SYLLABLES[self.below(SYLLABLES.len())]).collect();
        name[..1].make_ascii_uppercase();
        name
    }
}

fn email(n: usize) -> String {
    format!("customer{n}@mail{}.example", n % 50)
}

fn phone(n: usize) -> String {
    let mut dice = Dice(n as u64 ^ 0x9e37_79b9_7f4a_7c15);
    format!("+3519{:08}", dice.below(100_000_000))
}

fn card(n: usize) -> CardUpdate {
    let mut dice = Dice(n as u64);
    dice.below(2);
    let name = if n.is_multiple_of(10) {
        let mut full = HAN_FAMILY[dice.skewed(HAN_FAMILY.len())].to_string();
        (0..1 + dice.below(2)).for_each(|_| full.push(HAN_GIVEN[dice.skewed(HAN_GIVEN.len())]));
        Name::full(&full)
    } else if n.is_multiple_of(3) {
        Name::new(GIVEN[dice.skewed(GIVEN.len())], &dice.rare_family())
    } else {
        Name::new(GIVEN[dice.skewed(GIVEN.len())], FAMILY[dice.skewed(FAMILY.len())])
    };
    let points = vec![ContactPoint::email(&email(n)).unwrap(), ContactPoint::phone(&phone(n)).unwrap()];
    let member = CardLine::new(format!("M{n:08}")).unwrap();
    CardUpdate::new().name(name.unwrap()).contact_points(points).member_numbers(vec![member])
}

/// How long this thread has run, where Linux tells: what a search takes on a machine that does nothing else. Searches
/// run in the thread that asks.
fn on_processor() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

fn open(path: &Path) -> Crm {
    let store = SqliteStore::open_with(path, &SqliteOptions::default().cache_kib(1 << 20)).unwrap();
    Crm::from(crm::Crm::builder().store(store).lookup_key(LookupKey::new(&[7; 32])).build())
}

/// Customers and their cards. What is there already stays.
fn fill(crm: &Crm, customers: usize) {
    let source = Source::new("bench").unwrap();
    let at = Timestamp::parse("2026-01-05").unwrap();
    let began = Instant::now();
    let visits = (0..customers).map(|n| {
        let visit = Visited { channel: Channel::Web, place: None };
        let fact = Incoming::new(Identifier::email(&email(n)).unwrap(), at, source.clone(), visit);
        fact.with_key(format!("visit {n}").parse().unwrap())
    });
    crm.ingest(visits, Ingestion::history()).unwrap();
    let mut ids: Vec<CustomerId> = Vec::with_capacity(customers);
    crm.for_each_customer(|customer| ids.push(customer.id())).unwrap();
    println!("{} customers after {:.0?}", ids.len(), began.elapsed());
    let told = ids.into_iter().enumerate().map(|(n, customer)| {
        let source = source.clone();
        CardTold { customer, update: card(n), source, at }
    });
    let report = crm.import_cards_with_progress(told, Ingestion::history().with_batch(BATCH), |report| {
        if report.read.is_multiple_of(8 * BATCH as u64) {
            println!("{} cards after {:.0?}", report.read, began.elapsed());
        }
    });
    assert!(report.unwrap().refused.is_empty());
    println!("their cards after {:.0?}", began.elapsed());
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (mut customers, mut kept) = (1_000_000, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--customers" => customers = arguments.next().unwrap().parse().unwrap(),
            "--file" => kept = Some(PathBuf::from(arguments.next().unwrap())),
            // Cargo says that it is a bench.
            _ => {}
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = kept.unwrap_or_else(|| folder.path().join("crm.db"));
    let is_filled = path.exists();
    let crm = open(&path);
    if !is_filled {
        fill(&crm, customers);
    }
    let rare = Dice(3).rare_family();
    let someone = (0..customers).rev().find(|n| n.is_multiple_of(3) && !n.is_multiple_of(10)).unwrap();
    let someone = {
        // Somebody with a rare name, as the base has them.
        let mut dice = Dice(someone as u64);
        dice.below(2);
        let given = GIVEN[dice.skewed(GIVEN.len())];
        format!("{given} {}", dice.rare_family())
    };
    let email = email(customers / 2);
    // Six digits from within a number that is there: `+351 9a [bcdefg] h`.
    let digits = &phone(customers / 2)[6..12];
    let queries: [(&str, &str); 10] = [
        ("rare full name", &someone),
        ("nobody's name", &rare),
        ("common full name", "Maria Silva"),
        ("common first name", "Maria"),
        ("3-letter fragment", "eir"),
        ("beginning of a name", "Oliv"),
        ("Chinese name of two characters", "王明"),
        ("telephone fragment", digits),
        ("e-mail", &email),
        ("a typing error", "Maria Oliviera"),
    ];
    println!("| query | found | median ms | worst ms | on the processor, median ms | median at most {LIMIT:?} |");
    println!("|---|---|---|---|---|---|");
    for (what, text) in queries {
        let query = SearchQuery::new(text).unwrap();
        let found = crm.search(&query, 20).unwrap().len();
        let mut times: Vec<Duration> = Vec::with_capacity(ROUNDS);
        let mut ran: Vec<Duration> = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let (began, before) = (Instant::now(), on_processor());
            crm.search(&query, 20).unwrap();
            times.push(began.elapsed());
            ran.extend(before.zip(on_processor()).map(|(before, after)| after.saturating_sub(before)));
        }
        times.sort_unstable();
        ran.sort_unstable();
        let (median, worst) = (times[ROUNDS / 2], times[ROUNDS - 1]);
        let verdict = if median <= LIMIT { "yes" } else { "NO" };
        let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
        let ran = ran.get(ROUNDS / 2).map_or("-".to_owned(), |ran| format!("{:.2}", millis(*ran)));
        println!("| {what} | {found} | {:.2} | {:.2} | {ran} | {verdict} |", millis(median), millis(worst));
    }
}
