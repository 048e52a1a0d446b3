//! What can befall a cluster, each noted in its history.

use std::{mem, thread, time::Duration};

use rustix::process::Signal;
use serde_json::json;

use super::Cluster;
use crate::{
    SOON,
    history::{Nemesis, What},
    redis::RedisServer,
};

impl Cluster {
    pub fn nemesis(&self, at: usize, what: Nemesis) {
        self.recorder.note(&self.members[at].name, What::Nemesis(what));
    }

    #[track_caller]
    pub fn kill9(&mut self, at: usize) {
        self.nemesis(at, Nemesis::Killed);
        self.members[at].host.kill9();
    }

    /// Starts a host that has ended.
    #[track_caller]
    pub fn restart(&mut self, at: usize) {
        self.members[at].host.restart();
        self.nemesis(at, Nemesis::Started);
    }

    /// SIGSTOP.
    pub fn stop(&mut self, at: usize) {
        self.members[at].host.signal(Signal::STOP);
        self.nemesis(at, Nemesis::Stopped);
    }

    /// SIGCONT.
    pub fn resume(&mut self, at: usize) {
        self.nemesis(at, Nemesis::Continued);
        self.members[at].host.signal(Signal::CONT);
    }

    /// SIGTERM, and the end.
    #[track_caller]
    pub fn terminate(&mut self, at: usize) {
        let from = self.recorder.now();
        self.members[at].host.sigterm();
        let clean = self.members[at].host.wait_exit(SOON).code() == Some(0);
        let what = What::Nemesis(Nemesis::Terminated { clean });
        let name = &self.members[at].name;
        self.recorder.span(name, from, self.recorder.now(), what);
    }

    /// Redis is killed, and comes back empty.
    #[track_caller]
    pub fn lose_data(&mut self) {
        let from = self.recorder.now();
        self.redis.kill9();
        let lost = What::Nemesis(Nemesis::DataLost);
        self.recorder.span("", from, self.recorder.now(), lost);
        self.redis.forget();
        self.redis.start_again();
    }

    /// Redis is emptied, and goes on.
    #[track_caller]
    pub fn flush(&mut self) {
        let from = self.recorder.now();
        let _: String = self.redis.command(&["FLUSHALL"]);
        let lost = What::Nemesis(Nemesis::DataLost);
        self.recorder.span("", from, self.recorder.now(), lost);
    }

    /// Redis dies, and its replica takes its place without what was written in the last while, which is that long.
    #[track_caller]
    pub fn fail_over(&mut self, behind: Duration) {
        let replica = self.redis.replica();
        let from = self.recorder.now();
        self.redis.wait_copied();
        replica.promote();
        let alone = self.recorder.now();
        thread::sleep(behind);
        self.redis.kill9();
        let what = What::Nemesis(Nemesis::FailedOver { alone });
        self.recorder.span("", from, self.recorder.now(), what);
        self.lead_to(replica);
    }

    /// Redis changes parts with its replica and loses nothing. Its connections outlive that.
    #[track_caller]
    pub fn switch_over(&mut self) {
        let replica = self.redis.replica();
        self.redis.hand_over_to(&replica);
        self.demoted = Some(self.lead_to(replica));
    }

    /// Hosts that connect find this one; the one that they found before.
    fn lead_to(&mut self, new: RedisServer) -> RedisServer {
        for member in &self.members {
            member.to_redis.lead_to(new.address());
        }
        mem::replace(&mut self.redis, new)
    }

    /// An operator hands the leadership over, by way of any host; whether that was done.
    pub fn hand_over(&self, at: usize) -> bool {
        let answer = self.members[at]
            .hasty()
            .try_send("POST", "/api/v1/leader/handover", Some(&json!({})));
        answer.is_ok_and(|answer| answer.status == 200)
    }

    /// An operator pauses an agent, or resumes it; whether that was acknowledged.
    pub fn set_paused(&self, at: usize, agent: &str, paused: bool) -> bool {
        let from = self.recorder.now();
        let word = if paused { "pause" } else { "resume" };
        let path = format!("/api/v1/agents/{agent}/{word}");
        let answer = self.members[at].hasty().try_send("POST", &path, None);
        let known = answer.is_ok_and(|answer| answer.status == 200);
        let agent = agent.to_owned();
        let what = match paused {
            true => What::Paused { agent, known },
            false => What::Resumed { agent },
        };
        self.recorder
            .span(&self.members[at].name, from, self.recorder.now(), what);
        known
    }

    /// From here on all is well.
    pub fn calm(&self) {
        self.recorder.note("", What::Nemesis(Nemesis::Calm));
    }
}
