//! Values that an event has only in other words: a Sigma field that is put together, split off or
//! translated from what the event says.
//!
//! A transform gets the texts of its inputs as they are in the event (case kept) and adds none, one
//! or several texts. Where the event's own text stays a value of the field too, the field has the
//! leaf as a source of its own and the transform adds only what is different.
//!
//! Invariants: texts in are UTF-8 and so are texts out, since all splitting is at ASCII bytes; no
//! transform allocates, and what it writes is at most a few times what it reads and a constant.
//!
//! Source of facts: what Sysmon writes for the same things, and Microsoft's documentation of the
//! Security events.

use super::registry;
use crate::event::Texts;

/// The input texts of a [`Transform`]: the values of several leaves, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    texts: &'a Texts,
    ends: &'a [usize],
}

impl<'a> Inputs<'a> {
    /// The values of input `i` are the texts from `ends[i - 1]` (the first ones from 0) up to, but
    /// not with, `ends[i]`.
    #[must_use]
    pub fn new(texts: &'a Texts, ends: &'a [usize]) -> Inputs<'a> {
        Inputs { texts, ends }
    }

    /// How many inputs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The values of an input.
    pub fn values(&self, input: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let end = self.ends.get(input).copied().unwrap_or(0);
        let start = input.checked_sub(1).and_then(|i| self.ends.get(i).copied()).unwrap_or(0);
        self.texts.range(start, end)
    }

    /// The first value of an input.
    #[must_use]
    pub fn first(&self, input: usize) -> Option<&'a [u8]> {
        self.values(input).next()
    }

    /// The values of all inputs.
    pub fn all(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.texts.range(0, self.ends.last().copied().unwrap_or(0))
    }
}

/// How a value is derived.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transform {
    /// `4` → `Information`
    LevelName,
    /// `0x7f0` → `2032`
    HexToDecimal,
    /// Sid, domain, name → `DOMAIN\name`, and `NT AUTHORITY\SYSTEM` or its like for such a sid.
    Account,
    /// The same of two accounts, the one a process was started as and the one that started it: of
    /// the first, if it is named.
    ProcessAccount,
    /// The same choice for the two's logon ids.
    ProcessLogonId,
    /// `S-1-16-12288` → `High`
    IntegrityLevel,
    /// Key and value name → Sysmon's `TargetObject`.
    RegistryPath,
    /// Data and type → Sysmon's `Details`; the data as they are, too.
    RegistryData,
    /// `%%1905` → `SetValue`
    RegistryOperation,
    /// `\device\harddiskvolume2\x` → `C:\x`: which letter the volume had is not known offline.
    DrivePath,
    /// `6` → `tcp`
    ProtocolName,
    /// `%%14593` (outbound) → `true`
    Initiated,
    /// `containerfile:_C:\a.zip; file:_C:\a.zip->b` → `C:\a.zip` and `C:\a.zip->b`
    ThreatPath,
    /// The hash of this kind in `MD5=…,SHA256=…`.
    Hash(HashKind),
    /// `::ffff:10.0.0.1` → `10.0.0.1`
    PlainIpv4,
    /// `%{guid}` → `guid`
    BareGuid,
    /// The nth of all values, from 1.
    Nth(u8),
    /// What follows `key=` in a line of the nth of all values, from 1: the block of details in
    /// events of the classic PowerShell log.
    Detail {
        /// Which value.
        nth: u8,
        /// The name before `=`.
        key: Box<str>,
    },
    /// What follows `key =` in a line, blanks in the key aside: `ContextInfo` of PowerShell 4103.
    Context {
        /// The name before `=`.
        key: Box<str>,
    },
    /// All values, each on a line of its own.
    Lines,
}

/// A kind of hash that Sysmon writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashKind {
    /// `MD5`
    Md5,
    /// `SHA1`
    Sha1,
    /// `SHA256`
    Sha256,
    /// `IMPHASH`: of an executable's import table.
    Imphash,
}

impl HashKind {
    fn as_str(self) -> &'static str {
        match self {
            HashKind::Md5 => "md5",
            HashKind::Sha1 => "sha1",
            HashKind::Sha256 => "sha256",
            HashKind::Imphash => "imphash",
        }
    }
}

impl Transform {
    /// Reads a transform's name in the tables; `key` is the field's name, for those that look it up.
    pub(super) fn from_name(name: &str, key: &str) -> Option<Transform> {
        let numbered = |function: &str| -> Option<u8> {
            name.strip_prefix(function)?.strip_prefix('(')?.strip_suffix(')')?.parse().ok()
        };
        Some(match name {
            "level_name" => Transform::LevelName,
            "hex_to_decimal" => Transform::HexToDecimal,
            "account" => Transform::Account,
            "process_account" => Transform::ProcessAccount,
            "process_logon_id" => Transform::ProcessLogonId,
            "integrity_level" => Transform::IntegrityLevel,
            "registry_path" => Transform::RegistryPath,
            "registry_data" => Transform::RegistryData,
            "registry_operation" => Transform::RegistryOperation,
            "drive_path" => Transform::DrivePath,
            "protocol_name" => Transform::ProtocolName,
            "initiated" => Transform::Initiated,
            "threat_path" => Transform::ThreatPath,
            "hash(md5)" => Transform::Hash(HashKind::Md5),
            "hash(sha1)" => Transform::Hash(HashKind::Sha1),
            "hash(sha256)" => Transform::Hash(HashKind::Sha256),
            "hash(imphash)" => Transform::Hash(HashKind::Imphash),
            "plain_ipv4" => Transform::PlainIpv4,
            "bare_guid" => Transform::BareGuid,
            "context" => Transform::Context { key: key.into() },
            "lines" => Transform::Lines,
            _ => match (numbered("nth"), numbered("detail")) {
                (Some(nth), _) => Transform::Nth(nth),
                (_, Some(nth)) => Transform::Detail { nth, key: key.into() },
                _ => return None,
            },
        })
    }

    /// Adds the derived texts to `out`.
    pub fn apply(&self, inputs: &Inputs<'_>, out: &mut Texts) {
        match self {
            Transform::Account => {
                account(inputs.first(0), inputs.first(1), inputs.first(2), out);
            }
            Transform::ProcessAccount => {
                let (sid, domain, name) =
                    if inputs.first(2).is_some_and(is_named) { (0, 1, 2) } else { (3, 4, 5) };
                account(inputs.first(sid), inputs.first(domain), inputs.first(name), out);
            }
            Transform::ProcessLogonId => {
                let of_target = inputs.first(0).filter(|id| is_named(id) && id != b"0x0");
                of_target.or(inputs.first(1)).into_iter().for_each(|id| out.push(id));
            }
            Transform::RegistryPath => {
                if let Some(key) = inputs.first(0) {
                    registry::push_paths(key, inputs.first(1), out);
                }
            }
            Transform::RegistryData => {
                if let Some(data) = inputs.first(0) {
                    registry::push_data(data, inputs.first(1).unwrap_or_default(), out);
                }
            }
            Transform::Nth(nth) => {
                nth_of(inputs, *nth).into_iter().for_each(|text| out.push(text));
            }
            Transform::Detail { nth, key } => {
                if let Some(block) = nth_of(inputs, *nth) {
                    details(block, key.as_bytes(), out);
                }
            }
            Transform::Lines => lines(inputs, out),
            each => inputs.all().for_each(|text| each.apply_to(text, out)),
        }
    }

    /// Those transforms that look at each value by itself.
    fn apply_to(&self, text: &[u8], out: &mut Texts) {
        match self {
            Transform::LevelName => push_known(text, LEVELS, out),
            Transform::IntegrityLevel => push_known(text, INTEGRITY_LEVELS, out),
            Transform::RegistryOperation => registry::push_operation(text, out),
            Transform::ProtocolName => push_known(text, PROTOCOLS, out),
            Transform::Initiated => push_known(text, DIRECTIONS, out),
            Transform::HexToDecimal => {
                if let Some(n) = hexadecimal(text) {
                    push_number(n, out);
                }
            }
            Transform::DrivePath => {
                if let Some(rest) = in_volume(text) {
                    out.push_with(|out| {
                        out.extend_from_slice(b"C:");
                        out.extend_from_slice(rest);
                    });
                }
            }
            Transform::ThreatPath => threat_paths(text, out),
            Transform::Hash(kind) => hashes(text, kind.as_str().as_bytes(), out),
            Transform::PlainIpv4 => {
                if let Some(rest) = strip_prefix_nocase(text, b"::ffff:").filter(|t| is_ipv4(t)) {
                    out.push(rest);
                }
            }
            Transform::BareGuid => {
                if let Some(guid) = text.strip_prefix(b"%{").and_then(|t| t.strip_suffix(b"}")) {
                    out.push(guid);
                }
            }
            Transform::Context { key } => contexts(text, key.as_bytes(), out),
            // The others look at their inputs together, in `apply`.
            _ => {}
        }
    }
}

/// `winmeta.xml`; 0 is also what an event without a level has.
const LEVELS: &[(&str, &str)] = &[
    ("0", "LogAlways"),
    ("1", "Critical"),
    ("2", "Error"),
    ("3", "Warning"),
    ("4", "Information"),
    ("5", "Verbose"),
];

/// The mandatory label of a token ([MS-DTYP] 2.4.2.4), as Sysmon names it; 8448 is "medium plus".
const INTEGRITY_LEVELS: &[(&str, &str)] = &[
    ("S-1-16-0", "Untrusted"),
    ("S-1-16-4096", "Low"),
    ("S-1-16-8192", "Medium"),
    ("S-1-16-8448", "Medium"),
    ("S-1-16-12288", "High"),
    ("S-1-16-16384", "System"),
    ("S-1-16-20480", "Protected"),
];

/// IANA protocol numbers, as far as Sysmon names them.
const PROTOCOLS: &[(&str, &str)] = &[("6", "tcp"), ("17", "udp")];

/// The Security log's codes for inbound and outbound.
const DIRECTIONS: &[(&str, &str)] = &[("%%14592", "false"), ("%%14593", "true")];

/// Accounts that Sysmon shows by name, and the Security log by the name of the computer.
const WELL_KNOWN_ACCOUNTS: &[(&str, &str)] = &[
    ("S-1-5-18", "NT AUTHORITY\\SYSTEM"),
    ("S-1-5-19", "NT AUTHORITY\\LOCAL SERVICE"),
    ("S-1-5-20", "NT AUTHORITY\\NETWORK SERVICE"),
];

fn push_known(text: &[u8], known: &[(&str, &str)], out: &mut Texts) {
    let text = text.trim_ascii();
    if let Some((_, name)) = known.iter().find(|(k, _)| k.as_bytes().eq_ignore_ascii_case(text)) {
        out.push(name.as_bytes());
    }
}

pub(super) fn push_number(n: impl std::fmt::Display, out: &mut Texts) {
    use std::io::Write as _;
    out.push_with(|out| {
        // Writing to memory cannot fail.
        let _ = write!(out, "{n}");
    });
}

/// Whether the Security log gives a name here: it writes `-` where there is none.
pub(super) fn is_named(text: &[u8]) -> bool {
    !matches!(text, b"" | b"-")
}

fn account(sid: Option<&[u8]>, domain: Option<&[u8]>, name: Option<&[u8]>, out: &mut Texts) {
    if let Some(name) = name.filter(|t| is_named(t)) {
        out.push_with(|out| {
            if let Some(domain) = domain.filter(|t| is_named(t)) {
                out.extend_from_slice(domain);
                out.push(b'\\');
            }
            out.extend_from_slice(name);
        });
    }
    push_known(sid.unwrap_or_default(), WELL_KNOWN_ACCOUNTS, out);
}

/// The number in `0x…`, as the hexadecimal types are shown.
pub(super) fn hexadecimal(text: &[u8]) -> Option<u64> {
    let digits = strip_prefix_nocase(text.trim_ascii(), b"0x")?;
    let valid = digits.iter().all(u8::is_ascii_hexdigit);
    u64::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| valid)?, 16).ok()
}

pub(super) fn strip_prefix_nocase<'t>(text: &'t [u8], prefix: &[u8]) -> Option<&'t [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// What follows the volume in a device path, from its backslash on.
fn in_volume(text: &[u8]) -> Option<&[u8]> {
    let rest = strip_prefix_nocase(text, b"\\device\\harddiskvolume")?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    rest.get(digits..).filter(|rest| digits > 0 && rest.first() == Some(&b'\\'))
}

fn is_ipv4(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<std::net::Ipv4Addr>().is_ok())
}

/// The paths in Defender's list of resources: each has a kind before it (`file:_`, `process:_`), and
/// a downloaded file its address and the downloading process after it (`webfile:_path|url|…`).
fn threat_paths(text: &[u8], out: &mut Texts) {
    let mut rest = Some(text);
    while let Some(part) = rest {
        let (resource, after) = match split_once(part, b"; ") {
            Some((resource, after)) => (resource, Some(after)),
            None => (part, None),
        };
        rest = after;
        let path = without_kind(resource);
        if !path.is_empty() && path.len() != text.len() {
            out.push(path);
        }
        if let Some((file, _)) = split_once(path, b"|") {
            out.push(file);
        }
    }
}

fn without_kind(resource: &[u8]) -> &[u8] {
    let kind = resource.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let rest = resource.get(kind..).and_then(|rest| rest.strip_prefix(b":_"));
    rest.filter(|_| kind > 0).unwrap_or(resource)
}

fn hashes(text: &[u8], kind: &[u8], out: &mut Texts) {
    for part in text.split(|b| *b == b',') {
        if let Some((name, value)) = split_pair(part)
            && name.eq_ignore_ascii_case(kind)
        {
            out.push(value);
        }
    }
}

/// Name and value around the first `=`, without the blanks around them.
fn split_pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = split_once(text, b"=")?;
    Some((name.trim_ascii(), value.trim_ascii()))
}

fn split_once<'t>(text: &'t [u8], separator: &[u8]) -> Option<(&'t [u8], &'t [u8])> {
    let (before, rest) = text.split_at_checked(memchr::memmem::find(text, separator)?)?;
    Some((before, rest.get(separator.len()..)?))
}

fn nth_of<'a>(inputs: &Inputs<'a>, nth: u8) -> Option<&'a [u8]> {
    inputs.all().nth(usize::from(nth).checked_sub(1)?)
}

/// The lines of a block of details begin with a tab, so that a value (a script of several lines)
/// may have line breaks of its own. A key that such a value seems to repeat is given each time: a
/// forged line can add a value, it cannot hide the real one.
fn details(block: &[u8], key: &[u8], out: &mut Texts) {
    let mut rest = Some(block);
    while let Some(part) = rest {
        let (line, after) = match split_once(part, b"\n\t") {
            Some((line, after)) => (line, Some(after)),
            None => (part, None),
        };
        rest = after;
        if let Some((name, value)) = split_pair(line)
            && name.eq_ignore_ascii_case(key)
        {
            out.push(value);
        }
    }
}

/// `        Host Application = …`, a line each.
fn contexts(text: &[u8], key: &[u8], out: &mut Texts) {
    for line in text.split(|b| *b == b'\n') {
        let Some((name, value)) = split_pair(line) else { continue };
        let name = name.iter().filter(|b| **b != b' ').map(u8::to_ascii_lowercase);
        if name.eq(key.iter().map(u8::to_ascii_lowercase)) {
            out.push(value);
        }
    }
}

fn lines(inputs: &Inputs<'_>, out: &mut Texts) {
    let mut texts = inputs.all().peekable();
    if texts.peek().is_none() {
        return;
    }
    out.push_with(|out| {
        for (n, text) in texts.enumerate() {
            if n > 0 {
                out.push(b'\n');
            }
            out.extend_from_slice(text);
        }
    });
}

#[cfg(test)]
#[path = "transform_tests.rs"]
mod tests;
