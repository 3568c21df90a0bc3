//! Why an image, a volume or a part of one cannot be read.

use std::{fmt, io};

/// Why not.
#[derive(Debug)]
pub enum ImageFault {
    /// It is a part of the image that begins in the sibling of this name, and is read with it.
    PartOf {
        /// The sibling's name.
        first: String,
    },
    /// It is sound as far as was looked and of a kind that cannot be read: which, and what to do.
    Unsupported(String),
    /// Its structures contradict themselves: how.
    Broken(String),
    /// The bytes it stands on could not be read.
    Unreadable(io::Error),
}

impl ImageFault {
    pub(super) fn broken(what: impl Into<String>) -> ImageFault {
        ImageFault::Broken(what.into())
    }

    pub(super) fn unsupported(what: impl Into<String>) -> ImageFault {
        ImageFault::Unsupported(what.into())
    }
}

impl fmt::Display for ImageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImageFault::PartOf { first } => write!(f, "a part of the image in {first}"),
            ImageFault::Unsupported(what) | ImageFault::Broken(what) => f.write_str(what),
            ImageFault::Unreadable(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for ImageFault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ImageFault::Unreadable(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for ImageFault {
    fn from(error: io::Error) -> ImageFault {
        ImageFault::Unreadable(error)
    }
}
