//! Members of a zip archive that its directory does not tell of: found by the header that stands in
//! front of each.
//!
//! The directory stands at the end, so an upload that was cut off has none. Every member has a header
//! of its own, and its content a length: that in the header; or, where it was not known when the
//! header was written, the end of what was deflated, or the place behind which a descriptor gives the
//! distance to it. From one member the next is reached by these, so what is packed in a member, even
//! as it is, is not taken for members of this archive. Only where no length leads on is searched for
//! the next header that makes sense.
//!
//! Of what is found a directory is made, for the reader that reads all others: encrypted members, and
//! those packed in other ways, need nothing of their own.
//!
//! Invariants:
//! - Each byte is searched once. What is unpacked to find where a member ends is bounded by what may
//!   come out of the archive at all ([`most`]).
//! - How many members there are is bounded ([`MEMBERS`], [`NAMES`]); that there are more is told.

use super::inside::most;
use super::sniff::LOG_MAGIC;
use super::window::Cursor;
use super::zip_headers::{
    self as headers, CENTRAL, DEFLATED, DESCRIPTOR, ENCRYPTED, END, END_64, LOCAL, LOCATOR_64,
    Local, STORED,
};
use crate::bytes::{self, ReadAt};
use flate2::{Decompress, FlushDecompress, Status};
use memchr::memmem;
use std::{
    collections::HashMap,
    io::{self, Read as _, Seek as _, SeekFrom},
    ops::Range,
    sync::Arc,
};

/// How many members are looked for: no collection has more, and each takes memory.
const MEMBERS: usize = 1 << 20;

/// How long all their names may be together.
const NAMES: usize = 64 << 20;

/// How much is searched at a time, at first and at the most: mostly what is looked for is near.
const FIRST: usize = 4 << 10;
const BLOCK: usize = 1 << 20;

/// How much is unpacked at a time.
const OUTPUT: usize = 64 << 10;

/// What looking at a place costs of what may be done, in bytes that are unpacked: it is read there.
const CANDIDATE: u64 = 1 << 10;

/// What was found.
#[derive(Default)]
pub(super) struct Salvaged {
    members: Vec<Local>,
    /// What is wrong with them.
    pub(super) faults: Vec<String>,
}

impl Salvaged {
    /// How many members there are.
    pub(super) fn members(&self) -> usize {
        self.members.len()
    }

    /// The archive with a directory of these members behind it.
    pub(super) fn archive(mut self, bytes: Arc<dyn ReadAt>) -> Arc<dyn ReadAt> {
        let mut tail = Vec::new();
        // One of the same name would take the other's place in a directory.
        let mut names: HashMap<Vec<u8>, u64> = HashMap::new();
        for member in &mut self.members {
            while let Some(n) = names.get_mut(&member.name) {
                *n += 1;
                let number = format!(" ({n})");
                member.name.extend_from_slice(number.as_bytes());
            }
            names.insert(member.name.clone(), 1);
            member.write(&mut tail);
        }
        headers::end(&mut tail, bytes.size(), self.members.len());
        Arc::new(Followed { bytes, tail })
    }
}

/// Bytes and what follows them.
struct Followed {
    bytes: Arc<dyn ReadAt>,
    tail: Vec<u8>,
}

impl ReadAt for Followed {
    fn size(&self) -> u64 {
        self.bytes.size().saturating_add(self.tail.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let size = self.bytes.size();
        match offset.checked_sub(size) {
            Some(behind) => self.tail.read_at(behind, buf),
            None => {
                let left = usize::try_from(size - offset).unwrap_or(usize::MAX).min(buf.len());
                buf.get_mut(..left).map_or(Ok(0), |buf| self.bytes.read_at(offset, buf))
            }
        }
    }
}

/// Looks for members in these ranges of an archive, which are in order.
pub(super) fn salvage(bytes: &Arc<dyn ReadAt>, ranges: &[Range<u64>]) -> Salvaged {
    let mut search = Search {
        bytes: Arc::clone(bytes),
        end: 0,
        names: 0,
        budget: most(bytes.size()),
        found: Salvaged::default(),
        full: false,
        output: Vec::new(),
    };
    for range in ranges {
        search.end = range.end.min(bytes.size());
        if let Err(error) = search.range(range.start) {
            search.found.faults.push(format!("it cannot be read: {error}"));
        }
    }
    search.found
}

struct Search {
    bytes: Arc<dyn ReadAt>,
    /// Of what is searched.
    end: u64,
    names: usize,
    /// How much may still be unpacked.
    budget: u64,
    found: Salvaged,
    /// Whether nothing more is looked for.
    full: bool,
    /// Where something is unpacked to.
    output: Vec<u8>,
}

/// How far a member reaches.
#[derive(Clone, Copy)]
struct Extent {
    packed: u64,
    size: u64,
    crc: u32,
    /// Where what comes behind it begins, its descriptor aside.
    next: u64,
    fault: Option<&'static str>,
}

const CUT: &str = "is cut off";
const DAMAGED: &str = "is damaged";

impl Search {
    fn range(&mut self, start: u64) -> io::Result<()> {
        let mut at = start;
        while at < self.end && !self.full && self.spend(CANDIDATE) {
            let next = match self.signature(at)? {
                Some(LOCAL) => match Local::read(&*self.bytes, at, false)? {
                    Some(local) if self.is_sound(&local) => self.member(local)?,
                    _ => self.scan(at + 1)?,
                },
                Some(DESCRIPTOR) => match self.behind_descriptor(at)? {
                    Some(next) => next,
                    None => self.scan(at + 1)?,
                },
                Some(CENTRAL) => {
                    let fixed = headers::read::<46>(&*self.bytes, at)?.unwrap_or([0; 46]);
                    let length = |at| u64::from(bytes::u16(&fixed, at).unwrap_or(0));
                    at + 46 + length(28) + length(30) + length(32)
                }
                Some(END_64) => {
                    let size = headers::read::<12>(&*self.bytes, at)?;
                    let size = size.and_then(|fixed| bytes::u64(&fixed, 4)).unwrap_or(0);
                    at.saturating_add(12).saturating_add(size.min(1 << 16))
                }
                Some(LOCATOR_64) => at + 20,
                Some(END) => {
                    let fixed = headers::read::<22>(&*self.bytes, at)?.unwrap_or([0; 22]);
                    at + 22 + u64::from(bytes::u16(&fixed, 20).unwrap_or(0))
                }
                _ => self.scan(at)?,
            };
            at = next.max(at + 1);
        }
        Ok(())
    }

    fn signature(&self, at: u64) -> io::Result<Option<[u8; 4]>> {
        if at.saturating_add(4) > self.end { Ok(None) } else { headers::read(&*self.bytes, at) }
    }

    /// Whether something of an archive begins here, or it ends.
    fn leads_on(&self, at: u64) -> io::Result<bool> {
        Ok(at == self.end || self.signature(at)?.is_some_and(headers::is_signature))
    }

    fn is_sound(&self, local: &Local) -> bool {
        local.content <= self.end
    }

    /// Where what comes behind a descriptor begins, if one is here and something does (4.3.9): the
    /// checksum and both sizes, of 32 or 64 bits, maybe behind a signature.
    fn behind_descriptor(&self, at: u64) -> io::Result<Option<u64>> {
        let signed = self.signature(at)? == Some(DESCRIPTOR);
        for length in if signed { [16, 24] } else { [12, 20] } {
            if self.leads_on(at + length)? {
                return Ok(Some(at + length));
            }
        }
        Ok(None)
    }

    /// Notes a member; gives where the next thing begins.
    fn member(&mut self, mut local: Local) -> io::Result<u64> {
        let extent = self.extent(&local)?;
        let name = String::from_utf8_lossy(&local.name).into_owned();
        if let Some(fault) = extent.fault {
            self.found.faults.push(format!("{name} {fault}"));
        }
        (local.packed, local.size, local.crc) = (extent.packed, extent.size, extent.crc);
        self.names = self.names.saturating_add(local.name.len());
        if self.found.members.len() >= MEMBERS || self.names > NAMES {
            self.stop(&format!("has more than {MEMBERS} members"));
            return Ok(self.end);
        }
        self.found.members.push(local);
        Ok(extent.next)
    }

    fn stop(&mut self, why: &str) {
        self.full = true;
        self.found.faults.push(format!("{why}: what comes behind was not looked for"));
    }

    fn extent(&mut self, local: &Local) -> io::Result<Extent> {
        let left = self.end - local.content;
        let known = Extent {
            packed: local.packed.min(left),
            size: local.size,
            crc: local.crc,
            next: local.content.saturating_add(local.packed),
            fault: None,
        };
        let plain = local.flags & ENCRYPTED == 0;
        if !local.is_open() {
            let behind = known.next;
            if behind <= self.end
                && (self.leads_on(behind)? || self.behind_descriptor(behind)?.is_some())
            {
                return Ok(known);
            }
            if plain && local.method == STORED && behind <= self.end && self.has_crc(local)? {
                return Ok(known);
            }
        }
        match local.method {
            DEFLATED if plain => self.deflated(local, known),
            _ if local.is_open() => self.described(local),
            _ => self.misled(local, known),
        }
    }

    /// Something whose length leads nowhere: the archive is cut off, or that length is damaged, or what
    /// stands behind it is.
    fn misled(&mut self, local: &Local, known: Extent) -> io::Result<Extent> {
        let stored = local.method == STORED && local.flags & ENCRYPTED == 0;
        // Archives and disks have headers in them that are not of this archive.
        let opaque = !stored || {
            let start = headers::read(&*self.bytes, local.content)?;
            start.is_some_and(|start: [u8; 8]| start == *LOG_MAGIC)
        };
        let cut = known.next > self.end;
        let header = if opaque || !cut { self.scan(local.content)? } else { self.end };
        let (next, fault) = match header {
            header if header < known.next.min(self.end) => (header, DAMAGED),
            _ if cut => (self.end, CUT),
            _ => (known.next, DAMAGED),
        };
        let packed = next - local.content;
        let size = if stored { packed } else { local.size };
        Ok(Extent { packed, size, next, fault: Some(fault), ..known })
    }

    /// Whether the content of something that is stored has its checksum.
    fn has_crc(&self, local: &Local) -> io::Result<bool> {
        let mut from = Cursor::new(Arc::clone(&self.bytes));
        from.seek(SeekFrom::Start(local.content))?;
        let mut left = local.packed;
        let mut crc = crc32fast::Hasher::new();
        let mut block = vec![0; BLOCK];
        while left > 0 {
            let n = BLOCK.min(usize::try_from(left).unwrap_or(BLOCK));
            let Some(part) = block.get_mut(..n) else { break };
            from.read_exact(part)?;
            crc.update(part);
            left -= n as u64;
        }
        Ok(crc.finalize() == local.crc)
    }

    /// Something that is deflated ends where its stream does.
    fn deflated(&mut self, local: &Local, known: Extent) -> io::Result<Extent> {
        let mut from = Cursor::new(Arc::clone(&self.bytes));
        from.seek(SeekFrom::Start(local.content))?;
        let mut output = std::mem::take(&mut self.output);
        output.resize(OUTPUT, 0);
        let extent = self.inflated(local, known, &mut from, &mut output);
        self.output = output;
        extent
    }

    fn inflated(
        &mut self,
        local: &Local,
        known: Extent,
        from: &mut Cursor,
        output: &mut [u8],
    ) -> io::Result<Extent> {
        let mut inflate = Decompress::new(false);
        let mut input = vec![0; FIRST];
        let mut crc = crc32fast::Hasher::new();
        let mut at = local.content;
        loop {
            let n = input.len().min(usize::try_from(self.end - at).unwrap_or(BLOCK));
            let n = from.read(input.get_mut(..n).unwrap_or(&mut []))?;
            let mut rest = input.get(..n).unwrap_or(&[]);
            at += n as u64;
            loop {
                let (took, made) = (inflate.total_in(), inflate.total_out());
                let status = inflate.decompress(rest, output, FlushDecompress::None);
                let (took, made) = (inflate.total_in() - took, inflate.total_out() - made);
                let made = usize::try_from(made).unwrap_or(usize::MAX);
                crc.update(output.get(..made).unwrap_or(&[]));
                rest = rest.get(usize::try_from(took).unwrap_or(usize::MAX)..).unwrap_or(&[]);
                if !self.spend(took.saturating_add(made as u64)) {
                    return Ok(Extent { next: self.end, ..known });
                }
                let (packed, all) = (inflate.total_in(), inflate.total_out());
                match status {
                    Ok(Status::StreamEnd) => {
                        let next = local.content + packed;
                        let (crc, fault) = self.checked(local, next, crc.finalize())?;
                        return Ok(Extent { packed, size: all, crc, next, fault });
                    }
                    Ok(_) if took > 0 || made > 0 => {}
                    // It wants more.
                    Ok(_) if rest.is_empty() && n > 0 => {
                        input.resize(BLOCK.min(input.len() * 2), 0);
                        break;
                    }
                    Ok(_) => {
                        let (packed, crc) = (self.end - local.content, local.crc);
                        let (next, fault) = (self.end, Some(CUT));
                        return Ok(Extent { packed, size: all, crc, next, fault });
                    }
                    Err(_) => {
                        let next = self.scan(local.content)?;
                        let (packed, crc) = (next - local.content, local.crc);
                        let fault = Some(DAMAGED);
                        return Ok(Extent { packed, size: all, crc, next, fault });
                    }
                }
            }
        }
    }

    /// The checksum that something should have, as its header or descriptor says, and whether it has.
    fn checked(
        &self,
        local: &Local,
        behind: u64,
        crc: u32,
    ) -> io::Result<(u32, Option<&'static str>)> {
        let want = if local.is_open() {
            let signed = self.signature(behind)? == Some(DESCRIPTOR);
            let at = behind + if signed { 4 } else { 0 };
            if self.behind_descriptor(behind)?.is_none() {
                return Ok((crc, None));
            }
            headers::read::<4>(&*self.bytes, at)?.map_or(crc, u32::from_le_bytes)
        } else {
            local.crc
        };
        Ok((want, (want != crc).then_some(DAMAGED)))
    }

    /// Something whose length stands behind it: where a descriptor gives the distance to its header.
    fn described(&mut self, local: &Local) -> io::Result<Extent> {
        let mut hits = Hits::new(local.content, b"PK");
        while let Some(hit) = hits.next(self)? {
            if !self.spend(CANDIDATE) {
                break;
            }
            // Behind a signature; or without one, in front of what follows.
            let places = match self.signature(hit)? {
                Some(DESCRIPTOR) => [(Some(hit), 4, 4), (Some(hit), 4, 8)],
                Some(signature) if headers::is_signature(signature) => {
                    [(hit.checked_sub(12), 0, 4), (hit.checked_sub(20), 0, 8)]
                }
                _ => continue,
            };
            for (end, lead, width) in places {
                let Some(end) = end else { continue };
                if let Some(extent) = self.described_by(local, end, end + lead, width)? {
                    return Ok(extent);
                }
            }
        }
        let packed = self.end - local.content;
        Ok(Extent { packed, size: packed, crc: local.crc, next: self.end, fault: Some(CUT) })
    }

    /// The member that ends at `end`, if the fields of a descriptor there tell of it.
    fn described_by(
        &self,
        local: &Local,
        end: u64,
        fields: u64,
        width: usize,
    ) -> io::Result<Option<Extent>> {
        let Some(packed) = end.checked_sub(local.content) else { return Ok(None) };
        let mut told = [0; 20];
        let told = told.get_mut(..4 + 2 * width).unwrap_or_default();
        if bytes::read_full(&*self.bytes, fields, told)? < told.len() {
            return Ok(None);
        }
        let next = fields + told.len() as u64;
        let extent = describes(told, width, packed, next, local);
        Ok(if extent.is_some() && self.leads_on(next)? { extent } else { None })
    }

    /// Takes from what may be done; whether there was as much.
    fn spend(&mut self, cost: u64) -> bool {
        self.budget = self.budget.saturating_sub(cost);
        if self.budget == 0 && !self.full {
            self.stop("looking for members takes more than the limit");
        }
        self.budget > 0
    }

    /// The first place from here on where a header stands that makes sense, or the end.
    fn scan(&mut self, from: u64) -> io::Result<u64> {
        let mut hits = Hits::new(from, &LOCAL);
        while let Some(hit) = hits.next(self)? {
            if !self.spend(CANDIDATE) {
                break;
            }
            let local = Local::read(&*self.bytes, hit, true)?;
            if local.is_some_and(|local| self.is_sound(&local)) {
                return Ok(hit);
            }
        }
        Ok(self.end)
    }
}

/// Places where certain bytes stand, one after the other.
struct Hits<'n> {
    finder: memmem::Finder<'n>,
    block: Vec<u8>,
    /// Where the block stands, and from where on in it is searched.
    at: u64,
    from: usize,
    size: usize,
}

impl<'n> Hits<'n> {
    fn new(at: u64, needle: &'n [u8]) -> Hits<'n> {
        Hits { finder: memmem::Finder::new(needle), block: Vec::new(), at, from: 0, size: FIRST }
    }

    fn next(&mut self, search: &Search) -> io::Result<Option<u64>> {
        loop {
            let rest = self.block.get(self.from..).unwrap_or(&[]);
            if let Some(found) = self.finder.find(rest) {
                let hit = self.from + found;
                self.from = hit + 1;
                return Ok(Some(self.at + hit as u64));
            }
            // A hit may reach over the end of a block.
            let overlap = self.finder.needle().len().saturating_sub(1).min(rest.len());
            self.at += (self.block.len() - overlap) as u64;
            let left = usize::try_from(search.end.saturating_sub(self.at)).unwrap_or(BLOCK);
            self.size = BLOCK.min(self.size * 2);
            self.block.resize(self.size.min(left), 0);
            let n = bytes::read_full(&*search.bytes, self.at, &mut self.block)?;
            self.block.truncate(n);
            self.from = 0;
            if n <= overlap {
                return Ok(None);
            }
        }
    }
}

/// What a descriptor's fields tell of a member, if its packed size is this.
fn describes(told: &[u8], width: usize, packed: u64, next: u64, local: &Local) -> Option<Extent> {
    let long = |at| match width {
        4 => bytes::u32(told, at).map(u64::from),
        _ => bytes::u64(told, at),
    };
    let crc = bytes::u32(told, 0)?;
    let (told_packed, size) = (long(4)?, long(4 + width)?);
    let plain = local.method != STORED || local.flags & ENCRYPTED != 0 || size == packed;
    (told_packed == packed && plain).then_some(Extent { packed, size, crc, next, fault: None })
}
