//! Puts the results of work done in any order back into one order.
//!
//! Pieces of work are numbered as they are handed out. Whoever finishes one delivers it here; the one
//! whose delivery is next in order passes it on, and with it all that were waiting behind it. Nobody
//! waits for a result but in two cases, and these bound the memory:
//! - a worker does not begin a piece that is more than [`Sequencer::new`]'s `window` ahead of the one
//!   that is next;
//! - a worker whose output of one piece gets large waits for its turn and then hands it on in parts.
//!
//! No deadlock: the piece that is next has been handed out before all others that are not finished,
//! so somebody is working on it, and neither wait holds for it.
//!
//! Invariant: what the consumer gets, and in which order, depends on the pieces alone.

use std::{
    collections::VecDeque,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// What takes results in order.
pub(super) trait Consumer: Send {
    /// Output of a piece of work that is not finished.
    type Part: ?Sized;
    /// A finished piece of work.
    type Piece: Send;

    /// Takes output of the piece that is next, which is not finished yet.
    fn part(&mut self, part: &Self::Part) -> Flow;

    /// Takes the rest of the piece that is next.
    fn piece(&mut self, piece: Self::Piece) -> Flow;
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Go,
    Stop,
}

/// See the module.
pub(super) struct Sequencer<C: Consumer> {
    state: Mutex<State<C>>,
    turn: Condvar,
    window: u64,
    stopped: AtomicBool,
}

struct State<C: Consumer> {
    /// The number of the piece that is next.
    next: u64,
    /// Delivered pieces; the first place is that of `next`, and stays while it is passed on.
    waiting: VecDeque<Option<C::Piece>>,
    /// Not there while somebody is passing results on to it.
    consumer: Option<C>,
}

impl<C: Consumer> Sequencer<C> {
    pub(super) fn new(consumer: C, window: u64) -> Sequencer<C> {
        let state = State { next: 0, waiting: VecDeque::new(), consumer: Some(consumer) };
        Sequencer {
            state: Mutex::new(state),
            turn: Condvar::new(),
            window,
            stopped: AtomicBool::new(false),
        }
    }

    /// Waits until this piece may be begun.
    pub(super) fn admit(&self, number: u64) -> Flow {
        self.wait(|state| number < state.next.saturating_add(self.window)).0
    }

    /// Waits for this piece's turn and hands on some of its output.
    pub(super) fn part(&self, number: u64, part: &C::Part) -> Flow {
        let (flow, mut state) = self.wait(|state| state.next == number && state.consumer.is_some());
        // Not taken if it is to stop: its results are wanted at the end.
        let consumer = (flow == Flow::Go).then(|| state.consumer.take()).flatten();
        let Some(mut consumer) = consumer else { return Flow::Stop };
        drop(state);
        let flow = consumer.part(part);
        self.give_back(self.lock(), consumer, flow)
    }

    /// Takes a finished piece.
    pub(super) fn deliver(&self, number: u64, piece: C::Piece) -> Flow {
        let mut state = self.lock();
        let Some(at) = number.checked_sub(state.next).and_then(|at| usize::try_from(at).ok())
        else {
            return self.flow();
        };
        while state.waiting.len() <= at {
            state.waiting.push_back(None);
        }
        if let Some(place) = state.waiting.get_mut(at) {
            *place = Some(piece);
        }
        let mut flow = self.flow();
        if flow == Flow::Stop {
            return flow;
        }
        // If somebody else is passing on, that one will find this piece.
        let Some(mut consumer) = state.consumer.take() else { return flow };
        while flow == Flow::Go {
            let Some(piece) = state.waiting.front_mut().and_then(Option::take) else { break };
            drop(state);
            flow = consumer.piece(piece);
            state = self.lock();
            state.waiting.pop_front();
            state.next += 1;
            self.turn.notify_all();
        }
        self.give_back(state, consumer, flow)
    }

    /// Ends everything: nobody waits any more, nothing is passed on any more.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        // With the lock held nobody is between looking at the flag and beginning to wait.
        drop(self.lock());
        self.turn.notify_all();
    }

    /// Whether it was stopped.
    pub(super) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The consumer; there unless somebody panicked while passing results on.
    pub(super) fn into_consumer(self) -> Option<C> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).consumer
    }

    fn flow(&self) -> Flow {
        if self.stopped() { Flow::Stop } else { Flow::Go }
    }

    /// Gives the consumer back after use. If it wants to stop, that is known before anybody else can
    /// take it.
    fn give_back(&self, mut state: MutexGuard<'_, State<C>>, consumer: C, flow: Flow) -> Flow {
        if flow == Flow::Stop {
            self.stopped.store(true, Ordering::Relaxed);
        }
        state.consumer = Some(consumer);
        drop(state);
        self.turn.notify_all();
        self.flow()
    }

    fn wait(&self, ready: impl Fn(&State<C>) -> bool) -> (Flow, MutexGuard<'_, State<C>>) {
        let mut state = self.lock();
        while !self.stopped() && !ready(&state) {
            state = self.turn.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        (self.flow(), state)
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    struct Collect {
        out: Vec<u8>,
        stop_at: usize,
    }

    impl Consumer for Collect {
        type Part = [u8];
        type Piece = Vec<u8>;

        fn part(&mut self, output: &[u8]) -> Flow {
            // Long enough for others to deliver meanwhile.
            std::thread::yield_now();
            self.out.extend_from_slice(output);
            if self.out.len() > self.stop_at { Flow::Stop } else { Flow::Go }
        }

        fn piece(&mut self, piece: Vec<u8>) -> Flow {
            self.part(&piece)
        }
    }

    /// Runs `threads` workers over `pieces` pieces whose cost varies; a worker hands on every third
    /// piece in parts. Gives the output and how far ahead anybody was.
    fn run(threads: u64, pieces: u64, window: u64, stop_at: usize) -> (Vec<u8>, u64) {
        let sequencer = Sequencer::new(Collect { out: Vec::new(), stop_at }, window);
        let (next, ahead) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= pieces || sequencer.admit(number) == Flow::Stop {
                            return;
                        }
                        ahead.fetch_max(
                            number - sequencer.lock().next.min(number),
                            Ordering::Relaxed,
                        );
                        for _ in 0..(number * 7919 % 13) * 50 {
                            std::hint::spin_loop();
                        }
                        let mut output = format!("{number},").into_bytes();
                        if number % 3 == 0 {
                            if sequencer.part(number, &output) == Flow::Stop {
                                return;
                            }
                            output = b";".to_vec();
                        }
                        if sequencer.deliver(number, output) == Flow::Stop {
                            return;
                        }
                    }
                });
            }
        });
        (sequencer.into_consumer().unwrap().out, ahead.into_inner())
    }

    #[test]
    fn results_come_in_order_and_nobody_runs_ahead() {
        let want: String = (0..2000)
            .map(|n| if n % 3 == 0 { format!("{n},;") } else { format!("{n},") })
            .collect();
        for threads in [1, 2, 3, 8] {
            for window in [1, 2, 5, 64] {
                let (out, ahead) = run(threads, 2000, window, usize::MAX);
                assert_eq!(String::from_utf8(out).unwrap(), want, "{threads} {window}");
                assert!(ahead < window, "{threads} {window}: {ahead}");
            }
        }
    }

    #[test]
    fn a_consumer_that_stops_ends_everybody() {
        for threads in [1, 2, 8] {
            let (out, _) = run(threads, 1_000_000, 16, 1000);
            assert!((1000..1010).contains(&out.len()), "{}", out.len());
        }
    }

    #[test]
    fn stopping_wakes_whoever_waits() {
        let sequencer = Sequencer::new(Collect { out: Vec::new(), stop_at: usize::MAX }, 2);
        std::thread::scope(|scope| {
            let waiting =
                [scope.spawn(|| sequencer.admit(7)), scope.spawn(|| sequencer.part(1, b"x"))];
            std::thread::sleep(std::time::Duration::from_millis(20));
            sequencer.stop();
            for thread in waiting {
                assert_eq!(thread.join().unwrap(), Flow::Stop);
            }
        });
        assert!(sequencer.into_consumer().unwrap().out.is_empty());
    }
}
