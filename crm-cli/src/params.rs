//! Parameters from the command line, each of the kind that the manifest gives it.

use crm_plugins::{Entry, Manifest, ParamKind, Value};

use crate::ParamArgs;
use crate::error::Error;

impl ParamArgs {
    /// The values for a plugin.
    pub(crate) fn read(&self, manifest: &Manifest) -> Result<Vec<Entry>, Error> {
        self.params.iter().map(|param| read(param, manifest)).collect()
    }
}

fn read(param: &str, manifest: &Manifest) -> Result<Entry, Error> {
    let Some((name, value)) = param.split_once('=') else {
        return Err(Error::ParamShape { param: param.to_owned() });
    };
    let Some(declared) = manifest.params.iter().find(|declared| declared.name == name) else {
        let known: Vec<&str> = manifest.params.iter().map(|param| param.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(Error::ParamUnknown { name: name.to_owned(), known });
    };
    let (expected, read) = match declared.kind {
        ParamKind::Boolean => ("true or false", value.parse().ok().map(Value::Bool)),
        ParamKind::Int => ("a whole number", value.parse().ok().map(Value::Int)),
        ParamKind::Float => {
            ("a finite number", value.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float))
        }
        ParamKind::Text => ("text", Some(Value::Text(value.to_owned()))),
    };
    match read {
        Some(value) => Ok(Entry::new(name, value)),
        None => Err(Error::ParamValue { name: name.to_owned(), expected, value: value.to_owned() }),
    }
}
