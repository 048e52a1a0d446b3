//! Stands between a store and its Redis, on a socket of its own: can lead to another server, and can cut a connection
//! after the server has done what it was asked and before its answer arrives.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

pub struct Forwarder {
    socket: PathBuf,
    /// Where new connections lead. Those that are there end when it changes.
    target: watch::Sender<PathBuf>,
    swallow: Arc<AtomicBool>,
    _accepting: AbortOnDropHandle<()>,
}

impl Forwarder {
    pub fn start(folder: &Path, target: &Path) -> Forwarder {
        let socket = folder.join("front.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let target = watch::Sender::new(target.to_owned());
        let swallow = Arc::new(AtomicBool::new(false));
        let (targets, swallows) = (target.subscribe(), swallow.clone());
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(forward(client, targets.clone(), swallows.clone()));
            }
        });
        Forwarder {
            socket,
            target,
            swallow,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket.display())
    }

    pub fn lead_to(&self, target: &Path) {
        self.target.send_replace(target.to_owned());
    }

    /// From now on, too, but those connections that are there stay where they are, as behind a name or a balancer.
    pub fn lead_new_ones_to(&self, target: &Path) {
        self.target.send_if_modified(|now| {
            target.clone_into(now);
            false
        });
    }

    /// Cut the next connection on which a script has answered, instead of handing the answer on.
    pub fn swallow_an_answer(&self) {
        self.swallow.store(true, Ordering::SeqCst);
    }

    pub fn has_swallowed(&self) -> bool {
        !self.swallow.load(Ordering::SeqCst)
    }
}

async fn forward(mut client: UnixStream, mut targets: watch::Receiver<PathBuf>, swallow: Arc<AtomicBool>) {
    let target = targets.borrow_and_update().clone();
    // A server that is not there is a connection that ends at once.
    let Ok(mut server) = UnixStream::connect(&target).await else {
        return;
    };
    let (mut request, mut answer) = (vec![0; 65_536], vec![0; 65_536]);
    let mut asks_a_script = false;
    loop {
        tokio::select! {
            _ = targets.changed() => return,
            read = client.read(&mut request) => match read {
                Ok(0) | Err(_) => return,
                Ok(n) => {
                    asks_a_script = contains(&request[..n], b"EVALSHA") || contains(&request[..n], b"FCALL");
                    if server.write_all(&request[..n]).await.is_err() {
                        return;
                    }
                }
            },
            read = server.read(&mut answer) => match read {
                Ok(0) | Err(_) => return,
                Ok(n) => {
                    // A script that has to be loaded first has done nothing yet.
                    let done = asks_a_script && !answer.starts_with(b"-NOSCRIPT");
                    if done && swallow.swap(false, Ordering::SeqCst) {
                        return;
                    }
                    if client.write_all(&answer[..n]).await.is_err() {
                        return;
                    }
                }
            },
        }
    }
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}
