//! VHD, the virtual disk of Virtual PC, Hyper-V and Azure.
//!
//! A fixed disk is the disk and a footer. A dynamic one has a copy of the footer in front, a header
//! and a table of blocks, each a bitmap of its sectors and the sectors (Microsoft, "Virtual Hard Disk
//! Image Format Specification", 2006). The numbers are big-endian.
//!
//! A differencing disk has only what differs from its parent: the parent's sectors are read from the
//! file of its name next to it, if it is the one that it says.

use super::{
    Damage, Image, ImageFault, Siblings,
    read::{self, Window, front},
    sibling,
};
use crate::bytes::{self, ReadAt};
use std::{io, sync::Arc};

/// What a footer begins with.
pub(super) const COOKIE: &[u8; 8] = b"conectix";

/// The size of a footer, and of a sector.
const SECTOR: u64 = 512;

/// The largest disk: 2040 GiB by the standard; what is here is read by larger tables too.
const MAX_SIZE: u64 = 64 << 40;

/// The largest table of blocks: of 64 TiB in blocks of 2 MiB, which is the usual size.
const MAX_TABLE: u64 = (64 << 40) / (2 << 20) * 4;

/// The largest block; 2 MiB is usual.
const MAX_BLOCK: u64 = 256 << 20;

/// Not allocated.
const NOWHERE: u32 = u32::MAX;

/// A footer.
struct Footer {
    header: u64,
    size: u64,
    kind: u32,
    id: [u8; 16],
}

impl Footer {
    fn read(source: &dyn ReadAt, at: u64) -> Option<Footer> {
        let footer = read::array::<512>(source, at).ok()?;
        if bytes::array(&footer, 0) != Some(*COOKIE) || !is_sound(&footer, 64) {
            return None;
        }
        Some(Footer {
            header: bytes::u64_be(&footer, 16)?,
            size: bytes::u64_be(&footer, 48)?,
            kind: bytes::u32_be(&footer, 60)?,
            id: bytes::array(&footer, 68)?,
        })
    }
}

/// Whether a checksum, the complement of the sum of all other bytes, holds.
fn is_sound(data: &[u8], at: usize) -> bool {
    let sum = |data: &[u8]| data.iter().fold(0u32, |sum, b| sum.wrapping_add(u32::from(*b)));
    let own = bytes::slice(data, at, 4).map_or(0, sum);
    bytes::u32_be(data, at) == Some(!sum(data).wrapping_sub(own))
}

/// Opens a disk that has a footer at its end, or a copy of it in front.
pub(super) fn open(
    source: &Arc<dyn ReadAt>,
    siblings: &dyn Siblings,
    depth: u32,
) -> Result<Option<Image>, ImageFault> {
    let mut faults = Vec::new();
    let end = source.size().checked_sub(SECTOR);
    let footer = match end.and_then(|at| Footer::read(&**source, at)) {
        Some(footer) => footer,
        None => {
            if read::array::<8>(&**source, 0).ok() != Some(*COOKIE) {
                return Ok(None);
            }
            let broken =
                || ImageFault::broken("a VHD of which the footer and its copy are damaged");
            faults.push("the footer is gone or damaged: its copy in front is used".to_owned());
            Footer::read(&**source, 0).ok_or_else(broken)?
        }
    };
    if footer.size > MAX_SIZE {
        return Err(ImageFault::broken(format!("a VHD of {} bytes", footer.size)));
    }
    let damage = Arc::new(Damage::default());
    let (bytes, kind): (Arc<dyn ReadAt>, _) = match footer.kind {
        2 => {
            let data = end.unwrap_or(0);
            if data < footer.size {
                let short = footer.size - data;
                faults.push(format!("{short} bytes of the disk are not in the image"));
            }
            let size = footer.size.min(data);
            (Arc::new(Window { bytes: source.clone(), start: 0, size }), "a fixed VHD image")
        }
        3 | 4 => {
            let parent = footer.kind == 4;
            let disk = Dynamic::open(source, &footer, siblings, depth, &damage, &mut faults)?;
            (
                Arc::new(disk),
                if parent { "a differencing VHD image" } else { "a dynamic VHD image" },
            )
        }
        kind => return Err(ImageFault::unsupported(format!("a VHD of type {kind}"))),
    };
    Ok(Some(Image { bytes, kind, damage, faults, digests: None }))
}

struct Dynamic {
    source: Arc<dyn ReadAt>,
    size: u64,
    block: u64,
    /// The sectors that the bitmap before a block's data takes.
    bitmap: u64,
    table: Vec<u8>,
    parent: Option<Arc<dyn ReadAt>>,
    damage: Arc<Damage>,
}

impl Dynamic {
    fn open(
        source: &Arc<dyn ReadAt>,
        footer: &Footer,
        siblings: &dyn Siblings,
        depth: u32,
        damage: &Arc<Damage>,
        faults: &mut Vec<String>,
    ) -> Result<Dynamic, ImageFault> {
        let header = read::table(&**source, footer.header, 1024, 1024, "the header of the VHD")?;
        if bytes::array(&header, 0) != Some(*b"cxsparse") {
            return Err(ImageFault::broken("the header of the VHD is damaged"));
        }
        if !is_sound(&header, 36) {
            faults.push("the header of the VHD has a wrong checksum".to_owned());
        }
        let number = |at| bytes::u32_be(&header, at).map_or(0, u64::from);
        let block = number(32);
        if !block.is_power_of_two() || !(SECTOR..=MAX_BLOCK).contains(&block) {
            return Err(ImageFault::broken(format!("a VHD with blocks of {block} bytes")));
        }
        let blocks = footer.size.div_ceil(block);
        if number(28) < blocks {
            faults.push("the table of blocks is of a smaller disk".to_owned());
        }
        let at = bytes::u64_be(&header, 16).unwrap_or(0);
        let len = blocks.min(number(28)) * 4;
        let table = read::table(&**source, at, len, MAX_TABLE, "the table of blocks")?;
        let parent =
            if footer.kind == 4 { Some(parent(&header, siblings, depth, faults)?) } else { None };
        Ok(Dynamic {
            source: source.clone(),
            size: footer.size,
            block,
            bitmap: (block / SECTOR / 8).div_ceil(SECTOR) * SECTOR,
            table,
            parent,
            damage: damage.clone(),
        })
    }

    /// Reads what the disk has from its parent, or zeros.
    fn below(&self, at: u64, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(parent) = &self.parent {
            let len = buf.len() as u64;
            let read = parent.read_at(at, buf);
            let n = read.map_err(|e| self.damage.add(at, len, &format!("of its parent, {e}")))?;
            if n > 0 {
                return Ok(n);
            }
        }
        buf.fill(0);
        Ok(buf.len())
    }
}

/// The parent of a differencing disk.
fn parent(
    header: &[u8],
    siblings: &dyn Siblings,
    depth: u32,
    faults: &mut Vec<String>,
) -> Result<Arc<dyn ReadAt>, ImageFault> {
    let name = bytes::slice(header, 64, 512).unwrap_or_default();
    let units = name.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    let name = String::from_utf16_lossy(&units);
    // Hyper-V writes the whole path here; the parent is looked for next to the image only.
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let Some(source) = sibling::find(siblings, name)? else {
        let what = format!("it needs its parent {name:?}, which is not next to it");
        return Err(ImageFault::Unsupported(what));
    };
    let id = source.size().checked_sub(SECTOR).and_then(|at| Footer::read(&*source, at));
    let id = id.or_else(|| Footer::read(&*source, 0)).map(|footer| footer.id);
    if id.is_none() || id != bytes::array(header, 40) {
        return Err(ImageFault::Broken(format!("{name} next to it is not its parent")));
    }
    let image = super::open_at_depth(&source, &Renamed { siblings, name }, depth + 1)?;
    let image = image.ok_or_else(|| ImageFault::Broken(format!("{name} is no image")))?;
    faults.extend(image.faults.iter().map(|fault| format!("{name}: {fault}")));
    Ok(image.bytes)
}

/// The same folder, seen from a sibling.
pub(super) struct Renamed<'s> {
    pub(super) siblings: &'s dyn Siblings,
    pub(super) name: &'s str,
}

impl Siblings for Renamed<'_> {
    fn own_name(&self) -> &str {
        self.name
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn ReadAt>> {
        self.siblings.open(name)
    }
}

impl ReadAt for Dynamic {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        read::spans(self.size, offset, buf, |at, buf| {
            let number = at / self.block;
            let inside = at % self.block;
            let buf = front(buf, self.block - inside);
            let entry = usize::try_from(number)
                .ok()
                .and_then(|n| bytes::u32_be(&self.table, n.checked_mul(4)?));
            let Some(entry) = entry else {
                let why = "it is not in the table of blocks";
                return Err(self.damage.add(number * self.block, self.block, why));
            };
            if entry == NOWHERE {
                return self.below(at, buf);
            }
            let start = u64::from(entry) * SECTOR;
            let buf = match &self.parent {
                None => buf,
                Some(_) => {
                    let (present, len) = match self.present(start, inside) {
                        Ok(present) => present,
                        Err(error) => {
                            let why = format!("its bitmap cannot be read: {error}");
                            return Err(self.damage.add(number * self.block, self.block, &why));
                        }
                    };
                    let buf = front(buf, len);
                    if !present {
                        return self.below(at, buf);
                    }
                    buf
                }
            };
            match self.source.read_at(start + self.bitmap + inside, buf) {
                Ok(0) => {
                    Err(self.damage.add(at, buf.len() as u64, "the image ends before this block"))
                }
                read => read,
            }
        })
    }

    fn zeros(&self, offset: u64) -> u64 {
        read::zeros(self.size, offset, |at| {
            let entry = usize::try_from(at / self.block).ok().and_then(|n| n.checked_mul(4));
            match entry.and_then(|at| bytes::u32_be(&self.table, at)) {
                Some(NOWHERE) => {
                    read::zeros_below(self.parent.as_ref(), at, self.block - at % self.block)
                }
                _ => 0,
            }
        })
    }
}

impl Dynamic {
    /// Whether a differencing disk has the sector at a place of a block itself, and for how many
    /// bytes it stays so.
    fn present(&self, block: u64, inside: u64) -> io::Result<(bool, u64)> {
        let sector = inside / SECTOR;
        // Eight sectors a byte, the first in its highest bit.
        let byte = read::array::<1>(&*self.source, block + sector / 8)?[0];
        let bit = |n: u64| byte >> (7 - n) & 1 != 0;
        let first = sector % 8;
        let same = (first..8).take_while(|n| bit(*n) == bit(first)).count() as u64;
        Ok((bit(first), same * SECTOR - inside % SECTOR))
    }
}
