//! The catalogue of attributes, where plugin authors read it: a page, and a module of their SDK.
//! Both are written by `CRM_BLESS=1 cargo test -p crm-core --test feature_catalogue`.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fmt::Write as _;
use std::path::Path;

use crm_core::attribute::Attribute;

const PAGE_HEAD: &str = "\
# Features

What a plugin can be told of a customer, and what rules and segments ask about by the same names. This page and the \
SDK's `crm_plugin_sdk::features` are generated from the catalogue in `crm-core/src/attribute.rs`.

All are whole numbers. A scorer gets each as a column of floats, which are exact up to 2^53; a workflow gets each as a \
whole number. A feature is missing where the table says so, and wherever the shop does not grant it: read it as an \
`Option`.

Days are whole days of 24 hours. Money is in minor units of the shop's currency at the time (1050 in EUR is €10.50, by \
the exponents of ISO 4217); what was paid in another currency is not in it.

";

const PAGE_TAIL: &str = "
Workflows may ask for two more, which are texts:

| name | type | meaning |
|---|---|---|
| `stage` | text | Where the customer stands in the life cycle, such as `prospect`, `purchase` or `historical`; missing before the first fact. |
| `customer` | text | What the customer is called to this plugin: the same each time, after a merge that of the one whom they go on as, and another name to every other plugin. Their id, if the shop grants identities. |

What is not granted a scorer gets as a column all the same, with every cell missing, so that columns keep their places. A \
workflow gets no entry of that name, where a feature without a value is an entry that is null; the SDK's `customer.int(name)` \
gives `None` for both.
";

fn page() -> String {
    let mut page = String::from(PAGE_HEAD);
    page.push_str("| name | type | unit | meaning |\n|---|---|---|---|\n");
    for attribute in Attribute::ALL {
        let (name, unit, meaning) = (attribute.name(), attribute.unit().name(), attribute.meaning());
        writeln!(page, "| `{name}` | whole number | {unit} | {meaning} |").unwrap();
    }
    page.push_str(PAGE_TAIL);
    page
}

fn module() -> String {
    let mut module = String::from(
        "//! Generated from the catalogue of attributes by `crm-core/tests/feature_catalogue.rs`.\n\n\
         catalogue! {\n",
    );
    for attribute in Attribute::ALL {
        let (name, meaning) = (attribute.name(), attribute.meaning());
        writeln!(module, "    {}, {name}, {:?}, {meaning:?};", name.to_uppercase(), attribute.unit()).unwrap();
    }
    module.push_str("}\n");
    module
}

fn check(path: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("CRM_BLESS").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "{} is out of date: run this test with CRM_BLESS=1", path.display());
}

#[test]
fn the_page_of_features_is_up_to_date() {
    check("docs/features.md", &page());
}

#[test]
fn the_features_of_the_sdk_are_up_to_date() {
    check("crm-plugins/sdk/src/features/catalogue.rs", &module());
}
