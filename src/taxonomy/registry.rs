//! Security event 4657 in Sysmon's words.
//!
//! 4657 tells of a registry *value*: its key by the kernel's name (`\REGISTRY\MACHINE\…`) in one
//! field, its own name in another. Sysmon writes `HKLM\…\key\value` for values and `HKLM\…\key` for
//! keys in one field. No 4657 is written when a key itself comes or goes: what happens to its values
//! is all that this event has of it. Therefore both the value's path and the key's are values of
//! `TargetObject`.
//!
//! What follows from that, knowingly:
//! - A rule for a key that was made or deleted (`endswith` its name) hits when a value directly in
//!   it was. That is what is wanted for deletions (removing the key removes its values), and it may
//!   report the deletion of a single value as well.
//! - `endswith '\Run'`, meant for a value of that name, hits also for any value in a key of that
//!   name; and a filter written so filters more. Of SigmaHQ's 38 such filters (August 2026) each ends
//!   in a value's or, for keys made or deleted, in a key's full name, so that none loses a hit; one
//!   needs the key's path to filter at all. `contains` sees no difference, except that a `\` after
//!   the key is in the value's path alone.
//! - `\(Default)` stands for the value without a name, as in Sysmon.
//!
//! Sysmon shows the control set in use as `CurrentControlSet`; which one that was is not known
//! offline, so a path in a numbered one has both spellings. A path in `HKLM\SOFTWARE\Classes` is
//! also given as `HKCR`, where Sysmon shows it.
//!
//! Source of facts: Microsoft's documentation of 4657, Sysmon's logs of the same changes.

use super::transform::{hexadecimal, is_named, push_number, strip_prefix_nocase};
use crate::event::Texts;

/// How Sysmon names the value without a name.
const DEFAULT_VALUE: &[u8] = b"(Default)";

/// A key's path: a root of ours and the rest as it was.
type Path<'a> = (&'static [u8], &'a [u8]);

/// Adds the paths of a value and of its key, in each of its spellings.
pub(super) fn push_paths(key: &[u8], value: Option<&[u8]>, out: &mut Texts) {
    let path = rooted(key);
    for path in [Some(path), other_name(path)].into_iter().flatten() {
        if let Some(value) = value {
            out.push_with(|out| {
                append(path, out);
                out.push(b'\\');
                out.extend_from_slice(if is_named(value) { value } else { DEFAULT_VALUE });
            });
        }
        out.push_with(|out| append(path, out));
    }
}

fn append((root, rest): Path<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(root);
    out.extend_from_slice(rest);
}

/// The path with the kernel's root replaced; other roots (the hives of packaged applications) stay.
fn rooted(key: &[u8]) -> Path<'_> {
    for (kernel, root) in
        [(&b"\\REGISTRY\\MACHINE"[..], &b"HKLM"[..]), (b"\\REGISTRY\\USER", b"HKU")]
    {
        if let Some(rest) = in_key(key, kernel) {
            return (root, rest);
        }
    }
    (b"", key)
}

/// The name under which Sysmon shows it, if that is another.
fn other_name((root, rest): Path<'_>) -> Option<Path<'_>> {
    if root != b"HKLM" {
        return None;
    }
    if let Some(rest) = in_key(rest, b"\\SOFTWARE\\Classes") {
        return Some((b"HKCR", rest));
    }
    let numbered = strip_prefix_nocase(rest, b"\\SYSTEM\\ControlSet")?;
    let (number, rest) = numbered.split_at_checked(3)?;
    let whole = number.iter().all(u8::is_ascii_digit) && is_key_end(rest);
    whole.then_some((b"HKLM\\System\\CurrentControlSet", rest))
}

/// What follows `parent` in the path of `key`, from its backslash on.
fn in_key<'k>(key: &'k [u8], parent: &[u8]) -> Option<&'k [u8]> {
    strip_prefix_nocase(key, parent).filter(|rest| is_key_end(rest))
}

fn is_key_end(rest: &[u8]) -> bool {
    matches!(rest.first(), None | Some(b'\\'))
}

/// Adds the data as they are and as Sysmon writes them.
///
/// Nothing for `-` of no type: that is a value that was deleted, for which Sysmon has no `Details`.
pub(super) fn push_data(data: &[u8], kind: &[u8], out: &mut Texts) {
    if data == b"-" && !is_named(kind) {
        return;
    }
    out.push(data);
    match kind {
        // REG_BINARY
        b"%%1875" => out.push(b"Binary Data"),
        // REG_DWORD
        b"%%1876" => {
            if let Some(n) = number(data).and_then(|n| u32::try_from(n).ok()) {
                push_number(format_args!("DWORD (0x{n:08x})"), out);
            }
        }
        // REG_QWORD
        b"%%1883" => {
            if let Some(n) = number(data) {
                let (high, low) = (n >> 32, n & 0xFFFF_FFFF);
                push_number(format_args!("QWORD (0x{high:08x}-0x{low:08x})"), out);
            }
        }
        // REG_SZ and the other texts
        _ if data.is_empty() => out.push(b"(Empty)"),
        _ => {}
    }
}

/// A number as 4657 shows one: decimal; hexadecimal is read too.
fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    hexadecimal(text).or_else(|| std::str::from_utf8(text).ok()?.parse().ok())
}

/// Adds what Sysmon's `EventType` would be; text that is none of the codes (an event forwarded in
/// rendered form) stays as it is.
pub(super) fn push_operation(text: &[u8], out: &mut Texts) {
    match text {
        // A new value, which Sysmon tells as a value set; a rule for new things means it too.
        b"%%1904" => ["SetValue", "CreateKey"].iter().for_each(|t| out.push(t.as_bytes())),
        b"%%1905" => out.push(b"SetValue"),
        b"%%1906" => out.push(b"DeleteValue"),
        other => out.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(fill: impl FnOnce(&mut Texts)) -> Vec<String> {
        let mut out = Texts::new();
        fill(&mut out);
        out.range(0, out.len()).map(|t| String::from_utf8(t.to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_value_has_its_own_path_and_its_key_s() {
        for (key, value, want) in [
            (
                r"\REGISTRY\MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion\Run",
                Some("upd"),
                &[
                    r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\upd",
                    r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run",
                ][..],
            ),
            (
                r"\Registry\User\S-1-5-21-1-2-3-1001\Environment",
                Some(""),
                &[
                    r"HKU\S-1-5-21-1-2-3-1001\Environment\(Default)",
                    r"HKU\S-1-5-21-1-2-3-1001\Environment",
                ],
            ),
            (
                r"\REGISTRY\MACHINE\SYSTEM\ControlSet001\Services\x",
                Some("ImagePath"),
                &[
                    r"HKLM\SYSTEM\ControlSet001\Services\x\ImagePath",
                    r"HKLM\SYSTEM\ControlSet001\Services\x",
                    r"HKLM\System\CurrentControlSet\Services\x\ImagePath",
                    r"HKLM\System\CurrentControlSet\Services\x",
                ],
            ),
            (
                r"\REGISTRY\MACHINE\SOFTWARE\Classes\.txt",
                Some("-"),
                &[
                    r"HKLM\SOFTWARE\Classes\.txt\(Default)",
                    r"HKLM\SOFTWARE\Classes\.txt",
                    r"HKCR\.txt\(Default)",
                    r"HKCR\.txt",
                ],
            ),
            (r"\REGISTRY\MACHINE", None, &["HKLM"]),
            (r"\REGISTRY\A\{ab}\x", Some("y"), &[r"\REGISTRY\A\{ab}\x\y", r"\REGISTRY\A\{ab}\x"]),
            (r"\REGISTRY\MACHINERY", None, &[r"\REGISTRY\MACHINERY"]),
            (r"\REGISTRY\MACHINE\SYSTEM\ControlSet01x\y", None, &[r"HKLM\SYSTEM\ControlSet01x\y"]),
            (r"\REGISTRY\MACHINE\SYSTEM\ControlSet00é", None, &[r"HKLM\SYSTEM\ControlSet00é"]),
            (r"\REGISTRY\MACHINE\SOFTWARE\Classesx", None, &[r"HKLM\SOFTWARE\Classesx"]),
            ("", Some("-"), &[r"\(Default)", ""]),
        ] {
            let got = texts(|out| push_paths(key.as_bytes(), value.map(str::as_bytes), out));
            assert_eq!(got, want, "{key} {value:?}");
        }
    }

    #[test]
    fn data_are_also_in_sysmon_s_words() {
        for (data, kind, want) in [
            ("1", "%%1876", &["1", "DWORD (0x00000001)"][..]),
            ("4294967295", "%%1876", &["4294967295", "DWORD (0xffffffff)"]),
            ("4294967296", "%%1876", &["4294967296"]),
            ("0x1f", "%%1876", &["0x1f", "DWORD (0x0000001f)"]),
            ("4294967298", "%%1883", &["4294967298", "QWORD (0x00000001-0x00000002)"]),
            ("0A 0B", "%%1875", &["0A 0B", "Binary Data"]),
            ("C:\\x.exe", "%%1873", &["C:\\x.exe"]),
            ("", "%%1874", &["", "(Empty)"]),
            ("", "%%1879", &["", "(Empty)"]),
            ("-", "%%1873", &["-"]),
            ("-", "-", &[]),
            ("-", "", &[]),
            ("text", "", &["text"]),
            ("many", "%%1876", &["many"]),
        ] {
            let got = texts(|out| push_data(data.as_bytes(), kind.as_bytes(), out));
            assert_eq!(got, want, "{data} {kind}");
        }
    }

    #[test]
    fn operations_are_sysmon_s_event_types() {
        for (code, want) in [
            ("%%1904", &["SetValue", "CreateKey"][..]),
            ("%%1905", &["SetValue"]),
            ("%%1906", &["DeleteValue"]),
            ("New registry value created", &["New registry value created"]),
        ] {
            assert_eq!(texts(|out| push_operation(code.as_bytes(), out)), want);
        }
    }
}
