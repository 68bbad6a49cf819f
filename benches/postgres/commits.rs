//! Commits in batches: the store, the same rows by hand, and by hand by a client that knows where lanes end.

use std::time::{Duration, Instant};

use crm_storage::PostgresStore;
use tokio_postgres::Client;

use crate::by_hand::{ByHand, Heads, Positions, count};
use crate::commit;
use crate::postgres_server::connect;
use crate::report::{Report, median, rate, shown};
use crate::workload::Base;

/// How long a side took in each round, and what it took of the processors and wrote to the write-ahead log in all of them.
#[derive(Default)]
struct Side {
    times: Vec<Duration>,
    spent: Spent,
}

/// What was spent until some moment: of the processors in nanoseconds, by this process and by those of the server that
/// answer clients; and bytes of the write-ahead log. Only one side works at a time.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    here: u64,
    server: u64,
    log: u64,
}

impl Spent {
    async fn until_now(client: &Client) -> Self {
        let text = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, array_agg(pid) FROM pg_stat_activity \
            WHERE backend_type = 'client backend'";
        let row = client.query_one(text, &[]).await.unwrap();
        let (log, backends): (i64, Vec<i32>) = (row.get(0), row.get(1));
        let of_server = |pid: &i32| processor_time(format!("/proc/{pid}/schedstat"));
        let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        Spent {
            here: threads.map(|thread| processor_time(thread.path().join("schedstat"))).sum(),
            server: backends.iter().map(of_server).sum(),
            log: log.unsigned_abs(),
        }
    }

    fn add(&mut self, from: Spent, to: Spent) {
        self.here += to.here.saturating_sub(from.here);
        self.server += to.server.saturating_sub(from.server);
        self.log += to.log.saturating_sub(from.log);
    }
}

/// How long a thread was on a processor, in nanoseconds; 0 where that is not told.
fn processor_time(path: impl AsRef<std::path::Path>) -> u64 {
    let told = std::fs::read_to_string(path).unwrap_or_default();
    told.split_whitespace().next().and_then(|spent| spent.parse().ok()).unwrap_or(0)
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
        let mut sides = [const { Side { times: Vec::new(), spent: Spent { here: 0, server: 0, log: 0 } } }; 3];
        // By turns, so that whatever else the machine does meets each of them, and not always in one order.
        for round in 0..rounds {
            for turn in 0..sides.len() {
                let which = (round + turn) % sides.len();
                let batches: Vec<_> = (0..calls).map(|_| base.batch(size)).collect();
                let batches: Vec<_> = batches.into_iter().map(|batch| (count(&mut ends, &batch), batch)).collect();
                let before = Spent::until_now(&log).await;
                let start = Instant::now();
                for (ends, batch) in batches {
                    match which {
                        0 => commit(store, batch).await,
                        1 => with_heads.commit(&batch, &ends).await,
                        _ => without.commit(&batch, &ends).await,
                    }
                }
                sides[which].times.push(start.elapsed());
                sides[which].spent.add(before, Spent::until_now(&log).await);
            }
        }
        let commits = calls * size;
        let a_commit = |spent: u64| spent / (commits * rounds) as u64;
        let bytes = sides.each_ref().map(|side| a_commit(side.spent.log));
        let [here, server] = [|spent: Spent| spent.here, |spent: Spent| spent.server]
            .map(|of| sides.each_ref().map(|side| a_commit(of(side.spent)) as f64 / 1_000.0));
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
            "{} through the store, {} by hand; {:.2} and {:.2} µs of the processors a commit here, {:.2} and {:.2} in \
             the server; {} and {} bytes of log",
            shown(ours),
            shown(hand),
            here[0],
            here[1],
            server[0],
            server[1],
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
            "a half of the rounds from {:.1} to {:.1}; {} without; {:.2} µs of the server's processor a commit, {:.2} \
             without; {} bytes of log, {} without: {:.1} %",
            cost(1),
            cost(3),
            shown(headless),
            server[1],
            server[2],
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
