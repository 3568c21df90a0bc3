//! What a file is as it was given, for an account of the evidence: its kind, the files that are read
//! with it, and what it says of itself.
//!
//! Nothing is read but what tells that: no file system is gone through, no archive's members.
//!
//! Invariant: what [`Given`] calls nothing is nothing that a hunt looks into, and every file that
//! opening this one opens is named.

use super::claim;
use super::image::{self, Digests, FolderSiblings, ImageFault, Siblings};
use super::sniff::{self, Kind};
use super::source::{Place, Source};
use crate::bytes::ReadAt;
use std::{
    collections::HashSet,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

/// A file as it was given.
#[derive(Default)]
pub struct Given {
    /// What it is: `event log`, `zip`, `E01 image`; `None` for what nobody looks into.
    pub kind: Option<&'static str>,
    /// The files that are opened with it: further segments, parts and extents, what an image stands on.
    /// Their sizes are not asked for.
    pub beside: Vec<Source>,
    /// Its disk, if it says what the digests of that are.
    pub media: Option<Media>,
}

/// A disk of which digests are known.
#[derive(Clone)]
pub struct Media {
    /// The disk's bytes.
    pub bytes: Arc<dyn ReadAt>,
    /// What the image says.
    pub digests: Digests,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digests = self.media.as_ref().map(|media| media.digests);
        f.debug_struct("Given")
            .field("kind", &self.kind)
            .field("beside", &self.beside)
            .field("digests", &digests)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Media {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Media").field("digests", &self.digests).finish_non_exhaustive()
    }
}

impl Given {
    /// The kind of a file that is read with another one.
    pub const PART: &str = "part of an image";

    fn only(kind: &'static str) -> Given {
        Given { kind: Some(kind), ..Given::default() }
    }
}

/// Notes what is opened.
struct Noting {
    siblings: FolderSiblings,
    folder: PathBuf,
    opened: Mutex<Opened>,
}

/// What was opened, in that order, once each: a chain of images may come back to one.
#[derive(Default)]
struct Opened {
    paths: Vec<PathBuf>,
    known: HashSet<PathBuf>,
}

impl Siblings for Noting {
    fn own_name(&self) -> &str {
        self.siblings.own_name()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn ReadAt>> {
        let bytes = self.siblings.open(name)?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.folder.join(name);
        if opened.known.insert(path.clone()) {
            opened.paths.push(path);
        }
        Ok(bytes)
    }
}

impl Source {
    /// What it is as it was given; of what is in a container, nothing.
    ///
    /// # Errors
    /// If it cannot be opened, or its first bytes not be read.
    pub fn given(&self) -> io::Result<Given> {
        let Place::File(path) = self.place() else { return Ok(Given::default()) };
        let bytes = self.open()?;
        let start = sniff::start(&*bytes)?;
        let claims = self.claims_to_be_a_log();
        let archive = match self.kind(&start) {
            Kind::Log => return Ok(Given::only("event log")),
            Kind::Unsupported(_) => return Ok(Given::only("of a kind that cannot be read")),
            Kind::Other if claims && self.carves() => return Ok(Given::only("raw bytes")),
            Kind::Other if claim::of(self).is_some() || self.is_alone() => {
                return Ok(Given::only("of a kind that cannot be read"));
            }
            Kind::Other if claims => return Ok(Given::only("not an event log")),
            Kind::Other => return Ok(Given::default()),
            Kind::Container(format) => Some(format.name()),
            Kind::Disk => None,
        };
        let noting = Noting {
            siblings: FolderSiblings::of(path),
            folder: path.parent().map(PathBuf::from).unwrap_or_default(),
            opened: Mutex::default(),
        };
        let image = image::open(&bytes, &noting);
        let beside = noting.opened.into_inner().unwrap_or_else(PoisonError::into_inner);
        let sibling = |path| Source::file(path, 0, false, self.access());
        let beside = beside.paths.into_iter().map(sibling).collect();
        match image {
            Ok(Some(image)) => {
                let kind = image.kind.split_once(' ').map_or(image.kind, |(_, kind)| kind);
                let media = image.digests.map(|digests| Media { bytes: image.bytes, digests });
                Ok(Given { kind: Some(archive.unwrap_or(kind)), beside, media })
            }
            Err(ImageFault::PartOf { .. }) => Ok(Given::only(Given::PART)),
            Ok(None) | Err(_) if archive.is_some() => {
                Ok(Given { kind: archive, ..Given::default() })
            }
            Ok(None) => {
                let disk = image::volumes(&bytes);
                let is_disk = !disk.volumes.is_empty() || !disk.faults.is_empty();
                let other = match claim::of(self) {
                    Some(_) => Some("of a kind that cannot be read"),
                    None => claims.then_some("not an event log"),
                };
                Ok(Given {
                    kind: if is_disk { Some("raw image") } else { other },
                    ..Given::default()
                })
            }
            Err(_) => Ok(Given { kind: Some("disk image"), beside, media: None }),
        }
    }
}
