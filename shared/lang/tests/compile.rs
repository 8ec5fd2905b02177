//! From trees to catalogs.
#![allow(clippy::unwrap_used, reason = "a test may panic, helpers included")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use brine_lang::{DummySecrets, SecretStore, compile};
use brine_model::resource::ResourceId;
use brine_model::value::{SecretRef, Value};
use support::{check_compiles, fleet, ids, render, tree};

/// What one field of one resource has become.
#[track_caller]
fn field(compilation: &brine_lang::Compilation, node: &str, id: &str, field: &str) -> Value {
    let id: ResourceId = id.parse().unwrap();
    let catalog = &compilation.catalogs[node].catalog;
    let entry = catalog.resources.iter().find(|entry| entry.id == id);
    entry
        .unwrap_or_else(|| panic!("{id} is not in the catalog"))
        .fields[field]
        .clone()
}

const WEB: &str = "
--- roles/web.yaml
role: web
formulas: [web]
--- roles/balancer.yaml
role: balancer
formulas: [balancer]
--- formulas/web/formula.yaml
formula: web
parameters:
  port: { type: port, default: 8080, export: true }
  secret_name: { type: string, default: quiet }
  release: { type: string, default: 1.10 }
  where: { type: string, default: '${{ node.name }}:${{ web.port }}' }
resources:
  - file: /etc/web
    content: ${{ web.where }}
    mode: 0640
  - directory: /opt/${{ web.release }}
--- formulas/balancer/formula.yaml
formula: balancer
uses: [web]
parameters:
  password: { type: secret }
  unread: { type: secret }
resources:
  - file: /etc/balancer
    template: balancer.hbs
  - file: /etc/peers/${{ peer.name }}
    for_each: ${{ roles.web }}
    as: peer
    content: ${{ peer.address }}:${{ peer.web.port }}
  - package: [haproxy, socat]
  - file: /etc/debian
    when: facts.os.family = \"debian\"
    content: yes
--- formulas/balancer/templates/balancer.hbs
{{#each roles.web}}
server {{name}} {{address}}:{{web.port}}
{{/each}}
password {{balancer.password}}
--- data/nodes/web02.yaml
web: { port: 9090 }
";

const NODES: &str = "
    lb01: balancer
    web01: web
    web02: web
";

#[test]
fn values_keep_type_and_spelling() {
    let compilation = check_compiles(WEB, NODES);
    assert_eq!(
        ids(&compilation, "web02"),
        ["file:/etc/web", "directory:/opt/1.10"]
    );
    assert_eq!(
        field(&compilation, "web02", "file:/etc/web", "content"),
        "web02:9090".into()
    );
    assert_eq!(
        field(&compilation, "web01", "file:/etc/web", "mode"),
        "0640".into()
    );
}

#[test]
fn peers_are_read_from_the_registry() {
    let compilation = check_compiles(WEB, NODES);
    assert_eq!(
        ids(&compilation, "lb01"),
        [
            "file:/etc/balancer",
            "file:/etc/peers/web01",
            "file:/etc/peers/web02",
            "package:haproxy",
            "package:socat",
            "file:/etc/debian",
        ]
    );
    assert_eq!(
        field(&compilation, "lb01", "file:/etc/peers/web02", "content"),
        "10.0.0.3:9090".into()
    );
}

#[test]
fn a_catalog_holds_what_its_templates_read_and_no_more() {
    let compilation = check_compiles(WEB, NODES);
    let catalog = &compilation.catalogs["lb01"].catalog;
    let context = &catalog.contexts["balancer"];
    let Value::Map(own) = &context.get("balancer").unwrap() else {
        panic!()
    };
    assert_eq!(own.keys().collect::<Vec<_>>(), ["password"]);
    assert_eq!(context.get("facts"), None);
    let Value::List(peers) = &context.get("roles").unwrap().get("web").unwrap() else {
        panic!()
    };
    assert_eq!(
        peers[1].get("web").unwrap(),
        &Value::from([("port", Value::Integer(9090))])
    );
    let secrets = catalog.secrets();
    assert_eq!(
        secrets.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(),
        ["balancer.password"]
    );
    assert_eq!(
        compilation.blobs.keys().copied().collect::<Vec<_>>(),
        catalog.blobs()
    );
}

#[test]
fn equal_inputs_give_equal_catalogs() {
    let (one, two) = (check_compiles(WEB, NODES), check_compiles(WEB, NODES));
    assert_eq!(one.catalogs, two.catalogs);
    // The order in which the registry lists its nodes does not matter, and other facts neither.
    let mut reversed = fleet(NODES);
    reversed.nodes.reverse();
    reversed.nodes[0].facts.as_mut().unwrap().memory.total += 1;
    let three = compile(&tree(WEB), &reversed, &DummySecrets);
    assert_eq!(one.catalogs, three.catalogs);
}

const LAYERS: &str = "
--- roles/web.yaml
role: web
formulas: [web]
--- roles/extra.yaml
role: extra
--- formulas/web/formula.yaml
formula: web
parameters:
  a: { type: integer, default: 0 }
  b: { type: integer, default: 0 }
  c: { type: integer, default: 0 }
  d: { type: integer, default: 0 }
  e: { type: integer, default: 0 }
  m: { type: map, default: { x: 1 } }
resources:
  - file: /etc/values
    content: ${{ web.a }}${{ web.b }}${{ web.c }}${{ web.d }}${{ web.e }} ${{ json(web.m) }}
--- data/common.yaml
web: { a: 1, b: 1, c: 1, d: 1, m: { y: 2 } }
--- data/env/prod.yaml
web: { b: 2, c: 2, d: 2 }
--- data/roles/web.yaml
web: { c: 3, d: 3 }
--- data/nodes/web01.yaml
web: { d: 4 }
";

#[test]
fn later_layers_win() {
    let mut fleet = fleet("web01: web\nweb02: web");
    for node in &mut fleet.nodes {
        node.labels = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    }
    let compilation = compile(&tree(LAYERS), &fleet, &DummySecrets);
    assert_eq!(
        render(compilation.findings.iter().map(|f| &f.diagnostic)),
        ""
    );
    let content = |node: &str| field(&compilation, node, "file:/etc/values", "content");
    assert_eq!(content("web01"), "12340 {\"y\":2}".into());
    assert_eq!(content("web02"), "12330 {\"y\":2}".into());
}

const ORDER: &str = "
--- roles/web.yaml
role: web
formulas: [web]
--- formulas/web/formula.yaml
formula: web
resources:
  - service: web
    restart_on: [file:/srv/www/index]
  - file: /srv/www/index
    content: x
    require: package:late
  - package: [early, late]
  - directory: /srv/www
";

#[test]
fn order_is_as_written_but_behind_what_it_stands_on() {
    let compilation = check_compiles(ORDER, "web01: web");
    assert_eq!(
        ids(&compilation, "web01"),
        [
            "package:early",
            "package:late",
            "directory:/srv/www",
            "file:/srv/www/index",
            "service:web"
        ]
    );
    let entries = &compilation.catalogs["web01"].catalog.resources;
    let file = entries
        .iter()
        .find(|entry| entry.id.kind() == "file")
        .unwrap();
    let require = file
        .require
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>();
    assert_eq!(require, ["package:late", "directory:/srv/www"]);
    assert_eq!(file.origin.to_string(), "formulas/web/formula.yaml:5:5");
}

#[test]
fn equal_declarations_are_one() {
    let text = "
--- roles/web.yaml
role: web
formulas: [one, two]
--- formulas/one/formula.yaml
formula: one
resources:
  - package: curl
--- formulas/two/formula.yaml
formula: two
resources:
  - package: nginx
  - package: curl
    require: package:nginx
";
    let compilation = check_compiles(text, "web01: web");
    assert_eq!(
        ids(&compilation, "web01"),
        ["package:nginx", "package:curl"]
    );
}

#[test]
fn mistakes_cost_only_the_nodes_they_concern() {
    let text = format!(
        "{WEB}
--- roles/other.yaml
role: other
formulas: [other]
--- formulas/other/formula.yaml
formula: other
resources:
  - package: x
    colour: green
"
    );
    let nodes = format!("{NODES}\nother01: other");
    let compilation = compile(&tree(&text), &fleet(&nodes), &DummySecrets);
    let [finding] = compilation.findings.as_slice() else {
        panic!("{:?}", compilation.findings)
    };
    assert_eq!(finding.nodes, Some(["other01".parse().unwrap()].into()));
    let compiled = compilation
        .catalogs
        .keys()
        .map(|name| name.as_str())
        .collect::<Vec<_>>();
    assert_eq!(compiled, ["lb01", "web01", "web02"]);
}

/// A tree and a fleet that do not go together.
#[track_caller]
fn rejected(text: &str, fleet: &brine_lang::Fleet, secrets: &dyn SecretStore) -> String {
    let compilation = compile(&tree(text), fleet, secrets);
    let mut shown = render(
        compilation
            .findings
            .iter()
            .map(|finding| &finding.diagnostic),
    );
    for finding in &compilation.findings {
        shown += &format!("rejects {:?}\n", finding.nodes.as_ref().unwrap());
    }
    let compiled = compilation.catalogs.keys().collect::<Vec<_>>();
    shown + &format!("compiled {compiled:?}")
}

#[test]
fn too_few_members() {
    let text = WEB.replace("role: web\n", "role: web\nmembers: 3\n");
    insta::assert_snapshot!(rejected(&text, &fleet(NODES), &DummySecrets));
}

#[test]
fn no_members_at_all() {
    insta::assert_snapshot!(rejected(WEB, &fleet("lb01: balancer"), &DummySecrets));
}

#[test]
fn a_node_that_has_not_reported() {
    let mut fleet = fleet(NODES);
    fleet.nodes[0].facts = None;
    fleet.nodes[1].address = None;
    insta::assert_snapshot!(rejected(WEB, &fleet, &DummySecrets));
}

#[test]
fn a_role_that_is_not_defined() {
    insta::assert_snapshot!(rejected(
        WEB,
        &fleet("lb01: balancr\nweb01: web"),
        &DummySecrets
    ));
}

#[test]
fn a_broken_peer_spoils_its_readers() {
    let text = format!("{WEB}--- data/nodes/web01.yaml\nweb: {{ port: '${{{{ node.name }}}}' }}\n");
    insta::assert_snapshot!(rejected(&text, &fleet(NODES), &DummySecrets));
}

#[test]
fn a_secret_that_is_not_there() {
    struct NoSecrets;
    impl SecretStore for NoSecrets {
        fn get(&self, _: &str, _: &brine_lang::NodeInput) -> Option<SecretRef> {
            None
        }
    }
    insta::assert_snapshot!(rejected(WEB, &fleet(NODES), &NoSecrets));
}

#[test]
fn two_roles_that_disagree() {
    let text = format!("{LAYERS}--- data/roles/extra.yaml\nweb: {{ c: 5, d: 6 }}\n");
    insta::assert_snapshot!(rejected(&text, &fleet("web01: web, extra"), &DummySecrets));
}

#[test]
fn policies_are_per_role() {
    let text = "
--- roles/web.yaml
role: web
formulas: [one, two]
--- formulas/one/formula.yaml
formula: one
parameters:
  port: { type: port, default: 80 }
cluster:
  healthy: { http: 'http://127.0.0.1:${{ one.port }}/', within: 2m, status: 204 }
  max_unavailable: 3
--- formulas/two/formula.yaml
formula: two
cluster:
  healthy: [{ service: two }, { command: [two, check] }]
  max_unavailable: 2
";
    let compilation = check_compiles(text, "web01: web");
    let [policy] = compilation.catalogs["web01"].policies.as_slice() else {
        panic!()
    };
    assert_eq!(policy.max_unavailable, 2);
    let within = policy
        .healthy
        .iter()
        .map(|health| health.within)
        .collect::<Vec<_>>();
    assert_eq!(within, [120, 30, 30]);
}

/// The shipped library, for the reference fleet.
#[test]
fn the_shipped_library_compiles() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../states");
    let mut states = brine_lang::StateTree::default();
    read(&root, &root, &mut states);
    // Built by the lab, and not in version control.
    states
        .files
        .insert("artifacts/webapp-1.0.0".to_owned(), Arc::from(*b"\x7fELF"));
    states
        .files
        .insert("artifacts/grafana.asc".to_owned(), Arc::from(*b"-----"));
    let fleet = fleet(
        "db01: db\ndb02: db\ndb03: db\nlb01: balancer\nlb02: balancer\nweb01: backend\nweb02: backend\nweb03: backend\nmon01: monitoring",
    );
    let compilation = compile(&states, &fleet, &DummySecrets);
    assert_eq!(
        render(
            compilation
                .findings
                .iter()
                .map(|finding| &finding.diagnostic)
        ),
        ""
    );
    assert_eq!(render(&brine_lang::check(&states)), "");
    let shown = ["lb01", "web01"].map(|node| {
        let catalog = &compilation.catalogs[node].catalog;
        let entries = catalog.resources.iter().map(|entry| {
            let require = entry
                .require
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>();
            format!("  {} after {require:?}\n", entry.id)
        });
        let policies = &compilation.catalogs[node].policies;
        let contexts = serde_json::to_string_pretty(&catalog.contexts).unwrap();
        format!(
            "{node}\n{}{policies:#?}\n{contexts}\n",
            entries.collect::<String>()
        )
    });
    insta::assert_snapshot!(shown.join("\n"));
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test reads the library that it compiles"
)]
fn read(root: &std::path::Path, folder: &std::path::Path, states: &mut brine_lang::StateTree) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        if path.is_dir() {
            if name != "artifacts" {
                read(root, &path, states);
            }
        } else {
            states
                .files
                .insert(name, std::fs::read(&path).unwrap().into());
        }
    }
}

/// Whatever is in a file, it is a finding and not a panic.
#[test]
fn hostile_texts() {
    let deep = |open: &str, close: &str| format!("x: {}{}", open.repeat(2000), close.repeat(2000));
    let nested = (0..2000)
        .map(|depth| format!("{}x:\n", " ".repeat(depth)))
        .collect::<String>();
    let dashes = format!("x: {}", "- ".repeat(2000));
    let texts = [
        deep("[", "]"),
        deep("{a: ", "}"),
        nested,
        dashes,
        "\u{feff}formula: web\n".to_owned(),
        "formula: w\u{e9}b\r\nresources:\r\n  - file: \"\u{1f980}\u{0}${{ \"\r\n".to_owned(),
        "? [a]\n: b\n".to_owned(),
        "&a [*a]".to_owned(),
        "a: *nobody".to_owned(),
        "%YAML 9.9\n---\nx".to_owned(),
        "x: |\n  ${{ a +\n   b }}\n".to_owned(),
        "\u{1f980}: \"\u{1f980}".to_owned(),
        "${{ a }}: 1".to_owned(),
        "resources: [{file: '${{ web.a', content: \"a\\\n   ${{ nope }}\"}]".to_owned(),
    ];
    for text in texts {
        let files = [
            "roles/web.yaml",
            "formulas/web/formula.yaml",
            "data/common.yaml",
        ];
        let files = files.map(|path| (path, text.as_bytes()));
        let states: brine_lang::StateTree = files.into_iter().collect();
        // Drawing shows that every place is one in its text.
        assert_ne!(render(&brine_lang::check(&states)), "", "{text}");
        let compilation = compile(&states, &fleet("web01: web"), &DummySecrets);
        assert_eq!(compilation.catalogs.len(), 0, "{text}");
    }
    let bytes: brine_lang::StateTree = [("roles/web.yaml", b"\xff\xfe".as_slice())]
        .into_iter()
        .collect();
    assert!(brine_lang::has_errors(&brine_lang::check(&bytes)));
}

/// One transaction instead of many; what decides about packages, and what they require, stays before.
#[test]
fn packages_that_begin_a_formula_join_those_before() {
    let tree = "
--- roles/web.yaml
role: web
formulas: [base, joins, late, required, account, after]
--- formulas/base/formula.yaml
formula: base
resources:
  - package: curl
  - file: /etc/motd
    content: x
--- formulas/joins/formula.yaml
formula: joins
resources:
  - package: [aa, bb]
  - file: /etc/a
    content: x
--- formulas/late/formula.yaml
formula: late
resources:
  - file: /etc/c
    content: x
  - package: cc
--- formulas/required/formula.yaml
formula: required
resources:
  - package: dd
    require: [file:/etc/motd]
--- formulas/account/formula.yaml
formula: account
resources:
  - group: e
--- formulas/after/formula.yaml
formula: after
resources:
  - package: ff
";
    let compilation = check_compiles(tree, "web01: web");
    assert_eq!(
        ids(&compilation, "web01"),
        [
            "package:curl",
            "package:aa",
            "package:bb",
            "file:/etc/motd",
            "file:/etc/a",
            "file:/etc/c",
            "package:cc",
            "package:dd",
            "group:e",
            "package:ff",
        ]
    );
}
