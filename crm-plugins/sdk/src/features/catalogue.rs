//! Generated from the catalogue of attributes by `crm-core/tests/feature_catalogue.rs`.

catalogue! {
    RECENCY_DAYS, recency_days, Days, "Days since the newest order that stands; missing if there is none.";
    TENURE_DAYS, tenure_days, Days, "Days since the oldest order that stands; missing if there is none.";
    AGE_DAYS, age_days, Days, "Days since the first fact; missing if there is none.";
    ORDERS, orders, Count, "Orders that stand.";
    REFUNDS, refunds, Count, "Refunds, matched or not.";
    SPEND, spend, MinorUnits, "Orders less refunds.";
    GROSS_SPEND, gross_spend, MinorUnits, "Orders before refunds.";
    AVERAGE_ORDER, average_order, MinorUnits, "Spend divided by orders that stand, rounded down; missing if there is none.";
    VISITS, visits, Count, "Visits.";
    ENQUIRIES, enquiries, Count, "Enquiries.";
    CARTS, carts, Count, "Times a cart was filled or changed.";
    POINTS, points, Points, "Points that can be spent; negative when points are owed.";
    POINTS_EARNED, points_earned, Points, "Points earned or awarded and not taken back, ever.";
}
