//! File slack: what of a file's clusters is not the file's.
//!
//! A file has whole clusters, and may have more of them than it needs. From where it was written to
//! (the valid length) to the end of its clusters stands what was there before: the rest of a deleted
//! log, or of the log's own earlier rounds. Of what is compressed or encrypted it is not told where
//! the value ends in the clusters: it has none here.

use super::record::{Attribute, NonResident};
use super::stream::Runs;
use std::collections::HashMap;
use std::ops::Range;

/// How many ranges of slack are kept, one for each file: large servers have as many files.
const MAX_RANGES: usize = 2 << 20;

/// How many further parts of files that stand in several records are kept until all are met.
const MAX_PARTS: usize = 1 << 16;

/// The slack of files, gathered record by record.
#[derive(Default)]
pub(super) struct Slack {
    ranges: Vec<Range<u64>>,
    /// The valid lengths of files with further parts.
    valid: HashMap<u64, u64>,
    /// Of these parts, whose they are, where they begin and the lists of their runs.
    parts: Vec<(u64, u64, Box<[u8]>)>,
    /// Whether there is more than is kept.
    more: bool,
}

impl Slack {
    /// Takes an attribute of a live file.
    pub(super) fn take(
        &mut self,
        owner: u64,
        attribute: &Attribute<'_>,
        clusters: u64,
        cluster: u64,
    ) {
        let Some(place) = attribute.non_resident().filter(|_| !attribute.is_packed()) else {
            return;
        };
        if place.start_vcn == 0 {
            let end = self.first(&place, clusters, cluster);
            if !attribute.is_named && end < place.size {
                if self.valid.len() < MAX_PARTS {
                    self.valid.insert(owner, place.valid.min(place.size));
                } else {
                    self.more = true;
                }
            }
        } else if !attribute.is_named {
            if self.parts.len() < MAX_PARTS {
                self.parts.push((owner, place.start_vcn, place.runs.into()));
            } else {
                self.more = true;
            }
        }
    }

    /// Takes the first part of a file, and says where its clusters end.
    fn first(&mut self, place: &NonResident<'_>, clusters: u64, cluster: u64) -> u64 {
        let mut runs = Runs::default();
        runs.add(0, place.runs, clusters);
        self.push(runs.extents_of(&(place.valid.min(place.size)..u64::MAX), cluster));
        runs.end().saturating_mul(cluster)
    }

    fn push(&mut self, extents: Vec<Range<u64>>) {
        let room = MAX_RANGES.saturating_sub(self.ranges.len());
        self.more |= extents.len() > room;
        self.ranges.extend(extents.into_iter().take(room));
    }

    /// All of it, in order and apart, and whether there is more.
    pub(super) fn finish(mut self, clusters: u64, cluster: u64) -> (Vec<Range<u64>>, bool) {
        for (owner, start, list) in std::mem::take(&mut self.parts) {
            // What is not known to be the file's own is looked at: it costs a look.
            let valid = self.valid.get(&owner).copied().unwrap_or(0);
            let mut runs = Runs::default();
            runs.add(start, &list, clusters);
            self.push(runs.extents_of(&(valid..u64::MAX), cluster));
        }
        self.ranges.sort_unstable_by_key(|range| (range.start, range.end));
        self.ranges.dedup_by(|next, last| {
            let meets = next.start <= last.end;
            if meets {
                last.end = last.end.max(next.end);
            }
            meets
        });
        (self.ranges, self.more)
    }
}
