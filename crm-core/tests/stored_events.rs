//! Stored events have to be readable in ten years: each kind as it is written today, word for word. A
//! line here is never edited; a new shape gets a new line, and the old one still has to be read.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use crm_core::event::EventBody;

const STORED: [(&str, &str); 138] = [
    ("visited", r#"{"channel":"web"}"#),
    ("visited", r#"{"channel":"store","place":"ground floor"}"#),
    ("enquired", r#"{"channel":"phone","subject":"a bicycle"}"#),
    ("cart_updated", r#"{"items":2,"value":{"minor":1050,"currency":"EUR"}}"#),
    ("order_placed", r#"{"total":{"minor":1177,"currency":"USD"}}"#),
    (
        "order_placed",
        r#"{"order":"1001","total":{"minor":500,"currency":"JPY"},"lines":[{"product":"85123A","quantity":2,"minor":500},{"minor":0}]}"#,
    ),
    ("payment_received", r#"{"order":"1001","amount":{"minor":500,"currency":"JPY"}}"#),
    ("refunded", r#"{"amount":{"minor":500,"currency":"JPY"}}"#),
    ("tagged", r#"{"tag":"vip"}"#),
    ("untagged", r#"{"tag":"vip"}"#),
    ("enlisted", r#"{"list":"fair-2026"}"#),
    ("unlisted", r#"{"list":"fair-2026"}"#),
    (
        "segment_overridden",
        r#"{"by":"shop","deed":{"at":852076800000,"asked":{"segment":"vip","to":"in","until":883612800000,"by":"support:17","reason":"asked for it"}}}"#,
    ),
    ("override_cleared", r#"{"by":"shop","deed":{"segment":"vip","by":null,"reason":null}}"#),
    ("card_changed", r#"{"fields":["name","attribute.shoe size"]}"#),
    (
        "party_described",
        r#"{"kind":"person","key_customer":true,"roles":["consumer"],"memberships":[{"organisation":"018cc251-f400-7000-8000-000000000000","role":"decision_maker"}]}"#,
    ),
    ("identified", r#"{"identifier":{"kind":"email","hash":"000102030405060708090a0b0c0d0e0f"}}"#),
    ("voided", r#"{"event":"018cc251-f400-7000-8000-000000000000","reason":"typed twice"}"#),
    (
        "tied",
        r#"{"other":"018cc251-f400-7000-8000-000000000000","kind":"works_for","direction":"outgoing","strength":1000}"#,
    ),
    (
        "tied",
        r#"{"other":"018cc251-f400-7000-8000-000000000000","kind":{"other":"godparent"},"direction":"incoming","strength":0}"#,
    ),
    ("untied", r#"{"other":"018cc251-f400-7000-8000-000000000000","kind":"household","direction":"mutual"}"#),
    (
        "untied",
        r#"{"other":"018cc251-f400-7000-8000-000000000000","kind":{"other":"godparent"},"direction":"incoming"}"#,
    ),
    ("message_received", r#"{"channel":"sms"}"#),
    ("message_received", r#"{"channel":"email","subject":"opening hours"}"#),
    ("case_opened", r#"{"case":"C-17","kind":"complaint","topic":"late delivery"}"#),
    ("case_closed", r#"{"case":"C-17","outcome":"resolved"}"#),
    ("case_reopened", r#"{"case":"C-17","reason":"late again"}"#),
    ("case_reopened", r#"{"case":"C-17"}"#),
    ("attribute_set", r#"{"attribute":"home store","value":{"text":"Basel"}}"#),
    ("attribute_set", r#"{"attribute":"shoe_size","value":{"whole":42}}"#),
    ("attribute_set", r#"{"attribute":"height","value":{"decimal":"1.85"}}"#),
    ("attribute_set", r#"{"attribute":"contract_end","value":{"instant":852076800000}}"#),
    ("attribute_set", r#"{"attribute":"has_pet","value":{"flag":false}}"#),
    ("attribute_set", r#"{"attribute":"has_pet"}"#),
    (
        "order_placed",
        r#"{"total":{"minor":500,"currency":"EUR"},"lines":[{"product":"mug","minor":500,"cost_minor":210}]}"#,
    ),
    (
        "contract_signed",
        r#"{"contract":"C-1","starts":1704067200000,"ends":1735689600000,"value":{"minor":120000,"currency":"EUR"}}"#,
    ),
    ("order_delivered", r#"{"order":"1001"}"#),
    (
        "order_placed",
        r#"{"total":{"minor":500,"currency":"EUR"},"lines":[{"minor":500,"kind":"gift_card"}],"channel":"app","country":"PT","points_minor":100}"#,
    ),
    ("contract_renewed", r#"{"contract":"C-1","ends":1767225600000}"#),
    ("contract_ended", r#"{"contract":"C-1","from":1750000000000,"reason":"too dear"}"#),
    ("shop.review", r#"{"public":{"bool":true},"stars":{"int":5},"text":{"text":"good"}}"#),
    (
        "points_posted",
        r#"{"by":"rule","deed":{"program":"points","kind":{"earned":{"fact":"018cc251-f400-7000-8000-000000000000"}},"moves":[{"lot":0,"bucket":"pending","points":11,"opens":{"origin":{"fact":"018cc251-f400-7000-8000-000000000000"},"earned_at":852076800000,"waits":{"until":853286400000},"expires_at":883612800000}}],"owed":0,"qualifying":{"points":11,"at":852076800000},"by_rule":[{"rule":"orders","points":11,"qualifying":11}]}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"rule","deed":{"program":"points","kind":"activated","moves":[{"lot":0,"bucket":"pending","points":-11},{"lot":0,"points":8}],"owed":-3}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"rule","deed":{"program":"points","kind":{"reversed":{"fact":"018cc251-f400-7000-8000-000000000000"}},"moves":[{"lot":0,"points":-11}],"owed":3,"borne":2}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"shop","deed":{"program":"points","kind":{"spent":{"reason":"mug","order":"1001"}},"moves":[{"lot":0,"points":-5}],"owed":0}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"shop","deed":{"program":"points","kind":{"held":{"hold":"checkout-7","until":853286400000}},"moves":[{"lot":0,"points":-5},{"lot":0,"bucket":"held","points":5}],"owed":0}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"shop","deed":{"program":"points","kind":{"captured":{"hold":"checkout-7","reason":"mug"}},"moves":[{"lot":0,"bucket":"held","points":-5}],"owed":0}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"rule","deed":{"program":"points","kind":{"released":{"hold":"checkout-7","end":"ended"}},"moves":[{"lot":0,"bucket":"held","points":-5},{"lot":0,"points":5}],"owed":0}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"rule","deed":{"program":"points","kind":{"returned":{"order":"1001"}},"moves":[{"lot":0,"points":5}],"owed":0}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"rule","deed":{"program":"points","kind":{"expired":{"until":853286400000}},"moves":[],"owed":0}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"shop","deed":{"program":"points","kind":{"undone":{"posting":"018cc251-f400-7000-8000-000000000000","account":"redeemed","reason":"mistake"}},"moves":[{"lot":3,"points":5,"opens":{"origin":"award","earned_at":852076800000,"waits":null,"expires_at":null}}],"owed":0}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"shop","deed":{"program":"points","kind":{"adjusted":{"reason":"miscounted"}},"moves":[{"lot":3,"points":-5}],"owed":0}}"#,
    ),
    (
        "points_posted",
        r#"{"by":{"plugin":{"name":"winback","version":"0.1.0","digest":"0000000000000000000000000000000000000000000000000000000000000000"}},"deed":{"program":"points","kind":{"awarded":{"reason":"welcome back"}},"moves":[],"owed":-100}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"shop","deed":{"program":"points","kind":{"undone":{"posting":"018cc251-f400-7000-8000-000000000000","account":"redeemed","order":"1001","paid":{"points":60,"refunded":500},"reason":"mistake"}},"moves":[{"lot":0,"points":30}],"owed":0}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"rule","deed":{"program":"points","kind":{"released":{"hold":"checkout-7","end":"ended","of":"018cc251-f400-7000-8000-000000000000"}},"moves":[{"lot":0,"bucket":"held","points":-5},{"lot":0,"points":5}],"owed":0}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"shop","deed":{"program":"points","kind":{"reinstated":{"reason":"sorry"}},"moves":[{"lot":4,"points":5,"opens":{"origin":{"reawarded":852076800000},"earned_at":853286400000,"waits":null,"expires_at":null}}],"owed":0}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"shop","deed":{"program":"points","kind":{"undone":{"posting":"018cc251-f400-7000-8000-000000000000","account":"issued","gone":{"awarded_at":852076800000,"points":60},"reason":"mistake"}},"moves":[{"lot":0,"points":-40}],"owed":0}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"rule","deed":{"program":"points","kind":{"earned":{"fact":"018cc251-f400-7000-8000-000000000000"}},"moves":[{"lot":0,"points":7,"opens":{"origin":{"fact":"018cc251-f400-7000-8000-000000000000"},"earned_at":852076800000,"waits":null,"expires_at":null,"longer":2592000000}}],"owed":0}}"#,
    ),
    ("points_reminded", r#"{"by":"rule","deed":{"program":"points","points":11,"expires_at":883612800000}}"#),
    (
        "credit_posted",
        r#"{"by":"shop","deed":{"currency":"EUR","cause":{"granted":{"reason":"late parcel"}},"moves":[{"lot":0,"minor":1500,"owed":-500,"terms":{"origin":{"grant":{"event":"018cc251-f400-8000-8000-000000000000"}},"issued_at":852076800000,"expires_at":null}}]}}"#,
    ),
    (
        "credit_posted",
        r#"{"by":"shop","deed":{"currency":"EUR","cause":{"loaded":{"card":"000102030405060708090a0b0c0d0e0f"}},"moves":[{"lot":1,"minor":2000,"terms":{"origin":{"gift_card":{"card":"000102030405060708090a0b0c0d0e0f"}},"issued_at":852076800000,"expires_at":883612800000}}]}}"#,
    ),
    (
        "credit_posted",
        r#"{"by":"shop","deed":{"currency":"EUR","cause":{"spent":{"spend":"018cc251-f400-8000-8000-000000000000","order":"A-17"}},"moves":[{"lot":0,"minor":-700}],"spender":"018cc251-f400-7000-8000-000000000000"}}"#,
    ),
    (
        "credit_posted",
        r#"{"by":"shop","deed":{"currency":"EUR","cause":{"held":{"hold":"payment 3","until":883612800000}},"moves":[{"lot":0,"minor":-500,"held":500}]}}"#,
    ),
    (
        "credit_posted",
        r#"{"by":"shop","deed":{"currency":"EUR","cause":{"captured":{"hold":"payment 3","spend":"018cc251-f400-8000-8000-000000000000"}},"moves":[{"lot":0,"minor":100,"held":-500,"terms":{"origin":"advance","issued_at":852076800000,"expires_at":null}}]}}"#,
    ),
    (
        "credit_posted",
        r#"{"by":"shop","deed":{"currency":"EUR","cause":{"released":{"hold":"payment 3"}},"moves":[]}}"#,
    ),
    ("credit_posted", r#"{"by":"rule","deed":{"currency":"EUR","cause":{"lapsed":{"hold":"payment 3"}},"moves":[]}}"#),
    ("credit_posted", r#"{"by":"rule","deed":{"currency":"EUR","cause":"expired","moves":[{"lot":2,"minor":-9}]}}"#),
    (
        "credit_posted",
        r#"{"by":"shop","deed":{"currency":"JPY","cause":{"adjusted":{"reason":"typing error"}},"moves":[{"lot":0,"minor":-1}]}}"#,
    ),
    (
        "credit_posted",
        r#"{"by":"shop","deed":{"currency":"EUR","cause":{"reversed":{"spend":"018cc251-f400-8000-8000-000000000000","reason":"sent back"}},"moves":[{"lot":3,"minor":700,"terms":{"origin":"advance","issued_at":852076800000,"expires_at":883612800000},"was":0}]}}"#,
    ),
    (
        "credit_posted",
        r#"{"by":"rule","deed":{"currency":"EUR","cause":{"settled":{"with":"018cc251-f400-7000-8000-000000000000","of":{"spend":"018cc251-f400-8000-8000-000000000000"}}},"moves":[{"lot":4,"owed":60,"terms":{"origin":"advance","issued_at":852076800000,"expires_at":null}}]}}"#,
    ),
    (
        "credit_posted",
        r#"{"by":"rule","deed":{"currency":"EUR","cause":{"settled":{"with":"018cc251-f400-7000-8000-000000000000","of":{"hold":"payment 3"}}},"moves":[{"lot":0,"minor":-30,"held":30}]}}"#,
    ),
    (
        "gift_card_posted",
        r#"{"by":"shop","deed":{"card":"000102030405060708090a0b0c0d0e0f","amount":{"minor":5000,"currency":"EUR"},"kind":{"issued":{"expires_at":883612800000,"order":"A-17"}}}}"#,
    ),
    (
        "gift_card_posted",
        r#"{"by":"shop","deed":{"card":"000102030405060708090a0b0c0d0e0f","amount":{"minor":5000,"currency":"EUR"},"kind":{"issued":{}}}}"#,
    ),
    (
        "gift_card_posted",
        r#"{"by":"shop","deed":{"card":"000102030405060708090a0b0c0d0e0f","amount":{"minor":5000,"currency":"EUR"},"kind":{"redeemed":{"by":"018cc251-f400-7000-8000-000000000000"}}}}"#,
    ),
    (
        "gift_card_posted",
        r#"{"by":"shop","deed":{"card":"000102030405060708090a0b0c0d0e0f","amount":{"minor":5000,"currency":"EUR"},"kind":{"blocked":{"reason":"lost"}}}}"#,
    ),
    (
        "gift_card_posted",
        r#"{"by":"rule","deed":{"card":"000102030405060708090a0b0c0d0e0f","amount":{"minor":5000,"currency":"EUR"},"kind":"expired"}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"shop","deed":{"program":"points","kind":{"given":{"to":"018cc251-f400-7000-8000-000000000000","reason":"birthday","counted":{"at":852076800000,"zone":"Europe/Lisbon"}}},"moves":[{"lot":0,"points":-5}],"owed":0}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"shop","deed":{"program":"points","kind":{"given":{"to":"018cc251-f400-7000-8000-000000000000","reason":"for all"}},"moves":[{"lot":0,"points":-5}],"owed":0}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"shop","deed":{"program":"points","kind":{"received":{"from":"018cc251-f400-7000-8000-000000000000","reason":"birthday"}},"moves":[{"lot":0,"points":5,"opens":{"origin":{"gift":"018cc251-f400-7000-8000-000000000000"},"earned_at":852076800000,"waits":null,"expires_at":null}}],"owed":0}}"#,
    ),
    ("pool_moved", r#"{"by":"shop","deed":{"program":"points","step":{"opened":{"kind":"household"}}}}"#),
    (
        "pool_moved",
        r#"{"by":"shop","deed":{"program":"points","step":{"joined":{"member":"018cc251-f400-7000-8000-000000000000","allowance":{"own":{"points":50,"per":"month"}}}}}}"#,
    ),
    (
        "pool_moved",
        r#"{"by":"shop","deed":{"program":"points","step":{"allowed":{"member":"018cc251-f400-7000-8000-000000000000","allowance":"as_all"}}}}"#,
    ),
    (
        "pool_moved",
        r#"{"by":"shop","deed":{"program":"points","step":{"contributed":{"member":"018cc251-f400-7000-8000-000000000000","points":5}}}}"#,
    ),
    (
        "pool_moved",
        r#"{"by":"shop","deed":{"program":"points","step":{"spent":{"member":"018cc251-f400-7000-8000-000000000000","points":5,"counted":{"at":852076800000,"zone":"UTC"},"posting":"018cc251-f400-7000-8000-000000000000"}}}}"#,
    ),
    (
        "pool_moved",
        r#"{"by":"shop","deed":{"program":"points","step":{"unspent":{"member":"018cc251-f400-7000-8000-000000000000","points":5,"counted":{"at":852076800000,"zone":"UTC"},"posting":"018cc251-f400-7000-8000-000000000000"}}}}"#,
    ),
    (
        "pool_moved",
        r#"{"by":"shop","deed":{"program":"points","step":{"left":{"member":"018cc251-f400-7000-8000-000000000000","points":0}}}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"rule","deed":{"program":"points","kind":{"earned":{"fact":"018cc251-f400-7000-8000-000000000000"}},"moves":[{"lot":0,"points":7,"opens":{"origin":{"fact":"018cc251-f400-7000-8000-000000000000"},"earned_at":852076800000,"waits":null,"expires_at":null}},{"lot":1,"bucket":"pending","points":3,"opens":{"origin":{"share":{"fact":"018cc251-f400-7000-8000-000000000000","pool":"018cc251-f400-7000-8000-000000000000","millionths":300000}},"earned_at":852076800000,"waits":{"until":852076800000},"expires_at":null}}],"owed":0}}"#,
    ),
    (
        "points_posted",
        r#"{"by":"rule","deed":{"program":"points","kind":{"pooled":{"fact":"018cc251-f400-7000-8000-000000000000","pool":"018cc251-f400-7000-8000-000000000000"}},"moves":[{"lot":1,"bucket":"pending","points":-3}],"owed":0}}"#,
    ),
    (
        "pool_moved",
        r#"{"by":"shop","deed":{"program":"points","step":{"entered":{"pool":"018cc251-f400-7000-8000-000000000000"}}}}"#,
    ),
    (
        "pool_moved",
        r#"{"by":"shop","deed":{"program":"points","step":{"quit":{"pool":"018cc251-f400-7000-8000-000000000000"}}}}"#,
    ),
    (
        "referral_moved",
        r#"{"by":"shop","deed":{"name":"bring-a-friend","step":{"referred":{"by":"018cc251-f400-7000-8000-000000000000","at":852076800000}}}}"#,
    ),
    (
        "referral_moved",
        r#"{"by":"rule","deed":{"name":"bring-a-friend","step":{"confirmed":{"order":"018cc251-f400-7000-8000-000000000000","at":852076800000}}}}"#,
    ),
    ("referral_moved", r#"{"by":"rule","deed":{"name":"bring-a-friend","step":{"rewarded":{"points":200}}}}"#),
    ("referral_moved", r#"{"by":"rule","deed":{"name":"bring-a-friend","step":{"lapsed":{"why":"not_new"}}}}"#),
    (
        "referral_moved",
        r#"{"by":"shop","deed":{"name":"bring-a-friend","step":{"brought":{"who":"018cc251-f400-7000-8000-000000000000"}}}}"#,
    ),
    (
        "referral_moved",
        r#"{"by":"rule","deed":{"name":"bring-a-friend","step":{"thanked":{"who":"018cc251-f400-7000-8000-000000000000","points":500,"counted":{"at":852076800000,"zone":"UTC"}}}}}"#,
    ),
    (
        "draw_won",
        r#"{"by":"rule","deed":{"draw":"spring","place":1,"seed":"0000000000000000000000000000000000000000000000000000000000000000","entries":"0000000000000000000000000000000000000000000000000000000000000000","among":10,"tickets":3}}"#,
    ),
    (
        "looked_up",
        r#"{"by":{"plugin":{"name":"p","version":"1","digest":"0000000000000000000000000000000000000000000000000000000000000000"}},"deed":{"source":"stock","field":"pieces","keys":["000102030405060708090a0b0c0d0e0f","010102030405060708090a0b0c0d0e0f"],"values":[{"int":3},null]}}"#,
    ),
    (
        "remembered",
        r#"{"by":{"plugin":{"name":"p","version":"2","digest":"0000000000000000000000000000000000000000000000000000000000000000"}},"deed":{"memory":"00ff","from":{"version":"1","digest":"0000000000000000000000000000000000000000000000000000000000000000"}}}"#,
    ),
    ("coupon_claimed", r#"{"by":"shop","deed":{"coupon":"SPRING-26","uses":100}}"#),
    (
        "tier_kept",
        r#"{"by":"rule","deed":{"program":"points","tier":"gold","until":883612800000,"why":"grace","then":"silver"}}"#,
    ),
    ("tier_kept", r#"{"by":"rule","deed":{"program":"points","tier":"gold","why":"lifetime"}}"#),
    ("tier_kept", r#"{"by":"shop","deed":{"program":"points","tier":null,"why":"invited","then":"black"}}"#),
    (
        "coupon_reserved",
        r#"{"by":"shop","deed":{"coupon":"SPRING-26","name":"cart 7","at":852076800000,"expires_at":852080400000,"uses":100}}"#,
    ),
    (
        "coupon_redeemed",
        r#"{"by":"shop","deed":{"coupon":"SPRING-26","name":"cart 7","at":852076800000,"gives":{"percent_off":10},"order":"1001","undone":"released","reserved":true,"uses":100}}"#,
    ),
    (
        "coupon_redeemed",
        r#"{"by":"shop","deed":{"coupon":"tv","name":"1002","at":852076800000,"gives":{"amount_off":{"minor":500,"currency":"EUR"}},"undone":"forfeited","by":{"voucher":"000102030405060708090a0b0c0d0e0f","batch":"766f7563-f400-8000-8000-000000000000"}}}"#,
    ),
    (
        "coupon_released",
        r#"{"by":"rule","deed":{"coupon":"tv","name":"1002","cause":"order_undone","by":{"voucher":"000102030405060708090a0b0c0d0e0f","batch":null}}}"#,
    ),
    (
        "voucher_issued",
        r#"{"by":"rule","deed":{"voucher":"000102030405060708090a0b0c0d0e0f","coupon":"free-coffee","at":852076800000,"expires_at":883612800000,"from":{"stamps":{"card":"tenth_coffee","since":0}}}}"#,
    ),
    (
        "voucher_issued",
        r#"{"by":"shop","deed":{"voucher":"000102030405060708090a0b0c0d0e0f","coupon":"tv","at":852076800000,"from":"shop"}}"#,
    ),
    (
        "voucher_withdrawn",
        r#"{"by":"rule","deed":{"voucher":"000102030405060708090a0b0c0d0e0f","cause":"stamps_gone"}}"#,
    ),
    (
        "reward_claimed",
        r#"{"by":"shop","deed":{"claim":"018cc251-f400-7000-8000-000000000000","reward":"mug","program":"points","points":500,"money":{"minor":300,"currency":"EUR"},"at":852076800000,"cancel_until":852163200000,"stock":5,"gives":{"product":"M-1"}}}"#,
    ),
    (
        "reward_claimed",
        r#"{"by":"shop","deed":{"claim":"018cc251-f400-7000-8000-000000000000","reward":"ten","program":"points","points":1,"at":852076800000,"gives":{"voucher":{"coupon":"tv","lasts":86400000}}}}"#,
    ),
    ("reward_cancelled", r#"{"by":"shop","deed":{"claim":"018cc251-f400-7000-8000-000000000000","reward":"mug"}}"#),
    ("badge_earned", r#"{"by":"rule","deed":{"badge":"ten_orders","at":852076800000}}"#),
    ("tag_added", r#"{"by":"shop","deed":{"tag":"vip"}}"#),
    ("notified", r#"{"by":"shop","deed":{"topic":"offer"}}"#),
    ("remembered", r#"{"by":"shop","deed":{"memory":"0aff"}}"#),
    (
        "identifier_attached",
        r#"{"by":"rule","deed":{"identifier":{"kind":"external","hash":"000102030405060708090a0b0c0d0e0f"}}}"#,
    ),
    (
        "identified",
        r#"{"identifier":{"kind":"external","hash":"000102030405060708090a0b0c0d0e0f"},"scope":"0001020304050607","assurance":{"verified":{"by":"double_opt_in"}}}"#,
    ),
    ("identified", r#"{"identifier":{"kind":"email","hash":"000102030405060708090a0b0c0d0e0f"},"assurance":"stated"}"#),
    (
        "identifier_attached",
        r#"{"by":"rule","deed":{"identifier":{"kind":"external","hash":"000102030405060708090a0b0c0d0e0f"},"scope":"0001020304050607","at":852076800000,"assurance":"stated"}}"#,
    ),
    (
        "identifier_set_aside",
        r#"{"by":"rule","deed":{"identifier":{"kind":"card","hash":"000102030405060708090a0b0c0d0e0f"},"reason":"blocked"}}"#,
    ),
    (
        "identifier_set_aside",
        r#"{"by":"rule","deed":{"identifier":{"kind":"card","hash":"000102030405060708090a0b0c0d0e0f"},"reason":{"limit":{"kind":"card","limit":5}}}}"#,
    ),
    (
        "identifier_set_aside",
        r#"{"by":"rule","deed":{"identifier":{"kind":"email","hash":"000102030405060708090a0b0c0d0e0f"},"reason":{"disagrees":{"kind":"external","with":"018cc251-f400-7000-8000-000000000000"}}}}"#,
    ),
    ("plugin_faulted", r#"{"by":"shop","deed":{"trigger":"visited","fault":"deadline"}}"#),
    (
        "consent_given",
        r#"{"purpose":"marketing","channel":"sms","basis":"consent","proof":{"method":"form","wording":{"version":"2026-01","sha256":"0000000000000000000000000000000000000000000000000000000000000000","locale":"de-AT"},"collected_by":"checkout"}}"#,
    ),
    (
        "consent_given",
        r#"{"purpose":"marketing","channel":"email","scope":"brand.a","basis":"consent","proof":{"method":"double_opt_in","wording":{"version":"2026-01","sha256":"0000000000000000000000000000000000000000000000000000000000000000","locale":"de-AT"},"collected_by":"page","evidence":"018cc251-f400-7000-8000-000000000000"},"address":{"kind":"email","hash":"000102030405060708090a0b0c0d0e0f"},"expires_at":1767225600000}"#,
    ),
    (
        "consent_given",
        r#"{"purpose":"marketing","channel":"letter","basis":"consent","proof":{"method":"import","wording":{"version":"2026-01","sha256":"0000000000000000000000000000000000000000000000000000000000000000","locale":"de-AT"},"collected_by":"migration","original":{"method":"paper","at":852076800000,"collected_by":"old shop"}}}"#,
    ),
    (
        "consent_requested",
        r#"{"purpose":"marketing","channel":"email","basis":"consent","address":{"kind":"email","hash":"000102030405060708090a0b0c0d0e0f"},"proof":{"method":"form","wording":{"version":"2026-01","sha256":"0000000000000000000000000000000000000000000000000000000000000000","locale":"de-AT"},"collected_by":"footer"},"confirm_by":1767225600000}"#,
    ),
    ("consent_refused", r#"{"purpose":{"one":"marketing"},"channel":{"one":"phone"},"how":"call"}"#),
    (
        "consent_withdrawn",
        r#"{"purpose":{"one":"marketing"},"channel":{"one":"email"},"scope":"brand.a","how":"one_click"}"#,
    ),
    ("consent_withdrawn", r#"{"purpose":"all","channel":{"one":"sms"},"how":"reply"}"#),
    ("restricted", r#"{"reason":"accuracy contested"}"#),
    ("restriction_lifted", r#"{}"#),
    ("objected", r#"{"to":"marketing"}"#),
    ("objection_withdrawn", r#"{"to":"profiling"}"#),
    ("contacted", r#"{"purpose":"marketing","channel":"email"}"#),
    (
        "suppression_lifted",
        r#"{"address":{"kind":"email","hash":"000102030405060708090a0b0c0d0e0f"},"proof":{"method":"reply","wording":{"version":"2026-01","sha256":"0000000000000000000000000000000000000000000000000000000000000000","locale":"de-AT"},"collected_by":"gateway"}}"#,
    ),
];

#[test]
fn what_was_stored_is_read_and_written_as_it_was() {
    for (kind, body) in STORED {
        let event = EventBody::decode(kind, 1, body.as_bytes()).unwrap_or_else(|e| panic!("{kind} {body}: {e:?}"));
        assert!(!matches!(event, EventBody::Unrecognised { .. }), "{kind}");
        assert_eq!((event.kind().as_str(), event.shape()), (kind, 1));
        assert_eq!(String::from_utf8(event.encode()).unwrap(), body);
    }
}

#[test]
fn what_a_newer_version_wrote_is_kept_as_it_is() {
    for (kind, shape) in [("teleported", 1), ("visited", 2), ("shop.", 1)] {
        let event = EventBody::decode(kind, shape, b"{\"anything\": [1, 2]}").unwrap();
        assert!(matches!(event, EventBody::Unrecognised { .. }), "{kind} {shape}");
        assert_eq!(
            (event.kind().as_str(), event.shape(), event.encode()),
            (kind, shape, b"{\"anything\": [1, 2]}".to_vec())
        );
    }
}

#[test]
fn a_body_that_is_not_what_it_says_is_an_error() {
    let bad = [
        ("visited", "{}"),
        ("visited", "not json"),
        ("order_placed", r#"{"total":{"minor":1e400,"currency":"USD"}}"#),
        ("order_placed", r#"{"total":{"minor":9223372036854775808,"currency":"USD"}}"#),
        ("order_placed", r#"{"total":{"minor":1,"currency":"usd"}}"#),
        ("tagged", r#"{"tag":""}"#),
        ("points_posted", r#"{"by":"nobody","deed":{}}"#),
        ("identified", r#"{"identifier":{"kind":"email","hash":"00"}}"#),
        ("consent_given", r#"{"purpose":"marketing","channel":"sms","basis":"consent"}"#),
        (
            "consent_given",
            r#"{"purpose":"marketing","channel":"sms","basis":"consent","proof":{"method":"form","collected_by":"checkout"}}"#,
        ),
        (
            "consent_given",
            r#"{"purpose":"marketing","channel":"sms","basis":"consent","proof":{"method":"form","wording":{"sha256":"0000000000000000000000000000000000000000000000000000000000000000","locale":"de"},"collected_by":"checkout"}}"#,
        ),
        (
            "consent_given",
            r#"{"purpose":"a/b","channel":"sms","basis":"consent","proof":{"method":"form","wording":{"version":"2026-01","sha256":"0000000000000000000000000000000000000000000000000000000000000000","locale":"de-AT"},"collected_by":"checkout"}}"#,
        ),
        ("case_opened", r#"{"case":"C-17","kind":"plea"}"#),
        ("case_closed", r#"{"case":"","outcome":"resolved"}"#),
        ("attribute_set", r#"{"attribute":"height","value":{"decimal":1.85}}"#),
        ("attribute_set", r#"{"attribute":"height","value":1.85}"#),
        ("attribute_set", r#"{"attribute":"","value":{"whole":1}}"#),
        ("consent_withdrawn", r#"{"channel":"all","how":"reply"}"#),
        ("objected", r#"{"to":"everything"}"#),
        (
            "tied",
            r#"{"other":"018cc251-f400-7000-8000-000000000000","kind":"follows","direction":"incoming","strength":1001}"#,
        ),
    ];
    for (kind, body) in bad {
        assert!(EventBody::decode(kind, 1, body.as_bytes()).is_err(), "{kind} {body}");
    }
}
