use proptest::prelude::*;

use super::authority;
use crate::join::{InvalidToken, JoinToken, is_server, new_secret};

fn token() -> JoinToken {
    JoinToken {
        servers: vec![
            "server.example.org:4640".to_owned(),
            "[fd00::1]:4640".to_owned(),
        ],
        ca: authority().certificate_der().to_vec(),
        secret: new_secret(),
    }
}

#[test]
fn text_and_back() {
    let token = token();
    let text = token.to_text().unwrap();
    assert!(
        text.starts_with("brine1.") && text.len() < 1000,
        "{}",
        text.len()
    );
    assert!(!text.contains(char::is_whitespace));
    assert_eq!(format!("{}\n", *text).parse(), Ok(token));
}

#[test]
fn debug_tells_no_secret() {
    let token = token();
    let secret = token.secret.clone().unwrap();
    assert!(!format!("{token:?}").contains(secret.reveal()));
}

#[test]
fn what_is_no_token() {
    let text = token().to_text().unwrap();
    let parse = |text: &str| text.parse::<JoinToken>().unwrap_err();
    assert_eq!(parse(""), InvalidToken::Prefix);
    assert_eq!(parse("brine2.abc"), InvalidToken::Prefix);
    assert_eq!(parse(&text[..text.len() - 1]), InvalidToken::Damaged);
    assert_eq!(parse(&text[..text.len() - 40]), InvalidToken::Damaged);
    assert_eq!(parse(&format!("{}AAAA", *text)), InvalidToken::Damaged);
    assert_eq!(
        parse(&format!("brine1.{}", "A".repeat(9000))),
        InvalidToken::TooLong
    );
    for servers in [vec![], vec!["db01".to_owned()], vec!["a:1".to_owned(); 17]] {
        let token = JoinToken { servers, ..token() };
        assert_eq!(token.to_text().unwrap_err(), InvalidToken::Servers);
    }
    let token = JoinToken {
        ca: vec![1, 2, 3],
        ..token()
    };
    assert_eq!(token.to_text().unwrap_err(), InvalidToken::Authority);
}

#[test]
fn servers() {
    for good in [
        "a:1",
        "10.77.0.1:4640",
        "server.example.org:65535",
        "[::1]:4640",
    ] {
        assert!(is_server(good), "{good}");
    }
    for bad in [
        "", ":1", "a", "a:", "a:0", "a:65536", "::1:4640", "[x]:1", "a b:1", "a:1:2",
    ] {
        assert!(!is_server(bad), "{bad}");
    }
}

proptest! {
    #[test]
    fn noise_is_refused(text in "(brine1\\.)?[A-Za-z0-9_-]{0,200}") {
        prop_assert!(text.parse::<JoinToken>().is_err());
    }
}
