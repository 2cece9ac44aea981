//! A mail server for tests: speaks SMTP (RFC 5321) without TLS, keeps what it is sent, and refuses with the replies
//! it was given first.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// A mail server on loopback, until it is dropped.
pub struct MailServer {
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

/// A mail that arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// What MAIL FROM named.
    pub from: String,
    /// What RCPT TO named.
    pub to: Vec<String>,
    /// Header and body as they were sent.
    pub message: String,
}

#[derive(Default)]
struct State {
    arrived: Mutex<Vec<Arrived>>,
    count: watch::Sender<usize>,
    replies: Mutex<VecDeque<&'static str>>,
    tries: watch::Sender<usize>,
}

impl MailServer {
    /// Starts one that takes everything.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("a bound socket");
        let state = Arc::new(State::default());
        let shared = state.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, shared.clone()));
            }
        });
        Self {
            address,
            state,
            serving,
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Answers the end of the next mail with this reply instead of taking it.
    pub fn refuses_next(&self, reply: &'static str) {
        self.state.replies.lock().push_back(reply);
    }

    /// Waits until so many mails have arrived since the start, and returns them.
    pub async fn arrived(&self, count: usize) -> Vec<Arrived> {
        wait(&self.state.count, count).await;
        self.state.arrived.lock().clone()
    }

    /// Waits until so many mails were offered, taken or not.
    pub async fn tried(&self, count: usize) {
        wait(&self.state.tries, count).await;
    }

    /// How many have arrived.
    pub fn count(&self) -> usize {
        self.state.arrived.lock().len()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn wait(count: &watch::Sender<usize>, least: usize) {
    let mut count = count.subscribe();
    let reached = count.wait_for(|count| *count >= least);
    let reached = tokio::time::timeout(std::time::Duration::from_secs(30), reached).await;
    reached
        .expect("mail arrives in time")
        .expect("the server runs");
}

/// One connection.
async fn converse(mut stream: TcpStream, state: Arc<State>) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 sink.test ESMTP\r\n").await?;
    let (mut from, mut to) = (String::new(), Vec::new());
    while let Some(line) = lines.next_line().await? {
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let reply = match verb.as_str() {
            "EHLO" => "250-sink.test\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
            "MAIL" => {
                (from, to) = (path(&line), Vec::new());
                "250 ok\r\n"
            }
            "RCPT" => {
                to.push(path(&line));
                "250 ok\r\n"
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut message = String::new();
                while let Some(line) = lines.next_line().await? {
                    if line == "." {
                        break;
                    }
                    message.push_str(line.strip_prefix('.').unwrap_or(&line));
                    message.push_str("\r\n");
                }
                let mail = Arrived {
                    from: from.clone(),
                    to: to.clone(),
                    message,
                };
                write.write_all(state.take(mail).as_bytes()).await?;
                continue;
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 ok\r\n",
        };
        write.write_all(reply.as_bytes()).await?;
    }
    Ok(())
}

impl State {
    fn take(&self, mail: Arrived) -> String {
        let refusal = self.replies.lock().pop_front();
        self.tries.send_modify(|tries| *tries += 1);
        if let Some(reply) = refusal {
            return format!("{reply}\r\n");
        }
        self.arrived.lock().push(mail);
        self.count.send_modify(|count| *count += 1);
        "250 taken\r\n".to_owned()
    }
}

/// What stands between angle brackets.
fn path(line: &str) -> String {
    let inside = line
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    inside.map(|(path, _)| path.to_owned()).unwrap_or_default()
}
