//! What became of the hits that correlations count.

use super::Levels;

/// Hits of rules for the correlations that refer to them, each once for each correlation: `met` is how
/// many there are, the rest, but for the findings, what became of each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Correlated {
    /// All of them.
    pub met: u64,
    /// Hits that were counted.
    pub joined: u64,
    /// Hits on events that lack a field by which the correlation groups events.
    pub without_group: u64,
    /// Hits on events that lack what the correlation counts.
    pub without_value: u64,
    /// Hits on events that do not say when they were.
    pub without_time: u64,
    /// Hits on events that were met before, in another place.
    pub copies: u64,
    /// What was found and is reported, by level: part of all hits.
    pub findings: Levels,
}

impl Correlated {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Correlated) {
        self.met += other.met;
        self.joined += other.joined;
        self.without_group += other.without_group;
        self.without_value += other.without_value;
        self.without_time += other.without_time;
        self.copies += other.copies;
        self.findings.iter_mut().zip(other.findings).for_each(|(a, b)| *a += b);
    }

    /// Counts these, which it has, as copies.
    pub(super) fn again(&mut self, copies: &Correlated) {
        for (own, copied) in [
            (&mut self.joined, copies.joined),
            (&mut self.without_group, copies.without_group),
            (&mut self.without_value, copies.without_value),
            (&mut self.without_time, copies.without_time),
        ] {
            *own = own.saturating_sub(copied);
        }
        self.copies += copies.met;
    }

    /// All findings.
    #[must_use]
    pub fn all_findings(&self) -> u64 {
        self.findings.iter().sum()
    }

    /// Hits that no correlation could count.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.without_group + self.without_value + self.without_time
    }
}
