//! Commits in batches: the store, the same rows by hand, and by hand by a client that knows where lanes end.

use std::time::{Duration, Instant};

use crm_storage::PostgresStore;
use tokio_postgres::Client;

use crate::by_hand::{ByHand, Heads, Positions, count};
use crate::commit;
use crate::postgres_server::connect;
use crate::report::{Report, median, rate, shown};
use crate::workload::Base;

/// How long a side took in each round, and what it wrote to the write-ahead log in all of them.
#[derive(Default)]
struct Side {
    times: Vec<Duration>,
    log: u64,
}

pub(crate) async fn run(report: &mut Report, url: &str, store: &PostgresStore, base: &mut Base, quick: bool) {
    let mut with_heads = ByHand::connect(url, Heads::Found).await;
    let mut without = ByHand::connect(url, Heads::Told).await;
    let log = connect(url).await;
    let ends = "SELECT lane, max(position) FROM crm.entry GROUP BY lane";
    let mut ends: Positions = log.query(ends, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
    for (size, limit) in [(1, 0.85), (32, 0.85), (1000, 0.9)] {
        let calls = if quick { 2 } else { 13_000 / (size + 15) };
        let rounds = if quick { 1 } else { 15 };
        let mut sides = [const { Side { times: Vec::new(), log: 0 } }; 3];
        // By turns, so that whatever else the machine does meets each of them, and not always in one order.
        for round in 0..rounds {
            for turn in 0..sides.len() {
                let which = (round + turn) % sides.len();
                let batches: Vec<_> = (0..calls).map(|_| base.batch(size)).collect();
                let batches: Vec<_> = batches.into_iter().map(|batch| (count(&mut ends, &batch), batch)).collect();
                let before = end_of_log(&log).await;
                let start = Instant::now();
                for (ends, batch) in batches {
                    match which {
                        0 => commit(store, batch).await,
                        1 => with_heads.commit(&batch, &ends).await,
                        _ => without.commit(&batch, &ends).await,
                    }
                }
                sides[which].times.push(start.elapsed());
                sides[which].log += end_of_log(&log).await - before;
            }
        }
        let commits = calls * size;
        let bytes = sides.each_ref().map(|side| side.log / (commits * rounds) as u64);
        let [mut ours, mut hand, mut headless] = sides.map(|side| side.times);
        // What the heads cost, round by round: of the rate that there is without them.
        let mut costs: Vec<f64> = hand
            .iter()
            .zip(&headless)
            .map(|(with, without)| 1.0 - without.as_secs_f64() / with.as_secs_f64())
            .collect();
        costs.sort_by(f64::total_cmp);
        let cost = |quarter: usize| costs[costs.len() * quarter / 4] * 100.0;
        let [ours, hand, headless] = [&mut ours, &mut hand, &mut headless].map(|times| rate(commits, median(times)));
        let detail = format!(
            "{} through the store, {} by hand; {} and {} bytes of log a commit",
            shown(ours),
            shown(hand),
            bytes[0],
            bytes[1]
        );
        report.at_least(
            &format!("PostgreSQL, batches of {size}, of one statement by hand"),
            ours / hand,
            limit,
            &detail,
        );
        let detail = format!(
            "a half of the rounds from {:.1} to {:.1}; {} without; {} bytes of log a commit, {} without: {:.1} %",
            cost(1),
            cost(3),
            shown(headless),
            bytes[1],
            bytes[2],
            (1.0 - bytes[2] as f64 / bytes[1] as f64) * 100.0
        );
        report.at_most(
            &format!("locking lanes and finding their ends by hand, batches of {size}, %"),
            cost(2),
            12.0,
            &detail,
        );
    }
}

async fn end_of_log(client: &Client) -> u64 {
    let text = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint";
    let end: i64 = client.query_one(text, &[]).await.unwrap().get(0);
    end.unsigned_abs()
}

/// The sharded dialect on one server: nothing stands beside it.
pub(crate) async fn sharded(store: &PostgresStore, base: &mut Base, quick: bool) {
    for (size, calls) in [(1, 4_000), (32, 500)] {
        let calls = if quick { 2 } else { calls };
        let batches: Vec<_> = (0..calls).map(|_| base.batch(size)).collect();
        let start = Instant::now();
        for batch in batches {
            commit(store, batch).await;
        }
        println!("PostgreSQL, sharded, batches of {size}: {}", shown(rate(calls * size, start.elapsed())));
    }
}
