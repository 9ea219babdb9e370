//! [`Calls`]: how the calls of each method go.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::figures::{Figures, MethodFigures};

/// The name under which the calls are counted whose method has no figures of its own.
pub const OTHER: &str = "other";

/// How many methods have figures of their own, unless said otherwise.
const MOST_METHODS: usize = 256;

/// A longer path is no method that anybody has written.
const LONGEST_NAME: usize = 256;

/// How the calls of each method go. Cheap to clone; all clones count together.
///
/// A method has figures of its own if it was declared, or once a handler has begun an answer to a
/// call of it: what a peer makes up is never a label. There are at most so many methods; the rest
/// is [`OTHER`].
#[derive(Clone)]
pub struct Calls {
    inner: Arc<Inner>,
}

struct Inner {
    /// Replaced as a whole: read for each call, written once for each method.
    methods: ArcSwap<HashMap<Box<str>, Arc<Figures>>>,
    learning: Mutex<()>,
    most: usize,
    /// Made when it is needed: whoever serves one connection alone may never see a call.
    other: LazyLock<Arc<Figures>>,
}

impl Calls {
    /// Counts at most `most` methods apart.
    pub fn with_most_methods(most: usize) -> Self {
        let inner = Inner {
            methods: ArcSwap::default(),
            learning: Mutex::new(()),
            most,
            other: LazyLock::new(|| Arc::new(Figures::new())),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Gives these methods, each `package.Service/Method`, figures of their own from the start, as
    /// far as there is room and they are names of methods.
    pub fn declare<'a>(&self, methods: impl IntoIterator<Item = &'a str>) {
        for method in methods {
            self.add(method);
        }
    }

    /// What there is to say of each method, in the order of their names, [`OTHER`] last.
    pub fn figures(&self) -> Vec<MethodFigures> {
        let methods = self.inner.methods.load_full();
        let mut figures: Vec<_> = methods
            .iter()
            .map(|(method, figures)| figures.sum(method))
            .collect();
        figures.sort_by(|a, b| a.method.cmp(&b.method));
        figures.push(self.inner.other.sum(OTHER));
        figures
    }

    /// A call of `path` begins: where it is counted, and whether that is its method's own place.
    pub(super) fn begin(&self, path: &str) -> (Arc<Figures>, bool) {
        let known = name_of(path).and_then(|name| self.inner.methods.load().get(name).cloned());
        let is_known = known.is_some();
        let figures = known.unwrap_or_else(|| Arc::clone(LazyLock::force(&self.inner.other)));
        figures.put_in_flight();
        (figures, is_known)
    }

    /// The method at `path` exists: its own figures, if there is room for them.
    pub(super) fn learn(&self, path: &str) -> Option<Arc<Figures>> {
        self.add(name_of(path)?)
    }

    fn add(&self, name: &str) -> Option<Arc<Figures>> {
        let inner = &*self.inner;
        let methods = inner.methods.load();
        if let Some(figures) = methods.get(name) {
            return Some(Arc::clone(figures));
        }
        if methods.len() >= inner.most || !is_name(name) {
            return None;
        }
        let _learning = inner
            .learning
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Others may have been faster.
        let methods = inner.methods.load_full();
        if let Some(figures) = methods.get(name) {
            return Some(Arc::clone(figures));
        }
        if methods.len() >= inner.most {
            return None;
        }
        let figures = Arc::new(Figures::new());
        let mut grown = HashMap::clone(&methods);
        grown.insert(name.into(), Arc::clone(&figures));
        inner.methods.store(Arc::new(grown));
        Some(figures)
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self::with_most_methods(MOST_METHODS)
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls")
            .field("methods", &self.inner.methods.load().len())
            .finish_non_exhaustive()
    }
}

/// `/package.Service/Method` without its first slash.
fn name_of(path: &str) -> Option<&str> {
    path.strip_prefix('/')
}

/// Whether `name` is what the protocol buffer language lets a method be called.
fn is_name(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'_')
    };
    name.len() <= LONGEST_NAME
        && name
            .split_once('/')
            .is_some_and(|(service, method)| service.split('.').all(is_word) && is_word(method))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(calls: &Calls) -> Vec<String> {
        let figures = calls.figures().into_iter();
        figures.map(|it| it.method.into()).collect()
    }

    #[test]
    fn declared_methods_have_figures_from_the_start() {
        let calls = Calls::default();
        calls.declare(["b.B/B", "a.A/A", "a.A/A"]);
        assert_eq!(names(&calls), ["a.A/A", "b.B/B", OTHER]);
    }

    #[test]
    fn there_are_never_more_methods_than_that() {
        let calls = Calls::with_most_methods(2);
        assert!(calls.learn("/a.A/A").is_some());
        assert!(calls.learn("/a.A/B").is_some());
        assert!(calls.learn("/a.A/C").is_none());
        assert!(calls.learn("/a.A/A").is_some());
        assert_eq!(names(&calls), ["a.A/A", "a.A/B", OTHER]);
    }

    #[test]
    fn what_cannot_be_a_method_is_not_learnt() {
        let calls = Calls::default();
        for path in [
            "", "/", "a.A/A", "//", "/a/", "//A", "/a", "/a.A/A/A", "/a..A/A", "/.A/A", "/a.A/A b",
            "/a.A/A\n", "/a.A/%41", "/ä.A/A", "/a-A/A",
        ] {
            assert!(calls.learn(path).is_none(), "{path:?}");
        }
        let long = format!("/{}/A", "a".repeat(LONGEST_NAME));
        assert!(calls.learn(&long).is_none());
        assert!(calls.learn("/Service/Method_1").is_some());
    }

    #[test]
    fn a_method_that_nobody_knows_is_counted_with_the_others() {
        let calls = Calls::default();
        let (figures, known) = calls.begin("/a.A/A");
        assert!(!known);
        assert_eq!(calls.figures()[0].in_flight, 1);
        assert_eq!(names(&calls), [OTHER]);
        figures.take_from_flight();
    }
}
