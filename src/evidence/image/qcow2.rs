//! qcow2, the virtual disk of QEMU, versions 2 and 3.
//!
//! A table of tables says where each cluster of the disk is: stored, compressed (bare deflate or
//! zstd), zero, or in the backing file, which is opened next to the image only. With extended tables
//! each thirty-second of a cluster is allocated by itself (QEMU, `docs/interop/qcow2.rst`). The
//! numbers are big-endian.

use super::{
    Damage, Image, ImageFault, Siblings,
    blocks::{self, Cache},
    codec::{self, Inflater},
    read::{self, front},
    sibling,
    vhd::Renamed,
};
use crate::bytes::{self, ReadAt};
use std::{io, sync::Arc};

/// What an image begins with.
const MAGIC: &[u8; 4] = b"QFI\xfb";

/// The largest disk that is read.
const MAX_SIZE: u64 = 1 << 48;

/// The largest table of tables; QEMU's own limit.
const MAX_L1: u64 = 32 << 20;

/// The longest name of a backing file; the format's own limit.
const MAX_NAME: u64 = 1023;

/// Features that a reader has to know.
mod feature {
    pub(super) const DIRTY: u64 = 1;
    pub(super) const CORRUPT: u64 = 2;
    pub(super) const EXTERNAL: u64 = 4;
    pub(super) const COMPRESSION: u64 = 8;
    pub(super) const EXTENDED_L2: u64 = 16;
    pub(super) const KNOWN: u64 = DIRTY | CORRUPT | EXTERNAL | COMPRESSION | EXTENDED_L2;
}

/// The bits of an entry that are a place in the file.
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;

/// The bit of an entry that says that its cluster is compressed, and the one that it is zero.
const COMPRESSED: u64 = 1 << 62;
const ZERO: u64 = 1;

/// Whether a file begins like one.
pub(super) fn is(start: &[u8]) -> bool {
    start.starts_with(MAGIC)
}

struct Qcow2 {
    source: Arc<dyn ReadAt>,
    size: u64,
    cluster_bits: u32,
    /// Bytes an entry of a table: 16 with extended tables.
    entry: u64,
    l1: Vec<u8>,
    has_zero_bit: bool,
    zstd: bool,
    tables: Cache,
    clusters: Cache,
    inflater: Inflater,
    backing: Option<Arc<dyn ReadAt>>,
    damage: Arc<Damage>,
}

/// Where a part of a cluster is.
enum Place {
    /// In the file from here on.
    At(u64),
    /// Compressed, by this entry.
    Packed(u64),
    Zero,
    /// In the backing file, if there is one.
    Below,
}

/// Opens an image.
pub(super) fn open(
    source: &Arc<dyn ReadAt>,
    siblings: &dyn Siblings,
    depth: u32,
) -> Result<Image, ImageFault> {
    let broken = |what: String| ImageFault::Broken(format!("a qcow2 image {what}"));
    // The header of version 2 has 72 bytes, the rest reads as it is there.
    let mut header = [0; 112];
    let len = read::full(&**source, 0, &mut header)?;
    if len < 72 {
        return Err(broken("that is cut".to_owned()));
    }
    let number = |at| bytes::u32_be(&header, at).unwrap_or(0);
    let wide = |at| bytes::u64_be(&header, at).unwrap_or(0);
    let version = number(4);
    if !matches!(version, 2 | 3) {
        return Err(ImageFault::unsupported(format!("a qcow image of version {version}")));
    }
    let features = if version == 3 { wide(72) } else { 0 };
    if features & !feature::KNOWN != 0 {
        return Err(ImageFault::unsupported(format!("a qcow2 image with features {features:#x}")));
    }
    if features & feature::EXTERNAL != 0 {
        return Err(ImageFault::unsupported("a qcow2 image whose data is in another file"));
    }
    if number(32) != 0 {
        return Err(ImageFault::unsupported("an encrypted qcow2 image: decrypt it with qemu-img"));
    }
    let cluster_bits = number(20);
    if !(9..=21).contains(&cluster_bits) {
        return Err(broken(format!("with clusters of 2^{cluster_bits} bytes")));
    }
    let extended = features & feature::EXTENDED_L2 != 0;
    if extended && cluster_bits < 14 {
        return Err(broken("with extended tables and clusters too small for them".to_owned()));
    }
    let mut faults = Vec::new();
    if features & feature::CORRUPT != 0 {
        faults.push("QEMU marked it as corrupt".to_owned());
    }
    let zstd = match (features & feature::COMPRESSION != 0, header[104]) {
        (false, _) | (true, 0) => false,
        (true, 1) => true,
        (true, n) => {
            return Err(ImageFault::unsupported(format!("a qcow2 image compressed by method {n}")));
        }
    };
    let size = wide(24);
    if size > MAX_SIZE {
        return Err(broken(format!("of {size} bytes")));
    }
    let cluster = 1u64 << cluster_bits;
    let entry = if extended { 16 } else { 8 };
    let needed = size.div_ceil(cluster).div_ceil(cluster / entry) * 8;
    if u64::from(number(36)) * 8 < needed {
        faults.push("its table of tables is of a smaller disk".to_owned());
    }
    let len = needed.min(u64::from(number(36)) * 8);
    let l1 = read::table(&**source, wide(40), len, MAX_L1, "the table of tables")?;
    let damage = Arc::new(Damage::default());
    let backing = backing(source, wide(8), number(16).into(), siblings, depth, &mut faults)?;
    let disk = Qcow2 {
        source: source.clone(),
        size,
        cluster_bits,
        entry,
        l1,
        has_zero_bit: version == 3 && !extended,
        zstd,
        tables: Cache::new(cluster),
        clusters: Cache::new(cluster),
        inflater: Inflater::deflate(),
        backing,
        damage: damage.clone(),
    };
    Ok(Image { bytes: Arc::new(disk), kind: "a qcow2 image", damage, faults, digests: None })
}

/// The disk that the image stands on.
fn backing(
    source: &Arc<dyn ReadAt>,
    at: u64,
    len: u64,
    siblings: &dyn Siblings,
    depth: u32,
    faults: &mut Vec<String>,
) -> Result<Option<Arc<dyn ReadAt>>, ImageFault> {
    if at == 0 || len == 0 {
        return Ok(None);
    }
    let name = read::table(&**source, at, len, MAX_NAME, "the name of the backing file")?;
    let name = String::from_utf8_lossy(&name);
    let Some(bytes) = sibling::find(siblings, &name)? else {
        let what = format!("it needs its backing file {name:?}, which is not next to it");
        return Err(ImageFault::Unsupported(what));
    };
    // What is no container is raw.
    let image = super::open_at_depth(&bytes, &Renamed { siblings, name: &name }, depth + 1)?;
    Ok(Some(match image {
        Some(image) => {
            faults.extend(image.faults.iter().map(|fault| format!("{name}: {fault}")));
            image.bytes
        }
        None => bytes,
    }))
}

impl Qcow2 {
    /// Where the bytes from `at` on are, and for how many it stays so.
    fn place(&self, at: u64) -> io::Result<(Place, u64)> {
        let cluster = 1u64 << self.cluster_bits;
        let inside = at & (cluster - 1);
        let per_table = cluster / self.entry;
        let number = at >> self.cluster_bits;
        let (table, index) = (number / per_table, number % per_table);
        let damaged = |why: &str| {
            let len = per_table * cluster;
            self.damage.add(table * len, len, why)
        };
        let l1 = usize::try_from(table).ok().and_then(|n| n.checked_mul(8));
        let Some(l1) = l1.and_then(|at| bytes::u64_be(&self.l1, at)) else {
            return Err(damaged("it is not in the table of tables"));
        };
        if l1 & OFFSET == 0 {
            return Ok((Place::Below, cluster - inside));
        }
        let entries = self.tables.get(table, || {
            let mut entries = vec![0; 1 << self.cluster_bits];
            read::exact(&*self.source, l1 & OFFSET, &mut entries)
                .map(|()| entries)
                .map_err(|error| damaged(&format!("its table of clusters cannot be read: {error}")))
        })?;
        let index = usize::try_from(index * self.entry).unwrap_or(usize::MAX);
        let entry = bytes::u64_be(&entries, index).unwrap_or(0);
        if entry & COMPRESSED != 0 {
            return Ok((Place::Packed(entry), cluster - inside));
        }
        if self.entry == 16 {
            let map = bytes::u64_be(&entries, index.saturating_add(8)).unwrap_or(0);
            return Ok(self.part(entry, map, inside));
        }
        let place = if self.has_zero_bit && entry & ZERO != 0 {
            Place::Zero
        } else if entry & OFFSET == 0 {
            Place::Below
        } else {
            Place::At((entry & OFFSET) + inside)
        };
        Ok((place, cluster - inside))
    }

    /// Where a part of a cluster is by its bits of the map: allocated in the lower half, zero in the
    /// upper.
    fn part(&self, entry: u64, map: u64, inside: u64) -> (Place, u64) {
        let part = 1u64 << (self.cluster_bits - 5);
        let bits = |n: u64| (map >> n & 1, map >> (n + 32) & 1);
        let first = inside / part;
        let same = (first..32).take_while(|n| bits(*n) == bits(first)).count() as u64;
        let place = match bits(first) {
            (_, 1) => Place::Zero,
            (1, _) => Place::At((entry & OFFSET) + inside),
            _ => Place::Below,
        };
        (place, same * part - inside % part)
    }

    /// Decompresses the cluster from `start` on.
    fn decode(&self, start: u64, entry: u64, out: &mut [u8]) -> io::Result<()> {
        let damaged = |why: &str| self.damage.add(start, 1 << self.cluster_bits, why);
        // The upper bits are how many further sectors it reaches into.
        let bits = 62 - (self.cluster_bits - 8);
        let at = entry & ((1 << bits) - 1);
        let sectors = ((entry & (COMPRESSED - 1)) >> bits) + 1;
        let len = sectors * 512 - (at & 511);
        let mut packed = vec![0; usize::try_from(len).unwrap_or(0)];
        // The last one may reach beyond the end of the file.
        let len = match read::full(&*self.source, at, &mut packed) {
            Ok(len) => len,
            Err(error) => return Err(damaged(&format!("its cluster cannot be read: {error}"))),
        };
        let packed = packed.get(..len).unwrap_or_default();
        let done = if self.zstd {
            codec::zstd(packed, out)
        } else {
            self.inflater.decode_front(packed, out)
        };
        if done == Some(out.len()) {
            return Ok(());
        }
        Err(damaged("its compressed cluster is damaged"))
    }
}

impl ReadAt for Qcow2 {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let cluster = 1u64 << self.cluster_bits;
        read::spans(self.size, offset, buf, |at, buf| {
            let (place, len) = self.place(at)?;
            let buf = front(buf, len);
            let inside = at & (cluster - 1);
            match place {
                Place::At(place) => match self.source.read_at(place, buf) {
                    Ok(0) => Err(self.damage.add(at, len, "the image ends before this cluster")),
                    read => read,
                },
                Place::Packed(entry) if inside == 0 && buf.len() as u64 == cluster => {
                    self.decode(at, entry, buf)?;
                    Ok(buf.len())
                }
                Place::Packed(entry) => {
                    let start = at - inside;
                    let block = self.clusters.get(at >> self.cluster_bits, || {
                        let mut block = vec![0; 1 << self.cluster_bits];
                        self.decode(start, entry, &mut block).map(|()| block)
                    })?;
                    Ok(blocks::copy(&block, inside, buf))
                }
                Place::Below if self.backing.is_some() => {
                    let len = buf.len() as u64;
                    let below = self.backing.as_ref().map_or(Ok(0), |b| b.read_at(at, buf));
                    let n = below.map_err(|error| {
                        self.damage.add(at, len, &format!("of its backing file, {error}"))
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
        read::zeros(self.size, offset, |at| match self.place(at) {
            Ok((Place::Zero, len)) => len,
            Ok((Place::Below, len)) => read::zeros_below(self.backing.as_ref(), at, len),
            Ok((Place::At(_) | Place::Packed(_), _)) | Err(_) => 0,
        })
    }
}
