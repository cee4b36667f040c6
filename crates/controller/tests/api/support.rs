//! A controller for one test, and a client that sees every byte.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weft_controller::agents::Links;
use weft_controller::api::{self, Api, Notices};
use weft_controller::site::{Caller, Site};
use weft_net::{Capability, HostFact};
use weft_services::{Change, Refusal, describe_host};
use weft_store::{Options, Store};

use crate::disk::Disk;

pub(crate) struct Controller {
    pub(crate) site: Arc<Site>,
    pub(crate) disk: Disk,
    pub(crate) links: Arc<Links>,
    pub(crate) notices: Arc<Notices>,
    address: SocketAddr,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// The type and message of the error that it must be.
    pub(crate) fn error(&self) -> (String, String) {
        let body = self.json();
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        let text = |name: &str| body["NeutronError"][name].as_str().unwrap().to_owned();
        (text("type"), text("message"))
    }
}

impl Controller {
    pub(crate) async fn start() -> Self {
        let disk = Disk::new();
        // Nothing is kept in memory of what could be read, so that reads are seen.
        let options = Options { cache_bytes: 0, ..Options::default() };
        let site = Site::new(Store::open_with_backend(disk.clone(), options).unwrap(), 7);
        let (links, notices) = (Arc::new(Links::default()), site.notices.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let api = Arc::new(Api::new(site.clone(), notices.clone(), links.clone()));
        tokio::spawn(api::serve(api, listener, std::future::pending()));
        Self { site, disk, links, notices, address }
    }

    /// Sends this and reads what comes until the controller closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        let end = read.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8(read[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: read[end + 4..].to_vec() }
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        self.raw(&[head.as_bytes(), body].concat()).await
    }

    /// Asks for what has no end, to be read as it comes.
    pub(crate) async fn open(&self, path: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        self.send(method, path, &[], body.to_string().as_bytes()).await
    }

    /// Makes something, answers its identifier.
    pub(crate) async fn create(&self, collection: &str, member: &str, object: Value) -> String {
        let answer = self.ask("POST", &format!("/v2.0/{collection}"), json!({ member: object })).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()[member]["id"].as_str().unwrap().to_owned()
    }

    /// A network with a subnet.
    pub(crate) async fn network(&self, name: &str) -> String {
        let network = self.create("networks", "network", json!({ "name": name })).await;
        let subnet = json!({ "network_id": network, "cidr": "10.1.0.0/24", "ip_version": 4 });
        self.create("subnets", "subnet", subnet).await;
        network
    }

    /// A port of a workload on a host.
    pub(crate) async fn port(&self, network: &str, host: &str, name: &str) -> String {
        let port = json!({ "network_id": network, "name": name, "binding:host_id": host,
            "binding:profile": { "namespace": name } });
        self.create("ports", "port", port).await
    }

    /// A host, as if its agent had described it.
    pub(crate) async fn host(&self, name: &str, number: u8) {
        let fact = HostFact {
            tunnel_endpoint: Some([192, 0, 2, number].into()),
            underlay_mtu: 1600,
            capabilities: Capability::ALL.into_iter().collect(),
            physical_networks: Default::default(),
        };
        let host = name.parse().unwrap();
        let describe = |change: &mut Change| {
            let writes = describe_host(change.model(), &host, &fact, change.now())?;
            writes.into_iter().for_each(|write| change.write(write));
            Ok::<(), Refusal>(())
        };
        self.site.transact(&Caller::agent(&host, "facts"), None, describe).await.unwrap();
    }

    pub(crate) fn revision(&self) -> u64 {
        self.site.durable().version.revision.get()
    }
}
