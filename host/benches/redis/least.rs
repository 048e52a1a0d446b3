//! The least that a durable queue on Redis can do, and what it costs the server.

use std::time::{SystemTime, UNIX_EPOCH};

use redis::{Connection, FromRedisValue};

use super::{
    scripts::{KEYS, LEASE, scripts},
    server::{Cost, Meter, Server, ask},
};

pub struct Least {
    connection: Connection,
    scripts: [String; 3],
    batch: usize,
    made: u64,
}

impl Least {
    /// Scripts that take so many items at a time.
    pub fn new(server: &Server, batch: usize) -> Least {
        let mut connection = server.connect();
        let scripts = scripts(batch).map(|source| {
            let loaded = ask(&mut connection, redis::cmd("SCRIPT").arg("LOAD").arg(source));
            String::from_redis_value(loaded).unwrap()
        });
        Least {
            connection,
            scripts,
            batch,
            made: 0,
        }
    }

    fn call(&mut self, script: usize, args: &[String]) -> redis::Value {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.scripts[script]).arg(KEYS.len()).arg(&KEYS).arg(args);
        ask(&mut self.connection, &command)
    }

    /// What enqueueing, claiming and completing so many items costs, each step for all of them.
    pub fn run(&mut self, meter: &mut Meter, items: usize, body: &str) -> [Cost; 3] {
        let calls = items / self.batch;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let mut costs = [Cost::default(); 3];
        let mut claimed: Vec<Vec<String>> = Vec::new();
        meter.begin();
        for _ in 0..calls {
            let mut args = Vec::new();
            for _ in 0..self.batch {
                self.made += 1;
                // As long as the ids of items.
                args.extend([format!("{now:020}-{:015}", self.made), body.to_owned()]);
            }
            self.call(0, &args);
        }
        costs[0] += meter.lap();
        for _ in 0..calls {
            let answer = self.call(1, &[LEASE.to_string(), self.batch.to_string()]);
            claimed.push(Vec::from_redis_value(answer).unwrap());
        }
        costs[1] += meter.lap();
        for claims in claimed {
            assert_eq!(claims.len(), 2 * self.batch);
            let ids: Vec<String> = claims.into_iter().step_by(2).collect();
            self.call(2, &ids);
        }
        costs[2] += meter.lap();
        costs
    }
}
