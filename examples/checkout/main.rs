//! A checkout in one transaction: the shop's own rows, the order in the CRM, points spent and a coupon used.
//! Either all of it is there afterwards, or none.
//!
//! `cargo run --example checkout`

mod shop;

use shop::{Basket, Shop};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("shop.db");
    let mut shop = Shop::open(&path)?;
    shop.define_rules()?;

    // A coupon that can be used twice in all, by three customers who all have it.
    for (number, customer) in ["ana", "ben", "eve"].into_iter().enumerate() {
        let basket = Basket { order: format!("{number}"), cents: 4_990, points: 0, coupon: Some("SPRING-26") };
        report(&mut shop, customer, &basket)?;
    }
    // Ana has 49 points now. She spends some of them, and then more than are left.
    report(&mut shop, "ana", &Basket { order: "3".into(), cents: 1_000, points: 40, coupon: None })?;
    report(&mut shop, "ana", &Basket { order: "4".into(), cents: 1_000, points: 40, coupon: None })?;

    shop.close()
}

#[allow(clippy::print_stdout, reason = "it is what the example shows")]
fn report(shop: &mut Shop, customer: &str, basket: &Basket<'_>) -> Result<(), Box<dyn std::error::Error>> {
    let outcome = match shop.check_out(customer, basket) {
        Ok(()) => "sold".to_owned(),
        Err(refusal) => format!("not sold: {refusal}"),
    };
    let (sales, points) = (shop.sales()?, shop.points(customer)?);
    println!("order {} of {customer}: {outcome} · {sales} sales, {points} points", basket.order);
    Ok(())
}
