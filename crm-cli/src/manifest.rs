//! Manifests of guests that no macro wrote: a `plugin.toml` with the same names as the JSON, or the JSON itself.
//!
//! ```toml
//! name = "lapse"
//! version = "1.0.0"
//! features = ["recency_days"]
//!
//! [[outputs]]
//! name = "lapse"
//! min = 0
//! max = 1
//!
//! [[params]]
//! name = "days"
//! kind = "float"
//! default = 365.0
//! ```

use std::path::Path;

use crm_plugins::Manifest;

use crate::error::Error;

/// A manifest before it is checked.
type Fields = serde_json::Map<String, serde_json::Value>;

/// Reads a file, as JSON if it is named so, and gives the manifest with the JSON that goes into a plugin. `api` may be
/// left out: it is that of this tool.
pub(crate) fn read(path: &Path) -> Result<(Manifest, Vec<u8>), Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.into(), source })?;
    let is_json = path.extension().is_some_and(|extension| extension == "json");
    let fields = if is_json { from_json(&text) } else { from_toml(&text) };
    fields.and_then(manifest).map_err(|reason| Error::Manifest { path: path.into(), reason })
}

fn from_toml(text: &str) -> Result<Fields, String> {
    toml::from_str(text).map_err(|error| error.to_string().trim().replace('\n', "\n  "))
}

fn from_json(text: &str) -> Result<Fields, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn manifest(mut fields: Fields) -> Result<(Manifest, Vec<u8>), String> {
    fields.entry("api").or_insert_with(|| "0.1".into());
    let json = serde_json::Value::Object(fields).to_string().into_bytes();
    let manifest = Manifest::parse(&json).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        format!("{error}{}", cause.unwrap_or_default())
    })?;
    Ok((manifest, json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_this_tools_unless_said() {
        let parse = |text: &str| from_toml(text).and_then(manifest);
        let (manifest, json) = parse("name = \"a\"\nversion = \"1\"\nfeatures = [\"orders\"]").unwrap();
        assert_eq!((manifest.api.as_str(), manifest.features), ("0.1", vec!["orders".to_owned()]));
        assert!(String::from_utf8(json).unwrap().contains("\"api\":\"0.1\""));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = |text: &str| from_toml(text).and_then(manifest).unwrap_err();
        assert!(error("name = \"a\"\nversion = \"1\"\nfeatrues = []").contains("unknown field `featrues`"));
        assert!(error("name = \"a\"\nversion = \"1\"\nfeatures = [\"A\"]").contains("a name in `features`"));
        assert!(error("name = ").contains("line 1"));
    }
}
