//! A sparse extent of a VMDK: grains, tables of grains and a directory of tables.
//!
//! A grain is stored as it is or, in an extent made for streaming, compressed with zlib behind a
//! header that repeats where on the disk it belongs. Such an extent has its real header near its end,
//! since the directory is written last (VMware, "Virtual Disk Format 5.0").

use super::{
    Damage, ImageFault,
    blocks::{self, Cache},
    codec::Inflater,
    read::{self, front},
    vmdk::{MAX_SIZE, SECTOR},
};
use crate::bytes::{self, ReadAt};
use std::{io, sync::Arc};

/// What an extent begins with.
pub(super) const MAGIC: &[u8; 4] = b"KDMV";

/// Flags of the header.
const ZERO_GRAINS: u32 = 1 << 2;
const COMPRESSED: u32 = 1 << 16;
const MARKERS: u32 = 1 << 17;

/// The place of a directory that stands at the end.
const AT_END: u64 = u64::MAX;

/// The largest grain: 64 KiB is usual, 128 sectors.
const MAX_GRAIN: u64 = 4 << 20;

/// How many entries a table has at most; 512 is usual.
const MAX_TABLE: u64 = 1 << 16;

/// The largest directory: of the largest disk in tables of 512 grains of 4 KiB.
const MAX_DIRECTORY: u64 = MAX_SIZE / (512 * 4096) * 4;

/// How much larger than a grain its compressed form may be.
const SLACK: u64 = 64 << 10;

/// A sparse extent.
pub(super) struct Sparse {
    source: Arc<dyn ReadAt>,
    /// Where on the disk it begins.
    start: u64,
    size: u64,
    grain: u64,
    /// Entries a table.
    table: u64,
    /// Where the tables are, in sectors.
    directory: Vec<u8>,
    flags: u32,
    tables: Cache,
    grains: Cache,
    inflater: Inflater,
    parent: Option<Arc<dyn ReadAt>>,
    damage: Arc<Damage>,
}

/// Where a grain is.
enum Place {
    /// From this sector of the file.
    At(u64),
    Zero,
    /// In the parent, if there is one.
    Below,
}

impl Sparse {
    /// Opens an extent that begins at `start` of the disk, and gives the text in it.
    pub(super) fn open(
        source: Arc<dyn ReadAt>,
        start: u64,
        damage: &Arc<Damage>,
    ) -> Result<(Sparse, Option<Vec<u8>>), ImageFault> {
        let broken = |what: &str| ImageFault::Broken(format!("a VMDK extent {what}"));
        let mut header: [u8; 512] = read::array(&*source, 0)?;
        let text = {
            let at = bytes::u64(&header, 28).unwrap_or(0).saturating_mul(SECTOR);
            let len = bytes::u64(&header, 36).unwrap_or(0).saturating_mul(SECTOR);
            (at, len)
        };
        if bytes::u64(&header, 56) == Some(AT_END) {
            // A footer and a marker of the end, a sector each.
            let at = source.size().checked_sub(2 * SECTOR).ok_or_else(|| broken("that is cut"))?;
            header = read::array(&*source, at)?;
            if header.get(..4) != Some(MAGIC) {
                return Err(broken("that is cut: it should end with a header and does not"));
            }
        }
        let number = |at| bytes::u64(&header, at).unwrap_or(0);
        if header.get(..4) != Some(MAGIC) {
            return Err(broken("without a header"));
        }
        let size = number(12).checked_mul(SECTOR).filter(|size| *size <= MAX_SIZE);
        let size = size.ok_or_else(|| broken("larger than a disk can be"))?;
        let grain = number(20).saturating_mul(SECTOR);
        let table = bytes::u32(&header, 44).map_or(0, u64::from);
        if !grain.is_power_of_two() || !(SECTOR..=MAX_GRAIN).contains(&grain) {
            return Err(broken(&format!("with grains of {grain} bytes")));
        }
        if !(1..=MAX_TABLE).contains(&table) {
            return Err(broken(&format!("with tables of {table} grains")));
        }
        let flags = bytes::u32(&header, 8).unwrap_or(0);
        let method = bytes::u16(&header, 77).unwrap_or(0);
        if flags & COMPRESSED != 0 && method != 1 {
            return Err(ImageFault::unsupported(format!("a VMDK compressed by method {method}")));
        }
        let entries = size.div_ceil(grain).div_ceil(table);
        let at = number(56).checked_mul(SECTOR).ok_or_else(|| broken("without a directory"))?;
        let what = "the directory of the VMDK extent";
        let directory = read::table(&*source, at, entries * 4, MAX_DIRECTORY, what)?;
        let text = match text {
            (0, _) | (_, 0) => None,
            (at, len) => {
                Some(read::table(&*source, at, len, 1 << 20, "the description of the disk")?)
            }
        };
        let sparse = Sparse {
            source,
            start,
            size,
            grain,
            table,
            directory,
            flags,
            tables: Cache::new(table * 4),
            grains: Cache::new(grain),
            inflater: Inflater::zlib(),
            parent: None,
            damage: damage.clone(),
        };
        Ok((sparse, text))
    }

    /// The extent over what it has not itself.
    pub(super) fn over(self, parent: Arc<dyn ReadAt>) -> Sparse {
        Sparse { parent: Some(parent), ..self }
    }

    fn place(&self, grain: u64) -> io::Result<Place> {
        let (table, at) = (grain / self.table, grain % self.table);
        let damaged = |why: &str| {
            let len = self.table * self.grain;
            self.damage.add(self.start + table * len, len, why)
        };
        let sector = usize::try_from(table).ok().and_then(|n| n.checked_mul(4));
        let Some(sector) = sector.and_then(|at| bytes::u32(&self.directory, at)) else {
            return Err(damaged("it is not in the directory of the extent"));
        };
        if sector == 0 {
            return Ok(Place::Below);
        }
        let entries = self.tables.get(table, || {
            let mut entries = vec![0; usize::try_from(self.table * 4).unwrap_or(0)];
            read::exact(&*self.source, u64::from(sector) * SECTOR, &mut entries)
                .map(|()| entries)
                .map_err(|error| damaged(&format!("its table of grains cannot be read: {error}")))
        })?;
        let at = usize::try_from(at * 4).unwrap_or(usize::MAX);
        Ok(match bytes::u32(&entries, at).unwrap_or(0) {
            0 => Place::Below,
            1 if self.flags & ZERO_GRAINS != 0 => Place::Zero,
            sector => Place::At(sector.into()),
        })
    }

    fn decode(&self, grain: u64, sector: u64, out: &mut [u8]) -> io::Result<()> {
        let damaged = |why: &str| self.damage.add(self.start + grain * self.grain, self.grain, why);
        let at = sector * SECTOR;
        let header = if self.flags & MARKERS != 0 { 12 } else { 4 };
        let mut marker = [0; 12];
        let marker = front(&mut marker, header);
        if let Err(error) = read::exact(&*self.source, at, marker) {
            return Err(damaged(&format!("its grain cannot be read: {error}")));
        }
        if header == 12 && bytes::u64(marker, 0) != Some(grain * (self.grain / SECTOR)) {
            return Err(damaged("its grain is of another place"));
        }
        let len = bytes::u32(marker, marker.len().saturating_sub(4)).map_or(0, u64::from);
        if len > self.grain + SLACK {
            return Err(damaged("its grain is damaged"));
        }
        let mut packed = vec![0; usize::try_from(len).unwrap_or(0)];
        if let Err(error) = read::exact(&*self.source, at + header, &mut packed) {
            return Err(damaged(&format!("its grain cannot be read: {error}")));
        }
        // The disk may end within its last grain.
        let wanted = self.grain.min(self.size - grain * self.grain);
        match self.inflater.decode(&packed, out) {
            Some(len) if len as u64 >= wanted => Ok(()),
            _ => Err(damaged("its grain is damaged")),
        }
    }
}

impl ReadAt for Sparse {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        read::spans(self.size, offset, buf, |at, buf| {
            let grain = at / self.grain;
            let inside = at % self.grain;
            let buf = front(buf, self.grain - inside);
            let len = buf.len() as u64;
            match self.place(grain)? {
                Place::At(sector) if self.flags & COMPRESSED == 0 => {
                    match self.source.read_at(sector * SECTOR + inside, buf) {
                        Ok(0) => {
                            let why = "the image ends before this grain";
                            Err(self.damage.add(self.start + at, self.grain - inside, why))
                        }
                        read => read,
                    }
                }
                Place::At(sector) if inside == 0 && len == self.grain => {
                    self.decode(grain, sector, buf)?;
                    Ok(buf.len())
                }
                Place::At(sector) => {
                    let block = self.grains.get(grain, || {
                        let mut block = vec![0; usize::try_from(self.grain).unwrap_or(0)];
                        self.decode(grain, sector, &mut block).map(|()| block)
                    })?;
                    Ok(blocks::copy(&block, inside, buf))
                }
                Place::Below if self.parent.is_some() => {
                    let parent = self.parent.as_ref().map_or(Ok(0), |p| p.read_at(at, buf));
                    let n = parent.map_err(|error| {
                        let why = format!("of its parent, {error}");
                        self.damage.add(self.start + at, len, &why)
                    })?;
                    if n == 0 {
                        buf.fill(0);
                        return Ok(buf.len());
                    }
                    Ok(n)
                }
                Place::Below | Place::Zero => {
                    buf.fill(0);
                    Ok(buf.len())
                }
            }
        })
    }

    fn zeros(&self, offset: u64) -> u64 {
        read::zeros(self.size, offset, |at| {
            let len = self.grain - at % self.grain;
            match self.place(at / self.grain) {
                Ok(Place::Zero) => len,
                Ok(Place::Below) => read::zeros_below(self.parent.as_ref(), at, len),
                Ok(Place::At(_)) | Err(_) => 0,
            }
        })
    }
}
