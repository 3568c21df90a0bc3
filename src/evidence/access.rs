//! What opening evidence needs beside the evidence: passwords, and how much memory it may take.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Malware and triage packages are handed about with this password: it is tried always.
const USUAL: &str = "infected";

/// How much of what was unpacked is held in memory, all threads together; the rest goes to temporary
/// files. A log of the usual size has 20 MB or less: eight threads have room for theirs.
const MEMORY: u64 = 160 << 20;

/// How often somebody is asked for the password of one container.
const QUESTIONS: usize = 3;

/// Asks somebody for the password of the container of this name; `None` if nobody answers.
pub type Prompt = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Why something that is encrypted cannot be read, as what an [`std::io::Error`] wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locked;

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("encrypted, and no password that is known fits: give it with --password-file")
    }
}

impl std::error::Error for Locked {}

/// Where raw bytes are searched for what is left of logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Carving {
    /// Nowhere.
    #[default]
    No,
    /// Where no file is: in the free space of volumes and behind the ends of files, in volumes of an
    /// unknown kind, and in named files of an unknown kind.
    Free,
    /// Everywhere but in the logs that are read.
    All,
}

/// How evidence may be opened, shared by all that is found in it. A clone is the same.
#[derive(Clone)]
pub struct Access(Arc<Shared>, Carving);

struct Shared {
    passwords: Mutex<Vec<String>>,
    prompt: Option<Prompt>,
    /// Whether nobody answered, so that nobody is asked again.
    silent: Mutex<bool>,
    memory: AtomicU64,
}

impl Default for Access {
    fn default() -> Access {
        Access::new(Vec::new(), None)
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the passwords.
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    /// Tries these passwords, in their order, then those that `prompt` gives.
    #[must_use]
    pub fn new(passwords: Vec<String>, prompt: Option<Prompt>) -> Access {
        let mut passwords = passwords;
        if !passwords.iter().any(|password| password == USUAL) {
            passwords.push(USUAL.to_owned());
        }
        let shared = Shared {
            passwords: Mutex::new(passwords),
            prompt,
            silent: Mutex::new(false),
            memory: AtomicU64::new(0),
        };
        Access(Arc::new(shared), Carving::No)
    }

    /// The same, with raw bytes searched.
    #[must_use]
    pub fn carving(self, carving: Carving) -> Access {
        Access(self.0, carving)
    }

    /// Where raw bytes are searched.
    pub(super) fn carve(&self) -> Carving {
        self.1
    }

    /// The first password that fits, of those that are known.
    pub(super) fn known(&self, fits: impl FnMut(&str) -> bool) -> Option<String> {
        let mut fits = fits;
        let known = self.0.passwords.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known.into_iter().find(|password| fits(password))
    }

    /// The first password that fits, of those that are known and then of those that somebody gives.
    pub(super) fn password(
        &self,
        container: &str,
        mut fits: impl FnMut(&str) -> bool,
    ) -> Option<String> {
        if let Some(found) = self.known(&mut fits) {
            return Some(found);
        }
        let prompt = self.0.prompt.as_ref()?;
        // One question at a time.
        let mut silent = self.0.silent.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..QUESTIONS {
            if *silent {
                return None;
            }
            let Some(answer) = prompt(container) else {
                *silent = true;
                return None;
            };
            if fits(&answer) {
                let mut known = self.0.passwords.lock().unwrap_or_else(PoisonError::into_inner);
                known.push(answer.clone());
                return Some(answer);
            }
        }
        None
    }

    /// Takes so many bytes of the memory for what was unpacked; whether there are as many.
    pub(super) fn take_memory(&self, bytes: u64) -> bool {
        let take = |used: u64| used.checked_add(bytes).filter(|used| *used <= MEMORY);
        self.0.memory.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Gives them back.
    pub(super) fn give_memory(&self, bytes: u64) {
        self.0.memory.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_passwords_are_tried_before_anybody_is_asked() {
        let asked = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&asked);
        let prompt: Prompt = Box::new(move |name| {
            assert_eq!(name, "case.zip");
            let n = count.fetch_add(1, Ordering::Relaxed);
            (n < 4).then(|| format!("answer {n}"))
        });
        let access = Access::new(vec!["a".into(), "b".into()], Some(prompt));
        let mut tried = Vec::new();
        let mut password = |right: &str| {
            tried.clear();
            let found = access.password("case.zip", |password| {
                tried.push(password.to_owned());
                password == right
            });
            (found, tried.join(","))
        };
        assert_eq!(password("b"), (Some("b".into()), "a,b".into()));
        assert_eq!(password("infected"), (Some("infected".into()), "a,b,infected".into()));
        let found = password("answer 1");
        assert_eq!(found, (Some("answer 1".into()), "a,b,infected,answer 0,answer 1".into()));
        assert_eq!(password("answer 1").1, "a,b,infected,answer 1");
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        // Nobody answers: nobody is asked again.
        assert_eq!(password("x").0, None);
        assert_eq!(password("x").0, None);
        assert_eq!(asked.load(Ordering::Relaxed), 5);
        assert!(!format!("{access:?}").contains("answer"));
    }

    #[test]
    fn memory_is_bounded() {
        let access = Access::default();
        assert!(access.take_memory(MEMORY - 1) && !access.take_memory(2));
        assert!(access.take_memory(1) && !access.take_memory(u64::MAX));
        access.give_memory(MEMORY);
        assert!(access.take_memory(MEMORY));
    }
}
