//! What of a configuration differs, as a patch: only what is wanted is looked at, and what means
//! the same is the same.

use serde_json::{Map, Value as Json};

/// The part of `wanted` that `found` does not have; a null takes a key away. With a text for each.
pub(super) fn difference(wanted: &Json, found: &Json, texts: &mut Vec<String>) -> Option<Json> {
    object(wanted, found, "", texts).map(Json::Object)
}

fn object(
    wanted: &Json,
    found: &Json,
    above: &str,
    texts: &mut Vec<String>,
) -> Option<Map<String, Json>> {
    let mut patch = Map::new();
    for (key, value) in wanted.as_object()? {
        let before = &found[key];
        let name = match above {
            // Settings of PostgreSQL go by their own names.
            "" | "postgresql" | "postgresql.parameters" => key.clone(),
            above => format!("{above}.{key}"),
        };
        let path = if above.is_empty() {
            key.clone()
        } else {
            format!("{above}.{key}")
        };
        if value.is_object() && (before.is_object() || before.is_null()) {
            if let Some(inner) = object(value, before, &path, texts) {
                patch.insert(key.clone(), Json::Object(inner));
            }
        } else if !same(value, before) {
            texts.push(match (before.is_null(), value.is_null()) {
                (true, _) => format!("{name} = {}", plain(value)),
                (false, true) => format!("without {name}"),
                (false, false) => format!("{name} {} → {}", plain(before), plain(value)),
            });
            patch.insert(key.clone(), value.clone());
        }
    }
    (!patch.is_empty()).then_some(patch)
}

/// `"100"` is 100, and `on` is true: PostgreSQL makes no difference, and people write both.
fn same(one: &Json, other: &Json) -> bool {
    if one == other {
        return true;
    }
    if one.is_null() || other.is_null() {
        return false;
    }
    if let (Some(one), Some(other)) = (number(one), number(other)) {
        return one == other;
    }
    match (truth(one), truth(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.is_string() && other.is_string() && plain(one) == plain(other),
    }
}

fn number(value: &Json) -> Option<f64> {
    value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())
        .filter(|number| number.is_finite())
}

fn truth(value: &Json) -> Option<bool> {
    match value {
        Json::Bool(truth) => Some(*truth),
        Json::String(text) => match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" => Some(true),
            "off" | "false" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn plain(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(wanted: Json, found: Json, patch: Option<Json>, expected: &[&str]) {
        let mut texts = Vec::new();
        assert_eq!(difference(&wanted, &found, &mut texts), patch);
        assert_eq!(texts, expected);
    }

    #[test]
    fn only_what_differs() {
        let wanted = json!({
            "ttl": 20,
            "postgresql": {"parameters": {"max_connections": 200, "ssl": true, "a": "x"}},
        });
        let found = json!({
            "ttl": "20",
            "loop_wait": 10,
            "postgresql": {"use_slots": true, "parameters": {"max_connections": "100", "ssl": "on", "a": "x"}},
        });
        let patch = json!({"postgresql": {"parameters": {"max_connections": 200}}});
        check(wanted, found, Some(patch), &["max_connections 100 → 200"]);
    }

    #[test]
    fn what_is_missing_and_what_goes() {
        check(json!({"a": null}), json!({}), None, &[]);
        check(
            json!({"a": null}),
            json!({"a": 1}),
            Some(json!({"a": null})),
            &["without a"],
        );
        let nested = json!({"slots": {"s": {"type": "physical"}}});
        let text = ["slots.s.type = physical"];
        check(nested.clone(), json!({}), Some(nested), &text);
        check(json!({"a": {}}), json!({}), None, &[]);
        check(
            json!({"a": {"b": 1}}),
            json!({"a": 1}),
            Some(json!({"a": {"b": 1}})),
            &["a 1 → {\"b\":1}"],
        );
    }

    #[test]
    fn what_means_the_same() {
        for (one, other, expected) in [
            (json!(1), json!("1.0"), true),
            (json!(true), json!("ON"), true),
            (json!("no"), json!(false), true),
            (json!(true), json!(1), false),
            (json!("a"), json!("A"), false),
            (json!("1GB"), json!("1024MB"), false),
            (json!([1]), json!([1]), true),
            (json!([1]), json!("1"), false),
        ] {
            assert_eq!(same(&one, &other), expected, "{one} {other}");
        }
    }
}
