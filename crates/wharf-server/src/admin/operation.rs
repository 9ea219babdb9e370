//! [`Operation`]: one thing that can be asked of the admin API, and the list of all of them.
//!
//! The router and `/openapi.json` are both made from [`OPERATIONS`], so that neither can have what
//! the other has not.

use std::sync::Arc;

use axum::routing::{MethodRouter, delete, get, patch, post};

use super::{Desk, config, connections, events, health, metrics, openapi, page, past, pools};

/// One thing that can be asked.
pub(super) struct Operation {
    /// The method, in lower case.
    pub(super) method: &'static str,
    /// The path, with its parameters in braces.
    pub(super) path: &'static str,
    /// What it does, in a line.
    pub(super) summary: &'static str,
    /// What the query may have. An empty value is the same as none: forms send it.
    pub(super) query: &'static [Parameter],
    /// What the body is to be, if there is one.
    pub(super) body: Option<&'static str>,
    /// The answers of its own; those of the door are everybody's.
    pub(super) answers: &'static [Answered],
    /// What answers.
    pub(super) handler: fn() -> MethodRouter<Arc<Desk>>,
}

/// One parameter of a query.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    /// Its schema, as JSON.
    pub(super) schema: &'static str,
}

/// One answer.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) description: &'static str,
    pub(super) content: Content,
}

/// What an answer's body is.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// JSON of the schema of that name.
    Json(&'static str),
    /// A problem by RFC 9457.
    Problem,
    /// Text of that type.
    Text(&'static str),
}

const fn ok(description: &'static str, schema: &'static str) -> Answered {
    answered(200, description, Content::Json(schema))
}

const fn answered(status: u16, description: &'static str, content: Content) -> Answered {
    Answered {
        status,
        description,
        content,
    }
}

const fn problem(status: u16, description: &'static str) -> Answered {
    answered(status, description, Content::Problem)
}

const fn parameter(
    name: &'static str,
    description: &'static str,
    schema: &'static str,
) -> Parameter {
    Parameter {
        name,
        description,
        schema,
    }
}

const fn read(
    path: &'static str,
    summary: &'static str,
    answers: &'static [Answered],
    handler: fn() -> MethodRouter<Arc<Desk>>,
) -> Operation {
    Operation {
        method: "get",
        path,
        summary,
        query: &[],
        body: None,
        answers,
        handler,
    }
}

const TEXT: &str = r#"{"type": "string"}"#;

const NO_POOL: Answered = problem(404, "There is no such pool");
const BAD_QUERY: Answered = problem(400, "The query is not understood");

/// Everything that can be asked.
pub(super) const OPERATIONS: &[Operation] = &[
    read(
        "/",
        "The dashboard",
        &[answered(200, "The page", Content::Text("text/html"))],
        || get(page::page),
    ),
    read(
        "/openapi.json",
        "This document",
        &[ok("The document", "Document")],
        || get(openapi::document),
    ),
    read(
        "/live",
        "Whether the process lives",
        &[ok("It lives", "Live")],
        || get(health::live),
    ),
    read(
        "/ready",
        "Whether it takes work",
        &[
            ok("It does", "Ready"),
            answered(
                503,
                "It is starting, draining, or has no pool that serves",
                Content::Json("Ready"),
            ),
        ],
        || get(health::ready),
    ),
    read(
        "/health",
        "The process, its listeners and its pools in brief",
        &[ok("How it is", "Health")],
        || get(health::health),
    ),
    read("/pools", "Every pool", &[ok("The pools", "Pools")], || {
        get(pools::list)
    }),
    Operation {
        query: &[parameter(
            "since",
            "Only what came after this at_ms",
            r#"{"anyOf": [{"type": "number", "minimum": 0, "maximum": 1e15}, {"const": ""}]}"#,
        )],
        ..read(
            "/pools/history",
            "The last ten minutes of every pool, a sample every five seconds",
            &[ok("The samples, in columns", "Past"), BAD_QUERY],
            || get(past::history),
        )
    },
    read(
        "/pools/{listener}/{protocol}",
        "One pool: its configuration, health and metrics",
        &[ok("The pool", "Pool"), NO_POOL],
        || get(pools::show),
    ),
    Operation {
        method: "patch",
        path: "/pools/{listener}/{protocol}",
        summary: "Changes settings of a pool, all or none, until the next reload",
        query: &[],
        body: Some("Settings"),
        answers: &[
            ok("What has changed", "PoolChange"),
            problem(400, "The body is not usable JSON"),
            NO_POOL,
            problem(413, "The body is too large"),
            problem(422, "Nothing has changed: everything that is wrong with it"),
        ],
        handler: || patch(pools::change),
    },
    Operation {
        query: &[
            parameter("pool", "Only of this pool, listener/protocol", TEXT),
            parameter(
                "state",
                "Only in this state",
                r#"{"enum": ["detecting", "opening", "active", "idle", "closing", ""]}"#,
            ),
            parameter(
                "peer",
                "Only from this address, address and port, or range",
                TEXT,
            ),
            parameter(
                "sort",
                "By this figure, the smallest first; with - before it, the largest first",
                r#"{"type": "string", "pattern": "^(-?(id|peer|pool|state|age_ms|idle_ms|requests|in_flight|bytes_received|bytes_sent))?$"}"#,
            ),
            parameter(
                "limit",
                "At most so many; without it 100",
                r#"{"anyOf": [{"type": "integer", "minimum": 1, "maximum": 10000}, {"const": ""}]}"#,
            ),
        ],
        ..read(
            "/connections",
            "Who is connected",
            &[ok("The connections", "Connections"), BAD_QUERY],
            || get(connections::list),
        )
    },
    Operation {
        method: "delete",
        path: "/connections/{id}",
        summary: "Asks a connection to finish",
        query: &[],
        body: None,
        answers: &[
            answered(202, "It has been asked", Content::Json("Closing")),
            problem(404, "There is no such connection"),
        ],
        handler: || delete(connections::close),
    },
    Operation {
        query: &[
            parameter(
                "since",
                "After the event of this id; 0 for all that are kept. Last-Event-ID goes before",
                TEXT,
            ),
            parameter(
                "type",
                "Only events of these kinds, with commas between them",
                TEXT,
            ),
            parameter(
                "pool",
                "Only events of these pools, with commas between them",
                TEXT,
            ),
        ],
        ..read(
            "/events",
            "What happens, as server-sent events",
            &[
                answered(200, "The stream", Content::Text("text/event-stream")),
                BAD_QUERY,
            ],
            || get(events::stream),
        )
    },
    read(
        "/config",
        "The configuration in force, in the form of the file",
        &[ok("The configuration", "Config")],
        || get(config::show),
    ),
    read(
        "/config/history",
        "The last 20 changes of the configuration, the newest first",
        &[ok("The changes", "History")],
        || get(config::history),
    ),
    Operation {
        method: "post",
        path: "/reload",
        summary: "Reads the configuration file again, and puts all of it in force or nothing",
        query: &[],
        body: None,
        answers: &[
            ok("What has changed", "Reloaded"),
            problem(409, "There is no file"),
            problem(
                422,
                "Nothing has changed: everything that is wrong with the file",
            ),
        ],
        handler: || post(config::reload),
    },
    read(
        "/metrics",
        "The metrics for Prometheus",
        &[answered(
            200,
            "The metrics",
            Content::Text("application/openmetrics-text"),
        )],
        || get(metrics::metrics),
    ),
    Operation {
        method: "post",
        path: "/drain",
        summary: "Begins to drain; the process ends when it is done",
        query: &[],
        body: None,
        answers: &[answered(202, "It has begun", Content::Json("Draining"))],
        handler: || post(super::drain),
    },
];
