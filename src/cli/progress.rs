//! A line on standard error that tells how far a hunt is: bytes done of bytes found, rate, time left,
//! hits so far, the log that was read last.
//!
//! Shown only on a terminal, and only for a run that takes a while: what is over in half a second
//! needs none. How much there is to do is counted by a thread of its own, which walks through the
//! evidence as the hunt does and looks at each file's first bytes; so the hunt begins at once, and
//! the line knows its end a little later. Another thread draws; the hunt only adds to numbers.

use super::summary::{bytes, grouped};
use harrier::{
    evidence::{Found, Inside, Look, Walk},
    hunt::Step,
    ledger::Levels,
    report::escape,
    sigma::Level,
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{self, IsTerminal as _, Write},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// How often the line is drawn again.
const TICK: Duration = Duration::from_millis(100);

/// A run shorter than this shows nothing.
const SHORT: Duration = Duration::from_millis(500);

/// What is known of the run, shared by those who work, count and draw.
#[derive(Default)]
struct State {
    done: AtomicU64,
    found: AtomicU64,
    /// Whether all evidence was found.
    all_found: AtomicBool,
    /// Whether the run is over.
    over: AtomicBool,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    hits: Levels,
    source: String,
}

/// A line, or none.
pub struct Progress {
    bar: ProgressBar,
    state: Arc<State>,
    drawing: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Begins; shows nothing if not wanted, or if nobody sees it. `hits` says whether there can be any.
    pub fn begin(wanted: bool, hits: bool, evidence: &[PathBuf]) -> Progress {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let state = Arc::new(State::default());
        let drawing = (wanted && io::stderr().is_terminal()).then(|| {
            let (counting, paths) = (Arc::clone(&state), evidence.to_vec());
            // It ends with the run, or soon after: nobody waits for it.
            std::thread::spawn(move || count(&counting, &paths));
            draw_beside(&bar, &state, hits, "")
        });
        Progress { bar, state, drawing }
    }

    /// The same for hashing so many bytes.
    pub fn hashing(wanted: bool, bytes: u64) -> Progress {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let state = Arc::new(State::default());
        state.found.store(bytes, Ordering::Relaxed);
        state.all_found.store(true, Ordering::Relaxed);
        let drawing = (wanted && io::stderr().is_terminal())
            .then(|| draw_beside(&bar, &state, false, "hashing, "));
        Progress { bar, state, drawing }
    }

    /// Notes what was done.
    pub fn advance(&self, step: &Step<'_>) {
        self.state.done.fetch_add(step.bytes, Ordering::Relaxed);
        if self.drawing.is_some() {
            let mut last = self.state.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.hits.iter_mut().zip(step.hits).for_each(|(sum, n)| *sum += n);
            let copies = last.hits.iter_mut().zip(step.copies);
            copies.for_each(|(sum, n)| *sum = sum.saturating_sub(n));
            last.source.clear();
            last.source.push_str(step.source);
        }
    }

    /// Takes the line away.
    pub fn finish(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        if let Some((end, thread)) = self.drawing.take() {
            drop(end);
            // Had it panicked, there would be no line to take away.
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }

    /// A writer to the terminal on which the line is: it steps aside for what is written.
    pub fn beside(&self, inner: Box<dyn Write + Send>) -> Box<dyn Write + Send> {
        Box::new(Beside { bar: self.bar.clone(), inner })
    }
}

/// Counts the bytes of all logs.
fn count(state: &State, paths: &[PathBuf]) {
    for found in Walk::new(paths) {
        if state.over.load(Ordering::Relaxed) {
            return;
        }
        let Found::Source(source) = found else { continue };
        let size = match source.look() {
            Ok(Look::Log(_)) => source.size(),
            Ok(Look::Inside(inside)) if LISTED.contains(&inside.format()) => logs_in(*inside),
            _ => 0,
        };
        state.found.fetch_add(size, Ordering::Relaxed);
    }
    state.all_found.store(true, Ordering::Relaxed);
}

/// Containers with a directory: of the others nobody knows what is in them before they are unpacked,
/// and then it is done.
const LISTED: &[&str] = &["zip", "disk image"];

/// The bytes of the logs in a container, as far as their names tell: nothing is unpacked for it.
fn logs_in(inside: Inside) -> u64 {
    let size = |found| match found {
        Found::Source(source) if source.claims_to_be_a_log() => source.size(),
        _ => 0,
    };
    inside.map(size).sum()
}

/// Draws in a thread of its own, until the other end of the channel is gone.
fn draw_beside(
    bar: &ProgressBar,
    state: &Arc<State>,
    hits: bool,
    what: &'static str,
) -> (mpsc::Sender<()>, JoinHandle<()>) {
    let (end, ended) = mpsc::channel();
    let (drawn, state) = (bar.clone(), Arc::clone(state));
    (end, std::thread::spawn(move || draw(&drawn, &state, hits, what, &ended)))
}

/// Draws until the other end of `ended` is gone.
fn draw(bar: &ProgressBar, state: &State, hits: bool, what: &str, ended: &mpsc::Receiver<()>) {
    let begun = Instant::now();
    if ended.recv_timeout(SHORT) != Err(mpsc::RecvTimeoutError::Timeout) {
        return;
    }
    // The template is a constant and valid; were it not, the usual bar would be shown.
    let style = ProgressStyle::with_template("[{bar:20}] {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> "));
    let mut shown = false;
    loop {
        let (done, found) = (&state.done, &state.found);
        let (done, found) = (done.load(Ordering::Relaxed), found.load(Ordering::Relaxed));
        let all_found = state.all_found.load(Ordering::Relaxed);
        let (hits, source) = {
            let last = state.last.lock().unwrap_or_else(PoisonError::into_inner);
            (hits.then_some(last.hits), escape::lined(&last.source))
        };
        let line = Line { done, found, all_found, elapsed: begun.elapsed(), hits };
        bar.set_length(found.max(done).max(1));
        bar.set_position(if all_found { done } else { 0 });
        bar.set_message(format!(
            "{what}{line}{}{source}",
            if source.is_empty() { "" } else { "  " }
        ));
        if !shown {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            shown = true;
        }
        bar.tick();
        if ended.recv_timeout(TICK) != Err(mpsc::RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// What the line says, the log's name aside.
struct Line {
    done: u64,
    found: u64,
    all_found: bool,
    elapsed: Duration,
    /// None if there can be none.
    hits: Option<Levels>,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rate = self.done as f64 / self.elapsed.as_secs_f64().max(1e-9);
        let of = if self.all_found { "" } else { " found so far, still looking" };
        // The two threads are not in step.
        let found = self.found.max(self.done);
        let (done, found_text) = (bytes(self.done as f64), bytes(found as f64));
        write!(f, "{done} of {found_text}{of}, {}/s", bytes(rate))?;
        if self.all_found && self.done > 0 {
            write!(f, ", {} left", duration((found - self.done) as f64 / rate))?;
        }
        let Some(hits) = self.hits else { return Ok(()) };
        let levels = Level::ALL.iter().zip(hits).rev().filter(|(_, n)| *n > 0);
        let levels: Vec<String> =
            levels.map(|(level, n)| format!("{} {}", grouped(n), level.as_str())).collect();
        if levels.is_empty() {
            write!(f, "; no hits")
        } else {
            write!(f, "; {}", levels.join(", "))
        }
    }
}

/// Seconds up to two minutes, then minutes and hours.
fn duration(seconds: f64) -> String {
    let seconds = seconds.ceil();
    if seconds < 120.0 {
        format!("{seconds} s")
    } else if seconds < 7200.0 {
        format!("{} min", (seconds / 60.0).ceil())
    } else {
        format!("{:.1} h", seconds / 3600.0)
    }
}

struct Beside {
    bar: ProgressBar,
    inner: Box<dyn Write + Send>,
}

impl Write for Beside {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let inner = &mut self.inner;
        self.bar.suspend(|| inner.write_all(buf).and_then(|()| inner.flush()))?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_is_known() {
        let line = |done, found, all_found, hits| {
            let elapsed = Duration::from_secs(2);
            Line { done, found, all_found, elapsed, hits: Some(hits) }.to_string()
        };
        let elapsed = Duration::from_secs(2);
        let dump = Line { done: 0, found: 0, all_found: true, elapsed, hits: None };
        assert_eq!(dump.to_string(), "0 B of 0 B, 0 B/s");
        for (got, want) in [
            (line(0, 0, false, [0; 5]), "0 B of 0 B found so far, still looking, 0 B/s; no hits"),
            (
                line(20_000_000, 5_000_000, false, [0, 0, 0, 1, 0]),
                "20.0 MB of 20.0 MB found so far, still looking, 10.0 MB/s; 1 high",
            ),
            (
                line(20_000_000, 100_000_000, true, [0, 2, 0, 1234, 5]),
                "20.0 MB of 100.0 MB, 10.0 MB/s, 8 s left; 5 critical, 1,234 high, 2 low",
            ),
            (line(0, 100_000_000, true, [0; 5]), "0 B of 100.0 MB, 0 B/s; no hits"),
        ] {
            assert_eq!(got, want);
        }
        assert_eq!([0.2, 119.0, 121.0, 9000.0].map(duration), ["1 s", "119 s", "3 min", "2.5 h"]);
    }
}
