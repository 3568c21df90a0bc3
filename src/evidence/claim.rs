//! What a file's name says that it is, for one whose content says nothing.
//!
//! Content decides what a thing is ([`super::sniff`]). Only of a thing of no known kind the name is
//! asked: a container whose first bytes are damaged would else pass for a file of no interest, and
//! with it every log that is in it.

use super::sniff::{self, Format, Kind};
use super::source::Source;

/// What a name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    /// What it is, with its article.
    what: &'static str,
    /// What it can be read as for all that: what is in it is not found by its first bytes alone.
    pub(super) format: Option<Format>,
    /// Whether logs may stand in it as they are, to be found by a search.
    raw: bool,
    /// Smaller ones are something else by that name, unless there is nothing in them.
    least: u64,
}

/// What holds a log as it is has at least its header and a chunk.
const LOG: u64 = 4096 + 65_536;

/// Raw images have no mark; other things have their names, and those are small.
const RAW: u64 = 1 << 20;

const fn packed(what: &'static str) -> Claim {
    Claim { what, format: None, raw: false, least: 0 }
}

const fn image(what: &'static str, least: u64) -> Claim {
    Claim { what, format: None, raw: true, least }
}

/// Extensions, in small letters. Those that other things have as often are not here: InstallShield
/// has CAB files of its own, and spelling dictionaries are called AFF.
const NAMES: &[(&[&str], Claim)] = &[
    (&["zip"], Claim { format: Some(Format::Zip), ..packed("a zip archive") }),
    (&["tar"], Claim { format: Some(Format::Tar), raw: true, ..packed("a tar archive") }),
    (&["7z"], packed("a 7z archive")),
    (&["rar"], packed("a RAR archive")),
    (&["gz", "tgz"], packed("packed with gzip")),
    (&["xz", "txz"], packed("packed with xz")),
    (&["zst", "tzst"], packed("packed with zstd")),
    (&["bz2", "tbz", "tbz2"], packed("packed with bzip2")),
    (&["lz4"], packed("packed with LZ4")),
    (&["e01"], packed("an E01 image")),
    (&["ex01"], packed("an Ex01 image")),
    (&["l01", "lx01"], packed("a logical image (L01)")),
    (&["ad1"], packed("an AD1 image")),
    (&["aff4"], packed("an AFF4 image")),
    (&["wim"], packed("a WIM image")),
    (&["vmdk"], image("a VMDK image", 0)),
    (&["vhd", "avhd"], image("a VHD image", LOG)),
    (&["vhdx", "avhdx"], image("a VHDX image", LOG)),
    (&["qcow2", "qcow"], image("a qcow2 image", LOG)),
    (&["vdi"], image("a VDI image", LOG)),
    (&["raw", "dd", "img"], image("a raw image", RAW)),
];

/// What the name of a source says that it is.
pub(super) fn of(source: &Source) -> Option<Claim> {
    by_name(source.name(), source.size())
}

/// Whether more of a member of this name has to be kept than its start, which is this: it may be of use.
pub(super) fn is_of_use(start: &[u8], name: &str) -> bool {
    let by_name = || by_name(name, u64::MAX).is_some_and(|claim| claim.format.is_some());
    sniff::kind(start) != Kind::Other || by_name()
}

fn by_name(path: &str, size: u64) -> Option<Claim> {
    let name = path.rsplit(['/', '\\', '!']).next().unwrap_or(path);
    let (stem, extension) = name.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    let (_, claim) = NAMES.iter().find(|(names, _)| names.contains(&extension.as_str()))?;
    let is_extent = extension == "vmdk" && is_extent(stem);
    ((size == 0 || size >= claim.least) && !is_extent).then_some(*claim)
}

/// Whether this is the name of a part of a VMDK image that may begin like anything: `disk-flat`,
/// `disk-f002`, `disk-s002`.
fn is_extent(stem: &str) -> bool {
    let Some((_, part)) = stem.rsplit_once('-') else { return false };
    let numbered = part.strip_prefix(['f', 's']);
    part == "flat"
        || numbered.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Of a part of something that was split, `disk.002`, the names that the first part may have.
pub(super) fn first_parts(name: &str, size: u64) -> Option<[String; 2]> {
    /// A part of an image is larger; a rotated log of such a name is not.
    const PART: u64 = RAW;
    if size < PART {
        return None;
    }
    let (stem, number) = name.rsplit_once('.')?;
    let width = number.len();
    let digits = (3..=5).contains(&width) && number.bytes().all(|b| b.is_ascii_digit());
    let later = digits && number.parse::<u32>().is_ok_and(|number| number > 1);
    later.then(|| [0, 1].map(|first| format!("{stem}.{first:0width$}")))
}

/// What is said of a part whose first part is not there.
pub(super) const LATER_PART: &str = "named like a part of something that was split, and the first part is not beside it: put them \
     together";

impl Claim {
    /// What is said of one that is not what its name says.
    pub(super) fn refuted(&self, size: u64) -> String {
        let Claim { what, raw, .. } = self;
        let like = if what.starts_with("packed") { "as if it were" } else { "like" };
        if size == 0 {
            return format!("named {like} {what} and empty: copy it again");
        }
        if self.least == RAW {
            return format!(
                "named {like} {what} and no volume is known in it: search it by name with --carve"
            );
        }
        let carve = if *raw { ", or search it by name with --carve" } else { "" };
        format!(
            "named {like} {what} and does not begin so: copy it again, or check what it is{carve}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_claim_a_kind() {
        for (path, size, want) in [
            ("case/DC01.E01", 10, Some("an E01 image")),
            ("case.zip!up/x.TAR.gz", 10, Some("packed with gzip")),
            (r"c:\a.b\x.VHDX", LOG, Some("a VHDX image")),
            ("design.vhd", 3000, None),
            ("design.vhd", 0, Some("a VHD image")),
            ("x.vmdk", 512, Some("a VMDK image")),
            ("x-flat.vmdk", 1 << 30, None),
            ("x-f002.vmdk", 1 << 30, None),
            ("x-s002.vmdk", 1 << 30, None),
            ("x-small.vmdk", 512, Some("a VMDK image")),
            ("icon.img", 4096, None),
            ("disk.dd", RAW, Some("a raw image")),
            ("zip", 10, None),
            ("a.zip/notes.txt", 10, None),
            ("x.E02", 10, None),
        ] {
            assert_eq!(by_name(path, size).map(|claim| claim.what), want, "{path}");
        }
    }
}
