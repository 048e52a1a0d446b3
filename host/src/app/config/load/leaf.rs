//! One value: whether its key can hold it, and what an operator is told if not.

use figment::{
    Figment, Metadata, Profile, Provider,
    error::Kind,
    util::nest,
    value::{Dict, Map, Value},
};

use super::Config;

/// One value from one place.
pub(super) struct Layer {
    pub place: String,
    pub key: String,
    pub value: Value,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.place.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let dict = nest(&self.key, self.value.clone()).into_dict().unwrap_or_default();
        Ok(Profile::Default.collect(dict))
    }
}

/// Whether the key can hold the value, all others being default.
pub(super) fn check_leaf(key: &str, value: &Value) -> Result<(), Kind> {
    let layer = Layer {
        place: String::new(),
        key: key.to_owned(),
        value: value.clone(),
    };
    Figment::from(layer)
        .extract::<Config>()
        .map(drop)
        .map_err(|error| error.kind)
}

/// What the key takes, in words.
pub(super) fn expectation(kind: &Kind) -> String {
    match kind {
        Kind::InvalidType(_, expected) | Kind::InvalidValue(_, expected) => {
            let expected = match expected.as_str() {
                "u32" => "a whole number from 0 to 4294967295",
                "i32" => "a whole number",
                "u64" | "usize" => "a whole number from 0",
                "f64" => "a number",
                "a string" | "path string" => "a text in quotes",
                "a sequence" => "a list such as [\"…\", \"…\"]",
                "enum" | "string or map" => "a text in quotes",
                other => other,
            };
            format!("{expected} is expected")
        }
        Kind::UnknownVariant(_, allowed) => {
            let allowed: Vec<String> = allowed.iter().map(|word| format!("{word:?}")).collect();
            format!("allowed is {}", allowed.join(" or "))
        }
        other => other.to_string(),
    }
}
