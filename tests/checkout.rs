//! The checkout of the example, also with many tills at once.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

#[path = "../examples/checkout/shop.rs"]
mod shop;

use shop::{Basket, Shop};

fn basket(order: &str, points: i64, coupon: Option<&'static str>) -> Basket<'static> {
    Basket { order: order.into(), cents: 4_990, points, coupon }
}

#[test]
fn a_refused_coupon_or_redemption_leaves_no_sale_and_no_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    let mut shop = Shop::open(&path).unwrap();
    shop.define_rules().unwrap();
    shop.check_out("ana", &basket("1", 0, Some("SPRING"))).unwrap();
    let again = shop.check_out("ana", &basket("2", 0, Some("SPRING"))).unwrap_err().to_string();
    assert!(again.contains("used before by this customer"), "{again}");
    shop.check_out("ben", &basket("3", 0, Some("SPRING"))).unwrap();
    let used_up = shop.check_out("eve", &basket("4", 0, Some("SPRING"))).unwrap_err().to_string();
    assert!(used_up.contains("was used 2 times"), "{used_up}");
    assert_eq!((shop.sales().unwrap(), shop.points("ana").unwrap(), shop.points("eve").unwrap()), (2, 49, 0));
    // A new order's points can be spent on itself, and no more than those.
    let poor = shop.check_out("eve", &basket("5", 50, None)).unwrap_err().to_string();
    assert!(poor.contains("50 points were asked for, 49 are there"), "{poor}");
    shop.check_out("eve", &basket("5", 49, None)).unwrap();
    assert_eq!((shop.sales().unwrap(), shop.points("eve").unwrap()), (3, 0));
    shop.close().unwrap();
}

#[test]
fn tills_that_sell_at_once_never_sell_a_coupon_too_often_or_points_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.db");
    let shop = Shop::open(&path).unwrap();
    shop.define_rules().unwrap();
    let sold: Vec<bool> = std::thread::scope(|scope| {
        let till = |number: usize| {
            let path = &path;
            move || {
                let mut till = Shop::open(path).unwrap();
                let sold = |outcome: Result<(), Box<dyn std::error::Error>>| outcome.is_ok();
                let own = format!("customer {number}");
                let coupon = sold(till.check_out(&own, &basket(&format!("c{number}"), 0, Some("FEW"))));
                // Everybody buys in Ana's name too, and spends what her first order earned.
                let first = sold(till.check_out("ana", &basket("a-first", 0, None)));
                let points = sold(till.check_out("ana", &basket(&format!("a{number}"), 90, None)));
                [coupon, first, points]
            }
        };
        let tills: Vec<_> = (0..8).map(|number| scope.spawn(till(number))).collect();
        tills.into_iter().flat_map(|till| till.join().unwrap()).collect()
    });
    let count = |which: usize| sold.iter().skip(which).step_by(3).filter(|sold| **sold).count();
    assert_eq!((count(0), count(1)), (2, 1), "a coupon of two uses, and an order number that is unique");
    // Each of Ana's orders earns 49 and spends 90.
    assert_eq!(count(2), 1, "her first two orders earn 98, and after that there are never 90 again");
    assert_eq!((shop.sales().unwrap(), shop.points("ana").unwrap()), (4, 8));
    shop.close().unwrap();
}
