//! Template definitions, made independent of the chunk that they stand in.
//!
//! A definition is a stream of BinXML tokens that refers to its names by their offsets in the chunk,
//! so the same template has other bytes in every chunk. [`canonical`] writes it down with names and
//! literals in place. Those bytes are the template: plans are compiled from them and from nothing
//! else, and are found again by all of them, never by the template's GUID, which a crafted chunk may
//! reuse for another content (invariant 4 of the design).
//!
//! What is not understood to the last token is declined, and the slow lane decides.
//!
//! Source: [MS-EVEN6] 2.2.12 and 3.1.4.7.

use super::Decline;
use super::index;
use super::place::Context;
use super::stencil::{Maker, Names, Stencil};
use crate::bytes;

/// The longest canonical form, context included. Windows keeps a template in a chunk of 64 KiB along
/// with its names; only a crafted one, which refers to one long name over and over, is longer.
const MAX_CANONICAL: usize = 64 * 1024;

/// Where the body of a definition starts: after the offset of the next, the GUID and the size.
const DEFINITION_HEADER: u32 = 24;

/// The tokens of the canonical form.
pub(super) mod token {
    /// Dependency (u16), name.
    pub(crate) const OPEN: u8 = 1;
    /// Name.
    pub(crate) const ATTRIBUTE: u8 = 2;
    /// Length in bytes (u16), UTF-16LE.
    pub(crate) const TEXT: u8 = 3;
    /// Substitution id (u16), whether it is optional (u8).
    pub(crate) const SUBSTITUTION: u8 = 4;
    pub(crate) const CLOSE_START: u8 = 5;
    pub(crate) const CLOSE_EMPTY: u8 = 6;
    pub(crate) const CLOSE: u8 = 7;
    /// The text that follows does not stand like this in the chunk.
    pub(crate) const PIECE: u8 = 8;
}

/// The dependency of an element that has none.
pub(super) const NO_DEPENDENCY: u16 = 0xFFFF;

/// The offset of the next name (u32), the hash (u16) and the length in units (u16) before a name.
pub(super) const NAME_HEADER: usize = 8;
/// What stands around the units of a name: header and NUL.
pub(super) const AROUND_NAME: usize = NAME_HEADER + 2;

/// The body of a definition: its bytes, which end at `end` of the chunk `data`.
#[derive(Clone, Copy)]
pub(super) struct Body<'d> {
    pub(super) data: &'d [u8],
    pub(super) bytes: &'d [u8],
    pub(super) end: usize,
}

impl<'d> Body<'d> {
    /// The body of the definition at `offset`.
    pub(super) fn at(data: &'d [u8], offset: u32) -> Result<Body<'d>, Decline> {
        let at = index(offset.checked_add(DEFINITION_HEADER).ok_or(Decline::Template)?);
        let size = bytes::u32(data, at.saturating_sub(4)).map(index).ok_or(Decline::Template)?;
        let end = at.checked_add(size).filter(|end| *end <= data.len()).ok_or(Decline::Template)?;
        let bytes = data.get(at..end).ok_or(Decline::Template)?;
        Ok(Body { data, bytes, end })
    }
}

/// Is told what in a body differs from chunk to chunk. How many bytes of it are left tells where.
pub(super) trait Trace {
    /// Bytes of no meaning were passed.
    fn passed(&mut self, len: u8, left: usize) {
        let _ = (len, left);
    }

    /// A reference to a name was read, and the name, if that followed.
    fn name(&mut self, units: &[u8], left_before: usize, left: usize) {
        let _ = (units, left_before, left);
    }
}

impl Trace for () {}

/// Reads the tokens of a definition's body.
struct Tokens<'d, T> {
    data: &'d [u8],
    /// What is left of the body, which ends at `end` of the data.
    rest: &'d [u8],
    end: usize,
    /// Whether names have to be what their hashes say.
    checked: bool,
    trace: T,
}

impl<'d, T: Trace> Tokens<'d, T> {
    #[inline]
    fn take(&mut self, len: usize) -> Result<&'d [u8], Decline> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Decline::Template)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Decline> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Decline::Template)?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    fn u8(&mut self) -> Result<u8, Decline> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    #[inline]
    fn u16(&mut self) -> Result<u16, Decline> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// A reference to a name: its units. A name that is used for the first time in a chunk follows
    /// its reference.
    #[inline]
    fn name(&mut self) -> Result<&'d [u8], Decline> {
        let left_before = self.rest.len();
        let at = index(u32::from_le_bytes(self.array()?));
        let name = self.data.get(at..).ok_or(Decline::Template)?;
        let ([.., hash_low, hash_high, low, high], units) =
            name.split_first_chunk::<NAME_HEADER>().ok_or(Decline::Template)?;
        let len = 2 * usize::from(u16::from_le_bytes([*low, *high]));
        if at == self.end - self.rest.len() {
            self.take(len + AROUND_NAME)?;
        }
        let units = units.get(..len).ok_or(Decline::Template)?;
        let hash = u16::from_le_bytes([*hash_low, *hash_high]);
        // Zeros would be a name without letters and its hash.
        if self.checked && (units.is_empty() || name_hash(units) != hash) {
            return Err(Decline::Stale);
        }
        self.trace.name(units, left_before, self.rest.len());
        Ok(units)
    }

    /// Passes bytes of no meaning.
    #[inline]
    fn pass<const N: u8>(&mut self) -> Result<(), Decline> {
        self.take(usize::from(N))?;
        self.trace.passed(N, self.rest.len());
        Ok(())
    }
}

/// The hash that stands with a name: the low half of 65599 * hash + unit.
fn name_hash(units: &[u8]) -> u16 {
    let units = units.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
    let hash = units.fold(0u32, |hash, unit| hash.wrapping_mul(65599).wrapping_add(unit.into()));
    hash as u16
}

/// Writes text, or a name, with its length before it.
fn push_text(units: &[u8], out: &mut Vec<u8>) -> Result<(), Decline> {
    let len = u16::try_from(units.len()).map_err(|_| Decline::Limit)?;
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(units);
    if out.len() > MAX_CANONICAL { Err(Decline::Limit) } else { Ok(()) }
}

/// What a chunk's template definitions cost so far.
pub(super) struct Budget {
    left: usize,
}

impl Budget {
    /// What the definitions of one chunk may cost, in bytes of their bodies and canonical forms.
    /// Those of real chunks, which do not overlap, add up to less than the chunk and about as much
    /// again of names; crafted ones may start at each of its bytes.
    const PER_CHUNK: usize = 1024 * 1024;

    pub(super) fn new() -> Budget {
        Budget { left: Budget::PER_CHUNK }
    }

    /// Whether nothing is left.
    pub(super) fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Spends what reading a body, of which came so many bytes of canonical form, costs.
    pub(super) fn spend(&mut self, body: &Body<'_>, canonical: usize) {
        self.left = self.left.saturating_sub(body.bytes.len().saturating_add(canonical));
    }
}

/// Writes the canonical form of the definition at `offset`, for use in `context`, which is part of
/// it.
pub(super) fn canonical(
    data: &[u8],
    offset: u32,
    context: Context,
    budget: &mut Budget,
    out: &mut Vec<u8>,
) -> Result<(), Decline> {
    write(data, offset, context, false, budget, out)
}

/// Whether the definition at `offset` is still what it was, its names included: they stand elsewhere
/// in the chunk, and what is written over a part of a chunk need not reach the definition itself.
pub(super) fn is_sound(data: &[u8], offset: u32, budget: &mut Budget, out: &mut Vec<u8>) -> bool {
    write(data, offset, Context::Document, true, budget, out).is_ok()
}

fn write(
    data: &[u8],
    offset: u32,
    context: Context,
    checked: bool,
    budget: &mut Budget,
    out: &mut Vec<u8>,
) -> Result<(), Decline> {
    if budget.is_spent() {
        return Err(Decline::Limit);
    }
    out.clear();
    out.push(context as u8);
    let body = Body::at(data, offset)?;
    let result = read(body, checked, (), out).map(|_| ());
    // What fails costs as well.
    budget.spend(&body, out.len());
    result
}

/// Makes a stencil of a body of which the canonical form can be written; `scratch` is overwritten.
pub(super) fn stencil(
    body: Body<'_>,
    names: &mut Names,
    scratch: &mut Vec<u8>,
) -> Result<Stencil, Decline> {
    scratch.clear();
    let read = read(body, false, Maker::new(body, names), scratch)?;
    Ok(read.trace.finish(read.rest.len()))
}

fn read<'d, T: Trace>(
    Body { data, bytes, end }: Body<'d>,
    checked: bool,
    trace: T,
    out: &mut Vec<u8>,
) -> Result<Tokens<'d, T>, Decline> {
    let mut read = Tokens { data, rest: bytes, end, checked, trace };
    tokens(&mut read, out).map(|()| read)
}

fn tokens(tokens: &mut Tokens<'_, impl Trace>, out: &mut Vec<u8>) -> Result<(), Decline> {
    while let Ok(kind) = tokens.u8() {
        // Bit 0x40 says that more of the same follows; only of an element's start does it matter.
        match kind {
            0x00 => return Ok(()),
            0x01 | 0x41 => {
                // Dependency (u16), size (u32); after the name the size of the attributes (u32).
                let [low, high] = tokens.array()?;
                tokens.pass::<4>()?;
                let name = tokens.name()?;
                if kind == 0x41 {
                    tokens.pass::<4>()?;
                }
                out.extend_from_slice(&[token::OPEN, low, high]);
                push_text(name, out)?;
            }
            0x02 => out.push(token::CLOSE_START),
            0x03 => out.push(token::CLOSE_EMPTY),
            0x04 => out.push(token::CLOSE),
            0x05 | 0x45 => {
                // Literal values are strings; Windows writes no others.
                if tokens.u8()? != 0x01 {
                    return Err(Decline::Shape);
                }
                literal(tokens, out)?;
            }
            0x06 | 0x46 => {
                let name = tokens.name()?;
                out.push(token::ATTRIBUTE);
                push_text(name, out)?;
            }
            0x07 | 0x47 => cdata(tokens, out)?,
            0x08 | 0x48 => character(u32::from(tokens.u16()?), out)?,
            0x09 | 0x49 => entity(tokens.name()?, out)?,
            0x0d | 0x0e => {
                let [low, high, _type] = tokens.array()?;
                out.extend_from_slice(&[token::SUBSTITUTION, low, high, u8::from(kind == 0x0e)]);
            }
            0x0f => {
                tokens.array::<3>()?;
            }
            // Processing instructions, instances in a definition, and what is no token.
            _ => return Err(Decline::Shape),
        }
    }
    Ok(())
}

/// A literal text: its length in units, and the units.
fn literal<'d>(
    tokens: &mut Tokens<'d, impl Trace>,
    out: &mut Vec<u8>,
) -> Result<&'d [u8], Decline> {
    let len = tokens.u16()?;
    let units = tokens.take(2 * usize::from(len))?;
    out.push(token::TEXT);
    push_text(units, out)?;
    Ok(units)
}

/// A CDATA section. An empty one makes an attribute that has nothing else be there, an empty literal
/// does not: too rare to tell them apart.
fn cdata(tokens: &mut Tokens<'_, impl Trace>, out: &mut Vec<u8>) -> Result<(), Decline> {
    match literal(tokens, out)? {
        [] | [0, 0, ..] => Err(Decline::Shape),
        _ => Ok(()),
    }
}

/// A reference to one of the entities that XML knows.
fn entity(name: &[u8], out: &mut Vec<u8>) -> Result<(), Decline> {
    let known = [("lt", '<'), ("gt", '>'), ("amp", '&'), ("quot", '"'), ("apos", '\'')];
    let found = known.into_iter().find(|(entity, _)| {
        entity.encode_utf16().flat_map(u16::to_le_bytes).eq(name.iter().copied())
    });
    let (_, c) = found.ok_or(Decline::Shape)?;
    out.push(token::PIECE);
    character(u32::from(c), out)
}

/// A character reference. What no XML document may hold is not for the fast lane.
fn character(c: u32, out: &mut Vec<u8>) -> Result<(), Decline> {
    let c = char::from_u32(c).filter(|c| !c.is_control()).ok_or(Decline::Shape)?;
    out.push(token::TEXT);
    let mut units = [0; 2];
    let mut raw = [0; 4];
    for (to, unit) in raw.chunks_exact_mut(2).zip(c.encode_utf16(&mut units)) {
        to.copy_from_slice(&unit.to_le_bytes());
    }
    push_text(raw.get(..2 * c.len_utf16()).unwrap_or(&[]), out)
}
