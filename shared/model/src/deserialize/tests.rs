use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::digest::Digest;
use crate::path::AbsolutePath;
use crate::span::{Key, Node, SourceId};
use crate::value::{SecretRef, Value};

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Sample {
    path: AbsolutePath,
    #[serde(default)]
    mode: Option<String>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(default)]
    state: State,
    #[serde(default)]
    argv: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, TextOrSecret>,
    #[serde(default)]
    source: Option<BlobField>,
    #[serde(default)]
    password: Option<SecretField>,
    #[serde(default)]
    anything: Option<ValueField>,
    #[serde(default)]
    names: OneOrMany<Located<String>>,
}

#[derive(Debug, Deserialize, PartialEq, Default)]
#[serde(rename_all = "lowercase")]
enum State {
    #[default]
    Running,
    Stopped,
}

fn plain(text: &str, at: u32) -> Spanned {
    Spanned {
        span: span(at),
        node: Node::Plain(text.into()),
    }
}

fn leaf(value: impl Into<Value>, at: u32) -> Spanned {
    Spanned {
        span: span(at),
        node: Node::Leaf(value.into()),
    }
}

fn list(items: Vec<Spanned>, at: u32) -> Spanned {
    Spanned {
        span: span(at),
        node: Node::List(items),
    }
}

/// Keys sit one before their values.
fn map(pairs: Vec<(&str, Spanned)>) -> Spanned {
    let pairs = pairs.into_iter().map(|(text, value)| {
        (
            Key {
                text: text.into(),
                span: span(value.span.start.saturating_sub(1)),
            },
            value,
        )
    });
    Spanned {
        span: span(0),
        node: Node::Map(pairs.collect()),
    }
}

fn span(at: u32) -> Span {
    Span::new(SourceId(0), at, at + 1)
}

fn secret() -> SecretRef {
    SecretRef {
        name: "pg.password".into(),
        version: Digest::of(b"v"),
    }
}

#[track_caller]
fn check_fails(value: &Spanned, expected: &[(u32, &str)]) {
    let error = from_spanned::<Sample>(value).unwrap_err();
    let all = error.into_all();
    let shown = all
        .iter()
        .map(|e| {
            let help = e
                .help
                .as_deref()
                .map(|h| format!(" ({h})"))
                .unwrap_or_default();
            (e.span.start, format!("{}{help}", e.message))
        })
        .collect::<Vec<_>>();
    let expected = expected
        .iter()
        .map(|(at, m)| (*at, (*m).to_owned()))
        .collect::<Vec<_>>();
    assert_eq!(shown, expected);
}

#[test]
fn fills_a_struct() {
    let value = map(vec![
        ("path", plain("/etc/x", 2)),
        ("mode", plain("0644", 4)),
        ("port", leaf(80, 6)),
        ("enabled", plain("true", 8)),
        ("state", plain("stopped", 10)),
        ("argv", list(vec![plain("1.10", 13), leaf(7, 14)], 12)),
        (
            "environment",
            map(vec![
                ("A", leaf("x", 17)),
                ("B", leaf(Value::Secret(secret()), 19)),
            ]),
        ),
    ]);
    let sample: Sample = from_spanned(&value).unwrap();
    assert_eq!(sample.mode.as_deref(), Some("0644"));
    assert_eq!(sample.port, Some(80));
    assert_eq!(sample.state, State::Stopped);
    assert_eq!(sample.argv, ["1.10", "7"]);
    assert_eq!(sample.environment["B"], TextOrSecret::Secret(secret()));
}

#[test]
fn special_values_pass_through() {
    let blob = Value::Blob(Digest::of(b"b"));
    let deep = Value::from([(
        "a",
        Value::List(vec![blob.clone(), Value::Secret(secret())]),
    )]);
    let value = map(vec![
        ("path", plain("/x", 2)),
        ("source", leaf(blob, 4)),
        ("password", leaf(Value::Secret(secret()), 6)),
        ("anything", Spanned::from_value(deep.clone(), span(8))),
        ("names", plain("one", 10)),
    ]);
    let sample: Sample = from_spanned(&value).unwrap();
    assert_eq!(sample.source, Some(BlobField(Digest::of(b"b"))));
    assert_eq!(sample.password, Some(SecretField(secret())));
    assert_eq!(sample.anything, Some(ValueField(deep)));
    assert_eq!(
        sample.names.0,
        [Located {
            span: span(10),
            value: "one".into()
        }]
    );
}

#[test]
fn all_misfits_at_once() {
    let value = map(vec![
        ("path", plain("etc/x", 2)),
        ("porrt", plain("80", 4)),
        ("port", leaf("80", 6)),
        ("enabled", plain("yes", 8)),
        ("state", plain("runing", 10)),
        (
            "argv",
            list(
                vec![
                    plain("a", 13),
                    list(vec![], 14),
                    leaf(Value::Secret(secret()), 15),
                ],
                12,
            ),
        ),
        ("zzz", plain("1", 20)),
    ]);
    check_fails(
        &value,
        &[
            (2, "`etc/x` is not an absolute path"),
            (3, "unknown key `porrt` (did you mean `port`?)"),
            (
                6,
                "expected an integer, found a string (write it without quotes)",
            ),
            (8, "expected `true` or `false`, found `yes` (write `true`)"),
            (10, "unknown value `runing` (did you mean `running`?)"),
            (14, "expected a string, found a list"),
            (
                15,
                "a secret cannot be used here (put it into a file by a template; only fields made \
                 for secrets take one)",
            ),
            (
                19,
                "unknown key `zzz` (known here: `path`, `mode`, `port`, `enabled`, `state`, `argv`, \
                 `environment`, `source`, `password`, `anything`, `names`)",
            ),
        ],
    );
}

#[test]
fn missing_keys_and_ranges() {
    check_fails(
        &map(vec![("port", plain("70000", 2))]),
        &[
            (0, "missing key `path`"),
            (2, "70000 is out of range: expected 0 to 65535"),
        ],
    );
    check_fails(
        &map(vec![("pahth", plain("/x", 2))]),
        &[(1, "unknown key `pahth` (did you mean `path`?)")],
    );
    check_fails(
        &map(vec![("path", plain("", 2))]),
        &[(2, "expected a string, found nothing")],
    );
    check_fails(&plain("x", 0), &[(0, "expected a map, found `x`")]);
}

#[test]
fn integers_are_not_octal() {
    let value = map(vec![("path", plain("/x", 2)), ("port", plain("080", 4))]);
    check_fails(&value, &[(4, "expected an integer, found `080`")]);
}

#[test]
fn spelling_survives_the_catalog() {
    #[derive(Debug, Deserialize)]
    struct Both {
        text: String,
        number: f64,
    }
    for spelling in ["1.10", "+5", "1e3", "80", "1.5"] {
        let written = map(vec![
            ("text", plain(spelling, 2)),
            ("number", plain(spelling, 4)),
        ]);
        let direct: Both = from_spanned(&written).unwrap();
        let carried: Both = from_spanned(&Spanned::from_value(settle(written), span(0))).unwrap();
        assert_eq!((&*carried.text, carried.number), (spelling, direct.number));
        assert_eq!(direct.text, spelling);
    }
}
