//! Many names in little room, without leaving one out.

use brine_model::name::NodeName;

/// Up to this many are simply written out.
const WRITTEN_OUT: usize = 6;

/// `backend01, backend02`; where there are many, consecutive numbers become `backend01..backend40`.
#[must_use]
pub fn names(nodes: &[&NodeName]) -> String {
    if nodes.len() <= WRITTEN_OUT {
        return nodes
            .iter()
            .map(|node| node.as_str())
            .collect::<Vec<_>>()
            .join(", ");
    }
    let mut ranges: Vec<(&str, &str)> = Vec::new();
    for node in nodes {
        match ranges.last_mut() {
            Some((_, last)) if follows(last, node.as_str()) => *last = node.as_str(),
            _ => ranges.push((node.as_str(), node.as_str())),
        }
    }
    let written = |(first, last): (&str, &str)| match first == last {
        true => first.to_owned(),
        false if follows(first, last) => format!("{first}, {last}"),
        false => format!("{first}..{last}"),
    };
    ranges
        .into_iter()
        .map(written)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Whether `next` has the number after that of `name`, in as many digits.
fn follows(name: &str, next: &str) -> bool {
    let (stem, number) = split(name);
    let (next_stem, next_number) = split(next);
    let value = |digits: &str| digits.parse::<u64>().ok();
    stem == next_stem
        && number.len() == next_number.len()
        && value(number).and_then(|n| n.checked_add(1)) == value(next_number)
        && value(number).is_some()
}

fn split(name: &str) -> (&str, &str) {
    name.split_at(name.trim_end_matches(|c: char| c.is_ascii_digit()).len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let check = |nodes: &str, expected: &str| {
            let nodes: Vec<NodeName> = nodes
                .split(' ')
                .map(|n| n.parse().expect("a name"))
                .collect();
            assert_eq!(names(&nodes.iter().collect::<Vec<_>>()), expected);
        };
        check("b01 b02 b03", "b01, b02, b03");
        check("b01 b02 b03 b04 b05 b06 b07 b09 db", "b01..b07, b09, db");
        check("b08 b09 b10 c1 c2 c9 c10 x", "b08..b10, c1, c2, c9, c10, x");
    }
}
