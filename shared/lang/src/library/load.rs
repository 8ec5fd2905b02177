//! Which file is what.

use std::collections::BTreeMap;
use std::sync::Arc;

use brine_model::diagnostic::did_you_mean;
use brine_model::name::{FormulaName, RoleName};
use brine_model::span::{Span, Spanned};

use super::Library;
use crate::data::{Layer, LayerName};
use crate::formula::{Formula, TemplateFile};
use crate::issue::{Issue, Reach};
use crate::role::Role;
use crate::yaml;

/// The directories of a state tree.
const TOP: &[&str] = &["roles", "formulas", "data", "artifacts"];

impl Library<'_> {
    pub(super) fn read_all(&mut self) {
        let files = self.files;
        for (path, bytes) in files {
            if path.split('/').any(|part| part.starts_with('.')) {
                continue;
            }
            match path.split_once('/') {
                Some(("roles", file)) => self.read_role(path, file, bytes),
                Some(("data", file)) => self.read_data(path, file, bytes),
                Some((top, _)) if !TOP.contains(&top) => self.hint_at_top(path, top),
                _ => {}
            }
        }
        let folders = files.keys().filter_map(|path| {
            path.strip_prefix("formulas/")
                .and_then(|rest| rest.split_once('/'))
                .map(|(name, _)| name)
        });
        let mut folders = folders
            .filter(|name| !name.starts_with('.'))
            .collect::<Vec<_>>();
        folders.dedup();
        for folder in folders {
            self.read_formula(folder);
        }
    }

    fn read_role(&mut self, path: &str, file: &str, bytes: &Arc<[u8]>) {
        let Some(stem) = self.yaml_stem(path, file) else {
            return;
        };
        let Ok(name) = stem.parse::<RoleName>() else {
            self.whole_file(path, format!("`{stem}` cannot name a role"), Reach::All);
            return;
        };
        let mut issues = Vec::new();
        let role = self
            .yaml(path, bytes, &mut issues)
            .and_then(|(_, file)| Role::parse(&name, &file, &mut issues));
        self.report(issues, &Reach::Role(stem.to_owned()));
        match role {
            Some(role) => {
                self.roles.insert(name, role);
            }
            None => {
                self.unreadable_roles.insert(stem.to_owned());
            }
        }
    }

    fn read_data(&mut self, path: &str, file: &str, bytes: &Arc<[u8]>) {
        let Some(name) = LayerName::of_path(file) else {
            let message = format!("`{path}` is no layer of data and is not read");
            let issue = Issue::warning(self.start_of(path, bytes), message);
            let help =
                "layers are `common.yaml`, `env/ENV.yaml`, `roles/ROLE.yaml`, `nodes/NODE.yaml`";
            self.issues.push((issue.with_help(help), Reach::All));
            return;
        };
        let mut issues = Vec::new();
        if let Some((_, file)) = self.yaml(path, bytes, &mut issues) {
            let layer = Layer::parse(&file, &self.sources, &mut issues);
            self.data.layers.insert(name.clone(), layer);
        }
        self.report(issues, &name.reach());
    }

    fn read_formula(&mut self, folder: &str) {
        let files = self.files;
        let path = format!("formulas/{folder}/formula.yaml");
        let reach = Reach::Formula(folder.to_owned());
        let Ok(name) = folder.parse::<FormulaName>() else {
            self.whole_file(
                &path,
                format!("`{folder}` cannot name a formula"),
                Reach::All,
            );
            return;
        };
        let Some(bytes) = files.get(&path) else {
            self.unreadable_formulas.insert(folder.to_owned());
            let issue = Issue::unplaced(format!("`formulas/{folder}` has no `formula.yaml`"));
            self.issues.push((issue, reach));
            return;
        };
        let mut issues = Vec::new();
        let templates = self.read_templates(folder, &mut issues);
        match self.yaml(&path, bytes, &mut issues) {
            Some((_, file)) => {
                let formula = Formula::parse(&name, &file, templates, &self.sources, &mut issues);
                self.formulas.insert(name, formula);
            }
            None => {
                self.unreadable_formulas.insert(folder.to_owned());
            }
        }
        self.report(issues, &reach);
    }

    fn read_templates(
        &mut self,
        folder: &str,
        issues: &mut Vec<Issue>,
    ) -> BTreeMap<String, TemplateFile> {
        let files = self.files;
        let below = format!("formulas/{folder}/templates/");
        let found = files
            .range(below.clone()..)
            .take_while(|(path, _)| path.starts_with(&below));
        found
            .filter(|(path, _)| !path.split('/').any(|part| part.starts_with('.')))
            .map(|(path, bytes)| {
                let template = TemplateFile::parse(path, bytes, &mut self.sources, issues);
                (path[below.len()..].to_owned(), template)
            })
            .collect()
    }

    fn yaml(
        &mut self,
        path: &str,
        bytes: &[u8],
        issues: &mut Vec<Issue>,
    ) -> Option<(Span, Spanned)> {
        let text = String::from_utf8_lossy(bytes);
        let source = self.sources.add(path, &text);
        let start = Span::new(source, 0, 0);
        if matches!(text, std::borrow::Cow::Owned(_)) {
            issues.push(Issue::error(start, "the file is not UTF-8 text"));
            return None;
        }
        yaml::parse(&text, source, issues).map(|file| (start, file))
    }

    /// The name of a YAML file; of others, only a near miss is worth a word.
    fn yaml_stem<'p>(&mut self, path: &str, file: &'p str) -> Option<&'p str> {
        if let Some(stem) = file.strip_suffix(".yaml") {
            return Some(stem);
        }
        if file.ends_with(".yml") {
            let message = format!("`{path}` is not read");
            let issue = Issue::unplaced(message).with_help("name it `.yaml`");
            self.issues.push((issue, Reach::All));
        }
        None
    }

    fn hint_at_top(&mut self, path: &str, top: &str) {
        if !path.ends_with(".yaml") {
            return;
        }
        if let Some(near) = did_you_mean(top, TOP.iter().copied()) {
            let issue = Issue::unplaced(format!("`{path}` is not read"));
            let issue = issue.with_help(format!("did you mean `{near}/`?"));
            self.issues.push((issue, Reach::All));
        }
    }

    fn whole_file(&mut self, path: &str, message: String, reach: Reach) {
        let bytes = self.files.get(path).cloned().unwrap_or_default();
        let issue = Issue::error(self.start_of(path, &bytes), message);
        let help = "a name is 1 to 63 of a-z, 0-9 and -; a formula's may have _ as well";
        self.issues.push((issue.with_help(help), reach));
    }

    fn start_of(&mut self, path: &str, bytes: &[u8]) -> Span {
        let source = self.sources.add(path, &String::from_utf8_lossy(bytes));
        Span::new(source, 0, 0)
    }

    fn report(&mut self, issues: Vec<Issue>, reach: &Reach) {
        self.issues
            .extend(issues.into_iter().map(|issue| (issue, reach.clone())));
    }
}
