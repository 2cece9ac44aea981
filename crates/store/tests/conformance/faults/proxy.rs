//! A TCP proxy before PostgreSQL that misbehaves on demand.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What the proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mood {
    /// Forwards everything.
    Honest = 0,
    /// Cuts the line instead of forwarding the next `COMMIT`; honest after that.
    LosesCommit = 1,
    /// Forwards the next `COMMIT` and cuts the line instead of forwarding the answer; honest after that.
    LosesAnswer = 2,
    /// Takes everything and forwards nothing.
    Hangs = 3,
}

pub(crate) struct Proxy {
    pub(crate) url: String,
    mood: Arc<AtomicU8>,
}

impl Proxy {
    /// Starts before the server of this address.
    pub(crate) async fn start(url: &str) -> Self {
        let (before, rest) = url.rsplit_once('@').expect("an address with a user");
        let (server, database) = rest.split_once('/').expect("an address with a database");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let mood = Arc::new(AtomicU8::new(Mood::Honest as u8));
        tokio::spawn(accept(listener, server.to_owned(), Arc::clone(&mood)));
        let url = format!("{before}@127.0.0.1:{port}/{database}");
        Self { url, mood }
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, server: String, mood: Arc<AtomicU8>) {
    while let Ok((client, _)) = listener.accept().await {
        let (server, mood) = (server.clone(), Arc::clone(&mood));
        tokio::spawn(async move {
            if let Ok(server) = TcpStream::connect(server).await {
                forward(client, server, &mood).await;
            }
        });
    }
}

async fn forward(mut client: TcpStream, mut server: TcpStream, mood: &AtomicU8) {
    let (mut asked, mut told) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(read @ 1..) = read else { return };
                let is_commit = asked[..read].windows(6).any(|word| word == b"COMMIT");
                let now = mood.load(Ordering::SeqCst);
                if is_commit && now == Mood::LosesCommit as u8 {
                    mood.store(Mood::Honest as u8, Ordering::SeqCst);
                    return;
                }
                if now == Mood::Hangs as u8 {
                    continue;
                }
                if server.write_all(&asked[..read]).await.is_err() {
                    return;
                }
                if is_commit && now == Mood::LosesAnswer as u8 {
                    mood.store(Mood::Honest as u8, Ordering::SeqCst);
                    // The server has answered before the line is cut.
                    let _ = server.read(&mut told).await;
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                    return;
                }
            }
            read = server.read(&mut told) => {
                let Ok(read @ 1..) = read else { return };
                if client.write_all(&told[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}
