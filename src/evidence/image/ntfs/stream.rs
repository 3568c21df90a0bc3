//! An attribute's value on the volume: the list of its runs, and reading over it.
//!
//! Invariants:
//! - Every run lies on the volume: one that does not is kept as damage, so that what is behind it
//!   stays at its place.
//! - What lies beyond the valid length is zero, whatever the clusters hold: they are another file's
//!   remains.

use super::{
    super::{
        Damage, blocks,
        read::{self, front},
    },
    lznt1,
};
use crate::bytes::ReadAt;
use std::{io, ops::Range, sync::Arc};

/// The largest unit of compression that is decoded: Windows makes them of 64 KiB.
const MAX_UNIT: u64 = 4 << 20;

/// Clusters of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// The first one's number in the value.
    vcn: u64,
    clusters: u64,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// From this cluster of the volume.
    At(u64),
    /// Nowhere: zeros.
    Hole,
    /// Nowhere on the volume.
    Lost,
}

/// The runs of a value, in order and without gaps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Runs {
    runs: Vec<Run>,
    end: u64,
}

impl Runs {
    /// How many clusters they are of.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Adds a list of runs that begins at cluster `start` of the value. What is missing before it is
    /// lost; what is there already is not taken again. `false` if the list is damaged.
    pub(super) fn add(&mut self, start: u64, list: &[u8], volume_clusters: u64) -> bool {
        if start > self.end {
            self.push(start - self.end, Place::Lost);
        }
        let (mut rest, mut lcn, mut vcn) = (list, 0i64, start);
        loop {
            let Some((&head, tail)) = rest.split_first() else { return false };
            if head == 0 {
                return true;
            }
            let (lengths, offsets) = (usize::from(head & 15), usize::from(head >> 4));
            let (Some(length), Some(offset)) =
                (tail.get(..lengths), tail.get(lengths..lengths + offsets))
            else {
                return false;
            };
            rest = tail.get(lengths + offsets..).unwrap_or_default();
            let length = unsigned(length).filter(|n| *n > 0);
            let end = length.and_then(|n| vcn.checked_add(n));
            let (Some(length), Some(end)) = (length, end) else { return false };
            let place = if offsets == 0 {
                Place::Hole
            } else {
                let Some(next) = signed(offset).and_then(|by| lcn.checked_add(by)) else {
                    return false;
                };
                lcn = next;
                let first = u64::try_from(lcn).ok();
                let inside = first.filter(|first| {
                    first.checked_add(length).is_some_and(|end| end <= volume_clusters)
                });
                inside.map_or(Place::Lost, Place::At)
            };
            if end > self.end {
                let known = self.end.saturating_sub(vcn);
                let place = match place {
                    Place::At(lcn) => Place::At(lcn.saturating_add(known)),
                    other => other,
                };
                self.push(end - self.end, place);
            }
            vcn = end;
        }
    }

    /// Adds the first run of a list alone, for who wants to know only where the value begins.
    pub(super) fn add_first(&mut self, list: &[u8], volume_clusters: u64) {
        let head = list.first().copied().unwrap_or(0);
        let len = 1 + usize::from(head & 15) + usize::from(head >> 4);
        self.add(0, list.get(..len).unwrap_or(list), volume_clusters);
    }

    fn push(&mut self, clusters: u64, place: Place) {
        self.runs.push(Run { vcn: self.end, clusters, place });
        self.end = self.end.saturating_add(clusters);
    }

    /// The run that has a cluster.
    fn at(&self, vcn: u64) -> Option<Run> {
        let after = self.runs.partition_point(|run| run.vcn <= vcn);
        let run = self.runs.get(after.checked_sub(1)?)?;
        (vcn - run.vcn < run.clusters).then_some(*run)
    }

    /// The first cluster on the volume, if the value begins there.
    pub(super) fn first_cluster(&self) -> Option<u64> {
        match self.runs.first()?.place {
            Place::At(lcn) => Some(lcn),
            _ => None,
        }
    }

    /// Whether some of it is not on the volume.
    pub(super) fn is_damaged(&self) -> bool {
        self.runs.iter().any(|run| run.place == Place::Lost)
    }

    /// Whether some of it is nowhere and reads as zeros.
    pub(super) fn has_holes(&self) -> bool {
        self.runs.iter().any(|run| run.place == Place::Hole)
    }

    /// The ranges of bytes of the volume that hold it, in the order of the value.
    pub(super) fn extents(&self, cluster: u64) -> Vec<Range<u64>> {
        self.extents_of(&(0..u64::MAX), cluster)
    }

    /// Those that hold these bytes of the value.
    pub(super) fn extents_of(&self, bytes: &Range<u64>, cluster: u64) -> Vec<Range<u64>> {
        let extent = |run: &Run| {
            let Place::At(lcn) = run.place else { return None };
            let first = run.vcn.saturating_mul(cluster);
            let end = first.saturating_add(run.clusters.saturating_mul(cluster));
            let (from, to) = (bytes.start.max(first), bytes.end.min(end));
            let on_volume = |at: u64| lcn.saturating_mul(cluster).saturating_add(at - first);
            (from < to).then(|| on_volume(from)..on_volume(to))
        };
        self.runs.iter().filter_map(extent).collect()
    }
}

fn unsigned(data: &[u8]) -> Option<u64> {
    let mut wide = [0; 8];
    wide.get_mut(..data.len())?.copy_from_slice(data);
    Some(u64::from_le_bytes(wide))
}

fn signed(data: &[u8]) -> Option<i64> {
    let fill = if data.last()? & 0x80 != 0 { 0xff } else { 0 };
    let mut wide = [fill; 8];
    wide.get_mut(..data.len())?.copy_from_slice(data);
    Some(i64::from_le_bytes(wide))
}

/// A value that is read over its runs.
pub(super) struct Stream {
    pub(super) volume: Arc<dyn ReadAt>,
    /// The size of a cluster.
    pub(super) cluster: u64,
    pub(super) runs: Runs,
    pub(super) size: u64,
    /// From here on it is zeros.
    pub(super) valid: u64,
    /// If it is compressed.
    pub(super) units: Option<Units>,
    pub(super) damage: Arc<Damage>,
}

/// How a value is compressed: in units of this many clusters, each by itself.
pub(super) struct Units {
    clusters: u64,
    cache: blocks::Cache,
}

impl Units {
    /// Units of two to the power of `exponent` clusters.
    pub(super) fn new(exponent: u16, cluster: u64) -> Option<Units> {
        let clusters = 1u64.checked_shl(exponent.into())?;
        let size = clusters.checked_mul(cluster).filter(|size| (4096..=MAX_UNIT).contains(size))?;
        Some(Units { clusters, cache: blocks::Cache::new(size) })
    }
}

impl ReadAt for Stream {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        read::spans(self.size, offset, buf, |at, buf| {
            if at >= self.valid {
                buf.fill(0);
                return Ok(buf.len());
            }
            let buf = front(buf, self.valid - at);
            match &self.units {
                None => self.read_run(at, buf),
                Some(units) => self.read_unit(units, at, buf),
            }
        })
    }
}

impl Stream {
    /// Reads from `at` to the end of its run at most.
    fn read_run(&self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        let Some(run) = self.runs.at(at / self.cluster) else {
            let len = self.valid.saturating_sub(at);
            return Err(self.damage.add(at, len, "its clusters are not known"));
        };
        let inside = at - run.vcn * self.cluster;
        let len = run.clusters.saturating_mul(self.cluster).saturating_sub(inside);
        let buf = front(buf, len);
        match run.place {
            Place::Hole => {
                buf.fill(0);
                Ok(buf.len())
            }
            Place::At(lcn) => {
                let on_volume = lcn.saturating_mul(self.cluster).saturating_add(inside);
                match self.volume.read_at(on_volume, buf)? {
                    0 => Err(self.damage.add(at, len, "the volume ends before these clusters")),
                    n => Ok(n),
                }
            }
            Place::Lost => Err(self.damage.add(at, len, "its clusters are not on the volume")),
        }
    }

    /// Reads from `at` to the end of its unit of compression at most.
    fn read_unit(&self, units: &Units, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        let size = units.clusters * self.cluster;
        let unit = at / size;
        let start = unit * size;
        let stored = self.stored(unit * units.clusters, units.clusters);
        let stored = match stored {
            // What is stored whole is not compressed.
            Some(stored) if stored == units.clusters => {
                return self.read_run(at, front(buf, size - (at - start)));
            }
            Some(0) => {
                let buf = front(buf, size - (at - start));
                buf.fill(0);
                return Ok(buf.len());
            }
            Some(stored) => stored,
            None => return Err(self.damage.add(start, size, "its clusters are not known")),
        };
        if at == start && buf.len() as u64 >= size {
            let buf = front(buf, size);
            self.decode(start, stored, buf)?;
            return Ok(buf.len());
        }
        let decoded = units.cache.get(unit, || {
            let mut decoded = vec![0; usize::try_from(size).unwrap_or(0)];
            self.decode(start, stored, &mut decoded).map(|()| decoded)
        })?;
        Ok(blocks::copy(&decoded, at - start, buf))
    }

    fn decode(&self, start: u64, stored: u64, out: &mut [u8]) -> io::Result<()> {
        let mut packed = vec![0; usize::try_from(stored * self.cluster).unwrap_or(0)];
        let mut done = 0;
        while let Some(rest) = packed.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.read_run(start.saturating_add(done as u64), rest)? {
                0 => break,
                n => done += n,
            }
        }
        lznt1::decompress(&packed, out).ok_or_else(|| {
            self.damage.add(start, out.len() as u64, "its compressed data is damaged")
        })
    }

    /// How many clusters of a unit are on the volume: they come first. `None` if any is lost.
    fn stored(&self, start: u64, clusters: u64) -> Option<u64> {
        let (mut vcn, end) = (start, start.checked_add(clusters)?);
        let mut stored = None;
        while vcn < end {
            let Some(run) = self.runs.at(vcn) else { break };
            match run.place {
                Place::At(_) if stored.is_some() => return None,
                Place::At(_) => {}
                Place::Hole => stored = stored.or(Some(vcn - start)),
                Place::Lost => return None,
            }
            vcn = run.vcn.saturating_add(run.clusters);
        }
        // The last unit may end with the value.
        Some(stored.unwrap_or(vcn.min(end) - start))
    }
}
