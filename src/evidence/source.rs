//! A source: something that may be an event log, by name, and how its bytes are got at.

use super::access::{Access, Carving};
use super::claim;
use super::collection::{Holes, Told};
use super::disk::{self, Disk};
use super::image::{FolderSiblings, ImageFault, NoSiblings, Siblings};
use super::inside::{DEPTH, Inside, Limits, TOO_DEEP, most, within};
use super::layout::{Index, Sparse};
use super::sniff::{self, Format, Kind, SNIFFED};
use super::stream::{self, Codec};
use super::{display_name, file, zip};
use crate::bytes::ReadAt;
use std::{
    fmt, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How a source is there: as somebody left it, or not any more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// As it was in use when the evidence was taken.
    #[default]
    Live,
    /// A file that was deleted and is there still, whole or in part.
    Deleted,
    /// Cut out of what is left behind the end of files that took its place.
    Slack,
    /// Cut out of raw bytes, without a file around it.
    Carved,
    /// A file without a folder that it lies in.
    Orphan,
}

impl State {
    /// The word in output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            State::Live => "live",
            State::Deleted => "deleted",
            State::Slack => "slack",
            State::Carved => "carved",
            State::Orphan => "orphan",
        }
    }
}

/// Something that may be an event log, or have some in it: a name and, once opened, bytes. A clone is
/// the same source and costs little.
#[derive(Clone)]
pub struct Source {
    name: String,
    size: u64,
    state: State,
    host: Option<Arc<str>>,
    named: bool,
    /// In how many containers it lies.
    depth: u8,
    access: Access,
    limits: Option<Arc<Limits>>,
    /// What is to be known of it beside its bytes.
    notes: Arc<[String]>,
    /// What it is called where it is stored, if it is shown by another name.
    stored_as: Option<Arc<str>>,
    /// Where its holes were, if it is stored without them.
    holes: Option<Arc<Index>>,
    place: Place,
}

/// Where a source's bytes are.
#[derive(Clone)]
pub(super) enum Place {
    File(PathBuf),
    Bytes(Arc<dyn ReadAt>),
    Zip {
        archive: Arc<zip::Archive>,
        index: usize,
        /// How many bytes the logs have that come after it in the archive.
        logs: u64,
    },
    Packed {
        bytes: Arc<dyn ReadAt>,
        codec: Codec,
    },
    Raw {
        bytes: Arc<dyn ReadAt>,
        ranges: Ranges,
    },
}

/// Ranges of bytes, in order and apart.
pub type Ranges = Arc<[Range<u64>]>;

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("size", &self.size)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// What a source is, once looked at.
pub enum Look {
    /// It begins like an event log.
    Log(Arc<dyn ReadAt>),
    /// Things are in it.
    Inside(Box<Inside>),
    /// Bytes without an order that is known, to be searched for what is left of logs in these ranges.
    Raw(Arc<dyn ReadAt>, Ranges),
    /// It may have logs in it, but cannot be looked into: what it is, and what to do.
    Unsupported(String),
    /// A part of an image, which is read with the file that the image begins in.
    Part,
    /// Anything else, with its first bytes.
    Other(Vec<u8>),
}

impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Look::Log(_) => "Log",
            Look::Inside(_) => "Inside",
            Look::Raw(..) => "Raw",
            Look::Unsupported(_) => "Unsupported",
            Look::Part => "Part",
            Look::Other(_) => "Other",
        })
    }
}

impl Source {
    /// A file. `named` says whether somebody named it, so that it has to be a log.
    #[must_use]
    pub fn file(path: PathBuf, size: u64, named: bool, access: &Access) -> Source {
        Source {
            name: display_name(&path),
            size,
            state: State::Live,
            host: None,
            named,
            depth: 0,
            access: access.clone(),
            limits: None,
            notes: Arc::default(),
            stored_as: None,
            holes: None,
            place: Place::File(path),
        }
    }

    /// Something within this source, whose bytes can be read at positions: a partition, a file of a
    /// file system, a chunk that was carved. `name` is all of its name, that of this source included.
    #[must_use]
    pub fn within(&self, name: String, bytes: Arc<dyn ReadAt>, state: State) -> Source {
        let size = bytes.size();
        self.member(name, size, Place::Bytes(bytes)).in_state(state)
    }

    /// Raw bytes within this source, to be searched in these ranges.
    pub(super) fn raw(
        &self,
        name: String,
        bytes: Arc<dyn ReadAt>,
        ranges: Ranges,
        state: State,
    ) -> Source {
        let size =
            ranges.iter().fold(0u64, |sum, range| sum.saturating_add(range.end - range.start));
        self.member(name, size, Place::Raw { bytes, ranges }).in_state(state)
    }

    pub(super) fn zipped(
        &self,
        name: String,
        size: u64,
        archive: &Arc<zip::Archive>,
        index: usize,
        logs: u64,
    ) -> Source {
        self.member(name, size, Place::Zip { archive: Arc::clone(archive), index, logs })
    }

    pub(super) fn packed(&self, name: String, bytes: Arc<dyn ReadAt>, codec: Codec) -> Source {
        let size = bytes.size();
        self.member(name, size, Place::Packed { bytes, codec })
    }

    fn member(&self, name: String, size: u64, place: Place) -> Source {
        Source {
            name,
            size,
            named: false,
            depth: self.depth.saturating_add(1),
            place,
            host: self.host.clone(),
            access: self.access.clone(),
            limits: self.limits.clone(),
            notes: Arc::default(),
            stored_as: None,
            holes: None,
            state: self.state,
        }
    }

    /// The same, in this state, unless what it lies in is not live either.
    #[must_use]
    fn in_state(self, state: State) -> Source {
        let state = if self.state == State::Live { state } else { self.state };
        Source { state, ..self }
    }

    /// The same, of another size than that of the bytes that are there.
    pub(super) fn sized(self, size: u64) -> Source {
        Source { size, ..self }
    }

    /// The same, as raw bytes that are searched.
    #[must_use]
    pub fn carved(self) -> Source {
        self.in_state(State::Carved)
    }

    /// The same, with what is to be known of it beside its bytes.
    #[must_use]
    pub fn with_notes(self, notes: Vec<String>) -> Source {
        Source { notes: notes.into(), ..self }
    }

    /// What is to be known of it beside its bytes.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The same, of this host.
    #[must_use]
    pub fn of_host(self, host: Option<Arc<str>>) -> Source {
        Source { host: host.or_else(|| self.host.clone()), ..self }
    }

    /// The same, with what the collection that it is of says of it; `container` is what its name begins
    /// with that is none of the path that the collection tells of.
    pub(super) fn told(self, container: &str, told: &Told) -> Source {
        let mut notes = self.notes.to_vec();
        notes.extend(told.fault());
        let holes = match &told.holes {
            Holes::Index(index) => Some(Arc::clone(index)),
            _ => None,
        };
        if let Some(index) = &holes
            && index.stored() < self.size
        {
            let (stored, size) = (index.stored(), self.size);
            notes.push(format!("its .idx tells of {stored} of the {size} bytes that are stored"));
        }
        let source = Source { holes, notes: notes.into(), ..self };
        let source = source.of_host(told.host.clone());
        let Some(shown) = &told.shown else { return source };
        let stored_as = Some(source.name.as_str().into());
        let name = if container.is_empty() { shown.clone() } else { within(container, shown) };
        Source { name, stored_as, ..source }
    }

    /// What it is called where it is stored, if a collection says that its path was another, which is
    /// then its name.
    #[must_use]
    pub fn stored_as(&self) -> Option<&str> {
        self.stored_as.as_deref()
    }

    pub(super) fn limited(self, limits: Arc<Limits>) -> Source {
        Source { limits: Some(limits), ..self }
    }

    pub(super) fn limits(&self) -> Option<&Arc<Limits>> {
        self.limits.as_ref()
    }

    /// The same, as if it lay in no container as far as limits go. Whoever works on a part of a
    /// container beside others uses this: what a common limit lets through would depend on who is
    /// first.
    #[must_use]
    pub fn by_itself(self) -> Source {
        Source { limits: None, ..self }
    }

    /// The path as it was found, within a container behind the container's: `case.zip!C/Security.evtx`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its size when it was found. Of something packed whose size is not told, the packed size.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How it is there.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The host that it was collected from, if the collection says so.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// In how many containers it lies.
    #[must_use]
    pub fn depth(&self) -> u8 {
        self.depth
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// Whether whoever made it says that it is an event log, by naming the file to be read or with
    /// the extension `.evtx`. If its content is not one, that is to be reported; any other file that
    /// is no log is only counted.
    #[must_use]
    pub fn claims_to_be_a_log(&self) -> bool {
        let extension = |path: &Path| {
            let extension = path.extension().unwrap_or_default();
            extension.as_encoded_bytes().eq_ignore_ascii_case(b"evtx")
        };
        self.named
            || match &self.place {
                Place::File(path) => extension(path),
                _ => self
                    .name
                    .rsplit(['/', '\\', '!'])
                    .next()
                    .is_some_and(|name| extension(Path::new(name))),
            }
    }

    /// The file that it is, if it is one by itself.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            _ => None,
        }
    }

    /// Whether it can be opened without unpacking all of it.
    #[must_use]
    pub fn opens_cheaply(&self) -> bool {
        match &self.place {
            Place::File(_) | Place::Bytes(_) | Place::Raw { .. } => true,
            Place::Zip { archive, index, .. } => archive.opens_cheaply(*index),
            Place::Packed { .. } => false,
        }
    }

    /// Whether it is best worked on as a whole while others work on what comes after it. What is
    /// unpacked goes forward only, so that many threads at one thing unpack no faster than one: they do
    /// on several, as long as there are as large ones.
    #[must_use]
    pub fn leaves_work(&self) -> bool {
        match &self.place {
            Place::Zip { archive, index, logs } => *logs >= self.size && archive.is_packed(*index),
            _ => false,
        }
    }

    /// Opens it for reading, whatever it is. What has to be unpacked is, as far as it is read.
    ///
    /// # Errors
    /// If it cannot be opened or is not a thing with bytes at positions.
    pub fn open(&self) -> io::Result<Arc<dyn ReadAt>> {
        let stored = self.stored()?;
        Ok(match &self.holes {
            Some(index) => Arc::new(Sparse::new(stored, Arc::clone(index))),
            None => stored,
        })
    }

    /// Its bytes as they are stored.
    fn stored(&self) -> io::Result<Arc<dyn ReadAt>> {
        match &self.place {
            Place::File(path) => Ok(Arc::new(file::FileBytes::open(path)?)),
            Place::Bytes(bytes) | Place::Raw { bytes, .. } => Ok(Arc::clone(bytes)),
            Place::Zip { archive, index, .. } => archive.open(*index),
            Place::Packed { bytes, codec } => {
                let bytes = stream::open(bytes, *codec, &self.access)?;
                Ok(Arc::new(bytes))
            }
        }
    }

    /// Its first bytes. Of what is packed no more is unpacked.
    fn start(&self) -> io::Result<Vec<u8>> {
        match &self.place {
            _ if self.holes.is_some() => sniff::start(&*self.open()?),
            Place::Zip { archive, index, .. } if !self.opens_cheaply() => {
                archive.start(*index, SNIFFED)
            }
            Place::Packed { bytes, codec } => stream::start(bytes, *codec, SNIFFED),
            _ => sniff::start(&*self.open()?),
        }
    }

    /// Whether things are in it that are found by looking at it.
    ///
    /// # Errors
    /// If its first bytes cannot be read.
    pub fn is_container(&self) -> io::Result<bool> {
        if matches!(self.place, Place::Raw { .. }) {
            return Ok(false);
        }
        Ok(matches!(self.kind(&self.start()?), Kind::Container(_) | Kind::Disk))
    }

    /// Looks at what it is, by its content, and opens it if it may be of use.
    ///
    /// # Errors
    /// If it cannot be opened, or its first bytes not be read.
    pub fn look(&self) -> io::Result<Look> {
        if let Place::Raw { bytes, ranges } = &self.place {
            return Ok(Look::Raw(Arc::clone(bytes), Arc::clone(ranges)));
        }
        let (start, opened) = if self.opens_cheaply() {
            let opened = self.open()?;
            (sniff::start(&*opened)?, Some(opened))
        } else {
            (self.start()?, None)
        };
        let bytes = || opened.clone().map_or_else(|| self.open(), Ok);
        let kind = self.kind(&start);
        if let Some(index) = &self.holes
            && kind != Kind::Other
            && index.size() > most(self.size)
        {
            let what = format!("its .idx makes {} bytes of it, more than the limit", index.size());
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        }
        match kind {
            Kind::Log => Ok(Look::Log(bytes()?)),
            Kind::Other if self.named && self.carves() => Ok(raw(bytes()?)),
            Kind::Unsupported(_) if self.carves() && sniff::is_headless(&start) => {
                Ok(raw(bytes()?))
            }
            Kind::Other => self.unknown(start, opened.as_deref()),
            Kind::Unsupported(what) => Ok(Look::Unsupported(what.to_owned())),
            Kind::Container(_) | Kind::Disk if self.depth >= DEPTH => {
                Ok(Look::Unsupported(TOO_DEEP.to_owned()))
            }
            Kind::Container(format) => self.container(format, &start, bytes()?),
            Kind::Disk => self.disk(start, &bytes()?),
        }
    }

    /// What it is by its first bytes; if they say nothing, what it can be read as by its name.
    pub(super) fn kind(&self, start: &[u8]) -> Kind {
        match sniff::kind(start) {
            Kind::Other if !start.is_empty() => {
                let format = claim::of(self).and_then(|claim| claim.format);
                format.map_or(Kind::Other, Kind::Container)
            }
            kind => kind,
        }
    }

    /// A thing of no known kind: that its name says otherwise is told.
    fn unknown(&self, start: Vec<u8>, opened: Option<&dyn ReadAt>) -> io::Result<Look> {
        if let Some(what) = self.further_on(opened)? {
            return Ok(Look::Unsupported(what.to_owned()));
        }
        if let Some(claim) = claim::of(self) {
            return Ok(Look::Unsupported(claim.refuted(self.size)));
        }
        if self.is_alone() {
            return Ok(Look::Unsupported(claim::LATER_PART.to_owned()));
        }
        Ok(Look::Other(start))
    }

    /// Whether it is named like a part of something that was split, and the first part is not there.
    pub(super) fn is_alone(&self) -> bool {
        // What stands beside others is not known.
        if !matches!(self.place, Place::File(_) | Place::Zip { .. }) {
            return false;
        }
        let siblings = self.siblings();
        let firsts = claim::first_parts(siblings.own_name(), self.size);
        firsts.is_some_and(|names| names.iter().all(|name| siblings.open(name).is_err()))
    }

    fn container(&self, format: Format, start: &[u8], bytes: Arc<dyn ReadAt>) -> io::Result<Look> {
        // It may be the first part of an archive that was split.
        let bytes = match disk::open(self, &bytes, &*self.siblings()) {
            Ok(Disk::Parts(whole)) => whole,
            Ok(Disk::Part) => return Ok(Look::Part),
            _ => bytes,
        };
        Ok(match Inside::open(self, format, bytes) {
            Ok(inside) if sniff::begins_like(start, format) => Look::Inside(Box::new(inside)),
            Ok(inside) => Look::Inside(Box::new(inside.misbegun())),
            Err(what) => Look::Unsupported(what.to_owned()),
        })
    }

    fn disk(&self, start: Vec<u8>, bytes: &Arc<dyn ReadAt>) -> io::Result<Look> {
        match disk::open(self, bytes, &*self.siblings()) {
            Ok(Disk::Volumes(members)) => Ok(Look::Inside(Box::new(Inside::disk(self, members)))),
            Ok(Disk::Part) => Ok(Look::Part),
            Ok(Disk::Parts(bytes)) if self.carves() => Ok(raw(bytes)),
            Ok(Disk::None) if self.named && self.carves() => Ok(raw(self.open()?)),
            Ok(Disk::None | Disk::Parts(_)) => match sniff::image(&start) {
                Some(what) => {
                    Ok(Look::Unsupported(format!("{what}, and no volume is known in it")))
                }
                None => self.unknown(start, Some(&**bytes)),
            },
            Err(ImageFault::Unreadable(error)) => Err(error),
            Err(ImageFault::Unsupported(what)) => Ok(Look::Unsupported(what)),
            Err(fault) => Err(io::Error::new(io::ErrorKind::InvalidData, fault.to_string())),
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// What it is by what stands further on in it, if that can be looked at without unpacking.
    fn further_on(&self, opened: Option<&dyn ReadAt>) -> io::Result<Option<&'static str>> {
        match &self.place {
            Place::File(_) | Place::Bytes(_) => {
                opened.map_or(Ok(None), sniff::unsupported_further_on)
            }
            _ => Ok(None),
        }
    }

    /// Whether raw bytes are searched.
    pub(super) fn carves(&self) -> bool {
        self.access.carve() != Carving::No
    }

    /// What stands next to it and may belong to it.
    fn siblings(&self) -> Box<dyn Siblings + '_> {
        match &self.place {
            Place::File(path) => Box::new(FolderSiblings::of(path)),
            Place::Zip { archive, index, .. } => Box::new(archive.siblings(*index)),
            _ => Box::new(NoSiblings),
        }
    }
}

/// All of these bytes, to be searched.
fn raw(bytes: Arc<dyn ReadAt>) -> Look {
    let ranges = all_of(&*bytes);
    Look::Raw(bytes, ranges)
}

/// One range of all bytes.
pub(super) fn all_of(bytes: &dyn ReadAt) -> Ranges {
    std::iter::once(0..bytes.size()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_or_being_named_is_a_claim() {
        let access = Access::default();
        for (path, named, want) in [
            ("a/Security.evtx", false, true),
            ("a/SECURITY.EVTX", false, true),
            ("a/evtx", false, false),
            ("a/notes.txt", false, false),
            ("a/notes.txt", true, true),
        ] {
            let source = Source::file(path.into(), 1, named, &access);
            assert_eq!(source.claims_to_be_a_log(), want, "{path}");
            let within =
                source.within(format!("case.zip!{path}"), Arc::new(vec![0]), State::Deleted);
            assert_eq!(within.claims_to_be_a_log(), want && !path.contains("notes"), "{path}");
            assert_eq!((within.state(), within.depth()), (State::Deleted, 1));
        }
        let whole = Source::file("a.zip".into(), 1, true, &access);
        let carved = whole.within("a.zip!b".into(), Arc::new(vec![0]), State::Carved);
        let deep = carved.within("a.zip!b!c.evtx".into(), Arc::new(vec![0]), State::Live);
        assert_eq!((deep.state(), deep.claims_to_be_a_log()), (State::Carved, true));
    }
}
