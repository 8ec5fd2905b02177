use super::*;
use crate::digest::Digest;
use crate::value::SecretRef;

const CANARY: &str = "canary-4711";

/// A context, and live facts under `live`: any but those listed are unknown.
struct TestScope(Value);

impl Scope for TestScope {
    fn lookup(&self, path: &[&str]) -> Lookup {
        match self.0.lookup(path) {
            Lookup::Missing { .. } if path[0] == "live" => Lookup::Unknown,
            other => other,
        }
    }
}

fn scope() -> TestScope {
    let peer = |name: &str, port: i64| {
        Value::from([
            ("name", name.into()),
            ("patroni", [("port", port.into())].into()),
        ])
    };
    let secret = SecretRef {
        name: "patroni.password".into(),
        version: Digest::of(b"x"),
    };
    TestScope(Value::from([
        ("n", 5.into()),
        ("half", Value::Float(0.5)),
        ("yes", true.into()),
        ("nothing", Value::Null),
        ("role", vec!["db".into(), "spare".into()].into()),
        ("name", "db01".into()),
        (
            "os",
            [("version", "12".into()), ("family", "debian".into())].into(),
        ),
        ("kernel", "6.1.0-18-amd64".into()),
        ("hostile", "${{ n }} {{7*7}}".into()),
        (
            "labels",
            [("zone", "a".into()), ("rack-1", "r".into())].into(),
        ),
        (
            "roles",
            [("db", vec![peer("db01", 8008), peer("db02", 8009)].into())].into(),
        ),
        ("live", [("role", "leader".into())].into()),
        ("password", Value::Secret(secret)),
        ("canary", CANARY.into()),
    ]))
}

fn evaluate(text: &str, dialect: Dialect) -> String {
    let show = |value: Value| match value {
        Value::String(text) => format!("{text:?}"),
        Value::List(_) | Value::Map(_) => functions::find("json")
            .unwrap()
            .call(&[value])
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned(),
        Value::Null => "null".into(),
        other => other.to_text().unwrap_or_else(|| other.kind().to_owned()),
    };
    let result = Expression::parse(text, dialect).and_then(|parsed| parsed.evaluate(&scope()));
    result.map_or_else(|error| explain(text, &error), show)
}

fn explain(text: &str, error: &ExpressionError) -> String {
    let help = error
        .help
        .as_ref()
        .map(|help| format!(" ({help})"))
        .unwrap_or_default();
    assert!(!format!("{error:?}").contains(CANARY), "{text}");
    format!(
        "error at `{}`: {}{help}",
        &text[error.range.clone()],
        error.message
    )
}

fn check(text: &str, expected: &str) {
    assert_eq!(evaluate(text, Dialect::Formula), expected, "{text}");
}

fn check_target(text: &str, expected: &str) {
    assert_eq!(evaluate(text, Dialect::Target), expected, "{text}");
}

#[test]
fn values() {
    check("12", "12");
    check("-3", "-3");
    check("1.50", "1.5");
    check(r#""a\n\"b\"" "#, r#""a\n\"b\"""#);
    check("'it'", "\"it\"");
    check("[1, 'a', [true],]", r#"[1,"a",[true]]"#);
    check("null", "null");
    check("n", "5");
    check("roles.db[0].name", "\"db01\"");
    check("roles.db[1].patroni.port", "8009");
    check(r#"labels["zone"]"#, "\"a\"");
    check("labels.rack-1", "\"r\"");
    check("last(roles.db).name", "\"db02\"");
    check("hostile", "\"${{ n }} {{7*7}}\"");
    check("password", "a secret");
    check("live.lag", "null");
}

#[test]
fn comparisons() {
    for truth in [
        "n = 5",
        "n == 5",
        "n = 5.0",
        "n != 6",
        "half < n",
        "n >= 5",
        "name = \"db01\"",
        "os.version = 12",
        "os.version < 12.5",
        "os.version > 9",
        "kernel >= \"6.1.0-9-amd64\"",
        "\"2.6.12-1+deb12u1\" > \"2.6.12-1\"",
        "'1.10' > 1.9",
        "1.10 > '1.9'",
        "'b' > 'a'",
        "'db10' < 'db9'",
        "'a' in role",
        "name in ['db01', 'db02']",
        "name not in ['db03']",
        "'zone' in labels",
        "'b0' in name",
        "nothing = null",
        "password != null",
        "[1, 2] = [1, 2.0]",
        "n = 5 and yes",
        "not (n = 6) and (n = 6 or yes)",
        "not n = 6",
        "role != 'db'",
        "live.role = 'leader'",
        "not (live.lag > 3)",
        "live.role = 'leader' or live.lag.x",
        "'01' != '1'",
        "'1.0' <= '1.00'",
    ] {
        let expected = if truth == "'a' in role" {
            "false"
        } else {
            "true"
        };
        check(truth, expected);
    }
    // Unknown is in no relation to anything.
    for relation in [
        "= 3",
        "!= 3",
        "< 3",
        ">= 3",
        "in [3]",
        "not in [3]",
        "= null",
        "!= null",
    ] {
        check(&format!("live.lag {relation}"), "false");
    }
    check("live.shrinking and yes", "false");
    check("length(live.lag)", "null");
    check("length(live.lag) = 0", "false");
    check("default(live.lag, 7)", "7");
    assert_eq!(
        Expression::parse("not live.x", Dialect::Formula)
            .unwrap()
            .evaluate_bool(&scope()),
        Ok(false)
    );
}

#[test]
fn targets() {
    for truth in [
        "all",
        "role=db",
        "role=db and os.version<13",
        "role = spare",
        "role != balancer",
        "name in [db01, db02]",
        "not name in [db03]",
        "name not in [db03]",
        "os.version=12",
        "os.version<12.10",
        "kernel>=6.1.0-18-amd64",
        "role in [db, balancer]",
        "yes=true",
        "os.family=debian and (role=x or role=db)",
        "n>4",
        "labels.zone=a",
        "nothing=null",
        "name='db01'",
        "name=lower(\"DB01\")",
        "'db' in role",
        "live.role=leader",
    ] {
        check_target(truth, "true");
    }
    for lie in [
        "role=balancer",
        "live.lag<5",
        "name=all",
        "role not in [db]",
        "not all",
    ] {
        check_target(lie, "false");
    }
    check_target("role=", "error at ``: expected a value, found the end");
    check_target(
        "role=and",
        "error at `and`: expected a value to compare with (quote the word if it is meant as a string)",
    );
    check_target("db01", "error at `db01`: unknown name `db01`");
}

#[test]
fn function_calls() {
    check("join(map(roles.db, 'name'), ' ')", "\"db01 db02\"");
    check("join([1, 2.5, true])", "\"1,2.5,true\"");
    check("map(roles.db, 'patroni.port')", "[8008,8009]");
    check(
        "where(roles.db, 'name', 'db02')",
        r#"[{"name":"db02","patroni":{"port":8009}}]"#,
    );
    check(
        "map(without(roles.db, 'name', name), 'name')",
        r#"["db02"]"#,
    );
    check("without([1, 2, 1], 1)", "[2]");
    check("length(role)", "2");
    check("length('äö')", "2");
    check("sort(['1.10', '1.9'])", r#"["1.9","1.10"]"#);
    check("sort(['10', '9', 'a'])", r#"["10","9","a"]"#);
    check("sort([2, 1.5, 1])", "[1,1.5,2]");
    check("unique(['a', 'b', 'a'])", r#"["a","b"]"#);
    check("keys(labels)", r#"["rack-1","zone"]"#);
    check("values(labels)", r#"["r","a"]"#);
    check("lookup(labels, 'row')", "null");
    check("lookup(labels, 'row', 'none')", "\"none\"");
    check("lookup(role, 1)", "\"spare\"");
    check("contains(role, 'db')", "true");
    check("min(3, 1, 2)", "1");
    check("max(['1.9', '1.10'])", "\"1.10\"");
    check("int('12')", "12");
    check("int(-2.7)", "-2");
    check("round(2.5)", "3");
    check("round(2.345, 2)", "2.35");
    check("percent(8589934592, 25)", "2147483648");
    check("concat('a', 1, true)", "\"a1true\"");
    check("upper(trim(' a '))", "\"A\"");
    check("replace('a.b', '.', '-')", "\"a-b\"");
    check("split('a,b', ',')", r#"["a","b"]"#);
    check("starts_with(name, 'db') and ends_with(name, '1')", "true");
    check("indent(\"a\\n\\nb\", 2)", r#""a\n\n  b""#);
    check("quote('say \"hi\"')", r#""\"say \\\"hi\\\"\"""#);
    check("shell_quote(\"it's; rm\")", r#""'it'\\''s; rm'""#);
    check("shell_quote('')", r#""''""#);
    check("base64('any carnal pleas')", "\"YW55IGNhcm5hbCBwbGVhcw==\"");
    check(
        "base64('any carnal pleasu')",
        "\"YW55IGNhcm5hbCBwbGVhc3U=\"",
    );
    check("base64('abc')", "\"YWJj\"");
    check("json([1, 'a', null])", r#""[1,\"a\",null]""#);
    check(
        "json(labels, 2)",
        r#""{\n  \"rack-1\": \"r\",\n  \"zone\": \"a\"\n}""#,
    );
    check("toml(['a', 1])", r#""[\"a\", 1]""#);
    check("toml(labels)", r#""rack-1 = \"r\"\nzone = \"a\"\n""#);
}

#[test]
fn yaml_is_read_the_same_by_all() {
    let yaml = |value: Value| {
        functions::find("yaml")
            .unwrap()
            .call(&[value])
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    };
    let texts = [
        "no",
        "1:30",
        "2024-01-01",
        "0644",
        "",
        "a: b",
        "- x",
        "/srv/a",
        "plain",
        "#",
        "é",
    ];
    let list = Value::List(texts.iter().map(|text| Value::from(*text)).collect());
    assert_eq!(
        yaml(list),
        "- \"no\"\n- \"1:30\"\n- \"2024-01-01\"\n- \"0644\"\n- \"\"\n- \"a: b\"\n- \"- x\"\n\
         - /srv/a\n- plain\n- \"#\"\n- \"é\""
    );
    let nested = Value::from([
        ("empty", Value::List(vec![])),
        (
            "list",
            vec![
                [("a", 1.into()), ("b", Value::Null)].into(),
                vec![2.into()].into(),
            ]
            .into(),
        ),
        ("map", [("x", Value::Float(1.0))].into()),
        ("yes", true.into()),
    ]);
    assert_eq!(
        yaml(nested),
        "empty: []\nlist:\n  - a: 1\n    b: null\n  - - 2\nmap:\n  x: 1.0\n\"yes\": true"
    );
}

#[test]
fn errors() {
    check("", "error at ``: expected an expression, found nothing");
    check(
        "os.versoin",
        "error at `os.versoin`: unknown name `os.versoin` (did you mean `version`?)",
    );
    check(
        "lenght(n)",
        "error at `lenght`: unknown function `lenght` (did you mean `length`?)",
    );
    check(
        "join()",
        "error at `join()`: `join` takes 1 to 2 arguments, found 0 (use it as `join(list, \
         separator?)`: the elements as one text, with the separator (or `,`) between)",
    );
    check(
        "lower(role)",
        "error at `role`: expected a text, found a list",
    );
    check(
        "lower(password)",
        "error at `password`: expected a text, found a secret (a secret can only be used in a template)",
    );
    check(
        "json([password])",
        "error at `[password]`: a secret has no text here (a secret can only be used in a template, a blob only as a file's content)",
    );
    check(
        "password = 'x'",
        "error at `password`: a secret cannot be compared (only with `null`, to ask whether there is one)",
    );
    check("int(canary)", "error at `canary`: the text is not a number");
    check(
        "map(roles.db, 'nam')",
        "error at `'nam'`: not every element has `nam` (did you mean `name`?)",
    );
    check(
        "n and yes",
        "error at `n`: expected true or false, found an integer (compare it with something: `… = …`, `… != null`, `length(…) > 0`)",
    );
    check(
        "yes < 3",
        "error at `yes < 3`: cannot tell whether a boolean is less than an integer",
    );
    check(
        "canary < 3",
        "error at `canary < 3`: cannot tell whether a string is less than an integer, for the string is no version",
    );
    check(
        "1 < n < 3",
        "error at ` <`: comparisons do not chain (write `a < b and b < c`)",
    );
    check(
        "n + 1",
        "error at `+ 1`: expected the end of the expression (values are joined by `and`, `or` and comparisons; there is no arithmetic)",
    );
    check(
        "1.2.3",
        "error at `1.2.3`: `1.2.3` is not a number (quote it if it is text: `\"1.2.3\"`)",
    );
    check("(n = 5", "error at `(n = 5`: expected `)`, found the end");
    check("[1 2]", "error at `[1 2`: expected `]`, found `2`");
    check(
        "'abc",
        "error at `'abc`: this string has no end (close it with ')",
    );
    check(
        "name.x",
        "error at `name.x`: unknown name `name.x` (what comes before `x` is a string)",
    );
    check(
        "role[7]",
        "error at `role[7]`: unknown name `role.7` (the list has 2 elements, counted from 0)",
    );
    check(
        "first([])",
        "error at `[]`: the list is empty (write `lookup(…, 0)` where it may be)",
    );
    check(
        "nothing.",
        "error at ``: expected a name after the dot, found the end",
    );
    check("99999999999999999999", "1e20");
    check(
        &"(".repeat(100),
        "error at ``: this expression is nested too deeply (at most 64 levels are read)",
    );
    check(
        &"not ".repeat(100),
        "error at ``: this expression is nested too deeply (at most 64 levels are read)",
    );
    let long = format!("'{}'", "x".repeat(70_000));
    assert!(Expression::parse(&long, Dialect::Formula).is_err());
    let chain = vec!["yes"; 5000].join(" and ");
    check(&chain, "true");
}

#[test]
fn interpolation() {
    let check = |text: &str, expected: &str| {
        let parsed = parse_interpolated(text);
        let result = parsed.and_then(|parsed| parsed.evaluate(&scope()));
        let shown = result.map_or_else(|error| explain(text, &error), |value| format!("{value:?}"));
        assert_eq!(shown, expected, "{text}");
    };
    check("plain", r#"String("plain")"#);
    check("${{ n }}", "Integer(5)");
    check("${{n}}", "Integer(5)");
    check("port ${{ n }}/${{ name }}", r#"String("port 5/db01")"#);
    check(
        "a $${{ n }} $ {{ n }} ${n}",
        r#"String("a ${{ n }} $ {{ n }} ${n}")"#,
    );
    check("$$${{", r#"String("$${{")"#);
    check("${{ '}}' }}!", r#"String("}}!")"#);
    check("${{ hostile }}", r#"String("${{ n }} {{7*7}}")"#);
    check("x${{ hostile }}", r#"String("x${{ n }} {{7*7}}")"#);
    check(
        "ä ${{ nam }}",
        "error at `nam`: unknown name `nam` (did you mean `name`?)",
    );
    check(
        "ä ${{ n",
        "error at `${{ n`: this expression has no end (close it with `}}`, or write `$${{` if no expression is meant)",
    );
    check(
        "${{ }}",
        "error at ` `: expected an expression, found nothing",
    );
    check(
        "x ${{ role }}",
        "error at `${{ role }}`: a list cannot be part of a text (write `join(…, \",\")`, or put it in a template)",
    );
    check(
        "x ${{ password }}",
        "error at `${{ password }}`: a secret cannot be part of a text (put it in a template)",
    );
    check(
        "x ${{ nothing }}",
        "error at `${{ nothing }}`: null cannot be part of a text (give it a value, or write `default(…, \"…\")`)",
    );

    let parsed = parse_interpolated("a ${{ n }} ${{ roles.db[0].name = os.family }}").unwrap();
    let paths = parsed.paths();
    assert_eq!(
        paths[0],
        PathUse {
            path: vec!["n".into()],
            range: 6..7
        }
    );
    assert_eq!(paths[1].path, ["roles", "db", "0", "name"]);
    assert_eq!(paths[2].path, ["os", "family"]);
    assert!(!parsed.is_literal());
}

/// Random sentences of the grammar's own words: nothing may panic, and ranges must fit the text.
#[test]
fn never_panics() {
    const WORDS: [&str; 44] = [
        "n", "name", "role", "roles.db", ".", "[", "]", "(", ")", ",", "=", "==", "!=", "<", "<=",
        ">", "in", "not", "and", "or", "\"", "'", "'a'", "12", "1.5", "-", "true", "null", "all",
        "length(", "join(", "sort(", "map(", "min(", "default(", "é", " ", "\\", "${{", "}}", "$",
        "live.x", "password", "1.",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound as u64).unwrap()
    };
    let scope = scope();
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..=next(14) {
            text.push_str(WORDS[next(WORDS.len())]);
            text.push_str(["", " "][next(2)]);
        }
        for dialect in [Dialect::Formula, Dialect::Target] {
            let result = Expression::parse(&text, dialect).and_then(|e| e.evaluate(&scope));
            if let Err(error) = result {
                assert!(text.get(error.range).is_some(), "{text}");
            }
        }
        if let Err(error) = parse_interpolated(&text).and_then(|parsed| parsed.evaluate(&scope)) {
            assert!(text.get(error.range).is_some(), "{text}");
        }
    }
}
