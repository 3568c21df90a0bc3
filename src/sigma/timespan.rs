//! Lengths of time as Sigma writes them: `30s`, `5m`, `1h`, `7d`, and pySigma's `w`, `M`, `y`.
//!
//! A month is a twelfth of a year, and a year the Gregorian calendar's mean one, as in pySigma: a
//! window slides, so it has a length and no place in a calendar.
//!
//! Source of facts: Sigma correlation rules specification 2.1.0, "Timespan"; pySigma
//! `correlations.py`.

use super::fault::{At, Fault};
use super::yaml::Yaml;

/// Ticks of 100 ns in a second.
const SECOND: u64 = 10_000_000;

/// A unit and its seconds.
const UNITS: [(char, u64); 7] = [
    ('s', 1),
    ('m', 60),
    ('h', 3_600),
    ('d', 86_400),
    ('w', 604_800),
    ('M', 2_629_746),
    ('y', 31_556_952),
];

/// A length of time, in ticks of 100 ns and as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Timespan {
    /// Its ticks.
    pub ticks: u64,
    /// Its text.
    pub text: String,
}

/// Reads the value of the key `name`, which stands at `key`.
pub(super) fn read(node: &Yaml<'_>, name: &str, key: At) -> Result<Timespan, Fault> {
    let Some(text) = node.text() else {
        let at = if node.is_null() { key } else { node.at };
        return Err(Fault::new(at, format!("`{name}` is {}, not a time", node.noun())));
    };
    let text = text.trim();
    match ticks(text) {
        Some(0) => Err(Fault::new(node.at, format!("`{name}` is no time at all: `{text}`"))),
        Some(ticks) => Ok(Timespan { ticks, text: text.to_owned() }),
        None => {
            let reason = format!(
                "`{name}` is a whole number and one of the units s, m, h, d, w, M and y, as in \
                 `5m`: `{text}` is not"
            );
            Err(Fault::new(node.at, reason))
        }
    }
}

fn ticks(text: &str) -> Option<u64> {
    let unit = text.chars().next_back()?;
    let seconds = UNITS.iter().find(|(known, _)| *known == unit)?.1;
    let number = text.strip_suffix(unit)?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(seconds)?.checked_mul(SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read() {
        for (text, want) in [
            ("1s", Some(SECOND)),
            ("5m", Some(300 * SECOND)),
            ("1h", Some(3_600 * SECOND)),
            ("7d", Some(604_800 * SECOND)),
            ("1w", Some(604_800 * SECOND)),
            ("1M", Some(2_629_746 * SECOND)),
            ("12M", Some(31_556_952 * SECOND)),
            ("1y", Some(31_556_952 * SECOND)),
            ("0s", Some(0)),
            ("5", None),
            ("m", None),
            ("", None),
            ("5 m", None),
            ("-5m", None),
            ("1.5h", None),
            ("5min", None),
            ("5D", None),
            ("5é", None),
            ("99999999999999999999s", None),
            ("9999999999999d", None),
        ] {
            assert_eq!(ticks(text), want, "{text}");
        }
    }
}
