//! [`read_endpoint_file`]: a file with endpoints and nothing else.

use std::path::Path;

use toml::de::DeTable;
use wharf_upstream::EndpointSetup;

use super::endpoint::{Empty, read_endpoints};
use super::report::{Report, place};
use super::section::Section;
use super::source::{LARGEST, Sources, read_bounded};
use super::written::Written;

/// Why a file is not followed: its first fault, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadFile(String);

/// Reads a file with `endpoints`, as the configuration has them: as JSON where its name ends so, else as TOML. Whole
/// or not at all. Also what was seen, by which a change is noticed.
pub(crate) fn read_endpoint_file(path: &Path) -> (Result<Vec<EndpointSetup>, BadFile>, Sources) {
    let bytes = read_bounded(path, LARGEST);
    let mut seen = Sources::default();
    seen.note(path, bytes.as_deref().ok());
    let bad = |why: String| BadFile(format!("{}:{why}", path.display()));
    let text = bytes
        .map_err(|unread| bad(format!(" {unread}")))
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| bad(" this is not UTF-8".into())));
    let is_json = path.extension().is_some_and(|it| it == "json");
    let read = text.and_then(|text| read(&text, is_json).map_err(bad));
    (read, seen)
}

fn read(text: &str, is_json: bool) -> Result<Vec<EndpointSetup>, String> {
    let written: Written = if is_json {
        serde_json::from_str(text).map_err(|error| format!(" {error}"))?
    } else {
        let table = DeTable::parse(text).map_err(|error| {
            let (line, column) = place(text, error.span().map_or(0, |span| span.start));
            format!("{line}:{column}: {}", error.message())
        })?;
        Written::from_toml(&table)
    };
    let mut report = Report::default();
    let endpoints = Section::open(&written, "", &mut report).and_then(|mut section| {
        // Which addresses may be asked is the upstream's to say, and whether nobody may be.
        let endpoints = read_endpoints(&mut section, true, Empty::Meant, &mut report);
        section.finish(&mut report);
        endpoints
    });
    let read = report.finish(endpoints).map_err(|problems| {
        let first = problems.list.first().map(|problem| {
            let (line, column) = place(text, problem.at);
            let (key, reason) = (&problem.key, &problem.reason);
            // JSON keeps no places.
            if is_json {
                format!(" {key}: {reason}")
            } else {
                format!("{line}:{column}: {key}: {reason}")
            }
        });
        first.unwrap_or_default()
    });
    // Without a problem there are endpoints.
    Ok(read?.value.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations_say_the_same() {
        let toml = "endpoints = ['http://a:1', { address = 'http://b:2', weight = 3 }]";
        let json = r#"{"endpoints": ["http://a:1", {"address": "http://b:2", "weight": 3}]}"#;
        let (toml, json) = (read(toml, false).unwrap(), read(json, true).unwrap());
        assert_eq!(toml, json);
        assert_eq!((toml.len(), toml[1].weight), (2, 3));
        assert_eq!(read("endpoints = []", false), Ok(Vec::new()));
    }

    #[test]
    fn one_fault_is_the_whole_files() {
        for (text, is_json, why) in [
            (
                "endpoints = ['http://a:1',\n 'b']",
                false,
                "2:2: endpoints: \"b\" is not an endpoint",
            ),
            ("endpoints = [", false, "1:"),
            ("endpoint = []", false, "this key is missing"),
            ("endpoints = []\nweight = 1", false, "weight: unknown key"),
            (
                r#"{"endpoints": ["a"]}"#,
                true,
                "endpoints: \"a\" is not an endpoint",
            ),
            ("[]", true, "this must be a table"),
            ("{", true, "EOF"),
            ("", false, "this key is missing"),
        ] {
            let told = read(text, is_json).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }
}
