//! The CRM inside a transaction of the host's.
#![cfg(feature = "postgres")]

mod postgres_server;

use crm_core::{CustomerId, EventId, TenantId, Timestamp};
use crm_storage::{
    ChangeRow, Claim, ClaimKey, Commit, CommitError, Committed, CounterStep, CustomerWrite, Dialect, Expected, Lane,
    PostgresOptions, PostgresStore, StateRow, Store, Version,
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

/// A customer's next version and one change, in the one lane there is.
fn change(customer: u128, version: u64) -> Commit {
    let customer = CustomerId::from_uuid(Uuid::from_u128(customer));
    let expected = if version == 0 { Expected::New } else { Expected::At(Version(version)) };
    let mut write = CustomerWrite::new(customer, expected, StateRow { shape: 1, bytes: vec![1] });
    write.changes.push(ChangeRow { at: Timestamp::MIN, kind: "moved".into(), body: Vec::new() });
    Commit { writes: vec![write], ..Commit::default() }
}

/// A transaction that sees the database as it was when it began cannot see where the lane ends now: it is refused by
/// the server, rather than given a position that somebody has, and goes through when it is made again.
#[test]
fn a_host_who_sees_an_older_lane_is_refused_and_may_begin_anew() {
    let Some(server) = server() else { return };
    for dialect in [Dialect::Plain, Dialect::Sharded] {
        let url = server.url(&server.database());
        block_on(async {
            let options = PostgresOptions::default().lanes(1).dialect(dialect);
            let store = PostgresStore::connect(&url, &options).await.expect("the schema opens");
            let tenant = TenantId::default();
            assert!(store.commit(&tenant, vec![change(1, 0)]).await.expect("it commits")[0].is_ok());
            let mut client = connect(&url).await;
            // Somebody else in the lane moved, then the customer itself.
            for (round, others) in [change(2, 0), change(1, 2)].into_iter().enumerate() {
                let older = async |client: &mut tokio_postgres::Client, others: Option<Commit>| {
                    let repeatable = tokio_postgres::IsolationLevel::RepeatableRead;
                    let transaction = client.build_transaction().isolation_level(repeatable).start().await;
                    let transaction = transaction.expect("it begins");
                    let at =
                        version_of(&store.within(&transaction).load(&tenant, &[customer()]).await.expect("it loads"));
                    if let Some(others) = others {
                        assert!(store.commit(&tenant, vec![others]).await.expect("it commits")[0].is_ok());
                    }
                    let done = store.within(&transaction).commit(&tenant, &[change(1, at)]).await.is_ok();
                    transaction.commit().await.expect("it ends");
                    done
                };
                assert!(!older(&mut client, Some(others)).await, "{round}");
                assert!(older(&mut client, None).await, "{round}");
            }
            let rows = store.feed(Lane(0), 0, 99).await.expect("the feed");
            assert_eq!(rows.iter().map(|row| row.position).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        });
    }
}

fn version_of(loaded: &crm_storage::Loaded) -> u64 {
    loaded.rows[0].as_ref().map_or(0, |row| row.version.0)
}
