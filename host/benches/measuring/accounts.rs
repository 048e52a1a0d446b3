//! What a Redis server says of itself: commands and CPU time, counted by `INFO`.

use std::ops::Sub;

use redis::Connection;

/// Sums since the server's start, or between two readings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accounts {
    /// `total_commands_processed`: what clients sent and what scripts executed.
    pub total: f64,
    /// Calls of functions and scripts, as `commandstats` has them.
    pub scripts: f64,
    /// All other calls in `commandstats`: clients' and those inside of scripts.
    pub others: f64,
    /// CPU time of the server, in µs.
    pub cpu: f64,
}

impl Accounts {
    /// The reading is in what is read next.
    pub fn read(connection: &mut Connection) -> Accounts {
        let info: String = redis::cmd("INFO")
            .arg(&["cpu", "stats", "commandstats"])
            .query(connection)
            .expect("Redis gives account");
        let mut accounts = Accounts::default();
        for (name, value) in info.lines().filter_map(|line| line.split_once(':')) {
            accounts.add(name, value);
        }
        accounts
    }

    fn add(&mut self, name: &str, value: &str) {
        let number = |text: &str| text.parse::<f64>().expect("Redis accounts in numbers");
        match name {
            "total_commands_processed" => self.total = number(value),
            "used_cpu_user" | "used_cpu_sys" => self.cpu += number(value) * 1e6,
            _ => {
                let calls = value.strip_prefix("calls=").and_then(|rest| rest.split(',').next());
                let (Some(command), Some(calls)) = (name.strip_prefix("cmdstat_"), calls) else {
                    return;
                };
                match command {
                    "fcall" | "fcall_ro" | "evalsha" | "evalsha_ro" | "eval" | "eval_ro" => {
                        self.scripts += number(calls)
                    }
                    _ => self.others += number(calls),
                }
            }
        }
    }

    /// What one reading adds to the next.
    pub fn of_reading(connection: &mut Connection) -> Accounts {
        const READINGS: u32 = 200;
        let before = Accounts::read(connection);
        for _ in 1..READINGS {
            Accounts::read(connection);
        }
        (Accounts::read(connection) - before).per_second(f64::from(READINGS))
    }

    /// Of a stretch of so many seconds.
    pub fn per_second(self, seconds: f64) -> Accounts {
        Accounts {
            total: self.total / seconds,
            scripts: self.scripts / seconds,
            others: self.others / seconds,
            cpu: self.cpu / seconds,
        }
    }
}

impl Sub for Accounts {
    type Output = Accounts;

    fn sub(self, other: Accounts) -> Accounts {
        Accounts {
            total: self.total - other.total,
            scripts: self.scripts - other.scripts,
            others: self.others - other.others,
            cpu: self.cpu - other.cpu,
        }
    }
}
