//! The values of an event, and the one text form of each.
//!
//! The text form is what Windows shows in an event's XML: GUIDs in braces and lower case, SIDs as
//! `S-1-…`, the hexadecimal types as `0x…` without padding, booleans as words, times in UTC with
//! seven digits of a second, binary data as upper-case hexadecimal digits ([MS-EVEN6] 2.2.12 and
//! what Event Viewer renders). `%%1833` and its like stay as they are.
//!
//! Invariant: [`Value::append_folded`] appends what folding the output of [`Value::append_text`]
//! gives; nothing else in Harrier turns a value into text.

use crate::{bytes, utf16};

/// One value of an event, borrowed from the record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// There and empty (NullType in a substitution that is not optional, an element without text).
    Empty,
    /// UTF-16LE text; it ends at its first NUL.
    Utf16(&'a [u8]),
    /// UTF-8 text.
    Text(&'a str),
    /// Int8 to Int64.
    Signed(i64),
    /// UInt8 to UInt64.
    Unsigned(u64),
    /// HexInt32, HexInt64, SizeT.
    Hex(u64),
    /// Real32.
    Float32(f32),
    /// Real64.
    Float64(f64),
    /// Boolean.
    Bool(bool),
    /// Binary.
    Binary(&'a [u8]),
    /// GUID, as stored.
    Guid(&'a [u8; 16]),
    /// FILETIME: 100 ns since 1601-01-01 UTC.
    FileTime(u64),
    /// SYSTEMTIME, as stored.
    SystemTime(&'a [u8; 16]),
    /// SID, as stored.
    Sid(&'a [u8]),
    /// Text that is put together of several values, one after the other.
    Parts(&'a [Value<'a>]),
}

impl Value<'_> {
    /// Appends the text form, UTF-8.
    #[inline]
    pub fn append_text(self, out: &mut Vec<u8>) {
        match self {
            Value::Utf16(units) => utf16::append_utf8(units, out),
            Value::Text(text) => out.extend_from_slice(text.as_bytes()),
            Value::Unsigned(n) => integer(n, out),
            other => other.append_rarer_text(out),
        }
    }

    fn append_rarer_text(self, out: &mut Vec<u8>) {
        match self {
            Value::Parts(parts) => parts.iter().for_each(|part| part.append_text(out)),
            Value::Binary(data) => data.iter().for_each(|b| append_hex(*b, UPPER, out)),
            Value::FileTime(ticks) => append_time(file_time(ticks), out),
            Value::SystemTime(raw) => append_time(system_time(raw), out),
            Value::Sid(raw) => append_sid(raw, b'S', out),
            Value::Float32(x) => out.extend_from_slice(zmij::Buffer::new().format(x).as_bytes()),
            Value::Float64(x) => out.extend_from_slice(zmij::Buffer::new().format(x).as_bytes()),
            other => other.append_folded(out),
        }
    }

    /// Appends the folded text form, UTF-8.
    pub fn append_folded(self, out: &mut Vec<u8>) {
        match self {
            Value::Empty => {}
            Value::Utf16(units) => utf16::append_folded_utf16(units, out),
            Value::Text(text) => utf16::append_folded(text, out),
            Value::Signed(n) => integer(n, out),
            Value::Unsigned(n) => integer(n, out),
            Value::Hex(n) => append_hex_number(n, out),
            Value::Float32(x) => append_float(zmij::Buffer::new().format(x), out),
            Value::Float64(x) => append_float(zmij::Buffer::new().format(x), out),
            Value::Bool(b) => out.extend_from_slice(if b { b"true" } else { b"false" }),
            Value::Binary(data) => data.iter().for_each(|b| append_hex(*b, LOWER, out)),
            Value::Guid(raw) => append_guid(raw, out),
            Value::FileTime(ticks) => append_time_folded(file_time(ticks), out),
            Value::SystemTime(raw) => append_time_folded(system_time(raw), out),
            Value::Sid(raw) => append_sid(raw, b's', out),
            Value::Parts(parts) => parts.iter().for_each(|part| part.append_folded(out)),
        }
    }

    /// Appends bytes that tell this value from every other with another text: its kind, and what it
    /// is stored as. Cheaper than the text, and shorter.
    pub fn append_identity(self, out: &mut Vec<u8>) {
        let (kind, raw) = match self {
            Value::Empty => (0, [].as_slice()),
            Value::Utf16(units) => (1, units),
            Value::Text(text) => (2, text.as_bytes()),
            Value::Binary(data) => (3, data),
            Value::Guid(raw) => (4, raw.as_slice()),
            Value::SystemTime(raw) => (5, raw.as_slice()),
            Value::Sid(raw) => (6, raw),
            Value::Signed(n) => return append_number(7, n.cast_unsigned(), out),
            Value::Unsigned(n) => return append_number(8, n, out),
            Value::Hex(n) => return append_number(9, n, out),
            Value::FileTime(ticks) => return append_number(10, ticks, out),
            Value::Float32(x) => return append_number(11, x.to_bits().into(), out),
            Value::Float64(x) => return append_number(12, x.to_bits(), out),
            Value::Bool(b) => return append_number(13, b.into(), out),
            Value::Parts(parts) => {
                append_number(14, parts.len() as u64, out);
                return parts.iter().for_each(|part| part.append_identity(out));
            }
        };
        // No value is longer than 4 GiB; the length's first byte beside the kind keeps this short.
        let len = (raw.len() as u64) << 8 | kind;
        out.extend_from_slice(&len.to_le_bytes()[..5]);
        out.extend_from_slice(raw);
    }

    /// The text form as a string, for output.
    #[must_use]
    pub fn to_text(self) -> String {
        let mut out = Vec::new();
        self.append_text(&mut out);
        String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into())
    }
}

/// The text form of a FILETIME: `2026-03-01T10:00:00.1234567Z`.
#[must_use]
pub fn format_file_time(ticks: u64) -> String {
    Value::FileTime(ticks).to_text()
}

fn integer(n: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

/// A value of fixed size, as [`Value::append_identity`] tells it.
fn append_number(kind: u8, n: u64, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&n.to_le_bytes());
}

/// `0x` and the digits without leading zeros, at least one.
fn append_hex_number(n: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0x");
    let digits = (64 - n.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        out.push(LOWER[(n >> (4 * digit) & 15) as usize]);
    }
}

const UPPER: &[u8; 16] = b"0123456789ABCDEF";
const LOWER: &[u8; 16] = b"0123456789abcdef";

fn append_hex(byte: u8, digits: &[u8; 16], out: &mut Vec<u8>) {
    out.extend_from_slice(&[digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
}

/// The shortest digits that read back as the same number, as the `evtx` crate writes them (`1.0`,
/// `1e+300`), folded: `NaN` is the only one with capitals.
fn append_float(text: &str, out: &mut Vec<u8>) {
    out.extend(text.bytes().map(|b| b.to_ascii_lowercase()));
}

/// `{d1-d2-d3-d4}`: the first three parts are stored little-endian ([MS-DTYP] 2.3.4.2).
fn append_guid(raw: &[u8; 16], out: &mut Vec<u8>) {
    /// Where in the text the two digits of each byte stand.
    const AT: [usize; 16] = [7, 5, 3, 1, 12, 10, 17, 15, 20, 22, 25, 27, 29, 31, 33, 35];
    let mut text = *b"{00000000-0000-0000-0000-000000000000}";
    for (byte, at) in raw.iter().zip(AT) {
        text[at] = LOWER[usize::from(byte >> 4)];
        text[at + 1] = LOWER[usize::from(byte & 15)];
    }
    out.extend_from_slice(&text);
}

/// `S-revision-authority-sub…` ([MS-DTYP] 2.4.2.1); bytes that are no SID give `S-?`.
fn append_sid(raw: &[u8], letter: u8, out: &mut Vec<u8>) {
    out.push(letter);
    let (Some(revision), Some(count), Some(authority)) =
        (bytes::u8(raw, 0), bytes::u8(raw, 1), bytes::array::<6>(raw, 2))
    else {
        out.extend_from_slice(b"-?");
        return;
    };
    let authority = authority.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    out.push(b'-');
    integer(revision, out);
    out.push(b'-');
    integer(authority, out);
    for n in 0..usize::from(count) {
        let Some(sub) = bytes::u32(raw, 8 + 4 * n) else { break };
        out.push(b'-');
        integer(sub, out);
    }
}

/// A date and time of day in UTC.
#[derive(Clone, Copy)]
struct Time {
    year: u64,
    month: u64,
    day: u64,
    second_of_day: u64,
    /// 100 ns
    ticks: u64,
}

const TICKS_A_SECOND: u64 = 10_000_000;
const SECONDS_A_DAY: u64 = 86_400;
/// Days from 0000-03-01, from which the calendar below counts, to 1601-01-01.
const DAYS_TO_1601: u64 = 584_694;
const DAYS_IN_400_YEARS: u64 = 146_097;

/// The date of a FILETIME, in the proleptic Gregorian calendar; as Windows does, a value beyond
/// `i64::MAX` is no time and shows as zeros. Years count from March, so that a leap day ends one.
fn file_time(ticks: u64) -> Time {
    if i64::try_from(ticks).is_err() {
        return Time { year: 0, month: 0, day: 0, second_of_day: 0, ticks: 0 };
    }
    let seconds = ticks / TICKS_A_SECOND;
    let days = seconds / SECONDS_A_DAY + DAYS_TO_1601;
    let (cycle, day_of_cycle) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    // Every 4 years one day is added, every 100 taken back, every 400 added again.
    let year = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524
        - day_of_cycle / 146_096)
        / 365;
    let day_of_year = day_of_cycle - (365 * year + year / 4 - year / 100);
    // March is month 0; five months have 153 days.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    Time {
        year: (cycle * 400 + year + u64::from(month <= 2)) % 10_000,
        month,
        day,
        second_of_day: seconds % SECONDS_A_DAY,
        ticks: ticks % TICKS_A_SECOND,
    }
}

/// The date of a SYSTEMTIME ([MS-DTYP] 2.3.13); one that is no valid date shows as 1601-01-01, as
/// Windows shows it.
fn system_time(raw: &[u8; 16]) -> Time {
    let field = |n: usize| u64::from(u16::from_le_bytes([raw[2 * n], raw[2 * n + 1]]));
    let (year, month, day) = (field(0), field(1), field(3));
    let (hour, minute, second, milli) = (field(4), field(5), field(6), field(7));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let valid = (1601..=30_827).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
        && milli < 1000;
    if !valid {
        return Time { year: 1601, month: 1, day: 1, second_of_day: 0, ticks: 0 };
    }
    let second_of_day = hour * 3600 + minute * 60 + second;
    Time { year: year % 10_000, month, day, second_of_day, ticks: milli * 10_000 }
}

fn append_time(time: Time, out: &mut Vec<u8>) {
    let Time { year, month, day, second_of_day: s, ticks } = time;
    let mut text = *b"0000-00-00T00:00:00.0000000Z";
    for (at, digits, mut n) in [
        (0, 4, year),
        (5, 2, month),
        (8, 2, day),
        (11, 2, s / 3600),
        (14, 2, s / 60 % 60),
        (17, 2, s % 60),
        (20, 7, ticks),
    ] {
        for at in (at..at + digits).rev() {
            text[at] = b'0' + (n % 10) as u8;
            n /= 10;
        }
    }
    out.extend_from_slice(&text);
}

fn append_time_folded(time: Time, out: &mut Vec<u8>) {
    let start = out.len();
    append_time(time, out);
    fold_ascii_from(start, out);
}

/// Folds what was appended since `start`, which is ASCII.
fn fold_ascii_from(start: usize, out: &mut [u8]) {
    out.iter_mut().skip(start).for_each(|b| b.make_ascii_lowercase());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_type_has_its_text() {
        let guid = [
            0x10, 0x92, 0xCE, 0x0C, 0xAE, 0x69, 0xD9, 0x11, 0xBE, 0xD3, 0x50, 0x50, 0x54, 0x50,
            0x30, 0x30,
        ];
        let sid = [
            1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0xF4, 1, 0, 0,
        ];
        let utf16 = [0x41, 0, 0xC9, 0, 0, 0, 0x42, 0];
        let system_time = [0xE3, 7, 3, 0, 5, 0, 1, 0, 12, 0, 34, 0, 56, 0, 0x15, 3];
        for (value, want) in [
            (Value::Empty, ""),
            (Value::Utf16(&utf16), "AÉ"),
            (Value::Text("Ab"), "Ab"),
            (Value::Signed(-7), "-7"),
            (Value::Unsigned(u64::MAX), "18446744073709551615"),
            (Value::Hex(0x1410), "0x1410"),
            (Value::Hex(0xABC), "0xabc"),
            (Value::Hex(0), "0x0"),
            (Value::Hex(u64::MAX), "0xffffffffffffffff"),
            (Value::Float32(1.0), "1.0"),
            (Value::Float64(0.25), "0.25"),
            (Value::Float64(1e300), "1e+300"),
            (Value::Float64(f64::NAN), "NaN"),
            (Value::Bool(true), "true"),
            (Value::Binary(&[0x45, 0, 0xAF]), "4500AF"),
            (Value::Guid(&guid), "{0cce9210-69ae-11d9-bed3-505054503030}"),
            (Value::FileTime(0), "1601-01-01T00:00:00.0000000Z"),
            (Value::FileTime(134_059_110_728_808_340), "2025-10-26T00:11:12.8808340Z"),
            (Value::FileTime(u64::MAX), "0000-00-00T00:00:00.0000000Z"),
            (Value::SystemTime(&system_time), "2019-03-01T12:34:56.7890000Z"),
            (Value::SystemTime(&[0; 16]), "1601-01-01T00:00:00.0000000Z"),
            (Value::Sid(&sid), "S-1-5-21-1-2-3-500"),
            (Value::Sid(&[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]), "S-1-5-18"),
            (Value::Sid(&[1]), "S-?"),
            (Value::Parts(&[Value::Text("a"), Value::Unsigned(1)]), "a1"),
        ] {
            assert_eq!(value.to_text(), want, "{value:?}");
            let mut folded = Vec::new();
            value.append_folded(&mut folded);
            assert_eq!(String::from_utf8(folded).unwrap(), utf16::folded(want), "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn file_times_are_the_calendar_s(ticks in 0u64..2_650_466_807_999_999_999) {
            let seconds = i64::try_from(ticks / 10_000_000).unwrap() - 11_644_473_600;
            let nanos = i32::try_from(ticks % 10_000_000 * 100).unwrap();
            let want = jiff::Timestamp::new(seconds, nanos).unwrap();
            prop_assert_eq!(format_file_time(ticks).parse::<jiff::Timestamp>().unwrap(), want);
        }
    }
}
