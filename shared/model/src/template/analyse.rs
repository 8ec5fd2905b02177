//! A walk through all branches of a template, whatever their conditions are.

use super::scope::{Frame, Meaning, Scope, Unresolved};
use super::syntax::{Block, BlockKind, Node, Term, TermKind};

/// What can be said about a value before there is one.
pub(super) trait Abstract: Meaning {
    /// About what depends on values: literals, results of helpers, `@index`.
    fn anything() -> Self;
    /// About the elements of a list or map.
    fn element(&self) -> Self;
    /// Whether it can be a map, whose elements have keys.
    fn can_be_map(&self) -> bool;
}

/// What a value is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Output,
    Argument,
    Condition,
    Each,
    With,
}

pub(super) type Visit<'v, M> = dyn FnMut(&Term, Purpose, &Result<M, Unresolved>) + 'v;

/// Calls `visit` with every name in `nodes` and what it means.
pub(super) fn analyse<M: Abstract>(nodes: &[Node], root: M, visit: &mut Visit<'_, M>) {
    Analysis {
        scope: Scope::new(root),
        visit,
    }
    .nodes(nodes);
}

struct Analysis<'a, 'v, M> {
    scope: Scope<M>,
    visit: &'a mut Visit<'v, M>,
}

impl<M: Abstract> Analysis<'_, '_, M> {
    fn nodes(&mut self, nodes: &[Node]) {
        for node in nodes {
            match node {
                Node::Text(_) => {}
                Node::Output(term) => drop(self.term(term, Purpose::Output)),
                Node::Block(block) => self.block(block),
            }
        }
    }

    fn block(&mut self, block: &Block) {
        let purpose = match block.kind {
            BlockKind::If | BlockKind::Unless => Purpose::Condition,
            BlockKind::Each => Purpose::Each,
            BlockKind::With => Purpose::With,
        };
        let argument = self.term(&block.argument, purpose);
        let frame = match block.kind {
            BlockKind::If | BlockKind::Unless => None,
            BlockKind::With => Some((argument, self.scope.locals())),
            BlockKind::Each => {
                let mut locals = vec!["index", "first", "last"];
                if argument.can_be_map() {
                    locals.push("key");
                }
                let locals = locals
                    .into_iter()
                    .map(|name| (name, M::anything()))
                    .collect();
                Some((argument.element(), locals))
            }
        };
        match frame {
            None => self.nodes(&block.body),
            Some((this, locals)) => {
                let meanings = [this.clone(), M::anything()];
                let names = block.names.iter().cloned().zip(meanings).collect();
                self.scope.push(Frame {
                    this,
                    names,
                    locals,
                });
                self.nodes(&block.body);
                self.scope.pop();
            }
        }
        self.nodes(&block.inverse);
    }

    fn term(&mut self, term: &Term, purpose: Purpose) -> M {
        match &term.kind {
            TermKind::Literal(_) => M::anything(),
            TermKind::Reference(reference) => {
                let resolved = self.scope.resolve(reference);
                (self.visit)(term, purpose, &resolved);
                resolved.unwrap_or_else(|_| M::anything())
            }
            TermKind::Call(function, arguments) => {
                let mut given = Vec::new();
                for argument in arguments {
                    given.push(self.term(argument, Purpose::Argument));
                }
                match given.as_slice() {
                    [list] if function.is_some_and(|known| known.name == "first") => list.element(),
                    _ => M::anything(),
                }
            }
        }
    }
}
