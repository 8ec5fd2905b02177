use super::*;
use crate::digest::Digest;

const CANARY: &str = "canary-4711";

fn context() -> Value {
    let peer = |name: &str, address: &str, port: i64| {
        let webapp = Value::from([("port", port.into())]);
        Value::from([
            ("name", name.into()),
            ("address", address.into()),
            ("webapp", webapp),
        ])
    };
    let mut spare = peer("web03", "10.0.0.3", 8081);
    if let Value::Map(map) = &mut spare {
        map.insert("weight".into(), 5.into());
    }
    let secret = |name: &str| {
        Value::Secret(SecretRef {
            name: format!("app.{name}"),
            version: Digest::of(b"x"),
        })
    };
    let app = [
        ("password", secret("password")),
        ("absent", secret("absent")),
        ("port", 8080.into()),
        ("hostile", "{{7*7}} ${{ x }} <&\"'>".into()),
        ("optional", Value::Null),
        ("release", "1.10".into()),
        ("ratio", Value::Float(1.0)),
        ("empty", Value::List(vec![])),
        ("tls", true.into()),
        ("zero", 0.into()),
        ("motd", "one\n\ntwo".into()),
        ("blob", Value::Blob(Digest::of(b"x"))),
        ("version", "7".into()),
    ];
    Value::from([
        (
            "node",
            [
                ("name", "lb01".into()),
                ("roles", vec!["lb".into(), "x y".into()].into()),
            ]
            .into(),
        ),
        ("app", app.into()),
        ("canary", CANARY.into()),
        (
            "labels",
            [("env", "prod".into()), ("zone", "a".into())].into(),
        ),
        (
            "roles",
            [
                (
                    "web",
                    vec![
                        peer("web01", "10.0.0.1", 8080),
                        peer("web02", "10.0.0.2", 8080),
                        spare,
                    ]
                    .into(),
                ),
                ("db", Value::List(vec![])),
            ]
            .into(),
        ),
    ])
}

fn secrets(secret: &SecretRef) -> Option<SecretText> {
    (secret.name == "app.password").then(|| SecretText::new(CANARY))
}

fn render(text: &str) -> Result<Rendered, TemplateError> {
    Template::parse("test.hbs", text)?.render(&context(), &secrets)
}

fn explain(text: &str, error: &TemplateError) -> String {
    assert!(!format!("{error:?}").contains(CANARY), "{text}");
    let help = error
        .help
        .as_ref()
        .map(|help| format!(" ({help})"))
        .unwrap_or_default();
    format!("`{}`: {}{help}", &text[error.range.clone()], error.message)
}

/// Renders, and finds nothing wrong beforehand.
#[track_caller]
fn check(text: &str, expected: &str) {
    let found = Template::parse("test.hbs", text).map(|template| template.check(&context()));
    assert_eq!(found, Ok(vec![]), "{text}");
    match render(text) {
        Ok(rendered) => assert_eq!(rendered.text, expected, "{text}"),
        Err(error) => panic!("{text}: {}", explain(text, &error)),
    }
}

/// Everything that is found before rendering.
#[track_caller]
fn check_errors(text: &str, expected: &[&str]) {
    let errors = match Template::parse("test.hbs", text) {
        Ok(template) => template.check(&context()),
        Err(error) => vec![error],
    };
    let errors: Vec<_> = errors.iter().map(|error| explain(text, error)).collect();
    assert_eq!(errors, expected, "{text}");
}

/// What only rendering finds.
#[track_caller]
fn check_render_error(text: &str, expected: &str) {
    check_errors(text, &[]);
    let error = render(text).unwrap_err();
    assert_eq!(explain(text, &error), expected, "{text}");
}

#[test]
fn values() {
    check("", "");
    check("plain \\{{text}}\n", "plain {{text}}\n");
    check("{{node.name}}:{{app.port}}", "lb01:8080");
    check("{{{node.name}}}{{&node.name}}", "lb01lb01");
    check("{{app.ratio}} {{app.tls}}", "1.0 true");
    check("{{roles.web.[1].name}}", "web02");
    check("{{roles.web.1.name}}", "web02");
    check(
        "{{@root.node.name}} {{this.node.name}} {{./node.name}}",
        "lb01 lb01 lb01",
    );
    check("{{app.version}} {{#with app}}{{version}}{{/with}}", "7 7");
    check("{{!-- {{nothing}} --}}{{! nor }}x", "x");
    check("{{{{raw}}}}{{as is}}{{{{/raw}}}}", "{{as is}}");
    // Data is data: neither escaped nor evaluated again.
    check("{{app.hostile}}", "{{7*7}} ${{ x }} <&\"'>");
    check("{{quote app.hostile}}", r#""{{7*7}} ${{ x }} <&\"'>""#);
}

#[test]
fn blocks() {
    check(
        "{{#if app.tls}}a{{else}}b{{/if}}{{#unless app.tls}}c{{else}}d{{/unless}}",
        "ad",
    );
    check(
        "{{#if app.optional}}a{{else if app.zero}}b{{else if app.tls}}c{{else}}d{{/if}}",
        "c",
    );
    check("{{#if app.optional}}a{{else if app.empty}}b{{/if}}.", ".");
    check(
        "{{#each roles.web}}{{name}}={{webapp.port}}{{#unless @last}},{{/unless}}{{/each}}",
        "web01=8080,web02=8080,web03=8081",
    );
    check(
        "{{#each roles.web as |w i|}}{{i}}{{@index}}{{w.name}}{{@root.node.name}} {{/each}}",
        "00web01lb01 11web02lb01 22web03lb01 ",
    );
    check(
        "{{#each labels}}{{@key}}:{{this}}{{#if @first}};{{/if}}{{/each}}",
        "env:prod;zone:a",
    );
    check(
        "{{#each labels as |v k|}}{{k}}{{v}}{{/each}}",
        "envprodzonea",
    );
    check(
        "{{#each roles.db}}{{anything.at.all}}{{else}}none{{/each}}",
        "none",
    );
    check("{{#each app.optional}}x{{name}}{{/each}}.", ".");
    check(
        "{{#each node.roles}}{{this}}{{#each @root.roles.web}}{{@../index}}{{../this}}{{/each}}|{{/each}}",
        "lb0lb0lb0lb|x y1x y1x y1x y|",
    );
    check(
        "{{#each roles.web}}{{../node.name}}{{#with webapp}}{{port}}{{../name}}{{@index}}{{/with}} {{/each}}",
        "lb018080web010 lb018080web021 lb018081web032 ",
    );
    check(
        "{{#with roles.web.[0] as |w|}}{{w.name}}{{name}}{{/with}}",
        "web01web01",
    );
    check("{{#with app.optional}}{{x}}{{else}}no{{/with}}", "no");
    check(
        "{{#each (where roles.web \"webapp.port\" 8080)}}{{name}} {{/each}}",
        "web01 web02 ",
    );
    check(
        "{{#each roles.web}}{{#if @last}}{{weight}}{{/if}}{{/each}}",
        "5",
    );
    check("{{#if app.optional}}{{app.optional.inner}}{{/if}}", "");
    check("{{#if roles.db}}{{roles.db.[0].name}}{{/if}}", "");
}

#[test]
fn lines() {
    check(
        "a\n{{#if app.tls}}\n  b\n{{else}}\n  c\n{{/if}}\nd\n",
        "a\n  b\nd\n",
    );
    check("{{#if app.tls}}\nb\n{{/if}}\n", "b\n");
    check("{{#if app.tls}}\nb\n{{/if}}", "b\n");
    check(
        "  {{#each node.roles}}\n  - {{this}}\n  {{/each}}\nend",
        "  - lb\n  - x y\nend",
    );
    check("a  {{~node.name~}}  b", "alb01b");
    check("{{! comment }}\nx\n\n", "x\n\n");
    check("a\r\n{{#if app.tls}}\r\nb\r\n{{/if}}\r\n", "a\r\nb\r\n");
    check("no end", "no end");
    check("{{app.port}}\n", "8080\n");
    check("x {{app.port}} \n\n y", "x 8080 \n\n y");
}

/// Where we do not mean to differ, the crate's own renderer gives the same.
#[test]
fn agrees_with_handlebars() {
    let json = serde_json::json!({
        "t": true, "f": false, "n": 3, "s": "x", "m": {"a": 1, "b": {"c": [1, 2]}},
        "l": [{"k": "p", "v": [1, 2]}, {"k": "q", "v": []}], "e": [],
    });
    let number = |number: i64| Value::Integer(number);
    let item = |k: &str, v: Vec<Value>| Value::from([("k", k.into()), ("v", v.into())]);
    let context = Value::from([
        ("t", true.into()),
        ("f", false.into()),
        ("n", 3.into()),
        ("s", "x".into()),
        (
            "m",
            [
                ("a", 1.into()),
                ("b", [("c", vec![number(1), number(2)].into())].into()),
            ]
            .into(),
        ),
        (
            "l",
            vec![item("p", vec![number(1), number(2)]), item("q", vec![])].into(),
        ),
        ("e", Value::List(vec![])),
    ]);
    let mut registry = handlebars::Handlebars::new();
    registry.register_escape_fn(handlebars::no_escape);
    registry.set_strict_mode(true);
    // Every `_` is replaced by several of these, the later ones only at the outer levels.
    let pieces = [
        "a",
        "\n",
        "  ",
        "{{@root.s}}",
        "{{~@root.n~}}",
        "{{! note }}",
        "\r\n",
        "\\{{x}}",
        "\n{{! note }}\n",
        "{{#if @root.t}}_{{/if}}",
        "{{#if @root.t}}\n_\n  {{/if}}\n",
        "{{#if @root.f}}_{{else}}\n_{{~/if}}",
        "{{#if @root.f}}_{{else if @root.n}}\n_{{else}}_{{/if}}\n",
        "{{#unless @root.e}}_{{/unless}}",
        "{{#each @root.l}}_{{k}}{{@index}}{{#each v}}{{this}}_{{../k}}{{@../index}}{{/each}}{{/each}}",
        "{{#with @root.m}}_{{a}}{{b.c.[1]}}_{{/with}}",
        "\n{{#each @root.m.b.c as |x i|}}\n_{{x}}{{i}}{{/each}}\n",
        "{{#each @root.e}}_{{else}}_{{/each}}",
        "{{#each @root.m.b.c}}\n_{{#unless @last}},{{/unless}}\n{{/each}}",
    ];
    let mut state = 7_usize;
    let mut pick = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    for _ in 0..500 {
        let mut text = "_".to_owned();
        for bound in [pieces.len(), pieces.len(), 9] {
            let mut expanded = String::new();
            for part in text.split_inclusive('_') {
                expanded.push_str(part.trim_end_matches('_'));
                let slots = if part.ends_with('_') { pick(4) } else { 0 };
                (0..slots).for_each(|_| expanded.push_str(pieces[pick(bound)]));
            }
            text = expanded;
        }
        let text = text.replace('_', "");
        let ours = Template::parse("test.hbs", &text).unwrap();
        assert_eq!(ours.check(&context), [], "{text:?}");
        let ours = ours.render(&context, &secrets).unwrap();
        assert_eq!(
            ours.text,
            registry.render_template(&text, &json).unwrap(),
            "{text:?}"
        );
    }
}

#[test]
fn helper_calls() {
    check("{{join node.roles \", \"}}", "lb, x y");
    check("{{join (map roles.web \"name\") ' '}}", "web01 web02 web03");
    check(
        "{{join (without (map roles.web \"name\") \"web02\")}}",
        "web01,web03",
    );
    check(
        "{{default app.optional \"none\"}} {{default app.port 1}}",
        "none 8080",
    );
    check(
        "{{length roles.web}} {{upper node.name}} {{replace node.name \"lb\" \"x\"}}",
        "3 LB01 x01",
    );
    check(
        "{{#if (and app.tls (not app.optional) (or app.zero (eq app.port 8080)))}}y{{/if}}",
        "y",
    );
    check(
        "{{#if (gt app.release \"1.9\")}}y{{/if}}{{#if (lte app.port 80)}}n{{/if}}",
        "y",
    );
    check("{{#if (contains node.roles \"lb\")}}y{{/if}}", "y");
    check(
        "{{lookup labels \"env\"}} {{lookup labels \"row\" \"-\"}}",
        "prod -",
    );
    check(
        "{{json roles.web.[0]}}",
        r#"{"address":"10.0.0.1","name":"web01","webapp":{"port":8080}}"#,
    );
    check("{{toml node.roles}}", r#"["lb", "x y"]"#);
    check(
        "x:\n  {{indent (yaml labels) 2}}\n",
        "x:\n  env: prod\n  zone: a\n",
    );
    check("  {{indent app.motd 2}}", "  one\n\n  two");
    check(
        "{{shell_quote app.motd}} {{base64 node.name}} {{concat \"a\" app.port}}",
        "'one\n\ntwo' bGIwMQ== a8080",
    );
    check("{{join [\"a\", 1] '-'}}", "a-1");
    for helper in helpers() {
        assert!(
            !helper.doc.is_empty() && helper.usage.starts_with(helper.name),
            "{helper:?}"
        );
        assert_eq!(
            helpers().filter(|other| other.name == helper.name).count(),
            1,
            "{helper:?}"
        );
    }
}

#[test]
fn wrong_names() {
    check_errors(
        "é {{ap.port}}",
        &["`ap.port`: unknown variable `ap.port` (did you mean `app`?)"],
    );
    check_errors(
        "{{app.prot}}{{node.nam}}",
        &[
            "`app.prot`: unknown variable `app.prot` (did you mean `port`?)",
            "`node.nam`: unknown variable `node.nam` (did you mean `name`?)",
        ],
    );
    let unknown = "`typo`: unknown variable `typo` (there is: app, canary, labels, node, roles)";
    check_errors("{{#if typo}}{{/if}}", &[unknown]);
    check_errors("{{#unless typo}}{{/unless}}", &[unknown]);
    check_errors("{{#each typo}}{{x}}{{/each}}", &[unknown]);
    check_errors("{{#with typo}}{{x}}{{/with}}", &[unknown]);
    check_errors("{{#if app.tls}}{{else}}{{typo}}{{/if}}", &[unknown]);
    check_errors("{{#if app.tls}}{{else if typo}}{{/if}}", &[unknown]);
    check_errors("{{join typo \"typo\"}}", &[unknown]);
    check_errors("{{join \"typo\" typo}}", &[unknown]);
    check_errors("{{#if (and app.tls (eq typo 1))}}{{/if}}", &[unknown]);
    check_errors("{{#each (sort typo)}}{{/each}}", &[unknown]);
    check_errors(
        "{{#each roles.web}}{{address}}{{prot}}{{/each}}",
        &["`prot`: unknown variable `prot` (there is: address, name, webapp, weight)"],
    );
    check_errors(
        "{{#each roles.web}}{{app.port}}{{../app.port}}{{@root.ap}}{{/each}}",
        &[
            "`app.port`: unknown variable `app.port` (write `@root.app.port`: inside a block, names are of the element)",
            "`@root.ap`: unknown variable `@root.ap` (did you mean `app`?)",
        ],
    );
    check_errors(
        "{{#each roles.web as |w|}}{{w.nam}}{{/each}}{{w.name}}",
        &[
            "`w.nam`: unknown variable `w.nam` (did you mean `name`?)",
            "`w.name`: unknown variable `w.name` (there is: app, canary, labels, node, roles)",
        ],
    );
    check_errors(
        "{{../x}}",
        &["`../x`: `../x` leads out of the template (0 blocks are open here)"],
    );
    check_errors(
        "{{@index}}{{#each roles.web}}{{@key}}{{@../index}}{{@inde}}{{/each}}",
        &[
            "`@index`: `@index` means nothing here (`@index` exists in `{{#each}}`)",
            "`@key`: `@key` means nothing here (`@key` exists in `{{#each}}` over a map)",
            "`@../index`: `@../index` means nothing here (`@index` exists in `{{#each}}`)",
            "`@inde`: `@inde` means nothing here (there are @index, @first, @last, @key and @root)",
        ],
    );
    check_errors(
        "{{node.name.first}}",
        &["`node.name.first`: unknown variable `node.name.first` (there is nothing here)"],
    );
    check_errors(
        "{{roles.web.name}}",
        &["`roles.web.name`: unknown variable `roles.web.name` (there is nothing here)"],
    );
}

#[test]
fn wrong_uses() {
    check_errors(
        "{{lenght node}}",
        &["`lenght`: unknown helper `lenght` (did you mean `length`?)"],
    );
    check_errors("{{log node.name}}", &["`log`: unknown helper `log`"]);
    check_errors(
        "{{lower}}",
        &["`lower`: unknown variable `lower` (there is: app, canary, labels, node, roles)"],
    );
    check_errors(
        "{{eq 1}}",
        &[
            "`eq`: `eq` takes 2 arguments, found 1 (use it as `{{eq left right}}`: whether both are the same, as `=` in expressions)",
        ],
    );
    check_errors(
        "{{lower (foo 1) typ}}",
        &[
            "`lower`: `lower` takes 1 argument, found 2 (use it as `{{lower text}}`: in lower case)",
            "`foo`: unknown helper `foo`",
            "`typ`: unknown variable `typ` (there is: app, canary, labels, node, roles)",
        ],
    );
    check_errors(
        "{{#foo node}}x{{/foo}}",
        &["`foo`: unknown block `foo` (there are `if`, `unless`, `each`, `with` and `raw`)"],
    );
    check_errors(
        "{{#if app.tls app.port}}x{{/if}}",
        &["`{{#if app.tls app.port}}`: `if` takes 1 argument, found 2"],
    );
    check_errors(
        "{{#if app.tls includeZero=true}}x{{/if}}",
        &["`{{#if app.tls includeZero=true}}`: there are no named arguments here: `includeZero=…`"],
    );
    check_errors(
        "a {{> part}}",
        &["`{{> part}}`: there are no partials and decorators here"],
    );
    check_errors(
        "{{#*inline \"x\"}}a{{/inline}}",
        &["`{{#*inline \"x\"}}`: there are no partials and decorators here"],
    );
    check_errors(
        "{{node.roles}}",
        &[
            "`node.roles`: a list has no text (write `{{join …}}` or `{{json …}}`, or walk it with `{{#each …}}`)",
        ],
    );
    check_errors(
        "{{node}}",
        &["`node`: a map has no text (name one of its members, or write `{{json …}}`)"],
    );
    check_errors(
        "{{app.blob}}",
        &["`app.blob`: a blob has no text (a blob is only a file's content)"],
    );
    check_errors(
        "{{#each node.name}}{{/each}}",
        &["`node.name`: `each` needs a list or a map, found a string"],
    );
}

#[test]
fn wrong_tags() {
    check_errors(
        "a\n{{app.port\nb",
        &[
            "`{{app.port`: this tag has no end (close it with `}}`, or write `\\{{` if no tag is meant)",
        ],
    );
    check_errors(
        "{{#if app.tls}}x",
        &["`{{#if app.tls}}`: `{{#if}}` is never closed (close it with `{{/if}}`)"],
    );
    check_errors(
        "{{#if app.tls}}x{{/each}}",
        &["`{{/each}}`: expected `{{/if}}`, found `{{/each}}`"],
    );
    check_errors("{{/if}}", &["`{{/if}}`: `{{/if}}` closes nothing"]);
    check_errors(
        "{{else}}",
        &["`{{else}}`: `{{else}}` stands outside of a block"],
    );
    let help = "(there are {{name}}, {{helper value \"text\" (helper value)}} and {{#block}})";
    let syntax = |tag: &str| format!("`{tag}`: this tag is not as a template's tags are {help}");
    check_errors("x {{7*7}} {{a}}", &[&syntax("{{7*7}}")]);
    check_errors("x\né {{a b |}}", &[&syntax("{{a b |}}")]);
    check_errors("{{}}", &[&syntax("{{}}")]);
    check_errors(
        &"{{#if a}}".repeat(500),
        &["`{{#if a}}`: blocks are nested too deeply here (at most 128 levels are read)"],
    );
    let calls = format!("{{{{lower {}}}}}", "(lower ".repeat(500));
    check_errors(
        &calls,
        &[&format!(
            "`{calls}`: calls are nested too deeply here (at most 32 levels are read)"
        )],
    );
    let chain = format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if a}}".repeat(500));
    check_errors(
        &chain,
        &["`{{else if a}}`: blocks are nested too deeply here (at most 128 levels are read)"],
    );
}

#[test]
fn only_rendering_finds() {
    check_render_error(
        "{{app.optional}}",
        "`app.optional`: null has no text (give it a value, write `{{default … \"…\"}}`, or ask `{{#if …}}` first)",
    );
    check_render_error(
        "{{#each roles.web}}{{weight}}{{/each}}",
        "`weight`: unknown variable `weight` (there is: address, name, webapp)",
    );
    check_render_error(
        "{{roles.db.[0].name}}",
        "`roles.db.[0].name`: unknown variable `roles.db.[0].name` (there is nothing here)",
    );
    check_render_error("{{int canary}}", "`canary`: the text is not a number");
    check_render_error(
        "{{int app.password}}",
        "`app.password`: the text is not a number",
    );
    check_render_error(
        "{{join app.password}}",
        "`app.password`: expected a list, found a string",
    );
    check_render_error(
        "{{#if (lt app.password 3)}}{{/if}}",
        "`app.password`: cannot tell whether a string is less than an integer, for the string is no version",
    );
    check_render_error(
        "{{map roles.web \"nam\"}}",
        "`\"nam\"`: not every element has `nam` (did you mean `name`?)",
    );
    check_render_error(
        "{{app.absent}}",
        "`app.absent`: the secret `app.absent` is not here",
    );
    check_render_error("{{json app}}", "`app`: the secret `app.absent` is not here");
    check_render_error(
        "{{sort roles.web}}",
        "`roles.web`: cannot sort a list of other than texts or numbers (pick what to sort: `sort(map(list, \"name\"))`)",
    );
    check_render_error(
        "{{sort node.roles}}",
        "`sort`: a list has no text (write `{{join …}}` or `{{json …}}`, or walk it with `{{#each …}}`)",
    );
}

#[test]
fn secrets_and_sensitivity() {
    let check = |text: &str, expected: &str, sensitive: bool| {
        let rendered = render(text).unwrap();
        assert_eq!(
            (rendered.text.as_str(), rendered.sensitive),
            (expected, sensitive),
            "{text}"
        );
        assert_eq!(
            format!("{rendered:?}").contains(CANARY),
            expected.contains(CANARY) && !sensitive
        );
    };
    let quoted = format!("\"{CANARY}\"");
    check("{{app.password}}", CANARY, true);
    check("{{quote app.password}}", &quoted, true);
    check("{{#with app}}{{port}}{{/with}}", "8080", false);
    check("{{#with app}}{{password}}{{/with}}", CANARY, true);
    check(
        "{{#with app as |a|}}{{quote a.password}}{{/with}}",
        &quoted,
        true,
    );
    check("{{#if app.tls}}x{{else}}{{app.password}}{{/if}}", "x", true);
    check("{{#if app.password}}x{{/if}}", "x", false);
    check("{{#if (eq app.password \"x\")}}x{{/if}}", "", true);
    check(
        "{{#each app}}{{@key}} {{/each}}",
        "absent blob empty hostile motd optional password port ratio release tls version zero ",
        false,
    );
    check(
        "{{#if app.tls}}x{{else}}{{#each app}}{{this}}{{/each}}{{/if}}",
        "x",
        true,
    );
}

#[test]
fn mentioned_paths() {
    let check = |text: &str, expected: &[&str]| {
        let mentions = Template::parse("test.hbs", text).unwrap().mentions();
        let mentions: Vec<_> = mentions.iter().map(|path| path.join(".")).collect();
        assert_eq!(mentions, expected, "{text}");
    };
    check("{{a.b}}{{#if c}}{{d}}{{/if}}{{a.b}}", &["a.b", "c", "d"]);
    check(
        "{{#each roles.db as |x|}}{{name}}{{../e}}{{@index}}{{x.y}}{{@root.f}}{{/each}}",
        &["e", "f", "roles.db", "roles.db.*.name", "roles.db.*.y"],
    );
    check(
        "{{#with a}}{{b}}{{/with}}{{join (map c \"x\") d}}",
        &["a", "a.b", "c", "d"],
    );
    check(
        "{{#with (first roles.db)}}{{name}}{{/with}}",
        &["roles.db", "roles.db.*.name"],
    );
}

/// Random sentences of templates' own words: nothing may panic, ranges must fit the text, and what
/// has been checked must not fail for a name that is nowhere.
#[test]
fn never_panics() {
    const WORDS: [&str; 46] = [
        "{{",
        "}}",
        "{{{",
        "}}}",
        "{{#if app.tls}}",
        "{{/if}}",
        "{{#each roles.web}}",
        "{{/each}}",
        "{{else}}",
        "{{else if app.zero}}",
        "{{^}}",
        "{{name}}",
        "{{this}}",
        "{{../app.port}}",
        "{{~app.port~}}",
        "{{@index}}",
        "{{!",
        "--",
        "{{!--",
        "--}}",
        "\\",
        "\\\\",
        "{{{{raw}}}}",
        "{{{{/raw}}}}",
        "{{> x}}",
        "{{*x}}",
        "#",
        "/",
        "(",
        ")",
        "join ",
        "app",
        ".",
        "[",
        "]",
        "\"",
        "'",
        "=",
        "|",
        " as |x|",
        "é",
        "\n",
        " ",
        "\r\n",
        "~",
        "{{#with app}}{{/with}}",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound as u64).unwrap()
    };
    let context = context();
    for _ in 0..20_000 {
        let text: String = (0..=next(12)).map(|_| WORDS[next(WORDS.len())]).collect();
        match Template::parse("test.hbs", &text) {
            Err(error) => assert!(
                text.get(error.range.clone()).is_some(),
                "{text:?} {error:?}"
            ),
            Ok(template) => {
                let mut errors = template.check(&context);
                errors.extend(template.render(&context, &secrets).err());
                for error in errors {
                    assert!(
                        text.get(error.range.clone()).is_some(),
                        "{text:?} {error:?}"
                    );
                }
            }
        }
    }
}
