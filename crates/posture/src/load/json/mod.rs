//! JSON, read into a flat table of values that remember where in the text they are.
//!
//! The documents here are large and mostly skipped: nothing is copied, a policy is a slice of the text. What follows a
//! fault is lost, what came before it is kept, and the values that the fault cut through are marked as broken.

mod lines;
mod scan;
mod value;

pub(crate) use lines::Lines;
pub(crate) use scan::scan;
pub(crate) use value::{Kind, Value};

/// One value of a document, in the order of the text: a container is followed by what it contains, and in an object
/// every value by its key.
#[derive(Clone, Copy, Debug)]
struct Node {
    /// Of a string, the first byte after its quote.
    start: u32,
    /// Of a string, its closing quote. Of others, the byte after them.
    end: u32,
    /// The node after this one and all it contains.
    next: u32,
    kind: Kind,
    /// A string with escapes in it, or a container that a fault cut through.
    marked: bool,
}

/// A scanned document.
#[derive(Debug)]
pub(crate) struct Tape<'t> {
    text: &'t str,
    nodes: Vec<Node>,
}

impl<'t> Tape<'t> {
    /// The outermost value, if there is one.
    pub(crate) fn root(&self) -> Option<Value<'_, 't>> {
        (!self.nodes.is_empty()).then(|| Value::new(self, 0))
    }
}
