//! Query parameters, each checked by whoever reads it: a wrong one is told with its name, its value and what is allowed.

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive, str::FromStr};

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};

use super::{Api, error::ApiError};
use crate::app::nearest::nearest;

/// What a request's query says, not yet checked.
pub struct Params(BTreeMap<String, String>);

impl FromRequestParts<Api> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Params, ApiError> {
        let pairs = match Query::<Vec<(String, String)>>::from_request_parts(parts, api).await {
            Ok(Query(pairs)) => pairs,
            Err(rejection) => return Err(ApiError::invalid(rejection.body_text())),
        };
        let mut params = BTreeMap::new();
        for (name, value) in pairs {
            if params.insert(name.clone(), value).is_some() {
                return Err(ApiError::invalid(format!(
                    "the parameter {name:?} is given more than once"
                )));
            }
        }
        Ok(Params(params))
    }
}

impl Params {
    /// Refuse what is not one of these: a misspelt filter must not select everything.
    pub fn only(self, known: &[&str]) -> Result<Params, ApiError> {
        let Some(unknown) = self.0.keys().find(|name| !known.contains(&name.as_str())) else {
            return Ok(self);
        };
        let meant = match nearest(unknown, known.iter().copied()) {
            Some(meant) => format!("did you mean {meant}?"),
            None if known.is_empty() => "there are none here".to_owned(),
            None => format!("there are {}", known.join(", ")),
        };
        Err(ApiError::invalid(format!(
            "there is no parameter {:?} here; {meant}",
            shown(unknown)
        )))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A whole number within a range, if it is given.
    pub fn number(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(ApiError::invalid(format!(
                "{name}: {:?} is not allowed: a whole number from {} to {} is",
                shown(text),
                range.start(),
                range.end()
            ))),
        }
    }

    /// How many of something are to be answered at most.
    pub fn limit(&self, default: u32, most: u32) -> Result<u32, ApiError> {
        let limit = self.number("limit", 1..=u64::from(most))?;
        Ok(limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(default))
    }

    /// One of the words of a type, if it is given; the type's own error says which there are.
    pub fn word<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError>
    where
        T::Err: Display,
    {
        self.text(name)
            .map(|text| {
                text.parse()
                    .map_err(|error: T::Err| ApiError::invalid(format!("{name}: {error}")))
            })
            .transpose()
    }
}

/// What of a wrong value is repeated in an error.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::work_item::ItemState;

    fn params(pairs: &[(&str, &str)]) -> Params {
        Params(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    fn message<T>(result: Result<T, ApiError>) -> String {
        match result {
            Ok(_) => String::new(),
            Err(error) => error.message().to_owned(),
        }
    }

    #[test]
    fn errors_name_parameter_value_and_what_is_allowed() {
        for value in ["0", "x", "-1", "1001", "1.5", ""] {
            let said = message(params(&[("limit", value)]).limit(100, 1000));
            assert!(
                said.contains("limit") && said.contains(&format!("{value:?}")) && said.contains("from 1 to 1000"),
                "{said}"
            );
        }
        let said = message(params(&[("state", "foo")]).word::<ItemState>("state"));
        assert!(
            said.contains("state") && said.contains("\"foo\"") && said.contains("`dead`"),
            "{said}"
        );
        let said = message(params(&[("agnet", "a")]).only(&["agent", "limit"]));
        assert!(
            said.contains("\"agnet\"") && said.contains("did you mean agent?"),
            "{said}"
        );
        let said = message(params(&[("colour", "red")]).only(&["agent", "limit"]));
        assert!(said.contains("agent, limit"), "{said}");
    }

    #[test]
    fn what_is_right_is_read() {
        let params = params(&[("limit", "7"), ("state", "dead")]);
        assert_eq!(params.limit(100, 1000).ok(), Some(7));
        assert_eq!(params.word::<ItemState>("state").ok(), Some(Some(ItemState::Dead)));
        assert_eq!(params.number("after", 0..=9).ok(), Some(None));
        assert!(params.only(&["limit", "state"]).is_ok());
    }
}
