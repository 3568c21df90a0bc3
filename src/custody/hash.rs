//! The digests of the files that were given, of the logs in them, and of disks.

use super::survey::{EvidenceFile, MediaDigests, Survey};
use crate::bytes::{ReadAt, hex};
use crate::evidence::{Descend, Found, Look, Media, Source};
use md5::Md5;
use rayon::prelude::*;
use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::{
    io::{self, BufWriter, Write},
    iter,
};

/// How much is read at once.
const BUFFER: usize = 1 << 20;

/// So many threads at the most: SHA-256 of one is faster than most disks, and each reads elsewhere.
const MOST_THREADS: usize = 4;

/// What is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The files as they were given.
    Files,
    /// The logs in containers, too, live and deleted.
    Logs,
    /// The disks of images, too, where these say what their digests are.
    Media,
}

/// How files are hashed.
pub struct Hashing<'h> {
    /// What is.
    pub depth: Depth,
    /// How many threads, of which not all may be used.
    pub threads: usize,
    /// Whether nobody wants it any more.
    pub ended: &'h (dyn Fn() -> bool + Sync),
    /// Is told the name and how many bytes of it were read.
    pub progress: &'h (dyn Fn(&str, u64) + Sync),
}

impl std::fmt::Debug for Hashing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hashing").field("depth", &self.depth).finish_non_exhaustive()
    }
}

/// Why there is no digest.
enum Missing {
    /// Nobody wants it any more.
    Ended,
    /// This.
    Fault(String),
}

impl Survey {
    /// Reads all files from end to end.
    ///
    /// # Errors
    /// If threads cannot be started or a temporary file cannot be written. That evidence cannot be read
    /// is no error but told of the file.
    pub fn hash(&mut self, hashing: &Hashing<'_>) -> io::Result<()> {
        let threads = hashing.threads.clamp(1, MOST_THREADS);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|n| format!("hash-{n}"))
            .build()
            .map_err(io::Error::other)?;
        pool.install(|| self.files.par_iter_mut().for_each(|file| hashing.file(file)));
        if hashing.depth >= Depth::Logs {
            let mut spool = BufWriter::new(tempfile::tempfile()?);
            for file in &self.files {
                hashing.logs_in(file, &mut spool)?;
            }
            self.logs = Some(spool.into_inner().map_err(io::IntoInnerError::into_error)?);
        }
        if hashing.depth >= Depth::Media {
            self.files.iter_mut().for_each(|file| hashing.media(file));
        }
        Ok(())
    }
}

impl Hashing<'_> {
    fn file(&self, file: &mut EvidenceFile) {
        let Some(source) = file.source.as_ref().filter(|_| file.note.is_none()) else { return };
        let digest = match source.open() {
            Ok(bytes) if bytes.size() != file.size => {
                let (before, now) = (file.size, bytes.size());
                Err(Missing::Fault(format!("it had {before} bytes and has {now} now")))
            }
            Ok(bytes) => self.digest::<Sha256>(&file.name, &*bytes),
            Err(error) => Err(Missing::Fault(error.to_string())),
        };
        match digest {
            Ok(digest) => file.sha256 = Some(digest),
            Err(Missing::Ended) => file.note = Some(ENDED.to_owned()),
            Err(Missing::Fault(what)) => file.faults.push(format!("cannot be hashed: {what}")),
        }
    }

    /// A line for each log that is in a container.
    fn logs_in(&self, file: &EvidenceFile, out: &mut impl Write) -> io::Result<()> {
        let Some(source) = file.source.as_ref().filter(|_| file.part_of.is_none()) else {
            return Ok(());
        };
        if !source.is_container().unwrap_or(false) {
            return Ok(());
        }
        for found in Descend::new(iter::once(Found::Source(source.clone()))) {
            if (self.ended)() {
                break;
            }
            // What cannot be looked at stands in the ledger.
            let Found::Source(log) = found else { continue };
            let Ok(Look::Log(bytes)) = log.look() else { continue };
            let (sha256, why) = match self.digest::<Sha256>(log.name(), &*bytes) {
                Ok(digest) => (Some(digest), None),
                Err(Missing::Ended) => (None, Some(ENDED.to_owned())),
                Err(Missing::Fault(what)) => (None, Some(format!("cannot be hashed: {what}"))),
            };
            let line = json!({
                "path": log.name(), "found": log.state().as_str(), "size": bytes.size(),
                "sha256": sha256, "note": why,
            });
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    /// Compares a disk with what its image says of it.
    fn media(&self, file: &mut EvidenceFile) {
        let Some(stated) = &file.media else { return };
        let Some(source) = &file.source else { return };
        match self.verified(source, stated) {
            Ok((verified, faults)) => {
                file.faults.extend(faults);
                if let Some(media) = &mut file.media {
                    media.verified = Some(verified);
                }
            }
            Err(Missing::Ended) => file.note = Some(ENDED.to_owned()),
            Err(Missing::Fault(what)) => {
                file.faults.push(format!("its disk cannot be hashed: {what}"));
            }
        }
    }

    fn verified(
        &self,
        source: &Source,
        stated: &MediaDigests,
    ) -> Result<(bool, Vec<String>), Missing> {
        let fault = |error: io::Error| Missing::Fault(error.to_string());
        let Some(Media { bytes, .. }) = source.given().map_err(fault)?.media else {
            return Err(Missing::Fault("it says nothing of it any more".to_owned()));
        };
        let (mut md5, mut sha1) = (Md5::new(), Sha1::new());
        self.read(source.name(), &*bytes, |bytes| {
            if stated.md5.is_some() {
                md5.update(bytes);
            }
            if stated.sha1.is_some() {
                sha1.update(bytes);
            }
        })?;
        let (md5, sha1) = (hex(&md5.finalize()), hex(&sha1.finalize()));
        let mut faults = Vec::new();
        for (what, is, stated) in [("MD5", md5, &stated.md5), ("SHA-1", sha1, &stated.sha1)] {
            if let Some(stated) = stated.as_ref().filter(|stated| **stated != is) {
                faults.push(format!("the {what} of its disk is {is}, and it says {stated}"));
            }
        }
        Ok((faults.is_empty(), faults))
    }

    fn digest<D: Digest>(&self, name: &str, bytes: &dyn ReadAt) -> Result<String, Missing> {
        let mut digest = D::new();
        self.read(name, bytes, |bytes| digest.update(bytes))?;
        Ok(hex(&digest.finalize()))
    }

    /// Hands on all bytes, in order.
    fn read(
        &self,
        name: &str,
        bytes: &dyn ReadAt,
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), Missing> {
        let (mut at, mut buffer) = (0u64, vec![0; BUFFER]);
        while at < bytes.size() {
            if (self.ended)() {
                return Err(Missing::Ended);
            }
            let read = match bytes.read_at(at, &mut buffer) {
                Ok(0) => return Err(Missing::Fault(format!("it ends at {at}, before its size"))),
                Ok(read) => read,
                Err(error) => return Err(Missing::Fault(format!("at offset {at}: {error}"))),
            };
            each(buffer.get(..read).unwrap_or(&buffer));
            at = at.saturating_add(read as u64);
            (self.progress)(name, read as u64);
        }
        // What it was unpacked from may be at fault, which shows at its end.
        let end = bytes.read_at(bytes.size(), &mut []);
        end.map(|_| ()).map_err(|error| Missing::Fault(format!("at offset {at}: {error}")))
    }
}

/// Why there is no digest if the run ended before it was calculated.
const ENDED: &str = "not hashed: the run ended before";
