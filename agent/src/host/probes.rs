//! Asking whether something works, once.

use std::time::Duration;

use brine_model::host::ProbeOutcome;

use super::http;

/// For connecting alone: the kernel answers for a program that is busy, and a packet that was lost is sent
/// again after one second. Of several peers that are silent, each costs this.
const CONNECT: Duration = Duration::from_secs(2);

/// For the whole of an answer.
const LIMIT: Duration = Duration::from_secs(5);

pub(super) fn tcp(address: &str) -> ProbeOutcome {
    http::connect(address, CONNECT).map(drop)
}

/// A GET; the answer's body is of no interest, redirections are not followed.
pub(super) fn http(url: &str, wanted: Option<u16>) -> ProbeOutcome {
    let status = http::status(url, LIMIT).map_err(|why| format!("{url}: {why}"))?;
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
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
