//! The macros that make a plugin of a type: they write the manifest and the exports.

/// Makes the crate a scorer. `features` are the columns it gets, in order; `outputs` are the columns
/// it returns, each a `float`, `int`, `boolean` or `word`, numbers with a range if there is one;
/// `params` are what whoever installs it may set, each a `boolean`, `int`, `float` or `text`, with a
/// default or required. The version is the crate's own. One of these in each crate.
///
/// ```
/// use crm_plugin_sdk::{Batch, Column, Failure, Scorer, register_scorer};
///
/// #[derive(Default)]
/// struct Recency;
///
/// impl Scorer for Recency {
///     fn score(&self, batch: &Batch) -> Result<Vec<Column>, Failure> {
///         let days = batch.floats("recency_days")?;
///         Ok(vec![batch.map(|row| Some((days.get(row)? / 365.0).min(1.0)))])
///     }
/// }
///
/// register_scorer!(Recency {
///     name: "recency",
///     features: ["recency_days"],
///     outputs: ["recency": float in 0..=1],
///     params: ["weight": float = 1.0, "label": text],
/// });
/// # fn main() {
/// # let manifest = std::str::from_utf8(<Recency as crm_plugin_sdk::Registered>::MANIFEST).unwrap();
/// # assert!(manifest.starts_with(r#"{"api":"0.1","name":"recency","version":"#), "{manifest}");
/// # }
/// ```
#[macro_export]
macro_rules! register_scorer {
    ($plugin:ident {
        name: $name:literal,
        features: [$($feature:literal),* $(,)?],
        outputs: [$($output:literal : $kind:ident $(in $min:literal ..= $max:literal)?),+ $(,)?]
        $(, params: [$($param:literal : $param_kind:ident $(= $default:literal)?),* $(,)?])?
        $(,)?
    }) => {
        $crate::__register!($plugin,
            [$name, $($feature,)* $($output,)* $($($param,)*)?],
            concat!(
                "{\"api\":\"0.1\",\"name\":\"", $name,
                "\",\"version\":\"", env!("CARGO_PKG_VERSION"),
                "\",\"features\":[", $("\"", $feature, "\",",)*
                "],\"outputs\":[",
                $("{\"name\":\"", $output, "\",\"kind\":\"", stringify!($kind), "\"",
                    $(",\"min\":", $min, ",\"max\":", $max,)? "},",)*
                "],\"params\":[",
                $($("{\"name\":\"", $param, "\",\"kind\":\"", stringify!($param_kind), "\"",
                    $(",\"default\":", $crate::__default!($param_kind $default),)? "},",)*)?
                "]}"
            ));

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            ::std::thread_local! {
                static PLUGIN: ::std::cell::RefCell<Option<$plugin>> =
                    const { ::std::cell::RefCell::new(None) };
            }

            struct Export;

            impl $crate::__private::ScorerExport for Export {
                fn configure(
                    params: Vec<$crate::__private::Entry>,
                ) -> Result<(), $crate::__private::Failure> {
                    $crate::__private::configure_scorer(&PLUGIN, params)
                }

                fn score(
                    batch: $crate::__private::Batch,
                ) -> Result<Vec<$crate::__private::Column>, $crate::__private::Failure> {
                    $crate::__private::score(&PLUGIN, &[$($feature),*], batch)
                }
            }

            $crate::__private::export_scorer!(Export with_types_in $crate::__private::scorer);
        };
    };
}

/// Makes the crate a workflow. `features` are the customer's entries it asks to see, `events` the
/// kinds of event it listens to, `actions` the kinds of action it may ask for, `fields` what it wants to
/// see of the customer's personal card, `lookups` the sources in which it looks things up
/// ([`lookup`](crate::lookup)), `params` what whoever installs it may set, each a `boolean`, `int`,
/// `float` or `text`, with a default or required. `fields`, `lookups` and `params` may be left out, and
/// come in this order. The version is the crate's own. One of these in each crate.
///
/// ```
/// use crm_plugin_sdk::{Action, Entries, Event, Failure, Outcome, Workflow, register_workflow};
///
/// #[derive(Default)]
/// struct Greeting;
///
/// impl Workflow for Greeting {
///     fn handle(&self, _: &Event, _: &Entries, _: &[u8]) -> Result<Outcome, Failure> {
///         Ok(Outcome::ask([Action::notify("welcome")]))
///     }
/// }
///
/// register_workflow!(Greeting {
///     name: "greeting",
///     features: [],
///     events: ["stage_changed"],
///     actions: ["notify"],
/// });
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! register_workflow {
    ($plugin:ident {
        name: $name:literal,
        features: [$($feature:literal),* $(,)?],
        events: [$($event:literal),+ $(,)?],
        actions: [$($action:literal),* $(,)?]
        $(, fields: [$($field:literal),* $(,)?])?
        $(, lookups: [$($source:literal),* $(,)?])?
        $(, params: [$($param:literal : $param_kind:ident $(= $default:literal)?),* $(,)?])?
        $(,)?
    }) => {
        $crate::__register!($plugin,
            [$name, $($feature,)* $($event,)* $($action,)* $($($field,)*)? $($($source,)*)? $($($param,)*)?],
            concat!(
                "{\"api\":\"0.1\",\"name\":\"", $name,
                "\",\"version\":\"", env!("CARGO_PKG_VERSION"),
                "\",\"features\":[", $("\"", $feature, "\",",)*
                "],\"events\":[", $("\"", $event, "\",",)*
                "],\"actions\":[", $("\"", $action, "\",",)*
                "],\"fields\":[", $($("\"", $field, "\",",)*)?
                "],\"lookups\":[", $($("\"", $source, "\",",)*)?
                "],\"params\":[",
                $($("{\"name\":\"", $param, "\",\"kind\":\"", stringify!($param_kind), "\"",
                    $(",\"default\":", $crate::__default!($param_kind $default),)? "},",)*)?
                "]}"
            ));

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            ::std::thread_local! {
                static PLUGIN: ::std::cell::RefCell<Option<$plugin>> =
                    const { ::std::cell::RefCell::new(None) };
            }

            struct Export;

            impl $crate::__private::WorkflowExport for Export {
                fn configure(
                    params: Vec<$crate::__private::Entry>,
                ) -> Result<(), $crate::__private::Failure> {
                    $crate::__private::configure_workflow(&PLUGIN, params)
                }

                fn handle(
                    event: $crate::__private::Event,
                    customer: Vec<$crate::__private::Entry>,
                    memory: Vec<u8>,
                ) -> Result<$crate::__private::Outcome, $crate::__private::Failure> {
                    $crate::__private::handle(&PLUGIN, event, customer, memory)
                }
            }

            $crate::__private::export_workflow!(Export with_types_in $crate::__private::workflow);
        };
    };
}

/// Checks the names, and puts the manifest where a host looks for it.
#[doc(hidden)]
#[macro_export]
macro_rules! __register {
    ($plugin:ident, [$($name:literal,)*], $json:expr) => {
        const _: () = {
            $($crate::__private::assert_name($name);)*

            const JSON: &str = $json;

            #[cfg_attr(target_arch = "wasm32", unsafe(link_section = "crm:manifest"))]
            #[cfg_attr(target_arch = "wasm32", used)]
            static MANIFEST: [u8; JSON.len()] = $crate::__private::tidy(JSON);

            impl $crate::Registered for $plugin {
                const MANIFEST: &'static [u8] = &$crate::__private::tidy::<{ JSON.len() }>(JSON);
            }
        };
    };
}

/// A default as JSON.
#[doc(hidden)]
#[macro_export]
macro_rules! __default {
    (text $default:literal) => {
        concat!("\"", $default, "\"")
    };
    ($kind:ident $default:literal) => {
        $default
    };
}

/// A type that one of the macros made a plugin.
pub trait Registered {
    /// The manifest, as JSON.
    const MANIFEST: &'static [u8];
}
