//! The CRM inside a transaction of the host's.
#![cfg(feature = "postgres")]

mod postgres_server;

use crm_core::{CustomerId, EventId, TenantId};
use crm_storage::{
    Claim, ClaimKey, Commit, CommitError, Committed, CounterStep, CustomerWrite, Dialect, Expected, PostgresOptions,
    PostgresStore, StateRow, Store, Version,
};
use postgres_server::{block_on, connect, server};
use uuid::Uuid;

fn customer() -> CustomerId {
    CustomerId::from_uuid(Uuid::from_u128(1))
}

/// A purchase: points are spent, and a coupon is used.
fn purchase(version: u64, coupon: &str) -> Commit {
    let expected = if version == 0 { Expected::New } else { Expected::At(Version(version)) };
    let key = ClaimKey { kind: "coupon".into(), key: coupon.into() };
    let event = EventId::from_uuid(Uuid::from_u128(u128::from(version)));
    Commit {
        writes: vec![CustomerWrite::new(customer(), expected, StateRow { shape: 1, bytes: vec![1] })],
        claims: vec![Claim { key, customer: customer(), event }],
        counters: vec![CounterStep { name: "coupons".into(), by: 1, limit: 5 }],
        ..Commit::default()
    }
}

async fn version(store: &PostgresStore) -> Option<u64> {
    let loaded = store.load(&TenantId::default(), &[customer()]).await.expect("it loads");
    loaded.rows[0].as_ref().map(|row| row.version.0)
}

#[test]
fn what_the_host_rolls_back_never_was_and_what_it_commits_is_there() {
    let Some(server) = server() else { return };
    for options in [
        PostgresOptions::default().lanes(4),
        PostgresOptions::default().lanes(4).dialect(Dialect::Sharded),
        PostgresOptions::default().lanes(4).row_security(true),
    ] {
        let url = server.url(&server.database());
        block_on(async {
            let store = PostgresStore::connect(&url, &options).await.expect("the schema opens");
            let tenant = TenantId::default();
            let mut client = connect(&url).await;
            client.batch_execute("CREATE TABLE orders (id integer)").await.expect("the shop's own table");
            let done = |version| Ok(Committed::Done { versions: vec![Version(version)] });
            for (round, kept) in [(0, false), (1, true)] {
                let transaction = client.transaction().await.expect("it begins");
                transaction.batch_execute("INSERT INTO orders VALUES (1)").await.expect("an order");
                {
                    let crm = store.within(&transaction);
                    assert_eq!(crm.load(&tenant, &[customer()]).await.expect("it loads").rows, [None], "{round}");
                    let answers = crm.commit(&tenant, &[purchase(0, "a")]).await.expect("it commits");
                    assert_eq!(answers, [done(1)]);
                    // It sees its own writes, and a conflict is answered without ending the host's transaction.
                    let answers = crm.commit(&tenant, &[purchase(0, "b"), purchase(1, "b")]).await.expect("it commits");
                    let conflict = CommitError::Conflict { customer: customer(), actual: Some(Version(1)) };
                    assert_eq!(answers, [Err(conflict), done(2)]);
                }
                assert_eq!(version(&store).await, None, "nobody else sees it yet");
                if kept {
                    transaction.commit().await.expect("it is kept");
                } else {
                    transaction.rollback().await.expect("it is undone");
                }
            }
            assert_eq!(version(&store).await, Some(2));
            let orders: i64 = client.query_one("SELECT count(*) FROM orders", &[]).await.expect("the orders").get(0);
            assert_eq!(orders, 1);
            let prepared: i64 =
                client.query_one("SELECT count(*) FROM pg_prepared_statements", &[]).await.expect("a count").get(0);
            assert_eq!(prepared, 1, "only the one that counts");
            assert_eq!(store.commit(&tenant, vec![purchase(2, "c")]).await.expect("it commits"), [done(3)]);
        });
    }
}
