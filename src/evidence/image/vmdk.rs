//! VMDK, the virtual disk of VMware: a text that describes the disk, and the extents it consists of.
//!
//! The text stands in a file of its own or inside a sparse extent. Extents are flat (the bytes as they
//! are), sparse or zero (VMware, "Virtual Disk Format 5.0"). Their files are opened next to the image
//! and nowhere else.
//!
//! A snapshot has only what differs from its parent, whose name the text gives.

use super::{
    Damage, Image, ImageFault, Siblings,
    read::{self, Row, Window},
    sibling, split,
    vhd::Renamed,
    vmdk_sparse::{self, Sparse},
};
use crate::bytes::ReadAt;
use std::{io, sync::Arc};

/// How a text that describes a disk begins.
const DESCRIPTOR: &[u8] = b"# Disk DescriptorFile";

/// The longest text: VMware writes 10 to 20 KiB, a line for each extent.
const MAX_TEXT: u64 = 1 << 20;

/// The most extents: a disk of 62 TiB in pieces of 2 GiB has 31,000.
const MAX_EXTENTS: usize = 1 << 15;

/// The size of a sector.
pub(super) const SECTOR: u64 = 512;

/// The largest disk: 62 TiB is VMware's limit.
pub(super) const MAX_SIZE: u64 = 64 << 40;

/// The parent's identifier when there is no parent.
const NO_PARENT: &str = "ffffffff";

/// Whether a file begins like one.
pub(super) fn is(start: &[u8]) -> bool {
    start.starts_with(DESCRIPTOR) || start.starts_with(vmdk_sparse::MAGIC)
}

/// What a text says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Text {
    kind: String,
    parent: Option<String>,
    extents: Vec<Extent>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Extent {
    sectors: u64,
    kind: String,
    name: String,
    /// Where in its file it begins, in sectors.
    start: u64,
}

impl Text {
    fn parse(text: &[u8]) -> Result<Text, ImageFault> {
        let end = memchr::memchr(0, text).unwrap_or(text.len());
        let text = String::from_utf8_lossy(text.get(..end).unwrap_or_default());
        let mut parsed = Text::default();
        let mut has_parent = false;
        for line in text.lines().map(str::trim) {
            if let Some((key, value)) = line.split_once('=') {
                let value = value.trim().trim_matches('"');
                match key.trim() {
                    "createType" => parsed.kind = value.to_owned(),
                    "parentCID" => has_parent = !value.eq_ignore_ascii_case(NO_PARENT),
                    "parentFileNameHint" => parsed.parent = Some(value.to_owned()),
                    _ => {}
                }
                continue;
            }
            if let Some(extent) = Extent::parse(line) {
                if parsed.extents.len() >= MAX_EXTENTS {
                    return Err(ImageFault::broken("a VMDK of too many extents"));
                }
                parsed.extents.push(extent);
            }
        }
        if has_parent && parsed.parent.is_none() {
            return Err(ImageFault::broken("a VMDK snapshot that does not name its parent"));
        }
        parsed.parent = parsed.parent.filter(|_| has_parent);
        Ok(parsed)
    }
}

impl Extent {
    /// A line `RW 4192256 SPARSE "disk-s001.vmdk"`, or of a flat one with where it begins.
    fn parse(line: &str) -> Option<Extent> {
        let (access, rest) = line.split_once(char::is_whitespace)?;
        if !matches!(access, "RW" | "RDONLY" | "NOACCESS") {
            return None;
        }
        let (sectors, rest) = rest.trim_start().split_once(char::is_whitespace)?;
        let rest = rest.trim_start();
        let (kind, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let (name, start) = match rest.trim_start().strip_prefix('"') {
            Some(rest) => rest.split_once('"')?,
            None => ("", ""),
        };
        let start = start.split_whitespace().next().map_or(Some(0), |n| n.parse().ok())?;
        Some(Extent {
            sectors: sectors.parse().ok()?,
            kind: kind.to_owned(),
            name: name.to_owned(),
            start,
        })
    }
}

/// Opens the disk that `bytes` describe or are a sparse extent of.
pub(super) fn open(
    bytes: &Arc<dyn ReadAt>,
    siblings: &dyn Siblings,
    depth: u32,
) -> Result<Image, ImageFault> {
    let damage = Arc::new(Damage::default());
    let mut start = [0; 4];
    read::exact(&**bytes, 0, &mut start)?;
    if start != *vmdk_sparse::MAGIC {
        let len = bytes.size().min(MAX_TEXT);
        let text = read::table(&**bytes, 0, len, MAX_TEXT, "the description of the disk")?;
        return described(&Text::parse(&text)?, siblings, depth, damage);
    }
    // It may have a text of its own and be an extent of a disk in several all the same.
    if let Some(first) = described_by(siblings)? {
        return Err(ImageFault::PartOf { first });
    }
    let (sparse, text) = Sparse::open(bytes.clone(), 0, &damage)?;
    let Some(text) = text else {
        let fault = "it does not say what disk it is a part of: it is read as a whole one";
        let kind = "a VMDK extent";
        let faults = vec![fault.to_owned()];
        return Ok(Image { bytes: Arc::new(sparse), kind, damage, faults, digests: None });
    };
    let text = Text::parse(&text)?;
    let kind = if text.kind == "streamOptimized" {
        "a compressed VMDK image"
    } else {
        "a sparse VMDK image"
    };
    let disk: Arc<dyn ReadAt> = match &text.parent {
        None => Arc::new(sparse),
        Some(parent) => Arc::new(sparse.over(open_parent(parent, siblings, depth)?)),
    };
    Ok(Image { bytes: disk, kind, damage, faults: Vec::new(), digests: None })
}

/// The disk that a text describes.
fn described(
    text: &Text,
    siblings: &dyn Siblings,
    depth: u32,
    damage: Arc<Damage>,
) -> Result<Image, ImageFault> {
    if text.extents.is_empty() {
        return Err(ImageFault::broken("a VMDK description without extents"));
    }
    let parent = match &text.parent {
        Some(parent) => Some(open_parent(parent, siblings, depth)?),
        None => None,
    };
    let mut faults = Vec::new();
    let mut row: Vec<Arc<dyn ReadAt>> = Vec::new();
    let mut start: u64 = 0;
    for extent in &text.extents {
        let size = extent.sectors.saturating_mul(SECTOR);
        let end = start.checked_add(size).filter(|end| *end <= MAX_SIZE);
        let end = end.ok_or_else(|| ImageFault::broken("a VMDK larger than a disk can be"))?;
        row.push(extent.open(start, siblings, parent.as_ref(), &damage, &mut faults)?);
        start = end;
    }
    let bytes = Arc::new(Row::new(row));
    Ok(Image { bytes, kind: "a VMDK image", damage, faults, digests: None })
}

impl Extent {
    /// The extent's bytes, which are from `at` on the disk's.
    fn open(
        &self,
        at: u64,
        siblings: &dyn Siblings,
        parent: Option<&Arc<dyn ReadAt>>,
        damage: &Arc<Damage>,
        faults: &mut Vec<String>,
    ) -> Result<Arc<dyn ReadAt>, ImageFault> {
        let size = self.sectors.saturating_mul(SECTOR);
        if self.kind == "ZERO" {
            return Ok(Arc::new(Zeros(size)));
        }
        let why = match self.kind.as_str() {
            "FLAT" | "VMFS" | "SPARSE" => match sibling::find(siblings, &self.name) {
                Ok(Some(bytes)) if self.kind == "SPARSE" => match Sparse::open(bytes, at, damage) {
                    Ok((sparse, _)) => {
                        let window = |bytes| Arc::new(Window { bytes, start: at, size });
                        let sparse: Arc<dyn ReadAt> = match parent {
                            Some(parent) => Arc::new(sparse.over(window(parent.clone()))),
                            None => Arc::new(sparse),
                        };
                        let why = format!("{} is too short", self.name);
                        return Ok(split::of_size(sparse, size, at, why, damage));
                    }
                    Err(fault) => format!("{}: {fault}", self.name),
                },
                Ok(Some(bytes)) => {
                    let start = self.start.saturating_mul(SECTOR);
                    let has = bytes.size().saturating_sub(start);
                    let why = format!("{} is too short", self.name);
                    if has < size {
                        faults.push(why.clone());
                    }
                    let bytes = Arc::new(Window { bytes, start, size: has.min(size) });
                    return Ok(split::of_size(bytes, size, at, why, damage));
                }
                Ok(None) => format!("{} is missing", self.name),
                Err(fault) => fault.to_string(),
            },
            "VMFSSPARSE" | "SESPARSE" => {
                let what =
                    "an ESXi snapshot (COWD or seSparse): consolidate it and take the flat disk";
                return Err(ImageFault::unsupported(what));
            }
            kind => {
                let what = format!("a VMDK with an extent of kind {kind:?}");
                return Err(ImageFault::Unsupported(what));
            }
        };
        faults.push(why.clone());
        Ok(split::of_size(Arc::new(Vec::new()), size, at, why, damage))
    }
}

/// The disk that a snapshot stands on.
fn open_parent(
    name: &str,
    siblings: &dyn Siblings,
    depth: u32,
) -> Result<Arc<dyn ReadAt>, ImageFault> {
    let Some(bytes) = sibling::find(siblings, name)? else {
        let what = format!("it needs its parent {name:?}, which is not next to it");
        return Err(ImageFault::Unsupported(what));
    };
    let image = super::open_at_depth(&bytes, &Renamed { siblings, name }, depth + 1)?;
    Ok(image.ok_or_else(|| ImageFault::Broken(format!("{name} is no image")))?.bytes)
}

/// The text next to an extent that says that the extent is of its disk, by the names that VMware
/// gives: `disk-flat.vmdk`, `disk-s001.vmdk`, `disk-f001.vmdk` of `disk.vmdk`.
pub(super) fn described_by(siblings: &dyn Siblings) -> Result<Option<String>, ImageFault> {
    let own = siblings.own_name();
    let Some((stem, _)) = own.rsplit_once('.').filter(|(_, end)| end.eq_ignore_ascii_case("vmdk"))
    else {
        return Ok(None);
    };
    let Some((disk, part)) = stem.rsplit_once('-') else { return Ok(None) };
    let numbered = part
        .strip_prefix(['s', 'f'])
        .is_some_and(|n| n.len() >= 3 && n.bytes().all(|b| b.is_ascii_digit()));
    if !numbered && part != "flat" {
        return Ok(None);
    }
    let name = format!("{disk}.vmdk");
    let Some(bytes) = sibling::find(siblings, &name)? else { return Ok(None) };
    let len = bytes.size().min(MAX_TEXT);
    let text = read::table(&*bytes, 0, len, MAX_TEXT, "the description of the disk")?;
    if !text.starts_with(DESCRIPTOR) {
        return Ok(None);
    }
    let names = Text::parse(&text)?.extents;
    Ok(names.iter().any(|extent| extent.name == own).then_some(name))
}

/// Nothing but zeros.
struct Zeros(u64);

impl ReadAt for Zeros {
    fn size(&self) -> u64 {
        self.0
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let buf = read::front(buf, self.0.saturating_sub(offset));
        buf.fill(0);
        Ok(buf.len())
    }

    fn zeros(&self, offset: u64) -> u64 {
        self.0.saturating_sub(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_extents_are_read() {
        let extent = |sectors, kind: &str, name: &str, start| {
            Some(Extent { sectors, kind: kind.to_owned(), name: name.to_owned(), start })
        };
        for (line, want) in [
            ("RW 10 SPARSE \"a b-s001.vmdk\"", extent(10, "SPARSE", "a b-s001.vmdk", 0)),
            ("RW  10  FLAT  \"a-flat.vmdk\" 128", extent(10, "FLAT", "a-flat.vmdk", 128)),
            ("RDONLY 7 ZERO", extent(7, "ZERO", "", 0)),
            ("RW ten FLAT \"a\"", None),
            ("RW 10 FLAT \"a", None),
            ("RW 10 FLAT \"a\" x", None),
            ("RW", None),
            ("ddb.x", None),
        ] {
            assert_eq!(Extent::parse(line), want, "{line}");
        }
    }

    #[test]
    fn a_snapshot_names_its_parent() {
        let text = |id: &str, hint: &str| {
            Text::parse(format!("{}\nparentCID={id}\n{hint}\n", "# Disk DescriptorFile").as_bytes())
        };
        assert_eq!(text("ffffffff", "").unwrap().parent, None);
        let hint = "parentFileNameHint=\"a.vmdk\"";
        assert_eq!(text("12345678", hint).unwrap().parent.as_deref(), Some("a.vmdk"));
        assert_eq!(text("FFFFFFFF", hint).unwrap().parent, None);
        assert!(text("12345678", "").is_err());
    }
}
