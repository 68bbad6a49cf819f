//! Whole files: what a shop exports on one side, orders and refunds on the other.

use super::*;

fn file(text: &str) -> OrderFile {
    read_text(text).unwrap()
}

fn read_text(text: &str) -> Result<OrderFile, OrderFileError> {
    read_from(text.as_bytes(), Path::new("orders.csv"), None, 2)
}

/// Time in days, customer, key, order and amount of each entry; lines as product, quantity and amount.
fn shown(file: &OrderFile) -> Vec<String> {
    let show = |entry: &Entry| {
        let lines: Vec<String> = file
            .lines(entry)
            .map(|line| {
                let quantity = line.quantity.map(|quantity| quantity.to_string());
                format!("{}*{}={}", quantity.as_deref().unwrap_or("?"), line.product.unwrap_or("-"), line.amount_minor)
            })
            .collect();
        let order = file.order(entry).unwrap_or("-");
        let key = file.key(entry);
        let key = if key.starts_with("row:") { "row".to_owned() } else { key };
        format!(
            "{} {} {:?} {key} of {order}: {} [{}]",
            entry.at_ms / 86_400_000,
            file.customer(entry),
            entry.kind,
            entry.amount_minor,
            lines.join(" ")
        )
    };
    file.entries.iter().map(show).collect()
}

/// A small generator of numbers, the same on every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

const HEADER: &str = "order,customer,date,product,quantity,amount\n";

/// Rows of few customers, orders, days and products, so that all of them meet; about a third are bad.
fn rows(numbers: &mut Numbers, count: usize) -> Vec<String> {
    let row = |numbers: &mut Numbers| {
        let cells = [
            numbers.pick(&["o1", "o2", "o3", "o4", "o5", "o6", "", " ", "o\u{7}"]),
            numbers.pick(&["ann", "bob", "ann", "bob", "cid", "ann", "bob", " ", ""]),
            numbers.pick(&["1970-01-02", "1970-01-03", "1970-01-04 12:00", "1970-01-04", "", "1970-02-30"]),
            numbers.pick(&["p", "q", "", "r"]),
            numbers.pick(&["1", "2", "-1", "0", "x", ""]),
            numbers.pick(&["1.00", "2.50", "-1.00", "0", "0.005", "1.0151", "-0.0049", "abc", "4e1", "7"]),
        ];
        let width = if numbers.below(15) == 0 { numbers.below(6) + 1 } else { 6 };
        cells[..width].join(",") + if numbers.below(30) == 0 { ",more" } else { "" }
    };
    (0..count).map(|_| row(numbers)).collect()
}

#[test]
fn rows_of_one_order_become_one_order_and_one_refund() {
    let file = file(
        "order,customer,date,product,quantity,amount\n\
         7,ann,1970-01-04,q,1,2.00\n\
         7,ann,1970-01-03,p,2,3.00\n\
         7,ann,1970-01-05,p,-1,-1.50\n\
         7,ann,1970-01-06,q,-1,0.00\n\
         C8,ann,1970-01-07,p,-1,-1.50\n\
         9,bob,1970-01-03,,,0.00\n",
    );
    assert_eq!(
        shown(&file),
        [
            "2 ann Order order:7 of 7: 500 [2*p=300 1*q=200]",
            "2 bob Order order:9 of 9: 0 [?*-=0]",
            "4 ann Refund refund:7 of 7: 150 [-1*p=-150 -1*q=0]",
            "6 ann Refund refund:C8 of -: 150 [-1*p=-150]",
        ]
    );
    assert_eq!((file.first_at(), file.last_at()), (Some(172_800_000), Some(518_400_000)));
}

#[test]
fn a_row_without_an_order_is_an_entry_of_its_own_even_if_it_occurs_twice() {
    let text = "customer,date,amount,order\nann,1970-01-02,5,\nann,1970-01-02,5.00, \nann,1970-01-02,-5,\n";
    let file = file(text);
    assert_eq!(shown(&file).len(), 3);
    let mut keys: Vec<String> = file.entries.iter().map(|entry| file.key(entry)).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 3);
    assert_eq!(keys.iter().filter(|key| key.ends_with(":1")).count(), 1, "{keys:?}");
    assert!(keys.iter().all(|key| key.starts_with("row:") && key.len() == 38), "{keys:?}");
    let grown = read_text(&format!("{text}ann,1970-01-02,5,\nbob,1970-01-01,5,\n")).unwrap();
    let grown: Vec<String> = grown.entries.iter().map(|entry| grown.key(entry)).collect();
    assert!(keys.iter().all(|key| grown.contains(key)), "old rows keep their keys");
}

#[test]
fn an_order_of_two_customers_stays_with_the_earlier_and_the_rest_is_counted() {
    let file = file(
        "order,customer,date,amount\n\
         7,bob,1970-01-03,2.005\n\
         7,ann,1970-01-04,4.00\n\
         7,bob,1970-01-05,-1.00\n\
         7,ann,1970-01-06,-1.006\n\
         8,bob,1970-01-03,1\n\
         8,ann,1970-01-03,1\n",
    );
    assert_eq!(
        shown(&file),
        [
            "2 ann Order order:8 of 8: 100 [1*-=100]",
            "2 bob Order order:7 of 7: 200 [1*-=200]",
            "4 bob Refund refund:7 of 7: 100 [1*-=-100]",
        ]
    );
    assert_eq!(file.rows.refused, BTreeMap::from([("order_of_another_customer", 3)]));
    assert_eq!((file.rows.read, file.rows.accepted), (6, 3));
    assert_eq!((file.rows.rounded, file.rows.rounding.to_string()), (1, "-0.005".to_owned()));
}

#[test]
fn the_order_of_the_rows_does_not_matter() {
    for seed in 0..20 {
        let mut numbers = Numbers(seed);
        let mut rows = rows(&mut numbers, 200);
        let expected = file(&format!("{HEADER}{}", rows.join("\n")));
        assert!(expected.rows.refused.contains_key("order_of_another_customer"));
        for _ in 0..5 {
            numbers.shuffle(&mut rows);
            let shuffled = file(&format!("{HEADER}{}", rows.join("\n")));
            assert_eq!(shown(&shuffled), shown(&expected));
            assert!(shuffled == expected, "seed {seed}: {shuffled:?} {expected:?}");
        }
    }
}

#[test]
fn every_row_is_accepted_or_counted_as_refused_and_every_unit_of_money_is_accounted_for() {
    let alphabet = ["a", "1", ",", ",", ",", "\"", "\n", "\r\n", "-", ".", " ", "\t", "é", "\0", "e9"];
    for seed in 0..200 {
        let mut numbers = Numbers(seed);
        let mut text = HEADER.to_owned() + &rows(&mut numbers, 50).join("\n");
        text.push('\n');
        for _ in 0..numbers.below(400) {
            text.push_str(numbers.pick(&alphabet));
        }
        let file = file(&text);
        let refused: u64 = file.rows.refused.values().sum();
        assert_eq!(file.rows.read, file.rows.accepted + refused, "seed {seed}");
        let lines: usize = file.entries.iter().map(|entry| file.lines(entry).len()).sum();
        assert_eq!(lines as u64, file.rows.accepted);
        for entry in &file.entries {
            let lines: i64 = file.lines(entry).map(|line| line.amount_minor).sum();
            let expected = match entry.kind {
                EntryKind::Order => entry.amount_minor,
                EntryKind::Refund => -entry.amount_minor,
            };
            assert_eq!(lines, expected);
        }
        let order = |entry: &Entry| (entry.at_ms, file.customer(entry).to_owned());
        assert!(file.entries.is_sorted_by_key(order), "seed {seed}");
    }
}

#[test]
fn a_file_without_rows_is_an_empty_result() {
    for text in ["customer,date,amount", "customer,date,amount\r\n\r\n"] {
        let file = file(text);
        assert_eq!((file.rows.read, file.entries.len()), (0, 0));
        assert_eq!((file.first_at(), file.last_at()), (None, None));
        assert_eq!(file.rows.rounding, Decimal::ZERO);
    }
}

#[test]
fn what_refuses_a_whole_file_says_so_on_one_line() {
    let most = "o,ann,1970-01-02,p,1,10000000000000\n".repeat(9_224);
    let cases = [
        (String::new(), "\"orders.csv\" is empty: expected a header line and rows of orders"),
        ("\n\n".to_owned(), "\"orders.csv\" is empty: expected a header line and rows of orders"),
        (" , ,\n".to_owned(), "\"orders.csv\" has no header: no column on its first line has a name"),
        ("customer,da\0te,amount\n".to_owned(), "\"orders.csv\" is not CSV text in UTF-8"),
        (
            "customer,date,amount\r\na,1970-01-01,1\r\n\r\na,1970-01-01,1e400\r\n".to_owned(),
            "line 4: the amount 1e400 is out of range",
        ),
        (format!("{HEADER}{most}"), "the rows of order o add up to an amount that is out of range"),
    ];
    for (text, expected) in cases {
        assert_eq!(read_text(&text).unwrap_err().to_string(), expected);
    }
    let enough = "o,ann,1970-01-02,p,1,10000000000000\n".repeat(9_223);
    assert_eq!(file(&format!("{HEADER}{enough}")).entries[0].amount_minor, 9_223_000_000_000_000_000);
}

#[test]
fn a_file_that_cannot_be_opened_is_named_with_the_reason() {
    for path in ["/nowhere/orders.csv", "/"] {
        let error = read(Path::new(path), None, 2).unwrap_err();
        let expected = format!("could not open {path:?}: ");
        assert!(matches!(error, OrderFileError::Open { .. }), "{error}");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

#[test]
fn an_amount_is_booked_in_the_minor_unit_of_its_currency() {
    let text = "customer,date,amount\na,1970-01-02,1234.5675\n";
    for (exponent, minor, rounding) in [(0, 1_235, "0.4325"), (2, 123_457, "0.0025"), (3, 1_234_568, "0.0005")] {
        let file = read_from(text.as_bytes(), Path::new("orders.csv"), None, exponent).unwrap();
        assert_eq!(file.entries[0].amount_minor, minor);
        assert_eq!(file.rows.rounding.to_string(), rounding);
    }
}

#[test]
fn the_log_of_a_file_names_no_customer() {
    let file = file("customer,date,amount\nann,1970-01-02,1\n");
    assert!(!format!("{file:?}").contains("ann"));
}
