//! Raw images in parts: `disk.001`, `disk.002`, …, from 000 as well, or `disk.aaa`, `disk.aab`, ….
//!
//! Nothing in a part says that it is one, so two things have to hold: a part that is named so follows
//! or precedes, and the row of them begins like a disk, a container or an archive. Rotated logs are
//! named that way too.
//!
//! All parts but the last are as long as the first. One that is missing or shorter is a damaged range
//! of that length, and what is behind it is read.

use super::{
    Damage, Image, ImageFault, Siblings,
    read::{Row, Window},
    sibling, volume,
};
use crate::bytes::ReadAt;
use std::{io, sync::Arc};

/// How many parts an image may have: 2 TB in parts of CD size are 3,000.
const MAX_PARTS: u32 = 20_000;

/// How many parts in a row may be missing: beyond that, what follows is another image's.
const MAX_MISSING: u32 = 8;

/// What archives begin with that are handed around in parts as well.
const ARCHIVES: &[&[u8]] = &[b"PK\x03\x04", b"7z\xbc\xaf\x27\x1c", b"EVF\x09\x0d\x0a\xff\0"];

/// How the parts of an image are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Decimal digits, this many.
    Digits(usize),
    /// Letters, this many, of this case.
    Letters(usize, bool),
}

/// A part's name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part<'n> {
    stem: &'n str,
    style: Style,
    number: u32,
}

impl<'n> Part<'n> {
    fn of(name: &'n str) -> Option<Part<'n>> {
        let (stem, suffix) = name.rsplit_once('.')?;
        if !(3..=5).contains(&suffix.len()) || stem.is_empty() {
            return None;
        }
        if suffix.bytes().all(|b| b.is_ascii_digit()) {
            let number = suffix.parse().ok()?;
            return Some(Part { stem, style: Style::Digits(suffix.len()), number });
        }
        let upper = suffix.bytes().all(|b| b.is_ascii_uppercase());
        // Three letters are an extension like any other: only rows that begin with `aaa` count.
        if suffix.len() != 3 || !(upper || suffix.bytes().all(|b| b.is_ascii_lowercase())) {
            return None;
        }
        let digit = |b: u8| u32::from(b.to_ascii_lowercase() - b'a');
        let number = suffix.bytes().fold(0, |n, b| n * 26 + digit(b));
        Some(Part { stem, style: Style::Letters(3, upper), number })
    }

    fn name(&self, number: u32) -> String {
        match self.style {
            Style::Digits(width) => format!("{}.{number:0width$}", self.stem),
            Style::Letters(width, upper) => {
                let base = if upper { b'A' } else { b'a' };
                let mut letters = vec![base; width];
                let mut rest = number;
                for letter in letters.iter_mut().rev() {
                    *letter = base + u8::try_from(rest % 26).unwrap_or(0);
                    rest /= 26;
                }
                format!("{}.{}", self.stem, String::from_utf8_lossy(&letters))
            }
        }
    }

    /// The number after the last one that such names can have.
    fn end(&self) -> u32 {
        let (base, width): (u32, usize) = match self.style {
            Style::Digits(width) => (10, width),
            Style::Letters(width, _) => (26, width),
        };
        u32::try_from(width).map_or(MAX_PARTS, |width| base.saturating_pow(width)).min(MAX_PARTS)
    }
}

/// The image of which `bytes` are the first part, by the name that they have.
pub(super) fn open(
    bytes: &Arc<dyn ReadAt>,
    siblings: &dyn Siblings,
) -> Result<Option<Image>, ImageFault> {
    let Some(part) = Part::of(siblings.own_name()) else { return Ok(None) };
    let open = |number| sibling::find(siblings, &part.name(number));
    let zeroth = || Ok::<_, ImageFault>(part.number == 1 && open(0)?.is_some());
    let first = part.number == 0
        || (part.number == 1 && matches!(part.style, Style::Digits(_)) && !zeroth()?);
    if !first {
        return belongs_to_first(&part, siblings);
    }
    let Some(row) = row(bytes, &part, siblings)? else { return Ok(None) };
    Ok(begins_like_an_image(&row.bytes).then_some(row))
}

/// A part that is not the first one: whose it is.
fn belongs_to_first(part: &Part<'_>, siblings: &dyn Siblings) -> Result<Option<Image>, ImageFault> {
    let starts: &[u32] = if matches!(part.style, Style::Digits(_)) { &[0, 1] } else { &[0] };
    for &start in starts {
        let name = part.name(start);
        let Some(first) = sibling::find(siblings, &name)? else { continue };
        let start = Part { number: start, ..part.clone() };
        if let Some(row) = row(&first, &start, siblings)?
            && begins_like_an_image(&row.bytes)
            && u64::from(part.number - start.number) * first.size() < row.bytes.size()
        {
            return Err(ImageFault::PartOf { first: name });
        }
        return Ok(None);
    }
    Ok(None)
}

/// The parts from `first` on, one behind the other; `None` if there is only that one.
fn row(
    bytes: &Arc<dyn ReadAt>,
    first: &Part<'_>,
    siblings: &dyn Siblings,
) -> Result<Option<Image>, ImageFault> {
    let damage = Arc::new(Damage::default());
    let mut faults = Vec::new();
    let size = bytes.size();
    let mut row: Vec<Arc<dyn ReadAt>> = vec![bytes.clone()];
    let mut missing = 0;
    let mut end = size;
    for number in first.number + 1..first.end() {
        let Some(part) = sibling::find(siblings, &first.name(number))? else {
            missing += 1;
            if missing > MAX_MISSING || size == 0 {
                break;
            }
            continue;
        };
        for number in number - missing..number {
            let why = format!("{} is missing", first.name(number));
            faults.push(why.clone());
            row.push(Arc::new(Missing { start: end, size, why, damage: damage.clone() }));
            end = end.saturating_add(size);
        }
        missing = 0;
        if let Some(last) = row.last()
            && let Some(gap) = size.checked_sub(last.size()).filter(|gap| *gap > 0)
        {
            let why = format!("{} is too short", first.name(number - 1));
            faults.push(why.clone());
            row.push(Arc::new(Missing { start: end, size: gap, why, damage: damage.clone() }));
            end = end.saturating_add(gap);
        }
        end = end.saturating_add(part.size());
        row.push(part);
    }
    if row.len() < 2 {
        return Ok(None);
    }
    let bytes = Arc::new(Row::new(row));
    Ok(Some(Image { bytes, kind: "a raw image in parts", damage, faults, digests: None }))
}

fn begins_like_an_image(bytes: &Arc<dyn ReadAt>) -> bool {
    let mut start = [0; 8];
    let len = super::read::full(&**bytes, 0, &mut start).unwrap_or(0);
    let start = start.get(..len).unwrap_or_default();
    ARCHIVES.iter().any(|magic| start.starts_with(magic))
        || !volume::volumes(bytes).volumes.is_empty()
}

/// A part that is not there.
struct Missing {
    /// Where on the disk.
    start: u64,
    size: u64,
    why: String,
    damage: Arc<Damage>,
}

impl ReadAt for Missing {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        if offset >= self.size || buf.is_empty() {
            return Ok(0);
        }
        Err(self.damage.add(self.start, self.size, &self.why))
    }
}
/// A source cut or extended to `size`, what it does not have being damage.
pub(super) fn of_size(
    bytes: Arc<dyn ReadAt>,
    size: u64,
    start: u64,
    why: String,
    damage: &Arc<Damage>,
) -> Arc<dyn ReadAt> {
    let has = bytes.size();
    if has >= size {
        return Arc::new(Window { bytes, start: 0, size });
    }
    let rest =
        Missing { start: start.saturating_add(has), size: size - has, why, damage: damage.clone() };
    Arc::new(Row::new(vec![bytes, Arc::new(rest)]))
}
