//! Files of a collection, in an archive or a folder: the names that they had, their host, and where
//! their holes were.
//!
//! A collection is known by the files that its tool writes beside it ([`MARKS`]), and what it says of
//! a file is the same whether it is an archive or was unpacked. What it says and cannot be used is told
//! of the file; the file is then read as it is stored.
//!
//! Invariant: no file outside of the collection is looked at, and nothing is read of a folder that
//! has no `uploads` in its path.

use super::display_name;
use super::file::FileBytes;
use super::layout::{
    self, CLIENT, INDEX, Index, LONGEST, MARKS, UPLOADED, UPLOADS, percent_decoded,
};
use super::spool::fill;
use super::window::Cursor;
use crate::bytes::ReadAt;
use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    path::{self, Path, PathBuf},
    sync::Arc,
};

/// How many pieces all indexes of an archive may have, which are kept while it is read: 100 MB.
const ALL_PIECES: usize = 1 << 22;

/// How far above its files a collection may tell of the host: exported with others, it lies in
/// `clients/HOST/collections/FLOW`.
const ABOVE: usize = 3;

/// What a collection says of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    /// Its path as it was, if it was changed to be stored.
    pub(super) shown: Option<String>,
    pub(super) host: Option<Arc<str>>,
    pub(super) holes: Holes,
}

/// What is known of a file's holes.
#[derive(Debug, Clone, Default)]
pub(super) enum Holes {
    /// It has none.
    #[default]
    None,
    /// It is stored without them.
    Index(Arc<Index>),
    /// It is stored without them, and nobody knows where they were.
    Lost(&'static str),
}

/// Why an index cannot be used that is not there.
const MISSING: &str = "it is not there, and uploads.json tells of it";

impl Told {
    /// Why nobody knows where a file's holes were, if that is so.
    pub(super) fn lost(&self) -> Option<&'static str> {
        match &self.holes {
            Holes::Lost(why) => Some(why),
            _ => None,
        }
    }

    /// The same, as it is said of the file.
    pub(super) fn fault(&self) -> Option<String> {
        self.lost().map(|why| format!("its .idx cannot be used: {why}; read as it is stored"))
    }
}

/// What the collections in an archive say of their files.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// The host of each, by what the paths in it begin with.
    roots: HashMap<String, Option<Arc<str>>>,
    /// By the path of the file that they are of.
    indexes: HashMap<String, Result<Arc<Index>, &'static str>>,
}

/// A path with the separators that archives should have.
fn slashed(path: &str) -> String {
    path.replace('\\', "/")
}

fn parts(path: &str) -> (&str, &str) {
    path.split_at(path.rfind('/').map_or(0, |at| at + 1))
}

impl Collected {
    /// Whether a path may be one of a collection: cheap, and true of others too.
    pub(super) fn hinted(path: &str) -> bool {
        let path = slashed(path);
        MARKS.contains(&parts(&path).1) || path.split('/').any(|part| part == UPLOADS)
    }

    /// Whether a file tells of others, so that its content is needed.
    pub(super) fn tells(path: &str) -> bool {
        let path = slashed(path);
        let name = parts(&path).1;
        let is_index = || path.split('/').any(|part| part == UPLOADS);
        name == CLIENT || name == UPLOADED || (name.ends_with(INDEX) && is_index())
    }

    /// What is to be known of the collections in an archive called `archive` that has these paths;
    /// `read` gives what is in one.
    pub(super) fn gather<'p>(
        archive: &str,
        paths: impl Iterator<Item = &'p str> + Clone,
        mut read: impl FnMut(&str) -> Option<Vec<u8>>,
    ) -> Collected {
        let mut collected = Collected::default();
        let mut hosts: HashMap<String, Arc<str>> = HashMap::new();
        for path in paths.clone() {
            let slashed = slashed(path);
            let (folder, name) = parts(&slashed);
            if !MARKS.contains(&name) {
                continue;
            }
            collected.roots.insert(folder.to_owned(), None);
            if name == CLIENT
                && let Some(host) = read(path).as_deref().and_then(layout::host)
            {
                hosts.insert(folder.to_owned(), host.into());
            }
        }
        let named = archive.rsplit(['/', '\\', '!']).next().and_then(layout::host_by_collector);
        for (root, host) in &mut collected.roots {
            let above = std::iter::successors(Some(root.as_str()), |folder| {
                folder.strip_suffix('/').map(|folder| parts(folder).0)
            });
            let told = above.take(ABOVE).find_map(|folder| hosts.get(folder).cloned());
            let top = root.is_empty() || root == "./";
            *host = told.or_else(|| named.clone().filter(|_| top).map(Into::into));
        }
        if !collected.roots.is_empty() {
            collected.read_indexes(paths, read);
        }
        collected
    }

    fn read_indexes<'p>(
        &mut self,
        paths: impl Iterator<Item = &'p str> + Clone,
        mut read: impl FnMut(&str) -> Option<Vec<u8>>,
    ) {
        let mut left = ALL_PIECES;
        let mut uploads = Vec::new();
        for path in paths.clone() {
            let slashed = slashed(path);
            let (folder, name) = parts(&slashed);
            if name == UPLOADED && self.roots.contains_key(folder) {
                let told = read(path).map(|text| layout::indexes(&text)).unwrap_or_default();
                uploads.extend(told.into_iter().map(|index| format!("{folder}{index}")));
            }
            let Some(file) = slashed.strip_suffix(INDEX) else { continue };
            if self.root(file).is_none() {
                continue;
            }
            let index = match read(path).ok_or("it cannot be read").and_then(|t| Index::read(&t)) {
                Ok(index) => match left.checked_sub(index.pieces()) {
                    Some(rest) => {
                        left = rest;
                        Ok(Arc::new(index))
                    }
                    None => Err("there are too many ranges in all"),
                },
                Err(why) => Err(why),
            };
            self.indexes.insert(file.to_owned(), index);
        }
        // Those that ought to be there.
        let mut missing: HashSet<String> = uploads.into_iter().collect();
        for file in self.indexes.keys() {
            missing.remove(&format!("{}{INDEX}", self.shown(file)));
        }
        if missing.is_empty() {
            return;
        }
        for path in paths {
            let slashed = slashed(path);
            if missing.contains(&format!("{}{INDEX}", self.shown(&slashed))) {
                self.indexes.entry(slashed).or_insert(Err(MISSING));
            }
        }
    }

    /// What the paths of its collection begin with, and its host.
    fn root(&self, path: &str) -> Option<(usize, &Option<Arc<str>>)> {
        if self.roots.is_empty() {
            return None;
        }
        let folders = path.match_indices(UPLOADS).map(|(at, _)| at).filter(|at| {
            let after = path.as_bytes().get(at + UPLOADS.len());
            (*at == 0 || path.as_bytes().get(at - 1) == Some(&b'/')) && after == Some(&b'/')
        });
        folders
            .filter_map(|at| path.get(..at).and_then(|root| Some((at, self.roots.get(root)?))))
            .next()
    }

    /// The path as it was.
    fn shown(&self, path: &str) -> String {
        let root = self.root(path).and_then(|(at, _)| path.split_at_checked(at));
        root.map_or_else(
            || path.to_owned(),
            |(root, rest)| root.to_owned() + &percent_decoded(rest),
        )
    }

    /// What is said of a file.
    pub(super) fn of(&self, path: &str) -> Told {
        if self.roots.is_empty() {
            return Told::default();
        }
        let slashed = slashed(path);
        let Some((_, host)) = self.root(&slashed) else { return Told::default() };
        let holes = match self.indexes.get(&slashed) {
            None => Holes::None,
            Some(Ok(index)) => Holes::Index(Arc::clone(index)),
            Some(Err(why)) => Holes::Lost(why),
        };
        let shown = Some(self.shown(&slashed)).filter(|shown| *shown != slashed);
        Told { shown, host: host.clone(), holes }
    }
}

/// What the collections in folders say of their files.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// The folder that was asked for last: its files come one after the other.
    last: Option<(PathBuf, Folder)>,
    /// By where they are; nothing for what is none.
    roots: HashMap<PathBuf, Option<Arc<Root>>>,
}

/// A folder that may be one of a collection.
#[derive(Debug, Clone, Default)]
struct Folder {
    host: Option<Arc<str>>,
    /// The collection, and how many parts of a path are below it, that of a file included.
    root: Option<(Arc<Root>, usize)>,
}

#[derive(Debug)]
struct Root {
    host: Option<Arc<str>>,
    /// The indexes that ought to be there.
    indexes: HashSet<String>,
}

impl Folders {
    /// What is said of the file at `real`, which is shown as `path`.
    pub(super) fn of(&mut self, real: &Path, path: &Path) -> Told {
        let Some(parent) = real.parent() else { return Told::default() };
        if self.last.as_ref().is_none_or(|(last, _)| last != parent) {
            let folder = self.folder(parent);
            self.last = Some((parent.to_owned(), folder));
        }
        let Some((_, folder)) = &self.last else { return Told::default() };
        let Some((root, below)) = &folder.root else {
            return Told { host: folder.host.clone(), ..Told::default() };
        };
        let name = display_name(path);
        let mut separators = name.rmatch_indices(path::is_separator).map(|(at, _)| at + 1);
        let at = separators.nth(below.saturating_sub(1)).unwrap_or(0);
        let (before, rest) = name.split_at_checked(at).unwrap_or(("", &name));
        let decoded = percent_decoded(rest);
        let index = || {
            let mut index = real.as_os_str().to_owned();
            index.push(INDEX);
            PathBuf::from(index)
        };
        let holes = match read(&index()) {
            Some(text) => match text.ok_or("it cannot be read").and_then(|t| Index::read(&t)) {
                Ok(index) => Holes::Index(Arc::new(index)),
                Err(why) => Holes::Lost(why),
            },
            None => {
                let below = decoded.replace(path::MAIN_SEPARATOR, "/");
                let told = root.indexes.contains(&format!("{UPLOADS}/{below}{INDEX}"));
                if told { Holes::Lost(MISSING) } else { Holes::None }
            }
        };
        let shown = (decoded != rest).then(|| format!("{before}{decoded}"));
        Told { shown, host: folder.host.clone(), holes }
    }

    fn folder(&mut self, real: &Path) -> Folder {
        let is_uploads = |folder: &&Path| folder.file_name() == Some(OsStr::new(UPLOADS));
        // The outermost: the host may have had a folder of that name.
        let uploads: Vec<&Path> = real.ancestors().filter(is_uploads).collect();
        for uploads in uploads.into_iter().rev() {
            let Some(at) = uploads.parent() else { continue };
            let root = self.roots.entry(at.to_owned()).or_insert_with(|| root(at).map(Arc::new));
            if let Some(root) = root {
                let below = real.strip_prefix(uploads).map_or(0, |path| path.components().count());
                let (root, host) = (Arc::clone(root), root.host.clone());
                return Folder { host, root: Some((root, below + 1)) };
            }
        }
        let names = real.ancestors().filter_map(|folder| folder.file_name()?.to_str());
        let host = names.filter(|name| name.starts_with("uac-")).find_map(layout::host_by_uac);
        Folder { host: host.map(Into::into), root: None }
    }
}

/// The collection that is unpacked in a folder, if one is.
fn root(folder: &Path) -> Option<Root> {
    if !MARKS.iter().any(|mark| folder.join(mark).is_file()) {
        return None;
    }
    let hosts = folder.ancestors().take(ABOVE).map(|folder| folder.join(CLIENT));
    let told = hosts.filter_map(|file| read(&file)?).find_map(|text| layout::host(&text));
    let named = || layout::host_by_collector(folder.file_name()?.to_str()?);
    let host = told.or_else(named).map(Into::into);
    let uploads = read(&folder.join(UPLOADED)).flatten();
    let indexes = uploads.map(|text| layout::indexes(&text)).unwrap_or_default();
    Some(Root { host, indexes: indexes.into_iter().collect() })
}

/// What is in a file, if there is one: nothing if it cannot be read or is too long.
fn read(path: &Path) -> Option<Option<Vec<u8>>> {
    if !path.is_file() {
        return None;
    }
    Some(FileBytes::open(path).ok().and_then(|bytes| all(Arc::new(bytes))))
}

/// All of these bytes, unless they are too many.
pub(super) fn all(bytes: Arc<dyn ReadAt>) -> Option<Vec<u8>> {
    let size = usize::try_from(bytes.size()).ok().filter(|size| *size <= LONGEST)?;
    let mut text = vec![0; size];
    let (n, read) = fill(&mut Cursor::new(bytes), &mut text);
    (read.is_ok() && n == size).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDX: &str = r#"{"ranges":[{"FileLength":2,"Length":4}]}"#;

    fn gathered(archive: &str, files: &[(&str, &str)]) -> Collected {
        let paths = files.iter().map(|file| file.0);
        let read = |path: &str| {
            let file = files.iter().find(|file| file.0 == path)?;
            Some(file.1.as_bytes().to_vec()).filter(|text| text != b"unreadable")
        };
        Collected::gather(archive, paths, read)
    }

    /// Shown path, host, holes.
    fn told(collected: &Collected, path: &str) -> (String, String, String) {
        let told = collected.of(path);
        let holes = match told.holes {
            Holes::None => "none".to_owned(),
            Holes::Index(index) => index.size().to_string(),
            Holes::Lost(why) => why.to_owned(),
        };
        let host = told.host.map_or_else(String::new, |host| host.to_string());
        (told.shown.unwrap_or_else(|| path.to_owned()), host, holes)
    }

    #[test]
    fn what_a_collection_says_of_its_files() {
        let collected = gathered(
            "x/Collection-NAMED-2024-01-02T03_04_05Z.zip",
            &[
                ("client_info.json", r#"{"Hostname":"A"}"#),
                ("uploads/auto/C%3A/a%254b.evtx", ""),
                ("uploads/auto/C%3A/a%254b.evtx.idx", IDX),
                ("uploads/auto/bad", ""),
                ("uploads/auto/bad.idx", "{"),
                ("uploads/auto/unread", ""),
                ("uploads/auto/unread.idx", "unreadable"),
                ("uploads/auto/gone%3A", ""),
                (
                    "uploads.json",
                    concat!(
                        r#"{"_Components":["uploads","auto","gone:"],"Type":"idx"}"#,
                        r#"{"_Components":["uploads","auto","C:","a%4b.evtx"],"Type":"idx"}"#
                    ),
                ),
                ("clients/B/client_info.json", r#"{"hostname":"B"}"#),
                ("clients/B/collections/F/collection_context.json", ""),
                ("clients/B/collections/F/uploads/auto/x%3A", ""),
                (r"win\collection_context.json", ""),
                (r"win\uploads\auto\x%3A", ""),
                ("other/uploads/x%3A", ""),
                ("myuploads/x%3A", ""),
            ],
        );
        for (path, shown, host, holes) in [
            ("uploads/auto/C%3A/a%254b.evtx", "uploads/auto/C:/a%4b.evtx", "A", "4"),
            ("uploads/auto/C%3A/a%254b.evtx.idx", "uploads/auto/C:/a%4b.evtx.idx", "A", "none"),
            ("uploads/auto/bad", "uploads/auto/bad", "A", "it is no JSON"),
            ("uploads/auto/unread", "uploads/auto/unread", "A", "it cannot be read"),
            ("uploads/auto/gone%3A", "uploads/auto/gone:", "A", MISSING),
            (
                "clients/B/collections/F/uploads/auto/x%3A",
                "clients/B/collections/F/uploads/auto/x:",
                "B",
                "none",
            ),
            (r"win\uploads\auto\x%3A", "win/uploads/auto/x:", "A", "none"),
            ("other/uploads/x%3A", "other/uploads/x%3A", "", "none"),
            ("myuploads/x%3A", "myuploads/x%3A", "", "none"),
        ] {
            let want = (shown.to_owned(), host.to_owned(), holes.to_owned());
            assert_eq!(told(&collected, path), want, "{path}");
        }
        let named = gathered(
            "x/Collection-NAMED-2024-01-02T03_04_05Z.zip",
            &[("./uploads.json", ""), ("./uploads/auto/x", "")],
        );
        assert_eq!(told(&named, "./uploads/auto/x").1, "NAMED");
        let none = gathered("a.zip", &[("uploads/auto/x%3A", ""), ("uploads/auto/x%3A.idx", IDX)]);
        assert_eq!(told(&none, "uploads/auto/x%3A").0, "uploads/auto/x%3A");
    }

    #[test]
    fn a_folder_says_what_the_archive_does() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let write = |path: &str, text: &str| {
            let path = base.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("c/client_info.json", r#"{"Hostname":"A"}"#);
        write("c/uploads/auto/C%3A/a%254b.evtx", "");
        write("c/uploads/auto/C%3A/a%254b.evtx.idx", IDX);
        write("c/uploads/auto/C%3A/uploads/x%3A", "");
        write("c/uploads/auto/gone", "");
        write("c/uploads.json", r#"{"_Components":["uploads","auto","gone"],"Type":"idx"}"#);
        write("d/uploads/auto/C%3A/a", "");
        write("uac-web-linux-20240102030405/[root]/var/a", "");
        write("Collection-N-2024-01-02T03_04_05Z/uploads.json", "");
        write("Collection-N-2024-01-02T03_04_05Z/uploads/auto/x", "");
        let mut folders = Folders::default();
        for (path, shown, host, holes) in [
            ("c/uploads/auto/C%3A/a%254b.evtx", "c/uploads/auto/C:/a%4b.evtx", "A", "4"),
            ("c/uploads/auto/C%3A/uploads/x%3A", "c/uploads/auto/C:/uploads/x:", "A", "none"),
            ("c/uploads/auto/gone", "c/uploads/auto/gone", "A", MISSING),
            ("d/uploads/auto/C%3A/a", "d/uploads/auto/C%3A/a", "", "none"),
            (
                "uac-web-linux-20240102030405/[root]/var/a",
                "uac-web-linux-20240102030405/[root]/var/a",
                "web",
                "none",
            ),
            (
                "Collection-N-2024-01-02T03_04_05Z/uploads/auto/x",
                "Collection-N-2024-01-02T03_04_05Z/uploads/auto/x",
                "N",
                "none",
            ),
        ] {
            let told = folders.of(&base.join(path), Path::new(path));
            let holes_told = match &told.holes {
                Holes::None => "none".to_owned(),
                Holes::Index(index) => index.size().to_string(),
                Holes::Lost(why) => (*why).to_owned(),
            };
            assert_eq!(told.shown.as_deref().unwrap_or(path).replace('\\', "/"), shown);
            assert_eq!((told.host.as_deref().unwrap_or(""), &*holes_told), (host, holes), "{path}");
        }
        // Named from within.
        let real = base.join("c/uploads/auto/C%3A/a%254b.evtx");
        for (path, shown) in [("a%254b.evtx", "a%4b.evtx"), ("C%3A/a%254b.evtx", "C:/a%4b.evtx")] {
            let told = folders.of(&real, Path::new(path));
            assert_eq!(told.shown.unwrap(), shown);
        }
    }
}
