//! How well suggestions for duplicates find them: people, families and damaged copies are made from a seed,
//! with the kinds of error that Febrl's generator makes (Christen and Pudjijono 2009). It is made up, so the
//! figures compare settings with each other; they promise nothing about a shop's own data.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use crm_core::identity::{Address, Birth, Identifier, Likeness, SUGGEST_FROM, compare};

const GIVEN: &str = "Anna Ben Clara David Emma Felix Greta Hannah Ida Jonas Karl Lena Max Nora Oskar Paula Quentin Rosa \
                     Samuel Thea Ulrich Vera Wanda Xaver Yasmin Zoe José María Søren Łukasz Chloé Zoë François Jürgen \
                     Siobhán Mohammed Fatima Nguyen Olga Dmitri Elif Mehmet Giulia Matteo Ewa Piotr Ingrid Lars Aoife";
const FAMILY: &str = "Schmidt Müller Weber Fischer Meyer Wagner Becker Hoffmann Schäfer Koch Bauer Richter Klein Wolf \
                      Schröder Neumann Schwarz Zimmermann Braun Krüger Smith Johnson O'Brien Garcia Martinez Rossi \
                      Ferrari Nowak Kowalski Novák Jansen Petersen Larsson Virtanen Dubois Lefèvre Yılmaz Öztürk Kim \
                      Tran Ivanov Petrov Silva Santos Murphy Kelly Andersson Nielsen Horváth Popescu";
const STREETS: &str = "Hauptstraße Bahnhofstraße Gartenweg Lindenallee Schulstraße Kirchplatz Bergweg Marktgasse \
                       Wiesenweg Ringstraße Mühlenweg Rosenstraße Dorfstraße Waldweg Parkallee Hafenstraße";

/// A small generator: the same people each time (Knuth's MMIX constants).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn word<'a>(&mut self, list: &'a str) -> &'a str {
        let words: Vec<&str> = list.split_whitespace().collect();
        words[self.below(words.len() as u64) as usize]
    }
}

#[derive(Clone)]
struct Person {
    given: String,
    family: String,
    swapped: bool,
    birth: Option<Birth>,
    home: Option<(String, String)>,
    phone: Option<Identifier>,
    email: Option<Identifier>,
}

impl Person {
    fn born_into(family: &Person, random: &mut Random) -> Self {
        let given = random.word(GIVEN).to_owned();
        let birth = Birth {
            year: Some(1940 + random.below(65) as i32),
            month: 1 + random.below(12) as u8,
            day: 1 + random.below(28) as u8,
        };
        let email = Identifier::email(&format!("p{}@example.com", random.below(1 << 30))).unwrap();
        Person { given, birth: Some(birth), email: Some(email), ..family.clone() }
    }

    fn family(random: &mut Random) -> Self {
        let street = format!("{} {}", random.word(STREETS), 1 + random.below(80));
        Person {
            given: String::new(),
            family: random.word(FAMILY).to_owned(),
            swapped: false,
            birth: None,
            home: Some((street, format!("{:05}", 10_000 + random.below(80_000)))),
            phone: Some(Identifier::phone(&format!("+4930{:07}", random.below(10_000_000))).unwrap()),
            email: None,
        }
    }

    /// The same person, entered again by somebody in a hurry.
    fn again(&self, random: &mut Random) -> Self {
        let mut copy = self.clone();
        if random.chance(25) {
            copy.given = typed_wrong(&copy.given, random);
        }
        if random.chance(25) {
            copy.family = typed_wrong(&copy.family, random);
        }
        if random.chance(5) {
            copy.given = copy.given.chars().take(1).collect();
        }
        copy.swapped = random.chance(15);
        copy.birth = copy.birth.filter(|_| random.chance(60)).map(|birth| match random.below(20) {
            0 if birth.day <= 12 => Birth { month: birth.day, day: birth.month, ..birth },
            1 => Birth { day: birth.day % 28 + 1, ..birth },
            _ => birth,
        });
        copy.home = copy.home.filter(|_| random.chance(80)).map(|(street, postcode)| match random.below(10) {
            0 => (street.replace("straße", "str."), postcode),
            1 => (typed_wrong(&street, random), postcode),
            2 => Person::family(random).home.unwrap(),
            _ => (street, postcode),
        });
        copy.phone = copy.phone.filter(|_| random.chance(50));
        copy.email = copy.email.filter(|_| random.chance(30));
        copy
    }

    fn score_with(&self, other: &Person) -> u16 {
        let names = [self, other].map(|person| {
            let Person { given, family, .. } = person;
            if person.swapped { format!("{family}, {given}") } else { format!("{given} {family}") }
        });
        let lists = [[names[0].as_str()], [names[1].as_str()]];
        let homes = [self, other].map(|person| {
            let address = |(street, postcode): &(String, String)| (street.clone(), postcode.clone());
            person.home.as_ref().map(address)
        });
        let homes = homes
            .each_ref()
            .map(|home| home.iter().map(|(street, postcode)| Address { street, postcode }).collect::<Vec<_>>());
        let likeness = |n: usize, person: &'_ Person| -> (Vec<Identifier>, Vec<Identifier>, Option<Birth>, usize) {
            (person.phone.iter().cloned().collect(), person.email.iter().cloned().collect(), person.birth, n)
        };
        let parts = [likeness(0, self), likeness(1, other)];
        let likeness = parts.each_ref().map(|(phones, emails, birth, n)| Likeness {
            names: &lists[*n],
            birth: *birth,
            addresses: &homes[*n],
            phones,
            emails,
        });
        compare(&likeness[0], &likeness[1]).score
    }
}

/// One letter left out, doubled, replaced, or two swapped.
fn typed_wrong(text: &str, random: &mut Random) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    let at = random.below(letters.len() as u64) as usize;
    match random.below(4) {
        0 if letters.len() > 2 => drop(letters.remove(at)),
        1 => letters.insert(at, letters[at]),
        2 if at + 1 < letters.len() => letters.swap(at, at + 1),
        _ => letters[at] = char::from(b'a' + random.below(26) as u8),
    }
    letters.into_iter().collect()
}

#[test]
fn most_duplicates_are_found_and_few_relatives_are_taken_for_them() {
    let mut random = Random(42);
    let people: Vec<Person> = (0..500)
        .flat_map(|_| {
            let family = Person::family(&mut random);
            (0..4).map(|_| Person::born_into(&family, &mut random)).collect::<Vec<_>>()
        })
        .collect();
    let copies: Vec<Person> = people.iter().map(|person| person.again(&mut random)).collect();
    // Each copy against everybody it could be taken for: the four of its family, and sixteen strangers.
    let mut scores: Vec<(u16, bool)> = Vec::new();
    for (n, copy) in copies.iter().enumerate() {
        for other in 0..4 {
            let other = n / 4 * 4 + other;
            scores.push((copy.score_with(&people[other]), other == n));
        }
        for _ in 0..16 {
            let other = random.below(people.len() as u64) as usize;
            if other / 4 != n / 4 {
                scores.push((copy.score_with(&people[other]), false));
            }
        }
    }
    let measure = |from: u16| {
        let found = scores.iter().filter(|(score, _)| *score >= from);
        let (all, right) = (found.clone().count(), found.filter(|(_, same)| *same).count());
        let duplicates = scores.iter().filter(|(_, same)| *same).count();
        (1_000 * right / all.max(1), 1_000 * right / duplicates)
    };
    let table: Vec<_> = (300..=700).step_by(50).map(|from| (from, measure(from))).collect();
    let (precision, recall) = measure(SUGGEST_FROM);
    assert!(precision >= 965 && recall >= 895, "threshold, (precision, recall) in thousandths: {table:?}");
}
