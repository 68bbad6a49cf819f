//! Postings that no rule decides, as somebody may write them into an export: to fold them and go on from there is no panic,
//! whatever they say.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use crm_core::customer::{Customer, OrdersTouched, PointsStep};
use crm_core::event::{EVENT_SHAPE, EventBody};
use crm_core::loyalty::{Program, ProgramId};
use crm_core::{Currency, CustomerId, Definition, DefinitionVersion, Definitions, EventId, Timestamp};
use uuid::Uuid;

const NUMBERS: [i64; 5] = [i64::MIN, -1, 1, 60, i64::MAX];

fn body(kind: &str, json: &str) -> EventBody {
    EventBody::decode(kind, EVENT_SHAPE, json.as_bytes()).unwrap()
}

fn posted(kind: &str, moved: &str) -> EventBody {
    let deed = format!(r#"{{"program":"points","kind":{kind},"moves":[{moved}],"owed":0}}"#);
    body("points_posted", &format!(r#"{{"by":"shop","deed":{deed}}}"#))
}

#[test]
fn whatever_a_payment_and_its_undoing_say() {
    let at = Timestamp::parse("2026-01-01").unwrap();
    let mut definitions = Definitions::default();
    let program = Definition::Program(ProgramId::new("points").unwrap(), Some(Program::point_per_unit(Currency::EUR)));
    definitions.add(DefinitionVersion { from: Timestamp::MIN, definition: program }).unwrap();
    let id = CustomerId::new(Timestamp::MIN, [1; 10]);
    let opens = r#""opens":{"origin":"award","earned_at":0,"waits":null,"expires_at":null}"#;
    for given in NUMBERS {
        for spent in NUMBERS {
            for refunded in NUMBERS {
                for undone in NUMBERS {
                    let undoing = format!(
                        r#"{{"undone":{{"posting":"018cc251-f400-7000-8000-000000000000","account":"redeemed","order":"1","paid":{{"points":{undone},"refunded":{refunded}}},"reason":"x"}}}}"#
                    );
                    let history = [
                        body("order_placed", r#"{"order":"1","total":{"minor":1000,"currency":"EUR"}}"#),
                        posted(r#"{"awarded":{"reason":"x"}}"#, &format!(r#"{{"lot":0,"points":{given},{opens}}}"#)),
                        posted(
                            &format!(r#"{{"spent":{{"reason":"x","order":"1","refunded":{refunded}}}}}"#),
                            &format!(r#"{{"lot":0,"points":{spent}}}"#),
                        ),
                        posted(&undoing, &format!(r#"{{"lot":0,"points":{undone}}}"#)),
                        body("refunded", r#"{"order":"1","amount":{"minor":500,"currency":"EUR"}}"#),
                    ];
                    let events = history.iter().zip(1..);
                    let events = events.map(|(body, n)| (id, EventId::from_uuid(Uuid::from_u128(n)), at, body));
                    let customer = Customer::replay(id, events, at, &definitions);
                    for touched in [OrdersTouched::Newest, OrdersTouched::Any, OrdersTouched::Gone] {
                        drop(customer.reconcile_points(touched, &[], &definitions));
                    }
                    for step in PointsStep::ALL {
                        drop(customer.points_due(step, at, &definitions));
                    }
                }
            }
        }
    }
}
