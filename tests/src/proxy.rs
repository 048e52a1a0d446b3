//! A TCP proxy between one host and one server: it can hold, delay and cut what passes, and tells what does.
//!
//! What is held is not lost: the bytes wait as they would in a network, and arrive when the proxy lets go, also when their
//! sender has long given up on them. That is what fences and tokens are for.

pub mod http;
pub mod redis;

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use crate::{SOON, eventually};

/// One connection's talk, as a protocol understands it.
pub trait Talk: Send + Sync + 'static {
    /// Takes the next whole message of the client off what it has sent so far.
    fn request(&self, sent: &mut Vec<u8>) -> Option<Request>;
    /// This goes to the server now.
    fn passing(&self, request: &Request);
    /// This came from the server.
    fn answered(&self, bytes: &[u8]);
    /// No more will come from the server.
    fn ended(&self);
}

/// A message of a client.
pub struct Request {
    /// What the server gets.
    pub bytes: Vec<u8>,
    /// What it asks for: a script's name, a command, a path.
    pub name: String,
    /// What else the protocol wants to know of it when it passes.
    pub words: Vec<Vec<u8>>,
}

#[derive(Default)]
struct State {
    /// Where new connections lead, if not where the first ones did.
    to: Option<SocketAddr>,
    held: bool,
    cut: bool,
    closed: bool,
    delay: Duration,
    /// Hold everything from the next request of this name on.
    hold_at: Option<String>,
    /// The request that was waited for is here.
    caught: bool,
    open: Vec<TcpStream>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until this may pass.
    fn pass(&self, name: Option<&str>) {
        let mut state = self.lock();
        if name.is_some() && state.hold_at.as_deref() == name {
            state.hold_at = None;
            state.held = true;
            state.caught = true;
        }
        let delay = state.delay;
        let waited = self.changed.wait_while(state, |state| state.held && !state.closed);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
        if !delay.is_zero() {
            thread::sleep(delay);
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn close_all(state: &mut State) {
        for stream in state.open.drain(..) {
            // One that is closed already is as it should be.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A proxy that listens until it is dropped.
pub struct Proxy {
    address: SocketAddr,
    gate: Arc<Gate>,
}

impl Proxy {
    /// `talk` is called for each connection.
    pub fn start<T: Talk>(to: SocketAddr, talk: impl Fn() -> T + Send + 'static) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let gate = Arc::new(Gate::default());
        let at = gate.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (refused, to) = {
                    let state = at.lock();
                    if state.closed {
                        return;
                    }
                    (state.cut, state.to.unwrap_or(to))
                };
                if let (Ok(client), false) = (client, refused) {
                    connect(client, to, &at, talk());
                }
            }
        });
        Proxy { address, gate }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on new connections lead there; those that are there stay where they are.
    pub fn lead_to(&self, to: SocketAddr) {
        self.gate.change(|state| state.to = Some(to));
    }

    /// Everything waits, in both directions, until [`Proxy::heal`].
    pub fn hold(&self) {
        self.gate.change(|state| state.held = true);
    }

    /// Everything waits from the next request of this name on. Wait for it with [`Proxy::wait_caught`].
    pub fn hold_at(&self, name: &str) {
        self.gate.change(|state| {
            state.hold_at = Some(name.to_owned());
            state.caught = false;
        });
    }

    #[track_caller]
    pub fn wait_caught(&self) {
        eventually("a request that is held", SOON, || self.gate.lock().caught.then_some(()));
    }

    /// Connections are closed and refused until [`Proxy::heal`].
    pub fn cut(&self) {
        self.gate.change(|state| {
            state.cut = true;
            Gate::close_all(state);
        });
    }

    /// Every message takes so much longer.
    pub fn delay(&self, delay: Duration) {
        self.gate.change(|state| state.delay = delay);
    }

    /// All is well again, and what was held arrives.
    pub fn heal(&self) {
        self.gate.change(|state| {
            state.held = false;
            state.cut = false;
            state.hold_at = None;
            state.delay = Duration::ZERO;
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.gate.change(|state| {
            state.closed = true;
            Gate::close_all(state);
        });
        // So that the listener looks up and sees that it is closed.
        let _ = TcpStream::connect(self.address);
    }
}

fn connect<T: Talk>(client: TcpStream, to: SocketAddr, gate: &Arc<Gate>, talk: T) {
    let Ok(server) = TcpStream::connect(to) else {
        // The client sees what it would see without us: no connection.
        let _ = client.shutdown(Shutdown::Both);
        return;
    };
    let streams = [&client, &server].map(|stream| {
        // Without it small packets wait for each other.
        let _ = stream.set_nodelay(true);
        stream.try_clone()
    });
    let [Ok(client_again), Ok(server_again)] = streams else {
        return;
    };
    if let (Ok(first), Ok(second)) = (client.try_clone(), server.try_clone()) {
        gate.lock().open.extend([first, second]);
    }
    let talk = Arc::new(talk);
    let (talking, at) = (talk.clone(), gate.clone());
    thread::spawn(move || {
        ask(client, &server, &at, &*talking);
        // What was asked is still answered.
        let _ = server.shutdown(Shutdown::Write);
    });
    let at = gate.clone();
    thread::spawn(move || {
        answer(server_again, &client_again, &at, &*talk);
        talk.ended();
        let _ = client_again.shutdown(Shutdown::Both);
    });
}

const CHUNK: usize = 64 << 10;

fn ask(mut client: TcpStream, mut server: &TcpStream, gate: &Gate, talk: &impl Talk) {
    let (mut sent, mut chunk) = (Vec::new(), vec![0; CHUNK]);
    while let Ok(read @ 1..) = client.read(&mut chunk) {
        sent.extend_from_slice(&chunk[..read]);
        while let Some(request) = talk.request(&mut sent) {
            gate.pass(Some(&request.name));
            talk.passing(&request);
            if server.write_all(&request.bytes).is_err() {
                return;
            }
        }
    }
}

fn answer(mut server: TcpStream, mut client: &TcpStream, gate: &Gate, talk: &impl Talk) {
    let mut chunk = vec![0; CHUNK];
    let mut listens = true;
    while let Ok(read @ 1..) = server.read(&mut chunk) {
        talk.answered(&chunk[..read]);
        gate.pass(None);
        // Also what nobody hears any more is answered, and recorded.
        listens = listens && client.write_all(&chunk[..read]).is_ok();
    }
}
