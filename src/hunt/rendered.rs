//! Rendered hits on their way from the worker that found them to the outputs.
//!
//! A hit is rendered once for each output, where it is found; from there on it is bytes. Whatever
//! wants to put hits into another order than that of the evidence has its place here: this is where
//! a hit is known both as what it says and as what it looks like.
//!
//! Invariant: every output gets the same hits in the same order.

use crate::report::{Format, Hit};

/// What some hits look like, for each output.
pub(super) struct Rendered {
    outputs: Vec<Vec<u8>>,
}

impl Rendered {
    /// Nothing yet, for so many outputs.
    pub(super) fn new(outputs: usize) -> Rendered {
        Rendered { outputs: vec![Vec::new(); outputs] }
    }

    /// What stands before the first hit.
    pub(super) fn begin<'f>(&mut self, formats: impl Iterator<Item = &'f Format>) {
        formats.zip(&mut self.outputs).for_each(|(format, output)| format.begin(output));
    }

    /// Adds a hit.
    pub(super) fn hit(&mut self, formats: &[&Format], hit: &Hit<'_>) {
        formats.iter().zip(&mut self.outputs).for_each(|(format, output)| format.hit(hit, output));
    }

    /// The bytes for each output.
    pub(super) fn outputs(&self) -> impl Iterator<Item = &[u8]> {
        self.outputs.iter().map(Vec::as_slice)
    }

    /// How many bytes there are for all outputs together.
    pub(super) fn len(&self) -> usize {
        self.outputs.iter().map(Vec::len).sum()
    }

    /// Forgets the hits and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.outputs.iter_mut().for_each(Vec::clear);
    }

    /// Gives what there is, and keeps room for as much again, `most` bytes for all outputs together
    /// at the most.
    pub(super) fn take(&mut self, most: usize) -> Rendered {
        let mut left = most;
        let outputs = self.outputs.iter_mut().map(|output| {
            let room = output.len().min(left);
            left -= room;
            std::mem::replace(output, Vec::with_capacity(room))
        });
        Rendered { outputs: outputs.collect() }
    }
}
