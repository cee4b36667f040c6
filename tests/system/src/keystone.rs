//! Keystone, as whoever may not look up projects sees it. The `openstack` command asks for its version and for the project of
//! `--project`, is refused, and takes what stands there for the identifier.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::json;

/// How long a client has to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// It answers as long as the value is there.
pub struct Keystone {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keystone {
    /// Listens at a free port of this machine.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let is_over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if told.load(Ordering::Relaxed) {
                    return;
                }
                if let Err(error) = answer(client, address) {
                    eprintln!("a client of Keystone's: {error}");
                }
            }
        });
        Self { address, is_over, thread: Some(thread) }
    }

    /// Where clients find it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/v3", self.address)
    }
}

impl Drop for Keystone {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // It waits for a client: this is one.
        if TcpStream::connect(self.address).is_ok() {
            let _ended = self.thread.take().map(JoinHandle::join);
        }
    }
}

fn answer(client: TcpStream, address: SocketAddr) -> io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(client);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or_default().trim_end_matches('/');
    let (status, body) = if path == "/v3" {
        let link = json!({"rel": "self", "href": format!("http://{address}/v3/")});
        ("200 OK", json!({"version": {"id": "v3.14", "status": "stable", "links": [link]}}))
    } else {
        ("403 Forbidden", json!({"error": {"code": 403, "message": "Projects are not shown to you."}}))
    };
    let body = body.to_string();
    let head = "Content-Type: application/json\r\nConnection: close\r\nContent-Length";
    write!(reader.get_mut(), "HTTP/1.1 {status}\r\n{head}: {}\r\n\r\n{body}", body.len())
}
