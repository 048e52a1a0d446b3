//! Reading what scripts answer: arrays of text and numbers, in the order that the script's header names.

use redis::Value;

use crate::{domain::time::UnixMillis, ports::store::StoreError};

/// An array, read from its start.
pub(super) struct Reply(std::vec::IntoIter<Value>);

impl Reply {
    pub fn new(value: Value) -> Result<Reply, StoreError> {
        match value {
            Value::Array(values) => Ok(Reply(values.into_iter())),
            other => Err(unexpected(&other)),
        }
    }

    pub fn next(&mut self) -> Option<Value> {
        self.0.next()
    }

    pub fn value(&mut self) -> Result<Value, StoreError> {
        self.next()
            .ok_or_else(|| StoreError::Corrupt("an answer of Redis is too short".to_owned()))
    }

    pub fn text(&mut self) -> Result<String, StoreError> {
        text(self.value()?)
    }

    pub fn number(&mut self) -> Result<i64, StoreError> {
        number(self.value()?)
    }

    pub fn count(&mut self) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.number()?).unwrap_or(0))
    }

    pub fn small(&mut self) -> Result<u32, StoreError> {
        Ok(u32::try_from(self.number()?.max(0)).unwrap_or(u32::MAX))
    }

    pub fn flag(&mut self) -> Result<bool, StoreError> {
        Ok(self.number()? != 0)
    }

    /// A time; 0 means that there is none.
    pub fn time(&mut self) -> Result<Option<UnixMillis>, StoreError> {
        let millis = self.number()?;
        Ok((millis != 0).then_some(UnixMillis(millis)))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

pub(super) fn number(value: Value) -> Result<i64, StoreError> {
    match value {
        Value::Int(number) => Ok(number),
        other => {
            let text = text(other)?;
            text.parse()
                .map_err(|_| StoreError::Corrupt(format!("Redis holds {text:?} where a number belongs")))
        }
    }
}

/// Text; bytes that are none are shown as what they are not.
pub(super) fn text(value: Value) -> Result<String, StoreError> {
    match value {
        Value::BulkString(bytes) => {
            Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
        }
        Value::SimpleString(text) => Ok(text.to_string()),
        Value::Int(number) => Ok(number.to_string()),
        Value::Okay => Ok("OK".to_owned()),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(value: &Value) -> StoreError {
    StoreError::Corrupt(format!("Redis answered {value:?}, which no script of Warren's does"))
}
