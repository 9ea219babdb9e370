//! Files: how a configuration comes from the disk, and how it is refused.

use std::fmt;
use std::path::Path;

use super::Config;
use super::report::{Problem, Problems, place};
use super::source::{LARGEST, Sources, read_bounded};

/// Reads the configuration in `path`.
///
/// # Errors
///
/// [`Refused`] with everything that is wrong with it.
pub(crate) fn load(path: &Path) -> Result<Config, Refused> {
    let file = path.display().to_string();
    let bytes = read_bounded(path, LARGEST);
    let mut sources = Sources::default();
    sources.note(path, bytes.as_deref().ok());
    let refused = |source: String, mut problems: Problems| {
        problems.sources = sources.clone().and(problems.sources);
        Refused {
            file: file.clone(),
            source,
            problems,
        }
    };
    let bytes = bytes.map_err(|reason| {
        refused(
            String::new(),
            Problems::whole(reason.to_string(), "name a TOML file that wharf can read"),
        )
    })?;
    let source = match String::from_utf8(bytes) {
        Ok(source) => source,
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let source = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let mut problems = Problems::whole("this is not UTF-8", "save the file as UTF-8");
            problems.list.iter_mut().for_each(|problem| problem.at = at);
            return Err(refused(source, problems));
        }
    };
    let folder = path.parent().unwrap_or(Path::new("."));
    match Config::parse(&source, folder) {
        Ok(config) => Ok(Config {
            sources: sources.and(config.sources),
            ..config
        }),
        Err(problems) => Err(refused(source, problems)),
    }
}

/// A file that is no configuration, and why.
#[derive(Debug)]
pub(crate) struct Refused {
    file: String,
    source: String,
    /// What is wrong with it.
    pub(crate) problems: Problems,
}

impl Refused {
    /// A file that cannot be read at all.
    pub(crate) fn whole(path: &Path, sources: Sources, reason: &str, remedy: &str) -> Self {
        let problems = Problems::whole(reason, remedy);
        Self::without_place(path, sources, problems)
    }

    /// A file that is right and cannot be put in force.
    pub(crate) fn of(path: &Path, sources: Sources, problem: Problem) -> Self {
        Self::without_place(path, sources, Problems::from(vec![problem]))
    }

    fn without_place(path: &Path, sources: Sources, problems: Problems) -> Self {
        Self {
            file: path.display().to_string(),
            source: String::new(),
            problems: Problems {
                sources,
                ..problems
            },
        }
    }

    /// The file's name.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The line and column of each problem, both from 1.
    pub(crate) fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let list = self.problems.list.iter();
        list.map(|problem| place(&self.source, problem.at))
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problems.render(&self.file, &self.source).fmt(f)
    }
}
