//! Hits that say the same: one rule on one host by the same values.
//!
//! What hits have in common is the key by which they are sorted, what differs is added up on the way:
//! how many there are, which was first, when the last was. Both are bytes, since [`super::spill`] holds
//! bytes; nobody but this module writes or reads them.
//!
//! Invariant: adding up does not mind the order, so groups are the same whatever the threads did.

use super::rendered::At;
use super::time::Ticks;

/// A group, as its key and sum say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group<'g> {
    /// The rule's index.
    pub(super) rule: u32,
    pub(super) computer: Option<&'g str>,
    pub(super) matched: Vec<(&'g str, &'g str)>,
    pub(super) count: u64,
    /// Where the first comes.
    pub(super) first: At,
    /// When the last was, if any says so.
    pub(super) last: Option<Ticks>,
}

/// Appends the key of a hit's group.
pub(super) fn append_key(
    rule: u32,
    computer: Option<&str>,
    matched: &[(&str, &str)],
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&rule.to_be_bytes());
    out.push(u8::from(computer.is_some()));
    append_text(computer.unwrap_or(""), out);
    for (name, value) in matched {
        append_text(name, out);
        append_text(value, out);
    }
}

/// The length, so that no text runs into the next.
fn append_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u64).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

const COUNT: usize = 8;
const SUM: usize = COUNT + At::KEY + 8;

/// The sum of one hit: a count, the first's place, and one more than the last's time, or 0.
pub(super) fn sum(at: At) -> [u8; SUM] {
    let last = if at.time == At::TIMELESS { 0 } else { at.time.saturating_add(1) };
    let mut sum = [0; SUM];
    write_sum(1, &at.key(true), last, &mut sum);
    sum
}

fn write_sum(count: u64, first: &[u8], last: u64, sum: &mut [u8]) {
    if let Some((to_count, rest)) = sum.split_at_mut_checked(COUNT)
        && let Some((to_first, to_last)) = rest.split_at_mut_checked(At::KEY)
    {
        to_count.copy_from_slice(&count.to_be_bytes());
        to_first.copy_from_slice(first);
        to_last.copy_from_slice(&last.to_be_bytes());
    }
}

/// Count, the first's key, last.
fn read_sum(sum: &[u8]) -> Option<(u64, [u8; At::KEY], u64)> {
    let (count, rest) = sum.split_first_chunk::<COUNT>()?;
    let (first, rest) = rest.split_first_chunk::<{ At::KEY }>()?;
    let (last, _) = rest.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*count), *first, u64::from_be_bytes(*last)))
}

/// Adds a sum to another.
pub(super) fn add(sum: &mut [u8], more: &[u8]) {
    let Some(((a_count, a_first, a_last), (b_count, b_first, b_last))) =
        read_sum(sum).zip(read_sum(more))
    else {
        return;
    };
    write_sum(a_count.saturating_add(b_count), &a_first.min(b_first), a_last.max(b_last), sum);
}

/// The group of this key and sum.
pub(super) fn read<'g>(key: &'g [u8], sum: &[u8]) -> Option<Group<'g>> {
    let (count, first, last) = read_sum(sum)?;
    let (rule, rest) = key.split_first_chunk::<4>()?;
    let (has_computer, mut rest) = rest.split_first()?;
    let computer = read_text(&mut rest)?;
    let mut matched = Vec::new();
    while !rest.is_empty() {
        matched.push((read_text(&mut rest)?, read_text(&mut rest)?));
    }
    Some(Group {
        rule: u32::from_be_bytes(*rule),
        computer: (*has_computer == 1).then_some(computer),
        matched,
        count,
        first: At::of_key(&first),
        last: last.checked_sub(1),
    })
}

fn read_text<'g>(rest: &mut &'g [u8]) -> Option<&'g str> {
    let (length, after) = rest.split_first_chunk::<8>()?;
    let (text, after) =
        after.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let at = |time, record| At { time, item: 7, record, rule: 3 };
        for (computer, matched) in [
            (None, &[][..]),
            (Some(""), &[("", "")]),
            (Some("WS-01"), &[("Image", r"C:\a.exe"), ("x", ""), ("", "ä")]),
        ] {
            let mut key = Vec::new();
            append_key(3, computer, matched, &mut key);
            let mut total = sum(at(50, 1));
            for more in [at(20, 9), at(20, 8), at(At::TIMELESS, 0), at(90, 2)] {
                add(&mut total, &sum(more));
            }
            let group = read(&key, &total).unwrap();
            let want = Group {
                rule: 3,
                computer,
                matched: matched.to_vec(),
                count: 5,
                first: at(20, 8),
                last: Some(90),
            };
            assert_eq!(group, want);
        }
        let key = [0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let timeless = read(&key, &sum(at(At::TIMELESS, 0))).unwrap();
        assert_eq!((timeless.first.time, timeless.last), (At::TIMELESS, None));
    }

    #[test]
    fn other_texts_are_other_keys() {
        let key = |computer, matched: &[_]| {
            let mut key = Vec::new();
            append_key(1, computer, matched, &mut key);
            key
        };
        let keys = [
            key(None, &[]),
            key(Some(""), &[]),
            key(Some("a"), &[]),
            key(Some("a"), &[("b", "")]),
            key(Some("a"), &[("", "b")]),
            key(Some(""), &[("a", "b")]),
        ];
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}
