//! A bar on standard error that tells how far a hunt is, in bytes.
//!
//! Shown only on a terminal. How much there is to do is counted by a thread of its own, which walks
//! through the evidence as the hunt does and looks at each file's first bytes; so the hunt begins at
//! once, and the bar knows its end a little later.

use harrier::evidence::{Found, Walk, begins_like_a_log};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{self, IsTerminal as _, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How often the bar is drawn again.
const TICK: Duration = Duration::from_millis(100);

/// A bar, or none.
pub struct Progress {
    bar: ProgressBar,
    done: Arc<AtomicBool>,
}

impl Progress {
    /// Begins; shows nothing if not wanted, or if nobody sees it.
    pub fn begin(wanted: bool, evidence: &[PathBuf]) -> Progress {
        let done = Arc::new(AtomicBool::new(false));
        if !wanted || !io::stderr().is_terminal() {
            return Progress { bar: ProgressBar::hidden(), done };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(counting());
        bar.enable_steady_tick(TICK);
        let (counted, stop, paths) = (bar.clone(), Arc::clone(&done), evidence.to_vec());
        std::thread::spawn(move || {
            let mut total = 0;
            for found in Walk::new(&paths) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Found::Source(source) = found else { continue };
                let log = source.open().and_then(|bytes| begins_like_a_log(&*bytes));
                if log.unwrap_or(false) {
                    total += source.size();
                }
            }
            counted.set_length(total);
            counted.set_style(known());
        });
        Progress { bar, done }
    }

    /// Notes that so many bytes more are done.
    pub fn advance(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.done.store(true, Ordering::Relaxed);
        self.bar.finish_and_clear();
    }

    /// A writer to the terminal on which the bar is: it steps aside for what is written.
    pub fn beside(&self, inner: Box<dyn Write + Send>) -> Box<dyn Write + Send> {
        Box::new(Beside { bar: self.bar.clone(), inner })
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

fn counting() -> ProgressStyle {
    style("{spinner} {decimal_bytes}  {decimal_bytes_per_sec}  {elapsed}")
}

fn known() -> ProgressStyle {
    style("[{bar:30}] {decimal_bytes} of {decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left")
}

/// The templates above are constants and valid; were one not, the usual bar would be shown.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
