//! Asking whether something works, once.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use brine_model::host::ProbeOutcome;

/// For connecting, and for the whole of an answer.
const LIMIT: Duration = Duration::from_secs(5);

/// A status line is no longer.
const STATUS_LINE: usize = 1 << 10;

pub(super) fn tcp(address: &str) -> ProbeOutcome {
    connect(address).map(drop)
}

/// A GET over plain HTTP/1.1; the answer's body is of no interest, redirections are not followed.
pub(super) fn http(url: &str, wanted: Option<u16>) -> ProbeOutcome {
    let status = status_of(url).map_err(|why| format!("{url}: {why}"))?;
    let good = match wanted {
        Some(wanted) => status == wanted,
        None => (200..400).contains(&status),
    };
    match (good, wanted) {
        (true, _) => Ok(()),
        (false, Some(wanted)) => Err(format!("{url} answers {status}, not {wanted}")),
        (false, None) => Err(format!("{url} answers {status}")),
    }
}

fn connect(address: &str) -> Result<TcpStream, String> {
    let resolved: Vec<SocketAddr> = address
        .to_socket_addrs()
        .map_err(|error| format!("{address} is no address: {error}"))?
        .collect();
    let mut why = format!("{address} does not resolve");
    for candidate in resolved {
        match TcpStream::connect_timeout(&candidate, LIMIT) {
            Ok(stream) => return Ok(stream),
            Err(error) => why = format!("nothing accepts connections at {candidate}: {error}"),
        }
    }
    Err(why)
}

fn status_of(url: &str) -> Result<u16, String> {
    let rest = url
        .strip_prefix("http://")
        .ok_or("only http:// can be asked")?;
    let (authority, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    if authority.is_empty() || authority.contains('@') || !is_printable(rest) {
        return Err("not a plain URL".to_owned());
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    let has_port = authority
        .rsplit(']')
        .next()
        .is_some_and(|end| end.contains(':'));
    let address = if has_port {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let mut stream = connect(&address)?;
    let said = |error: std::io::Error| error.to_string();
    stream.set_write_timeout(Some(LIMIT)).map_err(said)?;
    let request = format!(
        "GET {slash}{path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: brine-agent\r\n\
         Accept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).map_err(said)?;
    let line = status_line(&mut stream)?;
    let mut words = line.split(' ');
    let protocol = words.next().unwrap_or_default();
    let status = words.next().and_then(|status| status.parse().ok());
    match status {
        Some(status) if protocol.starts_with("HTTP/1.") => Ok(status),
        _ => Err("the answer is not HTTP".to_owned()),
    }
}

/// Within the limit as a whole, however slowly the bytes trickle.
fn status_line(stream: &mut TcpStream) -> Result<String, String> {
    let start = Instant::now();
    let mut line = Vec::new();
    let mut chunk = [0; 256];
    while !line.contains(&b'\n') {
        let left = LIMIT.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(format!("no answer within {} s", LIMIT.as_secs()));
        }
        stream
            .set_read_timeout(Some(left))
            .map_err(|error| error.to_string())?;
        let length = match stream.read(&mut chunk) {
            Ok(0) => return Err("the connection was closed without an answer".to_owned()),
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => 0,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => 0,
            Err(error) => return Err(error.to_string()),
        };
        line.extend_from_slice(&chunk[..length]);
        if line.len() > STATUS_LINE {
            return Err("the answer is not HTTP".to_owned());
        }
    }
    let first = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(first).trim_end().to_owned())
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A server of one connection that says `answer`.
    fn check(answer: &'static str, wanted: Option<u16>) -> ProbeOutcome {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /health?x HTTP/1.1\r\nHost: 127."));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let outcome = http(&format!("http://{address}/health?x"), wanted);
        server.join().unwrap();
        outcome
    }

    #[test]
    fn statuses() {
        assert_eq!(check("HTTP/1.1 200 OK\r\n\r\n", None), Ok(()));
        assert_eq!(check("HTTP/1.0 302 Found\r\n\r\n", None), Ok(()));
        assert_eq!(check("HTTP/1.1 503 Down\r\n\r\n", Some(503)), Ok(()));
        assert!(
            check("HTTP/1.1 503 Down\r\n\r\n", None)
                .unwrap_err()
                .ends_with("answers 503")
        );
        assert!(
            check("SSH-2.0-x\r\n", None)
                .unwrap_err()
                .ends_with("not HTTP")
        );
        assert!(check("", None).unwrap_err().ends_with("without an answer"));
    }

    #[test]
    fn nothing_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(tcp(&address), Ok(()));
        drop(listener);
        assert!(
            tcp(&address)
                .unwrap_err()
                .contains("nothing accepts connections")
        );
        assert!(http("https://127.0.0.1/", None).is_err());
        assert!(http("http://a b/", None).is_err());
    }
}
