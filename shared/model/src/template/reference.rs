//! Names of values, as Handlebars writes them.

/// A path and where it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// As written.
    pub(super) text: String,
    pub(super) base: Base,
    pub(super) path: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Base {
    /// `@root`.
    Root,
    /// A name of `as |x|` if there is one, otherwise a member of `this`.
    Name,
    /// `this` so many `../` further out.
    This(usize),
    /// `@index`, `@../key`.
    Local { up: usize, name: String },
}

impl Reference {
    /// Reads what Handlebars' grammar has accepted as a path.
    pub(super) fn parse(text: &str) -> Self {
        let separated = |text: &str| text.is_empty() || text.starts_with(['.', '/']);
        let reference = |base, rest| Self {
            text: text.to_owned(),
            base,
            path: segments(rest),
        };
        if let Some(rest) = text.strip_prefix("@root").filter(|rest| separated(rest)) {
            return reference(Base::Root, rest);
        }
        if let Some(rest) = text.strip_prefix('@') {
            let (up, rest) = levels(rest);
            let end = rest.find(['.', '/']).unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            return reference(
                Base::Local {
                    up,
                    name: name.to_owned(),
                },
                rest,
            );
        }
        let (rest, explicit) = match text.strip_prefix("this").filter(|rest| separated(rest)) {
            Some(rest) => (rest.trim_start_matches(['.', '/']), true),
            None => match text.strip_prefix("./") {
                Some(rest) => (rest, true),
                None => (text, false),
            },
        };
        let (up, rest) = levels(rest);
        let base = if explicit || up > 0 {
            Base::This(up)
        } else {
            Base::Name
        };
        reference(base, rest)
    }
}

/// How many `../` there are, and what follows.
fn levels(mut text: &str) -> (usize, &str) {
    let mut up = 0;
    while let Some(rest) = text
        .strip_prefix("../")
        .or_else(|| text.strip_prefix("..."))
    {
        up += 1;
        text = rest;
    }
    (up, text)
}

/// The parts between dots or slashes; `[…]` may hold either.
fn segments(mut text: &str) -> Vec<String> {
    let mut segments = Vec::new();
    loop {
        text = text.trim_start_matches(['.', '/']);
        if text.is_empty() {
            return segments;
        }
        let (segment, rest) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some(bracketed) => bracketed,
            None => text.split_at(text.find(['.', '/']).unwrap_or(text.len())),
        };
        if segment != "this" {
            segments.push(segment.to_owned());
        }
        text = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let check = |text: &str, base: Base, path: &[&str]| {
            let reference = Reference::parse(text);
            assert_eq!(
                (reference.base, reference.path),
                (base, path.iter().map(|s| s.to_string()).collect()),
                "{text}"
            );
        };
        let local = |up, name: &str| Base::Local {
            up,
            name: name.into(),
        };
        check("a.b", Base::Name, &["a", "b"]);
        check("a/b", Base::Name, &["a", "b"]);
        check(
            "roles.db.[0].name",
            Base::Name,
            &["roles", "db", "0", "name"],
        );
        check("labels.[a.b/c].d", Base::Name, &["labels", "a.b/c", "d"]);
        check("this", Base::This(0), &[]);
        check("this.a", Base::This(0), &["a"]);
        check("this.[0]", Base::This(0), &["0"]);
        check("thistle", Base::Name, &["thistle"]);
        check("./a", Base::This(0), &["a"]);
        check("../a", Base::This(1), &["a"]);
        check("../../this", Base::This(2), &[]);
        check("@root", Base::Root, &[]);
        check("@root.a", Base::Root, &["a"]);
        check("@rooted", local(0, "rooted"), &[]);
        check("@index", local(0, "index"), &[]);
        check("@../key", local(1, "key"), &[]);
    }
}
