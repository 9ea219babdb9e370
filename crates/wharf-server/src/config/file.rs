//! Files: how a configuration comes from the disk, and how it is refused.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::Config;
use super::report::Problems;

/// The largest file that is read: far above any configuration, far below what would hurt.
const LARGEST: u64 = 1 << 20;

/// Reads the configuration in `path`.
///
/// # Errors
///
/// [`Refused`] with everything that is wrong with it.
pub(crate) fn load(path: &Path) -> Result<Config, Refused> {
    let file = path.display().to_string();
    let refused = |source: String, problems| Refused {
        file: file.clone(),
        source,
        problems,
    };
    let bytes = read_bounded(path, LARGEST).map_err(|reason| {
        refused(
            String::new(),
            Problems::whole(reason, "name a TOML file that wharf can read"),
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
    Config::parse(&source, folder).map_err(|problems| refused(source, problems))
}

/// Reads a file of at most `largest` bytes.
///
/// # Errors
///
/// The reason, for people.
pub(crate) fn read_bounded(path: &Path, largest: u64) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("cannot read it: {error}");
    let file = File::open(path).map_err(cannot)?;
    if file.metadata().map_err(cannot)?.is_dir() {
        return Err("this is a directory".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(largest + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > largest {
        return Err(format!("the file is larger than {largest} bytes"));
    }
    Ok(bytes)
}

/// A file that is no configuration, and why.
#[derive(Debug)]
pub(crate) struct Refused {
    file: String,
    source: String,
    /// What is wrong with it.
    pub(crate) problems: Problems,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problems.render(&self.file, &self.source).fmt(f)
    }
}
