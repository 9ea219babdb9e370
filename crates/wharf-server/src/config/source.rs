//! [`Sources`]: the files that a configuration was read from, and how to notice that they changed.

use std::fs::OpenOptions;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::descriptors::is_out_of_descriptors;

/// The largest file that is read: far above any configuration, far below what would hurt.
pub(crate) const LARGEST: u64 = 1 << 20;

/// Files, and what was in them. The content decides, not the time stamp: a file can be replaced by
/// an older one, and a link can be turned to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sources(Vec<(PathBuf, Option<u64>)>);

impl Sources {
    /// Notes what was read from a file; `None` if it could not be read.
    pub(crate) fn note(&mut self, path: &Path, content: Option<&[u8]>) {
        self.0.push((path.to_owned(), content.map(hash)));
    }

    /// These and others.
    #[must_use]
    pub(crate) fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The same files as they are now. Reads them all.
    pub(crate) fn now(&self) -> Self {
        let look = |(path, before): &(PathBuf, Option<u64>)| {
            let now = match read_bounded(path, LARGEST) {
                Ok(content) => Some(hash(&content)),
                // That says nothing about the file.
                Err(Unread::OutOfDescriptors) => *before,
                Err(Unread::Because(_)) => None,
            };
            (path.clone(), now)
        };
        Self(self.0.iter().map(look).collect())
    }

    /// The folders that the files are in.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        let folder = |path: &PathBuf| match path.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let mut folders: Vec<_> = self.0.iter().map(|(path, _)| folder(path)).collect();
        folders.sort();
        folders.dedup();
        folders
    }
}

/// Decides nothing but whether to read again, so that its keys may be known.
fn hash(content: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

/// Why a file was not read, for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    /// The process has no descriptor left for it.
    #[error("cannot read it: the process is out of descriptors")]
    OutOfDescriptors,
    /// Something is wrong with the file.
    #[error("{0}")]
    Because(String),
}

impl Unread {
    fn by(error: &io::Error) -> Self {
        if is_out_of_descriptors(error) {
            Self::OutOfDescriptors
        } else {
            Self::Because(format!("cannot read it: {error}"))
        }
    }
}

/// Reads a file of at most `largest` bytes. A pipe, a device or a folder is refused and not waited
/// for.
///
/// # Errors
///
/// The reason.
pub(crate) fn read_bounded(path: &Path, largest: u64) -> Result<Vec<u8>, Unread> {
    let cannot = |error: io::Error| Unread::by(&error);
    let because = |reason: &str| Err(Unread::Because(reason.to_owned()));
    // A pipe that nobody writes to would hold up the open itself.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(cannot)?;
    let found = file.metadata().map_err(cannot)?;
    if found.is_dir() {
        return because("this is a directory");
    }
    if !found.is_file() {
        return because("this is not a regular file");
    }
    let too_large = || because(&format!("the file is larger than {largest} bytes"));
    if found.len() > largest {
        return too_large();
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(largest + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > largest {
        return too_large();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_no_regular_file_of_a_size_is_refused_at_once() {
        let refused = |path: &str| read_bounded(Path::new(path), 10).unwrap_err().to_string();
        assert_eq!(refused("/"), "this is a directory");
        assert_eq!(refused("/dev/zero"), "this is not a regular file");
        assert!(refused("/nowhere/at/all").starts_with("cannot read it: "));
        assert_eq!(
            refused("/proc/self/status"),
            "the file is larger than 10 bytes"
        );
    }

    #[test]
    fn the_content_decides_whether_a_file_has_changed() {
        let path = std::env::temp_dir().join(format!("wharf-sources-{}", std::process::id()));
        fs::write(&path, "a").unwrap();
        let mut sources = Sources::default();
        sources.note(&path, Some(b"a"));
        assert_eq!(sources.now(), sources);
        fs::write(&path, "b").unwrap();
        assert_ne!(sources.now(), sources);
        fs::write(&path, "a").unwrap();
        assert_eq!(sources.now(), sources);
        fs::remove_file(&path).unwrap();
        assert_ne!(sources.now(), sources);
    }

    #[test]
    fn the_folder_of_a_bare_name_is_this_one() {
        let mut sources = Sources::default();
        sources.note(Path::new("wharf.toml"), None);
        sources.note(Path::new("/etc/token"), None);
        sources.note(Path::new("/etc/key"), None);
        assert_eq!(sources.folders(), [Path::new("/etc"), Path::new(".")]);
    }
}
