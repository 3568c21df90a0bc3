//! The files next to an image that belong to it: segments, extents, backing files.
//!
//! Their names stand in the image and so are the attacker's: only a plain name is ever looked up,
//! nothing with a folder, a drive or `..` in it.

use super::{super::file::FileBytes, ImageFault};
use crate::bytes::ReadAt;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The longest name that is looked up; file systems allow 255 units.
const MAX_NAME: usize = 512;

/// What stands next to an image.
pub trait Siblings {
    /// The image's own name, without folders: parts are named after it. Empty if it has none.
    fn own_name(&self) -> &str;

    /// Opens the file of this name next to the image. It is asked for plain names only: no folder, no
    /// drive, no `..`.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if there is none; others if there is and it cannot be read.
    fn open(&self, name: &str) -> io::Result<Arc<dyn ReadAt>>;
}

/// Nothing stands next to it.
#[derive(Debug, Clone, Copy)]
pub struct NoSiblings;

impl Siblings for NoSiblings {
    fn own_name(&self) -> &str {
        ""
    }

    fn open(&self, _name: &str) -> io::Result<Arc<dyn ReadAt>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// The files in the folder of a file.
#[derive(Debug, Clone)]
pub struct FolderSiblings {
    folder: PathBuf,
    name: String,
}

impl FolderSiblings {
    /// Those of the image at `path`.
    #[must_use]
    pub fn of(path: &Path) -> FolderSiblings {
        FolderSiblings {
            folder: path.parent().unwrap_or(Path::new("")).to_owned(),
            // A name that is no text has no siblings that could be told from it.
            name: path.file_name().and_then(|name| name.to_str()).unwrap_or("").to_owned(),
        }
    }
}

impl Siblings for FolderSiblings {
    fn own_name(&self) -> &str {
        &self.name
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn ReadAt>> {
        Ok(Arc::new(FileBytes::open(&self.folder.join(name))?))
    }
}

/// Whether a name can only be that of a file in the same folder.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && name != "."
        && name != ".."
        && !name.chars().any(|c| matches!(c, '/' | '\\' | ':') || c.is_control())
}

/// Opens a sibling, `None` if there is none.
pub(super) fn find(
    siblings: &dyn Siblings,
    name: &str,
) -> Result<Option<Arc<dyn ReadAt>>, ImageFault> {
    if !is_plain(name) {
        return Err(ImageFault::unsupported(format!(
            "it refers to {name:?}: only files next to an image are opened"
        )));
    }
    match siblings.open(name) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ImageFault::Unreadable(io::Error::new(
            error.kind(),
            format!("{name}, which belongs to it: {error}"),
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_looked_up() {
        for name in
            ["", ".", "..", "/etc/passwd", "../x", "a/b", "a\\b", "C:x", "x:stream", "a\0b", "a\nb"]
        {
            assert!(find(&NoSiblings, name).is_err(), "{name:?}");
        }
        assert!(find(&NoSiblings, &"a".repeat(MAX_NAME + 1)).is_err());
        assert!(find(&NoSiblings, "disk-s001.vmdk").unwrap().is_none());
    }

    #[test]
    fn a_files_siblings_are_those_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("b"), b"xy").unwrap();
        let siblings = FolderSiblings::of(&folder.path().join("a"));
        assert_eq!(siblings.own_name(), "a");
        assert_eq!(find(&siblings, "b").unwrap().unwrap().size(), 2);
        assert!(find(&siblings, "a").unwrap().is_none());
    }
}
