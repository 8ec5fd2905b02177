//! A small HTTP/1.1 client: plain, one request a connection, no redirections, everything bounded.
//!
//! For services of this machine (Patroni, an application's health page). What speaks TLS is asked
//! by its own program.

mod deadline;
mod request;
mod response;

use std::io::Write;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use brine_model::host::{HostError, HostResult, HttpAnswer, HttpRequest};

use self::deadline::Deadline;
use self::request::{Message, Target};
use self::response::Response;

pub(super) fn get(url: &str, timeout: Duration) -> HostResult<HttpAnswer> {
    ask(url, &Message::get(), timeout)
}

pub(super) fn send(request: &HttpRequest) -> HostResult<HttpAnswer> {
    ask(&request.url, &Message::of(request), request.timeout)
}

/// The status alone. The rest is read as far as it comes at once: some servers complain loudly
/// when nobody listens to the end.
pub(super) fn status(url: &str, timeout: Duration) -> Result<u16, String> {
    let deadline = Deadline::after(timeout);
    let mut response = exchange(url, &Message::get(), &deadline)?;
    let status = response.status;
    let _ = response.body(&deadline.at_most(Duration::from_millis(500)));
    Ok(status)
}

pub(super) fn connect(address: &str, timeout: Duration) -> Result<TcpStream, String> {
    connect_within(address, &Deadline::after(timeout))
}

fn ask(url: &str, message: &Message, timeout: Duration) -> HostResult<HttpAnswer> {
    let deadline = Deadline::after(timeout);
    let answer = || {
        let mut response = exchange(url, message, &deadline)?;
        let body = response.body(&deadline)?;
        Ok(HttpAnswer {
            status: response.status,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    };
    answer().map_err(|why: String| HostError::failed(format!("ask {url}"), why))
}

/// Up to the end of the answer's head.
fn exchange(url: &str, message: &Message, deadline: &Deadline) -> Result<Response, String> {
    let target = Target::parse(url)?;
    let mut stream = connect_within(&target.address, deadline)?;
    let said = |error: std::io::Error| error.to_string();
    stream
        .set_write_timeout(Some(deadline.left()?))
        .map_err(said)?;
    // A server may answer without reading all: what it says counts.
    let written = stream.write_all(&message.bytes(&target));
    let response = Response::read(stream, deadline);
    match (written, response) {
        (_, Ok(response)) => Ok(response),
        (Err(error), Err(_)) => Err(error.to_string()),
        (Ok(()), Err(why)) => Err(why),
    }
}

fn connect_within(address: &str, deadline: &Deadline) -> Result<TcpStream, String> {
    let resolved: Vec<SocketAddr> = address
        .to_socket_addrs()
        .map_err(|error| format!("{address} is no address: {error}"))?
        .collect();
    let mut why = format!("{address} does not resolve");
    for candidate in resolved {
        match TcpStream::connect_timeout(&candidate, deadline.left()?) {
            Ok(stream) => return Ok(stream),
            Err(error) => why = format!("nothing accepts connections at {candidate}: {error}"),
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use brine_model::host::{Credentials, HttpMethod};
    use brine_model::value::SecretText;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// Serves one connection: the parts of the answer one after the other, then the end. Returns
    /// what was asked.
    fn serve(parts: &'static [&'static str]) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).unwrap();
            for part in parts {
                // A client that has heard enough may be gone.
                let _ = stream.write_all(part.as_bytes());
                std::thread::sleep(Duration::from_millis(20));
            }
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (address, server)
    }

    fn check(parts: &'static [&'static str], expected: Result<(u16, &str), &str>) {
        let (address, server) = serve(parts);
        let answer = get(&format!("http://{address}/x?y"), LIMIT);
        let asked = server.join().unwrap();
        assert!(
            asked.starts_with("GET /x?y HTTP/1.1\r\nHost: 127."),
            "{asked}"
        );
        match (answer, expected) {
            (Ok(answer), Ok(expected)) => {
                assert_eq!((answer.status, answer.body.as_str()), expected, "{parts:?}");
            }
            (Err(error), Err(words)) => {
                assert!(error.to_string().contains(words), "{parts:?}: {error}");
            }
            (answer, expected) => panic!("{parts:?}: {answer:?}, not {expected:?}"),
        }
    }

    #[test]
    fn bodies() {
        check(
            &["HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab", "cdef"],
            Ok((200, "abcd")),
        );
        check(&["HTTP/1.0 503 No\r\n\r\nab", "cd"], Ok((503, "abcd")));
        check(
            &[
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r",
                "\n2;x=y\r\nde\r\n0\r\nA: b\r\n\r\n",
            ],
            Ok((200, "abcde")),
        );
        check(
            &[
                "HTTP/1.1 100 Continue\r\n\r\n",
                "HTTP/1.1 204 No\r\n\r\nnot a body",
            ],
            Ok((204, "")),
        );
        check(&["HTTP/1.1 200\nContent-Length: 1\n\nx"], Ok((200, "x")));
    }

    #[test]
    fn answers_that_are_none() {
        check(&["SSH-2.0-x\r\n\r\n"], Err("not HTTP"));
        check(&[""], Err("without an answer"));
        check(&["HTTP/1.1 200 OK\r\nA: b"], Err("cut short"));
        check(
            &["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"],
            Err("cut short"),
        );
        check(
            &["HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx"],
            Err("not HTTP"),
        );
        check(
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
            Err("not HTTP"),
        );
        check(
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"],
            Err("more than 1 MiB"),
        );
        check(
            &["HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n"],
            Err("more than 1 MiB"),
        );
        check(
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
            Err("encoded"),
        );
    }

    #[test]
    fn what_is_sent() {
        let (address, server) = serve(&["HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
        let request = HttpRequest {
            method: HttpMethod::Patch,
            url: format!("http://{address}"),
            body: Some("{\"ttl\": 20}".to_owned()),
            credentials: Some(Credentials {
                user: "admin".to_owned(),
                password: SecretText::new("pässword"),
            }),
            timeout: LIMIT,
        };
        assert_eq!(send(&request).unwrap().status, 200);
        let asked = server.join().unwrap();
        assert!(asked.starts_with("PATCH / HTTP/1.1\r\n"), "{asked}");
        for line in [
            "Authorization: Basic YWRtaW46cMOkc3N3b3Jk\r\n",
            "Content-Type: application/json\r\n",
            "Content-Length: 11\r\n",
            "\r\n\r\n{\"ttl\": 20}",
        ] {
            assert!(asked.contains(line), "{asked}");
        }
    }

    #[test]
    fn the_limit_is_for_the_whole() {
        let (address, server) = serve(&["H"; 100]);
        let start = std::time::Instant::now();
        let error = get(&format!("http://{address}/"), Duration::from_millis(200)).unwrap_err();
        assert!(error.to_string().contains("no answer within"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(1));
        drop(server);
    }

    #[test]
    fn urls_that_are_none() {
        for url in [
            "https://127.0.0.1/",
            "http://",
            "http://a b/",
            "http://user@host/",
            "http://a/\r\nX: y",
        ] {
            assert!(get(url, LIMIT).is_err(), "{url}");
        }
    }
}
