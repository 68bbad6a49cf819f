//! Where a selection begins.
//!
//! Some of what a selection asks has an index of its own: the customers with a token, in a set, with a number.
//! Of the parts that must all hold, the one that the fewest customers fulfil is read from its index, and the rest
//! is asked about these customers only. Without such a part all customers are read.
//!
//! The index of a token or a set gives ids in their order, so a page ends as soon as it is full, and rows that
//! are needed besides lie one after the other. One of a range of numbers does not: all that it gives is sorted
//! first, and rows are looked up here and there. So it is used only when it gives few; otherwise customers
//! are read in order, and fill a page soon.
//!
//! Rows are counted no further than it takes to find a short list. Of lists that are all long, the length is
//! estimated from three rows: how far apart the first and the last are, and how far some hundred rows go. The shortest
//! of them are read side by side as long as that takes less than looking each row up; the others are asked about whoever
//! is in all of those.

use crm_core::expression::Comparison;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::fault::Fault;
use super::indexes::{self, Indexes};
use super::select::{Condition, operator};
use crate::selection::Selection;

/// So many rows of an index are counted to find the one with the fewest.
const COUNTED_MAX: u64 = 16_384;

/// So many rows are counted at first; when no index has fewer, eight times as many, and so on.
const COUNTED_FIRST: u64 = 32;

/// So many rows are counted of a list, which is read in its order. When all are longer, their length is
/// estimated by how far this many rows go: near enough, and counting more of each would take longer than to read the
/// shortest.
const LISTED_MAX: u64 = 256;

/// Reading a row of a list in its turn takes a sixth of the time of looking one up in another list.
const ROWS_OF_A_PROBE: u128 = 6;

/// Of those who are in a list, so many times fewer are taken to be in the next one too. What people have in common
/// comes together, so it is less than chance would have it.
const FEWER_IN_EACH: u128 = 4;

/// Among so many indexes the one with the fewest rows is looked for.
const COMPARED_MAX: usize = 16;

/// So many indexes are read as one.
const UNITED_MAX: usize = 32;

/// Rows that each name a customer, none of them twice.
#[derive(Debug, Clone)]
enum Driver<'s> {
    /// Of the index of a part that is no connective.
    Index(&'s Selection),
    /// Of several indexes.
    Union(Vec<Driver<'s>>),
}

/// A driver among whose customers is everybody whom a part means.
#[derive(Debug, Clone)]
struct Candidate<'s> {
    driver: Driver<'s>,
    /// Whether nobody else is among them.
    exact: bool,
}

/// Which of several candidates is read from its index.
#[derive(Debug, Clone, Copy)]
enum Start {
    /// The one at this place.
    Few(usize),
    /// The one at this place, though all have many rows.
    Many(usize),
    /// None.
    Nowhere,
}

impl Start {
    const fn place(self) -> Option<usize> {
        match self {
            Start::Few(at) | Start::Many(at) => Some(at),
            Start::Nowhere => None,
        }
    }
}

/// A statement with its parameters.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) parameters: Vec<Value>,
}

/// What is asked for: a page after an id, or how many there are.
#[derive(Debug)]
pub(super) enum Asked {
    Page { after: Vec<u8>, limit: i64 },
    Count,
}

/// The statement that answers a selection.
pub(super) fn statement(
    file: &Connection,
    tenant: i64,
    selection: &Selection,
    asked: Asked,
) -> Result<Statement, Fault> {
    let indexes = &Indexes::of(file)?;
    let mut parts = Vec::new();
    flatten(selection, &mut parts);
    let after = if let Asked::Page { after, .. } = &asked { after.as_slice() } else { &[] };
    let planner = Planner { file, tenant, indexes, after };
    let candidates = planner.candidates(&parts)?;
    let paged = matches!(asked, Asked::Page { .. });
    let alone = parts.len() == 1;
    let at_any_size = |candidate: &Candidate<'_>| {
        candidate.driver.is_ordered() || (!paged && alone && candidate.exact && candidate.driver.is_covered())
    };
    let mut start = planner.start(&candidates, at_any_size)?;
    let mut lengths = Vec::new();
    if let Start::Many(at) = start
        && candidates[at].1.driver.is_ordered()
    {
        lengths = planner.lengths(&candidates)?;
        let side_by_side = side_by_side(&candidates, &lengths);
        if side_by_side.len() > 1 {
            return Ok(merged(&parts, &candidates, &side_by_side, &lengths, tenant, indexes, asked));
        }
        start = lengths.first().map_or(start, |shortest| Start::Many(shortest.at));
    }
    let start = start.place().map(|at| &candidates[at]);
    let exact = start.filter(|(_, candidate)| candidate.exact).map(|(place, _)| *place);
    let left = rest(&parts, &candidates, &lengths, |place| Some(place) == exact);
    let mut parameters: Vec<Value> = vec![tenant.into()];
    if let Asked::Page { after, limit } = asked {
        parameters.extend([after.into(), limit.into()]);
    }
    let (mut from, mut holds, id) = match start {
        Some((_, Candidate { driver, .. })) => {
            let mut rows = Rows::of(driver, indexes, parameters.len());
            parameters.append(&mut rows.condition.parameters);
            (rows.from, rows.condition.sql, rows.id)
        }
        None => ("crm_customer AS c".to_owned(), "c.tenant = ?1".to_owned(), "c.id"),
    };
    // Who reads the row anyway need not look into other tables.
    let probed = if start.is_some() { indexes } else { &Indexes::NONE };
    let mut rest = Condition::new(id, probed, parameters.len());
    rest.all(&left);
    parameters.append(&mut rest.parameters);
    holds.push_str(" AND ");
    holds.push_str(&rest.sql);
    if start.is_some() && rest.reads_row {
        // A cross join is done in the order in which it is written.
        from.push_str(&format!(" CROSS JOIN crm_customer AS c ON c.tenant = ?1 AND c.id = {id}"));
    }
    if start.is_none() && rest.reads_others {
        // True of each, and keeps SQLite from reading the customers by a smaller index in another order than
        // that of the other tables.
        holds.push_str(" AND c.id >= x''");
    }
    let sql = if paged {
        format!("SELECT {id} FROM {from} WHERE {holds} AND {id} > ?2 ORDER BY {id} LIMIT ?3")
    } else {
        format!("SELECT count(*) FROM {from} WHERE {holds}")
    };
    Ok(Statement { sql, parameters })
}

/// What is left to be asked, of what the fewest have first.
fn rest<'s>(
    parts: &[&'s Selection],
    candidates: &[(usize, Candidate<'_>)],
    shortest_first: &[Length],
    is_done: impl Fn(usize) -> bool,
) -> Vec<&'s Selection> {
    let order: Vec<usize> = shortest_first.iter().map(|list| candidates[list.at].0).collect();
    let rank = |place: usize| order.iter().position(|at| *at == place).unwrap_or(order.len());
    let mut places: Vec<usize> = (0..parts.len()).filter(|place| !is_done(*place)).collect();
    places.sort_by_key(|place| rank(*place));
    places.into_iter().map(|place| parts[place]).collect()
}

/// The candidates that are read side by side, the shortest first: the longer ones as well, as long as reading one takes
/// less than looking up in it whoever is in the shorter ones.
fn side_by_side(candidates: &[(usize, Candidate<'_>)], shortest_first: &[Length]) -> Vec<usize> {
    let mut chosen = Vec::new();
    let mut left: u128 = u128::MAX;
    for list in shortest_first {
        let is_list = candidates[list.at].1.driver.is_list();
        if !is_list || list.rows > left.saturating_mul(ROWS_OF_A_PROBE) {
            break;
        }
        left = if chosen.is_empty() { list.rows } else { left / FEWER_IN_EACH };
        chosen.push(list.at);
    }
    chosen
}

/// Who is in several lists in the order of ids, all of which are long: they are read side by side. The rest is asked
/// about whoever is in all of them.
fn merged(
    parts: &[&Selection],
    candidates: &[(usize, Candidate<'_>)],
    side_by_side: &[usize],
    shortest_first: &[Length],
    tenant: i64,
    indexes: &Indexes,
    asked: Asked,
) -> Statement {
    let mut parameters: Vec<Value> = vec![tenant.into()];
    let paged = matches!(asked, Asked::Page { .. });
    if let Asked::Page { after, limit } = asked {
        parameters.extend([after.into(), limit.into()]);
    }
    let (mut selects, mut done) = (Vec::new(), Vec::new());
    for at in side_by_side {
        let (place, candidate) = &candidates[*at];
        let mut rows = Rows::of(&candidate.driver, indexes, parameters.len());
        parameters.append(&mut rows.condition.parameters);
        let after = if paged { format!(" AND {} > ?2", rows.id) } else { String::new() };
        let id = if selects.is_empty() { " AS id" } else { "" };
        selects.push(format!("SELECT {}{id} FROM {} WHERE {}{after}", rows.id, rows.from, rows.condition.sql));
        done.push(*place);
    }
    let selects = selects.join(" INTERSECT ");
    let rest = rest(parts, candidates, shortest_first, |place| done.contains(&place));
    if paged && rest.is_empty() {
        return Statement { sql: format!("{selects} ORDER BY 1 LIMIT ?3"), parameters };
    }
    // In an order they are read side by side, and an order within is passed over where there is no limit. SQLite hands
    // on what is within as it finds it: in that order, and no further than somebody asks.
    let mut from = format!("({selects} ORDER BY 1 LIMIT -1) AS m");
    let mut condition = Condition::new("m.id", indexes, parameters.len());
    condition.all(&rest);
    parameters.append(&mut condition.parameters);
    if condition.reads_row {
        from.push_str(" CROSS JOIN crm_customer AS c ON c.tenant = ?1 AND c.id = m.id");
    }
    let sql = if paged {
        format!("SELECT m.id FROM {from} WHERE {} LIMIT ?3", condition.sql)
    } else {
        format!("SELECT count(*) FROM {from} WHERE {}", condition.sql)
    };
    Statement { sql, parameters }
}

/// What must all hold, as one list.
fn flatten<'s>(selection: &'s Selection, parts: &mut Vec<&'s Selection>) {
    if let Selection::All(all) = selection {
        all.iter().for_each(|part| flatten(part, parts));
    } else {
        parts.push(selection);
    }
}

struct Planner<'f> {
    file: &'f Connection,
    tenant: i64,
    indexes: &'f Indexes,
    /// After which id the page begins.
    after: &'f [u8],
}

/// About how long a list is from where the page begins.
#[derive(Debug, Clone, Copy)]
struct Length {
    /// Which candidate it is.
    at: usize,
    rows: u128,
}

impl Planner<'_> {
    /// The parts that have an index, by their places.
    fn candidates<'s>(&self, parts: &[&'s Selection]) -> Result<Vec<(usize, Candidate<'s>)>, Fault> {
        let mut candidates = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            if candidates.len() == COMPARED_MAX {
                break;
            }
            candidates.extend(self.candidate(part)?.map(|candidate| (at, candidate)));
        }
        Ok(candidates)
    }

    fn candidate<'s>(&self, part: &'s Selection) -> Result<Option<Candidate<'s>>, Fault> {
        let has_index = match part {
            Selection::Found(_) => true,
            Selection::In(set) => self.indexes.members_of(set).is_some(),
            Selection::Compare(_, Comparison::Ne, _) | Selection::Score { is: Comparison::Ne, .. } => false,
            Selection::OneOf(_, numbers) if numbers.is_empty() => false,
            Selection::Compare(column, ..) | Selection::OneOf(column, _) | Selection::Missing(column) => {
                self.indexes.columns.contains(column)
            }
            Selection::Score { .. } => self.indexes.scores,
            Selection::Any(parts) => return self.union(parts),
            Selection::All(_) => {
                let mut parts = Vec::new();
                flatten(part, &mut parts);
                let mut candidates = self.candidates(&parts)?;
                let ordered = |candidate: &Candidate<'_>| candidate.driver.is_ordered();
                let Some(at) = self.start(&candidates, ordered)?.place() else { return Ok(None) };
                let mut candidate = candidates.swap_remove(at).1;
                candidate.exact &= parts.len() == 1;
                return Ok(Some(candidate));
            }
            Selection::Not(_) => false,
        };
        Ok(has_index.then_some(Candidate { driver: Driver::Index(part), exact: true }))
    }

    /// Where one of the parts must hold, each needs an index.
    fn union<'s>(&self, parts: &'s [Selection]) -> Result<Option<Candidate<'s>>, Fault> {
        let (mut drivers, mut exact) = (Vec::new(), true);
        for part in parts.iter().take(UNITED_MAX + 1) {
            let Some(candidate) = self.candidate(part)? else { return Ok(None) };
            exact &= candidate.exact;
            match candidate.driver {
                Driver::Union(more) => drivers.extend(more),
                index @ Driver::Index(_) => drivers.push(index),
            }
        }
        Ok(match drivers.len() {
            0 => None,
            1 => drivers.pop().map(|driver| Candidate { driver, exact }),
            2..=UNITED_MAX => Some(Candidate { driver: Driver::Union(drivers), exact }),
            _ => None,
        })
    }

    /// The candidate with the fewest rows. If all have many, the first that is good at any size.
    fn start<'s>(
        &self,
        candidates: &[(usize, Candidate<'s>)],
        at_any_size: impl Fn(&Candidate<'s>) -> bool,
    ) -> Result<Start, Fault> {
        let good = candidates.iter().position(|(_, candidate)| at_any_size(candidate));
        match (candidates, good) {
            ([], _) => return Ok(Start::Nowhere),
            ([_], Some(at)) => return Ok(Start::Few(at)),
            _ => {}
        }
        let all_ordered = candidates.iter().all(|(_, candidate)| candidate.driver.is_ordered());
        let most = if all_ordered { LISTED_MAX } else { COUNTED_MAX };
        let mut bound = COUNTED_FIRST;
        while bound <= most {
            let mut least = (bound, None);
            for (at, (_, candidate)) in candidates.iter().enumerate() {
                let rows = self.count(&candidate.driver, least.0)?;
                if rows < least.0 {
                    least = (rows, Some(at));
                }
            }
            if let (_, Some(at)) = least {
                return Ok(Start::Few(at));
            }
            bound *= 8;
        }
        Ok(good.map_or(Start::Nowhere, Start::Many))
    }

    /// About how long the candidates in the order of ids are, the shortest first. Ids that were given at an even
    /// pace make a good estimate; a bad one costs time and nothing else.
    fn lengths(&self, candidates: &[(usize, Candidate<'_>)]) -> Result<Vec<Length>, Fault> {
        let mut lengths = Vec::new();
        for (at, (_, Candidate { driver, .. })) in candidates.iter().enumerate() {
            if driver.is_ordered() {
                lengths.push(Length { at, rows: self.estimate(driver)? });
            }
        }
        lengths.sort_by_key(|length| length.rows);
        Ok(lengths)
    }

    fn estimate(&self, driver: &Driver<'_>) -> Result<u128, Fault> {
        let ends = (self.id_at(driver, "ASC", 0)?, self.id_at(driver, "DESC", 0)?);
        let (Some(first), Some(last)) = ends else { return Ok(0) };
        let within = self.id_at(driver, "ASC", LISTED_MAX - 1)?;
        // With fewer rows than that it is short enough.
        let Some(within) = within else { return Ok(LISTED_MAX.into()) };
        let a_row = (within.saturating_sub(first) / u128::from(LISTED_MAX)).max(1);
        Ok((last.saturating_sub(first) / a_row).max(LISTED_MAX.into()))
    }

    /// The id of a row that so many others come before, from where the page begins or from the end.
    fn id_at(&self, driver: &Driver<'_>, order: &str, before: u64) -> Result<Option<u128>, Fault> {
        let Rows { from, condition, id } = Rows::of(driver, self.indexes, 3);
        let holds = condition.sql;
        let sql =
            format!("SELECT {id} FROM {from} WHERE {holds} AND {id} > ?2 ORDER BY {id} {order} LIMIT 1 OFFSET ?3");
        let first = [self.tenant.into(), self.after.to_vec().into(), before.cast_signed().into()];
        let parameters = params_from_iter(first.into_iter().chain(condition.parameters));
        let mut statement = self.file.prepare_cached(&sql)?;
        let id: Option<[u8; 16]> = statement.query_row(parameters, |row| row.get(0)).optional()?;
        Ok(id.map(u128::from_be_bytes))
    }

    /// How many rows there are, counting no further than so many.
    fn count(&self, driver: &Driver<'_>, bound: u64) -> Result<u64, Fault> {
        if let Driver::Union(drivers) = driver {
            let mut sum = 0;
            for driver in drivers {
                sum += self.count(driver, bound.saturating_sub(sum))?;
            }
            return Ok(sum);
        }
        let Rows { from, condition, .. } = Rows::to_count(driver, self.indexes, 2);
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {from} WHERE {} LIMIT ?2)", condition.sql);
        let first = [self.tenant.into(), bound.cast_signed().into()];
        let parameters = params_from_iter(first.into_iter().chain(condition.parameters));
        let rows: i64 = self.file.prepare_cached(&sql)?.query_row(parameters, |row| row.get(0))?;
        Ok(rows.unsigned_abs())
    }
}

impl Driver<'_> {
    /// Whether its index gives the ids in their order.
    const fn is_ordered(&self) -> bool {
        matches!(
            self,
            Driver::Index(
                Selection::Found(_)
                    | Selection::In(_)
                    | Selection::Missing(_)
                    | Selection::Compare(_, Comparison::Eq, _)
            )
        )
    }

    /// Whether it is the list of a token or of a set.
    const fn is_list(&self) -> bool {
        matches!(self, Driver::Index(Selection::Found(_) | Selection::In(_)))
    }

    /// Whether its index alone says who is meant. That a score is the newest stands elsewhere.
    fn is_covered(&self) -> bool {
        match self {
            Driver::Index(selection) => !matches!(selection, Selection::Score { .. }),
            Driver::Union(drivers) => drivers.iter().all(Self::is_covered),
        }
    }
}

/// A driver as SQL.
struct Rows<'i> {
    from: String,
    condition: Condition<'i>,
    id: &'static str,
}

impl<'i> Rows<'i> {
    fn of(driver: &Driver<'_>, indexes: &'i Indexes, before: usize) -> Self {
        let mut rows = Self::to_count(driver, indexes, before);
        if let Driver::Index(Selection::Score { .. }) = driver {
            rows.condition.sql.push_str(
                " AND NOT EXISTS (SELECT 1 FROM crm_score AS n WHERE n.tenant = ?1 AND n.customer = d.customer \
                 AND n.plugin = d.plugin AND n.output = d.output AND n.at > d.at)",
            );
        }
        rows
    }

    /// As they are read, scores that are not the newest included.
    fn to_count(driver: &Driver<'_>, indexes: &'i Indexes, before: usize) -> Self {
        let mut condition = Condition::new("d.customer", indexes, before);
        let selection = match driver {
            Driver::Index(selection) => *selection,
            Driver::Union(drivers) => {
                let mut selects = Vec::new();
                for driver in drivers {
                    let mut rows = Rows::of(driver, indexes, before + condition.parameters.len());
                    condition.parameters.append(&mut rows.condition.parameters);
                    selects.push(format!("SELECT {} AS id FROM {} WHERE {}", rows.id, rows.from, rows.condition.sql));
                }
                condition.sql.push('1');
                return Rows { from: format!("({}) AS d", selects.join(" UNION ")), condition, id: "d.id" };
            }
        };
        condition.sql.push_str("d.tenant = ?1 AND ");
        let by_column = |column| format!("crm_customer AS d INDEXED BY {}", indexes::by(column));
        let (from, id) = match selection {
            Selection::Found(token) => {
                let token = condition.place(token.0.to_vec());
                condition.sql.push_str(&format!("d.token = {token}"));
                ("crm_token AS d".to_owned(), "d.customer")
            }
            Selection::In(set) => {
                let name = condition.place(set.as_str().to_owned());
                condition.sql.push_str(&format!("d.name = {name}"));
                (format!("{} AS d", indexes.members_of(set).unwrap_or_default()), "d.customer")
            }
            Selection::Score { plugin, output, is, value } => {
                let [plugin, output] = [plugin, output].map(|name| condition.place(name.to_string()));
                let (value, is) = (condition.place(*value), operator(*is));
                let compared = format!("d.plugin = {plugin} AND d.output = {output} AND d.value {is} {value}");
                condition.sql.push_str(&compared);
                (format!("crm_score AS d INDEXED BY {}", indexes::SCORES), "d.customer")
            }
            Selection::Compare(column, ..) | Selection::OneOf(column, _) | Selection::Missing(column) => {
                condition.number("d", selection);
                (by_column(*column), "d.id")
            }
            Selection::All(_) | Selection::Any(_) | Selection::Not(_) => unreachable!("a connective has no index"),
        };
        Rows { from, condition, id }
    }
}

#[cfg(test)]
mod tests {
    use crm_core::{Column, SetKey, SetKind};
    use rusqlite::StatementStatus;

    use super::super::migrations;
    use super::super::options::SqliteOptions;
    use super::*;
    use crate::commit::Token;

    const CUSTOMERS: i64 = 40_000;

    /// Customers of whom every second has the token 2, every third the token 3 and so on; every 1,000th is in a
    /// set; scores rise with the id, and each customer had another one before.
    fn shop(options: &SqliteOptions) -> Connection {
        let mut file = Connection::open_in_memory().unwrap();
        migrations::ALL.iter().for_each(|step| file.execute_batch(step.sql).unwrap());
        Indexes::declare(&mut file, options).unwrap();
        let numbers = format!("WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {CUSTOMERS})");
        let id = "CAST(printf('%016d', n) AS BLOB)";
        file.execute_batch(&format!(
            "{numbers} INSERT INTO crm_customer (tenant, id, version, orders, sets, shape, state)
                 SELECT 1, {id}, 1, n % 10, iif(n % 1000 = 0, char(31) || 'tag:vip' || char(31), NULL), 1, x'' FROM n;
             {numbers}, t (t) AS (VALUES (2), (3), (5), (700), (9000))
                 INSERT INTO crm_token SELECT 1, CAST(printf('%016d', t) AS BLOB), {id} FROM n, t WHERE n % t = 0;
             {numbers} INSERT INTO crm_score SELECT 1, {id}, 'p', 'o', 1, n, '', x'', x'', x'', NULL, '' FROM n;
             {numbers} INSERT INTO crm_score SELECT 1, {id}, 'p', 'o', 0, -n, '', x'', x'', x'', NULL, '' FROM n;"
        ))
        .unwrap();
        file
    }

    fn every_index() -> SqliteOptions {
        SqliteOptions::default().indexed(&[Column::Orders]).index_sets(&SetKind::ALL).index_scores(true)
    }

    fn found(number: u32) -> Selection {
        Selection::Found(Token(format!("{number:016}").into_bytes().try_into().unwrap()))
    }

    fn vip() -> Selection {
        Selection::In(SetKey::new(SetKind::Tag, "vip").unwrap())
    }

    fn score(is: Comparison, value: f64) -> Selection {
        Selection::Score { plugin: "p".into(), output: "o".into(), is, value }
    }

    fn orders(is: Comparison, number: i64) -> Selection {
        Selection::Compare(Column::Orders, is, number)
    }

    struct Run {
        /// How many rows there are.
        rows: i64,
        /// How many steps SQLite's machine took: some for each row that it looked at.
        steps: i32,
        plan: String,
    }

    fn page(limit: i64) -> Asked {
        Asked::Page { after: Vec::new(), limit }
    }

    fn run(file: &Connection, selection: &Selection, asked: Asked) -> Run {
        let paged = matches!(asked, Asked::Page { .. });
        let Statement { sql, parameters } = statement(file, 1, selection, asked).unwrap();
        let mut explain = file.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let plan = explain.query_map(params_from_iter(&parameters), |row| row.get::<_, String>("detail")).unwrap();
        let plan = plan.map(Result::unwrap).collect::<Vec<_>>().join("\n");
        let mut prepared = file.prepare(&sql).unwrap();
        let mut rows = prepared.query(params_from_iter(&parameters)).unwrap();
        let (mut count, mut first) = (0, 0);
        while let Some(row) = rows.next().unwrap() {
            count += 1;
            first = row.get(0).unwrap_or(0);
        }
        drop(rows);
        let steps = prepared.get_status(StatementStatus::VmStep);
        Run { rows: if paged { count } else { first }, steps, plan }
    }

    fn ids(file: &Connection, selection: &Selection, asked: Asked) -> Vec<Vec<u8>> {
        let Statement { sql, parameters } = statement(file, 1, selection, asked).unwrap();
        let mut prepared = file.prepare(&sql).unwrap();
        let ids = prepared.query_map(params_from_iter(&parameters), |row| row.get(0)).unwrap();
        ids.collect::<Result<_, _>>().unwrap()
    }

    fn check(file: &Connection, selection: &Selection, rows: i64, steps_max: i32) -> String {
        let run_page = run(file, selection, page(i64::MAX));
        assert_eq!(run_page.rows, rows, "{selection:?}");
        assert!(run_page.steps <= steps_max, "{} steps for {selection:?}:\n{}", run_page.steps, run_page.plan);
        let counted = run(file, selection, Asked::Count);
        assert_eq!(counted.rows, rows, "{selection:?}");
        assert!(counted.steps <= steps_max, "{} steps for {selection:?}:\n{}", counted.steps, counted.plan);
        run_page.plan
    }

    #[test]
    fn a_search_begins_with_the_token_that_the_fewest_have() {
        let file = shop(&SqliteOptions::default());
        for selection in [
            Selection::All(vec![found(2), found(3), found(700)]),
            Selection::All(vec![found(700), Selection::All(vec![found(3), found(2)])]),
            Selection::All(vec![Selection::Not(Box::new(found(11))), found(2), found(3), found(700)]),
        ] {
            let plan = check(&file, &selection, CUSTOMERS / 2100, 3_000);
            assert!(plan.starts_with("SEARCH d USING PRIMARY KEY (tenant=? AND token=? AND customer>?)"), "{plan}");
            assert!(!["SCAN", "SEARCH c ", "TEMP B-TREE"].iter().any(|word| plan.contains(word)), "{plan}");
        }
        check(&file, &Selection::All(vec![found(2), found(9001)]), 0, 100);
        // A page of what many have ends when it is full.
        let many = run(&file, &Selection::All(vec![found(2), found(3)]), page(50));
        assert!(many.rows == 50 && many.steps < 5_000, "{} steps:\n{}", many.steps, many.plan);
    }

    #[test]
    fn long_lists_are_read_side_by_side() {
        let file = shop(&SqliteOptions::default());
        file.execute_batch("INSERT INTO crm_token SELECT 1, CAST(printf('%016d', 4) AS BLOB), id FROM crm_customer")
            .unwrap();
        let selection = Selection::All(vec![found(2), found(4)]);
        let plan = check(&file, &selection, CUSTOMERS / 2, CUSTOMERS as i32 * 20);
        assert!(plan.contains("MERGE (INTERSECT)"), "{plan}");
        let counted = run(&file, &selection, Asked::Count);
        assert!(counted.plan.contains("MERGE (INTERSECT)"), "{}", counted.plan);
        let first = run(&file, &selection, page(50));
        assert!(first.rows == 50 && first.steps < 4_000, "{} steps", first.steps);
        let after = format!("{:016}", CUSTOMERS - 10).into_bytes();
        assert_eq!(run(&file, &selection, Asked::Page { after, limit: 50 }).rows, 5);
    }

    #[test]
    fn of_long_lists_the_shorter_ones_are_read_side_by_side_and_the_others_asked_about_few() {
        let file = shop(&SqliteOptions::default());
        // Everybody has the tokens 20 and 21, every eleventh the token 22, every seventh the token 23.
        let add = |token: u32, each: u32| {
            format!(
                "INSERT INTO crm_token SELECT 1, CAST(printf('%016d', {token}) AS BLOB), id FROM crm_customer
                     WHERE CAST(CAST(id AS TEXT) AS INTEGER) % {each} = 0;"
            )
        };
        file.execute_batch(&[add(20, 1), add(21, 1), add(22, 11), add(23, 7)].concat()).unwrap();
        let (short, shorter) = (CUSTOMERS as i32 / 7, CUSTOMERS as i32 / 11);
        let (all, either) = ([found(20), found(21), found(2), found(22)], [found(20), found(21), found(23), found(22)]);
        check(&file, &Selection::All(all.to_vec()), CUSTOMERS / 22, shorter * 60);
        let plan = check(&file, &Selection::All(either.to_vec()), CUSTOMERS / 77, shorter * 30);
        assert_eq!(plan.matches("MERGE (INTERSECT)").count(), 1, "{plan}");
        assert!(plan.contains("CO-ROUTINE m") && !plan.contains("TEMP B-TREE"), "{plan}");
        let ids = ids(&file, &Selection::All(either.to_vec()), page(100));
        assert!(ids.len() == 100 && ids.is_sorted(), "in their order: {ids:?}");
        // Only half as many have the token 23 from now on, and none of them stands in the second half.
        let half = "customer >= CAST(printf('%016d', 20000) AS BLOB)";
        file.execute_batch(&format!(
            "DELETE FROM crm_token WHERE token = CAST(printf('%016d', 23) AS BLOB) AND {half}"
        ))
        .unwrap();
        let first = run(&file, &Selection::All(either.to_vec()), page(20));
        assert!(first.rows == 20 && first.steps < 10_000, "{} steps:\n{}", first.steps, first.plan);
        let after = format!("{:016}", 19_000).into_bytes();
        let later = run(&file, &Selection::All(either.to_vec()), Asked::Page { after, limit: i64::MAX });
        assert!(later.rows == 13 && later.steps < short, "{} steps:\n{}", later.steps, later.plan);
    }

    #[test]
    fn what_has_no_index_is_asked_about_few_customers_only() {
        let file = shop(&SqliteOptions::default());
        let selection = Selection::All(vec![orders(Comparison::Eq, 0), found(3), found(700), vip()]);
        let plan = check(&file, &selection, CUSTOMERS / 21_000, 5_000);
        assert!(plan.contains("SEARCH c USING PRIMARY KEY (tenant=? AND id=?)"), "{plan}");
    }

    #[test]
    fn either_of_two_tokens_is_read_from_both_indexes() {
        let file = shop(&SqliteOptions::default());
        let selection = Selection::Any(vec![found(9000), Selection::All(vec![found(2), found(700)])]);
        check(&file, &selection, CUSTOMERS / 9000 + CUSTOMERS / 700, 5_000);
        let one_without = Selection::Any(vec![found(9000), vip()]);
        assert!(run(&file, &one_without, page(9)).plan.contains("SEARCH c USING PRIMARY KEY (tenant=? AND id>?)"));
    }

    #[test]
    fn a_set_and_a_score_with_an_index_are_read_from_it() {
        let file = shop(&every_index());
        let plan = check(&file, &vip(), CUSTOMERS / 1000, 1_000);
        assert_eq!(plan, "SEARCH d USING PRIMARY KEY (tenant=? AND name=? AND customer>?)");
        check(&file, &Selection::All(vec![found(2), vip(), found(3)]), CUSTOMERS / 3000, 3_000);
        let top = (CUSTOMERS - 50) as f64;
        check(&file, &score(Comparison::Gt, top), 50, 4_000);
        check(&file, &Selection::All(vec![found(2), score(Comparison::Gt, top)]), 25, 5_000);
        // What was once a customer's score is not theirs now.
        check(&file, &score(Comparison::Lt, 1.0 - top), 0, 5_000);
        check(&file, &Selection::All(vec![orders(Comparison::Eq, 3), vip()]), 0, 2_000);
    }

    #[test]
    fn a_wide_range_fills_its_page_from_the_customers_in_order() {
        let file = shop(&every_index());
        for selection in [
            score(Comparison::Gt, 10.0),
            orders(Comparison::Ge, 1),
            Selection::Any(vec![found(2), found(3)]),
            Selection::All(vec![score(Comparison::Gt, 10.0), orders(Comparison::Ge, 1)]),
        ] {
            let run = run(&file, &selection, page(50));
            assert!(run.rows == 50 && run.steps < 10_000, "{} steps for {selection:?}:\n{}", run.steps, run.plan);
            assert!(!run.plan.contains("TEMP B-TREE"), "{selection:?}:\n{}", run.plan);
        }
        let counted = run(&file, &orders(Comparison::Ge, 1), Asked::Count);
        assert_eq!(counted.rows, CUSTOMERS / 10 * 9);
        assert!(counted.plan.contains("COVERING INDEX crm_by_orders"), "{}", counted.plan);
    }
}
