//! What can befall a cluster, each noted in its history.

use rustix::process::Signal;

use super::Cluster;
use crate::{
    SOON,
    history::{Nemesis, What},
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

    /// From here on all is well.
    pub fn calm(&self) {
        self.recorder.note("", What::Nemesis(Nemesis::Calm));
    }
}
