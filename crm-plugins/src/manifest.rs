//! What a plugin says about itself, read from the custom section `crm:manifest` without running it.

use serde::Deserialize;

use crate::fault::InputError;
use crate::value::{Entry, Value};

/// The custom section that holds the manifest, as JSON.
pub const MANIFEST_SECTION: &str = "crm:manifest";

/// The unit of linear memory.
pub(crate) const PAGE_BYTES: u64 = 64 << 10;

const NAMES_MAX: usize = 256;
const NAME_BYTES_MAX: usize = 64;

/// What a plugin is, what it wants to see and what it may ask for.
///
/// Names of features, fields, outputs, events, actions, look-ups and parameters are 1 to 64 of `a-z`, `0-9`, `_`,
/// `-`, `.` and `:`, begin with a letter and are unique within their list of at most 256.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// The version of the contract, `0.1`.
    pub api: String,
    /// The plugin's name, spelled like the others.
    pub name: String,
    /// The plugin's version: 1 to 32 of letters, digits, `.`, `-` and `+`.
    pub version: String,
    /// What a scorer's columns are, in order, or what a workflow sees of its customer.
    #[serde(default)]
    pub features: Vec<String>,
    /// What a workflow wants to see of the customer's personal card, such as `given_name`. The shop
    /// grants these one by one, and a workflow must cope without; scorers never see any.
    #[serde(default)]
    pub fields: Vec<String>,
    /// What a scorer returns, in order. Empty if the plugin is no scorer.
    #[serde(default)]
    pub outputs: Vec<Output>,
    /// The kinds of event that a workflow listens to. Empty if the plugin is no workflow.
    #[serde(default)]
    pub events: Vec<String>,
    /// The kinds of action that a workflow may ask for.
    #[serde(default)]
    pub actions: Vec<String>,
    /// The sources in which a workflow looks things up, such as `prices`. All of them must be
    /// granted.
    #[serde(default)]
    pub lookups: Vec<String>,
    /// Limits that are enough for this plugin. What holds is the smaller of these and the host's.
    #[serde(default)]
    pub limits: WantedLimits,
    /// What whoever installs the plugin may set.
    #[serde(default)]
    pub params: Vec<Param>,
}

/// Limits that a plugin finds enough; what is left out is the host's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct WantedLimits {
    /// Linear memory of one instance, in bytes; 64 KiB (a page) at least.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Wall-clock time of one call, in milliseconds; 1 at least.
    #[serde(default)]
    pub deadline_ms: Option<u32>,
}

/// One column that a scorer returns.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Output {
    /// Its name, such as `churn`.
    pub name: String,
    /// What its cells are.
    #[serde(default)]
    pub kind: OutputKind,
    /// The least score; none if there is no bound. For numbers only.
    #[serde(default)]
    pub min: Option<f64>,
    /// The greatest score; none if there is no bound. For numbers only.
    #[serde(default)]
    pub max: Option<f64>,
}

/// What the cells of an output are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    /// Finite numbers.
    #[default]
    Float,
    /// Whole numbers.
    Int,
    /// True or false.
    Boolean,
    /// Text.
    Word,
}

/// What whoever installs the plugin may set.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Param {
    /// Its name, such as `threshold`.
    pub name: String,
    /// What its value is.
    pub kind: ParamKind,
    /// The value if nothing is set; none makes it required.
    #[serde(default)]
    pub default: Option<ParamDefault>,
}

/// What a parameter's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParamKind {
    /// True or false.
    Boolean,
    /// A whole number.
    Int,
    /// A finite number. A whole one is taken as well.
    Float,
    /// Text.
    Text,
}

/// A default, as JSON has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum ParamDefault {
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(String),
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    ///
    /// If it is no JSON of this shape, has unknown fields, or a name or value breaks a rule.
    pub fn parse(json: &[u8]) -> Result<Manifest, ManifestError> {
        let manifest: Manifest = serde_json::from_slice(json)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The values that an instance is configured with: those given, and the defaults of the rest,
    /// in the order of the manifest.
    pub(crate) fn complete(&self, given: &[Entry]) -> Result<Vec<Entry>, InputError> {
        if let Some(name) = repeated(given.iter().map(|entry| &entry.name)) {
            return Err(InputError::Twice { name: name.clone() });
        }
        if let Some(entry) = given.iter().find(|entry| self.param(&entry.name).is_none()) {
            return Err(InputError::Parameter { name: entry.name.clone() });
        }
        self.params
            .iter()
            .map(|param| {
                let value = match given.iter().find(|entry| entry.name == param.name) {
                    Some(entry) => entry.value.clone(),
                    None => param
                        .default_value()
                        .ok_or_else(|| InputError::ParameterMissing { name: param.name.clone() })?,
                };
                let value = param.kind.accept(value).ok_or_else(|| InputError::ParameterKind {
                    name: param.name.clone(),
                    expected: param.kind.described(),
                })?;
                Ok(Entry { name: param.name.clone(), value })
            })
            .collect()
    }

    fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|param| param.name == name)
    }

    fn check(&self) -> Result<(), ManifestError> {
        if self.api != "0.1" {
            return Err(ManifestError::UnknownApi { api: crate::fault::printable(&self.api, 32) });
        }
        check_name("name", &self.name)?;
        let version_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
        if !(1..=32).contains(&self.version.len()) || !self.version.chars().all(version_char) {
            return Err(ManifestError::Version);
        }
        check_names("features", self.features.iter())?;
        check_names("outputs", self.outputs.iter().map(|output| &output.name))?;
        check_names("events", self.events.iter())?;
        check_names("actions", self.actions.iter())?;
        check_names("lookups", self.lookups.iter())?;
        check_names("params", self.params.iter().map(|param| &param.name))?;
        check_names("fields", self.fields.iter())?;
        if let Some(name) = self.fields.iter().find(|field| self.features.contains(field)) {
            return Err(ManifestError::Ambiguous { name: name.clone() });
        }
        self.limits.check()?;
        self.outputs.iter().try_for_each(Output::check)?;
        self.params.iter().try_for_each(Param::check)
    }
}

impl WantedLimits {
    fn check(&self) -> Result<(), ManifestError> {
        if self.memory_bytes.is_some_and(|bytes| bytes < PAGE_BYTES) {
            return Err(ManifestError::Limit { limit: "memory_bytes", least: PAGE_BYTES });
        }
        if self.deadline_ms == Some(0) {
            return Err(ManifestError::Limit { limit: "deadline_ms", least: 1 });
        }
        Ok(())
    }
}

impl Output {
    fn check(&self) -> Result<(), ManifestError> {
        let bounded = self.min.is_some() || self.max.is_some();
        let is_number = matches!(self.kind, OutputKind::Float | OutputKind::Int);
        let is_empty = matches!((self.min, self.max), (Some(min), Some(max)) if min > max);
        if (bounded && !is_number) || is_empty {
            return Err(ManifestError::Range { output: self.name.clone() });
        }
        Ok(())
    }
}

impl Param {
    fn default_value(&self) -> Option<Value> {
        Some(match self.default.as_ref()? {
            ParamDefault::Boolean(value) => Value::Bool(*value),
            ParamDefault::Int(value) => Value::Int(*value),
            ParamDefault::Float(value) => Value::Float(*value),
            ParamDefault::Text(value) => Value::Text(value.clone()),
        })
    }

    fn check(&self) -> Result<(), ManifestError> {
        match self.default_value().map(|value| self.kind.accept(value)) {
            Some(None) => Err(ManifestError::Default { param: self.name.clone() }),
            Some(Some(_)) | None => Ok(()),
        }
    }
}

impl ParamKind {
    /// `value` as this kind, if it is of it.
    fn accept(self, value: Value) -> Option<Value> {
        match (self, value) {
            (ParamKind::Boolean, value @ Value::Bool(_))
            | (ParamKind::Int, value @ Value::Int(_))
            | (ParamKind::Text, value @ Value::Text(_)) => Some(value),
            (ParamKind::Float, Value::Float(value)) => value.is_finite().then_some(Value::Float(value)),
            (ParamKind::Float, Value::Int(value)) => {
                // Exact up to 2^53, far beyond any threshold or weight.
                Some(Value::Float(value as f64))
            }
            (ParamKind::Boolean | ParamKind::Int | ParamKind::Float | ParamKind::Text, _) => None,
        }
    }

    fn described(self) -> &'static str {
        match self {
            ParamKind::Boolean => "true or false",
            ParamKind::Int => "a whole number",
            ParamKind::Float => "a finite number",
            ParamKind::Text => "text",
        }
    }
}

/// Why a manifest is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is no JSON of the manifest's shape.
    #[error("the manifest is not of the known shape")]
    Shape(#[from] serde_json::Error),
    /// It is written for a version of the contract that this host does not know.
    #[error("the manifest asks for contract `{api}`, and this host knows 0.1")]
    UnknownApi {
        /// What it asks for.
        api: String,
    },
    /// The version is empty, too long or oddly spelled.
    #[error("the version is not 1 to 32 letters, digits, `.`, `-` and `+`")]
    Version,
    /// A name breaks the rules.
    #[error("a name in `{list}` is not 1 to 64 of a-z, 0-9, `_`, `-`, `.` and `:` after a letter")]
    Name {
        /// The field that holds it.
        list: &'static str,
    },
    /// A name stands twice in a list.
    #[error("`{name}` stands twice in `{list}`")]
    Twice {
        /// The field.
        list: &'static str,
        /// The name.
        name: String,
    },
    /// A list is too long.
    #[error("`{list}` holds {count} names, and {max} are allowed")]
    TooMany {
        /// The field.
        list: &'static str,
        /// How many it holds.
        count: usize,
        /// How many it may hold.
        max: usize,
    },
    /// A name is a feature and a personal field at once, and a guest could not tell which it got.
    #[error("`{name}` stands in `features` and in `fields`")]
    Ambiguous {
        /// The name.
        name: String,
    },
    /// A wanted limit is too small for any plugin.
    #[error("a limit `{limit}` under {least} lets no plugin run")]
    Limit {
        /// Which one.
        limit: &'static str,
        /// What it must be at least.
        least: u64,
    },
    /// A range is empty, or bounds something that is no number.
    #[error("the range of output `{output}` is empty, or the output is no number")]
    Range {
        /// The output.
        output: String,
    },
    /// A default is not of its parameter's kind.
    #[error("the default of parameter `{param}` is not of its kind")]
    Default {
        /// The parameter.
        param: String,
    },
}

/// Whether `name` is spelled as the names of a manifest are.
pub(crate) fn is_name(name: &str) -> bool {
    let follows = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b':');
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(follows)
}

/// The first item that equals one before it.
pub(crate) fn repeated<'a>(names: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let mut seen = std::collections::HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

fn check_name(list: &'static str, name: &str) -> Result<(), ManifestError> {
    if is_name(name) { Ok(()) } else { Err(ManifestError::Name { list }) }
}

fn check_names<'a>(list: &'static str, names: impl Iterator<Item = &'a String> + Clone) -> Result<(), ManifestError> {
    let count = names.clone().count();
    if count > NAMES_MAX {
        return Err(ManifestError::TooMany { list, count, max: NAMES_MAX });
    }
    names.clone().try_for_each(|name| check_name(list, name))?;
    match repeated(names) {
        Some(name) => Err(ManifestError::Twice { list, name: name.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(fields: &str) -> Result<Manifest, ManifestError> {
        let json = format!(r#"{{"api": "0.1", "name": "churn", "version": "1.0.0", {fields}}}"#);
        Manifest::parse(json.as_bytes())
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (fields, words) in [
            (r#""features": ["orders", "orders"]"#, "`orders` stands twice in `features`"),
            (r#""features": ["Orders"]"#, "a name in `features`"),
            (r#""actions": [""]"#, "a name in `actions`"),
            (r#""outputs": [{"name": "a", "min": 1, "max": 0}]"#, "range of output `a`"),
            (r#""outputs": [{"name": "a", "kind": "word", "max": 0}]"#, "range of output `a`"),
            (r#""params": [{"name": "a", "kind": "int", "default": 0.5}]"#, "parameter `a`"),
            (r#""lookups": ["prices", "prices"]"#, "`prices` stands twice in `lookups`"),
            (r#""features": ["city"], "fields": ["city"]"#, "`city` stands in `features` and in `fields`"),
            (r#""limits": {"memory_bytes": 65535}"#, "`memory_bytes` under 65536"),
            (r#""limits": {"deadline_ms": 0}"#, "`deadline_ms` under 1"),
            (r#""limits": {"fuel": 1}"#, "known shape"),
            (r#""secrets": []"#, "known shape"),
        ] {
            let error = manifest(fields).unwrap_err().to_string();
            assert!(error.contains(words), "{fields}: {error}");
        }
    }

    #[test]
    fn an_unknown_contract_is_named() {
        let json = br#"{"api": "7.0", "name": "churn", "version": "1"}"#;
        let error = Manifest::parse(json).unwrap_err().to_string();
        assert_eq!(error, "the manifest asks for contract `7.0`, and this host knows 0.1");
    }

    #[test]
    fn parameters_are_checked_and_completed() {
        let params = r#""params": [
            {"name": "limit", "kind": "float", "default": 2},
            {"name": "topic", "kind": "text"}
        ]"#;
        let manifest = manifest(params).unwrap();
        let topic = Entry::new("topic", "offer");
        assert_eq!(manifest.complete(std::slice::from_ref(&topic)).unwrap(), [Entry::new("limit", 2.0), topic.clone()]);
        let check = |given: &[Entry]| manifest.complete(given).unwrap_err().to_string();
        assert_eq!(check(&[]), "parameter `topic` is required");
        assert_eq!(check(&[Entry::new("topic", 1)]), "parameter `topic` must be text");
        assert_eq!(check(&[Entry::new("depth", 1)]), "the plugin has no parameter `depth`");
        assert_eq!(check(&[topic.clone(), topic]), "`topic` was given twice");
    }
}
