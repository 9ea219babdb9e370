//! `GET /openapi.json`: the admin API as a document by `OpenAPI` 3.1, made from the list that the
//! router is made from.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::fault::{Answer, Fault};
use super::operation::{Answered, Content, OPERATIONS, Operation, Parameter};

/// What the answers' bodies are made of, as JSON Schema.
const SCHEMAS: &str = include_str!("schemas.json");

/// `GET /openapi.json`.
pub(super) async fn document() -> Result<Answer, Fault> {
    made()
        .map(Answer)
        .map_err(|error| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// # Errors
///
/// None in practice: the schemas are part of the program, and a test reads them.
fn made() -> Result<Value, serde_json::Error> {
    let schemas: Value = serde_json::from_str(SCHEMAS)?;
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = shown(operation)?;
    }
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "wharf admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What operators see of a running wharf, and what they may change.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
        "security": [{}, { "token": [] }],
    }))
}

fn shown(operation: &Operation) -> Result<Value, serde_json::Error> {
    let mut parameters = path_parameters(operation.path);
    for parameter in operation.query {
        parameters.push(query_parameter(parameter)?);
    }
    let writes = operation.method != "get";
    if writes {
        parameters.push(json!({
            "name": "x-wharf-admin", "in": "header", "required": true,
            "description": "A page on another site cannot send it",
            "schema": { "const": "1" },
        }));
    }
    let mut shown = json!({
        "summary": operation.summary,
        "parameters": parameters,
        "responses": answers(operation),
    });
    if let Some(schema) = operation.body {
        shown["requestBody"] = json!({ "required": true, "content": json_of(schema) });
    }
    Ok(shown)
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| {
        let name = part.strip_prefix('{')?;
        name.strip_suffix('}')
    });
    names
        .map(|name| {
            json!({
                "name": name, "in": "path", "required": true, "schema": { "type": "string" },
            })
        })
        .collect()
}

fn query_parameter(parameter: &Parameter) -> Result<Value, serde_json::Error> {
    let schema: Value = serde_json::from_str(parameter.schema)?;
    Ok(json!({
        "name": parameter.name, "in": "query", "description": parameter.description,
        "schema": schema,
    }))
}

/// The answers of the operation, and those of the door.
fn answers(operation: &Operation) -> Map<String, Value> {
    let own = operation.answers.iter().map(answer);
    let of_all = [
        ("400", "The request is not usable"),
        ("401", "The token is missing or wrong"),
        (
            "403",
            "The host is not served, or a write has no x-wharf-admin",
        ),
        ("408", "The request did not come in time"),
    ];
    let mut answers: Map<_, _> = of_all
        .map(|(status, description)| (status.to_owned(), problem(description)))
        .into_iter()
        .collect();
    answers.extend(own);
    answers
}

fn answer(answered: &Answered) -> (String, Value) {
    let shown = match answered.content {
        Content::Json(schema) => json!({
            "description": answered.description, "content": json_of(schema),
        }),
        Content::Problem => problem(answered.description),
        Content::Text(kind) => {
            let mut content = Map::new();
            content.insert(kind.to_owned(), json!({ "schema": { "type": "string" } }));
            json!({ "description": answered.description, "content": content })
        }
    };
    (answered.status.to_string(), shown)
}

fn problem(description: &str) -> Value {
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    json!({
        "description": description,
        "content": { "application/problem+json": { "schema": schema } },
    })
}

fn json_of(schema: &str) -> Value {
    let reference = format!("#/components/schemas/{schema}");
    json!({ "application/json": { "schema": { "$ref": reference } } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_in_it_and_nothing_else() {
        let document = made().unwrap();
        let paths = document["paths"].as_object().unwrap();
        let mut told: Vec<_> = paths
            .iter()
            .flat_map(|(path, methods)| {
                let methods = methods.as_object().unwrap().keys();
                methods.map(move |method| (path.clone(), method.clone()))
            })
            .collect();
        let mut known: Vec<_> = OPERATIONS
            .iter()
            .map(|it| (it.path.to_owned(), it.method.to_owned()))
            .collect();
        told.sort();
        known.sort();
        assert_eq!(told, known, "each once");
    }

    #[test]
    fn every_schema_that_is_named_is_there_and_every_one_there_is_named() {
        let document = made().unwrap();
        let whole = document.to_string();
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let named = |name: &str| whole.contains(&format!("#/components/schemas/{name}\""));
        for name in schemas.keys() {
            assert!(named(name), "{name} is not used");
        }
        for reference in whole.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name} is not there");
        }
    }
}
