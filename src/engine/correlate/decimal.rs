//! Numbers of events and what is computed of them, exactly.
//!
//! A sum from which numbers go as a window moves on has to be what it would be without them having
//! been there, and equal to what somebody adds up by hand; binary fractions are neither. So a number
//! is a whole number of billionths: nine digits behind the point, rounded where a log has more.
//!
//! Invariant: what is computed of a window depends on its numbers alone, not on the windows before.

use crate::sigma::{RangeBound, RangeTest};
use std::{cmp::Ordering, fmt};

/// Digits behind the point.
const DIGITS: usize = 9;
const ONE: i128 = 1_000_000_000;

/// Numbers from here on are none: no counter of Windows has more than 64 bits, and sums of a billion
/// of them still fit.
const LIMIT: i128 = 100_000_000_000_000_000_000 * ONE;

/// A number, in billionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i128);

impl Decimal {
    /// A decimal number as rules compare numbers, too: blanks around it ignored; hexadecimal and
    /// exponents are text.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Decimal> {
        let text = std::str::from_utf8(text.trim_ascii()).ok()?;
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let kept = fraction.get(..DIGITS).unwrap_or(fraction);
        let billionths: i128 = format!("{kept:0<DIGITS$}").parse().ok()?;
        let rounded = fraction.as_bytes().get(DIGITS).is_some_and(|next| *next >= b'5');
        let number = whole.checked_mul(ONE)?.checked_add(billionths + i128::from(rounded))?;
        (number < LIMIT).then_some(Decimal(if negative { -number } else { number }))
    }

    /// The bytes that [`Decimal::from_bytes`] reads.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// What [`Decimal::to_bytes`] gave.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Decimal {
        Decimal(i128::from_be_bytes(bytes))
    }

    /// A share in percent, between 0 and 100.
    pub(super) fn percent(percent: f64) -> Decimal {
        Decimal(nearest(percent.clamp(0.0, 100.0)))
    }

    /// The place, from 1, of the nearest rank among so many numbers in order: the least number that at
    /// least this share of them does not exceed.
    pub(super) fn nearest_rank(self, count: u64) -> u64 {
        let whole = 100 * ONE;
        let rank = (self.0 * i128::from(count) + whole - 1) / whole;
        u64::try_from(rank).unwrap_or(1).clamp(1, count.max(1))
    }
}

/// A float in billionths; one that is too large is the largest.
fn nearest(x: f64) -> i128 {
    (x * ONE as f64).round() as i128
}

/// What was counted or computed: a sum, divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantity {
    sum: i128,
    divisor: u64,
}

impl Quantity {
    pub(super) fn count(count: u64) -> Quantity {
        Quantity { sum: i128::from(count) * ONE, divisor: 1 }
    }

    pub(super) fn number(number: Decimal) -> Quantity {
        Quantity { sum: number.0, divisor: 1 }
    }

    /// Whether it is as all of these tests want it.
    pub(super) fn is_in(self, range: &[(RangeTest, RangeBound)]) -> bool {
        range.iter().all(|(test, bound)| {
            let order = self.compare(*bound);
            match test {
                RangeTest::Greater => order.is_gt(),
                RangeTest::GreaterOrEqual => order.is_ge(),
                RangeTest::Less => order.is_lt(),
                RangeTest::LessOrEqual => order.is_le(),
                RangeTest::Equal => order.is_eq(),
                RangeTest::NotEqual => order.is_ne(),
            }
        })
    }

    fn compare(self, bound: RangeBound) -> Ordering {
        let bound = match bound {
            RangeBound::Integer(n) => n.checked_mul(ONE).ok_or(n),
            RangeBound::Float(x) => Ok(nearest(x)),
        };
        let times = |bound: i128| bound.checked_mul(i128::from(self.divisor)).ok_or(bound);
        match bound.and_then(times) {
            Ok(bound) => self.sum.cmp(&bound),
            // Beyond everything that can be computed.
            Err(bound) if bound > 0 => Ordering::Less,
            Err(_) => Ordering::Greater,
        }
    }
}

/// A decimal number, as JSON has it.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let divisor = u128::from(self.divisor.max(1));
        let rounded = (self.sum.unsigned_abs() + divisor / 2) / divisor;
        let one = ONE.unsigned_abs();
        let sign = if self.sum < 0 && rounded > 0 { "-" } else { "" };
        write!(f, "{sign}{}", rounded / one)?;
        let fraction = format!("{:0DIGITS$}", rounded % one);
        match fraction.trim_end_matches('0') {
            "" => Ok(()),
            fraction => write!(f, ".{fraction}"),
        }
    }
}

/// A sum that numbers can be taken from again.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sum {
    sum: i128,
    count: u64,
}

impl Sum {
    pub(super) fn add(&mut self, number: Decimal) {
        // What does not fit comes back when the numbers go again.
        self.sum = self.sum.wrapping_add(number.0);
        self.count += 1;
    }

    pub(super) fn take(&mut self, number: Decimal) {
        self.sum = self.sum.wrapping_sub(number.0);
        self.count = self.count.saturating_sub(1);
    }

    /// The sum, unless there are no numbers.
    pub(super) fn sum(self) -> Option<Quantity> {
        (self.count > 0).then_some(Quantity { sum: self.sum, divisor: 1 })
    }

    /// The mean.
    pub(super) fn mean(self) -> Option<Quantity> {
        (self.count > 0).then_some(Quantity { sum: self.sum, divisor: self.count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        Decimal::parse(text.as_bytes()).map(|n| Quantity::number(n).to_string())
    }

    #[test]
    fn numbers_are_what_logs_write() {
        for (text, want) in [
            ("0", Some("0")),
            ("-0", Some("0")),
            ("00042", Some("42")),
            (" 7 ", Some("7")),
            ("+7", Some("7")),
            ("-12.5", Some("-12.5")),
            (".5", Some("0.5")),
            ("5.", Some("5")),
            ("0.0000000014", Some("0.000000001")),
            ("0.0000000015", Some("0.000000002")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("99999999999999999999", Some("99999999999999999999")),
            ("100000000000000000000", None),
            ("", None),
            (".", None),
            ("-", None),
            ("0x10", None),
            ("1e3", None),
            ("--1", None),
            ("1 2", None),
            ("inf", None),
            ("٣", None),
        ] {
            assert_eq!(shown(text).as_deref(), want, "{text:?}");
        }
    }

    #[test]
    fn sums_forget_what_goes() {
        let number = |text: &str| Decimal::parse(text.as_bytes()).unwrap();
        let mut sum = Sum::default();
        assert_eq!((sum.sum(), sum.mean()), (None, None));
        ["0.1", "0.2", "1000000000000"].iter().for_each(|n| sum.add(number(n)));
        sum.take(number("1000000000000"));
        assert!(sum.sum().unwrap().is_in(&[(RangeTest::Equal, RangeBound::Float(0.3))]));
        assert_eq!(sum.mean().unwrap().to_string(), "0.15");
        sum.add(number("0"));
        assert!(sum.mean().unwrap().is_in(&[(RangeTest::Equal, RangeBound::Float(0.1))]));
        sum.add(number("0.1"));
        sum.add(number("0.4"));
        sum.add(number("0.2"));
        assert_eq!(sum.mean().unwrap().to_string(), "0.166666667");
    }

    #[test]
    fn bounds_may_be_of_any_size() {
        let five = Quantity::count(5);
        for (test, bound, want) in [
            (RangeTest::GreaterOrEqual, RangeBound::Integer(5), true),
            (RangeTest::Greater, RangeBound::Integer(5), false),
            (RangeTest::Greater, RangeBound::Float(4.5), true),
            (RangeTest::Less, RangeBound::Float(5.000_000_001), true),
            (RangeTest::LessOrEqual, RangeBound::Integer(5), true),
            (RangeTest::NotEqual, RangeBound::Integer(5), false),
            (RangeTest::Less, RangeBound::Integer(i128::MAX), true),
            (RangeTest::Greater, RangeBound::Integer(i128::MIN), true),
            (RangeTest::Less, RangeBound::Float(f64::MAX), true),
            (RangeTest::Equal, RangeBound::Float(f64::INFINITY), false),
        ] {
            assert_eq!(five.is_in(&[(test, bound)]), want, "{test:?} {bound:?}");
        }
        let both = [
            (RangeTest::Greater, RangeBound::Integer(1)),
            (RangeTest::Less, RangeBound::Integer(5)),
        ];
        assert!(Quantity::count(4).is_in(&both) && !five.is_in(&both));
    }

    #[test]
    fn the_nearest_rank_is_that_of_the_textbook() {
        for (percent, count, want) in [
            (0.0, 5, 1),
            (50.0, 5, 3),
            (50.0, 4, 2),
            (55.0, 20, 11),
            (95.0, 20, 19),
            (95.0, 21, 20),
            (99.9, 10, 10),
            (100.0, 7, 7),
            (0.1, 1000, 1),
            (0.1, 1001, 2),
        ] {
            assert_eq!(Decimal::percent(percent).nearest_rank(count), want, "{percent} of {count}");
        }
    }
}
