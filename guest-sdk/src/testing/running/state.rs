//! Key-value: what an agent keeps between activations, within its quota.

use super::{Effect, Limits, Running, Stopping};
use crate::bindings::wasi::keyvalue::store as wit_keyvalue;

impl Running {
    pub fn state_get(&mut self, key: &str) -> Result<Option<Vec<u8>>, wit_keyvalue::Error> {
        self.store_answers()?;
        Ok(self.world.state.get(key).cloned())
    }

    pub fn state_set(&mut self, key: &str, value: &[u8]) -> Stopping<Result<(), wit_keyvalue::Error>> {
        if let Err(error) = self.store_answers().and_then(|()| self.within_quota(key, value)) {
            return Ok(Err(error));
        }
        self.world.state.insert(key.to_owned(), value.to_vec());
        self.effects.push(Effect::Set {
            key: key.to_owned(),
            value: value.to_vec(),
        });
        self.live()?;
        Ok(Ok(()))
    }

    pub fn state_delete(&mut self, key: &str) -> Stopping<Result<(), wit_keyvalue::Error>> {
        if let Err(error) = self.store_answers() {
            return Ok(Err(error));
        }
        if self.world.state.remove(key).is_some() {
            self.effects.push(Effect::Deleted { key: key.to_owned() });
        }
        self.live()?;
        Ok(Ok(()))
    }

    pub fn state_keys(&mut self) -> Result<Vec<String>, wit_keyvalue::Error> {
        self.store_answers()?;
        Ok(self.world.state.keys().cloned().collect())
    }

    fn store_answers(&mut self) -> Result<(), wit_keyvalue::Error> {
        if self.world.state_fails {
            self.upstream_failed = true;
            return Err(wit_keyvalue::Error::Other("the store does not answer".into()));
        }
        Ok(())
    }

    fn within_quota(&self, key: &str, value: &[u8]) -> Result<(), wit_keyvalue::Error> {
        let Limits {
            state_bytes,
            state_keys,
            state_value,
            ..
        } = self.world.limits;
        let over = |words: String| Err(wit_keyvalue::Error::Other(words));
        let size = value.len();
        if size > state_value {
            return over(format!(
                "a value of {size} bytes is over the limit of {state_value} bytes"
            ));
        }
        let others = || self.world.state.iter().filter(|(known, _)| *known != key);
        if others().count() + 1 > state_keys {
            return over(format!("one more key is over the limit of {state_keys} keys"));
        }
        let kept: usize = others().map(|(key, value)| key.len() + value.len()).sum();
        let size = key.len() + size;
        if kept + size > state_bytes {
            return over(format!(
                "{size} bytes more than the {kept} that are kept is over the limit of {state_bytes} bytes"
            ));
        }
        Ok(())
    }
}
