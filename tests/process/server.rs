//! A server to test against, and what its command says when it does not start.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long anything may take that should be at once.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A port that the system chooses.
const FREE: &str = "127.0.0.1:0";

/// A folder that goes when the test does.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tertulia-process-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The command, without this machine's settings.
pub(crate) fn tertulia() -> Command {
    // target/<profile>/deps/process-… → target/<profile>/tertulia
    let own = std::env::current_exe().unwrap();
    let binary = own
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("tertulia");
    assert!(
        binary.exists(),
        "{} is missing: cargo build -p tertulia",
        binary.display()
    );
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars() {
        if name.starts_with("TERTULIA_") {
            command.env_remove(name);
        }
    }
    command
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the command to its end.
pub(crate) async fn run(arguments: &[&str]) -> Output {
    let child = tertulia().args(arguments).spawn().unwrap();
    timeout(SOON, child.wait_with_output())
        .await
        .expect("it ends")
        .unwrap()
}

/// A TCP port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A running server.
pub(crate) struct Server {
    pub(crate) child: Child,
    /// All that it said when it was ready.
    pub(crate) greeting: String,
    /// Its web side.
    pub(crate) web: Web,
    pub(crate) media: SocketAddr,
    /// Where its administration listens, if it does.
    pub(crate) admin: Option<Web>,
}

/// Where a server's web side is, whether it runs or not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
}

impl Server {
    /// On free ports, with two media workers.
    pub(crate) async fn start(data: &Folder) -> Server {
        Server::start_with(data, &["--listen", FREE]).await
    }

    pub(crate) async fn start_with(data: &Folder, arguments: &[&str]) -> Server {
        Server::run(data, FREE, arguments, &[]).await
    }

    pub(crate) async fn start_with_environment(
        data: &Folder,
        environment: &[(&str, &str)],
    ) -> Server {
        Server::run(data, FREE, &["--listen", FREE], environment).await
    }

    /// On the address of a server that is gone.
    pub(crate) async fn start_at(data: &Folder, plain: &str) -> Server {
        Server::run(data, plain, &["--listen", FREE], &[]).await
    }

    /// As [`Server::start_at`], on a free port if there was none before; says little.
    pub(crate) async fn start_quietly(data: &Folder, plain: Option<SocketAddr>) -> Server {
        let plain = plain.map_or(FREE.to_owned(), |plain| plain.to_string());
        let quiet = [("TERTULIA_LOG__FILTER", "warn")];
        Server::run(data, &plain, &["--listen", FREE], &quiet).await
    }

    async fn run(
        data: &Folder,
        plain: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Server {
        let mut command = tertulia();
        command
            .arg("serve")
            .args(["--listen-plain", plain, "--media-port", "0"])
            .arg("--data")
            .arg(&data.0)
            .args(arguments)
            .env("TERTULIA_BRIDGE__WORKERS", "2")
            .env("TERTULIA_LOG__FILTER", "debug")
            .env("TERTULIA_ADMIN__LISTEN", "[\"127.0.0.1:0\"]")
            .env("TERTULIA_TURN__LISTEN", "[\"127.0.0.1:0\"]")
            .env("TERTULIA_TURN__LISTEN_TCP", "[\"127.0.0.1:0\"]")
            .env("TERTULIA_TURN__LISTEN_TLS", "[]")
            .envs(environment.iter().copied())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut greeting = String::new();
        while let Some(line) = timeout(SOON, lines.next_line())
            .await
            .expect("ready")
            .unwrap()
        {
            greeting.push_str(&line);
            greeting.push('\n');
            if line.starts_with("Ctrl-C") {
                break;
            }
        }
        let port = |marker: &str| -> u16 {
            let rest = greeting
                .split_once(marker)
                .map(|(_, rest)| rest)
                .unwrap_or_default();
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits
                .parse()
                .unwrap_or_else(|_| panic!("no {marker} in: {greeting}"))
        };
        Server {
            web: Web {
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, port("http://localhost:"))),
            },
            media: SocketAddr::from((Ipv4Addr::LOCALHOST, port("UDP "))),
            admin: greeting.contains("monitoring").then(|| Web {
                address: SocketAddr::from((Ipv4Addr::LOCALHOST, port("http://127.0.0.1:"))),
            }),
            child,
            greeting,
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let status = std::process::Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits until it is gone.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        self.ended_within(SOON).await
    }

    pub(crate) async fn ended_within(&mut self, time: Duration) -> ExitStatus {
        timeout(time, self.child.wait())
            .await
            .expect("the server ends")
            .unwrap()
    }
}

impl Web {
    /// `Host` by which browsers on this machine come.
    pub(crate) fn authority(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// One request; the status, and head and body as text.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        self.http("GET", path, &[], "").await
    }

    pub(crate) async fn http(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request.push_str(&format!("Host: {}\r\n", self.authority()));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let answer = timeout(SOON, async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            // The server may answer, and close, before it has read everything.
            let _ = stream.write_all(request.as_bytes()).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            answer
        });
        let answer = String::from_utf8(answer.await.expect("an answer")).unwrap();
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        (
            status.unwrap_or_else(|| panic!("no HTTP: {answer}")),
            answer,
        )
    }
}
