//! The order to apply a catalog in: as written, but behind what a resource stands on, and packages
//! together.

use std::collections::{BTreeMap, BTreeSet};

use brine_model::catalog::Entry;
use brine_model::diagnostic::did_you_mean;
use brine_model::resource::{ResourceId, Subject};
use brine_model::span::{Node, Span, Spanned};
use brine_model::value::Value;

use super::expand::{OnceOn, Planned};
use crate::issue::Issue;
use crate::source::Sources;

/// Why one resource is behind another, for the message about a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    /// `require`
    Required,
    /// `reload_on` and the like.
    Watched,
    /// A file and its directory, a service and its unit.
    Needed,
    /// What is done once is a barrier: everything written before it comes before it.
    Barrier,
}

/// One resource in its place.
pub(super) struct Ordered {
    pub(super) entry: Entry,
    pub(super) once: Option<OnceOn>,
}

/// Sorts. `skipped` are ids that are declared but not on this node; none if resources are missing
/// for reasons already reported, and nothing is to be said of what refers to them.
pub(super) fn order(
    planned: Vec<Planned>,
    skipped: Option<&BTreeSet<ResourceId>>,
    sources: &Sources,
    issues: &mut Vec<Issue>,
) -> Option<Vec<Ordered>> {
    let graph = Graph::build(&planned, skipped, issues);
    let Some(sorted) = graph.sort() else {
        issues.push(graph.cycle(&planned, sources));
        return None;
    };
    let sorted = graph.gather_packages(sorted, &planned);
    let ids = planned
        .iter()
        .map(|planned| planned.entry.id.clone())
        .collect::<Vec<_>>();
    let mut entries = planned
        .into_iter()
        .map(|planned| {
            Some(Ordered {
                entry: planned.entry,
                once: planned.once,
            })
        })
        .collect::<Vec<_>>();
    let sorted = sorted.into_iter().filter_map(|index| {
        let mut ordered = entries[index].take()?;
        ordered.entry.require = graph.behind[index]
            .iter()
            .filter(|(_, edge)| **edge != Edge::Barrier)
            .map(|(&other, _)| ids[other].clone())
            .collect();
        Some(ordered)
    });
    Some(sorted.collect())
}

struct Graph {
    /// What each resource is behind, by index, with the first reason found.
    behind: Vec<BTreeMap<usize, Edge>>,
}

impl Graph {
    fn build(
        planned: &[Planned],
        skipped: Option<&BTreeSet<ResourceId>>,
        issues: &mut Vec<Issue>,
    ) -> Self {
        let by_id: BTreeMap<_, _> = (0..).zip(planned).map(|(i, p)| (&p.entry.id, i)).collect();
        let mut owners: BTreeMap<Subject, usize> = BTreeMap::new();
        for (index, one) in planned.iter().enumerate() {
            owners.extend(
                one.resource
                    .subjects()
                    .into_iter()
                    .map(|subject| (subject, index)),
            );
        }
        let mut behind = vec![BTreeMap::new(); planned.len()];
        for (index, one) in planned.iter().enumerate() {
            let edges: &mut BTreeMap<usize, Edge> = &mut behind[index];
            let watched = one.resource.watches().into_iter().map(|id| {
                let span = place_of(&one.fields, &id).unwrap_or(one.span);
                (id, span, Edge::Watched)
            });
            let required = one
                .require
                .iter()
                .cloned()
                .map(|(id, span)| (id, span, Edge::Required));
            for (id, span, edge) in required.chain(watched) {
                match by_id.get(&id) {
                    Some(&other) if other == index => {
                        issues.push(Issue::error(span, format!("`{id}` names itself")));
                    }
                    Some(&other) => {
                        edges.entry(other).or_insert(edge);
                    }
                    None => issues.extend(
                        skipped.map(|skipped| dangling(&id, span, skipped, by_id.keys().copied())),
                    ),
                }
            }
            for owner in one
                .resource
                .needs()
                .iter()
                .filter_map(|subject| owners.get(subject))
            {
                // What is done once has its place where it is written: it may be about what a later
                // resource looks after, and stands on it since an earlier run.
                let out_of_place = one.once.is_some() && *owner > index;
                if *owner != index && !out_of_place {
                    edges.entry(*owner).or_insert(Edge::Needed);
                }
            }
        }
        for (place, _) in planned
            .iter()
            .enumerate()
            .filter(|(_, one)| one.once.is_some())
        {
            for earlier in 0..place {
                behind[place].entry(earlier).or_insert(Edge::Barrier);
            }
            for edges in &mut behind[place + 1..] {
                edges.entry(place).or_insert(Edge::Barrier);
            }
        }
        Self { behind }
    }

    /// The smallest index that waits for nothing comes next; none in a cycle.
    fn sort(&self) -> Option<Vec<usize>> {
        let mut waiting = self.behind.iter().map(BTreeMap::len).collect::<Vec<_>>();
        let mut before = vec![Vec::new(); self.behind.len()];
        for (index, edges) in self.behind.iter().enumerate() {
            edges.keys().for_each(|&other| before[other].push(index));
        }
        let mut ready: BTreeSet<usize> = (0..waiting.len())
            .filter(|&index| waiting[index] == 0)
            .collect();
        let mut sorted = Vec::new();
        while let Some(index) = ready.pop_first() {
            sorted.push(index);
            for &later in &before[index] {
                waiting[later] -= 1;
                if waiting[later] == 0 {
                    ready.insert(later);
                }
            }
        }
        (sorted.len() == waiting.len()).then_some(sorted)
    }

    /// Moves packages that begin their formula up to those of the formulas before it: what is adjacent
    /// is one transaction, and each takes a second or two.
    fn gather_packages(&self, sorted: Vec<usize>, planned: &[Planned]) -> Vec<usize> {
        let is_package = |index: usize| planned[index].entry.id.kind() == "package";
        let formula = |index: usize| &planned[index].entry.formula;
        let mut gathered: Vec<usize> = Vec::with_capacity(sorted.len());
        for index in sorted {
            let place = gathered.iter().rposition(|&earlier| is_package(earlier));
            let place = place.map_or(gathered.len(), |last| last + 1);
            let in_the_way = |&earlier: &usize| {
                !is_indifferent(&planned[earlier])
                    || formula(earlier) == formula(index)
                    || self.behind[index].contains_key(&earlier)
            };
            let moves = is_package(index)
                && planned[index].once.is_none()
                && !gathered[place..].iter().any(in_the_way);
            gathered.insert(if moves { place } else { gathered.len() }, index);
        }
        gathered
    }

    fn cycle(&self, planned: &[Planned], sources: &Sources) -> Issue {
        let path = self.find_cycle();
        let name = |index: usize| format!("`{}`", planned[index].entry.id);
        let mut shown = path.iter().map(|&index| name(index)).collect::<Vec<_>>();
        shown.extend(shown.first().cloned());
        let message = format!("these resources wait for each other: {}", shown.join(" → "));
        let mut issue = Issue::unplaced(message)
            .with_help("each `→` means \"is applied after\"; take one of them away");
        for (position, &index) in path.iter().enumerate() {
            let next = path[(position + 1) % path.len()];
            let why = match self.behind[index].get(&next) {
                Some(Edge::Required) => format!("requires {}", name(next)),
                Some(Edge::Watched) => format!("watches {}", name(next)),
                Some(Edge::Barrier) => {
                    format!(
                        "is written after {}, and one of them is done `once`",
                        name(next)
                    )
                }
                _ => format!("stands on {}", name(next)),
            };
            issue = issue.with_place(planned[index].span, why);
        }
        // The same cycle is the same finding wherever the walk began.
        if let Some(first) = (0..issue.places.len()).min_by_key(|&i| {
            let origin = sources.origin(issue.places[i].0);
            (origin.file, origin.line, origin.column)
        }) {
            issue.places.rotate_left(first);
        }
        issue
    }

    fn find_cycle(&self) -> Vec<usize> {
        let mut settled = BTreeSet::new();
        for start in 0..self.behind.len() {
            let mut path = Vec::new();
            if let Some(cycle) = self.walk(start, &mut path, &mut settled) {
                return cycle;
            }
        }
        Vec::new()
    }

    fn walk(
        &self,
        index: usize,
        path: &mut Vec<usize>,
        settled: &mut BTreeSet<usize>,
    ) -> Option<Vec<usize>> {
        if let Some(from) = path.iter().position(|&earlier| earlier == index) {
            return Some(path[from..].to_vec());
        }
        if settled.contains(&index) {
            return None;
        }
        path.push(index);
        for &other in self.behind[index].keys() {
            if let Some(cycle) = self.walk(other, path, settled) {
                return Some(cycle);
            }
        }
        path.pop();
        settled.insert(index);
        None
    }
}

/// Whether a package of another formula may as well be installed before this: nothing that decides
/// which packages there are, makes accounts, or does anything at all.
fn is_indifferent(planned: &Planned) -> bool {
    let id = &planned.entry.id;
    match id.kind() {
        "file" | "directory" | "symlink" | "line" | "block" => {
            let of_apt = ["/etc/apt/", "/etc/dpkg/", "/usr/", "/var/"];
            !of_apt.iter().any(|folder| id.name().starts_with(folder))
        }
        "unit" | "drop_in" | "service" | "sysctl" | "timezone" | "hosts_entry" | "wait_for" => {
            planned.once.is_none()
        }
        _ => false,
    }
}

fn dangling<'a>(
    id: &ResourceId,
    span: Span,
    skipped: &BTreeSet<ResourceId>,
    known: impl Iterator<Item = &'a ResourceId>,
) -> Issue {
    let issue = Issue::error(span, format!("nothing declares `{id}`"));
    if skipped.contains(id) {
        return Issue::error(
            span,
            format!("`{id}` is not on every node that this one is on"),
        )
        .with_help("its `when` is false somewhere; give this resource the same `when`");
    }
    let known = known.map(ToString::to_string).collect::<Vec<_>>();
    let wanted = id.to_string();
    let same_kind = known
        .iter()
        .filter(|other| other.starts_with(&format!("{}:", id.kind())));
    match did_you_mean(&wanted, same_kind.map(String::as_str)) {
        Some(near) => issue.with_help(format!("did you mean `{near}`?")),
        None => issue.with_help("a reference is `kind:id` of a resource of the same node"),
    }
}

/// Where a field names `id`.
fn place_of(fields: &Spanned, id: &ResourceId) -> Option<Span> {
    match &fields.node {
        Node::Plain(text) | Node::Leaf(Value::String(text)) => {
            (text.parse() == Ok(id.clone())).then_some(fields.span)
        }
        Node::Leaf(_) => None,
        Node::List(items) => items.iter().find_map(|item| place_of(item, id)),
        Node::Map(pairs) => pairs.iter().find_map(|(_, value)| place_of(value, id)),
    }
}
