//! The storefront's reader of order files. Its tests stand beside its code; here they are run, because
//! an example is either built as a program or as its tests, and the program is needed by other tests.
#![allow(dead_code, reason = "the program uses what its tests do not")]

#[path = "../examples/storefront/orders/mod.rs"]
mod orders;
