//! Goes into containers, so that all there is comes as one list.

use super::inside::Inside;
use super::source::Look;
use super::walk::Found;

/// What an iterator finds, and in the place of each container what is in it, then the container
/// itself ([`Found::Container`]). Every other source is handed on as it is: whoever gets it looks what
/// it is.
pub struct Descend<I> {
    outer: I,
    /// The containers that it is in.
    within: Vec<Inside>,
}

impl<I: std::fmt::Debug> std::fmt::Debug for Descend<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Descend").field("outer", &self.outer).finish_non_exhaustive()
    }
}

impl<I: Iterator<Item = Found>> Descend<I> {
    /// Goes into what `outer` finds.
    #[must_use]
    pub fn new(outer: I) -> Descend<I> {
        Descend { outer, within: Vec::new() }
    }
}

impl<I: Iterator<Item = Found>> Iterator for Descend<I> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let found = match self.within.last_mut() {
                Some(inside) => match inside.next() {
                    Some(found) => found,
                    None => {
                        self.within.pop();
                        continue;
                    }
                },
                None => self.outer.next()?,
            };
            let Found::Source(source) = &found else { return Some(found) };
            if !source.is_container().unwrap_or(false) {
                return Some(found);
            }
            match source.look() {
                Ok(Look::Inside(inside)) => self.within.push(*inside),
                // What cannot be opened is handed on: whoever opens it will see why.
                _ => return Some(found),
            }
        }
    }
}
