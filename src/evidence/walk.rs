//! Finds files: those that were named, and those in the folders that were named.
//!
//! Lazy: a folder's names are read when the walk gets there, so that a tree of any size costs the
//! memory of one folder's names for each level of depth.
//!
//! Invariants:
//! - A file inside a folder comes in the order of the names' bytes, level by level, a folder's
//!   content in the place of its name.
//! - No link to a folder is followed, so there is no loop and no way out of the evidence into the
//!   machine that it is looked at on. A link to a file is followed: it stands for that file.
//! - A file is handed on once, however often it is named. No list of what was seen is needed for
//!   that: a real path below a path that was walked before has been met there, and the target of a
//!   link is met under its own name if that lies below any of the paths. Only targets outside all of
//!   them are remembered. Hard links are different files.

use super::access::Access;
use super::collection::{Folders, Told};
use super::inside::Container;
use super::layout::INDEX;
use super::{Source, display_name};
use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

/// What the walk met.
#[derive(Debug)]
pub enum Found {
    /// A file to be looked at.
    Source(Source),
    /// A file or folder that could not be looked at.
    Unreadable {
        /// Its path.
        name: String,
        /// Why not.
        error: io::Error,
    },
    /// What was met before under another name, and is not read again.
    Duplicate {
        /// Its path.
        name: String,
    },
    /// A link to a folder, or to nothing: not followed.
    Link {
        /// Its path.
        name: String,
    },
    /// A pipe, socket or device in a folder.
    Special {
        /// Its path.
        name: String,
    },
    /// A container, after all that is in it: it is a source that was found before.
    Container(Container),
}

/// Goes through paths, files and folders.
#[derive(Debug)]
pub struct Walk {
    roots: Vec<Root>,
    /// The first root of each real path. There may be very many, from a list.
    by_path: HashMap<PathBuf, usize>,
    next_root: usize,
    folder: Option<walkdir::IntoIter>,
    /// Targets of links that lie outside all roots.
    outside: HashSet<PathBuf>,
    access: Access,
    folders: Folders,
    /// What is to be told of the file that came last.
    told: Option<Found>,
    /// Indexes that were told of with their files.
    indexes: HashSet<PathBuf>,
}

#[derive(Debug)]
struct Root {
    given: PathBuf,
    /// With every link resolved, if it can be.
    real: Option<PathBuf>,
}

impl Walk {
    /// A walk through these paths, in this order.
    #[must_use]
    pub fn new(paths: &[PathBuf]) -> Walk {
        let root =
            |given: &PathBuf| Root { given: given.clone(), real: fs::canonicalize(given).ok() };
        let roots: Vec<Root> = paths.iter().map(root).collect();
        let mut by_path = HashMap::new();
        for (at, root) in roots.iter().enumerate() {
            if let Some(real) = &root.real {
                by_path.entry(real.clone()).or_insert(at);
            }
        }
        Walk {
            roots,
            by_path,
            next_root: 0,
            folder: None,
            outside: HashSet::new(),
            access: Access::default(),
            folders: Folders::default(),
            told: None,
            indexes: HashSet::new(),
        }
    }

    /// The same, with these passwords for what is found.
    #[must_use]
    pub fn with(self, access: Access) -> Walk {
        Walk { access, ..self }
    }

    /// A file, which really is at `real`.
    fn source(&mut self, path: PathBuf, real: Option<&Path>, size: u64, named: bool) -> Found {
        let told = real.map_or_else(Told::default, |real| self.folders.of(real, &path));
        let source = Source::file(path, size, named, &self.access).told("", &told);
        if source.claims_to_be_a_log()
            && let Some(why) = told.lost()
        {
            let what = format!("cannot be used: {why}; the log beside it is read as it is stored");
            let (name, error) = (format!("{}{INDEX}", source.name()), io::Error::other(what));
            if let Some(path) = source.path() {
                let mut index = path.as_os_str().to_owned();
                index.push(INDEX);
                self.indexes.insert(index.into());
            }
            self.told = Some(Found::Unreadable { name, error });
        }
        Found::Source(source)
    }

    fn begin_root(&mut self, at: usize) -> Option<Found> {
        let root = self.roots.get(at)?;
        let name = || display_name(&root.given);
        if root.real.as_ref().is_some_and(|real| self.lies_in_root_before(at, real)) {
            return Some(Found::Duplicate { name: name() });
        }
        match fs::metadata(&root.given) {
            Err(error) => Some(Found::Unreadable { name: name(), error }),
            Ok(metadata) if metadata.is_dir() => {
                self.folder = Some(
                    walkdir::WalkDir::new(&root.given)
                        .sort_by(|a, b| name_bytes(a.file_name()).cmp(name_bytes(b.file_name())))
                        .into_iter(),
                );
                None
            }
            Ok(metadata) => {
                let (given, real) = (root.given.clone(), root.real.clone());
                Some(self.source(given, real.as_deref(), metadata.len(), true))
            }
        }
    }

    fn entry(&mut self, entry: walkdir::Result<walkdir::DirEntry>) -> Option<Found> {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return Some(unreadable(error)),
        };
        let kind = entry.file_type();
        if entry.depth() == 0 {
            return None;
        }
        if kind.is_symlink() {
            return Some(self.link(entry.path()));
        }
        let current = self.next_root.saturating_sub(1);
        let real = match self.roots.get(current) {
            Some(Root { given, real: Some(real) }) => {
                Some(real.join(entry.path().strip_prefix(given).unwrap_or(entry.path())))
            }
            _ => None,
        };
        // The first root needs no comparison at all.
        if current > 0
            && let Some(real) = &real
            && self.lies_in_root_before(current, real)
        {
            let name = display_name(entry.path());
            if let (true, Some(folder)) = (kind.is_dir(), &mut self.folder) {
                folder.skip_current_dir();
            }
            return Some(Found::Duplicate { name });
        }
        if kind.is_dir() {
            return None;
        }
        if !self.indexes.is_empty() && self.indexes.remove(entry.path()) {
            return None;
        }
        if !kind.is_file() {
            return Some(Found::Special { name: display_name(entry.path()) });
        }
        Some(match entry.metadata() {
            Ok(metadata) => self.source(entry.into_path(), real.as_deref(), metadata.len(), false),
            Err(error) => unreadable(error),
        })
    }

    fn link(&mut self, path: &Path) -> Found {
        let name = display_name(path);
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Found::Unreadable { name, error };
            }
            Err(_) => return Found::Link { name },
        };
        if metadata.is_dir() {
            return Found::Link { name };
        }
        if !metadata.is_file() {
            return Found::Special { name };
        }
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) => return Found::Unreadable { name, error },
        };
        if self.lies_in_root_before(usize::MAX, &real) || !self.outside.insert(real.clone()) {
            return Found::Duplicate { name };
        }
        self.source(path.to_owned(), Some(&real), metadata.len(), false)
    }
}

impl Walk {
    /// Whether a real path is one of the roots before this one, or below one.
    fn lies_in_root_before(&self, root: usize, real: &Path) -> bool {
        real.ancestors().any(|path| self.by_path.get(path).is_some_and(|at| *at < root))
    }
}

impl Iterator for Walk {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        if let Some(told) = self.told.take() {
            return Some(told);
        }
        loop {
            if let Some(folder) = &mut self.folder {
                match folder.next() {
                    None => self.folder = None,
                    Some(entry) => {
                        if let Some(found) = self.entry(entry) {
                            return Some(found);
                        }
                    }
                }
                continue;
            }
            if self.next_root >= self.roots.len() {
                return None;
            }
            self.next_root += 1;
            if let Some(found) = self.begin_root(self.next_root - 1) {
                return Some(found);
            }
        }
    }
}

fn name_bytes(name: &OsStr) -> &[u8] {
    name.as_encoded_bytes()
}

fn unreadable(error: walkdir::Error) -> Found {
    let name = error.path().map_or_else(String::new, display_name);
    let error = error.into_io_error().unwrap_or_else(|| io::Error::other("a link to itself"));
    Found::Unreadable { name, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line for each thing met, paths relative to `base`.
    fn walked(base: &Path, paths: &[&str]) -> Vec<String> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| base.join(path)).collect();
        let short = |name: &str| {
            let base = display_name(base);
            name.strip_prefix(&base).unwrap_or(name).trim_start_matches(['/', '\\']).to_owned()
        };
        Walk::new(&paths)
            .map(|found| match found {
                Found::Source(source) => short(source.name()),
                Found::Unreadable { name, .. } => format!("unreadable {}", short(&name)),
                Found::Duplicate { name } => format!("duplicate {}", short(&name)),
                Found::Link { name } => format!("link {}", short(&name)),
                Found::Special { name } => format!("special {}", short(&name)),
                Found::Container(container) => format!("container {}", short(&container.name)),
            })
            .map(|line| line.replace('\\', "/"))
            .collect()
    }

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"x").unwrap();
        }
        folder
    }

    #[test]
    fn files_come_in_the_order_of_their_names_bytes() {
        let folder = tree(&["b/z", "b/a", "B", "a/ü", "a/z", "b.evtx", "é"]);
        assert_eq!(
            walked(folder.path(), &["."])
                .iter()
                .map(|s| s.trim_start_matches("./"))
                .collect::<Vec<_>>(),
            ["B", "a/z", "a/ü", "b/a", "b/z", "b.evtx", "é"]
        );
    }

    #[test]
    fn what_is_named_twice_comes_once() {
        let folder = tree(&["a/1", "a/2", "b/1"]);
        for (paths, want) in [
            (&["a/1", "a/1"][..], &["a/1", "duplicate a/1"][..]),
            (&["a", "a"], &["a/1", "a/2", "duplicate a"]),
            (&["a", "a/2"], &["a/1", "a/2", "duplicate a/2"]),
            (&["a/2", "a"], &["a/2", "a/1", "duplicate a/2"]),
            (&["b", "a", "b"], &["b/1", "a/1", "a/2", "duplicate b"]),
            (&["absent", "b"], &["unreadable absent", "b/1"]),
        ] {
            assert_eq!(walked(folder.path(), paths), want, "{paths:?}");
        }
        let all = walked(folder.path(), &["b", "."]);
        assert_eq!(all, ["b/1", "./a/1", "./a/2", "duplicate ./b"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_stand_for_files_and_not_for_folders() {
        use std::os::unix::fs::symlink;
        let folder = tree(&["logs/1", "logs/sub/2", "outside/3"]);
        let at = |path: &str| folder.path().join(path);
        symlink(at("logs"), at("logs/sub/loop")).unwrap();
        symlink(at("logs/1"), at("logs/again")).unwrap();
        symlink(at("outside/3"), at("logs/third")).unwrap();
        symlink(at("outside/3"), at("logs/third-again")).unwrap();
        symlink(at("nowhere"), at("logs/dangling")).unwrap();
        symlink(at("logs/self"), at("logs/self")).unwrap();
        symlink("/dev/null", at("logs/zero")).unwrap();
        assert_eq!(
            walked(folder.path(), &["logs"]),
            [
                "logs/1",
                "duplicate logs/again",
                "link logs/dangling",
                "link logs/self",
                "logs/sub/2",
                "link logs/sub/loop",
                "logs/third",
                "duplicate logs/third-again",
                "special logs/zero",
            ]
        );
        // A folder that is named is gone into, even by a link.
        symlink(at("logs/sub"), at("entry")).unwrap();
        assert_eq!(walked(folder.path(), &["entry"]), ["entry/2", "link entry/loop"]);
        assert_eq!(
            walked(folder.path(), &["logs/sub", "entry"]),
            ["logs/sub/2", "link logs/sub/loop", "duplicate entry"]
        );
    }
}
