//! Hits by time as bars: one line of them, or a line each.
//!
//! The ledger keeps many narrow bars; what is shown is put together from them, so that a bar is a
//! round number of seconds, minutes, hours or days, and as narrow as the room allows.

use super::summary::grouped;
use harrier::ledger::Timeline;

/// How wide shown bars may be, in seconds.
const WIDTHS: [u64; 26] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10_800,
    21_600,
    43_200,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    28 * DAY,
    91 * DAY,
    182 * DAY,
    364 * DAY,
    3640 * DAY,
];
const DAY: u64 = 86_400;

/// How many bars stand on one line, and how many lines there are of bars on a line each.
const ON_A_LINE: u64 = 40;
const LINES: u64 = 24;

/// The longest bar on a line of its own, in columns.
const LONGEST: u64 = 40;

/// Bars of all heights but none.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// From 1601 to 1970, in seconds.
const UNIX_EPOCH: i64 = 11_644_473_600;

/// Bars of one width, one after the other, empty ones too.
struct Bars {
    width: u64,
    /// When the first begins, in seconds since 1601.
    start: u64,
    heights: Vec<u64>,
}

impl Bars {
    fn of(timeline: &Timeline, most: u64) -> Option<Bars> {
        let (first, _) = timeline.bars().next()?;
        let (last, _) = timeline.bars().next_back()?;
        let fits = |width: &u64| {
            width.is_multiple_of(timeline.width()) && last / width - first / width < most
        };
        let width = WIDTHS.into_iter().find(fits)?;
        let start = first / width;
        let count = usize::try_from(last / width - start).ok()? + 1;
        let mut heights = vec![0; count];
        for (at, levels) in timeline.bars() {
            let place = usize::try_from(at / width - start).ok()?;
            *heights.get_mut(place)? += levels.iter().sum::<u64>();
        }
        Some(Bars { width, start: start * width, heights })
    }

    fn highest(&self) -> u64 {
        self.heights.iter().copied().max().unwrap_or(0).max(1)
    }

    /// A time as exactly as the bars' width needs it.
    fn time(&self, at: u64) -> String {
        match self.width {
            width if width < 60 => clock(at, "%Y-%m-%d %H:%M:%S"),
            width if width < DAY => clock(at, "%Y-%m-%d %H:%M"),
            _ => clock(at, "%Y-%m-%d"),
        }
    }

    fn width_in_words(&self) -> String {
        let (number, unit) = match self.width {
            width if width < 60 => (width, "s"),
            width if width < 3600 => (width / 60, "min"),
            width if width < DAY => (width / 3600, "h"),
            width if width < 7 * DAY => (width / DAY, if width == DAY { "day" } else { "days" }),
            width => (width / DAY / 7, if width == 7 * DAY { "week" } else { "weeks" }),
        };
        format!("{number} {unit}")
    }
}

/// All hits as bars on one line; nothing if there are none.
pub fn line(timeline: &Timeline) -> Option<String> {
    let bars = Bars::of(timeline, ON_A_LINE)?;
    let highest = bars.highest();
    let drawn: String = bars
        .heights
        .iter()
        .map(|height| match height {
            0 => ' ',
            n => HEIGHTS
                .get(usize::try_from((n * 8).div_ceil(highest)).map_or(0, |n| n - 1))
                .copied()
                .unwrap_or('█'),
        })
        .collect();
    let end = bars.start + bars.heights.len() as u64 * bars.width;
    let (from, to) = (bars.time(bars.start), bars.time(end));
    Some(format!("{from} |{drawn}| {}, {} a bar", without_date(&from, &to), bars.width_in_words()))
}

/// All hits as bars on a line each.
pub fn lines(timeline: &Timeline) -> Vec<String> {
    let Some(bars) = Bars::of(timeline, LINES) else { return Vec::new() };
    let highest = bars.highest();
    let rows = bars.heights.iter().zip(0u64..).map(|(height, n)| {
        let time = bars.time(bars.start + n * bars.width);
        let length = usize::try_from((height * LONGEST).div_ceil(highest)).unwrap_or(0);
        format!("{time} {:>9}  {}", grouped(*height), "█".repeat(length))
    });
    rows.map(|row| row.trim_end().to_owned()).collect()
}

/// A FILETIME to the second.
pub fn second(time: u64) -> String {
    clock(time / 10_000_000, "%Y-%m-%d %H:%M:%S")
}

/// `from` to `to`, the date of the second left out if it is that of the first.
pub fn between(from: u64, to: u64) -> String {
    let (from, to) = (second(from), second(to));
    format!("{from} to {}", without_date(&from, &to))
}

fn without_date<'t>(from: &str, to: &'t str) -> &'t str {
    match (from.get(..11), to.get(..11), to.get(11..)) {
        (Some(a), Some(b), Some(time)) if a == b => time,
        _ => to,
    }
}

fn clock(seconds: u64, format: &str) -> String {
    let unix = i64::try_from(seconds).map(|seconds| seconds.saturating_sub(UNIX_EPOCH));
    let time = unix.ok().and_then(|unix| jiff::Timestamp::from_second(unix).ok());
    time.map_or_else(|| "?".to_owned(), |time| time.strftime(format).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use harrier::ledger::Tally;

    /// 2026-03-01 10:00 UTC.
    const BASE: u64 = 134_168_328_000_000_000;

    fn timeline(seconds: &[u64]) -> Tally {
        let mut tally = Tally::default();
        for second in seconds {
            tally.hit("H", Some(BASE + second * 10_000_000), &[0, 0, 1, 0, 0]);
        }
        tally
    }

    #[test]
    fn bars_are_round_and_fill_the_line() {
        for (seconds, want) in [
            (&[][..], None),
            (&[7], Some("2026-03-01 10:00:07 |█| 10:00:08, 1 s a bar")),
            (&[0, 0, 1, 3], Some("2026-03-01 10:00:00 |█▄ ▄| 10:00:04, 1 s a bar")),
            (
                &[0, 3599],
                Some("2026-03-01 10:00 |█                            █| 11:00, 2 min a bar"),
            ),
            (
                &[0, 3 * DAY],
                Some(
                    "2026-03-01 10:00 |█                                   █| 2026-03-04 12:00, 2 h a bar",
                ),
            ),
            (&[0, 100 * DAY], Some("2026-02-23 |█              █| 2026-06-15, 1 week a bar")),
        ] {
            assert_eq!(line(timeline(seconds).timeline()).as_deref(), want);
        }
        let mut many = vec![1; 1000];
        many.push(0);
        let drawn = line(timeline(&many).timeline()).unwrap();
        assert!(drawn.contains("|▁█|"), "one hit is seen beside a thousand: {drawn}");
    }

    #[test]
    fn every_span_has_bars() {
        for power in 0..33 {
            let tally = timeline(&[0, 1 << power]);
            let bars = Bars::of(tally.timeline(), LINES).unwrap();
            assert_eq!(bars.heights.iter().sum::<u64>(), 2, "{power}");
            assert_eq!(lines(tally.timeline()).len(), bars.heights.len());
        }
    }

    #[test]
    fn lines_have_numbers() {
        assert_eq!(
            lines(timeline(&[0, 0, 1, 3]).timeline()),
            [
                "2026-03-01 10:00:00         2  ████████████████████████████████████████",
                "2026-03-01 10:00:01         1  ████████████████████",
                "2026-03-01 10:00:02         0",
                "2026-03-01 10:00:03         1  ████████████████████",
            ]
        );
    }
}
