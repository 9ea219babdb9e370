//! `GET /`: the dashboard, one page and its parts. They hold nothing that needs a token: whatever the
//! page shows, it asks the API for.

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::fault::Fault;

/// A part of the page: its name below `/dashboard/`, its type, its content.
type Part = (&'static str, &'static str, &'static str);

macro_rules! part {
    ($name:literal, $kind:expr) => {
        ($name, $kind, include_str!(concat!("../dashboard/", $name)))
    };
}

const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const PARTS: [Part; 15] = [
    part!("style.css", STYLE),
    part!("tables.css", STYLE),
    part!("icon.svg", "image/svg+xml"),
    part!("app.js", SCRIPT),
    part!("chart.js", SCRIPT),
    part!("connections.js", SCRIPT),
    part!("door.js", SCRIPT),
    part!("drain.js", SCRIPT),
    part!("elements.js", SCRIPT),
    part!("endpoints.js", SCRIPT),
    part!("events.js", SCRIPT),
    part!("overview.js", SCRIPT),
    part!("pools.js", SCRIPT),
    part!("settings.js", SCRIPT),
    part!("words.js", SCRIPT),
];

const FOLDER: &str = "/dashboard/";

/// The page.
pub(super) async fn page() -> Html<&'static str> {
    Html(include_str!("../dashboard/index.html"))
}

/// `GET /dashboard/{file}`: a part of it.
pub(super) async fn file(Path(name): Path<String>) -> Response {
    match part(&name) {
        Some((_, kind, content)) => (
            [(header::CONTENT_TYPE, HeaderValue::from_static(kind))],
            *content,
        )
            .into_response(),
        None => Fault::new(StatusCode::NOT_FOUND, "the page has no such part").into_response(),
    }
}

/// Whether a part of the page is at that path.
pub(super) fn has(path: &str) -> bool {
    path.strip_prefix(FOLDER)
        .is_some_and(|name| part(name).is_some())
}

fn part(name: &str) -> Option<&'static Part> {
    PARTS.iter().find(|(known, ..)| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../dashboard/index.html");

    #[test]
    fn every_part_that_is_named_is_there() {
        let named = |text: &str, mark: &str| -> Vec<String> {
            let rest = text.split(mark).skip(1);
            rest.map(|rest| rest.split('"').next().unwrap_or_default().to_owned())
                .collect()
        };
        for name in named(PAGE, "\"/dashboard/") {
            assert!(part(&name).is_some(), "{name}");
        }
        for (of, kind, content) in PARTS.iter().filter(|(_, kind, _)| *kind == SCRIPT) {
            for name in named(content, "from \"./") {
                assert!(part(&name).is_some(), "{name} of {of}, {kind}");
            }
        }
    }

    #[test]
    fn it_is_small_and_needs_nothing_from_elsewhere() {
        let all = PARTS.iter().map(|(.., content)| *content).chain([PAGE]);
        assert!(all.clone().map(str::len).sum::<usize>() < 200 << 10);
        for content in all {
            let foreign = content.replace("http://www.w3.org/2000/svg", "");
            assert!(!foreign.contains("http://") && !foreign.contains("https://"));
        }
    }

    #[test]
    fn nothing_is_ever_markup() {
        for (name, _, content) in PARTS {
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(!content.contains(word), "{name}: {word}");
            }
        }
        for word in [" style=", " onclick=", "<script>", "<style"] {
            assert!(!PAGE.contains(word), "{word}");
        }
    }

    #[test]
    fn only_its_parts_are_public() {
        assert!(has("/dashboard/app.js"));
        for path in [
            "/dashboard/",
            "/dashboard/../pools",
            "/dashboard/app.js/",
            "/pools",
        ] {
            assert!(!has(path), "{path}");
        }
    }
}
