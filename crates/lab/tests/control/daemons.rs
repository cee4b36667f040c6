//! A controller and an agent that know nothing but each other: the agent says its name and stays connected.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

type Connected = Arc<Mutex<BTreeMap<String, usize>>>;

/// Plays the daemon by whose name this was started.
pub(crate) fn play() -> Option<ExitCode> {
    let name = env::args().next()?;
    match Path::new(&name).file_name()?.to_str()? {
        "weft-controller" => play_controller(),
        "weft-agent" => play_agent(),
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

fn option(name: &str) -> String {
    let mut arguments = env::args().skip_while(|argument| argument != name);
    arguments.nth(1).unwrap_or_else(|| panic!("{name} is missing"))
}

fn play_controller() {
    assert!(Path::new(&option("--tls-directory")).join("ca.pem").is_file());
    assert!(Path::new(&option("--tls-directory")).join("controller.key").is_file());
    assert!(Path::new(&option("--state-directory")).is_dir());
    let agents = TcpListener::bind(option("--agents-listen")).unwrap();
    let people = TcpListener::bind(option("--listen")).unwrap();
    let connected = Connected::default();
    let of_agents = Arc::clone(&connected);
    thread::spawn(move || {
        for stream in agents.incoming().flatten() {
            let connected = Arc::clone(&of_agents);
            thread::spawn(move || hold(stream, &connected));
        }
    });
    for stream in people.incoming().flatten() {
        answer(stream, &connected);
    }
}

fn hold(stream: TcpStream, connected: &Connected) {
    let mut lines = BufReader::new(stream).lines();
    let Some(Ok(name)) = lines.next() else { return };
    *connected.lock().unwrap().entry(name.clone()).or_default() += 1;
    lines.for_each(drop);
    *connected.lock().unwrap().entry(name).or_default() -= 1;
}

fn answer(mut stream: TcpStream, connected: &Connected) {
    let mut request = [0; 1024];
    let length = stream.read(&mut request).unwrap_or(0);
    let request = String::from_utf8_lossy(&request[..length]).into_owned();
    let (status, body) = match request.split(' ').nth(1) {
        Some("/readyz") => ("200 OK", String::new()),
        Some("/v1/status") => {
            let report = |(name, count): (&String, &usize)| {
                format!(r#"{{"name":"{name}","alive":{},"at_rest":true,"revision":7}}"#, *count > 0)
            };
            let hosts: Vec<String> = connected.lock().unwrap().iter().map(report).collect();
            ("200 OK", format!(r#"{{"epoch":1,"hosts":[{}]}}"#, hosts.join(",")))
        }
        _ => ("404 Not Found", String::new()),
    };
    let _ = write!(stream, "HTTP/1.0 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
}

fn play_agent() {
    let host = option("--host");
    assert!(Path::new(&option("--tls-directory")).join(format!("{host}.key")).is_file());
    assert!(Path::new(&option("--state-directory")).is_dir());
    assert!(option("--namespace-prefix").ends_with(&format!(".{host}.")));
    // The tunnel endpoint has to be an address of this very namespace.
    let endpoint: std::net::IpAddr = option("--tunnel-endpoint").parse().unwrap();
    std::net::UdpSocket::bind((endpoint, 0)).unwrap();
    println!("the agent of {host} begins");
    loop {
        if let Ok(mut stream) = TcpStream::connect(option("--controller")) {
            let _ = writeln!(stream, "{host}");
            let _ = stream.read(&mut [0]);
        }
        thread::sleep(Duration::from_millis(10));
    }
}
